package analyze

import (
	"slices"
	"strings"
	"sync"

	"github.com/smtp-handoff/handoff/analyze/causes"
	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// The inversion: which causes would have produced exactly what was seen.
//
// Every cause is a scenario. It is carried out on the healthy worlds, the road
// is simulated, and the cause fits if it predicts every observation. Single
// faults come before pairs: an explanation is minimal. What a text does not say
// is a wild card and is named in Cause.Fits. What the user tells prunes. There
// are no percentages, since nobody has the numbers: fewer faults first, then
// what was told, then how much the sources speak of a cause.

// Explanation is the answer to "why": every minimal set of causes that predicts
// all that was seen, most likely first.
type Explanation struct {
	Sets []CauseSet
	x    *Explainer
	qs   []question
}

// CauseSet is one explanation: mostly one cause, two when no single one will do.
type CauseSet struct {
	Causes []Cause
	scenes []*scene // the worlds that predict what was seen
}

// Empty reports whether nothing that is known would have produced it.
func (e *Explanation) Empty() bool { return len(e.Sets) == 0 }

// IDs returns the causes of all explanations once each, most likely first.
func (e *Explanation) IDs() []string {
	var out []string
	for _, s := range e.Sets {
		for _, c := range s.Causes {
			if !slices.Contains(out, c.ID) {
				out = append(out, c.ID)
			}
		}
	}
	return out
}

// Causes returns the causes of all explanations once each, most likely first.
func (e *Explanation) Causes() []Cause {
	out := []Cause{}
	for _, s := range e.Sets {
		for _, c := range s.Causes {
			if !slices.ContainsFunc(out, func(o Cause) bool { return o.ID == c.ID }) {
				out = append(out, c)
			}
		}
	}
	return out
}

// Explainer holds the pages of causes with their simulated worlds. It is safe
// for concurrent use.
type Explainer struct {
	causes []*suspect
	mu     sync.Mutex
	known  map[question]Explanation
	scenes map[sceneKey][]*scene
	// answers are what the judge made of it, for bulk runs.
	answers memory
	// findings are those whose words a folder of pages replaces.
	findings map[string]Finding
	// elsewhere is the one for relays that are not the service; other says that
	// this is one.
	elsewhere otherRelay
	other     bool
}

// suspect is a cause with its worlds.
type suspect struct {
	doc    causes.Doc
	fix    string
	source string
	scenes []*scene
	other  bool // worded for a relay that is not the service
}

// scene is one scenario on one base, or two together, simulated.
type scene struct {
	suspects []*suspect
	base     *base
	parts    [][]timed
	world    *policy.World
	endings  []ending
	profiles []ending // see profiles
	mu       sync.Mutex
	forced   map[force][]ending
	tries    map[try]*tryResult
}

// sceneKey names two scenes that are simulated together.
type sceneKey struct{ a, b *scene }

// force is what a probe makes the client do, whatever its settings.
type force struct {
	port   int
	auth   bool
	unlike difference
}

// maxKnown bounds the memory of answered questions.
const maxKnown = 4096

var builtinExplainer = sync.OnceValue(func() *Explainer {
	x, problems := NewExplainer(causes.Pages())
	if len(problems) > 0 {
		panic("analyze: a page of causes does not build: " + problems[0].String())
	}
	return x
})

// Explain finds the minimal sets of causes that predict all observations, which
// are about the same road: the sessions of one probe, a report and the log of
// the same mail.
func Explain(obs []Observation, f Facts) Explanation {
	return builtinExplainer().Explain(obs, f)
}

// NewExplainer simulates the worlds of the causes among the pages. A page whose
// scenario cannot be carried out is a problem and is left out.
func NewExplainer(docs []causes.Doc) (*Explainer, []causes.Problem) {
	x := &Explainer{known: map[question]Explanation{}, scenes: map[sceneKey][]*scene{}}
	var problems []causes.Problem
	worlds := make([]*policy.World, len(bases))
	plain := make([][]ending, len(bases))
	for i := range bases {
		worlds[i] = healthyWorld(&bases[i])
		plain[i] = endings(worlds[i].Clone(), &bases[i])
	}
	for _, d := range docs {
		if d.Finding {
			continue
		}
		s := &suspect{doc: d, fix: firstFix(&d), source: sourceText(d.Sources)}
		failed := false
		for _, lines := range d.Scenarios {
			part, err := timeline(lines)
			if err != nil {
				problems = append(problems, causes.Problem{File: d.File, Text: err.Error()})
				failed = true
				break
			}
			for i := range bases {
				if !slices.Contains(d.Base, bases[i].name) {
					continue
				}
				sc, _, err := newScene([]*suspect{s}, &bases[i], worlds[i], part)
				if err != nil {
					problems = append(problems, causes.Problem{File: d.File, Text: err.Error()})
					failed = true
					break
				}
				if !slices.Equal(sc.endings, plain[i]) {
					s.scenes = append(s.scenes, sc) // else the scenario says nothing on this base
				}
			}
		}
		if !failed {
			x.causes = append(x.causes, s)
		}
	}
	slices.SortStableFunc(x.causes, func(a, b *suspect) int { return a.doc.Rank - b.doc.Rank })
	return x, problems
}

// newScene carries scenarios out on a base and simulates it. On an error it
// returns the index of the statement.
func newScene(suspects []*suspect, b *base, world *policy.World, parts ...[]timed) (*scene, int, error) {
	w := world.Clone()
	if i, err := apply(w, parts...); err != nil {
		return nil, i, err
	}
	s := &scene{suspects: suspects, base: b, parts: parts, world: w, endings: endings(w, b)}
	if len(suspects) == 1 {
		s.profiles = profiles(w, s.endings)
	}
	return s, -1, nil
}

// firstFix is the fix of the one who has to act.
func firstFix(d *causes.Doc) string {
	for _, f := range d.Fix {
		if f.Who == d.Who {
			return f.Text
		}
	}
	if len(d.Fix) > 0 {
		return d.Fix[0].Text
	}
	return ""
}

// sourceText writes keys of sources for people: statements of the article
// together, pages by their titles.
func sourceText(keys []string) string {
	var article, rest []string
	for _, k := range keys {
		text, ok := policy.Source(k)
		switch {
		case isStatement(k):
			article = append(article, k)
		case ok:
			rest = append(rest, text)
		default:
			rest = append(rest, k)
		}
	}
	if len(article) > 0 {
		rest = slices.Insert(rest, 0, "article "+strings.Join(article, ", "))
	}
	return strings.Join(rest, "; ")
}

func isStatement(key string) bool {
	return len(key) > 1 && key[0] == 'A' && strings.Trim(key[1:], "0123456789") == ""
}

// Explain is the package's Explain with these pages.
func (x *Explainer) Explain(obs []Observation, f Facts) Explanation {
	if len(obs) == 0 {
		return Explanation{x: x}
	}
	qs := questions(obs, &f)
	if len(qs) == 1 {
		return x.one(qs[0])
	}
	sets := x.singles(qs)
	if len(sets) == 0 && !allReady(qs) {
		sets = x.pairs(qs)
	}
	return Explanation{Sets: sets, x: x, qs: qs}
}

// questions reduce observations that are about one road.
func questions(obs []Observation, f *Facts) []question {
	qs := make([]question, len(obs))
	for i := range obs {
		qs[i] = newQuestion(&obs[i], f)
		if qs[i].probe && len(obs) > 1 {
			qs[i].unlike = unlike(obs, i)
		}
	}
	return qs
}

// one answers a single question, from memory when it was asked before.
func (x *Explainer) one(q question) Explanation {
	x.mu.Lock()
	e, ok := x.known[q]
	x.mu.Unlock()
	if ok {
		return e
	}
	qs := []question{q}
	sets := x.singles(qs)
	if len(sets) == 0 && !q.ready {
		sets = x.pairs(qs)
	}
	if len(sets) == 0 && q.said() && !q.probe && q.place == placeRelay {
		// The relay said something that it says elsewhere only: its words weigh
		// more than a port that may be forwarded, or TLS that the text leaves out.
		qs = []question{q.elsewhere()}
		sets = x.singles(qs)
	}
	e = Explanation{Sets: sets, x: x, qs: qs}
	x.mu.Lock()
	if len(x.known) >= maxKnown {
		clear(x.known)
	}
	x.known[q] = e
	x.mu.Unlock()
	return e
}

// match is how a scene predicts the questions.
type match struct {
	fitting  []*ending // of the first question that the scene predicts by itself
	q        *question
	affirmed bool
	foreign  bool // only by words that could be anybody's
}

// predicts reports whether the scene predicts every question: by what its
// client does, or, where a probe asked, by what the relay answers to a probe.
// At least one failure must be the client's own. Where nothing failed, the cause
// must be one that stops nothing.
func (s *scene) predicts(qs []question) (match, bool) {
	var m match
	passed := allReady(qs)
	for i := range qs {
		q := &qs[i]
		own := fitting(s.endings, q)
		if passed && !s.succeeds() {
			return match{}, false // that a road goes on beyond what was tried explains nothing
		}
		if len(own) == 0 {
			if !q.probe || len(qs) == 1 || len(fitting(s.force(q), q)) == 0 {
				return match{}, false
			}
			continue
		}
		if m.q == nil && (!q.ready || passed) {
			m.fitting, m.q = own, q
			m.foreign = !slices.ContainsFunc(own, func(e *ending) bool { return !e.foreign })
		}
		for _, e := range own {
			m.affirmed = m.affirmed || e.affirmed(q)
		}
	}
	return m, m.q != nil
}

// allReady reports whether nothing that was seen failed.
func allReady(qs []question) bool {
	return !slices.ContainsFunc(qs, func(q question) bool { return !q.ready })
}

// succeeds reports whether every client of the scene gets through.
func (s *scene) succeeds() bool {
	return !slices.ContainsFunc(s.endings, func(e ending) bool { return !e.success })
}

func fitting(list []ending, q *question) []*ending {
	var out []*ending
	for i := range list {
		if list[i].fits(q) {
			out = append(out, &list[i])
		}
	}
	return out
}

// force simulates the scene with the client of a probe: the port it chose,
// STARTTLS, and AUTH if it was tried.
func (s *scene) force(q *question) []ending { return s.forcedTo(forceOf(q)) }

func (s *scene) forcedTo(k force) []ending {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.forced[k]; ok {
		return e
	}
	w := s.world.Clone()
	if k.port != 0 {
		w.Client.Port = k.port
	}
	w.Client.Auth, w.Client.StartTLS, w.Client.Implicit, w.Client.MaxTLS = k.auth, true, false, "1.3"
	w.Client.System, w.Client.Pool = "", false // nobody probes from inside Exchange Online
	e := endings(w, s.base)
	for _, other := range k.unlike.worlds(w) {
		for _, more := range endings(other, s.base) {
			if !slices.Contains(e, more) {
				e = append(e, more)
			}
		}
	}
	if s.forced == nil {
		s.forced = map[force][]ending{}
	}
	s.forced[k] = e
	return e
}

// forceOf is what the client of a question was made to do.
func forceOf(q *question) force {
	return force{port: q.port, auth: q.tried == transcript.Yes || q.loggedIn == transcript.Yes || q.stage == transcript.StageAuth, unlike: q.unlike}
}
