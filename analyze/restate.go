package analyze

import (
	"slices"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/ndr"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// A report that is read back may have been written by an older or newer handoff,
// by another program or by somebody who wants to be believed. What is not in the
// contract is restated as unknown before it is judged or repeated.

var (
	allVerdicts = []Verdict{Ready, Refused, Deferred, HandshakeFailed, Unreachable, NeverReached, AcceptedThenBounced, InboundRefused, NotAFailure, InsufficientEvidence}
	allStages   = []transcript.Stage{
		transcript.StageNotAttempted, transcript.StageResolve, transcript.StageConnect, transcript.StageGreet, transcript.StageEHLO,
		transcript.StageTLS, transcript.StageAuth, transcript.StageEnvelope, transcript.StageData, transcript.StageAccepted, transcript.StageUnknown,
	}
	allParties    = []Party{SenderSystem, Network, RelayConfig, RelayPlatform, RecipientSystem, NoParty, UnknownParty}
	allDirections = []Direction{Outbound, Inbound, UnknownDirection}
	allFaults     = []transcript.Fault{
		transcript.FaultNone, transcript.FaultDNS, transcript.FaultRefused, transcript.FaultTimeout, transcript.FaultReset, transcript.FaultClosed,
		transcript.FaultTLS, transcript.FaultCertificate, transcript.FaultInjection, transcript.FaultProtocol, transcript.FaultLimit,
	}
	allIntents    = []Intent{IntentAuth, IntentServer, IntentBoth}
	allStatuses   = []Status{OK, Problem, Inconclusive}
	allConfidence = []Confidence{Certain, Likely, Possible}
	allSeverities = []Severity{Error, Warning, Info}
	allRoles      = []string{string(ndr.Refuser), string(ndr.Reporter), string(ndr.Target), string(ndr.Received), string(ndr.Named), roleReply}
	allSteps      = []string{"ok", "refused", "deferred", "failed", "skipped"}
)

func among[T comparable](v T, list []T, otherwise T) T {
	if slices.Contains(list, v) {
		return v
	}
	return otherwise
}

func restatePort(p int) int {
	if p < 0 || p > 65535 {
		return 0
	}
	return p
}

func restateReply(r Reply) Reply {
	if r.Code < 0 || r.Code > 999 {
		r.Code = 0
	}
	return r
}

func restateEvidence(list []Evidence) []Evidence {
	out := make([]Evidence, 0, min(len(list), maxEvidence))
	for _, e := range list {
		if len(out) == 4*maxEvidence {
			break
		}
		e.Line, e.Column, e.Port = max(e.Line, 0), max(e.Column, 0), restatePort(e.Port)
		e.Role = among(e.Role, allRoles, string(ndr.Named))
		e.Quote = cutRunes(e.Quote, maxQuote)
		out = append(out, e)
	}
	return out
}

// restateID is an id in the form of the contract, or "".
func restateID(id string) string {
	if len(id) == 0 || len(id) > 64 || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" ||
		id[0] == '-' || id[len(id)-1] == '-' || strings.Contains(id, "--") {
		return ""
	}
	return id
}

// maxCauses bounds the causes of one outcome that are repeated.
const maxCauses = 100

func restateCauses(list []Cause) []Cause {
	out := make([]Cause, 0, min(len(list), maxCauses))
	for _, c := range list {
		if restateID(c.ID) == "" || len(out) == maxCauses {
			continue
		}
		c.Who = among(c.Who, allParties, UnknownParty)
		out = append(out, c)
	}
	return out
}

func restateTests(list []NextTest) []NextTest {
	var out []NextTest
	for _, t := range list {
		if restateID(t.ID) == "" || t.Do == "" || len(out) == maxTests {
			continue
		}
		t.Separates = restateIDs(t.Separates)
		shows := t.Shows
		t.Shows = nil
		for _, s := range shows {
			if len(t.Shows) < maxCauses {
				s.Causes = restateShown(s.Causes)
				t.Shows = append(t.Shows, s)
			}
		}
		out = append(out, t)
	}
	return out
}

func restateIDs(list []string) []string {
	out := []string{}
	for _, id := range list {
		if restateID(id) != "" && len(out) < maxCauses {
			out = append(out, id)
		}
	}
	return out
}

// restateShown keeps causes and pairs of them, joined by a plus.
func restateShown(list []string) []string {
	out := []string{}
	for _, id := range list {
		a, b, pair := strings.Cut(id, "+")
		if restateID(a) != "" && (!pair || restateID(b) != "") && len(out) < maxCauses {
			out = append(out, id)
		}
	}
	return out
}

// restateFinding reports false for a finding without id or title.
func restateFinding(f Finding) (Finding, bool) {
	if restateID(f.ID) == "" || f.Title == "" {
		return f, false
	}
	f.Title = cutTitle(f.Title)
	f.Severity = among(f.Severity, allSeverities, Info)
	f.Evidence = restateEvidence(f.Evidence)
	fixes := f.Fix
	f.Fix = []Fix{}
	for _, x := range fixes {
		if len(f.Fix) < maxEvidence {
			x.Who = among(x.Who, allParties, UnknownParty)
			f.Fix = append(f.Fix, x)
		}
	}
	return f, true
}

// cutTitle cuts a title to its length in characters.
func cutTitle(s string) string {
	n := 0
	for i := range s {
		if n == maxTitle {
			return s[:i]
		}
		n++
	}
	return s
}

func restateOutcome(o Outcome) Outcome {
	o.Verdict = among(o.Verdict, allVerdicts, InsufficientEvidence)
	o.Stage = string(among(transcript.Stage(o.Stage), allStages, transcript.StageUnknown))
	o.Party = among(o.Party, allParties, UnknownParty)
	o.Direction = among(o.Direction, allDirections, UnknownDirection)
	o.Confidence = among(o.Confidence, allConfidence, Possible)
	o.Port = restatePort(o.Port)
	o.Reply = restateReply(o.Reply)
	o.Evidence = restateEvidence(o.Evidence)
	o.Causes = restateCauses(o.Causes)
	return o
}

// restateSession puts a session of a report in order before it becomes a record
// again.
func restateSession(s *Session) {
	s.Port = restatePort(s.Port)
	for i := range s.Steps {
		st := &s.Steps[i]
		st.Stage = string(among(transcript.Stage(st.Stage), allStages, transcript.StageUnknown))
		st.Status = among(st.Status, allSteps, "failed")
		st.Fault = string(among(transcript.Fault(st.Fault), allFaults, transcript.FaultProtocol))
		if st.Reply != nil {
			r := restateReply(*st.Reply)
			st.Reply = &r
		}
	}
}

func restatePlan(p *Planned) {
	if p.StopAfter != "" {
		p.StopAfter = among(p.StopAfter, allStages[2:9], "")
	}
	p.LoginSender = among(p.LoginSender, []string{"yes", "no"}, "")
	p.From, p.To = p.From[:min(len(p.From), maxList)], p.To[:min(len(p.To), maxList)]
}
