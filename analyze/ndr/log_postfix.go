package ndr

import (
	"bytes"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// postfixLog reads Postfix's log:
//
//	postfix/smtp[pid]: QID: to=<r>, relay=R[ip]:port, …, dsn=x.y.z, status=bounced (REASON)
//	postfix/qmgr[pid]: QID: from=<s>, status=expired, returned to sender
//	postfix/smtpd[pid]: NOQUEUE: reject: RCPT from C[ip]: REPLY; from=<s> to=<r> proto=ESMTP helo=<h>
type postfixLog struct {
	k       *logbook
	process map[string]*postfixProcess // by pid
	queued  map[string]string          // id of a message at a filter → id it came back with
}

// postfixProcess is what an smtp process told without a queue id, and what
// belongs to its next outcome.
type postfixProcess struct {
	tls    Mention // with whom TLS was established
	fault  transcript.Fault
	span   transcript.Span
	target Mention
	words  transcript.Span // the TLS library's own words for the fault
	id     string          // the queue id that consumed it
}

func newPostfixLog(k *logbook) *postfixLog {
	return &postfixLog{k: k, process: map[string]*postfixProcess{}, queued: map[string]string{}}
}

func (p *postfixLog) of(pid string) *postfixProcess {
	x := p.process[pid]
	if x == nil {
		if len(p.process) > maxAttempts {
			p.process = map[string]*postfixProcess{}
		}
		x = &postfixProcess{}
		p.process[pid] = x
	}
	return x
}

func (p *postfixLog) line(l *logLine) {
	t := l.f.text
	id, at := queueID(t)
	if id == "" {
		p.loose(l)
		return
	}
	rest := t[at:]
	switch {
	case bytes.HasPrefix(rest, []byte("to=<")), bytes.HasPrefix(rest, []byte("to=")) && bytes.Contains(rest, []byte(", relay=")):
		p.outcome(l, id, at) // web forms drop the brackets, and what is in them at times
	case bytes.HasPrefix(rest, []byte("from=<")):
		p.queue(l, id, at)
	case bytes.HasPrefix(rest, []byte("reject: ")), bytes.HasPrefix(rest, []byte("milter-reject: ")):
		p.reject(l, id, at)
	case bytes.Contains(rest, []byte("sender non-delivery notification: ")), bytes.Contains(rest, []byte("sender delay notification: ")), bytes.Contains(rest, []byte("postmaster non-delivery notification: ")), bytes.Contains(rest, []byte("sender delivery status notification: ")):
		n := bytes.LastIndexByte(rest, ' ')
		p.k.notice[strings.Clone(string(bytes.TrimSpace(rest[n+1:])))] = true
	case l.daemon == "smtp" || l.daemon == "lmtp" || l.daemon == "relay":
		p.try(l, id, at)
	}
}

// queueID reads "C9E939E673A: " or "NOQUEUE: " and gives where the rest begins.
func queueID(t []byte) (string, int) {
	n := bytes.IndexByte(t, ':')
	if n < 5 || n > 24 || n+1 >= len(t) || t[n+1] != ' ' {
		return "", 0
	}
	digits := false
	for _, c := range t[:n] {
		if !isWordByte(c) || c == '_' {
			return "", 0
		}
		digits = digits || isDigit(c)
	}
	if !digits && string(t[:n]) != "NOQUEUE" {
		// A word like "warning:" or "connect:"; short ids without a digit are rare.
		upper := bytes.Equal(bytes.ToUpper(t[:n]), t[:n])
		if !upper {
			return "", 0
		}
	}
	return string(t[:n]), skipBlanks(t, n+1)
}

// loose reads a line without a queue id: it belongs to the next outcome of its
// process.
func (p *postfixLog) loose(l *logLine) {
	t := l.f.text
	x := p.of(l.pid)
	const library = "TLS library problem: "
	if n := bytes.Index(t, []byte(library)); n >= 0 {
		if x.id != "" {
			*x = postfixProcess{tls: x.tls}
		}
		x.words = l.f.span(n+len(library), len(t))
		return
	}
	for _, w := range looseWords {
		n := bytes.Index(t, []byte(w.words))
		if n < 0 {
			continue
		}
		at := n + len(w.words)
		h, k := hostAt(t[at:])
		if k == 0 {
			return
		}
		m := l.f.mention(Target, h, at, at+k)
		if w.fault == transcript.FaultNone {
			x.tls = m
			return
		}
		if x.id != "" {
			*x = postfixProcess{tls: x.tls}
		}
		x.fault, x.target, x.span = w.fault, m, l.f.span(n, len(t))
		return
	}
}

// looseWords are lines without a queue id, by what they say.
var looseWords = []struct {
	words string
	fault transcript.Fault // none: TLS was established
}{
	{"TLS connection established to ", transcript.FaultNone},
	{"SSL_connect error to ", transcript.FaultTLS},
	{"certificate verification failed for ", transcript.FaultCertificate},
	{"certificate peer name verification failed for ", transcript.FaultCertificate},
	{"server certificate verification failed for ", transcript.FaultCertificate},
	{"Server certificate not verified for ", transcript.FaultCertificate},
	{"TLS policy lookup for ", transcript.FaultDNS},
}

// outcome reads "to=<r>, …, status=X (REASON)".
func (p *postfixLog) outcome(l *logLine, id string, at int) {
	t := l.f.text
	it := Item{Reporter: l.reporter(p.k.b)}
	a, n := mailboxAt(t[at+len("to="):])
	if n > 0 {
		it.Recipient = a
	} else if end := bytes.IndexByte(t[at:], '>'); end > len("to=<") {
		it.Recipient = lowerString(t[at+len("to=<") : at+end])
	}
	if k := bytes.Index(t, []byte("orig_to=<")); k > 0 {
		if a, n := mailboxAt(t[k+len("orig_to="):]); n > 0 && a != it.Recipient {
			it.Original = a
		}
	}
	s := bytes.Index(t, []byte("status="))
	if s < 0 {
		return
	}
	word := t[s+len("status="):]
	if n := bytes.IndexAny(word, " ,"); n >= 0 {
		word = word[:n]
	}
	if k := bytes.Index(t[:s], []byte("dsn=")); k > 0 {
		it.Status = statusCode(t[k+len("dsn="):])
	}
	var relay Mention
	relayWord := ""
	if k := bytes.Index(t[:s], []byte(" relay=")); k > 0 {
		from := k + len(" relay=")
		end := from
		for end < s && t[end] != ',' && t[end] != ' ' {
			end++
		}
		relayWord = string(t[from:end])
		if h, n := hostAt(t[from:s]); n > 0 && relayWord != "none" && relayWord != "local" && (h.address != "" || looksLikeHost([]byte(h.name))) {
			relay = l.f.mention(Target, h, from, from+n)
		}
	}
	from, to := s+len("status=")+len(word), len(t)
	for from < to && (t[from] == ' ' || t[from] == '(') {
		from++
	}
	if to > from && t[to-1] == ')' {
		to--
	}
	x := p.of(l.pid)
	switch string(word) {
	case "sent", "deliverable", "delivered":
		p.delivered(l, id, &it, relay, from, to)
	case "bounced", "deferred", "undeliverable", "softbounce", "SOFTBOUNCE", "expired", "Expired":
		it.Deferred = string(word) == "deferred" || foldEqual(word, "softbounce")
		if foldEqual(word, "expired") {
			it.Expired = true
		}
		postfixReason(&l.f, from, to, &it)
		p.complete(&it, x, id, relay, relayWord)
	default:
		return
	}
	if x.tls.Address != "" && (it.Refuser.Address == x.tls.Address || it.Target.Address == x.tls.Address || it.Carrier.Address == x.tls.Address) {
		it.Secure = transcript.Yes
	}
	x.id = id
	p.k.put(id, it, l.clock)
}

// complete adds what stands beside the reason: the relay that was talked to,
// and what the process told before.
func (p *postfixLog) complete(it *Item, x *postfixProcess, id string, relay Mention, relayWord string) {
	if isFilter(&relay) {
		// A content filter of the own system refused.
		if !it.Refuser.IsZero() {
			it.LocalReply, it.Reply, it.Refuser = it.Reply, transcript.Reply{}, Mention{}
		}
		return
	}
	if it.Refuser.Port == 0 && !it.Refuser.IsZero() && (it.Refuser.Host == relay.Host || it.Refuser.Address == relay.Address) {
		it.Refuser.Port = relay.Port
	}
	if !it.Target.IsZero() && it.Target.Port == 0 && it.Target.Host == relay.Host {
		it.Target.Port = relay.Port
	}
	if it.Port == 0 {
		it.Port = relay.Port
	}
	if it.Refuser.IsZero() && it.Target.IsZero() && it.LocalOnlyExpiry && !relay.IsZero() && it.Fault != transcript.FaultNone {
		// "Cannot start TLS", "Server certificate not verified": the log names
		// the peer.
		it.Target, it.LocalOnlyExpiry = relay, false
	}
	if it.Refuser.IsZero() && it.Target.IsZero() && !it.LocalReply.IsZero() && !relay.IsZero() && relayWord != "" && it.LocalReply.Code != 0 {
		// A reply without "said": it came from the relay.
		it.Reply, it.LocalReply = it.LocalReply, transcript.Reply{}
		it.Refuser = relay
		it.Refuser.Role = Refuser
	}
	fresh := x.id == "" || x.id == id
	if fresh && x.fault != transcript.FaultNone && it.Reply.IsZero() {
		if it.Target.IsZero() {
			it.Target, it.LocalOnlyExpiry = x.target, false
			if it.Fault != transcript.FaultDNS {
				it.Stage = transcript.StageTLS
			}
		}
		if it.Stage == transcript.StageTLS && (it.Fault == transcript.FaultNone || it.Fault == transcript.FaultTLS || it.Fault == x.fault) && it.Target.Address == x.target.Address {
			it.Fault = x.fault
			if x.fault == transcript.FaultCertificate || it.FaultSpan.IsZero() {
				it.FaultSpan = x.span // it tells more than the outcome
			}
			if it.Port == 0 {
				it.Port = x.target.Port
			}
		}
	}
	if fresh && !x.words.IsZero() && it.Stage == transcript.StageTLS && it.Fault == transcript.FaultTLS {
		it.FaultSpan = x.words
	}
}

// isFilter reports whether the relay is the own machine: a content filter. A
// proper name is a relay, wherever its address points.
func isFilter(m *Mention) bool {
	if m.IsZero() {
		return false
	}
	if m.Host != "" {
		return m.Host == "localhost" || strings.HasPrefix(m.Host, "localhost.")
	}
	return m.Address == "::1" || strings.HasPrefix(m.Address, "127.")
}

// delivered reads "status=sent (250 2.0.0 Ok: queued as X)".
func (p *postfixLog) delivered(l *logLine, id string, it *Item, relay Mention, from, to int) {
	t := l.f.text
	it.Reply, _ = l.f.reply(from, to)
	if n := bytes.Index(t[from:to], []byte("queued as ")); n >= 0 {
		next := t[from+n+len("queued as "):]
		if end := bytes.IndexAny(next, " ).,"); end >= 0 {
			next = next[:end]
		}
		if len(next) > 4 && len(next) < 40 {
			p.queued[key(id, it.Recipient)] = string(next)
		}
	}
	if isFilter(&relay) {
		// Handed to a filter: where it went from there is told by the next id.
		it.Reply = transcript.Reply{}
		return
	}
	it.Action, it.Stage = ActionRelayed, transcript.StageAccepted
	if relay.IsZero() {
		it.Action = ActionDelivered
		return
	}
	it.Carrier = relay
	it.Carrier.Role = Received
	it.Port = relay.Port
}

// queue reads the lines of the queue manager: the sender, and the expiry.
func (p *postfixLog) queue(l *logLine, id string, at int) {
	t := l.f.text
	sender := "<>"
	if a, n := mailboxAt(t[at+len("from="):]); n > 0 {
		sender = a
	} else if bytes.HasPrefix(t[at:], []byte("from=<>")) {
		sender = "<>"
	} else {
		return
	}
	if len(p.k.senders) < maxAttempts {
		p.k.senders[id] = sender
	}
	if n := bytes.Index(t, []byte("status=")); n > 0 && (bytes.HasPrefix(t[n:], []byte("status=expired")) || bytes.HasPrefix(t[n:], []byte("status=force-expired"))) {
		p.k.expired[id] = l.reporter(p.k.b)
	}
}

// try reads a try that did not end the attempt: "QID: host R[ip] said: 450 …",
// "QID: lost connection with …". It counts only when no outcome follows.
func (p *postfixLog) try(l *logLine, id string, at int) {
	t := l.f.text
	for _, w := range []string{"host ", "connect to ", "lost connection with ", "conversation with ", "SASL authentication fail", "TLS is required", "Cannot start TLS", "Server certificate not "} {
		if !bytes.HasPrefix(t[at:], []byte(w)) {
			continue
		}
		it := Item{Reporter: l.reporter(p.k.b), Deferred: true}
		postfixReason(&l.f, at, len(t), &it)
		if it.Reply.IsZero() && it.Fault == transcript.FaultNone {
			return
		}
		x := p.of(l.pid)
		p.complete(&it, x, id, Mention{}, "")
		p.k.put(id, it, l.clock)
		return
	}
}

// reject reads "reject: RCPT from C[ip]: REPLY; from=<s> to=<r> proto=ESMTP
// helo=<h>": the log's own host refused its client.
func (p *postfixLog) reject(l *logLine, id string, at int) {
	t := l.f.text
	n := bytes.IndexByte(t[at:], ' ')
	from := at + n + 1
	it := Item{Stage: replyStage(t[from:]), Reporter: l.reporter(p.k.b)}
	if foldPrefix(t[from:], "connect") {
		it.Stage = transcript.StageGreet
	} else if foldPrefix(t[from:], "end-of-message") {
		it.Stage = transcript.StageData
	}
	k := bytes.Index(t[from:], []byte("]: "))
	if k < 0 {
		if k = bytes.Index(t[from:], []byte(": ")); k < 0 {
			return
		}
		k--
	}
	start := from + k + len("]: ")
	if e := bytes.IndexByte(t[start:], ' '); bytes.HasPrefix(t[from+k:], []byte("]:")) && e == 0 {
		start++
	}
	end := len(t)
	for _, w := range []string{"; from=<", "; to=<", "; proto=", "; client"} {
		if e := bytes.LastIndex(t[start:], []byte(w)); e >= 0 {
			end = min(end, start+e)
		}
	}
	tail := t[end:]
	if e := bytes.Index(tail, []byte("from=<")); e >= 0 {
		if a, n := mailboxAt(tail[e+len("from="):]); n > 0 {
			it.Sender = a
		} else if bytes.HasPrefix(tail[e:], []byte("from=<>")) {
			it.Sender = "<>"
		}
	}
	if e := bytes.Index(tail, []byte("to=<")); e >= 0 {
		if a, n := mailboxAt(tail[e+len("to="):]); n > 0 {
			it.Recipient = a
		}
	}
	r, ok := l.f.reply(start, end)
	if !ok {
		return
	}
	it.Reply = r
	it.Refuser = it.Reporter
	it.Refuser.Role = Refuser
	if it.Refuser.IsZero() {
		it.LocalReply, it.Reply = r, transcript.Reply{}
	}
	if id == "NOQUEUE" {
		id = "NOQUEUE" + l.pid + it.Sender
	}
	p.k.put(id, it, l.clock)
}

// items leaves out what was only handed to a filter and what a later line of the
// same message, which names the recipient, tells better.
func (p *postfixLog) items() []Item {
	ids := p.k.ids()
	named := map[string]bool{}
	for _, name := range p.k.keys {
		if id, r, _ := strings.Cut(name, "\x00"); r != "" {
			named[id] = true
		}
	}
	list := p.k.items(func(id string, it *Item) bool {
		if it.Recipient == "" && named[id] {
			return true
		}
		next, ok := p.queued[key(id, it.Recipient)]
		return ok && next != id && ids[next]
	})
	for i := range list {
		if strings.HasPrefix(list[i].QueueID, "NOQUEUE") {
			list[i].QueueID = ""
		}
	}
	return list
}
