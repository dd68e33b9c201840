package relay_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe/relay"
)

var update = flag.Bool("update", false, "write the presets' scenario files and the replies in all of them anew")

// Every scenario file holds, and writing its replies anew changes nothing.
func TestScenarioFiles(t *testing.T) {
	if *update {
		for _, s := range relay.Scenarios() {
			writePreset(t, s)
		}
	}
	names, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(names) < 60 {
		t.Fatalf("%d scenario files: %v", len(names), err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			f, err := relay.ParseFile(name, text)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				res, err := f.Run(context.Background(), relay.RunOptions{Patience: time.Minute, Silence: time.Minute})
				if err != nil {
					t.Fatal(err)
				}
				if *update {
					if err := os.WriteFile(name, res.Updated, 0o644); err != nil {
						t.Fatal(err)
					}
					return
				}
				for _, f := range res.Failures {
					t.Error(f)
				}
				if string(res.Updated) != string(text) {
					t.Error("writing the replies anew changes the file")
				}
			})
		})
	}
}

// Every preset that is a dialogue has a file.
func TestPresetFiles(t *testing.T) {
	for _, s := range relay.Scenarios() {
		_, err := os.Stat(presetFile(s))
		if want := isDialogue(s); want != (err == nil) {
			t.Errorf("%s: a dialogue is %v, a file is there %v", s.Name, want, err == nil)
		}
	}
}

func presetFile(s relay.Scenario) string {
	return filepath.Join("testdata", "scenarios", strings.ToLower(s.ID)+"-"+s.Name+".txt")
}

// isDialogue leaves out what never gets as far as a connection, and what is
// text by its nature.
func isDialogue(s relay.Scenario) bool {
	return !slices.Contains([]string{
		"name-typo", "dns-broken", "port25-blocked", "port587-blocked", "port-refused", "implicit-tls-on-587", "connector-bypassed", "tester-rcpt-r",
	}, s.Name)
}

