package relay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// wire is a client's connection as go-smtp's server sees it. It stands between
// the two and does what go-smtp cannot:
//
//   - it passes whole lines only, one at a time, so that a command cut short by
//     a close or a deadline is never executed;
//   - it bounds every wait by one absolute deadline;
//   - it answers STARTTLS itself, so that it also sees the lines inside TLS;
//   - it answers what go-smtp would answer in words of its own, and replaces
//     go-smtp's words where that answers, by the replies of the policy table;
//   - it writes down what was said and which rule decided.
//
// It runs on go-smtp's goroutine of the connection: Read hands over the next
// command, Write takes the reply to it. The end of a message is found by the
// same strict <CRLF>.<CRLF> machine as go-smtp's.
type wire struct {
	relay *Relay
	port  int
	raw   net.Conn // as accepted
	conn  net.Conn // raw, or TLS over it
	rec   *Record
	began time.Time
	state policy.Session
	// secure says that the bytes go through TLS. state.Secure turns on with the
	// 220 to STARTTLS already.
	secure bool
	// stranger is whom the client meets in the relay's place, set by strangerBy;
	// nil: the relay's own account.
	stranger   *policy.Account
	strangerBy string
	over       bool // came when too many were open

	in      []byte // read and not yet used
	inStart int
	feed    []byte // handed to go-smtp next
	out     []byte // replies not yet sent
	reply   []byte // go-smtp's reply so far

	pending []request     // passed to go-smtp, oldest first; Verb verbSwallow: our own
	decided *decidedReply // by the backend, for the command being answered
	sent    time.Time     // when the command was complete
	secret  bool          // the next line answers a SASL challenge
	data    bool          // the message is coming
	inBdat  bool
	// skipBdat throws chunks away up to the last one, after an error.
	skipBdat bool
	greeted  bool   // go-smtp's own greeting was swallowed
	helo     bool   // go-smtp knows the client
	head     []byte // first part of the message, for the store
	rcpts    []string

	username string // of the login under way
	badAuth  int
	junk     int
	idleAt   time.Time // when the patience for the next command ends
	endAt    time.Time // when the session ends whatever happens
	stage    transcript.Stage
	spoken   atomic.Bool // the client has sent something

	shown string           // the command being answered, as the log shows it
	at    transcript.Stage // its stage
	// grouped says that it came in one group with the command before it.
	grouped bool

	mu     sync.Mutex // guards closed against Close from outside
	closed bool
	done   chan struct{}
}

// decidedReply is what the table said, with its rule.
type decidedReply struct {
	policy.Reply
	Decision
	lines []string // more lines before the last, EHLO's list
}

// verbSwallow marks a command of the wire's own, whose reply nobody asked for.
const verbSwallow policy.Verb = "(wire)"

// errClosed ends go-smtp's loop without a word: the wire has said all there is
// to say.
var errClosed = io.EOF

func newWire(r *Relay, port int, conn net.Conn) *wire {
	now := r.clock.Now()
	w := &wire{
		relay: r, port: port, raw: conn, conn: conn,
		began: now, idleAt: now.Add(r.limits.Idle), endAt: now.Add(r.limits.Session),
		stage: transcript.StageGreet, done: make(chan struct{}),
	}
	client := addressOf(conn.RemoteAddr())
	w.state = policy.Session{Port: port, Client: client, Attempt: r.attempt(port), Region: r.region}
	w.rec = r.journal.open(transcript.Session{
		Source: "relay", Server: r.ServerName(), Address: addressOf(conn.LocalAddr()).String(), Port: port, Began: now,
	}, client.String())
	return w
}

