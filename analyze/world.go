package analyze

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// The worlds of the inversion. A world is a healthy customer, or one with the
// statements of a cause's scenario carried out on it. To simulate it is to walk
// the road the way its client would: names, TCP, greeting, EHLO, STARTTLS, TLS,
// AUTH, MAIL, RCPT, DATA, and what comes after. The relay's answers are those of
// the policy table; nothing here knows a cause by its name.

// worldTime is the instant at which every scenario ends. No clock is read: only
// differences count.
var worldTime = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

// settled is how long the settings of a healthy world have been live.
const settled = 48 * time.Hour

// ending is one way a road can end: the first failing exchange, or success, with
// everything about it that an observation can hold.
type ending struct {
	success bool
	place   place // who answered or failed
	dialogue
	stage   transcript.Stage
	fault   transcript.Fault
	code    int
	kind    transcript.Kind
	text    string // the reply as the relay says it, for people and tests
	foreign bool   // the answer is another server's: its words are its own
	symptom symptom
	tls     string // transcript.TLS.Problem
	dot     bool   // lost between the final dot and its reply
	rule    policy.RuleID
	why     string // the row or fault that decided, in its own words
	circumstances
}

// dialogue says which kind of text can show an ending.
type dialogue int8

const (
	anyText dialogue = iota
	sessionOnly
	reportOnly
)

// place is who answered, or where the mail stopped.
type place int8

const (
	placeUnknown place = iota
	placeRelay
	placeOther // another host
	placeOwn   // the sending system itself
	placeLater // behind the relay, which had taken the mail
	placeTest  // the test broke itself
)

// circumstances are what was so when the road ended. Unknown means that nothing
// could be seen of it there.
type circumstances struct {
	intent      Intent // of the healthy world it grew from
	port        int
	implicit    transcript.Fact // TLS from the first byte
	secure      transcript.Fact
	startTLS    transcript.Fact // was offered
	offered     transcript.Fact // AUTH was offered
	tried       transcript.Fact // AUTH
	loggedIn    transcript.Fact
	masked      transcript.Fact
	inbound     transcript.Fact // the recipient is the relay's customer
	nullSender  transcript.Fact
	ownSender   transcript.Fact // the sender's domain is the customer's
	loginSender transcript.Fact // the sender is the login's own name
	rightHost   transcript.Fact // the name is one that the relay has
	exchange    transcript.Fact // Exchange Online
	forwards    transcript.Fact
	listed      transcript.Fact // among Sending Servers
	registered  transcript.Fact // sender
	credYoung   transcript.Fact // not live yet
	userYoung   transcript.Fact
	domainYoung transcript.Fact
}

// symptom is a kind of words about a fault below SMTP.
type symptom string

const (
	symptomNone        symptom = ""
	symptomNXDomain    symptom = "nxdomain"
	symptomNoAnswer    symptom = "no-answer" // of the resolver
	symptomNoStartTLS  symptom = "starttls-not-offered"
	symptomNoAuth      symptom = "auth-not-offered"
	symptomNoSign      symptom = "no-sign" // no connection, or no greeting: the client does not tell which
	symptomNoMechanism symptom = "no-mechanism"
	symptomNoLogin     symptom = "no-login"    // either of these two: the client does not tell which
	symptomPlainBytes  symptom = "plain-bytes" // in place of TLS
	symptomRenegotiate symptom = "renegotiating"
)

// style is how a client takes what it did not expect. Programs differ here, and
// the report shows another exchange accordingly.
type style int8

const (
	careful  style = iota // stops when STARTTLS or AUTH is not offered
	blind                 // asks for it all the same, and stops at the refusal
	stubborn              // asks, is refused, and goes on without
	lenient               // goes on without asking
	styles
)

// base is a healthy world and the circumstances that its causes share.
type base struct {
	name   string // of causes.Doc.Base
	intent Intent
	lines  []string
}

