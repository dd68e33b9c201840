package ndr

import (
	"strings"
	"testing"
)

// TestSourceCode reads what is about connections and no mail of anybody: source
// code, its documentation, a web server's log. None of it names a host that was
// tried or refused.
func TestSourceCode(t *testing.T) {
	texts := map[string]string{
		"a function": "def open(self, host, timeout=None):\n    # a timeout is raised as socket.timeout\n    server = host.partition(':')[0]\n    return create_connection(server, timeout)\n",
		"fields":     "func dial(c *Config) (net.Conn, error) {\n\tctx, cancel := context.WithTimeout(context.Background(), c.Wait)\n\tdefer cancel()\n\tserver: c.ServerName,\n\thost: req.URL.Host,\n\treturn nil, errors.New(\"cannot resolve an empty name\")\n}\n",
		"a package":  "// connect to fmt.Sprintf(\"%s:%d\", host, port) failed with connection refused\n",
		"an index":   "host: sys.argv[1]\nprint('connection timed out')\n",
		"a setting":  "$server = $cfg.smtp_host\ndie(\"connection refused\")\n",
		"a site":     "[24/Nov/2026:10:00:01 +0000] server: www.shop.example \"GET / HTTP/1.1\" 502 Bad Gateway\n[24/Nov/2026:10:00:02 +0000] server: www.shop.example error 503 Service Unavailable\n",
		"a commit":   "Update rich.traceback\n 541 insertions(+), 12 deletions(-)\n",
		"far apart":  "Server: intranet.firma.example\n" + strings.Repeat("nothing happened here\n", maxApart+5) + "the request ended: connection refused\n",
	}
	for name, text := range texts {
		for _, c := range Read([]byte(text)) {
			for i := range c.Items {
				if it := &c.Items[i]; !it.Refuser.IsZero() || !it.Target.IsZero() {
					t.Errorf("%s: refuser %q, target %q\n%s", name, it.Refuser.Host, it.Target.Host, text)
				}
			}
		}
	}
}

func TestInCode(t *testing.T) {
	for _, tt := range []struct {
		word, behind string
		want         bool
	}{
		{"fmt.Sprintf", "(\"%s\")", true},
		{"http.createServer", "", true},
		{"c.ServerName", ",", true},
		{"cfg.smtp_host", "", true},
		{"host.decode", "('idna')", true},
		{"sys.argv", "[1]", true},
		{"t.Fatalf", "", true},
		{"mail.corp.local", "(port 25)", false},
		{"smtp.firma.de", "(SMTP)", false},
		{"MAIL01.FIRMA.LOCAL", "", false},
		{"Mail01.Firma.Local", "", false},
		{"exch01.contoso.local", "[10.1.2.3]", false},
		{"relay.example.com", ", port 25", false},
		{"localhost", "(", false},
	} {
		if got := inCode([]byte(tt.word), []byte(tt.behind)); got != tt.want {
			t.Errorf("%s%s: %v", tt.word, tt.behind, got)
		}
	}
}

func TestInIdentifier(t *testing.T) {
	for text, fault := range map[string]bool{
		"timeout":                              true,
		"SMTP timeout after 30 s":              true,
		"httpx.ConnectTimeout":                 true,
		"ReadTimeoutError: no answer":          true,
		"SSLHandshakeException: no cipher":     true,
		"SSL alert HANDSHAKE_FAILURE":          true,
		"TLS handshake":                        true,
		"self._sslobj.do_handshake()":          true,
		"setTimeout(f, 10)":                    false,
		"two timeouts per run":                 false,
		"read_timeout_seconds is 10":           false,
		"handshake(conn)":                      false,
		"TestServerHandshake(t *testing.T) {":  false,
		"NewHandshakeInfo":                     false,
		"nxdomainuser@yahoo.example":           false,
		"context.WithTimeout(ctx, time.Hour)":  false,
		"wait_for_timeout":                     false,
		"the name gives NXDOMAIN at this hour": true,
	} {
		p, _ := programSays([]byte(text))
		if got := p != nil && p.effect == effectFault; got != fault {
			t.Errorf("%s: %v", text, got)
		}
	}
}
