package policy

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

// seeded is a source of bytes that is the same each time.
func seeded(n uint64) *rand.ChaCha8 {
	var seed [32]byte
	seed[0] = byte(n)
	return rand.NewChaCha8(seed)
}

func TestCredentialInTheArticlesOrder(t *testing.T) {
	acc := testAccount(t)
	acc.Rand = seeded(1)
	before := len(acc.Credentials)

	d := acc.NewCredential("copier on floor 2")
	if _, err := d.Save(t0); !errors.Is(err, ErrNotGenerated) {
		t.Errorf("Save before Generate: %v, want %v", err, ErrNotGenerated)
	}
	if len(acc.Credentials) != before {
		t.Error("something is stored before Save")
	}
	shown, err := d.Generate()
	if err != nil {
		t.Fatal(err)
	}
	if len(shown.Password) != 32 || strings.Trim(shown.Password, passwordAlphabet) != "" {
		t.Errorf("password has %d characters, or others than the alphabet's", len(shown.Password))
	}
	if !strings.HasSuffix(shown.Username, "@customer.example") {
		t.Errorf("user name %q is not shaped like an address at the customer's domain", shown.Username)
	}
	cr, err := d.Save(t0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Generate(); !errors.Is(err, ErrSaved) {
		t.Errorf("Generate after Save: %v, want %v", err, ErrSaved)
	}
	if _, err := d.Save(t0); !errors.Is(err, ErrSaved) {
		t.Errorf("Save after Save: %v, want %v", err, ErrSaved)
	}
	if got := cr.ActiveAt.Sub(t0); got != 60*time.Minute {
		t.Errorf("active after %v, want 60m (A4)", got)
	}
	for _, at := range []struct {
		after time.Duration
		rule  RuleID
	}{{0, "U4"}, {59 * time.Minute, "U4"}, {60 * time.Minute, "U6"}} {
		if _, id := talk(acc, 587, "203.0.113.9", t0.Add(at.after), login(shown.Username, shown.Password)...); id != at.rule {
			t.Errorf("after %v: %s, want %s", at.after, id, at.rule)
		}
	}
	// The password is nowhere in what is kept or listed.
	res, err := Apply(acc, "cred list", t0)
	if err != nil {
		t.Fatal(err)
	}
	kept := strings.Join(append(Format(acc), res.Lines...), "\n")
	if strings.Contains(kept, shown.Password) || bytes.Contains(cr.Hash, []byte(shown.Password)) {
		t.Error("the password is kept in clear")
	}
	if s := shown.String() + shown.GoString(); strings.Contains(s, shown.Password) {
		t.Error("a printed credential shows its password")
	}
	// Deleted, it works until the deletion has propagated.
	if err := acc.DeleteCredential(cr.ID, t0.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	for _, at := range []struct {
		after time.Duration
		rule  RuleID
	}{{179 * time.Minute, "U6"}, {180 * time.Minute, "U3"}} {
		if _, id := talk(acc, 587, "203.0.113.9", t0.Add(at.after), login(shown.Username, shown.Password)...); id != at.rule {
			t.Errorf("deleted, after %v: %s, want %s", at.after, id, at.rule)
		}
	}
}

func TestGeneratedPairsDiffer(t *testing.T) {
	acc := testAccount(t)
	seen := map[string]bool{}
	for range 200 {
		s, err := acc.NewCredential("x").Generate()
		if err != nil {
			t.Fatal(err)
		}
		if seen[s.Password] || seen[s.Username] {
			t.Fatal("a generated name or password came twice")
		}
		seen[s.Password], seen[s.Username] = true, true
	}
}

// constant gives always the same byte.
type constant byte

func (c constant) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(c)
	}
	return len(p), nil
}

func TestBrokenRandomnessIsAnError(t *testing.T) {
	acc := testAccount(t)
	acc.Rand = constant(255)
	if _, err := acc.NewCredential("x").Generate(); err == nil {
		t.Error("a source that gives no usable byte made a password")
	}
}

