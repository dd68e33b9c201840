package ndr

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Errors of programs, dialogs of mail programs, job logs of devices: texts in
// which a client tells how a try ended, without a dialogue. They are read in
// pieces that stand by themselves:
//
//	settings   which server, port, TLS, login: labels, a script's line, the words of the error
//	replies    a server's answer, quoted or as a bare code
//	fault      words for what went wrong below SMTP
//
// A reply proves that the server answered: the server is the refuser. A fault
// makes it the target. Where no server is named, the item says only stage and
// reply.

// errorClient is a program by the words its texts begin with.
type errorClient struct {
	words  string // a line begins with them, behind blanks; lower case
	format string
	port   int // the program's default
}

var errorClients = []errorClient{
	{"msmtp:", "msmtp", 0},
	{"curl: (", "curl", 0},
	{"traceback (most recent call last)", "smtplib", 0},
	{"smtplib.", "smtplib", 0},
	{"smtprecipientsrefused", "smtplib", 0},
	{"smtpsenderrefused", "smtplib", 0},
	{"smtpdataerror", "smtplib", 0},
	{"smtpauthenticationerror", "smtplib", 0},
	{"smtpconnecterror", "smtplib", 0},
	{"smtpheloerror", "smtplib", 0},
	{"smtpnotsupportederror", "smtplib", 0},
	{"smtpserverdisconnected", "smtplib", 0},
	{"socket.gaierror", "smtplib", 0},
	{"socket.timeout", "smtplib", 0},
	{"connectionrefusederror", "smtplib", 0},
	{"connectionreseterror", "smtplib", 0},
	{"timeouterror", "smtplib", 0},
	{"ssl.ssl", "smtplib", 0},
	{"oserror: [errno", "smtplib", 0},
	{"send-mailmessage", "powershell", 25},
	{"exception calling \"send\"", "powershell", 25},
	{"ausnahme beim aufrufen von \"send\"", "powershell", 25},
	{"exception lors de l'appel de", "powershell", 25},
	{"system.net.mail.", "dotnet", 25},
	{"unhandled exception. system.net.mail.", "dotnet", 25},
	{"mailkit.", "dotnet", 0},
	{"the mail could not be sent to the recipients because of the mail server failure", "dotnet", 25}, // SQL Server's Database Mail
	{"javax.mail.", "javamail", 0},
	{"jakarta.mail.", "javamail", 0},
	{"com.sun.mail.", "javamail", 0},
	{"org.eclipse.angus.mail.", "javamail", 0},
	{"org.springframework.mail.", "javamail", 0},
	{"caused by: javax.mail.", "javamail", 0},
	{"caused by: jakarta.mail.", "javamail", 0},
	{"caused by: com.sun.mail.", "javamail", 0},
	{"exception in thread \"main\" javax.mail.", "javamail", 0},
	{"phpmailer", "phpmailer", 0},
	{"mailer error:", "phpmailer", 0},
	{"message could not be sent. mailer error:", "phpmailer", 0},
	{"smtp error:", "phpmailer", 0},
	{"smtp connect() failed", "phpmailer", 0},
	{"the following from address failed", "phpmailer", 0},
	{"expected response code", "symfony-mailer", 0},
	{"symfony\\component\\mailer", "symfony-mailer", 0},
	{"swift_", "symfony-mailer", 0},
	{"net::smtp>>>", "perl", 25}, // Perl's own list of its modules; Ruby has exceptions
	{"net::smtp=glob(", "perl", 25},
	{"net::smtp::_ssl=glob(", "perl", 25},
	{"net::smtp: net::cmd", "perl", 25},
	{"net::smtp", "ruby", 0},
	{"task '", "outlook-client", 0},
	{"aufgabe \"", "outlook-client", 0},
	{"account: '", "outlook-client", 0},
	{"subject '", "outlook-client", 0},
	{"sending of the message failed", "thunderbird", 0},
	{"an error occurred while sending mail", "thunderbird", 0},
	{"an error occurred sending mail", "thunderbird", 0},
	{"senden der nachricht fehlgeschlagen", "thunderbird", 0},
	{"beim senden der nachricht", "thunderbird", 0},
	{"unable to authenticate to", "thunderbird", 0},
	{"die authentifizierung am postausgang", "thunderbird", 0},
	{"the outgoing server (smtp)", "thunderbird", 0},
	{"der postausgangs-server (smtp)", "thunderbird", 0},
	{"der postausgangsserver (smtp)", "thunderbird", 0},
	{"le serveur sortant (smtp)", "thunderbird", 0},
	{"login to server", "thunderbird", 0},
	{"cannot send message using the server", "apple-mail", 0},
	{"the server response was:", "apple-mail", 0},
	{"the connection to the server", "apple-mail", 0},
	{"the sender address", "apple-mail", 0},
	{"*** error connecting to", "swaks", 0},
	{"posttls-finger:", "posttls-finger", 25},
	{"s-nail:", "mailx", 0},
	{"mailx:", "mailx", 0},
	{"unable to establish smtp connection to", "perl", 25},
	{gitInitialize, "perl", 25}, // git send-email
	{"email::sender::", "perl", 0},
	{"failed auth:", "perl", 0},
	{"swaks ", "swaks", 25},
	{"openssl s_client ", "openssl", 0},
	{"telnet ", "telnet", 23},
	{"curl ", "curl", 0},
	{"lettre::", "lettre", 0},
	{"error: lettre::", "lettre", 0},
	{"dial tcp", "go", 0},
	{"ora-29279:", "oracle", 25},
	{"ora-29278:", "oracle", 25},
	{"warning: tcp connect to (", "test-netconnection", 0},
	{"nslookup ", "dns-lookup", 0},
	{"> nslookup ", "dns-lookup", 0},
	{"; <<>> dig ", "dns-lookup", 0},
	{"** server can't find ", "dns-lookup", 0},
	{"*** request to ", "dns-lookup", 0},
	{"resolve-dnsname : ", "dns-lookup", 0},
	{"resolve-dnsname: ", "dns-lookup", 0},
	{"ping: ", "ping", 0},
	{"ping request could not find host ", "ping", 0},
	{"ping-anforderung konnte host ", "ping", 0},
	{"tls: ", "go", 0},
	{"x509: ", "go", 0},
	{"server returned error", "gmail-send-as", 0},
	{"authentication failed. please check your username/password", "gmail-send-as", 0},
	{"couldn't reach server", "gmail-send-as", 0},
}

