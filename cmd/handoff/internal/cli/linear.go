package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
)

// maxLinear bounds what is typed and pasted line by line.
const maxLinear = 8 << 20

// linear is 'handoff --no-tui' on a terminal, and what a dumb terminal gets:
// the questions of the screens one a line, an empty answer is the usual one,
// each step printed once, then the text report. There is no redraw, no frame
// and no glyph that is not read aloud. A password is not asked for, since a
// terminal would show it.
type linear struct {
	p  *program
	in *bufio.Reader
}

// errNoAnswer says that the input ended before the question was answered.
var errNoAnswer = errors.New("the input has ended")

// question is one line of the dialogue.
type question struct {
	text string
	// set takes the answer, which may be empty, and says what is wrong with it,
	// empty: nothing.
	set func(answer string) (problem string)
	// when tells whether the question is asked at all; nil: always.
	when func() bool
}

// ask puts questions in their order. Where the input ends, the rest keep their
// usual answers.
func (l *linear) ask(questions []question) error {
	for _, q := range questions {
		if q.when != nil && !q.when() {
			continue
		}
		for tries := 1; ; tries++ {
			answer, err := l.line(q.text + " ")
			if err != nil {
				return nil // as the answers are
			}
			problem := q.set(strings.TrimSpace(answer))
			if problem == "" {
				break
			}
			if tries == 3 {
				return usage(problem)
			}
			fmt.Fprintln(l.p.stderr, report.Show(problem))
		}
	}
	return nil
}

// line prints a prompt and reads a line.
func (l *linear) line(prompt string) (string, error) {
	fmt.Fprint(l.p.stderr, prompt)
	line, err := l.in.ReadString('\n')
	if err != nil && line == "" {
		fmt.Fprintln(l.p.stderr)
		return "", errNoAnswer
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// oneOf takes an answer that is one of some words; empty is the first.
func oneOf(to *string, words ...string) func(string) string {
	return func(answer string) string {
		answer = strings.ToLower(orElse(answer, words[0]))
		if !slices.Contains(words, answer) {
			return fmt.Sprintf("%q is none of %s", answer, strings.Join(words, ", "))
		}
		*to = answer
		return ""
	}
}

// text takes any answer.
func text(to *string) func(string) string {
	return func(answer string) string {
		*to = answer
		return ""
	}
}

func (p *program) linear(ctx context.Context) error {
	l := &linear{p: p, in: bufio.NewReader(io.LimitReader(p.stdin, maxLinear))}
	what, narrow := "probe", "no"
	if err := l.ask([]question{{text: "Probe, read a text, or say what is seen? probe, read or seen, empty for probe:", set: oneOf(&what, "probe", "read", "seen")}}); err != nil {
		return err
	}
	further := question{text: "Narrow the causes down by questions afterwards? no or yes, empty for no:", set: oneOf(&narrow, "no", "yes")}
	switch what {
	case "read":
		return l.read(ctx, further, &narrow)
	case "seen":
		s := l.diagnosis(nil)
		if s.told = s.askSymptom(); s.told == nil {
			return usage("without a symptom there is nothing to begin with", "probe the relay, or read a bounce")
		}
		var err error
		if s.options.Explainer, err = p.explainer(); err != nil {
			return err
		}
		return s.run(ctx, nil)
	}
	return l.probe(ctx, further, &narrow)
}

// probe asks what the probe form asks.
func (l *linear) probe(ctx context.Context, further question, narrow *string) error {
	p := l.p
	f := &probeFlags{
		ports: []int{25, 587}, intent: "auth", mechanism: "auto", stopAfter: "envelope",
		timeout: 30 * time.Second, deadline: 2 * time.Minute, retryWait: time.Minute,
	}
	var scenario, made string
	host := func() bool { return f.host != "" }
	err := l.ask([]question{
		{text: "Relay host, empty for the bundled relay:", set: func(s string) string {
			if s != "" {
				if err := checkHost(s); err != nil {
					return err.Error()
				}
			}
			f.host = s
			return ""
		}},
		{text: "Scenario of the bundled relay, empty for a healthy account:", set: func(s string) string {
			if _, ok := findScenario(s); s != "" && !ok {
				return fmt.Sprintf("there is no scenario %q; 'handoff relay --scenario list' prints them", s)
			}
			scenario = s
			return ""
		}, when: func() bool { return !host() }},
		{text: "Ports, both, 25 or 587, empty for both:", set: func(s string) string {
			switch s {
			case "", "both", "25,587", "25 587":
			case "25":
				f.ports = []int{25}
			case "587":
				f.ports = []int{587}
			default:
				return fmt.Sprintf("%q is none of both, 25, 587", s)
			}
			return ""
		}},
		{text: "HELO name, empty for the name of this machine:", set: text(&f.helo), when: host},
		{text: "Intent, auth, server or both, empty for auth:", set: oneOf(&f.intent, "auth", "server", "both")},
		{text: "AUTH user, empty for none:", set: text(&f.user), when: host},
		{text: "File that holds the password, as there is a user:", set: text(&f.passwordFile), when: func() bool { return f.user != "" }},
		{text: "User and password were made how long ago, as 20m or 2h, empty if not known:", set: func(s string) string {
			if s != "" && parseFacts([]string{"credential-age=" + s}, &analyze.Facts{}) != nil {
				return fmt.Sprintf("%q is no age; write 20m or 48h", s)
			}
			made = s
			return ""
		}, when: func() bool { return f.user != "" }},
		{text: "Mail from, empty for none:", set: func(s string) string { f.from = nonEmptyList(s); return "" }, when: host},
		{text: "Rcpt to, empty for none:", set: func(s string) string { f.to = nonEmptyList(s); return "" }, when: func() bool { return len(f.from) > 0 }},
		{text: "Stop after, envelope, tls or auth, empty for envelope:", set: oneOf(&f.stopAfter, "envelope", "tls", "auth")},
		further,
	})
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return interrupted()
	}
	if made != "" {
		f.facts = []string{"credential-age=" + made}
	}
	if !p.flags.quiet {
		p.flags.verbose = true // steps as they end
	}
	if f.host == "" {
		var on []string
		command := "handoff probe --bundled"
		if scenario != "" {
			on, command = []string{scenario}, command+" --scenario "+scenario
		}
		if *narrow != "yes" {
			return p.probeBundled(ctx, f, on, "", command)
		}
		j, closeRelay, err := p.bundledJob(ctx, f, on)
		if err != nil {
			return err
		}
		defer closeRelay()
		return l.diagnose(ctx, j)
	}
	j, err := p.job(ctx, f)
	if err != nil {
		return err
	}
	if *narrow == "yes" {
		return l.diagnose(ctx, j)
	}
	return p.runProbe(ctx, j, "", linearCommand(f))
}

// diagnose is the guided way, from a probe, from texts, or from both.
func (l *linear) diagnose(ctx context.Context, j *job, files ...string) error {
	return l.diagnosis(j).run(ctx, files)
}

func (l *linear) diagnosis(j *job) *diagnosis {
	s := &diagnosis{p: l.p, job: j, in: l.in, ask: true}
	if j != nil {
		s.options = j.judge
	}
	return s
}

// read asks for a text, a file or a folder.
func (l *linear) read(ctx context.Context, further question, narrow *string) error {
	p := l.p
	path := ""
	err := l.ask([]question{{text: "File or folder, empty to paste the text:", set: func(s string) string {
		if s = strings.Trim(s, `"'`); s != "" {
			if err := p.checkInputs([]string{s}); err != nil {
				return err.Error()
			}
		}
		path = s
		return ""
	}}})
	if err != nil {
		return err
	}
	if path == "" {
		path = "-"
		pasted, err := l.paste()
		if err != nil {
			return err
		}
		p.stdin = strings.NewReader(pasted)
	}
	if err := l.ask([]question{further}); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return interrupted()
	}
	if *narrow == "yes" {
		return l.diagnose(ctx, nil, path)
	}
	f := &analyzeFlags{jobs: 1}
	o, err := p.analyzeOptions(f)
	if err != nil {
		return err
	}
	return p.analyze(ctx, []string{path}, f, o)
}

