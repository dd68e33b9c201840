package relay

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// memoryBuffer is how much one direction of a connection in memory holds, in
// bytes, before a writer waits. TCP sockets on loopback hold more; what matters
// is that a TLS close and a pipelined group fit (net.Pipe holds nothing and
// stalls both sides' TLS close for five seconds).
const memoryBuffer = 64 << 10

// half is one direction of a connection in memory.
type half struct {
	mu     sync.Mutex
	cond   sync.Cond
	buf    []byte
	eof    bool // the writer closed
	gone   bool // the reader closed: what is written is lost
	warned bool // the writer was told once
	reset  bool // the writer reset the connection
	rd, wr limit
}

// limit is a deadline of one side of a half.
type limit struct {
	expired bool
	serial  int           // of the deadline that counts; older ones are void
	stop    chan struct{} // ends the goroutine that waits for it
}

func newHalf() *half {
	h := &half{}
	h.cond.L = &h.mu
	return h
}

func (h *half) read(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.gone:
			return 0, net.ErrClosed
		case h.rd.expired:
			return 0, os.ErrDeadlineExceeded
		case h.reset:
			return 0, syscall.ECONNRESET
		case len(h.buf) > 0:
			n := copy(b, h.buf)
			h.buf = h.buf[n:]
			if len(h.buf) == 0 {
				h.buf = nil
			}
			h.cond.Broadcast()
			return n, nil
		case h.eof:
			return 0, io.EOF
		case len(b) == 0:
			return 0, nil
		}
		h.cond.Wait()
	}
}

func (h *half) write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for {
		switch {
		case n > 0 && len(b) == 0:
			return n, nil
		case h.eof || h.reset:
			return n, net.ErrClosed
		case h.wr.expired:
			return n, os.ErrDeadlineExceeded
		case h.gone && h.warned:
			return n, syscall.ECONNRESET
		case h.gone:
			// As in TCP, what fits the buffers is lost without a word after the
			// peer's close and only draws the reset that the rest meets.
			h.warned = true
			k := min(memoryBuffer, len(b))
			b, n = b[k:], n+k
			continue
		}
		if room := memoryBuffer - len(h.buf); room > 0 {
			k := min(room, len(b))
			h.buf = append(h.buf, b[:k]...)
			b, n = b[k:], n+k
			h.cond.Broadcast()
			continue
		}
		h.cond.Wait()
	}
}

// expire sets the deadline d from now on the clock; a negative d takes it away.
func (h *half) expire(l *limit, c Clock, d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l.cancel()
	l.expired = false
	switch {
	case d < 0, l == &h.rd && h.gone, l == &h.wr && h.eof:
		return // none, or that side is closed and nobody waits there any more
	case d == 0:
		l.expired = true
		h.cond.Broadcast()
		return
	}
	serial, stop, timer := l.serial, make(chan struct{}), c.NewTimer(d)
	l.stop = stop
	go func() {
		select {
		case <-stop:
			timer.Stop()
		case <-timer.C():
			h.mu.Lock()
			if l.serial == serial {
				l.expired, l.stop = true, nil
				h.cond.Broadcast()
			}
			h.mu.Unlock()
		}
	}()
}

// cancel takes the deadline away. Call with the half's lock held.
func (l *limit) cancel() {
	l.serial++
	if l.stop != nil {
		close(l.stop)
		l.stop = nil
	}
}

func (h *half) closeRead() {
	h.mu.Lock()
	h.gone = true
	h.buf = nil
	h.rd.cancel()
	h.cond.Broadcast()
	h.mu.Unlock()
}

func (h *half) closeWrite(reset bool) {
	h.mu.Lock()
	h.eof = true
	h.wr.cancel()
	if reset {
		h.reset = true
		h.buf = nil
	}
	h.cond.Broadcast()
	h.mu.Unlock()
}

// memoryConn is one end of a connection in memory.
type memoryConn struct {
	in, out       *half
	local, remote net.Addr
	clock         Clock // of this end's deadlines
	once          sync.Once
}

// memoryPair makes a connection: the client's end keeps the machine's time, as
// every dialler expects, and the server's end the relay's.
func memoryPair(client, server netip.AddrPort, clock Clock) (c, s *memoryConn) {
	a, b := newHalf(), newHalf()
	ca, sa := net.TCPAddrFromAddrPort(client), net.TCPAddrFromAddrPort(server)
	return &memoryConn{in: a, out: b, local: ca, remote: sa, clock: System},
		&memoryConn{in: b, out: a, local: sa, remote: ca, clock: clock}
}

func (c *memoryConn) op(op string, n int, err error) (int, error) {
	if err == nil || err == io.EOF {
		return n, err
	}
	return n, &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

func (c *memoryConn) Read(b []byte) (int, error) {
	n, err := c.in.read(b)
	return c.op("read", n, err)
}

func (c *memoryConn) Write(b []byte) (int, error) {
	n, err := c.out.write(b)
	return c.op("write", n, err)
}

func (c *memoryConn) close(reset bool) {
	c.once.Do(func() {
		c.out.closeWrite(reset)
		c.in.closeRead()
	})
}

func (c *memoryConn) Close() error {
	c.close(false)
	return nil
}

// CloseWrite ends one direction, as shutdown(2) does.
func (c *memoryConn) CloseWrite() error {
	c.out.closeWrite(false)
	return nil
}

// abort closes the connection as an RST does.
func (c *memoryConn) abort() { c.close(true) }

func (c *memoryConn) LocalAddr() net.Addr  { return c.local }
func (c *memoryConn) RemoteAddr() net.Addr { return c.remote }

// until turns a deadline on the machine's clock into a duration.
func until(t time.Time) time.Duration {
	if t.IsZero() {
		return -1
	}
	return max(time.Until(t), 0)
}

func (c *memoryConn) SetDeadline(t time.Time) error {
	c.expireIn(until(t))
	return nil
}

func (c *memoryConn) SetReadDeadline(t time.Time) error {
	c.in.expire(&c.in.rd, c.clock, until(t))
	return nil
}

func (c *memoryConn) SetWriteDeadline(t time.Time) error {
	c.out.expire(&c.out.wr, c.clock, until(t))
	return nil
}

// expireIn sets both deadlines to d from now on the clock of this end.
func (c *memoryConn) expireIn(d time.Duration) {
	c.in.expire(&c.in.rd, c.clock, d)
	c.out.expire(&c.out.wr, c.clock, d)
}

// memoryListener hands out connections in memory.
type memoryListener struct {
	addr netip.AddrPort
	ch   chan net.Conn
	done chan struct{}
	once sync.Once
}

func newMemoryListener(addr netip.AddrPort) *memoryListener {
	return &memoryListener{addr: addr, ch: make(chan net.Conn, 16), done: make(chan struct{})}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
		return nil, net.ErrClosed
	default:
	}
	select {
	case c := <-l.ch:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *memoryListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.addr) }

// dial opens a connection that seems to come from client.
func (l *memoryListener) dial(ctx context.Context, client netip.AddrPort, clock Clock) (net.Conn, error) {
	c, s := memoryPair(client, l.addr, clock)
	select {
	case <-l.done:
	default:
		select {
		case l.ch <- s:
			return c, nil
		case <-l.done:
		case <-ctx.Done():
			return nil, dialError(l.addr, os.ErrDeadlineExceeded)
		}
	}
	return nil, dialError(l.addr, syscall.ECONNREFUSED)
}

func dialError(addr netip.AddrPort, err error) error {
	return &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(addr), Err: err}
}
