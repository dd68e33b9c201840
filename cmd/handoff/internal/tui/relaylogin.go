package tui

import (
	tea "charm.land/bubbletea/v2"
)

// newLogin is a credential between Generate Password and Save: the only time
// its password is shown.
type newLogin struct {
	label  string
	login  Login
	copied bool
}

// generate is the button Generate Password.
func (s *relayScreen) generate(f *relayForm) tea.Cmd {
	label := f.value(0)
	login, err := s.m.o.Backend.RelayGenerate(label)
	if err != nil {
		return toast("not done: %v", err)
	}
	s.form, s.login = nil, &newLogin{label: label, login: login}
	return nil
}

func (s *relayScreen) loginBindings() []binding {
	return []binding{
		{keys: []string{"y"}, short: "copy both", long: "copy user name and password", run: func() tea.Cmd {
			s.login.copied = true
			return s.m.copyText("user name and password", "user name: "+s.login.login.Username+"\npassword: "+s.login.login.Password+"\n")
		}},
		{keys: []string{"enter"}, short: "Save", long: "Save: the password is never shown again", run: s.saveLogin},
		{keys: []string{"esc"}, short: "discard", long: "leave without Save: nothing is stored", run: func() tea.Cmd {
			s.login = nil
			return toast("nothing was stored")
		}},
	}
}

func (s *relayScreen) saveLogin() tea.Cmd {
	if err := s.m.o.Backend.RelaySave(s.login.label, s.login.login); err != nil {
		return toast("not saved: %v", err)
	}
	s.login = nil
	s.refresh()
	s.sel[tabCredentials] = max(len(s.now.Account.Credentials)-1, 0)
	return tea.Batch(s.watch(), toast("saved; it works in up to 60 minutes (A4). Probes from here log in with it: p"))
}

func (s *relayScreen) drawLogin(w int) []line {
	out := []line{
		line{}.put(title, " NEW CREDENTIAL").put(plain, "   ").quote(plain, s.login.label),
		{},
		say("   User name   ").quote(title, s.login.login.Username),
		say("   Password    ").quote(title, s.login.login.Password),
		{},
	}
	said := "Copy both now (y), then Save (enter): this screen does not come back, and a lost password is never shown again; one makes a new credential instead (A3, A5)."
	if s.login.copied {
		said = "Copied. Save with enter: this screen does not come back (A3)."
	}
	out = append(out, prose(said, w)...)
	return append(append(out, line{}), prose("After Save the pair is pending for up to 60 minutes (A4): until then the relay answers 535, as the service does. A user of the same name must exist, too (A19).", w)...)
}
