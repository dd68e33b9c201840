package tui

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe"
)

// updating reports whether the golden screens are to be rewritten: -update is
// a flag that teatest brings.
func updating() bool { return flag.Lookup("update").Value.String() == "true" }

// The first start: the bundled relay is chosen, one key runs it.
func TestFirstKeyProbesTheBundledRelay(t *testing.T) {
	m, f := at(t, 80, 24)
	press(m, "ctrl+r")
	if len(f.probed) != 1 || !f.probed[0].Bundled || !f.probed[0].Port25 || !f.probed[0].Port587 {
		t.Fatalf("ctrl+r probed %+v, want the bundled relay on both ports", f.probed)
	}
	if s := seen(m); !strings.Contains(s, "VERDICT") {
		t.Errorf("no result on screen:\n%s", s)
	}
}

// The first start tells what one sees, until one runs something or hides it.
func TestWelcome(t *testing.T) {
	first := func() *model {
		m, _ := at(t, 80, 24)
		m.o.First = true
		m.screens[atProbe] = newProbeScreen(m)
		return m
	}
	m := first()
	if s := seen(m); !strings.Contains(s, "WHAT YOU SEE HERE") || !strings.Contains(s, "(*) bundled relay") || !strings.Contains(s, "F1, or ?, explains a screen") {
		t.Errorf("the first screen:\n%s", s)
	}
	press(m, "esc")
	if s := seen(m); strings.Contains(s, "WHAT YOU SEE") || !strings.Contains(s, "bundled relay") {
		t.Errorf("esc does not hide it:\n%s", s)
	}
	m = first()
	press(m, "ctrl+r", "esc")
	if s := seen(m); strings.Contains(s, "WHAT YOU SEE") || !strings.Contains(s, "> Relay") {
		t.Errorf("it comes back after a run:\n%s", s)
	}
	for w := 20; w <= 120; w += 7 {
		for _, l := range welcome(w) {
			if len(l) > 2 && l.width() > max(w, 20) {
				t.Errorf("%d cells: %q", w, plainText([]line{l}))
			}
		}
	}
}

func TestFormFillsTheProbe(t *testing.T) {
	m, f := at(t, 80, 24)
	press(m, "right", "tab") // "a host", then the host field
	typeText(m, "outbound-us1.ppe-hosted.com")
	press(m, "tab", "tab")
	typeText(m, "mail.customer.example")
	press(m, "tab")
	typeText(m, "user")
	press(m, "tab")
	typeText(m, "se?cr1t")
	if s := seen(m); strings.Contains(s, "se?cr1t") || strings.Contains(s, "*******") {
		t.Errorf("the password or its length is on screen:\n%s", s)
	}
	press(m, "tab")
	typeText(m, "20")
	press(m, "tab")
	typeText(m, "alerts@customer.example")
	press(m, "tab")
	typeText(m, "desk@partner.example")
	press(m, "ctrl+r")
	if len(f.probed) != 1 {
		t.Fatalf("probed %d times", len(f.probed))
	}
	want := Form{
		Host: "outbound-us1.ppe-hosted.com", Port25: true, Port587: true, HELO: "mail.customer.example",
		User: "user", Password: "se?cr1t", From: "alerts@customer.example", To: "desk@partner.example",
		Intent: analyze.IntentAuth, StopAfter: transcript.StageEnvelope, MadeAgo: 20 * time.Minute,
	}
	if d := cmp.Diff(want, f.probed[0]); d != "" {
		t.Errorf("form (-want +got):\n%s", d)
	}
	if m.last == nil || m.last.Form.Password != "" {
		t.Error("the password was kept with the run")
	}
}

// A cleared form comes back as it was.
func TestClearedFormComesBack(t *testing.T) {
	m, f := at(t, 80, 24)
	press(m, "right", "tab")
	typeText(m, "outbound-us1.ppe-hosted.com")
	press(m, "ctrl+l")
	if s := seen(m); strings.Contains(s, "ppe-hosted.com") {
		t.Errorf("it is not cleared:\n%s", s)
	}
	press(m, "ctrl+z", "ctrl+r")
	if len(f.probed) != 1 || f.probed[0].Host != "outbound-us1.ppe-hosted.com" {
		t.Errorf("probed %+v", f.probed)
	}
}

