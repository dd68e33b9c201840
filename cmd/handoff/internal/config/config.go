// Package config reads the configuration file: default values of flags, the
// modules that a scrape or a scheduled check may ask for, and the targets that
// 'handoff check --config' visits. It is strict: an unknown key, a wrong value
// or a contradiction is an error that names its line.
//
// It also reads passwords from where they are kept (see Secret). It opens no
// connection and probes nothing.
package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Limits of a configuration file; thousands of modules and targets fit.
const (
	maxBytes      = 1 << 20
	maxComplaints = 50 // told; more of the same help nobody
)

// File is a configuration file as read and checked.
type File struct {
	// Defaults are values of flags by their long name; a list gives a
	// repeatable flag several values.
	Defaults map[string]List `yaml:"defaults"`
	// Modules say how to probe, by name.
	Modules map[string]*Module `yaml:"modules"`
	// Targets are visited by 'handoff check --config' in this order.
	Targets []Target `yaml:"targets"`
	// Warnings are worth telling and no error, as a password in the file.
	Warnings []string `yaml:"-"`

	lines map[string]int // of the names in Defaults
}

// Module is one way to probe.
type Module struct {
	Name       string `yaml:"-"`
	Line       int    `yaml:"-"`      // where it stands in the file; 0: in none
	Intent     string `yaml:"intent"` // auth (default), server, both
	Ports      []int  `yaml:"ports"`  // default 25, 587
	HELO       string `yaml:"helo"`
	User       string `yaml:"user"`
	Password   string `yaml:"password"` // works, with a warning
	File       string `yaml:"password_file"`
	Command    string `yaml:"password_command"`
	Env        string `yaml:"password_env"`
	Mechanism  string `yaml:"auth_mechanism"`
	From       List   `yaml:"from"`
	To         List   `yaml:"to"`
	OurDomains List   `yaml:"our_domains"`
	// RelayDomains are domains of relays beside ppe-hosted.com.
	RelayDomains List           `yaml:"relay_domains"`
	StopAfter    string         `yaml:"stop_after"`
	Timeout      Duration       `yaml:"timeout"`  // of one step
	Deadline     Duration       `yaml:"deadline"` // of the whole probe
	CAFile       string         `yaml:"ca_file"`
	Connect      map[int]string `yaml:"connect"`
	IPVersion    int            `yaml:"ip_version"` // 4, 6 or 0 for both
	Source       string         `yaml:"source"`
	// Targets are the only hosts this module may be asked to probe; "*" alone
	// opens it to all. A module that holds a credential must name its hosts.
	Targets List `yaml:"targets"`
}

// Target is one thing to check on schedule.
type Target struct {
	Host   string `yaml:"host"`
	Module string `yaml:"module"`
	// Warning and Critical are thresholds of the whole run in seconds, in the
	// range grammar of monitoring plugins.
	Warning  string `yaml:"warning"`
	Critical string `yaml:"critical"`
}

// List is a value or a list of values.
type List []string

// UnmarshalYAML takes a scalar or a sequence of scalars.
func (l *List) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*l = List{n.Value}
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: a value or a list of values is expected", n.Line)}}
	}
	*l = List{}
	for _, x := range n.Content {
		if x.Kind != yaml.ScalarNode {
			return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: a plain value is expected", x.Line)}}
		}
		*l = append(*l, x.Value)
	}
	return nil
}

// Duration is a time such as 10s or 2m.
type Duration time.Duration

// UnmarshalYAML takes what time.ParseDuration takes.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := time.ParseDuration(n.Value)
	if err != nil || v <= 0 {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: %q is no duration above 0; write 10s or 2m", n.Line, n.Value)}}
	}
	*d = Duration(v)
	return nil
}

// Load reads and checks a file. All that is wrong with it is told at once, a
// line each.
func Load(name string) (*File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxBytes {
		return nil, fmt.Errorf("%s: more than %d bytes", name, maxBytes)
	}
	c, err := Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// Parse checks the text of a file.
func Parse(raw []byte) (*File, error) {
	var tree yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	if err := dec.Decode(&tree); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("only one document is expected")
	}
	k := &checker{tree: &tree, file: &File{}}
	if weigh(&tree, map[*yaml.Node]*weight{}).over() {
		return nil, errors.New("more keys or more aliases than a configuration has")
	}
	if k.keys(&tree); len(k.wrong) > 0 {
		return nil, k.problem()
	}
	dec = yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	if err := dec.Decode(k.file); err != nil && !errors.Is(err, io.EOF) {
		var t *yaml.TypeError
		if !errors.As(err, &t) {
			return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
		}
		rows := make([]string, len(t.Errors))
		for i, e := range t.Errors {
			rows[i] = plainly(e)
		}
		return nil, told(rows)
	}
	if k.check(); len(k.wrong) > 0 {
		return nil, k.problem()
	}
	return k.file, nil
}

