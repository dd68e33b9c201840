package ndr

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"mime/quotedprintable"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
)

// variants are what mail programs and people do to a text on its way into a
// paste. None of them changes what the text says.
var variants = []struct {
	name string
	do   func(text string) string
}{
	{"quoted", func(s string) string { return eachLine(s, "> ") }},
	{"quoted twice", func(s string) string { return eachLine(eachLine(s, "> "), "> ") }},
	{"quoted without blanks", func(s string) string { return eachLine(eachLine(s, ">"), ">") }},
	{"bars", func(s string) string { return eachLine(s, "| ") }},
	{"trailing blanks", func(s string) string { return strings.ReplaceAll(s, "\n", "  \n") }},
	{"empty lines around", func(s string) string { return "\n\n\n" + s + "\n\n\n" }},
	{"UTF-16", func(s string) string { return wide(s, "\xff\xfe") }},
	{"UTF-16 without mark", func(s string) string { return wide(s, "") }},
	{"byte order mark", func(s string) string { return "\ufeff" + s }},
	{"base64 body", func(s string) string {
		return "Content-Type: text/plain; charset=\"utf-8\"\nContent-Transfer-Encoding: base64\n\n" + base64Lines(s)
	}},
	{"base64 body with CRLF", func(s string) string {
		return "Content-Type: text/plain; charset=\"utf-8\"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + strings.ReplaceAll(base64Lines(strings.ReplaceAll(s, "\n", "\r\n")), "\n", "\r\n")
	}},
	{"quoted-printable body", func(s string) string {
		return "Content-Type: text/plain; charset=\"utf-8\"\nContent-Transfer-Encoding: quoted-printable\n\n" + quoted(s)
	}},
	{"quoted-printable, header lost", func(s string) string { return quoted(s + "\nl=3D\n=3D\n") }},
	{"HTML, br", func(s string) string {
		return "<html><head><style>p{color:red}</style></head><body><p>" + strings.ReplaceAll(html.EscapeString(keepIndent(s)), "\n", "<br>\n") + "</p></body></html>"
	}},
	{"HTML, div and entities", func(s string) string {
		var b strings.Builder
		b.WriteString("<!DOCTYPE html>\n<html><body>\n")
		for _, l := range strings.Split(s, "\n") {
			l = strings.ReplaceAll(html.EscapeString(keepIndent(l)), "-", "&#45;")
			b.WriteString("<div><span style=\"font-family:x\">" + l + "</span></div>\n")
			if l == "" {
				b.WriteString("<br>")
			}
		}
		return b.String() + "</body></html>"
	}},
	{"HTML, pre", func(s string) string { return "<html><body><pre>" + html.EscapeString(s) + "</pre></body></html>" }},
	{"non-breaking hyphens", func(s string) string { return strings.ReplaceAll(s, "us1.ppe-hosted", "us1.ppe\u2011hosted") }},
	{"zero width", func(s string) string { return strings.ReplaceAll(s, "hosted.com", "hos\u200bted\u2060.com") }},
	{"non-breaking spaces", func(s string) string { return strings.ReplaceAll(s, "access denied", "access\u00a0denied") }},
	{"indentation lost", func(s string) string { return eachTrimmed(s) }},
	{"wrapped anew at 60 columns", func(s string) string { return rewrapped(s, 60) }},
	{"wrapped anew at 72 columns and quoted", func(s string) string { return eachLine(rewrapped(s, 72), "> ") }},
	{"wrapped anew at 40 columns", func(s string) string { return rewrapped(s, 40) }},
	{"one level deeper", func(s string) string { return eachLine(s, "    ") }},
	{"line numbers", func(s string) string { return numbered(s, "%6d\t%s\n") }},
	{"line numbers with colons", func(s string) string { return numbered(s, "%d: %s\n") }},
	{"colours", func(s string) string {
		return eachLine("\x1b[1m"+strings.ReplaceAll(strings.TrimSuffix(s, "\n"), " said: ", "\x1b[0m said: \x1b[31m"), "\x1b[0m\x1b[K")
	}},
	{"Kubernetes", func(s string) string { return eachLine(s, "2026-11-24T09:12:45.123456789Z stderr F ") }},
	{"docker compose", func(s string) string { return eachLine(s, "web-1  | ") }},
	{"journal of an application", func(s string) string { return eachLine(s, "2026-11-24T09:12:45+00:00 web7 shop[811]: ") }},
	{"string of a collector", func(s string) string {
		return `{"log":` + inJSON(s) + `,"stream":"stderr","time":"2026-11-24T09:12:45.1Z"}` + "\n"
	}},
	{"strings of a collector", func(s string) string {
		var b strings.Builder
		for _, l := range strings.Split(strings.TrimSuffix(s, "\n"), "\n") {
			b.WriteString(`{"@timestamp":"2026-11-24T09:12:45.1Z","message":` + inJSON(l) + `,"host":{"name":"web7"},"level":"error"}` + "\n")
		}
		return b.String()
	}},
	{"names that nobody can click", func(s string) string { return strings.ReplaceAll(s, ".ppe-hosted.com", "[.]ppe-hosted[.]com") }},
	{"names read off a picture", func(s string) string { return strings.ReplaceAll(s, "us1.ppe-hosted.com", "us1. ppe-hosted. com") }},
	{"names read off a picture, hyphens", func(s string) string { return strings.ReplaceAll(s, "ppe-hosted.com", "ppe - hosted.com") }},
	{"other brackets", func(s string) string { return strings.NewReplacer("<", "‹", ">", "›").Replace(s) }},
	{"tabs for indents", func(s string) string { return strings.ReplaceAll(s, "\n    ", "\n\t") }},
	{"upper case hosts", func(s string) string {
		return strings.NewReplacer("outbound-us1.ppe-hosted.com", "OUTBOUND-US1.PPE-HOSTED.COM", "mx.firma.example", "MX.Firma.EXAMPLE").Replace(s)
	}},
	{"bare MIME body", func(s string) string {
		return "This is a MIME-encapsulated message\n\n--b_1\nContent-Type: text/plain\n\n" + s + "\n--b_1--\n"
	}},
	{"alternative", func(s string) string {
		return "From: a@kunde.example\nTo: b@kunde.example\nSubject: x\nMIME-Version: 1.0\nContent-Type: multipart/alternative;\nboundary=alt\n\n--alt\nContent-Type: text/plain; charset=utf-8\n\n" +
			s + "\n--alt\nContent-Type: text/html; charset=utf-8\n\n<html><body><p>" + strings.ReplaceAll(html.EscapeString(keepIndent(s)), "\n", "<br>\n") + "</p></body></html>\n--alt--\n"
	}},
	{"forwarded in a letter", func(s string) string {
		return "Hi,\n\nwhat does this mean? We got it this morning.\n\nRegards\nAda\n\n-----Original Message-----\nFrom: MAILER-DAEMON@mx.firma.example\nSent: Tuesday, November 24, 2026 9:12 AM\nTo: ada@firma.example\nSubject: Undelivered Mail\n\n" + s
	}},
	{"German forward", func(s string) string {
		return "Hallo,\n\nwas heißt das?\n\nVon: MAILER-DAEMON@mx.firma.example\nGesendet: Dienstag, 24. November 2026 09:12\nAn: ada@firma.example\nBetreff: Undelivered Mail\n\n" + s
	}},
	{"attached", func(s string) string {
		return "From: a@kunde.example\nTo: b@kunde.example\nSubject: see there\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=m\n\n--m\nContent-Type: text/plain\n\nsee there\n--m\nContent-Type: message/rfc822\n\nFrom: MAILER-DAEMON@mx.firma.example\nTo: a@kunde.example\nSubject: Undelivered\nContent-Transfer-Encoding: quoted-printable\nContent-Type: text/plain; charset=utf-8\n\n" + quoted(s) + "\n--m--\n"
	}},
}