// accountLines are the settings of every healthy world.
var accountLines = []string{
	"cred rounds 1",
	"account region us1",
	"domain add customer.example --inbound --outbound",
	"domain add second.example --inbound --outbound",
	"user add alice@customer.example --kind end_user",
	"user add scanner@customer.example --kind functional",
	"user add bot@customer.example --kind silent_user",
	"user add bob@second.example --kind end_user",
	"cred new printer --user scanner@customer.example --password pw1",
}

// authClient is a system that sends with SMTP AUTH as the article wants it.
var authClient = []string{
	"client host outbound-us1.ppe-hosted.com", "client port 587", "client address 192.0.2.10",
	"client starttls on", "client max-tls 1.3", "client auth on", "client user scanner@customer.example",
	"client password pw1", "client mechanisms PLAIN,LOGIN", "client sender alice@customer.example",
	"client recipient bob@recipient.example", "client recipients 1", "client route relay",
}

// bases are the healthy worlds: the ways in which a customer means to send, each
// with the senders and recipients that change nothing there, and a stranger who
// writes to the customer.
var bases = []base{
	{"auth", IntentAuth, authClient},
	{"auth", IntentAuth, append(slices.Clip(authClient), "client sender scanner@customer.example")},
	{"auth", IntentAuth, append(slices.Clip(authClient), "client recipient bob@second.example")},
	{"server", IntentServer, append(slices.Clip(authClient), "sender add 192.0.2.10", "client port 25", "client auth off")},
	{"inbound", "", append(slices.Clip(authClient), "client host mx1-us1.ppe-hosted.com", "client port 25", "client auth off", "client address 203.0.113.9", "client sender x@stranger.example", "client recipient alice@customer.example")},
}

// knownHosts are the names the relay answers to, and the region of each.
var knownHosts = []struct{ name, region string }{
	{"outbound-us1.ppe-hosted.com", "us1"},
	{"outbound-eu1.ppe-hosted.com", "eu1"},
	{"mx1-us1.ppe-hosted.com", "us1"},
	{"mx2-us1.ppe-hosted.com", "us1"},
	{"mx1-us2.ppe-hosted.com", "us1"},
	{"mx1-us3.ppe-hosted.com", "us1"},
	{"mx1-us5.ppe-hosted.com", "us1"},
	{"mx1-eu1.ppe-hosted.com", "eu1"},
	{"mx2-eu1.ppe-hosted.com", "eu1"},
}

// region returns the stack of a known relay host.
func region(host string) (string, bool) {
	host = strings.TrimSuffix(host, ".")
	for _, h := range knownHosts {
		if strings.EqualFold(h.name, host) {
			return h.region, true
		}
	}
	return "", false
}

// timed is a statement with its time before worldTime.
type timed struct {
	line string
	ago  time.Duration
}

// timeline gives each statement of a scenario its time, so that the scenario
// ends at worldTime: "clock +60m" puts everything before it an hour back.
func timeline(lines []string) ([]timed, error) {
	scratch := &policy.Account{}
	var total time.Duration
	out := make([]timed, 0, len(lines))
	for _, l := range lines {
		if f := strings.Fields(l); len(f) > 0 && f[0] == "clock" {
			res, err := policy.Apply(scratch, l, worldTime)
			if err != nil {
				return nil, err
			}
			total += res.Advance
			continue
		}
		out = append(out, timed{line: l, ago: -total})
	}
	for i := range out {
		out[i].ago += total
	}
	if total >= settled {
		return nil, fmt.Errorf("a scenario may move the clock by less than %v in all", settled)
	}
	return out, nil
}

// apply carries the statements of one or more scenarios out, in the order of
// their times. It returns the index of the statement that failed.
func apply(w *policy.World, parts ...[]timed) (int, error) {
	all := slices.Concat(parts...)
	if len(parts) > 1 {
		slices.SortStableFunc(all, func(a, b timed) int { return int(b.ago/time.Second - a.ago/time.Second) })
	}
	for i, t := range all {
		if _, err := w.Apply(t.line, worldTime.Add(-t.ago)); err != nil {
			return i, err
		}
	}
	return -1, nil
}

