package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Client is the sending system as the grammar's "client" statements set it: the
// other half of a scenario. The relay does not look at it; a probe's flags or a
// simulated sender are made from it.
type Client struct {
	Host       string // the configured relay name
	Port       int
	Address    netip.Addr // public source address
	StartTLS   bool       // uses STARTTLS, and insists on it when Auth is set
	Implicit   bool       // speaks TLS from the first byte
	MaxTLS     string     // highest version it can speak, "1.3"
	Auth       bool       // wants to log in
	Username   string
	Password   string
	Mechanisms []string
	Sender     string // envelope sender; empty: the null sender
	Recipient  string
	Recipients int   // in one message
	Size       int64 // bytes of the message, declared
	Sent       int   // messages of this sender in the last 10 minutes
	// Forwards says why the sender is a stranger: "rule" for a mailbox rule that
	// forwards, "group" for a distribution group with outside members; empty:
	// the mail was written here.
	Forwards string
	System   string // "exchange-online", "script"; empty: a mail server with a queue
	Pool     bool   // Exchange Online sent it through its relay pool
	Route    string // "relay"; "direct" past the relay; "none": stopped by the sending system itself
	Clock    time.Duration
	Slow     bool   // pauses longer than the server's patience
	Parallel bool   // opens more connections at once than the server allows
	Tester   string // a test program that breaks its own test, "openssl"
}

// World is a scenario: the account with the faults of the road, and the client.
type World struct {
	Account *Account
	Client  Client
}

// Clone returns a copy that shares nothing that can be written through it.
func (w *World) Clone() *World {
	c := *w
	c.Account = w.Account.Clone()
	c.Client.Mechanisms = slices.Clone(w.Client.Mechanisms)
	return &c
}

// Apply carries out a statement on the client, if it begins with "client", and
// on the account otherwise.
func (w *World) Apply(line string, now time.Time) (Result, error) {
	words, err := tokens(line)
	if err == nil && len(words) > 0 && words[0].text == "client" {
		return Result{}, w.Client.apply(words[1:], line)
	}
	return Apply(w.Account, line, now)
}

// ApplyAll carries out statements until the first error; "clock" moves now for
// those that follow, and the moved time is returned.
func (w *World) ApplyAll(lines []string, now time.Time) (time.Time, error) {
	for _, l := range lines {
		res, err := w.Apply(l, now)
		if err != nil {
			return now, err
		}
		now = now.Add(res.Advance)
	}
	return now, nil
}

// clientStatement is one form of "client …".
type clientStatement struct {
	word string
	args string
	says string
	set  func(c *Client, arg string) error
}

func clientSwitch(field func(*Client) *bool) func(*Client, string) error {
	return func(c *Client, arg string) error {
		on, err := onOff(arg)
		if err == nil {
			*field(c) = on
		}
		return err
	}
}

func clientText(field func(*Client) *string) func(*Client, string) error {
	return func(c *Client, arg string) error {
		*field(c) = arg
		return nil
	}
}

func clientNumber(field func(*Client) *int, least, most int) func(*Client, string) error {
	return func(c *Client, arg string) error {
		n, err := number(arg)
		if err != nil {
			return err
		}
		if n < least || n > most {
			return fmt.Errorf("%d is not between %d and %d", n, least, most)
		}
		*field(c) = n
		return nil
	}
}

func clientWord(field func(*Client) *string, words ...string) func(*Client, string) error {
	return func(c *Client, arg string) error {
		if !slices.Contains(words, arg) {
			return fmt.Errorf("%q is none of %s", arg, strings.Join(words, ", "))
		}
		*field(c) = arg
		return nil
	}
}

