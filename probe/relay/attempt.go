package relay

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Attempt is one session of a sending system with the relay, as a scenario
// describes it.
type Attempt struct {
	Client   policy.Client
	Deliver  bool          // go on to DATA and send a message
	Body     int           // bytes of the message's body; 0: one line
	Patience time.Duration // for each reply and for the handshake; 0: 30 s
}

// Try has the sending system talk to the relay and returns the session as that
// system saw it: the plain client of scenarios, which does what it is set up to
// do and stops where a mail server would. It is no probe.
func (r *Relay) Try(ctx context.Context, a Attempt) transcript.Session {
	return try(ctx, r, r.clock, func(ctx context.Context) (net.Conn, error) {
		from := a.Client.Address
		if !r.memory || !from.IsValid() {
			from = loopback
		}
		return r.DialFrom(ctx, from, a.Client.Port)
	}, a)
}

// Server is whom a sending system can talk to: a Relay or a Replayer.
type Server interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
	RootCAs() *x509.CertPool
}

// TryAt has the sending system talk to a server of this package.
func TryAt(ctx context.Context, s Server, a Attempt) transcript.Session {
	if r, ok := s.(*Relay); ok {
		return r.Try(ctx, a)
	}
	clock := System
	if p, ok := s.(*Replayer); ok {
		clock = p.relay.clock
	}
	return try(ctx, s, clock, func(ctx context.Context) (net.Conn, error) {
		return s.DialContext(ctx, "tcp", net.JoinHostPort(a.Client.Host, strconv.Itoa(a.Client.Port)))
	}, a)
}

func try(ctx context.Context, s Server, clock Clock, dial func(context.Context) (net.Conn, error), a Attempt) transcript.Session {
	if a.Patience <= 0 {
		a.Patience = 30 * time.Second
	}
	c := &caller{server: s, clock: clock, dial: dial, Attempt: a, began: time.Now()}
	c.session = transcript.Session{
		Source: "attempt", Client: heloOf(a.Client), Server: strings.ToLower(strings.TrimSuffix(a.Client.Host, ".")), Port: a.Client.Port,
		Implicit: a.Client.Implicit, Began: clock.Now(),
	}
	c.run(ctx)
	if c.conn != nil {
		c.conn.Close()
	}
	return c.session
}

// heloOf is how the sending system calls itself.
func heloOf(c policy.Client) string {
	if _, d, ok := strings.Cut(c.Sender, "@"); ok && c.Forwards == "" {
		return "mail." + d
	}
	return "mail." + DefaultDomain
}

// caller is the client's side of a session.
type caller struct {
	Attempt
	server  Server
	clock   Clock
	dial    func(context.Context) (net.Conn, error)
	conn    net.Conn
	r       *bufio.Reader
	secure  bool
	began   time.Time
	session transcript.Session
	offered []string
	// strict and anyChain say whether the chain has to verify, whatever the
	// client's habits.
	strict, anyChain bool
}

func (c *caller) now() time.Duration { return time.Since(c.began) }

func (c *caller) add(x transcript.Exchange) transcript.Exchange {
	x.Secure = c.secure
	c.session.Exchanges = append(c.session.Exchanges, x)
	return x
}

func (c *caller) run(ctx context.Context) {
	cl := &c.Client
	if !c.connect(ctx) {
		return
	}
	if cl.Implicit && !c.handshake() {
		return
	}
	if x := c.say(transcript.StageGreet, "", ""); x.Reply.Code != 220 {
		c.quit()
		return
	}
	if !c.ehlo() {
		c.quit()
		return
	}
	if cl.StartTLS && !c.secure {
		if !slices.Contains(c.offered, "STARTTLS") {
			c.add(transcript.Exchange{Stage: transcript.StageTLS, Skipped: "STARTTLS was not offered", Sent: c.now()})
			if cl.Auth || cl.Port == PortAuth {
				c.quit()
				return
			}
		} else if !c.startTLS() {
			return
		}
	}
	if cl.Auth && !c.login() {
		c.quit()
		return
	}
	c.mail()
	c.quit()
}

func (c *caller) connect(ctx context.Context) bool {
	sent := c.now()
	addrs, err := c.server.LookupNetIP(ctx, "ip", c.Client.Host)
	if err != nil {
		detail := "the resolver failed"
		var de *net.DNSError
		if errors.As(err, &de) {
			switch {
			case de.IsNotFound:
				detail = "the name does not exist"
			case de.IsTimeout:
				detail = "the resolver did not answer"
			}
		}
		c.add(transcript.Exchange{Stage: transcript.StageResolve, Fault: transcript.FaultDNS, Detail: detail, Sent: sent, Took: c.now() - sent})
		return false
	}
	c.session.Address = addrs[0].String()
	sent = c.now()
	ctx, cancel := context.WithTimeout(ctx, c.Patience)
	defer cancel()
	if c.conn, err = c.dial(ctx); err != nil {
		x := transcript.Exchange{Stage: transcript.StageConnect, Fault: transcript.FaultTimeout, Detail: "the connection timed out", Sent: sent, Took: c.now() - sent}
		if errors.Is(err, syscall.ECONNREFUSED) {
			x.Fault, x.Detail = transcript.FaultRefused, "the connection was refused"
		}
		c.add(x)
		return false
	}
	c.add(transcript.Exchange{Stage: transcript.StageConnect, Sent: sent, Took: c.now() - sent})
	c.r = bufio.NewReader(c.conn)
	return true
}

