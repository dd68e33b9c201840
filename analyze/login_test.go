package analyze

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
)

// talkOf is a dialogue whose client logs in by AUTH LOGIN and is refused at RCPT.
func talkOf(auth, sender string) string {
	return strings.Join([]string{
		"<-  220 mx1-us1.ppe-hosted.com ESMTP", " -> EHLO mail.customer.example", "<-  250-mx1-us1.ppe-hosted.com", "<-  250 STARTTLS",
		" -> STARTTLS", "<-  220 2.0.0 Ready to start TLS", "=== TLS started with cipher TLSv1.3:TLS_AES_256_GCM_SHA384:256",
		" ~> EHLO mail.customer.example", "<~  250-mx1-us1.ppe-hosted.com", "<~  250 AUTH PLAIN LOGIN",
		auth, "<~  235 2.7.0 Authentication successful",
		" ~> MAIL FROM:<" + sender + ">", "<~  250 2.1.0 Ok", " ~> RCPT TO:<bob@recipient.example>",
		"<~* 554 5.7.1 <bob@recipient.example>: Relay access denied", " ~> QUIT", "<~  221 2.0.0 Bye",
	}, "\n") + "\n"
}

// TestLoginOfADialogue: a dialogue that shows the user name answers whether the
// sender is the login's own name, so that nobody is asked to compare the two.
func TestLoginOfADialogue(t *testing.T) {
	const user = "scanner@customer.example"
	name := base64.StdEncoding.EncodeToString([]byte(user))
	asked := " ~> AUTH LOGIN\n<~  334 VXNlcm5hbWU6\n ~> " + name + "\n<~  334 UGFzc3dvcmQ6\n ~> cGFzczEyMzQ1"
	at := " ~> AUTH LOGIN " + name + "\n<~  334 UGFzc3dvcmQ6\n ~> cGFzczEyMzQ1"
	hidden := " ~> AUTH LOGIN\n<~  334 VXNlcm5hbWU6\n ~> ****\n<~  334 UGFzc3dvcmQ6\n ~> ****"
	for _, tt := range []struct {
		name, auth, sender string
		missing            bool // credential-user-missing fits
		compare            bool // the login is to be compared with the sender
	}{
		{"own name", asked, user, true, false},
		{"hidden behind the command", at, user, true, true},
		{"another sender", asked, "alice@customer.example", false, false},
		{"hidden", hidden, user, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := []byte(talkOf(tt.auth, tt.sender))
			o := Options{Facts: Facts{OurDomains: []string{"customer.example"}}}
			obs := ObserveText(text, o)
			if len(obs) != 1 {
				t.Fatalf("%d observations", len(obs))
			}
			if login := obs[0].Login; (login == "") != tt.compare || login != "" && login != user {
				t.Errorf("login %q", login)
			}
			e := Explain(obs, o.Facts)
			if got := slices.Contains(e.IDs(), "credential-user-missing"); got != tt.missing {
				t.Errorf("credential-user-missing among %v: %v", e.IDs(), got)
			}
			got := slices.ContainsFunc(NextTests(e, obs, o.Facts), func(n NextTest) bool { return n.ID == "compare-sender" })
			if got != tt.compare {
				t.Errorf("compare-sender is proposed: %v", got)
			}
		})
	}
}

// TestClientThatMissedAUTH: a client that found no way to log in and stopped was
// refused nothing: no credential is doubted, and on port 25 it is the port.
func TestClientThatMissedAUTH(t *testing.T) {
	relay := "smtplib.SMTP('outbound-us1.ppe-hosted.com', "
	for _, tt := range []struct{ text, headline, first string }{
		{"Traceback (most recent call last):\n  File \"a.py\", line 3, in <module>\n    s = " + relay + "25)\n    s.login(u, p)\nsmtplib.SMTPNotSupportedError: SMTP AUTH extension not supported by server.\n", "no AUTH on port 25", "wrong-port"},
		{"2026-11-23T09:00:00+0000 mail smtp: Starting delivery: host: outbound-us1.ppe-hosted.com protocol: smtp file: 1\nsmtp: Failed: Server does not advertise any supported authentication methods\n", "", ""},
	} {
		r := Analyze([]byte(tt.text), Options{})
		if !strings.Contains(r.Verdict.Headline, tt.headline) {
			t.Errorf("headline %q", r.Verdict.Headline)
		}
		for i := range r.Outcomes {
			for _, c := range r.Outcomes[i].Causes {
				if strings.HasPrefix(c.ID, "credential-") {
					t.Errorf("%s for a client that never logged in", c.ID)
				}
			}
			if tt.first != "" && (len(r.Outcomes[i].Causes) == 0 || r.Outcomes[i].Causes[0].ID != tt.first) {
				t.Errorf("causes %v", r.Outcomes[i].Causes)
			}
		}
	}
}
