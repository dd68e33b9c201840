// Package bounce composes the report that a sending system would write about a
// session that failed: the inverse of package analyze/ndr. It is for closing the
// loop (scenario, session, report, diagnosis), for demonstrations and for people
// who test readers of reports.
//
// Three layers are kept apart: the session says what happened; a sender model
// says what the mail system makes of it (which host it names, which status it
// gives, what it leaves out); a template says how that looks. Mutators then do
// to the text what mail programs and people do to it.
//
// Postfix's and Exim's shapes are compared with reports of the real programs; the
// others are modelled on public samples, see Info.Basis. The free paragraphs are in our
// own words: a reader must not depend on them. Nothing is sent.
package bounce

import (
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Family is a kind of report or of client error.
type Family string

// The families. Reports are mails with headers; the clients' are the lines that
// a program or a dialog shows.
const (
	Postfix        Family = "postfix"
	Exim           Family = "exim"
	Exchange       Family = "exchange"         // Exchange Server 2013 and later
	ExchangeOnline Family = "exchange-online"  // classic form
	ExchangeModern Family = "exchange-modern"  // Exchange Online, newer form
	ExchangeExpire Family = "exchange-expired" // Exchange Online, after its queue expired
	Gmail          Family = "gmail"
	Sendmail       Family = "sendmail"
	Service        Family = "service" // the relay's own report, about a later hop
	MSMTP          Family = "msmtp"
	Smtplib        Family = "smtplib"
	DotNet         Family = "dotnet"
	Outlook        Family = "outlook"
	Curl           Family = "curl"
	Swaks          Family = "swaks"
)

// Info describes a family.
type Info struct {
	Family Family
	Name   string
	Report bool // a mail; else what a program shows
	// NamesHost says that the text names the relay when it answered.
	NamesHost bool
	// Port says that the text states the port.
	Port bool
	// Basis is "measured" where the shape was compared with what the real program
	// wrote, "modelled" where it rests on public samples.
	Basis string
	write func(*letter) string
}

// Families lists the families.
func Families() []Info { return append([]Info(nil), families...) }

var families = []Info{
	{Postfix, "Postfix", true, true, false, "measured", writePostfix},
	{Exim, "Exim", true, true, false, "measured", writeExim},
	{Exchange, "Exchange Server", true, true, false, "modelled", writeExchange},
	{ExchangeOnline, "Exchange Online, classic", true, true, false, "modelled", writeExchangeOnline},
	{ExchangeModern, "Exchange Online, modern", true, true, false, "modelled", writeExchangeModern},
	{ExchangeExpire, "Exchange Online, expired queue", true, true, true, "modelled", writeExchangeExpired},
	{Gmail, "Gmail and Workspace", true, true, false, "modelled", writeGmail},
	{Sendmail, "Sendmail", true, true, false, "modelled", writeSendmail},
	{Service, "the service's own report", true, true, false, "modelled", writeService},
	{MSMTP, "msmtp", false, false, false, "measured", writeMSMTP},
	{Smtplib, "Python smtplib", false, false, false, "measured", writeSmtplib},
	{DotNet, ".NET SmtpClient", false, false, false, "modelled", writeDotNet},
	{Outlook, "Outlook dialog", false, true, true, "modelled", writeOutlook},
	{Curl, "curl", false, false, false, "measured", writeCurl},
	{Swaks, "swaks", false, true, true, "measured", writeSwaks},
}

// Find returns the family of that name.
func Find(name string) (Info, bool) {
	for _, f := range families {
		if strings.EqualFold(string(f.Family), name) {
			return f, true
		}
	}
	return Info{}, false
}

// Options are what the session does not say. The zero value is usable.
type Options struct {
	Reporter  string    // name of the reporting system; empty: by family
	Sender    string    // envelope sender; empty: from the session's MAIL
	Recipient string    // of a session that never got to RCPT; empty: bob@recipient.example
	Subject   string    // of the returned message; empty: "a test message"
	Now       time.Time // when the report is written; zero: the session's time
	Expired   bool      // the queue's patience has ended, also for what is temporary
	Delay     bool      // a delay warning in place of a bounce, where the family has one
	Next      *Next     // what a later hop did to a message that the relay took (Service)
}

// Next is what a later hop did.
type Next struct {
	Host, Address string
	Reply         string // its reply; empty: it could not be reached
	Delayed       bool   // the relay goes on trying
}

// Errors of Compose.
var (
	// ErrNothingFailed says that there is nothing to report.
	ErrNothingFailed = errors.New("nothing in the session failed")
	// ErrKept says that this system keeps the mail and reports nothing yet; with
	// Options.Expired it does.
	ErrKept = errors.New("the system keeps the mail in its queue and reports nothing yet")
	// ErrFamily says that the family does not report such things.
	ErrFamily = errors.New("this family does not report about that")
)

// Compose writes the report that the family would make of the session, with LF
// line ends. The same session and options give the same bytes.
func Compose(family Family, s transcript.Session, o Options) ([]byte, error) {
	info, ok := Find(string(family))
	if !ok {
		return nil, fmt.Errorf("no family %q", family)
	}
	l, err := newLetter(info, s, o)
	if err != nil {
		return nil, err
	}
	text := info.write(l)
	if text == "" {
		return nil, ErrFamily
	}
	return []byte(text), nil
}

// letter is what a template works on.
type letter struct {
	info     Info
	session  *transcript.Session
	o        Options
	reporter string
	sender   string
	subject  string
	now      time.Time
	failures []Failure
	seed     uint64
}

func newLetter(info Info, s transcript.Session, o Options) (*letter, error) {
	l := &letter{info: info, session: &s, o: o, sender: o.Sender, subject: o.Subject, now: o.Now.UTC(), reporter: o.Reporter}
	if o.Now.IsZero() {
		l.now = s.Began.UTC()
	}
	if l.now.IsZero() {
		l.now = time.Date(2026, 11, 23, 7, 40, 0, 0, time.UTC)
	}
	if l.subject == "" {
		l.subject = "a test message"
	}
	sender, rcpts := envelope(&s)
	if l.sender == "" {
		l.sender = sender
	}
	if o.Recipient == "" {
		o.Recipient = "bob@recipient.example"
	}
	if o.Next != nil || info.Family == Service {
		if o.Next == nil {
			return nil, ErrFamily
		}
		l.failures = []Failure{nextFailure(o, &s, rcpts, l.now)}
	} else {
		l.failures = Failures(s, o.Recipient)
		if len(l.failures) == 0 {
			return nil, ErrNothingFailed
		}
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%s|%s|%s|%v|%s", info.Family, l.sender, s.Server, l.now, l.failures[0].Rcpt)
	l.seed = h.Sum64()
	if l.reporter == "" {
		l.reporter = defaultReporter(info.Family, l)
	}
	if info.Report && info.Family != ExchangeExpire && !o.Expired && !o.Delay && o.Next == nil {
		for _, f := range l.failures {
			if f.Kept(info.Family) {
				return nil, ErrKept
			}
		}
	}
	return l, nil
}

// defaultReporter is a plausible name of the reporting system.
func defaultReporter(f Family, l *letter) string {
	domain := "customer.example"
	if _, d, ok := strings.Cut(l.sender, "@"); ok && strings.HasSuffix(d, "customer.example") {
		domain = d
	}
	switch f {
	case ExchangeOnline, ExchangeModern, ExchangeExpire:
		return "AM0PR00MB0007.eurprd00.prod.outlook.com"
	case Exchange:
		return "EX01.corp." + domain
	case Gmail:
		return "googlemail.com"
	case Service:
		return "dispatch1-us1.ppe-hosted.com"
	}
	return "mail." + domain
}

// id is a stable token of n characters of the alphabet.
func (l *letter) id(salt, alphabet string, n int) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d|%s", l.seed, salt)
	v := h.Sum64()
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[v%uint64(len(alphabet))]
		if v /= uint64(len(alphabet)); v == 0 {
			fmt.Fprintf(h, "%d", i)
			v = h.Sum64()
		}
	}
	return string(b)
}

const hex = "0123456789ABCDEF"

// messageID is that of the returned message.
func (l *letter) messageID() string {
	host := "customer.example"
	if _, d, ok := strings.Cut(l.sender, "@"); ok {
		host = d
	}
	return "<" + l.id("message", "0123456789abcdef", 16) + "@" + host + ">"
}

// rcpts are the recipients that failed.
func (l *letter) rcpts() string {
	var out []string
	for _, f := range l.failures {
		out = append(out, f.Rcpt)
	}
	return strings.Join(out, ", ")
}

// original is the returned message's header.
func (l *letter) original() string {
	var b strings.Builder
	fmt.Fprintf(&b, "From: <%s>\n", l.sender)
	fmt.Fprintf(&b, "To: %s\n", l.rcpts())
	fmt.Fprintf(&b, "Subject: %s\n", l.subject)
	fmt.Fprintf(&b, "Date: %s\n", l.now.Add(-time.Minute).Format(time.RFC1123Z))
	fmt.Fprintf(&b, "Message-ID: %s\n", l.messageID())
	return b.String()
}
