package resolve

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// System returns a client of the name servers that this machine is set up for,
// /etc/hosts before them. Where there is no resolv.conf, addresses come from
// the system's own resolver, which tells less, and other records are unknown.
func System() *Client { return system("/etc/resolv.conf", "/etc/hosts") }

func system(resolvConf, hosts string) *Client {
	c := &Client{system: true}
	if f, err := os.Open(hosts); err == nil {
		c.hosts = readHosts(f)
		_ = f.Close()
	}
	conf, err := dns.ClientConfigFromFile(resolvConf)
	if err != nil {
		return c
	}
	for _, s := range conf.Servers {
		if len(c.servers) < 3 { // as the C library has it
			c.servers = append(c.servers, net.JoinHostPort(s, conf.Port))
		}
	}
	return c
}

// local reports whether the name servers are not the ones to ask: a name
// without a dot, which search lists complete, or one of multicast DNS.
func local(host string) bool {
	h := strings.TrimSuffix(strings.ToLower(host), ".")
	return !strings.Contains(h, ".") || strings.HasSuffix(h, ".local")
}

// systemLookup asks the system's own resolver and gives its errors an rcode.
func systemLookup(ctx context.Context, network, host string) ([]netip.Addr, error) {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, network, host)
	if err == nil {
		return addrs, nil
	}
	a := Answer{Name: plainName(host), Type: A, Rcode: ServFail}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		switch {
		case e.IsNotFound:
			a.Rcode = NXDomain
		case e.IsTimeout:
			a.Rcode = Timeout
		}
	}
	return nil, &Error{a}
}

// hostLine is one line of a hosts file.
type hostLine struct {
	addr  netip.Addr
	names []string
}

// readHosts reads a hosts file (hosts(5)), its first 10,000 lines.
func readHosts(r io.Reader) []hostLine {
	var out []hostLine
	s := bufio.NewScanner(io.LimitReader(r, 1<<20))
	for s.Scan() && len(out) < 10000 {
		line, _, _ := strings.Cut(s.Text(), "#")
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		addr, err := netip.ParseAddr(f[0])
		if err != nil {
			continue
		}
		for i := range f {
			f[i] = plainName(f[i])
		}
		out = append(out, hostLine{addr.Unmap(), f[1:]})
	}
	return out
}

func lookupHosts(lines []hostLine, network, host string) []netip.Addr {
	name := plainName(host)
	var out []netip.Addr
	for _, l := range lines {
		if !slices.Contains(l.names, name) || slices.Contains(out, l.addr) {
			continue
		}
		if network == "ip4" && !l.addr.Is4() || network == "ip6" && !l.addr.Is6() {
			continue
		}
		out = append(out, l.addr)
	}
	return out
}
