// Package policy is the relay service as a decision table: account settings,
// session, command and time in; reply and rule id out. It is pure. It opens no
// socket, reads no clock and keeps no state beyond the values it is given.
//
// The reference relay serves this table on the wire, and the diagnosis runs the
// same table backwards: a cause explains what was seen if the service, set up
// with that fault, would have answered so. The package also holds the one
// grammar of settings ("domain set D outbound off") that causes, scenario files
// and the relay's administration share.
//
// Every row names the statement of the service's support article that it
// implements (A1–A20) or says "assumed". Standard library only.
package policy

import (
	"io"
	"net/netip"
	"time"
)

// Kind is the kind of a user. The three kinds send alike (article A19).
type Kind string

// The kinds of users the service knows.
const (
	EndUser    Kind = "end_user"
	SilentUser Kind = "silent_user"
	Functional Kind = "functional"
)

// Account is one organisation at the service: what it owns and how it is set.
type Account struct {
	Name        string
	Host        string // the server's own name in its texts; empty: DefaultHost
	Region      string // stack the account lives on, "us1" or "eu1"; empty: any host serves it
	Domains     []Domain
	Users       []User
	Discovered  []Discovery // addresses SMTP Discovery wrote down
	Credentials []Credential
	Servers     []SendingServer
	Limits      Limits
	// Propagation is how long a new or changed setting takes to be live
	// (article A4, A20: up to 60 minutes).
	Propagation time.Duration
	// DirectorySync says that users come from LDAP or Azure, which switches
	// SMTP Discovery off (official page).
	DirectorySync bool
	Dialect       Dialect
	Faults        []Fault // faults of the service itself or of the road, see Fault
	// HashRounds is the PBKDF2 iteration count of new credentials; 0: 1000.
	// Generated passwords have 190 bits, so the count guards nothing there, and
	// a relay under test logs in hundreds of times a second.
	HashRounds int
	// Rand is where generated names and passwords come from; nil: crypto/rand.
	Rand io.Reader
}

// DefaultHost is how the service's hosts name themselves: a server reached as
// outbound-us1 calls itself mx1-us1 (seen in real headers).
const DefaultHost = "mx1-us1.ppe-hosted.com"

// Domain is a domain of the organisation. It is active when inbound and
// outbound relay are on, it is verified and its last change is live.
type Domain struct {
	Name      string // lower case, A-labels
	Inbound   bool   // inbound relay switch
	Outbound  bool   // outbound relay switch
	Verified  bool
	ForceAuth bool // Force SMTP AUTH (A10); modelled per domain: assumed
	Discovery bool // SMTP Discovery (A16)
	LiveAt    time.Time
}

// User is an address the service knows: end user, silent user or functional
// account, with aliases that may send too.
type User struct {
	Address string
	Kind    Kind
	Aliases []string
	Created time.Time
	LiveAt  time.Time // Created + propagation (A20)
	Invalid bool      // on the "Marked invalid" list
	// Deleted is when the user was removed; zero: it was not. A removed user
	// stays out, with Discovery too, until it is made again.
	Deleted time.Time
}

// Discovery is an address that SMTP Discovery saw and nobody confirmed yet.
// DiscoveryExpiry after First it counts as marked invalid.
type Discovery struct {
	Address string
	First   time.Time
}

// DiscoveryExpiry is how long a discovered address may stay unconfirmed before
// it goes to "Marked invalid": 3 weeks on one official page, 30 days on another.
const DiscoveryExpiry = 21 * 24 * time.Hour

// Credential is one SMTP AUTH user name and password pair. The password is
// shown once, when it is made; only a salted hash is kept (A3).
type Credential struct {
	ID       string
	Label    string
	Username string
	Salt     []byte
	Hash     []byte // PBKDF2-SHA256 of the password
	Rounds   int
	Created  time.Time
	ActiveAt time.Time // Created + propagation (A4)
	Deleted  time.Time // zero: not deleted
	GoneAt   time.Time // Deleted + propagation: until then it still works (assumed)
}

// SendingServer is an address range that may relay on port 25. It does nothing
// on 587 (A14).
type SendingServer struct {
	Name   string // "o365", "google", or empty for a plain range
	Prefix netip.Prefix
	LiveAt time.Time
}

// Limits are the numbers of the service; zero means the default of the table.
// Negative means no limit.
type Limits struct {
	MessageBytes  int64 // on the wire; default 104857600
	Recipients    int   // per message; default 1000
	SenderPer10m  int   // registered sender, messages; default 500
	SenderPerDay  int   // default 2500
	DomainPer10m  int   // unregistered senders of one domain together; default 2000
	DomainPerDay  int   // default 10000
	InboundPerMin int   // per user; default 200
}

