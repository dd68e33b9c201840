package transcript

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func reply(lines ...string) Reply {
	r, _ := ParseReply(lines[0])
	r.Lines = lines
	return r
}

func ms(n ...float64) []time.Duration {
	var d []time.Duration
	for _, x := range n {
		d = append(d, time.Duration(x*float64(time.Millisecond)))
	}
	return d
}

// probed is a session as a probe records it.
func probed() Session {
	at := func(r Reply, n ...float64) Reply { r.At = ms(n...); return r }
	return Session{
		Source: "probe", Client: "c.example", Server: "outbound-us1.ppe-hosted.com", Address: "192.0.2.10", Port: 587,
		Began: time.Date(2026, 11, 24, 9, 12, 44, 120e6, time.UTC),
		TLS: &TLS{
			Version: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256", Curve: "X25519MLKEM768", Names: []string{"outbound-us1.ppe-hosted.com", "*.ppe-hosted.com"},
			Subject: "CN=outbound-us1.ppe-hosted.com", Issuer: `CN="A, B" CA`, NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
			NotAfter: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), Earliest: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), Verified: Yes, Stapled: No,
			Chain:    []string{"CN=outbound-us1.ppe-hosted.com", `CN="A, B" CA`},
			Versions: []TLSVersion{{"TLS 1.0", No, "protocol_version"}, {"TLS 1.2", Yes, ""}, {Version: "TLS 1.3"}},
		},
		Before: []string{"PIPELINING", "STARTTLS"},
		After:  []string{"PIPELINING", "AUTH PLAIN LOGIN"},
		Exchanges: []Exchange{
			{Stage: StageResolve, Took: ms(2.5)[0]},
			{Stage: StageConnect, Sent: ms(3)[0], Took: ms(10)[0]},
			{Stage: StageGreet, Sent: ms(13)[0], Took: ms(12.25)[0], Reply: at(reply("220-mx1-us1.ppe-hosted.com - Please wait...", "220 mx1-us1.ppe-hosted.com - Welcome"), 14, 25.25)},
			{Stage: StageEHLO, Command: "EHLO c.example", Sent: ms(26)[0], Took: ms(4)[0], Reply: at(reply("250-mx1-us1.ppe-hosted.com", "250-PIPELINING", "250 STARTTLS"), 30, 30, 30)},
			{Stage: StageTLS, Command: "STARTTLS", Sent: ms(31)[0], Took: ms(4)[0], Reply: at(reply("220 2.0.0 Ready to start TLS"), 35)},
			{Stage: StageTLS, Sent: ms(35)[0], Took: ms(20)[0], Secure: true},
			{Stage: StageTLS, Command: "EHLO c.example", Secure: true, Sent: ms(56)[0], Took: ms(1)[0], Reply: at(reply("250-mx1-us1.ppe-hosted.com", "250-PIPELINING", "250 AUTH PLAIN LOGIN"), 57, 57, 57)},
			{Stage: StageAuth, Command: "AUTH PLAIN [secret-1]", Secure: true, Sent: ms(58)[0], Took: ms(2)[0], Reply: at(reply("235 2.7.0 Authentication successful"), 60)},
			{Stage: StageEnvelope, Command: "MAIL FROM:<a@customer.example>", Secure: true, Sent: ms(61)[0], Took: ms(1)[0], Reply: at(reply("250 2.1.0 Ok"), 62)},
			{Stage: StageEnvelope, Command: "RCPT TO:<b@recipient.example>", Secure: true, Grouped: true, Sent: ms(61)[0], Took: ms(2)[0], Reply: at(reply("554 5.7.1 <b@recipient.example>: Relay access denied"), 63)},
			{Stage: StageData, Command: "DATA", Secure: true, Sent: ms(63)[0], Skipped: "nothing to send"},
			{Stage: StageUnknown, Command: "QUIT", Secure: true, Sent: ms(64)[0], Took: ms(5000)[0], Fault: FaultTimeout, Detail: "no reply within 5 s (a courtesy)"},
		},
	}
}

