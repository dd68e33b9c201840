package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
)

// symptom is what somebody can tell who has neither a text nor a host at hand:
// where a diagnosis begins that has nothing else.
type symptom struct {
	id, words string
	seen      analyze.Observation
}

// symptoms are those that people tell, the most frequent first. What a symptom
// does not say stays open: nothing but its verdict and its stage is taken.
var symptoms = []symptom{
	{"relay-refused", "the relay refuses the mail (5xx), and nobody knows at which step", analyze.Observation{Verdict: analyze.Refused}},
	{"login-refused", "the login is refused (535, 530, 534)", analyze.Observation{Verdict: analyze.Refused, Stage: transcript.StageAuth}},
	{"address-refused", `sender or recipient is refused (550, 554, "Relay access denied")`, analyze.Observation{Verdict: analyze.Refused, Stage: transcript.StageEnvelope}},
	{"message-refused", "the message itself is refused, at its end (552, 554)", analyze.Observation{Verdict: analyze.Refused, Stage: transcript.StageData}},
	{"greeting-refused", "the relay refuses at once, in place of a greeting (554)", analyze.Observation{Verdict: analyze.Refused, Stage: transcript.StageGreet}},
	{"put-off", "the relay puts the mail off (4xx), and it waits in the queue", analyze.Observation{Verdict: analyze.Deferred}},
	{"tls-fails", "TLS fails: the certificate, the version, or no STARTTLS", analyze.Observation{Verdict: analyze.HandshakeFailed, Stage: transcript.StageTLS}},
	{"no-connection", "no connection comes about: it times out, or is refused", analyze.Observation{Verdict: analyze.Unreachable, Stage: transcript.StageConnect}},
	{"name-not-found", "the name of the relay is not found", analyze.Observation{Verdict: analyze.Unreachable, Stage: transcript.StageResolve}},
	{"no-greeting", "the connection opens, and then no greeting comes or it breaks", analyze.Observation{Verdict: analyze.HandshakeFailed, Stage: transcript.StageGreet}},
	{"stopped-before", "another server, or the sending system itself, stops the mail", analyze.Observation{Verdict: analyze.NeverReached}},
}

// findSymptom is the symptom of a name; nil: there is none.
func findSymptom(id string) *symptom {
	if i := slices.IndexFunc(symptoms, func(x symptom) bool { return x.id == id }); i >= 0 {
		return &symptoms[i]
	}
	return nil
}

func symptomNames() string {
	var out []string
	for i := range symptoms {
		out = append(out, symptoms[i].id)
	}
	return strings.Join(out, ", ")
}

// noBytes is the SHA-256 of an input that holds nothing.
const noBytes = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// report is what is known before anything was looked at.
func (x *symptom) report() *analyze.Report {
	stage := orElse(string(x.seen.Stage), "unknown")
	if x.seen.Verdict == analyze.NeverReached {
		stage = "not-attempted"
	}
	return &analyze.Report{
		SchemaVersion: analyze.SchemaVersion, Kind: "analysis",
		Input:   &analyze.Input{Source: "(told)", Format: "symptom", SHA256: noBytes},
		Verdict: analyze.Summary{Code: x.seen.Verdict, Status: analyze.Problem, Headline: x.words, Confidence: analyze.Possible},
		Outcomes: []analyze.Outcome{{
			Verdict: x.seen.Verdict, Stage: stage, Party: analyze.UnknownParty, Direction: analyze.UnknownDirection,
		}},
		Findings: []analyze.Finding{},
	}
}

// tell takes a symptom beside what else was seen. Where it is all there is, the
// report begins with it.
func (s *diagnosis) tell(x *symptom) {
	if s.base == nil {
		s.base = x.report()
	}
	before := s.left()
	s.take([]analyze.Observation{x.seen})
	s.record.Tried = append(s.record.Tried, analyze.TriedTest{
		Test: "symptom", Do: "tell what is seen", By: "answer", Shown: x.words, Before: before, After: s.left(),
	})
}

// askSymptom asks what is seen; nil: nobody knows.
func (s *diagnosis) askSymptom() *symptom {
	var b strings.Builder
	b.WriteString("What is seen?\n")
	for i := range symptoms {
		fmt.Fprintf(&b, "  %d  %s\n", i+1, symptoms[i].words)
	}
	n, ok := s.number(b.String(), len(symptoms))
	if !ok {
		return nil
	}
	return &symptoms[n-1]
}

// number asks for a number from 1 to most after a text; false: it stays open.
func (s *diagnosis) number(text string, most int) (int, bool) {
	for range 3 {
		fmt.Fprintf(s.p.stderr, "%sWhich number, empty if nobody knows: ", text)
		line, err := s.in.ReadString('\n')
		line = strings.TrimSpace(line)
		if line == "" {
			if err != nil {
				s.ask = false
			}
			return 0, false
		}
		if n, convErr := strconv.Atoi(line); convErr == nil && n >= 1 && n <= most {
			return n, true
		}
		text = fmt.Sprintf("a number from 1 to %d; ", most)
	}
	return 0, false
}

// choices are what a test can show, as a numbered list.
func choices(shows []analyze.Showing) string {
	var b strings.Builder
	for i, x := range shows {
		fmt.Fprintf(&b, "  %d  %s\n", i+1, report.Show(x.Show))
	}
	return b.String()
}
