package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// background starts a program that runs until the test ends.
func background(t *testing.T, dir string, name string, args ...string) *bytes.Buffer {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_RUNTIME_DIR="+dir)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("--- %s %s\n%s", name, strings.Join(args, " "), log.String())
		}
	})
	return &log
}

func ask(t *testing.T, address, path string, into any) {
	t.Helper()
	res, err := http.Get("http://" + address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("%s: %v\n%s", path, err, raw)
	}
}

// query gives instance and vantage of every series that a Prometheus has.
func query(t *testing.T, address, expr string) []string {
	t.Helper()
	var got struct {
		Data struct {
			Result []struct{ Metric map[string]string }
		}
	}
	ask(t, address, "/api/v1/query?query="+url.QueryEscape(expr), &got)
	var out []string
	for _, r := range got.Data.Result {
		out = append(out, strings.TrimSpace(r.Metric["instance"]+" "+r.Metric["vantage"]))
	}
	slices.Sort(out)
	return out
}

// eventually repeats a look until it is as wanted, for a minute at most.
func eventually(t *testing.T, what string, look func() string, want string) {
	t.Helper()
	var got string
	for range 300 {
		if got = look(); got == want {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Errorf("%s:\ngot  %s\nwant %s", what, got, want)
}

// watched is one relay that the exporter is to watch.
type watched struct {
	name     string
	scenario string   // of its relay; empty: healthy
	account  []string // statements on its account
	password string   // in place of the right one
	alerts   []string // that must fire, and no others
}

// TestPrometheus has a real Prometheus scrape 'handoff serve', which probes six
// relays, and looks which alerts of the rules we ship fire. Two more, in agent
// mode and with a vantage label each, feed a central one.
func TestPrometheus(t *testing.T) {
	need(t, "prometheus", "promtool")
	dir := t.TempDir()
	cases := []watched{
		{name: "healthy"},
		{name: "wrong-password", password: "not-the-password", alerts: []string{"RelayDown", "RelayRefusesLogin"}},
		{name: "stripped", scenario: "starttls-stripped", alerts: []string{"RelayDown"}},
		{name: "sasl", scenario: "sasl-down", alerts: []string{"RelayDown"}},
		{name: "expired", scenario: "cert-expired", alerts: []string{"RelayCertificateEndsSoon", "RelayDown"}},
		{name: "open", account: []string{"sender add 127.0.0.0/8"}, alerts: []string{"RelayDown", "RelayOpen"}},
	}
	var modules, targets strings.Builder
	var want []string
	for _, c := range cases {
		host := c.name + ".ppe-hosted.com"
		p25, p587 := freePort(t, "127.0.0.1"), freePort(t, "127.0.0.1")
		control, ca := filepath.Join(dir, c.name+".ctl"), filepath.Join(dir, c.name+".pem")
		args := []string{
			"relay", "--json", "--name", host, "--ca-file", ca, "--control", control,
			"--listen", fmt.Sprintf("25=127.0.0.1:%d", p25), "--listen", fmt.Sprintf("587=127.0.0.1:%d", p587),
		}
		if c.scenario != "" {
			args = append(args, "--scenario", c.scenario)
		}
		background(t, dir, program, args...)
		waitFor(t, fmt.Sprintf("127.0.0.1:%d", p587))
		for _, s := range append([]string{"cred new exporter --user exporter@customer.example", "user add exporter@customer.example --kind functional"}, c.account...) {
			r := run(t, "", program, append([]string{"relay", "account", "--control", control}, strings.Fields(s)...)...)
			if r.code != 0 {
				t.Fatalf("%s: %s", s, r)
			}
			if m := regexp.MustCompile(`password +(\S+)`).FindStringSubmatch(r.stdout); m != nil && c.password == "" {
				c.password = m[1]
			}
		}
		if r := run(t, "", program, "relay", "account", "--control", control, "clock", "+60m"); r.code != 0 {
			t.Fatal(r)
		}
		write(t, filepath.Join(dir, c.name+".pw"), 0o600, c.password+"\n")
		fmt.Fprintf(&modules, "  %s:\n    user: exporter@customer.example\n    password_file: %s\n    from: exporter@customer.example\n    to: bob@recipient.example\n"+
			"    targets: [%s]\n    ca_file: %s\n    connect: {25: \"127.0.0.1:%d\", 587: \"127.0.0.1:%d\"}\n",
			c.name, filepath.Join(dir, c.name+".pw"), host, ca, p25, p587)
		fmt.Fprintf(&targets, "      - targets: [%s]\n        labels: {module: %s}\n", host, c.name)
		for _, a := range c.alerts {
			want = append(want, host+" "+a)
		}
	}
	slices.Sort(want)
	config := write(t, filepath.Join(dir, "handoff.yaml"), 0o600, "modules:\n"+modules.String())
	exporter := fmt.Sprintf("127.0.0.1:%d", freePort(t, "127.0.0.1"))
	log := background(t, dir, program, "serve", "--config", config, "--listen", exporter)
	waitFor(t, exporter)

	// The rules as we ship them, without their patience.
	rules, err := os.ReadFile("../../../../testdata/monitoring/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "alerts.yml"), 0o644, regexp.MustCompile(`(?m)^( +for:) .*$`).ReplaceAllString(string(rules), "$1 0s"))
	scrape := fmt.Sprintf("scrape_configs:\n  - job_name: handoff\n    metrics_path: /probe\n    static_configs:\n%s"+
		"    relabel_configs:\n      - {source_labels: [module], target_label: __param_module}\n      - {source_labels: [__address__], target_label: __param_target}\n"+
		"      - {source_labels: [__param_target], target_label: instance}\n      - {target_label: __address__, replacement: %q}\n      - {regex: module, action: labeldrop}\n", targets.String(), exporter)
	central := startPrometheus(t, dir, "central", "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [alerts.yml]\n"+scrape, "--web.enable-remote-write-receiver")

	eventually(t, "alerts that fire", func() string {
		var got struct {
			Data struct {
				Alerts []struct {
					State  string
					Labels map[string]string
				}
			}
		}
		ask(t, central, "/api/v1/alerts", &got)
		var firing []string
		for _, a := range got.Data.Alerts {
			if a.State == "firing" {
				firing = append(firing, a.Labels["instance"]+" "+a.Labels["alertname"])
			}
		}
		slices.Sort(firing)
		return strings.Join(slices.Compact(firing), "\n     ")
	}, strings.Join(want, "\n     "))
	if got := query(t, central, `probe_smtp_finding_info{id="relay-access-denied", expected="true", instance="healthy.ppe-hosted.com"}`); len(got) != 1 {
		t.Errorf("the documented refusal on 25 of the healthy relay is not told as expected: %v", got)
	}

	// Two agents, one central server, a label per place.
	for _, vantage := range []string{"head-office", "branch"} {
		startPrometheus(t, dir, vantage, fmt.Sprintf("global:\n  scrape_interval: 1s\n  external_labels: {vantage: %s}\nremote_write:\n  - url: http://%s/api/v1/write\n", vantage, central)+scrape, "--enable-feature=agent")
	}
	eventually(t, "vantage points in the central server", func() string {
		return strings.Join(query(t, central, `probe_success{vantage!="", instance="healthy.ppe-hosted.com"} == 1`), ", ")
	}, "healthy.ppe-hosted.com branch, healthy.ppe-hosted.com head-office")

	res, err := http.Get("http://" + exporter + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lint := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
	lint.Stdin = res.Body
	if out, err := lint.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	for _, c := range cases {
		secret, err := os.ReadFile(filepath.Join(dir, c.name+".pw"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(log.String(), strings.TrimSpace(string(secret))) {
			t.Errorf("the exporter's log holds the password of %s", c.name)
		}
	}
}

// startPrometheus runs one with its own configuration and gives its address.
func startPrometheus(t *testing.T, dir, name, config string, flags ...string) string {
	t.Helper()
	address := net.JoinHostPort("127.0.0.1", fmt.Sprint(freePort(t, "127.0.0.1")))
	file := write(t, filepath.Join(dir, name+".yml"), 0o644, config)
	storage := "--storage.tsdb.path="
	if slices.Contains(flags, "--enable-feature=agent") {
		storage = "--storage.agent.path="
	}
	background(t, dir, "prometheus", append([]string{"--config.file=" + file, storage + filepath.Join(dir, name), "--web.listen-address=" + address, "--log.level=warn"}, flags...)...)
	waitFor(t, address)
	return address
}
