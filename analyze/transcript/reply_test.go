package transcript

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseReply(t *testing.T) {
	tests := []struct {
		in       string
		code     int
		enhanced string
		text     string
		lines    int
	}{
		{"554 5.7.1 <bob@recipient.example>: Relay access denied", 554, "5.7.1", "<bob@recipient.example>: Relay access denied", 1},
		{"554 5.7.1: Relay access denied", 554, "5.7.1", "Relay access denied", 1},
		{"554 <r@x.example>: Recipient address rejected: Relay access denied", 554, "", "<r@x.example>: Recipient address rejected: Relay access denied", 1},
		{"550 relay not permitted", 550, "", "relay not permitted", 1},
		{"550-5.1.1 The account does not exist. Please try 550-5.1.1 double-checking the address 550 5.1.1 and spaces. x12 - gsmtp", 550, "5.1.1", "The account does not exist. Please try\ndouble-checking the address\nand spaces. x12 - gsmtp", 3},
		{"550-5.1.1 first\n    wrapped\r\n550-5.1.1 second\n550 5.1.1 last", 550, "5.1.1", "first wrapped\nsecond\nlast", 3},
		{"552-5.3.4 the limit of 552 bytes was passed 552 5.3.4 bye", 552, "5.3.4", "the limit of 552 bytes was passed\nbye", 2},
		{"550-no codes here 550-middle 550 end", 550, "", "no codes here\nmiddle\nend", 3},
		{"554 #5.7.1 <r@x.example>: Relay access denied", 554, "5.7.1", "<r@x.example>: Relay access denied", 1},
		{"5.7.1 <r@x.example>: Relay access denied", 0, "5.7.1", "<r@x.example>: Relay access denied", 1},
		{"#5.7.1 smtp;554 5.7.1 <r@x.example>: Relay access denied", 554, "5.7.1", "<r@x.example>: Relay access denied", 1},
		{"#5.5.0 smtp;554 <r@x.example>: Relay access denied>", 554, "", "<r@x.example>: Relay access denied", 1},
		{"#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##rfc822;o@x.example", 550, "5.1.1", "RESOLVER.ADR.RecipNotFound; not found", 1},
		{"#554 5.7.1 <r@x.example>: Relay access denied ##", 554, "5.7.1", "<r@x.example>: Relay access denied", 1},
		{"smtp; 550 5.1.1 unknown", 550, "5.1.1", "unknown", 1},
		{"550 550 5.1.1 unknown", 550, "5.1.1", "unknown", 1},
		{"550 (5.1.1) unknown", 550, "5.1.1", "unknown", 1},
		{"550 [#5.1.1] unknown", 550, "5.1.1", "unknown", 1},
		{"550 5.1.1.1 is listed", 550, "", "5.1.1.1 is listed", 1},
		{"421", 421, "", "", 1},
		{"235 2.7.0 Authentication successful", 235, "2.7.0", "Authentication successful", 1},
		{"550 5.4.312 DNS", 550, "5.4.312", "DNS", 1},
		{"554 5.7.1\n", 554, "5.7.1", "", 1},
		{"554 5.7.1 a\n5.7.1 b", 554, "5.7.1", "a\nb", 2},
		{"250-mx1-us1.ppe-hosted.com\r\n250-SIZE 104857600\r\n250 CHUNKING", 250, "", "mx1-us1.ppe-hosted.com\nSIZE 104857600\nCHUNKING", 3},
		{"553 5.7.1<s@x.example>: no", 553, "5.7.1", "<s@x.example>: no", 1},
	}
	for _, tt := range tests {
		r, ok := ParseReply(tt.in)
		if !ok {
			t.Errorf("ParseReply(%q): no reply", tt.in)
			continue
		}
		if r.Code != tt.code || r.Enhanced != tt.enhanced || r.Text() != tt.text || len(r.Lines) != tt.lines {
			t.Errorf("ParseReply(%q) =\n %d %q %q %d lines, want\n %d %q %q %d lines", tt.in, r.Code, r.Enhanced, r.Text(), len(r.Lines), tt.code, tt.enhanced, tt.text, tt.lines)
		}
	}
	for _, in := range []string{
		"", " ", "55", "5544 too long", "199 no", "600 no", "+554 no", "554x", "Relay access denied",
		"٥٥٤ foreign digits", "5.7", "6.7.1 no class", "192.0.2.25 said", "250.1 s", "5.7.1a",
	} {
		if r, ok := ParseReply(in); ok {
			t.Errorf("ParseReply(%q) = %+v, want no reply", in, r)
		}
	}
}

