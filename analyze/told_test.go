package analyze

import (
	"strings"
	"testing"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// TestNoTestAsksWhatAFactTells: a question that a fact has answered is not asked,
// in no proposed test and in no plan of a diagnosis.
func TestNoTestAsksWhatAFactTells(t *testing.T) {
	reply := func(code int, enhanced, text string) transcript.Reply {
		return transcript.Reply{Code: code, Enhanced: enhanced, Lines: []string{text}}
	}
	denied := Observation{
		Verdict: Refused, Stage: transcript.StageEnvelope, Host: "outbound-us1.ppe-hosted.com", Sender: "a@customer.example",
		Reply: reply(554, "5.7.1", "<bob@recipient.example>: Relay access denied"),
	}
	rejected := denied
	rejected.Reply = reply(554, "5.7.1", "<a@customer.example>: Sender address rejected: Access denied")
	login := Observation{
		Verdict: Refused, Stage: transcript.StageAuth, Port: 587, Host: "outbound-us1.ppe-hosted.com",
		Reply: reply(535, "5.7.8", "Error: authentication failed: authentication failure"),
	}
	for _, tc := range []struct {
		fact string
		obs  Observation
		not  string // what no test says
		left string // what one still asks, without the fact and with it
	}{
		{"credential-age=20m", login, "user name is there, and since when", "whether a credential with this user name is there"},
		{"credential-age=48h", login, "user name is there, and since when", "whether a credential with this user name is there"},
		{"user-age=20m", denied, "address is there, and since when", "whether the sender's address is there"},
		{"user-age=48h", denied, "address is there, and since when", "whether the sender's address is there"},
		{"domain-age=20m", denied, "outbound relay on, and since when", "inbound and outbound relay on"},
		{"registered=yes", denied, "whether the sender's address is there", ""},
		{"registered=yes", rejected, "whether the sender's address is there", ""},
		{"registered=no", denied, "look under Users", ""},
		{"listed=yes", denied, "whether the public address", ""},
		{"listed=no", denied, "whether the public address", ""},
		{"forwarded=yes", denied, "ask who wrote the message first", ""},
		{"forwarded=no", denied, "ask who wrote the message first", ""},
		{"intent=auth", denied, "ask how the customer means to send", ""},
		{"intent=server", denied, "ask how the customer means to send", ""},
		{"our-domain=customer.example", denied, "and with the domains of the account", ""},
	} {
		asks := func(f Facts, words string) bool {
			d := NewDiagnosis([]Observation{tc.obs}, f)
			for _, p := range d.Plan() {
				if strings.Contains(p.Do, words) {
					return true
				}
			}
			for _, n := range NextTests(Explain([]Observation{tc.obs}, f), []Observation{tc.obs}, f) {
				if strings.Contains(n.Do, words) {
					return true
				}
			}
			return false
		}
		var f Facts
		if !asks(f, tc.not) {
			t.Errorf("%s: nothing says %q even without the fact", tc.fact, tc.not)
		}
		if err := f.Set(tc.fact); err != nil {
			t.Fatal(err)
		}
		if asks(f, tc.not) {
			t.Errorf("%s: a test says %q", tc.fact, tc.not)
		}
		if tc.left != "" && !asks(f, tc.left) {
			t.Errorf("%s: no test says %q any more", tc.fact, tc.left)
		}
	}
}
