package analyze

import (
	"slices"
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// The catalogue of tests that tell causes apart. A test is a look at something
// (a setting, a line of a log, the answer to a question) or a try with something
// changed. What it would show under a cause is not written down anywhere: it is
// read off the cause's world, or simulated there.

// catalogueTest is a test of the catalogue.
type catalogueTest struct {
	id    string
	do    string
	who   Party
	cost  string
	price int // of the cost, to weigh: 1 is a glance
	// look reads what the test would show off a world: several words where the
	// world leaves it open, none where it says nothing of it, so that anything
	// may be shown.
	look func(*policy.World, []*ending) []string
	// stated reports whether a text says already what the look would show; nil:
	// the comparison of worlds sees to that.
	stated func(*question) bool
	// age is the fact that says already since when what is looked at is there; nil:
	// none does.
	age func(*question) transcript.Fact
	// probe is what is tried, for tests that are a try.
	probe *TestProbe
}

// TestProbe is a try that handoff can make by itself: the relay is asked again
// with one thing changed. Nothing is delivered.
type TestProbe struct {
	Port        int       // 0: as before
	Auth        bool      // with the credential
	Sender      TrySender // another envelope sender; empty: as before
	OtherRegion bool      // the host of the other region, with the same credential if there is one
	RightName   bool      // look the published name up in place of the configured one, no more
	Elsewhere   bool      // from another network
	After       time.Duration
}

// TrySender is which envelope sender a try takes in place of the one that failed.
type TrySender string

// The senders of tries.
const (
	SameSender        TrySender = ""
	KnownGoodSender   TrySender = "known-good"   // of the same domain, known to work
	OtherDomainSender TrySender = "other-domain" // known to work, of another domain of the account
)

// Costs, from a glance to a day of waiting for somebody's answer.
const (
	costSeconds = "seconds"
	costMinute  = "a minute"
	costMinutes = "minutes"
	costHour    = "an hour"
	costDay     = "a mail to somebody else"
)

// notYetAnHour ends what a look shows of something new.
const notYetAnHour = ", for less than an hour"

func yes(b bool, is, isNot string) []string {
	if b {
		return []string{is}
	}
	return []string{isNot}
}

var catalogue = []catalogueTest{
	{
		id: "look-mx", do: "look up the MX record of the refused recipient's domain: does it point to the relay?",
		who: SenderSystem, cost: costSeconds, price: 1,
		look: func(_ *policy.World, es []*ending) []string {
			return yes(es[0].intent == "" && es[0].inbound == transcript.Yes, "it does", "it does not")
		},
	},
	{
		id: "ask-intent", do: "ask how the customer means to send: is a user name and password entered in the sending system, or does it send by its address?",
		who: SenderSystem, cost: costSeconds, price: 1,
		stated: func(q *question) bool { return q.intent == IntentAuth || q.intent == IntentServer },
		look: func(_ *policy.World, es []*ending) []string {
			switch es[0].intent {
			case IntentAuth:
				return []string{"with user name and password"}
			case IntentServer:
				return []string{"by its address"}
			}
			return []string{"neither: it is mail to a customer of the relay"}
		},
	},
	{
		id: "read-port", do: "read the port in the sending system's settings or log",
		who: SenderSystem, cost: costSeconds, price: 1,
		look: func(w *policy.World, _ []*ending) []string {
			return yes(w.Client.Port == 25, "port 25", "port 587")
		},
	},
	{
		id: "read-encryption", do: "read in the sending system's settings which encryption is on: none, STARTTLS, or TLS from the first byte (SSL/TLS)",
		who: SenderSystem, cost: costSeconds, price: 1,
		look: func(w *policy.World, _ []*ending) []string {
			switch c := &w.Client; {
			case c.Port == 25:
				return nil // it changes nothing there
			case c.Implicit:
				return []string{"TLS from the first byte"}
			default:
				return yes(c.StartTLS, "STARTTLS", "none")
			}
		},
	},
	{
		id: "read-reply", do: "read the server's whole reply, or the words of the fault, in the sending system's log",
		who: SenderSystem, cost: costMinute, price: 2,
		stated: func(q *question) bool { return q.words || q.tls != "" || q.symptom != symptomNone },
		look: func(_ *policy.World, es []*ending) []string {
			var out []string
			for _, e := range es {
				if e.foreign || e.place != placeRelay {
					return nil // another server's words are its own
				}
				if word := endWords(e); !slices.Contains(out, word) {
					out = append(out, word)
				}
			}
			return out
		},
	},
	{
		id: "read-login", do: "look in the sending system's log whether 235, the login that worked, stands before the refusal",
		who: SenderSystem, cost: costMinute, price: 2,
		look: func(_ *policy.World, es []*ending) []string {
			var out []string
			for _, e := range es {
				word := yes(e.loggedIn == transcript.Yes, "235 is there", "no 235")[0]
				if !slices.Contains(out, word) {
					out = append(out, word)
				}
			}
			return out
		},
	},
	{
		id: "compare-sender", do: "compare the envelope sender (MAIL FROM) with the login name and with the domains of the account",
		who: SenderSystem, cost: costSeconds, price: 1,
		look: func(w *policy.World, es []*ending) []string {
			c := &w.Client
			switch {
			case !reached(es, transcript.StageEnvelope):
				return nil // no sender was looked at: it can be any
			case c.Sender == "":
				return []string{"it is empty"}
			case ourDomain(w.Account, c.Sender) == nil && !strings.HasSuffix(c.Sender, "@customer.example"):
				return []string{"its domain is not the customer's"}
			case c.Auth && strings.EqualFold(c.Sender, c.Username):
				return []string{"it is the login name"}
			}
			return []string{"it is another address of the customer"}
		},
	},
	{
		id: "ask-forwarding", do: "ask who wrote the message first: was it forwarded by a mailbox rule, or sent to a group with outside members?",
		who: SenderSystem, cost: costMinute, price: 2,
		look: func(w *policy.World, _ []*ending) []string {
			switch w.Client.Forwards {
			case "rule":
				return []string{"a mailbox rule forwards it"}
			case "group":
				return []string{"a group passes it on"}
			}
			return []string{"it was written here"}
		},
	},
	{
		id: "look-users", do: "look under Users whether the sender's address is there, and since when",
		who: RelayConfig, cost: costMinute, price: 2,
		stated: func(q *question) bool { return q.registered == transcript.No },
		age:    func(q *question) transcript.Fact { return q.userYoung },
		look: func(w *policy.World, _ []*ending) []string {
			for i := range w.Account.Users {
				u := &w.Account.Users[i]
				if !strings.EqualFold(u.Address, w.Client.Sender) || !u.Deleted.IsZero() {
					continue
				}
				switch {
				case u.Invalid:
					return []string{"it is marked invalid"}
				case worldTime.Before(u.LiveAt):
					return []string{"it is there" + notYetAnHour}
				}
				return []string{"it is there"}
			}
			return []string{"it is not there"}
		},
	},
	{
		id: "look-credentials", do: "look under Domains > SMTP Authentication whether a credential with this user name is there, and since when",
		who: RelayConfig, cost: costMinute, price: 2,
		age: func(q *question) transcript.Fact { return q.credYoung },
		look: func(w *policy.World, _ []*ending) []string {
			for i := range w.Account.Credentials {
				cr := &w.Account.Credentials[i]
				if !strings.EqualFold(cr.Username, w.Client.Username) || cr.State(worldTime) == policy.CredentialDeleted {
					continue
				}
				return yes(cr.State(worldTime) == policy.CredentialPending, "it is there"+notYetAnHour, "it is there")
			}
			return []string{"it is not there"}
		},
	},
	{
		id: "ask-worked-before", do: "ask whether this login ever worked",
		who: SenderSystem, cost: costMinute, price: 2,
		look: func(w *policy.World, _ []*ending) []string {
			for i := range w.Account.Credentials {
				cr := &w.Account.Credentials[i]
				if !strings.EqualFold(cr.Username, w.Client.Username) {
					continue
				}
				switch cr.State(worldTime) {
				case policy.CredentialPending:
					return []string{"never"}
				case policy.CredentialDeleted:
					return []string{"it worked"}
				}
				return []string{"it worked", "never"}
			}
			return []string{"never"}
		},
	},
	{
		id: "look-domain", do: "look under Domains at the sender's domain: is it there, verified, inbound and outbound relay on, and since when?",
		who: RelayConfig, cost: costMinute, price: 2,
		age: func(q *question) transcript.Fact { return q.domainYoung },
		look: func(w *policy.World, _ []*ending) []string {
			d := ourDomain(w.Account, w.Client.Sender)
			switch {
			case d == nil:
				return []string{"it is not there"}
			case !d.Verified:
				return []string{"it is not verified"}
			case !d.Inbound:
				return []string{"inbound relay is off"}
			case !d.Outbound:
				return []string{"outbound relay is off"}
			case worldTime.Before(d.LiveAt):
				return []string{"all is on" + notYetAnHour}
			}
			return []string{"all is on"}
		},
	},
	{
		id: "look-force-auth", do: "look under Domains whether Force SMTP AUTH is on for the sender's domain",
		who: RelayConfig, cost: costMinute, price: 2,
		look: func(w *policy.World, _ []*ending) []string {
			d := ourDomain(w.Account, w.Client.Sender)
			return yes(d != nil && d.ForceAuth, "it is on", "it is off")
		},
	},
	{
		id: "look-sending-servers", do: "look whether the public address of the sending system is listed under Sending Servers, and since when",
		who: RelayConfig, cost: costMinutes, price: 3,
		stated: func(q *question) bool { return q.listed == transcript.No },
		look: func(w *policy.World, _ []*ending) []string {
			for _, s := range w.Account.Servers {
				if s.Prefix.Contains(w.Client.Address) {
					return yes(worldTime.Before(s.LiveAt), "it is listed"+notYetAnHour, "it is listed")
				}
			}
			return []string{"it is not listed"}
		},
	},
	{
		id: "message-trace", do: "run a message trace in Exchange Online and look at OutboundIpPoolName; answer no when it is another system",
		who: SenderSystem, cost: costMinutes, price: 3,
		look: func(w *policy.World, _ []*ending) []string {
			return yes(w.Client.Pool, "RegularRelayOutboundPool", "no")
		},
	},
	{
		id: "probe-587", do: "try port 587 with STARTTLS and the credential: handoff probe HOST --ports 587 --user U --from S --to R",
		who: SenderSystem, cost: costMinute, price: 2, probe: &TestProbe{Port: 587, Auth: true},
	},
	{
		id: "probe-25", do: "try port 25 without a login from the sending system: handoff probe HOST --ports 25 --intent server --from S --to R",
		who: SenderSystem, cost: costMinute, price: 2, probe: &TestProbe{Port: 25},
	},
	{
		id: "probe-known-sender", do: "repeat it with another sender of the same domain that is known to work",
		who: SenderSystem, cost: costMinutes, price: 3, probe: &TestProbe{Sender: KnownGoodSender},
	},
	{
		id: "probe-other-domain", do: "repeat it with a sender of another domain of the account",
		who: SenderSystem, cost: costMinutes, price: 3, probe: &TestProbe{Sender: OtherDomainSender},
	},
	{
		id: "probe-other-region", do: "try the same credential at the host of the other region: outbound-eu1 for outbound-us1, or the other way round",
		who: SenderSystem, cost: costMinute, price: 3, probe: &TestProbe{Port: 587, Auth: true, OtherRegion: true},
	},
	{
		id: "probe-25-other-region", do: "try port 25 at the host of the other region, without a login, from the sending system: outbound-eu1 for outbound-us1, or the other way round",
		who: SenderSystem, cost: costMinute, price: 3, probe: &TestProbe{Port: 25, OtherRegion: true},
	},
	{
		id: "resolve-right-name", do: "look up outbound-us1.ppe-hosted.com from the sending system",
		who: SenderSystem, cost: costSeconds, price: 1, probe: &TestProbe{RightName: true},
	},
	{
		id: "probe-elsewhere", do: "try it from another network, such as a telephone's",
		who: SenderSystem, cost: costMinutes, price: 4, probe: &TestProbe{Elsewhere: true},
	},
	{
		id: "repeat-in-an-hour", do: "change nothing and repeat it when the last change is an hour old",
		who: SenderSystem, cost: costHour, price: 20, probe: &TestProbe{After: propagation},
	},
	{
		id: "sending-server-log", do: "send the sending server's SMTP log of these minutes",
		who: SenderSystem, cost: costMinutes, price: 5,
		look: func(w *policy.World, es []*ending) []string {
			if w.Client.Route != "relay" {
				return []string{"the relay is not in it"}
			}
			var out []string
			for _, e := range es {
				word := "no STARTTLS"
				switch {
				case e.loggedIn == transcript.Yes:
					word = "a login that worked"
				case e.tried == transcript.Yes:
					word = "a login that failed"
				case e.secure == transcript.Yes:
					word = "STARTTLS and no login"
				}
				word = yes(w.Client.Port == 25, "port 25, ", "port 587, ")[0] + word
				if !slices.Contains(out, word) {
					out = append(out, word)
				}
			}
			return out
		},
	},
}

// CatalogueTest is a test as others see it: for help, and for a dialogue that
// asks.
type CatalogueTest struct {
	NextTest
	Probe *TestProbe // nil: somebody has to look or answer
}

// Catalogue lists every test, in a fixed order.
func Catalogue() []CatalogueTest {
	out := make([]CatalogueTest, len(catalogue))
	for i := range catalogue {
		out[i] = catalogue[i].public()
	}
	return out
}

func (t *catalogueTest) public() CatalogueTest {
	return CatalogueTest{
		NextTest: NextTest{ID: t.id, Do: t.do, Who: string(t.who), Cost: t.cost, Separates: []string{}},
		Probe:    t.probe,
	}
}
