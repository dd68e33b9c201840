package analyze

import (
	"github.com/smtp-handoff/handoff/analyze/ndr"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// No secret leaves by a report (contract §7), also not one that somebody pasted
// along with the question, or that a server quoted back.

// hide masks the secrets of the input in what the report repeats of it: replies
// and quotes. Only texts that may hold a dialogue, a command line or a
// configuration are searched: a delivery report shows none of these, and an
// archive has many of them.
func hide(r *Report, text []byte, cases []ndr.Case) {
	if text == nil || !talks(cases) {
		return
	}
	_, masked := transcript.Redact(text, transcript.Standard)
	if len(masked) == 0 {
		return
	}
	values := make([]string, 0, len(masked))
	for _, m := range masked {
		if s := m.Span; s.Offset >= 0 && s.Offset < s.End && s.End <= len(text) {
			values = append(values, string(text[s.Offset:s.End]))
		}
	}
	secrets := transcript.Known(values...)
	mask := func(s *string) {
		if *s == "" {
			return
		}
		*s = secrets.Mask(*s)
		for i, v := range values {
			if *s == v {
				*s = masked[i].Token
			}
		}
	}
	quotes := func(list []Evidence) {
		for i := range list {
			mask(&list[i].Quote)
		}
	}
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		mask(&o.Reply.Text)
		mask(&o.Recipient)
		mask(&o.Sender)
		quotes(o.Evidence)
	}
	for i := range r.Sessions {
		for _, list := range [][]string{r.Sessions[i].Capabilities.BeforeTLS, r.Sessions[i].Capabilities.AfterTLS} {
			for k := range list {
				mask(&list[k])
			}
		}
		for k := range r.Sessions[i].Steps {
			st := &r.Sessions[i].Steps[k]
			mask(&st.Command)
			mask(&st.Note)
			if st.Reply != nil {
				mask(&st.Reply.Text)
			}
		}
	}
	seen := false
	for i := range r.Findings {
		f := &r.Findings[i]
		mask(&f.Why)
		quotes(f.Evidence)
		seen = seen || f.ID == findingSecretMasked
	}
	if !seen && len(r.Findings) < maxFindings {
		r.Findings = append(r.Findings, finding(findingSecretMasked, nil))
	}
}

// talks reports whether the cases may show more than a delivery report does.
func talks(cases []ndr.Case) bool {
	for i := range cases {
		switch cases[i].Nature {
		case ndr.NatureUnknown, ndr.NatureDialogue, ndr.NatureError, ndr.NatureLog:
			return true
		}
		if hasNote(&cases[i], findingSecretMasked) {
			return true
		}
	}
	return false
}
