package ndr

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"
)

// shared finds a folder beside the module's root; the test is skipped when it
// is not there.
func shared(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for range 8 {
		if p := filepath.Join(dir, "..", "shared", name); isDir(p) {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				return p
			}
		}
		dir = filepath.Dir(dir)
	}
	t.Skip("no ../shared/" + name)
	return ""
}

func isDir(p string) bool {
	s, err := os.Stat(p)
	return err == nil && s.IsDir()
}

// truthRow is a row of the corpus' truth.
type truthRow struct {
	File      string
	Kind      string
	LineEnds  string `json:"line_ends"`
	Variant   any
	Recipient []string `json:"recipients"`
	Original  []any    `json:"original_recipients"`
	Replies   []struct {
		Recipient      string
		ReplyCode      string `json:"replycode"`
		DeliveryStatus string `json:"deliverystatus"`
	}
	DSN json.RawMessage
}

type dsnTruth struct {
	Recipients []map[string]string `json:"recipients"`
}

// tally counts right answers and keeps the misses.
type tally struct {
	order     []string
	ok, asked map[string]int
	misses    map[string][]string
}

func (s *tally) ask(what string, right bool, miss string) {
	if s.ok == nil {
		s.ok, s.asked, s.misses = map[string]int{}, map[string]int{}, map[string][]string{}
	}
	if s.asked[what] == 0 {
		s.order = append(s.order, what)
	}
	s.asked[what]++
	if right {
		s.ok[what]++
	} else {
		s.misses[what] = append(s.misses[what], miss)
	}
}

// check prints the figures and holds them to their floors, in percent.
func (s *tally) check(t *testing.T, floors map[string]float64) {
	t.Helper()
	for _, what := range s.order {
		percent := 100 * float64(s.ok[what]) / float64(s.asked[what])
		t.Logf("%-28s %4d/%-4d %6.2f %%", what, s.ok[what], s.asked[what], percent)
		for _, m := range s.misses[what] {
			t.Logf("    miss %s: %s", what, m)
		}
		if floor, ok := floors[what]; ok && percent < floor {
			t.Errorf("%s: %.2f %% is below %.1f %%", what, percent, floor)
		}
	}
}

var (
	comments = regexp.MustCompile(`\(.*?\)`)
	mtaType  = regexp.MustCompile(`(?i)^\s*[a-z0-9-]+\s*;`)
	fiveXX   = regexp.MustCompile(`\b5\d\d\b`)
)

// truthHost is how the corpus says that hosts are compared.
func truthHost(h string) string {
	h = mtaType.ReplaceAllString(comments.ReplaceAllString(h, ""), "")
	h = strings.ToLower(strings.TrimRight(strings.Trim(strings.TrimSpace(h), "[]<>"), "."))
	if f := strings.Fields(h); len(f) > 0 {
		return strings.TrimRight(f[0], ".")
	}
	return ""
}

// harmless is what the judge will make of a case: no failure in it.
func harmless(c *Case) bool {
	switch c.Nature {
	case NatureAutoreply, NatureComplaint, NatureReceipt, NatureCalendar, NatureOther:
		return true
	}
	for i := range c.Items {
		if a := c.Items[i].Action; a == ActionFailed || a == ActionUnstated {
			return false
		}
	}
	return len(c.Items) > 0
}

