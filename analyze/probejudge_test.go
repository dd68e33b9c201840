package analyze

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// step makes an exchange in the shape the probe records: "STAGE COMMAND => REPLY",
// or "STAGE COMMAND !fault", or "STAGE COMMAND ~why it was skipped".
func step(t *testing.T, s string) transcript.Exchange {
	t.Helper()
	stage, rest, _ := strings.Cut(s, " ")
	e := transcript.Exchange{Stage: transcript.Stage(strings.TrimPrefix(stage, "+")), Secure: strings.HasPrefix(stage, "+")}
	switch {
	case strings.Contains(rest, "=> "):
		command, r, _ := strings.Cut(rest, "=> ")
		e.Command = strings.TrimSpace(command)
		r, fault, _ := strings.Cut(r, " !")
		e.Reply = reply(t, r)
		e.Fault = transcript.Fault(fault)
	case strings.Contains(rest, "!"):
		command, f, _ := strings.Cut(rest, "!")
		e.Command, e.Fault = strings.TrimSpace(command), transcript.Fault(f)
	case strings.Contains(rest, "~"):
		command, why, _ := strings.Cut(rest, "~")
		e.Command, e.Skipped = strings.TrimSpace(command), why
	default:
		e.Command = rest
	}
	return e
}

func recorded(t *testing.T, port int, steps ...string) transcript.Session {
	t.Helper()
	s := transcript.Session{Source: "probe", Server: smartHost, Port: port, Address: "192.0.2.10"}
	for _, line := range steps {
		e := step(t, line)
		if greeting(&e) && e.Reply.Code == 250 {
			list := []string{}
			for _, l := range e.Reply.Lines[1:] {
				list = append(list, l[4:])
			}
			if e.Secure {
				s.After = list
			} else {
				s.Before = list
			}
		}
		if e.Stage == transcript.StageTLS && e.Command == "" && e.Skipped == "" {
			s.TLS = &transcript.TLS{Version: "TLS 1.3", Verified: transcript.Yes, Names: []string{"*.ppe-hosted.com"}}
			switch e.Fault {
			case transcript.FaultCertificate:
				s.TLS.Verified, s.TLS.Problem = transcript.No, "certificate-expired"
			case transcript.FaultNone:
			default:
				s.TLS = &transcript.TLS{Problem: "interrupted"}
			}
		}
		s.Exchanges = append(s.Exchanges, e)
	}
	return s
}

var (
	opened = []string{"resolve ", "connect ", "greet => 220 mx1-us1.ppe-hosted.com ESMTP", "ehlo EHLO pc => 250-mx1-us1.ppe-hosted.com\n250-PIPELINING\n250 STARTTLS"}
	tlsUp  = append(opened[:len(opened):len(opened)], "tls STARTTLS => 220 2.0.0 Ready to start TLS", "tls ", "+tls EHLO pc => 250-mx1-us1.ppe-hosted.com\n250 AUTH PLAIN LOGIN")
	tlsOn  = append(opened[:len(opened):len(opened)], "tls STARTTLS => 220 2.0.0 Ready to start TLS", "tls ", "+tls EHLO pc => 250-mx1-us1.ppe-hosted.com\n250 DSN")
	login  = append(tlsUp[:len(tlsUp):len(tlsUp)], "+auth AUTH PLAIN [secret-1] => 235 2.7.0 Authentication successful")
	sender = append(login[:len(login):len(login)], "+envelope MAIL FROM:<a@firma.example> => 250 2.1.0 Ok")
	bye    = "+envelope QUIT => 221 2.0.0 Bye"
)

func with(base []string, more ...string) []string { return append(base[:len(base):len(base)], more...) }

var full = Planned{Credential: true, From: []string{"a@firma.example"}, To: []string{"desk@partner.example"}}

