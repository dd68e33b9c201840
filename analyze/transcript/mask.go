package transcript

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// Speaker says whose line a line is.
type Speaker int8

// The speakers of a dialogue.
const (
	Other  Speaker = iota // a program's own note, prose
	Client                // said by the client
	Server                // said by the server
)

// Masker hides the secrets of one SMTP dialogue at the time of recording: each
// line goes through it with its speaker before it is kept anywhere.
//
// The argument of AUTH is masked, and after a 334 every line of the client up
// to the next reply that is not 334; "*", which cancels, stays, and so does the
// user name of AUTH LOGIN. What the server quotes back later is masked too: the
// secrets that went by, and those in Secrets. The same secret has the same
// token, which shows no length. The zero value is ready; a Masker serves one
// connection and is not safe for concurrent use.
type Masker struct {
	// Secrets are masked in the lines of every speaker. Nil: none are known
	// beforehand.
	Secrets *Secrets

	seen   *Secrets // secrets that the dialogue showed
	dialog authDialogue
}

// Line returns the line as it may be recorded.
func (m *Masker) Line(who Speaker, line string) string {
	start, end := m.dialog.step(who, line)
	if start >= end {
		return m.known(line)
	}
	secret := line[start:end]
	token := m.Secrets.tokenOf(secret)
	if token == "" {
		if m.seen == nil {
			m.seen = new(Secrets)
			if m.Secrets != nil {
				m.seen.first = m.Secrets.first + len(m.Secrets.values)
			}
		}
		n := m.seen.register(secret)
		for _, s := range m.dialog.learn(secret) {
			m.seen.addForms(n, s)
		}
		token = m.seen.token(n)
	}
	return m.known(line[:start]) + token + m.known(line[end:])
}

func (m *Masker) known(s string) string { return m.seen.Mask(m.Secrets.Mask(s)) }

// tokenOf is the token of the first secret that stands in text.
func (s *Secrets) tokenOf(text string) string {
	if f := s.find(nil, text); len(f) > 0 {
		return s.token(f[0].secret)
	}
	return ""
}

// authDialogue is the machine behind Masker and Redactor: it follows AUTH
// (RFC 4954 §4) over lines whose speaker is known.
type authDialogue struct {
	mechanism string // of the AUTH command, upper case; empty: none seen
	state     authState
	prompt    string // the last 334's text, decoded
	answers   int    // client lines since AUTH
	initial   bool   // AUTH came with an initial response
	user      string // the name that the last client line gave in answer to a prompt; else empty
}

type authState int8

const (
	authIdle    authState = iota
	authSent              // AUTH was sent, no reply yet
	authPrompts           // the last reply was a 334
	authRefused           // AUTH was refused at once; who types on blindly sends name and password all the same
)

// step takes one line and says which part of it is a secret: line[start:end].
func (d *authDialogue) step(who Speaker, line string) (start, end int) {
	switch who {
	case Server:
		d.reply(line)
	case Client:
		return d.client(line)
	}
	return 0, 0
}

func (d *authDialogue) reply(line string) {
	code, rest, ok := cutCode(strings.TrimLeft(line, " \t"))
	if !ok {
		return
	}
	if code >= 400 && (d.state == authSent && !d.initial || d.state == authRefused) {
		d.state, d.prompt = authRefused, ""
		return
	}
	if code != 334 {
		// "250-…" and "235-…" are lines of a reply all the same.
		*d = authDialogue{}
		return
	}
	d.state = authPrompts
	d.prompt = ""
	if p, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest)); err == nil {
		d.prompt = strings.ToLower(string(p))
	}
}

func (d *authDialogue) client(line string) (start, end int) {
	d.user = ""
	body := strings.TrimRight(line, "\r\n")
	at := len(body) - len(strings.TrimLeft(body, " \t"))
	word := strings.TrimRight(body[at:], " \t")
	if Verb(word) == "AUTH" {
		return d.auth(body, at)
	}
	if d.state == authIdle {
		return 0, 0
	}
	if word == "" || word == "*" || word == "=" {
		d.answers++
		return 0, 0
	}
	if d.state == authSent && Verb(word) != "" {
		return 0, 0 // pipelined behind AUTH
	}
	if d.state == authRefused {
		if Verb(word) != "" {
			*d = authDialogue{}
			return 0, 0
		}
		if !isEncoded(word) {
			return 0, 0
		}
	}
	d.answers++
	if d.isUserName(word) {
		return 0, 0
	}
	return at, at + len(word)
}

