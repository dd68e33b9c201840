package transcript

import "strings"

// word is the value at i: what stands in quotes, else one word.
func (f *finder) word(i int, query bool) (start, end int, quoted bool) {
	text := f.text
	// Prefixes of string literals: b'…', $'…', @"…", r"…".
	if i+1 < len(text) && strings.IndexByte("bBrRuU$@", text[i]) >= 0 && (text[i+1] == '\'' || text[i+1] == '"') {
		i++
	}
	if i >= len(text) {
		return i, i, false
	}
	if text[i] == '\\' && i+1 < len(text) && text[i+1] == '"' {
		start = i + 2
		if n := strings.Index(text[start:f.near(start)], `\"`); n >= 0 {
			return start, start + n, true
		}
	}
	if q := text[i]; q == '"' || q == '\'' || q == '`' {
		start = i + 1
		limit := f.near(start)
		for end = start; end < limit; end++ {
			if text[end] == '\\' {
				end++
				continue
			}
			if text[end] == q {
				return start, end, true
			}
		}
		return start, min(end, limit), true // the closing quote was cut off
	}
	start, end = i, i
	for end < len(text) && text[end] > ' ' && end-start < maxValue {
		c := text[end]
		if query && (c == '&' || c == '#') {
			break
		}
		if c == '<' && end+1 < len(text) && (text[end+1] == '/' || strings.HasPrefix(text[end:], "<br")) || c == '&' && endsReference(text[end:]) {
			break
		}
		if (c == ',' || c == ';') && (end+1 == len(text) || text[end+1] <= ' ' || isKeyAhead(text[end+1:])) {
			break
		}
		if c == '\\' && end+1 < len(text) && (text[end+1] == 'n' || text[end+1] == 'r') && endsEscaped(text[end:]) {
			break
		}
		end++
	}
	// What closes around the value is not of it.
	for end > start {
		c := text[end-1]
		if c == ')' && strings.IndexByte(text[start:end], '(') < 0 || c == '}' && strings.IndexByte(text[start:end], '{') < 0 ||
			c == '>' && strings.IndexByte(text[start:end], '<') < 0 || c == ']' && strings.IndexByte(text[start:end], '[') < 0 || c == '"' || c == '\'' || c == '`' {
			end--
			continue
		}
		break
	}
	return start, end, false
}

// endsReference reports whether a character reference of HTML ends a word. What
// it stands for is looked at in the view of the HTML.
func endsReference(s string) bool {
	for _, r := range [...]string{"&gt;", "&lt;", "&quot;", "&nbsp;", "&#39;", "&#34;"} {
		if strings.HasPrefix(s, r) {
			return true
		}
	}
	return false
}

// endsEscaped reports whether an escaped line end in a literal is its end.
func endsEscaped(s string) bool {
	s = strings.TrimPrefix(s, `\r`)
	s = strings.TrimPrefix(s, `\n`)
	return s == "" || s[0] == '\'' || s[0] == '"' || s[0] <= ' '
}

// isKeyAhead reports whether "Server=…" follows: a connection string goes on.
func isKeyAhead(s string) bool {
	n := 0
	for n < len(s) && n < 32 && (isAlnum(s[n]) || s[n] == '_' || s[n] == ' ') {
		n++
	}
	return n > 0 && n < len(s) && s[n] == '='
}

// trimSentence takes the full stop or comma that ends a sentence off a value.
func trimSentence(text string, start, end int) int {
	if end > start+1 && (end == len(text) || text[end] <= ' ') {
		if c := text[end-1]; c == '.' || c == ',' || c == ';' || c == '?' {
			return end - 1
		}
	}
	return end
}

// value hides text[start:end], unless it only stands where a secret would.
func (f *finder) value(start, end int) {
	for start < end && (f.text[start] == ' ' || f.text[start] == '\t') {
		start++
	}
	for start < end && (f.text[end-1] == ' ' || f.text[end-1] == '\t') {
		end--
	}
	s := f.text[start:end]
	if len(s) < 2 || isStopWord(s) || isPlaceholder(s) {
		return
	}
	quoted := start > 0 && (f.text[start-1] == '"' || f.text[start-1] == '\'')
	if isMailbox(s) || isIdentifier(s, quoted) {
		f.hide(start, end)
		return
	}
	f.hide(start, end, s)
}

