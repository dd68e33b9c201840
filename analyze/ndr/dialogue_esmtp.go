package ndr

import (
	"bytes"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// esmtp, the program beside libESMTP, tells each step with its reply, without the
// enhanced code and without the server's name:
//
//	Connected to MTA
//	From s: 250 Ok
//	To r: 554 <r>: Relay access denied
//	Message sent: 550 …
//	Disconnected to MTA
//
// A reply "0 (null)" is none: the step was not answered.

// esmtpSteps are the beginnings of its lines and the commands they stand for; an
// address follows where the command ends in "<".
var esmtpSteps = []struct {
	words   string
	command string
}{
	{"From ", "MAIL FROM:<"},
	{"To ", "RCPT TO:<"},
	{"Message data:", "DATA"},
	{"Message sent: ", "."},
}

// esmtpStart begins its account of a session.
const esmtpStart = "Connected to MTA"

func sniffEsmtp(b *Block) int {
	if b.isDSN() || b.reports() {
		return 0
	}
	for i := b.First; i < min(b.Last, b.First+60); i++ {
		if string(bytes.TrimSpace(b.Doc.Line(i))) == esmtpStart {
			return 80
		}
	}
	return 0
}

func readEsmtp(b *Block) []Case {
	d := &dialogue{b: b, dialect: dialectBare, format: "esmtp"}
	for i := b.First; i < b.Last; i++ {
		line := bytes.TrimRight(b.Doc.Line(i), " \t")
		base := b.Doc.LineStart(i)
		if string(bytes.TrimSpace(line)) == esmtpStart {
			t := d.begin()
			if d.lost {
				break
			}
			// What a client tells of a greeting is that it could go on.
			t.first, t.connected, t.greeted = i, true, true
		}
		if d.cur == nil || d.cur.over {
			continue
		}
		d.cur.last = i + 1
		d.esmtp(line, base)
	}
	for _, t := range d.talks {
		t.finishReply()
	}
	return d.cases()
}

// esmtp takes one of its lines.
func (d *dialogue) esmtp(line []byte, base int) {
	t := d.cur
	if bytes.HasPrefix(line, []byte("Disconnected")) {
		t.over = true
		return
	}
	for _, step := range esmtpSteps {
		if !bytes.HasPrefix(line, []byte(step.words)) {
			continue
		}
		at := len(step.words)
		command, end := step.command, at
		switch step.words {
		case "From ", "To ":
			a, n := mailboxAt(line[at:])
			if n == 0 || at+n >= len(line) || line[at+n] != ':' {
				return
			}
			command, end = command+a+">", at+n
			at += n + 1
		case "Message data:":
			if !t.data && transcript.Verb(lastCommand(t.session)) == "RCPT" {
				t.client(command, base, base+len(line))
				t.server("354 ", base, base+len(line))
			}
			return
		}
		at = skipBlanks(line, at)
		if step.command == "." && !t.data && transcript.Verb(lastCommand(t.session)) != "RCPT" {
			return
		}
		if step.command == "." && !t.data {
			t.client("DATA", base, base+len(line))
			t.server("354 ", base, base+len(line))
		}
		t.client(command, base, base+max(end, 1))
		switch reply := line[at:]; {
		case isReplyText(reply):
			t.server(string(reply), base+at, base+len(line))
		case bytes.HasPrefix(reply, []byte("0 ")):
			t.fail(transcript.FaultClosed, "", base, base+len(line))
		}
		return
	}
}
