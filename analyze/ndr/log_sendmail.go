package ndr

import (
	"bytes"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// sendmailLog reads Sendmail's log:
//
//	QID: to=<r>,<r2>, ctladdr=<s> (u/g), delay=…, mailer=relay, relay=H. [ip], dsn=x.y.z, reply=REPLY, stat=TEXT
//	QID: from=<s>, size=…, relay=…
//	QID: timeout waiting for input from H. during client greeting
//	QID: QID2: DSN: TEXT
//	ruleset=check_rcpt, arg1=<r>, relay=c [ip], reject=REPLY
type sendmailLog struct {
	k      *logbook
	stages map[string]transcript.Stage // where a message's time-out happened
	tls    map[string]Mention          // by pid: with whom the handshake went wrong
	faults map[string]transcript.Fault // by pid
	secure map[string]string           // by pid: host TLS is up with

	mechanisms map[string]transcript.Span // by queue id: no mechanism of AUTH that both have
}

func newSendmailLog(k *logbook) *sendmailLog {
	return &sendmailLog{k, map[string]transcript.Stage{}, map[string]Mention{}, map[string]transcript.Fault{}, map[string]string{}, map[string]transcript.Span{}}
}

// field gives the value of "name=value" in a line whose fields are separated by
// comma and blank. until names the field that may follow a value with commas.
func field(t []byte, name string, until ...string) (from, to int) {
	n := -1
	for at := 0; at < len(t); {
		k := bytes.Index(t[at:], []byte(name))
		if k < 0 {
			return -1, -1
		}
		k += at
		if k == 0 || t[k-1] == ' ' || t[k-1] == ',' {
			n = k
			break
		}
		at = k + 1
	}
	if n < 0 {
		return -1, -1
	}
	from = n + len(name)
	if len(until) == 0 {
		if k := bytes.Index(t[from:], []byte(", ")); k >= 0 {
			return from, from + k
		}
		return from, len(t)
	}
	to = len(t)
	for _, u := range until {
		if u == "" {
			continue
		}
		if k := bytes.Index(t[from:], []byte(", "+u)); k >= 0 {
			to = min(to, from+k)
		}
	}
	return from, to
}

func (s *sendmailLog) line(l *logLine) {
	if l.daemon == fortiMailDaemon {
		l.f.text = bytes.TrimRight(l.f.text, `" `)
	}
	t := l.f.text
	id, at := queueID(t)
	if l.daemon == fortiMailDaemon {
		id, at = l.pid, 0
	}
	rest := t[at:]
	switch {
	case bytes.HasPrefix(rest, []byte("to=")):
		s.outcome(l, id, at)
	case bytes.HasPrefix(rest, []byte("from=")):
		if len(s.k.senders) < maxAttempts {
			sender := "<>"
			if a, n := mailboxAt(rest[len("from="):]); n > 0 {
				sender = a
			}
			s.k.senders[id] = sender
		}
	case bytes.Contains(rest, []byte("timeout waiting for input from ")):
		n := bytes.Index(rest, []byte(" during "))
		if n > 0 {
			words := bytes.TrimPrefix(rest[n+len(" during "):], []byte("client "))
			s.stages[id] = replyStage(words)
			if foldPrefix(words, "final") || foldPrefix(words, "data final") {
				s.stages[id] = transcript.StageData
			}
		}
	case bytes.HasPrefix(rest, []byte("STARTTLS=client")):
		s.startTLS(l, at)
	case bytes.Contains(rest, []byte("ruleset=tls_server")):
		s.faults[l.pid] = transcript.FaultTLS
	case bytes.Contains(rest, []byte("ruleset=try_tls")), bytes.Contains(rest, []byte("ruleset=tls_")):
		// How it means to use TLS with a server, no refusal of a client.
	case bytes.HasPrefix(rest, []byte("AUTH=client, available mechanisms")):
		if len(s.mechanisms) < maxAttempts {
			s.mechanisms[id] = l.f.span(at, len(t))
		}
	case bytes.Contains(rest, []byte("ruleset=")) && bytes.Contains(rest, []byte("reject=")):
		s.reject(l, id, at)
	case bytes.HasPrefix(rest, []byte("reject=")):
		s.reject(l, id, at)
	default:
		// "QID: QID2: DSN: …", "QID: QID2: sender notify: Cannot send message for 5 days".
		if id2, k := queueID(rest); id2 != "" {
			words := rest[k:]
			switch {
			case bytes.HasPrefix(words, []byte("DSN: ")), bytes.HasPrefix(words, []byte("sender notify: ")), bytes.HasPrefix(words, []byte("return to sender: ")), bytes.HasPrefix(words, []byte("postmaster notify: ")):
				s.k.notice[id2] = true
				if bytes.Contains(words, []byte("Cannot send message")) || bytes.Contains(words, []byte("cannot send message")) {
					s.k.expired[id] = l.reporter(s.k.b)
				}
			}
		}
	}
}

// startTLS reads "STARTTLS=client, relay=H., version=TLSv1.3, verify=FAIL, …" and
// "STARTTLS=client, error: connect failed=-1, …".
func (s *sendmailLog) startTLS(l *logLine, at int) {
	t := l.f.text[at:]
	if bytes.Contains(t, []byte("error: connect failed")) || bytes.Contains(t, []byte("handshake")) {
		s.faults[l.pid] = transcript.FaultTLS
		return
	}
	from, to := field(t, "relay=")
	if from < 0 {
		return
	}
	h, n := hostAt(t[from:to])
	if n == 0 {
		return
	}
	s.secure[l.pid] = h.name
	if bytes.Contains(t, []byte("verify=FAIL")) || bytes.Contains(t, []byte("verify=NO")) {
		s.tls[l.pid] = l.f.mention(Target, h, at+from, at+from+n)
	}
}

func (s *sendmailLog) outcome(l *logLine, id string, at int) {
	t := l.f.text
	it := Item{Reporter: l.reporter(s.k.b)}
	statFrom, statTo := field(t[at:], "stat=", "\x00")
	if statFrom < 0 {
		return
	}
	statFrom, statTo = statFrom+at, statTo+at
	stat := t[statFrom:statTo]
	if bytes.HasPrefix(stat, []byte("queued")) {
		return
	}
	if from, to := field(t[at:], "dsn="); from >= 0 {
		it.Status = statusCode(t[at+from : at+to])
	}
	var relay Mention
	if from, to := field(t[at:], "relay=", "dsn=", "reply=", "stat="); from >= 0 {
		if h, n := hostAt(t[at+from : at+to]); n > 0 {
			if h.address == "127.0.0.1" && h.name == "" {
				h = host{}
			}
			relay = l.f.mention(Target, h, at+from, at+from+n)
		}
	}
	if from, to := field(t[at:], "ctladdr="); from >= 0 {
		if a, n := mailboxAt(t[at+from : at+to]); n > 0 {
			it.Sender = a
		}
	}
	switch {
	case foldPrefix(stat, "sent"):
		it.Action, it.Stage = ActionDelivered, transcript.StageAccepted
		if !relay.IsZero() && relay.Address != "127.0.0.1" {
			it.Action = ActionRelayed
			it.Carrier = relay
			it.Carrier.Role = Received
			it.Port = relay.Port
		}
		if n := bytes.IndexByte(stat, '('); n > 0 {
			words := bytes.TrimSuffix(stat[n+1:], []byte{')'})
			it.Reply = transcript.Reply{Code: 250, Lines: []string{"250 " + string(words)}, Span: l.f.span(statFrom, statTo)}
		}
	default:
		s.failed(l, id, at, &it, relay, statFrom, statTo)
	}
	to := t[at+len("to="):]
	if n := bytes.Index(to, []byte(", ")); n >= 0 {
		to = to[:n]
	}
	if s.secure[l.pid] != "" && (s.secure[l.pid] == it.Refuser.Host || s.secure[l.pid] == it.Carrier.Host) {
		it.Secure = transcript.Yes
	}
	any := false
	for i := 0; i < len(to); {
		a, from, end := findMailbox(to[i:])
		if from < 0 {
			break
		}
		one := it
		one.Recipient = a
		s.k.put(id, one, l.clock)
		any = true
		i += end
	}
	if !any {
		if a := lowerString(bytes.Trim(to, "<> ,")); a != "" && len(a) < 200 {
			it.Recipient = a
		}
		s.k.put(id, it, l.clock)
	}
}

// failed reads reply and stat of a failed or deferred delivery.
func (s *sendmailLog) failed(l *logLine, id string, at int, it *Item, relay Mention, statFrom, statTo int) {
	t := l.f.text
	stat := t[statFrom:statTo]
	it.Deferred = foldPrefix(stat, "deferred")
	if from, to := field(t[at:], "reply=", "stat="); from >= 0 {
		from, to = from+at, to+at
		// "reply=read error from H.": no reply.
		if r, ok := l.f.reply(from, to); ok && r.Code != 0 {
			it.Reply = r
			it.Refuser = relay
			it.Refuser.Role = Refuser
			it.Stage = r.Stage()
			if it.Stage == transcript.StageUnknown {
				it.Stage = ""
			}
			it.Port = relay.Port
			return
		}
	}
	words, wordsAt := stat, statFrom
	if n := bytes.Index(stat, []byte(": ")); n >= 0 && it.Deferred {
		words, wordsAt = stat[n+2:], statFrom+n+2
	}
	end := statTo
	if n := bytes.IndexByte(words, '('); n >= 0 && isReplyText(words[n+1:]) {
		// "Service unavailable (554 5.7.1 …)", "User unknown (550 5.1.1 …)".
		wordsAt += n + 1
		words = words[n+1:]
		if k := bytes.LastIndexByte(words, ')'); k > 0 {
			words = words[:k]
			end = wordsAt + k
		}
	}
	if r, ok := l.f.reply(wordsAt, end); ok && r.Code != 0 && !relay.IsZero() {
		if s.lies(l, &r) {
			// Its log calls a bad certificate "454 4.7.0 authentication failed".
			it.Fault, it.Stage, it.Target = transcript.FaultCertificate, transcript.StageTLS, relay
			if strings.Contains(r.Text(), "STARTTLS") || strings.Contains(r.Text(), "handshake") {
				it.Fault = transcript.FaultTLS
			}
			if s.faults[l.pid] != transcript.FaultNone {
				it.Fault = s.faults[l.pid]
			}
			it.FaultSpan = l.f.span(statFrom, statTo)
			return
		}
		it.Reply = r
		it.Refuser = relay
		it.Refuser.Role = Refuser
		it.Port = relay.Port
		if it.Stage = r.Stage(); it.Stage == transcript.StageUnknown {
			it.Stage = ""
		}
		return
	}
	it.FaultSpan = l.f.span(statFrom, statTo)
	fault, stage := faultAndStage(words)
	switch {
	case !s.mechanisms[id].IsZero() && foldIndexIn(stat, "auth failure") >= 0:
		it.Fault, it.Stage, it.Target = transcript.FaultProtocol, transcript.StageAuth, relay
		it.FaultSpan = s.mechanisms[id]
		it.Port = relay.Port
	case fault == transcript.FaultDNS:
		target := s.nameIn(l, wordsAt, statTo)
		if target.IsZero() {
			target = relay
		}
		it.Fault, it.Stage, it.Target = transcript.FaultDNS, transcript.StageResolve, target
		if relay.Address != "" && (target.Host == relay.Host || target.IsZero()) {
			// The name did resolve: its address stands beside it. Sendmail calls
			// a reset, and a handshake that failed, a host name lookup failure.
			it.Fault, it.Stage, it.Target = transcript.FaultReset, transcript.StageGreet, relay
			if f := s.faults[l.pid]; f != transcript.FaultNone {
				it.Fault, it.Stage = f, transcript.StageTLS
			} else if s.secure[l.pid] == relay.Host && relay.Host != "" {
				it.Stage = ""
			}
		}
	case fault != transcript.FaultNone:
		it.Fault, it.Stage, it.Target = fault, stage, relay
		if named := s.nameIn(l, wordsAt, statTo); relay.Host == "" && named.Host != "" {
			it.Target = named
			it.Target.Address = relay.Address
		}
		if st := s.stages[id]; st != "" {
			it.Stage = st
		} else if fault == transcript.FaultReset || fault == transcript.FaultClosed {
			it.Stage = transcript.StageGreet
		}
		it.Port = relay.Port
	case it.Deferred && !relay.IsZero() && relay.Address != "":
		// "stat=Deferred" alone: the connection broke behind the data.
		it.Fault, it.Target, it.Stage = transcript.FaultClosed, relay, s.stages[id]
		if it.Stage == "" {
			it.Stage = transcript.StageUnknown
			it.Fault = transcript.FaultNone
			it.LocalOnlyExpiry = true
			it.Target = Mention{}
			it.LocalReply = transcript.Reply{Lines: []string{string(stat)}, Span: it.FaultSpan}
		}
	default:
		it.LocalReply = transcript.Reply{Lines: []string{string(stat)}, Span: it.FaultSpan}
		if r, ok := l.f.reply(statFrom, statTo); ok {
			it.LocalReply = r
		}
		it.FaultSpan = transcript.Span{}
		if !relay.IsZero() && relay.Address != "" && it.Status != "" && (foldPrefix(stat, "user unknown") || foldPrefix(stat, "service unavailable")) {
			// An older Sendmail, which does not log the reply: the relay gave one.
			it.Refuser = relay
			it.Refuser.Role = Refuser
			it.Reply = transcript.Reply{Enhanced: it.Status, Lines: []string{string(stat)}, Span: it.LocalReply.Span}
			it.LocalReply = transcript.Reply{}
			it.Port = relay.Port
			if foldPrefix(stat, "user unknown") {
				it.Stage = transcript.StageEnvelope
			}
		}
	}
}

// lies reports whether a 4yz in stat= is Sendmail's own: its ruleset tls_server
// did not like the server's TLS.
func (s *sendmailLog) lies(l *logLine, r *transcript.Reply) bool {
	if r.Code/100 != 4 || !strings.HasPrefix(r.Enhanced, "4.7.") {
		return false
	}
	return s.faults[l.pid] != transcript.FaultNone || sendmailTLS(r)
}

// nameIn finds the host that stat= names: "Name server: H: host not found",
// "Connection refused by H.", "Connection timed out with H.".
func (s *sendmailLog) nameIn(l *logLine, from, to int) Mention {
	t := l.f.text[from:to]
	for _, w := range []string{"Name server: ", " by ", " with ", " from "} {
		n := bytes.Index(t, []byte(w))
		if n < 0 {
			continue
		}
		k := n + len(w)
		if h, m := hostAt(t[k:]); m > 0 {
			return l.f.mention(Target, h, from+k, from+k+m)
		}
	}
	return Mention{}
}

// reject reads a refusal of the own client.
func (s *sendmailLog) reject(l *logLine, id string, at int) {
	t := l.f.text
	from, to := field(t[at:], "reject=", "\x00")
	if from < 0 {
		return
	}
	from, to = from+at, to+at
	r, ok := l.f.reply(from, to)
	if !ok {
		return
	}
	it := Item{Reply: r, Reporter: l.reporter(s.k.b), Stage: r.Stage()}
	if it.Stage == transcript.StageUnknown {
		it.Stage = transcript.StageEnvelope
	}
	it.Refuser = it.Reporter
	it.Refuser.Role = Refuser
	if it.Refuser.IsZero() {
		it.LocalReply, it.Reply = r, transcript.Reply{}
	}
	if f, e := field(t[at:], "arg1="); f >= 0 {
		if a, n := mailboxAt(t[at+f : at+e]); n > 0 {
			if bytes.Contains(t[at:], []byte("check_mail")) {
				it.Sender = a
			} else {
				it.Recipient = a
			}
		}
	}
	s.k.put(id, it, l.clock)
}

func (s *sendmailLog) items() []Item { return s.k.items(nil) }
