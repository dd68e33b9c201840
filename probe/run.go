package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/idna"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// run is what the sessions of one probe share.
type run struct {
	target  Target
	plan    Plan
	opts    Options
	timeout time.Duration
	connect time.Duration // patience with one TCP connection
	host    string        // target.Host in lower case, A-labels, no root dot
	literal netip.Addr
	only4   bool
	only6   bool
	// submission: a port other than 25 is among the ports.
	submission bool
	eightBit   bool // an address is not ASCII
	hostname   string
	message    []byte
	messageID  string
	secrets    *transcript.Secrets
	gate       gate
	parent     context.Context // of the caller
	ctx        context.Context // with the deadline of the run
	began      time.Time

	mu       sync.Mutex
	lookups  map[string]*lookup
	claimed  bool
	sentID   string
	notTried []netip.Addr
	retried  []transcript.Session
}

// Run probes the target on each of its ports, side by side, and returns what
// was recorded. What a server or the road does is data in the Result; the error
// is for misuse: a target, plan or options that make no sense.
func Run(ctx context.Context, t Target, p Plan, o Options) (Result, error) {
	r, err := prepare(t, p, o)
	if err != nil {
		return Result{}, err
	}
	deadline := o.Deadline
	if deadline <= 0 {
		deadline = 2 * time.Minute
	}
	r.parent = ctx
	var cancel context.CancelFunc
	r.ctx, cancel = context.WithTimeout(ctx, deadline)
	defer cancel()
	r.began = time.Now()
	res := Result{Began: r.opts.Now()}
	sessions := make([][]transcript.Session, len(r.target.Ports))
	var ports crew
	for i, port := range r.target.Ports {
		ports.Go(func() { sessions[i] = r.port(port, res.Began) })
	}
	ports.Wait()
	res.Sessions = slices.Concat(sessions...)
	if o.TLSScan {
		r.scan(res.Sessions)
	}
	res.Retried, res.NotTried, res.MessageID = r.retried, r.notTried, r.sentID
	res.Took = time.Since(r.began)
	res.Partial = r.ctx.Err() != nil
	return res, nil
}

// Check says what Run would call misuse, without running anything.
func Check(t Target, p Plan, o Options) error {
	_, err := prepare(t, p, o)
	return err
}

// prepare checks the arguments and fills in defaults.
func prepare(t Target, p Plan, o Options) (*run, error) {
	r := &run{target: t, plan: p, opts: o, timeout: o.Timeout, only4: o.Only4, only6: o.Only6, lookups: map[string]*lookup{}}
	if r.timeout <= 0 {
		r.timeout = 30 * time.Second
	}
	if r.connect = o.Connect; r.connect <= 0 {
		r.connect = r.timeout
	}
	if r.opts.Now == nil {
		r.opts.Now = time.Now
	}
	if r.opts.Wait == nil {
		r.opts.Wait = wait
	}
	if r.opts.RetryWait <= 0 {
		r.opts.RetryWait = time.Minute
	}
	if r.opts.Spacing <= 0 {
		r.opts.Spacing = 200 * time.Millisecond
	}
	if r.opts.Dial == nil {
		r.opts.Dial = netDial(o.Source)
	}
	if r.opts.Resolver == nil {
		r.opts.Resolver = systemResolver()
	}
	if err := r.checkTarget(); err != nil {
		return nil, err
	}
	if err := r.checkOptions(); err != nil {
		return nil, err
	}
	if err := r.checkPlan(); err != nil {
		return nil, err
	}
	if name, err := os.Hostname(); err == nil && strings.Contains(strings.Trim(name, "."), ".") && !hasOdd(name) {
		r.hostname = strings.Trim(name, ".")
	}
	if p.Credential != nil {
		r.secrets = transcript.Known(p.Credential.password)
	}
	if r.reaches(transcript.StageData) && len(p.To) > 0 {
		r.message, r.messageID = p.Message, messageIDOf(p.Message)
		if p.Message == nil {
			helo := p.HELO
			if helo == "" {
				helo = r.hostname
			}
			r.message, r.messageID = TestMessage(p.From[0], p.To, helo, r.opts.Now())
		}
	}
	return r, nil
}

func (r *run) checkTarget() error {
	host, err := normalHost(r.target.Host)
	if err != nil {
		return err
	}
	r.host = host
	r.literal, _ = netip.ParseAddr(host)
	if len(r.target.Ports) == 0 {
		r.target.Ports = []int{25, 587}
	}
	for i, port := range r.target.Ports {
		if port < 1 || port > 65535 {
			return fmt.Errorf("probe: port %d is not between 1 and 65535", port)
		}
		if slices.Contains(r.target.Ports[:i], port) {
			return fmt.Errorf("probe: port %d is given twice", port)
		}
		if port != 25 {
			r.submission = true
		}
	}
	for port, address := range r.target.Connect {
		if _, _, ok := splitConnect(address); !ok {
			return fmt.Errorf("probe: %q, to be dialled in place of port %d, is no address:port", address, port)
		}
		if !slices.Contains(r.target.Ports, port) {
			return fmt.Errorf("probe: an address is given in place of port %d, which is not probed", port)
		}
	}
	return nil
}

