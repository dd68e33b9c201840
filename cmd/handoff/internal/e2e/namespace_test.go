//go:build unix

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// namespace is a network of the test's own, where the relay can have the name
// and the ports of the service without a packet leaving the machine.
type namespace struct{ name string }

// namespaces counts those of this process.
var namespaces atomic.Int32

// newNamespace makes one with loopback up and these names; every other name is
// unknown there.
func newNamespace(t *testing.T, hosts map[string]string) *namespace {
	t.Helper()
	need(t, "ip")
	if os.Geteuid() != 0 {
		t.Skip("end-to-end test: a network namespace needs root")
	}
	n := &namespace{fmt.Sprintf("handoff%d-%d", os.Getpid(), namespaces.Add(1))}
	if out, err := exec.Command("ip", "netns", "add", n.name).CombinedOutput(); err != nil {
		t.Skipf("end-to-end test: no network namespaces here: %s", out)
	}
	etc := filepath.Join("/etc/netns", n.name)
	t.Cleanup(func() {
		_ = exec.Command("ip", "netns", "del", n.name).Run()
		_ = os.RemoveAll(etc)
	})
	if err := os.MkdirAll(etc, 0o755); err != nil {
		t.Fatal(err)
	}
	lines := []string{"127.0.0.1 localhost mail.customer.example"}
	for name, ip := range hosts {
		lines = append(lines, ip+" "+name)
	}
	write(t, filepath.Join(etc, "hosts"), 0o644, strings.Join(lines, "\n")+"\n")
	write(t, filepath.Join(etc, "resolv.conf"), 0o644, "nameserver 127.0.0.53\noptions timeout:1 attempts:1\n")
	write(t, filepath.Join(etc, "nsswitch.conf"), 0o644, "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n")
	mustRun(t, "ip", "netns", "exec", n.name, "ip", "link", "set", "lo", "up")
	return n
}

// command is a program that will run inside; its pid is the program's own.
func (n *namespace) command(name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", n.name, name}, args...)...)
}

// run runs a program inside to its end.
func (n *namespace) run(t *testing.T, stdin, name string, args ...string) result {
	t.Helper()
	return run(t, stdin, "ip", append([]string{"netns", "exec", n.name, name}, args...)...)
}

// announcement is the line of `handoff relay --json`.
type announcement struct {
	Addresses  map[string]string `json:"addresses"`
	CAFile     string            `json:"ca_file"`
	ServerName string            `json:"server_name"`
	Credential struct {
		Username, Password string
	} `json:"credential"`
	From      string `json:"from"`
	Control   string `json:"control"`
	OwnDomain string `json:"own_domain"`
}

const (
	serviceName = "outbound-us1.ppe-hosted.com"
	serviceIP   = "127.0.0.2"
)

// bundledRelay runs `handoff relay` under the name and on the ports of the
// service.
func (n *namespace) bundledRelay(t *testing.T, flags ...string) announcement {
	t.Helper()
	args := append([]string{
		"netns", "exec", n.name, program, "relay", "--json", "--for", "30m",
		"--listen", "25=" + serviceIP + ":25", "--listen", "587=" + serviceIP + ":587", "--control", filepath.Join(t.TempDir(), "control"),
	}, flags...)
	return startRelay(t, exec.Command("ip", args...))
}

// startRelay starts a relay command and reads its announcement.
func startRelay(t *testing.T, cmd *exec.Cmd) announcement {
	t.Helper()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr lockedBuilder
	cmd.Stderr = &stderr
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_RUNTIME_DIR="+t.TempDir(), "XDG_STATE_HOME="+t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	r := bufio.NewReader(stdout)
	text, err := r.ReadString('\n')
	var a announcement
	if err != nil || json.Unmarshal([]byte(text), &a) != nil {
		t.Fatalf("the relay did not announce itself: %v %q\n%s", err, text, stderr.String())
	}
	return a
}

type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuilder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuilder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
