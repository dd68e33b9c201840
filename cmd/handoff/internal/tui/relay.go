package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// relayScreen starts and stops the reference relay, switches presets on and
// off, administers its account by the article's words and shows its sessions
// with the rule that decided.
type relayScreen struct {
	m      *model
	state_ Relay
	tab    int // scenarios, sessions, account
	sel    [3]int
	top    [3]int
	chosen map[string]bool
	cmd    *field // a statement is being typed
	answer []string
	filter string
	search bool
	detail bool // the chosen session in full
	ticks  bool
	scroll int
}

var relayTabs = []string{"scenarios", "sessions", "account"}

type relayTickMsg struct{}

func newRelayScreen(m *model) *relayScreen {
	return &relayScreen{m: m, chosen: map[string]bool{}}
}

func (s *relayScreen) name() string { return "Relay" }

func (s *relayScreen) state() string {
	if !s.state_.Running {
		return "stopped"
	}
	up := s.m.o.Now().Sub(s.state_.Since).Truncate(time.Second)
	return fmt.Sprintf("up %s | loopback", up)
}

func (s *relayScreen) bindings() []binding {
	switch {
	case s.cmd != nil:
		return []binding{
			{keys: []string{"enter"}, short: "do", long: "carry the statement out", run: s.carryOut},
			{keys: []string{"esc"}, short: "back", long: "leave the statement", run: func() tea.Cmd { s.cmd = nil; return nil }},
		}
	case s.search:
		return []binding{{keys: []string{"enter", "esc"}, short: "done", long: "leave the filter", run: func() tea.Cmd { s.search = false; return nil }}}
	case s.detail:
		return []binding{
			{keys: []string{"j", "down"}, short: "scroll", long: "down", run: func() tea.Cmd { s.scroll++; return nil }},
			{keys: []string{"k", "up"}, long: "up", run: func() tea.Cmd { s.scroll = max(s.scroll-1, 0); return nil }},
			{keys: []string{"esc"}, short: "back", long: "back to the sessions", run: func() tea.Cmd { s.detail = false; return nil }},
		}
	}
	move := func(by int) func() tea.Cmd {
		return func() tea.Cmd {
			s.sel[s.tab] = min(max(s.sel[s.tab]+by, 0), max(s.rows()-1, 0))
			return nil
		}
	}
	bs := []binding{
		{keys: []string{"s"}, short: "start/stop", long: "start or stop the relay (loopback only, it delivers nothing)", run: s.startStop},
		{keys: []string{"tab"}, short: "next list", long: "scenarios, sessions, account", run: func() tea.Cmd { s.tab = (s.tab + 1) % 3; return nil }},
		{keys: []string{"shift+tab"}, long: "list before", run: func() tea.Cmd { s.tab = (s.tab + 2) % 3; return nil }},
		{keys: []string{"j", "down"}, long: "next row", run: move(1)},
		{keys: []string{"k", "up"}, long: "row before", run: move(-1)},
		{keys: []string{"pgdown"}, long: "down a page", run: move(10)},
		{keys: []string{"pgup"}, long: "up a page", run: move(-10)},
	}
	switch s.tab {
	case 0:
		bs = append(bs,
			binding{keys: []string{"space", "enter"}, short: "switch", long: "switch this scenario on or off; several add up", run: s.toggle},
			binding{keys: []string{"x"}, short: "none", long: "switch all scenarios off", run: s.none},
			binding{keys: []string{"/"}, short: "find", long: "show the scenarios that contain a word", run: func() tea.Cmd { s.search = true; return nil }})
	case 1:
		bs = append(bs, binding{keys: []string{"enter"}, short: "open", long: "the dialogue, with the rule behind each reply", run: func() tea.Cmd { s.detail, s.scroll = true, 0; return nil }})
	}
	return append(bs,
		binding{keys: []string{"c"}, short: "statement", long: "type a statement: cred new printer, user add A --kind functional, domain set D force-auth on, clock +60m …", run: s.ask},
		binding{keys: []string{"p"}, short: "probe it", long: "probe the bundled relay as it is now", run: s.probe})
}

