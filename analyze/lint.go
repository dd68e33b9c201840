package analyze

import (
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/causes"
	"github.com/smtp-handoff/handoff/analyze/policy"
)

// LintCauses checks the pages of a folder: their shape and words, that every
// source is one, that every statement of a scenario is of the grammar, and that
// every scenario changes how its road ends. Problems come with file and line.
func LintCauses(fsys fs.FS) []causes.Problem {
	return causes.Lint(fsys, causes.Checks{
		Source: func(key string) bool { _, ok := policy.Source(key); return ok },
		Known:  func(id string) bool { _, ok := causes.Page(id); return ok },
		Scenario: func(base string, lines []string) (int, string) {
			return checkScenario(base, lines)
		},
	})
}

// checkScenario carries a scenario out on the healthy worlds of a base.
func checkScenario(base string, lines []string) (int, string) {
	for i := range bases {
		b := &bases[i]
		if b.name != base {
			continue
		}
		w := healthyWorld(b).Clone()
		for n, l := range lines {
			if strings.HasPrefix(l, "clock ") {
				continue
			}
			if _, err := w.Apply(l, worldTime); err != nil {
				return n, err.Error()
			}
		}
		part, err := timeline(lines)
		if err != nil {
			return -1, err.Error()
		}
		s, _, err := newScene([]*suspect{nil}, b, healthyWorld(b), part)
		if err != nil {
			return -1, err.Error()
		}
		if !slices.Equal(s.endings, endings(healthyWorld(b).Clone(), b)) {
			return -1, ""
		}
	}
	return -1, fmt.Sprintf("the scenario changes nothing on base %s: the road ends as in a healthy world", base)
}

// WithCauses is an explainer of the program's pages with those of a folder added
// or put in their place. Pages with a problem are left out and told.
func WithCauses(fsys fs.FS) (*Explainer, []causes.Problem) {
	docs, problems := causes.Overlay(causes.All(), fsys)
	x, more := NewExplainer(docs)
	for _, d := range docs {
		if !d.Finding {
			continue
		}
		if own, ok := causes.Find(causes.Findings(), d.ID); !ok || !reflect.DeepEqual(own, d) {
			if x.findings == nil {
				x.findings = map[string]Finding{}
			}
			x.findings[d.ID] = fromPage(&d)
		}
	}
	return x, append(problems, more...)
}

// reword gives the findings of a report the words of the folder's pages. What
// the judge said in place of a page's words stays.
func (x *Explainer) reword(r *Report) {
	if x == nil || len(x.findings) == 0 {
		return
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		page, ok := x.findings[f.ID]
		if !ok {
			continue
		}
		own, _ := FindingOf(f.ID, nil)
		if f.Title == own.Title {
			f.Title = page.Title
		}
		if f.Why == own.Why {
			f.Why = page.Why
		}
		if slices.Equal(f.Fix, own.Fix) {
			f.Fix = slices.Clone(page.Fix)
		}
		f.Not, f.Source = page.Not, page.Source
	}
}
