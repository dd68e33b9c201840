// Package transcript is the one record that everything in handoff speaks: what
// a client and a server said to each other, in order, and how far they got.
//
// A live probe, a pasted swaks run, an Exchange protocol log and a bounce all
// become a Session: an NDR is an excerpt of somebody else's SMTP session, with
// Reporting-MTA as the client, Remote-MTA as the server, Diagnostic-Code as the
// reply and "in reply to RCPT TO command" as the command.
//
// The package keeps, formats, parses and masks. It does not judge: verdicts are
// the business of package analyze. It imports the standard library only.
//
// # Reading
//
// ParseReply reads a reply as reports quote it; Reply has Text, Class, Inner
// (the answer that another system wraps) and Stage (for a reply that stands
// alone). KindOf says what the words of a reply mean, from one table of phrases;
// Kind has Stage and Echo. Verb, Path and StageOf take commands apart.
// HostIsUnder compares hosts by their last labels, Lookalike finds those that
// only look right. Session.FirstFailure is the cause, what follows are its
// consequences.
//
// # Writing
//
// Format writes a session in the marks of swaks and Parse reads it back;
// Session has a JSON form without loss. Escape, EscapeLines, EscapeJSON and
// AppendJSONString make untrusted text fit to be shown.
//
// # Hiding
//
// Secrets go at the time of recording through a Masker, which follows AUTH over
// lines with their speaker, and Known, which finds a secret that we hold in all
// its forms. Pasted text goes through Redact or a Redactor, by grammar.
package transcript

import "time"

// Fact is a three-valued truth. The zero value is Unknown: "not stated" is
// never "no".
type Fact int8

// The three values of a Fact.
const (
	Unknown Fact = iota // not stated, not tried, not seen
	No
	Yes
)

// Stage is the furthest point on the road to the relay (contract §3).
type Stage string

// The stages in the order of the road. A missing STARTTLS or a 530 belongs to
// StageTLS wherever it was said; MAIL and RCPT are StageEnvelope.
const (
	StageNotAttempted Stage = "not-attempted"
	StageResolve      Stage = "resolve"
	StageConnect      Stage = "connect"
	StageGreet        Stage = "greet"
	StageEHLO         Stage = "ehlo"
	StageTLS          Stage = "tls"
	StageAuth         Stage = "auth"
	StageEnvelope     Stage = "envelope"
	StageData         Stage = "data"
	StageAccepted     Stage = "accepted"
	StageUnknown      Stage = "unknown"
)

// Fault says how an exchange failed below or beside SMTP (contract §4). Empty
// means that nothing failed there: the server's reply, if any, is the answer.
type Fault string

// The faults of the contract.
const (
	FaultNone        Fault = ""
	FaultDNS         Fault = "dns"
	FaultRefused     Fault = "refused"     // TCP RST in answer to SYN
	FaultTimeout     Fault = "timeout"     // no whole reply within the patience
	FaultReset       Fault = "reset"       // RST in mid-session
	FaultClosed      Fault = "closed"      // FIN before a whole reply
	FaultTLS         Fault = "tls"         // handshake failed: alert, garbage, version
	FaultCertificate Fault = "certificate" // handshake went well, the chain did not verify
	FaultInjection   Fault = "injection"   // plaintext behind the 220 to STARTTLS
	FaultProtocol    Fault = "protocol"    // not a reply, or replies out of order
	FaultLimit       Fault = "limit"       // one of our own caps
)

// Span is a place in the input a fact was read from. The zero Span means that
// the fact has no place in a text (a live probe, or a default).
type Span struct {
	Offset int // bytes from the start of the input, inclusive
	End    int // bytes from the start of the input, exclusive
	Line   int // 1-based; LF, CRLF and bare CR each end a line
	Column int // 1-based, in characters of that line
}

// IsZero reports whether the span names no place.
func (s Span) IsZero() bool { return s.End == 0 }

// Reply is what a server answered to one command, verbatim (RFC 5321 §4.2).
type Reply struct {
	Code     int      // 200..599; 0: not stated (.NET drops the three digits)
	Enhanced string   // the server's own enhanced code, "5.7.1"; empty when it gave none (RFC 3463)
	Lines    []string // the lines as they came, without line ends; unfolded when a report wrapped them
	// At holds, beside each line, when it was complete, since Session.Began.
	// Nil when the source has no times.
	At   []time.Duration
	Span Span // of the lines; where there are none, of the words for the fault in their place
}

