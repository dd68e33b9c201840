package config

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const healthy = `
defaults:
  timeout: 20s
  our-domain: [customer.example, other.example]
modules:
  auth:
    user: smtp-user@customer.example
    password_file: /run/credentials/password
    targets: [outbound-us1.ppe-hosted.com]
    from: alerts@customer.example
    to: postmaster@example.org
    connect: {25: "127.0.0.1:2525"}
    timeout: 5s
    deadline: 30s
  open:
    intent: server
    ports: [25]
targets:
  - host: outbound-us1.ppe-hosted.com
    module: auth
    warning: "5"
`

func TestParse(t *testing.T) {
	f, err := Parse([]byte(healthy))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Defaults["our-domain"]; !slices.Equal(got, []string{"customer.example", "other.example"}) {
		t.Errorf("defaults: %v", got)
	}
	m := f.Modules["auth"]
	if m.Name != "auth" || time.Duration(m.Deadline) != 30*time.Second || m.Connect[25] != "127.0.0.1:2525" || len(f.Warnings) != 0 {
		t.Errorf("module: %+v, warnings %v", m, f.Warnings)
	}
	if !slices.Equal(f.ModuleNames(), []string{"auth", "open"}) {
		t.Errorf("names: %v", f.ModuleNames())
	}
}

// TestRefused: one mistake each, told with its line.
func TestRefused(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", "modules:\n  a:\n    prots: [25]\n", `line 3: there is no key "prots" here`},
		{"unknown top key", "module: {}\n", `line 1: there is no key "module" here`},
		{"not yaml", "modules: [\n", "line"},
		{"wrong type", "modules:\n  a:\n    ports: all\n", "line 3"},
		{"intent", "modules:\n  a:\n    intent: smtp\n", "line 3: intent is one of"},
		{"port", "modules:\n  a:\n    ports: [0]\n", "line 3: 0 is no port"},
		{"port twice", "modules:\n  a:\n    ports: [25, 25]\n", "line 3: ports names 25 twice"},
		{"connect for no port", "modules:\n  a:\n    intent: auth\n    connect: {465: '127.0.0.1:1'}\n", "line 4: connect names port 465"},
		{"connect", "modules:\n  a:\n    connect: {25: nowhere}\n", "line 3: connect maps"},
		{"duration", "modules:\n  a:\n    timeout: 10\n", "line 3"},
		{"data", "modules:\n  a:\n    stop_after: data\n", "line 3: a probe that is repeated"},
		{"sender alone", "modules:\n  a:\n    from: x@y.example\n", "line 2"},
		{"password without user", "modules:\n  a:\n    password_env: X\n", "line 2"},
		{"two passwords", "modules:\n  a:\n    user: u\n    password_env: X\n    password_file: f\n    targets: [h]\n", "line 3: user needs exactly one"},
		{"credential for all", "modules:\n  a:\n    user: u\n    password_env: X\n", "holds a credential"},
		{"credential for a star", "modules:\n  a:\n    user: u\n    password_env: X\n    targets: ['*']\n", "line 5"},
		{"target without module", "targets:\n  - host: h\n", "line 2: a target needs a module"},
		{"target of no module", "targets:\n  - host: h\n    module: x\n", `line 3: there is no module "x"`},
		{"target not allowed", "modules:\n  a:\n    targets: [h]\ntargets:\n  - host: evil\n    module: a\n", "line 5: module"},
		{"two documents", "modules: {}\n---\nmodules: {}\n", "only one document"},
		{"source", "modules:\n  a:\n    source: eth0\n", "line 3: source"},
		{"key twice", "modules:\n  a: {}\n  b: {}\n  a: {}\n", `line 4: the key "a" stands here already, in line 2`},
		{"empty target", "modules:\n  a: {}\ntargets:\n  -\n  - host: h\n    module: a\n", "line 4: an entry with nothing in it"},
		{"empty in a list", "modules:\n  a:\n    from: [x@y.example, ~]\n    to: z@y.example\n", "line 3: an entry with nothing in it"},
		{"target twice", "modules:\n  a: {}\ntargets:\n  - host: h\n    module: a\n  - module: a\n    host: H.\n", "line 6: this host and module are a target already, in line 4"},
		{"range", "modules:\n  a: {}\ntargets:\n  - host: h\n    module: a\n    warning: 5s\n    critical: 9:1\n", "line 6: warning: \"5s\" is no range; write 5, 5:10, 5:, ~:5 or @5:10\nline 7: critical"},
		{"mapping for a list", "modules:\n  a:\n    from: {x: y}\n", "line 3"},
	} {
		_, err := Parse([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "config.") {
			t.Errorf("%s: names a Go type: %v", c.name, err)
		}
	}
}

