package ndr

import (
	"bytes"
	"unicode/utf8"
)

// characters undoes what programs put in the place of ASCII: invisible
// characters vanish; hyphens, blanks, quotes and full-width marks become their
// plain kin. Letters are never mapped: a name with a look-alike letter is
// somebody else's.
func (d *Document) characters() {
	text := d.Text
	i := nextOdd(text, 0)
	if i < 0 {
		return
	}
	r := d.rewriter(text, len(text)+16)
	at := 0
	for i >= 0 && !r.full {
		c, n := utf8.DecodeRune(text[i:])
		with, odd := plainOf(c)
		if !odd {
			i = nextOdd(text, i+n)
			continue
		}
		r.copy(at, i)
		if with != 0 {
			r.put([]byte{with}, i, i+n, segAtom)
		}
		i += n
		at = i
		i = nextOdd(text, i)
	}
	r.copy(at, len(text))
	if len(r.out) == len(text) {
		return
	}
	d.move(r)
	d.apply(r)
}

// nextOdd finds the next byte that can begin one of the characters.
func nextOdd(text []byte, from int) int {
	for i := from; i < len(text); i++ {
		switch text[i] {
		case 0xc2, 0xe2, 0xe3, 0xef:
			return i
		}
	}
	return -1
}

// plainOf is what a character is read as; odd is false for characters that
// stay. A zero byte means that it vanishes.
func plainOf(c rune) (with byte, odd bool) {
	switch {
	case c == 0xad, c >= 0x200b && c <= 0x200f, c >= 0x202a && c <= 0x202e, c >= 0x2060 && c <= 0x2064,
		c >= 0x2066 && c <= 0x2069, c == 0xfeff:
		return 0, true
	case c >= 0x2010 && c <= 0x2015, c == 0x2212, c == 0xfe58, c == 0xfe63, c == 0xff0d:
		return '-', true
	case c == 0xa0, c == 0x2007, c == 0x202f, c == 0x3000:
		return ' ', true
	case c == 0x2018, c == 0x2019, c == 0x201a, c == 0x201b, c == 0x2032:
		return '\'', true
	case c >= 0x201c && c <= 0x201f, c == 0x2033:
		return '"', true
	case c == 0xff1a:
		return ':', true
	case c == 0x2039, c == 0xff1c:
		return '<', true
	case c == 0x203a, c == 0xff1e:
		return '>', true
	case c == 0xff20:
		return '@', true
	case c == 0xff0e:
		return '.', true
	case c == 0x2028, c == 0x2029, c == 0x85:
		return '\n', true
	}
	return 0, false
}

// autolinks drops what mail programs and chats glue to an address or a host: the
// "<mailto:a@b>" or "[mailto:a@b]" behind a@b, the "<http://h/>" behind h, and the
// target in "[text](target)".
func (d *Document) autolinks() {
	text := d.Text
	var next [len(linkMarks)]int // where each mark stands next
	any := false
	for k := range linkMarks {
		next[k] = indexAnchored(text, linkMarks[k])
		any = any || next[k] >= 0
	}
	if !any {
		return
	}
	var r *rewriter
	at := 0
	drop := func(from, to int) {
		if r == nil {
			r = d.rewriter(text, len(text)+16)
		}
		r.copy(at, from)
		at = to
	}
	for {
		first := -1
		for k := range next {
			if next[k] >= 0 && (first < 0 || next[k] < next[first]) {
				first = k
			}
		}
		if first < 0 {
			break
		}
		i := next[first]
		stop := i + len(linkMarks[first])
		if i >= at {
			if first == len(linkMarks)-1 {
				if open, end := markdownLink(text, i); end > 0 && open >= at {
					drop(open, open+1)
					drop(i, end)
					stop = end
				}
			} else if cuts, end := linkCuts(text, i, at); end > 0 {
				for _, c := range cuts {
					if c[1] > c[0] {
						drop(c[0], c[1])
					}
				}
				stop = end
			}
		}
		if n := indexAnchored(text[stop:], linkMarks[first]); n >= 0 {
			next[first] = stop + n
		} else {
			next[first] = -1
		}
	}
	if r == nil {
		return
	}
	r.copy(at, len(text))
	d.move(r)
	d.apply(r)
}

// linkMarks begin what may be dropped; the last one is Markdown's.
var linkMarks = [...]string{"<mailto:", "<http", "[mailto:", "|mailto:", "]("}

