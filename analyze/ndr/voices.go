package ndr

import "bytes"

// voice is who speaks in a line of a paste: a program that tells what it did, a
// mail server's log, or a report. People paste several below each other, and
// what one says is no answer to what the other asked.
type voice uint8

const (
	voiceNone voice = iota // prose, frames of a stack, lines that anybody writes
	voiceReport
	voiceSwaks
	voiceCurl
	voiceSymfony
	voicePython
	voiceNode
	voicePHPMailer
	voiceJava
	voiceRuby
	voicePerl
	voiceSendEmail
	voiceGo
	voiceMsmtp
	voiceMutt
	voiceMailx
	voicePosttls
	voiceOpenSSL
	voiceTelnet
	voiceNetcat
	voiceSSMTP
	voiceLetters
	voiceQueue
	voiceOwn // a transcript of handoff itself
	voiceLog // voiceLog+mta
)

// voiceRow is a phrase that one program alone begins a line with.
type voiceRow struct {
	words string
	voice voice
	// begins: a run of the program begins with it; ends: it is the last word of a
	// failure. A line that is both is a whole failure.
	begins, ends bool
}

// voiceRows are looked for at the beginning of a line, or behind its stamp. The
// first that fits counts.
var voiceRows = []voiceRow{
	{"=== Session: ", voiceOwn, true, false},
	{"=== Trying ", voiceSwaks, true, false},
	{"=== Connection closed", voiceSwaks, false, true},
	{"=== Connected to ", voiceSwaks, false, false},
	{"=== TLS ", voiceSwaks, false, false},
	{"*** Error connecting", voiceSwaks, false, true},
	{"*** Remote host closed", voiceSwaks, false, true},
	{"*** TLS ", voiceSwaks, false, false},
	{"<-  2", voiceSwaks, false, false},
	{"<** ", voiceSwaks, false, false},
	{"*   Trying ", voiceCurl, true, false},
	{"* Trying ", voiceCurl, true, false},
	{"* Connected to ", voiceCurl, false, false},
	{"* Could not resolve ", voiceCurl, true, false},
	{"* Closing connection", voiceCurl, false, false},
	{"* TLSv1", voiceCurl, false, false},
	{"curl: (", voiceCurl, false, true},
	{"Symfony\\Component\\Mailer", voiceSymfony, true, true},
	{"PHP Fatal error:  Uncaught Symfony", voiceSymfony, true, true},
	{"PHP Fatal error:  Uncaught Swift", voiceSymfony, true, true},
	{"Traceback (most recent call last):", voicePython, true, false},
	{"--- Logging error ---", voicePython, true, false},
	{"connect: to ('", voicePython, true, false},
	{"reply: b'", voicePython, false, false},
	{"reply: retcode (", voicePython, false, false},
	{"send: '", voicePython, false, false},
	{"smtplib.SMTP", voicePython, false, true},
	{"aiosmtplib.", voicePython, false, true},
	{"socket.gaierror:", voicePython, false, true},
	{"socket.timeout", voicePython, false, true},
	{"ssl.SSL", voicePython, false, true},
	{"ConnectionRefusedError:", voicePython, false, true},
	{"ConnectionResetError:", voicePython, false, true},
	{"TimeoutError:", voicePython, false, true},
	{"OSError: [Errno", voicePython, false, true},
	{"DEBUG Creating transport: nodemailer", voiceNode, true, false},
	{"SERVER -> CLIENT: 220", voicePHPMailer, true, false},
	{"SERVER -> CLIENT: 421", voicePHPMailer, true, false},
	{"SERVER -> CLIENT:", voicePHPMailer, false, false},
	{"CLIENT -> SERVER:", voicePHPMailer, false, false},
	{"Connection: opening to ", voicePHPMailer, true, false},
	{"SMTP ERROR: Failed to connect to server", voicePHPMailer, true, false},
	{"Message could not be sent. Mailer Error:", voicePHPMailer, true, true},
	{"Mailer Error: SMTP", voicePHPMailer, true, true},
	{"DEBUG: Jakarta Mail version", voiceJava, true, false},
	{"DEBUG: JavaMail version", voiceJava, true, false},
	{"DEBUG SMTP: ", voiceJava, false, false},
	{"Exception in thread \"", voiceJava, true, true},
	{"javax.mail.", voiceJava, false, false},
	{"jakarta.mail.", voiceJava, false, false},
	{"com.sun.mail.", voiceJava, false, false},
	{"Connection opened: ", voiceRuby, true, false},
	{"Net::SMTP>>> Net::SMTP(", voicePerl, true, false},
	{"(mbox) Adding ", voicePerl, true, false},
	{"failed AUTH: ", voicePerl, true, true},
	{"unable to establish SMTP connection", voicePerl, true, true},
	{"Trace begun at ", voicePerl, false, true},
	{"msmtp: could not send mail", voiceMsmtp, false, true},
	{"msmtp: ", voiceMsmtp, true, false},
	{"using account specified on command line", voiceMsmtp, false, false},
	{"SMTP session failed: ", voiceMutt, true, true},
	{"s-nail: Resolving host ", voiceMailx, true, false},
	{"s-nail: ... message not sent", voiceMailx, false, true},
	{"s-nail: ", voiceMailx, false, false},
	{"posttls-finger: ", voicePosttls, false, false},
	{"$ openssl s_client ", voiceOpenSSL, true, true},
	{"openssl s_client ", voiceOpenSSL, true, true},
	{"CONNECTED(0000", voiceOpenSSL, false, true},
	{"$ telnet ", voiceTelnet, true, true},
	{"telnet: Unable to connect", voiceTelnet, false, true},
	{"Connection closed by foreign host", voiceTelnet, false, true},
	{"$ nc ", voiceNetcat, true, true},
	{"[<-] ", voiceSSMTP, false, false},
	{"[->] ", voiceSSMTP, false, false},
	{"ssmtp: ", voiceSSMTP, false, true},
	{"S: 220 ", voiceLetters, true, false},
	{"S: 250", voiceLetters, false, false},
	{"C: EHLO ", voiceLetters, false, false},
	{"S: 421 ", voiceLetters, true, true},
	{"S: 554 ", voiceLetters, false, false},
	{"C: QUIT", voiceLetters, false, true},
	{"-Queue ID-  -", voiceQueue, true, true},
	{"{\"queue_name\":", voiceQueue, false, false},
	{"Starting delivery, ", voiceLog + voice(mtaNullmailer), false, false},
	{"Starting delivery: ", voiceLog + voice(mtaNullmailer), false, false},
	{"Rescanning queue.", voiceLog + voice(mtaNullmailer), false, false},
	{"Trigger pulled.", voiceLog + voice(mtaNullmailer), false, false},
	{"info: OpenSMTPD ", voiceLog + voice(mtaOpenSMTPD), false, false},
}

