package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
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

// The parts of the Kubernetes API that kubernetes.yaml uses, as its reference
// has them (ConfigMap v1, CronJob batch/v1, Deployment apps/v1): a key that is
// not here is not theirs.
type (
	kubeMeta struct {
		Name   string            `yaml:"name"`
		Labels map[string]string `yaml:"labels"`
	}
	kubeObject struct {
		APIVersion string            `yaml:"apiVersion"`
		Kind       string            `yaml:"kind"`
		Metadata   kubeMeta          `yaml:"metadata"`
		Data       map[string]string `yaml:"data"`
		Spec       yaml.Node         `yaml:"spec"`
	}
	kubeCronJob struct {
		Schedule    string `yaml:"schedule"`
		Concurrency string `yaml:"concurrencyPolicy"`
		Failed      *int   `yaml:"failedJobsHistoryLimit"`
		Successful  *int   `yaml:"successfulJobsHistoryLimit"`
		JobTemplate struct {
			Spec struct {
				BackoffLimit *int    `yaml:"backoffLimit"`
				Deadline     *int    `yaml:"activeDeadlineSeconds"`
				Template     kubePod `yaml:"template"`
			} `yaml:"spec"`
		} `yaml:"jobTemplate"`
	}
	kubeDeployment struct {
		Replicas *int `yaml:"replicas"`
		Selector struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		} `yaml:"selector"`
		Template kubePod `yaml:"template"`
	}
	kubePod struct {
		Metadata kubeMeta `yaml:"metadata"`
		Spec     struct {
			RestartPolicy string `yaml:"restartPolicy"`
			Automount     *bool  `yaml:"automountServiceAccountToken"`
			Security      struct {
				NonRoot *bool `yaml:"runAsNonRoot"`
				User    *int  `yaml:"runAsUser"`
				FSGroup *int  `yaml:"fsGroup"`
			} `yaml:"securityContext"`
			Containers []struct {
				Name  string   `yaml:"name"`
				Image string   `yaml:"image"`
				Args  []string `yaml:"args"`
				Ports []struct {
					Name string `yaml:"name"`
					Port int    `yaml:"containerPort"`
				} `yaml:"ports"`
				Readiness *kubeProbe `yaml:"readinessProbe"`
				Liveness  *kubeProbe `yaml:"livenessProbe"`
				Security  struct {
					Escalation   *bool `yaml:"allowPrivilegeEscalation"`
					ReadOnly     *bool `yaml:"readOnlyRootFilesystem"`
					Capabilities struct {
						Drop []string `yaml:"drop"`
					} `yaml:"capabilities"`
				} `yaml:"securityContext"`
				Resources struct {
					Requests map[string]string `yaml:"requests"`
					Limits   map[string]string `yaml:"limits"`
				} `yaml:"resources"`
				Mounts []struct {
					Name     string `yaml:"name"`
					Path     string `yaml:"mountPath"`
					ReadOnly bool   `yaml:"readOnly"`
				} `yaml:"volumeMounts"`
			} `yaml:"containers"`
			Volumes []struct {
				Name      string `yaml:"name"`
				ConfigMap *struct {
					Name string `yaml:"name"`
				} `yaml:"configMap"`
				Secret *struct {
					Name string `yaml:"secretName"`
					Mode int    `yaml:"defaultMode"`
				} `yaml:"secret"`
			} `yaml:"volumes"`
		} `yaml:"spec"`
	}
	kubeProbe struct {
		HTTPGet struct {
			Path string `yaml:"path"`
			Port string `yaml:"port"`
		} `yaml:"httpGet"`
	}
)

// strictly decodes YAML and refuses keys that the type does not have.
func strictly(t *testing.T, text []byte, into any) {
	t.Helper()
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(into); err != nil {
		t.Errorf("kubernetes.yaml: %v", err)
	}
}

