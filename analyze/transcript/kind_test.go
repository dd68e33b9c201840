package transcript

import (
	"strings"
	"testing"
)

// Every row of the table answers the replies it was written for, and none of
// them is taken by a row above it.
func TestKindTable(t *testing.T) {
	for i := range phrases {
		p := &phrases[i]
		if len(p.seen) == 0 {
			t.Errorf("row %d %s %q: no reply it was written for", i, p.kind, p.words)
		}
		for _, w := range p.words {
			if w != strings.ToLower(w) || strings.Contains(w, "  ") || len(w) < 3 || !isWordByte(w[0]) {
				t.Errorf("row %d: words %q cannot match", i, w)
			}
		}
		for _, s := range p.seen {
			r, ok := ParseReply(s)
			if !ok {
				t.Errorf("row %d: %q is no reply", i, s)
				continue
			}
			if k := KindOf(r); k != p.kind {
				t.Errorf("KindOf(%q) = %q, want %q", s, k, p.kind)
			}
			if k := KindOf(Reply{Code: r.Code, Enhanced: r.Enhanced, Lines: []string{strings.ToUpper(strings.Join(r.Lines, "\n"))}}); k != p.kind && len(r.Lines) == 1 {
				t.Errorf("KindOf(%q) in upper case = %q, want %q", s, k, p.kind)
			}
		}
	}
	if n := len(kindIndex().words); n > len(phraseSet{})*64 {
		t.Errorf("%d phrases do not fit the set", n)
	}
}

