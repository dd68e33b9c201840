package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// relayScreen starts and stops the reference relay, switches presets on and
// off, administers its account by the article's words and shows its sessions
// with the rule that decided.
type relayScreen struct {
	m      *model
	now    Relay // as it was looked at last
	tab    int
	sel    [relayTabCount]int
	top    [relayTabCount]int
	listAt int // first row of the list in the body, for the mouse
	rows   int // rows of the list in sight

	filter string // of the scenarios
	search bool
	open   string     // id of the session that is shown in full
	scroll int        // of the session, or of the answer
	form   *relayForm // questions before a change
	login  *newLogin  // a credential between Generate Password and Save
	answer []string   // of a statement
	ticks  bool       // a relayTickMsg is under way
}

// The lists of the Relay screen.
const (
	tabScenarios = iota
	tabSessions
	tabCredentials
	tabUsers
	tabDomains
	tabServers
	relayTabCount
)

var relayTabs = [relayTabCount]string{"scenarios", "sessions", "credentials", "users", "domains", "servers"}

type relayTickMsg struct{}

func newRelayScreen(m *model) *relayScreen { return &relayScreen{m: m} }

func (s *relayScreen) name() string { return "Relay" }

func (s *relayScreen) state() string {
	if !s.now.Running {
		return "in this program only"
	}
	up := s.m.o.Now().Sub(s.now.Since)
	return "up " + clockTime(up) + " | loopback"
}

// clockTime writes a duration as a clock shows it, "59:12" or "1:00:00".
func clockTime(d time.Duration) string {
	n := int(max(d, 0) / time.Second)
	if n >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", n/3600, n/60%60, n%60)
	}
	return fmt.Sprintf("%02d:%02d", n/60, n%60)
}

func (s *relayScreen) bindings() []binding {
	switch {
	case s.form != nil:
		return s.form.bindings(func() tea.Cmd { s.form = nil; return nil })
	case s.login != nil:
		return s.loginBindings()
	case s.search:
		return []binding{
			{keys: []string{"enter", "esc"}, short: "done", long: "leave the filter", run: func() tea.Cmd { s.search = false; return nil }},
			editKeys("take letters of the filter away", "backspace", "ctrl+u"),
		}
	case s.answer != nil:
		return s.scrolled("back to the lists", func() tea.Cmd { s.answer = nil; return nil })
	case s.open != "":
		return s.scrolled("back to the sessions", func() tea.Cmd { s.open = ""; return nil })
	}
	move := func(by int) func() tea.Cmd {
		return func() tea.Cmd { return s.move(by) }
	}
	bs := []binding{
		{keys: []string{"tab"}, short: "next list", long: "scenarios, sessions, credentials, users, domains, servers", run: func() tea.Cmd { return s.turn(1) }},
		{keys: []string{"shift+tab"}, long: "list before", run: func() tea.Cmd { return s.turn(-1) }},
	}
	bs = append(bs, s.tabBindings()...)
	return append(bs,
		binding{keys: []string{"p"}, short: "probe it", long: "probe the bundled relay as it is now", run: s.probe},
		binding{keys: []string{"s"}, short: "start/stop", long: "open the relay to other programs, or close it to them (loopback only, it delivers nothing)", run: s.startStop},
		binding{keys: []string{"w"}, short: "wait 1 h", long: "let 60 minutes pass on the relay's clock: what is pending becomes live", run: s.wait},
		binding{keys: []string{"c"}, long: "type a statement of the grammar of settings: limit list, fault list, clock +10m, domain set D force-auth on ...", run: s.ask},
		binding{keys: []string{"j", "down"}, long: "next row", run: move(1)},
		binding{keys: []string{"k", "up"}, long: "row before", run: move(-1)},
		binding{keys: []string{"pgdown"}, long: "down a page", run: func() tea.Cmd { return s.move(max(s.rows, 1)) }},
		binding{keys: []string{"pgup"}, long: "up a page", run: func() tea.Cmd { return s.move(-max(s.rows, 1)) }},
		binding{keys: []string{"g", "home"}, long: "to the first row", run: move(-1 << 30)},
		binding{keys: []string{"G", "end"}, long: "to the last row", run: move(1 << 30)})
}

