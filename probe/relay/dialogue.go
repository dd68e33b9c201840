package relay

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/policy"
)

// command decides who answers a command: go-smtp, when it comes in order and
// well formed; the wire, with the table's reply, in all other cases.
func (w *wire) command(line string) error {
	req := parseCommand(line)
	w.begin(mask(line, req))
	if stop := w.strike(req); stop {
		return errClosed
	}
	// The order is Postfix's: an empty line and a web client, then a client that
	// was refused, unknown words, STARTTLS first, and only then the command.
	switch req.Fixed {
	case replyBadSyntax, replyRules:
		return w.local(req)
	}
	var reply policy.Reply
	var rule policy.RuleID
	if !w.atEase() {
		reply, rule = w.ask(policy.Command{Verb: gate(req.Verb)})
	}
	if rule == "K4" || rule == "K5" {
		w.count(reply)
		return w.answer(req, decidedReply{Reply: reply, Decision: w.decision(rule)})
	}
	switch {
	case req.Fixed == replyUnknown:
		return w.local(req)
	case req.Verb == verbXclient || req.Verb == verbXforward:
		return w.xclient(req)
	case rule == "T1":
		w.count(reply)
		return w.answer(req, decidedReply{Reply: reply, Decision: w.decision(rule)})
	}
	if req.Fixed.Code != 0 && !w.outOfOrder(req.Verb) {
		return w.local(req)
	}
	switch req.Verb {
	case policy.EHLO, policy.HELO:
		return w.ehlo(req)
	case policy.StartTLS:
		return w.startTLS(req)
	case policy.Auth:
		if w.refusesAuth(req) {
			return w.answer(req, *w.table(req.Command))
		}
		if req.Malformed == policy.BadBase64 {
			return w.answer(req, *w.undecodable(req.Mechanism, req.Initial))
		}
		return w.pass(req, strings.TrimRight("AUTH "+req.Mechanism+" "+req.Initial, " "))
	case policy.Mail:
		if req.Malformed != policy.WellFormed || w.outOfOrder(req.Verb) {
			return w.answer(req, *w.table(req.Command))
		}
		return w.pass(req, "MAIL FROM:"+canonical(req.Address))
	case policy.Rcpt:
		if w.inBdat {
			req.Fixed = replyAfterBdat("RCPT")
			return w.local(req)
		}
		if req.Malformed != policy.WellFormed || w.outOfOrder(req.Verb) {
			return w.answer(req, *w.table(req.Command))
		}
		return w.pass(req, "RCPT TO:"+canonical(req.Address))
	case policy.Data:
		if w.inBdat {
			req.Fixed = replyAfterBdat("DATA")
			return w.local(req)
		}
		d := w.table(req.Command)
		if d.Code != 354 {
			return w.answer(req, *d)
		}
		w.decided = d
		return w.pass(req, "DATA")
	case verbBdat:
		return w.bdat(req)
	case policy.Rset:
		w.inBdat, w.skipBdat = false, false
		w.decided = w.table(req.Command)
		return w.pass(req, "RSET")
	case policy.Quit:
		return w.answer(req, *w.table(req.Command))
	case policy.Noop, policy.Vrfy:
		if w.junk++; w.junk > w.relay.limits.Junk {
			w.state.Errors++
		}
		return w.answer(req, *w.table(req.Command))
	case verbEtrn:
		return w.etrn(req)
	default:
		req.Fixed = replyNotImplemented
		return w.local(req)
	}
}

// atEase says that no row which turns down every command can match: nothing is
// broken, no error was made, and TLS is on where it has to be. It saves asking
// the table twice.
func (w *wire) atEase() bool {
	return !w.state.Denied && w.state.Errors == 0 && (w.state.Port == PortServer || w.state.Secure) && !w.relay.faulted()
}

// outOfOrder reports whether the table refuses the command for its place in the
// dialogue; Postfix says that before it looks at the arguments.
func (w *wire) outOfOrder(v policy.Verb) bool {
	switch v {
	case policy.Mail:
		return w.state.InMail
	case policy.Rcpt:
		return !w.state.InMail && !w.inBdat
	case policy.Data:
		return w.state.Accepted == 0
	}
	return false
}

// etrn answers the request to send what waits for a domain: own domains are
// promised, others not. Nothing ever waits here.
func (w *wire) etrn(req request) error {
	domain := strings.Fields(req.Arg)
	if len(domain) != 1 {
		req.Fixed = policy.Reply{Code: 500, Text: "Syntax: ETRN domain"}
		return w.local(req)
	}
	req.Fixed = policy.Reply{Code: 459, Text: "<" + printable(domain[0]) + ">: service unavailable"}
	w.relay.mu.Lock()
	for _, d := range w.account().Domains {
		if strings.EqualFold(d.Name, domain[0]) {
			req.Fixed = policy.Reply{Code: 250, Text: "Queuing started"}
		}
	}
	w.relay.mu.Unlock()
	return w.local(req)
}

