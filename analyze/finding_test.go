package analyze

import (
	"testing"
	"unicode/utf8"

	"github.com/smtp-handoff/handoff/analyze/causes"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// TestFindingsHaveTheirPages: every finding the judge makes is explained on a
// page, and what reports say of it comes from there.
func TestFindingsHaveTheirPages(t *testing.T) {
	for _, j := range judgeFindings {
		d, ok := causes.Page(j.id)
		if !ok {
			t.Errorf("no page is called %s", j.id)
			continue
		}
		f, ok := FindingOf(j.id, nil)
		if !ok || f.Title != d.Title || f.Why == "" || f.Source == "" || f.Severity == "" {
			t.Errorf("%+v", f)
		}
		if n := utf8.RuneCountInString(f.Title); n > maxTitle {
			t.Errorf("%s: the title has %d characters", j.id, n)
		}
		for _, x := range f.Fix {
			if x.Who == "" || x.Text == "" {
				t.Errorf("%s: fix %+v", j.id, x)
			}
		}
		if d.Finding && Severity(d.Severity) != f.Severity {
			t.Errorf("%s: severity %s, its page says %s", j.id, f.Severity, d.Severity)
		}
	}
	if _, ok := FindingOf("no-such-finding", nil); ok {
		t.Error("a finding without a page is known")
	}
}

// TestCheapLookMissesNothing: what the cheap look passes over is no look-alike
// for the dear one either.
func TestCheapLookMissesNothing(t *testing.T) {
	j := newJudge(&Options{}, nil)
	names := []string{
		"mx0a-00bb.pphosted.com", "notppe-hosted.com", "ppe-hosted.com.corp.local", "ppe-hosted.com.evil.test", "ppe-h0sted.com",
		"ppe-hosted.net", "mx.ppe-hosted.co.uk", "xn--ppe-hosed-0fg.com", "ppe-h\u043ested.com", "ppehosted.com", "ppe-hostd.com", "ppe.hosted.com",
		"pe-hosted.com", "ppe-hosted.comm", "ppe-h0st3d.com", "ppe-hosted", "outbound-us1.ppe-hosted.com.", "a.example", "mail.firma.example", "x.outlook.com", "",
	}
	like := 0
	for _, n := range names {
		if transcript.Lookalike(n, j.domains) {
			like++
			if !j.maybeLike(n) {
				t.Errorf("%s looks like the relay and is passed over", n)
			}
		}
	}
	if like < 10 {
		t.Errorf("only %d of the names look like the relay", like)
	}
}
