package tui

import (
	"fmt"
	"slices"
	"strings"

	"github.com/smtp-handoff/handoff/analyze"
)

// compareRuns says what changed between two runs by meaning: verdicts, the
// last step of each port, certificates, outcomes and findings. Times are no
// change.
func compareRuns(older, newer Run) []string {
	a, b := older.Report, newer.Report
	if a == nil || b == nil {
		return []string{"one of the two has no report"}
	}
	out := []string{fmt.Sprintf("from %s to %s", older.When.Format("2006-01-02 15:04:05"), newer.When.Format("2006-01-02 15:04:05"))}
	changed := false
	say := func(what, x, y string) {
		if x != y {
			changed = true
			out = append(out, fmt.Sprintf("%s: %s -> %s", what, orNone(x), orNone(y)))
		}
	}
	say("target", a.Target, b.Target)
	say("verdict", string(a.Verdict.Code), string(b.Verdict.Code))
	for _, port := range ports(a, b) {
		x, y := sessionOf(a, port), sessionOf(b, port)
		sx, sy := stepsByName(x), stepsByName(y)
		for _, name := range stepNames(x, y) {
			say(fmt.Sprintf("%d %s", port, name), sx[name], sy[name])
		}
		if x != nil && y != nil {
			certificate := func(s *analyze.Session) string {
				if older.Form.Bundled && newer.Form.Bundled { // which makes one with each start
					return s.TLS.Problem
				}
				return s.TLS.NotAfter + " " + s.TLS.Problem
			}
			say(fmt.Sprintf("%d certificate", port), certificate(x), certificate(y))
			say(fmt.Sprintf("%d TLS", port), x.TLS.Version, y.TLS.Version)
		}
	}
	for _, r := range recipients(a, b) {
		say("outcome "+r, outcomeOf(a, r), outcomeOf(b, r))
	}
	say("findings", findingIDs(a), findingIDs(b))
	if !changed {
		out = append(out, "nothing changed but the times")
	}
	return out
}

func orNone(s string) string {
	if strings.TrimSpace(s) == "" {
		return "(none)"
	}
	return strings.TrimSpace(s)
}

func ports(reps ...*analyze.Report) []int {
	var out []int
	for _, r := range reps {
		for _, s := range r.Sessions {
			if !slices.Contains(out, s.Port) {
				out = append(out, s.Port)
			}
		}
	}
	slices.Sort(out)
	return out
}

func sessionOf(r *analyze.Report, port int) *analyze.Session {
	for i := range r.Sessions {
		if r.Sessions[i].Port == port {
			return &r.Sessions[i]
		}
	}
	return nil
}

// stepsByName says of each stage of a session how it ended: code, or fault, or
// status; of several steps, the first that failed says it, else the last. The
// QUIT behind a refusal says nothing.
func stepsByName(s *analyze.Session) map[string]string {
	out, failed := map[string]string{}, map[string]bool{}
	if s == nil {
		return out
	}
	for _, st := range s.Steps {
		key := stepKey(st)
		if courtesy(&st) || failed[key] {
			continue
		}
		failed[key] = st.Status != "ok"
		word := st.Status
		switch {
		case st.Fault != "":
			word = st.Status + " " + st.Fault
		case st.Reply != nil && st.Reply.Code > 0:
			word = strings.TrimSpace(fmt.Sprintf("%d %s", st.Reply.Code, st.Reply.Enhanced))
		}
		out[key] = word
	}
	return out
}

func stepKey(st analyze.Step) string {
	verb, _, _ := strings.Cut(st.Command, " ")
	switch {
	case st.Stage == "envelope" && verb != "":
		return strings.ToLower(verb)
	case st.Stage == "ehlo" && st.Secure:
		return "ehlo in TLS"
	}
	return st.Stage
}

func stepNames(ss ...*analyze.Session) []string {
	var out []string
	for _, s := range ss {
		if s == nil {
			continue
		}
		for _, st := range s.Steps {
			if k := stepKey(st); !courtesy(&st) && !slices.Contains(out, k) {
				out = append(out, k)
			}
		}
	}
	return out
}

func recipients(reps ...*analyze.Report) []string {
	var out []string
	for _, r := range reps {
		for _, o := range r.Outcomes {
			if !slices.Contains(out, o.Recipient) {
				out = append(out, o.Recipient)
			}
		}
	}
	return out
}

func outcomeOf(r *analyze.Report, recipient string) string {
	for _, o := range r.Outcomes {
		if o.Recipient == recipient {
			return strings.TrimSpace(fmt.Sprintf("%s at %s %d %s", o.Verdict, o.Stage, o.Reply.Code, o.Reply.Enhanced))
		}
	}
	return ""
}

func findingIDs(r *analyze.Report) string {
	var ids []string
	for _, f := range r.Findings {
		ids = append(ids, f.ID)
	}
	slices.Sort(ids)
	return strings.Join(slices.Compact(ids), ", ")
}
