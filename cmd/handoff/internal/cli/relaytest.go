package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/spf13/cobra"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
	"github.com/smtp-handoff/handoff/probe/relay"
)

// maxScenario bounds a scenario file; the parser has the same bound.
const maxScenario = 1<<20 + 1

func (p *program) relayTestCommand() *cobra.Command {
	var host, ca string
	var connect []string
	var update, diagnose bool
	cmd := &cobra.Command{
		Use:   "test FILE...",
		Short: "run scenario files: set-up, dialogues and truth",
		Long: `test runs scenario files against a relay of its own, in memory and with a clock
that stands still, and says line by line what did not hold. With --host the
dialogues run against another server; set-up, rules and the clock cannot.

A file has sections:

  -- setup --           statements of 'handoff relay account', "healthy",
                        "scenario NAME"
  -- dialog 587 --      "> LINE" said, "< 250" expected, "tls ok", "rule U4",
                        "clock +60m", "closed", "silent", "again"
  -- truth --           the rule that decided; with --diagnose also verdict,
                        stage, party and causes

A set-up may also say what the sending system is like, as the presets do; what
it says to the relay is what the dialogue says:

` + grammarHelp(policy.ClientGrammar()) + `

Exit code: 0 all held, 1 a line did not, 65 a file cannot be read.`,
		Example: `  handoff relay test user-not-live.txt
  handoff relay test --host relay.example --connect 587=127.0.0.1:2587 --ca ca.pem dialog.txt`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("test needs a scenario file")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var o relay.RunOptions
			if diagnose {
				o.Judge = judgeDialogue
			}
			if host == "" && (len(connect) > 0 || ca != "") {
				return usage("--connect and --ca need --host")
			}
			if host != "" {
				if err := checkHost(host); err != nil {
					return err
				}
				at, err := parseConnect(connect)
				if err != nil {
					return err
				}
				o.TLS = &tls.Config{ServerName: host}
				if ca != "" {
					if o.TLS.RootCAs, err = readCA(ca); err != nil {
						return err
					}
				}
				o.Dial = func(ctx context.Context, port int) (net.Conn, error) {
					address := at[port]
					if address == "" {
						address = net.JoinHostPort(host, fmt.Sprint(port))
					}
					return (&net.Dialer{}).DialContext(ctx, "tcp", address)
				}
			}
			return p.command(func(cmd *cobra.Command, args []string) error { return p.runScenarios(cmd.Context(), args, o, update) })(cmd, args)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&host, "host", "", "run the dialogues against this `HOST`")
	fs.StringArrayVar(&connect, "connect", nil, "`PORT=ADDRESS:PORT` dialled in place of that port of HOST; repeatable")
	fs.StringVar(&ca, "ca", "", "`FILE` of authorities (PEM) to trust")
	fs.BoolVar(&diagnose, "diagnose", false, "compare the truth with what 'handoff analyze' says of the first dialogue, too")
	fs.BoolVar(&update, "update", false, "write the replies that came into the files")
	return cmd
}

func (p *program) runScenarios(ctx context.Context, names []string, o relay.RunOptions, update bool) error {
	failed := false
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return fail(exitNoInput, "no scenario file "+name)
		}
		raw, err := io.ReadAll(io.LimitReader(f, maxScenario))
		_ = f.Close()
		if err != nil {
			return fail(exitNoInput, "cannot read "+name)
		}
		file, err := relay.ParseFile(name, raw)
		if err != nil {
			return fail(exitData, err.Error(), "'handoff relay test --help' shows what a file holds")
		}
		res, err := file.Run(ctx, o)
		switch {
		case ctx.Err() != nil:
			return interrupted()
		case errors.Is(err, relay.ErrNeedsRelay):
			return usage(err.Error(), "run it without --host")
		case err != nil:
			return fail(exitData, err.Error())
		}
		for _, x := range res.Failures {
			failed = true
			fmt.Fprintln(p.stdout, report.Show(x.String()))
		}
		if res.OK() {
			fmt.Fprintf(p.stdout, "ok  %s\n", report.Show(name))
		}
		if update && string(res.Updated) != string(raw) {
			if err := os.WriteFile(name, res.Updated, 0o644); err != nil {
				return fail(exitConfig, "cannot write "+name)
			}
		}
	}
	if failed {
		return ended(exitProblem)
	}
	return nil
}

// judgeDialogue is what the diagnosis says of a session that a scenario file
// played: it reads the dialogue as people would paste it, and judges it as a
// probe where the words alone show no failure.
func judgeDialogue(s transcript.Session) relay.Judgement {
	if s.Server == "" {
		s.Server = relay.DefaultServerName
	}
	r := analyze.Analyze([]byte(transcriptText(&s)), analyze.Options{})
	j := relay.Judgement{Verdict: string(r.Verdict.Code)}
	if len(r.Outcomes) > 0 {
		x := &r.Outcomes[0]
		j.Stage, j.Party = x.Stage, string(x.Party)
		for _, c := range x.Causes {
			j.Causes = append(j.Causes, c.ID)
		}
	}
	findings := r.Findings
	if r.Verdict.Status != analyze.Problem || s.Exchanges[0].Stage.Order() > transcript.StageConnect.Order() && j.Stage == string(transcript.StageNotAttempted) {
		findings = judgeAsProbe(&s, &j)
	}
	for i := range findings {
		j.Findings = append(j.Findings, findings[i].ID)
	}
	return j
}

// judgeAsProbe judges the session as one of our own. A scenario's client begins
// with the greeting, so the connection that came before it is put in front.
func judgeAsProbe(s *transcript.Session, j *relay.Judgement) []analyze.Finding {
	own := *s
	own.Exchanges = append([]transcript.Exchange{{Stage: transcript.StageConnect}}, s.Exchanges...)
	p := analyze.Probe{Target: s.Server, Intent: analyze.IntentAuth, Sessions: []transcript.Session{own}, Planned: plannedBy(s)}
	p.Planned.Credential = p.Planned.Credential || s.Port != relay.PortServer
	if s.Port == relay.PortServer && !plannedBy(s).Credential {
		p.Intent = analyze.IntentServer
	}
	r := analyze.JudgeProbe(p, analyze.Options{Facts: analyze.Facts{Intent: p.Intent}})
	x := &r.Sessions[0]
	j.Verdict, j.Stage, j.Party, j.Causes = string(x.Verdict), x.Stage, string(x.Party), nil
	for _, c := range x.Causes {
		j.Causes = append(j.Causes, c.ID)
	}
	return r.Findings
}
