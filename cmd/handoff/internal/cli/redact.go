package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
)

// maxRedact bounds the text of 'handoff redact', which is held whole: a secret
// found in one place is looked for in all others.
const maxRedact = 64 << 20

func (p *program) redactCommand() *cobra.Command {
	var strictly bool
	var relayDomains []string
	cmd := &cobra.Command{
		Use:   "redact [FILE|-]",
		Short: "print a text with its secrets replaced, and with --strict personal data too",
		Long: `redact prints a text so that it can be shown to others. Secrets go always: AUTH
PLAIN, LOGIN, XOAUTH2 and CRAM-MD5 payloads in the transcript of any client,
the lines after a 334, passwords in URLs, command lines and settings,
Authorization headers. With --strict mailboxes, private addresses, host names
and bodies go too; the relay's own domain, codes and times stay.

The same thing gets the same token everywhere. Lines and their numbers stay.
The original is not touched. What was hidden is counted on standard error.

Limit: 64 MB of text.`,
		Example: `  handoff redact session.txt > to-show.txt
  handoff redact --strict bounce.eml | handoff analyze`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("redact takes one FILE")
			}
			return nil
		},
		RunE: p.command(func(_ *cobra.Command, args []string) error {
			name := "-"
			if len(args) == 1 {
				name = args[0]
			}
			if strictly {
				p.flags.redact = "strict"
			}
			return p.redact(name, relayDomains)
		}),
	}
	cmd.Flags().BoolVar(&strictly, "strict", false, "replace personal data too, as --redact strict")
	cmd.Flags().StringSliceVar(&relayDomains, "relay-domain", nil, "`DOMAIN` of a relay that stays readable; repeatable")
	return cmd
}

func (p *program) redact(name string, relayDomains []string) error {
	in := p.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return fail(exitNoInput, "no such file: "+name)
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxRedact+1))
	if err != nil {
		return fail(exitNoInput, "cannot read "+name)
	}
	if len(raw) > maxRedact {
		return fail(exitData, fmt.Sprintf("%s has more than %d MB", name, maxRedact>>20), "cut it into pieces; a secret is then hidden per piece")
	}
	text, masked := transcript.Redactor{Level: p.level(), RelayDomains: relayDomains}.Redact(raw)
	s, err := p.openSink()
	if err != nil {
		return err
	}
	defer s.discard()
	if report.IsTerminal(s.w) {
		// What a stranger wrote does not steer our terminal; a file gets the bytes.
		text = []byte(transcript.EscapeLines(string(text)))
	}
	if _, err := s.w.Write(text); err != nil {
		return cannotWrite(err)
	}
	if err := s.commit(); err != nil {
		return err
	}
	p.say("hidden: %s", orElse(hiddenWords(masked), "nothing"))
	return nil
}

func (p *program) level() transcript.Level {
	if p.flags.redact == "strict" {
		return transcript.Strict
	}
	return transcript.Standard
}

// hiddenWords counts the different things that were hidden: "1 secret, 2
// addresses".
func hiddenWords(masked []transcript.Masked) string {
	names := []struct{ kind, one, many string }{
		{"secret", "secret", "secrets"},
		{"addr", "address", "addresses"},
		{"user", "user", "users"},
		{"host", "host", "hosts"},
		{"ip", "IP address", "IP addresses"},
		{"name", "name", "names"},
		{"subject", "subject", "subjects"},
		{"body", "body", "bodies"},
	}
	seen := map[string]bool{}
	counts := make([]int, len(names)+1)
	for _, m := range masked {
		if seen[m.Token] {
			continue
		}
		seen[m.Token] = true
		kind, _, _ := strings.Cut(strings.Trim(m.Token, "[]"), "-")
		i := slices.IndexFunc(names, func(n struct{ kind, one, many string }) bool { return n.kind == kind })
		if i < 0 {
			i = len(names)
		}
		counts[i]++
	}
	var out []string
	for i, n := range counts {
		switch {
		case n == 0:
		case i == len(names):
			out = append(out, fmt.Sprintf("%d others", n))
		case n == 1:
			out = append(out, "1 "+names[i].one)
		default:
			out = append(out, fmt.Sprintf("%d %s", n, names[i].many))
		}
	}
	return strings.Join(out, ", ")
}

// maskedText is a text with its secrets hidden, line for line.
func maskedText(data []byte) []byte {
	text, _ := transcript.Redact(data, transcript.Standard)
	return text
}

// strict hides personal data in a report and in the lines of its evidence. All
// texts go through one redaction, so that the same thing has the same token in
// each.
func strict(r *analyze.Report, lines report.Lines, relayDomains []string) (*analyze.Report, report.Lines, string) {
	c := cloneReport(r)
	var texts []*string
	eachText(c, func(s *string) {
		if *s != "" {
			texts = append(texts, s)
		}
	})
	type place struct{ port, line int }
	kept := map[place]*string{}
	if lines != nil {
		eachEvidence(c, func(e *analyze.Evidence) {
			for i := range 1 + strings.Count(e.Quote, "\n") {
				at := place{e.Port, e.Line + i}
				if _, known := kept[at]; known {
					continue
				}
				if text, ok := lines(at.port, at.line); ok {
					s := &text
					kept[at] = s
					texts = append(texts, s)
				}
			}
		})
	}
	var all bytes.Buffer
	heights := make([]int, len(texts))
	for i, s := range texts {
		clean := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(*s)
		heights[i] = 1 + strings.Count(clean, "\n")
		all.WriteString(clean + "\n")
	}
	out, masked := transcript.Redactor{Level: transcript.Strict, RelayDomains: relayDomains}.Redact(all.Bytes())
	rows := strings.Split(string(out), "\n")
	at := 0
	for i, s := range texts {
		if at+heights[i] > len(rows) {
			*s = "[hidden]" // the redaction moved lines, which it promises not to do
			continue
		}
		*s = strings.Join(rows[at:at+heights[i]], "\n")
		at += heights[i]
	}
	return c, func(port, line int) (string, bool) {
		s, ok := kept[place{port, line}]
		if !ok {
			return "", false
		}
		return *s, true
	}, hiddenWords(masked)
}

