package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// pending is a change of the account that is not live yet.
type pending struct {
	what  string
	until time.Time
}

// waits lists the changes that are not live yet, the first to be so first.
func (s *relayScreen) waits() []pending {
	a, now := &s.now.Account, s.now.Now
	var out []pending
	add := func(what string, until time.Time) {
		if until.After(now) {
			out = append(out, pending{what, until})
		}
	}
	for i := range a.Credentials {
		switch c := &a.Credentials[i]; c.State {
		case "pending":
			add("credential "+c.ID+" works", c.Until)
		case "leaving":
			add("credential "+c.ID+" stops working", c.Until)
		}
	}
	for i := range a.Users {
		add(a.Users[i].Address+" is live", a.Users[i].LiveAt)
	}
	for i := range a.Domains {
		add(a.Domains[i].Name+" is live", a.Domains[i].LiveAt)
	}
	for i := range a.Servers {
		add(a.Servers[i].What+" is live", a.Servers[i].LiveAt)
	}
	slices.SortStableFunc(out, func(x, y pending) int { return x.until.Compare(y.until) })
	return out
}

// liveness is the first column of the lists: live, or when it will be.
func (s *relayScreen) liveness(at time.Time) line {
	if left := at.Sub(s.now.Now); left > 0 {
		return line{}.put(warn, "live in "+clockTime(left)).pad(17)
	}
	return line{}.put(good, "live").pad(17)
}

func (s *relayScreen) credentialRow(c *RelayCredential) line {
	left := clockTime(c.Until.Sub(s.now.Now))
	var l line
	switch c.State {
	case "pending":
		l = l.put(warn, "pending "+left)
	case "leaving":
		l = l.put(warn, "leaving "+left)
	case "active":
		l = l.put(good, c.State)
	default:
		l = l.put(dim, c.State)
	}
	return l.pad(17).put(plain, c.ID).pad(22).quote(plain, c.Label).pad(44).quote(dim, c.Username)
}

func (s *relayScreen) userRow(u *RelayUser) line {
	l := s.liveness(u.LiveAt)
	if u.Invalid {
		l = line{}.put(bad, "marked invalid").pad(17)
	}
	l = l.put(plain, u.Kind).pad(30).quote(plain, u.Address)
	if len(u.Aliases) > 0 {
		l = l.put(dim, "  aliases ").quote(dim, strings.Join(u.Aliases, ", "))
	}
	return l
}

func (s *relayScreen) serverRow(v *RelayServer) line {
	return s.liveness(v.LiveAt).quote(plain, v.What).put(dim, "  may relay on port 25; does nothing on 587")
}

// domainAt is a row of the domains: a domain, or one of its switches.
type domainAt struct{ domain, of int } // of is -1 for the domain itself

func (s *relayScreen) domainRows() []domainAt {
	var out []domainAt
	for i := range s.now.Account.Domains {
		out = append(out, domainAt{i, -1})
		for k := range s.now.Account.Domains[i].Switches {
			out = append(out, domainAt{i, k})
		}
	}
	return out
}

func (s *relayScreen) domainRow(at domainAt) line {
	d := &s.now.Account.Domains[at.domain]
	if at.of < 0 {
		return s.liveness(d.LiveAt).quote(title, d.Name)
	}
	sw := &d.Switches[at.of]
	on := "  [ ] "
	if sw.On {
		on = "  [x] "
	}
	return say(on+sw.Name).pad(20).put(dim, sw.Says)
}

func (s *relayScreen) turnSwitch() tea.Cmd {
	rows := s.domainRows()
	if s.sel[tabDomains] >= len(rows) {
		return nil
	}
	at := rows[s.sel[tabDomains]]
	if at.of < 0 {
		return toast("go to one of its switches below")
	}
	d := &s.now.Account.Domains[at.domain]
	sw := &d.Switches[at.of]
	to := "on"
	if sw.On {
		to = "off"
	}
	return s.submit(fmt.Sprintf("%s of %s is %s", sw.Name, d.Name, to), "domain", "set", d.Name, sw.Name, to)
}

