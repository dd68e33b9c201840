//go:build unix

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// shipped reads one of the files that we give to users of monitoring systems.
func shipped(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("../../../../testdata/monitoring", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestShippedUnits has systemd's own checker read the units.
func TestShippedUnits(t *testing.T) {
	need(t, "systemd-analyze")
	dir := t.TempDir()
	var files []string
	for _, name := range []string{"handoff-serve.service", "handoff-check.service", "handoff-check.timer"} {
		text := strings.ReplaceAll(shipped(t, name), "/usr/local/bin/handoff", program)
		files = append(files, write(t, filepath.Join(dir, name), 0o644, text))
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", append([]string{"verify"}, files...)...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// site is a network where the relay has the service's name and ports, with the
// credential that the shipped files use.
type site struct {
	*namespace
	dir      string
	password string // FILE that holds it
	env      []string
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{namespace: newNamespace(t, map[string]string{serviceName: serviceIP}), dir: t.TempDir()}
	control := filepath.Join(s.dir, "control")
	a := startRelay(t, s.command(program, "relay", "--json", "--for", "10m", "--control", control, "--listen", "25="+serviceIP+":25", "--listen", "587="+serviceIP+":587"))
	var secret string
	for _, words := range []string{"cred new monitoring --user smtp-user@customer.example", "user add smtp-user@customer.example --kind functional", "clock +60m"} {
		r := run(t, "", program, append([]string{"relay", "account", "--control", control}, strings.Fields(words)...)...)
		if r.code != 0 {
			t.Fatalf("%s: %s", words, r)
		}
		if m := regexp.MustCompile(`password +(\S+)`).FindStringSubmatch(r.stdout); m != nil {
			secret = m[1]
		}
	}
	s.password = write(t, filepath.Join(s.dir, "relay-password"), 0o600, secret+"\n")
	// The authority of the system: what a real relay's certificate leads to.
	s.env = []string{"SSL_CERT_FILE=" + a.CAFile, "SSL_CERT_DIR=" + s.dir}
	return s
}

// in runs the program inside with these variables.
func (s *site) in(t *testing.T, env []string, args ...string) result {
	t.Helper()
	return s.run(t, "", "env", append(append(append([]string{}, s.env...), env...), append([]string{program}, args...)...)...)
}

// execStart gives the arguments behind the program's name of a unit's commands.
func execStart(t *testing.T, unit, key string) []string {
	t.Helper()
	text := strings.ReplaceAll(shipped(t, unit), "\\\n", " ")
	m := regexp.MustCompile(`(?m)^` + key + `=/usr/local/bin/handoff (.*)$`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("%s has no %s of the program", unit, key)
	}
	return strings.Fields(m[1])
}

// TestShippedRuns runs what the units and the Kubernetes objects run, with the
// paths of their machines put to places of the test's own.
func TestShippedRuns(t *testing.T) {
	need(t, "curl")
	s := newSite(t)
	replaced := func(args []string, pairs ...string) []string {
		r := strings.NewReplacer(pairs...)
		out := make([]string, len(args))
		for i, a := range args {
			out[i] = r.Replace(a)
		}
		return out
	}
	// scraped starts an exporter inside and asks it what Prometheus and a kubelet
	// would ask.
	scraped := func(t *testing.T, args []string) {
		t.Helper()
		for _, x := range []string{"serve", "--config"} {
			if !strings.Contains(strings.Join(args, " "), x) {
				t.Errorf("no %s in %v", x, args)
			}
		}
		d := background(t, s.dir, "ip", append([]string{"netns", "exec", s.name, "env"}, append(append(append([]string{}, s.env...), program), args...)...)...)
		var r result
		for range 300 {
			if r = s.run(t, "", "curl", "-sS", "-f", "http://127.0.0.1:9788/-/ready"); r.code == 0 {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if r.code != 0 {
			t.Fatalf("not ready: %s\n%s", r, d.output(t))
		}
		for _, path := range []string{"/-/healthy", "/", "/metrics"} {
			if r := s.run(t, "", "curl", "-sS", "-f", "http://127.0.0.1:9788"+path); r.code != 0 {
				t.Errorf("%s: %s", path, r)
			}
		}
		r = s.run(t, "", "curl", "-sS", "-f", "-H", "X-Prometheus-Scrape-Timeout-Seconds: 30", "http://127.0.0.1:9788/probe?module=submission&target="+serviceName)
		for _, want := range []string{"probe_success 1\n", `probe_smtp_reply_code{phase="auth",port="587"} 235`, `probe_smtp_reply_code{phase="envelope",port="587"} 250`, `probe_smtp_reply_code{phase="envelope",port="25"} 554`} {
			if !strings.Contains(r.stdout, want) {
				t.Errorf("no %q in %s\n%s", want, r, d.output(t))
			}
		}
	}

	t.Run("systemd timer", func(t *testing.T) {
		args := replaced(execStart(t, "handoff-check.service", "ExecStart"), "${CREDENTIALS_DIRECTORY}", s.dir, "${STATE_DIRECTORY}", s.dir)
		for _, note := range []string{"no earlier run to compare with", "unchanged since "} {
			if r := s.in(t, nil, args...); r.code != 0 || !strings.HasPrefix(r.stdout, "SMTP OK - ") || !strings.Contains(r.stdout, note) {
				t.Errorf("want %q: %s", note, r)
			}
		}
	})
	config := strings.NewReplacer("/run/credentials/handoff-serve.service", s.dir).Replace(shipped(t, "handoff.yaml"))
	file := write(t, filepath.Join(s.dir, "handoff.yaml"), 0o644, config)
	t.Run("systemd exporter", func(t *testing.T) {
		if r := s.in(t, nil, replaced(execStart(t, "handoff-serve.service", "ExecStartPre"), "/etc/handoff", s.dir)...); r.code != 0 {
			t.Errorf("ExecStartPre: %s", r)
		}
		scraped(t, replaced(execStart(t, "handoff-serve.service", "ExecStart"), "/etc/handoff", s.dir))
	})
	t.Run("check of all targets", func(t *testing.T) {
		// outbound-eu1 is no name of this network.
		r := s.in(t, nil, "check", "--config", file)
		if r.code != 2 || !strings.Contains(r.stdout, "\nOK "+serviceName+" submission: ") || !strings.Contains(r.stdout, "\nCRITICAL outbound-eu1.ppe-hosted.com reach: unreachable") {
			t.Errorf("%s", r)
		}
	})
	t.Run("Kubernetes", func(t *testing.T) {
		paths := []string{"/config", s.dir, "/secret", s.dir}
		dec := yaml.NewDecoder(strings.NewReader(shipped(t, "kubernetes.yaml")))
		var cron, server []string
		for {
			var o struct {
				Kind string
				Data map[string]string
				Spec struct {
					Template    podTemplate
					JobTemplate struct {
						Spec struct{ Template podTemplate }
					} `yaml:"jobTemplate"`
				}
			}
			if dec.Decode(&o) != nil {
				break
			}
			switch o.Kind {
			case "ConfigMap":
				write(t, filepath.Join(s.dir, "handoff.yaml"), 0o644, strings.NewReplacer(paths...).Replace(o.Data["handoff.yaml"]))
			case "CronJob":
				cron = o.Spec.JobTemplate.Spec.Template.args()
			case "Deployment":
				server = o.Spec.Template.args()
			}
		}
		if r := s.in(t, nil, replaced(cron, paths...)...); r.code != 0 || !strings.HasPrefix(r.stdout, "SMTP OK - 0 of 1 targets not OK") {
			t.Errorf("the CronJob: %s", r)
		}
		scraped(t, replaced(server, paths...))
	})
}

type podTemplate struct {
	Spec struct{ Containers []struct{ Args []string } }
}

func (p podTemplate) args() []string {
	if len(p.Spec.Containers) != 1 {
		return nil
	}
	return p.Spec.Containers[0].Args
}

// TestShippedIcinga has a real Icinga 2 read the definitions and run the check.
func TestShippedIcinga(t *testing.T) {
	need(t, "icinga2")
	s := newSite(t)
	plugins := filepath.Join(s.dir, "plugins")
	if err := os.Mkdir(plugins, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program, filepath.Join(plugins, "handoff")); err != nil {
		t.Fatal(err)
	}
	definitions := write(t, filepath.Join(s.dir, "handoff.conf"), 0o644, strings.ReplaceAll(shipped(t, "icinga2.conf"), "/etc/icinga2/secrets/relay-password", s.password))
	for _, d := range []string{"lib", "log", "run", "cache", "perf"} {
		if err := os.Mkdir(filepath.Join(s.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	perf := filepath.Join(s.dir, "perf", "service")
	main := write(t, filepath.Join(s.dir, "icinga2.conf"), 0o644, fmt.Sprintf(`include <itl>
include <plugins>
const PluginDir = %q
const NodeName = "watch"
const ZoneName = "watch"
object Zone "watch" {}
object CheckerComponent "checker" {}
object PerfdataWriter "perfdata" {
  rotation_interval = 1s
  service_perfdata_path = %q
  service_temp_path = %q
  host_perfdata_path = %q
  host_temp_path = %q
  service_format_template = "$service.state$ SMTP $service.output$ PERF $service.perfdata$"
}
template Service "generic-service" { max_check_attempts = 3 }
object Host "watch" {
  check_command = "dummy"
  vars.role = "mail-relay-watch"
}
include %q
`, plugins, perf, perf+".tmp", perf+"-host", perf+"-host.tmp", definitions))
	args := append(append([]string{"netns", "exec", s.name, "env"}, s.env...), "icinga2", "daemon", "-c", main, "-D", "RunAsUser=root", "-D", "RunAsGroup=root",
		"-D", "DataDir="+s.dir+"/lib", "-D", "LogDir="+s.dir+"/log", "-D", "InitRunDir="+s.dir+"/run", "-D", "CacheDir="+s.dir+"/cache")
	if r := run(t, "", "ip", append(args, "-C")...); r.code != 0 {
		t.Fatalf("icinga2 daemon -C: %s", r)
	}
	d := background(t, s.dir, "ip", args...)
	want := regexp.MustCompile(`(?m)^OK SMTP SMTP OK - 587 accepts with AUTH; .* PERF .*'?p587_total'?=[0-9.]+s;5;15;0;30`)
	var got string
	for range 300 { // Icinga spreads first checks over a minute
		time.Sleep(500 * time.Millisecond)
		files, _ := filepath.Glob(perf + "*")
		for _, f := range files {
			if raw, err := os.ReadFile(f); err == nil && strings.Contains(string(raw), "PERF") {
				got = string(raw)
			}
		}
		if want.MatchString(got) {
			t.Logf("Icinga says: %s", strings.TrimSpace(got))
			return
		}
	}
	t.Errorf("Icinga says %q\n%s", got, d.output(t))
}
