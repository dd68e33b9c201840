package probe

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// played is a connection whose peer is a list of chunks: one is there from the
// start, the next comes after each write. Behind the last one is the end.
type played struct {
	chunks [][]byte
	next   []byte
	sent   bytes.Buffer
	small  bool // reads give one byte
}

func newPlayed(data []byte, small bool) *played {
	p := &played{chunks: bytes.Split(data, []byte{0xff}), small: small}
	p.turn()
	return p
}

func (p *played) turn() {
	if len(p.chunks) > 0 {
		p.next = append(p.next, p.chunks[0]...)
		p.chunks = p.chunks[1:]
	}
}

func (p *played) Read(b []byte) (int, error) {
	if len(p.next) == 0 {
		if len(p.chunks) == 0 {
			return 0, io.EOF
		}
		return 0, os.ErrDeadlineExceeded
	}
	if p.small {
		b = b[:min(len(b), 1)]
	}
	n := copy(b, p.next)
	p.next = p.next[n:]
	return n, nil
}

func (p *played) Write(b []byte) (int, error)      { p.sent.Write(b); p.turn(); return len(b), nil }
func (p *played) Close() error                     { return nil }
func (p *played) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (p *played) RemoteAddr() net.Addr             { return p.LocalAddr() }
func (p *played) SetDeadline(time.Time) error      { return nil }
func (p *played) SetReadDeadline(time.Time) error  { return nil }
func (p *played) SetWriteDeadline(time.Time) error { return nil }

// inside is a layer that stands for TLS: what is above it counts as secure.
type inside struct{ net.Conn }

const fuzzPassword = "correct-horse-9"

// playedSession talks to a played peer; tls says that TLS is already up.
func playedSession(t testing.TB, data []byte, small, tls bool) (transcript.Session, *played) {
	t.Helper()
	plan := Plan{
		HELO: "client.example", Credential: NewCredential("relay.example", "u@customer.example", fuzzPassword),
		From: []string{"a@customer.example"}, To: []string{"b@recipient.example"},
	}
	port := 465
	if !tls {
		plan.Credential, port = nil, 25
	}
	r, err := prepare(Target{Host: "relay.example", Ports: []int{port}}, plan, Options{})
	if err != nil {
		t.Fatal(err)
	}
	r.parent, r.ctx = context.Background(), context.Background()
	conn := newPlayed(data, small)
	s := r.session(port, time.Unix(0, 0), time.Now())
	s.connected(dialed{conn: conn})
	if tls {
		s.rec.Implicit = false
		s.w.conn = &inside{s.w.raw}
		s.rec.TLS = &transcript.TLS{Verified: transcript.Yes}
		if s.greeting() && s.hello(transcript.StageEHLO) && s.auth() && s.envelope() {
			s.polite = true
		}
	} else {
		s.talk()
	}
	return s.finish(), conn
}

func checkPlayed(t *testing.T, rec transcript.Session, conn *played, data []byte, tls bool) {
	t.Helper()
	secret := fuzzPassword
	if !tls {
		secret = "a secret that nobody has"
	}
	size := 0
	for _, e := range rec.Exchanges {
		for _, l := range e.Reply.Lines {
			size += len(l)
			if !strings.Contains(l, "[secret-") && !bytes.Contains(data, []byte(l+"\r\n")) && !bytes.Contains(data, []byte(l+"\n")) {
				// A chunk mark may stand inside the line.
				if !bytes.Contains(bytes.ReplaceAll(data, []byte{0xff}, nil), []byte(l)) {
					t.Fatalf("line %q was never sent whole", l)
				}
			}
			if strings.Contains(l, secret) {
				t.Fatalf("the secret stands in %q", l)
			}
		}
		if strings.Contains(e.Command+e.Detail, secret) {
			t.Fatalf("the secret stands in %q %q", e.Command, e.Detail)
		}
		if e.Stage == transcript.StageAuth && e.Reply.Code == 235 && e.Fault == "" && !bytes.Contains(data, []byte("235")) {
			t.Fatal("a log-in that nobody granted")
		}
	}
	if size > maxSession {
		t.Fatalf("%d bytes kept", size)
	}
	if n := strings.Count(conn.sent.String(), "AUTH "); n > 1 {
		t.Fatalf("%d AUTH commands", n)
	}
}

