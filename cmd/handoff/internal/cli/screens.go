package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/mailbox"
	"github.com/smtp-handoff/handoff/analyze/ndr"
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
	res, err := tui.Start(ctx, tui.Options{Backend: b, Version: version(), Now: p.now, First: len(b.History()) == 0})
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
	relay     *relay.Relay    // the reference relay of this run; nil: not made yet
	account   *policy.Account // that it serves
	client    policy.Client   // the sending system that the presets need
	clock     *relay.Manual   // of the relay
	listening bool            // it has ports on loopback; else it is in memory
	since     time.Time       // when it began to listen
	presets   []string        // that are on
	scenarios []tui.Scenario  // all of them
	runs      []tui.Run
	loaded    bool
}

func (b *backend) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop()
}

// Probe implements tui.Backend.
func (b *backend) Probe(ctx context.Context, f tui.Form, observe func(probe.Event)) (tui.Run, error) {
	j, err := b.jobOf(ctx, f)
	if err != nil {
		return tui.Run{}, err
	}
	j.options.Observe = observe
	began := b.p.now()
	rep, res, err := b.p.runJob(ctx, j)
	if err != nil {
		return tui.Run{}, err
	}
	return b.ran(f, rep, res, began), nil
}

// ran is what a probe of the form leaves.
func (b *backend) ran(f tui.Form, rep *analyze.Report, res *probe.Result, began time.Time) tui.Run {
	f.Password = ""
	run := tui.Run{Report: rep, Sessions: res.Sessions, Took: res.Took, When: began, Form: f}
	if f.Bundled && rep.Verdict.Status == analyze.Problem {
		run.LiveAt = b.liveAt()
	}
	return run
}

// jobOf is the probe that the form asks for.
func (b *backend) jobOf(ctx context.Context, f tui.Form) (*job, error) {
	pf := &probeFlags{
		host: f.Host, intent: string(f.Intent), helo: f.HELO, mechanism: "auto", stopAfter: string(f.StopAfter),
		timeout: cmp.Or(f.Timeout, tui.StepLimit), deadline: 2 * time.Minute, retryWait: time.Minute, insecureTLS: f.SkipVerify,
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
	if f.MadeAgo > 0 {
		pf.facts = []string{"credential-age=" + f.MadeAgo.String()}
	}
	if f.Bundled {
		b.mu.Lock()
		err := b.open(false)
		r, c := b.relay, b.client
		b.mu.Unlock()
		if err != nil {
			return nil, errors.New("the bundled relay does not start")
		}
		return b.p.jobFor(ctx, pf, r, &c)
	}
	j, err := b.p.job(ctx, pf)
	if err == nil && f.User != "" {
		j.plan.Credential = probe.NewCredential(f.Host, f.User, f.Password)
	}
	return j, err
}

// Analyze implements tui.Backend.
func (b *backend) Analyze(_ context.Context, text []byte, source string) (tui.Run, error) {
	began := b.p.now()
	x, err := b.p.explainer()
	if err != nil {
		return tui.Run{}, err
	}
	rep := analyze.Analyze(text, analyze.Options{Source: source, Explainer: x})
	return tui.Run{Report: rep, Text: string(maskedText(text)), When: began, Took: b.p.now().Sub(began)}, nil
}

// maxTexts bounds the texts that the reports of a folder keep for the screen.
const maxTexts = 128 << 20

// AnalyzePath implements tui.Backend.
func (b *backend) AnalyzePath(ctx context.Context, path string, each func(tui.Run)) error {
	x, err := b.p.explainer()
	if err != nil {
		return err
	}
	room := maxTexts
	messages := mailbox.Walk(ctx, []string{path}, mailbox.Options{})
	type read struct {
		run tui.Run
		err error
	}
	for r := range mailbox.Map(ctx, messages, 0, func(m mailbox.Message) *read {
		a := judgeMessage(&m, analyze.Options{Explainer: x}, false)
		run := tui.Run{Report: a.report, When: b.p.now()}
		if len(m.Data) <= maxWithLines && m.Line <= 1 { // of a part of a large file the lines count differently
			run.Text = string(maskedText(m.Data))
		}
		return &read{run, a.err}
	}) {
		if r.err != nil {
			return r.err
		}
		if room -= len(r.run.Text); room < 0 {
			r.run.Text = ""
		}
		each(r.run)
	}
	return ctx.Err()
}

// maxHops bounds the text whose returned headers are read for a picture.
const maxHops = 256 << 10

// Hops implements tui.Backend.
func (b *backend) Hops(text string) []tui.Hop {
	var out []tui.Hop
	for _, c := range ndr.Read([]byte(text[:min(len(text), maxHops)])) {
		for _, h := range c.Hops {
			out = append(out, tui.Hop{From: orElse(h.From.Host, h.From.Address), By: orElse(h.By.Host, h.By.Address)})
		}
		if len(out) > 0 {
			break // the picture is of the first outcome
		}
	}
	return out
}

// Markdown implements tui.Backend.
func (b *backend) Markdown(r tui.Run, strictly bool) string {
	out, lines := r.Report, b.lines(r)
	if strictly {
		out, lines, _ = strict(r.Report, lines, nil)
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
	same := probeFlags{host: f.Host, helo: f.HELO, user: f.User}
	if f.From != "" {
		same.from = []string{f.From}
	}
	if f.To != "" {
		same.to = []string{f.To}
	}
	if f.User != "" {
		words = append(words, "--user", shellQuote(f.User), "--password-stdin")
	}
	same.stopAfter = "envelope"
	return []string{strings.Join(words, " "), same.swaks(587, ""), same.openssl(587, "")}
}

// Export implements tui.Backend.
func (b *backend) Export(r tui.Run) (string, error) {
	raw := r.Report.AppendJSON(nil)
	base := "handoff-" + r.When.Format("20060102-150405")
	if _, err := b.keep("reports", base+".json", append(raw, '\n')); err != nil {
		return "", err
	}
	return b.keep("reports", base+".md", []byte(b.Markdown(r, false)))
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