// esc cancels a run; what the probe knows by then is shown, and what a run that
// was left behind tells later is not.
func TestCancelKeepsWhatIsKnown(t *testing.T) {
	m, f := at(t, 80, 24)
	_, cmd := m.Update(keyMsg("ctrl+r")) // it runs
	s := m.screens[atProbe].(*probeScreen)
	if s.run == nil || cmd == nil {
		t.Fatal("nothing runs")
	}
	m.Update(stepMsg{s.run.serial, probe.Event{Port: 587, Done: true, Exchange: transcript.Exchange{Stage: transcript.StageGreet, Reply: transcript.Reply{Code: 220}}}})
	if got := seen(m); !strings.Contains(got, "PORT 587") || !strings.Contains(got, "ok       greet") {
		t.Errorf("the running probe:\n%s", got)
	}
	cancelled := false
	s.run.cancel = func() { cancelled = true }
	press(m, "esc")
	if !cancelled {
		t.Fatal("esc cancels nothing")
	}
	f.probes.Partial = true
	m.Update(doneMsg{serial: s.run.serial, run: Run{Report: f.probes, When: testNow}})
	if got := seen(m); !strings.Contains(got, "VERDICT") {
		t.Errorf("what is known is not shown:\n%s", got)
	}
	serial := s.serial
	m.Update(keyMsg("ctrl+r"))
	m.Update(doneMsg{serial: serial, run: Run{Report: sample(), When: testNow}})
	if s.run == nil {
		t.Error("a message of the run before ended this one")
	}
}

// A resize loses neither the selection nor the place in the text.
func TestResizeKeepsSelectionAndScroll(t *testing.T) {
	m, _ := at(t, 80, 24)
	press(m, "alt+2", "ctrl+o", "f", "enter", "down", "down", "down", "down")
	list := m.screens[atAnalyze].(*analyzeScreen).list
	for _, size := range [][2]int{{40, 12}, {20, 5}, {300, 100}, {80, 24}} {
		m.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		if s := seen(m); list.sel != 4 || size[1] > 5 && !strings.Contains(s, "\n> ") {
			t.Errorf("%v: row %d is chosen:\n%s", size, list.sel, s)
		}
	}
	press(m, "esc")
	m.Update(tea.PasteMsg{Content: strings.Repeat("line\n", 500)})
	press(m, "ctrl+r", "t", "pgdown", "pgdown")
	text := m.screens[atAnalyze].(*analyzeScreen).result.lines
	at := text.top
	for _, size := range [][2]int{{40, 12}, {120, 40}, {80, 24}} {
		m.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		m.View()
	}
	if text.top != at || at == 0 {
		t.Errorf("line %d is at the top, was %d", text.top, at)
	}
}

func TestMissingFieldsAreAskedFor(t *testing.T) {
	m, f := at(t, 80, 24)
	press(m, "right", "ctrl+r")
	if len(f.probed) != 0 || !strings.Contains(seen(m), "which host?") {
		t.Errorf("a probe without a host: %v\n%s", f.probed, seen(m))
	}
}

// Enter in a paste, bracketed or typed, never starts an analysis.
func TestPasteStartsNothing(t *testing.T) {
	m, f := at(t, 80, 24)
	press(m, "alt+2")
	m.Update(tea.PasteMsg{Content: pasteText})
	for _, r := range "q\r1\r?" { // what is left of a paste that was cut by ESC[201~
		if r == '\r' {
			press(m, "enter")
		} else {
			press(m, string(r))
		}
	}
	if len(f.analyzed) != 0 || m.at != atAnalyze || m.help != nil {
		t.Fatalf("the paste acted: analyzed %d, screen %d", len(f.analyzed), m.at)
	}
	press(m, "ctrl+r")
	want := strings.ReplaceAll(pasteText, "\r", "\n") + "q\n1\n?"
	if len(f.analyzed) != 1 || f.analyzed[0] != want {
		t.Errorf("analyzed %q, want %q", f.analyzed, want)
	}
	if s := seen(m); !strings.Contains(s, "refused") || !strings.Contains(s, "wrong-port") {
		t.Errorf("no verdict with causes:\n%s", s)
	}
}

