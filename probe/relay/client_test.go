package relay_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/smtp-handoff/handoff/probe/relay"
)

// client is a bare SMTP client: it says lines and returns whole replies.
type client struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

// dial opens a session on the port and returns the client and the greeting.
func dial(t testing.TB, r *relay.Relay, port int) (*client, string) {
	t.Helper()
	return dialFrom(t, r, "127.0.0.1", port)
}

func dialFrom(t testing.TB, r *relay.Relay, from string, port int) (*client, string) {
	t.Helper()
	conn, err := r.DialFrom(context.Background(), netip.MustParseAddr(from), port)
	if err != nil {
		t.Fatalf("dial %d: %v", port, err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &client{t: t, conn: conn, r: bufio.NewReader(conn)}
	return c, c.reply()
}

// reply reads one reply, its lines joined by LF; what is there at EOF is given
// back with a mark.
func (c *client) reply() string {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(time.Hour)) // virtual under synctest
	if _, ok := c.conn.(*net.TCPConn); ok {
		_ = c.conn.SetReadDeadline(time.Now().Add(2 * time.Minute))
	}
	var lines []string
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			if err != io.EOF {
				return strings.Join(append(lines, line+"[broken]"), "\n")
			}
			return strings.Join(append(lines, line+"[closed]"), "\n")
		}
		line = strings.TrimRight(line, "\r\n")
		lines = append(lines, line)
		if len(line) < 4 || line[3] != '-' {
			return strings.Join(lines, "\n")
		}
	}
}

// say sends a line and returns the reply.
func (c *client) say(line string) string {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
		return "[broken]"
	}
	return c.reply()
}

// want says a line and compares the reply.
func (c *client) want(line, reply string) {
	c.t.Helper()
	if got := c.say(line); got != reply {
		c.t.Errorf("%s\n got %q\nwant %q", line, got, reply)
	}
}

// starttls goes into TLS with verification.
func (c *client) starttls(r *relay.Relay) {
	c.t.Helper()
	if got := c.say("STARTTLS"); !strings.HasPrefix(got, "220 2.0.0") {
		c.t.Fatalf("STARTTLS: %q", got)
	}
	if err := c.handshake(r); err != nil {
		c.t.Fatalf("handshake: %v", err)
	}
}

func (c *client) handshake(r *relay.Relay) error {
	conn := tls.Client(c.conn, &tls.Config{RootCAs: r.RootCAs(), ServerName: r.ServerName(), Time: r.Clock().Now})
	if err := conn.Handshake(); err != nil {
		return err
	}
	c.conn, c.r = conn, bufio.NewReader(conn)
	return nil
}

func plain(user, pass string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + pass))
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func tlsClient(r *relay.Relay) *tls.Config {
	return &tls.Config{RootCAs: r.RootCAs(), ServerName: r.ServerName()}
}

var loopbackAddr = netip.MustParseAddr("127.0.0.1")
