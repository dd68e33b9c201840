package ndr

import (
	"bytes"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// dialogue reads a block of lines that a client and a server said to each other,
// with what the client's program told in between, into talks: one per
// connection.
type dialogue struct {
	b       *Block
	dialect dialect
	format  string
	talks   []*talk
	cur     *talk // nil before the first connection
	lost    bool  // a limit was hit
	asides  int   // lines searched for a program's words

	around  settings // what lines around tell about the server
	server  [2]bool  // letters dialect: the mark's row speaks for the server
	learned bool
	lastTag string           // id of the connection in nodemailer's brackets
	ahead   transcript.Reply // a reply that the program told before its dialogue
	frames  bool             // the line before is a frame of a Python traceback
	upgrade bool             // openssl s_client was told to begin with STARTTLS, which it does not show
}

// maxTalks bounds the connections of one block.
const maxTalks = 20_000

// evidence is what the lines of a block look like by themselves.
type evidence struct {
	servers, clients [numDialects]int
	bareReplies      int
	bareVerbs        int
	greetings        int // bare "220 name"
	notes            int // lines about a connection
	openssl, curl    int
	java, node       int
	swaks            int // "=== " and "*** " notes
	sendmail         int // "r... Connecting to H"
	opened           int // greetings and EHLO, in any dialect
	php              int // PHPMailer's mark with nothing behind it
	boxed            int // ssmtp's
	csv              int
	own              int // this program's own text form
}

// maxSniffed is how many lines are looked at to find out what a block is.
const maxSniffed = 4000

// evidenceOf looks at the lines of a block. It stops early at an ordinary mail:
// most lines of those begin with letters that begin no mark.
func (b *Block) evidenceOf() evidence {
	var e evidence
	last := min(b.Last, b.First+maxSniffed)
	for i := b.First; i < last; i++ {
		line := b.Doc.Line(i)
		if len(line) > 0 {
			e.look(line)
		}
	}
	return e
}

// mayBegin is true for the first bytes of lines that belong to a dialogue; any
// other line costs one look.
var mayBegin = func() (t [256]bool) {
	for _, c := range []byte("<>-~*=[({#$") {
		t[c] = true
	}
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	// Commands, letters as marks, months and weekdays of stamps, levels, notes.
	for _, c := range []byte("ehmrsdqnablctwfjokvuiEHMRSDQNABLCTWFJOKVUI") {
		t[c] = true
	}
	return t
}()

// look takes one line into account.
func (e *evidence) look(line []byte) {
	i := 0
	for i < len(line) && (line[i] == ' ' || line[i] == '\t') {
		i++
	}
	if i == len(line) || !mayBegin[line[i]] {
		return
	}
	rest := line[i:]
	c := rest[0]
	if c == '$' || c == '#' || c == 'o' {
		if foldPrefix(bytes.TrimLeft(rest, "$# "), "openssl s_client ") {
			e.openssl++
			return
		}
	}
	if isReplyText(rest) {
		e.bareReplies++
		if rest[0] == '2' && rest[1] == '2' && rest[2] == '0' {
			e.greetings++
			e.opened++
		}
		return
	}
	if isDigit(c) && isProtocolRow(rest) {
		e.csv++
		return
	}
	letter := isLetter(c)
	if letter && isCommandText(rest) {
		e.bareVerbs++
		if c|0x20 == 'e' || c|0x20 == 'h' {
			e.opened++
		}
		return
	}
	if letter && c != 'S' && c != 'C' && c != 'R' && c != 's' && c != 'r' && c != 'c' {
		// Words: a note, a stamp with a month, or prose.
		if c == 'v' && bytes.HasPrefix(rest, []byte("verify return:")) || c == 'd' && bytes.HasPrefix(rest, []byte("depth=")) {
			e.openssl++
			return
		}
		if noteOf(rest) != 0 && isConnectionLine(rest) {
			e.notes++
			return
		}
		if n := wordLength(rest, 0); n > 8 && rest[n-1] == '.' && rest[n-2] == '.' && bytes.IndexByte(rest[:n], '@') > 0 {
			if k := noteStart(line); k < len(line) && noteOf(line[k:]) != 0 {
				e.notes++
				e.sendmail++
			}
			return
		} else if n > 3 && rest[n-1] == ':' {
			// "mailnews.smtp: S: 220 …"
		} else if perlHandle(rest) == 0 && monthAt(rest) == 0 && !weekdayAt(rest) && !isLevel(rest[:max(wordLength(rest, 0), 0)]) && c != 'D' {
			return
		}
	}
	if isDigit(c) && bytes.HasSuffix(rest, []byte("SERVER -> CLIENT:")) {
		e.php++
		return
	}
	s := sayingAt(line)
	if s.mark != nil && s.strong {
		if t := line[s.from:s.to]; foldPrefix(t, "220") || foldPrefix(t, "ehlo") || foldPrefix(t, "helo") {
			e.opened++
		}
		if isReplyText(trimEscapes(line[s.from:s.to])) {
			e.servers[s.mark.dialect]++
		} else {
			e.clients[s.mark.dialect]++
		}
		if s.tag[1] > 0 && s.mark.dialect == dialectLetters {
			e.node++
		}
		return
	}
	switch c {
	case '[':
		if bytes.Equal(bytes.TrimRight(rest, " "), []byte("[<-]")) {
			e.boxed++
		}
	case '=':
		if bytes.HasPrefix(rest, []byte("=== ")) {
			if bytes.HasPrefix(rest, []byte("=== Session:")) {
				e.own++
			}
			if noteOf(rest[4:]) != 0 {
				e.notes += 2
				e.swaks++
			}
		}
	case '*':
		k := noteStart(line)
		if k < len(line) {
			if noteOf(line[k:]) != 0 && isConnectionLine(line[k:]) {
				e.notes++
				e.curl++
			} else if bytes.HasPrefix(rest, []byte("*** ")) {
				if p, _ := programSays(rest); p != nil {
					e.notes++
				}
			}
		}
	case 'D':
		if bytes.HasPrefix(rest, []byte("DEBUG SMTP: ")) {
			e.java++
			return
		}
	case 'C':
		if bytes.HasPrefix(rest, []byte("CONNECTED(")) {
			e.openssl++
			e.notes++
			return
		}
	}
	if isNodeLine(rest) {
		e.node++
	}
	if letter || c == '[' || isDigit(c) {
		if k := behindStamp(line); k > i && k < len(line) && noteOf(line[k:]) != 0 && isConnectionLine(line[k:]) {
			e.notes++
		} else if noteOf(rest) != 0 && isConnectionLine(rest) {
			e.notes++
		}
	}
}

// isConnectionLine reports whether a note names a host or an address, or is one
// of the fixed lines of telnet and openssl: other lines begin with the same
// words.
func isConnectionLine(words []byte) bool {
	if foldPrefix(words, "escape character is") || foldPrefix(words, "connected(") || foldPrefix(words, "connect: to (") {
		return true
	}
	if len(words) > 200 {
		words = words[:200]
	}
	for _, w := range []string{"trying ", "connected to ", "connection to ", "connection: opening to ", "connection established to ", "resolved ", "connecting to ", "opening connection to ", "connection opened: "} {
		if !foldPrefix(words, w) {
			continue
		}
		rest := words[len(w):]
		for _, p := range []string{"smtp://", "smtps://", "host \""} {
			if foldPrefix(rest, p) {
				rest = rest[len(p):]
			}
		}
		rest = bytes.TrimRight(rest, " .")
		h, n := hostAt(rest)
		return n > 0 && (h.address != "" || looksLikeHost([]byte(h.name))) && !(n < len(rest) && rest[n] == '@')
	}
	return false
}

// best is the dialect with the most lines that cannot be anything else.
func (e *evidence) best() dialect {
	best, most := dialectNone, 0
	for k := dialectNone + 1; k < dialectBare; k++ {
		n := e.servers[k] + e.clients[k]
		if e.servers[k] > 0 && n > most || e.servers[k] == 0 && e.clients[k] > 0 && (e.bareReplies > 0 || e.clients[k] > 1) && n > most {
			best, most = k, n
		}
	}
	if e.bareReplies > 0 && (e.bareVerbs > 0 || e.notes > 0 || e.java > 0) && e.bareReplies+e.bareVerbs > 2*most && !(best == dialectTriple && e.servers[best] == 0) {
		return dialectBare
	}
	return best
}

// sniffDialogue says how sure it is that a block is a dialogue.
func sniffDialogue(b *Block) int {
	if b.isDSN() {
		return 0
	}
	b = b.unwrapped()
	e := b.evidenceOf()
	sure := e.sure()
	if sure > 0 && b.reports() {
		// Reports show parts of dialogues; a dialogue begins at its beginning.
		if e.opened == 0 {
			return min(sure, 28)
		}
		return min(sure, 35)
	}
	return sure
}

func (e *evidence) sure() int {
	if e.own > 0 {
		return 90
	}
	if e.csv > 0 {
		return 88
	}
	k := e.best()
	switch {
	case k == dialectNone:
		if e.php > 0 || e.boxed > 0 {
			return 76 // the excuse below ("Mailer Error: …") tells less than the mark without a reply
		}
		if e.notes > 1 || e.openssl > 0 || e.java > 1 || e.sendmail > 0 {
			return 62
		}
		if e.notes == 1 {
			return 46
		}
		if e.greetings > 0 && e.bareReplies > 1 || e.bareReplies > 2 || e.bareReplies > 0 && e.bareVerbs > 0 {
			return 45
		}
		return 0
	case k == dialectBare:
		return 72
	case e.servers[k] > 0 && (e.clients[k] > 0 || e.servers[k] > 1 || e.notes > 0):
		return 78
	case e.clients[k] > 1:
		return 60
	case k == dialectLetters:
		return 12 // "send: 554 …" is a program's word as well
	}
	return 50
}

// readDialogue reads a block as dialogues.
func readDialogue(b *Block) []Case {
	b = b.unwrapped()
	if runs := b.traceRuns(); len(runs) > 1 {
		return readRuns(runs)
	}
	e := b.evidenceOf()
	if e.own > 0 {
		if cases := readOwn(b); len(cases) > 0 {
			return cases
		}
	}
	if e.csv > 0 {
		return readProtocolLog(b)
	}
	d := &dialogue{b: b, dialect: e.best()}
	if d.dialect == dialectNone {
		d.dialect = dialectBare
		switch {
		case e.swaks > 0:
			d.dialect = dialectSwaks
		case e.php > 0:
			d.dialect = dialectPHP
		case e.boxed > 0:
			d.dialect = dialectBoxed
		}
	}
	d.format = formatName(&e, d.dialect)
	d.read()
	return d.cases()
}

// formatName is the name of the program that wrote the dialogue.
func formatName(e *evidence, k dialect) string {
	switch {
	case e.openssl > 0:
		return "openssl"
	case e.java > 0:
		return "javamail"
	case k == dialectArrow && e.curl > 0 || k == dialectBare && e.curl > 1:
		return "curl"
	case k == dialectLetters && e.node > 0, e.servers[k] == 0 && e.node > 0:
		return "nodemailer"
	case k == dialectTriple && e.servers[k] == 0, e.sendmail > 0:
		return "sendmail-v"
	}
	return formatOf[k]
}

// open gives the talk that a line about a connection belongs to, a new one when
// the present one is over or has spoken.
func (d *dialogue) open(kind noteKind) *talk {
	t := d.cur
	if t != nil && !t.over {
		switch kind {
		case noteTry, noteDial:
			if !t.greeted && !t.connected && len(t.pending) == 0 {
				return t // the next address of the same name
			}
			if !t.greeted && t.connected && kind == noteTry && len(t.session.Exchanges) == 0 && t.dialled.Host != "" {
				return t
			}
		case noteResolved:
			if !t.greeted && !t.connected {
				return t
			}
		default:
			if !t.greeted && !t.connected && t.failed() && t.session.Exchanges[0].Stage == transcript.StageTLS {
				return d.begin() // mutt's error stands above the session that it is of
			}
			// JavaMail tells it behind the greeting.
			if !t.greeted || t.dialled.IsZero() || len(t.session.Exchanges) <= 1 {
				return t
			}
		}
	}
	return d.begin()
}

// begin starts a new talk.
func (d *dialogue) begin() *talk {
	if d.cur != nil {
		d.cur.finishReply()
	}
	if len(d.talks) >= maxTalks {
		d.lost = true
		return d.cur
	}
	t := &talk{b: d.b, session: &transcript.Session{Source: d.format}, unlogged: d.dialect == dialectGo}
	d.talks = append(d.talks, t)
	d.cur = t
	return t
}

// talk gives the present talk for a line that was said, a new one when the
// connection before it is over.
func (d *dialogue) talk() *talk {
	if d.cur == nil || d.cur.over {
		return d.begin()
	}
	return d.cur
}

func (d *dialogue) read() {
	b := d.b
	for i := b.First; i < b.Last; i++ {
		line := b.Doc.Line(i)
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		base := b.Doc.LineStart(i)
		before := d.cur
		if d.dialect == dialectGo {
			i += d.replyOfGo(line, base, i)
		} else {
			d.line(line, base)
		}
		if d.cur != nil {
			if d.cur != before {
				d.cur.first = i
			}
			d.cur.last = i + 1
		}
	}
	if d.cur != nil {
		d.cur.finishReply()
	}
}

// replyOfGo takes a line of go-mail, with the lines of the reply that follow it
// without code and mark, and says how many those are.
func (d *dialogue) replyOfGo(line []byte, base, number int) (more int) {
	s := sayingAt(line)
	if s.mark == nil || s.mark.who != transcript.Server || !s.strong {
		d.line(line, base)
		return 0
	}
	doc := d.b.Doc
	for number+more+1 < d.b.Last && more < 60 {
		next := doc.Line(number + more + 1)
		if len(bytes.TrimSpace(next)) == 0 || behindStamp(next) > 0 || isReplyText(next) {
			break
		}
		more++
	}
	text := string(line[s.from:s.to])
	if more == 0 || len(text) < 5 {
		d.line(line, base)
		return 0
	}
	code := text[:3]
	d.said(transcript.Server, code+"-"+text[4:], base+s.from, base+s.to, &s)
	for k := 1; k <= more; k++ {
		mark := "-"
		if k == more {
			mark = " "
		}
		at := doc.LineStart(number + k)
		d.said(transcript.Server, code+mark+string(doc.Line(number+k)), at, doc.LineEnd(number+k), &s)
	}
	return more
}

// line takes one line of the block.
func (d *dialogue) line(line []byte, base int) {
	if d.dialect == dialectBare {
		d.bare(line, base)
		return
	}
	s := sayingAt(line)
	if s.mark == nil || s.mark.dialect != d.dialect {
		s.mark = nil
		// The mark of the chosen dialect may stand where a stronger one was read.
		if i := skipBlanks(line, 0); i < len(line) {
			if m := markAt(line, i); m != nil && m.dialect == d.dialect {
				s.fill(line, i, m)
			}
		}
	}
	if s.mark == nil || s.mark.dialect != d.dialect {
		d.unmarked(line, base, &s)
		return
	}
	text := string(line[s.from:s.to])
	if s.mark.dialect == dialectBoxed && s.mark.who == transcript.Server && text == "" {
		if d.cur == nil {
			d.begin().connected = true
		}
		d.noReply(base, base+len(line))
		return
	}
	if s.mark.literal != 0 {
		text = unescapeLiteral(text)
	}
	who := d.speaker(&s, text)
	from, to := base+s.from, base+s.to
	switch {
	case who == transcript.Server && s.strong || who == transcript.Server && isReplyText([]byte(text)):
		for _, l := range splitReply(text) {
			if isReplyText([]byte(l)) {
				d.said(transcript.Server, l, from, to, &s)
			}
		}
	case who == transcript.Client:
		d.clientText(text, from, to, &s)
	default:
		d.note(line[s.from:], from)
	}
}

// splitReply gives the lines of a reply that was written in one: with escaped
// line ends, or with commas, as sendEmail does ("250-R, 250-STARTTLS, 250 DSN").
func splitReply(text string) []string {
	if len(text) > 4 && text[3] == '-' && strings.Contains(text, ", "+text[:3]) {
		var lines []string
		for {
			n := strings.Index(text, ", "+text[:3])
			if n < 0 {
				return append(lines, text)
			}
			lines = append(lines, text[:n])
			text = text[n+2:]
		}
	}
	return splitLines(text)
}

// speaker says who speaks. RFC 821 has S for sender and R for receiver, so for
// letters what was said decides, and what was learned from it before.
func (d *dialogue) speaker(s *said, text string) transcript.Speaker {
	if d.dialect != dialectLetters && d.dialect != dialectTriple {
		return s.mark.who
	}
	letter := 0
	if s.mark.who == transcript.Client {
		letter = 1
	}
	if s.strong && (d.dialect == dialectLetters || !d.learned) {
		isServer := isReplyText([]byte(text))
		d.server[letter], d.learned = isServer, true
		d.server[1-letter] = !isServer
	}
	if !d.learned {
		return s.mark.who
	}
	if d.server[letter] {
		return transcript.Server
	}
	return transcript.Client
}

// clientText takes what a client sent; Python writes several lines in one.
func (d *dialogue) clientText(text string, from, to int, s *said) {
	t := d.cur
	if t != nil && t.data && len(text) > 2 && !t.unlogged {
		if isDotted(text) {
			d.said(transcript.Client, ".", from, to, s)
		}
		return
	}
	lines := splitLines(text)
	if len(lines) == 0 {
		lines = []string{""}
	}
	for k, l := range lines {
		if k > 0 && l == "" {
			continue
		}
		d.said(transcript.Client, l, from, to, s)
	}
}

// isDotted reports whether a literal holds the whole message with its final dot.
func isDotted(text string) bool {
	n := len(text)
	for n > 0 && (text[n-1] == '\n' || text[n-1] == '\r') {
		n--
	}
	return n > 0 && text[n-1] == '.' && (n == 1 || text[n-2] == '\n' || text[n-2] == '\r') && n < len(text) || text == "."
}

// said hands a line to the present talk.
func (d *dialogue) said(who transcript.Speaker, text string, from, to int, s *said) {
	t := d.cur
	if s.tag[1] > 0 && d.nodemailer() {
		tag := string(d.b.Doc.Line(d.b.Doc.LineAt(from))[s.tag[0]:s.tag[1]])
		if d.lastTag != "" && tag != d.lastTag && t != nil && t.greeted {
			t.over = true
		}
		d.lastTag = tag
	}
	if who == transcript.Server && t != nil && t.greeted && len(text) > 3 && text[:3] == "220" && t.newGreeting(text) {
		t.over = true
	}
	t = d.talk()
	if !s.clock.when.IsZero() && t.clock.when.IsZero() {
		t.clock = s.clock
		t.session.Began = s.clock.item()
	}
	if s.mark != nil && s.mark.secure && !t.secure {
		t.handshake(transcript.Exchange{})
	}
	if who == transcript.Client {
		t.client(text, from, to)
		return
	}
	t.server(text, from, to)
}

// newGreeting reports whether a 220 greets on another connection: nothing waits
// for it, and the talk had come to an end or it names a server.
func (t *talk) newGreeting(text string) bool {
	if t.open || len(t.pending) > 0 || t.upgrading {
		return false
	}
	if t.quitting {
		return true
	}
	return bytes.Contains([]byte(text), []byte("ESMTP")) || bytes.Contains([]byte(text), []byte("SMTP"))
}

// unmarked takes a line without a mark in a dialogue that has marks: the rest of
// a reply, or the program's own words.
func (d *dialogue) unmarked(line []byte, base int, s *said) {
	i := skipBlanks(line, 0)
	rest := bytes.TrimRight(line[i:], " \t")
	if t := d.cur; t != nil && t.data && d.dialect == dialectPHP && bytes.HasSuffix(rest, []byte("CLIENT -> SERVER: .")) {
		t.client(".", base+i+len(rest)-1, base+i+len(rest))
		return
	}
	if d.dialect == dialectPHP && bytes.HasSuffix(rest, []byte("SERVER -> CLIENT:")) {
		d.noReply(base+i, base+i+len(rest))
		return
	}
	if t := d.cur; t != nil && d.dialect == dialectLetters && d.letters(rest, base+i, s) {
		return
	}
	if t := d.cur; t != nil && isReplyText(rest) {
		// PHPMailer prints the later lines of a reply without a mark; sendmail -v
		// marks the client only.
		if t.open && number(rest[:3]) == t.reply.Code || d.dialect == dialectTriple && d.format == "sendmail-v" {
			d.said(transcript.Server, string(rest), base+i, base+i+len(rest), s)
			return
		}
	} else if t == nil && isReplyText(rest) && d.format == "sendmail-v" {
		d.said(transcript.Server, string(rest), base+i, base+i+len(rest), s)
		return
	}
	d.note(line, base)
}

// letters takes what libESMTP writes without a mark: the later lines of a group
// of commands or replies. "H: " stands before the headers of the message, which
// is sent behind a DATA that it does not show.
func (d *dialogue) letters(rest []byte, from int, s *said) bool {
	t := d.cur
	switch {
	case isCommandText(rest) && len(t.pending) > 0 && !t.data:
		d.said(transcript.Client, string(rest), from, from+len(rest), s)
	case isReplyText(rest) && len(t.pending) > 0 && !t.data:
		d.said(transcript.Server, string(rest), from, from+len(rest), s)
	case bytes.HasPrefix(rest, []byte("H: ")) && !t.data && len(t.pending) == 0 && transcript.Verb(lastCommand(t.session)) == "RCPT" && !t.failed():
		t.client("DATA", from, from+len(rest))
	default:
		return bytes.HasPrefix(rest, []byte("H: "))
	}
	return true
}

// noReply takes an empty line in the place of a reply, with which PHPMailer and
// ssmtp show that the connection is gone.
func (d *dialogue) noReply(from, to int) {
	t := d.cur
	if t == nil {
		return
	}
	t.finishReply()
	if t.cutShort() && !t.failed() {
		t.fail(transcript.FaultClosed, "", from, to)
	}
}

// bare takes a line of a dialogue without marks.
func (d *dialogue) bare(line []byte, base int) {
	i := skipBlanks(line, 0)
	rest := bytes.TrimRight(line[i:], " \t")
	none := said{}
	t := d.cur
	from, to := base+i, base+i+len(rest)
	if i > 3 || len(rest) == 0 {
		d.note(line, base)
		return
	}
	if k := behindStamp(line); !isReplyText(rest) && k > i && k < len(line) {
		if after := bytes.TrimRight(line[k:], " \t"); isReplyText(after) || isCommandText(after) {
			rest, from, to = after, base+k, base+k+len(after)
		}
	}
	switch {
	case isReplyText(rest):
		if t != nil && t.data && !d.answersData(rest) {
			return
		}
		d.said(transcript.Server, string(rest), from, to, &none)
	case t != nil && t.data:
		if len(rest) == 1 && rest[0] == '.' {
			t.client(".", from, to)
			return
		}
		d.note(line, base)
	case isCommandText(rest):
		if d.format == "openssl" && (rest[0] == 'R' || rest[0] == 'Q') && i == 0 && d.eaten() {
			return // the terminal shows it, the tester did not send it
		}
		d.said(transcript.Client, string(rest), from, to, &none)
	case t != nil && t.prompts && !bytes.Contains(rest, []byte{' '}):
		t.client(string(rest), from, to)
	default:
		d.note(line, base)
	}
}

// answersData reports whether a line that looks like a reply is one although
// the message is being typed: a message seldom has such lines.
func (d *dialogue) answersData(line []byte) bool {
	r, ok := transcript.ParseReply(string(line))
	return ok && (r.Enhanced != "" || transcript.KindOf(r) != transcript.KindUnknown)
}

// eaten reports whether openssl s_client took the typed line for itself: the
// next line of the text tells.
func (d *dialogue) eaten() bool {
	i := d.b.Doc.LineAt(d.b.Doc.LineStart(d.b.First))
	if d.cur != nil {
		i = d.cur.last
	}
	for k := i + 1; k < min(i+4, d.b.Last); k++ {
		l := bytes.TrimSpace(d.b.Doc.Line(k))
		if len(l) == 0 {
			continue
		}
		n := noteOf(l)
		return n == noteArtefact || bytes.Equal(l, []byte("DONE"))
	}
	return false
}

// settled leaves out connections that their client ended before anything was
// asked for, where others have an outcome.
func settled(cases []Case) []Case {
	idle := func(c *Case) bool {
		if len(c.Items) != 1 || len(c.Notes) > 0 {
			return false
		}
		it := &c.Items[0]
		return it.Recipient == "" && it.Action == ActionUnstated && it.Reply.IsZero() && it.Fault == transcript.FaultNone && it.Refuser.IsZero()
	}
	kept := make([]Case, 0, len(cases))
	for i := range cases {
		if !idle(&cases[i]) {
			kept = append(kept, cases[i])
		}
	}
	if len(kept) == 0 {
		return cases
	}
	return kept
}

// sameAddress gives a connection to an address the name that the server of
// another connection to the same address gave itself.
func (d *dialogue) sameAddress() {
	var names map[string]Mention
	for _, t := range d.talks {
		if t.banner.Host != "" && t.session.Address != "" {
			if names == nil {
				names = map[string]Mention{}
			}
			names[t.session.Address] = t.banner
		}
	}
	for _, t := range d.talks {
		if t.dialled.Host == "" && t.banner.Host == "" && t.dialled.Address != "" {
			t.banner = names[t.dialled.Address]
		}
	}
}

// join gives a fault that a program told before its dialogue to the dialogue that
// ends without an answer: errors go out by another way and may come first.
func (d *dialogue) join() {
	kept := d.talks[:0]
	for i, t := range d.talks {
		if i+1 < len(d.talks) && !t.greeted && len(t.session.Exchanges) == 1 {
			e, next := &t.session.Exchanges[0], d.talks[i+1]
			next.finishReply()
			next.over = false
			switch {
			case e.Fault == transcript.FaultClosed, e.Fault == transcript.FaultReset, e.Fault == transcript.FaultTimeout && e.Stage != transcript.StageConnect, e.Fault == transcript.FaultTLS, e.Fault == transcript.FaultCertificate:
				same := t.dialled.Host == "" || next.dialled.Host == "" || t.dialled.Host == next.dialled.Host
				if same && next.connected && !next.greeted && len(next.session.Exchanges) == 0 && e.Stage == transcript.StageTLS {
					next.fail(e.Fault, e.Stage, 0, 0)
					next.session.Exchanges[0].Span = e.Span
					continue
				}
				if same && next.greeted && !next.failed() && (next.cutShort() || next.upgrading) {
					if next.dialled.Host == "" {
						next.dialled = t.dialled
					}
					next.fail(e.Fault, "", 0, 0)
					n := &next.session.Exchanges[len(next.session.Exchanges)-1]
					for k := range next.session.Exchanges {
						if next.session.Exchanges[k].Fault != transcript.FaultNone {
							n = &next.session.Exchanges[k]
						}
					}
					n.Span = e.Span
					continue
				}
			}
		}
		kept = append(kept, t)
	}
	d.talks = kept
}

// cases makes a case of each connection.
func (d *dialogue) cases() []Case {
	var cases []Case
	d.sameAddress()
	d.join()
	for _, t := range d.talks {
		t.finishReply()
		if !d.ahead.IsZero() && len(t.pending) > 0 && !t.failed() {
			// The dialogue stops where the reply came that was told before it.
			t.answer(d.ahead)
			d.ahead = transcript.Reply{}
		}
		t.late()
		if d.dialect != dialectBare && t.upgrading && !t.failed() && len(t.pending) == 0 {
			// It tells how TLS ended, if at all, on another way that the text lacks;
			// an EHLO inside TLS would stand here.
			if n := len(t.session.Exchanges); n > 0 {
				e := &t.session.Exchanges[n-1]
				t.handshake(transcript.Exchange{Stage: transcript.StageTLS, Fault: transcript.FaultClosed, Span: e.Reply.Span})
			}
		}
		t.unanswered()
		if t.empty() && t.dialled.IsZero() {
			continue
		}
		t.settings = d.around
		cases = append(cases, t.caseOf(d.format))
	}
	cases = settled(cases)
	if d.lost && len(cases) > 0 {
		cases[0].Partial = true
		cases[0].Notes = append(cases[0].Notes, Note{ID: "limit-reached", Text: "The text has more connections, or more lines around them, than are read; the rest was left out."})
	}
	return cases
}
