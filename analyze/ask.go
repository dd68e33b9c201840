package analyze

import (
	"time"

	"github.com/smtp-handoff/handoff/analyze/ndr"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// When the text does not say, the answer is which text does (article A7: the
// sending server's log is required to go on).

// missing says which kind of evidence an item lacks.
func missing(c *ndr.Case, it *ndr.Item) gap {
	switch {
	case hasNote(c, noteTester):
		return gapTester
	case c.Nature == ndr.NatureDialogue && it.Reply.Class() >= 4:
		return gapPeer
	case c.Nature == ndr.NatureDialogue:
		return gapDialog
	case c.Nature == ndr.NatureError:
		return gapHost
	case c.Nature == ndr.NatureLog:
		return gapLog
	case it.LocalOnlyExpiry, !it.Reporter.IsZero():
		return gapLog
	case c.Nature == ndr.NatureReport:
		return gapDetails
	}
	return gapAny
}

// noteTester is the id of the note with which the readers mark a test that
// failed by itself.
const noteTester = "tester-artefact"

func hasNote(c *ndr.Case, id string) bool {
	for i := range c.Notes {
		if c.Notes[i].ID == id {
			return true
		}
	}
	return false
}

// ask is the test that fills the gap: which text to send, with the time window
// when the text has one.
func ask(g *judgement) NextTest {
	t := NextTest{Who: string(SenderSystem), Cost: "minutes", Separates: []string{}}
	window := ""
	if g.item != nil {
		window = timeWindow(g.item.When)
	}
	switch g.gap {
	case gapHost:
		t.ID = "client-dialogue"
		t.Do = "send the dialogue with its debug output on, or the host and port that the program is set to"
	case gapPeer:
		t.ID = "dialled-host"
		t.Do = "tell the host and the port that were dialled, or send the lines before the first reply"
	case gapDetails:
		t.ID = "technical-part"
		t.Do = `send the whole bounce as .eml, or the part under "Diagnostic information" or "Remote-MTA"`
	case gapDialog:
		t.ID = "whole-dialogue"
		t.Do = "repeat the test to the end, with handoff probe, and send all of its dialogue"
	case gapDot:
		t.ID = "recipient-mailbox"
		t.Do = "look into the recipient's mailbox before sending again: the message may have been delivered"
	case gapTester:
		t.ID = "repeat-test"
		t.Do = `repeat it with handoff probe, or with openssl s_client -quiet -crlf and lower-case "rcpt to"`
	case gapAny:
		t.ID = "sending-server-log"
		t.Do = "send the bounce itself, or the sending server's SMTP log" + window
	default:
		t.ID = "sending-server-log"
		t.Do = "send the sending server's SMTP log" + window
		if g.out.ReportedBy != "" && hostName(g.out.ReportedBy, "") != "" {
			t.Do = "send the SMTP log of the sending server " + hostName(g.out.ReportedBy, "") + window
		}
	}
	return t
}

// timeWindow is the minute before to the minute after a try, as the text's own
// clock has it: " from 10:39 to 10:41 on 2026-11-23".
func timeWindow(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	from, to := t.Add(-time.Minute), t.Add(time.Minute)
	s := " from " + from.Format("15:04") + " to " + to.Format("15:04")
	if t.Year() > 1 {
		s += " on " + t.Format("2006-01-02")
	}
	if _, off := t.Zone(); off != 0 {
		s += t.Format(" (-0700)")
	}
	return s
}

// missingWords are the two halves of the headline when the text does not say.
func (g *judgement) missingWords() (what, do string) {
	switch g.gap {
	case gapDot:
		return "the connection broke after the final dot, it may be delivered", "look in the mailbox first"
	case gapTester:
		return "the test itself broke off, not the relay", "repeat it with handoff probe"
	case gapDialog:
		return "the dialogue ends before an answer that settles it", "repeat it to the end"
	}
	what = "the text names no host that refused or was tried"
	if t := hostName(g.out.Target, ""); t != "" {
		what = "the text does not say what " + t + " answered"
	}
	if c := g.codes(); c != "" {
		what = c
		if s := g.obs.Stage; s != transcript.StageUnknown && s != "" {
			what += " at " + string(s)
		}
		what += ", but the text names no host that said it"
	}
	switch g.gap {
	case gapHost:
		return what, "send the client's dialogue"
	case gapPeer:
		return what, "tell which host was dialled"
	case gapDetails:
		return what, "send the whole bounce"
	case gapAny:
		return what, "send the bounce or the SMTP log"
	}
	return what, "send the sending server's SMTP log"
}
