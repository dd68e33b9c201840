package transcript

import (
	"net/netip"
	"strings"
)

// personal finds the personal data of a text: what Strict hides beside secrets.
func (r Redactor) personal(text string, hidden []hit) []hit {
	if len(hidden) > 0 {
		// What is hidden ends the word before it, as its token will.
		b := []byte(text)
		for _, h := range hidden {
			for i := h.start; i < h.end; i++ {
				if b[i] != '\n' && b[i] != '\r' {
					b[i] = '['
				}
			}
		}
		text = string(b)
	}
	p := personal{text: text, keep: append([]string{RelayDomain}, r.RelayDomains...)}
	p.bodies()
	p.headers()
	p.words()
	return p.hits
}

type personal struct {
	text string
	keep []string
	hits []hit
}

func (p *personal) hide(kind string, start, end int) {
	s := p.text[start:end]
	if start < end && !isToken(s) && strings.Trim(s, "[") != "" {
		p.hits = append(p.hits, hit{start: start, end: end, kind: kind, value: strings.ToLower(strings.TrimSuffix(s, "."))})
	}
}

// words finds mailboxes, host names and private addresses: all are runs of the
// letters of a name with a dot, a colon or an at sign in them.
func (p *personal) words() {
	text := p.text
	for i := 0; i < len(text); {
		if text[i] == '[' {
			if n := tokenLen(text[i:]); n > 0 {
				i += n
				continue
			}
		}
		if !isNameByte(text[i]) && text[i] != '"' {
			i++
			continue
		}
		if text[i] == '"' { // "a quoted local part"@host
			if end := quotedLocal(text, i); end > 0 {
				p.mailbox(i, end)
				i = p.nameEnd(end + 1)
				continue
			}
			i++
			continue
		}
		end := p.nameEnd(i)
		p.name(i, end)
		i = end
	}
}

// isNameByte reports whether c may stand in a mailbox, a host name or an
// address.
func isNameByte(c byte) bool { return nameBytes[c] }

// nameBytes is made once and never changed.
var nameBytes = func() (t [256]bool) {
	for i := range t {
		c := byte(i)
		t[i] = isAlnum(c) || c >= 0x80 || strings.IndexByte(".-_@+:%~", c) >= 0
	}
	return t
}()

func (p *personal) nameEnd(i int) int {
	for i < len(p.text) && isNameByte(p.text[i]) {
		i++
	}
	return i
}

func quotedLocal(text string, i int) int {
	for j := i + 1; j < len(text) && j-i < 66; j++ {
		switch text[j] {
		case '\n', '\r', '[', '@':
			return 0
		case '\\':
			j++
		case '"':
			if j+1 < len(text) && text[j+1] == '@' {
				return j + 1
			}
			return 0
		}
	}
	return 0
}

// name looks at one run of name letters.
func (p *personal) name(start, end int) {
	s := p.text[start:end]
	if strings.IndexByte(s, '@') >= 0 {
		p.at(start, end)
		return
	}
	if strings.IndexByte(s, '.') < 0 && strings.Count(s, ":") < 2 {
		return
	}
	if p.address(start, end) {
		return
	}
	// "host:25", "name=relay.example:587": a host between colons.
	for start < end {
		e := start
		for e < end && p.text[e] != ':' && p.text[e] != '%' {
			e++
		}
		p.host(start, e)
		start = e + 1
	}
}

// at hides the mailboxes of a run of name letters: "a@b.example", and several
// as in "mailto:a@b.example:c@d.example".
func (p *personal) at(start, end int) {
	for start < end {
		i := strings.IndexByte(p.text[start:end], '@')
		if i < 0 {
			p.name(start, end)
			return
		}
		at := start + i
		from := start + strings.LastIndexByte(p.text[start:at], ':') + 1
		if from > start {
			p.name(start, from-1)
		}
		for from < at && strings.IndexByte(".-%", p.text[from]) >= 0 {
			from++
		}
		start = max(p.mailbox(from, at), at+1)
	}
}

// mailbox hides the mailbox whose local part is text[start:at] and returns its
// end. The domain of a relay stays.
func (p *personal) mailbox(start, at int) int {
	text := p.text
	end := at + 1
	for end < len(text) && (isAlnum(text[end]) || text[end] == '.' || text[end] == '-' || text[end] == '_' || text[end] >= 0x80) {
		end++
	}
	for end > at+1 && (text[end-1] == '.' || text[end-1] == '-') {
		end--
	}
	domain := text[at+1 : end]
	switch {
	case domain == "" || start >= at:
	case HostIsUnderAny(domain, p.keep):
		p.hide("addr", start, at)
	default:
		p.hide("addr", start, end)
	}
	return end
}

