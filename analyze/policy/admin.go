package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// DefaultPropagation is the article's "up to 60 minutes" (A4, A20).
const DefaultPropagation = 60 * time.Minute

// NewAccount returns an empty organisation with the article's propagation time.
func NewAccount(name string) *Account {
	return &Account{Name: name, Propagation: DefaultPropagation}
}

// Clone returns a copy that shares nothing that can be written through it.
func (a *Account) Clone() *Account {
	b := *a
	b.Domains = slices.Clone(a.Domains)
	b.Users = slices.Clone(a.Users)
	for i := range b.Users {
		b.Users[i].Aliases = slices.Clone(b.Users[i].Aliases)
	}
	b.Discovered = slices.Clone(a.Discovered)
	b.Credentials = slices.Clone(a.Credentials)
	b.Servers = slices.Clone(a.Servers)
	b.Faults = slices.Clone(a.Faults)
	return &b
}

// AddDomain adds a domain; a change is live after the propagation time. d.LiveAt
// is set here.
func (a *Account) AddDomain(d Domain, now time.Time) error {
	d.Name = strings.ToLower(strings.TrimSuffix(d.Name, "."))
	if err := checkDomain(d.Name); err != nil {
		return err
	}
	if a.domain(d.Name) != nil {
		return fmt.Errorf("domain %s is there already; \"domain set %s …\" changes it", d.Name, d.Name)
	}
	d.LiveAt = now.Add(a.Propagation)
	a.Domains = append(a.Domains, d)
	return nil
}

// Switch is a setting of a domain.
type Switch string

// The switches of a domain.
const (
	SwitchInbound   Switch = "inbound"
	SwitchOutbound  Switch = "outbound"
	SwitchVerified  Switch = "verified"
	SwitchForceAuth Switch = "force-auth"
	SwitchDiscovery Switch = "discovery"
)

var switches = []Switch{SwitchInbound, SwitchOutbound, SwitchVerified, SwitchForceAuth, SwitchDiscovery}

// SetDomain turns a switch of a domain. Relay switches and verification need
// the propagation time (official page); Force SMTP AUTH and SMTP Discovery work
// at once (assumed).
func (a *Account) SetDomain(name string, sw Switch, on bool, now time.Time) error {
	d := a.domain(name)
	if d == nil {
		return fmt.Errorf("no domain %q in the account; \"domain list\" shows them", name)
	}
	field := map[Switch]*bool{
		SwitchInbound: &d.Inbound, SwitchOutbound: &d.Outbound, SwitchVerified: &d.Verified,
		SwitchForceAuth: &d.ForceAuth, SwitchDiscovery: &d.Discovery,
	}[sw]
	if field == nil {
		return fmt.Errorf("no switch %q; one of %s", sw, joinWords(switches))
	}
	if *field == on {
		return nil
	}
	*field = on
	if sw != SwitchForceAuth && sw != SwitchDiscovery {
		d.LiveAt = now.Add(a.Propagation)
	}
	return nil
}

// RemoveDomain takes a domain out of the account, at once (assumed).
func (a *Account) RemoveDomain(name string) error {
	n := len(a.Domains)
	a.Domains = slices.DeleteFunc(a.Domains, func(d Domain) bool { return sameDomain(d.Name, name) })
	if len(a.Domains) == n {
		return fmt.Errorf("no domain %q in the account; \"domain list\" shows them", name)
	}
	return nil
}

// AddUser adds an end user, a silent user or a functional account with its
// aliases; it may send after the propagation time (A20). A user of the address
// of a deleted one takes its place. A discovered address is confirmed by it.
func (a *Account) AddUser(address string, kind Kind, aliases []string, now time.Time) error {
	for _, x := range append([]string{address}, aliases...) {
		if u := a.user(x); u != nil && u.Deleted.IsZero() {
			return fmt.Errorf("%s belongs to user %s already", x, u.Address)
		}
	}
	before := a.Users
	a.Users = slices.DeleteFunc(slices.Clone(a.Users), func(u User) bool { return sameAddress(u.Address, address) })
	if err := a.appendUser(address, kind, aliases, now); err != nil {
		a.Users = before
		return err
	}
	a.Discovered = slices.DeleteFunc(a.Discovered, func(d Discovery) bool { return sameAddress(d.Address, address) })
	return nil
}

func (a *Account) appendUser(address string, kind Kind, aliases []string, now time.Time) error {
	if kind != EndUser && kind != SilentUser && kind != Functional {
		return fmt.Errorf("no kind of user %q; one of %s, %s, %s", kind, EndUser, SilentUser, Functional)
	}
	u := User{Address: strings.ToLower(address), Kind: kind, Created: now, LiveAt: now.Add(a.Propagation)}
	if err := checkAddress(address); err != nil {
		return err
	}
	for _, x := range aliases {
		if err := checkAddress(x); err != nil {
			return err
		}
		u.Aliases = append(u.Aliases, strings.ToLower(x))
	}
	a.Users = append(a.Users, u)
	return nil
}

// RemoveUser deletes a user, at once (assumed). The address stays out, with SMTP
// Discovery too, until it is made again.
func (a *Account) RemoveUser(address string, now time.Time) error {
	u := a.user(address)
	if u == nil || !u.Deleted.IsZero() {
		return fmt.Errorf("no user %q; \"user list\" shows them", address)
	}
	u.Deleted = now
	return nil
}

