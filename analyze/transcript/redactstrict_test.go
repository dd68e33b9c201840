package transcript

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRedactStrict(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{
			"a refusal",
			"<bob@recipient.example>: host outbound-us1.ppe-hosted.com[192.0.2.10] said: 554 5.7.1 <bob@recipient.example>: Relay access denied (in reply to RCPT TO command)\n",
			"<[addr-1]>: host outbound-us1.ppe-hosted.com[192.0.2.10] said: 554 5.7.1 <[addr-1]>: Relay access denied (in reply to RCPT TO command)\n",
		},
		{
			"a log line",
			"Nov 24 09:12:44 mail postfix/smtp[12]: 4F3c2k: to=<bob@recipient.example>, relay=outbound-us1.ppe-hosted.com[192.0.2.10]:587, delay=0.3, delays=0.1/0/0.2/0, dsn=5.7.1, status=bounced (host outbound-us1.ppe-hosted.com said: 554 5.7.1)\n",
			"Nov 24 09:12:44 mail postfix/smtp[12]: 4F3c2k: to=<[addr-1]>, relay=outbound-us1.ppe-hosted.com[192.0.2.10]:587, delay=0.3, delays=0.1/0/0.2/0, dsn=5.7.1, status=bounced (host outbound-us1.ppe-hosted.com said: 554 5.7.1)\n",
		},
		{
			"the same thing has the same token, in any case",
			"mail.customer.example and MAIL.Customer.Example. and Bob@X.example, bob@x.example; relay.example:25 [10.0.0.5] 10.0.0.5:25 10.0.0.6\n",
			"[host-1] and [host-1]. and [addr-1], [addr-1]; [host-2]:25 [[ip-1]] [ip-1]:25 [ip-2]\n",
		},
		{
			"kinds of addresses",
			"127.0.0.1 192.0.2.7 172.16.3.4 192.168.1.1 100.64.0.1 169.254.1.1 fe80::1 fd00::2 2001:db8::1 ::1 IPv6:fd00::2\n",
			"127.0.0.1 192.0.2.7 [ip-1] [ip-2] [ip-3] [ip-4] [ip-5] [ip-6] 2001:db8::1 ::1 IPv6:[ip-6]\n",
		},
		{
			"codes, times and versions stay",
			"550 5.4.317 5.7.1 4.4.7 2026-11-24T09:12:44.123Z 24.11.2026 09:12:44 ESMTP Postfix 3.7.11 TLSv1.3 RESOLVER.ADR.RecipNotFound; SMTPSEND.DNS.NonExistentDomain QUEUE.Expired main.cf smtp.mailfrom=a header.from=b e.g. i.e. nodemailer/lib/x.js:12:3 libssl.so.3\n",
			"550 5.4.317 5.7.1 4.4.7 2026-11-24T09:12:44.123Z 24.11.2026 09:12:44 ESMTP Postfix 3.7.11 TLSv1.3 RESOLVER.ADR.RecipNotFound; SMTPSEND.DNS.NonExistentDomain QUEUE.Expired main.cf smtp.mailfrom=a header.from=b e.g. i.e. nodemailer/lib/x.js:12:3 libssl.so.3\n",
		},
		{
			"the relay's domain stays, its look-alikes do not",
			"mx1-us1.ppe-hosted.com. PPE-HOSTED.COM ppe-hosted.com.evil.example notppe-hosted.com postmaster@ppe-hosted.com _spf-us.ppe-hosted.com\n",
			"mx1-us1.ppe-hosted.com. PPE-HOSTED.COM [host-1] [host-2] [addr-1]@ppe-hosted.com _spf-us.ppe-hosted.com\n",
		},
		{
			"names and subjects",
			"From: \"Alice A.\" <alice@customer.example>\nTo: Bob B <bob@recipient.example>, carol@x.example\nSubject: the merger\n of two firms\nDate: Tue, 24 Nov 2026 09:12:44 +0000\n",
			"From: \"[name-1]\" <[addr-1]>\nTo: [name-2] <[addr-2]>, [addr-3]\nSubject: [subject-1]\n [subject-2]\nDate: Tue, 24 Nov 2026 09:12:44 +0000\n",
		},
		{
			"a message in a dialogue",
			" -> DATA\n<-  354 End data\n -> Subject: hello\n -> \n -> dear bob\n -> .\n<-  250 2.0.0 Ok: queued as X\n",
			" -> DATA\n<-  354 End data\n -> [body]\n -> \n -> [body]\n -> .\n<-  250 2.0.0 Ok: queued as X\n",
		},
		{
			"the report stays, the returned body goes",
			"This is the mail system at host mail.customer.example.\n\nYour message could not be delivered.\n\n--b1\nContent-Type: message/rfc822\n\nReceived: by mail.customer.example\nFrom: <a@customer.example>\nX-A: b\n\nDear Bob,\nthe numbers are 12.\n\n--b1--\nafter\n",
			"This is the mail system at host [host-1].\n\nYour message could not be delivered.\n\n--b1\nContent-Type: message/rfc822\n\nReceived: by [host-1]\nFrom: <[addr-1]>\nX-A: b\n\n[body]\n[body]\n\n--b1--\nafter\n",
		},
		{
			"a forwarded report stays",
			"-----Original Message-----\nFrom: Postmaster <p@x.example>\nSubject: Undeliverable\nTo: a\n\nRemote Server returned '554 5.7.1 Relay access denied'\n",
			"-----Original Message-----\nFrom: [name-1] <[addr-1]>\nSubject: [subject-1]\nTo: a\n\nRemote Server returned '554 5.7.1 Relay access denied'\n",
		},
		{
			"secrets too",
			"curl -u alice@customer.example:" + pw + " smtp://relay.example:587\n",
			"curl -u [addr-1]:[secret-1] smtp://[host-1]:587\n",
		},
		{
			"the user name of a login",
			" ~> AUTH LOGIN\n<~  334 VXNlcm5hbWU6\n ~> " + loginU + "\n<~  334 UGFzc3dvcmQ6\n ~> " + loginPw + "\n<~  235 ok\n ~> MAIL FROM:<Alice@customer.example>\n",
			" ~> AUTH LOGIN\n<~  334 VXNlcm5hbWU6\n ~> [addr-1]\n<~  334 UGFzc3dvcmQ6\n ~> [secret-1]\n<~  235 ok\n ~> MAIL FROM:<[addr-1]>\n",
		},
		{"urls", "https://mail.customer.example/a?b=c <mailto:a@b.example>\n", "https://[host-1]/a?b=c <mailto:[addr-1]>\n"},
		{"a quoted local part", "RCPT TO:<\"a b\"@x.example>\n", "RCPT TO:<[addr-1]>\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, masked := Redact([]byte(tt.in), Strict)
			if string(out) != tt.want {
				t.Errorf("got\n%s\nwant\n%s", out, tt.want)
			}
			if again, more := Redact(out, Strict); string(again) != string(out) || len(more) > 0 {
				t.Errorf("twice:\n%s\n%+v", again, more)
			}
			for _, m := range masked {
				if m.Token == "" {
					t.Errorf("no token: %+v", m)
				}
			}
		})
	}
	out, _ := Redactor{Level: Strict, RelayDomains: []string{"relay.example"}}.Redact([]byte("mx.relay.example other.example"))
	if want := "mx.relay.example [host-1]"; string(out) != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestRedactStrictViews(t *testing.T) {
	in := "host mail.customer.example said: 550 <bob@recipient.example>\n"
	for _, w := range wrappers {
		if strings.Contains(w.name, "dump") {
			continue // addresses in a dump of packets stay: they are cut at line ends
		}
		out, _ := Redact([]byte(w.wrap(in)), Strict)
		for _, v := range unwrapAll(string(out)) {
			for _, s := range []string{"customer", "recipient.", "bob@"} {
				if strings.Contains(v, s) {
					t.Errorf("%s: %q is left in %q", w.name, s, v)
				}
			}
		}
	}
}