func inJSON(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func eachLine(s, mark string) string {
	return mark + strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", "\n"+mark) + "\n"
}

// numbered puts its number before each line, as pagers and editors do. A text of
// few lines stays: there a number could be the text's own.
func numbered(s, format string) string {
	if strings.Count(s, "\n") < minNumbered {
		return s
	}
	var b strings.Builder
	for i, l := range strings.Split(strings.TrimSuffix(s, "\n"), "\n") {
		fmt.Fprintf(&b, format, i+1, l)
	}
	return b.String()
}

// eachTrimmed takes the indentation away, as a web form does.
func eachTrimmed(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimLeft(lines[i], " \t")
	}
	return strings.Join(lines, "\n")
}

// rewrapped breaks long lines at blanks, without an indent for the rest.
func rewrapped(s string, width int) string {
	var out []string
	for _, l := range strings.Split(s, "\n") {
		for len(l) > width {
			cut := strings.LastIndexByte(strings.TrimLeft(l[:width], " \t"), ' ')
			cut += len(l[:width]) - len(strings.TrimLeft(l[:width], " \t"))
			if cut <= 0 || strings.TrimSpace(l[:cut]) == "" {
				break
			}
			out = append(out, l[:cut])
			l = l[cut+1:]
		}
		out = append(out, l)
	}
	return strings.Join(out, "\n")
}

