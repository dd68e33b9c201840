package relay

import (
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze/policy"
)

// ask puts a command to the table and changes nothing.
func (w *wire) ask(c policy.Command) (policy.Reply, policy.RuleID) {
	r := w.relay
	r.mu.Lock()
	defer r.mu.Unlock()
	return policy.Decide(w.account(), &w.state, c, r.clock.Now())
}

// step puts a command to the table and moves the session on.
func (w *wire) step(c policy.Command) (policy.Reply, policy.RuleID) {
	r := w.relay
	r.mu.Lock()
	defer r.mu.Unlock()
	reply, rule := policy.Step(w.account(), &w.state, c, r.clock.Now())
	if n := len(r.account.Discovered); n > keepDiscovered {
		r.account.Discovered = append(r.account.Discovered[:0], r.account.Discovered[n-keepDiscovered:]...)
	}
	return reply, rule
}

// keepDiscovered bounds the addresses that SMTP Discovery writes down: whoever
// may send can make them up.
const keepDiscovered = 10000

// account is whom the session talks to: the relay's account or, where a foreign
// server answers under the relay's name, that server's. Call with relay.mu held.
func (w *wire) account() *policy.Account {
	if w.stranger != nil {
		return w.stranger
	}
	return w.relay.account
}

// table is step with the basis of the row.
func (w *wire) table(c policy.Command) *decidedReply {
	reply, rule := w.step(c)
	return &decidedReply{Reply: reply, Decision: w.decision(rule)}
}

func (w *wire) decision(rule policy.RuleID) Decision {
	return Decision{Rule: rule, Basis: basis(rule)}
}

// bases is what each rule rests on first: an article statement, if the rule has
// one.
var bases = func() map[policy.RuleID]string {
	m := map[policy.RuleID]string{}
	for _, row := range policy.Table() {
		have := m[row.ID]
		for _, b := range row.Basis {
			if have == "" || b[0] == 'A' && have[0] != 'A' {
				have = b
			}
		}
		m[row.ID] = have
	}
	return m
}()

func basis(rule policy.RuleID) string { return bases[rule] }

// host is the name the server calls itself by.
func (w *wire) host() string {
	w.relay.mu.Lock()
	defer w.relay.mu.Unlock()
	if h := w.account().Host; h != "" {
		return h
	}
	return policy.DefaultHost
}

// keywords is the EHLO list of this session.
func (w *wire) keywords() []string {
	w.relay.mu.Lock()
	defer w.relay.mu.Unlock()
	return policy.Keywords(w.account(), &w.state)
}

// login notes who tries to log in.
func (w *wire) login(username string) { w.username = printable(username) }

// recount brings the counts of messages that the limits look at up to date
// before a recipient is judged.
func (w *wire) recount(recipient string) {
	now := w.relay.clock.Now()
	h := w.relay.history
	sender := strings.ToLower(w.state.Sender)
	_, domain, _ := strings.Cut(sender, "@")
	w.state.Recent10m = h.within("s:"+sender, 10*time.Minute, now)
	w.state.RecentDay = h.within("s:"+sender, 24*time.Hour, now)
	w.state.Domain10m = h.within("d:"+domain, 10*time.Minute, now)
	w.state.DomainDay = h.within("d:"+domain, 24*time.Hour, now)
	w.state.InboundMin = h.within("r:"+strings.ToLower(recipient), time.Minute, now)
	w.state.FirstTry = time.Time{}
	if w.fault("greylisted") != nil {
		w.state.FirstTry = h.firstTry(w.state.Client, w.state.Sender, recipient, now)
	}
}

// fault returns a copy of the fault of that name if it is set and fires for
// this session now.
func (w *wire) fault(name string) *policy.Fault {
	if !w.relay.faulted() {
		return nil
	}
	return w.faultFor(name, policy.Command{})
}

func (w *wire) faultFor(name string, c policy.Command) *policy.Fault {
	w.relay.mu.Lock()
	defer w.relay.mu.Unlock()
	for i := range w.relay.account.Faults {
		if f := &w.relay.account.Faults[i]; f.Name == name && f.Fires(&w.state, &c) {
			g := *f
			return &g
		}
	}
	return nil
}

// duration is a fault's first argument.
func duration(f *policy.Fault, fallback time.Duration) time.Duration {
	if len(f.Args) > 0 {
		if d, err := time.ParseDuration(f.Args[0]); err == nil {
			return d
		}
	}
	return fallback
}
