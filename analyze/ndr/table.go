package ndr

import (
	"bytes"
	"time"
)

// table is a listing with a line of column names, as consoles and scripts
// export it: cells between commas, semicolons or tabs, in quotes where needed.
type table struct {
	columns []string // lower case, without blanks and underscores
	comma   byte
	first   int // line of the first row
}

// cell is a range of Doc.Text without the quotes.
type cell struct{ from, to int }

// Column names of exports, in the form of table.columns, the best first.
var (
	recipientColumns = []string{"recipientaddress", "recipients", "recipient", "recipientstatus", "toaddress", "to"}
	senderColumns    = []string{"senderaddress", "sender", "fromaddress", "from", "returnpath"}
	stateColumns     = []string{"event", "eventid", "status", "deliverystatus"}
	timeColumns      = []string{"datetimeutc", "datetime", "origintimestamputc", "received", "timestamp", "date"}
)

// The words of Exchange's consoles for a row that tells what became of a
// message; rows with others are steps on the way.
var (
	deliveredStates = []string{"delivered", "deliver", "send", "sendexternal"}
	failedStates    = []string{"failed", "fail", "defer", "pending", "dsn"}
)

// tableHead finds the line of column names: at least three of them, one for
// recipients. Nil when the text is no table.
func (r *report) tableHead() *table {
	for i := r.b.First; i < min(r.b.Last, r.b.First+60); i++ {
		l := r.doc.Line(i)
		for _, comma := range []byte(",;\t") {
			if bytes.Count(l, []byte{comma}) < 2 {
				continue
			}
			t := &table{comma: comma, first: i + 1}
			for at := r.doc.LineStart(i); at <= r.doc.LineEnd(i) && len(t.columns) < 200; {
				var c cell
				c, at = cellAt(r.doc.Text, at, r.doc.LineEnd(i), comma)
				t.columns = append(t.columns, columnName(r.doc.Text[c.from:c.to]))
			}
			if t.column(recipientColumns) >= 0 {
				return t
			}
		}
	}
	return nil
}

// columnName folds "Recipient Address", "recipient_address" and
// "RecipientAddress" into one.
func columnName(b []byte) string {
	out := make([]byte, 0, len(b))
	for _, c := range b {
		if isLetter(c) || isDigit(c) {
			out = append(out, lowerASCII(c))
		}
	}
	return string(out)
}

// column is the place of the first of the names that the table has, or -1.
func (t *table) column(names []string) int {
	for _, name := range names {
		for i, c := range t.columns {
			if c == name {
				return i
			}
		}
	}
	return -1
}

// rows calls do for each row until it says no. A quoted cell may hold line ends.
func (t *table) rows(d *Document, last int, do func(from, to int, cells []cell) bool) {
	if t.first >= last {
		return
	}
	at, end := d.LineStart(t.first), d.LineEnd(last-1)
	cells := make([]cell, 0, len(t.columns))
	for at < end {
		from := at
		cells = cells[:0]
		for {
			var c cell
			c, at = cellAt(d.Text, at, end, t.comma)
			if len(cells) < cap(cells) {
				cells = append(cells, c)
			}
			if at > end || d.Text[at-1] == '\n' {
				break
			}
		}
		if to := min(at, end); to > from+1 && !do(from, to, cells) {
			return
		}
	}
}

// cellAt reads the cell that begins at an offset and gives the offset behind
// what ended it: the comma or the LF, or one behind the end.
func cellAt(text []byte, at, end int, comma byte) (c cell, next int) {
	for at < end && text[at] == ' ' {
		at++
	}
	if at < end && text[at] == '"' {
		c.from = at + 1
		i := c.from
		for i < end && (text[i] != '"' || i+1 < end && text[i+1] == '"') {
			if text[i] == '"' {
				i++
			}
			i++
		}
		c.to = min(i, end)
		at = min(i+1, end)
	} else {
		c.from, c.to = at, -1
	}
	for at < end && text[at] != comma && text[at] != '\n' {
		at++
	}
	if c.to < 0 {
		c.to = at
	}
	return c, at + 1
}

// word is what the best of the named columns says, in the form of a column name.
func (t *table) word(d *Document, cells []cell, names []string) string {
	if i := t.column(names); i >= 0 && i < len(cells) {
		return columnName(d.Text[cells[i].from:cells[i].to])
	}
	return ""
}

// address is the first mail address in the best of the named columns that has
// one; empty when none has.
func (t *table) address(d *Document, cells []cell, names []string) string {
	address := ""
	t.among(d, cells, names, func(text []byte) bool {
		a, _, to := findMailbox(text)
		if to > 0 {
			address = a
		}
		return to > 0
	})
	return address
}

// time is the time in the best of the columns for it; zero when none has one.
func (t *table) time(d *Document, cells []cell) time.Time {
	var at time.Time
	t.among(d, cells, timeColumns, func(text []byte) bool {
		at = parseTime(text)
		return !at.IsZero()
	})
	return at
}

// among offers the cells of the named columns, the best first, until one is
// taken.
func (t *table) among(d *Document, cells []cell, names []string, take func(text []byte) bool) {
	for _, name := range names {
		for i, c := range t.columns {
			if c == name && i < len(cells) && take(d.Text[cells[i].from:cells[i].to]) {
				return
			}
		}
	}
}