// address hides a private IP address and reports whether the run is an address
// at all: public ones stay, they are what the relay saw.
func (p *personal) address(start, end int) bool {
	s := p.text[start:end]
	// A sentence or a port may follow.
	trimmed := strings.TrimRight(s, ".:-")
	if strings.Count(trimmed, ".") == 3 {
		if host, port, ok := strings.Cut(trimmed, ":"); ok && allDigits(port) {
			trimmed = host
		}
	}
	if len(trimmed) > 5 && hasFoldPrefix(trimmed, "ipv6:") {
		start += 5
		trimmed = trimmed[5:]
	}
	a, err := netip.ParseAddr(trimmed)
	if err != nil {
		return false
	}
	a = a.Unmap()
	if a.IsPrivate() || a.IsLinkLocalUnicast() || sharedRange.Contains(a) {
		p.hide("ip", start, start+len(trimmed))
	}
	return true
}

// sharedRange is RFC 6598's, used behind the address translation of providers.
var sharedRange = netip.MustParsePrefix("100.64.0.0/10")

// host hides a host name that is no relay's.
func (p *personal) host(start, end int) {
	for start < end && strings.IndexByte(".-+_~", p.text[start]) >= 0 {
		start++
	}
	for start < end && strings.IndexByte(".-+_~", p.text[end-1]) >= 0 {
		end--
	}
	s := p.text[start:end]
	if len(s) > 4 && s[3] == '-' && s[0] >= '2' && s[0] <= '5' && isDigit(s[1]) && isDigit(s[2]) {
		start, s = start+4, s[4:] // "250-mail.customer.example": a reply's code is no part of the name
	}
	if !looksLikeHost(s) || HostIsUnderAny(s, p.keep) {
		return
	}
	if strings.HasPrefix(p.text[end:], ") queueId") {
		return // Stalwart's "(delivery.connect)"
	}
	if end < len(p.text) && (p.text[end] == '=' || p.text[end] == '(') {
		return // "smtp.mailfrom=", "header.from=", a function
	}
	p.hide("host", start, end)
}

// looksLikeHost tells host names from enhanced codes, versions, file names and
// identifiers with dots.
func looksLikeHost(s string) bool {
	if len(s) < 4 || len(s) > 255 || strings.IndexByte(s, '.') < 1 || strings.ContainsAny(s, "+~_@") && !strings.HasPrefix(s, "_") {
		return false
	}
	labels := strings.Split(s, ".")
	last := labels[len(labels)-1]
	if len(last) < 2 || len(last) > 24 {
		return false
	}
	upper, low, high := false, false, false
	for i := range len(last) {
		switch c := last[i]; {
		case c >= 'a' && c <= 'z':
			low = true
		case c >= 'A' && c <= 'Z':
			upper = true
		case c >= 0x80:
			high = true
		case (isDigit(c) || c == '-') && strings.HasPrefix(last, "xn--"):
		default:
			return false
		}
	}
	if high && !low {
		return false
	}
	if upper && low && !isOneOf(last, titleTopLevel) {
		return false // RESOLVER.ADR.RecipNotFound, System.Net.Mail
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 {
			return false
		}
	}
	for _, e := range notTopLevel {
		if strings.EqualFold(last, e) {
			return false
		}
	}
	if upper && len(labels) > 1 {
		// QUEUE.EXPIRED, SMTPSEND.DNS: words of programs.
		switch labels[0] {
		case "RESOLVER", "QUEUE", "SMTPSEND", "STOREDRV", "AGENT", "ROUTING", "CAT", "SMTP":
			return false
		}
	}
	for _, w := range [...]string{"header.", "smtp.mailfrom", "policy.", "body."} {
		if hasFoldPrefix(s, w) && len(labels) == 2 {
			return false
		}
	}
	return true
}

// titleTopLevel are the endings that are taken for names though they are in
// letters of both cases.
var titleTopLevel = []string{"Com", "Org", "Example", "Test", "De", "Uk", "Fr", "Nl", "Eu", "Info", "Local"}

// notTopLevel are endings of files and programs, not of names.
var notTopLevel = [...]string{
	"txt", "log", "cf", "conf", "cnf", "cfg", "ini", "py", "sh", "js", "mjs", "ts", "php", "html", "htm", "xml", "json", "jsonl", "yaml", "yml", "exe", "dll",
	"eml", "msg", "pem", "key", "crt", "cer", "csv", "gz", "zip", "pdf", "doc", "docx", "xls", "xlsx", "java", "rb", "ps1", "bat", "cmd", "lock", "service", "socket",
	"md", "css", "png", "jpg", "gif", "bin", "db", "bak", "tmp", "pid", "sock", "go", "exception", "rs", "cpp", "jar", "class", "sql", "example-file",
}

// headers hides names and subjects in the headers of mails, forwarded or
// quoted, and in the labels of reports.
func (p *personal) headers() {
	text := p.text
	for from := 0; from < len(text); {
		to := lineEnd(text, from)
		start := from
		for start < to && strings.IndexByte(" \t>|*", text[start]) >= 0 {
			start++
		}
		if c := strings.IndexByte(text[start:min(to, start+24)], ':'); c > 0 && start < to {
			name := strings.ToLower(strings.TrimRight(text[start:start+c], " *"))
			v := start + c + 1
			for v < to && strings.IndexByte(" \t*", text[v]) >= 0 {
				v++
			}
			switch {
			case v >= to:
			case isOneOf(name, subjectLabels):
				p.hide("subject", v, to)
				// What is folded belongs to it.
				for next := nextLine(text, to); next < len(text) && (text[next] == ' ' || text[next] == '\t') && start == from; {
					e := lineEnd(text, next)
					s := skipBlanks(text, next)
					if s >= e {
						break
					}
					p.hide("subject", s, e)
					to = e
					next = nextLine(text, e)
				}
			case isOneOf(name, nameLabels):
				p.displayNames(v, to)
			}
		}
		from = nextLine(text, to)
	}
}

