package ndr

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"strings"
	"unicode/utf8"
)

// clean runs the steps of the pre-pass in order. Each looks first whether there
// is anything to undo, so that a plain text costs a few looks and no copy.
func (d *Document) clean() {
	if len(d.input) > maxInput {
		d.limit("bytes")
		d.input = d.input[:maxInput]
	}
	d.gunzip()
	d.Text = d.input
	d.wide()
	d.bareCR = hasBareCR(d.input)
	d.odd = hasOdd(d.Text)
	d.containers()
	if d.odd && hasOdd(d.Text) {
		d.newlines()
	}
	if len(d.parts) == 0 && !isPage(d.Text) {
		if bytes.HasPrefix(d.Text, []byte("\ufeff")) {
			r := d.rewriter(d.Text, len(d.Text))
			r.copy(len("\ufeff"), len(d.Text))
			d.apply(r)
		}
		// Quoting lies over the transfer encoding of what was quoted.
		d.index()
		if d.shift() {
			d.mailsAgain()
		}
		if len(d.parts) == 0 {
			d.headless()
		}
	}
	d.undoParts()
}

// undoParts undoes what is undone part by part, the line ends first that a
// transfer encoding held.
func (d *Document) undoParts() {
	d.wideParts()
	if d.odd && hasOdd(d.Text) {
		d.newlines()
	}
	d.charsets()
	maps := len(d.maps)
	d.markup()
	d.rendered = len(d.maps) > maps
	if hasHigh(d.Text) {
		d.characters()
	}
	d.autolinks()
}

// gunzip opens a gzip. What comes out is what spans refer to.
func (d *Document) gunzip() {
	if len(d.input) < 18 || d.input[0] != 0x1f || d.input[1] != 0x8b {
		return
	}
	z, err := gzip.NewReader(bytes.NewReader(d.input))
	if err != nil {
		return
	}
	var out bytes.Buffer
	_, err = io.Copy(&out, io.LimitReader(z, maxGunzip+1))
	if out.Len() == 0 {
		return // nothing readable: it stays as it was
	}
	if err != nil {
		d.cut = true
		d.notes = append(d.notes, Note{ID: "limit-reached", Text: "The gzip is damaged or cut short; what came out before that was read."})
	}
	d.input = out.Bytes()
	if len(d.input) > maxGunzip {
		d.input = d.input[:maxGunzip]
		d.limit("decompressed bytes")
	}
}

// wide turns UTF-16 and UTF-32, with or without a mark, into UTF-8. PowerShell's
// ">" writes it.
func (d *Document) wide() {
	text := d.Text
	var order binary.ByteOrder
	unit, at := 2, 0
	switch {
	case bytes.HasPrefix(text, []byte{0xff, 0xfe, 0, 0}):
		order, unit, at = binary.LittleEndian, 4, 4
	case bytes.HasPrefix(text, []byte{0, 0, 0xfe, 0xff}):
		order, unit, at = binary.BigEndian, 4, 4
	case bytes.HasPrefix(text, []byte{0xff, 0xfe}):
		order, at = binary.LittleEndian, 2
	case bytes.HasPrefix(text, []byte{0xfe, 0xff}):
		order, at = binary.BigEndian, 2
	default:
		if order = wideWithoutMark(text); order == nil {
			return
		}
	}
	r := d.rewriter(text, len(text)+16)
	wideUnits(r, order, unit, at, len(text))
	d.apply(r)
}

// wideUnits writes source[at:to], in units of 2 or 4 bytes, as UTF-8.
func wideUnits(r *rewriter, order binary.ByteOrder, unit, at, to int) {
	text := r.source[:to]
	var buf [utf8.UTFMax]byte
	for ; at+unit <= len(text) && !r.full; at += unit {
		var c rune
		end := at + unit
		if unit == 4 {
			c = rune(order.Uint32(text[at:]))
		} else {
			c = rune(order.Uint16(text[at:]))
			if c >= 0xd800 && c < 0xdc00 && end+2 <= len(text) {
				if low := rune(order.Uint16(text[end:])); low >= 0xdc00 && low < 0xe000 {
					c = 0x10000 + (c-0xd800)<<10 + (low - 0xdc00)
					end += 2
				}
			}
		}
		if c == 0 {
			continue
		}
		if c < utf8.RuneSelf && unit == 2 {
			r.wide(byte(c), at)
			continue
		}
		n := utf8.EncodeRune(buf[:], c)
		r.put(buf[:n], at, end, segAtom)
		at = end - unit
	}
}

// isWideCharset reports whether a declared charset has two bytes to a unit.
func isWideCharset(name string) bool { return strings.HasPrefix(name, "utf-16") }

// wideParts turns the parts that are UTF-16 inside their transfer encoding into
// UTF-8.
func (d *Document) wideParts() {
	order := func(p *part, text []byte) binary.ByteOrder {
		if p == nil || !isWideCharset(p.charset) || p.end-p.start < 4 || bytes.IndexByte(text, 0) < 0 {
			return nil // of another charset, or only said to be
		}
		switch {
		case text[0] == 0xff && text[1] == 0xfe:
			return binary.LittleEndian
		case text[0] == 0xfe && text[1] == 0xff:
			return binary.BigEndian
		case p.charset == "utf-16be" || p.charset == "utf-16" && text[0] == 0:
			return binary.BigEndian
		}
		return binary.LittleEndian
	}
	some := false
	for i := range d.parts {
		p := &d.parts[i]
		some = some || order(p, d.Text[p.start:p.end]) != nil
	}
	if !some {
		return
	}
	r := d.rewriter(d.Text, len(d.Text)+16)
	d.rewriteParts(r, func(p *part, from, to int) {
		o := order(p, r.source[from:to])
		if o == nil {
			r.copy(from, to)
			return
		}
		d.odd = true // the line ends and marks that were inside
		wideUnits(r, o, 2, from, to)
	})
	d.apply(r)
}

