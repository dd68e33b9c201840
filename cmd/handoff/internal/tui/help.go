package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
)

// helpView lists the commands of the screen one is on, then the ones that work
// everywhere. Typing searches in it.
type helpView struct {
	query string
	off   int
}

// key takes a key and reports whether the help is to be closed.
func (h *helpView) key(k tea.KeyPressMsg, m *model) (closed bool) {
	switch key := k.String(); key {
	case "esc", "f1":
		return true
	case "up":
		h.off = max(h.off-1, 0)
	case "down":
		h.off++
	case "backspace":
		if h.query == "" {
			return true
		}
		r := []rune(h.query)
		h.query = string(r[:len(r)-1])
		h.off = 0
	case "?", "q":
		if h.query == "" {
			return true
		}
		fallthrough
	default:
		if k.Text != "" {
			h.query += k.Text
			h.off = 0
		}
	}
	return false
}

// entries are the lines of the help: keys and words.
func (h *helpView) entries(m *model) []binding {
	return append(m.current().bindings(), m.global()...)
}

func (h *helpView) draw(m *model, w, height int) []line {
	var all []line
	for _, b := range h.entries(m) {
		var names []string
		for _, k := range b.keys {
			names = append(names, keyName(k))
		}
		keys := strings.Join(names, " ")
		if h.query != "" && !strings.Contains(strings.ToLower(keys+" "+b.long), strings.ToLower(h.query)) {
			continue
		}
		const col = 18
		for i, s := range wrap(b.long, w-col, 0) {
			l := line{}
			if i == 0 {
				l = l.put(title, " "+keys)
			}
			all = append(all, l.pad(col).put(plain, s))
		}
	}
	head := []line{line{}.put(title, " HELP").put(plain, "   "+m.current().name()+"   search: "+h.query+"_"), {}}
	if len(all) == 0 {
		all = []line{say(" nothing here matches; backspace takes letters away")}
	}
	room := max(height-len(head), 1)
	h.off = min(h.off, max(len(all)-room, 0))
	return append(head, all[h.off:min(h.off+room, len(all))]...)
}
