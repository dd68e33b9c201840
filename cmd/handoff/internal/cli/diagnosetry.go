package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe/relay"
	"github.com/smtp-handoff/handoff/probe/resolve"
)

// The tests of the catalogue that handoff makes by itself: those that deliver
// nothing, send no credential to another host and lock nobody out.

// ours is the best test of the plan that can be made from here, and what makes
// it.
func (s *diagnosis) ours(d *analyze.Diagnosis) (t analyze.CatalogueTest, run func(context.Context) bool, ok bool) {
	if s.job == nil {
		return t, nil, false
	}
	for _, t := range d.Plan() {
		if run, _ := s.way(d, t); run != nil {
			return t, run, true
		}
	}
	return t, nil, false
}

// way is what makes a test from here; nil: it cannot be made, and why not.
func (s *diagnosis) way(d *analyze.Diagnosis, t analyze.CatalogueTest) (run func(context.Context) bool, why string) {
	switch {
	case t.ID == "look-mx":
		domain := s.foreignDomain()
		if domain == "" {
			return nil, "the refused recipient is not known, or no name server is"
		}
		return func(ctx context.Context) bool { return s.lookMX(ctx, d, t, domain) }, ""
	case t.Probe == nil:
		return nil, "it is something to look at: somebody has to tell what it shows"
	case t.Probe.RightName:
		return func(ctx context.Context) bool { return s.lookName(ctx, d, t) }, ""
	}
	j, why := s.trial(t.Probe)
	if why != "" {
		return nil, why
	}
	return func(ctx context.Context) bool { return s.try(ctx, d, t, j) }, ""
}

// trial is the job that makes a try, if it is harmless and possible from here:
// not another host with the credential, not another network, not in an hour.
// Else it is nil, and why says what is missing.
func (s *diagnosis) trial(t *analyze.TestProbe) (_ *job, why string) {
	switch {
	case t.Elsewhere:
		return nil, "it needs another network than this one"
	case t.After > 0:
		return nil, "it is for later: the same probe again, then take it in"
	}
	j := *s.job
	j.noSurvey = true
	port, auth := t.Port, t.Auth
	if port == 0 {
		port = s.failing()
		auth = port == relay.PortAuth
	}
	if port != relay.PortServer && port != relay.PortAuth {
		return nil, "it was another port than 25 and 587"
	}
	if t.OtherRegion {
		other := otherRegion(j.target.Host)
		if auth || other == "" || len(j.target.Connect) > 0 || s.job.inProcess {
			return nil, "a credential goes to no other host by itself, and only the published hosts have another region"
		}
		j.target.Host = other
	}
	switch {
	case !auth:
	case j.plan.Credential == nil:
		return nil, "it needs user name and password"
	case s.refused:
		return nil, "the login was refused once, and is not tried again: that could lock it out"
	case s.logins >= maxLogins:
		return nil, "the login was tried often enough: more could lock it out"
	}
	switch from, ok := s.sender(t.Sender); {
	case !ok:
		return nil, "it needs sender and recipient, and another sender that is known to work"
	case from != "":
		j.plan.From = []string{from}
	}
	j.target.Ports = []int{port}
	connect := map[int]string{}
	if a := s.job.target.Connect[port]; a != "" {
		connect[port] = a
	}
	j.target.Connect = connect
	j.intent = analyze.IntentAuth
	if !auth {
		j.plan.Credential = nil
		j.intent = analyze.IntentServer
	}
	return &j, ""
}

// sender is the envelope sender of a try: empty where it stays. It reports false
// where none is known.
func (s *diagnosis) sender(which analyze.TrySender) (string, bool) {
	if which == analyze.SameSender {
		return "", true
	}
	plan := &s.job.plan
	if len(plan.From) == 0 || len(plan.To) == 0 {
		return "", false
	}
	was := plan.From[0]
	for _, k := range s.senders() {
		if !plainAddress(k) || strings.EqualFold(k, was) {
			continue
		}
		if sameDomain(k, was) == (which == analyze.KnownGoodSender) {
			return k, true
		}
	}
	return "", false
}

// senders are those that are known to send, and the login's own name: a user of
// that name should exist (article A19).
func (s *diagnosis) senders() []string {
	if c := s.job.plan.Credential; c != nil && !slices.Contains(s.known, c.Username()) {
		return append(slices.Clone(s.known), c.Username())
	}
	return s.known
}

func sameDomain(a, b string) bool {
	_, x, _ := strings.Cut(a, "@")
	_, y, _ := strings.Cut(b, "@")
	return x != "" && strings.EqualFold(x, y)
}

