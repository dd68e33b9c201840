package transcript

import "strings"

// marks are the ways in which programs mark who speaks. The longer stands
// before the shorter. What a reply looks like decides all the same: a line
// "250 …" is the server's under any mark.
var marks = [...]struct {
	mark string
	who  Speaker
}{
	{"CLIENT -> SERVER:", Client},
	{"SERVER -> CLIENT:", Server},
	{"SMTP -> FROM SERVER:", Server},
	{"SMTP -> get_lines():", Server},
	{"-> ", Client},
	{"~> ", Client},
	{"**> ", Client},
	{"*~> ", Client},
	{"<- ", Server},
	{"<~ ", Server},
	{"<** ", Server},
	{"<~* ", Server},
	{"=== ", Other},
	{"*** ", Other},
	{">>> ", Client},
	{"<<< ", Server},
	{"SMTP>> ", Client},
	{"SMTP<< ", Server},
	{"SMTP> ", Client},
	{"SMTP< ", Server},
	{"--> ", Client},
	{"<-- ", Server},
	{">> ", Client},
	{"<< ", Server},
	{"C: ", Client},
	{"S: ", Server},
	{"C:\t", Client},
	{"S:\t", Server},
	{"c: ", Client},
	{"s: ", Server},
	{"Client: ", Client},
	{"Server: ", Server},
	{"client: ", Client},
	{"server: ", Server},
	{"CLIENT: ", Client},
	{"SERVER: ", Server},
	{"client> ", Client},
	{"server> ", Server},
	{"SEND: ", Client},
	{"RECV: ", Server},
	{"SENT: ", Client},
	{"Sent: ", Client},
	{"send: ", Client},
	{"reply: ", Server},
	{"Out: ", Server},
	{"In:  ", Client},
	{"In: ", Client},
	{"> ", Client},
	{"< ", Server},
}

// spokenLine is one line of a text as a line of a dialogue.
type spokenLine struct {
	who        Speaker
	marked     bool   // a mark says who speaks
	start, end int    // what was said, in the text
	stream     string // of interleaved sessions; empty: the only one
}

// speaker takes the marks off text[from:to].
func (f *finder) speaker(from, to int) spokenLine {
	text := f.text
	l := spokenLine{start: from, end: to}
	if stream, start, end, ok := protocolLog(text, from, to); ok {
		l.stream, l.start, l.end, l.marked = stream, start, end, true
		l.who = Client
	} else if stream, start, end, ok := hMailRow(text, from, to); ok {
		l.stream, l.start, l.end, l.marked = stream, start, end, true
		l.who = Client
	} else {
		l.start, l.who, l.marked = f.mark(from, to)
	}
	// Quotation marks of a program's own literals: 'AUTH PLAIN …\r\n', b'334 …'.
	s := text[l.start:l.end]
	s = strings.TrimLeft(s, " \t")
	l.start = l.end - len(s)
	if len(s) > 1 && (s[0] == 'b' || s[0] == 'u') && (s[1] == '\'' || s[1] == '"') {
		l.start++
		s = s[1:]
	}
	if len(s) > 1 && (s[0] == '\'' || s[0] == '"') {
		if end := strings.LastIndexByte(s, s[0]); end > 0 {
			l.start++
			l.end = l.start + end - 1
			s = text[l.start:l.end]
		}
	}
	for {
		t := strings.TrimRight(s, " \t")
		t = strings.TrimSuffix(strings.TrimSuffix(t, `\n`), `\r`)
		if len(t) == len(s) {
			break
		}
		s = t
	}
	l.end = l.start + len(s)
	switch {
	case isReplyLine(s):
		l.who = Server
	case l.who == Server:
		l.who = Other
	case !l.marked:
		l.who = Client
	}
	return l
}

func isReplyLine(s string) bool {
	_, _, ok := cutCode(s)
	return ok && (len(s) == 3 || s[3] == ' ' || s[3] == '-')
}

