package report

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
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