func scoreCorpus(t *testing.T, folder string, paste bool) *tally {
	t.Helper()
	var s tally
	f, err := os.Open(filepath.Join(folder, "truth.jsonl"))
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var row truthRow
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		input, err := os.ReadFile(filepath.Join(folder, row.File))
		if err != nil {
			t.Fatal(err)
		}
		cases := Read(input)
		checkCases(t, input, cases)
		name := filepath.Base(row.File)
		if row.Variant != nil {
			name += " " + row.LineEnds
		}
		var items []*Item
		calm := true
		natures := make([]string, 0, 2)
		for i := range cases {
			calm = calm && harmless(&cases[i])
			natures = append(natures, string(cases[i].Nature)+"/"+cases[i].Format)
			for k := range cases[i].Items {
				items = append(items, &cases[i].Items[k])
			}
		}
		if row.Kind != "bounce" {
			s.ask("harmless", calm, name+": "+row.Kind+" read as "+strings.Join(natures, " "))
			continue
		}
		s.ask("a failure", len(items) > 0 && !calm, name+": read as "+strings.Join(natures, " "))
		if len(row.Recipient) > 0 {
			have := map[string]bool{}
			for _, it := range items {
				if it.Recipient != "" {
					have[it.Recipient] = true
				}
			}
			s.ask("recipient set", sameRecipients(have, row), name+": want "+strings.Join(row.Recipient, " ")+", got "+keys(have)+" ("+strings.Join(natures, " ")+")")
		}
		for _, rep := range row.Replies {
			mine := []*Item{}
			for _, it := range items {
				if it.Recipient == strings.ToLower(rep.Recipient) {
					mine = append(mine, it)
				}
			}
			if len(mine) == 0 {
				mine = items
			}
			if rep.ReplyCode != "" {
				ok, got := false, ""
				for _, it := range mine {
					code := it.Reply.Code
					if it.Reply.IsZero() {
						code = it.LocalReply.Code
					}
					got += " " + strconv.Itoa(code)
					ok = ok || strconv.Itoa(code) == rep.ReplyCode
				}
				s.ask("reply code", ok, name+": want "+rep.ReplyCode+", got"+got)
			}
			if rep.DeliveryStatus != "" {
				ok, got := false, ""
				for _, it := range mine {
					e := it.Reply.Enhanced
					if it.Reply.IsZero() {
						e = it.LocalReply.Enhanced
					}
					e = firstOf(e, it.Status)
					got += " " + e
					ok = ok || e == rep.DeliveryStatus
				}
				s.ask("enhanced code", ok, name+": want "+rep.DeliveryStatus+", got"+got)
			}
		}
		if paste {
			continue
		}
		var dsn dsnTruth
		if json.Unmarshal(row.DSN, &dsn) != nil {
			continue
		}
		for _, d := range dsn.Recipients {
			remote, diag := truthHost(d["Remote-MTA"]), d["Diagnostic-Code"]
			if remote == "" || !strings.Contains(strings.ToLower(d["Action"]), "fail") || !fiveXX.MatchString(diag) || !strings.HasPrefix(strings.ToLower(strings.TrimSpace(diag)), "smtp") {
				continue
			}
			ok, got := false, ""
			for _, it := range items {
				h := firstOf(it.Refuser.Host, it.Refuser.Address)
				got += " " + h
				ok = ok || h == remote
			}
			s.ask("Remote-MTA is the refuser", ok, name+": want "+remote+", got"+got+" ("+strings.Join(natures, " ")+")")
		}
	}
	return &s
}

// sameRecipients compares sets; naming the original recipient is not wrong.
func sameRecipients(have map[string]bool, row truthRow) bool {
	want, alt := map[string]bool{}, map[string]bool{}
	for _, r := range row.Recipient {
		want[r] = true
	}
	for _, r := range row.Original {
		if a, ok := r.(string); ok {
			alt[strings.ToLower(a)] = true
		}
	}
	if len(have) != len(want) {
		return false
	}
	for r := range have {
		if !want[r] && !alt[r] {
			return false
		}
	}
	return true
}

func keys(m map[string]bool) string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	sort.Strings(all)
	return strings.Join(all, " ")
}

// checkCases holds what every reading must keep: a span with a place lies in
// the input, and its quote stands there.
func checkCases(t testing.TB, input []byte, cases []Case) {
	t.Helper()
	doc := Prepare(input)
	check := func(m *Mention) {
		if m.Span.IsZero() {
			return
		}
		if m.Span.Offset < 0 || m.Span.End > len(doc.Input()) || m.Span.Offset > m.Span.End {
			t.Fatalf("span %+v of %s lies outside", m.Span, m.Host)
		}
		q := doc.Input()[m.Span.Offset:m.Span.End]
		joined := bytes.ReplaceAll(bytes.ReplaceAll(bytes.ToLower(q), []byte("[.]"), []byte(".")), []byte(" "), nil)
		if m.Host != "" && !bytes.Contains(joined, []byte(m.Host)) && isPlain(q) && !bytes.Contains(input, []byte("base64")) && m.Role != Received && !strings.HasPrefix(m.Host, "xn--") {
			t.Errorf("quote %q of %s %s", q, m.Role, m.Host)
		}
	}
	for i := range cases {
		for k := range cases[i].Items {
			it := &cases[i].Items[k]
			for e := range it.Evidence {
				check(&it.Evidence[e])
			}
		}
	}
}

// isPlain reports whether nothing had to be undone in a quote.
func isPlain(q []byte) bool {
	return !bytes.ContainsAny(q, "=&<\\\r\n\x00") && !hasHigh(q)
}

func TestCorpus(t *testing.T) {
	s := scoreCorpus(t, shared(t, "corpus"), false)
	s.check(t, map[string]float64{
		"recipient set": 99, "Remote-MTA is the refuser": 99, "reply code": 98, "enhanced code": 98, "harmless": 100, "a failure": 99,
	})
}

func TestCorpusPaste(t *testing.T) {
	s := scoreCorpus(t, filepath.Join(shared(t, "corpus"), "paste"), true)
	s.check(t, map[string]float64{"recipient set": 92})
}
