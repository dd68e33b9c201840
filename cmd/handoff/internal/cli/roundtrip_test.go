package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/probe/relay"
)

// faultArguments are those of the faults that need one.
var faultArguments = map[string][]string{
	"slow":         {"6s"},
	"tarpit":       {"200ms"},
	"reset-at":     {"EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "."},
	"port-refused": {"", "25", "587"},
	"dns-broken":   {"servfail", "timeout"},
}

// probesOfTheRelay are the presets of the bundled relay, its faults and what a
// probe may be asked beside them.
func probesOfTheRelay() [][]string {
	all := [][]string{
		nil,
		{"--intent", "server"},
		{"--intent", "both"},
		{"--stop-after", "tls"},
		{"--stop-after", "auth"},
		{"--send"},
		{"--ports", "25"},
		{"--ports", "587"},
		{"--from", "nobody@customer.example", "--from", "alerts@customer.example", "--to", "bob@recipient.example", "--to", "eve@recipient.example"},
		{"--scenario", "banner-silent", "--timeout", "2s"},
		{"--scenario", "tls-hang", "--deadline", "7s"},
		{"--scenario", "tarpit 300ms", "--deadline", "20s"},
	}
	for _, s := range relay.Scenarios() {
		all = append(all, []string{"--scenario", s.Name})
		if s.Deliver {
			all = append(all, []string{"--scenario", s.Name, "--send"})
		}
	}
	for _, k := range policy.FaultKinds() {
		arguments := faultArguments[k.Name]
		if arguments == nil {
			arguments = []string{""}
		}
		for _, a := range arguments {
			all = append(all, []string{"--scenario", strings.TrimSpace(k.Name + " " + a), "--send"})
		}
	}
	return all
}

// run runs a command in process and returns what it prints.
func run(t *testing.T, args ...string) []byte {
	t.Helper()
	var out, errs bytes.Buffer
	p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: func(string) string { return "" }, now: time.Now}
	if code := p.main(t.Context(), args); code > exitInconclusive {
		t.Fatalf("%q: exit code %d\n%s", args, code, errs.String())
	}
	return out.Bytes()
}

// TestSavedTranscriptSaysWhatTheProbeSaid: whatever the relay does, the saved
// transcript, and the JSON, of a probe are judged as the probe was.
func TestSavedTranscriptSaysWhatTheProbeSaid(t *testing.T) {
	// The loop that hands out signals belongs to the process, not to a bubble.
	hear := make(chan os.Signal, 1)
	signal.Notify(hear, os.Interrupt)
	defer signal.Stop(hear)
	dir := t.TempDir()
	for _, more := range probesOfTheRelay() {
		t.Run(strings.Join(more, " "), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				saved, report := filepath.Join(dir, "saved.txt"), filepath.Join(dir, "report.json")
				run(t, append([]string{"probe", "--bundled", "-q", "-o", "json", "--output", report, "--transcript", saved}, more...)...)
				want := readReport(t, readFile(t, report))
				for _, s := range want.Sessions {
					for _, c := range s.Causes {
						// The probe chose the port: no setting is wrong for it.
						if c.ID == "wrong-port" && s.Port == 25 && want.Intent == analyze.IntentAuth || strings.Contains(c.Fits, "only together") {
							t.Errorf("port %d: %s, %s", s.Port, c.ID, c.Fits)
						}
					}
				}
				again := readReport(t, run(t, "analyze", "-o", "json", report))
				compareReports(t, "its JSON", want, again)
				got := readReport(t, run(t, "analyze", "-o", "json", saved))
				compareReports(t, "its transcript", want, got)
				text := string(readFile(t, saved))
				for _, o := range got.Outcomes {
					checkQuotes(t, text, o.Evidence)
					if len(o.Evidence) == 0 && o.Verdict != analyze.InsufficientEvidence {
						t.Errorf("%s at %s without evidence", o.Verdict, o.Stage)
					}
				}
				for _, f := range got.Findings {
					checkQuotes(t, text, f.Evidence)
				}
			})
		})
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readReport(t *testing.T, doc []byte) *analyze.Report {
	t.Helper()
	r := new(analyze.Report)
	if err := json.Unmarshal(doc, r); err != nil {
		t.Fatalf("%v\n%s", err, doc)
	}
	return r
}

