package relay

import (
	"crypto/tls"
	"errors"
	"io"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// startTLS answers STARTTLS and shakes hands. Plaintext that came behind the
// command is thrown away unread: it must not be executed inside TLS
// (CVE-2011-0411).
func (w *wire) startTLS(req request) error {
	if d, ok := w.stripped(); ok {
		return w.answer(req, d)
	}
	d := w.table(req.Command)
	if d.Code != 220 {
		return w.answer(req, *d)
	}
	if behind := len(w.in) - w.inStart; behind > 0 {
		d.Note = "plaintext behind STARTTLS was thrown away"
		w.in, w.inStart = nil, 0
	}
	if err := w.answer(req, *d); err != nil {
		return err
	}
	if stop := w.spoilHandshake(); stop {
		return errClosed
	}
	if err := w.flush(); err != nil {
		return err
	}
	w.sent = w.relay.clock.Now()
	w.shown, w.at = "", transcript.StageTLS
	version := ""
	config := w.relay.tlsConfig(w)
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		version = highest(hello.SupportedVersions)
		return nil, nil
	}
	conn := tls.Server(w.raw, config)
	w.deadline(w.relay.clock.Now().Add(w.relay.limits.Handshake))
	err := conn.Handshake()
	x := transcript.Exchange{Stage: transcript.StageTLS, Sent: w.sent.Sub(w.began), Took: w.relay.clock.Now().Sub(w.sent)}
	if err != nil {
		_, rule := w.ask(policy.Command{Verb: policy.Handshake, Arg: version})
		dec := w.decision(rule)
		x.Fault, x.Detail = transcript.FaultTLS, "the handshake failed"
		switch {
		case isTimeout(err):
			x.Fault, x.Detail = transcript.FaultTimeout, "the handshake did not end in time"
		case errors.Is(err, io.EOF):
			x.Fault, x.Detail = transcript.FaultClosed, "the client closed the connection in the handshake"
		case rule == "T5":
			x.Detail = "the client's highest version is TLS " + version
		}
		w.refusedTLS(&x, version)
		w.relay.journal.add(w.rec, x, dec)
		w.state.Secure = false
		return errClosed
	}
	_, rule := w.step(policy.Command{Verb: policy.Handshake, Arg: version})
	w.mu.Lock()
	w.conn = conn // shut may look at it from outside
	w.mu.Unlock()
	w.secure, x.Secure = true, true
	w.in, w.inStart = nil, 0
	w.inBdat = false
	state := conn.ConnectionState()
	facts := &transcript.TLS{
		Version: tls.VersionName(state.Version), Cipher: tls.CipherSuiteName(state.CipherSuite),
		Curve: state.CurveID.String(),
	}
	if leaf := w.relay.presented(w); leaf != nil {
		facts.Names = append(facts.Names, leaf.DNSNames...)
		for _, ip := range leaf.IPAddresses {
			facts.Names = append(facts.Names, ip.String())
		}
		facts.Subject, facts.Issuer = leaf.Subject.String(), leaf.Issuer.String()
		facts.NotBefore, facts.NotAfter = leaf.NotBefore.UTC(), leaf.NotAfter.UTC()
		facts.Earliest = facts.NotAfter
	}
	w.relay.journal.update(w.rec, func(r *Record) { r.Session.TLS = facts })
	w.relay.journal.add(w.rec, x, w.decision(rule))
	w.idleAt = w.relay.clock.Now().Add(w.relay.limits.Idle)
	if w.helo {
		// The dialogue starts over inside TLS (RFC 3207 §4.2).
		w.inject("RSET")
	}
	return nil
}

// refusedTLS says what the client will have found wrong, as far as the relay
// knows: it knows which certificate and which versions it has shown.
func (w *wire) refusedTLS(x *transcript.Exchange, version string) {
	problem := map[string]string{
		certExpired: "certificate-expired", certNotYet: "certificate-not-yet-valid", certWrongName: "certificate-name-mismatch",
		certUnknownCA: "certificate-unknown-issuer",
	}[w.certificateKind()]
	switch {
	case problem != "":
		x.Fault = transcript.FaultCertificate
	case w.fault("tls10-only") != nil || version == "1.0" || version == "1.1":
		problem = "protocol-version"
	case w.fault("tls-alert") != nil:
		problem = "internal-error"
	default:
		problem = "interrupted"
	}
	w.relay.journal.update(w.rec, func(r *Record) { r.Session.TLS = &transcript.TLS{Problem: problem, Verified: transcript.No} })
}

// highest names the newest version a client offers, "1.2"; empty for none.
func highest(versions []uint16) string {
	var v uint16
	for _, x := range versions {
		if x <= tls.VersionTLS13 && x > v {
			v = x
		}
	}
	switch v {
	case tls.VersionTLS10:
		return "1.0"
	case tls.VersionTLS11:
		return "1.1"
	case tls.VersionTLS12:
		return "1.2"
	case tls.VersionTLS13:
		return "1.3"
	}
	return ""
}
