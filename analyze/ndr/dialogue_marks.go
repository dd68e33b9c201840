package ndr

import (
	"bytes"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// dialect is a way of writing an SMTP dialogue down: the marks that say who
// speaks.
type dialect uint8

const (
	dialectNone    dialect = iota
	dialectSwaks           // swaks, and this program's own text form
	dialectArrow           // "< " and "> ": curl, Symfony
	dialectDouble          // "<< " and ">> ": Swift Mailer
	dialectTriple          // "<<< " and ">>> ": Sendmail, ftp-like clients
	dialectLong            // "<-- " and "--> ": msmtp
	dialectSmtplib         // reply: b'…' and send: '…': Python
	dialectQuoted          // -> "…" and <- "…": Ruby, with the server on the left
	dialectPHP             // SERVER -> CLIENT: and CLIENT -> SERVER:
	dialectLetters         // S: and C:, Server: and Client:, RECV: and SEND:
	dialectBoxed           // [<-] and [->], <rx> and <tx>
	dialectGo              // C --> S: and C <-- S: of go-mail; the rest of a reply has neither mark nor code
	dialectBare            // no marks at all: telnet, nc, openssl, JavaMail
	numDialects
)

// formatOf is the Case.Format of a dialect whose program is not known.
var formatOf = [numDialects]string{
	dialectSwaks: "swaks", dialectArrow: "dialogue", dialectDouble: "dialogue", dialectTriple: "dialogue",
	dialectLong: "msmtp-debug", dialectSmtplib: "smtplib", dialectQuoted: "dialogue", dialectPHP: "phpmailer",
	dialectLetters: "dialogue", dialectBoxed: "dialogue", dialectGo: "go-mail", dialectBare: "telnet",
}

// dialogueMark is what stands before a line that was said.
type dialogueMark struct {
	words   string
	dialect dialect
	who     transcript.Speaker
	secure  bool
	literal byte // the quote that ends the line; 0: it is not quoted
}

// dialogueMarks are the marks, longer ones before their beginnings.
var dialogueMarks = []dialogueMark{
	{"<~* ", dialectSwaks, transcript.Server, true, 0},
	{"<** ", dialectSwaks, transcript.Server, false, 0},
	{"<~ ", dialectSwaks, transcript.Server, true, 0},
	{"<-- ", dialectLong, transcript.Server, false, 0},
	{"<- \"", dialectQuoted, transcript.Client, false, '"'},
	{"<- ", dialectSwaks, transcript.Server, false, 0},
	{"-> \"", dialectQuoted, transcript.Server, false, '"'},
	{"-> ", dialectSwaks, transcript.Client, false, 0},
	{"~> ", dialectSwaks, transcript.Client, true, 0},
	{"**> ", dialectSwaks, transcript.Client, false, 0},
	{"*~> ", dialectSwaks, transcript.Client, true, 0},
	{"--> ", dialectLong, transcript.Client, false, 0},
	{"<<<< ", dialectTriple, transcript.Server, false, 0},
	{">>>> ", dialectTriple, transcript.Client, false, 0},
	{"<<< ", dialectTriple, transcript.Server, false, 0},
	{">>> ", dialectTriple, transcript.Client, false, 0},
	{"<< ", dialectDouble, transcript.Server, false, 0},
	{">> ", dialectDouble, transcript.Client, false, 0},
	{"<rx> ", dialectBoxed, transcript.Server, false, 0},
	{"<tx> ", dialectBoxed, transcript.Client, false, 0},
	{"[<-] ", dialectBoxed, transcript.Server, false, 0},
	{"[->] ", dialectBoxed, transcript.Client, false, 0},
	{"< ", dialectArrow, transcript.Server, false, 0},
	{"> ", dialectArrow, transcript.Client, false, 0},
	{"reply: b'", dialectSmtplib, transcript.Server, false, '\''},
	{"reply: b\"", dialectSmtplib, transcript.Server, false, '"'},
	{"reply: '", dialectSmtplib, transcript.Server, false, '\''},
	{"send: b'", dialectSmtplib, transcript.Client, false, '\''},
	{"send: b\"", dialectSmtplib, transcript.Client, false, '"'},
	{"send: '", dialectSmtplib, transcript.Client, false, '\''},
	{"send: \"", dialectSmtplib, transcript.Client, false, '"'},
	{"SERVER -> CLIENT:", dialectPHP, transcript.Server, false, 0},
	{"CLIENT -> SERVER:", dialectPHP, transcript.Client, false, 0},
	{"CLIENT -> SMTP:", dialectPHP, transcript.Client, false, 0},
	{"SMTP -> FROM SERVER:", dialectPHP, transcript.Server, false, 0},
	{"SMTP Response: ", dialectLetters, transcript.Server, false, 0},
	{"SMTP Send: ", dialectLetters, transcript.Client, false, 0},
	{"SERVER: ", dialectLetters, transcript.Server, false, 0},
	{"CLIENT: ", dialectLetters, transcript.Client, false, 0},
	{"Server: ", dialectLetters, transcript.Server, false, 0},
	{"Client: ", dialectLetters, transcript.Client, false, 0},
	{"RSP: ", dialectLetters, transcript.Server, false, 0}, // SmarterMail
	{"CMD: ", dialectLetters, transcript.Client, false, 0},
	{"RECV: ", dialectLetters, transcript.Server, false, 0},
	{"SEND: ", dialectLetters, transcript.Client, false, 0},
	{"recv: ", dialectLetters, transcript.Server, false, 0},
	{"send: ", dialectLetters, transcript.Client, false, 0},
	{"Received: ", dialectLetters, transcript.Server, false, 0},
	{"Sending: ", dialectLetters, transcript.Client, false, 0},
	{"Sent: ", dialectLetters, transcript.Client, false, 0},
	{"C --> S: ", dialectGo, transcript.Client, false, 0},
	{"C <-- S: ", dialectGo, transcript.Server, false, 0},
	{"S: ", dialectLetters, transcript.Server, false, 0},
	{"C: ", dialectLetters, transcript.Client, false, 0},
	{"R: ", dialectLetters, transcript.Server, false, 0},
	{"S:", dialectLetters, transcript.Server, false, 0},
	{"C:", dialectLetters, transcript.Client, false, 0},
}

// markTable finds the marks by their first byte.
var markTable = func() (t [256][]dialogueMark) {
	for _, m := range dialogueMarks {
		t[m.words[0]] = append(t[m.words[0]], m)
	}
	return t
}()

// markAt gives the mark at s[i:], nil if there is none.
func markAt(s []byte, i int) *dialogueMark {
	rows := markTable[s[i]]
	for k := range rows {
		if w := rows[k].words; len(s)-i >= len(w) && string(s[i:i+len(w)]) == w {
			return &rows[k]
		}
		// A mark at the end of a line has lost its blank.
		if w := rows[k].words; w[len(w)-1] == ' ' && len(s)-i == len(w)-1 && string(s[i:]) == w[:len(w)-1] {
			return &rows[k]
		}
	}
	return nil
}

// isReplyText reports whether a server may have said it: three digits, then a
// blank, a hyphen or the end (RFC 5321 §4.2).
func isReplyText(s []byte) bool {
	if len(s) < 3 || s[0] < '2' || s[0] > '5' || !isDigit(s[1]) || !isDigit(s[2]) {
		return false
	}
	return len(s) == 3 || s[3] == ' ' || s[3] == '-'
}

// isCommandText reports whether it is an SMTP command as clients write it. A
// word that also begins sentences wants its argument or nothing behind it.
func isCommandText(s []byte) bool {
	s = bytes.TrimRight(s, " \t\r")
	if len(s) < 4 || len(s) > 3000 {
		return false
	}
	switch s[0] | 0x20 {
	case 'e':
		return argument(s, "ehlo ") || foldEqual(s, "ehlo")
	case 'h':
		return argument(s, "helo ")
	case 'l':
		return argument(s, "lhlo ")
	case 'm':
		return path(s, "mail from")
	case 'r':
		return path(s, "rcpt to") || foldEqual(s, "rset")
	case 's':
		return foldEqual(s, "starttls")
	case 'a':
		if !foldPrefix(s, "auth ") || len(s) < 9 {
			return false
		}
		for _, m := range []string{"plain", "login", "cram-md5", "xoauth2", "ntlm", "digest-md5", "oauthbearer", "scram-", "gssapi", "external"} {
			if foldPrefix(s[5:], m) {
				return true
			}
		}
		return false
	case 'd':
		return foldEqual(s, "data")
	case 'q':
		return foldEqual(s, "quit")
	case 'n':
		return foldEqual(s, "noop")
	case 'b':
		return foldPrefix(s, "bdat ") && len(s) > 5 && isDigit(s[5])
	case 'v':
		return foldPrefix(s, "vrfy ") && bytes.IndexByte(s, ' ') == 4 && bytes.Count(s, []byte{' '}) == 1
	}
	return false
}

// argument reports whether s is the verb with one word behind it.
func argument(s []byte, verb string) bool {
	return foldPrefix(s, verb) && len(s) > len(verb) && bytes.IndexByte(bytes.TrimLeft(s[len(verb):], " "), ' ') < 0
}

// path reports whether s is the verb with a path behind it.
func path(s []byte, verb string) bool {
	if !foldPrefix(s, verb) {
		return false
	}
	rest := bytes.TrimLeft(s[len(verb):], " \t")
	if len(rest) == 0 || rest[0] != ':' && rest[0] != '<' {
		return false
	}
	return bytes.IndexByte(rest, '<') >= 0 || bytes.IndexByte(rest, '@') >= 0
}

// said is a line of a dialogue without what stands before it.
type said struct {
	mark     *dialogueMark // nil: no mark
	from, to int           // of what was said, in the line
	strong   bool          // it is a reply of the server or a command of the client
	clock    stamp
	tag      [2]int // the last bracketed group before the mark, a session's id
}

// sayingAt looks for a mark at the beginning of the line and behind what
// programs put there: time, level, ids in brackets, the name of a program.
func sayingAt(line []byte) said {
	var s said
	i := skipBlanks(line, 0)
	if n := perlHandle(line[i:]); n > 0 {
		i += n
	}
	free := false // a word without a shape of its own may be skipped: the host behind a time
	for step := 0; step < 9 && i < len(line) && i < 160; step++ {
		if m := markAt(line, i); m != nil {
			s.fill(line, i, m)
			if s.strong || step == 0 && m.dialect != dialectLetters || m.literal != 0 {
				return s // what stands in quotes may be the message
			}
			s.mark = nil
		}
		if n := fileNumber(line[i:]); n > 0 && step > 0 {
			s.fill(line, i+n, markAt(line, i+n))
			return s
		}
		if n := stampLength(line, i, &s); n > 0 {
			free = line[i] != '['
			i = skipFill(line, i+n)
			continue
		}
		n, ok := skippable(line, i)
		if !ok && free {
			n, ok, free = wordLength(line, i), true, false
		}
		if !ok || n == 0 {
			break
		}
		if line[i] == '[' || line[i] == '(' {
			s.tag = [2]int{i, i + n}
		}
		i = skipFill(line, i+n)
	}
	return s
}

// perlHandle is the length of the handle that Perl's Net::Cmd writes before its
// marks: "Net::SMTP=GLOB(0x55d0c0ffee00)".
func perlHandle(s []byte) int {
	if !bytes.HasPrefix(s, []byte("Net::")) {
		return 0
	}
	n := bytes.IndexByte(s, ')')
	if n < 0 || n > 80 || !bytes.Contains(s[:n], []byte("=GLOB(")) {
		return 0
	}
	return n + 1
}

// fileNumber is the length of the descriptor that mutt writes before its marks:
// the 4 of "4< 220 R ESMTP".
func fileNumber(s []byte) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	if n == 0 || n > 3 || n+1 >= len(s) || s[n] != '<' && s[n] != '>' || s[n+1] != ' ' {
		return 0
	}
	return n
}

