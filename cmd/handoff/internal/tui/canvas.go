package tui

import (
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// style names what a piece of text is; each is doubled by a word on screen, so
// that nothing is lost without colour.
type style int

const (
	plain style = iota
	title
	good
	bad
	warn
	expected
	running
	dim
	evidence
	evidence2
	selected
)

// styles use the sixteen ANSI colours on the terminal's own background, which
// is never asked for.
var styles = [...]lipgloss.Style{
	plain:     lipgloss.NewStyle(),
	title:     lipgloss.NewStyle().Bold(true),
	good:      lipgloss.NewStyle().Foreground(lipgloss.Cyan),
	bad:       lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true),
	warn:      lipgloss.NewStyle().Foreground(lipgloss.Yellow).Bold(true),
	expected:  lipgloss.NewStyle().Foreground(lipgloss.Magenta),
	running:   lipgloss.NewStyle().Bold(true),
	dim:       lipgloss.NewStyle().Faint(true),
	evidence:  lipgloss.NewStyle().Reverse(true),
	evidence2: lipgloss.NewStyle().Underline(true),
	selected:  lipgloss.NewStyle().Reverse(true),
}

// marks are what stands before and behind a text of each style. Our texts are
// one line without tabs, so that is all a style does to them.
var marks = func() (out [len(styles)][2]string) {
	for i, s := range styles {
		out[i][0], out[i][1], _ = strings.Cut(s.Render("x"), "x")
	}
	return out
}()

// statusStyle is the style of a step's or verdict's word.
func statusStyle(word string) style {
	switch word {
	case "ok", "ready", "not-a-failure", "accepted":
		return good
	case "refused", "failed", "handshake-failed", "unreachable", "never-reached", "accepted-then-bounced",
		"inbound-refused", "mixed", "error", "problem":
		return bad
	case "deferred", "warning", "insufficient-evidence", "inconclusive":
		return warn
	case "expected":
		return expected
	case "running":
		return running
	case "skipped", "waiting":
		return dim
	}
	return plain
}

// piece is a run of text in one style. Text is escaped when the piece is made.
type piece struct {
	text string
	in   style
}

// line is one row of the screen before it is cut to the width.
type line []piece

// say makes a line of our own words.
func say(text string) line { return line(nil).put(plain, text) }

// put appends our own words in a style. They are escaped like all others: a word
// of a report is ours in a report that we made, and anybody's in one that was read.
func (l line) put(in style, text string) line { return append(l, piece{transcript.Escape(text), in}) }

// quote appends somebody else's words: a server's, a paste's. It does what put
// does; the name says whose words they are.
func (l line) quote(in style, text string) line { return l.put(in, text) }

// width counts the cells of the line.
func (l line) width() int {
	n := 0
	for _, p := range l {
		n += cells(p.text)
	}
	return n
}

// pad appends blanks up to column n, at least one.
func (l line) pad(n int) line {
	if w := l.width(); w < n {
		return l.put(plain, strings.Repeat(" ", n-w))
	}
	return l.put(plain, " ")
}

// render cuts the line to w cells and styles it.
func (l line) render(w int) string {
	var b strings.Builder
	left := w
	for i, p := range l {
		text := p.text
		n := cells(text)
		if n > left {
			text = cut(text, left)
			n = cells(text)
		} else if n == left && i+1 < len(l) && l[i+1:].width() > 0 {
			text = cut(text+" ", left)
		}
		if text != "" {
			b.WriteString(marks[p.in][0])
			b.WriteString(text)
			b.WriteString(marks[p.in][1])
		}
		left -= n
		if left <= 0 {
			break
		}
	}
	return b.String()
}

// cells counts the columns that text takes. Most of what is drawn is ASCII.
func cells(text string) int {
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c > 0x7e {
			return lipgloss.Width(text)
		}
	}
	return len(text)
}

// cut shortens text to n cells; the last one is a "~" where something is lost.
func cut(text string, n int) string {
	switch {
	case n <= 0:
		return ""
	case cells(text) <= n:
		return text
	}
	return text[:fit(text, n-1)] + "~"
}

// fit is how many bytes of text fit into n cells.
func fit(text string, n int) int {
	used := 0
	for i, r := range text {
		if used += cells(string(r)); used > n {
			return i
		}
	}
	return len(text)
}

// rule is a line of dashes.
func rule(w int) line { return line{{strings.Repeat("-", max(w, 0)), dim}} }

// wrap breaks our own prose at blanks into lines of at most w cells, each
// after the first indented.
func wrap(text string, w, indent int) []string {
	var out []string
	var cur strings.Builder
	used := 0
	limit := max(w, 8)
	for _, word := range strings.Fields(text) {
		n := cells(word)
		for n > limit { // a word wider than the screen is cut hard
			if used > 0 {
				out = append(out, cur.String())
				cur.Reset()
				used = 0
			}
			head := fit(word, limit) // at least one rune: no rune is wider than 2 cells
			out = append(out, word[:head])
			word = word[head:]
			n = cells(word)
			limit = max(w-indent, 8)
		}
		if used > 0 && used+1+n > limit {
			out = append(out, cur.String())
			cur.Reset()
			used = 0
			limit = max(w-indent, 8)
		}
		if used > 0 {
			cur.WriteByte(' ')
			used++
		}
		cur.WriteString(word)
		used += n
	}
	if used > 0 || len(out) == 0 {
		out = append(out, cur.String())
	}
	for i := 1; i < len(out); i++ {
		out[i] = strings.Repeat(" ", indent) + out[i]
	}
	return out
}

// labelled lays prose out beside a label: "  why  text…", continuation lines
// indented under the text.
func labelled(label string, in style, text string, w int) []line {
	const col = 8
	var out []line
	for i, s := range wrap(transcript.Escape(text), w-col, 0) {
		l := line{}
		if i == 0 {
			l = l.put(in, "  "+label)
		}
		out = append(out, l.pad(col).put(plain, s))
	}
	return out
}

// window returns the part of n rows of h that keeps row sel in sight, moving
// the old top as little as possible.
func window(n, h, sel, top int) int {
	if h <= 0 || n <= h {
		return 0
	}
	if sel < top {
		top = sel
	}
	if sel >= top+h {
		top = sel - h + 1
	}
	return min(max(top, 0), n-h)
}
