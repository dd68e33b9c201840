package ndr

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// protocolRow is a row of Exchange's SMTP protocol log:
//
//	date-time,connector-id,session-id,sequence-number,local-endpoint,remote-endpoint,event,data,context
//
// data may hold bare commas, so event is found by its shape and context is what
// stands behind the last comma.
type protocolRow struct {
	session       string
	seq           int
	local, remote [2]int // in the line
	event         byte
	data          [2]int
	context       [2]int
	base          int // of the line in Doc.Text
	line          int
}

// isProtocolRow reports whether a line has the shape of a row.
func isProtocolRow(line []byte) bool {
	if len(line) < 40 || !isDigit(line[0]) || bytes.IndexByte(line[:12], '-') != 4 {
		return false
	}
	n := bytes.IndexByte(line, ',')
	if n < 10 || n > 40 || bytes.IndexByte(line[:n], 'T') < 0 {
		return false
	}
	_, ok := rowOf(line)
	return ok
}

// rowOf takes a row apart.
func rowOf(line []byte) (protocolRow, bool) {
	var r protocolRow
	// The connector's name may hold commas, too: the session id, the number
	// behind it and what must follow are the anchor.
	for at := bytes.IndexByte(line, ',') + 1; at > 0 && at < len(line) && at < 400; {
		n := bytes.IndexByte(line[at:], ',')
		if n < 0 {
			return r, false
		}
		field := line[at : at+n]
		next := at + n + 1
		if isSessionID(field) {
			seq, end := digitsAt(line, next, 9)
			if end > next && end < len(line) && line[end] == ',' {
				r.session, r.seq = string(field), seq
				if row, ok := r.endpoints(line, end+1); ok {
					return row, true
				}
			}
		}
		at = next
	}
	return r, false
}

// isSessionID reports whether a field can be a session id: 16 hexadecimal digits
// as Exchange writes them, fewer where somebody shortened them.
func isSessionID(b []byte) bool {
	if len(b) == 0 || len(b) > 40 {
		return false
	}
	for _, c := range b {
		if !isWordByte(c) && c != '-' {
			return false
		}
	}
	return true
}

// isEndpoint reports whether a field is empty or an address with its port; the
// address may have been blotted out.
func isEndpoint(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	c := bytes.LastIndexByte(b, ':')
	return c > 0 && c+1 < len(b) && number(b[c+1:]) > 0 && bytes.IndexByte(b, ' ') < 0
}

// endpoints reads what follows the sequence number.
func (r *protocolRow) endpoints(line []byte, at int) (protocolRow, bool) {
	var fields [2][2]int
	for k := range fields {
		n := bytes.IndexByte(line[at:], ',')
		if n < 0 || n > 80 || !isEndpoint(line[at:at+n]) {
			return *r, false
		}
		fields[k] = [2]int{at, at + n}
		at += n + 1
	}
	r.local, r.remote = fields[0], fields[1]
	if at+1 >= len(line) || line[at+1] != ',' {
		if at >= len(line) {
			return *r, false
		}
		// The last row may be cut behind its event.
		if at+1 != len(line) {
			return *r, false
		}
	}
	switch line[at] {
	case '+', '-', '*', '<', '>':
		r.event = line[at]
	default:
		return *r, false
	}
	from := min(at+2, len(line))
	to := len(line)
	if n := bytes.LastIndexByte(line[from:], ','); n >= 0 {
		r.context = [2]int{from + n + 1, to}
		to = from + n
	} else {
		r.context = [2]int{to, to}
	}
	if to-from >= 2 && line[from] == '"' && line[to-1] == '"' {
		from, to = from+1, to-1
	}
	r.data = [2]int{from, to}
	return *r, true
}

// readProtocolLog reads Exchange's protocol log: rows of several sessions mixed,
// in any order; those of a session are put in the order of their numbers.
func readProtocolLog(b *Block) []Case {
	var rows []protocolRow
	d := &dialogue{b: b, dialect: dialectLetters, format: "exchange-protocol-log"}
	order := map[string]int{}
	for i := b.First; i < b.Last; i++ {
		line := b.Doc.Line(i)
		if len(line) < 40 || line[0] == '#' {
			continue
		}
		r, ok := rowOf(line)
		if !ok {
			continue
		}
		if _, seen := order[r.session]; !seen {
			if len(order) >= maxTalks {
				d.lost = true
				continue
			}
			order[r.session] = len(order)
		}
		r.base, r.line = b.Doc.LineStart(i), i
		rows = append(rows, r)
	}
	slices.SortStableFunc(rows, func(x, y protocolRow) int {
		if x.session != y.session {
			return order[x.session] - order[y.session]
		}
		return x.seq - y.seq
	})
	reversed := receives(b, rows)
	for i := range rows {
		r := &rows[i]
		line := b.Doc.Line(r.line)
		if i == 0 || rows[i-1].session != r.session {
			d.cur = nil
			t := d.begin()
			t.first, t.last = r.line, r.line+1
			if s, n := stampAt(line); n > 0 {
				t.clock, t.session.Began = s, s.item()
			}
		}
		d.row(r, line, reversed)
		t := d.cur
		t.first, t.last = min(t.first, r.line), max(t.last, r.line+1)
	}
	return d.cases()
}

