package report

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// stages are the columns of a step table in the order of the road.
var stages = []string{"resolve", "connect", "greet", "ehlo", "tls", "auth", "envelope", "data"}

// Cell is what a stage of a session came to.
type Cell struct {
	Stage  string
	Status string  // ok refused deferred failed skipped; "not tried" when no step says anything
	TookMS float64 // first command out to last reply in; pipelined steps count once
	Step   *analyze.Step
}

// Cells sums the steps of a session up per stage. The first step of a stage
// that is not ok decides its word. The data stage shows only where it was met.
func Cells(s *analyze.Session) []Cell {
	out := make([]Cell, 0, len(stages))
	for _, stage := range stages {
		c := Cell{Stage: stage, Status: "not tried"}
		var begin, end float64
		open := false
		for i := range s.Steps {
			st := &s.Steps[i]
			if st.Stage != stage {
				open = false
				continue
			}
			if c.Step == nil || c.Status == "ok" && st.Status != "ok" && !Courtesy(st) ||
				c.Status == "skipped" && st.Status != "skipped" {
				c.Step, c.Status = st, st.Status
			}
			if st.Status == "skipped" {
				continue
			}
			if !open || !st.Grouped {
				c.TookMS += end - begin
				begin, end, open = st.SentMS, st.SentMS+st.TookMS, true
				continue
			}
			end = max(end, st.SentMS+st.TookMS)
		}
		c.TookMS += end - begin
		if stage == "data" && c.Step == nil {
			continue
		}
		out = append(out, c)
	}
	return out
}

// whole reports whether a session that is ready was tried as far as mail goes.
func whole(s *analyze.Session) bool {
	switch s.Stage {
	case "envelope", "data", "accepted":
		return true
	}
	return false
}

// decided is what was said, or what happened, at the step where a session
// broke: the words that an admin looks for. Empty where it did not break, and
// where a finding of the report quotes them; nil asks for them all the same.
func decided(r *analyze.Report, s *analyze.Session) string {
	if s.Verdict == analyze.Ready || s.Expected {
		return ""
	}
	var at *Cell
	cells := Cells(s)
	for i := range cells {
		c := &cells[i]
		if c.Status == "failed" || c.Status == "refused" || c.Status == "deferred" || c.Status == "skipped" && c.Stage == s.Stage {
			at = c
			break
		}
	}
	if at == nil || at.Step == nil {
		return ""
	}
	st := at.Step
	said := ""
	switch {
	case st.Reply != nil:
		if quotes(r, s.Port, st.Reply.Text) {
			return ""
		}
		said = replyLine(*st.Reply)
	case st.Fault != "":
		said = transcript.Fault(st.Fault).Words()
		if quotes(r, s.Port, said) {
			return ""
		}
		said = show(said)
		if st.Note != "" {
			said += " (" + show(st.Note) + ")"
		}
	case st.Note != "":
		said = show(st.Note)
	default:
		return ""
	}
	if v := transcript.Verb(st.Command); v != "" {
		return "at " + show(v) + ": " + said // its arguments are personal
	}
	return "at " + at.Stage + ": " + said
}

// quotes reports whether a finding shows words of a session on a port.
func quotes(r *analyze.Report, port int, words string) bool {
	first, _, _ := strings.Cut(words, "\n")
	if first == "" || r == nil {
		return false
	}
	for i := range r.Findings {
		for k := range r.Findings[i].Evidence {
			if e := &r.Findings[i].Evidence[k]; e.Port == port && strings.Contains(e.Quote, first) {
				return true
			}
		}
	}
	return false
}

// Courtesy tells RSET and QUIT, whose answers never change a verdict.
func Courtesy(s *analyze.Step) bool {
	verb := strings.ToUpper(s.Command)
	return verb == "QUIT" || verb == "RSET"
}

// tlsVersions says in one line which versions of TLS a scan found accepted;
// empty when none was asked for.
func tlsVersions(s *analyze.Session) string {
	words := make([]string, len(s.TLS.Versions))
	for i, v := range s.TLS.Versions {
		word := map[string]string{"yes": "accepted", "no": "refused"}[v.Accepted]
		words[i] = show(v.Version) + " " + cmp.Or(word, "not known")
		if v.Alert != "" {
			words[i] += " (" + show(v.Alert) + ")"
		}
	}
	return strings.Join(words, ", ")
}

// took writes a duration the way the step line does.
func took(ms float64) string {
	switch {
	case ms <= 0:
		return ""
	case ms < 0.1:
		return "<0.1ms"
	case ms < 10:
		return fmt.Sprintf("%.1fms", ms)
	case ms < 10000:
		return fmt.Sprintf("%.0fms", ms)
	}
	return fmt.Sprintf("%.1fs", ms/1000)
}

// replyLine is a reply in one escaped line: code, enhanced code, text.
func replyLine(r analyze.Reply) string {
	var parts []string
	if r.Code != 0 {
		parts = append(parts, fmt.Sprint(r.Code))
	}
	if r.Enhanced != "" {
		parts = append(parts, show(r.Enhanced))
	}
	if r.Text != "" {
		parts = append(parts, replyText(r.Text))
	}
	return strings.Join(parts, " ")
}

// replyText joins the lines of a reply with " / ", at most 20 lines and 2,000
// characters of them, and says exactly how much is left out.
func replyText(text string) string {
	lines := splitLines(text)
	more := ""
	if len(lines) > maxShownLines {
		more = fmt.Sprintf(" / and %d lines more", len(lines)-maxShownLines)
		lines = lines[:maxShownLines]
	}
	s := strings.Join(lines, " / ")
	if cut := runeOffset(s, 2000); cut < len(s) {
		n := 0
		for range s[cut:] {
			n++
		}
		return show(s[:cut]) + fmt.Sprintf(" ... and %d characters more", n) + more
	}
	return show(s) + more
}

// expectedNote says under which intent a refusal is documented.
func expectedNote(r *analyze.Report) string {
	if r.Intent != "" {
		return "expected under intent " + show(string(r.Intent))
	}
	return "expected"
}