// tabBindings are the commands of the list on show.
func (s *relayScreen) tabBindings() []binding {
	add := binding{keys: []string{"n"}, short: "new", run: s.add}
	remove := binding{keys: []string{"x", "delete"}, short: "delete", run: s.remove}
	switch s.tab {
	case tabScenarios:
		return []binding{
			{keys: []string{"space", "enter"}, short: "switch", long: "switch this scenario on or off; several add up", run: s.toggle},
			{keys: []string{"x"}, short: "none", long: "switch all scenarios off: a healthy account", run: s.none},
			{keys: []string{"/"}, short: "find", long: "show the scenarios that contain a word", run: func() tea.Cmd { s.search = true; return nil }},
		}
	case tabSessions:
		return []binding{{keys: []string{"enter"}, short: "open", long: "the dialogue, with the rule behind each reply", run: s.openSession}}
	case tabCredentials:
		add.short, add.long = "new credential", "New Credential: a label, Generate Password, copy, Save"
		remove.long = "delete this credential, after a question"
		return []binding{add, remove}
	case tabUsers:
		add.long = "add an end user, a silent user or a functional account"
		remove.long = "delete this user, after a question"
		return []binding{add, remove, {keys: []string{"i"}, short: "invalid", long: "put this user on the Marked invalid list, or take it off", run: s.invalid}}
	case tabDomains:
		add.long = "add a domain"
		remove.long = "take this domain out of the account, after a question"
		return []binding{{keys: []string{"space", "enter"}, short: "switch", long: "turn this switch of the domain", run: s.turnSwitch}, add, remove}
	}
	add.long = "list a sending server: an address, a range, o365 or google"
	remove.long = "take this sending server off the list, after a question"
	return []binding{add, remove}
}

// scrolled are the keys of a text that is only read.
func (s *relayScreen) scrolled(back string, leave func() tea.Cmd) []binding {
	by := func(n int) func() tea.Cmd {
		return func() tea.Cmd { s.scroll = max(s.scroll+n, 0); return nil }
	}
	return []binding{
		{keys: []string{"j", "down"}, short: "scroll", long: "down a line", run: by(1)},
		{keys: []string{"k", "up"}, long: "up a line", run: by(-1)},
		{keys: []string{"pgdown", "space"}, long: "down a page", run: by(10)},
		{keys: []string{"pgup", "b"}, long: "up a page", run: by(-10)},
		{keys: []string{"esc"}, short: "back", long: back, run: leave},
	}
}

func (s *relayScreen) turn(by int) tea.Cmd {
	s.tab = (s.tab + by + relayTabCount) % relayTabCount
	return nil
}

func (s *relayScreen) move(by int) tea.Cmd {
	s.sel[s.tab] = min(max(s.sel[s.tab]+by, 0), max(s.count()-1, 0))
	return nil
}

// count is the number of rows of the list on show.
func (s *relayScreen) count() int {
	a := &s.now.Account
	switch s.tab {
	case tabScenarios:
		return len(s.scenarios())
	case tabSessions:
		return len(s.now.Log)
	case tabCredentials:
		return len(a.Credentials)
	case tabUsers:
		return len(a.Users)
	case tabDomains:
		return len(s.domainRows())
	}
	return len(a.Servers)
}

func (s *relayScreen) scenarios() []Scenario {
	all := s.m.o.Backend.RelayScenarios()
	if s.filter == "" {
		return all
	}
	want := strings.ToLower(s.filter)
	return slices.DeleteFunc(slices.Clone(all), func(x Scenario) bool {
		return !strings.Contains(strings.ToLower(x.Name+" "+x.Title), want)
	})
}

func (s *relayScreen) text() bool { return s.form != nil && s.form.text() || s.search }

func (s *relayScreen) typed(k tea.KeyPressMsg) tea.Cmd {
	switch {
	case s.form != nil:
		s.form.typed(k)
		return nil
	case k.String() == "backspace":
		if r := []rune(s.filter); len(r) > 0 {
			s.filter = string(r[:len(r)-1])
		}
	case k.String() == "ctrl+u":
		s.filter = ""
	case k.Text != "":
		s.filter += k.Text
	}
	return s.move(0)
}

func (s *relayScreen) pasted(p paste) tea.Cmd {
	switch {
	case p.more:
	case s.form != nil:
		s.form.fields[s.form.at].insert(firstLine(p.text))
	case s.search:
		s.filter += firstLine(p.text)
		return s.move(0)
	}
	return nil
}

func (s *relayScreen) startStop() tea.Cmd {
	var err error
	if s.now.Running {
		err = s.m.o.Backend.RelayStop()
	} else {
		err = s.m.o.Backend.RelayStart()
	}
	s.refresh()
	if err != nil {
		return toast("the relay did not obey: %v", err)
	}
	if s.now.Running {
		return tea.Batch(s.watch(), toast("it listens on loopback, for any program of this machine; it delivers nothing"))
	}
	return toast("closed to other programs; probes from here still use it")
}

