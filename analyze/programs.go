package analyze

import (
	"bytes"
	"strings"
	"sync"

	"github.com/smtp-handoff/handoff/analyze/ndr"
)

// The answer "the text does not say" is worth as much as the text it asks for.
// Whoever is asked for "the SMTP log" asks back which one; so the program that
// wrote the text is named with its log, or with the switch that makes it show its
// dialogue.

// program is one that writes texts which lack the host: a mail server with its
// log, a client with its switch.
type program struct {
	formats []string // of a case, or how they begin; the first row that fits counts
	clues   []string // words that it alone writes, for texts in the form of nobody
	log     string   // a server's log, with its article
	id      string   // what a mail is called in it
	show    string   // what makes a client show its dialogue, or where its host is entered
}

var programs = [...]program{
	{formats: []string{"exchange-2003"}}, // the words of Exchange 2003 are other servers', too
	{formats: []string{"gmail-send-as"}, show: "look at the server under Accounts, Send mail as, in Gmail's settings"},
	{formats: []string{"exim"}, clues: []string{"all hosts in", "retry timeout exceeded", "Exim"}, log: "the Exim main log", id: "message"},
	{formats: []string{"postfix"}, clues: []string{"postfix/", "This is the mail system at host"}, log: "the Postfix log", id: "queue ID"},
	{formats: []string{"opensmtpd"}, clues: []string{"smtpd[", "This is the MAILER-DAEMON, please DO NOT REPLY"}, log: "the OpenSMTPD log", id: "message"},
	{formats: []string{"sendmail"}, clues: []string{"sendmail[", "sm-mta[", "----- Transcript of session follows"}, log: "the Sendmail log", id: "queue ID"},
	{formats: []string{"courier"}, clues: []string{"courieresmtp", "courierd:"}, log: "the Courier log", id: "message"},
	{formats: []string{"nullmailer"}, clues: []string{"nullmailer"}, log: "the log of nullmailer-send and its file remotes", id: "id"},
	{formats: []string{"qmail"}, clues: []string{"qmail-send program", "I wasn't able to establish an SMTP connection"}, log: "the log of qmail-send and its file control/smtproutes", id: "delivery"},
	{formats: []string{"dma", "dragonfly"}, clues: []string{"DragonFly Mail Agent", "dma["}, log: "the log of dma", id: "id"},
	{formats: []string{"m365", "exchange-online"}, clues: []string{"prod.outlook.com", "PROD.OUTLOOK.COM"}, log: "the extended message trace of Exchange Online", id: "message"},
	{formats: []string{"exchange"}, clues: []string{"Microsoft.Exchange", "MSExchangeTransport"}, log: "the SMTP send protocol log (of the send connector) of Exchange", id: "message"},
	{formats: []string{"google-log-search", "gmail"}, log: "the Email Log Search entry of Google Workspace", id: "message"},
	{formats: []string{"hmailserver"}, log: "the SMTP log of hMailServer", id: "id"},
	{formats: []string{"mdaemon"}, log: "the SMTP (out) log of MDaemon", id: "id"},
	{formats: []string{"domino"}, log: "the mail routing log of Domino (log.nsf)", id: "id"},
	{formats: []string{"ppe-"}, log: "the log of the sending server", id: "id"},

	{formats: []string{"nodemailer"}, clues: []string{"nodemailer", "SMTPConnection", "code: 'ECONN", "code: 'EAUTH", "code: 'ETLS", "code: 'ESOCKET", "code: 'EENVELOPE", "code: 'EMESSAGE"}, show: "run it again with logger: true and debug: true in the options of nodemailer's transport" + andSend},
	{formats: []string{"phpmailer"}, clues: []string{"PHPMailer", "SMTP ERROR:", "SMTP Error:"}, show: "set SMTPDebug of PHPMailer to 3" + andSend},
	{clues: []string{"aiosmtplib"}, show: "repeat it with Python's smtplib and set_debuglevel(1)" + andSend},
	{clues: []string{"logging/handlers.py", "SMTPHandler"}, show: "repeat it with Python's smtplib, set_debuglevel(1) and the handler's mailhost" + andSend},
	{formats: []string{"smtplib"}, clues: []string{"smtplib"}, show: "call set_debuglevel(1) of smtplib before it logs in" + andSend},
	{formats: []string{"javamail"}, clues: []string{"javax.mail", "jakarta.mail", "com.sun.mail", "org.eclipse.angus"}, show: "set mail.debug of JavaMail to true" + andSend},
	{formats: []string{"symfony-mailer"}, clues: []string{`Symfony\Component\Mailer`, "Expected response code", "symfony/mailer"}, show: "print getDebug() of Symfony's TransportException" + andSend},
	{formats: []string{"ruby"}, clues: []string{"net/smtp.rb", "Net::SMTPFatalError", "Net::SMTPServerBusy", "Net::SMTPAuthenticationError", "Net::SMTPSyntaxError", "Net::SMTPUnknownError"}, show: "call set_debug_output($stderr) of Ruby's Net::SMTP" + andSend},
	{formats: []string{"perl"}, clues: []string{"Net/SMTP.pm", "Email::Sender", "Email/Sender"}, show: "give Perl's Net::SMTP the option Debug => 1" + andSend},
	{formats: []string{"curl"}, clues: []string{"curl: ("}, show: "run curl with -v" + andSend},
	{formats: []string{"msmtp"}, clues: []string{"msmtp: "}, show: "run msmtp with --debug" + andSend},
	{formats: []string{"go-mail"}, clues: []string{"go-mail"}, show: "give go-mail's client WithDebugLog()" + andSend},
	{formats: []string{"mailx"}, clues: []string{"s-nail", "mailx:"}, show: "run mailx with -v" + andSend},
	{formats: []string{"esmtp"}, clues: []string{"esmtp:"}, show: "run esmtp with -X FILE" + andSend},
	{formats: []string{"ssmtp"}, clues: []string{"sSMTP", "ssmtp:"}, show: "set Debug=YES in ssmtp.conf" + andSend},
	{formats: []string{"posttls-finger"}, clues: []string{"posttls-finger"}, show: "run posttls-finger with -v" + andSend},
	{clues: []string{"git send-email", "git-send-email"}, show: "run git send-email with --smtp-debug=1" + andSend},
	{clues: []string{"sendemail[", "sendEmail"}, show: "run sendEmail with -v -v" + andSend},
	{clues: []string{"mutt_"}, show: "run mutt with -d 2" + andSend},
	{formats: []string{"thunderbird"}, clues: []string{"Thunderbird"}, show: "start Thunderbird with MOZ_LOG=SMTP:5" + andSend},
	{formats: []string{"apple-mail"}, show: "switch Log Connection Activity on in Mail's Connection Doctor" + andSend},
	{formats: []string{"outlook-client"}, show: "switch troubleshooting logging on in Outlook's advanced options" + andSend},
	{formats: []string{"powershell", "dotnet"}, clues: []string{"System.Net.Mail", "Send-MailMessage"}, show: "repeat it with handoff probe: System.Net.Mail shows no dialogue"},
	{clues: []string{"MailKit"}, show: "give MailKit's SmtpClient a ProtocolLogger" + andSend},
	{formats: []string{"oracle"}, clues: []string{"ORA-29", "UTL_SMTP", "UTL_MAIL"}, show: "look at smtp_out_server of the database, or the host given to UTL_SMTP"},
	{formats: []string{"device"}, show: "look at the SMTP settings of the device"},
}

