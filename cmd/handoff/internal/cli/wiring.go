package cli

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/exporter"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
)

// exporterCommands are the commands that need the exporter.
func (p *program) exporterCommands() []*cobra.Command { return []*cobra.Command{p.serveCommand()} }

// promWriter is the writer of -o prom.
func promWriter(w io.Writer) (report.Writer, error) {
	return prom{exporter.NewWriter(func(text []byte) error { _, err := w.Write(text); return err })}, nil
}

// prom says in our words when the exposition is asked for more than it can hold.
type prom struct{ *exporter.Writer }

// Write implements report.Writer.
func (p prom) Write(r *analyze.Report, l report.Lines) error {
	err := p.Writer.Write(r, l)
	if errors.Is(err, exporter.ErrNotOne) {
		return usage(err.Error())
	}
	return err
}
