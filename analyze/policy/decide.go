package policy

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// view is one question to the table: the values a row's condition may look at.
type view struct {
	acc *Account
	s   *Session
	c   *Command
	now time.Time
}

// Decide answers one command: the reply of the first row that matches, and the
// row's id. It changes nothing; Step also moves the session on.
func Decide(acc *Account, s *Session, c Command, now time.Time) (Reply, RuleID) {
	v := view{acc: acc, s: s, c: &c, now: now}
	if s.Region != "" && acc.Region != "" && s.Region != acc.Region {
		// The account lives elsewhere: to this host the customer is a stranger.
		v.acc = &Account{Host: acc.Host, Limits: acc.Limits, Dialect: acc.Dialect, Faults: acc.Faults}
	}
	for i := range table {
		r := &table[i]
		if r.Port != 0 && r.Port != s.Port || !r.on(c.Verb) {
			continue
		}
		if r.when == nil || r.when(&v) {
			return r.reply(&v), r.ID
		}
	}
	// The last rows of the table match every verb, so this is unreachable.
	return Reply{500, "5.5.2", "Error: command not recognized"}, "O1"
}

// on reports whether the row speaks about the verb; no verbs means all of them
// but the three that are not commands.
func (r *Row) on(verb Verb) bool {
	if len(r.Verbs) == 0 {
		return verb != Connect && verb != Handshake && verb != Idle
	}
	return slices.Contains(r.Verbs, verb)
}

// reply fills the row's template.
func (r *Row) reply(v *view) Reply {
	t := r.Reply
	for i := range r.Variants {
		if r.Variants[i].when(v) {
			t = r.Variants[i].Reply
			break
		}
	}
	t.Text = v.fill(t.Text)
	return t
}

// fill replaces the placeholders of a template: {rcpt} {sender} {host} {ip}
// {client} {option} {id} {reason} {quota} {detail}.
func (v *view) fill(text string) string {
	if !strings.Contains(text, "{") {
		return text
	}
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "{")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		name, after, ok := strings.Cut(rest, "}")
		if !ok {
			b.WriteString("{" + rest)
			return b.String()
		}
		switch name {
		case "rcpt":
			b.WriteString("<" + withoutRoute(v.c.Address) + ">")
		case "sender":
			s := v.s.Sender
			if v.c.Verb == Mail {
				s = v.c.Address
			}
			b.WriteString("<" + s + ">")
		case "host":
			b.WriteString(v.host())
		case "ip":
			b.WriteString(v.ip())
		case "client":
			n := v.s.Name
			if n == "" {
				n = "unknown"
			}
			b.WriteString(n + "[" + v.ip() + "]")
		case "option":
			b.WriteString(v.c.Arg)
		case "id":
			b.WriteString(v.s.QueueID)
		case "reason":
			r := v.acc.Dialect.AuthReason
			if r == "" {
				r = "authentication failure"
			}
			b.WriteString(r)
		case "quota":
			b.WriteString(v.acc.Dialect.QuotaPrefix)
		case "detail":
			b.WriteString(v.faultArg("rcpt-callout", "host mail.customer.example[192.0.2.80] said: 550 5.1.1 User unknown"))
		}
		text = after
	}
}

func (v *view) host() string {
	if v.acc.Host != "" {
		return v.acc.Host
	}
	return DefaultHost
}

func (v *view) ip() string {
	if v.s.Client.IsValid() {
		return v.s.Client.Unmap().String()
	}
	return "unknown"
}

// fires returns the fault of that name if it is set and its trigger is met.
func (v *view) fires(name string) *Fault {
	for i := range v.acc.Faults {
		f := &v.acc.Faults[i]
		if f.Name == name && f.Fires(v.s, v.c) {
			return f
		}
	}
	return nil
}

// faultIs reports whether the fault fires with that first argument.
func (v *view) faultIs(name, arg string) bool {
	f := v.fires(name)
	return f != nil && len(f.Args) > 0 && f.Args[0] == arg
}

// faultArg joins the arguments of a fault, or gives the default.
func (v *view) faultArg(name, fallback string) string {
	if f := v.fires(name); f != nil && len(f.Args) > 0 {
		return strings.Join(f.Args, " ")
	}
	return fallback
}

// Fires reports whether the fault's trigger is met for this command.
func (f *Fault) Fires(s *Session, c *Command) bool {
	n := max(s.Attempt, 1)
	if f.First > 0 && n > f.First || f.Nth > 0 && n != f.Nth {
		return false
	}
	if f.Client.IsValid() && !f.Client.Contains(s.Client.Unmap()) {
		return false
	}
	if f.Sender != "" {
		sender := s.Sender
		if c.Verb == Mail {
			sender = c.Address
		}
		if !sameAddress(f.Sender, sender) {
			return false
		}
	}
	return f.Recipient == "" || c.Verb == Rcpt && sameAddress(f.Recipient, c.Address)
}

// Facts of the client and the login.

