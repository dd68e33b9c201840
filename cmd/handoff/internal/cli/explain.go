package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/causes"
	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
)

func (p *program) explainCommand() *cobra.Command {
	var lint string
	cmd := &cobra.Command{
		Use:   "explain [ID]",
		Short: "what a finding or cause means, how to reproduce it, what to do",
		Long: `explain prints the page of a cause or a finding: what it means, how it shows,
who mends it and how, what it is confused with, what not to waste time on, and
on whose word all this is said. Without an ID it lists all pages. A test that a
report proposes ("probe-587"), a rule of the decision table ("P1") and a statement
of the service's article ("A13") are explained too.

--causes DIR lays a folder of your own pages over those of the program, here and
in analyze, probe, diagnose and check; --lint DIR checks such a folder and prints
what is wrong with it, file and line.`,
		Example: `  handoff explain
  handoff explain wrong-port
  handoff explain relay-access-denied
  handoff explain A13
  handoff explain --lint ./our-pages`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("explain takes one ID", "'handoff explain' lists them")
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var ids []string
			for _, d := range causes.All() {
				ids = append(ids, d.ID+"\t"+d.Title)
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: p.command(func(_ *cobra.Command, args []string) error {
			switch f := p.flags.format; f {
			case "text", "json", "jsonl", "markdown":
			default:
				return usage("explain has text, json and markdown, not " + f)
			}
			if lint != "" {
				return p.lint(lint)
			}
			docs, err := p.pages()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return p.listPages(docs)
			}
			return p.explain(docs, args[0])
		}),
	}
	cmd.Flags().StringVar(&lint, "lint", "", "check the pages in `DIR`")
	p.causesFlag(cmd.Flags())
	return cmd
}

// lint prints what is wrong with a folder of pages: exit code 1 if anything is.
func (p *program) lint(dir string) error {
	fsys, err := folder(dir)
	if err != nil {
		return err
	}
	problems := analyze.LintCauses(fsys)
	if strings.HasPrefix(p.flags.format, "json") {
		if problems == nil {
			problems = []causes.Problem{}
		}
		if err := p.writeJSON(problems); err != nil {
			return err
		}
	} else {
		var b strings.Builder
		for _, x := range problems {
			b.WriteString(report.Show(x.String()) + "\n")
		}
		if _, err := io.WriteString(p.stdout, b.String()); err != nil {
			return cannotWrite(err)
		}
	}
	if len(problems) > 0 {
		return ended(exitProblem)
	}
	p.say("nothing is wrong with the pages in %s", dir)
	return nil
}

func (p *program) listPages(docs []causes.Doc) error {
	if strings.HasPrefix(p.flags.format, "json") {
		return p.writeJSON(docs)
	}
	widest := 0
	for _, d := range docs {
		widest = max(widest, len(d.ID))
	}
	var b strings.Builder
	for _, finding := range []bool{false, true} {
		head := "causes: ways the service, or the road to it, can be set up wrong"
		if finding {
			head = "\nfindings: what is worth telling beside the verdict"
		}
		b.WriteString(head + "\n")
		for _, d := range docs {
			if d.Finding == finding {
				fmt.Fprintf(&b, "  %-*s  %s\n", widest, d.ID, report.Show(d.Title))
			}
		}
	}
	b.WriteString("\ntests: what tells causes apart, as reports propose it\n")
	for _, t := range analyze.Catalogue() {
		b.WriteString(wrap(t.Do, fmt.Sprintf("  %-*s  ", widest, t.ID), strings.Repeat(" ", widest+4)))
	}
	if _, err := io.WriteString(p.stdout, b.String()); err != nil {
		return cannotWrite(err)
	}
	return nil
}

// testText is a test of the catalogue for the terminal.
func testText(t analyze.CatalogueTest) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s   (test)\n\nDO\n%s\nBY\n  %s, %s\n", t.ID, wrap(t.Do, "  ", "  "), t.Who, t.Cost)
	b.WriteString("\nSHOWS\n" + wrap("What it would show under each cause that is left stands beside the test in a report. 'handoff diagnose' makes the tests that are harmless by itself and asks for the others.", "  ", "  "))
	return b.String()
}