func addressOf(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// net.Conn, for go-smtp.

// LocalAddr implements net.Conn.
func (w *wire) LocalAddr() net.Addr { return w.raw.LocalAddr() }

// RemoteAddr implements net.Conn.
func (w *wire) RemoteAddr() net.Addr { return w.raw.RemoteAddr() }

// The deadlines are the wire's own business.

// SetDeadline implements net.Conn and does nothing.
func (w *wire) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn and does nothing.
func (w *wire) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn and does nothing.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// Close implements net.Conn.
func (w *wire) Close() error {
	w.shut(goodbye)
	return nil
}

// The ways to end a connection.
type ending int

const (
	goodbye ending = iota // close_notify, where TLS is on, and FIN
	cut                   // FIN at once: nobody waits for the client to take a close_notify
	rst                   // RST
)

// shut ends the connection once.
func (w *wire) shut(how ending) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.closed = true
	close(w.done)
	switch how {
	case rst:
		abort(w.raw)
	case cut:
		w.raw.Close()
	default:
		w.conn.Close()
	}
	w.relay.forget(w)
	w.relay.journal.close(w.rec, w.relay.clock.Now())
}

func (w *wire) isClosed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed
}

// abort closes a connection with an RST.
func abort(c net.Conn) {
	switch c := c.(type) {
	case *memoryConn:
		c.abort()
		return
	case *net.TCPConn:
		_ = c.SetLinger(0)
	}
	c.Close()
}

// Read hands go-smtp the next command, or the next part of a message.
func (w *wire) Read(b []byte) (int, error) {
	for len(w.feed) == 0 {
		if w.isClosed() {
			return 0, errClosed
		}
		if err := w.next(); err != nil {
			w.shut(goodbye)
			return 0, errClosed
		}
	}
	n := copy(b, w.feed)
	w.feed = w.feed[n:]
	return n, nil
}

// next reads from the client until there is something for go-smtp.
func (w *wire) next() error {
	if w.data {
		return w.readMessage()
	}
	line, err := w.readLine()
	if err != nil {
		return err
	}
	w.grouped = len(w.out) > 0 // the reply before is still here: the client did not wait for it
	w.sent = w.relay.clock.Now()
	if w.secret {
		return w.challenged(line)
	}
	if line == nil {
		w.begin("(a line of more than " + strconv.Itoa(maxLine) + " bytes)")
		return w.local(request{Fixed: replyTooLong})
	}
	return w.command(string(line))
}

// Reading.

// fill reads more bytes, waiting until the time given at most.
func (w *wire) fill(until time.Time) error {
	if w.inStart > 0 {
		w.in = w.in[:copy(w.in, w.in[w.inStart:])]
		w.inStart = 0
	}
	if until.After(w.endAt) {
		until = w.endAt
	}
	w.deadline(until)
	if len(w.in) == cap(w.in) {
		grown := make([]byte, len(w.in), max(512, 2*cap(w.in)))
		copy(grown, w.in)
		w.in = grown
	}
	n, err := w.conn.Read(w.in[len(w.in):cap(w.in)])
	w.in = w.in[:len(w.in)+n]
	if n > 0 {
		return nil
	}
	return err
}

// deadline bounds the next reads and writes.
func (w *wire) deadline(at time.Time) {
	left := at.Sub(w.relay.clock.Now())
	if left < 0 {
		left = 0
	}
	if m, ok := w.raw.(*memoryConn); ok {
		m.expireIn(left)
		return
	}
	_ = w.raw.SetDeadline(time.Now().Add(left))
}

// readLine returns the next whole line without its end, nil for one that is too
// long. The patience is the idle time for the first byte and the command time,
// from that byte on, for the rest.
func (w *wire) readLine() ([]byte, error) {
	until, started, long := w.idleAt, false, false
	for {
		have := w.in[w.inStart:]
		if i := bytes.IndexByte(have, '\n'); i >= 0 {
			line := have[:i]
			w.inStart += i + 1
			if long || len(line) > maxLine+1 {
				return nil, nil
			}
			if n := len(line); n > 0 && line[n-1] == '\r' {
				line = line[:n-1]
			}
			return line, nil
		}
		if len(have) > 0 && !started {
			started = true
			until = w.relay.clock.Now().Add(w.relay.limits.Command)
		}
		if len(have) > maxLine+1 {
			long = true
			w.in, w.inStart = w.in[:0], 0
		}
		if err := w.flush(); err != nil {
			return nil, err
		}
		if err := w.fill(until); err != nil {
			return nil, w.lost(err, started)
		}
	}
}

