package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
)

// maxKeys bounds each table of a summary; what is beyond it is counted as
// "other", so that a stranger's texts cannot fill the memory.
const maxKeys = 100_000

// shownKeys is how many rows of a table the text form prints.
const shownKeys = 20

// summary counts reports and outcomes.
type summary struct {
	messages, outcomes, partial int
	tables                      []*table
}

type table struct {
	Name string
	What string
	rows map[string]int
}

func newSummary() *summary {
	s := &summary{}
	for _, t := range [][2]string{
		{"verdict", "outcomes by verdict"},
		{"refuser", "outcomes by the host that refused"},
		{"reply", "outcomes by what the reply means"},
		{"cause", "outcomes by the first cause"},
		{"day", "outcomes by day (UTC)"},
	} {
		s.tables = append(s.tables, &table{t[0], t[1], map[string]int{}})
	}
	return s
}

func (t *table) count(key string) {
	if _, known := t.rows[key]; !known && len(t.rows) >= maxKeys {
		key = "(other)"
	}
	t.rows[key]++
}

func (s *summary) add(r *analyze.Report) {
	s.messages++
	if r.Input != nil && r.Input.Truncated {
		s.partial++
	}
	outcomes := r.Outcomes
	if len(outcomes) == 0 {
		outcomes = []analyze.Outcome{{Verdict: r.Verdict.Code}}
	}
	for i := range outcomes {
		o := &outcomes[i]
		s.outcomes++
		cause := "(none)"
		if len(o.Causes) > 0 {
			cause = o.Causes[0].ID
			if len(o.Causes) > 1 {
				cause += fmt.Sprintf(" (or %d others)", len(o.Causes)-1)
			}
		}
		day := "(not stated)"
		if t, err := time.Parse(time.RFC3339, o.When); err == nil {
			day = t.UTC().Format(time.DateOnly)
		}
		for i, key := range []string{string(o.Verdict), orElse(o.RefusedBy, "(none)"), replyKind(o.Reply), cause, day} {
			s.tables[i].count(key)
		}
	}
}

// replyKind is what the reply's words mean, or its code where they say nothing
// known.
func replyKind(r analyze.Reply) string {
	if r == (analyze.Reply{}) {
		return "(no reply)"
	}
	line := r.Text
	if r.Enhanced != "" {
		line = r.Enhanced + " " + line
	}
	if r.Code != 0 {
		line = fmt.Sprintf("%d %s", r.Code, line)
	}
	if reply, ok := transcript.ParseReply(line); ok {
		if k := transcript.KindOf(reply); k != "" {
			return string(k)
		}
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", r.Code, r.Enhanced))
}

// row is a line of a table, the most frequent first.
type row struct {
	Key   string `json:"key"`
	Count int    `json:"count"`
}

func (t *table) sorted() []row {
	out := make([]row, 0, len(t.rows))
	for k, n := range t.rows {
		out = append(out, row{k, n})
	}
	slices.SortFunc(out, func(a, b row) int {
		if t.Name == "day" {
			return cmp.Compare(a.Key, b.Key)
		}
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Key, b.Key))
	})
	return out
}

// writeSummary prints the tables as text, or as one JSON object.
func (p *program) writeSummary(out *reports, s *summary) error {
	var b strings.Builder
	switch report.Format(p.flags.format) {
	case report.JSON, report.JSONL:
		doc := struct {
			SchemaVersion string           `json:"schema_version"`
			Kind          string           `json:"kind"`
			Messages      int              `json:"messages"`
			Outcomes      int              `json:"outcomes"`
			Partial       int              `json:"partial"`
			By            map[string][]row `json:"by"`
		}{analyze.SchemaVersion, "summary", s.messages, s.outcomes, s.partial, map[string][]row{}}
		for _, t := range s.tables {
			doc.By[t.Name] = t.sorted()
		}
		indent := " "
		if p.flags.format == string(report.JSONL) {
			indent = ""
		}
		raw, err := report.Marshal(doc, indent)
		if err != nil {
			return err
		}
		b.Write(raw)
	case report.Text, report.Markdown:
		fmt.Fprintf(&b, "%d messages, %d outcomes", s.messages, s.outcomes)
		if s.partial > 0 {
			fmt.Fprintf(&b, ", %d read in part", s.partial)
		}
		b.WriteString("\n")
		for _, t := range s.tables {
			fmt.Fprintf(&b, "\n%s\n", t.What)
			rows := t.sorted()
			width := len(fmt.Sprint(s.outcomes))
			for i, r := range rows {
				if i == shownKeys && t.Name != "day" {
					n := 0
					for _, x := range rows[i:] {
						n += x.Count
					}
					fmt.Fprintf(&b, "  %*d  in %d rows more; -o json has them all\n", width, n, len(rows)-i)
					break
				}
				fmt.Fprintf(&b, "  %*d  %s\n", width, r.Count, report.Show(r.Key))
			}
		}
	default:
		return usage("a summary is text, json or jsonl, not " + p.flags.format)
	}
	if _, err := io.WriteString(out.sink.w, b.String()); err != nil {
		return cannotWrite(err)
	}
	return out.sink.commit()
}
