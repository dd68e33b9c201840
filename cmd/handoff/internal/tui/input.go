package tui

import (
	"bytes"
	"os"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// watchedInput is the terminal's keyboard with a count of the bytes that are no
// UTF-8. The event reader drops them without a word, and a paste of an old
// mail in ISO 8859-1 is then not what was copied.
type watchedInput struct {
	*os.File
	keys *burstReader
	lost atomic.Int64
	tail []byte // the beginning of a character whose end was not read yet
}

func newWatchedInput(f *os.File, now func() time.Time) *watchedInput {
	w := &watchedInput{File: f}
	w.keys = &burstReader{src: rawInput{w}, now: now}
	return w
}

// Read reads from the terminal, pastes in brackets.
func (w *watchedInput) Read(p []byte) (int, error) { return w.keys.Read(p) }

// rawInput is the terminal as it is, counted.
type rawInput struct{ w *watchedInput }

// Read reads from the terminal.
func (r rawInput) Read(p []byte) (int, error) {
	n, err := r.w.File.Read(p)
	r.w.count(p[:n])
	return n, err
}

func (w *watchedInput) count(p []byte) {
	if len(w.tail) > 0 {
		p = append(w.tail, p...)
		w.tail = nil
	}
	if n := unfinished(p); n > 0 {
		w.tail = bytes.Clone(p[len(p)-n:])
		p = p[:len(p)-n]
	}
	for len(p) > 0 {
		r, n := utf8.DecodeRune(p)
		if r == utf8.RuneError && n == 1 {
			w.lost.Add(1)
		}
		p = p[n:]
	}
}
