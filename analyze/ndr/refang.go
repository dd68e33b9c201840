package ndr

import (
	"bytes"
	"strings"
)

// refang undoes what people do to names and addresses so that nobody can click
// them (host[.]example, bob[@]host[.]example, bob(at)host), and what reading
// text off a picture does to the names of relays: blanks at their dots and
// hyphens ("outbound-us1. ppe-hosted. com"). It reports whether there was any.
func (d *Document) refang(relays []string) bool {
	var cuts [][3]int // from, to, and the byte that stands there then; 0: none
	cuts = d.fangs(cuts)
	for _, r := range relays {
		cuts = d.blanksIn(cuts, r)
	}
	if len(cuts) == 0 {
		return false
	}
	sortCuts(cuts)
	r := d.rewriter(d.Text, len(d.Text)+16)
	at := 0
	for _, c := range cuts {
		if c[0] < at {
			continue
		}
		r.copy(at, c[0])
		if c[2] != 0 {
			r.put([]byte{byte(c[2])}, c[0], c[1], segAtom)
		}
		at = c[1]
	}
	r.copy(at, len(d.Text))
	d.move(r)
	d.apply(r)
	d.noteOnce("split-host", "Names had blanks or brackets in them; they were put together again.")
	return true
}

// sortCuts puts cuts in the order of the text. They are few.
func sortCuts(cuts [][3]int) {
	for i := 1; i < len(cuts); i++ {
		for k := i; k > 0 && cuts[k][0] < cuts[k-1][0]; k-- {
			cuts[k], cuts[k-1] = cuts[k-1], cuts[k]
		}
	}
}

// maxFangs bounds what is undone in one text.
const maxFangs = 2000

// fangs are the marks that people put in place of dots and at signs.
var fangs = []struct {
	mark   string
	stands byte
}{
	{"[.]", '.'},
	{"(.)", '.'},
	{"{.}", '.'},
	{"[dot]", '.'},
	{"(dot)", '.'},
	{"[@]", '@'},
	{"(@)", '@'},
	{"[at]", '@'},
	{"(at)", '@'},
}

// fangs finds such marks between two words.
func (d *Document) fangs(cuts [][3]int) [][3]int {
	text := d.Text
	for _, open := range [...]byte{'[', '(', '{'} {
		for at := 0; at < len(text) && len(cuts) < maxFangs; {
			n := bytes.IndexByte(text[at:], open)
			if n < 0 {
				break
			}
			i := at + n
			at = i + 1
			if i == 0 || !isWordByte(text[i-1]) {
				continue
			}
			for _, f := range fangs {
				if end := i + len(f.mark); f.mark[0] == open && end < len(text) && isWordByte(text[end]) && foldPrefix(text[i:], f.mark) {
					cuts = append(cuts, [3]int{i, end, int(f.stands)})
					at = end
					break
				}
			}
		}
	}
	return cuts
}

// blanksIn finds the blanks in a relay's domain, and those between it and the
// name of a host before it.
func (d *Document) blanksIn(cuts [][3]int, domain string) [][3]int {
	pieces := strings.FieldsFunc(domain, func(r rune) bool { return r == '.' || r == '-' })
	anchor := 0 // the longest piece
	for i, p := range pieces {
		if len(p) > len(pieces[anchor]) {
			anchor = i
		}
	}
	if len(pieces) < 2 || len(pieces[anchor]) < 4 {
		return cuts
	}
	text, ahead := d.Text, strings.Index(domain, pieces[anchor])
	for at, n := 0, 0; n < 200; n++ {
		k := indexAnchored(text[at:], pieces[anchor])
		if k < 0 {
			break
		}
		k += at
		at = k + len(pieces[anchor])
		start, before := looseBack(text, k, domain[:ahead])
		end, behind := looseAhead(text, at, domain[ahead+len(pieces[anchor]):])
		if start < 0 || end < 0 || end < len(text) && (isWordByte(text[end]) || text[end] == '-') {
			continue
		}
		if start > 0 && isWordByte(text[start-1]) {
			continue
		}
		cuts = append(append(cuts, before...), behind...)
		if c, ok := blankBefore(text, start); ok {
			cuts = append(cuts, c)
		}
	}
	return cuts
}

// looseAhead matches the rest of a domain at text[at:], with blanks at its dots
// and hyphens: its end, -1 if it does not stand there, and the blanks.
func looseAhead(text []byte, at int, rest string) (end int, cuts [][3]int) {
	for i := 0; i < len(rest); {
		if c := rest[i]; c == '.' || c == '-' {
			from := at
			at = skipFew(text, at)
			if at >= len(text) || text[at] != c {
				return -1, nil
			}
			cuts = appendCut(cuts, from, at)
			at++
			from = at
			at = skipFew(text, at)
			cuts = appendCut(cuts, from, at)
			i++
			continue
		}
		if at >= len(text) || lowerASCII(text[at]) != rest[i] {
			return -1, nil
		}
		at++
		i++
	}
	return at, cuts
}

// looseBack is looseAhead for the beginning of a domain, which ends before
// text[at].
func looseBack(text []byte, at int, head string) (start int, cuts [][3]int) {
	for i := len(head); i > 0; {
		if c := head[i-1]; c == '.' || c == '-' {
			to := at
			at = skipFewBack(text, at)
			if at == 0 || text[at-1] != c {
				return -1, nil
			}
			cuts = appendCut(cuts, at, to)
			at--
			to = at
			at = skipFewBack(text, at)
			cuts = appendCut(cuts, at, to)
			i--
			continue
		}
		if at == 0 || lowerASCII(text[at-1]) != head[i-1] {
			return -1, nil
		}
		at--
		i--
	}
	return at, cuts
}

// blankBefore finds the blank between a domain at text[start:] and the label of
// a host before it: "outbound-us1 .ppe-hosted.com", "mx1-us1. ppe-hosted.com". A
// sentence that ends there has no such word at its end.
func blankBefore(text []byte, start int) (cut [3]int, ok bool) {
	dot := skipFewBack(text, start)
	if dot == 0 || text[dot-1] != '.' {
		return cut, false
	}
	end := skipFewBack(text, dot-1)
	if end == dot-1 && dot == start {
		return cut, false // nothing to drop
	}
	from, hyphen := end, false
	for from > 0 && (isWordByte(text[from-1]) || text[from-1] == '-') {
		from--
		hyphen = hyphen || text[from] == '-'
	}
	if !hyphen || end == from || !isDigit(text[end-1]) {
		return cut, false
	}
	return [3]int{end, start, '.'}, true
}

func appendCut(cuts [][3]int, from, to int) [][3]int {
	if from == to {
		return cuts
	}
	return append(cuts, [3]int{from, to, 0})
}

// skipFew skips up to two blanks, skipFewBack those before.
func skipFew(text []byte, at int) int {
	for n := 0; n < 2 && at < len(text) && text[at] == ' '; n++ {
		at++
	}
	return at
}

func skipFewBack(text []byte, at int) int {
	for n := 0; n < 2 && at > 0 && text[at-1] == ' '; n++ {
		at--
	}
	return at
}