func TestFormatRoundTrip(t *testing.T) {
	acc := testAccount(t,
		"domain add third.example --inbound --discovery --force-auth --unverified",
		"user invalid bob@second.example",
		"user rm bot@customer.example",
		`cred new "label with # and \"quotes\"" --user x@customer.example --password "p a#\"\\"`,
		`cred new "--odd"`,
		"cred rm c1",
		"sender add o365",
		"sender add 2001:db8::1",
		"limit set 10m 7", "limit set size 10MB", "limit set recipients -1", "limit set domain-24h 3",
		"propagation set 30m",
		"sync on",
		"dialect set hide-auth", `dialect set auth-reason "(reason unavailable)"`,
		"account region eu1", "account host mx1-eu1.ppe-hosted.com", `account name "The Customer"`,
		"user discovered seen@customer.example",
		"fault set slow 2s --first 3", "fault set greylisted 10m --sender alice@customer.example", "fault set ip-blocked --client 203.0.113.0/24 --nth 2",
		"net drop 25", "dns servfail",
	)
	lines := Format(acc)
	back := &Account{}
	if _, err := ApplyAll(back, lines, t0); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(acc, back) {
		t.Errorf("the account came back changed:\n%s\n%s", strings.Join(lines, "\n"), strings.Join(Format(back), "\n"))
	}
	if again := Format(back); !reflect.DeepEqual(lines, again) {
		t.Errorf("written again it differs:\n%v\n%v", lines, again)
	}
	if c := acc.Clone(); !reflect.DeepEqual(acc, c) {
		t.Error("a clone differs")
	}
}

func TestFormatClientRoundTrip(t *testing.T) {
	w := &World{Account: NewAccount("")}
	for _, l := range []string{
		"client host outbound-us1.ppe-hosted.com", "client port 587", "client address 203.0.113.9", "client starttls on",
		"client implicit-tls on", "client max-tls 1.1", "client auth on", "client user u", `client password "p #&"`,
		"client mechanisms PLAIN,LOGIN", "client sender a@b.example", "client recipient c@d.example", "client recipients 3",
		"client size 9", "client sent 501", "client forwards group", "client system script", "client pool on", "client route direct",
		"client clock -8760h", "client slow on", "client parallel on", "client tester openssl",
	} {
		if _, err := w.Apply(l, t0); err != nil {
			t.Fatal(err)
		}
	}
	back := &World{Account: NewAccount("")}
	if _, err := back.ApplyAll(FormatClient(w.Client), t0); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(w, back) {
		t.Errorf("the client came back changed:\n%+v\n%+v", w.Client, back.Client)
	}
}

