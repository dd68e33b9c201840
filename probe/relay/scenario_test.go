package relay_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe/relay"
)

// startWorld runs a relay in memory with the world of the scenarios.
func startWorld(t *testing.T, scenarios ...relay.Scenario) (*relay.Relay, *policy.World) {
	t.Helper()
	w, err := relay.World(relay.System.Now(), scenarios...)
	if err != nil {
		t.Fatal(err)
	}
	r := relay.New(w.Account, relay.InMemory())
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r, w
}

// Every preset shows what its truth says: the rule that the relay's log names,
// the code and the stage that its client met, and that waiting mends it where
// the truth says so.
func TestScenarios(t *testing.T) {
	for _, s := range relay.Scenarios() {
		t.Run(s.ID+" "+s.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { checkScenario(t, s) })
		})
	}
}

func checkScenario(t *testing.T, s relay.Scenario) {
	r, w := startWorld(t, s)
	try := func() transcript.Session {
		return r.Try(context.Background(), relay.Attempt{Client: w.Client, Deliver: s.Deliver, Patience: time.Minute})
	}
	for range s.Sessions - 1 {
		if x, failed := failure(try()); failed {
			t.Fatalf("an earlier session failed: %+v", x)
		}
	}
	session := try()
	synctest.Wait()
	x, failed := failure(session)
	truth := s.Truth
	switch truth.Verdict {
	case "ready", "accepted-then-bounced", "not-a-failure":
		if failed {
			t.Fatalf("failed: %+v", x)
		}
	case "never-reached", "insufficient-evidence":
		// The stage of the verdict is not that of the session.
	default:
		if !failed && truth.Causes[0] != "mechanism-missing" && truth.Causes[0] != "smtp-inspection" && truth.Causes[0] != "starttls-stripped" {
			t.Fatalf("nothing failed: %+v", session.Exchanges)
		}
		if failed && string(x.Stage) != truth.Stage && truth.Causes[0] != "starttls-missing" {
			t.Errorf("failed at %s, truth says %s: %+v", x.Stage, truth.Stage, x)
		}
	}
	if truth.Code >= 400 && (x.Reply.Code != truth.Code || x.Reply.Enhanced != truth.Enhanced) {
		t.Errorf("reply %v, truth says %d %s", x.Reply.Lines, truth.Code, truth.Enhanced)
	}
	log := r.Log()
	if truth.Rule != "" {
		rec := log[len(log)-1]
		var rules []string
		for _, d := range rec.Decisions {
			rules = append(rules, string(d.Rule))
		}
		if d, i := rec.Decided(); i >= 0 && d.Rule != truth.Rule || i < 0 && !slices.Contains(rules, string(truth.Rule)) {
			t.Errorf("decided by %s (%v), truth says %s", d.Rule, rules, truth.Rule)
		}
	}
	for _, rec := range log {
		for i, d := range rec.Decisions {
			if strings.Contains(d.Note, "server library") {
				t.Errorf("the library's own words got out: %+v", rec.Session.Exchanges[i])
			}
		}
	}
	if truth.Heals > 0 {
		time.Sleep(truth.Heals - time.Second)
		if _, failed := failure(try()); !failed {
			t.Error("mended a second too early")
		}
		time.Sleep(time.Second)
		if x, failed := failure(try()); failed {
			t.Errorf("after %v still: %+v", truth.Heals, x)
		}
	}
}

// failure is the first failing exchange of a session.
func failure(s transcript.Session) (transcript.Exchange, bool) { return s.FirstFailure() }

// Every preset has a name of its own, a title, a remedy unless it is a control,
// and words of the report's vocabulary; every id from S01 to S65 is there, and
// every fault of the grammar is shown by one.
func TestScenarioTable(t *testing.T) {
	verdicts := strings.Fields("ready refused deferred handshake-failed unreachable never-reached accepted-then-bounced inbound-refused not-a-failure insufficient-evidence mixed")
	stages := strings.Fields("not-attempted resolve connect greet ehlo tls auth envelope data accepted unknown")
	parties := strings.Fields("sender-system network relay-config relay-platform recipient-system none unknown")
	names, ids, faults := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, s := range relay.Scenarios() {
		if names[s.Name] || s.Title == "" {
			t.Errorf("%s: name twice or no title", s.Name)
		}
		names[s.Name], ids[s.ID] = true, true
		if !slices.Contains(verdicts, s.Truth.Verdict) || !slices.Contains(stages, s.Truth.Stage) || !slices.Contains(parties, s.Truth.Party) {
			t.Errorf("%s: %s/%s, %s", s.Name, s.Truth.Verdict, s.Truth.Stage, s.Truth.Party)
		}
		if s.Truth.Who != "" && !slices.Contains(parties, s.Truth.Who) {
			t.Errorf("%s: who %q", s.Name, s.Truth.Who)
		}
		if len(s.Truth.Causes) > 0 && s.Truth.Remedy == "" {
			t.Errorf("%s: no remedy", s.Name)
		}
		if s.Truth.Rule != "" {
			if _, ok := policy.Rule(s.Truth.Rule); !ok {
				t.Errorf("%s: no rule %s", s.Name, s.Truth.Rule)
			}
		}
		for _, line := range s.Setup {
			if f := strings.Fields(line); len(f) > 2 && f[0] == "fault" {
				faults[f[2]] = true
			}
		}
		if found, ok := relay.FindScenario(s.Name); !ok || found.ID != s.ID {
			t.Errorf("%s is not found by its name", s.Name)
		}
	}
	for n := 1; n <= 65; n++ {
		if id := "S" + string(rune('0'+n/10)) + string(rune('0'+n%10)); !ids[id] {
			t.Errorf("no preset %s", id)
		}
	}
	shownElsewhere := []string{"client-refused", "tls-off", "injection", "too-many-auth", "teaser"} // in TestWireFaults and TestTeaser
	for _, k := range policy.FaultKinds() {
		if !faults[k.Name] && !slices.Contains(shownElsewhere, k.Name) {
			t.Errorf("no preset shows the fault %s", k.Name)
		}
	}
}

