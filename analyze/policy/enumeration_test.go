package policy

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files again")

// choice is one value of a dimension of the enumeration: a name, what is set
// long ago, what is set ten minutes ago, and what the client does.
type choice struct {
	name string
	set  []string
	late []string
	do   func(*situation)
}

type situation struct {
	port         int
	tls          bool
	client       string
	password     string
	sender, rcpt string
	recent       int
	login        string
}

var dimensions = []struct {
	name    string
	choices []choice
}{
	{"port", []choice{
		{name: "25", do: func(s *situation) { s.port = 25 }},
		{name: "587", do: func(s *situation) { s.port = 587 }},
	}},
	{"tls", []choice{
		{name: "clear"},
		{name: "tls", do: func(s *situation) { s.tls = true }},
	}},
	{"auth", []choice{
		{name: "none"},
		{name: "good", do: func(s *situation) { s.login, s.password = "scanner@customer.example", "pw1" }},
		{name: "unknown", do: func(s *situation) { s.login, s.password = "printer", "pw1" }},
		{name: "wrong", do: func(s *situation) { s.login, s.password = "scanner@customer.example", "pw2" }},
		{name: "deleted", set: []string{"cred new old --user old@customer.example --password pw1", "cred rm old"}, do: func(s *situation) { s.login, s.password = "old@customer.example", "pw1" }},
		{name: "fresh", late: []string{"cred new fresh --user fresh@customer.example --password pw1"}, do: func(s *situation) { s.login, s.password = "fresh@customer.example", "pw1" }},
	}},
	{"source", []choice{
		{name: "listed", do: func(s *situation) { s.client = "192.0.2.10" }},
		{name: "unlisted", do: func(s *situation) { s.client = "203.0.113.9" }},
	}},
	{"force", []choice{
		{name: "free"},
		{name: "forced", set: []string{"domain set customer.example force-auth on"}},
	}},
	{"recipient", []choice{
		{name: "outside", do: func(s *situation) { s.rcpt = outside }},
		{name: "own", do: func(s *situation) { s.rcpt = "bob@second.example" }},
		{name: "own-unknown", do: func(s *situation) { s.rcpt = "nobody@second.example" }},
	}},
}

var senders = []choice{
	{name: "user", do: from("alice@customer.example")},
	{name: "alias", do: from("sales@customer.example")},
	{name: "functional", do: from("scanner@customer.example")},
	{name: "silent", do: from("bot@customer.example")},
	{name: "unknown", do: from("nobody@customer.example")},
	{name: "removed", set: []string{"user rm alice@customer.example"}, do: from("alice@customer.example")},
	{name: "fresh", late: []string{"user add new@customer.example"}, do: from("new@customer.example")},
	{name: "invalid", set: []string{"user invalid alice@customer.example"}, do: from("alice@customer.example")},
	{name: "over-limit", do: func(s *situation) { s.sender, s.recent = "alice@customer.example", 500 }},
	{name: "outbound-off", set: []string{"domain set customer.example outbound off"}, do: from("alice@customer.example")},
	{name: "inbound-off", set: []string{"domain set customer.example inbound off"}, do: from("alice@customer.example")},
	{name: "unverified", set: []string{"domain set customer.example verified off"}, do: from("alice@customer.example")},
	{name: "domain-fresh", set: []string{"domain set customer.example outbound off"}, late: []string{"domain set customer.example outbound on"}, do: from("alice@customer.example")},
	{name: "stranger", do: from("x@stranger.example")},
	{name: "null", do: from("")},
}

func from(a string) func(*situation) { return func(s *situation) { s.sender = a } }

// outcome plays the dialogue of a situation: the rule of the first refusal, and
// of the recipient's answer if the client went on and that is another.
func outcome(acc *Account, sit situation) (first RuleID, reply Reply, last RuleID) {
	s := &Session{Port: sit.port, Client: mustAddr(sit.client)}
	say := func(c Command) bool {
		r, id := Step(acc, s, c, t0)
		last = id
		if first == "" && (r.Code >= 400 || c.Verb == Rcpt) {
			first, reply = id, r
		}
		return r.Code < 400
	}
	say(Command{Verb: Connect})
	say(Command{Verb: EHLO, Arg: "c.example"})
	if sit.tls {
		say(Command{Verb: StartTLS})
		say(Command{Verb: EHLO, Arg: "c.example"})
	}
	if sit.login != "" {
		say(Command{Verb: Auth, Mechanism: "PLAIN", Username: sit.login, Password: sit.password})
	}
	s.Recent10m = sit.recent
	if !say(Command{Verb: Mail, Address: sit.sender}) {
		return first, reply, last
	}
	say(Command{Verb: Rcpt, Address: sit.rcpt})
	return first, reply, last
}

