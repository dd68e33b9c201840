package cli

import (
	"context"
	"encoding/hex"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/mailbox"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
)

// analyzed is a judged message.
type analyzed struct {
	source     string
	report     *analyze.Report
	lines      report.Lines
	unreadable string // why nothing in it can be read, and what to do; empty: it could be
	err        error  // of the system, when the source could not be opened
	bytes      int64
}

// eachReport judges every message of the inputs and gives the reports in order.
func (p *program) eachReport(ctx context.Context, args []string, f *analyzeFlags, o analyze.Options, yield func(*analyzed) error) error {
	withLines := p.flags.format != string(report.JSON) && p.flags.format != string(report.JSONL) && !f.summary
	messages := mailbox.Walk(ctx, args, mailbox.Options{Stdin: p.stdin, Whole: f.single})
	for a := range mailbox.Map(ctx, messages, f.jobs, func(m mailbox.Message) *analyzed { return judgeMessage(&m, o, withLines) }) {
		if err := yield(a); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// bulky is from how many bytes a message makes the program collect its garbage
// sooner from then on: a message of any size is to be read within 64 MB.
const bulky = 1 << 20

var thrift sync.Once

// judgeMessage analyzes one message. A message that cannot be read is a row too.
func judgeMessage(m *mailbox.Message, o analyze.Options, withLines bool) *analyzed {
	o.Source = m.Source
	o.Origin = analyze.Origin{
		Message: m.Number, Line: m.Line, Size: m.Size, Cut: m.Cut, CutLines: m.CutLines, Problem: m.Problem, Advice: m.Advice,
	}
	if m.Sum != [len(m.Sum)]byte{} {
		o.Origin.SHA256 = hex.EncodeToString(m.Sum[:])
	}
	a := &analyzed{source: m.Source, bytes: m.Size}
	if m.Problem != "" && len(m.Data) == 0 {
		a.unreadable, a.err = m.Problem, m.Err
		if m.Advice != "" {
			a.unreadable += ": " + m.Advice
		}
		a.report = analyze.Unreadable(o)
		return a
	}
	if len(m.Data) > bulky {
		// The work beside it would otherwise be let grow to its own size again.
		thrift.Do(func() { debug.SetGCPercent(50) })
	}
	a.report = analyze.Analyze(m.Data, o)
	if withLines && len(m.Data) <= maxWithLines {
		a.lines = evidenceLines(m, a.report)
	}
	return a
}

// eachEvidence calls fn with every evidence of a report.
func eachEvidence(r *analyze.Report, fn func(*analyze.Evidence)) {
	for i := range r.Outcomes {
		for k := range r.Outcomes[i].Evidence {
			fn(&r.Outcomes[i].Evidence[k])
		}
	}
	for i := range r.Findings {
		for k := range r.Findings[i].Evidence {
			fn(&r.Findings[i].Evidence[k])
		}
	}
}

// maxWithLines is up to how many bytes a message has the whole lines of its
// evidence shown. Beyond it the quotes stand alone: masking a whole message for
// a few lines takes several times its size in memory.
const maxWithLines = 1 << 20

// maxLineShown bounds what is kept of a line that evidence stands in.
const maxLineShown = 4 << 10

// evidenceLines keeps the lines that evidence points at, masked. The message
// itself is not kept.
func evidenceLines(m *mailbox.Message, r *analyze.Report) report.Lines {
	var sessions report.Lines // of a probe that was read from its JSON; nil: none
	if len(r.Sessions) > 0 {
		sessions = sessionLines(analyze.SessionsOf(r))
	}
	// Evidence names lines of the source; the message begins somewhere in it and
	// may lack its middle.
	before, cutLine := max(m.Line-1, 0), 0
	if m.Cut > 0 {
		cutLine = countLines(m.Data[:m.Cut])
	}
	wanted := map[int]int{} // line of the message → line of the source
	eachEvidence(r, func(e *analyze.Evidence) {
		for i := range 1 + strings.Count(e.Quote, "\n") {
			line := e.Line + i - before
			if m.Cut > 0 && line > cutLine+m.CutLines {
				line -= m.CutLines
			}
			if e.Port == 0 && e.Line > 0 && len(wanted) < 1000 {
				wanted[line] = e.Line + i
			}
		}
	})
	if len(wanted) == 0 {
		return sessions
	}
	kept := map[int]string{}
	text := maskedText(m.Data)
	line, start := 1, 0
	for i := 0; i <= len(text) && len(kept) < len(wanted); i++ {
		if i < len(text) && text[i] != '\n' && text[i] != '\r' {
			continue
		}
		if at, ok := wanted[line]; ok {
			kept[at] = string(text[start:min(i, start+maxLineShown)])
		}
		if i+1 < len(text) && text[i] == '\r' && text[i+1] == '\n' {
			i++
		}
		line, start = line+1, i+1
	}
	return func(port, line int) (string, bool) {
		if port != 0 && sessions != nil {
			return sessions(port, line)
		}
		s, ok := kept[line]
		return s, ok && port == 0
	}
}

// countLines is how many line ends there are.
func countLines(b []byte) int {
	n := 0
	for i := 0; i < len(b); i++ {
		if b[i] == '\n' || b[i] == '\r' && (i+1 == len(b) || b[i+1] != '\n') {
			n++
		}
	}
	return n
}