func (s *relayScreen) rows() int {
	switch s.tab {
	case 0:
		return len(s.scenarios())
	case 1:
		return len(s.state_.Log)
	}
	return len(s.state_.Settings) + len(s.answer)
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

func (s *relayScreen) text() bool { return s.cmd != nil || s.search }

func (s *relayScreen) typed(k tea.KeyPressMsg) tea.Cmd {
	switch {
	case s.cmd != nil:
		s.cmd.edit(k)
	case k.String() == "backspace":
		if r := []rune(s.filter); len(r) > 0 {
			s.filter = string(r[:len(r)-1])
		}
	case k.Text != "":
		s.filter += k.Text
	}
	s.sel[0] = min(s.sel[0], max(len(s.scenarios())-1, 0))
	return nil
}

func (s *relayScreen) pasted(content string) tea.Cmd {
	if s.cmd != nil {
		s.cmd.insert(firstLine(content))
		return nil
	}
	return toast("a paste of a bounce or log belongs to screen 2")
}

func (s *relayScreen) ask() tea.Cmd {
	s.cmd = &field{label: "Statement"}
	return nil
}

func (s *relayScreen) carryOut() tea.Cmd {
	st := strings.TrimSpace(s.cmd.String())
	if st == "" {
		return nil
	}
	answer, err := s.m.o.Backend.RelayCommand(st)
	if err != nil {
		return toast("not done: %v", err)
	}
	s.cmd = nil
	s.tab = 2
	s.answer = append([]string{"> " + st}, strings.Split(strings.TrimRight(answer, "\n"), "\n")...)
	s.refresh()
	return toast("done: %s", st)
}

func (s *relayScreen) startStop() tea.Cmd {
	var err error
	if s.state_.Running {
		err = s.m.o.Backend.RelayStop()
	} else {
		err = s.m.o.Backend.RelayStart()
	}
	s.refresh()
	if err != nil {
		return toast("the relay did not obey: %v", err)
	}
	if s.state_.Running {
		return tea.Batch(s.watch(), toast("the relay listens on loopback, for any program of this machine; it delivers nothing"))
	}
	return toast("the relay is stopped")
}

func (s *relayScreen) toggle() tea.Cmd {
	all := s.scenarios()
	if s.sel[0] >= len(all) {
		return nil
	}
	name := all[s.sel[0]].Name
	s.chosen[name] = !s.chosen[name]
	return s.apply()
}

func (s *relayScreen) none() tea.Cmd {
	s.chosen = map[string]bool{}
	return s.apply()
}

func (s *relayScreen) apply() tea.Cmd {
	var names []string
	for _, x := range s.m.o.Backend.RelayScenarios() {
		if s.chosen[x.Name] {
			names = append(names, x.Name)
		}
	}
	if err := s.m.o.Backend.RelaySet(names); err != nil {
		return toast("the scenario was not set: %v", err)
	}
	s.refresh()
	if len(names) == 0 {
		return toast("a healthy account again; p probes it")
	}
	return toast("on: %s; p probes it", strings.Join(names, ", "))
}

func (s *relayScreen) probe() tea.Cmd {
	p := s.m.screens[atProbe].(*probeScreen)
	if p.run != nil {
		return tea.Batch(s.m.open(atProbe), toast("a probe is running already"))
	}
	p.fields[fieldRelay].choice = 0
	return tea.Batch(s.m.open(atProbe), p.start())
}

func (s *relayScreen) refresh() { s.state_ = s.m.o.Backend.RelayState() }

// watch looks at the relay once a second while it runs and is on show.
func (s *relayScreen) watch() tea.Cmd {
	if s.ticks || !s.state_.Running {
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
	if s.cmd != nil {
		_, x := s.cmd.draw(true, labelWidth, s.m.w)
		return x, 0, true
	}
	return 0, 0, false
}

func (s *relayScreen) clicked(_, y int) tea.Cmd {
	if s.detail {
		return nil
	}
	if i := y - s.listAt() + s.top[s.tab]; y >= s.listAt() && i < s.rows() {
		s.sel[s.tab] = i
	}
	return nil
}

func (s *relayScreen) listAt() int {
	if s.state_.Running {
		return 5 + len(s.state_.Addresses)
	}
	return 4
}

func (s *relayScreen) draw(w, h int) []line {
	var out []line
	if s.cmd != nil {
		l, _ := s.cmd.draw(true, labelWidth, w)
		out = append(out, l, line{}.put(dim, "   like: cred new printer | user add A --kind functional | domain set D force-auth on | clock +60m | log"))
	}
	st := s.state_
	if s.detail {
		return append(out, s.drawSession(w, h-len(out))...)
	}
	out = append(out, line{}.put(title, " REFERENCE RELAY").put(plain, "   a stand-in for the service; it delivers nothing"))
	if st.Running {
		var ports []int
		for p := range st.Addresses {
			ports = append(ports, p)
		}
		slices.Sort(ports)
		for _, p := range ports {
			what := "STARTTLS, then AUTH"
			if p == 25 {
				what = "refuses relay unless the address is listed"
			}
			out = append(out, say(fmt.Sprintf("   %-5d %-22s %s", p, st.Addresses[p], what)))
		}
		if st.Password != "" {
			out = append(out, say("   login ").put(title, st.Username).put(plain, "  password ").put(title, st.Password))
		} else {
			out = append(out, say("   login ").put(title, st.Username))
		}
	} else {
		out = append(out, say("   stopped: s opens it to other programs. Scenarios hold for screen 1, too."))
	}
	tabs := line{{" ", plain}}
	for i, t := range relayTabs {
		if i == s.tab {
			tabs = tabs.put(selected, "["+strings.ToUpper(t)+"]").put(plain, " ")
		} else {
			tabs = tabs.put(plain, t+" ")
		}
	}
	if s.search || s.filter != "" {
		tabs = tabs[:0].put(plain, " find: ").quote(plain, s.filter)
		if s.search {
			tabs = tabs.put(plain, "_")
		}
	}
	out = append(out, tabs, rule(w))
	rows := max(h-len(out), 1)
	n := s.rows()
	s.sel[s.tab] = min(s.sel[s.tab], max(n-1, 0))
	s.top[s.tab] = window(n, rows, s.sel[s.tab], s.top[s.tab])
	scenarios := s.scenarios()
	for i := s.top[s.tab]; i < min(s.top[s.tab]+rows, n); i++ {
		mark := "   "
		if i == s.sel[s.tab] {
			mark = " > "
		}
		l := line{{mark, title}}
		switch s.tab {
		case 0:
			on := "[ ] "
			if s.chosen[scenarios[i].Name] {
				on = "[x] "
			}
			l = l.put(plain, on+scenarios[i].Name).pad(34).put(dim, scenarios[i].Title)
		case 1:
			e := st.Log[len(st.Log)-1-i] // newest first
			l = l.put(plain, fmt.Sprintf("%-8s %-4d ", e.ID, e.Port))
			if x, ok := e.Session.FirstFailure(); ok {
				status, note := stepStatus(x)
				l = l.put(statusStyle(status), status).put(plain, " "+string(x.Stage)+" ").quote(plain, note)
			} else {
				l = l.put(good, "ok").put(plain, " every reply a yes")
			}
		default:
			if i < len(s.answer) {
				l = l.quote(title, s.answer[i])
			} else {
				l = l.quote(plain, st.Settings[i-len(s.answer)])
			}
		}
		out = append(out, l)
	}
	if n == 0 {
		out = append(out, line{}.put(dim, "   nothing yet"))
	}
	return out
}

// drawSession shows one dialogue: what was said, the rule that decided and the
// statement of the article behind it.
func (s *relayScreen) drawSession(w, h int) []line {
	log := s.state_.Log
	i := len(log) - 1 - s.sel[1]
	if i < 0 || i >= len(log) {
		return []line{say(" this session is no longer in the log")}
	}
	e := log[i]
	out := []line{line{}.put(title, " SESSION "+e.ID).put(plain, fmt.Sprintf("   port %d from ", e.Port)).quote(plain, e.Client)}
	for k, x := range e.Session.Exchanges {
		if x.Command != "" {
			out = append(out, say("   C: ").quote(plain, x.Command))
		}
		for _, r := range x.Reply.Lines {
			st := plain
			if x.Reply.Code >= 400 {
				st = bad
			}
			out = append(out, say("   S: ").quote(st, r))
		}
		if x.Fault != transcript.FaultNone {
			out = append(out, say("   *  ").put(bad, string(x.Fault)).put(plain, " ").quote(plain, x.Detail))
		}
		if k < len(e.Rules) && e.Rules[k] != "" {
			text := "rule " + e.Rules[k]
			if k < len(e.Cites) && e.Cites[k] != "" {
				text += ": " + e.Cites[k]
			}
			for _, t := range wrap(text, w-10, 0) {
				out = append(out, line{}.put(dim, "      "+t))
			}
		}
	}
	s.scroll = min(s.scroll, max(len(out)-h, 0))
	return out[s.scroll:]
}
