// Package resolve asks name servers and tells their answers apart: a name that
// does not exist, one without such records, a server that fails, refuses or is
// silent. It keeps aliases and lifetimes, goes over to TCP where an answer was
// cut, and takes nothing for an answer that does not fit the question.
//
// It also looks at the domain of a sender (SPF, DMARC, MX, MTA-STS) as far as
// that concerns the road through a relay. It is no caching resolver, does not
// validate DNSSEC, and judges nothing beyond what it is asked.
package resolve

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Type is a type of records.
type Type uint16

// The types that this package can ask for.
const (
	A     Type = Type(dns.TypeA)
	AAAA  Type = Type(dns.TypeAAAA)
	CNAME Type = Type(dns.TypeCNAME)
	MX    Type = Type(dns.TypeMX)
	NS    Type = Type(dns.TypeNS)
	PTR   Type = Type(dns.TypePTR)
	TXT   Type = Type(dns.TypeTXT)
	TLSA  Type = Type(dns.TypeTLSA)
)

func (t Type) String() string { return dns.TypeToString[uint16(t)] }

// The answers of a name server in one word each (RFC 1035 §4.1.1). NODATA is
// NOERROR without a record of the type; Timeout means that no answer came that
// fits the question. Others (FORMERR, NOTIMP, …) appear under their names.
const (
	NoError  = "NOERROR"
	NoData   = "NODATA"
	NXDomain = "NXDOMAIN"
	ServFail = "SERVFAIL"
	Refused  = "REFUSED"
	Timeout  = "timeout"
)

// Limits on what an answer can make us keep or do.
const (
	maxRecords = 100             // records kept of one answer
	maxText    = 8 << 10         // bytes kept of one TXT record
	maxChain   = 10              // aliases followed
	budget     = 5 * time.Second // for one question, all tries together
	patience   = 2 * time.Second // for one try
	maxUnfit   = 100             // answers that do not fit, per try
)

// Record is one record of an answer. Names are in the escaped form of
// RFC 1035 §5.1, in lower case, without the root dot: a dot inside a label is
// `\.`, and no control byte is left.
type Record struct {
	Text string     // as a zone file has it
	Addr netip.Addr // A, AAAA
	Host string     // MX, PTR, NS, CNAME; empty for a null MX (RFC 7505)
	Pref uint16     // MX
	TTL  uint32     // seconds
}

// Answer is what became of one question.
type Answer struct {
	Name      string
	Type      Type
	Rcode     string
	Records   []Record
	Dropped   int      // records beyond the first 100
	CNAMEs    []string // the names the question was led to, in order
	TTL       uint32   // the smallest lifetime of what was used, seconds
	Server    string   // host:port that answered; empty: none did
	TCP       bool     // the answer over UDP was cut, this one came over TCP
	Truncated bool     // cut, and TCP did not help: Records may lack some
	Unfit     int      // answers that did not fit the question and were passed over
	Took      time.Duration
	Detail    string // our own words, when there is more to say than Rcode
}

// OK reports whether the question has an answer with records.
func (a *Answer) OK() bool { return a.Rcode == NoError && len(a.Records) > 0 }

// Exists reports whether the name is known to exist; false when it does not or
// when nobody told.
func (a *Answer) Exists() bool { return a.Rcode == NoError || a.Rcode == NoData }

// Error is an answer that has no addresses. Its text is made of our own words.
type Error struct{ Answer Answer }

func (e *Error) Error() string {
	return fmt.Sprintf("resolve: %s %s: %s", e.Answer.Name, e.Answer.Type, e.Answer.Rcode)
}

// Rcode is the answer in one word, for records that keep no more.
func (e *Error) Rcode() string { return e.Answer.Rcode }

// Timeout implements net.Error's idea of one.
func (e *Error) Timeout() bool { return e.Answer.Rcode == Timeout }

// Client asks name servers. Its methods are safe for concurrent use.
type Client struct {
	servers []string
	hosts   []hostLine
	budget  time.Duration // 0: the constant; tests are less patient
	perTry  time.Duration
	system  bool // names without a dot and under .local go to the system's own resolver
	// Observe is called with each answer; nil: not called. Set it before use.
	Observe func(Answer)
	// Dial connects to a name server; nil: net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// New returns a client of one name server, given as HOST:PORT with HOST an
// address.
func New(server string) (*Client, error) {
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		return nil, fmt.Errorf("resolve: %q is not HOST:PORT", server)
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return nil, fmt.Errorf("resolve: %q does not begin with an address", server)
	}
	if _, err := net.LookupPort("udp", port); err != nil {
		return nil, fmt.Errorf("resolve: %q has no valid port", server)
	}
	return &Client{servers: []string{net.JoinHostPort(host, port)}}, nil
}

