// Package cli is the command line of handoff: one file per subcommand, each
// reading its flags, calling the engine and handing the report to a writer.
//
// It decides exit codes and where output goes: data on stdout, progress and
// messages on stderr. It does not judge (package analyze does), speaks no SMTP
// (package probe does) and draws no screen (package tui does).
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
	"github.com/smtp-handoff/handoff/probe"
)

// program is one run of the command line. What it touches of the world stands
// in fields, so that tests can put their own there.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	now            func() time.Time
	flags          common
	started        bool // the command line was read without a mistake
	stdinUsed      string
	causes         string // folder of --causes
	pacer          probe.Pacer
}

// Run runs handoff with the arguments behind the program's name and returns
// the exit code. It never calls os.Exit.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	p := &program{
		stdin: stdin, stdout: stdout, stderr: &lockedWriter{w: stderr},
		getenv: os.Getenv, now: time.Now,
	}
	return p.main(ctx, args)
}

func (p *program) main(ctx context.Context, args []string) (code int) {
	root := p.root()
	name := root.Name()
	found, _, err := root.Find(args)
	// A mistake before the command's name is monitoring's all the same.
	monitoring := err == nil && found.Name() == "check" || found == root && slices.Contains(args, "check")
	defer func() {
		if v := recover(); v != nil {
			fmt.Fprintf(p.stderr, "handoff: internal fault: %s\n%s", report.Show(fmt.Sprint(v)), debug.Stack())
			code = exitBug
			if monitoring {
				fmt.Fprintln(p.stdout, "SMTP UNKNOWN - internal fault of the check itself, see its standard error")
				code = stateUnknown
			}
		}
	}()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The second Ctrl-C meets the system's default and ends at once.
	defer context.AfterFunc(ctx, stop)()

	root.SetArgs(args)
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if cmd != nil {
		name = cmd.CommandPath()
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = interrupted()
	}
	if monitoring {
		return p.concludeCheck(cmd, err)
	}
	return conclude(err, p.started, name, p.stderr)
}

// interrupted is what a command returns that had to stop half-way.
func interrupted() error { return fail(exitInterrupted, "interrupted") }

// root is the command tree.
func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "handoff",
		Short: "find out why mail does not get through an authenticated SMTP relay",
		Long: `handoff finds out whether a sending server handed a message off to its relay,
and if not, why: from a live probe, from a bounce message, from a transcript or
a mail log. It says what happened, which causes fit, what to do and who has to
do it. It knows the relay of Proofpoint Essentials (*.ppe-hosted.com) best.

Without a command it opens its screens; where there is no terminal it probes
the bundled reference relay and prints the answer as plain text.`,
		Example: `  handoff probe --bundled
  handoff probe outbound-us1.ppe-hosted.com --user U --password-file F --from A --to B
  handoff analyze bounce.eml
  handoff explain relay-access-denied`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return p.unknownCommand(cmd, args[0])
		},
		RunE: p.command(func(cmd *cobra.Command, _ []string) error { return p.firstRun(cmd.Context()) }),
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	root.Version = version()
	root.SetVersionTemplate("handoff {{.Version}}\n")
	p.flags.register(root.PersistentFlags())
	p.causesFlag(root.Flags())
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return p.prepare(cmd) }
	root.AddCommand(
		p.probeCommand(), p.analyzeCommand(), p.diagnoseCommand(), p.checkCommand(), p.relayCommand(), p.explainCommand(), p.redactCommand(), p.completionCommand(), p.manCommand(), p.versionCommand(),
	)
	root.AddCommand(p.exporterCommands()...)
	return root
}

// command wraps what a command does: from here on the command line was right.
func (p *program) command(run func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		p.started = true
		return run(cmd, args)
	}
}

func (p *program) unknownCommand(cmd *cobra.Command, arg string) error {
	var hints []string
	for _, s := range cmd.SuggestionsFor(arg) {
		hints = append(hints, fmt.Sprintf("did you mean '%s %s'?", cmd.CommandPath(), s))
	}
	if _, err := os.Stat(arg); err == nil {
		hints = append(hints, fmt.Sprintf("to read that file: 'handoff analyze %s'", arg))
	} else if strings.Contains(arg, ".") {
		hints = append(hints, fmt.Sprintf("to probe that host: 'handoff probe %s'", arg))
	}
	return usage(fmt.Sprintf("there is no command %q", arg), hints...)
}

// flagError says what is wrong with a flag without repeating what stood behind
// it: a password given as a flag must not be printed.
func flagError(cmd *cobra.Command, err error) error {
	var missing *pflag.NotExistError
	if errors.As(err, &missing) {
		name := missing.GetSpecifiedName()
		if group := missing.GetSpecifiedShortnames(); group != "" {
			if len(name) > 1 {
				name = name[:1]
			}
			return usage(fmt.Sprintf("there is no flag -%s here", name))
		}
		var hints []string
		if isSecretName(name) {
			return secretOnCommandLine(name)
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && near(name, f.Name) {
				hints = append(hints, "did you mean --"+f.Name+"?")
			}
		})
		return usage(fmt.Sprintf("there is no flag --%s here", name), hints...)
	}
	var value *pflag.InvalidValueError
	if errors.As(err, &value) {
		f := value.GetFlag()
		return usage(fmt.Sprintf("--%s does not take %q", f.Name, value.GetValue()), whatItIs(f))
	}
	var required *pflag.ValueRequiredError
	if errors.As(err, &required) {
		f := required.GetFlag()
		return usage(fmt.Sprintf("--%s needs a value", f.Name), whatItIs(f))
	}
	return usage("the flags cannot be read")
}

// whatItIs is a flag's line of the help as a hint.
func whatItIs(f *pflag.Flag) string {
	value, text := pflag.UnquoteUsage(f)
	if value != "" && !strings.Contains(text, value) {
		text = value + ": " + text
	}
	return "it is: " + text
}

// near tells names that differ by a slip of the fingers.
func near(a, b string) bool {
	if strings.HasPrefix(b, a) || strings.HasPrefix(a, b) && len(b) > 2 {
		return true
	}
	if letters(a) == letters(b) { // --prots
		return true
	}
	limit := 1 + len(b)/6
	return transcript.Distance(a, b, limit) <= limit
}

// letters sorts the bytes of a name.
func letters(s string) string {
	b := []byte(s)
	slices.Sort(b)
	return string(b)
}

// lockedWriter lets several goroutines write whole messages.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// say prints a message for people on stderr, unless -q.
func (p *program) say(format string, args ...any) {
	if !p.flags.quiet {
		p.warn(format, args...)
	}
}

// warn prints a message for people on stderr even under -q.
func (p *program) warn(format string, args ...any) {
	_, _ = io.WriteString(p.stderr, "handoff: "+report.Show(fmt.Sprintf(format, args...))+"\n")
}
