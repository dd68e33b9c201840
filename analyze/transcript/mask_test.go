package transcript

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// dialogue runs lines "C: …" and "S: …" through a Masker.
func dialogue(m *Masker, lines string) string {
	var out []string
	for _, l := range strings.Split(lines, "\n") {
		who := Other
		switch {
		case strings.HasPrefix(l, "C: "):
			who = Client
		case strings.HasPrefix(l, "S: "):
			who = Server
		}
		if who == Other {
			out = append(out, m.Line(who, l))
			continue
		}
		out = append(out, l[:3]+m.Line(who, l[3:]))
	}
	return strings.Join(out, "\n")
}

func TestMasker(t *testing.T) {
	plain := b64("\x00alice@customer.example\x00Xy7#kQ2&pL9!")
	tests := []struct{ name, in, want string }{
		{
			"plain with initial response",
			"C: AUTH PLAIN " + plain + "\nS: 535 5.7.8 no\nC: MAIL FROM:<alice@customer.example>",
			"C: AUTH PLAIN [secret-1]\nS: 535 5.7.8 no\nC: MAIL FROM:<alice@customer.example>",
		},
		{
			"any case and spacing",
			"C: auth \t plain   " + plain + "\r",
			"C: auth \t plain   [secret-1]\r",
		},
		{
			"plain after a prompt",
			"C: AUTH PLAIN\nS: 334 \nC: " + plain + "\nS: 235 2.7.0 ok\nC: MAIL FROM:<a@b.example>",
			"C: AUTH PLAIN\nS: 334 \nC: [secret-1]\nS: 235 2.7.0 ok\nC: MAIL FROM:<a@b.example>",
		},
		{
			"login shows the user name",
			"C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: " + b64("alice@customer.example") + "\nS: 334 UGFzc3dvcmQ6\nC: " + b64("Xy7#kQ2&pL9!") + "\nS: 235 ok",
			"C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: " + b64("alice@customer.example") + "\nS: 334 UGFzc3dvcmQ6\nC: [secret-1]\nS: 235 ok",
		},
		{
			"a second name prompt is a trick",
			"C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: " + b64("alice") + "\nS: 334 VXNlcm5hbWU6\nC: " + b64("Xy7#kQ2&pL9!") + "\nS: 235 ok",
			"C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: " + b64("alice") + "\nS: 334 VXNlcm5hbWU6\nC: [secret-1]\nS: 235 ok",
		},
		{
			"login with initial response",
			"C: AUTH LOGIN " + b64("alice") + "\nS: 334 UGFzc3dvcmQ6\nC: " + b64("pw") + "\nS: 535 no",
			"C: AUTH LOGIN [secret-1]\nS: 334 UGFzc3dvcmQ6\nC: [secret-2]\nS: 535 no",
		},
		{
			"cancel and empty response stay",
			"C: AUTH PLAIN =\nS: 334 \nC: *\nS: 501 5.7.0 Authentication aborted",
			"C: AUTH PLAIN =\nS: 334 \nC: *\nS: 501 5.7.0 Authentication aborted",
		},
		{
			"typed in clear",
			"C: AUTH PLAIN alice@customer.example Xy7#kQ2&pL9!\nS: 501 what is Xy7#kQ2&pL9!\nC: MAIL FROM:<alice@customer.example>",
			"C: AUTH PLAIN [secret-1]\nS: 501 what is [secret-1]\nC: MAIL FROM:<alice@customer.example>",
		},
		{
			"not waiting for the prompts",
			"C: AUTH LOGIN\nC: YWxpY2U=\nC: cHcxMjM0NTY=\nC: QUIT\nS: 334 VXNlcm5hbWU6\nS: 334 UGFzc3dvcmQ6\nS: 235 ok",
			"C: AUTH LOGIN\nC: [secret-1]\nC: [secret-2]\nC: QUIT\nS: 334 VXNlcm5hbWU6\nS: 334 UGFzc3dvcmQ6\nS: 235 ok",
		},
		{
			"quoted back, in a later stage too",
			"C: AUTH PLAIN " + plain + "\nS: 535 5.7.8 " + plain + " is wrong\nC: MAIL FROM:<a@b.example>\nS: 530 your password Xy7#kQ2&pL9! is\nS: 530 no",
			"C: AUTH PLAIN [secret-1]\nS: 535 5.7.8 [secret-1] is wrong\nC: MAIL FROM:<a@b.example>\nS: 530 your password [secret-1] is\nS: 530 no",
		},
		{
			"the same secret has the same token",
			"C: AUTH PLAIN " + plain + "\nS: 535 no\nC: AUTH PLAIN " + plain + "\nS: 535 no",
			"C: AUTH PLAIN [secret-1]\nS: 535 no\nC: AUTH PLAIN [secret-1]\nS: 535 no",
		},
		{
			"cram-md5: the digest, not the name",
			"C: AUTH CRAM-MD5\nS: 334 PDEyMz4=\nC: " + b64("alice@customer.example 0123456789abcdef0123456789abcdef") + "\nS: 235 ok\nC: MAIL FROM:<alice@customer.example>\nS: 250 0123456789abcdef0123456789abcdef",
			"C: AUTH CRAM-MD5\nS: 334 PDEyMz4=\nC: [secret-1]\nS: 235 ok\nC: MAIL FROM:<alice@customer.example>\nS: 250 [secret-1]",
		},
		{
			"a short password eats nothing",
			"C: AUTH PLAIN " + b64("\x00a\x00relay") + "\nS: 554 Relay access denied",
			"C: AUTH PLAIN [secret-1]\nS: 554 Relay access denied",
		},
		{
			"a password of the trade's words eats nothing",
			"C: AUTH PLAIN " + b64("\x00a\x00Relay access denied") + "\nS: 554 5.7.1 <r@x.example>: Relay access denied",
			"C: AUTH PLAIN [secret-1]\nS: 554 5.7.1 <r@x.example>: Relay access denied",
		},
		{
			"capabilities are no secret",
			"S: 250-AUTH PLAIN LOGIN\nS: 250 AUTH=PLAIN LOGIN\nC: STARTTLS",
			"S: 250-AUTH PLAIN LOGIN\nS: 250 AUTH=PLAIN LOGIN\nC: STARTTLS",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var m Masker
			if got := dialogue(&m, tt.in); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestMaskerKnown(t *testing.T) {
	m := Masker{Secrets: Known("Xy7#kQ2&pL9!")}
	got := dialogue(&m, "S: 220 Xy7#kQ2&pL9!\nC: AUTH PLAIN "+b64("\x00a\x00Xy7#kQ2&pL9!")+"\nS: 334 \nC: unknown-to-us\nS: 535 no")
	want := "S: 220 [secret-1]\nC: AUTH PLAIN [secret-1]\nS: 334 \nC: [secret-2]\nS: 535 no"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

const testSecret = `Xy7#kQ2&pL9!vB4@zR8.mN1"tW6/sD3<`

// forms are the ways in which a secret gets into a text.
func forms(secret string) map[string]string {
	percent, qp := "", ""
	for i := range len(secret) {
		percent += fmt.Sprintf("%%%02x", secret[i])
		qp += fmt.Sprintf("=%02X", secret[i])
	}
	wide := ""
	for i := range len(secret) {
		wide += secret[i:i+1] + "\x00"
	}
	f := map[string]string{
		"raw": secret, "reversed": string(reversed([]byte(secret))), "percent": percent, "query": url.QueryEscape(secret),
		"html": html.EscapeString(secret), "qp": qp, "json": strings.Trim(fmt.Sprintf("%q", secret), `"`),
		"hex": hex.EncodeToString([]byte(secret)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(secret))), "utf-16": wide,
		"hex spaced": fmt.Sprintf("% x", secret), "spaced": strings.Join(strings.Split(secret, ""), " "), "wrapped": secret[:13] + "\r\n" + secret[13:],
		"wrapped quoted": secret[:13] + "\n> " + secret[13:], "soft break": b64(secret)[:20] + "=\n" + b64(secret)[20:],
		"xoauth2": b64("user=alice\x01auth=Bearer " + secret + "\x01\x01"), "authzid": b64("alice\x00alice\x00" + secret),
		"wrapped base64": b64(secret)[:17] + "\n" + b64(secret)[17:], "part": secret[3:11], "utf-16 base64": b64(wide),
	}
	for i := range 3 {
		s := strings.Repeat("u", i) + secret
		f[fmt.Sprint("base64 at ", i)] = b64(s)
		f[fmt.Sprint("raw base64 at ", i)] = base64.RawStdEncoding.EncodeToString([]byte(s))
		f[fmt.Sprint("url base64 at ", i)] = base64.URLEncoding.EncodeToString([]byte(s))
		f[fmt.Sprint("base64 inside at ", i)] = b64(s + "xyz")
		f[fmt.Sprint("percent base64 at ", i)] = url.QueryEscape(b64(s))
	}
	return f
}

// leaks reports which run of eight characters of a secret, or of its base64
// forms, stands in a text.
func leaks(text, secret string) string {
	runs := []string{secret, string(reversed([]byte(secret)))}
	for i := range 3 {
		runs = append(runs, string(base64Inside([]byte(secret), i)))
	}
	for _, r := range runs {
		for i := 0; i+8 <= len(r); i++ {
			if strings.Contains(text, r[i:i+8]) {
				return r[i : i+8]
			}
		}
	}
	return ""
}

func TestKnownForms(t *testing.T) {
	s := Known(testSecret)
	for name, form := range forms(testSecret) {
		in := "535 5.7.8 before " + form + " after\nnext"
		out := s.Mask(in)
		if l := leaks(out, testSecret); l != "" {
			t.Errorf("%s: %q is left in %q", name, l, out)
		}
		if !strings.HasPrefix(out, "535 5.7.8 before [secret-1]") || !strings.HasSuffix(out, " after\nnext") {
			t.Errorf("%s: masked to %q", name, out)
		}
		if strings.Count(out, "\n") != strings.Count(in, "\n") {
			t.Errorf("%s: line ends changed in %q", name, out)
		}
		if again := s.Mask(out); again != out {
			t.Errorf("%s: masked twice: %q", name, again)
		}
	}
}

func TestKnownEatsNothing(t *testing.T) {
	s := Known("", "a", "pw1", "relay", "Relay access denied", "password", "authentication failed", "********", "customer.example")
	for i := range phrases {
		for _, r := range phrases[i].seen {
			if got := s.Mask(r); got != r {
				t.Errorf("%q became %q", r, got)
			}
		}
	}
	var none *Secrets
	if none.Mask("x") != "x" || (&Secrets{}).Mask("x") != "x" {
		t.Error("no secret masks something")
	}
	long := Known("Xy7#kQ2&pL9!")
	for _, in := range []string{"", "554 5.7.1 <bob@recipient.example>: Relay access denied", "Xy7#kQ2 no", strings.Repeat("A", 100)} {
		if got := long.Mask(in); got != in {
			t.Errorf("%q became %q", in, got)
		}
	}
}

func FuzzKnown(f *testing.F) {
	f.Add("Xy7#kQ2&pL9!", "before ", " after")
	f.Add("0123456789abcdef", "a\n", "\x00")
	f.Add("correct horse battery", "%", "=")
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		s := Known(secret)
		text := before + secret + after
		out := s.Mask(text)
		if strings.Count(out, "\n") != strings.Count(text, "\n") {
			t.Errorf("line ends changed: %q to %q", text, out)
		}
		if again := s.Mask(out); again != out && !strings.Contains(secret, "secret") {
			t.Errorf("masked twice: %q, then %q", out, again)
		}
	})
}

func BenchmarkKnownMask(b *testing.B) {
	s := Known(testSecret)
	text := strings.Repeat("554 5.7.1 <bob@recipient.example>: Relay access denied\n", 20)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		s.Mask(text)
	}
}
