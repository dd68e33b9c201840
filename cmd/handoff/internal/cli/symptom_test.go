package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/tui"
	"github.com/smtp-handoff/handoff/probe"
)

// symptomsOf are, for causes, the symptoms that people would tell of them.
var symptomsOf = []struct{ cause, symptom string }{
	{"credential-wrong", "login-refused"},
	{"credential-not-live", "login-refused"},
	{"credential-wrong", "relay-refused"},
	{"wrong-port", "address-refused"},
	{"sender-not-registered", "address-refused"},
	{"sender-domain-inactive", "address-refused"},
	{"force-auth", "address-refused"},
	{"message-too-big", "message-refused"},
	{"ip-blocked", "greeting-refused"},
	{"relay-busy", "put-off"},
	{"certificate-expired", "tls-fails"},
	{"starttls-missing", "tls-fails"},
	{"port-25-blocked", "no-connection"},
	{"connection-refused", "no-connection"},
	{"smarthost-typo", "name-not-found"},
	{"dns-failure", "name-not-found"},
	{"silent-server", "no-greeting"},
	{"not-handed-off", "stopped-before"},
}

// Every symptom is the beginning of something, and the true cause is in it.
func TestSymptoms(t *testing.T) {
	b, _ := behind(t)
	for _, x := range b.Symptoms() {
		g := b.Diagnose([]tui.Told{{Symptom: x.ID}})
		if len(g.Causes) == 0 || len(g.Causes) > 1 && g.Test == nil {
			t.Errorf("%s: %d causes, next test %v", x.ID, len(g.Causes), g.Test)
		}
		if !slices.ContainsFunc(symptomsOf, func(c struct{ cause, symptom string }) bool { return c.symptom == x.ID }) {
			t.Errorf("no cause is looked for in %s", x.ID)
		}
		if len(x.Words) > 72 {
			t.Errorf("%s: %d characters are more than a row", x.ID, len(x.Words))
		}
	}
	for _, c := range symptomsOf {
		g := b.Diagnose([]tui.Told{{Symptom: c.symptom}})
		if !slices.ContainsFunc(g.Causes, func(x analyze.Cause) bool { return x.ID == c.cause }) {
			t.Errorf("%s is not among the causes of %s", c.cause, c.symptom)
		}
	}
}

// From nothing, whoever answers truly ends with the true cause: the answers here
// are those that a cause predicts, read off the tests themselves.
func TestDiagnosisFromNothing(t *testing.T) {
	b, _ := behind(t)
	for _, c := range symptomsOf {
		told := []tui.Told{{Symptom: c.symptom}}
		for range maxQuestions {
			g := b.Diagnose(told)
			if g.Test == nil {
				break
			}
			shown := ""
			for _, x := range g.Test.Shows {
				if slices.Contains(x.Causes, c.cause) {
					shown = x.Show
					break
				}
			}
			told = append(told, tui.Told{Test: g.Test.ID, Shown: shown})
		}
		g := b.Diagnose(told)
		found := slices.ContainsFunc(g.Causes, func(x analyze.Cause) bool { return x.ID == c.cause })
		if g.Test != nil || !found || len(g.Causes) > 3 {
			t.Errorf("%s from %s ends with %d causes, it is among them: %v; told %v", c.cause, c.symptom, len(g.Causes), found, told)
		}
		for i, s := range g.Steps {
			if s.Words == "" || s.After > s.Before && s.Before > 0 {
				t.Errorf("%s: step %d is %+v", c.cause, i, s)
			}
		}
		if rep := g.Run.Report; rep == nil || rep.Diagnosis == nil || len(rep.Diagnosis.Tried) == 0 || rep.Verdict.Next == "" {
			t.Errorf("%s: the ticket holds no way: %+v", c.cause, rep)
		}
		if text := b.Markdown(g.Run, true); !strings.Contains(text, c.cause) || !strings.Contains(text, "Tests made") {
			t.Errorf("%s: the ticket:\n%s", c.cause, text)
		}
	}
}

// Telling all anew gives what telling one by one gave: nothing depends on when
// something was told, and an answer that fits nothing is left out with a word.
func TestDiagnosisToldAnew(t *testing.T) {
	b, _ := behind(t)
	told := []tui.Told{{Symptom: "login-refused"}, {Test: "read-encryption", Shown: "STARTTLS"}, {Test: "read-port"}, {Test: "read-encryption", Shown: "none"}}
	g := b.Diagnose(told)
	if g.Steps[1].After >= g.Steps[1].Before || g.Steps[2].Note == "" && g.Steps[2].After != g.Steps[2].Before || g.Steps[3].Note == "" {
		t.Errorf("steps %+v", g.Steps)
	}
	again := b.Diagnose(told)
	if string(g.Run.Report.AppendJSON(nil)) != string(again.Run.Report.AppendJSON(nil)) {
		t.Error("the same answers give another report")
	}
}