var errorClientTable = func() (t [256][]int) {
	for i := range errorClients {
		c := errorClients[i].words[0]
		t[c] = append(t[c], i)
		if c >= 'a' && c <= 'z' {
			t[c-'a'+'A'] = append(t[c-'a'+'A'], i)
		}
	}
	return t
}()

// clientAt gives the program that a line's beginning speaks of, nil if none.
func clientAt(line []byte) *errorClient {
	i := skipBlanks(line, 0)
	if i+2 < len(line) && (line[i] == '$' || line[i] == '#') && line[i+1] == ' ' {
		i += 2 // a shell's prompt
	}
	if i >= len(line) {
		return nil
	}
	for _, k := range errorClientTable[line[i]] {
		if foldPrefix(line[i:], errorClients[k].words) {
			return &errorClients[k]
		}
	}
	return nil
}

// nodeError is how Node's errors give themselves away.
var nodeError = []string{"nodemailer (", "code: 'E", "command: '", "syscall: '", "responseCode: ", "SMTPConnection."}

func isNodeLine(line []byte) bool {
	for _, w := range nodeError {
		if bytes.Contains(line, []byte(w)) {
			return true
		}
	}
	return false
}

// sniffError says how sure it is that the block tells a program's error.
func sniffError(b *Block) int {
	if b.isDSN() || b.mail != nil && (b.reports() || !b.speaksOfMail()) {
		return 0
	}
	b = b.unwrapped()
	client, node := false, 0
	server, port, fault, reply, lines := false, false, false, false, 0
	last := min(b.Last, b.First+1500)
	// A report has words enough of its own; only a program's name counts there.
	plain := !b.reports()
	for i := b.First; i < last; i++ {
		line := b.Doc.Line(i)
		if len(line) < 3 {
			continue
		}
		if clientAt(line) != nil {
			client = true
			break
		}
		if b.mail != nil && lines > 200 {
			break
		}
		lines++
		if len(line) > 1000 {
			line = line[:1000]
		}
		if isNodeLine(line) {
			node++
		}
		if !plain {
			continue
		}
		if server && (fault || reply) {
			break
		}
		if !server && (bytes.IndexByte(line, ':') >= 0 || bytes.IndexByte(line, '=') >= 0) {
			for _, p := range pairs(line) {
				switch p.kind {
				case labelServer:
					h, n := hostAt(line[p.from:p.to])
					server = server || n > 0 && nameOfServer(h)
				case labelPort:
					port = true
				}
			}
		}
		if !fault {
			p, _ := programSays(line)
			fault = p != nil && p.effect != effectNothing
		}
		if !reply {
			n, _ := findReply(line)
			reply = n >= 0 || quotesResponse(line)
		}
	}
	switch {
	case client, node > 1:
		if b.reports() {
			return 34
		}
		return 58
	case server && (fault || reply):
		return 48
	case b.mail != nil:
		return 0 // a letter may say what it likes
	case port && (fault || reply), fault && reply:
		return 26
	case fault || reply:
		return 16
	}
	return 0
}

// quotesResponse reports whether a line gives a server's reply behind words that
// announce one, also when the client dropped the three digits.
func quotesResponse(line []byte) bool {
	if !bytes.Contains(line, []byte("erv")) {
		return false // no server in any of the languages
	}
	for _, w := range responseWords {
		if n := foldIndex(line, w); n >= 0 {
			rest := bytes.TrimLeft(line[n+len(w):], " \t\"'")
			return statusCode(rest) != "" || len(leadingDigits(rest)) == 3
		}
	}
	return false
}

// told is what a piece of the text tells about one try.
type told struct {
	b           *Block
	settings    settings
	client      *errorClient
	node        bool
	python      bool
	defaultPort int // of a call that names none

	replies     []toldReply
	fault       *programPhrase
	span        transcript.Span
	stage       transcript.Stage // by words beside the fault or the reply
	noAUTH      transcript.Span
	noAUTHStage transcript.Stage // by its words: no AUTH at all, or none that both have
	denied      transcript.Span  // a refusal whose reply is not told
	deniedStage transcript.Stage // of it
	local       transcript.Stage // of a traceback's frames
	told        int              // how much the words of a fault of TLS tell, see tlsTells
	dotted      bool             // the message had gone out
	prose       bool             // a reply stands in somebody's own sentence
	own         bool             // host or recipient stand in this piece itself
	frames      bool             // the line before is a frame of a traceback
	trace       bool             // a traceback that continues another
	first       int
	last        int
}

// toldReply is a reply and whom it is about.
type toldReply struct {
	reply     transcript.Reply
	recipient string
	stage     transcript.Stage
}

// decided reports whether the piece tells how the try ended.
func (t *told) decided() bool {
	return len(t.replies) > 0 || t.fault != nil && t.fault.fault != transcript.FaultNone || !t.noAUTH.IsZero() || !t.denied.IsZero()
}

// readError reads a block as errors of programs.
func readError(b *Block) []Case {
	b = b.unwrapped()
	cut := b.Last-b.First > maxErrorLines
	if cut {
		part := *b
		part.Last = b.First + maxErrorLines
		b = &part
	}
	pieces := piecesOf(b)
	var cases []Case
	carried := settings{}
	mail := b.aboutMail()
	for i := range pieces {
		t := &pieces[i]
		if h := &t.settings.host; h.Host != "" && (slices.Contains(otherPorts, t.settings.port) || !mail && !slices.Contains(mailPorts, t.settings.port)) {
			*h, t.settings.port = Mention{}, 0 // of another service
		}
		if !t.decided() && (len(pieces) > 1 || t.fault == nil) {
			continue
		}
		if t.settings.host.IsZero() {
			t.settings.host, t.settings.sure = carried.host, carried.sure
			if t.settings.port == 0 {
				t.settings.port = carried.port
			}
		}
		if !t.settings.host.IsZero() {
			carried = t.settings
		}
		if items := t.items(); len(items) > 0 {
			c := Case{Format: t.format(), Nature: NatureError, Items: items}
			c.Span = b.span(b.Doc.LineStart(t.first), b.Doc.LineEnd(t.last-1))
			cases = append(cases, c)
		}
	}
	if cut && len(cases) > 0 {
		cases[0].Partial = true
		cases[0].Notes = append(cases[0].Notes, Note{ID: "limit-reached", Text: "The text goes on for more lines than are read for errors of programs; the rest was left out."})
	}
	return cases
}

