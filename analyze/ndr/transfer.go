package ndr

import (
	"bytes"
	"unicode/utf8"
)

// quotedPrintable decodes text[from:to] (RFC 2045 §6.7), leniently: what is no
// escape stays.
func quotedPrintable(r *rewriter, text []byte, from, to int) {
	at := from
	for i := from; i < to && !r.full; {
		n := bytes.IndexByte(text[i:to], '=')
		if n < 0 {
			break
		}
		i += n
		if i+2 < to {
			if hi, lo := unhex(text[i+1]), unhex(text[i+2]); hi >= 0 && lo >= 0 {
				plainOr(r, text, at, i)
				b := [1]byte{byte(hi<<4 | lo)}
				if b[0] != 0 {
					r.put(b[:], i, i+3, segAtom)
				}
				i += 3
				at = i
				continue
			}
		}
		// A soft line break; blanks before the line end are the transport's.
		j := i + 1
		for j < to && (text[j] == ' ' || text[j] == '\t') {
			j++
		}
		switch {
		case j == to:
		case text[j] == '\n':
			j++
		case text[j] == '\r':
			k := j + 1
			for k < to && text[k] == '\r' {
				k++
			}
			if j++; k < to && text[k] == '\n' {
				j = k + 1
			}
		default:
			i++
			continue
		}
		plainOr(r, text, at, i)
		i, at = j, j
	}
	plainOr(r, text, at, to)
}

