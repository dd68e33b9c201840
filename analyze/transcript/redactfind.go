package transcript

import "strings"

// finder looks for secrets in one text by its grammar. It walks over the text
// once and looks closer only where three letters announce something: a key such
// as "password", an AUTH command, a URL with a user, a header with a
// credential, a run of base64.
type finder struct {
	text string
	hits []hit
	// users are the user names of AUTH LOGIN, in base64: personal data only.
	users []hit

	dialogue bool // an AUTH command or a 334 was seen: the lines are read with their speakers
}

func (f *finder) hide(start, end int, learn ...string) {
	if start >= end || isToken(f.text[start:end]) {
		return
	}
	f.hits = append(f.hits, hit{start: start, end: end, kind: "secret", value: f.text[start:end], learn: learn})
}

// Announcements, by their first three letters.
const (
	mayKey     = 1 << iota // password, pwd, secret, token, …
	mayAuth                // AUTH, Authorization
	mayBearer              // Bearer
	mayCall                // login("user", "password") and the like
	mayPrompt              // 334
	mayURL                 // ://
	mayFlag                // -u user:password
	mayKeyFile             // -----BEGIN … PRIVATE KEY
)

// announced maps three letters, in any case, to what they may begin; "?" is any
// letter. It is made once and never changed.
var announced = func() (t [1 << 15]uint8) {
	for _, a := range [...]struct {
		letters string
		may     uint8
	}{
		{"pas pw? ken sec con wac sen l\u00f6 api acc tok coo", mayKey},
		{"aut", mayAuth | mayKey},
		{"bea", mayBearer},
		{"log net pla new con pas", mayCall},
		{"334", mayPrompt},
		{"://", mayURL},
		{"-u? -ap -xp -pw -pa --u --p --l --o", mayFlag},
		{"---", mayKeyFile},
	} {
		for _, p := range strings.Fields(a.letters) {
			i := triple(p[0], p[1], p[2])
			if p[2] != '?' {
				t[i] |= a.may
				continue
			}
			for j := range 32 {
				t[i&^31|j] |= a.may
			}
		}
	}
	return t
}()

func triple(a, b, c byte) int { return int(a&31)<<10 | int(b&31)<<5 | int(c&31) }

// isBlob marks the letters of base64.
var isBlob = func() (t [256]bool) {
	for i := range t {
		t[i] = isBase64(byte(i))
	}
	return t
}()

// Runs of base64 shorter or longer than this are no SASL message.
const (
	minBlob = 8
	maxBlob = 16 << 10
)

func (f *finder) run() {
	text := f.text
	blob := 0 // start of the run of base64 letters
	for i := 0; i < len(text); i++ {
		c := text[i]
		if !isBlob[c] {
			if i-blob >= minBlob {
				f.blob(blob, i)
			}
			blob = i + 1
			if c == '@' || c == ']' {
				hidden := len(f.hits)
				f.pair(i)
				if len(f.hits) > hidden {
					i = f.hits[hidden].end - 1
					blob = i + 1
					continue
				}
			}
		}
		if i+2 >= len(text) {
			continue
		}
		if may := announced[triple(c, text[i+1], text[i+2])]; may != 0 {
			hidden := len(f.hits)
			next := f.look(i, may)
			if len(f.hits) > hidden {
				// What is hidden needs no second look.
				next = max(next, f.hits[len(f.hits)-1].end-1)
			}
			if next > i {
				i = next
				blob = i + 1
			}
		}
	}
	if len(text)-blob >= minBlob {
		f.blob(blob, len(text))
	}
	if f.dialogue {
		f.readDialogue()
	}
}

// look tries what three letters at i announce. It returns where to go on.
func (f *finder) look(i int, may uint8) int {
	text := f.text
	if may&mayAuth != 0 && hasFoldPrefix(text[i:], "auth") {
		f.auth(i)
	}
	if may&mayKey != 0 {
		f.key(i)
	}
	if may&mayBearer != 0 && hasFoldPrefix(text[i:], "bearer ") {
		f.bearer(i)
	}
	if may&mayCall != 0 {
		f.call(i)
	}
	if may&mayPrompt != 0 && strings.HasPrefix(text[i:], "334") && (i == 0 || !isAlnum(text[i-1])) && (i+3 == len(text) || !isAlnum(text[i+3])) {
		f.dialogue = true
	}
	if may&mayURL != 0 && strings.HasPrefix(text[i:], "://") {
		f.url(i)
	}
	if may&mayFlag != 0 && (i == 0 || text[i-1] == ' ' || text[i-1] == '\t' || text[i-1] == '\n') {
		f.flag(i)
	}
	if may&mayKeyFile != 0 && strings.HasPrefix(text[i:], "-----BEGIN ") {
		return f.keyFile(i)
	}
	return i
}

