package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/config"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
	"github.com/smtp-handoff/handoff/probe"
	"github.com/smtp-handoff/handoff/probe/relay"
)

func (p *program) probeCommand() *cobra.Command {
	f := &probeFlags{}
	var fromReport, transcriptFile string
	var asCommand bool
	var scenarios []string
	cmd := &cobra.Command{
		Use:   "probe HOST|--bundled [flags]",
		Short: "probe ports 25 and 587 of a relay and say what stands in the way",
		Long: `probe walks the road to the relay on each port side by side: names, TCP, the
greeting, EHLO, STARTTLS, EHLO again, AUTH, MAIL and RCPT. It shows the first
answer, never tries a password twice, and sends a credential only inside TLS
whose certificate was verified for HOST.

Nothing is delivered: the session ends with QUIT after RCPT, unless --send or
--stop-after data asks for one test message.

--tls-scan shows which versions of TLS each server accepts; the JSON report has
them at sessions[].tls.versions.

--intent says what port 25 is expected to answer. Under auth, the documented
"Relay access denied" there is no problem; an acceptance without AUTH is.

Limits: 16 addresses of HOST, 100 senders and recipients, 1 MB of replies in the
run, 1,000 lines or 256 KB of one, 96 KB of a TLS handshake, --timeout per step
(AUTH waits 20 s at least) and --deadline for the whole run. What is known when
one is reached is still reported. Sessions with one server start 200 ms apart,
ports and addresses side by side.

Exit code: 0 ready as intended, 1 a problem, 3 inconclusive.`,
		Example: `  handoff probe --bundled
  handoff probe outbound-us1.ppe-hosted.com
  handoff probe outbound-us1.ppe-hosted.com --user U --password-file F \
      --from alerts@customer.example --to postmaster@example.org
  handoff probe relay.example --connect 25=127.0.0.1:2525 --connect 587=127.0.0.1:2587 --ca ca.pem
  handoff analyze -o json bounce.eml | handoff probe --from-report -`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(fmt.Sprintf("probe takes one HOST, but there are %d arguments", len(args)))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				f.host = args[0]
			}
			if fromReport != "" {
				if err := p.fromReport(cmd, f, fromReport); err != nil {
					return err
				}
			}
			if err := f.checkPorts(cmd); err != nil {
				return err
			}
			switch {
			case f.bundled && f.host != "":
				return usage("HOST and --bundled exclude each other")
			case asCommand && f.host == "":
				return usage("--as-command needs the HOST to probe")
			case f.bundled:
				return p.command(func(cmd *cobra.Command, _ []string) error {
					return p.probeBundled(cmd.Context(), f, scenarios, transcriptFile, repeatCommand(cmd, ""))
				})(cmd, args)
			case len(scenarios) > 0:
				return usage("--scenario needs --bundled")
			case f.host == "":
				return usage("probe needs the HOST to probe", "the service's hosts are outbound-us1.ppe-hosted.com and outbound-eu1.ppe-hosted.com",
					"to try it without a network: 'handoff probe --bundled'")
			}
			if err := checkHost(f.host); err != nil {
				return err
			}
			if asCommand {
				return p.writeCommands(f, repeatCommand(cmd, f.host))
			}
			j, err := p.job(cmd.Context(), f)
			if err != nil {
				return err
			}
			p.started = true
			return p.runProbe(cmd.Context(), j, transcriptFile, repeatCommand(cmd, f.host))
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.BoolVar(&f.bundled, "bundled", false, "probe the bundled reference relay, in process, in place of HOST")
	fs.StringSliceVar(&scenarios, "scenario", nil, "with --bundled: `NAME` of a fault to show; repeatable ('handoff relay --scenario list')")
	f.register(fs, false)
	p.causesFlag(fs)
	fs.StringVar(&transcriptFile, "transcript", "", "save the dialogue with its times, secrets masked, and what was to be tried, to `FILE`; 'handoff analyze FILE' judges it as the probe was")
	fs.StringVar(&fromReport, "from-report", "", "take host, port, sender and recipient from a JSON report in `FILE`, '-' for standard input")
	fs.BoolVar(&asCommand, "as-command", false, "probe nothing: print the equal handoff, swaks and openssl lines, without the password")
	return cmd
}

// runProbe runs a job and writes its report.
func (p *program) runProbe(ctx context.Context, j *job, transcriptFile, command string) error {
	out, err := p.openReports(false, command, j.judge.RelayDomains)
	if err != nil {
		return err
	}
	defer out.sink.discard()
	var saved *sink
	if transcriptFile != "" {
		if saved, err = createSink(transcriptFile); err != nil {
			return err
		}
		defer saved.discard()
	}
	p.announce(j)
	rep, res, err := p.runJob(ctx, j)
	if err != nil {
		return usage(strings.TrimPrefix(err.Error(), "probe: "))
	}
	if saved != nil {
		if err := p.writeTranscript(saved, judged(j, res)); err != nil {
			return err
		}
	}
	p.tellBeside(res)
	if err := out.write(rep, sessionLines(res.Sessions)); err != nil {
		return err
	}
	if err := out.close(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return interrupted()
	}
	return result(out.code)
}

