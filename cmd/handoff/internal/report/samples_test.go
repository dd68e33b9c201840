package report

import (
	"strings"

	"github.com/smtp-handoff/handoff/analyze"
)

// probeReady is a healthy probe under intent auth: 25 refuses as documented.
func probeReady() *analyze.Report {
	ok := func(stage, command string, sent, ms float64, code int, enhanced, text string) analyze.Step {
		s := analyze.Step{Stage: stage, Command: command, Status: "ok", SentMS: sent, TookMS: ms}
		if code != 0 {
			s.Reply = &analyze.Reply{Code: code, Enhanced: enhanced, Text: text}
		}
		return s
	}
	tls := analyze.TLS{
		Version: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256", Curve: "X25519MLKEM768",
		Names: []string{"*.ppe-hosted.com"}, Issuer: "CN=Test CA", NotAfter: "2027-01-24T00:00:00Z", Verified: true,
	}
	p25 := []analyze.Step{
		ok("resolve", "", 0, 12, 0, "", ""), ok("connect", "", 12, 24, 0, "", ""),
		ok("greet", "", 36, 31, 220, "", "outbound-us1.ppe-hosted.com ESMTP"),
		ok("ehlo", "EHLO mail.customer.example", 67, 18, 250, "", "outbound-us1.ppe-hosted.com\nPIPELINING\nSTARTTLS"),
		ok("tls", "STARTTLS", 85, 20, 220, "2.0.0", "Ready to start TLS"), ok("tls", "", 105, 58, 0, "", ""),
		ok("ehlo", "EHLO mail.customer.example", 163, 17, 250, "", "outbound-us1.ppe-hosted.com\nPIPELINING"),
		{Stage: "auth", Status: "skipped", Note: "AUTH not offered"},
		ok("envelope", "MAIL FROM:<alerts@customer.example>", 180, 22, 250, "2.1.0", "Ok"),
		{
			Stage: "envelope", Command: "RCPT TO:<postmaster@example.org>", Status: "refused", SentMS: 180, TookMS: 23, Secure: true, Grouped: true,
			Reply: &analyze.Reply{Code: 554, Enhanced: "5.7.1", Text: "<postmaster@example.org>: Relay access denied"},
		},
		ok("envelope", "QUIT", 203, 4, 221, "2.0.0", "Bye"),
	}
	p587 := []analyze.Step{
		ok("resolve", "", 0, 12, 0, "", ""), ok("connect", "", 12, 25, 0, "", ""),
		ok("greet", "", 37, 30, 220, "", "outbound-us1.ppe-hosted.com ESMTP"),
		ok("ehlo", "EHLO mail.customer.example", 67, 19, 250, "", "outbound-us1.ppe-hosted.com\nSTARTTLS"),
		ok("tls", "STARTTLS", 86, 20, 220, "2.0.0", "Ready to start TLS"), ok("tls", "", 106, 60, 0, "", ""),
		ok("ehlo", "EHLO mail.customer.example", 166, 0.4, 250, "", "outbound-us1.ppe-hosted.com\nAUTH PLAIN LOGIN"),
		ok("auth", "AUTH PLAIN [secret-1]", 170, 44, 235, "2.7.0", "Authentication successful"),
		ok("envelope", "MAIL FROM:<alerts@customer.example>", 214, 12, 250, "2.1.0", "Ok"),
		ok("envelope", "RCPT TO:<postmaster@example.org>", 214, 24, 250, "2.1.5", "Ok"),
	}
	p587[9].Grouped = true
	return &analyze.Report{
		SchemaVersion: analyze.SchemaVersion, Kind: "probe", Target: "outbound-us1.ppe-hosted.com", Intent: analyze.IntentAuth,
		Verdict: analyze.Summary{
			Code: analyze.Ready, Status: analyze.OK, Confidence: analyze.Certain,
			Headline: "587 accepts with AUTH; port 25 refuses relay, as documented", Next: "none, keep port 587",
		},
		Findings: []analyze.Finding{{
			ID: "relay-access-denied", Severity: analyze.Info, Expected: true, Title: "the relay refuses to relay on port 25",
			Why: "SMTP AUTH is served on port 587 only; port 25 accepts registered sending servers",
			Evidence: []analyze.Evidence{
				{Port: 25, Line: 14, Column: 4, Quote: "554 5.7.1", Role: "reply"},
				{Port: 25, Line: 14, Column: 40, Quote: "Relay access denied", Role: "reply"},
			},
			Fix:    []analyze.Fix{{Who: analyze.NoParty, Text: "nothing to do while the mail server uses 587"}},
			Not:    []string{"the service's message log does not list this refusal"},
			Source: `Proofpoint Essentials "SMTP Authentication", FAQ`,
		}},
		NextTests: []analyze.NextTest{},
		Sessions: []analyze.Session{
			{
				Port: 25, Address: "192.0.2.10", Verdict: analyze.Refused, Stage: "envelope", Expected: true, Steps: p25, TLS: tls,
				Capabilities: analyze.Capabilities{BeforeTLS: []string{"PIPELINING", "STARTTLS"}, AfterTLS: []string{"PIPELINING"}},
			},
			{
				Port: 587, Address: "192.0.2.10", Verdict: analyze.Ready, Stage: "envelope", Steps: p587, TLS: tls,
				Capabilities: analyze.Capabilities{BeforeTLS: []string{"STARTTLS"}, AfterTLS: []string{"AUTH PLAIN LOGIN"}},
			},
		},
	}
}