// The presets' account statements apply to the ready account of NewDemo too,
// alone and on top of each other.
func TestSetOnDemo(t *testing.T) {
	for _, s := range relay.Scenarios() {
		d := relay.Start(t, relay.InMemory())
		if err := d.Set(s.Name); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
	}
	d := relay.Start(t, relay.InMemory())
	for _, name := range []string{"slow", "S43", "greylisted 5m --first 1", "force-auth"} {
		if err := d.Set(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"no-such", "slow now", ""} {
		if err := d.Set(name); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
}

// Faults compose and follow their triggers: the nth attempt, the first n, a
// sender, a recipient, a client's address.
func TestTriggers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := startWorld(t)
		try := func(change func(*policy.Client)) string {
			c := w.Client
			if change != nil {
				change(&c)
			}
			x, failed := failure(r.Try(context.Background(), relay.Attempt{Client: c, Deliver: true}))
			if !failed {
				return "ok"
			}
			if x.Reply.Code == 0 {
				return string(x.Fault)
			}
			return x.Reply.Lines[len(x.Reply.Lines)-1][:9]
		}
		apply := func(line string) {
			if _, err := r.Apply(line); err != nil {
				t.Fatal(err)
			}
		}
		expect := func(what string, got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %s, want %s", what, got, want)
			}
		}
		apply("fault set screening-busy --nth 2")
		expect("first", try(nil), "ok")
		expect("second", try(nil), "421 4.3.2")
		expect("third", try(nil), "ok")
		apply("fault clear")
		apply("fault set banner-drop --first 2")
		apply("fault set sasl-down")
		expect("first of two", try(nil), "closed")
		expect("second of two", try(nil), "closed")
		expect("then the other fault", try(nil), "454 4.7.0")
		apply("fault clear")
		apply("fault set rate-limited --sender alice@customer.example")
		expect("other sender", try(nil), "ok")
		expect("the sender", try(func(c *policy.Client) { c.Sender = "alice@customer.example" }), "554 5.5.0")
		apply("fault clear")
		apply("fault set greylisted --recipient bob@recipient.example")
		expect("the recipient", try(nil), "450 4.7.1")
		expect("other recipient", try(func(c *policy.Client) { c.Recipient = "carol@recipient.example" }), "ok")
		apply("fault clear")
		apply("fault set conn-limit --client 203.0.113.0/24")
		expect("in the range", try(nil), "421 4.7.0")
		expect("outside", try(func(c *policy.Client) { c.Address = loopbackAddr }), "ok")
		apply("fault clear")
		apply("fault set reset-at RCPT --nth 1")
		expect("reset once", try(nil), "reset")
		expect("not again", try(nil), "ok")
	})
}

// Magic recipients answer as they are called, after the policy has let the
// sender pass.
func TestMagicRecipients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := startWorld(t)
		for rcpt, want := range map[string]string{
			"554@fault.test":        "RCPT 554 5.0.0 <554@fault.test>: the recipient asked for this reply",
			"450.4.2.1@fault.test":  "RCPT 450 4.2.1 <450.4.2.1@fault.test>: the recipient asked for this reply",
			"421@fault.test":        "RCPT 421 4.0.0 <421@fault.test>: the recipient asked for this reply",
			"data-552@fault.test":   ". 552 5.0.0 <data-552@fault.test>: the recipient asked for this reply",
			"bounce-550@fault.test": "ok", "999@fault.test": "ok", "250@fault.test": "ok", "554.4.1.1@fault.test": "ok", "554@other.test": "ok",
		} {
			c := w.Client
			c.Recipient = rcpt
			x, failed := failure(r.Try(context.Background(), relay.Attempt{Client: c, Deliver: true}))
			got := "ok"
			if failed {
				got = transcript.Verb(x.Command) + " " + strings.Join(x.Reply.Lines, "|")
			}
			if got != want {
				t.Errorf("%s: %s, want %s", rcpt, got, want)
			}
		}
		c := w.Client
		c.Sender = "stranger@elsewhere.example"
		c.Recipient = "450@fault.test"
		if x, _ := failure(r.Try(context.Background(), relay.Attempt{Client: c})); x.Reply.Code != 554 {
			t.Errorf("a stranger got %v", x.Reply.Lines)
		}
	})
}
