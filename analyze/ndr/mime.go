package ndr

import (
	"bytes"
	"sort"
)

// part is a leaf of the MIME structure of a mail: a hint for readers, never a
// condition.
type part struct {
	kind       partKind
	start, end int    // its body in Text
	charset    string // as declared, lower case; empty: not declared
	coding     transferEncoding
	mail       int // index of its mail in Document.mails
	how        treatment
	twin       int // index, plus one, of the text part that this HTML part repeats; 0: none
}

// partKind is what a Content-Type says, as far as readers care.
type partKind uint8

const (
	partUnstated    partKind = iota
	partText                 // text/plain and other text
	partHTML                 // text/html
	partStatus               // message/delivery-status, message/global-delivery-status
	partReturned             // message/rfc822, text/rfc822-headers and their global kin
	partFeedback             // message/feedback-report
	partDisposition          // message/disposition-notification
	partCalendar             // text/calendar
	partMultipart
	partOther
)

// transferEncoding is a Content-Transfer-Encoding.
type transferEncoding uint8

const (
	encodingUnstated transferEncoding = iota
	encodingPlain                     // 7bit, 8bit, binary
	encodingQP
	encodingBase64
)

// treatment is what the pre-pass does with a part.
type treatment uint8

const (
	treatKeep treatment = iota
	treatDrop
	treatQP
	treatBase64
)

// mailRange is a mail inside the text: a header block and what belongs to it.
type mailRange struct {
	start, body, end int // in Text
	depth            int // 0: not inside another mail
	// returned is true for the message that a report brings back: context,
	// never an outcome of its own.
	returned bool
	kind     partKind // of its Content-Type
	report   reportType
}

// reportType is the report-type of a multipart/report (RFC 6522).
type reportType uint8

const (
	reportNone        reportType = iota
	reportStatus                 // delivery-status
	reportFeedback               // feedback-report: a complaint (RFC 5965)
	reportDisposition            // disposition-notification: a read receipt (RFC 8098)
	reportOther
)

// boundary is an open multipart.
type boundary struct {
	name        []byte
	mail        int
	report      bool // of a multipart/report, or of a mail that brings one back
	alternative bool
	rich        bool // an earlier text sibling tells it all
	text        int  // index, plus one, of the text sibling
}

// walker takes a text apart into mails and parts in one pass over its lines.
type walker struct {
	d    *Document
	text []byte

	stack []boundary
	open  bool // a leaf is open
	leaf  part
	mail  int // index of the current mail, -1: none
	parts int

	openMails []int // indexes of the mails whose end is not known yet
	cr        bool  // the text has CRs
	line      int   // of Document.starts, that seek found last
	hyphen    int   // the next line that begins with a hyphen, as far as look went
	capital   int   // … and with an F
}

// containers finds mails and MIME parts, undoes their transfer encodings and
// line ends, and drops what is not text. Without any of that it costs one pass over
// the lines.
func (d *Document) containers() {
	if isPage(d.Text) {
		return // it may show a mail: its parts are looked for in what it shows
	}
	w := walker{d: d, text: d.Text, mail: -1, hyphen: -1, capital: -1, cr: bytes.IndexByte(d.Text, '\r') >= 0}
	if !w.cr {
		d.index()
		w.text = d.Text
	}
	w.walk()
	if len(d.parts) == 0 {
		return
	}
	change, size := w.cr, len(d.Text)+64
	for i := range d.parts {
		switch p := &d.parts[i]; p.how {
		case treatKeep:
			continue
		case treatDrop:
			size -= p.end - p.start
			d.dropped = d.dropped || p.end > p.start
		case treatBase64:
			size -= (p.end - p.start) / 4
		case treatQP:
		}
		change = true
	}
	if !change {
		return
	}
	text := d.Text
	r := d.rewriter(text, size)
	odd := d.odd
	d.rewriteParts(r, func(p *part, from, to int) {
		how := treatKeep
		if p != nil {
			how = p.how
		}
		switch how {
		case treatKeep:
			if odd {
				plainLines(r, text, from, to)
			} else {
				r.copy(from, to)
			}
		case treatQP:
			d.odd = true // whatever was coded
			quotedPrintable(r, text, from, to)
			ensureLF(r, to)
		case treatBase64:
			d.odd = true
			base64Text(r, text, from, to)
			ensureLF(r, to)
		case treatDrop:
		}
	})
	d.apply(r)
}

