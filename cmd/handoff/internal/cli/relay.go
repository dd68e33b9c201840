package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
	"github.com/smtp-handoff/handoff/probe/relay"
)

// relayFlags shape a relay that runs by hand.
type relayFlags struct {
	scenarios   []string
	state       string
	lifetime    time.Duration
	idle        time.Duration
	announce    bool
	listen      []string
	allowRemote bool
	xclient     bool
	names       []string
	region      string
	caFile      string
	control     string
}

func (p *program) relayCommand() *cobra.Command {
	f := &relayFlags{}
	cmd := &cobra.Command{
		Use:   "relay [flags]",
		Short: "run the reference relay on loopback, to practise on and to test against",
		Long: `relay runs a stand-in for the service: port 25 (here 2525) takes mail by
address, port 587 (here 2587) wants STARTTLS and then SMTP AUTH. It answers with
the service's own texts and says in its log which rule decided. It delivers
nothing and listens on loopback only, unless --allow-remote is given.

It prints its addresses, the file of its authority, a ready credential and a
line to try it with. Ctrl-C, SIGTERM or --for ends it.

` + relayLimits(),
		Example: `  handoff relay
  handoff relay --scenario sasl-down
  handoff relay --json --for 10m --listen 127.0.0.1:0
  handoff relay account cred new "copier, second floor"
  handoff relay account clock +60m
  handoff relay why 3`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return p.unknownCommand(cmd, args[0])
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, s := range f.scenarios {
				if s == "list" {
					return p.command(func(*cobra.Command, []string) error { return p.listScenarios() })(cmd, args)
				}
			}
			if f.lifetime < 0 || f.idle < 0 {
				return usage("--for and --idle are not negative")
			}
			return p.command(func(cmd *cobra.Command, _ []string) error { return p.runRelay(cmd.Context(), f) })(cmd, args)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringSliceVar(&f.scenarios, "scenario", nil, "`NAME` of a fault or preset to show; repeatable, 'list' prints them")
	fs.StringVar(&f.state, "state", "", "`FILE` that keeps the account over restarts (mode 0600)")
	fs.DurationVar(&f.lifetime, "for", 0, "end after this `DURATION`")
	fs.DurationVar(&f.idle, "idle", 300*time.Second, "close a session after this much silence")
	fs.BoolVar(&f.announce, "json", false, "announce addresses, CA file and credential in one line of JSON")
	fs.StringArrayVar(&f.listen, "listen", nil, "`ADDRESS`, ADDRESS:0 for free ports, or PORT=ADDRESS:PORT, repeatable (default 127.0.0.1, ports 2525 and 2587; 53, the name server, at 2553 or a free port)")
	fs.BoolVar(&f.allowRemote, "allow-remote", false, "listen beyond loopback too")
	fs.BoolVar(&f.xclient, "allow-xclient", false, "let clients claim a source address with XCLIENT")
	fs.StringSliceVar(&f.names, "name", nil, "`NAME` that clients dial and verify (default "+relay.DefaultServerName+"); repeatable")
	fs.StringVar(&f.region, "region", "", "stack this relay plays, us1 or eu1")
	fs.StringVar(&f.caFile, "ca-file", "", "write the authority's certificate to `FILE`")
	fs.StringVar(&f.control, "control", "", "`PATH` of the control socket (default: in a folder of the user's own)")
	cmd.AddCommand(p.relayAccountCommand(), p.relayTestCommand(), p.relayTryCommand(), p.relayReplayCommand(), p.relayAskCommand("log", "print the sessions the relay has seen, with the rule that decided each reply"),
		p.relayAskCommand("why", "say which rule and which statement decided a session"),
		p.relayAskCommand("ndr", "print the report that a mail system would have written about a session"),
		p.relayAskCommand("messages", "list the messages the relay answered for"),
		p.relayAskCommand("counters", "print sums by rule, stage and reply code"),
		p.relayAskCommand("stop", "end the running relay"))
	return cmd
}

// portNames is the logical port of the name server, on loopback only.
const portNames = 53

// defaultPorts are the ports of this machine that stand for the logical ones.
var defaultPorts = map[int]string{relay.PortServer: "2525", relay.PortAuth: "2587", portNames: "2553"}

// relayLimits names what a client can use up, for the help text.
func relayLimits() string {
	l := relay.DefaultLimits()
	span := func(d time.Duration) string {
		if d%time.Minute == 0 && d > 5*time.Minute {
			return fmt.Sprintf("%d min", d/time.Minute)
		}
		return fmt.Sprintf("%d s", d/time.Second)
	}
	many := func(n int) string { // 2,000
		if n < 1000 {
			return strconv.Itoa(n)
		}
		return fmt.Sprintf("%d,%03d", n/1000, n%1000)
	}
	return fmt.Sprintf(`Limits: %s open sessions (then the oldest that has said nothing goes), %s of
silence (--idle), %s per command, %s for a handshake, %s for a message, %s
per session, %s for the client to take a reply, %d failed logins and %d NOOP or
VRFY per session. Per message 1,000 recipients and 100 MB, which are counted and
thrown away ('account limit set' changes both). %s sessions or %d MB in the log,
%d messages in the list.`,
		many(l.Sessions), span(l.Idle), span(l.Command), span(l.Handshake), span(l.Message), span(l.Session), span(l.Write), l.BadAuth, l.Junk,
		many(relay.LogSessions), relay.LogBytes>>20, relay.KeepMessages)
}

// listenAddresses are the addresses of the logical ports, and where the name
// server goes if nobody asked for its very port and another program has it.
func listenAddresses(all []string) (out map[int]string, names []string, err error) {
	out = map[int]string{}
	named := false
	for n, port := range defaultPorts {
		out[n] = net.JoinHostPort("127.0.0.1", port)
	}
	for _, s := range all {
		if port, address, ok := strings.Cut(s, "="); ok {
			n, err := strconv.Atoi(port)
			_, known := out[n]
			if _, _, splitErr := net.SplitHostPort(address); err != nil || !known || splitErr != nil {
				return nil, nil, usage(fmt.Sprintf("--listen does not take %q", s), "write 25=127.0.0.1:2525, 587=127.0.0.1:2587 or 53=127.0.0.1:2553")
			}
			out[n] = address
			named = named || n == portNames
			continue
		}
		host, port, err := net.SplitHostPort(s)
		if err != nil {
			host, port = strings.Trim(s, "[]"), ""
		}
		if host == "" || port != "" && port != "0" {
			return nil, nil, usage(fmt.Sprintf("--listen does not take %q", s), "write ADDRESS, ADDRESS:0 for free ports, or 25=ADDRESS:PORT and 587=ADDRESS:PORT")
		}
		for n, dflt := range defaultPorts {
			if port == "0" {
				dflt = "0"
			}
			if n == portNames {
				out[n] = net.JoinHostPort("127.0.0.1", dflt)
				if a, err := netip.ParseAddr(host); err == nil && a.IsLoopback() {
					out[n] = net.JoinHostPort(host, dflt) // there may be no other, as with ::1 alone
				}
				continue
			}
			out[n] = net.JoinHostPort(host, dflt)
		}
	}
	if host, _, err := net.SplitHostPort(out[portNames]); err == nil && !named {
		names = []string{net.JoinHostPort(host, "0")}
	}
	return out, names, nil
}

func (p *program) runRelay(ctx context.Context, f *relayFlags) error {
	addresses, instead, err := listenAddresses(f.listen)
	if err != nil {
		return err
	}
	clock := relay.NewOffset()
	opts := []relay.Option{
		relay.WithClock(clock), relay.WithLimits(relay.Limits{Idle: f.idle}),
		relay.Listen(relay.PortServer, addresses[relay.PortServer]), relay.Listen(relay.PortAuth, addresses[relay.PortAuth]),
		relay.Nameserver(addresses[portNames], instead...),
	}
	if f.allowRemote {
		opts = append(opts, relay.AllowRemote())
	}
	if f.xclient {
		opts = append(opts, relay.AllowXCLIENT())
	}
	if f.region != "" {
		if f.region != "us1" && f.region != "eu1" {
			return usage("--region is us1 or eu1")
		}
		opts = append(opts, relay.Region(f.region))
	}
	if len(f.names) > 0 {
		opts = append(opts, relay.Names(f.names...))
	}
	if p.flags.verbose {
		opts = append(opts, relay.Observe(p.watchRelay))
	}
	d, err := p.demo(f, clock, opts)
	if err != nil {
		return err
	}
	sending, err := setScenarios(d, f.scenarios)
	if err != nil {
		return err
	}
	if err := d.Start(); err != nil {
		if errors.Is(err, relay.ErrRemote) {
			return usage(err.Error(), "give --allow-remote if others shall reach it")
		}
		return fail(exitConfig, "the relay cannot listen on "+addresses[relay.PortServer]+", "+addresses[relay.PortAuth]+" and (names) "+addresses[portNames],
			"is another one running? 'handoff relay stop' ends it, --listen 127.0.0.1:0 takes free ports")
	}
	defer d.Close()

	dir, err := p.relayFolder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	caFile := f.caFile
	if caFile == "" {
		caFile = filepath.Join(dir, "ca.pem")
	}
	if err := d.WriteCA(caFile); err != nil {
		return fail(exitConfig, "cannot write "+caFile)
	}
	control := f.control
	if control == "" {
		control = filepath.Join(dir, "control")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := &controlServer{relay: d.Relay, state: f.state, stop: cancel}
	if err := server.listen(control); err != nil {
		return fail(exitConfig, "cannot open the control socket "+control, "its folder must exist and the path must be short")
	}
	defer server.close()

	if err := p.announceRelay(d, f, sending, caFile, control); err != nil {
		return err
	}
	var timer <-chan time.Time
	if f.lifetime > 0 {
		t := time.NewTimer(f.lifetime)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
	case <-timer:
	}
	server.close()
	d.Close()
	if f.state != "" {
		if err := saveState(f.state, d.Relay); err != nil {
			return err
		}
	}
	c := d.Counters()
	p.say("the relay has ended: %d sessions, %d logins accepted and %d refused, %d messages taken and none delivered", c.Sessions, c.AuthOK, c.AuthFailed, c.Messages)
	return nil
}

// demo is the relay with the account of the state file, or with the healthy
// account that a first try needs.
func (p *program) demo(f *relayFlags, clock *relay.Manual, opts []relay.Option) (*relay.Demo, error) {
	if f.state != "" {
		acc, ahead, err := loadState(f.state, p.now())
		if err != nil {
			return nil, err
		}
		clock.Advance(ahead)
		if acc != nil {
			d := &relay.Demo{Relay: relay.New(acc, opts...), To: "bob@recipient.example"}
			for _, dom := range acc.Domains {
				if d.OwnDomain == "" && dom.Outbound {
					d.OwnDomain = dom.Name
				}
			}
			for _, u := range acc.Users {
				if d.From == "" && u.Deleted.IsZero() && !u.Invalid {
					d.From = u.Address
				}
			}
			for _, c := range acc.Credentials {
				if d.Credential.Username == "" && c.Deleted.IsZero() {
					d.Credential = relay.Credential{Label: c.Label, Username: c.Username}
				}
			}
			return d, nil
		}
	}
	d, err := relay.NewDemo(opts...)
	if err != nil {
		return nil, err
	}
	if f.state != "" {
		if err := saveState(f.state, d.Relay); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func orNone(s string) string { return orElse(s, "(none)") }

func orElse(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}

// watchRelay prints the live view of -v: who said what, and which rule decided.
func (p *program) watchRelay(e relay.Event) {
	x := e.Exchange
	said := ""
	if len(x.Reply.Lines) > 0 {
		said = " -> " + x.Reply.Lines[len(x.Reply.Lines)-1]
	}
	if x.Fault != "" {
		said += " fault " + string(x.Fault)
	}
	command := x.Command
	if command == "" {
		command = "(" + string(x.Stage) + ")"
	}
	why := ""
	if e.Decision.Rule != "" {
		why = fmt.Sprintf(" [%s, %s]", e.Decision.Rule, e.Decision.Basis)
	}
	_, _ = io.WriteString(p.stderr, report.Show(fmt.Sprintf("session %s, port %d: %s%s%s", e.ID, e.Port, command, said, why))+"\n")
}

// findScenario finds a preset by name or id, or by the cause that it shows.
func findScenario(name string) (relay.Scenario, bool) {
	if s, ok := relay.FindScenario(name); ok {
		return s, true
	}
	for _, s := range relay.Scenarios() {
		if len(s.Truth.Causes) > 0 && s.Truth.Causes[0] == name {
			return s, true
		}
	}
	return relay.Scenario{}, false
}

func (p *program) listScenarios() error {
	all := relay.Scenarios()
	if strings.HasPrefix(p.flags.format, "json") {
		return p.writeJSON(all)
	}
	var b strings.Builder
	b.WriteString("presets, each with what a perfect diagnosis says\n")
	for _, s := range all {
		fmt.Fprintf(&b, "  %-4s %-28s %s\n", s.ID, s.Name, s.Title)
		fmt.Fprintf(&b, "  %-4s %-28s %s\n", "", "", strings.TrimSpace(fmt.Sprintf("%s/%s %s", s.Truth.Verdict, s.Truth.Stage, strings.Join(firstFew(s.Truth.Causes, 3), ", "))))
		for _, c := range s.Client() {
			fmt.Fprintf(&b, "  %-4s %-28s the sending system: %s\n", "", "", c)
		}
	}
	b.WriteString("faults of the service and of the road to it\n")
	for _, k := range policy.FaultKinds() {
		fmt.Fprintf(&b, "  %-33s %s\n", strings.TrimSpace(k.Name+" "+k.Args), k.Says)
	}
	if _, err := io.WriteString(p.stdout, b.String()); err != nil {
		return cannotWrite(err)
	}
	return nil
}

func firstFew(all []string, n int) []string {
	if len(all) > n {
		return append(append([]string{}, all[:n]...), "...")
	}
	return all
}

// relayFolder makes the folder of this run: 0700, of the user's own.
func (p *program) relayFolder() (string, error) {
	base, err := p.runtimeDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(base, fmt.Sprintf("relay-%d", os.Getpid()))
	_ = os.RemoveAll(dir)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fail(exitConfig, "cannot make the folder "+dir)
	}
	return dir, nil
}

// runtimeDir is where running relays are found: of the user's own, 0700.
func (p *program) runtimeDir() (string, error) {
	base := p.getenv("XDG_RUNTIME_DIR")
	name := "handoff"
	// The variable outlives its folder in a shell of another user (su, sudo).
	if st, err := os.Stat(base); base == "" || err != nil || !st.IsDir() {
		base, name = os.TempDir(), fmt.Sprintf("handoff-%d", os.Getuid())
	}
	dir := filepath.Join(base, name)
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return "", fail(exitConfig, "cannot make the folder "+dir)
	}
	st, err := os.Lstat(dir)
	if err != nil || !st.IsDir() || st.Mode().Perm()&0o077 != 0 || !ownedByUs(st) {
		return "", fail(exitConfig, dir+" is not a folder that only we can use", "remove it, or set XDG_RUNTIME_DIR")
	}
	return dir, nil
}

// maxState bounds a state file.
const maxState = 16 << 20

// loadState reads an account, and how far its clock was put ahead; nil when there
// is no such file yet.
func loadState(name string, now time.Time) (acc *policy.Account, ahead time.Duration, err error) {
	f, err := os.Open(name)
	if os.IsNotExist(err) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fail(exitConfig, "the state file "+name+" cannot be opened")
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxState))
	if err != nil {
		return nil, 0, fail(exitConfig, "the state file "+name+" cannot be read")
	}
	acc = policy.NewAccount("")
	for i, line := range strings.Split(string(raw), "\n") {
		res, err := policy.Apply(acc, line, now.Add(ahead))
		if err != nil {
			return nil, 0, fail(exitConfig, fmt.Sprintf("%s, line %d: %s", name, i+1, err))
		}
		ahead += res.Advance
	}
	return acc, ahead, nil
}

