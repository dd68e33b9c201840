package ndr

import "bytes"

// minNumbered is the least number of lines that are taken for a numbered copy.
const minNumbered = 4

// unnumber takes off the numbers that an editor, a pager or a ticket put before
// each line: they go up by one from line to line, with a colon, a bar or a tab
// behind each. It reports whether there were any.
func (d *Document) unnumber() bool {
	if len(d.starts) < minNumbered || len(d.mails) > 0 {
		return false
	}
	first := -1
	for i := range d.starts {
		l := d.Line(i)
		number, n := numberBefore(l)
		if n == 0 {
			if len(bytes.TrimSpace(l)) == 0 && i == len(d.starts)-1 {
				continue
			}
			return false
		}
		if first < 0 {
			first = number - i
		}
		if number-i != first {
			return false
		}
	}
	r := d.rewriter(d.Text, len(d.Text))
	at := 0
	for i := range d.starts {
		if _, n := numberBefore(d.Line(i)); n > 0 {
			start := d.LineStart(i)
			r.copy(at, start)
			at = start + n
		}
	}
	r.copy(at, len(d.Text))
	d.move(r)
	d.apply(r)
	return true
}

// numberBefore reads the number that a line begins with and gives the length of
// it with its mark and one blank; 0 when none stands there.
func numberBefore(l []byte) (number, n int) {
	for n < len(l) && l[n] == ' ' {
		n++
	}
	from := n
	for n < len(l) && isDigit(l[n]) && n-from < 7 {
		number = number*10 + int(l[n]-'0')
		n++
	}
	if n == from || n == len(l) {
		return 0, 0
	}
	switch l[n] {
	case '\t':
		return number, n + 1
	case ':', '|':
		n++
	case ' ':
		if n+1 >= len(l) || l[n+1] != '|' {
			return 0, 0
		}
		n += 2
	default:
		return 0, 0
	}
	if n < len(l) && l[n] == ' ' {
		n++
	}
	return number, n
}

// uncolour takes out what tells a terminal to change colours or to clear a line.
// It reports whether there was any.
func (d *Document) uncolour() bool {
	if bytes.IndexByte(d.Text, 0x1b) < 0 {
		return false
	}
	r := d.rewriter(d.Text, len(d.Text))
	text, at, found := d.Text, 0, false
	for i := 0; i < len(text); {
		k := bytes.Index(text[i:], []byte("\x1b["))
		if k < 0 {
			break
		}
		from := i + k
		to := from + 2
		for to < len(text) && to-from < 24 && (isDigit(text[to]) || text[to] == ';' || text[to] == '?') {
			to++
		}
		i = to
		if to == len(text) || text[to] != 'm' && text[to] != 'K' {
			continue
		}
		r.copy(at, from)
		at, i, found = to+1, to+1, true
	}
	if !found {
		return false
	}
	r.copy(at, len(text))
	d.move(r)
	d.apply(r)
	return true
}
