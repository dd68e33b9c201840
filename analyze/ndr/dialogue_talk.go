package ndr

import (
	"bytes"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// talk is one connection of a dialogue while it is read. Lines come with their
// speaker; replies are matched with commands first in, first out (RFC 2920), so
// that a pipelined refusal finds its command.
type talk struct {
	b       *Block
	session *transcript.Session
	masker  transcript.Masker

	dialled  Mention // the name or address that was dialled or configured
	resolved Mention // the address it stands for, when the text names one
	banner   Mention // the name the server gave itself

	pending []int // exchanges that wait for a reply
	reply   transcript.Reply
	from    int  // of the reply that is being collected, in Doc.Text
	to      int  // its end
	open    bool // its last line had a hyphen

	connected bool // TCP opened
	greeted   bool // the greeting came, or the text begins later
	secure    bool
	upgrading bool // STARTTLS was accepted, the handshake follows
	data      bool // the message is being sent
	uploaded  bool // … and went out whole, by the client's own words
	unlogged  bool // the log leaves the message out: the command behind it ends it
	prompts   bool // the server waits for an answer within AUTH
	loggedIn  bool
	quitting  bool
	over      bool            // the connection is closed: the next line belongs to another one
	hidden    transcript.Span // the client's word that AUTH was not offered
	artefact  transcript.Span // the tester ate a line
	masked    bool

	before  transcript.Exchange // a fault that the program told before its dialogue
	opened  bool                // a note of the connection came
	told    int                 // how much the words about a fault of TLS tell, see tlsTells
	checked int                 // exchanges that were looked at for a failure
	bad     bool                // one of them failed

	clock stamp
	first int // line where the connection begins
	last  int // line behind its last one

	settings settings // of the text around: configured host and port
}

// maxExchanges bounds the exchanges kept of one connection.
const maxExchanges = 5000

func (t *talk) add(e transcript.Exchange) int {
	s := t.session
	if len(s.Exchanges) >= maxExchanges {
		return -1
	}
	e.Secure = e.Secure || t.secure
	s.Exchanges = append(s.Exchanges, e)
	return len(s.Exchanges) - 1
}

// empty reports whether nothing was said or tried yet.
func (t *talk) empty() bool { return len(t.session.Exchanges) == 0 && !t.connected && !t.open }

// client takes a line that the client sent. text is without marks; from and to
// are its place in Doc.Text.
func (t *talk) client(text string, from, to int) {
	t.finishReply()
	verb := transcript.Verb(text)
	if t.data {
		unseen := t.unlogged && (verb == "QUIT" || verb == "RSET")
		if !unseen {
			t.masker.Line(transcript.Other, text)
		}
		if text != "." && !unseen {
			return
		}
		t.data = false
		if verb != "RSET" { // go-mail goes on with RSET when the message was taken
			t.wait(t.add(transcript.Exchange{Stage: transcript.StageData, Command: ".", Span: t.b.span(from, to)}))
		}
		if !unseen {
			return
		}
	}
	if t.upgrading && verb != "" {
		t.handshake(transcript.Exchange{})
	}
	said := t.masker.Line(transcript.Client, text)
	e := transcript.Exchange{Command: said, Span: t.b.span(from, to), Grouped: len(t.pending) > 0}
	if t.prompts && verb == "" || verb == "" && t.authPending() {
		t.prompts = false
		e.Stage = transcript.StageAuth
		t.wait(t.add(e))
		return
	}
	t.prompts = false
	e.Stage = transcript.StageOf(text)
	switch verb {
	case "EHLO", "HELO", "LHLO":
		if t.session.Client == "" {
			t.session.Client = clip(strings.TrimSpace(text[4:]), 255)
		}
	case "QUIT":
		t.quitting = true
	}
	t.wait(t.add(e))
}

// authPending reports whether the last unanswered command is AUTH.
func (t *talk) authPending() bool {
	if len(t.pending) == 0 {
		return false
	}
	e := &t.session.Exchanges[t.pending[len(t.pending)-1]]
	return e.Stage == transcript.StageAuth
}

func (t *talk) wait(i int) {
	if i >= 0 {
		t.pending = append(t.pending, i)
	}
}

// server takes a line that the server sent.
func (t *talk) server(text string, from, to int) {
	if len(text) < 3 {
		return
	}
	code := number([]byte(text[:3]))
	if masked := t.masker.Line(transcript.Server, text); len(masked) >= 3 && masked[:3] == text[:3] {
		text = masked
	} else if len(text) > 4 {
		text = text[:4] + t.masker.Line(transcript.Other, text[4:]) // a short secret must not eat the code
	}
	if t.open && code != t.reply.Code {
		t.finishReply()
	}
	if !t.open {
		t.reply = transcript.Reply{Code: code}
		t.from = from
	}
	if len(t.reply.Lines) < 1000 {
		t.reply.Lines = append(t.reply.Lines, clip(text, 4096))
	}
	t.to = to
	t.open = true
	if len(text) > 3 && text[3] == '-' {
		return
	}
	t.finishReply()
}

// finishReply hands the collected reply to the command it answers.
func (t *talk) finishReply() {
	if !t.open {
		return
	}
	t.open = false
	r := t.reply
	if p, ok := transcript.ParseReply(r.Lines[0]); ok {
		r.Enhanced = p.Enhanced
	}
	r.Span = t.b.span(t.from, t.to)
	t.answer(r)
}

// answer gives the reply to the exchange it belongs to.
func (t *talk) answer(r transcript.Reply) {
	s := t.session
	t.connected = true
	if t.greets(&r) {
		if len(s.Exchanges) == 1 && s.Exchanges[0].Fault != transcript.FaultNone && !t.opened {
			// Told before the dialogue, in which it comes last.
			t.before = s.Exchanges[0]
			s.Exchanges = s.Exchanges[:0]
			t.bad, t.checked = false, 0
		}
		t.greeted = true
		t.readBanner(&r)
		t.session.Implicit = t.session.Implicit || t.secure
		t.add(transcript.Exchange{Stage: transcript.StageGreet, Reply: r, Span: r.Span})
		return
	}
	t.greeted = true
	if r.Code == 421 {
		t.readBanner(&r)
	}
	i := -1
	switch {
	case len(t.pending) > 0:
		for len(t.pending) > 1 && !t.fits(&r, t.pending[0]) {
			t.pending = t.pending[1:] // its reply is not in the text
		}
		i = t.pending[0]
		t.pending = append(t.pending[:0], t.pending[1:]...)
	case t.data:
		// The client does not show the message: this answers the final dot.
		t.data = false
		i = t.add(transcript.Exchange{Stage: transcript.StageData, Command: ".", Span: r.Span})
	default:
		if t.upgrading && r.Class() != 4 && r.Code != 554 {
			t.handshake(transcript.Exchange{})
		}
		e := t.unseen(&r)
		if !t.artefact.IsZero() && transcript.KindOf(r).Echo() {
			return // what the tester did not send is missing: no answer of the relay
		}
		e.Span = r.Span
		i = t.add(e)
	}
	if i < 0 {
		return
	}
	e := &s.Exchanges[i]
	e.Reply = r
	if !t.artefact.IsZero() && transcript.KindOf(r).Echo() {
		e.Reply = transcript.Reply{}
		e.Skipped = "a command before it was not sent by the test program"
		return
	}
	verb := transcript.Verb(e.Command)
	switch {
	case e.Stage == transcript.StageEHLO && r.Class() == 2:
		if len(r.Lines) > 1 || e.Command != "" && !lastOfList(&r) {
			t.keywords(&r)
		}
		t.readBanner(&r)
	case verb == "STARTTLS" && r.Class() == 2:
		t.upgrading = true
	case r.Code == 334:
		t.prompts = true
	case r.Code == 235:
		t.loggedIn = true
	case r.Code == 354:
		t.data = true
		t.uploaded = false
	case r.Code == 221:
		t.over = true
	}
}

// fits reports whether the reply may answer the command of exchange i. Only for
// the commands that end a pipelined group (RFC 2920 §3.1): when another command
// follows one of them, its reply came before, even if an excerpt lacks it.
func (t *talk) fits(r *transcript.Reply, i int) bool {
	e := &t.session.Exchanges[i]
	switch verb := transcript.Verb(e.Command); verb {
	case "EHLO", "HELO", "LHLO", "STARTTLS", "AUTH":
	default:
		return r.Code != 221 || verb == "QUIT" // RFC 5321 §4.3.2
	}
	if r.Class() >= 4 {
		s := r.Stage()
		return s != transcript.StageEnvelope && s != transcript.StageData
	}
	if e.Stage == transcript.StageEHLO {
		return r.Code == 250 && !strings.HasPrefix(r.Enhanced, "2.1.")
	}
	return r.Code != 250 && r.Code != 354
}

// greets reports whether the reply is the greeting: the first one, unless the
// text begins later or the client spoke first and was answered.
func (t *talk) greets(r *transcript.Reply) bool {
	if t.greeted {
		return false
	}
	if r.Code == 220 {
		if len(t.pending) > 0 && transcript.Verb(t.session.Exchanges[t.pending[0]].Command) == "STARTTLS" {
			return false
		}
		return true
	}
	return len(t.pending) == 0 && r.Class() >= 4
}

// unseen makes an exchange for a reply whose command the text does not show. Its
// stage comes from the reply's own words and from how far the talk has come.
func (t *talk) unseen(r *transcript.Reply) transcript.Exchange {
	e := transcript.Exchange{Stage: transcript.StageUnknown}
	text := r.Text()
	switch {
	case r.Code == 334 || r.Code == 235 || r.Code == 535:
		e.Stage = transcript.StageAuth
	case r.Code == 354:
		e.Stage = transcript.StageData
		e.Command = "DATA"
	case r.Code == 220:
		e.Stage = transcript.StageTLS
		e.Command = "STARTTLS"
	case r.Code == 221:
	case r.Code == 250 && (r.Enhanced == "" && (len(r.Lines) > 1 || t.session.Furthest().Order() < transcript.StageEHLO.Order())):
		e.Stage = transcript.StageEHLO
	case r.Code == 250 && (strings.HasPrefix(r.Enhanced, "2.1.") || strings.Contains(text, "Sender") || strings.Contains(text, "Recipient") || strings.Contains(text, "sender") || strings.Contains(text, "recipient")):
		e.Stage = transcript.StageEnvelope
	case r.Code == 250 && transcript.KindOf(*r) == transcript.KindQueued:
		e.Stage = transcript.StageData
		e.Command = "."
	case r.Class() >= 4:
		e.Stage = r.Stage()
		if e.Stage == transcript.StageGreet || e.Stage == transcript.StageUnknown {
			// It was said in mid-talk.
			e.Stage = transcript.StageUnknown
			if far := t.session.Furthest(); far == transcript.StageEnvelope || far == transcript.StageAuth {
				e.Stage = far
			}
		}
	}
	return e
}

// lastOfList reports whether the reply to EHLO is the last line of a list and
// not a list of one: the first line names the server (RFC 5321 §4.1.1.1), and
// ssmtp shows no other than the last.
func lastOfList(r *transcript.Reply) bool {
	if len(r.Lines) != 1 || len(r.Lines[0]) < 5 {
		return false
	}
	word, _, _ := strings.Cut(r.Lines[0][4:], " ")
	for _, k := range ehloKeywords {
		if strings.EqualFold(word, k) {
			return true
		}
	}
	return false
}

// ehloKeywords are the service extensions that end a server's list, by IANA's
// registry and by usage.
var ehloKeywords = []string{
	"CHUNKING", "SMTPUTF8", "DSN", "8BITMIME", "ENHANCEDSTATUSCODES", "PIPELINING", "SIZE", "HELP", "AUTH", "STARTTLS", "VRFY", "ETRN", "EXPN",
	"BINARYMIME", "DELIVERBY", "LIMITS", "REQUIRETLS", "PRDR", "XCLIENT", "XFORWARD", "OK",
}

// keywords keeps the list of an EHLO reply (RFC 5321 §4.1.1.1).
func (t *talk) keywords(r *transcript.Reply) {
	list := make([]string, 0, len(r.Lines))
	for i, l := range r.Lines {
		if i == 0 && (len(r.Lines) > 1 || len(l) > 4 && strings.IndexByte(l, '.') > 0) {
			continue // the server's name
		}
		if len(l) > 4 {
			list = append(list, strings.TrimSpace(l[4:]))
		}
	}
	if t.secure {
		t.session.After = list
	} else {
		t.session.Before = list
	}
}

// readBanner takes the name that the server gives itself in its greeting, in its
// EHLO reply or in the 421 with which it closes (RFC 5321 §4.2.2).
func (t *talk) readBanner(r *transcript.Reply) {
	if !t.banner.IsZero() || len(r.Lines) == 0 {
		return
	}
	l := r.Lines[0]
	if len(l) < 5 {
		return
	}
	word := l[4:]
	if r.Class() > 3 && r.Enhanced != "" {
		word = strings.TrimLeft(strings.TrimPrefix(word, r.Enhanced), " ")
	}
	if i := strings.IndexAny(word, " \t,;"); i >= 0 {
		word = word[:i]
	}
	if strings.HasPrefix(word, "****") {
		t.masked = true
	}
	name := word // as redaction left it
	if n := tokenAt([]byte(word), "[host-"); n == 0 || n < len(word) {
		if !looksLikeHost([]byte(word)) {
			return
		}
		name = hostName(bytes.TrimSuffix([]byte(word), dot))
	}
	if name == "" {
		return
	}
	t.banner = Mention{Host: name, Role: Refuser, Span: r.Span}
	if line := t.b.Doc.Text[t.from:t.to]; len(line) > 0 {
		if n := bytes.Index(line, []byte(word)); n >= 0 {
			t.banner.Span = t.b.span(t.from+n, t.from+n+len(word))
		}
	}
}

// handshake records how the TLS handshake went; what is empty of e means that
// it went well.
func (t *talk) handshake(e transcript.Exchange) {
	t.finishReply()
	t.upgrading = false
	e.Stage = transcript.StageTLS
	if e.Fault == transcript.FaultNone {
		if t.secure {
			return
		}
		t.secure = true
		if t.session.TLS == nil {
			t.session.TLS = &transcript.TLS{}
		}
	}
	t.add(e)
}

// fail records a fault below or beside SMTP, told by the client at
// Doc.Text[from:to]. stage is what the words say; it may be empty.
func (t *talk) fail(fault transcript.Fault, stage transcript.Stage, from, to int) {
	t.finishReply()
	s := t.session
	span := t.b.span(from, to)
	if t.over || t.quitting && len(t.pending) <= 1 && t.lastAnswered() {
		t.over = true
		return // after QUIT nobody minds
	}
	if !t.artefact.IsZero() {
		t.over = true
		return
	}
	if !t.connected && !t.greeted && (stage == transcript.StageConnect || stage == transcript.StageResolve) {
		// What was typed before went nowhere.
		s.Exchanges, t.pending = s.Exchanges[:0], t.pending[:0]
	}
	if t.lazyHandshake() {
		e := transcript.Exchange{Fault: fault, Span: span}
		if fault == transcript.FaultNone || fault == transcript.FaultRefused || fault == transcript.FaultDNS {
			e.Fault = transcript.FaultTLS
		}
		t.handshake(e)
		t.closes(fault)
		return
	}
	if len(t.pending) > 0 {
		e := &s.Exchanges[t.pending[0]]
		t.pending = t.pending[1:]
		e.Fault, e.Span = fault, span
		t.closes(fault)
		return
	}
	e := transcript.Exchange{Fault: fault, Span: span}
	switch {
	case t.data:
		e.Stage = transcript.StageData
		if t.uploaded {
			e.Command = "."
		}
		t.data = false
	case t.upgrading || stage == transcript.StageTLS && !t.secure && t.greeted:
		e.Stage = transcript.StageTLS
		if fault != transcript.FaultCertificate && fault != transcript.FaultClosed && fault != transcript.FaultReset && fault != transcript.FaultTimeout {
			e.Fault = transcript.FaultTLS
		}
		t.handshake(e)
		t.closes(fault)
		return
	case t.greeted:
		if n := len(s.Exchanges); n > 0 && s.Exchanges[n-1].Failed() {
			t.closes(fault)
			return // a consequence: it was refused and then hung up
		}
		e.Stage = stage
		if stage == "" || stage == transcript.StageGreet || stage == transcript.StageConnect || stage == transcript.StageResolve {
			e.Stage = s.Furthest()
		}
		if e.Stage == transcript.StageNotAttempted {
			e.Stage = transcript.StageUnknown
		}
	case t.connected:
		e.Stage = stage
		if stage != transcript.StageTLS {
			e.Stage = transcript.StageGreet
		} else if fault == transcript.FaultTLS {
			s.Implicit = true // TLS came before any word of SMTP
		}
	default:
		e.Stage = stage
		if fault == transcript.FaultDNS {
			e.Stage = transcript.StageResolve
		} else if stage == "" || stage == transcript.StageUnknown {
			e.Stage = transcript.StageConnect
		}
		if n := len(s.Exchanges); n > 0 && s.Exchanges[n-1].Failed() {
			// One more address, or the same told in other words: keep the last.
			if s.Exchanges[n-1].Fault == transcript.FaultDNS || e.Fault == transcript.FaultNone {
				return
			}
			s.Exchanges[n-1] = e
			return
		}
	}
	t.add(e)
	t.closes(fault)
}

// lazyHandshake takes back the handshake that an EHLO behind STARTTLS seemed to
// prove: Go shakes hands when the first line is written, which go-mail logs
// before. Without a reply inside TLS that line never went out.
func (t *talk) lazyHandshake() bool {
	s := t.session
	n := len(s.Exchanges)
	if !t.unlogged || len(t.pending) != 1 || t.pending[0] != n-1 || n < 2 || s.Exchanges[n-1].Stage != transcript.StageEHLO {
		return false
	}
	if up := &s.Exchanges[n-2]; up.Stage != transcript.StageTLS || up.Command != "" || up.Failed() {
		return false
	}
	s.Exchanges, t.pending = s.Exchanges[:n-2], t.pending[:0]
	t.secure = false
	return true
}

// late gives a fault that was told before the dialogue its place at the end.
func (t *talk) late() {
	e := &t.before
	if e.Fault == transcript.FaultNone || t.failed() {
		return
	}
	if e.Stage == transcript.StageTLS && !t.secure && !t.upgrading && len(t.pending) == 0 {
		t.add(*e) // it looked for STARTTLS and did not find it
		return
	}
	if !t.cutShort() && !t.upgrading && !t.loggedIn {
		return
	}
	t.over, t.quitting = false, false
	stage := e.Stage
	if stage == transcript.StageConnect || stage == transcript.StageGreet || stage == transcript.StageTLS && !t.upgrading {
		stage = ""
	}
	fault := e.Fault
	if fault == transcript.FaultTLS && !t.upgrading {
		fault = transcript.FaultClosed // TLS was up: the line broke
	}
	t.fail(fault, stage, 0, 0)
	for i := range t.session.Exchanges {
		if x := &t.session.Exchanges[i]; x.Fault != transcript.FaultNone {
			x.Span = e.Span
		}
	}
}

// unanswered marks a final dot whose reply the text does not show: the message
// may have been delivered.
func (t *talk) unanswered() {
	if t.failed() {
		return
	}
	if n := len(t.pending); n > 1 && t.greeted && transcript.Verb(t.session.Exchanges[t.pending[n-1]].Command) == "QUIT" {
		// It would not have given up before the reply to a command that ends a
		// pipelined group (RFC 2920 §3.1).
		switch e := &t.session.Exchanges[t.pending[0]]; transcript.Verb(e.Command) {
		case "EHLO", "HELO", "STARTTLS", "AUTH":
			e.Fault = transcript.FaultClosed
			return
		}
	}
	for _, i := range t.pending {
		if e := &t.session.Exchanges[i]; e.Command == "." && e.Reply.IsZero() && e.Fault == transcript.FaultNone {
			e.Fault = transcript.FaultClosed
			return
		}
	}
}

func (t *talk) closes(fault transcript.Fault) {
	switch fault {
	case transcript.FaultClosed, transcript.FaultReset:
		t.over = true
	}
}

// lastAnswered reports whether everything before QUIT was answered.
func (t *talk) lastAnswered() bool {
	for _, i := range t.pending {
		if transcript.Verb(t.session.Exchanges[i].Command) != "QUIT" {
			return false
		}
	}
	return true
}

// noAUTH records the client's word that AUTH was not offered.
func (t *talk) noAUTH(from, to int) {
	t.finishReply()
	if !t.hidden.IsZero() {
		return
	}
	t.hidden = t.b.span(from, to)
	t.add(transcript.Exchange{Stage: transcript.StageAuth, Skipped: "the server did not offer AUTH", Span: t.hidden})
}

// tlsFacts gives the session's TLS facts, made when first asked for.
func (t *talk) tlsFacts() *transcript.TLS {
	if t.session.TLS == nil {
		t.session.TLS = &transcript.TLS{}
	}
	return t.session.TLS
}

// serverMention is the name of the server: dialled or configured, else its own.
func (t *talk) serverMention(role Role) Mention {
	m := t.dialled
	if m.Host == "" && t.settings.host.Host != "" && t.settings.sure > 1 {
		m = t.settings.host
	}
	if m.Host == "" && t.banner.Host != "" {
		address, port := m.Address, m.Port
		m = t.banner
		m.Address, m.Port = address, port
	}
	if m.Address == "" {
		m.Address = t.resolved.Address
	}
	if m.Port == 0 {
		m.Port = t.resolved.Port
	}
	if m.Port == 0 {
		m.Port = t.settings.port
	}
	if m.Span.IsZero() {
		m.Span = t.resolved.Span
	}
	m.Role = role
	return m
}

// clip bounds a kept string.
func clip(s string, most int) string {
	return strings.Clone(s[:wholeRunes(s, most)])
}
