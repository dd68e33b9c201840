package analyze

import (
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Ids of the findings that the judge makes. Others come with a probe (names)
// or from the readers' notes.
const (
	findingRelayDenied   = "relay-access-denied"
	findingForeignDenied = "foreign-relay-denied"
	findingOpenRelay     = "open-relay"
	findingSharedIP      = "shared-ip-spoofable"
	findingAuthAccepted  = "auth-accepted"
	findingAuthVanished  = "auth-vanished"
	findingMechanism     = "mechanism-missing"
	findingAuthInClear   = "auth-before-tls"
	findingNoStartTLS    = "starttls-not-offered"
	findingInjection     = "starttls-injection"
	findingInspection    = "smtp-inspection"
	findingCertSoon      = "certificate-expires-soon"
	findingCertProblem   = "certificate-not-trusted"
	findingSlow          = "slow-server"
	findingBanner        = "banner-mismatch"
	findingWrongHost     = "wrong-host"
	findingHELOOnly      = "helo-only"
	findingProtocol      = "protocol-violation"
	findingLimit         = "limit-reached"
	findingAddresses     = "addresses-differ"
	findingPort25Closed  = "port-25-closed"
	findingPartial       = "run-not-finished"
	findingLookalike     = "lookalike-host"
	findingQueueExpired  = "queue-expired"
	findingSecretMasked  = "secret-masked"
	findingCharset       = "charset-unknown"
)

// findingDefs says what each finding means. Titles stay under 73 characters;
// the sources are the support article (A1–A20), its official pages, or RFCs.
var findingDefs = [...]Finding{
	{
		ID: findingRelayDenied, Severity: Error, Title: "the relay refuses to relay",
		Why:    "SMTP AUTH is served on port 587 only; port 25 relays for registered sending servers; the sender has to be known on both",
		Fix:    []Fix{{RelayConfig, "send on port 587 with STARTTLS and AUTH, and have the sender and its domain registered and active", ""}},
		Not:    []string{"the service's message log does not list this refusal"},
		Source: "article A12, A13, A15, A16",
	},
	{
		ID: findingForeignDenied, Severity: Warning, Title: "relaying was denied by a host that is not the relay",
		Why:    "these words belong to every Postfix, and Microsoft has its own; they say nothing about the relay's port or sender checks",
		Fix:    []Fix{{SenderSystem, "route the mail to the relay; it never went there", ""}},
		Not:    []string{"changing the port or the credential of the relay"},
		Source: "article A8",
	},
	{
		ID: findingOpenRelay, Severity: Error, Title: "port 25 takes mail to outside recipients without AUTH",
		Why:    "whoever reaches the relay from this address can send in your name: the address is among the Sending Servers, or the relay is open",
		Fix:    []Fix{{RelayConfig, "take this address out of Sending Servers, or force SMTP AUTH for the domain", ""}},
		Source: "article A10, A11, A13",
	},
	{
		ID: findingSharedIP, Severity: Warning, Title: "the relay accepts by address alone",
		Why:    "every machine behind the same outbound address can send in your name without a password",
		Fix:    []Fix{{RelayConfig, "use AUTH only: force it and empty Sending Servers, if others share the address", ""}},
		Source: "article A11",
	},
	{
		ID: findingAuthAccepted, Severity: Info, Title: "the credential is accepted",
		Why:    "235 is the only success of AUTH; password, age and account are right",
		Not:    []string{"making a new credential"},
		Source: "RFC 4954 section 6",
	},
	{
		ID: findingAuthVanished, Severity: Error, Title: "AUTH is not offered inside TLS",
		Why:    "on port 587 the service offers AUTH after STARTTLS; without it nobody can log in there",
		Fix:    []Fix{{SenderSystem, "check that host and port are the relay's, then look for a proxy that ends TLS on the way", ""}},
		Source: "article A12, A18",
	},
	{
		ID: findingMechanism, Severity: Error, Title: "no AUTH mechanism in common",
		Why:    "the relay offers mechanisms that the client did not want to use",
		Fix:    []Fix{{SenderSystem, "allow PLAIN or LOGIN inside TLS", ""}},
		Source: "RFC 4954 section 4",
	},
	{
		ID: findingAuthInClear, Severity: Warning, Title: "AUTH is offered before TLS",
		Why:    "a client that takes the offer sends the password in clear; the service asks for STARTTLS first",
		Fix:    []Fix{{SenderSystem, "require STARTTLS in every client", ""}},
		Source: "article A18; RFC 4954 section 4",
	},
	{
		ID: findingNoStartTLS, Severity: Error, Title: "STARTTLS is not offered",
		Why:    "the service offers it on both ports; when it is missing, something on the way took it out",
		Fix:    []Fix{{Network, "exempt the relay from SMTP inspection, or send another way", ""}},
		Source: "article A18; RFC 3207",
	},
	{
		ID: findingInjection, Severity: Error, Title: "bytes in clear came behind the answer to STARTTLS",
		Why:    "they would count as said inside TLS; somebody on the way, or a broken server, put them there",
		Fix:    []Fix{{Network, "find out who stands between you and the relay before any password goes this way", ""}},
		Source: "RFC 3207 section 5; CVE-2011-0411",
	},
	{
		ID: findingInspection, Severity: Error, Title: "a firewall rewrites the SMTP dialogue",
		Why:    "a greeting of stars or keywords of X are the marks of SMTP inspection, which takes STARTTLS and AUTH away",
		Fix:    []Fix{{Network, "switch SMTP inspection off for the relay", ""}},
		Source: "RFC 5321 section 4.2",
	},
	{
		ID: findingCertSoon, Severity: Warning, Title: "a certificate of the relay's chain expires soon",
		Why:    "clients that check certificates stop sending on that day",
		Fix:    []Fix{{RelayPlatform, "renew the certificate; watch it with handoff check", ""}},
		Source: "RFC 5280 section 4.1.2.5",
	},
	{
		ID: findingCertProblem, Severity: Error, Title: "the certificate does not prove the relay",
		Why:    "a password must not go to a server that cannot prove its name",
		Fix:    []Fix{{SenderSystem, "check the own clock and the dialled name, then look for interception", ""}},
		Source: "RFC 8314 section 3; RFC 9525",
	},
	{
		ID: findingSlow, Severity: Warning, Title: "the relay answers slowly",
		Why:    "a client with less patience gives up before the reply",
		Fix:    []Fix{{SenderSystem, "give the client longer time-outs", ""}},
		Source: "RFC 5321 section 4.5.3.2",
	},
	{
		ID: findingBanner, Severity: Info, Title: "the greeting names another host",
		Why:    "a name in a greeting is a claim; the certificate and the dialled name are what counts",
		Source: "RFC 5321 section 4.2",
	},
	{
		ID: findingWrongHost, Severity: Error, Title: "another mail server answers under the relay's name",
		Why:    "its greeting names somebody else and no certificate proves the relay",
		Fix:    []Fix{{SenderSystem, "point the connector or relayhost to the relay; look for a local server or a proxy that answers in its place", ""}},
		Source: "article A8",
	},
	{
		ID: findingHELOOnly, Severity: Warning, Title: "EHLO is refused, only HELO works",
		Why:    "without EHLO there is neither STARTTLS nor AUTH",
		Fix:    []Fix{{Network, "look for an SMTP proxy on the way", ""}},
		Source: "RFC 5321 section 3.2",
	},
	{
		ID: findingProtocol, Severity: Warning, Title: "the server breaks a rule of SMTP",
		Why:    "what it said cannot be a valid reply at this place, so it counts as none",
		Fix:    []Fix{{Network, "look for a proxy on the way, then report it", ""}},
		Source: "RFC 5321 section 4.2",
	},
	{
		ID: findingLimit, Severity: Warning, Title: "a limit was reached, the reading is partial",
		Why:    "what lies beyond the limit was not read",
		Source: "handoff's own limits",
	},
	{
		ID: findingAddresses, Severity: Warning, Title: "the addresses of the relay answer differently",
		Why:    "a client that picks the other address sees another result",
		Fix:    []Fix{{Network, "look at the addresses one by one", ""}},
		Source: "RFC 5321 section 5.1",
	},
	{
		ID: findingPort25Closed, Severity: Info, Expected: true, Title: "port 25 cannot be reached from here",
		Why:    "many providers close port 25 outward; SMTP AUTH does not need it",
		Source: "article A12",
	},
	{
		ID: findingPartial, Severity: Warning, Title: "the run ended before it was done",
		Why:    "the deadline or an interrupt came first; what is known is kept",
		Source: "handoff's own limits",
	},
	{
		ID: findingLookalike, Severity: Warning, Title: "a host looks like the relay and is not",
		Why:    "only the last labels of a name count",
		Fix:    []Fix{{SenderSystem, "compare the configured name with the published one, letter by letter", ""}},
		Source: "article A6",
	},
	{
		ID: findingQueueExpired, Severity: Info, Title: "the sender's queue gave up; the relay's last answer is the cause",
		Why:    "an expiry is never the cause: the last real answer before it is",
		Source: "RFC 5321 section 4.5.4.1",
	},
	{
		ID: findingSecretMasked, Severity: Info, Title: "a secret in the text was masked",
		Why:    "a password that was pasted somewhere should not be used any more",
		Fix:    []Fix{{SenderSystem, "make a new credential and delete this one", ""}},
		Source: "article A5",
	},
	{
		ID: findingCharset, Severity: Info, Title: "an unknown character set was read as Latin-1",
		Why:    "letters beyond ASCII may be wrong; codes and hosts are not",
		Source: "RFC 2046 section 4.1.2",
	},
}

// FindingDefs are the findings the judge can make, with the words they carry,
// in a fixed order. The slice is the caller's.
func FindingDefs() []Finding {
	return append([]Finding(nil), findingDefs[:]...)
}

// finding makes a finding of a definition. An id without one (a note of a
// reader that is newer than this table) is an info of its own words.
func finding(id string, evidence []Evidence) Finding {
	for i := range findingDefs {
		if findingDefs[i].ID == id {
			f := findingDefs[i]
			f.Evidence = evidence
			return f
		}
	}
	return Finding{ID: id, Severity: Info, Title: cutRunes(id, maxTitle), Evidence: evidence, Source: "handoff"}
}

// maxTitle is the length of a finding's title.
const maxTitle = 72

// maxFindings bounds the findings of one report.
const maxFindings = 50

// findings are what is worth telling beside the verdicts of an analysis.
func (j *judge) findings(all []judgement, cases []*caseNotes) []Finding {
	out := []Finding{}
	seen := map[string]bool{}
	add := func(f Finding) {
		if len(out) < maxFindings {
			out = append(out, f)
		}
	}
	for i := range all {
		g := &all[i]
		id := outcomeFinding(g)
		if id == "" || seen[id] {
			continue
		}
		seen[id] = true
		add(finding(id, firstEvidence(g.out.Evidence)))
	}
	for _, c := range cases {
		for k := range c.c.Notes {
			n := &c.c.Notes[k]
			if n.ID == noteTester || n.ID == "" {
				continue
			}
			var ev []Evidence
			if !n.Span.IsZero() && n.ID != findingSecretMasked && j.quote != nil {
				ev = []Evidence{{Line: n.Span.Line, Column: n.Span.Column, Quote: cutRunes(j.quote(n.Span), maxQuote), Role: "named"}}
			}
			f := finding(n.ID, ev)
			if n.Text != "" {
				f.Why = n.Text
			}
			if seen[n.ID] && len(ev) == 0 {
				continue
			}
			seen[n.ID] = true
			add(f)
		}
	}
	if !seen[findingLookalike] {
		if ev := j.lookalikes(cases); len(ev) > 0 {
			add(finding(findingLookalike, ev))
		}
	}
	return out
}

func firstEvidence(e []Evidence) []Evidence {
	if len(e) > 2 {
		e = e[:2]
	}
	return append([]Evidence(nil), e...)
}

// outcomeFinding is the finding that an outcome stands for, or "".
func outcomeFinding(g *judgement) string {
	switch {
	case g.out.Verdict == Refused && g.obs.Kind == transcript.KindRelayDenied:
		return findingRelayDenied
	case g.out.Verdict == NeverReached && g.item != nil && !g.item.Reply.IsZero() && deniedWords(g.obs.Kind):
		return findingForeignDenied
	case g.item != nil && g.item.Expired && (g.out.Verdict == Deferred || g.out.Verdict == Refused) && !g.item.Reply.IsZero():
		return findingQueueExpired
	}
	return ""
}

func deniedWords(k transcript.Kind) bool {
	switch k {
	case transcript.KindRelayDenied, transcript.KindMicrosoftAttribution, transcript.KindMicrosoftRelayDenied, transcript.KindExchangeRelayDenied, transcript.KindRateLimited:
		return true
	}
	return false
}

// maxLookedAt bounds the names that are compared with the relay's letter by
// letter.
const maxLookedAt = 64

// lookalikes are the hosts of the text that look like the relay's and are not.
func (j *judge) lookalikes(cases []*caseNotes) []Evidence {
	var out []Evidence
	var looked []string
	for _, c := range cases {
	next:
		for i := range c.c.Mentions {
			m := &c.c.Mentions[i]
			if m.Host == "" || m.Span.IsZero() || !maybeLike(m.Host) {
				continue
			}
			for _, h := range looked {
				if h == m.Host {
					continue next
				}
			}
			if len(looked) == maxLookedAt || len(out) == maxEvidence {
				return out
			}
			looked = append(looked, m.Host)
			if transcript.Lookalike(m.Host, j.domains) && j.quote != nil {
				out = append(out, Evidence{Line: m.Span.Line, Column: m.Span.Column, Quote: cutRunes(j.quote(m.Span), maxQuote), Role: string(m.Role)})
			}
		}
	}
	return out
}

// maybeLike is a cheap look before the dear one: common hosts of the large
// providers end the search at once.
func maybeLike(h string) bool {
	for _, d := range commonDomains {
		if transcript.HostIsUnder(h, d) {
			return false
		}
	}
	return true
}

var commonDomains = [...]string{"outlook.com", "google.com", "googlemail.com", "gmail.com"}
