package relay_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtp-handoff/handoff/probe/relay"
)

// hostile clients: each does its worst on a connection of its own. After each an
// honest client is served, nothing that was smuggled has been executed, no
// library's own words got out and the log is printable ASCII.
var hostileClients = []struct {
	name string
	port int
	do   func(t *testing.T, r *relay.Demo, c *client)
	// accepted is how many messages the relay may have taken.
	accepted int
}{
	{"commands behind STARTTLS", 587, func(t *testing.T, r *relay.Demo, c *client) {
		c.say("EHLO c.example")
		send(c, "STARTTLS\r\nMAIL FROM:<smuggled@evil.test>\r\nRCPT TO:<smuggled@evil.test>\r\n")
		if got := c.reply(); !strings.HasPrefix(got, "220") {
			t.Fatalf("STARTTLS: %q", got)
		}
		if err := c.handshake(r.Relay); err != nil {
			t.Fatalf("the handshake: %v", err)
		}
		c.say("EHLO c.example")
		// Had the smuggled MAIL been heard, this one would be nested.
		c.want("MAIL FROM:<alerts@customer.example>", "250 2.1.0 Ok")
	}, 0},
	{"a fragment behind STARTTLS", 587, func(t *testing.T, r *relay.Demo, c *client) {
		c.say("EHLO c.example")
		send(c, "STARTTLS\r\nNOO")
		c.reply()
		if err := c.handshake(r.Relay); err != nil {
			t.Fatal(err)
		}
		c.want("NOOP", "250 2.0.0 Ok")
	}, 0},
	{"plain text in place of the handshake", 587, func(t *testing.T, _ *relay.Demo, c *client) {
		c.say("EHLO c.example")
		c.say("STARTTLS")
		send(c, "EHLO c.example\r\nMAIL FROM:<smuggled@evil.test>\r\n")
		if got := c.reply(); strings.Contains(got, "250") {
			t.Errorf("plain text was answered: %q", got)
		}
	}, 0},
	{"a stalled handshake", 587, func(t *testing.T, _ *relay.Demo, c *client) {
		c.say("EHLO c.example")
		c.say("STARTTLS")
		send(c, "\x16\x03\x01")
		if got := c.reply(); !strings.HasSuffix(got, "[closed]") && !strings.HasSuffix(got, "[broken]") {
			t.Errorf("still open: %q", got)
		}
	}, 0},
	{"a command in drips", 25, func(t *testing.T, _ *relay.Demo, c *client) {
		began := time.Now()
		for i := 0; i < 10000; i++ {
			if _, err := c.conn.Write([]byte("N")); err != nil {
				break
			}
			time.Sleep(10 * time.Second)
		}
		if took := time.Since(began); took > 10*time.Minute {
			t.Errorf("held the slot for %v", took)
		}
	}, 0},
	{"a line without end", 25, func(t *testing.T, _ *relay.Demo, c *client) {
		flood(c, bytes.Repeat([]byte("A"), 4096), 200)
		send(c, "\r\n")
		c.say("QUIT")
	}, 0},
	{"an EHLO of 10 kB and control bytes", 25, func(t *testing.T, _ *relay.Demo, c *client) {
		got := c.say("EHLO \x1b[31m\xff" + strings.Repeat("a", 10000))
		if strings.IndexFunc(got, func(c rune) bool { return c > '~' || c < ' ' && c != '\n' }) >= 0 {
			t.Errorf("echoed: %q", got)
		}
	}, 0},
	{"AUTH without limit", 587, func(t *testing.T, r *relay.Demo, c *client) {
		c.say("EHLO c.example")
		c.starttls(r.Relay)
		last := ""
		n := 0
		for ; n < 50 && !strings.HasPrefix(last, "421") && !strings.Contains(last, "["); n++ {
			last = c.say("AUTH PLAIN " + plain("alerts@customer.example", fmt.Sprint("guess", n)))
		}
		if n > 11 {
			t.Errorf("%d guesses in one session", n)
		}
	}, 0},
	{"a challenge without end", 587, func(t *testing.T, r *relay.Demo, c *client) {
		c.say("EHLO c.example")
		c.starttls(r.Relay)
		c.say("AUTH LOGIN")
		flood(c, bytes.Repeat([]byte("QUFB"), 1024), 100)
		if got := c.say(""); !strings.HasPrefix(got, "535") {
			t.Errorf("got %q", got)
		}
	}, 0},
	{"AUTH in odd base64", 587, func(t *testing.T, r *relay.Demo, c *client) {
		c.say("EHLO c.example")
		c.starttls(r.Relay)
		for _, s := range []string{"AGEAYg", "AGEAYg=", "=", "====", "AG\x00Yg==", "\xff\xfe", b64("\x00\x00"), b64("a\x00b\x00c\x00d"), b64(strings.Repeat("x", 9000))} {
			if got := c.say("AUTH PLAIN " + s); !strings.HasPrefix(got, "5") && !strings.HasPrefix(got, "4") {
				t.Errorf("%q: %q", s, got)
			}
		}
	}, 0},
	{"addresses that trick relays", 25, func(t *testing.T, _ *relay.Demo, c *client) {
		c.say("EHLO c.example")
		c.say("MAIL FROM:<a@b.example>")
		for _, a := range []string{
			"bob%recipient.example@customer.example", "recipient.example!bob@customer.example", "\"bob@recipient.example\"@customer.example",
			"@customer.example:bob@recipient.example", "bob@recipient.example@customer.example", "bob@[192.0.2.1]", "bob", "a\x00b@customer.example",
			"bob@recipient.example> <alice@customer.example", "alice@customer.example\r<bob@recipient.example", "bob@recipient.example\x00@customer.example",
		} {
			if got := c.say("RCPT TO:<" + a + ">"); strings.HasPrefix(got, "2") {
				t.Errorf("%q was accepted: %q", a, got)
			}
		}
	}, 0},
	{"ends of data that are none", 25, func(t *testing.T, _ *relay.Demo, c *client) {
		c.say("EHLO c.example")
		c.say("MAIL FROM:<a@b.example>")
		c.say("RCPT TO:<alice@customer.example>")
		c.say("DATA")
		for _, end := range []string{"\n.\n", "\n.\r\n", "\r.\r", "\r\n.\r", "\r\n.\n", "\r\r\n.\r\r\n", "\n\n.\r\n", "\r\n\x00.\r\n", "\r\n..\r\n", "\n.\r\r\n", "\r.\r\n"} {
			send(c, "text"+end+"MAIL FROM:<smuggled@evil.test>\r\nRCPT TO:<smuggled@evil.test>\r\n")
		}
		if got := c.say("\r\n."); !strings.HasPrefix(got, "250 2.0.0 Ok: queued") {
			t.Errorf("the true end: %q", got)
		}
		c.want("RSET", "250 2.0.0 Ok")
	}, 1},
	{"a bare LF in commands", 25, func(t *testing.T, _ *relay.Demo, c *client) {
		send(c, "EHLO c.example\nMAIL FROM:<a@b.example>\nRCPT TO:<bob@recipient.example>\n")
		c.reply()
		c.reply()
		if got := c.reply(); !strings.HasPrefix(got, "554 5.7.1") {
			t.Errorf("RCPT: %q", got)
		}
	}, 0},
	{"a bare CR in a command", 25, func(t *testing.T, _ *relay.Demo, c *client) {
		c.say("EHLO c.example")
		if got := c.say("NOOP\rMAIL FROM:<smuggled@evil.test>"); strings.Contains(got, "2.1.0") {
			t.Errorf("got %q", got)
		}
		c.want("RCPT TO:<alice@customer.example>", "503 5.5.1 Error: need MAIL command")
	}, 0},
	{"recipients without end", 25, func(t *testing.T, _ *relay.Demo, c *client) {
		c.say("EHLO c.example")
		c.say("MAIL FROM:<a@b.example>")
		refused := 0
		for i := 0; i < 1030; i++ {
			got := c.say("RCPT TO:<alice@customer.example>")
			if strings.HasPrefix(got, "452 4.5.3") || strings.HasPrefix(got, "421") {
				refused++
			} else if i >= 1000 && !strings.Contains(got, "[") {
				t.Fatalf("recipient %d: %q", i+1, got)
			}
		}
		if refused == 0 {
			t.Error("no recipient was refused")
		}
	}, 0},
	{"data without end", 25, func(t *testing.T, r *relay.Demo, c *client) {
		if _, err := r.Apply("limit set size 1MB"); err != nil {
			t.Fatal(err)
		}
		c.say("EHLO c.example")
		c.say("MAIL FROM:<a@b.example>")
		c.say("RCPT TO:<alice@customer.example>")
		c.say("DATA")
		flood(c, bytes.Repeat([]byte("a line of a message that has no end\r\n"), 1000), 60) // twice the limit
		if got := c.say("."); got != "552 5.3.4 Error: message file too big" {
			t.Errorf("got %q", got)
		}
	}, 0},
	{"BDAT of absurd sizes", 25, func(t *testing.T, _ *relay.Demo, c *client) {
		c.say("EHLO c.example")
		c.say("MAIL FROM:<a@b.example>")
		c.say("RCPT TO:<alice@customer.example>")
		send(c, "BDAT 9223372036854775807 LAST\r\n")
		if got := c.reply(); !strings.HasPrefix(got, "521") {
			t.Errorf("an overflowing size: %q", got)
		}
	}, 0},
	{"commands inside a BDAT chunk", 25, func(t *testing.T, _ *relay.Demo, c *client) {
		c.say("EHLO c.example")
		c.say("MAIL FROM:<a@b.example>")
		c.say("RCPT TO:<alice@customer.example>")
		inner := "RSET\r\nMAIL FROM:<smuggled@evil.test>\r\n"
		send(c, fmt.Sprintf("BDAT %d LAST\r\n%s", len(inner), inner))
		if got := c.reply(); !strings.HasPrefix(got, "250 2.0.0 Ok: ") {
			t.Errorf("BDAT: %q", got)
		}
		c.want("RCPT TO:<alice@customer.example>", "503 5.5.1 Error: need MAIL command")
	}, 1},
	{"VRFY as an oracle", 25, func(t *testing.T, _ *relay.Demo, c *client) {
		c.say("EHLO c.example")
		known, unknown := c.say("VRFY alice@customer.example"), c.say("VRFY nobody@customer.example")
		if known[:3] != unknown[:3] {
			t.Errorf("known %q, unknown %q", known, unknown)
		}
	}, 0},
	{"HTTP with commands in its body", 25, func(t *testing.T, _ *relay.Demo, c *client) {
		send(c, "POST / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<smuggled@evil.test>\r\nRCPT TO:<alice@customer.example>\r\n")
		if got := c.reply(); got != "221 2.7.0 Error: I can break rules, too. Goodbye." {
			t.Errorf("got %q", got)
		}
		if got := c.reply(); strings.Contains(got, "250") {
			t.Errorf("the body was heard: %q", got)
		}
	}, 0},
	{"a load balancer's line", 25, func(t *testing.T, _ *relay.Demo, c *client) {
		if got := c.say("PROXY TCP4 198.51.100.1 192.0.2.1 1234 25"); !strings.HasPrefix(got, "500") {
			t.Errorf("got %q", got)
		}
		if got := c.say("XCLIENT ADDR=198.51.100.1"); !strings.HasPrefix(got, "550") {
			t.Errorf("got %q", got)
		}
	}, 0},
	{"thousands of commands in one write", 25, func(t *testing.T, _ *relay.Demo, c *client) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			flood(c, bytes.Repeat([]byte("NOOP\r\n"), 500), 20)
		}()
		last := ""
		for i := 0; i < 10000 && !strings.Contains(last, "["); i++ {
			if last = c.reply(); strings.HasPrefix(last, "421") {
				break
			}
		}
		c.conn.Close()
		<-done
	}, 0},
	{"half close", 25, func(t *testing.T, _ *relay.Demo, c *client) {
		send(c, "EHLO c.example\r\nNOOP\r\n")
		if hc, ok := c.conn.(interface{ CloseWrite() error }); ok {
			_ = hc.CloseWrite()
		}
		c.reply()
		if got := c.reply(); got != "250 2.0.0 Ok" {
			t.Errorf("the last command: %q", got)
		}
	}, 0},
	{"TLS at once on 587", 587, func(t *testing.T, _ *relay.Demo, c *client) {
		conn := tls.Client(&prefixed{Conn: c.conn, r: c.r}, &tls.Config{InsecureSkipVerify: true})
		if err := conn.Handshake(); err == nil {
			t.Error("a handshake went through in place of a greeting")
		}
	}, 0},
	{"binary noise", 25, func(t *testing.T, _ *relay.Demo, c *client) {
		noise := make([]byte, 0, 256*64)
		for i := range 64 {
			for b := range 256 {
				noise = append(noise, byte(b^i))
			}
		}
		flood(c, noise, 20)
	}, 0},
	{"a reset in DATA", 25, func(t *testing.T, _ *relay.Demo, c *client) {
		c.say("EHLO c.example")
		c.say("MAIL FROM:<a@b.example>")
		c.say("RCPT TO:<alice@customer.example>")
		c.say("DATA")
		send(c, "Subject: cut\r\n")
		c.conn.Close()
	}, 0},
}