var clientStatements = []clientStatement{
	{"host", "NAME", "the relay name that is configured", clientText(func(c *Client) *string { return &c.Host })},
	{"port", "25|587|465", "the port it connects to", clientNumber(func(c *Client) *int { return &c.Port }, 1, 65535)},
	{"address", "IP", "its public address", func(c *Client, arg string) error {
		a, err := netip.ParseAddr(arg)
		if err != nil {
			return fmt.Errorf("%q is no address; write 203.0.113.9", arg)
		}
		c.Address = a.Unmap()
		return nil
	}},
	{"starttls", "on|off", "uses STARTTLS", clientSwitch(func(c *Client) *bool { return &c.StartTLS })},
	{"implicit-tls", "on|off", "speaks TLS from the first byte", clientSwitch(func(c *Client) *bool { return &c.Implicit })},
	{"max-tls", "1.0|1.1|1.2|1.3", "the highest TLS it can speak", clientWord(func(c *Client) *string { return &c.MaxTLS }, "1.0", "1.1", "1.2", "1.3")},
	{"auth", "on|off", "logs in", clientSwitch(func(c *Client) *bool { return &c.Auth })},
	{"user", "U", "the user name it logs in with", clientText(func(c *Client) *string { return &c.Username })},
	{"password", "P", "the password it logs in with", clientText(func(c *Client) *string { return &c.Password })},
	{"mechanisms", "PLAIN,LOGIN", "the AUTH mechanisms it can do", func(c *Client, arg string) error {
		c.Mechanisms = strings.Split(strings.ToUpper(arg), ",")
		return nil
	}},
	{"sender", "A|<>", "the envelope sender", func(c *Client, arg string) error {
		if arg == "<>" {
			c.Sender = ""
			return nil
		}
		c.Sender = arg
		return checkAddress(arg)
	}},
	{"recipient", "A", "the recipient", func(c *Client, arg string) error {
		c.Recipient = arg
		return checkAddress(arg)
	}},
	{"recipients", "N", "how many recipients one message has", clientNumber(func(c *Client) *int { return &c.Recipients }, 1, 1_000_000)},
	{"size", "BYTES", "how big the message is", func(c *Client, arg string) error {
		n, err := number(arg)
		c.Size = int64(n)
		return err
	}},
	{"sent", "N", "how many messages this sender sent in the last 10 minutes", clientNumber(func(c *Client) *int { return &c.Sent }, 0, 1_000_000)},
	{"forwards", "rule|group", "passes a stranger's mail on: a mailbox rule, or a group with outside members", clientWord(func(c *Client) *string { return &c.Forwards }, "rule", "group")},
	{"system", "exchange-online|script", "what kind of system it is", clientWord(func(c *Client) *string { return &c.System }, "exchange-online", "script")},
	{"pool", "on|off", "Exchange Online sends through its relay pool", clientSwitch(func(c *Client) *bool { return &c.Pool })},
	{"route", "relay|direct|none", "hands mail to the relay, past it, or stops it itself", clientWord(func(c *Client) *string { return &c.Route }, "relay", "direct", "none")},
	{"clock", "DURATION", "how far its own clock is off, -8760h for a year slow", func(c *Client, arg string) error {
		d, err := time.ParseDuration(arg)
		if err != nil {
			return fmt.Errorf("%q is not a duration; write -8760h", arg)
		}
		c.Clock = d
		return nil
	}},
	{"slow", "on|off", "pauses longer than the server waits", clientSwitch(func(c *Client) *bool { return &c.Slow })},
	{"parallel", "on|off", "opens more connections at once than the server allows", clientSwitch(func(c *Client) *bool { return &c.Parallel })},
	{"tester", "openssl", "is a test program that breaks its own test", clientWord(func(c *Client) *string { return &c.Tester }, "openssl")},
}

func (c *Client) apply(words []token, line string) error {
	var known []string
	for _, st := range clientStatements {
		known = append(known, st.word)
		if len(words) == 0 || st.word != words[0].text {
			continue
		}
		if len(words) != 2 {
			return &SyntaxError{Statement: line, Problem: "one word is wanted after " + st.word, Hint: "write: client " + st.word + " " + st.args}
		}
		changed := *c
		if err := st.set(&changed, words[1].text); err != nil {
			return &SyntaxError{Statement: line, Problem: err.Error(), Hint: "write: client " + st.word + " " + st.args}
		}
		*c = changed
		return nil
	}
	problem := "\"client\" needs a second word"
	if len(words) > 0 {
		problem = fmt.Sprintf("unknown word %q after \"client\"", words[0].text)
	}
	return &SyntaxError{Statement: line, Problem: problem, Hint: "one of: " + strings.Join(known, ", ")}
}

// ClientGrammar lists the "client" statements.
func ClientGrammar() []Usage {
	out := make([]Usage, len(clientStatements))
	for i, st := range clientStatements {
		out[i] = Usage{Words: "client " + st.word, Args: st.args, Says: st.says}
	}
	return out
}