// normalHost is a host in the form that names are compared in: lower case,
// A-labels, no root dot, no brackets.
func normalHost(host string) (string, error) {
	h := strings.TrimSuffix(strings.ToLower(strings.TrimSpace(host)), ".")
	if b, ok := strings.CutPrefix(h, "["); ok {
		h = strings.TrimSuffix(b, "]")
	}
	if _, err := netip.ParseAddr(h); err == nil {
		return h, nil
	}
	for i := range len(h) {
		if h[i] >= 0x80 {
			a, err := idna.Lookup.ToASCII(h)
			if err != nil {
				return "", fmt.Errorf("probe: %q is no host name", host)
			}
			h = a
			break
		}
	}
	if h == "" || len(h) > 253 || hasOdd(h) || strings.Contains(h, ":") {
		return "", fmt.Errorf("probe: %q is no host name or address", host)
	}
	return h, nil
}

// hasOdd reports whether a name has white space, control or non-ASCII bytes, or
// signs that end a command or a path.
func hasOdd(s string) bool {
	return strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune("<>@/\\\"'", c) })
}

func (r *run) checkOptions() error {
	if r.only4 && r.only6 {
		return errors.New("probe: IPv4 only and IPv6 only exclude each other")
	}
	if s := r.opts.Source; s.IsValid() {
		if s.Unmap().Is4() {
			if r.only6 {
				return fmt.Errorf("probe: the source address %s is not IPv6", s)
			}
			r.only4 = true
		} else {
			if r.only4 {
				return fmt.Errorf("probe: the source address %s is not IPv4", s)
			}
			r.only6 = true
		}
	}
	if r.opts.AllowAuthOverUntrusted && !r.opts.InsecureTLS {
		return errors.New("probe: AUTH over an untrusted certificate needs InsecureTLS too")
	}
	return nil
}

func (r *run) checkPlan() error {
	p := &r.plan
	if p.StopAfter == "" {
		p.StopAfter = transcript.StageEnvelope
	}
	switch p.StopAfter {
	case transcript.StageConnect, transcript.StageGreet, transcript.StageEHLO, transcript.StageTLS,
		transcript.StageAuth, transcript.StageEnvelope, transcript.StageData:
	default:
		return fmt.Errorf("probe: %q is no stage to stop after", p.StopAfter)
	}
	if hasOdd(p.HELO) {
		return fmt.Errorf("probe: %q is no EHLO name", p.HELO)
	}
	if m := strings.ToLower(p.Mechanism); m != "" && m != "auto" && !slices.Contains(mechanismNames, m) {
		return fmt.Errorf("probe: %q is no mechanism that handoff has: auto, %s", p.Mechanism, strings.Join(mechanismNames, ", "))
	}
	if c := p.Credential; c != nil {
		if host, err := normalHost(c.host); err != nil || host != r.host {
			return fmt.Errorf("probe: the credential is for %q and goes to no other host", c.host)
		}
		if c.username == "" || strings.ContainsAny(c.username+c.password, "\x00\r\n") {
			return errors.New("probe: a user name must not be empty, and neither user name nor password may have a NUL or a line end")
		}
	}
	if len(p.From) > maxEnvelope || len(p.To) > maxEnvelope {
		return fmt.Errorf("probe: at most %d senders and %d recipients", maxEnvelope, maxEnvelope)
	}
	if len(p.To) > 0 && len(p.From) == 0 {
		return errors.New("probe: a recipient needs a sender")
	}
	if p.StopAfter == transcript.StageData && len(p.To) == 0 {
		return errors.New("probe: a message needs a recipient")
	}
	for _, a := range slices.Concat(p.From, p.To) {
		if a == "<>" && slices.Contains(p.From, a) {
			continue
		}
		if a == "" || strings.ContainsFunc(a, func(c rune) bool { return c < ' ' || c == 0x7f || c == '<' || c == '>' }) || len(a) > 512 {
			return fmt.Errorf("probe: %q is no address", a)
		}
		r.eightBit = r.eightBit || strings.ContainsFunc(a, func(c rune) bool { return c >= 0x80 })
	}
	return nil
}

// reaches reports whether the plan goes as far as a stage.
func (r *run) reaches(stage transcript.Stage) bool { return r.plan.StopAfter.Order() >= stage.Order() }

