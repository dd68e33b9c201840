package policy

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Format writes the account as statements of the grammar, times included:
// applying them to an empty account makes the same one. It is the state file.
// Passwords are in it only as salted hashes.
func Format(a *Account) []string {
	var out []string
	add := func(words ...string) { out = append(out, strings.Join(words, " ")) }
	stamp := func(name string, t time.Time) string { return "--" + name + " " + t.UTC().Format(time.RFC3339Nano) }
	if a.Name != "" {
		add("account name", Quote(a.Name))
	}
	if a.Host != "" {
		add("account host", Quote(a.Host))
	}
	if a.Region != "" {
		add("account region", a.Region)
	}
	add("propagation set", a.Propagation.String())
	if a.HashRounds > 0 {
		add("cred rounds", strconv.Itoa(a.HashRounds))
	}
	if a.DirectorySync {
		add("sync on")
	}
	for _, l := range a.Limits.list() {
		if l.n != 0 {
			add("limit set", l.name, strconv.FormatInt(l.n, 10))
		}
	}
	for _, d := range a.Dialect.list() {
		add("dialect set", d)
	}
	for _, d := range a.Domains {
		words := []string{"domain add", d.Name}
		for _, f := range []struct {
			on   bool
			name string
		}{{d.Inbound, "--inbound"}, {d.Outbound, "--outbound"}, {d.Discovery, "--discovery"}, {d.ForceAuth, "--force-auth"}, {!d.Verified, "--unverified"}} {
			if f.on {
				words = append(words, f.name)
			}
		}
		add(append(words, stamp("live", d.LiveAt))...)
	}
	for _, u := range a.Users {
		words := []string{"user add", Quote(u.Address), "--kind", string(u.Kind)}
		for _, al := range u.Aliases {
			words = append(words, "--alias", Quote(al))
		}
		words = append(words, stamp("created", u.Created), stamp("live", u.LiveAt))
		if u.Invalid {
			words = append(words, "--invalid")
		}
		if !u.Deleted.IsZero() {
			words = append(words, stamp("deleted", u.Deleted))
		}
		add(words...)
	}
	for _, d := range a.Discovered {
		add("user discovered", Quote(d.Address), stamp("first", d.First))
	}
	for _, cr := range a.Credentials {
		words := []string{
			"cred put", Quote(cr.ID), Quote(cr.Label), "--user", Quote(cr.Username),
			fmt.Sprintf("--hash %d:%s:%s", cr.Rounds, hex.EncodeToString(cr.Salt), hex.EncodeToString(cr.Hash)),
			stamp("created", cr.Created), stamp("active", cr.ActiveAt),
		}
		if !cr.Deleted.IsZero() {
			words = append(words, stamp("deleted", cr.Deleted), stamp("gone", cr.GoneAt))
		}
		add(words...)
	}
	for _, s := range a.Servers {
		what := s.Name
		if what == "" {
			what = s.Prefix.String()
		}
		add("sender add", what, stamp("live", s.LiveAt))
	}
	for _, f := range a.Faults {
		words := []string{"fault set", f.Name}
		for _, arg := range f.Args {
			words = append(words, Quote(arg))
		}
		for _, o := range []struct {
			name string
			n    int
		}{{"--first", f.First}, {"--nth", f.Nth}} {
			if o.n > 0 {
				words = append(words, o.name, strconv.Itoa(o.n))
			}
		}
		if f.Sender != "" {
			words = append(words, "--sender", Quote(f.Sender))
		}
		if f.Recipient != "" {
			words = append(words, "--recipient", Quote(f.Recipient))
		}
		if f.Client.IsValid() {
			words = append(words, "--client", f.Client.String())
		}
		add(words...)
	}
	return out
}

type limit struct {
	name string
	n    int64
}

func (l Limits) list() []limit {
	return []limit{
		{"10m", int64(l.SenderPer10m)},
		{"24h", int64(l.SenderPerDay)},
		{"domain-10m", int64(l.DomainPer10m)},
		{"domain-24h", int64(l.DomainPerDay)},
		{"inbound", int64(l.InboundPerMin)},
		{"recipients", int64(l.Recipients)},
		{"size", l.MessageBytes},
	}
}

