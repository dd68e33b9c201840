package ndr

import (
	"bytes"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// spokenRow is a row of a log of a Windows mail server. They hold the dialogue of several sessions,
// mixed; each row names its session, who spoke and what was said.
//
// hMailServer, cells between tabs, strings in quotes; SMTPC is its client,
// SMTPD its server:
//
//	"SMTPC"	2688	14	"2026-11-24 09:01:02.101"	"192.0.2.10"	"RECEIVED: 220 R ESMTP"
//
// The SMTP service of IIS, in the W3C format with a plus for each blank; the
// column of the user tells who spoke:
//
//	2026-11-24 09:20:01 192.0.2.10 OutboundConnectionResponse SMTPSVC1 WEB01 - 25 - - 220+R+ESMTP 0 0 40 …
type spokenRow struct {
	session string
	who     transcript.Speaker
	said    [2]int // in the line
	address string // empty: not stated
	port    int
}

// spokenLog is a format of such logs.
type spokenLog struct {
	format string
	marks  []string // a row holds one of them
	row    func(line []byte) (spokenRow, bool)
	text   func(said []byte) []string // what was said, a string per line
}

var spokenLogs = []spokenLog{
	{"hmailserver", []string{"\"SMTPC\"\t"}, hMailRow, func(said []byte) []string {
		var lines []string
		for _, l := range bytes.Split(said, []byte("[nl]")) {
			lines = append(lines, string(l))
		}
		return lines
	}},
	{"iis-smtp", []string{" OutboundConnectionResponse ", " OutboundConnectionCommand "}, iisRow, func(said []byte) []string {
		said = bytes.Replace(said, []byte(" - "), []byte{' '}, 1) // the column between verb and argument
		return []string{string(bytes.ReplaceAll(said, []byte{'+'}, []byte{' '}))}
	}},
}

// spokenLogOf finds the format of a line, nil if it is of none.
func spokenLogOf(line []byte) *spokenLog {
	for i := range spokenLogs {
		for _, m := range spokenLogs[i].marks {
			if bytes.Contains(line, []byte(m)) {
				return &spokenLogs[i]
			}
		}
	}
	return nil
}

func sniffSpoken(b *Block) int {
	if b.isDSN() || b.reports() {
		return 0
	}
	for i := b.First; i < min(b.Last, b.First+40); i++ {
		line := b.Doc.Line(i)
		if len(line) < 20 || line[0] != '"' && !isDigit(line[0]) {
			continue
		}
		if k := spokenLogOf(line); k != nil {
			if _, ok := k.row(line); ok {
				return 88
			}
		}
	}
	return 0
}

// readSpoken reads the sessions of such a log, each in the order of its rows.
func readSpoken(b *Block) []Case {
	var d *dialogue
	talks := map[string]*talk{}
	for i := b.First; i < b.Last; i++ {
		line := b.Doc.Line(i)
		if len(line) < 20 {
			continue
		}
		k := spokenLogOf(line)
		if k == nil {
			continue
		}
		r, ok := k.row(line)
		if !ok {
			continue
		}
		if d == nil {
			d = &dialogue{b: b, dialect: dialectLetters, format: k.format}
		}
		lines := k.text(line[r.said[0]:r.said[1]])
		base := b.Doc.LineStart(i)
		from, to := base+r.said[0], base+r.said[1]
		t := talks[r.session]
		// IIS has no number for a session: a greeting begins the next one.
		if t == nil || r.who == transcript.Server && t.greeted && t.newGreeting(lines[0]) {
			if t != nil {
				t.finishReply()
			}
			t = d.begin()
			if d.lost {
				break
			}
			t.first, t.connected = i, true
			t.session.Address, t.session.Port = r.address, r.port
			t.dialled = b.mention(Target, host{address: r.address, port: r.port}, base, base+len(line))
			if at := bytes.IndexFunc(line, func(c rune) bool { return c >= '0' && c <= '9' }); at >= 0 {
				for ; at < len(line)-10; at++ {
					if s, n := stampAt(line[at:]); n >= 10 {
						t.clock, t.session.Began = s, s.item()
						break
					}
				}
			}
			talks[r.session] = t
		}
		t.last = i + 1
		for _, text := range lines {
			switch {
			case text == "":
			case r.who == transcript.Client:
				t.client(text, from, to)
			case r.who == transcript.Server && isReplyText([]byte(text)):
				t.server(text, from, to)
			}
		}
	}
	if d == nil {
		return nil
	}
	for _, t := range d.talks {
		t.finishReply()
	}
	return d.cases()
}

// hMailRow takes a row of hMailServer's client apart.
func hMailRow(line []byte) (r spokenRow, ok bool) {
	if !bytes.HasPrefix(line, []byte("\"SMTPC\"\t")) {
		return r, false
	}
	var cells [6][2]int
	at := 0
	for k := range cells {
		end := len(line)
		if n := bytes.IndexByte(line[at:], '\t'); n >= 0 && k < len(cells)-1 {
			end = at + n
		}
		from, to := at, end
		for to > from && (line[to-1] == ' ' || line[to-1] == '\t') {
			to--
		}
		if to-from >= 2 && line[from] == '"' && line[to-1] == '"' {
			from, to = from+1, to-1
		}
		cells[k] = [2]int{from, to}
		if at = end + 1; at > len(line) && k < len(cells)-1 {
			return r, false
		}
	}
	r.session = string(line[cells[2][0]:cells[2][1]])
	r.address, _ = parseAddress(line[cells[4][0]:cells[4][1]])
	from, to := cells[5][0], cells[5][1]
	for _, w := range []struct {
		words string
		who   transcript.Speaker
	}{{"RECEIVED: ", transcript.Server}, {"SENT: ", transcript.Client}} {
		if bytes.HasPrefix(line[from:to], []byte(w.words)) {
			r.who, r.said = w.who, [2]int{from + len(w.words), to}
			return r, true
		}
	}
	return r, false
}

// iisRow takes a row of the SMTP service of IIS apart. The columns are found
// from the one of the user, which is the first that no setting leaves out.
func iisRow(line []byte) (r spokenRow, ok bool) {
	var words [24][2]int
	n, user := 0, -1
	for at := 0; at < len(line) && n < len(words); {
		for at < len(line) && line[at] == ' ' {
			at++
		}
		end := at
		for end < len(line) && line[end] != ' ' {
			end++
		}
		if end > at {
			words[n] = [2]int{at, end}
			switch string(line[at:end]) {
			case "OutboundConnectionResponse":
				user, r.who = n, transcript.Server
			case "OutboundConnectionCommand":
				user, r.who = n, transcript.Client
			}
			n++
		}
		at = end
	}
	if user < 1 || user+7 >= n {
		return r, false
	}
	word := func(k int) []byte { return line[words[k][0]:words[k][1]] }
	r.address, _ = parseAddress(word(user - 1))
	r.session = string(word(user - 1))
	if p := number(word(user + 4)); p > 0 && p < 65536 {
		r.port = p
	}
	verb, argument := user+5, user+7
	r.said = words[argument]
	if r.who == transcript.Client {
		if len(word(verb)) == 1 {
			return r, false
		}
		if len(word(argument)) == 1 && word(argument)[0] == '-' {
			r.said = words[verb]
		} else {
			r.said = [2]int{words[verb][0], words[argument][1]}
		}
	}
	return r, true
}
