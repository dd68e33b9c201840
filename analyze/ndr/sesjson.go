package ndr

import (
	"bytes"
	"encoding/json"
	"strings"
)

// sesNotice is the part of Amazon's notification that says what happened.
type sesNotice struct {
	NotificationType string `json:"notificationType"`
	EventType        string `json:"eventType"`
	Bounce           struct {
		BouncedRecipients []struct {
			EmailAddress   string `json:"emailAddress"`
			Action         string `json:"action"`
			Status         string `json:"status"`
			DiagnosticCode string `json:"diagnosticCode"`
		} `json:"bouncedRecipients"`
		Timestamp    string `json:"timestamp"`
		ReportingMTA string `json:"reportingMTA"`
	} `json:"bounce"`
	Complaint struct {
		ComplainedRecipients []struct {
			EmailAddress string `json:"emailAddress"`
		} `json:"complainedRecipients"`
	} `json:"complaint"`
	Delivery struct {
		Recipients   []string `json:"recipients"`
		SMTPResponse string   `json:"smtpResponse"`
		ReportingMTA string   `json:"reportingMTA"`
	} `json:"delivery"`
	Mail struct {
		Source      string   `json:"source"`
		Destination []string `json:"destination"`
	} `json:"mail"`
	Message string `json:"Message"` // a notice inside the envelope of the topic
}

const maxNotice = 256 << 10 // bytes of JSON that are looked at

// sesJSON reads Amazon's notices. The mail that carries one may have cut its
// long line with "!" (998 bytes): that is undone before parsing.
func sesJSON(b *Block) []Case {
	text := b.Text()
	open := bytes.IndexByte(text, '{')
	if open < 0 {
		return nil
	}
	raw := text[open:min(len(text), open+maxNotice)]
	raw = bytes.ReplaceAll(raw, []byte("!\n "), nil)
	var n sesNotice
	if json.NewDecoder(bytes.NewReader(raw)).Decode(&n) != nil {
		return nil
	}
	if n.Message != "" && n.NotificationType == "" {
		inner := n.Message
		n = sesNotice{}
		if json.NewDecoder(strings.NewReader(inner)).Decode(&n) != nil {
			return nil
		}
	}
	r := &report{b: b, doc: b.Doc, last: b.Last, body: b.Last}
	c := Case{Nature: NatureReport}
	switch firstOf(n.NotificationType, n.EventType) {
	case "Bounce":
		for _, x := range n.Bounce.BouncedRecipients {
			if len(c.Items) == maxItems {
				c.Partial = true
				break
			}
			it := Item{Recipient: strings.ToLower(x.EmailAddress), FromReport: true, Action: readAction([]byte(x.Action)), Status: statusCode([]byte(x.Status))}
			if x.DiagnosticCode != "" {
				from, to := b.placeIn(x.DiagnosticCode, open)
				g := statusGroup{hasDiag: true}
				g.diagType, g.diag = diagnosticType(flowOf(b.Doc, x.DiagnosticCode, from, to))
				r.diagnostic(&it, &g)
			}
			c.Items = append(c.Items, it)
		}
		if h, k := hostAt([]byte(n.Bounce.ReportingMTA)); k > 0 {
			from, to := b.placeIn(n.Bounce.ReportingMTA, open)
			r.reporter = b.mention(Reporter, h, from, to)
		}
	case "Complaint":
		c.Nature = NatureComplaint
		for _, x := range n.Complaint.ComplainedRecipients {
			c.Items = append(c.Items, Item{Recipient: strings.ToLower(x.EmailAddress), FromReport: true, Action: ActionDelivered})
		}
	case "Delivery":
		r.success = true
		for _, x := range n.Delivery.Recipients {
			c.Items = append(c.Items, Item{Recipient: strings.ToLower(x), FromReport: true, Action: ActionDelivered})
		}
	default:
		return nil
	}
	for i := range c.Items {
		it := &c.Items[i]
		it.Reporter = r.reporter
		it.Sender = strings.ToLower(n.Mail.Source)
		r.finishItem(it)
	}
	return []Case{c}
}

// flowOf is a flow over words that were decoded from a place of the document:
// all of it leads back to the whole place.
func flowOf(d *Document, words string, from, to int) flow {
	f := flow{doc: d, text: []byte(words)}
	if to-from == len(words) {
		f.cuts = []flowCut{{0, int32(from)}}
		return f
	}
	f.cuts = []flowCut{{0, int32(from)}, {1, int32(from)}}
	return f
}

// placeIn is where a value of the JSON that opens at the offset stands, as far as
// the block's text has it in one piece: else where the JSON opens.
func (b *Block) placeIn(value string, open int) (from, to int) {
	if k := bytes.Index(b.Text(), []byte(value)); k >= 0 && value != "" {
		return b.Start() + k, b.Start() + k + len(value)
	}
	return b.Start() + open, b.Start() + open + 1
}