func TestReplyClass(t *testing.T) {
	for in, want := range map[string]int{"554 x": 5, "421 x": 4, "354 x": 3, "250": 2, "5.7.1 x": 5, "4.7.0 x": 4} {
		r, _ := ParseReply(in)
		if r.Class() != want {
			t.Errorf("Class of %q is %d, want %d", in, r.Class(), want)
		}
	}
	if (Reply{}).Class() != 0 || !(Reply{}).IsZero() || (Reply{Code: 250}).IsZero() {
		t.Error("the zero reply has a class, or is not zero")
	}
}

func TestReplyInner(t *testing.T) {
	tests := []struct{ in, want string }{
		{"550 5.7.367 Remote server returned not permitted to relay -> 554 5.7.1 <r@x.example>: Relay access denied", "554 5.7.1 <r@x.example>: Relay access denied"},
		{"450 4.4.317 Cannot connect to remote server [Message=421 4.3.2 All [screening] ports are busy] [LastAttemptedServerName=h]", "421 4.3.2 All [screening] ports are busy"},
		{`451 4.4.0 Primary target IP address responded with: "554 5.7.1 <r@x.example>: Relay access denied." Attempted failover`, "554 5.7.1 <r@x.example>: Relay access denied."},
		{"550 5.4.300 Message expired -> 450 4.4.317 Cannot connect [Message=421 busy] x", "421 busy"},
		{"450 4.4.315 Connection timed out [Message=Socket error code 10060] x", ""},
		{"554 5.7.1 <r@x.example>: Relay access denied", ""},
	}
	for _, tt := range tests {
		r, _ := ParseReply(tt.in)
		in, ok := r.Inner()
		got := strings.Join(in.Lines, "\n")
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("Inner(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestVerb(t *testing.T) {
	for in, want := range map[string]string{
		"EHLO c.example": "EHLO", "mail from:<a@b>": "MAIL", "RCPT TO command": "RCPT", "rcpt": "RCPT", "Data": "DATA",
		".": ".", " . ": ".", "end of DATA command": ".", "AUTH PLAIN [secret-1]": "AUTH", "starttls": "STARTTLS",
		"MAILER": "", "": "", "dXNlcg==": "", "*": "", "quit": "QUIT",
	} {
		if got := Verb(in); got != want {
			t.Errorf("Verb(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPath(t *testing.T) {
	tests := []struct {
		in, address string
		params      []string
		ok          bool
	}{
		{"MAIL FROM:<alerts@firma.example> SIZE=2210 BODY=8BITMIME", "alerts@firma.example", []string{"SIZE=2210", "BODY=8BITMIME"}, true},
		{"mail from: a@b.example", "a@b.example", nil, true},
		{"MAIL FROM:<>", "<>", nil, true},
		{"RCPT TO:<r@x.example>", "r@x.example", nil, true},
		{"RCPT To: <r@x.example> NOTIFY=NEVER", "r@x.example", []string{"NOTIFY=NEVER"}, true},
		{`RCPT TO:<"a > b"@x.example>`, `"a > b"@x.example`, nil, true},
		{"RCPT TO:<@hop.example,@b.example:y@z.example>", "y@z.example", nil, true},
		{"RCPT TO:<r@x.example", "r@x.example", nil, true},
		{"RCPT TO", "", nil, false},
		{"RCPT TO:", "", nil, false},
		{"EHLO x", "", nil, false},
	}
	for _, tt := range tests {
		a, p, ok := Path(tt.in)
		if a != tt.address || !reflect.DeepEqual(p, tt.params) || ok != tt.ok {
			t.Errorf("Path(%q) = %q %q %v, want %q %q %v", tt.in, a, p, ok, tt.address, tt.params, tt.ok)
		}
	}
}

func TestFirstFailure(t *testing.T) {
	reply := func(s string) Reply { r, _ := ParseReply(s); return r }
	s := Session{Exchanges: []Exchange{
		{Stage: StageGreet, Reply: reply("220 x")},
		{Stage: StageEHLO, Command: "EHLO c", Reply: reply("502 no")},
		{Stage: StageEHLO, Command: "HELO c", Reply: reply("250 x")},
		{Stage: StageUnknown, Command: "RSET", Reply: reply("503 no")},
		{Stage: StageAuth, Command: "AUTH PLAIN [secret-1]", Reply: reply("535 5.7.8 no")},
		{Stage: StageEnvelope, Command: "MAIL FROM:<a@b>", Reply: reply("530 no")},
		{Stage: StageData, Command: "DATA", Skipped: "nothing to send", Fault: FaultClosed},
	}}
	e, ok := s.FirstFailure()
	if !ok || e.Reply.Code != 535 {
		t.Errorf("first failure is %+v, want the 535", e)
	}
	if s.Furthest() != StageEnvelope {
		t.Errorf("furthest is %s, want envelope", s.Furthest())
	}
	s.Exchanges = s.Exchanges[:3]
	if e, ok := s.FirstFailure(); ok {
		t.Errorf("a mended EHLO failed: %+v", e)
	}
	s.Exchanges = s.Exchanges[:2]
	if _, ok := s.FirstFailure(); !ok {
		t.Error("an EHLO refusal that nothing mended did not fail")
	}
}

func TestStageOrder(t *testing.T) {
	road := []Stage{StageNotAttempted, StageResolve, StageConnect, StageGreet, StageEHLO, StageTLS, StageAuth, StageEnvelope, StageData, StageAccepted}
	for i, s := range road {
		if s.Order() != i {
			t.Errorf("order of %s is %d, want %d", s, s.Order(), i)
		}
	}
	if StageUnknown.Order() >= 0 || Stage("").Order() >= 0 {
		t.Error("an unknown stage is further than a known one")
	}
}

func TestHostIsUnder(t *testing.T) {
	for host, want := range map[string]bool{
		"outbound-us1.ppe-hosted.com": true, "MX1-US1.PPE-Hosted.COM.": true, "ppe-hosted.com": true,
		"a.b.ppe-hosted.com": true, "notppe-hosted.com": false, "pphosted.com": false,
		"ppe-hosted.com.evil.test": false, "ppe-hosted.com.corp.local": false, `mx1\.ppe-hosted.com`: false,
		".ppe-hosted.com": false, "a..ppe-hosted.com": false, "": false, ".": false, "ppe-hosted.com..": false,
		"mx.ppe-hosted.com\x00": false, "x@ppe-hosted.com": false, "mх1.ppe-hosted.com": false, "ppe‐hosted.com": false,
	} {
		if got := HostIsUnder(host, RelayDomain); got != want {
			t.Errorf("HostIsUnder(%q) = %v, want %v", host, got, want)
		}
	}
	if HostIsUnder("a.example", "") || HostIsUnder("a.example", ".") {
		t.Error("every host is under the empty domain")
	}
	if !HostIsUnderAny("a.relay.example", []string{RelayDomain, "relay.example."}) {
		t.Error("the second domain was not looked at")
	}
}

func TestLookalike(t *testing.T) {
	domains := []string{RelayDomain}
	for host, want := range map[string]bool{
		"mx0a.pphosted.com": true, "notppe-hosted.com": true, "outbound-us1.ppe-hosted.com.corp.local": true,
		"ppe-hosted.com.evil.test": true, "outbound-us1.ppe-hosted.net": true, "mx.ppe-h0sted.com": true,
		"mx.рре-hosted.com": true, "mx.xn---hosted-6gg2ha.com": true, "ppehosted.com": true, "mx.ppe‐hosted.com": true,
		"outbound-us1.ppe-hosted.com": false, "mail.customer.example": false, "proofpoint.com": false, "": false,
		"aspmx.l.google.com": false, "hosted.com": false,
	} {
		if got := Lookalike(host, domains); got != want {
			t.Errorf("Lookalike(%q) = %v, want %v", host, got, want)
		}
	}
	if u, ok := punycode("bcher-kva"); !ok || u != "bücher" {
		t.Errorf("punycode = %q, want bücher", u)
	}
	if Lookalike("mail2.example.com", []string{"mail.example.com"}) {
		t.Error("a neighbour below one's own domain is no look-alike")
	}
	for host, want := range map[string]bool{
		"mail.customer.example": false, "250-smtp.example.net": false, "250-smtp.example.org": true, "example.test": true,
	} {
		if got := Lookalike(host, []string{"example.net"}); got != want {
			t.Errorf("beside example.net, Lookalike(%q) = %v, want %v", host, got, want)
		}
	}
}