// compareReports compares what a probe said with what its record says.
func compareReports(t *testing.T, of string, want, got *analyze.Report) {
	t.Helper()
	if got.Verdict != want.Verdict {
		t.Errorf("%s says\n%+v\nand the probe said\n%+v", of, got.Verdict, want.Verdict)
	}
	if got.Target != want.Target || got.Intent != want.Intent || got.Partial != want.Partial {
		t.Errorf("%s is of %s, %s, %v; the probe of %s, %s, %v", of, got.Target, got.Intent, got.Partial, want.Target, want.Intent, want.Partial)
	}
	if got.Planned == nil || got.Planned.Credential != want.Planned.Credential || got.Planned.LoginSender != want.Planned.LoginSender ||
		got.Planned.StopAfter != want.Planned.StopAfter || !slices.Equal(got.Planned.From, want.Planned.From) || !slices.Equal(got.Planned.To, want.Planned.To) {
		t.Errorf("%s has the plan\n%+v\nand the probe had\n%+v", of, got.Planned, want.Planned)
	}
	if !slices.Equal(got.Causes, want.Causes) {
		t.Errorf("%s has the causes\n%+v\nand the probe had\n%+v", of, got.Causes, want.Causes)
	}
	if g, w := tests(got), tests(want); g != w {
		t.Errorf("%s asks for\n%s\nand the probe for\n%s", of, g, w)
	}
	if len(got.Sessions) != len(want.Sessions) {
		t.Fatalf("%s has %d sessions, the probe had %d", of, len(got.Sessions), len(want.Sessions))
	}
	for i := range want.Sessions {
		g, w := &got.Sessions[i], &want.Sessions[i]
		if g.Port != w.Port || g.Verdict != w.Verdict || g.Stage != w.Stage || g.Party != w.Party || g.Expected != w.Expected || !slices.Equal(g.Causes, w.Causes) {
			t.Errorf("%s: port %d is %s at %s, %s, expected %v, %+v; was port %d, %s at %s, %s, expected %v, %+v", of,
				g.Port, g.Verdict, g.Stage, g.Party, g.Expected, g.Causes, w.Port, w.Verdict, w.Stage, w.Party, w.Expected, w.Causes)
		}
	}
	if len(got.Outcomes) != 1 || got.Outcomes[0].Verdict != want.Verdict.Code || !slices.Equal(got.Outcomes[0].Causes, append([]analyze.Cause{}, want.Causes...)) {
		t.Errorf("%s has the outcomes %+v", of, got.Outcomes)
	}
	if g, w := findings(got), findings(want); g != w {
		t.Errorf("%s finds\n%s\nand the probe found\n%s", of, g, w)
	}
}

func tests(r *analyze.Report) string {
	var all []string
	for _, t := range r.NextTests {
		all = append(all, t.ID+" "+t.Do+" "+t.Who+" "+strings.Join(t.Separates, " "))
	}
	return strings.Join(all, "\n")
}

func findings(r *analyze.Report) string {
	var all []string
	for _, f := range r.Findings {
		all = append(all, f.ID+" "+string(f.Severity)+" "+f.Title+" "+f.Why)
	}
	return strings.Join(all, "\n")
}

// checkQuotes holds evidence against the text that it was taken from.
func checkQuotes(t *testing.T, text string, evidence []analyze.Evidence) {
	t.Helper()
	lines := strings.Split(text, "\n")
	for _, e := range evidence {
		first, _, _ := strings.Cut(e.Quote, "\n")
		if e.Port != 0 || e.Line < 1 || e.Line > len(lines) || !strings.Contains(text, e.Quote) || !strings.HasPrefix(string([]rune(lines[e.Line-1])[e.Column-1:]), first) {
			t.Errorf("%+v is no place of the text", e)
		}
	}
}
