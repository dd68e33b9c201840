package ndr

import (
	"bytes"
	"strings"
)

// opener is a sign that begins a report, or that has its place in one, for
// cutting what people paste one below the other.
type opener struct {
	sign   sign
	family sign // the first of the family's signs
	rank   int  // its place in a report: a lower one, or the same phrase again, begins another report
}

var openers = []opener{
	{signPostfix, signPostfix, 1},
	{signPostfixOld, signPostfix, 1},
	{signPostfixItem, signPostfix, 2},
	{signExim, signExim, 1},
	{signEximFailed, signExim, 2},
	{signSendmailReceived, signSendmailReceived, 1},
	{signSendmailAddresses, signSendmailReceived, 2},
	{signSendmailTranscript, signSendmailReceived, 3},
	{signQmail, signQmail, 1},
	{signYahoo, signQmail, 1},
	{signGmail, signGmail, 1},
	{signGmailClassic, signGmail, 1},
	{signGmailMore, signGmail, 2},
	{signGmailResponse, signGmail, 2},
	{signExchangeHuman, signGenerating, 1},
	{signExchangeAdmin, signGenerating, 2},
	{signGenerating, signGenerating, 3},
	{signStatusCode, signGenerating, 4},
	{signRejectedBy, signGenerating, 4},
	{signSentBy, signGenerating, 4},
	{signOldExchange, signOldExchange, 1},
	{signOldExchangeList, signOldExchange, 2},
	{signOutlook, signOutlook, 1},
	{signSES, signSES, 1},
	{signSESJSON, signSES, 1},
	{signSendGrid, signSendGrid, 1},
	{signDragonFly, signDragonFly, 1},
	{signOpenSMTPD, signOpenSMTPD, 1},
	{signMessagingServer, signMessagingServer, 1},
	{signCourier, signCourier, 1},
	{signDomino, signDomino, 1},
	{signPowerMTA, signPowerMTA, 1},
	{signMailMarshal, signMailMarshal, 1},
	{signBarracuda, signBarracuda, 1},
	{signSurfControl, signSurfControl, 1},
	{signMimecast, signMimecast, 1},
	{signMDaemon, signMDaemon, 1},
	{signAmavisOwn, signAmavisOwn, 1},
	{signPortal, signPortal, 1},
	{signOther, signOther, 1},
}

// openerOf is the row of a sign, nil if it opens nothing.
func openerOf(s sign) *opener {
	for i := range openers {
		if openers[i].sign == s {
			return &openers[i]
		}
	}
	return nil
}

// mixes are the families whose words also stand inside a report of another:
// Zoho and Courier print Sendmail's headings, Gmail's delay has Outlook's.
var mixes = []struct{ outer, inner sign }{
	{signExim, signSendmailReceived},
	{signCourier, signSendmailReceived},
	{signOutlook, signGmail},
	{signOutlook, signSendmailReceived},
	{signGmail, signSendmailReceived},
	{signGenerating, signGmail},
	{signQmail, signOutlook},
	{signSurfControl, signSendmailReceived},
	{signBarracuda, signGenerating},
	{signMessagingServer, signCourier},
	{signSendGrid, signPostfix},
}

func mixed(outer, inner sign) bool {
	for _, m := range mixes {
		if m.outer == outer && m.inner == inner {
			return true
		}
	}
	return false
}

// cutter walks over the marks of a text and finds where reports begin.
type cutter struct {
	b       *Block
	cuts    []int  // lines
	family  sign   // of the present report
	rank    int    // how far in it
	seen    []mark // its openers
	last    int    // line of its last mark
	fields  bool   // its delivery-status fields name a recipient
	content bool
	inner   sign // another family whose words stand in it
	lead    int  // line of a sentence that may belong to the next opener; -1: none
	context bool
}

// split cuts a text that people put together: every opener of a report that
// comes again, an opener of another family, and every run of log or dialogue
// lines beside reports, begins a block.
func (b *Block) split() []*Block {
	s := cutter{b: b, lead: -1, last: b.First - 1}
	for i := range b.marks {
		s.mark(&b.marks[i])
	}
	return b.cutAt(b.cutClients(b.cutTraces(s.cuts)))
}