func (p *program) explain(docs []causes.Doc, id string) error {
	if d, ok := causes.Find(docs, strings.ToLower(id)); ok {
		if strings.HasPrefix(p.flags.format, "json") {
			return p.writeJSON(d)
		}
		if _, err := io.WriteString(p.stdout, pageText(d)); err != nil {
			return cannotWrite(err)
		}
		return nil
	}
	for _, t := range analyze.Catalogue() {
		if t.ID == strings.ToLower(id) {
			if _, err := io.WriteString(p.stdout, testText(t)); err != nil {
				return cannotWrite(err)
			}
			return nil
		}
	}
	if rows := policy.Rules(policy.RuleID(strings.ToUpper(id))); len(rows) > 0 {
		_, err := io.WriteString(p.stdout, ruleText(rows))
		if err != nil {
			return cannotWrite(err)
		}
		return nil
	}
	if text, ok := policy.Source(sourceKey(id)); ok {
		if _, err := io.WriteString(p.stdout, sourceKey(id)+": "+text+"\n"); err != nil {
			return cannotWrite(err)
		}
		return nil
	}
	var hints []string
	for _, d := range docs {
		if near(id, d.ID) {
			hints = append(hints, fmt.Sprintf("did you mean '%s'?", d.ID))
		}
	}
	return usage(fmt.Sprintf("there is no page %q", id), append(hints, "'handoff explain' lists all pages")...)
}

// sourceKey folds the case of "a13"; keys of pages are as they are.
func sourceKey(id string) string {
	if len(id) > 1 && (id[0] == 'a' || id[0] == 'A') && strings.Trim(id[1:], "0123456789") == "" {
		return "A" + id[1:]
	}
	return id
}

// pageText is a page for the terminal, eighty columns wide.
func pageText(d causes.Doc) string {
	var b strings.Builder
	kind := "cause"
	if d.Finding {
		kind = "finding, " + d.Severity
	}
	fmt.Fprintf(&b, "%s   %s   (%s)\n\n", d.ID, report.Show(d.Title), kind)
	part := func(title string) { b.WriteString(title + "\n") }
	for i, para := range strings.Split(strings.TrimSpace(d.Means), "\n\n") {
		if i == 0 {
			part("MEANS")
		} else {
			b.WriteString("\n")
		}
		b.WriteString(wrap(para, "  ", "  "))
	}
	if len(d.Shows) > 0 {
		part("\nSHOWS AS")
		for _, s := range d.Shows {
			b.WriteString("  " + report.Show(s) + "\n")
		}
	}
	if d.Finding {
		part("\nSEE IT")
		b.WriteString("  " + seeFinding(d.ID) + "\n")
	}
	if len(d.Scenarios) > 0 {
		part("\nREPRODUCE")
		if d.Preset != "" {
			fmt.Fprintf(&b, "  %s\n  handoff relay --scenario %s   (for other programs to talk to)\n", report.Show(reproduce(&d)), report.Show(d.Preset))
		}
		for i, s := range d.Scenarios {
			fmt.Fprintf(&b, "  from a healthy set-up (%s)", strings.Join(d.Base, ", "))
			if i > 0 {
				b.WriteString(", or")
			}
			b.WriteString(":\n")
			for _, line := range s {
				b.WriteString("    " + report.Show(line) + "\n")
			}
		}
	}
	if len(d.Fix) > 0 {
		part("\nFIX")
		for _, f := range d.Fix {
			b.WriteString(wrap(f.Who+": "+f.Text, "  ", "    "))
		}
	}
	if len(d.Confused) > 0 {
		part("\nCONFUSED WITH")
		for _, c := range d.Confused {
			b.WriteString(wrap(c.ID+": "+c.Text, "  ", "    "))
		}
	}
	if len(d.Not) > 0 {
		part("\nNOT")
		for _, n := range d.Not {
			b.WriteString(wrap(n, "  ", "    "))
		}
	}
	if len(d.Sources) > 0 {
		part("\nSOURCES")
		for _, s := range d.Sources {
			text, _ := policy.Source(s)
			b.WriteString(wrap(s+": "+text, "  ", "    "))
		}
	}
	return b.String()
}