// healthy builds a base world.
func healthy(b *base) *policy.World {
	w := &policy.World{Account: policy.NewAccount("customer")}
	w.Account.Rand = fixedBytes(0)
	for _, l := range slices.Concat(accountLines, b.lines) {
		if _, err := w.Apply(l, worldTime.Add(-settled)); err != nil {
			panic("analyze: a healthy world does not build: " + err.Error())
		}
	}
	return w
}

// fixedBytes are the salts of simulated credentials: nothing is kept secret
// there, and the same world must come out each time.
type fixedBytes byte

func (f fixedBytes) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i)
	}
	return len(p), nil
}

// breaks are the places where a fault that is bound to no verb can strike.
var breaks = []policy.Verb{policy.EHLO, policy.StartTLS, policy.Auth, policy.Mail, policy.Rcpt, policy.Data, policy.EndData}

// endings simulates a world in every style of client and returns the different
// endings.
func endings(w *policy.World, b *base) []ending {
	var out []ending
	at := []policy.Verb{""}
	if w.Client.Slow || w.Account.Has("slow") != nil {
		at = breaks
	}
	for _, v := range at {
		for st := range styles {
			for _, e := range simulate(w, b, st, v) {
				if !slices.Contains(out, e) {
					out = append(out, e)
				}
			}
		}
	}
	return out
}

// road is one simulated try.
type road struct {
	w     *policy.World
	c     *policy.Client
	s     policy.Session
	style style
	at    policy.Verb // where a floating fault strikes
	e     ending
	done  []ending
}

// simulate walks the road once. Most roads end in one way; a firewall that masks
// the dialogue can be noticed at several stages.
func simulate(w *policy.World, b *base, st style, at policy.Verb) []ending {
	r := &road{w: w, c: &w.Client, style: st, at: at}
	r.e.intent = b.intent
	r.e.place = placeRelay
	r.circumstances()
	r.walk()
	return r.done
}

// circumstances that hold from the start.
func (r *road) circumstances() {
	c, acc, e := r.c, r.w.Account, &r.e
	e.port = c.Port
	e.implicit = fact(c.Implicit)
	_, right := region(c.Host)
	e.rightHost = fact(right)
	e.exchange = fact(c.System == "exchange-online")
	e.forwards = fact(c.Forwards != "")
	e.listed = fact(slices.ContainsFunc(acc.Servers, func(s policy.SendingServer) bool {
		return s.Prefix.Contains(c.Address) && !worldTime.Before(s.LiveAt)
	}))
	e.registered, e.userYoung = transcript.No, transcript.No
	for i := range acc.Users {
		u := &acc.Users[i]
		if u.Deleted.IsZero() && (strings.EqualFold(u.Address, c.Sender) || slices.ContainsFunc(u.Aliases, func(a string) bool { return strings.EqualFold(a, c.Sender) })) {
			e.registered = transcript.Yes
			e.userYoung = fact(worldTime.Before(u.LiveAt))
		}
	}
	e.credYoung, e.domainYoung = transcript.No, transcript.No
	for i := range acc.Credentials {
		if cr := &acc.Credentials[i]; strings.EqualFold(cr.Username, c.Username) {
			e.credYoung = fact(cr.State(worldTime) == policy.CredentialPending)
		}
	}
	ours := ourDomain(acc, c.Sender)
	if ours != nil {
		e.domainYoung = fact(worldTime.Before(ours.LiveAt))
	}
	e.masked = transcript.No
}

func ourDomain(acc *policy.Account, address string) *policy.Domain {
	_, d, ok := strings.Cut(address, "@")
	if !ok {
		return nil
	}
	for i := range acc.Domains {
		if strings.EqualFold(acc.Domains[i].Name, d) {
			return &acc.Domains[i]
		}
	}
	return nil
}

