package ndr

import "bytes"

// quoting strips the marks of quoted mail, level by level, block by block: a
// block is a stretch of lines of which most carry the mark. A block whose
// stripped lines are the client's side of an SMTP dialogue keeps its marks.
// It reports whether any mark was taken off.
func (d *Document) quoting() bool {
	for level := 0; ; level++ {
		if level == 0 && !d.mayBeQuoted() {
			return false
		}
		if level == maxQuoteDepth {
			d.limit("levels of quoting")
			return true
		}
		if !d.unquote() {
			return level > 0
		}
	}
}

// dedent takes off the blanks that all lines begin with: a text that was copied
// out of a list, a chat or a code block. It reports whether there were any.
func (d *Document) dedent() bool {
	indent := -1
	for i := range d.starts {
		l := d.Line(i)
		n := 0
		for n < len(l) && (l[n] == ' ' || l[n] == '\t') {
			n++
		}
		if n == len(l) {
			continue
		}
		if n == 0 {
			return false
		}
		if indent < 0 || n < indent {
			indent = n
		}
	}
	if indent <= 0 || len(d.mails) > 0 {
		return false
	}
	r := d.rewriter(d.Text, len(d.Text))
	at := 0
	for i := range d.starts {
		start := d.LineStart(i)
		end := min(start+indent, d.LineEnd(i))
		if end > start {
			r.copy(at, start)
			at = end
		}
	}
	r.copy(at, len(d.Text))
	d.move(r)
	d.apply(r)
	return true
}

// undouble takes the empty lines out that a paste put behind every line of a
// mail: each second line is empty, and a header stands in the others. It reports
// whether it did.
func (d *Document) undouble() bool {
	if len(d.starts) < 12 {
		return false
	}
	first, run, most := -1, 0, 0
	for i := 0; i < len(d.starts); i++ {
		l := d.Line(i)
		if first < 0 {
			if fieldName(l) == 0 {
				continue
			}
			first = i
		}
		if (i-first)%2 == 1 {
			if len(l) > 0 {
				first, run = -1, 0 // lines above the mail
			}
			continue
		}
		if len(l) > 0 && (fieldName(l) > 0 || l[0] == ' ' || l[0] == '\t') {
			run++
			most = max(most, run)
		} else {
			run = 0
		}
	}
	if first < 0 || most < 3 || len(d.starts)-first < 12 {
		return false
	}
	r := d.rewriter(d.Text, len(d.Text))
	at := 0
	for i := first + 1; i < len(d.starts); i += 2 {
		r.copy(at, d.LineStart(i))
		at = min(d.LineEnd(i)+1, len(d.Text))
	}
	r.copy(at, len(d.Text))
	d.move(r)
	d.apply(r)
	return true
}

// mayBeQuoted reports whether any line begins with a mark.
func (d *Document) mayBeQuoted() bool {
	if bytes.ContainsAny(d.heads, quoteMarks) {
		return true
	}
	for i := 0; i < len(d.heads); i++ {
		n := bytes.IndexByte(d.heads[i:], ' ')
		if n < 0 {
			break
		}
		i += n
		if at := int(d.starts[i]) + 1; at < len(d.Text) && isQuoteMark(d.Text[at]) {
			return true
		}
	}
	return false
}

// quoteMarks are what mail programs put before the lines that they quote.
const quoteMarks = ">|:"

func isQuoteMark(c byte) bool { return c == '>' || c == '|' || c == ':' }

// unquote takes one level of marks off and reports whether there was one.
func (d *Document) unquote() bool {
	text := d.Text
	var r *rewriter
	at := 0
	for start := 0; start < len(text); {
		end, lines, marked, mark, dialogue := quotedBlock(text, start)
		if marked >= 2 && marked*3 >= lines*2 && !dialogue || lines == 1 && marked == 1 && mark == '>' && longQuote(bytes.TrimSpace(text[start:end])) {
			if r == nil {
				r = d.rewriter(text, len(text)+16)
			}
			for line := start; line < end; {
				e, next := lineOf(text, line, end)
				if n := quoteLen(text[line:e], mark); n > 0 {
					r.copy(at, line)
					at = line + n
				}
				line = next
			}
		}
		start = end
	}
	if r == nil {
		return false
	}
	r.copy(at, len(text))
	if len(r.out) == len(text) {
		return false
	}
	d.move(r)
	d.apply(r)
	return true
}

