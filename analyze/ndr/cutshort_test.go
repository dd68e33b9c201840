package ndr

import "testing"

// TestCutShort reads texts that end in the middle of a line: no host is taken
// from a part of its name, and no decision from a part of the words for it.
func TestCutShort(t *testing.T) {
	const vis = "This is the mail system at host mx.firma.example.\n\nI'm sorry to have to inform you that your message could not\nbe delivered to one or more recipients.\n\n                   The mail system\n\n"
	const log = "Nov 24 10:51:26 mx postfix/smtp[173]: 4D4C79CA1B9: to=<desk@partner.example>, relay=outbound-us1.ppe-hosted.com[192.0.2.10]:587, delay=0.18, dsn=4.4.2, status=deferred "
	for _, text := range []string{
		vis + "<desk@partner.example>: TLS is required, but was not offe",
		vis + "<desk@partner.example>: TLS is required, but was not offered by host outb",
		vis + "<desk@partner.example>: unable to look up h",
		vis + "<desk@partner.example>: connect to outbound-us1.pp",
		vis + "<desk@partner.example>: host outbound-us1.ppe-hosted.c",
		log + "(h",
		log + "(host outbound-us1.ppe-hos",
		log + "(conversation with ",
		"Nov 24 11:11:59 mx sendmail[84]: 6AOBBxGA000084: to=desk@partner.example, delay=00:00:00, mailer=relay, relay=outbound-us1.ppe-hosted.com. [192.0.2.10], dsn=4.7.0, stat=Defe",
		"curl: (6) Could not resolve host: outbound-us1.ppe",
	} {
		for _, c := range Read([]byte(text)) {
			for i := range c.Items {
				it := &c.Items[i]
				for _, m := range [...]*Mention{&it.Refuser, &it.Target} {
					if m.Host != "" && m.Host != "outbound-us1.ppe-hosted.com" {
						t.Errorf("%q: %s %s", text[max(0, len(text)-40):], m.Role, m.Host)
					}
				}
				if !it.LocalReply.IsZero() && !it.LocalOnlyExpiry && it.Fault == "" {
					t.Errorf("%q: the reporter decided: %+v", text[max(0, len(text)-40):], it.LocalReply)
				}
			}
		}
	}
	// The same at the end of a line says what it says.
	for _, c := range Read([]byte("curl: (6) Could not resolve host: mail.firma.example")) {
		if len(c.Items) != 1 || c.Items[0].Target.Host != "mail.firma.example" {
			t.Errorf("%+v", c.Items)
		}
	}
}

// TestCutReport reads the beginnings of mails that a mail system wrote.
func TestCutReport(t *testing.T) {
	for text, nature := range map[string]Nature{
		"Return-Path: <>\nReceived: from localhost by mx.firma.example\n\tid 1; Tue, 24 Nov 2026 10:00:00 +0000\nFrom: MAILER-DAEMON@mx.firma.example\nSubject: Undelivered Mail Returned to Sender\nTo: a@firma.example\nAuto-Submitted: auto-replied\n\nThis is the ma": NatureReport,
		"Return-Path: <>\nReceived: from localhost by mx.firma.example\n\tid 1; Tue, 24 Nov 2026 10:00:00 +0000\n":                                                                                                                                                        NatureReport,
		"From: Ann <ann@firma.example>\nTo: bob@partner.example\nSubject: lunch\nDate: Tue, 24 Nov 2026 10:00:00 +0000\n\nAt noon?\n":                                                                                                                                     NatureOther,
		"From: Ann <ann@firma.example>\nTo: bob@partner.example\nSubject: Automatic reply: lunch\nAuto-Submitted: auto-replied\nDate: Tue, 24 Nov 2026 10:00:00 +0000\n\n":                                                                                                NatureAutoreply,
		"From: noreply@reports.example\nTo: dmarc@firma.example\nSubject: Report domain: firma.example\nMIME-Version: 1.0\nContent-Type: application/zip; name=\"r.zip\"\nContent-Transfer-Encoding: base64\n\nUEsDBAoAAAAIAAAAIQAAAAAAAAAAAAAAAAAAAAAA\n":                NatureOther,
	} {
		if c := Read([]byte(text)); len(c) != 1 || c[0].Nature != nature {
			t.Errorf("%q: %+v", text, c)
		}
	}
}
