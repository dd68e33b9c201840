package analyze

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// maxNextTests is how many tests a report proposes.
const maxNextTests = 3

// NextTests proposes the tests that tell the remaining explanations apart, the
// best split for its cost first. It is empty when one explanation is left or no
// test of the catalogue can split them.
func NextTests(e Explanation, obs []Observation, f Facts) []NextTest {
	d := newDiagnosis(e, obs, f)
	var out []NextTest
	for _, p := range d.plans() {
		if len(out) == maxNextTests {
			break
		}
		out = append(out, p.test)
	}
	return out
}

// plan is a test with what it is worth now.
type plan struct {
	t     *catalogueTest
	test  NextTest
	worth float64
}

// plans are the tests that split what remains, best first.
func (d *Diagnosis) plans() []plan {
	if len(d.sets) < 2 {
		return nil
	}
	var out []plan
	for i := range catalogue {
		t := &catalogue[i]
		if slices.Contains(d.used, t.id) {
			continue
		}
		shows := d.shows(t)
		gain := split(shows, len(d.sets))
		if gain <= 0 {
			continue
		}
		p := plan{t: t, worth: gain / float64(t.price), test: t.public().NextTest}
		p.test.Do += d.when(t)
		for _, s := range shows {
			p.test.Shows = append(p.test.Shows, Showing{Show: s.word, Causes: d.ids(s.sets)})
		}
		p.test.Separates = d.separates(shows)
		out = append(out, p)
	}
	slices.SortStableFunc(out, func(a, b plan) int { return cmp.Compare(b.worth, a.worth) })
	return out
}

// showing is what a test can show, and the sets that would show it.
type showing struct {
	word string
	sets []int
}

// shows simulates a test under every explanation that is left.
func (d *Diagnosis) shows(t *catalogueTest) []showing {
	var out []showing
	for i := range d.sets {
		for _, s := range d.sets[i].scenes {
			for _, word := range d.show(t, s) {
				k := slices.IndexFunc(out, func(o showing) bool { return o.word == word })
				if k < 0 {
					k = len(out)
					out = append(out, showing{word: word})
				}
				if !slices.Contains(out[k].sets, i) {
					out[k].sets = append(out[k].sets, i)
				}
			}
		}
	}
	return out
}

// split is how many explanations fewer are left after the test, on average over
// what is true and what is then shown; nobody knows how likely each is, so all
// count the same.
func split(shows []showing, n int) float64 {
	words := make([]int, n) // how many things a set can show
	for _, s := range shows {
		for _, i := range s.sets {
			words[i]++
		}
	}
	left := 0.0
	for _, s := range shows {
		for _, i := range s.sets {
			left += float64(len(s.sets)) / float64(words[i]) / float64(n)
		}
	}
	return float64(n) - left
}

// show is what a test shows in one world.
func (d *Diagnosis) show(t *catalogueTest, s *scene) []string {
	if t.look != nil {
		var es []*ending
		for i := range d.qs {
			es = append(es, fitting(s.endings, &d.qs[i])...)
		}
		if len(es) == 0 {
			es = []*ending{&s.endings[0]}
		}
		return t.look(s.world, es)
	}
	es := s.tried(t)
	if t.probe.RightName {
		return yes(es[0].stage == transcript.StageResolve, "it is not found", "it is found")
	}
	return []string{outcomeOf(es)}
}

// tried simulates a try in a scene and keeps it.
func (s *scene) tried(t *catalogueTest) []ending {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.tries[t.id]; ok {
		return e
	}
	w := t.probe.change(s.world)
	e := endings(w, s.base)
	if s.tries == nil {
		s.tries = map[string][]ending{}
	}
	s.tries[t.id] = e
	return e
}

// outcomeOf is what a try shows, in a few words: that of a client which goes on
// as far as it gets.
func outcomeOf(es []ending) string {
	furthest := &es[0]
	for i := range es {
		if es[i].success || !furthest.success && es[i].stage.Order() > furthest.stage.Order() {
			furthest = &es[i]
		}
	}
	e := furthest
	switch {
	case e.success:
		return "it is accepted"
	case e.place == placeLater:
		return "it is accepted, and refused later"
	case e.place == placeOther, e.place == placeOwn:
		return "another server answers"
	case e.text != "":
		return e.text
	case e.tls != "":
		return "the TLS handshake fails: " + e.tls
	case e.fault != transcript.FaultNone:
		return faultWords[e.fault] + " at " + string(e.stage)
	}
	return e.why
}

// faultWords say a fault as a person would.
var faultWords = map[transcript.Fault]string{
	transcript.FaultDNS:         "the name is not found",
	transcript.FaultRefused:     "the connection is refused",
	transcript.FaultTimeout:     "no answer comes",
	transcript.FaultReset:       "the connection is reset",
	transcript.FaultClosed:      "the connection is closed",
	transcript.FaultTLS:         "the TLS handshake fails",
	transcript.FaultCertificate: "the certificate is not trusted",
	transcript.FaultInjection:   "bytes in clear come behind STARTTLS",
	transcript.FaultProtocol:    "what comes is no reply",
	transcript.FaultLimit:       "too much comes",
}

// when adds the clock time from which a repetition is worth trying.
func (d *Diagnosis) when(t *catalogueTest) string {
	if t.probe == nil || t.probe.After == 0 {
		return ""
	}
	var at time.Time
	for i := range d.obs {
		if d.obs[i].When.After(at) {
			at = d.obs[i].When
		}
	}
	if at.IsZero() {
		return ""
	}
	wait := t.probe.After
	for _, age := range []time.Duration{d.facts.CredentialAge, d.facts.UserAge, d.facts.DomainAge} {
		if age > 0 && age < propagation {
			wait = min(wait, propagation-age)
		}
	}
	return ", from " + at.Add(wait).Format("15:04 on 2006-01-02") + " on"
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
