package ndr

import (
	"bytes"
	"unicode/utf8"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// A terminal cuts long lines at its last column, in the middle of a word, and
// what is copied from it has line ends there. All cut lines are of one length
// then, and none is longer: a program that wraps at blanks leaves them uneven.

// terminals are the widths, in columns, at which a single line is taken for cut.
var terminals = [...]int{80, 100, 120, 132, 160}

const (
	leastWidth = 60  // columns of a terminal that is taken for one
	mostWidth  = 250 // columns
)

// uncut joins the lines that a terminal cut. It reports whether there were any.
func (d *Document) uncut() bool {
	width, full := 0, 0
	for i := range d.starts {
		n := d.LineEnd(i) - int(d.starts[i])
		if n < width {
			continue
		}
		if n > mostWidth {
			return false
		}
		if n = utf8.RuneCount(d.Line(i)); n == width {
			full++
		} else if n > width {
			width, full = n, 1
		}
	}
	if width < leastWidth || width <= maxQPLine && looksQuotedPrintable(d.Text) {
		return false
	}
	var joins []int // lines that go on in the next one
	sure := false
	for i := 0; i+1 < len(d.starts); i++ {
		if d.LineEnd(i)-int(d.starts[i]) < width {
			continue
		}
		line, next := d.Line(i), d.Line(i+1)
		if len(next) == 0 || utf8.RuneCount(line) != width || bytes.IndexByte(line, ' ') < 0 {
			continue
		}
		whole := len(joins) <= maxSureLooks && d.wholeElsewhere(line, next)
		sure = sure || whole
		if whole || goesOn(line, next, d.logsAt(i, joins)) {
			joins = append(joins, i)
		}
	}
	if len(joins) == 0 {
		return false
	}
	soft := 0 // lines that somebody ended before a word that had no room
	for i, k := 0, 0; i+1 < len(d.starts) && !sure; i++ {
		if k < len(joins) && joins[k] == i {
			k++
			continue
		}
		line, next := d.Line(i), d.Line(i+1)
		if len(line) == 0 || len(next) == 0 {
			continue
		}
		word := bytes.IndexByte(next, ' ')
		if word < 0 {
			word = len(next)
		}
		n := utf8.RuneCount(line)
		if n != width && n+1+word > width && word > 0 && next[0] != '\t' && fieldName(next) == 0 && goesOn(line, next, d.logsAt(i, joins[:k])) {
			soft++
		}
	}
	switch {
	case sure:
	case full < 3 && !isTerminal(width), soft*2 > len(joins), len(joins) < 2 && soft > 0:
		return false
	}
	r := d.rewriter(d.Text, len(d.Text))
	at := 0
	for _, i := range joins {
		r.copy(at, d.LineEnd(i))
		at = d.LineStart(i + 1)
	}
	r.copy(at, len(d.Text))
	d.move(r)
	d.apply(r)
	return true
}

// logsAt reports whether the line, or the first one of those that were joined to
// make it, is one of a log. Joins are the lines before it that go on.
func (d *Document) logsAt(i int, joins []int) bool {
	for k := len(joins) - 1; k >= 0 && joins[k] == i-1; k-- {
		i--
	}
	line := d.Line(i)
	if _, ok := recordAt(line); ok {
		return true
	}
	_, n := stampAt(line)
	return n >= 8
}

// maxSureLooks bounds how many joints are looked for elsewhere.
const maxSureLooks = 20

// wholeElsewhere reports whether the word that was cut between two lines stands in
// the text in one piece, too, or is a host of the relay: then it was cut for sure.
func (d *Document) wholeElsewhere(line, next []byte) bool {
	from, to := len(line), 0
	for from > 0 && len(line)-from < 100 && isHostByte(line[from-1]) {
		from--
	}
	for to < len(next) && to < 100 && isHostByte(next[to]) {
		to++
	}
	if from == len(line) || to == 0 {
		return false
	}
	word := append(bytes.Clone(line[from:]), bytes.TrimRight(next[:to], ".")...)
	if len(word) < 8 {
		return false
	}
	if name := string(bytes.ToLower(word)); name != transcript.RelayDomain && transcript.HostIsUnderAny(name, serviceDomain) {
		// Not two words, of which one is such a host itself.
		return !transcript.HostIsUnderAny(string(bytes.ToLower(line[from:])), serviceDomain) && !transcript.HostIsUnderAny(string(bytes.ToLower(bytes.TrimRight(next[:to], "."))), serviceDomain)
	}
	return containsWord(d.Text[:min(len(d.Text), 64<<10)], word)
}

func isTerminal(width int) bool {
	for _, w := range terminals {
		if w == width {
			return true
		}
	}
	return false
}

// goesOn reports whether the next line may be the rest of a line that was cut: it
// begins nothing of its own, and the line is no row of a box.
func goesOn(line, next []byte, logs bool) bool {
	switch c := line[len(line)-1]; c {
	case '|', '+', '*', '=', '_', '#', '-':
		if line[0] == c {
			return false
		}
	}
	if next[0] == ' ' && len(next) > 1 && next[1] != ' ' {
		next = next[1:]
	}
	if s, n := stampAt(next); n >= 8 && !s.when.IsZero() {
		return false
	}
	if s, _, _ := phraseAt(next); s != signNone && s < signField || !logs && isHeaderStart(next) {
		return false // the next field of a report or a header
	}
	if c := next[0]; c == '@' || c == '=' && isWordByte(line[len(line)-1]) {
		return true
	}
	if logs && next[0] != ' ' && next[0] != '\t' {
		_, record := recordAt(next)
		return !record // a line of a log begins with its time
	}
	return joins(line, next, logs)
}
