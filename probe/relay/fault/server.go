// Package fault is a small scripted SMTP server for what a well-behaved relay
// cannot do: half lines, endless replies, masked EHLO lists, plaintext behind
// the 220 to STARTTLS, stalls, drips, resets, wrong TLS and bad certificates.
//
// It follows a script line by line and understands no SMTP. It listens on
// loopback or serves connections in memory, which work under testing/synctest,
// and keeps the bytes it received as a second witness of what a client sent.
package fault

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// Server serves scripts. Set its fields before the first connection.
type Server struct {
	Host string           // name of the good certificate
	Now  func() time.Time // nil: time.Now; certificates are made from it
	// TLS serves the statement "tls" without cert=; nil: the good certificate
	// of an authority of the server's own.
	TLS *tls.Config

	scripts []Script
	ca      authority
	once    sync.Once
	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	mu      sync.Mutex
	lis     []net.Listener
	conns   []*Conn
	open    int
}

// New returns a server that gives the n-th connection the n-th script; the last
// one serves all that follow.
func New(host string, scripts ...Script) *Server {
	s := &Server{Host: host, scripts: scripts}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Conn is what the server saw of one connection.
type Conn struct {
	mu     sync.Mutex
	wire   []byte   // as it came over the wire
	plain  []byte   // what was said outside TLS
	inside []byte   // what was said inside TLS
	cert   string   // the certificate of the TLS session
	notes  []string // where the client left the script
}

// maxLog bounds each log of a connection.
const maxLog = 1 << 20

func (c *Conn) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notes = append(c.notes, fmt.Sprintf(format, args...))
}

func keep(log, p []byte) []byte { return append(log, p[:min(len(p), maxLog-min(maxLog, len(log)))]...) }

// Wire is what the client sent as it stood on the wire, TLS records included.
func (c *Conn) Wire() string { c.mu.Lock(); defer c.mu.Unlock(); return string(c.wire) }

// Plain is what the client sent outside TLS, Inside what it sent inside.
func (c *Conn) Plain() string { c.mu.Lock(); defer c.mu.Unlock(); return string(c.plain) }

// Inside is what the client sent inside TLS.
func (c *Conn) Inside() string { c.mu.Lock(); defer c.mu.Unlock(); return string(c.inside) }

// Certificate names the certificate of the TLS session, empty before TLS.
func (c *Conn) Certificate() string { c.mu.Lock(); defer c.mu.Unlock(); return c.cert }

// Notes says where the client did not do what the script expects.
func (c *Conn) Notes() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.notes...)
}

// Conns are the connections so far, in order.
func (s *Server) Conns() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Conn(nil), s.conns...)
}

// Open counts the connections whose script has not ended.
func (s *Server) Open() int { s.mu.Lock(); defer s.mu.Unlock(); return s.open }

func (s *Server) prepare() {
	s.once.Do(func() {
		if s.Now == nil {
			s.Now = time.Now
		}
		s.ca = authority{host: s.Host, now: s.Now, made: map[string]*tls.Certificate{}}
	})
}

// RootCAs trusts the server's authority.
func (s *Server) RootCAs() (*x509.CertPool, error) {
	root, err := s.root()
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	return pool, nil
}

// root is the certificate of the server's authority.
func (s *Server) root() (*x509.Certificate, error) {
	s.prepare()
	s.ca.mu.Lock()
	defer s.ca.mu.Unlock()
	root, err := s.ca.trusted()
	if err != nil {
		return nil, err
	}
	return root.cert, nil
}

// CAPEM is the certificate of the server's authority, for a client in another
// process.
func (s *Server) CAPEM() ([]byte, error) {
	root, err := s.root()
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw}), nil
}

// Listen serves on a TCP address; "127.0.0.1:0" lets the system choose a port.
func (s *Server) Listen(address string) (net.Addr, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.lis = append(s.lis, l)
	s.mu.Unlock()
	s.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.Serve(c)
		}
	})
	return l.Addr(), nil
}

// Dial connects in memory. It has the form of net.Dialer.DialContext.
func (s *Server) Dial(context.Context, string, string) (net.Conn, error) {
	if s.ctx.Err() != nil {
		return nil, net.ErrClosed
	}
	client, server := Pipe()
	s.Serve(server)
	return client, nil
}

// Serve plays the next script on a connection, in a goroutine of its own.
func (s *Server) Serve(c net.Conn) {
	s.prepare()
	s.mu.Lock()
	rec := &Conn{}
	s.conns = append(s.conns, rec)
	script := s.scripts[min(len(s.conns), len(s.scripts))-1]
	s.open++
	s.mu.Unlock()
	s.wg.Go(func() {
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.open--
		}()
		stop := context.AfterFunc(s.ctx, func() { _ = c.Close() })
		defer stop()
		p := &player{server: s, rec: rec, raw: c, conn: c}
		p.read = bufio.NewReader(&tee{p})
		p.play(script)
	})
}

