package ndr

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/japanese"
)

// charsetName is the declared name in lower case; the common ones cost nothing.
func charsetName(name []byte) string {
	for _, known := range []string{"utf-8", "us-ascii", "iso-8859-1"} {
		if foldEqual(name, known) {
			return known
		}
	}
	return strings.ToLower(string(name))
}

// charsets turns every part into UTF-8. What is valid UTF-8 is UTF-8, whatever
// was declared; else the declared charset holds; else Windows-1252.
func (d *Document) charsets() {
	text := d.Text
	high := hasHigh(text)
	escape := bytes.IndexByte(text, 0x1b) >= 0
	if !high && !escape || high && !escape && utf8.Valid(text) {
		return
	}
	r := d.rewriter(text, len(text)+16)
	changed := false
	d.rewriteParts(r, func(p *part, from, to int) {
		body := text[from:to]
		switch {
		case bytes.IndexByte(body, 0x1b) >= 0 && looks2022(body):
			d.decode(r, japanese.ISO2022JP, split2022, from, to)
			changed = true
		case utf8.Valid(body):
			r.copy(from, to)
		default:
			name := ""
			if p != nil {
				name = p.charset
			}
			enc, split := d.charsetOf(name)
			if enc == nil {
				d.perLine(r, from, to)
			} else {
				d.decode(r, enc, split, from, to)
			}
			changed = true
		}
	})
	if changed {
		d.apply(r)
	}
}

// splitter gives the length of the run of coded characters at the start of b;
// between runs the text is ASCII.
type splitter func(b []byte) int

// charsetOf finds a declared charset. It gives nil for none, and Latin-1 with a
// note for one that nobody knows.
func (d *Document) charsetOf(name string) (encoding.Encoding, splitter) {
	switch name {
	case "", "utf-8", "utf8", "us-ascii", "ascii", "ansi_x3.4-1968", "8bit", "unknown-8bit", "utf-7", "iso-8859-8-i":
		return nil, nil
	}
	enc, err := htmlindex.Get(name)
	if err != nil {
		if strings.HasPrefix(name, "cp") || strings.HasPrefix(name, "win") {
			enc, err = htmlindex.Get("windows-" + strings.TrimPrefix(strings.TrimPrefix(name, "cp"), "windows-"))
		}
	}
	if err != nil {
		d.noteOnce("unknown-charset", "A part declares a charset that is not known; its bytes were read as Latin-1.")
		return charmap.ISO8859_1, splitSingle
	}
	canonical, err := htmlindex.Name(enc)
	if err != nil {
		return nil, nil
	}
	switch canonical {
	case "shift_jis":
		return enc, splitShiftJIS
	case "euc-jp", "euc-kr", "gbk", "gb18030", "big5":
		return enc, splitDouble
	case "iso-2022-jp", "utf-8", "utf-16le", "utf-16be", "replacement":
		return nil, nil
	}
	return enc, splitSingle
}

// decode writes text[from:to] decoded, run by run, so that ASCII keeps its
// exact places. What a text in ISO-2022-JP has beside its runs is read line by
// line.
func (d *Document) decode(r *rewriter, enc encoding.Encoding, split splitter, from, to int) {
	text := r.source
	decoder := enc.NewDecoder()
	single, _ := enc.(*charmap.Charmap)
	at := from
	var buf [utf8.UTFMax]byte
	for i := from; i < to && !r.full; {
		if text[i] < utf8.RuneSelf && text[i] != 0x1b {
			i++
			continue
		}
		n := split(text[i:to])
		if n <= 0 {
			i++
			continue
		}
		d.perLine(r, at, i)
		if single != nil {
			for j := i; j < i+n; j++ {
				k := utf8.EncodeRune(buf[:], single.DecodeByte(text[j]))
				r.put(buf[:k], j, j+1, segAtom)
			}
		} else {
			decoder.Reset()
			out, err := decoder.Bytes(text[i : i+n])
			if err != nil || !utf8.Valid(out) {
				out = []byte(lastResort(text[i : i+n]))
			}
			r.put(out, i, i+n, segAtom)
		}
		i += n
		at = i
	}
	d.perLine(r, at, to)
}

