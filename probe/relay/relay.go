// Package relay is the reference relay: the service on one machine, with its
// policy in all settings, to practise on and to test against. It is shaped like
// net/http/httptest:
//
//	r := relay.New(account)
//	if err := r.Start(); err != nil { … }
//	defer r.Close()
//	r.Addr(587), r.RootCAs(), r.Log()
//
// It serves both roles, port 25 for listed addresses and for mail to own
// domains, port 587 for SMTP AUTH, on loopback or in memory. What it answers is
// the table of package policy, to the letter; for each reply its log names the
// rule and the statement of the service's article that decided. Credentials,
// certificates and log follow an injected clock, so that "wait 60 minutes" takes
// no time. What a well-behaved relay does not do, it does on demand: see
// Scenarios.
//
// It is no mail server: it never delivers, keeps no message but its head, and
// never listens beyond loopback unless told so by AllowRemote.
package relay

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/probe/resolve/zone"
)

// The two logical ports of the service.
const (
	PortServer = 25  // by address; mail to own domains
	PortAuth   = 587 // SMTP AUTH only (article A12)
)

// Limits bound what a client can use up. The zero value of a field means the
// default, which is named beside it.
type Limits struct {
	Sessions  int           // open at once; beyond it the oldest that has said nothing goes; 2000
	Idle      time.Duration // silence before the next command; 300 s
	Command   time.Duration // from the first byte of a command to its end; 60 s
	Handshake time.Duration // of TLS; 30 s
	Message   time.Duration // from 354 to the final dot; 10 min
	Session   time.Duration // from connect to close; 30 min
	Write     time.Duration // for the client to take a reply; 30 s
	BadAuth   int           // failed logins per session, then 421; 10
	Junk      int           // NOOP and VRFY per session before each counts as an error; 100
}

// DefaultLimits are the limits of a relay that was told nothing else; help texts
// name them.
func DefaultLimits() Limits { return Limits{}.withDefaults() }

func (l Limits) withDefaults() Limits {
	num := func(n *int, d int) {
		if *n <= 0 {
			*n = d
		}
	}
	dur := func(n *time.Duration, d time.Duration) {
		if *n <= 0 {
			*n = d
		}
	}
	num(&l.Sessions, 2000)
	dur(&l.Idle, 300*time.Second)
	dur(&l.Command, 60*time.Second)
	dur(&l.Handshake, 30*time.Second)
	dur(&l.Message, 10*time.Minute)
	dur(&l.Session, 30*time.Minute)
	dur(&l.Write, 30*time.Second)
	num(&l.BadAuth, 10)
	num(&l.Junk, 100)
	return l
}

// Option shapes a relay.
type Option func(*Relay)

// WithClock injects the clock; the default is System.
func WithClock(c Clock) Option { return func(r *Relay) { r.clock = c } }

// WithLimits changes the limits; zero fields keep their defaults.
func WithLimits(l Limits) Option { return func(r *Relay) { r.limits = l } }

// InMemory keeps the relay off the network: its connections are in memory and
// come from Dial, DialFrom and DialContext, with any source address. This is
// how it runs inside a testing/synctest bubble.
func InMemory() Option { return func(r *Relay) { r.memory = true } }

// Listen sets the address that serves a logical port (25 or 587). The default
// is port 0 of 127.0.0.1 for both.
func Listen(port int, address string) Option {
	return func(r *Relay) { r.listen[port] = address }
}

// AllowRemote lets the relay listen beyond loopback.
func AllowRemote() Option { return func(r *Relay) { r.allowRemote = true } }

// AllowXCLIENT lets clients claim a source address with Postfix's XCLIENT
// ADDR=…, for tests through loopback.
func AllowXCLIENT() Option { return func(r *Relay) { r.allowXclient = true } }

// Region names the stack whose host this relay plays, "us1" (the default) or "eu1". An
// account of the other region is unknown here.
func Region(region string) Option { return func(r *Relay) { r.region = region } }

