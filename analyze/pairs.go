package analyze

import (
	"slices"
	"strings"
	"sync"

	"github.com/smtp-handoff/handoff/analyze/policy"
)

// maxPairs bounds the explanations by two causes that are given.
const maxPairs = 16

// maxScenes bounds the memory of simulated pairs.
const maxScenes = 20000

// pairs are the explanations by two causes together. It is asked only when no
// single cause will do. Both must count: one gives an answer that was seen, the
// other what the first differs in, or the answer to another question. Where
// there is no such pair, neither gives the answer alone: a client that one of
// them sends to another port meets there what the other has the relay say.
func (x *Explainer) pairs(qs []question) []CauseSet {
	p := pairing{x: x, qs: qs, index: map[[2]int]int{}}
	for i, a := range x.causes {
		for _, sa := range a.scenes {
			if need, ok := sa.lacks(qs); ok {
				p.with(i, sa, func(sb *scene) bool { return need.met(sa, sb, qs) })
			}
		}
	}
	if len(p.list) == 0 {
		choices := x.choices()
		for i, a := range x.causes {
			for _, sa := range a.scenes {
				if ways := sa.answersElsewhere(choices[sa.base], qs); len(ways) > 0 {
					p.with(i, sa, func(sb *scene) bool { return sb.goes(ways, qs) })
				}
			}
		}
	}
	sets := rank(p.list)
	return sets[:min(len(sets), maxPairs)]
}

// pairing collects pairs that predict the questions.
type pairing struct {
	x     *Explainer
	qs    []question
	list  []found
	index map[[2]int]int // of a pair in list
}

// with looks at a scene of cause i together with those of other causes that may
// bring what it lacks.
func (p *pairing) with(i int, sa *scene, may func(*scene) bool) {
	for j, b := range p.x.causes {
		if i == j {
			continue
		}
		pair := [2]int{min(i, j), max(i, j)}
		for _, sb := range b.scenes {
			if sa.base != sb.base || !may(sb) {
				continue
			}
			for _, s := range p.x.merged(sa, sb) {
				m, ok := s.predicts(p.qs)
				if !ok {
					continue
				}
				k, ok := p.index[pair]
				if !ok {
					k = len(p.list)
					p.index[pair] = k
					p.list = append(p.list, found{suspects: []*suspect{p.x.causes[pair[0]], p.x.causes[pair[1]]}})
				}
				if !slices.Contains(p.list[k].scenes, s) {
					p.list[k].scenes = append(p.list[k].scenes, s)
					p.list[k].matches = append(p.list[k].matches, m)
				}
			}
		}
	}
}

// choice is what the scene's client has chosen: a port, and whether it logs in.
func (s *scene) choice() force {
	return force{port: s.world.Client.Port, auth: s.world.Client.Auth}
}

// chooses reports whether the scenario has the client choose otherwise than
// everybody on its base.
func (s *scene) chooses() bool {
	c := &healthyWorld(s.base).Client
	return s.choice() != force{port: c.Port, auth: c.Auth}
}

// choices are, by base, those that the client of some scenario makes and the
// healthy one does not.
func (x *Explainer) choices() map[*base][]force {
	out := map[*base][]force{}
	for _, c := range x.causes {
		for _, s := range c.scenes {
			if s.chooses() && !slices.Contains(out[s.base], s.choice()) {
				out[s.base] = append(out[s.base], s.choice())
			}
		}
	}
	return out
}

// way is how a client comes to an answer that was seen: its choice, and the
// circumstances in which it must still differ.
type way struct {
	force
	of  int // the question
	off fields
}

// answersElsewhere are the ways on which the scene's relay gives an answer that
// was seen and that its own client does not get.
func (s *scene) answersElsewhere(choices []force, qs []question) []way {
	var out []way
	for i := range qs {
		q := &qs[i]
		if q.ready || q.probe && len(qs) > 1 || s.isAnswered(q) {
			continue
		}
		for _, k := range choices {
			if k == s.choice() || q.port != 0 && q.port != k.port {
				continue
			}
			for _, e := range s.forcedTo(k) {
				if w := (way{k, i, e.differs(q)}); e.couldAnswer(q) && !slices.Contains(out, w) {
					out = append(out, w)
				}
			}
		}
	}
	return out
}

// goes reports whether the scenario sends its client on one of the ways.
func (s *scene) goes(ways []way, qs []question) bool {
	return s.chooses() && slices.ContainsFunc(ways, func(w way) bool {
		return w.force == s.choice() && s.brings(w.off, &qs[w.of])
	})
}

// brings reports whether the scene's client shows the circumstances that another
// lacks.
func (s *scene) brings(off fields, q *question) bool {
	return off == 0 || slices.ContainsFunc(s.profiles, func(e ending) bool { return e.differs(q)&off == 0 })
}

