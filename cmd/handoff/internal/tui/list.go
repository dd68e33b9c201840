package tui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// listView shows many reports and filters them: words match anywhere,
// "verdict:refused" and "host:name" match a field.
type listView struct {
	serial    int
	runs      []Run
	filter    string
	searching bool
	sel, top  int
	shown     []int // indices into runs that pass the filter
	of        string
	counted   int // len(runs) that shown was made for
	page      int
}

func (v *listView) bindings() []binding {
	if v.searching {
		return []binding{{keys: []string{"enter", "esc"}, short: "done", long: "leave the filter", run: func() tea.Cmd {
			v.searching = false
			return nil
		}}, editKeys("take letters of the filter away", "backspace", "ctrl+u")}
	}
	move := func(by int) func() tea.Cmd {
		return func() tea.Cmd {
			v.sel = min(max(v.sel+by, 0), max(len(v.visible())-1, 0))
			return nil
		}
	}
	return []binding{
		{keys: []string{"j", "down"}, short: "move", long: "next report", run: move(1)},
		{keys: []string{"k", "up"}, long: "report before", run: move(-1)},
		{keys: []string{"pgdown", "space"}, long: "down a page", run: func() tea.Cmd { return move(max(v.page, 1))() }},
		{keys: []string{"pgup", "b"}, long: "up a page", run: func() tea.Cmd { return move(-max(v.page, 1))() }},
		{keys: []string{"g", "home"}, long: "to the first", run: move(-1 << 30)},
		{keys: []string{"G", "end"}, long: "to the last", run: move(1 << 30)},
		{keys: []string{"/"}, short: "filter", long: "filter: words, verdict:refused, host:name", run: func() tea.Cmd {
			v.searching = true
			return nil
		}},
	}
}

func (v *listView) typed(k tea.KeyPressMsg) {
	switch {
	case k.String() == "backspace":
		if r := []rune(v.filter); len(r) > 0 {
			v.filter = string(r[:len(r)-1])
		}
	case k.String() == "ctrl+u":
		v.filter = ""
	case k.Text != "":
		v.filter += k.Text
	}
}

// visible lists the reports that pass the filter, made anew only when the
// filter or the number of reports changed.
func (v *listView) visible() []int {
	if v.of == v.filter && v.counted == len(v.runs) && v.shown != nil {
		return v.shown
	}
	v.shown = []int{}
	words := strings.Fields(strings.ToLower(v.filter))
	for i := range v.runs {
		if v.passes(i, words) {
			v.shown = append(v.shown, i)
		}
	}
	v.of, v.counted = v.filter, len(v.runs)
	v.sel = min(v.sel, max(len(v.shown)-1, 0))
	return v.shown
}

func (v *listView) passes(i int, words []string) bool {
	rep := v.runs[i].Report
	if rep == nil {
		return len(words) == 0
	}
	for _, word := range words {
		key, value, keyed := strings.Cut(word, ":")
		switch {
		case keyed && key == "verdict":
			ok := strings.HasPrefix(string(rep.Verdict.Code), value)
			for _, o := range rep.Outcomes {
				ok = ok || strings.HasPrefix(string(o.Verdict), value)
			}
			if !ok {
				return false
			}
		case keyed && key == "host":
			ok := false
			for _, o := range rep.Outcomes {
				ok = ok || strings.Contains(o.RefusedBy+" "+o.ReportedBy+" "+o.Target, value)
			}
			if !ok {
				return false
			}
		default:
			if !strings.Contains(strings.ToLower(v.text(i)), word) {
				return false
			}
		}
	}
	return true
}

// text is what plain words of the filter look in.
func (v *listView) text(i int) string {
	rep := v.runs[i].Report
	parts := []string{string(rep.Verdict.Code), rep.Verdict.Headline}
	if rep.Input != nil {
		parts = append(parts, rep.Input.Source, rep.Input.Format)
	}
	for _, o := range rep.Outcomes {
		parts = append(parts, o.Recipient, o.RefusedBy, o.Reply.Text)
		for _, c := range o.Causes {
			parts = append(parts, c.ID)
		}
	}
	return strings.Join(parts, " ")
}

func (v *listView) current() (Run, bool) {
	if vis := v.visible(); v.sel < len(vis) {
		return v.runs[vis[v.sel]], true
	}
	return Run{}, false
}

func (v *listView) clicked(y int) tea.Cmd {
	if i := y - 2 + v.top; y >= 2 && i < len(v.visible()) {
		v.sel = i
	}
	return nil
}

func (v *listView) draw(w, h int) []line {
	vis := v.visible()
	counts := map[string]int{}
	var order []string
	for _, i := range vis {
		if rep := v.runs[i].Report; rep != nil {
			code := string(rep.Verdict.Code)
			if counts[code] == 0 {
				order = append(order, code)
			}
			counts[code]++
		}
	}
	slices.SortFunc(order, func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	sum := say(fmt.Sprintf(" %d of %d  ", len(vis), len(v.runs)))
	for _, code := range order {
		sum = sum.put(statusStyle(code), code).put(plain, fmt.Sprintf(" %d  ", counts[code]))
	}
	head := line{}.put(title, " FILTER ").quote(plain, v.filter)
	if v.searching {
		head = head.put(plain, "_")
	} else if v.filter == "" {
		head = head.put(dim, "none; / sets one: verdict:refused host:outbound word")
	}
	out := []line{head, sum}
	rows := max(h-len(out), 1)
	v.page = rows
	v.top = window(len(vis), rows, v.sel, v.top)
	for n := v.top; n < min(v.top+rows, len(vis)); n++ {
		mark := " "
		if n == v.sel {
			mark = ">"
		}
		l := line{{mark + " ", title}}
		rep := v.runs[vis[n]].Report
		if rep == nil {
			out = append(out, l.put(dim, "unreadable"))
			continue
		}
		l = l.put(statusStyle(string(rep.Verdict.Code)), string(rep.Verdict.Code)).pad(24)
		if len(rep.Outcomes) > 0 {
			l = l.quote(plain, rep.Outcomes[0].Recipient+"  "+rep.Outcomes[0].RefusedBy)
		}
		if rep.Input != nil {
			l = l.put(plain, "  ").quote(dim, rep.Input.Source)
		}
		out = append(out, l)
	}
	return out
}
