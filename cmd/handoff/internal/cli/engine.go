package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
	"github.com/smtp-handoff/handoff/probe"
)

// judged is a probe's record as the judge takes it.
func judged(j *job, res *probe.Result) analyze.Probe {
	p := analyze.Probe{
		Target: j.target.Host, Intent: j.intent, Sessions: res.Sessions, Partial: res.Partial,
		Planned: analyze.Planned{
			Credential: j.plan.Credential != nil, From: j.plan.From, To: j.plan.To, StopAfter: j.plan.StopAfter,
		},
	}
	if c := j.plan.Credential; c != nil && len(j.plan.From) > 0 {
		p.Planned.LoginSender = "no"
		if strings.EqualFold(c.Username(), j.plan.From[0]) {
			p.Planned.LoginSender = "yes"
		}
	}
	return p
}

// judgeProbe says what the sessions of a probe mean.
func judgeProbe(j *job, res *probe.Result, names []analyze.Finding, now time.Time) *analyze.Report {
	o := j.judge
	o.Source, o.Now = j.target.Host, now
	r := judged(j, res)
	if j.names != nil {
		r.DNS = j.names.dns()
	}
	r.Findings = slices.Concat(passwordFindings(j.odd), names, tlsFindings(res))
	return analyze.JudgeProbe(r, o)
}

// tlsFindings tell of old versions of TLS that a scan found accepted.
func tlsFindings(res *probe.Result) []analyze.Finding {
	var old []string
	for _, s := range res.Sessions {
		if s.TLS == nil {
			continue
		}
		for _, v := range s.TLS.Versions {
			if v.Accepted == transcript.Yes && (v.Version == "TLS 1.0" || v.Version == "TLS 1.1") {
				old = append(old, fmt.Sprintf("%s on port %d at %s", v.Version, s.Port, s.Address))
			}
		}
	}
	if old == nil {
		return nil
	}
	f, _ := analyze.FindingOf("tls-old", nil)
	f.Why += " Accepted: " + strings.Join(old, ", ") + "."
	return []analyze.Finding{f}
}

// transcriptText is the dialogue of one session in the marks of swaks, secrets
// masked when it was recorded, nothing in it that steers a terminal.
func transcriptText(s *transcript.Session) string {
	return string(transcript.AppendFormat(nil, s, transcript.FormatOptions{}))
}

// sessionLines gives the evidence of a probe its lines.
func sessionLines(sessions []transcript.Session) report.Lines {
	lines := map[int][]string{}
	for i := range sessions {
		if _, ok := lines[sessions[i].Port]; !ok {
			lines[sessions[i].Port] = analyze.TranscriptLines(&sessions[i])
		}
	}
	return func(port, line int) (string, bool) {
		l := lines[port]
		if line < 1 || line > len(l) {
			return "", false
		}
		return l[line-1], true
	}
}