// MarkInvalid puts an address on the "Marked invalid" list, or takes it off;
// taken off, it is live again after the propagation time (official page: 30–40
// minutes). An unknown address becomes a user that is invalid.
func (a *Account) MarkInvalid(address string, on bool, now time.Time) error {
	u := a.user(address)
	if u == nil {
		if !on {
			return fmt.Errorf("no user %q; \"user list\" shows them", address)
		}
		if err := a.AddUser(address, EndUser, nil, now); err != nil {
			return err
		}
		u = a.user(address)
	}
	if u.Invalid && !on {
		u.LiveAt = now.Add(a.Propagation)
	}
	u.Invalid = on
	return nil
}

// Documentation ranges (RFC 5737) stand in for the providers' real lists, which
// are third-party data and no truth in code.
var providers = []struct {
	name   string
	prefix netip.Prefix
}{
	{"o365", netip.MustParsePrefix("198.51.100.0/24")},
	{"google", netip.MustParsePrefix("203.0.113.0/24")},
}

// AddSendingServer lists an address, a range or a named provider; it may relay
// on port 25 after the propagation time and does nothing on 587 (A14).
func (a *Account) AddSendingServer(what string, now time.Time) error {
	srv, err := parseServer(what)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(a.Servers, func(s SendingServer) bool { return s.Prefix == srv.Prefix }) {
		return fmt.Errorf("%s is listed already", srv.Prefix)
	}
	srv.LiveAt = now.Add(a.Propagation)
	a.Servers = append(a.Servers, srv)
	return nil
}

// RemoveSendingServer takes an address range or provider off the list, at once
// (assumed).
func (a *Account) RemoveSendingServer(what string) error {
	srv, err := parseServer(what)
	if err != nil {
		return err
	}
	n := len(a.Servers)
	a.Servers = slices.DeleteFunc(a.Servers, func(s SendingServer) bool { return s.Prefix == srv.Prefix })
	if len(a.Servers) == n {
		return fmt.Errorf("%s is not listed; \"sender list\" shows what is", what)
	}
	return nil
}

func parseServer(what string) (SendingServer, error) {
	for _, p := range providers {
		if p.name == what {
			return SendingServer{Name: p.name, Prefix: p.prefix}, nil
		}
	}
	if addr, err := netip.ParseAddr(what); err == nil {
		addr = addr.Unmap()
		return SendingServer{Prefix: netip.PrefixFrom(addr, addr.BitLen())}, nil
	}
	prefix, err := netip.ParsePrefix(what)
	if err != nil {
		return SendingServer{}, fmt.Errorf("%q is no address, no range like 198.51.100.0/24 and no provider (o365, google)", what)
	}
	return SendingServer{Prefix: prefix.Masked()}, nil
}

// Warnings are what the article advises against although nothing is refused: a
// credential without a user of its name (A19), Force SMTP AUTH beside Sending
// Servers, an open shared address (A11).
func (a *Account) Warnings(now time.Time) []string {
	var w []string
	for i := range a.Credentials {
		cr := &a.Credentials[i]
		if cr.State(now) == CredentialDeleted {
			continue
		}
		if u := a.user(cr.Username); u == nil || !u.Deleted.IsZero() {
			w = append(w, fmt.Sprintf("credential %s: no user, silent user or functional account is named %s (A19)", cr.ID, cr.Username))
		}
	}
	forced := slices.ContainsFunc(a.Domains, func(d Domain) bool { return d.ForceAuth })
	if len(a.Servers) > 0 && !forced {
		w = append(w, "sending servers are listed and no domain forces SMTP AUTH: whoever shares these addresses can send as you (A11)")
	}
	return w
}

func checkDomain(name string) error {
	empty := strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, "..") // a label of it
	if name == "" || len(name) > 253 || empty || strings.ContainsAny(name, " \t@<>\"\uFFFD") || !strings.Contains(name, ".") {
		return fmt.Errorf("%q is not a domain name; write customer.example", name)
	}
	return nil
}

var errAddress = errors.New("write an address like alice@customer.example")

func checkAddress(a string) error {
	a = strings.ToLower(a) // as it is kept: some letters grow
	local, domain, ok := splitAddress(a)
	if !ok || local == "" || len(a) > 320 || strings.ContainsAny(a, " \t<>\"") {
		return fmt.Errorf("%q is not an address: %w", a, errAddress)
	}
	return checkDomain(domain)
}

func joinWords[T ~string](words []T) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return strings.Join(out, ", ")
}

// Settle makes everything that is live at a later time live now: what waiting
// until then does to the account.
func (a *Account) Settle(later, now time.Time) {
	early := func(t *time.Time) {
		if t.After(now) && !t.After(later) {
			*t = now
		}
	}
	for i := range a.Domains {
		early(&a.Domains[i].LiveAt)
	}
	for i := range a.Users {
		early(&a.Users[i].LiveAt)
	}
	for i := range a.Servers {
		early(&a.Servers[i].LiveAt)
	}
	for i := range a.Credentials {
		early(&a.Credentials[i].ActiveAt)
		early(&a.Credentials[i].GoneAt)
	}
}
