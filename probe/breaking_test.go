package probe_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe"
	"github.com/smtp-handoff/handoff/probe/relay/fault"
)

// brittle counts the calls on a connection and breaks the one it is told to.
type brittle struct {
	net.Conn
	mu     sync.Mutex
	calls  int
	breaks int  // number of the call that fails; 0: none
	bytes  bool // reads give one byte
}

func (b *brittle) next() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.calls++; b.calls >= b.breaks && b.breaks > 0 {
		_ = b.Close()
		return &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}
	return nil
}

func (b *brittle) Read(p []byte) (int, error) {
	if err := b.next(); err != nil {
		return 0, err
	}
	if b.bytes && len(p) > 1 {
		p = p[:1]
	}
	return b.Conn.Read(p)
}

func (b *brittle) Write(p []byte) (int, error) {
	if err := b.next(); err != nil {
		return 0, err
	}
	return b.Conn.Write(p)
}

// throughBrittle runs the healthy dialogue over a connection that breaks.
func throughBrittle(t *testing.T, script string, port, breaks int, bytes bool) (transcript.Session, *brittle) {
	t.Helper()
	srv := fault.New(host, fault.MustParse(script))
	defer srv.Close()
	roots, err := srv.RootCAs()
	if err != nil {
		t.Fatal(err)
	}
	var b *brittle
	o := probe.Options{RootCAs: roots, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := srv.Dial(ctx, network, address)
		b = &brittle{Conn: c, breaks: breaks, bytes: bytes}
		return b, err
	}}
	target := probe.Target{Host: host, Ports: []int{port}, Connect: map[int]string{port: "127.0.0.1:1"}}
	res, err := probe.Run(context.Background(), target, plan(), o)
	if err != nil {
		t.Fatal(err)
	}
	return res.Sessions[0], b
}

var roads = []struct {
	port   int
	script string
}{
	{587, submission()},
	{465, "tls\n" + healthy.greet + "> EHLO\n< 250-relay.example\n< 250-PIPELINING\n< 250 AUTH PLAIN\n" + healthy.auth + healthy.envelope},
}

func TestEveryCallThatFailsHasItsStage(t *testing.T) {
	for _, road := range roads {
		t.Run(fmt.Sprint(road.port), func(t *testing.T) {
			total := 1
			for k := 0; k <= total; k++ {
				synctest.Test(t, func(t *testing.T) {
					s, b := throughBrittle(t, road.script, road.port, k, false)
					checkRecord(t, s)
					if k == 0 {
						total = b.calls
						if _, failed := s.FirstFailure(); failed {
							t.Fatalf("the whole road fails:\n%s", story(s))
						}
						return
					}
					e, failed := s.FirstFailure()
					late := s.Exchanges[len(s.Exchanges)-1]
					switch {
					case !failed && transcript.Verb(late.Command) == "QUIT":
						// Broken behind the last decisive reply.
					case !failed:
						t.Errorf("call %d of %d broke, and no step says so:\n%s", k, total, story(s))
					case e.Fault != transcript.FaultReset && e.Fault != transcript.FaultClosed:
						t.Errorf("call %d broke: stage %s fault %s", k, e.Stage, e.Fault)
					}
				})
			}
			t.Logf("%d calls", total)
		})
	}
}

func TestOneByteReadsGiveTheSameRecord(t *testing.T) {
	for _, road := range roads {
		synctest.Test(t, func(t *testing.T) {
			whole, _ := throughBrittle(t, road.script, road.port, 0, false)
			single, _ := throughBrittle(t, road.script, road.port, 0, true)
			if a, b := story(whole), story(single); a != b {
				t.Errorf("whole:\n%s\none byte at a time:\n%s", a, b)
			}
		})
	}
}

// names is a resolver of the test's own.
type names struct {
	addrs []netip.Addr
	err   error
	hang  bool
}

func (n names) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	if n.hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return n.addrs, n.err
}

// coded is an error with an rcode, as probe/resolve makes them.
type coded string

func (c coded) Error() string { return "lookup failed" }
func (c coded) Rcode() string { return string(c) }

