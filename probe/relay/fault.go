package relay

import (
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// The faults of the wire and of TLS: what a well-behaved server cannot do and
// the policy table does not speak of. They are set by "fault set NAME" and
// compose; the table's own faults are in package policy.

// strike carries out the faults that come before a command is answered: the
// connection is reset at a verb, or lost after the final dot. It reports whether
// the connection is gone.
func (w *wire) strike(req request) (stop bool) {
	if !w.relay.faulted() {
		return false
	}
	c := req.Command
	if c.Verb == policy.Rcpt || c.Verb == policy.Mail {
		c.Address = req.Address
	}
	if f := w.faultFor("reset-at", c); f != nil && (len(f.Args) == 0 || strings.EqualFold(f.Args[0], string(c.Verb))) {
		w.broke(transcript.FaultReset, "reset-at", "the server reset the connection at "+string(c.Verb))
		_ = w.flush()
		w.shut(rst)
		return true
	}
	if c.Verb == policy.EndData && w.fault("drop-after-dot") != nil {
		w.broke(transcript.FaultClosed, "drop-after-dot", "the server closed the connection after the final dot, before its reply")
		return true
	}
	return false
}

// strikeData loses the connection inside the message.
func (w *wire) strikeData() (stop bool) {
	if w.fault("drop-in-data") == nil {
		return false
	}
	w.at, w.sent = transcript.StageData, w.relay.clock.Now()
	w.broke(transcript.FaultClosed, "drop-in-data", "the server closed the connection inside the message")
	return true
}

// broke records a fault in place of a reply.
func (w *wire) broke(fault transcript.Fault, name, detail string) {
	x := transcript.Exchange{
		Stage: w.at, Command: w.shown, Secure: w.secure, Fault: fault, Detail: detail,
		Sent: w.sent.Sub(w.began), Took: w.relay.clock.Now().Sub(w.sent),
	}
	if x.Stage == "" {
		x.Stage = w.stage
	}
	w.shown, w.at = "", ""
	w.relay.journal.add(w.rec, x, Decision{Fault: name})
}

// spoil changes or delays a reply.
func (w *wire) spoil(req request, d decidedReply) (_ decidedReply, stop bool) {
	if f := w.fault("slow"); f != nil {
		_ = w.flush()
		d.Fault = "slow"
		if !sleep(w.relay.clock, duration(f, 2*time.Second), w.done) {
			return d, true
		}
	}
	if req.Verb == policy.EHLO && d.Code == 250 && w.fault("banner-masked") != nil {
		d.Fault = "banner-masked"
		for i := 1; i < len(d.lines); i++ {
			d.lines[i] = maskKeyword(d.lines[i])
		}
	}
	return d, false
}

// maskKeyword does what an SMTP inspection does to EHLO keywords it will not
// let through.
func maskKeyword(k string) string {
	switch k {
	case "STARTTLS":
		return "XXXXXXXA"
	case "CHUNKING":
		return "XXXXXXXB"
	case "SMTPUTF8":
		return "XXXXXXXC"
	case "DSN":
		return "XXA"
	}
	return k
}

// maskBanner does what an SMTP inspection does to a greeting: all but blanks
// and the characters 0 and 2 become stars.
func maskBanner(s string) string {
	return strings.Map(func(c rune) rune {
		if c == ' ' || c == '0' || c == '2' {
			return c
		}
		return '*'
	}, s)
}

// stripped answers STARTTLS where something on the way took it away.
func (w *wire) stripped() (decidedReply, bool) {
	if w.secure {
		return decidedReply{}, false
	}
	name := "starttls-stripped"
	f := w.fault(name)
	if f == nil {
		name = "banner-masked"
		f = w.fault(name)
	}
	if f == nil {
		return decidedReply{}, false
	}
	d := decidedReply{Reply: replyNotImplemented, Decision: Decision{Fault: name}}
	if len(f.Args) > 0 && f.Args[0] == "500" || name == "banner-masked" {
		d.Reply = replyUnknown
	}
	w.count(d.Reply)
	return d, true
}

// spoilHandshake does something else where the client expects a TLS handshake.
// The 220 still stands in the outgoing buffer.
func (w *wire) spoilHandshake() (stop bool) {
	if !w.relay.faulted() {
		return false
	}
	w.sent, w.at = w.relay.clock.Now(), transcript.StageTLS
	switch {
	case w.fault("injection") != nil:
		w.out = append(w.out, "250-"+w.host()+"\r\n250 AUTH PLAIN LOGIN\r\n"...)
		return false
	case w.fault("tls-garbage") != nil:
		_ = w.flush()
		w.hello()
		w.out = append(w.out, "500 5.5.2 Error: command not recognized\r\n"...)
		_ = w.flush()
		w.broke(transcript.FaultTLS, "tls-garbage", "the server sent plaintext in place of the handshake")
		w.drain()
	case w.fault("tls-close") != nil:
		_ = w.flush()
		w.broke(transcript.FaultClosed, "tls-close", "the server closed the connection in place of the handshake")
	case w.fault("tls-reset") != nil:
		_ = w.flush()
		w.hello()
		w.broke(transcript.FaultReset, "tls-reset", "the server reset the connection in place of the handshake")
		w.shut(rst)
	case w.fault("tls-hang") != nil:
		_ = w.flush()
		w.broke(transcript.FaultTimeout, "tls-hang", "the server said nothing in place of the handshake")
		w.drain()
	default:
		w.at = ""
		return false
	}
	return true
}

// hello waits for the client's first bytes after STARTTLS, so that what comes
// meets a handshake that has begun.
func (w *wire) hello() { _ = w.fill(w.relay.clock.Now().Add(w.relay.limits.Handshake)) }

// drain reads what comes until the client gives up or the time for a handshake
// has passed.
func (w *wire) drain() {
	until := w.relay.clock.Now().Add(w.relay.limits.Handshake)
	for {
		w.in, w.inStart = w.in[:0], 0
		if w.fill(until) != nil {
			return
		}
	}
}