// FormatClient writes the client as statements that make the same one from the
// zero Client.
func FormatClient(c Client) []string {
	var out []string
	add := func(word, arg string) { out = append(out, "client "+word+" "+Quote(arg)) }
	text := func(word, v string) {
		if v != "" {
			add(word, v)
		}
	}
	num := func(word string, n int64) {
		if n != 0 {
			add(word, fmt.Sprint(n))
		}
	}
	on := func(word string, v bool) {
		if v {
			add(word, "on")
		}
	}
	text("host", c.Host)
	num("port", int64(c.Port))
	if c.Address.IsValid() {
		add("address", c.Address.String())
	}
	on("starttls", c.StartTLS)
	on("implicit-tls", c.Implicit)
	text("max-tls", c.MaxTLS)
	on("auth", c.Auth)
	text("user", c.Username)
	text("password", c.Password)
	text("mechanisms", strings.Join(c.Mechanisms, ","))
	text("sender", c.Sender)
	text("recipient", c.Recipient)
	num("recipients", int64(c.Recipients))
	num("size", c.Size)
	num("sent", int64(c.Sent))
	text("forwards", c.Forwards)
	text("system", c.System)
	on("pool", c.Pool)
	text("route", c.Route)
	if c.Clock != 0 {
		add("clock", c.Clock.String())
	}
	on("slow", c.Slow)
	on("parallel", c.Parallel)
	text("tester", c.Tester)
	return out
}

// synonyms are statements about the network, the names and the next server in
// words of the road; each sets a fault.
var synonyms = []struct {
	words string // fixed words, one to three
	fault string // what "fault set" gets
	says  string
}{
	{"net drop 25", "port25-blocked", "connections to 25 hang"},
	{"net drop 587", "port587-blocked", "connections to 587 hang"},
	{"net refuse", "port-refused", "connections are refused at once"},
	{"net silent", "banner-silent", "the connection opens and no byte comes"},
	{"net close", "banner-drop", "the connection opens and is closed before the greeting"},
	{"net reset", "reset-at", "the connection is reset when this verb comes"},
	{"net lose data", "drop-in-data", "the connection is lost inside the message"},
	{"net lose dot", "drop-after-dot", "the connection is lost between the final dot and its reply"},
	{"net strip", "starttls-stripped", "STARTTLS is taken out of EHLO"},
	{"net mask", "banner-masked", "a firewall masks the dialogue"},
	{"net tls garbage", "tls-garbage", "plaintext comes in place of the handshake"},
	{"net tls close", "tls-close", "the connection is closed in place of the handshake"},
	{"net tls reset", "tls-reset", "the connection is reset in place of the handshake"},
	{"net tls hang", "tls-hang", "nothing comes in place of the handshake"},
	{"net intercept", "cert-unknown-ca", "an interceptor shows its own certificate"},
	{"net slow", "slow", "every reply is late"},
	{"dns nxdomain", "name-typo", "the resolver says that the name does not exist"},
	{"dns servfail", "dns-broken servfail", "the resolver fails"},
	{"dns timeout", "dns-broken timeout", "the resolver is silent"},
	{"dns other", "not-the-relay", "the name leads to another mail server"},
	{"dns self", "loop-to-self", "the name leads to the sender's own mail server"},
	{"next refuse", "downstream-refuses", "the next server refuses the mail"},
	{"next spf", "downstream-refuses spf", "the next server refuses the mail for the sender's SPF"},
	{"next unreachable", "downstream-unreachable", "the relay cannot reach the next server"},
	{"next defer", "downstream-deferred", "the next server puts the mail off"},
}

// RoadGrammar lists the statements about network, names and the next server.
func RoadGrammar() []Usage {
	out := make([]Usage, len(synonyms))
	for i, s := range synonyms {
		name, _, _ := strings.Cut(s.fault, " ")
		k, _ := FaultKindOf(name)
		args := ""
		if k.Args != "" && name == s.fault {
			args = k.Args
		}
		out[i] = Usage{Words: s.words, Args: args, Says: s.says}
	}
	return out
}

// road rewrites a statement about the road as the "fault set" that it means;
// other statements come back as they are.
func road(words []token) ([]token, error) {
	first := words[0].text
	if first != "net" && first != "dns" && first != "next" {
		return words, nil
	}
	var known []string
	for _, s := range synonyms {
		fixed := strings.Fields(s.words)
		if fixed[0] != first {
			continue
		}
		known = append(known, strings.Join(fixed[1:], " "))
		if len(words) < len(fixed) || !slices.EqualFunc(fixed, words[:len(fixed)], func(f string, t token) bool { return f == t.text }) {
			continue
		}
		out := []token{{text: "fault"}, {text: "set"}}
		for _, w := range strings.Fields(s.fault) {
			out = append(out, token{text: w})
		}
		return append(out, words[len(fixed):]...), nil
	}
	return nil, fmt.Errorf("unknown words after %q; one of: %s", first, strings.Join(known, ", "))
}
