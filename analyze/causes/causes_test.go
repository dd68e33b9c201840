package causes

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestPagesAreCleanInShape(t *testing.T) {
	for _, p := range Lint(embedded, Checks{}) {
		t.Error(p)
	}
	docs, problems := Load(embedded)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if len(docs) != len(All()) || len(Pages())+len(Findings()) != len(docs) {
		t.Errorf("%d pages, %d causes, %d findings", len(docs), len(Pages()), len(Findings()))
	}
}

// TestEveryCauseOfTheServiceHasAPage names the causes that the product knows;
// adding one is a decision.
func TestEveryCauseOfTheServiceHasAPage(t *testing.T) {
	want := strings.Fields(`
		wrong-port auth-missing sending-server-not-listed relay-pool-ip force-auth sender-not-registered
		credential-user-missing user-not-live sender-marked-invalid sender-domain-not-registered
		sender-domain-inactive outbound-relay-off domain-not-live auto-forward distribution-group-external
		null-sender rate-limited shared-ip-spoofable
		credential-not-live credential-wrong credential-unknown credential-deleted wrong-region
		sasl-unavailable mechanism-missing
		starttls-missing starttls-stripped smtp-inspection starttls-unavailable tls-interrupted tls-too-old
		implicit-tls-on-587 certificate-expired certificate-not-yet-valid certificate-name-mismatch
		certificate-unknown-issuer
		smarthost-typo dns-failure wrong-host port-25-blocked port-587-blocked connection-refused
		silent-server connection-dropped
		relay-busy too-many-connections ip-blocked message-too-big too-many-recipients greylisted
		idle-timeout slow-server outcome-unknown
		recipient-marked-invalid recipient-unknown-at-relay recipient-callout-refused
		recipient-verification-pending inbound-throttled mx-left-behind sender-domain-unresolvable sender-dmarc
		downstream-refused sender-spf-missing downstream-unreachable downstream-deferred not-handed-off
		tester-artefact`)
	known := map[string]bool{}
	for _, id := range want {
		known[id] = true
		d, ok := Page(id)
		if !ok || d.Finding {
			t.Errorf("no page for cause %s", id)
		}
	}
	for _, d := range Pages() {
		if !known[d.ID] {
			t.Errorf("page %s is in no list", d.ID)
		}
	}
}

func TestParseReadsEverything(t *testing.T) {
	d, ok := Page("auth-missing")
	if !ok {
		t.Fatal("no page auth-missing")
	}
	if d.Title != "port 587 is used, but the client never logs in" || d.Who != "sender-system" || d.Rank != 4 || d.RankSource != "A14" {
		t.Errorf("header: %+v", d)
	}
	if len(d.Scenarios) != 4 || d.Scenarios[0][0] != "client auth off" || len(d.Scenarios[2]) != 2 {
		t.Errorf("scenarios: %q", d.Scenarios)
	}
	if len(d.Shows) != 2 || !strings.HasPrefix(d.Shows[0], "554 5.7.1") {
		t.Errorf("shows: %q", d.Shows)
	}
	if len(d.Fix) != 1 || d.Fix[0].Who != "sender-system" || strings.Contains(d.Fix[0].Text, "\n") || !strings.HasSuffix(d.Fix[0].Text, "port 587.") {
		t.Errorf("fix: %+v", d.Fix)
	}
	if len(d.Confused) != 2 || d.Confused[1].ID != "wrong-port" || len(d.Not) != 1 {
		t.Errorf("confused %+v, not %q", d.Confused, d.Not)
	}
	if strings.Contains(d.Means, "\n") || !strings.HasPrefix(d.Means, "Port 587 is for") {
		t.Errorf("means: %q", d.Means)
	}
	if d, _ := Page("wrong-port"); !strings.Contains(d.Means, ".\n\nSome programs") {
		t.Errorf("paragraphs: %q", d.Means)
	}
}

const good = `---
title: a good page
who: network
base: auth
rank: 1
rank-source: A1
source: A1
---

## Scenario

    client port 25

## Means

It is good.

## Shows

    554 no

## Fix

- network: Mend
  it.

## Confused with

- other: There it is bad.

## Not

- Waiting.
`