// seenByProbes are causes of which a sending system has nothing to show that a
// text could tell: a warning, or a client that stops before anybody refuses.
var seenByProbes = []string{"shared-ip-spoofable", "slow-server", "smtp-inspection", "starttls-stripped"}

// reproduce is the command that shows a cause on the bundled relay and finds it.
func reproduce(d *causes.Doc) string {
	if slices.Contains(seenByProbes, d.ID) {
		return "handoff probe --bundled --scenario " + d.Preset
	}
	return "handoff relay try " + d.Preset + " | handoff analyze"
}

// findingCommands are the commands that show a finding: on the bundled relay where
// that can be made so, else at one's own host, domain or text. The first row whose
// words begin the id counts.
var findingCommands = []struct{ id, command string }{
	{"relay-access-denied", "handoff probe --bundled"},
	{"auth-accepted", "handoff probe --bundled"},
	{"starttls-not-offered", "handoff probe --bundled --scenario starttls-stripped"},
	{"starttls-injection", "handoff probe --bundled --scenario injection"},
	{"banner-mismatch", "handoff probe --bundled --scenario not-the-relay"},
	{"certificate-not-trusted", "handoff probe --bundled --scenario cert-unknown-ca"},
	{"spf-", "handoff probe HOST --from ADDRESS"},
	{"dmarc-", "handoff probe HOST --from ADDRESS"},
	{"mx-not-relay", "handoff probe HOST --from ADDRESS"},
	{"mta-sts", "handoff probe HOST --from ADDRESS"},
	{"sender-domain-unresolvable", "handoff probe HOST --from ADDRESS"},
	{"password-", "handoff probe HOST --user U --password-file FILE"},
	{"tls-old", "handoff probe HOST --tls-scan"},
	{"addresses-differ", "handoff probe HOST --all-addresses"},
	{"charset-unknown", "handoff analyze FILE"},
	{"foreign-relay-denied", "handoff analyze FILE"},
	{"lookalike-host", "handoff analyze FILE"},
	{"queue-expired", "handoff analyze FILE"},
	{"secret-masked", "handoff analyze FILE"},
	{"split-host", "handoff analyze FILE"},
	{"unreadable-input", "handoff analyze FILE"},
	{"limit-reached", "handoff analyze FILE"},
	{"", "handoff probe HOST"},
}

// seeFinding is the command that shows a finding where there is one to show.
func seeFinding(id string) string {
	for _, f := range findingCommands {
		if strings.HasPrefix(id, f.id) {
			return f.command
		}
	}
	return ""
}

// ruleText is a row of the decision table.
func ruleText(rows []policy.Row) string {
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "%s   rule of the decision table\n", r.ID)
		b.WriteString(wrap(r.Says, "  ", "  "))
		if r.Reply.Code != 0 {
			fmt.Fprintf(&b, "  reply: %d %s %s\n", r.Reply.Code, r.Reply.Enhanced, r.Reply.Text)
		}
		for _, s := range r.Basis {
			text, _ := policy.Source(s)
			b.WriteString(wrap(s+": "+text, "  basis ", "    "))
		}
	}
	return b.String()
}

// wrap breaks a paragraph at 78 columns.
func wrap(text, first, rest string) string {
	var b strings.Builder
	line := first
	empty := true
	for _, w := range strings.Fields(report.Show(strings.ReplaceAll(text, "\n", " "))) {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(w) > 78 {
			b.WriteString(line + "\n")
			line, empty = rest, true
		}
		if !empty {
			line += " "
		}
		line += w
		empty = false
	}
	b.WriteString(line + "\n")
	return b.String()
}