// Dialect chooses between texts where the sources disagree (each field's zero
// value is the default of the table).
type Dialect struct {
	HideAuth        bool   // 587 before TLS: AUTH hidden and 503 instead of 530
	SubmissionStock bool   // N1 as stock Postfix submission says it
	InvalidAsRAD    bool   // C0 as Relay access denied
	NullSenderOK    bool   // C6 accepts <>
	QuotaPrefix     string // text before C7's words
	Recipients451   bool   // D2 with 451
	AuthReason      string // text after "authentication failed: "; default "authentication failure"
}

// Session is the state of one connection as the table sees it.
type Session struct {
	Port   int // 25 or 587
	Client netip.Addr
	Name   string // reverse name of the client; empty: "unknown"
	Region string // stack of the host that was dialled, "us1"; empty: the account's own
	Helo   string
	Secure bool   // inside TLS
	Login  string // id of the credential that logged in; empty: not authenticated
	Denied bool   // refused at connect (K4): every verb gets 503
	// Sender is the envelope sender of the open transaction; InMail says that
	// there is one (the null sender is an empty Sender with InMail true).
	Sender     string
	InMail     bool
	Accepted   int       // recipients accepted in this transaction
	Refused    int       // recipients refused in this transaction
	Errors     int       // replies of 4xx and 5xx so far
	Recent10m  int       // messages this sender sent in the last 10 minutes
	RecentDay  int       // in the last 24 hours
	Domain10m  int       // the same for all unregistered senders of its domain
	DomainDay  int       //
	InboundMin int       // messages to this recipient in the last minute
	DataBytes  int64     // bytes counted after DATA
	Attempt    int       // 1-based number of this connection, for triggers; 0 counts as 1
	FirstTry   time.Time // when this client, sender and recipient first came; zero: now
	QueueID    string    // name of the next accepted message; empty: not named
}

// Verb is what the client asks for.
type Verb string

// The verbs the table decides on. Connect is the greeting; EndData is the
// final dot; Idle is the client's silence when the server's patience ends;
// Handshake is the TLS hello after STARTTLS, with the client's highest version
// in Arg ("1.0", "1.2").
const (
	Connect   Verb = "CONNECT"
	EHLO      Verb = "EHLO"
	HELO      Verb = "HELO"
	StartTLS  Verb = "STARTTLS"
	Handshake Verb = "TLS"
	Auth      Verb = "AUTH"
	Mail      Verb = "MAIL"
	Rcpt      Verb = "RCPT"
	Data      Verb = "DATA"
	EndData   Verb = "."
	Rset      Verb = "RSET"
	Noop      Verb = "NOOP"
	Vrfy      Verb = "VRFY"
	Quit      Verb = "QUIT"
	Idle      Verb = "IDLE"
)

// Malformed says what the reader of the wire found wrong with a command.
type Malformed string

// The ways a command can be malformed that have a reply of their own.
const (
	WellFormed   Malformed = ""
	NoArgument   Malformed = "argument"  // HELO without a name, AUTH without a mechanism
	BadSender    Malformed = "sender"    // MAIL whose address is none
	BadRecipient Malformed = "recipient" // RCPT whose address is none
	BadOption    Malformed = "option"    // an unknown parameter, in Arg
	BadBase64    Malformed = "base64"    // an AUTH line that does not decode
	Cancelled    Malformed = "*"         // AUTH taken back by the client
)

// Command is one thing the client asks for.
type Command struct {
	Verb      Verb
	Address   string // MAIL: sender without brackets; RCPT: recipient
	Size      int64  // MAIL SIZE=; 0: not declared
	Arg       string // STARTTLS argument, EHLO name, unknown option
	Mechanism string // AUTH
	Username  string // AUTH
	Password  string // AUTH; compared, never kept
	Malformed Malformed
}

// Reply is what the service answers. Text is without code and enhanced code.
// Code 0 means that there is no SMTP reply: the TLS layer answers with an alert.
type Reply struct {
	Code     int
	Enhanced string
	Text     string
}

// RuleID names a row of the table: "P1", "C4", "U4".
type RuleID string

// Fault is a fault of the service or of the road to it, set by
// "fault set NAME [ARG…]" and taken away by "fault clear". The names are the
// presets of the reference relay that are no setting of an account (see
// FaultKinds).
type Fault struct {
	Name string
	Args []string
	// When it fires: always (zero value), on the first N attempts, or on the
	// N-th only; for one sender, recipient or client range if those are set.
	First, Nth        int
	Sender, Recipient string
	Client            netip.Prefix
}
