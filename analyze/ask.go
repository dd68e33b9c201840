package analyze

import (
	"strings"
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

// ask is the test that fills the gap: which text to send, of which program and
// which minutes, as far as the text says so.
func ask(g *judgement) NextTest {
	t := NextTest{Who: string(SenderSystem), Cost: "minutes", Separates: []string{}}
	switch g.gap {
	case gapHost:
		t.ID, t.Do = "client-dialogue", g.askClient()
	case gapPeer:
		t.ID = "dialled-host"
		t.Do = "tell the host and the port that were dialled, or send the lines before the first reply"
		if p := g.program; p != nil && p.log != "" {
			t.Do = "tell the host and the port that were dialled, or send " + g.logLines()
		}
	case gapDetails:
		t.ID = "technical-part"
		t.Do = `send the whole bounce as .eml, or the part under "Diagnostic information" or "Remote-MTA"`
		if p := g.program; p != nil && p.log != "" {
			t.Do = "send the whole bounce as .eml, or " + g.logLines()
		}
	case gapDialog:
		t.ID = "whole-dialogue"
		t.Do = "repeat the test to the end, with handoff probe, and send all of its dialogue"
	case gapDot:
		t.ID = "recipient-mailbox"
		t.Do = "look into the recipient's mailbox before sending again: the message may have been delivered"
	case gapTester:
		t.ID = "repeat-test"
		t.Do = `repeat it with handoff probe, or with openssl s_client -quiet -crlf and lower-case "rcpt to"`
	case gapAny, gapLog:
		if p := g.program; p != nil && p.show != "" {
			t.ID, t.Do = "client-dialogue", g.askClient()
			break
		}
		t.ID, t.Do = "sending-server-log", "send "+g.logLines()
		if g.gap == gapAny {
			t.Do = "send the bounce itself, or " + g.logLines()
		}
	default:
		t.ID, t.Do = "sending-server-log", "send "+g.logLines()
	}
	return t
}

// askClient asks for the dialogue of a client whose error names no host.
func (g *judgement) askClient() string {
	settings := "tell the host and port that the program is set to"
	if a := g.namelessTarget(); a != "" {
		settings = "tell the host name that the program is set to (it dialled " + a + ")"
	}
	switch p := g.program; {
	case g.cs != nil && g.cs.Format == formatLetter:
		return "send the text that is spoken of as it is: the bounce, or the program's own error with the host and port that it is set to"
	case p != nil && p.log != "":
		return settings + ", or send " + g.logLines()
	case p != nil && p.show != "":
		return settings + ", or " + p.show
	}
	return settings + ", or send its dialogue with its debug output on"
}

// logLines names the log to send, and what is to be looked for in it: the mail's
// id and the time, as far as the text has them.
func (g *judgement) logLines() string {
	log, id := "the sending server's SMTP log", "id"
	own := false
	if p := g.program; p != nil && p.log != "" {
		log, id = p.log, p.id
		own = g.cs.Nature == ndr.NatureLog
	}
	switch h := hostName(g.out.ReportedBy, ""); {
	case h == "":
	case log == "the sending server's SMTP log":
		log = "the SMTP log of the sending server " + h
	default:
		log += " of " + h
	}
	if g.item == nil || g.cs == nil {
		return log
	}
	hop := ownHop(g)
	lines := log
	if word := lookUp(g.item.QueueID, hop); word != "" {
		lines = log + ", " + id + " " + word + ","
		if own {
			lines = "all lines of " + log + " with " + id + " " + word
		}
	} else if own {
		lines = "the lines around these of " + log
	}
	return strings.TrimSuffix(lines+g.span(hop), ",")
}

// span is the time to look at in a log: that of the try, else the time in which
// the server had the mail, else that of its report.
func (g *judgement) span(hop *ndr.Hop) string {
	if w := timeWindow(g.item.When); w != "" {
		return w
	}
	if hop != nil {
		if w := since(hop.When, g.cs.Written); w != "" {
			return w
		}
	}
	if w := g.cs.Written; !w.IsZero() {
		return window(w.Add(-time.Minute).UTC(), w.Add(time.Minute).UTC()) + " UTC"
	}
	return ""
}

// ownHop is where the server that reports took the mail, in the headers it
// returned: the latest one, which stands first. Nil when they do not say.
func ownHop(g *judgement) *ndr.Hop {
	if g.out.ReportedBy == "" {
		return nil
	}
	for i := range g.cs.Hops {
		if h := &g.cs.Hops[i]; strings.EqualFold(h.By.Host, g.out.ReportedBy) {
			return h
		}
	}
	return nil
}

// lookUp is the id to look for in the log: the report's own, else that of the
// hop. Empty when there is none, or when it is not in the form of one.
func lookUp(id string, hop *ndr.Hop) string {
	if id == "" && hop != nil {
		id = hop.ID
	}
	if len(id) > 64 || strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") != "" {
		return ""
	}
	return id
}