// share is how many bytes of replies a session may keep. A run keeps the same
// with one port as with many.
func (r *run) share() int {
	sessions := len(r.target.Ports) * (1 + r.opts.Retries)
	if r.opts.AllAddresses {
		sessions *= maxAddresses
	}
	return max(maxKept/max(sessions, 1), minKept)
}

// late reports whether the run's time is up, which the operating system's timers
// may know before the context does.
func (r *run) late() bool {
	end, ok := r.ctx.Deadline()
	return ok && !time.Now().Before(end)
}

// interruption words why the run ended early.
func (r *run) interruption() string {
	if r.parent.Err() != nil {
		return SkipCancelled
	}
	return SkipDeadline
}

// steps are the planned steps of a session.
func (r *run) steps(port int) []step {
	all := []step{{transcript.StageConnect, ""}}
	if port == implicitPort {
		all = append(all, step{transcript.StageTLS, ""})
	}
	all = append(all, step{transcript.StageGreet, ""}, step{transcript.StageEHLO, "EHLO"})
	if port != implicitPort {
		all = append(all, step{transcript.StageTLS, "STARTTLS"})
	}
	if r.plan.Credential != nil {
		all = append(all, step{transcript.StageAuth, "AUTH"})
	}
	if len(r.plan.From) > 0 {
		all = append(all, step{transcript.StageEnvelope, "MAIL"})
	}
	if len(r.plan.To) > 0 {
		all = append(all, step{transcript.StageEnvelope, "RCPT"}, step{transcript.StageData, "DATA"})
	}
	last := r.plan.StopAfter
	return slices.DeleteFunc(all, func(p step) bool {
		// TLS from the first byte comes before the greeting, wherever we stop.
		return p.stage.Order() > last.Order() && !(port == implicitPort && p.stage == transcript.StageTLS && last != transcript.StageConnect)
	})
}

// implicitPort speaks TLS from the first byte (RFC 8314 §3.3).
const implicitPort = 465

// senders are the envelope senders in the order they are tried; with a message
// the first one comes last, since the message is its.
func (r *run) senders(withData bool) []string {
	if !withData {
		return r.plan.From
	}
	return append(slices.Clone(r.plan.From[1:]), r.plan.From[0])
}

// dataPort is the port on which the test message is sent.
func (r *run) dataPort() int {
	for _, p := range r.target.Ports {
		if p != 25 {
			return p
		}
	}
	return r.target.Ports[0]
}

// claimData lets one session of the run send the message.
func (r *run) claimData(port int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if port != r.dataPort() || r.claimed {
		return false
	}
	r.claimed = true
	return true
}

// delivered notes that the message was taken.
func (r *run) delivered() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sentID = r.messageID
}

// port probes one port on the first address that connects, or on all.
func (r *run) port(port int, clock time.Time) []transcript.Session {
	host, dialPort, literal := r.host, port, r.literal
	if c, ok := r.target.Connect[port]; ok {
		host, dialPort, _ = splitConnect(c)
		literal, _ = netip.ParseAddr(host)
	}
	base := r.session(port, clock, r.began)
	var addrs []netip.Addr
	if literal.IsValid() {
		addrs = r.usable([]netip.Addr{literal})
		if len(addrs) == 0 {
			base.begin(transcript.StageConnect, "")
			base.record(transcript.Exchange{Stage: transcript.StageConnect, Fault: transcript.FaultRefused, Detail: transcript.NoteThisMachine + "was told to leave the address's family out (-4, -6 or --source)"})
			return []transcript.Session{base.finish()}
		}
	} else {
		var ok bool
		if addrs, ok = base.resolve(host); !ok {
			return []transcript.Session{base.finish()}
		}
	}
	if len(addrs) > maxAddresses {
		r.skipped(addrs[maxAddresses:])
		addrs = addrs[:maxAddresses]
	}
	if r.opts.AllAddresses {
		return r.all(base, addrs, dialPort)
	}
	return r.first(base, addrs, dialPort)
}

func (r *run) skipped(addrs []netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range addrs {
		if !slices.Contains(r.notTried, a) {
			r.notTried = append(r.notTried, a)
		}
	}
}

// session begins the record of a session.
func (r *run) session(port int, clock, began time.Time) *session {
	return &session{
		run: r, ctx: r.ctx, port: port, began: began, steps: r.steps(port), masker: transcript.Masker{Secrets: r.secrets},
		rec: transcript.Session{Source: "probe", Server: r.host, Port: port, Implicit: port == implicitPort, Began: clock},
	}
}

