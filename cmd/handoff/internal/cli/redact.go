package cli

import (
	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
)

func strict(r *analyze.Report, l report.Lines) (*analyze.Report, report.Lines) { return r, l }
