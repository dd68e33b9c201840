package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inTerminal runs the program in a terminal of its own that answers no query,
// types the input and returns all that was written to the screen.
func inTerminal(t *testing.T, input string, args ...string) string {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	defer master.Close()
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), "HANDOFF_TEST_MAIN=1", "TERM=xterm-256color", "HOME="+t.TempDir(), "NO_COLOR=")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	if _, err := io.WriteString(master, input); err != nil {
		t.Fatal(err)
	}
	var screen bytes.Buffer
	read := make(chan struct{})
	go func() {
		_, _ = io.Copy(&screen, master) // ends when the last writer closes the terminal
		close(read)
	}()
	err = cmd.Wait()
	<-read
	if err != nil && cmd.ProcessState.ExitCode() < 0 {
		t.Fatalf("%v: %v", args, err)
	}
	return screen.String()
}

// TestNoTerminalQuery: a plain command asks the terminal nothing, and so waits
// for no answer from one that gives none.
func TestNoTerminalQuery(t *testing.T) {
	for _, args := range [][]string{{"--version"}, {"probe", "--help"}, {"explain", "A13"}, {"man"}} {
		screen := inTerminal(t, "", args...)
		if strings.ContainsRune(screen, 0x1b) {
			t.Errorf("%v writes an escape: %q", args, screen[:min(len(screen), 200)])
		}
	}
}

// TestLinear: 'handoff --no-tui' at a terminal asks one question a line, prints
// each step once and redraws nothing.
func TestLinear(t *testing.T) {
	const enter6 = "\n\n\n\n\n\n\n"
	linear := func(input string, want ...string) string {
		t.Helper()
		screen := inTerminal(t, input, "--no-tui", "--color", "never")
		if strings.ContainsRune(screen, 0x1b) {
			t.Errorf("an escape in the linear mode: %q", screen)
		}
		for _, w := range want {
			if strings.Count(screen, w) != 1 {
				t.Errorf("%q stands there %d times in\n%s", w, strings.Count(screen, w), screen)
			}
		}
		return screen
	}
	screen := linear(enter6, "Relay host, empty for the bundled relay:", "port 587, auth AUTH: ok, ", "VERDICT ready")
	for _, r := range screen {
		if r > 0x7e {
			t.Errorf("%U is not read aloud alike everywhere", r)
			break
		}
	}
	linear("probe\nno host\n"+enter6, "is no host name", "VERDICT ready")
	linear("\n\nwrong-password\n587\nboth\nauth\nno\n", "VERDICT refused", "port 587, auth AUTH: refused, 535 5.7.8")
	linear("\n\n\n26\n27\n28\n", `"28" is none of both, 25, 587`)
	linear("probe\n\nwrong-password\n\n\n\nyes\n3\n\n\n\n\n\n\n\n\n\n", "told look-credentials: ")
}

// TestLinearRead: the other half of the linear mode reads what one pastes, or a
// file, and hides its secrets.
func TestLinearRead(t *testing.T) {
	const bounce = "<desk@partner.example>: host outbound-us1.ppe-hosted.com[192.0.2.25] said: 554\n    5.7.1 <desk@partner.example>: Relay access denied (in reply to RCPT TO command)\n"
	for _, c := range []struct{ input, want string }{
		{"read\n\n" + bounce + ".\n\n", "VERDICT refused: "},
		{"read\nno such file\n../../testdata/reports/postfix/whole-mail.eml\n\n", "VERDICT refused: "},
		{"read\n\n.\n\n", "VERDICT insufficient-evidence"},
	} {
		screen := inTerminal(t, c.input, "--no-tui", "--color", "never")
		if !strings.Contains(screen, c.want) {
			t.Errorf("%q: no %q in\n%s", c.input, c.want, screen)
		}
	}
}

// TestLinearSeen: who has neither a text nor a host begins with what is seen, in
// the linear mode and with a bare 'handoff diagnose'.
func TestLinearSeen(t *testing.T) {
	nobody := strings.Repeat("\n", 30)
	for _, c := range []struct {
		input string
		args  []string
		want  []string
	}{
		{"seen\n2\n1\n" + nobody, []string{"--no-tui"}, []string{"  2  the login is refused", "8 explanations fit", "VERDICT refused", "told symptom: the login is refused"}},
		{"9\n1\n", []string{"diagnose"}, []string{"What is seen?", "VERDICT unreachable", "2 explanations became 1"}},
		{"\n", []string{"diagnose"}, []string{"without a symptom there is nothing to begin with"}},
		{"", []string{"diagnose", "--seen", "nonsense"}, []string{"it is one of relay-refused, login-refused"}},
		{nobody, []string{"diagnose", "--seen", "no-connection"}, []string{"3 explanations fit", "VERDICT unreachable"}},
	} {
		screen := inTerminal(t, c.input, append(c.args, "--color", "never")...)
		for _, want := range c.want {
			if !strings.Contains(screen, want) {
				t.Errorf("%q %v: no %q in\n%s", c.input, c.args, want, screen)
			}
		}
	}
}

// TestColourOnATerminal: colour is for terminals, and each switch is heeded.
func TestColourOnATerminal(t *testing.T) {
	if screen := inTerminal(t, "", "probe", "--bundled", "-q"); !strings.Contains(screen, "\x1b[") {
		t.Errorf("no colour on a terminal: %q", screen)
	}
	if screen := inTerminal(t, "", "probe", "--bundled", "-q", "--color", "never"); strings.Contains(screen, "\x1b[") {
		t.Errorf("colour under --color never: %q", screen)
	}
}

// TestDiagnoseAsks: at a terminal a diagnosis asks what it cannot try, and the
// answers narrow the causes down to one.
func TestDiagnoseAsks(t *testing.T) {
	screen := inTerminal(t, "9\nx\n1\n", "diagnose", "--bundled", "--scenario", "cred-not-propagated", "--color", "never")
	for _, want := range []string{
		"look under Domains > SMTP Authentication", "it is there, for less than an hour", "a number from 1 to",
		"told look-credentials: it is there, for less than an hour (5 explanations became 1)", "cause credential-not-live (relay-config)",
	} {
		if !strings.Contains(screen, want) {
			t.Errorf("no %q in\n%s", want, screen)
		}
	}
	if strings.Contains(screen, "cause credential-wrong") {
		t.Error("the answers did not narrow it down")
	}
}
