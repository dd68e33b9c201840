package report

import (
	"encoding/json"
	"encoding/xml"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/smtp-handoff/handoff/analyze"
)

// samples are reports for the checks of the formats that programs read.
var samples = []struct {
	name string
	make func() *analyze.Report
}{
	{"ready", probeReady},
	{"refused", analysisRefused},
	{"insufficient", analysisInsufficient},
	{"hostile", hostile},
	{"foreign words", foreignWords},
}

// TestJUnit checks what readers of JUnit rely on: the counts are those of the
// cases, each case has a name, a class and a time, at most one of failure and
// error, and no character that XML 1.0 forbids.
func TestJUnit(t *testing.T) {
	for _, s := range samples {
		out := render(t, JUnit, Options{}, with(s.make, hostileLines))
		var doc junitSuites
		if err := xml.Unmarshal([]byte(out), &doc); err != nil {
			t.Errorf("%s: no XML: %v", s.name, err)
			continue
		}
		if !strings.HasPrefix(out, xml.Header) {
			t.Errorf("%s: no XML declaration", s.name)
		}
		for i, r := range out {
			if r < ' ' && r != '\n' && r != '\t' || r == 0xfffe || r == 0xffff || unicode.Is(unicode.Cs, r) {
				t.Errorf("%s: %U at %d is forbidden in XML", s.name, r, i)
				break
			}
		}
		tests, failures, errs := 0, 0, 0
		for _, suite := range doc.Suites {
			n, f, e := 0, 0, 0
			for _, c := range suite.Cases {
				n++
				if c.Name == "" || c.Class == "" || !regexp.MustCompile(`^\d+\.\d{3}$`).MatchString(c.Time) {
					t.Errorf("%s: case %+v lacks a name, a class or a time", s.name, c)
				}
				if c.Failure != nil && c.Error != nil {
					t.Errorf("%s: case %s both fails and errs", s.name, c.Name)
				}
				if c.Failure != nil {
					f++
				}
				if c.Error != nil {
					e++
				}
			}
			if suite.Tests != n || suite.Failures != f || suite.Errors != e {
				t.Errorf("%s: suite counts %d/%d/%d, has %d/%d/%d", s.name, suite.Tests, suite.Failures, suite.Errors, n, f, e)
			}
			tests, failures, errs = tests+n, failures+f, errs+e
		}
		if doc.Tests != tests || doc.Failures != failures || doc.Errors != errs {
			t.Errorf("%s: the document counts %d/%d/%d, has %d/%d/%d", s.name, doc.Tests, doc.Failures, doc.Errors, tests, failures, errs)
		}
		switch r := s.make(); {
		case r.Verdict.Status == analyze.OK && (failures > 0 || errs > 0):
			t.Errorf("%s: what is expected fails: %s", s.name, out)
		case r.Verdict.Status == analyze.Problem && failures == 0:
			t.Errorf("%s: a problem passes", s.name)
		case r.Verdict.Status == analyze.Inconclusive && errs == 0:
			t.Errorf("%s: an inconclusive run passes", s.name)
		}
	}
}

