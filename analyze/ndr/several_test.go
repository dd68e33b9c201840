package ndr

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

// TestPastedTogether pastes each two samples one below the other, with nothing
// but an empty line between them, and counts how often both are read as if each
// stood alone. Where the second has no words of its own that open it, nobody
// can tell where it begins; so the test has a floor and lists the misses.
func TestPastedTogether(t *testing.T) {
	root := filepath.Join("..", "..", "testdata", "reports")
	files, err := filepath.Glob(filepath.Join(root, "*", "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var names, texts []string
	for _, file := range files {
		name, _ := filepath.Rel(root, file)
		name = filepath.ToSlash(name)
		switch dir, _, _ := strings.Cut(name, "/"); dir {
		case "not", "several", "google-log-search", "m365-trace":
			continue
		}
		if strings.HasPrefix(name, "ses/notice") {
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		names, texts = append(names, name), append(texts, string(b))
	}
	if len(texts) < 80 {
		t.Fatalf("%d samples", len(texts))
	}
	other := strings.NewReplacer("desk@", "second@", "a@partner", "a2@partner", "b@partner", "b2@partner", "c@partner", "c2@partner", "d@partner", "d2@partner")
	pairs, right := 0, 0
	missed := map[string]int{}
	for i := range texts {
		for k := range texts {
			if i == k || raceDetector && (i+k)%5 != 0 {
				continue
			}
			second := other.Replace(texts[k])
			want := sortedCore(append(Read([]byte(texts[i])), Read([]byte(second))...))
			pairs++
			if sortedCore(Read([]byte(texts[i]+"\n\n"+second))) == want {
				right++
			} else {
				missed[names[i]+" above"]++
				missed[names[k]+" below"]++
			}
		}
	}
	percent := 100 * float64(right) / float64(pairs)
	t.Logf("%d of %d pairs, %.1f %%", right, pairs, percent)
	var worst []string
	for name, n := range missed {
		worst = append(worst, fmt.Sprintf("%5d %s", n, name))
	}
	sort.Sort(sort.Reverse(sort.StringSlice(worst)))
	for _, w := range worst[:min(len(worst), 12)] {
		t.Log(w)
	}
	if percent < 96 {
		t.Errorf("%.1f %% of the pairs are read right", percent)
	}
}

func sortedCore(cases []Case) string {
	var lines []string
	for _, c := range sampled(cases) {
		for _, it := range c.Items {
			lines = append(lines, fmt.Sprintf("%s %d %s %s %s", it.Recipient, it.Code, it.Enhanced, it.Refuser, it.Target))
		}
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}
