package report

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/smtp-handoff/handoff/analyze"
)

// markdownWriter writes the ticket form: what goes into an issue, a chat or a
// CI summary. Foreign text stands in code spans and fences only, so that it
// makes no link, no image, no mention and no table cell of its own.
type markdownWriter struct {
	w io.Writer
	o Options
	n int
}

func (m *markdownWriter) Write(r *analyze.Report, lines Lines) error {
	var b bytes.Buffer
	if m.n > 0 {
		b.WriteString("\n")
	}
	m.n++
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	p("### %s%s\n", mdText(subjectOf(r)), mdText(headlineOf(r)))
	p("**Verdict:** %s, %s, %s.", mdText(string(r.Verdict.Code)), mdText(string(r.Verdict.Status)), mdText(string(r.Verdict.Confidence)))
	if r.Verdict.Next != "" {
		p(" **Next:** %s.", mdText(strings.TrimSuffix(r.Verdict.Next, ".")))
	}
	if r.Intent != "" {
		p(" **Intent:** %s.", mdText(string(r.Intent)))
	}
	if r.Input != nil {
		p(" **Input:** %s, %s, %d bytes.", mdCode(r.Input.Source), mdText(cmp.Or(r.Input.Format, "format not recognised")), r.Input.Bytes)
		if r.Input.Partial() {
			p(" **Partial:** a limit was reached.")
		}
	}
	p("\n")
	mdSessions(p, r)
	mdOutcomes(p, r)
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		if i == maxOutcomes {
			break
		}
		if len(o.Causes) == 0 && len(o.Evidence) == 0 {
			continue
		}
		p("\n**%s**\n", mdText("Outcome for "+cmp.Or(o.Recipient, "a recipient that is not stated")))
		mdEvidence(p, o.Evidence, lines)
		mdCauses(p, o.Causes)
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		p("\n**%s**, %s", mdText(f.ID), mdText(string(f.Severity)))
		if f.Expected {
			p(", expected")
		}
		p(". %s\n", mdText(f.Title))
		mdEvidence(p, f.Evidence, lines)
		if f.Why != "" {
			p("- Why: %s\n", mdText(f.Why))
		}
		for _, x := range f.Fix {
			p("- Fix (%s): %s", mdText(cmp.Or(string(x.Who), "unknown")), mdText(x.Text))
			if x.Command != "" {
				p(" %s", mdCode(x.Command))
			}
			p("\n")
		}
		for _, n := range f.Not {
			p("- Do not: %s\n", mdText(n))
		}
		if f.Source != "" {
			p("- Source: %s\n", mdText(f.Source))
		}
	}
	if r.Diagnosis != nil && len(r.Diagnosis.Tried) > 0 {
		p("\n**Tests made**\n\n")
		for i := range r.Diagnosis.Tried {
			x := &r.Diagnosis.Tried[i]
			p("- %s: %s (%s)\n", mdText(x.Test), mdText(x.Shown), narrowed(x))
		}
	}
	if len(r.Causes) > 0 {
		p("\n**Causes**\n")
		mdCauses(p, r.Causes)
	}
	if len(r.NextTests) > 0 {
		p("\n**Next tests**\n\n")
		for _, n := range r.NextTests {
			p("- **%s**: %s", mdText(n.ID), mdText(n.Do))
			if len(n.Separates) > 0 {
				p(" (tells apart %s)", mdText(strings.Join(n.Separates, ", ")))
			}
			p("\n")
			for _, x := range shownFirst(n.Shows) {
				p("  - if it shows %s: %s\n", mdText(x.Show), mdText(strings.Join(x.Causes, ", ")))
			}
		}
	}
	masked := m.o.masked()
	if m.o.Command != "" || masked != "" {
		var last []string
		if m.o.Command != "" {
			last = append(last, "Repeat: "+mdCode(m.o.Command)+".")
		}
		if masked != "" {
			last = append(last, "Redacted: "+mdText(masked)+".")
		}
		p("\n%s\n", strings.Join(last, " "))
	}
	_, err := m.w.Write(b.Bytes())
	return err
}

func (m *markdownWriter) Close() error { return nil }

func mdSessions(p func(string, ...any), r *analyze.Report) {
	if len(r.Sessions) == 0 {
		return
	}
	p("\n| port |")
	for _, s := range stages[:7] {
		p(" %s |", s)
	}
	p(" verdict |\n|---%s|---|\n", strings.Repeat("|---", 7))
	for i := range r.Sessions {
		s := &r.Sessions[i]
		p("| %d %s|", s.Port, mdCell(s.Address))
		for _, c := range Cells(s)[:7] {
			text := mdText(c.Status)
			switch {
			case c.Status == "ok":
				if c.TookMS > 0 {
					text += " " + took(c.TookMS)
				}
				if c.Stage == "tls" && s.TLS.Version != "" {
					text += " " + mdCell(s.TLS.Version)
					if len(s.TLS.NotAfter) >= 10 {
						text += "until " + mdCell(s.TLS.NotAfter[:10])
					}
				}
			case c.Status == "skipped" && c.Step.Note != "":
				text += ": " + mdCell(c.Step.Note)
			case c.Step != nil && c.Step.Reply != nil && c.Status != "skipped":
				text = "**" + mdText(c.Status) + "** " + mdCell(foldReply(*c.Step.Reply))
			case c.Step != nil && c.Step.Fault != "":
				text = "**" + mdText(c.Status) + "** " + mdText(c.Step.Fault)
				if c.Step.Note != "" {
					text += ": " + mdCell(c.Step.Note)
				}
			}
			p(" %s |", strings.TrimSpace(text))
		}
		p(" %s", mdText(string(s.Verdict)))
		if s.Expected && s.Verdict != analyze.Ready {
			p(", expected")
		}
		if s.Verdict == analyze.Ready && !whole(s) {
			p(" up to %s", mdText(s.Stage))
		}
		p(" |\n")
	}
	for i := range r.Sessions {
		if s := &r.Sessions[i]; len(s.TLS.Versions) > 0 {
			p("\nPort %d at %s: %s.\n", s.Port, mdText(s.Address), mdText(tlsVersions(s)))
		}
	}
}