func (s *relayScreen) invalid() tea.Cmd {
	if s.sel[tabUsers] >= len(s.now.Account.Users) {
		return nil
	}
	u := &s.now.Account.Users[s.sel[tabUsers]]
	if u.Invalid {
		return s.submit(u.Address+" is off the list again", "user", "invalid", u.Address, "off")
	}
	return s.submit(u.Address+" is marked invalid", "user", "invalid", u.Address, "on")
}

// remove asks before it deletes: no single key does.
func (s *relayScreen) remove() tea.Cmd {
	a, i := &s.now.Account, s.sel[s.tab]
	if i >= s.count() {
		return toast("there is nothing to delete")
	}
	var what, note string
	var words []string
	switch s.tab {
	case tabCredentials:
		c := &a.Credentials[i]
		what, words = fmt.Sprintf("credential %s (%s)", c.ID, c.Label), []string{"cred", "rm", c.ID}
		note = "It still works until the deletion has propagated. An unused pair may be deleted (A5)."
	case tabUsers:
		what, words = a.Users[i].Address, []string{"user", "rm", a.Users[i].Address}
	case tabDomains:
		d := a.Domains[s.domainRows()[i].domain].Name
		what, words = "the domain "+d, []string{"domain", "rm", d}
	default:
		what, words = "the sending server "+a.Servers[i].What, []string{"sender", "rm", a.Servers[i].What}
	}
	s.form = &relayForm{
		heading: "DELETE", note: note, fields: []*field{{label: "Sure?", options: []string{"no", "yes, delete " + what}}},
		do: func(f *relayForm) tea.Cmd {
			if f.fields[0].choice == 0 {
				s.form = nil
				return toast("nothing was deleted")
			}
			return s.submit(what+" is deleted", words...)
		},
	}
	return nil
}

// add asks for what is new in the list on show.
func (s *relayScreen) add() tea.Cmd {
	f := &relayForm{}
	switch s.tab {
	case tabCredentials:
		f.heading, f.note = "NEW CREDENTIAL", "Domains > SMTP Authentication > New Credential: enter a label; enter is Generate Password (A2)."
		f.fields = []*field{{label: "Label"}}
		f.do = s.generate
	case tabUsers:
		f.heading, f.note = "NEW USER", "The three kinds send alike. A sender, and the same-named user of a credential, must be one of them (A19); it takes up to an hour to be live (A20)."
		f.fields = []*field{
			{label: "Address"},
			{label: "Kind", options: []string{"end_user", "silent_user", "functional"}},
			{label: "Alias", note: "empty: none"},
		}
		f.do = func(f *relayForm) tea.Cmd {
			words := []string{"user", "add", f.value(0), "--kind=" + f.fields[1].options[f.fields[1].choice]}
			if alias := f.value(2); alias != "" {
				words = append(words, "--alias="+alias)
			}
			return s.submit(f.value(0)+" is added", words...)
		}
	case tabDomains:
		f.heading, f.note = "NEW DOMAIN", "Inbound and outbound relay are on, and it counts as verified; its switches are in the list."
		f.fields = []*field{{label: "Domain"}}
		f.do = func(f *relayForm) tea.Cmd {
			return s.submit(f.value(0)+" is added", "domain", "add", f.value(0), "--inbound", "--outbound")
		}
	default:
		f.heading, f.note = "NEW SENDING SERVER", "An address, a range like 198.51.100.0/24, o365 or google. It may relay on port 25 and does nothing on 587 (A14); with SMTP AUTH none is needed (A9)."
		f.fields = []*field{{label: "Address"}}
		f.do = func(f *relayForm) tea.Cmd {
			return s.submit(f.value(0)+" is listed", "sender", "add", f.value(0))
		}
	}
	s.form = f
	return nil
}

