package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
