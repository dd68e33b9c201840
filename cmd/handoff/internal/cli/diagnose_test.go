package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
	"github.com/smtp-handoff/handoff/probe/relay"
)

// ownClient are the presets whose client the probe is not: what they show, no
// probe of both ports sees.
var ownClient = []string{
	"auth-on-25", "ip-on-587", "auth-before-tls", "implicit-tls-on-587", "too-many-rcpts", "downstream-refuses", "downstream-spf",
	"downstream-deferred", "downstream-unreachable", "connector-bypassed", "tester-rcpt-r", "relay-pool-ip", "mech-missing",
}

// diagnosed runs a diagnosis of the bundled relay with presets, asks nothing and
// returns the report.
func diagnosed(t *testing.T, f *probeFlags, scenarios []string, obs ...analyze.Observation) (*diagnosis, *analyze.Report) {
	t.Helper()
	var out bytes.Buffer
	p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: io.Discard, getenv: func(string) string { return "" }, now: time.Now}
	p.flags = common{format: string(report.JSON), color: "never", redact: "standard", noInput: true}
	f.bundled, f.ports, f.mechanism, f.stopAfter = true, []int{25, 587}, "auto", "envelope"
	f.timeout, f.deadline, f.retryWait, f.intent = 30*time.Second, 10*time.Minute, time.Minute, "auth"
	s := &diagnosis{p: p, in: bufio.NewReader(strings.NewReader("")), obs: obs}
	end, err := s.prepare(t.Context(), f, scenarios, false)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	if err := s.run(t.Context(), nil); err != nil && exitCodeOf(err) > exitInconclusive {
		t.Fatal(err)
	}
	var r analyze.Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	return s, &r
}

func exitCodeOf(err error) int { return conclude(err, true, "handoff", io.Discard) }

// otherServer are the presets where another server answers: its two ports are
// no one road.
var otherServer = []string{"not-the-relay", "loop-to-self"}

// TestDiagnosisTakesBothPorts: what the ports of one probe show is one road, and
// nothing of it is set aside.
func TestDiagnosisTakesBothPorts(t *testing.T) {
	for _, sc := range relay.Scenarios() {
		if slices.Contains(otherServer, sc.Name) {
			continue
		}
		t.Run(sc.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, r := diagnosed(t, &probeFlags{}, []string{sc.Name})
				if r.Diagnosis != nil && r.Diagnosis.Aside > 0 && r.Verdict.Status != analyze.Inconclusive {
					t.Errorf("%s %q: %d set aside, tried %v", r.Verdict.Code, r.Verdict.Headline, r.Diagnosis.Aside, r.Diagnosis.Tried)
				}
			})
		})
	}
}

// TestDiagnosisOfEveryPreset: with nobody to ask, the true cause is among those
// left, a login is tried three times at most and not after a refusal, nothing is
// delivered, and where several are left a test says who is to be asked.
func TestDiagnosisOfEveryPreset(t *testing.T) {
	for _, sc := range relay.Scenarios() {
		if slices.Contains(ownClient, sc.Name) {
			continue
		}
		t.Run(sc.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, r := diagnosed(t, &probeFlags{}, []string{sc.Name})
				if s.logins > maxLogins {
					t.Errorf("%d logins", s.logins)
				}
				if sc.Truth.Verdict == "ready" || len(sc.Truth.Causes) == 0 {
					return
				}
				var ids []string
				for _, c := range r.Causes {
					ids = append(ids, c.ID)
				}
				if r.Verdict.Status == analyze.OK {
					return // what is wrong there is not on the way that is meant
				}
				if !slices.Contains(ids, sc.Truth.Causes[0]) {
					t.Errorf("%s %q: %s is not among %v", r.Verdict.Code, r.Verdict.Headline, sc.Truth.Causes[0], ids)
				}
				for _, id := range ids {
					if !slices.Contains(sc.Truth.Causes, id) && id != "credential-user-missing" {
						t.Errorf("%s does not fit what was seen", id)
					}
				}
				if len(ids) > 1 && len(r.NextTests) == 0 {
					t.Errorf("%v are left, and nobody is to be asked", ids)
				}
				if len(ids) == 1 && len(r.NextTests) > 0 {
					t.Errorf("%v is left, and a test is proposed", ids)
				}
				if r.Diagnosis == nil || len(r.Diagnosis.Tried) == 0 {
					t.Error("no test is recorded")
				}
			})
		})
	}
}
