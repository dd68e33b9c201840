package ndr

import (
	"bytes"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// gmailText reads the reports of Gmail and Workspace, the present ones and the
// classic ones. Their bold headings are paraphrases and are not read.
func gmailText(r *report) {
	for i := r.b.First; i < min(r.last, r.body); i++ {
		l, at := r.line(i)
		if len(l) < 12 {
			continue
		}
		for _, lead := range []string{"Your message wasn't delivered to ", "There was a problem delivering your message to ", "There was a temporary problem while delivering your message to ", "There was a temporary problem delivering your message to ", "Your message to "} {
			if l[0] != lead[0] || !bytes.HasPrefix(l, []byte(lead[:10])) {
				continue
			}
			// The sentence may be wrapped before or inside the words.
			f := r.doc.flow(at, r.doc.LineEnd(min(i+2, r.last-1)))
			if !bytes.HasPrefix(f.text, []byte(lead)) {
				continue
			}
			if a, n := mailboxAt(f.text[len(lead):]); n > 0 {
				r.item(a)
			}
		}
		for _, lead := range gmailLeads {
			if n := foldIndexIn(l, lead); n >= 0 {
				if a, k := mailboxAt(l[n+len(lead):]); k > 0 {
					r.item(a)
				}
				break
			}
		}
		switch r.signOf(i) {
		case signGmailClassic, signGmailMore, signDelay:
			if bytes.HasPrefix(l, []byte("Delivery to the following")) {
				for k := i + 1; k < min(i+60, r.last); k++ {
					m, _ := r.line(k)
					if len(m) == 0 || k == i+1 && m[len(m)-1] == ':' {
						continue // the rest of the sentence
					}
					a, n := mailboxAt(m)
					if n == 0 || n != len(m) {
						break
					}
					r.item(a)
				}
			}
		case signGmailResponse:
			r.gmailResponse(i, saysRemote(l))
		}
		const lead, returned = "The error that the other", "The error that the other server returned was:"
		if n := bytes.Index(l, []byte(lead)); n >= 0 {
			f := r.doc.flow(at+n, r.doc.LineEnd(min(i+1, r.last-1)))
			if bytes.HasPrefix(f.text, []byte(returned)) {
				from := f.end(len(returned))
				r.gmailOther(r.doc.LineAt(from-1), from)
			}
		}
		if bytes.HasPrefix(l, []byte("Google tried to deliver")) {
			r.gmailServer(i, at)
		}
		if n := bytes.Index(l, []byte("did not accept our requests to connect")); n >= 0 && r.onlyItem() != nil {
			it := r.onlyItem()
			f := r.doc.flow(at, r.paragraphEnd(i, 12))
			r.googleFault(&f, 0, len(f.text), it, Mention{})
		}
	}
}

// gmailLeads are the words before the recipient in the sentence that opens the
// report, in other languages than English.
var gmailLeads = []string{
	"der nachricht an ", "deine nachricht an ", "ihre nachricht an ", "nachricht wurde nicht an ",
	"votre message à ", "distribué à ", "tu mensaje a ", "su mensaje a ", "el mensaje a ", "entregado a ",
	"il tuo messaggio a ", "il messaggio a ", "consegnato a ", "je bericht aan ", "uw bericht aan ", "bezorgd bij ",
	"sua mensagem para ", "entregue para ", "entregue a ", "ditt meddelande till ", "wiadomości do ",
}

// saysRemote reports whether the heading of a response is about the remote
// server's words.
func saysRemote(l []byte) bool {
	for _, w := range remoteServers {
		if foldIndexIn(l, w) >= 0 {
			return true
		}
	}
	return false
}

// onlyItem is the item that a statement without a name is about.
func (r *report) onlyItem() *Item {
	if len(r.items) == 0 {
		return nil
	}
	return &r.items[len(r.items)-1]
}

// paragraphEnd is the offset behind the paragraph that line i stands in.
func (r *report) paragraphEnd(i, most int) int {
	end := i
	for end+1 < r.last && end-i < most {
		if l, _ := r.line(end + 1); len(l) == 0 {
			break
		}
		end++
	}
	return r.doc.LineEnd(end)
}

// gmailResponse reads what follows "The response from the remote server was:"
// and "The response was:". The latter is Google's own text.
func (r *report) gmailResponse(i int, remote bool) {
	k := i + 1
	for k < r.last {
		if l, _ := r.line(k); len(l) > 0 {
			break
		}
		k++
	}
	if k >= r.last || k > i+4 {
		return
	}
	it := r.onlyItem()
	if it == nil {
		it = r.item("")
	}
	start := r.doc.LineStart(k)
	end := r.paragraphEnd(k, 40)
	f := r.doc.flow(start, end)
	t := f.text
	switch {
	case bytes.Contains(t, []byte("does not advertise AUTH capability")):
		// "Send mail as": Google logs in at the customer's relay, which hid
		// AUTH for want of TLS. It is not named.
		it.Stage = transcript.StageTLS
		it.Fault, it.FaultSpan = transcript.FaultProtocol, f.span(0, len(t))
		it.LocalReply = transcript.Reply{Lines: []string{string(t)}, Span: it.FaultSpan}
		return
	case bytes.Contains(t, []byte("did not accept our requests to connect")), bytes.HasPrefix(t, []byte("DNS Error:")), bytes.Contains(t, []byte("responded with code")):
		r.googleFault(&f, 0, len(t), it, Mention{})
		return
	}
	if rep, ok := r.linesReply(start, end); ok {
		it.Reply = rep
		return
	}
	if remote {
		it.Reply = transcript.Reply{Lines: []string{string(t)}, Span: f.span(0, len(t))}
		return
	}
	it.LocalReply = transcript.Reply{Lines: []string{string(t)}, Span: f.span(0, len(t))}
}

// gmailOther reads the classic form: "… returned was: 550 550 5.1.1 words
// (state 14)", in the same line or below.
func (r *report) gmailOther(i, from int) {
	it := r.onlyItem()
	if it == nil {
		return
	}
	k := i
	if len(bytes.TrimSpace(r.doc.Text[from:r.doc.LineEnd(i)])) == 0 {
		if k++; k >= r.last {
			return
		}
		from = r.doc.LineStart(k)
	}
	f := r.doc.flow(from, r.paragraphEnd(k, 30))
	t := f.text
	n := len(t)
	if s := bytes.LastIndex(t, []byte("(state ")); s > 0 {
		n = s
	}
	// The reply code stands twice.
	if n > 8 && bytes.Equal(t[:4], t[4:8]) && isDigit(t[0]) {
		f = f.from(4)
		n -= 4
	}
	if rep, ok := f.reply(0, n); ok {
		it.Reply = rep
	} else {
		it.Reply = transcript.Reply{Lines: []string{string(f.text[:n])}, Span: f.span(0, n)}
	}
}

// gmailServer reads "rejected by the server for the recipient domain d by R.
// [ip]." and "rejected by the relay H by R. [ip]."
func (r *report) gmailServer(i, from int) {
	it := r.onlyItem()
	if it == nil {
		return
	}
	f := r.doc.flow(from, r.paragraphEnd(i, 14))
	start := -1
	for _, lead := range []string{"by the server for the recipient domain ", "by the relay "} {
		if n := f.find(lead, 0); n >= 0 {
			start = n + len(lead)
			break
		}
	}
	if start < 0 {
		return
	}
	n := f.find(" by ", start)
	if n < 0 {
		return
	}
	o := n + len(" by ")
	if h, k := hostAt(f.text[o:]); k > 0 {
		it.Refuser = f.mention(Refuser, h, o, o+k)
	}
}

// googleFault reads Google's words for a server that it could not reach:
//
//	… did not accept our requests to connect. … [T ip: timed out]
//	[(0) T. [ip]:25: socket error]
//	DNS Error: … lookup of T responded with code NXDOMAIN
func (r *report) googleFault(f *flow, from, to int, it *Item, host Mention) {
	t := f.text[from:to]
	it.FaultSpan = f.span(from, to)
	if n := bytes.Index(t, []byte(" lookup of ")); n >= 0 {
		o := n + len(" lookup of ")
		it.Fault, it.Stage = transcript.FaultDNS, transcript.StageResolve
		if h, k := hostAt(t[o:]); k > 0 {
			it.Target = f.mention(Target, h, from+o, from+o+k)
		}
		return
	}
	it.Fault, it.Stage = transcript.FaultTimeout, transcript.StageConnect
	if !host.IsZero() {
		it.Target = asTarget(host)
	}
	if n := bytes.LastIndexByte(t, '['); n >= 0 || bytes.Contains(t, []byte("[(0) ")) {
		if k := bytes.Index(t, []byte("[(0) ")); k >= 0 {
			n = k + len("[(0)")
		} else if k := bytes.Index(t, []byte(". [")); k >= 0 {
			n = k + 2
		}
		o := n + 1
		for o < len(t) && t[o] == ' ' {
			o++
		}
		if h, k := hostAt(t[o:]); k > 0 && (looksLikeHost([]byte(h.name)) || h.address != "") {
			rest := t[o+k:]
			if h.address == "" {
				if a, ok := parseAddress(bytes.TrimRight(firstWord(rest), ":.,]")); ok {
					h.address = a
				}
			}
			it.Target = f.mention(Target, h, from+o, from+o+k)
			if f, _ := faultAndStage(rest); f != transcript.FaultNone {
				it.Fault = f
			}
		}
	}
	it.LocalOnlyExpiry = it.Target.IsZero()
}
