package report

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/smtp-handoff/handoff/analyze"
)

// maxOutcomes is how many outcomes the text form spells out; a log of a day
// has thousands, and JSON has them all.
const maxOutcomes = 100

type textWriter struct {
	w *bufio.Writer
	o Options
	p palette
	n int
}

func newText(w io.Writer, o Options) *textWriter {
	return &textWriter{w: bufio.NewWriter(w), o: o, p: newPalette(o.Color)}
}

func (t *textWriter) printf(format string, args ...any) { fmt.Fprintf(t.w, format, args...) }

// Write prints one report: verdict, what was looked at, findings, evidence,
// causes, next tests.
func (t *textWriter) Write(r *analyze.Report, lines Lines) error {
	if t.n > 0 && !t.o.Quiet {
		t.printf("\n")
	}
	t.n++
	t.verdict(r)
	if t.o.Quiet {
		return t.w.Flush()
	}
	t.subject(r)
	for i := range r.Sessions {
		if i == 0 {
			t.sessions(r)
			t.versions(r)
		}
		if t.o.Verbose {
			t.details(&r.Sessions[i])
		}
	}
	for i := range r.Outcomes {
		if i == maxOutcomes {
			t.printf("and %d outcomes more; -o json has them all\n", len(r.Outcomes)-i)
			break
		}
		t.outcome(&r.Outcomes[i], lines)
	}
	for i := range r.Findings {
		t.finding(r, &r.Findings[i], lines)
	}
	t.narrowing(r)
	t.causes(r.Causes, "")
	for _, n := range r.NextTests {
		t.nextTest(n)
	}
	if m := t.o.masked(); m != "" {
		t.printf("hidden: %s\n", show(m))
	}
	return t.w.Flush()
}

// Close flushes.
func (t *textWriter) Close() error { return t.w.Flush() }

// narrowing prints the tests of a diagnosis, and how many explanations each left.
func (t *textWriter) narrowing(r *analyze.Report) {
	if r.Diagnosis == nil {
		return
	}
	for i := range r.Diagnosis.Tried {
		x := &r.Diagnosis.Tried[i]
		word := "tried"
		if x.By == "answer" {
			word = "told"
		}
		t.printf("%s %s: %s (%s)\n", t.p.strong.Sprint(word), show(x.Test), show(x.Shown), narrowed(x))
		if t.o.Verbose {
			t.printf("   = %s\n", show(x.Do))
		}
	}
	if n := r.Diagnosis.Aside; n > 0 {
		t.printf("set aside: %s that no one explanation fits together with the others: another road, another mail, or a fault of its own\n", counted(n, "outcome"))
	}
}

