package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/cmd/handoff/internal/config"
	"github.com/smtp-handoff/handoff/probe"
)

// module is a module of the configuration, ready to probe: its files are read
// and its flags checked once, not at every probe.
type module struct {
	config   *config.Module
	base     job
	password string // when it does not come from a file, which is read anew each time
	odd      []config.Oddity
}

// compile checks a module and reads what it names.
func (p *program) compile(ctx context.Context, m *config.Module) (*module, error) {
	j, err := p.job(ctx, moduleFlags(m))
	if err != nil {
		return nil, moduleProblem(m, err)
	}
	c := &module{config: m, base: *j}
	if m.HasCredential() {
		// A first read shows mistakes at the start; a file may change later.
		if c.password, c.odd, err = m.Secret().Read(ctx); err != nil {
			return nil, moduleProblem(m, err)
		}
	}
	// What a probe would refuse at each scrape is told at the start.
	target, plan := j.target, j.plan
	if target.Host = "relay.invalid"; !c.open() {
		target.Host = m.Targets[0]
	}
	if m.HasCredential() {
		plan.Credential = probe.NewCredential(target.Host, m.User, c.password)
	}
	if err := probe.Check(target, plan, j.options); err != nil {
		return nil, moduleProblem(m, errors.New(strings.TrimPrefix(err.Error(), "probe: ")))
	}
	return c, nil
}

// moduleProblem says what is wrong with a module, and where it stands.
func moduleProblem(m *config.Module, err error) error {
	text := fmt.Sprintf("module %q: %s", m.Name, err)
	if m.Line > 0 {
		text = fmt.Sprintf("line %d: %s", m.Line, text)
	}
	return fail(exitConfig, text)
}

// job makes a probe of a host. The credential goes to hosts that the module
// names and to no other.
func (c *module) job(ctx context.Context, host string) (*job, error) {
	if !c.config.Allows(host) {
		return nil, fmt.Errorf("module %q may not be asked to probe %q", c.config.Name, host)
	}
	j := c.base
	j.target.Host = host
	j.names = newNames(c.base.names.client)
	j.options.Resolver = j.names.client
	if c.config.HasCredential() {
		password := c.password
		j.odd = c.odd
		if c.config.File != "" {
			var err error
			if password, j.odd, err = c.config.Secret().Read(ctx); err != nil {
				return nil, fail(exitConfig, fmt.Sprintf("module %q: %s", c.config.Name, err))
			}
		}
		j.plan.Credential = probe.NewCredential(host, c.config.User, password)
	}
	return &j, nil
}

// open reports whether any host may be asked for.
func (c *module) open() bool {
	t := c.config.Targets
	return len(t) == 0 || len(t) == 1 && t[0] == "*"
}

// moduleFlags are the probe's flags as a module of the configuration sets them.
func moduleFlags(m *config.Module) *probeFlags {
	f := &probeFlags{
		ports: m.Ports, intent: orElse(m.Intent, "auth"), helo: m.HELO, mechanism: orElse(m.Mechanism, "auto"),
		from: m.From, to: m.To, ourDomains: m.OurDomains, relayDomains: m.RelayDomains, stopAfter: orElse(m.StopAfter, "envelope"), ca: m.CAFile,
		timeout: 30 * time.Second, deadline: 2 * time.Minute, only4: m.IPVersion == 4, only6: m.IPVersion == 6, source: m.Source,
		retryWait: time.Minute, noNames: true,
	}
	if len(f.ports) == 0 {
		f.ports = config.DefaultPorts
	}
	if m.Timeout > 0 {
		f.timeout = time.Duration(m.Timeout)
	}
	if m.Deadline > 0 {
		f.deadline = time.Duration(m.Deadline)
	}
	for _, port := range f.ports {
		if a := m.Connect[port]; a != "" {
			f.connect = append(f.connect, fmt.Sprintf("%d=%s", port, a))
		}
	}
	return f
}
