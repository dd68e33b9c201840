package bounce

import (
	"fmt"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// postfixReason is Postfix's smtp client about one failure: the text after
// "<recipient>: ", the status, and whether the server spoke. Compared with real
// reports of Postfix 3.7.
func postfixReason(f *Failure) (text, status string, spoken bool) {
	host := fmt.Sprintf("%s[%s]", f.Host, f.Address)
	switch f.Kind {
	case Greeting:
		return fmt.Sprintf("host %s refused to talk to me: %s", host, f.text()), soft(f.status()), true
	case SASL:
		return fmt.Sprintf("SASL authentication failed; server %s said: %s", host, f.text()), soft(f.status()), true
	case StartTLS:
		return fmt.Sprintf("TLS is required, but host %s refused to start TLS: %s", host, f.text()), soft(f.status()), true
	case Said, Later:
		return fmt.Sprintf("host %s said: %s (in reply to %s command)", host, f.text(), f.verb()), f.status(), true
	case NoMech:
		return fmt.Sprintf("SASL authentication failed; cannot authenticate to server %s: no mechanism available", host), "4.7.0", false
	case NotOffered:
		return fmt.Sprintf("TLS is required, but was not offered by host %s", host), "4.7.4", false
	case Handshake, NotTLS:
		return "Cannot start TLS: handshake failure", "4.7.5", false
	case Untrusted:
		return "Server certificate not verified", "4.7.5", false
	case DNS:
		if strings.Contains(f.Detail, "does not exist") {
			return fmt.Sprintf("Host or domain name not found. Name service error for name=%s type=A: Host not found", f.Host), "5.4.4", false
		}
		return fmt.Sprintf("Host or domain name not found. Name service error for name=%s type=A: Host not found, try again", f.Host), "4.4.3", false
	case Connect:
		why := "Connection timed out"
		if f.Fault == transcript.FaultRefused {
			why = "Connection refused"
		}
		return fmt.Sprintf("connect to %s:%d: %s", host, f.Port, why), "4.4.1", false
	case LaterDown:
		return fmt.Sprintf("connect to %s[%s]:25: Connection timed out", f.Next.Host, f.Next.Address), "4.4.1", false
	case Timeout:
		return fmt.Sprintf("conversation with %s timed out while %s", host, postfixWhile(f)), "4.4.2", false
	}
	return fmt.Sprintf("lost connection with %s while %s", host, postfixWhile(f)), "4.4.2", false
}

// soft turns the class of a status into 4: what Postfix queues.
func soft(status string) string { return "4" + status[1:] }

// postfixWhile is what the client was doing.
func postfixWhile(f *Failure) string {
	switch transcript.Verb(f.Command) {
	case "":
		switch f.Stage {
		case transcript.StageGreet:
			return "receiving the initial server greeting"
		case transcript.StageData:
			return "sending message body"
		}
		return "performing the EHLO handshake"
	case "EHLO":
		return "performing the EHLO handshake"
	case "HELO":
		return "performing the HELO handshake"
	case "STARTTLS":
		return "receiving the STARTTLS response"
	case "AUTH":
		return "performing the EHLO handshake"
	case "MAIL":
		return "sending MAIL FROM"
	case "RCPT":
		return "sending RCPT TO"
	case "DATA":
		return "sending DATA command"
	case ".":
		return "sending end of data -- message may be sent more than once"
	}
	return "sending QUIT"
}

// wrap breaks a line at blanks so that it fits 79 columns, with continuations
// indented by 4, as Postfix's line_wrap does.
func wrap(line string) string {
	const width, indent = 79, 4
	var b strings.Builder
	room := width
	for len(line) > room {
		cut := strings.LastIndexByte(line[:room+1], ' ')
		if cut <= 0 {
			if cut = strings.IndexByte(line[room:], ' '); cut < 0 {
				break
			}
			cut += room
		}
		b.WriteString(line[:cut])
		b.WriteString("\n" + strings.Repeat(" ", indent))
		line = strings.TrimLeft(line[cut:], " ")
		room = width - indent
	}
	b.WriteString(line)
	return b.String()
}

func writePostfix(l *letter) string {
	return postfixShape(l, "Postfix", "X-Postfix", postfixReason)
}

// writeService is the relay's own report: Postfix's shape under another mail
// name. No real one has been published.
func writeService(l *letter) string {
	return postfixShape(l, "PPE Hosted ESMTP Server", "X-PPE-Hosted-ESMTP-Server", func(f *Failure) (string, string, bool) {
		if f.Kind == LaterDown {
			return postfixReason(f)
		}
		g := *f
		g.Host, g.Address = f.Next.Host, f.Next.Address
		text := fmt.Sprintf("host %s[%s] said: %s", g.Host, g.Address, f.text())
		return text + " (in reply to RCPT TO command)", f.status(), true
	})
}

// postfixShape is the mail: notification, delivery report, returned message.
func postfixShape(l *letter, mailName, field string, reason func(*Failure) (string, string, bool)) string {
	queue := l.id("queue", hex, 10)
	boundary := queue + "." + fmt.Sprint(l.now.Unix()) + "/" + l.reporter
	stamp := l.now.Format("Mon, 2 Jan 2006 15:04:05 -0700 (MST)")
	subject, action := "Undelivered Mail Returned to Sender", "failed"
	opening := "The message below did not reach the recipients that are named here.\nIt is attached to this notice, with the reason for each of them."
	delayed := l.o.Delay || len(l.failures) > 0 && (l.failures[0].Kind == Later || l.failures[0].Kind == LaterDown) && l.failures[0].Next.Delayed
	if delayed {
		subject, action = "Delayed Mail (still being retried)", "delayed"
		opening = "####################################################################\n# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #\n####################################################################\n\nThe message has not arrived yet and will be tried again."
	}
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("Return-Path: <>")
	p("Received: by %s (%s)\n\tid %s; %s", l.reporter, mailName, l.id("report", hex, 10), stamp)
	p("Date: %s", stamp)
	p("From: MAILER-DAEMON@%s (Mail Delivery System)", l.reporter)
	p("Subject: %s", subject)
	p("To: %s", l.sender)
	p("Auto-Submitted: auto-replied")
	p("MIME-Version: 1.0")
	p("Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"%s\"", boundary)
	p("Message-Id: <%s.%s@%s>\n", l.now.Format("20060102150405"), queue, l.reporter)
	p("This is a MIME-encapsulated message.\n")
	p("--%s", boundary)
	p("Content-Description: Notification\nContent-Type: text/plain; charset=us-ascii\n")
	p("This is the mail system at host %s.\n", l.reporter)
	p("%s\n", opening)
	p("                   The mail system\n")
	for i := range l.failures {
		f := &l.failures[i]
		text, _, _ := reason(f)
		p("%s\n", wrap(fmt.Sprintf("<%s>: %s", f.Rcpt, text)))
	}
	p("--%s", boundary)
	p("Content-Description: Delivery report\nContent-Type: message/delivery-status\n")
	p("Reporting-MTA: dns; %s", l.reporter)
	p("%s-Queue-ID: %s", field, queue)
	p("%s-Sender: rfc822; %s", field, l.sender)
	p("Arrival-Date: %s", l.now.Add(-2e9).Format("Mon, 2 Jan 2006 15:04:05 -0700 (MST)"))
	for i := range l.failures {
		f := &l.failures[i]
		text, status, spoken := reason(f)
		p("\nFinal-Recipient: rfc822; %s", f.Rcpt)
		p("Original-Recipient: rfc822;%s", f.Rcpt)
		p("Action: %s", action)
		p("Status: %s", status)
		if spoken {
			host := f.Host
			if f.Kind == Later {
				host = f.Next.Host
			}
			p("Remote-MTA: dns; %s", host)
			p("%s", wrap("Diagnostic-Code: smtp; "+f.text()))
		} else {
			p("%s", wrap("Diagnostic-Code: "+field+"; "+text))
		}
		if delayed {
			p("Will-Retry-Until: %s", l.now.AddDate(0, 0, 5).Format("Mon, 2 Jan 2006 15:04:05 -0700 (MST)"))
		}
	}
	p("\n--%s", boundary)
	p("Content-Description: Undelivered Message\nContent-Type: message/rfc822\n")
	p("Return-Path: <%s>", l.sender)
	p("%s", returnedTrace(l, queue)+l.original())
	p("A message of a scenario.\n")
	p("--%s--", boundary)
	return b.String()
}

// returnedTrace is the Received lines of the returned message: what the
// reporter wrote when it took it in. Where the relay reports, the relay took it.
func returnedTrace(l *letter, queue string) string {
	stamp := l.now.Add(-2e9).Format("Mon, 2 Jan 2006 15:04:05 -0700 (MST)")
	if l.info.Family == Service {
		return fmt.Sprintf("Received: from mx1-us1.ppe-hosted.com (unknown [192.0.2.25])\n\tby %s (PPE Hosted ESMTP Server) with ESMTP id %s;\n\t%s\nReceived: from %s (unknown [203.0.113.9])\n\tby mx1-us1.ppe-hosted.com (PPE Hosted ESMTP Server) with ESMTPSA id %s;\n\t%s\n",
			l.reporter, queue, stamp, helo(l), l.id("relay", hex, 10), stamp)
	}
	return fmt.Sprintf("Received: by %s (Postfix, from userid 0)\n\tid %s; %s\n", l.reporter, queue, stamp)
}

func helo(l *letter) string {
	if l.session.Client != "" {
		return l.session.Client
	}
	return "mail.customer.example"
}
