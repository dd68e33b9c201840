package relay

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze/policy"
)

// Scenario is a preset: one way the service or the road to it can be set up
// wrong, or a control that is right, together with the client whose session
// shows it and with its truth.
type Scenario struct {
	ID    string // "S28"; several variants share one
	Name  string // "cred-not-propagated"
	Title string // one line
	// Setup are statements of the grammar of settings, applied to the healthy
	// account now; those that begin with "client" set the sending system.
	Setup []string
	// Deliver says that the client goes on to DATA and sends a message.
	Deliver bool
	// Sessions is how many sessions it takes to show; 0 means one. The truth is
	// that of the last.
	Sessions int
	Truth    Truth
}

// Truth is what a perfect diagnosis of the scenario says, in the words of the
// report: verdict, stage and party of the outcome, and the closed set of causes
// that the observation fits, the true one first.
type Truth struct {
	Verdict string
	Stage   string
	Party   string
	// Causes is the set that fits; empty for a control where nothing is wrong.
	Causes []string
	// Who is the party of the true cause where it differs from Party.
	Who string
	// Rule is the row of the table that decided; empty where the wire did.
	Rule policy.RuleID
	// Code and Enhanced are of the decisive reply; 0 where none came.
	Code     int
	Enhanced string
	// Finding is a finding that must stand beside the verdict; empty: none must.
	Finding string
	// Heals is how far the clock has to move for the same attempt to be
	// accepted; 0: it does not heal by waiting.
	Heals time.Duration
	// Remedy is what helps, or the test that tells the causes of the set apart.
	Remedy string
}

// Ambiguous says that the reply alone does not name the cause.
func (t Truth) Ambiguous() bool { return len(t.Causes) > 1 }

// The password of the credential in scenarios. It guards nothing: it is for the
// relay on loopback.
const scenarioPassword = "correct.horse#9"

// BaseStatements are the healthy account and the healthy client that every
// scenario starts from; the account's part is what Default makes too. They are
// applied a day earlier, so that everything in them is live.
func BaseStatements() []string {
	return []string{
		"account name " + policy.Quote("Customer Example"),
		"domain add " + DefaultDomain + " --inbound --outbound",
		"user add " + DefaultSender + " --kind functional",
		"user add alice@" + DefaultDomain + " --kind end_user --alias sales@" + DefaultDomain,
		"cred new alerts --user " + DefaultSender + " --password " + scenarioPassword,
		"client host " + DefaultServerName,
		"client port 587",
		"client address 203.0.113.9",
		"client starttls on",
		"client max-tls 1.3",
		"client auth on",
		"client user " + DefaultSender,
		"client password " + scenarioPassword,
		"client mechanisms PLAIN,LOGIN",
		"client sender " + DefaultSender,
		"client recipient bob@recipient.example",
		"client recipients 1",
	}
}

// World makes the account and the client of the scenarios together, as they are
// at now: the healthy ones, changed by each scenario's statements in turn.
func World(now time.Time, scenarios ...Scenario) (*policy.World, error) {
	w := &policy.World{Account: policy.NewAccount("")}
	if _, err := w.ApplyAll(BaseStatements(), now.Add(-24*time.Hour)); err != nil {
		return nil, err
	}
	for _, s := range scenarios {
		if _, err := w.ApplyAll(s.Setup, now); err != nil {
			return nil, fmt.Errorf("scenario %s: %w", s.Name, err)
		}
	}
	return w, nil
}

// Scenarios returns all presets in the order of their ids.
func Scenarios() []Scenario { return slices.Clone(scenarios) }

// FindScenario returns the preset of that name or id; of several variants with
// one id the first.
func FindScenario(name string) (Scenario, bool) {
	for _, s := range scenarios {
		if strings.EqualFold(s.Name, name) || strings.EqualFold(s.ID, name) {
			return s, true
		}
	}
	return Scenario{}, false
}