// eachText calls fn with every text of a report that may tell of people: not
// with words of ours such as verdicts, stages and ids.
func eachText(r *analyze.Report, fn func(*string)) {
	list := func(all []string) {
		for i := range all {
			fn(&all[i])
		}
	}
	causes := func(all []analyze.Cause) {
		for i := range all {
			fn(&all[i].Fits)
			fn(&all[i].Fix)
		}
	}
	fn(&r.Target)
	fn(&r.Verdict.Headline)
	fn(&r.Verdict.Next)
	if r.Input != nil {
		fn(&r.Input.Source)
	}
	if r.Planned != nil {
		list(r.Planned.From)
		list(r.Planned.To)
	}
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		for _, s := range []*string{&o.Recipient, &o.Reply.Text, &o.RefusedBy, &o.ReportedBy, &o.Target, &o.Sender} {
			fn(s)
		}
		causes(o.Causes)
	}
	eachEvidence(r, func(e *analyze.Evidence) { fn(&e.Quote) })
	for i := range r.Findings {
		f := &r.Findings[i]
		fn(&f.Title)
		fn(&f.Why)
		for k := range f.Fix {
			fn(&f.Fix[k].Text)
			fn(&f.Fix[k].Command)
		}
		list(f.Not)
	}
	causes(r.Causes)
	for i := range r.NextTests {
		fn(&r.NextTests[i].Do)
		for k := range r.NextTests[i].Shows {
			fn(&r.NextTests[i].Shows[k].Show)
		}
	}
	if r.Diagnosis != nil {
		for i := range r.Diagnosis.Tried {
			fn(&r.Diagnosis.Tried[i].Do)
			fn(&r.Diagnosis.Tried[i].Shown)
		}
	}
	for i := range r.Sessions {
		s := &r.Sessions[i]
		fn(&s.Address)
		causes(s.Causes)
		list(s.Capabilities.BeforeTLS)
		list(s.Capabilities.AfterTLS)
		list(s.TLS.Names)
		list(s.TLS.Chain)
		for _, t := range []*string{&s.TLS.Subject, &s.TLS.Issuer, &s.TLS.Detail} {
			fn(t)
		}
		for k := range s.Steps {
			fn(&s.Steps[k].Command)
			fn(&s.Steps[k].Note)
			if s.Steps[k].Reply != nil {
				fn(&s.Steps[k].Reply.Text)
			}
		}
	}
	if r.DNS != nil {
		for i := range r.DNS.Queries {
			fn(&r.DNS.Queries[i].Name)
			list(r.DNS.Queries[i].Answers)
			list(r.DNS.Queries[i].CNAMEs)
		}
	}
}

// cloneReport copies all that eachText may change.
func cloneReport(r *analyze.Report) *analyze.Report {
	c := *r
	causes := func(all []analyze.Cause) []analyze.Cause { return slices.Clone(all) }
	if r.Input != nil {
		in := *r.Input
		c.Input = &in
	}
	if r.Planned != nil {
		pl := *r.Planned
		pl.From, pl.To = slices.Clone(pl.From), slices.Clone(pl.To)
		c.Planned = &pl
	}
	c.Outcomes = slices.Clone(r.Outcomes)
	for i := range c.Outcomes {
		c.Outcomes[i].Evidence = slices.Clone(c.Outcomes[i].Evidence)
		c.Outcomes[i].Causes = causes(c.Outcomes[i].Causes)
	}
	c.Findings = slices.Clone(r.Findings)
	for i := range c.Findings {
		f := &c.Findings[i]
		f.Evidence, f.Fix, f.Not = slices.Clone(f.Evidence), slices.Clone(f.Fix), slices.Clone(f.Not)
	}
	c.Causes = causes(r.Causes)
	c.NextTests = slices.Clone(r.NextTests)
	for i := range c.NextTests {
		c.NextTests[i].Shows = slices.Clone(c.NextTests[i].Shows)
	}
	if r.Diagnosis != nil {
		d := *r.Diagnosis
		d.Tried = slices.Clone(d.Tried)
		c.Diagnosis = &d
	}
	c.Sessions = slices.Clone(r.Sessions)
	for i := range c.Sessions {
		s := &c.Sessions[i]
		s.Causes, s.Steps = causes(s.Causes), slices.Clone(s.Steps)
		s.Capabilities.BeforeTLS, s.Capabilities.AfterTLS = slices.Clone(s.Capabilities.BeforeTLS), slices.Clone(s.Capabilities.AfterTLS)
		s.TLS.Names, s.TLS.Chain = slices.Clone(s.TLS.Names), slices.Clone(s.TLS.Chain)
		for k := range s.Steps {
			if s.Steps[k].Reply != nil {
				reply := *s.Steps[k].Reply
				s.Steps[k].Reply = &reply
			}
		}
	}
	if r.DNS != nil {
		d := analyze.DNS{Queries: slices.Clone(r.DNS.Queries)}
		for i := range d.Queries {
			d.Queries[i].Answers, d.Queries[i].CNAMEs = slices.Clone(d.Queries[i].Answers), slices.Clone(d.Queries[i].CNAMEs)
		}
		c.DNS = &d
	}
	return &c
}
