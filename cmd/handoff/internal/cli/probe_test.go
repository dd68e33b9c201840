package cli

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/probe"
)

// Every probe of the process but those of a relay inside it shares the spacing,
// the scrapes of 'handoff serve' and the targets of 'handoff check' among them.
func TestProbesOfAProcessAreSpaced(t *testing.T) {
	p := &program{stdin: nil, stdout: io.Discard, stderr: io.Discard, now: time.Now}
	for _, inProcess := range []bool{false, true} {
		j := &job{
			target: probe.Target{Host: "192.0.2.1", Ports: []int{25}}, intent: analyze.IntentAuth, noSurvey: true, inProcess: inProcess,
			options: probe.Options{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("nobody is there") }},
		}
		if _, _, err := p.runJob(context.Background(), j); err != nil {
			t.Fatal(err)
		}
		if (j.options.Pacer == &p.pacer) == inProcess {
			t.Errorf("in process %v: spaced by %p, not %p", inProcess, j.options.Pacer, &p.pacer)
		}
	}
}
