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

// TestADenialAsksForWhatIsNotDone: neither the headline nor the next step nor the
// fixes send somebody to port 587 who is there, or to a login that was seen.
func TestADenialAsksForWhatIsNotDone(t *testing.T) {
	page := []Fix{{Who: SenderSystem, Text: "Send on port 587"}, {Who: RelayConfig, Text: "Have the sender registered"}}
	for _, tt := range []struct {
		port            int
		tried, loggedIn transcript.Fact
		do, next, fix   string
	}{
		{0, transcript.Unknown, transcript.Unknown, "use 587 with AUTH", "send on port 587", "Send on port 587"},
		{25, transcript.No, transcript.No, "use 587 with AUTH", "send on port 587", "Send on port 587"},
		{587, transcript.Unknown, transcript.Unknown, "check the login, or register", "look whether the client logs in", "Look whether"},
		{587, transcript.Yes, transcript.No, "check the login, or register", "look whether the client logs in", "Look whether"},
		{587, transcript.No, transcript.No, "switch AUTH on", "switch authentication on", "Switch authentication on: port 587"},
		{465, transcript.No, transcript.No, "switch AUTH on", "switch authentication on", "Switch authentication on: port 465"},
		{587, transcript.Yes, transcript.Yes, "register the sender", "have the sender", "Have the sender"},
		{0, transcript.Yes, transcript.Yes, "register the sender", "have the sender", "Have the sender"},
	} {
		obs := Observation{Kind: transcript.KindRelayDenied, Port: tt.port, AuthTried: tt.tried, LoggedIn: tt.loggedIn}
		if do := replyDo(&obs); !strings.HasPrefix(do, tt.do) {
			t.Errorf("port %d, AUTH %v, 235 %v: %q", tt.port, tt.tried, tt.loggedIn, do)
		}
		if next := replyNext(&obs); !strings.HasPrefix(next, tt.next) {
			t.Errorf("port %d, AUTH %v, 235 %v: next %q", tt.port, tt.tried, tt.loggedIn, next)
		}
		online := obs
		online.Online = true
		if do := replyDo(&online); strings.HasPrefix(do, "list Office 365") != (tt.port <= 25 && tt.loggedIn != transcript.Yes) {
			t.Errorf("port %d, 235 %v, Exchange Online: %q", tt.port, tt.loggedIn, do)
		}
		if f := deniedFixes(page, tt.port, tt.tried, tt.loggedIn); !strings.HasPrefix(f[0].Text, tt.fix) {
			t.Errorf("port %d, AUTH %v, 235 %v: first fix %q", tt.port, tt.tried, tt.loggedIn, f[0].Text)
		}
	}
}