// prefixed is a connection whose first bytes were read ahead.
type prefixed struct {
	net.Conn
	r *bufio.Reader
}

func (p *prefixed) Read(b []byte) (int, error) { return p.r.Read(b) }

func send(c *client, s string) { _, _ = io.WriteString(c.conn, s) }

func flood(c *client, b []byte, times int) {
	for range times {
		if _, err := c.conn.Write(b); err != nil {
			return
		}
	}
}

func TestHostileClients(t *testing.T) {
	for _, h := range hostileClients {
		t.Run(h.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := relay.Start(t, relay.InMemory())
				c, _ := dial(t, d.Relay, h.port)
				h.do(t, d, c)
				c.conn.Close()
				synctest.Wait()
				if n := len(d.Messages()); n != h.accepted {
					t.Errorf("%d messages were taken, want %d", n, h.accepted)
				}
				for _, m := range d.Messages() {
					if m.Sender == "smuggled@evil.test" {
						t.Error("a smuggled message was taken")
					}
				}
				honest(t, d)
				if n := d.Panics(); n != 0 {
					t.Errorf("%d panics", n)
				}
				checkLog(t, d)
				if n := d.Counters().Open; n != 0 {
					t.Errorf("%d sessions are still open", n)
				}
			})
		})
	}
}

