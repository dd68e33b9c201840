package analyze

import (
	"strings"
	"testing"
)

// TestStoppedFor sends what sending systems say of mail that they stop
// themselves, and looks at what the headline and the next step ask for: not for
// another route.
func TestStoppedFor(t *testing.T) {
	const report = "Diagnostic information for administrators:\n\nGenerating server: mail.firma.example\n\ndesk@partner.example\n"
	for _, tt := range []struct{ reply, do, next string }{
		{"550 5.1.8 Access denied, bad outbound sender AS(42003)", "unblock the account", "restricted entities"},
		{"550 5.7.708 Access denied, traffic not accepted from this IP", "have the tenant's block lifted", "Microsoft support"},
		{"550 5.7.520 Access denied, Your organization does not allow external forwarding.", "allow forwarding", "forwarding rule"},
		{"550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", "check the recipient", "correct the address"},
		{"554 5.4.14 Hop count exceeded - possible mail loop ATTR34", "break the loop", "connectors"},
		{"550 5.7.1 RESOLVER.RST.AuthRequired; authentication required", "check the routing", "Route the mail to the relay"},
	} {
		t.Run(tt.reply[:10], func(t *testing.T) {
			r := Analyze([]byte(report+"Remote Server returned '"+tt.reply+"'\n"), Options{})
			if r.Verdict.Code != NeverReached || !strings.Contains(r.Verdict.Headline, tt.do) || !strings.Contains(r.Verdict.Next, tt.next) {
				t.Errorf("%s: %q, next %q", r.Verdict.Code, r.Verdict.Headline, r.Verdict.Next)
			}
			// The same reply by a host beyond is about the route all the same.
			r = Analyze([]byte(report+"mx.partner.example\nRemote Server returned '550 5.7.1 Spam message rejected'\n"), Options{})
			if !strings.Contains(r.Verdict.Next, "Route the mail to the relay") {
				t.Errorf("refused by another host: next %q", r.Verdict.Next)
			}
		})
	}
}