var replyNotAuthorized = policy.Reply{Code: 550, Enhanced: "5.7.0", Text: "Error: insufficient authorization"}

var replyNotImplemented = policy.Reply{Code: 502, Enhanced: "5.5.1", Text: "Error: command not implemented"}

func replyAfterBdat(verb string) policy.Reply {
	return policy.Reply{Code: 503, Enhanced: "5.5.1", Text: "Error: " + verb + " after BDAT"}
}

// gate is the verb under which the table is asked whether it hears commands at
// all. BDAT is DATA to it, and what it does not know is itself.
func gate(v policy.Verb) policy.Verb {
	if v == verbBdat {
		return policy.Data
	}
	return v
}

// mask hides what must never be written down.
func mask(line string, req request) string {
	if req.Verb != policy.Auth {
		return line
	}
	f := strings.Fields(line)
	if len(f) > 2 {
		return f[0] + " " + f[1] + " [secret-1]"
	}
	return line
}

// local answers a command whose syntax decides.
func (w *wire) local(req request) error {
	w.count(req.Fixed)
	return w.answer(req, decidedReply{Reply: req.Fixed, Decision: Decision{Basis: "postfix", Note: "the syntax decides"}})
}

// count adds an error that the table did not see.
func (w *wire) count(r policy.Reply) {
	if r.Code >= 400 {
		w.state.Errors++
	}
}

// pass hands a command to go-smtp.
func (w *wire) pass(req request, line string) error {
	if !w.helo {
		// Postfix takes commands before EHLO; go-smtp wants to be greeted.
		w.inject("EHLO wire.invalid")
	}
	w.pending = append(w.pending, req)
	w.feed = append(w.feed, line...)
	w.feed = append(w.feed, '\r', '\n')
	return nil
}

// inject hands go-smtp a command that the client did not give.
func (w *wire) inject(line string) {
	w.helo = true
	w.pending = append(w.pending, request{Command: policy.Command{Verb: verbSwallow}})
	w.feed = append(w.feed, line...)
	w.feed = append(w.feed, '\r', '\n')
}

// ehlo answers EHLO and HELO with the service's own list.
func (w *wire) ehlo(req request) error {
	d := w.table(req.Command)
	if d.Code != 250 {
		return w.answer(req, *d)
	}
	w.inBdat, w.skipBdat = false, false
	helo := req.Arg
	w.relay.journal.update(w.rec, func(r *Record) { r.Session.Client = clip(helo) })
	if req.Verb == policy.EHLO {
		list := w.keywords()
		w.relay.journal.update(w.rec, func(r *Record) {
			if w.secure {
				r.Session.After = list
			} else {
				r.Session.Before = list
			}
		})
		d.lines, d.Text = append([]string{w.host()}, list...), ""
	}
	w.decided = d
	w.helo = true
	return w.pass(req, string(req.Verb)+" wire.invalid")
}

// refusesAuth reports whether the table turns AUTH down before it looks at a
// credential. In the table's order that is everything above the row for a login
// that the client took back.
func (w *wire) refusesAuth(req request) bool {
	if req.Malformed == policy.NoArgument {
		return true
	}
	c := req.Command
	c.Malformed = policy.Cancelled
	reply, _ := w.ask(c)
	return reply.Code != 501
}

// undecodable is the reply to a SASL message that is no base64. The Cyrus
// library calls one that ends too early by another name.
func (w *wire) undecodable(mechanism, text string) *decidedReply {
	d := w.table(policy.Command{Verb: policy.Auth, Mechanism: mechanism, Malformed: policy.BadBase64})
	if len(text)%4 != 0 {
		d.Text = strings.Replace(d.Text, "bad protocol / cancel", "another step is needed in authentication", 1)
	}
	return d
}

// challenged takes a line that answers a SASL challenge.
func (w *wire) challenged(line []byte) error {
	w.secret = false
	if len(w.pending) == 0 {
		return errClosed
	}
	req := w.pending[0]
	w.at = "auth"
	switch {
	case line == nil:
		w.shown = "[secret-1]"
		w.decided = w.table(policy.Command{Verb: policy.Auth, Mechanism: req.Mechanism, Malformed: policy.BadBase64})
		w.feed = append(w.feed, "*\r\n"...)
		return nil
	case string(line) == "*":
		w.shown = "*"
		w.decided = w.table(policy.Command{Verb: policy.Auth, Mechanism: req.Mechanism, Malformed: policy.Cancelled})
	case !isBase64(string(line)):
		w.shown = "[secret-1]"
		w.decided = w.undecodable(req.Mechanism, string(line))
		line = []byte("*")
	default:
		w.shown = "[secret-1]"
	}
	w.feed = append(w.feed, line...)
	w.feed = append(w.feed, '\r', '\n')
	return nil
}

