//go:build unix

package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// source has Postfix's smtp-source send messages, each in a session of its own,
// eight at a time, and returns how long it took.
func source(t *testing.T, messages int, address string) time.Duration {
	t.Helper()
	began := time.Now()
	mustRun(t, "smtp-source", "-s", "8", "-m", strconv.Itoa(messages), "-l", "4096", "-f", "author@elsewhere.example", "-t", "alice@customer.example", address)
	return time.Since(began)
}

// loadedRelay is a relay that takes mail for alice without a limit. It returns
// its process id and the address of port 25.
func loadedRelay(t *testing.T) (pid int, address string) {
	t.Helper()
	control := filepath.Join(t.TempDir(), "control")
	cmd := exec.Command(program, "relay", "--json", "--for", "30m", "--listen", "127.0.0.1:0", "--control", control)
	a := startRelay(t, cmd)
	if r := run(t, "", program, "relay", "account", "--control", control, "limit", "set", "inbound", "-1"); r.code != 0 {
		t.Fatal(r)
	}
	return cmd.Process.Pid, a.Addresses["25"]
}

// The relay beside smtp-sink, both driven by smtp-source; policy and log are on.
// The figures are for the reader of the gate's output: nothing is asserted about
// time.
func TestSessionsPerSecondBesideSmtpSink(t *testing.T) {
	need(t, "smtp-source", "smtp-sink")
	const messages = 4000
	sink := "127.0.0.1:" + strconv.Itoa(freePort(t, "127.0.0.1"))
	cmd := exec.Command("smtp-sink", "-u", "nobody", sink, "100")
	if os.Geteuid() != 0 {
		cmd = exec.Command("smtp-sink", sink, "100")
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	waitFor(t, sink)
	_, relay := loadedRelay(t)
	rate := func(address string) float64 { return messages / source(t, messages, address).Seconds() }
	rate(relay) // warm
	theirs, ours := 0.0, 0.0
	for range 3 { // by turns, so that both meet the same machine
		theirs, ours = max(theirs, rate(sink)), max(ours, rate(relay))
	}
	t.Logf("smtp-sink %.0f sessions/s, the relay with policy and log %.0f: %.0f %%", theirs, ours, 100*ours/theirs)
}

// The relay's memory stays where it is over 200,000 sessions: log, counters and
// limits are bounded.
func TestMemoryOverManySessions(t *testing.T) {
	need(t, "smtp-source")
	if _, err := os.Stat("/proc/self/statm"); err != nil {
		t.Skip("end-to-end test: no /proc here")
	}
	pid, address := loadedRelay(t)
	if _, _, err := net.SplitHostPort(address); err != nil {
		t.Fatal(err)
	}
	var sizes []int
	var b strings.Builder
	for n := 25_000; n <= 200_000; n += 25_000 {
		source(t, 25_000, address)
		sizes = append(sizes, resident(t, pid))
		fmt.Fprintf(&b, "  %d: %d MB", n, sizes[len(sizes)-1]>>20)
	}
	t.Logf("resident after sessions:%s", b.String())
	// The log is full after 1,000 sessions; what comes later must not add to it.
	if first, last := sizes[0], sizes[len(sizes)-1]; last > first+first/2+16<<20 {
		t.Errorf("%d MB after 25,000 sessions, %d MB after 200,000", first>>20, last>>20)
	}
}

// resident is the memory that a process holds, in bytes.
func resident(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}