// submit carries out what a form asked for. One that was refused stays, with
// what was typed.
func (s *relayScreen) submit(said string, words ...string) tea.Cmd {
	f := s.form
	s.form = nil
	if err := s.m.o.Backend.RelayDo(words...); err != nil {
		s.form = f
		return toast("not done: %v", err)
	}
	s.refresh()
	return tea.Batch(s.watch(), toast("%s", said))
}

// ask takes a statement of the grammar of settings as one types it.
func (s *relayScreen) ask() tea.Cmd {
	s.form = &relayForm{
		heading: "STATEMENT",
		note:    "In the grammar of settings, as 'handoff relay account --help' lists it: limit list, fault list, fault set N, clock +10m, cred list, propagation set 5m.",
		fields:  []*field{{label: "Statement"}},
		do: func(f *relayForm) tea.Cmd {
			st := f.value(0)
			if st == "" {
				return nil
			}
			answer, err := s.m.o.Backend.RelayAsk(st)
			if err != nil {
				return toast("not done: %v", err)
			}
			s.form = nil
			s.refresh()
			if answer = strings.TrimRight(answer, "\n"); answer != "" {
				s.answer, s.scroll = append([]string{"> " + st}, strings.Split(answer, "\n")...), 0
			}
			return tea.Batch(s.watch(), toast("done: %s", st))
		},
	}
	return nil
}

func (s *relayScreen) drawAnswer(w, h int) []line {
	var out []line
	for i, a := range s.answer {
		in := plain
		if i == 0 {
			in = title
		}
		out = append(out, say(" ").quote(in, a))
	}
	s.scroll = min(s.scroll, max(len(out)-max(h, 1), 0))
	return out[s.scroll:]
}

// relayForm asks for what a change needs.
type relayForm struct {
	heading, note string
	fields        []*field
	at            int
	do            func(*relayForm) tea.Cmd
}

func (f *relayForm) value(i int) string { return strings.TrimSpace(f.fields[i].String()) }

func (f *relayForm) text() bool { return f.fields[f.at].isText() }

func (f *relayForm) typed(k tea.KeyPressMsg) { f.fields[f.at].edit(k) }

func (f *relayForm) bindings(leave func() tea.Cmd) []binding {
	move := func(by int) func() tea.Cmd {
		return func() tea.Cmd {
			f.at = (f.at + by + len(f.fields)) % len(f.fields)
			return nil
		}
	}
	bs := []binding{{keys: []string{"enter"}, short: "next, then do it", long: "next question; behind the last one, carry it out", run: func() tea.Cmd {
		if f.at+1 < len(f.fields) {
			f.at++
			return nil
		}
		return f.do(f)
	}}}
	if len(f.fields) > 1 {
		bs = append(bs,
			binding{keys: []string{"tab", "down"}, short: "next", long: "next question", run: move(1)},
			binding{keys: []string{"shift+tab", "up"}, long: "question before", run: move(-1)})
	} else {
		bs[0].short, bs[0].long = "do it", "carry it out"
	}
	if x := f.fields[f.at]; !x.isText() {
		bs = append(bs,
			binding{keys: []string{"right", "l", "space"}, short: "choose", long: "next choice", run: func() tea.Cmd { return x.choose(1) }},
			binding{keys: []string{"left", "h"}, long: "choice before", run: func() tea.Cmd { return x.choose(-1) }})
	} else {
		bs = append(bs, fieldKeys)
	}
	return append(bs, binding{keys: []string{"esc"}, short: "back", long: "leave it as it is", run: leave})
}

func (f *relayForm) draw(w int) []line {
	out := []line{line{}.put(title, " "+f.heading), {}}
	for i, x := range f.fields {
		l, _ := x.draw(i == f.at, labelWidth, w)
		out = append(out, l)
	}
	if f.note != "" {
		out = append(append(out, line{}), prose(f.note, w)...)
	}
	return out
}

func (f *relayForm) cursor(w int) (x, y int, ok bool) {
	_, x = f.fields[f.at].draw(true, labelWidth, w)
	return x, 2 + f.at, true
}
