package ndr

import (
	"bytes"
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// noteKind is what a client's own line about its connection means.
type noteKind uint8

const (
	noteTry       noteKind = iota + 1 // an address is tried
	noteConnected                     // TCP opened
	noteResolved                      // the name stands for an address
	noteDial                          // the connection is opened to a name
	noteTLSUp                         // the handshake went well
	noteUploaded                      // the message went out
	noteArtefact                      // the test program ate a line
	noteEnd                           // the client ended the connection
	noteHidden                        // AUTH goes on without being shown
	noteConfig                        // a line of the client's configuration
	noteIgnore                        // of no meaning, though it looks so
	noteUnopened                      // the client gives the connection up and names the server
)

// connectionNotes are the beginnings of lines with which clients tell about the
// connection, after their marks for such lines ("=== ", "* ", "DEBUG SMTP: "),
// in lower case.
var connectionNotes = []struct {
	words string
	kind  noteKind
}{
	{"trying ", noteTry},
	{"trying to connect to host ", noteDial},
	{"connected to host ", noteConnected},
	{"connected to ", noteConnected},
	{"connecting to ", noteDial},
	{"attempting smtp connection to ", noteDial}, // MDaemon, with what follows
	{"resolving a record for ", noteIgnore},
	{"resolving aaaa record for ", noteIgnore},
	{"resolving mx record", noteIgnore},
	{"waiting for socket connection", noteIgnore},
	{"waiting for protocol to start", noteIgnore},
	{"connecting via ", noteDial},
	{"attempting to deliver to: ", noteDial}, // Haraka
	{"connection: opening to ", noteDial},
	{"connection: opened", noteConnected},
	{"connection: closed", noteEnd},
	{"connection opened: ", noteConnected},
	{"connection opened", noteConnected},
	{"connection established to ", noteConnected},
	{"connection established", noteConnected},
	{"connection upgraded with starttls", noteTLSUp},
	{"connection to ", noteConnected},
	{"connection closed with remote host", noteEnd},
	{"connection closed", noteEnd},
	{"connection #", noteEnd},
	{"connect: to (", noteDial},
	{"connect: b", noteIgnore},
	{"smtp inbound: ", noteIgnore}, // PHPMailer prints each reply once more
	{"connected(", noteConnected},
	{"resolved ", noteResolved},
	{"opening connection to ", noteDial},
	{"opened", noteConnected},
	{"host = ", noteConfig},
	{"port = ", noteConfig},
	{"tls = ", noteIgnore},
	{"tls_", noteIgnore},
	{"timeout = ", noteIgnore},
	{"auth = ", noteIgnore},
	{"tls started with cipher ", noteTLSUp},
	{"tls session parameters", noteTLSUp},
	{"tls connection established", noteTLSUp},
	{"ssl connection using (", 0}, // ssmtp: of no cipher, the handshake failed
	{"ssl connection using ", noteTLSUp},
	{"creating ssl connection to host", noteConnected}, // ssmtp, before it speaks with STARTTLS, too
	{"cannot open ", noteUnopened},
	{"ssmtp: cannot open ", noteUnopened},
	{"new, tlsv", noteTLSUp},
	{"new, ssl", noteTLSUp},
	{"starttls handshake completed", noteTLSUp},
	{"ssl negotiation successful", noteTLSUp}, // MDaemon
	{"tls peer dn=", noteTLSUp},
	{"tls no local certificate", noteIgnore},
	{"renegotiating", noteArtefact},
	{"keyupdate", noteArtefact},
	{"closing connection", noteEnd},
	{"auth login command trace suppressed", noteHidden},
	{"auth plain command trace suppressed", noteHidden},
	{"auth xoauth2 command trace suppressed", noteHidden},
	{"auth ntlm command trace suppressed", noteHidden},
	{"escape character is", noteConnected},
	{"server certificate", noteIgnore},
	{"found extension", noteIgnore},
	{"wrote ", noteUploaded}, // Ruby, behind the final dot
}

// noteTable finds the notes by their first byte.
var noteTable = func() (t [256][]int) {
	for i := range connectionNotes {
		c := connectionNotes[i].words[0]
		t[c] = append(t[c], i)
		if c >= 'a' && c <= 'z' {
			t[c-'a'+'A'] = append(t[c-'a'+'A'], i)
		}
	}
	return t
}()

// noteMarks stand before a client's own lines.
var noteMarks = []string{"===", "***", "* ", "DEBUG SMTP:", "DEBUG:", "==", "**"}

// noteStart is where a client's own words begin in the line: behind its mark.
func noteStart(line []byte) int {
	i := skipBlanks(line, 0)
	for _, m := range noteMarks {
		if bytes.HasPrefix(line[i:], []byte(m)) {
			return skipBlanks(line, i+len(m))
		}
	}
	// sendmail -v begins with the recipient.
	if n := bytes.Index(line[:min(len(line), 200)], []byte("... ")); n > i && bytes.IndexByte(line[i:n], '@') > 0 && bytes.IndexByte(line[i:n], ' ') < 0 {
		return n + len("... ")
	}
	// curl's meter may stand before its first note.
	if n := bytes.Index(line, []byte("--:--:--")); n >= 0 {
		if k := bytes.LastIndex(line, []byte("* ")); k > n {
			return skipBlanks(line, k+2)
		}
	}
	return i
}

// noteOf finds the note that the words begin with, 0 if there is none.
func noteOf(words []byte) noteKind {
	if len(words) == 0 {
		return 0
	}
	for _, k := range noteTable[words[0]] {
		if foldPrefix(words, connectionNotes[k].words) {
			return connectionNotes[k].kind
		}
	}
	return 0
}

// note reads a line that nobody said: the client's own words. line begins at
// base in Doc.Text.
func (d *dialogue) note(line []byte, base int) {
	line = line[:wholeRunes(line, 4096)]
	at := noteStart(line)
	words := line[at:]
	if len(words) == 0 {
		return
	}
	if n := bytes.Index(words, []byte("s_client ")); n >= 0 {
		d.upgrade = bytes.Contains(words[n:], []byte("-starttls"))
	}
	t := d.cur
	kind := noteOf(words)
	if kind == 0 {
		// Behind a time and an id: "[…] INFO [x] Connection established to …".
		if k := behindStamp(line); k > at {
			if n := noteOf(line[k:]); n != 0 {
				at, words, kind = k, line[k:], n
			}
		}
	}
	if t != nil && t.data && len(words) == 1 && words[0] == '.' {
		t.client(".", base+at, base+at+1)
		return
	}
	if foldPrefix(words, "operation timed out") || foldPrefix(words, "connection timed out") {
		kind = 0
	}
	switch kind {
	case noteIgnore:
		return
	case noteConfig:
		var s settings
		s.scan(d.b, line, base)
		d.around.setHost(s.host, s.sure)
		if s.port != 0 {
			d.around.port = s.port
		}
		return
	case noteTry, noteDial, noteConnected, noteResolved:
		if programFailed(words) {
			break
		}
		d.connection(kind, words, base+at)
		return
	case noteTLSUp:
		if t != nil {
			t.readTLS(words)
			if t.upgrading || !t.greeted && !foldPrefix(words, "tls peer") {
				t.handshake(transcript.Exchange{Span: d.b.span(base, base+len(line))})
			}
		}
		return
	case noteUploaded:
		if t != nil && t.data && bytes.HasSuffix(words, []byte(" bytes")) {
			t.uploaded = true
			return
		}
	case noteUnopened:
		if t != nil {
			d.unopened(words, base+at)
			return
		}
	case noteArtefact:
		if t != nil && d.format == "openssl" && t.artefact.IsZero() && !t.failed() {
			t.finishReply()
			t.artefact = d.b.span(base, base+len(line))
		}
		return
	case noteEnd:
		if t != nil {
			t.finishReply()
			if d.nodemailer() && !t.over && !t.quitting && t.cutShort() {
				t.fail(transcript.FaultClosed, "", base+at, base+len(line))
			}
			if foldPrefix(words, "connection closed by") || foldPrefix(words, "connection closed unexpectedly") {
				break
			}
			if d.format == "curl" || foldPrefix(words, "closing") {
				return // told after the fault, and before the next transfer
			}
			t.over = true
		}
		return
	case noteHidden:
		if t != nil {
			t.client("AUTH "+strings.ToUpper(string(bytes.Fields(words)[1])), base+at, base+len(line))
			t.prompts = false
		}
		return
	}
	d.program(line, at, base)
}

// unopened takes ssmtp's last words: "Cannot open H:port", whatever had gone
// wrong with the connection until TLS is up. They name the server.
func (d *dialogue) unopened(words []byte, base int) {
	t := d.cur
	const mark = "open "
	at := foldIndex(words, mark) + len(mark)
	h, n := hostAt(words[at:])
	if n == 0 || h.address == "" && !looksLikeHost([]byte(h.name)) {
		return
	}
	if t.dialled.Host == "" {
		address := t.dialled.Address
		t.dialled = d.b.mention(Target, h, base+at, base+at+n)
		if t.dialled.Address == "" {
			t.dialled.Address = address
		}
		if t.session.Port == 0 {
			t.session.Port = h.port
		}
	}
	t.finishReply()
	if !t.failed() && (t.cutShort() || t.upgrading) {
		t.fail(transcript.FaultClosed, "", base, base+len(words))
	}
}

// programFailed reports whether the line tells a failure although it begins
// like a note: "Connection to H failed".
func programFailed(words []byte) bool {
	p, _ := programSays(words)
	return p != nil && p.effect == effectFault && p.words != "expiré"
}

// behindStamp skips time, level and ids before a program's words.
func behindStamp(line []byte) int {
	i := skipBlanks(line, 0)
	var s said
	for step := 0; step < 6 && i < len(line); step++ {
		if n := stampLength(line, i, &s); n > 0 {
			i = skipFill(line, i+n)
			continue
		}
		n, ok := skippable(line, i)
		if !ok || n == 0 || line[i+n-1] == ':' && !isLevel(line[i:i+n-1]) {
			break
		}
		i = skipFill(line, i+n)
	}
	return i
}

func isLevel(word []byte) bool {
	for _, l := range levels {
		if foldEqual(word, l) {
			return true
		}
	}
	return false
}

// connection takes a line about the connection: whom it goes to, whether it
// opened.
func (d *dialogue) connection(kind noteKind, words []byte, base int) {
	words = bytes.TrimRight(words, " .")
	if n := bytes.Index(words, []byte("...")); n > 0 {
		words = words[:n]
	}
	if n := bytes.Index(words, []byte(" --> ")); n > 0 { // "10.0.0.8:51234 --> 192.0.2.10:25"
		words, base = words[n+5:], base+n+5
	}
	var s settings
	s.cues(d.b, words, base)
	h, port := s.host, s.port
	if h.IsZero() {
		// "Trying 192.0.2.10...", "connect: to ('H', 25) None", `host "H", port: 25`.
		for i := 0; i < len(words) && i < 200; i++ {
			if i > 0 && (isWordByte(words[i-1]) || words[i-1] == '.' || words[i-1] == '-') || !isWordByte(words[i]) {
				continue
			}
			m, n := hostAt(words[i:])
			if n == 0 || m.address == "" && !looksLikeHost([]byte(m.name)) {
				continue
			}
			if m.port == 0 {
				m.port = portBehind(words[i+n:])
			}
			h, port = d.b.mention(Target, m, base+i, base+i+n), m.port
			break
		}
	}
	t := d.open(kind)
	t.opened = true
	if port != 0 && t.session.Port == 0 {
		t.session.Port = port
	}
	if h.Port == 0 {
		h.Port = port
	}
	switch kind {
	case noteResolved:
		// "Resolved H as ip": the words behind "as".
		if n := bytes.Index(words, []byte(" as ")); n >= 0 {
			if a, k := hostAt(words[n+4:]); k > 0 && a.address != "" {
				t.resolved = d.b.mention(Target, a, base+n+4, base+n+4+k)
				t.session.Address = a.address
			}
		}
	case noteConnected:
		t.connected = true
		t.upgrading = t.upgrading || d.upgrade && foldPrefix(words, "connected(")
	}
	if h.IsZero() {
		return
	}
	switch {
	case t.dialled.Host == "" && h.Host != "":
		if h.Address == "" {
			h.Address = t.dialled.Address
		}
		t.dialled = h
	case t.dialled.IsZero():
		t.dialled = h
	case h.Address != "" && (t.resolved.IsZero() || kind == noteConnected):
		t.resolved = h
	}
	if h.Address != "" {
		t.session.Address = h.Address
	}
}

// maxAsides bounds the lines between those that were said which are searched for a
// program's words.
const maxAsides = 50_000

// program reads a line as the words of a program: a fault, or AUTH or STARTTLS
// that was not offered.
func (d *dialogue) program(line []byte, at, base int) {
	t := d.cur
	if d.asides++; d.asides > maxAsides {
		d.lost = true
		return
	}
	words := line[at:]
	if f := bytes.HasPrefix(words, []byte("File \"")); f || d.frames && at > 3 || isStackLine(line) {
		d.frames = f
		return // names of functions are no words about what went wrong
	}
	d.frames = false
	if t != nil && t.data && !bytes.HasPrefix(line, []byte("*")) && (d.dialect == dialectBare || d.nodemailer()) && !bytes.Contains(words, []byte("encoded mime message")) {
		// The message itself, which these clients print without a mark.
		if p, _ := programSays(words); p == nil || len(words) > 60 || p.words != "connection closed by foreign host" && p.words != "connection to host lost" {
			return
		}
	}
	if bytes.HasPrefix(words, []byte("} [")) || bytes.HasPrefix(words, []byte("{ [")) {
		if t != nil && t.data && words[0] == '}' {
			t.uploaded = true
		}
		return
	}
	if bytes.Contains(words, []byte("encoded mime message")) {
		if t != nil && t.data {
			t.uploaded = true
		}
		return
	}
	if t != nil {
		t.tlsNote(words)
		if foldPrefix(words, "ssl handshake has read 0 bytes") {
			t.silent(base+at, base+len(line))
		}
	}
	if d.dataWriter(words, base+at) {
		return
	}
	p, where := programSays(words)
	if p == nil {
		if d.b.inLetterhead(base) {
			return
		}
		d.around.scan(d.b, line, base)
		d.pendingReply(words, base+at)
		return
	}
	if n, end := replyAround(words, where); n >= 0 {
		// "… 421 4.4.2 H Error: timeout exceeded": the server's words, told again.
		d.around.scan(d.b, line, base)
		if !d.pendingReply(words, base+at) && t == nil {
			d.toldBefore(words, n, end, base+at)
		}
		return
	}
	switch p.effect {
	case effectNothing:
		return
	case effectRefusal:
		d.pendingReply(words, base+at)
		return
	case effectLogin:
		if !d.pendingReply(words, base+at) && t != nil && t.offersNoAUTH() {
			t.noAUTH(base+at, base+len(line))
		}
		return
	}
	if t == nil {
		t = d.open(noteTry)
	}
	if t.dialled.Host == "" {
		var s settings
		s.cues(d.b, line, base)
		if s.sure >= 2 && s.host.Host != "" {
			t.dialled = s.host
			if t.session.Port == 0 {
				t.session.Port = s.port
			}
		}
	}
	from, to := base+at, base+len(line)
	switch p.effect {
	case effectNoAUTH:
		t.noAUTH(from, to)
		return
	case effectNoTLS:
		if t.failed() || t.secure {
			return
		}
		t.finishReply()
		if t.greeted || t.connected {
			t.add(transcript.Exchange{Stage: transcript.StageTLS, Fault: transcript.FaultTLS, Span: d.b.span(from, to), Detail: "STARTTLS is not offered"})
			return
		}
	}
	if d.pendingReply(words, from) {
		return
	}
	if t.failed() && !t.waiting() {
		t.precise(p, from, to)
		return // told again
	}
	if p.fault == transcript.FaultCertificate {
		t.tlsFacts().Verified = transcript.No
	}
	if p.stage == transcript.StageTLS {
		t.told = tlsTells(words)
	}
	t.fail(p.fault, p.stage, from, to)
}

// precise replaces a fault that only says that there is no connection by one
// that says why, and words about TLS by some that say more.
func (t *talk) precise(p *programPhrase, from, to int) {
	s := t.session
	if len(s.Exchanges) == 0 {
		return
	}
	e := &s.Exchanges[len(s.Exchanges)-1]
	if e.Detail == "" && e.Stage == transcript.StageTLS && e.Reply.IsZero() && e.Fault != transcript.FaultNone && p.stage == transcript.StageTLS && p.effect == effectFault {
		if told := tlsTells(t.b.Doc.Text[from:to]); told > t.told || p.fault == transcript.FaultCertificate && e.Fault != p.fault {
			e.Fault, e.Span, t.told = p.fault, t.b.span(from, to), told
		}
		return
	}
	if t.greeted || vague(p) || p.stage == "" {
		return
	}
	if e.Stage == transcript.StageConnect && e.Fault == transcript.FaultTimeout && e.Reply.IsZero() {
		e.Fault, e.Stage, e.Span = p.fault, p.stage, t.b.span(from, to)
	}
}

// gitInitialize are git send-email's words for a Net::SMTP that did not come up;
// behind them it tells the server and port that it is set to.
const (
	gitInitialize = "unable to initialize smtp properly"
	gitValues     = "values: server="
)

// silent takes openssl's word that the server sent nothing at all: what it missed
// in the EHLO reply was the reply itself.
func (t *talk) silent(from, to int) {
	s := t.session
	if n := len(s.Exchanges); n > 0 && !t.greeted {
		if e := &s.Exchanges[n-1]; e.Stage == transcript.StageTLS && e.Reply.IsZero() && e.Fault == transcript.FaultTLS {
			e.Stage, e.Fault, e.Detail, e.Span = transcript.StageGreet, transcript.FaultClosed, "", t.b.span(from, to)
			s.Implicit = false
		}
	}
}

// tlsReasons are words that say why TLS failed, in lower case; the others say only
// that it did.
var tlsReasons = []string{
	"expired", "not yet valid", "notyetvalid", "mismatch", "subject name", "subject alternative", "altnames", "not valid for", "is valid for",
	"expected cn", "did not match", "self-signed", "self signed", "issuer", "first certificate", "unknown ca", "unknown authority", "certification path", "path building",
	"protocol version", "protocol_version", "unsupported protocol", "wrong version", "the frame size", "unexpected tls packet", "unrecognized ssl", "eof", "reset", "closed",
}

// tlsTells is how much the words tell about a fault of TLS: 1 a reason, 0 none.
func tlsTells(words []byte) int {
	if len(words) > maxProgramLine {
		words = words[:maxProgramLine]
	}
	for _, w := range tlsReasons {
		if foldIndex(words, w) >= 0 {
			return 1
		}
	}
	return 0
}

// replyAround finds the reply in whose text the words at the place stand; -1 when
// they are a program's own.
func replyAround(words []byte, place int) (start, end int) {
	for at := 0; at < place; {
		n, k := findReply(words[at:])
		if n < 0 || at+n > place {
			break
		}
		if at+k > place && k-n > 12 {
			return at + n, at + k
		}
		at += k
	}
	return -1, -1
}

// cutShort reports whether the client still waited for something: the greeting, a
// reply, or the one to its message.
func (t *talk) cutShort() bool {
	return len(t.pending) > 0 || t.data || t.connected && !t.greeted
}

// toldBefore keeps a reply that a program tells before its dialogue, or without
// one.
func (d *dialogue) toldBefore(words []byte, from, to, base int) {
	if r, ok := transcript.ParseReply(string(words[from:to])); ok && r.Class() >= 4 && d.ahead.IsZero() {
		r.Span = d.b.span(base+from, base+to)
		d.ahead = r
	}
}

// nodemailer reports whether the dialogue is nodemailer's, which prints the
// message without a mark.
func (d *dialogue) nodemailer() bool { return d.format == "nodemailer" }

// pendingReply uses a reply that the program tells in its own words where the
// dialogue does not show it: JavaMail hides AUTH, msmtp may print nothing else.
func (d *dialogue) pendingReply(words []byte, at int) bool {
	t := d.cur
	if t == nil || len(t.pending) == 0 || t.failed() {
		return false
	}
	e := &t.session.Exchanges[t.pending[0]]
	if e.Stage != transcript.StageAuth {
		return false
	}
	return t.tells(words, at)
}

// tells takes the reply that the words quote for the one to the command that
// waits.
func (t *talk) tells(words []byte, at int) bool {
	n, end := findReply(words)
	if n < 0 {
		return false
	}
	r, ok := transcript.ParseReply(string(words[n:end]))
	if !ok || r.Class() < 4 {
		return false
	}
	r.Span = t.b.span(at+n, at+end)
	t.answer(r)
	return true
}

// dataWriter takes the reply to the message out of go-mail's own words, "closing
// SMTP DATA writer: 552 "5.3.4 …"": its log leaves it out, and what it said
// afterwards is there.
func (d *dialogue) dataWriter(words []byte, at int) bool {
	t := d.cur
	if t == nil || !t.unlogged || foldIndex(words, "smtp data writer: ") < 0 {
		return false
	}
	for i := range t.session.Exchanges {
		if e := &t.session.Exchanges[i]; e.Command == "." && e.Reply.IsZero() && e.Fault == transcript.FaultNone {
			t.pending, t.over = append(t.pending[:0], i), false
			return t.tells(words, at)
		}
	}
	return false
}

// offersNoAUTH reports whether the last EHLO list has no AUTH and none was
// tried.
func (t *talk) offersNoAUTH() bool {
	t.finishReply()
	s := t.session
	list := s.Before
	if s.After != nil {
		list = s.After
	}
	if list == nil {
		return false
	}
	for i := range s.Exchanges {
		if s.Exchanges[i].Stage == transcript.StageAuth {
			return false
		}
	}
	for _, l := range list {
		if len(l) >= 4 && strings.EqualFold(l[:4], "AUTH") {
			return false
		}
	}
	return true
}

// failed reports whether an exchange failed already, or AUTH was hidden.
func (t *talk) failed() bool { return !t.hidden.IsZero() || t.broken() }

// broken reports whether an exchange failed already. It goes on where it stopped
// the last time: only an EHLO that failed may be mended later.
func (t *talk) broken() bool {
	s := t.session
	until := len(s.Exchanges)
	if len(t.pending) > 0 {
		until = t.pending[0]
	}
	for ; !t.bad && t.checked < until; t.checked++ {
		e := &s.Exchanges[t.checked]
		if !e.Failed() {
			continue
		}
		t.bad = true
	}
	return t.bad && s.FirstFailureIndex() >= 0
}

// waiting reports whether a command waits for its reply.
func (t *talk) waiting() bool { return len(t.pending) > 0 && !t.broken() }

// readTLS takes version and cipher out of a line about the handshake.
func (t *talk) readTLS(words []byte) {
	t.tlsWords(words)
	t.tlsNote(words)
}

// tlsWords takes the first version and the first cipher out of the words.
func (t *talk) tlsWords(words []byte) {
	facts := t.tlsFacts()
	for _, w := range bytes.FieldsFunc(words, func(c rune) bool { return c == ' ' || c == ':' || c == ',' || c == '/' || c == '(' || c == ')' }) {
		switch {
		case foldPrefix(w, "tlsv1"), foldPrefix(w, "tls1"):
			if facts.Version == "" {
				facts.Version = tlsVersion(string(w))
			}
		case bytes.HasPrefix(w, []byte("TLS_")), bytes.HasPrefix(w, []byte("ECDHE-")), bytes.HasPrefix(w, []byte("AES")):
			if facts.Cipher == "" {
				facts.Cipher = clip(string(w), 80)
			}
		}
	}
}

// tlsVersion writes a version as the record has it: "TLS 1.3".
func tlsVersion(s string) string {
	for _, v := range []string{"1.3", "1.2", "1.1", "1.0"} {
		if strings.HasSuffix(s, v) {
			return "TLS " + v
		}
	}
	if strings.EqualFold(s, "TLSv1") || strings.EqualFold(s, "TLS1") {
		return "TLS 1.0"
	}
	return ""
}

// tlsNote takes facts about the certificate out of the lines of curl, openssl
// and swaks.
func (t *talk) tlsNote(words []byte) {
	if len(words) < 8 || len(words) > 400 {
		return
	}
	switch words[0] | 0x20 {
	case 's':
		if foldPrefix(words, "subject=") || foldPrefix(words, "subject: ") {
			t.tlsFacts().Subject = clip(strings.TrimSpace(string(words[8:])), 300)
		}
	case 'i':
		if foldPrefix(words, "issuer=") || foldPrefix(words, "issuer: ") {
			t.tlsFacts().Issuer = clip(strings.TrimSpace(string(words[7:])), 300)
		}
	case 't':
		if foldPrefix(words, "tls peer dn=\"") {
			t.tlsFacts().Subject = clip(strings.TrimRight(string(words[13:]), "\" "), 300)
		}
	case 'e':
		if foldPrefix(words, "expire date: ") {
			if at, err := time.Parse("Jan _2 15:04:05 2006 MST", strings.TrimSpace(string(words[13:]))); err == nil {
				t.tlsFacts().NotAfter = at.UTC()
			}
		}
	case 'v':
		const code = "verify return code: "
		if !foldPrefix(words, code) {
			return
		}
		number := string(leadingDigits(words[len(code):]))
		if number == "" {
			return // cut off: neither yes nor no
		}
		facts := t.tlsFacts()
		if number == "0" {
			facts.Verified = transcript.Yes
			return
		}
		facts.Verified = transcript.No
		switch number {
		case "10":
			facts.Problem = "certificate-expired"
		case "9":
			facts.Problem = "certificate-not-yet-valid"
		case "62":
			facts.Problem = "certificate-name-mismatch"
		case "18", "19", "20", "21":
			facts.Problem = "certificate-unknown-issuer"
		}
	case 'p':
		if foldPrefix(words, "protocol  : tlsv") && t.tlsFacts().Version == "" {
			t.tlsWords(words)
		}
	}
}
