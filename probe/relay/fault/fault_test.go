package fault_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtp-handoff/handoff/probe/relay/fault"
)

func TestParseRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, s := range []string{
		"say hello", "raw hello", `raw "a`, "repeat x \"a\"", "repeat 1", "drip soon \"a\"", "wait", "wait long", "tls certificate=good",
		"close now", "lines 1s x \"a\"", "<no space",
	} {
		if _, err := fault.Parse("< 220 hi\n" + s); err == nil {
			t.Errorf("%q was taken", s)
		} else if !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: %v names no line", s, err)
		}
	}
	s, err := fault.Parse("\n# a comment\n< 220 hi\n\t> EHLO\ntls cert=expired min=1.0 max=1.1 client=yes\nclose\n")
	if err != nil || len(s) != 4 {
		t.Errorf("%v %v", s, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("< 220 hi\n> EHLO\nraw \"x\"\nrepeat 3 \"y\"\ndrip 1s forever \"z\"\nlines 1s 0 \"l\\r\\n\"\ntls cert=good\nhello \"\"\nclose")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := fault.Parse(text); err == nil && len(s) > strings.Count(text, "\n")+1 {
			t.Fatalf("%d statements of %d lines", len(s), strings.Count(text, "\n")+1)
		}
	})
}

// talk plays a script over loopback TCP or in memory and says what a client sees.
func talk(t *testing.T, script string, memory bool, client func(c net.Conn, srv *fault.Server)) *fault.Server {
	t.Helper()
	s, err := fault.Parse(script)
	if err != nil {
		t.Fatal(err)
	}
	srv := fault.New("relay.example", s)
	defer srv.Close()
	var c net.Conn
	if memory {
		c, err = srv.Dial(context.Background(), "tcp", "")
	} else {
		addr, e := srv.Listen("127.0.0.1:0")
		if e != nil {
			t.Fatal(e)
		}
		c, err = net.Dial("tcp", addr.String())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	client(c, srv)
	return srv
}

func TestStatements(t *testing.T) {
	for _, memory := range []bool{true, false} {
		srv := talk(t, "< 220 hi\n> EHLO\nraw \"250-a\\r\\n250 b\\r\\n\"\nrepeat 2 \"x\"\n> DATA\n< 354 go\ndata\n< 250 ok\n> QUIT\nclose\n", memory,
			func(c net.Conn, _ *fault.Server) {
				r := bufio.NewReader(c)
				for _, step := range []struct{ say, want string }{
					{"", "220 hi\r\n"}, {"EHLO me\r\n", "250-a\r\n"}, {"", "250 b\r\n"}, {"DATA\r\n", "xx354 go\r\n"}, {"text\r\n.\r\n", "250 ok\r\n"}, {"NOOP\r\n", ""},
				} {
					_, _ = io.WriteString(c, step.say)
					if got, _ := r.ReadString('\n'); got != step.want {
						t.Errorf("said %q, heard %q, want %q", step.say, got, step.want)
					}
				}
			})
		rec := srv.Conns()[0]
		if n := rec.Notes(); len(n) != 1 || !strings.Contains(n[0], "NOOP") {
			t.Errorf("notes %q", n)
		}
		if want := "EHLO me\r\nDATA\r\ntext\r\n.\r\nNOOP\r\n"; rec.Plain() != want || rec.Wire() != want || rec.Inside() != "" {
			t.Errorf("log %q %q %q", rec.Plain(), rec.Wire(), rec.Inside())
		}
		if srv.Open() != 0 {
			t.Errorf("%d connections are open", srv.Open())
		}
	}
}

func TestReset(t *testing.T) {
	for _, memory := range []bool{true, false} {
		talk(t, "> X\nreset\n", memory, func(c net.Conn, _ *fault.Server) {
			_, _ = io.WriteString(c, "X\r\n")
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("in memory %v: %v", memory, err)
			}
		})
	}
}

func TestTLSKeepsTwoLogs(t *testing.T) {
	for _, memory := range []bool{true, false} {
		srv := talk(t, "> STARTTLS\n< 220 go\ntls\n> SECRET\n< 250 heard\n", memory, func(c net.Conn, srv *fault.Server) {
			_, _ = io.WriteString(c, "STARTTLS\r\n")
			if _, err := io.ReadFull(c, make([]byte, 8)); err != nil {
				t.Fatal(err)
			}
			roots, err := srv.RootCAs()
			if err != nil {
				t.Fatal(err)
			}
			s := tls.Client(c, &tls.Config{ServerName: "relay.example", RootCAs: roots})
			if _, err := io.WriteString(s, "SECRET word\r\n"); err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(s); string(b) != "250 heard\r\n" {
				t.Errorf("%q %v", b, err)
			}
		})
		rec := srv.Conns()[0]
		if rec.Inside() != "SECRET word\r\n" || strings.Contains(rec.Wire(), "SECRET") || rec.Plain() != "STARTTLS\r\n" || rec.Certificate() != "good" {
			t.Errorf("%q %q %q", rec.Inside(), rec.Plain(), rec.Certificate())
		}
	}
}

func TestPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := fault.Pipe()
		// A write does not wait for a reader, up to a window.
		if n, err := a.Write(make([]byte, 100<<10)); n != 100<<10 || err != nil {
			t.Fatal(n, err)
		}
		_ = a.SetWriteDeadline(time.Now().Add(time.Minute))
		began := time.Now()
		if n, err := a.Write(make([]byte, 300<<10)); n >= 300<<10 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("%d bytes, %v after %s", n, err, time.Since(began))
		}
		_ = b.SetReadDeadline(time.Now().Add(-time.Second))
		if n, err := io.Copy(io.Discard, b); n != 256<<10 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d bytes, %v", n, err)
		}
		// A deadline is no end: the next read goes on.
		_ = b.SetReadDeadline(time.Time{})
		_ = a.SetWriteDeadline(time.Time{})
		time.AfterFunc(time.Second, func() { _, _ = a.Write([]byte("x")); _ = a.Close() })
		if got, err := io.ReadAll(b); string(got) != "x" || err != nil {
			t.Errorf("%q %v", got, err)
		}
		if _, err := b.Write([]byte("y")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("writing to nobody: %v", err)
		}
		_ = b.Close()
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("reading what is closed: %v", err)
		}
	})
}

func TestRoadTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := fault.Road(25 * time.Millisecond)
		began := time.Now()
		go func() {
			_, _ = io.Copy(b, b)
			_ = b.Close()
		}()
		_, _ = a.Write([]byte("hello"))
		buf := make([]byte, 5)
		if _, err := io.ReadFull(a, buf); err != nil || time.Since(began) != 50*time.Millisecond {
			t.Errorf("%q after %s, %v", buf, time.Since(began), err)
		}
		_ = a.Close()
	})
}
