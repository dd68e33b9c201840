package mailbox

import "bytes"

// An mbox has a line "From sender date" before each message (RFC 4155). Lines
// of bodies that begin so should be quoted with ">" and often are not, and
// Content-Length is not to be trusted, so a separator has to look like one: an
// address or name, a time of day, a year, an empty line before it and the line
// of a header behind it.

// lookAhead is how many bytes behind the start of a line are needed to judge
// it; From_ lines and the header name behind them are shorter.
const lookAhead = 1024

var fromWord = []byte("From ")

// separator finds the next From_ line of the buffer, behind the scan mark. What
// cannot be judged yet is kept for the next call.
func (s *splitter) separator() (int, bool) {
	eol := s.eol()
	mark := []byte{eol, 'F', 'r', 'o', 'm', ' '}
	for {
		i := bytes.Index(s.buf[s.scan-1:s.w], mark)
		if i < 0 {
			s.scan = max(s.scan, s.w-len(mark)+1)
			return 0, false
		}
		at := s.scan + i
		if s.w-at < lookAhead && !s.eof {
			s.scan = at
			return 0, false
		}
		if at > s.start && isSeparator(s.buf[s.start:at], s.buf[at:s.w], eol) {
			return at, true
		}
		s.scan = at + 1
	}
}

// isSeparator judges a line that begins with "From " by itself, the line before
// and the line behind.
func isSeparator(before, rest []byte, eol byte) bool {
	line, next := cutLine(rest, eol)
	if !datedFrom(line) {
		return false
	}
	name := headerName(next, eol)
	switch {
	case bytes.HasPrefix(next, fromWord), len(bytes.TrimSpace(next)) == 0:
		// A separator without a message, or the end of the file.
		l, _ := cutLine(next, eol)
		return emptyLineBefore(before, eol) && (len(l) == 0 || datedFrom(l))
	case name == nil:
		return false
	}
	if emptyLineBefore(before, eol) {
		return true
	}
	// The empty line was lost: only a header that begins a delivered mail will do.
	for _, h := range firstHeaders {
		if bytes.EqualFold(name, h) {
			return true
		}
	}
	return false
}

var firstHeaders = [][]byte{[]byte("Return-Path"), []byte("Received"), []byte("Delivered-To"), []byte("X-Original-To"), []byte("Envelope-To")}

// emptyLineBefore reports whether the text before a line ends in an empty line,
// or is itself nothing but a From_ line.
func emptyLineBefore(b []byte, eol byte) bool {
	if len(b) == 0 {
		return true
	}
	b = b[:len(b)-1] // the eol of the line before
	if eol == '\n' {
		b = bytes.TrimSuffix(b, []byte{'\r'})
	}
	if len(b) == 0 || b[len(b)-1] == eol {
		return true
	}
	i := bytes.LastIndexByte(b, eol)
	return i < 0 && datedFrom(b)
}

// cutLine cuts the first line, without its end.
func cutLine(b []byte, eol byte) (line, rest []byte) {
	if i := bytes.IndexByte(b, eol); i >= 0 {
		line, rest = b[:i], b[i+1:]
	} else {
		line = b
	}
	if eol == '\n' {
		line = bytes.TrimSuffix(line, []byte{'\r'})
	}
	return line, rest
}

// datedFrom reports whether a line is "From sender … hh:mm[:ss] … year".
func datedFrom(line []byte) bool {
	if !bytes.HasPrefix(line, fromWord) || len(line) > 400 {
		return false
	}
	var clock, year bool
	fields := 0
	for rest := line[len(fromWord):]; len(rest) > 0; {
		rest = bytes.TrimLeft(rest, " \t")
		n := bytes.IndexAny(rest, " \t")
		if n < 0 {
			n = len(rest)
		}
		f := rest[:n]
		rest = rest[n:]
		if len(f) == 0 {
			break
		}
		fields++
		if fields == 1 {
			continue // the sender
		}
		clock = clock || isClock(f)
		year = year || (len(f) == 4 && (f[0] == '1' && f[1] == '9' || f[0] == '2' && f[1] == '0') && digits(f))
	}
	return clock && year && fields >= 5
}

// isClock reports whether a field is h:mm, hh:mm or hh:mm:ss.
func isClock(f []byte) bool {
	parts := bytes.Split(f, []byte{':'})
	if len(parts) < 2 || len(parts) > 3 {
		return false
	}
	for i, p := range parts {
		if len(p) == 0 || len(p) > 2 || (i > 0 && len(p) != 2) || !digits(p) {
			return false
		}
	}
	return true
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// quotedFrom stands at the head of mails that were filed twice: the second
// program quoted the From_ line of the first.
var quotedFrom = []byte(">From ")

// headerName is the field name at the start of a header line (RFC 5322 §2.2),
// nil when the line is none. A quoted From_ line at the head counts as one.
func headerName(b []byte, eol byte) []byte {
	if bytes.HasPrefix(b, quotedFrom) && datedFrom(firstLine(b[1:], eol)) {
		return quotedFrom[:5]
	}
	for i, c := range b {
		switch {
		case c == ':':
			if i == 0 {
				return nil
			}
			return bytes.TrimRight(b[:i], " \t")
		case c == eol, c <= ' ' && c != '\t' && c != ' ', c >= 0x7f, i > 76:
			return nil
		case c == ' ' || c == '\t':
			// Only blanks may stand between name and colon.
			rest := bytes.TrimLeft(b[i:], " \t")
			if len(rest) == 0 || rest[0] != ':' || i == 0 {
				return nil
			}
		}
	}
	return nil
}

// startsMbox reports whether a source begins as an mbox does: with a From_ line
// before a header. A single mail saved with its From_ line counts: it is an
// mbox of one.
func startsMbox(head []byte, cr bool) bool {
	eol := byte('\n')
	if cr {
		eol = '\r'
	}
	// Some archives begin with empty lines.
	for len(head) > 0 && (head[0] == '\n' || head[0] == '\r') {
		head = head[1:]
	}
	if !bytes.HasPrefix(head, fromWord) {
		return false
	}
	line, next := cutLine(head, eol)
	if !datedFrom(line) {
		return false
	}
	return headerName(next, eol) != nil || datedFrom(firstLine(next, eol)) || len(bytes.TrimSpace(next)) == 0
}

func firstLine(b []byte, eol byte) []byte {
	l, _ := cutLine(b, eol)
	return l
}
