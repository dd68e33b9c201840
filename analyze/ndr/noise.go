package ndr

import "bytes"

// findNoise finds the lines that stand in the block without being its words:
// MIME boundaries with their part headers, and the small header that a mail
// program prints above a forwarded or answered mail.
func (b *Block) findNoise() {
	d := b.Doc
	if b.mail != nil && len(d.parts) > 0 {
		at := b.mail.body
		for i := range d.parts {
			p := &d.parts[i]
			if p.end <= at || p.start >= b.mail.end {
				continue
			}
			b.mimeNoise(at, p.start)
			at = max(at, p.end)
		}
		b.mimeNoise(at, b.mail.end)
	}
	run, first := 0, 0
	for i := 0; i < len(b.marks); i++ {
		m := &b.marks[i]
		if m.sign != signMailFrom && (m.sign != signMailLine || run == 0) {
			continue
		}
		line := int(m.line)
		if m.sign == signMailFrom && run == 0 {
			run, first = 1, line
		}
		// The labels stand on consecutive lines; a value may be folded.
		last := first
		k := i + 1
		for k < len(b.marks) && (b.marks[k].sign == signMailLine || b.marks[k].sign == signMailFrom) && int(b.marks[k].line) <= last+2 && b.adjoins(last, int(b.marks[k].line)) {
			last = int(b.marks[k].line)
			run++
			k++
		}
		if run >= 3 {
			if first > b.First && foldPrefix(bytes.TrimLeft(d.Line(first-1), " \t*"), "subject:") {
				first--
			}
			b.addNoise(first, last+1)
			if b.isLetterhead(first, last) {
				b.letterheads = append(b.letterheads, [2]int{d.LineStart(first), d.LineEnd(last)})
			}
		}
		run = 0
		i = k - 1
	}
}

// isLetterhead reports whether the labelled lines are the header that a mail
// program prints above a forwarded letter, and not the entry of a device's log:
// it tells when the letter was sent, or a forward mark stands above it, and an
// empty line ends it.
func (b *Block) isLetterhead(first, last int) bool {
	d := b.Doc
	if last+1 < b.Last && len(bytes.TrimSpace(d.Line(last+1))) > 0 || len(b.letterheads) >= 100 {
		return false
	}
	if first > b.First {
		above := bytes.TrimSpace(d.Line(first - 1))
		if len(above) == 0 && first-1 > b.First {
			above = bytes.TrimSpace(d.Line(first - 2))
		}
		if s, _ := signAt(above); s == signForward || isRule(above) {
			return true
		}
	}
	for i := first; i <= last; i++ {
		l := bytes.TrimLeft(d.Line(i), " \t*")
		for _, w := range sentLabels {
			if foldPrefix(l, w) {
				return true
			}
		}
	}
	return false
}

// sentLabels are the labels of the time at which a letter was sent.
var sentLabels = []string{"sent:", "gesendet:", "envoyé", "enviado", "inviato:", "verzonden:", "skickat:", "date:", "datum:", "fecha:", "送信日時:"}

// inLetterhead reports whether the offset lies in the header of a forwarded
// letter: its people are not those of the mail that failed.
func (b *Block) inLetterhead(offset int) bool {
	for _, r := range b.letterheads {
		if offset >= r[0] && offset < r[1] {
			return true
		}
	}
	return false
}

// adjoins reports whether no empty line stands between two lines.
func (b *Block) adjoins(first, last int) bool {
	for i := first + 1; i < last; i++ {
		if len(bytes.TrimSpace(b.Doc.Line(i))) == 0 {
			return false
		}
	}
	return true
}

// mimeNoise adds the boundary and header lines of Text[from:to], which lies
// between two parts. Other words there are kept: a damaged mail may have its
// report outside any part.
func (b *Block) mimeNoise(from, to int) {
	if from >= to {
		return
	}
	d := b.Doc
	first := -1
	last := d.lineFrom(to)
	for i := d.lineFrom(from); i < last; i++ {
		l := d.Line(i)
		switch {
		case len(l) > 2 && l[0] == '-' && l[1] == '-':
			if first < 0 {
				first = i
			}
		case first >= 0 && len(l) > 0 && (foldPrefix(l, "content-") || l[0] == ' ' || l[0] == '\t' || isLostParameter(l)):
		default:
			if first >= 0 {
				b.addNoise(first, i)
				first = -1
			}
		}
	}
	if first >= 0 {
		b.addNoise(first, last)
	}
}

// addNoise keeps the ranges in order; only so many are worth it.
func (b *Block) addNoise(first, last int) {
	if len(b.noise) < 1000 {
		b.noise = append(b.Doc.roomForRanges(b.noise), lineRange{first, last})
	}
}
