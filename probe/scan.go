package probe

import (
	"crypto/tls"
	"net/netip"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// scan asks for each version of TLS, on connections of its own and one after
// the other, whether the servers of the sessions accept it. No credential is
// near it.
func (r *run) scan(sessions []transcript.Session) {
	for i := range sessions {
		rec := &sessions[i]
		if rec.TLS == nil {
			continue
		}
		addr, err := netip.ParseAddr(rec.Address)
		if err != nil {
			continue
		}
		port := rec.Port
		if c, ok := r.target.Connect[port]; ok {
			_, port, _ = splitConnect(c)
		}
		for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13} {
			t := transcript.TLSVersion{Version: tls.VersionName(v)}
			if wait(r.ctx, r.opts.Spacing) == nil {
				t.Accepted, t.Alert = r.accepts(addr, port, rec.Port, v)
			}
			rec.TLS.Versions = append(rec.TLS.Versions, t)
		}
	}
}

// accepts tries one handshake with one version.
func (r *run) accepts(addr netip.Addr, dialPort, port int, version uint16) (transcript.Fact, string) {
	s := r.session(port, r.opts.Now(), time.Now())
	s.quiet = true
	d := r.dial(r.ctx, addr, dialPort, s.began)
	s.connected(d)
	defer s.finish()
	if s.w == nil {
		return transcript.Unknown, ""
	}
	if !s.rec.Implicit {
		if !s.greeting() || !s.hello(transcript.StageEHLO) || !offers(s.rec.Before, "STARTTLS") {
			return transcript.Unknown, ""
		}
		if _, result := s.ask(command{stage: transcript.StageTLS, line: "STARTTLS", ok: []int{220}}, r.timeout); result != done || s.w.unasked() {
			return transcript.Unknown, ""
		}
	}
	facts, f := s.w.handshake(r.ctx, r.host, r.timeout, r.opts.RootCAs, r.opts.Now(), version)
	s.polite = f == nil || f.fault == transcript.FaultCertificate
	switch {
	case s.polite:
		return transcript.Yes, ""
	case r.ctx.Err() != nil, f.fault == transcript.FaultTimeout, f.fault == transcript.FaultLimit:
		return transcript.Unknown, ""
	}
	return transcript.No, facts.Alert
}
