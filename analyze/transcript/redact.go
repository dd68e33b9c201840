package transcript

import (
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Level says how much Redact hides.
type Level int8

// The levels. Secrets go at every level.
const (
	// Standard hides secrets only.
	Standard Level = iota
	// Strict hides personal data too: mailboxes, private IP addresses, host
	// names other than the relay's, names and subjects in headers, and the
	// bodies of messages.
	Strict
)

// Masked is a place of the input that was hidden, and the token in its stead:
// "[secret-1]", and with Strict also "[addr-1]", "[host-1]", "[ip-1]",
// "[name-1]", "[subject-1]" and "[body]". The same thing has the same token.
type Masked struct {
	Span  Span
	Token string
}

// Redactor hides secrets, and with Strict personal data, in text that people
// paste: dialogues in the style of any client, logs, configuration files,
// command lines, mail. The zero value hides secrets.
//
// It goes by grammar, for nobody knows the secrets of a paste: see the files
// redact*.go for the grammar. A secret that the grammar found is then searched
// for in the whole text, in every form that Secrets knows. What only looks like
// a secret stays: DKIM and ARC signatures, Message-IDs, boundaries, base64
// bodies, enhanced codes, the results "spf=pass" and the like.
//
// The number of lines stays, and so do the columns before a mask. The token
// shows no length. Redacting twice equals redacting once. Time and memory are
// linear in the text.
type Redactor struct {
	Level Level
	// RelayDomains are kept beside RelayDomain when Level is Strict.
	RelayDomains []string
	// Secrets are hidden wherever they stand. Nil: none are known.
	Secrets *Secrets
}

// Redact hides what the level says and tells the places, in the order of the
// text. When nothing is hidden it returns text itself.
func Redact(text []byte, level Level) ([]byte, []Masked) {
	return Redactor{Level: level}.Redact(text)
}

// Redact hides what the redactor's level says and tells the places, in the
// order of the text. When nothing is hidden it returns text itself.
func (r Redactor) Redact(text []byte) ([]byte, []Masked) {
	if v, big, ok := utf16View(text); ok {
		return r.redactWide(text, v, big)
	}
	s := string(text)
	hits, out, masked := r.settle(s)
	if len(hits) == 0 {
		return text, nil
	}
	return []byte(out), masked
}

// settle finds what has to go until nothing in the redacted text has to: a mask
// can make what stands beside it look like more. Two rounds are the rule.
func (r Redactor) settle(text string) (hits []hit, out string, masked []Masked) {
	hits = r.find(text)
	for range maxRounds {
		if len(hits) == 0 {
			break
		}
		out, masked = replace(text, hits)
		more := r.find(out)
		if len(more) == 0 {
			break
		}
		hits = merge(text, append(hits, inSource(more, hits, masked)...))
	}
	return hits, out, masked
}

const maxRounds = 8

// inSource takes hits of a redacted text back to the text it was made from;
// what touches a mask takes the whole place of the mask.
func inSource(more, hits []hit, masked []Masked) []hit {
	n, shift := 0, 0 // the next mask; what to add to a place in front of it
	grow := func(i int) int {
		if hits[i].fill != nil {
			return len(hits[i].fill(masked[i].Token))
		}
		return len(masked[i].Token)
	}
	var out []hit
	for _, h := range more {
		for n < len(hits) && hits[n].start-shift+grow(n) <= h.start {
			shift += hits[n].end - hits[n].start - grow(n)
			n++
		}
		start, end := h.start+shift, h.end+shift
		if n < len(hits) && hits[n].start < start {
			start = hits[n].start
		}
		k, s := n, shift
		for k < len(hits) && hits[k].start-s < h.end {
			s += hits[k].end - hits[k].start - grow(k)
			end = max(h.end+s, hits[k].end)
			k++
		}
		h.start, h.end, h.value, h.fill = start, end, "", nil
		out = append(out, h)
	}
	return out
}

// hit is a place of the text that has to go.
type hit struct {
	start, end int
	kind       string   // of the token: "secret", "addr", "host", …
	value      string   // the same value has the same token; empty: the text itself
	learn      []string // secrets to look for elsewhere
	// fill writes the token in the encoding of the place; nil: as it is.
	fill func(token string) string
}

// find collects the hits of the whole text, in order, not overlapping, each on
// one line.
func (r Redactor) find(text string) []hit {
	var seen []hit // in other readings of the text
	look := func(v *view) {
		f := finder{text: v.text}
		f.run()
		for _, h := range r.chosen(&f) {
			seen = append(seen, v.source(h)...)
		}
	}
	dumps, covered := decodedViews(text, look)
	for _, v := range dumps {
		look(v)
	}
	var hits []hit
	for _, part := range rest(text, covered) {
		f := finder{text: text[part[0]:part[1]]}
		f.run()
		for _, h := range r.chosen(&f) {
			h.start += part[0]
			h.end += part[0]
			hits = append(hits, h)
		}
	}
	hits = append(hits, seen...)
	blocks := base64Blocks(text)
	var inside [][]hit
	for _, b := range blocks {
		f := finder{text: b.text}
		f.run()
		inside = append(inside, r.chosen(&f))
	}
	hits = append(hits, r.known(text, dumps, blocks, hits, inside)...)
	if r.Level == Strict {
		hits = append(hits, r.personal(text, hits)...)
		for i, b := range blocks {
			inside[i] = append(inside[i], r.personal(b.text, inside[i])...)
		}
	}
	for i, b := range blocks {
		hits = append(hits, b.source(merge(b.text, inside[i]))...)
	}
	return merge(text, hits)
}

// chosen are the hits of a finder that the level hides.
func (r Redactor) chosen(f *finder) []hit {
	if r.Level == Strict {
		return append(f.hits, f.users...)
	}
	return f.hits
}

// rest is what is left of a text without the covered parts, which are in order.
func rest(text string, covered [][2]int) [][2]int {
	var out [][2]int
	from := 0
	for _, c := range covered {
		if from < c[0] {
			out = append(out, [2]int{from, c[0]})
		}
		from = max(from, c[1])
	}
	if from < len(text) {
		out = append(out, [2]int{from, len(text)})
	}
	return out
}

// known looks everywhere for the secrets that we hold and for those that the
// grammar found. It returns hits of the text and adds to those inside blocks.
func (r Redactor) known(text string, dumps []*view, blocks []base64Block, hits []hit, inside [][]hit) []hit {
	var out []hit
	look := func(s *Secrets) {
		if s == nil || len(s.windows) == 0 {
			return
		}
		next := 0 // the first block that is not over
		for _, f := range s.find(nil, text) {
			for next < len(blocks) && blocks[next].end <= f.start {
				next++
			}
			if next < len(blocks) && f.end > blocks[next].start {
				continue // found in what the block holds
			}
			out = append(out, hit{start: f.start, end: f.end, kind: "secret", value: s.values[f.secret]})
		}
		for _, v := range dumps { // Secrets undoes the other encodings itself
			for _, f := range s.find(nil, v.text) {
				out = append(out, v.source(hit{start: f.start, end: f.end, kind: "secret", value: s.values[f.secret]})...)
			}
		}
		for i, b := range blocks {
			for _, f := range s.find(nil, b.text) {
				inside[i] = append(inside[i], hit{start: f.start, end: f.end, kind: "secret", value: s.values[f.secret]})
			}
		}
	}
	look(r.Secrets)
	var learned Secrets
	budget := maxLearned
	learn := func(list []hit) {
		for _, h := range list {
			for _, s := range h.learn {
				if budget -= len(s); budget < 0 {
					return
				}
				learned.addForms(learned.register(h.value), s)
			}
		}
	}
	learn(hits)
	for _, list := range inside {
		learn(list)
	}
	look(&learned)
	// The SASL message and the password in it are one secret: one token.
	known := map[string]string{}
	same := func(list []hit) {
		for i := range list {
			v := list[i].value
			if list[i].kind != "secret" || len(v) > maxValue/4 {
				continue
			}
			first, ok := known[v]
			if !ok {
				first = v
				if f := learned.find(nil, v); len(f) > 0 {
					first = learned.values[f[0].secret]
				}
				known[v] = first
			}
			list[i].value = first
		}
	}
	same(hits)
	for _, list := range inside {
		same(list)
	}
	return out
}

// maxLearned bounds, in bytes, the secrets of one text that are looked for
// elsewhere in it. The first ones count: a paste holds few.
const maxLearned = 8 << 10

// merge sorts hits, joins those that overlap and cuts them at line ends.
func merge(text string, hits []hit) []hit {
	if len(hits) == 0 {
		return nil
	}
	sort.SliceStable(hits, func(i, j int) bool {
		a, b := &hits[i], &hits[j]
		if a.start != b.start {
			return a.start < b.start
		}
		return a.end > b.end
	})
	joined := make([]hit, 0, len(hits))
	for _, h := range hits {
		if h.start >= h.end {
			continue
		}
		if h.value == "" {
			h.value = text[h.start:h.end]
		}
		if n := len(joined); n > 0 && h.start < joined[n-1].end {
			last := &joined[n-1]
			if last.kind != "secret" && h.kind == "secret" {
				last.kind, last.value = h.kind, h.value
			}
			if h.end > last.end || h.end == last.end && h.start == last.start {
				last.end = max(last.end, h.end)
				if h.start != last.start {
					last.fill = nil
				}
			}
			continue
		}
		joined = append(joined, h)
	}
	out := joined[:0:0]
	for _, h := range joined {
		out = append(out, cutAtLines(text, h)...)
	}
	return out
}

// cutAtLines cuts a hit into one per line, without blanks at the beginning of a
// further line.
func cutAtLines(text string, h hit) []hit {
	if !strings.ContainsAny(text[h.start:h.end], "\r\n") {
		return []hit{h}
	}
	var out []hit
	for start := h.start; start < h.end; {
		end := h.end
		if i := strings.IndexAny(text[start:h.end], "\r\n"); i >= 0 {
			end = start + i
		}
		piece := h
		piece.start, piece.end = start, end
		if len(out) > 0 {
			piece.start += leadingBlanks(text[start:end])
		}
		if piece.start < piece.end {
			out = append(out, piece)
		}
		start = end + 1
	}
	return out
}

// replace writes the text with the tokens in place of the hits.
func replace(text string, hits []hit) (string, []Masked) {
	tokens := newTokens(text)
	at := place{line: 1, column: 1}
	var b strings.Builder
	b.Grow(len(text))
	masked := make([]Masked, 0, len(hits))
	done := 0
	for i := range hits {
		h := &hits[i]
		token := tokens.of(h.kind, h.value)
		at.advance(text, h.start)
		masked = append(masked, Masked{Span: Span{Offset: h.start, End: h.end, Line: at.line, Column: at.column}, Token: token})
		b.WriteString(text[done:h.start])
		if h.fill != nil {
			b.WriteString(h.fill(token))
		} else {
			b.WriteString(token)
		}
		done = h.end
	}
	b.WriteString(text[done:])
	return b.String(), masked
}

// place is a position in a text that moves forward only.
type place struct{ offset, line, column int }

func (p *place) advance(text string, to int) {
	for p.offset < to {
		c := text[p.offset]
		switch {
		case c == '\n', c == '\r' && (p.offset+1 >= len(text) || text[p.offset+1] != '\n'):
			p.line++
			p.column = 1
		case c == '\r':
		case utf8.RuneStart(c):
			p.column++
		}
		p.offset++
	}
}

// tokens numbers what is hidden, in the order of the text, above the numbers
// that the text already has.
type tokens struct {
	last map[string]int
	seen map[[2]string]string
}

func newTokens(text string) *tokens {
	t := &tokens{last: map[string]int{}, seen: map[[2]string]string{}}
	for i := 0; ; {
		j := strings.IndexByte(text[i:], '[')
		if j < 0 {
			return t
		}
		i += j + 1
		if n := tokenLen(text[i-1:]); n > 0 {
			kind, number, _ := strings.Cut(text[i:i+n-2], "-")
			v, _ := strconv.Atoi(number)
			t.last[kind] = max(t.last[kind], v)
		}
	}
}

func (t *tokens) of(kind, value string) string {
	if kind == "body" {
		return "[body]"
	}
	key := [2]string{kind, value}
	if s, ok := t.seen[key]; ok {
		return s
	}
	t.last[kind]++
	s := "[" + kind + "-" + strconv.Itoa(t.last[kind]) + "]"
	t.seen[key] = s
	return s
}

var tokenKinds = [...]string{"secret", "addr", "host", "ip", "name", "subject"}

// tokenLen is the length of the token at the start of s, or 0.
func tokenLen(s string) int {
	if !strings.HasPrefix(s, "[") {
		return 0
	}
	if strings.HasPrefix(s, "[body]") {
		return len("[body]")
	}
	for _, k := range tokenKinds {
		rest, ok := strings.CutPrefix(s[1:], k)
		if !ok || rest == "" || rest[0] != '-' {
			continue
		}
		n := 1
		for n < len(rest) && n < 8 && isDigit(rest[n]) {
			n++
		}
		if n > 1 && n < len(rest) && rest[n] == ']' {
			return 1 + len(k) + n + 1
		}
	}
	return 0
}

// isToken reports whether s begins with a token: it is masked already.
func isToken(s string) bool { return tokenLen(s) > 0 }
