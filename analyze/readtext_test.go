package analyze

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// savedRun is a healthy probe by somebody who logs in: accepted on 587, refused
// on 25 as documented.
func savedRun(t *testing.T) Probe {
	t.Helper()
	p := Probe{
		Target: smartHost, Intent: IntentAuth,
		Planned: Planned{
			Credential: true, From: []string{"a@c.example"}, To: []string{"b@r.example"},
			StopAfter: transcript.StageEnvelope, LoginSender: "yes",
		},
		Sessions: []transcript.Session{
			recorded(t, 25, "connect", "greet => 220 mx1-us1.ppe-hosted.com ESMTP", "ehlo EHLO c => 250-mx1-us1.ppe-hosted.com\n250 STARTTLS",
				"tls STARTTLS => 220 2.0.0 Ready", "+tls", "+tls EHLO c => 250 mx1-us1.ppe-hosted.com",
				"+envelope MAIL FROM:<a@c.example> => 250 2.1.0 Ok", "+envelope RCPT TO:<b@r.example> => 554 5.7.1 <b@r.example>: Relay access denied"),
			recorded(t, 587, "connect", "greet => 220 mx1-us1.ppe-hosted.com ESMTP", "ehlo EHLO c => 250-mx1-us1.ppe-hosted.com\n250 STARTTLS",
				"tls STARTTLS => 220 2.0.0 Ready", "+tls", "+tls EHLO c => 250-mx1-us1.ppe-hosted.com\n250 AUTH PLAIN LOGIN",
				"+auth AUTH PLAIN [secret-1] => 235 2.7.0 Authentication successful",
				"+envelope MAIL FROM:<a@c.example> => 250 2.1.0 Ok", "+envelope RCPT TO:<b@r.example> => 250 2.1.5 Ok"),
		},
	}
	for i := range p.Sessions {
		p.Sessions[i].Began = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	}
	return p
}

// saved is the text that a probe saves.
func saved(p Probe) string {
	var b []byte
	for _, s := range p.Sessions {
		s.Plan = &transcript.Plan{
			Intent: string(p.Intent), Credential: p.Planned.Credential, StopAfter: p.Planned.StopAfter, LoginSender: p.Planned.LoginSender,
			From: p.Planned.From, To: p.Planned.To, Partial: p.Partial,
		}
		if len(b) > 0 {
			b = append(b, '\n')
		}
		b = transcript.AppendFormat(b, &s, transcript.FormatOptions{Times: true})
	}
	return string(b)
}

func TestReadSavedProbe(t *testing.T) {
	p := savedRun(t)
	want := JudgeProbe(p, Options{})
	if want.Verdict.Code != Ready {
		t.Fatalf("the probe says %+v", want.Verdict)
	}
	text := saved(p)
	for _, c := range []struct{ how, text string }{
		{"as it is", text},
		{"CRLF", strings.ReplaceAll(text, "\n", "\r\n")},
		{"behind a letter", "Hello,\n\nthis is what your program saved for us:\n\n" + text},
		{"quoted", "> " + strings.ReplaceAll(text, "\n", "\n> ") + "\n"},
		{"in a mail", "From: a@c.example\nTo: desk@help.example\nSubject: transcript\nContent-Type: text/plain\n\n" + text},
		{"with keys of a later version", strings.ReplaceAll(text, "credential=true,", `patience="a b", credential=true, road=x,`)},
		{"with a line of a later version", strings.ReplaceAll(text, "             === Plan:", "             === Weather: sun=yes\n             === Plan:")},
	} {
		r := Analyze([]byte(c.text), Options{})
		if r.Verdict != want.Verdict || len(r.Outcomes) != 1 || r.Outcomes[0].Recipient != "b@r.example" || len(r.Sessions) != 2 || !r.Sessions[0].Expected {
			t.Errorf("%s: %+v\n%+v", c.how, r.Verdict, r.Outcomes)
		}
		for _, e := range r.Outcomes[0].Evidence {
			if !strings.Contains(c.text, e.Quote) || !strings.Contains(strings.Split(c.text, "\n")[e.Line-1], e.Quote) {
				t.Errorf("%s: %+v is not in line %d", c.how, e, e.Line)
			}
		}
		if obs := ObserveText([]byte(c.text), Options{}); !slices.EqualFunc(obs, ObserveProbe(p, Options{}), func(a, b Observation) bool {
			return a.Verdict == b.Verdict && a.Port == b.Port && a.Kind == b.Kind && a.LoginSender == b.LoginSender
		}) {
			t.Errorf("%s: observed %+v", c.how, obs)
		}
	}
}