// listed reports whether the client's address is a live Sending Server.
func (v *view) listed() bool {
	addr := v.s.Client.Unmap()
	if !addr.IsValid() {
		return false
	}
	for i := range v.acc.Servers {
		if srv := &v.acc.Servers[i]; srv.Prefix.Contains(addr) && !v.now.Before(srv.LiveAt) {
			return true
		}
	}
	return false
}

func (v *view) loggedIn() bool { return v.s.Login != "" }

// trusted is the entrance to the sender rules: a listed address on 25, a login
// on 587.
func (v *view) trusted() bool {
	if v.s.Port == 25 {
		return v.listed()
	}
	return v.loggedIn()
}

// Facts of the sender.

func (v *view) nullSender() bool { return v.s.Sender == "" }

func (v *view) domain(address string) *Domain {
	return v.acc.domain(domainOf(address))
}

func (v *view) discovery(d *Domain) bool { return d.Discovery && !v.acc.DirectorySync }

// known reports whether the address is a user or an alias, and whether it is
// live yet.
func (v *view) known(address string) (known, live bool) {
	u := v.acc.user(address)
	if u == nil || !u.Deleted.IsZero() {
		return false, false
	}
	return true, !v.now.Before(u.LiveAt)
}

// removed reports whether the address belonged to a user that was deleted.
func (v *view) removed(address string) bool {
	u := v.acc.user(address)
	return u != nil && !u.Deleted.IsZero()
}

// invalid reports whether the address is on the Marked invalid list, by hand or
// because a discovered address was never confirmed.
func (v *view) invalid(address string) bool {
	if u := v.acc.user(address); u != nil {
		return u.Invalid
	}
	for i := range v.acc.Discovered {
		if d := &v.acc.Discovered[i]; sameAddress(d.Address, address) {
			return !v.now.Before(d.First.Add(DiscoveryExpiry))
		}
	}
	return false
}

// mayPass reports whether the address is known and live, or Discovery lets it
// in. A removed user stays out until it is made again.
func (v *view) mayPass(address string, d *Domain) bool {
	if known, live := v.known(address); known && live {
		return true
	}
	return v.discovery(d) && !v.removed(address)
}

func (v *view) overLimit() bool {
	known, live := v.known(v.s.Sender)
	l := v.acc.Limits.withDefaults()
	if known && live {
		return over(v.s.Recent10m, l.SenderPer10m) || over(v.s.RecentDay, l.SenderPerDay)
	}
	return over(v.s.Domain10m, l.DomainPer10m) || over(v.s.DomainDay, l.DomainPerDay)
}

// over reports whether one message more would be too many.
func over(n, limit int) bool { return limit >= 0 && n >= limit }

// Facts of the recipient.

// ownRecipient returns the domain if the recipient is mail for this customer
// that the service takes in: an own, verified, live domain with inbound relay on.
func (v *view) ownRecipient() *Domain {
	local, dom, ok := splitAddress(withoutRoute(v.c.Address))
	if !ok || strings.ContainsAny(local, "%!@") {
		return nil // a source route is no local address
	}
	d := v.acc.domain(dom)
	if d == nil || !d.Inbound || !d.Verified || v.now.Before(d.LiveAt) {
		return nil
	}
	return d
}

// credential returns the login's credential by its user name. A live pair wins
// over a deleted one of the same name.
func (v *view) credential() *Credential {
	var found *Credential
	for i := range v.acc.Credentials {
		cr := &v.acc.Credentials[i]
		if !sameAddress(cr.Username, v.c.Username) {
			continue
		}
		if found == nil || !found.Deleted.IsZero() && cr.Deleted.IsZero() {
			found = cr
		}
	}
	return found
}

// State is where a credential is in its life.
func (cr *Credential) State(now time.Time) CredentialState {
	switch {
	case !cr.Deleted.IsZero() && !now.Before(cr.GoneAt):
		return CredentialDeleted
	case now.Before(cr.ActiveAt):
		return CredentialPending
	case !cr.Deleted.IsZero():
		return CredentialLeaving
	default:
		return CredentialActive
	}
}

// CredentialState is the life of a credential.
type CredentialState string

// The states of a credential. A leaving one was deleted and still works until
// the change has propagated (assumed).
const (
	CredentialPending CredentialState = "pending"
	CredentialActive  CredentialState = "active"
	CredentialLeaving CredentialState = "leaving"
	CredentialDeleted CredentialState = "deleted"
)

// Mechanisms the service offers inside TLS on 587 unless mech-missing is set.
var mechanisms = []string{"PLAIN", "LOGIN"}

func (v *view) mechanisms() []string {
	if f := v.fires("mech-missing"); f != nil {
		if len(f.Args) == 0 {
			return []string{"CRAM-MD5"}
		}
		return f.Args
	}
	return mechanisms
}