// fill takes the mark at line[i:] and what follows it.
func (s *said) fill(line []byte, i int, m *dialogueMark) {
	s.mark = m
	s.from = min(i+len(m.words), len(line))
	s.to = len(line)
	if m.literal != 0 {
		if end := bytes.LastIndexByte(line[s.from:], m.literal); end >= 0 {
			s.to = s.from + end
		}
	} else {
		for s.from < s.to && (line[s.from] == ' ' || line[s.from] == '\t') {
			s.from++
		}
		for s.to > s.from && (line[s.to-1] == ' ' || line[s.to-1] == '\t') {
			s.to--
		}
	}
	text := line[s.from:s.to]
	if m.literal != 0 {
		text = trimEscapes(text)
	}
	if m.dialect == dialectLetters {
		// RFC 821 has S for the sender and R for the receiver: what was said tells.
		s.strong = isReplyText(text) || isCommandText(text)
		return
	}
	if m.dialect == dialectTriple {
		s.strong = isReplyText(text) || isCommandText(text) // IceWarp has the server on the right
		return
	}
	s.strong = m.who == transcript.Server && isReplyText(text) || m.who == transcript.Client && isCommandText(text)
}

// trimEscapes cuts the escaped line end off a literal.
func trimEscapes(s []byte) []byte {
	for bytes.HasSuffix(s, []byte(`\n`)) || bytes.HasSuffix(s, []byte(`\r`)) {
		s = s[:len(s)-2]
	}
	return s
}