// isPage reports whether a text is HTML from its first byte on.
func isPage(text []byte) bool {
	t := bytes.TrimLeft(text[:min(len(text), 512)], " \t\r\n")
	return len(t) > 0 && t[0] == '<' && looksHTML(text)
}

// ensureLF ends a decoded part with a line end, so that the boundary behind it
// stays a line of its own.
func ensureLF(r *rewriter, at int) {
	if n := len(r.out); n > 0 && r.out[n-1] != '\n' {
		r.put(lf, at, at, segAtom)
	}
}

// headless undoes transfer encodings of a text that has no header to say so.
func (d *Document) headless() {
	text := d.Text
	if looksQuotedPrintable(text) {
		d.odd = true // whatever was coded
		r := d.rewriter(text, len(text)+16)
		quotedPrintable(r, text, 0, len(text))
		d.apply(r)
		text = d.Text
	}
	start, end, ok := base64Run(text, 0, len(text))
	if !ok {
		return
	}
	d.odd = true
	r := d.rewriter(text, len(text)+16)
	at := 0
	for ok && !r.full {
		plainLines(r, text, at, start)
		base64Text(r, text, start, end)
		ensureLF(r, end)
		at = end
		start, end, ok = base64Run(text, at, len(text))
	}
	plainLines(r, text, at, len(text))
	d.apply(r)
}

// walk passes over the lines once.
func (w *walker) walk() {
	text := w.text
	body := w.header(0, 0, false) // where the lines begin that are looked through
	if w.mail < 0 {
		if below := w.reportBelow(); below > 0 {
			body = w.header(below, 0, false)
		}
	}
	for at := w.look(body); at < len(text); {
		end, next := w.next(at)
		switch {
		case text[at] == '-' && end-at > 2 && text[at+1] == '-':
			if to, ok := w.boundary(at, end, next); ok {
				body, next = to, to
			}
		case text[at] == 'F' && at > body && isFromLine(text[at:end]) && w.setOff(at) && w.headerLine(next):
			// The next message of an mbox.
			w.flush(at)
			w.closeMails(at, 0)
			w.stack = w.stack[:0]
			body = w.header(at, 0, false)
			next = body
		}
		at = w.look(next)
	}
	w.flush(len(text))
	w.closeMails(len(text), 0)
}

// maxLetter bounds what people write above a report that they paste with its
// header, in bytes.
const maxLetter = 16 << 10

// reportBelow finds the header of a report that stands below a letter's words,
// in a code block or without one: behind an empty line or a fence, with the
// fields of a mail and a sign that a mail system wrote it. Another mail there is
// one that the text speaks of, as the returned message in a report. It gives 0
// where there is none.
func (w *walker) reportBelow() int {
	text := w.text
	blank := true
	for at := 0; at < len(text) && at < maxLetter; {
		end, next := w.next(at)
		line := text[at:end]
		if blank && fieldName(line) > 0 {
			if h, ok := w.fields(at); ok && h.known >= 3 && (h.report == reportStatus || byDaemon(text[at:h.body])) {
				return at
			}
		}
		switch {
		case len(line) == 0, bytes.HasPrefix(line, []byte("```")), isRule(line), isFromLine(line), line[len(line)-1] == ':':
			blank = true
		default:
			blank = false
			if s, _ := signAt(line); s > signSuccess && s != signGeneric {
				return 0 // a report without its header: what follows is its own
			}
		}
		at = next
	}
	return 0
}

// byDaemon reports whether a header is of a mail that a mail system wrote.
func byDaemon(header []byte) bool {
	for at := 0; at < len(header); {
		end, next := nextLine(header, at, len(header))
		line := header[at:end]
		switch {
		case foldPrefix(line, "return-path: <>"), foldPrefix(line, "x-failed-recipients:"):
			return true
		case foldPrefix(line, "from:"):
			if foldIndex(line, "mailer-daemon") > 0 || foldIndex(line, "mail delivery") > 0 || foldIndex(line, "postmaster@") > 0 {
				return true
			}
		}
		at = next
	}
	return false
}

