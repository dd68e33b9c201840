package analyze

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/smtp-handoff/handoff/analyze/causes"
	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

func TestNextTestsSplitWhatIsLeft(t *testing.T) {
	for _, o := range []Observation{
		{Verdict: Refused, Stage: "envelope", Reply: replied(rad)},
		{Verdict: Refused, Stage: "envelope", Reply: replied(rad), Port: 25},
		loggedIn(rad),
		{Verdict: Refused, Stage: "auth", Reply: replied("535 5.7.8 Error: authentication failed: authentication failure")},
	} {
		obs := []Observation{o}
		e := Explain(obs, Facts{})
		tests := NextTests(e, obs, Facts{})
		if len(tests) == 0 {
			t.Errorf("%d causes and no test", len(e.Sets))
			continue
		}
		for _, n := range tests {
			if n.ID == "" || n.Do == "" || n.Who == "" || n.Cost == "" {
				t.Errorf("a test lacks something: %+v", n)
			}
			if len(n.Shows) < 2 || len(n.Separates) == 0 {
				t.Errorf("%s splits nothing: %+v", n.ID, n)
			}
			// Every cause that is left is shown by something.
			for _, id := range e.IDs() {
				if !slices.ContainsFunc(n.Shows, func(s Showing) bool { return slices.Contains(s.Causes, id) }) {
					t.Errorf("%s: nothing is shown under %s", n.ID, id)
				}
			}
		}
	}
	one := []Observation{{Verdict: Deferred, Stage: "greet", Reply: replied("421 4.3.2 All screening ports are busy")}}
	if tests := NextTests(Explain(one, Facts{}), one, Facts{}); len(tests) != 0 {
		t.Errorf("a single cause, and a test is proposed: %v", tests)
	}
}

// TestProbe587TellsPortAndSenderApart is the contract's example.
func TestProbe587TellsPortAndSenderApart(t *testing.T) {
	obs := []Observation{{Verdict: Refused, Stage: "envelope", Reply: replied(rad), Via: "postfix-dsn", Sender: "alice@customer.example"}}
	d := NewDiagnosis(obs, Facts{})
	i := slices.IndexFunc(d.Plan(), func(c CatalogueTest) bool { return c.ID == "probe-587" })
	if i < 0 {
		t.Fatal("probe-587 is not proposed")
	}
	p := d.Plan()[i]
	if p.Probe == nil || p.Probe.Port != 587 || !p.Probe.Auth {
		t.Errorf("probe-587 is to try %+v", p.Probe)
	}
	for _, want := range []struct{ show, cause string }{
		{"it is accepted", "wrong-port"},
		{"it is accepted", "sending-server-not-listed"},
		{"554 5.7.1 Relay access denied", "sender-not-registered"},
		{"554 5.7.1 Relay access denied", "outbound-relay-off"},
	} {
		k := slices.IndexFunc(p.Shows, func(s Showing) bool { return s.Show == want.show })
		if k < 0 || !slices.Contains(p.Shows[k].Causes, want.cause) {
			t.Errorf("probe-587 does not show %q under %s: %+v", want.show, want.cause, p.Shows)
		}
	}
}

func TestRepeatingNamesTheClockTime(t *testing.T) {
	at := time.Date(2026, 11, 23, 7, 40, 0, 0, time.UTC)
	obs := []Observation{{Verdict: Refused, Stage: "auth", When: at, Reply: replied("535 5.7.8 Error: authentication failed: authentication failure")}}
	for _, tt := range []struct {
		facts Facts
		want  string
	}{
		{Facts{}, "from 08:40 on 2026-11-23 on"},
		{Facts{CredentialAge: 20 * time.Minute}, "from 08:20 on 2026-11-23 on"},
	} {
		d := NewDiagnosis(obs, tt.facts)
		i := slices.IndexFunc(d.Plan(), func(c CatalogueTest) bool { return c.ID == "repeat-in-an-hour" })
		if i < 0 {
			t.Fatal("to wait is not proposed")
		}
		if do := d.Plan()[i].Do; !strings.Contains(do, tt.want) {
			t.Errorf("%q does not say %q", do, tt.want)
		}
	}
}