func TestProblemsHaveTheirLine(t *testing.T) {
	change := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	for _, tt := range []struct {
		name, text string
		line       int
		part       string
	}{
		{"good", good, 0, ""},
		{"no header", "hello\n", 1, "header"},
		{"header does not end", "---\ntitle: x\n", 3, "does not end"},
		{"unknown key", change("who: network", "woh: network"), 3, `unknown key "woh"`},
		{"a key twice", change("rank: 1", "who: network"), 5, "twice"},
		{"no value", change("title: a good page", "title:"), 2, "key: value"},
		{"unknown party", change("who: network", "who: nobody"), 3, "no party"},
		{"unknown base", change("base: auth", "base: acid"), 4, "no base"},
		{"a rank that is none", change("rank: 1", "rank: first"), 5, "number from 1"},
		{"unknown section", change("## Shows", "## Looks"), 18, "unknown section"},
		{"a section twice", change("## Not", "## Shows"), 31, "twice"},
		{"text before a section", change("## Scenario", "Hello.\n## Scenario"), 10, "before the first section"},
		{"fix without who", change("- network: Mend", "- Mend"), 24, "who: text"},
		{"fix that is prose", change("- network: Mend", "Mend"), 24, "list"},
		{"no scenario", change("    client port 25", "client port 25"), 1, "no scenario"},
		{"no Not", change("- Waiting.", ""), 1, "no section Not"},
		{"title too long", change("a good page", strings.Repeat("long ", 20)), 2, "72 characters"},
		{"unknown source", change("source: A1\n---", "source: A99\n---"), 7, "A99"},
		{"confused with itself", change("- other:", "- page:"), 29, "itself"},
		{"confused with nobody", change("- other:", "- nobody:"), 29, "nobody"},
		{"statement nobody knows", change("client port 25", "client sings"), 12, "client sings"},
		{"a sentence too long", change("It is good.", strings.Repeat("very ", 33)+"good."), 16, "32 words"},
		{"a control character", change("It is good.", "It is \x1b[31mgood."), 16, "control"},
		{"a finding with a scenario", "", 9, "no scenario"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fsys := fstest.MapFS{"page.md": {Data: []byte(tt.text)}}
			if tt.name == "a finding with a scenario" {
				fsys = fstest.MapFS{"findings/page.md": {Data: []byte(change("rank: 1\n", "severity: info\n"))}}
				tt.line = 10
			}
			problems := Lint(fsys, Checks{
				Source: func(k string) bool { return k == "A1" },
				Known:  func(id string) bool { return id == "other" },
				Scenario: func(_ string, s []string) (int, string) {
					if s[0] == "client sings" {
						return 0, "unknown words client sings"
					}
					return -1, ""
				},
			})
			if tt.part == "" {
				if len(problems) > 0 {
					t.Errorf("problems with a good page: %v", problems)
				}
				return
			}
			for _, p := range problems {
				if p.Line == tt.line && strings.Contains(p.Text, tt.part) {
					return
				}
			}
			t.Errorf("no problem in line %d with %q: %v", tt.line, tt.part, problems)
		})
	}
}

func TestOverlay(t *testing.T) {
	docs, problems := Overlay(Pages(), fstest.MapFS{
		"wrong-port.md": {Data: []byte(good)},
		"extra.md":      {Data: []byte(good)},
		"bad.md":        {Data: []byte("no page")},
	})
	if len(problems) == 0 || problems[0].File != "bad.md" {
		t.Errorf("problems: %v", problems)
	}
	if len(docs) != len(Pages())+1 {
		t.Errorf("%d pages, want one more than %d", len(docs), len(Pages()))
	}
	if d, _ := Find(docs, "wrong-port"); d.Title != "a good page" {
		t.Errorf("not put in place: %q", d.Title)
	}
	if d, _ := Page("wrong-port"); d.Title == "a good page" {
		t.Error("the program's own page changed")
	}
}

func TestLimits(t *testing.T) {
	fsys := fstest.MapFS{
		"huge.md":   {Data: []byte(good + strings.Repeat("x", maxPage))},
		"latin.md":  {Data: []byte(strings.Replace(good, "good", "g\xf6\xf6d", 1))},
		"ok.md":     {Data: []byte(strings.ReplaceAll(good, "\n", "\r\n"))},
		"notes.txt": {Data: []byte("no page")},
	}
	docs, problems := Load(fsys)
	if len(docs) != 1 || docs[0].ID != "ok" {
		t.Errorf("read %v", docs)
	}
	if len(problems) != 2 || problems[0].File != "huge.md" || problems[1].File != "latin.md" {
		t.Errorf("problems: %v", problems)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Add("---\n")
	f.Fuzz(func(t *testing.T, text string) {
		d, problems := Parse("page.md", []byte(text))
		if len(problems) == 0 && (d.Title == "" || len(d.Scenarios) == 0 || d.Means == "") {
			t.Errorf("a page without a problem lacks something: %+v", d)
		}
	})
}
