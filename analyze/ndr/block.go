package ndr

import "github.com/smtp-handoff/handoff/analyze/transcript"

// Options shape a reading. The zero value is usable.
type Options struct {
	// RelayDomains are the domains of relays, beside ppe-hosted.com. A host name
	// that a mail program wrapped over a line end is joined when the result ends
	// in one of them or stands elsewhere in the text.
	RelayDomains []string
}

// Read reads everything a text holds: each report, log, dialogue or program
// error in it is a Case, in the order of the text. A text that is none of these
// gives one Case without Items, of NatureOther for a mail and NatureUnknown
// otherwise. It never fails.
func Read(input []byte) []Case { return Options{}.Read(input) }

// Read is the function Read under these options.
func (o Options) Read(input []byte) []Case {
	doc := Prepare(input)
	var cases []Case
	for _, b := range doc.blocks(o) {
		cases = append(cases, b.read()...)
	}
	return doc.finish(cases)
}

// family is a kind of report, log or dialogue and its reader.
//
// To add one, put a row into the table of its area: reportFamilies
// (report_table.go) or traceFamilies (log_table.go: logs, dialogues, program
// errors).
type family struct {
	format string // Case.Format, kebab-case
	nature Nature
	// sniff says how sure it is that the block is of this family: 0 not, 100
	// no doubt. The highest wins; among equals the first in the table. It must be
	// cheap: look at b.first, at a few lines, or search with b.has.
	sniff func(b *Block) int
	// read gives the cases of the block. It may leave Format, Nature and Span
	// empty: they are filled in from the row and the block. When it gives none,
	// the next best family is asked.
	read func(b *Block) []Case
}

// lineClass says what a single line looks like by itself; runs of log or
// dialogue lines in the middle of prose or of a report become blocks of their
// own.
type lineClass uint8

const (
	lineOther    lineClass = iota
	lineLog                // a log line of a mail server: stamp, program, message
	lineDialogue           // a line of an SMTP dialogue with marks (swaks, curl, C:/S:)
)

// Block is a range of lines that is one report, one log or one dialogue.
// Lines are numbered as in the document: First is the first, Last is behind the
// last.
//
//	for i := b.First; i < b.Last; i++ {
//		line := b.Doc.Line(i)             // no LF, no copy
//		at := b.Doc.LineStart(i)          // offset in Doc.Text
//	}
//	b.Doc.Span(at, at+n)                  // place in the input, for evidence
//	b.mention(Refuser, host, start, end)  // a Mention with its span
type Block struct {
	Doc         *Document
	First, Last int
	// Mail is the header of the mail the block is the body of; nil when the
	// block is a bare text.
	Mail    *mail
	options Options
}

// Start is the offset of the block in Doc.Text.
func (b *Block) Start() int { return b.Doc.LineStart(b.First) }

// End is the offset behind the block in Doc.Text.
func (b *Block) End() int { return b.Doc.LineStart(b.Last) }

// Text is the block's part of Doc.Text.
func (b *Block) Text() []byte { return b.Doc.Text[b.Start():b.End():b.End()] }

// mention makes a Mention of Doc.Text[start:end].
func (b *Block) mention(role Role, h host, start, end int) Mention {
	return Mention{Host: h.name, Address: h.address, Port: h.port, Role: role, Span: b.Doc.Span(start, end)}
}

// span is the place of Doc.Text[start:end] in the input.
func (b *Block) span(start, end int) transcript.Span { return b.Doc.Span(start, end) }

// mail is the header of a mail, as far as readers want it.
type mail struct {
	start, end int // in Doc.Text
}

// blocks splits the document.
func (d *Document) blocks(o Options) []*Block {
	if d.NumLines() == 0 {
		return nil
	}
	return []*Block{{Doc: d, First: 0, Last: d.NumLines(), options: o}}
}

// read asks the families, the surest first.
func (b *Block) read() []Case {
	type bid struct {
		f    *family
		sure int
	}
	var bids []bid
	for _, table := range [][]family{reportFamilies, traceFamilies} {
		for i := range table {
			f := &table[i]
			sure := f.sniff(b)
			if sure <= 0 {
				continue
			}
			at := len(bids)
			for at > 0 && bids[at-1].sure < sure {
				at--
			}
			bids = append(bids, bid{})
			copy(bids[at+1:], bids[at:])
			bids[at] = bid{f, sure}
		}
	}
	for _, one := range bids {
		cases := one.f.read(b)
		if len(cases) == 0 {
			continue
		}
		for i := range cases {
			c := &cases[i]
			if c.Format == "" {
				c.Format = one.f.format
			}
			if c.Nature == NatureUnknown {
				c.Nature = one.f.nature
			}
			if c.Span.IsZero() {
				c.Span = b.span(b.Start(), b.End())
			}
		}
		return cases
	}
	return nil
}

// finish adds what holds for the document as a whole.
func (d *Document) finish(cases []Case) []Case {
	if len(cases) == 0 {
		cases = []Case{{Span: d.Span(0, len(d.Text))}}
	}
	cases[0].Notes = append(cases[0].Notes, d.notes...)
	if d.cut {
		for i := range cases {
			cases[i].Partial = true
		}
	}
	return cases
}
