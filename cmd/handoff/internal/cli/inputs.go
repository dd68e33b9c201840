package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"unicode/utf8"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
)

// input is one text to be judged.
type input struct {
	source    string
	raw       []byte
	truncated bool
}

// analyzed is a judged input.
type analyzed struct {
	source     string
	report     *analyze.Report
	lines      report.Lines
	unreadable string // why nothing in it can be read; empty: it could be
	bytes      int64
}

// maxInput bounds one text. What is beyond it is left out, and said.
const maxInput = 32 << 20

// mayHoldSeveral tells inputs that give several reports.
func (p *program) mayHoldSeveral(name string, f *analyzeFlags) bool {
	st, err := os.Stat(name)
	return err == nil && st.IsDir() && !f.single
}

// eachReport judges every text of the inputs and gives the reports in order.
func (p *program) eachReport(ctx context.Context, args []string, f *analyzeFlags, o analyze.Options, yield func(*analyzed) error) error {
	for _, name := range args {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		in := p.stdin
		if name != "-" {
			file, err := os.Open(name)
			if err != nil {
				return fail(exitNoInput, "cannot open "+name)
			}
			defer file.Close()
			in = file
		}
		raw, err := io.ReadAll(io.LimitReader(in, maxInput+1))
		if err != nil {
			return fail(exitNoInput, "cannot read "+name)
		}
		x := input{source: name, raw: raw}
		if len(raw) > maxInput {
			x.raw, x.truncated = raw[:maxInput], true
		}
		if err := yield(p.judge(&x, o)); err != nil {
			return err
		}
	}
	return nil
}

// judge analyzes one text.
func (p *program) judge(in *input, o analyze.Options) *analyzed {
	o.Source = in.source
	r := analyze.Analyze(in.raw, o)
	if in.truncated && r.Input != nil {
		r.Input.Truncated = true
	}
	a := &analyzed{source: in.source, report: r, bytes: int64(len(in.raw))}
	if r.Verdict.Code == analyze.InsufficientEvidence && (r.Input == nil || r.Input.Format == "") {
		a.unreadable = foreignKind(in.raw)
	}
	return a
}

// magics are beginnings of files that are no text.
var magics = []struct{ start, says string }{
	{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Outlook .msg or other OLE file: save the mail as .eml, or copy its text"},
	{"PK\x03\x04", "a ZIP archive or an Office document: unpack it, or copy the text"},
	{"\x1f\x8b", "a gzip file that cannot be unpacked"},
	{"%PDF-", "a PDF: copy the text out of it"},
	{"\x89PNG", "a picture: type what it shows, the host and the reply above all"},
	{"\xff\xd8\xff", "a picture: type what it shows, the host and the reply above all"},
	{"GIF8", "a picture: type what it shows, the host and the reply above all"},
	{"\x78\x9f\x3e\x22", "a winmail.dat (TNEF): have the sender send it as plain text"},
	{"{\\rtf", "an RTF document: save it as plain text"},
	{"\x7fELF", "a program"},
	{"MZ", "a program"},
	{"7z\xbc\xaf", "a 7z archive: unpack it"},
	{"BZh", "a bzip2 file: unpack it"},
	{"\xfd7zXZ", "an xz file: unpack it"},
	{"\x28\xb5\x2f\xfd", "a zstd file: unpack it"},
}

// foreignKind names what is no text; empty when it is one.
func foreignKind(raw []byte) string {
	for _, m := range magics {
		if bytes.HasPrefix(raw, []byte(m.start)) && binary(raw) || m.start == "%PDF-" && bytes.HasPrefix(raw, []byte(m.start)) {
			return "this is " + m.says
		}
	}
	if binary(raw) {
		return "this is no text: binary data"
	}
	return ""
}

// binary reports whether the first 64 kB are no text in any common encoding:
// more than one byte in ten is a control or belongs to no character.
func binary(raw []byte) bool {
	raw = raw[:min(len(raw), 64<<10)]
	if len(raw) == 0 || bytes.HasPrefix(raw, []byte{0xff, 0xfe}) || bytes.HasPrefix(raw, []byte{0xfe, 0xff}) {
		return false
	}
	odd := 0
	for rest := raw; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if r == utf8.RuneError && n == 1 && len(rest) >= utf8.UTFMax || r < ' ' && r != '\t' && r != '\n' && r != '\r' && r != '\f' && r != 0x1b && r != '\b' {
			odd += n
		}
		rest = rest[n:]
	}
	return odd > len(raw)/10
}
