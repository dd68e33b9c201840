package analyze

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sharedDir finds a folder of ../shared beside the module, where labelled cases
// and real mails lie on the machines that have them.
func sharedDir(t testing.TB, name string) string {
	t.Helper()
	dir := filepath.Join("..", "..", "shared", name)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no %s beside the module", name)
	}
	return dir
}

// label is a row of the manifest of the labelled cases.
type label struct {
	File      string `json:"file"`
	Verdict   string `json:"verdict"`
	Stage     string `json:"stage"`
	Party     string `json:"party"`
	Direction string `json:"direction"`
	Recipient string `json:"recipient"`
	ReplyCode int    `json:"reply_code"`
	RefusedBy string `json:"refused_by"`
	Outcomes  []label
	Why       string `json:"why"`
}

func (l *label) fits(o *Outcome) bool {
	return string(o.Verdict) == l.Verdict && o.Stage == l.Stage && string(o.Party) == l.Party && string(o.Direction) == l.Direction &&
		(l.Recipient == "" || l.Recipient == o.Recipient) && (l.ReplyCode == 0 || l.ReplyCode == o.Reply.Code) &&
		(l.RefusedBy == "" || l.RefusedBy == o.RefusedBy)
}

// TestLabelledCases judges every labelled case and compares all that its label
// says. Each quote must stand in the file where the report says it does.
func TestLabelledCases(t *testing.T) {
	dir := sharedDir(t, "cases")
	raw, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var labels []label
	if err := json.Unmarshal(raw, &labels); err != nil {
		t.Fatal(err)
	}
	schema := loadSchema(t)
	right := 0
	for _, l := range labels {
		text, err := os.ReadFile(filepath.Join(dir, l.File))
		if err != nil {
			t.Fatal(err)
		}
		r := Analyze(text, Options{Source: l.File})
		for _, w := range schema.validate(r.AppendJSON(nil)) {
			t.Errorf("%s: %s", l.File, w)
		}
		checkPlaces(t, l.File, string(text), r)
		want := l.Outcomes
		if want == nil {
			want = []label{l}
		}
		ok := string(r.Verdict.Code) == l.Verdict && len(r.Outcomes) == len(want)
		for i := range want {
			ok = ok && i < len(r.Outcomes) && want[i].fits(&r.Outcomes[i])
		}
		if ok {
			right++
			continue
		}
		t.Errorf("%s: %s\nheadline %s: %s", l.File, l.Why, r.Verdict.Code, r.Verdict.Headline)
		for i := range want {
			w := &want[i]
			t.Logf("  want %s/%s %s %s %q %d by %q", w.Verdict, w.Stage, w.Party, w.Direction, w.Recipient, w.ReplyCode, w.RefusedBy)
		}
		for i := range r.Outcomes {
			o := &r.Outcomes[i]
			t.Logf("  got  %s/%s %s %s %q %d by %q", o.Verdict, o.Stage, o.Party, o.Direction, o.Recipient, o.Reply.Code, o.RefusedBy)
		}
	}
	t.Logf("%d of %d cases are right in every field", right, len(labels))
}

// checkPlaces: every quote of an analysis stands in the input at its line and
// column.
func checkPlaces(t *testing.T, name, text string, r *Report) {
	t.Helper()
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	check := func(e Evidence) {
		if e.Port != 0 {
			return // a line of a probe's transcript
		}
		if e.Line < 1 || e.Line > len(lines) {
			t.Errorf("%s: %q is said to be in line %d of %d", name, e.Quote, e.Line, len(lines))
			return
		}
		runes := []rune(lines[e.Line-1])
		if e.Column < 1 || e.Column > len(runes)+1 {
			t.Errorf("%s: %q is said to be in column %d of line %d", name, e.Quote, e.Column, e.Line)
			return
		}
		from := string(runes[e.Column-1:]) + "\n" + strings.Join(lines[e.Line:], "\n")
		if !strings.HasPrefix(from, strings.ReplaceAll(e.Quote, "\r\n", "\n")) {
			t.Errorf("%s: %q does not stand in line %d, column %d", name, e.Quote, e.Line, e.Column)
		}
	}
	for i := range r.Outcomes {
		for _, e := range r.Outcomes[i].Evidence {
			check(e)
		}
	}
	for i := range r.Findings {
		for _, e := range r.Findings[i].Evidence {
			check(e)
		}
	}
}

// TestLabelsAreComplete guards the reader of the manifest itself.
func TestLabelsAreComplete(t *testing.T) {
	l := label{Verdict: "refused", Stage: "envelope", Party: "relay-config", Direction: "outbound"}
	o := Outcome{Verdict: Refused, Stage: "envelope", Party: RelayConfig, Direction: Outbound}
	if !l.fits(&o) {
		t.Error("an equal outcome does not fit")
	}
	for _, change := range []func(*Outcome){
		func(o *Outcome) { o.Verdict = Deferred },
		func(o *Outcome) { o.Stage = "data" },
		func(o *Outcome) { o.Party = Network },
		func(o *Outcome) { o.Direction = Inbound },
	} {
		other := o
		change(&other)
		if l.fits(&other) {
			t.Errorf("%+v fits", other)
		}
	}
	if !slices.Contains(allVerdicts, o.Verdict) {
		t.Error("refused is no verdict")
	}
}
