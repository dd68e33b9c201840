package ndr

import (
	"bytes"
	"maps"
	"slices"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// dmaLog reads the log of the DragonFly mail agent: lines with the queue id in
// brackets.
//
//	dma[QID]: <r> trying delivery
//	dma[QID]: using smarthost (H:port)
//	dma[QID]: remote delivery to H [ip] failed after RCPT TO: REPLY
//	dma[QID]: remote delivery deferred: H [ip] failed after connect: REPLY
//	dma[QID]: remote delivery failed: Authentication failed: REPLY
//	dma[QID]: connect to H [ip] failed: Connection refused
//
// dma drops AUTH after a 454 and goes on: the first failure of a delivery is the
// cause.
type dmaLog struct {
	k    *logbook
	runs map[string]*dmaRun
}

// dmaRun is one delivery.
type dmaRun struct {
	recipient string
	sender    string
	smart     Mention
	peer      Mention
	reporter  Mention
	clock     stamp
	secure    bool
	plain     bool // the greeting came in the clear
	decided   bool
}

func newDMALog(k *logbook) *dmaLog { return &dmaLog{k, map[string]*dmaRun{}} }

func (d *dmaLog) line(l *logLine) {
	t := l.f.text
	run := d.runs[l.pid]
	if run == nil {
		if len(d.runs) > maxAttempts {
			d.runs = map[string]*dmaRun{}
		}
		run = &dmaRun{}
		d.runs[l.pid] = run
	}
	switch {
	case bytes.HasPrefix(t, []byte("new mail from ")):
		if n := bytes.Index(t, []byte("envelope_from=")); n >= 0 {
			run.sender = "<>"
			if a, k := mailboxAt(t[n+len("envelope_from="):]); k > 0 {
				run.sender = a
			}
			d.runs[l.pid] = run
		}
	case bytes.HasPrefix(t, []byte("mail to=<")):
		// "mail to=<r> queued as QID": the sender stands at the first id.
		n := bytes.Index(t, []byte("queued as "))
		a, k := mailboxAt(t[len("mail to="):])
		if end := bytes.IndexByte(t, '>'); k == 0 && end > 0 {
			a, k = string(bytes.ToLower(t[len("mail to=<"):end])), end // a local user
		}
		if n > 0 && k > 0 {
			id := string(bytes.TrimSpace(t[n+len("queued as "):]))
			d.runs[id] = &dmaRun{recipient: a, sender: run.sender}
			if run.sender == "<>" {
				d.k.notice[id] = true
			}
		}
	case bytes.HasPrefix(t, []byte("<")) && bytes.Contains(t, []byte("trying delivery")):
		if a, k := mailboxAt(t); k > 0 {
			run.recipient = a
		}
		run.decided, run.secure, run.plain = false, false, false
		run.peer = Mention{}
	case bytes.HasPrefix(t, []byte("using smarthost (")):
		at := len("using smarthost (")
		if h, n := hostAt(t[at:]); n > 0 {
			run.smart = l.f.mention(Target, h, at, at+n)
		}
	case bytes.HasPrefix(t, []byte("trying remote delivery to ")):
		run.peer = d.peer(l, run, len("trying remote delivery to "))
		run.clock, run.reporter = l.clock, l.reporter(d.k.b)
	case bytes.HasPrefix(t, []byte("SSL initialization successful")):
		run.secure = true
	case bytes.HasPrefix(t, []byte("Server greeting successfully completed")):
		run.plain = !run.secure
	case bytes.HasPrefix(t, []byte("delivery successful")), bytes.HasPrefix(t, []byte("remote delivery successful")),
		bytes.HasPrefix(t, []byte("<")) && bytes.HasSuffix(bytes.TrimRight(t, " "), []byte("> delivery successful")):
		it := d.item(l, run)
		it.Action, it.Stage = ActionRelayed, transcript.StageAccepted
		it.Carrier = run.peer
		it.Carrier.Role = Received
		run.decided = true
		d.k.put(l.pid, it, l.clock)
	case bytes.HasPrefix(t, []byte("connect to ")):
		peer := d.peer(l, run, len("connect to "))
		it := d.item(l, run)
		it.Target, it.Deferred = peer, true
		it.Stage, it.Fault = transcript.StageConnect, transcript.FaultTimeout
		if f := faultOf(t[len("connect to "):]); f == transcript.FaultRefused {
			it.Fault = f
		}
		it.FaultSpan = l.f.span(0, len(t))
		d.decide(l, run, it)
	case bytes.HasPrefix(t, []byte("remote delivery ")):
		d.failed(l, run)
	case bytes.Contains(t, []byte("DNS lookup failure")), bytes.Contains(t, []byte("host not found")), bytes.Contains(t, []byte("not found in DNS")):
		it := d.item(l, run)
		it.Stage, it.Fault, it.Target = transcript.StageResolve, transcript.FaultDNS, run.smart
		it.FaultSpan = l.f.span(0, len(t))
		if n := bytes.Index(t, []byte("host ")); n >= 0 {
			if h, k := hostAt(t[n+len("host "):]); k > 0 && looksLikeHost([]byte(h.name)) {
				it.Target = l.f.mention(Target, h, n+len("host "), n+len("host ")+k)
			}
		}
		d.decide(l, run, it)
	case bytes.HasPrefix(t, []byte("delivery failed, bouncing")), bytes.Contains(t, []byte("Giving up")):
		if a := d.k.attempts[key(l.pid, run.recipient)]; a != nil {
			a.item.Deferred = false
			a.item.Expired = a.item.Expired || bytes.Contains(t, []byte("Giving up"))
		}
	}
}

// peer reads "H [ip] …" at the offset; the smart host's port belongs to it.
func (d *dmaLog) peer(l *logLine, run *dmaRun, at int) Mention {
	h, n := hostAt(l.f.text[at:])
	if n == 0 {
		return run.peer
	}
	m := l.f.mention(Target, h, at, at+n)
	if m.Port == 0 && m.Host == run.smart.Host {
		m.Port = run.smart.Port
	}
	return m
}

func (d *dmaLog) item(l *logLine, run *dmaRun) Item {
	it := Item{Recipient: run.recipient, Sender: run.sender, Reporter: l.reporter(d.k.b)}
	if run.secure {
		it.Secure = transcript.Yes
	}
	if run.plain {
		it.Implicit = transcript.No // what TLS there is, is asked for
	}
	return it
}

// decide keeps the first failure of a delivery.
func (d *dmaLog) decide(l *logLine, run *dmaRun, it Item) {
	if run.decided {
		return
	}
	run.decided = true
	d.k.put(l.pid, it, l.clock)
}

func (d *dmaLog) failed(l *logLine, run *dmaRun) {
	t := l.f.text
	it := d.item(l, run)
	it.Deferred = bytes.Contains(t, []byte("deferred"))
	at := len("remote delivery ")
	for _, w := range []string{"to ", "deferred: ", "failed: "} {
		if bytes.HasPrefix(t[at:], []byte(w)) {
			at += len(w)
			break
		}
	}
	peer := run.peer
	after := bytes.Index(t, []byte(" failed after "))
	if after > at {
		peer = d.peer(l, run, at)
		at = after + len(" failed after ")
		it.Stage = replyStage(t[at:])
	} else if bytes.HasPrefix(t[at:], []byte("Authentication failed")) || bytes.HasPrefix(t[at:], []byte("SMTP login failed")) {
		it.Stage = transcript.StageAuth
	} else if bytes.HasPrefix(t[at:], []byte("STARTTLS")) {
		it.Stage = transcript.StageTLS
	}
	if peer.IsZero() {
		peer = run.smart
	}
	it.Port = peer.Port
	if n := bytes.Index(t[at:], []byte(": ")); n >= 0 {
		if r, ok := l.f.reply(at+n+2, len(t)); ok && r.Code != 0 {
			it.Reply = r
			it.Refuser = peer
			it.Refuser.Role = Refuser
			d.decide(l, run, it)
			return
		}
	}
	fault, stage := faultAndStage(t[at:])
	if p, _ := programSays(t[at:]); p != nil && fault == transcript.FaultNone {
		fault, stage = p.fault, p.stage
	}
	if fault == transcript.FaultNone {
		if it.Stage == "" {
			return
		}
		fault = transcript.FaultClosed
	}
	it.Fault, it.Target, it.FaultSpan = fault, peer, l.f.span(0, len(t))
	if it.Stage == "" {
		it.Stage = stage
	}
	d.decide(l, run, it)
}

// items adds the tries of which dma says how far they came and not how they
// ended: it logs no word of a connection that broke behind the greeting.
func (d *dmaLog) items() []Item {
	ids := slices.Sorted(maps.Keys(d.runs)) // of one kind, and none has an outcome that tells the order
	for _, id := range ids {
		run := d.runs[id]
		if run.decided || run.peer.IsZero() || d.k.attempts[key(id, run.recipient)] != nil {
			continue
		}
		it := Item{Recipient: run.recipient, Sender: run.sender, Reporter: run.reporter, Target: run.peer, Port: run.peer.Port, Deferred: true}
		if run.secure {
			it.Secure = transcript.Yes
		}
		d.k.put(id, it, run.clock)
	}
	return d.k.items(nil)
}

// nullmailerLog reads nullmailer's log:
//
//	Starting delivery: host: H protocol: smtp file: 1700000000.123
//	smtp: Failed: 554 5.7.1 …
//	Sending failed: Permanent error in sending the message
type nullmailerLog struct {
	k    *logbook
	peer Mention
	file string
	to   []string
	from string
	told bool // how the present try ended
}

func newNullmailerLog(k *logbook) *nullmailerLog { return &nullmailerLog{k: k} }

// nullmailerNotes begin lines that tell nothing about a try, and end the one
// before them.
var nullmailerNotes = []string{"Sent file.", "Rescanning queue.", "Delivery complete, ", "Moving message ", "Generating bounce for "}

// nullmailerStart reports whether a line is one of nullmailer's own.
func nullmailerStart(s []byte) bool {
	switch {
	case bytes.HasPrefix(s, []byte("Starting delivery: ")), bytes.HasPrefix(s, []byte("Starting delivery, ")):
		return true
	case bytes.HasPrefix(s, []byte("Sending failed: ")), bytes.HasPrefix(s, []byte("smtp: Failed: ")), bytes.HasPrefix(s, []byte("smtp: Succeeded: ")):
		return true
	case bytes.HasPrefix(s, []byte("From: <")) && bytes.Contains(s, []byte("> to: <")):
		return true
	}
	for _, w := range nullmailerNotes {
		if bytes.HasPrefix(s, []byte(w)) {
			return true
		}
	}
	return false
}

func (m *nullmailerLog) line(l *logLine) {
	t := l.f.text
	switch {
	case bytes.HasPrefix(t, []byte("Starting delivery: ")):
		m.peer = Mention{}
		if n := bytes.Index(t, []byte("host: ")); n >= 0 {
			at := n + len("host: ")
			if h, k := hostAt(t[at:]); k > 0 {
				m.peer = l.f.mention(Target, h, at, at+k)
			}
		}
		m.file, m.to, m.told = "", nil, false
		if n := bytes.Index(t, []byte("file: ")); n >= 0 {
			m.file = string(bytes.TrimSpace(t[n+len("file: "):]))
		}
	case bytes.HasPrefix(t, []byte("From: <")):
		rest := t[len("From: "):]
		if a, k := mailboxAt(rest); k > 0 {
			m.from, rest = a, rest[k:]
		} else if bytes.HasPrefix(rest, []byte("<>")) {
			m.from = "<>" // the bounce of a message that failed before
			m.k.notice[m.file] = true
		}
		if n := bytes.Index(rest, []byte(" Message-Id: ")); n >= 0 {
			rest = rest[:n] // the next line
		}
		m.to = mailboxes(nil, rest)
	case bytes.HasPrefix(t, []byte("to: <")), bytes.HasPrefix(t, []byte("To: <")):
		m.to = mailboxes(m.to, t)
	case bytes.HasPrefix(t, []byte("smtp: Succeeded: ")):
		at := len("smtp: Succeeded: ")
		it := m.item(l)
		it.Reply, _ = l.f.reply(at, len(t))
		it.Action, it.Stage = ActionRelayed, transcript.StageAccepted
		it.Carrier = m.peer
		it.Carrier.Role = Received
		m.put(l, it)
	case bytes.HasPrefix(t, []byte("smtp: Failed: ")):
		m.failed(l, len("smtp: Failed: "))
	case bytes.HasPrefix(t, []byte("Sending failed: ")):
		at := skipBlanks(t, len("Sending failed:"))
		if !m.told {
			m.failed(l, at)
			return
		}
		for _, to := range m.recipients() {
			if a := m.k.attempts[key(m.file, to)]; a != nil && a.item.Action == ActionUnstated && (!a.item.Reply.IsZero() || a.item.Fault != transcript.FaultNone) {
				a.item.Deferred = !foldPrefix(t[at:], "permanent") && !foldPrefix(t[at:], "failed to auth")
			}
		}
	}
}

// recipients are those of the present message; one without a name, when none is
// stated.
func (m *nullmailerLog) recipients() []string {
	if len(m.to) == 0 {
		return []string{""}
	}
	return m.to
}

// put gives the outcome to each recipient: nullmailer shows the reply to one.
func (m *nullmailerLog) put(l *logLine, it Item) {
	m.told = true
	for _, to := range m.recipients() {
		it.Recipient = to
		m.k.put(m.file, it, l.clock)
	}
}

// mailboxes adds the addresses in s to a list.
func mailboxes(list []string, s []byte) []string {
	for len(list) < maxItems {
		a, from, to := findMailbox(s)
		if from < 0 {
			break
		}
		list = append(list, a)
		s = s[to:]
	}
	return list
}

func (m *nullmailerLog) item(l *logLine) Item {
	return Item{Sender: m.from, Reporter: l.reporter(m.k.b), Port: m.peer.Port}
}

func (m *nullmailerLog) failed(l *logLine, at int) {
	t := l.f.text
	it := m.item(l)
	if r, ok := l.f.reply(at, len(t)); ok && r.Code != 0 {
		it.Reply = r
		it.Refuser = m.peer
		it.Refuser.Role = Refuser
		it.Stage = r.Stage()
		if it.Stage == transcript.StageUnknown {
			it.Stage = ""
		}
		if r.Code == 500 || r.Code == 502 {
			it.Stage = transcript.StageTLS // it sends STARTTLS unasked
		}
		it.Deferred = r.Class() == 4
		m.put(l, it)
		return
	}
	p, _ := programSays(t[at:])
	switch {
	case p != nil && p.effect == effectNoAUTH:
		it.Stage, it.Refuser = transcript.StageAuth, m.peer
		it.Refuser.Role = Refuser
		it.FaultSpan = l.f.span(0, len(t))
		m.put(l, it)
		return
	case p != nil && p.fault != transcript.FaultNone:
		it.Fault, it.Stage, it.Target = p.fault, p.stage, m.peer
	case len(bytes.TrimSpace(t[at:])) == 0:
		// "smtp: Failed: " and nothing: the server went away, at a place that is
		// not told: before the greeting as well as behind the final dot.
		it.Fault, it.Target = transcript.FaultClosed, m.peer
	default:
		it.LocalReply = transcript.Reply{Lines: []string{string(bytes.TrimSpace(t[at:]))}, Span: l.f.span(at, len(t))}
		it.LocalOnlyExpiry = true
		it.Target = m.peer
		m.put(l, it)
		return
	}
	it.Deferred = true
	it.FaultSpan = l.f.span(0, len(t))
	m.put(l, it)
}

func (m *nullmailerLog) items() []Item { return m.k.items(nil) }

// msmtpLog reads msmtp's log file, one line per mail:
//
//	host=R tls=on auth=off user=u from=s recipients=r,r2 smtpstatus=554 smtpmsg='…' errormsg='…' exitcode=EX_…
type msmtpLog struct{ k *logbook }

func (m *msmtpLog) line(l *logLine) {
	t := l.f.text
	from, to := fieldValue(t, "host")
	if from < 0 {
		return
	}
	h, n := hostAt(t[from:to])
	if n == 0 {
		return
	}
	it := Item{}
	peer := l.f.mention(Target, h, from, from+n)
	secure := false
	if a, b := fieldValue(t, "tls"); a >= 0 {
		secure = string(t[a:b]) == "on"
		it.Secure = transcript.No
	}
	if a, b := fieldValue(t, "auth"); a >= 0 && string(t[a:b]) == "off" {
		it.Authenticated = transcript.No
	}
	if a, b := fieldValue(t, "from"); a >= 0 {
		if s, k := mailboxAt(t[a:b]); k > 0 {
			it.Sender = s
		}
	}
	said := -1
	end := 0
	if a, b := fieldValue(t, "smtpmsg"); a >= 0 {
		said, end = a, b
	}
	told := ""
	toldAt, toldEnd := -1, 0
	if a, b := fieldValue(t, "errormsg"); a >= 0 {
		told, toldAt, toldEnd = string(t[a:b]), a, b
	}
	switch {
	case said >= 0:
		text := bytes.ReplaceAll(t[said:end], []byte(`\n`), []byte("\n"))
		r, ok := transcript.ParseReply(string(text))
		if !ok {
			return
		}
		r.Span = l.f.span(said, end)
		it.Reply = r
		if secure {
			it.Secure = transcript.Yes
		}
		if r.Class() == 2 {
			it.Action, it.Stage = ActionRelayed, transcript.StageAccepted
			it.Carrier = peer
			it.Carrier.Role = Received
			break
		}
		it.Refuser = peer
		it.Refuser.Role = Refuser
		it.Stage = r.Stage()
		for _, w := range msmtpStages {
			if n := foldIndex([]byte(told), w.words); n >= 0 {
				it.Stage = w.stage
				break
			}
		}
	case toldAt >= 0:
		words := t[toldAt:toldEnd]
		it.FaultSpan = l.f.span(toldAt, toldEnd)
		it.Target = peer
		it.Port = portBehind(t[min(toldAt+bytes.Index(words, []byte(", port"))+1, toldEnd):toldEnd])
		p, _ := programSays(words)
		switch {
		case p != nil && p.effect == effectNoAUTH:
			it.Target = Mention{}
			it.Refuser = peer
			it.Refuser.Role = Refuser
			it.Stage = transcript.StageTLS
			if secure {
				it.Stage = transcript.StageAuth
			}
		case p != nil && p.fault != transcript.FaultNone:
			it.Fault, it.Stage = p.fault, p.stage
		default:
			it.Fault, it.Stage = faultAndStage(words)
		}
		if foldIndex(words, "network read error") >= 0 || foldIndex(words, "empty reply") >= 0 || foldIndex(words, "network write error") >= 0 || foldIndex(words, "in the pull function") >= 0 || foldIndex(words, "in the push function") >= 0 {
			// It does not tell where: it may have been behind the final dot.
			it.Stage, it.Fault = transcript.StageUnknown, transcript.FaultNone
		}
	default:
		return
	}
	a, b := fieldValue(t, "recipients")
	any := false
	if a >= 0 {
		for _, one := range bytes.Split(t[a:b], []byte{','}) {
			if r, k := mailboxAt(one); k > 0 {
				each := it
				each.Recipient = r
				m.k.put(clockKey(l), each, l.clock)
				any = true
			}
		}
	}
	if !any {
		m.k.put(clockKey(l), it, l.clock)
	}
}

// clockKey tells mails apart that have no id: by the place of their line.
func clockKey(l *logLine) string {
	n := l.base
	var b [20]byte
	i := len(b)
	for {
		i--
		b[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			break
		}
	}
	return string(b[i:])
}

// msmtpStages are the stages of msmtp's messages.
var msmtpStages = []struct {
	words string
	stage transcript.Stage
}{
	{"recipient address", transcript.StageEnvelope},
	{"envelope from address", transcript.StageEnvelope},
	{"authentication failed", transcript.StageAuth},
	{"did not accept the mail", transcript.StageData},
	{"cannot get initial ok", transcript.StageGreet},
	{"command data failed", transcript.StageData},
	{"command ehlo", transcript.StageEHLO},
	{"command helo", transcript.StageEHLO},
	{"starttls", transcript.StageTLS},
}

func (m *msmtpLog) items() []Item {
	list := m.k.items(nil)
	for i := range list {
		list[i].QueueID = ""
	}
	return list
}
