package ndr

import (
	"bytes"
	"unicode/utf8"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Log collectors, terminals and string literals pack a text before anybody reads
// it: a record of JSON for each line, escapes for line ends, the name of a
// container or the head of a journal before each line. unpack takes that off
// before the text is looked at for what it is, so that a report inside reads as
// it does alone.

// maxPacked bounds how often one text is packed into another.
const maxPacked = 4

// headBytes is how much of a text tells whether it is packed.
const headBytes = 2 << 10

// unpack gives the text with what a collector packed it into taken off, as a
// document that leads back to the input. Nil: there was nothing of the kind.
func unpack(input []byte) *Document {
	if len(input) < 16 || len(input) > maxCleaned || !looksPacked(input) {
		return nil
	}
	d := &Document{Text: input, input: input, markLine: 1, bareCR: hasBareCR(input)}
	d.odd = bytes.IndexByte(input, '\r') >= 0
	for range maxPacked {
		d.uncolour()
		if !d.unrecord() && !d.unescape() && !d.unprefix() && !d.uncat() {
			break
		}
	}
	if len(d.maps) == 0 {
		return nil
	}
	return d
}

// looksPacked is a cheap look at the first lines of a text: does one of them
// begin as packed ones do?
func looksPacked(input []byte) bool {
	head := input[:min(len(input), headBytes)]
	for at, n := 0, 0; at < len(head) && n < 16; n++ {
		end, next := nextLine(head, at, len(head))
		line := head[at:end]
		at = next
		i := skipBlanks(line, 0)
		if i == len(line) {
			continue
		}
		switch c := line[i]; c {
		case '{', '[', '"', '\'', 0x1b:
			return true
		case '<':
			if i+1 < len(line) && isDigit(line[i+1]) {
				return true
			}
		default:
			if n == 0 && i == 0 && next < len(head) && line[len(line)-1] != '$' && isHeaderStart(line) {
				return false // a mail
			}
			if isDigit(c) || line[len(line)-1] == '$' || monthAt(line[i:]) != 0 || weekdayAt(line[i:]) {
				return true
			}
		}
		if bytes.IndexByte(line[:min(len(line), maxService)], '|') > 0 {
			return true
		}
	}
	k := bytes.IndexByte(head, '\\')
	return k >= 0 && (bytes.Contains(head[k:], []byte(`\n`)) || bytes.Contains(head[k:], []byte(`\"`)))
}

// lineFor gives the end of the line at the offset and the start of the next, with
// any kind of line end.
func (d *Document) lineFor(at int) (end, next int) {
	if d.odd {
		return nextLine(d.Text, at, len(d.Text))
	}
	return lineOf(d.Text, at, len(d.Text))
}

// unescape undoes the escapes of a string that was pasted without what it stood
// in: next to no line ends, and "\n" instead. It reports whether it did.
//
// A literal in a line of an exception, a reply in most cases, keeps its escapes:
// the readers of exceptions undo them there.
func (d *Document) unescape() bool {
	text := d.Text
	head := text[:min(len(text), 64<<10)]
	slash := bytes.IndexByte(head, '\\')
	if slash < 0 || !bytes.Contains(head[slash:], []byte(`\n`)) && !bytes.Contains(head[slash:], []byte(`\"`)) {
		return false
	}
	lines := 0
	for at := 0; at < len(head); {
		end, next := nextLine(head, at, len(head))
		if len(bytes.TrimSpace(head[at:end])) > 0 {
			lines++
		}
		at = next
	}
	literals := replyLiterals(text)
	var breaks []int
	within := literals
	for at := 0; at < len(text); {
		n := bytes.IndexByte(text[at:], '\\')
		if n < 0 || at+n+1 >= len(text) {
			break
		}
		at += n
		for len(within) > 0 && within[0][1] <= at {
			within = within[1:]
		}
		if len(within) > 0 && within[0][0] < at {
			at = within[0][1]
			continue
		}
		if text[at+1] == 'n' && breaksLine(text, at) {
			breaks = append(breaks, at)
		}
		at += 2
		if len(breaks) > maxLines {
			break
		}
	}
	quoted := bytes.Count(head, []byte(`\"`))
	switch {
	case len(breaks) > 0 && (lines == 1 || len(breaks) >= 3*lines):
	case lines == 1 && quoted >= 2 && quoted == bytes.Count(head, []byte{'"'}):
	default:
		return false
	}
	if len(breaks) < 3 {
		for _, at := range breaks {
			if !beginsLine(text[at+2:]) && !endsWords(text[:at]) {
				return false
			}
		}
	}
	r := d.rewriter(text, len(text))
	at := 0
	if len(breaks) >= 3 && quoted == bytes.Count(head, []byte{'"'}) {
		literals = nil // all of it was in a string: so were they, and have their escapes
	}
	for _, l := range literals {
		unescapeText(r, text, at, l[0], nil)
		r.copy(l[0], l[1])
		at = l[1]
	}
	unescapeText(r, text, at, len(text), nil)
	d.apply(r)
	return true
}

// breaksLine reports whether the "\n" at the offset is a line end, and not part
// of a path (C:\new, \\nas\x).
func breaksLine(text []byte, at int) bool {
	from := at
	for from > 0 && at-from < 200 && text[from-1] > ' ' && text[from-1] != '"' {
		from--
	}
	word := text[from:at]
	if len(word) >= 2 && isLetter(word[0]) && word[1] == ':' && (len(word) == 2 || word[2] == '\\') {
		return false
	}
	return !bytes.HasPrefix(word, []byte(`\\`)) || bytes.HasPrefix(word, []byte(`\\n`))
}

// beginsLine reports whether a line may begin here, so that what stands before it
// is no backslash of a name such as "FIRMA\nadja".
func beginsLine(rest []byte) bool {
	if len(rest) == 0 {
		return true
	}
	if isLetter(rest[0]) && rest[0] >= 'a' {
		n := 0
		for n < len(rest) && isWordByte(rest[n]) {
			n++
		}
		return n+1 < len(rest) && rest[n] == ':' && rest[n+1] == ' ' || pmtaRow(rest)
	}
	return true
}

// endsWords reports whether a text ends in an address or a mark of a sentence, and
// not in what may be the domain of a Windows user.
func endsWords(text []byte) bool {
	if n := len(text); n == 0 || bytes.IndexByte([]byte(".,:;!?)>'\""), text[n-1]) >= 0 {
		return true
	}
	return bytes.IndexByte(text[bytes.LastIndexByte(text, ' ')+1:], '@') >= 0
}

// replyLiterals are the literals whose words are a reply: "b'5.7.1 a\n5.7.1 b'".
func replyLiterals(text []byte) [][2]int {
	var all [][2]int
	for at := 0; at < len(text) && len(all) < 10_000; {
		n := bytes.IndexAny(text[at:], "'\"")
		if n < 0 {
			break
		}
		at += n
		quote := text[at]
		if at == 0 || isWordByte(text[at-1]) && text[at-1] != 'b' || text[at-1] == '\\' || at+6 > len(text) || !isReplyText(text[at+1:]) && statusCode(text[at+1:]) == "" {
			at++
			continue
		}
		end := at + 1
		for end < len(text) && end-at < 4096 && text[end] != quote && text[end] != '\n' {
			if text[end] == '\\' {
				end++
			}
			end++
		}
		if end < len(text) && text[end] == quote {
			all = append(all, [2]int{at, end + 1})
		}
		at = min(end+1, len(text))
	}
	return all
}

// unescapeText writes text[from:to] with its escapes undone. Ends, if not nil,
// learns whether the last thing written was a line end.
func unescapeText(r *rewriter, text []byte, from, to int, ends *bool) {
	at, before := from, len(r.out)
	for i := from; i < to && !r.full; {
		n := bytes.IndexByte(text[i:to], '\\')
		if n < 0 || i+n+1 >= to {
			break
		}
		i += n
		out, size := transcript.Escaped(text[i:to])
		if size == 0 && bytes.HasPrefix(text[i:to], []byte(`\u001b[`)) {
			out, size = []byte{0x1b}, len(`\u001b`) // of a colour, which goes next
		}
		if size == 0 {
			i += 2
			continue
		}
		r.copy(at, i)
		r.put(out, i, i+size, segAtom)
		i += size
		at = i
	}
	r.copy(at, to)
	if ends != nil {
		n := len(r.out)
		*ends = n > before && r.out[n-1] == '\n'
	}
}

// uncat undoes what "cat -A" and "cat -v" show: "$" at the line ends, "^M", "^I"
// and "M-" for bytes above ASCII.
func (d *Document) uncat() bool {
	text := d.Text
	lines, marked := 0, 0
	for at := 0; at < len(text) && lines < 200; {
		end, next := d.lineFor(at)
		if line := trimCR(text[at:end]); len(line) > 0 {
			lines++
			if line[len(line)-1] == '$' {
				marked++
			}
		}
		at = next
	}
	if marked < 2 || marked < lines-1 || marked == 2 && lines > 2 {
		return false
	}
	r := d.rewriter(text, len(text))
	at := 0
	for start := 0; start < len(text) && !r.full; {
		end, next := d.lineFor(start)
		stop := len(trimCR(text[start:end])) + start
		if stop > start && text[stop-1] == '$' {
			stop--
			if bytes.HasSuffix(text[start:stop], []byte("^M")) {
				stop -= 2
			}
		}
		r.copy(at, start)
		for i := start; i < stop; {
			var buf [utf8.UTFMax]byte
			shown, n := shownBytes(text[i:stop], buf[:0])
			if n == 0 {
				i++
				continue
			}
			r.copy(start, i)
			r.put(shown, i, i+n, segAtom)
			i += n
			start = i
		}
		r.copy(start, stop)
		at, start = end, next
	}
	r.copy(at, len(text))
	d.apply(r)
	return true
}

// shownBytes appends what the beginning of t stands for, where cat shows a TAB or
// a character above ASCII, and gives the length of that in t; 0: it stands for
// itself. Other control characters are rare, and people write carets.
func shownBytes(t, out []byte) ([]byte, int) {
	if t[0] == '^' {
		if len(t) > 1 && t[1] == 'I' {
			return append(out, '\t'), 2
		}
		return out, 0
	}
	n := 0
	for len(out) < utf8.UTFMax && n+3 <= len(t) && t[n] == 'M' && t[n+1] == '-' {
		c := t[n+2]
		n += 3
		if c == '^' && n < len(t) && t[n] >= '@' && t[n] <= '_' {
			c = t[n] - '@'
			n++
		}
		out = append(out, 0x80+c)
		if len(out) > 1 && utf8.Valid(out) {
			return out, n
		}
	}
	return out, 0
}
