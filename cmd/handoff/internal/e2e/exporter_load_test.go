//go:build unix

package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smtp-handoff/handoff/probe/relay"
)

// The benchmarks measure the exporter's process from outside: the processor time
// that the kernel charges it with and its largest memory. They assert nothing:
//
//	HANDOFF_E2E=1 go test -run '^$' -bench . -benchtime 4x ./cmd/handoff/internal/e2e

// usage is what a process has used so far.
type usage struct {
	user, system time.Duration
	peakMB       float64
}

func (u usage) total() time.Duration { return u.user + u.system }

// used reads the kernel's account of a process.
func (d *daemon) used(b *testing.B) usage {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.pid))
	if err != nil {
		b.Skipf("no account of a process here: %v", err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	f := strings.Fields(rest)
	ticks := func(s string) time.Duration {
		n, err := strconv.Atoi(s)
		if err != nil {
			b.Fatal(err)
		}
		return time.Duration(n) * 10 * time.Millisecond // USER_HZ is 100
	}
	u := usage{user: ticks(f[11]), system: ticks(f[12])}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ = strings.Cut(string(status), "VmHWM:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		b.Fatal(err)
	}
	u.peakMB = float64(kb) / 1024
	return u
}

// fleet is a number of healthy relays, and an exporter that may log in at them.
type fleet struct {
	address string
	serving *daemon
	relays  int
	demos   []*relay.Demo
}

// fleetHost is the name of a target; the relays' certificates have it.
func fleetHost(i int) string { return fmt.Sprintf("relay%d.fleet.example", i) }

// startFleet starts relays with P-256 certificates in this process and 'handoff
// serve' as a process of its own; target i is served by module i modulo the
// number of relays.
func startFleet(b *testing.B, relays, targets int) *fleet {
	b.Helper()
	need(b)
	dir := b.TempDir()
	f := &fleet{relays: relays}
	var config strings.Builder
	config.WriteString("modules:\n")
	for i := range relays {
		d := relay.Start(b, relay.Names("relay.fleet.example", "*.fleet.example"))
		f.demos = append(f.demos, d)
		ca := filepath.Join(dir, fmt.Sprintf("ca%d.pem", i))
		if err := d.WriteCA(ca); err != nil {
			b.Fatal(err)
		}
		pw := write(b, filepath.Join(dir, fmt.Sprintf("pw%d", i)), 0o600, d.Credential.Password+"\n")
		fmt.Fprintf(&config, "  m%d:\n    ports: [587]\n    user: %s\n    password_file: %s\n    ca_file: %s\n    connect: {587: %q}\n    targets:\n",
			i, d.Credential.Username, pw, ca, d.Addr(relay.PortAuth))
		for t := i; t < targets; t += relays {
			fmt.Fprintf(&config, "    - %s\n", fleetHost(t))
		}
	}
	file := write(b, filepath.Join(dir, "handoff.yaml"), 0o600, config.String())
	f.address, f.serving = startWeb(b, dir, "/-/ready", func(address string) []string {
		return []string{program, "serve", "--config", file, "--listen", address}
	})
	return f
}

// scrape probes a target and reports whether it is ready.
func (f *fleet) scrape(c *http.Client, target int) bool {
	return scraped(c, fmt.Sprintf("http://%s/probe?module=m%d&target=%s", f.address, target%f.relays, fleetHost(target)))
}

func scraped(c *http.Client, url string) bool {
	res, err := c.Get(url)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	var text strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := res.Body.Read(buf)
		text.Write(buf[:n])
		if err != nil {
			break
		}
	}
	return strings.Contains(text.String(), "\nprobe_success 1\n")
}

// BenchmarkFleet probes 2,000 targets every 15 s, spread evenly as Prometheus
// does, each a whole session with STARTTLS and AUTH. One round is one operation.
func BenchmarkFleet(b *testing.B) {
	const targets, every, relays = 2000, 15 * time.Second, 4
	f := startFleet(b, relays, targets)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 200}}
	slots := make(chan struct{}, 100)
	var wg sync.WaitGroup
	var mu sync.Mutex
	failed := 0
	before := f.serving.used(b)
	began := time.Now()
	b.ResetTimer()
	for round := range b.N {
		for i := range targets {
			at := began.Add(time.Duration(round)*every + time.Duration(i)*every/targets)
			time.Sleep(time.Until(at))
			slots <- struct{}{} // a machine that falls behind sends no burst
			wg.Go(func() {
				defer func() { <-slots }()
				if !f.scrape(client, i) {
					mu.Lock()
					failed++
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	took := time.Since(began)
	b.StopTimer()
	after := f.serving.used(b)
	cpu := after.total() - before.total()
	probes := float64(targets * b.N)
	b.ReportMetric(100*cpu.Seconds()/took.Seconds(), "%core")
	b.ReportMetric(100*(after.user-before.user).Seconds()/took.Seconds(), "%core-user")
	b.ReportMetric(cpu.Seconds()*1000/probes, "cpu-ms/probe")
	b.ReportMetric(after.peakMB, "peak-MB")
	b.ReportMetric(float64(failed), "failed")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkBeside has 'handoff serve' and blackbox_exporter hold the same
// dialogue with the same relay (EHLO, STARTTLS, EHLO, AUTH PLAIN, QUIT), in turns,
// and compares the processor time a probe costs each. One operation is 100
// probes of each.
func BenchmarkBeside(b *testing.B) {
	need(b, blackbox)
	const hosts = 500 // names of one relay: sessions with one name are kept apart
	f := startFleet(b, 1, hosts)
	d, dir := f.demos[0], b.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	if err := d.WriteCA(ca); err != nil {
		b.Fatal(err)
	}
	login := base64.StdEncoding.EncodeToString([]byte("\x00" + d.Credential.Username + "\x00" + d.Credential.Password))
	theirs, other := startBlackbox(b, dir, blackboxModule("auth", ca, d.ServerName(), "^220 ", "AUTH PLAIN "+login, "^235", true))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2}}
	failed := 0
	turn := func(p *daemon, ready func() bool) time.Duration {
		before := p.used(b)
		for range 100 {
			if !ready() {
				failed++
			}
		}
		return p.used(b).total() - before.total()
	}
	next := 0
	otherURL := fmt.Sprintf("http://%s/probe?module=auth&target=%s", theirs, d.Addr(relay.PortAuth))
	var mine, others time.Duration
	b.ResetTimer()
	for range b.N {
		mine += turn(f.serving, func() bool {
			next++
			return f.scrape(client, next%hosts)
		})
		others += turn(other, func() bool { return scraped(client, otherURL) })
	}
	b.StopTimer()
	n := float64(100 * b.N)
	b.ReportMetric(mine.Seconds()*1000/n, "handoff-cpu-ms/probe")
	b.ReportMetric(others.Seconds()*1000/n, "blackbox-cpu-ms/probe")
	b.ReportMetric(mine.Seconds()/others.Seconds(), "ratio")
	b.ReportMetric(float64(failed), "failed")
	b.ReportMetric(f.serving.used(b).peakMB, "handoff-peak-MB")
	b.ReportMetric(other.used(b).peakMB, "blackbox-peak-MB")
	b.ReportMetric(0, "ns/op")
}
