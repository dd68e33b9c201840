package analyze_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/causes"
	"github.com/smtp-handoff/handoff/analyze/policy"
)

func TestPagesAreClean(t *testing.T) {
	for _, p := range analyze.LintCauses(os.DirFS("causes")) {
		t.Error(p)
	}
}

// adviceOnly are the statements of the article that are about the console and
// about reading reports: what is done with them stands here.
var adviceOnly = map[string]string{
	"A2": "policy: NewCredential, Generate, Save; the fix of credential-wrong names the path",
}

// TestEveryStatementOfTheArticleIsCarried looks for each statement in the rules,
// the causes and the findings.
func TestEveryStatementOfTheArticleIsCarried(t *testing.T) {
	by := map[string][]string{}
	for _, r := range policy.Table() {
		for _, b := range r.Basis {
			by[b] = append(by[b], "rule "+string(r.ID))
		}
	}
	for _, d := range causes.All() {
		for _, s := range d.Sources {
			by[s] = append(by[s], d.ID)
		}
	}
	for _, a := range policy.Article() {
		if len(by[a.ID]) == 0 && adviceOnly[a.ID] == "" {
			t.Errorf("nothing carries %s: %s", a.ID, a.Text)
		}
		if len(by[a.ID]) > 0 && adviceOnly[a.ID] != "" {
			t.Errorf("%s is no advice only: %v carry it", a.ID, by[a.ID])
		}
	}
	page, _ := causes.Page("credential-wrong")
	path := "Administration > Account Management > Domains > SMTP Authentication > New Credential"
	if !slices.ContainsFunc(page.Fix, func(f causes.Fix) bool { return strings.Contains(f.Text, path) }) {
		t.Errorf("no fix of credential-wrong names %s (A2)", path)
	}
}

// TestEveryPageShowsWhatItsScenarioSays compares the replies on a page with
// those that the table gives in its scenarios.
func TestEveryPageShowsWhatItsScenarioSays(t *testing.T) {
	code := regexp.MustCompile(`^[45]\d\d `)
	for _, d := range causes.Pages() {
		said := analyze.Replies(d)
		if len(said) == 0 {
			continue // no reply of the relay's own
		}
		match := 0
		for _, line := range d.Shows {
			if code.MatchString(line) && slices.Contains(said, line) {
				match++
			}
		}
		if match == 0 {
			t.Errorf("%s shows %q, but its scenarios say %q", d.ID, d.Shows, said)
		}
	}
}

// TestNoPageShadowsAnother: no two causes predict exactly the same in every
// world, for then no test could tell them apart.
func TestNoPageShadowsAnother(t *testing.T) {
	ids := map[string]string{}
	for _, d := range causes.Pages() {
		key := strings.Join(d.Base, ",")
		for _, s := range d.Scenarios {
			key += "|" + strings.Join(s, ";")
		}
		if other := ids[key]; other != "" {
			t.Errorf("%s and %s are one scenario", d.ID, other)
		}
		ids[key] = d.ID
	}
}

// TestTheFirstFixIsForWhoHasToAct: "relay-platform: …" stands before the fix in
// every report, so the first item is theirs and says what they can do.
func TestTheFirstFixIsForWhoHasToAct(t *testing.T) {
	for _, d := range causes.Pages() {
		if len(d.Fix) == 0 || d.Fix[0].Who != d.Who {
			t.Errorf("%s is for %s to mend, and its first fix is %+v", d.ID, d.Who, d.Fix)
		}
	}
}

// TestARelayDenialIsNotToldWhatIsDone: who has logged in on 587 is not told to
// use 587.
func TestARelayDenialIsNotToldWhatIsDone(t *testing.T) {
	for _, tt := range []struct {
		text, with, sans string
	}{
		{"postfix/smtp[9]: 4XYZ: to=<bob@recipient.example>, relay=outbound-us1.ppe-hosted.com[192.0.2.10]:587, dsn=5.7.1, status=bounced (host outbound-us1.ppe-hosted.com[192.0.2.10] said: 554 5.7.1 <bob@recipient.example>: Relay access denied (in reply to RCPT TO command))", "Look whether the client logs in", "Send on port 587"},
		{"postfix/smtp[9]: 4XYZ: to=<bob@recipient.example>, relay=outbound-us1.ppe-hosted.com[192.0.2.10]:25, dsn=5.7.1, status=bounced (host outbound-us1.ppe-hosted.com[192.0.2.10] said: 554 5.7.1 <bob@recipient.example>: Relay access denied (in reply to RCPT TO command))", "Send on port 587", "Look whether the client logs in"},
	} {
		r := analyze.Analyze([]byte("Nov 23 10:39:58 mail "+tt.text+"\n"), analyze.Options{})
		i := slices.IndexFunc(r.Findings, func(f analyze.Finding) bool { return f.ID == "relay-access-denied" })
		if i < 0 {
			t.Fatalf("no finding in %+v", r.Findings)
		}
		var all []string
		for _, f := range r.Findings[i].Fix {
			all = append(all, f.Text)
		}
		fixes := strings.Join(all, "\n")
		if !strings.Contains(fixes, tt.with) || strings.Contains(fixes, tt.sans) {
			t.Errorf("fixes %q", fixes)
		}
	}
}
