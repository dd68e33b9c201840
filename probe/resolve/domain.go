package resolve

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Subject is what a survey looks at.
type Subject struct {
	Relay string // the host that is probed
	// RelayDomains are the domains of the relay's hosts; empty: the service's.
	RelayDomains []string
	Senders      []string     // domains of envelope senders; the first five are looked at
	Own          []netip.Addr // addresses of this machine; private ones are passed over
}

// Survey is what the name service says about a road through the relay, as data.
type Survey struct {
	Domains  []Domain
	Own      []Reverse
	Near     string // a known relay host that the relay's name resembles; empty: none
	Findings []Finding
	Queries  []Answer // every question of the survey, in the order of the answers
}

// Domain is what a sender's domain says about its mail.
type Domain struct {
	Name    string
	Rcode   string // of the MX question: NXDOMAIN means that the domain does not exist
	MX      []Record
	NullMX  bool            // the domain takes no mail (RFC 7505)
	Inbound transcript.Fact // mail to the domain comes in through the relay
	SPF     SPF
	DMARC   string   // the policy record; empty: none
	DMARCAt string   // the name where it stands: the domain, or one above
	STS     string   // the TXT record of MTA-STS (RFC 8461); empty: none
	TLSA    []string // of the first MX, port 25 (RFC 7672)
}

// Reverse is the name of an address, and whether the name has that address.
type Reverse struct {
	Addr      netip.Addr
	Rcode     string
	Names     []string
	Confirmed transcript.Fact // forward-confirmed; Unknown: no name, or nobody told
}

// Finding is something about names worth telling. ID is one of the findings
// that `handoff explain` knows.
type Finding struct {
	ID       string
	Severity string // "error", "warning", "info"
	Title    string // at most 72 characters
	Why      string
	Evidence []string // records, as the name service has them
}

// knownHosts are the relay's own names, for the hint at a typing error.
var knownHosts = []string{
	"outbound-us1.ppe-hosted.com", "outbound-eu1.ppe-hosted.com",
	"mx1-us1.ppe-hosted.com", "mx2-us1.ppe-hosted.com", "mx1-eu1.ppe-hosted.com", "mx2-eu1.ppe-hosted.com",
}

// Near is the known relay host that a name resembles without being one: at most
// three letters off, or the right host under a look-alike domain. It is empty
// for names that are the relay's own domain and for all others.
func Near(host string) string {
	h := plainName(host)
	best, at := "", 4
	for _, k := range knownHosts {
		if h == k {
			return ""
		}
		if d := transcript.Distance(h, k, 3); d < at {
			best, at = k, d
		}
	}
	if best == "" && transcript.Lookalike(h, []string{transcript.RelayDomain}) {
		first, _, _ := strings.Cut(h, ".")
		for _, k := range knownHosts {
			if label, _, _ := strings.Cut(k, "."); transcript.Distance(first, label, 2) <= 2 {
				return k
			}
		}
		return knownHosts[0]
	}
	return best
}

// Survey looks at the relay's name, the senders' domains and our own addresses,
// side by side. The context bounds it; what it cuts off is unknown, not missing.
func (c *Client) Survey(ctx context.Context, s Subject) Survey {
	var out Survey
	var mu sync.Mutex
	own := *c
	own.Observe = func(a Answer) {
		mu.Lock()
		out.Queries = append(out.Queries, a)
		mu.Unlock()
		if c.Observe != nil {
			c.Observe(a)
		}
	}
	if len(s.RelayDomains) == 0 {
		s.RelayDomains = []string{transcript.RelayDomain}
	}
	var names []string
	for _, d := range s.Senders {
		if d = plainName(d); d != "" && len(names) < 5 && !slices.Contains(names, d) {
			names = append(names, d)
		}
	}
	var addrs []netip.Addr
	for _, a := range s.Own {
		if a = a.Unmap(); public(a) && len(addrs) < 4 && !slices.Contains(addrs, a) {
			addrs = append(addrs, a)
		}
	}
	out.Domains, out.Own = make([]Domain, len(names)), make([]Reverse, len(addrs))
	var wg sync.WaitGroup
	for i, d := range names {
		wg.Go(func() { out.Domains[i] = own.Domain(ctx, d, s.RelayDomains) })
	}
	for i, a := range addrs {
		wg.Go(func() { out.Own[i] = own.Reverse(ctx, a) })
	}
	wg.Wait()
	if !transcript.HostIsUnderAny(plainName(s.Relay), s.RelayDomains) {
		out.Near = Near(s.Relay)
	} else if near := Near(s.Relay); near != "" {
		// The service may have more hosts than we know: only a name that does
		// not exist is a typing error.
		if a := own.Query(ctx, s.Relay, A); a.Rcode == NXDomain {
			out.Near = near
		}
	}
	out.Findings = out.findings(s)
	return out
}

