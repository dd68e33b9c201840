package bounce

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// The clients print the first failure only; most name no host.

func writeMSMTP(l *letter) string {
	f := &l.failures[0]
	var lines []string
	server := "msmtp: server message: " + f.text()
	switch f.Kind {
	case DNS:
		lines = []string{fmt.Sprintf("msmtp: cannot locate host %s: Name or service not known", f.Host)}
	case Connect:
		why := "Connection timed out"
		if f.Fault == transcript.FaultRefused {
			why = "Connection refused"
		}
		lines = []string{fmt.Sprintf("msmtp: cannot connect to %s, port %d: %s", f.Host, f.Port, why)}
	case Greeting:
		lines = []string{"msmtp: cannot get initial OK message from server", server}
	case SASL:
		lines = []string{"msmtp: authentication failed (method PLAIN)", server}
	case NoMech:
		lines = []string{"msmtp: the server does not support authentication"}
	case NotOffered:
		lines = []string{"msmtp: the server does not support TLS via the STARTTLS command"}
	case StartTLS:
		lines = []string{"msmtp: command STARTTLS failed", server}
	case Handshake:
		lines = []string{"msmtp: TLS handshake failed: The TLS connection was non-properly terminated."}
		if f.Problem == "protocol-version" {
			lines = []string{"msmtp: TLS handshake failed: A TLS fatal alert has been received. [protocol version not supported]"}
		}
	case NotTLS:
		lines = []string{"msmtp: TLS handshake failed: An unexpected TLS packet was received."}
	case Untrusted:
		why := map[string]string{
			"certificate-expired": "The certificate chain uses expired certificate.", "certificate-not-yet-valid": "The certificate chain uses not yet valid certificate.",
			"certificate-name-mismatch": "The name in the certificate does not match the expected.", "certificate-unknown-issuer": "The certificate issuer is unknown.",
		}[f.Problem]
		lines = []string{"msmtp: TLS certificate verification failed: The certificate is NOT trusted. " + why}
	case Said:
		switch transcript.Verb(f.Command) {
		case "MAIL":
			lines = []string{fmt.Sprintf("msmtp: envelope from address %s not accepted by the server", l.sender), server}
		case "RCPT":
			lines = []string{fmt.Sprintf("msmtp: recipient address %s not accepted by the server", f.Rcpt), server}
		default:
			lines = []string{"msmtp: the server did not accept the mail", server}
		}
	default:
		lines = []string{"msmtp: cannot read from network: the connection was closed"}
		if f.Kind == Timeout {
			lines = []string{"msmtp: network read error: the operation timed out"}
		}
	}
	return strings.Join(append(lines, "msmtp: could not send mail (account default from /etc/msmtprc)"), "\n") + "\n"
}

// pyBytes is a reply as Python prints it: without the code, lines joined by \n.
func pyBytes(f *Failure) string {
	var lines []string
	for _, l := range f.Reply.Lines {
		lines = append(lines, l[min(4, len(l)):])
	}
	text := strings.Join(lines, `\n`)
	if strings.Contains(text, "'") && !strings.Contains(text, `"`) {
		return `b"` + text + `"`
	}
	return "b'" + strings.ReplaceAll(text, "'", `\'`) + "'"
}

