package analyze

import (
	"strings"
	"testing"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// TestCutShort: who waited less than a server may take has seen no silence, and
// says what was waited and what would tell.
func TestCutShort(t *testing.T) {
	login := []string{
		"connect", "greet => 220 mx1-us1.ppe-hosted.com ESMTP", "ehlo EHLO c => 250-mx1-us1.ppe-hosted.com\n250 STARTTLS", "tls STARTTLS => 220 2.0.0 Ready",
		"+tls", "+tls EHLO c => 250-mx1-us1.ppe-hosted.com\n250 AUTH PLAIN", "+auth AUTH PLAIN [secret-1] => 235 2.7.0 ok",
		"+envelope MAIL FROM:<a@c.example> => 250 2.1.0 Ok", "+envelope RCPT TO:<b@r.example> => 250 2.1.5 Ok", "+data DATA => 354 go on",
	}
	for _, c := range []struct {
		name       string
		steps      []string
		took       time.Duration
		detail     string
		verdict    Verdict
		confidence Confidence
		headline   string
		next       string // empty: not the advice to wait longer
	}{
		{"greeting, 2 s", with(login[:1], "greet !timeout"), 2*time.Second + 1234*time.Microsecond, "", HandshakeFailed, Likely, "sent no greeting on 587 in 2s: wait 5 minutes", "--timeout 5m --deadline 10m: it waited only 2s,"},
		{"greeting, 30 s", with(login[:1], "greet !timeout"), 30*time.Second + 2*time.Millisecond, "", HandshakeFailed, Likely, "sent no greeting on 587 in 30s: wait 5 minutes", "it waited only 30s, and a server may take 5 minutes to greet; if nothing comes then, look for a proxy"},
		{"greeting, half a second", with(login[:1], "greet !timeout"), 503 * time.Millisecond, "", HandshakeFailed, Likely, "in 500ms", "only 500ms,"},
		{"greeting, 5 minutes", with(login[:1], "greet !timeout"), 5 * time.Minute, "", HandshakeFailed, Certain, "sent no greeting on 587: look for a firewall", ""},
		{"greeting, nobody knows how long", with(login[:1], "greet !timeout"), 0, "", HandshakeFailed, Certain, "sent no greeting on 587: look for a firewall", ""},
		{"greeting that began", with(login[:1], "greet !timeout"), 2 * time.Second, `no answer within the patience; a line was cut: "220 r"`, HandshakeFailed, Likely, "began a greeting on 587 and did not end it in 2s", "only 2s,"},
		{"closed at once", with(login[:1], "greet !closed"), 2 * time.Second, "", HandshakeFailed, Certain, "sent no greeting on 587, the connection was closed", ""},
		{"EHLO, where the standard says nothing", with(login[:2], "ehlo EHLO c !timeout"), 2 * time.Second, "", HandshakeFailed, Certain, "greeted on 587, then gave no answer to EHLO", ""},
		{"EHLO, reset", with(login[:2], "ehlo EHLO c !reset"), 2 * time.Second, "", HandshakeFailed, Certain, "greeted on 587, then the connection was reset at EHLO", ""},
		{"MAIL", with(login[:7], "+envelope MAIL FROM:<a@c.example> !timeout"), 4 * time.Second, "", Deferred, Certain, "gave no answer to MAIL on 587 in 4s", "a server may take 5 minutes to answer MAIL; if"},
		{"RCPT", with(login[:8], "+envelope RCPT TO:<b@r.example> !timeout"), 6 * time.Minute, "", Deferred, Certain, "gave no answer to RCPT on 587: send the times", ""},
		{"RCPT, reset", with(login[:8], "+envelope RCPT TO:<b@r.example> !reset"), time.Second, "", Deferred, Certain, "on 587 broke at RCPT", ""},
		{"DATA", with(login[:9], "+data DATA !timeout"), time.Minute, "", Deferred, Certain, "gave no answer to DATA on 587 in 1m", "--timeout 2m --deadline 4m"},
		{"final dot", with(login, "+data . !timeout"), time.Minute, "", InsufficientEvidence, Possible, "no answer to the final dot on 587 in 1m, it may be delivered", ""},
	} {
		p := Probe{Target: smartHost, Intent: IntentAuth, Planned: Planned{Credential: true, From: []string{"a@c.example"}, To: []string{"b@r.example"}, StopAfter: transcript.StageData}}
		s := recorded(t, 587, c.steps...)
		last := &s.Exchanges[len(s.Exchanges)-1]
		last.Took, last.Detail = c.took, c.detail
		p.Sessions = []transcript.Session{s}
		r := JudgeProbe(p, Options{})
		if r.Verdict.Code != c.verdict || r.Verdict.Confidence != c.confidence || !strings.Contains(r.Verdict.Headline, c.headline) || len(r.Verdict.Headline) > 100 {
			t.Errorf("%s: %+v", c.name, r.Verdict)
		}
		waits := len(r.NextTests) > 0 && r.NextTests[0].ID == waitLongerID
		if waits != (c.next != "") || !strings.Contains(r.Verdict.Next, c.next) {
			t.Errorf("%s: next %q, tests %+v", c.name, r.Verdict.Next, r.NextTests)
		}
		if c.verdict == HandshakeFailed && len(r.Causes) == 0 {
			t.Errorf("%s: the candidate is gone", c.name)
		}
	}
}
