// Package ndr reads reports: NDRs and DSNs of all families, mail logs, program
// errors and whatever people paste, and says what the text says: who reported,
// who refused with which reply, who was tried and did not answer, for which
// recipient, with the place of every fact in the input.
//
// It turns text into evidence and never judges: no verdict is made here. It
// reads no network and no clock. Hostile input is normal input: every read is
// bounded, time is linear, a bad part never fails the whole.
package ndr

import (
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Role is what a host did where the text names it (contract §3). Only Refuser,
// Reporter and Target decide a verdict.
type Role string

// The roles of a mention.
const (
	Refuser  Role = "refuser"  // it answered with a reply
	Reporter Role = "reporter" // it wrote the report
	Target   Role = "target"   // it was tried and gave no reply
	Received Role = "received" // a hop in returned headers
	Named    Role = "named"    // address, URL, SPF text, prose: no weight
)

// Mention is a host in the text and what it did there.
type Mention struct {
	Host    string // lower case, A-labels, no root dot; empty when only an address is given
	Address string // IP address beside the name; empty: not stated
	Port    int    // 0: not stated
	Role    Role
	Span    transcript.Span
}

// IsZero reports whether nothing is named.
func (m Mention) IsZero() bool { return m.Host == "" && m.Address == "" }

// Action is what a report says happened (RFC 3464 §2.3.3).
type Action string

// The actions. "error" and "expired", seen in the field, are read as Failed.
const (
	ActionUnstated  Action = ""
	ActionFailed    Action = "failed"
	ActionDelayed   Action = "delayed"
	ActionDelivered Action = "delivered"
	ActionRelayed   Action = "relayed"
	ActionExpanded  Action = "expanded"
)

// Item is what the text says happened to one recipient, in one try: the last
// one, where the text lists several.
type Item struct {
	Recipient string // as the text gives it, lower case, without brackets; empty: not stated
	Original  string // Original-Recipient, when it is another address
	Sender    string // envelope sender when stated; "<>" for the null sender
	Action    Action
	// FromReport is true for a DSN or NDR about the message and false for a log
	// line, queue listing or transcript: a 4xx in a delay report is no failure,
	// in a log line it is a deferral.
	FromReport bool
	Status     string           // the Status field, "5.7.1"
	Stage      transcript.Stage // of the last try; "" when the text does not say
	Reply      transcript.Reply // the refuser's own words; zero when none was given
	// LocalReply is the reporter's own refusal ("550 5.1.10 RESOLVER…"), as
	// against one it relays. Zero when none.
	LocalReply transcript.Reply
	// LocalOnlyExpiry says that the reporter gives only an expiry, a time-out or
	// a fault with a peer it does not name.
	LocalOnlyExpiry bool
	Fault           transcript.Fault // below SMTP, when no reply came
	FaultSpan       transcript.Span
	Secure          transcript.Fact // the try was inside TLS
	Authenticated   transcript.Fact // the try had logged in
	Implicit        transcript.Fact // TLS was to begin with the first byte; No: by STARTTLS
	Refuser         Mention         // answered with Reply
	Reporter        Mention
	Target          Mention   // was tried, did not answer with an SMTP reply
	Carrier         Mention   // took the mail ("250 … queued"), before what follows
	Port            int       // 0: not stated
	When            time.Time // of the last try; zero: not stated
	RetryUntil      time.Time
	QueueID         string
	Deferred        bool // a log line or queue listing says it stays queued
	Expired         bool // the reporter gave up after deferrals
	// Session is the dialogue, when the text shows one. Nil otherwise.
	Session  *transcript.Session
	Evidence []Mention // every mention that belongs to this item, in the order of the text
}

// Hop is a Received line of the returned message: By took the mail from From.
type Hop struct {
	From, By Mention
	When     time.Time
	ID       string // under which By took the mail; empty: not stated
}

// Nature says what kind of text a case is.
type Nature string

// The natures. Everything but a failure report or a trace of a session is
// "not-a-failure" for the judge.
const (
	NatureUnknown   Nature = ""
	NatureReport    Nature = "report"
	NatureLog       Nature = "log"
	NatureDialogue  Nature = "dialogue"
	NatureError     Nature = "program-error"
	NatureAutoreply Nature = "autoreply"
	NatureComplaint Nature = "complaint"
	NatureReceipt   Nature = "read-receipt"
	NatureCalendar  Nature = "calendar"
	NatureOther     Nature = "other-mail" // newsletter, letter, challenge: no report in it
)

// Note is something worth telling beside the evidence: a limit that was hit, a
// look-alike host, a secret that was masked, an unknown charset.
type Note struct {
	ID   string // kebab-case, the id of a finding: "limit-reached", "lookalike-host", "secret-masked", …
	Text string // one sentence of ours
	Span transcript.Span
}

// Case is one report, log or dialogue as read: several stand in one paste.
type Case struct {
	Format   string // family: "postfix-dsn", "m365-classic", "swaks", …
	Nature   Nature
	Items    []Item
	Hops     []Hop     // of the returned message, in the order of the text
	Mentions []Mention // all of them, in the order of the text
	// DirIn and DirOut are signs of direction in returned headers
	// (X-PPE-TRUSTED DIR=IN / DIR=OUT).
	DirIn, DirOut bool
	Notes         []Note
	Partial       bool // a limit was hit; the reading is incomplete
	// Probed is a session that a probe of handoff wrote with its plan, for
	// judging it as the probe did; Items are what it shows without the plan. Nil
	// otherwise.
	Probed  *transcript.Session
	Span    transcript.Span
	Written time.Time // Date of the report; zero: not stated
}