func mdOutcomes(p func(string, ...any), r *analyze.Report) {
	if len(r.Outcomes) == 0 {
		return
	}
	p("\n| recipient | verdict | stage | party | direction | reply | refused by | reported by |\n|---|---|---|---|---|---|---|---|\n")
	for i := range r.Outcomes {
		if i == maxOutcomes {
			p("\nAnd %d outcomes more.\n", len(r.Outcomes)-i)
			return
		}
		o := &r.Outcomes[i]
		p("| %s| %s | %s | %s | %s | %s| %s| %s|\n", mdUnstated(o.Recipient), mdText(string(o.Verdict)), mdText(o.Stage), mdText(string(o.Party)), mdText(string(o.Direction)),
			mdUnstated(foldReply(o.Reply)), mdUnstated(o.RefusedBy), mdUnstated(o.ReportedBy))
	}
}

// foldReply is a reply on one line, not yet escaped.
func foldReply(r analyze.Reply) string {
	code := ""
	if r.Code != 0 {
		code = fmt.Sprint(r.Code)
	}
	text := strings.Join(splitLines(r.Text), " / ")
	return strings.Join(nonEmpty(code, r.Enhanced, text), " ")
}

func mdEvidence(p func(string, ...any), evidence []analyze.Evidence, lines Lines) {
	all, left := snippets(evidence, lines)
	for _, s := range all {
		var body strings.Builder
		for _, l := range s.Lines {
			fmt.Fprintf(&body, "%s | ", l.Label())
			for _, x := range l.Pieces {
				body.WriteString(x.Text)
			}
			body.WriteString("\n")
		}
		fence := strings.Repeat("`", max(3, longestRun(body.String(), '`')+1))
		p("\n%s:\n\n%stext\n%s%s\n\n", s.Where, fence, body.String(), fence)
	}
	if left > 0 {
		p("\nAnd %d lines of evidence more.\n\n", left)
	}
	if len(all) == 0 {
		p("\n")
	}
}

func mdCauses(p func(string, ...any), causes []analyze.Cause) {
	p("\n")
	for i, c := range causes {
		p("%d. **%s** (%s): %s", i+1, mdText(c.ID), mdText(cmp.Or(string(c.Who), "unknown")), mdText(sentence(c.Fits)))
		if c.Fix != "" {
			p(" Fix: %s", mdText(sentence(c.Fix)))
		}
		if c.Source != "" {
			p(" Source: %s", mdText(sentence(c.Source)))
		}
		p("\n")
	}
}

// sentence ends a text with a full stop, for texts that stand in a row.
func sentence(s string) string {
	if s == "" || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

// mdText escapes what Markdown would read as markup. Words that GitHub would
// turn into a link or a mention stand in a code span instead.
func mdText(s string) string {
	words := strings.Split(show(s), " ")
	for i, w := range words {
		if strings.Contains(w, "@") || strings.Contains(w, "://") || strings.Contains(strings.ToLower(w), "www.") {
			words[i] = codeSpan(w)
			continue
		}
		var b strings.Builder
		for _, r := range w {
			if strings.ContainsRune("\\`*_[]<>|#!~&{}", r) {
				b.WriteByte('\\')
			}
			b.WriteRune(r)
		}
		words[i] = b.String()
	}
	return strings.Join(words, " ")
}

// mdCode puts foreign text into a code span whose fence is longer than any run
// of backticks inside.
func mdCode(s string) string { return codeSpan(replyText(s)) }

func codeSpan(s string) string {
	if s == "" {
		return ""
	}
	fence := strings.Repeat("`", longestRun(s, '`')+1)
	pad := ""
	if len(fence) > 1 || strings.HasPrefix(s, " ") || strings.HasSuffix(s, " ") {
		pad = " "
	}
	return fence + pad + s + pad + fence
}

// mdCell is a code span in a table, where a pipe ends the cell even in code;
// followed by a space, or empty.
func mdCell(s string) string {
	if s == "" {
		return ""
	}
	return strings.ReplaceAll(mdCode(s), "|", `\|`) + " "
}

func mdUnstated(s string) string {
	if s == "" {
		return "not stated "
	}
	return mdCell(s)
}

func longestRun(s string, c rune) int {
	best, run := 0, 0
	for _, r := range s {
		if r == c {
			run++
			best = max(best, run)
		} else {
			run = 0
		}
	}
	return best
}

// subjectOf is what the report is about, followed by ": ", or nothing.
func subjectOf(r *analyze.Report) string {
	switch {
	case r.Target != "":
		return r.Target + ": "
	case r.Input != nil && r.Input.Source != "":
		return r.Input.Source + ": "
	}
	return ""
}

func headlineOf(r *analyze.Report) string {
	if r.Verdict.Headline != "" {
		return r.Verdict.Headline
	}
	return string(r.Verdict.Code)
}
