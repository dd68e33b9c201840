package analyze

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/smtp-handoff/handoff/analyze/ndr"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Analyze reads one input and judges it: a bounce, several of them, a log, a
// dialogue, or a report of handoff itself. It never fails: what cannot be read
// gives insufficient-evidence with the text to ask for.
func Analyze(input []byte, o Options) *Report {
	in := inputOf(input, &o)
	if r, ok := readBack(input, in, o); ok {
		return r
	}
	text, whole := unpacked(input)
	in.Truncated = in.Truncated || !whole
	cases := ndr.Options{RelayDomains: o.RelayDomains, TellingHops: true}.Read(text)
	return judgeCases(cases, text, in, o)
}

func inputOf(input []byte, o *Options) *Input {
	in := &Input{Source: o.Source, Bytes: int64(len(input)), Message: o.Origin.Message, SHA256: o.Origin.SHA256}
	if o.Origin.Size > 0 {
		in.Bytes = o.Origin.Size
	}
	if in.SHA256 == "" {
		in.SHA256 = digest(input)
	}
	in.Truncated = o.Origin.Cut > 0 || o.Origin.Problem != ""
	return in
}

func digest(input []byte) string {
	sum := sha256.Sum256(input)
	var b [2 * sha256.Size]byte
	hex.Encode(b[:], sum[:])
	return string(b[:])
}

// formatUnreadable is Input.Format of an input that holds no text.
const formatUnreadable = "unreadable"

// Partial reports whether a limit cut the reading short. Of what could not be
// read at all nothing was left out.
func (in *Input) Partial() bool { return in.Truncated && in.Format != formatUnreadable }

// Unreadable is the report about an input that holds no text: a picture, an
// archive, a file that could not be opened. Options.Origin says why.
func Unreadable(o Options) *Report {
	in := inputOf(nil, &o)
	in.Format = formatUnreadable
	f := finding(findingUnreadable, nil)
	f.Why = o.Origin.Problem
	if o.Origin.Advice != "" {
		f.Fix = []Fix{{Who: SenderSystem, Text: o.Origin.Advice}}
	}
	advice := o.Origin.Advice
	if advice == "" {
		advice = "send the text of the bounce, or the sending server's SMTP log"
	}
	return &Report{
		SchemaVersion: SchemaVersion, Kind: "analysis", Input: in, Findings: []Finding{f},
		Verdict: Summary{
			Code: InsufficientEvidence, Status: Inconclusive, Confidence: Possible,
			Headline: fit("unreadable: "+o.Origin.Problem, "this input cannot be read"),
			Next:     string(SenderSystem) + ": " + advice,
		},
		NextTests: []NextTest{{ID: "send-text", Do: advice, Who: string(SenderSystem), Separates: []string{}}},
	}
}

// maxUnpacked bounds what is taken out of a gzip that was given as one input.
const maxUnpacked = 64 << 20

// unpacked opens a gzip that was given as one input. It reports false when it
// is damaged or larger than is read; what came out before that is the text.
func unpacked(input []byte) ([]byte, bool) {
	if len(input) < 3 || input[0] != 0x1f || input[1] != 0x8b || input[2] != 8 {
		return input, true
	}
	z, err := gzip.NewReader(bytes.NewReader(input))
	if err != nil {
		return input, false
	}
	text, err := io.ReadAll(io.LimitReader(z, maxUnpacked+1))
	if len(text) > maxUnpacked {
		return text[:maxUnpacked], false
	}
	return text, err == nil
}

// quoteOf cuts quotes out of an input: as they stand there, NULs dropped and
// bytes that are no UTF-8 read as Latin-1.
func quoteOf(input []byte) func(transcript.Span) string {
	if input == nil {
		return nil
	}
	return func(s transcript.Span) string {
		start := min(max(s.Offset, 0), len(input))
		end := min(max(s.End, start), len(input))
		if end-start > 2*maxQuote {
			end = start + 2*maxQuote
		}
		cut := input[start:end]
		if utf8.Valid(cut) && bytes.IndexByte(cut, 0) < 0 {
			return string(cut)
		}
		if !utf8.Valid(cut) && end < len(input) {
			// The bound may have cut a character in two.
			if t := trimPartial(cut); utf8.Valid(t) {
				return strings.ReplaceAll(string(t), "\x00", "")
			}
		}
		var b strings.Builder
		for len(cut) > 0 {
			r, n := utf8.DecodeRune(cut)
			if r == utf8.RuneError && n == 1 {
				r = rune(cut[0])
			}
			if r != 0 {
				b.WriteRune(r)
			}
			cut = cut[n:]
		}
		return b.String()
	}
}

// trimPartial drops the beginning of a character at the end.
func trimPartial(b []byte) []byte {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if utf8.RuneStart(b[len(b)-i]) {
			return b[:len(b)-i]
		}
	}
	return b
}

func judgeCases(cases []ndr.Case, text []byte, in *Input, o Options) *Report {
	for i := range cases {
		if cases[i].Probed != nil {
			return judgeSaved(cases, text, in, o)
		}
	}
	j := newJudge(&o, quoteOf(text))
	all := make([]judgement, 0, 1) // most mails have one, which needs no heap
	for i := range cases {
		c := &cases[i]
		if c.Partial {
			in.Truncated = true
		}
		if in.Format == "" {
			in.Format = c.Format
		}
		items := mergeItems(c)
		all = slices.Grow(all, len(items)) // judgements are large: not by doubling
		for k := range items {
			all = append(all, j.judgeItem(c, &items[k]))
		}
	}
	if text == nil || !blank(text) {
		all = append(all, j.itemless(cases, len(all) > 0)...)
	}
	all = settle(all)
	j.explain(all)
	nameProgram(all, text)
	r := j.report(all, cases, in)
	if allOther(all, &o) {
		r.sayOther()
	}
	o.Explainer.reword(r)
	hide(r, text, cases)
	return r
}

// blank reports whether there is nothing to read.
func blank(text []byte) bool { return len(bytes.TrimSpace(text)) == 0 }

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

func (j *judge) report(all []judgement, cases []ndr.Case, in *Input) *Report {
	if len(all) > maxOutcomes {
		all = all[:maxOutcomes]
		in.Truncated = true
	}
	r := &Report{SchemaVersion: SchemaVersion, Kind: "analysis", Input: in, NextTests: []NextTest{}}
	r.Findings = j.findings(all, cases)
	if o := &j.o.Origin; o.Problem != "" || o.Cut > 0 {
		r.Findings = append(r.Findings, partOnly(o))
	}
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

// partOnly says that an input was not read whole, and why.
func partOnly(o *Origin) Finding {
	f := finding(findingLimit, nil)
	if o.Problem != "" {
		f.Why = o.Problem
	} else {
		f.Why = "the message is larger than is kept: its beginning and its end were read, " + itoa(o.CutLines) + " lines between them were not"
	}
	return f
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