// otherRegion is the published host of the other region; empty for any other
// host.
func otherRegion(host string) string {
	regions := []string{"outbound-us1." + transcript.RelayDomain, "outbound-eu1." + transcript.RelayDomain}
	i := slices.IndexFunc(regions, func(r string) bool { return strings.EqualFold(r, strings.TrimSuffix(host, ".")) })
	if i < 0 {
		return ""
	}
	return regions[1-i]
}

// try makes a try and tells the diagnosis what it ended in.
func (s *diagnosis) try(ctx context.Context, d *analyze.Diagnosis, t analyze.CatalogueTest, j *job) bool {
	what := t.ID
	if len(j.plan.From) > 0 && t.Probe.Sender != analyze.SameSender {
		what += " with " + j.plan.From[0]
	}
	s.say("trying %s", what)
	rep, res, err := s.p.runJob(ctx, j)
	if err != nil {
		return false
	}
	s.count(rep)
	seen := s.observe(j, analyze.ObserveProbe(judged(j, res), s.options))
	if len(seen) == 0 || seen[0].Verdict == analyze.InsufficientEvidence {
		return false
	}
	if s.made != nil {
		s.made(rep, res, seen[0])
	}
	shown := shownBy(rep)
	if len(j.plan.From) > 0 && t.Probe.Sender != analyze.SameSender {
		shown = j.plan.From[0] + ": " + shown
	}
	nothing := func(why string) bool {
		e := d.Explanation()
		s.record.Tried = append(s.record.Tried, analyze.TriedTest{Test: t.ID, Do: t.Do, By: "handoff", Shown: shown + ", " + why, Before: len(e.Sets), After: len(e.Sets)})
		return false
	}
	if t.Probe.Sender != analyze.SameSender && seen[0].Verdict != analyze.Ready && !slices.Contains(s.known, j.plan.From[0]) {
		return nothing("and that user may be missing too")
	}
	if !s.observed(d, t, seen[0], shown) {
		return nothing("which no explanation that is left predicts")
	}
	return true
}

// observed tells the diagnosis what a try of our own saw, in words for the
// record; false: nothing that is left predicts it.
func (s *diagnosis) observed(d *analyze.Diagnosis, t analyze.CatalogueTest, o analyze.Observation, shown string) bool {
	if d.Observe(t.ID, o) != nil {
		return false
	}
	s.noteStep(d, t, "handoff")
	s.record.Tried[len(s.record.Tried)-1].Shown = shown
	return true
}

// lookPatience is how long a name may take to look up.
const lookPatience = 10 * time.Second

// lookName looks the published name of the relay up.
func (s *diagnosis) lookName(ctx context.Context, d *analyze.Diagnosis, t analyze.CatalogueTest) bool {
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	shown := "it is found"
	if addrs, err := s.job.options.Resolver.LookupNetIP(ctx, "ip", "outbound-us1."+transcript.RelayDomain+"."); err != nil || len(addrs) == 0 {
		shown = "it is not found"
	}
	return s.looked(d, t, shown)
}

// foreignDomain is the domain of the refused recipient, where its mail exchanger
// can be asked for.
func (s *diagnosis) foreignDomain() string {
	if s.job.names == nil {
		return ""
	}
	for i := range s.obs {
		if _, domain, ok := strings.Cut(s.obs[i].Recipient, "@"); ok && plainAddress(s.obs[i].Recipient) && !reserved(domain) {
			return domain
		}
	}
	return ""
}

// lookMX asks whether the refused recipient's mail is meant for the relay.
func (s *diagnosis) lookMX(ctx context.Context, d *analyze.Diagnosis, t analyze.CatalogueTest, domain string) bool {
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	a := s.job.names.client.Query(ctx, domain, resolve.MX)
	switch a.Rcode {
	case resolve.NoError, resolve.NoData, resolve.NXDomain:
	default:
		return false // the name service did not say
	}
	shown := "it does not"
	for _, r := range a.Records {
		if transcript.HostIsUnderAny(strings.TrimSuffix(r.Host, "."), append([]string{transcript.RelayDomain}, s.options.RelayDomains...)) {
			shown = "it does"
		}
	}
	return s.looked(d, t, shown)
}

func (s *diagnosis) looked(d *analyze.Diagnosis, t analyze.CatalogueTest, shown string) bool {
	if d.Answer(t.ID, shown) != nil {
		return false
	}
	s.noteStep(d, t, "handoff")
	return true
}
