package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/config"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/exporter"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
)

// checksAtOnce bounds how many targets of a configuration are probed at a time.
const checksAtOnce = 16

// checkAll checks every target of the configuration file.
func (p *program) checkAll(ctx context.Context, c *checkFlags) error {
	file, err := config.Load(p.flags.config)
	if err != nil {
		return fail(exitConfig, err.Error())
	}
	if len(file.Targets) == 0 {
		return fail(exitConfig, p.flags.config+" names no targets", "add 'targets:' with a host and a module each")
	}
	if p.reportsBeside() && p.flags.format == "prom" && len(file.Targets) > 1 {
		return usage(exporter.ErrNotOne.Error())
	}
	p.flags.quiet = true
	// A module that cannot be used, as without its password, is the trouble of its
	// own targets only.
	modules, unfit := map[string]*module{}, map[string]error{}
	for _, t := range file.Targets {
		if modules[t.Module] == nil && unfit[t.Module] == nil {
			if modules[t.Module], err = p.compile(ctx, file.Modules[t.Module]); err != nil {
				unfit[t.Module] = err
			}
		}
	}
	results := make([]checked, len(file.Targets))
	var wg sync.WaitGroup
	slots := make(chan struct{}, checksAtOnce)
	for i, t := range file.Targets {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := unfit[t.Module]; err != nil {
				results[i] = checked{name: targetName(t), state: stateUnknown, text: err.Error()}
				return
			}
			results[i] = p.checkTarget(ctx, modules[t.Module], t, c)
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return interrupted()
	}
	if err := p.writeBeside(results); err != nil {
		return err
	}
	state, bad := stateOK, 0
	var perf []string
	for _, r := range results {
		state = worseState(state, r.state)
		if r.state != stateOK {
			bad++
		}
		perf = append(perf, fmt.Sprintf("'%s'=%d;;;0;3", strings.Map(func(r rune) rune {
			if r == '\'' || r == '=' {
				return '_'
			}
			return r
		}, perfText(r.name)), r.state))
	}
	note := ""
	if c.since != "" {
		if note, err = p.since(c.since, results); err != nil {
			return err
		}
		note = "; " + note
	}
	var b strings.Builder
	b.WriteString(pluginLine(state, fmt.Sprintf("%d of %d targets not OK%s", bad, len(results), note), perf))
	for _, r := range results {
		fmt.Fprintf(&b, "%s %s: %s\n", stateNames[r.state], perfText(r.name), perfText(r.text))
	}
	if _, err := io.WriteString(p.stdout, b.String()); err != nil {
		return ended(stateUnknown)
	}
	return result(state)
}

// targetName names a target in the output and in the memory of --since.
func targetName(t config.Target) string { return t.Host + " " + t.Module }

func (p *program) checkTarget(ctx context.Context, m *module, t config.Target, c *checkFlags) (r checked) {
	r = checked{name: targetName(t), state: stateUnknown}
	defer func() {
		if v := recover(); v != nil {
			r.state, r.text = stateUnknown, "internal fault of the check itself"
		}
	}()
	flags := *c
	flags.warning, flags.critical = t.Warning, t.Critical
	l, err := flags.limits()
	if err == nil {
		var j *job
		if j, err = m.job(ctx, t.Host); err == nil {
			l.deadline = min(l.deadline, j.options.Deadline)
			j.options.Deadline = l.deadline
			j.options.Timeout = min(j.options.Timeout, l.deadline)
			j.options.Connect = connectPatience(j.options.Timeout, l.deadline)
			var one *checked
			if one, _, err = p.checkOne(ctx, j, l); err == nil {
				one.name = r.name
				return *one
			}
		}
	}
	r.text = err.Error()
	return r
}

// remembered is what a state file keeps of a check: what a change is worth
// telling of, and nothing that is secret or merely new each time.
type remembered struct {
	State    string            `json:"state"`
	Verdict  string            `json:"verdict"`
	Steps    map[string]string `json:"steps"`    // "587 auth" → "ok 235"
	Findings []string          `json:"findings"` // ids, sorted
	Expires  string            `json:"expires,omitempty"`
	Since    time.Time         `json:"since"` // of this state
}

type memory struct {
	Kind    string                 `json:"kind"`
	Targets map[string]*remembered `json:"targets"`
}

const memoryKind = "handoff-check-state"

