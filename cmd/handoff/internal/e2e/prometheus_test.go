//go:build unix

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
	"strconv"
	"strings"
	"testing"
	"time"
)

// daemon is a program that runs until the test ends; its output goes to a file.
type daemon struct {
	log   string
	pid   int
	ended chan struct{}
}

func (d *daemon) output(t testing.TB) string {
	t.Helper()
	raw, err := os.ReadFile(d.log)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// background starts a program that runs until the test ends.
func background(t testing.TB, dir string, name string, args ...string) *daemon {
	t.Helper()
	f, err := os.CreateTemp(dir, "log-*")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := &daemon{log: f.Name(), ended: make(chan struct{})}
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_RUNTIME_DIR="+dir)
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	d.pid = cmd.Process.Pid
	go func() {
		_ = cmd.Wait()
		close(d.ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case <-d.ended:
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			<-d.ended
		}
		if t.Failed() {
			t.Logf("--- %s %s\n%s", name, strings.Join(args, " "), d.output(t))
		}
	})
	return d
}

// ready waits until a GET is answered with 200; false when the program ends
// before that, as it does where its port was taken.
func (d *daemon) ready(t testing.TB, url string) bool {
	t.Helper()
	for range 600 {
		res, err := http.Get(url)
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return true
			}
		}
		select {
		case <-d.ended:
			return false
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Fatalf("%s is not ready after a minute:\n%s", url, d.output(t))
	return false
}

// startWeb starts a program that listens on an address of our choice and waits
// until it is ready; where the port has been taken meanwhile, it chooses another.
func startWeb(t testing.TB, dir, readyPath string, command func(address string) []string) (address string, d *daemon) {
	t.Helper()
	for range 5 {
		address = net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t, "127.0.0.1")))
		words := command(address)
		d = background(t, dir, words[0], words[1:]...)
		if d.ready(t, "http://"+address+readyPath) {
			return address, d
		}
	}
	t.Fatalf("it does not start:\n%s", d.output(t))
	return "", nil
}

// startPrometheus runs one with its own configuration and gives its address.
func startPrometheus(t *testing.T, dir, name, config string, flags ...string) string {
	t.Helper()
	file := write(t, filepath.Join(dir, name+".yml"), 0o644, config)
	storage := "--storage.tsdb.path="
	if slices.Contains(flags, "--enable-feature=agent") {
		storage = "--storage.agent.path="
	}
	address, _ := startWeb(t, dir, "/-/ready", func(address string) []string {
		return append([]string{"prometheus", "--config.file=" + file, storage + filepath.Join(dir, name), "--web.listen-address=" + address, "--log.level=warn"}, flags...)
	})
	return address
}

func fetch(t testing.TB, url string) []byte {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v\n%s", url, res.Status, err, raw)
	}
	return raw
}

func ask(t *testing.T, address, path string, into any) {
	t.Helper()
	raw := fetch(t, "http://"+address+path)
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

// firing gives the alerts that fire: instance, name and, of those that have one,
// the vantage point.
func firing(t *testing.T, address string) string {
	t.Helper()
	var got struct {
		Data struct {
			Alerts []struct {
				State  string
				Labels map[string]string
			}
		}
	}
	ask(t, address, "/api/v1/alerts", &got)
	var out []string
	for _, a := range got.Data.Alerts {
		if a.State == "firing" {
			out = append(out, strings.TrimSpace(a.Labels["instance"]+" "+a.Labels["alertname"]+" "+a.Labels["vantage"]))
		}
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), "\n     ")
}

// eventually repeats a look until it is as wanted in several looks one after the
// other, for two minutes at most.
func eventually(t *testing.T, what string, look func() string, want string) {
	t.Helper()
	var got string
	for same := 0; same < 10; {
		began := time.Now()
		for got = look(); got != want; got = look() {
			if same = 0; time.Since(began) > 2*time.Minute {
				t.Errorf("%s:\ngot  %s\nwant %s", what, got, want)
				return
			}
			time.Sleep(250 * time.Millisecond)
		}
		same++
		time.Sleep(250 * time.Millisecond)
	}
}

// watched is one relay that the exporter is to watch.
type watched struct {
	name     string
	scenario string   // of its relay; empty: healthy
	account  []string // statements on its account
	password string   // in place of the right one
	alerts   []string // that must fire, and no others

	host, ca, file string
	port25         int
	port587        int
}