// list writes the dialects that differ from the table's defaults.
func (d Dialect) list() []string {
	var out []string
	for _, s := range []struct {
		on   bool
		name string
	}{{d.HideAuth, "hide-auth"}, {d.SubmissionStock, "submission-stock"}, {d.InvalidAsRAD, "invalid-as-rad"}, {d.NullSenderOK, "null-sender-ok"}, {d.Recipients451, "recipients-451"}} {
		if s.on {
			out = append(out, s.name)
		}
	}
	if d.QuotaPrefix != "" {
		out = append(out, "quota-prefix "+Quote(d.QuotaPrefix))
	}
	if d.AuthReason != "" {
		out = append(out, "auth-reason "+Quote(d.AuthReason))
	}
	return out
}

// until is the countdown of a list: "pending 41m", rounded up to whole minutes.
func until(t, now time.Time) string {
	d := t.Sub(now)
	if d <= 0 {
		return "live"
	}
	return fmt.Sprintf("pending %dm", int((d+time.Minute-1)/time.Minute))
}

func onWord(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func domainList(c *call) (Result, error) {
	var r Result
	for _, d := range c.acc.Domains {
		verified := "verified"
		if !d.Verified {
			verified = "not verified"
		}
		r.Lines = append(r.Lines, fmt.Sprintf("%s  inbound %s  outbound %s  force-auth %s  discovery %s  %s  %s",
			d.Name, onWord(d.Inbound), onWord(d.Outbound), onWord(d.ForceAuth), onWord(d.Discovery && !c.acc.DirectorySync), verified, until(d.LiveAt, c.now)))
	}
	return r, nil
}

func userList(c *call) (Result, error) {
	var r Result
	for _, u := range c.acc.Users {
		state := until(u.LiveAt, c.now)
		switch {
		case !u.Deleted.IsZero():
			state = "deleted"
		case u.Invalid:
			state = "marked invalid"
		}
		line := fmt.Sprintf("%s  %s  %s", u.Address, u.Kind, state)
		if len(u.Aliases) > 0 {
			line += "  aliases " + strings.Join(u.Aliases, ", ")
		}
		r.Lines = append(r.Lines, line)
	}
	for _, d := range c.acc.Discovered {
		state := "discovered"
		if !c.now.Before(d.First.Add(DiscoveryExpiry)) {
			state = "marked invalid"
		}
		r.Lines = append(r.Lines, fmt.Sprintf("%s  -  %s", d.Address, state))
	}
	return r, nil
}

func credList(c *call) (Result, error) {
	var r Result
	for i := range c.acc.Credentials {
		cr := &c.acc.Credentials[i]
		state := string(cr.State(c.now))
		switch cr.State(c.now) {
		case CredentialPending:
			state = until(cr.ActiveAt, c.now)
		case CredentialLeaving:
			state = "deleted, works for " + strings.TrimPrefix(until(cr.GoneAt, c.now), "pending ") + " more"
		}
		r.Lines = append(r.Lines, fmt.Sprintf("%s  %s  %s  created %s  %s", cr.ID, cr.Label, cr.Username, cr.Created.UTC().Format(time.RFC3339), state))
	}
	return r, nil
}

func senderList(c *call) (Result, error) {
	var r Result
	for _, s := range c.acc.Servers {
		name := s.Prefix.String()
		if s.Name != "" {
			name = s.Name + " (" + name + ")"
		}
		r.Lines = append(r.Lines, name+"  "+until(s.LiveAt, c.now))
	}
	return r, nil
}

func limitList(c *call) (Result, error) {
	var r Result
	def := c.acc.Limits.withDefaults().list()
	for i, l := range c.acc.Limits.list() {
		note := ""
		if l.n == 0 {
			note = "  (the service's own)"
		}
		r.Lines = append(r.Lines, fmt.Sprintf("%s %d%s", l.name, def[i].n, note))
	}
	return r, nil
}

func faultList(c *call) (Result, error) {
	var r Result
	for _, k := range faultKinds {
		mark := " "
		if c.acc.Has(k.Name) != nil {
			mark = "*"
		}
		r.Lines = append(r.Lines, strings.TrimRight(fmt.Sprintf("%s %-22s %s", mark, k.Name, k.Says), " "))
	}
	return r, nil
}
