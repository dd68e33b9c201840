package relay_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/smtp-handoff/handoff/probe/relay"
)

// A full session per operation: STARTTLS, AUTH, MAIL, RCPT and QUIT over TCP,
// policy and log on, the client on the same cores. On a machine that has other
// work, cpu-µs/session says more than sessions/s: both sides' processor time.
func BenchmarkSessionTLSAuth(b *testing.B) {
	d := relay.Start(b)
	config := tlsClient(d.Relay)
	login := "AUTH PLAIN " + plain(d.Credential.Username, d.Credential.Password)
	b.SetParallelism(4)
	used := cpuTime()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			conn, err := net.Dial("tcp", d.Addr(587))
			if err != nil {
				b.Error(err)
				return
			}
			r := bufio.NewReader(conn)
			var w io.Writer = conn
			say := func(line, want string) bool {
				if line != "" {
					_, _ = io.WriteString(w, line+"\r\n")
				}
				for {
					l, err := r.ReadString('\n')
					if err != nil || len(l) < 4 {
						b.Errorf("%q: %q %v", line, l, err)
						return false
					}
					if l[3] == ' ' {
						if !strings.HasPrefix(l, want) {
							b.Errorf("%q: %q", line, l)
						}
						return true
					}
				}
			}
			ok := say("", "220") && say("EHLO c.example", "250") && say("STARTTLS", "220")
			if !ok {
				return
			}
			tc := tls.Client(conn, config)
			if err := tc.Handshake(); err != nil {
				b.Error(err)
				return
			}
			r, w = bufio.NewReader(tc), tc
			_ = say("EHLO c.example", "250") && say(login, "235") && say("MAIL FROM:<"+d.From+">", "250") && say("RCPT TO:<"+d.To+">", "250") && say("QUIT", "221")
			conn.Close()
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sessions/s")
	b.ReportMetric(float64((cpuTime()-used).Microseconds())/float64(b.N), "cpu-µs/session")
}

// A message per session on 25 without TLS, as smtp-source sends them.
func BenchmarkMessagePerSession(b *testing.B) {
	d := unlimited(b)
	const dialogue = "EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<alice@customer.example>\r\nDATA\r\n"
	b.SetParallelism(4)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			conn, err := net.Dial("tcp", d.Addr(25))
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.WriteString(conn, dialogue+"Subject: x\r\n\r\nbody\r\n.\r\nQUIT\r\n")
			out, err := io.ReadAll(conn)
			if err != nil || !strings.Contains(string(out), "queued as") {
				b.Errorf("%v %q", err, out)
				return
			}
			conn.Close()
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sessions/s")
}

// A message of 1 MiB, counted and thrown away.
func BenchmarkMegabyte(b *testing.B) {
	d := unlimited(b)
	conn, err := net.Dial("tcp", d.Addr(25))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	c := &client{t: b, conn: conn, r: bufio.NewReader(conn)}
	c.reply()
	c.say("EHLO c.example")
	body := strings.Repeat(strings.Repeat("x", 76)+"\r\n", 1<<20/78) + "."
	b.SetBytes(1 << 20)
	for b.Loop() {
		c.say("MAIL FROM:<a@b.example>")
		c.say("RCPT TO:<alice@customer.example>")
		c.say("DATA")
		if got := c.say(body); !strings.HasPrefix(got, "250") {
			b.Fatal(got)
		}
	}
}

// unlimited is a relay whose limits do not get in the way of a measurement.
func unlimited(b *testing.B) *relay.Demo {
	d := relay.Start(b)
	if _, err := d.Apply("limit set inbound -1"); err != nil {
		b.Fatal(err)
	}
	return d
}
