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
		if a := g.namelessTarget(); a != "" {
			t.Do = "tell the host name that the program is set to (it dialled " + a + "), or send the dialogue with its debug output on"
		}
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
		t.Do = "send the sending server's SMTP log"
		if h := hostName(g.out.ReportedBy, ""); h != "" {
			t.Do = "send " + logOf(g.cs) + " " + h
		}
		if g.item == nil || g.cs == nil {
			break
		}
		hop := ownHop(g)
		if id := lookUp(g.item.QueueID, hop); id != "" {
			t.Do += ", " + idWord(g.cs) + " " + id + ","
		}
		if window == "" && hop != nil {
			window = since(hop.When, g.cs.Written)
		}
		t.Do = strings.TrimSuffix(t.Do+window, ",")
	}
	return t
}

// serverLogs are the logs of mail servers by the family of the report: what they
// are called, and what an id in them is.
var serverLogs = [...]struct{ family, log, id string }{
	{"exim", "the Exim main log of", "message"},
	{"postfix", "the Postfix log of", "queue ID"},
	{"sendmail", "the Sendmail log of", "queue ID"},
	{"opensmtpd", "the OpenSMTPD log of", "message"},
	{"courier", "the Courier log of", "message"},
}

// logOf is what the log of the server that wrote a report is called.
func logOf(c *ndr.Case) string {
	if c != nil {
		for i := range serverLogs {
			if strings.HasPrefix(c.Format, serverLogs[i].family) {
				return serverLogs[i].log
			}
		}
	}
	return "the SMTP log of the sending server"
}

// idWord is what the id of a mail is called in that log.
func idWord(c *ndr.Case) string {
	for i := range serverLogs {
		if strings.HasPrefix(c.Format, serverLogs[i].family) {
			return serverLogs[i].id
		}
	}
	return "id"
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
	case gapAny:
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