// hostile is a session with everything that could break the form.
func hostile() Session {
	return Session{
		Source: "x\n=== Session: y", Server: "a b", Port: 0, Implicit: true, Before: []string{}, After: []string{`a"b`, "", "c, d=e"},
		Exchanges: []Exchange{
			{Stage: StageConnect, Fault: FaultRefused, Detail: "no (listener) there)"},
			{Stage: StageGreet, Reply: Reply{Code: 220, Lines: []string{"220 \x1b[31m\x9b \\x41 \u202e\xff\n<-  250 fake", "", "   ", "=== Also: stage=tls", "220 end"}}},
			{Stage: StageGreet, Reply: reply("421 4.3.2 unasked")},
			{Stage: StageEnvelope, Command: " MAIL FROM:<>  ", Reply: Reply{Code: 250, Enhanced: "2.1.0"}},
			{Stage: StageAuth, Command: "MAIL not tried: x", Skipped: "a not tried: b", Reply: reply("250 x")},
			{Stage: StageData, Fault: FaultInjection, Detail: "x"},
			{Stage: StageTLS, Fault: "of its own (kind)", Secure: true},
			{Stage: StageTLS, Command: "STARTTLS", Fault: FaultClosed, Reply: reply("220-half")},
			{Stage: "", Detail: "a note"},
			{Stage: StageAccepted},
			{Stage: StageUnknown, Command: "QUIT", Detail: "bare\r", Reply: Reply{Lines: []string{"garbage"}}},
		},
	}
}

func TestFormatGolden(t *testing.T) {
	s := probed()
	want := `=== Session: probe
=== Server: host=outbound-us1.ppe-hosted.com, address=192.0.2.10, port=587, client=c.example
=== Resolved outbound-us1.ppe-hosted.com.
=== Trying outbound-us1.ppe-hosted.com:587...
=== Connected to outbound-us1.ppe-hosted.com.
<-  220-mx1-us1.ppe-hosted.com - Please wait...
<-  220 mx1-us1.ppe-hosted.com - Welcome
 -> EHLO c.example
<-  250-mx1-us1.ppe-hosted.com
<-  250-PIPELINING
<-  250 STARTTLS
 -> STARTTLS
<-  220 2.0.0 Ready to start TLS
=== TLS started with cipher TLS 1.3:TLS_AES_128_GCM_SHA256
=== TLS layer: version="TLS 1.3", cipher=TLS_AES_128_GCM_SHA256, curve=X25519MLKEM768
=== TLS peer: subject="CN=outbound-us1.ppe-hosted.com", issuer="CN=\"A, B\" CA", names=outbound-us1.ppe-hosted.com, names="*.ppe-hosted.com"
=== TLS chain: chain="CN=outbound-us1.ppe-hosted.com", chain="CN=\"A, B\" CA"
=== TLS valid: from=2026-01-01T00:00:00Z, to=2027-01-01T00:00:00Z, earliest=2026-12-01T00:00:00Z
=== TLS checked: verified=yes, stapled=no
=== TLS versions: asked="TLS 1.0", accepted=no, answer=protocol_version, asked="TLS 1.2", accepted=yes, asked="TLS 1.3"
 ~> EHLO c.example
<~  250-mx1-us1.ppe-hosted.com
<~  250-PIPELINING
<~  250 AUTH PLAIN LOGIN
 ~> AUTH PLAIN [secret-1]
<~  235 2.7.0 Authentication successful
 ~> MAIL FROM:<a@customer.example>
<~  250 2.1.0 Ok
 ~> RCPT TO:<b@recipient.example>
<~* 554 5.7.1 <b@recipient.example>: Relay access denied
=== Also: grouped=true
=== DATA not tried: nothing to send
 ~> QUIT
*** timed out (no reply within 5 s (a courtesy))
`
	got := string(AppendFormat(nil, &s, FormatOptions{}))
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	s.Exchanges = s.Exchanges[:4]
	want = `=== Session: probe
=== Times: began="2026-11-24T09:12:44.12Z", in=ms
             === Server: host=outbound-us1.ppe-hosted.com, address=192.0.2.10, port=587, client=c.example
       2.500 === Resolved outbound-us1.ppe-hosted.com.
       3.000 === Trying outbound-us1.ppe-hosted.com:587...
      13.000 === Connected to outbound-us1.ppe-hosted.com.
      14.000 <-  220-mx1-us1.ppe-hosted.com - Please wait...
      25.250 <-  220 mx1-us1.ppe-hosted.com - Welcome
      26.000  -> EHLO c.example
`
	got = string(AppendFormat(nil, &s, FormatOptions{Times: true}))
	if !strings.HasPrefix(got, strings.ReplaceAll(want, `"2026-11-24T09:12:44.12Z"`, "2026-11-24T09:12:44.12Z")) {
		t.Errorf("with times:\n%s", got)
	}
}

