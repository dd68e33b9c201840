package analyze

import (
	"slices"
	"strings"
	"sync"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Causes for outcomes and sessions: the judge asks the inversion.

// explained reports whether a verdict asks for causes.
func explained(g *judgement) bool {
	switch g.out.Verdict {
	case Ready:
		return false
	case NotAFailure:
		return g.delay
	case InsufficientEvidence:
		return g.gap == gapDot || g.gap == gapTester
	}
	return true
}

// explain fills in the causes of every outcome, and the tests that tell them
// apart.
func (j *judge) explain(all []judgement) {
	for i := range all {
		g := &all[i]
		if !explained(g) {
			continue
		}
		other := g.other(j.o)
		a := j.o.explainerFor(other).answer(&g.obs, &j.o.Facts)
		g.out.Causes, g.tests = a.causes, a.at(&g.obs, &j.o.Facts)
		if other && commandWord(g.obs.Host) && transcript.HostIsUnderAny(g.obs.Host, j.o.RelayDomains) {
			for k := range g.tests {
				g.tests[k].Do = strings.Replace(g.tests[k].Do, placeHost, "probe "+strings.ToLower(g.obs.Host), 1)
			}
		}
	}
}

// answer is what one observation is explained by. Its slices are shared: they
// are read and never written.
type answer struct {
	causes []Cause
	tests  []NextTest
}

// memory remembers answers: in an archive the same question comes thousands of
// times, and the tests of a reply with many causes take a while to find.
type memory struct {
	mu sync.Mutex
	m  map[question]answer
}

// explainer is the one of the options, or that of the program's own pages.
func (o *Options) explainer() *Explainer {
	if o.Explainer != nil {
		return o.Explainer
	}
	return builtinExplainer()
}

func (x *Explainer) answer(obs *Observation, f *Facts) answer {
	m := &x.answers
	q := newQuestion(obs, f)
	m.mu.Lock()
	a, ok := m.m[q]
	m.mu.Unlock()
	if ok {
		return a
	}
	list := []Observation{*obs}
	e := x.Explain(list, *f)
	a.causes = e.Causes()
	if len(a.causes) > 1 {
		a.tests = plainTests(e, list, *f)
	}
	m.mu.Lock()
	if m.m == nil || len(m.m) >= maxKnown {
		m.m = map[question]answer{}
	}
	m.m[q] = a
	m.mu.Unlock()
	return a
}

// at are the tests with what is of this mail in their words.
func (a *answer) at(obs *Observation, f *Facts) []NextTest {
	if len(a.tests) == 0 {
		return nil
	}
	tests := slices.Clone(a.tests)
	for i := range tests {
		tests[i].Do = dress(&tests[i], []Observation{*obs}, f)
	}
	return tests
}

// explain fills in the causes of a probe: each failing session by itself, and
// the run as a whole by all of its sessions together, since what one port
// answers prunes what the other could mean.
func (j *probeJudge) explain(r *Report, chosen []*sessionJudgement, d *sessionJudgement) {
	for i := range j.all {
		if g := &j.all[i]; failing(g) && !g.expected {
			facts := j.o.Facts
			facts.Intent = j.intentOf(g)
			r.Sessions[i].Causes = j.explainer().answer(&g.obs, &facts).causes
		}
	}
	if d == nil || !failing(d) {
		return
	}
	obs := []Observation{d.obs}
	for _, g := range chosen {
		if g != d && g.verdict != InsufficientEvidence {
			obs = append(obs, g.obs)
		}
	}
	facts := j.o.Facts
	e, told := j.beside(chosen, d)
	if told {
		obs, facts.Intent = obs[:1], IntentServer
	} else {
		e = j.explainer().Explain(obs, facts)
	}
	if e.Empty() && len(obs) > 1 {
		obs = obs[:1]
		e = j.explainer().Explain(obs, facts)
	}
	r.Causes = e.Causes()
	if len(r.Causes) > 1 {
		for _, t := range NextTests(e, obs, facts) {
			r.addTest(t)
		}
	}
}

// loginTest is the test of the catalogue that a probe of both ports has done.
const loginTest = "probe-587"

// beside explains what port 25 answers to those who mean to send by address, when
// a login with the same sender went well: two ways of sending, and not one
// system on the wrong port. It reports false where that was not tried.
func (j *probeJudge) beside(chosen []*sessionJudgement, d *sessionJudgement) (Explanation, bool) {
	if j.p.Intent == IntentAuth || submission(d.s.Port) {
		return Explanation{}, false
	}
	for _, g := range chosen {
		if !submission(g.s.Port) || g.verdict != Ready || g.noRCPT || g.stage.Order() < transcript.StageEnvelope.Order() || g.obs.LoggedIn != transcript.Yes {
			continue
		}
		facts, obs, login := j.o.Facts, []Observation{d.obs}, g.obs
		facts.Intent = IntentServer
		e := j.explainer().Explain(obs, facts)
		// The login is a way of its own, with whatever name.
		facts.Intent, login.LoginSender = "", transcript.Unknown
		n := newDiagnosis(e, obs, facts)
		if n.Observe(loginTest, login) != nil {
			return Explanation{}, false
		}
		return n.Explanation(), true
	}
	return Explanation{}, false
}

// intentOf is how those send who use a session's port. The probe took the other
// port by itself: nobody's settings are wrong for it.
func (j *probeJudge) intentOf(g *sessionJudgement) Intent {
	switch sub := submission(g.s.Port); {
	case j.p.Intent == IntentAuth && !sub:
		return IntentServer
	case j.p.Intent == IntentServer && sub:
		return IntentAuth
	}
	return j.p.Intent
}

// explainer is the one for the relay that was probed.
func (j *probeJudge) explainer() *Explainer { return j.o.explainerFor(j.other()) }

// other reports whether the relay that was probed is another than the service.
func (j *probeJudge) other() bool { return j.o.speaksOfOther(j.p.Target) }

// failing reports whether a session's verdict asks for causes.
func failing(g *sessionJudgement) bool {
	switch g.verdict {
	case Ready, NotAFailure:
		return false
	case InsufficientEvidence:
		return g.failure >= 0 // broke after the final dot
	}
	return true
}
