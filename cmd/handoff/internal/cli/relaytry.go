package cli

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe/relay"
	"github.com/smtp-handoff/handoff/probe/relay/bounce"
)

func (p *program) relayTryCommand() *cobra.Command {
	var family string
	cmd := &cobra.Command{
		Use:   "try SCENARIO",
		Short: "have a preset's own sending system talk to a relay, and print what it saw",
		Long: `try starts a relay in this process with a preset, has the sending system that the
preset is about talk to it, and prints what that system has afterwards: its
dialogue, or the report that came back. 'handoff analyze' explains it.

--report composes the report that a mail system would have written about the
session. Nothing is delivered.`,
		Example: `  handoff relay try auth-on-25 | handoff analyze
  handoff relay try user-not-live --report exchange-online`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("try takes one SCENARIO", "'handoff relay --scenario list' prints them")
			}
			return nil
		},
		RunE: p.command(func(cmd *cobra.Command, args []string) error {
			s, ok := findScenario(args[0])
			if !ok {
				return noScenario(args[0])
			}
			if _, known := bounce.Find(family); family != "" && !known {
				return usage("--report does not take "+family, "it is one of "+strings.Join(families(), ", "))
			}
			text, err := p.tryScenario(cmd.Context(), s, bounce.Family(family))
			if err != nil {
				return err
			}
			if _, err := p.stdout.Write(text); err != nil {
				return cannotWrite(err)
			}
			return nil
		}),
	}
	cmd.Flags().StringVar(&family, "report", "", "the report that `SYSTEM` would have written: "+strings.Join(families(), ", "))
	return cmd
}

// tryScenario is what the sending system of a preset has after its session: the
// dialogue, or the report about it.
func (p *program) tryScenario(ctx context.Context, s relay.Scenario, family bounce.Family) ([]byte, error) {
	w, err := relay.World(p.now(), s)
	if err != nil {
		return nil, err
	}
	r := relay.New(w.Account, relay.InMemory())
	if err := r.Start(); err != nil {
		return nil, err
	}
	defer r.Close()
	var session transcript.Session
	for range max(s.Sessions, 1) {
		session = r.Try(ctx, relay.Attempt{Client: w.Client, Deliver: s.Deliver})
	}
	if ctx.Err() != nil {
		return nil, interrupted()
	}
	session.Began = p.now()
	o := bounce.Options{}
	switch c := &w.Client; {
	case c.Tester != "":
		return []byte(testerText(c)), nil
	case c.Route == "direct":
		session = passedBy(c, session)
		if family == "" {
			family = bounce.ExchangeOnline
		}
	case c.System == "exchange-online" && family == "":
		family = bounce.ExchangeOnline
	default:
		// What a later hop did to a message that the relay took.
		if m := r.Messages(); len(m) > 0 && m[len(m)-1].Fate != nil {
			fate := m[len(m)-1].Fate
			o.Next = &bounce.Next{Host: fate.Host, Address: fate.Address, Reply: fate.Reply, Delayed: fate.Delayed}
			if record, ok := r.Session(m[len(m)-1].Session); ok {
				session = record.Session
				session.Began = p.now()
			}
			family = bounce.Service
		}
	}
	if family == "" {
		return []byte(transcriptText(&session)), nil
	}
	text, err := bounce.Compose(family, session, o)
	if err != nil {
		return nil, fail(exitProblem, err.Error())
	}
	return text, nil
}

// passedBy is the session of a sending system that went past the relay to the
// recipient's own server.
func passedBy(c *policy.Client, s transcript.Session) transcript.Session {
	say := func(command, text string) transcript.Exchange {
		reply, _ := transcript.ParseReply(text)
		return transcript.Exchange{Stage: transcript.StageEnvelope, Command: command, Reply: reply}
	}
	s.Server, s.Address, s.Port = "mx.recipient.example", "192.0.2.90", relay.PortServer
	s.Exchanges = []transcript.Exchange{
		say("MAIL FROM:<"+c.Sender+">", "250 2.1.0 Ok"),
		say("RCPT TO:<"+c.Recipient+">", "550 5.7.23 The message was rejected because of the SPF policy of "+relay.DefaultDomain),
	}
	return s
}

// testerText is what openssl s_client shows when a line begins with a capital R.
func testerText(c *policy.Client) string {
	var b strings.Builder
	for _, l := range []string{
		"$ openssl s_client -starttls smtp -crlf -connect " + c.Host + ":587",
		"250 CHUNKING",
		"MAIL FROM:<" + c.Sender + ">",
		"250 2.1.0 Ok",
		"RCPT TO:<" + c.Recipient + ">",
		"RENEGOTIATING",
	} {
		_, _ = io.WriteString(&b, l+"\n")
	}
	return b.String()
}