// honest logs in and hands a recipient over.
func honest(t *testing.T, d *relay.Demo) {
	t.Helper()
	c, _ := dial(t, d.Relay, 587)
	c.say("EHLO honest.example")
	c.starttls(d.Relay)
	c.say("EHLO honest.example")
	c.want("AUTH PLAIN "+plain(d.Credential.Username, d.Credential.Password), "235 2.7.0 Authentication successful")
	c.want("MAIL FROM:<"+d.From+">", "250 2.1.0 Ok")
	c.want("RCPT TO:<"+d.To+">", "250 2.1.5 Ok")
	c.want("QUIT", "221 2.0.0 Bye")
	c.conn.Close()
	synctest.Wait()
}

// checkLog says that the log is printable ASCII, bounded and without secrets.
func checkLog(t *testing.T, d *relay.Demo) {
	t.Helper()
	for _, rec := range d.Log() {
		for i, x := range rec.Session.Exchanges {
			text := x.Command + strings.Join(x.Reply.Lines, "") + rec.Session.Client + rec.Decisions[i].Note
			for _, c := range []byte(text) {
				if c < ' ' || c > '~' {
					t.Fatalf("byte %#x in the log: %q", c, text)
				}
			}
			if len(x.Command) > 2100 {
				t.Errorf("a command of %d bytes in the log", len(x.Command))
			}
			if strings.Contains(text, "server library") || strings.Contains(text, d.Credential.Password) || strings.Contains(text, plain(d.Credential.Username, d.Credential.Password)) {
				t.Errorf("in the log: %q", text)
			}
		}
	}
}