// Words inside addresses, URLs and host names mean nothing; white space, line
// ends, escapes and look-alike punctuation do not hide a phrase.
func TestKindOfText(t *testing.T) {
	tests := []struct {
		in   string
		want Kind
	}{
		{"550 5.1.1 <relay.access.denied@x.example>: User unknown", KindUserUnknown},
		{`550 5.1.1 <"relay access denied"@x.example>: User unknown`, KindUserUnknown},
		{`550 5.1.1 "relay access denied"@x.example: User unknown`, KindUserUnknown},
		{"550 spam@x.example is not here", KindUnknown},
		{"550 see https://x.example/spam/spf for why", KindUnknown},
		{"550 not for _spf-us.ppe-hosted.com", KindUnknown},
		{"550 not for spf.x.example", KindUnknown},
		{"550 no spamming", KindUnknown},
		{"554 5.7.1 <r@x.example>: Relay\taccess\n    denied", KindRelayDenied},
		{"554 5.7.1 <r@x.example>: \x1b[31mRelay access\x1b[0m denied", KindRelayDenied},
		{"554 5.7.1 <r@x.example>: Relay\u00a0access denied", KindRelayDenied},
		{"554 5.7.1 <r@x.example>: Re\u200blay access denied", KindRelayDenied},
		{"550 5.7.0 Email rejected per sender\u2019s DMARC policy", KindDMARC},
		{"554-5.7.1 <r@x.example>: Relay access 554 5.7.1 denied", KindRelayDenied},
		{"250 2.1.5 <r@x.example> Relay access denied", KindUnknown},
		{"250 2.0.0 Ok: queued as 4F3c2k1ZzqXyP", KindQueued},
		{"235 2.7.0 Authentication successful", KindAuthOK},
		{"220 2.0.0 Ready to start TLS", KindTLSReady},
		{"334 VXNlcm5hbWU6", KindUnknown},
		{"554 5.7.1 host mx.b.example said: 554 5.7.1 <r@x.example>: Relay access denied", KindRelayDenied},
		{"550 5.1.1 User unknown; host mx.b.example said: 554 Relay access denied", KindUserUnknown},
		{"450 4.4.317 Cannot connect to remote server [Message=421 4.3.2 All server ports are busy] [LastAttemptedServerName=outbound-eu1.ppe-hosted.com]", KindRelayBusy},
		{"550 5.4.317 Message expired, cannot connect to remote server", KindConnectFailed},
		{"530 5.7.0 Authentication required", KindAuthRequired},
		{"599 mystery", KindUnknown},
		{"550 ", KindUnknown},
	}
	for _, tt := range tests {
		r, ok := ParseReply(tt.in)
		if !ok {
			t.Fatalf("%q is no reply", tt.in)
		}
		if got := KindOf(r); got != tt.want {
			t.Errorf("KindOf(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
	if k := KindOf(Reply{}); k != KindUnknown {
		t.Errorf("no reply means %q", k)
	}
	if k := KindOfWords("SMTP Error: The following recipients failed: Relay access denied"); k != KindRelayDenied {
		t.Errorf("KindOfWords = %q", k)
	}
}

func TestReplyStage(t *testing.T) {
	for in, want := range map[string]Stage{
		"530 5.7.0 Authentication required":                   StageTLS,
		"535 5.7.8 Error: authentication failed":              StageAuth,
		"454 4.7.0 Temporary authentication failure: generic": StageAuth,
		"454 4.7.0 TLS not available due to local problem":    StageTLS,
		"554 5.7.1 <r@x.example>: Relay access denied":        StageEnvelope,
		"554 5.7.1 <r@x.example>: Something new":              StageEnvelope,
		"550 5.1.10 Etwas":                                    StageEnvelope,
		"421 4.3.2 All screening ports are busy":              StageGreet,
		"421 4.4.2 bye":                                       StageGreet,
		"554 No SMTP service here":                            StageGreet,
		"550 5.7.1 Service unavailable; client [192.0.2.7] blocked using prs.proofpoint.com": StageEnvelope,
		"554 5.7.0 Blocked - see https://x.example/":                                         StageGreet,
		"554 5.5.1 Error: no valid recipients":                                               StageEnvelope,
		"552 5.3.4 Error: message file too big":                                              StageUnknown,
		"550 5.7.1 no":                                                                       StageUnknown,
		"354 go":                                                                             StageData,
		"250 2.0.0 Ok: queued as X":                                                          StageAccepted,
	} {
		r, _ := ParseReply(in)
		if got := r.Stage(); got != want {
			t.Errorf("stage of %q is %s, want %s", in, got, want)
		}
	}
}

func FuzzKindOf(f *testing.F) {
	for i := range phrases {
		f.Add(phrases[i].seen[0])
	}
	f.Add("554 <\"@")
	f.Add("554 a@")
	f.Add("554 ://")
	f.Add("554 \x1b[")
	f.Fuzz(func(t *testing.T, s string) {
		r, ok := ParseReply(s)
		if !ok {
			r = Reply{Code: 554, Lines: []string{s}}
		}
		k := KindOf(r)
		if c := r.Class(); (c == 2 || c == 3) && k != KindUnknown && k != KindQueued && k != KindAuthOK && k != KindTLSReady {
			t.Errorf("a success means %q: %q", k, s)
		}
		if k2 := KindOf(r); k2 != k {
			t.Errorf("KindOf is not a function: %q, then %q", k, k2)
		}
		_ = r.Stage()
	})
}

func FuzzParseReply(f *testing.F) {
	for _, s := range []string{
		"554 5.7.1 <r@x.example>: Relay access denied", "550-5.1.1 a 550-5.1.1 b 550 5.1.1 c", "#5.7.1 smtp;554 x",
		"#550 5.1.1 x ##rfc822;o", "5.7.1 x", "250-a\r\n250-b\r\n250 c", "550 550 x", "554", "smtp;", "#", "550-", "550-\n550-\n\r", "550- 550 2.0.0", "smtp;#2.0.0 smtp;",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, ok := ParseReply(s)
		if !ok {
			if !r.IsZero() {
				t.Errorf("no reply, and yet %+v", r)
			}
			return
		}
		if r.Code != 0 && (r.Code < 200 || r.Code > 599) {
			t.Errorf("code %d", r.Code)
		}
		if r.Code == 0 && r.Enhanced == "" || len(r.Lines) == 0 {
			t.Errorf("a reply without codes or lines: %+v", r)
		}
		if n := strings.Count(r.Text(), "\n"); n != len(r.Lines)-1 {
			t.Errorf("%d line ends in the text of %d lines", n, len(r.Lines))
		}
		// Read again, it is the same reply.
		again, ok := ParseReply(strings.Join(r.Lines, "\n"))
		if !ok || again.Code != r.Code || again.Enhanced != r.Enhanced {
			t.Errorf("read again: %+v, first %+v", again, r)
		}
		_, _ = r.Inner()
	})
}

func BenchmarkParseReply(b *testing.B) {
	const s = "554 5.7.1 <bob@recipient.example>: Relay access denied"
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := ParseReply(s); !ok {
			b.Fatal("no reply")
		}
	}
}

func BenchmarkKindOf(b *testing.B) {
	for _, s := range []string{
		"554 5.7.1 <bob@recipient.example>: Relay access denied",
		"550 5.7.367 Remote server returned not permitted to relay -> 554 5.7.1 <bob@recipient.example>: Relay access denied",
		"550-5.1.1 The email account that you tried to reach does not exist. Please try 550-5.1.1 double-checking the recipient's email address for typos or 550 5.1.1 unnecessary spaces.",
	} {
		r, _ := ParseReply(s)
		b.Run(s[:9], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				KindOf(r)
			}
		})
	}
}