// wideWithoutMark looks for UTF-16 that lost its mark: every other byte is NUL
// in nearly all of the first bytes.
func wideWithoutMark(text []byte) binary.ByteOrder {
	head := text[:min(len(text), 512)&^1]
	if len(head) < 8 || bytes.IndexByte(head, 0) < 0 {
		return nil
	}
	var even, odd int
	for i := 0; i < len(head); i += 2 {
		if head[i] == 0 {
			even++
		}
		if head[i+1] == 0 {
			odd++
		}
	}
	pairs := len(head) / 2
	switch {
	case odd*10 >= pairs*8 && even*10 <= pairs:
		return binary.LittleEndian
	case even*10 >= pairs*8 && odd*10 <= pairs:
		return binary.BigEndian
	}
	return nil
}

// newlines makes every line end in LF and drops NULs. Where a mail was taken
// apart before, parts keep their places.
func (d *Document) newlines() {
	text := d.Text
	r := d.rewriter(text, len(text)+16)
	r.m.segments = make([]segment, 0, min(bytes.Count(text[:min(len(text), maxCleaned)], []byte{'\r'})+16, maxSegments))
	d.rewriteParts(r, func(_ *part, from, to int) {
		plainLines(r, text, from, to)
	})
	d.apply(r)
}

// plainLines copies text[from:to] with LF line ends and without NULs.
func plainLines(r *rewriter, text []byte, from, to int) {
	at := from
	stretch := text[from:to]
	if bytes.IndexByte(stretch, '\r') < 0 && bytes.IndexByte(stretch, 0) < 0 && !hasLineTabs(stretch) {
		r.copy(from, to)
		return
	}
	for i := from; i < to && !r.full; i++ {
		switch text[i] {
		case '\r':
			r.copy(at, i)
			at = i + 1
			k := at
			for k < to && text[k] == '\r' {
				k++
			}
			if k < len(text) && text[k] == '\n' {
				// The LF is copied with what follows it; CR CR LF is what a
				// second program makes of CRLF.
				at, i = k, k-1
				continue
			}
			r.put(lf, i, i+1, segAtom)
		case '\v', '\f':
			r.copy(at, i)
			r.put(lf, i, i+1, segAtom)
			at = i + 1
		case 0:
			r.copy(at, i)
			at = i + 1
		}
	}
	r.copy(at, to)
}

// rewriteParts calls do for every part and for every gap between parts (then
// with nil), in order, and moves the marks of parts and mails to their new
// places.
func (d *Document) rewriteParts(r *rewriter, do func(p *part, from, to int)) {
	at := 0
	for i := range d.parts {
		p := &d.parts[i]
		if p.start > at {
			do(nil, at, p.start)
			at = p.start
		}
		if p.end > at {
			do(p, at, p.end)
			at = p.end
		}
	}
	if at < len(r.source) {
		do(nil, at, len(r.source))
	}
	d.move(r)
}

// move puts the marks of parts and mails where their text went.
func (d *Document) move(r *rewriter) {
	for i := range d.parts {
		p := &d.parts[i]
		p.start, p.end = r.forward(p.start), r.forward(p.end)
	}
	for i := range d.mails {
		m := &d.mails[i]
		m.start, m.body, m.end = r.forward(m.start), r.forward(m.body), r.forward(m.end)
	}
}

// hasBareCR reports whether a CR stands without an LF behind it.
func hasBareCR(text []byte) bool {
	for at := 0; ; {
		n := bytes.IndexByte(text[at:], '\r')
		if n < 0 {
			return false
		}
		at += n + 1
		if at == len(text) || text[at] != '\n' {
			return true
		}
	}
}

// hasOdd reports whether the text has what newlines undoes.
func hasOdd(text []byte) bool {
	return bytes.IndexByte(text, '\r') >= 0 || bytes.IndexByte(text, 0) >= 0 || hasLineTabs(text)
}

// hasLineTabs reports whether a VT or FF ends a line in the text.
func hasLineTabs(text []byte) bool {
	return bytes.IndexByte(text, '\v') >= 0 || bytes.IndexByte(text, '\f') >= 0
}

// hasHigh reports whether the text has bytes above ASCII.
func hasHigh(text []byte) bool {
	for len(text) >= 32 {
		if (binary.LittleEndian.Uint64(text)|binary.LittleEndian.Uint64(text[8:])|binary.LittleEndian.Uint64(text[16:])|binary.LittleEndian.Uint64(text[24:]))&0x8080808080808080 != 0 {
			return true
		}
		text = text[32:]
	}
	for len(text) >= 8 {
		if binary.LittleEndian.Uint64(text)&0x8080808080808080 != 0 {
			return true
		}
		text = text[8:]
	}
	for _, c := range text {
		if c >= utf8.RuneSelf {
			return true
		}
	}
	return false
}