// start runs the bundled relay of the case with a credential of our own.
func (c *watched) start(t *testing.T, dir string) {
	t.Helper()
	c.host = c.name + ".ppe-hosted.com"
	c.ca, c.file = filepath.Join(dir, c.name+".pem"), filepath.Join(dir, c.name+".pw")
	control := filepath.Join(dir, c.name+".ctl")
	args := []string{"relay", "--json", "--name", c.host, "--ca-file", c.ca, "--control", control, "--listen", "25=127.0.0.1:0", "--listen", "587=127.0.0.1:0"}
	if c.scenario != "" {
		args = append(args, "--scenario", c.scenario)
	}
	d := background(t, dir, program, args...)
	var says struct{ Addresses map[string]string }
	for range 600 {
		if err := json.Unmarshal([]byte(d.output(t)), &says); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.port25, c.port587 = portOf(t, says.Addresses["25"]), portOf(t, says.Addresses["587"])
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
	write(t, c.file, 0o600, c.password+"\n")
}

func portOf(t *testing.T, address string) int {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	n, e := strconv.Atoi(port)
	if err != nil || e != nil {
		t.Fatalf("the relay announces %q", address)
	}
	return n
}

// module is the exporter's module for the relay.
func (c *watched) module(port25, port587 int) string {
	return fmt.Sprintf("  %s:\n    user: exporter@customer.example\n    password_file: %s\n    from: exporter@customer.example\n    to: bob@recipient.example\n"+
		"    targets: [%s]\n    ca_file: %s\n    connect: {25: \"127.0.0.1:%d\", 587: \"127.0.0.1:%d\"}\n", c.name, c.file, c.host, c.ca, port25, port587)
}

// TestPrometheus has a real Prometheus scrape 'handoff serve', which probes six
// relays, and looks which alerts of the rules we ship fire. Two more, in agent
// mode, each beside an exporter of its own and with a vantage label, feed the
// same central one; from the second the healthy relay cannot be reached.
func TestPrometheus(t *testing.T) {
	need(t, "prometheus", "promtool")
	dir := t.TempDir()
	cases := []*watched{
		{name: "healthy"},
		{name: "wrong-password", password: "not-the-password", alerts: []string{"RelayDown", "RelayRefusesLogin"}},
		{name: "stripped", scenario: "starttls-stripped", alerts: []string{"RelayDown"}},
		{name: "sasl", scenario: "sasl-down", alerts: []string{"RelayDown"}},
		{name: "expired", scenario: "cert-expired", alerts: []string{"RelayCertificateEndsSoon", "RelayDown"}},
		{name: "open", account: []string{"sender add 127.0.0.0/8"}, alerts: []string{"RelayDown", "RelayOpen"}},
	}
	var modules, branchModules, targets strings.Builder
	var want []string
	for _, c := range cases {
		c.start(t, dir)
		modules.WriteString(c.module(c.port25, c.port587))
		fmt.Fprintf(&targets, "      - targets: [%s]\n        labels: {module: %s}\n", c.host, c.name)
		for _, a := range c.alerts {
			want = append(want, c.host+" "+a)
		}
		if c.name == "healthy" { // nobody listens where the branch office looks for it
			branchModules.WriteString(c.module(freePort(t, "127.0.0.1"), freePort(t, "127.0.0.1")))
		} else {
			branchModules.WriteString(c.module(c.port25, c.port587))
		}
	}
	slices.Sort(want)
	serve := func(name, modules string) (string, *daemon) {
		config := write(t, filepath.Join(dir, name+".handoff.yaml"), 0o600, "modules:\n"+modules)
		return startWeb(t, dir, "/-/ready", func(address string) []string {
			return []string{program, "serve", "--config", config, "--listen", address}
		})
	}
	exporter, log := serve("head-office", modules.String())
	scrape := func(exporter string) string {
		return fmt.Sprintf("scrape_configs:\n  - job_name: handoff\n    metrics_path: /probe\n    static_configs:\n%s"+
			"    relabel_configs:\n      - {source_labels: [module], target_label: __param_module}\n      - {source_labels: [__address__], target_label: __param_target}\n"+
			"      - {source_labels: [__param_target], target_label: instance}\n      - {target_label: __address__, replacement: %q}\n      - {regex: module, action: labeldrop}\n", targets.String(), exporter)
	}
	const often = "scrape_interval: 3s, scrape_timeout: 3s, evaluation_interval: 1s"

	// The rules as we ship them, without their patience.
	write(t, filepath.Join(dir, "alerts.yml"), 0o644, regexp.MustCompile(`(?m)^( +for:) .*$`).ReplaceAllString(shipped(t, "alerts.yml"), "$1 0s"))
	own := fmt.Sprintf("  - job_name: handoff-exporter\n    static_configs:\n      - targets: [%q]\n", exporter)
	central := startPrometheus(t, dir, "central", "global: {"+often+"}\nrule_files: [alerts.yml]\n"+scrape(exporter)+own, "--web.enable-remote-write-receiver")
	eventually(t, "alerts that fire", func() string { return firing(t, central) }, strings.Join(want, "\n     "))
	if got := query(t, central, `probe_smtp_finding_info{id="relay-access-denied", expected="true", instance="healthy.ppe-hosted.com"}`); len(got) != 1 {
		t.Errorf("the documented refusal on 25 of the healthy relay is not told as expected: %v", got)
	}
	t.Logf("%d relays, alerts that fire:\n     %s", len(cases), firing(t, central))

	// Two agents, one central server, a label per place.
	branch, branchLog := serve("branch", branchModules.String())
	for _, v := range []struct{ vantage, exporter string }{{"head-office", exporter}, {"branch", branch}} {
		startPrometheus(t, dir, v.vantage, fmt.Sprintf("global: {%s, external_labels: {vantage: %s}}\nremote_write:\n  - url: http://%s/api/v1/write\n",
			strings.Replace(often, ", evaluation_interval: 1s", "", 1), v.vantage, central)+scrape(v.exporter), "--enable-feature=agent")
	}
	success := func(value int) func() string {
		return func() string {
			return strings.Join(query(t, central, fmt.Sprintf(`probe_success{vantage!=""} == %d`, value)), "\n     ")
		}
	}
	eventually(t, "what succeeds from where", success(1), "healthy.ppe-hosted.com head-office")
	var fails []string
	for _, c := range cases {
		for _, v := range []string{"branch", "head-office"} {
			if c.name != "healthy" || v == "branch" {
				fails = append(fails, c.host+" "+v)
			}
		}
	}
	slices.Sort(fails)
	eventually(t, "what fails from where", success(0), strings.Join(fails, "\n     "))
	eventually(t, "the alert for one place", func() string {
		var out []string
		for _, l := range strings.Split(firing(t, central), "\n") {
			if l = strings.TrimSpace(l); strings.Contains(l, "RelayFailsFromOnePlace") || strings.HasPrefix(l, "healthy.") {
				out = append(out, l)
			}
		}
		return strings.Join(out, "\n     ")
	}, "healthy.ppe-hosted.com RelayFailsFromOnePlace branch")
	t.Logf("with two vantage points:\n     %s", firing(t, central))

	// Each panel of the dashboard shows something.
	if res, err := http.Get("http://" + exporter + "/probe?module=none&target=h"); err == nil {
		res.Body.Close() // one refused request for its panel
	}
	panels := dashboard(t)
	eventually(t, "panels without a series", func() string {
		var empty []string
		for _, expr := range panels {
			if len(query(t, central, expr)) == 0 {
				empty = append(empty, expr)
			}
		}
		return strings.Join(empty, "\n     ")
	}, "")

	for _, path := range []string{"/metrics", "/probe?target=" + cases[0].host + "&module=" + cases[0].name, "/probe?target=" + cases[1].host + "&module=" + cases[1].name} {
		checkMetrics(t, fetch(t, "http://"+exporter+path))
	}
	for _, d := range []*daemon{log, branchLog} {
		seen := d.output(t)
		for _, what := range []string{"cmdline", "environ"} { // what ps shows
			raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", d.pid, what))
			if err != nil {
				t.Fatal(err)
			}
			seen += string(raw)
		}
		for _, c := range cases {
			if strings.Contains(seen, c.password) {
				t.Errorf("the exporter's log, arguments or environment hold the password of %s", c.name)
			}
		}
	}
}

// dashboard gives the expressions of the Grafana dashboard with all targets and
// all vantage points chosen.
func dashboard(t *testing.T) []string {
	t.Helper()
	var d struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal([]byte(shipped(t, "grafana.json")), &d); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range d.Panels {
		for _, x := range p.Targets {
			out = append(out, strings.NewReplacer("$instance", ".*", "$vantage", ".*").Replace(x.Expr))
		}
	}
	if len(out) == 0 {
		t.Fatal("the dashboard asks for nothing")
	}
	return out
}

// checkMetrics has promtool read an exposition.
func checkMetrics(t *testing.T, exposition []byte) {
	t.Helper()
	lint := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
	lint.Stdin = bytes.NewReader(exposition)
	if out, err := lint.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s\n%s", err, out, exposition)
	}
}

// TestPromtool has the files we ship read by Prometheus's own checker, and the
// exposition of a probe.
func TestPromtool(t *testing.T) {
	need(t, "promtool")
	for _, args := range [][]string{
		{"check", "config", "prometheus.yml"},
		{"check", "config", "--agent", "prometheus-agent.yml"},
		{"check", "rules", "alerts.yml"},
		{"test", "rules", "alerts_test.yml"},
	} {
		cmd := exec.CommandContext(t.Context(), "promtool", args...)
		cmd.Dir = "../../../../testdata/monitoring"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	for _, scenario := range []string{"wrong-password", "starttls-stripped", "cert-expired", "sasl-down"} {
		r := run(t, "", program, "probe", "--bundled", "--scenario", scenario, "-q", "-o", "prom")
		if r.code != 1 {
			t.Fatal(r)
		}
		checkMetrics(t, []byte(r.stdout))
	}
}
