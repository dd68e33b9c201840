package analyze

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// sane holds for a report about anything.
func sane(t *testing.T, schema *schemaDoc, r *Report) {
	t.Helper()
	doc := r.AppendJSON(nil)
	if wrong := schema.validate(doc); len(wrong) > 0 {
		t.Fatalf("%s\n%s", strings.Join(wrong, "\n"), doc)
	}
	if !utf8.Valid(doc) || bytes.IndexFunc(doc, transcript.Forbidden) >= 0 {
		t.Fatalf("raw control, bidi or invisible characters in %s", doc)
	}
	if back := Analyze(doc, Options{}); back.Verdict != r.Verdict {
		t.Fatalf("read back %+v\nwas %+v\n%s", back.Verdict, r.Verdict, doc)
	}
}

// FuzzAnalyze: no input makes the judge panic, say what is not in the contract,
// or quote what is not in the input.
func FuzzAnalyze(f *testing.F) {
	for _, pattern := range []string{"postfix/*.txt", "m365-*/*.txt", "several/*", "not/*.eml"} {
		names, _ := filepath.Glob(filepath.Join("..", "testdata", "reports", pattern))
		for _, name := range names {
			if text, err := os.ReadFile(name); err == nil && filepath.Ext(name) != ".json" {
				f.Add(text)
			}
		}
	}
	schema := loadSchema(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 64<<10 {
			return
		}
		r := Analyze(text, Options{})
		if r.Input.Format == "handoff-probe" || r.Input.Format == "handoff-analysis" {
			return // FuzzReadBack
		}
		sane(t, schema, r)
		if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 || bytes.HasPrefix(text, []byte("\x1f\x8b")) {
			return // quotes are of the decoded text
		}
		for i := range r.Outcomes {
			for _, e := range r.Outcomes[i].Evidence {
				if !strings.Contains(string(text), e.Quote) {
					t.Fatalf("%q is not in the input", e.Quote)
				}
			}
		}
	})
}

// FuzzReadBack: a report that was made or changed by anybody is read without a
// panic, and what is said of it is in the contract.
func FuzzReadBack(f *testing.F) {
	ready := Report{SchemaVersion: SchemaVersion, Kind: "probe", Target: smartHost, Intent: IntentAuth, Sessions: []Session{
		{Port: 587, Address: "192.0.2.10", Steps: []Step{
			{Stage: "greet", Status: "ok", Reply: &Reply{220, "", "mx1-us1.ppe-hosted.com ESMTP"}},
			{Stage: "ehlo", Command: "EHLO pc", Status: "ok", Reply: &Reply{250, "", "mx1\nSTARTTLS"}, TookMS: 1e300},
			{Stage: "tls", Status: "failed", Fault: "certificate"},
		}, TLS: TLS{Problem: "certificate-expired", NotAfter: "2026-01-01T00:00:00Z"}},
	}}
	f.Add(ready.AppendJSON(nil))
	f.Add([]byte(`{"schema_version":"1.0","kind":"analysis","verdict":{"code":"ready","status":"ok","headline":"x","confidence":"certain","next":""},"outcomes":[{"verdict":"no such","stage":"x","reply":{"code":-5}}]}`))
	f.Add([]byte("[" + string(ready.AppendJSON(nil)) + "]\n" + string(ready.AppendJSON(nil))))
	schema := loadSchema(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		in := Input{SHA256: strings.Repeat("0", 64)}
		r, ok := readBack(text, &in, Options{})
		if !ok {
			return
		}
		doc := r.AppendJSON(nil)
		if !json.Valid(doc) || bytes.IndexFunc(doc, transcript.Forbidden) >= 0 {
			t.Fatalf("%s", doc)
		}
		if n := utf8.RuneCountInString(r.Verdict.Headline); n == 0 || n > maxHeadline {
			t.Fatalf("headline of %d characters", n)
		}
		if wrong := schema.validate(doc); len(wrong) > 0 {
			t.Fatalf("%s\n%s", strings.Join(wrong, "\n"), doc)
		}
	})
}
