package analyze

import (
	"cmp"
	"slices"
	"strings"
)

// maxNextTests is how many tests a report proposes.
const maxNextTests = 3

// NextTests proposes the tests that tell the remaining explanations apart: first
// the one with the best split for its cost, then those that split best what it
// leaves. It is empty when one explanation is left or no test of the catalogue
// can split them.
func NextTests(e Explanation, obs []Observation, f Facts) []NextTest {
	out := plainTests(e, obs, f)
	for i := range out {
		out[i].Do = dress(&out[i], obs, &f)
	}
	return out
}

// plainTests are the next tests without what is of one mail: times, addresses.
func plainTests(e Explanation, obs []Observation, f Facts) []NextTest {
	d := newDiagnosis(e, obs, f)
	var out []NextTest
	for _, p := range d.plans(maxNextTests) {
		out = append(out, p.test)
	}
	return out
}

// plan is a test with what it is worth now.
type plan struct {
	t     *catalogueTest
	test  NextTest
	shows []showing
	worth float64
}

// plans are the tests that split what remains, best first; only the first most
// are put in order of what those before them leave. most 0: all, each by itself.
func (d *Diagnosis) plans(most int) []plan {
	if len(d.sets) < 2 {
		return nil
	}
	weights := d.weights()
	whole := make([]int, len(d.sets))
	for i := range whole {
		whole[i] = i
	}
	ends := make([][][]*ending, len(d.sets)) // of each scene of each set
	for i := range d.sets {
		for _, s := range d.sets[i].scenes {
			ends[i] = append(ends[i], d.ends(s))
		}
	}
	var out []plan
	for i := range catalogue {
		t := &catalogue[i]
		if slices.Contains(d.used, t.id) || d.states(t) {
			continue
		}
		if d.other() && t.probe != nil && t.probe.OtherRegion {
			continue // regions are the service's
		}
		shows := d.shows(t, ends)
		gain := split(shows, whole, weights)
		if gain <= 0 {
			continue
		}
		out = append(out, plan{t: t, shows: shows, worth: gain / float64(t.price)})
	}
	slices.SortStableFunc(out, func(a, b plan) int { return cmp.Compare(b.worth, a.worth) })
	if most > 0 && len(out) > 1 {
		out = complement(out, most, whole, weights)
	}
	for i := range out {
		p := &out[i]
		p.test = p.t.public().NextTest
		if text, ok := wordsOf(otherRelayTests, p.t.id); ok && d.other() {
			p.test.Do = text
		}
		for _, s := range p.shows {
			p.test.Shows = append(p.test.Shows, Showing{Show: s.word, Causes: d.ids(s.sets)})
		}
		p.test.Separates = d.separates(p.shows)
	}
	return out
}

// complement keeps the best test and then, one by one, those that split best
// what the tests before them leave together. A test that would only say the same
// again is left out.
func complement(all []plan, most int, whole []int, weights []float64) []plan {
	groups := [][]int{whole}
	var out []plan
	for len(out) < most {
		best, worth := -1, 0.0
		for i := range all {
			gain := 0.0
			for _, g := range groups {
				gain += share(g, weights) * split(all[i].shows, g, weights)
			}
			if w := gain / float64(all[i].t.price); w > worth+1e-9 {
				best, worth = i, w
			}
		}
		if best < 0 {
			break
		}
		out = append(out, all[best])
		var next [][]int
		for _, g := range groups {
			for _, s := range all[best].shows {
				if both := common(g, s.sets); len(both) > 1 {
					next = append(next, both)
				}
			}
		}
		groups = next
	}
	return out
}

// common are the members of both, in the order of the first.
func common(a, b []int) []int {
	var out []int
	for _, x := range a {
		if slices.Contains(b, x) {
			out = append(out, x)
		}
	}
	return out
}

// weights order the explanations that are left: they stand most likely first,
// and a test is worth more when it tells those in front apart. They weigh tests
// and nothing else: nobody knows how likely a cause is, and no figure is shown.
func (d *Diagnosis) weights() []float64 {
	w := make([]float64, len(d.sets))
	for i := range w {
		w[i] = 1 / float64(i+1)
	}
	return w
}

// share is the weight of a group among all.
func share(group []int, weights []float64) float64 {
	in, all := 0.0, 0.0
	for _, w := range weights {
		all += w
	}
	for _, i := range group {
		in += weights[i]
	}
	return in / all
}

// states reports whether the texts say already what a test would show.
func (d *Diagnosis) states(t *catalogueTest) bool {
	if t.stated == nil {
		return false
	}
	return !slices.ContainsFunc(d.qs, func(q question) bool { return !t.stated(&q) })
}

// showing is what a test can show, and the sets that would show it.
type showing struct {
	word string
	sets []int
}

// shows simulates a test under every explanation that is left. A world that says
// nothing of the test may show anything.
func (d *Diagnosis) shows(t *catalogueTest, ends [][][]*ending) []showing {
	var out []showing
	var silent []int
	add := func(k, i int) {
		if !slices.Contains(out[k].sets, i) {
			out[k].sets = append(out[k].sets, i)
		}
	}
	for i := range d.sets {
		for n, s := range d.sets[i].scenes {
			words := d.aged(t, t.show(s, ends[i][n]))
			if len(words) == 0 && !slices.Contains(silent, i) {
				silent = append(silent, i)
			}
			for _, word := range words {
				k := slices.IndexFunc(out, func(o showing) bool { return o.word == word })
				if k < 0 {
					k = len(out)
					out = append(out, showing{word: word})
				}
				add(k, i)
			}
		}
	}
	for k := range out {
		for _, i := range silent {
			add(k, i)
		}
		slices.Sort(out[k].sets)
	}
	return out
}

// split is how much of a group a test rules out, by weight from 0 to 1, on
// average over what is true and what is then shown.
func split(shows []showing, group []int, weights []float64) float64 {
	all := 0.0
	for _, i := range group {
		all += weights[i]
	}
	words := make([]int, len(weights)) // how many things a set can show
	for _, s := range shows {
		for _, i := range s.sets {
			words[i]++
		}
	}
	left := 0.0
	for _, s := range shows {
		in := 0.0
		for _, i := range group {
			if slices.Contains(s.sets, i) {
				in += weights[i] / all
			}
		}
		for _, i := range group {
			if slices.Contains(s.sets, i) {
				left += weights[i] / all / float64(words[i]) * in
			}
		}
	}
	if gain := 1 - left; gain > 1e-9 && len(shows) > 1 {
		return gain
	}
	return 0
}

// ids are the causes of sets, once each.
func (d *Diagnosis) ids(sets []int) []string {
	var out []string
	for _, i := range sets {
		id := d.sets[i].name()
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// name writes a set as its causes, joined when there are two.
func (s *CauseSet) name() string {
	ids := make([]string, len(s.Causes))
	for i := range s.Causes {
		ids[i] = s.Causes[i].ID
	}
	return strings.Join(ids, "+")
}

// separates lists the causes that the test tells apart: all that some outcome
// rules out.
func (d *Diagnosis) separates(shows []showing) []string {
	out := []string{}
	for i := range d.sets {
		if !slices.ContainsFunc(shows, func(s showing) bool { return !slices.Contains(s.sets, i) }) {
			continue
		}
		for _, c := range d.sets[i].Causes {
			if !slices.Contains(out, c.ID) {
				out = append(out, c.ID)
			}
		}
	}
	return out
}
