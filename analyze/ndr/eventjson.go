package ndr

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// mailgunEvent is what Mailgun's webhook and its log say about one recipient;
// the event stands alone or under "event-data".
type mailgunEvent struct {
	Event     string `json:"event"`
	Severity  string `json:"severity"`
	Recipient string `json:"recipient"`
	Status    struct {
		Code        int    `json:"code"`
		Enhanced    string `json:"enhanced-code"`
		Message     string `json:"message"`
		Description string `json:"description"`
		Host        string `json:"mx-host"`
	} `json:"delivery-status"`
	Envelope struct {
		Sender string `json:"sender"`
	} `json:"envelope"`
	Data json.RawMessage `json:"event-data"`
}

// isEvent reports whether the block is an event of Mailgun.
func isEvent(b *Block) int {
	if eventAt(b.Text()) >= 0 {
		return 95
	}
	return 0
}

// eventAt is where the object begins that holds a delivery status: a brace at
// the beginning of a line. Negative if there is none.
func eventAt(t []byte) int {
	t = t[:min(len(t), maxNotice)]
	k := bytes.Index(t, []byte(`"delivery-status"`))
	if k < 0 {
		return -1
	}
	if n := bytes.LastIndex(t[:k], []byte("\n{")); n >= 0 {
		return n + 1
	}
	if t[0] == '{' {
		return 0
	}
	return -1
}

// eventJSON reads an event of Mailgun.
func eventJSON(b *Block) []Case {
	text := b.Text()
	open := eventAt(text)
	if open < 0 {
		return nil
	}
	raw := text[open:min(len(text), open+maxNotice)]
	var e mailgunEvent
	if json.NewDecoder(bytes.NewReader(raw)).Decode(&e) != nil {
		return nil
	}
	if len(e.Data) > 0 && e.Event == "" {
		data := e.Data
		e = mailgunEvent{}
		if json.Unmarshal(data, &e) != nil {
			return nil
		}
	}
	r := &report{b: b, doc: b.Doc, last: b.Last, body: b.Last}
	it := Item{Recipient: strings.ToLower(e.Recipient), Sender: strings.ToLower(e.Envelope.Sender), FromReport: true}
	switch e.Event {
	case "failed", "rejected":
		it.Action = ActionFailed
		if e.Severity == "temporary" {
			it.Action = ActionDelayed
		}
	case "delivered", "accepted":
		it.Action = ActionRelayed
	case "complained":
		it.Action = ActionDelivered
	default:
		return nil
	}
	words := firstOf(e.Status.Message, e.Status.Description)
	from, to := b.placeIn(words, open)
	f := flowOf(b.Doc, words, from, to)
	rep, ok := f.reply(0, len(f.text))
	switch {
	case ok && rep.Code != 0:
	case e.Status.Code >= 400 && e.Status.Code < 600:
		// The code stands beside the words.
		rep, ok = transcript.ParseReply(strconv.Itoa(e.Status.Code) + " " + words)
		rep.Span = f.span(0, len(f.text))
	default:
		ok = false
	}
	var host Mention
	if h, k := hostAt([]byte(e.Status.Host)); k > 0 {
		from, to := b.placeIn(e.Status.Host, open)
		host = b.mention(Refuser, h, from, to)
	}
	switch {
	case ok && !host.IsZero():
		r.refused(&it, rep, host)
	case ok:
		it.Reply = rep
	case words != "":
		if fault, stage := faultAndStage(f.text); fault != transcript.FaultNone && !host.IsZero() {
			it.Fault, it.Stage, it.FaultSpan, it.Target = fault, stage, f.span(0, len(f.text)), asTarget(host)
			break
		}
		local(&f, 0, len(f.text), &it)
	}
	c := Case{Nature: NatureReport, Items: []Item{it}}
	if e.Event == "complained" {
		c.Nature = NatureComplaint
	}
	r.finishItem(&c.Items[0])
	return []Case{c}
}