func TestUnknownWordsAreErrorsWithAHint(t *testing.T) {
	for _, tt := range []struct{ line, hint string }{
		{"domian add x.example", "one of: domain"},
		{"domain", "one of: add"},
		{"domain drop x.example", "one of: add"},
		{"domain add", "write: domain add"},
		{"domain add nodot", "customer.example"},
		{"domain add x.example --inbuond", "write: domain add"},
		{"domain add x.example --inbound --inbound", "twice"},
		{"domain add customer.example", "there already"},
		{"domain set customer.example colour on", "force-auth"},
		{"domain set customer.example outbound maybe", "neither on nor off"},
		{"domain set other.example outbound on", "domain list"},
		{"user add alice", "alice@customer.example"},
		{"user add z@customer.example --kind robot", "silent_user"},
		{"user add sales@customer.example", "belongs to"},
		{"user rm nobody@customer.example", "user list"},
		{"cred new", "write: cred new"},
		{`cred new ""`, "label"},
		{"cred rm c9", "cred list"},
		{"cred put c1 x --user u --hash 1:00:00", "there already"},
		{"sender add nowhere", "o365"},
		{"sender add 192.0.2.10", "listed already"},
		{"sender rm 203.0.113.9", "sender list"},
		{"limit set lunch 3", "recipients"},
		{"limit set 10m many", "whole number"},
		{"propagation set soon", "60m"},
		{"clock 60m", "+60m"},
		{"clock +-60m", "+60m"},
		{"fault set gremlins", "fault list"},
		{"fault set slow", "needs DURATION"},
		{"fault set slow fast", "2s"},
		{"fault set screening-busy lunch", "server-ports or resources"},
		{"fault set reset-at LUNCH", "RCPT"},
		{"fault set greylisted --first 0", "from 1"},
		{"fault clear gremlins", "fault list"},
		{"net eat", "drop 25"},
		{"dns", "nxdomain"},
		{"dialect set klingon", "hide-auth"},
		{"account region mars", "eu1"},
		{`cred new "open`, "not closed"},
		{"client colour red", "one of: host"},
		{"client port many", "write: client port"},
		{"client port", "write: client port"},
		{"client port 0", "between 1 and 65535"},
		{"client route away", "direct"},
	} {
		w := &World{Account: testAccount(t)}
		before := Format(w.Account)
		_, err := w.Apply(tt.line, t0)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%q: %v, want a SyntaxError", tt.line, err)
			continue
		}
		if !strings.Contains(err.Error(), tt.hint) {
			t.Errorf("%q: %v, want a hint with %q", tt.line, err, tt.hint)
		}
		if !reflect.DeepEqual(before, Format(w.Account)) || !reflect.DeepEqual(w.Client, Client{}) {
			t.Errorf("%q: an error changed something", tt.line)
		}
	}
}

func TestLists(t *testing.T) {
	acc := testAccount(t, "user invalid bob@second.example", "cred rm c1", "domain set customer.example discovery on")
	if _, err := ApplyAll(acc, []string{"cred new fresh --user f@customer.example --password p", "domain add new.example"}, t0.Add(-19*time.Minute)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ line, want string }{
		{"cred list", "c1  printer  scanner@customer.example  created 2026-11-21T07:40:00Z  deleted"},
		{"cred list", "c2  fresh  f@customer.example  created 2026-11-23T07:21:00Z  pending 41m"},
		{"user list", "alice@customer.example  end_user  live  aliases sales@customer.example"},
		{"user list", "bob@second.example  end_user  marked invalid"},
		{"domain list", "customer.example  inbound on  outbound on  force-auth off  discovery on  verified  live"},
		{"domain list", "new.example  inbound off  outbound off  force-auth off  discovery off  verified  pending 41m"},
		{"sender list", "192.0.2.10/32  live"},
		{"limit list", "size 104857600  (the service's own)"},
		{"fault list", "  sasl-down              the authentication back end is down"},
	} {
		res, err := Apply(acc, tt.line, t0)
		if err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(res.Lines, "\n"); !strings.Contains(all, tt.want) {
			t.Errorf("%s: no line %q in\n%s", tt.line, tt.want, all)
		}
	}
}

func TestDiscoveryWritesDownAndExpires(t *testing.T) {
	acc := testAccount(t, "domain set customer.example discovery on")
	in := login("scanner@customer.example", "pw1")
	dialogue := append(in, mail("new@customer.example", outside)...)
	if _, id := talk(acc, 587, "203.0.113.9", t0, dialogue...); id != "C8" {
		t.Fatalf("with Discovery on: %s", id)
	}
	if len(acc.Discovered) != 1 || acc.Discovered[0].Address != "new@customer.example" {
		t.Fatalf("discovered: %v", acc.Discovered)
	}
	if _, id := talk(acc, 587, "203.0.113.9", t0.Add(DiscoveryExpiry-time.Second), dialogue...); id != "C8" {
		t.Errorf("before three weeks: %s", id)
	}
	if len(acc.Discovered) != 1 {
		t.Errorf("written down twice: %v", acc.Discovered)
	}
	if _, id := talk(acc, 587, "203.0.113.9", t0.Add(DiscoveryExpiry), dialogue...); id != "C0" {
		t.Errorf("after three weeks unconfirmed: %s, want C0", id)
	}
	if _, err := Apply(acc, "user add new@customer.example", t0.Add(DiscoveryExpiry)); err != nil {
		t.Fatal(err)
	}
	if _, id := talk(acc, 587, "203.0.113.9", t0.Add(DiscoveryExpiry+time.Hour), dialogue...); id != "C8" {
		t.Errorf("confirmed: %s", id)
	}
}

