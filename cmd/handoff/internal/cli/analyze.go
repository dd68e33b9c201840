package cli

import (
	"context"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
)

// analyzeFlags shape an analysis.
type analyzeFlags struct {
	jobs         int
	summary      bool
	ourDomains   []string
	relayDomains []string
	facts        []string
	single       bool
}

func (p *program) analyzeCommand() *cobra.Command {
	f := &analyzeFlags{}
	cmd := &cobra.Command{
		Use:   "analyze [FILE|DIR|-]... [flags]",
		Short: "read bounces, logs and transcripts and say what happened, why, and who acts",
		Long: `analyze reads what people have: bounce messages (NDR, DSN) as mail or as pasted
text, SMTP transcripts, mail logs, program errors, mbox files, Maildir folders,
folders of .eml, and the JSON of 'handoff probe'. It says per recipient what
happened, who refused with which reply, which causes fit and which test tells
them apart. '-' or no file is standard input.

Absence of a name proves nothing: where the text names no host that refused,
reported or was tried, the answer is insufficient-evidence and the text to ask
for. Secrets found in a text are hidden in every output.

Limits: what is over a limit is said and marks the report as partial. A mailbox
is read as a stream, message by message.

Exit code: 0 no failure, 1 a problem, 3 inconclusive, 65 unreadable as anything;
of several inputs the worst.`,
		Example: `  handoff analyze bounce.eml
  pbpaste | handoff analyze
  handoff analyze -o jsonl --our-domain customer.example /var/mail/bounces.mbox
  handoff analyze --summary ~/Maildir
  handoff probe -o json HOST | handoff analyze -
  handoff analyze --fact credential-age=20m bounce.eml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := p.analyzeOptions(f)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				args = []string{"-"}
			}
			if err := p.checkInputs(args); err != nil {
				return err
			}
			p.started = true
			return p.analyze(cmd.Context(), args, f, o)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.IntVar(&f.jobs, "jobs", runtime.GOMAXPROCS(0), "`N` messages at a time; the output is the same for every N")
	fs.BoolVar(&f.summary, "summary", false, "count by verdict, refuser, reply, cause and day in place of a report per message")
	fs.StringSliceVar(&f.ourDomains, "our-domain", nil, "`DOMAIN` of ours, for the direction of the mail; repeatable")
	fs.StringSliceVar(&f.relayDomains, "relay-domain", nil, "`DOMAIN` of a relay beside ppe-hosted.com; repeatable")
	fs.StringArrayVar(&f.facts, "fact", nil, "`NAME=VALUE` that you know and no text says: "+factForms()+"; repeatable")
	fs.BoolVar(&f.single, "single", false, "take each file as one text, even if it looks like a mailbox")
	p.causesFlag(fs)
	registerSecrets(fs)
	return cmd
}

// factForms are the facts that can be told, each with the values it takes.
func factForms() string {
	var out []string
	for _, k := range analyze.FactKinds() {
		out = append(out, k.Name+"="+strings.ReplaceAll(k.Values, "|", "/")) // a bar begins perfdata in check
	}
	return strings.Join(out, ", ")
}

// parseFacts reads --fact.
func parseFacts(all []string, to *analyze.Facts) error {
	for _, s := range all {
		if err := to.Set(s); err != nil {
			return usage("--fact: " + err.Error())
		}
	}
	return nil
}

func (p *program) analyzeOptions(f *analyzeFlags) (analyze.Options, error) {
	o := analyze.Options{RelayDomains: f.relayDomains, Facts: analyze.Facts{OurDomains: f.ourDomains}}
	if f.jobs < 1 {
		return o, usage("--jobs is 1 or more")
	}
	var err error
	if o.Explainer, err = p.explainer(); err != nil {
		return o, err
	}
	return o, parseFacts(f.facts, &o.Facts)
}

// checkInputs looks that every input is there before the first is read.
func (p *program) checkInputs(args []string) error {
	for _, a := range args {
		if a == "-" {
			if err := p.useStdin("-"); err != nil {
				return usage("standard input can be read once")
			}
			continue
		}
		if _, err := os.Stat(a); err != nil {
			if os.IsNotExist(err) {
				return fail(exitNoInput, "no such file: "+a)
			}
			return fail(exitNoInput, "cannot open "+a)
		}
	}
	return nil
}

// inputName is how messages call an input.
func inputName(source string) string {
	if source == "-" {
		return "standard input"
	}
	return source
}

// analyze reads, judges and writes, in the order of the input.
func (p *program) analyze(ctx context.Context, args []string, f *analyzeFlags, o analyze.Options) error {
	st, statErr := os.Stat(args[0])
	several := len(args) > 1 || statErr == nil && st.IsDir()
	out, err := p.openReports(several, "", o.RelayDomains)
	if err != nil {
		return err
	}
	defer out.sink.discard()
	if args[0] == "-" && report.IsTerminal(p.stdin) {
		p.say("paste the text, then Ctrl-D on a line of its own")
	}
	sum := newSummary()
	watch := p.watchBulk()
	defer watch.stop()
	unreadable, gone, read := 0, 0, 0
	err = p.eachReport(ctx, args, f, o, func(a *analyzed) error {
		read++
		if a.unreadable != "" {
			unreadable++
			if a.err != nil {
				gone++
			}
			p.warn("%s: %s", a.source, a.unreadable)
		} else if a.bytes == 0 {
			p.say("%s is empty", inputName(a.source))
		}
		watch.add(a)
		sum.add(a.report)
		if f.summary && p.flags.format != string(report.JSONL) {
			out.code = analyze.WorseExit(out.code, analyze.ExitCode(a.report))
			return nil
		}
		return out.write(a.report, a.lines)
	})
	stopped := ctx.Err() != nil
	if read == 0 && !stopped {
		p.say("there is no message in %s", strings.Join(args, ", "))
	}
	if err != nil && !stopped {
		return err
	}
	if f.summary {
		if err := p.writeSummary(out, sum); err != nil {
			return err
		}
	} else if err := out.close(); err != nil {
		return err
	}
	switch {
	case stopped:
		p.say("stopped after %d messages; what is done has been written", read)
		return interrupted()
	case read > 0 && gone == read:
		return ended(exitNoInput)
	case read > 0 && unreadable == read:
		return ended(exitData)
	}
	return result(out.code)
}
