package tui

import (
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/smtp-handoff/handoff/analyze"
)

// plainText is lines without their styles.
func plainText(lines []line) string {
	var b strings.Builder
	for _, l := range lines {
		for _, p := range l {
			b.WriteString(p.text)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// The path shows the hops of the returned headers, the place where the mail
// stopped and what lies beyond, for each kind of verdict.
func TestRoad(t *testing.T) {
	const relay, next = "outbound-us1.ppe-hosted.com", "mx.partner.example"
	for _, c := range []struct {
		name string
		text string
		o    analyze.Outcome
		want string // of the line PATH
	}{
		{
			"refused", "",
			analyze.Outcome{Verdict: analyze.Refused, RefusedBy: relay, ReportedBy: "mail.customer.example", Reply: analyze.Reply{Code: 554, Enhanced: "5.7.1"}},
			"mail.customer.example --554 5.7.1--X outbound-us1.ppe-hosted.com .. desk@partner.example",
		},
		{
			"with hops", "Received: from",
			analyze.Outcome{Verdict: analyze.Refused, RefusedBy: relay, ReportedBy: "mail.customer.example", Reply: analyze.Reply{Code: 554}},
			"10.1.2.3 -> web01.customer.example -> mail.customer.example --554--X outbound-us1.ppe-hosted.com .. desk@partner.example",
		},
		{
			"nobody is named", "",
			analyze.Outcome{Verdict: analyze.InsufficientEvidence},
			"sending system --X (not stated) .. desk@partner.example",
		},
		{
			"never reached", "",
			analyze.Outcome{Verdict: analyze.NeverReached, RefusedBy: "mail.customer.example", ReportedBy: "mail.customer.example", Reply: analyze.Reply{Code: 550, Enhanced: "5.1.1"}},
			"--550 5.1.1--X mail.customer.example .. the relay .. desk@partner.example",
		},
		{
			"unreachable", "",
			analyze.Outcome{Verdict: analyze.Unreachable, Target: relay, ReportedBy: "mail.customer.example"},
			"mail.customer.example --X outbound-us1.ppe-hosted.com .. desk@partner.example",
		},
		{
			"bounced behind the relay", "",
			analyze.Outcome{Verdict: analyze.AcceptedThenBounced, RefusedBy: next, ReportedBy: "dispatch1-us1.ppe-hosted.com", Reply: analyze.Reply{Code: 550, Enhanced: "5.1.1"}},
			"dispatch1-us1.ppe-hosted.com --550 5.1.1--X mx.partner.example .. desk@partner.example",
		},
		{
			"no failure", "",
			analyze.Outcome{Verdict: analyze.NotAFailure, RefusedBy: relay, ReportedBy: "mail.customer.example", Reply: analyze.Reply{Code: 421}},
			"mail.customer.example -> outbound-us1.ppe-hosted.com",
		},
	} {
		m, _ := at(t, 200, 40)
		c.o.Recipient = "desk@partner.example"
		rep := sample()
		rep.Outcomes = []analyze.Outcome{c.o}
		v := newResultView(m, Run{Report: rep, Text: c.text, When: testNow})
		if got := plainText(v.words(200)); strings.TrimSpace(strings.TrimPrefix(got, " PATH  ")) != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		full := plainText(v.drawPicture(100))
		stops := strings.Count(full, "here it stopped")
		if failed := c.o.Verdict != analyze.NotAFailure; failed && stops != 1 || !failed && stops != 0 {
			t.Errorf("%s: it stops %d times:\n%s", c.name, stops, full)
		}
	}
}

// Bars stand where the steps were, on one scale for all ports.
func TestTimeline(t *testing.T) {
	lines := timeline(sampleProbe().Sessions, 120)
	var rows []string
	for _, l := range strings.Split(plainText(lines), "\n") {
		rows = append(rows, strings.TrimRight(l, " "))
	}
	find := func(port int, name string) string {
		t.Helper()
		in := 0
		for _, r := range rows {
			if strings.HasPrefix(r, " PORT 587") {
				in = 587
			} else if strings.HasPrefix(r, " PORT 25") {
				in = 25
			}
			if in == port && strings.HasPrefix(r, "  "+name+" ") {
				return r
			}
		}
		t.Fatalf("no row %d %s:\n%s", port, name, strings.Join(rows, "\n"))
		return ""
	}
	auth := find(587, "auth")
	if from, n := strings.Index(auth, "#"), strings.Count(auth, "#"); from < 24 || from > 28 || n < 68 || n > 76 || !strings.HasSuffix(auth, "1.0 s refused 535") {
		t.Errorf("the slow login is a bar from %d of %d cells: %q", from, n, auth)
	}
	if tls := find(25, "tls"); strings.Count(tls, "#") < 5 || !strings.HasSuffix(tls, "97 ms ok") {
		t.Errorf("the upgrade, the handshake and the EHLO inside are one bar: %q", tls)
	}
	if s := find(25, "auth"); strings.Contains(s, "#") || !strings.HasSuffix(s, "skipped") {
		t.Errorf("a skipped step has a bar: %q", s)
	}
	for _, w := range []int{20, 40, 44, 80, 300} {
		for _, l := range timeline(sampleProbe().Sessions, w) {
			if l.width() > w {
				t.Errorf("at %d cells a row of %d: %q", w, l.width(), plainText([]line{l}))
			}
		}
	}
}

// The countdown says when trying again is worth it, goes on by itself and
// stops by itself.
func TestCountdownOnResults(t *testing.T) {
	now := testNow
	m, _ := at(t, 80, 24)
	m.o.Now = func() time.Time { return now }
	asked := 0
	m.after = func(_ time.Duration, msg tea.Msg) tea.Cmd {
		if _, ok := msg.(secondMsg); ok {
			asked++
		}
		return nil
	}
	second := func(d time.Duration) string {
		now = now.Add(d)
		m.Update(secondMsg{})
		return seen(m)
	}
	press(m, "ctrl+r")
	if s := seen(m); !strings.Contains(s, "at most 1:00:00, if too young") || asked != 1 {
		t.Fatalf("no countdown, %d seconds asked for:\n%s", asked, s)
	}
	if s := second(48 * time.Second); !strings.Contains(s, "at most 59:12, if too young [............] until 11:41:00") || asked != 2 {
		t.Errorf("48 seconds later, %d asked for:\n%s", asked, s)
	}
	if s := second(time.Hour); !strings.Contains(s, "over: try again; after an hour") || asked != 2 {
		t.Errorf("an hour later, %d asked for:\n%s", asked, s)
	}

	v := m.screens[atProbe].(*probeScreen).result
	v.run.Form.MadeAgo = 20 * time.Minute
	now = testNow
	if s := seen(m); !strings.Contains(s, "live in 40:00 [######..............] at 11:21:00; then try again") {
		t.Errorf("of a pair made 20 minutes ago:\n%s", s)
	}
	v.run.LiveAt = testNow.Add(5 * time.Minute)
	if s := seen(m); !strings.Contains(s, "live in 05:00 [##################..] at 10:46:00") {
		t.Errorf("of a relay that knows:\n%s", s)
	}
	v.run.Report.Verdict.Status = analyze.OK
	v.run.LiveAt, v.run.Form.MadeAgo = time.Time{}, 0
	if s := seen(m); strings.Contains(s, "WAIT") {
		t.Errorf("a wait without a problem:\n%s", s)
	}
}

// An analysis counts from the time that the text states, and not without one.
func TestCountdownOfABounce(t *testing.T) {
	rep := sample()
	rep.Outcomes[0].Causes[0].ID = "user-not-live"
	m, f := at(t, 80, 24)
	f.report = rep
	press(m, "alt+2", "x", "ctrl+r")
	if s := seen(m); strings.Contains(s, "WAIT") {
		t.Errorf("nobody knows when it was, and yet:\n%s", s)
	}
	rep.Outcomes[0].When = testNow.Add(-15 * time.Minute).Format(time.RFC3339)
	if s := seen(m); !strings.Contains(s, "at most 45:00, if too young") {
		t.Errorf("a quarter of an hour after the refusal:\n%s", s)
	}
}

// A re-run tells what changed since the run before of the same relay.
func TestSinceTheRunBefore(t *testing.T) {
	m, f := at(t, 100, 40)
	old := sampleProbe()
	old.Sessions[1].Steps[7] = analyze.Step{Stage: "auth", Status: "ok", Command: "AUTH PLAIN", Reply: &analyze.Reply{Code: 235, Enhanced: "2.7.0"}}
	elsewhere := sampleProbe()
	elsewhere.Target = "outbound-eu1.ppe-hosted.com"
	f.runs = []Run{{Report: elsewhere, When: testNow}, {Report: old, When: testNow.Add(-time.Hour), Form: Form{Bundled: true}}}
	press(m, "ctrl+r")
	if s := seen(m); !strings.Contains(s, "SINCE    587 auth: 235 2.7.0 -> 535 5.7.1") {
		t.Errorf("nothing tells what changed:\n%s", s)
	}
	press(m, "c")
	if s := seen(m); !strings.Contains(s, "WHAT CHANGED") || !strings.Contains(s, "587 auth: 235 2.7.0 -> 535 5.7.1") {
		t.Errorf("c:\n%s", s)
	}
}

// y copies the row one is on, Y the whole ticket.
func TestCopyOfARow(t *testing.T) {
	m, f := at(t, 120, 40)
	press(m, "alt+2", "x", "ctrl+r", "y", "down", "y", "down", "y", "Y")
	for i, want := range []string{"false: 1 outcomes, 0 findings", "false: 0 outcomes, 1 findings", "0 findings, 0 causes, 1 tests", "true: 1 outcomes, 1 findings, 0 causes, 1 tests"} {
		if i >= len(f.tickets) || !strings.Contains(f.tickets[i], want) {
			t.Errorf("copy %d is %q, want %q", i, f.tickets, want)
		}
	}
	if s := seen(m); !strings.Contains(s, "copied the ticket") {
		t.Errorf("the toast:\n%s", s)
	}
}

// The text opens at its first mark, and where it was left when it opens again.
func TestTextOpensAtItsFirstMark(t *testing.T) {
	m, f := at(t, 80, 24)
	f.report.Outcomes[0].Evidence = []analyze.Evidence{{Line: 300, Column: 1, Quote: "line"}, {Line: 200, Column: 1, Quote: "line", Role: "reply"}}
	press(m, "alt+2")
	m.Update(tea.PasteMsg{Content: strings.Repeat("line\n", 500)})
	press(m, "ctrl+r", "t")
	if s := seen(m); !strings.Contains(s, "\n 200 | line") || !strings.Contains(s, "line 200 is marked") {
		t.Errorf("the first mark is out of sight:\n%s", s)
	}
	press(m, "pgdown", "pgdown", "pgdown")
	top := m.screens[atAnalyze].(*analyzeScreen).result.lines.top
	press(m, "esc", "t")
	if again := m.screens[atAnalyze].(*analyzeScreen).result.lines.top; again != top {
		t.Errorf("it opens at row %d, was left at %d", again, top)
	}
}

// No part of a station on the road is cut, however narrow the window.
func TestRoadIsWrapped(t *testing.T) {
	m, f := at(t, 60, 24)
	f.judge = func(text []byte, _ string) Run { return Run{Report: f.report, Text: "Received: from", When: testNow} }
	press(m, "alt+2", "x", "ctrl+r", "v")
	if s := squeezed(seen(m)); !strings.Contains(s, squeezed("took the mail, by the returned headers, reported it")) || strings.Contains(s, "~") {
		t.Errorf("the road:\n%s", seen(m))
	}
}