// Without the plan nobody can know what was meant, and the refusal stands.
func TestReadTranscriptWithoutPlan(t *testing.T) {
	var lines []string
	for l := range strings.Lines(saved(savedRun(t))) {
		if !strings.Contains(l, "=== Plan:") {
			lines = append(lines, l)
		}
	}
	r := Analyze([]byte(strings.Join(lines, "")), Options{})
	if r.Verdict.Code != Mixed || len(r.Outcomes) != 2 || r.Outcomes[0].Verdict != Refused || r.Sessions != nil {
		t.Errorf("%+v\n%+v", r.Verdict, r.Outcomes)
	}
}

// Several runs in one text, and a bounce beside one, are told apart.
func TestReadSeveralSavedProbes(t *testing.T) {
	first := savedRun(t)
	second := savedRun(t)
	for i := range second.Sessions {
		second.Sessions[i].Began = second.Sessions[i].Began.Add(time.Hour)
	}
	s := &second.Sessions[1]
	s.Exchanges = s.Exchanges[:7]
	s.Exchanges[6].Reply = reply(t, "535 5.7.8 Error: authentication failed: authentication failure")
	const bounce = "This is the mail system at host mail.customer.example.\n\n" +
		"<bob@recipient.example>: host mx.other.example[192.0.2.99] said: 550 5.1.1 <bob@recipient.example>: User unknown (in reply to RCPT TO command)\n"
	const swaks = "=== Trying mx.other.example:25...\n=== Connected to mx.other.example.\n<-  220 mx.other.example ESMTP\n -> EHLO c.example\n" +
		"<-  250 mx.other.example\n -> MAIL FROM:<a@c.example>\n<-  250 2.1.0 Ok\n -> RCPT TO:<zoe@other.example>\n" +
		"<** 550 5.1.1 <zoe@other.example>: User unknown\n -> QUIT\n<-  221 2.0.0 Bye\n=== Connection closed with remote host.\n"
	verdicts := func(text string) []Verdict {
		r := Analyze([]byte(text), Options{})
		var all []Verdict
		for _, o := range r.Outcomes {
			all = append(all, o.Verdict)
		}
		if r.Verdict.Headline == "" || r.Input.Format == "" {
			t.Errorf("%+v", r.Verdict)
		}
		return all
	}
	if got := verdicts(saved(first) + "\n" + saved(second)); !slices.Equal(got, []Verdict{Ready, Refused}) {
		t.Errorf("two runs: %v", got)
	}
	for _, other := range []string{bounce, swaks} {
		if got := verdicts(saved(first) + "\n\n" + other); !slices.Equal(got, []Verdict{Ready, NeverReached}) {
			t.Errorf("behind a run: %v\n%s", got, other)
		}
		if got := verdicts(other + "\n\n" + saved(first)); len(got) != 2 || !slices.Contains(got, Ready) || !slices.Contains(got, NeverReached) {
			t.Errorf("before a run: %v\n%s", got, other)
		}
		if obs := ObserveText([]byte(saved(first)+"\n\n"+other), Options{}); len(obs) != 3 {
			t.Errorf("behind a run: observed %+v\n%s", obs, other)
		}
	}
}

