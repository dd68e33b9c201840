package bounce

import (
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Kind says how a session failed, in the way that sending systems tell apart.
type Kind string

// The kinds of failure.
const (
	Said       Kind = "said"        // the server answered a command
	Greeting   Kind = "greeting"    // the server refused to talk, in its greeting
	SASL       Kind = "sasl"        // the server answered AUTH
	NoMech     Kind = "mechanism"   // no mechanism in common, or AUTH not offered
	NotOffered Kind = "not-offered" // STARTTLS was not offered
	StartTLS   Kind = "starttls"    // the server answered STARTTLS with no 220
	Handshake  Kind = "handshake"   // the handshake failed
	Untrusted  Kind = "certificate" // the handshake went well, the chain did not verify
	DNS        Kind = "dns"
	Connect    Kind = "connect"  // refused or timed out
	Timeout    Kind = "timeout"  // no reply in time
	Lost       Kind = "lost"     // the connection broke
	NotTLS     Kind = "not-tls"  // TLS was spoken to a plain server
	Later      Kind = "later"    // a later hop answered; the relay reports
	LaterDown  Kind = "no-later" // a later hop could not be reached
)

// Failure is what happened to one recipient.
type Failure struct {
	Kind    Kind
	Stage   transcript.Stage
	Host    string // as dialled or configured
	Address string
	Port    int
	Command string // as it was answered: "RCPT TO:<…>"
	Reply   transcript.Reply
	Fault   transcript.Fault
	Problem string // of TLS: certificate-expired, …
	Detail  string
	Secure  bool
	Rcpt    string
	At      time.Time
	Next    Next // Later and LaterDown: the hop behind the relay
}

// temporary says that the answer asks for another try.
func (f *Failure) temporary() bool {
	switch f.Kind {
	case Later:
		return f.Next.Delayed
	case LaterDown:
		return f.Next.Delayed
	}
	if f.Reply.Code != 0 {
		return f.Reply.Code < 500
	}
	return true
}

// Kept says that the family keeps the mail and tries again: temporary answers
// and faults, and what it takes for temporary. Postfix queues a refused login
// and a refused greeting; Exim everything below SMTP.
func (f *Failure) Kept(family Family) bool {
	if f.temporary() {
		return true
	}
	switch family {
	case Postfix:
		return f.Kind == SASL || f.Kind == Greeting || f.Kind == StartTLS
	case Exim:
		return f.Kind == SASL || f.Kind == StartTLS || f.Kind == Greeting && f.Reply.Code < 500
	case Exchange, ExchangeOnline, ExchangeModern:
		return f.Kind == SASL || f.Kind == StartTLS
	}
	return false
}

// envelope finds sender and recipients in the commands of a session.
func envelope(s *transcript.Session) (sender string, rcpts []string) {
	for _, x := range s.Exchanges {
		address, _, ok := transcript.Path(x.Command)
		if !ok {
			continue
		}
		switch transcript.Verb(x.Command) {
		case "MAIL":
			if sender = address; sender == "<>" {
				sender = ""
			}
		case "RCPT":
			rcpts = append(rcpts, address)
		}
	}
	return sender, rcpts
}

// Failures says what a session did to each of its recipients: those that were
// refused one by one, or all alike when the session itself failed. fallback is
// the recipient of a session that did not get so far as to name one.
func Failures(s transcript.Session, fallback string) []Failure {
	base := Failure{Host: s.Server, Address: s.Address, Port: s.Port, At: s.Began}
	if base.Host == "" {
		base.Host = s.Address
	}
	var out []Failure
	var pending []string // recipients that were accepted so far
	for i := range s.Exchanges {
		x := &s.Exchanges[i]
		verb := transcript.Verb(x.Command)
		address, _, _ := transcript.Path(x.Command)
		if verb == "QUIT" || verb == "RSET" || verb == "NOOP" {
			continue
		}
		if !x.Failed() {
			if f, ok := skipped(x, base); ok && !laterFailure(s.Exchanges[i+1:]) {
				f.Rcpt = fallback
				return []Failure{f}
			}
			if verb == "RCPT" {
				pending = append(pending, address)
			}
			continue
		}
		f := base
		f.fill(x, &s)
		if f.Kind == SASL && x.Fault == transcript.FaultNone && laterFailure(s.Exchanges[i+1:]) {
			continue // it went on without, or with another mechanism; the end is what it reports
		}
		if verb == "RCPT" && x.Fault == transcript.FaultNone && x.Reply.Code != 421 {
			f.Rcpt = address
			out = append(out, f)
			continue
		}
		if len(out) > 0 && verb == "DATA" && len(pending) == 0 {
			break // the echo of recipients that were all refused
		}
		// The session failed for whoever was still waiting.
		if verb == "RCPT" {
			pending = append(pending, address)
		}
		if len(pending) == 0 && len(out) == 0 {
			pending = []string{fallback}
		}
		for _, r := range pending {
			g := f
			g.Rcpt = r
			out = append(out, g)
		}
		break
	}
	return out
}

// laterFailure says whether something after a skipped step failed, which then is
// what the system reports.
func laterFailure(xs []transcript.Exchange) bool {
	for i := range xs {
		if xs[i].Failed() && transcript.Verb(xs[i].Command) != "QUIT" {
			return true
		}
	}
	return false
}

// skipped reads a step that the client could not take.
func skipped(x *transcript.Exchange, base Failure) (Failure, bool) {
	if x.Skipped == "" {
		return base, false
	}
	base.Stage, base.Detail = x.Stage, x.Skipped
	switch x.Stage {
	case transcript.StageTLS:
		base.Kind = NotOffered
	case transcript.StageAuth:
		base.Kind = NoMech
	default:
		return base, false
	}
	return base, true
}

// fill takes the facts of the failing exchange over.
func (f *Failure) fill(x *transcript.Exchange, s *transcript.Session) {
	f.Stage, f.Command, f.Reply, f.Fault, f.Detail, f.Secure = x.Stage, x.Command, x.Reply, x.Fault, x.Detail, x.Secure
	verb := transcript.Verb(x.Command)
	switch {
	case x.Fault == transcript.FaultNone:
		switch {
		case x.Command == "" && x.Stage == transcript.StageGreet:
			f.Kind = Greeting
		case verb == "STARTTLS":
			f.Kind = StartTLS
		case verb == "AUTH" || x.Stage == transcript.StageAuth:
			f.Kind = SASL
		default:
			f.Kind = Said
		}
	case x.Fault == transcript.FaultDNS:
		f.Kind = DNS
	case x.Stage == transcript.StageConnect:
		f.Kind = Connect
	case x.Stage == transcript.StageTLS && x.Command == "":
		f.Kind = Handshake
		if s.TLS != nil {
			f.Problem = s.TLS.Problem
		}
		switch {
		case s.Implicit && f.Problem == "not-tls":
			f.Kind = NotTLS
		case strings.HasPrefix(f.Problem, "certificate"):
			f.Kind = Untrusted
		}
	case x.Fault == transcript.FaultTimeout:
		f.Kind = Timeout
	default:
		f.Kind = Lost
	}
}

// nextFailure is what a later hop did, as the relay reports it.
func nextFailure(o Options, s *transcript.Session, rcpts []string, now time.Time) Failure {
	f := Failure{
		Kind: Later, Stage: transcript.StageAccepted, Host: s.Server, Address: s.Address, Port: s.Port,
		Next: *o.Next, Rcpt: o.Recipient, At: now,
	}
	if len(rcpts) > 0 {
		f.Rcpt = rcpts[0]
	}
	if o.Next.Reply == "" {
		f.Kind = LaterDown
		return f
	}
	if r, ok := transcript.ParseReply(o.Next.Reply); ok {
		f.Reply = r
	}
	return f
}

// text is the reply's lines as one.
func (f *Failure) text() string { return strings.Join(f.Reply.Lines, " ") }

// words is the reply after its codes.
func (f *Failure) words() string {
	t := f.text()
	if len(t) > 4 {
		t = t[4:]
	}
	return strings.TrimSpace(strings.TrimPrefix(t, f.Reply.Enhanced))
}

// verb is the command as reports name it: "RCPT TO", "MAIL FROM", "end of DATA".
func (f *Failure) verb() string {
	switch transcript.Verb(f.Command) {
	case "MAIL":
		return "MAIL FROM"
	case "RCPT":
		return "RCPT TO"
	case ".":
		return "end of DATA"
	case "":
		return ""
	}
	return transcript.Verb(f.Command)
}

// status is the enhanced code of the reply, or one made from its class.
func (f *Failure) status() string {
	if f.Reply.Enhanced != "" {
		return f.Reply.Enhanced
	}
	if f.Reply.Code >= 500 {
		return "5.0.0"
	}
	return "4.0.0"
}
