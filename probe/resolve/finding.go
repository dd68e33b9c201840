package resolve

import (
	"fmt"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// findings says what in a survey is worth telling. What nobody answered is
// unknown and gives no finding.
func (s *Survey) findings(about Subject) []Finding {
	var out []Finding
	add := func(id, severity, title, why string, evidence ...string) {
		out = append(out, Finding{id, severity, title, why, evidence})
	}
	if s.Near != "" {
		add("lookalike-host", "warning", "the relay's name is not "+s.Near,
			fmt.Sprintf("%s resembles %s, a host of the service, and is another name", plainName(about.Relay), s.Near), plainName(about.Relay))
	}
	for i := range s.Domains {
		d := &s.Domains[i]
		if d.Rcode == NXDomain {
			add("sender-domain-unresolvable", "error", "the sender's domain does not exist",
				"the name service has no "+d.Name+"; mail from it is refused", d.Name)
			continue
		}
		d.spfFindings(about.RelayDomains, add)
		d.dmarcFindings(add)
		d.transportFindings(add)
		if d.Inbound == transcript.No {
			why := "mail to " + d.Name + " goes to other servers; outbound mail needs inbound relay switched on for the domain as well"
			if d.NullMX {
				why = d.Name + " says that it takes no mail (RFC 7505)"
			} else if len(d.MX) == 0 {
				why = d.Name + " has no MX record"
			}
			add("mx-not-relay", "info", "mail to the sender's domain does not come in through the relay", why, texts(d.MX)...)
		}
	}
	for _, r := range s.Own {
		switch {
		case r.Rcode == NXDomain || r.Rcode == NoData:
			add("reverse-name", "info", "this machine's address has no name", r.Addr.String()+" has no PTR record; servers that look at it refuse or distrust the sender", r.Addr.String())
		case r.Confirmed == transcript.No:
			add("reverse-name", "info", "the name of this machine's address does not lead back to it",
				r.Addr.String()+" is called "+strings.Join(r.Names, ", ")+", and that name has other addresses", r.Names...)
		}
	}
	return out
}

func texts(records []Record) []string {
	var out []string
	for _, r := range records {
		if len(out) < 10 {
			out = append(out, r.Text)
		}
	}
	return out
}

func (d *Domain) spfFindings(relayDomains []string, add func(id, severity, title, why string, evidence ...string)) {
	f := &d.SPF
	switch {
	case f.Failed != "":
		return
	case len(f.Records) == 0:
		add("spf-missing", "warning", "the sender's domain has no SPF record", d.Name+" does not say which servers may send for it", d.Name)
		return
	case len(f.Records) > 1:
		add("spf-several", "error", "the sender's domain has more than one SPF record",
			fmt.Sprintf("%s has %d SPF records; there may be one (RFC 7208 section 3.2)", d.Name, len(f.Records)), f.Records...)
		return
	}
	trap := ""
	named := false
	for _, n := range f.Names {
		if !transcript.HostIsUnderAny(n, relayDomains) {
			continue
		}
		if strings.HasPrefix(n, "spf-") && transcript.HostIsUnder(n, transcript.RelayDomain) {
			trap = n
			continue
		}
		named = true
	}
	switch {
	case trap != "":
		add("spf-underscore", "error", "the SPF record names the relay without its underscore", trap+" does not exist; the right name is _"+trap, f.Records[0])
	case !named && !f.Stopped && f.Unknown == 0:
		why := "no term of the SPF record of " + d.Name + ", nor of what it includes, names the relay"
		if f.Direct {
			why += "; it lists addresses, which may be the relay's"
		}
		add("spf-relay-missing", "warning", "the SPF record does not name the relay", why, f.Records[0])
	}
	if f.Lookups > spfLookups {
		add("spf-lookups", "error", "the SPF record needs more than ten look-ups", "each check of it ends in an error (RFC 7208 section 4.6.4)", f.Records[0])
	}
	if f.Void > spfVoid {
		add("spf-void-lookups", "warning", "the SPF record asks for names that do not exist", "more than two look-ups have no answer (RFC 7208 section 4.6.4)", f.Records[0])
	}
	if len(f.Errors) > 0 && trap == "" {
		add("spf-syntax", "error", "the SPF record cannot be read", strings.Join(f.Errors, "; "), f.Records[0])
	}
}

func (d *Domain) dmarcFindings(add func(id, severity, title, why string, evidence ...string)) {
	if d.DMARC == "" {
		if d.DMARCAt != "" {
			add("dmarc-missing", "info", "the sender's domain has no DMARC policy", "neither "+d.Name+" nor a domain above it has one", "_dmarc."+d.Name)
		}
		return
	}
	policy, ok := dmarcPolicy(d.DMARC, d.Name != d.DMARCAt)
	switch {
	case !ok:
		add("dmarc-syntax", "warning", "the DMARC record cannot be read", "_dmarc."+d.DMARCAt+" has no usable policy", d.DMARC)
	case policy == "reject":
		add("dmarc-reject", "info", "the sender's DMARC policy is reject", "receivers refuse mail of "+d.Name+" that passes neither SPF nor DKIM", d.DMARC)
	}
}

// transportFindings tell what the domain says about TLS on the way to it.
func (d *Domain) transportFindings(add func(id, severity, title, why string, evidence ...string)) {
	if d.STS != "" {
		if id := stsID(d.STS); id == "" {
			add("mta-sts", "warning", "the MTA-STS record cannot be read", "_mta-sts."+d.Name+" has no id, so senders ignore it (RFC 8461 section 3.1)", d.STS)
		} else {
			add("mta-sts", "info", "the sender's domain has an MTA-STS policy",
				"senders that know MTA-STS read https://mta-sts."+d.Name+"/.well-known/mta-sts.txt, which has to list the servers of its MX", d.STS)
		}
	}
	if len(d.TLSA) > 0 {
		usable := false
		for _, r := range d.TLSA {
			usable = usable || strings.HasPrefix(r, "2 ") || strings.HasPrefix(r, "3 ")
		}
		if mx := d.MX[0].Host; usable {
			add("tlsa", "info", "the MX of the sender's domain has TLSA records", "senders that know DANE take only these certificates of "+mx, d.TLSA...)
		} else {
			add("tlsa", "warning", "no TLSA record of the MX can be used for mail", "only the usages 2 and 3 count for SMTP (RFC 7672 section 3.1.3); those of "+mx+" are others", d.TLSA...)
		}
	}
}

// stsID is the id of an MTA-STS record (RFC 8461 §3.1); empty: none that is
// valid.
func stsID(record string) string {
	for _, tag := range strings.Split(record, ";")[1:] {
		if k, v, _ := strings.Cut(strings.TrimSpace(tag), "="); k == "id" && len(v) <= 32 && v != "" && strings.Trim(v, letters) == "" {
			return v
		}
	}
	return ""
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// dmarcPolicy is the policy that a record asks for (RFC 7489 §6.3): p=, or sp=
// for a domain below the one that has the record.
func dmarcPolicy(record string, below bool) (string, bool) {
	if strings.Contains(record, " | ") {
		return "", false
	}
	policy, sub := "", ""
	for i, tag := range strings.Split(record, ";") {
		k, v, ok := strings.Cut(tag, "=")
		k, v = strings.ToLower(strings.TrimSpace(k)), strings.ToLower(strings.TrimSpace(v))
		switch {
		case i == 0 && (k != "v" || v != "dmarc1"):
			return "", false
		case !ok && strings.TrimSpace(tag) != "":
			return "", false
		case k == "p":
			policy = v
		case k == "sp":
			sub = v
		}
	}
	if below && sub != "" {
		policy = sub
	}
	switch policy {
	case "none", "quarantine", "reject":
		return policy, true
	}
	return "", false
}
