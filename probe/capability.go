package probe

import (
	"slices"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// keywords lists what an EHLO reply offers: its lines behind the first, without
// the code. It is never nil, since nil means that no EHLO was answered.
func keywords(r transcript.Reply) []string {
	list := []string{}
	for _, line := range r.Lines[min(1, len(r.Lines)):] {
		if k := strings.TrimSpace(line[min(4, len(line)):]); k != "" {
			list = append(list, k)
		}
	}
	return list
}

// mechanismsOf lists the SASL mechanisms of an EHLO list in upper case; the old
// form "AUTH=LOGIN PLAIN" counts too.
func mechanismsOf(list []string) []string {
	var out []string
	for _, k := range list {
		fields := strings.Fields(strings.ToUpper(strings.Replace(k, "=", " ", 1)))
		if len(fields) == 0 || fields[0] != "AUTH" {
			continue
		}
		for _, m := range fields[1:] {
			if !slices.Contains(out, m) && len(out) < 50 {
				out = append(out, m)
			}
		}
	}
	return out
}

// offers reports whether an EHLO list has a keyword, in any case.
func offers(list []string, keyword string) bool {
	for _, k := range list {
		if f := strings.Fields(k); len(f) > 0 && strings.EqualFold(f[0], keyword) {
			return true
		}
	}
	return false
}
