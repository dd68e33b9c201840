package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/config"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
)

// The states of a monitoring plugin, which are the exit codes of 'handoff
// check' and of no other command.
const (
	stateOK = iota
	stateWarning
	stateCritical
	stateUnknown
)

var stateNames = [...]string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}

// worseState orders them as plugins do when they join several: CRITICAL before
// WARNING before UNKNOWN before OK.
func worseState(a, b int) int {
	rank := [...]int{stateOK: 0, stateUnknown: 1, stateWarning: 2, stateCritical: 3}
	if rank[b] > rank[a] {
		return b
	}
	return a
}

// checkFlags are the flags of a plugin beside the probe's.
type checkFlags struct {
	host                      string
	timeout                   string
	warning, critical         string
	certWarning, certCritical string
	verbose                   int
	version                   bool
	bundled                   bool
	scenarios                 []string
	since                     string
}

func (p *program) checkCommand() *cobra.Command {
	c, f := &checkFlags{}, &probeFlags{}
	cmd := &cobra.Command{
		Use:   "check -H HOST [flags]",
		Short: "the same probe as a monitoring plugin (exit codes 0, 1, 2, 3)",
		Long: `check probes like 'handoff probe' and answers as monitoring plugins do: one
status line with perfdata, exit code 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.

  OK        ready as intended; the documented refusal on 25 under --intent auth
  WARNING   deferred (4xx), a finding of severity warning, or a threshold
  CRITICAL  refused, handshake failed or unreachable: the mail does not flow
  UNKNOWN   our own limit -t (the stage is named), a usage error, --help,
            --version, and any fault of the check itself

Perfdata: p587_total, p587_STAGE and the like in seconds, cert_days. -w and -c
are ranges over the total of the session that the intent needs; --cert-warning
and --cert-critical are ranges over the days that the certificate is still
valid. Nothing is delivered.

--config F checks every target of a configuration file, each within -t,
and prints a verdict each; the exit code is the worst. --since FILE remembers
this run and says what has changed since the last one.`,
		Example: `  handoff check -H outbound-us1.ppe-hosted.com
  handoff check -H outbound-us1.ppe-hosted.com --user U --password-file F -w 5 -c 10 -t 30
  handoff check --config /etc/handoff/config.yaml --since /var/lib/handoff/last.json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("a check takes no positional arguments", "the host is -H HOST")
			}
			if cmd.Flags().Changed("format") && !p.reportsBeside() {
				return usage("a check's standard output is its status line", "add --output FILE: the report goes there in that format, beside the status line")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if c.version {
				fmt.Fprintf(p.stdout, "handoff check %s\n", version())
				return ended(stateUnknown)
			}
			if cmd.Flags().Changed("config") {
				if c.host != "" {
					return usage("--config and -H exclude each other")
				}
				return p.command(func(cmd *cobra.Command, _ []string) error { return p.checkAll(cmd.Context(), c) })(cmd, args)
			}
			limits, err := c.limits()
			if err != nil {
				return err
			}
			if err := f.checkPorts(cmd); err != nil {
				return err
			}
			f.deadline, f.noNames = limits.deadline, true
			f.timeout = min(f.timeout, limits.deadline)
			f.host = c.host
			switch {
			case c.bundled && c.host != "":
				return usage("-H and --bundled exclude each other")
			case !c.bundled && c.host == "":
				return usage("a check needs the host: -H HOST")
			case f.stopAfter == "data" || f.send:
				return usage("a check delivers nothing; --stop-after goes up to envelope")
			case !c.bundled:
				if err := checkHost(c.host); err != nil {
					return err
				}
			}
			p.started, p.flags.quiet = true, true
			return p.within(cmd.Context(), limits.deadline, func(ctx context.Context) (string, int, error) {
				j, done, err := p.checkJob(ctx, f, c)
				if err != nil {
					return "", 0, err
				}
				defer done()
				return p.check(ctx, j, limits, c)
			})
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVarP(&c.host, "hostname", "H", "", "`HOST` to check")
	fs.StringVarP(&c.timeout, "timeout", "t", "30", "`SECONDS` for the whole check, then UNKNOWN")
	fs.StringVarP(&c.warning, "warning", "w", "", "`RANGE` of seconds of the whole session, else WARNING")
	fs.StringVarP(&c.critical, "critical", "c", "", "`RANGE` of seconds of the whole session, else CRITICAL")
	fs.StringVar(&c.certWarning, "cert-warning", "14:", "`RANGE` of days the certificate is still valid, else WARNING")
	fs.StringVar(&c.certCritical, "cert-critical", "7:", "`RANGE` of days the certificate is still valid, else CRITICAL")
	fs.CountVarP(&c.verbose, "verbose", "v", "more: -v steps, -vv replies, -vvv the dialogue")
	fs.BoolVarP(&c.version, "version", "V", false, "print the version (exit code 3, as plugins do)")
	fs.StringVar(&c.since, "since", "", "`FILE` that remembers the last run; says what has changed")
	fs.BoolVar(&c.bundled, "bundled", false, "check the bundled reference relay")
	fs.StringSliceVar(&c.scenarios, "scenario", nil, "with --bundled: `NAME` of a fault to show; repeatable")
	f.register(fs, true)
	p.causesFlag(fs)
	return cmd
}

// checkJob makes the probe of a check; done ends what it started.
func (p *program) checkJob(ctx context.Context, f *probeFlags, c *checkFlags) (j *job, done func(), err error) {
	if c.bundled {
		return p.bundledJob(ctx, f, c.scenarios)
	}
	j, err = p.job(ctx, f)
	return j, func() {}, err
}

// connectPatience is the patience with a TCP connection within a limited run. A
// system that is there answers the first packet in no time, so one that has not
// when most of the run is over is unreachable, and that is told before the run's
// own limit hides it. A server that is slow to speak may still do so (RFC 5321
// section 4.5.3.2.1 gives the greeting five minutes): there the limit is ours.
func connectPatience(step, run time.Duration) time.Duration { return min(step, run*4/5) }

// maxTimeout bounds -t.
const maxTimeout = 24 * time.Hour

// grace is what a check may take beyond its limit to say what it knows.
const grace = time.Second

// within runs a check and writes what it says. A check that does not end in time
// by itself, as one that waits for a password, is left behind: monitoring has to
// have its answer.
func (p *program) within(ctx context.Context, limit time.Duration, do func(context.Context) (text string, state int, err error)) error {
	type end struct {
		text  string
		state int
		err   error
		fault any
	}
	parent := ctx
	ctx, cancel := context.WithTimeout(parent, limit+grace/2)
	defer cancel()
	over := make(chan end, 1)
	go func() {
		var e end
		defer func() {
			e.fault = recover()
			over <- e
		}()
		e.text, e.state, e.err = do(ctx)
	}()
	late := time.NewTimer(limit + grace)
	defer late.Stop()
	defer context.AfterFunc(parent, func() { late.Reset(grace) })()
	select {
	case e := <-over:
		switch {
		case e.fault != nil:
			panic(e.fault)
		case e.err != nil:
			return e.err
		}
		if _, err := io.WriteString(p.stdout, e.text); err != nil {
			return result(stateUnknown)
		}
		return result(e.state)
	case <-late.C:
		if parent.Err() != nil {
			return interrupted()
		}
		return fail(exitBug, fmt.Sprintf("no answer within %s s: the check itself did not end", formatSeconds(limit.Seconds())))
	}
}

// checkLimits are the thresholds of one check.
type checkLimits struct {
	deadline                  time.Duration
	warning, critical         config.Threshold
	certWarning, certCritical config.Threshold
}

func (c *checkFlags) limits() (checkLimits, error) {
	var l checkLimits
	d, err := time.ParseDuration(c.timeout)
	if seconds, e := strconv.ParseFloat(c.timeout, 64); e == nil && seconds > 0 && seconds <= maxTimeout.Seconds() {
		d, err = time.Duration(seconds*float64(time.Second)), nil
	}
	if err != nil || d <= 0 || d > maxTimeout {
		return l, usage(fmt.Sprintf("-t does not take %q", c.timeout), "it is a number of seconds above 0, a day at most")
	}
	l.deadline = d
	for _, x := range []struct {
		flag, text string
		to         *config.Threshold
	}{
		{"-w", c.warning, &l.warning},
		{"-c", c.critical, &l.critical},
		{"--cert-warning", c.certWarning, &l.certWarning},
		{"--cert-critical", c.certCritical, &l.certCritical},
	} {
		if *x.to, err = config.ParseThreshold(x.text); err != nil {
			return l, usage(x.flag + ": " + err.Error())
		}
	}
	return l, nil
}

// checked is the outcome of one check.
type checked struct {
	name  string
	state int
	text  string
	perf  []string
	rep   *analyze.Report // nil: there was none
	lines report.Lines    // of its evidence

	relayDomains []string
}

// reportsBeside tells whether the run's reports go to a file too.
func (p *program) reportsBeside() bool { return p.flags.output != "" && p.flags.output != "-" }

// writeBeside writes the reports of a run to the file of --output.
func (p *program) writeBeside(results []checked) error {
	if !p.reportsBeside() {
		return nil
	}
	p.flags.quiet = false // that was for the probes
	out, err := p.openReports(len(results) > 1, "", results[0].relayDomains)
	if err != nil {
		return err
	}
	defer out.sink.discard()
	for i := range results {
		if r := &results[i]; r.rep != nil {
			if err := out.write(r.rep, r.lines); err != nil {
				return err
			}
		}
	}
	return out.close()
}

func (p *program) check(ctx context.Context, j *job, l checkLimits, c *checkFlags) (text string, state int, err error) {
	j.options.Observe = nil
	j.options.Connect = connectPatience(j.options.Timeout, l.deadline)
	r, res, err := p.checkOne(ctx, j, l)
	if err != nil {
		return "", 0, err
	}
	if c.since != "" {
		note, err := p.since(c.since, []checked{*r})
		if err != nil {
			return "", 0, err
		}
		r.text += "; " + note
	}
	if err := p.writeBeside([]checked{*r}); err != nil {
		return "", 0, err
	}
	var b strings.Builder
	b.WriteString(pluginLine(r.state, r.text, r.perf))
	if c.verbose > 0 {
		for i := range r.rep.Sessions {
			s := &r.rep.Sessions[i]
			for k := range s.Steps {
				st := &s.Steps[k]
				line := fmt.Sprintf("port %d %s: %s, %.3f s", s.Port, strings.TrimSpace(st.Stage+" "+firstWord(st.Command)), st.Status, st.TookMS/1000)
				if c.verbose > 1 && st.Reply != nil {
					line += fmt.Sprintf(", %d", st.Reply.Code)
					for _, part := range []string{st.Reply.Enhanced, st.Reply.Text} {
						if part != "" {
							line += " " + part
						}
					}
				}
				b.WriteString(perfText(line) + "\n")
			}
		}
		for i := range r.rep.Findings {
			f := &r.rep.Findings[i]
			expected := ""
			if f.Expected {
				expected = ", expected"
			}
			b.WriteString(perfText(fmt.Sprintf("finding %s (%s%s): %s", f.ID, f.Severity, expected, f.Title)) + "\n")
		}
	}
	if c.verbose > 2 {
		for i := range res {
			for _, line := range strings.Split(strings.TrimRight(res[i], "\n"), "\n") {
				b.WriteString(perfText(line) + "\n")
			}
		}
	}
	return b.String(), r.state, nil
}

// pluginLine is the status line: service, state, text and perfdata.
func pluginLine(state int, text string, perf []string) string {
	line := fmt.Sprintf("SMTP %s - %s", stateNames[state], perfText(text))
	if len(perf) > 0 {
		line += " | " + strings.Join(perf, " ")
	}
	return line + "\n"
}

// checkOne runs a check; the strings are its transcripts.
func (p *program) checkOne(ctx context.Context, j *job, l checkLimits) (*checked, []string, error) {
	rep, res, err := p.runJob(ctx, j)
	if err != nil {
		return nil, nil, usage(strings.TrimPrefix(err.Error(), "probe: "))
	}
	var transcripts []string
	for i := range res.Sessions {
		transcripts = append(transcripts, transcriptText(&res.Sessions[i]))
	}
	r := judgeCheck(rep, j, l, p.now())
	r.lines, r.relayDomains = sessionLines(res.Sessions), j.judge.RelayDomains
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, nil, interrupted()
	}
	return r, transcripts, nil
}

// judgeCheck turns a report into a state, a text and perfdata.
func judgeCheck(rep *analyze.Report, j *job, l checkLimits, now time.Time) *checked {
	r := &checked{name: j.target.Host, rep: rep, state: verdictState(rep.Verdict.Code)}
	r.text = fmt.Sprintf("%s: %s", rep.Verdict.Code, rep.Verdict.Headline)
	if rep.Verdict.Code == analyze.Ready {
		r.text = cmp.Or(rep.Verdict.Headline, "ready")
	}
	var more []string
	for i := range rep.Findings {
		f := &rep.Findings[i]
		if f.Expected {
			continue
		}
		switch f.Severity {
		case analyze.Error:
			if r.state == stateOK || r.state == stateWarning {
				more = append(more, f.Title)
			}
			if r.state != stateUnknown {
				r.state = worseState(r.state, stateCritical)
			}
		case analyze.Warning:
			if r.state == stateOK {
				more = append(more, f.Title)
			}
			if r.state != stateUnknown {
				r.state = worseState(r.state, stateWarning)
			}
		}
	}
	limit := formatSeconds(l.deadline.Seconds())
	days := math.Inf(1)
	for i := range rep.Sessions {
		s := &rep.Sessions[i]
		needed := neededPort(j, s.Port)
		var total float64
		var rows []string
		for _, c := range report.Cells(s) {
			if c.Status == "skipped" || c.Status == "not tried" {
				continue
			}
			total += c.TookMS / 1000
			rows = append(rows, fmt.Sprintf("'p%d_%s'=%ss;;;0", s.Port, c.Stage, formatSeconds(c.TookMS/1000)))
		}
		// Several addresses of one port: the first is the one that answered.
		if i > 0 && rep.Sessions[i-1].Port == s.Port {
			continue
		}
		w, c, maximum := "", "", ""
		if needed {
			w, c, maximum = l.warning.String(), l.critical.String(), ";"+limit
			switch {
			case l.critical.Alerts(total):
				r.state = worseState(r.state, stateCritical)
				more = append(more, fmt.Sprintf("%d took %ss, %s", s.Port, formatSeconds(total), l.critical.Breach()))
			case l.warning.Alerts(total):
				r.state = worseState(r.state, stateWarning)
				more = append(more, fmt.Sprintf("%d took %ss, %s", s.Port, formatSeconds(total), l.warning.Breach()))
			}
		}
		r.perf = append(r.perf, fmt.Sprintf("'p%d_total'=%ss;%s;%s;0%s", s.Port, formatSeconds(total), w, c, maximum))
		r.perf = append(r.perf, rows...)
		if t, err := time.Parse(time.RFC3339, cmp.Or(s.TLS.Earliest, s.TLS.NotAfter)); err == nil {
			days = min(days, math.Floor(t.Sub(now).Hours()/24))
		}
	}
	if !math.IsInf(days, 1) {
		r.perf = append(r.perf, fmt.Sprintf("'cert_days'=%d;%s;%s;;", int(days), l.certWarning, l.certCritical))
		switch {
		case l.certCritical.Alerts(days):
			r.state = worseState(r.state, stateCritical)
			more = append(more, certText(int(days)))
		case l.certWarning.Alerts(days):
			r.state = worseState(r.state, stateWarning)
			more = append(more, certText(int(days)))
		}
	}
	if rep.Partial && rep.Verdict.Code != analyze.Ready && rep.Verdict.Status == analyze.Inconclusive {
		r.text = fmt.Sprintf("no answer within %s s, at stage %s", limit, openStage(rep, j))
	}
	if len(more) > 0 {
		r.text += "; " + strings.Join(more, "; ")
	}
	return r
}

func certText(days int) string {
	if days < 0 {
		return "the certificate has run out"
	}
	return fmt.Sprintf("the certificate is valid for %d more days", days)
}

// neededPort tells whether the intent needs the session on a port.
func neededPort(j *job, port int) bool {
	switch j.intent {
	case analyze.IntentServer:
		return port == 25
	case analyze.IntentBoth:
		return true
	}
	return port != 25
}

// openStage is the stage that the session was in when the time was up: the one
// behind those that were passed, in the session that the intent needs.
func openStage(rep *analyze.Report, j *job) string {
	for i := range rep.Sessions {
		s := &rep.Sessions[i]
		if !neededPort(j, s.Port) || s.Verdict == analyze.Ready {
			continue
		}
		stage := s.Stage
		for _, c := range report.Cells(s) {
			if c.Step != nil && c.Status != "ok" {
				stage = c.Stage
				break
			}
		}
		return fmt.Sprintf("%s of port %d", stage, s.Port)
	}
	return string(transcript.StageNotAttempted)
}

func verdictState(v analyze.Verdict) int {
	switch v {
	case analyze.Ready, analyze.NotAFailure:
		return stateOK
	case analyze.Deferred:
		return stateWarning
	case analyze.InsufficientEvidence, "":
		return stateUnknown
	}
	return stateCritical
}

// formatSeconds writes a number without an exponent.
func formatSeconds(s float64) string {
	t := strconv.FormatFloat(s, 'f', 6, 64)
	return strings.TrimSuffix(strings.TrimRight(t, "0"), ".")
}

// perfText makes text fit for the part before the perfdata: one line, no bar.
func perfText(s string) string { return strings.ReplaceAll(report.Show(s), "|", "/") }

func firstWord(s string) string {
	w, _, _ := strings.Cut(s, " ")
	return w
}

// concludeCheck ends 'handoff check': whatever went wrong with the check itself
// is UNKNOWN, said on stdout, where monitoring looks.
func (p *program) concludeCheck(cmd *cobra.Command, err error) int {
	var e ended
	switch {
	case errors.As(err, &e):
		return int(e)
	case err == nil && cmd != nil && cmd.Flags().Changed("help"):
		return stateUnknown
	case err == nil:
		return stateOK
	}
	text := err.Error()
	var f *failure
	if errors.As(err, &f) {
		for _, h := range f.hints {
			fmt.Fprintf(p.stderr, "  hint: %s\n", report.Show(h))
		}
	}
	fmt.Fprintf(p.stdout, "SMTP UNKNOWN - %s\n", perfText(text))
	return stateUnknown
}
