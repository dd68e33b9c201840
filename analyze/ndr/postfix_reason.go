package ndr

import (
	"bytes"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// postfixReason reads the reason that Postfix gives for a recipient, the same
// in its reports and in its log ("status=bounced (REASON)"), into the item:
//
//	host R[ip] said: REPLY (in reply to RCPT TO command)
//	connect to T[ip]:25: Connection timed out
//	lost connection with T[ip] while receiving the initial server greeting
//
// Who answered becomes Refuser with Reply, who was tried Target with Fault,
// what Postfix decided by itself LocalReply. The reason is f.text[from:to].
func postfixReason(f *flow, from, to int, it *Item) {
	const suspended = "delivery temporarily suspended: "
	for bytes.HasPrefix(f.text[from:to], []byte(suspended)) {
		from += len(suspended)
	}
	readPostfixReason(f, from, to, it)
	if !it.FaultSpan.IsZero() {
		// What failed stands before the host as well as behind it: "TLS is
		// required, but was not offered by host T[ip]".
		it.FaultSpan = f.span(from, to)
	}
}

func readPostfixReason(f *flow, from, to int, it *Item) {
	t := f.text[from:to]
	if len(t) == 0 {
		return
	}
	switch t[0] {
	case 'h':
		if bytes.HasPrefix(t, []byte("host ")) && postfixHost(f, from, to, it) {
			return
		}
	case 'S':
		if n := bytes.Index(t, []byte("; server ")); n >= 0 && bytes.HasPrefix(t, []byte("SASL authentication fail")) {
			it.Stage = transcript.StageAuth
			if postfixSaid(f, from+n+len("; server "), to, it, "said: ") {
				return
			}
		}
		if n := bytes.Index(t, []byte("authenticate to server ")); n >= 0 && bytes.HasPrefix(t, []byte("SASL authentication fail")) {
			// The client found no mechanism or lost the dialogue: a finding of
			// its own about a server that it talked to.
			it.Stage = transcript.StageAuth
			postfixTarget(f, from+n+len("authenticate to server "), to, it, transcript.FaultProtocol)
			return
		}
		if bytes.HasPrefix(t, []byte("Server certificate not ")) {
			it.Stage, it.Fault, it.FaultSpan = transcript.StageTLS, transcript.FaultCertificate, f.span(from, to)
			it.LocalOnlyExpiry = true
			return
		}
	case 'T':
		const refused, offered = "TLS is required, but host ", "TLS is required, but was not offered by host "
		if bytes.HasPrefix(t, []byte(refused)) {
			it.Stage = transcript.StageTLS
			if postfixSaid(f, from+len(refused), to, it, "refused to start TLS: ") {
				return
			}
		}
		if bytes.HasPrefix(t, []byte(offered)) {
			it.Stage = transcript.StageTLS
			postfixTarget(f, from+len(offered), to, it, transcript.FaultTLS)
			it.FaultSpan = f.span(from, to) // the words before the host are the fault
			return
		}
	case 'c':
		if bytes.HasPrefix(t, []byte("connect to ")) {
			it.Stage = transcript.StageConnect
			at := from + len("connect to ")
			if postfixTarget(f, at, to, it, transcript.FaultNone) {
				_, n := hostAt(f.text[at:to])
				if it.Fault = faultOf(f.text[at+n : to]); it.Fault == transcript.FaultNone {
					it.Fault = transcript.FaultTimeout // it did not answer, in words we do not know
				}
				return
			}
		}
		const talk = "conversation with "
		if bytes.HasPrefix(t, []byte(talk)) {
			it.Stage = whileStage(t)
			if postfixTarget(f, from+len(talk), to, it, transcript.FaultTimeout) {
				return
			}
		}
	case 'l':
		const lost = "lost connection with "
		if bytes.HasPrefix(t, []byte(lost)) {
			it.Stage = whileStage(t)
			if postfixTarget(f, from+len(lost), to, it, transcript.FaultClosed) {
				return
			}
		}
	case 'd':
		const via = "delivery via "
		if bytes.HasPrefix(t, []byte(via)) {
			h, n := hostAt(f.text[from+len(via) : to])
			if n > 0 {
				at := from + len(via)
				it.Carrier = f.mention(Received, h, at, at+n)
				it.Port = h.port
				it.Stage = transcript.StageAccepted
				rest := at + n
				for rest < to && (f.text[rest] == ':' || f.text[rest] == ' ') {
					rest++
				}
				it.Reply, _ = f.reply(rest, to)
				return
			}
		}
	case 'C':
		if bytes.HasPrefix(t, []byte("Cannot start TLS: ")) {
			it.Stage, it.Fault, it.FaultSpan = transcript.StageTLS, transcript.FaultTLS, f.span(from, to)
			it.LocalOnlyExpiry = true
			return
		}
	}
	if postfixName(f, from, to, it) {
		return
	}
	for _, w := range postfixDANE {
		if bytes.HasPrefix(t, []byte(w)) {
			it.Stage, it.Fault, it.FaultSpan = transcript.StageResolve, transcript.FaultDNS, f.span(from, to)
			it.LocalOnlyExpiry = true
			return
		}
	}
	// Somebody's words after all: "H[ip] said: …" behind another beginning.
	if n := bytes.Index(t, []byte(" said: ")); n > 0 {
		start := from + n
		for start > from && f.text[start-1] != ' ' {
			start--
		}
		if postfixSaid(f, start, to, it, "said: ") {
			return
		}
	}
	for i := range postfixLacks {
		l := &postfixLacks[i]
		n := bytes.Index(t, []byte(l.words))
		if n < 0 {
			continue
		}
		m := bytes.Index(t, []byte(l.before))
		if m < 0 {
			break
		}
		at := from + m + len(l.before)
		if !postfixTarget(f, at, to, it, l.fault) {
			break
		}
		it.Stage = l.stage
		if l.fault != transcript.FaultNone {
			return
		}
		break
	}
	if foldIndex(t, "mail delivery time exceeded") >= 0 || foldIndex(t, "message expired") >= 0 {
		it.LocalOnlyExpiry, it.Expired = true, true
		return
	}
	local(f, from, to, it)
}

// postfixDANE are what Postfix says when smtp_tls_security_level asks for DANE and
// DNS does not serve it (RFC 7672). The log names the destination.
var postfixDANE = [...]string{"no TLSA records found", "TLSA records unusable", "non DNSSEC destination"}

// postfixLacks are the findings of Postfix about a server that it talked to and
// that said no: what its EHLO reply did not offer, or a login that came to
// nothing. Words of the reason, and what stands before the host in it.
var postfixLacks = [...]struct {
	words, before string
	stage         transcript.Stage
	fault         transcript.Fault
}{
	{"exceeds size limit", "of server ", transcript.StageEnvelope, transcript.FaultNone},
	{"SMTPUTF8 is required", "by host ", transcript.StageEnvelope, transcript.FaultNone},
	{"no compatible authentication mechanisms", "server ", transcript.StageAuth, transcript.FaultProtocol},
	{"authentication protocol loop", "with server ", transcript.StageAuth, transcript.FaultProtocol},
	{"SASL authentication failed; non-empty initial", "from server ", transcript.StageAuth, transcript.FaultProtocol},
}

// postfixHost reads what follows "host ".
func postfixHost(f *flow, from, to int, it *Item) bool {
	at := from + len("host ")
	if postfixSaid(f, at, to, it, "said: ") {
		return true
	}
	if postfixSaid(f, at, to, it, "refused to talk to me: ") {
		if it.Stage == "" {
			it.Stage = transcript.StageGreet
		}
		return true
	}
	return false
}

// postfixSaid reads "H[ip] WORDS REPLY (in reply to X command)".
func postfixSaid(f *flow, at, to int, it *Item, words string) bool {
	h, n := hostAt(f.text[at:to])
	private := false
	if n == 0 || h.address == "" && at+n < to && f.text[at+n] == '[' {
		// host H[private/lmtp]: a socket of the reporter's own machine.
		end := bytes.IndexByte(f.text[at:to], ']')
		if end < 0 {
			return false
		}
		n, private = end+1, true
	}
	i := at + n
	for i < to && f.text[i] == ' ' {
		i++
	}
	if !bytes.HasPrefix(f.text[i:to], []byte(words)) {
		return false
	}
	i += len(words)
	end := to
	if n := bytes.LastIndex(f.text[i:to], []byte("(in reply to ")); n >= 0 {
		it.Stage = replyStage(f.text[i+n+len("(in reply to ") : to])
		end = i + n
		// A nested "host X said" was answered to the server, not to us; its own
		// mark stands before the last one.
		for {
			trimmed := bytes.TrimRight(f.text[i:end], " ")
			if bytes.HasSuffix(trimmed, []byte(" command)")) {
				if m := bytes.LastIndex(trimmed, []byte("(in reply to ")); m > 0 {
					end = i + m
					continue
				}
			}
			break
		}
	}
	r, ok := f.reply(i, end)
	if !ok {
		r = transcript.Reply{Lines: []string{string(bytes.TrimSpace(f.text[i:end]))}, Span: f.span(i, end)}
	}
	if private {
		it.LocalReply = r
		return true
	}
	it.Reply = r
	it.Refuser = f.mention(Refuser, h, at, at+n)
	if h.port != 0 {
		it.Port = h.port
	}
	return true
}

// postfixTarget reads the host that was tried at the offset, with the fault in
// what follows it.
func postfixTarget(f *flow, at, to int, it *Item, fault transcript.Fault) bool {
	h, n := hostAt(f.text[at:to])
	if n == 0 || h.address == "" && at+n < to && f.text[at+n] == ':' && bytes.IndexByte([]byte(h.name), '.') < 0 {
		return false // a field of the next line, where the host was cut off: "lost connection with\nAction: failed"
	}
	it.Target = f.mention(Target, h, at, at+n)
	it.Fault = fault
	it.FaultSpan = f.span(at, to)
	if h.port != 0 {
		it.Port = h.port
	}
	return true
}

// postfixName reads the faults of name service.
func postfixName(f *flow, from, to int, it *Item) bool {
	t := f.text[from:to]
	for _, mark := range []string{"Name service error for name=", "Name service error for domain ", "Name service error for ", "unable to look up host ", "Host not found: ", "Host found but no data record of requested type: ", "no MX host for ", "unable to find primary relay for ", "TLSA lookup error for "} {
		n := bytes.Index(t, []byte(mark))
		if n < 0 {
			continue
		}
		it.Stage = transcript.StageResolve
		if !postfixTarget(f, from+n+len(mark), to, it, transcript.FaultDNS) {
			it.Fault, it.FaultSpan = transcript.FaultDNS, f.span(from, to)
		}
		return true
	}
	return false
}

// local records what the reporter decided by itself.
func local(f *flow, from, to int, it *Item) {
	if !it.LocalReply.IsZero() || from >= to {
		return
	}
	if r, ok := f.reply(from, to); ok {
		it.LocalReply = r
		return
	}
	it.LocalReply = transcript.Reply{Lines: []string{string(f.text[from:to])}, Span: f.span(from, to)}
}

// replyStage is the stage of the command that a reply answered, by the words of
// reports: "RCPT TO command", "end of DATA command", "initial connection".
func replyStage(words []byte) transcript.Stage {
	for len(words) > 0 && (words[0] == ' ' || words[0] == ':' || words[0] == '<' || words[0] == '>' || words[0] == '"' || words[0] == '\'') {
		words = words[1:]
	}
	if len(words) == 0 {
		return ""
	}
	for _, w := range commandWords {
		if (words[0]|0x20) == w.words[0] && foldPrefix(words, w.words) {
			return w.stage
		}
	}
	return ""
}

// commandWords are the words for commands that reports use.
var commandWords = []struct {
	words string
	stage transcript.Stage
}{
	{"rcpt", transcript.StageEnvelope},
	{"recipient", transcript.StageEnvelope},
	{"mail", transcript.StageEnvelope},
	{"sender", transcript.StageEnvelope},
	{"end of data", transcript.StageData},
	{"end-of-data", transcript.StageData},
	{"final data", transcript.StageData},
	{"final dot", transcript.StageData},
	{"final", transcript.StageData},
	{"data", transcript.StageData},
	{"bdat", transcript.StageData},
	{"text", transcript.StageData},
	{"sending data", transcript.StageData},
	{"sending message body", transcript.StageData},
	{"ehlo", transcript.StageEHLO},
	{"helo", transcript.StageEHLO},
	{"lhlo", transcript.StageEHLO},
	{"starttls", transcript.StageTLS},
	{"tls", transcript.StageTLS},
	{"auth", transcript.StageAuth},
	{"sasl", transcript.StageAuth},
	{"initial connection", transcript.StageGreet},
	{"greeting", transcript.StageGreet},
	{"initial greeting", transcript.StageGreet},
	{"connect", transcript.StageGreet},
	{"conn", transcript.StageGreet},
	{"banner", transcript.StageGreet},
}

// whileStage is the stage in Postfix's "while W".
func whileStage(words []byte) transcript.Stage {
	n := bytes.Index(words, []byte(" while "))
	if n < 0 {
		return ""
	}
	w := words[n+len(" while "):]
	for _, k := range []struct {
		words string
		stage transcript.Stage
	}{
		{"receiving the initial", transcript.StageGreet},
		{"performing the", transcript.StageEHLO},
		{"receiving the starttls", transcript.StageTLS},
		{"sending mail", transcript.StageEnvelope},
		{"sending rcpt", transcript.StageEnvelope},
		{"sending data", transcript.StageData},
		{"sending message body", transcript.StageData},
		{"sending end of data", transcript.StageData},
	} {
		if foldPrefix(w, k.words) {
			return k.stage
		}
	}
	return ""
}

// faultWords are the words for faults below SMTP, the first that stands in the
// text wins; in lower case.
var faultWords = []struct {
	words string
	fault transcript.Fault
	stage transcript.Stage
}{
	{"certificate", transcript.FaultCertificate, transcript.StageTLS},
	{"tls", transcript.FaultTLS, transcript.StageTLS},
	{"ssl", transcript.FaultTLS, transcript.StageTLS},
	{"nxdomain", transcript.FaultDNS, transcript.StageResolve},
	{"host not found", transcript.FaultDNS, transcript.StageResolve},
	{"host unknown", transcript.FaultDNS, transcript.StageResolve},
	{"name service", transcript.FaultDNS, transcript.StageResolve},
	{"name server", transcript.FaultDNS, transcript.StageResolve},
	{"name lookup", transcript.FaultDNS, transcript.StageResolve},
	{"dns", transcript.FaultDNS, transcript.StageResolve},
	{"could not be resolved", transcript.FaultDNS, transcript.StageResolve},
	{"enotfound", transcript.FaultDNS, transcript.StageResolve},
	{"lookup", transcript.FaultDNS, transcript.StageResolve},
	{"connection timed out", transcript.FaultTimeout, transcript.StageConnect},
	{"timed out", transcript.FaultTimeout, transcript.StageConnect},
	{"timeout", transcript.FaultTimeout, transcript.StageConnect},
	{"connection refused", transcript.FaultRefused, transcript.StageConnect},
	{"actively refused", transcript.FaultRefused, transcript.StageConnect},
	{"econnrefused", transcript.FaultRefused, transcript.StageConnect},
	{"no route to host", transcript.FaultTimeout, transcript.StageConnect},
	{"network is unreachable", transcript.FaultTimeout, transcript.StageConnect},
	{"unreachable", transcript.FaultTimeout, transcript.StageConnect},
	{"connection reset", transcript.FaultReset, ""},
	{"reset by peer", transcript.FaultReset, ""},
	{"lost connection", transcript.FaultClosed, ""},
	{"closed connection", transcript.FaultClosed, ""},
	{"connection closed", transcript.FaultClosed, ""},
	{"connection dropped", transcript.FaultClosed, ""},
	{"connection was closed", transcript.FaultClosed, ""},
	{"socket error", transcript.FaultTimeout, transcript.StageConnect},
	{"connect", transcript.FaultTimeout, transcript.StageConnect},
}

// faultOf is the fault that words name; FaultNone when they name none.
func faultOf(words []byte) transcript.Fault {
	f, _ := faultAndStage(words)
	return f
}

// faultAndStage is the fault that words name and the stage it belongs to.
func faultAndStage(words []byte) (transcript.Fault, transcript.Stage) {
	if len(words) > 2000 {
		words = words[:2000]
	}
	for _, w := range faultWords {
		n := foldIndex(words, w.words)
		if n < 0 {
			continue
		}
		if len(w.words) <= 3 && (n > 0 && isHostByte(words[n-1]) || n+3 < len(words) && isHostByte(words[n+3]) && words[n+3] != '.') {
			continue // part of a name
		}
		return w.fault, w.stage
	}
	return transcript.FaultNone, ""
}
