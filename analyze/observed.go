package analyze

import (
	"github.com/smtp-handoff/handoff/analyze/ndr"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// ObserveText reads a text as Analyze does and returns what the inversion
// compares: one observation per outcome that asks for causes, in their order. A
// report of handoff itself gives those of its sessions or outcomes. Several
// outcomes of one text need not be about one road: whoever explains them
// together decides that.
func ObserveText(input []byte, o Options) []Observation {
	if looksLikeReport(input) {
		if reports, ok := decodeReports(input); ok {
			return observeReports(reports, o)
		}
	}
	text, _ := unpacked(input)
	cases := ndr.Options{RelayDomains: o.RelayDomains}.Read(text)
	j := newJudge(&o, quoteOf(text))
	probes, cases := savedProbes(cases)
	var out []Observation
	for i := range probes {
		out = append(out, ObserveProbe(probes[i], o)...)
	}
	if len(probes) > 0 && !tellMore(cases) {
		return out
	}
	var all []judgement
	for i := range cases {
		items := mergeItems(&cases[i])
		for k := range items {
			all = append(all, j.judgeItem(&cases[i], &items[k]))
		}
	}
	all = append(all, j.itemless(cases, len(all) > 0 || len(probes) > 0)...)
	for _, g := range settle(all) {
		if explained(&g) {
			out = append(out, g.obs)
		}
	}
	return out
}

func observeReports(reports []*Report, o Options) []Observation {
	var out []Observation
	for _, r := range reports {
		if r.Kind == "probe" {
			p, _ := probeOf(r)
			out = append(out, ObserveProbe(p, o)...)
			continue
		}
		for i := range r.Outcomes {
			out = append(out, observeOutcome(&r.Outcomes[i], r))
		}
	}
	return out
}

// observeOutcome takes an outcome of a written report for what it says; what a
// report does not hold stays unknown.
func observeOutcome(out *Outcome, r *Report) Observation {
	obs := Observation{
		Verdict: out.Verdict, Stage: transcript.Stage(out.Stage), Port: servicePort(out.Port),
		Inbound: inboundFact(out.Direction), Sender: out.Sender, Recipient: out.Recipient, Host: out.RefusedBy,
	}
	if out.Reply.Code != 0 || out.Reply.Text != "" {
		obs.Reply = transcript.Reply{Code: out.Reply.Code, Enhanced: out.Reply.Enhanced, Lines: []string{out.Reply.Text}}
		obs.Kind = transcript.KindOf(obs.Reply)
	}
	if obs.Host == "" {
		obs.Host = out.Target
	}
	if r.Input != nil {
		obs.Via = r.Input.Format
	}
	return obs
}

// ObserveProbe judges a probe's sessions and returns what the inversion
// compares, one observation per session.
func ObserveProbe(p Probe, o Options) []Observation {
	j := newProbeJudge(&p, &o)
	out := make([]Observation, len(j.all))
	for i := range j.all {
		out[i] = j.all[i].obs
	}
	return out
}
