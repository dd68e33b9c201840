package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/cli"
)

// steering is what a stranger may write to steer a terminal or a log.
const steering = "x\x1b]0;owned\x07\x1b[2J\u202e\u200b\u009b2J\x00\x7f\tvisible"

// poison puts a text into every string of a value; empty lists get an element.
func poison(v reflect.Value, text string, keep map[string]bool) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() && !keep[v.Type().Field(i).Name] {
				poison(f, text, keep)
			}
		}
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		poison(v.Elem(), text, keep)
	case reflect.Slice:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		for i := range v.Len() {
			poison(v.Index(i), text, keep)
		}
	case reflect.String:
		v.SetString(text)
	}
}

// TestForgedReports: reports of ours whose every word is a stranger's, and texts
// full of them, go through every command that reads; no byte of them steers what
// comes out, on stdout or stderr.
func TestForgedReports(t *testing.T) {
	var probed bytes.Buffer
	cli.Run(t.Context(), []string{"probe", "--bundled", "--scenario", "wrong-password", "-o", "json"}, strings.NewReader(""), &probed, &bytes.Buffer{})
	bounce, err := os.ReadFile("../../testdata/reports/postfix/whole-mail.eml")
	if err != nil {
		t.Fatal(err)
	}
	var judged bytes.Buffer
	cli.Run(t.Context(), []string{"analyze", "-o", "json"}, bytes.NewReader(bounce), &judged, &bytes.Buffer{})
	some := map[string]bool{"SchemaVersion": true, "Kind": true}
	most := map[string]bool{
		"SchemaVersion": true, "Kind": true, "Code": true, "Status": true, "Verdict": true, "Stage": true, "Severity": true, "ID": true, "Who": true, "Party": true,
		"Fault": true, "Intent": true, "Confidence": true, "Direction": true, "Role": true, "SHA256": true, "NotAfter": true,
	}
	inputs := map[string][]byte{
		"a bounce":   bytes.ReplaceAll(bytes.ReplaceAll(bounce, []byte("Relay access denied"), []byte("Relay access denied "+steering)), []byte("partner.example"), []byte("part\x1b[2Jner.example")),
		"only bytes": []byte(strings.Repeat(steering+"\n", 50)),
		"a dialogue": []byte("220 mx " + steering + "\nEHLO " + steering + "\n250-mx\n250 STARTTLS " + steering + "\nMAIL FROM:<a@b.example>\n250 2.1.0 Ok\nRCPT TO:<" + steering + "@c.example>\n554 5.7.1 " + steering + ": Relay access denied\n"),
	}
	for name, raw := range map[string][]byte{"a probe's report": probed.Bytes(), "an analysis": judged.Bytes()} {
		for how, keep := range map[string]map[string]bool{"all words": some, "the free words": most} {
			var rep analyze.Report
			if err := json.Unmarshal(raw, &rep); err != nil {
				t.Fatal(err)
			}
			poison(reflect.ValueOf(&rep).Elem(), steering, keep)
			inputs[name+", "+how], err = json.Marshal(&rep)
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	commands := [][]string{
		{"diagnose", "--no-input", "--file", "FILE"},
		{"analyze", "--summary", "FILE"},
		{"analyze", "--summary", "-o", "jsonl", "FILE"},
		{"analyze", "-v", "FILE"},
		{"analyze", "-q", "FILE"},
		{"analyze", "--redact", "strict", "FILE"},
		{"probe", "--from-report", "FILE", "--as-command"},
		{"relay", "replay", "FILE", "--for", "1ms"},
		{"analyze", "--fact", "forwarded=" + steering, "FILE"},
		{"explain", steering},
		{"probe", steering},
		{"check", "-H", steering},
		{"probe", "--bundled", "--scenario", steering},
		{"analyze", steering},
		{steering},
		{"relay", "--listen", steering},
	}
	for _, f := range []string{"text", "json", "jsonl", "markdown", "html", "junit", "sarif", "github"} {
		commands = append(commands, []string{"analyze", "-o", f, "FILE"})
	}
	for name, text := range inputs {
		file := filepath.Join(t.TempDir(), "input")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, words := range commands {
			args := make([]string, len(words))
			for i, w := range words {
				args[i] = strings.Replace(w, "FILE", file, 1)
			}
			var out, errs bytes.Buffer
			code := cli.Run(t.Context(), args, strings.NewReader(""), &out, &errs)
			if code == 70 {
				t.Errorf("%s, %q: a fault of our own\n%s", name, words, errs.String())
			}
			for where, got := range map[string]string{"stdout": out.String(), "stderr": errs.String()} {
				if where := fmt.Sprintf("%s, %q, %s", name, words, where); !utf8.ValidString(got) {
					t.Errorf("%s: not UTF-8", where)
				} else if i := strings.IndexFunc(got, func(r rune) bool { return r != '\n' && transcript.Forbidden(r) }); i >= 0 {
					t.Errorf("%s: a byte that steers: %q", where, got[max(0, i-60):min(len(got), i+20)])
				}
			}
		}
	}
}
