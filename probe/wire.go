package probe

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// wire reads whole lines from a connection and writes commands to it. It has a
// fixed buffer, counts what comes in, and its deadlines cannot outlive the
// context of the run.
type wire struct {
	raw     *tap      // the connection as it was dialled
	conn    net.Conn  // raw, or the TLS connection above it
	buf     []byte    // maxLine bytes
	r, w    int       // unread bytes are buf[r:w]
	total   int       // bytes read through conn
	room    int       // bytes of replies that may still be kept
	pending error     // read error that came along with data
	bareLF  bool      // a line ended without CR
	reads   int       // reads that brought bytes
	begin   pace      // how the reply that is read began
	began   time.Time // with the monotonic clock: durations come from here

	mu   sync.Mutex
	end  time.Time // of the run; zero: none
	over bool      // the context ended: no deadline may lie in the future
	stop func() bool
}

// pace is when the first byte of a reply came, and how many reads before it.
type pace struct {
	at    time.Duration
	reads int
	known bool
}

// A reply whose bytes come one after the other for this long, in at least this
// many pieces, is a tarpit's.
const (
	tarpitTime   = 5 * time.Second
	tarpitPieces = 5
)

// manner says how the reply came that was read last, where that is worth telling.
func (w *wire) manner(greeting bool, r transcript.Reply) string {
	spread := time.Since(w.began) - w.begin.at
	n := len(r.At)
	switch {
	case spread >= tarpitTime && w.reads-w.begin.reads >= tarpitPieces:
		return transcript.NoteTarpit + "the reply came bit by bit over " + spread.Round(100*time.Millisecond).String()
	case greeting && n > 1 && r.At[n-1]-r.At[0] >= time.Second:
		return "the greeting came in two steps, " + (r.At[n-1] - r.At[0]).Round(100*time.Millisecond).String() + " apart, as postscreen does it"
	case w.bareLF:
		return "lines end in a bare LF"
	}
	return ""
}

// tap counts what arrives below TLS and keeps the first bytes of a handshake,
// so that a failed one can be explained from its bytes.
type tap struct {
	net.Conn
	total int
	limit int // of total
	keep  bool
	head  []byte
}

const maxHead = 4 << 10

var errLimit = errors.New("limit of our own reached")

func (t *tap) Read(p []byte) (int, error) {
	if t.total >= t.limit {
		return 0, errLimit
	}
	n, err := t.Conn.Read(p[:min(len(p), t.limit-t.total)])
	t.total += n
	if t.keep && n > 0 && len(t.head) < maxHead {
		t.head = append(t.head, p[:min(n, maxHead-len(t.head))]...)
	}
	return n, err
}

func newWire(ctx context.Context, conn net.Conn, began time.Time, room int) *wire {
	w := &wire{raw: &tap{Conn: conn, limit: maxRaw}, buf: make([]byte, 2048), began: began, room: room}
	w.conn = w.raw
	w.end, _ = ctx.Deadline()
	w.stop = context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.over = true
		_ = w.raw.SetDeadline(time.Unix(1, 0))
	})
	return w
}

// deadline sets the end of patience for reads and writes. Patience that outlasts
// the run sets none: the run's own end breaks the wait then, so that it is never
// taken for the server's silence.
func (w *wire) deadline(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.over:
		t = time.Unix(1, 0)
	case !w.end.IsZero() && !t.Before(w.end):
		t = time.Time{}
	}
	_ = w.raw.SetDeadline(t)
}

// close ends the connection; politely says so inside TLS when nothing is wrong.
func (w *wire) close(polite bool) {
	w.stop()
	w.end = time.Time{} // nobody breaks the wait any more
	if polite && w.conn != net.Conn(w.raw) {
		w.deadline(time.Now().Add(courtesy))
		_ = w.conn.Close()
	}
	_ = w.raw.Close()
}

