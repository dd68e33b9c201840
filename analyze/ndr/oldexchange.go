package ndr

import (
	"bytes"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// oldExchangeText reads Exchange 5.5 to 2003: "r on DATE", an indented reason,
// and who said it in angle brackets or as MSEXCH:….
//
//	did not reach the following recipient(s):
//
//	r on Mon, 23 Nov 2026 07:40:46 -0000
//	    There was a SMTP communication problem …
//	    <R #5.5.0 smtp;554 5.7.1 …>
func oldExchangeText(r *report) {
	start := -1
	for i := range r.marks {
		if s := r.marks[i].sign; s == signOldExchange || s == signOldExchangeList {
			start = int(r.marks[i].line) + 1
			if s == signOldExchangeList {
				break
			}
		}
	}
	if start < 0 {
		return
	}
	var it *Item
	first := 0
	flush := func(last int) {
		if it == nil || last <= first {
			return
		}
		f := r.doc.flow(r.doc.LineStart(first), r.doc.LineEnd(last-1))
		r.oldExchangeReason(&f, it)
		it = nil
	}
	for i := start; i < min(r.last, r.body); i++ {
		l, _ := r.line(i)
		if len(l) == 0 {
			continue
		}
		on, d := beforeDate(l)
		if on <= 0 {
			continue
		}
		flush(i)
		a, _, _ := findMailbox(l[:on])
		if a == "" {
			it = r.item("") // a display name
		} else {
			it = r.item(a)
		}
		it.When = parseTime(d)
		first = i + 1
	}
	flush(min(r.last, r.body))
}

// dateWords stand between a recipient and the date of the attempt, in the
// languages of Exchange and Outlook.
var dateWords = []string{" on ", " am ", " le ", " el ", " il ", " op ", " em ", " den "}

// beforeDate finds the words that a date follows, not the end of a sentence:
// where they begin, and the date.
func beforeDate(l []byte) (int, []byte) {
	for _, w := range dateWords {
		on := bytes.LastIndex(l, []byte(w))
		if on <= 0 || on+len(w)+1 >= len(l) {
			continue
		}
		d := l[on+len(w):]
		if isDigit(d[0]) || len(d) > 5 && d[3] == ',' && isDigit(d[5]) {
			return on, d
		}
	}
	return -1, nil
}

// oldExchangeReason reads the lines below a recipient.
func (r *report) oldExchangeReason(f *flow, it *Item) {
	t := f.text
	for at := 0; at < len(t); {
		n := bytes.IndexByte(t[at:], '<')
		if n < 0 {
			break
		}
		i := at + n
		at = i + 1
		h, k := hostAt(t[i+1:])
		if k == 0 {
			continue
		}
		end := len(t)
		if c := bytes.LastIndexByte(t[i:], '>'); c > 0 {
			end = i + c
		}
		hash := bytes.IndexByte(t[i:end], '#')
		if hash < 0 {
			continue
		}
		it.Status = firstOf(statusCode(t[i+hash+1:]), it.Status)
		m := f.mention(Refuser, h, i+1, i+1+k)
		if s := bytes.Index(t[i:end], []byte("smtp;")); s > 0 {
			r.exchangeReply(f, i+s+len("smtp;"), end, it, m)
		} else {
			// G's own code beside its own name.
			it.LocalReply = transcript.Reply{Enhanced: it.Status, Lines: []string{string(t[:i])}, Span: f.span(0, end)}
			if r.reporter.IsZero() {
				m.Role = Reporter
				r.reporter = m
			}
		}
		return
	}
	// Outlook prints the reply of its server and never the name.
	if n, ok := replyIn(t); ok {
		if rep, ok := f.reply(n, len(bytes.TrimRight(t, "' "))); ok && rep.Code >= 400 {
			it.Reply = rep
			return
		}
	}
	// Nobody answered: the fault by its words, of the host that they name.
	if fault, stage := faultAndStage(t); fault != transcript.FaultNone {
		if m := f.firstHost(Target); !m.IsZero() {
			it.Fault, it.Stage, it.FaultSpan, it.Target = fault, stage, f.span(0, len(t)), m
			return
		}
	}
	it.LocalReply = transcript.Reply{Lines: []string{string(t)}, Span: f.span(0, len(t))}
}

// firstHost is the first name of a host in running text, but for those in mail
// addresses.
func (f *flow) firstHost(role Role) Mention {
	t := f.text
	for i := 0; i < len(t) && i < 2000; {
		j := i
		for j < len(t) && t[j] != ' ' {
			j++
		}
		if word := t[i:j]; bytes.IndexByte(word, '@') < 0 && bytes.IndexByte(word, '.') > 0 {
			if h, n := hostAt(word); n > 0 && looksLikeHost([]byte(h.name)) && !bytes.Contains(word, []byte("://")) {
				return f.mention(role, h, i, i+n)
			}
		}
		i = j + 1
	}
	return Mention{}
}
