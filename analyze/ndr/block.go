package ndr

import (
	"bytes"
	"slices"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Options shape a reading. The zero value is usable.
type Options struct {
	// RelayDomains are the domains of relays, beside ppe-hosted.com. A host name
	// that a mail program wrapped over a line end is joined when the result ends
	// in one of them or stands elsewhere in the text.
	RelayDomains []string
	// TellingHops leaves out the hops of returned messages that no judge asks
	// about: those that name neither a relay, nor a host like one, nor the server
	// that reports.
	TellingHops bool
}

// Read reads everything a text holds: each report, log, dialogue or program
// error in it is a Case, in the order of the text. A text that is none of these
// gives one Case without Items, of NatureOther for a mail and NatureUnknown
// otherwise. It never fails.
func Read(input []byte) []Case { return Options{}.Read(input) }

// Read is the function Read under these options.
func (o Options) Read(input []byte) []Case {
	relays := relayDomains(o.RelayDomains)
	packed := unpack(input)
	if packed == nil {
		return o.readText(input, relays, nil)
	}
	cases := o.readText(packed.Text, relays, packed)
	cases[0].Notes = append(cases[0].Notes, packed.notes...)
	for i := range cases {
		cases[i].Partial = cases[i].Partial || packed.cut
	}
	return cases
}

// readText reads a text that may have been packed.
func (o Options) readText(text []byte, relays []string, packed *Document) []Case {
	if all := sectionsOf(text); all != nil {
		return dedupe(o.readSections(text, all, relays, packed))
	}
	doc := borrow(text, relays)
	defer doc.release()
	doc.packed = packed
	return doc.readAll(o, relays)
}

// readAll reads all blocks of the document.
func (d *Document) readAll(o Options, relays []string) []Case {
	var cases []Case
	for _, b := range d.blocks(o) {
		read := b.read()
		for i := range read {
			// In a block of many cases the names without a role are the first one's:
			// looking through the block for each would take quadratic time.
			b.addMentions(&read[i], relays, i == 0 || len(read) <= 8)
		}
		cases = append(cases, read...)
	}
	cases = dedupe(cases)
	d.cutShort(cases)
	return d.finish(cases)
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
	// Nil: sure, when a phrase of signs stands in the block.
	sniff func(b *Block) int
	sure  int
	signs signSet
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

	mail       *mailRange // the mail the block is the body of; nil: a bare text
	marks      []mark     // of the report tables, in order
	signs      signSet    // those of the marks, once somebody asked
	signsKnown bool
	returned   []lineRange // headers of returned messages, as MIME has them
	whole      bool        // logs and dialogues in it were told apart already
	straight   *Block      // the block with wrapped lines joined; nil: not looked for yet
	options    Options
	noise      []lineRange // MIME boundaries with their headers, and the header that a forward prints: nobody's words
	// letterheads are the headers of forwarded letters in it, as offsets in Doc.Text.
	letterheads [][2]int
	inside      []*Block // reports in the mails that this one brings back: for when it names nobody itself
}

// Start is the offset of the block in Doc.Text.
func (b *Block) Start() int { return b.Doc.LineStart(b.First) }

// End is the offset behind the block in Doc.Text.
func (b *Block) End() int { return b.Doc.LineStart(b.Last) }

// Text is the block's part of Doc.Text.
func (b *Block) Text() []byte { return b.Doc.Text[b.Start():b.End():b.End()] }

// InMail reports whether the block is the body of a mail with a header.
func (b *Block) InMail() bool { return b.mail != nil }

// Header is the unfolded value of a header field of the block's mail, given in
// lower case; nil when it has none.
func (b *Block) Header(name string) []byte {
	if b.mail == nil {
		return nil
	}
	text := b.Doc.Text[b.mail.start:b.mail.body]
	for at := 0; at < len(text); {
		end, next := lineOf(text, at, len(text))
		if foldPrefix(text[at:end], name) && at+len(name) < end && text[at+len(name)] == ':' {
			for next < len(text) && (text[next] == ' ' || text[next] == '\t') {
				end, next = lineOf(text, next, len(text))
			}
			f := b.Doc.flow(b.mail.start+at+len(name)+1, b.mail.start+end)
			return f.text
		}
		at = next
	}
	return nil
}

// mention makes a Mention of Doc.Text[start:end].
func (b *Block) mention(role Role, h host, start, end int) Mention {
	return Mention{Host: h.name, Address: h.address, Port: h.port, Role: role, Span: b.Doc.Span(start, end)}
}

// span is the place of Doc.Text[start:end] in the input.
func (b *Block) span(start, end int) transcript.Span { return b.Doc.Span(start, end) }

// has reports whether a phrase of the tables stands in the block.
func (b *Block) has(signs signSet) bool {
	b.findSigns()
	return b.signs.meets(signs)
}

func (b *Block) findSigns() {
	if b.signsKnown {
		return
	}
	b.signs, b.signsKnown = signSet{}, true
	for i := range b.marks {
		b.signs.add(b.marks[i].sign)
	}
}

// isReport reports whether the block's mail says that it is such a report.
func (b *Block) isReport(kind reportType) bool { return b.mail != nil && b.mail.report == kind }

// blocks splits the document: mails of an mbox, forwarded mails, and what
// people paste one below the other.
func (d *Document) blocks(o Options) []*Block {
	if d.NumLines() == 0 {
		return nil
	}
	if len(d.mails) == 0 {
		whole := d.newBlock(Block{Doc: d, First: 0, Last: d.NumLines(), options: o})
		whole.marks = d.scan(d.roomFor(64), 0, whole.Last)
		whole.findNoise()
		return whole.split()
	}
	var blocks []*Block
	for i := 0; i < len(d.mails); {
		j := i + 1
		for j < len(d.mails) && d.mails[j].depth > d.mails[i].depth {
			j++
		}
		blocks = append(blocks, d.mailBlocks(i, j, o, len(d.mails) > j || i > 0)...)
		i = j
	}
	return blocks
}

// mailBlocks are the blocks of a mail, with the mails inside it: d.mails[i:j].
func (d *Document) mailBlocks(i, j int, o Options, several bool) []*Block {
	m := &d.mails[i]
	b := d.newBlock(Block{Doc: d, First: d.lineFrom(m.body), Last: d.lineFrom(m.end), mail: m, options: o})
	b.marks = d.roomFor(64)
	// X-Failed-Recipients is the one field of a report's own header that counts.
	for k := d.lineFrom(m.start); k < b.First; k++ {
		if d.heads[k]|0x20 != 'x' {
			continue
		}
		if l := d.Line(k); len(l) > 20 && foldPrefix(l, "x-failed-recipients:") {
			b.marks = append(b.marks, mark{line: int32(k), at: int32(d.LineStart(k) + 20), sign: fieldFailedRecipients})
		}
	}
	at := b.First
	var inner [][2]int // mails that are not brought back by a report
	for k := i + 1; k < j; {
		n := &d.mails[k]
		e := k + 1
		for e < j && d.mails[e].depth > n.depth {
			e++
		}
		first, last := d.lineFrom(n.start), d.lineFrom(n.end)
		b.marks = d.scan(b.marks, at, first)
		at = max(at, last)
		if n.returned {
			b.returned = append(d.roomForRanges(b.returned), lineRange{first, d.lineFrom(n.body)})
		} else {
			inner = append(inner, [2]int{k, e})
		}
		k = e
	}
	b.marks = d.scan(b.marks, at, b.Last)
	b.findNoise()
	if len(inner) == 0 {
		if several || m.report == reportStatus {
			return []*Block{b}
		}
		return b.split()
	}
	if b.reports() {
		// The report of this mail is the outcome; what it carries is context.
		for _, k := range inner {
			n := &d.mails[k[0]]
			b.returned = append(d.roomForRanges(b.returned), lineRange{d.lineFrom(n.start), d.lineFrom(n.body)})
			if n.report == reportStatus {
				b.inside = append(b.inside, d.mailBlocks(k[0], k[1], o, true)...)
			}
		}
		return []*Block{b}
	}
	blocks := []*Block{b}
	b.Last = d.lineFrom(d.mails[inner[0][0]].start)
	for _, k := range inner {
		blocks = append(blocks, d.mailBlocks(k[0], k[1], o, true)...)
	}
	return blocks
}

// reports reports whether the block has words or fields of a report.
func (b *Block) reports() bool { return b.has(reportSigns) }

// reportSigns are the words and fields that only a report has.
var reportSigns = func() (s signSet) {
	s = signsOf(signDelay, signSuccess, fieldFinal, fieldDiagnostic, fieldFailedRecipients)
	for x := signPostfix; x < signComplaint; x++ {
		s.add(x)
	}
	s.add(signOther)
	s.add(signGeneric)
	return s
}()

// lineFrom is the number of the line that begins at or holds the offset.
func (d *Document) lineFrom(offset int) int {
	if offset >= len(d.Text) {
		return d.NumLines()
	}
	return max(d.LineAt(offset), 0)
}

// cutTraces adds cuts around runs of log and dialogue lines, where the text has
// a report, too. In a mail they stay what they are: part of it.
func (b *Block) cutTraces(cuts []int) []int {
	if b.mail != nil || !b.reports() {
		return cuts
	}
	// The transcripts that some reports print are theirs.
	own := b.has(signsOf(signSendmailTranscript, signTalking, signSendmailAddresses, signCourier, signPostfix, signExim, signMDaemon, signGeneric))
	var more []int
	run := lineOther
	blankRun := true
	for i := b.First; i < b.Last; i++ {
		l := b.Doc.Line(i)
		if len(bytes.TrimSpace(l)) == 0 {
			blankRun = true
			continue
		}
		class := classifyLine(l)
		if class == lineDialogue && own {
			class = lineOther
		}
		switch {
		case class == run:
		case class != lineOther && blankRun:
			more = append(more, i)
			run = class
		case class == lineOther && run != lineOther && blankRun:
			more = append(more, i)
			run = lineOther
		}
		blankRun = false
	}
	if len(more) == 0 {
		return cuts
	}
	cuts = append(cuts, more...)
	slices.Sort(cuts)
	return slices.Compact(cuts)
}

// returnsBounce reports whether the returned message that begins at the line is
// itself a report: then what follows is context.
func returnsBounce(b *Block, line int) bool {
	for i := line; i < min(line+60, b.Last); i++ {
		switch b.Doc.heads[i] | 0x20 {
		case 'r', 'a', 'c', 'f':
		default:
			continue
		}
		l := b.Doc.Line(i)
		switch {
		case len(l) < 6:
		case foldPrefix(l, "return-path: <>"), foldPrefix(l, "auto-submitted: auto-"), foldPrefix(l, "content-type: multipart/report"):
			return true
		case foldPrefix(l, "from:") && (foldIndex(l, "mailer-daemon") > 0 || foldIndex(l, "mail delivery") > 0 || foldIndex(l, "postmaster@") > 0):
			return true
		}
	}
	return false
}

// read reads the block; where it names no recipient, the reports that it
// brings back.
func (b *Block) read() []Case {
	cases := b.readOwn()
	if len(b.inside) == 0 {
		return cases
	}
	for i := range cases {
		for k := range cases[i].Items {
			if cases[i].Items[k].Recipient != "" {
				return cases
			}
		}
	}
	var inner []Case
	for _, in := range b.inside {
		inner = append(inner, in.read()...)
	}
	if len(inner) == 0 {
		return cases
	}
	return inner
}

// sureReport is the least sureness of a family whose words leave no doubt.
const sureReport = 80

// sureFields is the sureness of a family that fields give away: less is only
// words that letters have, too.
const sureFields = 40

// readOwn asks the families, the surest first.
func (b *Block) readOwn() []Case {
	type bid struct {
		f    *family
		sure int
	}
	var some [8]bid
	bids := some[:0]
	b.findSigns()
	list := b.isList()
	for k, table := range [...][]family{reportFamilies, traceFamilies} {
		if k == 1 && b.mail != nil && len(bids) > 0 && bids[0].sure >= sureReport {
			break // a mail with a report in it: the transcripts in it are its own
		}
		for i := range table {
			f := &table[i]
			sure := f.sure
			if f.sniff != nil {
				sure = f.sniff(b)
			} else if !f.signs.meets(b.signs) {
				continue
			}
			if sure <= 0 || list && f.nature == NatureReport && sure < sureFields {
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
		cases = []Case{d.nothing()}
	}
	cases[0].Notes = append(cases[0].Notes, d.notes...)
	if d.cut {
		for i := range cases {
			cases[i].Partial = true
		}
	}
	return cases
}