// envelope are the circumstances that count from MAIL on.
func (r *road) envelope() {
	c := r.c
	r.e.nullSender = fact(c.Sender == "")
	r.e.ownSender = fact(ourDomain(r.w.Account, c.Sender) != nil)
	r.e.loginSender = fact(c.Sender != "" && strings.EqualFold(c.Sender, c.Username))
	// Whose customer the recipient is does not change with the account's state.
	r.e.inbound = fact(strings.HasSuffix(c.Recipient, "@customer.example") || strings.HasSuffix(c.Recipient, "@second.example"))
}

// end closes the road.
func (r *road) end() { r.done = append(r.done, r.e) }

// failed closes it with a fault below SMTP.
func (r *road) failed(stage transcript.Stage, fault transcript.Fault, why string) {
	r.e.stage, r.e.fault, r.e.why = stage, fault, why
	r.end()
}

// stopped closes it where the client stops by itself, without a reply.
func (r *road) stopped(stage transcript.Stage, sy symptom, why string) {
	r.e.stage, r.e.symptom, r.e.why = stage, sy, why
	r.end()
}

// says explains a fault by its name.
func says(name string) string {
	if k, ok := policy.FaultKindOf(name); ok {
		return k.Says
	}
	return name
}

// ask puts a command to the policy table. It reports false when the road ended
// there.
func (r *road) ask(cmd policy.Command, stage transcript.Stage) bool {
	acc := r.w.Account
	if f := acc.Has("reset-at"); f != nil && strings.EqualFold(f.Args[0], string(cmd.Verb)) {
		for _, f := range []transcript.Fault{transcript.FaultReset, transcript.FaultClosed} {
			r.failed(stage, f, says("reset-at"))
		}
		return false
	}
	if r.at == cmd.Verb {
		if r.c.Slow {
			cmd.Verb = policy.Idle
		} else if acc.Has("slow") != nil {
			r.failed(stage, transcript.FaultTimeout, says("slow"))
			return false
		}
	}
	reply, rule := policy.Step(acc, &r.s, cmd, worldTime)
	if reply.Code < 400 && reply.Code > 0 {
		return true
	}
	r.refused(reply, rule, cmd, stage)
	r.end()
	return false
}

// refused notes a refusing answer of the table.
func (r *road) refused(reply policy.Reply, rule policy.RuleID, cmd policy.Command, stage transcript.Stage) {
	e := &r.e
	e.stage, e.code, e.rule = stage, reply.Code, rule
	if reply.Code == 530 {
		e.stage = transcript.StageTLS // wherever it was said
	}
	e.text = replyText(reply)
	e.kind = transcript.KindOf(transcript.Reply{Code: reply.Code, Enhanced: reply.Enhanced, Lines: []string{reply.Text}})
	for _, row := range policy.Rules(rule) {
		if len(row.Verbs) == 0 || slices.Contains(row.Verbs, cmd.Verb) {
			if row.Reply.Code == reply.Code || e.why == "" {
				e.why = row.Says
			}
		}
	}
}

func replyText(r policy.Reply) string {
	s := fmt.Sprintf("%d ", r.Code)
	if r.Enhanced != "" {
		s += r.Enhanced + " "
	}
	return s + r.Text
}

func (r *road) walk() {
	c := r.c
	switch {
	case c.Tester != "":
		r.e.place = placeTest
		r.stopped(transcript.StageUnknown, symptomRenegotiate, "the test program broke its own test")
		return
	case c.Route == "direct":
		r.e.place, r.e.foreign, r.e.dialogue = placeOther, true, reportOnly
		r.stopped(transcript.StageNotAttempted, symptomNone, "the mail went past the relay to another host")
		return
	case c.Route == "none":
		r.e.place, r.e.foreign = placeOwn, true
		r.stopped(transcript.StageNotAttempted, symptomNone, "the sending system stopped the mail itself")
		return
	}
	if !r.resolve() || !r.connect() {
		return
	}
	r.s = policy.Session{Port: c.Port, Client: c.Address, Recent10m: c.Sent, RecentDay: c.Sent, Domain10m: c.Sent}
	r.s.Region, _ = region(c.Host)
	if !r.greeting() || !r.encrypt() || !r.login() || !r.mail() {
		return
	}
	r.later()
}