// lost writes down how a read ended, and says 421 to a client that was too slow.
func (w *wire) lost(err error, started bool) error {
	if w.isClosed() {
		return err
	}
	x := transcript.Exchange{Stage: w.stage, Secure: w.secure, Sent: w.since()}
	switch {
	case isTimeout(err):
		reply, rule := w.step(policy.Command{Verb: policy.Idle})
		d := w.decision(rule)
		if started {
			d.Note = "the command did not end in time"
		}
		w.say(decidedReply{Reply: reply, Decision: d})
		_ = w.flush()
	case errors.Is(err, io.EOF):
		if started {
			x.Fault, x.Detail = transcript.FaultClosed, "the client closed the connection inside a line"
			w.relay.journal.add(w.rec, x, Decision{Note: "the cut line was not executed"})
		}
	default:
		x.Fault, x.Detail = transcript.FaultReset, "the connection broke"
		w.relay.journal.add(w.rec, x, Decision{})
	}
	return err
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}

func (w *wire) since() time.Duration { return w.relay.clock.Now().Sub(w.began) }

// Writing.

// Write takes go-smtp's replies, line by line.
func (w *wire) Write(b []byte) (int, error) {
	if w.isClosed() {
		return 0, errClosed
	}
	w.reply = append(w.reply, b...)
	for {
		i := bytes.IndexByte(w.reply, '\n')
		if i < 0 {
			return len(b), nil
		}
		line := strings.TrimRight(string(w.reply[:i]), "\r")
		w.reply = w.reply[i+1:]
		if len(w.reply) == 0 {
			w.reply = nil
		}
		if len(line) > 3 && line[3] == '-' {
			continue // more to come; only EHLO has several lines, and we write our own
		}
		if err := w.translate(line); err != nil {
			w.shut(goodbye)
			return len(b), err
		}
	}
}

// translate turns the last line of go-smtp's reply into the table's.
func (w *wire) translate(line string) error {
	if !w.greeted {
		w.greeted = true // ours went out before go-smtp was told of the connection
		return nil
	}
	if len(w.pending) == 0 {
		return nil
	}
	req := w.pending[0]
	if req.Verb == verbSwallow {
		w.pending = w.pending[1:]
		return nil
	}
	code, _ := strconv.Atoi(line[:min(3, len(line))])
	if code == 334 {
		w.secret = true
		w.record(line, nil, decidedReply{Decision: Decision{Note: "challenge"}})
		return w.queue(line + "\r\n")
	}
	d := w.decided
	w.decided = nil
	if d == nil {
		d = w.derive(req, code, line)
	}
	if req.Verb == policy.Data && code == 354 {
		// The same command is answered once more at the final dot.
		w.data = true
	} else {
		w.pending = w.pending[1:]
	}
	return w.answer(req, *d)
}

// derive finds the table's reply where go-smtp spoke without asking the backend.
func (w *wire) derive(req request, code int, line string) *decidedReply {
	switch {
	case req.Verb == policy.Auth && code >= 400:
		// An answer that is base64 and yet no message of the mechanism.
		return w.undecodable(req.Mechanism, req.Initial)
	case req.Verb == verbBdat && code == 250:
		return &decidedReply{Reply: policy.Reply{Code: 250, Enhanced: "2.0.0", Text: fmt.Sprintf("Ok: %d bytes", req.Chunk)}}
	}
	text := line
	if len(line) > 4 {
		text = line[4:]
	}
	return &decidedReply{Reply: policy.Reply{Code: code, Text: text}, Decision: Decision{Note: "the server library's own words"}}
}

