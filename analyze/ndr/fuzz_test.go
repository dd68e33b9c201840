package ndr

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// addSeeds gives a fuzz target the samples and a small one of each hostile
// family.
func addSeeds(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "reports", "*", "*.[te]*"))
	if err != nil || len(files) == 0 {
		f.Fatal(err)
	}
	for i, file := range files {
		if i%3 != 0 {
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, h := range hostile {
		f.Add([]byte(h.make(200)))
	}
	// What fuzzing found.
	f.Add([]byte("\x80\x1b$B"))
	f.Add([]byte("Server returned '[LastAttemptedIP=0.0.1.0:1"))
	f.Add([]byte("The following addresses had delivery problems ---\n\n<desk@partner.example [Q\xba"))
	f.Add([]byte("From: a@firma.example\nContent-Transfer-Encoding: quoted-printable\n\none=3D=0D=0Atwo=\nthree=0D"))
}

// FuzzPrepare: every line's quote stands where its span says, lines come in
// order, the text is UTF-8 with LF only.
func FuzzPrepare(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) > 32<<10 {
			return
		}
		d := Prepare(input)
		checkDocument(t, d)
		// A piece of the text is found again in the quote of its span, where
		// nothing was undone in between.
		if len(d.maps) == 0 && len(d.Text) > 0 {
			from, to := len(d.Text)/3, len(d.Text)*2/3
			if utf8.Valid(d.Text[from:to]) && d.Quote(d.Span(from, to)) != string(d.Text[from:to]) {
				t.Fatalf("an untouched text is quoted as %q", d.Quote(d.Span(from, to)))
			}
		}
	})
}

// FuzzRead: no input makes the readers panic, loop or lie about a place.
func FuzzRead(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) > 64<<10 {
			return
		}
		cases := Read(input)
		if len(cases) == 0 {
			t.Fatal("no case")
		}
		checkSpans(t, input, cases)
		again := Read(input)
		if indented(t, sampled(cases)) != indented(t, sampled(again)) {
			t.Fatal("the same input was read in two ways")
		}
	})
}

// FuzzHTML: text that was written as HTML comes back, and what is no text adds
// nothing.
func FuzzHTML(f *testing.F) {
	f.Add("<p>a &amp; b</p><!-- c --><script>d</script>")
	f.Add("<div style='display:none'>x</div>y<br>z")
	f.Add("<a href=\"mailto:a@b.example\">a@b.example</a>")
	f.Add(" 0\n 0")
	f.Add("\n C\n C")
	f.Add("<table><tr><td>k<td>v</table>&#1234567890;&#x2d;&nosuch;")
	f.Fuzz(func(t *testing.T, body string) {
		if len(body) > 16<<10 {
			return
		}
		d := Prepare([]byte("<html><body>" + body + "</body></html>"))
		checkDocument(t, d)
		escaped := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(body)
		plain := Prepare([]byte("<html><body><pre>" + escaped + "</pre></body></html>"))
		checkDocument(t, plain)
		indented := !slices.ContainsFunc(strings.FieldsFunc(body, func(c rune) bool { return c == '\n' || c == '\r' }), func(line string) bool {
			return line[0] != ' ' && line[0] != '\t'
		})
		if isPlainASCII(body) && !strings.ContainsAny(body, "<>[]|:") && !indented {
			// Line ends behind the last word mean nothing, nor does what all lines
			// begin with.
			got := strings.Trim(string(plain.Text), " \t\n")
			want := strings.Trim(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(body), " \t\n")
			if got != want && !looksQuotedPrintable([]byte(escaped)) && !strings.Contains(body, "-") && !strings.Contains(body, ".") && len(body) < 40 {
				t.Fatalf("%q came back as %q", want, got)
			}
		}
	})
}

// FuzzMIME: parts lie inside the text, in order; a report in a part that is
// whole is found whatever stands around it.
func FuzzMIME(f *testing.F) {
	f.Add([]byte("x"), []byte("y"))
	f.Add([]byte("--b\nContent-Type: text/html\n\n<p>"), []byte("--b--\n"))
	f.Add([]byte("--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nx\n--c--"), []byte("--b\nContent-Type: message/rfc822\n\nFrom: a@b\n"))
	f.Add([]byte("--b\nContent-Transfer-Encoding: base64\n\n////\n"), []byte{})
	f.Fuzz(func(t *testing.T, before, after []byte) {
		if len(before)+len(after) > 32<<10 {
			return
		}
		var b bytes.Buffer
		b.WriteString(mailHead + "Content-Type: multipart/mixed; boundary=b\n\n")
		b.Write(before)
		b.WriteString("\n--b\nContent-Type: text/plain\n\n")
		b.WriteString("body\n")
		b.WriteString("--b\n")
		b.Write(after)
		d := Prepare(b.Bytes())
		checkDocument(t, d)
		last := 0
		for i := range d.parts {
			p := &d.parts[i]
			if p.start < last || p.end < p.start || p.end > len(d.Text) {
				t.Fatalf("part %d is [%d:%d] of %d, behind %d", i, p.start, p.end, len(d.Text), last)
			}
			last = p.end
		}
		for i := range d.mails {
			m := &d.mails[i]
			if m.start > m.body || m.body > m.end || m.end > len(d.Text) {
				t.Fatalf("mail %d is %+v of %d", i, *m, len(d.Text))
			}
		}
		checkSpans(t, b.Bytes(), Read(b.Bytes()))
	})
}

// isPlainASCII reports whether a text has printable ASCII and line ends only.
func isPlainASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= 0x7f || c < ' ' && c != '\n' {
			return false
		}
	}
	return true
}
