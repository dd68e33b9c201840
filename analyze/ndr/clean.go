package ndr

import "bytes"

// clean runs the steps of the pre-pass in order. Each looks first whether there
// is anything to undo, so that a plain text costs one look.
func (d *Document) clean() {
	if len(d.Text) > maxInput {
		d.limit("bytes", maxInput)
		d.Text = d.Text[:maxInput]
		d.input = d.Text
	}
	d.newlines()
}

// newlines makes every line end in LF and drops NULs.
func (d *Document) newlines() {
	text := d.Text
	if bytes.IndexByte(text, '\r') < 0 && bytes.IndexByte(text, 0) < 0 && bytes.IndexByte(text, '\v') < 0 && bytes.IndexByte(text, '\f') < 0 {
		return
	}
	r := newRewriter(text)
	at := 0
	for i := 0; i < len(text) && !r.full; i++ {
		switch text[i] {
		case '\r':
			r.copy(at, i)
			at = i + 1
			if at < len(text) && text[at] == '\n' {
				continue // the LF is copied with what follows it
			}
			d.bareCR = true
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
	r.copy(at, len(text))
	d.apply(r)
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
