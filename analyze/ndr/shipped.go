package ndr

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// What ships the output of programs puts it into a form of its own: a head
// before each line (containers, journals), or the string of a JSON object
// (Docker's files, collectors, exports of a search). People copy it as they find
// it. Both are undone before any reader looks, unless the lines are those of a
// mail server's log, whose reader knows such heads.

// minShipped is the least number of lines that have a head in common.
const minShipped = 2

// unship takes a text out of what shipped it. It reports whether anything did.
func (d *Document) unship() bool {
	if len(d.mails) > 0 || len(d.Text) == 0 {
		return false
	}
	return d.unjson() || d.unescape() || d.unhead()
}

// unhead takes off what a container's runtime, docker compose or a journal puts
// before every line:
//
//	2026-11-24T10:00:00.123456789Z stderr F TEXT        Kubernetes (CRI)
//	web-1  | TEXT                                       docker compose
//	Nov 24 10:00:00 host app[12]: TEXT                  syslog, journalctl
//	<22>1 2026-11-24T10:00:00Z host app 12 - - TEXT     RFC 5424
//
// Lines without any text count as nothing; every other one must have the head,
// of one program on one host.
func (d *Document) unhead() bool {
	kind, program, lines, logged := headNone, []byte(nil), 0, false
	for i := range d.starts {
		l := d.Line(i)
		if len(bytes.TrimSpace(l)) == 0 {
			continue
		}
		k, who, n := headOf(l)
		if n == 0 || kind != headNone && (k != kind || !bytes.Equal(who, program)) {
			return false
		}
		if kind == headNone {
			kind, program = k, who
		}
		if lines < 20 {
			in, whole := recordAt(l[n:])
			whole = whole && !in.clock.when.IsZero()
			if r, ok := recordAt(l); ok && r.mta != mtaMsmtp && (!whole || k == headSyslog) {
				return false // a log that has no other times, or whose host stands there
			}
			logged = logged || whole
		}
		lines++
	}
	if lines == 0 || lines < minShipped && !logged {
		return false
	}
	r := d.rewriter(d.Text, len(d.Text))
	at := 0
	for i := range d.starts {
		if _, _, n := headOf(d.Line(i)); n > 0 {
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

// headKind is a form of a shipped line's head.
type headKind uint8

const (
	headNone headKind = iota
	headCRI
	headCompose
	headSyslog
)

// ownLogs are programs whose readers know them by their name in the log.
var ownLogs = []string{"ssmtp", "sendemail", "msmtp"}

// headOf reads the head of a shipped line: its form, who wrote the line (empty:
// it does not say), and its length; 0 if there is none.
func headOf(l []byte) (kind headKind, who []byte, n int) {
	if len(l) < 4 {
		return headNone, nil, 0
	}
	if !isDigit(l[0]) || len(l) < 20 || l[4] != '-' {
		if n, who := composeHead(l); n > 0 {
			return headCompose, who, n
		}
	}
	i := 0
	version := false
	if l[0] == '<' {
		end := bytes.IndexByte(l[:min(len(l), 6)], '>')
		if end < 2 || !isDigit(l[1]) {
			return headNone, nil, 0
		}
		if i = end + 1; i+1 < len(l) && isDigit(l[i]) && l[i+1] == ' ' {
			i, version = i+2, true
		}
	}
	_, k := stampAt(l[i:])
	if k == 0 {
		return headNone, nil, 0
	}
	i += k
	if i >= len(l) || l[i] != ' ' {
		return headNone, nil, 0
	}
	i++
	for _, w := range [...]string{"stdout F", "stderr F", "stdout P", "stderr P"} {
		if bytes.HasPrefix(l[i:], []byte(w)) && (i+len(w) == len(l) || l[i+len(w)] == ' ') {
			return headCRI, nil, min(i+len(w)+1, len(l))
		}
	}
	// HOST PROGRAM[PID]: TEXT, or HOST PROGRAM PID ID DATA TEXT.
	from := i
	host := bytes.IndexByte(l[i:min(len(l), i+256)], ' ')
	if host <= 0 || !isName(l[i:i+host]) {
		return headNone, nil, 0
	}
	i += host + 1
	if version {
		for range 4 {
			k := bytes.IndexByte(l[i:], ' ')
			if k <= 0 {
				return headNone, nil, 0
			}
			if who == nil {
				who = l[from : i+k]
			}
			i += k + 1
		}
		return headSyslog, who, i
	}
	end := bytes.IndexByte(l[i:min(len(l), i+80)], ':')
	if end <= 0 {
		return headNone, nil, 0
	}
	program := l[i : i+end]
	k = bytes.IndexByte(program, '[')
	if k <= 0 || program[len(program)-1] != ']' {
		return headNone, nil, 0
	}
	program = program[:k]
	if !isName(bytes.ReplaceAll(program, []byte{'/'}, nil)) || slices.Contains(ownLogs, lowerString(program)) {
		return headNone, nil, 0
	}
	n = i + end + 1
	if n < len(l) && l[n] == ' ' {
		n++
	} else if n < len(l) {
		return headNone, nil, 0
	}
	return headSyslog, l[from : i+len(program)], n
}

// composeHead is the length of the head "SERVICE-1  | " and what stands before
// the blanks of its bar.
func composeHead(l []byte) (n int, who []byte) {
	bar := bytes.IndexByte(l[:min(len(l), 64)], '|')
	if bar < 2 || l[bar-1] != ' ' || bar+1 < len(l) && l[bar+1] != ' ' {
		return 0, nil
	}
	name := bytes.TrimRight(l[:bar], " ")
	if !isName(name) || !isLetter(name[0]) || len(name)+2 > bar && bar+1 < len(l) && bytes.IndexByte(l[bar+1:], '|') >= 0 {
		return 0, nil // a table has more than one bar
	}
	return min(bar+2, len(l)), name
}

// isName reports whether a word may name a host, a program or a container.
func isName(w []byte) bool {
	if len(w) == 0 {
		return false
	}
	for _, c := range w {
		if !isHostByte(c) && c != ':' && c != '@' && c != '(' && c != ')' {
			return false
		}
	}
	return true
}

// unescape undoes the escapes of a text that was copied out of a string: one
// line that has \n where the others began. It reports whether there were any.
func (d *Document) unescape() bool {
	text := d.Text
	if len(d.starts) > 2 || len(text) > maxLine {
		return false
	}
	if n := bytes.Count(text, []byte(`\n`)); n < 3 && (n < 2 || len(d.starts) > 1) {
		return false
	}
	first := bytes.Index(text, []byte(`\n`))
	if q := bytes.LastIndexAny(text[:first], `'"`); q > 0 && (text[q-1] == 'b' || text[q-1] == '(' || text[q-1] == '[' || text[q-1] == '=' || q > 1 && text[q-1] == ' ' && text[q-2] == ':') {
		return false // the string of a program stands in its own line
	}
	r := d.rewriter(text, len(text))
	unescapeInto(r, text, 0, len(text))
	d.move(r)
	d.apply(r)
	d.odd = true
	return true
}

// unescapeInto writes source[from:to], the inside of a string, without its
// escapes (RFC 8259 §7). What is no escape stays.
func unescapeInto(r *rewriter, source []byte, from, to int) {
	at := from
	for i := from; i < to && !r.full; {
		n := bytes.IndexByte(source[i:to], '\\')
		if n < 0 {
			break
		}
		i += n
		put, size := escapeAt(source[i:to])
		if size == 0 {
			i++
			continue
		}
		r.copy(at, i)
		r.put(put, i, i+size, segAtom)
		i += size
		at = i
	}
	r.copy(at, to)
}

// escapeAt reads the escape that s begins with: what it stands for and its
// length; 0 if it is none.
func escapeAt(s []byte) (put []byte, n int) {
	if len(s) < 2 {
		return nil, 0
	}
	switch s[1] {
	case 'n':
		return lf, 2
	case 'r':
		if bytes.HasPrefix(s[2:], []byte(`\n`)) {
			return lf, 4
		}
		return lf, 2
	case 't':
		return []byte{'\t'}, 2
	case '"', '\\', '/', '\'':
		return s[1:2], 2
	case 'u':
		c, n := rune(0), 2
		for n < 6 && n < len(s) && unhex(s[n]) >= 0 {
			c = c<<4 | rune(unhex(s[n]))
			n++
		}
		if n < 6 || c < ' ' && c != '\t' && c != '\n' {
			return nil, 0 // ESC and its like stay escaped
		}
		if c >= 0xd800 && c < 0xdc00 && len(s) >= 12 && s[6] == '\\' && s[7] == 'u' {
			low, k := rune(0), 8
			for k < 12 && unhex(s[k]) >= 0 {
				low = low<<4 | rune(unhex(s[k]))
				k++
			}
			if k == 12 && low >= 0xdc00 && low < 0xe000 {
				return utf8.AppendRune(nil, 0x10000+(c-0xd800)<<10+(low-0xdc00)), 12
			}
		}
		return utf8.AppendRune(nil, c), 6
	}
	return nil, 0
}

// textKeys are the names under which collectors keep the line of a program.
var textKeys = []string{"log", "message", "msg", "MESSAGE", "@message", "textPayload", "line", "_raw", "text", "body", "content", "short_message", "full_message", "output"}

// factKeys are names of objects that tell a failure in fields: events of a
// sending service, an error of Node with its reply. They have readers of their
// own.
var factKeys = []string{
	"event", "eventType", "notificationType", "RecordType", "response", "responseCode", "command", "recipient", "recipients", "rcpt", "delivery-status", "dsn",
	"bounce", "smtp-id", "status_code", "errno", "syscall", "code", "schema_version", "queue_id", "recipient_status",
}

// unjson takes the lines of a program out of the JSON that a collector keeps them
// in: objects one per line, an array, or one object with all of the text. It
// reports whether the text was such.
func (d *Document) unjson() bool {
	text := d.Text
	start := skipBlanks(text, 0)
	for start < len(text) && text[start] == '\n' {
		start = skipBlanks(text, start+1)
	}
	if start >= len(text) || text[start] != '{' && text[start] != '[' {
		return false
	}
	values := textValues(text[start:])
	if len(values) == 0 {
		return false
	}
	r := d.rewriter(text, len(text))
	for _, v := range values {
		from, to := start+v[0], start+v[1]
		for bytes.HasSuffix(text[from:to], []byte(`\n`)) {
			to -= 2
		}
		unescapeInto(r, text, from, to)
		r.put(lf, to, to, segAtom)
	}
	d.move(r)
	d.apply(r)
	d.odd = true
	return true
}

// textValues are the strings behind the textKeys of a text that is JSON and
// nothing else, without their quotes. It gives none where the JSON tells facts in
// fields of its own, or holds more JSON in its strings.
func textValues(text []byte) [][2]int {
	var values [][2]int
	key := []byte(nil) // the last string, as long as it may be a key
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == ',' || c == '{' || c == '}' || c == '[' || c == ']':
			key = nil
			i++
		case c == ':':
			if key == nil {
				return nil
			}
			named := string(key)
			key = nil
			i++
			for i < len(text) && (text[i] == ' ' || text[i] == '\t') {
				i++
			}
			if slices.Contains(factKeys, named) {
				return nil
			}
			if i >= len(text) || text[i] != '"' {
				continue
			}
			end := stringEnd(text, i)
			if end < 0 {
				return nil
			}
			if slices.Contains(textKeys, named) {
				v := text[i+1 : end-1]
				if len(v) > 0 && (v[0] == '{' || v[0] == '[') && bytes.Contains(v, []byte(`\"`)) {
					return nil
				}
				values = append(values, [2]int{i + 1, end - 1})
			}
			i = end
		case c == '"':
			end := stringEnd(text, i)
			if end < 0 {
				return nil
			}
			key = text[i+1 : end-1]
			i = end
		case isDigit(c) || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E':
			i++
		case c == 't' && bytes.HasPrefix(text[i:], []byte("true")):
			i += 4
		case c == 'n' && bytes.HasPrefix(text[i:], []byte("null")):
			i += 4
		case c == 'f' && bytes.HasPrefix(text[i:], []byte("false")):
			i += 5
		default:
			return nil
		}
	}
	return values
}

// stringEnd is the offset behind the string that begins at text[i]; -1 if it
// does not end in its line.
func stringEnd(text []byte, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		case '\n':
			return -1
		}
	}
	return -1
}
