//go:build unix

package e2e

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// terminal is a tmux server of the test's own with one window.
type terminal struct {
	t      *testing.T
	socket string
	env    []string
}

// newTerminal runs a shell command in a window of w columns and h rows.
func newTerminal(t *testing.T, w, h int, state, command string) *terminal {
	t.Helper()
	x := &terminal{t: t, socket: fmt.Sprintf("handoff-e2e-%d-%d", os.Getpid(), time.Now().UnixNano())}
	for _, kv := range os.Environ() { // a tmux around the test is not the one meant
		if !strings.HasPrefix(kv, "TMUX") {
			x.env = append(x.env, kv)
		}
	}
	x.env = append(x.env, "LC_ALL=C.UTF-8", "HOME="+t.TempDir(), "XDG_STATE_HOME="+state, "SHELL=/bin/sh")
	x.tmux("-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(w), "-y", fmt.Sprint(h), command)
	path := strings.TrimSpace(x.tmux("display-message", "-p", "#{socket_path}"))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the screen at the end:\n%s", x.screen())
		}
		cmd := exec.Command("tmux", "-L", x.socket, "kill-server")
		cmd.Env = x.env
		_ = cmd.Run()
		_ = os.Remove(path)
	})
	return x
}

func (x *terminal) try(args ...string) (string, error) {
	cmd := exec.Command("tmux", append([]string{"-L", x.socket}, args...)...)
	cmd.Env = x.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (x *terminal) tmux(args ...string) string {
	x.t.Helper()
	out, err := x.try(args...)
	if err != nil {
		x.t.Fatalf("tmux %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (x *terminal) keys(names ...string) {
	x.t.Helper()
	x.tmux(append([]string{"send-keys"}, names...)...)
}

func (x *terminal) typed(text string) {
	x.t.Helper()
	x.tmux("send-keys", "-l", text)
}

// screen is what is seen, wrapped lines joined.
func (x *terminal) screen() string {
	out, _ := x.try("capture-pane", "-p", "-J")
	return out
}

// wait waits until the screen shows all words, spaces and line ends aside.
func (x *terminal) wait(words ...string) {
	x.t.Helper()
	var seen string
	for began := time.Now(); time.Since(began) < time.Minute; {
		seen = squeeze(x.screen())
		missing := false
		for _, w := range words {
			missing = missing || !strings.Contains(seen, w)
		}
		if !missing {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	x.t.Fatalf("the screen never showed %q:\n%s", words, x.screen())
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// bounce is a report as a mail program shows it.
const bounce = "../../../../testdata/reports/postfix/whole-mail.eml"

// The terminal program in a real terminal of three sizes: run the bundled
// probe, copy and export it, read a paste, provoke a refusal, leave.
func TestScreensInTmux(t *testing.T) {
	for _, c := range []struct {
		w, h  int
		leave []string // keys that end the program from a result
	}{
		{80, 24, []string{"q", "q"}},
		{120, 40, []string{"C-c"}},
		{40, 12, []string{"q", "q"}},
	} {
		t.Run(fmt.Sprintf("%dx%d", c.w, c.h), func(t *testing.T) {
			need(t, "tmux")
			pasted, err := os.ReadFile(bounce)
			if err != nil {
				t.Fatal(err)
			}
			state := t.TempDir()
			x := newTerminal(t, c.w, c.h, state, program+"; echo left with $?; exec sleep 120")
			x.wait("[1 Probe]", "bundled relay")
			x.keys("C-r")
			x.wait("VERDICT ready")

			x.keys("Y")
			x.wait("copied the ticket")
			if got := x.tmux("show-buffer"); !strings.Contains(got, "ready") || !strings.Contains(got, "587") {
				t.Errorf("the tmux buffer holds no ticket:\n%s", got)
			}
			x.keys("e")
			x.wait("the report is in")
			for _, kind := range []string{"md", "json"} {
				files, _ := filepath.Glob(filepath.Join(state, "handoff", "reports", "*."+kind))
				if len(files) != 1 {
					t.Errorf("%d exported %s files, want 1", len(files), kind)
					continue
				}
				if text, err := os.ReadFile(files[0]); err != nil || !bytes.Contains(text, []byte("ready")) {
					t.Errorf("the exported file holds no verdict (%v):\n%s", err, text)
				}
			}

			x.keys("2")
			x.wait("PASTE")
			x.tmux("load-buffer", "-b", "bounce", bounce)
			x.tmux("paste-buffer", "-p", "-b", "bounce")
			x.wait(fmt.Sprintf("pasted %d lines", bytes.Count(pasted, []byte("\n"))))
			x.keys("C-r")
			x.wait("VERDICT refused", "outbound-eu1.ppe-hosted.com")
			x.keys("v")
			x.wait("PATH OF THE MAIL", "X 554 5.7.1 here it stopped", "outbound-eu1.ppe-ho")
			x.keys("Escape")
			x.wait("VERDICT refused")

			x.keys("3")
			x.wait("REFERENCE RELAY")
			x.keys("/")
			x.wait("find:")
			x.typed("wrong-password")
			x.wait("find:", "> [ ] wrong-password")
			x.keys("Enter")
			x.keys("Space")
			x.wait("[x] wrong-password")
			x.keys("p")
			x.wait("VERDICT refused", "535")

			x.keys("4")
			x.wait("HISTORY", "> ")
			x.keys("d", "Down", "Down", "d") // the two probes; the bounce stands between them
			x.wait("WHAT CHANGED", "587 auth: 235 2.7.0 -> 535 5.7.8")
			x.keys("Escape", "1")
			x.wait("VERDICT refused", "535")

			x.keys("d")
			x.wait("[5 Diagnose]", "causes fit", "What did it show?", " > ")
			x.keys("C-l")
			x.wait("What is there to begin with?", "> the probe of the bundled relay")
			x.keys("Down", "Down", "Enter") // the probe, the bounce, the first symptom
			x.wait("DIAGNOSE", "causes fit")
			x.keys("Y")
			x.wait("copied the ticket")
			if got := x.tmux("show-buffer"); !strings.Contains(got, "Tests made") || !strings.Contains(got, "symptom") {
				t.Errorf("the tmux buffer holds no diagnosis:\n%s", got)
			}
			x.keys("u", "1")
			x.wait("VERDICT refused", "535")

			x.keys(c.leave...)
			x.wait("VERDICT refused: ", "written: ", "left with 1")
		})
	}
}

// The article's way in a real terminal: New Credential, its password shown
// once, 535 while it is pending, success an hour later.
func TestNewCredentialInTmux(t *testing.T) {
	need(t, "tmux")
	x := newTerminal(t, 80, 24, t.TempDir(), program+"; echo left with $?; exec sleep 120")
	x.wait("[1 Probe]", "WHAT YOU SEE HERE")
	x.keys("3")
	x.wait("REFERENCE RELAY", "[SCENARIOS]")
	x.keys("Tab", "Tab")
	x.wait("[CREDENTIALS]")
	x.keys("n")
	x.wait("NEW CREDENTIAL")
	x.typed("copier")
	x.wait("[copier")
	x.keys("Enter")
	x.wait("Password", "Copy both now")
	x.keys("y")
	x.wait("copied user name and password")
	buffer := x.tmux("show-buffer")
	_, password, found := strings.Cut(strings.TrimSpace(buffer), "password: ")
	if !found || len(password) < 20 {
		t.Fatalf("the tmux buffer holds no pair:\n%s", buffer)
	}
	x.keys("Enter")
	x.wait("> pending 59:", "copier", "credential c2 works in 59:")
	if strings.Contains(x.screen(), password) {
		t.Error("the password is on the screen after Save")
	}
	x.keys("p")
	x.wait("VERDICT refused", "535", "live in 59:")
	x.keys("3")
	x.wait("[CREDENTIALS]")
	x.keys("w")
	x.wait("60 minutes have passed", "active c2")
	x.keys("p")
	x.wait("VERDICT ready")
	x.keys("C-c")
	x.wait("VERDICT ready: ", "left with 0")
}

// A paste as an old mail is: its bytes are no UTF-8, it holds a password, and a
// line end of it starts nothing.
func TestHostilePasteInTmux(t *testing.T) {
	need(t, "tmux")
	state := t.TempDir()
	secret := base64.StdEncoding.EncodeToString([]byte("Zw3rg-Kuchen!41"))
	text := write(t, filepath.Join(state, "paste"), 0o600, "S: 220 outbound-us1.ppe-hosted.com ESMTP caf\xe9\r\nC: AUTH LOGIN\r\nS: 334 VXNlcm5hbWU6\r\nC: Y29waWVy\r\nS: 334 UGFzc3dvcmQ6\r\nC: "+
		secret+"\r\nS: 535 5.7.8 Error: authentication failed\r\n")
	for _, flags := range [][]string{{"-p"}, {"-p", "-r"}, {"-r"}, nil} { // bracketed or keys, LF as it is or as CR
		x := newTerminal(t, 80, 24, state, program+"; echo left with $?; exec sleep 120")
		x.wait("[1 Probe]")
		x.keys("2")
		x.wait("PASTE")
		x.tmux("load-buffer", "-b", "old", text)
		x.tmux(append([]string{"paste-buffer", "-b", "old"}, flags...)...)
		x.wait("535 5.7.8 Error: authentication failed", "1 bytes that were not UTF-8 were lost", "[secret-")
		if s := x.screen(); strings.Contains(s, secret[:8]) {
			t.Errorf("%v: the password is on the screen:\n%s", flags, s)
		}
		x.keys("C-r")
		x.wait("VERDICT refused", "535")
		x.keys("t")
		x.wait("7 | ", "[secret-")
		if s := x.screen(); strings.Contains(s, secret[:8]) {
			t.Errorf("%v: the password is in the text:\n%s", flags, s)
		}
		x.keys("C-c")
		x.wait("left with 1")
	}
	files := 0
	_ = filepath.WalkDir(filepath.Join(state, "handoff"), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files++
			if kept, _ := os.ReadFile(path); bytes.Contains(kept, []byte(secret[:8])) || bytes.Contains(kept, []byte("Zw3rg")) {
				t.Errorf("%s holds the password", path)
			}
		}
		return nil
	})
	if files == 0 {
		t.Error("no history was kept")
	}
}

// A paste of a terminal without brackets is no keys on any screen: it starts
// nothing and leaves nothing, and a takes it to Analyze.
func TestPasteWithoutBracketsInTmux(t *testing.T) {
	need(t, "tmux")
	pasted, err := os.ReadFile(bounce)
	if err != nil {
		t.Fatal(err)
	}
	lines := fmt.Sprintf("(%d lines): press a to analyze it", bytes.Count(pasted, []byte("\n")))
	x := newTerminal(t, 80, 24, t.TempDir(), program+"; echo left with $?; exec sleep 120")
	x.wait("[1 Probe]")
	x.tmux("load-buffer", "-b", "bounce", bounce)
	for _, screen := range []struct{ key, name string }{{"4", "HISTORY"}, {"3", "REFERENCE RELAY"}, {"1", "PROBE"}} {
		x.keys(screen.key)
		x.wait(screen.name)
		x.tmux("paste-buffer", "-b", "bounce")
		x.wait("that looks like pasted text", lines, screen.name)
		time.Sleep(500 * time.Millisecond) // a key sooner than that is the end of the paste; no hand is so fast
	}
	x.keys("a")
	x.wait("VERDICT refused", "outbound-eu1.ppe-hosted.com")
	x.keys("C-c")
	x.wait("left with 1")
}

// A terminal that answers no question about itself must not hold the first
// screen back.
func TestFirstScreenWithoutAnswers(t *testing.T) {
	need(t, "script")
	log := filepath.Join(t.TempDir(), "screen")
	cmd := exec.Command("script", "-q", "-f", "-c", "stty rows 24 cols 80; exec "+program, log)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "HOME="+t.TempDir(), "XDG_STATE_HOME="+t.TempDir())
	keyboard, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	var seen []byte
	for range 1200 {
		if seen, _ = os.ReadFile(log); bytes.Contains(seen, []byte("bundled relay")) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if !bytes.Contains(seen, []byte("bundled relay")) {
		t.Fatalf("no first screen: %q", seen)
	}
	if _, err := keyboard.Write([]byte{3}); err != nil { // ctrl+c
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("ctrl+c does not end the program")
	}
}

// What asks for no screen asks the terminal nothing, and NO_COLOR is kept.
func TestNoQueriesWithoutScreen(t *testing.T) {
	need(t, "script")
	for _, args := range []string{"--version", "--help", "explain wrong-port", "probe --bundled"} {
		t.Run(args, func(t *testing.T) {
			r := run(t, "", "script", "-q", "-e", "-c", "TERM=xterm-256color exec "+program+" "+args, "/dev/null")
			if r.code != 0 || squeeze(r.stdout) == "" {
				t.Errorf("handoff %s in a terminal: %s", args, r)
			}
			if strings.Contains(r.stdout, "\x1b") {
				t.Errorf("handoff %s writes an escape sequence: %q", args, r.stdout)
			}
		})
	}
}
