package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smtp-handoff/handoff/cmd/handoff/internal/config"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
)

// common are the flags that every command has.
type common struct {
	format  string
	output  string
	color   string
	redact  string
	config  string
	noTUI   bool
	noInput bool
	quiet   bool
	verbose bool
}

func (c *common) register(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringVarP(&c.format, "format", "o", "text", "output format: text, json, jsonl, markdown, html, junit, sarif, prom or github")
	f.StringVar(&c.output, "output", "", "write the report to `FILE` (mode 0600, replaced whole) and not to stdout")
	f.StringVar(&c.color, "color", "auto", "colour of text: auto, always or never; auto heeds NO_COLOR, TERM=dumb and pipes")
	f.StringVar(&c.redact, "redact", "standard", "what is hidden: standard (secrets) or strict (secrets and personal data)")
	f.StringVar(&c.config, "config", "", "configuration `FILE`; flags come before HANDOFF_* variables, these before the file")
	f.BoolVar(&c.noTUI, "no-tui", false, "plain lines even on a terminal, for screen readers and scripts")
	f.BoolVar(&c.noInput, "no-input", false, "never ask anything")
	f.BoolVarP(&c.quiet, "quiet", "q", false, "only the verdict line, no messages")
	f.BoolVarP(&c.verbose, "verbose", "v", false, "more: TLS, capabilities and every step")
}

// prepare fills the flags that were not given from the environment and the
// configuration file, and checks the common ones, before any work.
func (p *program) prepare(cmd *cobra.Command) error {
	file, err := p.configFile(cmd)
	if err != nil {
		return err
	}
	if err := p.fill(cmd, file); err != nil {
		return err
	}
	if err := refuseSecrets(cmd.Flags()); err != nil {
		return err
	}
	oneOf := func(flag, value string, all ...string) error {
		if slices.Contains(all, value) {
			return nil
		}
		return usage(fmt.Sprintf("--%s does not take %q", flag, value), "it is one of "+strings.Join(all, ", "))
	}
	var formats []string
	for _, f := range report.Formats {
		formats = append(formats, string(f))
	}
	formats = append(formats, "prom")
	if p.flags.format == "md" {
		p.flags.format = "markdown"
	}
	if err := oneOf("format", p.flags.format, formats...); err != nil {
		return err
	}
	if err := oneOf("color", p.flags.color, "auto", "always", "never"); err != nil {
		return err
	}
	return oneOf("redact", p.flags.redact, "standard", "strict")
}

// configFile reads --config, HANDOFF_CONFIG or the user's own file. Only the
// last may be missing.
func (p *program) configFile(cmd *cobra.Command) (*config.File, error) {
	name, named := p.flags.config, cmd.Flags().Changed("config")
	if !named {
		if name = p.getenv("HANDOFF_CONFIG"); name != "" {
			named = true
		}
	}
	if !named {
		dir := p.getenv("XDG_CONFIG_HOME")
		if dir == "" {
			home := p.getenv("HOME")
			if home == "" {
				return nil, nil
			}
			dir = filepath.Join(home, ".config")
		}
		name = filepath.Join(dir, "handoff", "config.yaml")
		if _, err := os.Stat(name); err != nil {
			return nil, nil
		}
	}
	p.flags.config = name
	f, err := config.Load(name)
	if err != nil {
		if os.IsNotExist(err) {
			return nil, fail(exitNoInput, "no configuration file "+name)
		}
		return nil, fail(exitConfig, err.Error())
	}
	for _, w := range f.Warnings {
		p.warn("%s: %s", name, w)
	}
	for _, d := range f.DefaultNames() {
		if !anyFlag(cmd.Root(), d) {
			return nil, fail(exitConfig, fmt.Sprintf("%s: line %d: no command has a flag --%s", name, f.DefaultLine(d), d))
		}
	}
	return f, nil
}

// anyFlag reports whether a command, or one beneath it, has a flag that people
// may set by its long name.
func anyFlag(cmd *cobra.Command, name string) bool {
	for _, set := range []*pflag.FlagSet{cmd.Flags(), cmd.PersistentFlags()} {
		if f := set.Lookup(name); f != nil && !f.Hidden {
			return true
		}
	}
	return slices.ContainsFunc(cmd.Commands(), func(sub *cobra.Command) bool { return anyFlag(sub, name) })
}

// fill sets the flags that the command line left alone.
func (p *program) fill(cmd *cobra.Command, file *config.File) error {
	var err error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if err != nil || f.Changed || f.Hidden || f.Name == "help" || f.Name == "version" || f.Name == "config" {
			return
		}
		variable := "HANDOFF_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		where, values := variable, []string(nil)
		if v := p.getenv(variable); v != "" {
			values = []string{v}
		} else if file != nil {
			if values = file.Defaults[f.Name]; values != nil {
				where = fmt.Sprintf("line %d of the configuration file", file.DefaultLine(f.Name))
			}
		}
		for _, v := range values {
			if e := cmd.Flags().Set(f.Name, v); e != nil {
				err = fail(exitConfig, fmt.Sprintf("%s: --%s does not take %q", where, f.Name, v), whatItIs(f))
				return
			}
		}
	})
	return err
}

// secretFlags are names under which people may try to hand over a password. No
// such flag exists: other users of a machine see what stands on a command line.
var secretFlags = []string{"password", "pass", "passwd", "auth-password", "ap", "secret", "token", "credential", "pw"}

func isSecretName(name string) bool { return slices.Contains(secretFlags, name) }

// registerSecrets adds the names as hidden flags, so that their mistake gets an
// answer of its own that does not repeat the value.
func registerSecrets(f *pflag.FlagSet) {
	for _, name := range secretFlags {
		f.String(name, "", "")
		_ = f.MarkHidden(name)
	}
}

func refuseSecrets(f *pflag.FlagSet) error {
	for _, name := range secretFlags {
		if f.Changed(name) {
			return secretOnCommandLine(name)
		}
	}
	return nil
}

func secretOnCommandLine(name string) error {
	return usage("a secret never goes on the command line (--"+name+"): every user of this machine can read it there",
		"put it into a file of mode 0600 and use --password-file FILE",
		"or let a program tell it: --password-command 'pass show smtp'",
		"and change this password if others use this machine")
}
