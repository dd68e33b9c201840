package fault

import (
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Pipe returns two ends of a connection in memory. Unlike net.Pipe it buffers,
// as a socket does, so that a peer that says goodbye does not wait for one that
// reads no more. Its waits are durable ones for testing/synctest.
func Pipe() (client, server net.Conn) { return Road(0) }

// Road is a Pipe on which bytes, and the end, take a time to arrive: half of a
// round trip.
func Road(latency time.Duration) (client, server net.Conn) {
	up, down := newHalf(latency), newHalf(latency)
	a := &end{in: down, out: up, local: addr("client"), remote: addr("server")}
	b := &end{in: up, out: down, local: addr("server"), remote: addr("client")}
	return a, b
}

// window is how much one direction holds before the writer waits.
const window = 256 << 10

// half is one direction.
type half struct {
	mu      sync.Mutex
	moved   *sync.Cond
	latency time.Duration
	road    []packet // under way
	buf     []byte   // arrived
	held    int      // bytes under way and arrived
	closed  bool     // the writer will write no more
	gone    bool     // the reader will read no more
	err     error    // reset
	rd, wd  limit
}

// limit is a deadline of one side.
type limit struct {
	at    time.Time
	timer *time.Timer
}

// packet is what one write sent, and when it arrives.
type packet struct {
	at    time.Time
	bytes []byte
}

func newHalf(latency time.Duration) *half {
	h := &half{latency: latency}
	h.moved = sync.NewCond(&h.mu)
	return h
}

func (l limit) over() bool { return !l.at.IsZero() && !time.Now().Before(l.at) }

func (h *half) set(l *limit, t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	l.at = t
	if d := time.Until(t); !t.IsZero() && d > 0 {
		l.timer = time.AfterFunc(d, func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.moved.Broadcast()
		})
	}
	h.moved.Broadcast()
}

func (h *half) read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		for len(h.road) > 0 && !time.Now().Before(h.road[0].at) {
			h.buf = append(h.buf, h.road[0].bytes...)
			h.road = h.road[1:]
		}
		switch {
		case h.gone:
			return 0, net.ErrClosed
		case len(h.buf) > 0:
			n := copy(p, h.buf)
			h.buf = h.buf[n:]
			h.held -= n
			if len(h.buf) == 0 {
				h.buf = nil
			}
			h.moved.Broadcast()
			return n, nil
		case h.err != nil:
			return 0, h.err
		case h.closed && len(h.road) == 0:
			return 0, io.EOF
		case h.rd.over():
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		}
		h.moved.Wait()
	}
}

func (h *half) write(p []byte) (n int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(p) > 0 {
		switch {
		case h.err != nil:
			return n, h.err
		case h.closed:
			return n, net.ErrClosed
		case h.gone:
			return n, syscall.EPIPE
		case h.wd.over():
			return n, os.ErrDeadlineExceeded
		case h.held < window:
			m := min(len(p), window-h.held)
			h.road = append(h.road, packet{time.Now().Add(h.latency), slices.Clone(p[:m])})
			h.held += m
			n += m
			p = p[m:]
			if h.latency > 0 {
				time.AfterFunc(h.latency, func() { h.end(func() {}) })
			}
			h.moved.Broadcast()
			continue
		}
		h.moved.Wait()
	}
	return n, nil
}

func (h *half) end(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	h.moved.Broadcast()
}

// end is one end of the pipe.
type end struct {
	in, out       *half
	local, remote addr
}

func wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "pipe", Err: err}
}

func (e *end) Read(p []byte) (int, error) {
	n, err := e.in.read(p)
	return n, wrap("read", err)
}

func (e *end) Write(p []byte) (int, error) {
	n, err := e.out.write(p)
	return n, wrap("write", err)
}

func (e *end) CloseWrite() error {
	e.out.end(func() { e.out.closed = true })
	return nil
}

func (e *end) Close() error {
	e.out.end(func() { e.out.closed = true })
	e.in.end(func() { e.in.gone = true })
	e.in.set(&e.in.rd, time.Time{})
	e.out.set(&e.out.wd, time.Time{})
	return nil
}

// reset ends both directions as RST does.
func (e *end) reset() {
	e.out.end(func() { e.out.err = syscall.ECONNRESET })
	e.in.end(func() { e.in.err = syscall.ECONNRESET })
}

func (e *end) LocalAddr() net.Addr  { return e.local }
func (e *end) RemoteAddr() net.Addr { return e.remote }

func (e *end) SetDeadline(t time.Time) error {
	_ = e.SetReadDeadline(t)
	return e.SetWriteDeadline(t)
}

func (e *end) SetReadDeadline(t time.Time) error  { e.in.set(&e.in.rd, t); return nil }
func (e *end) SetWriteDeadline(t time.Time) error { e.out.set(&e.out.wd, t); return nil }

type addr string

func (a addr) Network() string { return "pipe" }
func (a addr) String() string  { return string(a) }
