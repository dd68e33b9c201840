package probe

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Problems of the handshake itself, beside the certificate's
// (transcript.TLS.Problem).
const (
	problemVersion     = "protocol-version"
	problemNotTLS      = "not-tls"
	problemInternal    = "internal-error" // the server tells of a fault of its own
	problemAlert       = "alert"
	problemInterrupted = "interrupted"
	problemImplicit    = "implicit-tls" // the server speaks TLS from the first byte on a STARTTLS port
)

// handshake starts TLS on the wire and verifies the certificate. It returns
// what was learned, and the flaw when TLS cannot be used. With a certificate
// that does not verify, TLS is up all the same: the caller decides.
func (w *wire) handshake(ctx context.Context, host string, patience time.Duration, roots *x509.CertPool, now time.Time, version uint16) (*transcript.TLS, *flaw) {
	conf := &tls.Config{
		ServerName: host,
		// Verification is ours, below: it has to tell names, dates and issuers
		// apart by the certificate's fields and to record a bad chain too.
		InsecureSkipVerify: true, //nolint:gosec // see above
		Time:               func() time.Time { return now },
	}
	if version != 0 {
		conf.MinVersion, conf.MaxVersion = version, version
		for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
			conf.CipherSuites = append(conf.CipherSuites, suite.ID)
		}
	}
	w.raw.keep, w.raw.limit = true, min(maxRaw, w.raw.total+maxHandshake)
	w.deadline(time.Now().Add(patience))
	c := tls.Client(w.raw, conf)
	err := c.HandshakeContext(ctx)
	w.raw.keep, w.raw.limit = false, maxRaw
	if err != nil {
		facts, f := w.handshakeFlaw(err)
		w.raw.head = nil
		return facts, f
	}
	w.raw.head = nil
	w.conn = c
	w.pending = nil
	state := c.ConnectionState()
	facts := tlsFacts(&state)
	if problem, detail := verify(state.PeerCertificates, host, roots, now); problem != "" {
		facts.Verified, facts.Problem, facts.Detail = transcript.No, problem, detail
		return facts, &flaw{fault: transcript.FaultCertificate, detail: detail}
	}
	facts.Verified = transcript.Yes
	return facts, nil
}

func tlsFacts(state *tls.ConnectionState) *transcript.TLS {
	facts := &transcript.TLS{
		Version: tls.VersionName(state.Version),
		Cipher:  tls.CipherSuiteName(state.CipherSuite),
		Stapled: transcript.No,
	}
	if state.CurveID != 0 {
		facts.Curve = state.CurveID.String()
	}
	if len(state.OCSPResponse) > 0 {
		facts.Stapled = transcript.Yes
	}
	for i, cert := range state.PeerCertificates {
		if i == 0 || cert.NotAfter.Before(facts.Earliest) {
			facts.Earliest = cert.NotAfter.UTC()
		}
		if i < maxChain {
			facts.Chain = append(facts.Chain, shorten(cert.Subject.String(), 256))
		}
	}
	if len(state.PeerCertificates) > 0 {
		leaf := state.PeerCertificates[0]
		facts.Names = namesOf(leaf)
		facts.Subject = shorten(leaf.Subject.String(), 256)
		facts.Issuer = shorten(leaf.Issuer.String(), 256)
		facts.NotBefore = leaf.NotBefore.UTC()
		facts.NotAfter = leaf.NotAfter.UTC()
	}
	return facts
}

// namesOf lists what the certificate is valid for: DNS names and addresses.
// The common name counts for nothing (RFC 9525 §2).
func namesOf(cert *x509.Certificate) []string {
	var names []string
	for _, n := range cert.DNSNames {
		if len(names) == maxNames {
			return names
		}
		names = append(names, shorten(n, 256))
	}
	for _, ip := range cert.IPAddresses {
		if len(names) == maxNames {
			return names
		}
		names = append(names, ip.String())
	}
	return names
}

func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// verify checks a chain as a client must: dates, a way to a trusted authority,
// the name, and keys that are worth something. It returns the id of the cause
// and a sentence made from the certificate's fields, or nothing.
func verify(chain []*x509.Certificate, host string, roots *x509.CertPool, now time.Time) (problem, detail string) {
	if len(chain) == 0 {
		return "certificate-unknown-issuer", "the server sent no certificate"
	}
	leaf := chain[0]
	if p, d := datesOf(leaf, "the certificate", now); p != "" {
		return p, d
	}
	others := x509.NewCertPool()
	for _, c := range chain[1:] {
		others.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: others, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return chainProblem(err, chain, now)
	}
	if leaf.VerifyHostname(bracketed(host)) != nil {
		return "certificate-name-mismatch", fmt.Sprintf("the certificate is for %s, not for %s", listed(namesOf(leaf)), host)
	}
	if key, ok := leaf.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < 2048 {
		return "certificate-weak-key", fmt.Sprintf("the certificate's RSA key has %d bits; 2048 is the least that is safe", key.N.BitLen())
	}
	return "", ""
}

