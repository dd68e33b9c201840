package analyze

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// What a test of the catalogue shows in a world: a look reads it there, a try is
// simulated with one thing changed.

// Senders that work in every healthy world, for tries with another sender.
const (
	knownGoodSender   = "bot@customer.example"
	otherDomainSender = "bob@second.example"
)

// sameDomain is a sender of the same domain that works if any of that domain
// does: a stranger's domain has none.
func sameDomain(sender string) string {
	_, domain, ok := strings.Cut(sender, "@")
	own, ownDomain, _ := strings.Cut(knownGoodSender, "@")
	if !ok || domain == ownDomain {
		return knownGoodSender
	}
	return own + "@" + domain
}

// elsewhere is an address that nobody listed.
var elsewhere = netip.MustParseAddr("203.0.113.200")

// roadFault reports whether a fault is of the customer's own network: from
// elsewhere it is gone.
func roadFault(f policy.Fault) bool {
	k, ok := policy.FaultKindOf(f.Name)
	return ok && k.Layer != policy.LayerPolicy && !strings.HasPrefix(k.Name, "downstream-") && k.Name != "cert-expired" && k.Name != "cert-not-yet" && k.Name != "slow"
}

// probeMechanisms are those that a probe offers.
var probeMechanisms = []string{"PLAIN", "LOGIN"}

// change makes the world of a try out of a scenario's.
func (p *TestProbe) change(w *policy.World) *policy.World {
	w = w.Clone()
	c := &w.Client
	if p.Port != 0 {
		c.Port, c.Auth, c.StartTLS, c.Implicit, c.MaxTLS = p.Port, p.Auth, true, false, "1.3"
		c.Route, c.Tester, c.Slow, c.Clock, c.Mechanisms = "relay", "", false, 0, probeMechanisms
	}
	if p.OtherRegion {
		if r, ok := region(c.Host); ok && r == "us1" {
			c.Host = "outbound-eu1.ppe-hosted.com"
		} else {
			c.Host = "outbound-us1.ppe-hosted.com"
		}
	}
	if p.RightName {
		c.Host = "outbound-us1.ppe-hosted.com"
	}
	if p.Elsewhere {
		w.Account.Faults = slices.DeleteFunc(w.Account.Faults, roadFault)
		c.Address = elsewhere
	}
	if p.After > 0 {
		w.Account.Settle(worldTime.Add(p.After), worldTime)
	}
	switch p.Sender {
	case SameSender:
	case KnownGoodSender:
		c.Sender, c.Forwards, c.Sent = sameDomain(c.Sender), "", 0
	case OtherDomainSender:
		c.Sender, c.Forwards, c.Sent = otherDomainSender, "", 0
	}
	return w
}

// try is a test as it was made: handoff's own try stands for the client's where
// the test leaves port and login as they were.
type try struct {
	id string
	as force
}

// tryResult is what a try ends in.
type tryResult struct {
	endings []ending
	words   []string // what it shows
}

// tried simulates a try in a scene and keeps it.
func (s *scene) tried(t *catalogueTest, as force) *tryResult {
	k := try{t.id, as}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.tries[k]; ok {
		return e
	}
	p := *t.probe
	if as.port != 0 && p.Port == 0 {
		p.Port, p.Auth = as.port, as.auth
	}
	r := &tryResult{endings: endings(p.change(s.world), s.base)}
	if p.RightName {
		r.words = yes(r.endings[0].stage == transcript.StageResolve, "it is not found", "it is found")
	} else {
		r.words = []string{tryWords(r.endings)}
	}
	if s.tries == nil {
		s.tries = map[try]*tryResult{}
	}
	s.tries[k] = r
	return r
}

// predictsTry reports whether a try that ended so is what the scene predicts.
func (s *scene) predictsTry(t *catalogueTest, q *question) bool {
	return len(fitting(s.tried(t, forceOf(q)).endings, q)) > 0
}

