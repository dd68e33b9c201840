package analyze

import (
	"strings"

	"github.com/smtp-handoff/handoff/analyze/ndr"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// party is whose side holds the fix as far as the text can tell.
func (j *judge) party(c *ndr.Case, it *ndr.Item, g *judgement, kind transcript.Kind) Party {
	rule := ruleOf(kind)
	switch g.out.Verdict {
	case NotAFailure:
		return j.partyHarmless(it, rule)
	case NeverReached:
		return SenderSystem
	case AcceptedThenBounced:
		switch kind {
		case transcript.KindSPF, transcript.KindDMARC, transcript.KindUnauthenticatedMail:
			return SenderSystem
		}
		return RecipientSystem
	case Unreachable:
		if g.obs.Stage == transcript.StageResolve && !containsAny(g.obs.Words, transientDNS) {
			return SenderSystem
		}
		return Network
	case HandshakeFailed:
		if g.obs.Stage == transcript.StageTLS {
			p := g.tlsProblem()
			if p == problemImplicit || p == problemNotTLS && g.obs.Implicit == transcript.Yes {
				return SenderSystem
			}
			return partyOfTLS(p)
		}
		return Network
	case Refused, InboundRefused, Deferred:
		if it.Reply.IsZero() {
			switch g.rung {
			case 2:
				return partyOfStage(g.obs.Stage, 5)
			case 3:
				return SenderSystem
			}
			return Network // the connection broke
		}
		if rule.party != "" {
			return rule.party
		}
		return partyOfStage(g.obs.Stage, it.Reply.Class())
	case InsufficientEvidence:
		switch g.gap {
		case gapTester:
			return SenderSystem
		case gapDot:
			return Network
		}
	}
	return UnknownParty
}

// tlsProblem names the fault of a handshake: what the record has, else what the
// words speak of. Bytes that are no TLS behind an accepted STARTTLS are no
// client's that began with TLS.
func (g *judgement) tlsProblem() string {
	p := g.obs.TLS
	if p == "" {
		p = tlsFault(g.obs.Words)
	}
	if p == problemImplicit && (g.obs.Implicit == transcript.No || g.item != nil && g.item.Session != nil && !g.item.Session.Implicit) {
		return problemNotTLS
	}
	return p
}

// partyHarmless: nobody for success, the side that keeps it waiting for a
// delay.
func (j *judge) partyHarmless(it *ndr.Item, rule *kindRule) Party {
	switch {
	case it.Action != ndr.ActionDelayed:
		return NoParty
	case j.relay(&it.Refuser) && it.Reply.Class() >= 4:
		if rule.party != "" {
			return rule.party
		}
		return RelayPlatform
	case j.relay(&it.Target) && it.Reply.IsZero():
		return Network
	}
	return RecipientSystem
}

// direction is the way the mail went as the relay's customer sees it. Host
// labels never decide: outbound mail is stamped by mx1-… hosts too.
func (j *judge) direction(c *ndr.Case, it *ndr.Item, g *judgement, kind transcript.Kind) Direction {
	others := false // the recipient is none of ours
	if len(j.o.Facts.OurDomains) > 0 {
		to := j.ownAddress(it.Recipient) || j.ownAddress(it.Original)
		from := j.ownAddress(it.Sender)
		switch {
		case from:
			return Outbound
		case to && it.Recipient != "" && !j.ownAddress(it.Recipient) && g.rung >= 2 && g.rung <= 5:
			return Outbound // what came for one of ours was sent on to somebody else, by the relay
		case to:
			return Inbound
		case it.Recipient != "":
			others = true
		}
		switch {
		case g.rung == 2 && it.Reply.Class() == 4 && it.Recipient != "" && it.Sender == "":
			return Outbound // put off on the way to somebody else
		}
	}
	if g.rung == 2 {
		// What the relay itself said decides: checks of the recipient are made
		// for mail to its customers, refusals to relay or of the sender are not.
		switch {
		case ruleOf(kind).inbound:
			return Inbound
		case kind == transcript.KindRelayDenied, kind == transcript.KindRateLimited, kind == transcript.KindSenderMarkedInvalid,
			kind == transcript.KindSenderRejected:
			return Outbound
		case kind == transcript.KindThrottled:
			return UnknownDirection // whose limit it is was not said
		}
	}
	switch {
	case c.DirIn && !c.DirOut:
		return Inbound
	case c.DirOut && !c.DirIn:
		return Outbound
	}
	if g.rung == 6 && j.ownDirectory(c, it) && !others {
		return Inbound
	}
	switch c.Nature {
	case ndr.NatureError:
		if c.Format == formatLetter && it.Refuser.IsZero() && it.Target.IsZero() && g.obs.Stage != transcript.StageAuth {
			return UnknownDirection // somebody quotes a reply: whose, and to whom, is not told
		}
		return Outbound
	case ndr.NatureDialogue, ndr.NatureLog:
		return Outbound
	case ndr.NatureReport:
		if !it.Refuser.IsZero() || !it.Reporter.IsZero() || !it.Target.IsZero() || !it.Carrier.IsZero() {
			return Outbound
		}
	}
	if g.rung != 8 && g.rung != 1 {
		return Outbound
	}
	return UnknownDirection
}

// formatLetter is Case.Format of a sentence in which somebody quotes a reply.
const formatLetter = "letter"

// ownDirectory reports whether the relay handed the mail to the very system
// that then refused it out of its own directory.
func (j *judge) ownDirectory(c *ndr.Case, it *ndr.Item) bool {
	if it.LocalReply.IsZero() || it.LocalOnlyExpiry || j.relay(&it.Reporter) {
		return false
	}
	if !strings.Contains(it.LocalReply.Text(), "RESOLVER.") {
		switch transcript.KindOf(it.LocalReply) {
		case transcript.KindUserUnknown, transcript.KindMailboxFull, transcript.KindMailboxDisabled, transcript.KindRecipientRejected:
		default:
			return false
		}
	}
	for i := range c.Hops {
		if j.relay(&c.Hops[i].From) {
			return true
		}
	}
	return false
}

func (j *judge) ownAddress(a string) bool {
	i := strings.LastIndexByte(a, '@')
	if i < 0 {
		return false
	}
	return transcript.HostIsUnderAny(strings.Trim(a[i+1:], "<> "), j.o.Facts.OurDomains)
}