// mailPorts are the ports of relays and of the programs that stand before them.
var mailPorts = []int{24, 25, 26, 465, 587, 1025, 2465, 2525, 2587, 10024, 10025, 10026}

// otherPorts are ports of services that take no mail: a failure there is of
// another kind, whatever else the text speaks of.
var otherPorts = []int{
	20, 21, 22, 53, 67, 69, 80, 88, 110, 111, 123, 135, 137, 138, 139, 143, 161, 389, 443, 445, 514, 515, 548, 631, 636, 853, 873, 989, 990, 993, 995,
	1433, 1434, 1521, 1723, 1883, 2049, 2375, 2376, 2379, 3000, 3128, 3268, 3269, 3306, 3389, 4190, 5060, 5061, 5222, 5432, 5601, 5671, 5672, 5900, 5985, 5986,
	6379, 6443, 8000, 8006, 8080, 8081, 8443, 8883, 9000, 9090, 9092, 9100, 9200, 9300, 10050, 10051, 11211, 27017,
}

// mailSigns are words of which a text that is about mail has one, in lower case.
var mailSigns = []string{
	"mail", "smtp", "@", "relay", "rcpt", "recipient", "starttls", "ehlo", "helo", "smart host", "smarthost", "postausgang", "ausgangsserver", "empfänger", "empfaenger",
	"destinat", "expéditeur", "expediteur", "absender", "sender", "0x800ccc", "outlook", "exchange", "lotus", "domino", "mta", "newsletter", "deliver", "courriel", "correo", "posta",
}

// aboutMail reports whether the block's words are about mail at all. Programs of
// every kind tell of hosts that did not answer.
func (b *Block) aboutMail() bool {
	t := b.Text()
	for _, w := range mailSigns {
		if foldIndex(t, w) >= 0 {
			return true
		}
	}
	for _, d := range relayDomains(b.options.RelayDomains) {
		if foldIndex(t, strings.ToLower(d)) >= 0 {
			return true
		}
	}
	return false
}

// maxErrorLines bounds the lines that are read for errors: these texts are
// short.
const maxErrorLines = 20_000

// piecesOf cuts the block where one try ends and another begins: at a line with
// a time of its own or behind an empty line, when the piece so far tells its end
// and the next one tells its own end and its own server or recipient. What does
// not stand by itself belongs to the piece before.
func piecesOf(b *Block) []told {
	var list []told
	add := func(first, last int) {
		t := readPiece(b, first, last)
		if n := len(list); n > 0 {
			prev := &list[n-1]
			if !prev.decided() || !t.decided() || !t.own || t.trace || prev.trace || t.same(prev) {
				prev.read(first, last)
				return
			}
		}
		list = append(list, t)
	}
	first := b.First
	size := 0
	for i := b.First; i < b.Last; i++ {
		l := b.Doc.Line(i)
		cut := false
		if i > first {
			if len(bytes.TrimSpace(b.Doc.Line(i-1))) == 0 && len(bytes.TrimSpace(l)) > 0 {
				cut = true
			} else if len(l) > 6 && (isDigit(l[0]) || l[0] == '[' || monthAt(l) != 0) && jobStart(l) {
				cut = true
			}
		}
		if cut && size < 400 {
			add(first, i)
			first = i
			size++
		}
	}
	add(first, b.Last)
	return list
}

// jobStart reports whether a line begins with a time: a new entry of a device's
// log.
func jobStart(l []byte) bool {
	var s said
	if stampLength(l, 0, &s) > 0 {
		return true
	}
	// "[11/23 07:40]", "11/24/2026 9:12 AM".
	i := 0
	if l[0] == '[' {
		i++
	}
	digits, seps, colons := 0, 0, 0
	for ; i < len(l) && i < 24; i++ {
		switch c := l[i]; {
		case isDigit(c):
			digits++
		case c == '/' || c == '-' || c == '.':
			seps++
		case c == ':':
			colons++
		case c == ' ' || c == ']' || c == ',' || c == 'T':
			if digits >= 6 && seps > 0 && colons > 0 {
				return true
			}
		default:
			return digits >= 6 && seps > 0 && colons > 0
		}
	}
	return false
}

// same reports whether the piece tells the end of the piece before once more.
func (t *told) same(prev *told) bool {
	if len(t.replies) > 0 && len(prev.replies) > 0 {
		a, b := &t.replies[0], &prev.replies[0]
		return a.reply.Code == b.reply.Code && a.recipient == b.recipient && a.reply.Text() == b.reply.Text()
	}
	if h := &t.settings.host; len(t.replies) == 0 && h.Host == "" && prev.settings.host.Host != "" && t.fault != nil && prev.fault != nil && t.fault.fault == prev.fault.fault {
		return true // by the address of the same host
	}
	if len(t.replies) > 0 || t.settings.host.Host != prev.settings.host.Host && t.settings.sure > 1 {
		return false
	}
	for _, a := range t.settings.to {
		if !slices.Contains(prev.settings.to, a) {
			return false
		}
	}
	return true
}

// readPiece reads the lines [first, last).
func readPiece(b *Block, first, last int) told {
	t := told{b: b, first: first, last: last}
	t.read(first, last)
	return t
}

// read takes the lines [first, last) into the piece, which they continue.
func (t *told) read(first, last int) {
	t.last = last
	for i := first; i < last; i++ {
		line := t.b.Doc.Line(i)
		if len(line) > 0 {
			t.line(line, t.b.Doc.LineStart(i), i)
		}
	}
	t.own = !t.settings.host.IsZero() && t.settings.sure > 1 || len(t.settings.to) > 0
	for i := range t.replies {
		t.own = t.own || t.replies[i].recipient != ""
	}
}