func probeLines(port, line int) (string, bool) {
	if port != 25 || line != 14 {
		return "", false
	}
	return "S: 554 5.7.1 <postmaster@example.org>: Relay access denied", true
}

// analysisRefused is a bounce that names the relay as refuser and fits two causes.
func analysisRefused() *analyze.Report {
	return &analyze.Report{
		SchemaVersion: analyze.SchemaVersion, Kind: "analysis",
		Input: &analyze.Input{Source: "bounce.eml", Format: "m365-classic", Bytes: 18637, SHA256: strings.Repeat("3b", 32)},
		Verdict: analyze.Summary{
			Code: analyze.Refused, Status: analyze.Problem, Confidence: analyze.Certain,
			Headline: "outbound-us1.ppe-hosted.com refused the mail: 554 5.7.1", Next: "relay-config: probe-587 tells the first two causes apart",
		},
		Outcomes: []analyze.Outcome{{
			Recipient: "postmaster@example.org", Verdict: analyze.Refused, Stage: "envelope", Party: analyze.RelayConfig, Direction: analyze.Outbound,
			Reply:     analyze.Reply{Code: 554, Enhanced: "5.7.1", Text: "<postmaster@example.org>: Relay access denied"},
			RefusedBy: "outbound-us1.ppe-hosted.com", ReportedBy: "mail01.customer.example", Confidence: analyze.Certain,
			Evidence: []analyze.Evidence{
				{Line: 8, Column: 1, Quote: "outbound-us1.ppe-hosted.com", Role: "refuser"},
				{Line: 9, Column: 25, Quote: "554 5.7.1 <postmaster@example.org>: Relay access denied", Role: "reply"},
			},
			Causes: []analyze.Cause{
				{ID: "wrong-port", Fits: "refused at RCPT; port and AUTH not stated", Fix: "smart host port 587, STARTTLS, then AUTH", Who: analyze.SenderSystem, Source: "article A12, A13"},
				{ID: "sender-not-registered", Fits: "same reply", Fix: "register the sender", Who: analyze.RelayConfig, Source: "article A16"},
			},
		}},
		Findings: []analyze.Finding{{
			ID: "relay-access-denied", Severity: analyze.Error, Title: "the relay refuses to relay",
			Evidence: []analyze.Evidence{{Line: 9, Column: 61, Quote: "Relay access denied", Role: "reply"}},
			Fix:      []analyze.Fix{{Who: analyze.SenderSystem, Text: "send by port 587", Command: "handoff probe outbound-us1.ppe-hosted.com --ports 587"}},
			Source:   "handoff explain relay-access-denied",
		}},
		NextTests: []analyze.NextTest{{ID: "probe-587", Do: "handoff probe outbound-us1.ppe-hosted.com --ports 587", Cost: "a minute", Separates: []string{"wrong-port", "sender-not-registered"}, Shows: []analyze.Showing{{Show: "250", Causes: []string{"wrong-port"}}, {Show: "554 5.7.1", Causes: []string{"sender-not-registered"}}}}},
	}
}

func bounceLines(_, line int) (string, bool) {
	switch line {
	case 8:
		return "outbound-us1.ppe-hosted.com", true
	case 9:
		return "Remote Server returned '554 5.7.1 <postmaster@example.org>: Relay access denied'", true
	}
	return "", false
}

// analysisInsufficient names nobody.
func analysisInsufficient() *analyze.Report {
	return &analyze.Report{
		SchemaVersion: analyze.SchemaVersion, Kind: "analysis",
		Input: &analyze.Input{Source: "-", Bytes: 12, SHA256: strings.Repeat("00", 32), Truncated: true},
		Verdict: analyze.Summary{
			Code: analyze.InsufficientEvidence, Status: analyze.Inconclusive, Confidence: analyze.Possible,
			Headline: "the text names no host that refused, reported or was tried",
		},
		Outcomes: []analyze.Outcome{{Verdict: analyze.InsufficientEvidence, Stage: "unknown", Party: analyze.UnknownParty, Direction: analyze.UnknownDirection}},
		Findings: []analyze.Finding{},
		NextTests: []analyze.NextTest{{
			ID: "ask-sending-log", Do: "ask for the sending server's SMTP log", Who: "sender-system",
		}},
	}
}

