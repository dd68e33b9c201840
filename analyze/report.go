// Package analyze judges: it takes what was seen on the road to the relay,
// read from a paste by analyze/ndr or recorded by a probe, and says per
// recipient what happened, who refused, who has to act, which causes fit and
// which test tells them apart.
//
// It is pure: no network, no clock of its own, the same input gives the same
// bytes. It does not read text (analyze/ndr does) and does not print (the
// command does).
package analyze

import "github.com/smtp-handoff/handoff/analyze/transcript"

// SchemaVersion is the version of the JSON report; additive only (contract §4).
const SchemaVersion = "1.0"

// Verdict is the word for what happened (contract §3).
type Verdict string

// The verdicts.
const (
	Ready                Verdict = "ready"
	Refused              Verdict = "refused"
	Deferred             Verdict = "deferred"
	HandshakeFailed      Verdict = "handshake-failed"
	Unreachable          Verdict = "unreachable"
	NeverReached         Verdict = "never-reached"
	AcceptedThenBounced  Verdict = "accepted-then-bounced"
	InboundRefused       Verdict = "inbound-refused"
	NotAFailure          Verdict = "not-a-failure"
	InsufficientEvidence Verdict = "insufficient-evidence"
	Mixed                Verdict = "mixed" // headline only
)

// Status sums a verdict up for scripts.
type Status string

// The statuses.
const (
	OK           Status = "ok"
	Problem      Status = "problem"
	Inconclusive Status = "inconclusive"
)

// Party is whose side holds the fix.
type Party string

// The parties.
const (
	SenderSystem    Party = "sender-system"
	Network         Party = "network"
	RelayConfig     Party = "relay-config"
	RelayPlatform   Party = "relay-platform"
	RecipientSystem Party = "recipient-system"
	NoParty         Party = "none"
	UnknownParty    Party = "unknown"
)

// Direction is the way the mail went as the relay's customer sees it.
type Direction string

// The directions. A host label never decides one.
const (
	Outbound         Direction = "outbound"
	Inbound          Direction = "inbound"
	UnknownDirection Direction = "unknown"
)

// Confidence says how sure a verdict is.
type Confidence string

// The confidences.
const (
	Certain  Confidence = "certain"
	Likely   Confidence = "likely"
	Possible Confidence = "possible"
)

// Severity of a finding.
type Severity string

// The severities.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Info    Severity = "info"
)

// Intent is how the customer means to send: auth on 587, server on 25, or both.
type Intent string

// The intents.
const (
	IntentAuth   Intent = "auth"
	IntentServer Intent = "server"
	IntentBoth   Intent = "both"
)

// Report is the answer, for people and for scripts; its JSON form is the
// contract (§4). Kind "analysis" uses Input and Outcomes, kind "probe" uses
// Target, Intent, Sessions, Causes and DNS.
type Report struct {
	SchemaVersion string     `json:"schema_version"`
	Kind          string     `json:"kind"` // "analysis" or "probe"
	Input         *Input     `json:"input,omitempty"`
	Target        string     `json:"target,omitempty"`
	Intent        Intent     `json:"intent,omitempty"`
	Partial       bool       `json:"partial,omitempty"` // a probe that ended before it was done
	Planned       *Planned   `json:"planned,omitempty"` // probes: what was to be tried
	Verdict       Summary    `json:"verdict"`
	Outcomes      []Outcome  `json:"outcomes,omitempty"`
	Findings      []Finding  `json:"findings"`
	Causes        []Cause    `json:"causes,omitempty"`
	NextTests     []NextTest `json:"next_tests"`
	Diagnosis     *Narrowing `json:"diagnosis,omitempty"`
	Sessions      []Session  `json:"sessions,omitempty"`
	DNS           *DNS       `json:"dns,omitempty"`
}

// Planned is what a probe was asked to try. A step that was not planned is
// neither a failure nor a success; the headline names it.
type Planned struct {
	Credential bool             `json:"credential"`
	From       []string         `json:"from"`
	To         []string         `json:"to"`
	StopAfter  transcript.Stage `json:"stop_after"` // last stage to try; empty: envelope
	// LoginSender is "yes" or "no": whether the first sender is the login's own
	// name, which no report holds. Empty: there is no login, or no sender.
	LoginSender string `json:"login_sender,omitempty"`
}