// say sends a command, if there is one, and reads the reply. shown is what is
// recorded in its place; empty: the command itself.
func (c *caller) say(stage transcript.Stage, command, shown string) transcript.Exchange {
	x := transcript.Exchange{Stage: stage, Command: command, Sent: c.now()}
	if shown != "" {
		x.Command = shown
	}
	_ = c.conn.SetDeadline(time.Now().Add(c.Patience))
	var err error
	if command != "" {
		_, err = io.WriteString(c.conn, command+"\r\n")
	}
	var lines []string
	for err == nil {
		var line []byte
		line, err = c.r.ReadSlice('\n')
		if err != nil {
			break
		}
		text := strings.TrimRight(string(line), "\r\n")
		lines = append(lines, text)
		if len(text) < 4 || text[3] != '-' || len(lines) > 1000 {
			break
		}
	}
	x.Took = c.now() - x.Sent
	switch {
	case err == nil:
		if reply, ok := transcript.ParseReply(strings.Join(lines, "\n")); ok {
			x.Reply = reply
		} else {
			x.Fault, x.Detail = transcript.FaultProtocol, "what came is no reply"
		}
		x.Reply.Lines = lines
	case isTimeout(err):
		x.Fault, x.Detail = transcript.FaultTimeout, "no whole reply came in time"
	case errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE):
		x.Fault, x.Detail = transcript.FaultReset, "the server reset the connection"
	default:
		x.Fault, x.Detail = transcript.FaultClosed, "the server closed the connection"
	}
	return c.add(x)
}

func (c *caller) ehlo() bool {
	x := c.say(transcript.StageEHLO, "EHLO "+c.session.Client, "")
	if x.Reply.Code != 250 {
		return false
	}
	c.offered = nil
	for _, l := range x.Reply.Lines[1:] {
		c.offered = append(c.offered, strings.ToUpper(l[min(4, len(l)):]))
	}
	if c.secure {
		c.session.After = c.offered
	} else {
		c.session.Before = c.offered
	}
	return true
}

func (c *caller) startTLS() bool {
	if x := c.say(transcript.StageTLS, "STARTTLS", ""); x.Reply.Code != 220 {
		if x.Fault == transcript.FaultNone {
			c.quit()
		}
		return false
	}
	if c.r.Buffered() > 0 {
		c.add(transcript.Exchange{Stage: transcript.StageTLS, Fault: transcript.FaultInjection, Detail: "plaintext stands behind the 220 to STARTTLS", Sent: c.now()})
		return false
	}
	return c.handshake() && c.ehlo()
}

// handshake goes into TLS and records what is wrong with it by the same words
// as a probe.
func (c *caller) handshake() bool {
	x := transcript.Exchange{Stage: transcript.StageTLS, Sent: c.now()}
	facts := &transcript.TLS{Verified: transcript.No}
	c.session.TLS = facts
	config := &tls.Config{
		RootCAs: c.server.RootCAs(), ServerName: c.Client.Host,
		Time: func() time.Time { return c.clock.Now().Add(c.Client.Clock) },
	}
	// A mail server on 25 takes TLS as it comes (RFC 7435); whoever means to log
	// in insists on a chain that verifies.
	opportunistic := c.anyChain || !c.Client.Auth && c.Client.Port == PortServer && !c.strict
	config.InsecureSkipVerify = opportunistic
	switch c.Client.MaxTLS {
	case "1.0":
		config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS10
	case "1.1":
		config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	case "1.2":
		config.MaxVersion = tls.VersionTLS12
	}
	conn := tls.Client(c.conn, config)
	_ = c.conn.SetDeadline(time.Now().Add(c.Patience))
	err := conn.Handshake()
	x.Took = c.now() - x.Sent
	if err != nil {
		x.Fault, facts.Problem, x.Detail = handshakeFault(err)
		facts.Detail = x.Detail
		c.add(x)
		return false
	}
	state := conn.ConnectionState()
	facts.Version, facts.Cipher, facts.Verified = tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite), transcript.Yes
	if opportunistic {
		facts.Verified = transcript.Unknown
	}
	c.conn, c.r, c.secure = conn, bufio.NewReader(conn), true
	c.add(x)
	return true
}

