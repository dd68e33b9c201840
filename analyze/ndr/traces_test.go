package ndr

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

var updateTraces = flag.Bool("update-traces", false, "write the expectations of testdata/transcripts and testdata/logs again; the reason in each stays")

// traceSample is what a file of testdata/transcripts or testdata/logs says about
// its neighbour.
type traceSample struct {
	Why   string      `json:"why"`
	Cases []traceCase `json:"cases"`
}

type traceCase struct {
	sampleCase
	Facts    []string   `json:"facts,omitempty"` // per item: secure and authenticated, where stated
	Dialogue []string   `json:"dialogue,omitempty"`
	TLS      *traceTLS  `json:"tls,omitempty"`
	Lists    [][]string `json:"lists,omitempty"` // EHLO keywords before and inside TLS
}

type traceTLS struct {
	Version  string `json:"version,omitempty"`
	Cipher   string `json:"cipher,omitempty"`
	Subject  string `json:"subject,omitempty"`
	Problem  string `json:"problem,omitempty"`
	Implicit bool   `json:"implicit,omitempty"`
}

// traced is a reading in the form of a sample.
func traced(cases []Case) []traceCase {
	var out []traceCase
	for i, s := range sampled(cases) {
		t := traceCase{sampleCase: s}
		for k := range cases[i].Items {
			it := &cases[i].Items[k]
			t.Facts = append(t.Facts, factWord("tls", it.Secure)+factWord(" login", it.Authenticated))
			if it.Session != nil && k == 0 {
				t.Dialogue = dialogueLines(it.Session)
				if x := it.Session.TLS; x != nil {
					t.TLS = &traceTLS{x.Version, x.Cipher, x.Subject, x.Problem, it.Session.Implicit}
				}
				if it.Session.Before != nil || it.Session.After != nil {
					t.Lists = [][]string{it.Session.Before, it.Session.After}
				}
			}
		}
		out = append(out, t)
	}
	return out
}

func factWord(name string, f transcript.Fact) string {
	switch f {
	case transcript.Yes:
		return name + "+"
	case transcript.No:
		return name + "-"
	}
	return name + "?"
}

func dialogueLines(s *transcript.Session) []string {
	lines := []string{"server " + s.Server + " " + s.Address + " port " + strconv.Itoa(s.Port) + " client " + s.Client}
	for i := range s.Exchanges {
		e := &s.Exchanges[i]
		l := string(e.Stage)
		if e.Secure {
			l += "~"
		}
		if e.Grouped {
			l += "+"
		}
		if e.Command != "" {
			l += " " + e.Command
		}
		if !e.Reply.IsZero() {
			l += " -> " + strconv.Itoa(e.Reply.Code)
		}
		if e.Fault != transcript.FaultNone {
			l += " !" + string(e.Fault)
		}
		if e.Skipped != "" {
			l += " (skipped)"
		}
		lines = append(lines, l)
	}
	return lines
}

// traceFiles are the samples of both folders, without their endings.
func traceFiles(t testing.TB) []string {
	t.Helper()
	var bases []string
	for _, folder := range []string{"transcripts", "logs"} {
		files, err := filepath.Glob(filepath.Join("..", "..", "testdata", folder, "*", "*.txt"))
		if err != nil || len(files) < 20 {
			t.Fatalf("%d samples in %s, %v", len(files), folder, err)
		}
		for _, f := range files {
			bases = append(bases, strings.TrimSuffix(f, ".txt"))
		}
	}
	return bases
}

// TestTraces reads every sample with each kind of line end.
func TestTraces(t *testing.T) {
	kinds := map[string]int{}
	for _, base := range traceFiles(t) {
		kinds[filepath.Dir(base)]++
		name, _ := filepath.Rel(filepath.Join("..", "..", "testdata"), base)
		t.Run(filepath.ToSlash(name), func(t *testing.T) {
			raw, err := os.ReadFile(base + ".json")
			if err != nil {
				t.Fatal(err)
			}
			var want traceSample
			dec := json.NewDecoder(bytes.NewReader(raw))
			dec.DisallowUnknownFields()
			if err := dec.Decode(&want); err != nil {
				t.Fatal(err)
			}
			if want.Why == "" {
				t.Error("the sample does not say why it exists")
			}
			input, err := os.ReadFile(base + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			if *updateTraces {
				want.Cases = traced(Read(input))
				if err := os.WriteFile(base+".json", []byte(indented(t, want)+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			expect := indented(t, want.Cases)
			for _, v := range []struct{ name, end string }{{"LF", "\n"}, {"CRLF", "\r\n"}, {"CR", "\r"}} {
				text := bytes.ReplaceAll(input, lf, []byte(v.end))
				cases := Read(text)
				checkDocument(t, Prepare(text))
				checkCases(t, text, cases)
				if got := indented(t, traced(cases)); got != expect {
					t.Fatalf("%s: got\n%s\nwant\n%s", v.name, got, expect)
				}
			}
		})
	}
	for kind, n := range kinds {
		if n < 3 {
			t.Errorf("%s has %d samples, want three at least", kind, n)
		}
	}
}
