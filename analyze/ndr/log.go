package ndr

import (
	"bytes"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// mta is a program whose log is read.
type mta uint8

const (
	mtaNone mta = iota
	mtaPostfix
	mtaExim
	mtaSendmail
	mtaOpenSMTPD
	mtaDMA
	mtaNullmailer
	mtaMsmtp
	mtaCourier
	mtaQmail
	mtaMaddy
	mtaStalwart
	mtaKerio
	numMTAs
)

// logFormats are the Case.Format of each log.
var logFormats = [numMTAs]string{
	mtaPostfix: "postfix-log", mtaExim: "exim-log", mtaSendmail: "sendmail-log", mtaOpenSMTPD: "opensmtpd-log",
	mtaDMA: "dma-log", mtaNullmailer: "nullmailer-log", mtaMsmtp: "msmtp-log", mtaCourier: "courier-log",
	mtaQmail: "qmail-log", mtaMaddy: "maddy-log", mtaStalwart: "stalwart-log", mtaKerio: "kerio-log",
}

// record is the head of a log line: what stands before the message. The ranges
// are offsets in the line.
type record struct {
	mta     mta
	clock   stamp
	host    [2]int
	daemon  string // "smtp" of "postfix/smtp", without instance names
	pid     string // also a queue id, where the program logs it there
	message int
}

// recordAt reads the head of a log line, with what containers, journals and
// collectors put before it. It reports false for a line of no mail log.
func recordAt(line []byte) (record, bool) {
	var r record
	if len(line) < 16 {
		return r, false
	}
	i := 0
	for i < len(line) && (line[i] == ' ' || line[i] == '\t') {
		i++
	}
	stamped := false
	for step := 0; step < 4 && i < len(line); step++ {
		c := line[i]
		switch {
		case c == '{' && bytes.HasPrefix(line[i:], []byte(`{"log":"`)):
			i += len(`{"log":"`)
			continue
		case c == '<':
			// A syslog priority: <22>.
			if end := bytes.IndexByte(line[i:], '>'); end > 1 && end < 6 && isDigit(line[i+1]) {
				i += end + 1
				if i+1 < len(line) && isDigit(line[i]) && line[i+1] == ' ' {
					i += 2 // RFC 5424's version
				}
				continue
			}
			return r, false
		case c == '[':
			if s, n := stampAt(line[i+1:]); n > 0 && i+1+n < len(line) && line[i+1+n] == ']' {
				r.clock, stamped = s, true
				i = skipBlanks(line, i+n+2)
				continue
			}
			if !stamped {
				if s, n := kerioStart(line[i:]); n > 0 {
					return record{mta: mtaKerio, clock: s, message: i + n}, true
				}
				return r, false
			}
		}
		s, n := stampAt(line[i:])
		if n == 0 {
			break
		}
		if !s.when.IsZero() || !stamped {
			if !stamped || s.hasYear || !r.clock.hasYear {
				r.clock = s
			}
			stamped = true
		}
		i = skipBlanks(line, i+n)
		// Kubernetes: "… stdout F Nov 23 …".
		for _, w := range []string{"stdout F ", "stderr F ", "stdout P "} {
			if bytes.HasPrefix(line[i:], []byte(w)) {
				i += len(w)
			}
		}
		if i < len(line) && line[i] == '|' {
			i = skipBlanks(line, i+1)
		}
	}
	if i >= len(line) {
		return r, false
	}
	if !stamped {
		// A container's name and a bar, or no head at all.
		if n := bytes.IndexByte(line[i:min(i+60, len(line))], '|'); n > 0 && i+n+2 < len(line) && line[i+n+1] == ' ' {
			rest, ok := recordAt(line[i+n+2:])
			if ok {
				rest.shift(i + n + 2)
			}
			return rest, ok
		}
	}
	return r.program(line, i, stamped)
}

func (r *record) shift(n int) {
	r.message += n
	r.host[0] += n
	r.host[1] += n
}

// program reads host and program of the line from i on.
func (r *record) program(line []byte, i int, stamped bool) (record, bool) {
	rest := line[i:]
	if stamped {
		if k := eximStart(rest); k >= 0 {
			r.mta, r.message = mtaExim, i+k
			return *r, true
		}
		if foldPrefix(rest, "host=") && bytes.Contains(rest, []byte(" exitcode=")) {
			r.mta, r.message = mtaMsmtp, i
			return *r, true
		}
	}
	if k := qmailStart(rest); k >= 0 {
		r.mta, r.message = mtaQmail, i+k
		return *r, true
	}
	if isEventID(rest) || isRelayLine(rest) {
		r.mta, r.message = mtaOpenSMTPD, i
		return *r, true
	}
	if nullmailerStart(rest) && (stamped || i == 0 || !isLetter(line[0])) {
		r.mta, r.message = mtaNullmailer, i
		return *r, true
	}
	if r.fielded(line, i) {
		return *r, true
	}
	for word := 0; word < 4 && i < len(line); word++ {
		end := i
		for end < len(line) && line[end] != ' ' && line[end] != '\t' {
			end++
		}
		token := line[i:end]
		n := len(token)
		if n > 1 && token[n-1] == ':' || n > 2 && bytes.IndexByte(token, '[') > 0 {
			if r.daemonOf(token) {
				r.message = skipBlanks(line, end)
				if r.mta == mtaNone {
					if stamped && bytes.HasPrefix(token, []byte("MailPlus")) {
						i = r.message // Synology: "MailPlus_Server: postfix/smtp[123]: …"
						continue
					}
					return *r, false
				}
				if r.mta == mtaQmail {
					k := qmailStart(line[r.message:])
					if k < 0 {
						return *r, false
					}
					r.message += k
					return *r, true
				}
				if r.mta == mtaExim {
					// syslog and then Exim's own line, maybe with its own time.
					rest := r.message
					if s, k := stampAt(line[rest:]); k > 0 {
						r.clock = s
						rest = skipBlanks(line, rest+k)
					}
					k := eximStart(line[rest:])
					if k < 0 {
						return *r, false
					}
					r.message = rest + k
				}
				if r.mta == mtaMaddy && (r.message >= len(line) || !maddyStart(line[r.message:])) {
					return *r, false
				}
				return *r, r.message < len(line)
			}
			return *r, false
		}
		if !stamped {
			return *r, false
		}
		r.host = [2]int{i, end}
		i = skipBlanks(line, end)
	}
	return *r, false
}

// daemonOf reads "postfix/smtp[23603]:" and reports whether the token has the
// shape of a program's name.
func (r *record) daemonOf(token []byte) bool {
	token = bytes.TrimSuffix(token, []byte{':'})
	name := token
	if n := bytes.IndexByte(token, '['); n > 0 {
		name = token[:n]
		r.pid = string(bytes.TrimRight(token[n+1:], "]"))
	}
	if len(name) == 0 || len(name) > 64 {
		return false
	}
	last := name
	if n := bytes.LastIndexByte(name, '/'); n >= 0 {
		last = name[n+1:]
	}
	switch {
	case bytes.Contains(name, []byte("postfix")) && len(last) < len(name):
		r.mta, r.daemon = mtaPostfix, string(last)
	case bytes.Equal(name, []byte("sendmail")), bytes.Equal(name, []byte("sm-mta")), bytes.Equal(name, []byte("sm-msp")), bytes.Equal(name, []byte("sm-msp-queue")), bytes.Equal(name, []byte("sm-que")), bytes.Equal(name, []byte("sendmail-out")):
		r.mta = mtaSendmail
	case bytes.HasPrefix(name, []byte("exim")):
		r.mta = mtaExim
	case bytes.Equal(name, []byte("smtpd")):
		r.mta = mtaOpenSMTPD
	case bytes.Equal(name, []byte("dma")):
		r.mta = mtaDMA
	case bytes.HasPrefix(name, []byte("nullmailer")):
		r.mta = mtaNullmailer
	case bytes.Equal(name, []byte("msmtp")):
		r.mta = mtaMsmtp
	case isCourierDaemon(name):
		r.mta = mtaCourier
	case bytes.Equal(name, []byte("qmail")), bytes.Equal(name, []byte("qmail-send")), bytes.Equal(name, []byte("splogger")):
		r.mta = mtaQmail
	case bytes.Equal(name, []byte("maddy")):
		r.mta = mtaMaddy
	case len(last) < len(name) && isPostfixDaemon(last):
		// syslog_name may be anything: "mta-out/smtp[123]:".
		r.mta, r.daemon = mtaPostfix, string(last)
	}
	return true
}

// isCourierDaemon reports whether the name is that of Courier's queue manager or
// of one of its delivery modules.
func isCourierDaemon(name []byte) bool {
	for _, d := range []string{"courierd", "courieresmtp", "courierlocal", "courierdsn"} {
		if string(name) == d {
			return true
		}
	}
	return false
}

func isPostfixDaemon(name []byte) bool {
	for _, d := range []string{"smtp", "smtpd", "qmgr", "bounce", "cleanup", "error", "lmtp", "pickup", "local", "pipe", "virtual", "relay", "submission", "postscreen"} {
		if string(name) == d {
			return true
		}
	}
	return false
}

// logLine is a log line with its continuation, as running text.
type logLine struct {
	record
	f    flow // of the message
	base int  // of the line in Doc.Text
	line []byte
}

// reporter is the host that wrote the log, as its lines name it.
func (l *logLine) reporter(b *Block) Mention {
	from, to := l.host[0], l.host[1]
	if to <= from {
		return Mention{}
	}
	h, n := hostAt(l.line[from:to])
	if n == 0 {
		return Mention{}
	}
	return b.mention(Reporter, h, l.base+from, l.base+from+n)
}

// fieldValue gives the value of name=value in a line of such fields: up to a
// blank, or in quotes of either kind, which end where the line or the next field
// says so. It gives -1 where there is none.
func fieldValue(t []byte, name string) (from, to int) {
	n := bytes.Index(t, []byte(name+"="))
	for n > 0 && t[n-1] != ' ' {
		k := bytes.Index(t[n+1:], []byte(name+"="))
		if k < 0 {
			return -1, -1
		}
		n += 1 + k
	}
	if n < 0 {
		return -1, -1
	}
	from = n + len(name) + 1
	if from < len(t) && (t[from] == '\'' || t[from] == '"') {
		quote := t[from]
		from++
		for to = from; to < len(t); to++ {
			if t[to] == quote && (to+1 == len(t) || t[to+1] == ' ' && bytes.IndexByte(t[to+2:min(to+20, len(t))], '=') > 0) {
				return from, to
			}
		}
		return from, len(t)
	}
	to = from
	for to < len(t) && t[to] != ' ' {
		to++
	}
	return from, to
}

// attempt is the outcome of a queue id and a recipient, as far as the log tells.
type attempt struct {
	item  Item
	clock stamp
	order int // of first appearance
}

// logbook collects what a log says about each recipient of each message: the
// last try is the outcome.
type logbook struct {
	b        *Block
	attempts map[string]*attempt
	keys     []string
	rising   int // lines that are later than the one before, less those that are earlier
	last     stamp
	limited  bool
	expired  map[string]Mention // queue ids whose message was given up
	notice   map[string]bool    // queue ids of bounces that the MTA sent itself
	senders  map[string]string
	notes    []Note
}

// maxAttempts bounds the outcomes of one log.
const maxAttempts = 100_000

func newLogbook(b *Block) *logbook {
	return &logbook{b: b, attempts: map[string]*attempt{}, expired: map[string]Mention{}, notice: map[string]bool{}, senders: map[string]string{}}
}

// tick looks at the time of a line, to know which way the log runs.
func (k *logbook) tick(s stamp) {
	if s.when.IsZero() {
		return
	}
	if k.last.before(s) {
		k.rising++
	} else if s.before(k.last) {
		k.rising--
	}
	k.last = s
}

// key joins queue id and recipient.
func key(id, recipient string) string { return id + "\x00" + recipient }

// put records a try. An earlier one of the same message and recipient gives way
// to a later one; an expiry never hides the last answer.
func (k *logbook) put(id string, it Item, clock stamp) {
	name := key(id, it.Recipient)
	old := k.attempts[name]
	if old == nil {
		if len(k.keys) >= maxAttempts {
			k.limited = true
			return
		}
		k.attempts[name] = &attempt{it, clock, len(k.keys)}
		k.keys = append(k.keys, name)
		return
	}
	later := !clock.before(old.clock)
	if later && !old.clock.before(clock) && k.rising < 0 {
		later = false // newest first, and the same second
	}
	newer, older := it, old.item
	if !later {
		newer, older = old.item, it
	}
	if empty := newer.Reply.IsZero() && newer.Fault == transcript.FaultNone && newer.Action != ActionRelayed && newer.Action != ActionDelivered; empty && (!older.Reply.IsZero() || older.Fault != transcript.FaultNone || older.Stage != "" && newer.Stage == "") {
		older.Expired = older.Expired || newer.Expired
		older.Deferred = older.Deferred && !newer.Expired && newer.Deferred
		older.Evidence = append(older.Evidence, newer.Evidence...)
		newer = older
	}
	if newer.Sender == "" {
		newer.Sender = older.Sender
	}
	if newer.Original == "" {
		newer.Original = older.Original
	}
	old.item = newer
	if later {
		old.clock = clock
	}
}

// has reports whether a queue id has an outcome.
func (k *logbook) ids() map[string]bool {
	m := make(map[string]bool, len(k.keys))
	for _, name := range k.keys {
		id, _, _ := strings.Cut(name, "\x00")
		m[id] = true
	}
	return m
}

// items gives the outcomes in the order of the text. skip says which ones are
// none: hops inside the own system, and notices of the MTA where the message
// they are about is there, too.
func (k *logbook) items(skip func(id string, it *Item) bool) []Item {
	// Items are large: a list that grew by doubling would be copied, and held,
	// several times over where a log has a hundred thousand recipients.
	own := make([]Item, 0, len(k.keys))
	var notices, nulls []Item
	for _, name := range k.keys {
		a := k.attempts[name]
		id, _, _ := strings.Cut(name, "\x00")
		own = append(own, a.item)
		it := &own[len(own)-1]
		if skip != nil && skip(id, it) {
			own = own[:len(own)-1]
			continue
		}
		it.QueueID = id
		if it.Sender == "" {
			it.Sender = k.senders[id]
		}
		if m, ok := k.expired[id]; ok {
			it.Expired = true
			it.Deferred = false
			if it.Reporter.IsZero() {
				it.Reporter = m
			}
		}
		it.When = a.clock.item()
		it.Evidence = named(&it.Refuser, &it.Target, &it.Carrier, &it.Reporter)
		if it.Reply.Code == 530 {
			it.Stage = transcript.StageTLS // wherever it was said
		}
		if it.Port == 0 {
			it.Port = max(it.Refuser.Port, it.Target.Port, it.Carrier.Port)
		}
		if k.notice[id] {
			notices = append(notices, *it)
			own = own[:len(own)-1]
		} else if it.Sender == "<>" && (it.Action == ActionRelayed || it.Action == ActionDelivered) {
			// A report of another server that came back this way and arrived: not
			// what the log is read for.
			nulls = append(nulls, *it)
			own = own[:len(own)-1]
		}
	}
	if len(own) > 0 {
		return own
	}
	if len(notices) == 0 {
		return nulls
	}
	for i := range notices {
		if it := &notices[i]; it.Action == ActionRelayed || it.Action == ActionDelivered {
			// That the report about a failure arrived tells nothing of the message
			// that failed, whose lines are not shown.
			*it = Item{Sender: it.Sender, Reporter: it.Reporter, QueueID: it.QueueID, When: it.When}
		}
	}
	return notices
}

// named is a list of those that name a host, without room to spare: every item
// of a log has one. It is nil where none does.
func named(mentions ...*Mention) []Mention {
	n := 0
	for _, m := range mentions {
		if !m.IsZero() {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	list := make([]Mention, 0, n)
	for _, m := range mentions {
		if !m.IsZero() {
			list = append(list, *m)
		}
	}
	return list
}

// logReader reads the lines of one program.
type logReader interface {
	line(l *logLine)
	items() []Item
}

// readLog reads a block as mail logs; lines of several programs may be mixed.
func readLog(b *Block) []Case {
	b = b.unwrapped()
	if runs := b.traceRuns(); len(runs) > 1 {
		return readRuns(runs)
	}
	var readers [numMTAs]logReader
	var books [numMTAs]*logbook
	var first, last [numMTAs]int
	var order []mta
	next, ok := record{}, false
	if b.First < b.Last {
		next, ok = recordAt(b.Doc.Line(b.First))
	}
	for i := b.First; i < b.Last; {
		r, found := next, ok
		j := i + 1
		for ok = false; j < b.Last; j++ {
			l := b.Doc.Line(j)
			if next, ok = recordAt(l); ok || !found || j-i > 12 || !continues(l) || r.mta == mtaOpenSMTPD && r.clock.when.IsZero() {
				break
			}
		}
		if !found {
			i = j
			continue
		}
		base := b.Doc.LineStart(i)
		l := logLine{record: r, base: base, line: b.Doc.Line(i)}
		end := base + wholeRunes(b.Doc.Text[base:b.Doc.LineEnd(j-1)], maxLine)
		l.f = b.Doc.flow(base+r.message, end)
		if bytes.HasPrefix(l.line, []byte(`{"log":"`)) {
			l.f.unescapeJSON()
		}
		m := r.mta
		if readers[m] == nil {
			books[m] = newLogbook(b)
			readers[m] = newLogReader(m, books[m])
			first[m] = i
			order = append(order, m)
		}
		last[m] = j
		books[m].tick(r.clock)
		readers[m].line(&l)
		i = j
	}
	var cases []Case
	for _, m := range order {
		items := readers[m].items()
		if len(items) == 0 {
			continue
		}
		c := Case{Format: logFormats[m], Nature: NatureLog, Items: items, Notes: books[m].notes}
		c.Span = b.span(b.Doc.LineStart(first[m]), b.Doc.LineEnd(last[m]-1))
		if books[m].limited {
			c.Partial = true
			c.Notes = append(c.Notes, Note{ID: "limit-reached", Text: "The log has more outcomes than are read; the rest was left out."})
		}
		cases = append(cases, c)
	}
	return cases
}

// continues reports whether a line may be the rest of the log line before: it is
// not empty and begins with no time of its own.
func continues(l []byte) bool {
	l = bytes.TrimLeft(l, " \t")
	if len(l) == 0 {
		return false
	}
	_, n := stampAt(l)
	return n == 0
}

func newLogReader(m mta, k *logbook) logReader {
	switch m {
	case mtaPostfix:
		return newPostfixLog(k)
	case mtaExim:
		return newEximLog(k)
	case mtaSendmail:
		return newSendmailLog(k)
	case mtaOpenSMTPD:
		return newOpenSMTPDLog(k)
	case mtaDMA:
		return newDMALog(k)
	case mtaNullmailer:
		return newNullmailerLog(k)
	case mtaCourier:
		return newCourierLog(k)
	case mtaQmail:
		return newQmailLog(k)
	case mtaMaddy:
		return &maddyLog{k}
	case mtaStalwart:
		return &stalwartLog{k, map[string]int{}}
	case mtaKerio:
		return &kerioLog{k}
	}
	return &msmtpLog{k}
}

// dsnSigns are fields of delivery-status parts.
var dsnSigns = signsOf(fieldFinal, fieldDiagnostic)

// isDSN reports whether the block is a delivery-status notification, which no
// reader of traces need look at.
func (b *Block) isDSN() bool {
	return b.mail != nil && b.mail.report != reportNone || b.has(dsnSigns)
}

// sniffLog says how sure it is that the block is a mail log.
func sniffLog(b *Block) int {
	if b.isDSN() {
		return 0
	}
	b = b.unwrapped()
	records, strong := 0, 0
	looked := 0
	for i := b.First; i < b.Last && looked < maxSniffed; i++ {
		line := b.Doc.Line(i)
		looked++
		if len(line) < 16 || !mayBeLog(line) {
			continue
		}
		r, ok := recordAt(line)
		if !ok {
			continue
		}
		records++
		if r.mta == mtaPostfix || logTells(&r, line[r.message:]) {
			if strong++; strong > 1 {
				break
			}
		}
	}
	switch {
	case strong == 0 && records == 0:
		return 0
	case b.reports():
		return 33
	case strong == 0:
		return 20
	}
	return 84
}

// mayBeLog is a cheap look at the first bytes: a stamp, a bar of a container, a
// program's name.
func mayBeLog(line []byte) bool {
	c := line[0]
	switch {
	case isDigit(c), c == '<', c == '[', c == '{', c == ' ':
		return true
	case monthAt(line) != 0 && line[3] == ' ', weekdayAt(line):
		return true
	case c == 'p' && bytes.HasPrefix(line, []byte("postfix")), c == 's' && (bytes.HasPrefix(line, []byte("sendmail[")) || bytes.HasPrefix(line, []byte("sm-m")) || bytes.HasPrefix(line, []byte("smtp"))),
		c == 'd' && bytes.HasPrefix(line, []byte("dma[")), c == 'n' && bytes.HasPrefix(line, []byte("nullmailer")), (c == 'S' || c == 'F' || c == 'M' || c == 'G' || c == 'D' || c == 'R') && nullmailerStart(line),
		unhex(c) >= 0 && isEventID(line), c == 'r' && isRelayLine(line), (c == '@' || c == 'd' || c == 's' || c == 'i') && qmailStart(line) >= 0:
		return true
	}
	if c >= 'a' && c <= 'z' && maddyStart(line) || c == 'd' && bytes.HasPrefix(line, []byte("date=")) {
		return true
	}
	n := bytes.IndexByte(line[:min(len(line), 60)], '|')
	return n > 0 && isWordByte(c)
}

// traceRuns cuts a block in which logs and dialogues stand one below the other,
// at empty lines; nil when it is of one kind.
func (b *Block) traceRuns() []*Block {
	if b.whole {
		return nil
	}
	type run struct {
		first int
		class lineClass
	}
	runs := []run{{b.First, lineOther}}
	seen := [3]bool{}
	blank := true
	for i := b.First; i < b.Last; i++ {
		l := b.Doc.Line(i)
		if len(bytes.TrimSpace(l)) == 0 {
			blank = true
			continue
		}
		class := classifyLine(l)
		seen[class] = true
		last := &runs[len(runs)-1]
		switch {
		case class == lineOther, class == last.class:
		case last.class == lineOther && len(runs) == 1:
			last.class = class
		case blank && len(runs) < 1000:
			runs = append(runs, run{i, class})
		}
		blank = false
	}
	if len(runs) < 2 || !seen[lineLog] || !seen[lineDialogue] {
		return nil
	}
	var blocks []*Block
	for i, r := range runs {
		part := *b
		part.First, part.Last, part.whole, part.straight = r.first, b.Last, true, nil
		if i+1 < len(runs) {
			part.Last = runs[i+1].first
		}
		blocks = append(blocks, &part)
	}
	return blocks
}

// readRuns reads each of the blocks by itself.
func readRuns(blocks []*Block) []Case {
	var cases []Case
	for _, b := range blocks {
		switch log, talk, told := sniffLog(b), sniffDialogue(b), sniffError(b); {
		case log > 0 && log >= talk && log >= told:
			cases = append(cases, readLog(b)...)
		case talk > 0 && talk >= told:
			cases = append(cases, readDialogue(b)...)
		case told > 0:
			cases = append(cases, readError(b)...)
		}
	}
	return cases
}

// unescapeJSON undoes the escapes of a JSON string, in which the running text is
// the beginning of one, and cuts it where the string ends.
func (f *flow) unescapeJSON() {
	t := f.text
	if n := bytes.Index(t, []byte(`\n"`)); n >= 0 {
		t = t[:n]
	}
	if bytes.IndexByte(t, '\\') < 0 {
		f.text = t
		return
	}
	old := *f
	out := make([]byte, 0, len(t))
	cuts := []flowCut{{0, int32(old.at(0))}}
	for i := 0; i < len(t); i++ {
		if t[i] != '\\' || i+1 >= len(t) {
			out = append(out, t[i])
			continue
		}
		n := 1
		switch t[i+1] {
		case 'u':
			var c rune
			if c, n = jsonRune(t[i:]); n == 0 {
				out = append(out, t[i])
				break
			}
			out = utf8.AppendRune(out, c)
			n--
		case 'n', 'r', 't':
			out = append(out, ' ')
		default:
			out = append(out, t[i+1])
		}
		i += n
		if n > 0 && i+1 < len(t) {
			cuts = append(cuts, flowCut{int32(len(out)), int32(old.at(i + 1))})
		}
	}
	f.text, f.cuts = out, cuts
}

// jsonRune is the character of the escapes \uXXXX that t begins with, two of them
// where they are halves of one, and how many bytes they take; 0 without one.
func jsonRune(t []byte) (rune, int) {
	one := func(t []byte) rune {
		if len(t) < 6 || t[0] != '\\' || t[1] != 'u' {
			return -1
		}
		c := 0
		for _, x := range t[2:6] {
			h := unhex(x)
			if h < 0 {
				return -1
			}
			c = c<<4 | h
		}
		return rune(c)
	}
	c := one(t)
	switch {
	case c < 0:
		return 0, 0
	case utf16.IsSurrogate(c):
		if both := utf16.DecodeRune(c, one(t[6:])); both != utf8.RuneError {
			return both, 12
		}
		return utf8.RuneError, 6
	case c == 0, c == '\n', c == '\r':
		return ' ', 6
	}
	return c, 6
}

// logTells reports whether a line speaks about a delivery or a refusal.
func logTells(r *record, message []byte) bool {
	switch r.mta {
	case mtaPostfix:
		return bytes.Contains(message, []byte("status=")) || bytes.Contains(message, []byte("reject: ")) || bytes.Contains(message, []byte(" said: "))
	case mtaSendmail:
		return bytes.Contains(message, []byte("stat=")) || bytes.Contains(message, []byte("reject="))
	case mtaCourier:
		return bytes.Contains(message, []byte(",addr=<"))
	case mtaOpenSMTPD:
		return bytes.Contains(message, []byte("result=")) || bytes.Contains(message, []byte("mta ")) || isRelayLine(message)
	}
	return true
}

// classifyLine says what a single line looks like by itself.
func classifyLine(line []byte) lineClass {
	if len(line) < 4 {
		return lineOther
	}
	if len(line) >= 16 && mayBeLog(line) {
		if r, ok := recordAt(line); ok && r.mta != mtaNullmailer {
			return lineLog
		}
	}
	switch line[0] {
	case '<', '>', ' ', '-', '~', '*', '=', '[', 'S', 'C', 's', 'r':
		if s := sayingAt(line); s.mark != nil && s.strong {
			return lineDialogue
		}
		if bytes.HasPrefix(line, []byte("=== ")) || bytes.HasPrefix(line, []byte("*** ")) {
			k := noteStart(line)
			if k < len(line) && noteOf(line[k:]) != 0 {
				return lineDialogue
			}
		}
	}
	if isDigit(line[0]) && isProtocolRow(line) {
		return lineDialogue
	}
	return lineOther
}
