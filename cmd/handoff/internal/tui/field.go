package tui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// field is one entry of a form: a text, a hidden text or a choice.
type field struct {
	label   string
	hidden  bool     // a password: never drawn
	options []string // a choice; nil: a text
	choice  int
	value   []rune
	at      int // the cursor, in runes
	note    string
}

const maxField = 1024 // runes; a paste into a field is cut there, with a word

func (f *field) isText() bool { return f.options == nil }

func (f *field) set(s string) {
	f.value = []rune(s)
	f.at = len(f.value)
}

func (f *field) String() string { return string(f.value) }

// insert puts text at the cursor: one line, without control characters.
func (f *field) insert(s string) (cutOff bool) {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return -1
		}
		return r
	}, strings.TrimRight(s, "\r\n"))
	r := []rune(s)
	if room := maxField - len(f.value); len(r) > room {
		r, cutOff = r[:max(room, 0)], true
	}
	f.value = slices.Insert(f.value, f.at, r...)
	f.at += len(r)
	return cutOff
}

// fieldKeys names, for the help, the keys that edit takes.
var fieldKeys = editKeys("move and delete in the field", "left", "right", "home", "ctrl+a", "end", "backspace", "delete", "ctrl+u")

// choose goes to another choice.
func (f *field) choose(by int) tea.Cmd {
	f.choice = (f.choice + by + len(f.options)) % len(f.options)
	return nil
}

// edit takes a key of a text field and reports whether it was one.
func (f *field) edit(k tea.KeyPressMsg) bool {
	switch k.String() {
	case "left":
		f.at = max(f.at-1, 0)
	case "right":
		f.at = min(f.at+1, len(f.value))
	case "home", "ctrl+a":
		f.at = 0
	case "end":
		f.at = len(f.value)
	case "backspace":
		if f.at > 0 {
			f.value = slices.Delete(f.value, f.at-1, f.at)
			f.at--
		}
	case "delete":
		if f.at < len(f.value) {
			f.value = slices.Delete(f.value, f.at, f.at+1)
		}
	case "ctrl+u":
		f.value, f.at = nil, 0
	default:
		if k.Text == "" {
			return false
		}
		f.insert(k.Text)
	}
	return true
}

// draw shows the field in w cells; the cursor's column is returned for a text.
func (f *field) draw(focus bool, labelWidth, w int) (l line, cursor int) {
	mark, in := "   ", plain
	if focus {
		mark, in = " > ", title
	}
	l = line{{mark, title}}
	l = l.put(in, f.label).pad(3 + labelWidth)
	if !f.isText() {
		for i, o := range f.options {
			sign := "( ) "
			if i == f.choice {
				sign = "(*) "
			}
			st := plain
			if focus && i == f.choice {
				st = selected
			}
			l = l.put(st, sign+o).put(plain, "  ")
		}
		return l, -1
	}
	room := max(w-l.width()-2, 4)
	if f.note != "" {
		room = max(room-cells(f.note)-2, 12)
	}
	room = min(room, 44)
	shown := f.value
	if f.hidden {
		shown = nil
		if len(f.value) > 0 {
			shown = []rune("(hidden)") // the same whatever its length
		}
	}
	at := min(f.at, len(shown))
	if f.hidden {
		at = len(shown)
	}
	from := max(at-room+1, 0)
	text := transcript.Escape(string(shown[from:]))
	text = text[:fit(text, room)]
	start := l.width() + 1
	l = l.put(plain, "["+text+strings.Repeat(" ", max(room-cells(text), 0))+"]")
	if f.note != "" {
		l = l.put(dim, "  "+f.note)
	}
	return l, start + cells(transcript.Escape(string(shown[from:at])))
}