func TestClearedPasteComesBack(t *testing.T) {
	m, f := at(t, 80, 24)
	press(m, "alt+2")
	m.Update(tea.PasteMsg{Content: "one\r\ntwo"})
	press(m, "ctrl+l", "ctrl+z", "ctrl+r")
	if len(f.analyzed) != 1 || f.analyzed[0] != "one\ntwo" {
		t.Errorf("analyzed %q", f.analyzed)
	}
}

// A bounce leads to a probe: p fills the form from the report.
func TestFromReportToProbe(t *testing.T) {
	m, f := at(t, 80, 24)
	press(m, "alt+2")
	m.Update(tea.PasteMsg{Content: pasteText})
	press(m, "ctrl+r", "p")
	if m.at != atProbe {
		t.Fatal("p did not go to the probe screen")
	}
	press(m, "ctrl+r")
	if len(f.probed) != 1 || f.probed[0].Host != "outbound-us1.ppe-hosted.com" || f.probed[0].To != "desk@partner.example" || f.probed[0].From != "alerts@customer.example" {
		t.Errorf("probed %+v", f.probed)
	}
}

func TestFolderIsListedAndFiltered(t *testing.T) {
	m, _ := at(t, 100, 30)
	press(m, "alt+2", "ctrl+o")
	typeText(m, "bounces")
	press(m, "enter", "/")
	typeText(m, "verdict:refused 04.eml")
	press(m, "enter")
	if s := seen(m); !strings.Contains(s, "1 of 30") || !strings.Contains(s, "bounces/04.eml") || strings.Contains(s, "05.eml") {
		t.Errorf("filter:\n%s", s)
	}
	press(m, "enter")
	if s := seen(m); !strings.Contains(s, "VERDICT") {
		t.Errorf("the entry did not open:\n%s", s)
	}
}

// The summary counts what passes the filter.
func TestFolderIsSummarised(t *testing.T) {
	m, _ := at(t, 100, 40)
	press(m, "alt+2", "ctrl+o")
	typeText(m, "bounces")
	press(m, "enter", "/")
	typeText(m, "host:ppe-hosted.com bounces/1")
	press(m, "enter", "s")
	s := seen(m)
	for _, want := range []string{"of 10 reports; filter: host:ppe-hosted.com bounces/1", "10  refused", "10  relay-config", "10  outbound-us1.ppe-hosted.com", "10  554 5.7.1", "10  wrong-port"} {
		if !strings.Contains(s, want) {
			t.Errorf("no %q:\n%s", want, s)
		}
	}
	press(m, "s")
	if s := seen(m); !strings.Contains(s, "10 of 30") {
		t.Errorf("the list does not come back:\n%s", s)
	}
}

func TestHistoryCompares(t *testing.T) {
	m, f := at(t, 80, 24)
	old := sample()
	old.Verdict.Code = analyze.Deferred
	f.runs = []Run{{Report: sample(), When: testNow}, {Report: old, When: testNow}}
	press(m, "4", "d", "down", "d")
	if s := seen(m); !strings.Contains(s, "verdict: deferred -> refused") {
		t.Errorf("comparison:\n%s", s)
	}
}

