package ndr

import (
	"bytes"
	"strconv"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Logs whose lines give a try as named fields: what was said, its code and its
// enhanced code stand apart.
//
//	maddy:     module: words	{"msg_id":"…","rcpt":"r","reason":"…","remote_server":"R","smtp_code":554,…}
//	Stalwart:  INFO words (delivery.rcpt-to-rejected) queueId = 1, to = ["r"], hostname = "R", code = 554, details = "…"
//	Kerio:     [date] Sent: Queue-ID: …, Recipient: <r>, Result: failed, Status: 5.7.1 554 …, Remote-Host: R
//	FortiMail: date=… time=… log_id=… session_id="…" msg="to=<r>, …, relay=R [ip], dsn=…, reply=…, stat=…"
//
// What FortiMail has in msg is a line of Sendmail's.

// fielded knows the lines of these programs by how they begin at line[i:].
func (r *record) fielded(line []byte, i int) bool {
	rest := line[i:]
	switch c := rest[0]; {
	case c >= 'a' && c <= 'z':
		if bytes.HasPrefix(rest, []byte("date=")) {
			return r.fortiMail(line, i)
		}
		if maddyStart(rest) {
			r.mta, r.message = mtaMaddy, i
			return true
		}
	case c == 'I' || c == 'W' || c == 'E' || c == 'D' || c == 'T':
		if stalwartStart(rest) {
			r.mta, r.message = mtaStalwart, i
			return true
		}
	}
	return false
}

// maddyStart reports whether a module's name and words stand before an object
// that names a message.
func maddyStart(s []byte) bool {
	n := 0
	for n < len(s) && n < 40 && (isWordByte(s[n]) || s[n] == '_' || s[n] == '.' || s[n] == '/') {
		n++
	}
	if n == 0 || n+2 >= len(s) || s[n] != ':' || s[n+1] != ' ' {
		return false
	}
	brace := bytes.IndexByte(s[:min(len(s), 200)], '{')
	return brace > n && bytes.Contains(s[brace:], []byte(`"msg_id":"`))
}

// stalwartLevels are the words before an event of Stalwart.
var stalwartLevels = []string{"INFO ", "WARN ", "ERROR ", "DEBUG ", "TRACE "}

// stalwartMark begins the names of the events about a delivery.
const stalwartMark = "(delivery."

func stalwartStart(s []byte) bool {
	for _, w := range stalwartLevels {
		if bytes.HasPrefix(s, []byte(w)) {
			return bytes.Contains(s[:min(len(s), 160)], []byte(stalwartMark))
		}
	}
	return false
}

// fortiMail finds what Sendmail would have logged in the field msg.
func (r *record) fortiMail(line []byte, i int) bool {
	rest := line[i:]
	if !bytes.Contains(rest, []byte("log_id=")) {
		return false
	}
	n := bytes.Index(rest, []byte(`msg="`))
	if n < 0 {
		return false
	}
	r.message = i + n + len(`msg="`)
	if m := line[r.message:]; !bytes.HasPrefix(m, []byte("to=")) && !bytes.HasPrefix(m, []byte("from=")) {
		return false
	}
	r.mta, r.daemon = mtaSendmail, fortiMailDaemon
	head := rest[:n]
	if d, t := bytes.Index(head, []byte("date=")), bytes.Index(head, []byte("time=")); d >= 0 && t > d && t+13 <= len(head) && d+15 <= len(head) {
		r.clock, _ = stampAt([]byte(string(head[d+5:d+15]) + " " + string(head[t+5:t+13])))
	}
	if s := bytes.Index(head, []byte(`session_id="`)); s >= 0 {
		id := head[s+len(`session_id="`):]
		if e := bytes.IndexAny(id, `-"`); e > 0 {
			r.pid = string(id[:e])
		}
	}
	return true
}

// fortiMailDaemon stands in record.daemon for a line of Sendmail's inside one of
// FortiMail's; record.pid is its session then.
const fortiMailDaemon = "fortimail"

// kerioStart gives the offset of the message in a line of Kerio's mail log; 0 if
// it is none.
func kerioStart(s []byte) (stamp, int) {
	const width = len("[24/Nov/2026 08:12:01] ")
	if len(s) < width+20 || s[0] != '[' || s[3] != '/' || s[width-2] != ']' || !bytes.Contains(s[width:width+20], []byte(": Queue-ID: ")) {
		return stamp{}, 0
	}
	// In the order that stampAt reads: "Nov 24 2026 08:12:01".
	var b [20]byte
	at := append(b[:0], s[4:7]...)
	at = append(append(at, ' '), s[1:3]...)
	at = append(append(at, ' '), s[8:12]...)
	when, _ := stampAt(append(append(at, ' '), s[13:21]...))
	return when, width
}

// answered files what a server said where a program logs code, enhanced code and
// words apart: f.text[from:to] are the words.
func answered(f *flow, from, to, code int, enhanced string, host Mention, it *Item) {
	words := string(f.text[from:to])
	number := strconv.Itoa(code)
	if enhanced != "" && statusCode(f.text[from:to]) == "" {
		words = enhanced + " " + words
	}
	rep, ok := transcript.ParseReply(number + " " + words)
	if own, is := f.reply(from, to); is && own.Code == code {
		rep, ok = own, true
	}
	if !ok {
		return
	}
	rep.Span = f.span(from, to)
	it.Reply = rep
	if !host.IsZero() {
		it.Refuser = host
		it.Refuser.Role = Refuser
	}
}

// broken files a fault on the road to a host; stage is where the program says it
// was, empty if it does not.
func broken(f *flow, from, to int, stage transcript.Stage, fault transcript.Fault, host Mention, it *Item) {
	told, where := faultAndStage(f.text[from:to])
	if told != transcript.FaultNone && (fault == transcript.FaultNone || stage == transcript.StageConnect) {
		fault = told
	}
	if stage == "" {
		stage = where
	}
	it.Fault, it.Stage, it.FaultSpan = fault, stage, f.span(from, to)
	if host.IsZero() {
		it.LocalOnlyExpiry = true
		local(f, from, to, it)
		return
	}
	it.Target = asTarget(host)
}

// maddyLog reads maddy's log.
type maddyLog struct{ k *logbook }

// maddyStages are the words before the object that tell where it was.
var maddyStages = []struct {
	words string
	stage transcript.Stage
}{
	{": RCPT", transcript.StageEnvelope},
	{": MAIL", transcript.StageEnvelope},
	{": DATA", transcript.StageData},
	{": auth", transcript.StageAuth},
	{": AUTH", transcript.StageAuth},
	{"TLS", transcript.StageTLS},
}

func (m *maddyLog) line(l *logLine) {
	t := l.f.text
	brace := bytes.IndexByte(t, '{')
	if brace < 0 {
		return
	}
	head := t[:brace]
	value := func(name string) (flow, bool) {
		_, from, next := jsonString(t, brace, name)
		if next < 0 {
			return flow{}, false
		}
		f := l.f.from(from)
		f.text = f.text[:max(next-1-from, 0)]
		f.unescapeJSON()
		return f, len(f.text) > 0
	}
	rcpt, ok := value("rcpt")
	if !ok {
		return // a message came in, a connection was opened
	}
	it := Item{Recipient: lowerString(rcpt.text), Reporter: l.reporter(m.k.b)}
	if f, ok := value("sender"); ok {
		it.Sender = lowerString(f.text)
	}
	var id string
	if f, ok := value("msg_id"); ok {
		id = string(f.text)
		// Each try of the queue has a number of its own behind the id.
		if n := bytes.IndexByte(f.text, '-'); n > 0 {
			id = id[:n]
		}
	}
	var host Mention
	if f, ok := value("remote_server"); ok {
		if h, n := hostAt(f.text); n > 0 {
			host = f.mention(Refuser, h, 0, n)
		}
	}
	for _, w := range maddyStages {
		if bytes.Contains(head, []byte(w.words)) {
			it.Stage = w.stage
			break
		}
	}
	words, ok := value("reason")
	if !ok {
		words, ok = value("smtp_msg")
	}
	code := jsonNumber(t, brace, "smtp_code")
	switch {
	case bytes.Contains(head, []byte("delivered")) && !bytes.Contains(head, []byte("not delivered")):
		it.Action, it.Stage = ActionRelayed, transcript.StageAccepted
		if !host.IsZero() {
			it.Carrier = host
			it.Carrier.Role = Received
		}
	case !ok:
	case bytes.Contains(t[brace:], []byte(`"io_op":`)), bytes.HasPrefix(words.text, []byte("dial ")), bytes.HasPrefix(words.text, []byte("lookup ")), code == 0:
		// Its own code for what is no reply: "450 Network I/O error".
		broken(&words, 0, len(words.text), it.Stage, transcript.FaultNone, host, &it)
	case host.IsZero():
		local(&words, 0, len(words.text), &it)
		if rep, ok := transcript.ParseReply(strconv.Itoa(code) + " " + string(words.text)); ok {
			rep.Span = it.LocalReply.Span
			it.LocalReply = rep
		}
	default:
		enhanced := ""
		if f, ok := value("smtp_enchcode"); ok {
			enhanced = statusCode(f.text)
		}
		answered(&words, 0, len(words.text), code, enhanced, host, &it)
		it.Deferred = code < 500
	}
	m.k.put(id, it, l.clock)
}

func (m *maddyLog) items() []Item { return m.k.items(nil) }

// jsonNumber is the number of "name": n at or behind at; 0 when there is none.
func jsonNumber(t []byte, at int, name string) int {
	n := bytes.Index(t[at:], []byte(`"`+name+`":`))
	if n < 0 {
		return 0
	}
	v, _ := digitsAt(t, skipBlanks(t, at+n+len(name)+3), 6)
	return v
}

// stalwartEvents are the events that tell what became of a recipient; those that
// are not in the list are steps on the way.
var stalwartEvents = []struct {
	name  string
	stage transcript.Stage
	fault transcript.Fault // if no reply came
}{
	{"rcpt-to-rejected", transcript.StageEnvelope, transcript.FaultNone},
	{"rcpt-to-failed", transcript.StageEnvelope, transcript.FaultNone},
	{"mail-from-rejected", transcript.StageEnvelope, transcript.FaultNone},
	{"message-rejected", transcript.StageData, transcript.FaultNone},
	{"auth-failed", transcript.StageAuth, transcript.FaultNone},
	{"auth", transcript.StageAuth, transcript.FaultNone},
	{"ehlo-rejected", transcript.StageEHLO, transcript.FaultNone},
	{"greeting-failed", transcript.StageGreet, transcript.FaultNone},
	{"connect-error", transcript.StageConnect, transcript.FaultTimeout},
	{"start-tls-unavailable", transcript.StageTLS, transcript.FaultTLS},
	{"start-tls-error", transcript.StageTLS, transcript.FaultTLS},
	{"implicit-tls-error", transcript.StageTLS, transcript.FaultTLS},
	{"ip-lookup-failed", transcript.StageResolve, transcript.FaultDNS},
	{"mx-lookup-failed", transcript.StageResolve, transcript.FaultDNS},
	{"delivered", transcript.StageAccepted, transcript.FaultNone},
	{"dsn-perm-fail", "", transcript.FaultNone},
	{"dsn-temp-fail", "", transcript.FaultNone},
}

// stalwartLog reads Stalwart's log.
type stalwartLog struct {
	k     *logbook
	ports map[string]int // by queue id: where it connected
}

// stalwartField is "name = value"; the value is without its quotes.
type stalwartField struct {
	name     string
	from, to int
}

// stalwartFields takes the fields of a line apart.
func stalwartFields(t []byte, at int, fields []stalwartField) []stalwartField {
	for at < len(t) && len(fields) < cap(fields) {
		eq := bytes.Index(t[at:], []byte(" = "))
		if eq < 0 {
			break
		}
		f := stalwartField{name: string(t[at : at+eq]), from: at + eq + 3}
		f.to = f.from
		var end int
		switch {
		case f.from < len(t) && t[f.from] == '"':
			f.from++
			for end = f.from; end < len(t) && t[end] != '"'; end++ {
				if t[end] == '\\' {
					end++
				}
			}
			f.to = min(end, len(t))
		case f.from < len(t) && t[f.from] == '[':
			f.to = len(t)
			if n := bytes.Index(t[f.from:], []byte(`"]`)); n >= 0 {
				f.to = f.from + n
			} else if n := bytes.IndexByte(t[f.from:], ']'); n >= 0 {
				f.to = f.from + n
			}
			end = f.to
		default:
			f.to = len(t)
			if n := bytes.Index(t[f.from:], []byte(", ")); n >= 0 {
				f.to = f.from + n
			}
			end = f.to
		}
		fields = append(fields, f)
		n := bytes.Index(t[min(end, len(t)):], []byte(", "))
		if n < 0 {
			break
		}
		at = end + n + 2
	}
	return fields
}

func (s *stalwartLog) line(l *logLine) {
	t := l.f.text
	n := bytes.Index(t, []byte(stalwartMark))
	if n < 0 {
		return
	}
	n += len(stalwartMark)
	end := bytes.IndexByte(t[n:], ')')
	if end < 0 {
		return
	}
	name, at := string(t[n:n+end]), skipBlanks(t, n+end+1)
	var room [32]stalwartField
	fields := stalwartFields(t, at, room[:0])
	value := func(name string) *stalwartField {
		for i := len(fields) - 1; i >= 0; i-- {
			if fields[i].name == name {
				return &fields[i]
			}
		}
		return nil
	}
	id := ""
	if f := value("queueId"); f != nil {
		id = string(t[f.from:f.to])
	}
	if f := value("remotePort"); f != nil && len(s.ports) < maxAttempts {
		s.ports[id] = number(t[f.from:f.to])
	}
	event := -1
	for i := range stalwartEvents {
		if stalwartEvents[i].name == name {
			event = i
		}
	}
	if event < 0 {
		return
	}
	e := &stalwartEvents[event]
	it := Item{Reporter: l.reporter(s.k.b), Stage: e.stage, Port: s.ports[id]}
	if f := value("from"); f != nil {
		if it.Sender = lowerString(t[f.from:f.to]); it.Sender == "" {
			it.Sender = "<>"
		}
	}
	var host Mention
	if f := value("hostname"); f != nil {
		if h, k := hostAt(t[f.from:f.to]); k > 0 {
			host = l.f.mention(Refuser, h, f.from, f.from+k)
		}
	}
	if f := value("remoteIp"); f != nil && !host.IsZero() {
		host.Address, _ = parseAddress(t[f.from:f.to])
	}
	code := 0
	if f := value("code"); f != nil {
		code = number(t[f.from:f.to])
	}
	words := value("details")
	if words == nil {
		words = value("reason")
	}
	if words == nil {
		words = value("causedBy")
	}
	from, to := at, at
	if words != nil {
		from, to = words.from, words.to
	}
	switch {
	case name == "delivered":
		it.Action = ActionRelayed
		it.Carrier = host
		it.Carrier.Role = Received
	case code >= 400 && code < 600:
		answered(&l.f, from, to, code, "", host, &it)
		it.Deferred = code < 500
	case e.fault != transcript.FaultNone:
		broken(&l.f, from, to, e.stage, e.fault, host, &it)
		it.Deferred = true
	case to > from && name != "auth":
		broken(&l.f, from, to, e.stage, transcript.FaultNone, host, &it)
	default:
		return
	}
	for _, r := range stalwartRecipients(t, fields) {
		// The notice repeats the reply, and no longer says where it was given.
		if e.stage == "" && s.k.attempts[key(id, r)] != nil {
			continue
		}
		one := it
		one.Recipient = r
		s.k.put(id, one, l.clock)
	}
}

// stalwartRecipients are the recipient that a line is about, else all of the
// message.
func stalwartRecipients(t []byte, fields []stalwartField) []string {
	var list []string
	for i := len(fields) - 1; i >= 0; i-- {
		f := &fields[i]
		if f.name != "to" {
			continue
		}
		for at := f.from; at < f.to; {
			a, _, end := findMailbox(t[at:f.to])
			if end <= 0 {
				break
			}
			list = append(list, a)
			at += end
		}
		if len(list) > 0 {
			return list
		}
	}
	return []string{""}
}

func (s *stalwartLog) items() []Item { return s.k.items(nil) }

// kerioLog reads Kerio's mail log.
type kerioLog struct{ k *logbook }

func (k *kerioLog) line(l *logLine) {
	t := l.f.text
	id := ""
	if from, to := field(t, "Queue-ID: "); from >= 0 {
		id = string(t[from:to])
	}
	if bytes.HasPrefix(t, []byte("Recv: ")) {
		if from, to := field(t, "From: "); from >= 0 && len(k.k.senders) < maxAttempts {
			k.k.senders[id] = "<>"
			if a, n := mailboxAt(t[from:to]); n > 0 {
				k.k.senders[id] = a
			}
		}
		return
	}
	from, to := field(t, "Result: ")
	if from < 0 || !bytes.HasPrefix(t, []byte("Sent: ")) {
		return
	}
	result := t[from:to]
	var it Item
	if from, to := field(t, "Recipient: "); from >= 0 {
		it.Recipient, _ = mailboxAt(t[from:to])
	}
	var host Mention
	if from, to := field(t, "Remote-Host: "); from >= 0 {
		if h, n := hostAt(t[from:to]); n > 0 && (nameOfServer(h) || h.name == "") {
			host = l.f.mention(Refuser, h, from, from+n)
		}
	}
	if foldPrefix(result, "delivered") || foldPrefix(result, "sent") {
		it.Action, it.Stage = ActionDelivered, transcript.StageAccepted
		if !host.IsZero() {
			it.Action, it.Carrier = ActionRelayed, host
			it.Carrier.Role = Received
		}
		k.k.put(id, it, l.clock)
		return
	}
	it.Deferred = !foldPrefix(result, "failed")
	from, to = field(t, "Status: ", "Remote-Host: ", "Msg-Id: ")
	if from < 0 {
		return
	}
	status := from
	if code := statusCode(t[from:to]); code != "" {
		it.Status = code
		from = min(skipBlanks(t, from+len(code)), to)
	}
	words := t[from:to]
	n, ok := searchReply(words)
	if !ok {
		// It may stand behind the last field.
		if m := bytes.Index(t, []byte(" Reason: ")); m >= 0 {
			from, to = m+len(" Reason: "), len(t)
			words = t[from:to]
			n, ok = searchReply(words)
		}
	}
	switch fault, _ := faultAndStage(words); {
	case ok:
		it.Reply, _ = l.f.reply(from+n, to)
		it.Refuser = host
	case fault != transcript.FaultNone:
		broken(&l.f, from, to, "", fault, host, &it)
	case len(it.Status) == 5 && it.Status[1:] == ".4.1" && !host.IsZero():
		// "No answer from host" (RFC 3463 §3.5), and no words.
		it.Fault, it.Stage, it.FaultSpan = transcript.FaultTimeout, transcript.StageConnect, l.f.span(status, status+len(it.Status))
		it.Target = asTarget(host)
	default:
		local(&l.f, from, to, &it)
	}
	k.k.put(id, it, l.clock)
}

func (k *kerioLog) items() []Item { return k.k.items(nil) }
