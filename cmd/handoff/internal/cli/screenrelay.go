package cli

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/tui"
	"github.com/smtp-handoff/handoff/probe/relay"
)

// drop closes the relay; its account, its clock and the client stay.
func (b *backend) drop() {
	if b.relay != nil {
		b.relay.Close()
		b.relay = nil
	}
}

// anew makes the account, the client and the clock of the presets.
func (b *backend) anew() error {
	var presets []relay.Scenario
	for _, name := range b.presets {
		s, ok := findScenario(name)
		if !ok {
			return noScenario(name)
		}
		presets = append(presets, s)
	}
	w, err := relay.World(b.p.now(), presets...)
	if err != nil {
		return err
	}
	b.account, b.client, b.clock = w.Account, w.Client, relay.NewOffset()
	return nil
}

// open makes the relay unless there is one: in memory for probes from here, or
// with ports on loopback for other programs, on the usual ones if they are free.
func (b *backend) open(listen bool) error {
	if b.relay != nil && (b.listening || !listen) {
		return nil
	}
	if b.account == nil {
		if err := b.anew(); err != nil {
			return err
		}
	}
	b.drop()
	ways := [][]relay.Option{{relay.InMemory()}}
	if listen {
		ways = [][]relay.Option{
			{relay.Listen(relay.PortServer, "127.0.0.1:2525"), relay.Listen(relay.PortAuth, "127.0.0.1:2587")},
			{relay.Listen(relay.PortServer, "127.0.0.1:0"), relay.Listen(relay.PortAuth, "127.0.0.1:0")},
		}
	}
	var err error
	for _, opts := range ways {
		r := relay.New(b.account, append(opts, relay.WithClock(b.clock))...)
		if err = r.Start(); err == nil {
			b.relay, b.listening, b.since = r, listen, b.p.now()
			return nil
		}
	}
	return err
}

// RelayStart implements tui.Backend.
func (b *backend) RelayStart() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open(true) != nil {
		return errors.New("it cannot listen on loopback")
	}
	return nil
}

// RelayStop implements tui.Backend.
func (b *backend) RelayStop() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop()
	return b.open(false)
}

// RelayState implements tui.Backend.
func (b *backend) RelayState() tui.Relay {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := tui.Relay{Presets: slices.Clone(b.presets)}
	if b.open(false) != nil {
		return s
	}
	r := b.relay
	s.Username, s.Password, s.From = b.client.Username, b.client.Password, b.client.Sender
	if b.listening {
		s.Running, s.Since = true, b.since
		s.Addresses = map[int]string{relay.PortServer: r.Addr(relay.PortServer), relay.PortAuth: r.Addr(relay.PortAuth)}
	}
	s.Now, s.Ahead = b.clock.Now(), b.clock.Ahead()
	for _, rec := range r.Log() {
		s.Log = append(s.Log, logEntry(rec))
	}
	r.Update(func(a *policy.Account, now time.Time) { s.Account = accountOf(a, now) })
	return s
}

// accountOf is the account as the Relay screen lists it.
func accountOf(a *policy.Account, now time.Time) tui.RelayAccount {
	out := tui.RelayAccount{Propagation: a.Propagation, Warnings: a.Warnings(now)}
	for i := range a.Credentials {
		c := &a.Credentials[i]
		row := tui.RelayCredential{ID: c.ID, Label: c.Label, Username: c.Username, State: string(c.State(now)), Until: c.ActiveAt}
		if !c.Deleted.IsZero() {
			row.Until = c.GoneAt
		}
		out.Credentials = append(out.Credentials, row)
	}
	for i := range a.Users {
		if u := &a.Users[i]; u.Deleted.IsZero() {
			out.Users = append(out.Users, tui.RelayUser{Address: u.Address, Kind: string(u.Kind), Aliases: slices.Clone(u.Aliases), LiveAt: u.LiveAt, Invalid: u.Invalid})
		}
	}
	for i := range a.Domains {
		d := &a.Domains[i]
		out.Domains = append(out.Domains, tui.RelayDomain{Name: d.Name, LiveAt: d.LiveAt, Switches: []tui.RelaySwitch{
			{Name: "inbound", On: d.Inbound, Says: "mail to this domain comes in through the service"},
			{Name: "outbound", On: d.Outbound, Says: "mail from this domain may go out (A15: active)"},
			{Name: "verified", On: d.Verified, Says: "the domain is proven to be the customer's"},
			{Name: "force-auth", On: d.ForceAuth, Says: "Force SMTP AUTH: only logins on 587 may send (A10)"},
			{Name: "discovery", On: d.Discovery, Says: "SMTP Discovery: off, each sender must be a user (A16)"},
		}})
	}
	for i := range a.Servers {
		v := &a.Servers[i]
		what := v.Name
		if what == "" {
			what = v.Prefix.String()
		}
		out.Servers = append(out.Servers, tui.RelayServer{What: what, LiveAt: v.LiveAt})
	}
	return out
}

