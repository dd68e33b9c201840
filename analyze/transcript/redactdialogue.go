package transcript

import "strings"

// auth is an "auth" in the text: an AUTH command makes the text a dialogue, an
// Authorization header holds a credential.
func (f *finder) auth(i int) {
	text := f.text
	if i > 0 && isAlnum(text[i-1]) {
		return
	}
	if hasFoldPrefix(text[i:], "authorization") {
		f.authorization(i + len("authorization"))
		return
	}
	if hasFoldPrefix(text[i:], "authinfo:") {
		f.authinfo(i)
		return
	}
	j := i + 4
	if j >= len(text) || text[j] != ' ' && text[j] != '\t' {
		if hasFoldPrefix(text[i:], "auth=bearer ") {
			f.bearer(i + len("auth="))
		}
		return
	}
	j = skipBlanks(text, j)
	mech := j
	for j < len(text) && (isAlnum(text[j]) || text[j] == '-' || text[j] == '_') {
		j++
	}
	if !isMechanism(text[mech:j]) {
		// On a client's line any mechanism counts: readDialogue knows the speaker.
		f.dialogue = f.dialogue || j > mech && j-mech <= 20 && strings.EqualFold(text[i:i+4], "auth") && (i == 0 || text[i-1] <= ' ' || text[i-1] == '\'' || text[i-1] == '"')
		return
	}
	f.dialogue = true
	if j >= len(text) || text[j] != ' ' && text[j] != '\t' {
		return
	}
	// In the middle of a line, whoever speaks: only what is surely base64.
	start := skipBlanks(text, j)
	end := start
	for end < len(text) && isBlob[text[end]] {
		end++
	}
	if s := text[start:end]; isEncoded(s) {
		d := authDialogue{mechanism: strings.ToUpper(text[mech:j]), initial: true}
		f.hide(start, end, d.learn(s)...)
	}
}

// isMechanism reports whether a word names a SASL mechanism (IANA registry).
func isMechanism(s string) bool {
	for _, m := range [...]string{
		"PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "XOAUTH2", "OAUTHBEARER", "XOAUTH", "NTLM", "GSSAPI", "EXTERNAL", "ANONYMOUS", "KERBEROS_V4", "SKEY", "OTP",
	} {
		if strings.EqualFold(s, m) {
			return true
		}
	}
	return hasFoldPrefix(s, "SCRAM-") || hasFoldPrefix(s, "ECDSA-")
}

// isEncoded reports whether a word is base64 beyond doubt: whole groups, and a
// look that no word of a language has.
func isEncoded(s string) bool {
	if len(s) < 8 || len(s)%4 != 0 || isMechanism(s) {
		return false
	}
	if _, ok := decodeBase64(s); !ok {
		return false
	}
	if s[len(s)-1] == '=' {
		return true
	}
	digit, upper, low := false, 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c) || c == '+' || c == '/':
			digit = true
		case c >= 'A' && c <= 'Z':
			upper++
		default:
			low++
		}
	}
	return digit && upper+low > 0 || upper > 1 && low > 1
}

// talkState is one dialogue of a text while it is read.
type talkState struct {
	authDialogue
	since   int  // lines since the last reply
	gap     bool // an empty line or prose since the last reply
	blobEnd int  // end of a hidden blob that ran to the end of its line
}

// maxStreams bounds the interleaved sessions of a log that are told apart.
const maxStreams = 4096

// readDialogue runs the machine of Masker over the lines of the text.
func (f *finder) readDialogue() {
	streams := map[string]*talkState{}
	var iis talkState
	text := f.text
	for from := 0; from < len(text); {
		to := lineEnd(text, from)
		if to-from <= maxBlob {
			said, reply, both := mailEnableRow(text, from, to)
			if !both {
				said = f.speaker(from, to)
			}
			st := streams[said.stream]
			if st == nil {
				if len(streams) >= maxStreams {
					clear(streams)
				}
				st = new(talkState)
				streams[said.stream] = st
			}
			f.spokenLine(st, said, from, to)
			if both {
				f.spokenLine(st, reply, from, to)
			}
			f.iisRow(&iis, from, to)
		}
		from = nextLine(text, to)
	}
}

func (f *finder) spokenLine(st *talkState, l spokenLine, from, to int) {
	s := f.text[l.start:l.end]
	if wrapped := st.blobEnd; wrapped > 0 {
		st.blobEnd = 0
		// A mail program broke the blob: its rest stands alone on the next line.
		if rest := strings.TrimSpace(strings.TrimLeft(f.text[from:to], "> \t")); !l.marked && l.who == Client && rest != "" && len(rest) >= 2 && Verb(rest) == "" && allBlob(rest) {
			at := from + strings.Index(f.text[from:to], rest)
			f.hide(at, at+len(rest))
			if to == at+len(rest) {
				st.blobEnd = to
			}
			return
		}
	}
	switch l.who {
	case Server:
		st.step(Server, s)
		st.since, st.gap = 0, false
	case Client:
		f.clientLine(st, l, s)
		if s == "" {
			st.gap = true
		}
		st.since++
	default:
		if rest, ok := strings.CutPrefix(s, "retcode ("); ok { // smtplib says each reply twice
			if !strings.HasPrefix(rest, "334") {
				st.authDialogue = authDialogue{}
			}
			return
		}
		// IceWarp turns the arrows round: what is marked as the server's and is no
		// reply may be the answer to a prompt.
		if word := strings.TrimSpace(s); l.marked && st.state == authPrompts && len(word) >= 4 && len(word)%4 == 0 && allBlob(word) {
			start, end := st.step(Client, s)
			f.hideSaid(st, l, start, end)
			return
		}
		f.literals(st, from, to)
	}
	if st.state != authIdle && !l.marked && st.since > 12 {
		st.authDialogue = authDialogue{}
	}
}

