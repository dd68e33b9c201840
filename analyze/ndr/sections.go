package ndr

import (
	"bytes"
	"slices"
)

// maxSections bounds what is told apart in one paste.
const maxSections = 200

// section is a stretch of the input that one program wrote, with the lines of
// people around it.
type section struct {
	start, end int // offsets in the input
	line       int // number (0-based) of its first line
}

// divider walks over the lines of an input and finds where another program
// begins to speak.
type divider struct {
	input []byte
	cr    bool // it has CRs
	// indent is how many blanks the first line begins with: a whole paste may be
	// set in by as many.
	indent int
	cuts   []section // their beginnings; the ends are filled in at the end

	voice    voice
	ended    bool // the present voice told a failure to its end
	chained  bool // … and goes on with what was under it
	returned bool // what stands here may be the body of a message that came back
	announce bool // the last words announce a message that comes back
	blank    bool // the line before is empty or a rule
	voiced   int  // offset behind the last line with a voice
	para     section
	body     int // where the words of the present report begin
	tried    int // no header begins before this offset
}

// sectionsOf cuts an input where the speaker changes: a client's error and then
// a bounce, a dialogue and then a log, one mail of a mail system below another.
// Each is then read as if it had come alone, so that the host of one never gets
// the reply of the other. A report keeps what is its own: the message that it
// brings back, the dialogue that it quotes. Nil where one speaks all the time.
func sectionsOf(input []byte) []section {
	if len(input) < 64 || len(input) > maxCleaned || input[0] == 0x1f || isPage(input) {
		return nil
	}
	d := divider{input: input, blank: true, cr: bytes.IndexByte(input, '\r') >= 0}
	at := len(input) - len(bytes.TrimLeft(input, " \t\r\n"))
	for at-d.indent > 0 && (input[at-d.indent-1] == ' ' || input[at-d.indent-1] == '\t') {
		d.indent++
	}
	at -= d.indent
	if endsInBoundary(input) && at < len(input) {
		if end, _ := d.lineAt(at, len(input)); isHeaderStart(trimCR(input[at:end])) {
			return nil // a mail and nothing below it
		}
	}
	if !d.walk(at) || len(d.cuts) == 0 {
		return nil
	}
	all := append([]section{{}}, d.cuts...)
	for i := range all {
		all[i].end = len(input)
		if i+1 < len(all) {
			all[i].end = all[i+1].start
			all[i+1].line = all[i].line + linesIn(input[all[i].start:all[i].end], d.cr)
		}
	}
	return all
}

// lineAt gives the end of the line at the offset and the start of the next.
func (d *divider) lineAt(at, to int) (end, next int) {
	if d.cr {
		return nextLine(d.input, at, to)
	}
	return lineOf(d.input, at, to)
}

// linesIn counts line ends as spans do: a CR that no LF follows is one.
func linesIn(text []byte, cr bool) int {
	if !cr {
		return bytes.Count(text, lf)
	}
	n := 0
	for i := range text {
		if endsLine(text, i) {
			n++
		}
	}
	return n
}

// endsInBoundary reports whether the last line, and no line before it, closes the
// parts of the mail that the input begins with. Postfix gives all reports that it
// writes about one message in one second the same boundary.
func endsInBoundary(input []byte) bool {
	tail := input[max(0, len(input)-4096):]
	t := bytes.TrimRight(tail, " \t\r\n")
	n := bytes.LastIndexByte(t, '\n') + 1
	last := t[n:]
	if n == 0 || len(last) < 5 || !bytes.HasPrefix(last, []byte("--")) || !bytes.HasSuffix(last, []byte("--")) {
		return false
	}
	head := untilEmpty(input[:min(len(input), maxLetter)])
	return bytes.Contains(head, last[2:len(last)-2]) && bytes.Index(input[len(head):], last) == len(input[len(head):])-len(tail)+n
}

// untilEmpty is what stands before the first empty line.
func untilEmpty(text []byte) []byte {
	for at := 0; ; {
		n := bytes.IndexByte(text[at:], '\n')
		if n < 0 {
			return text
		}
		end := at + n
		at = end + 1
		if end > 0 && at < len(text) && (text[at] == '\n' || text[at] == '\r' && at+1 < len(text) && text[at+1] == '\n') {
			return text[:end]
		}
	}
}