// RelayScenarios implements tui.Backend.
func (b *backend) RelayScenarios() []tui.Scenario {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.scenarios == nil {
		for _, s := range relay.Scenarios() {
			b.scenarios = append(b.scenarios, tui.Scenario{Name: s.Name, Title: s.Title})
		}
	}
	return b.scenarios
}

// logEntry is a record of the relay's log as the Relay screen shows it.
func logEntry(rec relay.Record) tui.RelayEntry {
	e := tui.RelayEntry{ID: rec.ID, Port: rec.Session.Port, Client: rec.Client, Login: rec.Login, Open: rec.Open, Session: rec.Session}
	for _, d := range rec.Decisions {
		e.Rules, e.Cites = append(e.Rules, string(d.Rule)), append(e.Cites, cite(d))
	}
	_, e.Decided = rec.Decided()
	return e
}

// cite says in words what a decision rests on: the article's statement where
// there is one, else the row of the table, else what the wire did.
func cite(d relay.Decision) string {
	switch row, ok := policy.Rule(d.Rule); {
	case !ok:
		return d.Note
	default:
		if text, known := policy.Source(d.Basis); known {
			return d.Basis + ": " + text + " " + row.Says
		}
		return strings.TrimSpace(d.Basis + ": " + row.Says)
	}
}

// RelaySet implements tui.Backend.
func (b *backend) RelaySet(names []string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.presets
	b.presets = slices.Clone(names)
	if err := b.anew(); err != nil {
		b.presets = before
		return err
	}
	listen := b.relay != nil && b.listening
	b.drop()
	return b.open(listen)
}

// RelayDo implements tui.Backend.
func (b *backend) RelayDo(words ...string) error {
	statement, err := joinStatement(words)
	if err == nil {
		_, err = b.RelayAsk(statement)
	}
	return err
}

// RelayAsk implements tui.Backend.
func (b *backend) RelayAsk(statement string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.open(false); err != nil {
		return "", err
	}
	res, err := b.relay.Apply(statement)
	if err != nil {
		return "", err
	}
	lines := res.Lines
	if res.Shown != nil {
		lines = append(lines, "user "+res.Shown.Username+"  password "+res.Shown.Password+"  (shown this once)")
	}
	if res.Advance > 0 {
		lines = append(lines, "the relay's clock is "+b.clock.Now().Format("15:04:05")+" now")
	}
	return strings.Join(lines, "\n"), nil
}

// RelayGenerate implements tui.Backend.
func (b *backend) RelayGenerate(label string) (l tui.Login, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.open(false); err != nil {
		return l, err
	}
	b.relay.Update(func(a *policy.Account, _ time.Time) {
		var shown policy.Shown
		shown, err = a.NewCredential(label).Generate()
		l = tui.Login{Username: shown.Username, Password: shown.Password}
	})
	return l, err
}

// RelaySave implements tui.Backend.
func (b *backend) RelaySave(label string, l tui.Login) (err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.open(false); err != nil {
		return err
	}
	b.relay.Update(func(a *policy.Account, now time.Time) {
		d := a.NewCredential(label)
		d.SetUsername(l.Username)
		d.SetPassword(l.Password)
		if _, err = d.Generate(); err == nil {
			_, err = d.Save(now)
		}
	})
	if err == nil {
		b.client.Username, b.client.Password, b.client.Auth = l.Username, l.Password, true
	}
	return err
}

// liveAt is when all works that the client needs and that is not live yet, by
// this program's clock; zero: nothing is pending.
func (b *backend) liveAt() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.relay == nil {
		return time.Time{}
	}
	var at time.Time
	c := b.client
	b.relay.Update(func(a *policy.Account, now time.Time) {
		later := func(t time.Time) {
			if t.After(now) && t.After(at) {
				at = t
			}
		}
		for i := range a.Credentials {
			if cr := &a.Credentials[i]; cr.Username == c.Username && cr.Deleted.IsZero() {
				later(cr.ActiveAt)
			}
		}
		for i := range a.Users {
			if u := &a.Users[i]; u.Deleted.IsZero() && (strings.EqualFold(u.Address, c.Sender) || strings.EqualFold(u.Address, c.Username)) {
				later(u.LiveAt)
			}
		}
		for i := range a.Domains {
			if _, domain, _ := strings.Cut(c.Sender, "@"); strings.EqualFold(a.Domains[i].Name, domain) {
				later(a.Domains[i].LiveAt)
			}
		}
	})
	if at.IsZero() {
		return at
	}
	return b.p.now().Add(at.Sub(b.clock.Now()))
}
