package probe

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// crew runs functions side by side. A panic in one of them is raised again by
// Wait, in the goroutine of the caller. There a monitoring check can tell our
// own fault from an answer of the server; in a goroutine of its own it would end
// the process with the exit code 2, which monitoring reads as CRITICAL.
type crew struct {
	wg    sync.WaitGroup
	once  sync.Once
	fault any
}

// Go runs f in a goroutine.
func (c *crew) Go(f func()) {
	c.wg.Go(func() {
		defer func() {
			if v := recover(); v != nil {
				c.once.Do(func() { c.fault = crewFault{v, debug.Stack()} })
			}
		}()
		f()
	})
}

// Wait waits for all and raises the first panic of theirs.
func (c *crew) Wait() {
	c.wg.Wait()
	if c.fault != nil {
		panic(c.fault)
	}
}

// crewFault is a panic and where it was.
type crewFault struct {
	value any
	stack []byte
}

func (f crewFault) String() string {
	if inner, ok := f.value.(crewFault); ok {
		return inner.String()
	}
	return fmt.Sprintf("%v\n%s", f.value, f.stack)
}