// Names sets the server's names: the first is the one that clients dial and
// verify, the others stand in the certificate too.
func Names(names ...string) Option { return func(r *Relay) { r.names = names } }

// Observe has fn called with each exchange as it ends, from the goroutine of
// the connection; fn must not call the relay.
func Observe(fn func(Event)) Option { return func(r *Relay) { r.journal.watch = fn } }

// DefaultServerName is the name that clients dial: one of the service's two
// smart hosts. The server calls itself policy.DefaultHost, as the real one does.
const DefaultServerName = "outbound-us1.ppe-hosted.com"

// Relay is the reference relay. Its methods may be called from any goroutine.
type Relay struct {
	mu      sync.Mutex // guards account
	account *policy.Account
	nfaults atomic.Int32

	clock        Clock
	limits       Limits
	memory       bool
	listen       map[int]string
	allowRemote  bool
	allowXclient bool
	region       string
	names        []string
	namesAt      string       // where to serve names; empty: nowhere
	namesElse    []string     // where it is tried if that is taken
	names53      *zone.Server // nil: none
	namesMu      sync.Mutex   // around what names53 serves

	journal journal
	history *history
	store   store

	ca       *authority
	stranger *authority // signs what nobody trusts
	certs    certificates

	roles    map[int]*role
	attempts map[int]int
	conns    sync.WaitGroup
	wires    map[*wire]int // open connections, and when they came
	wiresMu  sync.Mutex
	arrivals int
	started  bool
	closed   bool
	lifeMu   sync.Mutex
	panics   atomic.Int64
}

// role is one logical port being served.
type role struct {
	port   int
	addr   net.Addr
	memory *memoryListener
	server *smtp.Server
	ready  chan net.Conn
	done   chan struct{}

	mu       sync.Mutex // guards what follows
	listener net.Listener
	gate     gateState
	unblock  func() // gives a held port back
}

// New returns a relay that serves the account; it is not started yet. The
// account belongs to the relay from now on: change it through Apply or Update.
func New(account *policy.Account, opts ...Option) *Relay {
	r := &Relay{
		account: account,
		clock:   System,
		region:  "us1",
		listen:  map[int]string{PortServer: "127.0.0.1:0", PortAuth: "127.0.0.1:0"},
		names:   []string{DefaultServerName, policy.DefaultHost, "localhost", "127.0.0.1", "::1"},
		history: newHistory(), roles: map[int]*role{}, attempts: map[int]int{}, wires: map[*wire]int{},
	}
	r.journal.init()
	for _, o := range opts {
		o(r)
	}
	r.limits = r.limits.withDefaults()
	r.nfaults.Store(int32(len(account.Faults)))
	return r
}

// ErrRemote is returned by Start when an address lies beyond loopback and
// AllowRemote was not given.
var ErrRemote = errors.New("the relay listens on loopback only unless remote clients are allowed")

// Start makes the authority and the certificate, from the relay's clock, and
// serves both ports.
func (r *Relay) Start() error {
	r.lifeMu.Lock()
	defer r.lifeMu.Unlock()
	if r.started || r.closed {
		return errors.New("the relay was started already")
	}
	now := r.clock.Now()
	var err error
	if r.ca, err = newAuthority("handoff reference relay CA", now); err != nil {
		return err
	}
	if r.stranger, err = newAuthority("an authority nobody knows", now); err != nil {
		return err
	}
	for _, port := range []int{PortServer, PortAuth} {
		if err := r.serve(port); err != nil {
			r.closed = true
			r.stop()
			return fmt.Errorf("port %d: %w", port, err)
		}
	}
	if err := r.openOrBlock(); err != nil {
		r.closed = true
		r.stop()
		return err
	}
	r.started = true
	return nil
}

