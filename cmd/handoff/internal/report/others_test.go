package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smtp-handoff/handoff/analyze"
)

// What other programs say of our documents. .ci/run installs them, and there one
// that is missing is a failure; elsewhere the test that needs it skips.

// program finds a program in PATH.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, name)
	}
	return path
}

func missing(t *testing.T, name string) {
	t.Helper()
	if os.Getenv("HANDOFF_E2E") != "" {
		t.Fatalf("%s is not there (.ci/run installs it)", name)
	}
	t.Skipf("%s is not there (.ci/run installs it)", name)
}

// documents are the samples in a format, with the lines of their input and
// without, all of them in one, and what is written of nothing at all.
func documents(t *testing.T, f Format) map[string]string {
	t.Helper()
	out := map[string]string{"nothing at all": render(t, f, Options{Version: "v1"})}
	var all []func() (*analyze.Report, Lines)
	for _, s := range samples {
		out[s.name] = render(t, f, Options{Version: "v1"}, with(s.make, nil))
		out[s.name+", with lines"] = render(t, f, Options{Version: "v1"}, with(s.make, hostileLines))
		all = append(all, with(s.make, hostileLines))
	}
	out["all in one"] = render(t, f, Options{Version: "v1"}, all...)
	return out
}

// asFile writes a document where a program can read it.
func asFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "document")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestSARIFByTheSchema: what we write is valid by the schema that OASIS publishes,
// and the checker does see what is not.
func TestSARIFByTheSchema(t *testing.T) {
	checker := os.Getenv("HANDOFF_CHECKER")
	if checker == "" {
		t.Skip("HANDOFF_CHECKER names no checker (.ci/run builds it)")
	}
	valid := func(text string) (bool, string) {
		out, err := exec.CommandContext(t.Context(), checker, "sarif", asFile(t, text)).CombinedOutput()
		var exit *exec.ExitError
		if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
			t.Fatalf("%s: %v\n%s", checker, err, out)
		}
		return err == nil, string(out)
	}
	all := documents(t, SARIF)
	for name, text := range all {
		if ok, out := valid(text); !ok {
			t.Errorf("%s:\n%s", name, out)
		}
	}
	for _, c := range []struct{ from, to string }{
		{`"ruleId"`, `"rule"`},
		{`"level": "error"`, `"level": "fatal"`},
		{`"startLine": `, `"startLine": -`},
		{`"driver"`, `"drivers"`},
	} {
		bad := strings.Replace(all["refused"], c.from, c.to, 1)
		if ok, _ := valid(bad); ok || bad == all["refused"] {
			t.Errorf("%s in place of %s passes", c.to, c.from)
		}
	}
}

// readJUnit prints what a reader of JUnit XML understood: one line for each case.
const readJUnit = `
import json, sys, junitparser
doc = junitparser.JUnitXml.fromfile(sys.argv[1])
cases = []
for suite in doc:
    for case in suite:
        result = case.result if isinstance(case.result, list) else [case.result] if case.result else []
        cases.append({"Suite": suite.name, "Class": case.classname, "Name": case.name,
            "Results": [type(r).__name__ for r in result], "Messages": [r.message for r in result], "Out": case.system_out or ""})
json.dump({"Tests": doc.tests, "Failures": doc.failures, "Errors": doc.errors, "Cases": cases}, sys.stdout)
`