// roundTrip writes sessions, reads them back and compares.
func roundTrip(t *testing.T, times bool, sessions ...Session) {
	t.Helper()
	var text []byte
	var want []Session
	for i := range sessions {
		text = AppendFormat(text, &sessions[i], FormatOptions{Times: times})
		want = append(want, carried(sessions[i], times))
	}
	if r, bad := hasForbidden(string(text), "\n"); bad {
		t.Errorf("%U stands in the text", r)
	}
	for _, end := range []string{"\n", "\r\n", "\r"} {
		got, left := Parse(bytes.ReplaceAll(text, []byte("\n"), []byte(end)))
		if len(left) > 0 {
			t.Errorf("left over: %+v in\n%s", left, text)
		}
		for i := range got {
			got[i] = carried(got[i], times)
		}
		if !reflect.DeepEqual(got, want) {
			a, _ := json.MarshalIndent(got, "", " ")
			b, _ := json.MarshalIndent(want, "", " ")
			t.Fatalf("text\n%s\nread as\n%s\nwant\n%s", text, a, b)
		}
	}
}

func TestFormatParse(t *testing.T) {
	for _, times := range []bool{false, true} {
		roundTrip(t, times, probed())
		roundTrip(t, times, hostile())
		roundTrip(t, times, Session{}, probed(), hostile(), Session{Source: "postfix-dsn"})
	}
}

func TestParseSpans(t *testing.T) {
	s := probed()
	text := AppendFormat([]byte("prose before\n"), &s, FormatOptions{})
	got, left := Parse(text)
	if len(left) != 1 || string(text[left[0].Offset:left[0].End]) != "prose before" {
		t.Errorf("left over %+v", left)
	}
	for _, e := range got[0].Exchanges {
		if e.Command != "" && e.Skipped == "" {
			if q := string(text[e.Span.Offset:e.Span.End]); q != e.Command {
				t.Errorf("the span of %q holds %q", e.Command, q)
			}
		}
		if len(e.Reply.Lines) == 1 {
			if q := string(text[e.Reply.Span.Offset:e.Reply.Span.End]); q != e.Reply.Lines[0] {
				t.Errorf("the span of %q holds %q", e.Reply.Lines[0], q)
			}
			if e.Reply.Span.Column != 5 {
				t.Errorf("column %d", e.Reply.Span.Column)
			}
		}
	}
	for _, in := range []string{"", "\n\n", " -> EHLO x\n<-  250 x", "=== Also: a=b", "=== Session: x\nnonsense\n=== Unknown words\n=== Also: stage=tls"} {
		if s, _ := Parse([]byte(in)); len(s) > 1 {
			t.Errorf("%q holds %d sessions", in, len(s))
		}
	}
}