// paste reads lines up to one that holds a single dot.
func (l *linear) paste() (string, error) {
	fmt.Fprintln(l.p.stderr, "Paste the text. A line with a single dot ends it.")
	var b strings.Builder
	for {
		line, err := l.in.ReadString('\n')
		if strings.TrimRight(line, "\r\n") == "." {
			return b.String(), nil
		}
		b.WriteString(line)
		if err != nil {
			if strings.TrimSpace(b.String()) == "" {
				return "", usage("there is no text")
			}
			return b.String(), nil
		}
	}
}

// linearCommand is the command that asks nothing and does the same.
func linearCommand(f *probeFlags) string {
	words := []string{"handoff probe", shellQuote(f.host)}
	if f.intent != "auth" {
		words = append(words, "--intent", f.intent)
	}
	if len(f.ports) == 1 {
		words = append(words, "--ports", fmt.Sprint(f.ports[0]))
	}
	if f.helo != "" {
		words = append(words, "--helo", shellQuote(f.helo))
	}
	if f.user != "" {
		words = append(words, "--user", shellQuote(f.user), "--password-file ...")
	}
	if f.stopAfter != "envelope" {
		words = append(words, "--stop-after", f.stopAfter)
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

// linearMode tells a terminal that may be asked line by line: with --no-tui,
// or because it is a dumb one.
func (p *program) linearMode() bool {
	return (p.flags.noTUI || p.getenv("TERM") == "dumb") && !p.flags.noInput && p.flags.format == "text" && p.flags.output == "" &&
		report.IsTerminal(p.stdin) && report.IsTerminal(p.plainStderr())
}