func TestDiagnosisNarrowsDown(t *testing.T) {
	obs := []Observation{{Verdict: Refused, Stage: "envelope", Reply: replied(rad), Via: "postfix-dsn", Sender: "alice@customer.example"}}
	d := NewDiagnosis(obs, Facts{})
	before := len(d.Explanation().Sets)
	if err := d.Answer("no-such-test", "x"); err == nil {
		t.Error("an unknown test is taken")
	}
	if err := d.Answer("read-port", "port 9"); err == nil || len(d.Explanation().Sets) != before {
		t.Error("an answer that nobody predicts is taken")
	}
	if err := d.Answer("read-port", "port 587"); err != nil {
		t.Fatal(err)
	}
	ids := d.names()
	if slices.Contains(ids, "wrong-port") || !slices.Contains(ids, "auth-missing") || len(ids) >= before {
		t.Errorf("on port 587: %v", ids)
	}
	// A probe with the credential: the sender is refused behind 235.
	if err := d.Observe("probe-587", loggedIn(rad)); err != nil {
		t.Fatal(err)
	}
	ids = d.names()
	if slices.Contains(ids, "auth-missing") || !slices.Contains(ids, "sender-not-registered") {
		t.Errorf("after the probe: %v", ids)
	}
	if err := d.Skip("look-domain"); err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(d.Plan(), func(c CatalogueTest) bool { return c.ID == "look-domain" || c.ID == "probe-587" }) {
		t.Error("a test that was done or left out is proposed again")
	}
	// Another sender of the domain passes: it is this address.
	ready := loggedIn(rad).with(func(o *Observation) { o.Verdict, o.Reply, o.Sender = Ready, transcript.Reply{}, "bot@customer.example" })
	if err := d.Observe("probe-known-sender", ready); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"outbound-relay-off", "sender-domain-inactive", "domain-not-live"} {
		if slices.Contains(d.names(), id) {
			t.Errorf("another sender passes, and %s is left: %v", id, d.names())
		}
	}
	if err := d.Answer("look-users", "it is there, for less than an hour"); err != nil {
		t.Fatal(err)
	}
	if got := d.names(); !slices.Equal(got, []string{"user-not-live"}) {
		t.Errorf("left: %v", got)
	}
	if _, ok := d.Next(); ok {
		t.Error("one cause is left, and a test is proposed")
	}
	if n := len(d.Steps()); n != 5 {
		t.Errorf("%d steps are remembered, want 5: %+v", n, d.Steps())
	}
	if err := d.Observe("look-users", ready); err == nil {
		t.Error("a look is taken for a try")
	}
}

func TestCatalogueIsComplete(t *testing.T) {
	seen := map[string]bool{}
	for i, c := range Catalogue() {
		if seen[c.ID] {
			t.Errorf("%s twice", c.ID)
		}
		seen[c.ID] = true
		if (c.Probe == nil) == (catalogue[i].look == nil) {
			t.Errorf("%s is neither a look nor a try, or both", c.ID)
		}
		if c.Do == "" || c.Cost == "" || catalogue[i].price < 1 {
			t.Errorf("%s says too little", c.ID)
		}
	}
}

