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
//
// MailEnable, cells between tabs, a command and its reply in one row; SMTP-OU is
// its client, SMTP-IN its server:
//
//	11/24/26 08:12:00	SMTP-OU	2A11C0	1188	192.0.2.10	RCPT	RCPT TO:<r>	554 5.7.1 …	33	58
type spokenRow struct {
	session string
	who     transcript.Speaker
	said    [2]int // in the line
	command [2]int // what the client said before, in the same row; empty: nothing
	own     bool   // the program is the server here: its own clients talk to it
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
	{"hmailserver", []string{"\"SMTPC\"\t", "\"SMTPD\"\t"}, hMailRow, func(said []byte) []string {
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
	{"mailenable", []string{"\tSMTP-OU\t", "\tSMTP-IN\t"}, mailEnableRow, func(said []byte) []string {
		return []string{string(said)}
	}},
}

// relayingTo are hMailServer's words for the host that its settings send
// everything to, before the connection.
const relayingTo = "Relaying to host "

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
	own := map[*talk]bool{}
	var smarthost Mention
	for i := b.First; i < b.Last; i++ {
		line := b.Doc.Line(i)
		if len(line) < 20 {
			continue
		}
		k := spokenLogOf(line)
		if k == nil {
			if n := bytes.Index(line, []byte(relayingTo)); n >= 0 && bytes.HasPrefix(line, []byte("\"APPLICATION\"")) {
				at := n + len(relayingTo)
				if h, m := hostAt(line[at:]); m > 0 {
					smarthost = b.mention(Target, h, b.Doc.LineStart(i)+at, b.Doc.LineStart(i)+at+m)
				}
			}
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
			switch {
			case r.own:
				own[t] = true
			case !smarthost.IsZero():
				t.dialled = smarthost
				t.dialled.Address = r.address
				smarthost = Mention{}
			default:
				t.dialled = b.mention(Target, host{address: r.address, port: r.port}, base, base+len(line))
			}
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
		if r.command[1] > r.command[0] {
			t.client(string(line[r.command[0]:r.command[1]]), base+r.command[0], base+r.command[1])
		}
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
	d.talks = handOffs(d.talks, own)
	return d.cases()
}

// handOffs leaves out the sessions of the program's own clients where it shows
// one of its own with another server, and those in which it refused nothing:
// whether it passes mail on does not show there.
func handOffs(all []*talk, own map[*talk]bool) []*talk {
	if len(own) == 0 {
		return all
	}
	kept := all[:0]
	for _, t := range all {
		if !own[t] || len(own) == len(all) && t.session.FirstFailureIndex() >= 0 {
			kept = append(kept, t)
		}
	}
	return kept
}

// tabCells finds the cells between tabs, without quotes and blanks around them;
// the last one goes to the end of the line. It reports false when there are
// fewer.
func tabCells(line []byte, cells [][2]int) bool {
	at := 0
	for k := range cells {
		end := len(line)
		if n := bytes.IndexByte(line[min(at, end):], '\t'); n >= 0 && k < len(cells)-1 {
			end = at + n
		}
		from, to := min(at, end), end
		for from < to && line[from] == ' ' {
			from++
		}
		for to > from && (line[to-1] == ' ' || line[to-1] == '\t') {
			to--
		}
		if to-from >= 2 && line[from] == '"' && line[to-1] == '"' {
			from, to = from+1, to-1
		}
		cells[k] = [2]int{from, to}
		if at = end + 1; at > len(line) && k < len(cells)-1 {
			return false
		}
	}
	return true
}

// hMailRow takes a row of hMailServer apart: SMTPC is its client, SMTPD its
// server.
func hMailRow(line []byte) (r spokenRow, ok bool) {
	r.own = bytes.HasPrefix(line, []byte("\"SMTPD\"\t"))
	if !r.own && !bytes.HasPrefix(line, []byte("\"SMTPC\"\t")) {
		return r, false
	}
	var cells [6][2]int
	if !tabCells(line, cells[:]) {
		return r, false
	}
	r.session = string(line[cells[2][0]:cells[2][1]])
	if !r.own { // else it is the client's
		r.address, _ = parseAddress(line[cells[4][0]:cells[4][1]])
	}
	from, to := cells[5][0], cells[5][1]
	for _, w := range []struct {
		words    string
		who, own transcript.Speaker
	}{{"RECEIVED: ", transcript.Server, transcript.Client}, {"SENT: ", transcript.Client, transcript.Server}} {
		if bytes.HasPrefix(line[from:to], []byte(w.words)) {
			if r.who = w.who; r.own {
				r.who = w.own
			}
			r.said = [2]int{from + len(w.words), to}
			return r, true
		}
	}
	return r, false
}

// mailEnableRow takes a row of MailEnable's SMTP activity log apart.
func mailEnableRow(line []byte) (r spokenRow, ok bool) {
	var cells [9][2]int
	if !tabCells(line, cells[:]) {
		return r, false
	}
	word := func(k int) []byte { return line[cells[k][0]:cells[k][1]] }
	switch string(word(1)) {
	case "SMTP-IN":
		r.own = true
	case "SMTP-OU":
	default:
		return r, false
	}
	r.session = string(word(2))
	address, known := parseAddress(word(4))
	if !known && tokenAt(word(4), "[ip-") == 0 {
		return r, false
	}
	if !r.own {
		r.address = address
	}
	r.who, r.command, r.said = transcript.Server, cells[6], cells[7]
	return r, r.said[1] > r.said[0] || r.command[1] > r.command[0]
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
