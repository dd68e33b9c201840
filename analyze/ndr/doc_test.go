package ndr

import (
	"bytes"
	"testing"
	"unicode/utf8"
)

// checkDocument holds what every document must keep, whatever the input.
func checkDocument(t *testing.T, d *Document) {
	t.Helper()
	if bytes.IndexByte(d.Text, '\r') >= 0 || bytes.IndexByte(d.Text, 0) >= 0 {
		t.Fatalf("a CR or NUL is left in %q", d.Text)
	}
	if !utf8.Valid(d.Text) {
		t.Fatalf("not UTF-8: %q", d.Text)
	}
	input := d.Input()
	last := 0
	for i := range d.NumLines() {
		start, end := d.LineStart(i), d.LineEnd(i)
		if start > end || end > len(d.Text) || bytes.IndexByte(d.Text[start:end], '\n') >= 0 {
			t.Fatalf("line %d is [%d:%d] of %d", i, start, end, len(d.Text))
		}
		s := d.Span(start, end)
		if s.Offset < 0 || s.End < s.Offset || s.End > len(input) {
			t.Fatalf("line %d: span %+v of %d bytes", i, s, len(input))
		}
		if s.Offset < last {
			t.Fatalf("line %d begins at %d, before %d", i, s.Offset, last)
		}
		last = s.Offset
		line, column := placeOf(input, s.Offset)
		if s.Line != line || s.Column != column {
			t.Fatalf("line %d: span says %d:%d, is at %d:%d", i, s.Line, s.Column, line, column)
		}
		if q := d.Quote(s); utf8.Valid(input[s.Offset:s.End]) && q != string(input[s.Offset:s.End]) {
			t.Fatalf("quote %q is not the input's %q", q, input[s.Offset:s.End])
		}
	}
}

// placeOf counts lines the slow way.
func placeOf(input []byte, offset int) (line, column int) {
	line, start := 1, 0
	for i := 0; i < offset; i++ {
		if input[i] == '\n' || input[i] == '\r' && !(i+1 < len(input) && input[i+1] == '\n') {
			line++
			start = i + 1
		}
	}
	return line, 1 + utf8.RuneCount(input[start:offset])
}

func TestPrepare(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "a\nb\n", "a\nb\n"},
		{"crlf", "a\r\nb\r\n", "a\nb\n"},
		{"bare CR", "a\rb\r", "a\nb\n"},
		{"mixed", "a\r\nb\rc\nd", "a\nb\nc\nd"},
		{"CR CR LF", "a\r\r\nb\r\r\n\r\r\nc", "a\nb\n\nc"},
		{"NUL and FF", "a\x00b\fc", "ab\nc"},
		{"UTF-16 with mark", "\xff\xfea\x00\r\x00\n\x00b\x00", "a\nb"},
		{"UTF-16 without mark", "\x00h\x00e\x00l\x00l\x00o\x00\n\x00x\x00y", "hello\nxy"},
		{"Windows-1252", "caf\xe9\nna\xc3\xafve\n", "café\nnaïve\n"},
		{"invisible", "mx1\u2011us1.ppe\u2011\u200bhosted.com\u00a0x \u201cy\u201d", "mx1-us1.ppe-hosted.com x \"y\""},
		{"quoted-printable by header", "Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\nmx1-us1.ppe-ho=\nsted.com caf=C3=A9\n", "Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\nmx1-us1.ppe-hosted.com café\n"},
		{"quoted-printable by content", "one=20\nmx1-us1.ppe-ho=\nsted.com is a ho=\nst\n", "one \nmx1-us1.ppe-hosted.com is a host\n"},
		{"base64 by header", "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8NCndv\r\ncmxkCg==\r\n", "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\nhello\nworld\n"},
		{"HTML", "<html><body><p>one<br>two &lt;a@b.example&gt; ppe&#45;hosted</p><table><tr><td>k</td><td>v</td></tr></table><style>x{}</style><span style=\"display:none\">mx1-us1.ppe-hosted.com</span></body></html>", "one\ntwo <a@b.example> ppe-hosted\n\nk\tv\n"},
		{"quoted", "> one\n> two\n>\n> three\n", "one\ntwo\n\nthree\n"},
		{"quoted twice", "> > one\n> > two\n", "one\ntwo\n"},
		{"a dialogue keeps its marks", "> EHLO me\n< 250 ok\n> MAIL FROM:<a@b.example>\n< 554 no\n", "> EHLO me\n< 250 ok\n> MAIL FROM:<a@b.example>\n< 554 no\n"},
		{"sendmail's transcript keeps its marks", ">>> RCPT To:<a@b.example>\n<<< 550 no\n>>> DATA\n<<< 503 no\n", ">>> RCPT To:<a@b.example>\n<<< 550 no\n>>> DATA\n<<< 503 no\n"},
		{"autolinks", "a@b.example<mailto:a@b.example> [mx.example](http://mx.example/) mx.example<http://mx.example/>", "a@b.example mx.example mx.example"},
		{"wrapped relay", "host outbound-us1.ppe-\n   hosted.com[192.0.2.1] said: no. It\nwas late.\n", "host outbound-us1.ppe-hosted.com[192.0.2.1] said: no. It\nwas late.\n"},
		{"wrapped at a dot", "host mx.\nother.example said: no (mx.other.example)\n", "host mx.other.example said: no (mx.other.example)\n"},
		{"a sentence's end is no wrap", "it was late.\nthen it was later.\n", "it was late.\nthen it was later.\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := Prepare([]byte(tt.in))
			checkDocument(t, d)
			if string(d.Text) != tt.want {
				t.Errorf("got  %q\nwant %q", d.Text, tt.want)
			}
		})
	}
}

func TestPrepareIdentity(t *testing.T) {
	in := []byte("From: a@b.example\nTo: c@d.example\nSubject: x\n\nThis is the mail system at host mail.example.\n\n<c@d.example>: no\n")
	d := Prepare(in)
	if &d.Text[0] != &in[0] || len(d.Text) != len(in) {
		t.Error("a clean text was copied")
	}
}

// TestHostsThatEndAndBegin: a name that ends a line and one that begins the next
// are joined only where the line end stands inside a name.
func TestHostsThatEndAndBegin(t *testing.T) {
	for _, c := range []struct {
		text, host string
		joined     bool
	}{
		{"Connected to mx.firma.example.\n220-mx1-eu1.ppe-hosted.com - Please wait...\n", "mx.firma.example.220-mx1-eu1.ppe-hosted.com", false},
		{"The smart host is smtp.firma.example.\noutbound-us1.ppe-hosted.com refused it\n", "smtp.firma.example.outbound-us1.ppe-hosted.com", false},
		{"refused by outbound-us1.\nppe-hosted.com today\n", "outbound-us1.ppe-hosted.com", true},
		{"refused by outbound-\nus1.ppe-hosted.com today\n", "outbound-us1.ppe-hosted.com", true},
	} {
		if got := bytes.Contains(Prepare([]byte(c.text)).Text, []byte(c.host)); got != c.joined {
			t.Errorf("%q: %s joined %v, want %v", c.text, c.host, got, c.joined)
		}
	}
}