// receives reports whether the log is of a receive connector: the client's
// commands came in.
func receives(b *Block, rows []protocolRow) bool {
	in, out := 0, 0
	for i := range rows {
		r := &rows[i]
		if r.event != '<' && r.event != '>' {
			continue
		}
		data := b.Doc.Line(r.line)[r.data[0]:r.data[1]]
		if (r.event == '<') == isCommandText(data) && !isReplyText(data) == (r.event == '<') {
			in++
		} else {
			out++
		}
	}
	return in > out
}

// row hands one row to the present talk.
func (d *dialogue) row(r *protocolRow, line []byte, reversed bool) {
	t := d.cur
	end := r.remote
	if reversed {
		end = r.local
	}
	if a, port, ok := addressPort(line[end[0]:end[1]]); ok {
		t.session.Address = a
		if t.session.Port == 0 {
			t.session.Port = port
		}
		if t.dialled.IsZero() {
			t.dialled = d.b.mention(Target, host{address: a, port: port}, r.base+end[0], r.base+end[1])
		}
	}
	from, to := r.base+r.data[0], r.base+r.data[1]
	data := line[r.data[0]:r.data[1]]
	switch r.event {
	case '+':
		t.connected = true
	case '-':
		t.finishReply()
		context := line[r.context[0]:r.context[1]]
		if len(t.pending) > 0 && !t.failed() && foldPrefix(context, "remote") {
			t.fail(transcript.FaultClosed, "", r.base+r.context[0], r.base+r.context[1])
		} else if !t.greeted && foldPrefix(context, "remote") {
			t.fail(transcript.FaultClosed, transcript.StageGreet, r.base+r.context[0], r.base+r.context[1])
		}
	case '*':
		for _, part := range [][2]int{r.data, r.context} {
			d.told(line, part, r.base)
		}
	default:
		who := transcript.Client
		if (r.event == '<') != reversed {
			who = transcript.Server
		}
		text := string(data)
		if bytes.Contains(data, []byte(`""`)) {
			text = string(bytes.ReplaceAll(data, []byte(`""`), []byte(`"`)))
		}
		if who == transcript.Server {
			if isReplyText(data) {
				t.server(text, from, to)
			}
			return
		}
		if t.data && text != "." {
			return
		}
		t.client(text, from, to)
	}
}

// told reads what Exchange notes of its own: the certificate, the handshake, the
// fault.
func (d *dialogue) told(line []byte, part [2]int, base int) {
	t := d.cur
	words := line[part[0]:part[1]]
	if len(words) < 8 {
		return
	}
	switch {
	case foldIndex(words, "tls protocol") >= 0 && foldIndex(words, "negotiation succeeded") >= 0:
		t.readTLS(words)
		if t.upgrading {
			t.handshake(transcript.Exchange{})
		}
		return
	case foldIndex(words, "certificate subject") >= 0, foldIndex(words, "certificate thumbprint") >= 0, foldIndex(words, "received certificate") >= 0, foldIndex(words, "sending certificate") >= 0,
		foldIndex(words, "set session permissions") >= 0, foldIndex(words, "proxy") == 0:
		return
	case foldIndex(words, "attempting to connect") >= 0:
		const to = "connect to "
		if n := foldIndex(words, to); n >= 0 && t.dialled.Host == "" {
			if h, k := hostAt(words[n+len(to):]); k > 0 && nameOfServer(h) && h.name != "" {
				at := base + part[0] + n + len(to)
				m := d.b.mention(Target, h, at, at+k)
				m.Address, m.Port = t.dialled.Address, t.dialled.Port
				t.dialled = m
			}
		}
		return
	case foldIndex(words, "winsock") >= 0 || foldIndex(words, "failed to connect") >= 0:
		t.connected = false
	}
	if n := winsockCode(words); n != 0 {
		for _, w := range winsockFaults {
			if w.code == n {
				t.fail(w.fault, w.stage, base+part[0], base+part[1])
				return
			}
		}
	}
	p, _ := programSays(words)
	if p == nil || p.effect != effectFault {
		return
	}
	t.fail(p.fault, p.stage, base+part[0], base+part[1])
}

// winsockFaults are the codes of Windows sockets that Exchange prints.
var winsockFaults = []struct {
	code  int
	fault transcript.Fault
	stage transcript.Stage
}{
	{10060, transcript.FaultTimeout, transcript.StageConnect},
	{10061, transcript.FaultRefused, transcript.StageConnect},
	{10051, transcript.FaultTimeout, transcript.StageConnect},
	{10065, transcript.FaultTimeout, transcript.StageConnect},
	{10054, transcript.FaultReset, ""},
	{11001, transcript.FaultDNS, transcript.StageResolve},
	{11004, transcript.FaultDNS, transcript.StageResolve},
}

// winsockCode reads the code in "Winsock error code: 10060" and "SocketError=…".
func winsockCode(words []byte) int {
	for _, w := range []string{"winsock error code: ", "socket error code ", "error code: ", "socketerrorcode="} {
		if n := foldIndex(words, w); n >= 0 {
			if code, err := strconv.Atoi(string(leadingDigits(words[n+len(w):]))); err == nil {
				return code
			}
		}
	}
	return 0
}