// serve opens one logical port.
func (r *Relay) serve(port int) error {
	l := &role{port: port, ready: make(chan net.Conn), done: make(chan struct{})}
	if r.memory {
		l.memory = newMemoryListener(netip.AddrPortFrom(netip.MustParseAddr(memoryHost), uint16(port)))
		l.listener = l.memory
	} else {
		address := r.listen[port]
		if !r.allowRemote {
			if err := loopbackOnly(address); err != nil {
				return err
			}
		}
		var err error
		if l.listener, err = net.Listen("tcp", address); err != nil {
			return err
		}
	}
	s := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		w, ok := c.Conn().(*wire)
		if !ok {
			return nil, errors.New("a connection that is not ours")
		}
		return &session{w}, nil
	}))
	s.Domain = "wire.invalid"
	s.AllowInsecureAuth = true // the table decides, and so does the wire
	s.MaxLineLength = 2 * maxLine
	s.ErrorLog = panicLog{r}
	l.server = s
	l.addr = l.listener.Addr()
	r.roles[port] = l
	listener := l.listener
	r.conns.Go(func() { r.acceptLoop(l, listener) })
	r.conns.Go(func() { _ = s.Serve(readyListener{l}) })
	return nil
}

// memoryHost is where the relay seems to be when it runs in memory (RFC 5737).
const memoryHost = "192.0.2.25"