// since is the time in which a server had a mail: from a minute before it took it
// to a minute after its report, where that is stated. Headers give times with their
// zone (RFC 5322 §3.3), a log is in that of its server: so UTC is named.
func since(taken, reported time.Time) string {
	switch {
	case taken.IsZero():
		return ""
	case reported.Before(taken):
		return " since " + taken.Add(-time.Minute).UTC().Format("15:04 on 2006-01-02") + " UTC"
	}
	return window(taken.Add(-time.Minute).UTC(), reported.Add(time.Minute).UTC()) + " UTC"
}

// timeWindow is the minute before to the minute after a try, as the text's own
// clock has it: " from 10:39 to 10:41 on 2026-11-23".
func timeWindow(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return window(t.Add(-time.Minute), t.Add(time.Minute))
}

// window writes two times; a log without years has none here, either.
func window(from, to time.Time) string {
	s := " from " + from.Format("15:04")
	sameDay := from.Format(time.DateOnly) == to.Format(time.DateOnly)
	if !sameDay && from.Year() > 1 {
		s += " on " + from.Format(time.DateOnly)
	}
	s += " to " + to.Format("15:04")
	if to.Year() > 1 {
		s += " on " + to.Format(time.DateOnly)
	}
	if _, off := to.Zone(); off != 0 {
		s += to.Format(" (-0700)")
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
	if a := g.namelessTarget(); a != "" {
		what = a + " " + g.howItFailed() + "; the text does not say which host that is"
	}
	if c := g.codes(); c != "" {
		what = c
		if s := g.obs.Stage; s != transcript.StageUnknown && s != "" {
			what += " at " + string(s)
		}
		if it := g.item; it != nil && it.Refuser.Host == "" && it.Refuser.Address != "" {
			what += " from " + it.Refuser.Address + ", whose name is not told"
		} else {
			what += ", but the text names no host that said it"
		}
	}
	p := g.program
	switch g.gap {
	case gapHost:
		if g.namelessTarget() != "" {
			return what, "tell its name"
		}
		return what, "send the client's dialogue"
	case gapPeer:
		return what, "tell which host was dialled"
	case gapDetails:
		return what, "send the whole bounce"
	}
	switch {
	case p != nil && p.show != "":
		return what, "send the client's dialogue"
	case p != nil && p.log != "" && len(clause(what, "send "+p.log)) <= maxHeadline:
		return what, "send " + p.log
	case g.gap == gapAny:
		return what, "send the bounce or the SMTP log"
	}
	return what, "send the sending server's SMTP log"
}

// namelessTarget is the address that was tried, with its port, where the text
// gives no host name for it. Empty otherwise.
func (g *judgement) namelessTarget() string {
	if g.item == nil || g.item.Target.Host != "" || g.item.Target.Address == "" || g.out.Target != g.item.Target.Address || !g.out.replyless() {
		return ""
	}
	a := hostName(g.out.Target, "")
	if a != "" && g.out.Port != 0 {
		a += " port " + itoa(g.out.Port)
	}
	return a
}

// howItFailed says of a host that was tried what came of it.
func (g *judgement) howItFailed() string {
	if g.obs.Stage == transcript.StageConnect {
		switch g.obs.Fault {
		case transcript.FaultRefused:
			return "refused the connection"
		case transcript.FaultTimeout:
			return "did not answer"
		}
	}
	return "was tried"
}