// told makes one error of the lines, the first of them at least.
func told(rows []string) error {
	if n := len(rows) - maxComplaints; n > 0 {
		rows = append(rows[:maxComplaints:maxComplaints], fmt.Sprintf("and %d more", n))
	}
	return errors.New(strings.Join(rows, "\n"))
}

// plainly says an unknown key without the name of a Go type.
func plainly(e string) string {
	if at, rest, ok := strings.Cut(e, ": field "); ok {
		if key, _, ok := strings.Cut(rest, " not found in type "); ok {
			return at + ": there is no key " + strconv.Quote(key) + " here"
		}
	}
	return e
}

type complaint struct {
	line int
	text string
}

// checker looks at what the types cannot say.
type checker struct {
	tree  *yaml.Node
	file  *File
	wrong []complaint
}

// problem is what has been found wrong, a line each, in the order of the file.
func (k *checker) problem() error {
	slices.SortStableFunc(k.wrong, func(a, b complaint) int { return cmp.Compare(a.line, b.line) })
	rows := make([]string, len(k.wrong))
	for i, w := range k.wrong {
		rows[i] = fmt.Sprintf("line %d: %s", w.line, w.text)
	}
	return told(rows)
}

// keys looks for keys that stand twice in a mapping, and for empty entries of a
// list, which the library drops. Aliases are not followed: what they stand
// for is looked at where it is written.
func (k *checker) keys(n *yaml.Node) {
	if n.Kind == yaml.MappingNode {
		first := make(map[string]int, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode {
				continue
			}
			if line, twice := first[key.Value]; twice {
				k.wrong = append(k.wrong, complaint{key.Line, fmt.Sprintf("the key %q stands here already, in line %d", key.Value, line)})
			} else {
				first[key.Value] = key.Line
			}
		}
	}
	for _, c := range n.Content {
		if n.Kind == yaml.SequenceNode && c.Tag == "!!null" {
			k.wrong = append(k.wrong, complaint{c.Line, "an entry with nothing in it"})
		}
		k.keys(c)
	}
}

func (k *checker) bad(path []string, format string, args ...any) {
	line := math.MaxInt
	if len(k.wrong) < 10*maxComplaints { // finding a line costs a walk
		line = k.line(path)
	}
	k.wrong = append(k.wrong, complaint{line, fmt.Sprintf(format, args...)})
}

// line finds where a path stands; a missing end of it gives the line of what is
// there.
func (k *checker) line(path []string) int {
	n := k.tree
	if n.Kind == yaml.DocumentNode && len(n.Content) > 0 {
		n = n.Content[0]
	}
	line := n.Line
	for _, p := range path {
		found := false
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == p {
					line, n, found = n.Content[i].Line, n.Content[i+1], true
					break
				}
			}
		case yaml.SequenceNode:
			if i, err := strconv.Atoi(p); err == nil && i < len(n.Content) {
				n, found = n.Content[i], true
				line = n.Line
			}
		}
		if !found {
			break
		}
	}
	return line
}

func (k *checker) check() {
	k.file.lines = map[string]int{}
	for name := range k.file.Defaults {
		k.file.lines[name] = k.line([]string{"defaults", name})
	}
	for _, name := range sorted(k.file.Modules) {
		m := k.file.Modules[name]
		if m == nil {
			m = &Module{}
			k.file.Modules[name] = m
		}
		m.Name, m.Line = name, k.line([]string{"modules", name})
		k.module(m)
	}
	seen := map[Target]int{}
	for i, t := range k.file.Targets {
		at := []string{"targets", strconv.Itoa(i)}
		same := Target{Host: canonical(t.Host), Module: t.Module}
		if first, twice := seen[same]; twice && t.Host != "" {
			k.bad(at, "this host and module are a target already, in line %d", first)
		} else {
			seen[same] = k.line(at)
		}
		for _, x := range []struct{ key, text string }{{"warning", t.Warning}, {"critical", t.Critical}} {
			if _, err := ParseThreshold(x.text); err != nil {
				k.bad([]string{at[0], at[1], x.key}, "%s: %v", x.key, err)
			}
		}
		if t.Host == "" {
			k.bad(at, "a target needs a host")
		}
		m := k.file.Modules[t.Module]
		switch {
		case t.Module == "":
			k.bad(at, "a target needs a module")
		case m == nil:
			k.bad(append(at, "module"), "there is no module %q", t.Module)
		case t.Host != "" && !m.Allows(t.Host):
			k.bad(append(at, "host"), "module %q may not be asked to probe %q: its targets do not name it", t.Module, t.Host)
		}
	}
}

// DefaultPorts are the ports of a module that names none.
var DefaultPorts = []int{25, 587}

