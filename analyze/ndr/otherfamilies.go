package ndr

import (
	"bytes"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// listBelow takes the addresses that stand alone on the lines below a mark, up
// to a line of words.
func (r *report) listBelow(m *mark) []*Item {
	var items []*Item
	words := 0
	for i := int(m.line) + 1; i < min(r.last, r.body); i++ {
		l, _ := r.line(i)
		if len(l) == 0 {
			continue
		}
		lead := 0
		for lead < len(l) && (l[lead] == '*' || l[lead] == '-' || l[lead] == '>' || l[lead] == ' ') {
			lead++
		}
		a, n := mailboxAt(l[lead:])
		if n == 0 || len(bytes.TrimSpace(l[lead+n:])) > 1 {
			// The sentence of the mark may run over a line or two.
			if words++; words > 2 || len(items) > 0 {
				break
			}
			continue
		}
		items = append(items, r.item(a))
	}
	return items
}

// outlookText reads the reports of Outlook.com and IIS: indented recipients, no
// reply in the text.
func outlookText(r *report) {
	unreachable := false
	for i := range r.marks {
		m := &r.marks[i]
		if m.sign != signOutlook && m.sign != signDelay && m.sign != signSuccess {
			continue
		}
		items := r.listBelow(m)
		sentence := r.doc.flow(r.doc.LineStart(int(m.line)), r.paragraphEnd(int(m.line), 6))
		unreachable = bytes.Contains(sentence.text, []byte("unable to connect successfully"))
		for _, it := range items {
			if unreachable {
				it.Fault, it.Stage = transcript.FaultTimeout, transcript.StageConnect
				it.FaultSpan = r.b.span(r.doc.LineStart(int(m.line)), r.doc.LineEnd(int(m.line)))
				it.LocalOnlyExpiry = true
			}
		}
	}
}

// sesText reads Amazon SES and WorkMail.
func sesText(r *report) {
	for i := range r.marks {
		m := &r.marks[i]
		if m.sign != signSES {
			continue
		}
		l, at := r.line(int(m.line))
		if a, _, _ := findMailbox(l); a != "" {
			// "The following message to <r> was undeliverable." and its reason.
			it := r.item(a)
			for k := int(m.line) + 1; k < min(int(m.line)+5, r.last); k++ {
				t, o := r.line(k)
				if code := statusCode(t); code != "" {
					it.Status = code
					f := r.doc.flow(o, o+len(t))
					sesReason(&f, it)
				}
			}
			_ = at
			continue
		}
		r.listBelow(m)
	}
}

// sesReason reads "5.1.0 - Unknown address error 550-'5.7.1 <x>... words'".
func sesReason(f *flow, it *Item) {
	t := f.text
	for i := 5; i+4 < len(t); i++ {
		if t[i-1] == ' ' && (t[i] == '4' || t[i] == '5') && isDigit(t[i+1]) && isDigit(t[i+2]) && t[i+3] == '-' && t[i+4] == '\'' {
			words := strings.TrimSuffix(string(t[i+5:]), "'")
			it.Reply = transcript.Reply{Code: number(t[i : i+3]), Enhanced: statusCode(t[i+5:]), Lines: []string{string(t[i:i+3]) + " " + words}, Span: f.span(i, len(t))}
			return
		}
	}
	it.LocalReply = transcript.Reply{Enhanced: it.Status, Lines: []string{string(t)}, Span: f.span(0, len(t))}
}

// sendGridText reads "<r> : ip : R:[ip] : REPLY in RCPT TO".
func sendGridText(r *report) {
	for i := r.b.First; i < min(r.last, r.body); i++ {
		l, at := r.line(i)
		n := bytes.IndexByte(l, '<')
		if n < 0 || !bytes.Contains(l, []byte("> : ")) {
			continue
		}
		a, k := mailboxAt(l[n:])
		if k == 0 {
			continue
		}
		it := r.item(a)
		end := r.paragraphEnd(i, 10)
		f := r.doc.flow(at+n+k, end)
		t := f.text
		if m := bytes.LastIndex(t, []byte(" in ")); m > 0 {
			it.Stage = replyStage(t[m+len(" in "):])
			t = t[:m]
		}
		// Fields between " : ": own address, R:[ip], reply.
		last := bytes.LastIndex(t, []byte(" : "))
		if last < 0 {
			last = 0
		}
		for o := 0; o < len(t); {
			e := bytes.Index(t[o:], []byte(" : "))
			if e < 0 {
				break
			}
			o += e + 3
			word := t[o:]
			if c := bytes.Index(word, []byte(":[")); c > 0 {
				h, hn := hostAt(word[:c])
				if hn == c {
					if e := bytes.IndexByte(word[c:], ']'); e > 0 {
						h.address, _ = parseAddress(word[c+2 : c+e])
					}
					it.Refuser = f.mention(Refuser, h, o, o+c)
				}
			}
			if rep, ok := f.reply(o, len(t)); ok && rep.Code != 0 {
				it.Reply = rep
				break
			}
		}
		if it.Reply.IsZero() {
			it.Fault, it.Stage = faultAndStage(t)
			it.FaultSpan = f.span(0, len(t))
			if it.Refuser.IsZero() {
				it.LocalOnlyExpiry = true
			} else {
				it.Target, it.Refuser = asTarget(it.Refuser), Mention{}
			}
		}
	}
}

// dragonFlyText reads the DragonFly Mail Agent.
//
//	There was an error delivering your mail to <r>.
//
//	R [ip] did not like our RCPT TO:
//	REPLY
func dragonFlyText(r *report) {
	if m := r.find(signDragonFly); m != nil {
		r.reporterBehind(m, " at ")
	}
	f := r.doc.flow(r.doc.LineStart(r.b.First), r.doc.LineEnd(max(min(r.last, r.body)-1, r.b.First)))
	const lead = "delivering your mail to "
	for n := f.find(lead, 0); n >= 0; {
		from := n + len(lead)
		next := f.find(lead, from)
		to := next
		if to < 0 {
			to = len(f.text)
		}
		a, k := mailboxAt(f.text[from:to])
		if k > 0 {
			from += k
			for from < to && (f.text[from] == '.' || f.text[from] == ' ' || f.text[from] == ':') {
				from++
			}
			dragonFlyReason(&f, from, to, r.item(a))
		}
		n = next
	}
}

// dragonFlyReason reads what follows the recipient.
func dragonFlyReason(f *flow, from, to int, it *Item) {
	t := f.text[from:to]
	if h, k := hostAt(t); k > 0 && (h.address != "" || h.masked) && h.name != "" {
		rest := bytes.TrimLeft(t[k:], " ")
		o := from + len(t) - len(rest)
		const liked = "did not like our "
		switch {
		case bytes.HasPrefix(rest, []byte(liked)):
			it.Refuser = f.mention(Refuser, h, from, from+k)
			it.Stage = replyStage(rest[len(liked):])
			if c := bytes.Index(rest, []byte(": ")); c > 0 {
				o += c + 2
			}
		case len(rest) > 0 && rest[0] == ':':
			// The old form: "R [ip]: REPLY".
			it.Refuser = f.mention(Refuser, h, from, from+k)
			o++
		default:
			return
		}
		if rep, ok := f.reply(o, to); ok {
			it.Reply = rep
		} else {
			it.Reply = transcript.Reply{Lines: []string{string(bytes.TrimSpace(f.text[o:to]))}, Span: f.span(o, to)}
		}
		return
	}
	const login = "SMTP login to "
	if bytes.HasPrefix(t, []byte(login)) && bytes.Contains(t, []byte(" failed")) {
		o := from + len(login)
		if h, k := hostAt(f.text[o:to]); k > 0 {
			it.Refuser = f.mention(Refuser, h, o, o+k)
			it.Stage, it.FaultSpan = transcript.StageAuth, f.span(from, to)
			return
		}
	}
	if n := bytes.Index(t, []byte("host ")); n >= 0 && bytes.Contains(t, []byte("not found")) {
		o := from + n + len("host ")
		it.Fault, it.Stage, it.FaultSpan = transcript.FaultDNS, transcript.StageResolve, f.span(from, to)
		if h, k := hostAt(f.text[o:to]); k > 0 {
			it.Target = f.mention(Target, h, o, o+k)
		}
		return
	}
	if bytes.Contains(t, []byte("Giving up")) || bytes.Contains(t, []byte("Could not deliver for the last")) {
		it.Expired, it.LocalOnlyExpiry = true, true
		return
	}
	if rep, ok := f.reply(from, to); ok && rep.Code != 0 {
		it.Reply = rep
		return
	}
	if it.Fault, it.Stage = faultAndStage(t); it.Fault != transcript.FaultNone {
		it.FaultSpan = f.span(from, to)
		it.LocalOnlyExpiry = true
		return
	}
	local(f, from, to, it)
}

// openSMTPDText reads lines "r: REPLY" and "r: reason": no host but in fields.
func openSMTPDText(r *report) {
	for i := r.b.First; i < min(r.last, r.body); i++ {
		l, at := r.line(i)
		a, n := mailboxAt(l)
		if n == 0 || n >= len(l) || l[n] != ':' {
			continue
		}
		it := r.item(a)
		end := i
		for end+1 < r.last {
			m, _ := r.line(end + 1)
			if len(m) == 0 {
				break
			}
			if _, k := mailboxAt(m); k > 0 && k < len(m) && m[k] == ':' {
				break
			}
			end++
		}
		f := r.doc.flow(at+n+1, r.doc.LineEnd(end))
		i = end
		if rep, ok := f.reply(0, len(f.text)); ok {
			it.Reply = rep
			continue
		}
		fault, stage := faultAndStage(f.text)
		switch {
		case foldIndexIn(f.text, "domain does not exist") >= 0:
			fault, stage = transcript.FaultDNS, transcript.StageResolve
		case foldIndexIn(f.text, "expired") >= 0:
			it.Expired, it.LocalOnlyExpiry = true, true
		}
		if fault != transcript.FaultNone {
			it.Fault, it.Stage, it.FaultSpan = fault, stage, f.span(0, len(f.text))
			it.LocalOnlyExpiry = true
			continue
		}
		it.LocalReply = transcript.Reply{Lines: []string{string(f.text)}, Span: f.span(0, len(f.text))}
	}
}

// messagingServerText reads the labelled blocks of MessagingServer and iCloud.
//
//	Recipient address: r
//	Reason: …
//	Diagnostic code: smtp;REPLY
//	Remote system: dns;R (TCP|src|port|dst|25) (banner)
func messagingServerText(r *report) {
	var it *Item
	for i := r.b.First; i < min(r.last, r.body); i++ {
		l, at := r.line(i)
		switch {
		case foldPrefix(l, "recipient address:"):
			if a, _, _ := findMailbox(l); a != "" {
				it = r.item(a)
			}
		case it == nil:
		case foldPrefix(l, "original address:"):
			if a, _, _ := findMailbox(l); a != "" && a != it.Recipient {
				it.Original = a
			}
		case foldPrefix(l, "diagnostic code:"):
			f := r.doc.flow(at+len("diagnostic code:"), r.foldedEnd(i))
			kind, g := diagnosticType(f)
			if rep, ok := g.reply(0, len(g.text)); ok && !isLocalKind(kind) {
				it.Reply = rep
				if !it.Target.IsZero() {
					it.Refuser, it.Target = it.Target, Mention{}
					it.Refuser.Role = Refuser
				}
			}
		case foldPrefix(l, "remote system:"):
			f := r.doc.flow(at+len("remote system:"), r.foldedEnd(i))
			if h, k := hostAt(f.text); k > 0 {
				it.Port = h.port
				if it.Reply.IsZero() {
					it.Target = f.mention(Target, h, 0, k)
				} else {
					it.Refuser = f.mention(Refuser, h, 0, k)
				}
			}
		case foldPrefix(l, "reason:") && it.Reply.IsZero():
			f := r.doc.flow(at+len("reason:"), at+len(l))
			it.Fault, it.Stage = faultAndStage(f.text)
			it.FaultSpan = f.span(0, len(f.text))
		}
	}
}

// foldedEnd is the end of a line with the lines indented deeper below it.
func (r *report) foldedEnd(i int) int {
	indent := func(k int) int {
		l := r.doc.Line(k)
		return len(l) - len(bytes.TrimLeft(l, " \t"))
	}
	end := i
	for end+1 < r.last && end-i < 20 {
		if l, _ := r.line(end + 1); len(l) == 0 || indent(end+1) <= indent(i) && l[0] != '(' {
			break
		}
		end++
	}
	return r.doc.LineEnd(end)
}

// courierText reads Courier: "<r>:", the host, then ">>>" and "<<<".
func courierText(r *report) {
	if m := r.find(signCourier); m != nil {
		r.reporter = r.hostBehind(m, Reporter)
	}
	var it *Item
	command := ""
	for i := r.b.First; i < min(r.last, r.body); i++ {
		l, at := r.line(i)
		if len(l) == 0 {
			continue
		}
		if a, n := mailboxAt(l); n > 0 && n < len(l) && l[n] == ':' && l[0] == '<' {
			it, command = r.item(a), ""
			continue
		}
		switch {
		case it == nil:
		case bytes.HasPrefix(l, []byte(">>> ")):
			command = string(l[4:])
		case bytes.HasPrefix(l, []byte("<<< ")):
			end := i
			text := append([]byte(nil), l[4:]...)
			for end+1 < r.last {
				m, _ := r.line(end + 1)
				if !bytes.HasPrefix(m, []byte("<<< ")) {
					break
				}
				text = append(append(text, '\n'), m[4:]...)
				end++
			}
			rep, ok := transcript.ParseReply(string(text))
			if !ok {
				rep = transcript.Reply{Lines: []string{string(text)}}
			}
			rep.Span = r.b.span(at+4, r.doc.LineEnd(end))
			i = end
			if rep.Code == 503 || isEchoReply(rep) {
				continue
			}
			if it.Refuser.IsZero() && rep.Code == 0 {
				it.LocalReply = rep // Courier's own words, printed the same way
				it.Fault, it.Stage = faultAndStage(text)
				continue
			}
			it.Reply = rep
			it.Stage = transcript.StageOf(command)
			if command == "" {
				it.Stage = transcript.StageGreet
			}
			if it.Stage == transcript.StageData {
				if s := rep.Stage(); s == transcript.StageEnvelope || s == transcript.StageTLS {
					it.Stage = s // pipelined
				}
			}
		default:
			// The host and its address, in a line or wrapped between them.
			f := r.doc.flow(at, r.doc.LineEnd(min(i+1, r.last-1)))
			if h, k := hostAt(f.text); k > 0 && (h.address != "" || h.masked) && k < len(f.text) && f.text[k] == ':' && it.Refuser.IsZero() {
				it.Refuser = f.mention(Refuser, h, 0, k)
			}
		}
	}
	if it != nil && it.Reply.IsZero() && !it.Refuser.IsZero() {
		it.Target, it.Refuser = asTarget(it.Refuser), Mention{}
	}
}

// dominoText reads Domino and Notes.
//
//	was not delivered to:
//	  r
//	because:
//	  Error transferring to R; …
func dominoText(r *report) {
	m := r.find(signDomino)
	if m == nil {
		return
	}
	var listed []*Item
	because := false
	for i := int(m.line) + 1; i < min(r.last, r.body); i++ {
		l, at := r.line(i)
		if n := dominoLabel(l); n > 0 {
			// Notes shows the reason beside the label.
			because = true
			n += skipBlanks(l[n:], 0)
			l, at = l[n:], at+n
		}
		switch {
		case len(l) == 0:
		case because:
			f := r.doc.flow(at, r.paragraphEnd(i, 12))
			for _, it := range listed {
				dominoReason(r, &f, it)
			}
			return
		default:
			if a, _, _ := findMailbox(l); a != "" {
				listed = append(listed, r.item(a))
			}
		}
	}
}

// dominoLabels stand before the reason, in the languages of Notes.
var dominoLabels = []string{"because:", "weil:", "grund:", "aus folgendem grund:", "parce que:", "parce que :", "motif:", "motif :", "porque:", "debido a:", "perché:", "omdat:"}

// dominoLabel is the length of the label that a line begins with.
func dominoLabel(l []byte) int {
	for _, w := range dominoLabels {
		if foldPrefix(l, w) {
			return len(w)
		}
	}
	return 0
}

func dominoReason(r *report, f *flow, it *Item) {
	t := f.text
	for _, lead := range []string{"Error transferring to ", "SMTP Protocol Returned a Permanent Error ", "Remote system response: "} {
		n := f.find(lead, 0)
		if n < 0 {
			continue
		}
		o := n + len(lead)
		if h, k := hostAt(t[o:]); k > 0 && lead[0] == 'E' {
			m := f.mention(Target, h, o, o+k)
			o += k
			for o < len(t) && (t[o] == ';' || t[o] == ' ') {
				o++
			}
			if s := f.find("Returned a Permanent Error ", o); s >= 0 {
				o = s + len("Returned a Permanent Error ")
			}
			if rep, ok := f.reply(o, len(t)); ok && rep.Code != 0 {
				r.refused(it, rep, m)
				return
			}
			if fault, stage := faultAndStage(t[min(o, len(t)):]); fault != transcript.FaultNone {
				it.Fault, it.Stage, it.FaultSpan = fault, stage, f.span(0, len(t))
				it.Target = m
				return
			}
			continue
		}
		if rep, ok := f.reply(o, len(t)); ok {
			it.Reply = rep
			return
		}
	}
	if rep, ok := f.reply(0, len(t)); ok && rep.Code >= 400 {
		it.Reply = rep // of a server that only the fields name
		return
	}
	it.LocalReply = transcript.Reply{Lines: []string{string(t)}, Span: f.span(0, len(t))}
}

// mimecastText reads Mimecast's prose: "-- r", "The problem appears to be :",
// "-- reason".
func mimecastText(r *report) {
	problem := false
	for i := r.b.First; i < min(r.last, r.body); i++ {
		l, at := r.line(i)
		switch {
		case foldIndexIn(l, "the problem appears to be") >= 0:
			problem = true
		case bytes.HasPrefix(l, []byte("-- ")):
			if a, n := mailboxAt(l[3:]); n > 0 && !problem {
				r.item(a)
			} else if problem && r.onlyItem() != nil {
				f := r.doc.flow(at+3, at+len(l))
				it := r.onlyItem()
				if rep, ok := f.reply(0, len(f.text)); ok && (it.Reply.IsZero() || rep.Code != 0) {
					it.Reply = rep
				} else if it.LocalReply.IsZero() {
					it.LocalReply = transcript.Reply{Lines: []string{string(f.text)}, Span: f.span(0, len(f.text))}
				}
			}
		}
	}
}

// portalText reads what people copy from the service's portal: the relay holds
// the mail, and its name does not stand there. Hosts behind "connect to" are
// later hops.
func portalText(r *report) {
	r.format = "ppe-portal"
	it := Item{FromReport: true}
	status := func(v []byte) {
		switch {
		case foldPrefix(v, "deferred"), foldPrefix(v, "queued"):
			it.Deferred = true
			it.Action = ActionDelayed
		case foldPrefix(v, "delivered"):
			it.Action = ActionDelivered
		}
	}
	// Labels alone, from the first line on, look like the header of a mail.
	if v := bytes.TrimSpace(r.b.Header("status")); len(v) > 0 {
		status(v)
		it.Recipient, _, _ = findMailbox(r.b.Header("to"))
		it.Sender, _, _ = findMailbox(r.b.Header("from"))
		it.When = parseTime(bytes.TrimSpace(r.b.Header("timestamp")))
	}
	for i := r.b.First; i < r.last; i++ {
		l, at := r.line(i)
		switch {
		case foldPrefix(l, "status:"):
			status(bytes.TrimSpace(l[len("status:"):]))
		case foldPrefix(l, "recipient:"), foldPrefix(l, "to:"):
			if a, _, _ := findMailbox(l); a != "" {
				it.Recipient = a
			}
		case foldPrefix(l, "sender:"), foldPrefix(l, "from:"):
			if a, _, _ := findMailbox(l); a != "" {
				it.Sender = a
			}
		case foldPrefix(l, "timestamp:"):
			it.When = parseTime(l[len("timestamp:"):])
		case foldPrefix(l, "last delivery response:"):
			v := r.labelValue(i, at+len("last delivery response:"))
			if v.end > v.start {
				f := r.doc.flow(v.start, v.end)
				postfixReason(&f, 0, len(f.text), &it)
			}
		}
	}
	if it.Action == ActionUnstated && it.Reply.Class() == 2 {
		it.Action = ActionDelivered
	}
	if it.Carrier.IsZero() {
		// The labels are the relay's own: it took the mail.
		if m := r.find(signPortal); m != nil {
			it.Carrier = Mention{Host: transcript.RelayDomain, Role: Received, Span: r.b.span(r.doc.LineStart(int(m.line)), int(m.at))}
		}
	}
	r.items = append(r.items, it)
}

// surfControlText reads "r: [ip], REPLY".
func surfControlText(r *report) {
	for i := r.b.First; i < min(r.last, r.body); i++ {
		l, at := r.line(i)
		a, n := mailboxAt(l)
		if n == 0 || n+3 > len(l) || l[n] != ':' || l[n+2] != '[' {
			continue
		}
		it := r.item(a)
		if h, k := hostAt(l[n+2:]); k > 0 {
			f := r.doc.flow(at+n+2+k, r.paragraphEnd(i, 4))
			o := 0
			for o < len(f.text) && (f.text[o] == ',' || f.text[o] == ' ') {
				o++
			}
			if rep, ok := f.reply(o, len(f.text)); ok {
				it.Reply = rep
				it.Refuser = r.b.mention(Refuser, h, at+n+2, at+n+2+k)
			}
		}
	}
}