// Ten thousand half-open clients crowd nobody out: the cap holds, the oldest
// silent one goes, an honest client is served and memory stays flat.
func TestHalfOpenFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := relay.Start(t, relay.InMemory())
		before := heap()
		var open []net.Conn
		for i := range 10000 {
			c, err := d.DialFrom(context.Background(), netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), 25+562*(i%2))
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, c)
			if i%1000 == 999 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		n := d.Counters()
		if n.Open > 2000 || n.Turned < 8000 {
			t.Errorf("%d open, %d turned away", n.Open, n.Turned)
		}
		honest(t, d)
		if grown := int64(heap()) - int64(before); grown > 50<<20 && !racing {
			t.Errorf("memory grew by %d MB", grown>>20)
		}
		for _, c := range open {
			c.Close()
		}
	})
}

// Where every open session has spoken, the newcomer is told so.
func TestFullOfTalkers(t *testing.T) {
	d := relay.Start(t, relay.InMemory(), relay.WithLimits(relay.Limits{Sessions: 3}))
	for range 3 {
		c, _ := dial(t, d.Relay, 25)
		c.want("NOOP", "250 2.0.0 Ok")
	}
	_, banner := dial(t, d.Relay, 25)
	if banner != "421 4.7.0 mx1-us1.ppe-hosted.com Error: too many connections from 127.0.0.1" {
		t.Errorf("the fourth: %q", banner)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// Memory does not grow with the number of sessions: log, store, history and
// attempts are bounded.
func TestMemoryFlat(t *testing.T) {
	n := 10000
	if testing.Short() || racing {
		n = 2000
	}
	d := relay.Start(t, relay.InMemory())
	session := func(i int) {
		c, err := d.Dial(context.Background(), 25)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		fmt.Fprintf(c, "EHLO c.example\r\nMAIL FROM:<s%d@elsewhere.example>\r\nRCPT TO:<alice@customer.example>\r\nRCPT TO:<bob%d@recipient.example>\r\nDATA\r\nSubject: x\r\n\r\ny\r\n.\r\nQUIT\r\n", i, i)
		_, _ = io.Copy(io.Discard, c)
	}
	batch := func(from, to int) {
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for i := from + w; i < to; i += 8 {
					session(i)
				}
			})
		}
		wg.Wait()
	}
	batch(0, n/4)
	before := heap()
	batch(n/4, n)
	after := heap()
	if grown := int64(after) - int64(before); grown > 12<<20 && !racing {
		t.Errorf("%d sessions more grew memory from %d to %d kB", n-n/4, before>>10, after>>10)
	}
	if got := len(d.Log()); got > 1000 {
		t.Errorf("%d sessions in the log", got)
	}
}
