package tui

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe"
)

// underWay is a probe under way: port 25 has ended, 587 waits for the answer to
// its login for twelve seconds.
func underWay() *liveRun {
	r := &liveRun{
		form:   Form{Host: "outbound-us1.ppe-hosted.com", Port25: true, Port587: true, Intent: analyze.IntentAuth, User: "u", From: "a@b", To: "c@d", StopAfter: transcript.StageEnvelope},
		cancel: func() {}, began: testNow, now: testNow, ports: map[int][]liveStep{},
	}
	report := sampleProbe()
	for i := range report.Sessions {
		s := &report.Sessions[i]
		for _, st := range s.Steps {
			sent := testNow.Add(time.Duration(st.SentMS * float64(time.Millisecond)))
			x := transcript.Exchange{Stage: transcript.Stage(st.Stage), Command: st.Command}
			if st.Status != "skipped" {
				r.take(probe.Event{Port: s.Port, Exchange: x}, sent)
			}
			if s.Port == 587 && st.Stage == "auth" {
				break
			}
			x.Took, x.Secure = time.Duration(st.TookMS*float64(time.Millisecond)), st.Secure
			if st.Status == "skipped" {
				x.Skipped = "no AUTH"
			}
			if st.Reply != nil {
				x.Reply = transcript.Reply{Code: st.Reply.Code, Enhanced: st.Reply.Enhanced, Lines: []string{fmt.Sprintf("%d %s", st.Reply.Code, st.Reply.Enhanced)}}
			}
			r.take(probe.Event{Port: s.Port, Exchange: x, Done: true}, sent.Add(x.Took))
		}
	}
	r.now = testNow.Add(12*time.Second + 182*time.Millisecond)
	return r
}

// What a running probe shows is golden: the steps of both ports with their times,
// what is waited for and how long that may last.
func TestRunningGolden(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}, {40, 12}} {
		m, _ := at(t, size[0], size[1])
		m.screens[atProbe].(*probeScreen).run = underWay()
		got := strings.TrimRight(trimRows(seen(m)), "\n") + "\n"
		name := filepath.Join("testdata", fmt.Sprintf("running-%dx%d.txt", size[0], size[1]))
		if updating() {
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

// Each step says what it waits for, the time goes on by the clock of the program,
// and the bar is full when the limit is reached.
func TestBoundedWaits(t *testing.T) {
	now := testNow
	m, _ := at(t, 100, 30)
	m.o.Now = func() time.Time { return now }
	_, cmd := m.Update(keyMsg("ctrl+r"))
	if cmd == nil {
		t.Fatal("nothing runs")
	}
	s := m.screens[atProbe].(*probeScreen)
	for _, c := range []struct {
		x    transcript.Exchange
		want string
	}{
		{transcript.Exchange{Stage: transcript.StageResolve}, "waits for the name server"},
		{transcript.Exchange{Stage: transcript.StageConnect}, "waits for the connection"},
		{transcript.Exchange{Stage: transcript.StageGreet}, "waits for the greeting"},
		{transcript.Exchange{Stage: transcript.StageEHLO, Command: "EHLO c"}, "waits for the answer to EHLO"},
		{transcript.Exchange{Stage: transcript.StageTLS, Command: "STARTTLS"}, "waits for the answer to STARTTLS"},
		{transcript.Exchange{Stage: transcript.StageTLS}, "waits for the TLS handshake"},
		{transcript.Exchange{Stage: transcript.StageAuth, Command: "AUTH PLAIN [secret-1]"}, "waits for the answer to the login"},
		{transcript.Exchange{Stage: transcript.StageEnvelope, Command: "MAIL FROM:<a@b>"}, "waits for the answer to MAIL"},
		{transcript.Exchange{Stage: transcript.StageEnvelope, Command: "RCPT TO:<c@d>"}, "waits for the answer to RCPT"},
	} {
		m.Update(stepMsg{s.run.serial, probe.Event{Port: 587, Exchange: c.x}})
		now = now.Add(15 * time.Second)
		m.Update(tickMsg{s.run.serial})
		if got := seen(m); !strings.Contains(got, c.want+", 15 s of 30 s") || !strings.Contains(got, "[####################....................]") {
			t.Errorf("no %q, half of the limit:\n%s", c.want, got)
		}
		done := c.x
		done.Took, done.Reply.Code = 15*time.Second, 250
		m.Update(stepMsg{s.run.serial, probe.Event{Port: 587, Exchange: done, Done: true}})
	}
	m.Update(stepMsg{s.run.serial, probe.Event{Port: 587, Exchange: transcript.Exchange{Stage: transcript.StageGreet}}})
	now = now.Add(time.Minute)
	m.Update(tickMsg{s.run.serial})
	if got := seen(m); !strings.Contains(got, "[########################################]") {
		t.Errorf("the bar overflows, or is not full:\n%s", got)
	}
}

// The words of a server in the running picture steer no terminal.
func TestRunningHostile(t *testing.T) {
	for _, size := range [][2]int{{120, 40}, {80, 24}, {40, 12}} {
		m, _ := at(t, size[0], size[1])
		m.screens[atProbe].(*probeScreen).run = underWay()
		r := m.screens[atProbe].(*probeScreen).run
		x := transcript.Exchange{Stage: transcript.StageGreet, Command: poisonText, Reply: transcript.Reply{Code: 220, Enhanced: poisonText, Lines: []string{poisonText}}}
		r.take(probe.Event{Port: 587, Exchange: x}, testNow)
		seenRaw := m.View().Content
		r.take(probe.Event{Port: 587, Exchange: x, Done: true}, testNow)
		x.Fault, x.Detail = transcript.FaultReset, poisonText
		r.take(probe.Event{Port: 587, Exchange: x, Done: true}, testNow)
		for _, content := range []string{seenRaw, m.View().Content} {
			for _, bad := range []string{"\x1b]", "\x1b[2J", "\x07", "\u202e", "\u200b", "\u009b", "\x00", "\x7f"} {
				if strings.Contains(content, bad) {
					t.Errorf("%v: %q reaches the terminal", size, bad)
				}
			}
		}
	}
}

// Times of a run never grow with the messages of another.
func TestLateMessagesOfAnotherRun(t *testing.T) {
	m, _ := at(t, 80, 24)
	press(m, "5", "enter", "down", "enter")
	d := m.screens[atDiagnose].(*diagnoseScreen)
	d.run = underWay()
	d.run.serial = m.nextRun()
	m.screens[atProbe].(*probeScreen).run = underWay()
	m.screens[atProbe].(*probeScreen).run.serial = m.nextRun()
	before := len(d.run.ports[587])
	m.Update(stepMsg{m.screens[atProbe].(*probeScreen).run.serial, probe.Event{Port: 587, Done: true, Exchange: transcript.Exchange{Stage: transcript.StageEnvelope, Command: "MAIL FROM:<a@b>"}}})
	m.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
	if len(d.run.ports[587]) != before {
		t.Error("a step of the probe of screen 1 went into the test of screen 5")
	}
}
