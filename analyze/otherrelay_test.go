package analyze

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/smtp-handoff/handoff/analyze/causes"
)

// serviceSays finds the service's hosts, regions and console pages.
var serviceSays = regexp.MustCompile(`ppe-hosted|[Pp]roofpoint|outbound-(us|eu)|lookalike|Administration >|Domains >|Sending Servers?|Discovery|Force SMTP|Marked invalid|silent user|functional account|New Credential|wrong-region|other region|[Tt]he service\b`)

// otherRelayTexts are failures at smtp.example.net, as four programs tell them.
var otherRelayTexts = []struct {
	name, text string
	want       Verdict
}{
	{"postfix", `This is the mail system at host mail.customer.example.

<bob@partner.example>: host smtp.example.net[192.0.2.9] said: 554 5.7.1
    <bob@partner.example>: Relay access denied (in reply to RCPT TO command)
`, Refused},
	{"postfix login", `This is the mail system at host mail.customer.example.

<bob@partner.example>: SASL authentication failed; server
    smtp.example.net[192.0.2.9] said: 535 5.7.8 Error: authentication failed:
`, Refused},
	{"exim", "2026-05-04 10:11:12 1kXxYz-0001Ab-CD ** bob@partner.example R=smarthost T=remote_smtp_smarthost H=smtp.example.net [192.0.2.9]: SMTP error from remote mail server after RCPT TO:<bob@partner.example>: 550 5.1.1 <bob@partner.example>: Recipient address rejected: User unknown\n", InboundRefused},
	{"exim time-out", "2026-05-04 10:11:12 1kXxYz-0001Ab-CD == bob@partner.example R=smarthost T=remote_smtp_smarthost defer (110): Connection timed out H=smtp.example.net [192.0.2.9]:587\n", Unreachable},
	{"swaks", `=== Trying smtp.example.net:587...
=== Connected to smtp.example.net.
<-  220 smtp.example.net ESMTP
 -> EHLO mail.customer.example
<-  250-smtp.example.net
<-  250-AUTH LOGIN PLAIN
<-  250 8BITMIME
 -> AUTH LOGIN
<** 535 5.7.8 Error: authentication failed:
*** No authentication type succeeded
 -> QUIT
<-  221 2.0.0 Bye
=== Connection closed with remote host.
`, Refused},
	{"smtplib", `Traceback (most recent call last):
  File "send.py", line 5, in <module>
    s = smtplib.SMTP("smtp.example.net", 25)
smtplib.SMTPRecipientsRefused: {'bob@partner.example': (554, b'5.7.1 <bob@partner.example>: Relay access denied')}
`, Refused},
	{"smtplib name", `Traceback (most recent call last):
  File "send.py", line 5, in <module>
    s = smtplib.SMTP("smtp.example.net", 587)
socket.gaierror: [Errno -2] Name or service not known
`, Unreachable},
}

// TestOtherRelay reads failures at a relay that the user named: nothing speaks
// of the service's hosts and pages. Without the name it is a host like any other.
func TestOtherRelay(t *testing.T) {
	for _, tt := range otherRelayTexts {
		for _, domain := range []string{"example.net", "smtp.example.net"} {
			t.Run(tt.name+" "+domain, func(t *testing.T) {
				r := Analyze([]byte(tt.text), Options{RelayDomains: []string{domain}, Facts: Facts{OurDomains: []string{"customer.example"}}})
				if r.Verdict.Code != tt.want {
					t.Errorf("verdict %s, want %s", r.Verdict.Code, tt.want)
				}
				out, err := json.Marshal(r)
				if err != nil {
					t.Fatal(err)
				}
				if said := serviceSays.FindAllString(string(out), -1); said != nil {
					t.Errorf("speaks of the service: %q in %s", said, out)
				}
			})
		}
	}
}

// TestOtherRelayBesideService keeps the service's advice where its own host
// stands in the text, whatever else the user named.
func TestOtherRelayBesideService(t *testing.T) {
	for _, tt := range otherRelayTexts {
		text := strings.ReplaceAll(tt.text, "smtp.example.net", "outbound-us1.ppe-hosted.com")
		want, err := json.Marshal(Analyze([]byte(text), Options{}))
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(Analyze([]byte(text), Options{RelayDomains: []string{"example.net"}}))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s: another answer beside a named relay:\n%s\nwant\n%s", tt.name, got, want)
		}
	}
}

// TestOtherRelayWords looks at every cause, test and finding there is.
func TestOtherRelayWords(t *testing.T) {
	x := builtinExplainer().forOther()
	for _, c := range x.causes {
		if said := serviceSays.FindString(c.fix + " " + c.source); said != "" {
			t.Errorf("cause %s speaks of the service (%q): %s [%s]", c.doc.ID, said, c.fix, c.source)
		}
	}
	for i := range catalogue {
		c := &catalogue[i]
		do := c.do
		if text, ok := wordsOf(otherRelayTests, c.id); ok {
			do = text
		}
		if c.probe != nil && c.probe.OtherRegion {
			continue // left out
		}
		if said := serviceSays.FindString(do); said != "" {
			t.Errorf("test %s speaks of the service (%q): %s", c.id, said, do)
		}
	}
	for _, d := range causes.Findings() {
		if strings.HasPrefix(d.ID, "spf-underscore") || d.ID == findingLookalike {
			continue // the one is about the service's record, the other has the word in its name
		}
		r := Report{Findings: []Finding{finding(d.ID, nil)}}
		r.sayOther()
		f := r.Findings[0]
		all := f.Title + " " + f.Why + " " + f.Source
		for _, x := range f.Fix {
			all += " " + x.Text
		}
		if said := serviceSays.FindString(all); said != "" {
			t.Errorf("finding %s speaks of the service (%q): %s", d.ID, said, all)
		}
	}
	for _, list := range [][]relayWords{otherRelayFixes, otherRelayFindings} {
		for _, w := range list {
			if _, ok := causes.Page(w.id); !ok {
				t.Errorf("words for %q, which has no page", w.id)
			}
		}
	}
	for _, w := range otherRelayTests {
		if _, err := find(w.id); err != nil {
			t.Error(err)
		}
	}
}