// TestJUnitByAReader: xmllint takes the XML, and a program that reads JUnit of all
// kinds of test runners (junitparser) finds the suites, cases, results and words
// that we wrote. JUnit XML has no schema of its makers' to hold it against.
func TestJUnitByAReader(t *testing.T) {
	xmllint := program(t, "xmllint")
	python := program(t, "/usr/bin/python3") // Debian's, which has Debian's modules
	if err := exec.CommandContext(t.Context(), python, "-c", "import junitparser").Run(); err != nil {
		missing(t, "python3-junitparser")
	}
	for name, text := range documents(t, JUnit) {
		file := asFile(t, text)
		if out, err := exec.CommandContext(t.Context(), xmllint, "--noout", "--nonet", file).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: xmllint: %v\n%s", name, err, out)
			continue
		}
		out, err := exec.CommandContext(t.Context(), python, "-c", readJUnit, file).CombinedOutput()
		if err != nil {
			t.Errorf("%s: junitparser: %v\n%s", name, err, out)
			continue
		}
		type one struct {
			Suite, Class, Name string
			Results, Messages  []string
			Out                string
		}
		var read struct {
			Tests, Failures, Errors int
			Cases                   []one
		}
		if err := json.Unmarshal(out, &read); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		var wrote junitSuites
		if err := xml.Unmarshal([]byte(text), &wrote); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, suite := range wrote.Suites {
			for _, c := range suite.Cases {
				want := one{Suite: suite.Name, Class: c.Class, Name: c.Name, Results: []string{}, Messages: []string{}, Out: c.SystemOut}
				for kind, p := range map[string]*junitProblem{"Failure": c.Failure, "Error": c.Error} {
					if p != nil {
						want.Results, want.Messages = append(want.Results, kind), append(want.Messages, p.Message)
					}
				}
				if n >= len(read.Cases) || fmt.Sprintf("%+v", read.Cases[n]) != fmt.Sprintf("%+v", want) {
					t.Errorf("%s: case %d is read as %+v, written was %+v", name, n, read.Cases[n:min(n+1, len(read.Cases))], want)
				}
				n++
			}
		}
		if len(read.Cases) != n || read.Tests != wrote.Tests || read.Failures != wrote.Failures || read.Errors != wrote.Errors {
			t.Errorf("%s: read %d cases, %d/%d/%d; written %d, %d/%d/%d", name, len(read.Cases), read.Tests, read.Failures, read.Errors, n, wrote.Tests, wrote.Failures, wrote.Errors)
		}
	}
}

// TestMarkdownByGitHub: read as GitHub reads it (cmark-gfm is its parser), foreign
// text makes no link, image or HTML, our tables are tables whose rows are as long
// as their heads, and nothing poses as a heading of ours.
func TestMarkdownByGitHub(t *testing.T) {
	cmark := program(t, "cmark-gfm")
	parse := func(text string) (kinds map[string]int, problems []string) {
		cmd := exec.CommandContext(t.Context(), cmark, "-e", "table", "-e", "autolink", "-e", "strikethrough", "-e", "tasklist", "-e", "footnotes", "-t", "xml")
		cmd.Stdin = strings.NewReader(text)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		kinds = map[string]int{}
		head, cells := 0, 0
		for dec := xml.NewDecoder(bytes.NewReader(out)); ; {
			token, err := dec.Token()
			if errors.Is(err, io.EOF) {
				return kinds, problems
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			switch x := token.(type) {
			case xml.StartElement:
				kinds[x.Name.Local]++
				switch x.Name.Local {
				case "table_header", "table_row":
					cells = 0
				case "table_cell":
					cells++
				case "link", "image", "html_inline", "html_block", "footnote_reference", "footnote_definition", "strikethrough", "thematic_break":
					problems = append(problems, x.Name.Local)
				}
			case xml.EndElement:
				switch x.Name.Local {
				case "table_header":
					head = cells
				case "table_row":
					if cells != head {
						problems = append(problems, fmt.Sprintf("a row of %d cells under a head of %d", cells, head))
					}
				}
			}
		}
	}
	plain, _ := parse(render(t, Markdown, Options{}, with(analysisRefused, bounceLines)))
	if plain["heading"] != 1 || plain["table"] == 0 {
		t.Errorf("a report is read as %v", plain)
	}
	for name, text := range documents(t, Markdown) {
		kinds, problems := parse(text)
		want := 1
		switch name {
		case "nothing at all":
			want = 0
		case "all in one":
			want = len(samples)
		}
		if len(problems) > 0 || kinds["heading"] != want {
			t.Errorf("%s: %d headings, expected %d; %v", name, kinds["heading"], want, problems)
		}
	}
	if _, problems := parse("a https://evil.test/ b\n\n| a | b |\n|---|---|\n| ![x](y) | <b>z</b> |\n"); len(problems) < 4 {
		t.Errorf("links, images and HTML are not seen: %v", problems)
	}
}
