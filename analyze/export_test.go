package analyze

import (
	"slices"

	"github.com/smtp-handoff/handoff/analyze/causes"
	"github.com/smtp-handoff/handoff/analyze/ndr"
)

// What tests alone ask for.

// JudgeCases judges what the readers found in one input. Spans of the cases are
// places in that input; without it (nil) the report has no quotes.
func JudgeCases(cases []ndr.Case, input []byte, o Options) *Report {
	return judgeCases(cases, input, inputOf(input, &o), o)
}

// Replies are the refusals that the relay itself gives in a cause's scenarios,
// as it says them, in the order of the road.
func Replies(d causes.Doc) []string {
	x, _ := NewExplainer([]causes.Doc{d})
	var out []string
	for _, c := range x.causes {
		for _, s := range c.scenes {
			for i := range s.endings {
				if t := s.endings[i].text; t != "" && !slices.Contains(out, t) {
					out = append(out, t)
				}
			}
		}
	}
	return out
}