// handshakeFault says what ended a handshake.
func handshakeFault(err error) (fault transcript.Fault, problem, detail string) {
	var (
		host    x509.HostnameError
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
		alert   tls.AlertError
	)
	switch {
	case errors.As(err, &host):
		return transcript.FaultCertificate, "certificate-name-mismatch", "the certificate is for another name"
	case errors.As(err, &unknown):
		return transcript.FaultCertificate, "certificate-unknown-issuer", "the chain ends in an unknown authority"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil && strings.Contains(invalid.Detail, "is before"):
		return transcript.FaultCertificate, "certificate-not-yet-valid", "the certificate is not valid yet"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return transcript.FaultCertificate, "certificate-expired", "the certificate is past its date"
	case errors.As(err, &record):
		return transcript.FaultTLS, "not-tls", "what came is no TLS"
	case alertNumber(err) == 80:
		return transcript.FaultTLS, "internal-error", "the server ended the handshake for a fault of its own"
	case errors.As(err, &alert):
		return transcript.FaultTLS, "protocol-version", "the server refused the handshake by an alert"
	case isTimeout(err):
		return transcript.FaultTimeout, "interrupted", "the handshake did not end in time"
	case errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE):
		return transcript.FaultReset, "interrupted", "the server reset the connection in the handshake"
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return transcript.FaultClosed, "interrupted", "the server closed the connection in the handshake"
	}
	// What is left is a version or cipher that the two sides do not share.
	return transcript.FaultTLS, "protocol-version", "the two sides share no version of TLS"
}

// alertNumber is the number of the alert by which the server ended a handshake
// (RFC 8446 §6), or -1. crypto/tls keeps it in an unexported type.
func alertNumber(err error) int {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" && op.Err != nil {
		if v := reflect.ValueOf(op.Err); v.Kind() == reflect.Uint8 {
			return int(v.Uint())
		}
	}
	return -1
}

// login authenticates; it reports whether the session goes on. Where AUTH is not
// offered at all it goes on without, as curl and many devices do.
func (c *caller) login() bool {
	var offered []string
	for _, k := range c.offered {
		if rest, ok := strings.CutPrefix(k, "AUTH "); ok {
			offered = strings.Fields(rest)
		}
	}
	if offered == nil {
		c.add(transcript.Exchange{Stage: transcript.StageAuth, Skipped: "AUTH was not offered", Sent: c.now()})
		return true
	}
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + c.Client.Username + "\x00" + c.Client.Password))
	for _, m := range c.Client.Mechanisms {
		if !slices.Contains(offered, m) {
			continue
		}
		switch m {
		case "PLAIN":
			return c.say(transcript.StageAuth, "AUTH PLAIN "+plain, "AUTH PLAIN [secret-1]").Reply.Code == 235
		case "LOGIN":
			for _, step := range []string{"AUTH LOGIN", base64.StdEncoding.EncodeToString([]byte(c.Client.Username)), base64.StdEncoding.EncodeToString([]byte(c.Client.Password))} {
				shown := "[secret-1]"
				if step == "AUTH LOGIN" {
					shown = step
				}
				x := c.say(transcript.StageAuth, step, shown)
				if x.Reply.Code != 334 {
					return x.Reply.Code == 235
				}
			}
			return false
		}
	}
	c.add(transcript.Exchange{Stage: transcript.StageAuth, Skipped: "no mechanism is offered that this client has: " + printable(strings.Join(offered, " ")), Sent: c.now()})
	return false
}

// recipients are the addresses of one message.
func (c *caller) recipients() []string {
	local, domain, _ := strings.Cut(c.Client.Recipient, "@")
	out := []string{c.Client.Recipient}
	for i := 2; i <= c.Client.Recipients; i++ {
		out = append(out, fmt.Sprintf("%s-%d@%s", local, i, domain))
	}
	return out
}

// bodyLine fills a message up.
const bodyLine = "It is as long as it was asked to be, line by line, and says nothing else.\r\n"

func (c *caller) mail() {
	command := "MAIL FROM:<" + c.Client.Sender + ">"
	if c.Client.Size > 0 {
		command += fmt.Sprintf(" SIZE=%d", c.Client.Size)
	}
	if c.say(transcript.StageEnvelope, command, "").Reply.Code != 250 {
		return
	}
	accepted := 0
	for _, rcpt := range c.recipients() {
		x := c.say(transcript.StageEnvelope, "RCPT TO:<"+rcpt+">", "")
		if x.Reply.Code == 250 {
			accepted++
		}
		if x.Fault != transcript.FaultNone || x.Reply.Code == 421 {
			return
		}
	}
	if !c.Deliver || accepted == 0 {
		return
	}
	if c.say(transcript.StageData, "DATA", "").Reply.Code != 354 {
		return
	}
	message := "From: <" + c.Client.Sender + ">\r\nTo: <" + c.Client.Recipient + ">\r\nSubject: a test message\r\n\r\nA message of the reference relay's own client.\r\n" + strings.Repeat(bodyLine, c.Body/len(bodyLine))
	if _, err := io.WriteString(c.conn, message); err == nil {
		c.say(transcript.StageData, ".", "")
		return
	}
	c.add(transcript.Exchange{Stage: transcript.StageData, Fault: transcript.FaultClosed, Detail: "the server closed the connection inside the message", Sent: c.now()})
}

// quit says good-bye where somebody is left to hear it.
func (c *caller) quit() {
	if c.conn == nil {
		return
	}
	if n := len(c.session.Exchanges); n > 0 {
		last := c.session.Exchanges[n-1]
		if last.Fault != transcript.FaultNone || last.Reply.Code == 421 || last.Reply.Code == 521 {
			return
		}
	}
	c.say(c.session.Furthest(), "QUIT", "")
}
