package mailbox

import (
	"context"
	"iter"
)

// Bounds of what is under way at once.
const (
	batchBytes    = 256 << 10
	batchMessages = 256
	flightBytes   = 12 << 20 // bytes of messages in all batches
)

// Map runs f on every message, on jobs goroutines, and yields what it returned
// in the order of the messages: the same bytes for any number of jobs. f must
// not keep Message.Data. The walk ends early when ctx does; what was begun is
// yielded.
func Map[T any](ctx context.Context, messages iter.Seq[Message], jobs int, f func(Message) T) iter.Seq[T] {
	if jobs <= 1 {
		return func(yield func(T) bool) {
			for m := range messages {
				if !yield(f(m)) {
					return
				}
			}
		}
	}
	return func(yield func(T) bool) { parallel(ctx, messages, jobs, f, yield) }
}

// batch is a run of messages that one worker takes; its data lie in one array.
type batch[T any] struct {
	arena    []byte
	messages []Message
	out      []T
	done     chan struct{}
	bytes    int
}

func parallel[T any](ctx context.Context, messages iter.Seq[Message], jobs int, f func(Message) T, yield func(T) bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	work := make(chan *batch[T], jobs)
	ordered := make(chan *batch[T], 4*jobs)
	room := newRoom(flightBytes)
	free := make(chan *batch[T], 4*jobs)

	go func() { // the reader
		defer close(ordered)
		defer close(work)
		var b *batch[T]
		flush := func() bool {
			if b == nil || len(b.messages) == 0 {
				return true
			}
			if !room.take(ctx, b.bytes) {
				return false
			}
			select {
			case ordered <- b:
			case <-ctx.Done():
				return false
			}
			work <- b
			b = nil
			return true
		}
		for m := range messages {
			if b != nil && b.bytes+len(m.Data) > batchBytes && !flush() {
				return
			}
			if b == nil {
				select {
				case b = <-free:
				default:
					b = &batch[T]{}
				}
				b.done = make(chan struct{})
			}
			b.add(m)
			if (b.bytes >= batchBytes || len(b.messages) == batchMessages) && !flush() {
				return
			}
		}
		flush()
	}()
	for range jobs {
		go func() {
			for b := range work {
				for _, m := range b.messages {
					b.out = append(b.out, f(m))
				}
				close(b.done)
			}
		}()
	}
	for b := range ordered {
		<-b.done
		for i := range b.out {
			if !yield(b.out[i]) {
				cancel()
				for b := range ordered {
					<-b.done
				}
				return
			}
		}
		room.give(b.bytes)
		b.reset()
		select {
		case free <- b:
		default:
		}
	}
}

// add copies a message into the batch. An array that is replaced since it is
// too small stays alive by the messages that lie in it.
func (b *batch[T]) add(m Message) {
	if cap(b.arena)-len(b.arena) < len(m.Data) {
		b.arena = make([]byte, 0, max(batchBytes, len(m.Data)))
	}
	at := len(b.arena)
	b.arena = append(b.arena, m.Data...)
	m.Data = b.arena[at:len(b.arena):len(b.arena)]
	b.messages = append(b.messages, m)
	b.bytes += len(m.Data)
}

func (b *batch[T]) reset() {
	if cap(b.arena) > 2*batchBytes {
		b.arena = nil
	}
	b.arena = b.arena[:0]
	clear(b.messages)
	clear(b.out)
	b.messages, b.out, b.bytes = b.messages[:0], b.out[:0], 0
}

// room is a count of bytes that may be under way. A single larger piece passes
// when nothing else is.
type room struct {
	free chan int // holds the free bytes
	size int
	back chan struct{}
}

func newRoom(size int) *room {
	r := &room{free: make(chan int, 1), size: size, back: make(chan struct{}, 1)}
	r.free <- size
	return r
}

func (r *room) take(ctx context.Context, n int) bool {
	n = min(n, r.size)
	for {
		free := <-r.free
		if free >= n {
			r.free <- free - n
			return true
		}
		r.free <- free
		select {
		case <-r.back:
		case <-ctx.Done():
			return false
		}
	}
}

func (r *room) give(n int) {
	free := <-r.free
	r.free <- free + min(n, r.size)
	select {
	case r.back <- struct{}{}:
	default:
	}
}
