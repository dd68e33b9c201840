package ndr

import (
	"bytes"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// exchangeText reads the admin section of Exchange and Exchange Online, in any
// language: codes, "Remote Server returned" and the order of the lines stay.
//
//	Generating server: G
//
//	r
//	R                                    not there when G refused by itself
//	Remote Server returned '550 …'       or, newest first, DATE - Server at R (ip) returned '…'
//	R #554 5.7.1 … ##                    Exchange 2007 and 2010
func exchangeText(r *report) {
	start := r.b.First
	modern := false
	for i := range r.marks {
		m := &r.marks[i]
		if int(m.line) >= r.last {
			break
		}
		switch m.sign {
		case signGenerating:
			if r.reporter.IsZero() {
				r.reporter = r.hostBehind(m, Reporter)
			}
			start = int(m.line) + 1
		case signExchangeAdmin:
			if start == r.b.First {
				start = int(m.line) + 1
			}
		case signSentBy, signRejectedBy, signStatusCode:
			modern = true
		}
	}
	if modern {
		exchangeModern(r)
		if len(r.items) > 0 {
			r.triesBelow(start)
			return
		}
	}
	r.exchangeStanzas(start)
	r.exchangeHuman()
}

// triesBelow reads the list of the tries where the labels told only how the
// queue ended.
func (r *report) triesBelow(start int) {
	if len(r.items) != 1 || !r.items[0].LocalOnlyExpiry || !r.items[0].Refuser.IsZero() || !r.items[0].Target.IsZero() {
		return
	}
	kept := r.items[0]
	r.items = r.items[:0]
	r.exchangeStanzas(start)
	if len(r.items) == 1 && (r.items[0].Recipient == "" || r.items[0].Recipient == kept.Recipient) && (!r.items[0].Target.IsZero() || !r.items[0].Refuser.IsZero()) {
		r.items[0].Recipient = kept.Recipient
		return
	}
	r.items = append(r.items[:0], kept)
}

// stanza is what is known while the lines about one recipient are read.
type stanza struct {
	recipients []string
	host       Mention // the line between recipient and reply
	tries      []Item
	replied    bool
}

// exchangeStanzas reads "r / R / returned" blocks from a line on.
func (r *report) exchangeStanzas(start int) {
	var s stanza
	for i := start; i < r.last; i++ {
		l, at := r.line(i)
		if len(l) == 0 {
			continue
		}
		if head, last, ok := r.returnedHead(i, l, at); ok {
			from, h, hn, when, _ := returnedLine(head.text)
			i = last
			end := r.quoteEnd(i)
			f := r.doc.flow(head.at(from), end)
			it := Item{FromReport: true}
			it.When = parseTime(when)
			host := s.host
			if hn[1] > 0 {
				host = head.mention(Refuser, h, hn[0], hn[1])
			}
			n := len(bytes.TrimRight(f.text, "' "))
			if _, q := translatedReturn(l); q > 0 {
				// The verb may stand behind the quoted words.
				if k := bytes.LastIndexByte(f.text, l[q]); k > 0 {
					n = k
				}
			}
			r.exchangeReply(&f, 0, n, &it, host)
			s.tries = append(s.tries, it)
			s.replied = true
			if k := r.doc.LineAt(end-1) - i; k > 0 {
				i += k
			}
			continue
		}
		if a, n := mailboxAt(l); n > 0 && wholeAddress(l, n) {
			if s.replied {
				r.closeStanza(&s)
			}
			s.recipients = append(s.recipients, a)
			continue
		}
		if hash := bytes.IndexByte(l, '#'); hash >= 0 && r.hashLine(i, l, at, hash, &s) {
			i = max(i, r.hashEnd(i))
			continue
		}
		if h, n := hostAt(l); n == len(l) && looksLikeHost([]byte(h.name)) && len(s.recipients) > 0 {
			if s.replied {
				continue
			}
			s.host = r.b.mention(Refuser, h, at, at+n)
			continue
		}
		// An unknown language: the line "label: host" above the first recipient,
		// or above the one that stands in both parts of the report.
		if r.reporter.IsZero() && !s.replied {
			if h, n := labelledHost(l); n > 0 && (len(s.recipients) == 0 || r.recipientBelow(i)) {
				r.reporter = r.b.mention(Reporter, h, at+len(l)-n, at+len(l))
			}
		}
	}
	r.closeStanza(&s)
}

// labelledHost is the host in a line that holds a label, a colon and nothing
// else, and its length.
func labelledHost(l []byte) (host, int) {
	c := bytes.IndexByte(l, ':')
	if c <= 0 || c >= 80 {
		return host{}, 0
	}
	v := bytes.TrimLeft(l[c+1:], " \t")
	if h, n := hostAt(v); n > 0 && n == len(v) && looksLikeHost([]byte(h.name)) {
		return h, n
	}
	return host{}, 0
}

// recipientBelow reports whether an address alone is the next thing below line
// i, but for another labelled host (the receiving server).
func (r *report) recipientBelow(i int) bool {
	for k := i + 1; k < min(i+5, r.last); k++ {
		l, _ := r.line(k)
		if len(l) == 0 {
			continue
		}
		if a, n := mailboxAt(l); n > 0 {
			return a != "" && wholeAddress(l, n)
		}
		if _, n := labelledHost(l); n == 0 {
			return false
		}
	}
	return false
}

// returnedHead is the line "… Server … returned '" as running text, with the
// lines that a mail program wrapped it into; last is the line in which the
// quoted words begin.
func (r *report) returnedHead(i int, l []byte, at int) (head flow, last int, ok bool) {
	if _, q := translatedReturn(l); q > 0 || returnedAt(l) >= 0 || bareReturn(l) {
		if _, _, _, _, ok := returnedLine(l); ok {
			return flow{doc: r.doc, text: l, cuts: []flowCut{{0, int32(at)}}}, i, true
		}
		return flow{}, i, false
	}
	if isReplyText(l) && l[0] >= '4' && len(l) > 4 && statusCode(l[4:]) != "" {
		for k := i + 1; k < min(i+10, r.last); k++ {
			if m, _ := r.line(k); len(m) == 0 {
				break
			}
			if f := r.doc.flow(at, r.doc.LineEnd(k)); bareReturn(f.text) {
				return f, i, true
			}
		}
		return flow{}, i, false
	}
	// A wrapped one begins with a stamp or with the words for the server.
	if !(isDigit(l[0]) && bytes.Contains(l[:min(len(l), 40)], []byte(" - "))) && !foldPrefix(l, "remote") && !foldPrefix(l, "server") && !(isDigit(l[0]) && bytes.IndexByte(l[:min(len(l), 12)], '/') > 0) {
		return flow{}, i, false
	}
	for k := i + 1; k < min(i+6, r.last); k++ {
		m, _ := r.line(k)
		if len(m) == 0 {
			break
		}
		f := r.doc.flow(at, r.doc.LineEnd(k))
		if _, _, _, _, ok := returnedLine(f.text); ok {
			return f, k, true
		}
	}
	return flow{}, i, false
}

// wholeAddress reports whether the address is all that the line holds, but for
// a repetition in parentheses or marks around it.
func wholeAddress(l []byte, n int) bool {
	rest := bytes.TrimSpace(l[n:])
	if len(rest) == 0 {
		return true
	}
	return rest[0] == '(' && rest[len(rest)-1] == ')' && bytes.IndexByte(rest, '@') > 0
}

// returnedLine recognises "… Server returned 'TEXT", "DATE - Server at H (ip)
// returned 'TEXT": where TEXT begins, the host with its place, the stamp.
func returnedLine(l []byte) (from int, h host, place [2]int, when []byte, ok bool) {
	n := returnedAt(l)
	const quote = len(" returned '")
	if n < 0 {
		if _, q := translatedReturn(l); q > 0 {
			return q + 1, h, place, nil, true
		}
		// The page that validates a connector shows the words without a frame.
		return 0, h, place, nil, bareReturn(l)
	}
	head := l[:n]
	k := foldIndex(head, "server")
	if k < 0 {
		return 0, h, place, nil, false
	}
	if at := foldIndexIn(head[k:], "erver at "); at >= 0 {
		start := k + at + len("erver at ")
		if g, m := hostAt(l[start:n]); m > 0 {
			h, place = g, [2]int{start, start + m}
		}
	}
	if dash := bytes.Index(head, []byte(" - ")); dash > 0 && dash < 40 {
		when = head[:dash]
	}
	return n + quote, h, place, when, true
}

// remoteServers are the words for the remote server in translated and retyped
// reports, before the reply and in headings above it, in lower case.
var remoteServers = []string{
	"remote server", "remoteserver", "remote-server", "serveur distant", "servidor remoto", "server remoto", "externe server", "fjernserver", "fjärrserver",
	"zdalny serwer", "vzdálený server", "távoli kiszolgáló", "удаленный сервер",
}

// translatedReturn finds a reply in quotes behind the words for the remote
// server, whatever the verb and wherever it stands: "Remoteserver hat den Fehler
// "554 …" zurückgegeben". It gives the ends of those words and the place of the
// opening quote, -1 if there is none.
func translatedReturn(l []byte) (words, quote int) {
	if len(l) > 2000 {
		l = l[:2000]
	}
	for _, w := range remoteServers {
		k := foldIndexIn(l, w)
		if k < 0 || k > 40 {
			continue
		}
		words = k + len(w)
		q := bytes.IndexAny(l[words:min(len(l), words+80)], `"'`)
		if q < 0 {
			continue
		}
		q += words
		if len(l) > q+5 && (l[q+1] == '4' || l[q+1] == '5') && isDigit(l[q+2]) && isDigit(l[q+3]) && (l[q+4] == ' ' || l[q+4] == '-') {
			return words, q
		}
	}
	return -1, -1
}

// bareReturn reports whether a line is Exchange Online's account of a try
// without "returned" and quotes.
func bareReturn(l []byte) bool {
	return len(l) > 12 && (l[0] == '4' || l[0] == '5') && isDigit(l[1]) && isDigit(l[2]) && l[3] == ' ' && bytes.Contains(l, []byte("[LastAttemptedServerName="))
}

// returnedAt finds " returned" and an opening quote, in any case.
func returnedAt(l []byte) int {
	n := foldIndexIn(l, " returned ")
	if n < 0 {
		return -1
	}
	if q := n + len(" returned "); q < len(l) && (l[q] == '\'' || l[q] == '"') {
		return n
	}
	return -1
}

// quoteEnd is the offset behind the quoted words that begin in line i: they may
// run over several lines.
func (r *report) quoteEnd(i int) int {
	end := r.doc.LineEnd(i)
	for k := i; k < r.last && k-i < 60; k++ {
		l, _ := r.line(k)
		if k > i {
			if len(l) == 0 {
				break
			}
			if _, _, _, _, ok := returnedLine(l); ok {
				break
			}
		}
		end = r.doc.LineEnd(k)
		if len(l) > 0 && (l[len(l)-1] == '\'' || l[len(l)-1] == '"') && (k > i || bytes.Count(l, []byte{'\''}) >= 2 || bytes.Count(l, []byte{'"'}) >= 2) {
			break
		}
	}
	return end
}

// closeStanza writes what the lines say about their recipients. Of several
// tries the last decides; but "expired" is never the cause: the last answer or
// fault before it is.
func (r *report) closeStanza(s *stanza) {
	defer func() { *s = stanza{} }()
	if len(s.recipients) == 0 && len(s.tries) == 0 {
		return
	}
	var it Item
	best, expired := -1, false
	for i := range s.tries {
		t := &s.tries[i]
		if t.LocalOnlyExpiry {
			expired = true
			continue
		}
		if best < 0 || !t.When.IsZero() && t.When.After(s.tries[best].When) {
			best = i
		}
	}
	switch {
	case best >= 0:
		it = s.tries[best]
		it.Expired = it.Expired || expired
		if expired && it.Reply.IsZero() {
			for i := range s.tries {
				if s.tries[i].LocalOnlyExpiry {
					it.LocalReply = s.tries[i].LocalReply // what G gave up with
					break
				}
			}
		}
	case len(s.tries) > 0:
		it = s.tries[0]
	}
	it.FromReport = true
	if len(s.recipients) == 0 {
		s.recipients = []string{""}
	}
	for _, a := range s.recipients {
		it.Recipient = a
		if r.known(a) && a != "" {
			combine(r.item(a), &it)
			continue
		}
		*r.item(a) = it
	}
}

// hashLine reads a line of Exchange 2007 and 2010: "[R] #550 5.1.1 … ##".
func (r *report) hashLine(i int, l []byte, at, hash int, s *stanza) bool {
	rest := l[hash+1:]
	if len(rest) < 3 || !isDigit(rest[0]) && rest[0] != '<' {
		return false
	}
	head := bytes.TrimSpace(l[:hash])
	if a, n := mailboxAt(head); n > 0 && n == len(head) {
		if s.replied {
			r.closeStanza(s)
		}
		s.recipients = append(s.recipients, a)
		head = nil
	}
	if len(head) > 0 {
		h, n := hostAt(head)
		if n != len(head) {
			return false
		}
		s.host = r.b.mention(Refuser, h, at, at+n)
	}
	end := r.doc.LineEnd(r.hashEnd(i))
	f := r.doc.flow(at+hash+1, end)
	n := len(f.text)
	original := ""
	if k := bytes.Index(f.text, []byte("##")); k >= 0 {
		if o := bytes.Index(f.text[k:], []byte("rfc822;")); o >= 0 {
			original, _ = mailboxAt(f.text[k+o+len("rfc822;"):])
		}
		n = k
	} else if k := bytes.LastIndex(f.text, []byte("> #SMTP#")); k >= 0 {
		n = k
	}
	from := 0
	if f.text[0] == '<' {
		// <R #5.1.1 smtp;550 …>
		k := bytes.Index(f.text[:n], []byte("smtp;"))
		if h, m := hostAt(f.text[1:n]); m > 0 && looksLikeHost([]byte(h.name)) {
			s.host = f.mention(Refuser, h, 1, 1+m)
		}
		if k >= 0 {
			from = k + len("smtp;")
		}
	}
	it := Item{FromReport: true}
	r.exchangeReply(&f, from, n, &it, s.host)
	s.tries = append(s.tries, it)
	s.replied = true
	if original != "" && len(s.recipients) == 0 {
		s.recipients = append(s.recipients, original)
	}
	return true
}

// hashEnd is the line in which a "#… ##" that begins in line i ends.
func (r *report) hashEnd(i int) int {
	for k := i; k < r.last && k-i < 20; k++ {
		l, _ := r.line(k)
		if len(l) == 0 {
			return max(k-1, i)
		}
		if bytes.Contains(l, []byte("##")) || bytes.HasSuffix(l, []byte("#SMTP#")) {
			return k
		}
	}
	return i
}

// ownWords are the words by which Exchange, Exchange Online, Google and SES
// tell what they found themselves, also behind "smtp;" and "returned". In the
// spelling of the programs.
var ownWords = []string{
	"RESOLVER.", "STOREDRV.", "SMTPSEND.", "ROUTING.", "QUEUE.Expired", "AGENT.", "TRANSPORT.",
	"Message expired", "message expired", "Remote server returned", "[Message=", "[LastAttempted",
	"did not accept our requests to connect", "target IP address", "DNS Error:", "DNS query failed",
	"Socket error code", "Winsock error", "MSEXCH:", "Hop count exceeded",
}

// isOwnWords reports whether a reporter's own words stand in a text that looks
// like a reply.
func isOwnWords(text []byte) bool {
	for _, w := range ownWords {
		if bytes.Contains(text, []byte(w)) {
			return true
		}
	}
	return false
}

// ownWords reads a Diagnostic-Code in which a reporter speaks for itself.
func (r *report) ownWords(f *flow, from, to int, it *Item, remote Mention) {
	r.exchangeReply(f, from, to, it, remote)
}

// exchangeReply reads what stands between the quotes of "returned '…'" (and in
// the Diagnostic-Code of the same reporters). Host is who is named beside it,
// zero when nobody is: then the reporter refused by itself.
func (r *report) exchangeReply(f *flow, from, to int, it *Item, host Mention) {
	t := f.text[from:to]
	outer, isReply := f.reply(from, to)
	if a, e := bracketValue(t, "[LastAttemptedServerName="); e > a {
		if h, n := hostAt(t[a:e]); n > 0 {
			o := from + a
			m := f.mention(Refuser, h, o, o+n)
			if host.IsZero() || host.Host == "" || r.isReporter(host) {
				host = m
			}
		}
	}
	if i, e := bracketValue(t, "[LastAttemptedIP="); e > i {
		if a, port, ok := addressPort(t[i:e]); ok {
			if host.Address == "" || host.Address == "0.0.0.0" {
				f.addAddress(&host, Refuser, a, from+i, from+e)
			}
			it.Port = port
		}
	}
	if host.Address == "0.0.0.0" {
		host.Address = "" // Microsoft's way to print an address that it never had
	}
	if r.isReporter(host) && (foldIndexIn(t, "message expired") >= 0 || isMicrosoftFault(outer.Enhanced)) {
		// G about the end of its own queue: who answered last stands below.
		it.Expired, it.LocalOnlyExpiry, it.LocalReply = true, true, outer
		if k := bytes.Index(t, []byte(" -> ")); k >= 0 {
			if inner, ok := f.reply(from+k+4, to); ok && inner.Code >= 400 && !localReply(inner) {
				it.Reply = inner // and nobody who said it
				return
			}
		}
		it.Fault, it.Stage = microsoftFault(outer.Enhanced, t)
		it.FaultSpan = f.span(from, to)
		return
	}
	// The refuser's own words, inside the reporter's summary.
	if k := bytes.Index(t, []byte("[Message=")); k >= 0 {
		start := from + k + len("[Message=")
		end := from + matchBracket(t, k)
		if inner, ok := f.reply(start, end); ok && inner.Code != 0 && !localReply(inner) {
			r.refused(it, inner, host)
			return
		}
		r.faulted(f, from, to, it, host, outer)
		return
	}
	if k := bytes.Index(t, []byte(" -> ")); k >= 0 && !bytes.Contains(t[k:], []byte("target IP address")) {
		it.Status = outer.Enhanced
		if inner, ok := f.reply(from+k+4, to); ok {
			r.refused(it, inner, host)
			return
		}
		// The refuser's words have no code of their own.
		words := strings.TrimSpace(string(f.text[from+k+4 : to]))
		r.refused(it, transcript.Reply{Code: 0, Enhanced: "", Lines: []string{words}, Span: f.span(from+k+4, to)}, host)
		return
	}
	for _, mark := range []string{"responded with: \"", "target IP address: \""} {
		k := bytes.Index(t, []byte(mark))
		if k < 0 {
			continue
		}
		start := k + len(mark)
		end := len(t)
		if q := bytes.IndexByte(t[start:], '"'); q >= 0 {
			end = start + q
		}
		if e := bytes.Index(t, []byte("The last endpoint attempted was ")); e >= 0 {
			e += len("The last endpoint attempted was ")
			word := firstWord(t[e:])
			if a, port, ok := addressPort(word); ok {
				it.Port = port
				if host.Address == "" {
					f.addAddress(&host, Refuser, a, from+e, from+e+len(word))
				}
			}
		}
		if inner, ok := f.reply(from+start, from+end); ok && inner.Code != 0 && !localReply(inner) {
			r.refused(it, inner, host)
			return
		}
		r.faulted(f, from+start, from+end, it, host, outer)
		return
	}
	switch {
	case bytes.Contains(t, []byte("xpired")) && (bytes.Contains(t, []byte("QUEUE.Expired")) || foldIndex(t, "message expired") >= 0):
		it.LocalReply, it.Expired, it.LocalOnlyExpiry = outer, true, true
		if !host.IsZero() && !r.isReporter(host) {
			it.Target = asTarget(host)
		}
		// SES quotes the refuser's last answer.
		if o := bytes.IndexByte(t, '<'); o >= 0 && o+3 < len(t) && isDigit(t[o+1]) {
			if c := bytes.LastIndexByte(t, '>'); c > o {
				if inner, ok := f.reply(from+o+1, from+c); ok && inner.Code >= 400 {
					it.Reply = inner
					it.Refuser = host
					it.Target = Mention{}
					it.LocalOnlyExpiry = host.IsZero()
				}
			}
		}
		if it.Reply.IsZero() {
			fault, stage := microsoftFault(outer.Enhanced, t)
			it.Fault, it.Stage = fault, stage
			it.FaultSpan = f.span(from, to)
		}
		return
	case bytes.Contains(t, []byte("did not accept our requests to connect")) || bytes.Contains(t, []byte("DNS Error:")):
		r.googleFault(f, from, to, it, host)
		return
	case isMicrosoftFault(outer.Enhanced) || bytes.Contains(t, []byte("SMTPSEND.DNS")) || bytes.Contains(t, []byte("Socket error code")) || bytes.Contains(t, []byte("DNS query failed")) || bytes.Contains(t, []byte("Winsock error")):
		r.faulted(f, from, to, it, host, outer)
		return
	}
	if host.IsZero() || r.isReporter(host) {
		if isReply {
			it.LocalReply = outer
		} else {
			local(f, from, to, it)
		}
		return
	}
	if isReply && ownRefusal(t) {
		it.LocalReply = outer
		if it.Refuser.IsZero() {
			it.Refuser = host
			it.Reply = outer
		}
		return
	}
	if !isReply {
		fault, stage := faultAndStage(t)
		if fault != transcript.FaultNone {
			it.Fault, it.Stage, it.FaultSpan = fault, stage, f.span(from, to)
			it.Target = asTarget(host)
			return
		}
		outer = transcript.Reply{Lines: []string{string(t)}, Span: f.span(from, to)}
	}
	r.refused(it, outer, host)
}

// ownRefusal reports whether the words can only be the reporter's.
func ownRefusal(t []byte) bool {
	return bytes.Contains(t, []byte("RESOLVER.")) || bytes.Contains(t, []byte("STOREDRV.")) || bytes.Contains(t, []byte("ROUTING."))
}

func (r *report) refused(it *Item, reply transcript.Reply, host Mention) {
	it.Reply = reply
	if !host.IsZero() {
		host.Role = Refuser
		it.Refuser = host
		if it.Port == 0 {
			it.Port = host.Port
		}
	}
}

// faulted records a fault of the road to a host that gave no SMTP reply.
func (r *report) faulted(f *flow, from, to int, it *Item, host Mention, outer transcript.Reply) {
	it.FaultSpan = f.span(from, to)
	it.Fault, it.Stage = microsoftFault(outer.Enhanced, f.text[from:to])
	if !host.IsZero() && !r.isReporter(host) {
		it.Target = asTarget(host)
	} else if host.IsZero() {
		it.LocalOnlyExpiry = true
	}
	it.LocalReply = outer
}

func asTarget(m Mention) Mention {
	m.Role = Target
	return m
}

// isReporter reports whether the mention names the host that wrote the report.
func (r *report) isReporter(m Mention) bool {
	if m.Host == "" {
		return false
	}
	return m.Host == r.reporter.Host || m.Host == r.status.reporter.Host
}

// microsoftFaults are the enhanced codes under which Exchange Online files
// faults of the road; 5.4.3xx and 5.7.3xx are the same after the queue expired.
var microsoftFaults = []struct {
	code  string
	fault transcript.Fault
	stage transcript.Stage
}{
	{"4.310", transcript.FaultDNS, transcript.StageResolve},
	{"4.312", transcript.FaultDNS, transcript.StageResolve},
	{"4.315", transcript.FaultTimeout, transcript.StageConnect},
	{"4.316", transcript.FaultRefused, transcript.StageConnect},
	{"4.317", transcript.FaultClosed, transcript.StageGreet},
	{"4.318", transcript.FaultClosed, transcript.StageGreet},
	{"7.320", transcript.FaultCertificate, transcript.StageTLS},
	{"7.321", transcript.FaultTLS, transcript.StageTLS},
	{"7.322", transcript.FaultCertificate, transcript.StageTLS},
	{"7.323", transcript.FaultTLS, transcript.StageTLS},
	{"7.324", transcript.FaultDNS, transcript.StageResolve},
	{"7.325", transcript.FaultCertificate, transcript.StageTLS},
	{"4.4", transcript.FaultDNS, transcript.StageResolve},
}

func isMicrosoftFault(enhanced string) bool {
	if len(enhanced) < 4 {
		return false
	}
	for _, m := range microsoftFaults {
		if len(m.code) > 4 && enhanced[2:] == m.code {
			return true
		}
	}
	return false
}

// microsoftFault is the fault by the words first, by the code else.
func microsoftFault(enhanced string, words []byte) (transcript.Fault, transcript.Stage) {
	for _, w := range []struct {
		words string
		fault transcript.Fault
		stage transcript.Stage
	}{
		{"dropped due to timedout", transcript.FaultTimeout, transcript.StageGreet},
		{"certificate", transcript.FaultCertificate, transcript.StageTLS},
		{"tls negotiation", transcript.FaultTLS, transcript.StageTLS},
		{"starttls", transcript.FaultTLS, transcript.StageTLS},
		{"error code 10060", transcript.FaultTimeout, transcript.StageConnect},
		{"error code: 10060", transcript.FaultTimeout, transcript.StageConnect},
		{"error code 10061", transcript.FaultRefused, transcript.StageConnect},
		{"error code: 10061", transcript.FaultRefused, transcript.StageConnect},
		{"error code 10051", transcript.FaultTimeout, transcript.StageConnect},
		{"error code 10065", transcript.FaultTimeout, transcript.StageConnect},
		{"dnsdomaindoesnotexist", transcript.FaultDNS, transcript.StageResolve},
		{"dnsrecordnotfound", transcript.FaultDNS, transcript.StageResolve},
		{"dns query failed", transcript.FaultDNS, transcript.StageResolve},
		{"smtpsend.dns", transcript.FaultDNS, transcript.StageResolve},
		{"nonexistentdomain", transcript.FaultDNS, transcript.StageResolve},
		{"suspiciousremoteserver", transcript.FaultClosed, transcript.StageGreet},
	} {
		if foldIndex(words, w.words) >= 0 {
			return w.fault, w.stage
		}
	}
	if len(enhanced) > 2 {
		for _, m := range microsoftFaults {
			if enhanced[2:] == m.code {
				return m.fault, m.stage
			}
		}
	}
	return faultAndStage(words)
}

// localReply reports whether a reply that Exchange quotes is its own words for
// a fault.
func localReply(r transcript.Reply) bool {
	text := r.Text()
	switch {
	case r.Code == 421 && r.Enhanced == "4.4.1", r.Code == 421 && r.Enhanced == "4.2.1" && strings.Contains(text, "nable to connect"),
		r.Code == 421 && r.Enhanced == "4.4.2" && strings.Contains(text, "onnection dropped"),
		r.Code == 451 && r.Enhanced == "4.4.0" && (strings.Contains(text, "TLS negotiation") || strings.Contains(text, "DNS query") || strings.Contains(text, "rimary target")),
		r.Code == 451 && r.Enhanced == "5.7.3" && strings.Contains(text, "STARTTLS is required to send"),
		r.Code == 454 && (strings.Contains(text, "TLS negotiation") || strings.Contains(text, "Certificate validation")):
		return true
	}
	return strings.Contains(text, "ertificate validation failed") || strings.Contains(text, "Socket error code") || strings.Contains(text, "Winsock error")
}

// bracketValue is the range of what stands behind a mark up to the bracket that
// closes it, or up to a blank where that was cut off.
func bracketValue(t []byte, mark string) (start, end int) {
	k := bytes.Index(t, []byte(mark))
	if k < 0 {
		return 0, 0
	}
	start = k + len(mark)
	end = len(t)
	if e := bytes.IndexAny(t[start:], "] "); e >= 0 {
		end = start + e
	}
	return start, end
}

// matchBracket is the offset of the bracket that closes the one at k.
func matchBracket(t []byte, k int) int {
	depth := 0
	for i := k; i < len(t); i++ {
		switch t[i] {
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(t)
}

func firstWord(b []byte) []byte {
	b = bytes.TrimLeft(b, " ")
	if n := bytes.IndexAny(b, " )'"); n >= 0 {
		return b[:n]
	}
	return b
}

// exchangeHuman reads the part above the admin section, for what the admin
// section does not have.
//
//	R rejected your message to the following email addresses:
//	R gave this error:
//	The following organization rejected your message: R.
func (r *report) exchangeHuman() {
	stop := r.last
	if m := r.find(signExchangeAdmin); m != nil {
		stop = min(stop, int(m.line))
	}
	var refuser Mention
	var reply transcript.Reply
	var listed []string
	listing := false
	for i := r.b.First; i < stop; i++ {
		l, at := r.line(i)
		if len(l) == 0 {
			continue
		}
		if foldPrefix(l, "the following organization rejected") {
			f := r.doc.flow(at, r.doc.LineEnd(min(i+2, stop-1)))
			if c := f.find("message: ", 0); c > 0 {
				o := c + len("message: ")
				if h, k := hostAt(f.text[o:]); k > 0 && looksLikeHost([]byte(h.name)) {
					refuser = f.mention(Refuser, h, o, o+k)
					i = r.doc.LineAt(f.at(o))
					if rep, ok := r.replyBelow(i + 1); ok {
						reply = rep
					}
					continue
				}
			}
		}
		if n := bytes.Index(l, []byte(" rejected your message")); n > 0 {
			if h, k := hostAt(l[:n]); k > 0 && looksLikeHost([]byte(h.name)) {
				refuser = r.b.mention(Refuser, h, at, at+k)
			} else if c := bytes.IndexByte(l[n:], ':'); c > 0 {
				v := n + c + 1
				v += skipBlanks(l[v:], 0)
				if h, k := hostAt(l[v:]); k > 0 && looksLikeHost([]byte(h.name)) {
					refuser = r.b.mention(Refuser, h, at+v, at+v+k)
					if rep, ok := r.replyBelow(i + 1); ok {
						reply = rep
					}
				}
			}
			listing = true
			continue
		}
		if n := bytes.Index(l, []byte(" gave this error:")); n > 0 {
			if h, k := hostAt(l[:n]); k > 0 {
				refuser = r.b.mention(Refuser, h, at, at+k)
			}
			o := n + len(" gave this error:")
			if rest := bytes.TrimSpace(l[o:]); len(rest) > 0 {
				f := r.doc.flow(at+o, at+len(l))
				reply, _ = f.reply(0, len(f.text))
			} else if rep, ok := r.replyBelow(i + 1); ok {
				reply = rep
			}
			continue
		}
		if s, _ := signAt(r.doc.Line(i)); s == signExchangeHuman || s == signDelay {
			listing = true
			continue
		}
		if listing {
			if a, n := mailboxAt(l); n > 0 && wholeAddress(l, n) {
				listed = append(listed, a)
			} else if n == 0 {
				listing = false
			}
		}
	}
	if len(r.items) == 0 {
		for _, a := range listed {
			it := r.item(a)
			if !reply.IsZero() || !refuser.IsZero() {
				if in, ok := reply.Inner(); ok {
					in.Span = reply.Span
					reply = in
				}
				it.Reply, it.Refuser = reply, refuser
			}
		}
		return
	}
	if len(r.items) == 1 && r.items[0].Recipient == "" && len(listed) > 0 {
		// What the admin section says holds for all that are listed above it.
		it := r.items[0]
		r.items = r.items[:0]
		for _, a := range listed {
			it.Recipient = a
			*r.item(a) = it
		}
	}
	for i := range r.items {
		it := &r.items[i]
		if it.Refuser.IsZero() && it.Target.IsZero() && it.LocalReply.IsZero() && !refuser.IsZero() && it.Fault == transcript.FaultNone {
			it.Refuser = refuser
			if it.Reply.IsZero() {
				it.Reply = reply
			}
		}
	}
}

// replyBelow reads the first line of text at or below line i as a reply.
func (r *report) replyBelow(i int) (transcript.Reply, bool) {
	for ; i < r.last; i++ {
		l, at := r.line(i)
		if len(l) == 0 {
			continue
		}
		end := i
		for end+1 < r.last && end-i < 12 {
			if n, _ := r.line(end + 1); len(n) == 0 {
				break
			}
			end++
		}
		f := r.doc.flow(at, r.doc.LineEnd(end))
		if rep, ok := f.reply(0, len(f.text)); ok {
			return rep, true
		}
		if k := bytes.Index(f.text, []byte(" -> ")); k > 0 {
			if rep, ok := f.reply(k+4, len(f.text)); ok {
				return rep, true
			}
		}
		return transcript.Reply{Lines: []string{string(f.text)}, Span: f.span(0, len(f.text))}, len(f.text) < 400
	}
	return transcript.Reply{}, false
}
