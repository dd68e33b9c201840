package ndr

import (
	"bytes"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// markup turns HTML into the text that a reader sees: of parts that say they
// are HTML, and of a paste that is.
func (d *Document) markup() {
	text := d.Text
	if bytes.IndexByte(text, '<') < 0 {
		return
	}
	found := false
	for i := range d.parts {
		p := &d.parts[i]
		if p.how == treatDrop {
			continue
		}
		if p.kind == partHTML && p.end > p.start || p.kind != partHTML && looksHTML(text[p.start:p.end]) {
			p.kind = partHTML
			found = true
		}
	}
	if len(d.parts) == 0 && looksHTML(text) {
		d.parts = []part{{kind: partHTML, start: 0, end: len(text), mail: -1}}
		found = true
	}
	if !found {
		return
	}
	d.keepRicher()
	r := d.rewriter(text, len(text)+16)
	if len(text) > large {
		r.m.segments = make([]segment, 0, min(bytes.Count(text, []byte{'<'})+64, maxSegments))
	}
	d.rewriteParts(r, func(p *part, from, to int) {
		switch {
		case p != nil && p.how == treatDrop:
			return
		case p == nil || p.kind != partHTML:
			r.copy(from, to)
			return
		}
		h := htmlReader{r: r, text: text, to: to, d: d}
		h.read(from)
		ensureLF(r, to)
	})
	d.apply(r)
}

// keepRicher decides between a short text and the HTML beside it: an address in
// it counts more than length.
func (d *Document) keepRicher() {
	for i := range d.parts {
		p := &d.parts[i]
		if p.kind != partHTML || p.twin == 0 || p.end <= p.start {
			continue
		}
		t := &d.parts[p.twin-1]
		r := newRewriter(d.Text)
		h := htmlReader{r: r, text: d.Text, to: min(p.end, p.start+64<<10), d: d}
		h.read(p.start)
		plain := bytes.TrimSpace(d.Text[t.start:t.end])
		if len(plain)*2 >= len(r.out) && (bytes.IndexByte(plain, '@') >= 0 || bytes.IndexByte(r.out, '@') < 0) {
			p.how = treatDrop
		} else {
			t.how = treatDrop
		}
	}
}

// looksHTML decides by content where no header says it. A text with a few
// autolinks or a quoted tag is not HTML.
func looksHTML(text []byte) bool {
	head := bytes.TrimLeft(text[:min(len(text), 2048)], " \t\r\n\ufeff")
	if len(head) == 0 || head[0] != '<' {
		return false
	}
	for _, tag := range []string{"<!doctype html", "<html", "<body", "<head", "<div", "<p>", "<p ", "<table", "<meta", "<span", "<font", "<b>", "<br", "<center", "<pre"} {
		if foldPrefix(head, tag) {
			return true
		}
	}
	return false
}

// htmlReader is a scanner of HTML: tags, references, raw text elements. It is
// ours and not a parser's because places must be kept exactly and neither
// nesting nor attributes may cost memory; character references are resolved by
// x/net/html.
type htmlReader struct {
	d    *Document
	r    *rewriter
	text []byte
	to   int

	pre    int  // depth of <pre>
	space  bool // a blank is owed before the next word
	spaceA int  // where it stands in the source
	spaceB int
	cell   bool // that blank is the gap between two cells

	seeHidden   bool // a hidden element was never closed: better to see the rest
	openComment bool // a comment was never closed
}

// read writes text[from:to] as text.
func (h *htmlReader) read(from int) {
	text := h.text
	for i := from; i < h.to && !h.r.full; {
		switch c := text[i]; {
		case c == '<':
			i = h.tag(i)
		case c == '&':
			i = h.reference(i)
		case c == ' ' || c == '\t' || c == '\n':
			if h.pre > 0 {
				h.r.copy(i, i+1)
				i++
				continue
			}
			j := i + 1
			for j < h.to && (text[j] == ' ' || text[j] == '\t' || text[j] == '\n') {
				j++
			}
			h.blank(i, j)
			i = j
		default:
			j := i + 1
			for j < h.to && text[j] != '<' && text[j] != '&' && text[j] != ' ' && text[j] != '\n' && text[j] != '\t' {
				j++
			}
			h.word()
			h.r.copy(i, j)
			i = j
		}
	}
}

// atLineStart reports whether nothing was written in the current line.
func (h *htmlReader) atLineStart() bool {
	n := len(h.r.out)
	return n == 0 || h.r.out[n-1] == '\n'
}

func (h *htmlReader) blank(from, to int) {
	if !h.space && !h.atLineStart() {
		h.space, h.spaceA, h.spaceB = true, from, to
	}
}

// word writes the blank that is owed.
func (h *htmlReader) word() {
	if h.space && !h.atLineStart() {
		if h.cell {
			h.r.put([]byte{'\t'}, h.spaceA, h.spaceB, segAtom)
		} else {
			h.r.put([]byte{' '}, h.spaceA, h.spaceB, segAtom)
		}
	}
	h.space, h.cell = false, false
}

// line ends the line, if something stands in it.
func (h *htmlReader) line(from, to int) {
	h.space, h.cell = false, false
	if !h.atLineStart() {
		h.r.put(lf, from, to, segAtom)
	}
}

// reference resolves a character reference at i.
func (h *htmlReader) reference(i int) int {
	limit := min(i+40, h.to)
	j := i + 1
	for j < limit && (isWordByte(h.text[j]) || h.text[j] == '#') {
		j++
	}
	if j < limit && h.text[j] == ';' {
		j++
	}
	s := html.UnescapeString(string(h.text[i:j]))
	if s == string(h.text[i:j]) {
		h.word()
		h.r.copy(i, j)
		return j
	}
	switch s {
	case "\u00a0", " ", "\t", "\n":
		if h.pre > 0 || s == "\u00a0" {
			h.word()
			h.r.put([]byte{' '}, i, j, segAtom)
			return j
		}
		h.blank(i, j)
		return j
	}
	out := make([]byte, 0, len(s))
	for _, c := range s {
		if c < ' ' || c == utf8.RuneError || c == 0x7f {
			continue // a decoded control character makes no new line anywhere
		}
		out = utf8.AppendRune(out, c)
	}
	if len(out) > 0 {
		h.word()
		h.r.put(out, i, j, segAtom)
	}
	return j
}

// tag handles what begins with "<" at i and gives the offset behind it.
func (h *htmlReader) tag(i int) int {
	text := h.text
	rest := text[i:h.to]
	switch {
	case bytes.HasPrefix(rest, []byte("<!--")):
		if !h.openComment {
			if n := bytes.Index(rest[4:], []byte("-->")); n >= 0 {
				return i + 4 + n + 3
			}
			h.openComment = true
		}
		return i + 4
	case len(rest) > 1 && (rest[1] == '!' || rest[1] == '?'):
		if n := bytes.IndexByte(rest, '>'); n >= 0 {
			return i + n + 1
		}
		return h.to
	}
	j := i + 1
	closing := false
	if j < h.to && text[j] == '/' {
		closing = true
		j++
	}
	k := j
	for k < h.to && (isWordByte(text[k]) || text[k] == ':' || text[k] == '-') {
		k++
	}
	name := text[j:k]
	// "<" that opens no tag is text: an address in angle brackets, too.
	if len(name) == 0 || !isLetter(name[0]) || k < h.to && (text[k] == '@' || text[k] == '.' || text[k] == '=' || text[k] == '_' || text[k] == '+') || bytes.IndexByte(name, ':') >= 0 && (foldPrefix(name, "http") || foldPrefix(name, "mailto")) {
		h.word()
		h.r.copy(i, i+1)
		return i + 1
	}
	end := h.tagEnd(k)
	h.element(name, closing, i, end)
	if !closing {
		switch {
		case foldEqual(name, "script"), foldEqual(name, "style"), foldEqual(name, "title"), foldEqual(name, "textarea"), foldEqual(name, "noscript"):
			return h.rawEnd(name, end)
		case !h.seeHidden && !isVoid(name) && isHidden(text[k:end]):
			return h.hiddenEnd(name, end)
		}
	}
	return end
}

// tagEnd is the offset behind the ">" that ends a tag; quoted attribute values
// may hold one.
func (h *htmlReader) tagEnd(i int) int {
	var quote byte
	for ; i < h.to; i++ {
		c := h.text[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			if h.text[i-1] == '=' || h.text[i-1] == ' ' || h.text[i-1] == '\n' {
				quote = c
			}
		case c == '>':
			return i + 1
		}
	}
	return h.to
}

// element writes what a tag means for the text.
func (h *htmlReader) element(name []byte, closing bool, from, to int) {
	switch name[0] | 0x20 {
	case 'b':
		switch {
		case foldEqual(name, "br"):
			h.space, h.cell = false, false
			h.r.put(lf, from, to, segAtom)
		case foldEqual(name, "blockquote"), foldEqual(name, "body"):
			h.line(from, to)
		}
	case 'p':
		switch {
		case foldEqual(name, "p"):
			h.paragraph(from, to)
		case foldEqual(name, "pre"):
			h.line(from, to)
			if closing {
				h.pre = max(h.pre-1, 0)
			} else {
				h.pre++
				if h.pre > maxHTMLDepth {
					h.d.limit("nested HTML elements")
					h.pre = maxHTMLDepth
				}
			}
		}
	case 'd':
		if foldEqual(name, "div") || foldEqual(name, "dl") || foldEqual(name, "dt") || foldEqual(name, "dd") {
			h.line(from, to)
		}
	case 't':
		switch {
		case foldEqual(name, "td"), foldEqual(name, "th"):
			if !closing && !h.atLineStart() {
				h.space, h.cell, h.spaceA, h.spaceB = true, true, from, to
			}
		case foldEqual(name, "tr"), foldEqual(name, "table"), foldEqual(name, "thead"), foldEqual(name, "tbody"):
			h.line(from, to)
		}
	case 'l', 'u', 'o':
		if foldEqual(name, "li") || foldEqual(name, "ul") || foldEqual(name, "ol") {
			h.line(from, to)
		}
	case 'h':
		if len(name) == 2 && (name[1] >= '1' && name[1] <= '6' || foldEqual(name, "hr")) {
			h.paragraph(from, to)
		}
	case 's', 'c', 'f', 'a', 'm', 'n':
		if foldEqual(name, "section") || foldEqual(name, "center") || foldEqual(name, "form") || foldEqual(name, "footer") ||
			foldEqual(name, "article") || foldEqual(name, "main") || foldEqual(name, "nav") {
			h.line(from, to)
		}
	}
}

// paragraph ends the line and leaves an empty one.
func (h *htmlReader) paragraph(from, to int) {
	h.line(from, to)
	if n := len(h.r.out); n > 1 && h.r.out[n-2] != '\n' {
		h.r.put(lf, from, to, segAtom)
	}
}

// rawEnd skips to behind the closing tag of an element whose content is no text.
func (h *htmlReader) rawEnd(name []byte, i int) int {
	for i < h.to {
		n := bytes.IndexByte(h.text[i:h.to], '<')
		if n < 0 {
			return h.to
		}
		i += n
		if i+2+len(name) <= h.to && h.text[i+1] == '/' && bytes.EqualFold(h.text[i+2:i+2+len(name)], name) {
			return h.tagEnd(i + 2 + len(name))
		}
		i++
	}
	return h.to
}

// hiddenEnd skips an element that nobody sees.
func (h *htmlReader) hiddenEnd(name []byte, i int) int {
	depth := 1
	start := i
	for i < h.to {
		n := bytes.IndexByte(h.text[i:h.to], '<')
		if n < 0 {
			break
		}
		i += n + 1
		closing := i < h.to && h.text[i] == '/'
		if closing {
			i++
		}
		if i+len(name) >= h.to || !bytes.EqualFold(h.text[i:i+len(name)], name) || isWordByte(h.text[i+len(name)]) {
			continue
		}
		i = h.tagEnd(i + len(name))
		if !closing {
			if depth++; depth > maxHTMLDepth {
				h.d.limit("nested HTML elements")
				break
			}
			continue
		}
		if depth--; depth == 0 {
			return i
		}
	}
	h.seeHidden = true
	return start
}

func isVoid(name []byte) bool {
	for _, v := range []string{"br", "hr", "img", "input", "meta", "link", "wbr", "col", "area", "base", "p", "li", "tr", "td", "th"} {
		if foldEqual(name, v) {
			return true
		}
	}
	return false
}

// isHidden reports whether attributes make an element invisible.
func isHidden(attributes []byte) bool {
	if len(attributes) < 6 {
		return false
	}
	a := attributes[:min(len(attributes), 4096)]
	for i := 0; i < len(a); i++ {
		switch a[i] | 0x20 {
		case 'd':
			if foldPrefix(a[i:], "display:none") || foldPrefix(a[i:], "display: none") {
				return true
			}
		case 'v':
			if foldPrefix(a[i:], "visibility:hidden") || foldPrefix(a[i:], "visibility: hidden") {
				return true
			}
		case 'm':
			if foldPrefix(a[i:], "mso-hide:all") || foldPrefix(a[i:], "mso-hide: all") {
				return true
			}
		case 'f':
			if foldPrefix(a[i:], "font-size:0;") || foldPrefix(a[i:], "font-size:0px") || foldPrefix(a[i:], "font-size: 0;") {
				return true
			}
		case 'h':
			if i > 0 && a[i-1] == ' ' && foldPrefix(a[i:], "hidden") && i+6 < len(a) && (a[i+6] == '>' || a[i+6] == ' ' || a[i+6] == '=') {
				return true
			}
		}
	}
	return false
}