// Exchange is one command and its reply, or the fault in place of the reply.
type Exchange struct {
	Stage   Stage
	Command string // as sent, without CRLF, secrets masked; empty for resolve, connect, greeting and handshake
	Reply   Reply  // zero when there was none
	Fault   Fault
	Detail  string        // our own words about the fault; never a library's error text
	Skipped string        // why a planned step was not tried; empty when it was
	Secure  bool          // inside TLS
	Grouped bool          // sent in one pipelined group with the exchange before it (RFC 2920)
	Sent    time.Duration // when the command went out, since Session.Began
	Took    time.Duration // from Sent to the last byte of the reply or the fault
	Span    Span          // of the command, or of the fault's words in a text
}

// TLS is what was learned of the encrypted layer. Times are UTC.
type TLS struct {
	Version   string   // "TLS 1.3"
	Cipher    string   // IANA name
	Curve     string   // key exchange group, "X25519MLKEM768"
	Names     []string // DNS names and addresses of the leaf certificate
	Subject   string
	Issuer    string
	NotBefore time.Time
	NotAfter  time.Time // of the leaf
	Earliest  time.Time // earliest NotAfter of the presented chain
	Stapled   Fact      // an OCSP response came along
	Verified  Fact
	// Problem is empty or says what is wrong with the chain, as the id of the
	// cause: certificate-expired, certificate-not-yet-valid,
	// certificate-name-mismatch, certificate-unknown-issuer, certificate-weak-key
	// (RSA under 2,048 bits), or "protocol-version", "not-tls", "implicit-tls" (the
	// peer speaks TLS from the first byte on a STARTTLS port), "internal-error"
	// (the peer's alert about a fault of its own), "alert" (another one),
	// "interrupted" for the handshake itself.
	Problem string
	Detail  string // one sentence of ours made from the certificate's fields
	Alert   string // name of the TLS alert the peer sent, "protocol_version"
	// Chain holds the subjects of the certificates as they were sent, the
	// leaf's first.
	Chain []string
	// Versions says which versions of TLS the server accepts, where each was
	// asked for on a connection of its own. Nil: not asked.
	Versions []TLSVersion
}

// NoteTarpit begins Exchange.Detail where a whole reply came bit by bit, as a
// tarpit sends it.
const NoteTarpit = "tarpit: "

// Notes that begin Exchange.Detail of a FaultRefused that nobody at the other end
// has said: the connection was not opened for a reason of this machine, or of
// the network between.
const (
	NoteThisMachine = "this machine "
	NoteNetworkSays = "the network says "
)

// TLSVersion says whether a server accepts one version of TLS.
type TLSVersion struct {
	Version  string // "TLS 1.0" to "TLS 1.3"
	Accepted Fact   // Unknown: the question did not get as far as the handshake
	Alert    string // name of the alert that refused it
}

// Session is one connection to a server, from resolve to close.
type Session struct {
	Source    string // where it comes from: "probe", "swaks", "postfix-dsn", …
	Client    string // EHLO argument, or Reporting-MTA
	Server    string // the name that was dialled or configured; lower case, no root dot
	Address   string // IP address, empty when not stated
	Port      int    // logical port (25, 587, 465); 0: not stated
	Implicit  bool   // TLS from the first byte (RFC 8314)
	Began     time.Time
	TLS       *TLS     // nil when no handshake was tried
	Before    []string // EHLO keywords with parameters before TLS; nil: not seen
	After     []string // the same inside TLS; nil: not seen
	Exchanges []Exchange
	Plan      *Plan // what the run that made it was to try; nil: not known
	Span      Span
}

// Plan is what a reader has to know of the run that made a session to judge it
// as that run did: to whoever means to log in, a refusal on port 25 is no
// problem, and a step that nobody wanted was not left out.
type Plan struct {
	Intent      string   // "auth", "server" or "both"; empty: not stated
	Credential  bool     // a login was to be tried
	StopAfter   Stage    // last stage to try, connect to data; empty: envelope
	LoginSender string   // "yes" or "no": the first sender is the login's name; empty: not known
	From        []string // senders that were to be tried, at most 200
	To          []string // recipients, likewise
	Partial     bool     // the run ended before it was done
}
