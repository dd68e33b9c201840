package analyze

import (
	"slices"
	"strings"
	"testing"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// fate is what an analysis has to say of one recipient.
type fate struct {
	recipient string
	verdict   Verdict
	stage     transcript.Stage
	party     Party
	code      int
	by        string // who refused
	cause     string // among the causes; "none": there must be none
}

// TestWordsOfRealServers holds what Debian's Postfix and Exim wrote in set-ups
// whose truth is known against that truth. Each text is there because it was read
// wrong, or with less than it tells.
func TestWordsOfRealServers(t *testing.T) {
	const (
		smtp  = "Nov 24 19:43:18 mail postfix/smtp[5567]: D98179C4061: to=<desk@partner.example>, relay=outbound-us1.ppe-hosted.com[192.0.2.10]:587, delay=0.07, delays=0.01/0.02/0.05/0, dsn=4.7.0, status=deferred ("
		exim  = "2026-11-24 20:07:04 1xVwnA-0003GI-2M "
		login = "AUTH PLAIN ********************"
	)
	for _, c := range []struct {
		name, text string
		want       []fate
		headline   string // words that it has to hold
	}{
		{
			name:     "Postfix: no mechanism in common, the server is named",
			text:     smtp + "SASL authentication failed: server outbound-us1.ppe-hosted.com[192.0.2.10] offered no compatible authentication mechanisms for this type of connection security)\n",
			want:     []fate{{"desk@partner.example", Refused, transcript.StageAuth, SenderSystem, 0, smartHost, "mechanism-missing"}},
			headline: "no AUTH that the client has",
		},
		{
			name: "Postfix: a login that goes in circles",
			text: smtp + "SASL authentication failed; authentication protocol loop with server outbound-us1.ppe-hosted.com[192.0.2.10])\n",
			want: []fate{{"desk@partner.example", Deferred, transcript.StageAuth, Network, 0, "", ""}},
		},
		{
			name:     "Postfix: an address beyond ASCII",
			text:     strings.ReplaceAll(smtp, "desk@", "jörg@") + "SMTPUTF8 is required, but was not offered by host outbound-us1.ppe-hosted.com[192.0.2.10])\n",
			want:     []fate{{"jörg@partner.example", Refused, transcript.StageEnvelope, SenderSystem, 0, smartHost, "none"}},
			headline: "SMTPUTF8",
		},
		{
			name:     "Postfix: DANE is asked for and DNS has none, the log names whom for",
			text:     "Nov 24 19:43:06 mail postfix/smtp[3326]: warning: TLS policy lookup for [outbound-us1.ppe-hosted.com]:587/outbound-us1.ppe-hosted.com: no TLSA records found\nNov 24 19:43:06 mail postfix/smtp[3326]: CCBCE9C0180: to=<desk@partner.example>, relay=none, delay=0.04, delays=0.01/0.03/0/0, dsn=4.7.5, status=deferred (no TLSA records found)\n",
			want:     []fate{{"desk@partner.example", Unreachable, transcript.StageResolve, SenderSystem, 0, "", ""}},
			headline: "DANE",
		},
		{
			name: "Postfix: the same without the line that names whom for",
			text: "Nov 24 19:43:06 mail postfix/smtp[3326]: CCBCE9C0180: to=<desk@partner.example>, relay=none, delay=0.04, delays=0.01/0.03/0/0, dsn=4.7.5, status=deferred (no TLSA records found)\n",
			want: []fate{{"desk@partner.example", InsufficientEvidence, transcript.StageResolve, UnknownParty, 0, "", "none"}},
		},
		{
			name: "Postfix: the relay speaks of the sender's DMARC policy, and the sender is ours",
			text: "Nov 24 19:43:54 mail postfix/qmgr[1]: D96709C60A2: from=<alerts@customer.example>, size=431, nrcpt=1 (queue active)\n" +
				"Nov 24 19:43:54 mail postfix/smtp[9893]: D96709C60A2: to=<desk@partner.example>, relay=outbound-us1.ppe-hosted.com[192.0.2.10]:25, delay=0.06, delays=0.01/0.01/0/0.04, dsn=5.7.0, status=bounced (host outbound-us1.ppe-hosted.com[192.0.2.10] said: 550 5.7.0 Email rejected per sender's DMARC policy (in reply to end of DATA command))\n",
			want: []fate{{"desk@partner.example", InboundRefused, transcript.StageData, SenderSystem, 550, smartHost, "sender-dmarc"}},
		},
		{
			name: "Postfix: a report of the next server comes back through the sender",
			text: "Nov 24 20:01:56 mail postfix/qmgr[26270]: 0D3009F2619: from=<alerts@customer.example>, size=431, nrcpt=1 (queue active)\n" +
				"Nov 24 20:01:56 mail postfix/smtp[26404]: 0D3009F2619: to=<desk@partner.example>, relay=mta-b.customer.example[192.0.2.25]:25, delay=0.08, delays=0.01/0.05/0/0.01, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 1E52A9F261B)\n" +
				"Nov 24 20:01:56 mail postfix/qmgr[26270]: 305839F261D: from=<>, size=2978, nrcpt=1 (queue active)\n" +
				"Nov 24 20:01:56 mail postfix/virtual[26432]: 305839F261D: to=<alerts@customer.example>, relay=virtual, delay=0.03, delays=0.01/0.01/0/0, dsn=2.0.0, status=sent (delivered to maildir)\n" +
				"Nov 24 20:01:56 mta-b postfix/qmgr[26189]: 1E52A9F261B: from=<alerts@customer.example>, size=637, nrcpt=1 (queue active)\n" +
				"Nov 24 20:01:56 mta-b postfix/smtp[26421]: 1E52A9F261B: to=<desk@partner.example>, relay=outbound-us1.ppe-hosted.com[192.0.2.10]:25, delay=0.07, delays=0.01/0.01/0.01/0.05, dsn=5.7.1, status=bounced (host outbound-us1.ppe-hosted.com[192.0.2.10] said: 554 5.7.1 <desk@partner.example>: Relay access denied (in reply to RCPT TO command))\n",
			want: []fate{{"desk@partner.example", Refused, transcript.StageEnvelope, RelayConfig, 554, smartHost, ""}},
		},
		{
			name: "Postfix: a mail to nobody in particular that arrived is told where nothing else is",
			text: "Nov 24 20:01:56 mail postfix/qmgr[26270]: 305839F261D: from=<>, size=2978, nrcpt=1 (queue active)\n" +
				"Nov 24 20:01:56 mail postfix/smtp[26432]: 305839F261D: to=<desk@partner.example>, relay=outbound-us1.ppe-hosted.com[192.0.2.10]:25, delay=0.03, delays=0.01/0.01/0/0, dsn=2.0.0, status=sent (250 2.0.0 Ok)\n",
			want: []fate{{"desk@partner.example", NotAFailure, transcript.StageAccepted, NoParty, 250, "", "none"}},
		},
		{
			name: "Postfix: lost inside TLS, where Postfix still says EHLO",
			text: "Nov 24 19:43:05 mail postfix/smtp[3163]: Trusted TLS connection established to outbound-us1.ppe-hosted.com[192.0.2.10]:587: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\n" +
				"Nov 24 19:43:06 mail postfix/smtp[3163]: E330A9C04E1: to=<desk@partner.example>, relay=outbound-us1.ppe-hosted.com[192.0.2.10]:587, delay=0.08, delays=0.01/0.03/0.05/0, dsn=4.4.2, status=deferred (lost connection with outbound-us1.ppe-hosted.com[192.0.2.10] while performing the EHLO handshake)\n",
			want: []fate{{"desk@partner.example", HandshakeFailed, transcript.StageEHLO, Network, 0, "", "connection-dropped"}},
		},
		{
			name: "Exim: the router names the host that DNS does not know",
			text: exim + "** desk@partner.example R=smarthost: lookup of host \"outbound-us9.ppe-hosted.com\" failed in smarthost router\n",
			want: []fate{{"desk@partner.example", Unreachable, transcript.StageResolve, SenderSystem, 0, "", "smarthost-typo"}},
		},
		{
			name: "Exim: DATA refused in a pipelined session; the reply names the command",
			text: exim + "** desk@partner.example R=smarthost T=relay H=outbound-us1.ppe-hosted.com [192.0.2.10]:25: SMTP error from remote mail server after pipelined DATA: 554 5.7.1 <DATA>: Data command rejected: Access denied\n",
			want: []fate{{"desk@partner.example", Refused, transcript.StageData, SenderSystem, 554, smartHost, ""}},
		},
		{
			name: "Exim: a write fails in the middle of the message",
			text: exim + "H=outbound-us1.ppe-hosted.com [192.0.2.10]:25: outbound-us1.ppe-hosted.com [192.0.2.10]: Broken pipe\n" +
				exim + "== desk@partner.example R=smarthost T=relay defer (32): Broken pipe H=outbound-us1.ppe-hosted.com [192.0.2.10]:25: outbound-us1.ppe-hosted.com [192.0.2.10]\n" +
				exim + "** desk@partner.example: retry timeout exceeded\n",
			want: []fate{{"desk@partner.example", Deferred, transcript.StageData, Network, 0, "", "connection-dropped"}},
		},
		{
			name: "Exim: it asked the relay before it took the mail, and passed its refusal on",
			text: "2026-11-24 20:07:18 H=(app.customer.example) [192.0.2.99] F=<alerts@customer.example> rejected RCPT <desk@partner.example>: outbound-us1.ppe-hosted.com [192.0.2.10] : SMTP error from remote mail server after RCPT TO:<desk@partner.example>: 554 5.7.1 <desk@partner.example>: Relay access denied\n",
			want: []fate{{"desk@partner.example", Refused, transcript.StageEnvelope, RelayConfig, 554, smartHost, "sending-server-not-listed"}},
		},
		{
			name: "Exim: its own mailbox by the local part, with the address behind it",
			text: exim + "=> alerts <alerts@customer.example> R=own T=box\n",
			want: []fate{{"alerts@customer.example", NotAFailure, transcript.StageAccepted, NoParty, 0, "", "none"}},
		},
		{
			name: "Exim: a group whose outside members were refused differently",
			text: "From: Mail Delivery System <Mailer-Daemon@mail.customer.example>\nTo: alerts@customer.example\nSubject: Mail delivery failed: returning message to sender\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\n" +
				"Content-Type: multipart/report; report-type=delivery-status; boundary=\"b-1\"\n\n--b-1\nContent-Type: text/plain; charset=us-ascii\n\n" +
				"This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to one or more of its\nrecipients. This is a permanent error. The following address(es) failed:\n\n" +
				"  member2@partner.example\n    (generated from team@customer.example)\n    host outbound-us1.ppe-hosted.com [192.0.2.10]\n    SMTP error from remote mail server after RCPT TO:<member2@partner.example>:\n    550 5.1.1 <member2@partner.example>: Recipient address rejected:\n    User unknown in relay recipient table\n" +
				"  member1@partner.example\n    (generated from team@customer.example)\n    host outbound-us1.ppe-hosted.com [192.0.2.10]\n    SMTP error from remote mail server after RCPT TO:<member1@partner.example>:\n    554 5.7.1 <member1@partner.example>: Relay access denied\n\n" +
				"--b-1\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mail.customer.example\n\n" +
				"Action: failed\nFinal-Recipient: rfc822;team@customer.example\nStatus: 5.0.0\nRemote-MTA: dns; outbound-us1.ppe-hosted.com\nDiagnostic-Code: smtp; 554 5.7.1 <member1@partner.example>: Relay access denied\n\n" +
				"Action: failed\nFinal-Recipient: rfc822;team@customer.example\nStatus: 5.0.0\nRemote-MTA: dns; outbound-us1.ppe-hosted.com\nDiagnostic-Code: smtp; 550 5.1.1 <member2@partner.example>: Recipient address rejected: User unknown in relay recipient table\n\n--b-1--\n",
			want: []fate{
				{"member1@partner.example", Refused, transcript.StageEnvelope, RelayConfig, 554, smartHost, "distribution-group-external"},
				{"member2@partner.example", InboundRefused, transcript.StageEnvelope, RecipientSystem, 550, smartHost, "recipient-unknown-at-relay"},
			},
		},
		{
			name: "Exim: a delay notice in an administrator's own words",
			text: "Diese Nachricht liegt seit mehr als einer Stunde in der Warteschlange von mail.customer.example.\n\nEs fehlen noch:\n\n  desk@partner.example\n    host outbound-us1.ppe-hosted.com [192.0.2.10]\n    Delay reason: SMTP error from remote mail server after initial connection:\n    421 4.3.2 All screening ports are busy\n\nEs ist nichts zu tun.\n",
			want: []fate{{"desk@partner.example", NotAFailure, transcript.StageAccepted, RelayPlatform, 421, smartHost, ""}},
		},
		{
			name: "Exim: a login put off, and then given up",
			text: exim + "== desk@partner.example R=smarthost T=relay defer (0) H=outbound-us1.ppe-hosted.com [192.0.2.10]:587: SMTP error from remote mail server after " + login + ": 454 4.7.0 Temporary authentication failure: generic failure\n" +
				exim + "** desk@partner.example: retry timeout exceeded\n",
			want: []fate{{"desk@partner.example", Deferred, transcript.StageAuth, RelayPlatform, 454, smartHost, "sasl-unavailable"}},
		},
		{
			name: "OpenSMTPD: the relay's address has no name in DNS, the route has",
			text: "02aab37a8f397e09 mta connecting address=smtp://192.0.2.10:25 host=192.0.2.10\n02aab37a8f397e09 mta connected\n02aab37a8f397e09 mta error reason=BANNER rejected: 421 4.3.2 All screening ports are busy\n" +
				"smtp-out: Disabling route [] <-> 192.0.2.10 (192.0.2.10) for 15s\nsmtp-out: No valid route for [connector:[]->[relay:outbound-us1.ppe-hosted.com,port=25,smtp,mx],0x0]\n" +
				"0000000000000000 mta delivery evpid=b05b334d8b77b7d5 from=<alerts@customer.example> to=<desk@partner.example> rcpt=<-> source=\"-\" relay=\"outbound-us1.ppe-hosted.com\" delay=11s result=\"TempFail\" stat=\"Network error on destination MXs\"\n",
			want: []fate{{"desk@partner.example", Deferred, transcript.StageGreet, RelayPlatform, 421, smartHost, "relay-busy"}},
		},
		{
			name: "OpenSMTPD: the same, and nothing listens there",
			text: "180b10fe80fae4d0 mta connecting address=smtp://192.0.2.10:587 host=192.0.2.10\n180b10fe80fae4d0 mta error reason=IO Error: Connection refused\n" +
				"0000000000000000 mta delivery evpid=1ffe26855b51d9db from=<alerts@customer.example> to=<desk@partner.example> rcpt=<-> source=\"-\" relay=\"outbound-us1.ppe-hosted.com\" delay=11s result=\"TempFail\" stat=\"Network error on destination MXs\"\n",
			want: []fate{{"desk@partner.example", Unreachable, transcript.StageConnect, Network, 0, "", "connection-refused"}},
		},
	} {
		t.Run(c.name, func(t *testing.T) { checkFates(t, c.text, c.want, c.headline) })
	}
}

func checkFates(t *testing.T, text string, want []fate, headline string) {
	t.Helper()
	rep := Analyze([]byte(text), Options{Facts: Facts{OurDomains: []string{"customer.example"}}})
	var got []fate
	for i := range rep.Outcomes {
		o := &rep.Outcomes[i]
		g := fate{o.Recipient, o.Verdict, transcript.Stage(o.Stage), o.Party, o.Reply.Code, o.RefusedBy, ""}
		if i < len(want) {
			cause := want[i].cause
			if cause == "none" && len(o.Causes) == 0 || slices.ContainsFunc(o.Causes, func(x Cause) bool { return x.ID == cause }) {
				g.cause = cause
			}
		}
		got = append(got, g)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v\n%s", got, want, text)
	}
	if !strings.Contains(rep.Verdict.Headline, headline) {
		t.Errorf("the headline is %q, without %q", rep.Verdict.Headline, headline)
	}
}

// Postfix gives two reports about one message in one second the same boundary.
func TestTwoReportsWithOneBoundary(t *testing.T) {
	mail := func(recipient, reply string) string {
		return "Return-Path: <>\nDate: Tue, 24 Nov 2026 19:44:34 +0000 (UTC)\nFrom: Mail Delivery System <MAILER-DAEMON@mail.customer.example>\nSubject: Undelivered Mail Returned to Sender\nTo: alerts@customer.example\nMIME-Version: 1.0\n" +
			"Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"9116B9EE4C6.1795549474/mail.customer.example\"\n\nThis is a MIME-encapsulated message.\n\n" +
			"--9116B9EE4C6.1795549474/mail.customer.example\nContent-Type: text/plain; charset=us-ascii\n\nThis is the mail system at host mail.customer.example.\n\n" +
			"<" + recipient + ">: host outbound-us1.ppe-hosted.com[192.0.2.10] said: " + reply + "\n    (in reply to RCPT TO command)\n\n" +
			"--9116B9EE4C6.1795549474/mail.customer.example\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mail.customer.example\nX-Postfix-Queue-ID: 9116B9EE4C6\n\n" +
			"Final-Recipient: rfc822; " + recipient + "\nAction: failed\nStatus: " + reply[4:9] + "\nRemote-MTA: dns; outbound-us1.ppe-hosted.com\nDiagnostic-Code: smtp; " + reply + "\n\n" +
			"--9116B9EE4C6.1795549474/mail.customer.example\nContent-Type: message/rfc822\n\nFrom: alerts@customer.example\nTo: somebody@partner.example\nSubject: order\n\nhello\n\n--9116B9EE4C6.1795549474/mail.customer.example--\n"
	}
	checkFates(t, mail("a@one.example", "554 5.7.1 <a@one.example>: Relay access denied")+"\n\n"+mail("c@three.example", "450 4.7.1 <c@three.example>: Recipient address rejected: Greylisted"), []fate{
		{"a@one.example", Refused, transcript.StageEnvelope, RelayConfig, 554, smartHost, ""},
		{"c@three.example", Deferred, transcript.StageEnvelope, SenderSystem, 450, smartHost, "greylisted"},
	}, "2 outcomes")
}
