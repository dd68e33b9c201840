package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"

	"github.com/smtp-handoff/handoff/analyze"
)

// jsonWriter writes one indented object, or an array of them when several
// reports may come.
type jsonWriter struct {
	w     io.Writer
	array bool
	n     int
}

func (j *jsonWriter) Write(r *analyze.Report, _ Lines) error {
	lead := ""
	if j.array {
		lead = ",\n"
		if j.n == 0 {
			lead = "[\n"
		}
	}
	j.n++
	raw, err := Marshal(r, " ")
	if err != nil {
		return err
	}
	if j.array {
		raw = bytes.TrimSuffix(raw, []byte("\n"))
	}
	_, err = j.w.Write(append([]byte(lead), raw...))
	return err
}

func (j *jsonWriter) Close() error {
	if !j.array {
		return nil
	}
	end := "\n]\n"
	if j.n == 0 {
		end = "[]\n"
	}
	_, err := io.WriteString(j.w, end)
	return err
}

// jsonlWriter writes one object a line.
type jsonlWriter struct{ w io.Writer }

func (j *jsonlWriter) Write(r *analyze.Report, _ Lines) error {
	raw, err := Marshal(r, "")
	if err != nil {
		return err
	}
	_, err = j.w.Write(raw)
	return err
}

func (j *jsonlWriter) Close() error { return nil }

// Marshal is JSON that is safe on a terminal and in a log: a valid UTF-8
// document, ended by one line feed, in which controls, DEL, C1, bidirectional
// and invisible characters stand as \u escapes (encoding/json leaves all but
// C0 raw). An empty indent gives one line.
func Marshal(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return escapeJSON(b.Bytes()), nil
}

// escapeJSON rewrites what is legal in JSON but steers a screen. Such runes can
// only stand inside strings, so a \u escape is always right.
func escapeJSON(raw []byte) []byte {
	if bytes.IndexFunc(raw, hidden) < 0 {
		return raw
	}
	out := make([]byte, 0, len(raw)+64)
	for len(raw) > 0 {
		r, n := utf8.DecodeRune(raw)
		switch {
		case !hidden(r):
			out = append(out, raw[:n]...)
		case r > 0xffff:
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		raw = raw[n:]
	}
	return out
}

// hidden tells characters that a reader would not see as themselves.
func hidden(r rune) bool {
	if r < 0x7f {
		return false // C0 is escaped by encoding/json, the rest is printable
	}
	switch {
	case r < 0xa0, r == 0xad, r == 0x34f, r == 0x115f, r == 0x1160, r == 0x17b4, r == 0x17b5,
		r >= 0x180b && r <= 0x180f, r == 0x3164, r == 0xffa0,
		r >= 0xfe00 && r <= 0xfe0f, r >= 0xe0000 && r <= 0xe0fff:
		return true
	}
	return unicode.In(r, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp, unicode.Cs) || r&0xfffe == 0xfffe || r >= 0xfdd0 && r <= 0xfdef
}
