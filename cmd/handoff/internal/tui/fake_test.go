package tui

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe"
)

var testNow = time.Date(2026, 11, 24, 10, 41, 0, 0, time.UTC)

// fake is a backend that answers at once and remembers what it was asked.
type fake struct {
	mu       sync.Mutex
	probed   []Form
	tried    []Form // of a diagnosis
	analyzed []string
	relay    Relay
	said     []string // changes and statements
	saved    []string // labels and passwords
	runs     []Run
	report   *analyze.Report // of an analysis
	probes   *analyze.Report // of a probe
	copies   []string
	tickets  []string
	fail     error
	judge    func(text []byte, source string) Run // nil: the report above
}

func (f *fake) Probe(_ context.Context, form Form, observe func(probe.Event)) (Run, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.probed = append(f.probed, form)
	observe(probe.Event{Port: 587, Exchange: transcript.Exchange{Stage: transcript.StageConnect}})
	form.Password = ""
	return Run{Report: f.probes, Took: 1900 * time.Millisecond, When: testNow, Form: form, Sessions: sampleSessions}, f.fail
}

func (f *fake) Analyze(_ context.Context, text []byte, source string) (Run, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.analyzed = append(f.analyzed, string(text))
	if f.judge != nil {
		return f.judge(text, source), f.fail
	}
	return Run{Report: f.report, Text: string(text), When: testNow, Took: 4 * time.Millisecond}, f.fail
}

func (f *fake) AnalyzePath(_ context.Context, path string, each func(Run)) error {
	if path == "nothing" {
		return errors.New("no such file: nothing")
	}
	for i := range 30 {
		r := *f.report
		r.Verdict.Code = []analyze.Verdict{analyze.Refused, analyze.NeverReached}[i%2]
		r.Input = &analyze.Input{Source: fmt.Sprintf("%s/%02d.eml", path, i), Format: "postfix-dsn"}
		each(Run{Report: &r, When: testNow, Text: "text"})
	}
	return nil
}

// guideCauses and guideTests are a small catalogue of the fake's own.
var (
	guideCauses = []analyze.Cause{
		{ID: "wrong-port", Fits: "SMTP AUTH in mind, and port 25 in the settings", Fix: "Set port 587 with STARTTLS.", Who: analyze.SenderSystem, Source: "article A12"},
		{ID: "credential-wrong", Fits: "the password does not fit", Fix: "Enter the password again.", Who: analyze.SenderSystem, Source: "article A5"},
		{ID: "credential-not-live", Fits: "the pair is right and not active yet", Fix: "Wait up to 60 minutes.", Who: analyze.RelayConfig, Source: "article A4"},
		{ID: "sender-not-registered", Fits: "the sender is no user", Fix: "Register the sender.", Who: analyze.RelayConfig, Source: "article A16"},
	}
	guideTests = []analyze.CatalogueTest{
		{NextTest: analyze.NextTest{ID: "read-port", Do: "read the port in the sending system's settings or log", Who: "sender-system", Cost: "seconds", Shows: []analyze.Showing{
			{Show: "port 25", Causes: []string{"wrong-port"}},
			{Show: "port 587", Causes: []string{"credential-wrong", "credential-not-live", "sender-not-registered"}},
		}}},
		{NextTest: analyze.NextTest{ID: "probe-587", Do: "try port 587 with STARTTLS and the credential: handoff probe HOST --ports 587 --user U --from S --to R", Who: "sender-system", Cost: "minutes", Shows: []analyze.Showing{
			{Show: "535 5.7.8 Error: authentication failed", Causes: []string{"credential-wrong", "credential-not-live"}},
			{Show: "554 5.7.1 <desk@partner.example>: Relay access denied", Causes: []string{"sender-not-registered"}},
		}}, Probe: &analyze.TestProbe{Port: 587, Auth: true}},
		{NextTest: analyze.NextTest{ID: "look-credentials", Do: "look under Domains > SMTP Authentication whether a credential with this user name is there, and since when", Who: "relay-config", Cost: "a minute", Shows: []analyze.Showing{
			{Show: "it is there, for less than an hour", Causes: []string{"credential-not-live"}},
			{Show: "it is there", Causes: []string{"credential-wrong"}},
		}}},
	}
)

