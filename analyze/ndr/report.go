package ndr

import (
	"bytes"
	"slices"
	"sort"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// report is one report while it is read: the fields and the text of the same
// block fill it, and merge puts them together.
type report struct {
	b     *Block
	doc   *Document
	marks []mark // of the report part: nothing of the returned message
	last  int    // line where the returned message begins, or the block's end
	body  int    // line where the first delivery-status field stands, or last: the text ends there

	status   statusFields
	items    []Item // from the text
	index    map[string]int
	reporter Mention // as the text names it

	delay, success bool
	natural        Nature // when the text says that it is no report
	format         string // when the text says more exactly which family it is
	limited        bool
	dead           []lineRange // returned messages in this block
	// ownReply tells whether a reply in the fields is the reporter's own. Nil:
	// never.
	ownReply func(rep *transcript.Reply, refuser, target *Mention) bool
}

// lineRange is a range of lines, the last exclusive.
type lineRange struct{ first, last int }

// newReport looks at the marks of the block: where does the returned message
// begin, and what is the report about?
func newReport(b *Block) *report {
	r := b.Doc.newReport()
	r.b, r.doc, r.last, r.body = b, b.Doc, b.Last, b.Last
	r.findReturned()
	for i := range r.marks {
		m := &r.marks[i]
		switch {
		case m.sign == signDelay, m.sign == signExchangeHuman && foldIndexIn(r.doc.Line(int(m.line)), "delayed") >= 0:
			r.delay = true
		case m.sign == signSuccess:
			r.success = true
		case m.sign < signField && m.sign != fieldFailedRecipients && int(m.line) < r.body:
			if m.sign == fieldReportingMTA || m.sign == fieldFinal || m.sign == fieldOriginal || m.sign == fieldAction && int(m.line) > r.b.First {
				r.body = int(m.line)
			}
		}
	}
	return r
}

// findReturned separates the returned messages from the report. A mark ends
// the report, or the MIME part it stands in.
func (r *report) findReturned() {
	r.dead = append(r.doc.roomForRanges(r.dead), r.b.returned...)
	if len(r.dead) > 0 && r.dead[0].first > r.b.First {
		r.last = min(r.last, r.dead[0].first)
	}
	marks := r.b.marks
	r.marks = marks
	until := -1 // line up to which marks are dead
	filtered := false
	for i := 0; i < len(marks); i++ {
		m := &marks[i]
		line := int(m.line)
		if line < until {
			if !filtered {
				r.marks = append(r.doc.roomFor(len(marks)), marks[:i]...)
				filtered = true
			}
			continue
		}
		begins := m.sign == signReturned && !r.emptyReturn(line) || m.sign == signReturnedHere && r.headersBegin(marks, i)
		if begins {
			first := line
			if m.sign == signReturned {
				first++
			}
			until = r.doc.partEnd(line, r.b.Last)
			r.dead = append(r.dead, lineRange{first, until})
			if line < r.last {
				r.last = line
			}
			if !filtered {
				r.marks = append(r.doc.roomFor(len(marks)), marks[:i]...)
				filtered = true
			}
			continue
		}
		if filtered {
			r.marks = append(r.marks, *m)
		}
	}
}

// emptyReturn reports whether the phrase at the line is part of a sentence of
// the report ("… returned message") and not the head of a copy.
func (r *report) emptyReturn(line int) bool {
	l := bytes.TrimRight(r.doc.Line(line), " \t-=*")
	if len(l) > 120 {
		return true
	}
	// A sentence that runs on in the next line is prose.
	if line+1 >= r.b.Last || len(l) == 0 {
		return false
	}
	next := r.doc.Line(line + 1)
	return len(next) > 0 && isLetter(next[0]) && next[0] >= 'a' && l[len(l)-1] != ':' && l[len(l)-1] != '.'
}

// headersBegin reports whether a header block begins at mark i: Return-Path
// alone, or two fields that only headers have close together.
func (r *report) headersBegin(marks []mark, i int) bool {
	line := int(marks[i].line)
	l := r.doc.Line(line)
	if len(l) == 0 || !isLetter(l[0]) || line == r.b.First {
		return false
	}
	if foldPrefix(l, "return-path:") {
		return true
	}
	for k := i + 1; k < len(marks) && int(marks[k].line) <= line+25; k++ {
		if marks[k].sign == signReturnedHere && isLetter(r.doc.Line(int(marks[k].line))[0]) {
			return true
		}
	}
	// A single Received line above other fields.
	return foldPrefix(l, "received:") && line+3 < r.b.Last && bytes.Contains(r.doc.Line(line), []byte("from"))
}

// partEnd is the line behind the MIME part that a line stands in, at most last.
func (d *Document) partEnd(line, last int) int {
	at := d.LineStart(line)
	for i := range d.parts {
		p := &d.parts[i]
		if at >= p.start && at < p.end {
			return min(d.LineAt(p.end-1)+1, last)
		}
	}
	return last
}

// item finds the item of a recipient, or adds one. The empty recipient is
// always a new one.
func (r *report) item(recipient string) *Item {
	if recipient != "" {
		if r.index != nil {
			if i, ok := r.index[recipient]; ok {
				return &r.items[i]
			}
		} else {
			for i := range r.items {
				if r.items[i].Recipient == recipient {
					return &r.items[i]
				}
			}
		}
	}
	if len(r.items) >= maxItems {
		r.limited = true
		return &r.items[maxItems-1]
	}
	r.items = append(r.items, Item{Recipient: recipient, FromReport: true})
	if len(r.items) > 32 {
		if r.index == nil {
			r.index = make(map[string]int, 64)
			for i := range r.items {
				r.index[r.items[i].Recipient] = i
			}
		}
		r.index[recipient] = len(r.items) - 1
	}
	return &r.items[len(r.items)-1]
}

// known reports whether a recipient has an item.
func (r *report) known(recipient string) bool {
	if r.index != nil {
		_, ok := r.index[recipient]
		return ok
	}
	for i := range r.items {
		if r.items[i].Recipient == recipient {
			return true
		}
	}
	return false
}

// line is a line of the document without blanks around it, and the offset of
// what is left.
func (r *report) line(i int) ([]byte, int) {
	at := r.doc.LineStart(i)
	for _, n := range r.b.noise {
		if i >= n.first && i < n.last {
			return nil, at
		}
	}
	l := r.doc.Line(i)
	n := 0
	for n < len(l) && (l[n] == ' ' || l[n] == '\t') {
		n++
	}
	return bytes.TrimRight(l[n:], " \t"), at + n
}

// find is the first mark of the sign, nil if there is none.
func (r *report) find(s sign) *mark {
	for i := range r.marks {
		if r.marks[i].sign == s {
			return &r.marks[i]
		}
	}
	return nil
}

// signOf is the sign of a line, signNone if it has none.
func (r *report) signOf(line int) sign {
	i := sort.Search(len(r.marks), func(i int) bool { return int(r.marks[i].line) >= line })
	if i < len(r.marks) && int(r.marks[i].line) == line {
		return r.marks[i].sign
	}
	return signNone
}

// hostBehind reads the host that follows a phrase or label in its line; behind
// an empty value it looks in the next line.
func (r *report) hostBehind(m *mark, role Role) Mention {
	at := int(m.at)
	line := r.doc.LineAt(at)
	end := r.doc.LineEnd(line)
	text := r.doc.Text
	i := at
	for i < end && (isBlank(text[i]) || text[i] == ':' || text[i] == '\t') {
		i++
	}
	if i == end && line+1 < r.b.Last {
		for k := line + 1; k < min(line+3, r.b.Last) && i == end; k++ {
			i, end = r.doc.LineStart(k), r.doc.LineEnd(k)
			for i < end && isBlank(text[i]) {
				i++
			}
		}
	}
	h, n := hostAt(text[i:end])
	if n == 0 {
		return Mention{}
	}
	return r.b.mention(role, h, i, i+n)
}

// read runs the fields and the text reader and puts them together.
func (b *Block) report(text func(r *report)) []Case {
	r := newReport(b)
	r.readStatus()
	if text != nil {
		text(r)
	}
	if len(r.items) == 0 && len(r.status.groups) == 0 {
		genericText(r)
	}
	return r.cases()
}

// takeOwn takes replies that are the reporter's own for no server's.
func (r *report) takeOwn(items []Item) {
	for i := range items {
		if it := &items[i]; r.ownReply(&it.Reply, &it.Refuser, &it.Target) {
			it.LocalReply, it.Reply, it.Refuser = it.Reply, transcript.Reply{}, Mention{}
		}
	}
}

// cases makes the case of what was read; none if the block reports nothing.
func (r *report) cases() []Case {
	items := r.merge()
	if r.ownReply != nil {
		r.takeOwn(items)
	}
	if len(items) == 0 {
		items = append(items, r.fallback()...)
	}
	r.nameLocals(items)
	c := Case{Nature: NatureReport, Format: r.format}
	switch {
	case r.natural != NatureUnknown:
		c.Nature = r.natural
	case r.status.feedback || r.b.isReport(reportFeedback):
		c.Nature = NatureComplaint
	case r.isReceipt():
		c.Nature, c.Format = NatureReceipt, "mail"
		items = nil
	}
	if len(items) == 0 && c.Nature == NatureReport {
		if !r.b.reports() {
			return nil
		}
		items = []Item{{FromReport: true}} // a report that names nobody
	}
	reporter := r.status.reporter
	if reporter.IsZero() {
		reporter = r.reporter
	}
	for i := range items {
		it := &items[i]
		if it.Reporter.IsZero() {
			it.Reporter = reporter
		}
		r.finishItem(it)
	}
	c.Items = items
	c.Hops, c.DirIn, c.DirOut = r.hops(items)
	c.Written = r.written()
	c.Partial = r.limited
	if r.limited {
		c.Notes = append(c.Notes, Note{ID: "limit-reached", Text: "The report names more recipients than are read; the rest was left out."})
	}
	return []Case{c}
}

// isReceipt reports whether the fields are those of a read receipt (RFC 8098):
// a disposition, and no action or status.
func (r *report) isReceipt() bool {
	if !r.b.isReport(reportDisposition) && !r.status.disposed {
		return false
	}
	for i := range r.status.groups {
		if g := &r.status.groups[i]; g.action != ActionUnstated || g.status != "" {
			return false
		}
	}
	return true
}

// nameLocals gives recipients without a domain, and those without a name, the
// address that X-Failed-Recipients or the returned message has for them.
func (r *report) nameLocals(items []Item) {
	for i := range items {
		it := &items[i]
		if strings.IndexByte(it.Recipient, '@') >= 0 {
			continue
		}
		if len(r.status.failed) == len(items) {
			it.Recipient = r.status.failed[i]
			continue
		}
		if len(r.b.inside) > 0 {
			continue
		}
		a := r.returnedTo()
		local, _, _ := strings.Cut(a, "@")
		if a != "" && (it.Recipient == local || it.Recipient == "" && len(items) == 1) {
			it.Recipient = a
		}
	}
}

// sayingsAboutPeer are words of a reporter's own about a server that it did speak
// to or dial, whatever that server answered, in lower case: no sign that the
// reporter stopped the mail.
var sayingsAboutPeer = []string{
	"network is down",            // Courier, of each server that failed it
	"message too large for peer", // OpenSMTPD, after the SIZE of EHLO
}

// finishItem settles what follows from the facts that were read.
func (r *report) finishItem(it *Item) {
	for _, w := range sayingsAboutPeer {
		if it.Reply.IsZero() && strings.HasPrefix(strings.ToLower(it.LocalReply.Text()), w) {
			it.LocalOnlyExpiry = true
		}
	}
	if it.Action == ActionUnstated {
		switch {
		case r.delay:
			it.Action = ActionDelayed
		case r.success || it.Stage == transcript.StageAccepted && it.Reply.Class() == 2:
			it.Action = ActionRelayed
		default:
			it.Action = ActionFailed
		}
	}
	if it.Action == ActionDelayed && it.Expired && it.Reply.IsZero() && foldEqual([]byte(it.LocalReply.Text()), "envelope expired") {
		it.Action = ActionFailed // OpenSMTPD calls what it gave up a delay
	}
	if !r.status.remote.IsZero() && it.Refuser.IsZero() && it.Target.IsZero() {
		if it.Reply.IsZero() {
			it.Target = asTarget(r.status.remote)
		} else {
			it.Refuser = r.status.remote
		}
	}
	if it.Reply.Code == 530 {
		it.Stage = transcript.StageTLS // wherever it was said
	}
	if it.Port == 0 {
		it.Port = max(it.Refuser.Port, it.Target.Port)
	}
	if it.Sender == "" {
		it.Sender = r.status.sender
	}
	if it.QueueID == "" {
		it.QueueID = r.status.queueID
	}
	named := [...]*Mention{&it.Refuser, &it.Target, &it.Carrier, &it.Reporter}
	more := 0
	for _, m := range named {
		if !m.IsZero() {
			more++
		}
	}
	if n := len(it.Evidence); cap(it.Evidence) < n+more {
		it.Evidence = append(make([]Mention, 0, n+more), it.Evidence...)
	}
	for _, m := range named {
		if !m.IsZero() && !hasMention(it.Evidence, m) {
			it.Evidence = append(it.Evidence, *m)
		}
	}
	sortMentions(it.Evidence)
}

// sortMentions puts mentions in the order of the text; of one place, as they
// were.
func sortMentions(all []Mention) {
	for i := 1; i < len(all); i++ {
		if all[i].Span.Offset < all[i-1].Span.Offset {
			slices.SortStableFunc(all, func(x, y Mention) int { return x.Span.Offset - y.Span.Offset })
			return
		}
	}
}

func hasMention(all []Mention, m *Mention) bool {
	for i := range all {
		if all[i].Span.Offset == m.Span.Offset && all[i].Role == m.Role && all[i].Host == m.Host {
			return true
		}
	}
	return false
}

// merge puts the items of the fields and of the text together, one per
// recipient: host and reply from the fields, stage from the text.
func (r *report) merge() []Item {
	groups := r.status.groups
	if len(groups) == 0 {
		return append([]Item(nil), r.items...) // the list itself is borrowed
	}
	items := make([]Item, 0, max(len(groups), len(r.items)))
	index := make(map[string]int, len(groups))
	for i := range groups {
		it := r.groupItem(&groups[i])
		r.delivered(&it, index)
		if it.Recipient != "" {
			if k, ok := index[it.Recipient]; ok {
				combine(&items[k], &it)
				continue
			}
			index[it.Recipient] = len(items)
		}
		items = append(items, it)
	}
	used := make([]bool, len(items))
	var left []*Item
	for i := range r.items {
		t := &r.items[i]
		k, ok := index[t.Recipient]
		if !ok {
			k = r.matchGroup(items, used, t)
		}
		if k < 0 {
			left = append(left, t)
			continue
		}
		used[k] = true
		combine(&items[k], t)
	}
	// Two spellings of the same recipients: by position.
	if len(left) > 0 && len(r.items) <= len(items) {
		k := 0
		for _, t := range left {
			for k < len(items) && used[k] {
				k++
			}
			if k == len(items) {
				break
			}
			combine(&items[k], t)
			used[k] = true
		}
		return items
	}
	for _, t := range left {
		if t.Recipient != "" && len(r.items) > len(groups) {
			items = append(items, *t)
		}
	}
	return items
}

// delivered gives the item of a group the address that the mail was sent on to,
// where the text tells it and the fields have only the one it came for. So it is
// with Exim: "member@x (generated from team@y)" above, "Final-Recipient: team@y"
// below, once for each member. taken are the recipients that have an item.
func (r *report) delivered(it *Item, taken map[string]int) {
	best := -1
	for i := range r.items {
		t := &r.items[i]
		if t.Original == "" || t.Original != it.Recipient || t.Recipient == "" {
			continue
		}
		if _, ok := taken[t.Recipient]; ok {
			continue
		}
		switch {
		case best < 0, !r.sameWords(it, &r.items[best]) && r.sameWords(it, t):
			best = i
		}
	}
	if best >= 0 {
		it.Original, it.Recipient = it.Recipient, r.items[best].Recipient
	}
}

// sameWords reports whether fields and text tell the same reply, and of the same
// recipient where it names one.
func (r *report) sameWords(it, t *Item) bool {
	return it.Reply.Code == t.Reply.Code && it.Reply.Enhanced == t.Reply.Enhanced &&
		(strings.Contains(it.Reply.Text(), t.Recipient) || !strings.Contains(t.Reply.Text(), t.Recipient))
}

// matchGroup finds the item of the fields that a recipient of the text belongs
// to: by its original recipient, or by its local part alone.
func (r *report) matchGroup(items []Item, used []bool, t *Item) int {
	for i := range items {
		it := &items[i]
		if used[i] {
			continue
		}
		if t.Recipient == "" {
			return i
		}
		if it.Original != "" && it.Original == t.Recipient || t.Original != "" && t.Original == it.Recipient {
			return i
		}
		if it.Recipient == "" {
			it.Recipient = t.Recipient
			return i
		}
	}
	return -1
}

// combine adds to an item what another piece of evidence about the same
// recipient says. The first one is the fields'.
func combine(it, more *Item) {
	for _, m := range []*Mention{&more.Refuser, &more.Target} {
		if !m.IsZero() && !hasMention(it.Evidence, m) {
			it.Evidence = append(it.Evidence, *m)
		}
	}
	if it.Recipient == "" {
		it.Recipient = more.Recipient
	}
	if it.Original == "" {
		it.Original = more.Original
	}
	if it.Action == ActionUnstated {
		it.Action = more.Action
	}
	if it.Status == "" {
		it.Status = more.Status
	}
	if it.Stage == "" || more.Stage != "" && it.Reply.IsZero() == more.Reply.IsZero() {
		if more.Stage != "" {
			it.Stage = more.Stage
		}
	}
	if more.Stage == transcript.StageAuth && more.Reply.Code == 535 && it.Reply.Code != 535 && (it.Refuser.Host == more.Refuser.Host || it.Refuser.IsZero()) {
		// The login failed first; what the fields tell is what came of it.
		it.Reply, it.Stage = more.Reply, more.Stage
	}
	// A reply with a code beats one without, all lines of it beat the first; the
	// first one wins otherwise.
	if len(more.Reply.Lines) > len(it.Reply.Lines) && more.Reply.Code == it.Reply.Code && len(it.Reply.Lines) == 1 && more.Reply.Lines[0] == it.Reply.Lines[0] {
		it.Reply = more.Reply
	}
	if !more.Reply.IsZero() && (it.Reply.IsZero() || it.Reply.Code == 0 && more.Reply.Code != 0) {
		it.Reply = more.Reply
		if it.Fault != transcript.FaultNone && more.Stage != "" {
			it.Stage = more.Stage
		}
		it.Fault = transcript.FaultNone
	}
	if it.Refuser.IsZero() && !more.Refuser.IsZero() {
		it.Refuser = more.Refuser
		if it.Target.Host == it.Refuser.Host {
			it.Target = Mention{}
		}
	} else if !more.Refuser.IsZero() && it.Refuser.Address == "" && it.Refuser.Host == more.Refuser.Host {
		it.Refuser.Address = more.Refuser.Address
	}
	if it.Refuser.Host == "" && it.Refuser.Address != "" && more.Refuser.Address == it.Refuser.Address && more.Refuser.Host != "" {
		it.Refuser = more.Refuser
	}
	if it.LocalReply.IsZero() && it.Reply.IsZero() {
		it.LocalReply = more.LocalReply
	}
	if it.Reply.IsZero() && it.Target.IsZero() {
		it.Target = more.Target
	}
	if it.Fault == transcript.FaultNone && it.Reply.IsZero() {
		it.Fault, it.FaultSpan = more.Fault, more.FaultSpan
		if more.Stage != "" && more.Fault != transcript.FaultNone {
			it.Stage = more.Stage
		}
	}
	if it.Carrier.IsZero() {
		it.Carrier = more.Carrier
	}
	if it.Port == 0 {
		it.Port = more.Port
	}
	if it.When.IsZero() {
		it.When = more.When
	}
	if it.RetryUntil.IsZero() {
		it.RetryUntil = more.RetryUntil
	}
	if it.Secure == transcript.Unknown {
		it.Secure = more.Secure
	}
	if it.Sender == "" {
		it.Sender = more.Sender
	}
	it.Expired = it.Expired || more.Expired
	it.LocalOnlyExpiry = it.LocalOnlyExpiry || more.LocalOnlyExpiry
	if it.Session == nil {
		it.Session = more.Session
	}
}
