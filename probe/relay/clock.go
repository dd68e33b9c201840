package relay

import (
	"sync"
	"time"
)

// Clock tells the relay the time: for every decision of the policy table, for
// certificates and for the log. Waits that a fault asks for (a slow reply, a
// tarpit) and time-outs of sessions in memory follow it too.
//
// There are three sources: System; a Manual clock that moves only when told;
// and System inside a testing/synctest bubble, where time is virtual.
type Clock interface {
	Now() time.Time
	// NewTimer sends on its channel once d has passed on this clock.
	NewTimer(d time.Duration) Timer
}

// Timer is a running timer of a Clock.
type Timer interface {
	C() <-chan time.Time
	// Stop reports whether it kept the timer from firing.
	Stop() bool
}

// System is the machine's clock.
var System Clock = systemClock{}

type systemClock struct{}

func (systemClock) Now() time.Time                 { return time.Now() }
func (systemClock) NewTimer(d time.Duration) Timer { return systemTimer{time.NewTimer(d)} }

type systemTimer struct{ t *time.Timer }

func (t systemTimer) C() <-chan time.Time { return t.t.C }
func (t systemTimer) Stop() bool          { return t.t.Stop() }

// Manual is a clock that is moved by hand. Made by NewManual it stands still
// between two calls of Advance; made by NewOffset it runs with the machine's
// clock and Advance moves it ahead, so that "wait 60 minutes" costs nothing in
// either case.
type Manual struct {
	mu     sync.Mutex
	base   time.Time     // standing clock: its time; running clock: zero
	ahead  time.Duration // running clock: how far ahead of the machine's
	timers []*manualTimer
}

// NewManual returns a clock that stands at t until it is advanced.
func NewManual(t time.Time) *Manual { return &Manual{base: t} }

// NewOffset returns a clock that runs with the machine's and can be put ahead.
func NewOffset() *Manual { return &Manual{} }

// Now implements Clock.
func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now()
}

func (m *Manual) now() time.Time {
	if m.base.IsZero() {
		return time.Now().Add(m.ahead)
	}
	return m.base
}

// Ahead returns how far the clock has been advanced beyond the machine's; it is
// zero for a standing clock.
func (m *Manual) Ahead() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ahead
}

// Advance moves the clock ahead by d and fires the timers that are due, in the
// order of their deadlines. A negative d is taken as zero: the rules compare
// with times stamped earlier, and a clock that runs back would undo them.
func (m *Manual) Advance(d time.Duration) {
	if d < 0 {
		d = 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.base.IsZero() {
		m.ahead += d
	} else {
		m.base = m.base.Add(d)
	}
	now := m.now()
	for {
		next := -1
		for i, t := range m.timers {
			if !t.at.After(now) && (next < 0 || t.at.Before(m.timers[next].at)) {
				next = i
			}
		}
		if next < 0 {
			return
		}
		t := m.timers[next]
		m.timers = append(m.timers[:next], m.timers[next+1:]...)
		if t.wall != nil {
			t.wall.Stop()
		}
		t.c <- t.at
	}
}

type manualTimer struct {
	m    *Manual
	at   time.Time
	c    chan time.Time
	wall *time.Timer // running clock: fires it when nobody advances
}

func (t *manualTimer) C() <-chan time.Time { return t.c }

func (t *manualTimer) Stop() bool {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	return t.remove()
}

func (t *manualTimer) remove() bool {
	for i, o := range t.m.timers {
		if o == t {
			t.m.timers = append(t.m.timers[:i], t.m.timers[i+1:]...)
			if t.wall != nil {
				t.wall.Stop()
			}
			return true
		}
	}
	return false
}

// NewTimer implements Clock.
func (m *Manual) NewTimer(d time.Duration) Timer {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := &manualTimer{m: m, at: m.now().Add(d), c: make(chan time.Time, 1)}
	if d <= 0 {
		t.c <- t.at
		return t
	}
	if m.base.IsZero() {
		t.wall = time.AfterFunc(d, func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			if t.remove() {
				t.c <- t.at
			}
		})
	}
	m.timers = append(m.timers, t)
	return t
}

// standing says that only Advance moves the clock.
func (m *Manual) standing() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.base.IsZero()
}

// sleep waits d on the clock, or until done is closed; it reports whether the
// whole time passed. A standing clock is moved by the sleeper itself: a slow
// reply then costs its time on the clock and none on the wall.
func sleep(c Clock, d time.Duration, done <-chan struct{}) bool {
	if d <= 0 {
		return true
	}
	if m, ok := c.(*Manual); ok && m.standing() {
		m.Advance(d)
		return true
	}
	t := c.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
		return true
	case <-done:
		return false
	}
}
