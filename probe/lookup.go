package probe

import (
	"context"
	"net/netip"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe/resolve"
)

// lookup is one name looked up for all ports.
type lookup struct {
	done  chan struct{} // closed when the rest is filled in
	addrs []netip.Addr
	e     transcript.Exchange
}

func systemResolver() Resolver { return resolve.System() }

// resolve finds the addresses of a host and records the step.
func (s *session) resolve(host string) ([]netip.Addr, bool) {
	s.stage = transcript.StageResolve
	s.observe(Event{Exchange: transcript.Exchange{Stage: transcript.StageResolve}})
	l := s.run.lookup(host)
	s.record(l.e)
	if len(l.addrs) > 0 {
		return l.addrs, true
	}
	if s.ended = l.e.Skipped; s.ended == "" {
		s.ended = SkipFailed
	}
	return nil, false
}

func (r *run) lookup(host string) *lookup {
	r.mu.Lock()
	l := r.lookups[host]
	if l != nil {
		r.mu.Unlock()
		<-l.done
		return l
	}
	l = &lookup{done: make(chan struct{})}
	r.lookups[host] = l
	r.mu.Unlock()
	defer close(l.done)
	ctx, cancel := context.WithTimeout(r.ctx, r.timeout)
	defer cancel()
	network := "ip"
	switch {
	case r.only4:
		network = "ip4"
	case r.only6:
		network = "ip6"
	}
	sent := time.Since(r.began)
	addrs, err := r.opts.Resolver.LookupNetIP(ctx, network, host)
	l.e = transcript.Exchange{Stage: transcript.StageResolve, Sent: sent, Took: time.Since(r.began) - sent}
	switch l.addrs = r.usable(addrs); {
	case len(l.addrs) > 0:
	case r.ctx.Err() != nil || r.late():
		l.e.Skipped = r.interruption()
	case err != nil:
		l.e.Fault, l.e.Detail = transcript.FaultDNS, lookupFault(err)
	default:
		l.e.Fault, l.e.Detail = transcript.FaultDNS, "NODATA: the name exists but has no address"
	}
	return l
}
