package analyze

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/smtp-handoff/handoff/analyze/ndr"
)

// TestNoSecretInReports plants a secret in texts of every kind, says it in the
// server's reply too, and looks for all its forms in the report.
func TestNoSecretInReports(t *testing.T) {
	const secret = "zX9#quail!tundra@42"
	plain := base64.StdEncoding.EncodeToString([]byte("\x00scan@firma.example\x00" + secret))
	login := base64.StdEncoding.EncodeToString([]byte(secret))
	refused := "535 5.7.8 Error: authentication failed: " + login + " is no password"
	for name, text := range map[string]string{
		"swaks":  "=== Trying outbound-us1.ppe-hosted.com:587...\n=== Connected to outbound-us1.ppe-hosted.com.\n<-  220 mx1-us1.ppe-hosted.com ESMTP\n -> EHLO pc\n<-  250 AUTH PLAIN\n ~> AUTH PLAIN " + plain + "\n<~* " + refused + "\n",
		"telnet": "Trying 192.0.2.10...\nConnected to outbound-us1.ppe-hosted.com.\n220 mx1-us1.ppe-hosted.com ESMTP\nEHLO pc\n250 AUTH LOGIN\nAUTH LOGIN\n334 VXNlcm5hbWU6\nc2NhbkBmaXJtYS5leGFtcGxl\n334 UGFzc3dvcmQ6\n" + login + "\n" + refused + "\n",
		"config": "relayhost = [outbound-us1.ppe-hosted.com]:587\npassword: " + secret + "\n" + refused + "\n",
		"url":    "curl smtp://scan:" + secret + "@outbound-us1.ppe-hosted.com:587\n< " + refused + "\n",
	} {
		r := Analyze([]byte(text), Options{})
		doc := string(r.AppendJSON(nil))
		for _, form := range []string{secret, plain, login, secret[:8], login[:10]} {
			if strings.Contains(doc, form) {
				t.Errorf("%s: %q is in %s", name, form, doc)
			}
		}
	}
}

// TestSecretsInAnItem: whatever a reader hands on, the report masks.
func TestSecretsInAnItem(t *testing.T) {
	const secret = "correct-horse-battery"
	text := "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00u\x00"+secret)) + "\n535 5.7.8 bad " + secret + "\n"
	item := ndr.Item{Refuser: host(ndr.Refuser, smartHost), Reply: reply(t, "535 5.7.8 bad "+secret)}
	item.Reply.Span = span(text, "535 5.7.8 bad "+secret)
	r := JudgeCases([]ndr.Case{{Nature: ndr.NatureDialogue, Items: []ndr.Item{item}}}, []byte(text), Options{})
	o := r.Outcomes[0]
	if strings.Contains(o.Reply.Text, secret) || strings.Contains(o.Evidence[0].Quote, secret) || !strings.Contains(o.Reply.Text, "[secret-") {
		t.Errorf("%+v", o)
	}
	if o.Verdict != Refused || o.Stage != "auth" {
		t.Errorf("masking changed the verdict: %s/%s", o.Verdict, o.Stage)
	}
	if n := len(r.Findings); n == 0 || r.Findings[n-1].ID != "secret-masked" {
		t.Errorf("findings %+v", r.Findings)
	}
}
