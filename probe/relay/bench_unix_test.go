//go:build unix

package relay_test

import (
	"syscall"
	"time"
)

// cpuTime is the processor time that the tests have used so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
