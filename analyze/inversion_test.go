package analyze

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

var updateInversion = flag.Bool("update-inversion", false, "write testdata/inversion.txt again")

var customer = Facts{OurDomains: []string{"customer.example", "second.example"}}

// oracle answers every test of a diagnosis as the true world would, and returns
// the tests. Where the truth can show several things, pick says which of them it
// shows. What is left in the end no test of the catalogue can split.
func oracle(t testing.TB, d *Diagnosis, truth *scene, pick func([]string) string) (tests []string) {
	t.Helper()
	defer func() {
		if a, b, id, ok := splitStill(d); ok {
			t.Errorf("%s and %s are left, and %s would tell them apart", a, b, id)
		}
	}()
	for {
		next, ok := d.Next()
		if !ok {
			return tests
		}
		ct, err := find(next.ID)
		if err != nil {
			t.Fatal(err)
		}
		before := len(d.sets)
		words := d.show(ct, truth)
		if len(words) == 0 { // the truth says nothing of it: any answer may come
			for _, x := range next.Shows {
				words = append(words, x.Show)
			}
		}
		if err := d.Answer(next.ID, pick(words)); err != nil {
			t.Errorf("the true answer to %s is refused: %v", next.ID, err)
			return tests
		}
		if len(d.sets) > before {
			t.Errorf("%s made the set larger", next.ID)
		}
		tests = append(tests, next.ID)
		if len(tests) > len(catalogue) {
			t.Fatal("the diagnosis does not end")
		}
	}
}

func firstWord(words []string) string { return words[0] }
func lastWord(words []string) string  { return words[len(words)-1] }

// splitStill looks for two explanations that are left and a test of the whole
// catalogue that can show, under one of them, what it cannot show under the
// other. It asks the tests themselves and not what the diagnosis thinks of them.
func splitStill(d *Diagnosis) (a, b, test string, ok bool) {
	for i := range catalogue {
		ct := &catalogue[i]
		if d.states(ct) || slices.Contains(d.used, ct.id) {
			continue
		}
		var words []map[string]bool // of each set; nil: anything
		for k := range d.sets {
			all := map[string]bool{}
			for _, s := range d.sets[k].scenes {
				shown := d.show(ct, s)
				if len(shown) == 0 {
					all = nil
					break
				}
				for _, w := range shown {
					all[w] = true
				}
			}
			words = append(words, all)
		}
		for k := range words {
			for m := range words {
				if words[k] == nil || words[m] == nil {
					continue
				}
				for w := range words[k] {
					if !words[m][w] {
						return d.sets[k].name(), d.sets[m].name(), ct.id, true
					}
				}
			}
		}
	}
	return "", "", "", false
}

// TestInversionOfSingleFaults goes through every single fault: every world of
// every cause, every ending, as a dialogue and as a bare report. The truth must
// be in the answer and stay in it through the tests; the golden file keeps how
// large the answers are before and after.
func TestInversionOfSingleFaults(t *testing.T) {
	var b strings.Builder
	fmt.Fprintln(&b, "# Every single fault: observations, mean and largest number of causes that fit, the same after")
	fmt.Fprintln(&b, "# the proposed tests, mean number of tests, and the causes that no test of the catalogue splits from it.")
	total, before, after, tests := 0, 0, 0, 0
	for _, c := range sortedSuspects() {
		n, sum, most, left, mostLeft, used := 0, 0, 0, 0, 0, 0
		stuck := map[string]bool{}
		for _, s := range c.scenes {
			for k := range s.endings {
				e := &s.endings[k]
				if e.success && !s.succeeds() {
					continue
				}
				for _, o := range []Observation{seen(e, s.world), reported(e, s.world)} {
					if !shown(e, &o) {
						continue
					}
					obs := []Observation{o}
					d := NewDiagnosis(obs, customer)
					if !slices.Contains(d.names(), c.doc.ID) {
						t.Errorf("%s: not among %v", c.doc.ID, d.names())
						continue
					}
					n++
					sum += len(d.sets)
					most = max(most, len(d.sets))
					used += len(oracle(t, d, s, firstWord))
					other := NewDiagnosis(obs, customer)
					oracle(t, other, s, lastWord)
					if !slices.Contains(other.names(), c.doc.ID) {
						t.Errorf("%s: lost on another way, left are %v", c.doc.ID, other.names())
					}
					left += len(d.sets)
					mostLeft = max(mostLeft, len(d.sets))
					if !slices.Contains(d.names(), c.doc.ID) {
						t.Errorf("%s: lost on the way, left are %v", c.doc.ID, d.names())
					}
					for _, id := range d.names() {
						if id != c.doc.ID {
							stuck[id] = true
						}
					}
				}
			}
		}
		total, before, after, tests = total+n, before+sum, after+left, tests+used
		fmt.Fprintf(&b, "%-30s %4d  fit %5.2f max %2d  left %4.2f max %d  tests %4.2f  %s\n",
			c.doc.ID, n, mean(sum, n), most, mean(left, n), mostLeft, mean(used, n), strings.Join(slices.Sorted(maps.Keys(stuck)), " "))
	}
	fmt.Fprintf(&b, "%-30s %4d  fit %5.2f         left %4.2f        tests %4.2f\n", "all", total, mean(before, total), mean(after, total), mean(tests, total))
	inversionGolden(t, "inversion-singles.txt", b.String())
}

