package relay

import (
	"runtime/debug"
	"testing"

	"github.com/smtp-handoff/handoff/analyze/policy"
)

// A panic counts when our own code stands in its stack; go-smtp's do not.
func TestPanicsAreOurs(t *testing.T) {
	r := New(policy.NewAccount(""))
	l := panicLog{r}
	l.Printf("panic serving %v: %v\n%s", "addr", "err", []byte("goroutine 1\ngithub.com/emersion/go-smtp.(*Conn).handleBdat.func1()\n"))
	l.Printf("accept error: %s", "x")
	if n := r.Panics(); n != 0 {
		t.Errorf("%d panics counted, none was ours", n)
	}
	l.Printf("panic serving %v: %v\n%s", "addr", "err", debug.Stack())
	if n := r.Panics(); n != 1 {
		t.Errorf("%d panics counted, one was ours", n)
	}
}
