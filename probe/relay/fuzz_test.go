package relay

import (
	"context"
	"io"
	"strings"
	"testing"
)

// Whatever a client says, a command line is read without panic, and what goes
// on to go-smtp is one line.
func FuzzParseCommand(f *testing.F) {
	for _, s := range []string{
		"MAIL FROM:<a@b.example> SIZE=1", `RCPT TO:<"a b"@c.example> NOTIFY=NEVER`, "AUTH PLAIN AGEAYg==", "EHLO x", "BDAT 5 LAST",
		"RCPT TO:<@x.example:y@z.example>", "MAIL FROM:<\"\\\"\"@x.example>", "XCLIENT ADDR=192.0.2.1", "Subject: x", "GET / HTTP/1.1", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ContainsAny(line, "\n") {
			return
		}
		r := parseCommand(line)
		if r.Fixed.Code != 0 || r.Malformed != "" {
			return
		}
		switch r.Verb {
		case "MAIL", "RCPT":
			c := canonical(r.Address)
			if strings.ContainsAny(c, "\r\n\x00") || !strings.HasPrefix(c, "<") || !strings.HasSuffix(c, ">") {
				t.Errorf("%q became %q", line, c)
			}
		case "AUTH":
			if strings.ContainsAny(r.Mechanism, " \r\n") || r.HasInitial && !isBase64(r.Initial) {
				t.Errorf("%q: %+v", line, r)
			}
		}
	})
}

// Whatever bytes a client sends, the relay answers with whole replies of its
// own, in printable ASCII, and its backend does not panic.
func FuzzDialogue(f *testing.F) {
	for _, s := range []string{
		"EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<alice@customer.example>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n",
		"EHLO c\r\nAUTH PLAIN AGEAYg==\r\n", "EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<alice@customer.example>\r\nBDAT 3\r\nabcBDAT 0 LAST\r\n",
		"STARTTLS\r\n\x16\x03\x01\x00\x05hello", "NOOP\nNOOP\r\n\r\n", "\x00\xff\r\n",
	} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, auth bool) {
		d, err := NewDemo(InMemory())
		if err == nil {
			err = d.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		port := PortServer
		if auth {
			port = PortAuth
		}
		c, err := d.Dial(context.Background(), port)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = c.Write(b)
			_ = c.(interface{ CloseWrite() error }).CloseWrite()
		}()
		out, _ := io.ReadAll(io.LimitReader(c, 1<<20))
		c.Close()
		d.Close()
		if d.Panics() != 0 {
			t.Error("the backend panicked")
		}
		for line := range strings.Lines(string(out)) {
			if !strings.HasSuffix(line, "\r\n") || len(line) < 5 || line[0] < '2' || line[0] > '5' {
				if strings.Contains(string(b), "STARTTLS") {
					continue // a TLS alert is no line
				}
				t.Errorf("a reply line %q", line)
			}
		}
		for _, rec := range d.Log() {
			for i, x := range rec.Session.Exchanges {
				if strings.Contains(rec.Decisions[i].Note, "server library") {
					t.Errorf("the library's own words: %+v", x)
				}
			}
		}
	})
}