func (f *fake) Symptoms() []Symptom {
	return []Symptom{{"login-refused", "the login is refused (535, 530, 534)"}, {"no-connection", "no connection comes about: it times out, or is refused"}}
}

func (f *fake) Diagnose(told []Told) Guide {
	g := Guide{Causes: guideCauses}
	done := map[string]bool{}
	rep := sample()
	for _, t := range told {
		before := len(g.Causes)
		step := GuideStep{Words: t.Test + ": " + cmp.Or(t.Shown, "not known"), Before: before, Note: t.Note}
		switch {
		case t.Symptom != "":
			step.Words = "told " + t.Symptom
		case t.Test == "":
			step.Words = "read " + t.Run.Report.Verdict.Headline
			rep = t.Run.Report
		}
		done[t.Test] = true
		for _, x := range guideTests {
			for _, show := range x.Shows {
				if x.ID != t.Test || show.Show != t.Shown {
					continue
				}
				var left []analyze.Cause
				for _, c := range g.Causes {
					if slices.Contains(show.Causes, c.ID) {
						left = append(left, c)
					}
				}
				if len(left) == 0 {
					step.Note = "nothing that is left predicts that"
				} else {
					g.Causes = left
				}
			}
		}
		step.After = len(g.Causes)
		g.Steps = append(g.Steps, step)
	}
	g.Sets = len(g.Causes)
	for i := range guideTests {
		if !done[guideTests[i].ID] && len(g.Causes) > 1 {
			g.Test = &guideTests[i]
			break
		}
	}
	concluded := *rep
	concluded.Causes = g.Causes
	g.Run = Run{Report: &concluded, When: testNow}
	return g
}

func (f *fake) Try(_ context.Context, told []Told, form Form, observe func(probe.Event)) (Told, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tried = append(f.tried, form)
	observe(probe.Event{Port: 587, Exchange: transcript.Exchange{Stage: transcript.StageConnect}})
	form.Password = ""
	run := Run{Report: f.probes, When: testNow, Form: form, Sessions: sampleSessions}
	return Told{Test: "probe-587", Shown: "535 5.7.8 Error: authentication failed", By: "handoff", Run: &run, Seen: &analyze.Observation{}}, f.fail
}

func (f *fake) Hops(text string) []Hop {
	if !strings.Contains(text, "Received:") {
		return nil
	}
	return []Hop{{From: "web01.customer.example", By: "mail.customer.example"}, {From: "10.1.2.3", By: "web01.customer.example"}}
}

func (f *fake) Markdown(r Run, strict bool) string {
	rep := r.Report
	text := fmt.Sprintf("### %s strict %v: %d outcomes, %d findings, %d causes, %d tests\n", rep.Verdict.Headline, strict, len(rep.Outcomes), len(rep.Findings), len(rep.Causes), len(rep.NextTests))
	f.tickets = append(f.tickets, text)
	return text
}

func (f *fake) Commands(form Form) []string {
	return []string{"handoff probe " + form.Host + " --user " + form.User + " --password-stdin"}
}

func (f *fake) Export(Run) (string, error) { return "/state/report.md", nil }

func (f *fake) SaveCopy(text string) (string, error) {
	f.copies = append(f.copies, text)
	return "/state/copy.md", nil
}