// show is what a test shows in one world; none: anything may be shown there.
func (d *Diagnosis) show(t *catalogueTest, s *scene) []string {
	return d.aged(t, t.show(s, d.ends(s)))
}

// aged leaves out of what a test shows since when it is so, where that was told.
func (d *Diagnosis) aged(t *catalogueTest, words []string) []string {
	if t.age == nil || !slices.ContainsFunc(d.qs, func(q question) bool { return t.age(&q) != transcript.Unknown }) {
		return words
	}
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = strings.TrimSuffix(w, notYetAnHour)
	}
	return out
}

// ends are the endings of a world that are what was seen.
func (d *Diagnosis) ends(s *scene) []*ending {
	var es []*ending
	for i := range d.qs {
		es = append(es, fitting(s.endings, &d.qs[i])...)
	}
	if len(es) == 0 {
		es = []*ending{&s.endings[0]}
	}
	return es
}

func (t *catalogueTest) show(s *scene, es []*ending) []string {
	if t.look != nil {
		return t.look(s.world, es)
	}
	return s.tried(t, force{}).words
}

// reached reports whether an ending is at a stage or behind it.
func reached(es []*ending, stage transcript.Stage) bool {
	return slices.ContainsFunc(es, func(e *ending) bool { return e.stage.Order() >= stage.Order() })
}

// tryWords are what a try shows, in a few words: those of a client which goes on
// as far as it gets.
func tryWords(es []ending) string {
	furthest := &es[0]
	for i := range es {
		if es[i].success || !furthest.success && es[i].stage.Order() > furthest.stage.Order() {
			furthest = &es[i]
		}
	}
	return endWords(furthest)
}

// endWords say how a road ended, in a few words without any address.
func endWords(e *ending) string {
	switch {
	case e.success:
		return "it is accepted"
	case e.place == placeLater:
		return "it is accepted, and refused later"
	case e.place == placeOther, e.place == placeOwn:
		return "another server answers"
	case e.text != "":
		return plainReply(e.text)
	case e.tls != "" && problemWords[e.tls] != "":
		return problemWords[e.tls]
	case e.fault != transcript.FaultNone:
		return fmt.Sprintf("%s (%s)", faultWords[e.fault], e.stage)
	}
	return e.why
}

// plainReply leaves out of a reply what is another in every mail: addresses and
// host names.
func plainReply(text string) string {
	var out []string
	for _, w := range strings.Fields(text) {
		bare := strings.Trim(w, "<>[]:,")
		_, err := netip.ParseAddr(bare)
		switch {
		case err == nil, strings.HasPrefix(w, "<") && strings.Contains(w, ">"), strings.HasSuffix(bare, "."+transcript.RelayDomain):
			if n := len(out); n > 0 && out[n-1] == "from" {
				out = out[:n-1]
			}
			continue
		}
		out = append(out, w)
	}
	return strings.Join(out, " ")
}

// problemWords say what a handshake failed with, as a person would.
var problemWords = map[string]string{
	"not-tls":                    "what comes is no TLS",
	"interrupted":                "the line breaks inside the TLS handshake",
	"protocol-version":           "the two share no version of TLS",
	"certificate-expired":        "the certificate is past its date",
	"certificate-not-yet-valid":  "the certificate's date is still to come",
	"certificate-name-mismatch":  "the certificate is for another name",
	"certificate-unknown-issuer": "the certificate comes from an unknown authority",
}

// faultWords say a fault as a person would.
var faultWords = map[transcript.Fault]string{
	transcript.FaultDNS:         "the name is not found",
	transcript.FaultRefused:     "the connection is refused",
	transcript.FaultTimeout:     "no answer comes",
	transcript.FaultReset:       "the connection is reset",
	transcript.FaultClosed:      "the connection is closed",
	transcript.FaultTLS:         "the TLS handshake fails",
	transcript.FaultCertificate: "the certificate is not trusted",
	transcript.FaultInjection:   "bytes in clear come behind STARTTLS",
	transcript.FaultProtocol:    "what comes is no reply",
	transcript.FaultLimit:       "too much comes",
}