func writeSmtplib(l *letter) string {
	f := &l.failures[0]
	last := ""
	switch f.Kind {
	case DNS:
		last = "socket.gaierror: [Errno -2] Name or service not known"
	case Connect:
		last = "TimeoutError: timed out"
		if f.Fault == transcript.FaultRefused {
			last = "ConnectionRefusedError: [Errno 111] Connection refused"
		}
	case Greeting:
		last = fmt.Sprintf("smtplib.SMTPConnectError: (%d, %s)", f.Reply.Code, pyBytes(f))
	case SASL:
		last = fmt.Sprintf("smtplib.SMTPAuthenticationError: (%d, %s)", f.Reply.Code, pyBytes(f))
	case NoMech:
		last = "smtplib.SMTPException: No suitable authentication method found."
		if strings.Contains(f.Detail, "not offered") {
			last = "smtplib.SMTPNotSupportedError: SMTP AUTH extension not supported by server."
		}
	case NotOffered:
		last = "smtplib.SMTPNotSupportedError: STARTTLS extension not supported by server."
	case StartTLS:
		last = fmt.Sprintf("smtplib.SMTPResponseException: (%d, %s)", f.Reply.Code, pyBytes(f))
	case NotTLS:
		last = "ssl.SSLError: [SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1000)"
	case Handshake:
		last = "ssl.SSLEOFError: [SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred in violation of protocol (_ssl.c:1000)"
		switch f.Problem {
		case "not-tls":
			last = "ssl.SSLError: [SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1000)"
		case "protocol-version":
			last = "ssl.SSLError: [SSL: TLSV1_ALERT_PROTOCOL_VERSION] tlsv1 alert protocol version (_ssl.c:1000)"
		}
	case Untrusted:
		why := map[string]string{
			"certificate-expired": "certificate has expired", "certificate-not-yet-valid": "certificate is not yet valid",
			"certificate-name-mismatch":  "Hostname mismatch, certificate is not valid for '" + f.Host + "'.",
			"certificate-unknown-issuer": "unable to get local issuer certificate",
		}[f.Problem]
		last = "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: " + why + " (_ssl.c:1000)"
	case Said:
		switch transcript.Verb(f.Command) {
		case "RCPT":
			var each []string
			for i := range l.failures {
				g := &l.failures[i]
				each = append(each, fmt.Sprintf("'%s': (%d, %s)", g.Rcpt, g.Reply.Code, pyBytes(g)))
			}
			last = "smtplib.SMTPRecipientsRefused: {" + strings.Join(each, ", ") + "}"
		case "MAIL":
			last = fmt.Sprintf("smtplib.SMTPSenderRefused: (%d, %s, '%s')", f.Reply.Code, pyBytes(f), l.sender)
		default:
			last = fmt.Sprintf("smtplib.SMTPDataError: (%d, %s)", f.Reply.Code, pyBytes(f))
		}
	case Timeout:
		last = "TimeoutError: timed out"
	default:
		last = "smtplib.SMTPServerDisconnected: Connection unexpectedly closed"
	}
	return "Traceback (most recent call last):\n  File \"/opt/report/send.py\", line 31, in <module>\n    main()\n  File \"/opt/report/send.py\", line 24, in main\n    server.send_message(message)\n" + last + "\n"
}

// dotNet drops the three digits of a reply.
func writeDotNet(l *letter) string {
	f := &l.failures[0]
	tail := strings.TrimSpace(f.Reply.Enhanced + " " + f.words())
	kind, text := "System.Net.Mail.SmtpException", ""
	switch f.Kind {
	case DNS:
		text = fmt.Sprintf("Failure sending mail. ---> System.Net.WebException: The remote name could not be resolved: '%s'", f.Host)
	case Connect, Timeout, Lost, NotTLS:
		text = "Failure sending mail. ---> System.Net.WebException: Unable to connect to the remote server"
		if f.Kind == Timeout {
			text = "The operation has timed out."
		}
	case Greeting:
		text = "Service not available, closing transmission channel. The server response was: " + tail
	case SASL:
		text = "The SMTP server requires a secure connection or the client was not authenticated. The server response was: " + tail
	case NotOffered:
		text = "Server does not support secure connections."
	case StartTLS:
		text = "The server response was: " + tail
	case Handshake, Untrusted:
		text = "Failure sending mail. ---> System.Security.Authentication.AuthenticationException: The remote certificate is invalid according to the validation procedure."
		if f.Kind == Handshake {
			text = "Failure sending mail. ---> System.IO.IOException: Unable to read data from the transport connection."
		}
	case NoMech:
		text = "The SMTP server does not support authentication."
	default:
		switch {
		case f.Reply.Code == 530:
			text = "The SMTP server requires a secure connection or the client was not authenticated. The server response was: " + tail
		case transcript.Verb(f.Command) == "RCPT":
			kind = "System.Net.Mail.SmtpFailedRecipientException"
			text = dotNetRcpt(f.Reply.Code) + " The server response was: " + tail
		default:
			text = "Transaction failed. The server response was: " + tail
		}
	}
	return "Unhandled exception. " + kind + ": " + text + "\n   at System.Net.Mail.SmtpClient.Send(MailMessage message)\n   at Alerts.Mailer.Send() in C:\\src\\Alerts\\Mailer.cs:line 42\n"
}

func dotNetRcpt(code int) string {
	switch code {
	case 550:
		return "Mailbox unavailable."
	case 450:
		return "Mailbox unavailable."
	case 452:
		return "Insufficient system storage."
	case 552:
		return "Exceeded storage allocation."
	}
	return "Transaction failed."
}