// mark finds the mark of a line: at its start, behind the quote marks of a
// mail, or behind the stamp of a log. It returns where the words begin.
func (f *finder) mark(from, to int) (start int, who Speaker, marked bool) {
	text := f.text
	i := from
	quoted := false
	for {
		i = skipBlanks(text, i)
		rest := text[i:to]
		for _, m := range marks {
			if len(m.mark) > 2 && strings.HasPrefix(rest, m.mark) && !(quoted && m.mark == ">> ") {
				return i + len(m.mark), m.who, true
			}
		}
		if strings.HasPrefix(rest, ">") || strings.HasPrefix(rest, "|") {
			quoted = true
			i++
			continue
		}
		break
	}
	if rest := text[i:to]; strings.HasPrefix(rest, "< ") {
		return i + 2, Server, true
	}
	if quoted {
		// "> " is curl's mark of the client, and a mail's quote mark.
		return i, Client, f.curl(from)
	}
	// Behind a stamp: the log of a server or a library.
	head := text[i:min(to, i+220)]
	for _, m := range [...]struct {
		mark string
		who  Speaker
	}{
		{"CLIENT -> SERVER: ", Client},
		{"SERVER -> CLIENT: ", Server},
		{" C: ", Client},
		{" S: ", Server},
		{" >>> ", Client},
		{" <<< ", Server},
		{" SMTP>> ", Client},
		{" SMTP<< ", Server},
		{" SMTP> ", Client},
		{" SMTP< ", Server},
		{" --> ", Client},
		{" <-- ", Server},
		{" >> ", Client},
		{" << ", Server},
		{" -> ", Client},
		{" <- ", Server},
		{" ~> ", Client},
		{" <~ ", Server},
		{" **> ", Client},
		{" <** ", Server},
		{" *~> ", Client},
		{" <~* ", Server},
		{" send: ", Client},
		{" reply: ", Server},
		{" SEND: ", Client},
		{" RECV: ", Server},
		{" CMD: ", Client}, // SmarterMail
		{" RSP: ", Server},
	} {
		if n := strings.Index(head, m.mark); n >= 0 {
			return i + n + len(m.mark), m.who, true
		}
	}
	// Postfix with debug_peer_list: "…: > host[ip]:25: AUTH PLAIN …".
	for _, m := range [...]string{"]: > ", "]: < "} {
		if n := strings.Index(head, m); n >= 0 {
			at := n + len(m)
			if c := strings.Index(head[at:], ": "); c >= 0 {
				return i + at + c + 2, Client, true
			}
		}
	}
	return skipStamps(text, i, to), Client, false
}

// skipStamps passes over what a log puts before the words: up to four stamps
// of time, dates, numbers in brackets and tags such as "[SMTP]".
func skipStamps(text string, i, to int) int {
	for range 4 {
		j := i
		colon, digit, other := false, false, false
		bracket := j < to && text[j] == '['
		for j < to && text[j] != ' ' && text[j] != '\t' && j-i < 40 {
			switch c := text[j]; {
			case isDigit(c):
				digit = true
			case c == ':' || c == '/':
				colon = true
			case strings.IndexByte(".,-+TZ[]()", c) >= 0:
			default:
				other = true
			}
			j++
		}
		switch {
		case j >= to || j == i || j-i >= 40:
			return i
		case bracket && text[j-1] == ']' && !isToken(text[i:j]):
		case digit && colon && !other:
		case digit && !other && j-i == 10 && text[i+4] == '-': // 2026-11-24
		default:
			return i
		}
		i = skipBlanks(text, j)
	}
	return i
}

// curl reports whether "> " in this text is curl's mark: its "< 334" stands
// nearby.
func (f *finder) curl(at int) bool {
	lo, hi := max(0, at-2000), min(len(f.text), at+500)
	s := f.text[lo:hi]
	return strings.HasPrefix(s, "< ") || strings.Contains(s, "\n< ")
}

// protocolLog reads a row of Exchange's protocol log: date-time, connector-id,
// session-id, sequence-number, local-endpoint, remote-endpoint, event, data,
// context.
func protocolLog(text string, from, to int) (stream string, start, end int, ok bool) {
	i := from
	var field [7]int
	for n := range field {
		field[n] = i
		c := strings.IndexByte(text[i:to], ',')
		if c < 0 {
			return "", 0, 0, false
		}
		i += c + 1
	}
	if i-field[6] != 2 || strings.IndexByte("<>*+-", text[field[6]]) < 0 {
		return "", 0, 0, false
	}
	end = to
	if c := strings.LastIndexByte(text[i:to], ','); c >= 0 {
		end = i + c
	}
	if text[field[6]] == '*' || text[field[6]] == '+' || text[field[6]] == '-' {
		end = i // a note: nothing was said
	}
	return text[field[2] : field[3]-1], i, end, true
}

