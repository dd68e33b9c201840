package analyze

import (
	"fmt"
	"strings"
	"testing"
)

// limitLine is a line of Postfix's log about a reply to RCPT.
func limitLine(host string, port int, reply string) string {
	status := "deferred"
	if reply[0] == '5' {
		status = "bounced"
	}
	return fmt.Sprintf("Nov 24 10:39:01 mail postfix/smtp[811]: 4F1A2B: to=<bob@recipient.example>, relay=%s[192.0.2.10]:%d, delay=1, "+
		"delays=0.1/0/0.5/0.4, dsn=%c.7.1, status=%s (host %s[192.0.2.10] said: %s (in reply to RCPT TO command))\n",
		host, port, reply[0], status, host, reply)
}

// TestWhoseLimit: a limit is the sender's or the recipient's by the words of the
// reply and by the way of the mail, never by the host's label, and open where
// neither says it.
func TestWhoseLimit(t *testing.T) {
	const mx, out = "mx1-us1.ppe-hosted.com", "outbound-us1.ppe-hosted.com"
	for _, tc := range []struct {
		host      string
		port      int
		reply     string
		ours      string
		direction Direction
		party     Party
		headline  string // what it ends in
		causes    string
	}{
		// The words speak of the recipient.
		{mx, 25, "450 4.7.1 <x@stranger.example>: Sender address rejected: too many messages for this recipient", "", Inbound, NoParty, "the recipient gets too much at once", "inbound-throttled"},
		{out, 25, "450 4.7.1 <x@stranger.example>: Sender address rejected: too many messages for this recipient", "", Inbound, NoParty, "the recipient gets too much at once", "inbound-throttled"},
		{mx, 25, "450 4.2.1 The user you are trying to contact is receiving mail too quickly", "", Inbound, NoParty, "the recipient gets too much at once", "inbound-throttled"},
		// They speak of the sender.
		{mx, 25, "450 4.7.1 <a@customer.example>: Sender address rejected: sending limit exceeded", "", Outbound, RelayPlatform, "over the sending limit, send slower", "rate-limited"},
		{mx, 25, "550 5.4.5 Daily user sending quota exceeded", "", Outbound, RelayPlatform, "over the sending limit, wait 1 to 24 hours", "rate-limited"},
		{mx, 25, "554 5.5.0 Relay Access denied", "", Outbound, RelayPlatform, "over the sending limit, wait 1 to 24 hours", "rate-limited"},
		// They do not say, and the port of those who log in does.
		{out, 587, "450 4.7.1 <a@customer.example>: Sender address rejected: rate limit exceeded", "", Outbound, RelayPlatform, "over the sending limit, send slower", "rate-limited"},
		{mx, 587, "450 4.7.1 Error: rate limit exceeded", "", Outbound, RelayPlatform, "over the sending limit, send slower", "rate-limited"},
		{mx, 587, "452 4.5.3 Per-user quota exceeded, try again in 10 minutes", "", Outbound, RelayPlatform, "over the sending limit, send slower", "rate-limited"},
		{out, 587, "450 4.7.1 <a@customer.example>: Sender address rejected: try again later", "", Outbound, RelayPlatform, "let the queue retry", ""},
		// Neither says it: the same on both labels.
		{out, 25, "450 4.7.1 <a@customer.example>: Sender address rejected: rate limit exceeded", "", UnknownDirection, RelayPlatform, "over a limit, whose is not said", "inbound-throttled rate-limited"},
		{mx, 25, "450 4.7.1 <a@customer.example>: Sender address rejected: rate limit exceeded", "", UnknownDirection, RelayPlatform, "over a limit, whose is not said", "inbound-throttled rate-limited"},
		{mx, 25, "450 4.7.1 <a@customer.example>: Sender address rejected: Throttled", "", UnknownDirection, RelayPlatform, "over a limit, whose is not said", "inbound-throttled rate-limited"},
		{mx, 25, "450 4.7.1 too many messages, try later", "", UnknownDirection, RelayPlatform, "over a limit, whose is not said", "inbound-throttled rate-limited"},
		// The user says whose domains are whose.
		{mx, 25, "450 4.7.1 too many messages, try later", "recipient.example", Inbound, NoParty, "the recipient gets too much at once", "inbound-throttled"},
		{mx, 25, "450 4.7.1 too many messages, try later", "customer.example", Outbound, RelayPlatform, "over the sending limit, send slower", "rate-limited"},
	} {
		o := Options{}
		if tc.ours != "" {
			o.Facts.OurDomains = []string{tc.ours}
		}
		r := Analyze([]byte(limitLine(tc.host, tc.port, tc.reply)), o)
		got := r.Outcomes[0]
		var causes []string
		for _, c := range got.Causes {
			causes = append(causes, c.ID)
		}
		if got.Direction != tc.direction || got.Party != tc.party || !strings.HasSuffix(r.Verdict.Headline, ": "+tc.headline) || strings.Join(causes, " ") != tc.causes {
			t.Errorf("%s %d %q, ours %q: %s, %s, %q, causes %v\nwant %s, %s, %q, %s", tc.host, tc.port, tc.reply, tc.ours,
				got.Direction, got.Party, r.Verdict.Headline, causes, tc.direction, tc.party, tc.headline, tc.causes)
		}
		if len(causes) > 1 && !strings.Contains(r.Verdict.Next, "MX record") {
			t.Errorf("%q: the next step is %q, and does not ask whose the recipient is", tc.reply, r.Verdict.Next)
		}
		if tc.direction != Inbound && strings.Contains(r.Verdict.Next, "The sending server tries again by itself") {
			t.Errorf("%q: the next step %q takes the limit for the recipient's", tc.reply, r.Verdict.Next)
		}
	}
}

// TestOtherLimitIsNoDenial: only the service's own limit has the words of a denial
// of relaying.
func TestOtherLimitIsNoDenial(t *testing.T) {
	for reply, want := range map[string]bool{
		"550 5.4.5 Daily user sending quota exceeded": false,
		"554 5.5.0 Relay Access denied":               true,
	} {
		r := Analyze([]byte(limitLine("smtp.hoster.example", 587, reply)), Options{})
		found := false
		for _, f := range r.Findings {
			found = found || f.ID == findingForeignDenied
		}
		if found != want {
			t.Errorf("%q of another server: finding %s is %v, want %v", reply, findingForeignDenied, found, want)
		}
	}
}

// TestOwnLimit: the limit of the sending system itself is not mended by a route.
func TestOwnLimit(t *testing.T) {
	r := Analyze([]byte("Reporting-MTA: dns; mail.customer.example\n\nFinal-Recipient: rfc822; bob@recipient.example\nAction: failed\nStatus: 5.4.5\n"+
		"Diagnostic-Code: X-Mail; 550 5.4.5 Daily user sending quota exceeded\n"), Options{})
	if r.Verdict.Code == NeverReached && !strings.Contains(r.Verdict.Next, "own limit") {
		t.Errorf("next is %q", r.Verdict.Next)
	}
	if r.Verdict.Code != NeverReached {
		t.Errorf("%s: %s", r.Verdict.Code, r.Verdict.Headline)
	}
}
