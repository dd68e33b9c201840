package transcript

import (
	"strings"
)

// ParseReply reads one unfolded reply as reports and logs quote it:
//
//	554 5.7.1 <r>: Relay access denied
//	550-5.1.1 first words 550 5.1.1 last words      several lines run together, as Postfix prints them
//	554 #5.7.1 <r>: Relay access denied
//	5.7.1 <r>: Relay access denied                  no reply code, as .NET prints it
//	#5.7.1 smtp;554 5.7.1 <r>: Relay access denied  Exchange 5.5 to 2010
//	#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##
//	smtp; 554 5.7.1 <r>: Relay access denied        a Diagnostic-Code field
//
// The text may hold line ends: each line that begins with the code again is a
// line of the reply, any other is the wrapped rest of the line before it.
// It reports false when the text begins with neither a reply code (200 to 599,
// RFC 5321 §4.2) nor an enhanced code (RFC 3463).
func ParseReply(text string) (Reply, bool) {
	s := strings.TrimSpace(text)
	s = unprefix(s)
	code, rest, ok := cutCode(s)
	if again, more, twice := cutCode(strings.TrimLeft(rest, " \t\r\n")); twice && again == code && s[3] != '-' {
		rest = more // "550 550 5.1.1 …": some servers say their code twice
	}
	if !ok {
		rest = s
	}
	enhanced, _, hasEnhanced := cutEnhanced(strings.TrimLeft(rest, "\r\n \t"))
	if !ok && !hasEnhanced {
		return Reply{}, false
	}
	r := Reply{Code: code, Enhanced: enhanced}
	if strings.IndexByte(s, '\n') < 0 && strings.IndexByte(s, '\r') < 0 {
		r.Lines = splitRun(s, code, enhanced)
		return r, true
	}
	var open strings.Builder // the reply line that is being collected
	for len(s) > 0 {
		line := s
		if i := strings.IndexAny(s, "\r\n"); i >= 0 {
			line, s = s[:i], s[i+1:]
		} else {
			s = ""
		}
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if open.Len() > 0 {
			if !continues(line, code, enhanced) {
				if open.Len()+len(line) < maxReplyLine {
					open.WriteByte(' ')
					open.WriteString(line)
				}
				continue
			}
			r.Lines = append(r.Lines, open.String())
			open.Reset()
			if len(r.Lines) == maxReplyLines {
				break
			}
		}
		open.WriteString(line)
	}
	if open.Len() > 0 {
		r.Lines = append(r.Lines, open.String())
	}
	if r.Enhanced == "" && len(r.Lines) > 0 { // it stood behind the line end: "554\n    5.7.1 …"
		if _, rest, ok := cutCode(r.Lines[0]); ok {
			r.Enhanced, _, _ = cutEnhanced(rest)
		}
	}
	if len(r.Lines) == 1 {
		r.Lines = splitRun(r.Lines[0], code, r.Enhanced)
	}
	return r, true
}

// Budgets of a parsed reply; a longer one is a hostile one. Starting values of
// the dialogue engine, so that a paste of its record is read whole.
const (
	maxReplyLines = 1000
	maxReplyLine  = 16 << 10 // bytes up to which wrapped lines are joined
)

// unprefix drops all that reporters put before a reply: "smtp;" and Exchange's
// "#5.7.1 smtp;" and "#". Exchange ends its own form with "##" and, at times,
// the original recipient.
func unprefix(s string) string {
	for {
		t := strings.TrimSpace(unprefixOnce(s))
		if len(t) == len(s) {
			return t
		}
		s = t // each round is shorter: "smtp;#5.7.1 smtp;554 …" takes two
	}
}