// hMailRow reads a row of hMailServer's log: "SMTPC" or "SMTPD", a thread, the
// session, a time and an address between tabs, then "SENT: …" or "RECEIVED: …".
func hMailRow(text string, from, to int) (stream string, start, end int, ok bool) {
	row := text[from:to]
	if !strings.HasPrefix(row, "\"SMTPC\"\t") && !strings.HasPrefix(row, "\"SMTPD\"\t") {
		return "", 0, 0, false
	}
	for _, w := range [...]string{"\t\"SENT: ", "\t\"RECEIVED: "} {
		n := strings.Index(row, w)
		if n < 0 {
			continue
		}
		if cells := strings.SplitN(row[:n], "\t", 4); len(cells) > 2 {
			stream = cells[0] + cells[2]
		}
		start = from + n + len(w)
		end = start + len(strings.TrimSuffix(strings.TrimRight(text[start:to], " \t"), "\""))
		return stream, start, end, true
	}
	return "", 0, 0, false
}

// mailEnableRow reads a row of MailEnable's activity log, in which a command and
// the reply to it stand between tabs: time, "SMTP-OU" or "SMTP-IN", the session,
// a number, an address, the verb, the command, the reply.
func mailEnableRow(text string, from, to int) (command, reply spokenLine, ok bool) {
	row := text[from:to]
	if !strings.Contains(row, "\tSMTP-OU\t") && !strings.Contains(row, "\tSMTP-IN\t") {
		return command, reply, false
	}
	at := from
	var cells [8]string
	for i := range cells {
		end := to
		if n := strings.IndexByte(text[at:to], '\t'); n >= 0 {
			end = at + n
		} else if i < len(cells)-1 {
			return command, reply, false
		}
		cells[i] = text[at:end]
		switch said := (spokenLine{who: Client, marked: true, start: at, end: end}); i {
		case 6:
			command = said
		case 7:
			reply = said
			reply.who = Server
		}
		at = end + 1
	}
	command.stream, reply.stream = cells[2], cells[2]
	return command, reply, true
}

// iisRow reads a row of the log of IIS's SMTP service, in the W3C format with a
// plus for each blank; the words are the verb, a hyphen and the argument:
//
//	… OutboundConnectionCommand SMTPSVC1 WEB01 - 25 AUTH - PLAIN+… 0 0 4 0 47 SMTP - - - -
//	… OutboundConnectionResponse SMTPSVC1 WEB01 - 25 - - 334+UGFzc3dvcmQ6 0 0 …
func (f *finder) iisRow(st *talkState, from, to int) {
	const mark = " OutboundConnection"
	n := strings.Index(f.text[from:to], mark)
	if n < 0 {
		return
	}
	// The verb is the fifth word behind the mark, the argument the seventh.
	at := from + n + 1
	var words [8][2]int
	for i := range words {
		end := at
		for end < to && f.text[end] != ' ' {
			end++
		}
		words[i] = [2]int{at, end}
		if at = end + 1; at > to {
			return
		}
	}
	start, end := words[5][0], words[7][1]
	if f.text[words[7][0]:end] == "-" {
		end = words[5][1]
	}
	// Blanks for what stands for a blank, so that offsets stay.
	said := strings.ReplaceAll(strings.Replace(f.text[start:end], " - ", "   ", 1), "+", " ")
	if f.text[words[0][0]:words[0][1]] != mark[1:]+"Command" {
		st.step(Server, strings.TrimLeft(said, "- "))
		return
	}
	if a, b := st.step(Client, said); a < b && !alreadyHidden(said[a:b]) {
		secret := f.text[start+a : start+b]
		f.hide(start+a, start+b, st.learn(secret)...)
	}
}