// healthy is the relay as the fake shows it before anything is changed.
func healthy() Relay {
	return Relay{
		Now: testNow, Username: "smtp-user@customer.example", Password: "shown-once", From: "alerts@customer.example",
		Account: RelayAccount{
			Propagation: time.Hour,
			Credentials: []RelayCredential{
				{ID: "c1", Label: "mail server", Username: "alerts@customer.example", State: "active"},
				{ID: "c2", Label: "printer, second floor", Username: "smtp-abcd2345@customer.example", State: "pending", Until: testNow.Add(59*time.Minute + 12*time.Second)},
			},
			Users: []RelayUser{
				{Address: "alerts@customer.example", Kind: "end_user"},
				{Address: "scans@customer.example", Kind: "functional", Aliases: []string{"copier@customer.example"}, LiveAt: testNow.Add(61 * time.Minute)},
				{Address: "old@customer.example", Kind: "silent_user", Invalid: true},
			},
			Domains: []RelayDomain{{Name: "customer.example", Switches: []RelaySwitch{
				{"inbound", true, "inbound relay"}, {"outbound", true, "outbound relay"}, {"force-auth", false, "Force SMTP AUTH: every mail has to log in on 587 (A10)"},
			}}},
			Servers:  []RelayServer{{What: "198.51.100.0/24"}},
			Warnings: []string{"no user is named smtp-abcd2345@customer.example (A19)"},
		},
		Log: []RelayEntry{
			{
				ID: "1", Port: 25, Client: "127.0.0.1",
				Session: transcript.Session{Exchanges: []transcript.Exchange{{
					Stage: transcript.StageEnvelope, Command: "RCPT TO:<desk@partner.example>",
					Reply: transcript.Reply{Code: 554, Enhanced: "5.7.1", Lines: []string{"554 5.7.1 <desk@partner.example>: Relay access denied"}},
				}}},
				Rules: []string{"P1"}, Cites: []string{"A13: Over port 25 such a client sees \"Relay Access Denied\"."},
			},
			{ID: "2", Port: 587, Client: "127.0.0.1", Login: "alerts@customer.example", Open: true, Decided: -1},
		},
	}
}

func (f *fake) RelayStart() error {
	f.relay.Running, f.relay.Since = true, testNow
	f.relay.Addresses = map[int]string{25: "127.0.0.1:2525", 587: "127.0.0.1:2587"}
	return nil
}

func (f *fake) RelayStop() error {
	f.relay.Running = false
	return nil
}

func (f *fake) RelayState() Relay { return f.relay }

func (f *fake) RelayScenarios() []Scenario {
	return []Scenario{{"wrong-password", "535 for every login"}, {"starttls-stripped", "no STARTTLS in the EHLO of 587"}}
}

func (f *fake) RelaySet(names []string) error {
	f.relay.Presets = names
	return nil
}

func (f *fake) RelayDo(words ...string) error {
	f.said = append(f.said, strings.Join(words, " "))
	if strings.Contains(strings.Join(words, " "), "nonsense") {
		return errors.New("nonsense is no address")
	}
	if words[0] == "clock" {
		f.relay.Now, f.relay.Ahead = f.relay.Now.Add(time.Hour), f.relay.Ahead+time.Hour
	}
	return nil
}

func (f *fake) RelayAsk(st string) (string, error) {
	if strings.HasPrefix(st, "nonsense") {
		return "", errors.New("unknown word nonsense")
	}
	f.said = append(f.said, st)
	return "10m  500\n24h  2500\n", nil
}

func (f *fake) RelayGenerate(label string) (Login, error) {
	if label == "" {
		return Login{}, errors.New("a credential needs a label")
	}
	return Login{"smtp-wxyz6789@customer.example", plantedPassword}, nil
}

func (f *fake) RelaySave(label string, l Login) error {
	f.saved = append(f.saved, label, l.Password)
	f.relay.Account.Credentials = append(f.relay.Account.Credentials, RelayCredential{ID: "c3", Label: label, Username: l.Username, State: "pending", Until: f.relay.Now.Add(time.Hour)})
	return nil
}

func (f *fake) History() []Run { return f.runs }

func (f *fake) Remember(r Run) { f.runs = append([]Run{r}, f.runs...) }