func TestMaskedPlaces(t *testing.T) {
	in := "é one\r\npässword: " + pw + "\r\nAUTH PLAIN " + plainPw + "\rpassword=" + pw
	_, masked := Redact([]byte(in), Standard)
	want := []struct{ line, column int }{{2, 11}, {3, 12}, {4, 10}}
	if len(masked) != len(want) {
		t.Fatalf("%d masks: %+v", len(masked), masked)
	}
	for i, m := range masked {
		if m.Token != tokenPw {
			t.Errorf("the same secret is %s", m.Token)
		}
		if m.Span.Line != want[i].line || m.Span.Column != want[i].column {
			t.Errorf("mask %d stands at %d:%d, want %d:%d", i, m.Span.Line, m.Span.Column, want[i].line, want[i].column)
		}
	}
}

// Nothing hostile makes the redactor hang or panic. Each input repeats what
// would cost most if work were repeated.
func TestRedactHostile(t *testing.T) {
	const size = 64 << 10
	for _, unit := range []string{
		"password=", "password=\"", "password ", "password: ", "://a:", "-----BEGIN PRIVATE KEY-----\n", "Authorization: ", "Bearer ", "@", "a@a", "a@b.c:", "]:1 ", "[",
		"AUTH PLAIN ", "AUTH PLAIN A\n", "334 \n", "334 \nA\n", "> 334\n> A\n", "\"", "\\\"", "{\"", "<br", "<p>", "&#", "=\n", "=3D", "=41", "\r", "\n", "\x00", "A\x00", "[secret-1]",
		"0000  41 42 43 44\n", "login(", "-u a:", "eyJ.", strings.Repeat("QUJD", 19) + "\n", "Subject: a\n b\n", "From: <", "a.b.c ", "1.2.3.4 ", ":::", ",", "a,b,c,d,e,f,>,AUTH PLAIN x,\n", pw, loginPw, "é", "\u202e",
	} {
		in := []byte("SMTP_PASSWORD=" + pw + "\n" + strings.Repeat(unit, size/len(unit)))
		for _, level := range []Level{Standard, Strict} {
			out, masked := Redact(in, level)
			if bytes.Contains(out, []byte(pw)) {
				t.Errorf("%q at level %d leaks", unit, level)
			}
			if len(masked) == 0 {
				t.Errorf("%q at level %d: nothing masked", unit, level)
			}
		}
	}
}