// branch is a session of the same port for one of its addresses.
func (s *session) branch(addr netip.Addr) *session {
	b := *s
	b.steps = slices.Clone(s.steps)
	b.rec.Exchanges = slices.Clone(s.rec.Exchanges)
	b.rec.Address = addr.String()
	return &b
}

// first probes the address that connects first.
func (r *run) first(base *session, addrs []netip.Addr, port int) []transcript.Session {
	won, failed, rest := r.race(r.ctx, addrs, port, base.began, func(d *dialed, addr netip.Addr) {
		e := Event{Port: base.port, Address: addr.String(), Exchange: transcript.Exchange{Stage: transcript.StageConnect}}
		if d != nil {
			e.Done, e.Exchange = true, d.exchange()
		}
		if r.opts.Observe != nil {
			r.opts.Observe(e)
		}
	})
	var out []transcript.Session
	if won != nil {
		r.skipped(rest)
		out = append(out, r.dialogue(base.branch(won.addr), *won, port))
	}
	for _, d := range failed {
		s := base.branch(d.addr)
		s.connected(d)
		out = append(out, s.finish())
	}
	return out
}

// all probes every address, a few at a time.
func (r *run) all(base *session, addrs []netip.Addr, port int) []transcript.Session {
	out := make([]transcript.Session, len(addrs))
	slots := make(chan struct{}, 4)
	var sessions crew
	for i, addr := range addrs {
		sessions.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			s := base.branch(addr)
			s.observe(Event{Exchange: transcript.Exchange{Stage: transcript.StageConnect}})
			d := r.dial(r.ctx, addr, port, base.began)
			s.observe(Event{Done: true, Exchange: d.exchange()})
			out[i] = r.dialogue(s, d, port)
		})
	}
	sessions.Wait()
	slices.SortStableFunc(out, func(a, b transcript.Session) int { return rank(a) - rank(b) })
	return out
}

// rank puts sessions that got a connection before those that did not.
func rank(s transcript.Session) int {
	if s.Furthest().Order() > transcript.StageConnect.Order() {
		return 0
	}
	return 1
}

func (d dialed) exchange() transcript.Exchange {
	e := transcript.Exchange{Stage: transcript.StageConnect, Sent: d.sent, Took: d.took, Fault: d.fault}
	switch {
	case d.conn != nil:
	case d.fault == transcript.FaultReset:
		e.Fault = transcript.FaultNone // a reset, unlike a refusal, answers a connection that stood
	case d.fault == transcript.FaultNone:
		e.Skipped = d.why
	default:
		e.Detail = d.why
	}
	return e
}

// connected takes the outcome of the dial into the session.
func (s *session) connected(d dialed) {
	s.steps = slices.DeleteFunc(s.steps, func(p step) bool { return p.stage == transcript.StageConnect })
	s.stage = transcript.StageConnect
	e := d.exchange()
	s.rec.Exchanges = append(s.rec.Exchanges, e)
	switch {
	case d.fault == transcript.FaultReset:
		s.begin(transcript.StageGreet, "")
		s.record(transcript.Exchange{
			Stage: transcript.StageGreet, Sent: d.sent + d.took, Fault: transcript.FaultReset,
			Detail: "the connection was reset as soon as it stood",
		})
		s.ended = SkipFailed
	case d.conn != nil:
		s.w = newWire(s.ctx, d.conn, s.began, s.run.share())
		s.rec.Client = s.run.clientName(d.conn)
	case e.Skipped != "":
		s.ended = e.Skipped
	default:
		s.ended = SkipFailed
	}
}

// finish closes the session and returns its record.
func (s *session) finish() transcript.Session {
	s.goodbye()
	return s.rec
}

// dialogue talks on one connection, again after a 4xx as often as planned.
func (r *run) dialogue(s *session, d dialed, port int) transcript.Session {
	for try := 0; ; try++ {
		s.connected(d)
		if s.w != nil {
			s.talk()
		}
		rec := s.finish()
		failure, failed := rec.FirstFailure()
		if try == r.opts.Retries || !failed || failure.Fault != transcript.FaultNone || failure.Reply.Class() != 4 {
			return rec
		}
		if r.opts.Wait(r.ctx, max(r.opts.RetryWait, r.opts.Spacing)) != nil {
			return rec
		}
		r.mu.Lock()
		r.retried = append(r.retried, rec)
		r.claimed = false // a 4xx: the message was not taken
		r.mu.Unlock()
		next := r.session(s.port, r.opts.Now(), time.Now())
		next.rec.Address = d.addr.String()
		next.observe(Event{Exchange: transcript.Exchange{Stage: transcript.StageConnect}})
		d = r.dial(r.ctx, d.addr, port, next.began)
		next.observe(Event{Done: true, Exchange: d.exchange()})
		s = next
	}
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
