package relay

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Replayer plays the server's side of a session that somebody recorded, so that
// a customer's session can be met again with a probe. What the transcript shows
// is answered word for word, faults included; what it does not show is answered
// as a healthy relay would, since a report tells of the one refusal only.
type Replayer struct {
	session transcript.Session
	relay   *Relay // names, certificates, listening address, clock; it serves nothing
	port    int
	l       net.Listener
	memory  *memoryListener
	work    sync.WaitGroup
	mu      sync.Mutex
	conns   map[net.Conn]bool
	heard   []string
	closed  bool
}

// ErrNeverReached is returned by Start for a session that ended before a server
// was reached: there is nothing to play.
var ErrNeverReached = errors.New("the session ended before a server was reached")

// Replay returns a Replayer of the session, not started yet. The options for
// the clock, the listening address, the names and InMemory apply.
func Replay(s transcript.Session, opts ...Option) *Replayer {
	port := s.Port
	if port == 0 {
		port = PortAuth
	}
	if s.Server != "" {
		opts = append([]Option{Names(s.Server, "localhost", "127.0.0.1")}, opts...)
	}
	return &Replayer{session: s, relay: New(policy.NewAccount(""), opts...), port: port, conns: map[net.Conn]bool{}}
}

// Start serves the session's port.
func (p *Replayer) Start() error {
	for _, x := range p.session.Exchanges {
		if x.Fault != transcript.FaultNone && x.Stage.Order() >= 0 && x.Stage.Order() <= transcript.StageConnect.Order() {
			return ErrNeverReached
		}
	}
	r := p.relay
	var err error
	if r.ca, err = newAuthority("handoff replay CA", r.clock.Now()); err != nil {
		return err
	}
	if r.stranger, err = newAuthority("an authority nobody knows", r.clock.Now()); err != nil {
		return err
	}
	if r.memory {
		p.memory = newMemoryListener(netip.AddrPortFrom(netip.MustParseAddr(memoryHost), uint16(p.port)))
		p.l = p.memory
	} else {
		address := r.listen[p.port]
		if address == "" {
			address = "127.0.0.1:0"
		}
		if !r.allowRemote {
			if err := loopbackOnly(address); err != nil {
				return err
			}
		}
		if p.l, err = net.Listen("tcp", address); err != nil {
			return err
		}
	}
	p.work.Go(func() {
		for {
			c, err := p.l.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			if p.closed || len(p.conns) >= r.limits.Sessions {
				p.mu.Unlock()
				c.Close()
				continue
			}
			p.conns[c] = true
			p.mu.Unlock()
			p.work.Go(func() {
				(&play{p: p, raw: c, conn: c, r: bufio.NewReaderSize(c, maxLine+2), s: &p.session}).run()
				c.Close()
				p.mu.Lock()
				delete(p.conns, c)
				p.mu.Unlock()
			})
		}
	})
	return nil
}

// Close ends every connection and stops listening.
func (p *Replayer) Close() {
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	if p.l != nil {
		p.l.Close()
	}
	p.work.Wait()
}

// Addr returns the address that is served, as host:port.
func (p *Replayer) Addr() string { return p.l.Addr().String() }

// Port returns the logical port of the session.
func (p *Replayer) Port() int { return p.port }

// ServerName returns the name that clients dial and verify.
func (p *Replayer) ServerName() string { return p.relay.ServerName() }

// RootCAs returns a pool with the authority that signs its certificate.
func (p *Replayer) RootCAs() *x509.CertPool { return p.relay.RootCAs() }

// CAPEM returns that authority in PEM.
func (p *Replayer) CAPEM() []byte { return p.relay.CAPEM() }

// Heard returns the commands that clients have sent, secrets masked, 1,000 at
// most.
func (p *Replayer) Heard() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.heard...)
}

// DialContext connects to the replayer, whatever the address is.
func (p *Replayer) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	if p.memory != nil {
		return p.memory.dial(ctx, netip.AddrPortFrom(loopback, 40000), p.relay.clock)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", p.Addr())
}

// LookupNetIP resolves every name to the replayer.
func (p *Replayer) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	a, err := netip.ParseAddrPort(p.Addr())
	if err != nil {
		return nil, err
	}
	return []netip.Addr{a.Addr()}, ctx.Err()
}

// play is one connection.
type play struct {
	p      *Replayer
	raw    net.Conn // as accepted
	conn   net.Conn // raw, or TLS over it
	r      *bufio.Reader
	s      *transcript.Session
	secure bool
	used   []bool // exchanges that have been answered with
	data   bool
}

var (
	errHangUp = errors.New("hang up")
	errReset  = errors.New("reset")
)

func (c *play) run() {
	c.used = make([]bool, len(c.s.Exchanges))
	_ = c.conn.SetDeadline(time.Now().Add(c.p.relay.limits.Session))
	err := c.talk()
	if errors.Is(err, errReset) {
		abort(c.raw)
	}
}