// The labelled cases of the shared folder hold no secret: nothing of them goes.
func TestRedactShared(t *testing.T) {
	dir, err := filepath.Abs(filepath.Join("..", "..", "..", "shared"))
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "cases", "*.txt"))
	mails, _ := filepath.Glob(filepath.Join(dir, "corpus", "set-of-emails", "maildir", "*", "*"))
	files = append(files, mails...)
	if len(files) == 0 {
		t.Skip("no ../shared folder")
	}
	for _, name := range files {
		in, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if out, masked := Redact(in, Standard); len(masked) > 0 || !bytes.Equal(in, out) {
			for _, m := range masked {
				t.Errorf("%s:%d: %q was masked", filepath.Base(name), m.Span.Line, in[m.Span.Offset:m.Span.End])
			}
		}
		out, _ := Redact(in, Strict)
		if again, more := Redact(out, Strict); !bytes.Equal(again, out) {
			t.Errorf("%s: strict twice is not strict once: %+v", filepath.Base(name), more)
		}
	}
}

func FuzzRedact(f *testing.F) {
	for _, tt := range leakSamples {
		f.Add([]byte(sample(tt.text)), false)
	}
	for _, s := range keepSamples {
		f.Add([]byte(s), true)
	}
	for _, w := range wrappers {
		f.Add([]byte(w.wrap("AUTH PLAIN "+plainPw+"\n535 "+pw+"\n")), false)
		f.Add([]byte(w.wrap("<bob@recipient.example>: host x.example said: 550\n")), true)
	}
	f.Fuzz(func(t *testing.T, in []byte, strict bool) {
		level := Standard
		if strict {
			level = Strict
		}
		out, masked := Redact(in, level)
		last := 0
		for _, m := range masked {
			if m.Span.Offset < last || m.Span.End <= m.Span.Offset || m.Span.End > len(in) {
				t.Fatalf("span %+v after %d of %d", m.Span, last, len(in))
			}
			last = m.Span.End
		}
		if _, _, wide := utf16View(in); !wide {
			if a, b := bytes.Count(in, []byte("\n")), bytes.Count(out, []byte("\n")); a != b {
				t.Errorf("%d lines became %d: %q to %q", a, b, in, out)
			}
			if a, b := bytes.Count(in, []byte("\r")), bytes.Count(out, []byte("\r")); a != b {
				t.Errorf("%d CRs became %d: %q to %q", a, b, in, out)
			}
		}
		if again, _ := Redact(out, level); !bytes.Equal(again, out) {
			t.Errorf("redacted twice:\n%q\n%q\n%q", in, out, again)
		}
	})
}

func BenchmarkRedact(b *testing.B) {
	plain := []byte(strings.Repeat("Nov 24 09:12:44 mail postfix/smtp[12]: 4F3c2k: to=<bob@recipient.example>, relay=outbound-us1.ppe-hosted.com[192.0.2.10]:587, delay=0.3, dsn=5.7.1, status=bounced (host outbound-us1.ppe-hosted.com[192.0.2.10] said: 554 5.7.1 <bob@recipient.example>: Relay access denied (in reply to RCPT TO command))\n", 20))
	session := []byte(sample(leakSamples[1].text + leakSamples[8].text))
	for _, x := range []struct {
		name  string
		text  []byte
		level Level
	}{{"log", plain, Standard}, {"log strict", plain, Strict}, {"dialogue", session, Standard}} {
		b.Run(x.name, func(b *testing.B) {
			b.SetBytes(int64(len(x.text)))
			b.ReportAllocs()
			for b.Loop() {
				Redact(x.text, x.level)
			}
		})
	}
}
