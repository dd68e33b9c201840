package report

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/smtp-handoff/handoff/analyze"
)

// junitWriter writes the JUnit XML that CI systems read: one suite per report,
// one case per session or outcome and one per finding. A finding of severity
// error is a failure, a warning stands in system-out, what is expected passes;
// an inconclusive verdict is an error, since nothing was shown.
type junitWriter struct {
	w      io.Writer
	suites []junitSuite
}

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name      string        `xml:"name,attr"`
	Class     string        `xml:"classname,attr"`
	Time      string        `xml:"time,attr"`
	Failure   *junitProblem `xml:"failure"`
	Error     *junitProblem `xml:"error"`
	Skipped   *struct{}     `xml:"skipped"`
	SystemOut string        `xml:"system-out,omitempty"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

func (j *junitWriter) Write(r *analyze.Report, lines Lines) error {
	subject := strings.TrimSuffix(subjectOf(r), ": ")
	s := junitSuite{Name: show(cmp.Or(subject, "handoff")), Time: "0.000"}
	verdict := junitCase{Name: "verdict", Class: s.Name, Time: "0.000"}
	body := func(rest ...string) string { return strings.Join(nonEmpty(rest...), "\n") }
	switch r.Verdict.Status {
	case analyze.OK:
		verdict.SystemOut = show(r.Verdict.Headline)
	case analyze.Problem:
		verdict.Failure = &junitProblem{Message: show(headlineOf(r)), Type: show(string(r.Verdict.Code)), Text: body(show(r.Verdict.Next), causeText(r.Causes))}
	default:
		verdict.Error = &junitProblem{Message: show(headlineOf(r)), Type: show(string(r.Verdict.Code)), Text: body(show(r.Verdict.Next), causeText(r.Causes))}
	}
	s.Cases = append(s.Cases, verdict)
	var total float64
	for i := range r.Sessions {
		x := &r.Sessions[i]
		var ms float64
		var steps []string
		for _, c := range Cells(x) {
			ms += c.TookMS
			steps = append(steps, c.Stage+" "+show(c.Status))
		}
		total += ms
		c := junitCase{Name: fmt.Sprintf("session %d %s", x.Port, show(x.Address)), Class: s.Name, Time: fmt.Sprintf("%.3f", ms/1000)}
		text := body(strings.Join(steps, ", "), decided(nil, x), causeText(x.Causes))
		switch {
		case x.Verdict == analyze.Ready || x.Expected:
			c.SystemOut = fmt.Sprintf("%s\n%s", show(string(x.Verdict)), text)
		case x.Verdict == analyze.InsufficientEvidence:
			c.Error = &junitProblem{Message: fmt.Sprintf("%s at stage %s", show(string(x.Verdict)), show(x.Stage)), Type: show(string(x.Verdict)), Text: text}
		default:
			c.Failure = &junitProblem{Message: fmt.Sprintf("%s at stage %s", show(string(x.Verdict)), show(x.Stage)), Type: show(string(x.Verdict)), Text: text}
		}
		s.Cases = append(s.Cases, c)
	}
	s.Time = fmt.Sprintf("%.3f", total/1000)
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		c := junitCase{Name: "recipient " + orUnstated(o.Recipient, "(not stated)"), Class: s.Name, Time: "0.000"}
		p := &junitProblem{
			Message: strings.TrimSpace(fmt.Sprintf("%s at stage %s %s", show(string(o.Verdict)), show(o.Stage), replyLine(o.Reply))),
			Type:    show(string(o.Verdict)), Text: body("party "+orUnstated(string(o.Party), "unknown"), causeText(o.Causes)),
		}
		switch o.Verdict {
		case analyze.NotAFailure, analyze.Ready:
			c.SystemOut = p.Message
		case analyze.InsufficientEvidence:
			c.Error = p
		default:
			c.Failure = p
		}
		s.Cases = append(s.Cases, c)
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		c := junitCase{Name: show(f.ID), Class: s.Name, Time: "0.000"}
		text := body(show(f.Why), evidenceText(f.Evidence, lines), fixText(f))
		if f.Severity == analyze.Error && !f.Expected {
			c.Failure = &junitProblem{Message: show(f.Title), Type: show(string(f.Severity)), Text: text}
		} else {
			c.SystemOut = body(fmt.Sprintf("%s: %s", show(string(f.Severity)), show(f.Title)), text)
		}
		s.Cases = append(s.Cases, c)
	}
	for _, c := range s.Cases {
		s.Tests++
		if c.Failure != nil {
			s.Failures++
		}
		if c.Error != nil {
			s.Errors++
		}
	}
	j.suites = append(j.suites, s)
	return nil
}

// Close writes the document: its counts stand at the top.
func (j *junitWriter) Close() error {
	all := junitSuites{Name: "handoff", Suites: j.suites}
	for _, s := range j.suites {
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Errors += s.Errors
	}
	var b bytes.Buffer
	b.WriteString(xml.Header)
	enc := xml.NewEncoder(&b)
	enc.Indent("", " ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err := j.w.Write(b.Bytes())
	return err
}

// evidenceText is evidence as plain lines, each with a mark before it.
func evidenceText(evidence []analyze.Evidence, lines Lines) string {
	all, left := snippets(evidence, lines)
	var b strings.Builder
	for _, s := range all {
		fmt.Fprintf(&b, "%s:\n", s.Where)
		for _, l := range s.Lines {
			fmt.Fprintf(&b, "%s | ", l.Label())
			for _, p := range l.Pieces {
				b.WriteString(p.Text)
			}
			b.WriteByte('\n')
		}
	}
	if left > 0 {
		fmt.Fprintf(&b, "and %d lines of evidence more\n", left)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func causeText(causes []analyze.Cause) string {
	var rows []string
	for _, c := range causes {
		rows = append(rows, fmt.Sprintf("cause %s (%s): %s; fix: %s", show(c.ID), orUnstated(string(c.Who), "unknown"), show(c.Fits), show(c.Fix)))
	}
	return strings.Join(rows, "\n")
}

func fixText(f *analyze.Finding) string {
	var rows []string
	for _, x := range f.Fix {
		rows = append(rows, strings.TrimSpace(fmt.Sprintf("fix (%s): %s %s", orUnstated(string(x.Who), "unknown"), show(x.Text), show(x.Command))))
	}
	for _, n := range f.Not {
		rows = append(rows, "not: "+show(n))
	}
	if f.Source != "" {
		rows = append(rows, "source: "+show(f.Source))
	}
	return strings.Join(rows, "\n")
}