// look finds the first line at or behind the one at the offset that may be a
// boundary or begin a message: those begin with a hyphen or an F.
func (w *walker) look(at int) int {
	if w.cr {
		for at < len(w.text) && w.text[at] != '-' && w.text[at] != 'F' {
			_, at = nextLine(w.text, at, len(w.text))
		}
		return at
	}
	if at >= len(w.text) {
		return at
	}
	w.seek(at)
	heads := w.d.heads
	if w.hyphen < w.line {
		w.hyphen = indexFrom(heads, '-', w.line)
	}
	if w.capital < w.line {
		w.capital = indexFrom(heads, 'F', w.line)
	}
	if w.line = min(w.hyphen, w.capital); w.line == len(heads) {
		return len(w.text)
	}
	return int(w.d.starts[w.line])
}

// indexFrom is the place of c at or behind from; the length of b if it is not
// there.
func indexFrom(b []byte, c byte, from int) int {
	if n := bytes.IndexByte(b[from:], c); n >= 0 {
		return from + n
	}
	return len(b)
}

// setOff reports whether the line before the one at the offset is empty, or a
// rule.
func (w *walker) setOff(at int) bool {
	text := w.text
	end := at - 1
	if text[end] == '\n' {
		for end > 0 && text[end-1] == '\r' {
			end--
		}
	}
	start := end
	for start > 0 && text[start-1] != '\n' && text[start-1] != '\r' {
		start--
	}
	return start == end || isRule(text[start:end])
}

// next is nextLine on the whole text.
func (w *walker) next(at int) (end, next int) {
	if w.cr {
		return nextLine(w.text, at, len(w.text))
	}
	w.seek(at)
	starts := w.d.starts
	if w.line+1 < len(starts) {
		next = int(starts[w.line+1])
		return next - 1, next
	}
	if n := len(w.text); n > at && w.text[n-1] == '\n' {
		return n - 1, n
	}
	return len(w.text), len(w.text)
}

// seek finds the line at the offset. Lines are mostly asked for one after the
// other.
func (w *walker) seek(at int) {
	starts := w.d.starts
	if w.line < len(starts) && int(starts[w.line]) == at {
		return
	}
	if w.line+1 < len(starts) && int(starts[w.line+1]) == at {
		w.line++
		return
	}
	w.line = max(sort.Search(len(starts), func(i int) bool { return int(starts[i]) > at })-1, 0)
}

// isRule reports whether a line is drawn with one character.
func isRule(line []byte) bool {
	if len(line) < 5 || line[0] != '-' && line[0] != '=' && line[0] != '_' && line[0] != '*' {
		return false
	}
	for _, c := range line {
		if c != line[0] {
			return false
		}
	}
	return true
}

// isFromLine reports whether a line separates messages of an mbox: "From ",
// an address, a date with a time of day.
func isFromLine(line []byte) bool {
	if !bytes.HasPrefix(line, []byte("From ")) || len(line) > 300 {
		return false
	}
	colon := bytes.LastIndexByte(line, ':')
	return colon > 10 && colon+2 < len(line) && isDigit(line[colon-1]) && isDigit(line[colon+1])
}

// headerLine reports whether a header field stands at the offset.
func (w *walker) headerLine(at int) bool {
	if at >= len(w.text) {
		return false
	}
	end, _ := w.next(at)
	return fieldName(w.text[at:end]) > 0
}