// TestHeavy: what the library would take minutes or gigabytes for is refused
// first, and the complaints about a file full of mistakes are few.
func TestHeavy(t *testing.T) {
	lines := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	bomb := "defaults:\n  a: &a [x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c <= 'm'; c++ {
		bomb += fmt.Sprintf("  %c: &%c [%s*%c]\n", c, c, strings.Repeat(fmt.Sprintf("*%c, ", c-1), 8), c-1)
	}
	for name, text := range map[string]string{
		"one key again and again":      "defaults:\n" + strings.Repeat("  a: &x [1]\n", 20_000),
		"many keys":                    "defaults:\n" + lines(20_000, "  k%d: 1\n"),
		"many aliases of a mapping":    "modules:\n  m: &m\n" + lines(5000, "    k%d: 1\n") + lines(4000, "  m%d: *m\n"),
		"aliases of aliases":           bomb,
		"a mapping that holds itself":  "modules: &m\n  a: *m\n",
		"a list that holds itself":     "defaults: {a: &a [*a]}\n",
		"more values than can be used": "targets: [" + strings.Repeat("a,", 450_000) + "]",
	} {
		_, err := Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), "more keys or more aliases") {
			t.Errorf("%s: %.200v", name, err)
		}
	}
	_, err := Parse([]byte("modules:\n" + lines(3000, "  m%d:\n    ports: [0]\n    intent: x\n")))
	if err == nil || strings.Count(err.Error(), "\n") != maxComplaints || !strings.HasSuffix(err.Error(), "and 5950 more") || !strings.HasPrefix(err.Error(), "line 3: 0 is no port\nline 4: ") {
		t.Errorf("6,000 mistakes: %.300v", err)
	}
	f, err := Parse([]byte("modules:\n" + lines(5000, "  m%d: {ports: [587], targets: [a.example, b.example]}\n")))
	if err != nil || len(f.Modules) != 5000 {
		t.Errorf("5,000 modules: %v", err)
	}
	f, err = Parse([]byte("modules:\n  a: &a {ports: [587], targets: [h]}\n  b: {<<: *a, intent: both}\n  c: *a\n"))
	if err != nil || f.Modules["b"].Intent != "both" || !slices.Equal(f.Modules["b"].Targets, List{"h"}) || f.Modules["c"].Name != "c" {
		t.Errorf("aliases and merged keys as people use them: %v %+v", err, f)
	}
}