// keepHead is how much of a message the store keeps, in bytes: its header and
// the beginning of its body, for reports.
const keepHead = 16 << 10

// readMessage reads the message to its end, counts it and throws it away but
// for its head. go-smtp is given an empty one. The end is <CRLF>.<CRLF> and
// nothing else; the machine is go-smtp's own (data.go), so that a bare CR or LF
// ends nothing here that would not have ended there.
func (w *wire) readMessage() error {
	if err := w.flush(); err != nil {
		return err
	}
	if stop := w.strikeData(); stop {
		return errClosed
	}
	until := w.relay.clock.Now().Add(w.relay.limits.Message)
	const (
		begin = iota
		dot
		dotCR
		cr
		text
	)
	state := begin
	for {
		have := w.in[w.inStart:]
		for i := 0; i < len(have); i++ {
			c := have[i]
			switch state {
			case begin:
				switch c {
				case '.':
					state = dot
				case '\r':
					state = cr
				default:
					state = text
				}
			case dot:
				state = text
				if c == '\r' {
					state = dotCR
				}
			case dotCR:
				if c == '\n' {
					w.take(have[:i+1])
					w.inStart += i + 1
					w.data = false
					w.sent = w.relay.clock.Now()
					w.begin(".")
					if stop := w.strike(request{Command: policy.Command{Verb: policy.EndData}}); stop {
						return errClosed
					}
					w.feed = append(w.feed, ".\r\n"...)
					return nil
				}
				state = text
			case cr:
				state = text
				if c == '\n' {
					state = begin
				}
			default:
				if c == '\r' {
					state = cr
					continue
				}
				j := bytes.IndexByte(have[i:], '\r')
				if j < 0 {
					i = len(have)
					continue
				}
				i += j - 1
			}
		}
		w.take(have)
		w.in, w.inStart = w.in[:0], 0
		if cap(w.in) < 32<<10 && w.state.DataBytes > 8<<10 {
			w.in = make([]byte, 0, 32<<10)
		}
		if err := w.fill(until); err != nil {
			return w.lost(err, true)
		}
	}
}

// take counts message bytes and keeps the first ones.
func (w *wire) take(b []byte) {
	w.state.DataBytes += int64(len(b))
	if room := keepHead - len(w.head); room > 0 {
		w.head = append(w.head, b[:min(room, len(b))]...)
	}
}

// bdat reads a chunk, counts it and throws it away; go-smtp is given an empty
// one. A chunk follows its command also when the command is refused.
func (w *wire) bdat(req request) error {
	reply, _ := w.ask(policy.Command{Verb: policy.Data})
	refused := reply.Code != 354
	left := req.Chunk
	until := w.relay.clock.Now().Add(w.relay.limits.Message)
	if err := w.flush(); err != nil {
		return err
	}
	for left > 0 {
		have := w.in[w.inStart:]
		if len(have) == 0 {
			if err := w.fill(until); err != nil {
				return w.lost(err, true)
			}
			continue
		}
		k := min(int64(len(have)), left)
		if !refused {
			w.take(have[:k])
		}
		w.inStart += int(k)
		left -= k
	}
	w.sent = w.relay.clock.Now()
	if w.skipBdat {
		req.Fixed = policy.Reply{Code: 551, Enhanced: "5.0.0", Text: fmt.Sprintf("Discarded %d bytes after earlier error", req.Chunk)}
		w.skipBdat = !req.Last
		return w.local(req)
	}
	if refused {
		w.skipBdat = !req.Last
		return w.answer(req, *w.table(policy.Command{Verb: policy.Data}))
	}
	w.inBdat = !req.Last
	if req.Last {
		if stop := w.strike(request{Command: policy.Command{Verb: policy.EndData}}); stop {
			return errClosed
		}
		return w.pass(req, "BDAT 0 LAST")
	}
	return w.pass(req, "BDAT 0")
}

// xclient takes a client's claim about its address (Postfix's XCLIENT), where
// the relay was told to. It is for tests behind loopback, and off by default.
func (w *wire) xclient(req request) error {
	if !w.relay.allowXclient || req.Verb == verbXforward {
		req.Fixed = replyNotAuthorized
		return w.local(req)
	}
	for f := range strings.FieldsSeq(req.Arg) {
		key, value, _ := strings.Cut(f, "=")
		switch strings.ToUpper(key) {
		case "ADDR":
			addr, ok := xclientAddress(value)
			if !ok {
				req.Fixed = policy.Reply{Code: 501, Enhanced: "5.5.4", Text: "Bad XCLIENT parameter syntax: " + printable(value)}
				return w.local(req)
			}
			w.state.Client = addr
			w.relay.journal.update(w.rec, func(r *Record) { r.Client = addr.String() })
		case "NAME":
			w.state.Name = printable(value)
		}
	}
	// Postfix starts over with a greeting.
	return w.answer(req, w.greeting())
}
