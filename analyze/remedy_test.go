package analyze

import (
	"slices"
	"strings"
	"testing"

	"github.com/smtp-handoff/handoff/analyze/ndr"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// TestCauseDoNamesCauses holds the rows against the pages.
func TestCauseDoNamesCauses(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range causeDo {
		if !slices.ContainsFunc(builtinExplainer().causes, func(s *suspect) bool { return s.doc.ID == c.id }) {
			t.Errorf("%s is no cause", c.id)
		}
		if seen[c.id] {
			t.Errorf("%s stands twice", c.id)
		}
		seen[c.id] = true
		if len(c.do) > 45 {
			t.Errorf("%s: %q is too long for a headline", c.id, c.do)
		}
	}
}

// TestHeadlineAgreesWithNext: the few words of the headline and the next step ask
// for the same.
func TestHeadlineAgreesWithNext(t *testing.T) {
	postfix := func(port, dsn, status, reason string) string {
		return "Nov 24 10:39:01 mail postfix/smtp[811]: 4F1A2B: to=<bob@recipient.example>, relay=outbound-us1.ppe-hosted.com[192.0.2.10]:" + port +
			", delay=1, delays=0.1/0/0.5/0.4, dsn=" + dsn + ", status=" + status + " (" + reason + ")\n"
	}
	delay := func(code, text string) string {
		return "Reporting-MTA: dns; mail.customer.example\n\nFinal-Recipient: rfc822; bob@recipient.example\nAction: delayed\nStatus: 4.0.0\n" +
			"Remote-MTA: dns; outbound-us1.ppe-hosted.com\nDiagnostic-Code: smtp; " + code + " " + text + "\n"
	}
	for _, tc := range []struct{ name, text, do, next string }{
		{
			"a published name that is not found",
			"Error: getaddrinfo ENOTFOUND outbound-us1.ppe-hosted.com\n    at GetAddrInfoReqWrap.onlookup [as oncomplete] (node:dns:109:26)\n",
			"repair the resolver", "Repair the resolver",
		},
		{
			"a wrong name", "Error: getaddrinfo ENOTFOUND outbound-us9.ppe-hosted.com\n    at GetAddrInfoReqWrap.onlookup [as oncomplete] (node:dns:109:26)\n",
			"correct the name of the smart host", "letter by letter",
		},
		{
			"the null sender", "$ swaks -f <> -t bob@recipient.example -s outbound-us1.ppe-hosted.com\n=== Connected to outbound-us1.ppe-hosted.com.\n" +
				"<-  220 mx1-us1.ppe-hosted.com ESMTP\n -> EHLO a.customer.example\n<-  250 mx1-us1.ppe-hosted.com\n -> MAIL FROM:<>\n<-  250 2.1.0 Ok\n" +
				" -> RCPT TO:<bob@recipient.example>\n<** 554 5.7.1 <bob@recipient.example>: Relay access denied\n",
			"send such answers by another way", "by another way",
		},
		{
			"no login on 587", "$ swaks -f a@customer.example -t bob@recipient.example -s outbound-us1.ppe-hosted.com -p 587 -tls\n=== Connected to outbound-us1.ppe-hosted.com.\n" +
				"<-  220 mx1-us1.ppe-hosted.com ESMTP\n -> EHLO a.customer.example\n<-  250-mx1-us1.ppe-hosted.com\n<-  250 STARTTLS\n -> STARTTLS\n<-  220 2.0.0 Ready to start TLS\n" +
				"=== TLS started with cipher TLSv1.3:TLS_AES_256_GCM_SHA384:256\n ~> EHLO a.customer.example\n<~  250-mx1-us1.ppe-hosted.com\n<~  250 AUTH PLAIN LOGIN\n" +
				" ~> MAIL FROM:<a@customer.example>\n<~  250 2.1.0 Ok\n ~> RCPT TO:<bob@recipient.example>\n<~* 554 5.7.1 <bob@recipient.example>: Relay access denied\n",
			"switch AUTH on", "Switch authentication on",
		},
		{
			"many faults of TLS fit", postfix("587", "4.7.5", "deferred", "Cannot start TLS: handshake failure"),
			"read in the log how it failed", "the words of the fault",
		},
		{
			"put off, and nothing known of the recipient", postfix("25", "4.7.1", "deferred", "host outbound-us1.ppe-hosted.com[192.0.2.10] said: 450 4.7.1 <bob@recipient.example>: Recipient address rejected: not now (in reply to RCPT TO command)"),
			"retry later, then ask their admin", "let the queue retry",
		},
		{
			"unknown words at RCPT", postfix("25", "5.7.1", "bounced", "host outbound-us1.ppe-hosted.com[192.0.2.10] said: 550 5.7.1 Sorry, no (in reply to RCPT TO command)"),
			"check port, AUTH and sender", "check port, AUTH and sender",
		},
		{
			"a limit of the sender's, for now", postfix("587", "4.7.1", "deferred", "host outbound-us1.ppe-hosted.com[192.0.2.10] said: 450 4.7.1 sending limit exceeded (in reply to RCPT TO command)"),
			"over the sending limit, send slower", "send slower and let the queue retry",
		},
		{"a delay that passes", delay("421", "4.3.2 All screening ports are busy"), "wait, the sender keeps trying", "wait, the sending queue retries"},
		{"a delay that stays", delay("535", "5.7.8 Error: authentication failed: authentication failure"), "check age and spelling of the credential", "60 minutes"},
	} {
		r := Analyze([]byte(tc.text), Options{})
		if !strings.HasSuffix(r.Verdict.Headline, ": "+tc.do) || !strings.Contains(r.Verdict.Next, tc.next) {
			t.Errorf("%s: %q, next %q; want ... %q and ... %q", tc.name, r.Verdict.Headline, r.Verdict.Next, tc.do, tc.next)
		}
	}
}

// TestGivenUpIsNotWaitedFor: what a queue has given up does not come by waiting.
func TestGivenUpIsNotWaitedFor(t *testing.T) {
	for _, tc := range []struct {
		kind  transcript.Kind
		reply Reply
		want  bool
	}{
		{transcript.KindRelayBusy, Reply{Code: 421, Enhanced: "4.3.2", Text: "All screening ports are busy"}, true},
		{transcript.KindGreylisted, Reply{Code: 450, Text: "Greylisted"}, true},
		{transcript.KindVerificationPending, Reply{Code: 450, Text: "unverified address"}, true},
		{transcript.KindRateLimited, Reply{Code: 450, Text: "sending limit exceeded"}, false},
		{transcript.KindTooManyConnections, Reply{Code: 421, Text: "too many connections"}, false},
		{transcript.KindUnknown, Reply{}, false}, // no reply: nothing says that it passes
	} {
		g := expiredJudgement(tc.kind, tc.reply)
		if got := g.givenUp(); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.kind, got, tc.want)
		}
		if next := g.next(); tc.want != (next == "sender-system: "+sendAgain) {
			t.Errorf("%s: next is %q", tc.kind, next)
		}
	}
}

func expiredJudgement(kind transcript.Kind, reply Reply) *judgement {
	g := &judgement{item: &ndr.Item{Expired: true}}
	g.out.Verdict, g.out.Reply = Deferred, reply
	g.obs.Kind = kind
	g.obs.Reply = replyBack(&reply)
	return g
}
