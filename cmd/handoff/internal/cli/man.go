package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (p *program) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "man",
		Short:   "print the manual page (roff)",
		Example: "  handoff man | man -l -\n  handoff man > /usr/local/share/man/man1/handoff.1",
		Args:    noArguments,
		RunE: p.command(func(cmd *cobra.Command, _ []string) error {
			var b strings.Builder
			writeManual(&b, cmd.Root())
			if _, err := io.WriteString(p.stdout, b.String()); err != nil {
				return cannotWrite(err)
			}
			return nil
		}),
	}
}

// exitRows are the exit codes, and beside the ones that a swaks user knows.
var exitRows = [][2]string{
	{"0", "nothing wrong: the probe is ready as intended, the text shows no failure"},
	{"1", "a problem was found"},
	{"3", "inconclusive: the text or the run does not say"},
	{"64", "usage: the command line is wrong"},
	{"65", "the input is unreadable as anything"},
	{"66", "no such file"},
	{"70", "a fault of handoff itself"},
	{"78", "the configuration is wrong"},
	{"130", "interrupted"},
}

// swaksRows tell which stage of ours each exit code of swaks means.
var swaksRows = [][2]string{
	{"2", "connect"},
	{"21", "greet"},
	{"22", "ehlo"},
	{"23", "envelope (MAIL)"},
	{"24", "envelope (RCPT)"},
	{"25, 26", "data"},
	{"28", "auth"},
	{"29", "tls"},
}

// writeManual writes one page of all commands. It carries no date and no host
// name: the same program gives the same bytes.
func writeManual(w io.Writer, root *cobra.Command) {
	f := func(format string, args ...any) { fmt.Fprintf(w, format, args...) }
	f(".TH HANDOFF 1 \"\" \"handoff\" \"User commands\"\n")
	f(".SH NAME\nhandoff \\- %s\n", roff(root.Short))
	f(".SH SYNOPSIS\n")
	for i, c := range append([]*cobra.Command{root}, visible(root)...) {
		if i > 0 {
			f(".br\n")
		}
		use := c.UseLine()
		name, rest, _ := strings.Cut(use, " ")
		if c != root {
			sub, more, _ := strings.Cut(rest, " ")
			name, rest = name+" "+sub, more
		}
		f(".B %s\n", roff(name))
		if rest != "" {
			f("%s\n", roff(rest))
		}
	}
	f(".SH DESCRIPTION\n%s", paragraphs(root.Long))
	f(".SH COMMANDS\n")
	for _, c := range visible(root) {
		f(".SS %s\n", roff(c.CommandPath()))
		f("%s", paragraphs(either(c.Long, c.Short)))
		manualFlags(f, c.LocalNonPersistentFlags())
		for _, sub := range visible(c) {
			f(".PP\n.B %s\n.br\n%s", roff(sub.UseLine()), paragraphs(either(sub.Long, sub.Short)))
			manualFlags(f, sub.LocalNonPersistentFlags())
		}
		if c.Example != "" {
			f(".PP\nExamples:\n.PP\n.nf\n.RS\n%s\n.RE\n.fi\n", roff(unindent(c.Example)))
		}
	}
	f(".SH COMMON OPTIONS\n")
	manualFlags(f, root.PersistentFlags())
	f(".SH EXIT STATUS\n")
	for _, r := range exitRows {
		f(".TP\n.B %s\n%s\n", r[0], roff(r[1]))
	}
	f(".PP\n.B handoff check\nalone uses 0, 1, 2 and 3 for OK, WARNING, CRITICAL and UNKNOWN.\n")
	f(".PP\nExit codes of swaks(1) and the stage they name here:\n")
	for _, r := range swaksRows {
		f(".TP\n.B %s\n%s\n", r[0], roff(r[1]))
	}
	f(".SH ENVIRONMENT\n.TP\n.B HANDOFF_*\nthe value of a flag that was not given, as HANDOFF_TIMEOUT for \\-\\-timeout; there is none for a password\n")
	f(".TP\n.B HANDOFF_CONFIG\nthe configuration file\n.TP\n.B NO_COLOR, TERM\nno colour when NO_COLOR is not empty or TERM is dumb\n")
	f(".SH FILES\n.TP\n.B $XDG_CONFIG_HOME/handoff/config.yaml\nthe configuration file when none is named\n")
	f(".SH SEE ALSO\nswaks(1), openssl(1), postfix(1)\n")
}

func visible(c *cobra.Command) []*cobra.Command {
	var out []*cobra.Command
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" {
			out = append(out, sub)
		}
	}
	return out
}

func manualFlags(f func(string, ...any), flags *pflag.FlagSet) {
	flags.VisitAll(func(x *pflag.Flag) {
		if x.Hidden || x.Name == "help" {
			return
		}
		value, text := pflag.UnquoteUsage(x)
		f(".TP\n.B ")
		if x.Shorthand != "" {
			f("\\-%s, ", x.Shorthand)
		}
		f("\\-\\-%s", roff(x.Name))
		if value != "" {
			f(" %s", roff(value))
		}
		f("\n%s", roff(text))
		if x.DefValue != "" && x.DefValue != "false" && x.DefValue != "[]" && x.DefValue != "0" && x.DefValue != "0s" {
			f(" (default %s)", roff(x.DefValue))
		}
		f("\n")
	})
}

// paragraphs turns blank lines into .PP and indented blocks into literal text.
func paragraphs(s string) string {
	var b strings.Builder
	for i, block := range strings.Split(strings.TrimSpace(s), "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		if strings.HasPrefix(block, "  ") {
			fmt.Fprintf(&b, ".nf\n.RS\n%s\n.RE\n.fi\n", roff(unindent(block)))
			continue
		}
		b.WriteString(roff(block) + "\n")
	}
	return b.String()
}

func unindent(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(l, "  ")
	}
	return strings.Join(lines, "\n")
}

// roff escapes what troff would read as a request or an escape.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, `"`, `\(dq`).Replace(s)
	var b strings.Builder
	for _, r := range s {
		if r < 0x80 {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\[u%04X]`, r)
		}
	}
	lines := strings.Split(b.String(), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
