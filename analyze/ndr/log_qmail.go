package ndr

import (
	"bytes"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// qmailLog reads the log of qmail-send, in which a blank is an underscore and a
// line end a slash:
//
//	info msg 3421: bytes 1834 from <s> qp 2210 uid 89
//	starting delivery 12: msg 3421 to remote r
//	delivery 12: failure: 192.0.2.10_does_not_like_recipient./Remote_host_said:_554_…/Giving_up_on_192.0.2.10./
//	delivery 12: deferral: Connected_to_192.0.2.10_but_greeting_failed./Remote_host_said:_421_…/
//	delivery 12: success: 192.0.2.10_accepted_message./Remote_host_said:_250_…/
//
// It names servers by their addresses only.
type qmailLog struct {
	k          *logbook
	deliveries map[string]qmailDelivery // by their numbers
}

type qmailDelivery struct{ message, recipient string }

func newQmailLog(k *logbook) *qmailLog {
	return &qmailLog{k: k, deliveries: map[string]qmailDelivery{}}
}

// isQmailLine reports whether s is a line of qmail-send's about a delivery.
func isQmailLine(s []byte) bool {
	switch {
	case bytes.HasPrefix(s, []byte("info msg ")):
		return bytes.Contains(s, []byte(": bytes "))
	case bytes.HasPrefix(s, []byte("starting delivery ")):
		return bytes.Contains(s, []byte(": msg "))
	case bytes.HasPrefix(s, []byte("delivery ")) && len(s) > len("delivery ") && isDigit(s[len("delivery ")]):
		return qmailOutcome(s) != ""
	}
	return false
}

// qmailOutcomes are the words for how a delivery ended.
var qmailOutcomes = []string{": failure: ", ": deferral: ", ": success: "}

func qmailOutcome(s []byte) string {
	for _, w := range qmailOutcomes {
		if n := bytes.Index(s, []byte(w)); n > 0 && n < 40 {
			return w
		}
	}
	return ""
}

// qmailStart is where qmail-send's own words begin in a line, behind the label
// that multilog or syslog gives them ("@4000…", "1795507920.221"); -1 if it is
// no line of qmail-send's.
func qmailStart(s []byte) int {
	at := 0
	if len(s) > 26 && s[0] == '@' && unhex(s[1]) >= 0 {
		if n := bytes.IndexByte(s[:min(len(s), 40)], ' '); n >= 17 {
			at = n + 1
		}
	} else if n := bytes.IndexByte(s[:min(len(s), 24)], ' '); n > 10 && isDigit(s[0]) && isDigit(s[n-1]) {
		at = n + 1
	}
	if isQmailLine(s[at:]) {
		return at
	}
	return -1
}

func (q *qmailLog) line(l *logLine) {
	t := l.f.text
	switch {
	case bytes.HasPrefix(t, []byte("info msg ")):
		id := qmailNumber(t[len("info msg "):])
		if n := bytes.Index(t, []byte(" from <")); n >= 0 && len(q.k.senders) < maxAttempts {
			q.k.senders[id] = "<>"
			if a, k := mailboxAt(t[n+len(" from "):]); k > 0 {
				q.k.senders[id] = a
			} else {
				q.k.notice[id] = true
			}
		}
	case bytes.HasPrefix(t, []byte("starting delivery ")):
		number := qmailNumber(t[len("starting delivery "):])
		n := bytes.Index(t, []byte(": msg "))
		message := qmailNumber(t[n+len(": msg "):])
		for _, w := range []string{" to remote ", " to local "} {
			k := bytes.Index(t, []byte(w))
			if k < 0 || len(q.deliveries) >= maxAttempts {
				continue
			}
			if a, m := mailboxAt(t[k+len(w):]); m > 0 {
				q.deliveries[number] = qmailDelivery{message, a}
			}
		}
	default:
		q.outcome(l)
	}
}

func (q *qmailLog) outcome(l *logLine) {
	t := l.f.text
	kind := qmailOutcome(t)
	n := bytes.Index(t, []byte(kind))
	number := qmailNumber(t[len("delivery "):])
	d := q.deliveries[number]
	if d.message == "" {
		d.message = "delivery " + number // its beginning is not shown
	}
	it := Item{Recipient: d.recipient, Reporter: l.reporter(q.k.b), Deferred: kind == ": deferral: "}
	f := l.f
	f.text = bytes.Clone(t)
	for i := n + len(kind); i < len(f.text); i++ {
		if c := f.text[i]; c == '_' || c == '/' && qmailLineEnd(t[i+1:]) {
			f.text[i] = ' '
		}
	}
	if kind == ": success: " {
		it.Action, it.Stage = ActionRelayed, transcript.StageAccepted
		if k := f.find("emote host said: ", 0); k >= 0 {
			it.Reply, _ = f.reply(k+len("emote host said: "), len(f.text))
		}
		q.k.put(d.message, it, l.clock)
		return
	}
	from := n + len(kind)
	words := flow{doc: f.doc, text: bytes.TrimRight(f.text[from:], " "), cuts: []flowCut{{0, int32(f.at(from))}}}
	qmailWords(&words, &it, nil)
	q.k.put(d.message, it, l.clock)
}

// qmailLineEnd reports whether a slash before rest stands for a line end: a real
// one, as in an address of the web, looks the same.
func qmailLineEnd(rest []byte) bool {
	if len(rest) == 0 {
		return true
	}
	for _, w := range []string{"Remote_host_said:", "Giving_up_on_", "I'm_not_going_", "Sorry,_", "I_"} {
		if bytes.HasPrefix(rest, []byte(w)) {
			return true
		}
	}
	return len(rest) > 3 && (rest[0] == '4' || rest[0] == '5') && isDigit(rest[1]) && isDigit(rest[2]) && (rest[3] == '-' || rest[3] == '_')
}

func (q *qmailLog) items() []Item { return q.k.items(nil) }

// qmailNumber is the number of a message or a delivery that b begins with: an
// unsigned long, 20 digits at most.
func qmailNumber(b []byte) string { return string(digitsOf(b, 20)) }