// TestEnumeration decides every combination of settings, clients and messages
// and compares with the golden file, which also counts how few replies stand
// for how many rules.
func TestEnumeration(t *testing.T) {
	var b strings.Builder
	type key struct {
		code     int
		enhanced string
		words    string
	}
	rules := map[key]map[RuleID]int{}
	combinations := 0
	var combine func(i int, names, set, late []string, do []func(*situation))
	var rows []string
	combine = func(i int, names, set, late []string, do []func(*situation)) {
		if i < len(dimensions) {
			for _, c := range dimensions[i].choices {
				combine(i+1, append(slices.Clip(names), c.name), append(slices.Clip(set), c.set...), append(slices.Clip(late), c.late...), append(slices.Clip(do), c.do))
			}
			return
		}
		for _, discovery := range []bool{false, true} {
			word := "no-discovery"
			if discovery {
				word = "discovery"
			}
			cells := make([]string, 0, len(senders))
			for _, sender := range senders {
				lines := append(slices.Clip(set), sender.set...)
				if discovery {
					lines = append(lines, "domain set customer.example discovery on")
				}
				acc := testAccount(t, lines...)
				if _, err := ApplyAll(acc, append(slices.Clip(late), sender.late...), t0.Add(-10*time.Minute)); err != nil {
					t.Fatal(err)
				}
				var sit situation
				for _, f := range append(slices.Clip(do), sender.do) {
					if f != nil {
						f(&sit)
					}
				}
				first, reply, last := outcome(acc, sit)
				combinations++
				cell := string(first)
				if last != first {
					cell += ">" + string(last)
				}
				cells = append(cells, cell)
				k := key{reply.Code, reply.Enhanced, words(reply.Text)}
				if rules[k] == nil {
					rules[k] = map[RuleID]int{}
				}
				rules[k][first]++
			}
			rows = append(rows, strings.Join(append(append(slices.Clip(names), word, "|"), cells...), " "))
		}
	}
	combine(0, nil, nil, nil, nil)

	fmt.Fprintf(&b, "# %d combinations of port, TLS, AUTH, source, Force SMTP AUTH, recipient, SMTP Discovery and sender.\n", combinations)
	fmt.Fprintf(&b, "# A cell is the rule of the first refusal; after > the recipient's, when the client went on.\n#\n")
	fmt.Fprintf(&b, "# %d distinct replies:\n", len(rules))
	var lines []string
	for k, ids := range rules {
		var list []string
		for id := range ids {
			list = append(list, string(id))
		}
		slices.Sort(list)
		lines = append(lines, fmt.Sprintf("# %d %s %s: %d rules: %s", k.code, k.enhanced, k.words, len(list), strings.Join(list, " ")))
	}
	slices.Sort(lines)
	b.WriteString(strings.Join(lines, "\n") + "\n#\n# senders:")
	for _, s := range senders {
		b.WriteString(" " + s.name)
	}
	b.WriteString("\n" + strings.Join(rows, "\n") + "\n")
	golden(t, "enumeration.txt", b.String())
}

// words cuts the address from the front of a reply, so that equal words count
// once.
func words(text string) string {
	if strings.HasPrefix(text, "<") {
		if _, after, ok := strings.Cut(text, ">: "); ok {
			return after
		}
	}
	return text
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Fatalf("%s:%d: got\n%s\nwant\n%s\n(go test -update writes it again)", path, i+1, g[i], w[i])
		}
	}
	t.Fatalf("%s: %d lines, want %d (go test -update writes it again)", path, len(g), len(w))
}

// TestRelayDeniedStandsForManyRules keeps the finding that the whole diagnosis
// rests on: one phrase, seventeen rules in words, fifteen with code 5.7.1.
func TestRelayDeniedStandsForManyRules(t *testing.T) {
	count := map[string]map[string]bool{}
	for _, r := range Table() {
		for _, port := range []string{"25", "587"} {
			if r.Port != 0 && fmt.Sprint(r.Port) != port {
				continue
			}
			if strings.Contains(strings.ToLower(r.Reply.Text), "relay access denied") {
				k := r.Reply.Enhanced
				if count[k] == nil {
					count[k] = map[string]bool{}
				}
				count[k][string(r.ID)+"@"+port] = true // once on each port
			}
		}
	}
	if got := len(count["5.7.1"]); got != 15 {
		t.Errorf("relay access denied with 5.7.1 stands for %d rules, want 15: %v", got, count["5.7.1"])
	}
	if got := len(count["5.5.0"]); got != 2 {
		t.Errorf("relay access denied with 5.5.0 stands for %d rules, want 2: %v", got, count["5.5.0"])
	}
}

func TestEveryRowNamesItsBasis(t *testing.T) {
	carried := map[string]bool{}
	for _, r := range Table() {
		if r.Says == "" || len(r.Basis) == 0 {
			t.Errorf("row %s says or cites nothing", r.ID)
		}
		for _, b := range r.Basis {
			if _, ok := Source(b); !ok {
				t.Errorf("row %s cites %q, which is no source", r.ID, b)
			}
			carried[b] = true
		}
	}
	// These statements are about the console and the mail, and no rule of a
	// session: administration, causes or advice carry them.
	for _, a := range Article() {
		if !carried[a.ID] && !slices.Contains([]string{"A2", "A6", "A7", "A8"}, a.ID) {
			t.Errorf("no row carries statement %s: %s", a.ID, a.Text)
		}
	}
}

func TestEveryRuleOfFaultsExists(t *testing.T) {
	for _, k := range FaultKinds() {
		if k.Rule == "" {
			continue
		}
		if _, ok := Rule(k.Rule); !ok {
			t.Errorf("fault %s names rule %s, which is none", k.Name, k.Rule)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	acc := testAccount(b)
	s := &Session{Port: 587, Secure: true, Login: "c1", InMail: true, Sender: "nobody@customer.example", Client: mustAddr("203.0.113.9")}
	c := Command{Verb: Rcpt, Address: outside}
	b.ReportAllocs()
	for b.Loop() {
		Decide(acc, s, c, t0)
	}
}
