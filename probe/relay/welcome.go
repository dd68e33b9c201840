package relay

import (
	"net/netip"
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// welcome is the part of a session before its client has said anything: the
// screening, the greeting, the wait for the first line. It returns nil once a
// whole line or an unfinished one has come, and go-smtp can be told.
func (w *wire) welcome() error {
	w.sent, w.at = w.began, transcript.StageGreet
	if w.over {
		w.relay.journal.turned()
		_ = w.say(decidedReply{
			Reply:    policy.Reply{Code: 421, Enhanced: "4.7.0", Text: w.host() + " Error: too many connections from " + w.state.Client.String()},
			Decision: Decision{Rule: "K3", Basis: basis("K3"), Note: "the relay's own limit of open sessions"},
		})
		_ = w.flush()
		return errClosed
	}
	if w.relay.faulted() {
		w.foreign()
		if w.strike(request{Command: policy.Command{Verb: policy.Connect}}) {
			return errClosed
		}
		if w.fault("banner-drop") != nil {
			w.broke(transcript.FaultClosed, "banner-drop", "the server closed the connection before the greeting")
			return errClosed
		}
		if w.fault("banner-silent") != nil {
			w.broke(transcript.FaultTimeout, "banner-silent", "the server sent no greeting")
			w.wait(w.endAt)
			return errClosed
		}
	}
	d := w.greeting()
	if f := w.fault("slow"); f != nil {
		d.Fault = "slow"
		if !sleep(w.relay.clock, duration(f, 2*time.Second), w.done) {
			return errClosed
		}
	}
	if f := w.fault("teaser"); f != nil && d.Code == 220 && len(d.lines) > 0 {
		if err := w.teased(d, duration(f, 6*time.Second)); err != nil {
			return err
		}
	} else if err := w.say(d); err != nil {
		return err
	}
	if err := w.flush(); err != nil {
		return err
	}
	if d.Code == 421 || d.Code == 521 {
		return errClosed
	}
	w.stage = transcript.StageGreet
	if err := w.fill(w.idleAt); err != nil {
		return w.lost(err, false)
	}
	w.spoken.Store(true)
	return nil
}

// greeting is what the table says at connect.
func (w *wire) greeting() decidedReply {
	d := *w.table(policy.Command{Verb: policy.Connect})
	if d.Code >= 500 {
		w.state.Denied = true
	}
	if d.Code != 220 {
		return d
	}
	switch {
	case w.fault("banner-masked") != nil:
		d.Fault = "banner-masked"
		d.Text = maskBanner(d.Text)
	case w.stranger != nil:
		d.Text = w.host() + " ESMTP Postfix"
		d.Fault = w.strangerBy
	case w.port == PortServer && w.fault("teaser") != nil:
		d.Fault = "teaser"
		d.lines = []string{w.host() + " - Please wait..."}
		d.Text = w.host() + " - Welcome to PPE Hosted ESMTP Server"
	}
	return d
}

// teased sends the first line of the greeting, waits and sends the second. A
// client that does not wait for it is treated like any other: what it sent is
// heard afterwards.
func (w *wire) teased(d decidedReply, wait time.Duration) error {
	first := "220-" + d.lines[0]
	last := "220 " + d.Text
	if err := w.queue(first + "\r\n"); err != nil {
		return err
	}
	if err := w.flush(); err != nil {
		return err
	}
	if !sleep(w.relay.clock, wait, w.done) {
		return errClosed
	}
	w.record(last, []string{first, last}, d)
	return w.queue(last + "\r\n")
}

// foreign makes this session one with another server that answers under the
// relay's name: another banner, no STARTTLS, its own refusal to relay.
func (w *wire) foreign() {
	for _, f := range []struct{ name, host string }{
		{"not-the-relay", "mail.elsewhere.example"},
		{"loop-to-self", "mail.customer.example"},
	} {
		if w.fault(f.name) != nil {
			w.stranger = &policy.Account{Host: f.host, Propagation: time.Hour, Faults: []policy.Fault{{Name: "tls-off"}}}
			w.strangerBy = f.name
			return
		}
	}
}

// wait holds the connection until the client closes it or the time has come;
// what the client says meanwhile is not heard.
func (w *wire) wait(until time.Time) {
	for {
		w.in, w.inStart = w.in[:0], 0
		if w.fill(until) != nil {
			return
		}
	}
}

// xclientAddress reads the address of XCLIENT ADDR=, with Postfix's prefix for
// IPv6.
func xclientAddress(s string) (netip.Addr, bool) {
	if len(s) > 5 && strings.EqualFold(s[:5], "IPV6:") {
		s = s[5:]
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}