// The comparison names what changed by its meaning, and no QUIT or new
// certificate of the bundled relay beside it.
func TestCompareByMeaning(t *testing.T) {
	step := func(stage, command, status string, code int, enhanced string) analyze.Step {
		return analyze.Step{Stage: stage, Command: command, Status: status, Reply: &analyze.Reply{Code: code, Enhanced: enhanced}}
	}
	run := func(bundled bool, until string, steps ...analyze.Step) Run {
		return Run{When: testNow, Form: Form{Bundled: bundled}, Report: &analyze.Report{Kind: "probe", Sessions: []analyze.Session{{Port: 587, Steps: steps, TLS: analyze.TLS{NotAfter: until}}}}}
	}
	refused := []analyze.Step{step("tls", "STARTTLS", "ok", 220, "2.0.0"), step("auth", "AUTH PLAIN [secret-1]", "refused", 535, "5.7.8"), step("auth", "QUIT", "ok", 221, "2.0.0")}
	accepted := []analyze.Step{step("tls", "STARTTLS", "ok", 220, "2.0.0"), step("auth", "AUTH PLAIN [secret-1]", "ok", 235, "2.7.0"), step("envelope", "QUIT", "ok", 221, "2.0.0")}
	for _, c := range []struct {
		a, b Run
		want []string
	}{
		{run(true, "2027-01-01", refused...), run(true, "2027-01-02", accepted...), []string{"587 auth: 535 5.7.8 -> 235 2.7.0"}},
		{run(false, "2027-01-01", accepted...), run(false, "2028-01-01", refused...), []string{"587 auth: 235 2.7.0 -> 535 5.7.8", "587 certificate: 2027-01-01 -> 2028-01-01"}},
		{run(false, "2027-01-01", refused...), run(false, "2027-01-01", refused...), []string{"nothing changed but the times"}},
	} {
		if d := cmp.Diff(c.want, compareRuns(c.a, c.b)[1:]); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
	}
}

func TestCopySaysWhichWay(t *testing.T) {
	for _, c := range []struct{ env, want string }{
		{"TERM=xterm", "by OSC 52"},
		{"TERM=dumb", "is in /state/copy.md"},
	} {
		m, _ := at(t, 120, 40)
		m.o.Environment = []string{c.env}
		press(m, "ctrl+r", "Y")
		if s := seen(m); !strings.Contains(s, c.want) {
			t.Errorf("%s: no %q on screen:\n%s", c.env, c.want, s)
		}
	}
}

// visits lead to each view of the program.
var visits = [][]string{
	{},
	{"right"},
	{"ctrl+r"},
	{"ctrl+r", "t"},
	{"ctrl+r", "v"},
	{"ctrl+r", "ctrl+r", "c"},
	{"alt+2"},
	{"alt+2", "ctrl+o"},
	{"alt+2", "x", "ctrl+r"},
	{"alt+2", "x", "ctrl+r", "t"},
	{"alt+2", "x", "ctrl+r", "v"},
	{"alt+2", "x", "ctrl+r", "d"},
	{"alt+2", "x", "ctrl+r", "d", "enter"},
	{"alt+2", "x", "ctrl+r", "t", "/", "x"},
	{"alt+2", "ctrl+o", "f", "enter"},
	{"alt+2", "ctrl+o", "f", "enter", "/", "0"},
	{"alt+2", "ctrl+o", "f", "enter", "s"},
	{"3"},
	{"3", "s"},
	{"3", "s", "tab"},
	{"3", "s", "tab", "end", "enter"},
	{"3", "tab", "tab"},
	{"3", "s", "w", "tab", "tab"},
	{"3", "tab", "tab", "n"},
	{"3", "tab", "tab", "n", "x", "enter"},
	{"3", "tab", "tab", "x"},
	{"3", "tab", "tab", "tab"},
	{"3", "tab", "tab", "tab", "n"},
	{"3", "tab", "tab", "tab", "n", "tab"},
	{"3", "tab", "tab", "tab", "tab"},
	{"3", "tab", "tab", "tab", "tab", "tab"},
	{"3", "c"},
	{"3", "c", "x", "enter"},
	{"3", "/", "x"},
	{"4"},
	{"ctrl+r", "4"},
	{"ctrl+r", "4", "enter"},
	{"ctrl+r", "4", "d", "d"},
	{"5"},
	{"5", "enter"},
	{"5", "enter", "down", "enter"},
	{"5", "enter", "down", "enter", "down", "down", "enter"},
	{"5", "enter", "enter"},
	{"ctrl+r", "5"},
	{"ctrl+r", "5", "down", "enter"},
	{"ctrl+r", "d"},
	{"ctrl+r", "5", "enter", "ctrl+l"},
}

