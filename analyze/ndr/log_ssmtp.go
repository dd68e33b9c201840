package ndr

import (
	"bytes"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// ssmtp logs what both sides say, without a mark for either, and of a reply of
// several lines the last one only. Its own words stand between; the process id
// tells sessions apart.
//
//	sSMTP[311]: Creating SSL connection to host
//	sSMTP[311]: 220 R ESMTP
//	sSMTP[311]: EHLO box
//	sSMTP[311]: 250 CHUNKING
//	sSMTP[311]: RCPT TO:<r> (554 5.7.1 …)
//	sSMTP[311]: Cannot open R:587
//
// An empty line in the place of a reply tells that the connection is gone.

// ssmtpLine finds process id and message of such a line. message is -1 when it
// is none, also when it has marks: then it is read as any dialogue.
func ssmtpLine(line []byte) (pid string, message int) {
	head := line[:min(len(line), 120)]
	n := foldIndex(head, "ssmtp[")
	if n < 0 || n > 0 && isWordByte(head[n-1]) {
		return "", -1
	}
	from := n + len("ssmtp[")
	k := bytes.Index(head[from:], []byte("]:"))
	if k < 1 || k > 10 {
		return "", -1
	}
	at := from + k + len("]:")
	if at < len(line) && line[at] == ' ' {
		at++
	}
	if bytes.HasPrefix(line[at:], []byte("[<-]")) || bytes.HasPrefix(line[at:], []byte("[->]")) {
		return "", -1
	}
	return string(head[from : from+k]), at
}

func sniffSsmtp(b *Block) int {
	if b.isDSN() || b.reports() {
		return 0
	}
	sure := 0
	for i := b.First; i < min(b.Last, b.First+40); i++ {
		line := b.Doc.Line(i)
		_, at := ssmtpLine(line)
		if at < 0 {
			continue
		}
		text := bytes.TrimRight(line[at:], " \t")
		switch last := isLastWords(text); {
		case isReplyText(text), isCommandText(text) && !last:
			return 87
		case last:
			return 0 // without Debug=yes it logs no dialogue, only what it gave up at: an error like any other
		}
		sure = 87
	}
	return sure
}

// isLastWords reports whether ssmtp tells what it gave up at: "RCPT TO:<r> (554 …)".
func isLastWords(text []byte) bool {
	return isCommandText(text) && text[len(text)-1] == ')'
}

// readSsmtp reads the sessions of ssmtp's log.
func readSsmtp(b *Block) []Case {
	d := &dialogue{b: b, dialect: dialectBare, format: "ssmtp-log"}
	open := map[string]*talk{}
	for i := b.First; i < b.Last; i++ {
		line := b.Doc.Line(i)
		pid, at := ssmtpLine(line)
		if at < 0 {
			continue
		}
		base := b.Doc.LineStart(i)
		d.cur = open[pid]
		if d.cur != nil && d.cur.over && bytes.HasPrefix(line[at:], []byte("220 ")) {
			d.cur = nil // the id was used again
		}
		d.ssmtp(line[at:], base+at)
		if d.lost {
			break
		}
		if d.cur == nil {
			continue
		}
		if t := d.cur; t != open[pid] {
			open[pid] = t
			t.first = i
			if s, n := stampAt(line[skipBlanks(line, 0):]); n > 0 {
				t.clock, t.session.Began = s, s.item()
			}
		}
		d.cur.last = i + 1
	}
	for _, t := range d.talks {
		t.finishReply()
	}
	return d.cases()
}

// ssmtp takes the message of one line.
func (d *dialogue) ssmtp(text []byte, base int) {
	t := d.cur
	rest := bytes.TrimRight(text, " \t")
	switch {
	case foldPrefix(rest, "set "):
		return // its settings
	case foldPrefix(rest, "starttls not working"):
		// What the reply before it answered, where the log lacks the commands.
		if t != nil && len(t.session.Exchanges) > 0 {
			e := &t.session.Exchanges[len(t.session.Exchanges)-1]
			if e.Command == "" && e.Stage == transcript.StageUnknown && e.Reply.Class() >= 4 {
				e.Command, e.Stage = "STARTTLS", transcript.StageTLS
			}
		}
		return
	case foldPrefix(rest, "unable to locate "):
		at := len("Unable to locate ")
		if h, n := hostAt(rest[at:]); n > 0 && h.name != "" {
			t = d.open(noteDial)
			t.dialled = d.b.mention(Target, h, base+at, base+at+n)
			t.fail(transcript.FaultDNS, transcript.StageResolve, base, base+len(rest))
		}
		return
	case len(rest) == 0 && t != nil && t.prompts:
		t.client("=", base, base+len(text)) // an empty password
		return
	case len(rest) == 0:
		if t != nil && !t.data {
			d.noReply(base, base+len(text))
		}
		return
	case t != nil && t.data:
	case isLastWords(rest):
		// What was said, once more.
		if t != nil && bytes.HasSuffix(rest, []byte(" ()")) {
			d.noReply(base, base+len(text))
		}
		return
	case isReplyText(rest) && t != nil && t.failed() && len(t.pending) == 0 && transcript.Verb(lastCommand(t.session)) != "QUIT":
		return // it ends with the reply it gave up at
	}
	d.bare(text, base)
}

// lastCommand is the last command of a session.
func lastCommand(s *transcript.Session) string {
	if n := len(s.Exchanges); n > 0 {
		return s.Exchanges[n-1].Command
	}
	return ""
}
