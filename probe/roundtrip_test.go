package probe_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtp-handoff/handoff/probe"
	"github.com/smtp-handoff/handoff/probe/relay/fault"
)

// TestRoundTrips counts the round trips of a healthy probe on a road of 50 ms,
// by a clock that nothing but the road moves: TCP, greeting, EHLO, STARTTLS,
// TLS 1.3 with the second EHLO behind it, AUTH, and one group for the envelope.
func TestRoundTrips(t *testing.T) {
	const rtt = 50 * time.Millisecond
	tls12 := strings.Replace(submission(), "\ntls\n", "\ntls max=1.2\n", 1)
	login := healthy.greet + healthy.ehlo + healthy.starttls + healthy.ehlo2 + "> AUTH LOGIN\n< 334 VXNlcm5hbWU6\n> \n< 334 UGFzc3dvcmQ6\n> \n< 235 ok\n" + healthy.envelope
	one := healthy.greet + healthy.ehlo + healthy.starttls + healthy.ehlo2 + healthy.auth + "> MAIL\n< 250 ok\n> RCPT\n< 250 ok\n> QUIT\n< 221 bye\n"
	on25 := healthy.greet + healthy.ehlo + healthy.starttls + healthy.ehlo2 + healthy.envelope
	for _, c := range []struct {
		name   string
		port   int
		script string
		change func(*probe.Plan, *probe.Options)
		trips  int
	}{
		{"587 with AUTH", 587, submission(), nil, 8},
		{"25 with TLS", 25, on25, func(p *probe.Plan, _ *probe.Options) { p.Credential = nil }, 7},
		{"587, TLS 1.2", 587, tls12, nil, 9},
		{"587, LOGIN", 587, login, func(p *probe.Plan, _ *probe.Options) { p.Mechanism = "login" }, 10},
		{"587, one by one", 587, one, func(_ *probe.Plan, o *probe.Options) { o.NoPipelining = true }, 10},
		{"465", 465, roads[1].script, nil, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, target, o := inMemory(t, []int{c.port}, c.script)
				defer srv.Close()
				o.Dial = func(context.Context, string, string) (net.Conn, error) {
					time.Sleep(rtt) // SYN and SYN-ACK, by the bubble's clock
					client, server := fault.Road(rtt / 2)
					srv.Serve(server)
					return client, nil
				}
				p := plan()
				if c.change != nil {
					c.change(&p, &o)
				}
				res := run(t, target, p, o)
				if got := verdictOf(res.Sessions[0], p, false); got != "ready/envelope" {
					t.Fatalf("%s\n%s", got, story(res.Sessions[0]))
				}
				// A connection in memory is asked for unasked bytes by a wait of a
				// millisecond before each command; a socket is not.
				looks := time.Duration(len(res.Sessions[0].Exchanges)) * time.Millisecond
				if least := time.Duration(c.trips) * rtt; res.Took < least-rtt/2 || res.Took > least+looks {
					t.Errorf("took %s, want %d round trips", res.Took, c.trips)
				}
				t.Logf("%s in virtual time", res.Took)
			})
		})
	}
}

// TestPortsAndAddressesSideBySide: two ports take as long as one.
func TestPortsSideBySide(t *testing.T) {
	const rtt = 50 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		srv, target, o := inMemory(t, []int{587, 2587}, submission())
		defer srv.Close()
		o.Dial = func(context.Context, string, string) (net.Conn, error) {
			time.Sleep(rtt)
			client, server := fault.Road(rtt / 2)
			srv.Serve(server)
			return client, nil
		}
		p := plan()
		res := run(t, target, p, o)
		// AUTH takes turns, since a wrong password must be tried once only.
		if res.Took > 9*rtt+30*time.Millisecond {
			t.Errorf("took %s", res.Took)
		}
	})
}

