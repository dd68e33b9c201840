package resolve

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

const serviceZone = `
_spf-us.ppe-hosted.com. IN TXT "v=spf1 ip4:192.0.2.0/24 a:dispatch-us.ppe-hosted.com -all"
_spf-eu.ppe-hosted.com. IN TXT "v=spf1 ip4:198.51.100.0/24 -all"
dispatch-us.ppe-hosted.com. IN A 192.0.2.48
mx1-us1.ppe-hosted.com. IN A 192.0.2.50
outbound-us1.ppe-hosted.com. IN A 192.0.2.51
_spf.other.test. IN TXT "v=spf1 ip4:203.0.113.0/24 ~all"
`

// policy is a domain whose findings are to be these.
func TestDomainFindings(t *testing.T) {
	good := "d.test. IN MX 10 mx1-us1.ppe-hosted.com.\n_dmarc.d.test. IN TXT \"v=DMARC1; p=none; rua=mailto:r@d.test\"\n"
	include := "d.test. IN TXT \"v=spf1 include:_spf-us.ppe-hosted.com -all\"\n"
	many := func(n int) string {
		var b strings.Builder
		b.WriteString("d.test. IN TXT \"v=spf1 include:_spf-us.ppe-hosted.com")
		for i := range n {
			fmt.Fprintf(&b, " include:i%d.test", i)
		}
		b.WriteString(" -all\"\n")
		for i := range n {
			fmt.Fprintf(&b, "i%d.test. IN TXT \"v=spf1 ip4:192.0.2.%d ~all\"\n", i, i)
		}
		return b.String()
	}
	for _, c := range []struct{ name, zone, want string }{
		{"in order", good + include, ""},
		{"older form", good + `d.test. IN TXT "v=spf1 a:dispatch-us.ppe-hosted.com ~all"`, ""},
		{"two strings make one record", good + `d.test. IN TXT "v=spf1 include:_spf-" "us.ppe-hosted.com -all"`, ""},
		{"through an include of an include", good + `d.test. IN TXT "v=spf1 include:i.test -all"` + "\n" + `i.test. IN TXT "v=spf1 include:_spf-eu.ppe-hosted.com -all"`, ""},
		{"by redirect", good + `d.test. IN TXT "v=spf1 redirect=_spf-us.ppe-hosted.com"`, ""},
		{"upper case", good + `d.test. IN TXT "V=SPF1 INCLUDE:_SPF-US.PPE-HOSTED.COM -ALL"`, ""},
		{"modifiers", good + `d.test. IN TXT "v=spf1 include:_spf-us.ppe-hosted.com exp=e.d.test moo=cow -all"`, ""},
		{"redirect behind all counts for nothing", good + `d.test. IN TXT "v=spf1 -all redirect=_spf-us.ppe-hosted.com"`, "spf-relay-missing"},
		{"no record", good + `d.test. IN TXT "google-site-verification=x"`, "spf-missing"},
		{"v=spf10 is no record", good + `d.test. IN TXT "v=spf10 include:_spf-us.ppe-hosted.com -all"`, "spf-missing"},
		{"two records", good + include + `d.test. IN TXT "v=spf1 mx -all"`, "spf-several"},
		{"not the relay", good + `d.test. IN TXT "v=spf1 include:_spf.other.test -all"`, "spf-relay-missing"},
		{"a look-alike", good + `d.test. IN TXT "v=spf1 include:_spf-us.ppe-hosted.com.evil.test ip4:192.0.2.1 -all"` + "\n" + `_spf-us.ppe-hosted.com.evil.test. IN TXT "v=spf1 -all"`, "spf-relay-missing"},
		{"the underscore is missing", good + `d.test. IN TXT "v=spf1 include:spf-us.ppe-hosted.com -all"`, "spf-underscore"},
		{"ten look-ups", good + many(8), ""},
		{"eleven look-ups", good + many(9), "spf-lookups"},
		{"a hundred look-ups", good + many(20), "spf-lookups"},
		{"void look-ups", good + `d.test. IN TXT "v=spf1 include:_spf-us.ppe-hosted.com a:v1.test a:v2.test mx:v3.test -all"`, "spf-void-lookups"},
		{"two void look-ups are allowed", good + `d.test. IN TXT "v=spf1 include:_spf-us.ppe-hosted.com a:v1.test mx:v3.test -all"`, ""},
		{"includes itself", good + `d.test. IN TXT "v=spf1 include:_spf-us.ppe-hosted.com include:d.test -all"`, "spf-syntax"},
		{"includes nothing", good + `d.test. IN TXT "v=spf1 include:_spf-us.ppe-hosted.com include:none.test -all"`, "spf-syntax"},
		{"a typing error", good + `d.test. IN TXT "v=spf1 inlcude:_spf-us.ppe-hosted.com -all"`, "spf-relay-missing spf-syntax"},
		{"bad address", good + `d.test. IN TXT "v=spf1 ip4:192.0.2.256 include:_spf-us.ppe-hosted.com -all"`, "spf-syntax"},
		{"an IPv6 address in ip4", good + `d.test. IN TXT "v=spf1 ip4:2001:db8::1 include:_spf-us.ppe-hosted.com -all"`, "spf-syntax"},
		{"macro", good + `d.test. IN TXT "v=spf1 exists:%{i}.spf.d.test -all"`, ""},
		{"mx elsewhere", include + "d.test. IN MX 10 mail.d.test.\n_dmarc.d.test. IN TXT \"v=DMARC1; p=none\"\n", "mx-not-relay"},
		{"null MX", include + "d.test. IN MX 0 .\n_dmarc.d.test. IN TXT \"v=DMARC1; p=none\"\n", "mx-not-relay"},
		{"no DMARC", include + "d.test. IN MX 10 mx1-us1.ppe-hosted.com.\n", "dmarc-missing"},
		{"DMARC reject", include + "d.test. IN MX 10 mx1-us1.ppe-hosted.com.\n_dmarc.d.test. IN TXT \"v=DMARC1; p=reject\"\n", "dmarc-reject"},
		{"DMARC twice", include + "d.test. IN MX 10 mx1-us1.ppe-hosted.com.\n_dmarc.d.test. IN TXT \"v=DMARC1; p=reject\"\n_dmarc.d.test. IN TXT \"v=DMARC1; p=none\"\n", "dmarc-syntax"},
		{"DMARC broken", include + "d.test. IN MX 10 mx1-us1.ppe-hosted.com.\n_dmarc.d.test. IN TXT \"v=DMARC1 p=reject\"\n", "dmarc-syntax"},
		{"MTA-STS", good + include + "_mta-sts.d.test. IN TXT \"v=STSv1; id=20261124;\"\n", "mta-sts"},
		{"MTA-STS without id", good + include + "_mta-sts.d.test. IN TXT \"v=STSv1; id=a-b\"\n", "mta-sts"},
		{"TLSA", good + include + "_25._tcp.mx1-us1.ppe-hosted.com. IN TLSA 3 1 1 aabb\n", "tlsa"},
		{"TLSA of another usage", good + include + "_25._tcp.mx1-us1.ppe-hosted.com. IN TLSA 1 1 1 aabb\n", "tlsa"},
		{"no domain", "x.test. IN A 192.0.2.1\n", "sender-domain-unresolvable"},
		{"resolver in trouble", "$FAULT * servfail\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, _ := serve(t, serviceZone+c.zone+"\n")
			s := client.Survey(context.Background(), Subject{Relay: "outbound-us1.ppe-hosted.com", Senders: []string{"d.test", "D.test."}})
			for _, f := range s.Findings {
				if _, ok := analyze.FindingOf(f.ID, nil); !ok {
					t.Errorf("%s has no page", f.ID)
				}
				if f.Title == "" || len(f.Title) > 72 || f.Why == "" || f.Severity == "" {
					t.Errorf("%+v", f)
				}
			}
			if got := ids(s.Findings); got != c.want {
				t.Errorf("findings %q, want %q\n%+v", got, c.want, s.Domains)
			}
			queries := 0
			for _, q := range s.Queries {
				if q.Type == TXT || q.Type == A || q.Type == AAAA {
					queries++
				}
			}
			if queries > 10+1+5+1 { // SPF's own, the record itself, DMARC, MTA-STS
				t.Errorf("%d queries", queries)
			}
			if len(s.Domains) != 1 {
				t.Errorf("%d domains", len(s.Domains))
			}
		})
	}
}

