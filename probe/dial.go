package probe

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// dialed is what became of one address.
type dialed struct {
	addr  netip.Addr
	conn  net.Conn // nil: failed
	sent  time.Duration
	took  time.Duration
	fault transcript.Fault
	why   string // detail of the fault, or why it was skipped when fault is empty
}

// dial opens one connection.
func (r *run) dial(ctx context.Context, addr netip.Addr, port int, began time.Time) dialed {
	d := dialed{addr: addr}
	target := netip.AddrPortFrom(addr, uint16(port)).String()
	err := r.opts.Pacer.wait(ctx, r.host+" "+target, r.opts.Spacing)
	d.sent = time.Since(began)
	if err != nil {
		d.why = r.interruption()
		return d
	}
	one, cancel := context.WithTimeout(ctx, r.connect)
	defer cancel()
	conn, err := r.opts.Dial(one, "tcp", target)
	d.took = time.Since(began) - d.sent
	switch {
	case err == nil:
		d.conn = conn
	case ctx.Err() != nil || r.late():
		d.why = r.interruption()
	default:
		d.fault, d.why = dialFault(err)
	}
	return d
}

// race opens connections to addresses, each a quarter of a second after the
// one before it or as soon as that one failed (RFC 8305), and keeps the first.
// Those that failed are returned in the order of the addresses, those without
// an answer of their own as rest.
func (r *run) race(ctx context.Context, addrs []netip.Addr, port int, began time.Time, tell func(d *dialed, addr netip.Addr)) (won *dialed, failed []dialed, rest []netip.Addr) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan dialed, len(addrs))
	var dials crew
	next, running := 0, 0
	start := func() {
		addr := addrs[next]
		next++
		running++
		tell(nil, addr)
		dials.Go(func() {
			d := dialed{addr: addr, why: SkipFailed} // what stands if the dialer panics
			defer func() { results <- d }()
			d = r.dial(ctx, addr, port, began)
		})
	}
	timer := time.NewTimer(eyeballs)
	defer timer.Stop()
	start()
	for running > 0 {
		select {
		case d := <-results:
			running--
			if d.conn != nil {
				tell(&d, d.addr)
				won = &d
				running = 0
				break
			}
			tell(&d, d.addr)
			failed = append(failed, d)
			if next < len(addrs) && r.ctx.Err() == nil {
				start()
				timer.Reset(eyeballs)
			}
		case <-timer.C:
			if next < len(addrs) {
				start()
				timer.Reset(eyeballs)
			}
		}
	}
	cancel()
	dials.Wait()
	close(results)
	for d := range results {
		if d.conn != nil {
			_ = d.conn.Close()
		}
		rest = append(rest, d.addr)
	}
	rest = append(rest, addrs[next:]...)
	slices.SortStableFunc(failed, func(a, b dialed) int {
		return slices.Index(addrs, a.addr) - slices.Index(addrs, b.addr)
	})
	return won, failed, rest
}

// netDial is the default of Options.Dial.
func netDial(source netip.Addr) func(context.Context, string, string) (net.Conn, error) {
	d := &net.Dialer{KeepAlive: -1}
	if source.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
	}
	return d.DialContext
}

// usable keeps the addresses that the options allow, alternating between IPv6
// and IPv4 as RFC 8305 §4 wants it, the resolver's order kept within each.
func (r *run) usable(addrs []netip.Addr) []netip.Addr {
	var six, four []netip.Addr
	for _, a := range addrs {
		a = a.Unmap()
		switch {
		case a.Is4() && !r.only6 && !slices.Contains(four, a):
			four = append(four, a)
		case a.Is6() && !r.only4 && !slices.Contains(six, a):
			six = append(six, a)
		}
	}
	out := make([]netip.Addr, 0, len(six)+len(four))
	for i := range max(len(six), len(four)) {
		if i < len(six) {
			out = append(out, six[i])
		}
		if i < len(four) {
			out = append(out, four[i])
		}
	}
	return out
}

// clientName is the EHLO argument of a session: what the plan says, the
// machine's own name if it is a full one, or the address as a literal
// (RFC 5321 §4.1.4). Never "localhost", which relays drop.
func (r *run) clientName(conn net.Conn) string {
	if r.plan.HELO != "" {
		return r.plan.HELO
	}
	if r.hostname != "" {
		return r.hostname
	}
	ap, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return "[127.0.0.1]"
	}
	a := ap.Addr().Unmap().WithZone("")
	if a.Is6() {
		return "[IPv6:" + a.String() + "]"
	}
	return "[" + a.String() + "]"
}

// splitConnect reads an address:port of Target.Connect.
func splitConnect(s string) (host string, port int, ok bool) {
	h, p, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, false
	}
	n, err := strconv.Atoi(p)
	return h, n, err == nil && h != "" && n > 0 && n < 1<<16
}
