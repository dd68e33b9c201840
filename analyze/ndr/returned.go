package ndr

import (
	"bytes"
	"strings"
	"time"
	"unicode/utf8"
)

// hops reads the Received lines of the returned message: who took the mail from
// whom, and the stamps of direction. They are context: none of them refused,
// reported or was tried.
func (r *report) hops(items []Item) (hops []Hop, in, out bool) {
	hops = r.doc.roomForHops()
	o := &r.b.options
	var shape *relayShape // nil: all hops are wanted
	if o.TellingHops {
		shape = shapeOf(o.RelayDomains)
	}
	for _, d := range r.dead {
		first, last := d.first, d.last
		inHeader := false
		for i := first; i < last && i-first < 2000 && len(hops) < 200; i++ {
			l := r.doc.Line(i)
			if len(l) == 0 {
				if inHeader {
					break // the body of the returned message
				}
				continue
			}
			switch l[0] | 0x20 {
			case 'r':
				if !foldPrefix(l, "received:") {
					break
				}
				end := i + 1
				for end < last && len(r.doc.Line(end)) > 0 && !r.isHeaderStart(end) && end-i < 30 {
					end++
				}
				from, to := r.doc.LineStart(i)+len("received:"), r.doc.LineEnd(end-1)
				if shape == nil || shape.telling(r.doc.Text[from:to], items) {
					f := r.doc.flow(from, to)
					if h, ok := readHop(&f); ok {
						hops = append(hops, h)
					}
				}
				i = end - 1
				inHeader = true
				continue
			case 'x':
				if foldPrefix(l, "x-ppe-trusted:") {
					in = in || bytes.Contains(l, []byte("DIR=IN"))
					out = out || bytes.Contains(l, []byte("DIR=OUT"))
				}
			}
			if !inHeader && fieldName(l) > 0 {
				inHeader = true
			}
		}
	}
	return append([]Hop(nil), hops...), in, out // as much room as there are
}

// relayShape is what a name has in common with relays when it is one or looks
// like one.
type relayShape struct {
	pieces []string // in lower case: such a name has one of them …
	first  [4]uint64
	any    bool // … or any name may look like a relay
}

// serviceShape is the shape of the service's names.
var serviceShape = newRelayShape(serviceDomain)

// shapeOf is the shape of the service's names and of those of the relays that
// the caller adds.
func shapeOf(more []string) *relayShape {
	if len(more) == 0 {
		return serviceShape
	}
	return newRelayShape(relayDomains(more))
}

func newRelayShape(relays []string) *relayShape {
	s := &relayShape{}
	for _, d := range relays {
		label, _, _ := strings.Cut(strings.ToLower(d), ".")
		if len(label) < minShape {
			s.any = true
			return s
		}
		third := len(label) / 3
		s.pieces = append(s.pieces, label[:third], label[third:2*third], label[2*third:])
	}
	s.pieces = append(s.pieces, "xn--")
	for _, p := range s.pieces {
		s.first[p[0]>>6] |= 1 << (p[0] & 63)
	}
	return s
}

// minShape is the least length of a label that tells anything, in bytes.
const minShape = 6

// telling reports whether a Received field may name a relay, a host that looks
// like one, or a reporter of the items: what maybeLookalike says of no name in
// it, at a fraction of the cost of reading it.
func (s *relayShape) telling(field []byte, items []Item) bool {
	if s.any {
		return true
	}
	reporter := ""
	for i := range items {
		switch h := items[i].Reporter.Host; {
		case h == "" || h == reporter:
		case reporter == "":
			reporter = h
		default:
			return true // several report: which of them is of no matter here
		}
	}
	for at := 0; at < len(field); {
		for at < len(field) && !isHostByte(field[at]) && field[at] < utf8.RuneSelf {
			at++
		}
		start, last, before := at, -1, -1 // the dots before the last two labels
		for ; at < len(field); at++ {
			c := field[at]
			if c == '.' {
				if at+1 < len(field) && isHostByte(field[at+1]) && field[at+1] != '.' {
					last, before = at, last
				}
				continue
			}
			if c >= utf8.RuneSelf {
				return true
			}
			if !isHostByte(c) {
				break
			}
			if c = lowerASCII(c); s.first[c>>6]&(1<<(c&63)) != 0 {
				for _, p := range s.pieces {
					if foldPrefix(field[at:], p) {
						return true
					}
				}
			}
		}
		word := bytes.Trim(field[start:at], ".-_")
		if reporter != "" && len(word) == len(reporter) && foldPrefix(word, reporter) {
			return true
		}
		if last < 0 || !hasLetter(field[last:at]) {
			continue // no name, or one that nobody else's looks like
		}
		for _, c := range field[max(before+1, start):at] {
			if c == '0' || c == '1' {
				return true // digits that stand for letters
			}
		}
	}
	return false
}