// tellBeside says what a run learned beside its report.
func (p *program) tellBeside(res *probe.Result) {
	if res.MessageID != "" {
		p.say("the test message has the Message-ID %s: look for it in the recipient's mailbox and in the relay's log", res.MessageID)
	}
	if n := len(res.Retried); n > 0 {
		p.say("%d sessions were put off and repeated; the report tells of the last", n)
	}
	if n := len(res.NotTried); n > 0 && p.flags.verbose {
		all := make([]string, n)
		for i, a := range res.NotTried {
			all[i] = a.String()
		}
		p.say("not tried: %s; --all-addresses probes each", strings.Join(all, ", "))
	}
}

// runJob probes and judges.
func (p *program) runJob(ctx context.Context, j *job) (*analyze.Report, *probe.Result, error) {
	if j.options.Observe == nil && !p.flags.quiet && (p.flags.verbose || report.IsTerminal(p.plainStderr())) {
		j.options.Observe = p.progress
	}
	if !j.inProcess { // the relay in this process has no defences to wake
		j.options.Pacer = &p.pacer
	}
	var found []analyze.Finding
	var survey sync.WaitGroup
	looking, stop := context.WithCancel(ctx)
	defer stop()
	if j.surveyed() {
		survey.Go(func() { found = j.names.survey(looking, j) })
	}
	res, err := probe.Run(ctx, j.target, j.plan, j.options)
	grace := surveyGrace
	if err != nil {
		grace = 0
	}
	late := time.AfterFunc(grace, stop)
	survey.Wait()
	late.Stop()
	if err != nil {
		return nil, nil, err
	}
	return judgeProbe(j, &res, found, p.now()), &res, nil
}

// announce says what is about to happen, before anything does.
func (p *program) announce(j *job) {
	ports := make([]string, len(j.target.Ports))
	for i, port := range j.target.Ports {
		ports[i] = fmt.Sprint(port)
	}
	where := j.target.Host
	if j.note != "" {
		where += " (" + j.note + ")"
	}
	what := "nothing is delivered"
	if j.plan.StopAfter == transcript.StageData {
		what = fmt.Sprintf("ONE TEST MESSAGE IS SENT to %s", strings.Join(j.plan.To, ", "))
	}
	p.say("probing %s on %s; %s", where, strings.Join(ports, ", "), what)
}

// progress prints each step once, when it ends, in words that can be read
// aloud.
func (p *program) progress(e probe.Event) {
	if !e.Done {
		return
	}
	x := e.Exchange
	word := string(x.Stage)
	if v := transcript.Verb(x.Command); v != "" {
		word += " " + v
	}
	status, more := stepWord(&x), ""
	switch {
	case x.Skipped != "":
		more = ", " + x.Skipped
	case x.Reply.Code != 0 && status != "ok":
		more = fmt.Sprintf(", %d %s", x.Reply.Code, x.Reply.Enhanced)
	case x.Fault != "":
		more = ", " + string(x.Fault)
	}
	if x.Skipped == "" {
		more += fmt.Sprintf(", %d milliseconds", x.Took.Milliseconds())
	}
	_, _ = io.WriteString(p.stderr, report.Show(fmt.Sprintf("port %d, %s: %s%s", e.Port, word, status, strings.TrimRight(more, " ")))+"\n")
}

func stepWord(x *transcript.Exchange) string {
	switch {
	case x.Skipped != "":
		return "skipped"
	case x.Reply.Code >= 500:
		return "refused"
	case x.Reply.Code >= 400:
		return "deferred"
	case x.Fault != "":
		return "failed"
	}
	return "ok"
}

// plainStderr is the stream beneath, for the question whether it is a terminal.
func (p *program) plainStderr() io.Writer {
	if l, ok := p.stderr.(*lockedWriter); ok {
		return l.w
	}
	return p.stderr
}

// writeTranscript writes the sessions of a probe with what it was to try, so
// that "handoff analyze" judges the file as the probe was judged.
func (p *program) writeTranscript(s *sink, run analyze.Probe) error {
	sessions := slices.Clone(run.Sessions)
	for i := range sessions {
		sessions[i].Plan = &transcript.Plan{
			Intent: string(run.Intent), Credential: run.Planned.Credential, StopAfter: run.Planned.StopAfter,
			LoginSender: run.Planned.LoginSender, From: run.Planned.From, To: run.Planned.To, Partial: run.Partial,
		}
		if i > 0 {
			_, _ = io.WriteString(s.w, "\n")
		}
		text, _ := transcript.Redact(transcript.AppendFormat(nil, &sessions[i], transcript.FormatOptions{Times: true}), p.level())
		if _, err := s.w.Write(text); err != nil {
			return cannotWrite(err)
		}
	}
	return s.commit()
}