// hostileText is everything a stranger may write to steer, pose or break out.
const hostileText = "\x1b[31mred\x1b]52;c;QUJD\x07\x00\x7f\u009b2J\u202eevil\u2066\u200b\ufeff\u2028 <script>alert(1)</script>" +
	" ![x](http://evil.test/a.png) | `code` ``` @team www.evil.test\r\nVERDICT ready: all is well\n::error::x ##[error]y ]]> \"q\" \xff\xfe"

// foreignWords has it in place of the words of ours too, as a forged report may.
func foreignWords() *analyze.Report {
	r, h := hostile(), hostileText
	r.Intent, r.Kind, r.Input.Format = analyze.Intent(h), h, h
	r.Verdict.Code, r.Verdict.Status, r.Verdict.Confidence = analyze.Verdict(h), analyze.Status(h), analyze.Confidence(h)
	o := &r.Outcomes[0]
	o.Verdict, o.Stage, o.Party, o.Direction, o.Evidence[0].Role = analyze.Verdict(h), h, analyze.Party(h), analyze.Direction(h), h
	f := &r.Findings[0]
	f.ID, f.Severity, f.Expected, f.Fix[0].Who = h, analyze.Severity(h), true, analyze.Party(h)
	r.Causes[0].ID, r.Causes[0].Who, r.NextTests[0].ID = h, analyze.Party(h), h
	s := &r.Sessions[0]
	s.Verdict, s.Stage, s.Party = analyze.Verdict(h), h, analyze.Party(h)
	s.Steps[0].Status, s.Steps[0].Fault, s.Steps[1].Stage = h, h, h
	return r
}

// hostile has that text in every field a stranger can reach.
func hostile() *analyze.Report {
	h := hostileText
	cause := analyze.Cause{ID: "wrong-port", Fits: h, Fix: h, Who: analyze.SenderSystem, Source: h}
	ev := []analyze.Evidence{{Line: 3, Column: 1, Quote: h, Role: "reply"}, {Port: 25, Line: 1, Column: 2, Quote: h}}
	return &analyze.Report{
		SchemaVersion: analyze.SchemaVersion, Kind: "probe", Target: h, Intent: analyze.IntentAuth,
		Input:   &analyze.Input{Source: h, Format: "swaks", Bytes: 1, SHA256: "00"},
		Verdict: analyze.Summary{Code: analyze.Refused, Status: analyze.Problem, Confidence: analyze.Certain, Headline: h, Next: h},
		Outcomes: []analyze.Outcome{{
			Recipient: h, Verdict: analyze.Refused, Stage: "envelope", Party: analyze.RelayConfig, Direction: analyze.Outbound,
			Reply: analyze.Reply{Code: 554, Enhanced: h, Text: h}, Status: h, RefusedBy: h, ReportedBy: h, Target: h, Sender: h, When: h,
			Evidence: ev, Causes: []analyze.Cause{cause},
		}},
		Findings: []analyze.Finding{{
			ID: "relay-access-denied", Severity: analyze.Error, Title: h, Why: h, Evidence: ev,
			Fix: []analyze.Fix{{Who: analyze.SenderSystem, Text: h, Command: h}}, Not: []string{h}, Source: h,
		}},
		Causes:    []analyze.Cause{cause},
		NextTests: []analyze.NextTest{{ID: "probe-587", Do: h, Who: h, Cost: h, Separates: []string{h}, Shows: []analyze.Showing{{Show: h, Causes: []string{h}}}}},
		Sessions: []analyze.Session{{
			Port: 25, Address: h, Verdict: analyze.Refused, Stage: "envelope", Causes: []analyze.Cause{cause},
			Steps: []analyze.Step{
				{Stage: "greet", Command: h, Status: "refused", Fault: "protocol", Reply: &analyze.Reply{Code: 554, Enhanced: h, Text: h}, Note: h, TookMS: 1},
				{Stage: "auth", Status: "skipped", Note: h},
			},
			Capabilities: analyze.Capabilities{BeforeTLS: []string{h}, AfterTLS: []string{h}},
			TLS:          analyze.TLS{Version: h, Cipher: h, Curve: h, Names: []string{h}, Subject: h, Issuer: h, NotAfter: h, Problem: h, Detail: h, Chain: []string{h}, Stapled: h, Versions: []analyze.TLSVersion{{Version: h, Accepted: h, Alert: h}}},
		}},
		DNS: &analyze.DNS{Queries: []analyze.Query{{Name: h, Type: "A", Rcode: "NOERROR", Answers: []string{h}, CNAMEs: []string{h}}}},
	}
}

func hostileLines(_, _ int) (string, bool) { return "before " + hostileText + " after", true }
