package ndr

// host is a host as a text names it: H, H[ip], H [ip]:port, H (ip), [H], dns; H.
type host struct {
	name    string // lower case, no root dot; empty when only an address stands there
	address string
	port    int
}
