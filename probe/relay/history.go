package relay

import (
	"net/netip"
	"strings"
	"sync"
	"time"
)

// The bounds of what the relay remembers of senders and recipients; beyond them
// the one that was quiet longest is forgotten.
const (
	historyKeys   = 10000
	historyMinute = 24 * 60
)

// history counts messages over time, for the limits of the table: per sender
// and per domain over ten minutes and a day, per recipient over a minute. Counts
// are kept in slots of ten seconds for ten minutes and of one minute for a day.
type history struct {
	mu   sync.Mutex
	keys map[string]*track
	// first tries, for greylisting, by client, sender and recipient
	tries map[string]time.Time
}

type track struct {
	last  time.Time
	slots []slot // oldest first
}

type slot struct {
	at time.Time // start, cut to ten seconds
	n  int
}

func newHistory() *history {
	return &history{keys: map[string]*track{}, tries: map[string]time.Time{}}
}

// add counts one message under the key.
func (h *history) add(key string, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.keys[key]
	if t == nil {
		if len(h.keys) >= historyKeys {
			h.forget()
		}
		t = &track{}
		h.keys[key] = t
	}
	at := now.Truncate(10 * time.Second)
	t.last = now
	for len(t.slots) > 0 && t.slots[0].at.Before(now.Add(-24*time.Hour)) {
		t.slots = t.slots[1:]
	}
	if n := len(t.slots); n > 0 && t.slots[n-1].at.Equal(at) {
		t.slots[n-1].n++
		return
	}
	if n := len(t.slots); n > historyMinute {
		// Old slots are merged two by two, so that a day of steady mail stays
		// within the bound.
		t.slots[1].n += t.slots[0].n
		t.slots = t.slots[1:]
	}
	t.slots = append(t.slots, slot{at, 1})
}

// within sums the messages under the key in the time before now.
func (h *history) within(key string, d time.Duration, now time.Time) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.keys[key]
	if t == nil {
		return 0
	}
	sum := 0
	for i := len(t.slots) - 1; i >= 0 && t.slots[i].at.After(now.Add(-d)); i-- {
		sum += t.slots[i].n
	}
	return sum
}

// firstTry returns when this client, sender and recipient first came together,
// and remembers it.
func (h *history) firstTry(client netip.Addr, sender, recipient string, now time.Time) time.Time {
	key := client.String() + "\x00" + strings.ToLower(sender) + "\x00" + strings.ToLower(recipient)
	h.mu.Lock()
	defer h.mu.Unlock()
	if at, ok := h.tries[key]; ok {
		return at
	}
	if len(h.tries) >= historyKeys {
		oldest, found := "", time.Time{}
		for k, at := range h.tries {
			if found.IsZero() || at.Before(found) {
				oldest, found = k, at
			}
		}
		delete(h.tries, oldest)
	}
	h.tries[key] = now
	return now
}

func (h *history) forget() {
	oldest, found := "", time.Time{}
	for k, t := range h.keys {
		if found.IsZero() || t.last.Before(found) {
			oldest, found = k, t.last
		}
	}
	delete(h.keys, oldest)
}
