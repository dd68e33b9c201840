package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/tui"
	"github.com/smtp-handoff/handoff/probe"
)

// Symptoms implements tui.Backend.
func (b *backend) Symptoms() []tui.Symptom {
	out := make([]tui.Symptom, len(symptoms))
	for i := range symptoms {
		out[i] = tui.Symptom{ID: symptoms[i].id, Words: symptoms[i].words}
	}
	return out
}

// Diagnose implements tui.Backend: it is the command's diagnosis, told anew what
// it was told before.
func (b *backend) Diagnose(told []tui.Told) tui.Guide {
	s, d, g := b.narrowed(told)
	e := d.Explanation()
	g.Causes, g.Sets = e.Causes(), len(e.Sets)
	if t, ok := d.Next(); ok {
		g.Test = &t
	}
	if s.base == nil {
		return g
	}
	if len(s.obs) > 0 && s.base.Verdict.Status != analyze.OK {
		s.conclude(d)
	}
	g.Run.Report = s.base
	return g
}

// narrowed is a diagnosis that was told all this.
func (b *backend) narrowed(told []tui.Told) (*diagnosis, *analyze.Diagnosis, tui.Guide) {
	s := &diagnosis{p: b.p, quiet: true}
	if x, err := b.p.explainer(); err == nil {
		s.options.Explainer = x // the pages of --causes take part
	}
	g := tui.Guide{Steps: make([]tui.GuideStep, len(told))}
	for _, t := range told { // facts first: every explanation has to know them
		if r := t.Run; r != nil && r.Report != nil && t.Test == "" {
			s.options.Facts.Intent = cmp.Or(r.Report.Intent, s.options.Facts.Intent)
			s.options.Facts.CredentialAge = max(s.options.Facts.CredentialAge, r.Form.MadeAgo)
		}
	}
	// What was seen outranks what was told, which may be remembered wrongly.
	for _, symptoms := range []bool{false, true} {
		for i, t := range told {
			if t.Test != "" || symptoms != (t.Symptom != "") {
				continue
			}
			before, aside := s.left(), s.record.Aside
			words := b.begin(s, t, &g)
			g.Steps[i] = tui.GuideStep{Words: words, Before: before, After: s.left()}
			if s.record.Aside > aside {
				g.Steps[i].Note = "some of it fits no explanation together with the rest, and is left out"
			}
		}
	}
	d := s.options.NewDiagnosis(s.obs)
	for i, t := range told {
		if t.Test != "" {
			g.Steps[i] = s.retell(d, t)
		}
	}
	return s, d, g
}

// begin takes a symptom, or what a probe or a text showed, and says it in words.
func (b *backend) begin(s *diagnosis, t tui.Told, g *tui.Guide) string {
	if x := findSymptom(t.Symptom); x != nil {
		s.tell(x)
		if g.Run.When.IsZero() {
			g.Run.When = b.p.now()
		}
		return x.words
	}
	if t.Run == nil || t.Run.Report == nil {
		return ""
	}
	rep := *t.Run.Report // what is concluded stands in a copy
	rep.Outcomes, rep.Sessions = slices.Clone(rep.Outcomes), slices.Clone(rep.Sessions)
	seen := analyze.ObserveText(rep.AppendJSON(nil), s.options)
	was := s.base
	if rep.Kind == "probe" {
		for i := range seen {
			if seen[i].AuthTried == transcript.Yes && seen[i].Login == "" {
				seen[i].Login = t.Run.Form.User
			}
		}
		s.takeProbe(&rep, seen, nil)
	} else {
		if s.base == nil || s.base.Verdict.Status == analyze.Inconclusive {
			s.base = &rep
		}
		s.take(seen)
	}
	if s.base != was {
		g.Run = *t.Run
	}
	what := "read"
	switch {
	case rep.Kind == "probe" && t.Run.Form.Bundled:
		what = "probe of the bundled relay"
	case rep.Kind == "probe":
		what = "probe of " + rep.Target
	case rep.Input != nil && rep.Input.Source != "":
		what = "read " + rep.Input.Source
	}
	return what + ": " + rep.Verdict.Headline
}