func TestSessionVerdicts(t *testing.T) {
	tests := []struct {
		name    string
		port    int
		steps   []string
		plan    Planned
		partial bool
		verdict Verdict
		stage   transcript.Stage
		party   Party
	}{
		{"all accepted", 587, with(sender, "+envelope RCPT TO:<desk@partner.example> => 250 2.1.5 Ok", bye), full, false, Ready, "envelope", NoParty},
		{"252 is an acceptance", 587, with(sender, "+envelope RCPT TO:<desk@partner.example> => 252 2.5.2 maybe"), full, false, Ready, "envelope", NoParty},
		{"no credential: ready after the EHLO inside TLS", 587, tlsUp, Planned{}, false, Ready, "tls", NoParty},
		{"no credential, sender and recipient given", 587, with(tlsUp, "+envelope MAIL FROM:<a@firma.example> => 250 Ok", "+envelope RCPT TO:<d@partner.example> => 554 5.7.1 <d@partner.example>: Relay access denied"), Planned{From: full.From, To: full.To}, false, Ready, "tls", NoParty},
		{"no sender: ready after AUTH", 587, login, Planned{Credential: true}, false, Ready, "auth", NoParty},
		{"stop after the greeting", 587, opened[:3], Planned{StopAfter: "greet"}, false, Ready, "greet", NoParty},
		{"test message taken", 587, with(sender, "+envelope RCPT TO:<d@partner.example> => 250 Ok", "+data DATA => 354 go on", "+data . => 250 2.0.0 Ok: queued as 4F"), Planned{Credential: true, From: full.From, To: full.To, StopAfter: "data"}, false, Ready, "accepted", NoParty},
		{"name not found", 587, []string{"resolve !dns"}, full, false, Unreachable, "resolve", SenderSystem},
		{"connection timed out", 587, []string{"resolve ", "connect !timeout"}, full, false, Unreachable, "connect", Network},
		{"no greeting", 587, with(opened[:2], "greet !timeout"), full, false, HandshakeFailed, "greet", Network},
		{"greeting 421", 587, with(opened[:2], "greet => 421 4.3.2 All screening ports are busy"), full, false, Deferred, "greet", RelayPlatform},
		{"a 421 that was read wins over the reset behind it", 587, with(opened[:2], "greet => 421 4.3.2 All screening ports are busy !reset"), full, false, Deferred, "greet", RelayPlatform},
		{"greeting 554", 587, with(opened[:2], "greet => 554 5.7.1 Service unavailable"), full, false, Refused, "greet", RelayPlatform},
		{"greeting 250", 587, with(opened[:2], "greet => 250 hello"), full, false, HandshakeFailed, "greet", Network},
		{"EHLO reset", 587, with(opened[:3], "ehlo EHLO pc !reset"), full, false, HandshakeFailed, "ehlo", Network},
		{"EHLO 451", 587, with(opened[:3], "ehlo EHLO pc => 451 4.3.0 later"), full, false, Deferred, "ehlo", RelayPlatform},
		{"EHLO and HELO refused", 587, with(opened[:3], "ehlo EHLO pc => 502 no", "ehlo HELO pc => 550 5.7.1 bad name"), full, false, Refused, "ehlo", SenderSystem},
		{"HELO only, where TLS is needed", 587, with(opened[:3], "ehlo EHLO pc => 502 no", "ehlo HELO pc => 250 mx1-us1.ppe-hosted.com", "tls STARTTLS ~STARTTLS was not offered"), full, false, HandshakeFailed, "tls", Network},
		{"STARTTLS not offered", 587, with(opened[:3], "ehlo EHLO pc => 250-mx1-us1.ppe-hosted.com\n250 DSN", "tls STARTTLS ~STARTTLS was not offered"), full, false, HandshakeFailed, "tls", Network},
		{"STARTTLS masked", 587, with(opened[:3], "ehlo EHLO pc => 250-mx1-us1.ppe-hosted.com\n250 XXXXXXXA", "tls STARTTLS ~STARTTLS was not offered"), full, false, HandshakeFailed, "tls", Network},
		{"STARTTLS 454", 587, with(opened, "tls STARTTLS => 454 4.7.0 TLS not available due to local problem"), full, false, Deferred, "tls", RelayPlatform},
		{"STARTTLS 502", 587, with(opened, "tls STARTTLS => 502 5.5.1 Error: command not implemented"), full, false, HandshakeFailed, "tls", Network},
		{"STARTTLS 554", 587, with(opened, "tls STARTTLS => 554 5.7.1 no"), full, false, Refused, "tls", SenderSystem},
		{"plaintext behind STARTTLS", 587, with(opened, "tls STARTTLS => 220 2.0.0 Ready", "tls !injection"), full, false, HandshakeFailed, "tls", Network},
		{"handshake closed", 587, with(opened, "tls STARTTLS => 220 2.0.0 Ready", "tls !closed"), full, false, HandshakeFailed, "tls", Network},
		{"certificate expired", 587, with(opened, "tls STARTTLS => 220 2.0.0 Ready", "tls !certificate"), full, false, HandshakeFailed, "tls", RelayPlatform},
		{"certificate bad, gone on, all accepted", 587, with(opened, "tls STARTTLS => 220 2.0.0 Ready", "tls !certificate", "+tls EHLO pc => 250-x\n250 AUTH PLAIN", "+auth AUTH PLAIN => 235 ok"), Planned{Credential: true}, false, HandshakeFailed, "tls", RelayPlatform},
		{"EHLO inside TLS refused", 587, with(opened, "tls STARTTLS => 220 2.0.0 Ready", "tls ", "+tls EHLO pc => 550 5.7.1 no"), full, false, Refused, "tls", SenderSystem},
		{"EHLO inside TLS: silence", 587, with(opened, "tls STARTTLS => 220 2.0.0 Ready", "tls ", "+tls EHLO pc !timeout"), full, false, HandshakeFailed, "tls", Network},
		{"535", 587, with(tlsUp, "+auth AUTH PLAIN => 535 5.7.8 Error: authentication failed: authentication failure", "+envelope MAIL ~an earlier step failed"), full, false, Refused, "auth", RelayConfig},
		{"454 to AUTH", 587, with(tlsUp, "+auth AUTH PLAIN => 454 4.7.0 Temporary authentication failure: generic failure"), full, false, Deferred, "auth", RelayPlatform},
		{"AUTH answered with 250 is no success", 587, with(tlsUp, "+auth AUTH PLAIN => 250 ok !protocol"), full, false, Deferred, "auth", Network},
		{"AUTH answered with 250, not marked", 587, with(tlsUp, "+auth AUTH PLAIN => 250 ok"), full, false, Deferred, "auth", Network},
		{"AUTH reset", 587, with(tlsUp, "+auth AUTH PLAIN !reset"), full, false, Deferred, "auth", Network},
		{"530 to AUTH", 587, with(tlsUp, "+auth AUTH PLAIN => 530 5.7.0 Must issue a STARTTLS command first"), full, false, Refused, "tls", SenderSystem},
		{"AUTH LOGIN, three lines", 587, with(tlsUp, "+auth AUTH LOGIN => 334 VXNlcm5hbWU6", "+auth [secret-1] => 334 UGFzc3dvcmQ6", "+auth [secret-2] => 235 2.7.0 ok"), Planned{Credential: true}, false, Ready, "auth", NoParty},
		{"the server asks on and on", 587, with(tlsUp, "+auth AUTH LOGIN => 334 VXNlcm5hbWU6", "+auth [secret-1] => 334 UGFzc3dvcmQ6", "+auth * ~interrupted: AUTH was cancelled"), full, false, InsufficientEvidence, "auth", UnknownParty},
		{"AUTH gone inside TLS", 587, with(tlsOn, "+auth AUTH ~AUTH was not offered"), full, false, Refused, "auth", SenderSystem},
		{"no mechanism in common", 587, with(tlsUp, "+auth AUTH ~no usable AUTH mechanism was offered"), full, false, Refused, "auth", SenderSystem},
		{"relay denied after AUTH", 587, with(sender, "+envelope RCPT TO:<d@partner.example> => 554 5.7.1 <d@partner.example>: Relay access denied"), full, false, Refused, "envelope", RelayConfig},
		{"235, then refused, then 503: the first counts", 587, with(login, "+envelope MAIL FROM:<a@firma.example> => 550 5.7.1 <a@firma.example>: Sender address rejected: User email address is marked as invalid", "+envelope RCPT TO:<d@partner.example> => 503 5.5.1 Error: need MAIL command"), full, false, Refused, "envelope", RelayConfig},
		{"greylisted", 587, with(sender, "+envelope RCPT TO:<d@partner.example> => 450 4.7.1 <d@partner.example>: Recipient address rejected: Greylisted"), full, false, Deferred, "envelope", SenderSystem},
		{"RCPT answered with 354", 587, with(sender, "+envelope RCPT TO:<d@partner.example> => 354 what"), full, false, Deferred, "envelope", Network},
		{"one recipient of two refused", 587, with(sender, "+envelope RCPT TO:<d@partner.example> => 250 Ok", "+envelope RCPT TO:<e@partner.example> => 554 5.7.1 <e@partner.example>: Relay access denied"), full, false, Refused, "envelope", RelayConfig},
		{"recipient of the relay's own marked invalid", 25, with(opened, "envelope MAIL FROM:<x@stranger.example> => 250 Ok", "envelope RCPT TO:<c@kunde.example> => 550 5.7.1 <c@kunde.example>: Recipient address rejected: User email address is marked as invalid."), Planned{From: full.From, To: full.To}, false, InboundRefused, "envelope", RecipientSystem},
		{"RSET and QUIT decide nothing", 587, with(sender, "+envelope RCPT TO:<d@partner.example> => 250 Ok", "+envelope RSET => 502 no", "+envelope QUIT !reset"), full, false, Ready, "envelope", NoParty},
		{"one reply too many", 587, with(sender, "+envelope RCPT TO:<d@partner.example> => 250 Ok", "+envelope QUIT => 250 Ok", "+envelope !protocol"), full, false, Deferred, "envelope", Network},
		{"DATA refused", 587, with(sender, "+envelope RCPT TO:<d@partner.example> => 250 Ok", "+data DATA => 554 5.7.1 no"), Planned{Credential: true, From: full.From, To: full.To, StopAfter: "data"}, false, Refused, "data", SenderSystem},
		{"lost in DATA", 587, with(sender, "+envelope RCPT TO:<d@partner.example> => 250 Ok", "+data DATA !reset"), Planned{Credential: true, From: full.From, To: full.To, StopAfter: "data"}, false, Deferred, "data", Network},
		{"lost after the final dot", 587, with(sender, "+envelope RCPT TO:<d@partner.example> => 250 Ok", "+data DATA => 354 go on", "+data . !closed"), Planned{Credential: true, From: full.From, To: full.To, StopAfter: "data"}, false, InsufficientEvidence, "data", Network},
		{"our deadline in the greeting", 587, with(opened[:2], "greet ~interrupted: the run's deadline was reached"), full, true, InsufficientEvidence, "connect", UnknownParty},
		{"our deadline in AUTH", 587, with(tlsUp, "+auth AUTH PLAIN ~interrupted: the run was cancelled"), full, true, InsufficientEvidence, "tls", UnknownParty},
		{"our deadline at RCPT", 587, with(sender, "+envelope RCPT TO:<d@partner.example> ~interrupted: the run was cancelled"), full, true, InsufficientEvidence, "envelope", UnknownParty},
		{"nothing was done", 587, nil, full, true, InsufficientEvidence, "not-attempted", UnknownParty},
		{"port 25 takes it without TLS", 25, with(opened[:3], "ehlo EHLO pc => 250-mx1-us1.ppe-hosted.com\n250 DSN", "tls STARTTLS ~STARTTLS was not offered", "envelope MAIL FROM:<a@firma.example> => 250 Ok", "envelope RCPT TO:<d@partner.example> => 250 Ok"), full, false, Ready, "envelope", NoParty},
		{"another server under the relay's name", 25, with(opened[:2], "greet => 220 mail.firma.example ESMTP", "ehlo EHLO pc => 250-mail.firma.example\n250 DSN", "envelope MAIL FROM:<a@firma.example> => 250 Ok", "envelope RCPT TO:<d@partner.example> => 554 5.7.1 <d@partner.example>: Relay access denied"), full, false, NeverReached, "not-attempted", SenderSystem},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			intent := IntentAuth
			if tt.port == 25 {
				intent = IntentServer
			}
			p := Probe{Target: smartHost, Intent: intent, Sessions: []transcript.Session{recorded(t, tt.port, tt.steps...)}, Planned: tt.plan, Partial: tt.partial}
			r := JudgeProbe(p, Options{})
			s := r.Sessions[0]
			if s.Verdict != tt.verdict || s.Stage != string(tt.stage) || s.Party != tt.party {
				t.Errorf("got %s/%s %s, want %s/%s %s; headline: %s", s.Verdict, s.Stage, s.Party, tt.verdict, tt.stage, tt.party, r.Verdict.Headline)
			}
			if r.Verdict.Code != s.Verdict {
				t.Errorf("headline verdict %s, session %s", r.Verdict.Code, s.Verdict)
			}
			checkReport(t, r)
			checkQuotes(t, p, r)
			sameReadBack(t, r)
		})
	}
}