func TestFailedLookups(t *testing.T) {
	for _, c := range []struct {
		name string
		r    names
		word string
	}{
		{"NXDOMAIN", names{err: coded("NXDOMAIN")}, "NXDOMAIN: "},
		{"SERVFAIL", names{err: coded("SERVFAIL")}, "SERVFAIL: "},
		{"REFUSED", names{err: coded("REFUSED")}, "REFUSED: "},
		{"silence", names{err: coded("timeout")}, "timeout: "},
		{"unknown rcode", names{err: coded("NOTIMP")}, "NOTIMP: "},
		{"nothing", names{}, "NODATA: "},
		{"net's not found", names{err: &net.DNSError{IsNotFound: true}}, "NOTFOUND: "},
		{"net's timeout", names{err: &net.DNSError{IsTimeout: true}}, "timeout: "},
		{"net's other", names{err: &net.DNSError{IsTemporary: true}}, "SERVFAIL: "},
		{"hangs", names{hang: true}, "timeout: "},
		{"what nobody knows", names{err: errors.New("x")}, "ERROR: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				res := run(t, probe.Target{Host: host}, plan(), probe.Options{Resolver: c.r})
				if len(res.Sessions) != 2 {
					t.Fatalf("%d sessions", len(res.Sessions))
				}
				for _, s := range res.Sessions {
					e := s.Exchanges[0]
					if e.Stage != transcript.StageResolve || e.Fault != transcript.FaultDNS || !strings.HasPrefix(e.Detail, c.word) {
						t.Errorf("%+v", e)
					}
					if got := verdictOf(s, plan(), res.Partial); got != "unreachable/resolve" {
						t.Errorf("verdict %s", got)
					}
					if len(s.Exchanges) < 6 || s.Exchanges[1].Skipped != probe.SkipFailed {
						t.Errorf("record:\n%s", story(s))
					}
				}
			})
		})
	}
}

// network answers per address; what it does not know hangs.
type network map[string]func() (net.Conn, error)

func (n network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	if f := n[address]; f != nil {
		return f()
	}
	<-ctx.Done()
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
}

func opError(err error) func() (net.Conn, error) {
	return func() (net.Conn, error) { return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err} }
}

func TestConnectFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		err   error // nil: hangs
		fault transcript.Fault
	}{
		{"refused", syscall.ECONNREFUSED, transcript.FaultRefused},
		{"dropped", nil, transcript.FaultTimeout},
		{"kernel's timeout", syscall.ETIMEDOUT, transcript.FaultTimeout},
		{"reset", syscall.ECONNRESET, transcript.FaultReset},
		{"no route", syscall.EHOSTUNREACH, transcript.FaultRefused},
		{"no network", syscall.ENETUNREACH, transcript.FaultRefused},
		{"forbidden", syscall.EPERM, transcript.FaultRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := network{}
				if c.err != nil {
					n["192.0.2.1:25"] = opError(c.err)
				}
				began := time.Now()
				res := run(t, probe.Target{Host: "192.0.2.1", Ports: []int{25}}, probe.Plan{}, probe.Options{Dial: n.dial})
				e, ok := res.Sessions[0].FirstFailure()
				stage, verdict := transcript.StageConnect, "unreachable/connect"
				if c.fault == transcript.FaultReset {
					stage, verdict = transcript.StageGreet, "handshake-failed/greet"
				}
				if !ok || e.Stage != stage || e.Fault != c.fault || e.Detail == "" {
					t.Errorf("%+v", e)
				}
				if took := time.Since(began); c.err == nil && took != 30*time.Second {
					t.Errorf("took %s, the patience is 30 s", took)
				}
				if got := verdictOf(res.Sessions[0], probe.Plan{}, res.Partial); got != verdict {
					t.Errorf("verdict %s", got)
				}
			})
		})
	}
}

func TestHappyEyeballs(t *testing.T) {
	six, four := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1")
	for _, c := range []struct {
		name   string
		six    func() (net.Conn, error)
		took   time.Duration // until the connection stands
		first  string
		second string // address of the failed session; empty: none
		rest   int
	}{
		{"v6 answers", nil, 0, "2001:db8::1", "", 1},
		{"v6 is dropped", func() (net.Conn, error) { return nil, nil }, 250 * time.Millisecond, "192.0.2.1", "", 1},
		{"v6 is refused", opError(syscall.ECONNREFUSED), 0, "192.0.2.1", "2001:db8::1", 0},
		{"no v6 here", opError(syscall.ENETUNREACH), 0, "192.0.2.1", "2001:db8::1", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := fault.New(host, fault.MustParse(submission()))
				defer srv.Close()
				roots, err := srv.RootCAs()
				if err != nil {
					t.Fatal(err)
				}
				good := func() (net.Conn, error) { return srv.Dial(context.Background(), "", "") }
				n := network{"192.0.2.1:587": good, "[2001:db8::1]:587": c.six}
				switch {
				case c.six == nil:
					n["[2001:db8::1]:587"] = good
				case c.took > 0:
					delete(n, "[2001:db8::1]:587")
				}
				res := run(t, probe.Target{Host: host, Ports: []int{587}}, plan(),
					probe.Options{RootCAs: roots, Dial: n.dial, Resolver: names{addrs: []netip.Addr{four, six}}})
				s := res.Sessions[0]
				if _, failed := s.FirstFailure(); failed || s.Address != c.first {
					t.Errorf("%s\n%s", s.Address, story(s))
				}
				if sent := s.Exchanges[1].Sent; sent != c.took {
					t.Errorf("dialled after %s, want %s", sent, c.took)
				}
				switch {
				case c.second == "" && len(res.Sessions) != 1, c.second != "" && (len(res.Sessions) != 2 || res.Sessions[1].Address != c.second):
					t.Errorf("%d sessions", len(res.Sessions))
				}
				if len(res.NotTried) != c.rest {
					t.Errorf("not tried: %v", res.NotTried)
				}
			})
		})
	}
}

func TestAllAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := fault.New(host, fault.MustParse(submission()))
		defer good.Close()
		silent := fault.New(host, fault.MustParse("stall\n"))
		defer silent.Close()
		roots, err := good.RootCAs()
		if err != nil {
			t.Fatal(err)
		}
		of := func(s *fault.Server) func() (net.Conn, error) {
			return func() (net.Conn, error) { return s.Dial(context.Background(), "", "") }
		}
		n := network{
			"192.0.2.1:587": of(silent), "192.0.2.2:587": of(good), "192.0.2.3:587": opError(syscall.ECONNREFUSED),
			"[2001:db8::1]:587": opError(syscall.ENETUNREACH),
		}
		var addrs []netip.Addr
		for _, a := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "2001:db8::1"} {
			addrs = append(addrs, netip.MustParseAddr(a))
		}
		res := run(t, probe.Target{Host: host, Ports: []int{587}}, plan(),
			probe.Options{RootCAs: roots, Dial: n.dial, Resolver: names{addrs: addrs}, AllAddresses: true})
		got := map[string]string{}
		for _, s := range res.Sessions {
			got[s.Address] = verdictOf(s, plan(), res.Partial)
		}
		for a, want := range map[string]string{
			"192.0.2.1": "handshake-failed/greet", "192.0.2.2": "ready/envelope", "192.0.2.3": "unreachable/connect",
			"192.0.2.4": "unreachable/connect", "2001:db8::1": "unreachable/connect",
		} {
			if got[a] != want {
				t.Errorf("%s: %s, want %s", a, got[a], want)
			}
		}
	})
}

func TestMoreAddressesThanAreTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var addrs []netip.Addr
		for i := range 40 {
			addrs = append(addrs, netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}))
		}
		res := run(t, probe.Target{Host: host, Ports: []int{25}}, probe.Plan{}, probe.Options{
			Dial: network{}.dial, Resolver: names{addrs: addrs}, Timeout: 10 * time.Second,
		})
		if len(res.Sessions) != 16 || len(res.NotTried) != 24 {
			t.Errorf("%d sessions, %d not tried", len(res.Sessions), len(res.NotTried))
		}
		if res.Took > 15*time.Second {
			t.Errorf("took %s: the patience must not multiply", res.Took)
		}
	})
}

func TestCancelKeepsWhatIsKnown(t *testing.T) {
	steps := []string{
		"stall\n", healthy.greet + "> EHLO\nstall\n", healthy.greet + healthy.ehlo + "> STARTTLS\n< 220 go\nstall\n",
		healthy.greet + healthy.ehlo + healthy.starttls + healthy.ehlo2 + "> AUTH\nstall\n",
		healthy.greet + healthy.ehlo + healthy.starttls + healthy.ehlo2 + healthy.auth + "> MAIL\n< 250 ok\nstall\n",
		"drip 1s forever \"2\"\n", "deaf\n",
	}
	for i, script := range steps {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := fault.New(host, fault.MustParse(script))
				defer srv.Close()
				roots, err := srv.RootCAs()
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(context.Background())
				var cancelled time.Time
				time.AfterFunc(7*time.Second, func() { cancelled = time.Now(); cancel() })
				res, err := probe.Run(ctx, probe.Target{Host: host, Ports: []int{587}, Connect: map[int]string{587: "127.0.0.1:1"}}, plan(),
					probe.Options{RootCAs: roots, Dial: srv.Dial})
				if err != nil {
					t.Fatal(err)
				}
				if late := time.Since(cancelled); late > 200*time.Millisecond {
					t.Errorf("%s after the cancel", late)
				}
				s := res.Sessions[0]
				if _, failed := s.FirstFailure(); failed || !res.Partial {
					t.Errorf("partial %v\n%s", res.Partial, story(s))
				}
				last := s.Exchanges[len(s.Exchanges)-1]
				if last.Skipped != probe.SkipCancelled {
					t.Errorf("record:\n%s", story(s))
				}
				if got := verdictOf(s, plan(), res.Partial); !strings.HasPrefix(got, "insufficient-evidence/") {
					t.Errorf("verdict %s", got)
				}
			})
		})
	}
}

func TestCancelWhileConnecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Second, cancel)
		res, err := probe.Run(ctx, probe.Target{Host: "192.0.2.1"}, plan192(), probe.Options{Dial: network{}.dial})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range res.Sessions {
			if s.Exchanges[0].Skipped != probe.SkipCancelled || s.Exchanges[0].Stage != transcript.StageConnect {
				t.Errorf("record:\n%s", story(s))
			}
		}
		if res.Took != time.Second || !res.Partial {
			t.Errorf("took %s, partial %v", res.Took, res.Partial)
		}
	})
}

func plan192() probe.Plan {
	p := plan()
	p.Credential = probe.NewCredential("192.0.2.1", user, password)
	return p
}
