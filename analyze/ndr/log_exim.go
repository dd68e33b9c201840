package ndr

import (
	"bytes"
	"cmp"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// eximLog reads Exim's main log:
//
//	MSGID MARK r [<o>] R=router T=transport H=h [ip]:port X=tls CV=yes A=auth: message
//
// MARK is ** failed, == deferred, => and -> delivered, <= received. A line
// "H=h [ip]: SMTP error …" without a mark is one try; it tells what a later line
// leaves out.
type eximLog struct {
	k     *logbook
	tries map[string]*Item // the last try of a message, by its id
	// local are the messages that went to a mailbox here; done are those that Exim
	// was through with, in the order of the text.
	local, done []string
}

func newEximLog(k *logbook) *eximLog { return &eximLog{k: k, tries: map[string]*Item{}} }

// eximStart is where Exim's own line begins behind its time: at the message id,
// or at a rejection without one; -1 if it is no line of Exim's.
func eximStart(s []byte) int {
	i := 0
	// "+0100", "[1234]".
	for step := 0; step < 2 && i < len(s); step++ {
		switch {
		case (s[i] == '+' || s[i] == '-') && i+6 < len(s) && isDigit(s[i+1]) && s[i+5] == ' ':
			i += 6
		case s[i] == '[':
			if n := bytes.IndexByte(s[i:min(i+12, len(s))], ']'); n > 1 && isDigit(s[i+1]) {
				i = skipBlanks(s, i+n+1)
			}
		}
	}
	if eximID(s[i:]) > 0 {
		return i
	}
	if isEximRejection(s[i:]) || isEximMessageLine(s[i:]) {
		return i
	}
	return -1
}

// isEximRejection reports whether s is a client that Exim itself turned away:
// "H=client [ip] F=<s> rejected RCPT <r>: text".
func isEximRejection(s []byte) bool {
	return bytes.HasPrefix(s, []byte("H=")) && (bytes.Contains(s, []byte(" rejected ")) || bytes.Contains(s, []byte(" temporarily rejected ")))
}

// eximID is the length of the message id that s begins with: 1xVjQJ-00082S-2x,
// since Exim 4.97 1t5gBD-00000007Fkz-3K9M.
func eximID(s []byte) int {
	if len(s) < 17 || s[6] != '-' {
		return 0
	}
	n := 16
	switch {
	case s[13] == '-':
	case len(s) > 23 && s[18] == '-':
		n = 23
	default:
		return 0
	}
	digits := 0
	for i, c := range s[:n] {
		if c == '-' {
			if i != 6 && i != n-3 && i != n-5 {
				return 0
			}
			continue
		}
		if !isDigit(c) && !isLetter(c) {
			return 0
		}
		if isDigit(c) {
			digits++
		}
	}
	if digits == 0 || s[n] != ' ' {
		return 0
	}
	return n
}

func (x *eximLog) line(l *logLine) {
	t := l.f.text
	n := eximID(t)
	if n == 0 {
		switch {
		case isEximRejection(t):
			x.rejected(l, "", 0)
		case isEximMessageLine(t):
			x.message(l)
		}
		return
	}
	id := string(t[:n])
	at := skipBlanks(t, n)
	rest := t[at:]
	if len(rest) < 3 {
		return
	}
	switch string(rest[:2]) {
	case "<=":
		sender := "<>"
		if a, k := mailboxAt(rest[skipBlanks(rest, 2):]); k > 0 {
			sender = a
		}
		if len(x.k.senders) < maxAttempts {
			x.k.senders[id] = sender
		}
		// "<= <> R=1xVjQJ-…": the report about that message.
		if sender == "<>" && bytes.Contains(rest, []byte(" R=")) {
			x.k.notice[id] = true
		}
	case "**", "==":
		x.outcome(l, id, at+2, rest[0] == '=')
	case "=>", "->", ">>":
		x.delivered(l, id, at+2)
	case "Co":
		if string(rest) == "Completed" && len(x.done) < maxAttempts {
			x.done = append(x.done, id)
		}
	case "H=":
		if bytes.Contains(rest, []byte(" rejected ")) {
			x.rejected(l, id, at)
			return
		}
		x.try(l, id, at)
	default:
		x.told(l, id, at)
	}
}

// eximAddress reads "r <o>", "r (parent) <o>" and gives where the attributes
// begin.
func eximAddress(l *logLine, at int, it *Item) int {
	t := l.f.text
	at = skipBlanks(t, at)
	if a, n := mailboxAt(t[at:]); n > 0 {
		it.Recipient = a
		at += n
	} else if n := bytes.IndexByte(t[at:], ' '); n > 0 {
		it.Recipient = lowerString(t[at : at+n])
		at += n
	}
	for at < len(t) && (t[at] == ' ' || t[at] == ':') {
		at++
	}
	if at < len(t) && t[at] == '(' {
		if n := bytes.IndexByte(t[at:], ')'); n > 0 {
			at = skipBlanks(t, at+n+1)
		}
	}
	if at < len(t) && t[at] == '<' {
		if a, n := mailboxAt(t[at:]); n > 0 {
			switch {
			case strings.HasPrefix(a, it.Recipient) && len(a) > len(it.Recipient) && a[len(it.Recipient)] == '@' && it.Recipient != "":
				it.Recipient = a // a user of its own, "=> user <user@domain>": the address tells more
			case a != it.Recipient:
				it.Original = a
			}
			at = skipBlanks(t, at+n)
		}
	}
	return at
}

// eximPeer finds " H=h [ip]:port" and gives the host and the end of the
// attributes behind it.
func eximPeer(l *logLine, at int) (Mention, int) {
	t := l.f.text
	n := bytes.Index(t[at:], []byte("H="))
	for n > 0 && t[at+n-1] != ' ' {
		k := bytes.Index(t[at+n+2:], []byte("H="))
		if k < 0 {
			return Mention{}, -1
		}
		n += 2 + k
	}
	if n < 0 {
		return Mention{}, -1
	}
	from := at + n + len("H=")
	h, k := hostAt(t[from:])
	if k == 0 {
		return Mention{}, -1
	}
	return l.f.mention(Target, h, from, from+k), from + k
}

// outcome reads a failed or a deferred delivery.
func (x *eximLog) outcome(l *logLine, id string, at int, deferred bool) {
	t := l.f.text
	it := Item{Deferred: deferred, Reporter: l.reporter(x.k.b)}
	at = eximAddress(l, at, &it)
	if n := bytes.Index(t[at:], []byte(" F=<")); n >= 0 {
		if a, k := mailboxAt(t[at+n+len(" F="):]); k > 0 {
			it.Sender = a
		}
	}
	peer, end := eximPeer(l, at)
	message := at
	if bytes.Contains(t[at:], []byte(" X=")) || bytes.Contains(t[at:], []byte(" X=TLS")) {
		it.Secure = transcript.Yes
	}
	if n := bytes.Index(t[at:], []byte(" A=")); n >= 0 && end > 0 {
		it.Authenticated = transcript.Yes
	}
	fault, stage, pipe := transcript.FaultNone, transcript.Stage(""), false
	if n := bytes.Index(t[at:], []byte("defer (")); n >= 0 {
		message = at + n
		if e := bytes.IndexByte(t[message:], ')'); e > 0 {
			message += e + 1
		}
		// The errno's text stands before H=.
		until := len(t)
		if end > message {
			until = end
		}
		fault, stage = faultAndStage(t[message:until])
		pipe = bytes.Contains(t[message:until], brokenPipe)
	}
	if end > message {
		message = end
		// The attributes end at a colon and a blank.
		if n := bytes.Index(t[message:], []byte(": ")); n >= 0 {
			message += n + 1
		}
	} else if deferred {
		for message < len(t) && (t[message] == ':' || t[message] == ' ') {
			message++
		}
	} else if n := bytes.Index(t[at:], []byte(": ")); n >= 0 {
		message = at + n + 1
	}
	for message < len(t) && (t[message] == ' ' || t[message] == ':') {
		message++
	}
	x.reason(l, &it, message, peer)
	if it.Fault == transcript.FaultNone && it.Reply.IsZero() && fault != transcript.FaultNone && it.LocalReply.IsZero() {
		it.Fault, it.Stage = fault, stage
		it.FaultSpan = l.f.span(message, len(t))
		it.Target = peer
	}
	if pipe && it.Reply.IsZero() {
		it.Fault, it.Stage, it.Target = transcript.FaultClosed, transcript.StageData, peer
	}
	for _, lookup := range []string{"lookup of host ", "host lookup for "} {
		n := bytes.Index(t[at:], []byte(lookup))
		if n < 0 {
			continue
		}
		k := at + n + len(lookup)
		if k < len(t) && t[k] == '"' {
			k++
		}
		if h, m := hostAt(t[k:]); m > 0 {
			it.Target = l.f.mention(Target, h, k, k+m)
			it.Fault, it.Stage = transcript.FaultDNS, transcript.StageResolve
			it.FaultSpan = l.f.span(at, len(t))
			it.LocalReply = transcript.Reply{}
		}
	}
	x.fromTries(id, &it)
	if !it.Reply.IsZero() {
		last := it
		x.tries[id] = &last // it decided; the lines before it were its tries
	}
	if it.Port == 0 {
		it.Port = max(it.Refuser.Port, it.Target.Port)
	}
	x.k.put(id, it, l.clock)
}

// reason reads Exim's message behind the attributes.
func (x *eximLog) reason(l *logLine, it *Item, at int, peer Mention) {
	t := l.f.text
	if at >= len(t) {
		return
	}
	words := t[at:]
	switch {
	case bytes.Contains(words, []byte("did not advertise AUTH support")), bytes.Contains(words, []byte("no common mechanisms")):
		it.Stage = transcript.StageTLS
		if it.Secure == transcript.Yes || peer.IsZero() || !bytes.Contains(words, []byte("advertise")) {
			it.Stage = transcript.StageAuth
		}
		it.FaultSpan = l.f.span(at, len(t))
		it.Refuser = peer
		if !peer.IsZero() {
			it.Refuser.Role = Refuser
		} else {
			it.LocalReply = transcript.Reply{Lines: []string{string(words)}, Span: it.FaultSpan}
			it.LocalOnlyExpiry = true
		}
		return
	case bytes.Contains(words, []byte("authentication attempt(s) failed")):
		it.Stage = transcript.StageAuth
		it.LocalOnlyExpiry = true
		it.LocalReply = transcript.Reply{Lines: []string{string(words)}, Span: l.f.span(at, len(t))}
		return
	case bytes.HasPrefix(words, []byte("TLS session: ")), bytes.Contains(words, []byte("a TLS session is required")):
		it.Stage, it.Fault = transcript.StageTLS, transcript.FaultTLS
		if bytes.Contains(words, []byte("certificate")) {
			it.Fault = transcript.FaultCertificate
		}
		it.FaultSpan = l.f.span(at, len(t))
		it.Target = peer
		it.LocalOnlyExpiry = peer.IsZero()
		return
	}
	text := l.f
	if n := bytes.Index(words, []byte(`\n`)); n >= 0 {
		// Exim writes the line ends of a reply as two characters.
		text.text = append([]byte(nil), t...)
		for i := at; i+1 < len(text.text); i++ {
			if text.text[i] == '\\' && text.text[i+1] == 'n' {
				text.text[i], text.text[i+1] = ' ', ' '
			}
		}
	}
	eximReason(&text, at, len(t), it)
	if it.Reply.IsZero() && it.Fault == transcript.FaultNone {
		return
	}
	if !it.Reply.IsZero() {
		if it.Refuser.IsZero() && !peer.IsZero() {
			it.Refuser = peer
			it.Refuser.Role = Refuser
		}
		return
	}
	if it.Target.IsZero() && !peer.IsZero() {
		it.Target, it.LocalOnlyExpiry = peer, false
	}
}

// fromTries adds what the last try of the message told, where the line itself
// has neither reply nor host.
func (x *eximLog) fromTries(id string, it *Item) {
	try := x.tries[id]
	if try == nil {
		return
	}
	if try.Stage == transcript.StageAuth && !try.Reply.IsZero() && (it.Reply.IsZero() || it.Stage == transcript.StageEnvelope && it.Refuser.Host == try.Refuser.Host) {
		// Exim goes on without AUTH after a refused one: what follows is a
		// consequence.
		it.Reply, it.Refuser, it.Stage = try.Reply, try.Refuser, try.Stage
		it.LocalReply, it.LocalOnlyExpiry, it.Fault = transcript.Reply{}, false, transcript.FaultNone
		it.Target = Mention{}
		it.Authenticated = transcript.No
		return
	}
	if !it.Reply.IsZero() || !it.Target.IsZero() || !it.Refuser.IsZero() {
		return
	}
	expired := it.Expired
	it.Reply, it.Refuser, it.Target = try.Reply, try.Refuser, try.Target
	it.Stage, it.Fault, it.FaultSpan = try.Stage, try.Fault, try.FaultSpan
	it.LocalOnlyExpiry = false
	if !it.Reply.IsZero() || it.Fault != transcript.FaultNone {
		it.LocalReply = transcript.Reply{}
	}
	it.Expired = expired
}

// try reads a line about one host: "H=h [ip]: SMTP error …", "H=h [ip]
// Connection refused".
func (x *eximLog) try(l *logLine, id string, at int) {
	t := l.f.text
	peer, end := eximPeer(l, at)
	if end < 0 {
		return
	}
	if bytes.Contains(t[end:], []byte("TLS error on connection (recv)")) || bytes.Contains(t[end:], []byte("TLS error on connection (send)")) {
		return // while closing
	}
	for end < len(t) && (t[end] == ':' || t[end] == ' ') {
		end++
	}
	it := Item{}
	x.reason(l, &it, end, peer)
	if it.Reply.IsZero() && it.Fault == transcript.FaultNone {
		fault, stage := faultAndStage(t[end:])
		if fault == transcript.FaultNone {
			return
		}
		it.Fault, it.Stage, it.Target = fault, stage, peer
		it.FaultSpan = l.f.span(end, len(t))
		it.LocalReply, it.LocalOnlyExpiry = transcript.Reply{}, false
	}
	if it.Fault != transcript.FaultNone && bytes.HasSuffix(t, brokenPipe) {
		it.Fault, it.Stage = transcript.FaultClosed, transcript.StageData
	}
	if len(x.tries) > maxAttempts {
		x.tries = map[string]*Item{}
	}
	x.tries[id] = &it
}

// brokenPipe says that a write failed. Before the message Exim waits for a reply
// after each write, and reads that the connection is gone.
var brokenPipe = []byte("Broken pipe")

// told reads the other lines of a message that tell about a try.
func (x *eximLog) told(l *logLine, id string, at int) {
	t := l.f.text
	if n := bytes.Index(t[at:], []byte(" authenticator failed H=")); n > 0 {
		peer, end := eximPeer(l, at)
		if end < 0 {
			return
		}
		it := Item{Stage: transcript.StageAuth}
		if r, ok := l.f.reply(end, len(t)); ok {
			it.Reply = r
			it.Refuser = peer
			it.Refuser.Role = Refuser
			x.tries[id] = &it
		}
		return
	}
	const noAddress = "no IP address found for host "
	if n := bytes.Index(t[at:], []byte(noAddress)); n >= 0 {
		k := at + n + len(noAddress)
		if h, m := hostAt(t[k:]); m > 0 {
			x.tries[id] = &Item{
				Stage: transcript.StageResolve, Fault: transcript.FaultDNS, FaultSpan: l.f.span(at+n, k+m),
				Target: l.f.mention(Target, h, k, k+m),
			}
		}
	}
}

// delivered reads "=> r … H=h [ip] C="250 …"".
func (x *eximLog) delivered(l *logLine, id string, at int) {
	t := l.f.text
	it := Item{Reporter: l.reporter(x.k.b)}
	at = eximAddress(l, at, &it)
	it.Action, it.Stage = ActionDelivered, transcript.StageAccepted
	peer, end := eximPeer(l, at)
	if end > 0 {
		it.Action = ActionRelayed
		it.Carrier = peer
		it.Carrier.Role = Received
	} else if len(x.local) < maxAttempts {
		x.local = append(x.local, id)
	}
	if n := bytes.Index(t[at:], []byte(` C="`)); n >= 0 {
		from := at + n + len(` C="`)
		to := len(t)
		if e := bytes.LastIndexByte(t[from:], '"'); e > 0 {
			to = from + e
		}
		it.Reply, _ = l.f.reply(from, to)
	}
	if bytes.Contains(t[at:], []byte(" X=")) {
		it.Secure = transcript.Yes
	}
	x.k.put(id, it, l.clock)
}

// rejected reads "H=(helo) [ip] F=<s> rejected RCPT <r>: relay not permitted":
// Exim refused its own client.
func (x *eximLog) rejected(l *logLine, id string, at int) {
	t := l.f.text
	n := bytes.Index(t[at:], []byte("rejected "))
	if n < 0 {
		return
	}
	from := at + n + len("rejected ")
	it := Item{Stage: replyStage(t[from:]), Reporter: l.reporter(x.k.b)}
	if k := bytes.Index(t[at:at+n], []byte("F=<")); k >= 0 {
		it.Sender = "<>"
		if a, m := mailboxAt(t[at+k+len("F="):]); m > 0 {
			it.Sender = a
		}
	}
	message := from
	if k := bytes.IndexByte(t[from:], '<'); k >= 0 {
		if a, m := mailboxAt(t[from+k:]); m > 0 {
			it.Recipient = a
			message = from + k + m
		}
	}
	if k := bytes.Index(t[message:], []byte(": ")); k >= 0 {
		message += k + 2
	}
	if h, k := hostAt(t[message:]); k > 0 && h.address != "" && bytes.Contains(t[message+k:], []byte("SMTP error from remote mail server after ")) {
		// It asked the next server first (verify = recipient/callout), whose refusal
		// it passed on.
		eximReason(&l.f, message, len(t), &it)
		it.Refuser = l.f.mention(Refuser, h, message, message+k)
		x.k.put(cmp.Or(id, "rejected"+it.Sender), it, l.clock)
		return
	}
	if r, ok := l.f.reply(message, len(t)); ok {
		it.Reply = r
	} else {
		it.Reply = transcript.Reply{Lines: []string{string(t[message:])}, Span: l.f.span(message, len(t))}
	}
	it.LocalReply, it.Reply = it.Reply, transcript.Reply{}
	x.k.put(cmp.Or(id, "rejected"+it.Sender), it, l.clock)
}

// tail looks at the end of a log whose beginning was cut off: a message came
// into a mailbox here, nobody sees from whom, and Exim was then through with
// another of which no line is shown. So it does when it has reported that other
// one to its sender: the delivery is that of the report.
func (x *eximLog) tail() {
	if len(x.local) == 0 || len(x.done) == 0 {
		return
	}
	ids := x.k.ids()
	id := x.done[len(x.done)-1]
	if ids[id] || x.k.senders[id] != "" {
		return
	}
	for _, id := range x.local {
		if x.k.senders[id] == "" {
			x.k.notice[id] = true
		}
	}
}

func (x *eximLog) items() []Item {
	x.tail()
	list := x.k.items(nil)
	for i := range list {
		if len(list[i].QueueID) > 8 && list[i].QueueID[:8] == "rejected" {
			list[i].QueueID = ""
		}
	}
	// A message that was only tried so far.
	ids := x.k.ids()
	for id, try := range x.tries {
		if !ids[id] && len(list) == 0 && len(x.tries) == 1 {
			it := *try
			it.QueueID, it.Deferred, it.Sender = id, true, x.k.senders[id]
			for _, m := range []Mention{it.Refuser, it.Target} {
				if !m.IsZero() {
					it.Evidence = append(it.Evidence, m)
				}
			}
			list = append(list, it)
		}
	}
	return list
}