func (d *Diagnosis) names() []string {
	var out []string
	for i := range d.sets {
		out = append(out, d.sets[i].name())
	}
	return out
}

func mean(sum, n int) float64 {
	if n == 0 {
		return 0
	}
	return float64(sum) / float64(n)
}

func sortedSuspects() []*suspect {
	list := slices.Clone(builtinExplainer().causes)
	slices.SortFunc(list, func(a, b *suspect) int { return strings.Compare(a.doc.ID, b.doc.ID) })
	return list
}

// shown reports whether a text of that kind can show the ending.
func shown(e *ending, o *Observation) bool {
	bare := o.AuthTried == transcript.Unknown
	switch {
	case e.dialogue == sessionOnly && bare, e.dialogue == reportOnly && !bare:
		return false
	case bare && e.masked == transcript.Yes && e.stage != transcript.StageTLS:
		return false // a report that says nothing of the masks
	case bare && e.fault == transcript.FaultNone && e.code == 0 && e.place == placeRelay:
		return false // a client that stopped by itself is in no report
	}
	return true
}

// TestInversionOfPairs goes through every pair of faults on every base: as one
// dialogue, as a bare report, and as a report beside a probe of both ports,
// without and with the sending server's log. What is seen is seen of both at
// once, so one of them often hides the other: then the explanation is the one
// that shows. The golden file counts how the answers relate to the truth: the
// pair itself, one of the two, or a single other cause that shows exactly the
// same and is simpler. Anything else is a fault of the inversion.
func TestInversionOfPairs(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("some seconds; minutes under the race detector, and one goroutine")
	}
	t.Parallel()
	x := builtinExplainer()
	list := sortedSuspects()
	count := map[string]int{}
	worlds, several, narrowed, left, most := 0, 0, 0, 0, 0
	look := func(kind string, s *scene, a, c string, obs ...Observation) {
		e := Explain(obs, customer)
		word := relation(e, a, c, obs)
		count[kind+": "+word]++
		wrong := func(format string, args ...any) {
			t.Helper()
			t.Errorf("%s and %s on %s, %s (%s %s %q): %s", a, c, s.base.name, kind, obs[0].Stage, obs[0].Fault, obs[0].Reply.Lines, fmt.Sprintf(format, args...))
		}
		qs := questions(obs, &customer)
		if _, ok := s.predicts(qs); !ok && word != bothPass {
			wrong("is not predicted by itself")
		}
		if word != bothPass && !slices.Equal(e.qs, qs) {
			wrong("something else was explained than was seen")
		}
		switch word {
		case isNothing, isAnotherPair:
			wrong("explained by %s", word)
		case isAnother:
			for i := range e.Sets {
				if !slices.ContainsFunc(e.Sets[i].scenes, func(s *scene) bool { return s.shows(obs) }) {
					wrong("%s does not show that", e.Sets[i].name())
				}
			}
		case isBoth:
			if len(e.Sets) < 2 {
				break
			}
			// Narrow some of them down: each takes as long as all that comes before.
			if several++; several%8 == 0 {
				d := newDiagnosis(e, obs, customer)
				oracle(t, d, s, firstWord)
				if relation(d.Explanation(), a, c, obs) != isBoth {
					wrong("lost on the way, left are %v", d.names())
				}
				narrowed, left, most = narrowed+1, left+len(d.sets), max(most, len(d.sets))
			}
		}
	}
	for i, a := range list {
		for _, c := range list[i+1:] {
			for b := range bases {
				sa, sc := a.on(&bases[b]), c.on(&bases[b])
				if sa == nil || sc == nil {
					continue
				}
				for _, s := range x.merged(sa, sc) {
					worlds++
					probes := []Observation{probed(s, 25, false), probed(s, 587, true)}
					asked, together := map[question]bool{}, false
					for k := range s.endings {
						e := &s.endings[k]
						full, bare := seen(e, s.world), reported(e, s.world)
						if q := newQuestion(&full, &customer); shown(e, &full) && !asked[q] {
							asked[q] = true
							look("one dialogue", s, a.doc.ID, c.doc.ID, full)
						}
						if q := newQuestion(&bare, &customer); shown(e, &bare) && !asked[q] {
							asked[q] = true
							look("one report", s, a.doc.ID, c.doc.ID, bare)
							if !together {
								together = true // one report stands for the others
								look("report and probes", s, a.doc.ID, c.doc.ID, append([]Observation{bare}, probes...)...)
								if shown(e, &full) {
									look("report, log and probes", s, a.doc.ID, c.doc.ID, append([]Observation{bare, full}, probes...)...)
								}
							}
						}
					}
				}
			}
		}
		x.mu.Lock()
		clear(x.scenes)
		clear(x.known)
		x.mu.Unlock()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Every pair of %d causes on every base, %d worlds: how the explanation relates to the two true causes.\n", len(list), worlds)
	for _, k := range slices.Sorted(maps.Keys(count)) {
		fmt.Fprintf(&b, "%-60s %6d\n", k, count[k])
	}
	fmt.Fprintf(&b, "# Of the %d answers with more than one explanation every eighth is narrowed down by the proposed tests:\n", several)
	fmt.Fprintf(&b, "# %d answers, left %4.2f max %d, and no test of the catalogue splits what is left.\n", narrowed, mean(left, narrowed), most)
	inversionGolden(t, "inversion-pairs.txt", b.String())
}