// walk looks at each line from the offset on. It reports false where the whole is
// one mail whose parts tell all.
func (d *divider) walk(at int) bool {
	input, first := d.input, at
	for at < len(input) && len(d.cuts) < maxSections {
		end, next := d.lineAt(at, len(input))
		line := d.outdent(trimCR(input[at:end]))
		if len(line) == 0 || isRule(line) {
			d.blank = true
			at = next
			continue
		}
		if d.blank {
			d.para = section{start: at}
		}
		if at >= d.tried && isHeaderStart(line) {
			to, daemon, multi, ok := d.mailAt(at)
			if ok && at == first && (multi == len(input) || multi >= 0 && !daemon) {
				return false
			}
			if ok && (daemon || d.blank || !d.inVoice()) {
				at = d.mail(at, to, daemon, multi)
				continue
			}
			d.tried = max(to, next)
		}
		var after []byte
		if next < len(input) {
			e, _ := d.lineAt(next, len(input))
			after = d.outdent(trimCR(input[next:e]))
		}
		d.line(at, end, line, after)
		d.blank = false
		at = next
	}
	return true
}

// outdent is a line without the blanks that the whole paste is set in by.
func (d *divider) outdent(line []byte) []byte {
	n := 0
	for n < d.indent && n < len(line) && (line[n] == ' ' || line[n] == '\t') {
		n++
	}
	return line[n:]
}

// inVoice reports whether a program speaks that shows mails as it sends them.
func (d *divider) inVoice() bool {
	return d.voice != voiceNone && d.voice < voiceLog && d.voice != voiceReport
}

// trimCR is a line without the CR and the blanks of its end.
func trimCR(line []byte) []byte { return bytes.TrimRight(line, "\r ") }

// headerFields are the fields that the header of a pasted mail begins with.
var headerFields = [...]string{"from:", "return-path:", "received:", "delivered-to:", "to:", "subject:", "date:", "x-", "message-id:", "mime-version:", "content-type:", "auto-submitted:"}

// isHeaderStart is a quick look: does the header of a mail begin with the line?
func isHeaderStart(line []byte) bool {
	switch line[0] | 0x20 {
	case 'f', 'r', 'd', 't', 's', 'x', 'm', 'c', 'a':
	default:
		return false
	}
	for _, f := range headerFields {
		if foldPrefix(line, f) {
			return fieldName(line) > 0
		}
	}
	return isFromLine(line)
}

// mailAt reads the header of a mail at the offset: the offset behind it, whether
// a mail system wrote the mail, and where its MIME structure ends (-1: it has
// none).
func (d *divider) mailAt(at int) (end int, daemon bool, multi int, ok bool) {
	w := walker{d: &Document{}, text: d.input, mail: -1, cr: true}
	start := at
	if e, next := d.lineAt(at, len(d.input)); isFromLine(trimCR(d.input[at:e])) {
		at = next
	}
	h, ok := w.fields(at)
	if !ok || h.known < 2 {
		return start, false, -1, false
	}
	multi = -1
	daemon = h.report == reportStatus || byDaemon(d.input[start:h.body])
	if h.kind == partMultipart && len(h.boundary) > 0 {
		multi = len(d.input)
		closing := append(append([]byte("--"), h.boundary...), "--"...)
		if n := bytes.Index(d.input[h.body:], closing); n >= 0 {
			multi = h.body + n + len(closing)
			_, multi = d.lineAt(multi, len(d.input))
		}
	}
	return h.body, daemon, multi, true
}

// mail takes a mail that begins at the offset, and gives the offset where to go
// on.
func (d *divider) mail(at, body int, daemon bool, multi int) int {
	to := body
	switch {
	case d.returned && !daemon, d.announce && !daemon, daemon && d.answers(at, body):
		d.returned = true // the header of the message that comes back
	case d.announce && daemon:
		d.returned = true // the report is about a report
	case daemon:
		if d.voice != voiceNone {
			d.cut(section{start: at})
		}
		d.voice, d.ended, d.returned, d.body = voiceReport, false, false, body
		if multi >= 0 {
			to = multi
			d.ended = true
		}
		d.voiced = to
	case d.voice == voiceReport:
		d.returned = true
	case multi >= 0 && d.voice == voiceNone:
		to = multi
	}
	d.announce = false
	d.blank = true
	if to <= at {
		_, to = d.lineAt(at, len(d.input))
	}
	return to
}

