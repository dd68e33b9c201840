package ndr

import (
	"bytes"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// sendmailText reads Sendmail's report and its kin: the list of addresses with
// their reasons, then the transcript of the sessions.
//
//	   ----- The following addresses had permanent fatal errors -----
//	<r>
//	    (reason: 550 5.7.1 <r>... Relaying denied)
//	   ----- Transcript of session follows -----
//	... while talking to R.:
//	>>> RCPT To:<r>
//	<<< 550 5.7.1 <r>... Relaying denied
func sendmailText(r *report) {
	transcriptAt := r.last
	for i := range r.marks {
		if m := &r.marks[i]; m.sign == signSendmailTranscript || m.sign == signTalking {
			transcriptAt = int(m.line)
			break
		}
	}
	for i := range r.marks {
		m := &r.marks[i]
		if m.sign != signSendmailAddresses && !(m.sign == signDelay && bytes.Contains(r.doc.Line(int(m.line)), []byte("addresses had"))) {
			continue
		}
		r.sendmailAddresses(int(m.line)+1, min(r.last, r.sendmailStop(int(m.line)+1, transcriptAt)))
	}
	tries := r.sendmailTries(transcriptAt)
	r.sendmailUnmarked(transcriptAt)
	for i := range r.items {
		it := &r.items[i]
		applyTries(it, tries)
		if it.Original != "" {
			// The address that was written to is Sendmail's Final-Recipient; the
			// one that it stands for is only its X-Actual-Recipient.
			it.Recipient = it.Original
		}
	}
}

// sendmailStop is the line where the list of addresses ends: the transcript, or
// the fields.
func (r *report) sendmailStop(from, transcriptAt int) int {
	stop := min(r.body, r.last)
	if transcriptAt >= from {
		stop = min(stop, transcriptAt)
	}
	return stop
}

// sendmailAddresses reads the list: an address, then lines in parentheses or
// brackets.
func (r *report) sendmailAddresses(first, last int) {
	var it *Item
	for i := first; i < last; i++ {
		l, at := r.line(i)
		if len(l) == 0 {
			continue
		}
		if i == first && bytes.HasSuffix(l, []byte("---")) && !bytes.ContainsAny(l, "@(") {
			continue // the end of the heading, wrapped
		}
		if s, _ := signAt(r.doc.Line(i)); s == signSeparator || bytes.HasPrefix(l, []byte("--")) {
			return
		}
		switch {
		case l[0] == '(' && it != nil:
			end := i
			for end+1 < last && l[len(l)-1] != ')' && end-i < 10 {
				if l, _ = r.line(end + 1); len(l) == 0 || l[0] == '(' || l[0] == '<' && l[len(l)-1] == '>' {
					break // the next address; one with words behind it is the reason's, wrapped
				}
				end++
			}
			f := r.doc.flow(at+1, r.doc.LineEnd(end))
			sendmailParenthesis(&f, it)
			i = end
			continue
		}
		lead := 0
		for lead < len(l) && (l[lead] == '>' || l[lead] == ' ' || l[lead] == '*') {
			lead++
		}
		a, n := mailboxAt(l[lead:])
		if n == 0 {
			if it == nil || r.doc.Line(i)[0] == '<' || l[0] == '"' {
				// A pipe or a local name: the address is in "expanded from", in
				// the fields, or nowhere.
				word := strings.Trim(strings.ToLower(string(l)), "<>")
				if word != "" && !strings.ContainsAny(word, " |\"/;") && len(word) < 65 {
					it = r.item(word)
				} else {
					it = r.item("")
				}
			}
			continue
		}
		rest := bytes.TrimSpace(l[lead+n:])
		it = r.item(a)
		if len(rest) > 1 && (rest[0] == '(' || rest[0] == '[') {
			// McAfee: <r>   (REPLY); X1: r [words]
			o := at + bytes.IndexByte(l[lead+n:], rest[0]) + lead + n + 1
			end := at + len(l)
			closing := closingOf(rest[0])
			closed := rest[len(rest)-1] == closing
			if !closed && i+1 < last {
				if m, at := r.line(i + 1); len(m) > 0 && m[len(m)-1] == closing {
					i++ // wrapped before it closed
					end, closed = at+len(m), true
				}
			}
			if closed {
				end--
			}
			f := r.doc.flow(o, max(end, o))
			reason := f.text
			if rest[0] == '(' && foldPrefix(reason, "reason:") {
				sendmailParenthesis(&f, it)
				continue
			}
			if rep, ok := f.reply(0, len(reason)); ok {
				it.Reply = rep
			} else if len(reason) > 0 {
				it.LocalReply = transcript.Reply{Lines: []string{string(reason)}, Span: f.span(0, len(reason))}
			}
		}
	}
}

// sendmailParenthesis reads "reason: …)" and "expanded from: <o>)".
func sendmailParenthesis(f *flow, it *Item) {
	n := len(f.text)
	if n > 0 && f.text[n-1] == ')' {
		n--
	}
	switch {
	case foldPrefix(f.text, "reason: "):
		if sendmailFound(f, len("reason: "), n, it) {
			return
		}
		if rep, ok := f.reply(len("reason: "), n); ok {
			if sendmailTLS(&rep) {
				it.Stage, it.LocalReply, it.LocalOnlyExpiry = transcript.StageTLS, rep, true
				return
			}
			it.Reply = rep
			return
		}
		reason := f.text[min(len("reason: "), n):n]
		if len(bytes.TrimSpace(reason)) == 0 {
			return
		}
		fault, stage := faultAndStage(reason)
		if fault != transcript.FaultNone {
			it.Fault, it.Stage, it.FaultSpan = fault, stage, f.span(0, n)
			return
		}
		it.LocalReply = transcript.Reply{Lines: []string{string(reason)}, Span: f.span(len("reason: "), n)}
	case foldPrefix(f.text, "expanded from: "):
		if a, _, _ := findMailbox(f.text[:n]); a != "" {
			it.Original = a
		}
	}
}

// sendmailTLS reports whether a reply is Sendmail's own: its ruleset tls_server
// did not like the server's TLS, or that it had none.
func sendmailTLS(r *transcript.Reply) bool {
	if r.Code/100 != 4 || !strings.HasPrefix(r.Enhanced, "4.7.") {
		return false
	}
	text := r.Text()
	return strings.HasSuffix(text, "4.7.0 authentication failed") || text == "authentication failed" || strings.Contains(text, "TLS handshake failed") ||
		strings.Contains(text, "encryption too weak") || strings.Contains(text, "does not support STARTTLS")
}

// sendmailTry is one "while talking to" with what was said.
type sendmailTry struct {
	host    Mention
	command string
	reply   transcript.Reply
	stage   transcript.Stage
	echo    bool // an answer that follows from an earlier one
}

// sendmailTries reads the ">>>" and "<<<" lines: each refusal with its host and
// the command above it.
func (r *report) sendmailTries(from int) []sendmailTry {
	var tries []sendmailTry
	var host Mention
	command := ""
	for i := from; i < r.last; i++ {
		l, at := r.line(i)
		if len(l) < 4 {
			continue
		}
		switch l[0] {
		case '.', 'w', 'W':
			n := foldIndexIn(l, "while talking to")
			if n < 0 {
				continue
			}
			o := n + len("while talking to")
			command = ""
			if rest := bytes.TrimSpace(l[o:]); len(rest) == 0 && i+1 < r.last {
				// Wrapped before the name.
				i++
				l, at = r.line(i)
				o = 0
			}
			for o < len(l) && l[o] == ' ' {
				o++
			}
			if h, k := hostAt(l[o:]); k > 0 {
				host = r.b.mention(Refuser, h, at+o, at+o+k)
			}
		case '>':
			if bytes.HasPrefix(l, []byte(">>> ")) {
				command = string(l[4:])
			}
		case '<':
			if !bytes.HasPrefix(l, []byte("<<< ")) {
				continue
			}
			// All lines of one reply.
			end := i
			code := l[4:min(7, len(l))]
			for len(l) > 7 && l[7] == '-' && end+1 < r.last {
				m, _ := r.line(end + 1)
				if !bytes.HasPrefix(m, []byte("<<< ")) || !bytes.HasPrefix(m[4:], code) {
					break
				}
				l, end = m, end+1
			}
			text := make([]byte, 0, 256)
			for k := i; k <= end; k++ {
				m, _ := r.line(k)
				text = append(append(text, m[4:]...), '\n')
			}
			rep, ok := transcript.ParseReply(string(text))
			if !ok {
				rep = transcript.Reply{Lines: []string{strings.TrimSpace(string(text))}}
			}
			rep.Span = r.b.span(at+4, r.doc.LineEnd(end))
			i = end
			if rep.Code != 0 && rep.Code < 400 {
				continue
			}
			t := sendmailTry{host: host, command: command, reply: rep}
			switch {
			case rep.Code == 503 || rep.Code == 221 || isEchoReply(rep):
				t.echo = true
			case command == "":
				t.stage = transcript.StageGreet
			default:
				t.stage = transcript.StageOf(command)
			}
			if t.stage == transcript.StageData {
				// A reply directly under DATA may answer the RCPT before it:
				// the commands were sent in one group.
				if s := rep.Stage(); s == transcript.StageEnvelope || s == transcript.StageTLS || s == transcript.StageAuth {
					t.stage = s
				}
			}
			tries = append(tries, t)
			if len(tries) > 10_000 {
				r.limited = true
				return tries
			}
		}
	}
	return tries
}

// isEchoReply reports whether a reply follows from an earlier refusal: no
// recipients are left.
func isEchoReply(rep transcript.Reply) bool {
	if rep.Code != 554 && rep.Code != 421 && rep.Code != 451 {
		return false
	}
	text := strings.ToLower(rep.Text())
	return strings.Contains(text, "no valid recipients") || strings.Contains(text, "too many errors")
}

// applyTries gives an item the answer that decided: the one that its reason
// repeats, else the last one that names it, else the last.
func applyTries(it *Item, tries []sendmailTry) {
	best := -1
	rank := 0
	for i := range tries {
		t := &tries[i]
		if t.echo {
			continue
		}
		k := 1
		if it.Recipient != "" && (strings.Contains(strings.ToLower(t.command), it.Recipient) || namesRecipient(t.reply, it.Recipient)) {
			k = 3
		}
		if !it.Reply.IsZero() && t.reply.Code == it.Reply.Code && len(t.reply.Lines) > 0 && len(it.Reply.Lines) > 0 && samePrefix(t.reply.Lines[0], it.Reply.Lines[0]) {
			k += 3
		}
		if k >= rank {
			best, rank = i, k
		}
	}
	if best < 0 {
		return
	}
	t := &tries[best]
	for i := range tries[:best] {
		// A login that failed is the cause, though the client went on without.
		if a := &tries[i]; !a.echo && a.stage == transcript.StageAuth && a.reply.Class() == 5 && a.host.Host == t.host.Host && t.stage != transcript.StageAuth {
			t = a
			it.Reply = transcript.Reply{}
			break
		}
	}
	if it.Reply.IsZero() || rank >= 3 {
		if it.Reply.Code == 0 || t.reply.Code == it.Reply.Code || rank >= 4 {
			it.Reply = t.reply
		}
	} else if t.reply.Code != it.Reply.Code {
		return
	}
	it.Stage = t.stage
	it.Fault = transcript.FaultNone
	it.LocalReply = transcript.Reply{}
	if !t.host.IsZero() {
		it.Refuser = t.host
		it.Target = Mention{}
	}
}

func namesRecipient(rep transcript.Reply, recipient string) bool {
	for _, l := range rep.Lines {
		if strings.Contains(strings.ToLower(l), recipient) {
			return true
		}
	}
	return false
}

// samePrefix compares two texts of which one may be cut ("plea...tions").
func samePrefix(a, b string) bool {
	n := min(len(a), len(b), 40)
	return n > 0 && a[:n] == b[:n]
}

// sendmailUnmarked reads the lines without marks below the transcript: G's own
// summaries, which name recipients (version 5 has no other list) and targets.
//
//	550 5.1.1 <r>... User unknown
//	<r>... Deferred: Connection refused by T.
//	451 4.4.1 reply: read error from T.
//	554 <r>... 550 Host unknown
func (r *report) sendmailUnmarked(from int) {
	listed := len(r.items) > 0
	for i := from; i < min(r.last, r.body); i++ {
		l, at := r.line(i)
		if len(l) < 5 || l[0] == '>' || bytes.HasPrefix(l, []byte("<<<")) || bytes.HasPrefix(l, []byte("...")) {
			continue
		}
		if foldPrefix(l, "message could not be delivered for") {
			for k := range r.items {
				r.items[k].Expired = true
			}
			continue
		}
		dots := bytes.Index(l, []byte("... "))
		if dots < 0 {
			// Kin print the reply alone.
			if len(r.items) == 1 && r.items[0].Reply.IsZero() && !r.items[0].LocalOnlyExpiry && isDigit(l[0]) {
				end := i
				for end+1 < min(r.last, r.body) && end-i < 6 && r.goesOnUnmarked(end+1) {
					end++
				}
				f := r.doc.flow(at, r.doc.LineEnd(end))
				if sendmailFound(&f, 0, len(f.text), &r.items[0]) {
					continue
				}
				if rep, ok := f.reply(0, len(f.text)); ok && rep.Code >= 400 && !isSummary(rep) {
					r.items[0].Reply = rep
				}
			}
			if c := statusCode(l[min(4, len(l)):]); c != "" && isDigit(l[0]) {
				for k := range r.items {
					if r.items[k].Status == "" && r.items[k].Reply.Enhanced == "" {
						r.items[k].Status = c
					}
				}
			}
			continue
		}
		head := l[:dots]
		o := 0
		if len(head) > 4 && isDigit(head[0]) && isDigit(head[1]) && isDigit(head[2]) {
			o = 4
			if c := statusCode(head[o:]); c != "" {
				o += len(c)
			}
			for o < len(head) && head[o] == ' ' {
				o++
			}
		}
		a, n := mailboxAt(head[o:])
		if n == 0 && !listed {
			continue
		}
		end := i
		for end+1 < min(r.last, r.body) && end-i < 6 && r.goesOnUnmarked(end+1) {
			end++
		}
		f := r.doc.flow(at+dots+len("... "), r.doc.LineEnd(end))
		var it *Item
		switch {
		case n > 0 && (!listed || r.known(a)):
			it = r.item(a)
		case len(r.items) == 1:
			it = &r.items[0]
		default:
			continue
		}
		if it.Status == "" {
			it.Status = statusCode(l[min(4, len(l)):])
		}
		if deferredBy(&f, it) || !it.Reply.IsZero() {
			continue
		}
		if rep, ok := f.reply(0, len(f.text)); ok && rep.Code != 0 {
			// "554 <r>... 550 Host unknown": the inner code is the reason.
			it.LocalReply = rep
		}
		// G's own words: "554 <r>... 550 Host unknown (Authoritative …)".
		if !listed || it.LocalReply.IsZero() && it.Fault == transcript.FaultNone {
			g := r.doc.flow(at, r.doc.LineEnd(end))
			fault, stage := sendmailFault(f.text)
			if fault != transcript.FaultNone {
				it.Fault, it.Stage, it.FaultSpan = fault, stage, f.span(0, len(f.text))
			}
			if rep, ok := g.reply(0, len(g.text)); ok && it.LocalReply.IsZero() {
				it.LocalReply = rep
			}
		}
	}
}

// goesOnUnmarked reports whether a line is the wrapped rest of an unmarked line.
func (r *report) goesOnUnmarked(i int) bool {
	l, _ := r.line(i)
	switch {
	case len(l) == 0, l[0] == '>', l[0] == '<', l[0] == '.', l[0] == '-':
		return false
	case len(l) > 3 && isDigit(l[0]) && isDigit(l[1]) && isDigit(l[2]) && l[3] == ' ':
		return false
	}
	return !foldPrefix(l, "message ") && !foldPrefix(l, "warning") && !bytes.Contains(l, []byte("... "))
}

// isSummary reports whether a reply is one of the summaries that Sendmail ends
// a transcript with.
func isSummary(rep transcript.Reply) bool {
	text := rep.Text()
	return text == "Service unavailable" || text == "Data format error"
}

// sendmailFault are the faults in Sendmail's own summaries.
func sendmailFault(t []byte) (transcript.Fault, transcript.Stage) {
	switch {
	case foldIndexIn(t, "host unknown") >= 0, foldIndexIn(t, "host name lookup failure") >= 0, foldIndexIn(t, "name server") >= 0:
		return transcript.FaultDNS, transcript.StageResolve
	case foldIndexIn(t, "connection timed out") >= 0:
		return transcript.FaultTimeout, transcript.StageConnect
	case foldIndexIn(t, "connection refused") >= 0:
		return transcript.FaultRefused, transcript.StageConnect
	case foldIndexIn(t, "connection reset") >= 0:
		return transcript.FaultReset, ""
	}
	return transcript.FaultNone, ""
}

// sendmailOwn are the words that Sendmail itself says in the shape of a reply
// when the server said nothing: "451 4.4.1 reply: read error from T.". The host
// stands behind them.
var sendmailOwn = []struct {
	words string
	fault transcript.Fault
	stage transcript.Stage
}{
	{"reply: read error from ", transcript.FaultClosed, ""},
	{"timeout waiting for input from ", transcript.FaultTimeout, ""},
	{"connection reset by ", transcript.FaultReset, ""},
	{"broken pipe with ", transcript.FaultReset, ""},
	{"broken pipe by ", transcript.FaultReset, ""},
	{"connection timed out with ", transcript.FaultTimeout, transcript.StageConnect},
	{"operation timed out with ", transcript.FaultTimeout, transcript.StageConnect},
	{"connection refused by ", transcript.FaultRefused, transcript.StageConnect},
	{"no route to host with ", transcript.FaultTimeout, transcript.StageConnect},
	{"network is unreachable with ", transcript.FaultTimeout, transcript.StageConnect},
	{"name server: ", transcript.FaultDNS, transcript.StageResolve},
}

// sendmailFound reads such words as the fault that they are. It reports false
// when the text is something else.
func sendmailFound(f *flow, from, to int, it *Item) bool {
	t := f.text[from:to]
	if len(t) > 400 {
		return false
	}
	for _, w := range sendmailOwn {
		n := foldIndexIn(t, w.words)
		if n < 0 {
			continue
		}
		o := n + len(w.words)
		h, k := hostAt(t[o:])
		if k == 0 || !looksLikeHost([]byte(h.name)) && h.address == "" {
			return false
		}
		it.Target = f.mention(Target, h, from+o, from+o+k)
		it.Fault, it.Stage, it.FaultSpan = w.fault, w.stage, f.span(from, to)
		if d := bytes.Index(t[o+k:], []byte("during client ")); d >= 0 {
			it.Stage = replyStage(t[o+k+d+len("during client "):])
		}
		if it.Stage == "" {
			// It does not say where in the dialogue, before the greeting or
			// behind the final dot: only its log knows.
			it.Fault, it.LocalOnlyExpiry = transcript.FaultNone, true
			it.LocalReply = transcript.Reply{Lines: []string{string(t)}, Span: it.FaultSpan}
		}
		return true
	}
	return false
}

// deferredBy reads "Deferred: Connection refused by T." and its kin.
func deferredBy(f *flow, it *Item) bool {
	if !foldPrefix(f.text, "deferred") && foldIndexIn(f.text, " with ") < 0 && foldIndexIn(f.text, "name server: ") < 0 {
		return false
	}
	fault, stage := sendmailFault(f.text)
	if foldPrefix(f.text, "deferred: temporary auth failure") && it.Reply.IsZero() && it.Fault == transcript.FaultNone {
		// Sendmail's own words, also when no mechanism that it has is offered.
		it.FaultSpan = f.span(0, len(f.text))
		it.Stage, it.LocalOnlyExpiry = transcript.StageAuth, true
		it.LocalReply = transcript.Reply{Lines: []string{string(f.text)}, Span: it.FaultSpan}
		return true
	}
	if n := foldIndexIn(f.text, ": no route to host"); n > 0 && fault == transcript.FaultNone {
		fault, stage = transcript.FaultTimeout, transcript.StageConnect
		const lead = "deferred: "
		if h, k := hostAt(f.text[min(len(lead), n):]); k > 0 && looksLikeHost([]byte(h.name)) && it.Reply.IsZero() {
			it.Target = f.mention(Target, h, len(lead), len(lead)+k)
		}
	}
	if fault == transcript.FaultNone {
		// "Deferred: 450 4.7.1 …" repeats the answer.
		return false
	}
	it.FaultSpan = f.span(0, len(f.text))
	for _, lead := range []string{" by ", " with ", "ame server: "} {
		n := f.find(lead, 0)
		if n < 0 {
			continue
		}
		o := n + len(lead)
		if h, k := hostAt(f.text[o:]); k > 0 {
			if it.Reply.IsZero() {
				it.Target = f.mention(Target, h, o, o+k)
			}
			break
		}
	}
	if it.Reply.IsZero() && it.Fault == transcript.FaultNone && !it.LocalOnlyExpiry {
		if stage == "" {
			it.LocalOnlyExpiry = true
			it.LocalReply = transcript.Reply{Lines: []string{string(f.text)}, Span: it.FaultSpan}
			return true
		}
		it.Fault, it.Stage = fault, stage
	}
	return true
}
