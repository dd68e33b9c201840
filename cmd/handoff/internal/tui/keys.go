package tui

import (
	tea "charm.land/bubbletea/v2"
)

// binding is a named command of a screen: its keys, the words of the footer
// and of the help, and what it does. The footer, the help and the dispatch all
// read the same list, so a key that is shown is bound and the other way round.
type binding struct {
	keys  []string       // as tea.KeyPressMsg.String() names them; the first is shown
	short string         // footer words; empty: help only
	long  string         // help words
	run   func() tea.Cmd // nil: the field that has the focus takes the keys
}

// scrollKeys are the keys of a page that is only read, and the one that leaves it.
func scrollKeys(at *int, leave binding) []binding {
	by := func(rows int) func() tea.Cmd {
		return func() tea.Cmd { *at = max(*at+rows, 0); return nil }
	}
	return []binding{
		{keys: []string{"j", "down"}, short: "scroll", long: "down a line", run: by(1)},
		{keys: []string{"k", "up"}, long: "up a line", run: by(-1)},
		{keys: []string{"pgdown", "space"}, long: "down a page", run: by(10)},
		{keys: []string{"pgup", "b"}, long: "up a page", run: by(-10)},
		leave,
	}
}

// editKeys is what the help says of keys that a text field takes.
func editKeys(long string, keys ...string) binding { return binding{keys: keys, long: long} }

// letter reports whether a key is a plain character, which belongs to a text
// field while one has the focus: a paste that was cut short arrives as keys.
func letter(key string) bool {
	r := []rune(key)
	return len(r) == 1 || key == "space"
}

// find returns the binding of a key. With text focus, plain characters are
// never commands.
func find(bs []binding, key string, text bool) *binding {
	if text && letter(key) {
		return nil
	}
	for i := range bs {
		if bs[i].run == nil {
			continue
		}
		for _, k := range bs[i].keys {
			if k == key {
				return &bs[i]
			}
		}
	}
	return nil
}

// shown is the key of a binding that works now: in a text field the first one
// that is no plain character. Empty: none works.
func (b binding) shown(text bool) string {
	for _, k := range b.keys {
		if !text || !letter(k) {
			return k
		}
	}
	return ""
}
