package probe

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
)

// TestPanicReachesTheCaller: a fault of our own in a goroutine of the probe ends
// in the goroutine that called Run, wherever it happens.
func TestPanicReachesTheCaller(t *testing.T) {
	planted := func() { panic("planted fault") }
	target := Target{Host: "192.0.2.1", Ports: []int{25, 587}}
	for name, o := range map[string]Options{
		"dialer":       {Dial: func(context.Context, string, string) (net.Conn, error) { planted(); return nil, nil }},
		"every dialer": {AllAddresses: true, Dial: func(context.Context, string, string) (net.Conn, error) { planted(); return nil, nil }},
		"observer":     {Observe: func(Event) { planted() }, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }},
	} {
		func() {
			defer func() {
				if v := recover(); !strings.Contains(fmt.Sprint(v), "planted fault") {
					t.Errorf("%s: the caller got %v", name, v)
				}
			}()
			res, err := Run(t.Context(), target, Plan{}, o)
			t.Errorf("%s: no panic, but %d sessions, %v", name, len(res.Sessions), err)
		}()
	}
}
