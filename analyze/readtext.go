package analyze

import (
	"slices"

	"github.com/smtp-handoff/handoff/analyze/ndr"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Reading a probe's saved transcript. It holds what the probe was to try, so it
// is judged as the probe was: "handoff analyze" on it gives the verdict, the
// causes and the next step of the probe itself. A transcript without its plan
// is read like one of any other program.

// savedProbes takes the probes out of the cases: the sessions of one run, which
// began at one time, together. The rest are the other cases.
func savedProbes(cases []ndr.Case) (probes []Probe, rest []ndr.Case) {
	if !slices.ContainsFunc(cases, func(c ndr.Case) bool { return c.Probed != nil }) {
		return nil, cases
	}
	for i := range cases {
		s := cases[i].Probed
		if s == nil {
			rest = append(rest, cases[i])
			continue
		}
		k := len(probes) - 1
		for k >= 0 && !sameRun(&probes[k].Sessions[0], s) {
			k--
		}
		if k < 0 {
			probes = append(probes, probeOfPlan(s))
			k = len(probes) - 1
		}
		if p := &probes[k]; len(p.Sessions) < maxSessions {
			p.Sessions = append(p.Sessions, *s)
			p.Partial = p.Partial || s.Plan.Partial
		}
	}
	return probes, rest
}

func sameRun(a, b *transcript.Session) bool {
	return a.Server == b.Server && a.Began.Equal(b.Began) && a.Plan.Intent == b.Plan.Intent &&
		a.Plan.Credential == b.Plan.Credential && a.Plan.StopAfter == b.Plan.StopAfter
}

// probeOfPlan is the probe that a session's plan tells of, still without
// sessions.
func probeOfPlan(s *transcript.Session) Probe {
	p := s.Plan
	planned := Planned{Credential: p.Credential, From: p.From, To: p.To, StopAfter: p.StopAfter, LoginSender: p.LoginSender}
	restatePlan(&planned)
	target := s.Server
	if target == "" {
		target = s.Address
	}
	return Probe{Target: target, Intent: among(Intent(p.Intent), allIntents, IntentAuth), Planned: planned}
}

// tellMore reports whether cases beside a probe have something of their own to
// tell: a bounce that somebody sent along, not the words around it.
func tellMore(cases []ndr.Case) bool {
	return slices.ContainsFunc(cases, func(c ndr.Case) bool { return len(c.Items) > 0 })
}

// judgeSaved judges a text that holds saved probes, and what else it reports.
func judgeSaved(cases []ndr.Case, text []byte, in *Input, o Options) *Report {
	probes, rest := savedProbes(cases)
	in.Format = cases[0].Format
	reports := make([]*Report, 0, len(probes)+1)
	for i := range probes {
		p := &probes[i]
		own := o
		own.Facts.Intent = p.Intent
		j := newProbeJudge(p, &own)
		j.cite = newJudge(&own, quoteOf(text)).cite
		reports = append(reports, j.analysis(in))
	}
	if tellMore(rest) {
		reports = append(reports, judgeCases(rest, text, in, o))
	}
	r := reports[0]
	if len(reports) > 1 {
		r = joined(reports, in)
	}
	hide(r, text, cases)
	return r
}

// shown is the evidence of a session's verdict where a text can be quoted: what
// decided, or the last answer of a session that went well.
func (j *probeJudge) shown(g *sessionJudgement) []Evidence {
	if j.cite == nil {
		return []Evidence{}
	}
	if g.failure >= 0 || g.why != "" {
		return j.around(g)
	}
	for i := len(g.s.Exchanges) - 1; i >= 0; i-- {
		if e := &g.s.Exchanges[i]; e.Skipped == "" && !courtesy(e) && !j.unplanned(g.s, e) {
			if ev := j.reply(g.s, i); len(ev) > 0 {
				return ev
			}
		}
	}
	return []Evidence{}
}
