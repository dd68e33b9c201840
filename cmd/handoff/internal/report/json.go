package report

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// jsonWriter writes one indented object, or an array when there are several
// reports. The first one is held back until that is known, unless an array was
// asked for: as a report, which is a fraction of its JSON.
type jsonWriter struct {
	w     io.Writer
	array bool
	first *analyze.Report // held back
	n     int
	room  []byte
	in    indenter
}

func (j *jsonWriter) Write(r *analyze.Report, _ Lines) error {
	j.n++
	switch {
	case j.n == 1 && !j.array:
		j.first = r
		return nil
	case j.n == 1:
		return j.write("[\n", r)
	case j.first != nil:
		first := j.first
		j.first = nil
		if err := j.write("[\n", first); err != nil {
			return err
		}
	}
	return j.write(",\n", r)
}

// write writes a lead and a report without a line end behind it.
func (j *jsonWriter) write(lead string, r *analyze.Report) error {
	j.in = indenter{w: j.w, out: append(j.in.out[:0], lead...)}
	var err error
	if j.room, err = r.StreamJSON(j.room[:0], &j.in); err != nil {
		return err
	}
	if _, err = j.in.Write(j.room); err != nil {
		return err
	}
	return j.in.flush()
}

func (j *jsonWriter) Close() error {
	end := "\n]\n"
	switch {
	case j.first != nil:
		if err := j.write("", j.first); err != nil {
			return err
		}
		end = "\n"
	case j.n == 0 && j.array:
		end = "[]\n"
	case j.n == 0:
		return nil
	}
	_, err := io.WriteString(j.w, end)
	return err
}

// indenter indents compact JSON on its way to w, by one blank a level, as
// json.Indent does, which needs the whole document in memory.
type indenter struct {
	w       io.Writer
	out     []byte
	depth   int
	opened  bool // the last byte opened an object or an array
	quoted  bool // inside a string
	escaped bool // behind a backslash
}

// indentedBytes is how much is held before it is written.
const indentedBytes = 64 << 10

func (d *indenter) Write(b []byte) (int, error) {
	for _, c := range b {
		if d.quoted {
			d.out = append(d.out, c)
			d.quoted = c != '"' || d.escaped
			d.escaped = c == '\\' && !d.escaped
			continue
		}
		if c == '}' || c == ']' {
			d.depth--
			if !d.opened {
				d.newline()
			}
			d.opened = false
			d.out = append(d.out, c)
			continue
		}
		if d.opened {
			d.opened = false
			d.newline()
		}
		d.out = append(d.out, c)
		switch c {
		case '"':
			d.quoted = true
		case '{', '[':
			d.depth++
			d.opened = true
		case ',':
			d.newline()
		case ':':
			d.out = append(d.out, ' ')
		}
	}
	if len(d.out) >= indentedBytes {
		return len(b), d.flush()
	}
	return len(b), nil
}

func (d *indenter) newline() {
	d.out = append(d.out, '\n')
	for range d.depth {
		d.out = append(d.out, ' ')
	}
}

// flush writes what is held.
func (d *indenter) flush() error {
	_, err := d.w.Write(d.out)
	d.out = d.out[:0]
	return err
}

// jsonlWriter writes one object a line.
type jsonlWriter struct {
	w    io.Writer
	line []byte
}

func (j *jsonlWriter) Write(r *analyze.Report, _ Lines) error {
	var err error
	if j.line, err = r.StreamJSON(j.line[:0], j.w); err != nil {
		return err
	}
	j.line = append(j.line, '\n')
	_, err = j.w.Write(j.line)
	return err
}

func (j *jsonlWriter) Close() error { return nil }

// Marshal is JSON that is safe on a terminal and in a log: a valid UTF-8
// document, ended by one line feed, in which controls, DEL, C1, bidirectional
// and invisible characters stand as \u escapes. An empty indent gives one line.
func Marshal(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return transcript.EscapeJSON(b.Bytes()), nil
}
