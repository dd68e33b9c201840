package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
)

// linear is 'handoff --no-tui' on a terminal: one question a line, an empty
// answer is the usual one, each step printed once, then the text report. There
// is no redraw, no frame and no glyph that is not read aloud. A password is not
// asked for, since a terminal would show it.
func (p *program) linear(ctx context.Context) error {
	in := bufio.NewReader(io.LimitReader(p.stdin, 64<<10))
	ask := func(question string) (string, error) {
		fmt.Fprintf(p.stderr, "%s ", question)
		line, err := in.ReadString('\n')
		if err != nil && line == "" {
			fmt.Fprintln(p.stderr)
			return "", err
		}
		return strings.TrimSpace(line), nil
	}
	f := &probeFlags{
		ports: []int{25, 587}, intent: "auth", mechanism: "auto", stopAfter: "envelope",
		timeout: 30 * time.Second, deadline: 2 * time.Minute, retryWait: time.Minute,
	}
	questions := []struct {
		text string
		set  func(string)
	}{
		{"Relay host, empty for the bundled relay:", func(s string) { f.host = s }},
		{"Intent, auth, server or both, empty for auth:", func(s string) { f.intent = orElse(s, "auth") }},
		{"AUTH user, empty for none:", func(s string) { f.user = s }},
		{"Password file, as there is a user:", func(s string) { f.passwordFile = s }},
		{"Mail from, empty for none:", func(s string) { f.from = nonEmptyList(s) }},
		{"Rcpt to, empty for none:", func(s string) { f.to = nonEmptyList(s) }},
	}
	for i, q := range questions {
		if f.host == "" && i > 0 || i == 3 && f.user == "" || i == 5 && len(f.from) == 0 {
			continue
		}
		answer, err := ask(q.text)
		if err != nil {
			break
		}
		q.set(answer)
	}
	if ctx.Err() != nil {
		return interrupted()
	}
	if !p.flags.quiet {
		p.flags.verbose = true // steps as they end
	}
	if f.host == "" {
		return p.probeBundled(ctx, f, nil, "", "handoff probe --bundled")
	}
	if err := checkHost(f.host); err != nil {
		return err
	}
	j, err := p.job(ctx, f)
	if err != nil {
		return err
	}
	return p.runProbe(ctx, j, "", linearCommand(f))
}

// linearCommand is the command that asks nothing and does the same.
func linearCommand(f *probeFlags) string {
	words := []string{"handoff probe", shellQuote(f.host)}
	if f.intent != "auth" {
		words = append(words, "--intent", f.intent)
	}
	if f.user != "" {
		words = append(words, "--user", shellQuote(f.user), "--password-file ...")
	}
	return strings.Join(slices.Concat(words, flagged("--from", f.from), flagged("--to", f.to)), " ")
}

func flagged(flag string, values []string) []string {
	var out []string
	for _, v := range values {
		out = append(out, flag, shellQuote(v))
	}
	return out
}

func nonEmptyList(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// linearMode tells 'handoff --no-tui' at a terminal that may be asked.
func (p *program) linearMode() bool {
	return p.flags.noTUI && !p.flags.noInput && p.flags.format == "text" && report.IsTerminal(p.stdin) && report.IsTerminal(p.plainStderr())
}
