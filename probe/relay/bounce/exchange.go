package bounce

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// exchangeReply is what Exchange Online quotes: its own summary before the
// remote server's words where it has one for them.
func exchangeReply(f *Failure) string {
	low := strings.ToLower(f.text())
	switch {
	case strings.Contains(low, "relay access denied"), strings.Contains(low, "relaying denied"):
		return "550 5.7.367 Remote server returned not permitted to relay -> " + f.text()
	case strings.HasPrefix(f.Reply.Enhanced, "5.1."):
		return "550 5.1.351 Remote server returned unknown recipient or mailbox unavailable -> " + f.text()
	}
	return f.text()
}

// exchangeHead is the mail around the visible text.
func exchangeHead(l *letter, body string) string {
	boundary := "_" + l.id("boundary", "0123456789abcdef", 32) + "_"
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	domain := "customer.example"
	if _, d, ok := strings.Cut(l.sender, "@"); ok {
		domain = d
	}
	p("From: Microsoft Outlook <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@%s>", domain)
	p("To: <%s>", l.sender)
	p("Date: %s", l.now.Format("Mon, 2 Jan 2006 15:04:05 -0700"))
	p("Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"%s\"", boundary)
	p("MIME-Version: 1.0")
	p("Message-ID: <%s@%s>", l.id("id", "0123456789abcdef", 32), l.reporter)
	p("Subject: Undeliverable: %s", l.subject)
	p("Auto-Submitted: auto-replied\n")
	p("--%s\nContent-Type: text/plain; charset=\"us-ascii\"\n", boundary)
	p("%s", strings.TrimRight(body, "\n"))
	p("\n--%s\nContent-Type: message/delivery-status\n", boundary)
	p("Reporting-MTA: dns;%s", l.reporter)
	p("Received-From-MTA: dns;%s", helo(l))
	p("Arrival-Date: %s", l.now.Add(-2e9).Format("Mon, 2 Jan 2006 15:04:05 -0700"))
	for i := range l.failures {
		f := &l.failures[i]
		status, code := exchangeStatus(l, f)
		p("\nFinal-Recipient: rfc822;%s\nAction: failed\nStatus: %s", f.Rcpt, status)
		p("Diagnostic-Code: smtp;%s", code)
		if f.Reply.Code != 0 {
			p("Remote-MTA: dns;%s", f.Host)
		}
	}
	p("\n--%s\nContent-Type: message/rfc822\n", boundary)
	p("%s", exchangeTrace(l)+l.original())
	p("--%s--", boundary)
	return b.String()
}

// exchangeTrace is the Received line of the returned headers.
func exchangeTrace(l *letter) string {
	return fmt.Sprintf("Received: from DB0PR00MB0001.eurprd00.prod.outlook.com (2001:db8::1) by\n %s (2001:db8::2) with Microsoft SMTP Server\n id 15.20.8000.1; %s\n",
		l.reporter, l.now.Add(-2e9).Format("Mon, 2 Jan 2006 15:04:05 -0700"))
}

// exchangeStatus is the status field and the diagnostic code.
func exchangeStatus(l *letter, f *Failure) (status, code string) {
	if f.Reply.Code != 0 && !l.expired(f) {
		code = exchangeReply(f)
		if l.info.Family == Exchange {
			code = f.text()
		}
	} else {
		code = expiredOwn(f)
		if l.info.Family == Exchange {
			code = "550 4.4.7 QUEUE.Expired; message expired"
		}
	}
	if r, ok := transcript.ParseReply(code); ok && r.Enhanced != "" {
		return r.Enhanced, code
	}
	return f.status(), code
}

// expired says that the report comes from the end of the queue's patience.
func (l *letter) expired(f *Failure) bool {
	return l.info.Family == ExchangeExpire || f.Kept(l.info.Family)
}

func writeExchangeOnline(l *letter) string {
	if l.failures[0].Kind == NoMech {
		return "" // its connectors cannot log in
	}
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	f := &l.failures[0]
	if f.Reply.Code != 0 {
		p("%s rejected your message to the following email addresses:\n", f.Host)
	} else {
		p("The message could not be delivered to:\n")
	}
	for i := range l.failures {
		p("%s", l.failures[i].Rcpt)
	}
	if f.Reply.Code != 0 {
		p("\n%s gave this error:\n%s\n", f.Host, f.words())
	}
	b.WriteString(exchangeDetails(l))
	p("\nOriginal message headers:\n")
	p("%s%s", exchangeTrace(l), l.original())
	return exchangeHead(l, b.String())
}

