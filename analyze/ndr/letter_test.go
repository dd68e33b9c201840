package ndr

import (
	"html"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pastes are what people put around a mail that they paste with its header, and
// around a log or a dialogue that they forward.
var pastes = []struct {
	name string
	do   func(text string) string
}{
	{"below a letter", func(s string) string {
		return "Hi support team,\n\nour reports do not go out any more. Below is what came back.\n\n" + s
	}},
	{"in a code block", func(s string) string { return "## Problem\n\nMail does not go out.\n\n```\n" + s + "```\n\nThanks\n" }},
	{"indented", func(s string) string { return eachLine(s, "    ") }},
	{"quoted", func(s string) string { return "Jo wrote:\n" + eachLine(s, "> ") }},
	{"in a page", func(s string) string {
		return "<html><body><p>Hi,</p><pre>" + html.EscapeString(s) + "</pre></body></html>"
	}},
	{"every line ended twice", func(s string) string { return strings.ReplaceAll(s, "\n", "\n\n") }},
}

// A report pasted with its header says the same wherever it stands, and the
// address it was sent to is nobody's recipient.
func TestMailsInLetters(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "reports", "*", "*.eml"))
	if err != nil || len(files) < 10 {
		t.Fatalf("%d mails, %v", len(files), err)
	}
	read := 0
	for _, file := range files {
		input, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(input), "\r\n", "\n")
		h, ok := (&walker{d: &Document{Text: []byte(text)}, text: []byte(text), cr: true}).fields(0)
		if !ok || h.report != reportStatus && !byDaemon([]byte(text[:h.body])) {
			continue // no report, or one that only its words give away
		}
		read++
		want := coreOf(t, Read([]byte(text)))
		for _, p := range pastes {
			pasted := []byte(p.do(text))
			cases := Read(pasted)
			checkDocument(t, Prepare(pasted))
			checkCases(t, pasted, cases)
			if got := coreOf(t, cases); got != want {
				t.Errorf("%s, %s: got\n%s\nwant\n%s", filepath.Base(file), p.name, got, want)
			}
		}
	}
	if read < 7 {
		t.Errorf("only %d mails are reports", read)
	}
}

// The people of a forwarded letter are not those of the mail that failed.
func TestForwardedTraces(t *testing.T) {
	heads := []string{
		"Please see below.\n\n-----Original Message-----\nFrom: Ada <ada@firma.example>\nSent: Tuesday, November 24, 2026 11:02 AM\nTo: Help <help@desk.example>\nSubject: mail problem\n\n",
		"Bitte ansehen\n\n________________________________\nVon: Ada <ada@firma.example>\nGesendet: Dienstag, 24. November 2026 11:02\nAn: Help <help@desk.example>\nBetreff: Mailproblem\n\n",
	}
	for _, base := range traceFiles(t) {
		input, err := os.ReadFile(base + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		for i, head := range heads {
			for _, c := range Read([]byte(head + string(input))) {
				for _, it := range c.Items {
					if it.Recipient == "help@desk.example" || it.Sender == "ada@firma.example" {
						t.Errorf("%s, head %d: recipient %q, sender %q", base, i, it.Recipient, it.Sender)
					}
				}
			}
		}
	}
}
