package bounce

import (
	"fmt"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// expiredRetry is what Exim adds to the last answer, or writes in its place, when
// its patience has ended.
const expiredRetry = "retry timeout exceeded"

// exim: the reply under a host line, always Status 5.0.0. What is temporary ends
// in "retry timeout exceeded": behind the reply where one was heard, else alone,
// with the host where TCP opened and without it for a login that failed, a
// refused port or a name. said is the reply as it is reported; empty: none.
func eximReason(f *Failure) (lines []string, said string, remote bool) {
	host := fmt.Sprintf("host %s [%s]", f.Host, f.Address)
	said = f.text()
	if f.Kept(Exim) {
		switch f.Kind {
		case SASL, NoMech, DNS, Connect:
			return []string{expiredRetry}, "", false
		case Said, Greeting:
			said += ": " + expiredRetry
		default:
			return []string{host, expiredRetry}, "", true
		}
	}
	after := "initial connection"
	switch verb := transcript.Verb(f.Command); {
	case f.Kind == Greeting:
	case verb == "MAIL" && f.Reply.Code == 530:
		// Under pipelining Exim blames the end of the group.
		after = "pipelined end of data"
	case verb == ".":
		after = "end of data"
	default:
		after = f.Command
	}
	return []string{host, "SMTP error from remote mail server after " + after + ":", said}, said, true
}

func writeExim(l *letter) string {
	boundary := fmt.Sprintf("%d-eximdsn-%d", l.now.Unix(), l.seed%2000000000)
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	delay := l.o.Delay
	subject, opening := "Mail delivery failed: returning message to sender", "The message that you sent failed for good for one or more recipients.\nThe addresses and what was said:"
	if delay {
		subject, opening = "Warning: message "+l.eximID()+" delayed 24 hours", "A message that you sent has not yet been delivered to one or more of its\nrecipients after more than 24 hours on the queue on "+l.reporter+"."
	}
	p("Return-path: <>")
	p("X-Failed-Recipients: %s", l.rcpts())
	p("Auto-Submitted: auto-replied")
	p("From: Mail Delivery System <Mailer-Daemon@%s>", l.reporter)
	p("To: %s", l.sender)
	p("Content-Type: multipart/report; report-type=delivery-status; boundary=%s", boundary)
	p("MIME-Version: 1.0")
	p("Subject: %s", subject)
	p("Message-Id: <E%s@%s>", l.eximID(), l.reporter)
	p("Date: %s\n", l.now.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	p("--%s\nContent-type: text/plain; charset=us-ascii\n", boundary)
	p("This message was created automatically by mail delivery software.\n")
	p("%s\n", opening)
	for i := range l.failures {
		lines, _, _ := eximReason(&l.failures[i])
		p("  %s", l.failures[i].Rcpt)
		for _, t := range lines {
			p("    %s", t)
		}
		p("")
	}
	p("--%s\nContent-type: message/delivery-status\n", boundary)
	p("Reporting-MTA: dns; %s", l.reporter)
	for i := range l.failures {
		f := &l.failures[i]
		_, said, remote := eximReason(f)
		action := "failed"
		if delay {
			action = "delayed"
		}
		p("\nAction: %s\nFinal-Recipient: rfc822;%s\nStatus: 5.0.0", action, f.Rcpt)
		if remote {
			p("Remote-MTA: dns; %s", f.Host)
		}
		if said != "" {
			p("Diagnostic-Code: smtp; %s", said)
		}
	}
	p("\n--%s\nContent-type: message/rfc822\n", boundary)
	p("Return-path: <%s>", l.sender)
	p("Received: from root by %s with local (Exim 4.96)\n\t(envelope-from <%s>)\n\tid %s;\n\t%s", l.reporter, l.sender, l.eximID(), l.now.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	p("%s", l.original())
	p("A message of a scenario.\n\n--%s--", boundary)
	return b.String()
}

func (l *letter) eximID() string {
	const base = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	return l.id("a", base, 6) + "-" + l.id("b", base, 6) + "-" + l.id("c", base, 2)
}

func writeSendmail(l *letter) string {
	queue := l.id("queue", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 6) + "012345"
	boundary := queue + "." + fmt.Sprint(l.now.Unix()) + "/" + l.reporter
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("Return-Path: <MAILER-DAEMON>")
	p("Date: %s", l.now.Format("Mon, 2 Jan 2006 15:04:05 -0700"))
	p("From: Mail Delivery Subsystem <MAILER-DAEMON@%s>", l.reporter)
	p("Message-Id: <%s.%s@%s>", l.now.Format("200601021504"), queue, l.reporter)
	p("To: <%s>", l.sender)
	p("MIME-Version: 1.0")
	p("Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"%s\"", boundary)
	p("Subject: Returned mail: see transcript for details")
	p("Auto-Submitted: auto-generated (failure)\n")
	p("This is a MIME-encapsulated message\n\n--%s\n", boundary)
	p("The original message was received at %s", l.now.Add(-5e9).Format("Mon, 2 Jan 2006 15:04:05 -0700"))
	p("from localhost [127.0.0.1]\n")
	p("   ----- The following addresses had permanent fatal errors -----")
	for i := range l.failures {
		f := &l.failures[i]
		p("<%s>", f.Rcpt)
		if f.Reply.Code != 0 {
			p("    (reason: %s)", f.text())
		}
	}
	p("\n   ----- Transcript of session follows -----")
	last := ""
	for i := range l.failures {
		f := &l.failures[i]
		local := sendmailLocal(f)
		if f.Reply.Code != 0 {
			if last != f.Host {
				p("... while talking to %s.:", f.Host)
				last = f.Host
			}
			if f.Command != "" {
				p(">>> %s", sendmailCommand(f.Command))
			}
			for _, line := range f.Reply.Lines {
				p("<<< %s", line)
			}
		}
		p("%s", local)
	}
	p("\n--%s\nContent-Type: message/delivery-status\n", boundary)
	p("Reporting-MTA: dns; %s", l.reporter)
	p("Received-From-MTA: DNS; localhost")
	p("Arrival-Date: %s", l.now.Add(-5e9).Format("Mon, 2 Jan 2006 15:04:05 -0700"))
	for i := range l.failures {
		f := &l.failures[i]
		status := f.status()
		p("\nFinal-Recipient: RFC822; %s\nAction: failed", f.Rcpt)
		if f.Reply.Code == 0 {
			status = "4.4.7"
		}
		p("Status: %s", status)
		if f.Reply.Code != 0 {
			p("Remote-MTA: DNS; %s", f.Host)
			p("Diagnostic-Code: SMTP; %s", f.text())
		}
		p("Last-Attempt-Date: %s", l.now.Format("Mon, 2 Jan 2006 15:04:05 -0700"))
	}
	p("\n--%s\nContent-Type: text/rfc822-headers\n", boundary)
	p("Return-Path: <%s>", l.sender)
	p("%s", l.original())
	p("--%s--", boundary)
	return b.String()
}

// sendmailCommand prints a command the way Sendmail says it.
func sendmailCommand(c string) string {
	switch transcript.Verb(c) {
	case "MAIL":
		return "MAIL From:" + c[len("MAIL FROM:"):]
	case "RCPT":
		return "RCPT To:" + c[len("RCPT TO:"):]
	}
	return c
}

// sendmailLocal is the summary line under a recipient's exchange.
func sendmailLocal(f *Failure) string {
	switch f.Kind {
	case DNS:
		return fmt.Sprintf("550 5.1.2 <%s>... Host unknown (Name server: %s: host not found)", f.Rcpt, f.Host)
	case Connect:
		why := "Connection timed out with"
		if f.Fault == transcript.FaultRefused {
			why = "Connection refused by"
		}
		return fmt.Sprintf("<%s>... Deferred: %s %s.\nMessage could not be delivered for 5 days\nMessage will be deleted from queue", f.Rcpt, why, f.Host)
	case Timeout:
		return fmt.Sprintf("<%s>... Deferred: Connection timed out with %s.\nMessage could not be delivered for 5 days\nMessage will be deleted from queue", f.Rcpt, f.Host)
	case Lost:
		return fmt.Sprintf("<%s>... Deferred: Connection reset by %s.\nMessage could not be delivered for 5 days\nMessage will be deleted from queue", f.Rcpt, f.Host)
	case Handshake, NotTLS:
		return fmt.Sprintf("<%s>... Deferred: 403 4.7.0 TLS handshake failed.\nMessage could not be delivered for 5 days\nMessage will be deleted from queue", f.Rcpt)
	case NotOffered, Untrusted:
		return fmt.Sprintf("<%s>... Deferred: 403 4.7.0 encryption too weak 0 less than 128\nMessage could not be delivered for 5 days\nMessage will be deleted from queue", f.Rcpt)
	case NoMech:
		return fmt.Sprintf("<%s>... Deferred: 403 4.7.0 authentication failed\nMessage could not be delivered for 5 days\nMessage will be deleted from queue", f.Rcpt)
	}
	if f.Reply.Code >= 500 {
		return fmt.Sprintf("550 5.1.1 <%s>... User unknown", f.Rcpt)
	}
	return fmt.Sprintf("<%s>... Deferred: %s\nMessage could not be delivered for 5 days\nMessage will be deleted from queue", f.Rcpt, f.text())
}

func writeGmail(l *letter) string {
	if f := &l.failures[0]; f.Kind == NoMech && !strings.Contains(f.Detail, "not offered") {
		return "" // no sample of it is known
	}
	boundary := l.id("boundary", "0123456789abcdef", 28)
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("Return-Path: <>")
	p("Content-Type: multipart/report; boundary=\"%s\"; report-type=delivery-status", boundary)
	p("To: %s", l.sender)
	p("Auto-Submitted: auto-replied")
	p("Subject: Delivery Status Notification (Failure)")
	p("X-Failed-Recipients: %s", l.rcpts())
	p("From: Mail Delivery Subsystem <mailer-daemon@%s>", l.reporter)
	p("Date: %s", l.now.Format("Mon, 02 Jan 2006 15:04:05 -0700 (MST)"))
	p("Message-ID: <%s.mailer-daemon@%s>\nMIME-Version: 1.0\n", l.id("id", "0123456789abcdef", 16), l.reporter)
	p("--%s\nContent-Type: text/plain; charset=\"UTF-8\"\n", boundary)
	f := &l.failures[0]
	_, domain, _ := strings.Cut(f.Rcpt, "@")
	switch {
	case f.Reply.Code == 0:
		p("\n** Delivery incomplete **\n\nIt was tried for a while and could not be handed over. No more tries are made.\n")
	case f.Reply.Code < 500:
		p("\n** Delivery incomplete **\n\nA passing problem has lasted too long. No more tries are made.\n")
	default:
		p("\n** Message blocked **\n\nYour mail to %s was turned down. See the technical details below.\n", f.Rcpt)
	}
	if f.Reply.Code != 0 {
		p("The response from the remote server was:")
		for _, line := range f.Reply.Lines {
			p("%s", line)
		}
	} else {
		p("The response was:\n%s", gmailLocal(f, domain))
	}
	p("\n--%s\nContent-Type: message/delivery-status\n", boundary)
	p("Reporting-MTA: dns; %s", l.reporter)
	p("Received-From-MTA: dns; %s", l.sender)
	p("Arrival-Date: %s", l.now.Add(-3e9).Format("Mon, 02 Jan 2006 15:04:05 -0700 (MST)"))
	p("X-Original-Message-ID: %s", l.messageID())
	for i := range l.failures {
		f := &l.failures[i]
		_, domain, _ := strings.Cut(f.Rcpt, "@")
		status := f.status()
		if f.Reply.Code == 0 {
			status = "4.4.1"
		}
		p("\nFinal-Recipient: rfc822; %s\nAction: failed\nStatus: %s", f.Rcpt, status)
		p("Remote-MTA: dns; %s. (%s, the server for the domain %s.)", f.Host, f.Address, domain)
		if f.Reply.Code != 0 {
			p("Diagnostic-Code: smtp; %s", f.text())
		} else {
			p("Diagnostic-Code: smtp; %s", gmailLocal(f, domain))
		}
		p("Last-Attempt-Date: %s", l.now.Format("Mon, 02 Jan 2006 15:04:05 -0700 (MST)"))
	}
	p("\n--%s\nContent-Type: message/rfc822\n", boundary)
	p("Return-Path: <%s>", l.sender)
	p("%s\nA message of a scenario.\n\n--%s--", l.original(), boundary)
	return b.String()
}

// gmailLocal is Google's own text where the server gave no reply.
func gmailLocal(f *Failure, domain string) string {
	at := fmt.Sprintf("%s. [%s]:%d", f.Host, f.Address, f.Port)
	switch f.Kind {
	case DNS:
		return fmt.Sprintf("DNS Error: DNS type 'a' lookup of %s responded with code NXDOMAIN Domain name not found: %s", f.Host, f.Host)
	case Connect:
		if f.Fault == transcript.FaultRefused {
			return fmt.Sprintf("The recipient server did not accept our requests to connect. [%s: Connection refused]", at)
		}
		return fmt.Sprintf("The recipient server did not accept our requests to connect. [%s: timed out]", at)
	case Handshake, NotTLS, Untrusted:
		return fmt.Sprintf("TLS Negotiation failed with %s", at)
	case NotOffered:
		return fmt.Sprintf("TLS required but not supported by %s", at)
	case NoMech:
		return "Unspecified Error (SENT_SECOND_EHLO): Smtp server does not advertise AUTH capability"
	}
	return fmt.Sprintf("The recipient server did not accept our requests to connect. [%s: socket error]", at)
}
