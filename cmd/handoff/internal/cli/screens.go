package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/mailbox"
	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/tui"
	"github.com/smtp-handoff/handoff/probe"
	"github.com/smtp-handoff/handoff/probe/relay"
)

// openScreens runs the terminal program and leaves the last verdict on the
// normal screen.
func openScreens(ctx context.Context, p *program) error {
	b := &backend{p: p}
	defer b.close()
	res, err := tui.Start(ctx, tui.Options{Backend: b, Version: version(), Now: p.now})
	if res.Last != nil && res.Last.Report != nil {
		w, werr := report.New(p.stdout, report.Text, report.Options{Quiet: true, Color: report.ColorFor(p.stdout, p.flags.color, p.getenv)})
		if werr == nil {
			_ = w.Write(res.Last.Report, nil)
			_ = w.Close()
		}
	}
	if res.Written != "" {
		fmt.Fprintln(p.stdout, "written: "+report.Show(res.Written))
	}
	if err != nil && ctx.Err() == nil {
		return fail(exitBug, "the terminal could not be used", "'handoff --no-tui' does the same line by line")
	}
	if res.Last != nil && res.Last.Report != nil {
		if code := analyze.ExitCode(res.Last.Report); code != 0 {
			return result(code)
		}
	}
	return nil
}

// backend does the work behind the screens.
type backend struct {
	p         *program
	mu        sync.Mutex
	relay     *relay.Relay  // the reference relay of this run; nil: not made yet
	client    policy.Client // the sending system that the presets need
	listening bool          // it has ports on loopback; else it is in memory
	since     time.Time
	presets   []string // that are on
	runs      []tui.Run
	loaded    bool
}

func (b *backend) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop()
}

func (b *backend) drop() {
	if b.relay != nil {
		b.relay.Close()
		b.relay = nil
	}
}

// open makes the relay with its presets unless there is one: in memory for
// probes from here, or with ports on loopback for other programs, on the usual
// ones if they are free.
func (b *backend) open(listen bool) error {
	if b.relay != nil && (b.listening || !listen) {
		return nil
	}
	b.drop()
	var presets []relay.Scenario
	for _, name := range b.presets {
		s, ok := findScenario(name)
		if !ok {
			return noScenario(name)
		}
		presets = append(presets, s)
	}
	now := b.p.now()
	w, err := relay.World(now, presets...)
	if err != nil {
		return err
	}
	ways := [][]relay.Option{{relay.InMemory()}}
	if listen {
		ways = [][]relay.Option{
			{relay.Listen(relay.PortServer, "127.0.0.1:2525"), relay.Listen(relay.PortAuth, "127.0.0.1:2587")},
			{relay.Listen(relay.PortServer, "127.0.0.1:0"), relay.Listen(relay.PortAuth, "127.0.0.1:0")},
		}
	}
	for _, opts := range ways {
		r := relay.New(w.Account, append(opts, relay.WithClock(relay.NewOffset()))...)
		if err = r.Start(); err == nil {
			b.relay, b.client, b.listening, b.since = r, w.Client, listen, now
			return nil
		}
	}
	return err
}

// Probe implements tui.Backend.
func (b *backend) Probe(ctx context.Context, f tui.Form, observe func(probe.Event)) (tui.Run, error) {
	pf := &probeFlags{
		host: f.Host, intent: string(f.Intent), helo: f.HELO, mechanism: "auto", stopAfter: string(f.StopAfter),
		timeout: 30 * time.Second, deadline: 2 * time.Minute, retryWait: time.Minute, insecureTLS: f.SkipVerify,
	}
	if f.Port25 {
		pf.ports = append(pf.ports, relay.PortServer)
	}
	if f.Port587 {
		pf.ports = append(pf.ports, relay.PortAuth)
	}
	if f.From != "" {
		pf.from = []string{f.From}
	}
	if f.To != "" {
		pf.to = []string{f.To}
	}
	var j *job
	var err error
	if f.Bundled {
		b.mu.Lock()
		err = b.open(false)
		r, c := b.relay, b.client
		b.mu.Unlock()
		if err != nil {
			return tui.Run{}, errors.New("the bundled relay does not start")
		}
		j, err = b.p.jobFor(ctx, pf, r, &c)
	} else if j, err = b.p.job(ctx, pf); err == nil && f.User != "" {
		j.plan.Credential = probe.NewCredential(f.Host, f.User, f.Password)
	}
	if err != nil {
		return tui.Run{}, err
	}
	j.options.Observe = observe
	began := b.p.now()
	rep, res, err := b.p.runJob(ctx, j)
	if err != nil {
		return tui.Run{}, err
	}
	f.Password = ""
	return tui.Run{Report: rep, Sessions: res.Sessions, Took: res.Took, When: began, Form: f}, nil
}

