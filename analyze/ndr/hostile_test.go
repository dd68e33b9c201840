package ndr

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// report is a report that must be found wherever it stands.
const truth = "This is the mail system at host mx.firma.example.\n\n<desk@partner.example>: host outbound-us1.ppe-hosted.com[192.0.2.10] said: 554\n    5.7.1 Relay access denied (in reply to RCPT TO command)\n"

const mailHead = "From: MAILER-DAEMON@mx.firma.example\nTo: a@firma.example\nSubject: undelivered\nMIME-Version: 1.0\n"

// hostile are the families of security §4, as functions of a size in bytes.
// found says that the truth stands in the text and must be read.
var hostile = []struct {
	name  string
	found bool
	make  func(n int) string
}{
	{"MIME nested without end", false, func(n int) string {
		var b strings.Builder
		b.WriteString(mailHead)
		for i := 0; b.Len() < n; i++ {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
		}
		return b.String()
	}},
	{"a report in the outermost of too many parts", true, func(n int) string {
		var b strings.Builder
		b.WriteString(mailHead + "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\n" + truth)
		for b.Len() < n {
			b.WriteString("--b\nContent-Type: text/plain\n\n")
		}
		return b.String()
	}},
	{"mails inside mails", false, func(n int) string {
		return mailHead + "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\nContent-Type: message/rfc822\n\nFrom: a@b.example\nTo: c@d.example\nContent-Type: multipart/mixed; boundary=b\n\n", n/120)
	}},
	{"boundary missing", true, func(n int) string {
		return mailHead + "Content-Type: multipart/report; boundary=never\n\n" + truth + strings.Repeat("--other\n", n/8)
	}},
	{"boundary that is a prefix of another", true, func(n int) string {
		return mailHead + "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\n" + truth + strings.Repeat("--bb\n--b b\n", n/11)
	}},
	{"boundaries of regular expression signs", true, func(n int) string {
		return mailHead + "Content-Type: multipart/mixed; boundary=\"(a+)+$[\"\n\n--(a+)+$[\nContent-Type: text/plain\n\n" + truth + strings.Repeat("--(a+)+$\n", n/9)
	}},
	{"undeclared boundaries", false, func(n int) string {
		var b strings.Builder
		for i := 0; b.Len() < n; i++ {
			fmt.Fprintf(&b, "--x%06d\nContent-Type: text/plain\n\nx\n", i)
		}
		return b.String()
	}},
	{"empty and huge boundary", true, func(n int) string {
		return mailHead + "Content-Type: multipart/mixed; boundary=\"\"; boundary=\"" + strings.Repeat("x", n) + "\"\n\n" + truth
	}},
	{"a million Received lines", true, func(n int) string {
		return truth + "\nReturn-Path: <>\n" + strings.Repeat("Received: from a.example by b.example; Tue, 24 Nov 2026 09:12:43 +0000\n", n/75)
	}},
	{"a header without end", false, func(n int) string {
		return "From: a@b.example\nTo: c@d.example\nSubject: " + strings.Repeat("x", n) + "\n\n" + truth
	}},
	{"a field folded without end", true, func(n int) string {
		return truth + "\nReporting-MTA: dns; mx.firma.example\nDiagnostic-Code: smtp;\n" + strings.Repeat(" x\n", n/3)
	}},
	{"parameters without end", true, func(n int) string {
		return mailHead + "Content-Type: text/plain" + strings.Repeat("; boundary*1=x", n/14) + "\n\n" + truth
	}},
	{"recipients without end", false, func(n int) string {
		var b strings.Builder
		b.WriteString("This is the mail system at host mx.firma.example.\n\n")
		for i := 0; b.Len() < n; i++ {
			fmt.Fprintf(&b, "<r%d@partner.example>: unknown user\n", i)
		}
		return b.String()
	}},
	{"status groups without end", false, func(n int) string {
		var b strings.Builder
		b.WriteString("Reporting-MTA: dns; mx.firma.example\n\n")
		for i := 0; b.Len() < n; i++ {
			fmt.Fprintf(&b, "Final-Recipient: rfc822; r%d@partner.example\nAction: failed\nStatus: 5.1.1\n\n", i)
		}
		return b.String()
	}},
	{"the same group without end", false, func(n int) string {
		return strings.Repeat("Final-Recipient: rfc822;\nAction: failed\n\n", n/40)
	}},
	{"openers without end", false, func(n int) string {
		return strings.Repeat("Generating server: a.example\nr@b.example\n", n/41)
	}},
	{"exchange stanzas without end", false, func(n int) string {
		return "Generating server: a.example\n" + strings.Repeat("r@b.example\nc.example\nRemote Server returned 'x\n", n/50)
	}},
	{"one line", false, func(n int) string { return strings.Repeat("a", n) }},
	{"one line of at signs", false, func(n int) string { return strings.Repeat("a@", n/2) }},
	{"one line of brackets", false, func(n int) string { return "<a@b.example>: " + strings.Repeat("[(<", n/3) }},
	{"one line of said", false, func(n int) string {
		return "This is the mail system at host a.example.\n\n<a@b.example>: " + strings.Repeat("host a.example said: ", n/20)
	}},
	{"in reply to without end", false, func(n int) string {
		return "This is the mail system at host a.example.\n\n<a@b.example>: host b.example[192.0.2.1] said: 550 no " + strings.Repeat("(in reply to RCPT TO command) ", n/30)
	}},
	{"blank lines", true, func(n int) string { return truth + strings.Repeat("\n", n) }},
	{"bare CR", true, func(n int) string {
		return strings.ReplaceAll(truth, "\n", "\r") + strings.Repeat("x\r", n/2)
	}},
	{"every line end", true, func(n int) string { return truth + strings.Repeat("a\rb\r\nc\nd\v\f\u2028\u0085", n/14) }},
	{"NULs", true, func(n int) string { return truth + strings.Repeat("\x00", n) }},
	{"soft breaks", false, func(n int) string {
		return mailHead + "Content-Transfer-Encoding: quoted-printable\n\n" + strings.Repeat("=\n", n/2)
	}},
	{"escapes", false, func(n int) string {
		return mailHead + "Content-Transfer-Encoding: quoted-printable\n\n" + strings.Repeat("=3D=0D=0A=00=1B", n/15)
	}},
	{"dirty base64", false, func(n int) string {
		return mailHead + "Content-Transfer-Encoding: base64\n\n" + strings.Repeat("aGVsbG8=*\n", n/10)
	}},
	{"base64 without header", false, func(n int) string { return strings.Repeat(strings.Repeat("aGVs", 19)+"\n", n/77) }},
	{"base64 runs without end", false, func(n int) string {
		return strings.Repeat(strings.Repeat("////", 19)+"\n"+strings.Repeat("////", 19)+"\nx\n", n/156)
	}},
	{"lying charset", true, func(n int) string {
		return mailHead + "Content-Type: text/plain; charset=shift_jis\n\n" + truth + strings.Repeat("\xe9\xff\x81", n/3)
	}},
	{"unknown charset", true, func(n int) string {
		return mailHead + "Content-Type: text/plain; charset=x-klingon\n\n" + truth + strings.Repeat("\xe9 ", n/2)
	}},
	{"shifts without end", false, func(n int) string {
		return mailHead + "Content-Type: text/plain; charset=iso-2022-jp\n\n" + strings.Repeat("\x1b$B", n/3)
	}},
	{"overlong forms and surrogates", true, func(n int) string { return truth + strings.Repeat("\xc0\xaf\xed\xa0\x80\xf5", n/6) }},
	{"marks by the million", true, func(n int) string { return truth + strings.Repeat("\u200b\ufeff\u202e", n/9) }},
	{"UTF-16", true, func(n int) string { return wide(truth+strings.Repeat("x", n/2), "\xff\xfe") }},
	{"random bytes", false, func(n int) string {
		b := make([]byte, n)
		r := rand.New(rand.NewSource(1))
		for i := range b {
			b[i] = byte(r.Intn(256))
		}
		return string(b)
	}},
	{"a million tags", true, func(n int) string {
		return "<html><body><pre>" + strings.NewReplacer("<", "&lt;", ">", "&gt;").Replace(truth) + "</pre>" + strings.Repeat("<b>", n/3)
	}},
	{"a million attributes", false, func(n int) string { return "<html><body " + strings.Repeat("a=1 ", n/4) + ">x" }},
	{"a million references", false, func(n int) string { return "<html><body>" + strings.Repeat("&lt;", n/4) }},
	{"comments never closed", false, func(n int) string { return "<html>" + strings.Repeat("<!--", n/4) }},
	{"hidden never closed", false, func(n int) string { return "<html>" + strings.Repeat("<div hidden >", n/13) }},
	{"scripts", false, func(n int) string { return "<html>" + strings.Repeat("<script></scrip", n/15) }},
	{"unfinished quotes in tags", false, func(n int) string { return "<html>" + strings.Repeat("<a href=\"", n/9) }},
	{"tables that misnest", false, func(n int) string { return "<html>" + strings.Repeat("</td><tr><table></tr><td>", n/25) }},
	{"quoted without end", false, func(n int) string { return strings.Repeat(strings.Repeat(">", 500)+"\n", n/501) }},
	{"quoting that grows", false, func(n int) string {
		var b strings.Builder
		for i := 1; b.Len() < n; i++ {
			b.WriteString(strings.Repeat("> ", i%300) + "x\n")
		}
		return b.String()
	}},
	{"autolinks", false, func(n int) string { return strings.Repeat("a@b<mailto:a@b>[a](http://b)<http", n/33) }},
	{"half of an autolink", false, func(n int) string { return strings.Repeat("x<mailto:", n/9) }},
	{"names wrapped without end", false, func(n int) string { return strings.Repeat("a.b-\n", n/5) }},
	{"wrapped relay names", false, func(n int) string { return strings.Repeat("x.ppe-\nhosted.com\n", n/19) }},
	{"From lines", false, func(n int) string {
		return strings.Repeat("From a Tue Nov 24 09:12:44 2026\nFrom: a@b.example\nTo: c@d.example\n\n", n/70)
	}},
	{"From lines without header", false, func(n int) string { return strings.Repeat("\nFrom a Tue Nov 24 09:12:44 2026\n", n/33) }},
	{"sendmail tries", false, func(n int) string {
		return "----- The following addresses had permanent fatal errors -----\n<a@b.example>\n----- Transcript of session follows -----\n" + strings.Repeat("... while talking to a.example.:\n>>> DATA\n<<< 550-x\n", n/52)
	}},
	{"exim recipients", false, func(n int) string {
		return "This message was created automatically by mail delivery software.\n" + strings.Repeat("  a\n    host b [192.0.2.1]: 550 x\n", n/34)
	}},
	{"modern labels", false, func(n int) string { return strings.Repeat("Sent by:\nError:\nMessage rejected by:\n", n/36) }},
	{"forward headers", false, func(n int) string { return strings.Repeat("From: a\nTo: b\nSubject: c\n\n", n/27) }},
	{"traces", false, func(n int) string { return strings.Repeat("{LED=450 [Message=[[[", n/21) }},
	{"notices", false, func(n int) string { return "{\"notificationType\":" + strings.Repeat("[", n) }},
	{"gzip bomb", false, func(n int) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		chunk := make([]byte, 64<<10)
		for i := 0; i < n*40; i += len(chunk) {
			_, _ = z.Write(chunk)
		}
		_ = z.Close()
		return b.String()
	}},
	{"log-like rules", false, func(n int) string { return strings.Repeat("==========\n----------\n", n/22) }},
}

