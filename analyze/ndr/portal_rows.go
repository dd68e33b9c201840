package ndr

import (
	"bytes"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// The table of the service's log search, as people copy it or export it: a
// message in a row, its state in words and the last answer of the next hop.
//
//	Date	From	To	Subject	Status	Response
//	Nov 24, 2026 10:11 AM	s	r	nightly	Deferred	connect to H[ip]:25: Connection refused
//
// What has a row there was taken by the relay.

var (
	portalStates    = []string{"status", "deliverystatus"}
	portalResponses = []string{"lastdeliveryresponse", "deliveryresponse", "response"}
)

// portalHead finds the line of column names; nil if there is none.
func portalHead(b *Block) (*table, int) {
	for i := b.First; i < min(b.Last, b.First+5); i++ {
		l := bytes.TrimPrefix(b.Doc.Line(i), []byte{'"'})
		if !foldPrefix(l, "date") && !foldPrefix(l, "time") || foldIndex(l, "response") < 0 {
			continue
		}
		head := (&report{b: b, doc: b.Doc}).tableHead()
		if head != nil && head.first == i+1 && head.column(senderColumns) >= 0 && head.column(portalStates) >= 0 && head.column(portalResponses) >= 0 {
			return head, i
		}
	}
	return nil, 0
}

func isPortalTable(b *Block) int {
	if b.isDSN() {
		return 0
	}
	if head, _ := portalHead(b); head != nil {
		return 96
	}
	return 0
}

// portalTable reads the rows.
func portalTable(b *Block) []Case {
	head, line := portalHead(b)
	if head == nil {
		return nil
	}
	d := b.Doc
	relays := relayDomains(b.options.RelayDomains)
	own := Mention{Host: transcript.RelayDomain, Role: Received, Span: b.span(d.LineStart(line), d.LineEnd(line))}
	r := &report{b: b, doc: d, last: b.Last, body: b.Last}
	var items []Item
	head.rows(d, b.Last, func(_, _ int, cells []cell) bool {
		it := Item{FromReport: true, Recipient: head.address(d, cells, recipientColumns), Sender: head.address(d, cells, senderColumns), When: head.time(d, cells)}
		switch head.word(d, cells, portalStates) {
		case "deferred", "queued", "delayed":
			it.Action, it.Deferred = ActionDelayed, true
		case "delivered", "sent":
			it.Action = ActionDelivered
		case "bounced", "failed", "rejected", "undelivered":
			it.Action = ActionFailed
		default:
			return true // quarantined, blocked: nobody's answer
		}
		for _, name := range portalResponses {
			if i := head.column([]string{name}); i >= 0 && i < len(cells) && cells[i].to > cells[i].from {
				f := d.flow(cells[i].from, cells[i].to)
				postfixReason(&f, 0, len(f.text), &it)
				break
			}
		}
		if !transcript.HostIsUnderAny(it.Refuser.Host, relays) && !transcript.HostIsUnderAny(it.Target.Host, relays) {
			it.Carrier = own
		}
		r.finishItem(&it)
		items = append(items, it)
		return len(items) < maxItems
	})
	if len(items) == 0 {
		return nil
	}
	return []Case{{Nature: NatureReport, Items: items}}
}
