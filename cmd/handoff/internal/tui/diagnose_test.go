package tui

import (
	"errors"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"github.com/smtp-handoff/handoff/analyze"
)

func guideOf(m *model) *diagnoseScreen { return m.screens[atDiagnose].(*diagnoseScreen) }

// With nothing in hand one begins with what is seen, and ends with one cause.
func TestDiagnoseFromNothing(t *testing.T) {
	m, f := at(t, 80, 24)
	press(m, "5")
	if s := seen(m); !strings.Contains(s, " > the login is refused") || !strings.Contains(s, "nobody knows: probe the relay") {
		t.Fatalf("the beginning:\n%s", s)
	}
	press(m, "enter")
	if s := seen(m); !strings.Contains(s, "4 causes fit") || !strings.Contains(s, "read the port") {
		t.Fatalf("the first question:\n%s", s)
	}
	press(m, "down", "enter")
	if s := seen(m); !strings.Contains(s, "4 > 3 causes fit") || !strings.Contains(s, "port 587") {
		t.Errorf("the causes do not narrow:\n%s", s)
	}
	press(m, "x", "down", "enter")
	if s := seen(m); !strings.Contains(s, "1 cause is left: credential-wrong") || !strings.Contains(s, "y copies the ticket") {
		t.Errorf("the end:\n%s", s)
	}
	press(m, "y", "Y", "e")
	if len(f.tickets) != 2 || !strings.Contains(f.tickets[0], "strict false") || !strings.Contains(f.tickets[0], "1 causes") || !strings.Contains(f.tickets[1], "strict true") || m.written != "/state/report.md" {
		t.Errorf("tickets %q, written %q", f.tickets, m.written)
	}
	press(m, "left") // the last answer
	if s := seen(m); !strings.Contains(s, "look under Domains") {
		t.Errorf("no step back:\n%s", s)
	}
	told := len(guideOf(m).told)
	press(m, "ctrl+l")
	if s := seen(m); !strings.Contains(s, "What is there to begin with?") {
		t.Errorf("no new start:\n%s", s)
	}
	press(m, "ctrl+z")
	if n := len(guideOf(m).told); n != told {
		t.Errorf("%d answers came back of %d", n, told)
	}
}

// A result of this run is offered and never forced; d on a result begins with it,
// and esc leads back there.
func TestDiagnoseFromAResult(t *testing.T) {
	m, f := at(t, 100, 30)
	press(m, "ctrl+r", "5")
	if s := seen(m); !strings.Contains(s, " > the probe of the bundled relay") {
		t.Fatalf("the probe is not offered:\n%s", s)
	}
	press(m, "down", "enter") // a symptom in its place
	if s := seen(m); !strings.Contains(s, "told login-refused") || !strings.Contains(s, "i takes it in") {
		t.Fatalf("a symptom beside a probe in hand:\n%s", s)
	}
	press(m, "i")
	if d := guideOf(m); len(d.told) != 2 || d.told[1].Run == nil || len(d.hand()) != 0 {
		t.Errorf("it was not taken in: %+v", d.told)
	}
	press(m, "1", "d")
	d := guideOf(m)
	if m.at != atDiagnose || len(d.told) != 2 {
		t.Fatalf("d on a result that was taken in: screen %d, told %d", m.at, len(d.told))
	}
	f.probes = sampleProbe()
	press(m, "1", "ctrl+r", "d")
	if m.at != atDiagnose || len(d.told) != 1 || d.told[0].Run == nil {
		t.Fatalf("d on a new result: screen %d, told %d", m.at, len(d.told))
	}
	press(m, "down", "enter", "esc")
	if s := seen(m); m.at != atProbe || !strings.Contains(s, "VERDICT") {
		t.Errorf("esc does not lead back:\n%s", s)
	}
	press(m, "d")
	if len(guideOf(m).told) != 2 {
		t.Error("d on the same result forgot the answers")
	}
}