// Input says what was read.
type Input struct {
	Source    string `json:"source"`
	Format    string `json:"format"`
	Bytes     int64  `json:"bytes"`
	SHA256    string `json:"sha256"`
	Truncated bool   `json:"truncated"`         // a limit was hit: the report is partial
	Message   int    `json:"message,omitempty"` // place among the messages of an archive, from 1
}

// Summary is the headline.
type Summary struct {
	Code       Verdict    `json:"code"`
	Status     Status     `json:"status"`
	Headline   string     `json:"headline"` // at most 100 characters, lower case, plain words
	Confidence Confidence `json:"confidence"`
	Next       string     `json:"next"` // who does what
}

// Reply is what a server said, in the report's form.
type Reply struct {
	Code     int    `json:"code"`
	Enhanced string `json:"enhanced"`
	Text     string `json:"text"` // after code and enhanced code; lines joined by LF
}

// Evidence is a quote of the input with its place; Quote is a substring of it.
type Evidence struct {
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Quote  string `json:"quote"`
	Role   string `json:"role"`           // refuser reporter target received named, or reply
	Port   int    `json:"port,omitempty"` // probes: the session whose transcript line it is
}

// Outcome is what happened to one recipient.
type Outcome struct {
	Recipient  string     `json:"recipient"`
	Verdict    Verdict    `json:"verdict"`
	Stage      string     `json:"stage"`
	Party      Party      `json:"party"`
	Direction  Direction  `json:"direction"`
	Reply      Reply      `json:"reply"`
	Status     string     `json:"status"` // the report's Status field
	RefusedBy  string     `json:"refused_by"`
	ReportedBy string     `json:"reported_by"`
	Target     string     `json:"target"`
	Port       int        `json:"port"` // 0: not stated
	Confidence Confidence `json:"confidence"`
	Sender     string     `json:"sender,omitempty"`
	When       string     `json:"when,omitempty"` // RFC 3339, of the last try
	Evidence   []Evidence `json:"evidence"`
	Causes     []Cause    `json:"causes"`
}

// Unsaid reports whether Reply holds words of the report itself that no server
// said ("retry timeout exceeded", "Envelope expired"): nobody refused, and they
// have no code or speak of an expiry or of a connection.
func (o *Outcome) Unsaid() bool {
	if o.RefusedBy != "" || o.replyless() {
		return false
	}
	if o.Reply.Code == 0 {
		return true
	}
	_, local := localKinds[transcript.KindOf(replyBack(&o.Reply))]
	return local
}

// Cause is one way the service or the road to it can be set up wrong that
// would have produced exactly what was seen.
type Cause struct {
	ID     string `json:"id"`
	Fits   string `json:"fits"` // why it fits, and which unstated facts it assumes
	Fix    string `json:"fix"`
	Who    Party  `json:"who"`
	Source string `json:"source"`
}

// Finding is one thing worth telling beside the verdict.
type Finding struct {
	ID       string     `json:"id"`
	Severity Severity   `json:"severity"`
	Expected bool       `json:"expected"` // the service documents it for this intent
	Title    string     `json:"title"`    // at most 72 characters
	Why      string     `json:"why,omitempty"`
	Evidence []Evidence `json:"evidence"`
	Fix      []Fix      `json:"fix"`
	Not      []string   `json:"not,omitempty"` // what not to waste time on
	Source   string     `json:"source"`
}

// Fix says who does what.
type Fix struct {
	Who     Party  `json:"who"`
	Text    string `json:"text"`
	Command string `json:"command,omitempty"`
}

// NextTest is the cheapest thing to try that tells causes apart.
type NextTest struct {
	ID        string   `json:"id"`
	Do        string   `json:"do"`
	Who       string   `json:"who,omitempty"`
	Cost      string   `json:"cost,omitempty"`
	Separates []string `json:"separates"`
	// Shows is what the test would show under each cause that is left.
	Shows []Showing `json:"shows,omitempty"`
}