func allBlob(s string) bool {
	for i := range len(s) {
		if !isBlob[s[i]] {
			return false
		}
	}
	return true
}

// clientLine is a line that the client said, or that nobody is named for.
func (f *finder) clientLine(st *talkState, l spokenLine, s string) {
	if l.marked {
		if Verb(s) == "AUTH" && !namesMechanism(s) {
			return // "send: auth on 587": about AUTH
		}
		start, end := st.step(Client, s)
		f.hideSaid(st, l, start, end)
		return
	}
	if st.state == authIdle && Verb(s) != "AUTH" || s != "" && (s[0] == '{' || s[0] == '[' && !isToken(s)) {
		f.literals(st, l.start, l.end)
		return
	}
	if Verb(s) == "AUTH" {
		if !isAuthCommand(s) {
			return
		}
		start, end := st.step(Client, s)
		f.hideSaid(st, l, start, end)
		return
	}
	// Nobody is named, so it might be prose: an answer is one word, and stands
	// right below the prompt or is surely base64.
	word := strings.TrimSpace(s)
	switch {
	case word == "":
	case word == "*":
		st.step(Client, s)
	case Verb(word) != "":
		if st.state == authPrompts {
			st.authDialogue = authDialogue{}
		}
	case strings.ContainsAny(word, " \t"):
		f.literals(st, l.start, l.end)
		st.gap = true
	case !st.gap && st.since == 0 && !isStopWord(word) || isEncoded(word) && !strings.HasPrefix(word, "--"):
		start, end := st.step(Client, s)
		f.hideSaid(st, l, start, end)
	default:
		st.gap = true
	}
}

// isAuthCommand tells an AUTH command from words about AUTH: "AUTH LOGIN PLAIN"
// lists, "AUTH LOGIN failed" tells, "AUTH works on 587 only" explains.
func isAuthCommand(s string) bool {
	f := strings.Fields(s)
	if len(f) < 2 || len(f) > 4 || !isMechanism(f[1]) {
		return false
	}
	return len(f) == 2 || !isMechanism(f[2]) && !isStopWord(f[2])
}

// namesMechanism reports whether a mechanism stands behind AUTH: one that is
// registered, or one in capitals.
func namesMechanism(s string) bool {
	f := strings.Fields(s)
	return len(f) == 1 || isMechanism(f[1]) || f[1] == strings.ToUpper(f[1]) && f[1] != strings.ToLower(f[1])
}

func (f *finder) hideSaid(st *talkState, l spokenLine, start, end int) {
	if start >= end {
		if st.user != "" {
			kind := "name"
			if isMailbox(st.user) {
				kind = "addr"
			}
			s := f.text[l.start:l.end]
			at := l.start + leadingBlanks(s)
			f.users = append(f.users, hit{start: at, end: l.start + len(strings.TrimRight(s, " \t")), kind: kind, value: strings.ToLower(st.user)})
			st.user = ""
		}
		return
	}
	secret := f.text[l.start+start : l.start+end]
	if alreadyHidden(secret) {
		return
	}
	f.hide(l.start+start, l.start+end, st.learn(secret)...)
	if l.end == lineEnd(f.text, l.start) && len(secret) >= 20 && secret[len(secret)-1] != '=' && allBlob(secret) {
		st.blobEnd = l.end
	}
}

// alreadyHidden reports whether a program masked the words itself.
func alreadyHidden(s string) bool {
	if isPlaceholder(s) {
		return true
	}
	inner := strings.Trim(s, "[]<>()*/ ")
	for _, w := range [...]string{"hidden", "redacted", "suppressed", "secret", "credentials hidden", "authentication response", "user name hidden", "password hidden", "removed", "omitted"} {
		if strings.EqualFold(inner, w) && len(inner) < len(s) {
			return true
		}
	}
	return false
}

// literals reads a line in which the words of a dialogue stand in quotes, as in
// a log of JSON objects: each quoted text that is a reply or an answer counts.
func (f *finder) literals(st *talkState, from, to int) {
	text := f.text
	for i := from; i < to; i++ {
		q := text[i]
		if q != '"' && q != '\'' {
			continue
		}
		end := i + 1
		for end < to && text[end] != q {
			if text[end] == '\\' {
				end++
			}
			end++
		}
		if end >= to {
			return
		}
		s := text[i+1 : end]
		after := skipBlanks(text, end+1)
		isKey := after < to && text[after] == ':'
		start := i + 1
		i = end
		if isKey {
			continue
		}
		for len(s) > 0 {
			t := strings.TrimSuffix(strings.TrimSuffix(strings.TrimRight(s, " "), `\n`), `\r`)
			if len(t) == len(s) {
				break
			}
			s = t
		}
		switch {
		case isReplyLine(s):
			st.step(Server, s)
			st.since, st.gap = 0, false
		case isAuthCommand(s) && Verb(s) == "AUTH":
			a, b := st.step(Client, s)
			if a < b && !alreadyHidden(s[a:b]) {
				f.hide(start+a, start+b, st.learn(s[a:b])...)
			}
		case st.state == authPrompts && Verb(s) == "" && (isEncoded(s) || len(s) >= 4 && len(s)%4 == 0 && strings.HasSuffix(s, "=") && allBlob(s)):
			a, b := st.step(Client, s)
			if a < b {
				f.hide(start+a, start+b, st.learn(s[a:b])...)
			}
		}
	}
}