// retell tells the diagnosis once more what a test showed.
func (s *diagnosis) retell(d *analyze.Diagnosis, told tui.Told) tui.GuideStep {
	if told.Run != nil && told.Run.Report != nil {
		s.count(told.Run.Report) // no login is tried without end, whoever asks
	}
	t, ok := proposed(d, told.Test)
	e := d.Explanation()
	step := tui.GuideStep{Words: told.Test + ": " + orElse(told.Shown, "not known"), Before: len(e.Sets), After: len(e.Sets), Note: told.Note}
	if told.Shown == "" || !ok {
		_ = d.Skip(told.Test)
		if !ok {
			step.Note = "it tells nothing apart any more"
		}
		return step
	}
	if told.Seen != nil {
		ok = s.observed(d, t, *told.Seen, told.Shown)
	} else if ok = d.Answer(t.ID, told.Shown) == nil; ok {
		s.noteStep(d, t, orElse(told.By, "answer"))
	}
	if !ok {
		_ = d.Skip(told.Test)
		step.Note = "no explanation that is left predicts that: it is left out"
		return step
	}
	e = d.Explanation()
	step.After = len(e.Sets)
	return step
}

// proposed is a test of the plan, in the words of this diagnosis.
func proposed(d *analyze.Diagnosis, id string) (analyze.CatalogueTest, bool) {
	for _, t := range d.Plan() {
		if t.ID == id {
			return t, true
		}
	}
	return analyze.CatalogueTest{}, false
}

// sameRelay says what is wrong where the form names another relay than the one
// that was seen: what it would show belongs to another diagnosis.
func sameRelay(told []tui.Told, f tui.Form) error {
	bundled := false
	for _, t := range told {
		r := t.Run
		if t.Test != "" || r == nil || r.Report == nil || r.Report.Kind != "probe" {
			continue
		}
		bundled = bundled || r.Form.Bundled
		if r.Form.Bundled != f.Bundled || !f.Bundled && !strings.EqualFold(strings.TrimSuffix(r.Report.Target, "."), strings.TrimSuffix(f.Host, ".")) {
			return fmt.Errorf("the form on screen 1 names another relay than %s, which was seen here", orElse(r.Report.Target, "the bundled one"))
		}
	}
	if f.Bundled && !bundled {
		return errors.New("the form on screen 1 stands at the bundled relay, which knows nothing of yours: fill in the host there")
	}
	return nil
}

// Try implements tui.Backend.
func (b *backend) Try(ctx context.Context, told []tui.Told, f tui.Form, observe func(probe.Event)) (tui.Told, error) {
	if err := sameRelay(told, f); err != nil {
		return tui.Told{}, err
	}
	s, d, _ := b.narrowed(told)
	t, ok := d.Next()
	if !ok {
		return tui.Told{}, errors.New("there is no test left that tells these apart")
	}
	j, err := b.jobOf(ctx, f)
	if err != nil {
		return tui.Told{}, err
	}
	j.options.Observe = observe
	s.job = j
	s.prepareTries()
	run, why := s.way(d, t)
	if run == nil {
		return tui.Told{}, errors.New("not from here: " + why)
	}
	out := tui.Told{Test: t.ID, By: "handoff"}
	began := b.p.now()
	s.made = func(rep *analyze.Report, res *probe.Result, o analyze.Observation) {
		r := b.ran(f, rep, res, began)
		out.Run, out.Seen = &r, &o
	}
	tried := len(s.record.Tried)
	made := run(ctx)
	if ctx.Err() != nil {
		return tui.Told{}, errors.New("cancelled: nothing is taken in")
	}
	said := ""
	if n := len(s.record.Tried); n > tried {
		said = s.record.Tried[n-1].Shown
	}
	if !made {
		out.Seen, out.Note = nil, orElse(said, "it showed nothing that decides")
		return out, nil
	}
	out.Shown = said
	return out, nil
}