func writeOutlook(l *letter) string {
	f := &l.failures[0]
	number := "0x800CCC79"
	switch f.Kind {
	case SASL:
		number = "0x800CCC92"
	case Said:
		switch transcript.Verb(f.Command) {
		case "MAIL":
			number = "0x800CCC78"
		case ".":
			number = "0x800CCC6F"
		}
	case DNS:
		return noAnswer(l, f, "The host '"+f.Host+"' could not be found.", 11001, "0x800CCC0D")
	case Connect:
		if f.Fault == transcript.FaultRefused {
			return noAnswer(l, f, "The connection to the server has failed.", 10061, "0x800CCC0E")
		}
		return noAnswer(l, f, "The connection to the server has failed.", 10060, "0x800CCC0E")
	case Timeout:
		return noAnswer(l, f, "A time-out occurred while communicating with the server.", 0, "0x800CCC19")
	case Lost:
		return noAnswer(l, f, "Your server has unexpectedly terminated the connection.", 0, "0x800CCC0F")
	case NoMech:
		return "" // no sample of it is known
	case NotOffered, Handshake, NotTLS, Untrusted, StartTLS:
		if f.Reply.Code == 0 {
			return noAnswer(l, f, "Your server does not support the connection encryption type you have specified.", 0, "0x800CCC1A")
		}
		number = "0x800CCC1A"
	}
	return fmt.Sprintf("The message was not sent. Subject '%s', Account: 'customer', Server: '%s', Protocol: SMTP, Server Response: '%s', Port: %d, Secure(SSL): %s, Server Error: %d, Error Number: %s\n",
		l.subject, f.Host, f.text(), f.Port, secure(f), f.Reply.Code, number)
}

func secure(f *Failure) string {
	if f.Secure {
		return "Yes"
	}
	return "No"
}

// noAnswer is the dialog where the server gave no reply; socket is Windows'
// number of the fault, 0: none.
func noAnswer(l *letter, f *Failure, text string, socket int, number string) string {
	at := ""
	if socket != 0 {
		at = fmt.Sprintf("Socket Error: %d, ", socket)
	}
	return fmt.Sprintf("%s Subject '%s', Account: 'customer', Server: '%s', Protocol: SMTP, Port: %d, Secure(SSL): %s, %sError Number: %s\n",
		text, l.subject, f.Host, f.Port, secure(f), at, number)
}

func writeCurl(l *letter) string {
	f := &l.failures[0]
	switch f.Kind {
	case DNS:
		return fmt.Sprintf("curl: (6) Could not resolve host: %s\n", f.Host)
	case Connect:
		if f.Fault == transcript.FaultRefused {
			return fmt.Sprintf("curl: (7) Failed to connect to %s port %d after 3 ms: Couldn't connect to server\n", f.Host, f.Port)
		}
		return fmt.Sprintf("curl: (28) Failed to connect to %s port %d after 30000 ms: Timeout was reached\n", f.Host, f.Port)
	case Greeting:
		return fmt.Sprintf("curl: (8) Got unexpected smtp-server response: %d\n", f.Reply.Code)
	case SASL:
		return "curl: (67) Login denied\n"
	case NoMech:
		return "curl: (67) Login denied\n"
	case NotOffered:
		return "curl: (64) STARTTLS not supported.\n"
	case StartTLS:
		return fmt.Sprintf("curl: (64) STARTTLS denied, code %d\n", f.Reply.Code)
	case NotTLS:
		return "curl: (35) OpenSSL/3.0.15: error:0A00010B:SSL routines::wrong version number\n"
	case Handshake:
		switch f.Problem {
		case "protocol-version":
			return "curl: (35) OpenSSL/3.0.15: error:0A00042E:SSL routines::tlsv1 alert protocol version\n"
		case "not-tls":
			return "curl: (35) OpenSSL/3.0.15: error:0A00010B:SSL routines::wrong version number\n"
		}
		return "curl: (35) OpenSSL SSL_connect: Connection reset by peer in connection to " + f.Host + ":" + strconv.Itoa(f.Port) + "\n"
	case Untrusted:
		why := map[string]string{
			"certificate-expired": "certificate has expired", "certificate-not-yet-valid": "certificate is not yet valid",
			"certificate-unknown-issuer": "unable to get local issuer certificate",
		}[f.Problem]
		if f.Problem == "certificate-name-mismatch" {
			return fmt.Sprintf("curl: (60) SSL: no alternative certificate subject name matches target host name '%s'\n", f.Host)
		}
		return "curl: (60) SSL certificate problem: " + why + "\n"
	case Said:
		switch transcript.Verb(f.Command) {
		case "MAIL":
			return fmt.Sprintf("curl: (55) MAIL failed: %d\n", f.Reply.Code)
		case "RCPT":
			return fmt.Sprintf("curl: (55) RCPT failed: %d\n", f.Reply.Code)
		}
		return fmt.Sprintf("curl: (8) Got unexpected smtp-server response: %d\n", f.Reply.Code)
	case Timeout:
		return "curl: (28) Operation timed out after 30001 milliseconds with 0 bytes received\n"
	}
	return "curl: (56) Recv failure: Connection reset by peer\n"
}

