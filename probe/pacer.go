package probe

import (
	"context"
	"sync"
	"time"
)

// Pacer keeps the sessions of several runs with one server apart, so that the
// server's own defences do not wake: limits on connections, penalties after a
// failed login, Postfix's in_flow_delay. A process that probes the same servers
// again and again gives one Pacer to all its runs. The zero value is usable, and
// it may be used by several goroutines.
//
// It is no limit on how often a server is probed: that is the caller's plan.
type Pacer struct {
	mu   sync.Mutex
	free map[string]time.Time // when the next session with a server may begin
}

// longestQueue is the most that a session waits for those before it: a run has a
// deadline, and a late answer is no answer.
const longestQueue = 2 * time.Second

// maxPaced bounds the servers that are remembered.
const maxPaced = 10_000

// wait returns when a session with the server may begin, or when ctx ends.
func (p *Pacer) wait(ctx context.Context, server string, spacing time.Duration) error {
	if p == nil {
		return nil
	}
	pause := p.book(server, spacing, time.Now())
	if pause <= 0 {
		return nil
	}
	return wait(ctx, pause)
}

// book takes the next free place and returns how far off it is.
func (p *Pacer) book(server string, spacing time.Duration, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) >= maxPaced {
		for s, at := range p.free {
			if at.Before(now) {
				delete(p.free, s)
			}
		}
	}
	at := p.free[server]
	if at.Before(now) {
		at = now
	}
	if last := now.Add(longestQueue); at.After(last) {
		at = last
	}
	if p.free == nil {
		p.free = map[string]time.Time{}
	}
	if len(p.free) < maxPaced || !p.free[server].IsZero() {
		p.free[server] = at.Add(spacing)
	}
	return at.Sub(now)
}
