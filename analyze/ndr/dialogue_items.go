package ndr

import (
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// caseOf makes the case of one connection: an outcome for each recipient, from
// the first failing exchange on that recipient's way.
func (t *talk) caseOf(format string) Case {
	s := t.session
	server := t.serverMention(Refuser)
	s.Server = server.Host
	if s.Address == "" {
		s.Address = server.Address
	}
	if s.Port == 0 {
		s.Port = server.Port
	}
	if s.Port == 0 {
		s.Port = t.settings.port
	}
	if s.Port == 465 && len(s.Exchanges) > 0 {
		s.Implicit = true
	}
	if t.last > t.first {
		s.Span = t.b.span(t.b.Doc.LineStart(t.first), t.b.Doc.LineEnd(t.last-1))
	}
	c := Case{Format: format, Nature: NatureDialogue, Span: s.Span}
	if !t.artefact.IsZero() {
		c.Notes = append(c.Notes, Note{ID: "tester-artefact", Text: "The test program took a line that begins with an upper-case R or Q for a command of its own and did not send it.", Span: t.artefact})
	}
	c.Items = sessionItems(s, server, t.hidden, !t.artefact.IsZero())
	for i := range c.Items {
		it := &c.Items[i]
		it.When = s.Began
		if len(s.Exchanges) == 0 && t.connected {
			it.Stage = transcript.StageUnknown // it opened; what it waited for is not told
		}
		if it.Recipient == "" && len(t.settings.to) == 1 {
			it.Recipient = t.settings.to[0]
		}
		if it.Sender == "" {
			it.Sender = t.settings.sender
		}
	}
	return c
}

// sessionItems gives the outcomes of a session: one per recipient that was
// named, or one for all when it failed before.
//
//   - A refusal of RCPT is the outcome of that recipient.
//   - Any other first failure is the outcome of every recipient that had not
//     failed before.
//   - What follows a failure ("no valid recipients", 503, 221) is a consequence.
func sessionItems(s *transcript.Session, server Mention, hidden transcript.Span, artefact bool) []Item {
	base := Item{Session: s, Port: s.Port, Authenticated: transcript.No}
	if !sawBeginning(s) {
		base.Authenticated = transcript.Unknown
	}
	fail := s.FirstFailureIndex()
	last, dot, sending := -1, -1, -1
	type way struct {
		recipient string
		exchange  int
	}
	var ways []way
	loggedInAt := len(s.Exchanges)
	for i := range s.Exchanges {
		e := &s.Exchanges[i]
		switch transcript.Verb(e.Command) {
		case "MAIL":
			if a, _, ok := transcript.Path(e.Command); ok {
				base.Sender = strings.ToLower(a)
			}
		case "RCPT":
			if a, _, ok := transcript.Path(e.Command); ok && len(ways) < maxItems {
				ways = append(ways, way{strings.ToLower(a), i})
			}
		case ".":
			if dot < 0 && e.Reply.Class() == 2 {
				dot = i
			}
		}
		if e.Reply.Code == 354 || e.Reply.IsZero() && e.Fault == transcript.FaultNone && transcript.Verb(e.Command) == "DATA" {
			sending = i
		}
		if e.Reply.Code == 235 {
			loggedInAt = min(loggedInAt, i)
		}
		if e.Reply.Class() == 2 && e.Stage != transcript.StageUnknown && e.Stage != "" {
			last = i
		}
	}
	at := func(i int) Item {
		it := base
		e := &s.Exchanges[i]
		if i > loggedInAt {
			it.Authenticated = transcript.Yes
		}
		it.Secure = secureFact(s, e)
		it.Stage = e.Stage
		if e.Reply.Code == 530 {
			it.Stage = transcript.StageTLS // wherever it was said
		}
		it.Reply = e.Reply
		if e.Fault != transcript.FaultNone {
			it.Fault, it.FaultSpan = e.Fault, e.Span
			it.Reply = transcript.Reply{}
			it.Target = server
			it.Target.Role = Target
		} else if e.Reply.Class() >= 4 {
			it.Refuser = server
		}
		return it
	}
	var items []Item
	put := func(it Item, recipient string) {
		it.Recipient = recipient
		it.Evidence = evidenceOf(&it, server)
		items = append(items, it)
	}
	if artefact && fail < 0 {
		it := base
		it.Stage = transcript.StageUnknown
		it.Evidence = evidenceOf(&it, server)
		recipient := ""
		if len(ways) == 1 {
			recipient = ways[0].recipient
		}
		put(it, recipient)
		return items
	}
	if fail < 0 && !hidden.IsZero() {
		it := base
		it.Secure = transcript.No
		it.Stage = transcript.StageTLS
		if s.After != nil || secured(s) {
			it.Secure, it.Stage = transcript.Yes, transcript.StageAuth
		}
		it.Refuser = server
		it.FaultSpan = hidden
		it.Evidence = evidenceOf(&it, server)
		items = append(items, it)
		return items
	}
	if fail < 0 {
		switch {
		case dot >= 0:
			for _, w := range ways {
				it := at(dot)
				it.Action, it.Stage = ActionRelayed, transcript.StageAccepted
				it.Carrier = server
				it.Carrier.Role = Received
				put(it, w.recipient)
			}
			if len(ways) == 0 {
				it := at(dot)
				it.Action, it.Stage = ActionRelayed, transcript.StageAccepted
				it.Carrier = server
				it.Carrier.Role = Received
				put(it, "")
			}
		case sending >= 0:
			// The message was on its way, and what came of it is not in the text.
			for _, w := range ways {
				it := at(sending)
				it.Reply = transcript.Reply{}
				put(it, w.recipient)
			}
			if len(ways) == 0 {
				it := at(sending)
				it.Reply = transcript.Reply{}
				put(it, "")
			}
		case len(ways) > 0:
			cut := unanswered(s)
			for _, w := range ways {
				it := at(w.exchange)
				if cut {
					it.Reply = transcript.Reply{}
				}
				put(it, w.recipient)
			}
		case last >= 0:
			it := at(last)
			it.Reply = transcript.Reply{}
			put(it, "")
		default:
			it := base
			it.Stage = s.Furthest()
			it.Target = server
			it.Target.Role = Target
			put(it, "")
		}
		return items
	}
	failed := &s.Exchanges[fail]
	perRecipient := transcript.Verb(failed.Command) == "RCPT"
	if !perRecipient {
		any := false
		for _, w := range ways {
			if e := &s.Exchanges[w.exchange]; e.Failed() && w.exchange < fail {
				continue
			}
			any = true
			put(at(fail), w.recipient)
		}
		if !any {
			it := at(fail)
			put(it, aboutRecipient(&it.Reply))
		}
		return items
	}
	// The first failure is a RCPT: each recipient has its own.
	later := -1
	for i := fail + 1; i < len(s.Exchanges); i++ {
		e := &s.Exchanges[i]
		if v := transcript.Verb(e.Command); e.Failed() && (v == "DATA" || v == "." || v == "BDAT" || e.Stage == transcript.StageData) && !transcript.KindOf(e.Reply).Echo() {
			later = i
			break
		}
	}
	for _, w := range ways {
		e := &s.Exchanges[w.exchange]
		switch {
		case e.Failed():
			put(at(w.exchange), w.recipient)
		case dot >= 0 && e.Reply.Class() == 2:
			it := at(dot)
			it.Action, it.Stage = ActionRelayed, transcript.StageAccepted
			it.Carrier = server
			it.Carrier.Role = Received
			put(it, w.recipient)
		case later >= 0 && e.Reply.Class() == 2:
			put(at(later), w.recipient)
		}
	}
	return items
}

// unanswered reports whether the text ends before the message was sent: behind
// the last command, or without a word of parting. What became of the message is
// not in it.
func unanswered(s *transcript.Session) bool {
	for i := len(s.Exchanges) - 1; i >= 0; i-- {
		switch e := &s.Exchanges[i]; transcript.Verb(e.Command) {
		case "DATA", "BDAT":
			if e.Reply.Code == 0 && e.Fault == transcript.FaultNone {
				return true
			}
		case "QUIT", "RSET":
			return false
		}
	}
	return true
}

// sawBeginning reports whether the text shows the session from its greeting or
// EHLO on, so that what is not in it was not done.
func sawBeginning(s *transcript.Session) bool {
	for i := range s.Exchanges {
		switch e := &s.Exchanges[i]; e.Stage {
		case transcript.StageGreet, transcript.StageConnect, transcript.StageResolve:
			return true
		case transcript.StageEHLO:
			return e.Command != ""
		case transcript.StageUnknown:
		default:
			return false
		}
	}
	return false
}

// secured reports whether something was said inside TLS.
func secured(s *transcript.Session) bool {
	for i := range s.Exchanges {
		if s.Exchanges[i].Secure {
			return true
		}
	}
	return false
}

// secureFact says whether the exchange was inside TLS; a text that begins in
// the middle of a session does not tell.
func secureFact(s *transcript.Session, e *transcript.Exchange) transcript.Fact {
	switch {
	case e.Secure, s.Implicit && (e.Stage != transcript.StageTLS || e.Fault == transcript.FaultNone):
		return transcript.Yes
	case sawBeginning(s) || s.Before != nil:
		return transcript.No
	}
	return transcript.Unknown
}

// evidenceOf lists the mentions of an item. A session that settled nothing still
// shows its server.
func evidenceOf(it *Item, server Mention) []Mention {
	var list []Mention
	for _, m := range []Mention{it.Refuser, it.Target, it.Carrier, it.Reporter} {
		if !m.IsZero() && !m.Span.IsZero() {
			list = append(list, m)
		}
	}
	if len(list) == 0 && !server.IsZero() && !server.Span.IsZero() {
		server.Role = Named
		list = append(list, server)
	}
	return list
}

// readOwn reads sessions in the text form that this program writes.
func readOwn(b *Block) []Case {
	sessions, _ := transcript.Parse(b.Text())
	var cases []Case
	base := b.Start()
	shift := func(s transcript.Span) transcript.Span {
		if s.IsZero() {
			return s
		}
		return b.span(base+s.Offset, base+s.End)
	}
	for i := range sessions {
		s := &sessions[i]
		s.Span = shift(s.Span)
		var hidden transcript.Span
		for k := range s.Exchanges {
			e := &s.Exchanges[k]
			e.Span, e.Reply.Span = shift(e.Span), shift(e.Reply.Span)
			if e.Skipped != "" && e.Stage == transcript.StageAuth && strings.Contains(e.Skipped, "offer") && hidden.IsZero() {
				hidden = e.Span
				if hidden.IsZero() {
					hidden = s.Span
				}
			}
		}
		server := Mention{Host: s.Server, Address: s.Address, Port: s.Port, Role: Refuser, Span: s.Span}
		if n := strings.Index(string(b.Text()), s.Server); n >= 0 && s.Server != "" {
			server.Span = b.span(base+n, base+n+len(s.Server))
		}
		if s.Source == "" {
			s.Source = "handoff"
		}
		c := Case{Format: "handoff", Nature: NatureDialogue, Span: s.Span, Items: sessionItems(s, server, hidden, false)}
		if s.Plan != nil {
			c.Probed = s
		}
		cases = append(cases, c)
	}
	return cases
}
