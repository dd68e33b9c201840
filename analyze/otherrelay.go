package analyze

import (
	"slices"
	"strings"
	"sync"

	"github.com/smtp-handoff/handoff/analyze/causes"
	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// A relay that is not the service: its hosts are under a domain that the user
// named (Options.RelayDomains). What its replies mean, the words of RFC and
// Postfix say; where its settings are, and what its hosts are called, nobody
// told us. So nothing that is said of it names the service's hosts, regions or
// console pages.

// speaksOfOther reports whether what these hosts tell is of such a relay: the
// user named one, and the service's own names are not among the hosts. Where no
// host is named, the user's word stands.
func (o *Options) speaksOfOther(hosts ...string) bool {
	if !slices.ContainsFunc(o.RelayDomains, func(d string) bool { return d != "" && !transcript.HostIsUnder(d, transcript.RelayDomain) }) {
		return false
	}
	return !slices.ContainsFunc(hosts, func(h string) bool {
		return h != "" && (transcript.HostIsUnder(h, transcript.RelayDomain) || transcript.Lookalike(h, defaultDomains))
	})
}

// other reports whether the judgement is of another relay than the service.
func (g *judgement) other(o *Options) bool {
	if len(o.RelayDomains) == 0 {
		return false
	}
	hosts := []string{g.out.RefusedBy, g.out.ReportedBy, g.out.Target, g.obs.Host}
	if g.cs != nil {
		for i := range g.cs.Mentions {
			if len(hosts) == maxLookedAt {
				break
			}
			hosts = append(hosts, g.cs.Mentions[i].Host)
		}
	}
	return o.speaksOfOther(hosts...)
}

// allOther reports whether all judgements are of such relays.
func allOther(all []judgement, o *Options) bool {
	for i := range all {
		if !all[i].other(o) {
			return false
		}
	}
	return o.speaksOfOther()
}

// relayWords are what stands for the service's own words where another relay is
// spoken of, by the id of a cause, a finding or a test.
type relayWords struct{ id, text string }

func wordsOf(list []relayWords, id string) (string, bool) {
	for i := range list {
		if list[i].id == id {
			return list[i].text, true
		}
	}
	return "", false
}

// serviceCauses are the causes that only the service has.
var serviceCauses = []string{"wrong-region"}

var otherRelayFixes = []relayWords{
	{"certificate-name-mismatch", "Enter the name that the relay's operator published, no alias and no address."},
	{"credential-unknown", "Enter the user name as the relay's operator gave it, letter by letter."},
	{"credential-not-live", "Wait until the relay knows the new login, then repeat exactly the same login. Change nothing before that."},
	{"credential-user-missing", "Have the relay's operator allow the login's own name as a sender."},
	{"domain-not-live", "Wait until the relay knows the change, then repeat."},
	{"force-auth", "Move the sending system to port 587 with STARTTLS and SMTP AUTH."},
	{"ip-blocked", "Find and stop the source of spam behind this address. Then ask the relay's operator to lift the block."},
	{"outbound-relay-off", "Have the relay's operator allow outgoing mail of the domain."},
	{"rate-limited", "Wait until the relay lifts the limit by itself. Ask its operator for another limit if the amount is normal for you."},
	{"recipient-marked-invalid", "Have the recipient's address made valid at the relay again."},
	{"recipient-unknown-at-relay", "Register the recipient at the relay."},
	{"relay-busy", "Nothing to change: let the queue retry. Report it to the relay's operator if it stays for hours."},
	{"sasl-unavailable", "Retry in some minutes. Report it to the relay's operator if it stays."},
	{"sender-domain-inactive", "Have the domain verified and switched on at the relay."},
	{"sender-domain-not-registered", "Have the sender's domain registered at the relay, or send with a domain that is."},
	{"sender-marked-invalid", "Have the sender's address made valid at the relay again."},
	{"sender-not-registered", "Have the sender's address registered at the relay, or send with one that is."},
	{"sender-spf-missing", "Add the relay's own SPF name, as its operator published it, to the one SPF record of the sender domain."},
	{"sending-server-not-listed", "Have the public address of the sending system listed at the relay, or log in on port 587."},
	{"shared-ip-spoofable", "Let the relay take mail with a login only, and no address without one."},
	{"slow-server", "Report the times of each step to the relay's operator if they stay long."},
	{"smarthost-typo", "Enter the name of the relay's host as its operator published it, letter by letter. Try it with a dot at the end."},
	{"starttls-unavailable", "Retry in some minutes. Report it to the relay's operator if it stays."},
	{"user-not-live", "Wait until the relay knows the new sender, then repeat."},
	{"certificate-expired", "Check your own clock first. If it is right and the issuer is a public authority, report the date to the relay's operator."},
}

var otherRelayTests = []relayWords{
	{"look-users", "ask at the relay, or look in its settings, whether the sender's address is registered, and since when"},
	{"look-credentials", "ask at the relay, or look in its settings, whether there is a login with this user name, and since when"},
	{"look-domain", "ask at the relay, or look in its settings, whether the sender's domain is registered and switched on, and since when"},
	{"look-force-auth", "ask at the relay, or look in its settings, whether the sender's domain must log in"},
	{"look-sending-servers", "ask at the relay, or look in its settings, whether the public address of the sending system is listed, and since when"},
	{"resolve-right-name", "look up the host name that the relay's operator published, from the sending system"},
	{"repeat-in-an-hour", "change nothing and repeat it when the last change is an hour old"},
}

// otherRelayFindings replace the first paragraph of a finding's page.
var otherRelayFindings = []relayWords{
	{findingRelayDenied, "The relay was reached and will not pass this mail on: it does not take mail of this sender, from this address or without a login."},
	{findingBanner, "A name in a greeting is a claim. The certificate and the dialled name are what counts."},
	{findingLookalike, "Only the last labels of a name count. Letters of other alphabets can look alike too."},
	{findingOpenRelay, "Whoever reaches the relay from this address can send in your name. The customer meant SMTP AUTH, so this door should be closed."},
	{findingNoStartTLS, "The relay offers no STARTTLS here. Either it has none on this port, or something on the way took it out."},
	{findingAuthVanished, "The relay offers no login after STARTTLS. So nobody can log in at this host and port."},
	{findingAuthInClear, "A client that takes the offer sends the password in clear text."},
	{"tls-old", "TLS 1.0 and 1.1 are given up (RFC 8996). A server that still takes them is an old one, or something on the way speaks in its place."},
	{findingHELOOnly, "Without EHLO there is neither STARTTLS nor a login."},
}

// otherRelayPhrases are the service's words inside sentences. Longer ones come
// before their parts.
var otherRelayPhrases = strings.NewReplacer(
	"is not among the Sending Servers", "is not listed at the relay",
	"is among the Sending Servers", "is listed at the relay",
	"Take the address out of Sending Servers, or switch Force SMTP AUTH on for the domain.", "Let the relay take mail of this address with a login only.",
	"under Sending Servers", "at the relay",
	"Sending Servers", "listed addresses",
	"the sender's domain forces SMTP AUTH", "the sender's domain must log in",
	"Force SMTP AUTH", "login required",
	" or switches SMTP Discovery on", "",
	" and SMTP Discovery is off", "",
	" and Discovery is off", "",
	", and Discovery is off", "",
	"SMTP Discovery", "automatic registration",
	"stands on the Marked invalid list", "is marked as invalid",
	"takes the address off Marked invalid, creates the user and waits", "makes the address valid again",
	"take the sender off Marked invalid, then create the user and wait 30 to 40 minutes", "have the sender's address made valid again",
	"outbound-us1."+transcript.RelayDomain+" or outbound-eu1."+transcript.RelayDomain, "the relay's published name",
	"include:_spf-us."+transcript.RelayDomain+" or include:_spf-eu."+transcript.RelayDomain, "the relay's own SPF name",
	"_spf-us."+transcript.RelayDomain+" or _spf-eu."+transcript.RelayDomain, "the relay's own SPF name",
	"a mechanism the service does not offer", "a mechanism the relay does not offer",
	"a dialect of the service that nobody has confirmed", "a dialect that nobody has confirmed",
)

// otherRelaySource leaves the service's own pages and the article, which is
// about the service, out of sources.
func otherRelaySource(keys []string) string {
	kept := slices.DeleteFunc(slices.Clone(keys), func(k string) bool {
		_, page := policy.Source(k)
		return page && !strings.HasPrefix(k, "MS-") && !strings.HasPrefix(k, "postfix") && k != "headers" && k != "assumed"
	})
	if len(kept) == 0 {
		return "handoff"
	}
	return sourceText(kept)
}

// otherRelay is the explainer for relays that are not the service: the same
// worlds, without what only the service has.
type otherRelay struct {
	once sync.Once
	x    *Explainer
}

func (x *Explainer) forOther() *Explainer {
	x.elsewhere.once.Do(func() {
		n := &Explainer{known: map[question]Explanation{}, scenes: map[sceneKey][]*scene{}, findings: x.findings, other: true}
		for _, c := range x.causes {
			if slices.Contains(serviceCauses, c.doc.ID) {
				continue
			}
			s := *c
			s.other = true
			s.source = otherRelaySource(c.doc.Sources)
			own, ok := causes.Page(c.doc.ID)
			if text, known := wordsOf(otherRelayFixes, c.doc.ID); known && ok && firstFix(&own) == c.fix {
				s.fix = text // a page of the user's folder keeps its own
			}
			s.scenes = nil
			for _, sc := range c.scenes {
				s.scenes = append(s.scenes, &scene{suspects: []*suspect{&s}, base: sc.base, parts: sc.parts, world: sc.world, endings: sc.endings, profiles: sc.profiles})
			}
			n.causes = append(n.causes, &s)
		}
		x.elsewhere.x = n
	})
	return x.elsewhere.x
}

// explainerFor is the explainer for what is said of hosts.
func (o *Options) explainerFor(other bool) *Explainer {
	x := o.explainer()
	if other {
		return x.forOther()
	}
	return x
}

// explainerOf is the explainer for observations.
func (o *Options) explainerOf(obs []Observation) *Explainer {
	hosts := make([]string, len(obs))
	for i := range obs {
		hosts[i] = obs[i].Host
	}
	return o.explainerFor(o.speaksOfOther(hosts...))
}

// sayOther takes the service's words out of a report on another relay.
func (r *Report) sayOther() {
	r.Verdict.Headline = otherRelayPhrases.Replace(r.Verdict.Headline)
	r.Verdict.Next = otherRelayPhrases.Replace(r.Verdict.Next)
	for i := range r.NextTests {
		r.NextTests[i].Do = otherRelayPhrases.Replace(r.NextTests[i].Do)
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		own, ok := findingPages()[f.ID]
		if !ok {
			continue
		}
		if text, known := wordsOf(otherRelayFindings, f.ID); known && f.Why == own.Why {
			f.Why = text
		}
		f.Why = otherRelayPhrases.Replace(f.Why)
		f.Fix = slices.Clone(f.Fix)
		for k := range f.Fix {
			f.Fix[k].Text = otherRelayPhrases.Replace(f.Fix[k].Text)
		}
		if slices.Equal(f.Not, own.Not) {
			f.Not = nil // said of the service
		}
		f.Source = otherRelaySourceText(f.Source)
	}
}

// otherRelaySourceText does to a written list of sources what otherRelaySource
// does to its keys.
func otherRelaySourceText(text string) string {
	if d := strings.Split(text, "; "); len(d) > 0 {
		kept := slices.DeleteFunc(d, func(s string) bool {
			return strings.HasPrefix(s, "article ") || strings.Contains(s, "proofpoint") || strings.Contains(s, "Proofpoint") || strings.HasPrefix(s, "wiki.hbscloudservices") || strings.HasPrefix(s, "excelmicro") || strings.HasPrefix(s, "spambrella") || strings.HasPrefix(s, "GoDaddy")
		})
		if len(kept) > 0 {
			return strings.Join(kept, "; ")
		}
	}
	return "handoff"
}