func wide(s, mark string) string {
	var b strings.Builder
	b.WriteString(mark)
	for _, u := range utf16.Encode([]rune(s)) {
		b.WriteByte(byte(u))
		b.WriteByte(byte(u >> 8))
	}
	return b.String()
}

func base64Lines(s string) string {
	e := base64.StdEncoding.EncodeToString([]byte(s))
	var b strings.Builder
	for len(e) > 76 {
		b.WriteString(e[:76] + "\n")
		e = e[76:]
	}
	return b.String() + e + "\n"
}

func quoted(s string) string {
	var b bytes.Buffer
	w := quotedprintable.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return strings.ReplaceAll(b.String(), "\r\n", "\n")
}

// keepIndent writes the indent of lines with blanks that HTML keeps.
func keepIndent(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		t := strings.TrimLeft(l, " ")
		lines[i] = strings.Repeat("\u00a0", len(l)-len(t)) + t
	}
	return strings.Join(lines, "\n")
}

// TestVariants reads every pasted sample as it comes out of a mail program.
func TestVariants(t *testing.T) {
	root := filepath.Join("..", "..", "testdata", "reports")
	files, err := filepath.Glob(filepath.Join(root, "*", "*.txt"))
	if err != nil || len(files) < 80 {
		t.Fatalf("%d samples, %v", len(files), err)
	}
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			for i, file := range files {
				if raceDetector && i%5 != 0 {
					continue
				}
				name, _ := filepath.Rel(root, file)
				if skipVariant(filepath.ToSlash(name), v.name) {
					continue
				}
				input, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				outcomesOf := outcomesOf
				if strings.Contains(v.name, "40 columns") {
					outcomesOf = coreOf
				}
				want := outcomesOf(t, Read(input))
				text := []byte(v.do(string(input)))
				cases := Read(text)
				checkDocument(t, Prepare(text))
				checkCases(t, text, cases)
				if got := outcomesOf(t, cases); got != want {
					t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
				}
			}
		})
	}
}

// coreOf is who refused whom with which code. At the width of a telephone the
// rest may get lost.
func coreOf(_ *testing.T, cases []Case) string {
	var b strings.Builder
	for _, c := range sampled(cases) {
		for _, it := range c.Items {
			fmt.Fprintf(&b, "\t%s %d %s %s %s\n", it.Recipient, it.Code, it.Enhanced, it.Refuser, it.Target)
		}
	}
	return b.String()
}

// skipVariant names the pairs in which the variant changes what a text says.
func skipVariant(file, variant string) bool {
	switch {
	case strings.HasPrefix(file, "not/"):
		return true // a plain text becomes a mail, which is another nature
	case strings.HasPrefix(file, "several/"):
		return true // which text belongs to which changes with what stands around it
	case strings.HasPrefix(file, "google-log-search/") && strings.HasPrefix(variant, "wrapped"):
		return true // rows of a table
	case strings.HasPrefix(file, "mdaemon/") && strings.HasPrefix(variant, "wrapped anew at") && !strings.Contains(variant, "72"):
		return true // the lines of a log part from their stamps
	case strings.Contains(variant, "40 columns"):
		// At that width a label parts from its value, and a rule of the reader's
		// from its words.
		switch file {
		case "exchange-2003/by-itself.txt", "m365-modern/labels-with-tabs.txt", "m365-modern/german.txt", "m365-modern/spanish.txt", "m365-classic/delay-listed.txt", "exchange-2003/german.txt", "gmail/german.txt", "messagingserver/address-and-port.txt", "mimecast/sentence-in-the-middle.txt", "others/mailmarshal.txt", "postfix/wrapped-host-and-quoted.txt", "sendgrid/one-line.txt":
			return true
		}
		return strings.HasPrefix(file, "ses/notice")
	case strings.HasPrefix(file, "ses/notice"):
		return variant != "UTF-16" && variant != "base64 body"
	}
	return false
}

// outcomesOf is what a reading says about recipients, without formats, notes
// and hops.
func outcomesOf(t *testing.T, cases []Case) string {
	t.Helper()
	var items []sampleItem
	for _, c := range sampled(cases) {
		items = append(items, c.Items...)
	}
	var b strings.Builder
	for _, it := range items {
		j, err := json.Marshal(it)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "\t%s\n", j)
	}
	return b.String()
}
