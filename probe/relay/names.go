package relay

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/probe/resolve/zone"
)

// The names of the relay: looked up in process (LookupNetIP), or asked from a
// name server on loopback (Nameserver). Both follow the faults name-typo and
// dns-broken as they are set and cleared.

// Nameserver has the relay answer for its names at an address of loopback, over
// UDP and TCP; ":0" takes a free port. It knows the relay's own names and the
// domains of the account; every other name does not exist. Where the address is
// taken, those of instead are tried in turn.
func Nameserver(address string, instead ...string) Option {
	return func(r *Relay) { r.namesAt, r.namesElse = address, instead }
}

// NameserverAddr returns where the name server listens, as host:port; empty
// without one.
func (r *Relay) NameserverAddr() string {
	if r.names53 == nil {
		return ""
	}
	return r.names53.Addr()
}

// LookupNetIP resolves every name to the relay, or fails as the name faults
// that are set say. With DialContext it lets a probe run without a network.
func (r *Relay) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	r.mu.Lock()
	kind := nameFault(r.account)
	r.mu.Unlock()
	switch kind {
	case "nxdomain":
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	case "servfail", "silent":
		return nil, &net.DNSError{Err: "server misbehaving", Name: host, IsTemporary: true, IsTimeout: kind == "silent"}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ip, err := netip.ParseAddrPort(r.Addr(PortAuth))
	if err != nil {
		return nil, err
	}
	return []netip.Addr{ip.Addr()}, nil
}

// nameFault is what a name server does to every question, in the words of
// package zone; empty: it answers.
func nameFault(a *policy.Account) string {
	for i := range a.Faults {
		switch f := &a.Faults[i]; f.Name {
		case "name-typo":
			return "nxdomain"
		case "dns-broken":
			if len(f.Args) > 0 && f.Args[0] == "timeout" {
				return "silent"
			}
			return "servfail"
		}
	}
	return ""
}

// publish starts the name server, or has it follow what has changed.
func (r *Relay) publish() error {
	if r.namesAt == "" {
		return nil
	}
	r.namesMu.Lock() // what was written last is what is served
	defer r.namesMu.Unlock()
	text := r.zone()
	if r.names53 != nil {
		return r.names53.Replace(text)
	}
	var server *zone.Server
	var err error
	for _, address := range append([]string{r.namesAt}, r.namesElse...) {
		if err := loopbackOnly(address); err != nil {
			return err
		}
		if server, err = zone.StartAt(address, text); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("name server: %w", err)
	}
	r.names53 = server
	return nil
}

// spfName is what the SPF records of the service's customers include.
const spfName = "_spf-us.ppe-hosted.com."

// zone writes what the name server knows.
func (r *Relay) zone() string {
	var b strings.Builder
	r.mu.Lock()
	defer r.mu.Unlock()
	if kind := nameFault(r.account); kind != "" {
		fmt.Fprintf(&b, "$FAULT * %s\n", kind)
	}
	hosts := map[string]bool{}
	for _, n := range r.names {
		name, ok := zoneName(n)
		if _, err := netip.ParseAddr(n); err == nil || !ok || hosts[name] {
			continue
		}
		hosts[name] = true
		seen := map[netip.Addr]bool{}
		for _, port := range []int{PortServer, PortAuth} {
			at, err := netip.ParseAddrPort(r.Addr(port))
			if err != nil || seen[at.Addr()] {
				continue
			}
			seen[at.Addr()] = true
			fmt.Fprintf(&b, "%s IN %s\n", name, recordOf(at.Addr()))
		}
	}
	mx, ok := zoneName(cmp.Or(r.account.Host, policy.DefaultHost))
	if !ok {
		return b.String()
	}
	// What the service tells its customers to publish; the addresses behind it
	// are of a documentation range.
	fmt.Fprintf(&b, "%s IN TXT \"v=spf1 ip4:192.0.2.0/24 -all\"\n", spfName)
	for i := range r.account.Domains {
		name, valid := zoneName(r.account.Domains[i].Name)
		if !valid || hosts[name] || name == spfName {
			continue
		}
		hosts[name] = true
		fmt.Fprintf(&b, "%s IN MX 10 %s\n%[1]s IN TXT \"v=spf1 include:%[3]s -all\"\n", name, mx, strings.TrimSuffix(spfName, "."))
		fmt.Fprintf(&b, "_dmarc.%s IN TXT \"v=DMARC1; p=none\"\n", name)
	}
	return b.String()
}

// recordOf is the record of an address; one that stands for all of this
// machine's is reached on loopback.
func recordOf(ip netip.Addr) string {
	ip = ip.Unmap()
	switch {
	case ip.IsUnspecified() && ip.Is4():
		return "A 127.0.0.1"
	case ip.IsUnspecified():
		return "AAAA ::1"
	case ip.Is4():
		return "A " + ip.String()
	}
	return "AAAA " + ip.WithZone("").String()
}

// zoneName writes a name as a zone text has it, absolute; false for one that
// holds what a zone text would read as something else.
func zoneName(s string) (string, bool) {
	s = strings.ToLower(strings.TrimSuffix(s, "."))
	if s == "" || len(s) > 253 {
		return "", false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return "", false
		}
		for _, c := range []byte(label) {
			if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
				return "", false
			}
		}
	}
	return s + ".", true
}
