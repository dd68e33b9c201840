package policy

import "slices"

// Statement is one statement of the service's support article "Proofpoint SMTP
// Authentication" (last changed 16 February 2024), in our words.
type Statement struct {
	ID    string // "A1" … "A20"
	Topic string
	Text  string
}

// Article returns the article's statements in order.
func Article() []Statement { return slices.Clone(article) }

var article = []Statement{
	{"A1", "overview", "SMTP AUTH is one user name and password, made at the service and entered at the customer's mail server, so that the service can trust that server and spoofing gets harder."},
	{"A2", "create", "Administration > Account Management > Domains > SMTP Authentication > New Credential, then a label, Generate Password, Save."},
	{"A3", "shown once", "User name and password must be copied before Save; the screen does not come back."},
	{"A4", "propagation", "Wait up to 60 minutes before using a new credential."},
	{"A5", "lost pair", "Nothing can be recovered: make a new credential. Unused pairs may be deleted."},
	{"A6", "name in errors", "Connection trouble with the service names its servers, which are in ppe-hosted.com."},
	{"A7", "name absent", "If no such name is listed, the sending server's own transaction must be reviewed, and its log is needed to go on."},
	{"A8", "verdict", "An error without that domain means that the sending server does not hand the mail to the service yet."},
	{"A9", "no sending server needed", "With SMTP AUTH the customer needs no Sending Servers entry."},
	{"A10", "force SMTP AUTH", "Where SMTP AUTH is all that a customer uses, Sending Servers may stay empty."},
	{"A11", "spoofing", "Only SMTP AUTH without any Sending Servers closes spoofing from behind the same address or in a provider's shared range; a stolen credential still opens it."},
	{"A12", "port", "SMTP AUTH for outbound mail works on port 587 only."},
	{"A13", "port 25", "Over port 25 such a client sees \"Relay Access Denied\"."},
	{"A14", "same address listed", "587 belongs to SMTP AUTH alone; a Sending Servers entry does nothing there, so a manual test looks different."},
	{"A15", "sender's domain", "The sender check stays: the sender's domain must be registered and active."},
	{"A16", "sender's address", "With SMTP Discovery off the address itself must be registered too."},
	{"A17", "forwarding", "Forwarding and outside members of distribution groups are not solved by SMTP AUTH; an open feature request."},
	{"A18", "TLS", "STARTTLS comes before SMTP AUTH."},
	{"A19", "same-named user", "Besides the credential a user of the same name must exist: end user, silent user or functional account."},
	{"A20", "user takes time", "A new user or functional account can need an hour to be live."},
}

// Page is a page that a rule, a cause or a finding rests on.
type Page struct {
	Key   string
	Title string
}

// pages are in the order of the keys.
var pages = []Page{
	{"OP-auth", "help.proofpoint.com, Administrator Topics, \"SMTP Authentication\""},
	{"OP-relay", "help.proofpoint.com, \"Outbound mail rejected - 554 5.7.1: Relay access denied\""},
	{"OP-fwd", "help.proofpoint.com, \"Issues with Email auto-forwarding\""},
	{"OP-invalid", "help.proofpoint.com, \"User email address is marked as invalid\""},
	{"OP-disc", "help.proofpoint.com, \"SMTP Discovery Management\""},
	{"OP-domains", "help.proofpoint.com, \"How to add, test, and manage your Domains\""},
	{"OP-defer", "help.proofpoint.com, \"Bounces and Deferrals\""},
	{"OP-bounce", "help.proofpoint.com, \"Bounceback received on outbound relay\""},
	{"OP-limits", "help.proofpoint.com, \"Inbound and Outbound Email Limits\""},
	{"OP-tls", "help.proofpoint.com, \"How TLS Delivery Occurs\""},
	{"MS-pool", "learn.microsoft.com, \"forwarded message rejected, 5.7.367\""},
	{"MS-tenant", "learn.microsoft.com, \"Relay Access Denied SMTP\" (5.7.64)"},
	{"RP-limits", "wiki.hbscloudservices.com, \"Limits, Rate for Sending & Receiving\""},
	{"RP-smart", "wiki.hbscloudservices.com, \"Smart Host\""},
	{"RP-relay", "excelmicro.kayako.com, article 228"},
	{"RP-disc", "excelmicro.kayako.com, article 527"},
	{"RP-tls", "excelmicro.kayako.com, article 791"},
	{"RP-faq", "spambrella.com, FAQ"},
	{"RP-gd", "GoDaddy help, \"What is SMTP Discovery\""},
	{"RP-spf", "404andmore.com, \"Proofpoint Essentials: fixing the 550 5.7.1 SPF rejected error\"; sendmarc.com, \"SPF: Proofpoint Essentials\""},
	{"SFM", "ActiveCampaign's public smtp-field-manual of collected replies"},
	{"postfix", "Postfix 3.7.11, measured on loopback"},
	{"postfix source", "Postfix's source, read and not run"},
	{"headers", "seen in real public headers, log lines or collected replies"},
	{"assumed", "nobody has published it"},
}

// Source explains a source's key: the statement of the article or the title of
// the page; ok is false for an unknown key.
func Source(key string) (text string, ok bool) {
	for _, s := range article {
		if s.ID == key {
			return s.Text, true
		}
	}
	for _, p := range pages {
		if p.Key == key {
			return p.Title, true
		}
	}
	return "", false
}
