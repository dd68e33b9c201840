package ndr

import (
	"bytes"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// qmailText reads the reports of qmail and Yahoo: "<r>:" and its lines.
func qmailText(r *report) {
	if m := r.find(signQmail); m != nil {
		r.reporterBehind(m, " program at ")
	}
	for i := r.b.First; i < r.last; i++ {
		l, _ := r.line(i)
		if len(l) < 4 || l[0] != '<' || l[len(l)-1] != ':' && !bytes.Contains(l, []byte(">:")) {
			continue
		}
		a, n := mailboxAt(l)
		if n == 0 || n >= len(l) || l[n] != ':' {
			continue
		}
		end := i + 1
		for end < r.last {
			if m, _ := r.line(end); len(m) == 0 || m[0] == '<' && bytes.HasSuffix(m, []byte(">:")) {
				break
			}
			end++
		}
		it := r.item(a)
		if end > i+1 {
			r.qmailReason(i+1, end, it)
		}
		i = end - 1
	}
}

// reporterBehind reads the host that follows words in the sentence of a mark.
func (r *report) reporterBehind(m *mark, words string) {
	f := r.doc.flow(r.doc.LineStart(int(m.line)), r.paragraphEnd(int(m.line), 3))
	if n := f.find(words, 0); n >= 0 {
		o := n + len(words)
		if h, k := hostAt(f.text[o:]); k > 0 {
			r.reporter = f.mention(Reporter, h, o, o+k)
		}
	}
}

// qmailReason reads the lines [first, last) about one recipient.
func (r *report) qmailReason(first, last int, it *Item) {
	f := r.doc.flow(r.doc.LineStart(first), r.doc.LineEnd(last-1))
	qmailWords(&f, it, r.linesReply)
}

// qmailWords reads what qmail-remote says about one recipient. linesReply reads
// a reply that stands on several lines of the text; nil where there are none.
func qmailWords(f *flow, it *Item, linesReply func(from, to int) (transcript.Reply, bool)) {
	t := f.text
	it.Status = hashStatus(t)
	for _, w := range []struct {
		words string
		stage transcript.Stage
	}{
		{"does not like recipient", transcript.StageEnvelope},
		{"but sender was rejected", transcript.StageEnvelope},
		{"but recipient was rejected", transcript.StageEnvelope},
		{"but greeting failed", transcript.StageGreet},
		{"but my name was rejected", transcript.StageEHLO},
		{"failed after I sent the message", transcript.StageData},
		{"failed on DATA command", transcript.StageData},
		{"but connection died. Possible duplicate", transcript.StageData},
		{"most progress was RCPT", transcript.StageEnvelope},
		{"most progress was MAIL", transcript.StageEnvelope},
		{"most progress was initial", transcript.StageGreet},
		{"most progress was greeting", transcript.StageGreet},
		{"most progress was EHLO", transcript.StageEHLO},
		{"most progress was HELO", transcript.StageEHLO},
		{"most progress was DATA", transcript.StageData},
	} {
		if bytes.Contains(t, []byte(w.words)) {
			it.Stage = w.stage
			break
		}
	}
	if bytes.Contains(t, []byte("message has been in the queue too long")) || bytes.Contains(t, []byte("multiple retries, giving up")) {
		it.Expired = true
	}
	if n := f.find("emote host said: ", 0); n >= 0 || f.find(" said: ", 0) >= 0 {
		lead := "emote host said: "
		if n < 0 {
			n, lead = f.find(" said: ", 0), " said: "
		}
		o := n + len(lead)
		stop := len(t)
		for _, tail := range []string{" Giving up on ", " I'm not going to try again", ". (#", " (Other MXes tried"} {
			if k := f.find(tail, o); k >= 0 && k < stop {
				stop = k
			}
		}
		var rep transcript.Reply
		ok := false
		if linesReply != nil {
			rep, ok = linesReply(f.at(o), f.end(stop))
		} else {
			rep, ok = f.reply(o, stop)
		}
		if !ok {
			rep = transcript.Reply{Lines: []string{string(t[o:stop])}, Span: f.span(o, stop)}
		}
		it.Reply = rep
		it.Refuser = qmailHost(f, n)
		return
	}
	for _, w := range []struct {
		words string
		fault transcript.Fault
		stage transcript.Stage
	}{
		{"I wasn't able to establish an SMTP connection", transcript.FaultTimeout, transcript.StageConnect},
		{"couldn't find any host named ", transcript.FaultDNS, transcript.StageResolve},
		{"couldn't find any host by that name", transcript.FaultDNS, transcript.StageResolve},
		{"couldn't find a mail exchanger or IP address", transcript.FaultDNS, transcript.StageResolve},
		{"No mx record found for domain=", transcript.FaultDNS, transcript.StageResolve},
		{"CNAME lookup failed", transcript.FaultDNS, transcript.StageResolve},
		{"but connection died", transcript.FaultClosed, ""},
		{"TLS", transcript.FaultTLS, transcript.StageTLS},
	} {
		n := f.find(w.words, 0)
		if n < 0 {
			continue
		}
		it.Fault, it.Stage, it.FaultSpan = w.fault, w.stage, f.span(0, len(t))
		if last := w.words[len(w.words)-1]; last == ' ' || last == '=' {
			o := n + len(w.words)
			if h, k := hostAt(t[o:]); k > 0 {
				it.Target = f.mention(Target, h, o, o+k)
			}
		} else if w.fault != transcript.FaultDNS {
			if h := qmailHost(f, len(t)); !h.IsZero() {
				it.Target = asTarget(h)
			}
		}
		it.LocalOnlyExpiry = it.Target.IsZero()
		if it.Fault == transcript.FaultClosed && bytes.Contains(t, []byte("Possible duplicate")) {
			it.Stage = transcript.StageData
		}
		return
	}
	if it.Expired {
		it.LocalOnlyExpiry = true
	}
	if len(t) > 4 && isReplyText(t[:3]) && t[3] == ':' {
		// Yahoo: "554: 5.7.1 …", of a server that it does not name.
		if rep, ok := transcript.ParseReply(string(t[:3]) + string(t[4:])); ok && rep.Code >= 400 {
			rep.Span = f.span(0, len(t))
			it.Reply = rep
			return
		}
	}
	it.LocalReply = transcript.Reply{Enhanced: it.Status, Lines: []string{string(t)}, Span: f.span(0, len(t))}
}

// hashStatus is the code in qmail's "(#5.1.1)".
func hashStatus(t []byte) string {
	if n := bytes.LastIndex(t, []byte("(#")); n >= 0 {
		return statusCode(t[n+2:])
	}
	return ""
}

// qmailHost finds the address of the server: "IP does not like", "Connected to
// IP but", "remote host IP said".
func qmailHost(f *flow, before int) Mention {
	t := f.text[:before]
	for i := 0; i < len(t); {
		j := i
		for j < len(t) && t[j] != ' ' {
			j++
		}
		word := bytes.TrimRight(t[i:j], ".,:;")
		if len(word) > 6 && (isDigit(word[0]) || word[0] == '[' || bytes.IndexByte(word, ':') > 0) {
			if h, n := hostAt(word); n > 0 && h.address != "" {
				return f.mention(Refuser, h, i, i+n)
			}
		}
		i = j + 1
	}
	// "remote host IP said:" stands around the mark itself.
	rest := f.text[before:]
	if n := bytes.Index(rest, []byte("host ")); n >= 0 && n < 12 {
		o := before + n + len("host ")
		if h, k := hostAt(f.text[o:]); k > 0 && h.address != "" {
			return f.mention(Refuser, h, o, o+k)
		}
	}
	return Mention{}
}

// linesReply reads a reply whose lines stand on lines of the text.
func (r *report) linesReply(from, to int) (transcript.Reply, bool) {
	rep, ok := transcript.ParseReply(string(bytes.TrimSpace(r.doc.Text[from:to])))
	if !ok {
		return rep, false
	}
	rep.Span = r.b.span(from, to)
	return rep, true
}
