package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/smtp-handoff/handoff/cmd/handoff/internal/cli"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/config"
)

// The files of testdata/monitoring are for use as they are; these tests take
// them apart as the programs they are for would.
const monitoring = "../../testdata/monitoring"

func read(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(monitoring, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestMonitoringConfiguration(t *testing.T) {
	if _, err := config.Parse([]byte(read(t, "handoff.yaml"))); err != nil {
		t.Errorf("handoff.yaml: %v", err)
	}
	for _, name := range []string{"prometheus.yml", "prometheus-agent.yml", "alerts.yml", "alerts_test.yml", "kubernetes.yaml"} {
		dec := yaml.NewDecoder(strings.NewReader(read(t, name)))
		for n := 0; ; n++ {
			var doc map[string]any
			err := dec.Decode(&doc)
			if errors.Is(err, io.EOF) && n > 0 {
				break
			}
			if err != nil {
				t.Fatalf("%s, document %d: %v", name, n+1, err)
			}
			if name != "kubernetes.yaml" {
				continue
			}
			if doc["apiVersion"] == nil || doc["kind"] == nil {
				t.Errorf("%s, document %d is no object of Kubernetes", name, n+1)
			}
			if data, ok := doc["data"].(map[string]any); ok {
				if _, err := config.Parse([]byte(data["handoff.yaml"].(string))); err != nil {
					t.Errorf("%s: its configuration: %v", name, err)
				}
			}
		}
	}
}

// TestMonitoringMetrics: every metric that a rule or a panel asks for is one that
// a probe or the exporter gives, with the labels that are named.
func TestMonitoringMetrics(t *testing.T) {
	var out bytes.Buffer
	if code := cli.Run(t.Context(), []string{"probe", "--bundled", "-q", "-o", "prom"}, strings.NewReader(""), &out, io.Discard); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	labels := map[string][]string{
		"up": nil, "handoff_probes_total": {"module", "status"}, "handoff_probe_requests_refused_total": {"reason"},
		"handoff_config_last_reload_successful": nil,
	}
	for _, m := range regexp.MustCompile(`(?m)^(probe_\w+)(?:\{(.*)\})? `).FindAllStringSubmatch(out.String(), -1) {
		if labels[m[1]] == nil {
			labels[m[1]] = []string{}
		}
		for _, l := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(m[2], -1) {
			labels[m[1]] = append(labels[m[1]], l[1])
		}
	}
	var grafana struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "grafana.json")), &grafana); err != nil {
		t.Fatal(err)
	}
	var expressions []string
	for _, p := range grafana.Panels {
		for _, x := range p.Targets {
			expressions = append(expressions, x.Expr)
		}
	}
	var rules struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "alerts.yml")), &rules); err != nil {
		t.Fatal(err)
	}
	tests := read(t, "alerts_test.yml")
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			expressions = append(expressions, r.Expr)
			if !strings.Contains(tests, "alertname: "+r.Alert+"\n") {
				t.Errorf("alert %s has no test", r.Alert)
			}
		}
	}
	if len(expressions) < 15 {
		t.Fatalf("only %d expressions were found", len(expressions))
	}
	for _, e := range expressions {
		for _, m := range regexp.MustCompile(`\b((?:probe|handoff)_\w+|up)\b(?:\{([^}]*)\})?`).FindAllStringSubmatch(e, -1) {
			known, ok := labels[m[1]]
			if !ok {
				t.Errorf("%q asks for %s, which nothing gives", e, m[1])
				continue
			}
			for _, l := range regexp.MustCompile(`(\w+)\s*=~?"`).FindAllStringSubmatch(m[2], -1) {
				if !slices.Contains(known, l[1]) && !slices.Contains([]string{"job", "instance", "vantage"}, l[1]) {
					t.Errorf("%q asks for the label %s, which %s does not have", e, l[1], m[1])
				}
			}
		}
	}
}

// TestMonitoringCommands: the command lines in units and definitions are ones
// that the program takes.
func TestMonitoringCommands(t *testing.T) {
	var help bytes.Buffer
	cli.Run(t.Context(), []string{"check", "--help"}, strings.NewReader(""), &help, io.Discard)
	cli.Run(t.Context(), []string{"serve", "--help"}, strings.NewReader(""), &help, io.Discard)
	for _, name := range []string{"handoff-serve.service", "handoff-check.service", "icinga2.conf", "kubernetes.yaml"} {
		text := read(t, name)
		for _, m := range regexp.MustCompile(`(?m)^\s*(?:Exec\w+=\S*handoff |args: |"|--| +--)(.*)$`).FindAllString(text, -1) {
			for _, f := range regexp.MustCompile(`(?:^|[\s"\[])(--[a-z][a-z-]+)`).FindAllStringSubmatch(m, -1) {
				if !strings.Contains(help.String(), f[1]+" ") && !strings.Contains(help.String(), f[1]+"\n") {
					t.Errorf("%s: there is no flag %s", name, f[1])
				}
			}
		}
		if strings.Contains(text, "--password ") {
			t.Errorf("%s has a password on a command line", name)
		}
	}
}
