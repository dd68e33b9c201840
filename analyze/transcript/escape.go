package transcript

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape makes untrusted text fit to be shown in one line of a terminal, a log
// or a report: nothing in it steers the terminal, reorders or hides the text
// around it, and the reader still sees what was sent. Control bytes, DEL and
// bytes that are no UTF-8 become `\x1b`, line ends `\n` and `\r`; C1, bidi,
// zero-width, invisible and private characters become `<U+202E>`; a tab becomes
// four blanks; after four combining marks on one letter the rest is counted.
// Nothing is stripped: that would hide what was tried and glue halves into new
// sequences. Plain ASCII is returned as it is.
func Escape(s string) string { return escape(s, false) }

// EscapeLines is Escape for text of several lines: LF and CRLF stay line ends.
// The caller puts a mark of its own before each line.
func EscapeLines(s string) string { return escape(s, true) }

func escape(s string, lines bool) string {
	i := plainPrefix(s, lines)
	if i == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + len(s)/8 + 16)
	marks := 0
	for done := 0; i < len(s); {
		b.WriteString(s[done:i])
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			writeByte(&b, s[i])
		case r == '\t':
			b.WriteString("    ")
		case r == '\n' && lines:
			b.WriteByte('\n')
		case r == '\r' && lines && strings.HasPrefix(s[i+1:], "\n"):
			// the LF behind it ends the line
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < 0x20 || r == 0x7f:
			writeByte(&b, byte(r))
		case r >= 0x80 && Forbidden(r):
			b.WriteString("<U+")
			if r < 0x1000 {
				b.WriteString("0000"[:4-hexLen(r)])
			}
			b.WriteString(strings.ToUpper(strconv.FormatInt(int64(r), 16)))
			b.WriteByte('>')
		case unicode.In(r, unicode.Mn, unicode.Me):
			if marks++; marks <= maxMarks {
				b.WriteString(s[i : i+size])
				break
			}
			n, j := 0, i
			for j < len(s) {
				r, size := utf8.DecodeRuneInString(s[j:])
				if !unicode.In(r, unicode.Mn, unicode.Me) || Forbidden(r) {
					break
				}
				n++
				j += size
			}
			b.WriteString("<+" + strconv.Itoa(n) + " marks>")
			i, done = j, j
			continue
		default:
			marks = 0
			b.WriteString(s[i : i+size])
		}
		i += size
		done = i
		if n := plainPrefix(s[i:], lines); n > 0 {
			marks = 0
			i += n
		}
		if i == len(s) {
			b.WriteString(s[done:])
		}
	}
	return b.String()
}

// maxMarks is how many combining marks one letter may carry on screen: more
// than any living script needs, fewer than it takes to cover other lines.
const maxMarks = 4

// plainPrefix is the length of the part of s that needs no look at all.
func plainPrefix(s string, lines bool) int {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c >= 0x7f {
			if c == '\n' && lines {
				continue
			}
			return i
		}
	}
	return len(s)
}

func writeByte(b *strings.Builder, c byte) {
	const hex = "0123456789abcdef"
	b.WriteString(`\x`)
	b.WriteByte(hex[c>>4])
	b.WriteByte(hex[c&15])
}

func hexLen(r rune) int {
	n := 1
	for r >>= 4; r > 0; r >>= 4 {
		n++
	}
	return n
}

// Forbidden reports whether a rune may not reach a screen or a document as it
// is: control characters, line and paragraph separators, bidi controls,
// zero-width and invisible characters, private use, non-characters and what is
// not assigned. Tab and LF are among them; whoever shows text decides on these.
func Forbidden(r rune) bool {
	if r < 0x80 {
		return r < 0x20 || r == 0x7f
	}
	switch {
	case r < 0xa0,
		r == 0xad, r == 0x34f, r == 0x61c, r == 0x115f, r == 0x1160, r == 0x17b4, r == 0x17b5,
		r >= 0x180b && r <= 0x180f,
		r >= 0x200b && r <= 0x200f,
		r >= 0x2028 && r <= 0x202e,
		r >= 0x2060 && r <= 0x206f,
		r == 0x2800, // an empty Braille cell looks like a blank
		r == 0x3164, r >= 0xfe00 && r <= 0xfe0f, r == 0xfeff, r == 0xffa0,
		r >= 0xfff9 && r <= 0xfffb,
		r >= 0xe0000 && r <= 0xe0fff:
		return true
	}
	return !unicode.IsGraphic(r)
}

// EscapeJSON makes an encoded JSON document safe to show and to paste: every
// forbidden character in it becomes a \u escape, which means the same to a
// reader of JSON. encoding/json leaves DEL, C1, bidi and zero-width characters
// raw. Bytes that are no UTF-8 become \ufffd; the line ends and tabs between
// values stay. A document that needs nothing is returned as it is.
func EscapeJSON(doc []byte) []byte {
	i := 0
	for i < len(doc) && plainJSON(doc[i]) {
		i++
	}
	if i == len(doc) {
		return doc
	}
	out := make([]byte, i, len(doc)+len(doc)/8+16)
	copy(out, doc)
	for i < len(doc) {
		if plainJSON(doc[i]) {
			out = append(out, doc[i])
			i++
			continue
		}
		r, size := utf8.DecodeRune(doc[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			out = append(out, `\ufffd`...)
		case Forbidden(r):
			out = appendU(out, r)
		default:
			out = append(out, doc[i:i+size]...)
		}
		i += size
	}
	return out
}

func plainJSON(c byte) bool {
	return c >= 0x20 && c < 0x7f || c == '\n' || c == '\t' || c == '\r'
}

// standsInJSON is true for the bytes that stand for themselves in a JSON string.
var standsInJSON = func() (t [256]bool) {
	for c := byte(' '); c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// AppendJSONString appends s as a JSON string in quotes, with every forbidden
// character as a \u escape and bytes that are no UTF-8 as \ufffd.
func AppendJSONString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		plain := i
		for i < len(s) && standsInJSON[s[i]] {
			i++
		}
		dst = append(dst, s[plain:i]...)
		if i == len(s) {
			break
		}
		switch c := s[i]; c {
		case '"', '\\':
			dst = append(dst, '\\', c)
			i++
			continue
		case '\n':
			dst = append(dst, `\n`...)
			i++
			continue
		case '\r':
			dst = append(dst, `\r`...)
			i++
			continue
		case '\t':
			dst = append(dst, `\t`...)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(dst, `\ufffd`...)
		case Forbidden(r):
			dst = appendU(dst, r)
		default:
			dst = append(dst, s[i:i+size]...)
		}
		i += size
	}
	return append(dst, '"')
}

func appendU(dst []byte, r rune) []byte {
	if r > 0xffff {
		r -= 0x10000
		return appendU(appendU(dst, 0xd800+r>>10), 0xdc00+r&0x3ff)
	}
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}
