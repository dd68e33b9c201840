package analyze

import (
	"fmt"
	"slices"
)

// Diagnosis narrows an explanation down, test by test, until one is left or no
// test of the catalogue can split the rest. It holds no clock and asks nobody:
// its caller does the tests and tells what they showed.
type Diagnosis struct {
	x     *Explainer
	sets  []CauseSet
	obs   []Observation
	qs    []question
	facts Facts
	used  []string
	steps []DiagnosisStep
}

// DiagnosisStep is one test that was done.
type DiagnosisStep struct {
	Test   string
	Shown  string
	Before int // explanations before and after it
	After  int
}

// NewDiagnosis begins with what was seen and what is known.
func NewDiagnosis(obs []Observation, f Facts) *Diagnosis {
	return newDiagnosis(Explain(obs, f), obs, f)
}

// Explain is the package's Explain with the facts and the pages of the options.
func (o *Options) Explain(obs []Observation) Explanation {
	return o.explainerOf(obs).Explain(obs, o.Facts)
}

// NewDiagnosis is the package's with the facts and the pages of the options.
func (o *Options) NewDiagnosis(obs []Observation) *Diagnosis {
	return newDiagnosis(o.Explain(obs), obs, o.Facts)
}

func newDiagnosis(e Explanation, obs []Observation, f Facts) *Diagnosis {
	return &Diagnosis{x: e.x, sets: slices.Clone(e.Sets), obs: obs, qs: e.qs, facts: f}
}

// Explanation is what is left.
func (d *Diagnosis) Explanation() Explanation {
	return Explanation{Sets: slices.Clone(d.sets), x: d.x, qs: d.qs}
}

// Steps are the tests done so far, in order.
func (d *Diagnosis) Steps() []DiagnosisStep { return slices.Clone(d.steps) }

// Next is the best test now; ok is false when one explanation is left or no test
// splits the rest.
func (d *Diagnosis) Next() (t CatalogueTest, ok bool) {
	plans := d.plans(1)
	if len(plans) == 0 {
		return CatalogueTest{}, false
	}
	return d.proposed(&plans[0]), true
}

func (d *Diagnosis) proposed(p *plan) CatalogueTest {
	c := CatalogueTest{NextTest: p.test, Probe: p.t.probe}
	c.Do = dress(&p.test, d.obs, &d.facts)
	if d.other() && p.t.probe != nil && p.t.probe.RightName {
		c.Probe = nil // its name is not known here: somebody has to look
	}
	return c
}

// other reports whether the relay is another than the service.
func (d *Diagnosis) other() bool { return d.x != nil && d.x.other }

// Plan is every test that splits what is left, the best split for its cost
// first.
func (d *Diagnosis) Plan() []CatalogueTest {
	var out []CatalogueTest
	plans := d.plans(0)
	for i := range plans {
		out = append(out, d.proposed(&plans[i]))
	}
	return out
}

// Answer tells what a test showed, in the words of NextTest.Shows. Words that no
// remaining explanation predicts leave everything as it is and are an error: the
// causes that are known do not explain what is seen.
func (d *Diagnosis) Answer(test, shown string) error {
	t, err := find(test)
	if err != nil {
		return err
	}
	return d.keep(t, shown, func(s *scene) bool {
		words := d.show(t, s)
		return len(words) == 0 || slices.Contains(words, shown)
	})
}

// Skip leaves a test out: nobody can do it, or nobody knows the answer.
func (d *Diagnosis) Skip(test string) error {
	t, err := find(test)
	if err != nil {
		return err
	}
	d.used = append(d.used, t.id)
	d.steps = append(d.steps, DiagnosisStep{Test: t.id, Before: len(d.sets), After: len(d.sets)})
	return nil
}

// Observe tells what a try of the catalogue ended in, as a probe saw it.
func (d *Diagnosis) Observe(test string, o Observation) error {
	t, err := find(test)
	if err != nil {
		return err
	}
	if t.probe == nil {
		return fmt.Errorf("test %q is nothing to try", test)
	}
	q := newQuestion(&o, &d.facts)
	if t.probe.Sender != SameSender {
		// What is known of the sender that failed is not known of this one.
		q.ownSender, q.loginSender, q.registered, q.userYoung, q.forwards = 0, 0, 0, 0, 0
	}
	shown := string(o.Verdict)
	if text := o.Reply.Text(); text != "" {
		shown = fmt.Sprintf("%d %s %s", o.Reply.Code, o.Reply.Enhanced, text)
	}
	return d.keep(t, shown, func(s *scene) bool { return s.predictsTry(t, &q) })
}

// keep leaves the scenes that predict what was shown.
func (d *Diagnosis) keep(t *catalogueTest, shown string, predicts func(*scene) bool) error {
	var left []CauseSet
	for _, set := range d.sets {
		var scenes []*scene
		for _, s := range set.scenes {
			if predicts(s) {
				scenes = append(scenes, s)
			}
		}
		if len(scenes) > 0 {
			set.scenes = scenes
			left = append(left, set)
		}
	}
	if len(left) == 0 {
		return fmt.Errorf("no cause that is left predicts %q for %s", shown, t.id)
	}
	d.used = append(d.used, t.id)
	d.steps = append(d.steps, DiagnosisStep{Test: t.id, Shown: shown, Before: len(d.sets), After: len(left)})
	d.sets = left
	return nil
}

func find(test string) (*catalogueTest, error) {
	for i := range catalogue {
		if catalogue[i].id == test {
			return &catalogue[i], nil
		}
	}
	return nil, fmt.Errorf("no test %q in the catalogue", test)
}