// loopbackOnly refuses an address that is reachable from outside. A name is
// refused too, since it may resolve to anything.
func loopbackOnly(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if host == "localhost" {
		return nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.IsLoopback() {
		return ErrRemote
	}
	return nil
}

// panicLog counts the panics of our backend that go-smtp recovered and logs with
// their stack. Its own are left out: a client that goes away in the middle of a
// BDAT chunk makes it use a session that it has dropped (v0.25.1, handleBdat),
// which ends that connection and nothing else.
type panicLog struct{ r *Relay }

// Printf implements smtp.Logger.
func (p panicLog) Printf(format string, args ...any) {
	if !strings.HasPrefix(format, "panic") || len(args) == 0 {
		return
	}
	stack, ok := args[len(args)-1].([]byte)
	if !ok || bytes.Contains(stack, []byte("handoff/probe/relay.")) {
		p.r.panics.Add(1)
	}
}

// Println implements smtp.Logger.
func (panicLog) Println(...any) {}

// readyListener gives go-smtp the connections whose client has spoken.
type readyListener struct{ l *role }

// Accept implements net.Listener.
func (a readyListener) Accept() (net.Conn, error) {
	select {
	case c := <-a.l.ready:
		return c, nil
	case <-a.l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (readyListener) Close() error { return nil }

// Addr implements net.Listener.
func (a readyListener) Addr() net.Addr { return a.l.addr }

// acceptLoop takes connections. Each waits on a goroutine of its own until its
// client has said something; only then go-smtp hears of it, so that ten thousand
// silent ones cost next to nothing.
func (r *Relay) acceptLoop(l *role, listener net.Listener) {
	for {
		c, err := listener.Accept()
		if err != nil {
			select {
			case <-l.done:
				return
			default:
			}
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of file descriptors, most likely: let connections end.
			time.Sleep(10 * time.Millisecond)
			continue
		}
		w := newWire(r, l.port, c)
		if !r.remember(w) {
			w.shut(cut)
			continue
		}
		r.conns.Go(func() {
			if err := w.welcome(); err != nil {
				w.shut(cut)
				return
			}
			select {
			case l.ready <- w:
			case <-l.done:
				w.shut(cut)
			}
		})
	}
}

// remember counts a connection in. Where too many are open, the oldest that has
// said nothing goes first, so that half-open clients crowd nobody out; where
// all have spoken, the newcomer goes.
func (r *Relay) remember(w *wire) bool {
	r.wiresMu.Lock()
	var victim *wire
	if len(r.wires) >= r.limits.Sessions {
		for o, at := range r.wires {
			if !o.spoken.Load() && (victim == nil || at < r.wires[victim]) {
				victim = o
			}
		}
		if victim == nil {
			w.over = true
		}
		delete(r.wires, victim) // so that the other port does not choose it too
	}
	r.arrivals++
	r.wires[w] = r.arrivals
	r.wiresMu.Unlock()
	if victim != nil {
		r.journal.turned()
		victim.shut(cut)
	}
	select {
	case <-r.role(w.port).done:
		return false
	default:
		return true
	}
}

func (r *Relay) forget(w *wire) {
	r.wiresMu.Lock()
	delete(r.wires, w)
	r.wiresMu.Unlock()
}

func (r *Relay) role(port int) *role { return r.roles[port] }

// Close ends every connection and stops listening. It returns when all
// goroutines of the relay have ended.
func (r *Relay) Close() {
	r.lifeMu.Lock()
	defer r.lifeMu.Unlock()
	if r.closed {
		return
	}
	r.closed = true
	r.stop()
}

func (r *Relay) stop() {
	for _, l := range r.roles {
		close(l.done)
		l.mu.Lock()
		l.listener.Close()
		if l.unblock != nil {
			l.unblock()
			l.unblock = nil
		}
		l.mu.Unlock()
	}
	r.wiresMu.Lock()
	open := make([]*wire, 0, len(r.wires))
	for w := range r.wires {
		open = append(open, w)
	}
	r.wiresMu.Unlock()
	for _, w := range open {
		w.shut(cut)
	}
	for _, l := range r.roles {
		l.server.Close()
		_ = l.server.Shutdown(context.Background())
	}
	if r.names53 != nil {
		r.names53.Close()
	}
	r.conns.Wait()
}

// Addr returns the address that serves the logical port 25 or 587, as
// host:port; empty for any other port and before Start.
func (r *Relay) Addr(port int) string {
	l := r.roles[port]
	if l == nil {
		return ""
	}
	return l.addr.String()
}

// ServerName returns the name that clients dial and verify the certificate
// against.
func (r *Relay) ServerName() string { return r.names[0] }

// RootCAs returns a pool with the relay's authority, for clients in Go.
func (r *Relay) RootCAs() *x509.CertPool {
	pool := x509.NewCertPool()
	if r.ca != nil {
		pool.AddCert(r.ca.cert)
	}
	return pool
}

// CAPEM returns the relay's authority in PEM, for clients that read a file.
func (r *Relay) CAPEM() []byte {
	if r.ca == nil {
		return nil
	}
	return r.ca.pem()
}

// WriteCA writes the authority's certificate to a file, mode 0644.
func (r *Relay) WriteCA(path string) error {
	return os.WriteFile(path, r.CAPEM(), 0o644)
}

// Clock returns the relay's clock.
func (r *Relay) Clock() Clock { return r.clock }

// Log returns the sessions that the log still holds, oldest first: 1,000 of
// them or 8 MB of text at most.
func (r *Relay) Log() []Record { return r.journal.snapshot() }

// Session returns one session of the log by its id.
func (r *Relay) Session(id string) (Record, bool) { return r.journal.find(id) }

// Counters returns the sums since the start.
func (r *Relay) Counters() Counters { return r.journal.count() }

// Update changes the account under the relay's lock; fn gets the clock's time.
func (r *Relay) Update(fn func(a *policy.Account, now time.Time)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fn(r.account, r.clock.Now())
	r.nfaults.Store(int32(len(r.account.Faults)))
}

// Apply carries out one statement of the grammar of settings on the running
// relay. "clock +60m" moves the clock, which must be a Manual one. Setting or
// clearing a fault starts the count of attempts, which triggers go by, anew.
func (r *Relay) Apply(statement string) (policy.Result, error) {
	r.mu.Lock()
	before := len(r.account.Faults)
	res, err := policy.Apply(r.account, statement, r.clock.Now())
	r.nfaults.Store(int32(len(r.account.Faults)))
	if w, werr := policy.Words(statement); werr == nil && len(w) > 1 && w[0] == "fault" && w[1] != "list" || before != len(r.account.Faults) {
		clear(r.attempts)
	}
	r.mu.Unlock()
	if err != nil {
		return res, err
	}
	if res.Advance > 0 {
		m, ok := r.clock.(*Manual)
		if !ok {
			return policy.Result{}, errors.New("the relay runs on the system's clock, which nobody can move")
		}
		m.Advance(res.Advance)
	}
	return res, r.openOrBlock()
}

// faulted says that any fault is set, so that healthy traffic asks no further.
func (r *Relay) faulted() bool { return r.nfaults.Load() > 0 }

// attempt counts connections per port, for the triggers of faults.
func (r *Relay) attempt(port int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attempts[port]++
	return r.attempts[port]
}

// challenge is a CRAM-MD5 challenge (RFC 2195).
func (r *Relay) challenge() []byte {
	return []byte("<" + rand.Text() + "." + strconv.FormatInt(r.clock.Now().Unix(), 10) + "@" + r.ServerName() + ">")
}

// Dialling.

// loopback is the source address of Dial and DialContext in memory.
var loopback = netip.MustParseAddr("127.0.0.1")

// Dial connects to the logical port 25 or 587.
func (r *Relay) Dial(ctx context.Context, port int) (net.Conn, error) {
	return r.DialFrom(ctx, loopback, port)
}

// DialFrom connects to the logical port from a source address: any in memory;
// over TCP one of this machine's, which on Linux is all of 127.0.0.0/8.
func (r *Relay) DialFrom(ctx context.Context, client netip.Addr, port int) (net.Conn, error) {
	l := r.roles[port]
	if l == nil {
		return nil, fmt.Errorf("the relay has no port %d", port)
	}
	if l.memory != nil {
		if err := r.dialFault(ctx, client, l); err != nil {
			return nil, err
		}
		n := uint16(32768 + r.sourcePort())
		return l.memory.dial(ctx, netip.AddrPortFrom(client, n), r.clock)
	}
	d := net.Dialer{}
	if client != loopback {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(client, 0))
	}
	return d.DialContext(ctx, "tcp", l.addr.String())
}

func (r *Relay) sourcePort() int {
	r.wiresMu.Lock()
	defer r.wiresMu.Unlock()
	r.arrivals++
	return r.arrivals % 28000
}

// DialContext connects to the relay whatever the host of the address is: its
// port, logical or real, chooses the role. It fits probe.Options.Dial and
// net/http-like hooks.
func (r *Relay) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	_, p, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	for _, port := range []int{PortServer, PortAuth} {
		if _, own, _ := net.SplitHostPort(r.Addr(port)); p == own || p == strconv.Itoa(port) {
			return r.Dial(ctx, port)
		}
	}
	return nil, fmt.Errorf("the relay has no port %s", p)
}

// tlsConfig is the TLS side of a session, with its faults.
func (r *Relay) tlsConfig(w *wire) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, Time: r.clock.Now}
	if w.fault("tls10-only") != nil {
		c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS10
	}
	if w.fault("tls-alert") != nil {
		c.GetCertificate = unusableKeys
		return c
	}
	if cert, err := r.certificate(w.certificateKind()); err == nil {
		c.Certificates = []tls.Certificate{*cert}
	}
	return c
}

// unusableKeys is told to the client as the alert internal_error.
func unusableKeys(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return nil, errors.New("the keys are unusable")
}

// presented is the leaf that this session's client saw.
func (r *Relay) presented(w *wire) *x509.Certificate {
	cert, err := r.certificate(w.certificateKind())
	if err != nil {
		return nil
	}
	return cert.Leaf
}

// Panics returns how often the backend has panicked; a test of a sender may
// want it to be zero, ours do.
func (r *Relay) Panics() int64 { return r.panics.Load() }