// TestSARIF checks what SARIF 2.1.0 demands of the parts we write.
func TestSARIF(t *testing.T) {
	for _, s := range samples {
		out := render(t, SARIF, Options{Version: "v1"}, with(s.make, nil))
		var doc sarifLog
		dec := json.NewDecoder(strings.NewReader(out))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&doc); err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		if doc.Version != "2.1.0" || len(doc.Runs) != 1 || doc.Runs[0].Tool.Driver.Name == "" || len(doc.Runs[0].Invocations) != 1 {
			t.Errorf("%s: version, run, tool or invocation is missing", s.name)
			continue
		}
		run := doc.Runs[0]
		rules := map[string]bool{}
		for _, r := range run.Tool.Driver.Rules {
			if r.ID == "" || rules[r.ID] || r.Short.Text == "" {
				t.Errorf("%s: rule %q is empty or stands twice", s.name, r.ID)
			}
			rules[r.ID] = true
		}
		rank := map[string]int{"error": 0, "warning": 1, "note": 2}
		last := 0
		for _, r := range run.Results {
			n, known := rank[r.Level]
			if !known || r.Message.Text == "" || !rules[r.RuleID] {
				t.Errorf("%s: result %+v has no level, message or rule", s.name, r)
			}
			if n < last {
				t.Errorf("%s: results are not sorted, the worst first", s.name)
			}
			last = n
			for _, l := range r.Locations {
				if l.Physical == nil {
					continue
				}
				u, err := url.Parse(l.Physical.Artifact.URI)
				if err != nil || l.Physical.Artifact.URI == "" || u.Scheme != "" {
					t.Errorf("%s: %q is no relative reference: %v", s.name, l.Physical.Artifact.URI, err)
				}
				if g := l.Physical.Region; g != nil && (g.Line < 1 || g.Column < 1) {
					t.Errorf("%s: region %+v", s.name, *g)
				}
			}
		}
		if want := s.make().Verdict.Status != analyze.Inconclusive; run.Invocations[0].Successful != want {
			t.Errorf("%s: executionSuccessful is %v", s.name, run.Invocations[0].Successful)
		}
	}
}

// TestGitHub: each line is one workflow command, and foreign text stands in its
// message only.
func TestGitHub(t *testing.T) {
	line := regexp.MustCompile(`^::(error|warning|notice) title=[^:,\r\n]*(,file=[^:,\r\n]+,line=\d+,col=\d+)?::[^\r\n]+$`)
	for _, s := range samples {
		out := render(t, GitHub, Options{}, with(s.make, hostileLines))
		for _, l := range strings.Split(strings.TrimSuffix(out, "\n"), "\n") {
			if !line.MatchString(l) {
				t.Errorf("%s: no workflow command: %.200q", s.name, l)
			}
		}
	}
}

// TestMarkdownMakesNoLinks: foreign text is text. What could be a link, a
// mention, an image or HTML stands in a code span or fence.
func TestMarkdownMakesNoLinks(t *testing.T) {
	for _, s := range samples {
		out := render(t, Markdown, Options{}, with(s.make, hostileLines))
		for i, l := range withoutCode(out) {
			for _, bad := range []string{"://", "www.", "@", "<", "![", "](", "`"} {
				if strings.Contains(l, bad) {
					t.Errorf("%s: line %d has %q outside code: %.200q", s.name, i+1, bad, l)
				}
			}
		}
	}
}

// withoutCode reads Markdown as CommonMark does: fenced blocks and code spans are
// dropped, and so is what a backslash escapes.
func withoutCode(s string) []string {
	var out []string
	fence := ""
	for _, l := range strings.Split(s, "\n") {
		if fence != "" {
			if strings.HasPrefix(l, fence) {
				fence = ""
			}
			out = append(out, "")
			continue
		}
		if strings.HasPrefix(l, "```") {
			fence = l[:len(l)-len(strings.TrimLeft(l, "`"))]
			out = append(out, "")
			continue
		}
		var text strings.Builder
		for i := 0; i < len(l); {
			if l[i] == '\\' && i+1 < len(l) && strings.IndexByte("\\`*_{}[]()#+-.!<>|~&@:", l[i+1]) >= 0 {
				i += 2
				continue
			}
			if l[i] != '`' {
				text.WriteByte(l[i])
				i++
				continue
			}
			n := len(l[i:]) - len(strings.TrimLeft(l[i:], "`"))
			end := closingRun(l, i+n, n)
			if end < 0 {
				text.WriteString(l[i : i+n])
				i += n
				continue
			}
			i = end
		}
		out = append(out, text.String())
	}
	return out
}

// closingRun finds the next run of exactly n backticks and gives the place
// behind it; -1 if there is none.
func closingRun(l string, from, n int) int {
	for i := from; i < len(l); i++ {
		if l[i] != '`' {
			continue
		}
		m := len(l[i:]) - len(strings.TrimLeft(l[i:], "`"))
		if m == n {
			return i + n
		}
		i += m - 1
	}
	return -1
}