// writePreset writes the file of a preset from the session of its client.
func writePreset(t *testing.T, s relay.Scenario) {
	if !isDialogue(s) {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# %s %s: %s\n-- setup --\nhealthy\nscenario %s\n", s.ID, s.Name, s.Title, s.Name)
	synctest.Test(t, func(t *testing.T) {
		r, w := startWorld(t, s)
		for n := max(s.Sessions, 1); n > 0; n-- {
			session := r.Try(context.Background(), relay.Attempt{Client: w.Client, Deliver: s.Deliver, Patience: time.Minute})
			synctest.Wait()
			fmt.Fprintf(&b, "-- dialog %d from %s --\n", w.Client.Port, w.Client.Address)
			writeDialog(&b, s, w.Client, session, n == 1)
		}
	})
	tr := s.Truth
	fmt.Fprintf(&b, "-- truth --\nverdict %s stage %s party %s\n", tr.Verdict, tr.Stage, tr.Party)
	if tr.Who != "" {
		fmt.Fprintf(&b, "who %s\n", tr.Who)
	}
	if len(tr.Causes) > 0 {
		fmt.Fprintf(&b, "causes %s\n", strings.Join(tr.Causes, " "))
	}
	if tr.Finding != "" {
		fmt.Fprintf(&b, "finding %s\n", tr.Finding)
	}
	if tr.Rule != "" && tr.Code >= 400 {
		row, _ := policy.Rule(tr.Rule)
		cite := policy.Quote(row.Basis[0])
		fmt.Fprintf(&b, "rule %s cite %s\n", tr.Rule, cite)
	}
	if err := os.WriteFile(presetFile(s), []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func writeDialog(b *strings.Builder, s relay.Scenario, c policy.Client, session transcript.Session, last bool) {
	for _, x := range session.Exchanges {
		if x.Stage == transcript.StageConnect || x.Skipped != "" {
			continue
		}
		command := x.Command
		switch {
		case strings.HasPrefix(command, "AUTH PLAIN"):
			command = fmt.Sprintf("AUTH PLAIN ${plain %s %s}", c.Username, c.Password)
		case strings.HasPrefix(command, "[secret"):
			command = "${base64 " + c.Username + "}"
			if strings.Contains(b.String(), command) {
				command = "${base64 " + c.Password + "}"
			}
		case command == "." || x.Fault != transcript.FaultNone && x.Stage == transcript.StageData && command == "":
			b.WriteString("> Subject: a test message\n>\n> A message of a scenario, long enough to be over a small limit.\n")
			command = "."
		}
		if command != "" {
			b.WriteString("> " + command + "\n")
		}
		switch {
		case x.Stage == transcript.StageTLS && x.Command == "" && x.Fault == transcript.FaultNone && x.Reply.Code == 0:
			how := "ok"
			if session.TLS.Verified == transcript.Unknown {
				how = "any"
			}
			fmt.Fprintf(b, "tls %s\n", how)
		case x.Stage == transcript.StageTLS && x.Command == "" && x.Reply.Code == 0:
			fmt.Fprintf(b, "tls fail %s\n", session.TLS.Problem)
		case x.Fault == transcript.FaultTimeout:
			b.WriteString("silent\n")
		case x.Fault != transcript.FaultNone:
			b.WriteString("closed\n")
		case x.Reply.Code >= 400:
			fmt.Fprintf(b, "<= %s\n", strings.Join(x.Reply.Lines, "|"))
		case x.Reply.Enhanced != "":
			fmt.Fprintf(b, "< %d %s\n", x.Reply.Code, x.Reply.Enhanced)
		default:
			fmt.Fprintf(b, "< %d\n", x.Reply.Code)
		}
		if last && x.Reply.Code >= 400 && x.Reply.Code == s.Truth.Code {
			if s.Truth.Rule != "" {
				fmt.Fprintf(b, "rule %s\n", s.Truth.Rule)
			}
			if s.Truth.Heals > 0 {
				ok := "250 2.1.5"
				if s.Truth.Code == 535 {
					ok = "235 2.7.0"
				}
				fmt.Fprintf(b, "clock +%s\nagain\n< %s\n", s.Truth.Heals, ok)
				return
			}
		}
	}
}

// A file that is wrong is refused with its line; nothing is guessed.
func TestFileErrors(t *testing.T) {
	for _, c := range []struct {
		text string
		line int
	}{
		{"", 1},
		{"hello\n", 1},
		{"-- setup --\n-- nonsense --\n", 2},
		{"-- dialog --\n", 1},
		{"-- dialog 26 --\n", 1},
		{"-- dialog 25 to 203.0.113.9 --\n", 1},
		{"-- dialog 25 from nowhere --\n", 1},
		{"-- dialog 25 --\nhello there\n", 2},
		{"-- dialog 25 --\n> EHLO c\nfault set no-such\n", 3},
		{"-- dialog 25 --\n> AUTH PLAIN ${plain x}\n", 2},
		{"-- dialog 25 --\n> AUTH PLAIN ${plain x y\n", 2},
		{"-- dialog 25 --\n<~ (\n", 2},
		{"-- dialog 25 --\ntls perhaps\n", 2},
		{"-- dialog 25 --\ntls fail somehow\n", 2},
		{"-- dialog 25 --\nrule Z9\n", 2},
		{"-- dialog 25 --\nraw unquoted\n", 2},
		{"-- dialog 25 --\nclosed now\n", 2},
		{"-- dialog 25 --\n< 220\n-- truth --\nverdict\n", 4},
		{"-- dialog 25 --\n< 220\n-- truth --\nopinion refused\n", 4},
		{"-- dialog 25 --\n< 220\n-- truth --\nrule Z9\n", 4},
		{"-- dialog 25 --\n< 220\n-- truth --\nrule P1 cite B1\n", 4},
		{"-- dialog 25 --\n-- truth --\n-- truth --\n", 3},
		{"----\n", 1},
	} {
		_, err := relay.ParseFile("f.txt", []byte(c.text))
		var fe *relay.FileError
		if !errors.As(err, &fe) || fe.Line != c.line || fe.File != "f.txt" {
			t.Errorf("%q: %v, want an error in line %d", c.text, err, c.line)
		}
	}
	for _, c := range []struct {
		text string
		line int
	}{
		{"-- setup --\nscenario no-such\n-- dialog 25 --\n< 220\n", 2},
		{"-- setup --\ndomain add\n-- dialog 25 --\n< 220\n", 2},
		{"-- setup --\ndomain set customer.example inbound on\n-- dialog 25 --\n< 220\n", 2},
	} {
		f, err := relay.ParseFile("f.txt", []byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Run(context.Background(), relay.RunOptions{})
		var fe *relay.FileError
		if !errors.As(err, &fe) || fe.Line != c.line {
			t.Errorf("%q: %v, want an error in line %d", c.text, err, c.line)
		}
	}
}

// Lines that do not hold are failures with their line.
func TestFileFailures(t *testing.T) {
	const text = `-- setup --
healthy
-- dialog 587 from 203.0.113.9 --
< 220 wrong
> EHLO c.example
<= 250
> STARTTLS
< 220
tls fail
> EHLO c.example
<~ NO-SUCH-KEYWORD
> MAIL FROM:<alerts@customer.example>
< 250
> RCPT TO:<bob@recipient.example>
< 250
rule C8
closed
-- truth --
verdict ready stage envelope
rule C4 cite A13
causes wrong-port
`
	f, err := relay.ParseFile("f.txt", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		res, err := f.Run(context.Background(), relay.RunOptions{Judge: func(transcript.Session) relay.Judgement {
			return relay.Judgement{Verdict: "refused", Stage: "envelope", Causes: []string{"auth-missing"}}
		}})
		if err != nil {
			t.Fatal(err)
		}
		var lines []int
		for _, f := range res.Failures {
			lines = append(lines, f.Line)
		}
		if want := []int{4, 6, 9, 11, 15, 16, 17, 18, 18, 18, 18, 18}; !slices.Equal(lines, want) {
			t.Errorf("failures in lines %v, want %v:\n%v", lines, want, res.Failures)
		}
		if !strings.Contains(string(res.Updated), "< 220 \n") && !strings.Contains(string(res.Updated), "< 220\n") {
			t.Errorf("not rewritten:\n%s", res.Updated)
		}
	})
}

// Against another server only dialogues can be run.
func TestFileAgainstHost(t *testing.T) {
	d := relay.Start(t)
	f, err := relay.ParseFile("f.txt", []byte("-- dialog 25 --\n> EHLO c.example\n< 250\n> STARTTLS\n< 220\ntls ok\n> NOOP\n< 250\nrule P1\n"))
	if err != nil {
		t.Fatal(err)
	}
	res, err := f.Run(context.Background(), relay.RunOptions{Dial: d.Dial, TLS: tlsClient(d.Relay)})
	if err != nil || !res.OK() {
		t.Errorf("%v %v", err, res)
	}
	f, err = relay.ParseFile("f.txt", []byte("-- setup --\nhealthy\n-- dialog 25 --\n< 220\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = f.Run(context.Background(), relay.RunOptions{Dial: d.Dial}); err == nil {
		t.Error("set-up against another server went through")
	}
}

func FuzzParseFile(f *testing.F) {
	names, _ := filepath.Glob("testdata/scenarios/*.txt")
	for _, n := range names[:min(8, len(names))] {
		if b, err := os.ReadFile(n); err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := relay.ParseFile("f", b)
		if (file == nil) == (err == nil) {
			t.Error("neither file nor error, or both")
		}
	})
}