// resolve is the name.
func (r *road) resolve() bool {
	acc := r.w.Account
	switch f := acc.Has("dns-broken"); {
	case f != nil:
		r.e.symptom = symptomNoAnswer
		r.failed(transcript.StageResolve, transcript.FaultDNS, says("dns-broken"))
	case acc.Has("name-typo") != nil || r.e.rightHost == transcript.No:
		r.e.symptom = symptomNXDomain
		r.failed(transcript.StageResolve, transcript.FaultDNS, says("name-typo"))
	case acc.Has("not-the-relay") != nil:
		r.e.place, r.e.foreign, r.e.dialogue = placeOther, true, sessionOnly
		r.stopped(transcript.StageNotAttempted, symptomNone, says("not-the-relay"))
	case acc.Has("loop-to-self") != nil:
		r.e.place, r.e.foreign, r.e.dialogue = placeOwn, true, sessionOnly
		r.stopped(transcript.StageNotAttempted, symptomNone, says("loop-to-self"))
	default:
		return true
	}
	return false
}

// connect is TCP.
func (r *road) connect() bool {
	acc, c := r.w.Account, r.c
	blocked := fmt.Sprintf("port%d-blocked", c.Port)
	refused := acc.Has("port-refused")
	switch {
	case acc.Has(blocked) != nil:
		r.failed(transcript.StageConnect, transcript.FaultTimeout, says(blocked))
	case refused != nil && (len(refused.Args) == 0 || refused.Args[0] == fmt.Sprint(c.Port)):
		r.failed(transcript.StageConnect, transcript.FaultRefused, says("port-refused"))
	default:
		return true
	}
	return false
}

// greeting is the banner and the first EHLO.
func (r *road) greeting() bool {
	acc, c := r.w.Account, r.c
	if c.Implicit && c.Port != 465 {
		r.e.symptom, r.e.tls = symptomPlainBytes, "not-tls"
		r.failed(transcript.StageTLS, transcript.FaultTLS, "the client speaks TLS before STARTTLS, and the greeting is no TLS")
		return false
	}
	switch {
	case acc.Has("banner-silent") != nil:
		r.failed(transcript.StageGreet, transcript.FaultTimeout, says("banner-silent"))
		return false
	case acc.Has("banner-drop") != nil:
		for _, f := range []transcript.Fault{transcript.FaultClosed, transcript.FaultReset} {
			r.failed(transcript.StageGreet, f, says("banner-drop"))
		}
		return false
	}
	if c.Parallel {
		acc = acc.Clone()
		acc.Faults = append(acc.Faults, policy.Fault{Name: "conn-limit"})
		r.w = &policy.World{Account: acc, Client: *c}
		r.c = &r.w.Client
	}
	if !r.ask(policy.Command{Verb: policy.Connect}, transcript.StageGreet) {
		return false
	}
	if acc.Has("banner-masked") != nil {
		r.e.masked = transcript.Yes
		unbroken := r.e
		why := says("banner-masked")
		r.stopped(transcript.StageGreet, symptomNone, why)
		r.stopped(transcript.StageEHLO, symptomNone, why)
		r.e.startTLS = transcript.No
		r.stopped(transcript.StageTLS, symptomNoStartTLS, why)
		r.failed(transcript.StageTLS, transcript.FaultTLS, why)
		r.e.symptom, r.e.fault = symptomNone, transcript.FaultNone
		if c.StartTLS && r.style != careful {
			for _, code := range []int{500, 502} {
				r.unknownStartTLS(code, why)
			}
			if c.Port == 587 { // who goes on without is told to begin with it
				reply, rule := policy.Step(acc, &r.s, policy.Command{Verb: policy.Mail, Address: c.Sender}, worldTime)
				if reply.Code == 530 {
					r.e.dialogue = sessionOnly // its list shows that STARTTLS was not there
					r.refused(reply, rule, policy.Command{Verb: policy.Mail}, transcript.StageTLS)
					r.end()
				}
			}
		}
		if c.Port != 25 || c.Auth || r.style != lenient {
			return false
		}
		// Who asks for nothing that the masks hide gets through on 25.
		r.e = unbroken
		r.e.dialogue = sessionOnly // else nothing tells of the masks
		more := r.hello(transcript.StageEHLO)
		r.e.startTLS = transcript.No
		return more
	}
	return r.hello(transcript.StageEHLO)
}