// auth takes an AUTH command: everything behind the mechanism is secret, but a
// lone "=" (an empty initial response) is not.
func (d *authDialogue) auth(body string, at int) (start, end int) {
	*d = authDialogue{state: authSent}
	i := at + len("AUTH")
	i += leadingBlanks(body[i:])
	j := i
	for j < len(body) && body[j] != ' ' && body[j] != '\t' {
		j++
	}
	d.mechanism = strings.ToUpper(body[i:j])
	start = j + leadingBlanks(body[j:])
	end = len(strings.TrimRight(body, " \t"))
	if start >= end || body[start:end] == "=" {
		return 0, 0
	}
	d.initial = true
	return start, end
}

func leadingBlanks(s string) int { return len(s) - len(strings.TrimLeft(s, " \t")) }

// isUserName reports whether a client line is the user name of AUTH LOGIN: the
// first answer, to a prompt that asks for a name, that decodes to one word. It
// may show; a second answer never does.
func (d *authDialogue) isUserName(word string) bool {
	if d.answers != 1 || d.initial || d.state != authPrompts || !strings.Contains(d.prompt, "user") {
		return false
	}
	if d.mechanism != "" && d.mechanism != "LOGIN" {
		return false
	}
	name, err := base64.StdEncoding.DecodeString(word)
	if err != nil || len(name) == 0 || !utf8.Valid(name) {
		return false
	}
	for _, r := range string(name) {
		if r <= ' ' || Forbidden(r) {
			return false
		}
	}
	d.user = string(name)
	return true
}

// learn says which texts to look for elsewhere once step has masked a secret:
// the message itself and the password in it. A user name is none: masked
// everywhere, it would take the sender out of MAIL FROM.
func (d *authDialogue) learn(secret string) []string {
	if f := strings.Fields(secret); len(f) > 1 {
		// Typed in clear: "AUTH PLAIN user password".
		return f[len(f)-1:]
	}
	isPassword := strings.Contains(d.prompt, "pass") ||
		d.mechanism == "LOGIN" && (d.answers > 1 || d.initial && d.answers > 0)
	raw, ok := decodeBase64(secret)
	if !ok {
		if isPassword || !isMailbox(secret) {
			return []string{secret}
		}
		return nil
	}
	list := []string{secret}
	switch p := saslPassword(string(raw)); {
	case p != "":
		list = append(list, p)
	case isPassword && printable(string(raw)):
		list = append(list, string(raw))
	}
	return list
}

// saslPassword takes the secret out of a decoded SASL message: what follows the
// second NUL of PLAIN (RFC 4616), the digest of CRAM-MD5 (RFC 2195), the token
// behind "auth=Bearer " (XOAUTH2, RFC 7628). Empty when it is none of these.
func saslPassword(raw string) string {
	if i := strings.IndexByte(raw, 0); i >= 0 {
		user, p, ok := strings.Cut(raw[i+1:], "\x00")
		if ok && user != "" && p != "" && printable(raw[:i]) && printable(user) && printable(p) {
			return p
		}
		return ""
	}
	if _, t, ok := strings.Cut(raw, "auth=Bearer "); ok {
		t, _, _ = strings.Cut(t, "\x01")
		return t
	}
	if i := strings.LastIndexByte(raw, ' '); i > 0 && isDigest(raw[i+1:]) && printable(raw[:i]) {
		return raw[i+1:]
	}
	return ""
}

// isDigest reports whether s is a digest in hexadecimal, MD5 or longer.
func isDigest(s string) bool {
	if len(s) < 32 || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		if unhex(s[i]) < 0 {
			return false
		}
	}
	return true
}

// isMailbox reports whether s has the shape of an address: one at sign between
// a local part and a name with a dot.
func isMailbox(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && local != "" && strings.IndexByte(domain, '.') > 0 && plainHost(domain)
}

// decodeBase64 decodes plain or URL-safe base64, padded or not.
func decodeBase64(s string) ([]byte, bool) {
	s = strings.TrimRight(s, "=")
	if b, err := base64.RawStdEncoding.DecodeString(s); err == nil {
		return b, true
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	return b, err == nil
}

func printable(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if Forbidden(r) {
			return false
		}
	}
	return true
}
