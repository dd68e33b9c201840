package analyze

import (
	"slices"
	"testing"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// TestAProbeIsAnotherTry: a probe beside a bounce may have another sender and the
// right password, and it is later. It rules out what it proves and no more.
func TestAProbeIsAnotherTry(t *testing.T) {
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	failed := "535 5.7.8 Error: authentication failed: authentication failure"
	bounce := Observation{Verdict: Refused, Stage: "auth", Reply: replied(failed), Via: "postfix-dsn", When: at}
	denied := Observation{Verdict: Refused, Stage: "envelope", Reply: replied(rad), Via: "postfix-dsn", Sender: "alice@customer.example", When: at}
	passes := loggedIn(rad).with(func(o *Observation) {
		o.Verdict, o.Reply, o.Login, o.When = Ready, transcript.Reply{}, "", at.Add(2*time.Hour)
	})
	for _, tt := range []struct {
		name       string
		obs        []Observation
		with, sans []string
	}{
		{
			"the login works when somebody else enters it: the client's copy is wrong, or it is live by now",
			[]Observation{bounce, passes},
			[]string{"credential-not-live", "credential-wrong", "credential-unknown", "credential-deleted"},
			[]string{"wrong-region"},
		},
		{
			"ten minutes later it works: that is no propagation of an hour, unless another pair was entered",
			[]Observation{bounce, passes.with(func(o *Observation) { o.When = at.Add(10 * time.Minute) })},
			[]string{"credential-wrong"},
			nil,
		},
		{
			"the same sender passes on 587: not the sender, but the port, the address or the login",
			[]Observation{denied, passes},
			[]string{"wrong-port", "sending-server-not-listed", "auth-missing", "force-auth"},
			[]string{"sender-not-registered", "outbound-relay-off", "auto-forward"},
		},
		{
			"the same sender passes two hours later: it may have become live",
			[]Observation{denied, passes},
			[]string{"user-not-live", "domain-not-live"},
			nil,
		},
		{
			"another sender passes: the first one may be the fault",
			[]Observation{denied, passes.with(func(o *Observation) { o.Sender = "bot@customer.example" })},
			[]string{"wrong-port", "sender-not-registered", "sender-domain-not-registered", "auto-forward"},
			[]string{"outbound-relay-off"},
		},
		{
			"its own login's name passes as sender",
			[]Observation{denied, passes.with(func(o *Observation) { o.Sender, o.LoginSender = "printer@customer.example", transcript.Yes })},
			[]string{"wrong-port", "sender-not-registered"},
			[]string{"outbound-relay-off"},
		},
	} {
		e := Explain(tt.obs, Facts{})
		for _, id := range tt.with {
			if !slices.Contains(e.IDs(), id) {
				t.Errorf("%s: %s is not among %v", tt.name, id, e.IDs())
			}
		}
		for _, id := range tt.sans {
			if slices.Contains(e.IDs(), id) {
				t.Errorf("%s: %s is among %v", tt.name, id, e.IDs())
			}
		}
	}
}
