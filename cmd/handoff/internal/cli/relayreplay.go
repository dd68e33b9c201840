package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/ndr"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
	"github.com/smtp-handoff/handoff/probe"
	"github.com/smtp-handoff/handoff/probe/relay"
)

func (p *program) relayReplayCommand() *cobra.Command {
	var listen string
	var lifetime time.Duration
	var number int
	var probeIt bool
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "play the server's side of a recorded session, to meet it with a probe",
		Long: `replay reads a transcript, a bounce or a log, in any form that 'handoff analyze'
reads, and answers on loopback as the server did there. What the text does not
show is answered as a healthy relay would. With --probe it probes itself at
once and prints the report.`,
		Example: `  handoff relay replay --probe session.txt
  handoff relay replay --listen 127.0.0.1:2587 session.txt`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("replay needs one FILE, '-' for standard input")
			}
			return nil
		},
		RunE: p.command(func(cmd *cobra.Command, args []string) error {
			s, err := p.recorded(args[0], number)
			if err != nil {
				return err
			}
			if probeIt {
				return p.probeReplay(cmd.Context(), s)
			}
			return p.replay(cmd.Context(), s, listen, lifetime)
		}),
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&listen, "listen", "127.0.0.1:0", "`ADDRESS:PORT` on loopback")
	fs.DurationVar(&lifetime, "for", 0, "end after this `DURATION`")
	fs.IntVar(&number, "session", 1, "`N`-th session of the text")
	fs.BoolVar(&probeIt, "probe", false, "probe the session in process and print the report")
	return cmd
}

// recorded is the n-th session that a text shows or tells of.
func (p *program) recorded(name string, n int) (transcript.Session, error) {
	in := p.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return transcript.Session{}, fail(exitNoInput, "no such file: "+name)
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxReport))
	if err != nil {
		return transcript.Session{}, fail(exitNoInput, "cannot read "+name)
	}
	var sessions []transcript.Session
	var r analyze.Report
	if json.Unmarshal(raw, &r) == nil && len(r.Sessions) > 0 {
		sessions = analyze.SessionsOf(&r)
	} else if sessions, _ = transcript.Parse(raw); len(sessions) == 0 {
		for _, c := range ndr.Read(raw) {
			for i := range c.Items {
				if s := c.Items[i].Session; s != nil {
					sessions = append(sessions, *s)
				}
			}
		}
	}
	if len(sessions) == 0 {
		return transcript.Session{}, fail(exitData, "no dialogue was found in "+name, "replay needs a transcript: swaks, telnet, 'handoff probe --transcript', a protocol log")
	}
	if n < 1 || n > len(sessions) {
		return transcript.Session{}, usage(fmt.Sprintf("there is no session %d in %s; it has %d", n, name, len(sessions)))
	}
	return sessions[n-1], nil
}

func startReplay(s transcript.Session, opts ...relay.Option) (*relay.Replayer, error) {
	r := relay.Replay(s, opts...)
	if err := r.Start(); err != nil {
		switch {
		case errors.Is(err, relay.ErrNeverReached):
			return nil, fail(exitData, err.Error(), "there is nothing to play; 'handoff analyze' says what the text means")
		case errors.Is(err, relay.ErrRemote):
			return nil, usage(err.Error())
		}
		return nil, fail(exitConfig, "the replay cannot listen", "--listen 127.0.0.1:0 takes a free port")
	}
	return r, nil
}

func (p *program) replay(ctx context.Context, s transcript.Session, listen string, lifetime time.Duration) error {
	r, err := startReplay(s, relay.Listen(cmp.Or(s.Port, relay.PortAuth), listen))
	if err != nil {
		return err
	}
	defer r.Close()
	port := r.Port()
	dir, err := p.relayFolder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, r.CAPEM(), 0o644); err != nil {
		return fail(exitConfig, "cannot write "+ca)
	}
	fmt.Fprintf(p.stdout, "replay of a session with %s, port %d, on %s\n  CA file  %s\ntry it:\n  handoff probe %s --ports %d --connect %d=%s --ca %s\n",
		report.Show(r.ServerName()), port, r.Addr(), ca, shellQuote(report.Show(r.ServerName())), port, port, r.Addr(), shellQuote(ca))
	var timer <-chan time.Time
	if lifetime > 0 {
		t := time.NewTimer(lifetime)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
	case <-timer:
	}
	return nil
}

// probeReplay meets the recorded session with a probe, in process.
func (p *program) probeReplay(ctx context.Context, s transcript.Session) error {
	r, err := startReplay(s, relay.InMemory())
	if err != nil {
		return err
	}
	defer r.Close()
	planned := plannedBy(&s)
	f := &probeFlags{
		host: r.ServerName(), ports: []int{r.Port()}, intent: "auth", mechanism: "auto", stopAfter: "envelope",
		from: planned.From, to: planned.To, timeout: 10 * time.Second, deadline: time.Minute, retryWait: time.Minute,
	}
	if r.Port() == relay.PortServer {
		f.intent = "server"
	}
	if len(f.from) == 0 {
		f.from, f.to = []string{relay.DefaultSender}, []string{"bob@recipient.example"}
	}
	if err := checkHost(f.host); err != nil {
		return err
	}
	j, err := p.job(ctx, f)
	if err != nil {
		return err
	}
	if planned.Credential {
		j.plan.Credential = probe.NewCredential(f.host, relay.DefaultSender, rand.Text()) // the replay takes any
	}
	j.options.RootCAs = r.RootCAs()
	j.options.Resolver = r
	j.options.Dial = r.DialContext
	j.note = "a replay, in process"
	return p.runProbe(ctx, j, "", "handoff relay replay --probe FILE")
}

// plannedBy reads from a session what its client tried.
func plannedBy(s *transcript.Session) analyze.Planned {
	var out analyze.Planned
	for i := range s.Exchanges {
		x := &s.Exchanges[i]
		address, _, _ := transcript.Path(x.Command)
		switch transcript.Verb(x.Command) {
		case "AUTH":
			out.Credential = true
		case "MAIL":
			out.From = append(out.From, orElse(address, "<>"))
		case "RCPT":
			if address != "" {
				out.To = append(out.To, address)
			}
		}
	}
	return out
}