func ids(findings []Finding) string {
	var out []string
	for _, f := range findings {
		out = append(out, f.ID)
	}
	return strings.Join(out, " ")
}

func TestDMARCOfADomainAbove(t *testing.T) {
	c, _ := serve(t, serviceZone+`
_dmarc.d.test. IN TXT "v=DMARC1; p=none; sp=reject"
mail.dept.d.test. IN MX 10 mx1-us1.ppe-hosted.com.
mail.dept.d.test. IN TXT "v=spf1 include:_spf-us.ppe-hosted.com -all"
_mta-sts.mail.dept.d.test. IN TXT "v=STSv1; id=1"
_25._tcp.mx1-us1.ppe-hosted.com. IN TLSA 3 1 1 aabb
`)
	s := c.Survey(context.Background(), Subject{Relay: "outbound-us1.ppe-hosted.com", Senders: []string{"mail.dept.d.test"}})
	d := s.Domains[0]
	if d.DMARCAt != "d.test" || d.Inbound != transcript.Yes || d.STS == "" || len(d.TLSA) != 1 || ids(s.Findings) != "dmarc-reject mta-sts tlsa" {
		t.Errorf("%+v %+v", d, s.Findings)
	}
}

func TestNear(t *testing.T) {
	for host, want := range map[string]string{
		"outbound-us1.ppe-hosted.com": "", "outbund-us1.ppe-hosted.com": "outbound-us1.ppe-hosted.com",
		"outbound-us1.ppehosted.com": "outbound-us1.ppe-hosted.com", "outbound-eu1.pphosted.com": "outbound-eu1.ppe-hosted.com",
		"outbound-us1.ppe-hosted.com.evil.test": "outbound-us1.ppe-hosted.com", "smtp.gmail.com": "", "relay.example": "", "": "",
	} {
		if got := Near(host); got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
	// A host of the service that we do not know is no typing error while it exists.
	c, _ := serve(t, "mx1-us3.ppe-hosted.com. IN A 192.0.2.1\nppe-hosted.com. IN A 192.0.2.2\n")
	for host, want := range map[string]string{"mx1-us3.ppe-hosted.com": "", "outbound-us9.ppe-hosted.com": "outbound-us1.ppe-hosted.com"} {
		if s := c.Survey(context.Background(), Subject{Relay: host}); s.Near != want {
			t.Errorf("%s: %q, want %q", host, s.Near, want)
		}
	}
}

func TestSurveyOfOwnAddresses(t *testing.T) {
	c, _ := serve(t, "1.2.0.192.in-addr.arpa. IN PTR mail.example.\nmail.example. IN A 192.0.2.9\n")
	s := c.Survey(context.Background(), Subject{Relay: "relay.example", Own: []netip.Addr{
		netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("fe80::1"),
	}})
	if len(s.Own) != 1 || s.Own[0].Confirmed != transcript.No || len(s.Findings) != 1 || s.Findings[0].ID != "reverse-name" {
		t.Errorf("%+v %+v", s.Own, s.Findings)
	}
	if _, ok := analyze.FindingOf("reverse-name", nil); !ok {
		t.Error("reverse-name has no page")
	}
}
