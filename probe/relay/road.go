package relay

import (
	"context"
	"net/netip"
	"os"
	"syscall"

	"github.com/smtp-handoff/handoff/analyze/policy"
)

// The faults of the road: ports that hang or refuse (names.go has the names). A
// port is closed or held for all clients alike, so these do not look at
// triggers.

// dialFault is what happens in memory to a connection that never comes about.
func (r *Relay) dialFault(ctx context.Context, client netip.Addr, l *role) error {
	if !r.faulted() {
		return nil
	}
	state := policy.Session{Port: l.port, Client: client}
	r.mu.Lock()
	state.Attempt = r.attempts[l.port] + 1
	refused, blocked := portFault(r.account, l.port, &state)
	r.mu.Unlock()
	switch {
	case refused:
		r.attempt(l.port)
		return dialError(l.memory.addr, syscall.ECONNREFUSED)
	case blocked:
		r.attempt(l.port)
		select {
		case <-ctx.Done():
		case <-l.done:
		}
		return dialError(l.memory.addr, os.ErrDeadlineExceeded)
	}
	return nil
}

// portFault says whether connections to the port are refused or hang. A nil
// session asks about all clients.
func portFault(a *policy.Account, port int, s *policy.Session) (refused, blocked bool) {
	for i := range a.Faults {
		f := &a.Faults[i]
		if s != nil && !f.Fires(s, &policy.Command{}) {
			continue
		}
		switch f.Name {
		case "port-refused":
			if len(f.Args) == 0 || f.Args[0] == "25" && port == PortServer || f.Args[0] == "587" && port == PortAuth {
				refused = true
			}
		case "port25-blocked":
			blocked = blocked || port == PortServer
		case "port587-blocked":
			blocked = blocked || port == PortAuth
		}
	}
	return refused, blocked
}

// openOrBlock closes or holds the TCP ports as the faults say, and opens them
// again; the names follow.
func (r *Relay) openOrBlock() error {
	if err := r.publish(); err != nil {
		return err
	}
	if r.memory {
		return nil
	}
	for _, l := range r.roles {
		r.mu.Lock()
		refused, blocked := portFault(r.account, l.port, nil)
		r.mu.Unlock()
		if err := r.gate(l, refused, blocked); err != nil {
			return err
		}
	}
	return nil
}
