package analyze

import (
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Observation is one try on the road to the relay, reduced to what the
// inversion compares: where it ended and with which answer, and under which
// circumstances as far as they are known. It is made from an outcome of a
// report or from a probed session. Unknown fields are wild cards, named as
// such in Cause.Fits.
type Observation struct {
	Verdict   Verdict
	Stage     transcript.Stage
	Port      int              // 0: not stated
	Reply     transcript.Reply // of the first failing exchange; zero: none
	Kind      transcript.Kind  // what the reply's words mean
	Fault     transcript.Fault
	TLS       string          // transcript.TLS.Problem, when the handshake or chain failed
	Inbound   transcript.Fact // the recipient is the relay's own customer
	Secure    transcript.Fact // the failing exchange was inside TLS
	Offered   transcript.Fact // AUTH was offered
	StartTLS  transcript.Fact // STARTTLS was offered
	AuthTried transcript.Fact
	LoggedIn  transcript.Fact // 235 was seen before
	Login     string          // user name that logged in or tried; empty: not known
	// LoginSender says whether the sender is the login's own name, where Login is
	// not known.
	LoginSender transcript.Fact
	Sender      string // envelope sender; "<>" the null sender; empty: not known
	Recipient   string
	Implicit    transcript.Fact // the client spoke TLS from the first byte
	Tester      bool            // the test program broke its own test (openssl s_client and its R)
	Masked      bool            // banner or EHLO keywords were masked (XXXXXXXA, 220 ****)
	Via         string          // family of the report, or "probe": Exchange Online has its own causes
	Online      bool            // Exchange Online reported the service: its connectors use port 25 and cannot log in
	Words       string          // the fault's words in the text, lower case, for causes that key on them
	Host        string          // the host that answered or was tried
	When        time.Time       // zero: not known
}

// Facts are what the user tells us beside the texts. Zero values are unknown.
type Facts struct {
	Intent        Intent        // how they mean to send
	CredentialAge time.Duration // 0: not told
	UserAge       time.Duration
	DomainAge     time.Duration
	Forwarded     transcript.Fact
	Listed        transcript.Fact // the sending address is among Sending Servers
	Registered    transcript.Fact // the sender is a registered user
	OurDomains    []string
}

// Options shape a judgement. The zero value is usable.
type Options struct {
	Source string // name of the input, for Report.Input.Source
	// RelayDomains are domains of relays beside ppe-hosted.com; everything then
	// speaks of them as of the relay.
	RelayDomains []string
	Facts        Facts
	// Explainer holds pages of causes other than the program's own (see
	// WithCauses); nil: those of the program.
	Explainer *Explainer
	Now       time.Time // for "worth trying again at"; zero: no clock time is named
	Origin    Origin
}

// Origin says where the bytes of an input come from, when they are part of
// something larger: a message of an archive, or what was kept of a large one.
// The zero value is a whole input.
type Origin struct {
	Message int    // place among the messages of the source, from 1; 0: the source is one message
	Line    int    // line of the source that the first byte stands in, from 1; 0: 1
	Size    int64  // bytes of the message; 0: as many as were given
	SHA256  string // of all its bytes, in hexadecimal; empty: of those given
	// Cut is the offset at which bytes were left out, CutLines the number of line
	// ends among them. Zero: none were.
	Cut      int
	CutLines int
	// Problem says in a few words why the message could not be read to its end;
	// Advice what to do about it.
	Problem string
	Advice  string
}