// fill reads once into the buffer.
func (w *wire) fill() error {
	if w.pending != nil {
		return w.pending
	}
	if w.r > 0 {
		copy(w.buf, w.buf[w.r:w.w])
		w.w -= w.r
		w.r = 0
	}
	if w.w == maxLine || w.total >= maxSession {
		return errLimit
	}
	if w.w == len(w.buf) {
		w.buf = append(w.buf, make([]byte, min(len(w.buf), maxLine-len(w.buf)))...)
	}
	for range 100 {
		n, err := w.conn.Read(w.buf[w.w:min(len(w.buf), w.w+maxSession-w.total)])
		w.w += n
		w.total += n
		if n > 0 {
			w.reads++
			w.pending = err
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// line returns the next whole line without its end. Only LF ends a line; a CR
// before it belongs to the end, a CR elsewhere to the line.
func (w *wire) line() ([]byte, error) {
	seen := w.r
	for {
		if !w.begin.known && w.r < w.w {
			w.begin.at, w.begin.known = time.Since(w.began), true
		}
		if i := bytes.IndexByte(w.buf[seen:w.w], '\n'); i >= 0 {
			end := seen + i
			b := w.buf[w.r:end]
			w.r = end + 1
			if len(b) > 0 && b[len(b)-1] == '\r' {
				b = b[:len(b)-1]
			} else {
				w.bareLF = true
			}
			return b, nil
		}
		unread := w.w - w.r
		if err := w.fill(); err != nil {
			return nil, err
		}
		seen = w.r + unread
	}
}

// flaw is why there is no whole, valid reply.
type flaw struct {
	fault  transcript.Fault
	detail string
	seen   [3]byte // how a line began that is no reply line
}

// reply reads one whole reply. A line that the end of the connection or of the
// patience cuts off is no reply: it becomes part of the flaw.
func (w *wire) reply() (transcript.Reply, *flaw) {
	var r transcript.Reply
	size := 0
	w.bareLF = false
	w.begin = pace{reads: w.reads}
	for {
		b, err := w.line()
		if err != nil {
			return transcript.Reply{}, w.flawOf(err, r)
		}
		at := time.Since(w.began)
		code, more, ok := replyLine(b)
		switch {
		case !ok:
			f := &flaw{fault: transcript.FaultProtocol, detail: foreign(b, len(r.Lines))}
			copy(f.seen[:], b)
			return transcript.Reply{}, f
		case len(r.Lines) > 0 && code != r.Code:
			return transcript.Reply{}, &flaw{fault: transcript.FaultProtocol, detail: "the reply code changes inside one reply: " + quote([]byte(r.Lines[0])) + ", then " + quote(b)}
		}
		if w.room -= len(b) + lineCost; w.room < 0 {
			return transcript.Reply{}, &flaw{fault: transcript.FaultLimit, detail: "the replies of the session are longer than our limit; this one began with " + quote(b)}
		}
		r.Code = code
		r.Lines = append(r.Lines, string(b))
		r.At = append(r.At, at)
		if size += len(b) + 2; size > maxReplyBytes || (more && len(r.Lines) == maxReplyLines) {
			return transcript.Reply{}, &flaw{fault: transcript.FaultLimit, detail: "the reply is longer than our limit of 1,000 lines or 256 KB; it began with " + quote([]byte(r.Lines[0]))}
		}
		if !more {
			break
		}
	}
	if first, ok := transcript.ParseReply(r.Lines[0]); ok {
		r.Enhanced = first.Enhanced
	}
	return r, nil
}

// flawOf words a read that failed before the reply was whole.
func (w *wire) flawOf(err error, r transcript.Reply) *flaw {
	rest := w.buf[w.r:w.w]
	if errors.Is(err, errLimit) {
		switch {
		case w.total >= maxSession:
			return &flaw{fault: transcript.FaultLimit, detail: "the server sent more than our limit of 1 MB in one session"}
		case w.raw.total >= w.raw.limit:
			return &flaw{fault: transcript.FaultLimit, detail: "the server sent more than our limit of 4 MB of TLS records in one session"}
		}
		return &flaw{fault: transcript.FaultLimit, detail: "a line is longer than our limit of 16 KB; it began with " + quote(rest)}
	}
	f := &flaw{}
	if name, ok := tlsAlert(err, nil); ok {
		f.fault, f.detail = transcript.FaultTLS, "the server ended TLS with the alert "+name
	} else if w.conn != net.Conn(w.raw) && tlsRecordError(err) {
		f.fault, f.detail = transcript.FaultTLS, "what arrived inside TLS is not TLS"
	} else {
		f.fault, f.detail = faultOf(err)
	}
	if len(rest) > 0 {
		f.detail += "; a line was cut: " + quote(rest)
	} else if len(r.Lines) > 0 {
		f.detail += "; the reply had no last line, it began with " + quote([]byte(r.Lines[0]))
	}
	return f
}

// write sends bytes in one piece.
func (w *wire) write(b []byte) error {
	_, err := w.conn.Write(b)
	return err
}

// unasked reports what the server said without being asked: call it when no
// command is outstanding. It reads what is there and does not wait.
func (w *wire) unasked() bool {
	if w.r < w.w {
		return true
	}
	if w.pending != nil {
		return false
	}
	arrived, known := arrivedBytes(w.raw.Conn)
	if known && !arrived {
		return false
	}
	// A deadline of a millisecond makes the read return what is there: the
	// first attempt comes before the first wait.
	w.deadline(time.Now().Add(time.Millisecond))
	n, err := w.conn.Read(w.buf[:min(len(w.buf), maxSession-min(w.total, maxSession-1))])
	w.r, w.w = 0, n
	w.total += n
	if err != nil {
		if fault, _ := faultOf(err); fault != transcript.FaultTimeout {
			w.pending = err
		}
	}
	return n > 0
}
