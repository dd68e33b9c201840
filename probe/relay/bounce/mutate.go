package bounce

import (
	"encoding/base64"
	"fmt"
	"mime/quotedprintable"
	"strings"
)

// Mutator does to a report what mail programs and people do to it on its way
// into a paste. It changes the form, never the facts.
type Mutator struct {
	Name string
	Says string
	Do   func([]byte) []byte
}

// Mutators lists the mutators.
func Mutators() []Mutator { return append([]Mutator(nil), mutators...) }

// FindMutator returns the mutator of that name.
func FindMutator(name string) (Mutator, bool) {
	for _, m := range mutators {
		if m.Name == name {
			return m, true
		}
	}
	return Mutator{}, false
}

var mutators = []Mutator{
	{"crlf", "line ends are CRLF", func(b []byte) []byte { return []byte(strings.ReplaceAll(string(b), "\n", "\r\n")) }},
	{"text-only", "only what a mail program shows: no headers, no status part, no returned message", textOnly},
	{"quoted", "every line is quoted with \"> \" and wrapped anew", quoted},
	{"forwarded", "forwarded under a few lines of talk", forwarded},
	{"html", "as HTML, with entities inside names", html},
	{"html-text", "the visible text of an HTML mail: indentation and blank runs are gone, addresses have become links", htmlText},
	{"unindented", "leading blanks are lost", unindented},
	{"rewrapped", "wrapped anew at 60 columns", func(b []byte) []byte { return rewrap(b, 60, "") }},
	{"qp", "as a quoted-printable body", qp},
	{"base64", "as a base64 body", b64},
	{"zero-width", "zero-width characters inside names and words", zeroWidth},
	{"nbsp", "blanks have become non-breaking", func(b []byte) []byte { return []byte(strings.ReplaceAll(visible(b), "  ", "\u00a0 ")) }},
	{"german", "Exchange's labels in German", func(b []byte) []byte { return translate(b, german) }},
	{"french", "Exchange's labels in French", func(b []byte) []byte { return translate(b, french) }},
	{"spanish", "Exchange's labels in Spanish", func(b []byte) []byte { return translate(b, spanish) }},
	{"no-status", "the delivery-status part is missing", noStatus},
	{"upper-host", "the host's name in upper case, with the root dot", upperHost},
}

// visible is the part of a report that a mail program shows: the text between
// the first boundary and the next. A text that is no mail is visible as it is.
func visible(b []byte) string {
	text := string(b)
	head, body, ok := strings.Cut(text, "\n\n")
	if !ok || !strings.Contains(head, "boundary=") {
		return text
	}
	_, rest, _ := strings.Cut(head, "boundary=")
	mark := strings.Trim(strings.SplitN(rest, "\n", 2)[0], "\"; ")
	if i := strings.IndexAny(rest[1:], "\"\n"); i >= 0 && rest[0] == '"' {
		mark = rest[1 : i+1]
	}
	if i := strings.IndexByte(mark, ';'); i >= 0 {
		mark = strings.Trim(mark[:i], "\"")
	}
	parts := strings.Split("\n"+body, "\n--"+mark)
	if len(parts) < 2 {
		return body
	}
	part := parts[1]
	if _, text, ok := strings.Cut(strings.TrimLeft(part, "\n"), "\n\n"); ok {
		return strings.Trim(text, "\n") + "\n"
	}
	return part
}

func textOnly(b []byte) []byte { return []byte(visible(b)) }

// rewrap fills paragraphs of the visible text to a width, as a mail program does
// when it replies; lines that look like headings or blanks stay.
func rewrap(b []byte, width int, prefix string) []byte {
	var out strings.Builder
	for line := range strings.Lines(visible(b)) {
		line = strings.TrimRight(line, "\n")
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
		words := strings.Fields(line)
		if len(words) == 0 {
			out.WriteString(strings.TrimRight(prefix, " ") + "\n")
			continue
		}
		cur := prefix + indent + words[0]
		for _, w := range words[1:] {
			if len(cur)+1+len(w) > width {
				out.WriteString(cur + "\n")
				cur = prefix + w
				continue
			}
			cur += " " + w
		}
		out.WriteString(cur + "\n")
	}
	return []byte(out.String())
}

func quoted(b []byte) []byte { return rewrap(b, 76, "> ") }

func forwarded(b []byte) []byte {
	return []byte("Hi,\n\nthis came back, can you have a look?\n\nThanks\nDana\n\n-----Original Message-----\nFrom: Mail Delivery System\nSent: Monday, 23 November 2026 08:40\nTo: Dana\nSubject: Undelivered mail\n\n" + visible(b))
}

func unindented(b []byte) []byte {
	var out strings.Builder
	for line := range strings.Lines(visible(b)) {
		out.WriteString(strings.TrimLeft(line, " \t"))
	}
	return []byte(out.String())
}