// hello is EHLO, before or inside TLS.
func (r *road) hello(stage transcript.Stage) bool {
	if !r.ask(policy.Command{Verb: policy.EHLO, Arg: "mail.customer.example"}, stage) {
		return false
	}
	r.e.secure = fact(r.s.Secure)
	r.e.offered = transcript.No
	tls := transcript.No
	for _, k := range policy.Keywords(r.w.Account, &r.s) {
		switch {
		case strings.HasPrefix(k, "AUTH"):
			r.e.offered = transcript.Yes
		case k == "STARTTLS":
			tls = transcript.Yes
		}
	}
	if !r.s.Secure {
		r.e.startTLS = tls
	}
	r.e.tried, r.e.loggedIn = transcript.No, transcript.No
	return true
}

// encrypt is STARTTLS and the handshake. A client that logs in insists on both
// and on a certificate that proves the relay; one that does not takes them when
// it is not careful.
func (r *road) encrypt() bool {
	acc, c := r.w.Account, r.c
	if !c.StartTLS {
		return true
	}
	insists := c.Auth || r.style == careful
	if r.e.startTLS != transcript.Yes {
		f := acc.Has("starttls-stripped")
		switch {
		case insists && r.style == careful:
			r.stopped(transcript.StageTLS, symptomNoStartTLS, "STARTTLS was not offered")
			return false
		case insists && f != nil && r.style != lenient:
			code := 502
			if len(f.Args) > 0 && f.Args[0] == "500" {
				code = 500
			}
			r.unknownStartTLS(code, says("starttls-stripped"))
			return false
		case insists && f != nil:
			r.e.dialogue = sessionOnly // what it then meets is told apart by the list alone
		}
		return true
	}
	if !r.ask(policy.Command{Verb: policy.StartTLS}, transcript.StageTLS) {
		return false
	}
	return r.handshake(insists) && r.hello(transcript.StageTLS)
}

// unknownStartTLS ends the road at a STARTTLS that something on the way took out:
// the server then does not know the command.
func (r *road) unknownStartTLS(code int, why string) {
	reply := policy.Reply{Code: code, Enhanced: "5.5.1", Text: "Error: command not implemented"}
	if code == 500 {
		reply = policy.Reply{Code: code, Enhanced: "5.5.2", Text: "Error: command not recognized"}
	}
	r.e.stage, r.e.code, r.e.text, r.e.why = transcript.StageTLS, code, replyText(reply), why
	r.e.kind = transcript.KindOf(transcript.Reply{Code: code, Enhanced: reply.Enhanced, Lines: []string{reply.Text}})
	r.end()
}

