package resolve

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/smtp-handoff/handoff/probe/resolve/zone"
)

// serve starts a zone and a client of it that waits long enough for a machine that
// has other things to do.
func serve(t *testing.T, text string) (*Client, *zone.Server) {
	t.Helper()
	s, err := zone.Start(text)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	c, err := New(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	c.budget, c.perTry = time.Minute, 30*time.Second
	return c, s
}

const relayZone = `
$ORIGIN example.
relay        60 IN A     192.0.2.1
relay        60 IN A     192.0.2.2
relay        90 IN AAAA  2001:db8::1
alias       300 IN CNAME middle
middle       10 IN CNAME relay
dangling        IN CNAME nowhere
only4           IN A     192.0.2.4
sub.empty       IN A     192.0.2.5
`

func TestAnswersAreToldApart(t *testing.T) {
	for _, c := range []struct {
		fault  string // of *.example
		name   string
		t      Type
		rcode  string
		addrs  int
		cnames string
		ttl    uint32
		detail string
	}{
		{"", "relay.example", A, NoError, 2, "", 60, ""},
		{"", "RELAY.example.", AAAA, NoError, 1, "", 90, ""},
		{"", "alias.example", A, NoError, 2, "middle.example relay.example", 10, ""},
		{"", "dangling.example", A, NXDomain, 0, "nowhere.example", 10, ""},
		{"", "nowhere.example", A, NXDomain, 0, "", 0, ""},
		{"", "only4.example", AAAA, NoData, 0, "", 0, ""},
		{"", "empty.example", A, NoData, 0, "", 0, ""},
		{"", strings.Repeat("x", 64) + ".example", A, NXDomain, 0, "", 0, "not a name"},
		{"servfail", "relay.example", A, ServFail, 0, "", 0, ""},
		{"refused", "relay.example", A, Refused, 0, "", 0, ""},
		{"nxdomain", "relay.example", A, NXDomain, 0, "", 0, ""},
		{"formerr", "relay.example", A, "FORMERR", 0, "", 0, ""},
		{"silent", "relay.example", A, Timeout, 0, "", 0, ""},
		{"truncate", "relay.example", A, NoError, 2, "", 60, ""},
		{"truncate-closes", "relay.example", A, Timeout, 0, "", 0, "cut"},
		{"truncate-drips", "relay.example", A, Timeout, 0, "", 0, "cut"},
		{"truncate-lies", "relay.example", A, Timeout, 0, "", 0, "cut"},
		{"garbage", "relay.example", A, Timeout, 0, "", 0, "fit"},
		{"wrong-id", "relay.example", A, Timeout, 0, "", 0, "fit"},
		{"wrong-question", "relay.example", A, Timeout, 0, "", 0, "fit"},
		{"no-question", "relay.example", A, Timeout, 0, "", 0, "fit"},
		{"not-a-reply", "relay.example", A, Timeout, 0, "", 0, "fit"},
		{"chaos", "relay.example", A, NoData, 0, "", 0, ""},
		{"foreign-owner", "relay.example", A, NoData, 0, "", 0, ""},
		{"extra", "relay.example", A, NoError, 2, "", 60, ""},
		{"forged-first", "relay.example", A, NoError, 2, "", 60, ""},
		{"no-edns", "relay.example", A, NoError, 2, "", 60, ""},
		{"loop", "relay.example", A, ServFail, 0, "*", 300, "do not end"},
		{"endless", "relay.example", A, ServFail, 0, "*", 300, "do not end"},
		{"many", "relay.example", A, NoError, 100, "", 300, ""},
		{"half-alias", "alias.example", A, NoError, 2, "middle.example relay.example", 10, ""},
	} {
		t.Run(c.fault+" "+c.name, func(t *testing.T) {
			text := relayZone
			if c.fault != "" {
				text += "$FAULT * " + c.fault + "\n"
			}
			client, _ := serve(t, text)
			// What is silent ends by perTry. Where an answer was to come, a busy machine
			// may have been too slow for that: it gets more patience until it comes.
			var a Answer
			for client.perTry = 100 * time.Millisecond; client.perTry < 15*time.Second; client.perTry *= 2 {
				a = client.Query(context.Background(), c.name, c.t)
				if a.Rcode == c.rcode && strings.Contains(a.Detail, c.detail) {
					break
				}
			}
			if a.Rcode != c.rcode || len(a.Records) != c.addrs || (c.cnames != "*" && strings.Join(a.CNAMEs, " ") != c.cnames) || a.TTL != c.ttl {
				t.Errorf("%+v", a)
			}
			if !strings.Contains(a.Detail, c.detail) || (c.detail == "" && a.Detail != "") {
				t.Errorf("detail %q", a.Detail)
			}
			if len(a.CNAMEs) > maxChain+1 {
				t.Errorf("%d aliases", len(a.CNAMEs))
			}
			for _, r := range a.Records {
				if r.Addr.String() == zone.Forged {
					t.Error("a planted address was taken for an answer")
				}
			}
		})
	}
}

func TestLookupNetIP(t *testing.T) {
	c, s := serve(t, relayZone+"$FAULT broken.example. servfail\n")
	for _, q := range []struct{ network, host, want, rcode string }{
		{"ip", "relay.example", "2001:db8::1 192.0.2.1 192.0.2.2", ""},
		{"ip4", "alias.example", "192.0.2.1 192.0.2.2", ""},
		{"ip6", "relay.example", "2001:db8::1", ""},
		{"ip6", "only4.example", "", NoData},
		{"ip", "nowhere.example", "", NXDomain},
		{"ip", "broken.example", "", ServFail},
	} {
		addrs, err := c.LookupNetIP(context.Background(), q.network, q.host)
		var got []string
		for _, a := range addrs {
			got = append(got, a.String())
		}
		if strings.Join(got, " ") != q.want {
			t.Errorf("%s %s: %q", q.network, q.host, got)
		}
		rcode := ""
		if e, ok := err.(*Error); ok {
			rcode = e.Rcode()
		}
		if rcode != q.rcode {
			t.Errorf("%s %s: %v", q.network, q.host, err)
		}
	}
	if len(s.Log()) != 2+1+1+1+2+4 { // SERVFAIL is asked for once, by each of both types
		t.Logf("questions %q", s.Log())
	}
}

func TestCancelledLookup(t *testing.T) {
	c, _ := serve(t, relayZone+"$FAULT * silent\n")
	c.budget, c.perTry = time.Minute, time.Minute
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if a := c.Query(ctx, "relay.example", A); a.Rcode != Timeout {
		t.Errorf("%+v", a)
	}
}

func TestSystemReadsItsFiles(t *testing.T) {
	s, err := zone.Start(relayZone)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	hosts := write("hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost # comment\n192.0.2.77 relay.example Printer.Example\nnonsense\n")
	c := system(write("resolv.conf", "nameserver 127.0.0.9\nnameserver 127.0.0.8\n"), hosts)
	if !slices.Equal(c.servers, []string{"127.0.0.9:53", "127.0.0.8:53"}) {
		t.Errorf("servers %q", c.servers)
	}
	c.servers = []string{s.Addr()}
	for _, q := range []struct{ host, want string }{
		{"localhost", "127.0.0.1 ::1"}, {"printer.example", "192.0.2.77"}, {"relay.example", "192.0.2.77"}, {"only4.example", "192.0.2.4"},
	} {
		addrs, err := c.LookupNetIP(context.Background(), "ip", q.host)
		var got []string
		for _, a := range addrs {
			got = append(got, a.String())
		}
		if err != nil || strings.Join(got, " ") != q.want {
			t.Errorf("%s: %q %v", q.host, got, err)
		}
	}
	none := system(filepath.Join(dir, "absent"), filepath.Join(dir, "absent too"))
	if a := none.Query(context.Background(), "relay.example", MX); a.Rcode != ServFail || a.Detail == "" {
		t.Errorf("%+v", a)
	}
}

func TestNewRefusesNonsense(t *testing.T) {
	for _, s := range []string{"", "192.0.2.1", "name.example:53", "192.0.2.1:none", ":53"} {
		if _, err := New(s); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
	if c, err := New("[2001:db8::1]:5353"); err != nil || c.servers[0] != "[2001:db8::1]:5353" {
		t.Errorf("%v %v", c, err)
	}
}

func TestReverse(t *testing.T) {
	c, _ := serve(t, `
1.2.0.192.in-addr.arpa. IN PTR mail.example.
2.2.0.192.in-addr.arpa. IN PTR liar.example.
3.2.0.192.in-addr.arpa. IN PTR nowhere.example.
mail.example. IN A 192.0.2.1
liar.example. IN A 192.0.2.1
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. IN PTR six.example.
six.example. IN AAAA 2001:db8::1
`)
	for addr, want := range map[string]string{
		"192.0.2.1": "NOERROR mail.example 2", "192.0.2.2": "NOERROR liar.example 1", "192.0.2.3": "NOERROR nowhere.example 1",
		"192.0.2.4": "NXDOMAIN  0", "2001:db8::1": "NOERROR six.example 2",
	} {
		r := c.Reverse(context.Background(), netip.MustParseAddr(addr))
		if got := r.Rcode + " " + strings.Join(r.Names, ",") + " " + string('0'+rune(r.Confirmed)); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

// TestEscapedNames: a dot inside a label is part of the label, and control
// bytes never come out raw.
func TestEscapedNames(t *testing.T) {
	c, _ := serve(t, `
d.example. IN MX 10 mx1\.ppe-hosted.com.
d.example. IN MX 20 a\027[31m<b>.example.
d.example. IN MX 30 .
`)
	a := c.Query(context.Background(), "d.example", MX)
	if len(a.Records) != 3 || a.Records[0].Host != `mx1\.ppe-hosted.com` || strings.ContainsRune(a.Records[1].Host, 0x1b) || a.Records[2].Host != "" {
		t.Errorf("%+v", a.Records)
	}
	d := c.Domain(context.Background(), "d.example", []string{"ppe-hosted.com"})
	if d.Inbound == 2 {
		t.Errorf("an escaped dot made a host of the relay: %+v", d)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte{0, 1, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 1, 'r', 0, 0, 1, 0, 1, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		m := new(dns.Msg)
		if m.Unpack(b) != nil {
			return
		}
		a, last := read(m, "r.", A)
		for _, r := range a.Records {
			if !r.Addr.Is4() {
				t.Fatalf("%+v", r)
			}
		}
		if len(a.Records) > maxRecords || len(a.CNAMEs) > maxChain+1 || (last != "" && a.Rcode == NoError) {
			t.Fatalf("%+v %q", a, last)
		}
	})
}
