package transcript

import (
	"sort"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// view is a text made from another: places say which bytes of the source each
// of its bytes stands for.
type view struct {
	text string
	places
	columns []columns // hex dumps: the second place of each byte
}

// places are the stretches of a source that the bytes of a text stand for, byte
// by byte. Most stand for one byte each, one behind the other: they are kept as
// runs, since a text is large at times.
type places struct {
	runs []placeRun
	n    int // bytes
	last int // the run that was asked for last
}

// placeRun are the bytes from at to the next run. Each stands for size bytes of
// the source, one behind the other from a place on, or all for the same ones.
type placeRun struct {
	at, from, size uint32
	same           bool
}

// add tells where the next byte of the text comes from.
func (p *places) add(from, to int) {
	at, size := uint32(p.n), uint32(to-from)
	p.n++
	if k := len(p.runs); k > 0 && p.runs[k-1].size == size {
		r := &p.runs[k-1]
		switch n := at - r.at; {
		case !r.same && uint32(from) == r.from+n*size:
			return
		case uint32(from) == r.from && (r.same || n == 1):
			r.same = true
			return
		}
	}
	if n := len(p.runs); n == cap(p.runs) {
		p.runs = append(make([]placeRun, 0, max(2*n, 16)), p.runs...) // append leaves much behind
	}
	p.runs = append(p.runs, placeRun{at: at, from: uint32(from), size: size})
}

// at is the stretch of the source that the byte i stands for.
func (p *places) at(i int) (from, to int) {
	k := p.last
	if int(p.runs[k].at) > i || k+1 < len(p.runs) && int(p.runs[k+1].at) <= i {
		k = sort.Search(len(p.runs), func(k int) bool { return int(p.runs[k].at) > i }) - 1
		p.last = k
	}
	r := p.runs[k]
	from = int(r.from)
	if !r.same {
		from += (i - int(r.at)) * int(r.size)
	}
	return from, from + int(r.size)
}

// from is where the stretch of the byte i begins, to is behind it.
func (p *places) from(i int) int { from, _ := p.at(i); return from }
func (p *places) to(i int) int   { _, to := p.at(i); return to }

// source is the hit in the source of the view.
func (v *view) source(h hit) []hit {
	if h.start >= h.end || h.end > v.n {
		return nil
	}
	if h.value == "" {
		h.value = v.text[h.start:h.end]
	}
	if v.columns == nil {
		m := h
		m.start, m.end = v.from(h.start), v.to(h.end-1)
		return []hit{m}
	}
	// In a hex dump the bytes of one line stand together, in each column.
	var out []hit
	for i := h.start; i < h.end; {
		j := i
		for j+1 < h.end && v.columns[j+1].hex > v.columns[j].hex && v.columns[j+1].hex-v.columns[j].hexEnd <= 3 &&
			(v.columns[j+1].char == 0 || v.columns[j+1].char == v.columns[j].char+1) {
			j++
		}
		first, last := v.columns[i], v.columns[j]
		m := h
		m.start, m.end = int(first.hex), int(last.hexEnd)
		out = append(out, m)
		if first.char != 0 && last.char != 0 {
			m.start, m.end = int(first.char), int(last.char)+1
			out = append(out, m)
		}
		i = j + 1
	}
	return out
}

// maxView bounds the memory of one view; a longer text is looked at in parts.
const maxView = 1 << 20

// decodedViews are the other readings of a text: quoted-printable undone, HTML
// as text, what containers and collectors ship without their heads and escapes,
// hex dumps as what they dump. All but the last are given to look, one
// after the other, since they are as large as the text; the dumps are returned.
// What is covered makes no sense but in its other reading.
func decodedViews(text string, look func(*view)) (dumps []*view, covered [][2]int) {
	if strings.Contains(text, "=3D") || strings.Contains(text, "=3d") || strings.Contains(text, "uoted-") || strings.Contains(text, "UOTED-") {
		parts, said := quotedPrintable(text)
		if said {
			covered = parts
		}
		for _, r := range parts {
			each(text, r[0], r[1], func(from, to int) {
				v := qpView(text, from, to)
				look(v)
				if looksHTML(v.text) {
					look(htmlView(v.text, 0, len(v.text)).over(v))
				}
			})
		}
	}
	var room []placeRun
	for _, part := range rest(text, covered) {
		if !looksHTML(text[part[0]:part[1]]) {
			continue
		}
		each(text, part[0], part[1], func(from, to int) {
			if room == nil && to-from > maxView/4 {
				// Counted first: a list that grows leaves its own size behind.
				room = make([]placeRun, 0, 2*(strings.Count(text[from:to], "<")+strings.Count(text[from:to], "&")+8))
			}
			v := view{places: places{runs: room}}
			look(v.html(text, from, to))
			room = v.runs[:0] // the parts of a large text take turns
		})
	}
	if shipped := shippedViews(text, look); len(covered) == 0 {
		covered = shipped
	}
	if len(covered) > 0 {
		return nil, covered
	}
	return hexViews(text)
}

// each calls f with parts of text[from:to] that end at line ends.
func each(text string, from, to int, f func(from, to int)) {
	for from < to {
		end := min(to, from+maxView)
		if end < to {
			if i := strings.LastIndexByte(text[from:end], '\n'); i > 0 {
				end = from + i + 1
			}
		}
		f(from, end)
		from = end
	}
}

// over is the view seen through another one that it was made from.
func (v *view) over(base *view) *view {
	var seen places
	for i := range v.n {
		from, to := v.at(i)
		seen.add(base.from(from), base.to(to-1))
	}
	v.places = seen
	return v
}

// quotedPrintable finds the parts of a text that are quoted-printable: what
// follows a header that says so, up to a boundary; without such a header the
// whole text, if it has the signs. It tells whether a header said so.
func quotedPrintable(text string) (out [][2]int, said bool) {
	open := -1
	for i := 0; i < len(text); {
		end := lineEnd(text, i)
		line := text[i:end]
		switch {
		case len(line) > 26 && hasFoldPrefix(line, "content-transfer-encoding:"):
			if open >= 0 {
				out = append(out, [2]int{open, i})
				open = -1
			}
			if containsFold(line, "quoted-printable") {
				open = nextLine(text, end)
			}
		case open >= 0 && strings.HasPrefix(line, "--") && len(line) > 4 && strings.IndexByte(line, ' ') < 0:
			out = append(out, [2]int{open, i})
			open = -1
		}
		i = nextLine(text, end)
	}
	if open >= 0 {
		out = append(out, [2]int{open, len(text)})
	}
	if len(out) == 0 && (strings.Contains(text, "=3D") || strings.Contains(text, "=3d")) {
		return [][2]int{{0, len(text)}}, false
	}
	return out, true
}

func hasFoldPrefix(s, prefix string) bool {
	return len(s) >= len(prefix) && equalFoldASCII(s[:len(prefix)], prefix)
}

// lineEnd is the index of the line end at or after i. It looks in steps, so
// that a text with only one kind of line end is not searched for the other to
// its end, line by line.
func lineEnd(text string, i int) int {
	for i < len(text) {
		part := text[i:min(len(text), i+256)]
		n := strings.IndexByte(part, '\n')
		if n >= 0 {
			part = part[:n]
		}
		if c := strings.IndexByte(part, '\r'); c >= 0 {
			return i + c
		}
		if n >= 0 {
			return i + n
		}
		i += len(part)
	}
	return len(text)
}

// nextLine is the start of the line behind the line end at i.
func nextLine(text string, i int) int {
	if i < len(text) && text[i] == '\r' {
		i++
		if i < len(text) && text[i] == '\n' {
			i++
		}
		return i
	}
	return min(i+1, len(text))
}

func qpView(text string, from, to int) *view {
	v := new(view)
	var b strings.Builder
	b.Grow(to - from)
	for i := from; i < to; {
		size := 1
		c := text[i]
		if c == '=' {
			switch rest := text[i:to]; {
			case strings.HasPrefix(rest, "=\r\n"):
				i += 3
				continue
			case strings.HasPrefix(rest, "=\n") || strings.HasPrefix(rest, "=\r"):
				i += 2
				continue
			default:
				if x, ok := hexByte(rest, 1); ok {
					c, size = x, 3
				}
			}
		}
		b.WriteByte(c)
		v.add(i, i+size)
		i += size
	}
	v.text = b.String()
	return v
}

func looksHTML(text string) bool {
	return strings.Contains(text, "</") || strings.Contains(text, "<br") || strings.Contains(text, "<BR") || strings.Contains(text, "&#") || strings.Contains(text, "&lt;")
}

// htmlView is HTML as text: tags vanish, those of blocks end a line, character
// references are read.
func htmlView(text string, from, to int) *view {
	return new(view).html(text, from, to)
}

// html makes the view that of HTML.
func (v *view) html(text string, from, to int) *view {
	var b strings.Builder
	b.Grow(to - from)
	fresh := true // at the start of a line
	for i := from; i < to; {
		c := text[i]
		switch {
		case c == '<':
			name, end := tag(text[i:to])
			if end == 0 {
				break
			}
			if breaksLine(name) && !fresh {
				b.WriteByte('\n')
				v.add(i, i+end)
				fresh = true
			}
			i += end
			continue
		case fresh && (c == '\n' || c == '\r'):
			// A line end behind a tag that ended the line is only a blank.
			i++
			continue
		case c == '&':
			if x, size := unescapeHTML(text[i:min(to, i+12)]); size > 1 {
				if x == 0 {
					x = ' '
				}
				b.WriteByte(x)
				v.add(i, i+size)
				fresh = false
				i += size
				continue
			}
		}
		b.WriteByte(c)
		v.add(i, i+1)
		fresh = c == '\n'
		i++
	}
	v.text = b.String()
	return v
}

// tag is the name of the tag at the start of s, lower case, and its length; 0
// when there is none: "<bob@recipient.example>" is an address.
func tag(s string) (name string, end int) {
	i := 1
	if i < len(s) && s[i] == '/' {
		i++
	}
	start := i
	for i < len(s) && i-start < 16 && (s[i] >= 'a' && s[i] <= 'z' || s[i] >= 'A' && s[i] <= 'Z' || isDigit(s[i])) {
		i++
	}
	if i == start || i >= len(s) {
		return "", 0
	}
	name = strings.ToLower(s[start:i])
	if c := s[i]; c != '>' && c != ' ' && c != '/' && c != '\n' && c != '\r' && c != '\t' {
		return "", 0
	}
	if !knownTag(name) {
		return "", 0
	}
	n := strings.IndexByte(s[i:min(len(s), i+2048)], '>')
	if n < 0 {
		return "", 0
	}
	return name, i + n + 1
}

var htmlTags = [...]struct {
	name  string
	block bool
}{
	{"br", true},
	{"p", true},
	{"div", true},
	{"tr", true},
	{"li", true},
	{"pre", true},
	{"h1", true},
	{"h2", true},
	{"h3", true},
	{"h4", true},
	{"table", true},
	{"td", true},
	{"th", true},
	{"ul", true},
	{"ol", true},
	{"blockquote", true},
	{"body", true},
	{"html", true},
	{"hr", true},
	{"b", false},
	{"i", false},
	{"u", false},
	{"a", false},
	{"em", false},
	{"tt", false},
	{"kbd", false},
	{"wbr", false},
	{"code", false},
	{"font", false},
	{"span", false},
	{"strong", false},
	{"samp", false},
}

func knownTag(name string) bool {
	for _, t := range htmlTags {
		if t.name == name {
			return true
		}
	}
	return false
}

func breaksLine(name string) bool {
	for _, t := range htmlTags {
		if t.name == name {
			return t.block
		}
	}
	return false
}

// utf16View is UTF-16 text, with or without a mark, as UTF-8; big says that the
// high byte of each unit comes first.
func utf16View(text []byte) (v *view, big, ok bool) {
	if len(text) < 4 {
		return nil, false, false
	}
	skip := 0
	switch {
	case text[0] == 0xff && text[1] == 0xfe:
		ok, skip = true, 2
	case text[0] == 0xfe && text[1] == 0xff:
		ok, big, skip = true, true, 2
	default:
		// Every other byte of western text is zero, from the beginning on. More
		// than the beginning does not count: masks move what comes later.
		var zero [2]int
		n := min(len(text), 16) &^ 1
		for i := range n {
			if text[i] == 0 {
				zero[i&1]++
			}
		}
		big = zero[0] > zero[1]
		ok = min(zero[0], zero[1]) == 0 && max(zero[0], zero[1])*8 > n*3
	}
	if !ok {
		return nil, false, false
	}
	v = new(view)
	var b strings.Builder
	unit := func(i int) uint16 {
		if big {
			return uint16(text[i])<<8 | uint16(text[i+1])
		}
		return uint16(text[i+1])<<8 | uint16(text[i])
	}
	for i := skip; i+1 < len(text); {
		r, size := rune(unit(i)), 2
		if utf16.IsSurrogate(r) && i+3 < len(text) {
			if d := utf16.DecodeRune(r, rune(unit(i+2))); d != utf8.RuneError {
				r, size = d, 4
			}
		}
		n := b.Len()
		b.WriteRune(r)
		for range b.Len() - n {
			v.add(i, i+size)
		}
		i += size
	}
	v.text = b.String()
	return v, big, true
}

// redactWide redacts UTF-16 text in its own encoding.
func (r Redactor) redactWide(text []byte, v *view, big bool) ([]byte, []Masked) {
	hits, _, masked := r.settle(v.text)
	if len(hits) == 0 {
		return text, nil
	}
	out := make([]byte, 0, len(text))
	done := 0
	for i := range hits {
		from, to := v.from(hits[i].start), v.to(hits[i].end-1)
		token := masked[i].Token
		if hits[i].fill != nil {
			token = hits[i].fill(token)
		}
		out = append(out, text[done:from]...)
		for _, u := range utf16.Encode([]rune(token)) {
			if big {
				out = append(out, byte(u>>8), byte(u))
			} else {
				out = append(out, byte(u), byte(u>>8))
			}
		}
		masked[i].Span.Offset, masked[i].Span.End = from, to
		done = to
	}
	return append(out, text[done:]...), masked
}