// maxValue bounds the values that are looked for, in bytes, and with it the work
// for each key.
const maxValue = 4096

// near is the end of the line of i, or a place maxValue bytes further.
func (f *finder) near(i int) int {
	return lineEnd(f.text[:min(len(f.text), i+maxValue)], i)
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || isDigit(c)
}

// blob looks into a run of base64: a SASL message with a password in it is
// secret wherever it stands. A header's signature, a boundary or the line of a
// body decodes to something else.
func (f *finder) blob(start, end int) {
	text := f.text
	// "resp=AGFs…", "PLAIN=AGFs…": the run begins behind an equals sign that is
	// no padding.
	if i := strings.IndexByte(text[start:end], '='); i >= 0 && strings.TrimRight(text[start+i:end], "=") != "" {
		start += i + 1 + leadingEquals(text[start+i+1:end])
		if end-start >= minBlob {
			f.blob(start, end)
		}
		return
	}
	if end-start > maxBlob {
		return
	}
	if text[start] == 'e' && end < len(text) && text[end] == '.' && strings.HasPrefix(text[start:end], "eyJ") {
		f.webToken(start, end)
		return
	}
	if !mayHoldSASL(text[start:end]) {
		return // most runs end here: words, identifiers, signatures
	}
	raw, ok := decodeBase64(text[start:end])
	if !ok || len(raw) < 4 {
		return
	}
	if p := saslPassword(string(raw)); p != "" {
		f.hide(start, end, text[start:end], p)
	}
}

// mayHoldSASL looks for the signs of a SASL message without decoding: a NUL
// byte (PLAIN), the beginning of XOAUTH2 or OAUTHBEARER, the length of a digest.
func mayHoldSASL(s string) bool {
	if strings.HasPrefix(s, "dXNlcj0") || strings.HasPrefix(s, "bixhPX") || strings.HasPrefix(s, "biwsA") {
		return true
	}
	if len(s) >= 48 && len(s) <= 256 && len(s)%4 == 0 {
		return true
	}
	for i := 0; i+3 < len(s); i += 4 {
		// A byte is zero when its eight bits of the four letters' 24 are.
		if s[i] == 'A' && s[i+1] >= 'A' && s[i+1] <= 'P' ||
			(s[i+1] == 'A' || s[i+1] == 'Q' || s[i+1] == 'g' || s[i+1] == 'w') && s[i+2] >= 'A' && s[i+2] <= 'D' ||
			s[i+3] == 'A' && strings.IndexByte("AEIMQUYcgkosw048", s[i+2]) >= 0 {
			return true
		}
	}
	return false
}

func leadingEquals(s string) int { return len(s) - len(strings.TrimLeft(s, "=")) }

// webToken is a JSON Web Token (RFC 7519): three runs joined by dots.
func (f *finder) webToken(start, end int) {
	dots := 0
	i := end
	for i < len(f.text) && (isBlob[f.text[i]] || f.text[i] == '.') {
		if f.text[i] == '.' {
			dots++
		}
		i++
	}
	i = start + len(strings.TrimRight(f.text[start:i], "."))
	if dots >= 2 && i-start >= 30 {
		f.hide(start, i, f.text[start:i])
	}
}

// bearer takes the token behind "Bearer " (RFC 6750).
func (f *finder) bearer(i int) {
	start := i + len("bearer ")
	end := start
	for end < len(f.text) && (isBlob[f.text[end]] || strings.IndexByte(".~", f.text[end]) >= 0) {
		end++
	}
	s := f.text[start:end]
	if len(s) >= 16 && hasDigit(s) || hasFoldPrefix(f.lineBefore(i), "authorization") {
		f.hide(start, end, s)
	}
}

// lineBefore is the line of i up to i, without leading blanks and quotes.
func (f *finder) lineBefore(i int) string {
	start := max(strings.LastIndexByte(f.text[max(0, i-256):i], '\n')+1+max(0, i-256), 0)
	return strings.TrimLeft(f.text[start:i], " \t>|\"'")
}

func hasDigit(s string) bool { return strings.ContainsAny(s, "0123456789") }