// checkQuotes: every quote of a probe stands in the transcript line it names.
func checkQuotes(t *testing.T, p Probe, r *Report) {
	t.Helper()
	for _, f := range r.Findings {
		for _, e := range f.Evidence {
			found := false
			for i := range p.Sessions {
				lines := TranscriptLines(&p.Sessions[i])
				if p.Sessions[i].Port == e.Port && e.Line >= 1 && e.Line <= len(lines) && strings.HasPrefix(lines[e.Line-1][e.Column-1:], e.Quote) {
					found = true
				}
			}
			if !found {
				t.Errorf("finding %s: %q is not in line %d of session %d", f.ID, e.Quote, e.Line, e.Port)
			}
		}
	}
}

// sameReadBack: the JSON of a probe, analysed, gives the verdict and causes of
// the probe.
func sameReadBack(t *testing.T, r *Report) {
	t.Helper()
	raw := r.AppendJSON(nil)
	back := Analyze(raw, Options{})
	if back.Verdict != r.Verdict {
		t.Errorf("read back: %+v\nprobe:     %+v", back.Verdict, r.Verdict)
	}
	a, _ := json.Marshal(r.Causes)
	b, _ := json.Marshal(back.Causes)
	if string(a) != string(b) {
		t.Errorf("causes read back %s, probe %s", b, a)
	}
	again := Analyze(back.AppendJSON(nil), Options{})
	if again.Verdict != back.Verdict {
		t.Errorf("an analysis read back: %+v\nwant %+v", again.Verdict, back.Verdict)
	}
}

