package ndr

import (
	"bytes"
	"slices"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// isTrace reports whether the block is a row of Exchange Online's message trace.
func isTrace(b *Block) int {
	if b.reports() {
		return 0
	}
	t := b.Text()
	if bytes.Contains(t, []byte("{LED=")) || bytes.Contains(t, []byte("OutboundProxyTargetHostName")) || bytes.Contains(t, []byte("{MSG=")) && bytes.Contains(t, []byte("{FQDN=")) {
		return 97
	}
	return 0
}

// traceText reads the detail of a message trace. It is often cut, with braces
// and brackets open: the pairs that are there are used.
//
//	Reason: [{LED=450 4.4.317 … [Message=…] …};{MSG=};{FQDN=T};{IP=ip};{LRT=date}].
//	OutboundProxyTargetIP: ip. OutboundProxyTargetHostName: T
func traceText(b *Block) []Case {
	r := newReport(b)
	var items []Item
	if head := r.tableHead(); head != nil {
		head.rows(r.doc, b.Last, func(from, to int, cells []cell) bool {
			it := r.traceRow(from, to)
			it.Recipient = head.address(r.doc, cells, recipientColumns)
			it.Sender = head.address(r.doc, cells, senderColumns)
			if it.When.IsZero() {
				it.When = head.time(r.doc, cells)
			}
			switch state := head.word(r.doc, cells, stateColumns); {
			case !it.Reply.IsZero() || !it.LocalReply.IsZero() || !it.Target.IsZero():
			case slices.Contains(deliveredStates, state):
				it.Stage, it.Action = transcript.StageAccepted, ActionRelayed
			case !slices.Contains(failedStates, state):
				return true // a step on the way: received, submitted, expanded
			}
			r.finishTraceRow(&it)
			items = append(items, it)
			return len(items) < maxItems
		})
	}
	if len(items) == 0 {
		it := r.traceRow(b.Start(), b.End())
		r.traceNames(&it)
		r.finishTraceRow(&it)
		items = r.traceList(it)
	}
	return []Case{{Items: items, Nature: NatureLog}}
}

func (r *report) finishTraceRow(it *Item) {
	relayed := it.Action == ActionRelayed
	r.finishItem(it)
	if !relayed {
		it.Action = ActionUnstated
	}
}

// traceRow reads the detail of one message in a range of the text.
func (r *report) traceRow(from, to int) Item {
	f := r.doc.flow(from, to)
	it := Item{}
	var host Mention
	for _, lead := range []string{"OutboundProxyTargetHostName: ", "OutboundProxyTargetHostName:", "{FQDN="} {
		n := f.find(lead, 0)
		if n < 0 {
			continue
		}
		o := n + len(lead)
		if h, k := hostAt(f.text[o:]); k > 0 && looksLikeHost([]byte(h.name)) {
			host = f.mention(Refuser, h, o, o+k)
			break
		}
	}
	for _, lead := range []string{"OutboundProxyTargetIP: ", "{IP="} {
		if n := f.find(lead, 0); n >= 0 && host.Address == "" {
			n += len(lead)
			word := firstWordUntil(f.text[n:], " };]")
			if a, ok := parseAddress(bytes.TrimRight(word, ".")); ok && a != "0.0.0.0" {
				f.addAddress(&host, Refuser, a, n, n+len(word))
			}
		}
	}
	if n := f.find("{LRT=", 0); n >= 0 {
		it.When = parseTime(firstWordUntil(f.text[n+len("{LRT="):], "}]"))
	}
	start, end := f.find("{LED=", 0), len(f.text)
	if start >= 0 {
		start += len("{LED=")
		for _, stop := range []string{"};{", "}]", "{MSG="} {
			if n := f.find(stop, start); n >= 0 && n < end {
				end = n
			}
		}
		for end > start && (f.text[end-1] == '}' || f.text[end-1] == ';' || f.text[end-1] == ' ') {
			end--
		}
		r.exchangeReply(&f, start, end, &it, host)
		if it.LocalReply.Class() == 4 || it.Reply.Class() == 4 {
			it.Deferred = true
		}
	} else if !host.IsZero() {
		it.Target = asTarget(host)
	}
	return it
}

// traceList gives the item once for each recipient of a list in braces: "Recipients
// : {a@x, b@y}". The details of Exchange's queue stand in it behind the address:
// "{a@x;2;2;[{LRT=…". They are the same for all.
func (r *report) traceList(it Item) []Item {
	for i := r.b.First; i < r.last; i++ {
		l, at := r.line(i)
		if !foldPrefix(l, "recipients") {
			continue
		}
		// The value may have been wrapped into the lines below.
		text := r.doc.Text[at:min(r.doc.LineEnd(r.last-1), at+1<<20)]
		open := bytes.IndexByte(text[:min(len(text), 200)], '{')
		if open < 0 || len(bytes.Trim(text[len("recipients"):open], " \t\n:")) > 0 {
			continue
		}
		text = text[open+1:]
		if end := bytes.IndexAny(text, "};"); end >= 0 {
			text = text[:end]
		}
		var items []Item
		for at := 0; at < len(text) && len(items) < maxItems; {
			a, _, to := findMailbox(text[at:])
			if to <= 0 {
				break
			}
			at += to
			one := it
			one.Recipient, one.Evidence = a, slices.Clone(it.Evidence)
			items = append(items, one)
		}
		if len(items) > 0 {
			return items
		}
	}
	return []Item{it}
}

func firstWordUntil(b []byte, stop string) []byte {
	if n := bytes.IndexAny(b, stop); n >= 0 {
		return b[:n]
	}
	return b
}

// traceNames finds sender and recipient of a listing by their labels, else by
// the only address that stands there.
func (r *report) traceNames(it *Item) {
	others := 0
	last := ""
	var label []byte // the line above, where it may be a label that stands alone
	for i := r.b.First; i < r.last; i++ {
		l, _ := r.line(i)
		if bytes.IndexByte(l, '@') < 0 {
			if len(l) > 0 {
				label = l
			}
			continue
		}
		if a, n := mailboxAt(l); n == len(l) && foldEqual(label, "recipient") && it.Recipient == "" {
			it.Recipient = a
			continue
		} else if n == len(l) && foldEqual(label, "sender") {
			it.Sender = a
			continue
		}
		label = nil
		a, _, to := findMailbox(l)
		if to < 0 {
			continue
		}
		switch {
		case foldPrefix(l, "recipient"), foldPrefix(l, "to:"), foldPrefix(l, "to\t"):
			if it.Recipient == "" {
				it.Recipient = a
			}
		case foldPrefix(l, "sender"), foldPrefix(l, "from:"), foldPrefix(l, "from\t"):
			it.Sender = a
		case foldPrefix(l, "message"):
		default:
			if a != last {
				others++
			}
			last = a
		}
	}
	if it.Recipient == "" && others == 1 {
		it.Recipient = last
	}
}

// searchStates are the words of Google's Email Log Search for what became of a
// message.
var searchStates = []struct {
	words string
	taken bool
}{
	{"delivered to an smtp server", true},
	{"inserted into gmail mailbox", true},
	{"bounced", false},
	{"deferred", false},
	{"rejected", false},
}

// isLogSearch reports whether the block is a page of Google's Email Log Search:
// its own words for a delivery, or its heading with a state word.
func isLogSearch(b *Block) int {
	if b.reports() {
		return 0
	}
	t := b.Text()
	for _, words := range []string{"elivered to an SMTP server", "nserted into Gmail", "mail Log Search", "mail log search"} {
		if bytes.Contains(t, []byte(words)) {
			return 70
		}
	}
	return 0
}

// logSearch reads rows and cards of the log search: a state word, at times an
// SMTP reply and a host beside it. A state word alone tells nobody's name.
func logSearch(b *Block) []Case {
	r := newReport(b)
	var items []Item
	recipient, sender := "", ""
	for i := b.First; i < r.last && len(items) < maxItems; i++ {
		l, at := r.line(i)
		if len(l) == 0 {
			continue
		}
		if a, _, to := findMailbox(l); to > 0 {
			switch {
			case foldPrefix(l, "sender"), foldPrefix(l, "from"):
				sender = a
			case foldPrefix(l, "message"):
			default:
				recipient = a
			}
		}
		state := -1
		for k := range searchStates {
			if foldIndexIn(l, searchStates[k].words) >= 0 {
				state = k
				break
			}
		}
		reply, start := transcript.Reply{}, 0
		if n, ok := searchReply(l); ok {
			f := r.doc.flow(at+n, at+len(l))
			reply, _ = f.reply(0, len(f.text))
			start = n
		}
		host := r.searchHost(l, at, start)
		if state < 0 {
			// A line below the state that has the reply or the host.
			if len(items) > 0 && (reply.Code != 0 || !host.IsZero()) {
				addSearch(&items[len(items)-1], reply, host)
			}
			continue
		}
		it := Item{Recipient: recipient, Sender: sender}
		if searchStates[state].taken {
			it.Action, it.Stage = ActionRelayed, transcript.StageAccepted
		} else {
			it.Deferred = searchStates[state].words == "deferred"
		}
		addSearch(&it, reply, host)
		items = append(items, it)
	}
	// Labels may stand below the state.
	for i := range items {
		it := &items[i]
		it.Recipient, it.Sender = firstOf(it.Recipient, recipient), firstOf(it.Sender, sender)
		if it.Recipient == it.Sender {
			it.Recipient = recipient
		}
		for _, m := range []*Mention{&it.Refuser, &it.Carrier, &it.Target} {
			if !m.IsZero() {
				it.Evidence = append(it.Evidence, *m)
			}
		}
	}
	if len(items) == 0 {
		return nil
	}
	return []Case{{Nature: NatureLog, Items: items}}
}

// addSearch gives an item of a listing what stands beside its state.
func addSearch(it *Item, reply transcript.Reply, host Mention) {
	if reply.Code != 0 && it.Reply.IsZero() {
		it.Reply = reply
	}
	switch {
	case !host.IsZero() && it.Action == ActionRelayed:
		host.Role = Received
		it.Carrier = host
	case !host.IsZero() && it.Refuser.IsZero():
		it.Refuser = host
	}
	if it.Reply.IsZero() && !it.Refuser.IsZero() {
		it.Target, it.Refuser = asTarget(it.Refuser), Mention{}
	} else if it.Reply.Code >= 400 && !it.Target.IsZero() {
		it.Refuser, it.Target = it.Target, Mention{}
		it.Refuser.Role = Refuser
	}
}

// searchReply finds an SMTP reply in a cell: three digits, then an enhanced
// code or words.
func searchReply(l []byte) (int, bool) {
	for i := 0; i+5 < len(l); i++ {
		if l[i] < '2' || l[i] > '5' || !isDigit(l[i+1]) || !isDigit(l[i+2]) || l[i+3] != ' ' && l[i+3] != '-' {
			continue
		}
		if i > 0 && (isWordByte(l[i-1]) || l[i-1] == '.' || l[i-1] == ':' && i > 1 && isDigit(l[i-2])) {
			continue
		}
		if l[i+1] > '5' {
			continue
		}
		if statusCode(l[i+4:]) != "" || isLetter(l[i+4]) || l[i+4] == '<' {
			return i, true
		}
	}
	return 0, false
}

// searchHost finds a host in the cells before a reply, or in a line that has
// none: a name of at least three labels, or one with an address.
func (r *report) searchHost(l []byte, at, before int) Mention {
	if before == 0 {
		before = len(l)
	}
	for i := 0; i < before; {
		for i < before && !isHostByte(l[i]) {
			i++
		}
		j := i
		for j < before && (isHostByte(l[j]) || l[j] == '@') {
			j++
		}
		word := l[i:j]
		if bytes.IndexByte(word, '@') < 0 && looksLikeHost(word) && bytes.Count(word, dot) >= 2 && (i == 0 || l[i-1] != '<') {
			if h, k := hostAt(l[i:before]); k > 0 && h.name != "" {
				return r.b.mention(Refuser, h, at+i, at+i+k)
			}
		}
		i = max(j, i+1)
	}
	return Mention{}
}