func unprefixOnce(s string) string {
	if strings.HasPrefix(s, "#") {
		body := s[1:]
		if _, rest, ok := cutEnhanced(body); ok {
			if t, ok := cutFoldPrefix(strings.TrimLeft(rest, " \t"), "smtp;"); ok {
				return strings.TrimSuffix(strings.TrimLeft(t, " \t"), ">")
			}
			s = body
		} else if _, _, ok := cutCode(body); ok {
			s = body
		}
		if i := strings.LastIndex(s, "##"); i > 0 {
			s = strings.TrimRight(s[:i], " \t\r\n")
		}
		return s
	}
	if t, ok := cutFoldPrefix(s, "smtp;"); ok {
		return strings.TrimLeft(t, " \t\r\n")
	}
	return s
}

// cutFoldPrefix cuts an ASCII prefix, given in lower case, in any case.
func cutFoldPrefix(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// cutCode cuts a reply code and its separator: three ASCII digits, 200 to 599,
// not followed by a letter, a digit or a dot.
func cutCode(s string) (code int, rest string, ok bool) {
	if len(s) < 3 || s[0] < '2' || s[0] > '5' || !isDigit(s[1]) || !isDigit(s[2]) {
		return 0, s, false
	}
	code = int(s[0]-'0')*100 + int(s[1]-'0')*10 + int(s[2]-'0')
	if len(s) == 3 {
		return code, "", true
	}
	switch c := s[3]; {
	case c == ' ' || c == '-' || c == '\t' || c == '\r' || c == '\n':
		return code, s[4:], true
	case c == ':' || c == ';' || c == ',':
		return code, s[4:], true
	case c == '<' || c == '#' || c == '[' || c == '(':
		return code, s[3:], true
	}
	return 0, s, false
}

// cutEnhanced cuts an enhanced code (RFC 3463 §2): "5.7.1", also "#5.7.1",
// "(5.7.1)" and "[5.7.1]". An address such as 5.1.1.1 is none.
func cutEnhanced(s string) (enhanced, rest string, ok bool) {
	full := s
	s = strings.TrimLeft(s, " \t")
	var closing byte
	if s != "" {
		switch s[0] {
		case '#':
			s = s[1:]
		case '(':
			closing, s = ')', s[1:]
			s = strings.TrimPrefix(s, "#")
		case '[':
			closing, s = ']', s[1:]
			s = strings.TrimPrefix(s, "#")
		}
	}
	n := enhancedLen(s)
	if n == 0 {
		return "", full, false
	}
	enhanced, rest = s[:n], s[n:]
	if closing != 0 {
		if rest == "" || rest[0] != closing {
			return "", full, false
		}
		return enhanced, rest[1:], true
	}
	if rest == "" {
		return enhanced, "", true
	}
	switch c := rest[0]; {
	case c == '.' && len(rest) > 1 && isDigit(rest[1]):
		return "", full, false
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == '/', c == '-', c == '@':
		return "", full, false
	case c == ':' || c == ';' || c == ',' || c == '.':
		return enhanced, strings.TrimLeft(rest, ":;,."), true
	}
	return enhanced, rest, true
}

// enhancedLen is the length of "class.subject.detail" at the start of s, or 0.
func enhancedLen(s string) int {
	if len(s) < 5 || (s[0] != '2' && s[0] != '4' && s[0] != '5') || s[1] != '.' {
		return 0
	}
	i := 2
	for start := i; i < len(s) && isDigit(s[i]); i++ {
		if i-start == 3 {
			return 0
		}
	}
	if i == 2 || i >= len(s) || s[i] != '.' {
		return 0
	}
	i++
	start := i
	for ; i < len(s) && isDigit(s[i]); i++ {
		if i-start == 3 {
			return 0
		}
	}
	if i == start {
		return 0
	}
	return i
}

// continues reports whether a line is one more line of a reply: it repeats the
// code, or, where a client dropped the codes, the enhanced code.
func continues(line string, code int, enhanced string) bool {
	c, _, ok := cutCode(line)
	if ok {
		return c == code
	}
	e, _, ok := cutEnhanced(line)
	return ok && e == enhanced
}

// splitRun cuts a reply that was printed in one line at the repeated codes in
// its middle. Only a first line that says "more follows" (a hyphen) has any.
func splitRun(s string, code int, enhanced string) []string {
	if code == 0 || len(s) < 5 || s[3] != '-' {
		return []string{s}
	}
	mark := s[:3]
	var lines []string
	start := 0
	for i := 4; len(lines) < maxReplyLines; {
		j := strings.Index(s[i:], mark)
		if j < 0 {
			break
		}
		j += i
		i = j + 3
		if s[j-1] != ' ' && s[j-1] != '\t' {
			continue
		}
		if i < len(s) && s[i] != '-' && s[i] != ' ' {
			continue
		}
		last := i >= len(s) || s[i] == ' '
		if last && enhanced != "" && i < len(s) {
			// "the limit of 550 bytes" is no last line when the lines carry
			// enhanced codes and a later candidate has one.
			if e, _, ok := cutEnhanced(s[i:]); (!ok || e != enhanced) && strings.Contains(s[i:], " "+mark+" "+enhanced) {
				continue
			}
		}
		lines = append(lines, strings.TrimRight(s[start:j], " \t"))
		start = j
		if last {
			break
		}
	}
	return append(lines, s[start:])
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// IsZero reports whether the server answered nothing that we know of.
func (r Reply) IsZero() bool { return r.Code == 0 && r.Enhanced == "" && len(r.Lines) == 0 }

// Class is the first digit of the reply code (RFC 5321 §4.2.1): 2 done, 3 go
// on, 4 not now, 5 no. Where no code is stated it is the class of the enhanced
// code; 0 when neither is known.
func (r Reply) Class() int {
	if r.Code != 0 {
		return r.Code / 100
	}
	if r.Enhanced != "" {
		return int(r.Enhanced[0] - '0')
	}
	return 0
}

// Text is the words of the reply: lines without code and enhanced code, joined
// by LF.
func (r Reply) Text() string {
	switch len(r.Lines) {
	case 0:
		return ""
	case 1:
		return r.words(r.Lines[0])
	}
	var b strings.Builder
	for i, line := range r.Lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(r.words(line))
	}
	return b.String()
}

// words cuts the codes off one line. Some servers say their code twice
// ("550 550 5.1.1 …"); both go.
func (r Reply) words(line string) string {
	s := strings.TrimLeft(line, " \t")
	for range 2 {
		if r.Code == 0 {
			break
		}
		code, rest, ok := cutCode(s)
		if !ok || code != r.Code {
			break
		}
		s = strings.TrimLeft(rest, " \t")
	}
	if r.Enhanced != "" {
		if e, rest, ok := cutEnhanced(s); ok && e == r.Enhanced {
			s = strings.TrimLeft(rest, " \t")
		}
	}
	return strings.TrimRight(s, " \t\r\n")
}

// Inner is the reply that another system said, quoted inside this one: after
// Exchange Online's "->", in its "[Message=…]", or after "responded with:".
// A reporter's own summary stands outside, the refuser's words inside. It
// reports false when there is none, or when what stands there is no reply.
func (r Reply) Inner() (Reply, bool) {
	found := false
	for range maxNested {
		in, ok := r.inner()
		if !ok {
			break
		}
		r, found = in, true
	}
	if !found {
		return Reply{}, false
	}
	return r, true
}

// maxNested bounds how deep quoted replies are followed; two is real.
const maxNested = 4

func (r Reply) inner() (Reply, bool) {
	text := r.Text()
	for _, mark := range [...]string{"[Message=", " -> ", "responded with: ", "LED="} {
		i := strings.Index(text, mark)
		if i < 0 {
			continue
		}
		t := strings.TrimLeft(text[i+len(mark):], " \t\"'{")
		switch mark {
		case "[Message=":
			t = cutBracket(t)
		case "responded with: ":
			if j := strings.IndexByte(t, '"'); j >= 0 {
				t = t[:j]
			}
		}
		if in, ok := ParseReply(t); ok && in.Code != 0 {
			return in, true
		}
	}
	return Reply{}, false
}

// cutBracket returns s up to the bracket that closes an already opened one.
func cutBracket(s string) string {
	depth := 1
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return s[:i]
			}
		}
	}
	return s
}