// bracketed makes an IP address such that VerifyHostname compares it with the
// addresses of the certificate.
func bracketed(host string) string {
	if net.ParseIP(host) != nil {
		return "[" + host + "]"
	}
	return host
}

func datesOf(cert *x509.Certificate, what string, now time.Time) (problem, detail string) {
	const day = "2006-01-02 15:04 UTC"
	switch {
	case now.After(cert.NotAfter):
		return "certificate-expired", fmt.Sprintf("%s expired on %s; this machine's clock says %s", what, cert.NotAfter.UTC().Format(day), now.UTC().Format(day))
	case now.Before(cert.NotBefore):
		return "certificate-not-yet-valid", fmt.Sprintf("%s is valid from %s; this machine's clock says %s", what, cert.NotBefore.UTC().Format(day), now.UTC().Format(day))
	}
	return "", ""
}

// chainProblem says why no chain to a trusted authority was found: an expired
// certificate between, or an authority that nobody here knows.
func chainProblem(err error, chain []*x509.Certificate, now time.Time) (problem, detail string) {
	leaf := chain[0]
	issuer := shorten(fmt.Sprintf("%q", leaf.Issuer.String()), 256)
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		switch invalid.Reason {
		case x509.Expired:
			if invalid.Cert != nil {
				if p, d := datesOf(invalid.Cert, "an issuing certificate", now); p != "" {
					return p, d
				}
			}
		case x509.IncompatibleUsage:
			return "certificate-unknown-issuer", "the certificate, or one above it, is not meant for servers"
		case x509.NotAuthorizedToSign:
			return "certificate-unknown-issuer", "the chain has a certificate that may not sign others; the issuer is " + issuer
		}
		return "certificate-unknown-issuer", "the chain breaks a rule of its own certificates; the issuer is " + issuer
	}
	if p, d := datesOfOthers(chain, now); p != "" {
		return p, d
	}
	if _, ok := errors.AsType[x509.SystemRootsError](err); ok {
		return "certificate-unknown-issuer", "this machine has no list of trusted authorities; the issuer is " + issuer
	}
	switch leaf.SignatureAlgorithm {
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1, x509.MD5WithRSA, x509.MD2WithRSA:
		return "certificate-unknown-issuer", "the certificate is signed with " + leaf.SignatureAlgorithm.String() + ", which proves nothing any more"
	}
	if bytes.Equal(leaf.RawIssuer, leaf.RawSubject) {
		return "certificate-unknown-issuer", "the certificate is signed by itself: " + issuer
	}
	return "certificate-unknown-issuer", "the certificate was issued by " + issuer + ", an authority that this machine does not trust"
}

func datesOfOthers(chain []*x509.Certificate, now time.Time) (problem, detail string) {
	for _, c := range chain[1:] {
		if p, d := datesOf(c, "an issuing certificate", now); p != "" {
			return p, d
		}
	}
	return "", ""
}

func listed(names []string) string {
	const most = 3
	if len(names) == 0 {
		return "no name at all"
	}
	quoted := make([]string, 0, most)
	for _, n := range names[:min(most, len(names))] {
		quoted = append(quoted, strings.Trim(fmt.Sprintf("%+q", n), `"`))
	}
	s := strings.Join(quoted, ", ")
	if n := len(names) - most; n > 0 {
		s += fmt.Sprintf(" and %d more", n)
	}
	return s
}

// handshakeFlaw explains a failed handshake from its error's type and from the
// first bytes that the server sent.
func (w *wire) handshakeFlaw(err error) (*transcript.TLS, *flaw) {
	facts := &transcript.TLS{}
	head := w.raw.head
	set := func(fault transcript.Fault, problem, detail string) (*transcript.TLS, *flaw) {
		facts.Problem, facts.Detail = problem, detail
		return facts, &flaw{fault: fault, detail: detail}
	}
	if errors.Is(err, errLimit) {
		return set(transcript.FaultLimit, problemInterrupted, "the server sent more than our limit of 96 KB in its handshake")
	}
	if name, ok := tlsAlert(err, head); ok {
		facts.Alert = name
		if name == "protocol_version" {
			return set(transcript.FaultTLS, problemVersion, "the server refuses TLS 1.2 and later: alert protocol_version")
		}
		if name == "internal_error" {
			return set(transcript.FaultTLS, problemInternal, "the server ended the handshake for a fault of its own: alert internal_error")
		}
		return set(transcript.FaultTLS, problemAlert, "the server ended the handshake with the alert "+name)
	}
	if v, ok := helloVersion(head); ok && v < tls.VersionTLS12 {
		facts.Version = tls.VersionName(v)
		return set(transcript.FaultTLS, problemVersion, "the server chose "+tls.VersionName(v)+", which is too old: 1.2 is the least")
	}
	if !looksLikeTLS(head) {
		if len(head) > 0 {
			if i := w.lateTLS(); i > 0 {
				return set(transcript.FaultInjection, problemNotTLS, "plaintext stood behind the reply to STARTTLS: "+quote(w.raw.head[:i]))
			}
			words := "what arrived in place of TLS is not TLS: "
			for _, p := range protocols {
				if bytes.HasPrefix(head, []byte(p.begin)) {
					words = "the server speaks " + p.name + ", not TLS: "
				}
			}
			if _, _, ok := replyLine(firstLine(head)); ok {
				words = "the server speaks plain SMTP, not TLS: "
			}
			return set(transcript.FaultTLS, problemNotTLS, words+quote(head))
		}
	}
	if broken := tlsRecordError(err); broken || isLocalTLS(err) {
		return set(transcript.FaultTLS, problemNotTLS, "the server's handshake breaks the rules of TLS")
	}
	fault, detail := faultOf(err)
	switch fault {
	case transcript.FaultTimeout:
		detail = "no answer to our TLS hello"
		if len(head) > 0 {
			detail = "the handshake did not end within the patience"
		}
	case transcript.FaultClosed:
		detail = "the server closed the connection in the handshake"
	case transcript.FaultReset:
		if _, ok := errors.AsType[*net.OpError](err); !ok {
			return set(transcript.FaultTLS, problemNotTLS, "the server's handshake breaks the rules of TLS")
		}
		detail = "the connection was reset in the handshake"
	}
	return set(fault, problemInterrupted, detail)
}

