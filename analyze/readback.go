package analyze

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Reading handoff's own JSON. A probe's report is judged again from its
// sessions, so that "handoff probe -o json | handoff analyze -" gives the
// verdict and causes of the probe itself; an analysis is taken at its outcomes.

// Bounds of a report that is read back.
const (
	maxReadBack = 64 << 20
	maxSessions = 1000
	maxSteps    = 20_000
)

// readBack reads an input that is one or more JSON reports of handoff. It
// reports false for everything else, malformed JSON included: that is read as
// text.
func readBack(input []byte, in *Input, o Options) (*Report, bool) {
	if !looksLikeReport(input) {
		return nil, false
	}
	reports, ok := decodeReports(input)
	if !ok {
		return nil, false
	}
	in.Format = "handoff-" + reports[0].Kind
	if len(reports) == 1 && reports[0].Kind == "probe" {
		return rejudge(reports[0], in, o), true
	}
	return reanalyze(reports, in, o), true
}

// looksLikeReport is a cheap look at the first bytes.
func looksLikeReport(input []byte) bool {
	t := bytes.TrimLeft(input, " \t\r\n\ufeff")
	if len(t) == 0 || (t[0] != '{' && t[0] != '[') || len(t) > maxReadBack {
		return false
	}
	head := t[:min(len(t), 4096)]
	return bytes.Contains(head, []byte(`"schema_version"`)) && bytes.Contains(head, []byte(`"kind"`))
}

func decodeReports(input []byte) ([]*Report, bool) {
	dec := json.NewDecoder(bytes.NewReader(bytes.TrimLeft(input, " \t\r\n\ufeff")))
	var out []*Report
	for {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, false
		}
		var list []*Report
		if len(raw) > 0 && raw[0] == '[' {
			if json.Unmarshal(raw, &list) != nil {
				return nil, false
			}
		} else {
			r := new(Report)
			if json.Unmarshal(raw, r) != nil {
				return nil, false
			}
			list = []*Report{r}
		}
		for _, r := range list {
			if r == nil || (r.Kind != "probe" && r.Kind != "analysis") || r.SchemaVersion == "" {
				return nil, false
			}
			out = append(out, r)
		}
	}
	return out, len(out) > 0
}

// planned is what a report's steps show of the plan, where it does not say.
func planned(r *Report) Planned {
	if r.Planned != nil {
		p := *r.Planned
		restatePlan(&p)
		return p
	}
	var p Planned
	for i := range r.Sessions {
		for k := range r.Sessions[i].Steps {
			st := &r.Sessions[i].Steps[k]
			if st.Status == "skipped" {
				continue
			}
			switch {
			case st.Stage == string(transcript.StageAuth):
				p.Credential = true
			case st.Stage == string(transcript.StageData):
				p.StopAfter = transcript.StageData
			}
			address, _, ok := transcript.Path(st.Command)
			if !ok {
				continue
			}
			switch transcript.Verb(st.Command) {
			case "MAIL":
				if !slices.Contains(p.From, address) {
					p.From = append(p.From, address)
				}
			case "RCPT":
				if !slices.Contains(p.To, address) {
					p.To = append(p.To, address)
				}
			}
		}
	}
	return p
}

// probeOf is the probe that a report tells of, its sizes bounded.
func probeOf(r *Report) (p Probe, truncated bool) {
	if len(r.Sessions) > maxSessions {
		r.Sessions, truncated = r.Sessions[:maxSessions], true
	}
	for i := range r.Sessions {
		s := &r.Sessions[i]
		if len(s.Steps) > maxSteps {
			s.Steps, truncated = s.Steps[:maxSteps], true
		}
		restateSession(s)
	}
	r.Intent = among(r.Intent, allIntents, "")
	p = Probe{Target: r.Target, Intent: r.Intent, Sessions: SessionsOf(r), DNS: r.DNS, Planned: planned(r), Partial: r.Partial}
	for i := range r.Findings {
		if f, ok := restateFinding(r.Findings[i]); ok && !known(f.ID) && len(p.Findings) < maxFindings {
			p.Findings = append(p.Findings, f)
		}
	}
	return p, truncated
}

// rejudge judges a probe's report again. The answer is an analysis whose one
// outcome is the deciding session's.
func rejudge(r *Report, in *Input, o Options) *Report {
	p, truncated := probeOf(r)
	in.Truncated = truncated
	if p.Intent == "" {
		p.Intent = IntentAuth
	}
	o.Facts.Intent = p.Intent
	return newProbeJudge(&p, &o).analysis(in)
}

