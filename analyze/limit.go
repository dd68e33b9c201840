package analyze

import (
	"github.com/smtp-handoff/handoff/analyze/ndr"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Limits on messages. A reply about one is told to the sender whoever passed it:
// the sender who sends too much, or the recipient who gets too much. Who has to
// act hangs on that. Where the words do not say it, how the mail came does: who
// logs in, or talks to a port that wants it, sends for the account (article A12).
// A host's label says nothing of it.

// whoseLimit is what a reply about a limit means on mail that is known to be the
// account's own (outbound), or known to be for its users (inbound).
func whoseLimit(kind transcript.Kind, d Direction) transcript.Kind {
	switch kind {
	case transcript.KindThrottled:
		switch d {
		case Outbound:
			return transcript.KindRateLimited
		case Inbound:
			return transcript.KindRecipientThrottled
		}
	case transcript.KindSenderDeferred:
		if d == Outbound {
			return transcript.KindUnknown // put off, and the words do not say why
		}
	}
	return kind
}

// isLimit reports whether a reply is about a limit on messages.
func isLimit(kind transcript.Kind) bool {
	return kind == transcript.KindThrottled || kind == transcript.KindRateLimited || kind == transcript.KindRecipientThrottled
}

// came is the direction as far as the way of the mail shows it, apart from what
// the reply means.
func (j *judge) came(c *ndr.Case, it *ndr.Item, obs *Observation) Direction {
	switch {
	case j.ownAddress(it.Sender):
		return Outbound
	case j.ownAddress(it.Recipient), j.ownAddress(it.Original):
		return Inbound
	case len(j.o.Facts.OurDomains) > 0 && it.Sender == "" && it.Recipient != "":
		return Outbound // on the way to somebody else
	case c.DirOut && !c.DirIn:
		return Outbound
	case c.DirIn && !c.DirOut:
		return Inbound
	case obs.LoggedIn == transcript.Yes, wantsLogin(obs.Port):
		return Outbound
	}
	return UnknownDirection
}

// came is the direction of a probe's mail. On the port of strangers the reply alone tells.
func (g *sessionJudgement) came() Direction {
	if submission(g.s.Port) {
		return Outbound
	}
	return UnknownDirection
}
