package ndr

import (
	"bytes"
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// statusGroup is what the delivery-status fields say about one recipient
// (RFC 3464 §2.3).
type statusGroup struct {
	final, original, actual string // addresses, lower case; empty: not stated or no address
	action                  Action
	status                  string
	remote                  Mention
	hasRemote               bool
	diagType                string // lower case; empty: none given
	diag                    flow
	hasDiag                 bool
	when, retry             time.Time
	logID                   string
	set                     uint32 // signs of the fields seen
	span                    [2]int // its lines in Doc.Text, from and to
}

// statusFields are the fields about the message and the groups of recipients.
type statusFields struct {
	reporter  Mention
	arrival   time.Time
	queueID   string
	sender    string
	mailName  bool // an X-<mail name>-Queue-ID of a kin of Postfix
	ppe       bool // … of the service itself
	groups    []statusGroup
	failed    []string // X-Failed-Recipients
	feedback  bool     // Feedback-Type: a complaint
	disposed  bool     // Disposition: a read receipt
	reporters int
	remote    Mention // a Remote-MTA outside any group of a recipient
}

// readStatus reads the fields at the marks. It tolerates blanks before the
// colon, junk, groups merged or split by stray empty lines, fields outside a
// proper part, un-indented continuation and any case.
func (r *report) readStatus() {
	s := &r.status
	var g *statusGroup
	for k := range r.marks {
		m := &r.marks[k]
		if m.sign >= signField || m.sign == signNone {
			continue
		}
		line := int(m.line)
		doc := r.doc
		at, end := int(m.at), doc.LineEnd(line)
		for at < end && (doc.Text[at] == ' ' || doc.Text[at] == '\t') {
			at++
		}
		switch m.sign {
		case fieldReportingMTA:
			if h, n := hostAt(doc.Text[at:r.fieldEnd(k)]); n > 0 {
				if s.reporter.IsZero() {
					s.reporter = r.b.mention(Reporter, h, at, at+n)
				}
				s.reporters++
			}
			continue
		case fieldArrival:
			s.arrival = parseTime(doc.Text[at:end])
			continue
		case fieldQueueID:
			s.queueID = string(bytes.TrimSpace(doc.Text[at:r.fieldEnd(k)]))
			s.mailName = true
			s.ppe = s.ppe || foldPrefix(bytes.TrimLeft(doc.Line(line), " >"), "x-ppe-hosted")
			continue
		case fieldSender:
			if a := fieldAddress(doc.Text[at:r.fieldEnd(k)]); a != "" {
				s.sender = a
			}
			continue
		case fieldFailedRecipients:
			for _, one := range bytes.FieldsFunc(doc.Text[at:r.fieldEnd(k)], func(c rune) bool { return c == ',' || c == ' ' || c == '\n' || c == '\t' }) {
				if a, n := mailboxAt(one); n > 0 && len(s.failed) < maxItems {
					s.failed = append(s.failed, a)
				}
			}
			continue
		case fieldFeedback:
			s.feedback = true
			continue
		case fieldDisposition:
			s.disposed = s.disposed || bytes.IndexByte(doc.Text[at:end], ';') >= 0
			continue
		case fieldReceivedFrom, fieldEnvelopeID:
			continue
		case fieldStatus, fieldAction, fieldLastAttempt, fieldRemoteMTA, fieldDiagnostic, fieldRetryUntil, fieldLogID:
			if !plausibleField(m.sign, doc.Text[at:end]) {
				continue
			}
		default:
		}
		if g == nil || r.newGroup(g, m.sign, line) {
			if len(s.groups) >= maxItems {
				r.limited = true
				break
			}
			s.groups = append(s.groups, statusGroup{})
			g = &s.groups[len(s.groups)-1]
			g.span[0] = doc.LineStart(line)
		}
		g.set |= 1 << m.sign
		fieldEnd := r.fieldEnd(k)
		g.span[1] = fieldEnd
		value := doc.Text[at:end]
		switch m.sign {
		case fieldFinal:
			g.final = fieldAddress(doc.Text[at:fieldEnd])
		case fieldOriginal:
			g.original = fieldAddress(doc.Text[at:fieldEnd])
		case fieldActual:
			g.actual = fieldAddress(doc.Text[at:fieldEnd])
		case fieldAction:
			g.action = readAction(value)
		case fieldStatus:
			if code := statusCode(value); code != "" {
				g.status = code
			}
		case fieldRemoteMTA:
			g.hasRemote = true
			if h, n := hostAt(doc.Text[at:fieldEnd]); n > 0 {
				g.remote = r.b.mention(Refuser, h, at, at+n)
			}
		case fieldDiagnostic:
			f := doc.flow(at, fieldEnd)
			g.diagType, f = diagnosticType(f)
			if len(f.text) > 0 {
				g.diag, g.hasDiag = f, true
			}
		case fieldLastAttempt:
			g.when = parseTime(value)
		case fieldRetryUntil:
			g.retry = parseTime(value)
		case fieldLogID:
			g.logID = string(bytes.TrimSpace(value))
		}
	}
	// Groups without a recipient, code or words are padding (SES writes one
	// first and one last).
	kept := s.groups[:0]
	for _, g := range s.groups {
		if g.final != "" || g.original != "" || g.actual != "" || g.hasDiag || g.status != "" && g.action != ActionUnstated ||
			g.set&(1<<fieldFinal|1<<fieldOriginal) != 0 && g.action != ActionUnstated {
			kept = append(kept, g)
		} else if s.remote.IsZero() {
			s.remote = g.remote
		}
	}
	s.groups = kept
}

// maxItems bounds the recipients that are read of one report.
const maxItems = 10_000

// newGroup reports whether a field opens the group of another recipient: it
// repeats one of the group, or names a recipient in a new stanza of a group
// that is complete.
func (r *report) newGroup(g *statusGroup, s sign, line int) bool {
	if g.set&(1<<s) != 0 {
		switch s {
		case fieldDiagnostic, fieldStatus, fieldRemoteMTA, fieldLastAttempt:
			// A repeated one right below belongs to the same recipient; behind
			// an empty line it opens another.
			return line > 0 && len(r.doc.Line(line-1)) == 0
		}
		return true
	}
	if s != fieldFinal && s != fieldOriginal {
		return false
	}
	if g.set&(1<<fieldFinal|1<<fieldOriginal) == 0 {
		return false
	}
	return g.set&(1<<fieldAction|1<<fieldStatus) != 0 && line > 0 && len(bytes.TrimSpace(r.doc.Line(line-1))) == 0
}

// plausibleField keeps words of other kinds that happen to look like a field
// out: "Status: Deferred" of a portal, "Action: call us".
func plausibleField(s sign, value []byte) bool {
	switch s {
	case fieldStatus:
		return statusCode(value) != ""
	case fieldAction:
		return readAction(value) != ActionUnstated
	}
	return true
}

// fieldEnd is the offset behind the value of the field at mark k, with its
// folded lines, also those that lost their indent.
func (r *report) fieldEnd(k int) int {
	m := r.marks[k]
	line := int(m.line)
	doc := r.doc
	stop := doc.partEnd(line, r.b.Last)
	if k+1 < len(r.marks) && int(r.marks[k+1].line) > line {
		stop = min(stop, int(r.marks[k+1].line))
	}
	end := doc.LineEnd(line)
	for i := line + 1; i < stop && i-line < 400; i++ {
		l := doc.Line(i)
		t := bytes.TrimLeft(l, " \t")
		if len(t) == 0 {
			break
		}
		if len(t) == len(l) {
			// Not indented: a continuation only if it looks like running text.
			// Or a value that cannot end where its line does.
			prev := bytes.TrimRight(doc.Text[int(m.at):end], " \t")
			open := l[0] == '(' || i == line+1 && fieldName(l) == 0 && (len(bytes.TrimSpace(prev)) == 0 || prev[len(prev)-1] == ';')
			if !open && (fieldName(l) > 0 || bytes.HasPrefix(l, []byte("--")) || m.sign != fieldDiagnostic) {
				break
			}
		}
		end = doc.LineEnd(i)
	}
	return end
}

// fieldAddress is the address in a recipient field: "rfc822; r",
// "RFC822;<r>", "rfc/822;r", "utf-8; r", or without a type. It is empty for
// X.400 names, paths and programs.
func fieldAddress(value []byte) string {
	v := bytes.TrimSpace(value)
	if i := bytes.IndexByte(v, ';'); i >= 0 && i < 20 && bytes.IndexByte(v[:i], '@') < 0 {
		kind := bytes.TrimSpace(v[:i])
		if foldPrefix(kind, "x400") || foldPrefix(kind, "x.400") || foldEqual(kind, "unknown") && bytes.IndexByte(v, '@') < 0 {
			return ""
		}
		v = bytes.TrimSpace(v[i+1:])
	}
	if len(v) == 0 || v[0] == '|' || v[0] == '/' || v[0] == '"' && bytes.IndexByte(v, '|') >= 0 {
		return ""
	}
	if bytes.HasPrefix(v, []byte("<>")) {
		return ""
	}
	if a, n := mailboxAt(v); n > 0 {
		return a
	}
	a, from, _ := findMailbox(v)
	if from < 0 {
		return ""
	}
	return a
}

// readAction reads an Action field (RFC 3464 §2.3.3), any case, comments after
// it.
func readAction(value []byte) Action {
	v := bytes.TrimLeft(value, " \t")
	switch {
	case foldPrefix(v, "failed"), foldPrefix(v, "failure"), foldPrefix(v, "fail"), foldPrefix(v, "error"), foldPrefix(v, "expired"):
		return ActionFailed
	case foldPrefix(v, "delayed"), foldPrefix(v, "deferred"):
		return ActionDelayed
	case foldPrefix(v, "deliverable"), foldPrefix(v, "delivered"):
		return ActionDelivered
	case foldPrefix(v, "relayed"):
		return ActionRelayed
	case foldPrefix(v, "expanded"):
		return ActionExpanded
	}
	return ActionUnstated
}

// statusCode reads "class.subject.detail" at the start of a Status field
// (RFC 3463 §2), with "#" or words around it.
func statusCode(value []byte) string {
	v := bytes.TrimLeft(value, " \t#(")
	n := 0
	dots := 0
	for n < len(v) && (isDigit(v[n]) || v[n] == '.') && n < 12 {
		if v[n] == '.' {
			dots++
		}
		n++
	}
	for n > 0 && v[n-1] == '.' {
		n--
		dots--
	}
	if dots != 2 || n < 5 || v[0] != '2' && v[0] != '4' && v[0] != '5' || v[1] != '.' {
		return ""
	}
	return string(v[:n])
}

// diagnosticType cuts the type off a Diagnostic-Code value: "smtp", "x-postfix",
// "x-unix", …
func diagnosticType(f flow) (string, flow) {
	i := bytes.IndexByte(f.text, ';')
	if i <= 0 || i > 60 {
		return "", f
	}
	kind := bytes.TrimSpace(f.text[:i])
	for _, c := range kind {
		if !isWordByte(c) && c != '-' && c != '/' && c != '_' && c != '.' {
			return "", f
		}
	}
	return strings.ToLower(string(kind)), f.from(i + 1)
}

// from is the flow from an offset on.
func (f *flow) from(offset int) flow {
	for offset < len(f.text) && f.text[offset] == ' ' {
		offset++
	}
	g := flow{doc: f.doc, text: f.text[offset:]}
	g.cuts = append(f.doc.roomForCuts(len(f.cuts)), flowCut{0, int32(f.at(offset))})
	for _, c := range f.cuts {
		if int(c.at) > offset {
			g.cuts = append(g.cuts, flowCut{c.at - int32(offset), c.doc})
		}
	}
	return g
}

// timeLayouts are the dates that reports write, by what they begin with: a day
// of the week, a year, a month with a slash, a day.
var timeLayouts = [...][]string{
	{"Mon, 2 Jan 2006 15:04:05 -0700", "Mon, 2 Jan 2006 15:04 -0700", "Mon, 2 Jan 2006 15:04:05 MST"},
	{time.RFC3339, "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05"},
	{"1/2/2006 3:04:05 PM", "1/2/2006 15:04:05"},
	{"2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04:05"},
}

// parseTime reads a date of a report; the zero time when it cannot.
func parseTime(value []byte) time.Time {
	v := bytes.TrimSpace(value)
	if i := bytes.IndexByte(v, '('); i > 0 {
		v = bytes.TrimSpace(v[:i])
	}
	if len(v) < 10 || len(v) > 60 {
		return time.Time{}
	}
	if t, ok := mailDate(v); ok {
		return t
	}
	s := string(v)
	kind := 3
	switch {
	case !isDigit(v[0]):
		kind = 0
	case v[4] == '-':
		kind = 1
	case v[1] == '/' || v[2] == '/':
		kind = 2
	}
	for _, layout := range timeLayouts[kind] {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// mailDate reads the date of nearly all mails, "Tue, 24 Nov 2026 09:12:43
// +0000", with or without the day of the week, without the cost of layouts.
func mailDate(v []byte) (time.Time, bool) {
	if len(v) > 5 && v[3] == ',' && v[4] == ' ' {
		v = v[5:]
		if v[0] == ' ' {
			v = v[1:]
		}
	}
	n := 1
	if len(v) > 1 && isDigit(v[1]) {
		n = 2
	}
	if len(v) != n+len(" Nov 2026 09:12:43 +0000") || v[n] != ' ' || v[n+4] != ' ' || v[n+9] != ' ' || v[n+12] != ':' || v[n+15] != ':' || v[n+18] != ' ' {
		return time.Time{}, false
	}
	month := bytes.Index([]byte("JanFebMarAprMayJunJulAugSepOctNovDec"), v[n+1:n+4])
	if month < 0 || month%3 != 0 {
		return time.Time{}, false
	}
	for _, field := range [...][2]int{{0, n}, {n + 5, n + 9}, {n + 10, n + 12}, {n + 13, n + 15}, {n + 16, n + 18}, {n + 20, n + 24}} {
		for _, c := range v[field[0]:field[1]] {
			if !isDigit(c) {
				return time.Time{}, false
			}
		}
	}
	day, hour, minute, second := number(v[:n]), number(v[n+10:n+12]), number(v[n+13:n+15]), number(v[n+16:n+18])
	zone := number(v[n+20:n+22])*3600 + number(v[n+22:n+24])*60
	switch v[n+19] {
	case '-':
		zone = -zone
	case '+':
	default:
		return time.Time{}, false
	}
	if day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60 {
		return time.Time{}, false
	}
	t := time.Date(number(v[n+5:n+9]), time.Month(month/3+1), day, hour, minute, second, 0, time.UTC)
	return t.Add(time.Duration(-zone) * time.Second), true
}

// item makes an Item of a group. The words of the diagnostic are read by whose
// they are.
func (r *report) groupItem(g *statusGroup) Item {
	it := Item{FromReport: true, Action: g.action, Status: g.status, When: g.when, RetryUntil: g.retry, QueueID: r.status.queueID}
	it.Recipient = firstOf(g.final, g.original, g.actual)
	if g.original != "" && g.original != it.Recipient {
		it.Original = g.original
	}
	if g.hasDiag {
		r.diagnostic(&it, g)
	} else if g.hasRemote && !g.remote.IsZero() {
		it.Target = g.remote
		it.Target.Role = Target
	}
	return it
}

func firstOf(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}

// localKinds are types of Diagnostic-Code with which a reporter writes its own
// words.
func isLocalKind(kind string) bool {
	return strings.HasPrefix(kind, "x-") || kind == "unknown" || kind == "local"
}

// diagnostic reads a Diagnostic-Code.
func (r *report) diagnostic(it *Item, g *statusGroup) {
	f := &g.diag
	n := len(f.text)
	remote := g.remote
	loopback := remote.Address == "127.0.0.1" || remote.Address == "::1" || remote.Host == "localhost"
	switch {
	case isLocalKind(g.diagType):
		if rep, ok := f.reply(0, n); ok && rep.Code >= 400 && rep.Enhanced != "" && g.hasRemote && !remote.IsZero() && !loopback {
			// Domino files the server's whole reply under its own name; a Postfix
			// names no Remote-MTA where none answered.
			it.Reply, it.Refuser, it.Port = rep, remote, remote.Port
			it.Refuser.Role = Refuser
			return
		}
		postfixReason(f, 0, n, it)
		if it.Refuser.IsZero() && it.Target.IsZero() && g.hasRemote && !remote.IsZero() && !loopback {
			it.Target = remote
			it.Target.Role = Target
		}
		return
	case g.diagType == "" && bytes.HasPrefix(f.text, []byte("host ")):
		postfixReason(f, 0, n, it)
		return
	}
	if tail := []byte(eximGaveUp); bytes.HasSuffix(f.text, tail) {
		it.Expired = true
		n -= len(tail)
	}
	words := f.text[:n]
	reply, ok := f.reply(0, n)
	if ok && reply.Code != 0 && reply.Code < 500 && sendmailFound(f, 0, n, it) {
		return
	}
	if ok && isOwnWords(words) {
		// "smtp;" before words of the reporter's own, or before its summary of
		// what the refuser said.
		r.ownWords(f, 0, n, it, remote)
		return
	}
	if ok {
		it.Reply = reply
		if !remote.IsZero() {
			it.Refuser = remote
			it.Port = remote.Port
		}
		return
	}
	// No reply: a fault of the road, if the words are of one.
	fault, stage := faultAndStage(words)
	it.FaultSpan = f.span(0, n)
	if fault != transcript.FaultNone && len(words) < 1000 {
		it.Fault, it.Stage = fault, stage
		if !remote.IsZero() {
			it.Target = remote
			it.Target.Role = Target
		}
		return
	}
	if !remote.IsZero() && g.diagType == "smtp" {
		// Words without a code: the server said something.
		it.Reply = transcript.Reply{Lines: []string{string(words)}, Span: it.FaultSpan}
		it.Refuser = remote
		return
	}
	local(f, 0, n, it)
}
