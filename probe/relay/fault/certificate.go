package fault

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"strconv"
	"sync"
	"time"
)

// authority issues the certificates that "tls cert=NAME" asks for.
type authority struct {
	host string
	now  func() time.Time
	mu   sync.Mutex
	root *issuer
	made map[string]*tls.Certificate
}

type issuer struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// certificates are the kinds by name. Each changes a good leaf for the host.
var certificates = []struct {
	name   string
	change func(leaf *x509.Certificate, now time.Time)
}{
	{"good", func(*x509.Certificate, time.Time) {}},
	{"expired", func(c *x509.Certificate, now time.Time) {
		c.NotBefore, c.NotAfter = now.AddDate(0, -3, 0), now.Add(-time.Hour)
	}},
	{"not-yet", func(c *x509.Certificate, now time.Time) {
		c.NotBefore, c.NotAfter = now.Add(time.Hour), now.AddDate(0, 3, 0)
	}},
	{"wrong-name", func(c *x509.Certificate, _ time.Time) { c.DNSNames = []string{"mail.other.example"} }},
	{"look-alike", func(c *x509.Certificate, _ time.Time) { c.DNSNames = []string{c.DNSNames[0] + ".evil.example"} }},
	{"wildcard-deep", func(c *x509.Certificate, _ time.Time) { c.DNSNames = []string{"*.example"} }},
	{"name-in-cn", func(c *x509.Certificate, _ time.Time) { c.DNSNames = nil }},
	{"escape-name", func(c *x509.Certificate, _ time.Time) {
		c.Subject.CommonName = "\x1b[31mred\x00"
		c.DNSNames = []string{"mail.\x1b[31mother.example"}
	}},
	{"many-names", func(c *x509.Certificate, _ time.Time) {
		c.DNSNames = nil
		for i := range 3000 {
			c.DNSNames = append(c.DNSNames, fmt.Sprintf("host%d.other.example", i))
		}
	}},
	{"client-only", func(c *x509.Certificate, _ time.Time) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}},
	{"unknown-ca", func(*x509.Certificate, time.Time) {}},
	{"self-signed", func(*x509.Certificate, time.Time) {}},
	{"expired-ca", func(*x509.Certificate, time.Time) {}},
	{"leaf-signs", func(*x509.Certificate, time.Time) {}},
	{"rsa", func(*x509.Certificate, time.Time) {}},
	{"rsa-1024", func(*x509.Certificate, time.Time) {}},
	{"rsa-big", func(*x509.Certificate, time.Time) {}},
	{"long-chain", func(*x509.Certificate, time.Time) {}},
	{"large", func(c *x509.Certificate, _ time.Time) { c.DNSNames = append(c.DNSNames, shortNames(11_000)...) }},
	{"too-large", func(c *x509.Certificate, _ time.Time) { c.DNSNames = append(c.DNSNames, shortNames(30_000)...) }},
}

// shortNames are short names that fill a certificate.
func shortNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = "n" + strconv.FormatInt(int64(i), 36)
	}
	return names
}

func newKey() crypto.Signer {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // the system has no randomness
	}
	return k
}

func (a *authority) sign(c *x509.Certificate, by *issuer, key crypto.Signer) (*issuer, error) {
	if by == nil {
		by = &issuer{cert: c, key: key}
	}
	c.SerialNumber = big.NewInt(a.now().UnixNano())
	der, err := x509.CreateCertificate(rand.Reader, c, by.cert, key.Public(), by.key)
	if err != nil {
		return nil, err
	}
	out, err := x509.ParseCertificate(der)
	return &issuer{out, key}, err
}

func (a *authority) ca(name string, notAfter time.Time, by *issuer) (*issuer, error) {
	return a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: a.now().AddDate(-1, 0, 0), NotAfter: notAfter,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}, by, newKey())
}

// trusted is the root that a client is to trust.
func (a *authority) trusted() (*issuer, error) {
	if a.root == nil {
		root, err := a.ca("handoff test authority", a.now().AddDate(1, 0, 0), nil)
		if err != nil {
			return nil, err
		}
		a.root = root
	}
	return a.root, nil
}

// certificate makes, once, the certificate of a kind.
func (a *authority) certificate(name string) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.made[name]; c != nil {
		return c, nil
	}
	root, err := a.trusted()
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{
		Subject: pkix.Name{CommonName: a.host}, NotBefore: a.now().AddDate(0, -1, 0), NotAfter: a.now().AddDate(0, 3, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(a.host); ip != nil {
		leaf.IPAddresses = []net.IP{ip}
	} else {
		leaf.DNSNames = []string{a.host}
	}
	known := false
	for _, k := range certificates {
		if k.name == name {
			known = true
			k.change(leaf, a.now())
		}
	}
	if !known {
		return nil, fmt.Errorf("fault: no certificate %q", name)
	}
	by, key := root, newKey()
	var chain [][]byte
	switch name {
	case "unknown-ca":
		by, err = a.ca("another authority", a.now().AddDate(1, 0, 0), nil)
	case "self-signed":
		by = nil
	case "expired-ca":
		by, err = a.ca("an expired authority", a.now().Add(-time.Hour), root)
		if err == nil {
			chain = append(chain, by.cert.Raw)
		}
	case "leaf-signs":
		plain := *leaf
		plain.DNSNames = []string{"leaf.other.example"}
		by, err = a.sign(&plain, root, newKey())
		if err == nil {
			chain = append(chain, by.cert.Raw)
		}
	case "long-chain":
		for i := 0; err == nil && i < 30; i++ {
			by, err = a.ca(fmt.Sprintf("authority %d", i), a.now().AddDate(1, 0, 0), by)
			if err == nil {
				chain = append([][]byte{by.cert.Raw}, chain...)
			}
		}
	case "rsa", "rsa-1024", "rsa-big":
		bits := map[string]int{"rsa": 2048, "rsa-1024": 1024, "rsa-big": 4096}[name]
		key, err = rsa.GenerateKey(rand.Reader, bits)
	}
	if err != nil {
		return nil, err
	}
	made, err := a.sign(leaf, by, key)
	if err != nil {
		return nil, err
	}
	c := &tls.Certificate{Certificate: append([][]byte{made.cert.Raw}, chain...), PrivateKey: key}
	if len(chain) == 0 && by != nil && !bytes.Equal(by.cert.Raw, root.cert.Raw) {
		c.Certificate = append(c.Certificate, by.cert.Raw)
	}
	a.made[name] = c
	return c, nil
}
