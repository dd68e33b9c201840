package analyze

import (
	"strings"
	"testing"
)

// TestPrograms holds the rows together: a server has a log, a client a switch, and
// no row hides behind one before it.
func TestPrograms(t *testing.T) {
	for i := range programs {
		p := &programs[i]
		if p.log != "" && p.show != "" || (p.log == "") != (p.id == "") {
			t.Errorf("row %d: log %q, id %q, show %q", i, p.log, p.id, p.show)
		}
		if len(p.formats) == 0 && len(p.clues) == 0 {
			t.Errorf("row %d fits nothing", i)
		}
		for k := range i {
			for _, f := range p.formats {
				for _, before := range programs[k].formats {
					if strings.HasPrefix(f, before) {
						t.Errorf("%q never gets to row %d: row %d has %q", f, i, k, before)
					}
				}
			}
		}
	}
}

// TestAskNamesTheProgram: the text that is asked for is that of the program seen,
// of the message and the minutes that are known.
func TestAskNamesTheProgram(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{
			"nodemailer", "Error: Invalid login: 535 5.7.8 Error: authentication failed: authentication failure\n    at SMTPConnection._formatError (/app/node_modules/nodemailer/lib/smtp-connection/index.js:790:19) {\n  code: 'EAUTH',\n  response: '535 5.7.8 Error: authentication failed: authentication failure',\n  responseCode: 535,\n  command: 'AUTH PLAIN'\n}\n",
			"logger: true and debug: true",
		},
		{
			"PHPMailer", "SMTP Error: Could not authenticate.\nSMTP ERROR: Password command failed: 535 5.7.8 Error: authentication failed: authentication failure\n",
			"SMTPDebug of PHPMailer",
		},
		{
			"smtplib", "Traceback (most recent call last):\n  File \"/usr/lib/python3.12/smtplib.py\", line 750, in login\n    raise last_exception\nsmtplib.SMTPAuthenticationError: (535, b'5.7.8 Error: authentication failed: authentication failure')\n",
			"set_debuglevel(1)",
		},
		{
			"Exim's log", "2026-11-24 10:39:01 1tF2ab-000001-AB ** bob@recipient.example R=smarthost T=remote_smtp: retry timeout exceeded\n",
			"send all lines of the Exim main log with message 1tF2ab-000001-AB from 10:38 to 10:40 on 2026-11-24",
		},
		{
			"Exim's bounce, of which only the words are there", "This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to one or more of its\nrecipients. This is a permanent error. The following address(es) failed:\n\n  bob@recipient.example\n    retry timeout exceeded\n",
			"Exim main log",
		},
		{"nothing known", "Message rejected\n", "send the bounce itself, or the sending server's SMTP log"},
	} {
		r := Analyze([]byte(tc.text), Options{})
		if r.Verdict.Code != InsufficientEvidence || len(r.NextTests) == 0 || !strings.Contains(r.NextTests[0].Do, tc.want) {
			t.Errorf("%s: %s, next tests %+v, want %q", tc.name, r.Verdict.Code, r.NextTests, tc.want)
		}
	}
}