// answers reports whether the mail of a header was sent to somebody whom the
// report above it is about: then the report brings it back.
func (d *divider) answers(at, body int) bool {
	if d.voice != voiceReport || d.ended || d.body >= at {
		return false
	}
	above := d.input[d.body:at]
	if len(above) > maxLine {
		return false
	}
	for p := at; p < body; {
		end, next := d.lineAt(p, body)
		if line := d.input[p:end]; foldPrefix(line, "to:") {
			for k := 3; k < len(line); k++ {
				if line[k] != '@' {
					continue
				}
				from, to := k, k+1
				for from > 3 && isAddressByte(line[from-1]) {
					from--
				}
				for to < len(line) && isAddressByte(line[to]) {
					to++
				}
				if from < k && containsWord(above, line[from:to]) {
					return true
				}
			}
		}
		p = next
	}
	return false
}

// isAddressByte reports whether a byte stands in addresses as people have them.
func isAddressByte(c byte) bool {
	return isWordByte(c) || c == '.' || c == '-' || c == '_' || c == '+' || c == '='
}

// line takes a line that is in no header.
func (d *divider) line(at, end int, line, next []byte) {
	if d.returned {
		return
	}
	if s, _ := signAt(line); s != signNone {
		if s == signReturned {
			d.announce = true
			return
		}
		if o := openerOf(s); o != nil && o.rank == 1 {
			if d.voice != voiceNone && d.voice != voiceReport {
				d.cut(d.para)
			}
			if d.voice != voiceReport {
				d.body = at
			}
			d.voice, d.ended, d.voiced = voiceReport, false, end
			d.announce = false
			return
		}
	}
	r := voiceOf(line, next)
	if r == nil {
		if d.voice == voicePython {
			d.chained = d.chained || isChained(line)
		}
		return
	}
	d.announce = false
	switch {
	case d.voice == voiceNone:
	case r.voice == d.voice:
		if r.begins && d.ended && !d.chained && (d.blank || r.voice != voiceGo && r.voice != voiceRuby && r.voice != voiceMsmtp && r.voice != voiceJava) {
			d.cut(section{start: at})
		}
	case r.voice > voiceLog && d.voice > voiceLog && !d.blank:
		// Servers that write into one log.
		d.voiced = end
		return
	case r.voice == voiceSwaks && d.voice == voiceOwn && !d.blank:
		// Without its times handoff's transcript has the marks of swaks.
		d.voiced = end
		return
	default:
		d.cut(section{start: at})
	}
	if r.begins {
		d.ended, d.chained = false, false
	}
	d.voice, d.voiced = r.voice, end
	d.ended = d.ended || r.ends
}

// cut begins a section.
func (d *divider) cut(s section) {
	if s.start <= 0 {
		return
	}
	if n := len(d.cuts); n > 0 && s.start <= d.cuts[n-1].start {
		return
	}
	if s.start < d.voiced {
		return // a paragraph that began in another's words
	}
	d.cuts = append(d.cuts, s)
	d.ended, d.chained = false, false
}

// readSections reads each section by itself. One that tells nothing by itself
// belongs to the one above it, the first to the one below.
func (o Options) readSections(input []byte, all []section, relays []string, packed *Document) []Case {
	read := make([][]Case, 0, len(all))
	kept := make([]section, 0, len(all))
	merged := make([]bool, 0, len(all))
	for i, s := range all {
		cases := o.readSection(input, s, relays, packed)
		switch n := len(kept); {
		case !tells(cases) && n > 0:
			kept[n-1].end, merged[n-1] = s.end, true
			continue
		case n > 0 && i > 0 && !tells(read[n-1]):
			kept[n-1].end, read[n-1], merged[n-1] = s.end, cases, true
			continue
		}
		kept, read, merged = append(kept, s), append(read, cases), append(merged, false)
	}
	var cases []Case
	for i, s := range kept {
		if merged[i] {
			if again := o.readSection(input, s, relays, packed); tells(again) && countItems(again) >= countItems(read[i]) {
				read[i] = again
			}
		}
		cases = append(cases, read[i]...)
	}
	return cases
}

// readSection reads a section as if it were all.
func (o Options) readSection(input []byte, s section, relays []string, packed *Document) []Case {
	doc := borrow(input[s.start:s.end:s.end], relays)
	defer doc.release()
	doc.base, doc.baseLine, doc.packed = s.start, s.line, packed
	return doc.readAll(o, relays)
}

// tells reports whether one of the cases says something about a mail.
func tells(cases []Case) bool {
	return slices.ContainsFunc(cases, func(c Case) bool {
		return len(c.Items) > 0 || c.Nature != NatureUnknown && c.Nature != NatureOther
	})
}

func countItems(cases []Case) (n int) {
	for i := range cases {
		n += len(cases[i].Items)
	}
	return n
}
