package ndr

import (
	"bytes"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// python3 reads the exceptions of Python's smtplib, which carry replies as
// tuples:
//
//	SMTPRecipientsRefused: {'r': (554, b'5.7.1 …'), 'r2': (550, b'…')}
//	SMTPAuthenticationError: (535, b'5.7.8 …')
//	SMTPSenderRefused: (530, b'5.7.0 …', 's')
func (t *told) python3(line []byte, base int) bool {
	n := bytes.Index(line, []byte("SMTP"))
	if n < 0 || bytes.IndexByte(line[n:], '(') < 0 && bytes.IndexByte(line[n:], '{') < 0 {
		return false
	}
	stage := transcript.Stage("")
	for _, e := range pythonErrors {
		if k := bytes.Index(line, []byte(e.name)); k >= 0 {
			stage = e.stage
			n = k + len(e.name)
			break
		}
	}
	if stage == "" {
		return false
	}
	found := false
	for at := n; at < len(line); {
		k := bytes.IndexByte(line[at:], '(')
		if k < 0 {
			break
		}
		open := at + k
		if open+5 > len(line) || !isDigit(line[open+1]) || !isDigit(line[open+2]) || !isDigit(line[open+3]) || line[open+4] != ',' {
			at = open + 1
			continue
		}
		from, to, next := literalAt(line, open+5)
		if from < 0 {
			break
		}
		code := string(line[open+1 : open+4])
		recipient := ""
		if key := line[n:open]; stage == transcript.StageEnvelope {
			// The key of the tuple stands right before it.
			key = bytes.TrimRight(key, " :'\"")
			if c := bytes.LastIndexAny(key, "'\""); c >= 0 {
				key = key[c+1:]
				if a, f, _ := findMailbox(key); f >= 0 {
					recipient = a
				}
			}
		}
		lines := splitLines(unescapeLiteral(string(line[from:to])))
		for i, l := range lines {
			sep := " "
			if i < len(lines)-1 {
				sep = "-"
			}
			lines[i] = code + sep + l
		}
		if len(lines) == 0 {
			lines = []string{code}
		}
		r, ok := transcript.ParseReply(lines[0])
		if ok {
			r.Lines = lines
			r.Span = t.b.span(base+open+1, base+to)
			s := stage
			if r.Code == 530 {
				s = transcript.StageTLS
			}
			t.add(r, recipient, s)
			found = true
		}
		if stage == transcript.StageEnvelope && t.settings.sender == "" && bytes.Contains(line[:n], []byte("SMTPSenderRefused")) {
			if a, f, _ := findMailbox(line[next:]); f >= 0 {
				t.settings.sender = a
			}
		}
		at = next
	}
	if found {
		t.python = true
	}
	return found
}

// pythonErrors are smtplib's exceptions with a reply.
var pythonErrors = []struct {
	name  string
	stage transcript.Stage
}{
	{"SMTPRecipientsRefused", transcript.StageEnvelope},
	{"SMTPSenderRefused", transcript.StageEnvelope},
	{"SMTPDataError", transcript.StageData},
	{"SMTPAuthenticationError", transcript.StageAuth},
	{"SMTPConnectError", transcript.StageGreet},
	{"SMTPHeloError", transcript.StageEHLO},
	{"SMTPResponseException", transcript.StageUnknown},
}

// literalAt finds the string literal at or behind i: b'…', '…', "…".
func literalAt(line []byte, i int) (from, to, next int) {
	for i < len(line) && (line[i] == ' ' || line[i] == 'b' || line[i] == 'u') {
		i++
	}
	if i >= len(line) || line[i] != '\'' && line[i] != '"' {
		return -1, -1, len(line)
	}
	quote := line[i]
	for k := i + 1; k < len(line); k++ {
		if line[k] == '\\' {
			k++
			continue
		}
		if line[k] == quote {
			return i + 1, k, k + 1
		}
	}
	return i + 1, len(line), len(line)
}

// responseWords stand before the server's reply in dialogs and exceptions, in
// lower case.
var responseWords = []string{
	"the server response was:", "the server responded:", "server responded:", "mail server responded:", "server response was:", "the response was:",
	"serverantwort war:", "die serverantwort lautete:", "antwort des servers:", "der mail-server antwortete:", "der mailserver antwortete:", "server antwortete:",
	"la réponse du serveur était :", "la réponse du serveur était:", "la réponse du serveur a été :", "le serveur a répondu :", "a répondu :",
	"respuesta del servidor fue:", "respuesta del servidor es:", "la risposta del server è:", "risposta del server:", "risposta del server è stata:",
	"antwoord van de server was:", "serverantwoord was:", "resposta do servidor foi:", "resposta do servidor:", "odpowiedź serwera:", "svaret från servern var:", "serversvaret var:", "serversvaret blev:", "ответ сервера:", "服务器响应为:", "サーバー応答:",
	"server returned error:", "response from the remote server:", "server said:",
	"s-nail: smtp server:", "mailx: smtp server:", "failed auth:", "failed after rcpt to:", "failed after mail from:", "failed after data:", "failed auth ",
}

// netCodes are the sentences that .NET puts in place of the three digits it
// drops.
var netCodes = []struct {
	words string
	code  int
}{
	{"transaction failed", 554},
	{"transaktion", 554},
	{"transaction a échoué", 554},
	{"échec de la transaction", 554},
	{"mailbox unavailable", 550},
	{"postfach nicht verfügbar", 550},
	{"boîte aux lettres non disponible", 550},
	{"buzón no disponible", 550},
	{"cassetta postale non disponibile", 550},
	{"postvak niet beschikbaar", 550},
	{"caixa de correio", 550},
	{"mailbox busy", 450},
	{"service not available", 421},
	{"dienst nicht verfügbar", 421},
	{"insufficient system storage", 452},
	{"exceeded storage allocation", 552},
	{"mailbox name not allowed", 553},
	{"user not local", 551},
	{"client was not authenticated", 530},
	{"secure connection or the client", 530},
	{"nicht authentifiziert", 530},
	{"syntax error", 500},
	{"bad sequence of commands", 503},
	{"error in processing", 451},
}

// netReply reads a reply behind "The server response was:" and its kin. .NET
// drops the three digits: "5.7.1 <r>: Relay access denied" has no code. A reply
// may run on in the next line.
func (t *told) netReply(line []byte, base, number int) bool {
	for _, w := range responseWords {
		n := foldIndex(line, w)
		if n < 0 {
			continue
		}
		at := n + len(w)
		for at < len(line) && (line[at] == ' ' || line[at] == '\t' || line[at] == '"' || line[at] == '\'') {
			at++
		}
		end := len(line)
		if at > 0 && at < len(line) && (line[at-1] == '"' || line[at-1] == '\'') {
			if k := closingQuote(line, at-1); k > 0 {
				end = k
			}
		}
		lead := line[:min(n, len(line))] // what stands before the server's words
		if at >= end && number+1 < t.last {
			// The reply stands in the next line.
			next := t.b.Doc.Line(number + 1)
			base = t.b.Doc.LineStart(number + 1)
			line, at, end = next, skipBlanks(next, 0), len(next)
		}
		if at >= end {
			return false
		}
		text := line[at:end]
		// What a dialog adds behind the reply.
		for _, tail := range []string{". please check", " please check", ". bitte prüfen", ". bitte überprüfen", ". veuillez", ", code: ", ", port: "} {
			if k := foldIndex(text, tail); k > 0 {
				text = text[:k]
			}
		}
		// Apple Mail names the recipient first: "bob@r.example 5.7.1 …".
		recipient := ""
		if a, k := mailboxAt(text); k > 0 && text[0] != '<' {
			recipient = a
			at += k
			text = bytes.TrimLeft(text[k:], " :")
		}
		text = closeBrackets(text)
		r, ok := transcript.ParseReply(strings.TrimRight(string(text), " \"'"))
		if !ok {
			code := 0
			for _, c := range netCodes {
				if foldIndex(lead, c.words) >= 0 {
					code = c.code
					break
				}
			}
			if code == 0 || len(bytes.TrimSpace(text)) == 0 {
				return false
			}
			r = transcript.Reply{Code: code, Lines: []string{strings.TrimSpace(string(text))}}
		}
		r.Span = t.b.span(base+at, base+min(at+len(text), len(line)))
		stage := r.Stage()
		if stage == transcript.StageUnknown {
			stage = stageWords(lead)
		}
		if transcript.KindOf(r) == transcript.KindStartTLSRequired || transcript.KindOf(r) == transcript.KindAuthRequired && r.Code == 0 {
			stage = transcript.StageTLS
		}
		t.add(r, recipient, stage)
		return true
	}
	return false
}

// closeBrackets cuts the end off a reply that closes brackets which were opened
// before it: "(… The server response was: 5.7.1 … denied). )".
func closeBrackets(text []byte) []byte {
	depth := 0
	for i, c := range text {
		switch c {
		case '(':
			depth++
		case ')':
			if depth--; depth < 0 {
				return bytes.TrimRight(text[:i], " .")
			}
		}
	}
	return text
}

// perlSteps are the words with which Email::Sender begins, by the command that
// failed, in lower case. Behind them stands Net::SMTP's message: the reply
// without its three digits, which may stand alone, too.
var perlSteps = []struct {
	words string
	stage transcript.Stage
}{
	{"failed auth: ", transcript.StageAuth},
	{"can't starttls: ", transcript.StageTLS},
	{" failed after mail from: ", transcript.StageEnvelope},
	{" failed after rcpt to: ", transcript.StageEnvelope},
	{"error at after data: ", transcript.StageData},
	{"error at rcpt to: ", transcript.StageEnvelope},
}

// perlReply reads a reply as Net::SMTP's message method gives it: "5.7.1 <r>:
// Relay access denied".
func (t *told) perlReply(line []byte, base int) bool {
	at, stage := 0, transcript.Stage("")
	if len(line) < 8 || bytes.IndexByte(line, '.') < 0 {
		return false
	}
	if !isDigit(line[0]) {
		for _, s := range perlSteps {
			if n := foldIndex(line[:min(len(line), 330)], s.words); n >= 0 && (n == 0 || s.words[0] == ' ') {
				at, stage = n+len(s.words), s.stage
				break
			}
		}
		if stage == "" {
			return false
		}
	}
	code := statusCode(line[at:])
	if code == "" || code[0] < '4' || at+len(code)+1 >= len(line) || line[at+len(code)] != ' ' {
		return false
	}
	text := strings.TrimSpace(string(line[at:]))
	r := transcript.Reply{Enhanced: code, Lines: []string{text}, Span: t.b.span(base+at, base+len(line))}
	kind := transcript.KindOf(r)
	if stage == "" {
		if kind == transcript.KindUnknown {
			return false // any line may begin with a number
		}
		if stage = r.Stage(); stage == transcript.StageUnknown || stage == "" {
			if a := strings.TrimSpace(text[len(code):]); strings.HasPrefix(a, "<") {
				stage = transcript.StageEnvelope // about an address
			}
		}
	}
	if kind == transcript.KindStartTLSRequired {
		stage = transcript.StageTLS
	}
	t.add(r, "", stage)
	return true
}

// phpRecipient reads "r: <r>: Relay access denied", with which PHPMailer lists
// refused recipients without a code.
func (t *told) phpRecipient(line []byte, base int) bool {
	at := 0
	if n := foldIndex(line, "recipients failed: "); n >= 0 {
		at = n + len("recipients failed: ")
	} else if t.client == nil || t.client.format != "phpmailer" {
		return false
	}
	a, k := mailboxAt(line[at:])
	if k == 0 || at+k+2 >= len(line) || line[at+k] != ':' {
		return false
	}
	from := at + k + 2
	words := string(bytes.TrimSpace(line[from:]))
	if words == "" {
		return false
	}
	r, ok := transcript.ParseReply(words)
	if !ok {
		r = transcript.Reply{Lines: []string{words}}
	}
	r.Span = t.b.span(base+from, base+len(line))
	t.add(r, a, transcript.StageEnvelope)
	return true
}

// phpReply reads the errors of PHPMailer that tell code and text apart:
// "SMTP server error: MAIL FROM command failed Detail: WORDS SMTP code: 530
// Additional SMTP info: 5.7.0", and "r: <r>: Relay access denied" without one.
func (t *told) phpReply(line []byte, base int) bool {
	const mark = "smtp code: "
	n := foldIndex(line, mark)
	if n < 0 {
		return t.phpRecipient(line, base)
	}
	at := n + len(mark)
	code := number(leadingDigits(line[at:]))
	if code < 400 || code > 599 {
		return false
	}
	r := transcript.Reply{Code: code, Span: t.b.span(base+at, base+at+3)}
	if k := foldIndex(line, "additional smtp info: "); k >= 0 {
		r.Enhanced = statusCode(line[k+len("additional smtp info: "):])
	}
	words := ""
	if k := foldIndex(line, "detail: "); k >= 0 && k < n {
		words = strings.TrimSpace(string(line[k+len("detail: ") : n]))
	}
	text := string(line[at : at+3])
	if r.Enhanced != "" {
		text += " " + r.Enhanced
	}
	if words != "" {
		text += " " + words
	}
	r.Lines = []string{text}
	stage := r.Stage()
	if k := foldIndex(line, " command failed"); k >= 0 {
		head := line[:k]
		if c := bytes.LastIndexAny(head, ":."); c >= 0 {
			head = head[c+1:]
		}
		if at := stageWords(head); at != "" {
			stage = at
		}
	}
	if stage == transcript.StageUnknown {
		stage = stageWords(line)
	}
	t.add(r, "", stage)
	return true
}
