package cli

import (
	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
)

func strict(r *analyze.Report, l report.Lines) (*analyze.Report, report.Lines) { return r, l }

// maskedText is a text with its secrets hidden, line for line.
func maskedText(data []byte) []byte { return nil }