func TestProbeHeadlines(t *testing.T) {
	refused25 := with(tlsOn, "+envelope MAIL FROM:<a@firma.example> => 250 2.1.0 Ok", "+envelope RCPT TO:<desk@partner.example> => 554 5.7.1 <desk@partner.example>: Relay access denied", bye)
	ready587 := with(sender, "+envelope RCPT TO:<desk@partner.example> => 250 2.1.5 Ok", bye)
	denied587 := with(sender, "+envelope RCPT TO:<desk@partner.example> => 554 5.7.1 <desk@partner.example>: Relay access denied", bye)
	took25 := with(tlsOn, "+envelope MAIL FROM:<a@firma.example> => 250 2.1.0 Ok", "+envelope RCPT TO:<desk@partner.example> => 250 2.1.5 Ok", bye)
	tests := []struct {
		name     string
		intent   Intent
		on25     []string
		on587    []string
		plan     Planned
		code     Verdict
		status   Status
		headline string
		findings string // id severity expected
	}{
		{
			"as documented", IntentAuth, refused25, ready587, full, Ready, OK,
			"587 accepts with AUTH; port 25 refuses relay, as documented",
			"relay-access-denied info expected, auth-accepted info",
		},
		{
			"the alarm", IntentAuth, took25, ready587, full, Ready, Problem,
			"alarm: port 25 takes mail to outside recipients without AUTH; 587 works",
			"open-relay error, auth-accepted info",
		},
		{
			"by address", IntentServer, took25, tlsUp,
			Planned{From: full.From, To: full.To},
			Ready, OK,
			"25 accepts without AUTH; port 587 answers",
			"shared-ip-spoofable warning",
		},
		{
			"both: the worse", IntentBoth, refused25, ready587, full, Refused, Problem,
			"the relay refused the mail on 25 (554 5.7.1); 587 works: use 587 with AUTH, or register the sender",
			"relay-access-denied error, auth-accepted info",
		},
		{
			"what was not tried is said", IntentAuth, nil, tlsUp,
			Planned{},
			Ready, OK,
			"587 answers up to tls; not tried: AUTH, MAIL and RCPT", "",
		},
		{
			"25 closed", IntentAuth,
			[]string{"resolve ", "connect !timeout"},
			ready587, full, Ready, OK,
			"587 accepts with AUTH; port 25 cannot be reached",
			"port-25-closed info expected, auth-accepted info",
		},
		{
			"denied on both: one is expected, the other is not", IntentAuth, refused25, denied587, full, Refused, Problem,
			"outbound-us1.ppe-hosted.com refused the mail on 587 (554 5.7.1): register the sender and its domain",
			"relay-access-denied info expected, relay-access-denied error, auth-accepted info",
		},
		{
			"only 25 was probed", IntentAuth, refused25, nil, full, Refused, Problem,
			"25 refuses to relay, as documented: the port that the intent needs was not probed",
			"relay-access-denied info expected",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Probe{Target: smartHost, Intent: tt.intent, Planned: tt.plan}
			if tt.on25 != nil {
				p.Sessions = append(p.Sessions, recorded(t, 25, tt.on25...))
			}
			if tt.on587 != nil {
				p.Sessions = append(p.Sessions, recorded(t, 587, tt.on587...))
			}
			r := JudgeProbe(p, Options{})
			if r.Verdict.Code != tt.code || r.Verdict.Status != tt.status || r.Verdict.Headline != tt.headline {
				t.Errorf("got  %s %s %q\nwant %s %s %q", r.Verdict.Code, r.Verdict.Status, r.Verdict.Headline, tt.code, tt.status, tt.headline)
			}
			var ids []string
			for _, f := range r.Findings {
				id := f.ID + " " + string(f.Severity)
				if f.Expected {
					id += " expected"
				}
				ids = append(ids, id)
			}
			if got := strings.Join(ids, ", "); got != tt.findings {
				t.Errorf("findings %q, want %q", got, tt.findings)
			}
			checkReport(t, r)
			checkQuotes(t, p, r)
			sameReadBack(t, r)
		})
	}
}