// passwordFindings tell oddities of a password, which nobody repairs silently.
func passwordFindings(odd []config.Oddity) []analyze.Finding {
	var out []analyze.Finding
	for _, o := range odd {
		f, _ := analyze.FindingOf(string(o), nil)
		out = append(out, f)
	}
	return out
}

// probeBundled starts the reference relay on loopback and probes it.
func (p *program) probeBundled(ctx context.Context, f *probeFlags, scenarios []string, transcriptFile, command string) error {
	j, closeRelay, err := p.bundledJob(ctx, f, scenarios)
	if err != nil {
		return err
	}
	defer closeRelay()
	return p.runProbe(ctx, j, transcriptFile, command)
}

// bundledJob starts the reference relay in process and makes a probe of it.
// What the flags leave open comes from its healthy account, or from the client
// that a scenario needs to show.
func (p *program) bundledJob(ctx context.Context, f *probeFlags, scenarios []string) (*job, func(), error) {
	now := p.now()
	var presets []relay.Scenario
	var faults []string
	for _, name := range scenarios {
		if s, ok := findScenario(name); ok {
			presets = append(presets, s)
		} else {
			faults = append(faults, name)
		}
	}
	w, err := relay.World(now, presets...)
	if err != nil {
		return nil, nil, err
	}
	r := relay.New(w.Account, relay.InMemory())
	for _, name := range faults {
		if err := r.Set(name); err != nil {
			return nil, nil, noScenario(name)
		}
	}
	if err := r.Start(); err != nil {
		return nil, nil, err
	}
	j, err := p.jobFor(ctx, f, r, &w.Client)
	if err != nil {
		r.Close()
		return nil, nil, err
	}
	return j, r.Close, nil
}

// jobFor makes a probe of a reference relay of this process. What the flags
// leave open comes from the client c, the sending system that its presets need.
func (p *program) jobFor(ctx context.Context, f *probeFlags, r *relay.Relay, c *policy.Client) (*job, error) {
	given := f.user != ""
	f.host = orElse(c.Host, r.ServerName())
	if len(f.from) == 0 && len(f.to) == 0 {
		f.from, f.to = []string{orElse(c.Sender, "<>")}, []string{c.Recipient}
	}
	if f.intent == "auth" && c.Port == relay.PortServer && !c.Auth {
		f.intent = "server"
	}
	j, err := p.job(ctx, f)
	if err != nil {
		return nil, err
	}
	if !given && c.Auth {
		j.plan.Credential = probe.NewCredential(f.host, c.Username, c.Password)
	}
	if j.options.RootCAs == nil {
		j.options.RootCAs = r.RootCAs()
	}
	if f.resolver == "" {
		j.options.Resolver, j.names = r, nil
	}
	if len(j.target.Connect) == 0 {
		j.inProcess = true
		j.options.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if n, e := strconv.Atoi(port); err == nil && e == nil && c.Address.IsValid() && (n == relay.PortServer || n == relay.PortAuth) {
				return r.DialFrom(ctx, c.Address, n)
			}
			return r.DialContext(ctx, network, address)
		}
	}
	j.note = "the bundled reference relay, in process"
	r.Update(func(a *policy.Account, now time.Time) {
		for i := range a.Users {
			if u := &a.Users[i]; u.Deleted.IsZero() && !u.Invalid && !now.Before(u.LiveAt) {
				j.known = append(j.known, u.Address)
			}
		}
	})
	return j, nil
}

func noScenario(name string) error {
	var hints []string
	for _, s := range relay.Scenarios() {
		if near(name, s.Name) {
			hints = append(hints, fmt.Sprintf("did you mean %s?", s.Name))
		}
	}
	return usage(fmt.Sprintf("there is no scenario %q", name), append(hints, "'handoff relay --scenario list' prints them")...)
}

// firstRun is 'handoff' without a command: the screens where there is a
// terminal, the same first run as plain text elsewhere.
func (p *program) firstRun(ctx context.Context) error {
	interactive := !p.flags.noTUI && !p.flags.noInput && p.flags.format == "text" && p.flags.output == "" &&
		report.IsTerminal(p.stdin) && report.IsTerminal(p.stdout) && p.getenv("TERM") != "dumb"
	if interactive {
		return openScreens(ctx, p)
	}
	if p.linearMode() {
		return p.linear(ctx)
	}
	f := &probeFlags{
		bundled: true, ports: []int{25, 587}, intent: "auth", mechanism: "auto", stopAfter: "envelope",
		timeout: 30 * time.Second, deadline: 2 * time.Minute, retryWait: time.Minute,
	}
	return p.probeBundled(ctx, f, nil, "", "handoff probe --bundled")
}
