package transcript

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// view is a text made from another: from and to say which bytes of the source
// each of its bytes stands for.
type view struct {
	text     string
	from, to []uint32
	columns  []columns // hex dumps: the second place of each byte
}

// columns are the places of one byte in the two columns of a hex dump.
type columns struct{ hex, hexEnd, char uint32 }

// source is the hit in the source of the view.
func (v *view) source(h hit) []hit {
	if h.start >= h.end || h.end > len(v.from) {
		return nil
	}
	if h.value == "" {
		h.value = v.text[h.start:h.end]
	}
	if v.columns == nil {
		m := h
		m.start, m.end = int(v.from[h.start]), int(v.to[h.end-1])
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

// newView is an empty view with room for n bytes.
func newView(n int) *view {
	return &view{from: make([]uint32, 0, n), to: make([]uint32, 0, n)}
}

// add tells where the next byte of the view comes from.
func (v *view) add(from, to int) {
	v.from = append(v.from, uint32(from))
	v.to = append(v.to, uint32(to))
}

// maxView bounds the memory of one view; a longer text is looked at in parts.
const maxView = 1 << 20

// decodedViews are the other readings of a text: quoted-printable undone, HTML
// as text, hex dumps as what they dump. What is covered makes no sense but in
// its other reading.
func decodedViews(text string) (views []*view, covered [][2]int) {
	if strings.Contains(text, "=3D") || strings.Contains(text, "=3d") || strings.Contains(text, "uoted-") || strings.Contains(text, "UOTED-") {
		parts, said := quotedPrintable(text)
		if said {
			covered = parts
		}
		for _, r := range parts {
			each(text, r[0], r[1], func(from, to int) {
				v := qpView(text, from, to)
				views = append(views, v)
				if looksHTML(v.text) {
					views = append(views, htmlView(v.text, 0, len(v.text)).over(v))
				}
			})
		}
	}
	for _, part := range rest(text, covered) {
		if !looksHTML(text[part[0]:part[1]]) {
			continue
		}
		each(text, part[0], part[1], func(from, to int) { views = append(views, htmlView(text, from, to)) })
	}
	if len(covered) > 0 {
		return views, covered
	}
	dumps, covered := hexViews(text)
	return append(views, dumps...), covered
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
	for i := range v.from {
		v.from[i] = base.from[v.from[i]]
		v.to[i] = base.to[v.to[i]-1]
	}
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
	v := newView(to - from)
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
	v := newView(to - from)
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

// hexViews read hex dumps ("0000  41 55 54 48 …  AUTH", tcpdump -X, xxd,
// hexdump -C): the bytes of neighbouring lines as one text.
func hexViews(text string) (views []*view, covered [][2]int) {
	var v *view
	var b strings.Builder
	start := 0
	flush := func(end int) {
		if v != nil && len(v.columns) >= 16 {
			v.text = b.String()
			views = append(views, v)
			covered = append(covered, [2]int{start, end})
		}
		v = nil
		b.Reset()
	}
	for i := 0; i < len(text); {
		end := lineEnd(text, i)
		if c := text[i]; (end-i > 20 || v != nil && end-i > 6) && end-i < 160 && (isDigit(c) || unhex(c) >= 0 || c == ' ' || c == '\t' || c == '>') {
			if bytes, cols := hexLine(text, i, end); len(bytes) > 3 || v != nil && bytes != "" {
				if v == nil {
					v = new(view)
					start = i
				}
				b.WriteString(bytes)
				for k := range len(bytes) {
					v.add(int(cols[k].hex), int(cols[k].hexEnd))
				}
				v.columns = append(v.columns, cols...)
				i = nextLine(text, end)
				continue
			}
		}
		flush(i)
		i = nextLine(text, end)
	}
	flush(len(text))
	return views, covered
}

// hexLine reads one line of a hex dump: an offset, groups of hexadecimal
// digits, and, maybe, the same bytes as characters.
func hexLine(text string, from, to int) (string, []columns) {
	if strings.Contains(text[from:to], "[secret-") {
		return "", nil // what is left of a masked line says nothing
	}
	i := from
	for i < to && (text[i] == ' ' || text[i] == '\t' || text[i] == '>') {
		i++
	}
	if strings.HasPrefix(text[i:to], "0x") {
		i += 2
	}
	start := i
	for i < to && unhex(text[i]) >= 0 {
		i++
	}
	if i-start < 4 || i-start > 8 {
		return "", nil
	}
	if i < to && text[i] == ':' {
		i++
	}
	if i >= to || text[i] != ' ' && text[i] != '\t' {
		return "", nil
	}
	var b []byte
	var cols []columns
	for i < to && len(b) < 32 {
		blanks := 0
		for i < to && (text[i] == ' ' || text[i] == '\t') {
			i++
			blanks++
		}
		if blanks == 0 || blanks > 2 && len(b) > 0 {
			i -= blanks
			break
		}
		j := i
		for j < to && unhex(text[j]) >= 0 {
			j++
		}
		n := j - i
		if n == 0 || n%2 != 0 || n > 8 || j < to && text[j] != ' ' && text[j] != '\t' {
			i -= blanks
			break
		}
		// The column of characters may begin with what looks like digits, two
		// blanks behind the groups.
		if blanks == 2 && len(b) > 0 && len(b)%8 != 0 {
			i -= blanks
			break
		}
		for ; i < j; i += 2 {
			c, _ := hexByte(text, i)
			b = append(b, c)
			cols = append(cols, columns{hex: uint32(i), hexEnd: uint32(i + 2)})
		}
	}
	if len(b) == 0 {
		return "", nil
	}
	i = skipBlanks(text, i)
	if i < to && text[i] == '|' {
		i++
	} else {
		for _, c := range b {
			if c != ' ' || text[i-1] != ' ' {
				break
			}
			i-- // a blank among the characters
		}
	}
	// The characters must agree with the bytes where these are printable.
	if to-i >= len(b) {
		agree := true
		for k, c := range b {
			if c > ' ' && c < 0x7f && text[i+k] != c {
				agree = false
				break
			}
		}
		if agree {
			for k := range cols {
				cols[k].char = uint32(i + k)
			}
		}
	}
	return string(b), cols
}

// base64Block is a run of base64 lines that holds text: an attachment, or a
// body with that transfer encoding.
type base64Block struct {
	view
	start, end int
}

// base64Blocks finds the base64 bodies that decode to text.
func base64Blocks(text string) []base64Block {
	var out []base64Block
	for i := 0; i < len(text); {
		end := lineEnd(text, i)
		if end-i < 40 || !base64Line(text[i:end]) {
			i = nextLine(text, end)
			continue
		}
		// All lines but the last hold whole groups; in a redacted body they are
		// no longer equally long.
		lines := [][2]int{{i, end}}
		j := nextLine(text, end)
		for j < len(text) && len(lines) < maxView/64 {
			last := lines[len(lines)-1]
			e := lineEnd(text, j)
			if e == j || (last[1]-last[0])%4 != 0 || text[last[1]-1] == '=' || !base64Line(text[j:e]) {
				break
			}
			lines = append(lines, [2]int{j, e})
			j = nextLine(text, e)
		}
		if v, ok := decodeLines(text, lines); ok && (len(lines) > 2 || saidBase64(text[:i])) {
			out = append(out, base64Block{v, i, j})
		}
		i = j
	}
	return out
}

func base64Line(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		if c := s[i]; !isBase64(c) || c == '=' || c == '-' || c == '_' {
			return false
		}
	}
	return s != ""
}

// saidBase64 reports whether the header right above says so.
func saidBase64(head string) bool {
	if len(head) > 2048 {
		head = head[len(head)-2048:]
	}
	i := strings.LastIndex(strings.ToLower(head), "content-transfer-encoding:")
	return i >= 0 && containsFold(head[i:lineEnd(head, i)], "base64")
}

// decodeLines decodes base64 lines and reports false when they hold no text.
func decodeLines(text string, lines [][2]int) (view, bool) {
	var v view
	var b strings.Builder
	for n, l := range lines {
		s := text[l[0]:l[1]]
		raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
		if err != nil || n < len(lines)-1 && len(s)%4 != 0 {
			return v, false
		}
		if n == 0 && !mostlyText(raw) {
			return v, false
		}
		b.Write(raw)
		for i := range raw {
			q := l[0] + i/3*4
			v.from = append(v.from, uint32(q))
			v.to = append(v.to, uint32(min(q+4, l[1])))
		}
	}
	v.text = b.String()
	return v, true
}

func mostlyText(b []byte) bool {
	odd := 0
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
			odd++
		}
	}
	return odd == 0 && len(b) > 0
}

