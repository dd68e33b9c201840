package analyze

import (
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// A probe waits as long as it was told to, mostly much less than a server may
// take. Whoever gave up too early has not seen that no answer comes, and says so.

// patienceFor is how long a client has to wait for the answer to a step (RFC
// 5321 §4.5.3.2); 0 where the standard does not say.
func patienceFor(e *transcript.Exchange) time.Duration {
	if e.Stage == transcript.StageGreet {
		return 5 * time.Minute
	}
	switch transcript.Verb(e.Command) {
	case "MAIL", "RCPT":
		return 5 * time.Minute
	case "DATA":
		return 2 * time.Minute
	case ".":
		return 10 * time.Minute
	}
	return 0
}

const waitLongerID = "wait-longer"

// cutShort reports how long a probe waited for an answer that the server had
// more time for.
func cutShort(e *transcript.Exchange) (waited time.Duration, ok bool) {
	waited = e.Took.Round(10 * time.Millisecond)
	if waited >= time.Second {
		waited = e.Took.Round(100 * time.Millisecond)
	}
	return waited, e.Fault == transcript.FaultTimeout && e.Reply.IsZero() && waited > 0 && waited < patienceFor(e)
}

// cutShort is that of the session's deciding step.
func (g *sessionJudgement) cutShort() (waited time.Duration, ok bool) {
	if g.failure < 0 {
		return 0, false
	}
	return cutShort(&g.s.Exchanges[g.failure])
}

// within is how long was waited in vain, for a headline.
func (g *sessionJudgement) within() string {
	if waited, ok := g.cutShort(); ok {
		return " in " + inWords(waited)
	}
	return ""
}

// begun reports whether the server began an answer and did not end it.
func begun(e *transcript.Exchange) bool {
	return strings.Contains(e.Detail, "; a line was cut") || strings.Contains(e.Detail, "; the reply had no last line")
}

// waitLonger is the test that tells a late server from a silent one, and what
// follows when it stays silent.
func (g *sessionJudgement) waitLonger() NextTest {
	e := &g.s.Exchanges[g.failure]
	waited, _ := g.cutShort()
	minutes := itoa(int(patienceFor(e) / time.Minute))
	step, last := "answer "+stepWord(e), "send the times of each step to who runs the relay"
	if e.Stage == transcript.StageGreet {
		step, last = "greet", "look for a proxy or firewall that takes the connection"
	}
	return NextTest{
		ID: waitLongerID, Who: string(SenderSystem), Cost: minutes + " minutes", Separates: []string{},
		Do: "repeat the probe with --timeout " + minutes + "m --deadline " + itoa(2*int(patienceFor(e)/time.Minute)) + "m: it waited only " + inWords(waited) +
			", and a server may take " + minutes + " minutes to " + step + "; if nothing comes then, " + last,
	}
}

// stepWord names the step of an exchange in a sentence.
func stepWord(e *transcript.Exchange) string {
	switch v := transcript.Verb(e.Command); {
	case v == ".":
		return "the final dot"
	case v != "":
		return v
	case e.Stage == transcript.StageAuth:
		return "AUTH"
	}
	return string(e.Stage)
}

// inWords is a duration without the seconds that it does not have: "2m", "1.5s".
func inWords(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	return s
}