// on is the plainest scene of a cause on a base, nil when it has none.
func (c *suspect) on(b *base) *scene {
	for _, s := range c.scenes {
		if s.base == b {
			return s
		}
	}
	return nil
}

// shows reports whether a world can show all that was seen: the reports and the
// dialogues in one of its endings, the probes when they are made in it.
func (s *scene) shows(obs []Observation) bool {
	same := func(a, b *Observation) bool {
		return a.Verdict == b.Verdict && a.Stage == b.Stage && a.Reply.Code == b.Reply.Code && a.Kind == b.Kind && a.Fault == b.Fault
	}
	for i := range obs {
		o := &obs[i]
		if o.Via == "probe" {
			if p := probed(s, o.Port, o.Port == 587); !same(&p, o) {
				return false
			}
			continue
		}
		if !slices.ContainsFunc(s.endings, func(e ending) bool {
			own := seen(&e, s.world)
			return same(&own, o) && (o.Port == 0 || own.Port == o.Port)
		}) {
			return false
		}
	}
	return true
}

// probed is what a probe of one port sees of a world.
func probed(s *scene, port int, auth bool) Observation {
	q := question{circumstances: circumstances{port: port}}
	if auth {
		q.tried = transcript.Yes
	}
	list := s.force(&q)
	e := &list[0]
	for i := range list {
		if list[i].stage.Order() > e.stage.Order() {
			e = &list[i] // a probe goes as far as it gets
		}
	}
	w := s.world.Clone()
	w.Client.Port, w.Client.Auth, w.Client.System = port, auth, ""
	o := seen(e, w)
	o.Via = "probe"
	return o
}

// How an explanation relates to two true causes.
const (
	bothPass      = "both together pass"
	isNothing     = "nothing"
	isBoth        = "both"
	isOne         = "one of them, the other is hidden"
	isAnother     = "a single other cause looks the same"
	isAnotherPair = "another pair"
)

// relation says which of these it is.
func relation(e Explanation, a, b string, obs []Observation) string {
	if !slices.ContainsFunc(obs, func(o Observation) bool { return o.Verdict != Ready }) {
		return bothPass
	}
	if e.Empty() {
		return isNothing
	}
	single := false
	for _, s := range e.Sets {
		ids := strings.Split(s.name(), "+")
		if len(ids) == 2 && slices.Contains(ids, a) && slices.Contains(ids, b) {
			return isBoth
		}
		if len(ids) == 1 && (ids[0] == a || ids[0] == b) {
			return isOne
		}
		single = single || len(ids) == 1
	}
	if single {
		return isAnother
	}
	return isAnotherPair
}

func inversionGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *updateInversion {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
		for i := range min(len(g), len(w)) {
			if g[i] != w[i] {
				t.Fatalf("%s:%d:\ngot  %s\nwant %s\n(go test -run Inversion -update-inversion writes it again)", path, i+1, g[i], w[i])
			}
		}
		t.Fatalf("%s: another number of lines", path)
	}
}