// source are the hits of the decoded text in the encoded one: whole groups of
// four letters, which the token replaces in base64, so that what stands around
// it can still be decoded.
func (b *base64Block) source(hits []hit) []hit {
	var out []hit
	for i := 0; i < len(hits); i++ {
		h := hits[i]
		// Two hits in one group go together.
		for i+1 < len(hits) && b.from[hits[i+1].start] < b.to[h.end-1] {
			i++
			h.end = hits[i].end
		}
		// One piece per line of base64.
		for at := h.start; at < h.end; {
			first := at
			for at+1 < h.end && (b.from[at+1] == b.from[at] || b.from[at+1] == b.to[at]) {
				at++
			}
			// The bytes beside the hit in its first and last group stay.
			lo, hi := first, at+1
			for lo > 0 && b.from[lo-1] == b.from[first] {
				lo--
			}
			for hi < len(b.from) && b.from[hi] == b.from[at] {
				hi++
			}
			m := h
			m.start, m.end = int(b.from[first]), int(b.to[at])
			head, tail := b.text[lo:first], b.text[at+1:hi]
			m.fill = func(token string) string {
				s := head + token + tail
				for len(s)%3 != 0 {
					s += " "
				}
				return base64.StdEncoding.EncodeToString([]byte(s))
			}
			out = append(out, m)
			at++
		}
	}
	return out
}