// TestHostile reads a megabyte of each; the bound on time is a hang detector.
func TestHostile(t *testing.T) {
	size := 1 << 20
	switch {
	case testing.Short():
		size = 64 << 10
	case raceDetector:
		size = 256 << 10
	}
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			input := []byte(h.make(size))
			done := make(chan []Case, 1)
			go func() { done <- Read(input) }()
			var cases []Case
			select {
			case cases = <-done:
			case <-time.After(time.Minute):
				t.Fatal("it hangs")
			}
			checkSpans(t, input, cases)
			if !h.found {
				return
			}
			for i := range cases {
				for k := range cases[i].Items {
					if it := &cases[i].Items[k]; it.Recipient == "desk@partner.example" && it.Reply.Code == 554 && it.Refuser.Host == "outbound-us1.ppe-hosted.com" {
						return
					}
				}
			}
			t.Errorf("the report in it was not found: %d cases", len(cases))
		})
	}
}

// checkSpans holds that every span lies in the text that spans refer to, and
// that texts are valid UTF-8.
func checkSpans(t testing.TB, input []byte, cases []Case) {
	t.Helper()
	limit := len(input)
	if bytes.HasPrefix(input, []byte{0x1f, 0x8b}) {
		limit = maxGunzip
	}
	for i := range cases {
		for _, m := range cases[i].Mentions {
			if m.Span.Offset < 0 || m.Span.End < m.Span.Offset || m.Span.End > limit || m.Span.Line < 1 || m.Span.Column < 1 {
				t.Fatalf("span %+v of %d bytes", m.Span, limit)
			}
			if !utf8.ValidString(m.Host) {
				t.Fatalf("host %q", m.Host)
			}
		}
		for k := range cases[i].Items {
			it := &cases[i].Items[k]
			for _, l := range append(append([]string{it.Recipient, it.Status}, it.Reply.Lines...), it.LocalReply.Lines...) {
				if !utf8.ValidString(l) {
					t.Fatalf("not UTF-8: %q", l)
				}
			}
		}
	}
}