// TestAddresses: a port is judged by the address that answers, and what another
// one did is told.
func TestAddresses(t *testing.T) {
	ready := recorded(t, 587, with(sender, "+envelope RCPT TO:<desk@partner.example> => 250 2.1.5 Ok", bye)...)
	dead := recorded(t, 587, "resolve ", "connect !timeout")
	dead.Address = "2001:db8::10"
	for _, order := range [][]transcript.Session{{ready, dead}, {dead, ready}} {
		p := Probe{Target: smartHost, Planned: full, Sessions: order}
		r := JudgeProbe(p, Options{})
		if r.Verdict.Code != Ready || r.Sessions[0].Verdict == r.Sessions[1].Verdict {
			t.Errorf("headline %s, sessions %s and %s", r.Verdict.Code, r.Sessions[0].Verdict, r.Sessions[1].Verdict)
		}
		found := ""
		for _, f := range r.Findings {
			if f.ID == "addresses-differ" {
				found = f.Why
			}
		}
		if !strings.Contains(found, "192.0.2.10 is ready, 2001:db8::10 is unreachable at connect") {
			t.Errorf("the other address: %q", found)
		}
		sameReadBack(t, r)
	}
	r := JudgeProbe(Probe{Target: smartHost, Planned: full, Sessions: []transcript.Session{dead, dead}}, Options{})
	if r.Verdict.Code != Unreachable {
		t.Errorf("nothing answers: %s", r.Verdict.Code)
	}
}

