package transcript

import "strings"

// keyCores are the words that make a key's value a secret, with the letters
// that must not follow: "passport" and "tokenizer" are other words.
var keyCores = [...]struct {
	core string
	weak bool // needs an equals sign or a colon and a value that looks random
}{
	{core: "password"},
	{core: "passwd"},
	{core: "passwort"},
	{core: "passphrase"},
	{core: "passcode"},
	{core: "pass"},
	{core: "pwd"},
	{core: "pw"},
	{core: "passe"},
	{core: "kennwort"},
	{core: "wachtwoord"},
	{core: "contrase\u00f1a"},
	{core: "contrasena"},
	{core: "senha"},
	{core: "l\u00f6senord"},
	{core: "secret"},
	{core: "apikey", weak: true},
	{core: "api_key", weak: true},
	{core: "api-key", weak: true},
	{core: "access_token", weak: true},
	{core: "accesskey", weak: true},
	{core: "access_key", weak: true},
	{core: "token", weak: true},
	{core: "cookie", weak: true},
}

// keysBy are the cores by their first two letters. Made once, never changed.
var keysBy = func() (t [1024][]uint8) {
	for n, k := range keyCores {
		b := bucket(k.core[0], k.core[1])
		t[b] = append(t[b], uint8(n))
	}
	return t
}()

// keyNot are the endings behind the core that make the value something else: a
// file, a command, a rule about passwords.
var keyNot = [...]string{
	"maps", "_maps", "_map", "file", "_file", "-file", "path", "_path", "eval", "-eval", "command", "-command", "_command", "cmd", "-cmd", "policy", "-policy", "_policy",
	"reset", "-reset", "_reset", "age", "-age", "hash", "-hash", "_hash", "salt", "manager", "-manager", "expir", "-expir", "_expir", "change", "-change", "_change",
	"length", "-length", "_length", "field", "hint", "-hint", "prompt", "-prompt", "stdin", "-stdin", "less", "_env", "-env", "type", "_type", "-type", "sync", "-sync",
	"endpoint", "_endpoint", "url", "_url", "-url", "uri", "_uri", "-uri", "name", "_name", "-name", "format", "_format", "-format", "method", "-method", "_method", "-protected", "protected",
}

func isKeyByte(c byte) bool { return isAlnum(c) || c == '_' || c == '-' || c == '.' || c >= 0x80 }

// key looks whether a key word begins at i and hides its value.
func (f *finder) key(i int) {
	text := f.text
	var core string
	weak := false
	for _, n := range keysBy[bucket(text[i], text[i+1])] {
		if k := &keyCores[n]; len(k.core) > len(core) && hasFoldPrefix(text[i:], k.core) {
			core, weak = k.core, k.weak
		}
	}
	if core == "" {
		return
	}
	end := i + len(core)
	start := i
	for start > 0 && i-start < 64 && isKeyByte(text[start-1]) {
		start--
	}
	// "compass", "bypass", "surpassed": the letters before run on.
	if head := text[start:i]; head != "" && !keyHead(head, text[i]) {
		return
	}
	tail := end
	for tail < len(text) && tail-end < 64 && isKeyByte(text[tail]) {
		tail++
	}
	for tail > end && (text[tail-1] == '.' || text[tail-1] == '-') {
		tail--
	}
	if !keyTail(core, text[end:tail], end > 0 && text[end-1] >= 'A' && text[end-1] <= 'Z') {
		return
	}
	k := keyPlace{start: start, end: tail, core: core, weak: weak}
	if start > 0 {
		k.before = text[start-1]
	}
	f.keyValue(k)
}

// keyHead says whether the letters before the core are a part of a key
// ("smtp_", "mailbox.", "userP…"), not of another word.
func keyHead(head string, first byte) bool {
	last := head[len(head)-1]
	if !isAlnum(last) || last >= 'A' && last <= 'Z' && first >= 'a' || isDigit(last) {
		return true
	}
	if last >= 'a' && first >= 'A' && first <= 'Z' {
		return true // smtpPassword
	}
	h := strings.ToLower(head)
	if i := strings.LastIndexAny(h, "._-"); i >= 0 {
		h = h[i+1:]
	}
	for _, p := range [...]string{"smtp", "mail", "email", "user", "auth", "relay", "sasl", "login", "my", "db", "imap", "pop", "pop3", "ssh", "proxy", "client", "server", "admin", "root", "account", "acct", "app", "bind", "default"} {
		if h == p {
			return true
		}
	}
	return false
}

// keyTail says whether the letters behind the core leave the key a key.
func keyTail(core, tail string, upper bool) bool {
	if tail == "" {
		return true
	}
	t := strings.ToLower(tail)
	for _, n := range keyNot {
		if strings.HasPrefix(t, n) {
			return false
		}
	}
	c := tail[0]
	switch {
	case isDigit(c) || c == '_' || c == '.' || c == '-':
		return core != "pw" || c != '.'
	case c >= 'A' && c <= 'Z' && !upper:
		return true // passwordSmtp
	}
	for _, p := range [...]string{"text", "string", "value", "plain", "smtp", "mail"} {
		if strings.HasPrefix(t, p) {
			return true
		}
	}
	return false
}

