package analyze

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/smtp-handoff/handoff/analyze/ndr"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Analyze reads one input and judges it: a bounce, several of them, a log, a
// dialogue, or a report of handoff itself. It never fails: what cannot be read
// gives insufficient-evidence with the text to ask for.
func Analyze(input []byte, o Options) *Report {
	in := Input{Source: o.Source, Bytes: int64(len(input)), SHA256: digest(input)}
	if r, ok := readBack(input, &in, o); ok {
		return r
	}
	doc := ndr.Prepare(input)
	cases := ndr.Options{RelayDomains: o.RelayDomains}.Read(input)
	return judgeCases(cases, doc.Quote, &in, o)
}

func digest(input []byte) string {
	sum := sha256.Sum256(input)
	var b [2 * sha256.Size]byte
	hex.Encode(b[:], sum[:])
	return string(b[:])
}

// JudgeCases judges what the readers found in one input. Spans of the cases are
// places in that input; without it (nil) the report has no quotes.
func JudgeCases(cases []ndr.Case, input []byte, o Options) *Report {
	in := Input{Source: o.Source, Bytes: int64(len(input)), SHA256: digest(input)}
	var quote func(transcript.Span) string
	if input != nil {
		quote = func(s transcript.Span) string {
			start := min(max(s.Offset, 0), len(input))
			return string(input[start:min(max(s.End, start), len(input))])
		}
	}
	return judgeCases(cases, quote, &in, o)
}

// caseNotes is a case as far as findings want it.
type caseNotes struct {
	c *ndr.Case
}

func judgeCases(cases []ndr.Case, quote func(transcript.Span) string, in *Input, o Options) *Report {
	j := newJudge(&o, quote)
	all := make([]judgement, 0, 1)
	notes := make([]*caseNotes, 0, len(cases))
	for i := range cases {
		c := &cases[i]
		notes = append(notes, &caseNotes{c})
		if c.Partial {
			in.Truncated = true
		}
		if in.Format == "" {
			in.Format = c.Format
		}
		items := mergeItems(c)
		for k := range items {
			all = append(all, j.judgeItem(c, &items[k]))
		}
	}
	all = append(all, j.itemless(cases, len(all) > 0)...)
	all = settle(all)
	return j.report(all, notes, in)
}

// itemless judges the cases that say nothing about any recipient. Beside real
// reports only mails of a known other nature count: prose around a bounce is
// no outcome of its own.
func (j *judge) itemless(cases []ndr.Case, others bool) []judgement {
	var out []judgement
	for i := range cases {
		c := &cases[i]
		if len(c.Items) > 0 {
			continue
		}
		switch {
		case c.Nature == ndr.NatureAutoreply, c.Nature == ndr.NatureComplaint, c.Nature == ndr.NatureReceipt, c.Nature == ndr.NatureCalendar:
		case others:
			continue
		}
		it := fromMentions(c)
		out = append(out, j.judgeItem(c, it))
	}
	if len(out) < 2 || others {
		return out
	}
	// Several texts without a report: one outcome for each kind of nature.
	seen := map[ndr.Nature]bool{}
	kept := out[:0]
	for _, g := range out {
		if !seen[g.cs.Nature] {
			seen[g.cs.Nature] = true
			kept = append(kept, g)
		}
	}
	return kept
}

// fromMentions makes an item of a case whose readers found hosts and no
// recipient.
func fromMentions(c *ndr.Case) *ndr.Item {
	it := &ndr.Item{FromReport: c.Nature == ndr.NatureReport}
	for i := range c.Mentions {
		m := c.Mentions[i]
		switch {
		case m.Role == ndr.Reporter && it.Reporter.IsZero():
			it.Reporter = m
		case m.Role == ndr.Target && it.Target.IsZero():
			it.Target = m
		case m.Role == ndr.Refuser && it.Refuser.IsZero():
			it.Refuser = m
		}
	}
	return it
}

// maxOutcomes bounds the outcomes of one report.
const maxOutcomes = 100_000

func (j *judge) report(all []judgement, notes []*caseNotes, in *Input) *Report {
	if len(all) > maxOutcomes {
		all = all[:maxOutcomes]
		in.Truncated = true
	}
	r := &Report{SchemaVersion: SchemaVersion, Kind: "analysis", Input: in, NextTests: []NextTest{}}
	r.Findings = j.findings(all, notes)
	r.Verdict = headline(all)
	r.Outcomes = make([]Outcome, len(all))
	for i := range all {
		g := &all[i]
		if g.out.Causes == nil {
			g.out.Causes = []Cause{}
		}
		r.Outcomes[i] = g.out
		if g.out.Verdict == InsufficientEvidence {
			r.addTest(ask(g))
		}
		for _, t := range g.tests {
			r.addTest(t)
		}
	}
	if len(all) == 0 {
		r.addTest(NextTest{ID: "sending-server-log", Do: "send the whole bounce, or the sending server's SMTP log", Who: string(SenderSystem), Separates: []string{}})
	}
	return r
}

// maxTests bounds the next tests of one report: the first ones are the
// cheapest.
const maxTests = 12

func (r *Report) addTest(t NextTest) {
	if len(r.NextTests) == maxTests {
		return
	}
	for i := range r.NextTests {
		if r.NextTests[i].ID == t.ID && r.NextTests[i].Do == t.Do {
			return
		}
	}
	if t.Separates == nil {
		t.Separates = []string{}
	}
	r.NextTests = append(r.NextTests, t)
}