func (s *relayScreen) toggle() tea.Cmd {
	all := s.scenarios()
	if s.sel[tabScenarios] >= len(all) {
		return nil
	}
	name := all[s.sel[tabScenarios]].Name
	var names []string
	for _, x := range s.m.o.Backend.RelayScenarios() { // in their own order
		if slices.Contains(s.now.Presets, x.Name) != (x.Name == name) {
			names = append(names, x.Name)
		}
	}
	return s.apply(names)
}

func (s *relayScreen) none() tea.Cmd { return s.apply(nil) }

func (s *relayScreen) apply(names []string) tea.Cmd {
	if err := s.m.o.Backend.RelaySet(names); err != nil {
		return toast("the scenario was not set: %v", err)
	}
	s.refresh()
	if len(names) == 0 {
		return tea.Batch(s.watch(), toast("a healthy account again, made anew; p probes it"))
	}
	return tea.Batch(s.watch(), toast("on, with an account made anew: %s; p probes it", strings.Join(names, ", ")))
}

func (s *relayScreen) probe() tea.Cmd {
	p := s.m.screens[atProbe].(*probeScreen)
	if p.run != nil {
		return tea.Batch(s.m.open(atProbe), toast("a probe is running already"))
	}
	p.fields[fieldRelay].choice = 0
	return tea.Batch(s.m.open(atProbe), p.start())
}

func (s *relayScreen) wait() tea.Cmd {
	if err := s.m.o.Backend.RelayDo("clock", "+60m"); err != nil {
		return toast("the clock stays: %v", err)
	}
	s.refresh()
	return toast("60 minutes have passed on the relay's clock: it is %s there", s.now.Now.Format("15:04:05"))
}

// refresh looks at the relay. A selected session stays selected when others
// come in front of it.
func (s *relayScreen) refresh() {
	before := len(s.now.Log)
	s.now = s.m.o.Backend.RelayState()
	if s.sel[tabSessions] > 0 {
		s.sel[tabSessions] += max(len(s.now.Log)-before, 0)
	}
}

// watch looks at the relay once a second while it is on show and something can
// change: other programs may come, or a change is on its way to be live.
func (s *relayScreen) watch() tea.Cmd {
	if s.ticks || !s.now.Running && len(s.waits()) == 0 {
		return nil
	}
	s.ticks = true
	return s.m.after(time.Second, relayTickMsg{})
}

func (s *relayScreen) update(msg tea.Msg) tea.Cmd {
	switch msg.(type) {
	case shownMsg:
		if s.m.current() == screen(s) {
			s.refresh()
			return s.watch()
		}
	case relayTickMsg:
		s.ticks = false
		if s.m.current() == screen(s) {
			s.refresh()
			return s.watch()
		}
	}
	return nil
}

func (s *relayScreen) cursor() (x, y int, ok bool) {
	if s.form == nil || !s.form.text() {
		return 0, 0, false
	}
	return s.form.cursor(s.m.w)
}

func (s *relayScreen) clicked(_, y int) tea.Cmd {
	if s.form != nil || s.login != nil || s.open != "" || s.answer != nil {
		return nil
	}
	if i := y - s.listAt + s.top[s.tab]; y >= s.listAt && y < s.listAt+s.rows && i < s.count() {
		s.sel[s.tab] = i
	}
	return nil
}

func (s *relayScreen) draw(w, h int) []line {
	switch {
	case s.form != nil:
		return s.form.draw(w)
	case s.login != nil:
		return s.drawLogin(w)
	case s.answer != nil:
		return s.drawAnswer(w, h)
	case s.open != "":
		return s.drawSession(w, h)
	}
	out := s.drawHead(w, h)
	out = append(out, s.drawTabs(w))
	if h >= 13 {
		out = append(out, rule(w))
	}
	var notes []line
	if s.tab == tabCredentials {
		for _, x := range s.now.Account.Warnings {
			notes = append(notes, labelled("note", warn, x, w)...)
		}
		notes = notes[:min(len(notes), max((h-len(out))/3, 0))]
	}
	s.listAt, s.rows = len(out), max(h-len(out)-len(notes), 1)
	n := s.count()
	s.sel[s.tab] = min(s.sel[s.tab], max(n-1, 0))
	s.top[s.tab] = window(n, s.rows, s.sel[s.tab], s.top[s.tab])
	draw := s.rowOf()
	for i := s.top[s.tab]; i < min(s.top[s.tab]+s.rows, n); i++ {
		mark := "   "
		if i == s.sel[s.tab] {
			mark = " > "
		}
		out = append(out, append(line{{mark, title}}, draw(i)...))
	}
	if n == 0 {
		out = append(out, line{}.put(dim, "   none"))
	}
	return append(out, notes...)
}

