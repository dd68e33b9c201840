package relay

import (
	"net"
)

// gate closes a TCP port so that the kernel refuses connections, holds it so
// that they hang, or opens it again at the same address.
func (r *Relay) gate(l *role, refused, blocked bool) error {
	want := gateOpen
	switch {
	case refused:
		want = gateRefused
	case blocked:
		want = gateBlocked
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.done:
		return nil
	default:
	}
	if want == l.gate {
		return nil
	}
	if l.gate == gateOpen {
		l.listener.Close()
	}
	if l.unblock != nil {
		l.unblock()
		l.unblock = nil
	}
	l.gate = gateRefused // so it is until what is wanted stands
	switch want {
	case gateBlocked:
		undo, err := block(l.addr)
		if err != nil {
			return err
		}
		l.unblock = undo
	case gateOpen:
		listener, err := net.Listen("tcp", l.addr.String())
		if err != nil {
			return err
		}
		l.listener = listener
		r.conns.Go(func() { r.acceptLoop(l, listener) })
	}
	l.gate = want
	return nil
}

// The states of a port.
type gateState int

const (
	gateOpen gateState = iota
	gateRefused
	gateBlocked
)
