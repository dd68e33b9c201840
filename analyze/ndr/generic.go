package ndr

import (
	"bytes"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// recipientLabels are words behind which a report names a recipient, in lower
// case, at the beginning of a line.
var recipientLabels = []string{
	"recipient address:", "recipient:", "recipients:", "rcpt to:", "addressed to:", "delivered to:",
	"could not be delivered to:", "failed recipient:", "failed recipients:", "to address:", "address:", "unknown user:", "user unknown:",
	"the following recipients returned permanent errors:", "the following recipient returned permanent errors:",
	"did not reach the following recipient:", "your message to:", "your message to ", "message to ", "mail to ",
	"delivery to ", "the following message to ", "your email to group ",
	"the following address failed:", "empfänger:", "destinataire :", "destinatario:", "email address:", "e-mail address:",
	"kein empfänger:", "an:", "to:",
}

// sentenceLeads are words in the middle of a sentence behind which a recipient
// stands.
var sentenceLeads = []string{
	"wasn't delivered to ", "was not delivered to ", "couldn't be delivered to ", "could not be delivered to ", "problem delivering your message to ",
	"delivering your mail to ", "unable to deliver your message to ", "delivery to ", "unknown user: ", "user unknown: ", "no such user: ",
	"member of this mailing list ", "returned permanent errors: ", "gateway for ",
}

// genericText reads what no family's words open: recipients from labelled,
// indented or bracketed lines of the report part, replies wherever they stand.
func genericText(r *report) {
	r.genericRecipients()
	r.genericReplies()
	if len(r.items) == 1 && r.items[0].Status == "" && r.items[0].Reply.IsZero() {
		r.items[0].Status = r.statedCode()
	}
}

// statedCode is an enhanced code that the prose names as such: "error code
// 5.1.1", "type 5.2.2".
func (r *report) statedCode() string {
	for i := r.b.First; i < min(r.last, r.body); i++ {
		l, _ := r.line(i)
		for _, word := range []string{"code ", "type ", "status ", "error ", "#"} {
			n := foldIndexIn(l, word)
			if n < 0 {
				continue
			}
			if c := statusCode(l[n+len(word):]); c != "" {
				return c
			}
		}
	}
	return ""
}

// skipLine reports whether a line belongs to fields, boundaries or contact
// advice, where addresses are nobody's recipients.
func skipLine(l []byte) bool {
	if bytes.HasPrefix(l, []byte("--")) && bytes.IndexByte(l, ' ') < 0 {
		return true
	}
	for _, w := range []string{"please contact", "for further assistance", "for assistance", "please send", "if you require", "contact us", "help@", "support@", "mailto:"} {
		if foldIndexIn(l, w) >= 0 {
			return true
		}
	}
	for _, w := range []string{"from:", "reply-to:", "sender:", "original sender:", "mail from:", "message-id:", "message id:", "cc:", "subject:", "content-", "received:", "x-", "return-path:", "date:", "sent date:", "references:", "in-reply-to:"} {
		if l[0]|0x20 == w[0] && foldPrefix(l, w) {
			return true
		}
	}
	return false
}

func (r *report) genericRecipients() {
	last := min(r.last, r.b.Last)
	fields := false
	named := false // by a label or in a sentence: addresses that stand alone below are advice
	for i := r.b.First; i < last; i++ {
		l, _ := r.line(i)
		if len(l) < 3 || bytes.IndexByte(l, '@') < 0 || skipLine(l) {
			continue
		}
		if s, _ := signAt(r.doc.Line(i)); s != signNone && s < signField {
			fields = true
			continue
		}
		if fields && len(r.items) > 0 {
			break
		}
		lead := 0
		for lead < len(l) && (isOrnament[l[lead]] || l[lead] == '>' && lead+1 < len(l) && (l[lead+1] == ' ' || l[lead+1] == '>')) {
			lead++
		}
		// The address is all there is, or the line begins with it.
		if a, n := mailboxAt(l[lead:]); n > 0 {
			rest := bytes.TrimSpace(l[lead+n:])
			switch {
			case named && (len(rest) == 0 || rest[0] == '<'):
				continue
			case len(rest) == 0, rest[0] == ':', rest[0] == '(', rest[0] == '[', rest[0] == ';', l[lead] == '<', rest[0] == '<':
				r.item(a)
				continue
			case foldIndexIn(rest, "delivery failed") >= 0, foldIndexIn(rest, "unknown") >= 0, foldIndexIn(rest, "invalid") >= 0, foldIndexIn(rest, "rejected") >= 0:
				r.item(a)
				continue
			}
		}
		found := false
		for _, label := range recipientLabels {
			if !foldPrefix(l[lead:], label) {
				continue
			}
			rest := l[lead+len(label):]
			for {
				a, _, to := findMailbox(rest)
				if to < 0 {
					break
				}
				r.item(a)
				found = true
				rest = rest[to:]
				if !isList(label) {
					break
				}
			}
			break
		}
		if found {
			named = true
			continue
		}
		for _, w := range sentenceLeads {
			if n := foldIndexIn(l, w); n >= 0 {
				if a, k := mailboxAt(bytes.TrimLeft(l[n+len(w):], " ")); k > 0 {
					r.item(a)
					named = true
					break
				}
			}
		}
	}
}

// isList reports whether several recipients may follow the label.
func isList(label string) bool {
	return label == "recipients:" || label == "failed recipients:" || label == "addressed to:" || label == "to:" || label[:4] == "the "
}

// genericReplies finds replies: "<<< 550 …", "said: 550 …", a line that begins
// with a code, "error message: [554 …]".
func (r *report) genericReplies() {
	if tries := r.sendmailTries(r.b.First); len(tries) > 0 {
		if len(r.items) == 0 {
			r.item("")
		}
		for i := range r.items {
			applyTries(&r.items[i], tries)
		}
		return
	}
	cur := -1 // the last recipient named above
	for i := r.b.First; i < min(r.last, r.body); i++ {
		l, at := r.line(i)
		if len(l) < 4 {
			continue
		}
		if k := r.recipientIn(l); k >= 0 {
			cur = k
		}
		start, ok := replyIn(l)
		if !ok {
			continue
		}
		end := i
		for end+1 < r.last && end-i < 12 {
			if m, _ := r.line(end + 1); len(m) == 0 || bytes.HasPrefix(m, []byte("--")) || fieldName(m) > 0 && !isDigit(m[0]) {
				break
			}
			end++
		}
		f := r.doc.flow(at+start, r.doc.LineEnd(end))
		n := len(f.text)
		if start > 0 && l[start-1] == '[' {
			if c := bytes.LastIndexByte(f.text, ']'); c > 0 {
				n = c
			}
		}
		rep, ok := f.reply(0, n)
		if !ok || rep.Code == 0 && rep.Enhanced == "" {
			continue
		}
		host := r.saidBy(l[:start], at)
		stage := transcript.Stage("")
		if k := bytes.LastIndex(f.text[:n], []byte("(in reply to ")); k > 0 {
			stage = replyStage(f.text[k+len("(in reply to "):])
		}
		for k := range r.items {
			if cur >= 0 && k != cur && len(r.items) > 1 {
				continue
			}
			it := &r.items[k]
			if !it.Reply.IsZero() {
				continue
			}
			it.Reply, it.Stage = rep, stage
			if !host.IsZero() {
				it.Refuser = host
			}
		}
		if len(r.items) == 0 && rep.Code >= 400 {
			it := r.item("")
			it.Reply, it.Refuser, it.Stage = rep, host, stage
		}
		i = end
	}
}

// recipientIn is the index of the item that a line names, -1 if it names none.
func (r *report) recipientIn(l []byte) int {
	if bytes.IndexByte(l, '@') < 0 {
		return -1
	}
	a, _, to := findMailbox(l)
	if to < 0 {
		return -1
	}
	for k := range r.items {
		if r.items[k].Recipient == a {
			return k
		}
	}
	return -1
}

// replyIn finds the start of a reply in a line: at its beginning, or behind a
// colon, bracket, quote or comma.
func replyIn(l []byte) (int, bool) {
	for i := 0; i+3 <= len(l); i++ {
		if (l[i] != '4' && l[i] != '5') || !isDigit(l[i+1]) || !isDigit(l[i+2]) || l[i+1] > '5' {
			continue
		}
		if i > 0 {
			prev := l[i-1]
			if prev == '(' && i+4 < len(l) && statusCode(l[i+4:]) != "" {
				return i, true // "r (554 5.7.1 …)"
			}
			if prev != '[' && prev != '\'' && prev != '"' && !(prev == ' ' && i > 1 && (l[i-2] == ':' || l[i-2] == ',' || l[i-2] == ';' || l[i-2] == '>')) && prev != ':' {
				continue
			}
		}
		if i+3 == len(l) {
			return i, i == 0
		}
		switch c := l[i+3]; c {
		case ' ', '-':
			if i == 0 && c == ' ' && i+4 < len(l) && isLetter(l[i+4]) && len(l) < 20 && l[i+4] >= 'a' {
				continue // "500 messages"
			}
			return i, true
		}
	}
	return 0, false
}

// saidBy reads the host before "said:" and its kin.
func (r *report) saidBy(head []byte, at int) Mention {
	for _, w := range []string{" said:", " reported:", " responded:", " replied:", " returned:", " rejected", " refused"} {
		n := bytes.Index(head, []byte(w))
		if n < 0 {
			continue
		}
		start := n
		for start > 0 && head[start-1] != ' ' {
			start--
		}
		if start > 0 && head[start] == '(' {
			// "Remote server [ip:25] (H) rejected recipient: 554 …"
			if h, k := hostAt(head[start+1 : n]); k > 0 && looksLikeHost([]byte(h.name)) {
				return r.b.mention(Refuser, h, at+start+1, at+start+1+k)
			}
		}
		if start > 0 && head[start] == '[' || start > 0 && head[start] == '(' {
			// "H [ip] said:"
			start--
			for start > 0 && head[start-1] != ' ' {
				start--
			}
		}
		if h, k := hostAt(head[start:n]); k > 0 && (looksLikeHost([]byte(h.name)) || h.address != "") {
			return r.b.mention(Refuser, h, at+start, at+start+k)
		}
	}
	// "SMTP Server <ip> refused to accept your message (DATA), with …"
	if n := bytes.Index(head, []byte("erver <")); n >= 0 {
		o := n + len("erver ")
		if h, k := hostAt(head[o:]); k > 0 {
			return r.b.mention(Refuser, h, at+o, at+o+k)
		}
	}
	return Mention{}
}

// fallback names recipients when neither fields nor text did: the report's own
// X-Failed-Recipients, else the returned message's To, else the last words that
// stand beside an address.
func (r *report) fallback() []Item {
	if len(r.status.failed) > 0 {
		for _, a := range r.status.failed {
			r.item(a)
		}
		return r.items
	}
	if !r.b.reports() && !r.b.isReport(reportStatus) && !r.b.fromDaemon() && !r.b.bringsBack() {
		return nil
	}
	if r.status.feedback || r.b.isReport(reportFeedback) || r.b.isReport(reportDisposition) {
		return nil
	}
	if len(r.b.inside) > 0 {
		return r.items // a report that is brought back knows better
	}
	if a := r.returnedTo(); a != "" {
		r.item(a)
	}
	return r.items
}

// returnedTo is the recipient in the header of the returned message.
func (r *report) returnedTo() string {
	for _, d := range r.dead {
		for i := d.first; i < d.last; i++ {
			l := r.doc.Line(i)
			if len(l) == 0 && i > d.first+1 {
				break
			}
			if !foldPrefix(l, "to:") && !foldPrefix(l, "x-original-to:") && !foldPrefix(l, "delivered-to:") {
				continue
			}
			if a, _, to := findMailbox(l); to > 0 {
				return a
			}
		}
	}
	return ""
}
