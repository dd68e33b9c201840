package analyze

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// eachSample calls fn with every sample of reports, logs and transcripts.
func eachSample(t *testing.T, fn func(name string, text []byte)) {
	t.Helper()
	root := filepath.Join("..", "testdata")
	n := 0
	for _, dir := range []string{"reports", "logs", "transcripts"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) == ".json" {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			n++
			name, err := filepath.Rel(root, path)
			fn(filepath.ToSlash(name), text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n < 100 {
		t.Fatalf("only %d samples under %s", n, root)
	}
}

// TestSamples: what holds for every report made of a sample: it fits the
// schema, its quotes stand where it says, nothing in it steers a terminal, it
// comes to the same verdict when it is read back, and it is not thrown by other
// line ends.
func TestSamples(t *testing.T) {
	schema := loadSchema(t)
	eachSample(t, func(name string, text []byte) {
		r := Analyze(text, Options{Source: name})
		doc := r.AppendJSON(nil)
		for _, w := range schema.validate(doc) {
			t.Errorf("%s: %s", name, w)
		}
		checkReport(t, r)
		if utf8.Valid(text) {
			checkPlaces(t, name, string(text), r)
		}
		if i := strings.IndexFunc(string(doc), func(c rune) bool { return unicode.IsControl(c) || transcript.Forbidden(c) }); i >= 0 {
			t.Errorf("%s: %q stands raw in its JSON", name, doc[i:min(i+10, len(doc))])
		}
		if back := Analyze(doc, Options{Source: name}); back.Verdict != r.Verdict || len(back.Outcomes) != len(r.Outcomes) {
			t.Errorf("%s: read back %+v, was %+v", name, back.Verdict, r.Verdict)
		}
		if again := Analyze(text, Options{Source: name}).AppendJSON(nil); string(again) != string(doc) {
			t.Errorf("%s: twice analysed, two reports", name)
		}
		verdicts := func(r *Report) string {
			s := string(r.Verdict.Code)
			for i := range r.Outcomes {
				o := &r.Outcomes[i]
				s += "\n" + o.Recipient + " " + string(o.Verdict) + " " + o.Stage + " " + string(o.Party) + " " + o.RefusedBy + " " + itoa(o.Reply.Code)
			}
			return s
		}
		if !strings.Contains(string(text), "\r") {
			for _, eol := range []string{"\r\n", "\r"} {
				other := Analyze([]byte(strings.ReplaceAll(string(text), "\n", eol)), Options{Source: name})
				if a, b := verdicts(r), verdicts(other); a != b {
					t.Errorf("%s with line ends %q:\n%s\nwith LF:\n%s", name, eol, b, a)
				}
			}
		}
	})
}

var update = flag.Bool("update", false, "rewrite the golden files")

// TestSampleVerdicts compares what the judge says about samples with a file
// that was read by eye, line by line, against the rules of the contract. A
// sample that is newer than the file is told, and comes in with -update.
func TestSampleVerdicts(t *testing.T) {
	golden := filepath.Join("testdata", "sample-verdicts.golden")
	var b strings.Builder
	got := map[string]string{}
	eachSample(t, func(name string, text []byte) {
		r := Analyze(text, Options{})
		s := fmt.Sprintf("%s: %s\n", r.Verdict.Code, r.Verdict.Headline)
		for i := range r.Outcomes {
			o := &r.Outcomes[i]
			s += fmt.Sprintf("\t%s/%s %s %s %s to <%s> reply %d %s by <%s> from <%s> target <%s> port %d\n",
				o.Verdict, o.Stage, o.Party, o.Direction, o.Confidence, o.Recipient, o.Reply.Code, o.Reply.Enhanced, o.RefusedBy, o.ReportedBy, o.Target, o.Port)
		}
		got[name] = s
		b.WriteString("= " + name + "\n" + s)
	})
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	known := 0
	for _, block := range strings.Split(string(text), "= ")[1:] {
		name, want, _ := strings.Cut(block, "\n")
		known++
		if got[name] != want {
			t.Errorf("%s\ngot  %s\nwant %s\n(go test -run SampleVerdicts -update rewrites %s)", name, got[name], want, golden)
		}
	}
	if known < 100 {
		t.Errorf("%s knows %d samples", golden, known)
	}
	if n := len(got) - known; n > 0 {
		t.Logf("%d samples are newer than %s", n, golden)
	}
}

// TestSideBySide: any number of analyses at once give the bytes of one after
// the other.
func TestSideBySide(t *testing.T) {
	var texts [][]byte
	var want []string
	eachSample(t, func(_ string, text []byte) {
		texts = append(texts, text)
		want = append(want, string(Analyze(text, Options{}).AppendJSON(nil)))
	})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i, text := range texts {
				if got := string(Analyze(text, Options{}).AppendJSON(nil)); got != want[i] {
					t.Errorf("sample %d differs:\n%s\n%s", i, got, want[i])
					return
				}
			}
		})
	}
	wg.Wait()
}
