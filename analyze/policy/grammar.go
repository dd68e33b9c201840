package policy

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Result is what a statement gives back beside its effect.
type Result struct {
	Lines   []string      // the answer of a list, one row a line
	Shown   *Shown        // user name and password of a new credential, once
	Advance time.Duration // of "clock +60m": the caller owns the clock
}

// SyntaxError is a statement that the grammar does not know.
type SyntaxError struct {
	Statement string
	Problem   string
	Hint      string // what to write instead
}

// Error says what is wrong and what to write.
func (e *SyntaxError) Error() string {
	s := fmt.Sprintf("%q: %s", e.Statement, e.Problem)
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Usage is one statement of the grammar, for help and completion.
type Usage struct {
	Words string // the fixed words, "domain add"
	Args  string // what follows, "D [--inbound] …"
	Says  string
}

// statement is one form of the grammar.
type statement struct {
	Usage
	least, most int // positional arguments
	options     []option
	do          func(*call) (Result, error)
}

type option struct {
	name  string
	value bool // takes a value
	many  bool // may be repeated
}

// call is one statement being carried out.
type call struct {
	acc  *Account
	now  time.Time
	args []string
	opts map[string][]string
}

func (c *call) has(name string) bool { _, ok := c.opts[name]; return ok }

func (c *call) opt(name string) string {
	if v := c.opts[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func (c *call) time(name string, fallback time.Time) (time.Time, error) {
	if !c.has(name) {
		return fallback, nil
	}
	t, err := time.Parse(time.RFC3339Nano, c.opt(name))
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no time; write 2026-11-23T07:40:00Z", c.opt(name))
	}
	return t.UTC(), nil
}

// Grammar lists every statement, in the order of the article's console.
func Grammar() []Usage {
	out := make([]Usage, len(grammar))
	for i := range grammar {
		out[i] = grammar[i].Usage
	}
	return out
}

// Options that several statements share; a state file uses them.
var (
	live    = option{name: "live", value: true}
	created = option{name: "created", value: true}
	deleted = option{name: "deleted", value: true}
)

var grammar = []statement{
	{
		Usage{"domain add", "D [--inbound] [--outbound] [--discovery] [--force-auth] [--unverified]", "add a domain"},
		1, 1,
		[]option{{name: "inbound"}, {name: "outbound"}, {name: "discovery"}, {name: "force-auth"}, {name: "unverified"}, live},
		domainAdd,
	},
	{Usage{"domain set", "D inbound|outbound|verified|force-auth|discovery on|off", "turn a switch of a domain"}, 3, 3, nil, domainSet},
	{
		Usage{"domain rm", "D", "take a domain out of the account"},
		1, 1, nil,
		func(c *call) (Result, error) { return Result{}, c.acc.RemoveDomain(c.args[0]) },
	},
	{Usage{"domain list", "", "list the domains"}, 0, 0, nil, domainList},
	{
		Usage{"user add", "A --kind end_user|silent_user|functional [--alias B]…", "add a user or functional account"},
		1, 1,
		[]option{{name: "kind", value: true}, {name: "alias", value: true, many: true}, created, live, deleted, {name: "invalid"}},
		userAdd,
	},
	{
		Usage{"user rm", "A", "delete a user"},
		1, 1, nil,
		func(c *call) (Result, error) { return Result{}, c.acc.RemoveUser(c.args[0], c.now) },
	},
	{Usage{"user invalid", "A [on|off]", "put an address on the Marked invalid list, or take it off"}, 1, 2, nil, userInvalid},
	{Usage{"user discovered", "A [--first T]", "an address that SMTP Discovery wrote down"}, 1, 1, []option{{name: "first", value: true}}, userDiscovered},
	{Usage{"user list", "", "list the users"}, 0, 0, nil, userList},
	{
		Usage{"cred new", "LABEL [--user U] [--password P]", "make a credential; shows its password once"},
		1, 1,
		[]option{{name: "user", value: true}, {name: "password", value: true}},
		credNew,
	},
	{
		Usage{"cred rm", "ID", "delete a credential"},
		1, 1, nil,
		func(c *call) (Result, error) { return Result{}, c.acc.DeleteCredential(c.args[0], c.now) },
	},
	{Usage{"cred list", "", "list the credentials, never their passwords"}, 0, 0, nil, credList},
	{
		Usage{"cred put", "ID LABEL --user U --hash ROUNDS:SALT:HASH --created T --active T [--deleted T --gone T]", "a credential as a state file keeps it"},
		2, 2,
		[]option{{name: "user", value: true}, {name: "hash", value: true}, created, {name: "active", value: true}, deleted, {name: "gone", value: true}},
		credPut,
	},
	{Usage{"cred rounds", "N", "hash passwords of new credentials N times"}, 1, 1, nil, credRounds},
	{Usage{"sender add", "ADDRESS|RANGE|o365|google", "list a sending server"}, 1, 1, []option{live}, senderAdd},
	{
		Usage{"sender rm", "ADDRESS|RANGE|o365|google", "take a sending server off the list"},
		1, 1, nil,
		func(c *call) (Result, error) { return Result{}, c.acc.RemoveSendingServer(c.args[0]) },
	},
	{Usage{"sender list", "", "list the sending servers"}, 0, 0, nil, senderList},
	{Usage{"limit set", "10m|24h|domain-10m|domain-24h|inbound|recipients|size N", "set a limit; 0 is the service's own, -1 none"}, 2, 2, nil, limitSet},
	{Usage{"limit list", "", "list the limits"}, 0, 0, nil, limitList},
	{Usage{"propagation set", "DURATION", "how long a change takes to be live"}, 1, 1, nil, propagationSet},
	{Usage{"sync", "on|off", "directory sync, which switches SMTP Discovery off"}, 1, 1, nil, func(c *call) (Result, error) {
		on, err := onOff(c.args[0])
		if err == nil {
			c.acc.DirectorySync = on
		}
		return Result{}, err
	}},
	{Usage{"dialect set", "hide-auth|submission-stock|invalid-as-rad|null-sender-ok|recipients-451|quota-prefix|auth-reason [TEXT]", "choose a text where the sources disagree"}, 1, 2, nil, dialectSet},
	{Usage{"dialect clear", "", "back to the table's texts"}, 0, 0, nil, func(c *call) (Result, error) {
		c.acc.Dialect = Dialect{}
		return Result{}, nil
	}},
	{Usage{"account name", "TEXT", "the organisation's name"}, 1, 1, nil, func(c *call) (Result, error) { c.acc.Name = c.args[0]; return Result{}, nil }},
	{Usage{"account host", "NAME", "how the server calls itself"}, 1, 1, nil, func(c *call) (Result, error) {
		if err := checkDomain(c.args[0]); err != nil {
			return Result{}, err
		}
		c.acc.Host = c.args[0]
		return Result{}, nil
	}},
	{Usage{"account region", "us1|eu1", "the stack that the account lives on"}, 1, 1, nil, func(c *call) (Result, error) {
		if c.args[0] != "us1" && c.args[0] != "eu1" {
			return Result{}, fmt.Errorf("no region %q; us1 or eu1", c.args[0])
		}
		c.acc.Region = c.args[0]
		return Result{}, nil
	}},
	{Usage{"clock", "+DURATION", "move the clock on"}, 1, 1, nil, clockMove},
	{
		Usage{"fault set", "NAME [ARG]… [--first N] [--nth N] [--sender A] [--recipient A] [--client RANGE]", "break something"},
		1, math.MaxInt,
		[]option{{name: "first", value: true}, {name: "nth", value: true}, {name: "sender", value: true}, {name: "recipient", value: true}, {name: "client", value: true}},
		faultSet,
	},
	{Usage{"fault clear", "[NAME]", "mend it, or everything"}, 0, 1, nil, faultClear},
	{Usage{"fault list", "", "list what can be broken; * is set"}, 0, 0, nil, faultList},
}

// Apply carries out one statement of the grammar on the account. An unknown
// word, a missing argument or an impossible change is an error with a hint, and
// the account is as it was. Empty lines and lines that begin with # do nothing.
func Apply(acc *Account, line string, now time.Time) (Result, error) {
	words, err := tokens(line)
	if err != nil {
		return Result{}, &SyntaxError{Statement: line, Problem: err.Error()}
	}
	if len(words) == 0 {
		return Result{}, nil
	}
	if words, err = road(words); err != nil {
		return Result{}, &SyntaxError{Statement: line, Problem: err.Error()}
	}
	st, rest, err := find(grammar, words, line)
	if err != nil {
		return Result{}, err
	}
	c := &call{acc: acc, now: now, opts: map[string][]string{}}
	if err := c.parse(st, rest); err != nil {
		return Result{}, &SyntaxError{Statement: line, Problem: err.Error(), Hint: "write: " + strings.TrimSpace(st.Words+" "+st.Args)}
	}
	res, err := st.do(c)
	if err != nil {
		return Result{}, &SyntaxError{Statement: line, Problem: err.Error()}
	}
	return res, nil
}

// ApplyAll carries out several statements and stops at the first error.
// "clock" statements move now for those that follow; the moved time is
// returned.
func ApplyAll(acc *Account, lines []string, now time.Time) (time.Time, error) {
	for _, l := range lines {
		res, err := Apply(acc, l, now)
		if err != nil {
			return now, err
		}
		now = now.Add(res.Advance)
	}
	return now, nil
}

// find returns the statement whose fixed words begin the line.
func find(forms []statement, words []token, line string) (*statement, []token, error) {
	var second []string
	for i := range forms {
		fixed := strings.Fields(forms[i].Words)
		if fixed[0] != words[0].text {
			continue
		}
		if len(fixed) == 1 {
			return &forms[i], words[1:], nil
		}
		if len(words) > 1 && words[1].text == fixed[1] {
			return &forms[i], words[2:], nil
		}
		second = append(second, fixed[1])
	}
	if second == nil {
		var first []string
		for i := range forms {
			if f := strings.Fields(forms[i].Words)[0]; !slices.Contains(first, f) {
				first = append(first, f)
			}
		}
		first = append(first, "net", "dns", "next", "client (in scenarios)")
		return nil, nil, &SyntaxError{Statement: line, Problem: fmt.Sprintf("unknown word %q", words[0].text), Hint: "one of: " + strings.Join(first, ", ")}
	}
	problem := fmt.Sprintf("%q needs a second word", words[0].text)
	if len(words) > 1 {
		problem = fmt.Sprintf("unknown word %q after %q", words[1].text, words[0].text)
	}
	return nil, nil, &SyntaxError{Statement: line, Problem: problem, Hint: "one of: " + strings.Join(second, ", ")}
}

// parse sorts the rest of a line into arguments and options.
func (c *call) parse(st *statement, rest []token) error {
	for i := 0; i < len(rest); i++ {
		w := rest[i].text
		if rest[i].quoted || !strings.HasPrefix(w, "--") {
			c.args = append(c.args, w)
			continue
		}
		name, value, inline := strings.Cut(w[2:], "=")
		k := slices.IndexFunc(st.options, func(f option) bool { return f.name == name })
		if k < 0 {
			return fmt.Errorf("unknown option --%s", name)
		}
		f := st.options[k]
		if c.has(name) && !f.many {
			return fmt.Errorf("--%s twice", name)
		}
		switch {
		case f.value && !inline:
			if i+1 == len(rest) {
				return fmt.Errorf("--%s needs a value", name)
			}
			i++
			value = rest[i].text
		case !f.value && inline:
			return fmt.Errorf("--%s takes no value", name)
		}
		c.opts[name] = append(c.opts[name], value)
	}
	switch {
	case len(c.args) < st.least:
		return fmt.Errorf("something is missing")
	case len(c.args) > st.most:
		return fmt.Errorf("unknown word %q", c.args[st.most])
	}
	return nil
}

// Words splits a statement at blanks. Double quotes keep blanks together, with
// \" and \\ inside them; a # begins a comment only at the start of the line,
// since passwords may hold one.
func Words(line string) ([]string, error) {
	tokens, err := tokens(line)
	var words []string
	for _, t := range tokens {
		words = append(words, t.text)
	}
	return words, err
}

// token is a word; a quoted one is never an option.
type token struct {
	text   string
	quoted bool
}

func tokens(line string) ([]token, error) {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "#") {
		return nil, nil
	}
	if !utf8.ValidString(line) {
		return nil, errors.New("the line is not UTF-8")
	}
	var out []token
	for line != "" {
		var w strings.Builder
		t := token{}
		i := 0
		for i < len(line) && line[i] != ' ' && line[i] != '\t' {
			if line[i] != '"' {
				w.WriteByte(line[i])
				i++
				continue
			}
			t.quoted = t.quoted || i == 0
			i++
			for {
				if i >= len(line) {
					return nil, fmt.Errorf("a quote is not closed")
				}
				if line[i] == '"' {
					i++
					break
				}
				if line[i] == '\\' && i+1 < len(line) {
					i++
				}
				w.WriteByte(line[i])
				i++
			}
		}
		t.text = w.String()
		out = append(out, t)
		line = strings.TrimLeft(line[i:], " \t")
	}
	return out, nil
}

// Quote writes a word so that Words reads it back.
func Quote(w string) string {
	if w != "" && !strings.ContainsAny(w, " \t\"\\") && !strings.HasPrefix(w, "--") && w[0] != '#' {
		return w
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(w) + `"`
}

func onOff(w string) (bool, error) {
	switch w {
	case "on", "yes", "true":
		return true, nil
	case "off", "no", "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither on nor off", w)
}

func number(w string) (int, error) {
	n, err := strconv.Atoi(w)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", w)
	}
	return n, nil
}

func domainAdd(c *call) (Result, error) {
	live, err := c.time("live", c.now.Add(c.acc.Propagation))
	if err != nil {
		return Result{}, err
	}
	err = c.acc.AddDomain(Domain{
		Name: c.args[0], Inbound: c.has("inbound"), Outbound: c.has("outbound"),
		Verified: !c.has("unverified"), ForceAuth: c.has("force-auth"), Discovery: c.has("discovery"),
	}, c.now)
	if err == nil {
		c.acc.Domains[len(c.acc.Domains)-1].LiveAt = live
	}
	return Result{}, err
}

func domainSet(c *call) (Result, error) {
	on, err := onOff(c.args[2])
	if err != nil {
		return Result{}, err
	}
	return Result{}, c.acc.SetDomain(c.args[0], Switch(c.args[1]), on, c.now)
}

func userAdd(c *call) (Result, error) {
	created, err := c.time("created", c.now)
	if err != nil {
		return Result{}, err
	}
	live, err := c.time("live", created.Add(c.acc.Propagation))
	if err != nil {
		return Result{}, err
	}
	deleted, err := c.time("deleted", time.Time{})
	if err != nil {
		return Result{}, err
	}
	kind := Kind(c.opt("kind"))
	if kind == "" {
		kind = EndUser
	}
	if deleted.IsZero() {
		err = c.acc.AddUser(c.args[0], kind, c.opts["alias"], created)
	} else {
		// A removed user of a state file stands beside live ones of its names.
		err = c.acc.appendUser(c.args[0], kind, c.opts["alias"], created)
	}
	if err != nil {
		return Result{}, err
	}
	u := &c.acc.Users[len(c.acc.Users)-1]
	u.LiveAt, u.Deleted, u.Invalid = live, deleted, c.has("invalid")
	return Result{}, nil
}

func userInvalid(c *call) (Result, error) {
	on := true
	if len(c.args) > 1 {
		var err error
		if on, err = onOff(c.args[1]); err != nil {
			return Result{}, err
		}
	}
	return Result{}, c.acc.MarkInvalid(c.args[0], on, c.now)
}

func userDiscovered(c *call) (Result, error) {
	first, err := c.time("first", c.now)
	if err != nil {
		return Result{}, err
	}
	if err := checkAddress(c.args[0]); err != nil {
		return Result{}, err
	}
	c.acc.Discovered = append(c.acc.Discovered, Discovery{Address: strings.ToLower(c.args[0]), First: first})
	return Result{}, nil
}

func credNew(c *call) (Result, error) {
	d := c.acc.NewCredential(c.args[0])
	d.SetUsername(c.opt("user"))
	d.SetPassword(c.opt("password"))
	shown, err := d.Generate()
	if err != nil {
		return Result{}, err
	}
	cr, err := d.Save(c.now)
	if err != nil {
		return Result{}, err
	}
	shown.ActiveAt = cr.ActiveAt
	return Result{Shown: &shown}, nil
}

func credPut(c *call) (Result, error) {
	cr := Credential{ID: c.args[0], Label: c.args[1], Username: c.opt("user")}
	parts := strings.Split(c.opt("hash"), ":")
	if len(parts) != 3 {
		return Result{}, fmt.Errorf("--hash is ROUNDS:SALT:HASH")
	}
	var err error
	if cr.Rounds, err = number(parts[0]); err != nil {
		return Result{}, err
	}
	if cr.Salt, err = hex.DecodeString(parts[1]); err != nil {
		return Result{}, fmt.Errorf("the salt is not hexadecimal")
	}
	if cr.Hash, err = hex.DecodeString(parts[2]); err != nil {
		return Result{}, fmt.Errorf("the hash is not hexadecimal")
	}
	if c.acc.credentialByID(cr.ID) != nil {
		return Result{}, fmt.Errorf("credential %q is there already", cr.ID)
	}
	for _, f := range []struct {
		name string
		to   *time.Time
		def  time.Time
	}{
		{"created", &cr.Created, c.now},
		{"active", &cr.ActiveAt, c.now.Add(c.acc.Propagation)},
		{"deleted", &cr.Deleted, time.Time{}},
		{"gone", &cr.GoneAt, time.Time{}},
	} {
		if *f.to, err = c.time(f.name, f.def); err != nil {
			return Result{}, err
		}
	}
	c.acc.Credentials = append(c.acc.Credentials, cr)
	return Result{}, nil
}

func credRounds(c *call) (Result, error) {
	n, err := number(c.args[0])
	if err != nil {
		return Result{}, err
	}
	if n < 1 || n > 10_000_000 {
		return Result{}, fmt.Errorf("rounds are 1 to 10000000")
	}
	c.acc.HashRounds = n
	return Result{}, nil
}

func senderAdd(c *call) (Result, error) {
	live, err := c.time("live", c.now.Add(c.acc.Propagation))
	if err != nil {
		return Result{}, err
	}
	if err := c.acc.AddSendingServer(c.args[0], c.now); err != nil {
		return Result{}, err
	}
	c.acc.Servers[len(c.acc.Servers)-1].LiveAt = live
	return Result{}, nil
}

func limitSet(c *call) (Result, error) {
	text := c.args[1]
	unit := int64(1)
	if c.args[0] == "size" {
		upper := strings.ToUpper(text)
		for _, u := range []struct {
			suffix string
			n      int64
		}{{"KB", 1 << 10}, {"MB", 1 << 20}, {"GB", 1 << 30}} {
			if strings.HasSuffix(upper, u.suffix) {
				text, unit = text[:len(text)-2], u.n
			}
		}
	}
	n, err := number(text)
	if err != nil {
		return Result{}, err
	}
	if n < -1 || int64(n) > math.MaxInt64/unit {
		return Result{}, fmt.Errorf("%d is no limit; -1 means none", n)
	}
	l := &c.acc.Limits
	field := map[string]*int{
		"10m": &l.SenderPer10m, "24h": &l.SenderPerDay, "domain-10m": &l.DomainPer10m, "domain-24h": &l.DomainPerDay,
		"inbound": &l.InboundPerMin, "recipients": &l.Recipients,
	}[c.args[0]]
	switch {
	case c.args[0] == "size":
		l.MessageBytes = int64(n) * unit
	case field != nil:
		*field = n
	default:
		return Result{}, fmt.Errorf("no limit %q; one of 10m, 24h, domain-10m, domain-24h, inbound, recipients, size", c.args[0])
	}
	return Result{}, nil
}

func propagationSet(c *call) (Result, error) {
	d, err := time.ParseDuration(c.args[0])
	if err != nil || d < 0 {
		return Result{}, fmt.Errorf("%q is not a duration; write 60m", c.args[0])
	}
	c.acc.Propagation = d
	return Result{}, nil
}

func clockMove(c *call) (Result, error) {
	text, ok := strings.CutPrefix(c.args[0], "+")
	d, err := time.ParseDuration(text)
	if !ok || err != nil || d < 0 {
		return Result{}, fmt.Errorf("%q is no step forward; write +60m", c.args[0])
	}
	return Result{Advance: d}, nil
}

func dialectSet(c *call) (Result, error) {
	d := &c.acc.Dialect
	text := ""
	if len(c.args) > 1 {
		text = c.args[1]
	}
	switches := map[string]*bool{
		"hide-auth": &d.HideAuth, "submission-stock": &d.SubmissionStock, "invalid-as-rad": &d.InvalidAsRAD,
		"null-sender-ok": &d.NullSenderOK, "recipients-451": &d.Recipients451,
	}
	texts := map[string]*string{"quota-prefix": &d.QuotaPrefix, "auth-reason": &d.AuthReason}
	if p := switches[c.args[0]]; p != nil {
		on := true
		if text != "" {
			var err error
			if on, err = onOff(text); err != nil {
				return Result{}, err
			}
		}
		*p = on
		return Result{}, nil
	}
	if p := texts[c.args[0]]; p != nil {
		*p = text
		return Result{}, nil
	}
	return Result{}, fmt.Errorf("no dialect %q; one of hide-auth, submission-stock, invalid-as-rad, null-sender-ok, recipients-451, quota-prefix, auth-reason", c.args[0])
}

func faultSet(c *call) (Result, error) {
	k, ok := FaultKindOf(c.args[0])
	if !ok {
		return Result{}, fmt.Errorf("no fault %q; \"fault list\" shows them", c.args[0])
	}
	f := Fault{Name: k.Name, Args: slices.Clone(c.args[1:]), Sender: c.opt("sender"), Recipient: c.opt("recipient")}
	if len(f.Args) == 0 {
		f.Args = nil
	}
	if err := k.checkArgs(f.Args); err != nil {
		return Result{}, err
	}
	for name, to := range map[string]*int{"first": &f.First, "nth": &f.Nth} {
		if c.has(name) {
			n, err := number(c.opt(name))
			if err != nil || n < 1 {
				return Result{}, fmt.Errorf("--%s takes a number from 1", name)
			}
			*to = n
		}
	}
	if c.has("client") {
		p, err := parsePrefix(c.opt("client"))
		if err != nil {
			return Result{}, err
		}
		f.Client = p
	}
	c.acc.Faults = append(slices.DeleteFunc(c.acc.Faults, func(x Fault) bool {
		return x.Name == f.Name && x.Sender == f.Sender && x.Recipient == f.Recipient && x.Client == f.Client && x.Nth == f.Nth
	}), f)
	return Result{}, nil
}

func parsePrefix(text string) (netip.Prefix, error) {
	srv, err := parseServer(text)
	return srv.Prefix, err
}

func faultClear(c *call) (Result, error) {
	if len(c.args) == 0 {
		c.acc.Faults = nil
		return Result{}, nil
	}
	if _, ok := FaultKindOf(c.args[0]); !ok {
		return Result{}, fmt.Errorf("no fault %q; \"fault list\" shows them", c.args[0])
	}
	c.acc.Faults = slices.DeleteFunc(c.acc.Faults, func(f Fault) bool { return f.Name == c.args[0] })
	return Result{}, nil
}
