package transcript

import "strings"

// Verb is the SMTP verb of a command line in upper case: EHLO, HELO, LHLO,
// STARTTLS, AUTH, MAIL, RCPT, DATA, BDAT, RSET, NOOP, QUIT, VRFY, EXPN, HELP,
// ETRN, XCLIENT or "." for the end of the data. The phrases of reports count
// too: "RCPT TO command", "end of DATA command". It is empty for everything
// else.
func Verb(command string) string {
	s := strings.TrimSpace(command)
	if s == "." {
		return "."
	}
	if len(s) > 64 {
		s = s[:64] // the longest verb has eight letters
	}
	word := s
	if i := strings.IndexAny(s, " \t:"); i >= 0 {
		word = s[:i]
	}
	for _, v := range verbs {
		if strings.EqualFold(word, v) {
			return v
		}
	}
	for _, p := range []string{"end of data", "final dot", "message body"} {
		if _, ok := cutFoldPrefix(s, p); ok {
			return "."
		}
	}
	return ""
}

var verbs = [...]string{
	"EHLO", "HELO", "LHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "BDAT",
	"RSET", "NOOP", "QUIT", "VRFY", "EXPN", "HELP", "ETRN", "XCLIENT", "XFORWARD",
}

// StageOf is the stage a command belongs to; StageUnknown when it is none of
// the road (RSET, NOOP, QUIT, an unknown verb).
func StageOf(command string) Stage {
	switch Verb(command) {
	case "EHLO", "HELO", "LHLO":
		return StageEHLO
	case "STARTTLS":
		return StageTLS
	case "AUTH":
		return StageAuth
	case "MAIL", "RCPT":
		return StageEnvelope
	case "DATA", "BDAT", ".":
		return StageData
	}
	return StageUnknown
}

// Path takes the address and the parameters out of a MAIL or RCPT command
// (RFC 5321 §4.1.1.2, §4.1.1.3), with or without angle brackets, in any case.
// The null sender is "<>"; a source route is cut off. It reports false when
// the command is neither or names no address.
func Path(command string) (address string, params []string, ok bool) {
	s := strings.TrimSpace(command)
	switch Verb(s) {
	case "MAIL", "RCPT":
		s = s[4:]
	default:
		return "", nil, false
	}
	s = strings.TrimLeft(s, " \t")
	for _, p := range []string{"from", "to"} {
		if t, ok := cutFoldPrefix(s, p); ok {
			t = strings.TrimLeft(t, " \t")
			if t == "" || t[0] == ':' || t[0] == '<' {
				s = t
				break
			}
		}
	}
	s = strings.TrimLeft(strings.TrimPrefix(s, ":"), " \t")
	if s == "" {
		return "", nil, false
	}
	if s[0] == '<' {
		end := closingAngle(s)
		address = s[1:end]
		s = strings.TrimPrefix(s[end:], ">")
		if address == "" {
			address = "<>"
		}
	} else {
		address, s, _ = strings.Cut(s, " ")
	}
	if strings.HasPrefix(address, "@") {
		if _, a, found := strings.Cut(address, ":"); found && a != "" {
			address = a
		}
	}
	if f := strings.Fields(s); len(f) > 0 {
		params = f
	}
	return address, params, address != ""
}

// closingAngle is the index of the ">" that closes s[0], minding a quoted local
// part; the length of s when there is none.
func closingAngle(s string) int {
	quoted := false
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && c == '>':
			return i
		}
	}
	if i := strings.IndexByte(s, '>'); i > 0 {
		return i
	}
	return len(s)
}