// saveState writes the account whole, mode 0600.
func saveState(name string, r *relay.Relay) error {
	var acc *policy.Account
	r.Update(func(a *policy.Account, _ time.Time) { acc = a.Clone() })
	ahead := time.Duration(0)
	if m, ok := r.Clock().(*relay.Manual); ok {
		ahead = m.Ahead()
	}
	return writeState(name, acc, ahead)
}

func writeState(name string, acc *policy.Account, ahead time.Duration) error {
	text := "# state of a reference relay; statements of 'handoff relay account'\n"
	if ahead > 0 {
		text += "clock +" + ahead.String() + "\n"
	}
	text += strings.Join(policy.Format(acc), "\n") + "\n"
	s, err := createSink(name)
	if err != nil {
		return err
	}
	defer s.discard()
	if _, err := io.WriteString(s.w, text); err != nil {
		return cannotWrite(err)
	}
	return s.commit()
}

// jsonIndent writes v for people who asked for JSON.
func (p *program) writeJSON(v any) error {
	raw, err := report.Marshal(v, " ")
	if err != nil {
		return err
	}
	if !json.Valid(raw) {
		return errors.New("the output is no JSON")
	}
	if _, err := p.stdout.Write(raw); err != nil {
		return cannotWrite(err)
	}
	return nil
}