// andSend ends a switch.
const andSend = ", and send what it shows"

// maxClueBytes is how much of a text is looked through for the program's name.
const maxClueBytes = 16 << 10

// programOf is the program that wrote a case's text; nil where it is not known.
// text is the whole input.
func programOf(c *ndr.Case, text []byte) *program {
	for i := range programs {
		for _, f := range programs[i].formats {
			if strings.HasPrefix(c.Format, f) {
				return &programs[i]
			}
		}
	}
	start := min(max(c.Span.Offset, 0), len(text))
	own := text[start:min(max(c.Span.End, start), len(text))]
	if len(own) > maxClueBytes {
		own = own[:maxClueBytes]
	}
	x := clueTable()
	best := len(programs)
	for i := 0; i+1 < len(own); i++ {
		pair := uint16(own[i])<<8 | uint16(own[i+1])
		if x.some[pair>>6]&(1<<(pair&63)) == 0 {
			continue
		}
		for _, c := range x.of[pair] {
			if c.row < best && bytes.HasPrefix(own[i:], []byte(c.words)) {
				best = c.row
			}
		}
	}
	if best < len(programs) {
		return &programs[best]
	}
	return nil
}

// clues are the clues of all programs by their first two bytes, so that a text is
// looked through once.
type clues struct {
	some [1 << 16 / 64]uint64 // a bit for each pair that begins one
	of   map[uint16][]clue
}

type clue struct {
	row   int // of programs
	words string
}

var clueTable = sync.OnceValue(func() *clues {
	x := &clues{of: make(map[uint16][]clue)}
	for row := range programs {
		for _, w := range programs[row].clues {
			pair := uint16(w[0])<<8 | uint16(w[1])
			x.some[pair>>6] |= 1 << (pair & 63)
			x.of[pair] = append(x.of[pair], clue{row, w})
		}
	}
	return x
})

// nameProgram finds out whose texts they are that do not say enough.
func nameProgram(all []judgement, text []byte) {
	var last *judgement
	for i := range all {
		g := &all[i]
		if g.out.Verdict != InsufficientEvidence || g.cs == nil {
			continue
		}
		if last != nil && last.cs == g.cs {
			g.program = last.program
		} else {
			g.program = programOf(g.cs, text)
		}
		last = g
	}
}