// TestHostileGrowth holds that work grows with the input and not with its
// square (which would be four times): bytes allocated stand for steps, since
// every step over a stretch of text that is more than a look makes something of
// it. Slices that double make up to two and a half times of twice the input.
func TestHostileGrowth(t *testing.T) {
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			small, large := allocated(h.make(128<<10)), allocated(h.make(256<<10))
			if large > 3*small+64<<10 {
				t.Errorf("twice the input allocates %d bytes, not %d", large, small)
			}
		})
	}
}

func allocated(text string) uint64 {
	input := []byte(text)
	var before, after runtime.MemStats
	runtime.GC() // two of them empty the pool of buffers
	runtime.GC()
	runtime.ReadMemStats(&before)
	Read(input)
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestLimits holds that a limit that was hit is said aloud.
func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		name, text, words string
	}{
		{"parts", mailHead + "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\nContent-Type: text/plain\n\nx\n", maxParts+2), "MIME parts"},
		{"depth", hostile[0].make(64 << 10), "nested MIME parts"},
		{"header", "From: a@b.example\nTo: c@d.example\n" + strings.Repeat("X-Y: z\n", maxHeader/6), "header bytes"},
		{"quoting", strings.Repeat(strings.Repeat(">", 100)+"x\n", 100), "levels of quoting"},
		{"lines", strings.Repeat("\n", maxLines+1), "lines"},
		{"decoded", mailHead + "Content-Transfer-Encoding: quoted-printable\n\n=41" + strings.Repeat("x", maxCleaned), "decoded text"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cases := Read([]byte(tt.text))
			said := false
			for _, n := range cases[0].Notes {
				said = said || n.ID == "limit-reached" && strings.Contains(n.Text, tt.words)
			}
			if !said || !cases[0].Partial {
				t.Errorf("notes %v, partial %v", cases[0].Notes, cases[0].Partial)
			}
		})
	}
}