// TestMemoryOfOneProbe: what a server floods does not stay.
func TestMemoryOfOneProbe(t *testing.T) {
	flood := healthy.greet + "> EHLO\n" + `repeat 900 "250-` + strings.Repeat("k", 270) + `\r\n"` + "\n< 250 STARTTLS\n" + healthy.starttls +
		"> EHLO\n" + `repeat 900 "250-` + strings.Repeat("k", 270) + `\r\n"` + "\n< 250 AUTH LOGIN\n" +
		"> AUTH\n" + `repeat 900 "334-` + strings.Repeat("k", 270) + `\r\n"` + "\n< 334 x\n" +
		"> \n" + `repeat 900 "334-` + strings.Repeat("k", 270) + `\r\n"` + "\n< 334 x\n" + "> \nrepeat 0 \"535-more\\r\\n\"\n"
	for name, script := range map[string]string{
		"replies": flood, "a line": "repeat 0 \"xxxxxxxxxxxxxxxx\"\n", "lines": healthy.greet + "> EHLO\nrepeat 0 \"250-X\\r\\n\"\n",
		"short lines": healthy.greet + "> EHLO\n" + `repeat 998 "250-\r\n"` + "\n< 250 STARTTLS\n" + healthy.starttls + "> EHLO\n" + `repeat 998 "250-\r\n"` + "\n< 250 AUTH LOGIN\n" +
			strings.Repeat("> \n"+`repeat 998 "334-\r\n"`+"\n< 334 x\n", 10),
		"a large certificate": healthy.greet + healthy.ehlo + "> STARTTLS\n< 220 go\ntls cert=large\n" + healthy.ehlo2 + healthy.auth + healthy.envelope,
		"records":             healthy.greet + healthy.ehlo + "> STARTTLS\n< 220 go\nhello \"\\x16\\x03\\x03\\x3f\\xff\"\nrepeat 0 \"xxxxxxxxxxxxxxxx\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, target, o := start(t, 587, script)
			// Port 25 gets the same, and the first run pays what is paid once.
			target.Ports, target.Connect[25] = []int{25, 587}, target.Connect[587]
			run(t, target, plan(), o)
			live := func() int64 {
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				return int64(m.HeapAlloc)
			}
			// The sessions and their buffers live while their steps are told. What
			// the server holds at that moment only adds, so the best of many counts.
			for n := 0; ; n++ {
				before, peak := live(), int64(0)
				var mu sync.Mutex
				o.Observe = func(probe.Event) {
					mu.Lock()
					defer mu.Unlock()
					peak = max(peak, live())
				}
				res := run(t, target, plan(), o)
				peak, kept := peak-before, live()-before
				runtime.KeepAlive(res)
				if peak > 2<<20 && n < 20 {
					continue
				}
				if peak > 2<<20 || kept > 2<<20 {
					t.Errorf("%d bytes at most, %d bytes are kept", peak, kept)
				}
				t.Logf("%d KB at most, %d KB are kept", peak>>10, kept>>10)
				return
			}
		})
	}
}

// TestServeElsewhere is no test: benchmarks start the test binary once more to
// have the server in a process of its own.
func TestServeElsewhere(t *testing.T) {
	if os.Getenv("HANDOFF_TEST_SERVER") == "" {
		t.Skip("the server of the benchmarks")
	}
	srv := fault.New(host, fault.MustParse(submission()))
	defer srv.Close()
	address := os.Getenv("HANDOFF_TEST_SERVER")
	if !strings.Contains(address, ":") {
		address = "127.0.0.1:0"
	}
	addr, err := srv.Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := srv.CAPEM()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%s\n%s\n", addr, base64.StdEncoding.EncodeToString(ca))
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// elsewhere starts that process.
func elsewhere(b testing.TB) (probe.Target, probe.Options) {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestServeElsewhere$")
	cmd.Env = append(os.Environ(), "HANDOFF_TEST_SERVER=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	var said [2]string
	for i := range said {
		if !lines.Scan() {
			b.Fatal("the server did not start")
		}
		said[i] = lines.Text()
	}
	ca, err := base64.StdEncoding.DecodeString(said[1])
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(ca) {
		b.Fatal("the server gave no certificate")
	}
	return probe.Target{Host: host, Ports: []int{587}, Connect: map[int]string{587: said[0]}}, probe.Options{RootCAs: roots}
}

// thousandProbes runs a thousand probes at once from one process and returns
// the most bytes of heap and stacks that were seen in use.
func thousandProbes(b testing.TB, target probe.Target, o probe.Options) (peak uint64) {
	b.Helper()
	done := make(chan error, 1000)
	for range 1000 {
		go func() {
			res, err := probe.Run(context.Background(), target, plan(), o)
			if err == nil {
				if e, failed := res.Sessions[0].FirstFailure(); failed {
					err = fmt.Errorf("%s %s %s", e.Stage, e.Fault, e.Detail)
				}
			}
			done <- err
		}()
	}
	var m runtime.MemStats
	for i := range 1000 {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		if i%50 == 0 {
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse+m.StackInuse)
		}
	}
	return peak
}

func BenchmarkThousandProbes(b *testing.B) {
	target, o := elsewhere(b)
	peak := uint64(0)
	for b.Loop() {
		peak = max(peak, thousandProbes(b, target, o))
	}
	b.ReportMetric(float64(peak)/(1<<20), "MB")
}

// TestThousandProbes: they finish, and take less than 200 MB together.
func TestThousandProbes(t *testing.T) {
	if os.Getenv("HANDOFF_E2E") == "" {
		t.Skip("end-to-end test: set HANDOFF_E2E=1")
	}
	target, o := elsewhere(t)
	o.Timeout, o.Deadline = 5*time.Minute, 5*time.Minute // a thousand handshakes on a busy machine
	peak := thousandProbes(t, target, o)
	t.Logf("%d MB at most", peak>>20)
	if peak > 200<<20 {
		t.Errorf("%d bytes", peak)
	}
}

func BenchmarkProbe(b *testing.B) {
	target, o := elsewhere(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := probe.Run(context.Background(), target, plan(), o); err != nil {
			b.Fatal(err)
		}
	}
}