func (c *play) talk() error {
	if c.s.Implicit {
		if err := c.handshake(); err != nil {
			return err
		}
	}
	greeting := transcript.Exchange{Reply: transcript.Reply{Code: 220, Lines: []string{"220 " + c.p.ServerName() + " ESMTP"}}}
	for i := range c.s.Exchanges {
		if x := &c.s.Exchanges[i]; x.Stage == transcript.StageGreet && x.Command == "" {
			greeting, c.used[i] = *x, true
			break
		}
	}
	if err := c.give(greeting); err != nil {
		return err
	}
	for {
		raw, err := c.r.ReadSlice('\n')
		if err != nil {
			return errHangUp
		}
		line := strings.TrimRight(string(raw), "\r\n")
		if c.data {
			if line != "." {
				continue
			}
			c.data = false
		}
		if err := c.command(line); err != nil {
			return err
		}
	}
}

// command answers one line.
func (c *play) command(line string) error {
	req := parseCommand(line)
	c.hear(mask(line, req))
	verb := transcript.Verb(line)
	if verb == "" {
		return c.give(plainReply(500, "5.5.2", "Error: command not recognized"))
	}
	if verb == "AUTH" {
		return c.auth(req)
	}
	x, known := c.recorded(verb, line)
	if !known {
		x = c.healthy(verb)
	}
	if err := c.give(x); err != nil {
		return err
	}
	switch {
	case verb == "QUIT" || x.Reply.Code == 421 || x.Reply.Code == 521:
		return errHangUp
	case verb == "STARTTLS" && x.Reply.Code == 220:
		return c.handshake()
	case verb == "DATA" && x.Reply.Code == 354:
		c.data = true
	}
	return nil
}

func (c *play) hear(line string) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if len(c.p.heard) < 1000 {
		c.p.heard = append(c.p.heard, clip(printable(line)))
	}
}

// recorded finds the transcript's answer to a command: the next one to the same
// verb that was not given yet, for RCPT one to the same address before others;
// when all were given, the last one once more.
func (c *play) recorded(verb, line string) (transcript.Exchange, bool) {
	address, _, _ := transcript.Path(line)
	next, last := -1, -1
	for i := range c.s.Exchanges {
		x := &c.s.Exchanges[i]
		if transcript.Verb(x.Command) != verb || x.Skipped != "" || x.Reply.IsZero() && x.Fault == transcript.FaultNone {
			continue
		}
		if (verb == "EHLO" || verb == "HELO") && c.s.TLS != nil && x.Secure != c.secure {
			continue
		}
		if verb == "RCPT" {
			if a, _, _ := transcript.Path(x.Command); strings.EqualFold(a, address) {
				c.used[i] = true
				return *x, true
			}
		}
		last = i
		if next < 0 && !c.used[i] {
			next = i
		}
	}
	if next < 0 {
		next = last
	}
	if next < 0 {
		return transcript.Exchange{}, false
	}
	c.used[next] = true
	return c.s.Exchanges[next], true
}

// healthy is what a relay answers where nothing is wrong.
func (c *play) healthy(verb string) transcript.Exchange {
	switch verb {
	case "EHLO":
		list := c.s.Before
		if c.secure {
			list = c.s.After
		}
		if list == nil {
			list = []string{"PIPELINING", "SIZE 104857600", "8BITMIME", "ENHANCEDSTATUSCODES"}
			switch {
			case !c.secure:
				list = append(list, "STARTTLS")
			case c.p.port != PortServer:
				list = append(list, "AUTH PLAIN LOGIN")
			}
		}
		lines := []string{"250-" + c.p.ServerName()}
		for i, k := range list {
			sep := "-"
			if i == len(list)-1 {
				sep = " "
			}
			lines = append(lines, "250"+sep+k)
		}
		if len(lines) == 1 {
			lines[0] = "250 " + c.p.ServerName()
		}
		return transcript.Exchange{Reply: transcript.Reply{Code: 250, Lines: lines}}
	case "HELO":
		return plainReply(250, "", c.p.ServerName())
	case "STARTTLS":
		if c.secure {
			return plainReply(554, "5.5.1", "Error: TLS already active")
		}
		return plainReply(220, "2.0.0", "Ready to start TLS")
	case "MAIL":
		return plainReply(250, "2.1.0", "Ok")
	case "RCPT":
		return plainReply(250, "2.1.5", "Ok")
	case "DATA":
		return plainReply(354, "", "End data with <CR><LF>.<CR><LF>")
	case ".":
		return plainReply(250, "2.0.0", "Ok: queued")
	case "QUIT":
		return plainReply(221, "2.0.0", "Bye")
	case "RSET", "NOOP":
		return plainReply(250, "2.0.0", "Ok")
	}
	return plainReply(502, "5.5.1", "Error: command not implemented")
}

func plainReply(code int, enhanced, text string) transcript.Exchange {
	line := strconv.Itoa(code) + " "
	if enhanced != "" {
		line += enhanced + " "
	}
	return transcript.Exchange{Reply: transcript.Reply{Code: code, Enhanced: enhanced, Lines: []string{line + text}}}
}

