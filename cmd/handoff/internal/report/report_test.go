package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func render(t *testing.T, f Format, o Options, reports ...func() (*analyze.Report, Lines)) string {
	t.Helper()
	var b bytes.Buffer
	w, err := New(&b, f, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reports {
		rep, lines := r()
		if err := w.Write(rep, lines); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func with(r func() *analyze.Report, l Lines) func() (*analyze.Report, Lines) {
	return func() (*analyze.Report, Lines) { return r(), l }
}

func TestGolden(t *testing.T) {
	ready, refused, unclear := with(probeReady, probeLines), with(analysisRefused, bounceLines), with(analysisInsufficient, nil)
	for _, c := range []struct {
		name string
		f    Format
		o    Options
		in   []func() (*analyze.Report, Lines)
	}{
		{"probe-ready.txt", Text, Options{}, []func() (*analyze.Report, Lines){ready}},
		{"probe-ready-verbose.txt", Text, Options{Verbose: true, Masked: func() string { return "1 secret" }}, []func() (*analyze.Report, Lines){ready}},
		{"probe-ready-colour.txt", Text, Options{Color: true}, []func() (*analyze.Report, Lines){ready}},
		{"probe-ready-quiet.txt", Text, Options{Quiet: true}, []func() (*analyze.Report, Lines){ready, refused}},
		{"analysis.txt", Text, Options{}, []func() (*analyze.Report, Lines){refused, unclear}},
		{"analysis-nolines.txt", Text, Options{}, []func() (*analyze.Report, Lines){with(analysisRefused, nil)}},
		{"probe-ready.md", Markdown, Options{Command: "handoff probe outbound-us1.ppe-hosted.com --user [user-1] --password-file ..."}, []func() (*analyze.Report, Lines){ready}},
		{"analysis.md", Markdown, Options{Masked: func() string { return "1 secret" }}, []func() (*analyze.Report, Lines){refused, unclear}},
		{"probe-ready.html", HTML, Options{}, []func() (*analyze.Report, Lines){ready}},
		{"analysis.html", HTML, Options{}, []func() (*analyze.Report, Lines){refused, unclear}},
		{"analysis.jsonl", JSONL, Options{}, []func() (*analyze.Report, Lines){refused, unclear}},
		{"analysis.json", JSON, Options{Stream: true}, []func() (*analyze.Report, Lines){refused, unclear}},
		{"probe-ready.junit.xml", JUnit, Options{}, []func() (*analyze.Report, Lines){ready}},
		{"analysis.junit.xml", JUnit, Options{}, []func() (*analyze.Report, Lines){refused, unclear}},
		{"probe-ready.sarif", SARIF, Options{Version: "v1"}, []func() (*analyze.Report, Lines){ready}},
		{"analysis.sarif", SARIF, Options{Version: "v1"}, []func() (*analyze.Report, Lines){refused, unclear}},
		{"analysis.github.txt", GitHub, Options{}, []func() (*analyze.Report, Lines){refused, unclear}},
		{"hostile.txt", Text, Options{Verbose: true, Color: true}, []func() (*analyze.Report, Lines){with(hostile, hostileLines)}},
		{"hostile.md", Markdown, Options{}, []func() (*analyze.Report, Lines){with(hostile, hostileLines)}},
		{"hostile.html", HTML, Options{}, []func() (*analyze.Report, Lines){with(hostile, hostileLines)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := render(t, c.f, c.o, c.in...)
			file := filepath.Join("testdata", c.name)
			if *update {
				if err := os.MkdirAll("testdata", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("%s (-want +got), -update rewrites it:\n%s", file, d)
			}
		})
	}
}

// steersNothing holds that no byte of somebody else steers what shows the output,
// and that none of their lines poses as ours.
func steersNothing(t *testing.T, name, out string) {
	t.Helper()
	if !utf8.ValidString(out) {
		t.Errorf("%s: not UTF-8", name)
	}
	for i, c := range out {
		if c != '\n' && transcript.Forbidden(c) {
			t.Errorf("%s: %U raw at %d: %q", name, c, i, out[max(0, i-60):min(len(out), i+30)])
			break
		}
	}
	for l := range strings.Lines(out) {
		if strings.HasPrefix(l, "VERDICT ready") || strings.HasPrefix(l, "::error::x") || strings.HasPrefix(l, "##[") {
			t.Errorf("%s: foreign text poses as a line of ours: %q", name, l)
		}
	}
}

// TestHostile: no byte that we did not write steers what shows the output.
func TestHostile(t *testing.T) {
	for _, f := range Formats {
		for _, r := range []func() (*analyze.Report, Lines){with(hostile, nil), with(hostile, hostileLines), with(foreignWords, hostileLines)} {
			out := render(t, f, Options{Verbose: true}, r)
			steersNothing(t, string(f), out)
			if !strings.Contains(out, "evil") {
				t.Errorf("%s: the text behind the sequence is gone", f)
			}
		}
	}
}

// TestColourIsSGROnly: with colour on, the only control is our own SGR.
func TestColourIsSGROnly(t *testing.T) {
	out := render(t, Text, Options{Color: true, Verbose: true}, with(hostile, hostileLines))
	if bare := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(out, ""); strings.ContainsRune(bare, 0x1b) {
		t.Errorf("an escape that is not ours: %q", bare)
	}
	plain := render(t, Text, Options{Verbose: true}, with(hostile, hostileLines))
	if got := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(out, ""); got != plain {
		t.Error("colour changes words: monochrome would lose something")
	}
}

func TestHTMLLoadsNothing(t *testing.T) {
	out := render(t, HTML, Options{}, with(hostile, hostileLines))
	for _, bad := range []string{"<script", "<img", "<a ", "src=", "href=", "@import", "url("} {
		if strings.Contains(strings.ToLower(out), bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
	if !strings.Contains(out, `content="default-src 'none'; style-src 'unsafe-inline'"`) {
		t.Error("no content security policy")
	}
}

func TestJSONRoundTrip(t *testing.T) {
	for _, make := range []func() *analyze.Report{probeReady, analysisRefused, analysisInsufficient} {
		want := make()
		for _, indent := range []string{"", " "} {
			raw, err := Marshal(want, indent)
			if err != nil {
				t.Fatal(err)
			}
			got := new(analyze.Report)
			if err := json.Unmarshal(raw, got); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		}
	}
	raw, err := Marshal(map[string]string{"x": hostileText}, "")
	if err != nil {
		t.Fatal(err)
	}
	var back map[string]string
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	if want := strings.ToValidUTF8(hostileText, "\ufffd"); strings.ReplaceAll(back["x"], "\ufffd\ufffd", "\ufffd") != want {
		t.Errorf("escapes do not come back as they were:\n%q\n%q", back["x"], want)
	}
}

// TestEmptyDocuments: no report at all is still a document of its format.
func TestEmptyDocuments(t *testing.T) {
	if got := render(t, JSON, Options{Stream: true}); got != "[]\n" {
		t.Errorf("json: %q", got)
	}
	if got := render(t, HTML, Options{}); !strings.HasPrefix(got, "<!doctype html>") || !strings.HasSuffix(got, "</html>\n") {
		t.Errorf("html: %q", got)
	}
}

func TestUnknownFormat(t *testing.T) {
	if _, err := New(&bytes.Buffer{}, "pdf", Options{}); err == nil || !strings.Contains(err.Error(), "jsonl") {
		t.Errorf("the error does not name the formats: %v", err)
	}
}

func TestSnippets(t *testing.T) {
	lines := func(_, n int) (string, bool) { return map[int]string{1: "aa\tbb", 2: "日本 x"}[n], n < 3 }
	for _, c := range []struct {
		name string
		in   []analyze.Evidence
		want []string
	}{
		{"two marks on a line", []analyze.Evidence{{Line: 1, Column: 1, Quote: "aa"}, {Line: 1, Column: 4, Quote: "bb"}}, []string{"1:[aa]    [bb]"}},
		{"overlap", []analyze.Evidence{{Line: 1, Column: 1, Quote: "aa\tb"}, {Line: 1, Column: 2, Quote: "a"}}, []string{"1:[aa    b]b"}},
		{"column wrong, quote there", []analyze.Evidence{{Line: 1, Column: 9, Quote: "bb"}}, []string{"1:aa    [bb]"}},
		{"quote not in the line", []analyze.Evidence{{Line: 1, Column: 1, Quote: "zz"}}, []string{"1:[zz]"}},
		{"over lines", []analyze.Evidence{{Line: 1, Column: 4, Quote: "bb\r\n日本"}}, []string{"1:aa    [bb]", "2:[日本] x"}},
		{"same twice", []analyze.Evidence{{Line: 1, Column: 1, Quote: "aa"}, {Line: 1, Column: 1, Quote: "aa"}}, []string{"1:[aa]    bb"}},
		{"no such line", []analyze.Evidence{{Line: 7, Column: 1, Quote: "q"}}, []string{"7:[q]"}},
		{"nothing quoted", []analyze.Evidence{{Line: 7, Column: 1}}, nil},
	} {
		all, left := snippets(c.in, lines)
		var got []string
		for _, s := range all {
			for _, l := range s.Lines {
				row := string(rune('0'+l.Number)) + ":"
				for _, p := range l.Pieces {
					if p.Mark > 0 {
						row += "[" + p.Text + "]"
					} else {
						row += p.Text
					}
				}
				got = append(got, row)
			}
		}
		if d := cmp.Diff(c.want, got); d != "" || left != 0 {
			t.Errorf("%s: left %d (-want +got)\n%s", c.name, left, d)
		}
	}
	var many []analyze.Evidence
	for i := range 30 {
		many = append(many, analyze.Evidence{Line: i + 1, Column: 1, Quote: "x"})
	}
	if _, left := snippets(many, nil); left != 30-maxShownLines {
		t.Errorf("left out %d lines, want %d", left, 30-maxShownLines)
	}
}

func TestColumns(t *testing.T) {
	if n := columns("a日b"); n != 4 {
		t.Errorf("columns = %d, want 4: a wide character takes two", n)
	}
}

// TestJSONOfSeveral: one report is an object, several are an array, and an array
// that was asked for is one even of a single report.
func TestJSONOfSeveral(t *testing.T) {
	r := with(analysisInsufficient, nil)
	if got := render(t, JSON, Options{}, r); !strings.HasPrefix(got, "{") || !json.Valid([]byte(got)) {
		t.Errorf("one report: %.40q", got)
	}
	for _, got := range []string{render(t, JSON, Options{}, r, r, r), render(t, JSON, Options{Stream: true}, r, r, r)} {
		var all []analyze.Report
		if err := json.Unmarshal([]byte(got), &all); err != nil || len(all) != 3 {
			t.Errorf("three reports: %v, %d", err, len(all))
		}
	}
	var all []analyze.Report
	if err := json.Unmarshal([]byte(render(t, JSON, Options{Stream: true}, r)), &all); err != nil || len(all) != 1 {
		t.Errorf("an array of one: %v, %d", err, len(all))
	}
}
