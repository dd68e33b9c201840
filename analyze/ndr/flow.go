package ndr

import (
	"bytes"
	"encoding/binary"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// flow is a stretch of the document as running text: any white space between
// two words, line ends included, is one blank. Offsets of it lead back to the
// document.
type flow struct {
	doc  *Document
	text []byte
	cuts []flowCut // in order; the first is {0, start}
}

// flowCut says that from an offset of the flow on its bytes stand one after the
// other in the document from an offset there.
type flowCut struct{ at, doc int32 }

// flow makes running text of Text[start:end]. A stretch that has nothing to
// join is not copied.
func (d *Document) flow(start, end int) flow {
	text := d.Text
	for start < end && isBlank(text[start]) {
		start++
	}
	for end > start && isBlank(text[end-1]) {
		end--
	}
	if end-start > maxLine {
		d.limit("bytes of one paragraph")
		end = start + wholeRunes(text[start:end], maxLine)
	}
	f := flow{doc: d}
	stretch := text[start:end:end]
	if !needsJoining(stretch) {
		f.text, f.cuts = stretch, append(d.roomForCuts(1), flowCut{0, int32(start)})
		return f
	}
	f.cuts = append(d.roomForCuts(8), flowCut{0, int32(start)})
	out := d.roomForText(len(stretch))
	for i := 0; i < len(stretch); {
		// A line at a time; most have single blanks only.
		j := len(stretch)
		if n := bytes.IndexByte(stretch[i:], '\n'); n >= 0 {
			j = i + n
		}
		line := stretch[i:j]
		for len(line) > 0 && isBlank(line[len(line)-1]) {
			line = line[:len(line)-1]
		}
		if len(line) > 0 {
			if needsJoining(line) {
				out = f.words(out, line, start+i)
			} else {
				out = append(out, line...)
			}
			out = append(out, ' ')
		}
		// The next line's words.
		for i = j; i < len(stretch) && isBlank(stretch[i]); {
			i++
		}
		if i < len(stretch) {
			f.cuts = append(f.cuts, flowCut{int32(len(out)), int32(start + i)})
		}
	}
	if n := len(out); n > 0 && out[n-1] == ' ' {
		out = out[:n-1]
	}
	f.text = out
	return f
}

// words appends the words of a line with single blanks between them; it begins
// at an offset of the document.
func (f *flow) words(out, line []byte, at int) []byte {
	for i := 0; i < len(line); {
		j := i
		for j < len(line) && !isBlank(line[j]) {
			j++
		}
		out = append(out, line[i:j]...)
		i = j
		for i < len(line) && isBlank(line[i]) {
			i++
		}
		if i < len(line) {
			out = append(out, ' ')
			if i != j+1 {
				f.cuts = append(f.cuts, flowCut{int32(len(out)), int32(at + i)})
			}
		}
	}
	return out
}

// needsJoining reports whether white space other than single blanks stands in
// the text.
func needsJoining(text []byte) bool {
	const spaces = 0x2020202020202020
	before := uint64(0) // the high bit of the first byte is set if a blank stands before it
	for len(text) >= 8 {
		w := binary.LittleEndian.Uint64(text)
		blank := zeroBytes(w ^ spaces)
		// A byte below the blank is one of the two, nearly always.
		if blank&(blank<<8|before) != 0 || (w-spaces)&^w&highBits != 0 && needsJoiningBytes(text[:8], before != 0) {
			return true
		}
		before = blank >> 56
		text = text[8:]
	}
	return needsJoiningBytes(text, before != 0)
}

// needsJoiningBytes is needsJoining byte by byte; behind says that a blank
// stands before the text.
func needsJoiningBytes(text []byte, behind bool) bool {
	for _, c := range text {
		if c == '\n' || c == '\t' || c == ' ' && behind {
			return true
		}
		behind = c == ' '
	}
	return false
}

const highBits = 0x8080808080808080

// zeroBytes has the high bit of each byte set that is zero in w.
func zeroBytes(w uint64) uint64 { return ^((w&^highBits + ^uint64(highBits)) | w) & highBits }

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' }

// at is the offset in the document of an offset of the flow.
func (f *flow) at(offset int) int {
	lo, hi := 0, len(f.cuts)
	for hi-lo > 1 {
		mid := (lo + hi) / 2
		if int(f.cuts[mid].at) <= offset {
			lo = mid
		} else {
			hi = mid
		}
	}
	return int(f.cuts[lo].doc) + offset - int(f.cuts[lo].at)
}

// end is the offset in the document behind the byte before an offset of the
// flow.
func (f *flow) end(offset int) int {
	if offset == 0 {
		return f.at(0)
	}
	return f.at(offset-1) + 1
}

// span is the place in the input of a range of the flow.
func (f *flow) span(start, end int) transcript.Span { return f.doc.Span(f.at(start), f.end(end)) }

// find is the offset of the phrase at or after from, -1 if it is not there. The
// phrase has single blanks between its words and is compared as it stands.
func (f *flow) find(phrase string, from int) int {
	if from > len(f.text) {
		return -1
	}
	n := bytes.Index(f.text[from:], []byte(phrase))
	if n < 0 {
		return -1
	}
	return from + n
}

// mention makes a Mention of a range of the flow.
func (f *flow) mention(role Role, h host, start, end int) Mention {
	return Mention{Host: h.name, Address: h.address, Port: h.port, Role: role, Span: f.span(start, end)}
}

// addAddress adds the address that stands at text[start:end] to a mention, and
// makes it one when nothing was known of the host before.
func (f *flow) addAddress(m *Mention, role Role, address string, start, end int) {
	m.Address = address
	if m.Span.Line == 0 {
		m.Role, m.Span = role, f.span(start, end)
	}
}

// reply reads text[start:end] of the flow as a reply; it reports false when it
// is none.
func (f *flow) reply(start, end int) (transcript.Reply, bool) {
	for start < end && f.text[start] == ' ' {
		start++
	}
	for end > start && f.text[end-1] == ' ' {
		end--
	}
	r, ok := transcript.ParseReply(string(f.text[start:end]))
	if !ok {
		return transcript.Reply{}, false
	}
	r.Span = f.span(start, end)
	return r, true
}

// foldIndex finds a phrase, given in lower case, in any case; -1 if it is not
// there. It is anchored on the two cases of the first byte.
func foldIndex(text []byte, phrase string) int {
	first := phrase[0]
	upper := first
	if first >= 'a' && first <= 'z' {
		upper = first - 'a' + 'A'
	}
	// The next place of either case, looked up again only when it was passed:
	// the text is read once, however rare one of them is.
	next := func(c byte, at int) int {
		if n := bytes.IndexByte(text[at:], c); n >= 0 {
			return at + n
		}
		return len(text)
	}
	a, b := next(first, 0), next(upper, 0)
	for {
		at := min(a, b)
		if at+len(phrase) > len(text) {
			return -1
		}
		if foldPrefix(text[at:], phrase) {
			return at
		}
		if a == at {
			a = next(first, at+1)
		}
		if b == at {
			b = next(upper, at+1)
		}
	}
}