// LookupNetIP finds the addresses of a host, IPv6 and IPv4 asked side by side.
// The network is "ip", "ip4" or "ip6". The error is an *Error whose Rcode says
// why there are none.
func (c *Client) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if found := lookupHosts(c.hosts, network, host); len(found) > 0 {
		return found, nil
	}
	if c.system && local(host) {
		return systemLookup(ctx, network, host)
	}
	var types []Type
	if network != "ip4" {
		types = append(types, AAAA)
	}
	if network != "ip6" {
		types = append(types, A)
	}
	answers := make([]Answer, len(types))
	faults := make(chan any, len(types))
	for i, t := range types {
		go func() {
			defer func() { faults <- recover() }()
			answers[i] = c.Query(ctx, host, t)
		}()
	}
	var fault any
	for range types {
		if v := <-faults; v != nil {
			fault = v
		}
	}
	if fault != nil {
		panic(fault) // in the caller's goroutine, where it can be met
	}
	var addrs []netip.Addr
	for _, a := range answers {
		for _, r := range a.Records {
			if r.Addr.IsValid() && !slices.Contains(addrs, r.Addr) {
				addrs = append(addrs, r.Addr)
			}
		}
	}
	if len(addrs) > 0 {
		return addrs, nil
	}
	return nil, &Error{worst(answers)}
}

// worst is the answer that says most about why there are no addresses: a name
// that does not exist, then a server in trouble, then "no such records".
func worst(answers []Answer) Answer {
	rank := func(a Answer) int {
		switch a.Rcode {
		case NXDomain:
			return 3
		case NoData:
			return 0
		case Timeout:
			return 1
		}
		return 2
	}
	return slices.MaxFunc(answers, func(a, b Answer) int { return rank(a) - rank(b) })
}

// Query asks one question. It always returns an answer: what went wrong stands
// in Rcode.
func (c *Client) Query(ctx context.Context, name string, t Type) Answer {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, or(c.budget, budget))
	defer cancel()
	a := c.ask(ctx, name, t)
	a.Name, a.Type = plainName(name), t
	a.Took = time.Since(began)
	if c.Observe != nil {
		c.Observe(a)
	}
	return a
}

// ask goes through the servers, twice, until one has an answer that settles the
// question, and follows aliases that the server left open.
func (c *Client) ask(ctx context.Context, name string, t Type) Answer {
	if _, ok := dns.IsDomainName(name); !ok || name == "" || len(name) > 1000 {
		return Answer{Rcode: NXDomain, Detail: "not a name that can exist"}
	}
	if len(c.servers) == 0 {
		return Answer{Rcode: ServFail, Detail: "no name server is configured"}
	}
	owner := dns.Fqdn(name)
	var chain []string
	var ttl uint32
	for {
		a, last := c.askServers(ctx, owner, t)
		chain = append(chain, a.CNAMEs...)
		if len(chain) > 0 && (ttl == 0 || a.TTL < ttl) {
			ttl = a.TTL
		}
		a.CNAMEs = chain
		if ttl != 0 && ttl < a.TTL || a.TTL == 0 {
			a.TTL = ttl
		}
		switch {
		case len(chain) > maxChain || repeats(chain, plainName(name)):
			a.Rcode, a.Records = ServFail, nil
			a.Detail = "the aliases of the name do not end"
			a.CNAMEs = chain[:min(len(chain), maxChain+1)]
			return a
		case last == "" || a.Rcode != NoData:
			return a
		}
		// The server told an alias and nothing about where it leads.
		owner = last
	}
}

func repeats(chain []string, name string) bool {
	seen := map[string]bool{name: true}
	for _, n := range chain {
		if seen[n] {
			return true
		}
		seen[n] = true
	}
	return false
}

// askServers gets one settling answer. last is the name that an alias leads to
// when the answer ends there.
func (c *Client) askServers(ctx context.Context, owner string, t Type) (best Answer, last string) {
	best = Answer{Rcode: Timeout}
	unfit := 0
	for range 2 {
		for _, server := range c.servers {
			if ctx.Err() != nil {
				break
			}
			a, l := c.try(ctx, server, owner, t)
			unfit += a.Unfit
			a.Unfit = unfit
			switch a.Rcode {
			case NoError, NoData, NXDomain:
				return a, l
			case Timeout:
				if best.Rcode == Timeout {
					best = a
				}
			default:
				best = a
			}
		}
		if best.Rcode != Timeout {
			break // an answer, if a bad one: the same question gets the same one
		}
	}
	best.Unfit = unfit
	if best.Rcode == Timeout && unfit > 0 {
		best.Detail = "only answers came that do not fit the question"
	}
	return best, ""
}

func or(d, fallback time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return fallback
}

// plainName is a name as this package shows it.
func plainName(name string) string {
	n := strings.ToLower(name)
	if strings.HasSuffix(n, ".") && !strings.HasSuffix(n, `\.`) {
		n = n[:len(n)-1]
	}
	return n
}