// Analyze implements tui.Backend.
func (b *backend) Analyze(_ context.Context, text []byte, source string) (tui.Run, error) {
	began := b.p.now()
	rep := analyze.Analyze(text, analyze.Options{Source: source})
	return tui.Run{Report: rep, Text: string(maskedText(text)), When: began, Took: b.p.now().Sub(began)}, nil
}

// AnalyzePath implements tui.Backend.
func (b *backend) AnalyzePath(ctx context.Context, path string, each func(tui.Run)) error {
	messages := mailbox.Walk(ctx, []string{path}, mailbox.Options{})
	type read struct {
		run tui.Run
		err error
	}
	for r := range mailbox.Map(ctx, messages, 0, func(m mailbox.Message) *read {
		a := judgeMessage(&m, analyze.Options{}, false)
		run := tui.Run{Report: a.report, When: b.p.now()}
		if len(m.Data) <= maxWithLines && m.Line <= 1 { // of a part of a large file the lines count differently
			run.Text = string(maskedText(m.Data))
		}
		return &read{run, a.err}
	}) {
		if r.err != nil {
			return r.err
		}
		each(r.run)
	}
	return ctx.Err()
}

// Markdown implements tui.Backend.
func (b *backend) Markdown(r tui.Run, finding int, strictly bool) string {
	rep := *r.Report
	if finding >= 0 && finding < len(rep.Findings) {
		rep.Findings = rep.Findings[finding : finding+1]
		rep.Outcomes, rep.Sessions, rep.Causes, rep.NextTests = nil, nil, nil, nil
	}
	out, lines := &rep, b.lines(r)
	if strictly {
		out, lines, _ = strict(&rep, lines, nil)
	}
	var buf bytes.Buffer
	w, err := report.New(&buf, report.Markdown, report.Options{Version: version()})
	if err != nil {
		return ""
	}
	_ = w.Write(out, lines)
	_ = w.Close()
	return buf.String()
}

func (b *backend) lines(r tui.Run) report.Lines {
	if len(r.Sessions) > 0 {
		return sessionLines(r.Sessions)
	}
	text := strings.Split(strings.ReplaceAll(strings.ReplaceAll(r.Text, "\r\n", "\n"), "\r", "\n"), "\n")
	return func(port, line int) (string, bool) {
		if port != 0 || line < 1 || line > len(text) || r.Text == "" {
			return "", false
		}
		return text[line-1], true
	}
}

// Commands implements tui.Backend.
func (b *backend) Commands(f tui.Form) []string {
	if f.Bundled {
		return []string{"handoff probe --bundled"}
	}
	words := []string{"handoff", "probe", shellQuote(f.Host), "--intent", string(f.Intent)}
	add := func(flag, value string) {
		if value != "" {
			words = append(words, flag, shellQuote(value))
		}
	}
	add("--helo", f.HELO)
	add("--from", f.From)
	add("--to", f.To)
	swaks := "swaks --server " + shellQuote(f.Host) + " --port 587 --tls --tls-verify --quit-after RCPT"
	for _, x := range [][2]string{{" --ehlo ", f.HELO}, {" --from ", f.From}, {" --to ", f.To}} {
		if x[1] != "" {
			swaks += x[0] + shellQuote(x[1])
		}
	}
	if f.User != "" {
		words = append(words, "--user", shellQuote(f.User), "--password-stdin")
		swaks += " --auth PLAIN --auth-user " + shellQuote(f.User) // swaks asks for the password
	}
	return []string{
		strings.Join(words, " "), swaks,
		"openssl s_client -starttls smtp -crlf -quiet -connect " + shellQuote(f.Host+":587") + " -servername " + shellQuote(f.Host),
	}
}

// Export implements tui.Backend.
func (b *backend) Export(r tui.Run) (string, error) {
	raw := r.Report.AppendJSON(nil)
	base := "handoff-" + r.When.Format("20060102-150405")
	if _, err := b.keep("reports", base+".json", append(raw, '\n')); err != nil {
		return "", err
	}
	return b.keep("reports", base+".md", []byte(b.Markdown(r, -1, false)))
}

// SaveCopy implements tui.Backend.
func (b *backend) SaveCopy(text string) (string, error) {
	return b.keep("reports", "copy-"+b.p.now().Format("20060102-150405.000")+".md", []byte(text))
}

// keep writes a file of the user's own under the state folder.
func (b *backend) keep(folder, name string, content []byte) (string, error) {
	dir, err := b.p.stateFolder(folder)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return "", errors.New("cannot write " + path)
	}
	return path, nil
}

// stateFolder is a folder under $XDG_STATE_HOME, 0700.
func (p *program) stateFolder(name string) (string, error) {
	base := p.getenv("XDG_STATE_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", errors.New("no home folder; set XDG_STATE_HOME")
		}
		base = filepath.Join(home, ".local", "state")
	}
	dir := filepath.Join(base, "handoff", name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", errors.New("cannot make " + dir)
	}
	return dir, nil
}

