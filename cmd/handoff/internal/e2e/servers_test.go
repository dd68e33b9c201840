//go:build unix

package e2e

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	e2eUser   = "smtp-user@customer.example"
	e2eSecret = "Kx7-planted-Secret-94"
)

// postfixServices are the lines of master.cf that a Postfix needs beside its
// smtpd.
var postfixServices = []string{
	"pickup unix n - n 60 1 pickup", "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr",
	"rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce", "defer unix - - n - 0 bounce",
	"trace unix - - n - 0 bounce", "verify unix - - n - 1 verify", "flush unix n - n 1000? 0 flush",
	"proxymap unix - - n - - proxymap", "proxywrite unix - - n - 1 proxymap", "smtp unix - - n - - smtp",
	"relay unix - - n - - smtp", "error unix - - n - - error", "retry unix - - n - - error",
	"discard unix - - n - - discard", "local unix - n n - - local", "virtual unix - n n - - virtual",
	"anvil unix - - n - 1 anvil", "scache unix - - n - 1 scache", "tlsmgr unix - - n 1000? 1 tlsmgr",
	"postlog unix-dgram n - n - 1 postlogd", "showq unix n - n - - showq", "lmtp unix - - n - - lmtp",
}

// openDir is a temporary folder that the users of mail servers may enter, with
// these folders in it.
func openDir(t *testing.T, folders ...string) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range folders {
		if err := os.MkdirAll(filepath.Join(dir, f), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// serve runs a server in the foreground until the test ends; a failed test
// shows what it said and its log files.
func serve(t *testing.T, cmd *exec.Cmd, stop *exec.Cmd, logs ...string) {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var said lockedBuilder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if stop != nil {
			_ = stop.Run()
		}
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", cmd.Path, said.String())
			for _, l := range logs {
				text, _ := os.ReadFile(l)
				t.Logf("%s:\n%s", filepath.Base(l), text)
			}
		}
	})
}

// server is a real mail server that plays the service: 25 refuses to relay, 587
// wants STARTTLS and then AUTH.
type server struct {
	port25, port587 int
	ca              string // file of the authority that issued its certificate
}

func newServer(t *testing.T) server {
	t.Helper()
	return server{port25: freePort(t, "127.0.0.1"), port587: freePort(t, "127.0.0.1")}
}

// certify issues a certificate for the server: for the name, or one that is past
// its date.
func (s *server) certify(t *testing.T, name string, expired bool) (certFile, keyFile string) {
	t.Helper()
	ca := newAuthority(t)
	from, to := time.Now().Add(-48*time.Hour), time.Now().Add(12*time.Hour)
	if expired {
		to = time.Now().Add(-time.Hour)
	}
	s.ca = ca.file
	return ca.issue(t, name, from, to)
}

func (s *server) waitFor(t *testing.T) {
	t.Helper()
	waitFor(t, fmt.Sprintf("127.0.0.1:%d", s.port25))
	waitFor(t, fmt.Sprintf("127.0.0.1:%d", s.port587))
}

// connect are the flags that send the probe of a public name to this server:
// both ports, or the one that is named.
func (s *server) connect(only int) []string {
	var flags []string
	if only != 587 {
		flags = append(flags, "--connect", fmt.Sprintf("25=127.0.0.1:%d", s.port25))
	}
	if only != 25 {
		flags = append(flags, "--connect", fmt.Sprintf("587=127.0.0.1:%d", s.port587))
	}
	return flags
}

// probed is what a probe of a server has to come to.
type probed struct {
	secret  string   // password given; empty: the right one
	flags   []string // further flags of the probe
	noCA    bool     // the server's authority is not told
	verdict string
	stage   string // of the session on the port
	port    int    // 0: 587; the only one that is probed when it is given
	cause   string // must be among the causes; empty: there must be none
	finding string // must be among the findings; empty: not asked
	preset  string // of the bundled relay, whose probe has the same causes; empty: none is like it
	exit    int
}

// check probes and compares: verdict, stage, cause, exit code, no password in
// any output, and the same answer from the probe's own record.
func (c *probed) check(t *testing.T, s *server) {
	t.Helper()
	secret := c.secret
	if secret == "" {
		secret = e2eSecret
	}
	file := write(t, filepath.Join(t.TempDir(), "password"), 0o600, secret)
	args := append([]string{
		"probe", serviceName, "--user", e2eUser, "--password-file", file, "--timeout", "60s",
		"--from", "alerts@customer.example", "--to", "desk@partner.example", "--helo", "mail.customer.example",
	}, s.connect(c.port)...)
	if !c.noCA {
		args = append(args, "--ca", s.ca)
	}
	rep, r := report(t, "", append(args, c.flags...)...)
	if string(rep.Verdict.Code) != c.verdict || r.code != c.exit {
		t.Errorf("verdict %s, exit %d; want %s, %d\n%s", rep.Verdict.Code, r.code, c.verdict, c.exit, r)
	}
	stage := ""
	for _, s := range rep.Sessions {
		if s.Port == cmp.Or(c.port, 587) {
			stage = s.Stage
		}
	}
	if stage != c.stage {
		t.Errorf("stage is %q, want %q\n%s", stage, c.stage, r)
	}
	var ids []string
	for _, x := range rep.Causes {
		ids = append(ids, x.ID)
	}
	if (c.cause == "") != (ids == nil) || c.cause != "" && !slices.Contains(ids, c.cause) {
		t.Errorf("the causes are %q, want %q\n%s", ids, c.cause, r)
	}
	if c.preset != "" {
		bundled, _ := report(t, "", "probe", "--bundled", "--scenario", c.preset, "--timeout", "60s")
		var same []string
		for _, x := range bundled.Causes {
			same = append(same, x.ID)
		}
		if !slices.Equal(unique(ids), unique(same)) {
			t.Errorf("the causes are %q, at the bundled relay with %s %q", unique(ids), c.preset, unique(same))
		}
	}
	found := c.finding == ""
	for _, f := range rep.Findings {
		found = found || f.ID == c.finding
	}
	if !found {
		t.Errorf("no finding %s\n%s", c.finding, r)
	}
	if strings.Contains(r.stdout+r.stderr, secret) {
		t.Error("the password is in the output")
	}
	again, _ := report(t, r.stdout, "analyze", "-")
	if again.Verdict.Code != rep.Verdict.Code {
		t.Errorf("probe says %s, analyze of its record says %s", rep.Verdict.Code, again.Verdict.Code)
	}
	if a, b := causes(rep), causes(again); !slices.Equal(unique(a), unique(b)) {
		t.Errorf("causes of the probe %v, of its record %v", a, b)
	}
}

func unique(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return slices.Compact(s)
}

func mustRun(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