// Set carries out the account's part of a preset on the running relay, on top
// of what is set already. A name may also be a fault of the grammar with its
// arguments and triggers: "slow 2s --nth 3".
func (r *Relay) Set(name string) error {
	s, ok := FindScenario(name)
	if !ok {
		first, _, _ := strings.Cut(name, " ")
		if _, ok := policy.FaultKindOf(first); ok {
			_, err := r.Apply("fault set " + name)
			return err
		}
		return fmt.Errorf("no scenario and no fault %q", name)
	}
	for _, line := range s.Setup {
		if strings.HasPrefix(line, "client ") {
			continue
		}
		if _, err := r.Apply(line); err != nil {
			return fmt.Errorf("scenario %s: %w", s.Name, err)
		}
	}
	return nil
}

// Client lists the statements that the sending system has to follow for the
// scenario to show.
func (s Scenario) Client() []string {
	var out []string
	for _, line := range s.Setup {
		if rest, ok := strings.CutPrefix(line, "client "); ok {
			out = append(out, rest)
		}
	}
	return out
}

// first puts the true cause before the others of a set.
func first(cause string, set []string) []string {
	out := []string{cause}
	for _, c := range set {
		if c != cause {
			out = append(out, c)
		}
	}
	return out
}

// The sets of causes that share one reply (service's replies are few).
var (
	// RAD on 25 from an address that is not listed, or by force (P1, P2), or
	// from a listed one by a sender rule.
	deniedOn25 = []string{
		"wrong-port", "sending-server-not-listed", "force-auth", "relay-pool-ip", "mx-left-behind", "wrong-region",
		"sender-not-registered", "user-not-live", "sender-domain-not-registered", "sender-domain-inactive", "outbound-relay-off",
		"domain-not-live", "auto-forward", "distribution-group-external", "null-sender",
	}
	// RAD on 587 after 235.
	deniedAfterLogin = []string{
		"sender-not-registered", "credential-user-missing", "user-not-live", "sender-domain-not-registered", "sender-domain-inactive",
		"outbound-relay-off", "domain-not-live", "auto-forward", "distribution-group-external", "null-sender",
	}
	// 535 in its one text.
	loginFailed = []string{"credential-wrong", "credential-unknown", "credential-deleted", "credential-not-live", "wrong-region"}
)

// Truths of the shapes that come often.

func denied25(cause, who string, rule policy.RuleID, remedy string) Truth {
	return Truth{
		Verdict: "refused", Stage: "envelope", Party: "relay-config", Who: who, Causes: first(cause, deniedOn25),
		Rule: rule, Code: 554, Enhanced: "5.7.1", Remedy: remedy,
	}
}

func denied587(cause, who string, rule policy.RuleID, remedy string) Truth {
	return Truth{
		Verdict: "refused", Stage: "envelope", Party: "relay-config", Who: who, Causes: first(cause, deniedAfterLogin),
		Rule: rule, Code: 554, Enhanced: "5.7.1", Remedy: remedy,
	}
}

func login535(cause, who string, rule policy.RuleID, remedy string) Truth {
	return Truth{
		Verdict: "refused", Stage: "auth", Party: "relay-config", Who: who, Causes: first(cause, loginFailed),
		Rule: rule, Code: 535, Enhanced: "5.7.8", Remedy: remedy,
	}
}

func road(verdict, stage, party, cause, remedy string) Truth {
	return Truth{Verdict: verdict, Stage: stage, Party: party, Causes: []string{cause}, Remedy: remedy}
}

func said(verdict, stage, party, cause string, rule policy.RuleID, code int, enhanced, remedy string) Truth {
	return Truth{
		Verdict: verdict, Stage: stage, Party: party, Causes: []string{cause},
		Rule: rule, Code: code, Enhanced: enhanced, Remedy: remedy,
	}
}

// healing is a truth that waiting mends.
func healing(t Truth, after time.Duration) Truth {
	t.Heals = after
	return t
}

var ready = Truth{Verdict: "ready", Stage: "envelope", Party: "none", Rule: "C8", Code: 250, Enhanced: "2.1.5"}
