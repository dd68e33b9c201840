package analyze

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// TestTheFirstTestIsTheOneThatHelps holds the first proposal for what people
// bring: it must tell the causes in front apart, at the smallest price.
func TestTheFirstTestIsTheOneThatHelps(t *testing.T) {
	for _, tt := range []struct {
		name string
		obs  Observation
		want string
	}{
		{"a bounce that says no port", Observation{Verdict: Refused, Stage: "envelope", Reply: replied(rad), Via: "postfix-dsn"}, "compare-sender"},
		{"a bounce from port 25", Observation{Verdict: Refused, Stage: "envelope", Port: 25, Reply: replied(rad), Via: "postfix-dsn"}, "ask-intent"},
		{"refused behind a login", loggedIn(rad), "compare-sender"},
		{"a login that failed", Observation{Verdict: Refused, Stage: "auth", Reply: replied("535 5.7.8 Error: authentication failed: authentication failure")}, "look-credentials"},
		{"TLS failed, the text does not say how", Observation{Verdict: HandshakeFailed, Stage: "tls", Fault: transcript.FaultTLS, Via: "postfix-dsn"}, "read-reply"},
		{"TLS failed on 587", Observation{Verdict: HandshakeFailed, Stage: "tls", Port: 587, Fault: transcript.FaultTLS, Via: "postfix-dsn"}, "read-encryption"},
		{"AUTH is said to be missing", Observation{Verdict: Refused, Stage: "tls", Words: "smtp auth extension not supported by server", Via: "smtplib"}, "read-port"},
		{"no connection, no port", Observation{Verdict: Unreachable, Stage: "connect", Fault: transcript.FaultTimeout, Via: "postfix-dsn"}, "read-port"},
		{"put off in the greeting, only the number", Observation{Verdict: Deferred, Stage: "greet", Reply: transcript.Reply{Code: 421}}, "read-reply"},
		{"a name that was not found", Observation{Verdict: Unreachable, Stage: "resolve", Fault: transcript.FaultDNS, Via: "postfix-dsn"}, "resolve-right-name"},
	} {
		obs := []Observation{tt.obs}
		tests := NextTests(Explain(obs, Facts{}), obs, Facts{})
		if len(tests) == 0 || tests[0].ID != tt.want {
			t.Errorf("%s: %+v, want %s first (causes %v)", tt.name, tests, tt.want, idsOf(obs))
		}
	}
}

// TestNoTestRepeatsTheOneBefore: each test of a plan splits something that those
// before it leave together.
func TestNoTestRepeatsTheOneBefore(t *testing.T) {
	for _, c := range builtinExplainer().causes {
		for _, s := range c.scenes {
			obs := []Observation{reported(&s.endings[0], s.world)}
			e := Explain(obs, customer)
			d := newDiagnosis(e, obs, customer)
			groups := [][]int{}
			all := make([]int, len(d.sets))
			for i := range all {
				all[i] = i
			}
			groups = append(groups, all)
			for _, p := range d.plans(maxNextTests) {
				var next [][]int
				splits := false
				for _, g := range groups {
					for _, x := range p.shows {
						both := common(g, x.sets)
						splits = splits || len(both) > 0 && len(both) < len(g)
						next = append(next, both)
					}
				}
				if !splits {
					t.Errorf("%s: %s says nothing new", c.doc.ID, p.t.id)
				}
				groups = next
			}
		}
	}
}