// answer sends a reply to a command, after the faults had their way with it,
// and closes where the reply says good-bye.
func (w *wire) answer(req request, d decidedReply) error {
	if w.relay.faulted() {
		var stop bool
		if d, stop = w.spoil(req, d); stop {
			return errClosed
		}
	}
	if err := w.say(d); err != nil {
		return err
	}
	switch {
	case d.Code == 421 || d.Code == 521 || d.Code == 221:
		_ = w.flush()
		return errClosed
	case req.Verb == policy.Auth && d.Code >= 400:
		w.badAuth++
		if w.badAuth >= w.relay.limits.BadAuth {
			_ = w.say(decidedReply{
				Reply:    policy.Reply{Code: 421, Enhanced: "4.7.0", Text: w.host() + " Error: too many errors"},
				Decision: Decision{Rule: "K5", Basis: basis("K5"), Note: "too many failed logins in one session"},
			})
			_ = w.flush()
			return errClosed
		}
	}
	return nil
}

// say records a reply and puts it into the outgoing buffer.
func (w *wire) say(d decidedReply) error {
	lines := make([]string, 0, len(d.lines)+1)
	last := strconv.Itoa(d.Code) + " "
	if d.Enhanced != "" {
		last += d.Enhanced + " "
	}
	for i, l := range d.lines {
		sep := "-"
		if i == len(d.lines)-1 && d.Text == "" {
			sep = " "
		}
		lines = append(lines, strconv.Itoa(d.Code)+sep+l)
	}
	if d.Text != "" || len(d.lines) == 0 {
		lines = append(lines, last+d.Text)
	}
	w.record(lines[len(lines)-1], lines, d)
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l)
		b.WriteString("\r\n")
	}
	return w.queue(b.String())
}

// queue puts bytes into the outgoing buffer. They leave when the client has
// nothing more to say that has already come: a pipelined group is answered in
// one write.
func (w *wire) queue(s string) error {
	w.out = append(w.out, s...)
	w.idleAt = w.relay.clock.Now().Add(w.relay.limits.Idle)
	if len(w.out) >= 4096 {
		return w.flush()
	}
	return nil
}

func (w *wire) flush() error {
	if len(w.out) == 0 {
		return nil
	}
	b := w.out
	w.out = w.out[:0]
	if f := w.fault("tarpit"); f != nil {
		return w.drip(b, duration(f, time.Second))
	}
	w.deadline(w.relay.clock.Now().Add(w.relay.limits.Write))
	_, err := w.conn.Write(b)
	return err
}

// drip sends byte by byte.
func (w *wire) drip(b []byte, pause time.Duration) error {
	for i := range b {
		if !sleep(w.relay.clock, pause, w.done) {
			return errClosed
		}
		w.deadline(w.relay.clock.Now().Add(w.relay.limits.Write))
		if _, err := w.conn.Write(b[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

// Recording.

// begin remembers the command whose reply comes next.
func (w *wire) begin(shown string) {
	w.shown = clip(printable(shown))
	w.at = transcript.StageOf(shown)
	if w.at == transcript.StageUnknown {
		w.at = w.stage
	}
	if w.at.Order() > w.stage.Order() {
		w.stage = w.at
	}
}

// record writes the exchange down.
func (w *wire) record(last string, lines []string, d decidedReply) {
	if lines == nil {
		lines = []string{last}
	}
	now := w.relay.clock.Now()
	x := transcript.Exchange{
		Stage: w.at, Command: w.shown, Secure: w.secure, Grouped: w.grouped && w.shown != "",
		Sent: w.sent.Sub(w.began), Took: now.Sub(w.sent),
	}
	if x.Stage == "" {
		x.Stage = w.stage
	}
	w.shown, w.at = "", ""
	x.Reply.Code, _ = strconv.Atoi(last[:min(3, len(last))])
	x.Reply.Enhanced = d.Enhanced
	for _, l := range lines {
		x.Reply.Lines = append(x.Reply.Lines, clip(l))
	}
	if x.Reply.Code == 530 {
		x.Stage = transcript.StageTLS
	}
	w.relay.journal.add(w.rec, x, d.Decision)
}