func TestTriggers(t *testing.T) {
	acc := testAccount(t, "fault set sasl-down --first 2", "fault set greylisted --recipient slow@recipient.example", "fault set rate-limited --sender sales@customer.example", "fault set conn-limit --client 203.0.113.0/24", "fault set starttls-454 --nth 3")
	in := login("scanner@customer.example", "pw1")
	for _, tt := range []struct {
		name    string
		attempt int
		port    int
		client  string
		say     []Command
		rule    RuleID
	}{
		{"first of two", 1, 587, "192.0.2.10", in, "U8"},
		{"second of two", 2, 587, "192.0.2.10", in, "U8"},
		{"after two", 4, 587, "192.0.2.10", in, "U6"},
		{"the third", 3, 587, "192.0.2.10", in[:2], "T4"},
		{"the recipient", 9, 587, "192.0.2.10", append(in, mail("alice@customer.example", "slow@recipient.example")...), "I8"},
		{"another recipient", 9, 587, "192.0.2.10", append(in, mail("alice@customer.example", outside)...), "C8"},
		{"the sender", 9, 587, "192.0.2.10", append(in, mail("sales@customer.example", outside)...), "C7"},
		{"the client", 9, 25, "203.0.113.7", []Command{{Verb: Connect}}, "K3"},
		{"another client", 9, 25, "192.0.2.10", []Command{{Verb: Connect}}, "G1"},
	} {
		s := &Session{Port: tt.port, Attempt: tt.attempt}
		s.Client = mustAddr(tt.client)
		var id RuleID
		for _, c := range tt.say {
			_, id = Step(acc, s, c, t0)
		}
		if id != tt.rule {
			t.Errorf("%s: %s, want %s", tt.name, id, tt.rule)
		}
	}
}

func TestLimitsAndCounts(t *testing.T) {
	acc := testAccount(t, "domain set customer.example discovery on", "limit set size 1KB")
	rcpt := Command{Verb: Rcpt, Address: outside}
	base := Session{Port: 587, Secure: true, Login: "c1", InMail: true, Sender: "alice@customer.example", Client: mustAddr("203.0.113.9")}
	for _, tt := range []struct {
		name string
		set  func(*Session)
		c    Command
		rule RuleID
	}{
		{"message 500", func(s *Session) { s.Recent10m = 499 }, rcpt, "C8"},
		{"message 501", func(s *Session) { s.Recent10m = 500 }, rcpt, "C7"},
		{"message 2501 of the day", func(s *Session) { s.RecentDay = 2500 }, rcpt, "C7"},
		{"unregistered, message 501", func(s *Session) { s.Sender, s.Recent10m = "n@customer.example", 500 }, rcpt, "C8"},
		{"unregistered, 2001 of the domain", func(s *Session) { s.Sender, s.Domain10m = "n@customer.example", 2000 }, rcpt, "C7"},
		{"recipient 1000", func(s *Session) { s.Accepted = 999 }, rcpt, "C8"},
		{"recipient 1001", func(s *Session) { s.Accepted = 1000 }, rcpt, "D2"},
		{"just small enough", func(s *Session) { s.Accepted, s.DataBytes = 1, 1024 }, Command{Verb: EndData}, "D4"},
		{"too big", func(s *Session) { s.Accepted, s.DataBytes = 1, 1025 }, Command{Verb: EndData}, "D1"},
		{"error 20", func(s *Session) { s.Errors = 19 }, rcpt, "C8"},
		{"error 21", func(s *Session) { s.Errors = 20 }, rcpt, "K5"},
		{"throttled", func(s *Session) { s.Port, s.Sender, s.InboundMin = 25, "x@y.example", 200 }, Command{Verb: Rcpt, Address: "alice@customer.example"}, "I6"},
	} {
		s := base
		tt.set(&s)
		if _, id := Decide(acc, &s, tt.c, t0); id != tt.rule {
			t.Errorf("%s: %s, want %s", tt.name, id, tt.rule)
		}
	}
}