// seeds are dialogues; 0xff stands between what the peer says to one write and
// to the next.
var seeds = []string{
	"220 hi\r\n\xff250-relay\r\n250-PIPELINING\r\n250 AUTH PLAIN LOGIN\r\n\xff235 ok\r\n\xff250 ok\r\n250 ok\r\n221 bye\r\n",
	"220-wait\r\n220 hi\r\n\xff250 AUTH LOGIN\r\n\xff334 VXNlcm5hbWU6\r\n\xff334 UGFzc3dvcmQ6\r\n\xff235 2.7.0 ok\r\n\xff250 ok\r\n\xff250 ok\r\n\xff221 bye\r\n",
	"220 hi\r\n\xff250 AUTH CRAM-MD5\r\n\xff334 PDEyMz4=\r\n\xff535 5.7.8 no\r\n\xff221 bye\r\n",
	"220 hi\r\n\xff502 no\r\n\xff250 relay\r\n\xff250 ok\r\n\xff554 5.7.1 Relay access denied\r\n\xff221 bye\r\n",
	"220 hi\n\xff250-AUTH PLAIN\n250 SIZE 1\n\xff334 \n\xff334 \n\xff501 no\n",
	"220 hi\r\n250 unasked\r\n\xff250 AUTH PLAIN\r\n\xff235 ok\r\n",
	"421 4.3.2 busy\r\n", "220 hi", "\x16\x03\x01\x00\x05hello\r\n", "220-a\r\n554 b\r\n", "220 \x00\r\n",
	"220 hi\r\n\xff250 AUTH PLAIN\r\n\xff535 wrong: " + fuzzPassword + "\r\n\xff221 bye\r\n",
}

func FuzzDialogue(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, tls bool) {
		rec, conn := playedSession(t, data, false, tls)
		checkPlayed(t, rec, conn, data, tls)
		one, conn := playedSession(t, data, true, tls)
		checkPlayed(t, one, conn, data, tls)
	})
}

func FuzzReply(f *testing.F) {
	for _, s := range []string{
		"220 hi\r\n", "250-a\r\n250 b\r\n", "250-a\n250 b\n", "554\r\n", "220 cut", "250-a\r\n554 b\r\n",
		"334 \r\n", "+220 x\r\n", "2200 x\r\n", "220\tx\r\n", "220 a\rb\r\n", "\r\n220 x\r\n", "600 x\r\n",
		"554 5.7.1 <r>: Relay access denied\r\n", strings.Repeat("250-x\r\n", 1001), "220 " + strings.Repeat("y", maxLine),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		data = bytes.ReplaceAll(data, []byte{0xff}, nil)
		read := func(small bool) (transcript.Reply, *flaw, int) {
			w := newWire(context.Background(), newPlayed(data, small), time.Now(), maxKept)
			defer w.close(false)
			r, f := w.reply()
			return r, f, w.total - (w.w - w.r)
		}
		r, f, used := read(false)
		r1, f1, used1 := read(true)
		if (f == nil) != (f1 == nil) || r.Code != r1.Code || strings.Join(r.Lines, "\n") != strings.Join(r1.Lines, "\n") {
			t.Fatalf("one byte at a time: %+v %+v, else %+v %+v", r1, f1, r, f)
		}
		if f != nil {
			if f.fault == "" || f.detail == "" || r.Code != 0 || len(r.Lines) != 0 {
				t.Fatalf("a flaw without words, or beside a reply: %+v %+v", r, f)
			}
			return
		}
		if used != used1 {
			t.Fatalf("%d bytes used, one at a time %d", used, used1)
		}
		if r.Code < 200 || r.Code > 599 || len(r.Lines) == 0 || len(r.Lines) > maxReplyLines || len(r.At) != len(r.Lines) {
			t.Fatalf("no reply: %+v", r)
		}
		// The reply's bytes, and no others, were used.
		if got := strings.Join(r.Lines, ""); len(got)+len(r.Lines) > used || data[used-1] != '\n' {
			t.Fatalf("%d bytes used for %q", used, r.Lines)
		}
	})
}

func FuzzKeywords(f *testing.F) {
	f.Add("250-relay\r\n250-AUTH=LOGIN PLAIN\r\n250-auth plain\tlogin\r\n250 STARTTLS", "starttls")
	f.Add("250 relay", "AUTH")
	f.Fuzz(func(t *testing.T, text, keyword string) {
		list := keywords(transcript.Reply{Code: 250, Lines: strings.Split(text, "\r\n")})
		if list == nil {
			t.Fatal("an answered EHLO without a list")
		}
		for _, m := range mechanismsOf(list) {
			if m == "" || strings.ContainsAny(m, " \t") || m != strings.ToUpper(m) {
				t.Fatalf("mechanism %q", m)
			}
		}
		if offers(list, keyword) && !strings.Contains(strings.ToLower(text), strings.ToLower(keyword)) && keyword != "" {
			// Folding of letters outside ASCII may differ in form, never in kind.
			for _, c := range keyword {
				if c < 0x80 {
					continue
				}
				return
			}
			t.Fatalf("%q is offered by %q", keyword, text)
		}
	})
}