// A proposed test that is a probe is made from the screen, against the relay of
// the form, and never without one.
func TestDiagnoseMakesATest(t *testing.T) {
	m, f := at(t, 80, 24)
	press(m, "5", "enter", "down", "enter", "ctrl+r")
	if len(f.tried) != 0 || m.at != atProbe || !strings.Contains(seen(m), "which relay?") {
		t.Fatalf("a test without a relay: %v\n%s", f.tried, seen(m))
	}
	press(m, "right", "tab")
	typeText(m, "outbound-us1.ppe-hosted.com")
	press(m, "alt+5", "ctrl+r")
	if len(f.tried) != 1 || f.tried[0].Host != "outbound-us1.ppe-hosted.com" {
		t.Fatalf("tried %+v", f.tried)
	}
	if s := seen(m); !strings.Contains(s, "535 5.7.8 Error: auth") || !strings.Contains(s, "3 > 2 causes fit") || !strings.Contains(s, "look under Domains") {
		t.Errorf("what it showed was not taken in:\n%s", s)
	}
	if len(f.runs) != 1 {
		t.Errorf("History has %d runs, want the try", len(f.runs))
	}
	m, f = at(t, 80, 24)
	press(m, "1", "ctrl+r", "5", "enter", "down", "enter")
	f.fail = errors.New("not from here: it needs user name and password")
	press(m, "ctrl+r")
	if s := seen(m); !strings.Contains(s, "it needs user name and password") || len(guideOf(m).told) != 2 {
		t.Errorf("why it cannot be made:\n%s", s)
	}
}

// A test that runs can be cancelled, and nothing of it is taken in.
func TestDiagnoseCancelsATest(t *testing.T) {
	m, f := at(t, 80, 24)
	press(m, "ctrl+r", "5", "enter", "down", "enter")
	m.Update(keyMsg("ctrl+r"))
	d := guideOf(m)
	if d.run == nil {
		t.Fatal("nothing runs")
	}
	cancelled := false
	d.run.cancel = func() { cancelled = true }
	press(m, "esc")
	m.Update(triedMsg{serial: d.run.serial, err: errors.New("cancelled: nothing is taken in")})
	if !cancelled || d.run != nil || len(d.told) != 2 || len(f.tried) != 0 {
		t.Errorf("cancelled %v, told %d, tried %d", cancelled, len(d.told), len(f.tried))
	}
}

// Where there is nothing to explain, d says so.
func TestDiagnoseOfAHealthyResult(t *testing.T) {
	m, f := at(t, 80, 24)
	f.probes.Verdict = analyze.Summary{Code: analyze.Ready, Status: analyze.OK}
	press(m, "ctrl+r", "d")
	if m.at != atProbe || !strings.Contains(seen(m), "nothing to explain") {
		t.Errorf("screen %d:\n%s", m.at, seen(m))
	}
	press(m, "5")
	if s := seen(m); strings.Contains(s, "the probe of") {
		t.Errorf("a healthy probe is offered as evidence:\n%s", s)
	}
}

// The chosen answer stays in sight at any size, also among many, and the mouse
// chooses and takes.
func TestDiagnoseInASmallWindow(t *testing.T) {
	many := guideTests[0].Shows
	defer func() { guideTests[0].Shows = many }()
	for i := range 45 {
		guideTests[0].Shows = append(guideTests[0].Shows, analyze.Showing{Show: strings.Repeat("reply ", i), Causes: []string{"wrong-port", "credential-wrong"}})
	}
	for _, size := range [][2]int{{40, 12}, {40, 16}, {60, 10}, {80, 24}, {120, 40}, {300, 100}} {
		m, _ := at(t, size[0], size[1])
		press(m, "5", "enter")
		d := guideOf(m)
		for range d.choices() {
			if s := seen(m); !strings.Contains(s, "\n > ") {
				t.Errorf("%v: answer %d is out of sight:\n%s", size, d.sel, s)
			}
			press(m, "down")
		}
		if s := seen(m); !strings.Contains(s, " > nobody knows") {
			t.Errorf("%v: the last answer:\n%s", size, s)
		}
	}
	m, _ := at(t, 80, 24)
	press(m, "5", "enter")
	y := 0
	for i, r := range strings.Split(seen(m), "\n") {
		if strings.HasPrefix(r, "   port 587") {
			y = i
		}
	}
	for range 2 {
		m.Update(tea.MouseClickMsg{X: 5, Y: y, Button: tea.MouseLeft})
	}
	if d := guideOf(m); y == 0 || len(d.told) != 2 || d.told[1].Shown != "port 587" {
		t.Errorf("two clicks on row %d: %+v", y, d.told)
	}
}
