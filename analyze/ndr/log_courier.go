package ndr

import (
	"bytes"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// courierLog reads the log of Courier's daemon and of its SMTP client:
//
//	courierd: started,id=ID,from=<s>,module=esmtp,host=DOMAIN,addr=<r>
//	courieresmtp: id=ID,from=<s>,addr=<r>: REPLY
//	courieresmtp: id=ID,from=<s>,addr=<r>,success: delivered: H [ip]
//	courieresmtp: id=ID,from=<s>,addr=<r>,status: deferred
//
// The host of "started" is the domain of the recipient, under a smart host too:
// no line of a failure names the server that answered.
type courierLog struct {
	k     *logbook
	tries map[string]*courierTry // by id and recipient
}

// courierTry is what the lines of one delivery said so far.
type courierTry struct {
	reply transcript.Reply
	told  bool
}

func newCourierLog(k *logbook) *courierLog { return &courierLog{k, map[string]*courierTry{}} }

func (c *courierLog) line(l *logLine) {
	t := l.f.text
	if !bytes.HasPrefix(t, []byte("id=")) {
		return // the daemon's own lines
	}
	n := bytes.IndexByte(t, ',')
	if n < 0 || !bytes.HasPrefix(t[n:], []byte(",from=<")) {
		return
	}
	id := string(t[len("id="):n])
	from := n + len(",from=")
	close := bytes.Index(t[from:], []byte(">,addr=<"))
	if close < 0 {
		return
	}
	sender := "<>"
	if a, k := mailboxAt(t[from:]); k > 0 {
		sender = a
	}
	at := from + close + len(">,addr=")
	end := bytes.IndexByte(t[at:], '>')
	if end < 0 {
		return
	}
	recipient, k := mailboxAt(t[at:])
	if k == 0 {
		recipient = lowerString(t[at+1 : at+end])
	}
	at += end + 1
	if sender == "<>" {
		c.k.notice[id] = true // what Courier reports about another message
	}
	name := key(id, recipient)
	try := c.tries[name]
	if try == nil {
		if len(c.tries) >= maxAttempts {
			c.k.limited = true
			return
		}
		try = &courierTry{}
		c.tries[name] = try
	}
	it := Item{Recipient: recipient, Sender: sender, Reporter: l.reporter(c.k.b)}
	rest := t[at:]
	switch {
	case bytes.HasPrefix(rest, []byte(",status: ")):
		if a := c.k.attempts[name]; a != nil && a.item.Action == ActionUnstated {
			a.item.Deferred = bytes.HasPrefix(rest, []byte(",status: deferred"))
		}
		*try = courierTry{} // the next line begins another try
	case bytes.Contains(rest, []byte("success: ")):
		it.Stage, it.Reply, try.told = transcript.StageAccepted, try.reply, true
		n := bytes.Index(rest, []byte("success: ")) + len("success: ")
		if !bytes.HasPrefix(rest[n:], []byte("delivered: ")) {
			it.Action = ActionDelivered // "Message delivered.": into a mailbox of its own
			c.k.put(id, it, l.clock)
			return
		}
		it.Action = ActionRelayed
		n += at + len("delivered: ")
		if h, k := hostAt(t[n:]); k > 0 {
			it.Carrier = l.f.mention(Received, h, n, n+k)
		}
		c.k.put(id, it, l.clock)
	case bytes.HasPrefix(rest, []byte(": ")):
		c.said(l, &it, try, id, at+len(": "))
	}
}

// said reads the reply or Courier's own words at the offset. What it says after
// a reply ("Network is down") is how it goes on.
func (c *courierLog) said(l *logLine, it *Item, try *courierTry, id string, at int) {
	t := l.f.text
	words := t[at:]
	r, isReply := l.f.reply(at, len(t))
	isReply = isReply && r.Code != 0 && !bytes.HasPrefix(words, []byte("400 DEBUG: "))
	switch {
	case isReply && r.Class() < 4:
		try.reply = r
		return
	case isReply:
		it.Reply, it.Deferred = r, r.Class() == 4
		if it.Stage = r.Stage(); it.Stage == transcript.StageUnknown {
			it.Stage = ""
		}
	case try.told, bytes.HasPrefix(words, []byte("<")):
		return
	default:
		fault, stage := faultAndStage(words)
		if p, _ := programSays(words); p != nil && fault == transcript.FaultNone {
			fault, stage = p.fault, p.stage
		}
		if bytes.HasPrefix(words, []byte("Network is down")) || fault == transcript.FaultNone {
			// Said of a server in its list of those that failed, whatever the
			// failure was; or words that tell no fault.
			it.LocalReply = transcript.Reply{Lines: []string{string(bytes.TrimSpace(words))}, Span: l.f.span(at, len(t))}
			it.LocalOnlyExpiry = true
			c.k.put(id, *it, l.clock)
			return
		}
		it.Fault, it.Stage, it.Deferred = fault, stage, true
		it.FaultSpan = l.f.span(0, len(t))
	}
	try.told = true
	c.k.put(id, *it, l.clock)
}

func (c *courierLog) items() []Item { return c.k.items(nil) }