// writeSwaks prints the whole session with swaks's marks.
func writeSwaks(l *letter) string {
	s := l.session
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("=== Trying %s:%d...", s.Server, s.Port)
	for i := range s.Exchanges {
		x := &s.Exchanges[i]
		switch {
		case x.Stage == transcript.StageResolve:
			p("*** Error connecting to %s:%d:\n*** \tIO::Socket::INET6: getaddrinfo: Name or service not known", s.Server, s.Port)
			return b.String()
		case x.Stage == transcript.StageConnect && x.Fault != transcript.FaultNone:
			why := "Connection timed out"
			if x.Fault == transcript.FaultRefused {
				why = "Connection refused"
			}
			p("*** Error connecting to %s:%d:\n*** \tIO::Socket::INET6: connect: %s", s.Server, s.Port, why)
			return b.String()
		case x.Stage == transcript.StageConnect:
			p("=== Connected to %s.", s.Server)
		case x.Skipped != "" && x.Stage == transcript.StageTLS:
			if mailed(s) {
				continue // swaks without --tls, as the session goes on in the clear
			}
			p("*** Host did not advertise STARTTLS")
		case x.Skipped != "" && !strings.Contains(x.Skipped, "not offered"):
			p("*** Auth not attempted, requested type not available")
		case x.Skipped != "":
			p("*** Host did not advertise authentication")
		case x.Stage == transcript.StageTLS && x.Command == "" && x.Fault == transcript.FaultNone:
			if s.TLS != nil {
				p("=== TLS started with cipher %s:%s:256", strings.ReplaceAll(s.TLS.Version, " ", "v"), s.TLS.Cipher)
			}
		case x.Stage == transcript.StageTLS && x.Command == "":
			p("*** TLS startup failed (%s)", opensslError(s, x))
		default:
			swaksExchange(p, x)
		}
	}
	p("=== Connection closed with remote host.")
	return b.String()
}

// opensslError is what Net::SSLeay says of a handshake.
func opensslError(s *transcript.Session, x *transcript.Exchange) string {
	problem := ""
	if s.TLS != nil {
		problem = s.TLS.Problem
	}
	switch problem {
	case "not-tls":
		return "connect(): error:0A00010B:SSL routines::wrong version number"
	case "protocol-version":
		return "connect(): error:0A00042E:SSL routines::tlsv1 alert protocol version"
	case "certificate-expired":
		return "connect(): error:0A000086:SSL routines::certificate verify failed: certificate has expired"
	case "certificate-not-yet-valid":
		return "connect(): error:0A000086:SSL routines::certificate verify failed: certificate is not yet valid"
	case "certificate-name-mismatch":
		return "connect(): error:0A000086:SSL routines::certificate verify failed: hostname mismatch"
	case "certificate-unknown-issuer":
		return "connect(): error:0A000086:SSL routines::certificate verify failed: unable to get local issuer certificate"
	}
	if x.Fault == transcript.FaultTimeout {
		return "connection timed out"
	}
	return "connect(): error:00000000:lib(0)::reason(0)"
}

// mailed says that a session got as far as MAIL.
func mailed(s *transcript.Session) bool {
	return slices.ContainsFunc(s.Exchanges, func(x transcript.Exchange) bool { return transcript.Verb(x.Command) == "MAIL" })
}

func swaksExchange(p func(string, ...any), x *transcript.Exchange) {
	sent, got := " -> ", "<-  "
	if x.Secure {
		sent, got = " ~> ", "<~  "
	}
	failed := x.Reply.Code >= 400
	if failed {
		got = "<** "
		if x.Secure {
			got = "<~* "
		}
	}
	if x.Command == "." {
		p("%sSubject: a test message", sent)
		p("%s", strings.TrimRight(sent, " "))
	}
	if x.Command != "" {
		p("%s%s", sent, x.Command)
	}
	for _, line := range x.Reply.Lines {
		p("%s%s", got, line)
	}
	switch x.Fault {
	case transcript.FaultNone:
	case transcript.FaultTimeout:
		p("*** Timeout waiting for the server")
	default:
		p("*** Remote host closed connection unexpectedly.")
	}
}