// TestMonitoringKubernetes: the objects have the form of the API, and what refers
// to something else within them finds it.
func TestMonitoringKubernetes(t *testing.T) {
	name := regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	quantity := regexp.MustCompile(`^[0-9]+(m|Ki|Mi|Gi)?$`)
	configs, kinds := map[string]bool{}, map[string]int{}
	for _, text := range strings.Split(read(t, "kubernetes.yaml"), "\n---\n") {
		var o kubeObject
		strictly(t, []byte(text), &o)
		kinds[o.APIVersion+" "+o.Kind]++
		if !name.MatchString(o.Metadata.Name) {
			t.Errorf("%s: name %q", o.Kind, o.Metadata.Name)
		}
		spec, err := yaml.Marshal(&o.Spec)
		if err != nil {
			t.Fatal(err)
		}
		var pod kubePod
		switch o.Kind {
		case "ConfigMap":
			configs[o.Metadata.Name] = true
			continue
		case "CronJob":
			var c kubeCronJob
			strictly(t, spec, &c)
			pod = c.JobTemplate.Spec.Template
			if len(strings.Fields(c.Schedule)) != 5 || !slices.Contains([]string{"Allow", "Forbid", "Replace"}, c.Concurrency) || !slices.Contains([]string{"Never", "OnFailure"}, pod.Spec.RestartPolicy) {
				t.Errorf("CronJob: schedule %q, concurrency %q, restart %q", c.Schedule, c.Concurrency, pod.Spec.RestartPolicy)
			}
		case "Deployment":
			var d kubeDeployment
			strictly(t, spec, &d)
			pod = d.Template
			for k, v := range d.Selector.MatchLabels {
				if pod.Metadata.Labels[k] != v {
					t.Errorf("Deployment: no pod has the label %s=%s", k, v)
				}
			}
			if len(d.Selector.MatchLabels) == 0 {
				t.Error("Deployment: no selector")
			}
		}
		volumes := map[string]bool{}
		for _, v := range pod.Spec.Volumes {
			volumes[v.Name] = true
			if (v.ConfigMap == nil) == (v.Secret == nil) || v.ConfigMap != nil && !configs[v.ConfigMap.Name] || v.Secret != nil && (v.Secret.Name == "" || v.Secret.Mode != 0o440) {
				t.Errorf("%s: volume %s", o.Kind, v.Name)
			}
		}
		if len(pod.Spec.Containers) != 1 {
			t.Fatalf("%s: %d containers", o.Kind, len(pod.Spec.Containers))
		}
		c := pod.Spec.Containers[0]
		ports := map[string]bool{}
		for _, p := range c.Ports {
			ports[p.Name] = name.MatchString(p.Name) && len(p.Name) <= 15 && p.Port == 9788
		}
		for _, p := range []*kubeProbe{c.Readiness, c.Liveness} {
			if p != nil && (!ports[p.HTTPGet.Port] || !strings.HasPrefix(p.HTTPGet.Path, "/-/")) {
				t.Errorf("%s: it asks %s of port %s", o.Kind, p.HTTPGet.Path, p.HTTPGet.Port)
			}
		}
		for _, m := range c.Mounts {
			if !volumes[m.Name] || !strings.HasPrefix(m.Path, "/") || !m.ReadOnly {
				t.Errorf("%s: mount %+v", o.Kind, m)
			}
		}
		for _, q := range []map[string]string{c.Resources.Requests, c.Resources.Limits} {
			for k, v := range q {
				if !slices.Contains([]string{"cpu", "memory"}, k) || !quantity.MatchString(v) {
					t.Errorf("%s: resource %s: %s", o.Kind, k, v)
				}
			}
		}
		if c.Image == "" || pod.Spec.Security.NonRoot == nil || !*pod.Spec.Security.NonRoot || c.Security.Escalation == nil || *c.Security.Escalation {
			t.Errorf("%s: no image, or it runs with privileges", o.Kind)
		}
	}
	if want := map[string]int{"v1 ConfigMap": 1, "batch/v1 CronJob": 1, "apps/v1 Deployment": 1}; !maps.Equal(kinds, want) {
		t.Errorf("objects: %v", kinds)
	}
}

