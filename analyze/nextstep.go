package analyze

import (
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// next is who does what.
func (g *judgement) next() string {
	o := &g.out
	if o.Verdict == InsufficientEvidence {
		t := ask(g)
		return whoDoes(&t, o.Party)
	}
	if o.Verdict == NotAFailure {
		if g.delay {
			return g.delayed()
		}
		return "none: nothing to do"
	}
	if x := g.stoppedFor(); x != nil {
		return tell(o.Party, x.next)
	}
	if o.Verdict == Deferred && g.obs.Kind == transcript.KindRateLimited && g.obs.Reply.Class() == 4 {
		return tell(SenderSystem, replyNext(&g.obs)) // the service's own limit is for good: its page speaks of hours
	}
	if g.givenUp() {
		return tell(SenderSystem, sendAgain)
	}
	switch {
	case len(o.Causes) == 1:
		return tell(o.Causes[0].Who, o.Causes[0].Fix)
	case len(g.tests) > 0 && len(o.Causes) > 1:
		return whoDoes(&g.tests[0], o.Party)
	}
	if next := replyNext(&g.obs); next != "" && !o.replyless() && o.Verdict != NeverReached && o.Verdict != AcceptedThenBounced {
		return tell(o.Party, next)
	}
	return tell(o.Party, nextByVerdict(g))
}

// whoDoes names the one who does a test, and the test.
func whoDoes(t *NextTest, party Party) string {
	if t.Who != "" {
		party = Party(t.Who)
	}
	return tell(party, t.Do)
}

// tell puts the party before what it does; nothing where it is not known.
func tell(party Party, do string) string {
	if party == UnknownParty || party == "" {
		return do
	}
	return string(party) + ": " + do
}

func (o *Outcome) replyless() bool { return o.Reply == Reply{} }

// nextByVerdict is what to do where neither a cause nor the reply says it.
func nextByVerdict(g *judgement) string {
	switch g.out.Verdict {
	case Refused:
		if g.rung == 3 {
			_, do := g.words("")
			return do
		}
		if do := doAbout(&g.obs); do != doAt(transcript.StageUnknown) {
			return "read the reply (" + g.codes() + "), then " + do
		}
		return "read the reply: " + g.codes()
	case InboundRefused:
		return "the recipient's admin checks the address at the relay"
	case Deferred:
		if g.out.replyless() {
			return "look at the sending server's SMTP log and for a firewall that drops the connection"
		}
		return "let the queue retry, then report the reply"
	case HandshakeFailed:
		_, do := g.handshakeWords("")
		return do
	case Unreachable:
		_, do := g.unreachableWords("")
		return do
	case NeverReached:
		return "route the mail to the relay, then send the sending server's SMTP log if it still fails"
	case AcceptedThenBounced:
		switch g.obs.Kind {
		case transcript.KindSPF, transcript.KindDMARC, transcript.KindUnauthenticatedMail:
			return ruleOf(g.obs.Kind).next
		}
		return "read the later host's reply; nothing is to be changed at the relay"
	}
	return "read the report"
}