// A transcript without its times has the marks of swaks and is one text all the
// same.
func TestReadSavedProbeWithoutTimes(t *testing.T) {
	p := savedRun(t)
	var b []byte
	for _, s := range p.Sessions {
		s.Plan = &transcript.Plan{Intent: "auth", Credential: true, From: p.Planned.From, To: p.Planned.To}
		b = append(transcript.AppendFormat(b, &s, transcript.FormatOptions{}), '\n')
	}
	r := Analyze(b, Options{})
	if want := JudgeProbe(p, Options{}); r.Verdict != want.Verdict || len(r.Outcomes) != 1 || len(r.Sessions) != 2 {
		t.Errorf("%+v\n%+v", r.Verdict, r.Outcomes)
	}
}

// The words of another relay's report are those of the probe.
func TestReadSavedProbeOfAnotherRelay(t *testing.T) {
	p := savedRun(t)
	p.Target, p.Intent = "relay.example", IntentServer
	for i := range p.Sessions {
		p.Sessions[i].Server = p.Target
	}
	o := Options{RelayDomains: []string{"relay.example"}}
	want := JudgeProbe(p, o)
	o.Source = "x"
	for _, c := range []struct {
		how string
		in  []byte
	}{{"text", []byte(saved(p))}, {"JSON", want.AppendJSON(nil)}} {
		r := Analyze(c.in, o)
		if r.Verdict != want.Verdict || !slices.Equal(r.Causes, want.Causes) {
			t.Errorf("%s: %+v\nnot %+v", c.how, r.Verdict, want.Verdict)
		}
		for i := range r.Findings {
			if r.Findings[i].Why != want.Findings[i].Why || !slices.Equal(r.Findings[i].Fix, want.Findings[i].Fix) {
				t.Errorf("%s: %+v\nnot %+v", c.how, r.Findings[i], want.Findings[i])
			}
		}
	}
}

// A forged text gets no secret, no odd word and no control byte into a report.
func TestReadForgedTranscript(t *testing.T) {
	schema := loadSchema(t)
	text := saved(savedRun(t))
	const password = "open sesame 4711"
	plain := base64.StdEncoding.EncodeToString([]byte("\x00alerts\x00" + password))
	for _, c := range []struct {
		how, old, new string
		bad           []string
	}{
		{"a login in clear", "AUTH PLAIN [secret-1]", "AUTH PLAIN " + plain, []string{plain, password}},
		{"a login that the server repeats", "AUTH PLAIN [secret-1]", "AUTH PLAIN " + plain + "\n             <~  235 2.7.0 welcome " + plain, []string{plain, password}},
		{"odd intent", "intent=auth", `intent="\x1b[31mpurple"`, []string{"\x1b", "purple"}},
		{"odd stage", "stop-after=envelope", "stop-after=moon", []string{"moon"}},
		{"odd login", "login-sender=yes", "login-sender=perhaps", []string{"perhaps"}},
		{"an endless address", "from=a@c.example", "from=" + strings.Repeat("x", 5000) + "@y.example", []string{strings.Repeat("x", 600)}},
		{"endless addresses", "to=b@r.example", strings.TrimSuffix(strings.Repeat("to=z@z.example, ", 5000), ", "), []string{strings.Repeat(`"z@z.example",`, 300)}},
		{"a control byte", "from=a@c.example", `from="a\x1b]0;x\x07\xe2\x80\xae@c.example"`, []string{"\x1b", "\x07", "\u202e"}},
	} {
		if !strings.Contains(text, c.old) {
			t.Fatalf("%s: %q is not in the text", c.how, c.old)
		}
		r := Analyze([]byte(strings.ReplaceAll(text, c.old, c.new)), Options{})
		doc := r.AppendJSON(nil)
		if !json.Valid(doc) || len(r.Sessions) == 0 || r.Intent != IntentAuth {
			t.Errorf("%s: %s", c.how, doc)
		}
		for _, bad := range c.bad {
			if bytes.Contains(doc, []byte(bad)) {
				t.Errorf("%s: the report holds %.60q", c.how, bad)
			}
		}
		for _, wrong := range schema.validate(doc) {
			t.Errorf("%s: %s", c.how, wrong)
		}
	}
}