// public reports whether an address can be seen from outside.
func public(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !netip.MustParsePrefix("100.64.0.0/10").Contains(a)
}

// Domain asks what a sender's domain says about its mail.
func (c *Client) Domain(ctx context.Context, name string, relayDomains []string) Domain {
	d := Domain{Name: plainName(name)}
	mx := c.Query(ctx, name, MX)
	d.Rcode, d.MX = mx.Rcode, mx.Records
	slices.SortStableFunc(d.MX, func(a, b Record) int { return int(a.Pref) - int(b.Pref) })
	for _, r := range d.MX {
		switch {
		case r.Host == "" && len(d.MX) == 1:
			d.NullMX = true
		case transcript.HostIsUnderAny(r.Host, relayDomains):
			d.Inbound = transcript.Yes
		}
	}
	if d.Inbound == transcript.Unknown && mx.Exists() && mx.Dropped == 0 {
		d.Inbound = transcript.No
	}
	if d.Rcode == NXDomain {
		return d
	}
	d.SPF = c.SPF(ctx, name)
	d.DMARC, d.DMARCAt = c.dmarc(ctx, d.Name)
	if a := c.Query(ctx, "_mta-sts."+name, TXT); a.OK() {
		for _, r := range a.Records {
			if strings.HasPrefix(r.Text, "v=STSv1") {
				d.STS = r.Text
			}
		}
	}
	if len(d.MX) > 0 && !d.NullMX {
		if a := c.Query(ctx, "_25._tcp."+d.MX[0].Host, TLSA); a.OK() {
			for _, r := range a.Records {
				d.TLSA = append(d.TLSA, r.Text)
			}
		}
	}
	return d
}

// dmarc finds the policy of a domain, or of a domain above it, down to two
// labels (RFC 7489 §6.6.3, without a list of public suffixes). Several records
// at one name count as none there; they are returned joined.
func (c *Client) dmarc(ctx context.Context, name string) (record, at string) {
	for range 5 {
		a := c.Query(ctx, "_dmarc."+name, TXT)
		var found []string
		for _, r := range a.Records {
			if strings.HasPrefix(strings.ToLower(r.Text), "v=dmarc1") {
				found = append(found, r.Text)
			}
		}
		if len(found) > 0 {
			return strings.Join(found, " | "), name
		}
		if !a.Exists() && a.Rcode != NXDomain {
			return "", ""
		}
		_, above, ok := strings.Cut(name, ".")
		if !ok || !strings.Contains(above, ".") {
			return "", name
		}
		name = above
	}
	return "", name
}

// Reverse asks for the names of an address and whether one of them has it.
func (c *Client) Reverse(ctx context.Context, addr netip.Addr) Reverse {
	r := Reverse{Addr: addr}
	a := c.Query(ctx, reverseName(addr), PTR)
	r.Rcode = a.Rcode
	for _, p := range a.Records {
		if len(r.Names) < 5 {
			r.Names = append(r.Names, p.Host)
		}
	}
	t := A
	if addr.Is6() {
		t = AAAA
	}
	for _, n := range r.Names {
		f := c.Query(ctx, n, t)
		if slices.ContainsFunc(f.Records, func(x Record) bool { return x.Addr == addr }) {
			r.Confirmed = transcript.Yes
			return r
		}
		if f.Exists() || f.Rcode == NXDomain {
			r.Confirmed = transcript.No
		}
	}
	return r
}

// reverseName is the name under which an address is looked up (RFC 1035 §3.5,
// RFC 3596 §2.5).
func reverseName(a netip.Addr) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	raw := a.AsSlice()
	for i := len(raw) - 1; i >= 0; i-- {
		if a.Is4() {
			b.WriteString(decimal(raw[i]))
			b.WriteByte('.')
			continue
		}
		b.Write([]byte{hex[raw[i]&15], '.', hex[raw[i]>>4], '.'})
	}
	if a.Is4() {
		return b.String() + "in-addr.arpa"
	}
	return b.String() + "ip6.arpa"
}

func decimal(v byte) string {
	s := []byte{'0' + v/100, '0' + v/10%10, '0' + v%10}
	for len(s) > 1 && s[0] == '0' {
		s = s[1:]
	}
	return string(s)
}