// lateTLS looks for the server's own handshake behind foreign plaintext: then
// somebody put the plaintext there. It returns where TLS begins, or 0.
func (w *wire) lateTLS() int {
	w.raw.keep = true
	defer func() { w.raw.keep = false }()
	w.deadline(time.Now().Add(eyeballs))
	b := make([]byte, 1024)
	for {
		for i := 1; i+2 < len(w.raw.head); i++ {
			if looksLikeTLS(w.raw.head[i:]) {
				return i
			}
		}
		if len(w.raw.head) >= maxHead {
			return 0
		}
		if n, err := w.raw.Read(b); err != nil && n == 0 {
			return 0
		}
	}
}

// looksLikeTLS reports whether bytes begin with a record header of SSL 3.0 or
// TLS: alert or handshake.
func looksLikeTLS(b []byte) bool {
	return len(b) >= 3 && (b[0] == 0x15 || b[0] == 0x16) && b[1] == 3 && b[2] <= 4
}

// helloVersion is the version that a ServerHello at the start of b chose.
func helloVersion(b []byte) (uint16, bool) {
	if len(b) < 11 || b[0] != 0x16 || b[1] != 3 || b[5] != 2 {
		return 0, false
	}
	return uint16(b[9])<<8 | uint16(b[10]), true
}

func firstLine(b []byte) []byte {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return bytes.TrimRight(b[:i], "\r")
	}
	return b
}

// tlsAlert names the alert by which the peer ended TLS. crypto/tls keeps its
// number in an unexported type inside a net.OpError; where it does not, the
// first record in the clear has it.
func tlsAlert(err error, head []byte) (string, bool) {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" && op.Err != nil {
		if v := reflect.ValueOf(op.Err); v.Kind() == reflect.Uint8 {
			return alertName(byte(v.Uint())), true
		}
	}
	if len(head) >= 7 && head[0] == 0x15 && head[1] == 3 && head[3] == 0 && head[4] == 2 {
		return alertName(head[6]), true
	}
	return "", false
}

// tlsRecordError reports whether crypto/tls could not read a record.
func tlsRecordError(err error) bool {
	_, ok := errors.AsType[tls.RecordHeaderError](err)
	return ok || isLocalTLS(err)
}

// isLocalTLS reports whether crypto/tls itself broke off, with an alert of ours.
func isLocalTLS(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "local error"
}

func alertName(n byte) string {
	for _, a := range alerts {
		if a.number == n {
			return a.name
		}
	}
	return fmt.Sprintf("number %d", n)
}

// alerts are the names of RFC 8446 §6 and RFC 5246 §7.2.
var alerts = []struct {
	number byte
	name   string
}{
	{0, "close_notify"},
	{10, "unexpected_message"},
	{20, "bad_record_mac"},
	{21, "decryption_failed"},
	{22, "record_overflow"},
	{30, "decompression_failure"},
	{40, "handshake_failure"},
	{41, "no_certificate"},
	{42, "bad_certificate"},
	{43, "unsupported_certificate"},
	{44, "certificate_revoked"},
	{45, "certificate_expired"},
	{46, "certificate_unknown"},
	{47, "illegal_parameter"},
	{48, "unknown_ca"},
	{49, "access_denied"},
	{50, "decode_error"},
	{51, "decrypt_error"},
	{60, "export_restriction"},
	{70, "protocol_version"},
	{71, "insufficient_security"},
	{80, "internal_error"},
	{86, "inappropriate_fallback"},
	{90, "user_canceled"},
	{100, "no_renegotiation"},
	{109, "missing_extension"},
	{110, "unsupported_extension"},
	{112, "unrecognized_name"},
	{113, "bad_certificate_status_response"},
	{115, "unknown_psk_identity"},
	{116, "certificate_required"},
	{120, "no_application_protocol"},
}
