package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/width"

	"github.com/smtp-handoff/handoff/analyze"
)

// Limits of what is shown of one piece of evidence. The counts of what is left
// out are exact.
const (
	maxShownLines = 20  // lines of one finding's or outcome's evidence
	maxMarkRunes  = 400 // of one marked piece
	maxPlainRunes = 60  // of unmarked text beside a mark
)

// piece is a part of a line as shown: escaped text, and which mark is on it.
type piece struct {
	Text string
	Mark int // 0 none, 1 first evidence of the line, 2 further evidence
}

// quoted is one line of the input or of a transcript with its marks.
type quoted struct {
	Number int
	Pieces []piece
}

// Label is the number of the line; empty for what is no line of a text.
func (q quoted) Label() string {
	if q.Number == 0 {
		return ""
	}
	return strconv.Itoa(q.Number)
}

// snippet is a run of neighbouring lines.
type snippet struct {
	Where string // "line 9, column 1" or "session 25, line 14"
	Lines []quoted
}

// mark is one evidence on one line, in characters from 0.
type mark struct {
	port, line, from int
	quote            string
	order            int
}

// snippets sets evidence into the lines it stands in. Where lines has no text
// for a place, the quotes alone are shown. left counts the lines that the limit
// dropped.
func snippets(evidence []analyze.Evidence, lines Lines) (all []snippet, left int) {
	var marks []mark
	for i, e := range evidence {
		if e.Quote == "" {
			continue
		}
		for j, part := range splitLines(e.Quote) {
			if part == "" {
				continue
			}
			m := mark{port: e.Port, line: e.Line + j, quote: part, order: i}
			if j == 0 && e.Column > 0 {
				m.from = e.Column - 1
			}
			if !slices.ContainsFunc(marks, func(o mark) bool {
				return o.port == m.port && o.line == m.line && o.from == m.from && o.quote == m.quote
			}) {
				marks = append(marks, m)
			}
		}
	}
	slices.SortStableFunc(marks, func(a, b mark) int {
		return cmp.Or(cmp.Compare(a.port, b.port), cmp.Compare(a.line, b.line), cmp.Compare(a.from, b.from))
	})
	shown := 0
	for i := 0; i < len(marks); {
		j := i + 1
		for j < len(marks) && marks[j].port == marks[i].port && marks[j].line == marks[i].line {
			j++
		}
		if shown == maxShownLines {
			left++
			i = j
			continue
		}
		shown++
		line := quoted{Number: marks[i].line, Pieces: pieces(marks[i:j], lines)}
		if n := len(all); n > 0 && i > 0 && marks[i-1].port == marks[i].port && marks[i].line-marks[i-1].line == 1 {
			all[n-1].Lines = append(all[n-1].Lines, line)
		} else {
			all = append(all, snippet{Where: place(marks[i]), Lines: []quoted{line}})
		}
		i = j
	}
	return all, left
}

func place(m mark) string {
	if m.port != 0 {
		return fmt.Sprintf("session %d, line %d", m.port, m.line)
	}
	if m.line == 0 {
		return "as the name service has it"
	}
	return fmt.Sprintf("line %d, column %d", m.line, m.from+1)
}

// pieces cuts one line at its marks and escapes each part by itself, so that
// the marks stand under the right characters whatever escaping adds.
func pieces(marks []mark, lines Lines) []piece {
	text, ok := "", false
	if lines != nil {
		text, ok = lines(marks[0].port, marks[0].line)
	}
	first := marks[0].order
	for _, m := range marks {
		first = min(first, m.order)
	}
	kind := func(m mark) int {
		if m.order == first {
			return 1
		}
		return 2
	}
	var out []piece
	at := 0 // bytes of text already shown
	if ok {
		for _, m := range marks {
			from := runeOffset(text, m.from)
			if !strings.HasPrefix(text[from:], m.quote) {
				// The line as shown has its secrets masked, which moves columns.
				i := strings.Index(text, m.quote)
				if i < 0 {
					continue
				}
				from = i
			}
			end := from + len(m.quote)
			if from < at {
				if end <= at {
					continue // inside a mark already drawn
				}
				from = at
			}
			if from > at {
				out = append(out, piece{Text: plain(text[at:from], len(out) > 0, true)})
			}
			out = append(out, piece{Text: marked(text[from:end]), Mark: kind(m)})
			at = end
		}
	}
	if at == 0 {
		// No line to be had, or none of the quotes is in it: the quotes alone.
		for i, m := range marks {
			if i > 0 {
				out = append(out, piece{Text: " ... "})
			}
			out = append(out, piece{Text: marked(m.quote), Mark: kind(m)})
		}
		return out
	}
	if at < len(text) {
		out = append(out, piece{Text: plain(text[at:], true, false)})
	}
	return out
}

// plain shortens and escapes unmarked text that has a mark before or after it.
func plain(s string, before, after bool) string {
	n := utf8.RuneCountInString(s)
	switch {
	case n <= maxPlainRunes:
		return show(s)
	case before && after:
		half := maxPlainRunes / 2
		return show(s[:runeOffset(s, half)]) + " ... " + show(s[runeOffset(s, n-half):])
	case before:
		return show(s[:runeOffset(s, maxPlainRunes)]) + " ..."
	}
	return "... " + show(s[runeOffset(s, n-maxPlainRunes):])
}

func marked(s string) string {
	if n := utf8.RuneCountInString(s); n > maxMarkRunes {
		return show(s[:runeOffset(s, maxMarkRunes)]) + fmt.Sprintf(" ... and %d characters more", n-maxMarkRunes)
	}
	return show(s)
}

// runeOffset is the byte offset of the n-th character, at most len(s).
func runeOffset(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

// splitLines cuts at LF, CRLF and bare CR.
func splitLines(s string) []string {
	return strings.Split(strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n"), "\n")
}

// columns is how many cells of a terminal a text takes; the text is escaped,
// so that only wide characters differ from one.
func columns(s string) int {
	n := 0
	for _, r := range s {
		switch width.LookupRune(r).Kind() {
		case width.EastAsianWide, width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}
