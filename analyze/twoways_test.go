package analyze

import (
	"slices"
	"strings"
	"testing"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Who means to send by address and has a login that works has no wrong port: the
// address is not listed, or the domain wants a login.
func TestTwoWaysOfSending(t *testing.T) {
	p := savedRun(t)
	for _, c := range []struct {
		intent Intent
		login  string
	}{
		{IntentBoth, "yes"},
		{IntentBoth, "no"},
		{IntentServer, "yes"},
	} {
		p.Intent, p.Planned.LoginSender = c.intent, c.login
		r := JudgeProbe(p, Options{})
		var ids []string
		for _, x := range r.Causes {
			ids = append(ids, x.ID)
		}
		if r.Verdict.Code != Refused || !slices.Equal(ids, []string{"sending-server-not-listed", "force-auth"}) || len(r.NextTests) == 0 || r.NextTests[0].ID == loginTest || !strings.Contains(r.Verdict.Headline, "587 works") {
			t.Errorf("%s, sender is the login: %s: %+v, %v, %+v", c.intent, c.login, r.Verdict, ids, r.NextTests)
		}
	}
}

// A sender without a recipient was not tried to its end: most mail systems say
// at RCPT what they think of a sender.
func TestNoRecipientWasTried(t *testing.T) {
	p := savedRun(t)
	p.Planned.To = nil
	for i := range p.Sessions {
		s := &p.Sessions[i]
		s.Exchanges = s.Exchanges[:len(s.Exchanges)-1]
	}
	for _, c := range []struct {
		intent Intent
		want   string
	}{
		{IntentAuth, "587 accepts the credential and the sender; port 25 answers; not tried: RCPT"},
		{IntentServer, "25 takes the sender; port 587 answers; not tried: RCPT"},
	} {
		p.Intent = c.intent
		r := JudgeProbe(p, Options{})
		if r.Verdict.Code != Ready || r.Verdict.Headline != c.want || r.Verdict.Next != "none: give a recipient to try the rest" || r.Sessions[1].Stage != string(transcript.StageEnvelope) {
			t.Errorf("%s: %+v", c.intent, r.Verdict)
		}
	}
}