// TestTestsHaveTheWordsOfTheMail: host, addresses and times of the mail stand in
// the tests, and nothing that a shell would take for its own.
func TestTestsHaveTheWordsOfTheMail(t *testing.T) {
	at := time.Date(2026, 11, 23, 10, 40, 0, 0, time.UTC)
	plain := Observation{
		Verdict: Refused, Stage: "envelope", Reply: replied(rad), Via: "postfix-dsn", When: at,
		Host: "Outbound-US1.ppe-hosted.com.", Sender: "alerts@customer.example", Recipient: "bob@recipient.example",
	}
	for _, tt := range []struct {
		name   string
		change func(*Observation)
		want   string
	}{
		{"all is known", func(*Observation) {}, "handoff probe outbound-us1.ppe-hosted.com --ports 587 --user U --from alerts@customer.example --to bob@recipient.example"},
		{"an edge host, which may have been dialled by another name", func(o *Observation) { o.Host = "mx1-us1.ppe-hosted.com" }, "handoff probe HOST --ports 587 --user U --from alerts@customer.example --to bob@recipient.example"},
		{"a sender with a command in it", func(o *Observation) { o.Sender = "$(reboot)@customer.example" }, "--user U --from S --to bob@recipient.example"},
		{"a recipient that looks like a flag", func(o *Observation) { o.Recipient = "--send" }, "--to R"},
		{"quotes", func(o *Observation) { o.Sender = "'; reboot #@x.example" }, "--from S "},
		{"another host", func(o *Observation) { o.Host = "outbound-us1.ppe-hosted.com.evil.test" }, "handoff probe HOST "},
		{"the null sender", func(o *Observation) { o.Sender = "<>" }, "--from S "},
		{"nothing", func(o *Observation) { o.Host, o.Sender, o.Recipient = "", "", "" }, "handoff probe HOST --ports 587 --user U --from S --to R"},
	} {
		o := plain
		tt.change(&o)
		n := NextTest{ID: "probe-587"}
		ct, err := find(n.ID)
		if err != nil {
			t.Fatal(err)
		}
		n.Do = ct.do
		if do := dress(&n, []Observation{o}, &Facts{}); !strings.Contains(do, tt.want) {
			t.Errorf("%s: %q does not say %q", tt.name, do, tt.want)
		}
	}
	log := NextTest{ID: "sending-server-log", Do: "send the sending server's SMTP log of these minutes"}
	if do := dress(&log, []Observation{plain}, &Facts{}); do != "send the sending server's SMTP log from 10:39 to 10:41 on 2026-11-23" {
		t.Errorf("%q", do)
	}
	other := plain
	other.Recipient = "carol@recipient.example"
	n := NextTest{ID: "probe-25", Do: "handoff probe HOST --from S --to R"}
	if do := dress(&n, []Observation{plain, other}, &Facts{}); do != "handoff probe outbound-us1.ppe-hosted.com --from alerts@customer.example --to R" {
		t.Errorf("two recipients: %q", do)
	}
}

// TestAWorldThatSaysNothingRulesNothingOut: before MAIL no sender was looked at,
// so its comparison tells nothing of a login that failed.
func TestAWorldThatSaysNothingRulesNothingOut(t *testing.T) {
	obs := []Observation{{Verdict: Refused, Stage: "auth", Port: 587, Reply: replied("535 5.7.8 Error: authentication failed: authentication failure")}}
	d := NewDiagnosis(obs, Facts{})
	if slices.ContainsFunc(d.Plan(), func(c CatalogueTest) bool { return c.ID == "compare-sender" }) {
		t.Error("the sender is to be compared, and no sender was looked at")
	}
	before := d.names()
	if err := d.Answer("compare-sender", "it is the login name"); err != nil || !slices.Equal(d.names(), before) {
		t.Errorf("%v; %v are left of %v", err, d.names(), before)
	}
}

// TestPlainReply: what is another in every mail does not stand in what a test
// shows.
func TestPlainReply(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{rad, "554 5.7.1 Relay access denied"},
		{"421 4.7.0 mx1-us1.ppe-hosted.com Error: too many connections from 192.0.2.10", "421 4.7.0 Error: too many connections"},
		{"550 5.7.1 Service unavailable; client [192.0.2.10] blocked using prs.proofpoint.com", "550 5.7.1 Service unavailable; client blocked using prs.proofpoint.com"},
		{"554 5.7.1 <unknown[192.0.2.10]>: Client host rejected: Access denied", "554 5.7.1 Client host rejected: Access denied"},
		{"", ""},
	} {
		if got := plainReply(tt.text); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
	}
}