func TestKeywords(t *testing.T) {
	acc := testAccount(t)
	for _, tt := range []struct {
		port   int
		secure bool
		want   string
	}{
		{25, false, "PIPELINING,SIZE 104857600,VRFY,ETRN,STARTTLS,ENHANCEDSTATUSCODES,8BITMIME,DSN,SMTPUTF8,CHUNKING"},
		{25, true, "PIPELINING,SIZE 104857600,VRFY,ETRN,ENHANCEDSTATUSCODES,8BITMIME,DSN,SMTPUTF8,CHUNKING"},
		{587, false, "PIPELINING,SIZE 104857600,VRFY,ETRN,STARTTLS,ENHANCEDSTATUSCODES,8BITMIME,DSN,SMTPUTF8,CHUNKING"},
		{587, true, "PIPELINING,SIZE 104857600,VRFY,ETRN,AUTH PLAIN LOGIN,ENHANCEDSTATUSCODES,8BITMIME,DSN,SMTPUTF8,CHUNKING"},
	} {
		if got := strings.Join(Keywords(acc, &Session{Port: tt.port, Secure: tt.secure}), ","); got != tt.want {
			t.Errorf("%d secure %v: %s, want %s", tt.port, tt.secure, got, tt.want)
		}
	}
}

func TestOtherRegionKnowsNobody(t *testing.T) {
	acc := testAccount(t, "account region eu1")
	for _, tt := range []struct {
		region string
		port   int
		say    []Command
		rule   RuleID
	}{
		{"us1", 587, login("scanner@customer.example", "pw1"), "U1"},
		{"eu1", 587, login("scanner@customer.example", "pw1"), "U6"},
		{"us1", 25, append([]Command{{Verb: EHLO, Arg: "c"}}, mail("alice@customer.example", outside)...), "P1"},
	} {
		s := &Session{Port: tt.port, Region: tt.region, Client: mustAddr("192.0.2.10")}
		var id RuleID
		for _, c := range tt.say {
			_, id = Step(acc, s, c, t0)
		}
		if id != tt.rule {
			t.Errorf("%s, port %d: %s, want %s", tt.region, tt.port, id, tt.rule)
		}
	}
}

func TestWarnings(t *testing.T) {
	acc := testAccount(t, "cred new app --user app@customer.example --password p")
	got := strings.Join(acc.Warnings(t0), "\n")
	for _, want := range []string{"app@customer.example (A19)", "(A11)"} {
		if !strings.Contains(got, want) {
			t.Errorf("no warning with %q in %q", want, got)
		}
	}
	if strings.Contains(got, "scanner@") {
		t.Errorf("warned about a credential whose user exists: %q", got)
	}
}

func FuzzApply(f *testing.F) {
	for i := range grammar {
		f.Add(grammar[i].Words + " " + grammar[i].Args)
	}
	for _, l := range Format(testAccount(f, "net drop 25", "cred new \"a b\"")) {
		f.Add(l)
	}
	f.Add(`cred new "x \" y" --password "#"`)
	f.Fuzz(func(t *testing.T, line string) {
		w := &World{Account: testAccount(t)}
		if _, err := w.Apply(line, t0); err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("%q: %v is no SyntaxError", line, err)
			}
			return
		}
		lines := Format(w.Account)
		back := &Account{}
		if _, err := ApplyAll(back, lines, t0); err != nil {
			t.Fatalf("%q: written back, not read: %v", line, err)
		}
		if again := Format(back); !reflect.DeepEqual(lines, again) {
			t.Fatalf("%q: %v\n%v", line, lines, again)
		}
	})
}