// html writes the visible text as an HTML mail: dots of host names and hyphens
// as entities, tags inside lines.
func html(b []byte) []byte {
	r := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "ppe-hosted", "ppe&#45;hosted", "@", "&#64;", "  ", "&nbsp; ")
	var out strings.Builder
	out.WriteString("Content-Type: text/html; charset=\"utf-8\"\nMIME-Version: 1.0\nSubject: Undelivered\n\n<html><head><style>p { margin: 0 }</style></head><body>\n")
	for line := range strings.Lines(visible(b)) {
		line = strings.TrimRight(line, "\n")
		out.WriteString("<p><span style=\"font-size:11pt\">" + strings.Replace(r.Replace(line), "denied", "<b>denied</b>", 1) + "</span></p>\n")
	}
	out.WriteString("</body></html>\n")
	return []byte(out.String())
}

// htmlText is what remains of an HTML mail in a plain paste.
func htmlText(b []byte) []byte {
	var out strings.Builder
	for line := range strings.Lines(visible(b)) {
		words := strings.Fields(line)
		for i, w := range words {
			// Mail programs make links of addresses that stand alone.
			if strings.Count(w, "@") == 1 && !strings.ContainsAny(w, "<>:'") {
				words[i] = w + "<mailto:" + strings.TrimRight(w, ",.") + ">"
			}
		}
		out.WriteString(strings.Join(words, " ") + "\n")
	}
	return []byte(out.String())
}

func qp(b []byte) []byte {
	var out strings.Builder
	out.WriteString("Content-Type: text/plain; charset=\"utf-8\"\nContent-Transfer-Encoding: quoted-printable\nMIME-Version: 1.0\nSubject: Undelivered\n\n")
	w := quotedprintable.NewWriter(&out)
	_, _ = w.Write([]byte(visible(b)))
	_ = w.Close()
	return []byte(out.String())
}

func b64(b []byte) []byte {
	text := base64.StdEncoding.EncodeToString([]byte(visible(b)))
	var out strings.Builder
	out.WriteString("Content-Type: text/plain; charset=\"utf-8\"\nContent-Transfer-Encoding: base64\nMIME-Version: 1.0\nSubject: Undelivered\n\n")
	for len(text) > 76 {
		out.WriteString(text[:76] + "\n")
		text = text[76:]
	}
	out.WriteString(text + "\n")
	return []byte(out.String())
}

func zeroWidth(b []byte) []byte {
	r := strings.NewReplacer("ppe-hosted", "ppe-\u200bhosted", "outlook", "out\u200clook", "denied", "de\u200dnied", "rejected", "re\u00adjected", "hosted.com", "hosted\u2060.com")
	return []byte(r.Replace(visible(b)))
}

// The labels of Exchange's reports in other languages.
var (
	german = []string{
		"Diagnostic information for administrators:", "Diagnoseinformationen für Administratoren:",
		"Generating server:", "Generierender Server:", "Original message headers:", "Ursprüngliche Nachrichtenkopfzeilen:",
	}
	french = []string{
		"Diagnostic information for administrators:", "Informations de diagnostic pour les administrateurs :",
		"Generating server:", "Serveur de génération :", "Original message headers:", "En-têtes de message d'origine :",
	}
	spanish = []string{
		"Diagnostic information for administrators:", "Información de diagnóstico para administradores:",
		"Generating server:", "Servidor de generación:", "Original message headers:", "Encabezados del mensaje original:",
	}
)

func translate(b []byte, labels []string) []byte {
	return []byte(strings.NewReplacer(labels...).Replace(visible(b)))
}

// noStatus drops the delivery-status part of a mail.
func noStatus(b []byte) []byte {
	text := string(b)
	i := strings.Index(text, "Content-Type: message/delivery-status")
	if j := strings.Index(text, "Content-type: message/delivery-status"); i < 0 {
		i = j
	}
	if i < 0 {
		return b
	}
	start := strings.LastIndex(text[:i], "\n--")
	end := strings.Index(text[i:], "\n--")
	if start < 0 || end < 0 {
		return b
	}
	return []byte(text[:start] + text[i+end:])
}

// upperHost prints the host's name as some systems do.
func upperHost(b []byte) []byte {
	text := visible(b)
	for _, host := range []string{"outbound-us1.ppe-hosted.com", "mail.elsewhere.example"} {
		text = strings.ReplaceAll(text, host, strings.ToUpper(host)+".")
	}
	return []byte(text)
}

// Mutate applies mutators in turn by their names.
func Mutate(b []byte, names ...string) ([]byte, error) {
	for _, n := range names {
		m, ok := FindMutator(n)
		if !ok {
			return nil, fmt.Errorf("no mutator %q", n)
		}
		b = m.Do(b)
	}
	return b, nil
}
