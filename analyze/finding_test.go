package analyze

import (
	"testing"
	"unicode/utf8"

	"github.com/smtp-handoff/handoff/analyze/causes"
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