// since compares with the last run, remembers this one and says what changed.
func (p *program) since(name string, results []checked) (string, error) {
	old, err := readMemory(name)
	if err != nil {
		return "", err
	}
	now := p.now().UTC().Truncate(time.Second)
	fresh := &memory{Kind: memoryKind, Targets: map[string]*remembered{}}
	var notes []string
	for i := range results {
		r := &results[i]
		cur := remember(r, now)
		was := old.Targets[r.name]
		prefix := ""
		if len(results) > 1 {
			prefix = r.name + ": "
		}
		switch changes := compare(was, cur); {
		case was == nil:
			if len(results) == 1 {
				notes = append(notes, prefix+"no earlier run to compare with")
			}
		case len(changes) == 0:
			cur.Since = was.Since
			if len(results) == 1 {
				notes = append(notes, prefix+"unchanged since "+was.Since.Format(time.RFC3339))
			}
		default:
			if was.State == cur.State {
				cur.Since = was.Since
			}
			notes = append(notes, prefix+"changed: "+strings.Join(changes, ", "))
		}
		fresh.Targets[r.name] = cur
	}
	raw, err := report.Marshal(fresh, " ")
	if err != nil {
		return "", err
	}
	s, err := createSink(name)
	if err != nil {
		return "", err
	}
	defer s.discard()
	if _, err := s.w.Write(raw); err != nil {
		return "", cannotWrite(err)
	}
	if err := s.commit(); err != nil {
		return "", err
	}
	switch {
	case len(old.Targets) == 0 && len(results) > 1:
		notes = []string{"no earlier run to compare with"}
	case len(notes) == 0:
		notes = []string{"nothing has changed"}
	}
	return strings.Join(notes, "; "), nil
}

func readMemory(name string) (*memory, error) {
	m := &memory{}
	f, err := os.Open(name)
	if os.IsNotExist(err) {
		return m, nil
	}
	if err != nil {
		return nil, fail(exitConfig, "cannot read "+name)
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, 16<<20)).Decode(m); err != nil || m.Kind != memoryKind {
		return nil, fail(exitConfig, name+" is not a file of 'handoff check --since'", "name another file, this one is left alone")
	}
	return m, nil
}

func remember(r *checked, now time.Time) *remembered {
	c := &remembered{State: stateNames[r.state], Steps: map[string]string{}, Findings: []string{}, Since: now}
	if r.rep == nil {
		return c
	}
	c.Verdict = string(r.rep.Verdict.Code)
	for i := range r.rep.Sessions {
		s := &r.rep.Sessions[i]
		for _, x := range report.Cells(s) {
			word := x.Status
			if x.Step != nil && x.Step.Reply != nil && x.Step.Reply.Code != 0 {
				word += fmt.Sprintf(" %d", x.Step.Reply.Code)
			}
			if x.Step != nil && x.Step.Fault != "" {
				word += " " + x.Step.Fault
			}
			key := fmt.Sprintf("%d %s", s.Port, x.Stage)
			if _, told := c.Steps[key]; !told {
				c.Steps[key] = word
			}
		}
		if len(s.TLS.NotAfter) >= 10 && c.Expires == "" {
			c.Expires = s.TLS.NotAfter[:10]
		}
	}
	for i := range r.rep.Findings {
		if id := r.rep.Findings[i].ID; !slices.Contains(c.Findings, id) {
			c.Findings = append(c.Findings, id)
		}
	}
	slices.Sort(c.Findings)
	return c
}

// compare names what differs by meaning, in the order of the road.
func compare(was, is *remembered) []string {
	if was == nil {
		return nil
	}
	var out []string
	if was.State != is.State {
		out = append(out, was.State+" to "+is.State)
	}
	if was.Verdict != is.Verdict {
		out = append(out, orElse(was.Verdict, "no verdict")+" to "+orElse(is.Verdict, "no verdict"))
	}
	var ports []int
	for k := range is.Steps {
		var port int
		if _, err := fmt.Sscan(k, &port); err == nil && !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	slices.Sort(ports)
	for _, port := range ports {
		for _, stage := range []transcript.Stage{
			transcript.StageResolve, transcript.StageConnect, transcript.StageGreet, transcript.StageEHLO,
			transcript.StageTLS, transcript.StageAuth, transcript.StageEnvelope,
		} {
			key := fmt.Sprintf("%d %s", port, stage)
			if a, b := was.Steps[key], is.Steps[key]; a != b && a != "" && b != "" {
				out = append(out, fmt.Sprintf("%s %s to %s", key, a, b))
				break // what follows are consequences
			}
		}
	}
	for _, id := range is.Findings {
		if !slices.Contains(was.Findings, id) {
			out = append(out, "new finding "+id)
		}
	}
	for _, id := range was.Findings {
		if !slices.Contains(is.Findings, id) {
			out = append(out, "no longer "+id)
		}
	}
	if was.Expires != is.Expires && was.Expires != "" && is.Expires != "" {
		out = append(out, "another certificate, until "+is.Expires)
	}
	return out
}