// narrowed says what a test left.
func narrowed(x *analyze.TriedTest) string {
	switch {
	case x.Before == 0 && x.After == 1:
		return "1 explanation fits"
	case x.Before == 0:
		return fmt.Sprintf("%d explanations fit", x.After)
	case x.Before == x.After:
		return "it rules nothing out"
	}
	return fmt.Sprintf("%d explanations became %d", x.Before, x.After)
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (t *textWriter) verdict(r *analyze.Report) {
	v := r.Verdict
	code := t.p.status(string(v.Code), false).Sprint(show(string(v.Code)))
	t.printf("%s %s", t.p.strong.Sprint("VERDICT"), code)
	if v.Headline != "" {
		t.printf(": %s", show(v.Headline))
	}
	t.printf(" (%s, %s", show(string(v.Status)), show(string(v.Confidence)))
	if v.Next != "" {
		t.printf("; next: %s", show(v.Next))
	}
	t.printf(")\n")
}

func (t *textWriter) subject(r *analyze.Report) {
	if r.Input != nil {
		t.printf("%s  %s  %d bytes", show(r.Input.Source), orUnstated(r.Input.Format, "format not recognised"), r.Input.Bytes)
		if r.Input.Partial() {
			t.printf("  %s", t.p.warning.Sprint("partial: a limit was reached, see the findings"))
		}
		t.printf("\n")
	}
	if r.Target != "" {
		t.printf("%s", show(r.Target))
		if r.Intent != "" {
			t.printf("  intent %s", show(string(r.Intent)))
		}
		t.printf("\n")
	}
}

// sessions prints one step line per session, in columns.
func (t *textWriter) sessions(r *analyze.Report) {
	several := map[int]int{}
	for i := range r.Sessions {
		several[r.Sessions[i].Port]++
	}
	heads := make([]string, len(r.Sessions))
	rows := make([][]string, len(r.Sessions))
	colours := make([][]Cell, len(r.Sessions))
	var widths []int
	headWidth := 0
	for i := range r.Sessions {
		s := &r.Sessions[i]
		heads[i] = strconv.Itoa(s.Port)
		if several[s.Port] > 1 {
			heads[i] += " " + show(s.Address)
		}
		headWidth = max(headWidth, columns(heads[i]))
		for j, c := range Cells(s) {
			text := c.Stage + " " + show(c.Status)
			if c.Status != "skipped" {
				if d := took(c.TookMS); d != "" {
					text += " " + d
				}
			}
			rows[i] = append(rows[i], text)
			colours[i] = append(colours[i], c)
			if j == len(widths) {
				widths = append(widths, 0)
			}
			widths[j] = max(widths[j], columns(text))
		}
	}
	for i := range r.Sessions {
		s := &r.Sessions[i]
		t.printf(" %s%s", heads[i], strings.Repeat(" ", headWidth-columns(heads[i])))
		for j, text := range rows[i] {
			c := colours[i][j]
			expected := s.Expected && c.Status == "refused"
			coloured := strings.Replace(text, show(c.Status), t.p.status(c.Status, expected).Sprint(show(c.Status)), 1)
			t.printf("  %s%s", coloured, strings.Repeat(" ", widths[j]-columns(text)))
		}
		for j := len(rows[i]); j < len(widths); j++ {
			t.printf("  %s", strings.Repeat(" ", widths[j]))
		}
		t.printf("  %s", t.p.status(string(s.Verdict), s.Expected).Sprint(show(string(s.Verdict))))
		if s.Expected && s.Verdict != analyze.Ready {
			t.printf(", expected")
		}
		if s.Verdict == analyze.Ready && !whole(s) {
			t.printf(" up to %s", show(s.Stage))
		}
		t.printf("\n")
		if said := decided(r, s); said != "" {
			t.printf(" %s  %s\n", strings.Repeat(" ", headWidth), said)
		}
	}
}

// versions prints the answers of a TLS scan, one line per session.
func (t *textWriter) versions(r *analyze.Report) {
	for i := range r.Sessions {
		if s := &r.Sessions[i]; len(s.TLS.Versions) > 0 {
			t.printf(" %d %s: %s\n", s.Port, show(s.Address), tlsVersions(s))
		}
	}
}

// details prints what -v adds of a session.
func (t *textWriter) details(s *analyze.Session) {
	t.printf(" session %d %s\n", s.Port, show(s.Address))
	if c := s.TLS; c.Version != "" || c.Problem != "" {
		t.printf("   tls %s", orUnstated(c.Version, "version not known"))
		for _, x := range []string{c.Cipher, c.Curve} {
			if x != "" {
				t.printf(", %s", show(x))
			}
		}
		if c.Verified {
			t.printf(", verified")
		}
		if c.Problem != "" {
			t.printf(", %s", t.p.bad.Sprint(show(c.Problem)))
		}
		t.printf("\n")
		if c.Detail != "" {
			t.printf("   %s\n", show(c.Detail))
		}
		if len(c.Names) > 0 || c.NotAfter != "" {
			t.printf("   certificate for %s, issued by %s, until %s\n", showList(c.Names), orUnstated(c.Issuer, "an unnamed issuer"), show(c.NotAfter))
			if len(c.Chain) > 0 {
				t.printf("   chain as sent: %s\n", show(strings.Join(c.Chain, " < ")))
			}
			if c.Stapled != "" {
				t.printf("   OCSP response stapled: %s\n", show(c.Stapled))
			}
		}
	}
	if len(s.Capabilities.BeforeTLS) > 0 {
		t.printf("   before TLS: %s\n", showList(s.Capabilities.BeforeTLS))
	}
	if len(s.Capabilities.AfterTLS) > 0 {
		t.printf("   inside TLS: %s\n", showList(s.Capabilities.AfterTLS))
	}
	for i := range s.Steps {
		st := &s.Steps[i]
		t.printf("   %-8s %-8s", show(st.Stage), show(st.Status))
		if st.Command != "" {
			t.printf(" %s", show(st.Command))
		}
		if st.Reply != nil {
			t.printf(" -> %s", replyLine(*st.Reply))
		}
		if st.Fault != "" {
			t.printf(" fault %s", show(st.Fault))
		}
		if st.Note != "" {
			t.printf(" (%s)", show(st.Note))
		}
		if d := took(st.TookMS); d != "" {
			t.printf(" %s", d)
		}
		t.printf("\n")
	}
}

func (t *textWriter) outcome(o *analyze.Outcome, lines Lines) {
	t.printf("%s: %s at stage %s", orUnstated(o.Recipient, "(recipient not stated)"),
		t.p.status(string(o.Verdict), false).Sprint(show(string(o.Verdict))), orUnstated(o.Stage, "unknown"))
	t.printf(", direction %s, party %s\n", orUnstated(string(o.Direction), "unknown"), orUnstated(string(o.Party), "unknown"))
	switch line := replyLine(o.Reply); {
	case line == "":
		t.printf("   = reply: none stated\n")
	case o.Unsaid():
		t.printf("   = reply: none stated; the report says: %s\n", line)
	default:
		t.printf("   = reply: %s\n", line)
	}
	if o.Status != "" && o.Status != o.Reply.Enhanced {
		t.printf("   = status field: %s\n", show(o.Status))
	}
	t.printf("   = refused by %s, reported by %s", orUnstated(o.RefusedBy, "(not stated)"), orUnstated(o.ReportedBy, "(not stated)"))
	if o.Target != "" {
		t.printf(", target %s", show(o.Target))
	}
	if o.Port != 0 {
		t.printf(", port %d", o.Port)
	} else {
		t.printf(", port not stated")
	}
	if o.When != "" {
		t.printf(", %s", show(o.When))
	}
	t.printf("\n")
	t.evidence(o.Evidence, lines)
	t.causes(o.Causes, "   = ")
}

func (t *textWriter) finding(r *analyze.Report, f *analyze.Finding, lines Lines) {
	t.printf("%s: %s: %s", t.p.severity(string(f.Severity), f.Expected).Sprint(show(string(f.Severity))), show(f.ID), show(f.Title))
	if f.Expected {
		t.printf(" (%s)", t.p.expected.Sprint(expectedNote(r)))
	}
	t.printf("\n")
	t.evidence(f.Evidence, lines)
	if f.Why != "" {
		t.printf("   = why: %s\n", show(f.Why))
	}
	for _, x := range f.Fix {
		t.printf("   = fix (%s): %s\n", orUnstated(string(x.Who), "unknown"), show(x.Text))
		if x.Command != "" {
			t.printf("     %s\n", show(x.Command))
		}
	}
	for _, n := range f.Not {
		t.printf("   = not: %s\n", show(n))
	}
	if f.Source != "" {
		t.printf("   = source: %s\n", show(f.Source))
	}
}

// evidence prints the lines that prove a thing, with carets under the words.
func (t *textWriter) evidence(evidence []analyze.Evidence, lines Lines) {
	all, left := snippets(evidence, lines)
	for _, s := range all {
		t.printf("  --> %s\n", s.Where)
		gutter := len(s.Lines[len(s.Lines)-1].Label())
		for _, l := range s.Lines {
			t.printf("%*s | ", gutter, l.Label())
			var carets strings.Builder
			for _, p := range l.Pieces {
				ch := " "
				switch p.Mark {
				case 0:
					t.printf("%s", p.Text)
				case 1:
					t.printf("%s", t.p.mark.Sprint(p.Text))
					ch = "^"
				default:
					t.printf("%s", t.p.second.Sprint(p.Text))
					ch = "^"
				}
				carets.WriteString(strings.Repeat(ch, columns(p.Text)))
			}
			t.printf("\n%*s | %s\n", gutter, "", strings.TrimRight(carets.String(), " "))
		}
	}
	if left > 0 {
		t.printf("  --> and %d lines of evidence more; -o json has them all\n", left)
	}
}

// causes prints them most likely first, each with who acts and how.
func (t *textWriter) causes(causes []analyze.Cause, mark string) {
	if len(causes) > 1 {
		t.printf("%s%d causes fit, most likely first:\n", mark, len(causes))
	}
	whole := causes
	if !t.o.Verbose {
		whole = causes[:min(len(causes), maxWhole)]
	}
	for _, c := range whole {
		t.printf("%scause %s (%s): %s\n", mark, t.p.strong.Sprint(show(c.ID)), orUnstated(string(c.Who), "unknown"), show(c.Fits))
		if c.Fix != "" {
			t.printf("%s  fix: %s\n", indent(mark), show(c.Fix))
		}
		if c.Source != "" {
			t.printf("%s  source: %s; handoff explain %s\n", indent(mark), show(c.Source), show(c.ID))
		}
	}
	if rest := causes[len(whole):]; len(rest) > 0 {
		ids := make([]string, len(rest))
		for i, c := range rest {
			ids[i] = c.ID
		}
		t.printf("%sand %d less common ones (-v shows them whole): %s\n", mark, len(rest), showList(ids))
	}
}

// maxWhole is how many causes are printed with fix and source; one reply can
// stand for seventeen rules, and nobody reads that at a glance.
const maxWhole = 5

func (t *textWriter) nextTest(n analyze.NextTest) {
	t.printf("next test %s: %s", t.p.strong.Sprint(show(n.ID)), show(n.Do))
	if n.Who != "" || n.Cost != "" {
		t.printf(" (%s)", show(strings.Join(nonEmpty(n.Who, n.Cost), ", ")))
	}
	t.printf("\n")
	for _, x := range shownFirst(n.Shows) {
		t.printf("   = if it shows %s: %s\n", show(x.Show), showList(x.Causes))
	}
	if len(n.Shows) == 0 && len(n.Separates) > 0 {
		t.printf("   = tells apart: %s\n", showList(n.Separates))
	}
}

// maxShows is how many of the things a test can show are printed.
const maxShows = 6

// shownFirst are the first of them.
func shownFirst(all []analyze.Showing) []analyze.Showing { return all[:min(len(all), maxShows)] }

func indent(mark string) string { return strings.Repeat(" ", len(mark)) }

// orUnstated shows a value, or says in our words that there is none.
func orUnstated(s, instead string) string {
	if s == "" {
		return instead
	}
	return show(s)
}

func nonEmpty(all ...string) []string {
	out := all[:0]
	for _, s := range all {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// maxList is how many items of a list a server gave are shown.
const maxList = 40

// showList joins with ", " and says how many were left out.
func showList(all []string) string {
	more := ""
	if len(all) > maxList {
		more = fmt.Sprintf(", and %d more", len(all)-maxList)
		all = all[:maxList]
	}
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = show(s)
	}
	return strings.Join(out, ", ") + more
}