// sample is a report with an outcome, a finding and a next test.
func sample() *analyze.Report {
	return &analyze.Report{
		SchemaVersion: analyze.SchemaVersion, Kind: "analysis",
		Input:   &analyze.Input{Source: "(paste)", Format: "postfix-dsn"},
		Verdict: analyze.Summary{Code: analyze.Refused, Status: analyze.Problem, Headline: "outbound-us1.ppe-hosted.com refused the mail: 554 5.7.1", Confidence: analyze.Certain, Next: "relay-config: probe-587 tells the first two causes apart"},
		Outcomes: []analyze.Outcome{{
			Recipient: "desk@partner.example", Verdict: analyze.Refused, Stage: "envelope", Party: analyze.RelayConfig,
			Direction: analyze.Outbound, Reply: analyze.Reply{Code: 554, Enhanced: "5.7.1", Text: "<desk@partner.example>: Relay access denied"},
			RefusedBy: "outbound-us1.ppe-hosted.com", ReportedBy: "mail.customer.example", Sender: "alerts@customer.example",
			Evidence: []analyze.Evidence{{Line: 2, Column: 30, Quote: "outbound-us1.ppe-hosted.com", Role: "refuser"}},
			Causes: []analyze.Cause{
				{ID: "wrong-port", Fits: "refused at RCPT; port and AUTH not stated", Fix: "set port 587 with STARTTLS", Who: analyze.SenderSystem, Source: "article A12, A13"},
				{ID: "sender-not-registered", Fits: "same reply", Fix: "register the sender", Who: analyze.RelayConfig, Source: "article A16"},
			},
		}},
		Findings:  []analyze.Finding{{ID: "relay-access-denied", Severity: analyze.Error, Title: "the relay refuses to relay", Why: "it was reached, but not by a known sender", Fix: []analyze.Fix{{Who: analyze.RelayConfig, Text: "use 587 with AUTH"}}, Not: []string{"the service's log does not show it"}, Source: "article A13"}},
		NextTests: []analyze.NextTest{{ID: "probe-587", Do: "handoff probe outbound-us1.ppe-hosted.com --ports 587", Separates: []string{"wrong-port", "sender-not-registered"}}},
	}
}

// sampleProbe is a report of a probe whose login was refused.
func sampleProbe() *analyze.Report {
	step := func(stage, command, status string, sent, took float64, code int) analyze.Step {
		st := analyze.Step{Stage: stage, Command: command, Status: status, SentMS: sent, TookMS: took, Secure: sent > 90}
		if code > 0 {
			st.Reply = &analyze.Reply{Code: code, Enhanced: "5.7.1"}
		}
		return st
	}
	young := analyze.Cause{ID: "credential-not-live", Fits: "the credential is right and not active yet", Fix: "Wait up to 60 minutes, then repeat the same login.", Who: analyze.RelayConfig, Source: "article A4"}
	begun := []analyze.Step{
		step("resolve", "", "ok", 0, 12, 0), step("connect", "", "ok", 12, 24, 0), step("greet", "", "ok", 36, 31, 220),
		step("ehlo", "EHLO c", "ok", 67, 18, 250), step("tls", "STARTTLS", "ok", 85, 4, 220), step("tls", "", "ok", 90, 74, 0), step("tls", "EHLO c", "ok", 165, 17, 250),
	}
	return &analyze.Report{
		SchemaVersion: analyze.SchemaVersion, Kind: "probe", Target: "outbound-us1.ppe-hosted.com", Intent: analyze.IntentAuth,
		Verdict:   analyze.Summary{Code: analyze.Refused, Status: analyze.Problem, Headline: "the relay refused the login on 587 (535 5.7.8): check age and spelling", Confidence: analyze.Certain, Next: "relay-config: look-credentials"},
		Causes:    []analyze.Cause{young, {ID: "credential-wrong", Fits: "the password does not fit", Fix: "Enter the password again.", Who: analyze.SenderSystem, Source: "article A5"}},
		Findings:  []analyze.Finding{{ID: "relay-access-denied", Severity: analyze.Info, Expected: true, Title: "the relay refuses to relay on port 25", Why: "SMTP AUTH is served on 587 only", Evidence: []analyze.Evidence{{Line: 4, Column: 6, Quote: "554 5.7.1", Role: "reply", Port: 25}}, Source: "article A13"}},
		NextTests: []analyze.NextTest{{ID: "look-credentials", Do: "look under Domains > SMTP Authentication since when it is there", Who: "relay-config", Cost: "a minute", Separates: []string{"credential-not-live", "credential-wrong"}}},
		Sessions: []analyze.Session{
			{Port: 25, Address: "192.0.2.10", Verdict: analyze.Refused, Stage: "envelope", Expected: true, Steps: append(begun[:7:7],
				step("auth", "", "skipped", 182, 0, 0), step("envelope", "MAIL FROM:<a@b>", "ok", 183, 22, 250), step("envelope", "RCPT TO:<c@d>", "refused", 205, 21, 554), step("envelope", "QUIT", "ok", 226, 3, 221))},
			{Port: 587, Address: "192.0.2.10", Verdict: analyze.Refused, Stage: "auth", Steps: append(begun[:7:7],
				step("auth", "AUTH PLAIN", "refused", 182, 1044, 535), step("envelope", "MAIL FROM:<a@b>", "skipped", 1226, 0, 0))},
		},
	}
}

