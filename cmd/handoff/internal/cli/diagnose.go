package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
)

// maxLogins bounds how often a diagnosis tries the credential, all tests
// together, so that nobody is locked out. After a refusal it is never tried
// again.
const maxLogins = 3

// maxQuestions bounds the dialogue; the catalogue has fewer tests.
const maxQuestions = 40

func (p *program) diagnoseCommand() *cobra.Command {
	f := &probeFlags{}
	var files, scenarios, known []string
	var seen string
	cmd := &cobra.Command{
		Use:   "diagnose [HOST|--bundled] [--file FILE] [flags]",
		Short: "narrow the causes down: read, probe, ask, until one is left",
		Long: `diagnose takes what you have: a bounce, a transcript or a log (--file, '-' is
standard input), a host to probe, or both about the same road. It finds every
cause that would have produced exactly this, does the harmless tests by itself,
asks only what it needs at a terminal, and ends with one cause, or with the
smallest honest set and who must be asked what. Who has nothing in hand says what
is seen (--seen), or is asked.

By itself it tries both ports of HOST, a --known-sender or the login's own name in
place of a sender that was refused, port 25 of the other region's host, and looks
names up. What a text states of sender and recipient need not be given again.

It never delivers a message, never sends a credential to another host, tries a
credential three times at most and not again after a refusal. With --no-input,
or without a terminal, it asks nothing: what nobody answered stays open, and the
next tests say who has to be asked what.

Exit code: 0 nothing is wrong, 1 causes were found, 3 none that is known fits.`,
		Example: `  handoff diagnose --file bounce.eml
  handoff diagnose outbound-us1.ppe-hosted.com --file bounce.eml --user U --password-file F
  handoff diagnose HOST --user U --password-file F --from new@customer.example \
      --to bob@example.org --known-sender alerts@customer.example
  handoff diagnose --file - --no-input --fact credential-age=20m < session.txt
  handoff diagnose --seen login-refused
  handoff diagnose --bundled --scenario user-not-live`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("diagnose takes one HOST; texts come in by --file")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				f.host = args[0]
			}
			asks := !p.flags.noInput && report.IsTerminal(p.stdin)
			if f.host == "" && !f.bundled && len(files) == 0 && seen == "" && !asks {
				return usage("diagnose needs a text (--file), a HOST to probe, or what is seen (--seen)")
			}
			told := findSymptom(seen)
			if told == nil && seen != "" {
				return usage(fmt.Sprintf("--seen does not take %q", seen), "it is one of "+symptomNames())
			}
			if f.host != "" && f.bundled {
				return usage("HOST and --bundled exclude each other")
			}
			if len(scenarios) > 0 && !f.bundled {
				return usage("--scenario needs --bundled")
			}
			if f.send || f.stopAfter == "data" {
				return usage("a diagnosis delivers nothing; --stop-after goes up to envelope")
			}
			for _, name := range files {
				if name == "-" {
					if err := p.useStdin("--file -"); err != nil {
						return err
					}
				} else if _, err := os.Stat(name); err != nil {
					return fail(exitNoInput, "no such file: "+name)
				}
			}
			if err := f.checkPorts(cmd); err != nil {
				return err
			}
			s := &diagnosis{p: p, known: known, in: bufio.NewReader(io.LimitReader(p.stdin, 64<<10)), told: told}
			end, err := s.prepare(cmd.Context(), f, scenarios, cmd.Flags().Changed("intent"))
			if err != nil {
				return err
			}
			defer end()
			s.ask = !p.flags.noInput && p.stdinUsed == "" && report.IsTerminal(p.stdin)
			if s.job == nil && len(files) == 0 && s.told == nil {
				if s.told = s.askSymptom(); s.told == nil {
					return usage("without a symptom there is nothing to begin with", "'handoff probe HOST' shows what the relay does; a bounce or a log goes in by --file")
				}
			}
			p.started = true
			return s.run(cmd.Context(), files)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringArrayVar(&files, "file", nil, "`FILE` with a bounce, log, transcript or report, '-' for standard input; repeatable")
	fs.StringVar(&seen, "seen", "", "`SYMPTOM` that is seen, where there is no text and no host: "+symptomNames())
	fs.BoolVar(&f.bundled, "bundled", false, "probe the bundled reference relay, in process, in place of HOST")
	fs.StringSliceVar(&scenarios, "scenario", nil, "with --bundled: `NAME` of a fault or cause to show; repeatable")
	fs.StringSliceVar(&known, "known-sender", nil, "`ADDRESS` that is known to send through the relay: tried where that tells causes apart; repeatable")
	f.register(fs, false)
	p.causesFlag(fs)
	return cmd
}

// prepare makes the job, if there is a host, and the options of every judgement.
// What it returns ends the bundled relay.
func (s *diagnosis) prepare(ctx context.Context, f *probeFlags, scenarios []string, intentGiven bool) (end func(), err error) {
	end = func() {}
	switch {
	case f.bundled:
		s.job, end, err = s.p.bundledJob(ctx, f, scenarios)
	case f.host != "":
		if err = checkHost(f.host); err == nil {
			s.job, err = s.p.job(ctx, f)
		}
	default:
		s.options = analyze.Options{RelayDomains: f.relayDomains, Facts: analyze.Facts{OurDomains: f.ourDomains}}
		if intentGiven {
			s.options.Facts.Intent = analyze.Intent(f.intent)
		}
		if s.options.Explainer, err = s.p.explainer(); err == nil {
			err = parseFacts(f.facts, &s.options.Facts)
		}
	}
	if err != nil || s.job == nil {
		return end, err
	}
	s.options = s.job.judge
	intentGiven = intentGiven || f.bundled || s.job.plan.Credential != nil ||
		slices.ContainsFunc(f.facts, func(fact string) bool { return strings.HasPrefix(fact, "intent=") })
	if !intentGiven {
		s.options.Facts.Intent = "" // a default is no fact
	}
	return end, nil
}