// Keywords are the EHLO keywords with their parameters, in Postfix's order:
// on 25 never AUTH (E1); on 587 STARTTLS and no AUTH before TLS, AUTH and no
// STARTTLS inside (E2).
func Keywords(acc *Account, s *Session) []string {
	v := view{acc: acc, s: s, c: &Command{Verb: EHLO}}
	size := acc.Limits.withDefaults().MessageBytes
	list := []string{"PIPELINING", "SIZE " + strconv.FormatInt(max(size, 0), 10), "VRFY", "ETRN"}
	if !s.Secure && v.fires("tls-off") == nil && v.fires("starttls-stripped") == nil {
		list = append(list, "STARTTLS")
	}
	if s.Port != 25 && s.Secure {
		list = append(list, "AUTH "+strings.Join(v.mechanisms(), " "))
	}
	return append(list, "ENHANCEDSTATUSCODES", "8BITMIME", "DSN", "SMTPUTF8", "CHUNKING")
}

// Step decides one command and moves the session and the account on: TLS after
// 220, the login after 235, the transaction after MAIL, RCPT and the final dot,
// the addresses that Discovery writes down. A caller whose TLS handshake fails
// after the 220 sets s.Secure back.
func Step(acc *Account, s *Session, c Command, now time.Time) (Reply, RuleID) {
	reply, id := Decide(acc, s, c, now)
	if reply.Code >= 400 {
		s.Errors++
	}
	ok := reply.Code >= 200 && reply.Code < 400
	switch c.Verb {
	case Connect:
		s.Denied = id == "K4" && reply.Code == 554
	case EHLO, HELO:
		if ok {
			s.Helo = c.Arg
			s.endMail()
		}
	case StartTLS:
		if ok {
			s.Secure, s.Helo, s.Login = true, "", ""
			s.endMail()
		}
	case Auth:
		if reply.Code == 235 {
			v := view{acc: acc, s: s, c: &c, now: now}
			if cr := v.credential(); cr != nil {
				s.Login = cr.ID
			}
		}
	case Mail:
		if ok {
			s.endMail()
			s.InMail, s.Sender = true, withoutRoute(c.Address)
		}
	case Rcpt:
		if !ok {
			s.Refused++
			break
		}
		s.Accepted++
		acc.discover(s, c, id, now)
	case EndData, Rset:
		s.endMail()
	}
	return reply, id
}

func (s *Session) endMail() {
	s.InMail, s.Sender, s.Accepted, s.Refused, s.DataBytes = false, "", 0, 0, 0
}

// discover writes an unknown address of a Discovery domain down: the sender
// that C8 let pass, the recipient that I1 took.
func (a *Account) discover(s *Session, c Command, id RuleID, now time.Time) {
	address := s.Sender
	if id == "I1" {
		address = withoutRoute(c.Address)
	} else if id != "C8" {
		return
	}
	if address == "" || a.user(address) != nil {
		return
	}
	for i := range a.Discovered {
		if sameAddress(a.Discovered[i].Address, address) {
			return
		}
	}
	if d := a.domain(domainOf(address)); d == nil || !d.Discovery {
		return
	}
	a.Discovered = append(a.Discovered, Discovery{Address: strings.ToLower(address), First: now})
}

// Addresses.

// splitAddress cuts an address at its last @. ok is false without a domain.
func splitAddress(a string) (local, domain string, ok bool) {
	i := strings.LastIndexByte(a, '@')
	if i < 0 || i == len(a)-1 {
		return a, "", false
	}
	return a[:i], a[i+1:], true
}

func domainOf(a string) string {
	_, d, _ := splitAddress(a)
	return d
}

// withoutRoute cuts the source route of RFC 5321 §4.1.2: "@x:y@z" is y@z.
func withoutRoute(a string) string {
	if strings.HasPrefix(a, "@") {
		if i := strings.IndexByte(a, ':'); i > 0 {
			return a[i+1:]
		}
	}
	return a
}

// sameAddress compares addresses and names without regard to case.
func sameAddress(a, b string) bool { return strings.EqualFold(a, b) }

func sameDomain(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}

func (a *Account) domain(name string) *Domain {
	if name == "" {
		return nil
	}
	for i := range a.Domains {
		if sameDomain(a.Domains[i].Name, name) {
			return &a.Domains[i]
		}
	}
	return nil
}

// user finds the user by its address or one of its aliases. A live user wins
// over a removed one.
func (a *Account) user(address string) *User {
	var found *User
	for i := range a.Users {
		u := &a.Users[i]
		if !sameAddress(u.Address, address) && !slices.ContainsFunc(u.Aliases, func(x string) bool { return sameAddress(x, address) }) {
			continue
		}
		if u.Deleted.IsZero() {
			return u
		}
		if found == nil {
			found = u
		}
	}
	return found
}

func (l Limits) withDefaults() Limits {
	def := func(n *int, d int) {
		if *n == 0 {
			*n = d
		}
	}
	if l.MessageBytes == 0 {
		l.MessageBytes = 104857600
	}
	def(&l.Recipients, 1000)
	def(&l.SenderPer10m, 500)
	def(&l.SenderPerDay, 2500)
	def(&l.DomainPer10m, 2000)
	def(&l.DomainPerDay, 10000)
	def(&l.InboundPerMin, 200)
	return l
}
