package probe

import (
	"context"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// session is one dialogue under way.
type session struct {
	run    *run
	ctx    context.Context
	port   int
	rec    transcript.Session
	began  time.Time // of rec, with the monotonic clock
	w      *wire
	steps  []step // planned and not begun yet
	masker transcript.Masker
	stage  transcript.Stage
	ended  string // why the steps that are left are not tried
	// polite: QUIT is in place. It is not after a fault, since the server may
	// take it for anything.
	polite bool
	quit   bool // QUIT was sent
	quiet  bool // not observed: the TLS scan
}

// step is a planned step; the verb tells steps of one stage apart.
type step struct {
	stage transcript.Stage
	verb  string
}

// outcome is what became of an exchange.
type outcome int8

const (
	done    outcome = iota // the code that the step is for
	refused                // 4xx or 5xx
	broken                 // no whole, valid reply, or the run was interrupted
)

// command is one line to send.
type command struct {
	stage transcript.Stage
	line  string
	ok    []int  // codes that mean success; other 2xx and 3xx break the protocol
	any   bool   // every code will do: RSET, QUIT, "*"
	data  []byte // sent before the line: the message before its final dot
}

func (s *session) plainConn() net.Conn { return s.w.raw }

func (s *session) secure() bool { return s.w != nil && s.w.conn != s.plainConn() }

// plans reports whether a stage has a step that was not begun.
func (s *session) plans(stage transcript.Stage) bool {
	return slices.ContainsFunc(s.steps, func(p step) bool { return p.stage == stage })
}

func (s *session) begin(stage transcript.Stage, shown string) {
	s.stage = stage
	verb := transcript.Verb(shown)
	if verb == "HELO" {
		verb = "EHLO"
	}
	if verb == "." {
		verb = "DATA"
	}
	s.steps = slices.DeleteFunc(s.steps, func(p step) bool { return p.stage == stage && (p.verb == verb || stage == transcript.StageAuth) })
	s.observe(Event{Exchange: transcript.Exchange{Stage: stage, Command: shown}})
}

func (s *session) observe(e Event) {
	if s.run.opts.Observe != nil && !s.quiet {
		e.Port, e.Address = s.port, s.rec.Address
		s.run.opts.Observe(e)
	}
}

// record keeps an exchange. Its words go through the masker here, so that no
// later reader of the record can forget to; the command did when it was sent.
func (s *session) record(e transcript.Exchange) {
	for i, line := range e.Reply.Lines {
		e.Reply.Lines[i] = s.masker.Line(transcript.Server, line)
	}
	e.Detail = s.masker.Line(transcript.Other, e.Detail)
	s.rec.Exchanges = append(s.rec.Exchanges, e)
	s.observe(Event{Done: true, Exchange: e})
}

// skip records a planned step that is not tried.
func (s *session) skip(stage transcript.Stage, verb, reason string) {
	s.steps = slices.DeleteFunc(s.steps, func(p step) bool { return p.stage == stage && p.verb == verb })
	s.record(transcript.Exchange{Stage: stage, Command: verb, Skipped: reason, Secure: s.secure(), Sent: time.Since(s.began)})
}

// interrupt records that the run ended while a step waited.
func (s *session) interrupt(stage transcript.Stage, verb string) {
	s.ended = s.run.interruption()
	s.skip(stage, verb, s.ended)
}

// fault turns the last recorded exchange into a broken one.
func (s *session) fault(fault transcript.Fault, detail string) {
	last := &s.rec.Exchanges[len(s.rec.Exchanges)-1]
	last.Fault, last.Detail = fault, detail
	s.ended, s.polite = SkipFailed, false
}

// settle makes the exchange of a command whole: its reply, or its fault.
func (s *session) settle(e *transcript.Exchange, c command, reply transcript.Reply, f *flaw) outcome {
	e.Took = time.Since(s.began) - e.Sent
	if f != nil {
		s.polite = false
		if s.ctx.Err() != nil {
			e.Skipped = s.run.interruption()
			s.ended = e.Skipped
		} else {
			e.Fault, e.Detail = f.fault, f.detail
			s.ended = SkipFailed
		}
		return broken
	}
	e.Reply = reply
	e.Detail = s.w.manner(c.stage == transcript.StageGreet, reply)
	switch {
	case c.any, slices.Contains(c.ok, reply.Code):
		return done
	case reply.Class() >= 4:
		if reply.Code == 421 {
			s.ended, s.polite = SkipFailed, false // the server closes (RFC 5321 §3.8)
		}
		return refused
	}
	e.Fault = transcript.FaultProtocol
	e.Detail = strconv.Itoa(reply.Code) + " is no reply to " + nameOf(c) + ": neither success nor refusal"
	s.ended, s.polite = SkipFailed, false
	return broken
}

func nameOf(c command) string {
	switch v := transcript.Verb(c.line); {
	case v == ".":
		return "the end of the data"
	case v != "":
		return v
	case c.stage == transcript.StageGreet:
		return "a connection"
	}
	return "AUTH"
}

// ask sends one command and reads its reply.
func (s *session) ask(c command, patience time.Duration) (transcript.Reply, outcome) {
	r := s.group([]command{c}, patience)
	return r[0].reply, r[0].outcome
}

type answered struct {
	reply   transcript.Reply
	outcome outcome
}

// group sends commands in one piece (RFC 2920) and reads their replies. Each
// reply has a patience of its own; QUIT gets the courtesy time at most.
func (s *session) group(cs []command, patience time.Duration) []answered {
	out := make([]answered, len(cs))
	for i := range out {
		out[i].outcome = broken
	}
	if s.stray(cs[0]) {
		return out
	}
	var b []byte
	shown := make([]string, len(cs))
	for i, c := range cs {
		shown[i] = s.masker.Line(transcript.Client, c.line)
		s.begin(c.stage, shown[i])
		b = append(b, c.data...)
		b = append(b, c.line...)
		b = append(b, '\r', '\n')
	}
	sent := time.Since(s.began)
	s.w.deadline(time.Now().Add(patience))
	writeErr := s.w.write(b)
	if cs[0].stage == transcript.StageTLS && s.secure() {
		quickAck(s.w.raw.Conn)
	}
	var lost *flaw
	for i, c := range cs {
		e := transcript.Exchange{Stage: c.stage, Command: shown[i], Secure: s.secure(), Grouped: i > 0, Sent: sent}
		wait := patience
		switch {
		case writeErr != nil:
			wait = min(wait, time.Second) // a 421 may stand before the reset
		case transcript.Verb(c.line) == "QUIT":
			wait = min(wait, courtesy)
		}
		var reply transcript.Reply
		f := lost
		if f == nil {
			s.w.deadline(time.Now().Add(wait))
			reply, f = s.w.reply()
			if f != nil && writeErr != nil && f.fault == transcript.FaultTimeout {
				fault, detail := faultOf(writeErr)
				f = &flaw{fault: fault, detail: detail}
			}
		}
		if f != nil && lost == nil {
			lost = &flaw{fault: f.fault, detail: "no reply, as for the command before"}
		}
		if f != nil && writeErr != nil && len(c.data) > 0 {
			// The write failed as a whole: the final dot is not on its way, and the
			// message was not delivered.
			e.Command, f = "", &flaw{fault: f.fault, detail: "the connection broke inside the message: the final dot was not sent"}
		}
		out[i].reply = reply
		out[i].outcome = s.settle(&e, c, reply, f)
		s.record(e)
		if out[i].outcome == broken && lost == nil {
			lost = &flaw{fault: transcript.FaultProtocol, detail: "the replies before this one were out of order"}
		}
	}
	return out
}

// stray deals with what the server said before c was sent, without being asked.
// A 421 is legal at any time (RFC 5321 §3.8) and read as such; everything else
// breaks the protocol, and nothing that was said so may become an answer.
func (s *session) stray(c command) bool {
	if !s.w.unasked() {
		return false
	}
	e := transcript.Exchange{Stage: c.stage, Secure: s.secure(), Sent: time.Since(s.began)}
	s.w.deadline(time.Now().Add(min(s.run.timeout, time.Second)))
	sample := quote(s.w.buf[s.w.r:s.w.w])
	reply, f := s.w.reply()
	s.ended, s.polite = SkipFailed, false
	switch {
	case f == nil && reply.Code == 421 && transcript.Verb(c.line) == "QUIT":
		// All was said and answered; the server was faster to say goodbye.
		e.Command, e.Reply, e.Skipped = "QUIT", reply, "the server closed the session first"
	case f == nil && reply.Code == 421:
		e.Reply, e.Detail = reply, "said before "+nameOf(c)+" was sent"
	default:
		e.Fault, e.Detail = transcript.FaultProtocol, "bytes arrived before "+nameOf(c)+" was sent: "+sample
	}
	s.begin(c.stage, transcript.Verb(c.line))
	s.record(e)
	return true
}

// talk holds the dialogue on an open connection.
func (s *session) talk() {
	if s.rec.Implicit && !s.secured() {
		return
	}
	if !s.greeting() || !s.hello(transcript.StageEHLO) {
		return
	}
	if !s.rec.Implicit && !s.startTLS() {
		return
	}
	if !s.auth() || !s.envelope() {
		return
	}
	s.polite = true
}

func (s *session) greeting() bool {
	if !s.plans(transcript.StageGreet) {
		return false
	}
	s.begin(transcript.StageGreet, "")
	e := transcript.Exchange{Stage: transcript.StageGreet, Secure: s.secure(), Sent: time.Since(s.began)}
	s.w.deadline(time.Now().Add(s.run.timeout))
	reply, f := s.w.reply()
	result := s.settle(&e, command{stage: transcript.StageGreet, ok: []int{220}}, reply, f)
	if e.Fault == transcript.FaultTimeout && !s.rec.Implicit && s.w.total == 0 && s.speaksTLS() {
		return false
	}
	if f != nil && e.Fault == transcript.FaultProtocol && looksLikeTLS(f.seen[:]) {
		e.Stage, e.Fault = transcript.StageTLS, transcript.FaultTLS
		s.rec.TLS = &transcript.TLS{Problem: problemImplicit, Detail: "the server speaks TLS from the first byte on port " + strconv.Itoa(s.port)}
	}
	s.record(e)
	if result == refused {
		s.ended, s.polite = SkipFailed, reply.Code != 421
	}
	return result == done
}

// hello says EHLO, and HELO where that is not known (RFC 5321 §3.2).
func (s *session) hello(stage transcript.Stage) bool {
	if stage == transcript.StageEHLO && !s.plans(stage) {
		s.polite = true
		return false
	}
	reply, result := s.ask(command{stage: stage, line: "EHLO " + s.rec.Client, ok: []int{250}}, s.run.timeout)
	list := keywords(reply)
	if result == refused && (reply.Code == 500 || reply.Code == 502) && s.ended == "" {
		_, result = s.ask(command{stage: stage, line: "HELO " + s.rec.Client, ok: []int{250}}, s.run.timeout)
		list = []string{}
	}
	if result != done {
		if result == refused && s.ended == "" {
			s.ended, s.polite = SkipFailed, true
		}
		return false
	}
	for i := range list {
		list[i] = s.masker.Line(transcript.Other, list[i])
	}
	if s.secure() {
		s.rec.After = list
	} else {
		s.rec.Before = list
	}
	return true
}

// startTLS goes from plain to TLS where it is offered. It reports whether the
// dialogue goes on: in TLS, or in the clear where no credential is at stake.
func (s *session) startTLS() bool {
	if !s.plans(transcript.StageTLS) {
		s.polite = true
		return false
	}
	if !offers(s.rec.Before, "STARTTLS") {
		s.skip(transcript.StageTLS, "STARTTLS", SkipNoStartTLS)
		if s.port == 25 {
			return true // TLS is a choice there; AUTH is skipped without it
		}
		s.ended, s.polite = SkipNoStartTLS, true
		return false
	}
	_, result := s.ask(command{stage: transcript.StageTLS, line: "STARTTLS", ok: []int{220}}, s.run.timeout)
	if result != done {
		if result == refused && s.ended == "" {
			s.ended, s.polite = SkipFailed, true
		}
		return false
	}
	if s.w.unasked() {
		// Bytes in the clear behind the 220 would be taken for replies of the
		// TLS session (CVE-2011-0411 and its kin).
		s.steps = slices.DeleteFunc(s.steps, func(p step) bool { return p.stage == transcript.StageTLS })
		s.record(transcript.Exchange{
			Stage: transcript.StageTLS, Sent: time.Since(s.began), Fault: transcript.FaultInjection,
			Detail: "plaintext stood behind the reply to STARTTLS: " + quote(s.w.buf[s.w.r:s.w.w]),
		})
		s.ended = SkipFailed
		return false
	}
	return s.secured() && s.hello(transcript.StageTLS)
}

// secured does the handshake, verification included.
func (s *session) secured() bool {
	s.begin(transcript.StageTLS, "")
	s.steps = slices.DeleteFunc(s.steps, func(p step) bool { return p.stage == transcript.StageTLS })
	e := transcript.Exchange{Stage: transcript.StageTLS, Sent: time.Since(s.began)}
	facts, f := s.w.handshake(s.ctx, s.rec.Server, s.run.timeout, s.run.opts.RootCAs, s.run.opts.Now(), 0)
	e.Secure = s.secure()
	e.Took = time.Since(s.began) - e.Sent
	goOn := true
	switch {
	case f == nil:
	case f.fault == transcript.FaultCertificate:
		e.Fault, e.Detail = f.fault, f.detail
		if goOn = s.run.opts.InsecureTLS; !goOn {
			s.ended = SkipFailed
		}
	case s.ctx.Err() != nil:
		facts, goOn = nil, false
		e.Skipped = s.run.interruption()
		s.ended = e.Skipped
	default:
		e.Fault, e.Detail = f.fault, f.detail
		s.ended, goOn = SkipFailed, false
	}
	s.rec.TLS = facts
	s.record(e)
	return goOn
}

// speaksTLS asks a server that does not greet whether it waits for TLS: a
// submission port set up for TLS from the first byte is silent until then.
func (s *session) speaksTLS() bool {
	facts, f := s.w.handshake(s.ctx, s.rec.Server, min(s.run.timeout, courtesy), s.run.opts.RootCAs, s.run.opts.Now(), 0)
	if f != nil && f.fault != transcript.FaultCertificate {
		return false
	}
	facts.Problem = problemImplicit
	facts.Detail = "the server speaks TLS from the first byte on port " + strconv.Itoa(s.port) + ", where STARTTLS is expected"
	s.rec.TLS = facts
	s.record(transcript.Exchange{
		Stage: transcript.StageTLS, Sent: 0, Took: time.Since(s.began), Fault: transcript.FaultTLS, Detail: facts.Detail,
	})
	return true
}

// envelope names senders and recipients, and sends the message where planned.
func (s *session) envelope() bool {
	if !s.plans(transcript.StageEnvelope) {
		return true
	}
	list := s.rec.Before
	if s.secure() {
		list = s.rec.After
	}
	if s.run.eightBit && !offers(list, "SMTPUTF8") {
		s.ended, s.polite = SkipNoUTF8, true
		return false
	}
	withData := s.plans(transcript.StageData) && s.run.claimData(s.port)
	var cs []command
	for i, from := range s.run.senders(withData) {
		if i > 0 {
			cs = append(cs, command{stage: transcript.StageEnvelope, line: "RSET", any: true})
		}
		cs = append(cs, s.mail(from, list))
		for _, to := range s.run.plan.To {
			cs = append(cs, command{stage: transcript.StageEnvelope, line: "RCPT TO:<" + to + ">", ok: []int{250, 251, 252}})
		}
	}
	pipelined := offers(list, "PIPELINING") && !s.run.opts.NoPipelining
	quitToo := pipelined && !withData && len(cs) < maxGroup
	if quitToo {
		cs = append(cs, command{stage: transcript.StageEnvelope, line: "QUIT", any: true})
		s.quit = true
	}
	accepted, ok := s.transactions(cs, pipelined)
	if !ok {
		return false
	}
	if quitToo {
		s.countReplies(s.rec.Exchanges[len(s.rec.Exchanges)-1].Reply)
	}
	if !s.plans(transcript.StageData) {
		return true
	}
	switch {
	case !withData:
		s.skip(transcript.StageData, "DATA", "the test message is sent once in a run, on port "+strconv.Itoa(s.run.dataPort()))
		return true
	case accepted == 0:
		s.skip(transcript.StageData, "DATA", SkipFailed)
		return true
	}
	return s.data()
}

// maxGroup is the most commands sent in one piece; their replies fit into any
// receive window.
const maxGroup = 50

func (s *session) mail(from string, list []string) command {
	if from == "<>" {
		from = ""
	}
	line := "MAIL FROM:<" + from + ">"
	size := s.run.plan.Size
	if size == 0 {
		size = int64(len(s.run.message)) // RFC 1870 §6; 0 when nothing is sent
	}
	if size > 0 && offers(list, "SIZE") {
		line += " SIZE=" + strconv.FormatInt(size, 10)
	}
	if s.run.eightBit && offers(list, "SMTPUTF8") {
		line += " SMTPUTF8"
	}
	return command{stage: transcript.StageEnvelope, line: line, ok: []int{250}}
}

// transactions runs MAIL, RCPT and RSET commands, grouped where the server
// takes that. It counts the recipients that were accepted in the last
// transaction and reports whether the session still stands.
func (s *session) transactions(cs []command, pipelined bool) (accepted int, ok bool) {
	step := 1
	if pipelined {
		step = maxGroup
	}
	mailRefused := false
	for i := 0; i < len(cs); i += step {
		part := cs[i:min(len(cs), i+step)]
		verb := transcript.Verb(part[0].line)
		if !pipelined && verb == "RCPT" && mailRefused {
			s.skip(transcript.StageEnvelope, "RCPT", SkipFailed)
			continue
		}
		for j, a := range s.group(part, s.run.timeout) {
			switch v := transcript.Verb(part[j].line); {
			case a.outcome == broken && v != "QUIT":
				return 0, false
			case v == "MAIL":
				accepted, mailRefused = 0, a.outcome != done
			case v == "RCPT" && a.outcome == done:
				accepted++
			}
		}
		if s.ended != "" && !s.quit {
			return 0, false // 421
		}
	}
	return accepted, true
}

// countReplies makes sure that no reply came too many: then each reply of the
// session may belong to another command. r is the reply to QUIT, the last
// command; a 221 or a 421 there proves that the count fits.
func (s *session) countReplies(r transcript.Reply) {
	if r.Code == 0 || r.Code == 221 || r.Class() == 4 || s.w.pending != nil {
		return
	}
	s.w.deadline(time.Now().Add(min(s.run.timeout, time.Second)))
	if s.w.r == s.w.w && s.w.fill() != nil {
		return
	}
	stage := s.stage
	s.record(transcript.Exchange{
		Stage: stage, Secure: s.secure(), Sent: time.Since(s.began), Fault: transcript.FaultProtocol,
		Detail: "the server sent more replies than it got commands: " + quote(s.w.buf[s.w.r:s.w.w]),
	})
}

// data sends the message.
func (s *session) data() bool {
	_, result := s.ask(command{stage: transcript.StageData, line: "DATA", ok: []int{354}}, s.run.timeout)
	if result != done {
		return result == refused && s.ended == ""
	}
	c := command{stage: transcript.StageData, line: ".", ok: []int{250}, data: dotted(s.run.message)}
	_, result = s.ask(c, max(s.run.timeout, time.Minute))
	if result == done {
		s.run.delivered()
	}
	return result != broken
}

// goodbye says QUIT where that is in place, records the steps that were not
// tried, and closes.
func (s *session) goodbye() {
	if s.w != nil {
		if s.polite && !s.quit && s.ctx.Err() == nil {
			s.quit = true
			stage, ended := s.stage, s.ended
			if !s.stray(command{stage: stage, line: "QUIT"}) {
				reply, result := s.ask(command{stage: stage, line: "QUIT", any: true}, min(s.run.timeout, courtesy))
				if result == done {
					s.countReplies(reply)
				}
			}
			s.stage, s.ended = stage, ended
		}
		s.w.close(s.polite && s.ctx.Err() == nil)
	}
	if s.ended == "" {
		s.ended = SkipFailed
	}
	for _, p := range slices.Clone(s.steps) {
		s.skip(p.stage, p.verb, s.ended)
	}
}