func TestFactsAreTold(t *testing.T) {
	var f Facts
	for _, s := range []string{"intent=auth", "credential-age=20m", "user-age=48h", "domain-age=90m", "forwarded=yes", "listed=no", "registered=no", "registered=unknown", "our-domain=Customer.example."} {
		if err := f.Set(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	want := Facts{
		Intent: IntentAuth, CredentialAge: 20 * time.Minute, UserAge: 48 * time.Hour, DomainAge: 90 * time.Minute,
		Forwarded: transcript.Yes, Listed: transcript.No, OurDomains: []string{"customer.example"},
	}
	if f.Intent != want.Intent || f.CredentialAge != want.CredentialAge || f.UserAge != want.UserAge || f.DomainAge != want.DomainAge ||
		f.Forwarded != want.Forwarded || f.Listed != want.Listed || f.Registered != want.Registered || !slices.Equal(f.OurDomains, want.OurDomains) {
		t.Errorf("%+v, want %+v", f, want)
	}
	for _, tt := range []struct{ fact, hint string }{
		{"colour=red", "one of intent, credential-age"},
		{"intent", "intent=auth|server|both"},
		{"intent=maybe", "auth, server, both"},
		{"credential-age=old", "20m or 48h"},
		{"credential-age=-5m", "20m or 48h"},
		{"listed=perhaps", "neither yes nor no"},
		{"our-domain=a b", "is no domain"},
	} {
		g := f
		if err := g.Set(tt.fact); err == nil || !strings.Contains(err.Error(), tt.hint) {
			t.Errorf("%s: %v, want a hint with %q", tt.fact, err, tt.hint)
		}
	}
	if len(FactKinds()) != len(factKinds) {
		t.Error("facts are missing in the list")
	}
}

func TestLintOfScenarios(t *testing.T) {
	page := func(scenario string) fstest.MapFS {
		d, _ := causes.Page("wrong-port")
		text := "---\ntitle: " + d.Title + "\nwho: sender-system\nbase: auth\nrank: 1\nrank-source: A13\nsource: A13\n---\n\n## Scenario\n\n    " + scenario +
			"\n\n## Means\n\nX.\n\n## Shows\n\n    554 no\n\n## Fix\n\n- network: Y.\n\n## Confused with\n\n- force-auth: Z.\n\n## Not\n\n- Q.\n"
		return fstest.MapFS{"extra.md": {Data: []byte(text)}}
	}
	for _, tt := range []struct{ scenario, part string }{
		{"client port 25", ""},
		{"client colour red", "unknown word"},
		{"client port 587", "changes nothing on base auth"},
		{"clock +49h", "less than 48h"},
		{"fault set gremlins", "no fault"},
	} {
		problems := LintCauses(page(tt.scenario))
		if tt.part == "" {
			if len(problems) > 0 {
				t.Errorf("%s: %v", tt.scenario, problems)
			}
			continue
		}
		if len(problems) != 1 || !strings.Contains(problems[0].Text, tt.part) {
			t.Errorf("%s: %v, want one with %q", tt.scenario, problems, tt.part)
			continue
		}
		if p := problems[0]; p.File != "extra.md" || p.Line < 10 || p.Line > 12 {
			t.Errorf("%s: reported at %s:%d", tt.scenario, p.File, p.Line)
		}
	}
	// A page of a folder joins the diagnosis.
	x, problems := WithCauses(page("client port 25"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	e := x.Explain([]Observation{{Verdict: Refused, Stage: "envelope", Port: 25, Reply: replied(rad)}}, Facts{Intent: IntentAuth})
	if !slices.Contains(e.IDs(), "extra") || !slices.Contains(e.IDs(), "wrong-port") {
		t.Errorf("with a page of one's own: %v", e.IDs())
	}
	text := "<bob@recipient.example>: host outbound-us1.ppe-hosted.com[192.0.2.10]:25 said: 554 5.7.1 <bob@recipient.example>: Relay access denied (in reply to RCPT TO command)\n"
	r := Analyze([]byte("This is the mail system at host mail.customer.example.\n\n"+text), Options{Explainer: x})
	if len(r.Outcomes) != 1 || !slices.ContainsFunc(r.Outcomes[0].Causes, func(c Cause) bool { return c.ID == "extra" }) {
		t.Errorf("a report with a page of one's own: %+v", r.Outcomes)
	}
	if _, problems := WithCauses(page("client colour red")); len(problems) == 0 {
		t.Error("a scenario that cannot be carried out is no problem")
	}
}

func TestObserveTextAndProbe(t *testing.T) {
	text := "This is the mail system at host mail.customer.example.\n\n" +
		"<bob@recipient.example>: host outbound-us1.ppe-hosted.com[192.0.2.10] said: 554 5.7.1 <bob@recipient.example>: Relay access denied (in reply to RCPT TO command)\n"
	obs := ObserveText([]byte(text), Options{})
	if len(obs) != 1 || obs[0].Verdict != Refused || obs[0].Kind != transcript.KindRelayDenied {
		t.Fatalf("observed %+v", obs)
	}
	r := Analyze([]byte(text), Options{})
	if e := Explain(obs, Facts{}); !slices.Equal(e.Causes(), r.Outcomes[0].Causes) {
		t.Errorf("other causes than the report's: %v", e.IDs())
	}
	// The same through the report's JSON.
	back := ObserveText(r.AppendJSON(nil), Options{})
	if len(back) != 1 || back[0].Kind != transcript.KindRelayDenied || back[0].Host != "outbound-us1.ppe-hosted.com" {
		t.Errorf("observed in the report %+v", back)
	}
	p := Probe{Target: "outbound-us1.ppe-hosted.com", Sessions: []transcript.Session{{
		Server: "outbound-us1.ppe-hosted.com", Port: 587,
		Exchanges: []transcript.Exchange{{Stage: transcript.StageConnect, Fault: transcript.FaultTimeout}},
	}}}
	if obs := ObserveProbe(p, Options{}); len(obs) != 1 || obs[0].Verdict != Unreachable || !slices.Equal(idsOf(obs), []string{"port-587-blocked"}) {
		t.Errorf("observed of a probe %+v: %v", obs, idsOf(obs))
	}
}

func idsOf(obs []Observation) []string {
	e := Explain(obs, Facts{})
	return e.IDs()
}

// TestWorldsSpeakAsTheTable: what a simulated road ends in is what the table
// says to the same commands.
func TestWorldsSpeakAsTheTable(t *testing.T) {
	for _, c := range builtinExplainer().causes {
		for _, s := range c.scenes {
			for i := range s.endings {
				e := &s.endings[i]
				if e.rule == "" || e.code == 0 {
					continue
				}
				ok := slices.ContainsFunc(policy.Rules(e.rule), func(r policy.Row) bool {
					return r.Reply.Code == e.code || slices.ContainsFunc(r.Variants, func(v policy.Variant) bool { return v.Reply.Code == e.code })
				})
				if !ok {
					t.Errorf("%s: rule %s does not answer %q", c.doc.ID, e.rule, e.text)
				}
			}
		}
	}
}

func BenchmarkNextTests(b *testing.B) {
	o := []Observation{{Verdict: Refused, Stage: "envelope", Reply: replied(rad)}}
	e := Explain(o, Facts{})
	b.ReportAllocs()
	for b.Loop() {
		if len(NextTests(e, o, Facts{})) == 0 {
			b.Fatal("no test")
		}
	}
}

// BenchmarkDiagnosis narrows every single fault and pairs of them down, and
// prints how large the answer is on average before and after the proposed tests.
func BenchmarkDiagnosis(b *testing.B) {
	x := builtinExplainer()
	run := func(b *testing.B, each func(ask func(*scene, ...Observation))) {
		before, after, tests, n := 0, 0, 0, 0
		for b.Loop() {
			each(func(s *scene, obs ...Observation) {
				e := Explain(obs, customer)
				d := newDiagnosis(e, obs, customer)
				before += len(d.sets)
				tests += len(oracle(b, d, s, firstWord))
				after += len(d.sets)
				n++
			})
		}
		b.ReportMetric(mean(before, n), "answers-before")
		b.ReportMetric(mean(after, n), "answers-after")
		b.ReportMetric(mean(tests, n), "tests")
		b.ReportMetric(float64(n)/float64(b.N), "diagnoses")
	}
	b.Run("singles", func(b *testing.B) {
		run(b, func(ask func(*scene, ...Observation)) {
			for _, c := range x.causes {
				for _, s := range c.scenes {
					for k := range s.endings {
						e := &s.endings[k]
						for _, o := range []Observation{seen(e, s.world), reported(e, s.world)} {
							if shown(e, &o) && (!e.success || s.succeeds()) {
								ask(s, o)
							}
						}
					}
				}
			}
		})
	})
	// Of the pairs one base, and those whose report and probe show both faults.
	b.Run("pairs", func(b *testing.B) {
		run(b, func(ask func(*scene, ...Observation)) {
			for i, a := range x.causes {
				for _, c := range x.causes[i+1:] {
					sa, sc := a.on(&bases[0]), c.on(&bases[0])
					if sa == nil || sc == nil {
						continue
					}
					s := x.merged(sa, sc)[0]
					bare := reported(&s.endings[0], s.world)
					if !shown(&s.endings[0], &bare) {
						continue
					}
					obs := []Observation{bare, probed(s, 25, false), probed(s, 587, true)}
					if relation(Explain(obs, customer), a.doc.ID, c.doc.ID, obs) == "both" {
						ask(s, obs...)
					}
				}
			}
		})
	})
}