// linkCuts gives what is dropped of the link whose mark stands at i, and where the
// link ends; 0 if none stands there. Nothing before the offset done is dropped.
//
//	a@b<mailto:a@b>   a@b [mailto:a@b]    Outlook
//	<mailto:a@b|a@b>                      Slack
//	[a@b|mailto:a@b]                      Jira
func linkCuts(text []byte, i, done int) (cuts [2][2]int, end int) {
	rest := text[i+1 : min(len(text), i+400)]
	switch {
	case text[i] == '|':
		n := bytes.IndexByte(rest, ']')
		open := bytes.LastIndexByte(text[max(done, i-300):i], '[')
		if n < 0 || open < 0 || bytes.IndexByte(rest[:n], '\n') >= 0 {
			return cuts, 0
		}
		open += max(done, i-300)
		if !bytes.EqualFold(text[open+1:i], rest[len("mailto:"):n]) {
			return cuts, 0
		}
		return [2][2]int{{open, open + 1}, {i, i + 1 + n + 1}}, i + 1 + n + 1
	case text[i] == '[':
		n := bytes.IndexByte(rest, ']')
		if n < 0 || bytes.IndexByte(rest[:n], '\n') >= 0 {
			return cuts, 0
		}
		target := rest[len("mailto:"):n]
		before := bytes.TrimRight(text[done:i], " ")
		if len(target) > 0 && len(before) >= len(target) && bytes.EqualFold(before[len(before)-len(target):], target) {
			return [2][2]int{{done + len(before), i + 1 + n + 1}}, i + 1 + n + 1
		}
		return [2][2]int{{i + 1, i + len("[mailto:")}}, i + 1 + n + 1
	case foldPrefix(rest, "mailto:"):
		if n := bytes.IndexAny(rest, ">|\n"); n > 0 && rest[n] == '|' {
			if k := bytes.IndexAny(rest[n:], ">\n"); k > 1 && rest[n+k] == '>' && bytes.EqualFold(rest[len("mailto:"):n], rest[n+1:n+k]) {
				return [2][2]int{{i, i + 1 + n + 1}, {i + 1 + n + k, i + 1 + n + k + 1}}, i + 1 + n + k + 1
			}
		}
	}
	if end = gluedLink(text, i); end > 0 {
		return [2][2]int{{i, end}}, end
	}
	return cuts, 0
}

// gluedLink is the end of a link in angle brackets that repeats the address or
// host it is glued to; 0 if none begins at i.
func gluedLink(text []byte, i int) int {
	if i == 0 || !isWordByte(text[i-1]) && text[i-1] != ')' && text[i-1] != ' ' && text[i-1] != '.' && text[i-1] != '/' {
		return 0
	}
	rest := text[i+1 : min(len(text), i+400)]
	mail := foldPrefix(rest, "mailto:")
	if !mail && !foldPrefix(rest, "http://") && !foldPrefix(rest, "https://") {
		return 0
	}
	n := bytes.IndexByte(rest, '>')
	if n < 0 || bytes.IndexByte(rest[:n], '\n') >= 0 {
		return 0
	}
	target := rest[bytes.IndexByte(rest, ':')+1 : n]
	target = bytes.Trim(target, "/")
	if q := bytes.IndexAny(target, "?"); q >= 0 {
		target = target[:q]
	}
	if len(target) == 0 {
		return 0
	}
	// The word before it, up to a blank, is what the reader saw.
	from := max(0, i-len(target)-2)
	before := bytes.TrimRight(text[from:i], " ./")
	if mail && text[i-1] != ' ' || bytes.HasSuffix(bytes.ToLower(before), bytes.ToLower(target)) {
		return i + 1 + n + 1
	}
	return 0
}

// markdownLink finds the "[text](target)" whose "](" stands at i: where it opens,
// and where it ends; end is 0 if it is none.
func markdownLink(text []byte, i int) (open, end int) {
	from := max(0, i-400)
	head := text[from:i]
	if n := bytes.LastIndexByte(head, '\n'); n >= 0 {
		from += n + 1
		head = text[from:i]
	}
	n := bytes.LastIndexByte(head, '[')
	if n < 0 || n == len(head)-1 {
		return 0, 0
	}
	rest := text[i+2 : min(len(text), i+600)]
	if e := bytes.IndexByte(rest, '\n'); e >= 0 {
		rest = rest[:e]
	}
	if !foldPrefix(rest, "http") && !foldPrefix(rest, "mailto:") {
		return 0, 0
	}
	k := bytes.IndexByte(rest, ')')
	if k < 0 {
		return 0, 0
	}
	return from + n, i + 2 + k + 1
}

// wholeRunes is how many bytes of s are kept when at most so many are wanted and
// no character is to be cut in two.
func wholeRunes[T string | []byte](s T, most int) int {
	if len(s) <= most {
		return len(s)
	}
	for i := most; i > most-utf8.UTFMax && i > 0; i-- {
		if utf8.RuneStart(s[i]) {
			return i
		}
	}
	return most
}
