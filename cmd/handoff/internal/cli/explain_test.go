package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/causes"
)

// pipeline runs commands of handoff joined by "|", in process, on a clock of its
// own, and returns what the last one prints as JSON.
func pipeline(t *testing.T, command string) []byte {
	t.Helper()
	var input []byte
	parts := strings.Split(command, "|")
	for i, part := range parts {
		words := strings.Fields(part)
		if len(words) < 2 || words[0] != "handoff" {
			t.Fatalf("%q is no command of handoff", part)
		}
		args := words[1:]
		if i == len(parts)-1 {
			args = append(args, "-o", "json")
		}
		var out, errs bytes.Buffer
		p := &program{stdin: bytes.NewReader(input), stdout: &out, stderr: &errs, getenv: func(string) string { return "" }, now: time.Now}
		if code := p.main(t.Context(), args); code > exitInconclusive {
			t.Fatalf("%s: exit code %d\n%s", part, code, errs.String())
		}
		input = out.Bytes()
	}
	return input
}

// TestEveryPageIsReproducedByItsOwnCommand runs the command that a page of a cause
// prints, and finds the cause.
func TestEveryPageIsReproducedByItsOwnCommand(t *testing.T) {
	// The loop that hands out signals belongs to the process, not to a bubble.
	hear := make(chan os.Signal, 1)
	signal.Notify(hear, os.Interrupt)
	defer signal.Stop(hear)
	for _, d := range causes.Pages() {
		t.Run(d.ID, func(t *testing.T) {
			command := reproduce(&d)
			if !strings.Contains(pageText(d), "\n  "+command+"\n") {
				t.Errorf("the page does not print %q", command)
			}
			synctest.Test(t, func(t *testing.T) {
				var r analyze.Report
				if err := json.Unmarshal(pipeline(t, command), &r); err != nil {
					t.Fatal(err)
				}
				var ids []string
				for _, o := range r.Outcomes {
					for _, c := range o.Causes {
						ids = append(ids, c.ID)
					}
				}
				for _, c := range r.Causes {
					ids = append(ids, c.ID)
				}
				for _, f := range r.Findings {
					ids = append(ids, f.ID)
				}
				if !slices.Contains(ids, d.ID) {
					t.Errorf("%s finds %s and %v", command, r.Verdict.Code, ids)
				}
			})
		})
	}
}

// TestEveryFindingHasACommand: the page of a finding prints the command that
// shows it, and those of the bundled relay do show it.
func TestEveryFindingHasACommand(t *testing.T) {
	hear := make(chan os.Signal, 1)
	signal.Notify(hear, os.Interrupt)
	defer signal.Stop(hear)
	for _, d := range causes.Findings() {
		command := seeFinding(d.ID)
		if command == "" || !strings.Contains(pageText(d), "\nSEE IT\n  "+command+"\n") {
			t.Errorf("%s: the page does not print %q", d.ID, command)
		}
		if !strings.Contains(command, "--bundled") {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			var r analyze.Report
			if err := json.Unmarshal(pipeline(t, command), &r); err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(r.Findings, func(f analyze.Finding) bool { return f.ID == d.ID }) {
				t.Errorf("%s does not show %s", command, d.ID)
			}
		})
	}
}

// TestTryComposesReports: every family, or an error in words.
func TestTryComposesReports(t *testing.T) {
	for _, f := range families() {
		var out, errs bytes.Buffer
		p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: func(string) string { return "" }, now: time.Now}
		if code := p.main(t.Context(), []string{"relay", "try", "user-not-live", "--report", f}); code > exitProblem || code == exitOK && out.Len() == 0 {
			t.Errorf("%s: exit code %d, %s", f, code, errs.String())
		}
	}
	p := &program{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard, getenv: func(string) string { return "" }, now: time.Now}
	for _, args := range [][]string{{"relay", "try"}, {"relay", "try", "no-such-preset"}, {"relay", "try", "user-not-live", "--report", "pigeon"}} {
		if code := p.main(t.Context(), args); code != exitUsage {
			t.Errorf("%v: exit code %d", args, code)
		}
	}
}