// Close ends every connection and waits for them.
func (s *Server) Close() {
	s.cancel()
	s.mu.Lock()
	for _, l := range s.lis {
		_ = l.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// player plays one script on one connection.
type player struct {
	server *Server
	rec    *Conn
	raw    net.Conn
	conn   net.Conn // raw, or TLS above it
	read   *bufio.Reader
}

// tee logs what is read from the connection.
type tee struct{ p *player }

func (t *tee) Read(b []byte) (int, error) {
	n, err := t.p.conn.Read(b)
	c := t.p.rec
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.p.conn == t.p.raw {
		c.plain, c.wire = keep(c.plain, b[:n]), keep(c.wire, b[:n])
	} else {
		c.inside = keep(c.inside, b[:n])
	}
	return n, err
}

// below gives TLS the bytes that were read ahead and logs the records.
type below struct {
	net.Conn
	p    *player
	rest io.Reader
}

func (b *below) Read(p []byte) (int, error) {
	n, _ := b.rest.Read(p) // a strings.Reader: it ends, it does not fail
	var err error
	if n == 0 {
		n, err = b.Conn.Read(p)
	}
	b.p.rec.mu.Lock()
	defer b.p.rec.mu.Unlock()
	b.p.rec.wire = keep(b.p.rec.wire, p[:n])
	return n, err
}

func (p *player) play(script Script) {
	defer func() { _ = p.raw.Close() }()
	for _, st := range script {
		if !p.step(st) {
			return
		}
	}
	if p.conn != p.raw {
		_ = p.conn.Close()
	}
}

func (p *player) say(b string) bool {
	_, err := io.WriteString(p.conn, b)
	return err == nil
}

func (p *player) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.server.ctx.Done():
		return false
	}
}

// step does one statement and reports whether the script goes on.
func (p *player) step(st statement) bool {
	switch st.verb {
	case "<":
		return p.say(st.text + "\r\n")
	case "raw":
		return p.say(st.bytes)
	case "repeat":
		for i := 0; st.n == 0 || i < st.n; i++ {
			if !p.say(st.bytes) {
				return false
			}
		}
	case "drip":
		for i := 0; st.n == 0 || i < st.n; i++ {
			for j := range len(st.bytes) {
				if !p.sleep(st.every) || !p.say(st.bytes[j:j+1]) {
					return false
				}
			}
		}
	case "lines":
		for i := 0; st.n == 0 || i < st.n; i++ {
			if !p.sleep(st.every) || !p.say(st.bytes) {
				return false
			}
		}
	case ">":
		line, err := p.read.ReadString('\n')
		if err != nil {
			p.rec.note("line %d: the client left, %q was expected", st.line, st.text)
			return false
		}
		if want := strings.TrimSpace(st.text); len(line) < len(want) || !strings.EqualFold(line[:len(want)], want) {
			p.rec.note("line %d: %q was expected, the client said %q", st.line, want, line)
		}
	case "data":
		for {
			line, err := p.read.ReadString('\n')
			if err != nil {
				return false
			}
			if strings.TrimRight(line, "\r\n") == "." {
				return true
			}
		}
	case "wait":
		return p.sleep(st.every)
	case "stall":
		_, _ = io.Copy(io.Discard, p.read)
		return false
	case "deaf":
		<-p.server.ctx.Done()
		return false
	case "tls":
		return p.startTLS(st)
	case "hello":
		if _, err := p.read.Peek(1); err != nil {
			return false
		}
		return p.say(st.bytes)
	case "half":
		if c, ok := p.raw.(interface{ CloseWrite() error }); ok {
			_ = c.CloseWrite()
		}
	case "close":
		return false
	case "reset":
		switch c := p.raw.(type) {
		case *net.TCPConn:
			_ = c.SetLinger(0)
		case *end:
			c.reset()
		}
		return false
	}
	return true
}

// startTLS does the server's side of a handshake.
func (p *player) startTLS(st statement) bool {
	name := st.args["cert"]
	conf := &tls.Config{}
	if name == "" && p.server.TLS != nil {
		conf = p.server.TLS.Clone()
	} else {
		if name == "" {
			name = "good"
		}
		cert, err := p.server.ca.certificate(name)
		if err != nil {
			p.rec.note("line %d: %v", st.line, err)
			return false
		}
		conf.Certificates = []tls.Certificate{*cert}
	}
	conf.Time = p.server.Now
	for _, v := range []struct {
		arg  string
		into *uint16
	}{{"min", &conf.MinVersion}, {"max", &conf.MaxVersion}} {
		switch st.args[v.arg] {
		case "1.0":
			*v.into = tls.VersionTLS10
		case "1.1":
			*v.into = tls.VersionTLS11
		case "1.2":
			*v.into = tls.VersionTLS12
		case "1.3":
			*v.into = tls.VersionTLS13
		}
	}
	if conf.MaxVersion != 0 && conf.MaxVersion < tls.VersionTLS12 && conf.MinVersion == 0 {
		conf.MinVersion = tls.VersionTLS10
	}
	if st.args["client"] == "yes" {
		conf.ClientAuth = tls.RequireAnyClientCert
	}
	ahead := make([]byte, p.read.Buffered())
	_, _ = io.ReadFull(p.read, ahead)
	c := tls.Server(&below{Conn: p.raw, p: p, rest: strings.NewReader(string(ahead))}, conf)
	if err := c.HandshakeContext(p.server.ctx); err != nil {
		p.rec.note("line %d: the handshake failed", st.line)
		return false
	}
	p.rec.mu.Lock()
	p.rec.cert = name
	p.rec.mu.Unlock()
	p.conn = c
	p.read = bufio.NewReader(&tee{p})
	return true
}