// perLine keeps the lines that are UTF-8 and reads the others as Windows-1252:
// logs and forwarded mails mix both.
func (d *Document) perLine(r *rewriter, from, to int) {
	text := r.source
	var buf [utf8.UTFMax]byte
	for at := from; at < to && !r.full; {
		end := to
		if n := bytes.IndexByte(text[at:to], '\n'); n >= 0 {
			end = at + n + 1
		}
		if utf8.Valid(text[at:end]) {
			r.copy(at, end)
			at = end
			continue
		}
		plain := at
		for i := at; i < end; i++ {
			if text[i] < utf8.RuneSelf {
				continue
			}
			// A valid character inside a broken line stays.
			if c, n := utf8.DecodeRune(text[i:end]); c != utf8.RuneError && n > 1 {
				i += n - 1
				continue
			}
			r.copy(plain, i)
			n := utf8.EncodeRune(buf[:], windows1252(text[i]))
			r.put(buf[:n], i, i+1, segAtom)
			plain = i + 1
		}
		r.copy(plain, end)
		at = end
	}
}

func splitSingle(b []byte) int {
	n := 0
	for n < len(b) && b[n] >= utf8.RuneSelf {
		n++
	}
	return n
}

// splitDouble runs over characters of two bytes (and of four, in GB18030) whose
// second byte may be ASCII.
func splitDouble(b []byte) int {
	n := 0
	for n < len(b) && b[n] >= utf8.RuneSelf {
		n++
		if n < len(b) && b[n] >= 0x30 && b[n] != 0x7f {
			n++
		}
	}
	return n
}

// splitShiftJIS knows the half-width katakana, which have one byte.
func splitShiftJIS(b []byte) int {
	n := 0
	for n < len(b) && b[n] >= utf8.RuneSelf {
		kana := b[n] >= 0xa1 && b[n] <= 0xdf
		n++
		if !kana && n < len(b) && b[n] >= 0x40 && b[n] != 0x7f {
			n++
		}
	}
	return n
}

// looks2022 reports whether the text shifts to a set of ISO-2022-JP.
func looks2022(b []byte) bool {
	for _, shift := range []string{"\x1b$B", "\x1b$@", "\x1b(J", "\x1b(I", "\x1b$(D"} {
		if bytes.Contains(b, []byte(shift)) {
			return true
		}
	}
	return false
}

// split2022 runs from the shift away from ASCII to the shift back, within one
// line.
func split2022(b []byte) int {
	if len(b) < 3 || b[0] != 0x1b || b[1] != '$' && b[1] != '(' {
		return 0
	}
	end := len(b)
	if n := bytes.IndexByte(b, '\n'); n >= 0 {
		end = n
	}
	if n := bytes.Index(b[1:end], []byte("\x1b(B")); n >= 0 {
		return n + 4
	}
	return end
}

// noteOnce records something worth telling about the text as a whole.
func (d *Document) noteOnce(id, text string) {
	for _, n := range d.notes {
		if n.ID == id && n.Text == text {
			return
		}
	}
	d.notes = append(d.notes, Note{ID: id, Text: text})
}

// lastResort reads bytes of an unknown charset as Windows-1252.
func lastResort(b []byte) string {
	out := make([]rune, len(b))
	for i, c := range b {
		out[i] = windows1252(c)
	}
	return string(out)
}

// windows1252 is the character of a byte; the five that are not assigned are
// read as Latin-1 has them.
func windows1252(c byte) rune {
	if c < 0x80 || c > 0x9f {
		return rune(c)
	}
	return upper1252[c-0x80]
}

var upper1252 = [32]rune{
	0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0x8d, 0x17d, 0x8f,
	0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0x9d, 0x17e, 0x178,
}