// fieldName is the length of the field name that a header line begins with, 0
// if it is none.
func fieldName(line []byte) int {
	for i, c := range line {
		switch {
		case isWordByte(c), c == '-', c == '_':
			if i > 70 {
				return 0
			}
		case c == ':':
			if i == 0 || !isLetter(line[0]) {
				return 0
			}
			return i
		default:
			return 0
		}
	}
	return 0
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// header reads the header of a mail at the offset and opens its body. Where no
// mail stands there it opens nothing and returns at.
func (w *walker) header(at, depth int, returned bool) (body int) {
	start := at
	end, next := w.next(at)
	for end == at && next > at && next < len(w.text) && at-start < 4096 {
		at = next // empty lines before a header
		end, next = w.next(at)
	}
	if bytes.HasPrefix(w.text[at:end], []byte("From ")) || bytes.HasPrefix(w.text[at:end], []byte(">From ")) {
		at = next
	}
	if returned {
		// Of a message that came back only where its header ends is of interest.
		body = w.headerEnd(at)
		w.d.mails = append(w.d.mails, mailRange{start: start, body: body, end: -1, depth: depth, returned: true})
		w.mail = len(w.d.mails) - 1
		w.openMails = append(w.openMails, w.mail)
		w.begin(fields{body: body}, true)
		return body
	}
	h, ok := w.fields(at)
	if depth == 0 && (!ok || h.known < 2 && h.kind == partUnstated) {
		return start
	}
	w.d.mails = append(w.d.mails, mailRange{start: start, body: h.body, end: -1, depth: depth, kind: h.kind, report: h.report})
	w.mail = len(w.d.mails) - 1
	w.openMails = append(w.openMails, w.mail)
	w.begin(h, false)
	return h.body
}

// headerEnd is the offset behind the empty line that ends a header, or of the
// boundary that cuts it off.
func (w *walker) headerEnd(at int) int {
	for start := at; at < len(w.text); {
		end, next := w.next(at)
		if end == at {
			return next
		}
		if w.text[at] == '-' && end-at > 2 && w.text[at+1] == '-' {
			name := bytes.TrimRight(w.text[at+2:end], " \t")
			if w.level(name) >= 0 || bytes.HasSuffix(name, []byte("--")) && w.level(name[:len(name)-2]) >= 0 {
				return at
			}
		}
		if at-start > maxHeader {
			w.d.limit("header bytes")
			return at
		}
		at = next
	}
	return at
}

// begin opens what a header announces.
func (w *walker) begin(h fields, returned bool) {
	inReport := returned || h.report != reportNone || h.kind == partMultipart && h.isReport
	if h.kind == partMultipart {
		if len(h.boundary) > 0 {
			b := boundary{name: h.boundary, mail: w.mail, report: inReport, alternative: h.alternative}
			if len(w.stack) >= maxMIMEDepth {
				w.d.limit("nested MIME parts")
				return
			}
			w.stack = append(w.stack, b)
			return
		}
		h.kind = partUnstated // the boundary may turn up by its Content- lines
	}
	if w.parts++; w.parts > maxParts {
		w.d.limit("MIME parts")
		return
	}
	w.open = true
	w.leaf = part{kind: h.kind, start: h.body, charset: h.charset, coding: h.coding, mail: w.mail}
	if returned && w.mail >= 0 && w.d.mails[w.mail].returned {
		w.leaf.how = treatDrop // the body of a returned message says nothing
	}
}

// boundary handles a line that begins with two hyphens. It reports false when
// the line is just text.
func (w *walker) boundary(at, end, next int) (body int, ok bool) {
	name := bytes.TrimRight(w.text[at+2:end], " \t")
	closing := false
	level := w.level(name)
	if level < 0 && len(name) > 2 && bytes.HasSuffix(name, []byte("--")) {
		level = w.level(name[:len(name)-2])
		closing = level >= 0
	}
	if level < 0 {
		// A body that was pasted without its header: fields behind the line
		// make it a boundary.
		if next >= len(w.text) || len(name) < 3 || len(name) > 200 {
			return 0, false
		}
		e, _ := w.next(next)
		if !foldPrefix(w.text[next:e], "content-") || fieldName(w.text[next:e]) == 0 || len(w.stack) >= maxMIMEDepth {
			return 0, false
		}
		w.flush(at)
		if w.mail < 0 {
			// The body of a mail whose header was not pasted.
			w.d.mails = append(w.d.mails, mailRange{end: -1, kind: partMultipart})
			w.mail = len(w.d.mails) - 1
			w.openMails = append(w.openMails, w.mail)
		}
		w.stack = append(w.stack, boundary{name: name, mail: w.mail, report: w.mail >= 0 && w.d.mails[w.mail].returned})
		level = len(w.stack) - 1
	}
	w.flush(at)
	w.stack = w.stack[:level+1]
	b := &w.stack[level]
	w.closeMails(at, w.depthOf(b.mail)+1)
	w.mail = b.mail
	if closing {
		w.stack = w.stack[:level]
		return next, true
	}
	if w.parts > maxParts {
		return next, true
	}
	h, _ := w.fields(next)
	if h.kind == partStatus {
		b.report = true // whatever the type of the whole says
	}
	if h.kind == partReturned && h.coding != encodingBase64 && h.coding != encodingQP {
		depth := w.depthOf(b.mail) + 1
		if depth > maxMIMEDepth {
			w.d.limit("nested MIME parts")
			return h.body, true
		}
		to := w.header(h.body, depth, b.report)
		return to, true
	}
	w.begin(h, b.report && w.mail >= 0 && w.d.mails[w.mail].returned)
	return h.body, true
}

// level finds an open boundary by name; the innermost wins.
func (w *walker) level(name []byte) int {
	for i := len(w.stack) - 1; i >= 0; i-- {
		if bytes.Equal(w.stack[i].name, name) {
			return i
		}
	}
	return -1
}

func (w *walker) depthOf(mail int) int {
	if mail < 0 {
		return -1
	}
	return w.d.mails[mail].depth
}

// closeMails ends the mails at this depth or deeper.
func (w *walker) closeMails(at, depth int) {
	for n := len(w.openMails); n > 0; n-- {
		m := &w.d.mails[w.openMails[n-1]]
		if m.depth < depth {
			return
		}
		m.end = at
		w.openMails = w.openMails[:n-1]
	}
}

// flush closes the open leaf and decides what is done with it.
func (w *walker) flush(at int) {
	if !w.open {
		return
	}
	w.open = false
	p := w.leaf
	p.end = max(at, p.start)
	body := w.text[p.start:p.end]
	if p.how == treatKeep {
		switch p.coding {
		case encodingQP:
			if bytes.IndexByte(body, '=') >= 0 {
				p.how = treatQP
			}
		case encodingBase64:
			p.how = treatBase64
			if !readsAsText(body) && !isWideCharset(p.charset) {
				p.how = treatDrop
			}
		case encodingUnstated:
			if p.kind != partOther && looksQuotedPrintable(body) {
				p.how = treatQP
			}
		case encodingPlain:
		}
	}
	if p.kind == partOther && p.how == treatKeep && !isText(body[:min(len(body), 4096)]) {
		p.how = treatDrop
	}
	if n := len(w.stack); n > 0 {
		switch {
		case p.kind == partText || p.kind == partUnstated:
			// Long enough and with an address in it, a text tells what its HTML
			// twin tells. Coded ones count by their length.
			if len(body) > 200 && (p.coding == encodingBase64 || bytes.IndexByte(body, '@') >= 0 || bytes.Contains(body, []byte("=40"))) {
				w.stack[n-1].rich = true
			}
			w.stack[n-1].text = len(w.d.parts) + 1
		case p.kind == partHTML:
			for i := n - 1; i >= 0 && w.stack[i].mail == p.mail; i-- {
				if w.stack[i].alternative && w.stack[i].rich {
					p.how = treatDrop
				} else if w.stack[i].alternative {
					p.twin = w.stack[i].text
				}
			}
		}
	}
	w.d.parts = append(w.d.parts, p)
}

// fields is what a header says about what follows it.
type fields struct {
	body        int // behind the empty line
	known       int // fields that every mail has
	kind        partKind
	coding      transferEncoding
	charset     string
	boundary    []byte
	alternative bool
	isReport    bool
	report      reportType
}

// fields reads the header block at the offset. It reports false when no header
// stands there; then body is at.
func (w *walker) fields(at int) (h fields, ok bool) {
	h.body = at
	text := w.text
	for start := at; at < len(text); {
		if at-start > maxHeader {
			w.d.limit("header bytes")
			// The rest of the header is read as if it were body.
			return h, true
		}
		end, next := w.next(at)
		if end == at {
			h.body = next
			return h, ok
		}
		line := text[at:end]
		n := fieldName(line)
		if n == 0 {
			switch {
			case ok && (line[0] == ' ' || line[0] == '\t'):
				at, h.body = next, next
				continue
			case ok && h.known > 0 && !bytes.HasPrefix(line, []byte("--")) && w.goesOn(next):
				at, h.body = next, next // a line that lost its indent, or a damaged one
				continue
			}
			return h, ok
		}
		ok = true
		// The value runs on over folded lines, and over parameters that lost
		// their blank.
		valueEnd, after := end, next
		for after < len(text) {
			e, nx := w.next(after)
			if e == after || text[after] != ' ' && text[after] != '\t' && !isLostParameter(text[after:e]) {
				break
			}
			valueEnd, after = e, nx
			if after-start > maxHeader {
				break
			}
		}
		w.field(&h, line[:n], text[at+n+1:valueEnd])
		at, h.body = after, after
	}
	return h, ok
}

// goesOn reports whether a header goes on behind a line that is no field: a
// field stands within a few lines, before any empty one.
func (w *walker) goesOn(at int) bool {
	for k := 0; k < 12 && at < len(w.text); k++ {
		end, next := w.next(at)
		switch {
		case end == at:
			return false
		case fieldName(w.text[at:end]) > 0:
			return true
		}
		at = next
	}
	return false
}

// isLostParameter reports whether a line is a parameter of the field before it
// whose leading blank was lost.
func isLostParameter(line []byte) bool {
	switch line[0] | 0x20 {
	case 'b':
		return foldPrefix(line, "boundary=")
	case 'c':
		return foldPrefix(line, "charset=")
	case 'r':
		return foldPrefix(line, "report-type=")
	}
	return false
}

// field takes from a header field what the pre-pass needs.
func (w *walker) field(h *fields, name, value []byte) {
	switch name[0] | 0x20 {
	case 'c':
		switch {
		case foldEqual(name, "content-type"):
			w.contentType(h, value)
			h.known++
		case foldEqual(name, "content-transfer-encoding"):
			switch v := bytes.TrimSpace(value); {
			case foldPrefix(v, "quoted-printable"):
				h.coding = encodingQP
			case foldPrefix(v, "base64"):
				h.coding = encodingBase64
			case len(v) > 0:
				h.coding = encodingPlain
			}
		}
	case 'r':
		if foldEqual(name, "received") || foldEqual(name, "return-path") {
			h.known++
		}
	case 'f':
		if foldEqual(name, "from") {
			h.known++
		}
	case 't':
		if foldEqual(name, "to") {
			h.known++
		}
	case 's':
		if foldEqual(name, "subject") || foldEqual(name, "sent") {
			h.known++
		}
	case 'd':
		if foldEqual(name, "date") || foldEqual(name, "delivered-to") {
			h.known++
		}
	case 'm':
		if foldEqual(name, "message-id") || foldEqual(name, "mime-version") {
			h.known++
		}
	}
}

// contentTypes are the types that readers care for.
var contentTypes = []struct {
	name string
	kind partKind
}{
	{"text/plain", partText},
	{"text/html", partHTML},
	{"multipart/", partMultipart},
	{"message/delivery-status", partStatus},
	{"message/global-delivery-status", partStatus},
	{"message/rfc822", partReturned},
	{"text/rfc822-headers", partReturned},
	{"text/rfc822", partReturned},
	{"message/global-headers", partReturned},
	{"message/global", partReturned},
	{"message/feedback-report", partFeedback},
	{"message/disposition-notification", partDisposition},
	{"text/calendar", partCalendar},
	{"text/", partText},
	{"message/", partText},
}

// contentType reads a Content-Type field, folded or not (RFC 2045 §5.1,
// RFC 2231).
func (w *walker) contentType(h *fields, value []byte) {
	value = bytes.TrimLeft(value, " \t\r\n")
	h.kind = partOther
	for _, t := range contentTypes {
		if foldPrefix(value, t.name) {
			h.kind = t.kind
			break
		}
	}
	if h.kind == partMultipart {
		rest := value[len("multipart/"):]
		h.alternative = foldPrefix(rest, "alternative")
		h.isReport = foldPrefix(rest, "report")
	}
	if bytes.IndexByte(value, ';') < 0 {
		h.boundary = nil
		return // no parameters
	}
	h.boundary = parameter(value, "boundary")
	if c := parameter(value, "charset"); len(c) > 0 && len(c) < 40 {
		h.charset = charsetName(c)
	}
	if t := parameter(value, "report-type"); len(t) > 0 {
		switch {
		case foldPrefix(t, "delivery-status"):
			h.report = reportStatus
		case foldPrefix(t, "feedback-report"):
			h.report = reportFeedback
		case foldPrefix(t, "disposition-notification"):
			h.report = reportDisposition
		default:
			h.report = reportOther
		}
	}
}

// parameter finds a parameter of a field: name=value, name="value", and the
// continued and coded forms of RFC 2231 (name*, name*0, name*0*).
func parameter(value []byte, name string) []byte {
	var joined []byte
	for i := 0; i < len(value); {
		semi := indexUnquoted(value[i:], ';')
		if semi < 0 {
			break
		}
		i += semi + 1
		for i < len(value) && (value[i] == ' ' || value[i] == '\t' || value[i] == '\r' || value[i] == '\n') {
			i++
		}
		if !foldPrefix(value[i:], name) {
			continue
		}
		j := i + len(name)
		continued, coded := false, false
		if j < len(value) && value[j] == '*' {
			j++
			for j < len(value) && isDigit(value[j]) {
				continued = true
				j++
			}
			if !continued {
				coded = true
			} else if j < len(value) && value[j] == '*' {
				coded = true
				j++
			}
		}
		for j < len(value) && (value[j] == ' ' || value[j] == '\t') {
			j++
		}
		if j >= len(value) || value[j] != '=' {
			continue
		}
		v := parameterValue(value[j+1:])
		if coded {
			v = uncode2231(v)
		}
		if !continued {
			return v
		}
		if len(joined)+len(v) < 1024 {
			joined = append(joined, v...)
		}
		i = j
	}
	return joined
}

func parameterValue(v []byte) []byte {
	v = bytes.TrimLeft(v, " \t\r\n")
	if len(v) > 0 && v[0] == '"' {
		v = v[1:]
		if end := bytes.IndexAny(v, "\"\r\n"); end >= 0 {
			return v[:end]
		}
		return v
	}
	if end := bytes.IndexAny(v, "; \t\r\n"); end >= 0 {
		return v[:end]
	}
	return v
}

// uncode2231 drops charset and language and undoes the percent coding.
func uncode2231(v []byte) []byte {
	if i := bytes.IndexByte(v, '\''); i >= 0 {
		if j := bytes.IndexByte(v[i+1:], '\''); j >= 0 {
			v = v[i+j+2:]
		}
	}
	if bytes.IndexByte(v, '%') < 0 {
		return v
	}
	out := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		if v[i] == '%' && i+2 < len(v) && unhex(v[i+1]) >= 0 && unhex(v[i+2]) >= 0 {
			out = append(out, byte(unhex(v[i+1])<<4|unhex(v[i+2])))
			i += 2
			continue
		}
		out = append(out, v[i])
	}
	return out
}

func indexUnquoted(b []byte, c byte) int {
	quoted := false
	for i, x := range b {
		switch {
		case x == '"':
			quoted = !quoted
		case x == c && !quoted:
			return i
		}
	}
	return -1
}

// foldPrefix reports whether b begins with the prefix, given in lower case,
// in any case.
func foldPrefix(b []byte, prefix string) bool {
	if len(b) < len(prefix) {
		return false
	}
	for i := 0; i < len(prefix); i++ {
		if lowerASCII(b[i]) != prefix[i] {
			return false
		}
	}
	return true
}

// foldEqual reports whether b is the word, given in lower case, in any case.
func foldEqual(b []byte, word string) bool { return len(b) == len(word) && foldPrefix(b, word) }

func lowerASCII(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