// isStackLine reports whether the line is a frame of a stack.
func isStackLine(line []byte) bool {
	l := bytes.TrimLeft(line, " \t")
	switch {
	case len(l) < 3:
		return false
	case l[0] == '#' && isDigit(l[1]) && bytes.IndexByte(l, ' ') > 0 && bytes.IndexByte(l, ' ') < 4:
		return true // PHP
	case bytes.HasPrefix(l, []byte("at ")) && (bytes.IndexByte(l, '(') > 0 || bytes.Contains(l, []byte(":line ")) || bytes.Contains(l, []byte("node:"))):
		return true
	case bytes.HasPrefix(l, []byte("... ")), bytes.HasPrefix(l, []byte("^^^")), bytes.HasPrefix(l, []byte("~~~")), bytes.HasPrefix(l, []byte("+ ~~~")):
		return true
	case bytes.Contains(l, []byte(".ps1:")) && bytes.Contains(l[:min(len(l), 24)], []byte(`:\`)):
		return true // PowerShell's place in a script, in any language
	case bytes.HasPrefix(l, []byte("+ CategoryInfo")), bytes.HasPrefix(l, []byte("+ FullyQualifiedErrorId")):
		return true
	case bytes.HasPrefix(l, []byte("   in ")) || bytes.HasPrefix(l, []byte("bei System.")) || bytes.HasPrefix(l, []byte("à System.")):
		return true
	}
	return false
}

func (t *told) line(line []byte, base, number int) {
	if t.b.inLetterhead(base) {
		return
	}
	line = line[:wholeRunes(line, 4096)]
	if c := clientAt(line); c != nil && (t.client == nil || t.client.format == "phpmailer" && c.format != "phpmailer") {
		t.client = c
	}
	if isNodeLine(line) {
		t.node = true
	}
	if t.client == nil && (bytes.Contains(line, []byte("0x800CCC")) || bytes.Contains(line, []byte("0x8004210")) || bytes.Contains(line, []byte("0x80042108"))) {
		t.client = &errorClient{format: "outlook-client"}
	}
	if i := bytes.Index(line, []byte("smtplib.SMTP(")); i >= 0 && portless(line[i+len("smtplib.SMTP("):]) {
		t.defaultPort = 25
	}
	l := bytes.TrimLeft(line, " \t")
	switch {
	case foldPrefix(l, "during handling of the above"), foldPrefix(l, "the above exception was"), foldPrefix(l, "caused by:"), foldPrefix(l, "nested exception"):
		t.trace = true
	case bytes.HasPrefix(l, []byte("File \"")):
		t.frame(l)
		t.frames = true
		return
	case isStackLine(line):
		t.php(l)
		return
	case bytes.HasPrefix(l, []byte("raise ")), bytes.HasPrefix(l, []byte("<")) && bytes.HasSuffix(l, []byte(">")) && bytes.IndexByte(l, '@') < 0:
		return
	}
	t.settings.scan(t.b, line, base)
	if t.client != nil && t.client.format == "test-netconnection" && foldPrefix(l, "computername") {
		t.testedHost(line, base)
	}
	if t.frames {
		// The source line below a frame.
		t.frames = false
		if bytes.Contains(line, []byte("self.getreply()")) && t.local == transcript.StageData && bytes.Contains(line, []byte("(code, msg)")) {
			t.dotted = true
		}
		if len(l) < len(line)-3 {
			return
		}
	}
	t.recipientWords(line, base)
	if t.python3(line, base) || t.perlReply(line, base) || t.netReply(line, base, number) || t.codeApart(line, base) || t.phpReply(line, base) {
		return
	}
	parts := searchable(line)
	for _, p := range parts {
		t.reply(line, p, base)
		t.failure(line, p, base)
	}
}

// testedHost takes the host that PowerShell's Test-NetConnection was told to
// reach: "ComputerName : H". Elsewhere that label names the machine itself.
func (t *told) testedHost(line []byte, base int) {
	n := bytes.IndexByte(line, ':')
	if n < 0 {
		return
	}
	at := skipBlanks(line, n+1)
	if at >= len(line) {
		return
	}
	if h, k := hostAt(line[at:]); k > 0 && h.name != "" && nameOfServer(h) {
		t.settings.setHost(t.b.mention(Named, h, base+at, base+at+k), 3)
	}
}

// echoesRecipient reports whether a reply only says that no recipient was
// accepted before: then the refusal of the recipient is the cause.
func echoesRecipient(r *transcript.Reply) bool {
	return foldIndex([]byte(r.Text()), "no valid recipients") >= 0
}

// codeApart reads replies whose code a program sets apart from the words:
//
//	(code: 554, response: 5.7.1 <r>: …)    PEAR's Net_SMTP: pfSense, Horde, Roundcube
//	('554', ['5.7.1 <r>: …'])              Cisco's appliances
//	command failed,WORDS,530,5.7.0         older PHPMailer
func (t *told) codeApart(line []byte, base int) bool {
	for _, w := range []struct{ lead, joint, close string }{
		{"(code: ", ", response: ", ")"},
		{"('", "', ['", "']"},
	} {
		n := bytes.Index(line, []byte(w.lead))
		if n < 0 {
			continue
		}
		code := n + len(w.lead)
		rest := line[code:]
		if len(rest) < 3+len(w.joint) || !bytes.HasPrefix(rest[3:], []byte(w.joint)) || !isReplyCode(rest[:3]) {
			continue
		}
		from := code + 3 + len(w.joint)
		to := len(line)
		if k := bytes.LastIndex(line[from:], []byte(w.close)); k > 0 {
			to = from + k
		}
		if r, ok := t.makeReply(string(rest[:3])+" "+string(line[from:to]), base+code, base+to); ok {
			stage := r.Stage()
			if stage == transcript.StageUnknown {
				stage = stageWords(line[:n])
			}
			t.add(r, "", stage)
			return true
		}
	}
	const failed = " command failed,"
	n := bytes.Index(line, []byte(failed))
	if n < 0 {
		return false
	}
	from := n + len(failed)
	cells := bytes.Split(line[from:], []byte{','})
	for i := 1; i < len(cells); i++ {
		if len(cells[i]) != 3 || !isReplyCode(cells[i]) {
			continue
		}
		text := string(cells[i])
		if i+1 < len(cells) {
			if e := statusCode(cells[i+1]); e != "" {
				text += " " + e
			}
		}
		r, ok := t.makeReply(text+" "+string(bytes.TrimSpace(bytes.Join(cells[:i], []byte{','}))), base+from, base+len(line))
		if !ok {
			return false
		}
		t.add(r, "", stageWords(line[max(0, n-12):n]))
		return true
	}
	return false
}

// portless reports whether the arguments of a call of smtplib name no port:
// neither as second one nor by its keyword.
func portless(args []byte) bool {
	n := bytes.IndexByte(args, ')')
	if n < 0 {
		return false
	}
	list := bytes.Split(args[:n], []byte{','})
	for i, a := range list {
		a = bytes.TrimSpace(a)
		if foldPrefix(a, "port") || i == 1 && len(a) > 0 && bytes.IndexByte(a, '=') < 0 {
			return false
		}
	}
	return true
}

// searchable gives the parts of a line in which a reply or a fault may stand: of
// a line of settings only the values of results.
func searchable(line []byte) [][2]int {
	if foldPrefix(line, gitInitialize) {
		return [][2]int{{0, len(line)}}
	}
	list := pairs(line)
	set, results := false, [][2]int(nil)
	for _, p := range list {
		switch p.kind {
		case labelServer:
			if says, _ := programSays([]byte(p.label)); says != nil {
				return [][2]int{{0, len(line)}} // "Could not resolve host: H"
			}
			h, n := hostAt(line[p.from:p.to])
			set = set || n > 0 && nameOfServer(h)
		case labelPort:
			set = set || portValue(line[p.from:p.to]) > 0
		case labelSecurity, labelAuth:
			set = set || p.to-p.from < 24 && switchValue(line[p.from:p.to]) != transcript.Unknown
		case labelResult:
			if p.to > p.from {
				// A value may hold labels of its own.
				results = append(results, [2]int{p.from, p.to})
			}
		}
	}
	if set {
		return results
	}
	return [][2]int{{0, len(line)}}
}

// frame reads a frame of Python's traceback: the function of smtplib that failed
// is the stage.
func (t *told) frame(l []byte) {
	if !bytes.Contains(l, []byte("smtplib.py\"")) && !bytes.Contains(l, []byte("aiosmtplib")) {
		return
	}
	t.python = true
	n := bytes.LastIndex(l, []byte(", in "))
	if n < 0 {
		return
	}
	name := string(bytes.TrimSpace(l[n+len(", in "):]))
	for _, f := range pythonFrames {
		if f.name == name {
			t.local = f.stage
			return
		}
	}
}

// php reads a frame of PHP, the innermost first: Symfony Mailer that reads in
// start() and runs no command waits for the greeting; the function that runs the
// command is the stage.
func (t *told) php(l []byte) {
	if bytes.HasSuffix(l, []byte("->executeCommand()")) && t.local == "" {
		t.local = transcript.StageUnknown
		return
	}
	for _, f := range phpFrames {
		if !bytes.HasSuffix(l, []byte(f.name)) {
			continue
		}
		if f.stage == transcript.StageGreet && t.local == "" || f.stage != transcript.StageGreet && t.local == transcript.StageUnknown {
			t.local = f.stage
			t.dotted = t.dotted || f.stage == transcript.StageData
		}
		return
	}
}

// phpFrames are functions of Symfony Mailer.
var phpFrames = []struct {
	name  string
	stage transcript.Stage
}{
	{"->start()", transcript.StageGreet},
	{"->doHeloCommand()", transcript.StageEHLO},
	{"->doEhloCommand()", transcript.StageEHLO},
	{"->callHeloCommand()", transcript.StageEHLO},
	{"->authenticate()", transcript.StageAuth},
	{"->doMailFromCommand()", transcript.StageEnvelope},
	{"->doRcptToCommand()", transcript.StageEnvelope},
	{"->doSend()", transcript.StageData}, // DATA itself, or the final dot: the message may have gone out
}

// pythonFrames are the functions of smtplib.
var pythonFrames = []struct {
	name  string
	stage transcript.Stage
}{
	{"connect", transcript.StageGreet},
	{"_get_socket", transcript.StageConnect},
	{"ehlo", transcript.StageEHLO},
	{"helo", transcript.StageEHLO},
	{"starttls", transcript.StageTLS},
	{"login", transcript.StageAuth},
	{"auth", transcript.StageAuth},
	{"mail", transcript.StageEnvelope},
	{"rcpt", transcript.StageEnvelope},
	{"data", transcript.StageData},
}

// recipientWords finds recipients in the words of errors.
func (t *told) recipientWords(line []byte, base int) {
	for _, w := range []string{"recipient address ", "recipient: '", "rejected e-mail address was '", "was rejected by the server. ", "check the message recipient \"", "check the message recipient ", "recipients failed: ", "message recipient \"", "to recipient ", "-to ", "--mail-rcpt ", "--to ", "address was rejected: ", "empfänger ", "destinataire ", "destination ", "message to "} {
		n := foldIndex(line, w)
		if n < 0 {
			continue
		}
		at := n + len(w)
		for at < len(line) && (line[at] == '"' || line[at] == '\'' || line[at] == '<' || line[at] == ' ') {
			at++
		}
		if a, k := mailboxAt(line[at:]); k > 0 {
			t.settings.addRecipient(a, t.b.span(base+at, base+at+k))
		}
	}
	for _, w := range []string{"envelope from address ", "-from ", "--mail-from "} {
		if n := foldIndex(line, w); n >= 0 && t.settings.sender == "" {
			if a, k := mailboxAt(bytes.TrimLeft(line[n+len(w):], "'\"<")); k > 0 {
				t.settings.sender = a
			}
		}
	}
}

// add keeps a reply.
func (t *told) add(r transcript.Reply, recipient string, stage transcript.Stage) {
	if r.Class() != 0 && r.Class() < 4 || len(t.replies) >= maxItems {
		return
	}
	if recipient == "" {
		recipient = aboutRecipient(&r)
	}
	for i := range t.replies {
		have := &t.replies[i]
		if have.reply.Code == 0 && r.Code != 0 && (have.recipient == recipient || recipient == "") {
			// The code that a program tells apart from the words before it.
			if text := strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(r.Text(), strconv.Itoa(r.Code)), " "+r.Enhanced)); text == "" {
				r.Lines = []string{r.Text() + " " + have.reply.Text()}
			}
			have.reply = r
			if have.stage == "" || have.stage == transcript.StageUnknown {
				have.stage = stage
			}
			return
		}
		if echoesRecipient(&have.reply) && r.Code != 0 && !echoesRecipient(&r) {
			*have = toldReply{r, recipient, stage}
			return
		}
		if have.reply.Code == r.Code && (have.recipient == recipient || recipient == "" || have.recipient == "") {
			// The same again; keep the one that says more.
			if n := r.Text(); len(n) > 4 && len(n) < len(have.reply.Text()) && strings.HasPrefix(have.reply.Text(), n) {
				have.reply = r // the other one runs on into the program's own words
			}
			if len(r.Lines) > 0 && (len(have.reply.Lines) == 0 || len(have.reply.Text()) < 5 && len(r.Text()) > len(have.reply.Text()) || have.reply.Enhanced == "" && r.Enhanced != "") {
				have.reply = r
			}
			if have.recipient == "" {
				have.recipient = recipient
			}
			if have.stage == "" {
				have.stage = stage
			}
			return
		}
	}
	t.replies = append(t.replies, toldReply{r, recipient, stage})
}

// aboutRecipient is the address that a reply begins with, unless the words are
// about a sender.
func aboutRecipient(r *transcript.Reply) string {
	if len(r.Lines) == 0 {
		return ""
	}
	text := r.Lines[0]
	n := strings.IndexByte(text, '<')
	if n < 0 || n > 24 {
		return ""
	}
	a, k := mailboxAt([]byte(text[n:]))
	if k == 0 {
		return ""
	}
	rest := strings.ToLower(strings.TrimLeft(text[n+k:], ":. "))
	if strings.HasPrefix(rest, "sender") || strings.HasPrefix(rest, "client") || strings.HasPrefix(rest, "helo") {
		return ""
	}
	return a
}

// makeReply makes a reply of words that begin with a code.
func (t *told) makeReply(text string, from, to int) (transcript.Reply, bool) {
	text = strings.TrimSpace(text)
	if len(text) > 4 && text[3] == ' ' && text[4] == '"' {
		text = text[:4] + strings.Trim(text[4:], `"`) // Go: 554 "5.7.1 …"
	}
	if strings.Contains(text, `\n`) || strings.Contains(text, `\r`) {
		text = unescapeLiteral(text)
	}
	r, ok := transcript.ParseReply(text)
	if !ok {
		if len(text) < 3 || !isDigit(text[0]) {
			return r, false
		}
		r = transcript.Reply{Code: number([]byte(text[:3])), Lines: []string{text}}
	}
	r.Span = t.b.span(from, to)
	return r, true
}

// reply looks for a reply in a part of the line.
func (t *told) reply(line []byte, part [2]int, base int) {
	words := line[part[0]:part[1]]
	asked := askedHost(words)
	for at := 0; at < len(words); {
		n, end := findReply(words[at:])
		if asked >= 0 && n >= 0 && at+n > asked {
			// What another host told the server; the server's own code, if it is
			// shown, stands in front of its words.
			if n = outerCode(words[at:max(at, asked)]); n < 0 {
				return
			}
			end = len(words) - at
		}
		if n < 0 && at == 0 && len(words) == 3 && part[0] > 0 && announced(line[:part[0]]) {
			// "…, Destination: bob@r.example, Error code: 554": the label announces it.
			if _, k := findReply(line[max(0, part[0]-24):part[1]]); k > 0 {
				n, end = 0, 3
			}
		}
		if n < 0 {
			return
		}
		n, end = n+at, end+at
		if t.client == nil && !t.node && !t.python && inProse(words[:n]) {
			end = n + proseEnd(words[n:end])
			t.prose = true
		}
		r, ok := t.makeReply(string(words[n:end]), base+part[0]+n, base+part[0]+end)
		if ok {
			stage := r.Stage()
			if at := stageBefore(words[:n]); at != "" && stage != transcript.StageTLS {
				stage = at
			}
			if stage == transcript.StageEnvelope && foldIndex(words[:n], "dial failed: ") >= 0 {
				stage = transcript.StageGreet // go-mail had not come to MAIL
			}
			if r.Class() >= 4 && (perlHandle(line) > 0 || foldIndex(words[:n], "smtp service not available: ") >= 0 || foldIndex(words[:n], "error => received: ") >= 0) {
				// Net::SMTP's and sendEmail's line of a dialogue, the only one
				// of it here: the greeting. And posttls-finger's words for one.
				stage = transcript.StageGreet
			}
			if stage == transcript.StageUnknown || stage == "" {
				if stage = stageWords(words); stage == transcript.StageConnect {
					stage = transcript.StageGreet // it answered
				}
			}
			t.add(r, "", stage)
		}
		at = end
		if end-n > 12 {
			return // its text may name other codes
		}
	}
}

// stageBefore is the stage that a program gives in so many words before a reply:
// an exception of Python's, or the code that Symfony waited for.
func stageBefore(words []byte) transcript.Stage {
	for _, e := range pythonErrors {
		if e.stage != transcript.StageUnknown && bytes.Contains(words, []byte(e.name)) {
			return e.stage
		}
	}
	if foldIndex(words, `expected response code "220"`) >= 0 || foldIndex(words, "expected response code 220") >= 0 {
		return transcript.StageGreet
	}
	return ""
}

// stageNames are words near a bare code that say where it was given, in lower
// case.
var stageNames = []struct {
	word  string
	stage transcript.Stage
}{
	{"smtp-server response", transcript.StageGreet},
	{"greeting", transcript.StageGreet},
	{"banner", transcript.StageGreet},
	{"initial ok", transcript.StageGreet},
	{"bad greeting", transcript.StageGreet},
	{"rcpt", transcript.StageEnvelope},
	{"recipient", transcript.StageEnvelope},
	{"empfänger", transcript.StageEnvelope},
	{"destinataire", transcript.StageEnvelope},
	{"destinatario", transcript.StageEnvelope},
	{"mail from", transcript.StageEnvelope},
	{"mail failed", transcript.StageEnvelope},
	{"sender", transcript.StageEnvelope},
	{"absender", transcript.StageEnvelope},
	{"expéditeur", transcript.StageEnvelope},
	{"from address", transcript.StageEnvelope},
	{"relay", transcript.StageEnvelope},
	{"auth", transcript.StageAuth},
	{"login", transcript.StageAuth},
	{"anmeld", transcript.StageAuth},
	{"password", transcript.StageAuth},
	{"passwor", transcript.StageAuth},
	{"kennwort", transcript.StageAuth},
	{"mot de passe", transcript.StageAuth},
	{"credential", transcript.StageAuth},
	{"identifi", transcript.StageAuth},
	{"starttls", transcript.StageTLS},
	{"tls", transcript.StageTLS},
	{"ssl", transcript.StageTLS},
	{"ehlo", transcript.StageEHLO},
	{"helo", transcript.StageEHLO},
	{"data", transcript.StageData},
	{"message body", transcript.StageData},
	{"message size", transcript.StageData},
	{"nachrichteninhalt", transcript.StageData},
	{"connect", transcript.StageConnect},
	{"verbind", transcript.StageConnect},
	{"connexion", transcript.StageConnect},
}

// stageWords is the stage that the words around a bare code speak of.
func stageWords(words []byte) transcript.Stage {
	if len(words) > 400 {
		words = words[:400]
	}
	for _, s := range stageNames {
		if n := foldIndex(words, s.word); n >= 0 && (n == 0 || !isWordByte(words[n-1]) || s.word == "rcpt") {
			return s.stage
		}
	}
	return ""
}

// failure looks for words of a fault in a part of the line. The first one
// counts, but a vague one gives way to one that tells more.
func (t *told) failure(line []byte, part [2]int, base int) {
	words := line[part[0]:part[1]]
	p, n := programSays(words)
	if p == nil && t.client != nil && t.client.format == "mailx" && mailxStops(words) {
		p, n = &mailxRefused, 0
	}
	if p == nil {
		if s := stageWords(words); s != "" && t.stage == "" && (foldIndex(words, "fail") >= 0 || foldIndex(words, "fehl") >= 0 || foldIndex(words, "error") >= 0 || foldIndex(words, "erreur") >= 0 || foldIndex(words, "refus") >= 0 || foldIndex(words, "command: '") >= 0) {
			t.stage = s
			if s == transcript.StageAuth && t.denied.IsZero() && foldIndex(words, "fail") >= 0 {
				t.denied = t.b.span(base+part[0], base+part[1])
			}
		}
		return
	}
	span := t.b.span(base+part[0]+max(0, min(n, len(words))), base+part[1])
	if n < 200 {
		span = t.b.span(base+part[0], base+part[1])
	}
	switch p.effect {
	case effectNothing:
		return
	case effectNoAUTH:
		if t.noAUTH.IsZero() {
			t.noAUTH, t.noAUTHStage = span, p.stage
		}
		return
	case effectRefusal, effectLogin:
		if t.denied.IsZero() {
			t.denied, t.deniedStage = span, p.stage
		}
		if t.stage == "" {
			t.stage = p.stage
		}
		return
	}
	if t.fault == nil || vague(t.fault) && !vague(p) || t.fault.stage == transcript.StageTLS && p.stage == transcript.StageTLS && tlsTells(words) > t.told {
		t.fault, t.span, t.told = p, span, tlsTells(words)
		if p.stage == "" {
			t.stage = stageWords(words)
		}
	}
}

// mailxRefused is what it means when s-nail says that it connects and then
// nothing of how that went.
var mailxRefused = programPhrase{"connecting to", transcript.FaultRefused, transcript.StageConnect, effectFault}

// mailxStops reports whether s-nail broke its own line off: "Connecting to
// ip:port ... " is followed by "connected." or by what went wrong, but for a
// connection that was refused. There the line goes on with what comes next, the
// copy of the message that was kept.
func mailxStops(words []byte) bool {
	const leads, dots = "connecting to ", " ... "
	n := foldIndex(words, leads)
	if n < 0 {
		return false
	}
	k := bytes.Index(words[n:], []byte(dots))
	if k < 0 {
		return false
	}
	rest := bytes.TrimSpace(words[n+k+len(dots):])
	if foldPrefix(rest, "connected") || foldPrefix(rest, "timeout") || foldIndex(rest, "fail") >= 0 {
		return false
	}
	return bytes.Contains(rest, []byte("dead.letter")) || bytes.HasSuffix(rest, []byte("message not sent"))
}

// vague reports whether the fault only says that there is no connection.
func vague(p *programPhrase) bool {
	return p.fault == transcript.FaultNone || p.fault == transcript.FaultTimeout && p.stage == transcript.StageConnect && !strings.Contains(p.words, "tim") ||
		p.fault == transcript.FaultClosed && p.stage == ""
}

// format names the program.
func (t *told) format() string {
	switch {
	case t.node:
		return "nodemailer"
	case t.client != nil:
		return t.client.format
	case t.python:
		return "smtplib"
	case t.settings.sure == 2 && t.settings.labelled:
		return "device"
	case t.prose && !t.settings.labelled:
		return "letter"
	}
	return "program-error"
}

// ownName is the name that a server gives itself in the 421 with which it closes
// (RFC 5321 §4.2.2): "421 4.4.2 H Error: timeout exceeded".
func (t *told) ownName(r *transcript.Reply) Mention {
	if r.Code != 421 && !(r.Code == 0 && (r.Enhanced == "4.4.2" || r.Enhanced == "4.7.0" || r.Enhanced == "4.3.2")) || len(r.Lines) == 0 {
		return Mention{}
	}
	words := strings.TrimLeft(strings.TrimPrefix(strings.TrimPrefix(r.Lines[0], "421"), " "), " -")
	words = strings.TrimLeft(strings.TrimPrefix(words, r.Enhanced), " ")
	h, n := hostAt([]byte(words))
	if n == 0 || h.name == "" || !looksLikeHost([]byte(h.name)) || n < len(words) && words[n] != ' ' {
		return Mention{}
	}
	m := Mention{Host: h.name, Role: Named, Span: r.Span}
	from, to := t.b.Doc.LineStart(t.first), t.b.Doc.LineEnd(t.last-1)
	if k := bytes.Index(t.b.Doc.Text[from:to], []byte(words[:n])); k >= 0 {
		m.Span = t.b.span(from+k, from+k+n)
	}
	return m
}

// askedHost finds the host that the server has asked about an address (Postfix:
// "undeliverable address: host H[ip] said: 550 …"): what H said is a part of the
// server's words. It is -1 if there is none.
func askedHost(words []byte) int {
	for _, w := range []string{"undeliverable address: host ", "unverified address: host "} {
		if n := foldIndex(words, w); n >= 0 {
			return n
		}
	}
	return -1
}

// outerCode finds the reply code in front of a server's words: "550 <r>: …" at
// their beginning or behind a colon. It is -1 if there is none.
func outerCode(words []byte) int {
	for i := 0; i+4 < len(words); i++ {
		if (i == 0 || i > 1 && words[i-1] == ' ' && words[i-2] == ':') && (words[i] == '4' || words[i] == '5') &&
			words[i+3] == ' ' && isReplyCode(words[i:i+3]) {
			return i
		}
	}
	return -1
}

// nestedHost reports whether a host stands inside the server's own words as somebody
// whom the server has asked: "undeliverable address: host H said: 550 …".
func nestedHost(r *transcript.Reply, host transcript.Span) bool {
	return host.Offset >= r.Span.Offset && host.End <= r.Span.End && strings.Contains(r.Text(), " said:")
}

// maxApart is how many lines may lie between the settings of a program and the
// words for its failure: the source lines of a long traceback.
const maxApart = 150

// farOff reports whether the line is far from all that tells how the try ended.
func (t *told) farOff(line int) bool {
	near := func(s transcript.Span) bool {
		return !s.IsZero() && s.Line-line <= maxApart && line-s.Line <= maxApart
	}
	for i := range t.replies {
		if near(t.replies[i].reply.Span) {
			return false
		}
	}
	return line > 0 && !near(t.span) && !near(t.noAUTH) && !near(t.denied)
}

// items gives the outcomes of the piece.
func (t *told) items() []Item {
	s := &t.settings
	port := s.port
	if port == 0 && !s.host.IsZero() {
		port = t.defaultPort
		if t.client != nil && port == 0 {
			port = t.client.port
		}
	}
	base := Item{Sender: s.sender, Port: port, Secure: transcript.Unknown, Authenticated: transcript.Unknown}
	if s.auth == transcript.No {
		base.Authenticated = transcript.No
	}
	recipients := func() []string {
		if len(s.to) == 0 {
			return []string{""}
		}
		return s.to
	}
	var items []Item
	put := func(it Item) {
		if it.Evidence == nil {
			for _, m := range []Mention{it.Refuser, it.Target} {
				if !m.IsZero() {
					it.Evidence = append(it.Evidence, m)
				}
			}
		}
		items = append(items, it)
	}
	host := func(role Role) Mention {
		m := s.host
		if m.Port == 0 {
			m.Port = port
		}
		m.Role = role
		return m
	}
	if len(t.replies) == 1 && t.fault != nil && t.fault.effect == effectNoTLS && (t.replies[0].reply.Code == 500 || t.replies[0].reply.Code == 502) {
		t.replies = nil // the answer to a STARTTLS that somebody took out of the offer
	}
	if s.sure < 3 && t.farOff(s.host.Span.Line) {
		s.host, s.port, base.Port = Mention{}, 0, 0 // somewhere else in a long text
	}
	if len(t.replies) > 0 && s.host.Host == "" {
		if m := t.ownName(&t.replies[0].reply); m.Host != "" {
			m.Address, m.Port = s.host.Address, s.host.Port
			s.host = m
		}
	}
	if len(t.replies) > 0 {
		base.Secure = s.secure
		named := false
		for i := range t.replies {
			named = named || t.replies[i].recipient != ""
		}
		for i := range t.replies {
			r := &t.replies[i]
			if named && r.recipient == "" {
				continue
			}
			it := base
			it.Reply = r.reply
			it.Stage = r.stage
			if it.Stage == "" || it.Stage == transcript.StageUnknown {
				it.Stage = t.stage
			}
			if t.fault != nil && t.fault.stage == transcript.StageGreet && it.Stage != transcript.StageAuth {
				it.Stage = transcript.StageGreet
			}
			if t.deniedStage == transcript.StageGreet || t.deniedStage == transcript.StageData {
				it.Stage = t.deniedStage // the program says what was answered
			}
			if r.reply.Code == 530 {
				it.Stage = transcript.StageTLS // wherever it was said
			}
			if !s.host.IsZero() && !nestedHost(&r.reply, s.host.Span) {
				it.Refuser = host(Refuser)
			}
			if named {
				it.Recipient = r.recipient
				put(it)
				continue
			}
			to := recipients()
			if o := it.Stage.Order(); o >= 0 && o <= transcript.StageAuth.Order() {
				to = to[:1] // refused before any recipient was named
			}
			for _, one := range to {
				it.Recipient = one
				put(it)
			}
			break // what follows are consequences
		}
		return items
	}
	it := base
	it.Recipient = recipients()[0]
	switch {
	case !t.noAUTH.IsZero():
		it.Stage = t.noAUTHStage
		it.FaultSpan = t.noAUTH
		if !s.host.IsZero() {
			it.Refuser = host(Refuser)
		}
	case t.fault != nil:
		it.Fault, it.FaultSpan, it.Stage = t.fault.fault, t.span, t.fault.stage
		if t.local != "" && t.local != transcript.StageUnknown && it.Stage != transcript.StageTLS && it.Stage != transcript.StageResolve && it.Fault != transcript.FaultRefused {
			it.Stage = t.local
			if t.local == transcript.StageGreet && it.Fault == transcript.FaultTimeout && t.fault.stage == transcript.StageConnect {
				it.Stage = transcript.StageConnect
			}
		}
		if it.Stage == "" {
			it.Stage = t.stage
		}
		if it.Stage == transcript.StageConnect && (it.Fault == transcript.FaultClosed || it.Fault == transcript.FaultReset) && t.fault.stage == "" {
			it.Stage = transcript.StageUnknown // "Connection to H has been closed": it was open
		}
		if it.Stage == "" {
			switch it.Fault {
			case transcript.FaultTimeout, transcript.FaultRefused:
				it.Stage = transcript.StageConnect
			default:
				it.Stage = transcript.StageUnknown
			}
		}
		if !s.host.IsZero() {
			it.Target = host(Target)
		}
		if t.dotted && it.Stage == transcript.StageData {
			it.Session = &transcript.Session{
				Source: t.format(), Server: s.host.Host, Port: port,
				Exchanges: []transcript.Exchange{{Stage: transcript.StageData, Command: ".", Fault: it.Fault, Span: t.span}},
			}
		}
	default:
		it.FaultSpan = t.denied
		it.Stage = t.stage
		if !s.host.IsZero() {
			// It answered; with which reply is not told.
			it.Refuser = host(Refuser)
		}
	}
	put(it)
	return items
}
