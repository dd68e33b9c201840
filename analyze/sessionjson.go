package analyze

import (
	"cmp"
	"math"
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// The record and its report form. reportSession writes a transcript.Session as
// a report has it; SessionsOf reads it back, so that the JSON of a probe judged
// again gives the verdict of the probe itself.

// reportSession is the report form of a session; verdict, stage, party and
// causes are the judge's.
func reportSession(s *transcript.Session) Session {
	r := Session{
		Port:    s.Port,
		Address: s.Address,
		Steps:   make([]Step, 0, len(s.Exchanges)),
	}
	r.Capabilities = Capabilities{BeforeTLS: bounded(s.Before), AfterTLS: bounded(s.After)}
	for i := range s.Exchanges {
		e := &s.Exchanges[i]
		st := Step{
			Stage:   string(e.Stage),
			Command: e.Command,
			Status:  stepStatus(e),
			Fault:   string(e.Fault),
			TookMS:  millis(e.Took),
			SentMS:  millis(e.Sent),
			Secure:  e.Secure,
			Grouped: e.Grouped,
			Note:    e.Detail,
		}
		if e.Skipped != "" {
			st.Note = e.Skipped
		}
		if !e.Reply.IsZero() {
			reply := replyOf(e.Reply)
			st.Reply = &reply
		}
		r.Steps = append(r.Steps, st)
	}
	r.TLS = TLS{Names: []string{}}
	if t := s.TLS; t != nil {
		r.TLS = TLS{
			Version: t.Version, Cipher: t.Cipher, Curve: t.Curve, Names: bounded(t.Names),
			Subject: t.Subject, Issuer: t.Issuer,
			NotAfter: stamp(t.NotAfter), Earliest: stamp(t.Earliest),
			Verified: t.Verified == transcript.Yes, Problem: t.Problem, Detail: t.Detail, Alert: t.Alert,
			NotBefore: stamp(t.NotBefore), Stapled: t.Stapled.String(), Chain: t.Chain[:min(len(t.Chain), maxList)],
		}
		for _, v := range t.Versions[:min(len(t.Versions), maxList)] {
			r.TLS.Versions = append(r.TLS.Versions, TLSVersion{v.Version, cmp.Or(v.Accepted.String(), "unknown"), v.Alert})
		}
	}
	return r
}

// stepStatus is the word of the contract for what became of a step.
func stepStatus(e *transcript.Exchange) string {
	switch {
	case e.Skipped != "":
		return "skipped"
	case e.Fault != transcript.FaultNone:
		// A refusal that was read before the connection broke is the answer.
		switch e.Reply.Class() {
		case 4:
			return "deferred"
		case 5:
			return "refused"
		}
		return "failed"
	}
	switch e.Reply.Class() {
	case 4:
		return "deferred"
	case 5:
		return "refused"
	}
	return "ok"
}

// maxList bounds the EHLO keywords and certificate names that a report repeats.
const maxList = 200

func bounded(list []string) []string {
	if list == nil {
		return []string{}
	}
	if len(list) > maxList {
		return list[:maxList:maxList]
	}
	return list
}

// millis is a duration in milliseconds with three decimals.
func millis(d time.Duration) float64 {
	return math.Round(float64(d)/float64(time.Microsecond)) / 1000
}

// duration is the way back, within a day: a record may say anything.
func duration(ms float64) time.Duration {
	if !(ms > 0) { // NaN too
		return 0
	}
	return time.Duration(math.Min(ms, 86_400_000) * float64(time.Millisecond))
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// SessionsOf gives the sessions of a probe's report back as records, for
// judging them again, for showing them as transcripts and for their causes.
func SessionsOf(r *Report) []transcript.Session {
	out := make([]transcript.Session, 0, len(r.Sessions))
	for i := range r.Sessions {
		out = append(out, sessionOf(r.Target, &r.Sessions[i]))
	}
	return out
}

func sessionOf(target string, r *Session) transcript.Session {
	s := transcript.Session{
		Source:  "probe",
		Server:  strings.ToLower(strings.TrimSuffix(target, ".")),
		Port:    r.Port,
		Address: withoutPort(r.Address),
	}
	s.Implicit = r.Port == 465
	secure := s.Implicit
	for i := range r.Steps {
		st := &r.Steps[i]
		e := transcript.Exchange{
			Stage:   transcript.Stage(st.Stage),
			Command: st.Command,
			Fault:   transcript.Fault(st.Fault),
			Secure:  st.Secure || (secure && transcript.Stage(st.Stage).Order() > transcript.StageConnect.Order()),
			Grouped: st.Grouped,
			Took:    duration(st.TookMS),
			Sent:    duration(st.SentMS),
		}
		switch {
		case st.Status == "skipped":
			e.Skipped = st.Note
			if e.Skipped == "" {
				e.Skipped = "not tried"
			}
		default:
			e.Detail = st.Note
		}
		if st.Reply != nil {
			e.Reply = replyBack(st.Reply)
		}
		if e.Fault == transcript.FaultNone && st.Status == "failed" && e.Reply.IsZero() {
			e.Fault = transcript.FaultProtocol
		}
		if e.Stage == transcript.StageTLS && e.Skipped == "" && !e.Failed() &&
			(e.Reply.Code == 220 || transcript.Verb(e.Command) == "") {
			secure = true
		}
		if v := transcript.Verb(e.Command); v == "EHLO" || v == "HELO" {
			_, s.Client, _ = strings.Cut(strings.TrimSpace(e.Command), " ")
		}
		s.Exchanges = append(s.Exchanges, e)
	}
	s.Before = keywords(r.Capabilities.BeforeTLS, s.Exchanges, false)
	s.After = keywords(r.Capabilities.AfterTLS, s.Exchanges, true)
	if t := &r.TLS; t.Version != "" || t.Problem != "" || t.Verified || len(t.Names) > 0 || len(t.Versions) > 0 {
		s.TLS = &transcript.TLS{
			Version: t.Version, Cipher: t.Cipher, Curve: t.Curve, Names: t.Names,
			Subject: t.Subject, Issuer: t.Issuer, NotAfter: unstamp(t.NotAfter), Earliest: unstamp(t.Earliest),
			Verified: fact(t.Verified), Problem: t.Problem, Detail: t.Detail, Alert: t.Alert,
			NotBefore: unstamp(t.NotBefore), Stapled: factOf(t.Stapled), Chain: t.Chain,
		}
		for _, v := range t.Versions {
			s.TLS.Versions = append(s.TLS.Versions, transcript.TLSVersion{Version: v.Version, Accepted: factOf(v.Accepted), Alert: v.Alert})
		}
	}
	return s
}

// factOf reads yes and no; everything else is unknown.
func factOf(word string) transcript.Fact {
	switch word {
	case "yes":
		return transcript.Yes
	case "no":
		return transcript.No
	}
	return transcript.Unknown
}

// keywords tells an empty EHLO list from one that was not seen: JSON has [] for
// both, the steps know better.
func keywords(list []string, exchanges []transcript.Exchange, secure bool) []string {
	if len(list) > 0 {
		return list
	}
	for i := range exchanges {
		e := &exchanges[i]
		if e.Secure == secure && e.Skipped == "" && e.Reply.Code == 250 && greeting(e) {
			return []string{}
		}
	}
	return nil
}

// replyBack rebuilds the lines a server sent from code, enhanced code and text.
func replyBack(r *Reply) transcript.Reply {
	if r.Code == 0 && r.Enhanced == "" && r.Text == "" {
		return transcript.Reply{}
	}
	out := transcript.Reply{Code: r.Code, Enhanced: r.Enhanced}
	texts := strings.Split(r.Text, "\n")
	for i, t := range texts {
		var b strings.Builder
		if r.Code != 0 {
			b.WriteString(itoa(r.Code))
			if i < len(texts)-1 {
				b.WriteByte('-')
			} else {
				b.WriteByte(' ')
			}
		}
		if r.Enhanced != "" {
			b.WriteString(r.Enhanced)
			b.WriteByte(' ')
		}
		b.WriteString(t)
		out.Lines = append(out.Lines, b.String())
	}
	return out
}

func unstamp(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

// withoutPort cuts ":25" off an address; an IPv6 address keeps its colons.
func withoutPort(s string) string {
	if strings.HasPrefix(s, "[") {
		if i := strings.IndexByte(s, ']'); i > 0 {
			return s[1:i]
		}
		return s
	}
	if strings.Count(s, ":") == 1 {
		s, _, _ = strings.Cut(s, ":")
	}
	return s
}