// TestMemory reads a 64 MB message of each kind of bulk and holds that less
// than 64 MB live beside it.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("64 MB messages")
	}
	const size = 64 << 20
	for _, tt := range []struct {
		name string
		make func() []byte
	}{
		{"attachment with CRLF", func() []byte {
			b := append(make([]byte, 0, size+4096), strings.ReplaceAll(mailHead+"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\n"+truth+"--b\nContent-Type: application/pdf\nContent-Transfer-Encoding: base64\n\n", "\n", "\r\n")...)
			line := strings.Repeat("JVBERi0x", 9) + "AAAA\r\n"
			for len(b) < size {
				b = append(b, line...)
			}
			return append(b, "--b--\r\n"...)
		}},
		{"text with CRLF", func() []byte {
			b := append(make([]byte, 0, size+4096), strings.ReplaceAll(truth, "\n", "\r\n")...)
			for len(b) < size {
				b = append(b, "a line of words that says nothing at all\r\n"...)
			}
			return b
		}},
		{"one line", func() []byte { return append([]byte(truth), bytes.Repeat([]byte("x"), size)...) }},
		{"blank lines", func() []byte { return append([]byte(truth), bytes.Repeat([]byte("\n"), size)...) }},
		{"HTML", func() []byte {
			return append([]byte("<html><body><p>"), bytes.Repeat([]byte("<b>x</b> "), size/9)...)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			input := tt.make()
			runtime.GC()
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			Read(input)
			runtime.ReadMemStats(&after)
			// All that was ever allocated bounds what lived at once.
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
				t.Errorf("%d MB were allocated beside %d MB", grown>>20, len(input)>>20)
			}
			runtime.KeepAlive(input)
		})
	}
}
