package ndr

// How the package is built, for whoever adds a reader:
//
//	doc := Prepare(input)     // the pre-pass: a cleaned view with a map back
//	for each block of doc     // one report, one log, one dialogue (block.go)
//	    the family with the best sniff reads it into Cases
//
// A reader works on doc.Text: UTF-8, LF only, transfer encodings, HTML, quoting,
// invisible characters undone. It names facts by offsets in doc.Text and turns
// them into places of the input with doc.Span(start, end); doc.Quote(span) cuts
// the quote from the input, never from the cleaned text. A line is doc.Line(i),
// without its LF and without a copy; doc.LineStart(i) is its offset.
//
// Readers must not keep slices of doc.Text in their results (they would pin the
// whole text): convert to string what is kept.

import (
	"bytes"
	"sort"
	"unicode/utf8"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Limits of the pre-pass. A text that runs into one of them is read as far as
// the limit, gets a Note "limit-reached" and makes its cases Partial.
const (
	maxInput      = 1 << 30   // bytes of one input
	maxCleaned    = 16 << 20  // bytes of cleaned text, when it is a copy
	maxSegments   = 500_000   // pieces that a cleaned text is made of
	maxLines      = 2_000_000 // lines that are looked at
	maxLine       = 64 << 10  // bytes of a line kept for matching
	maxHeader     = 256 << 10 // bytes of one header block
	maxMIMEDepth  = 20
	maxParts      = 10_000
	maxHTMLDepth  = 200
	maxQuoteDepth = 20
	maxGunzip     = 16 << 20 // bytes out of a gzip
)

// large is the size in bytes from which a text is counted before lists of its
// pieces are made: a list that grows leaves its own size behind.
const large = 1 << 20

// Document is an input and its cleaned view.
type Document struct {
	// Text is the cleaned view: UTF-8, lines ended by LF. It is the input itself
	// when nothing had to be undone; do not write to it.
	Text []byte

	input  []byte      // what spans refer to: the input, or what its gzip held
	maps   []offsetMap // from Text back to input; the last one made comes last
	starts []int32     // offsets of the line starts in Text
	heads  []byte      // the first byte of each line: to find lines by it without looking at each
	parts  []part      // leaves of the MIME structure, in the order of the text
	mails  []mailRange // mails in the text, in order; one inside another stands behind it
	notes  []Note
	cut    bool // a limit was hit

	packed  *Document // what the input was packed in; nil: the input is what was given
	wrapped *Document // of a view with wrapped lines joined: the document itself

	rendered bool     // markup was turned into text
	dropped  bool     // a part that is not text was left out
	buffers  *buffers // borrowed ones; nil: the document's own
	indexed  int      // one more than the maps that were there when the lines were indexed
	onlyCut  bool     // the last map's text is the one before without some stretches
	bareCR   bool     // the input has CR that no LF follows
	odd      bool     // the text may have CR, NUL, VT or FF
	base     int      // offset of the input in what was given, where it is a section of it
	baseLine int      // lines of that before it
	markLine int      // memory of the last place asked for: line number …
	markAt   int      // … and offset of that line's start in input
}

// Prepare undoes what mail programs, transports and people did to a text
// (newlines, MIME, charsets, HTML, quoting, invisible characters) and keeps the
// way back. It never fails: what cannot be undone stays as it was. A gzip is
// opened, and spans then refer to what it held.
func Prepare(input []byte) *Document { return prepare(input, relayDomains(nil)) }

// prepare is Prepare for relays of other names, which count when a wrapped host
// name is joined.
func prepare(input []byte, relays []string) *Document {
	d := &Document{Text: input, input: input, markLine: 1}
	d.undo(relays)
	return d
}

// borrow is prepare with buffers from the pool: release must follow.
func borrow(input []byte, relays []string) *Document {
	b, _ := bufferPool.Get().(*buffers)
	d := &b.doc
	*d = Document{Text: input, input: input, markLine: 1, buffers: b, starts: b.starts, heads: b.heads, parts: b.parts, mails: b.mails, maps: b.maps}
	d.undo(relays)
	return d
}

// undo runs all steps of the pre-pass.
func (d *Document) undo(relays []string) {
	d.clean()
	d.index()
	shifted := d.shift()
	if (shifted || d.rendered) && len(d.mails) == 0 && d.mailsAgain() {
		d.undoParts()
		d.index()
	}
	if d.refang(relays) {
		d.index()
	}
	if d.joinHosts(relays) {
		d.index()
	}
}

// shift takes off what stands before lines and between them: colours, line
// numbers, blanks, marks of quoting, the empty lines of a paste. It reports
// whether anything did.
func (d *Document) shift() bool {
	shifted := d.uncolour()
	if shifted {
		d.index()
	}
	if d.unnumber() {
		shifted = true
		d.index()
	}
	if d.dedent() {
		shifted = true
		d.index()
	}
	if d.quoting() {
		shifted = true
		d.index()
		if d.dedent() {
			d.index()
		}
	}
	if d.uncut() {
		shifted = true
		d.index()
	}
	if len(d.mails) == 0 && d.undouble() {
		shifted = true
		d.index()
	}
	return shifted
}

// mailsAgain looks for mails once more, where marks, blanks or markup had hidden
// them. It reports whether there are any.
func (d *Document) mailsAgain() bool {
	parts := d.parts
	d.parts = nil
	d.containers()
	if len(d.mails) == 0 {
		d.parts = parts
		return false
	}
	d.index()
	return true
}

// relayDomains are the service's domain and those that the caller adds.
func relayDomains(more []string) []string {
	if len(more) == 0 {
		return serviceDomain
	}
	return append(append(make([]string, 0, len(more)+1), serviceDomain...), more...)
}

var serviceDomain = []string{transcript.RelayDomain}

// index finds the line starts of Text.
func (d *Document) index() {
	if d.starts != nil && len(d.maps) == d.indexed-1 {
		return // nothing was undone since
	}
	if d.indexed > 0 && len(d.maps) == d.indexed && d.onlyCut && len(d.Text) <= maxLine {
		d.reindex(d.maps[len(d.maps)-1].segments)
		d.indexed++
		return
	}
	d.indexed = len(d.maps) + 1
	if d.starts == nil {
		d.starts = make([]int32, 0, min(16+len(d.Text)/30, 1<<18))
	}
	if len(d.Text) > large {
		lines := min(bytes.Count(d.Text, lf)+1, maxLines)
		if lines > cap(d.starts) {
			d.starts = make([]int32, 0, lines)
		}
		if lines > cap(d.heads) {
			d.heads = make([]byte, 0, lines)
		}
	}
	d.starts, d.heads = d.starts[:0], d.heads[:0]
	for at := 0; at < len(d.Text); {
		if len(d.starts) == maxLines {
			d.limit("lines")
			d.Text = d.Text[:at]
			return
		}
		d.starts = append(d.starts, int32(at))
		d.heads = append(d.heads, d.Text[at])
		n := bytes.IndexByte(d.Text[at:], '\n')
		if n > maxLine || n < 0 && len(d.Text)-at > maxLine {
			d.limit("bytes of one line")
		}
		if n < 0 {
			return
		}
		at += n + 1
	}
}

// reindex makes the line starts of a text from those of the text before, of
// which only the segments were kept.
func (d *Document) reindex(segments []segment) {
	old, k := d.starts, 0
	starts := d.starts[:0] // no more than were read of the old ones
	for _, s := range segments {
		for k < len(old) && old[k] <= s.in {
			k++
		}
		if int(s.out) < len(d.Text) && (s.out == 0 || d.Text[s.out-1] == '\n') {
			starts = append(starts, s.out)
		}
		for ; k < len(old) && old[k] < s.end; k++ {
			starts = append(starts, old[k]-s.in+s.out)
		}
	}
	d.starts, d.heads = starts, d.heads[:0]
	for _, at := range starts {
		d.heads = append(d.heads, d.Text[at])
	}
}

// NumLines is the number of lines of Text.
func (d *Document) NumLines() int { return len(d.starts) }

// LineStart is the offset in Text of line i; NumLines gives the end of Text.
func (d *Document) LineStart(i int) int {
	if i >= len(d.starts) {
		return len(d.Text)
	}
	return int(d.starts[i])
}

// LineEnd is the offset in Text of the LF that ends line i, or the end of Text.
func (d *Document) LineEnd(i int) int {
	if i+1 < len(d.starts) {
		return int(d.starts[i+1]) - 1
	}
	end := len(d.Text)
	if end > 0 && d.Text[end-1] == '\n' && i < len(d.starts) {
		end--
	}
	return end
}

// Line is line i (0-based) without its LF, at most maxLine bytes of it. It
// aliases Text.
func (d *Document) Line(i int) []byte {
	start, end := d.LineStart(i), d.LineEnd(i)
	end = start + wholeRunes(d.Text[start:end], maxLine)
	return d.Text[start:end:end]
}

// LineAt is the number (0-based) of the line that holds the offset in Text.
func (d *Document) LineAt(offset int) int {
	return sort.Search(len(d.starts), func(i int) bool { return int(d.starts[i]) > offset }) - 1
}

// Span is the place in the input of Text[start:end]. What was undone inside the
// range belongs to it, so its quote may be longer than the cleaned words.
func (d *Document) Span(start, end int) transcript.Span {
	if d.wrapped != nil {
		return d.wrapped.Span(start, end)
	}
	start = min(max(start, 0), len(d.Text))
	end = min(max(end, start), len(d.Text))
	from, to := start, end
	for i := len(d.maps) - 1; i >= 0; i-- {
		from, to = d.maps[i].back(from, to)
	}
	from = min(max(from, 0), len(d.input))
	to = min(max(to, from), len(d.input))
	if d.packed != nil {
		return d.packed.Span(d.base+from, d.base+to)
	}
	line, column := d.place(from)
	return transcript.Span{Offset: d.base + from, End: d.base + to, Line: d.baseLine + line, Column: column}
}

// Quote is what stands in the input at the span, as valid UTF-8: bytes that are
// not are shown as the charset of last resort, Windows-1252, has them.
func (d *Document) Quote(s transcript.Span) string {
	start := min(max(s.Offset-d.base, 0), len(d.input))
	end := min(max(s.End-d.base, start), len(d.input))
	cut := d.input[start:end]
	if utf8.Valid(cut) {
		return string(cut)
	}
	return lastResort(cut)
}

// Input is what spans refer to: the bytes given to Prepare, or what was inside
// them when they were a gzip.
func (d *Document) Input() []byte { return d.input }

// Notes are what Prepare has to say about the text.
func (d *Document) Notes() []Note { return d.notes }

// Partial reports whether a limit cut the text.
func (d *Document) Partial() bool { return d.cut }

// place finds line and column (1-based, in characters) of an offset of the
// input. Places are mostly asked for in rising order, so it counts on from the
// last one.
func (d *Document) place(offset int) (line, column int) {
	if offset < d.markAt {
		if len(d.maps) == 0 && !d.bareCR {
			i := max(d.LineAt(offset), 0)
			d.markLine, d.markAt = i+1, d.LineStart(i)
		} else {
			d.markLine, d.markAt = 1, 0
		}
	}
	line, start := d.markLine, d.markAt
	between := d.input[start:offset]
	if d.bareCR {
		for i := 0; i < len(between); i++ {
			if endsLine(d.input, start+i) {
				line++
				d.markAt = start + i + 1
			}
		}
	} else if n := bytes.Count(between, lf); n > 0 {
		line += n
		d.markAt = start + bytes.LastIndexByte(between, '\n') + 1
	}
	d.markLine = line
	return line, 1 + utf8.RuneCount(d.input[d.markAt:offset])
}

// endsLine reports whether the byte at i ends a line: an LF, or a CR that no LF
// follows.
func endsLine(text []byte, i int) bool {
	return text[i] == '\n' || text[i] == '\r' && !(i+1 < len(text) && text[i+1] == '\n')
}

var lf = []byte{'\n'}

// limit records that a cap was hit, once per kind of cap.
func (d *Document) limit(what string) {
	d.cut = true
	text := "The text has more " + what + " than are read; the rest was left out."
	for _, n := range d.notes {
		if n.Text == text {
			return
		}
	}
	d.notes = append(d.notes, Note{ID: "limit-reached", Text: text})
}
