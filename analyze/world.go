package analyze

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// The worlds of the inversion. A world is a healthy customer, or one with the
// statements of a cause's scenario carried out on it. To simulate it is to walk
// the road the way its client would: names, TCP, greeting, EHLO, STARTTLS, TLS,
// AUTH, MAIL, RCPT, DATA, and what comes after. The relay's answers are those of
// the policy table; nothing here knows a cause by its name.

// worldTime is the instant at which every scenario ends. No clock is read: only
// differences count.
var worldTime = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

// settled is how long the settings of a healthy world have been live.
const settled = 48 * time.Hour

// ending is one way a road can end: the first failing exchange, or success, with
// everything about it that an observation can hold.
type ending struct {
	success bool
	place   place // who answered or failed
	dialogue
	stage   transcript.Stage
	fault   transcript.Fault
	code    int
	kind    transcript.Kind
	text    string // the reply as the relay says it, for people and tests
	foreign bool   // the answer is another server's: its words are its own
	symptom symptom
	tls     string // transcript.TLS.Problem
	dot     bool   // lost between the final dot and its reply
	rule    policy.RuleID
	why     string // the row or fault that decided, in its own words
	circumstances
}

// dialogue says which kind of text can show an ending.
type dialogue int8

const (
	anyText dialogue = iota
	sessionOnly
	reportOnly
)

// place is who answered, or where the mail stopped.
type place int8

const (
	placeUnknown place = iota
	placeRelay
	placeOther // another host
	placeOwn   // the sending system itself
	placeLater // behind the relay, which had taken the mail
	placeTest  // the test broke itself
)

// circumstances are what was so when the road ended. Unknown means that nothing
// could be seen of it there.
type circumstances struct {
	intent      Intent // of the healthy world it grew from
	port        int
	implicit    transcript.Fact // TLS from the first byte
	secure      transcript.Fact
	startTLS    transcript.Fact // was offered
	offered     transcript.Fact // AUTH was offered
	tried       transcript.Fact // AUTH
	loggedIn    transcript.Fact
	masked      transcript.Fact
	inbound     transcript.Fact // the recipient is the relay's customer
	nullSender  transcript.Fact
	ownSender   transcript.Fact // the sender's domain is the customer's
	loginSender transcript.Fact // the sender is the login's own name
	rightHost   transcript.Fact // the name is one that the relay has
	exchange    transcript.Fact // Exchange Online
	forwards    transcript.Fact
	listed      transcript.Fact // among Sending Servers
	registered  transcript.Fact // sender
	credYoung   transcript.Fact // not live yet
	userYoung   transcript.Fact
	domainYoung transcript.Fact
}

// symptom is a kind of words about a fault below SMTP.
type symptom string

const (
	symptomNone        symptom = ""
	symptomNXDomain    symptom = "nxdomain"
	symptomNoAnswer    symptom = "no-answer" // of the resolver
	symptomNoStartTLS  symptom = "starttls-not-offered"
	symptomNoAuth      symptom = "auth-not-offered"
	symptomNoSign      symptom = "no-sign" // no connection, or no greeting: the client does not tell which
	symptomNoMechanism symptom = "no-mechanism"
	symptomNoLogin     symptom = "no-login"    // either of these two: the client does not tell which
	symptomPlainBytes  symptom = "plain-bytes" // in place of TLS
	symptomRenegotiate symptom = "renegotiating"
)

// style is how a client takes what it did not expect. Programs differ here, and
// the report shows another exchange accordingly.
type style int8

const (
	careful  style = iota // stops when STARTTLS or AUTH is not offered
	blind                 // asks for it all the same, and stops at the refusal
	stubborn              // asks, is refused, and goes on without
	lenient               // goes on without asking
	styles
)

// base is a healthy world and the circumstances that its causes share.
type base struct {
	name   string // of causes.Doc.Base
	intent Intent
	lines  []string
}

// accountLines are the settings of every healthy world.
var accountLines = []string{
	"cred rounds 1",
	"account region us1",
	"domain add customer.example --inbound --outbound",
	"domain add second.example --inbound --outbound",
	"user add alice@customer.example --kind end_user",
	"user add scanner@customer.example --kind functional",
	"user add bot@customer.example --kind silent_user",
	"user add bob@second.example --kind end_user",
	"cred new printer --user scanner@customer.example --password pw1",
}

// authClient is a system that sends with SMTP AUTH as the article wants it.
var authClient = []string{
	"client host outbound-us1.ppe-hosted.com", "client port 587", "client address 192.0.2.10",
	"client starttls on", "client max-tls 1.3", "client auth on", "client user scanner@customer.example",
	"client password pw1", "client mechanisms PLAIN,LOGIN", "client sender alice@customer.example",
	"client recipient bob@recipient.example", "client recipients 1", "client route relay",
}