// utf16View is UTF-16 text, with or without a mark, as UTF-8.
func utf16View(text []byte) (*view, bool) {
	if len(text) < 4 {
		return nil, false
	}
	big, ok := false, false
	skip := 0
	switch {
	case text[0] == 0xff && text[1] == 0xfe:
		ok, skip = true, 2
	case text[0] == 0xfe && text[1] == 0xff:
		ok, big, skip = true, true, 2
	default:
		var zero [2]int
		n := min(len(text), 512) &^ 1
		for i := range n {
			if text[i] == 0 {
				zero[i&1]++
			}
		}
		// Every other byte of western text is zero, from the beginning on.
		big = zero[0] > zero[1]
		p := 1
		if big {
			p = 0
		}
		head := 0
		for i := p; i < min(n, 32); i += 2 {
			if text[i] == 0 {
				head++
			}
		}
		ok = zero[1-p] == 0 && zero[p] > n*3/8 && head*8 >= min(n, 32)*3
	}
	if !ok {
		return nil, false
	}
	v := new(view)
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
			v.from = append(v.from, uint32(i))
			v.to = append(v.to, uint32(i+size))
		}
		i += size
	}
	v.text = b.String()
	return v, true
}

// redactWide redacts UTF-16 text in its own encoding.
func (r Redactor) redactWide(text []byte, v *view) ([]byte, []Masked) {
	hits, _, masked := r.settle(v.text)
	if len(hits) == 0 {
		return text, nil
	}
	big := text[0] == 0xfe && text[1] == 0xff || text[0] == 0 && text[1] != 0
	out := make([]byte, 0, len(text))
	done := 0
	for i := range hits {
		from, to := int(v.from[hits[i].start]), int(v.to[hits[i].end-1])
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