// isHeaderStart reports whether a header field begins at the line.
func (r *report) isHeaderStart(i int) bool {
	l := r.doc.Line(i)
	return fieldName(l) > 0
}

// readHop reads one Received field (RFC 5321 §4.4): "from F (names [ip]) by B".
func readHop(f *flow) (Hop, bool) {
	var hop Hop
	t := f.text
	by := indexWord(t, "by ")
	if bytes.HasPrefix(t, []byte("from ")) {
		h, n := hostAt(t[5:])
		if n > 0 {
			// What the client called itself; the name in parentheses is what
			// the server found out, and counts where it is one.
			from := f.mention(Received, h, 5, 5+n)
			stop := len(t)
			if by > 0 {
				stop = by
			}
			if open := bytes.IndexByte(t[5:stop], '('); open >= 0 {
				at := 5 + open + 1
				if g, k := hostAt(t[at:stop]); k > 0 && looksLikeHost([]byte(g.name)) && g.address != "" {
					seen := f.mention(Received, g, at, at+k)
					if from.Host == "" || !looksLikeHost([]byte(from.Host)) {
						from = seen
					} else if from.Address == "" {
						from.Address = seen.Address
					}
				} else if from.Address == "" {
					if a, _, ok := addressIn(bytes.TrimLeft(t[at:min(stop, at+80)], "[")); ok {
						from.Address = a
					}
				}
			}
			hop.From = from
		}
	}
	if by >= 0 {
		if h, n := hostAt(t[by+3:]); n > 0 {
			hop.By = f.mention(Received, h, by+3, by+3+n)
		}
	}
	if at := indexWord(t, "id "); at >= 0 && !bytes.Contains(t, []byte("Microsoft SMTP Server")) { // Exchange gives its version there
		hop.ID = traceID(t[at+3:])
	}
	if semi := bytes.LastIndexByte(t, ';'); semi >= 0 {
		hop.When = parseTime(t[semi+1:])
	}
	return hop, !hop.From.IsZero() || !hop.By.IsZero()
}

// maxTraceID bounds the id of a mail in a server's log.
const maxTraceID = 64

// traceID is the id that t begins with, as servers write them in their logs:
// 4XYZ1234, 1xVjQJ-00082S-2x. Empty if it is none.
func traceID(t []byte) string {
	n := 0
	for n < len(t) && (isLetter(t[n]) || isDigit(t[n]) || t[n] == '-' || t[n] == '.' || t[n] == '_') {
		n++
	}
	if n < len(t) && t[n] != ' ' && t[n] != ';' {
		return ""
	}
	if n < 4 || n > maxTraceID {
		return ""
	}
	return string(t[:n])
}

// written is the Date of the mail that the report is, when it is there.
func (r *report) written() time.Time {
	if r.b.mail == nil {
		return time.Time{}
	}
	at := r.doc.LineAt(r.b.mail.start)
	last := min(r.doc.LineAt(r.b.mail.body), at+200)
	for ; at < last; at++ {
		if l := r.doc.Line(at); foldPrefix(l, "date:") {
			return parseTime(l[len("date:"):])
		}
	}
	return time.Time{}
}

// indexWord finds a word at the start of the text or behind a blank, outside
// parentheses.
func indexWord(t []byte, word string) int {
	for at := 0; ; {
		n := bytes.Index(t[at:], []byte(word))
		if n < 0 {
			return -1
		}
		i := at + n
		at = i + 1
		if i > 0 && t[i-1] != ' ' && t[i-1] != ')' {
			continue
		}
		if open := bytes.LastIndexByte(t[:i], '('); open < 0 || bytes.IndexByte(t[open:i], ')') >= 0 {
			return i
		}
	}
}