// Showing is one thing a test can show, and the causes under which it does. Two
// causes that only explain together are joined by a plus.
type Showing struct {
	Show   string   `json:"show"`
	Causes []string `json:"causes"`
}

// Narrowing is how a diagnosis came from the causes that fitted at first to
// those in Report.Causes.
type Narrowing struct {
	Tried []TriedTest `json:"tried"`
	// Aside is how many outcomes were left out, since no one explanation fits them
	// together with the others: they are of another road or another mail.
	Aside int `json:"aside,omitempty"`
}

// TriedTest is a test that was made.
type TriedTest struct {
	Test   string `json:"test"`
	Do     string `json:"do"`
	By     string `json:"by"` // "handoff", or "answer": somebody looked and told
	Shown  string `json:"shown"`
	Before int    `json:"before"` // explanations that were left before it; 0: none had been found yet
	After  int    `json:"after"`
}

// Session is one probed session in the report's form.
type Session struct {
	Port         int          `json:"port"`
	Address      string       `json:"address"`
	Verdict      Verdict      `json:"verdict"`
	Stage        string       `json:"stage"`
	Party        Party        `json:"party,omitempty"`
	Expected     bool         `json:"expected,omitempty"` // the verdict is what the intent expects on this port
	Steps        []Step       `json:"steps"`
	Capabilities Capabilities `json:"capabilities"`
	TLS          TLS          `json:"tls"`
	Causes       []Cause      `json:"causes,omitempty"`
}

// Step is one exchange in the report's form.
type Step struct {
	Stage   string  `json:"stage"`
	Command string  `json:"command"`
	Status  string  `json:"status"` // ok refused deferred failed skipped
	Fault   string  `json:"fault"`
	Reply   *Reply  `json:"reply,omitempty"`
	TookMS  float64 `json:"took_ms"`
	SentMS  float64 `json:"sent_ms"`
	Secure  bool    `json:"secure"`
	Grouped bool    `json:"grouped,omitempty"`
	Note    string  `json:"note"`
}

// Capabilities are the EHLO keywords, before and inside TLS.
type Capabilities struct {
	BeforeTLS []string `json:"before_tls"`
	AfterTLS  []string `json:"after_tls"`
}

// TLS is the encrypted layer in the report's form.
type TLS struct {
	Version  string   `json:"version"`
	Cipher   string   `json:"cipher"`
	Curve    string   `json:"curve,omitempty"`
	Names    []string `json:"names"`
	Subject  string   `json:"subject,omitempty"`
	Issuer   string   `json:"issuer,omitempty"`
	NotAfter string   `json:"not_after"`
	Earliest string   `json:"earliest_not_after,omitempty"`
	Verified bool     `json:"verified"`
	Problem  string   `json:"problem"`
	Detail   string   `json:"detail,omitempty"`
	Alert    string   `json:"alert,omitempty"` // the TLS alert the peer sent
	// NotBefore and NotAfter are the leaf's dates.
	NotBefore string   `json:"not_before,omitempty"`
	Chain     []string `json:"chain,omitempty"`        // subjects as sent, the leaf's first
	Stapled   string   `json:"ocsp_stapled,omitempty"` // yes or no; empty: not known
	// Versions are the answers of a scan, one for each version asked for.
	Versions []TLSVersion `json:"versions,omitempty"`
}

// TLSVersion says whether a server accepts one version of TLS.
type TLSVersion struct {
	Version  string `json:"version"`  // "TLS 1.0" to "TLS 1.3"
	Accepted string `json:"accepted"` // yes, no or unknown
	Alert    string `json:"alert,omitempty"`
}

// DNS is what was learned of names.
type DNS struct {
	Queries []Query `json:"queries,omitempty"`
}

// Query is one question and its answer.
type Query struct {
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	Rcode   string   `json:"rcode"` // NOERROR NODATA NXDOMAIN SERVFAIL REFUSED timeout
	Answers []string `json:"answers,omitempty"`
	CNAMEs  []string `json:"cnames,omitempty"`
	TTL     int      `json:"ttl,omitempty"` // seconds, the smallest
	TookMS  float64  `json:"took_ms,omitempty"`
}
