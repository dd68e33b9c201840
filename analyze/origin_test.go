package analyze

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"

	"github.com/smtp-handoff/handoff/analyze/ndr"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

func span(text, part string) transcript.Span {
	i := strings.Index(text, part)
	return transcript.Span{Offset: i, End: i + len(part), Line: 1 + strings.Count(text[:i], "\n"), Column: 1 + i - (strings.LastIndexByte(text[:i], '\n') + 1)}
}

// TestEvidenceCountsTheLinesOfTheSource: a message of an archive, and one whose
// middle was left out, are quoted by the lines of the file they come from.
func TestEvidenceCountsTheLinesOfTheSource(t *testing.T) {
	text := "one\nmx1-us1.ppe-hosted.com said\nthree\n554 5.7.1 Relay access denied\n"
	item := ndr.Item{FromReport: true, Refuser: host(ndr.Refuser, mxHost), Reply: reply(t, "554 5.7.1 Relay access denied")}
	item.Refuser.Span = span(text, mxHost)
	item.Reply.Span = span(text, "554 5.7.1 Relay access denied")
	c := []ndr.Case{{Nature: ndr.NatureReport, Items: []ndr.Item{item}}}
	o := Options{Origin: Origin{Message: 7, Line: 101, Size: 5000, Cut: strings.Index(text, "three"), CutLines: 900, SHA256: strings.Repeat("ab", 32)}}
	r := JudgeCases(c, []byte(text), o)
	got := r.Outcomes[0].Evidence
	if len(got) != 2 || got[0].Line != 102 || got[0].Quote != mxHost || got[1].Line != 1004 || got[1].Column != 1 {
		t.Errorf("evidence %+v", got)
	}
	if r.Input.Message != 7 || r.Input.Bytes != 5000 || !r.Input.Truncated || r.Input.SHA256 != o.Origin.SHA256 {
		t.Errorf("input %+v", r.Input)
	}
	if n := len(r.Findings); n == 0 || r.Findings[n-1].ID != "limit-reached" {
		t.Errorf("findings %+v", r.Findings)
	}
}

func TestUnreadable(t *testing.T) {
	r := Unreadable(Options{Source: "x.png", Origin: Origin{Size: 12, SHA256: strings.Repeat("0", 64), Problem: "it is a PNG picture", Advice: "paste the text"}})
	if r.Verdict.Code != InsufficientEvidence || ExitCode(r) != 3 || r.Verdict.Headline != "unreadable: it is a PNG picture" || r.Input.Bytes != 12 {
		t.Errorf("%+v", r.Verdict)
	}
	for _, w := range loadSchema(t).validate(r.AppendJSON(nil)) {
		t.Error(w)
	}
}

func TestGzipAsOneInput(t *testing.T) {
	text := []byte("Generating server: mail.firma.example\n\ndesk@partner.example\noutbound-us1.ppe-hosted.com\nRemote Server returned '554 5.7.1 <desk@partner.example>: Relay access denied'\n")
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	plain, packed := Analyze(text, Options{}), Analyze(b.Bytes(), Options{})
	if plain.Verdict != packed.Verdict || packed.Verdict.Code != Refused {
		t.Errorf("plain %+v\npacked %+v", plain.Verdict, packed.Verdict)
	}
	cut := Analyze(b.Bytes()[:b.Len()-9], Options{})
	if !cut.Input.Truncated {
		t.Error("a damaged gzip is not called partial")
	}
}

func TestQuotes(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"plain", "plain"},
		{"p\x00l\x00a\x00", "pla"},
		{"caf\xe9", "café"},
		{"\xff\xfe", "ÿþ"},
	} {
		if got := quoteOf([]byte(tt.in))(transcript.Span{End: len(tt.in)}); got != tt.want {
			t.Errorf("%q is quoted as %q, want %q", tt.in, got, tt.want)
		}
	}
	long := strings.Repeat("é", 3*maxQuote)
	if got := quoteOf([]byte(long))(transcript.Span{End: len(long)}); !strings.HasPrefix(long, got) || len(got) < maxQuote {
		t.Errorf("a long quote: %d bytes", len(got))
	}
}

func TestExitCodes(t *testing.T) {
	for code, v := range map[int]Verdict{0: NotAFailure, 1: Refused, 3: InsufficientEvidence} {
		if got := ExitCode(&Report{Verdict: Summary{Code: v, Status: statusOf(v)}}); got != code {
			t.Errorf("%s gives %d, want %d", v, got, code)
		}
	}
	for _, tt := range [][3]int{{0, 1, 1}, {1, 0, 1}, {0, 3, 3}, {3, 1, 1}, {1, 3, 1}, {3, 0, 3}, {0, 0, 0}} {
		if got := WorseExit(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%d and %d give %d, want %d", tt[0], tt[1], got, tt[2])
		}
	}
}

func TestNothingToRead(t *testing.T) {
	for _, text := range []string{"", " \r\n\t\n"} {
		r := Analyze([]byte(text), Options{})
		if r.Verdict.Code != InsufficientEvidence || len(r.Outcomes) != 0 || !strings.HasPrefix(r.Verdict.Headline, "nothing to read") || len(r.NextTests) != 1 || ExitCode(r) != 3 {
			t.Errorf("%q: %+v", text, r.Verdict)
		}
	}
}
