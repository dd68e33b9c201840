package transcript

import "strings"

// call hides the password in a function call whose arguments have no names.
func (f *finder) call(i int) {
	text := f.text
	for _, c := range [...]struct {
		name string
		arg  int // which argument is the password, counted from 0
	}{
		{"login(", 1},
		{"networkcredential(", 1},
		{"plainauth(", 2},
		{"convertto-securestring", 0},
		{"newcredential(", 1},
		{"passwordauthentication(", 1},
		{"logincredentials(", 1},
		{"login_user(", 1},
	} {
		if !hasFoldPrefix(text[i:], c.name) {
			continue
		}
		j := i + len(c.name)
		limit := min(f.near(j), j+256)
		for n := 0; j < limit; n++ {
			j = skipBlanks(text, j)
			if c.name[len(c.name)-1] != '(' {
				for _, p := range [...]string{"-string ", "-asplaintext ", "-force "} {
					if hasFoldPrefix(text[j:], p) {
						j = skipBlanks(text, j+len(p))
					}
				}
			}
			if j >= limit {
				return
			}
			start, end, quoted := f.word(j, false)
			if !quoted {
				if k := strings.IndexAny(text[j:limit], ",)"); k >= 0 {
					end = j + k
				} else {
					end = limit
				}
			}
			if n == c.arg {
				if quoted {
					f.value(start, end)
				}
				return
			}
			k := strings.IndexByte(text[min(end, limit):limit], ',')
			if k < 0 {
				return
			}
			j = end + k + 1
		}
	}
}

// flag hides what stands behind the short options of mail clients: curl's
// "-u user:password", swaks's "-ap x", sendEmail's "-xp x", blat's "-pw x".
func (f *finder) flag(i int) {
	text := f.text
	end := i
	for end < len(text) && text[end] > ' ' && text[end] != '=' && end-i < 32 {
		end++
	}
	if end >= len(text) || text[end] != ' ' && text[end] != '=' {
		return
	}
	pair, single := false, false
	switch name := text[i:end]; name {
	case "-u", "-U", "--user", "--proxy-user", "--login":
		pair = true
	case "-ap", "-xp", "-pw", "--oauth2-bearer", "--pass", "-pass":
		single = true
	default:
		return
	}
	j := skipBlanks(text, end+1)
	if j >= len(text) || text[j] == '\n' || text[j] == '\r' {
		return
	}
	start, stop, _ := f.word(j, false)
	if start >= stop {
		return
	}
	if single {
		if text[start] != '-' {
			f.value(start, stop)
		}
		return
	}
	if pair {
		if c := strings.IndexByte(text[start:stop], ':'); !isAlnum(text[start]) {
			return
		} else if c > 0 && !allDigits(text[start+c+1:stop]) || c > 0 && stop-start-c > 6 {
			f.value(start+c+1, stop)
		}
	}
}

// authorization hides the credentials of an HTTP header: everything behind the
// scheme, or the whole value when no scheme is named.
func (f *finder) authorization(i int) {
	text := f.text
	for i < len(text) && strings.IndexByte("\"'\\ \t:=>]", text[i]) >= 0 {
		i++
	}
	start := i
	known := false
	for _, s := range [...]string{"basic", "bearer", "digest", "ntlm", "negotiate", "token", "apikey", "hmac", "aws4-hmac-sha256"} {
		if hasFoldPrefix(text[i:], s) && i+len(s) < len(text) && text[i+len(s)] == ' ' {
			start = skipBlanks(text, i+len(s))
			known = true
			break
		}
	}
	end := start
	limit := f.near(i)
	for end < limit && strings.IndexByte("\"'<\\", text[end]) < 0 {
		if !known && text[end] == ' ' && strings.TrimSpace(text[end:min(limit, end+8)]) != "" {
			return // a sentence about authorization
		}
		end++
	}
	value := strings.TrimRight(text[start:end], " \t,;")
	if !known && !looksRandom(value) {
		return
	}
	if value == "" || isPlaceholder(value) {
		return
	}
	learn := []string{value}
	if raw, ok := decodeBase64(value); ok {
		if _, p, ok := strings.Cut(string(raw), ":"); ok && printable(p) {
			learn = append(learn, p)
		}
	}
	f.hide(start, start+len(value), learn...)
}

// authinfo is a line of Sendmail's: AuthInfo:host "U:user" "I:user" "P:secret".
func (f *finder) authinfo(i int) {
	text := f.text
	limit := f.near(i)
	for _, p := range [...]string{`"P:`, `"P=`} {
		if n := strings.Index(text[i:limit], p); n >= 0 {
			start := i + n + len(p)
			end := start
			for end < limit && text[end] != '"' {
				end++
			}
			f.value(start, end)
		}
	}
}
