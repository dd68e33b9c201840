package analyze

import (
	"fmt"
	"slices"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

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