// plainOr copies with LF line ends; most stretches have no CR at all.
func plainOr(r *rewriter, text []byte, from, to int) {
	if from < to {
		plainLines(r, text, from, to)
	}
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

// base64Text decodes text[from:to] as base64, whatever the line lengths, up to
// the first damage; the rest stays raw. Line ends stay as they were coded.
func base64Text(r *rewriter, text []byte, from, to int) {
	var quad [4]byte
	var n, first int
	i := from
	for ; i < to && !r.full; i++ {
		c := text[i]
		v := base64Value[c]
		if v == base64Blank {
			continue
		}
		if v == base64Pad {
			break
		}
		if v == base64None {
			// The damage: what was decoded so far stands, the rest is raw.
			flush64(r, quad, n, first, i)
			plainLines(r, text, i, to)
			return
		}
		if n == 0 {
			first = i
		}
		quad[n] = v
		if n++; n == 4 {
			out := [3]byte{quad[0]<<2 | quad[1]>>4, quad[1]<<4 | quad[2]>>2, quad[2]<<6 | quad[3]}
			r.base64(out, first, i+1)
			n = 0
		}
	}
	flush64(r, quad, n, first, i)
	for i < to && base64Value[text[i]] >= base64Blank && base64Value[text[i]] != base64None {
		i++
	}
	plainOr(r, text, i, to)
}

// flush64 writes the bytes of an unfinished group of four.
func flush64(r *rewriter, quad [4]byte, n, first, end int) {
	if n >= 2 {
		out := []byte{quad[0]<<2 | quad[1]>>4, quad[1]<<4 | quad[2]>>2}
		r.put(out[:n-1], first, end, segAtom)
	}
}

// base64 writes three decoded bytes.
func (r *rewriter) base64(b [3]byte, in, end int) {
	r.writes = true
	if r.room(3) < 3 {
		return
	}
	if k := len(r.m.segments); k > 0 && end-in == 4 {
		if s := &r.m.segments[k-1]; s.kind == segBase64 && int(s.end) == in {
			s.end = int32(end)
			r.out = append(r.out, b[0], b[1], b[2])
			return
		}
	}
	kind := segBase64
	if end-in != 4 {
		kind = segAtom // a line end stands inside the group
	}
	r.add(segment{out: int32(len(r.out)), in: int32(in), end: int32(end), kind: kind})
	r.out = append(r.out, b[0], b[1], b[2])
}

const (
	base64Blank = 0xfd
	base64Pad   = 0xfe
	base64None  = 0xff
)

// base64Value is the value of a character of base64 (RFC 4648 §4).
var base64Value = func() (t [256]byte) {
	for i := range t {
		t[i] = base64None
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		t[c] = byte(i)
	}
	for _, c := range []byte(" \t\r\n") {
		t[c] = base64Blank
	}
	t['='] = base64Pad
	return t
}()

// readsAsText reports whether base64 decodes to text, by its first bytes.
func readsAsText(text []byte) bool {
	r := newRewriter(text[:min(len(text), 1024)])
	base64Text(r, r.source, 0, len(r.source))
	return isText(r.out)
}

// isText reports whether bytes look like text of any 8-bit charset: next to no
// control characters.
func isText(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	odd, high := 0, 0
	for _, c := range b {
		switch {
		case c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != 0x1b, c == 0x7f:
			odd++
		case c >= utf8.RuneSelf:
			high++
		}
	}
	if odd*50 > len(b) {
		return false
	}
	if high*3 <= len(b) {
		return true
	}
	for cut := range min(utf8.UTFMax, len(b)) {
		if utf8.Valid(b[:len(b)-cut]) {
			return true // the last letter may be cut off
		}
	}
	return false
}

// answersPrompt reports whether the text ends in what a client answers to a 334
// within AUTH: base64 whose padding is no soft break.
func answersPrompt(text []byte) bool {
	start := bytes.LastIndexByte(text, '\n') + 1
	word := bytes.LastIndexAny(text[start:], " \t'\"") + 1 + start
	if (len(text)-word)%4 != 0 || start < 2 {
		return false
	}
	before := text[:start-1]
	before = before[bytes.LastIndexByte(before, '\n')+1:]
	return bytes.Contains(before, []byte("334")) || bytes.Contains(bytes.ToUpper(text[start:]), []byte("AUTH "))
}

// looksQuotedPrintable decides by content where no header says it: soft breaks,
// or escapes that plain text does not have.
//
// A longer line than is allowed was cut by a terminal, and not by the encoding.
func looksQuotedPrintable(text []byte) bool {
	head := text[:min(len(text), 256<<10)]
	if bytes.IndexByte(head, '=') < 0 {
		return false
	}
	signs := 0
	for i := 0; signs < 3; {
		n := bytes.IndexByte(head[i:], '=')
		if n < 0 || i+n+1 >= len(head) {
			break
		}
		i += n + 1
		switch c := head[i]; {
		case c == '\n' || c == '\r':
			if i >= 3 && isWordByte(head[i-2]) && i+1 < len(head) && i-1-bytes.LastIndexByte(head[:i], '\n') <= maxQPLine && !answersPrompt(head[:i]) {
				signs++
			}
		case i+2 < len(head) && c == '3' && head[i+1] == 'D':
			signs++
		case i+2 < len(head) && (c == '2' && head[i+1] == '0' || c == '0' && (head[i+1] == 'A' || head[i+1] == 'D')):
			if e := head[i+2]; e == '\n' || e == '\r' || e == '=' {
				signs++
			}
		case i+3 < len(head) && unhex(c) >= 8 && c <= 'F' && unhex(head[i+1]) >= 0 && head[i+2] == '=':
			signs++ // escaped letters in a row
		}
	}
	return signs >= 2
}

// maxQPLine is the length of an encoded line with its soft break (RFC 2045 §6.7).
const maxQPLine = 76

// base64Run finds the first run of three or more lines of equal length at or
// after from that decode to text, and gives its range; ok is false if there is
// none.
func base64Run(text []byte, from, to int) (start, end int, ok bool) {
	for at := from; at < to; {
		lineEnd, next := nextLine(text, at, to)
		n := lineEnd - at
		if n < 40 || n > 1000 || n%4 != 0 || !isBase64(text[at:lineEnd]) {
			at = next
			continue
		}
		lines, stop := 1, next
		for stop < to {
			e, after := nextLine(text, stop, to)
			m := e - stop
			if m == 0 || m > n || !isBase64(text[stop:e]) {
				break
			}
			lines, stop = lines+1, after
			if m < n {
				break
			}
		}
		if lines >= 3 && readsAsText(text[at:stop]) {
			return at, stop, true
		}
		at = stop
	}
	return 0, 0, false
}

func isBase64(line []byte) bool {
	for i, c := range line {
		if v := base64Value[c]; v >= base64Blank && !(v == base64Pad && i >= len(line)-2) {
			return false
		}
	}
	return true
}

// isWordByte reports whether c is an ASCII letter or digit.
func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// nextLine gives the end of the line at offset at, without its line end, and
// the start of the line behind it. LF, CRLF and bare CR end a line. It looks in
// growing windows, so that a text with only one kind of line end is not searched
// to its end for the other at each line.
func nextLine(text []byte, at, to int) (end, next int) {
	for window, from := 160, at; ; window *= 4 {
		stop := min(from+window, to)
		end = stop
		if n := bytes.IndexByte(text[from:stop], '\n'); n >= 0 {
			end = from + n
		}
		if c := bytes.IndexByte(text[from:end], '\r'); c >= 0 {
			end = from + c
			// CR CR LF is what a second program makes of CRLF.
			next := end + 1
			for next < to && text[next] == '\r' {
				next++
			}
			if next < to && text[next] == '\n' {
				return end, next + 1
			}
			return end, end + 1
		}
		if end < stop {
			return end, end + 1
		}
		if stop == to {
			return to, to
		}
		from = stop
	}
}

// indexAnchored is bytes.Index, anchored on the rarest byte of the word and not
// on the first one: for words that nearly no text has.
func indexAnchored(text []byte, word string) int {
	anchor := 0
	for i := 1; i < len(word); i++ {
		if commonness[word[i]] < commonness[word[anchor]] {
			anchor = i
		}
	}
	c, from := word[anchor], 0
	for at := anchor; at < len(text); {
		n := bytes.IndexByte(text[at:], c)
		if n < 0 {
			return -1
		}
		at += n
		from = at - anchor
		if from+len(word) > len(text) {
			return -1
		}
		if string(text[from:from+len(word)]) == word {
			return from
		}
		at++
	}
	return -1
}

// commonness ranks bytes by how often bounce mails have them; those that none has
// are the rarest.
var commonness = func() (t [256]uint8) {
	for i, c := range []byte("~^|\\{}*%$!&#']?[_Z,WYqKJ+GV@QHzUXL)N(><BO\"IFPwR/j;CvEk7SM8D=69TbyA4x5hgf3u:d1cpm2-.lsrni0otae \t\r\n") {
		t[c] = uint8(i)
	}
	return t
}()
