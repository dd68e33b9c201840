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
// other what the first differs in, or the answer to another question.
func (x *Explainer) pairs(qs []question) []CauseSet {
	var list []found
	index := map[[2]int]int{} // of a pair in list
	for i, a := range x.causes {
		for _, sa := range a.scenes {
			need, ok := sa.lacks(qs)
			if !ok {
				continue
			}
			for j, b := range x.causes {
				if i == j {
					continue
				}
				pair := [2]int{min(i, j), max(i, j)}
				for _, sb := range b.scenes {
					if sa.base != sb.base || !need.met(sb, qs) {
						continue
					}
					for _, s := range x.merged(sa, sb) {
						m, ok := s.predicts(qs)
						if !ok {
							continue
						}
						k, ok := index[pair]
						if !ok {
							k = len(list)
							index[pair] = k
							list = append(list, found{suspects: []*suspect{x.causes[pair[0]], x.causes[pair[1]]}})
						}
						if !slices.Contains(list[k].scenes, s) {
							list[k].scenes = append(list[k].scenes, s)
							list[k].matches = append(list[k].matches, m)
						}
					}
				}
			}
		}
	}
	sets := rank(list)
	return sets[:min(len(sets), maxPairs)]
}

// lack is what a scene does not explain by itself: per question the
// circumstances in which its best ending differs, or the whole question.
type lack struct {
	off   []fields
	whole []bool
}

// lacks compares a scene with the questions. It reports false when the scene
// gives none of the answers that were seen.
func (s *scene) lacks(qs []question) (lack, bool) {
	l := lack{off: make([]fields, len(qs)), whole: make([]bool, len(qs))}
	some := false
	for i := range qs {
		l.whole[i] = true
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
func (l *lack) met(s *scene, qs []question) bool {
	for i := range qs {
		q := &qs[i]
		if l.whole[i] {
			if !s.answers(q) && !(q.probe && s.answersProbe(q)) {
				return false
			}
			continue
		}
		if l.off[i] == 0 || q.probe && len(qs) > 1 {
			continue // what a probe chooses for itself need not be explained
		}
		met := false
		for k := range s.profiles {
			if s.profiles[k].differs(q)&l.off[i] == 0 {
				met = true
				break
			}
		}
		if !met {
			return false
		}
	}
	return true
}

// answers reports whether an ending of the scene gives the answer.
func (s *scene) answers(q *question) bool {
	for k := range s.endings {
		if s.endings[k].answers(q) {
			return true
		}
	}
	return false
}

// answersProbe reports whether the scene's relay gives a probe that answer.
func (s *scene) answersProbe(q *question) bool {
	for _, e := range s.force(q) {
		if e.answers(q) {
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