// drawHead is what the relay is now: where it listens, its login, and what is
// on its way to be live.
func (s *relayScreen) drawHead(w, h int) []line {
	st := &s.now
	out := []line{line{}.put(title, " REFERENCE RELAY").put(plain, "   a stand-in for the service; it delivers nothing")}
	all := s.waits()
	switch {
	case h < 10:
	case st.Running:
		var ports []int
		for p := range st.Addresses {
			ports = append(ports, p)
		}
		slices.Sort(ports)
		l := line{}
		for _, p := range ports {
			what := "STARTTLS, AUTH"
			if p == 25 {
				what = "by address"
			}
			l = l.put(plain, fmt.Sprintf("   %d: ", p)).put(title, st.Addresses[p]).put(plain, " "+what)
		}
		out = append(out, l)
		l = say("   login ").put(title, st.Username).put(plain, "  password ").put(title, st.Password)
		if st.From != "" && st.From != st.Username {
			l = l.put(plain, "  from ").put(title, st.From)
		}
		out = append(out, l)
	default:
		out = append(out, say("   probes from screen 1 use it as it is here; s opens it to other programs"))
	}
	if st.Ahead > 0 && h >= 10 {
		out = append(out, say("   its clock was moved on by "+clockTime(st.Ahead)+": it is "+st.Now.Format("15:04:05")+" there"))
	}
	if len(st.Presets) > 0 && s.tab != tabScenarios && h >= 10 {
		out = append(out, say("   on: ").put(warn, strings.Join(st.Presets, ", ")))
	}
	if len(all) > 0 {
		out = append(out, s.drawWait(all))
	}
	return out
}

// drawWait is the wait that ends first, as a bar.
func (s *relayScreen) drawWait(all []pending) line {
	p := all[0]
	left := p.until.Sub(s.now.Now)
	l := say("   ").put(warn, p.what).put(plain, " in ").put(title, clockTime(left)).put(plain, " ")
	l = l.put(plain, progress(20, s.now.Account.Propagation-left, s.now.Account.Propagation))
	if len(all) > 1 {
		l = l.put(dim, fmt.Sprintf(" and %d more", len(all)-1))
	}
	return l
}

// progress is a bar of n cells, as much of it filled as done is of whole.
func progress(n int, done, whole time.Duration) string {
	k := n
	if whole > 0 {
		k = int(min(max(done, 0), whole) * time.Duration(n) / whole)
	}
	return "[" + strings.Repeat("#", k) + strings.Repeat(".", n-k) + "]"
}

func (s *relayScreen) drawTabs(w int) line {
	if s.search || s.tab == tabScenarios && s.filter != "" {
		l := say(" find: ").quote(plain, s.filter)
		if s.search {
			l = l.put(plain, "_")
		}
		return l
	}
	if w < 62 {
		return say(" ").put(selected, "["+strings.ToUpper(relayTabs[s.tab])+"]").put(dim, fmt.Sprintf("  list %d of %d: tab", s.tab+1, relayTabCount))
	}
	l := say(" ")
	for i, t := range relayTabs {
		if i == s.tab {
			l = l.put(selected, "["+strings.ToUpper(t)+"]").put(plain, " ")
		} else {
			l = l.put(plain, t+" ")
		}
	}
	return l
}

// rowOf returns what draws a row of the list on show.
func (s *relayScreen) rowOf() func(i int) line {
	a := &s.now.Account
	switch s.tab {
	case tabScenarios:
		all := s.scenarios()
		return func(i int) line {
			on := "[ ] "
			if slices.Contains(s.now.Presets, all[i].Name) {
				on = "[x] "
			}
			return say(on+all[i].Name).pad(31).put(dim, all[i].Title)
		}
	case tabSessions:
		return func(i int) line { return sessionRow(&s.now.Log[len(s.now.Log)-1-i]) } // newest first
	case tabCredentials:
		return func(i int) line { return s.credentialRow(&a.Credentials[i]) }
	case tabUsers:
		return func(i int) line { return s.userRow(&a.Users[i]) }
	case tabDomains:
		all := s.domainRows()
		return func(i int) line { return s.domainRow(all[i]) }
	}
	return func(i int) line { return s.serverRow(&a.Servers[i]) }
}
