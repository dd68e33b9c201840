package exporter

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// ErrForbiddenAddress says that a target of an open module leads to this
// machine or its surroundings.
var ErrForbiddenAddress = errors.New("the address may not be probed by an open module")

// Guard is the Control of a net.Dialer for targets that a stranger chose: it
// refuses loopback, link-local (169.254.169.254 with its credentials of a
// cloud), unspecified and multicast addresses. It looks at the address that is
// dialled, so that a name which changes between two queries gets no further.
func Guard(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return ErrForbiddenAddress
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || Forbidden(ip) {
		return ErrForbiddenAddress
	}
	return nil
}

// Forbidden reports whether an open module must not probe the address.
func Forbidden(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		// NAT64 and 6to4 carry an IPv4 address inside.
		b := ip.As16()
		switch {
		case netip.MustParsePrefix("64:ff9b::/96").Contains(ip):
			return Forbidden(netip.AddrFrom4([4]byte(b[12:16])))
		case netip.MustParsePrefix("2002::/16").Contains(ip):
			return Forbidden(netip.AddrFrom4([4]byte(b[2:6])))
		case netip.MustParsePrefix("::/96").Contains(ip):
			return true // unspecified, loopback and the old IPv4-compatible form
		}
	}
	if ip.Is4() && ip.As4()[0] == 0 || ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return true
	}
	return !ip.IsValid() || ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsInterfaceLocalMulticast()
}
