package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/config"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/exporter"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
	"github.com/smtp-handoff/handoff/probe"
)

// serveFlags shape the exporter.
type serveFlags struct {
	listen    string
	webConfig string
	maxProbes int
	check     bool
}

func (p *program) serveCommand() *cobra.Command {
	f := &serveFlags{}
	cmd := &cobra.Command{
		Use:   "serve [flags]",
		Short: "Prometheus multi-target exporter: a scrape starts a probe",
		Long: `serve answers GET /probe?target=HOST&module=NAME[&debug=true] with the metrics of
a probe, and /metrics, /-/healthy, /-/ready and a page to try it at /. Modules
come from the configuration file; without one there are auth, server and both,
which hold no credential.

A module that holds a credential names the hosts it may be sent to, and is
asked for no other. A module without such a list is open to any host, except
addresses of this machine and its surroundings (loopback, link-local,
multicast). It listens on loopback unless told otherwise; TLS and basic
authentication come from a web configuration file as all Prometheus exporters
take it.

SIGHUP reads the configuration anew; a wrong one is logged and the old one
stays. SIGTERM lets the scrapes under way finish, 10 s at most.

Limits: --max-probes at once (then 503), the scrape's own timeout less half a
second, 4 kB of query, GET only.`,
		Example: `  handoff serve --config /etc/handoff/config.yaml
  handoff serve --check-config --config /etc/handoff/config.yaml
  curl 'http://127.0.0.1:9788/probe?target=outbound-us1.ppe-hosted.com&module=auth&debug=true'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.maxProbes < 1 {
				return usage("--max-probes is 1 or more")
			}
			_, port, err := net.SplitHostPort(f.listen)
			if _, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil {
				return usage(fmt.Sprintf("--listen does not take %q", f.listen), "write ADDRESS:PORT, as 127.0.0.1:9788; a port is 0 (any free one) to 65535")
			}
			return p.command(func(cmd *cobra.Command, _ []string) error {
				if f.check {
					return p.checkConfig(cmd.Context(), f)
				}
				return p.serve(cmd.Context(), f)
			})(cmd, args)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.listen, "listen", "127.0.0.1:9788", "`ADDRESS:PORT` to listen on")
	fs.StringVar(&f.webConfig, "web-config", "", "web configuration `FILE`: TLS and basic authentication, as Prometheus exporters take it")
	fs.IntVar(&f.maxProbes, "max-probes", 300, "`N` probes at once at most, then 503")
	fs.BoolVar(&f.check, "check-config", false, "check the configuration and end: exit code 0 or 78")
	return cmd
}

// builtinModules serve where no configuration file is named.
func builtinModules() *config.File {
	f := &config.File{Modules: map[string]*config.Module{}}
	for _, intent := range []string{"auth", "server", "both"} {
		f.Modules[intent] = &config.Module{Name: intent, Intent: intent}
	}
	return f
}

// loadModules reads the configuration and makes its modules ready. The warnings
// are those that the first reading has told already.
func (p *program) loadModules(ctx context.Context) (out []*module, warnings []string, err error) {
	file := builtinModules()
	if p.flags.config != "" {
		if file, err = config.Load(p.flags.config); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil, nil, fail(exitNoInput, "no configuration file "+p.flags.config)
			}
			return nil, nil, fail(exitConfig, err.Error())
		}
		if len(file.Modules) == 0 && len(file.Defaults) > 0 && len(file.Targets) == 0 {
			file.Modules = builtinModules().Modules // a file of defaults for people
		}
		if len(file.Modules) == 0 {
			return nil, nil, fail(exitConfig, p.flags.config+" has no modules", "add 'modules:' with one at least")
		}
	}
	var wrong []string
	for _, name := range file.ModuleNames() {
		m, err := p.compile(ctx, file.Modules[name])
		if err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		out = append(out, m)
	}
	if len(wrong) > 0 {
		return nil, nil, fail(exitConfig, p.flags.config+": "+strings.Join(wrong, "\n"))
	}
	return out, file.Warnings, nil
}

// checkConfig says what is wrong with the files, each problem on a line.
func (p *program) checkConfig(ctx context.Context, f *serveFlags) error {
	modules, _, err := p.loadModules(ctx)
	if err == nil && f.webConfig != "" {
		if e := exporter.CheckWeb(f.webConfig); e != nil {
			err = fail(exitConfig, fmt.Sprintf("%s: %s", f.webConfig, e))
		}
	}
	if err != nil {
		var fl *failure
		if errors.As(err, &fl) && strings.Contains(fl.text, "\n") {
			for _, line := range strings.Split(fl.text, "\n") {
				fmt.Fprintln(p.stderr, report.Show(line))
			}
			return ended(fl.code)
		}
		return err
	}
	fmt.Fprintf(p.stdout, "the configuration is right: %d modules\n", len(modules))
	return nil
}

// guarded is the job of a scrape. Where anybody may choose the target, it keeps
// away from this machine and its surroundings.
func (c *module) guarded(ctx context.Context, host string) (*job, error) {
	j, err := c.job(ctx, host)
	if err != nil || !c.open() {
		return j, err
	}
	named := map[string]bool{}
	for _, address := range c.config.Connect {
		named[address] = true
	}
	source := j.options.Source
	j.options.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		d := net.Dialer{}
		if source.IsValid() {
			d.LocalAddr = &net.TCPAddr{IP: source.AsSlice(), Zone: source.Zone()}
		}
		if !named[address] {
			d.Control = exporter.Guard
		}
		return d.DialContext(ctx, network, address)
	}
	return j, nil
}

// exported makes the exporter's modules of ours.
func (p *program) exported(modules []*module) []*exporter.Module {
	var out []*exporter.Module
	for _, m := range modules {
		x := &exporter.Module{Name: m.config.Name, Limit: m.base.options.Deadline, Allows: m.config.Allows}
		if !m.open() {
			x.Hosts = m.config.Targets
		}
		x.Probe = func(ctx context.Context, host string) (*exporter.Result, error) {
			j, err := m.guarded(ctx, host)
			if err != nil {
				return nil, err
			}
			if deadline, ok := ctx.Deadline(); ok {
				// The probe's own deadline comes first, so that what is known is told.
				left := time.Until(deadline) - 100*time.Millisecond
				j.options.Deadline = max(min(j.options.Deadline, left), time.Millisecond)
				j.options.Timeout = min(j.options.Timeout, j.options.Deadline)
				j.options.Connect = connectPatience(j.options.Timeout, j.options.Deadline)
			}
			rep, res, err := p.runJob(ctx, j)
			if err != nil {
				return nil, err
			}
			return &exporter.Result{Report: rep, Debug: func() (*analyze.Report, []string, report.Lines) {
				return p.debug(j, rep, res)
			}}, nil
		}
		out = append(out, x)
	}
	return out
}

// debug is what debug=true shows of a probe, as far as --redact lets it.
func (p *program) debug(j *job, rep *analyze.Report, res *probe.Result) (shown *analyze.Report, transcripts []string, lines report.Lines) {
	shown, lines = rep, sessionLines(res.Sessions)
	if p.flags.redact == "strict" {
		shown, lines, _ = strict(rep, lines, j.judge.RelayDomains)
	}
	for i := range res.Sessions {
		text, _ := transcript.Redact([]byte(transcriptText(&res.Sessions[i])), p.level())
		transcripts = append(transcripts, string(text))
	}
	return shown, transcripts, lines
}

func (p *program) serve(ctx context.Context, f *serveFlags) error {
	level := slog.LevelInfo
	switch {
	case p.flags.verbose:
		level = slog.LevelDebug
	case p.flags.quiet:
		level = slog.LevelWarn
	}
	log := slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: level}))
	p.flags.quiet, p.flags.verbose = true, false // probes are silent
	modules, _, err := p.loadModules(ctx)
	if err != nil {
		return err
	}
	if f.webConfig != "" {
		if err := exporter.CheckWeb(f.webConfig); err != nil {
			return fail(exitConfig, fmt.Sprintf("%s: %s", f.webConfig, err))
		}
	}
	l, err := net.Listen("tcp", f.listen)
	if err != nil {
		return fail(exitConfig, "cannot listen on "+f.listen, "is the port taken, or the address not this machine's?")
	}
	defer l.Close()
	loopback := false
	if a, err := netip.ParseAddrPort(l.Addr().String()); err == nil {
		loopback = a.Addr().Unmap().IsLoopback()
	}
	s := exporter.New(exporter.Options{MaxProbes: f.maxProbes, Limit: 2 * time.Minute, Loopback: loopback, Version: version(), Log: log})
	s.Load(p.exported(modules), p.now())
	log.Info("listening", "address", l.Addr().String(), "modules", len(modules), "loopback", loopback)
	if !loopback && f.webConfig == "" {
		log.Warn("listening beyond loopback without TLS and authentication; --web-config adds them")
	}
	hangup := make(chan os.Signal, 1)
	notifyHangup(hangup)
	defer signal.Stop(hangup)
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case <-done:
				return
			case <-hangup:
			}
			modules, warnings, err := p.loadModules(ctx)
			for _, w := range warnings {
				log.Warn(report.Show(w))
			}
			if err != nil {
				s.LoadFailed()
				log.Error("the configuration was not read anew; the old one stays", "problem", report.Show(err.Error()))
				continue
			}
			s.Load(p.exported(modules), p.now())
			log.Info("the configuration was read anew", "modules", len(modules))
		}
	}()
	if err := s.Serve(ctx, l, f.webConfig); err != nil {
		return fail(exitConfig, "the exporter ended: "+err.Error())
	}
	log.Info("ended")
	return nil
}
