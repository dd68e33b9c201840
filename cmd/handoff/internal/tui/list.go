package tui

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/smtp-handoff/handoff/analyze"
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
	counted   int      // len(runs) that shown was made for
	verdicts  []count  // of those that pass
	texts     []string // what plain words look in, of each run, lower case
	common    []line   // the summary of those that pass; nil: not made yet
	page      int
	summary   bool // the summary is open
	scroll    int
}

// count is how often something occurs.
type count struct {
	what string
	n    int
}

// tally counts words, the most frequent first.
func tally(words []string) []count {
	byWord := map[string]int{}
	for _, w := range words {
		byWord[w]++
	}
	out := make([]count, 0, len(byWord))
	for w, n := range byWord {
		out = append(out, count{w, n})
	}
	slices.SortFunc(out, func(a, b count) int {
		if a.n != b.n {
			return b.n - a.n
		}
		return strings.Compare(a.what, b.what)
	})
	return out
}

func (v *listView) bindings() []binding {
	if v.searching {
		return []binding{{keys: []string{"enter", "esc"}, short: "done", long: "leave the filter", run: func() tea.Cmd {
			v.searching = false
			return nil
		}}, editKeys("take letters of the filter away", "backspace", "ctrl+u")}
	}
	if v.summary {
		return scrollKeys(&v.scroll, binding{keys: []string{"esc", "s"}, short: "list", long: "back to the list", run: func() tea.Cmd { v.summary = false; return nil }})
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
		{keys: []string{"s"}, short: "summary", long: "summary of the reports that pass the filter: verdicts, hosts, replies, causes", run: func() tea.Cmd {
			v.summary, v.scroll = true, 0
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
	v.shown, v.common = []int{}, nil
	var codes []string
	words := strings.Fields(strings.ToLower(v.filter))
	for i := range v.runs {
		if v.passes(i, words) {
			v.shown = append(v.shown, i)
			if rep := v.runs[i].Report; rep != nil {
				codes = append(codes, string(rep.Verdict.Code))
			}
		}
	}
	v.verdicts = tally(codes)
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
			if !strings.Contains(v.text(i), word) {
				return false
			}
		}
	}
	return true
}

// text is what plain words of the filter look in, made once for each report.
func (v *listView) text(i int) string {
	for len(v.texts) <= i {
		v.texts = append(v.texts, haystack(v.runs[len(v.texts)].Report))
	}
	return v.texts[i]
}

func haystack(rep *analyze.Report) string {
	if rep == nil {
		return ""
	}
	parts := []string{string(rep.Verdict.Code), rep.Verdict.Headline}
	if rep.Input != nil {
		parts = append(parts, rep.Input.Source, rep.Input.Format)
	}
	for i := range rep.Outcomes {
		o := &rep.Outcomes[i]
		parts = append(parts, o.Recipient, o.RefusedBy, o.Reply.Text)
		for _, c := range o.Causes {
			parts = append(parts, c.ID)
		}
	}
	return strings.ToLower(strings.Join(parts, " "))
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
	if v.summary {
		if v.common == nil {
			v.common = v.summarise()
		}
		v.scroll = min(v.scroll, max(len(v.common)-max(h, 1), 0))
		return v.common[v.scroll:]
	}
	sum := say(fmt.Sprintf(" %d of %d  ", len(vis), len(v.runs)))
	for _, c := range v.verdicts {
		sum = sum.put(statusStyle(c.what), c.what).put(plain, fmt.Sprintf(" %d  ", c.n))
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

// summarise counts what the reports that pass the filter have in common.
func (v *listView) summarise() []line {
	var verdicts, hosts, replies, causes, parties []string
	vis := v.visible()
	for _, i := range vis {
		rep := v.runs[i].Report
		if rep == nil {
			continue
		}
		for k := range rep.Outcomes {
			o := &rep.Outcomes[k]
			verdicts, parties = append(verdicts, string(o.Verdict)), append(parties, string(o.Party))
			if host := cmp.Or(o.RefusedBy, o.Target); host != "" {
				hosts = append(hosts, host)
			}
			if o.Reply.Code > 0 {
				replies = append(replies, strings.TrimSpace(fmt.Sprintf("%d %s", o.Reply.Code, o.Reply.Enhanced)))
			}
			if len(o.Causes) > 0 {
				causes = append(causes, o.Causes[0].ID)
			}
		}
		if len(rep.Outcomes) == 0 {
			verdicts = append(verdicts, string(rep.Verdict.Code))
		}
	}
	out := []line{line{}.put(title, " SUMMARY").put(plain, fmt.Sprintf("   of %d reports; filter: ", len(vis))).quote(plain, cmp.Or(v.filter, "none"))}
	for _, part := range []struct {
		name string
		of   []string
	}{
		{"verdict of each recipient", verdicts}, {"who has to act", parties}, {"refused by, or tried", hosts}, {"reply", replies}, {"most likely cause", causes},
	} {
		all := tally(part.of)
		if len(all) == 0 {
			continue
		}
		out = append(out, line{}.put(title, " "+part.name))
		for i, c := range all {
			if i == 12 {
				out = append(out, line{}.put(dim, fmt.Sprintf("           and %d more", len(all)-i)))
				break
			}
			out = append(out, say(fmt.Sprintf("  %7d  ", c.n)).quote(statusStyle(c.what), c.what))
		}
	}
	return out
}