// analysis is the report on a probe that was read: its one outcome is the
// deciding session's.
func (j *probeJudge) analysis(in *Input) *Report {
	out := j.worded()
	out.Kind = "analysis"
	out.Input = in
	if d := j.decisive(j.chosen()); d != nil {
		out.Outcomes = []Outcome{j.outcome(d, out.Causes)}
	}
	return out
}

// outcome is the deciding session of a probe as the outcome of its recipient.
func (j *probeJudge) outcome(g *sessionJudgement, causes []Cause) Outcome {
	o := Outcome{
		Verdict: g.verdict, Stage: string(g.stage), Party: g.party, Direction: g.direction,
		Port: g.s.Port, Confidence: g.confidence, Evidence: j.shown(g), Causes: causes,
		Sender: g.obs.Sender, Recipient: g.obs.Recipient,
	}
	if o.Causes == nil {
		o.Causes = []Cause{}
	}
	o.Reply = replyOf(g.obs.Reply)
	switch g.verdict {
	case Refused, InboundRefused, NeverReached:
		o.RefusedBy = hostName(j.p.Target, "")
	case Deferred:
		if !g.obs.Reply.IsZero() {
			o.RefusedBy = hostName(j.p.Target, "")
		} else {
			o.Target = hostName(j.p.Target, "")
		}
	case Unreachable, HandshakeFailed:
		o.Target = hostName(j.p.Target, "")
	}
	return o
}

// reanalyze joins reports of handoff that hold outcomes, or several reports.
func reanalyze(reports []*Report, in *Input, o Options) *Report {
	for i, r := range reports {
		if r.Kind == "probe" {
			sub := *in
			reports[i] = rejudge(r, &sub, o)
			in.Truncated = in.Truncated || sub.Truncated
			continue
		}
		r.Sessions = nil // its outcomes are taken, not judged again
		if r.Input != nil && r.Input.Truncated {
			in.Truncated = true
		}
	}
	return joined(reports, in)
}

// joined is one report of several that are judged, or of one that is taken at
// its outcomes.
func joined(reports []*Report, in *Input) *Report {
	var all []judgement
	out := &Report{SchemaVersion: SchemaVersion, Kind: "analysis", Input: in, Findings: []Finding{}, NextTests: []NextTest{}}
	for _, r := range reports {
		out.Sessions = append(out.Sessions, r.Sessions...)
		for i := range r.Outcomes {
			if len(all) == maxOutcomes {
				in.Truncated = true
				break
			}
			all = append(all, judgementOf(r, i))
		}
		for i := range r.Findings {
			if f, ok := restateFinding(r.Findings[i]); ok && len(out.Findings) < maxFindings {
				out.Findings = append(out.Findings, f)
			}
		}
		for _, t := range restateTests(r.NextTests) {
			out.addTest(t)
		}
	}
	out.Verdict = headline(all)
	if len(reports) == 1 && reports[0].Verdict.Code == out.Verdict.Code {
		// Its own words say more than what outcomes alone can tell.
		v := reports[0].Verdict
		if v.Headline != "" {
			out.Verdict.Headline, out.Verdict.Next = fit(v.Headline), v.Next
		}
		// A probe that is ready may raise an alarm all the same.
		out.Verdict.Status = worseStatus(out.Verdict.Status, among(v.Status, allStatuses, OK))
	}
	out.Outcomes = make([]Outcome, len(all))
	for i := range all {
		out.Outcomes[i] = all[i].out
	}
	return out
}

// judgementOf is an outcome of a report that was read back.
func judgementOf(r *Report, i int) judgement {
	g := judgement{out: restateOutcome(r.Outcomes[i])}
	o := &g.out
	g.obs.Reply = replyBack(&o.Reply)
	g.obs.Kind = whoseLimit(transcript.KindOf(g.obs.Reply), o.Direction)
	g.obs.Stage = transcript.Stage(o.Stage)
	g.obs.Port = o.Port
	g.tests = restateTests(r.NextTests)
	if o.Verdict == Refused && o.replyless() {
		g.rung = 3
	}
	if o.Verdict == InsufficientEvidence {
		g.gap = gapLog
	}
	return g
}