// bases are the healthy worlds: the ways in which a customer means to send, each
// with the senders and recipients that change nothing there, and a stranger who
// writes to the customer.
var bases = []base{
	{"auth", IntentAuth, authClient},
	{"auth", IntentAuth, append(slices.Clip(authClient), "client sender scanner@customer.example")},
	{"auth", IntentAuth, append(slices.Clip(authClient), "client recipient bob@second.example")},
	{"server", IntentServer, append(slices.Clip(authClient), "sender add 192.0.2.10", "client port 25", "client auth off")},
	{"inbound", "", append(slices.Clip(authClient), "client host mx1-us1.ppe-hosted.com", "client port 25", "client auth off", "client address 203.0.113.9", "client sender x@stranger.example", "client recipient alice@customer.example")},
}

// knownHosts are the names the relay answers to, and the region of each.
var knownHosts = []struct{ name, region string }{
	{"outbound-us1.ppe-hosted.com", "us1"},
	{"outbound-eu1.ppe-hosted.com", "eu1"},
	{"mx1-us1.ppe-hosted.com", "us1"},
	{"mx2-us1.ppe-hosted.com", "us1"},
	{"mx1-us2.ppe-hosted.com", "us1"},
	{"mx1-us3.ppe-hosted.com", "us1"},
	{"mx1-us5.ppe-hosted.com", "us1"},
	{"mx1-eu1.ppe-hosted.com", "eu1"},
	{"mx2-eu1.ppe-hosted.com", "eu1"},
}

// region returns the stack of a known relay host.
func region(host string) (string, bool) {
	host = strings.TrimSuffix(host, ".")
	for _, h := range knownHosts {
		if strings.EqualFold(h.name, host) {
			return h.region, true
		}
	}
	return "", false
}

// timed is a statement with its time before worldTime.
type timed struct {
	line string
	ago  time.Duration
}

// timeline gives each statement of a scenario its time, so that the scenario
// ends at worldTime: "clock +60m" puts everything before it an hour back.
func timeline(lines []string) ([]timed, error) {
	scratch := &policy.Account{}
	var total time.Duration
	out := make([]timed, 0, len(lines))
	for _, l := range lines {
		if f := strings.Fields(l); len(f) > 0 && f[0] == "clock" {
			res, err := policy.Apply(scratch, l, worldTime)
			if err != nil {
				return nil, err
			}
			total += res.Advance
			continue
		}
		out = append(out, timed{line: l, ago: -total})
	}
	for i := range out {
		out[i].ago += total
	}
	if total >= settled {
		return nil, fmt.Errorf("a scenario may move the clock by less than %v in all", settled)
	}
	return out, nil
}

// apply carries the statements of one or more scenarios out, in the order of
// their times. It returns the index of the statement that failed.
func apply(w *policy.World, parts ...[]timed) (int, error) {
	all := slices.Concat(parts...)
	if len(parts) > 1 {
		slices.SortStableFunc(all, func(a, b timed) int { return int(b.ago/time.Second - a.ago/time.Second) })
	}
	for i, t := range all {
		if _, err := w.Apply(t.line, worldTime.Add(-t.ago)); err != nil {
			return i, err
		}
	}
	return -1, nil
}

// healthy builds a base world.
func healthy(b *base) *policy.World {
	w := &policy.World{Account: policy.NewAccount("customer")}
	w.Account.Rand = fixedBytes(0)
	for _, l := range slices.Concat(accountLines, b.lines) {
		if _, err := w.Apply(l, worldTime.Add(-settled)); err != nil {
			panic("analyze: a healthy world does not build: " + err.Error())
		}
	}
	return w
}

// fixedBytes are the salts of simulated credentials: nothing is kept secret
// there, and the same world must come out each time.
type fixedBytes byte

func (f fixedBytes) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i)
	}
	return len(p), nil
}

// breaks are the places where a fault that is bound to no verb can strike.
var breaks = []policy.Verb{policy.EHLO, policy.StartTLS, policy.Auth, policy.Mail, policy.Rcpt, policy.Data, policy.EndData}

// endings simulates a world in every style of client and returns the different
// endings.
func endings(w *policy.World, b *base) []ending {
	var out []ending
	at := []policy.Verb{""}
	if w.Client.Slow || w.Account.Has("slow") != nil {
		at = breaks
	}
	for _, v := range at {
		for st := range styles {
			for _, e := range simulate(w, b, st, v) {
				if !slices.Contains(out, e) {
					out = append(out, e)
				}
			}
		}
	}
	return out
}
