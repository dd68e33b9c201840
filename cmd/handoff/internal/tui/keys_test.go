package tui

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
)

// Every key that a screen binds stands in its help, with words.
func TestHelpIsTheBindings(t *testing.T) {
	for _, visit := range visits {
		m, _ := at(t, 120, 120)
		press(m, visit...)
		bs := append(m.current().bindings(), m.global()...)
		m.openHelp()
		s := seen(m)
		for _, b := range bs {
			if b.long == "" || len(b.keys) == 0 {
				t.Errorf("%v: a binding without words or keys: %+v", visit, b.keys)
			}
			for _, k := range b.keys {
				if !strings.Contains(s, keyName(k)) {
					t.Errorf("%v: key %q is bound and not in the help:\n%s", visit, k, s)
				}
			}
		}
	}
}

// allKeys are the keys of a keyboard that are no plain character in a field.
func allKeys() []string {
	out := []string{
		"enter", "tab", "shift+tab", "esc", "up", "down", "left", "right", "backspace", "delete",
		"pgup", "pgdown", "home", "end", "f1", "space",
	}
	for c := 'a'; c <= 'z'; c++ {
		out = append(out, "ctrl+"+string(c))
	}
	for c := '!'; c <= '~'; c++ {
		out = append(out, string(c))
		if c >= '0' && c <= '9' {
			out = append(out, "alt+"+string(c))
		}
	}
	return out
}

// A key that is not in the help does nothing, and a key that is does: no key
// is bound in secret, none is promised in vain.
func TestNoKeyOutsideTheHelp(t *testing.T) {
	for _, visit := range visits {
		for _, key := range allKeys() {
			m, f := at(t, 80, 24)
			press(m, visit...)
			bs := append(m.current().bindings(), m.global()...)
			helped := slices.ContainsFunc(bs, func(b binding) bool { return slices.Contains(b.keys, key) })
			text := m.current().text()
			if text && letter(key) {
				continue // belongs to the field
			}
			if helped {
				if b := find(bs, key, text); b == nil && !slices.ContainsFunc(bs, func(b binding) bool { return b.run == nil && slices.Contains(b.keys, key) }) {
					t.Errorf("%v: %q is in the help and bound to nothing", visit, key)
				}
				continue
			}
			before := state(m, f)
			_, cmd := m.Update(keyMsg(key))
			settle(m, cmd)
			m.toast = ""
			if after := state(m, f); after != before {
				t.Errorf("%v: %q is not in the help and does something:\n%s\n-- before\n%s", visit, key, after, before)
			}
		}
	}
}

// state is what a key could change.
func state(m *model, f *fake) string {
	m.toast = ""
	return fmt.Sprint(seen(m), m.at, len(f.probed), len(f.analyzed), f.said, f.saved, f.copies, m.View().Cursor)
}

// Plain characters never act while a text field has the focus.
func TestLettersBelongToTheField(t *testing.T) {
	for _, visit := range visits {
		m, _ := at(t, 80, 24)
		press(m, visit...)
		if !m.current().text() {
			continue
		}
		for _, key := range allKeys() {
			if letter(key) && find(append(m.current().bindings(), m.global()...), key, true) != nil {
				t.Errorf("%v: %q acts in a text field", visit, key)
			}
		}
	}
}

// esc twice in a hurry, which a terminal sends like alt and esc, is no key less.
func TestEscTwice(t *testing.T) {
	m, _ := at(t, 80, 24)
	press(m, "ctrl+r", "v", "alt+esc")
	if s := seen(m); !strings.Contains(s, "VERDICT") {
		t.Errorf("the picture is still open:\n%s", s)
	}
}

// The keys of the footer can be clicked, and so can the rows of lists and the
// names of the screens.
func TestMouse(t *testing.T) {
	click := func(m *model, x, y int) {
		_, cmd := m.Update(tea.MouseClickMsg{X: x, Y: y, Button: tea.MouseLeft})
		settle(m, cmd)
	}
	row := func(m *model, words string) (x, y int) {
		t.Helper()
		for y, r := range strings.Split(seen(m), "\n") {
			if x := strings.Index(r, words); x >= 0 {
				return x, y
			}
		}
		t.Fatalf("no %q on the screen:\n%s", words, seen(m))
		return 0, 0
	}
	m, f := at(t, 100, 30)
	x, y := row(m, "ctrl+r run")
	click(m, x+2, y)
	if len(f.probed) != 1 {
		t.Error("a click on 'ctrl+r run' starts nothing")
	}
	x, y = row(m, "relay-access-denied")
	click(m, x, y)
	if s := seen(m); !strings.Contains(s, " > info     relay-access-denied") {
		t.Errorf("a click does not choose the finding:\n%s", s)
	}
	for i, name := range []string{"Analyze", "Relay", "History", "Probe"} {
		x, y = row(m, name)
		click(m, x, y)
		if m.current().name() != name {
			t.Errorf("click %d went to %s, not to %s", i, m.current().name(), name)
		}
	}
	press(m, "3", "tab", "tab", "tab")
	x, y = row(m, "scans@customer.example")
	click(m, x, y)
	if s := seen(m); !strings.Contains(s, " > live in 1:01:00") {
		t.Errorf("a click does not choose the user:\n%s", s)
	}
	press(m, "4")
	m.Update(tea.MouseWheelMsg{Button: tea.MouseWheelDown})
	press(m, "m")
	if v := m.View(); v.MouseMode != tea.MouseModeNone {
		t.Error("m does not free the mouse")
	}
}

// The last row ends with the help, wherever there is room for a key at all.
func TestFooterEndsWithTheHelp(t *testing.T) {
	for _, visit := range visits {
		for _, w := range []int{40, 72, 80, 120} {
			m, _ := at(t, w, 24)
			press(m, visit...)
			rows := strings.Split(strings.TrimRight(trimRows(seen(m)), "\n"), "\n")
			if last := rows[len(rows)-1]; !strings.HasSuffix(last, "? help") && !strings.HasSuffix(last, "F1 help") {
				t.Errorf("%v at %d: %q", visit, w, last)
			}
		}
	}
}