type keyPlace struct {
	start, end int    // of the whole key
	core       string // lower case
	before     byte   // the byte before the key; 0 at the start
	weak       bool
}

func (f *finder) keyValue(k keyPlace) {
	text := f.text
	if k.before == '=' {
		return // "spf=pass": the key is somebody's value
	}
	i := k.end
	quoted := false // the key stands in quotes
	switch k.before {
	case '"', '\'', '`':
		if i < len(text) && text[i] == '\\' {
			i++ // \"password\" inside a JSON string
		}
		if i < len(text) && text[i] == k.before {
			quoted = true
			i++
		} else if i == k.end+1 {
			i--
		}
		if quoted && i < len(text) && text[i] == ']' {
			i++ // config['password']
		}
	case '<', '/':
		if k.before == '<' && i < len(text) && text[i] == '>' {
			f.xmlValue(i + 1)
			return
		}
		if k.before == '/' {
			return
		}
	}
	i = skipBlanks(text, i)
	if i >= len(text) {
		return
	}
	rest := text[i:]
	query := k.before == '?' || k.before == '&'
	switch {
	case quoted && hasFoldPrefix(rest, "value="): // <add key="SmtpPassword" value="…"/>
		f.keyWord(k, skipBlanks(text, i+6), false)
	case strings.HasPrefix(rest, "=>"), strings.HasPrefix(rest, ":="):
		f.keyWord(k, skipBlanks(text, i+2), false)
	case strings.HasPrefix(rest, "=="):
		// a comparison
	case rest[0] == '=':
		if k.core == "pwd" && k.end-k.start <= 6 && i+1 < len(text) && (text[i+1] == '/' || i+2 < len(text) && text[i+2] == ':') {
			return // PWD=/home/…: the working directory
		}
		f.keyWord(k, skipBlanks(text, i+1), query)
	case rest[0] == ':' && !strings.HasPrefix(rest, "://") && !strings.HasPrefix(rest, "::"):
		f.labelled(k, i+1, quoted)
	case rest[0] == ',' && quoted: // define('SMTP_PASS', 'x')
		if j := skipBlanks(text, i+1); j < len(text) && (text[j] == '"' || text[j] == '\'') {
			f.keyWord(k, j, false)
		}
	case quoted || k.weak:
		f.valueBelow(k, i)
	default:
		f.spoken(k, i)
	}
}

func skipBlanks(text string, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\t') {
		i++
	}
	return i
}

// startsLine reports whether only blanks, quotes of mail and list marks stand
// before i on its line, or "export", "set", "ENV".
func (f *finder) startsLine(i int) bool {
	head := f.lineHead(i)
	switch strings.ToLower(strings.Trim(head, " \t>|-*\"'")) {
	case "", "export", "set", "env", "setx":
		return true
	}
	return false
}

// lineHead is what stands before i on its line, 200 bytes at most.
func (f *finder) lineHead(i int) string {
	start := i
	for start > 0 && i-start < 200 && f.text[start-1] != '\n' && f.text[start-1] != '\r' {
		start--
	}
	return f.text[start:i]
}

// xmlValue hides the text of an element, up to the next tag.
func (f *finder) xmlValue(i int) {
	text := f.text
	if strings.HasPrefix(text[i:], "<![CDATA[") {
		i += 9
		if n := strings.Index(text[i:min(len(text), i+1024)], "]]>"); n > 0 {
			f.value(i, i+n)
		}
		return
	}
	if n := strings.IndexByte(text[i:min(len(text), i+1024)], '<'); n > 0 {
		f.value(i, i+n)
	}
}

// keyWord hides the value at i: in quotes, or one word.
func (f *finder) keyWord(k keyPlace, i int, query bool) {
	start, end, _ := f.word(i, query)
	if k.weak && !looksRandom(f.text[start:end]) {
		return
	}
	if nested := f.text[start:end]; hasFoldPrefix(nested, "convertto-securestring") {
		return // its argument is hidden where it stands
	}
	f.value(start, end)
}

// labelled is "Password: value", as in YAML, JSON, a form or a letter.
func (f *finder) labelled(k keyPlace, i int, quotedKey bool) {
	text := f.text
	if i < len(text) && text[i] == k.before && strings.IndexByte("\"'`", k.before) >= 0 {
		return // `Password:`: the label stands in quotes with its colon
	}
	j := skipBlanks(text, i)
	if j >= len(text) || text[j] == '\n' || text[j] == '\r' {
		f.nextLineValue(k, j)
		return
	}
	start, end, quoted := f.word(j, false)
	switch {
	case quoted || quotedKey:
		if k.weak && !looksRandom(text[start:end]) {
			return
		}
		f.value(start, end)
		return
	case k.weak:
		if looksRandom(text[start:end]) {
			f.value(start, end)
		}
		return
	}
	if k.core == "pass" && !f.startsLine(k.start) && !hasFoldPrefix(text[k.start:], "smtp") && k.end-k.start == 4 && !f.flowMap(k.start) {
		return // "DKIM pass: …"
	}
	if _, _, ok := cutCode(strings.TrimLeft(f.lineHead(k.start), " \t>|<-~*=")); ok {
		return // a server speaks about passwords
	}
	// A label at the start of its line owns the rest of the line, if that is a
	// passphrase and not a sentence.
	if f.startsLine(k.start) {
		line := strings.TrimRight(text[j:f.near(j)], " \t,")
		if c := strings.Index(line, " #"); c > 0 {
			line = strings.TrimRight(line[:c], " \t")
		}
		if n := len(strings.Fields(line)); n > 1 && n <= 6 && !isStopWord(text[start:end]) && !strings.HasSuffix(line, ".") && strings.IndexByte(line, '=') < 0 {
			f.value(j, j+len(line))
			return
		}
	}
	f.value(start, trimSentence(text, start, end))
}

