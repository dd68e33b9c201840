package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/smtp-handoff/handoff/"

// arrows is the structure of the program: which package imports which of our
// own. A new arrow is a decision and is written down here.
var arrows = []struct {
	from string
	to   []string
}{
	{"analyze", []string{"analyze/causes", "analyze/ndr", "analyze/policy", "analyze/transcript"}},
	{"analyze/causes", nil},
	{"analyze/mailbox", nil},
	{"analyze/ndr", []string{"analyze/transcript"}},
	{"analyze/policy", nil},
	{"analyze/transcript", nil},
	{"cmd/handoff", []string{"cmd/handoff/internal/cli"}},
	{"cmd/handoff/internal/cli", []string{
		"analyze", "analyze/causes", "analyze/mailbox", "analyze/ndr", "analyze/policy", "analyze/transcript",
		"cmd/handoff/internal/config", "cmd/handoff/internal/exporter", "cmd/handoff/internal/report", "cmd/handoff/internal/tui",
		"probe", "probe/relay", "probe/relay/bounce", "probe/resolve",
	}},
	{"cmd/handoff/internal/config", nil},
	{"cmd/handoff/internal/e2e", nil},
	{"cmd/handoff/internal/exporter", []string{"analyze", "cmd/handoff/internal/report"}},
	{"cmd/handoff/internal/report", []string{"analyze", "analyze/transcript"}},
	{"cmd/handoff/internal/tui", []string{"analyze", "analyze/transcript", "probe"}},
	{"probe", []string{"analyze/transcript", "probe/resolve"}},
	{"probe/relay", []string{"analyze/policy", "analyze/transcript", "probe/resolve/zone"}},
	{"probe/relay/bounce", []string{"analyze/transcript"}},
	{"probe/relay/fault", nil},
	{"probe/resolve", []string{"analyze/transcript"}},
	{"probe/resolve/zone", nil},
}

// importers is the one package that imports each third-party module. Modules
// under golang.org/x may have more (and are listed with all of them).
var importers = []struct {
	module string
	by     []string
}{
	{"charm.land/bubbletea/v2", []string{"cmd/handoff/internal/tui"}},
	{"charm.land/lipgloss/v2", []string{"cmd/handoff/internal/tui"}},
	{"github.com/emersion/go-sasl", []string{"probe/relay"}},
	{"github.com/emersion/go-smtp", []string{"probe/relay"}},
	{"github.com/fatih/color", []string{"cmd/handoff/internal/report"}},
	{"github.com/mattn/go-isatty", []string{"cmd/handoff/internal/report"}},
	{"github.com/miekg/dns", []string{"probe/resolve", "probe/resolve/zone"}},
	{"github.com/prometheus/client_golang", []string{"cmd/handoff/internal/exporter"}},
	{"github.com/prometheus/exporter-toolkit", []string{"cmd/handoff/internal/exporter"}},
	{"github.com/spf13/cobra", []string{"cmd/handoff/internal/cli"}},
	{"github.com/spf13/pflag", []string{"cmd/handoff/internal/cli"}},
	{"go.yaml.in/yaml/v3", []string{"cmd/handoff/internal/config"}},
	{"golang.org/x/net", []string{"analyze/ndr", "probe"}},
	{"golang.org/x/text", []string{"analyze/ndr", "cmd/handoff/internal/report"}},
}

// networkFree are the packages that must not link package net: they read text
// and decide, and nothing in a text may make them open a connection.
var networkFree = []string{"analyze", "analyze/mailbox", "analyze/ndr", "analyze/policy", "analyze/transcript"}

// standardOnly are the packages that import nothing outside the standard
// library.
var standardOnly = []string{"analyze/policy", "analyze/transcript"}

type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Deps       []string
	Module     *struct{ Path string }
}

func list(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Standard,Imports,Deps,Module"}, args...)...)
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestArrows(t *testing.T) {
	type arrow struct {
		From string
		To   []string
	}
	var got, want []arrow
	for _, p := range list(t, "./...") {
		a := arrow{From: strings.TrimPrefix(p.ImportPath, module)}
		for _, i := range p.Imports {
			if to, ours := strings.CutPrefix(i, module); ours {
				a.To = append(a.To, to)
			}
		}
		got = append(got, a)
	}
	for _, a := range arrows {
		want = append(want, arrow{a.from, a.to})
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("who imports whom has changed (-written down, +found); a new arrow is a decision:\n%s", d)
	}
}

func TestOneImporterPerModule(t *testing.T) {
	of := map[string]string{} // package path → module path
	standard := map[string]bool{}
	for _, p := range list(t, "-deps", "./...") {
		standard[p.ImportPath] = p.Standard
		if p.Module != nil {
			of[p.ImportPath] = p.Module.Path
		}
	}
	by := map[string][]string{}
	for _, p := range list(t, "./...") {
		name := strings.TrimPrefix(p.ImportPath, module)
		for _, i := range p.Imports {
			m := of[i]
			if m == "" || m+"/" == module || standard[i] {
				continue
			}
			if slices.Contains(standardOnly, name) {
				t.Errorf("%s imports %s; it is to import the standard library only", name, i)
			}
			if !slices.Contains(by[m], name) {
				by[m] = append(by[m], name)
			}
		}
	}
	want := map[string][]string{}
	for _, i := range importers {
		want[i.module] = i.by
	}
	if d := cmp.Diff(want, by); d != "" {
		t.Errorf("importers of third-party modules (-written down, +found):\n%s", d)
	}
}

func TestNetworkFree(t *testing.T) {
	for _, p := range list(t, "./analyze/...") {
		name := strings.TrimPrefix(p.ImportPath, module)
		if slices.Contains(networkFree, name) && slices.Contains(p.Deps, "net") {
			t.Errorf("%s links package net; what reads hostile text must not be able to open a connection", name)
		}
	}
}
