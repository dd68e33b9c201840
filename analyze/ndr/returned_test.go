package ndr

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// matters reports whether a judge may ask about a hop.
func matters(h *Hop, items []Item, relays []string) bool {
	for _, m := range [...]*Mention{&h.From, &h.By} {
		if m.Host != "" && (transcript.HostIsUnderAny(m.Host, relays) || transcript.Lookalike(m.Host, relays)) {
			return true
		}
	}
	return slices.ContainsFunc(items, func(it Item) bool {
		return it.Reporter.Host != "" && strings.EqualFold(it.Reporter.Host, h.By.Host)
	})
}

// TestTellingHops compares the hops that are read of every sample, and of
// returned headers made for it, with all of them: none is missing that matters.
func TestTellingHops(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "reports", "*", "*"))
	if err != nil || len(files) < 200 {
		t.Fatalf("%d samples, %v", len(files), err)
	}
	texts := map[string][]byte{}
	for _, f := range files {
		if filepath.Ext(f) == ".json" {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		texts[f] = text
	}
	for _, host := range []string{
		"mx1-us1.ppe-hosted.com", "MX1-US1.PPE-HOSTED.COM", "ppe-hosted.com.", "ppe-h0sted.com", "pphosted.com", "mail.ppe-hosted.net", "ppe-hosted.com.corp.example",
		"ppe-hоsted.com", "xn--ppe-hsted-66g.com", "pp3-h0st3d.com", "mail.corp.example", "MAIL.corp.example", "relay.example", "smtp1.relay2.example", "localhost", "[192.0.2.7]",
	} {
		for _, field := range []string{"from %s (%s [192.0.2.9])\r\n\tby mx.other.example (Postfix) with ESMTPS id 4XYZ\r\n\tfor <a@b.example>; Mon, 23 Nov 2026 10:00:00 +0000", "from client (unknown [192.0.2.9])\n by %s with ESMTP id 1.%s; Mon, 23 Nov 2026 10:00:00 +0000"} {
			texts[host+field[:8]] = []byte("From: MAILER-DAEMON@mail.corp.example\nTo: a@corp.example\nSubject: Undelivered Mail Returned to Sender\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\nThis is the mail system at host mail.corp.example.\n\n<bob@recipient.example>: host mx.recipient.example[192.0.2.1] said: 550 5.1.1 no such user\n\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mail.corp.example\n\nFinal-Recipient: rfc822; bob@recipient.example\nAction: failed\nStatus: 5.1.1\n\n--b\nContent-Type: message/rfc822\n\nReceived: " + fmt.Sprintf(field, host, host) + "\nFrom: a@corp.example\nSubject: x\n\n--b--\n")
		}
	}
	all, kept := 0, 0
	for _, o := range []Options{{}, {RelayDomains: []string{"smarthost.example"}}, {RelayDomains: []string{"a.example"}}} {
		relays := relayDomains(o.RelayDomains)
		few := o
		few.TellingHops = true
		for f, text := range texts {
			whole, some := o.Read(text), few.Read(text)
			if len(whole) != len(some) {
				t.Errorf("%s: %d cases, %d with few hops", f, len(whole), len(some))
				continue
			}
			for i := range whole {
				have := some[i].Hops
				all, kept = all+len(whole[i].Hops), kept+len(have)
				for k := range whole[i].Hops {
					h := &whole[i].Hops[k]
					if len(have) > 0 && have[0] == *h {
						have = have[1:]
						continue
					}
					if matters(h, whole[i].Items, relays) {
						t.Errorf("%s: hop %d is missing: from %q by %q", f, k, h.From.Host, h.By.Host)
					}
				}
				if len(have) > 0 {
					t.Errorf("%s: a hop that is not there: %+v", f, have[0])
				}
			}
		}
	}
	if kept == 0 || kept == all {
		t.Errorf("%d of %d hops are kept", kept, all)
	}
}
