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
// asked for.
type jsonWriter struct {
	w     io.Writer
	array bool
	first []byte // held back
	n     int
}

func (j *jsonWriter) Write(r *analyze.Report, _ Lines) error {
	raw, err := Marshal(r, " ")
	if err != nil {
		return err
	}
	j.n++
	if j.n == 1 && !j.array {
		j.first = raw
		return nil
	}
	lead := ",\n"
	if j.n == 1 {
		lead = "[\n"
	} else if j.first != nil {
		lead = "[\n" + string(bytes.TrimSuffix(j.first, []byte("\n"))) + ",\n"
		j.first = nil
	}
	_, err = j.w.Write(append([]byte(lead), bytes.TrimSuffix(raw, []byte("\n"))...))
	return err
}

func (j *jsonWriter) Close() error {
	end := "\n]\n"
	switch {
	case j.first != nil:
		end = string(j.first)
	case j.n == 0 && j.array:
		end = "[]\n"
	case j.n == 0:
		return nil
	}
	_, err := io.WriteString(j.w, end)
	return err
}

// jsonlWriter writes one object a line.
type jsonlWriter struct {
	w    io.Writer
	line []byte
}

func (j *jsonlWriter) Write(r *analyze.Report, _ Lines) error {
	j.line = append(r.AppendJSON(j.line[:0]), '\n')
	_, err := j.w.Write(j.line)
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
