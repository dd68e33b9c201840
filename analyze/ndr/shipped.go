package ndr

import (
	"bytes"
	"slices"

	"github.com/smtp-handoff/handoff/analyze/transcript"
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
		put, size := transcript.Escaped(source[i:to])
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
	values := transcript.CollectorStrings(text[start:])
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
