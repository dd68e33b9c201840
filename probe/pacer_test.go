package probe_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtp-handoff/handoff/probe"
	"github.com/smtp-handoff/handoff/probe/relay/fault"
)

// starts runs a number of probes of one host at once and returns when each port
// was dialled, counted from the beginning.
func starts(t *testing.T, runs int, hosts []string, change func(*probe.Options)) map[string][]time.Duration {
	t.Helper()
	var mu sync.Mutex
	out := map[string][]time.Duration{}
	synctest.Test(t, func(t *testing.T) {
		srv := fault.New(host, fault.MustParse(healthy.greet+"> EHLO\n< 250 ok\n> QUIT\n< 221 bye\n"))
		defer srv.Close()
		began := time.Now()
		var wg sync.WaitGroup
		var pacer probe.Pacer
		for n := range runs {
			wg.Go(func() {
				name := hosts[n%len(hosts)]
				o := probe.Options{Pacer: &pacer, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
					mu.Lock()
					out[name+" "+address] = append(out[name+" "+address], time.Since(began))
					mu.Unlock()
					return srv.Dial(ctx, network, address)
				}}
				if change != nil {
					change(&o)
				}
				target := probe.Target{Host: name, Ports: []int{25, 587}, Connect: map[int]string{25: "127.0.0.1:25", 587: "127.0.0.1:587"}}
				run(t, target, probe.Plan{HELO: "c.example", StopAfter: "ehlo"}, o)
			})
		}
		wg.Wait()
	})
	return out
}

func TestSessionsOfSeveralRunsAreSpaced(t *testing.T) {
	const gap = 200 * time.Millisecond
	// Both ports at once, the runs one after the other.
	for server, at := range starts(t, 5, []string{host}, nil) {
		for i, d := range at {
			if d != time.Duration(i)*gap {
				t.Errorf("%s was dialled at %v", server, at)
				break
			}
		}
		if len(at) != 5 {
			t.Errorf("%s was dialled %d times", server, len(at))
		}
	}
	// Other hosts do not wait, and Spacing is the option's.
	got := starts(t, 4, []string{"a.example", "b.example"}, func(o *probe.Options) { o.Spacing = time.Second })
	if len(got) != 4 {
		t.Errorf("dialled %v", got)
	}
	for server, at := range got {
		if len(at) != 2 || at[0] != 0 || at[1] != time.Second {
			t.Errorf("%s was dialled at %v", server, at)
		}
	}
}

// A crowd does not wait for ever: the run behind two seconds of others goes.
func TestSpacingHasAnEnd(t *testing.T) {
	for server, at := range starts(t, 40, []string{host}, nil) {
		if len(at) != 40 || at[10] != 2*time.Second || at[39] != 2*time.Second {
			t.Errorf("%s was dialled at %v", server, at)
		}
	}
}

func TestSpacingEndsWithTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pacer probe.Pacer
		dials := 0
		o := probe.Options{Pacer: &pacer, Spacing: time.Minute, Dial: func(context.Context, string, string) (net.Conn, error) {
			dials++
			return nil, context.DeadlineExceeded
		}}
		target := probe.Target{Host: "192.0.2.1", Ports: []int{25}}
		run(t, target, probe.Plan{}, o)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		res, err := probe.Run(ctx, target, probe.Plan{}, o)
		if err != nil || dials != 1 || !res.Partial || res.Sessions[0].Exchanges[0].Skipped != probe.SkipCancelled {
			t.Errorf("%v, %d dials\n%s", err, dials, story(res.Sessions[0]))
		}
	})
}