var (
	intents    = []string{"auth", "server", "both"}
	mechanisms = []string{"auto", "plain", "login", "cram-md5", "xoauth2"}
	stops      = []string{"connect", "greet", "ehlo", "tls", "auth", "envelope"}
)

func (k *checker) module(m *Module) {
	at := func(key string) []string { return []string{"modules", m.Name, key} }
	oneOf := func(key, value string, all []string) {
		if value != "" && !slices.Contains(all, value) {
			k.bad(at(key), "%s is one of %s, not %q", key, strings.Join(all, ", "), value)
		}
	}
	oneOf("intent", m.Intent, intents)
	oneOf("auth_mechanism", m.Mechanism, mechanisms)
	if m.StopAfter == "data" {
		k.bad(at("stop_after"), "a probe that is repeated by a machine delivers nothing; stop_after goes up to envelope")
	} else {
		oneOf("stop_after", m.StopAfter, stops)
	}
	for i, p := range m.Ports {
		if p < 1 || p > 65535 {
			k.bad(at("ports"), "%d is no port", p)
		} else if slices.Contains(m.Ports[:i], p) {
			k.bad(at("ports"), "ports names %d twice", p)
		}
	}
	for _, p := range slices.Sorted(maps.Keys(m.Connect)) {
		addr := m.Connect[p]
		ports := m.Ports
		if len(ports) == 0 {
			ports = DefaultPorts
		}
		host, port, err := net.SplitHostPort(addr)
		if n, e := strconv.Atoi(port); err != nil || host == "" || e != nil || n < 1 || n > 65535 || p < 1 || p > 65535 {
			k.bad(at("connect"), "connect maps a port to ADDRESS:PORT, not %d to %q", p, addr)
		} else if !slices.Contains(ports, p) {
			k.bad(at("connect"), "connect names port %d, which is not among ports", p)
		}
	}
	if m.IPVersion != 0 && m.IPVersion != 4 && m.IPVersion != 6 {
		k.bad(at("ip_version"), "ip_version is 4 or 6, not %d", m.IPVersion)
	}
	if m.Source != "" {
		if _, err := netip.ParseAddr(m.Source); err != nil {
			k.bad(at("source"), "source is an address of this machine, not %q", m.Source)
		}
	}
	if len(m.From) > 0 != (len(m.To) > 0) {
		k.bad(at(""), "module %q needs both from and to, or neither", m.Name)
	}
	ways := 0
	for _, s := range []string{m.Password, m.File, m.Command, m.Env} {
		if s != "" {
			ways++
		}
	}
	switch {
	case m.User == "" && ways > 0:
		k.bad(at(""), "module %q has a password and no user", m.Name)
	case m.User != "" && ways != 1:
		k.bad(at("user"), "user needs exactly one of password_file, password_command, password_env")
	}
	if ways > 0 && (len(m.Targets) == 0 || slices.Contains(m.Targets, "*")) {
		k.bad(at("targets"), "module %q holds a credential, so targets must name the hosts it may be sent to; '*' is no host", m.Name)
	}
	for _, t := range m.Targets {
		if t != "*" && !plausibleHost(t) {
			k.bad(at("targets"), "%q is no host", t)
		}
	}
	if m.Password != "" {
		k.file.Warnings = append(k.file.Warnings, fmt.Sprintf("line %d: module %q has its password in the file; password_file, password_command or password_env keep it out", k.line(at("password")), m.Name))
	}
}

// plausibleHost refuses what cannot be a host name or an address.
func plausibleHost(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for _, r := range s {
		if r <= ' ' || r == 0x7f || strings.ContainsRune("/@\"'<>()|;&$`\\", r) {
			return false
		}
	}
	return true
}

// HasCredential reports whether the module would log in.
func (m *Module) HasCredential() bool { return m.User != "" }

// Secret says where the module's password is kept.
func (m *Module) Secret() Secret {
	return Secret{File: m.File, Command: m.Command, Env: m.Env, inline: m.Password}
}

// Allows reports whether the module may be asked to probe the host. Without a
// list, or with "*", a module is open; one with a credential always has a list.
func (m *Module) Allows(host string) bool {
	if len(m.Targets) == 0 || len(m.Targets) == 1 && m.Targets[0] == "*" {
		return !m.HasCredential()
	}
	host = canonical(host)
	return slices.ContainsFunc(m.Targets, func(t string) bool { return canonical(t) == host })
}

// canonical folds case and drops the root dot, so that a spelling neither opens
// nor closes a module.
func canonical(host string) string {
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

func sorted[T any](m map[string]T) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// DefaultLine is where the value of a flag stands.
func (f *File) DefaultLine(name string) int { return f.lines[name] }

// DefaultNames are the flags that Defaults sets, sorted.
func (f *File) DefaultNames() []string { return sorted(f.Defaults) }

// ModuleNames are the names of all modules, sorted.
func (f *File) ModuleNames() []string { return sorted(f.Modules) }
