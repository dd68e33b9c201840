package analyze

import (
	"slices"
	"sync"

	"github.com/smtp-handoff/handoff/analyze/policy"
)

// maxPairs bounds the explanations by two causes that are given.
const maxPairs = 16

// pairs are the explanations by two causes together. It is asked only when no
// single cause will do. Both must count: one gives the answer that was seen, the
// other what the first differs in, or the answer to another question.
func (x *Explainer) pairs(qs []question) []CauseSet {
	var list []found
	for i, a := range x.causes {
		need, ok := a.lacks(qs)
		if !ok {
			continue
		}
		for j, b := range x.causes {
			if i == j || !need.met(b, qs) {
				continue
			}
			if bNeed, ok := b.lacks(qs); ok && j < i && bNeed.met(a, qs) {
				continue // met as (b, a) before
			}
			f := found{suspects: []*suspect{a, b}}
			for _, s := range x.together(a, b, qs) {
				if m, ok := s.predicts(qs); ok {
					f.scenes = append(f.scenes, s)
					f.matches = append(f.matches, m)
				}
			}
			if len(f.scenes) > 0 {
				list = append(list, f)
			}
		}
	}
	sets := rank(list)
	return sets[:min(len(sets), maxPairs)]
}

// lack is what a cause does not explain by itself: per question the
// circumstances in which its best ending differs, or the whole question.
type lack struct {
	off   []fields
	whole []bool
}

// lacks compares a cause with the questions. It reports false when the cause
// gives none of the answers that were seen.
func (c *suspect) lacks(qs []question) (lack, bool) {
	l := lack{off: make([]fields, len(qs)), whole: make([]bool, len(qs))}
	some := false
	for i := range qs {
		l.whole[i] = true
		for _, s := range c.scenes {
			for k := range s.endings {
				e := &s.endings[k]
				if !e.answers(&qs[i]) {
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

// met reports whether another cause brings what is lacking: an ending with the
// circumstances that are wanted, or the answer to the question that is open.
func (l *lack) met(c *suspect, qs []question) bool {
	for i := range qs {
		if !l.whole[i] && l.off[i] == 0 {
			continue
		}
		if !slices.ContainsFunc(c.scenes, func(s *scene) bool {
			if l.whole[i] {
				return qs[i].probe || s.answers(qs[i:i+1])
			}
			for k := range s.profiles {
				if s.profiles[k].differs(&qs[i])&l.off[i] == 0 {
					return true
				}
			}
			return false
		}) {
			return false
		}
	}
	return true
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

// together are the worlds with both scenarios, where the first gives one of the
// answers that were seen. They are simulated once and kept.
func (x *Explainer) together(a, b *suspect, qs []question) []*scene {
	var out []*scene
	for _, sa := range a.scenes {
		if !sa.answers(qs) {
			continue
		}
		for _, sb := range b.scenes {
			if sa.base != sb.base {
				continue
			}
			out = append(out, x.merged(sa, sb)...)
		}
	}
	return out
}

func (s *scene) answers(qs []question) bool {
	for i := range qs {
		for k := range s.endings {
			if s.endings[k].answers(&qs[i]) {
				return true
			}
		}
	}
	return false
}

// merged simulates two scenes as one, in both orders, since the later statement
// wins where both set the same thing.
func (x *Explainer) merged(a, b *scene) []*scene {
	k := sceneKey{a, b}
	x.mu.Lock()
	out, ok := x.scenes[k]
	x.mu.Unlock()
	if ok {
		return out
	}
	for _, parts := range [][][]timed{{a.parts[0], b.parts[0]}, {b.parts[0], a.parts[0]}} {
		s, _, err := newScene([]*suspect{a.suspects[0], b.suspects[0]}, a.base, healthyWorld(a.base), parts...)
		if err == nil && (len(out) == 0 || !slices.Equal(out[0].endings, s.endings)) {
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

// maxScenes bounds the memory of simulated pairs.
const maxScenes = 20000

var healthyWorlds = sync.OnceValue(func() map[*base]*policy.World {
	m := map[*base]*policy.World{}
	for i := range bases {
		m[&bases[i]] = healthy(&bases[i])
	}
	return m
})

func healthyWorld(b *base) *policy.World { return healthyWorlds()[b] }