// mark looks at the next mark.
func (s *cutter) mark(m *mark) {
	line := int(m.line)
	switch m.sign {
	case signReturned, signReturnedHere:
		if !s.context && returnsBounce(s.b, line) {
			s.context = true // a report that was returned: context, to the next forward mark
		}
		s.last = line
		return
	case signForward:
		s.context = false
		if s.content && line > s.b.First {
			s.cut(line)
		}
		return
	}
	if s.context {
		return
	}
	switch m.sign {
	case fieldStatus, fieldAction:
		return
	case signDelay, signSuccess, signGeneric:
		if m.sign == signGeneric && !isYourMessage(s.b.Doc.Line(line)) {
			return
		}
		if s.lead < 0 || line > s.lead+12 || m.sign == signGeneric {
			s.lead = line
		}
		return
	case fieldReportingMTA:
		if s.fields || s.content && s.others(m) {
			s.cut(line)
		}
		s.content, s.last = true, line
		return
	case fieldFinal, fieldOriginal:
		s.content, s.fields, s.last = true, true, line
		return
	case fieldDiagnostic, fieldRemoteMTA:
		s.content, s.last = true, line
		return
	case signReturnedLine:
		if s.content && s.family != signGenerating && (s.family != signNone || s.fields) {
			s.cut(s.start(line))
		}
		if s.family == signNone {
			s.family, s.rank = signGenerating, 3
		}
		s.content, s.last, s.lead = true, line, -1
		return
	}
	if m.sign == signPostfixItem && s.family == signPostfix && !s.fields {
		s.content, s.last, s.lead = true, line, -1 // one more recipient
		return
	}
	row := openerOf(m.sign)
	if row == nil {
		return
	}
	rank := row.rank
	if m.sign == signGmail && !bytes.Contains(s.b.Doc.Line(line), []byte("**")) {
		rank = 2 // a sentence of the report, not its heading
	}
	begins := false
	switch {
	case !s.content:
	case s.fields:
		begins = true // words never follow the fields of the same report
	case s.family == signNone:
	case row.family == s.family:
		// The labels of the present form never follow the classic one's.
		begins = rank < s.rank || s.repeats(m) || m.sign == signStatusCode && s.rank == 3
	default:
		// The words of another family belong to the report as long as it has
		// named nobody; once some did, more of them may follow.
		begins = !mixed(s.family, row.family) || s.inner != row.family && s.named(line) && (rank == 1 || row.family != signGmail)
		if !begins {
			s.inner = row.family
			s.last, s.lead = line, -1
			return // it stays the outer family's
		}
	}
	if begins && m.sign == signPostfix && bytes.IndexByte(s.b.Doc.Text[m.at:s.b.End()], '@') < 0 {
		begins = false // the introduction of what stands above it: it names nobody
	}
	if begins {
		start := s.start(line)
		if row.family == signGenerating && rank == 4 {
			start = s.sentence(start)
		}
		s.cut(start)
	}
	s.seen = append(s.seen, *m)
	s.family, s.rank = row.family, max(s.rank, rank)
	s.content, s.last, s.lead = true, line, -1
}

// others reports whether the fields that begin at a mark are about recipients
// that the text above them does not name.
func (s *cutter) others(m *mark) bool {
	first := s.b.First
	if n := len(s.cuts); n > 0 {
		first = s.cuts[n-1]
	}
	doc := s.b.Doc
	above := bytes.ToLower(doc.Text[doc.LineStart(first):doc.LineStart(int(m.line))])
	if len(above) > maxLine || bytes.IndexByte(above, '@') < 0 {
		return false
	}
	named := false
	for i := range s.b.marks {
		f := &s.b.marks[i]
		if f.line <= m.line || f.sign != fieldFinal && f.sign != fieldOriginal {
			continue
		}
		if f.line > m.line+40 {
			break
		}
		if a := fieldAddress(doc.Text[f.at:doc.LineEnd(int(f.line))]); a != "" {
			local, _, _ := strings.Cut(a, "@")
			if containsWord(above, []byte(local)) {
				return false // a local user stands there without the domain
			}
			named = true
		}
	}
	return named
}

