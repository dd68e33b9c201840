package cli

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// TestHelpIsWhole: every command says in one line what it does; what it says at
// length ends with a whole sentence or a list and fits a terminal.
func TestHelpIsWhole(t *testing.T) {
	p := &program{getenv: func(string) string { return "" }, now: time.Now}
	seen := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if c.Hidden || c.Name() == "help" {
			return
		}
		seen++
		paragraphs := strings.Split(strings.TrimSpace(c.Long), "\n\n")
		if last := paragraphs[len(paragraphs)-1]; c.Short == "" || c.Long != "" && !strings.HasSuffix(last, ".") && !strings.HasPrefix(last, "  ") {
			t.Errorf("%s: short %q; its text ends with %q", c.CommandPath(), c.Short, last)
		}
		for line := range strings.Lines(c.Long) {
			line = strings.TrimSuffix(line, "\n")
			if len(line) > 90 && !strings.HasPrefix(line, "  ") || strings.TrimRight(line, " ") != line || strings.Contains(line, "XX") || strings.Contains(line, "%!") {
				t.Errorf("%s: %q", c.CommandPath(), line)
			}
		}
	}
	walk(p.root())
	if seen < 15 {
		t.Errorf("only %d commands were looked at", seen)
	}
}

// TestListenFollowsLoopback: the name server listens where the relay does if that
// is loopback (there may be ::1 alone), else on 127.0.0.1: it never leaves loopback.
func TestListenFollowsLoopback(t *testing.T) {
	for given, want := range map[string]string{
		"::1": "::1", "[::1]:0": "::1", "127.0.0.2:0": "127.0.0.2", "127.0.0.1": "127.0.0.1",
		"192.0.2.1:0": "127.0.0.1", "0.0.0.0": "127.0.0.1", "localhost:0": "127.0.0.1",
	} {
		got, _, err := listenAddresses([]string{given})
		if err != nil {
			t.Errorf("%s: %v", given, err)
			continue
		}
		if host, _, err := net.SplitHostPort(got[portNames]); err != nil || host != want {
			t.Errorf("%s: names at %s, expected %s", given, got[portNames], want)
		}
	}
}

// TestRuntimeDirOfAnotherUser: XDG_RUNTIME_DIR names a folder that is not there, as
// in a shell got with su; the folder for temporary files serves then.
func TestRuntimeDirOfAnotherUser(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	for _, runtime := range []string{"", filepath.Join(temp, "gone")} {
		p := &program{getenv: func(name string) string {
			if name == "XDG_RUNTIME_DIR" {
				return runtime
			}
			return ""
		}}
		dir, err := p.runtimeDir()
		if err != nil || filepath.Dir(dir) != temp {
			t.Errorf("XDG_RUNTIME_DIR=%q: %q, %v", runtime, dir, err)
		}
	}
	own := t.TempDir()
	p := &program{getenv: func(string) string { return own }}
	if dir, err := p.runtimeDir(); err != nil || dir != filepath.Join(own, "handoff") {
		t.Errorf("XDG_RUNTIME_DIR=%q: %q, %v", own, dir, err)
	}
}
