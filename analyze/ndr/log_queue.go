package ndr

import (
	"bytes"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Listings of queues: what waits, and why. A listing is no report: its messages
// are deferred.
//
//	mailq, postqueue -p:  QID size date sender / (reason) / recipient …
//	postqueue -j:         one JSON object per message
//	Get-Queue:            NextHopDomain and LastError of Exchange

// sniffQueue says how sure it is that the block lists a queue.
func sniffQueue(b *Block) int {
	if b.isDSN() {
		return 0
	}
	t := b.Text()
	t = t[:min(len(t), 64<<10)]
	switch {
	case bytes.Contains(t, []byte("-Queue ID-")), bytes.Contains(t, []byte("-----Q-ID-----")):
		return 82
	case bytes.Contains(t, []byte(`"delay_reason": `)) || bytes.Contains(t, []byte(`"delay_reason":"`)):
		return 86
	case bytes.Contains(t, []byte("LastError")) && bytes.Contains(t, []byte("NextHop")):
		return 94
	}
	return 0
}

// readQueue reads a queue's listing.
func readQueue(b *Block) []Case {
	t := b.Text()
	switch {
	case bytes.Contains(t, []byte("LastError")):
		return readExchangeQueue(b)
	case bytes.Contains(t, []byte(`"delay_reason"`)):
		return queueCase(b, "postfix-queue", jsonQueue(b))
	}
	return queueCase(b, "postfix-queue", mailq(b))
}

func queueCase(b *Block, format string, items []Item) []Case {
	if len(items) == 0 {
		return nil
	}
	for i := range items {
		it := &items[i]
		it.Deferred = true
		for _, m := range []Mention{it.Refuser, it.Target} {
			if !m.IsZero() {
				it.Evidence = append(it.Evidence, m)
			}
		}
		if it.Port == 0 {
			it.Port = max(it.Refuser.Port, it.Target.Port)
		}
	}
	return []Case{{Format: format, Nature: NatureLog, Items: items, Span: b.span(b.Start(), b.End())}}
}

// mailq reads the listing of Postfix and Sendmail: the reason in parentheses
// stands before the recipients it is about, with Sendmail before all of them.
func mailq(b *Block) []Item {
	var items []Item
	var id, sender string
	var reason Item
	has := false
	for i := b.First; i < b.Last && len(items) < maxAttempts; i++ {
		line := b.Doc.Line(i)
		trimmed := bytes.TrimSpace(line)
		if len(trimmed) == 0 || trimmed[0] == '-' {
			continue
		}
		base := b.Doc.LineStart(i)
		switch {
		case trimmed[0] == '(':
			reason, has = Item{}, true
			end := i + 1
			for end < b.Last && !bytes.HasSuffix(bytes.TrimSpace(b.Doc.Line(end-1)), []byte{')'}) && end-i < 20 {
				end++
			}
			f := b.Doc.flow(base+bytes.IndexByte(line, '(')+1, b.Doc.LineEnd(end-1))
			to := len(f.text)
			if to > 0 && f.text[to-1] == ')' {
				to--
			}
			from := 0
			if bytes.HasPrefix(f.text, []byte("Deferred: ")) {
				from = len("Deferred: ")
			}
			postfixReason(&f, from, to, &reason)
			if reason.Refuser.IsZero() && reason.Target.IsZero() {
				queueWords(b, &f, from, to, &reason)
			}
			i = end - 1
		case isQueueHead(line):
			n := bytes.IndexAny(line, " \t*!")
			id = string(line[:n])
			sender, has = "<>", false
			if a, from, _ := findMailbox(line); from >= 0 {
				sender = a
			}
		default:
			a, from, _ := findMailbox(trimmed)
			if from < 0 || id == "" {
				continue
			}
			it := Item{Recipient: a, Sender: sender, QueueID: id}
			if has {
				with := reason
				with.Recipient, with.Sender, with.QueueID = a, sender, id
				it = with
			}
			items = append(items, it)
		}
	}
	return items
}

// isQueueHead reports whether a line begins a message: its id, then its size.
func isQueueHead(line []byte) bool {
	if len(line) < 13 || !isWordByte(line[0]) {
		return false
	}
	n := bytes.IndexAny(line, " \t*!")
	return n > 4 && n < 40 && isDigit(firstField(line[n:]))
}

// firstField is the first byte behind blanks, 0 if there is none.
func firstField(b []byte) byte {
	b = bytes.TrimLeft(b, " \t*!")
	if len(b) == 0 {
		return 0
	}
	return b[0]
}

// queueWords reads a reason that is not in Postfix's words.
func queueWords(b *Block, f *flow, from, to int, it *Item) {
	words := f.text[from:to]
	p, _ := programSays(words)
	if p == nil || p.effect != effectFault {
		return
	}
	it.Fault, it.Stage, it.FaultSpan = p.fault, p.stage, f.span(from, to)
	it.LocalReply = transcript.Reply{}
	for _, w := range []string{" by ", " with ", "Name server: ", " to "} {
		if n := bytes.Index(words, []byte(w)); n >= 0 {
			at := from + n + len(w)
			if h, k := hostAt(f.text[at:to]); k > 0 && nameOfServer(h) {
				it.Target = f.mention(Target, h, at, at+k)
				return
			}
		}
	}
}

// jsonQueue reads postqueue -j: one object per line.
func jsonQueue(b *Block) []Item {
	var items []Item
	for i := b.First; i < b.Last && len(items) < maxAttempts; i++ {
		line := b.Doc.Line(i)
		if len(line) < 20 || line[0] != '{' {
			continue
		}
		base := b.Doc.LineStart(i)
		id, _, _ := jsonString(line, 0, "queue_id")
		sender, _, _ := jsonString(line, 0, "sender")
		if sender == "" {
			sender = "<>"
		}
		for at := 0; ; {
			address, _, next := jsonString(line, at, "address")
			if next < 0 {
				break
			}
			at = next
			it := Item{Recipient: lowerString([]byte(address)), Sender: sender, QueueID: id}
			// The reason of this recipient stands before the next address.
			until := bytes.Index(line[at:], []byte(`"address"`))
			if until < 0 {
				until = len(line) - at
			}
			if reason, from, end := jsonString(line[:at+until], at, "delay_reason"); end >= 0 && reason != "" {
				f := b.Doc.flow(base+from, base+end-1)
				f.unescapeJSON()
				postfixReason(&f, 0, len(f.text), &it)
			}
			items = append(items, it)
		}
	}
	return items
}

// jsonString finds "name": "value" at or behind at. from is where the value
// begins, next is behind its quote; next is -1 when it is not there.
func jsonString(line []byte, at int, name string) (value string, from, next int) {
	n := bytes.Index(line[at:], []byte(`"`+name+`"`))
	if n < 0 {
		return "", 0, -1
	}
	i := at + n + len(name) + 2
	for i < len(line) && (line[i] == ' ' || line[i] == ':') {
		i++
	}
	if i >= len(line) || line[i] != '"' {
		return "", 0, -1
	}
	i++
	for k := i; k < len(line); k++ {
		switch line[k] {
		case '\\':
			k++
		case '"':
			return unescapeLiteral(string(line[i:k])), i, k + 1
		}
	}
	return "", 0, -1
}

// readExchangeQueue reads the list form of Get-Queue: a queue per group of
// labels, NextHopDomain or NextHopConnector its target, LastError the last answer.
func readExchangeQueue(b *Block) []Case {
	var items []Item
	r := newReport(b)
	var hop Mention
	var head queueHead
	for i := b.First; i < b.Last && len(items) < maxAttempts; i++ {
		line := b.Doc.Line(i)
		if at := bytes.Index(line, []byte("NextHopDomain")); at > 0 && !bytes.Contains(line, []byte(":")) {
			head = queueHead{hop: at, last: bytes.Index(line, []byte("LastError"))}
			hop = Mention{}
			continue
		}
		if head.hop > 0 && !queueRule(line) {
			if len(line) == 0 {
				head = queueHead{} // the table ends
				continue
			}
			hop = Mention{}
			if h, n, at := head.host(line); n > 0 {
				hop = b.mention(Refuser, h, b.Doc.LineStart(i)+at, b.Doc.LineStart(i)+at+n)
			}
			if head.last > 0 && head.last < len(line) {
				at := head.last
				for at > 0 && line[at-1] != ' ' {
					at-- // a longer name moved the cell
				}
				f := b.Doc.flow(b.Doc.LineStart(i)+at, b.Doc.LineEnd(i))
				items = r.queueError(items, &f, hop)
			}
			continue
		}
		n := bytes.IndexByte(line, ':')
		if n <= 0 {
			continue
		}
		label := bytes.TrimSpace(line[:n])
		at := b.Doc.LineStart(i) + n + 1
		switch {
		case foldEqual(label, "identity"):
			hop = Mention{}
		case foldEqual(label, "nexthopdomain"):
			f := b.Doc.flow(at, b.Doc.LineEnd(i))
			if h, k := hostAt(f.text); k > 0 && nameOfServer(h) {
				hop = f.mention(Refuser, h, 0, k)
			}
		case foldEqual(label, "lasterror"):
			end := i + 1
			for end < b.Last && len(b.Doc.Line(end)) > 0 && (b.Doc.Line(end)[0] == ' ' || b.Doc.Line(end)[0] == '\t') {
				end++
			}
			f := b.Doc.flow(at, b.Doc.LineEnd(end-1))
			if len(f.text) < 8 {
				continue
			}
			items = r.queueError(items, &f, hop)
			i = end - 1
		}
	}
	return queueCase(b, "exchange-queue", items)
}

// queueError adds what the last error of a queue tells.
func (r *report) queueError(items []Item, f *flow, hop Mention) []Item {
	it := Item{}
	r.exchangeReply(f, 0, len(f.text), &it, hop)
	if it.Reply.IsZero() && it.Fault == transcript.FaultNone && it.LocalReply.IsZero() {
		return items
	}
	it.Action = ActionUnstated
	if hop.IsZero() && it.Refuser.IsZero() && it.Target.IsZero() {
		it.LocalOnlyExpiry = true // it tells of a peer, and the name is not shown
	}
	return append(items, it)
}

// queueHead tells where the columns of Get-Queue's table begin; 0: there is no
// table.
type queueHead struct{ hop, last int }

// host is the next hop of a row, its length and its place; a name that the
// console cut off is none.
func (q queueHead) host(row []byte) (h host, n, at int) {
	if q.hop >= len(row) || q.hop > 0 && row[q.hop-1] != ' ' {
		return host{}, 0, 0
	}
	h, n = hostAt(row[q.hop:])
	cut := bytes.HasSuffix(row[:q.hop+n], []byte(".."))
	if rest := row[q.hop+n:]; cut || n == 0 || !nameOfServer(h) || len(rest) > 0 && rest[0] != ' ' {
		return host{}, 0, 0
	}
	return h, n, q.hop
}

// queueRule reports whether a line is the rule below a table's names.
func queueRule(l []byte) bool {
	return len(l) > 0 && len(bytes.Trim(l, "- ")) == 0
}