// underway are the views of work that has not ended, which no key leads to here
// since the fake answers at once.
var underway = []struct {
	name string
	set  func(m *model)
}{
	{"a running probe", func(m *model) {
		s := m.screens[atProbe].(*probeScreen)
		s.run = underWay()
	}},
	{"a test of a diagnosis", func(m *model) {
		press(m, "5", "enter", "down", "enter")
		s := m.screens[atDiagnose].(*diagnoseScreen)
		s.run = underWay()
		s.run.test = "probe-587"
	}},
	{"a probe of one port", func(m *model) {
		s := m.screens[atProbe].(*probeScreen)
		s.run = &liveRun{form: Form{Bundled: true, Port587: true}, cancel: func() {}, began: testNow, now: testNow, ports: map[int][]liveStep{587: {{what: "connect", status: "failed", note: strings.Repeat("long ", 40)}}}}
	}},
	{"reading a folder", func(m *model) {
		m.at = atAnalyze
		s := m.screens[atAnalyze].(*analyzeScreen)
		s.begin("reading " + strings.Repeat("long", 80))
		s.list = many(3)
	}},
	{"reading a paste", func(m *model) {
		m.at = atAnalyze
		s := m.screens[atAnalyze].(*analyzeScreen)
		s.add(strings.Repeat("wide \u6f22\u5b57 ", 400)+"\n"+strings.Repeat("short\n", 400), true)
		s.begin("reading")
	}},
	{"the first start", func(m *model) {
		m.o.First = true
		m.screens[atProbe] = newProbeScreen(m)
	}},
	{"a long toast", func(m *model) { m.toast = strings.Repeat("toast ", 80) }},
	{"a relay with hostile words", func(m *model) {
		m.at = atRelay
		s := m.screens[atRelay].(*relayScreen)
		s.now = healthy()
		s.now.Account.Credentials[0].Label = strings.Repeat("\u202elabel \u6f22 ", 30)
		s.now.Presets = []string{strings.Repeat("preset-", 30)}
		s.now.Ahead = time.Hour
		s.tab = tabCredentials
	}},
}

// No view overflows or panics at any size from 20x5 to 300x100.
func TestNoOverflowAtAnySize(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	sizes := [][2]int{{20, 5}, {40, 12}, {72, 20}, {80, 24}, {120, 40}, {300, 100}, {20, 100}, {300, 5}, {1, 1}}
	for range 12 {
		sizes = append(sizes, [2]int{20 + rng.IntN(281), 5 + rng.IntN(96)})
	}
	fits := func(name string, m *model) {
		t.Helper()
		for _, size := range sizes {
			m.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
			for _, helped := range []bool{false, true} {
				m.help = nil
				if helped {
					m.openHelp()
				}
				v := m.View()
				rows := strings.Split(v.Content, "\n")
				if len(rows) > size[1] {
					t.Errorf("%s at %v: %d rows", name, size, len(rows))
				}
				for _, r := range rows {
					if n := lipgloss.Width(r); n > size[0] {
						t.Errorf("%s at %v: a row of %d cells: %q", name, size, n, r)
					}
				}
				if c := v.Cursor; c != nil && (c.X >= size[0] || c.Y >= size[1]) {
					t.Errorf("%s at %v: the cursor is at %d,%d", name, size, c.X, c.Y)
				}
			}
		}
	}
	long := func() (*model, *fake) {
		m, f := at(t, 80, 24)
		f.report.Outcomes[0].Recipient = strings.Repeat("long", 60) + "@\u202epartner.example"
		f.report.Verdict.Headline = "wide \u6f22\u5b57 " + strings.Repeat("word ", 30)
		f.probes.Verdict.Headline = f.report.Verdict.Headline
		return m, f
	}
	for _, visit := range visits {
		m, _ := long()
		press(m, visit...)
		fits(fmt.Sprint(visit), m)
	}
	for _, u := range underway {
		m, _ := long()
		u.set(m)
		fits(u.name, m)
	}
}

