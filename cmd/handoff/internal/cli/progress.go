package cli

import (
	"sync"
	"time"

	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
)

// bulkWatch tells on stderr how far a long analysis is: nothing in the first
// second, then a line now and then, no animation.
type bulkWatch struct {
	p      *program
	mu     sync.Mutex
	n      int
	bytes  int64
	ticker *time.Ticker
	done   chan struct{}
	once   sync.Once
	work   sync.WaitGroup
}

func (p *program) watchBulk() *bulkWatch {
	w := &bulkWatch{p: p, done: make(chan struct{})}
	if p.flags.quiet {
		return w
	}
	every := 10 * time.Second
	if report.IsTerminal(p.plainStderr()) {
		every = time.Second
	}
	w.ticker = time.NewTicker(time.Second)
	w.work.Go(func() {
		for first := true; ; first = false {
			select {
			case <-w.done:
				return
			case <-w.ticker.C:
			}
			if first {
				w.ticker.Reset(every)
			}
			w.mu.Lock()
			n, b := w.n, w.bytes
			w.mu.Unlock()
			p.say("%d messages, %.1f MB so far", n, float64(b)/1e6)
		}
	})
	return w
}

func (w *bulkWatch) add(a *analyzed) {
	w.mu.Lock()
	w.n++
	w.bytes += a.bytes
	w.mu.Unlock()
}

func (w *bulkWatch) stop() {
	w.once.Do(func() {
		close(w.done)
		if w.ticker != nil {
			w.ticker.Stop()
		}
		w.work.Wait()
	})
}