// containsWord reports whether a word stands in the text with neither letter nor
// digit beside it.
func containsWord(text, word []byte) bool {
	for at := 0; ; {
		n := bytes.Index(text[at:], word)
		if n < 0 {
			return false
		}
		from, to := at+n, at+n+len(word)
		if (from == 0 || !isWordByte(text[from-1])) && (to == len(text) || !isWordByte(text[to])) {
			return true
		}
		at = to
	}
}

// isYourMessage reports whether a line begins with the sentence that names the
// recipient before anything else.
func isYourMessage(l []byte) bool {
	return foldPrefix(bytes.TrimLeft(l, " \t*"), "your message to ")
}

// sentence is the line above, not far, of the sentence with which the present
// report of Exchange Online names the recipient in another language than
// English; the line itself if there is none.
func (s *cutter) sentence(line int) int {
	for i := line - 1; i > s.last && i > s.b.First && i > line-20; i-- {
		l := s.b.Doc.Line(i)
		if bytes.IndexByte(l, '@') < 0 || len(l) > 400 {
			continue
		}
		for _, lead := range messageLeads {
			if foldIndexIn(l, lead) >= 0 {
				return i
			}
		}
	}
	return line
}

// cut begins another report at the line.
func (s *cutter) cut(line int) {
	if line > s.b.First {
		s.cuts = append(s.cuts, line)
	}
	s.family, s.inner, s.rank, s.seen, s.fields, s.content = signNone, signNone, 0, s.seen[:0], false, false
}

// named reports whether an address stands between the last mark and the line.
func (s *cutter) named(line int) bool {
	doc := s.b.Doc
	return s.last >= s.b.First && bytes.IndexByte(doc.Text[doc.LineEnd(s.last):doc.LineStart(line)], '@') >= 0
}

// start is the line where the report of an opener begins: with the sentence or
// box above it, with its paragraph, with the title or rule above that.
func (s *cutter) start(line int) int {
	doc := s.b.Doc
	if s.lead > s.last && s.lead < line && line-s.lead <= 12 && bytes.IndexByte(doc.Text[doc.LineEnd(s.lead):doc.LineStart(line)], '@') < 0 {
		line = s.lead
	}
	for line-1 > s.last && line-1 > s.b.First && len(bytes.TrimSpace(doc.Line(line-1))) > 0 {
		line--
	}
	for i := line - 1; i > s.last && i > s.b.First && i >= line-3; i-- {
		l := bytes.TrimSpace(doc.Line(i))
		if len(l) == 0 {
			continue
		}
		if sg, _ := signAt(doc.Line(i)); sg == signSeparator || bytes.HasPrefix(l, []byte("---")) || bytes.HasPrefix(l, []byte("===")) || bytes.HasPrefix(l, []byte("***")) {
			return i
		}
		break
	}
	return line
}

// repeats reports whether a phrase opened the present report already. Other
// phrases of the same sign stand in one and the same report.
func (s *cutter) repeats(m *mark) bool {
	for i := range s.seen {
		// Rows are counted for each first byte.
		if o := &s.seen[i]; o.sign == m.sign && o.row == m.row && s.firstByte(o) == s.firstByte(m) {
			return true
		}
	}
	return false
}

// firstByte is the one that the words of a mark begin with, without case.
func (s *cutter) firstByte(m *mark) byte {
	for _, c := range s.b.Doc.Line(int(m.line)) {
		if !isOrnament[c] {
			return c | 0x20
		}
	}
	return 0
}

// cutAt makes a block of each stretch between the cuts.
func (b *Block) cutAt(cuts []int) []*Block {
	if len(cuts) == 0 {
		return []*Block{b}
	}
	var blocks []*Block
	first, k := b.First, 0
	for _, cut := range append(cuts, b.Last) {
		if cut <= first {
			continue
		}
		part := *b
		part.First, part.Last = first, cut
		n := k
		for n < len(b.marks) && int(b.marks[n].line) < cut {
			n++
		}
		part.marks = b.marks[k:n:n]
		part.signsKnown = false
		k = n
		part.returned = nil
		for _, r := range b.returned {
			if r.first >= first && r.first < cut {
				part.returned = append(part.returned, r)
			}
		}
		first = cut
		blocks = append(blocks, b.Doc.newBlock(part))
	}
	return blocks
}