func TestInlinePasswordWarns(t *testing.T) {
	f, err := Parse([]byte("modules:\n  a:\n    user: u\n    password: planted-9274\n    targets: [h]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Warnings) != 1 || !strings.Contains(f.Warnings[0], "line 4") || strings.Contains(f.Warnings[0], "planted") {
		t.Errorf("warnings: %q", f.Warnings)
	}
	if s := fmt.Sprintf("%v %+v %#v %s", f.Modules["a"].Secret(), f.Modules["a"].Secret(), f.Modules["a"].Secret(), f.Modules["a"].Secret()); strings.Contains(s, "planted") {
		t.Errorf("a print shows the password: %s", s)
	}
}

// TestAllows: a credential goes to the hosts that are named and to no other.
func TestAllows(t *testing.T) {
	with := &Module{User: "u", Targets: List{"Relay.Example."}}
	for host, want := range map[string]bool{
		"relay.example": true, "RELAY.example.": true, "relay.example.evil.test": false, "notrelay.example": false, "": false, "127.0.0.1": false,
	} {
		if got := with.Allows(host); got != want {
			t.Errorf("Allows(%q) = %v", host, got)
		}
	}
	if (&Module{User: "u"}).Allows("h") || (&Module{User: "u", Targets: List{"*"}}).Allows("h") {
		t.Error("a module with a credential and no hosts is open")
	}
	if !(&Module{}).Allows("h") || !(&Module{Targets: List{"*"}}).Allows("h") || (&Module{Targets: List{"g"}}).Allows("h") {
		t.Error("a module without a credential heeds its list, and is open without one")
	}
}

func TestSecret(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil { // whatever the umask is
			t.Fatal(err)
		}
		return name
	}
	t.Setenv("HANDOFF_TEST_SECRET", "from env")
	for _, c := range []struct {
		name string
		in   Secret
		want string
		odd  []Oddity
		err  string
	}{
		{"file", Secret{File: file("a", "pa ss\n", 0o600)}, "pa ss", nil, ""},
		{"CRLF", Secret{File: file("b", "pass\r\nnote\n", 0o600)}, "pass", nil, ""},
		{"space at the end", Secret{File: file("c", "pass \n", 0o600)}, "pass ", []Oddity{EdgeSpace}, ""},
		{"CR without LF is a part of it", Secret{File: file("d", "pass\r", 0o600)}, "pass\r", []Oddity{EdgeSpace, ControlInside}, ""},
		{"no-break space", Secret{File: file("e", "pa\u00a0ss", 0o600)}, "pa\u00a0ss", []Oddity{NoBreakSpace}, ""},
		{"others may read", Secret{File: file("f", "pass", 0o644)}, "pass", []Oddity{FileReadable}, ""},
		{"empty", Secret{File: file("g", "\nsecond\n", 0o600)}, "", nil, "empty"},
		{"no file", Secret{File: filepath.Join(dir, "none")}, "", nil, "cannot be opened"},
		{"too long", Secret{File: file("h", strings.Repeat("x", maxSecret+1), 0o600)}, "", nil, "more than"},
		{"command", Secret{Command: "printf 'one\\ntwo\\n'"}, "one", nil, ""},
		{"command that leaves an agent behind", Secret{Command: "echo one; sleep 60 &"}, "one", nil, ""},
		{"endless line", Secret{Command: "head -c 9001 /dev/zero | tr '\\0' x"}, "", nil, "more than"},
		{"command fails", Secret{Command: "echo planted-3311; exit 4"}, "", nil, "failed"},
		{"environment", Secret{Env: "HANDOFF_TEST_SECRET"}, "from env", nil, ""},
		{"not set", Secret{Env: "HANDOFF_TEST_NONE"}, "", nil, "is not set"},
	} {
		got, odd, err := c.in.Read(context.Background())
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "planted") {
				t.Errorf("%s: %v, want %q", c.name, err, c.err)
			}
			continue
		}
		if err != nil || got != c.want || !slices.Equal(odd, c.odd) {
			t.Errorf("%s: %q %v %v, want %q %v", c.name, got, odd, err, c.want, c.odd)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(healthy))
	f.Add([]byte("modules:\n  a: null\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("modules:\n  a: &a {user: u, password_env: X, targets: [h]}\n  b: {<<: *a, targets: ['*']}\n"))
	f.Add([]byte("modules:\n  a: {}\ntargets:\n  - {host: h, module: a, warning: '5', critical: '@1:9'}\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := Parse(raw)
		if err != nil {
			return
		}
		for _, name := range c.ModuleNames() {
			m := c.Modules[name]
			if m.HasCredential() && m.Allows("evil.test") && !slices.Contains(m.Targets, "evil.test") {
				t.Errorf("module %q gives its credential to anybody", name)
			}
		}
	})
}
