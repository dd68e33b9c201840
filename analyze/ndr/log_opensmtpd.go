package ndr

import (
	"bytes"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// openSMTPDLog reads OpenSMTPD's log:
//
//	SID mta connecting address=smtp+tls://192.0.2.10:587 host=H
//	SID mta error reason=…
//	SID mta delivery evpid=E from=<s> to=<r> rcpt=<-> source="…" relay="ip (H)" delay=… result="PermFail" stat="REPLY"
//	SID smtp failed-command command="RCPT TO: <r>" result="550 …"
//
// A delivery that failed below SMTP says "Network error on destination MXs"; the
// cause stands in the session's own error.
type openSMTPDLog struct {
	k        *logbook
	sessions map[string]*mtaSession // by session id
	errors   map[string]*mtaSession // by host: the last session that failed
	last     *mtaSession            // the last session that failed, with whomever
	accepted []string               // recipients that the own clients named, at most two
}

// mtaSession is a connection of the mta.
type mtaSession struct {
	peer      Mention
	host      string
	connected bool
	secure    bool
	implicit  transcript.Fact // by the scheme of its address
	fault     transcript.Fault
	hidden    bool // no AUTH that the client can use
	stage     transcript.Stage
	span      transcript.Span
	reply     transcript.Reply
	words     string
}

func newOpenSMTPDLog(k *logbook) *openSMTPDLog {
	return &openSMTPDLog{k: k, sessions: map[string]*mtaSession{}, errors: map[string]*mtaSession{}}
}

// eventID gives the id of a session, 16 hexadecimal digits or fewer where
// somebody shortened them, which s begins with, and where the event of the mta or
// of the server behind it starts. The id is empty when s begins with none.
func eventID(s []byte) (id []byte, at int) {
	n := 0
	for n < len(s) && n <= 16 && unhex(s[n]) >= 0 {
		n++
	}
	if n < 4 || n > 16 || n+6 > len(s) || s[n] != ' ' {
		return nil, 0
	}
	if rest := s[n+1:]; bytes.HasPrefix(rest, []byte("mta ")) || bytes.HasPrefix(rest, []byte("smtp ")) {
		return s[:n], n + 1
	}
	return nil, 0
}

// isEventID reports whether s begins with an event of OpenSMTPD.
func isEventID(s []byte) bool {
	id, _ := eventID(s)
	return id != nil
}

// isRelayLine reports whether s is the outcome of an envelope without a session:
//
//	relay: Expire for E: from=<s>, to=<r>, rcpt=<->, delay=…, stat=TEXT
func isRelayLine(s []byte) bool {
	return bytes.HasPrefix(s, []byte("relay: ")) && bytes.Contains(s, []byte(" for ")) && bytes.Contains(s, []byte(", to=<"))
}

func (o *openSMTPDLog) line(l *logLine) {
	t := l.f.text
	eid, at := eventID(t)
	if eid == nil {
		if isRelayLine(t) {
			o.relayed(l)
		}
		return
	}
	id := string(eid)
	rest := t[at:]
	switch {
	case bytes.HasPrefix(rest, []byte("mta connecting ")):
		s := &mtaSession{}
		if from, to := fieldValue(t, "address"); from >= 0 {
			word := t[from:to]
			if n := bytes.Index(word, []byte("://")); n >= 0 {
				if s.implicit = transcript.No; bytes.HasPrefix(word, []byte("smtps")) {
					s.implicit = transcript.Yes
				}
				from += n + 3
			}
			if h, n := hostAt(t[from:to]); n > 0 {
				s.peer = l.f.mention(Target, h, from, from+n)
			}
		}
		if from, to := fieldValue(t, "host"); from >= 0 {
			if h, n := hostAt(t[from:to]); n > 0 && h.name != "" {
				address, port := s.peer.Address, s.peer.Port
				s.peer = l.f.mention(Target, h, from, from+n)
				s.peer.Address, s.peer.Port = address, port
				s.host = h.name
			}
		}
		if len(o.sessions) > maxAttempts {
			o.sessions = map[string]*mtaSession{}
		}
		o.sessions[id] = s
	case bytes.HasPrefix(rest, []byte("mta connected")):
		if s := o.sessions[id]; s != nil {
			s.connected = true
		}
	case bytes.HasPrefix(rest, []byte("smtp envelope ")), bytes.HasPrefix(rest, []byte("smtp message ")):
		if from, to := fieldValue(t, "to"); from >= 0 && len(o.accepted) < 2 {
			if a, n := mailboxAt(t[from:to]); n > 0 {
				o.accepted = append(o.accepted, a)
			}
		}
	case bytes.HasPrefix(rest, []byte("mta tls ")), bytes.HasPrefix(rest, []byte("mta starttls ")):
		if s := o.sessions[id]; s != nil {
			s.secure = true
		}
	case bytes.HasPrefix(rest, []byte("mta error ")), bytes.HasPrefix(rest, []byte("mta connection-error")):
		o.failed(l, id)
	case bytes.HasPrefix(rest, []byte("mta delivery ")), bytes.HasPrefix(rest, []byte("mta event=delivery")):
		o.delivery(l, id)
	case bytes.HasPrefix(rest, []byte("smtp failed-command ")):
		o.refused(l, id)
	}
}

// failed reads "mta error reason=TEXT".
func (o *openSMTPDLog) failed(l *logLine, id string) {
	t := l.f.text
	s := o.sessions[id]
	if s == nil {
		return
	}
	n := bytes.Index(t, []byte("reason="))
	if n < 0 {
		return
	}
	from := n + len("reason=")
	words := t[from:]
	s.span = l.f.span(from, len(t))
	s.words = clip(string(words), 300)
	if k, end := findReply(words); k >= 0 {
		if r, ok := l.f.reply(from+k, from+end); ok {
			s.reply = r
			s.stage = replyStage(words[:k])
		}
	}
	if s.reply.IsZero() {
		s.fault, s.stage = faultAndStage(words)
		p, _ := programSays(words)
		if p != nil && s.fault == transcript.FaultNone {
			s.fault, s.stage = p.fault, p.stage
		}
		switch {
		case foldIndexIn(words, "auth not advertised") >= 0, p != nil && p.effect == effectNoAUTH:
			s.hidden, s.fault, s.stage = true, transcript.FaultNone, transcript.StageAuth
			if !s.secure && p == nil {
				s.stage = transcript.StageTLS
			}
		case s.fault == transcript.FaultNone:
			s.fault = transcript.FaultClosed
		}
		switch {
		case s.hidden, s.stage == transcript.StageTLS, s.stage == transcript.StageResolve:
		case s.secure:
			s.stage = transcript.StageUnknown // somewhere behind the handshake: its log does not say where
		case s.connected:
			s.stage = transcript.StageGreet
		case s.fault == transcript.FaultRefused, s.fault == transcript.FaultTimeout:
			s.stage = transcript.StageConnect
		}
	}
	o.last = s
	if s.host != "" {
		o.errors[s.host] = s
	}
	if s.peer.Address != "" {
		o.errors[s.peer.Address] = s
	}
}

func (o *openSMTPDLog) delivery(l *logLine, id string) {
	t := l.f.text
	it := Item{Reporter: l.reporter(o.k.b)}
	if from, to := fieldValue(t, "to"); from >= 0 {
		if a, n := mailboxAt(t[from:to]); n > 0 {
			it.Recipient = a
		}
	}
	if from, to := fieldValue(t, "from"); from >= 0 {
		it.Sender = "<>"
		if a, n := mailboxAt(t[from:to]); n > 0 {
			it.Sender = a
		}
	}
	message := id
	old := isRelayLine(t)
	if old {
		if k := bytes.Index(t, []byte(" for ")); k >= 0 && k+len(" for ")+8 <= len(t) {
			message = string(t[k+len(" for "):][:8])
		}
		if from, to := fieldValue(t, "session"); from >= 0 {
			id = string(bytes.TrimRight(t[from:to], ","))
		}
	}
	if from, to := fieldValue(t, "evpid"); from >= 0 && to-from >= 8 {
		message = string(t[from : from+8]) // the message's id; the rest is the envelope's
	}
	s := o.sessions[id]
	var relay Mention
	if from, to := fieldValue(t, "relay"); from >= 0 {
		if old {
			if k := bytes.Index(t[from:], []byte(", ")); k > 0 {
				to = from + k
			}
		}
		word := t[from:to]
		if h, n := hostAt(word); n > 0 {
			// "192.0.2.10 (H)".
			if k := bytes.IndexByte(word, '('); k > 0 && h.name == "" {
				if named, m := hostAt(word[k+1:]); m > 0 && named.name != "" {
					h.name = named.name
					n = k + 1 + m
				}
			}
			relay = l.f.mention(Target, h, from, from+n)
		}
	}
	if s != nil {
		if s.peer.Port != 0 {
			relay.Port = s.peer.Port
		}
		if s.secure {
			it.Secure = transcript.Yes
		}
	}
	result := ""
	if from, to := fieldValue(t, "result"); from >= 0 {
		result = string(t[from:to])
	}
	from, to := fieldValue(t, "stat")
	if from < 0 {
		return
	}
	if old {
		to = len(t)
		if words := bytes.Fields(t[len("relay:"):min(len(t), 40)]); len(words) > 0 {
			result = string(words[0])
		}
	}
	stat := t[from:to]
	it.Deferred = result == "TempFail"
	it.Port = relay.Port
	if result == "Ok" {
		it.Action, it.Stage = ActionRelayed, transcript.StageAccepted
		it.Carrier = relay
		it.Carrier.Role = Received
		it.Reply, _ = l.f.reply(from, to)
		o.k.put(message, it, l.clock)
		return
	}
	if r, ok := l.f.reply(from, to); ok && r.Code != 0 && !relay.IsZero() {
		it.Reply = r
		it.Refuser = relay
		it.Refuser.Role = Refuser
		o.k.put(message, it, l.clock)
		return
	}
	e := o.errors[relay.Host]
	if e == nil {
		e = o.errors[relay.Address]
	}
	if e == nil && relay.Host != "" && foldPrefix(stat, "network error") && o.last != nil && o.last.host == "" {
		// The address has no name of its own in DNS, and its session shows none; the
		// route that this is about was tried last.
		named := *o.last
		named.peer.Host, named.peer.Span = relay.Host, relay.Span
		e = &named
	}
	fault, stage := faultAndStage(stat)
	switch {
	case foldIndexIn(stat, "too large for peer") >= 0:
		// The size that the server declared in its EHLO reply.
		it.Stage, it.Target, it.FaultSpan = transcript.StageEnvelope, relay, l.f.span(from, to)
	case e != nil && !strings.Contains(string(stat), "not found"):
		e.tell(&it)
	case fault != transcript.FaultNone:
		it.Fault, it.Stage, it.Target = fault, stage, relay
		it.FaultSpan = l.f.span(from, to)
		if foldPrefix(stat, "network error") {
			it.Fault, it.Stage = transcript.FaultTimeout, transcript.StageConnect
		}
	case foldPrefix(stat, "network error"):
		// The session's own error is not in the text: the host was tried, what
		// went wrong is not told.
		it.Target = relay
		it.FaultSpan = l.f.span(from, to)
		it.Fault, it.Stage = transcript.FaultTimeout, transcript.StageConnect
	default:
		it.LocalReply = transcript.Reply{Lines: []string{string(stat)}, Span: l.f.span(from, to)}
		if r, ok := l.f.reply(from, to); ok {
			it.LocalReply = r
		}
	}
	o.k.put(message, it, l.clock)
}

// tell gives an item what its session told.
func (s *mtaSession) tell(it *Item) {
	it.Fault, it.Stage, it.FaultSpan, it.Implicit = s.fault, s.stage, s.span, s.implicit
	if it.Port == 0 {
		it.Port = s.peer.Port
	}
	if s.secure && it.Stage != transcript.StageTLS {
		it.Secure = transcript.Yes
	}
	switch {
	case !s.reply.IsZero():
		it.Reply, it.Refuser = s.reply, s.peer
		it.Refuser.Role = Refuser
	case s.hidden:
		it.Refuser = s.peer
		it.Refuser.Role = Refuser
	case s.secure && s.stage == transcript.StageUnknown:
		it.Fault, it.LocalOnlyExpiry = transcript.FaultNone, true
		it.LocalReply = transcript.Reply{Lines: []string{s.words}, Span: s.span}
		it.Target = s.peer
	default:
		it.Target = s.peer
	}
}

// relayed reads the outcome of an envelope that stands without its session: the
// last one that failed is the reason.
func (o *openSMTPDLog) relayed(l *logLine) {
	t := l.f.text
	it := Item{Reporter: l.reporter(o.k.b), Expired: bytes.HasPrefix(t, []byte("relay: Expire "))}
	n := bytes.Index(t, []byte(", to=<"))
	if a, k := mailboxAt(t[n+len(", to="):]); k > 0 {
		it.Recipient = a
	}
	if k := bytes.Index(t, []byte("from=<")); k >= 0 {
		it.Sender = "<>"
		if a, m := mailboxAt(t[k+len("from="):]); m > 0 {
			it.Sender = a
		}
	}
	if k := bytes.Index(t, []byte(" relay=")); k >= 0 {
		o.delivery(l, "") // up to 5.9: session and host stand in the line itself
		return
	}
	id := t[bytes.Index(t, []byte(" for "))+len(" for "):]
	if k := bytes.IndexByte(id, ':'); k >= 8 {
		id = id[:8]
	} else {
		return
	}
	if k := bytes.Index(t, []byte("stat=")); k >= 0 {
		it.LocalReply = transcript.Reply{Lines: []string{string(t[k+len("stat="):])}, Span: l.f.span(k, len(t))}
		it.LocalOnlyExpiry = it.Expired
	}
	o.k.put(string(id), it, l.clock)
}

// refused reads a command of the own client that was refused.
func (o *openSMTPDLog) refused(l *logLine, id string) {
	t := l.f.text
	from, to := fieldValue(t, "result")
	if from < 0 {
		return
	}
	r, ok := l.f.reply(from, to)
	if !ok {
		return
	}
	it := Item{Reporter: l.reporter(o.k.b)}
	if a, b := fieldValue(t, "command"); a >= 0 {
		it.Stage = transcript.StageOf(string(t[a:b]))
		if m, n, _ := findMailbox(t[a:b]); n >= 0 {
			if transcript.Verb(string(t[a:b])) == "MAIL" {
				it.Sender = m
			} else {
				it.Recipient = m
			}
		}
	}
	it.Reply = r
	it.Refuser = it.Reporter
	it.Refuser.Role = Refuser
	if it.Refuser.IsZero() {
		it.LocalReply, it.Reply = r, transcript.Reply{}
	}
	o.k.notice[id] = true
	o.k.put(id, it, l.clock)
}

// items gives the outcomes. A session that failed while no delivery is told is
// one: OpenSMTPD keeps such envelopes without a word.
func (o *openSMTPDLog) items() []Item {
	list := o.k.items(nil)
	silent := true
	for i := range list {
		it := &list[i]
		if it.Sender == "<>" || it.LocalOnlyExpiry && it.Target.IsZero() && it.Refuser.IsZero() {
			continue
		}
		silent = false
	}
	if !silent || o.last == nil {
		return list
	}
	for i := range list {
		if it := &list[i]; it.Sender != "<>" && it.Target.IsZero() && it.Refuser.IsZero() {
			it.LocalOnlyExpiry, it.LocalReply = false, transcript.Reply{}
			o.last.tell(it)
			it.Evidence = append(it.Evidence, o.last.peer)
			return list
		}
	}
	it := Item{Deferred: true, Evidence: []Mention{o.last.peer}}
	if len(o.accepted) == 1 {
		it.Recipient = o.accepted[0]
	}
	o.last.tell(&it)
	return []Item{it}
}
