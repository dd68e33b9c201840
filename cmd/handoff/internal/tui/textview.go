package tui

import (
	"fmt"
	"strings"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"github.com/smtp-handoff/handoff/analyze"
)

// textLines is a text cut into lines once; LF, CRLF and bare CR end one. Any
// line is then found without a look at the others.
type textLines struct {
	s      string
	starts []int
}

func newTextLines(s string) *textLines {
	t := &textLines{s: s, starts: []int{0}}
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\r':
			if i+1 < len(s) && s[i+1] == '\n' {
				i++
			}
			t.starts = append(t.starts, i+1)
		case '\n':
			t.starts = append(t.starts, i+1)
		}
	}
	if n := len(t.starts); n > 1 && t.starts[n-1] == len(s) {
		t.starts = t.starts[:n-1]
	}
	return t
}

func (t *textLines) n() int { return len(t.starts) }

func (t *textLines) line(i int) string {
	end := len(t.s)
	if i+1 < len(t.starts) {
		end = t.starts[i+1]
	}
	return strings.TrimRight(t.s[t.starts[i]:end], "\r\n")
}

// textView shows a long text with numbers, marks and search. It draws the rows
// in sight and nothing else, so its cost does not grow with the text.
type textView struct {
	text      *textLines
	marks     map[int][]analyze.Evidence // by line, from 0
	top       int
	left      int // first column in sight
	hidden    bool
	searching bool
	query     string
	found     int // line of the last hit, -1: none
	page      int
}

func newTextView(s string) *textView {
	return &textView{text: newTextLines(s), marks: map[int][]analyze.Evidence{}, found: -1}
}

// mark shows a quote of line i reversed.
func (v *textView) mark(i int, e analyze.Evidence) { v.marks[i] = append(v.marks[i], e) }

func (v *textView) bindings(leave func() tea.Cmd) []binding {
	if v.searching {
		return []binding{
			{keys: []string{"enter"}, short: "find", long: "find the text", run: func() tea.Cmd {
				v.searching = false
				return v.find(1)
			}},
			editKeys("take a letter away", "backspace"),
			{keys: []string{"esc"}, short: "leave search", long: "leave the search", run: func() tea.Cmd {
				v.searching = false
				return nil
			}},
		}
	}
	scroll := func(by int) func() tea.Cmd {
		return func() tea.Cmd {
			v.top += by
			return nil
		}
	}
	return []binding{
		{keys: []string{"j", "down"}, short: "scroll", long: "down a line", run: scroll(1)},
		{keys: []string{"k", "up"}, long: "up a line", run: scroll(-1)},
		{keys: []string{"pgdown", "space", "ctrl+d"}, short: "page", long: "down a page", run: func() tea.Cmd { return scroll(max(v.page-1, 1))() }},
		{keys: []string{"pgup", "b", "ctrl+u"}, long: "up a page", run: func() tea.Cmd { return scroll(-max(v.page-1, 1))() }},
		{keys: []string{"g", "home"}, long: "to the top", run: func() tea.Cmd { v.top = 0; return nil }},
		{keys: []string{"G", "end"}, long: "to the end", run: func() tea.Cmd { v.top = v.text.n(); return nil }},
		{keys: []string{"right", "l"}, long: "to the right", run: func() tea.Cmd { v.left += 16; return nil }},
		{keys: []string{"left", "h"}, long: "to the left", run: func() tea.Cmd { v.left = max(v.left-16, 0); return nil }},
		{keys: []string{"/"}, short: "search", long: "search in the text", run: func() tea.Cmd { v.searching, v.query = true, ""; return nil }},
		{keys: []string{"n"}, short: "next", long: "next hit, or next mark when nothing was searched", run: func() tea.Cmd { return v.find(1) }},
		{keys: []string{"N"}, long: "hit or mark before", run: func() tea.Cmd { return v.find(-1) }},
		{keys: []string{"esc", "t"}, short: "back", long: "back to the result", run: leave},
	}
}

func (v *textView) typed(k tea.KeyPressMsg) {
	switch {
	case k.String() == "backspace":
		if r := []rune(v.query); len(r) > 0 {
			v.query = string(r[:len(r)-1])
		}
	case k.Text != "":
		v.query += k.Text
	}
}

// firstMark goes to the first mark, unless the top has it in sight, and says
// where the marks are, with a legend behind it.
func (v *textView) firstMark(legend string) tea.Cmd {
	first := -1
	for i := range v.marks {
		if first < 0 || i < first {
			first = i
		}
	}
	said := nonEmpty(legend)
	if first >= 0 {
		v.top = max(first-4, 0)
		said = append([]string{fmt.Sprintf("line %d is marked, n goes on", first+1)}, said...)
	}
	if len(said) == 0 {
		return nil
	}
	return toast("%s", strings.Join(said, "; "))
}

// find moves to the next hit of the search, or to the next mark.
func (v *textView) find(by int) tea.Cmd {
	n := v.text.n()
	from := v.found
	if from < 0 {
		from = v.top - by
		if by < 0 {
			from = v.top
		}
	}
	want := strings.ToLower(v.query)
	for step := 1; step <= n; step++ {
		i := ((from+by*step)%n + n) % n
		hit := v.marks[i] != nil
		if want != "" {
			hit = strings.Contains(strings.ToLower(v.text.line(i)), want)
		}
		if hit {
			v.found = i
			v.top = max(i-v.page/2, 0)
			return toast("line %d", i+1)
		}
	}
	if want == "" {
		return toast("nothing is marked in this text")
	}
	return toast("not found: %s", v.query)
}

func (v *textView) draw(w, h int) []line {
	rows := h
	if v.searching {
		rows = max(h-1, 1)
	}
	v.page = rows
	v.top = min(max(v.top, 0), max(v.text.n()-rows, 0))
	digits := len(fmt.Sprint(v.text.n()))
	var out []line
	for i := v.top; i < min(v.top+rows, v.text.n()); i++ {
		mark := " "
		if i == v.found {
			mark = ">"
		}
		l := line{{fmt.Sprintf("%s%*d | ", mark, digits, i+1), dim}}
		out = append(out, v.markLine(l, i, w-digits-4))
	}
	if v.searching {
		out = append(out, line{}.put(title, "/").quote(plain, v.query).put(plain, "_"))
	}
	return out
}

// markLine appends line i with its evidence reversed. Only the columns in
// sight are looked at: a line may have megabytes.
func (v *textView) markLine(l line, i, w int) line {
	text := v.text.line(i)
	col, byteAt := 0, 0
	for byteAt < len(text) && col < v.left {
		_, n := utf8.DecodeRuneInString(text[byteAt:])
		byteAt += n
		col++
	}
	end := byteAt
	for k := 0; end < len(text) && k <= w; k++ {
		_, n := utf8.DecodeRuneInString(text[end:])
		end += n
	}
	shown := []rune(text[byteAt:end])
	at := 0
	for _, e := range v.marks[i] {
		from := e.Column - 1 - v.left
		to := from + len([]rune(firstLine(e.Quote)))
		from, to = max(from, at), min(to, len(shown))
		if from >= to {
			continue
		}
		l = l.quote(plain, string(shown[at:from])).quote(evidence, string(shown[from:to]))
		at = to
	}
	return l.quote(plain, string(shown[at:]))
}