// Keys in any order, with a resize between them, neither panic nor overflow.
func TestAnyKeysAnywhere(t *testing.T) {
	keys := allKeys()
	for seed := range uint64(15) {
		rng := rand.New(rand.NewPCG(seed, 7))
		m, f := at(t, 80, 24)
		f.runs = []Run{{Report: sampleProbe(), When: testNow, Form: Form{Bundled: true}}, {Report: sample(), When: testNow}}
		var pressed []string
		for range 150 {
			key := keys[rng.IntN(len(keys))]
			if key == "ctrl+c" {
				continue
			}
			pressed = append(pressed, key)
			press(m, key)
			switch rng.IntN(12) {
			case 0:
				m.Update(tea.WindowSizeMsg{Width: 20 + rng.IntN(200), Height: 5 + rng.IntN(60)})
			case 1:
				m.Update(tea.PasteMsg{Content: pasteText})
			case 2:
				m.Update(tea.MouseClickMsg{X: rng.IntN(80), Y: rng.IntN(30)})
			}
			for i, r := range strings.Split(m.View().Content, "\n") {
				if i >= m.h || lipgloss.Width(r) > m.w {
					t.Fatalf("after %q: row %d of %dx%d is %q", pressed, i, m.w, m.h, r)
				}
			}
		}
	}
}

// Nothing of the server's or the paste's bytes reaches the terminal raw.
func TestHostileBytesAreEscaped(t *testing.T) {
	const hostile = "x\x1b[31m\x1b]0;owned\x07\u202e\u200b\u009b31m\x00y"
	m, f := at(t, 120, 40)
	o := &f.report.Outcomes[0]
	o.Recipient, o.RefusedBy, o.Reply.Text, o.Evidence[0].Quote = hostile, hostile, hostile, hostile
	f.report.Verdict.Headline = hostile
	f.report.Findings[0].Title = hostile
	press(m, "alt+2")
	m.Update(tea.PasteMsg{Content: hostile + "\r" + hostile})
	check := func(where string) {
		t.Helper()
		content := m.View().Content
		for _, bad := range []string{"\x1b[31m\x1b]", "\x1b]0", "\x07", "\u202e", "\u200b", "\u009b", "\x00"} {
			if strings.Contains(content, bad) {
				t.Errorf("%s: %q reaches the terminal", where, bad)
			}
		}
	}
	check("paste")
	press(m, "ctrl+r")
	check("result")
	press(m, "t")
	check("text")
	press(m, "esc", "down")
	check("finding")
}

func TestGoldenScreens(t *testing.T) {
	for i, visit := range visits {
		for _, size := range [][2]int{{80, 24}, {120, 40}, {40, 12}} {
			m, _ := at(t, size[0], size[1])
			press(m, visit...)
			got := strings.TrimRight(trimRows(seen(m)), "\n") + "\n"
			name := filepath.Join("testdata", fmt.Sprintf("%02d-%s-%dx%d.txt", i, strings.Join(visit, "_"), size[0], size[1]))
			name = strings.NewReplacer("+", "-", "?", "help", "/_", "search_", "_/", "_search").Replace(name)
			if updating() {
				if err := os.MkdirAll("testdata", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				continue
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("%s (-want +got); -update rewrites it:\n%s", name, d)
			}
		}
	}
}

func trimRows(s string) string {
	rows := strings.Split(s, "\n")
	for i := range rows {
		rows[i] = strings.TrimRight(rows[i], " ")
	}
	return strings.Join(rows, "\n")
}