// isIdentifier reports whether a value is more likely a name of a program than
// a secret: "d.password", "$context->digest()", and words that stand in no
// quotes. It is hidden where it stands, and not looked for elsewhere.
func isIdentifier(s string, quoted bool) bool {
	letters := true
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		case strings.IndexByte("_.:-[](){}$>+,;&*\"'", c) >= 0:
			letters = false
		default:
			return false
		}
	}
	return !letters || !quoted
}

// stopWords are what people and programs write about passwords.
var stopWords = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(`
		a accepted again already another also an and any are at authentication auth be been being blank but by can cannot case changed check command configured correct
		could default denied did entered exposed generated given kept printed read taken typed visible written asked chosen different disabled does empty enabled encrypted error expired fail failed failure false fehlt file fine for format found from
		gone good had has hash have here hidden if ignored in incorrect invalid is it its known leaked left length login masked me missing must n/a name needed neither never new
		nil no none not null of off ok okay old on only or out plain plaintext please prompt protected question redacted refused rejected removed required reset
		revoked right rotated same saved see sent set should shown stored successful suppressed than that the there this to too true try type undefined
		unchanged unknown unset update used user valid via was weak were what when which will with without works working wrong yes you your
		attribute parameter option policy rule field string value variable accept auth-failed based could long short ready
		falsch richtig und oder nicht ist incorrecta incorrecto incorrect\u00e9 erron\u00e9 abgelaufen ung\u00fcltig sample example
		<hidden> <redacted> [hidden] [redacted] (hidden) (redacted) (none) (empty) (unset) (set)`) {
		m[w] = true
	}
	return m
}()

func isStopWord(s string) bool {
	s = strings.ToLower(strings.Trim(s, ".,;:!?()\"'"))
	return s == "" || stopWords[s]
}

// isPlaceholder reports whether a value is a mask, a reference to a variable or
// a form to be filled in.
func isPlaceholder(s string) bool {
	if isToken(s) || strings.Contains(s, "[secret-") {
		return true
	}
	same := true
	for i := range len(s) {
		if s[i] != s[0] {
			same = false
			break
		}
	}
	if same && strings.IndexByte("*xX.-_#?", s[0]) >= 0 {
		return true
	}
	if strings.Trim(s, "\u2022\u25cf*") == "" {
		return true
	}
	switch {
	case strings.HasPrefix(s, "${"), strings.HasPrefix(s, "$("), strings.HasPrefix(s, "{{"), strings.HasPrefix(s, "%("), strings.HasPrefix(s, "$env:"),
		strings.HasPrefix(s, "/* "), strings.HasPrefix(s, "&lt;"), strings.HasPrefix(s, "$_"), s == "%s", s == "%v", s == "%q":
		return true
	case s[0] == '<' && (s[len(s)-1] == '>' || isWordsOnly(s[1:])):
		return isWordsOnly(strings.Trim(s, "<>"))
	case s[0] == '%' && len(s) > 2 && s[len(s)-1] == '%':
		return isWordsOnly(s[1 : len(s)-1])
	case s[0] == '[' && s[len(s)-1] == ']':
		return isWordsOnly(s[1 : len(s)-1])
	}
	for _, p := range [...]string{
		"os.environ", "os.getenv", "getenv(", "process.env", "env(", "environ[", "getpass", "input(", "read-host", "get-credential", "get-secret", "system.getenv",
		"your_password", "your-password", "yourpassword", "changeme_here", "!secret", "!vault", "valuefrom", "secretkeyref", "config(", "settings.", "self.", "secrets.",
	} {
		if hasFoldPrefix(s, p) {
			return true
		}
	}
	return false
}

func isWordsOnly(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == ' ' || c == '_' || c == '-') {
			return false
		}
	}
	return s != ""
}

// looksRandom reports whether a word looks made, not spoken: it has a digit or
// a sign in it, or letters of both cases in a mix.
func looksRandom(s string) bool {
	if len(s) < 6 {
		return false
	}
	upper, low, other := 0, 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'A' && c <= 'Z':
			if i > 0 {
				upper++
			}
		case c >= 'a' && c <= 'z':
			low++
		case c != '.' && c != ',' && c != ':' && c != '\'' && c != '-' && c < 0x80:
			other++
		}
	}
	return other > 0 && other < len(s) || upper > 0 && low > 0
}