func stampLength(line []byte, i int, s *said) int {
	c := line[i]
	if !isDigit(c) && (c < 'A' || c > 'Z') && c != '[' {
		return 0
	}
	at := i
	if c == '[' {
		at++
	}
	t, n := stampAt(line[at:])
	if n == 0 {
		return 0
	}
	if !t.when.IsZero() || s.clock.when.IsZero() {
		s.clock = t
	}
	n += at - i
	if c == '[' {
		if end := bytes.IndexByte(line[i:], ']'); end > 0 && end < 80 {
			return end + 1
		}
		return 0
	}
	return n
}

// skipFill skips blanks and the bars of container logs.
func skipFill(line []byte, i int) int {
	for i < len(line) && (line[i] == ' ' || line[i] == '\t' || line[i] == '|' || line[i] == ':') {
		i++
	}
	return i
}

func wordLength(line []byte, i int) int {
	n := bytes.IndexAny(line[i:], " \t")
	if n < 0 || n > 64 {
		return 0
	}
	return n
}

// levels are words of logging frameworks.
var levels = []string{"debug", "info", "trace", "warn", "warning", "error", "notice", "verbose", "fine", "finest", "finer", "success"}

// skippable recognises what may stand before a mark by its shape: a group in
// brackets, a level, a word with a colon, a process with its id.
func skippable(line []byte, i int) (n int, ok bool) {
	switch c := line[i]; {
	case c == '[' || c == '(':
		end := bytes.IndexByte(line[i:], closingOf(c))
		if end < 0 || end > 100 {
			return 0, false
		}
		return end + 1, true
	case c == '=' && bytes.HasPrefix(line[i:], []byte("=> ")):
		return 2, true
	case c == '*' || c == '-' || c == '#':
		if i+1 < len(line) && line[i+1] == ' ' {
			return 1, true
		}
		return 0, false
	}
	n = wordLength(line, i)
	if n == 0 {
		return 0, false
	}
	word := line[i : i+n]
	if word[n-1] == ':' || word[n-1] == ']' || word[n-1] == '|' {
		return n, n > 2
	}
	for _, l := range levels {
		if foldEqual(word, l) {
			return n, true
		}
	}
	digits := 0
	for _, c := range word {
		if isDigit(c) {
			digits++
		}
	}
	return n, digits*2 > n // counters, epoch seconds
}
