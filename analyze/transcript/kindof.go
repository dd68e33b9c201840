package transcript

import (
	"math/bits"
	"strings"
	"sync"
)

// KindOf says what the words of a reply mean, and where they are silent what
// its codes mean. Case, white space and line ends do not matter; words inside
// an address or a URL never match. In a reply that wraps the answer of another
// server (Exchange Online's "->") the inner answer counts; what a server quotes
// after "said:" counts only if its own words mean nothing.
//
// A reply of class 2 or 3 has one of the kinds of success or KindUnknown:
// "Relay access denied" inside a 250 refuses nothing.
func KindOf(r Reply) Kind {
	if len(r.Lines) == 0 && r.Code == 0 && r.Enhanced == "" {
		return KindUnknown
	}
	switch r.Class() {
	case 2, 3:
		return kindOfSuccess(r)
	}
	if in, ok := r.Inner(); ok && in.Class() >= 4 {
		if k := kindOfRefusal(in); k != KindUnknown {
			return k
		}
	}
	return kindOfRefusal(r)
}

func kindOfRefusal(r Reply) Kind {
	var m matcher
	for i, line := range r.Lines {
		if i > 0 {
			m.add("\n")
		}
		m.add(r.words(line))
	}
	return m.kind(r.Code, r.Enhanced)
}

// KindOfWords is KindOf for words that stand without a reply's codes: a
// program's own text, a log's reason.
func KindOfWords(text string) Kind {
	var m matcher
	m.add(text)
	return m.kind(0, "")
}

func kindOfSuccess(r Reply) Kind {
	switch r.Code {
	case 235:
		return KindAuthOK
	case 250:
		for _, l := range r.Lines {
			if containsFold(l, "queued") {
				return KindQueued
			}
		}
	case 220:
		for _, l := range r.Lines {
			if containsFold(l, "start tls") || containsFold(l, "ready for tls") || containsFold(l, "starttls") {
				return KindTLSReady
			}
		}
	}
	return KindUnknown
}

// containsFold reports whether s contains the lower-case ASCII word.
func containsFold(s, word string) bool {
	for i := 0; i+len(word) <= len(s); i++ {
		if lower(s[i]) == word[0] && equalFoldASCII(s[i:i+len(word)], word) {
			return true
		}
	}
	return false
}

// matcher holds the words of one reply in a form that phrases can be compared
// with: lower case, single blanks, addresses and URLs cut out. Only the first
// matchBytes count: servers do not hide the reason behind two kilobytes.
type matcher struct {
	buf [matchBytes]byte
	n   int
}

const matchBytes = 2048

func (m *matcher) put(c byte) {
	if c == ' ' && (m.n == 0 || m.buf[m.n-1] == ' ') {
		return
	}
	if m.n < matchBytes {
		m.buf[m.n] = c
		m.n++
	}
}

func (m *matcher) add(s string) {
	for i := 0; i < len(s) && m.n < matchBytes; {
		c := s[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			m.put(' ')
			i++
		case c == '<':
			// "<r>" in all its forms goes, quoted local part included.
			end := min(len(s), i+320)
			j := i + closingAngle(s[i:end])
			if j < end && strings.IndexByte(s[i:j], '@') >= 0 {
				m.put('<')
				m.put('>')
				i = j + 1
				continue
			}
			m.put(c)
			i++
		case c == '@':
			i = m.cutAddress(s, i)
		case c == ':' && strings.HasPrefix(s[i:], "://"):
			i = m.cutURL(s, i)
		case c == 0x1b:
			i = skipEscape(s, i)
		case c < 0x20 || c == 0x7f:
			m.put(' ')
			i++
		case c < 0x80:
			m.put(lower(c))
			i++
		default:
			i = m.addRune(s, i)
		}
	}
}

// addRune maps the few characters that mail programs put in place of ASCII and
// drops those that cannot be seen.
func (m *matcher) addRune(s string, i int) int {
	switch rest := s[i:]; {
	case strings.HasPrefix(rest, "\u2019"), strings.HasPrefix(rest, "\u2018"):
		m.put('\'')
		return i + 3
	case strings.HasPrefix(rest, "\u2010"), strings.HasPrefix(rest, "\u2011"), strings.HasPrefix(rest, "\u2013"):
		m.put('-')
		return i + 3
	case strings.HasPrefix(rest, "\u00a0"):
		m.put(' ')
		return i + 2
	case strings.HasPrefix(rest, "\u00ad"):
		return i + 2
	case strings.HasPrefix(rest, "\ufeff"):
		return i + 3
	case len(rest) >= 3 && rest[0] == 0xe2 && rest[1] == 0x80 && rest[2] >= 0x8b && rest[2] <= 0x8f:
		return i + 3
	}
	m.put(s[i])
	return i + 1
}

// skipEscape passes over a control sequence of a terminal (ECMA-48 §5.4), so
// that colours around a phrase do not hide it.
func skipEscape(s string, i int) int {
	i++
	if i >= len(s) || s[i] != '[' {
		return i
	}
	for i++; i < len(s); i++ {
		if s[i] < 0x20 || s[i] > 0x3f {
			return i + 1
		}
	}
	return i
}

// cutAddress takes the local part before an at sign out of what was kept and
// passes over the domain after it.
func (m *matcher) cutAddress(s string, i int) int {
	if m.n > 0 && m.buf[m.n-1] == '"' {
		for m.n--; m.n > 0 && m.buf[m.n-1] != '"'; m.n-- {
		}
		m.n = max(m.n-1, 0)
	} else {
		for m.n > 0 && isAtom(m.buf[m.n-1]) {
			m.n--
		}
	}
	m.put('@')
	for i++; i < len(s) && (isAtom(s[i]) || s[i] == '[' || s[i] == ']'); i++ {
	}
	return i
}

