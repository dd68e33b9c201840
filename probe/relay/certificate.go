package relay

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"sync"
	"time"
)

// authority is a certification authority made for one relay. ECDSA P-256: it
// and a leaf cost 0.2 ms, where RSA-2048 costs 43 ms and twice the server time
// per handshake.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// sign makes a key and a certificate for it after the template; without a signer
// it signs itself.
func sign(t *x509.Certificate, signer *authority) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if t.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, nil, err
	}
	if signer == nil {
		signer = &authority{cert: t, key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, signer.cert, key.Public(), signer.key)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return cert, key, err
}

// newAuthority makes an authority that is valid for ten years around now.
func newAuthority(name string, now time.Time) (*authority, error) {
	cert, key, err := sign(&x509.Certificate{
		Subject:               pkix.Name{CommonName: name, Organization: []string{"handoff reference relay"}},
		NotBefore:             now.Add(-365 * 24 * time.Hour),
		NotAfter:              now.Add(9 * 365 * 24 * time.Hour),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}, nil)
	if err != nil {
		return nil, err
	}
	return &authority{cert: cert, key: key}, nil
}

// issue makes a server certificate for the names, each a DNS name or an IP
// address.
func (a *authority) issue(names []string, notBefore, notAfter time.Time) (*tls.Certificate, error) {
	t := &x509.Certificate{
		Subject:     pkix.Name{CommonName: names[0]},
		NotBefore:   notBefore,
		NotAfter:    notAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, name)
		}
	}
	leaf, key, err := sign(t, a)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// pem returns the authority's certificate as a PEM block.
func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// The kinds of certificate that a session may be shown. All but the first are
// faults.
const (
	certGood      = ""
	certExpired   = "cert-expired"
	certNotYet    = "cert-not-yet"
	certWrongName = "cert-wrong-name"
	certUnknownCA = "cert-unknown-ca"
)

// certificates keeps the leaves that have been issued, by kind.
type certificates struct {
	mu   sync.Mutex
	kept map[string]*tls.Certificate
}

// certificateKind is the kind that this session's client is shown.
func (w *wire) certificateKind() string {
	if w.relay.faulted() {
		for _, kind := range []string{certExpired, certNotYet, certWrongName, certUnknownCA} {
			if w.fault(kind) != nil {
				return kind
			}
		}
	}
	return certGood
}

// certificate returns the leaf of a kind. A good one is made anew when the
// clock has left it behind: a relay whose clock is put ahead by a year still
// shows a valid one.
func (r *Relay) certificate(kind string) (*tls.Certificate, error) {
	now := r.clock.Now()
	c := &r.certs
	c.mu.Lock()
	defer c.mu.Unlock()
	const day = 24 * time.Hour
	if have := c.kept[kind]; have != nil {
		if kind == certExpired || kind == certNotYet || now.Before(have.Leaf.NotAfter.Add(-day)) {
			return have, nil
		}
	}
	names, ca, from, to := r.names, r.ca, now.Add(-day), now.Add(90*day)
	switch kind {
	case certExpired:
		from, to = now.Add(-91*day), now.Add(-day)
	case certNotYet:
		from, to = now.Add(day), now.Add(91*day)
	case certWrongName:
		names = []string{"mail.elsewhere.example"}
	case certUnknownCA:
		ca = r.stranger
	}
	cert, err := ca.issue(names, from, to)
	if err != nil {
		return nil, err
	}
	if c.kept == nil {
		c.kept = map[string]*tls.Certificate{}
	}
	c.kept[kind] = cert
	return cert, nil
}
