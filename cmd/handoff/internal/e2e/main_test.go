//go:build unix

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smtp-handoff/handoff/analyze"
)

// program is the built command, made once for all tests of the package.
var program string

func TestMain(m *testing.M) {
	if os.Getenv("HANDOFF_E2E") == "" {
		os.Exit(m.Run()) // each test skips by itself, with a word
	}
	if program = os.Getenv("HANDOFF_PROGRAM"); program != "" {
		os.Exit(m.Run()) // somebody built it already
	}
	dir, err := os.MkdirTemp("", "handoff-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = filepath.Join(dir, "handoff")
	build := exec.Command("go", "build", "-o", program, "github.com/smtp-handoff/handoff/cmd/handoff")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building the program:", err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// need skips the test where this run is not an end-to-end run or a program is
// missing.
func need(t testing.TB, programs ...string) {
	t.Helper()
	if os.Getenv("HANDOFF_E2E") == "" {
		t.Skip("end-to-end test: set HANDOFF_E2E=1 (done by .ci/run)")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("end-to-end test: %s is not installed", p)
		}
	}
}

// result is what a run of a program left behind.
type result struct {
	stdout, stderr string
	code           int
}

func (r result) String() string {
	return fmt.Sprintf("exit %d\n--- stdout\n%s\n--- stderr\n%s", r.code, r.stdout, r.stderr)
}

// run runs a command to its end, at most 90 s.
func run(t *testing.T, stdin string, name string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "NO_COLOR=1", "HOME="+t.TempDir(), "XDG_STATE_HOME="+t.TempDir())
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatalf("%s: %v", name, err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// report runs the program with -o json and decodes what it prints.
func report(t *testing.T, stdin string, args ...string) (analyze.Report, result) {
	t.Helper()
	r := run(t, stdin, program, append(args, "-o", "json")...)
	var rep analyze.Report
	if err := json.Unmarshal([]byte(r.stdout), &rep); err != nil {
		t.Fatalf("handoff %s: output is no report: %v\n%s", strings.Join(args, " "), err, r)
	}
	return rep, r
}

// causes lists the ids of all causes of a report, of the headline and of its
// outcomes or sessions.
func causes(rep analyze.Report) []string {
	var ids []string
	add := func(cs []analyze.Cause) {
		for _, c := range cs {
			ids = append(ids, c.ID)
		}
	}
	add(rep.Causes)
	for _, o := range rep.Outcomes {
		add(o.Causes)
	}
	for _, s := range rep.Sessions {
		add(s.Causes)
	}
	return ids
}

// portsTried makes every call of freePort look further on.
var portsTried atomic.Int32

// freePort returns a port of ip that nobody listens on just now, for programs
// that cannot choose one by themselves. It lies below those that systems give to
// outgoing connections, so that no connection of the test itself takes it before
// the program does, and is given once.
func freePort(t testing.TB, ip string) int {
	t.Helper()
	const first, count = 12_000, 20_000
	for range count {
		port := first + (os.Getpid()*97+int(portsTried.Add(1)))%count
		l, err := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(port)))
		if err != nil {
			continue
		}
		l.Close()
		return port
	}
	t.Fatalf("no free port on %s", ip)
	return 0
}

// waitFor waits until something listens at addr.
func waitFor(t *testing.T, addr string) {
	t.Helper()
	for began := time.Now(); time.Since(began) < time.Minute; {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("nothing listens at %s", addr)
}

func write(t testing.TB, path string, mode os.FileMode, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}