// sampleSessions are the dialogues behind it, in short.
var sampleSessions = []transcript.Session{
	{Port: 25, Exchanges: []transcript.Exchange{{Stage: transcript.StageEnvelope, Command: "RCPT TO:<c@d>", Secure: true, Reply: transcript.Reply{Code: 554, Enhanced: "5.7.1", Lines: []string{"554 5.7.1 <c@d>: Relay access denied"}}}}},
	{Port: 587, Exchanges: []transcript.Exchange{{Stage: transcript.StageAuth, Command: "AUTH PLAIN [secret-1]", Secure: true, Reply: transcript.Reply{Code: 535, Enhanced: "5.7.8", Lines: []string{"535 5.7.8 Error: authentication failed"}}}}},
}

const pasteText = "This is the mail system at host mail.customer.example.\r<desk@partner.example>: host outbound-us1.ppe-hosted.com[192.0.2.10] said: 554\r    5.7.1 <desk@partner.example>: Relay access denied\r"

// at makes a model of a size with a fake backend.
func at(t *testing.T, w, h int) (*model, *fake) {
	t.Helper()
	f := &fake{report: sample(), probes: sampleProbe(), relay: healthy()}
	m := newModel(t.Context(), Options{Backend: f, Version: "v0", Now: func() time.Time { return testNow }, Environment: []string{"TERM=xterm"}})
	m.after = func(time.Duration, tea.Msg) tea.Cmd { return nil }
	m.Update(tea.WindowSizeMsg{Width: w, Height: h})
	return m, f
}

// press sends keys by their names and runs what they start, to its end.
func press(m *model, keys ...string) {
	for _, k := range keys {
		_, cmd := m.Update(keyMsg(k))
		settle(m, cmd)
	}
}

// settle runs a command and everything that follows from it; the clock stands.
func settle(m *model, cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case nil:
	case tea.BatchMsg:
		for _, c := range msg {
			settle(m, c)
		}
	default:
		_, next := m.Update(msg)
		settle(m, next)
	}
}

func keyMsg(name string) tea.KeyPressMsg {
	named := map[string]rune{
		"enter": tea.KeyEnter, "tab": tea.KeyTab, "esc": tea.KeyEscape, "up": tea.KeyUp, "down": tea.KeyDown,
		"left": tea.KeyLeft, "right": tea.KeyRight, "backspace": tea.KeyBackspace, "pgdown": tea.KeyPgDown,
		"pgup": tea.KeyPgUp, "home": tea.KeyHome, "end": tea.KeyEnd, "f1": tea.KeyF1, "delete": tea.KeyDelete,
	}
	if mod, rest, ok := strings.Cut(name, "+"); ok && rest != "" {
		k := tea.KeyPressMsg{Mod: map[string]tea.KeyMod{"ctrl": tea.ModCtrl, "alt": tea.ModAlt, "shift": tea.ModShift}[mod]}
		if c, ok := named[rest]; ok {
			k.Code = c
		} else {
			k.Code = []rune(rest)[0]
		}
		return k
	}
	if c, ok := named[name]; ok {
		return tea.KeyPressMsg{Code: c}
	}
	if name == "space" {
		return tea.KeyPressMsg{Code: ' ', Text: " "}
	}
	return tea.KeyPressMsg{Code: []rune(name)[0], Text: name}
}

func typeText(m *model, s string) {
	for _, r := range s {
		press(m, string(r))
	}
}

// seen is the screen without colour.
func seen(m *model) string { return ansi.Strip(m.View().Content) }