// TestMonitoringKubernetesSchema: the objects are valid by the description that an
// API server gives of its kinds, unknown fields refused, and the checker does see
// what is not.
func TestMonitoringKubernetesSchema(t *testing.T) {
	checker := os.Getenv("HANDOFF_CHECKER")
	if checker == "" {
		t.Skip("HANDOFF_CHECKER names no checker (.ci/run builds it)")
	}
	problems := func(file string) string {
		out, err := exec.CommandContext(t.Context(), checker, "kubernetes", file).CombinedOutput()
		var exit *exec.ExitError
		if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
			t.Fatalf("%s: %v\n%s", checker, err, out)
		}
		return string(out)
	}
	if out := problems(filepath.Join(monitoring, "kubernetes.yaml")); out != "" {
		t.Error(out)
	}
	good := read(t, "kubernetes.yaml")
	for _, c := range []struct{ from, to, says string }{
		{"backoffLimit:", "backofLimit:", "backofLimit"},
		{"replicas: 1", "replicas: one", "spec.replicas"},
		{"containerPort: 9788", "hostPort: 9788", "containerPort is required"},
		{"kind: CronJob", "kind: CronTab", "no CronTab in batch/v1"},
		{"apiVersion: apps/v1", "apiVersion: extensions/v1beta1", "no Deployment in extensions/v1beta1"},
	} {
		file := filepath.Join(t.TempDir(), "bad.yaml")
		if err := os.WriteFile(file, []byte(strings.Replace(good, c.from, c.to, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if out := problems(file); !strings.Contains(out, c.says) {
			t.Errorf("%s in place of %s: %q does not say %q", c.to, c.from, out, c.says)
		}
	}
}

// TestMonitoringDashboard: the dashboard has the form that Grafana imports: an
// identity, panels of known types on its 24 columns that do not cover each other,
// queries with a letter each, and variables for all that is named with a dollar.
func TestMonitoringDashboard(t *testing.T) {
	type place struct{ X, Y, W, H int }
	var d struct {
		Title, UID    string
		SchemaVersion int
		Templating    struct{ List []struct{ Name, Type string } }
		Panels        []struct {
			ID      int
			Type    string
			Title   string
			GridPos place
			Targets []struct{ Expr, RefID string }
		}
	}
	text := read(t, "grafana.json")
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	if d.Title == "" || d.UID == "" || len(d.UID) > 40 || d.SchemaVersion < 36 {
		t.Errorf("title %q, uid %q, schema version %d", d.Title, d.UID, d.SchemaVersion)
	}
	known := map[string]bool{}
	for _, v := range d.Templating.List {
		known[v.Name] = slices.Contains([]string{"datasource", "query"}, v.Type)
	}
	for _, m := range regexp.MustCompile(`\$\{?([a-z]\w*)`).FindAllStringSubmatch(text, -1) {
		if !known[m[1]] {
			t.Errorf("there is no variable %s", m[1])
		}
	}
	ids := map[int]bool{}
	for i, p := range d.Panels {
		g := p.GridPos
		if ids[p.ID] || p.Title == "" || !slices.Contains([]string{"stat", "table", "timeseries"}, p.Type) || g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > 24 || len(p.Targets) == 0 {
			t.Errorf("panel %d %q: %+v", p.ID, p.Title, p)
		}
		ids[p.ID] = true
		letters := map[string]bool{}
		for _, x := range p.Targets {
			if x.RefID == "" || letters[x.RefID] || x.Expr == "" {
				t.Errorf("panel %q: query %+v", p.Title, x)
			}
			letters[x.RefID] = true
		}
		for _, q := range d.Panels[:i] {
			o := q.GridPos
			if g.X < o.X+o.W && o.X < g.X+g.W && g.Y < o.Y+o.H && o.Y < g.Y+g.H {
				t.Errorf("panel %q covers %q", p.Title, q.Title)
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