// writeExchangeExpired is what comes when the queue has given up; a refusal for
// good is reported at once, in the other forms.
func writeExchangeExpired(l *letter) string {
	if !l.failures[0].Kept(ExchangeOnline) {
		return ""
	}
	return writeExchangeOnline(l)
}

func writeExchangeModern(l *letter) string {
	f := &l.failures[0]
	if f.Reply.Code == 0 || l.expired(f) {
		return writeExchangeOnline(l)
	}
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	reply := exchangeReply(f)
	status := f.status()
	if r, ok := transcript.ParseReply(reply); ok {
		status = fmt.Sprintf("%d %s", r.Code, r.Enhanced)
	}
	p("Your message to %s couldn't be delivered.\n", f.Rcpt)
	p("The server that was asked to take it further said no. Status code: %s\n", status)
	p("Error Details\n")
	p("Error:\t%s", reply)
	p("Message rejected by:\t%s\n", f.Host)
	p("Notification Details\n")
	p("Sent by:\t%s\n", l.reporter)
	p("Message Details")
	p("Sender Address:\t%s", l.sender)
	p("Recipient Address:\t%s", f.Rcpt)
	p("Subject:\t%s\n", l.subject)
	p("Message Hops\n")
	p("HOP\tTIME (UTC)\tFROM\tTO\tWITH\tRELAY TIME")
	p("1\t%s\tDB0PR00MB0001.eurprd00.prod.outlook.com\t%s\tmapi\t*\n", l.now.Format("1/2/2006\n3:04:05 PM"), l.reporter)
	p("Original Message Headers\n\n%s%s", exchangeTrace(l), l.original())
	return exchangeHead(l, b.String())
}

// expiredOwn is Microsoft's own last word, after its queue gave up.
func expiredOwn(f *Failure) string {
	switch f.Kind {
	case DNS:
		return "550 5.4.312 Message expired, DNS query failed(DnsDomainDoesNotExist)"
	case Connect:
		if f.Fault == transcript.FaultRefused {
			return "550 5.4.316 Message expired, connection refused(Socket error code 10061)"
		}
		return "550 5.4.315 Message expired, connection timed out(Socket error code 10060)"
	case Untrusted:
		return "550 5.7.320 Message expired, certificate validation failed"
	case Lost:
		return "550 5.4.318 Message expired, connection reset(ConnectionReset)"
	case NotOffered, Handshake, NotTLS:
		return "550 5.4.317 Message expired, cannot connect to remote server(" + ownTLS(f) + ")"
	}
	if f.Reply.Code != 0 && f.Kind != Greeting {
		return "550 5.4.300 Message expired -> " + f.text()
	}
	return "550 5.4.317 Message expired, cannot connect to remote server"
}

// ownTLS is Exchange's own word about TLS that did not come about.
func ownTLS(f *Failure) string {
	if f.Kind == NotOffered {
		return "451 5.7.3 STARTTLS is required to send mail"
	}
	return "451 4.4.0 TLS negotiation failed with error SocketError"
}

// expiredTry is the last real try, in Microsoft's words: "returned" stands for
// every outcome, a reply of the server is inside.
func expiredTry(f *Failure) string {
	code, text, message := "450 4.4.317", "Cannot connect to remote server", ""
	switch f.Kind {
	case DNS:
		code, text, message = "450 4.4.312", "DNS query failed", "DnsDomainDoesNotExist"
		if !strings.Contains(f.Detail, "does not exist") {
			message = "ServerFailure"
		}
	case Connect:
		code, text, message = "450 4.4.315", "Connection timed out", "Socket error code 10060"
		if f.Fault == transcript.FaultRefused {
			code, text, message = "450 4.4.316", "Connection refused", "Socket error code 10061"
		}
	case Untrusted:
		code, text, message = "450 4.7.320", "Certificate validation failed", "UntrustedRoot"
		switch f.Problem {
		case "certificate-expired", "certificate-not-yet-valid":
			message = "CertificateExpired"
		case "certificate-name-mismatch":
			message = "SubjectMismatch"
		}
	case Handshake, NotTLS, NotOffered:
		message = ownTLS(f)
	case Lost:
		code, text, message = "450 4.4.318", "Connection was closed abruptly (SuspiciousRemoteServerError)", "Socket error code 10054"
	case Timeout:
		message = "421 4.4.2 Connection dropped due to TimedOut"
	case Greeting:
		message = f.text()
	default:
		if f.Reply.Code != 0 {
			return f.text()
		}
		message = f.Detail
	}
	address := f.Address
	if address == "" {
		address = "0.0.0.0"
	}
	port := f.Port
	if port == 0 {
		port = 25
	}
	return fmt.Sprintf("%s %s [Message=%s] [LastAttemptedServerName=%s] [LastAttemptedIP=%s:%d] [SmtpSecurity=-2;-2] [%s](%s)",
		code, text, message, f.Host, address, port, "DB0EUR00FT000.eop-EUR00.prod.protection.outlook.com", message)
}

