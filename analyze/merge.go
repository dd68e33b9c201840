package analyze

import (
	"slices"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/ndr"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// mergeItems makes one item of each recipient of a case: text and status
// fields of a report about one recipient are one outcome; the last log line of
// a queue id and recipient is the outcome; a refusal at or before AUTH counts
// once for all recipients of its session. Logs keep messages apart by queue id.
func mergeItems(c *ndr.Case) []ndr.Item {
	if len(c.Items) < 2 {
		return c.Items
	}
	out := c.Items // copied before the first change: items are large, and most logs need none
	n := 0
	at := make(map[string]int, len(c.Items))
	for i := range c.Items {
		it := &c.Items[i]
		key, ok := mergeKey(it)
		if k, seen := at[key]; ok && seen {
			if n == i {
				out = slices.Clone(c.Items)
			}
			out[k] = mergeItem(&out[k], it)
			continue
		}
		if ok {
			at[key] = n
		}
		if n < i {
			out[n] = *it
		}
		n++
	}
	return adopt(out[:n:n])
}

// adopt joins what a report says without naming a recipient with the only
// recipient it names.
func adopt(items []ndr.Item) []ndr.Item {
	if len(items) != 2 || !items[0].FromReport || !items[1].FromReport || items[0].Session != nil || items[1].Session != nil {
		return items
	}
	named, other := &items[0], &items[1]
	if named.Recipient == "" {
		named, other = other, named
	}
	if named.Recipient == "" || other.Recipient != "" {
		return items
	}
	m := mergeItem(named, other)
	m.Recipient = named.Recipient
	return []ndr.Item{m}
}

// mergeKey is what two items of one case must share to be one outcome. Items
// without a recipient and an id stay apart.
func mergeKey(it *ndr.Item) (string, bool) {
	if it.Session != nil && early(it) && it.Fault == transcript.FaultNone {
		// One session, one refusal: the place of the reply tells sessions apart.
		return "s" + sessionKey(it), true
	}
	switch {
	case it.FromReport && it.Recipient != "":
		return "r" + strings.ToLower(it.Recipient), true
	case it.QueueID != "" && it.Recipient != "":
		return "q" + it.QueueID + "\x00" + strings.ToLower(it.Recipient), true
	}
	return "", false
}

func sessionKey(it *ndr.Item) string {
	s := it.Session
	return s.Server + "\x00" + s.Address + "\x00" + itoa(s.Span.Offset) + "\x00" + itoa(it.Reply.Span.Offset)
}

// early reports whether a try was refused at or before AUTH, before any
// recipient was named.
func early(it *ndr.Item) bool {
	o := it.Stage.Order()
	return o >= 0 && o <= transcript.StageAuth.Order()
}

// mergeItem joins what two places of one case say about one recipient. Where
// both are parts of a report the one with a Status field is the status part:
// hosts come from it, the stage from the text. In a log the later line wins,
// except that an expiry of the queue never hides the real last answer.
func mergeItem(a, b *ndr.Item) ndr.Item {
	if !a.FromReport || !b.FromReport {
		if b.Expired && b.Reply.IsZero() && b.Fault == transcript.FaultNone {
			m := *a
			m.Expired = true
			m.Evidence = append(append([]ndr.Mention(nil), a.Evidence...), b.Evidence...)
			return m
		}
		m := *b
		if m.Sender == "" {
			m.Sender = a.Sender
		}
		return m
	}
	fields, text := b, a
	if a.Status != "" && b.Status == "" {
		fields, text = a, b
	}
	m := *fields
	if text.Stage != "" && text.Stage != transcript.StageUnknown {
		m.Stage = text.Stage
	}
	if m.Action == ndr.ActionUnstated || text.Action == ndr.ActionFailed {
		m.Action = text.Action
	}
	if m.Reply.IsZero() || (m.Reply.Code == 0 && text.Reply.Code != 0) {
		m.Reply = text.Reply
	}
	if m.LocalReply.IsZero() {
		m.LocalReply = text.LocalReply
	}
	if m.Refuser.IsZero() || (m.Refuser.Host == "" && text.Refuser.Host != "") {
		m.Refuser = text.Refuser
	}
	if m.Reporter.IsZero() || (m.Reporter.Host == "" && text.Reporter.Host != "") {
		m.Reporter = text.Reporter
	}
	if m.Target.IsZero() || (m.Target.Host == "" && text.Target.Host != "") {
		m.Target = text.Target
	}
	if m.Carrier.IsZero() {
		m.Carrier = text.Carrier
	}
	if m.Fault == transcript.FaultNone && m.Reply.IsZero() {
		m.Fault, m.FaultSpan = text.Fault, text.FaultSpan
	}
	if m.Original == "" {
		m.Original = text.Original
	}
	if m.Sender == "" {
		m.Sender = text.Sender
	}
	if m.Port == 0 {
		m.Port = text.Port
	}
	if m.When.IsZero() {
		m.When = text.When
	}
	if m.RetryUntil.IsZero() {
		m.RetryUntil = text.RetryUntil
	}
	if m.QueueID == "" {
		m.QueueID = text.QueueID
	}
	if m.Secure == transcript.Unknown {
		m.Secure = text.Secure
	}
	if m.Authenticated == transcript.Unknown {
		m.Authenticated = text.Authenticated
	}
	if m.Session == nil {
		m.Session = text.Session
	}
	m.LocalOnlyExpiry = a.LocalOnlyExpiry && b.LocalOnlyExpiry
	m.Expired = a.Expired || b.Expired
	m.Evidence = append(append([]ndr.Mention(nil), a.Evidence...), b.Evidence...)
	return m
}

// settle drops outcomes that a later one of the same recipient replaces: a
// delay report before the bounce, and the same report pasted twice.
func settle(all []judgement) []judgement {
	if len(all) < 2 {
		return all
	}
	failed := map[string]bool{}
	for i := range all {
		if g := &all[i]; g.out.Verdict != NotAFailure && g.out.Recipient != "" {
			failed[strings.ToLower(g.out.Recipient)] = true
		}
	}
	seen := map[string]bool{}
	out := all[:0]
	for i := range all {
		g := &all[i]
		if g.delay && failed[strings.ToLower(g.out.Recipient)] {
			continue
		}
		if g.item != nil && g.item.FromReport {
			key := sameKey(g)
			if seen[key] {
				continue
			}
			seen[key] = true
		}
		out = append(out, *g)
	}
	return out
}

func sameKey(g *judgement) string {
	o := &g.out
	return strings.Join([]string{
		strings.ToLower(o.Recipient), string(o.Verdict), o.Stage, itoa(o.Reply.Code), o.Reply.Enhanced, o.Reply.Text,
		o.RefusedBy, o.ReportedBy, o.Target, o.When, g.item.QueueID,
	}, "\x00")
}

func itoa(n int) string {
	if n >= 0 && n < 10 {
		return "0123456789"[n : n+1]
	}
	var b [20]byte
	return string(appendInt(b[:0], int64(n)))
}
