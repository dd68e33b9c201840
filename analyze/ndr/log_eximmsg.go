package ndr

import (
	"bytes"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Exim keeps a log of each message beside the main log ("exim -Mvl MSGID" shows
// it). Its lines have neither the message's id nor a mark:
//
//	date time Received from s H=client [ip] P=esmtp S=1834
//	date time H=h [ip]: SMTP error …             one try
//	date time A authenticator failed H=h [ip] REPLY
//	date time r [<o>] R=router T=transport [defer (errno)] H=h [ip]: message
//	date time r: transport transport succeeded
//
// The lines of one such log are one message; eximMessage stands in for its id.
const eximMessage = ""

// isEximMessageLine reports whether s, which stands behind a time, is a line of
// such a log.
func isEximMessageLine(s []byte) bool {
	if len(s) < 12 {
		return false
	}
	switch {
	case bytes.HasPrefix(s, []byte("H=")):
		return bytes.Contains(s, []byte(" [")) && bytes.IndexByte(s, ']') > 0
	case bytes.HasPrefix(s, []byte("Received from ")):
		return bytes.Contains(s, []byte(" P=")) && bytes.Contains(s, []byte(" S="))
	case bytes.Contains(s[:min(len(s), 60)], []byte(" authenticator failed H=")):
		return true
	}
	n := eximMailboxEnd(s)
	if n == 0 {
		return false
	}
	rest := s[n:]
	return bytes.HasPrefix(rest, []byte(" R=")) || bytes.HasPrefix(rest, []byte(": ")) && bytes.HasSuffix(bytes.TrimRight(rest, " \t"), []byte(" transport succeeded"))
}

// eximMailboxEnd is where the addresses end that s begins with: "r", "r <o>",
// "r (parent) <o>"; 0 if it begins with none.
func eximMailboxEnd(s []byte) int {
	_, n := mailboxAt(s)
	if n == 0 || s[0] == '<' {
		return 0
	}
	for _, c := range [][2]byte{{'(', ')'}, {'<', '>'}} {
		if n+1 < len(s) && s[n] == ' ' && s[n+1] == c[0] {
			if k := bytes.IndexByte(s[n:], c[1]); k > 0 {
				n += k + 1
			}
		}
	}
	return n
}

// message reads a line of a message's own log.
func (x *eximLog) message(l *logLine) {
	t := l.f.text
	switch {
	case bytes.HasPrefix(t, []byte("H=")):
		x.try(l, eximMessage, 0)
	case bytes.HasPrefix(t, []byte("Received from ")):
		// The next message begins where several logs stand in one text.
		delete(x.tries, eximMessage)
		if a, k := mailboxAt(t[len("Received from "):]); k > 0 {
			x.k.senders[eximMessage] = a
		}
	case bytes.Contains(t[:min(len(t), 60)], []byte(" authenticator failed H=")):
		x.told(l, eximMessage, 0)
	case bytes.HasSuffix(bytes.TrimRight(t, " \t"), []byte(" transport succeeded")):
		it := Item{Reporter: l.reporter(x.k.b), Action: ActionRelayed, Stage: transcript.StageAccepted}
		eximAddress(l, 0, &it)
		x.k.put(eximMessage, it, l.clock)
	default:
		x.outcome(l, eximMessage, 0, bytes.Contains(t, []byte(" defer (")))
	}
}
