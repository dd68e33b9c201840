package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/smtp-handoff/handoff/cmd/handoff/internal/cli"
	"github.com/smtp-handoff/handoff/probe/relay/fault"
)

// forms are the shapes in which a secret may get out: as it is, and as the
// encodings of SASL, URLs and dumps would show it. Base64 of a longer text shows
// the secret at one of three alignments; the characters at the edges, which
// depend on the neighbours, are cut off.
func forms(secret string) map[string]string {
	out := map[string]string{
		"plain text": secret,
		"a URL":      url.QueryEscape(secret),
		"hex":        hex.EncodeToString([]byte(secret)),
		"HEX":        strings.ToUpper(hex.EncodeToString([]byte(secret))),
	}
	r := []rune(secret)
	slices.Reverse(r)
	out["reversed"] = string(r)
	for shift, name := range []string{"base64", "base64 at offset 1", "base64 at offset 2"} {
		enc := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + secret + "xxx"))
		from := []int{0, 2, 3}[shift]
		to := (shift + len(secret)) / 3 * 4
		out[name] = enc[from:to]
	}
	return out
}

// TestPlantedSecret probes a server that quotes the credential back in every
// form it can think of, and looks for it on every surface.
func TestPlantedSecret(t *testing.T) {
	const user, secret = "alerts@customer.example", "pl4nted-Kx7-Secret#94"
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + secret))
	quoted := []string{secret, plain, base64.StdEncoding.EncodeToString([]byte(secret)), url.QueryEscape(secret), hex.EncodeToString([]byte(secret))}
	script := "< 220 outbound-us1.ppe-hosted.com ESMTP\n> EHLO\n< 250-outbound-us1.ppe-hosted.com\n< 250 STARTTLS\n> STARTTLS\n< 220 go\ntls\n> EHLO\n" +
		"< 250-outbound-us1.ppe-hosted.com\n< 250 AUTH PLAIN LOGIN\n> AUTH\n"
	for _, q := range quoted {
		script += "< 535-5.7.8 no: " + q + "\n"
	}
	script += "< 535 5.7.8 I will not take " + secret + " from you\n>\n< 221 bye " + secret + "\n"
	s := fault.New("outbound-us1.ppe-hosted.com", fault.MustParse(script))
	defer s.Close()
	address, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "pw")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", dir)
	flags := []string{
		"--ports", "587", "--connect", "587=" + address.String(), "--insecure-tls", "--allow-auth-over-untrusted",
		"--user", user, "--password-file", file, "--from", user, "--to", "bob@recipient.example",
	}
	for _, args := range [][]string{
		{"probe", "-o", "text"},
		{"probe", "-o", "text", "-v", "--color", "always", "--transcript", filepath.Join(dir, "t1")},
		{"probe", "-o", "text", "--redact", "strict", "--transcript", filepath.Join(dir, "t2")},
		{"probe", "-o", "json", "--output", filepath.Join(dir, "out.json")},
		{"probe", "-o", "jsonl"},
		{"probe", "-o", "markdown"},
		{"probe", "-o", "html"},
		{"probe", "-o", "junit"},
		{"probe", "-o", "sarif"},
		{"probe", "-o", "github"},
		{"probe", "-o", "prom"},
		{"check", "-H", "outbound-us1.ppe-hosted.com", "-vvv", "--since", filepath.Join(dir, "since")},
	} {
		all := append(slices.Clone(args), flags...)
		if args[0] == "probe" {
			all = append([]string{args[0], "outbound-us1.ppe-hosted.com"}, all[1:]...)
		}
		var out, errs bytes.Buffer
		code := cli.Run(t.Context(), all, strings.NewReader(""), &out, &errs)
		if code != 1 && code != 2 {
			t.Fatalf("%v: exit code %d\n%s%s", args, code, out.String(), errs.String())
		}
		seek(t, strings.Join(args, " ")+" (stdout)", out.String(), secret, plain)
		seek(t, strings.Join(args, " ")+" (stderr)", errs.String(), secret, plain)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 4 {
		t.Fatalf("%d files written, %v", len(files), err)
	}
	for _, f := range files {
		if f.Name() == "pw" || f.IsDir() {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		seek(t, f.Name(), string(raw), secret, plain)
	}
	if !strings.Contains(s.Conns()[0].Inside(), plain) {
		t.Error("the server was never given the credential: the test shows nothing")
	}
}

// TestPlantedSecretServed has 'handoff serve' log in with a password from each
// place that a module can name, at a server that quotes it back, and looks for it
// in all that the exporter shows and logs.
func TestPlantedSecretServed(t *testing.T) {
	const user, secret = "alerts@customer.example", "pl4nted-Srv-Secret#71"
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + secret))
	quoted := []string{secret, plain, base64.StdEncoding.EncodeToString([]byte(secret)), url.QueryEscape(secret), hex.EncodeToString([]byte(secret))}
	const host = "outbound-us1.ppe-hosted.com"
	script := "< 220 " + host + " ESMTP\n> EHLO\n< 250-" + host + "\n< 250 STARTTLS\n> STARTTLS\n< 220 go\ntls\n> EHLO\n< 250-" + host + "\n< 250 AUTH PLAIN LOGIN\n> AUTH\n"
	for _, q := range quoted {
		script += "< 535-5.7.8 no: " + q + "\n"
	}
	script += "< 535 5.7.8 I will not take " + secret + " from you\n>\n< 221 bye " + secret + "\n"
	s := fault.New(host, fault.MustParse(script))
	defer s.Close()
	address, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	ca, err := s.CAPEM()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", dir)
	t.Setenv("PLANTED_PASSWORD", secret)
	password := file("pw", secret+"\n")
	ways := []string{"password_file: " + password, "password_command: cat " + password, "password_env: PLANTED_PASSWORD", "password: '" + secret + "'"}
	config := "modules:\n"
	for i, way := range ways {
		config += fmt.Sprintf("  m%d:\n    ports: [587]\n    connect: {587: %q}\n    ca_file: %s\n    user: %s\n    %s\n    targets: [%s]\n", i, address, file("ca.pem", string(ca)), user, way, host)
	}
	name := file("handoff.yaml", config)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out bytes.Buffer
	log := &growing{said: make(chan struct{}, 1)}
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Run(ctx, []string{"serve", "-v", "--config", name, "--listen", "127.0.0.1:0"}, strings.NewReader(""), &out, log)
	}()
	var base string
	for base == "" {
		select {
		case <-log.said:
			if m := regexp.MustCompile(`msg=listening address=(\S+)`).FindStringSubmatch(log.String()); m != nil {
				base = "http://" + m[1]
			}
		case code := <-ended:
			t.Fatalf("it ended with %d\n%s", code, log.String())
		}
	}
	get := func(path string) (int, string) {
		res, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		head := fmt.Sprint(res.Header)
		seek(t, path, head+string(body), secret, plain)
		return res.StatusCode, string(body)
	}
	for i, way := range ways {
		probe := fmt.Sprintf("/probe?module=m%d&target=%s", i, host)
		if code, body := get(probe); code != 200 || !strings.Contains(body, `probe_smtp_reply_code{phase="auth",port="587"} 535`) {
			t.Errorf("%.16s: %d\n%s", way, code, body)
		}
		if code, body := get(probe + "&debug=true"); code != 200 || !strings.Contains(body, "535-5.7.8") {
			t.Errorf("%.16s, debug: %d\n%s", way, code, body)
		}
		get(fmt.Sprintf("/probe?module=m%d&target=elsewhere.example", i))
		get(probe + "&password=" + url.QueryEscape("x"))
	}
	for _, path := range []string{"/", "/metrics", "/-/ready", "/-/healthy", "/probe", "/probe?module=none&target=h", "/none"} {
		get(path)
	}
	if err := os.Remove(password); err != nil {
		t.Fatal(err)
	}
	if code, _ := get("/probe?module=m0&target=" + host); code != 500 {
		t.Errorf("without its password file: %d", code)
	}
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("serve ends with %d", code)
	}
	seek(t, "the log", log.String(), secret, plain)
	seek(t, "standard output", out.String(), secret, plain)
	if !strings.Contains(log.String(), "has its password in the file") || !strings.Contains(log.String(), "password file") {
		t.Errorf("the log lacks the warning or the error:\n%s", log.String())
	}
	for _, c := range s.Conns() {
		if !strings.Contains(c.Inside(), plain) {
			t.Error("a probe did not log in: the test shows nothing")
		}
	}
	if n := len(s.Conns()); n != 2*len(ways) {
		t.Errorf("%d connections, want %d", n, 2*len(ways))
	}

	// What is wrong with a configuration is told without what stands in it.
	for what, text := range map[string]string{
		"a module that is wrong":     strings.ReplaceAll(config, "ports: [587]", "ports: [0]"),
		"YAML that is none":          config + "  ]: " + secret,
		"a secret for a key":         config + "    " + secret + ": 1\n",
		"a secret where none can be": "modules:\n  a:\n    timeout: " + secret + "\n    ports: " + secret + "\n    intent: '" + secret + "'\n",
	} {
		bad := file("bad.yaml", text)
		var out, errs bytes.Buffer
		if code := cli.Run(t.Context(), []string{"serve", "--check-config", "--config", bad}, strings.NewReader(""), &out, &errs); code != 78 {
			t.Errorf("%s: exit code %d", what, code)
		}
		if strings.HasPrefix(what, "a secret") {
			continue // the words of a key and of a value that cannot be one are told
		}
		seek(t, what, out.String()+errs.String(), secret, plain)
	}
}

// growing is a log that tells when something was written.
type growing struct {
	mu   sync.Mutex
	b    bytes.Buffer
	said chan struct{}
}

func (g *growing) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case g.said <- struct{}{}:
	default:
	}
	return g.b.Write(p)
}

func (g *growing) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.b.String()
}

func seek(t *testing.T, where, text, secret, plain string) {
	t.Helper()
	for form, s := range forms(secret) {
		if strings.Contains(text, s) {
			t.Errorf("%s holds the secret as %s", where, form)
		}
	}
	if strings.Contains(text, plain) {
		t.Errorf("%s holds the SASL message", where)
	}
}
