package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/smtp-handoff/handoff/analyze"
)

// TestDecided: the words that the relay said, or what happened in their place,
// stand under the steps of a session that broke, once.
func TestDecided(t *testing.T) {
	denied := &analyze.Reply{Code: 554, Enhanced: "5.7.1", Text: "<b@r.example>: Relay access denied"}
	begun := []analyze.Step{{Stage: "connect", Status: "ok"}, {Stage: "greet", Status: "ok"}, {Stage: "ehlo", Command: "EHLO c", Status: "ok"}}
	for _, c := range []struct {
		name     string
		verdict  analyze.Verdict
		stage    string
		expected bool
		steps    []analyze.Step
		evidence string
		want     string
	}{
		{"a reply", analyze.Refused, "auth", false, append(begun[:3:3], analyze.Step{Stage: "auth", Command: "AUTH PLAIN [secret-1]", Status: "refused", Reply: &analyze.Reply{Code: 535, Enhanced: "5.7.8", Text: "no\nreally"}}), "", "at AUTH: 535 5.7.8 no / really"},
		{"a continued login", analyze.Refused, "auth", false, append(begun[:3:3], analyze.Step{Stage: "auth", Command: "[secret-2]", Status: "refused", Reply: &analyze.Reply{Code: 535, Text: "no"}}), "", "at auth: 535 no"},
		{"a reply that a finding quotes", analyze.Refused, "envelope", false, append(begun[:3:3], analyze.Step{Stage: "envelope", Command: "RCPT TO:<b@r.example>", Status: "refused", Reply: denied}), "554 5.7.1 <b@r.example>: Relay access denied", ""},
		{"a fault", analyze.HandshakeFailed, "greet", false, []analyze.Step{{Stage: "connect", Status: "ok"}, {Stage: "greet", Status: "failed", Fault: "timeout", Note: "no answer\x1b[2J"}}, "", `at greet: timed out (no answer\x1b[2J)`},
		{"a step that could not be tried", analyze.HandshakeFailed, "tls", false, append(begun[:3:3], analyze.Step{Stage: "tls", Command: "STARTTLS", Status: "skipped", Note: "STARTTLS was not offered"}), "", "at STARTTLS: STARTTLS was not offered"},
		{"a documented refusal", analyze.Refused, "envelope", true, append(begun[:3:3], analyze.Step{Stage: "envelope", Command: "RCPT TO:<b@r.example>", Status: "refused", Reply: denied}), "", ""},
		{"all is well", analyze.Ready, "envelope", false, append(begun[:3:3], analyze.Step{Stage: "envelope", Command: "QUIT", Status: "failed", Fault: "closed"}), "", ""},
		{"nothing was tried", analyze.InsufficientEvidence, "not-attempted", false, nil, "", ""},
	} {
		r := &analyze.Report{Kind: "probe", Target: "relay.example", Verdict: analyze.Summary{Code: c.verdict}, Sessions: []analyze.Session{{Port: 587, Verdict: c.verdict, Stage: c.stage, Expected: c.expected, Steps: c.steps}}}
		if c.evidence != "" {
			r.Findings = []analyze.Finding{{ID: "x", Evidence: []analyze.Evidence{{Quote: c.evidence, Port: 587}}}}
		}
		if got := decided(r, &r.Sessions[0]); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		var b bytes.Buffer
		if err := newText(&b, Options{}).Write(r, nil); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(b.String(), "\n      "+c.want+"\n"); c.want != "" && n != 1 {
			t.Errorf("%s: it stands there %d times\n%s", c.name, n, b.String())
		}
	}
}
