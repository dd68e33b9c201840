package analyze

import (
	"strings"
	"testing"
	"unicode"

	"github.com/smtp-handoff/handoff/analyze/ndr"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// TestHeadlinesStandAlone builds headlines of every verdict with short, long
// and hostile host names: never too long, never speaking of the relay where
// another host is meant, one line without anything that steers a terminal.
func TestHeadlinesStandAlone(t *testing.T) {
	hosts := []string{"", "a.example", "customer-example.mail.protection.outlook.com", strings.Repeat("very-long-label.", 15) + "example", "x\x1b[31m.example", "ünï.example"}
	stages := []transcript.Stage{"resolve", "connect", "greet", "ehlo", "tls", "auth", "envelope", "data", "accepted", "unknown"}
	for _, v := range allVerdicts {
		for _, h := range hosts {
			for _, st := range stages {
				for _, r := range []Reply{{}, {554, "5.7.1", "Relay access denied"}, {421, "", "busy"}} {
					for _, gp := range []gap{gapNone, gapLog, gapHost, gapPeer, gapDetails, gapDialog, gapDot, gapTester, gapAny} {
						g := judgement{out: Outcome{Verdict: v, RefusedBy: h, Target: h, Stage: string(st), Reply: r, Party: Network}, item: &ndr.Item{Refuser: ndr.Mention{Host: h}}, cs: &ndr.Case{}, gap: gp}
						g.obs.Stage = st
						g.obs.Kind = transcript.KindOf(replyBack(&r))
						s := headline([]judgement{g, g})
						if n := len([]rune(s.Headline)); n == 0 || n > maxHeadline {
							t.Fatalf("%d characters: %q", n, s.Headline)
						}
						if strings.ContainsFunc(s.Headline, func(c rune) bool { return unicode.IsControl(c) }) {
							t.Fatalf("%q", s.Headline)
						}
						if c := s.Headline[0]; c >= 'A' && c <= 'Z' && !strings.HasPrefix(s.Headline, "TLS") && !strings.HasPrefix(s.Headline, "STARTTLS") {
							t.Fatalf("a capital: %q", s.Headline)
						}
						if s.Next == "" {
							t.Fatalf("no next: %q", s.Headline)
						}
						if v == NeverReached && strings.HasPrefix(s.Headline, "the relay") {
							t.Fatalf("never reached, yet %q", s.Headline)
						}
						if strings.Contains(s.Headline, ": (") || strings.Contains(s.Headline, "  ") || strings.HasSuffix(s.Headline, ": ") {
							t.Fatalf("%q", s.Headline)
						}
					}
				}
			}
		}
	}
}

func TestMixedHeadline(t *testing.T) {
	var all []judgement
	for _, v := range []Verdict{NotAFailure, Refused, NeverReached, Refused, InsufficientEvidence} {
		all = append(all, judgement{out: Outcome{Verdict: v, Confidence: Certain, Party: RelayConfig}})
	}
	s := headline(all)
	if s.Code != Mixed || s.Status != Problem || s.Headline != "5 outcomes: 1 not-a-failure, 2 refused, 1 never-reached, 1 insufficient-evidence; see each recipient" {
		t.Errorf("%+v", s)
	}
	if s := headline([]judgement{all[0], all[4]}); s.Code != Mixed || s.Status != Inconclusive {
		t.Errorf("%+v", s)
	}
	if s := headline(nil); s.Code != InsufficientEvidence || s.Status != Inconclusive || s.Next == "" {
		t.Errorf("%+v", s)
	}
}
