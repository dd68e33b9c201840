package exporter

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"golang.org/x/crypto/bcrypt"

	"github.com/smtp-handoff/handoff/analyze"
)

// TestExpositionParses: the parser that the ecosystem shares reads what a probe
// gives, and finds what the report says.
func TestExpositionParses(t *testing.T) {
	for _, status := range []analyze.Status{analyze.OK, analyze.Problem, analyze.Inconclusive} {
		text, err := Exposition(probeReport(status), 1500*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		parser := expfmt.NewTextParser(model.LegacyValidation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(string(text)))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		series := map[string]int{}
		for name, f := range families {
			if f.GetHelp() == "" || f.GetType().String() != "GAUGE" {
				t.Errorf("%s: help %q, type %s", name, f.GetHelp(), f.GetType())
			}
			seen := map[string]bool{}
			for _, m := range f.GetMetric() {
				labels := fmt.Sprint(m.GetLabel())
				if seen[labels] {
					t.Errorf("%s has %s twice", name, labels)
				}
				seen[labels] = true
				series[name]++
			}
		}
		for name, want := range map[string]int{
			"probe_success": 1, "probe_duration_seconds": 1, "probe_ssl_earliest_cert_expiry": 1, "probe_smtp_verdict_info": 2,
			"probe_smtp_phase_duration_seconds": 3, "probe_smtp_reply_code": 1, "probe_smtp_finding_info": 2,
		} {
			if series[name] != want {
				t.Errorf("%s: %d series, want %d", name, series[name], want)
			}
		}
		if len(families) != 7 {
			t.Errorf("%d families", len(families))
		}
	}
}

// selfSigned writes a certificate for 127.0.0.1 and its key.
func selfSigned(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "exporter"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return pool
}

// TestWebConfiguration: TLS and basic authentication as all exporters of the
// ecosystem take them, in one file.
func TestWebConfiguration(t *testing.T) {
	dir := t.TempDir()
	pool := selfSigned(t, dir)
	hash, err := bcrypt.GenerateFromPassword([]byte("scrape me"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "web.yml")
	text := fmt.Sprintf("tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\nbasic_auth_users:\n  prometheus: %s\n", hash)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CheckWeb(file); err != nil {
		t.Fatal(err)
	}
	s := New(Options{MaxProbes: 1, Limit: time.Minute, Loopback: true, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	s.Load([]*Module{module("open")}, time.Unix(0, 0))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l, file) }()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	client := &http.Client{Transport: transport}
	for _, c := range []struct {
		user, password string
		want           int
	}{{"", "", 401}, {"prometheus", "wrong", 401}, {"somebody", "scrape me", 401}, {"prometheus", "scrape me", 200}} {
		for _, path := range []string{"/probe?target=h.example&module=open", "/metrics", "/"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+l.Addr().String()+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.user != "" {
				req.SetBasicAuth(c.user, c.password)
			}
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if res.StatusCode != c.want || res.StatusCode != 200 && strings.Contains(string(body), "probe_success") {
				t.Errorf("%s as %q: %d %.100s", path, c.user, res.StatusCode, body)
			}
		}
	}
	if res, err := http.Get("http://" + l.Addr().String() + "/metrics"); err == nil {
		res.Body.Close()
		if res.StatusCode == 200 {
			t.Error("it answers without TLS too")
		}
	}
	transport.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	for name, text := range map[string]string{"a key that is not there": "tls_server_config: {cert_file: none, key_file: none}\n", "an unknown key": "tls: {}\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if CheckWeb(file) == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
