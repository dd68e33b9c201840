package analyze

import (
	"github.com/smtp-handoff/handoff/analyze/ndr"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Bounds of the evidence of one outcome. What decides stands first, so that
// the bounds only cut repetition.
const (
	maxEvidence = 8
	maxQuote    = 1000 // bytes of one quote
)

// roleReply is the role of a quoted reply or of a fault's words: no host
// stands there.
const roleReply = "reply"

// evidence quotes what decided: the deciding host, the reply or the fault's
// words, then the other mentions in the order of the text.
func (j *judge) evidence(c *ndr.Case, it *ndr.Item, g *judgement) []Evidence {
	if j.quote == nil {
		return []Evidence{}
	}
	q := quoter{j: j, out: make([]Evidence, 0, 4)}
	for _, m := range j.deciding(c, it, g.rung) {
		q.mention(m)
	}
	if !it.Reply.Span.IsZero() {
		q.add(it.Reply.Span, roleReply)
	} else if !it.LocalReply.Span.IsZero() {
		q.add(it.LocalReply.Span, roleReply)
	}
	if !it.FaultSpan.IsZero() {
		q.add(it.FaultSpan, roleReply)
	}
	for i := range it.Evidence {
		q.mention(&it.Evidence[i])
	}
	q.mention(&it.Reporter)
	return q.out
}

// deciding are the mentions that the rung stands on, the strongest first.
func (j *judge) deciding(c *ndr.Case, it *ndr.Item, rung int) [3]*ndr.Mention {
	switch rung {
	case 4, 5:
		return [3]*ndr.Mention{&it.Target, &it.Refuser, &it.Carrier}
	case 6:
		if j.relay(&it.Reporter) {
			return [3]*ndr.Mention{&it.Reporter, &it.Refuser, &it.Target}
		}
		if j.relay(&it.Carrier) {
			return [3]*ndr.Mention{&it.Carrier, &it.Refuser, &it.Reporter}
		}
		for i := range c.Hops {
			h := &c.Hops[i]
			if j.relay(&h.By) {
				return [3]*ndr.Mention{&h.By, &it.Refuser, &it.Reporter}
			}
		}
		for i := range c.Hops {
			h := &c.Hops[i]
			if j.relay(&h.From) {
				return [3]*ndr.Mention{&h.From, &it.Refuser, &it.Reporter}
			}
		}
	}
	return [3]*ndr.Mention{&it.Refuser, &it.Target, &it.Carrier}
}

// quoter collects quotes, each place and role once.
type quoter struct {
	j     *judge
	out   []Evidence
	spans [maxEvidence]transcript.Span
}

func (q *quoter) mention(m *ndr.Mention) {
	if !m.Span.IsZero() && m.Role != "" {
		q.add(m.Span, string(m.Role))
	}
}

func (q *quoter) add(s transcript.Span, role string) {
	if len(q.out) == maxEvidence {
		return
	}
	for i := range q.out {
		if q.spans[i].Offset == s.Offset && (q.spans[i].End == s.End || q.out[i].Role == role) {
			return
		}
	}
	e, ok := q.j.cite(s, role)
	if !ok {
		return
	}
	q.spans[len(q.out)] = s
	q.out = append(q.out, e)
}

// cite quotes one place of the input. The line is that of the source: an
// archive's lines before the message, and lines that were left out of a large
// one, count.
func (j *judge) cite(s transcript.Span, role string) (Evidence, bool) {
	if j.quote == nil || s.IsZero() {
		return Evidence{}, false
	}
	text := j.quote(s)
	if text == "" {
		return Evidence{}, false
	}
	e := Evidence{Line: s.Line, Column: s.Column, Quote: cutRunes(text, maxQuote), Role: role}
	o := &j.o.Origin
	if o.Line > 1 {
		e.Line += o.Line - 1
	}
	if o.Cut > 0 && s.Offset >= o.Cut {
		e.Line += o.CutLines
	}
	return e, true
}

// cutRunes cuts a text to at most n bytes, never inside a character.
func cutRunes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