// voiceTable finds the rows by the first byte of their words.
var voiceTable = func() (t [256][]int) {
	for i := range voiceRows {
		c := voiceRows[i].words[0]
		t[c] = append(t[c], i)
	}
	return t
}()

// rowAt is the row that a text begins with, nil if none does.
func rowAt(text []byte) *voiceRow {
	if len(text) == 0 {
		return nil
	}
	for _, k := range voiceTable[text[0]] {
		if w := voiceRows[k].words; len(text) >= len(w) && string(text[:len(w)]) == w {
			return &voiceRows[k]
		}
	}
	return nil
}

var (
	rowRuby      = voiceRow{voice: voiceRuby, begins: true, ends: true}
	rowNode      = voiceRow{voice: voiceNode, begins: true, ends: true}
	rowGo        = voiceRow{voice: voiceGo, begins: true, ends: true}
	rowGoTalk    = voiceRow{voice: voiceGo, begins: true}
	rowPerl      = voiceRow{voice: voicePerl, begins: true, ends: true}
	rowSendEmail = voiceRow{voice: voiceSendEmail}
	rowSSMTP     = voiceRow{voice: voiceSSMTP}
	rowMutt      = voiceRow{voice: voiceMutt}
	logRows      = func() (rows [numMTAs]voiceRow) {
		for i := range rows {
			rows[i].voice = voiceLog + voice(i)
		}
		return rows
	}()
)

// voiceOf says who speaks in a line; next is the line behind it.
func voiceOf(line, next []byte) *voiceRow {
	if r := rowAt(line); r != nil {
		return r
	}
	if len(line) < 8 {
		return nil
	}
	c := line[0]
	switch {
	case c == 'E' && bytes.HasPrefix(line, []byte("Error: ")):
		if bytes.HasPrefix(next, []byte("    at ")) {
			return &rowNode
		}
		return nil
	case c == '/' && bytes.Contains(line, []byte(".rb:")) && bytes.Contains(line, []byte(":in `")):
		return &rowRuby
	}
	if bytes.HasPrefix(next, []byte("Trace begun at ")) {
		return &rowPerl
	}
	if !mayBeLog(line) {
		return nil
	}
	if words := stampedWords(line); words != nil {
		if bytes.HasPrefix(words, []byte("DEBUG")) {
			if bytes.Contains(line, []byte(" C --> S: EHLO ")) {
				return &rowGoTalk
			}
			return nil
		}
		if saysFailure(line[goStamp:]) {
			return &rowGo
		}
		return nil
	}
	if r, ok := recordAt(line); ok {
		return &logRows[r.mta]
	}
	if !isDigit(c) && c != '[' && monthAt(line) == 0 {
		return nil
	}
	switch head := line[:min(len(line), 80)]; {
	case bytes.Contains(head, []byte(" sendEmail[")):
		return &rowSendEmail
	case bytes.Contains(head, []byte(" sSMTP[")):
		return &rowSSMTP
	case bytes.Contains(head, []byte("] Mutt/")):
		return &rowMutt
	}
	if i := behindStamp(line); i > 0 && i < len(line) {
		if r := rowAt(line[i:]); r != nil && r.voice != voiceLetters {
			return r // letters behind a stamp are nodemailer's, and others'
		}
	}
	// A stamp in front of a level, which is part of what nodemailer says.
	if n := bytes.Index(line[:min(len(line), maxClientStamp)], []byte("DEBUG Creating transport: nodemailer")); n > 0 {
		return rowAt(line[n:])
	}
	return nil
}

// saysFailure reports whether the words of a Go program hold an error of a
// connection or a reply.
func saysFailure(words []byte) bool {
	for _, w := range [...]string{"dial tcp", "lookup ", ` "4.`, ` "5.`, "x509: ", "tls: ", ": EOF", "i/o timeout", "read tcp", "write tcp", "doesn't support AUTH", "does not support"} {
		if bytes.Contains(words, []byte(w)) {
			return true
		}
	}
	return false
}
