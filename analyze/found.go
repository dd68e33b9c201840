package analyze

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// found is a set of causes while they are ranked.
type found struct {
	suspects []*suspect
	scenes   []*scene
	matches  []match
}

// singles are the causes that predict everything alone.
func (x *Explainer) singles(qs []question) []CauseSet {
	var list []found
	for _, c := range x.causes {
		f := found{suspects: []*suspect{c}}
		for _, s := range c.scenes {
			if m, ok := s.predicts(qs); ok {
				f.scenes = append(f.scenes, s)
				f.matches = append(f.matches, m)
			}
		}
		if len(f.scenes) > 0 {
			list = append(list, f)
		}
	}
	return rank(list)
}

// rank orders explanations and writes them for people. Words that only one cause
// has beat a cause that any words would fit.
func rank(list []found) []CauseSet {
	specific := slices.ContainsFunc(list, func(f found) bool { return !f.foreign() })
	var kept []found
	for _, f := range list {
		if !specific || !f.foreign() {
			kept = append(kept, f)
		}
	}
	slices.SortStableFunc(kept, func(a, b found) int {
		return cmp.Or(first(a.affirmed(), b.affirmed()), first(!a.dialectal(), !b.dialectal()), first(!a.unlikely(), !b.unlikely()), a.rank()-b.rank())
	})
	var out []CauseSet
	for i := range kept {
		set := CauseSet{scenes: kept[i].scenes}
		for _, s := range kept[i].suspects {
			set.Causes = append(set.Causes, kept[i].cause(s))
		}
		out = append(out, set)
	}
	return out
}

func (f *found) foreign() bool {
	return !slices.ContainsFunc(f.matches, func(m match) bool { return !m.foreign })
}

func (f *found) affirmed() bool {
	return slices.ContainsFunc(f.matches, func(m match) bool { return m.affirmed })
}

// dialectal reports whether it fits only if the service uses a text or an order
// that is not the table's default: one assumption more.
func (f *found) dialectal() bool {
	return !slices.ContainsFunc(f.scenes, func(s *scene) bool { return s.world.Account.Dialect == policy.Dialect{} })
}

// unlikely reports whether it would have Exchange Online log in, which its
// connectors cannot do (widely said): such customers send by address on 25. Or
// whether TLS would have begun with the first byte where the client's words speak
// of STARTTLS.
func (f *found) unlikely() bool {
	if q := f.matches[0].q; q.upgraded && q.symptom != symptomPlainBytes &&
		!slices.ContainsFunc(f.matches, func(m match) bool {
			return slices.ContainsFunc(m.fitting, func(e *ending) bool { return e.implicit != transcript.Yes })
		}) {
		return true
	}
	return f.matches[0].q.exchange == transcript.Yes &&
		!slices.ContainsFunc(f.scenes, func(s *scene) bool { return s.base.intent != IntentAuth })
}

// first orders what is so before what is not.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func (f *found) rank() int {
	n := 0
	for _, s := range f.suspects {
		n += s.doc.Rank
	}
	return n
}

// cause writes one cause for the report.
func (f *found) cause(s *suspect) Cause {
	fits := f.fits()
	for _, other := range f.suspects {
		if other != s {
			fits += "; only together with " + other.doc.ID
		}
	}
	if s.other {
		fits = otherRelayPhrases.Replace(fits)
	}
	return Cause{ID: s.doc.ID, Fits: fits, Fix: s.fix, Who: Party(s.doc.Who), Source: s.source}
}

// fits says why it fits, in the words of the rule or fault that decided, and
// what it takes for granted that the text does not say.
func (f *found) fits() string {
	m := f.matches[0]
	e := m.fitting[0]
	text := e.why
	if e.rule != "" {
		text += fmt.Sprintf(" (rule %s)", e.rule)
	}
	if a := f.assumed(m.q); len(a) > 0 {
		text += "; not stated and assumed: " + strings.Join(a, ", ")
	}
	return text
}

// assumed names the wild cards: circumstances that the question leaves open and
// all fitting endings agree on, where that says something.
func (f *found) assumed(q *question) []string {
	var all []*ending
	for _, m := range f.matches {
		all = append(all, m.fitting...)
	}
	agree := func(field func(*ending) transcript.Fact, open, want transcript.Fact) bool {
		return open == transcript.Unknown && !slices.ContainsFunc(all, func(e *ending) bool { return field(e) != want })
	}
	e := all[0]
	var out []string
	if f.dialectal() {
		out = append(out, "a dialect of the service that nobody has confirmed")
	}
	if e.place != placeRelay || e.stage == transcript.StageResolve {
		return out
	}
	if q.seen != 0 && q.seen != e.port {
		out = append(out, fmt.Sprintf("port %d behind the port %d that was seen, which never answers so", e.port, q.seen))
	}
	samePort := !slices.ContainsFunc(all, func(o *ending) bool { return o.port != e.port })
	if q.port == 0 && q.seen == 0 && samePort {
		out = append(out, fmt.Sprintf("port %d", e.port))
	}
	if e.stage.Order() >= transcript.StageEnvelope.Order() {
		for _, w := range []struct {
			words string
			open  transcript.Fact
			want  transcript.Fact
			field func(*ending) transcript.Fact
		}{
			{"a login that worked", q.loggedIn, transcript.Yes, func(e *ending) transcript.Fact { return e.loggedIn }},
			{"an empty sender", q.nullSender, transcript.Yes, func(e *ending) transcript.Fact { return e.nullSender }},
			{"the login's own name as sender", q.loginSender, transcript.Yes, func(e *ending) transcript.Fact { return e.loginSender }},
			{"a recipient at the relay's customer", q.inbound, transcript.Yes, func(e *ending) transcript.Fact { return e.inbound }},
			{"Exchange Online as sender", q.exchange, transcript.Yes, func(e *ending) transcript.Fact { return e.exchange }},
		} {
			if agree(w.field, w.open, w.want) {
				out = append(out, w.words)
			}
		}
		if agree(func(e *ending) transcript.Fact { return e.ownSender }, q.ownSender, transcript.No) && e.nullSender == transcript.No && e.inbound == transcript.No {
			out = append(out, "a sender outside the account's domains")
		}
	}
	return out
}
