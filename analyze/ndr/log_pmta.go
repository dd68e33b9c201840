package ndr

import (
	"bytes"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// PowerMTA's accounting file: a row per event, the columns in the order of the
// first line, which an excerpt may lack.
//
//	type,timeLogged,timeQueued,orig,rcpt,orcpt,dsnAction,dsnStatus,dsnDiag,dsnMta,bounceCat,…
//	b,2026-11-24 08:12:01+0100,…,s,r,,failed,5.7.1 (…),"smtp;554 5.7.1 …",R (ip),relaying-issues,…
//
// What it decided by itself has "[internal]" in dsnDiag.

// pmtaColumns are the columns of a file that is set up as the program comes.
var pmtaColumns = []string{
	"type", "timelogged", "timequeued", "orig", "rcpt", "orcpt", "dsnaction", "dsnstatus", "dsndiag", "dsnmta", "bouncecat",
	"srctype", "srcmta", "dlvtype", "dlvsourceip", "dlvdestinationip", "dlvesmtpavailable", "dlvsize", "vmta", "jobid", "envid", "queue", "vmtapool",
}

// pmtaTypes are the rows that tell of a delivery: d delivered, b bounced, t put
// off. Others are received mail, complaints and reports that came back later.
const pmtaTypes = "bdt"

// pmtaRow reports whether a line begins as a row does.
func pmtaRow(l []byte) bool {
	if len(l) < 10 {
		return false
	}
	if l[0] == '"' {
		return l[2] == '"' && l[3] == ',' && l[4] == '"' && strings.IndexByte(pmtaTypes, l[1]) >= 0 && isDigit(l[5]) && isDigit(l[8])
	}
	return l[1] == ',' && strings.IndexByte(pmtaTypes, l[0]) >= 0 && isDigit(l[2]) && isDigit(l[5])
}

// pmtaHead reports whether a line has the names of the columns.
func pmtaHead(l []byte) bool {
	return len(l) > 20 && (l[0] == 't' || l[0] == '"') && bytes.HasPrefix(bytes.TrimPrefix(l, []byte{'"'}), []byte("type")) && bytes.Contains(l, []byte("dsnStatus")) && bytes.Contains(l, []byte("rcpt"))
}

func sniffPMTA(b *Block) int {
	if b.mail != nil {
		return 0
	}
	for i := b.First; i < min(b.Last, b.First+20); i++ {
		l := b.Doc.Line(i)
		if len(l) < 20 || l[0] != '"' && (l[0] < 'b' || l[0] > 't') {
			continue
		}
		if pmtaHead(l) || pmtaRow(l) && bytes.Count(l, []byte{','}) >= len("orig,rcpt,orcpt") && bytes.IndexByte(l, '@') > 0 {
			return 96
		}
	}
	return 0
}

// readPMTA reads the rows; the last about a message and its recipient counts.
func readPMTA(b *Block) []Case {
	head := &table{columns: pmtaColumns, comma: ',', first: b.First}
	for i := b.First; i < min(b.Last, b.First+20); i++ {
		if l := b.Doc.Line(i); pmtaHead(l) {
			head.first, head.columns = i+1, nil
			for at := b.Doc.LineStart(i); at <= b.Doc.LineEnd(i) && len(head.columns) < 200; {
				var c cell
				c, at = cellAt(b.Doc.Text, at, b.Doc.LineEnd(i), ',')
				head.columns = append(head.columns, columnName(b.Doc.Text[c.from:c.to]))
			}
			break
		}
	}
	k := newLogbook(b)
	head.rows(b.Doc, b.Last, func(_, _ int, cells []cell) bool {
		pmtaTry(k, head, cells)
		return !k.limited
	})
	items := k.items(nil)
	if len(items) == 0 {
		return nil
	}
	for i := range items {
		items[i].QueueID = "" // it has none: the time when it came in told the messages apart
	}
	c := Case{Format: "powermta-log", Nature: NatureLog, Items: items}
	if k.limited {
		c.Partial = true
		c.Notes = append(c.Notes, Note{ID: "limit-reached", Text: "The log has more outcomes than are read; the rest was left out."})
	}
	return []Case{c}
}

// pmtaTry reads one row.
func pmtaTry(k *logbook, head *table, cells []cell) {
	d := k.b.Doc
	get := func(name string) (cell, []byte) {
		if i := head.column([]string{name}); i >= 0 && i < len(cells) {
			c := cells[i]
			return c, d.Text[c.from:c.to]
		}
		return cell{}, nil
	}
	_, kind := get("type")
	if len(kind) != 1 || strings.IndexByte(pmtaTypes, kind[0]) < 0 {
		return
	}
	var it Item
	_, rcpt := get("rcpt")
	it.Recipient, _, _ = findMailbox(rcpt)
	_, orig := get("orig")
	if it.Sender, _, _ = findMailbox(orig); it.Sender == "" && it.Recipient != "" {
		it.Sender = "<>"
	}
	_, logged := get("timelogged")
	clock, _ := stampAt(logged)
	_, queued := get("timequeued")
	id := string(queued) + " " + it.Sender
	_, status := get("dsnstatus")
	it.Status = statusCode(status)
	var mta Mention
	if c, name := get("dsnmta"); len(name) > 0 {
		if h, n := hostAt(name); n > 0 {
			mta = k.b.mention(Refuser, h, c.from, c.from+n)
		}
	}
	diag, words := get("dsndiag")
	if n := bytes.IndexByte(words, ';'); n >= 0 && n < 12 {
		diag.from += n + 1
	}
	f := d.flow(diag.from, diag.to)
	rep, ok := f.reply(0, len(f.text))
	ok = ok && rep.Code >= 200
	own := bytes.Index(f.text, []byte("[internal]"))
	switch {
	case kind[0] == 'd':
		it.Action, it.Stage = ActionRelayed, transcript.StageAccepted
		it.Carrier = mta
		it.Carrier.Role = Received
		if ok && rep.Code < 300 {
			it.Reply = rep
		}
		if mta.IsZero() {
			it.Carrier, it.Action = Mention{}, ActionDelivered
		}
	case ok && own < 0 && rep.Code >= 400:
		it.Reply, it.Refuser = rep, mta
	case own >= 0:
		if words := f.text[own:]; mta.IsZero() {
			// The name may stand in the words: "hostname not found: T".
			for at := 0; at < len(words); {
				n := bytes.IndexByte(words[at:], ' ')
				if n < 0 {
					break
				}
				at += n + 1
				if h, m := hostAt(words[at:]); m > 0 && nameOfServer(h) {
					mta = f.mention(Target, h, own+at, own+at+m)
					break
				}
			}
		}
		pmtaOwn(&f, own, &it, mta)
	default:
		broken(&f, 0, len(f.text), "", transcript.FaultNone, mta, &it)
	}
	it.Deferred = kind[0] == 't'
	k.put(id, it, clock)
}

// pmtaOwn reads what PowerMTA says in its own words, behind "[internal]".
func pmtaOwn(f *flow, own int, it *Item, mta Mention) {
	words := f.text[own:]
	switch fault, stage := faultAndStage(words); {
	case foldIndex(words, "expired") >= 0, foldIndex(words, "without delivery") >= 0:
		it.Expired, it.LocalOnlyExpiry = true, true // what went wrong stands in the rows before
		local(f, 0, len(f.text), it)
	case foldIndex(words, "not found") >= 0, foldIndex(words, "no route") >= 0 && mta.IsZero():
		broken(f, 0, len(f.text), transcript.StageResolve, transcript.FaultDNS, mta, it)
	case fault != transcript.FaultNone:
		broken(f, 0, len(f.text), stage, fault, mta, it)
	default:
		local(f, 0, len(f.text), it)
	}
}