var subjectLabels = []string{"subject", "betreff", "objet", "asunto", "oggetto", "onderwerp", "assunto", "\u00e4mne", "thread-topic"}

var nameLabels = []string{"from", "to", "cc", "bcc", "reply-to", "sender", "von", "an", "de", "para", "da", "a", "van", "aan", "\u00e0", "fr\u00e5n", "till"}

func isOneOf(s string, list []string) bool {
	for _, x := range list {
		if s == x {
			return true
		}
	}
	return false
}

// displayNames hides what stands before the addresses of a header.
func (p *personal) displayNames(from, to int) {
	text := p.text
	for from < to {
		open := strings.IndexByte(text[from:to], '<')
		if open < 0 {
			return
		}
		end := from + open
		closing := strings.IndexByte(text[end:to], '>')
		if closing < 0 || strings.IndexByte(text[end:end+closing], '@') < 0 && !strings.Contains(text[end:end+closing], "[addr-") {
			return
		}
		start := from
		for start < end && strings.IndexByte(" \t\",;'", text[start]) >= 0 {
			start++
		}
		stop := end
		for stop > start && strings.IndexByte(" \t\",;'", text[stop-1]) >= 0 {
			stop--
		}
		if strings.IndexByte(text[start:stop], '@') < 0 {
			p.hide("name", start, stop)
		}
		from = end + closing + 1
	}
}

// bodies hides the text of messages: what was sent between 354 and the dot of a
// dialogue, and the body of a returned message behind its headers. The text of
// a report itself stays.
func (p *personal) bodies() {
	text := p.text
	const (
		outside  = iota
		marked   // a returned message begins
		headers  // its headers
		body     // its body
		dialogue // after 354
	)
	state := outside
	seen := 0
	f := finder{text: text}
	for from := 0; from < len(text); {
		to := lineEnd(text, from)
		line := text[from:to]
		bare := strings.TrimLeft(line, " \t>|")
		switch state {
		case outside:
			if returnedFollows(bare) {
				state, seen = marked, 0
				break
			}
			if !strings.Contains(line, "354") {
				break
			}
			if l := f.speaker(from, to); l.who == Server && strings.HasPrefix(text[l.start:l.end], "354") {
				state = dialogue
			}
		case marked, headers:
			switch {
			case isHeader(bare):
				seen++
				state = headers
			case bare == "":
				if seen >= 2 {
					state = body
				}
			case line != "" && (line[0] == ' ' || line[0] == '\t') && state == headers:
			case strings.HasPrefix(bare, "--") && seen > 0:
				state = outside
			case state == headers && seen > 0:
				state = outside
			}
		case body:
			switch {
			case strings.HasPrefix(line, "--") && len(line) > 4 && strings.IndexByte(line, ' ') < 0, strings.HasPrefix(line, "From "):
				state = outside
			case bare != "":
				start := to - len(bare)
				p.hide("body", start, start+len(strings.TrimRight(bare, " \t")))
			}
		case dialogue:
			l := f.speaker(from, to)
			s := text[l.start:l.end]
			switch {
			case l.who == Server, s == ".", l.who == Client && Verb(s) == "QUIT":
				state = outside
			case l.who == Client && s != "":
				p.hide("body", l.start, l.end)
			}
		}
		from = nextLine(text, to)
	}
}

// returnedFollows reports whether a line announces a returned message. The
// marks of a forward ("-----Original Message-----") announce none: what was
// forwarded may be the report.
func returnedFollows(s string) bool {
	if len(s) < 10 || len(s) > 120 {
		return false
	}
	for _, w := range [...]string{
		"content-type: message/rfc822", "content-type: text/rfc822-headers", "content-type: message/global", "original message headers", "--- below this line is a copy",
		"------ this is a copy", "----- original message", "----- unsent message", "----- message header", "message headers follow", "below is a copy of the original",
		"original message header",
		"urspr\u00fcngliche nachrichtenkopf", "en-t\u00eates de message d", "encabezados del mensaje", "intestazioni originali", "oorspronkelijke bericht", "cabe\u00e7alhos originais", "ursprungliga meddelande",
	} {
		if len(s) >= len(w) && strings.EqualFold(s[:len(w)], w) {
			return true
		}
	}
	return false
}

// isHeader reports whether a line has the shape of a mail's header field.
func isHeader(s string) bool {
	n := 0
	for n < len(s) && n < 64 && (isAlnum(s[n]) || s[n] == '-' || s[n] == '_') {
		n++
	}
	return n > 1 && n < len(s) && s[n] == ':' && s[0] >= 'A' && (n+1 == len(s) || s[n+1] == ' ' || s[n+1] == '\t')
}