func TestCertificateExpiresSoon(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for days, want := range map[int]bool{3: true, 13: true, 15: false, 200: false} {
		s := recorded(t, 587, tlsUp...)
		s.TLS.NotAfter = now.AddDate(0, 0, days)
		r := JudgeProbe(Probe{Target: smartHost, Sessions: []transcript.Session{s}}, Options{Now: now})
		got := false
		for _, f := range r.Findings {
			got = got || f.ID == "certificate-expires-soon"
		}
		if got != want {
			t.Errorf("%d days left: finding %v, want %v", days, got, want)
		}
	}
}

// TestReadyProbeOfTheLabelledCases reads the probe record among the labelled
// cases beside the module, when they are there.
func TestReadyProbeOfTheLabelledCases(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "shared", "cases", "probe-ready.json"))
	if err != nil {
		t.Skip("no labelled cases beside the module")
	}
	r := Analyze(raw, Options{})
	if len(r.Outcomes) != 1 {
		t.Fatalf("%d outcomes", len(r.Outcomes))
	}
	o := r.Outcomes[0]
	if r.Verdict.Code != Ready || o.Verdict != Ready || o.Stage != "envelope" || o.Party != NoParty || o.Direction != Outbound || ExitCode(r) != 0 {
		t.Errorf("verdict %+v, outcome %+v", r.Verdict, o)
	}
	if len(r.Findings) != 2 || r.Findings[0].ID != "relay-access-denied" || !r.Findings[0].Expected {
		t.Errorf("findings %+v", r.Findings)
	}
}
