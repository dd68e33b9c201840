// Package probe walks the road to a relay and records what happens: names,
// connections, greetings, EHLO before and after TLS, STARTTLS, AUTH, MAIL and
// RCPT, on several ports and addresses side by side.
//
// It speaks SMTP with a small dialogue engine of its own, since a client
// library hides the very things that are reported here: exact lines, times,
// both EHLO lists, bytes that arrive unasked. Everything a server can send is
// capped and every wait is bounded. No credential is sent before verified TLS.
//
// It does not judge: it returns transcript.Session values, and package analyze
// says what they mean.
package probe

import (
	"context"
	"crypto/x509"
	"net"
	"net/netip"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Target is the relay to be probed.
type Target struct {
	Host  string // name or address; also the name that TLS is verified against
	Ports []int  // logical ports; 465 speaks TLS at once
	// Connect maps a logical port to the address:port that is dialled in its
	// place; Host stays for names and TLS.
	Connect map[int]string
}

// Plan is what a probe intends. The zero value of a field means that the step
// is not tried.
type Plan struct {
	HELO string // EHLO argument; empty: the machine's name if it has a dot, else an address literal
	// Credential is used inside verified TLS only, for an offered mechanism
	// only, and not on port 25 while a submission port is probed too.
	Credential *Credential
	Mechanism  string   // "auto", "plain", "login", "cram-md5", "xoauth2"; empty is auto
	From       []string // envelope senders, "<>" the null sender; each is tried with each recipient
	To         []string
	Size       int64            // SIZE declared at MAIL where offered; 0: that of the message, if one is sent
	StopAfter  transcript.Stage // last stage to try; empty: envelope
	// Message is sent when StopAfter is data, once in a run: on the first
	// submission port, else on the first port. Nil: a test message with an id
	// of its own, see Result.MessageID.
	Message []byte
}

// Options bound and shape a run. The zero value is usable.
type Options struct {
	Timeout     time.Duration // per step; 0: 30 s. AUTH waits at least 20 s
	Connect     time.Duration // per TCP connection; 0: Timeout
	Deadline    time.Duration // whole run; 0: 2 min
	RootCAs     *x509.CertPool
	InsecureTLS bool // record the certificate fault, go on, but no AUTH
	// AllowAuthOverUntrusted lifts the last restriction, for one run, loudly.
	// It does nothing without InsecureTLS.
	AllowAuthOverUntrusted bool
	Only4, Only6           bool
	Source                 netip.Addr
	NoPipelining           bool
	// LoginInitial sends the user name along with AUTH LOGIN. It saves a round
	// trip, but some servers refuse it.
	LoginInitial bool
	// AllAddresses gives every address of the host a session of its own, at
	// most 16; else the first that connects is probed.
	AllAddresses bool
	// TLSScan asks, on connections of their own, for each TLS version whether
	// the server accepts it; the answers are in transcript.TLS.Versions.
	TLSScan bool
	// Retries repeats a session that ended in a 4xx, after RetryWait (0: 60 s)
	// each time.
	Retries   int
	RetryWait time.Duration
	// Spacing is the pause between two sessions with one address and port:
	// retries and the TLS scan. 0: 200 ms.
	Spacing time.Duration
	// Pacer keeps that pause between the sessions of several runs, too; nil: each
	// run is on its own.
	Pacer    *Pacer
	Resolver Resolver // nil: the system's
	// Dial opens a connection; nil: net.Dialer. Tests inject here.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	Now  func() time.Time // nil: time.Now
	// Wait sleeps between retries; nil: a timer.
	Wait func(ctx context.Context, d time.Duration) error
	// Observe is called with each exchange as it begins and ends, in order per
	// session and from several goroutines at once; nil: not called.
	Observe func(Event)
}

// Resolver finds the addresses of a host. Package probe/resolve has the one
// that also tells rcodes, TTLs and aliases; its errors carry an rcode
// (interface{ Rcode() string }), which goes into the record.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Event tells of progress: a step that began (Done false) or ended.
type Event struct {
	Port     int
	Address  string
	Done     bool
	Exchange transcript.Exchange // when Done; else only Stage and Command are set
}

// Result is everything a run recorded.
type Result struct {
	Began time.Time
	Took  time.Duration
	// Sessions holds one session per port and address tried, in the order of
	// Target.Ports; within a port the one that got a connection stands first,
	// addresses that failed to connect behind it.
	Sessions []transcript.Session
	// Retried holds the sessions that a retry superseded, oldest first.
	Retried []transcript.Session
	// NotTried holds addresses of the host without an answer of their own:
	// another one connected first, or they were more than 16.
	NotTried  []netip.Addr
	MessageID string // Message-ID of the test message that was sent; empty: none was
	// Partial says that the run was cancelled or ran into its deadline before
	// it was done; Sessions holds what is known.
	Partial bool
}

// Limits on what a server can make us read.
const (
	maxLine       = 16 << 10  // bytes of a line with its end; holds the 12,288 of RFC 4954 §4
	maxReplyLines = 1000      // lines of a reply
	maxReplyBytes = 256 << 10 // bytes of a reply
	maxSession    = 1 << 20   // bytes of a session, after decryption
	maxRaw        = 4 << 20   // bytes of a session as they arrive, TLS records included
	maxHandshake  = 96 << 10  // bytes of a handshake; its certificates are held many times larger
	maxKept       = 1 << 20   // bytes of replies kept in one run, shared by its sessions
	minKept       = 32 << 10  // the least share of a session
	lineCost      = 48        // bytes that a line costs in memory beside its own
	maxChallenges = 10        // 334 replies in one AUTH
	maxAddresses  = 16        // addresses tried of one host
	maxEnvelope   = 100       // senders, and recipients
	maxNames      = 100       // names of a certificate that are recorded
	maxChain      = 10        // certificates of a chain whose subjects are recorded
	courtesy      = 5 * time.Second
	authPatience  = 20 * time.Second // servers punish failures with delay
	eyeballs      = 250 * time.Millisecond
)

// Reasons a planned step was skipped (Exchange.Skipped) that a judge or a
// screen may want to recognise.
const (
	// SkipCancelled and SkipDeadline stand on the step that was under way when
	// the run ended, and on those behind it. What the server would have
	// answered is not known.
	SkipCancelled = "interrupted: the run was cancelled"
	SkipDeadline  = "interrupted: the run's deadline was reached"
	// SkipFailed stands on the steps behind the one that failed.
	SkipFailed = "an earlier step failed"
	// SkipNoStartTLS: STARTTLS was not offered, and the credential or the port
	// needs it.
	SkipNoStartTLS = "STARTTLS was not offered"
	// SkipNoAuth: AUTH was not offered.
	SkipNoAuth = "AUTH was not offered"
	// SkipNoMechanism: AUTH was offered, but no mechanism that we may use.
	SkipNoMechanism = "no usable AUTH mechanism was offered"
	// SkipUntrusted: the certificate did not verify.
	SkipUntrusted = "the certificate did not verify: no credential is sent"
	// SkipAuthPort: port 25 while a submission port is probed with the credential.
	SkipAuthPort = "the credential is sent on the submission port only"
	// SkipNoUTF8: an address is not ASCII, and SMTPUTF8 was not offered.
	SkipNoUTF8 = "an address is not ASCII, and SMTPUTF8 was not offered"
	// SkipAuthRefused: the credential was refused in another session of the run.
	SkipAuthRefused = "the credential was tried once in this run and not accepted"
)