func lineOf(text []byte, at, to int) (end, next int) {
	if n := bytes.IndexByte(text[at:to], '\n'); n >= 0 {
		return at + n, at + n + 1
	}
	return to, to
}

// quotedBlock measures the block that begins at the offset: it ends where lines
// with the mark end or begin. Empty lines belong to the block around them.
func quotedBlock(text []byte, start int) (end, lines, marked int, mark byte, dialogue bool) {
	// A dialogue has server's lines that lack the mark, or next to nothing but
	// commands behind it. A quoted report may quote a few commands.
	verbs, served, plainRun := 0, 0, 0
	defer func() { dialogue = verbs > 0 && (served > 0 || verbs*2 >= marked) }()
	for at := start; at < len(text); {
		e, next := lineOf(text, at, len(text))
		line := text[at:e]
		trimmed := bytes.TrimSpace(line)
		if len(trimmed) == 0 {
			at, end = next, next
			continue
		}
		m := byte(0)
		if quoteLen(line, trimmed[0]) > 0 {
			m = trimmed[0]
		}
		switch {
		case lines == 0:
			mark = m
		case m != mark && mark == 0:
			return at, lines, marked, mark, false
		case m != mark:
			// A line that a mail program wrapped lost its mark; two in a row
			// end the block.
			if plainRun++; plainRun >= 2 {
				return at, lines, marked, mark, false
			}
		}
		if m != 0 && m == mark {
			plainRun = 0
			marked++
			if isDialogueLine(trimmed) {
				verbs++
			}
		} else if mark == '>' && trimmed[0] == '<' && len(trimmed) > 5 && (trimmed[1] == ' ' && isDigit(trimmed[2]) || bytes.HasPrefix(trimmed, []byte("<<< "))) {
			served++ // "< 220 …", "<<< 550 …": the server's side
		}
		lines++
		at, end = next, next
	}
	return end, lines, marked, mark, false
}

// quoteLen is the length of one level of quoting at the start of the line.
func quoteLen(line []byte, mark byte) int {
	if !isQuoteMark(mark) {
		return 0
	}
	n := 0
	for n < len(line) && n < 2 && line[n] == ' ' {
		n++
	}
	if n >= len(line) || line[n] != mark {
		return 0
	}
	n++
	if n < len(line) && line[n] == ' ' {
		return n + 1
	}
	if mark == '>' || n == len(line) {
		return n
	}
	return 0
}

// longQuote reports whether a single quoted line is worth stripping: a paste of
// one long line that is no command.
func longQuote(line []byte) bool { return len(line) > 60 && !isDialogueLine(line) }

// isDialogueLine reports whether a line with the mark ">" is what a client
// sent: "> EHLO me", ">>> RCPT To:<r>".
func isDialogueLine(line []byte) bool {
	rest := bytes.TrimLeft(line, ">")
	if len(rest) == len(line) {
		return false
	}
	rest = bytes.TrimLeft(rest, " ")
	return isVerb(rest)
}

// isVerb reports whether a line begins with an SMTP command.
func isVerb(line []byte) bool {
	if len(line) < 4 {
		return false
	}
	switch line[0] | 0x20 {
	case 'e':
		return foldPrefix(line, "ehlo ") || foldPrefix(line, "ehlo") && len(line) == 4
	case 'h':
		return foldPrefix(line, "helo ")
	case 'm':
		return foldPrefix(line, "mail from:")
	case 'r':
		return foldPrefix(line, "rcpt to:") || foldEqual(line, "rset")
	case 'd':
		return foldEqual(line, "data")
	case 's':
		return foldEqual(line, "starttls")
	case 'a':
		return foldPrefix(line, "auth ") && len(line) > 8 && line[5] >= 'A' && line[5] <= 'Z'
	case 'q':
		return foldEqual(line, "quit")
	case 'l':
		return foldPrefix(line, "lhlo ")
	}
	return false
}
