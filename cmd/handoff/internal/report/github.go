package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/smtp-handoff/handoff/analyze"
)

// githubWriter writes workflow commands, which GitHub turns into annotations.
// It shows ten of a kind per step, so the verdict comes first and the findings
// after it, errors before warnings before notices.
type githubWriter struct{ w io.Writer }

func (g *githubWriter) Write(r *analyze.Report, lines Lines) error {
	var b bytes.Buffer
	level := map[analyze.Status]string{analyze.OK: "notice", analyze.Problem: "error", analyze.Inconclusive: "warning"}[r.Verdict.Status]
	if level == "" {
		level = "warning"
	}
	g.line(&b, r, level, "handoff: "+string(r.Verdict.Code), nil, strings.Join(nonEmpty(
		show(subjectOf(r)+headlineOf(r)), show(r.Verdict.Next), causeText(r.Causes)), "\n"))
	for _, severity := range []analyze.Severity{analyze.Error, analyze.Warning, analyze.Info} {
		for i := range r.Findings {
			f := &r.Findings[i]
			word := map[analyze.Severity]string{analyze.Error: "error", analyze.Warning: "warning", analyze.Info: "notice"}[f.Severity]
			if f.Severity != severity {
				continue
			}
			if f.Expected || word == "" {
				word = "notice"
			}
			g.line(&b, r, word, f.ID, f.Evidence, strings.Join(nonEmpty(show(f.Title), show(f.Why), evidenceText(f.Evidence, lines), fixText(f)), "\n"))
		}
	}
	_, err := g.w.Write(b.Bytes())
	return err
}

func (g *githubWriter) Close() error { return nil }

func (g *githubWriter) line(b *bytes.Buffer, r *analyze.Report, level, title string, evidence []analyze.Evidence, message string) {
	fmt.Fprintf(b, "::%s title=%s", level, property(show(title)))
	if r.Kind == "analysis" && r.Input != nil && r.Input.Source != "" && r.Input.Source != "-" && len(evidence) > 0 && evidence[0].Line > 0 {
		fmt.Fprintf(b, ",file=%s,line=%d,col=%d", property(show(r.Input.Source)), evidence[0].Line, evidence[0].Column)
	}
	fmt.Fprintf(b, "::%s\n", data(message))
}

// data and property are the escapes that the runner undoes.
func data(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func property(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(s)
}
