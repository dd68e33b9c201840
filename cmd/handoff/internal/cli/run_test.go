package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
)

// cancelWriter cancels when it hears a word.
type cancelWriter struct {
	bytes.Buffer
	word   string
	cancel func()
}

func (c *cancelWriter) Write(b []byte) (int, error) {
	n, err := c.Buffer.Write(b)
	if strings.Contains(c.String(), c.word) {
		c.cancel()
	}
	return n, err
}

// TestInterrupted: Ctrl-C keeps what is known and ends with 130.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	errs := &cancelWriter{word: "port 587, connect: ok", cancel: cancel}
	var out bytes.Buffer
	code := Run(ctx, []string{"probe", "--bundled", "--scenario", "banner-silent", "-v"}, strings.NewReader(""), &out, errs)
	if code != exitInterrupted {
		t.Errorf("exit code %d, want 130\n%s", code, errs.String())
	}
	if s := out.String(); !strings.Contains(s, "VERDICT insufficient-evidence") || !strings.Contains(s, "connect ok") {
		t.Errorf("what was known is not told:\n%s", s)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if code := Run(ctx, []string{"analyze", "-q"}, strings.NewReader("text"), io.Discard, io.Discard); code != exitInterrupted {
		t.Errorf("analyze: exit code %d, want 130", code)
	}
}

// brokenPipe fails as a reader does that went away.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, os.ErrClosed }

// TestBrokenPipe: there is nobody left to tell, so nothing is said.
func TestBrokenPipe(t *testing.T) {
	var errs bytes.Buffer
	if code := Run(t.Context(), []string{"probe", "--bundled", "-q"}, strings.NewReader(""), brokenPipe{}, &errs); code == exitOK || errs.Len() > 0 {
		t.Errorf("exit code %d, said %q", code, errs.String())
	}
}

// TestPrecedence: flags before environment before the configuration file before
// defaults.
func TestPrecedence(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(file, []byte("defaults:\n  intent: server\n  format: jsonl\n  our-domain: [a.example, b.example]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	typo, secret := filepath.Join(dir, "typo.yaml"), filepath.Join(dir, "secret.yaml")
	for name, text := range map[string]string{typo: "defaults: {intnet: server}\n", secret: "defaults: {password: planted}\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(env map[string]string, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: func(k string) string { return env[k] }, now: time.Now}
		p.main(t.Context(), append([]string{"probe", "--bundled", "-q"}, args...))
		return out.String() + errs.String()
	}
	for _, c := range []struct {
		name string
		env  map[string]string
		args []string
		want string
	}{
		{"default", nil, nil, "VERDICT ready"},
		{"file", nil, []string{"--config", file}, `"intent":"server"`},
		{"file by environment", map[string]string{"HANDOFF_CONFIG": file}, nil, `"intent":"server"`},
		{"environment before file", map[string]string{"HANDOFF_CONFIG": file, "HANDOFF_INTENT": "both"}, nil, `"intent":"both"`},
		{"flag before all", map[string]string{"HANDOFF_CONFIG": file, "HANDOFF_INTENT": "both"}, []string{"--intent", "auth"}, `"intent":"auth"`},
		{"flag before file", nil, []string{"--config", file, "-o", "text"}, "VERDICT refused"},
		{"wrong name", map[string]string{"HANDOFF_CONFIG": typo}, nil, "no command has a flag --intnet"},
		{"a secret in it", map[string]string{"HANDOFF_CONFIG": secret}, nil, "no command has a flag --password"},
		{"wrong value", map[string]string{"HANDOFF_TIMEOUT": "soon"}, nil, "HANDOFF_TIMEOUT: --timeout does not take"},
		{"no secret from there", map[string]string{"HANDOFF_PASSWORD": "planted"}, nil, "VERDICT ready"},
	} {
		if got := run(c.env, c.args...); !strings.Contains(got, c.want) || strings.Contains(got, "planted") {
			t.Errorf("%s: no %q in\n%s", c.name, c.want, got)
		}
	}
}

// TestStrict: the same person has the same token in every text of a report, and
// what is not personal stays.
func TestStrict(t *testing.T) {
	r := &analyze.Report{
		Kind: "analysis", Input: &analyze.Input{Source: "bounce.eml"},
		Verdict: analyze.Summary{Code: analyze.Refused, Status: analyze.Problem, Headline: "outbound-us1.ppe-hosted.com refused the mail (554 5.7.1)"},
		Outcomes: []analyze.Outcome{{
			Recipient: "bob@recipient.example", Verdict: analyze.Refused, Stage: "envelope", RefusedBy: "outbound-us1.ppe-hosted.com", ReportedBy: "mail.customer.example",
			Reply:    analyze.Reply{Code: 554, Enhanced: "5.7.1", Text: "<bob@recipient.example>: Relay access denied"},
			Evidence: []analyze.Evidence{{Line: 3, Column: 5, Quote: "<bob@recipient.example>: Relay\naccess denied", Role: "reply"}},
		}},
		Findings: []analyze.Finding{}, NextTests: []analyze.NextTest{},
	}
	before, err := report.Marshal(r, "")
	if err != nil {
		t.Fatal(err)
	}
	lines := func(_, line int) (string, bool) {
		return map[int]string{3: "554 <bob@recipient.example>: Relay", 4: "access denied"}[line], line == 3 || line == 4
	}
	got, newLines, hidden := strict(r, lines, nil)
	raw, err := report.Marshal(got, "")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := newLines(0, 3)
	for _, s := range []string{string(raw), text} {
		if strings.Contains(s, "bob@") || strings.Contains(s, "mail.customer.example") {
			t.Errorf("personal data in %s", s)
		}
	}
	o := got.Outcomes[0]
	if o.Recipient == "" || !strings.Contains(o.Reply.Text, o.Recipient) || !strings.Contains(text, o.Recipient) || !strings.Contains(o.Evidence[0].Quote, o.Recipient) {
		t.Errorf("not the same token everywhere: %+v %q", o, text)
	}
	if o.RefusedBy != "outbound-us1.ppe-hosted.com" || o.Reply.Code != 554 || !strings.Contains(o.Reply.Text, "Relay access denied") {
		t.Errorf("too much is hidden: %+v", o)
	}
	if !strings.Contains(hidden, "1 address") {
		t.Errorf("told as hidden: %q", hidden)
	}
	if after, _ := report.Marshal(r, ""); !bytes.Equal(before, after) {
		t.Error("the report itself was changed")
	}
}