// interruptions are the ways the line breaks between 220 and a handshake.
var interruptions = []struct {
	fault  string
	tls    string
	faults []transcript.Fault
}{
	{"tls-garbage", "not-tls", []transcript.Fault{transcript.FaultTLS, transcript.FaultProtocol, transcript.FaultInjection}},
	{"injection", "", []transcript.Fault{transcript.FaultInjection}},
	{"tls-close", "interrupted", []transcript.Fault{transcript.FaultTLS, transcript.FaultClosed}},
	{"tls-reset", "interrupted", []transcript.Fault{transcript.FaultTLS, transcript.FaultReset}},
	// Who waits longer than the server sees it close.
	{"tls-hang", "interrupted", []transcript.Fault{transcript.FaultTLS, transcript.FaultTimeout, transcript.FaultClosed}},
}

// certificateFaults are faults of the chain and the problem each shows.
var certificateFaults = []struct{ fault, problem string }{
	{"cert-expired", "certificate-expired"},
	{"cert-not-yet", "certificate-not-yet-valid"},
	{"cert-wrong-name", "certificate-name-mismatch"},
	{"cert-unknown-ca", "certificate-unknown-issuer"},
}

// The certificate of the simulated relay was made a month ago and holds two.
const (
	certificateAge  = 30 * 24 * time.Hour
	certificateLeft = 60 * 24 * time.Hour
)

func (r *road) handshake(verify bool) bool {
	acc, c := r.w.Account, r.c
	r.e.secure = transcript.No
	for _, i := range interruptions {
		if acc.Has(i.fault) == nil {
			continue
		}
		if i.tls == "not-tls" {
			r.e.symptom = symptomPlainBytes
		}
		r.e.tls = i.tls
		for _, f := range i.faults {
			r.failed(transcript.StageTLS, f, says(i.fault))
		}
		return false
	}
	if acc.Has("tls-alert") != nil {
		r.e.tls = "internal-error"
		r.failed(transcript.StageTLS, transcript.FaultTLS, says("tls-alert"))
		return false
	}
	hello := policy.Command{Verb: policy.Handshake, Arg: c.MaxTLS}
	if acc.Has("tls10-only") != nil {
		hello.Arg = "1.0"
	}
	if reply, rule := policy.Decide(acc, &r.s, hello, worldTime); reply.Code == 0 {
		r.e.tls, r.e.rule = "protocol-version", rule
		row, _ := policy.Rule(rule)
		r.failed(transcript.StageTLS, transcript.FaultTLS, row.Says)
		return false
	}
	if !verify {
		return true
	}
	problem, why := "", ""
	for _, f := range certificateFaults {
		if acc.Has(f.fault) != nil {
			problem, why = f.problem, says(f.fault)
		}
	}
	switch {
	case c.Clock > certificateLeft:
		problem, why = "certificate-expired", "by the client's own clock the certificate is past its date"
	case c.Clock < -certificateAge:
		problem, why = "certificate-not-yet-valid", "by the client's own clock the certificate's date is still to come"
	}
	if problem == "" {
		return true
	}
	r.e.tls = problem
	for _, f := range []transcript.Fault{transcript.FaultCertificate, transcript.FaultTLS} {
		r.failed(transcript.StageTLS, f, why)
	}
	return false
}