// answersAs reports whether the scene's relay gives that answer to a client of
// that choice.
func (s *scene) answersAs(k force, q *question) bool {
	for _, e := range s.forcedTo(k) {
		if e.couldAnswer(q) {
			return true
		}
	}
	return false
}

// lack is what a scene does not explain by itself: per question the
// circumstances in which its best ending differs, or the whole question.
type lack struct {
	off   []fields
	whole []bool
}

// lacks compares a scene with the questions. It reports false when the scene
// gives none of the answers that were seen. In what kind of text an ending is
// shown does not count here: that changes with the other cause.
func (s *scene) lacks(qs []question) (lack, bool) {
	l := lack{off: make([]fields, len(qs)), whole: make([]bool, len(qs))}
	some := false
	for i := range qs {
		l.whole[i] = true
		for k := range s.endings {
			e := &s.endings[k]
			if !e.couldAnswer(&qs[i]) {
				continue
			}
			off := e.differs(&qs[i])
			if l.whole[i] || bits(off) < bits(l.off[i]) {
				l.off[i] = off
			}
			l.whole[i] = false
			some = some || !qs[i].ready
		}
	}
	return l, some
}

func bits(f fields) int {
	n := 0
	for ; f != 0; f &= f - 1 {
		n++
	}
	return n
}

// met reports whether another scene brings what is lacking: the circumstances
// that are wanted, or the answer to the question that is open.
func (l *lack) met(a, s *scene, qs []question) bool {
	for i := range qs {
		q := &qs[i]
		if l.whole[i] {
			if !s.isAnswered(q) && !(q.probe && s.answersProbe(q)) && !(s.chooses() && a.answersAs(s.choice(), q)) {
				return false
			}
			continue
		}
		if q.probe && len(qs) > 1 {
			continue // what a probe chooses for itself need not be explained
		}
		if !s.brings(l.off[i], q) {
			return false
		}
	}
	return true
}

// isAnswered reports whether an ending of the scene gives the answer.
func (s *scene) isAnswered(q *question) bool {
	for k := range s.endings {
		if s.endings[k].couldAnswer(q) {
			return true
		}
	}
	return false
}

// answersProbe reports whether the scene's relay gives a probe that answer.
func (s *scene) answersProbe(q *question) bool {
	for _, e := range s.force(q) {
		if e.couldAnswer(q) {
			return true
		}
	}
	return false
}

// profiles are the endings of a world as if its roads had gone on to the
// envelope: what the client would have been seen to do.
func profiles(w *policy.World, list []ending) []ending {
	var out []ending
	for _, e := range list {
		r := &road{w: w, c: &w.Client}
		r.e.place, r.e.stage, r.e.circumstances = placeRelay, "envelope", e.circumstances
		r.envelope()
		if !slices.Contains(out, r.e) {
			out = append(out, r.e)
		}
	}
	return out
}

// merged simulates two scenes as one. Where both set the same thing, the later
// statement wins, and both orders count.
func (x *Explainer) merged(a, b *scene) []*scene {
	k := sceneKey{a, b}
	x.mu.Lock()
	out, ok := x.scenes[k]
	if !ok {
		out, ok = x.scenes[sceneKey{b, a}]
	}
	x.mu.Unlock()
	if ok {
		return out
	}
	orders := [][][]timed{{a.parts[0], b.parts[0]}}
	if collide(a.parts[0], b.parts[0]) {
		orders = append(orders, [][]timed{b.parts[0], a.parts[0]})
	}
	for _, parts := range orders {
		s, _, err := newScene([]*suspect{a.suspects[0], b.suspects[0]}, a.base, healthyWorld(a.base), parts...)
		if err == nil {
			out = append(out, s)
		}
	}
	x.mu.Lock()
	if len(x.scenes) >= maxScenes {
		clear(x.scenes)
	}
	x.scenes[k] = out
	x.mu.Unlock()
	return out
}

// collide reports whether two scenarios speak about the same setting.
func collide(a, b []timed) bool {
	for _, s := range a {
		for _, t := range b {
			if subject(s.line) == subject(t.line) {
				return true
			}
		}
	}
	return false
}

// subject is what a statement is about: its first two words.
func subject(line string) string {
	first, rest, _ := strings.Cut(line, " ")
	second, _, _ := strings.Cut(rest, " ")
	return first + " " + second
}

var healthyWorlds = sync.OnceValue(func() map[*base]*policy.World {
	m := map[*base]*policy.World{}
	for i := range bases {
		m[&bases[i]] = healthy(&bases[i])
	}
	return m
})

func healthyWorld(b *base) *policy.World { return healthyWorlds()[b] }
