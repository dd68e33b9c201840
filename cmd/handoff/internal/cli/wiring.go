package cli

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
)

// exporterCommands are the commands that need the exporter.
func (p *program) exporterCommands() []*cobra.Command { return nil }

// promWriter is the writer of -o prom.
func promWriter(io.Writer) (report.Writer, error) {
	return nil, usage("this build has no Prometheus exposition")
}