// flowMap reports whether the key stands in "{ user: 'x', pass: 'y' }".
func (f *finder) flowMap(i int) bool {
	head := f.lineHead(i)
	return strings.IndexByte(head, '{') >= 0 || strings.HasSuffix(strings.TrimRight(head, " \t"), ",")
}

// nextLineValue is a label alone on its line, with the value below it. Only a
// value that looks like one is taken.
func (f *finder) nextLineValue(k keyPlace, i int) {
	if i >= len(f.text) || k.weak || !f.startsLine(k.start) {
		return
	}
	start := nextLine(f.text, i)
	end := f.near(start)
	s := strings.TrimSpace(strings.TrimLeft(f.text[start:end], "> "))
	if len(s) < 6 || strings.ContainsAny(s, " \t") || !looksRandom(s) || Verb(s) != "" || strings.HasSuffix(s, ":") {
		return
	}
	at := start + strings.Index(f.text[start:end], s)
	f.value(at, at+len(s))
}

// valueBelow is "- name: SMTP_PASSWORD" with "value: x" on the next line, as in
// the settings of containers.
func (f *finder) valueBelow(k keyPlace, i int) {
	text := f.text
	if i < len(text) && text[i] != '\n' && text[i] != '\r' {
		return
	}
	head := strings.ToLower(strings.Trim(f.lineHead(k.start), " \t-\"'"))
	if head != "name:" && head != "key:" {
		return
	}
	start := skipBlanks(text, nextLine(text, i))
	if hasFoldPrefix(text[start:], "value:") {
		s, e, _ := f.word(skipBlanks(text, start+6), false)
		f.value(s, e)
	}
}

// spoken is a key with a value behind nothing but blanks or a verb: a command
// line, a line of netrc or msmtprc, a sentence.
func (f *finder) spoken(k keyPlace, i int) {
	text := f.text
	if text[i] == '\n' || text[i] == '\r' {
		f.valueBelow(k, i)
		return
	}
	if text[k.end] != ' ' && text[k.end] != '\t' {
		return
	}
	if text[k.start] == '-' { // --password x, -Password x
		if text[i] != '-' || i+1 < len(text) && text[i+1] != '-' && !isAlnum(text[i+1]) {
			s, e, _ := f.word(i, false)
			f.value(s, e)
		}
		return
	}
	if k.core == "pw" {
		return
	}
	line := text[i:min(f.near(i), i+256)]
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return
	}
	head := strings.ToLower(strings.TrimRight(f.lineHead(k.start), " \t"))
	switch {
	case f.startsLine(k.start) && len(fields) == 1 && k.core != "pass" && k.core != "secret":
		// msmtprc: the line is a key and a value.
	case len(fields) > 1 && isVerbToBe(fields[0]):
		i += strings.Index(line, fields[0]) + len(fields[0])
		i = skipBlanks(text, i)
		for _, w := range [...]string{"now ", "still ", "set to ", "also "} {
			if hasFoldPrefix(text[i:], w) {
				i = skipBlanks(text, i+len(w))
			}
		}
	case isNetrc(head):
	case strings.HasSuffix(head, " with") || strings.HasSuffix(head, " using") || strings.HasSuffix(head, " mit") || strings.HasSuffix(head, "identified by"):
		s, e, q := f.word(i, false)
		e = trimSentence(text, s, e)
		if q || looksRandom(text[s:e]) {
			f.value(s, e)
		}
		return
	default:
		if text[i] == '"' || text[i] == '\'' { // the password "x" does not work
			s, e, _ := f.word(i, false)
			f.value(s, e)
		}
		return
	}
	s, e, _ := f.word(i, false)
	f.value(s, trimSentence(text, s, e))
}

func isVerbToBe(s string) bool {
	for _, v := range [...]string{"is", "was", "ist", "est", "es", "war", "lautet", "\u00e8"} {
		if strings.EqualFold(s, v) {
			return true
		}
	}
	return false
}

// isNetrc reports whether what stands before the key is "machine h login u" or
// fetchmail's "user u".
func isNetrc(head string) bool {
	f := strings.Fields(head)
	if len(f) < 2 || isStopWord(f[len(f)-1]) {
		return false
	}
	switch f[len(f)-2] {
	case "login", "user", "username", "account":
		return true
	}
	return false
}
