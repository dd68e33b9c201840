// Package report writes an analyze.Report in the formats that people and
// programs ask for, one file per format. It decides nothing: verdicts, causes
// and fixes come ready-made, and every format shows them in the same order:
// verdict, findings, evidence.
//
// All text that a server, a mail or a resolver wrote goes through one door,
// show, before it reaches an output, so that no control sequence of a stranger
// ever steers a terminal, a page or a CI log. Colour is decided per writer by
// the caller and doubled by words; monochrome loses nothing.
//
// The Prometheus exposition is not written here (see package exporter).
package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/smtp-handoff/handoff/analyze"
)

// Format is a name of -o.
type Format string

// The formats. GitHub is the workflow-command form of CI annotations.
const (
	Text     Format = "text"
	JSON     Format = "json"
	JSONL    Format = "jsonl"
	Markdown Format = "markdown"
	HTML     Format = "html"
	JUnit    Format = "junit"
	SARIF    Format = "sarif"
	GitHub   Format = "github"
)

// Formats are all formats of this package in the order of the help text.
var Formats = []Format{Text, JSON, JSONL, Markdown, HTML, JUnit, SARIF, GitHub}

// Options shape an output. The zero value is plain text without colour.
type Options struct {
	Color   bool   // text only: decided per stream by the caller
	Quiet   bool   // text only: the verdict line alone
	Verbose bool   // text only: TLS, capabilities and the transcript of each session
	Command string // the command that repeats the run, without a secret; empty: not shown
	// Masked says what was hidden in the report being written ("1 secret, 2
	// addresses"); nil or empty: nothing is said.
	Masked  func() string
	Version string // of the program, for the formats that name their tool
	Stream  bool   // JSON: an array even of one report, since several inputs were named
}

// masked is Masked, or nothing.
func (o *Options) masked() string {
	if o.Masked == nil {
		return ""
	}
	return o.Masked()
}

// Lines gives the text of a line that evidence points at: of the input when
// port is 0, of that session's transcript otherwise. Secrets are masked in it.
// It may be nil, and answers false for a line it does not have.
type Lines func(port, line int) (text string, ok bool)

// Writer writes reports one after the other. Close ends the document; it does
// not close what is beneath.
type Writer interface {
	Write(r *analyze.Report, lines Lines) error
	Close() error
}

// New returns the writer of a format. The error names the formats there are.
func New(w io.Writer, f Format, o Options) (Writer, error) {
	switch f {
	case Text, "":
		return newText(w, o), nil
	case JSON:
		return &jsonWriter{w: w, array: o.Stream}, nil
	case JSONL:
		return &jsonlWriter{w: w}, nil
	case Markdown:
		return &markdownWriter{w: w, o: o}, nil
	case HTML:
		return &htmlWriter{w: w, o: o}, nil
	case JUnit:
		return &junitWriter{w: w}, nil
	case SARIF:
		return &sarifWriter{w: w, o: o}, nil
	case GitHub:
		return &githubWriter{w: w}, nil
	}
	names := make([]string, len(Formats))
	for i, f := range Formats {
		names[i] = string(f)
	}
	return nil, fmt.Errorf("no format %q; there are %s", string(f), strings.Join(names, ", "))
}
