package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
	"github.com/smtp-handoff/handoff/probe/relay"
)

// maxLogins bounds how often a diagnosis tries the credential, all tests
// together, so that nobody is locked out. After a refusal it is never tried
// again.
const maxLogins = 3

// maxQuestions bounds the dialogue; the catalogue has fewer tests.
const maxQuestions = 40

func (p *program) diagnoseCommand() *cobra.Command {
	f := &probeFlags{}
	var files, scenarios []string
	cmd := &cobra.Command{
		Use:   "diagnose [HOST|--bundled] [--file FILE] [flags]",
		Short: "narrow the causes down: read, probe, ask, until one is left",
		Long: `diagnose takes what you have: a bounce, a transcript or a log (--file, '-' is
standard input), a host to probe, or both about the same road. It finds every
cause that would have produced exactly this, does the harmless tests by itself,
asks only what it needs at a terminal, and ends with one cause, or with the
smallest honest set and who must be asked what.

It never delivers a message, never sends a credential to another host, tries a
credential three times at most and not again after a refusal. With --no-input,
or without a terminal, it asks nothing: what nobody answered stays open.

Exit code: 0 nothing is wrong, 1 causes were found, 3 none that is known fits.`,
		Example: `  handoff diagnose --file bounce.eml
  handoff diagnose outbound-us1.ppe-hosted.com --file bounce.eml --user U --password-file F
  handoff diagnose --file - --no-input --fact credential-age=20m < session.txt
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
			if f.host == "" && !f.bundled && len(files) == 0 {
				return usage("diagnose needs a text (--file) or a HOST to probe")
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
			s := &diagnosis{p: p, in: bufio.NewReader(io.LimitReader(p.stdin, 64<<10))}
			var err error
			switch {
			case f.bundled:
				var closeRelay func()
				if s.job, closeRelay, err = p.bundledJob(cmd.Context(), f, scenarios); err == nil {
					defer closeRelay()
				}
			case f.host != "":
				if err = checkHost(f.host); err == nil {
					s.job, err = p.job(cmd.Context(), f)
				}
			default:
				s.options.RelayDomains = f.relayDomains
				s.options.Facts.OurDomains = f.ourDomains
				if cmd.Flags().Changed("intent") {
					s.options.Facts.Intent = analyze.Intent(f.intent)
				}
				if s.options.Explainer, err = p.explainer(); err == nil {
					err = parseFacts(f.facts, &s.options.Facts)
				}
			}
			if err != nil {
				return err
			}
			if s.job != nil {
				s.options = s.job.judge
			}
			s.ask = !p.flags.noInput && p.stdinUsed == "" && report.IsTerminal(p.stdin)
			p.started = true
			return s.run(cmd.Context(), files)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringArrayVar(&files, "file", nil, "`FILE` with a bounce, log, transcript or report, '-' for standard input; repeatable")
	fs.BoolVar(&f.bundled, "bundled", false, "probe the bundled reference relay, in process, in place of HOST")
	fs.StringSliceVar(&scenarios, "scenario", nil, "with --bundled: `NAME` of a fault or cause to show; repeatable")
	f.register(fs, false)
	p.causesFlag(fs)
	return cmd
}

// diagnosis is one run of the command.
type diagnosis struct {
	p        *program
	job      *job // nil: there is no host to try things at
	options  analyze.Options
	in       *bufio.Reader
	ask      bool
	base     *analyze.Report // what the narrowed causes are put into
	obs      []analyze.Observation
	aside    int // observations that are of another road
	logins   int
	refused  bool // the credential was: it is not tried again
	said     []string
	leftOpen []analyze.CatalogueTest
}

func (s *diagnosis) run(ctx context.Context, files []string) error {
	out, err := s.p.openReports(false, "", s.options.RelayDomains)
	if err != nil {
		return err
	}
	defer out.sink.discard()
	for _, name := range files {
		if err := s.read(name); err != nil {
			return err
		}
	}
	if s.job != nil {
		if err := s.first(ctx); err != nil {
			return err
		}
	}
	var d *analyze.Diagnosis
	if len(s.obs) > 0 && s.base.Verdict.Status != analyze.OK {
		d = s.options.NewDiagnosis(s.obs)
		s.narrow(ctx, d)
	}
	s.conclude(d)
	for _, line := range s.said {
		s.p.say("%s", line)
	}
	if err := out.write(s.base, nil); err != nil {
		return err
	}
	if err := out.close(); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return interrupted()
	case d != nil && len(s.base.Causes) == 0:
		return ended(exitInconclusive)
	}
	return result(out.code)
}

// read takes what a text shows.
func (s *diagnosis) read(name string) error {
	in := s.p.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return fail(exitNoInput, "cannot open "+name)
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxReport))
	if err != nil {
		return fail(exitNoInput, "cannot read "+name)
	}
	o := s.options
	o.Source = name
	r := analyze.Analyze(raw, o)
	if s.base == nil {
		s.base = r
	}
	s.take(analyze.ObserveText(raw, o))
	return nil
}

// take adds observations that one cause can explain together with those before.
// What cannot be explained together is of another road, or of another mail.
func (s *diagnosis) take(all []analyze.Observation) {
	for _, o := range all {
		if len(s.obs) > 0 {
			e := s.options.Explain(append(slices.Clone(s.obs), o))
			if e.Empty() {
				s.aside++
				continue
			}
		}
		s.obs = append(s.obs, o)
	}
}

// first probes as the flags say.
func (s *diagnosis) first(ctx context.Context) error {
	s.p.announce(s.job)
	rep, res, err := s.p.runJob(ctx, s.job)
	if err != nil {
		return usage(strings.TrimPrefix(err.Error(), "probe: "))
	}
	s.count(rep)
	if s.base == nil || s.base.Verdict.Status == analyze.Inconclusive {
		s.base = rep
	}
	if rep.Verdict.Status != analyze.Inconclusive || len(s.obs) == 0 {
		s.take(analyze.ObserveProbe(judged(s.job, res), s.options))
	}
	return nil
}

// count notes how often the credential was tried, and whether it was refused.
func (s *diagnosis) count(rep *analyze.Report) {
	for i := range rep.Sessions {
		for _, st := range rep.Sessions[i].Steps {
			if st.Stage == string(transcript.StageAuth) && st.Status != "skipped" {
				s.logins++
				s.refused = s.refused || st.Status == "refused"
				break
			}
		}
	}
}

// narrow does tests until one explanation is left or none splits the rest.
func (s *diagnosis) narrow(ctx context.Context, d *analyze.Diagnosis) {
	for range maxQuestions {
		t, ok := d.Next()
		if !ok || ctx.Err() != nil {
			return
		}
		before := len(d.Explanation().Sets)
		var done bool
		if t.Probe != nil && s.can(t.Probe) {
			done = s.try(ctx, d, t)
		} else if s.ask {
			done = s.question(d, t)
		}
		if !done {
			_ = d.Skip(t.ID)
			s.leftOpen = append(s.leftOpen, t)
			continue
		}
		steps := d.Steps()
		last := steps[len(steps)-1]
		s.said = append(s.said, fmt.Sprintf("%s: %s; %d explanations became %d", last.Test, last.Shown, before, last.After))
	}
}

// can tells the tests that are harmless and possible from here: not another
// host with the credential, not another network, not in an hour.
func (s *diagnosis) can(t *analyze.TestProbe) bool {
	j := s.job
	if j == nil || t.OtherRegion || t.Elsewhere || t.RightName || t.After > 0 || t.Sender != "" || len(j.plan.To) == 0 {
		return false
	}
	if t.Auth && (j.plan.Credential == nil || s.refused || s.logins >= maxLogins) {
		return false
	}
	return t.Port == relay.PortServer || t.Port == relay.PortAuth
}

// try makes a test of the catalogue by itself.
func (s *diagnosis) try(ctx context.Context, d *analyze.Diagnosis, t analyze.CatalogueTest) bool {
	j := *s.job
	j.noSurvey = true
	j.target.Ports = []int{t.Probe.Port}
	connect := map[int]string{}
	if a := s.job.target.Connect[t.Probe.Port]; a != "" {
		connect[t.Probe.Port] = a
	}
	j.target.Connect = connect
	if !t.Probe.Auth {
		j.plan.Credential = nil
	}
	j.intent = analyze.IntentAuth
	if t.Probe.Port == relay.PortServer {
		j.intent = analyze.IntentServer
	}
	s.p.say("trying %s", t.ID)
	rep, res, err := s.p.runJob(ctx, &j)
	if err != nil {
		return false
	}
	s.count(rep)
	seen := analyze.ObserveProbe(judged(&j, res), s.options)
	if len(seen) == 0 || seen[0].Verdict == analyze.InsufficientEvidence {
		return false
	}
	return d.Observe(t.ID, seen[0]) == nil
}

// question asks for what a look shows; an empty answer leaves it open.
func (s *diagnosis) question(d *analyze.Diagnosis, t analyze.CatalogueTest) bool {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s (%s, %s)\n", report.Show(t.Do), orElse(t.Who, "anybody"), orElse(t.Cost, "no cost"))
	for i, x := range t.Shows {
		fmt.Fprintf(&b, "  %d  %s\n", i+1, report.Show(x.Show))
	}
	for range 3 {
		fmt.Fprintf(s.p.stderr, "%sWhich number, empty if nobody knows: ", b.String())
		b.Reset()
		line, err := s.in.ReadString('\n')
		line = strings.TrimSpace(line)
		if line == "" {
			if err != nil {
				s.ask = false
			}
			return false
		}
		if n, convErr := strconv.Atoi(line); convErr == nil && n >= 1 && n <= len(t.Shows) {
			return d.Answer(t.ID, t.Shows[n-1].Show) == nil
		}
		fmt.Fprintf(&b, "a number from 1 to %d; ", len(t.Shows))
	}
	return false
}

// conclude puts what is left into the report.
func (s *diagnosis) conclude(d *analyze.Diagnosis) {
	if d == nil {
		return
	}
	r := s.base
	e := d.Explanation()
	r.Causes = e.Causes()
	for i := range r.Outcomes {
		r.Outcomes[i].Causes = nil
	}
	for i := range r.Sessions {
		r.Sessions[i].Causes = nil
	}
	r.NextTests = []analyze.NextTest{}
	for _, t := range s.leftOpen {
		r.NextTests = append(r.NextTests, t.NextTest)
		if len(r.NextTests) == 3 {
			break
		}
	}
	switch {
	case len(e.Sets) == 1 && len(r.Causes) == 1:
		r.Verdict.Next = fmt.Sprintf("%s: %s", r.Causes[0].Who, r.Causes[0].Fix)
	case e.Empty():
		r.Verdict.Next = "unknown: no cause that is known explains this; send the sending server's SMTP log"
	case len(s.leftOpen) > 0:
		r.Verdict.Next = fmt.Sprintf("%s: %s", orElse(s.leftOpen[0].Who, "unknown"), s.leftOpen[0].Do)
	}
	if s.aside > 0 {
		s.said = append(s.said, fmt.Sprintf("%d outcomes were set aside: no one cause explains them together with the others", s.aside))
	}
	if !e.Empty() {
		s.said = append(s.said, fmt.Sprintf("left: %s", strings.Join(e.IDs(), ", ")))
	}
}
