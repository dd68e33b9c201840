package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
)

// The exit codes of the contract. 2 is never ours outside check: a Go panic
// and the flag package use it.
const (
	exitOK           = 0   // nothing wrong
	exitProblem      = 1   // a problem was found
	exitInconclusive = 3   // neither could be shown
	exitUsage        = 64  // the command line is wrong
	exitData         = 65  // the input is unreadable as anything
	exitNoInput      = 66  // no such file
	exitBug          = 70  // our own fault
	exitConfig       = 78  // the configuration is wrong
	exitInterrupted  = 130 // Ctrl-C, SIGTERM
)

// failure is an error that ends the program: what is wrong, what to do about
// it, and the exit code. A problem that a probe or a text shows is no failure.
type failure struct {
	code  int
	text  string
	hints []string
}

func (f *failure) Error() string { return f.text }

// fail makes a failure; text is lower case and without a full stop.
func fail(code int, text string, hints ...string) *failure {
	return &failure{code, text, hints}
}

// usage is a failure of the command line.
func usage(text string, hints ...string) *failure { return fail(exitUsage, text, hints...) }

// ended is how a command says its exit code when all has been said already.
type ended int

func (e ended) Error() string { return fmt.Sprintf("ended with code %d", int(e)) }

// result is nil for 0.
func result(code int) error {
	if code == exitOK {
		return nil
	}
	return ended(code)
}

// conclude prints what is to be said about err and gives the exit code. Errors
// that are neither a failure nor ended come from reading the command line when
// started is false, and are our own fault else.
func conclude(err error, started bool, name string, stderr io.Writer) int {
	if err == nil {
		return exitOK
	}
	var e ended
	if errors.As(err, &e) {
		return int(e)
	}
	var f *failure
	if !errors.As(err, &f) {
		if started {
			f = fail(exitBug, "internal fault: "+err.Error(), "please report this with the command that shows it")
		} else {
			f = usage(err.Error())
		}
	}
	hints := f.hints
	if f.code == exitUsage {
		hints = append(hints, fmt.Sprintf("'%s --help' shows the usage", name))
	}
	var b strings.Builder
	text := report.Show(f.text)
	if f.code == exitConfig { // a mistake a line
		lines := strings.Split(f.text, "\n")
		for i := range lines {
			lines[i] = report.Show(lines[i])
		}
		text = strings.Join(lines, "\n")
	}
	fmt.Fprintf(&b, "handoff: %s\n", text)
	for _, h := range hints {
		fmt.Fprintf(&b, "  hint: %s\n", report.Show(h))
	}
	_, _ = io.WriteString(stderr, b.String())
	return f.code
}