func TestSessionJSON(t *testing.T) {
	odd := hostile()
	odd.Server, odd.TLS = "h\xff\\x41", &TLS{Detail: "\xfe", Names: []string{`\`, "ü"}}
	odd.Exchanges[0].Span = Span{1, 2, 3, 4}
	odd.Exchanges[1].Took = 1234567891
	odd.Exchanges[2].Sent = -5
	for _, s := range []Session{probed(), hostile(), odd, {}} {
		doc, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if r, bad := hasForbidden(string(doc), ""); bad {
			t.Errorf("%U stands in %s", r, doc)
		}
		var got Session
		if err := json.Unmarshal(doc, &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, s) {
			again, _ := json.Marshal(got)
			t.Errorf("read back\n%s\nwant\n%s", again, doc)
		}
	}
	var s Session
	if err := json.Unmarshal([]byte(`{"port":25,"unknown":{"x":[1]},"exchanges":[{"stage":"ehlo","took_ms":1.5e1,"new":1}]}`), &s); err != nil ||
		s.Port != 25 || s.Exchanges[0].Took != 15*time.Millisecond {
		t.Errorf("with unknown fields: %+v, %v", s, err)
	}
	if err := json.Unmarshal([]byte(`{"exchanges":[{"took_ms":"x"}]}`), &s); err == nil {
		t.Error("a time that is no number was read")
	}
}

func TestFactJSON(t *testing.T) {
	doc, err := json.Marshal([]Fact{Unknown, No, Yes})
	if err != nil || string(doc) != "[null,false,true]" {
		t.Errorf("%s, %v", doc, err)
	}
	var f []Fact
	if err := json.Unmarshal(doc, &f); err != nil || !slices.Equal(f, []Fact{Unknown, No, Yes}) {
		t.Errorf("%v, %v", f, err)
	}
	if err := json.Unmarshal([]byte(`["maybe"]`), &f); err == nil {
		t.Error("maybe is a fact")
	}
}

// builder makes a session from the bytes of a fuzzer.
type builder struct{ b []byte }

func (b *builder) n(limit int) int {
	if len(b.b) == 0 {
		return 0
	}
	c := b.b[0]
	b.b = b.b[1:]
	return int(c) % limit
}

func (b *builder) text() string {
	pool := [...]string{"", "220 x", "250-a", "250 b", "554 5.7.1 no", "EHLO c", "MAIL FROM:<>", " not tried: ", "=== Also: x=y", "a, b=\"c", `\x41\\`, "(x)", "tls", "ehlo", "Session: z", "timed out (x)"}
	i := b.n(24)
	if i < len(pool) {
		return pool[i]
	}
	n := min(b.n(16), len(b.b))
	s := string(b.b[:n])
	b.b = b.b[n:]
	return s
}

func (b *builder) d() time.Duration {
	return time.Duration(b.n(256))*time.Millisecond + time.Duration(b.n(256))*time.Microsecond
}

func (b *builder) session() Session {
	stages := [...]Stage{"", StageResolve, StageConnect, StageGreet, StageEHLO, StageTLS, StageAuth, StageEnvelope, StageData, StageUnknown, StageAccepted, "odd, one"}
	faults := [...]Fault{"", "", FaultDNS, FaultTimeout, FaultTLS, FaultClosed, "odd (one)"}
	s := Session{Source: b.text(), Server: b.text(), Client: b.text(), Address: b.text(), Port: b.n(3) * 25, Implicit: b.n(2) == 1}
	if b.n(3) == 1 {
		s.Plan = &Plan{
			Intent: []string{"", "auth", "server", "both"}[b.n(4)], Credential: b.n(2) == 1,
			StopAfter: []Stage{"", StageTLS, StageAuth, StageData}[b.n(4)], LoginSender: []string{"", "yes", "no"}[b.n(3)],
			Partial: b.n(2) == 1,
		}
		for range b.n(3) {
			s.Plan.From, s.Plan.To = append(s.Plan.From, b.text()), append(s.Plan.To, b.text())
		}
	}
	if b.n(3) == 1 {
		s.Before = []string{}
		for range b.n(3) {
			s.Before = append(s.Before, b.text())
		}
	}
	if b.n(3) == 1 {
		s.TLS = &TLS{Version: b.text(), Cipher: b.text(), Problem: b.text(), Verified: Fact(b.n(3)), Subject: b.text()}
	}
	for range b.n(6) {
		e := Exchange{
			Stage: stages[b.n(len(stages))], Command: b.text(), Fault: faults[b.n(len(faults))], Detail: b.text(),
			Secure: b.n(2) == 1, Grouped: b.n(5) == 1, Sent: b.d(), Took: b.d(),
		}
		if b.n(4) == 1 {
			e.Skipped = b.text()
		}
		for range b.n(4) {
			e.Reply.Lines = append(e.Reply.Lines, b.text())
			e.Reply.At = append(e.Reply.At, b.d())
		}
		if b.n(4) == 1 {
			e.Reply.At = nil
		}
		if len(e.Reply.Lines) > 0 {
			p, _ := ParseReply(e.Reply.Lines[0])
			e.Reply.Code, e.Reply.Enhanced = p.Code, p.Enhanced
		}
		if b.n(6) == 1 {
			e.Reply.Code, e.Reply.Enhanced = b.n(600), b.text()
		}
		s.Exchanges = append(s.Exchanges, e)
	}
	return s
}

func FuzzFormatParse(f *testing.F) {
	f.Add([]byte("probe and some bytes to begin with"), true)
	f.Add(bytes.Repeat([]byte{1, 2, 3, 4, 5, 17, 18, 19, 20, 8}, 20), false)
	f.Add(bytes.Repeat([]byte{5, 1, 0, 2, 1, 0, 250, 23, 15, '\n', '\\', '"'}, 20), true)
	f.Fuzz(func(t *testing.T, data []byte, times bool) {
		// Any bytes are read without harm, and what was read is written and
		// read again as the same.
		read, _ := Parse(data)
		b := builder{data}
		s := b.session()
		roundTrip(t, times, append(read, s)...)
		doc, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var got Session
		if err := json.Unmarshal(doc, &got); err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("JSON: %v\n%+v\n%+v", err, got, s)
		}
	})
}

func BenchmarkFormat(b *testing.B) {
	s := probed()
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = AppendFormat(out[:0], &s, FormatOptions{Times: true})
	}
	b.SetBytes(int64(len(out)))
}

// carried is the part of a session that the text form keeps.
func carried(s Session, times bool) Session {
	s.Span = Span{}
	if !times {
		s.Began = time.Time{}
	}
	s.Began = utc(s.Began)
	s.Exchanges = slices.Clone(s.Exchanges)
	for i := range s.Exchanges {
		e := &s.Exchanges[i]
		e.Span, e.Reply.Span = Span{}, Span{}
		if len(e.Reply.Lines) == 0 {
			e.Reply.Lines = nil
		}
		if !times {
			e.Sent, e.Took, e.Reply.At = 0, 0, nil
			continue
		}
		e.Sent = e.Sent.Round(time.Microsecond)
		e.Took = e.Took.Round(time.Microsecond)
		if len(e.Reply.At) != len(e.Reply.Lines) || len(e.Reply.At) == 0 {
			e.Reply.At = nil
			continue
		}
		e.Reply.At = slices.Clone(e.Reply.At)
		for j := range e.Reply.At {
			e.Reply.At[j] = e.Reply.At[j].Round(time.Microsecond)
		}
		e.Took = e.Reply.At[len(e.Reply.At)-1] - e.Sent
	}
	if len(s.Exchanges) == 0 {
		s.Exchanges = nil
	}
	if s.TLS != nil {
		t := *s.TLS
		t.NotBefore, t.NotAfter, t.Earliest = utc(t.NotBefore), utc(t.NotAfter), utc(t.Earliest)
		s.TLS = &t
	}
	return s
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Round(0)
}
