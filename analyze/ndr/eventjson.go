package ndr

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

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
	if eventAt(b.Text()) >= 0 || sendGridAt(b.Text()) >= 0 {
		return 95
	}
	return 0
}

// sendGridEvent is an object of SendGrid's event webhook; they come in a list,
// or one on each line.
type sendGridEvent struct {
	Email    string `json:"email"`
	Event    string `json:"event"`
	Reason   string `json:"reason"`
	Response string `json:"response"`
	Status   string `json:"status"`
	Time     int64  `json:"timestamp"`
}

// maxEvent bounds the text in which an event's words are looked for.
const maxEvent = 16 << 10

// sendGridAt is where the first object of SendGrid's begins, or the list that it
// stands in: at the beginning of a line. Negative if there is none.
func sendGridAt(t []byte) int {
	if len(t) == 0 || t[0] != '{' && t[0] != '[' {
		return -1
	}
	if !bytes.Contains(t[:min(len(t), maxNotice)], []byte(`"sg_event_id"`)) {
		return -1
	}
	return 0
}

// sendGridEvents reads SendGrid's events. They name no server: what stopped a
// mail is known by its words only.
func sendGridEvents(b *Block) []Case {
	text := b.Text()
	raw := text[:min(len(text), maxNotice)]
	dec := json.NewDecoder(bytes.NewReader(raw))
	var events []sendGridEvent
	for len(events) < maxItems {
		if raw[0] == '[' {
			if dec.Decode(&events) != nil {
				return nil
			}
			break
		}
		var e sendGridEvent
		if dec.Decode(&e) != nil {
			break
		}
		events = append(events, e)
	}
	r := &report{b: b, doc: b.Doc, last: b.Last, body: b.Last}
	var items []Item
	at := 0
	for i := range events[:min(len(events), maxItems)] {
		e := &events[i]
		it := Item{Recipient: strings.ToLower(e.Email), FromReport: true, Status: statusCode([]byte(e.Status))}
		if e.Time > 0 && e.Time < 1<<40 {
			it.When = time.Unix(e.Time, 0).UTC()
		}
		switch e.Event {
		case "bounce", "dropped", "blocked":
			it.Action = ActionFailed
		case "deferred":
			it.Action, it.Deferred = ActionDelayed, true
		case "delivered":
			it.Action = ActionRelayed
		default:
			continue // processed, open, click
		}
		if words := firstOf(e.Reason, e.Response); words != "" {
			// The events stand in the order of the text.
			from, to := b.Start()+at, b.Start()+at+1
			if k := bytes.Index(text[at:min(len(text), at+maxEvent)], []byte(words)); k >= 0 {
				from, to = from+k, from+k+len(words)
			}
			f := flowOf(b.Doc, words, from, to)
			if rep, ok := f.reply(0, len(f.text)); ok && rep.Code >= 400 {
				it.Reply = rep
			} else if e.Event != "delivered" {
				local(&f, 0, len(f.text), &it)
			}
			at = min(to-b.Start(), len(text)-1)
		}
		r.finishItem(&it)
		items = append(items, it)
	}
	if len(items) == 0 {
		return nil
	}
	return []Case{{Nature: NatureReport, Items: items}}
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
		return sendGridEvents(b)
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