// login is AUTH.
func (r *road) login() bool {
	c := r.c
	if !c.Auth {
		return true
	}
	if r.e.offered != transcript.Yes {
		stage, why := transcript.StageAuth, "AUTH was not offered"
		if c.Port != 25 && !r.s.Secure {
			stage, why = transcript.StageTLS, "AUTH is hidden until STARTTLS"
		}
		switch r.style {
		case careful:
			r.stopped(stage, symptomNoAuth, why)
			return false
		case lenient:
			return true
		case blind, stubborn:
		}
		r.e.tried = transcript.Yes
		cmd := policy.Command{Verb: policy.Auth, Mechanism: "PLAIN", Username: c.Username, Password: c.Password}
		if r.style == blind {
			return r.ask(cmd, transcript.StageAuth)
		}
		policy.Step(r.w.Account, &r.s, cmd, worldTime)
		return true
	}
	mechanism := ""
	for _, k := range policy.Keywords(r.w.Account, &r.s) {
		list, ok := strings.CutPrefix(k, "AUTH ")
		if !ok {
			continue
		}
		for _, m := range strings.Fields(list) {
			if slices.Contains(c.Mechanisms, m) && mechanism == "" {
				mechanism = m
			}
		}
	}
	if mechanism == "" {
		if r.style == careful || r.style == lenient {
			r.stopped(transcript.StageAuth, symptomNoMechanism, "client and server share no mechanism of AUTH")
			return false
		}
		if len(c.Mechanisms) > 0 {
			mechanism = c.Mechanisms[0]
		}
	}
	r.e.tried = transcript.Yes
	if !r.ask(policy.Command{Verb: policy.Auth, Mechanism: mechanism, Username: c.Username, Password: c.Password}, transcript.StageAuth) {
		return false
	}
	r.e.loggedIn = transcript.Yes
	return true
}

// mail is the envelope and the message.
func (r *road) mail() bool {
	acc, c := r.w.Account, r.c
	r.envelope()
	size := c.Size
	if r.style == lenient {
		size = 0 // a client that declares no size
	}
	if !r.ask(policy.Command{Verb: policy.Mail, Address: c.Sender, Size: size}, transcript.StageEnvelope) {
		return false
	}
	for i := range c.Recipients {
		if i > 0 && i < c.Recipients-1 {
			r.s.Accepted++ // the many in the middle are answered like the first
			continue
		}
		if !r.ask(policy.Command{Verb: policy.Rcpt, Address: c.Recipient}, transcript.StageEnvelope) {
			return false
		}
	}
	if !r.ask(policy.Command{Verb: policy.Data}, transcript.StageData) {
		return false
	}
	if acc.Has("drop-in-data") != nil {
		for _, f := range []transcript.Fault{transcript.FaultClosed, transcript.FaultReset} {
			r.failed(transcript.StageData, f, says("drop-in-data"))
		}
		return false
	}
	r.s.DataBytes = c.Size
	if acc.Has("drop-after-dot") != nil {
		r.e.dot = true
		for _, f := range []transcript.Fault{transcript.FaultClosed, transcript.FaultReset, transcript.FaultTimeout} {
			r.failed(transcript.StageData, f, says("drop-after-dot"))
		}
		return false
	}
	return r.ask(policy.Command{Verb: policy.EndData}, transcript.StageData)
}

// later is what happens behind the relay, and success.
func (r *road) later() {
	acc := r.w.Account
	e := &r.e
	e.stage = transcript.StageAccepted
	refuses, deferred, unreachable := acc.Has("downstream-refuses"), acc.Has("downstream-deferred"), acc.Has("downstream-unreachable")
	if refuses != nil || deferred != nil || unreachable != nil {
		e.place = placeLater
	}
	switch {
	case refuses != nil && len(refuses.Args) > 0:
		e.code, e.kind, e.why = 550, transcript.KindSPF, "the next server refused for the sender's SPF"
	case refuses != nil:
		e.code, e.foreign, e.why = 550, true, says("downstream-refuses")
	case deferred != nil:
		e.code, e.foreign, e.why = 450, true, says("downstream-deferred")
		r.end()
		e.code, e.foreign = 0, false
		for _, f := range noAnswer {
			r.failed(transcript.StageAccepted, f, says("downstream-deferred"))
		}
		return
	case unreachable != nil:
		for _, f := range noAnswer {
			r.failed(transcript.StageAccepted, f, says("downstream-unreachable"))
		}
		return
	default:
		e.success, e.why = true, "every step is accepted"
	}
	r.end()
}

// noAnswer are the faults of a server that cannot be reached.
var noAnswer = []transcript.Fault{transcript.FaultTimeout, transcript.FaultRefused, transcript.FaultDNS, transcript.FaultClosed, transcript.FaultReset, transcript.FaultTLS}