// cutURL takes a URL's scheme out and passes over the rest.
func (m *matcher) cutURL(s string, i int) int {
	for m.n > 0 && isAtom(m.buf[m.n-1]) {
		m.n--
	}
	for ; i < len(s) && s[i] > ' ' && s[i] != '"' && s[i] != '>'; i++ {
	}
	return i
}

// isAtom reports whether c may stand in a dot-atom (RFC 5322 §3.2.3).
func isAtom(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', isDigit(c), c >= 0x80:
		return true
	}
	return strings.IndexByte("!#$%&'*+-./=?^_`{|}~", c) >= 0
}

// phraseSet is a set of distinct words of the table.
type phraseSet [8]uint64

func (p *phraseSet) add(i uint16)      { p[i>>6] |= 1 << (i & 63) }
func (p *phraseSet) has(i uint16) bool { return p[i>>6]&(1<<(i&63)) != 0 }
func (p *phraseSet) union(q *phraseSet) *phraseSet {
	var u phraseSet
	for i := range p {
		u[i] = p[i] | q[i]
	}
	return &u
}

func (p *phraseSet) empty() bool { return *p == phraseSet{} }

// index is the table turned round: the distinct words by their first two
// bytes, and per row the numbers of its words.
type index struct {
	words   []string // without the trailing "*"
	open    []bool   // the words may end in the middle of a word
	buckets [1024][]uint16
	rows    [len(phrases)][]uint16
	begun   [][]uint16 // per word, the rows whose first word it is
	bare    []uint16   // rows without words
}

// kindIndex is built at the first use and never changes.
var kindIndex = sync.OnceValue(func() *index {
	x := new(index)
	number := map[string]uint16{}
	for i := range phrases {
		for _, w := range phrases[i].words {
			n, ok := number[w]
			if !ok {
				n = uint16(len(x.words))
				number[w] = n
				bare := strings.TrimSuffix(w, "*")
				x.words = append(x.words, bare)
				x.open = append(x.open, bare != w)
				x.begun = append(x.begun, nil)
				b := bucket(bare[0], bare[1])
				x.buckets[b] = append(x.buckets[b], n)
			}
			x.rows[i] = append(x.rows[i], n)
		}
		if len(x.rows[i]) == 0 {
			x.bare = append(x.bare, uint16(i))
		} else {
			n := x.rows[i][0]
			x.begun[n] = append(x.begun[n], uint16(i))
		}
	}
	return x
})

func bucket(a, b byte) int { return int(a&31)<<5 | int(b&31) }

// kind is the first row of the table that holds.
func (m *matcher) kind(code int, enhanced string) Kind {
	x := kindIndex()
	text := m.buf[:m.n]
	var own, quoted phraseSet // before and after the first "said:"
	set := &own
	for i := 0; i+1 < len(text); i++ {
		c := text[i]
		if !isWordByte(c) || (i > 0 && insideWord(text[i-1])) {
			continue
		}
		if c == 's' && set == &own && string(text[i:min(i+5, len(text))]) == "said:" {
			set = &quoted
		}
		for _, n := range x.buckets[bucket(c, text[i+1])] {
			w := x.words[n]
			if end := i + len(w); end <= len(text) && string(text[i:end]) == w && (x.open[n] || wordEnds(text, end)) {
				set.add(n)
			}
		}
	}
	if quoted.empty() {
		return x.first(code, enhanced, &own, true)
	}
	if k := x.first(code, enhanced, &own, false); k != KindUnknown {
		return k
	}
	return x.first(code, enhanced, own.union(&quoted), true)
}

// first is the first row that holds; rows without words count only if codes is
// set. Only the rows are looked at whose first word was found.
func (x *index) first(code int, enhanced string, found *phraseSet, codes bool) Kind {
	best := len(phrases)
	look := func(rows []uint16) {
		for _, i := range rows {
			if int(i) >= best {
				return
			}
			if x.holds(int(i), code, enhanced, found) {
				best = int(i)
				return
			}
		}
	}
	if codes {
		look(x.bare)
	}
	for i, set := range found {
		for ; set != 0; set &= set - 1 {
			look(x.begun[i<<6+bits.TrailingZeros64(set)])
		}
	}
	if best == len(phrases) {
		return KindUnknown
	}
	return phrases[best].kind
}

// holds reports whether all words of a row were found and its codes fit.
func (x *index) holds(row, code int, enhanced string, found *phraseSet) bool {
	for _, n := range x.rows[row] {
		if !found.has(n) {
			return false
		}
	}
	p := &phrases[row]
	return (p.codes == nil || hasCode(p.codes, code)) && (p.enhanced == nil || hasEnhanced(p.enhanced, enhanced))
}

func hasCode(codes []int, code int) bool {
	for _, c := range codes {
		if c == code {
			return true
		}
	}
	return false
}

func hasEnhanced(list []string, enhanced string) bool {
	for _, e := range list {
		if e == enhanced {
			return true
		}
	}
	return false
}

func isWordByte(c byte) bool { return c >= 'a' && c <= 'z' || isDigit(c) }

// insideWord reports whether a byte before a word makes it part of a name:
// "spf" in "_spf.example" or "mx-spf.example" is none.
func insideWord(c byte) bool {
	return isWordByte(c) || c == '.' || c == '-' || c == '_' || c >= 0x80
}

func wordEnds(text []byte, end int) bool {
	if end >= len(text) {
		return true
	}
	c := text[end]
	if isWordByte(c) || c == '_' || c >= 0x80 {
		return !isWordByte(text[end-1]) // "syntax:" may be followed by anything
	}
	if (c == '.' || c == '-') && end+1 < len(text) && isWordByte(text[end+1]) {
		return false
	}
	return true
}
