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
	HELO       string // EHLO argument; empty: the machine's name, or an address literal
	Credential *Credential
	Mechanism  string   // "auto", "plain", "login", "cram-md5", "xoauth2"; empty is auto
	From       []string // envelope senders; each is tried with each recipient
	To         []string
	Size       int64            // SIZE declared at MAIL where offered; 0: not declared
	StopAfter  transcript.Stage // last stage to try; empty: envelope
	Message    []byte           // sent only when StopAfter is data
}

// Options bound and shape a run. The zero value is usable.
type Options struct {
	Timeout     time.Duration // per step; 0: 30 s
	Deadline    time.Duration // whole run; 0: 2 min
	RootCAs     *x509.CertPool
	InsecureTLS bool // record the certificate fault, go on, but no AUTH
	// AllowAuthOverUntrusted lifts the last restriction, for one run, loudly.
	AllowAuthOverUntrusted bool
	Only4, Only6           bool
	Source                 netip.Addr
	NoPipelining           bool
	Resolver               Resolver // nil: the system's
	// Dial opens a connection; nil: net.Dialer. Tests inject here.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	Now  func() time.Time // nil: time.Now
	// Observe is called with each exchange as it ends, in order per session and
	// from several goroutines at once; nil: not called.
	Observe func(Event)
}

// Resolver finds the addresses of a host. Package probe/resolve has the one
// that also tells rcodes, TTLs and aliases.
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

// Result is everything a run recorded, one session per port and address tried.
type Result struct {
	Began    time.Time
	Took     time.Duration
	Sessions []transcript.Session
	// Partial says that the run was cancelled or ran into its deadline before
	// it was done; Sessions holds what is known.
	Partial bool
}