// What a probe saw outranks what somebody remembers, whichever is told first, and
// the report that was taken in stays as it was.
func TestDiagnosisSymptomBesideAProbe(t *testing.T) {
	b, _ := behind(t)
	if err := b.RelaySet([]string{"wrong-password"}); err != nil {
		t.Fatal(err)
	}
	run := probeBundled(t, b)
	before := string(run.Report.AppendJSON(nil))
	want := b.Diagnose([]tui.Told{{Run: &run}})
	if len(want.Causes) == 0 {
		t.Fatal("nothing explains a login that was refused")
	}
	for _, told := range [][]tui.Told{
		{{Symptom: "name-not-found"}, {Run: &run}},
		{{Run: &run}, {Symptom: "name-not-found"}},
		{{Symptom: "login-refused"}, {Run: &run}},
	} {
		g := b.Diagnose(told)
		if len(g.Causes) != len(want.Causes) || g.Run.Report.Kind != "probe" {
			t.Errorf("%v: %d causes of a %s, want %d of the probe", told[0].Symptom, len(g.Causes), g.Run.Report.Kind, len(want.Causes))
		}
	}
	if after := string(run.Report.AppendJSON(nil)); after != before {
		t.Error("the report of the probe was changed")
	}
}

// A try is made against the relay that was seen, is bounded, says why it cannot be
// made, and what it showed narrows the causes.
func TestTryFromTheScreens(t *testing.T) {
	b, _ := behind(t)
	form := tui.Form{Bundled: true, Port25: true, Port587: true, Intent: analyze.IntentAuth, StopAfter: "envelope"}
	nothing := func(probe.Event) {}
	for _, c := range []struct {
		told []tui.Told
		form tui.Form
		want string
	}{
		{[]tui.Told{{Symptom: "login-refused"}}, form, "stands at the bundled relay"},
		{[]tui.Told{{Symptom: "login-refused"}}, tui.Form{Host: "localhost", Port587: true, Intent: analyze.IntentAuth, StopAfter: "envelope"}, "something to look at"},
	} {
		if got, err := b.Try(t.Context(), c.told, c.form, nothing); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("told %+v, error %v; want %q", got, err, c.want)
		}
	}
	if err := b.RelaySet([]string{"user-not-live"}); err != nil {
		t.Fatal(err)
	}
	run := probeBundled(t, b)
	told := []tui.Told{{Run: &run}}
	elsewhere := form
	elsewhere.Bundled, elsewhere.Host = false, "localhost"
	if _, err := b.Try(t.Context(), told, elsewhere, nothing); err == nil || !strings.Contains(err.Error(), "another relay") {
		t.Errorf("a try at another relay: %v", err)
	}
	tries := 0
	for range maxQuestions {
		g := b.Diagnose(told)
		if g.Test == nil {
			break
		}
		events := 0
		made, err := b.Try(t.Context(), told, form, func(probe.Event) { events++ })
		if err != nil {
			told = append(told, tui.Told{Test: g.Test.ID})
			continue
		}
		tries++
		if made.Test != g.Test.ID || made.By != "handoff" || made.Run != nil && (events == 0 || made.Run.Form.Password != "") {
			t.Errorf("made %+v of %s with %d events", made, g.Test.ID, events)
		}
		told = append(told, made)
		after := b.Diagnose(told)
		if last := after.Steps[len(after.Steps)-1]; made.Seen != nil && (last.Note != "" || last.After > last.Before) {
			t.Errorf("%s was made and not taken: %+v", made.Test, last)
		}
	}
	g := b.Diagnose(told)
	if !slices.ContainsFunc(g.Causes, func(x analyze.Cause) bool { return x.ID == "user-not-live" }) {
		t.Errorf("the true cause is ruled out after %d tries: %+v", tries, g.Causes)
	}
	if tries == 0 {
		t.Error("no test was made from here")
	}
}

// The command takes a symptom in place of a text, and asks for it where somebody
// can answer.
func TestDiagnoseSeen(t *testing.T) {
	var out bytes.Buffer
	p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: io.Discard, getenv: func(string) string { return "" }, now: time.Now}
	p.flags = common{format: string(report.JSON), color: "never", redact: "standard"}
	var asked bytes.Buffer
	p.stderr = &asked
	s := &diagnosis{p: p, ask: true, in: bufio.NewReader(strings.NewReader("99\n2\n\n\n\n\n\n\n\n\n\n\n"))}
	if s.told = s.askSymptom(); s.told == nil || s.told.id != "login-refused" {
		t.Fatalf("told %+v", s.told)
	}
	if !strings.Contains(asked.String(), "a number from 1 to") || !strings.Contains(asked.String(), "  2  the login is refused") {
		t.Errorf("the question:\n%s", asked.String())
	}
	if err := s.run(t.Context(), nil); exitCodeOf(err) != exitProblem {
		t.Fatal(err)
	}
	var r analyze.Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Code != analyze.Refused || len(r.Causes) < 5 || len(r.NextTests) == 0 || r.Diagnosis == nil || r.Diagnosis.Tried[0].Test != "symptom" {
		t.Errorf("report %+v", r)
	}
}