// url takes the password out of "scheme://user:password@host". An at sign, a
// slash or a hash in the password is bad style and common.
func (f *finder) url(i int) {
	text := f.text
	start := i + 3
	end := start
	at := -1
	for end < len(text) && end-start < 512 {
		c := text[end]
		if c <= ' ' || c == '"' || c == '\'' || c == '<' || c == '>' || c == '`' {
			break
		}
		if c == '@' && hostFollows(text[end+1:]) {
			at = end
		}
		end++
	}
	if at < 0 {
		return
	}
	colon := strings.IndexByte(text[start:at], ':')
	if colon < 0 {
		return
	}
	colon += start
	if slash := strings.IndexAny(text[start:colon], "/?#"); slash >= 0 {
		return // "https://host/path:a@b" has no user
	}
	if rest, _, ok := strings.Cut(text[colon+1:at], "/"); ok && allDigits(rest) {
		return // "https://host:8080/a@b"
	}
	f.value(colon+1, at)
}

// pair hides the password of a table of logins: "[host]:587 user:password" (the
// sasl_passwd of Postfix), "host user@domain:password", Exim's
// "host:user@domain:password".
func (f *finder) pair(i int) {
	text := f.text
	var start int
	if text[i] == ']' {
		open := strings.LastIndexByte(text[max(0, i-256):i], '[')
		if open < 0 || !looksLikeHost(text[max(0, i-256)+open+1:i]) {
			return
		}
		start = i + 1
		if start < len(text) && text[start] == ':' {
			for start++; start < len(text) && isDigit(text[start]); start++ {
			}
		}
		next := skipBlanks(text, start)
		if next == start {
			return
		}
		for start = next; start < len(text) && text[start] > ' ' && text[start] != ':'; start++ {
			if text[start] == '@' {
				return // it has its own turn
			}
		}
		if start == next || start >= len(text) || text[start] != ':' || text[next] == '<' || text[next] == '[' {
			return
		}
	} else {
		if strings.HasSuffix(text[max(0, i-4):i], "git") {
			return // git@host:owner/project
		}
		start = i + 1
		for start < len(text) && (isAlnum(text[start]) || text[start] == '.' || text[start] == '-') {
			start++
		}
		if start >= len(text) || text[start] != ':' || strings.IndexByte(text[i+1:start], '.') < 1 {
			return
		}
	}
	s, e, _ := f.word(start+1, false)
	value := text[s:e]
	if value == "" || strings.IndexByte("/~:", value[0]) >= 0 || isMailbox(value) || !looksRandom(value) {
		return
	}
	f.value(s, e)
}

func hostFollows(s string) bool {
	n := 0
	for n < len(s) && (isAlnum(s[n]) || s[n] == '.' || s[n] == '-' || s[n] == '[' || s[n] == ':' || s[n] == ']') {
		n++
	}
	if n == 0 {
		return false
	}
	if n == len(s) {
		return true
	}
	c := s[n]
	return c <= ' ' || strings.IndexByte("/?#\"'<>`,;)&\\|", c) >= 0
}

func allDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

// keyFile hides the lines of a private key (RFC 7468 §10) and returns where it
// ends.
func (f *finder) keyFile(i int) int {
	text := f.text
	head := text[i:f.near(i)]
	n := strings.Index(head[11:], "-----")
	if n < 0 || n > 64 || !strings.Contains(head[:11+n], "PRIVATE KEY") {
		return i
	}
	start := i + 11 + n + 5
	end := strings.Index(text[start:min(len(text), start+maxBlob)], "-----END ")
	if end < 0 {
		// Cut off: as long as the lines look like the inside of a key.
		end = 0
		for start+end < len(text) && end < maxBlob {
			e := lineEnd(text, start+end)
			line := strings.Trim(text[start+end:e], " \t>|\\nr")
			if line != "" && (!allBlob(line) || len(line) < 16 && line[len(line)-1] != '=') {
				break
			}
			end = nextLine(text, e) - start
		}
	}
	f.keyLines(start, start+end)
	return start + end
}

// keyLines hides each line between start and end that is more than line ends,
// written or escaped.
func (f *finder) keyLines(start, end int) {
	text := f.text
	for start < end {
		e := min(lineEnd(text, start), end)
		s := start + len(text[start:e]) - len(strings.TrimLeft(text[start:e], " \t>|"))
		for strings.HasPrefix(text[s:e], `\n`) || strings.HasPrefix(text[s:e], `\r`) {
			s += 2
		}
		t := e
		for t-s >= 2 && (strings.HasSuffix(text[s:t], `\n`) || strings.HasSuffix(text[s:t], `\r`)) {
			t -= 2
		}
		f.hide(s, s+len(strings.TrimRight(text[s:t], " \t")))
		start = max(nextLine(text, e), start+1)
	}
}