// auth takes a login, whatever it says, and gives the recorded answer to it.
func (c *play) auth(req request) error {
	prompts := 0
	switch {
	case req.Mechanism == "LOGIN" && req.HasInitial:
		prompts = 1
	case req.Mechanism == "LOGIN":
		prompts = 2
	case !req.HasInitial:
		prompts = 1
	}
	x := transcript.Exchange{Reply: transcript.Reply{Code: 235, Lines: []string{"235 2.7.0 Authentication successful"}}}
	for i := range c.s.Exchanges {
		y := &c.s.Exchanges[i]
		if y.Stage == transcript.StageAuth && y.Skipped == "" && y.Reply.Code != 334 && (!y.Reply.IsZero() || y.Fault != transcript.FaultNone) {
			x = *y
			break
		}
	}
	// A refusal of the command itself comes before any prompt.
	if x.Reply.Code == 530 || x.Reply.Code == 503 || x.Reply.Code == 504 || x.Reply.Code == 502 || x.Reply.Code == 500 {
		prompts = 0
	}
	names := []string{"334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"}
	for i := range prompts {
		line := "334 "
		if req.Mechanism == "LOGIN" {
			line = names[len(names)-prompts+i]
		}
		if err := c.write(line + "\r\n"); err != nil {
			return err
		}
		answer, err := c.r.ReadSlice('\n')
		if err != nil {
			return errHangUp
		}
		c.hear("[secret-1]")
		if strings.TrimRight(string(answer), "\r\n") == "*" {
			return c.give(plainReply(501, "5.7.0", "Authentication aborted"))
		}
	}
	return c.give(x)
}

// give says a recorded reply or does what was recorded in its place.
func (c *play) give(x transcript.Exchange) error {
	switch x.Fault {
	case transcript.FaultNone, transcript.FaultInjection:
	case transcript.FaultTimeout:
		_, _ = io.Copy(io.Discard, c.conn)
		return errHangUp
	case transcript.FaultReset:
		return errReset
	default:
		if len(x.Reply.Lines) == 0 {
			return errHangUp
		}
	}
	return c.write(wireForm(x.Reply))
}

// wireForm is a reply as it goes over the wire, whatever form it was quoted in:
// without its code, or with all lines in one form.
func wireForm(r transcript.Reply) string {
	code := r.Code
	if code == 0 {
		code = 550
		if strings.HasPrefix(r.Enhanced, "4") {
			code = 450
		}
	}
	lines := r.Lines
	if len(lines) == 0 {
		lines = []string{strings.TrimSpace(r.Enhanced + " ")}
	}
	var b strings.Builder
	for i, l := range lines {
		l = printable(l)
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		if n := strconv.Itoa(code); strings.HasPrefix(l, n) && (len(l) == 3 || l[3] == ' ' || l[3] == '-') {
			l = strings.TrimLeft(l[3:], "- ")
		}
		fmt.Fprintf(&b, "%d%s%s\r\n", code, sep, l)
	}
	return b.String()
}

func (c *play) write(s string) error {
	if _, err := io.WriteString(c.conn, s); err != nil {
		return errHangUp
	}
	return nil
}

// handshake goes into TLS, or fails as the transcript says.
func (c *play) handshake() error {
	var fault *transcript.Exchange
	for i := range c.s.Exchanges {
		if x := &c.s.Exchanges[i]; x.Stage == transcript.StageTLS && x.Command == "" && x.Fault != transcript.FaultNone {
			fault = x
		}
	}
	problem := ""
	if c.s.TLS != nil {
		problem = c.s.TLS.Problem
	}
	kind := map[string]string{
		"certificate-expired": certExpired, "certificate-not-yet-valid": certNotYet,
		"certificate-name-mismatch": certWrongName, "certificate-unknown-issuer": certUnknownCA,
	}[problem]
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	switch {
	case kind != "" || fault == nil:
	case problem == "protocol-version":
		config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS10
	case problem == "internal-error":
		config.GetCertificate = unusableKeys
	case problem == "not-tls":
		_ = c.hello()
		_ = c.write("500 5.5.2 Error: command not recognized\r\n")
		_, _ = io.Copy(io.Discard, c.conn)
		return errHangUp
	case fault.Fault == transcript.FaultTimeout:
		_, _ = io.Copy(io.Discard, c.conn)
		return errHangUp
	case fault.Fault == transcript.FaultReset:
		_ = c.hello()
		return errReset
	default:
		_ = c.hello()
		return errHangUp
	}
	cert, err := c.p.relay.certificate(kind)
	if err != nil {
		return errHangUp
	}
	if config.GetCertificate == nil {
		config.Certificates = []tls.Certificate{*cert}
	}
	conn := tls.Server(c.conn, config)
	if err := conn.Handshake(); err != nil {
		return errHangUp
	}
	c.conn, c.r, c.secure = conn, bufio.NewReaderSize(conn, maxLine+2), true
	return nil
}

// hello waits for the client's first bytes of a handshake.
func (c *play) hello() error {
	_, err := c.r.Peek(1)
	return err
}