// exchangeDetails are the paragraphs for administrators: per recipient the
// server's answer, or what the last tries met.
func exchangeDetails(l *letter) string {
	var b strings.Builder
	b.WriteString("\nThe administrators' details follow.\n\nDiagnostic information for administrators:\n\nGenerating server: " + l.reporter + "\n")
	for i := range l.failures {
		f := &l.failures[i]
		fmt.Fprintf(&b, "\n%s\n", f.Rcpt)
		_, code := exchangeStatus(l, f)
		switch {
		case f.Reply.Code != 0 && !l.expired(f):
			fmt.Fprintf(&b, "%s\nRemote Server returned '%s'\n", f.Host, code)
			continue
		case l.info.Family != Exchange:
			b.WriteString(strings.Join(expiredLines(l, f), "\n") + "\n")
			continue
		}
		address := cmp.Or(f.Address, "0.0.0.0")
		head := fmt.Sprintf("%s - Remote Server at %s (%s) returned", l.now.Format("1/2/2006 3:04:05 PM"), f.Host, address)
		fmt.Fprintf(&b, "%s '%s'\n%[1]s '%[3]s'\n", head, code, onPremises(f, address))
	}
	return b.String()
}

func expiredLines(l *letter, f *Failure) []string {
	stamp := func(minutes int) string {
		return l.now.Add(-time.Duration(minutes) * time.Minute).Format("1/2/2006 3:04:05 PM")
	}
	address := f.Address
	if address == "" {
		address = "0.0.0.0"
	}
	return []string{
		fmt.Sprintf("%s - Server at %s returned '%s'", stamp(0), l.reporter, expiredOwn(f)),
		fmt.Sprintf("%s - Server at %s (%s) returned '%s'", stamp(10), f.Host, address, expiredTry(f)),
	}
}

// writeExchange is Exchange Server on premises, 2013 and later.
func writeExchange(l *letter) string {
	if l.failures[0].Kind == NoMech {
		return "" // no sample of it is known
	}
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("Delivery has failed to these recipients or groups:\n")
	for i := range l.failures {
		p("%s", l.failures[i].Rcpt)
	}
	b.WriteString(exchangeDetails(l))
	p("\nOriginal message headers:\n")
	p("Received: from EX02.corp.customer.example (203.0.113.20) by %s\n (203.0.113.21) with Microsoft SMTP Server (TLS) id 15.1.2507.1; %s", l.reporter, l.now.Format("Mon, 2 Jan 2006 15:04:05 -0700"))
	p("%s", l.original())
	return exchangeHead(l, b.String())
}

// onPremises is the last real try as Exchange Server tells it.
func onPremises(f *Failure, address string) string {
	inner := ""
	switch f.Kind {
	case DNS:
		return "554 5.4.4 SMTPSEND.DNS.NonExistentDomain; nonexistent domain"
	case Connect:
		inner = "421 4.4.1 Connection timed out."
		if f.Fault == transcript.FaultRefused {
			inner = "421 4.2.1 Unable to connect."
		}
		return fmt.Sprintf("451 4.4.0 Primary target IP address responded with: \"%s\" Attempted failover to alternate host, but that did not succeed. Either there are no alternate hosts, or delivery failed to all alternate hosts. The last endpoint attempted was %s:%d", inner, address, f.Port)
	case Handshake, NotTLS, NotOffered:
		inner = ownTLS(f) + "."
	case Untrusted:
		reason := "UntrustedRoot"
		switch f.Problem {
		case "certificate-expired", "certificate-not-yet-valid":
			reason = "CertificateExpired"
		case "certificate-name-mismatch":
			reason = "SubjectMismatch"
		}
		inner = "454 4.7.5 Certificate validation failure, Reason:" + reason
	case Timeout:
		inner = "421 4.4.2 Connection dropped due to TimedOut."
	case Lost:
		inner = "421 4.4.2 Connection dropped due to ConnectionReset."
	default:
		inner = f.text()
		if f.Reply.Code == 0 {
			inner = "421 4.4.2 Connection dropped."
		}
	}
	return fmt.Sprintf("451 4.4.0 Primary target IP address responded with: \"%s\" Attempted failover to alternate host, but that did not succeed. Either there are no alternate hosts, or delivery failed to all alternate hosts.", inner)
}