// RelayStart implements tui.Backend.
func (b *backend) RelayStart() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open(true) != nil {
		return errors.New("it cannot listen on loopback")
	}
	return nil
}

// RelayStop implements tui.Backend.
func (b *backend) RelayStop() error {
	b.close()
	return nil
}

// RelayState implements tui.Backend.
func (b *backend) RelayState() tui.Relay {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := tui.Relay{Faults: b.presets}
	if b.relay == nil {
		return s
	}
	r := b.relay
	if b.listening {
		s.Running, s.Since, s.From = true, b.since, b.client.Sender
		s.Addresses = map[int]string{relay.PortServer: r.Addr(relay.PortServer), relay.PortAuth: r.Addr(relay.PortAuth)}
		s.Username, s.Password = b.client.Username, b.client.Password
	}
	s.Clock = r.Clock().Now()
	for _, rec := range r.Log() {
		s.Log = append(s.Log, logEntry(rec))
	}
	r.Update(func(a *policy.Account, _ time.Time) { s.Settings = policy.Format(a) })
	return s
}

// RelayScenarios implements tui.Backend.
func (b *backend) RelayScenarios() []tui.Scenario {
	var out []tui.Scenario
	for _, s := range relay.Scenarios() {
		out = append(out, tui.Scenario{Name: s.Name, Title: s.Title})
	}
	return out
}

// logEntry is a record of the relay's log as the Relay screen shows it.
func logEntry(rec relay.Record) tui.RelayEntry {
	e := tui.RelayEntry{ID: rec.ID, Port: rec.Session.Port, Client: rec.Session.Address, Session: rec.Session}
	for _, d := range rec.Decisions {
		cite := d.Note
		if row, ok := policy.Rule(d.Rule); ok {
			cite = strings.TrimSpace(d.Basis + ": " + row.Says)
		}
		e.Rules, e.Cites = append(e.Rules, string(d.Rule)), append(e.Cites, cite)
	}
	return e
}

// RelaySet implements tui.Backend.
func (b *backend) RelaySet(names []string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.presets = slices.Clone(names)
	listen := b.relay != nil && b.listening
	b.drop()
	return b.open(listen)
}

// RelayCommand implements tui.Backend.
func (b *backend) RelayCommand(statement string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.open(false); err != nil {
		return "", err
	}
	res, err := b.relay.Apply(statement)
	if err != nil {
		return "", err
	}
	lines := res.Lines
	if res.Shown != nil {
		lines = append(lines, "user "+res.Shown.Username+"  password "+res.Shown.Password+"  (shown this once)")
	}
	if res.Advance > 0 {
		lines = append(lines, "the relay's clock is "+b.relay.Clock().Now().Format("15:04:05")+" now")
	}
	return strings.Join(lines, "\n"), nil
}

// maxHistory is how many runs are kept.
const maxHistory = 50

// keptRun is a run in the history file: without text, without secrets.
type keptRun struct {
	When   time.Time       `json:"when"`
	Took   time.Duration   `json:"took"`
	Report *analyze.Report `json:"report"`
}

// History implements tui.Backend.
func (b *backend) History() []tui.Run {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.load()
	return slices.Clone(b.runs)
}

func (b *backend) load() {
	if b.loaded {
		return
	}
	b.loaded = true
	dir, err := b.p.stateFolder("history")
	if err != nil {
		return
	}
	f, err := os.Open(filepath.Join(dir, "runs.json"))
	if err != nil {
		return
	}
	defer f.Close()
	var all []keptRun
	if json.NewDecoder(io.LimitReader(f, 64<<20)).Decode(&all) != nil {
		return
	}
	for _, r := range all[:min(len(all), maxHistory)] {
		if r.Report != nil {
			b.runs = append(b.runs, tui.Run{When: r.When, Took: r.Took, Report: r.Report})
		}
	}
}

// Remember implements tui.Backend. A history that cannot be written is no
// reason to stop: the run is still on the screen.
func (b *backend) Remember(r tui.Run) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.load()
	b.runs = append([]tui.Run{r}, b.runs...)
	b.runs = b.runs[:min(len(b.runs), maxHistory)]
	all := make([]keptRun, 0, len(b.runs))
	for _, run := range b.runs {
		all = append(all, keptRun{run.When, run.Took, run.Report})
	}
	raw, err := json.Marshal(all)
	if err != nil {
		return
	}
	dir, err := b.p.stateFolder("history")
	if err != nil {
		return
	}
	tmp, err := os.CreateTemp(dir, "runs-*.tmp") // 0600
	if err != nil {
		return
	}
	defer os.Remove(tmp.Name())
	_, werr := tmp.Write(raw)
	if cerr := tmp.Close(); werr == nil && cerr == nil {
		_ = os.Rename(tmp.Name(), filepath.Join(dir, "runs.json"))
	}
}
