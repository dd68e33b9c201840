package relay

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/policy"
)

// maxLine bounds a line from a client in bytes, without its line end: an AUTH
// response may have 12,288 (RFC 4954 §4), commands far fewer.
const maxLine = 12288

// request is one command line as read from the wire.
type request struct {
	policy.Command
	// Fixed is a reply that the syntax alone decides and that the table has no
	// row for. Code 0: none.
	Fixed policy.Reply
	// Chunk and Last belong to BDAT (RFC 3030).
	Chunk int64
	Last  bool
	// Initial is the initial response of AUTH, still in base64.
	Initial    string
	HasInitial bool
}

// verbs of the wire that the table has no name of its own for.
const (
	verbBdat     policy.Verb = "BDAT"
	verbEtrn     policy.Verb = "ETRN"
	verbXclient  policy.Verb = "XCLIENT"
	verbXforward policy.Verb = "XFORWARD"
)

// The replies that Postfix gives to lines which break the syntax.
var (
	replyBadSyntax    = policy.Reply{Code: 500, Enhanced: "5.5.2", Text: "Error: bad syntax"}
	replyUnknown      = policy.Reply{Code: 500, Enhanced: "5.5.2", Text: "Error: command not recognized"}
	replyTooLong      = policy.Reply{Code: 500, Enhanced: "5.5.2", Text: "Error: line too long"}
	replyRules        = policy.Reply{Code: 221, Enhanced: "2.7.0", Text: "Error: I can break rules, too. Goodbye."}
	replyMailSyntax   = policy.Reply{Code: 501, Enhanced: "5.5.4", Text: "Syntax: MAIL FROM:<address>"}
	replyRcptSyntax   = policy.Reply{Code: 501, Enhanced: "5.5.4", Text: "Syntax: RCPT TO:<address>"}
	replySizeSyntax   = policy.Reply{Code: 501, Enhanced: "5.5.4", Text: "Bad message size syntax"}
	replyDataSyntax   = policy.Reply{Code: 501, Enhanced: "5.5.4", Text: "Syntax: DATA"}
	replyRsetSyntax   = policy.Reply{Code: 501, Enhanced: "5.5.4", Text: "Syntax: RSET"}
	replyVrfySyntax   = policy.Reply{Code: 501, Enhanced: "5.5.4", Text: "Syntax: VRFY address [SMTPUTF8]"}
	replyBdatSyntax   = policy.Reply{Code: 521, Enhanced: "5.5.4", Text: "Syntax: BDAT count [LAST]"}
	replyBdatZero     = policy.Reply{Code: 551, Enhanced: "5.7.1", Text: "Null BDAT request"}
	replyNotifySyntax = policy.Reply{Code: 501, Enhanced: "5.5.4", Text: "Error: Bad NOTIFY parameter syntax"}
	replyOrcptSyntax  = policy.Reply{Code: 501, Enhanced: "5.5.4", Text: "Error: Bad ORCPT parameter syntax"}
	replyEnvidSyntax  = policy.Reply{Code: 501, Enhanced: "5.5.4", Text: "Bad ENVID parameter syntax"}
	replyRetSyntax    = policy.Reply{Code: 501, Enhanced: "5.5.4", Text: "Bad RET parameter syntax"}
)

// parseCommand reads one command line, without its line end, the way Postfix's
// smtpd does: words divided by blanks, verbs in any case, addresses with or
// without angle brackets.
func parseCommand(line string) request {
	verb, rest, _ := strings.Cut(strings.TrimLeft(line, " \t"), " ")
	if i := strings.IndexByte(verb, '\t'); i >= 0 {
		verb, rest = verb[:i], verb[i+1:]+" "+rest
	}
	rest = strings.Trim(rest, " \t")
	upper := strings.ToUpper(verb)
	r := request{Command: policy.Command{Verb: policy.Verb(upper)}}
	fields := strings.Fields(rest)
	switch r.Verb {
	case policy.EHLO, policy.HELO:
		if len(fields) == 0 {
			r.Malformed = policy.NoArgument
			break
		}
		r.Arg = printable(fields[0])
	case policy.StartTLS:
		r.Arg = rest
	case policy.Auth:
		r.auth(fields)
	case policy.Mail:
		r.mail(rest)
	case policy.Rcpt:
		r.rcpt(rest)
	case policy.Data:
		if len(fields) > 0 {
			r.Fixed = replyDataSyntax
		}
	case policy.Rset:
		if len(fields) > 0 {
			r.Fixed = replyRsetSyntax
		}
	case policy.Vrfy:
		if len(fields) == 0 {
			r.Fixed = replyVrfySyntax
			break
		}
		r.Address = strings.Trim(fields[0], "<>")
	case verbBdat:
		r.bdat(fields)
	case policy.Noop, policy.Quit, verbEtrn, verbXclient, verbXforward:
		r.Arg = rest
	case "":
		r.Fixed = replyBadSyntax
	case "GET", "POST", "CONNECT":
		// A browser was led here; the commands in its body must not be heard.
		r.Fixed = replyRules
	default:
		r.Verb = policy.Verb("")
		r.Arg = printable(upper)
		r.Fixed = replyUnknown
		if len(verb) > 1 && strings.HasSuffix(verb, ":") && strings.IndexFunc(verb, notHeader) == len(verb)-1 {
			r.Fixed = replyRules
		}
	}
	return r
}

func notHeader(c rune) bool { return c <= ' ' || c >= 0x7f || c == ':' }

func (r *request) auth(fields []string) {
	if len(fields) == 0 || len(fields) > 2 {
		r.Malformed = policy.NoArgument
		return
	}
	r.Mechanism = strings.ToUpper(printable(fields[0]))
	if len(fields) == 2 {
		r.Initial, r.HasInitial = fields[1], true
		if !isBase64(fields[1]) {
			r.Malformed = policy.BadBase64
		}
	}
}

func isBase64(s string) bool {
	if s == "=" {
		return true
	}
	_, err := base64.StdEncoding.DecodeString(s)
	return err == nil
}

func (r *request) mail(rest string) {
	rest, ok := cutFold(rest, "FROM:")
	if !ok || strings.Trim(rest, " \t") == "" {
		r.Fixed = replyMailSyntax
		return
	}
	address, options, ok := cutAddress(rest)
	if !ok || !goodAddress(address, true) {
		r.Malformed = policy.BadSender
		return
	}
	r.Address = unquoted(address)
	for _, o := range strings.Fields(options) {
		key, value, has := strings.Cut(o, "=")
		switch strings.ToUpper(key) {
		case "SIZE":
			n, ok := decimal(value)
			if !has || !ok {
				r.Fixed = replySizeSyntax
				return
			}
			r.Size = n
			continue
		case "BODY":
			if u := strings.ToUpper(value); u == "7BIT" || u == "8BITMIME" {
				continue
			}
		case "SMTPUTF8":
			if !has {
				continue
			}
		case "RET":
			if u := strings.ToUpper(value); u != "FULL" && u != "HDRS" {
				r.Fixed = replyRetSyntax
				return
			}
			continue
		case "ENVID":
			if value == "" {
				r.Fixed = replyEnvidSyntax
				return
			}
			continue
		case "AUTH":
			if has && value != "" {
				continue
			}
		}
		r.Malformed, r.Arg = policy.BadOption, printable(o)
		return
	}
}

func (r *request) rcpt(rest string) {
	rest, ok := cutFold(rest, "TO:")
	if !ok || strings.Trim(rest, " \t") == "" {
		r.Fixed = replyRcptSyntax
		return
	}
	address, options, ok := cutAddress(rest)
	if !ok || !goodAddress(address, false) {
		r.Malformed = policy.BadRecipient
		return
	}
	r.Address = unquoted(address)
	for _, o := range strings.Fields(options) {
		key, value, _ := strings.Cut(o, "=")
		switch strings.ToUpper(key) {
		case "NOTIFY":
			for n := range strings.SplitSeq(strings.ToUpper(value), ",") {
				switch n {
				case "NEVER", "SUCCESS", "FAILURE", "DELAY":
				default:
					r.Fixed = replyNotifySyntax
					return
				}
			}
			continue
		case "ORCPT":
			if kind, addr, ok := strings.Cut(value, ";"); !ok || kind == "" || addr == "" {
				r.Fixed = replyOrcptSyntax
				return
			}
			continue
		}
		r.Malformed, r.Arg = policy.BadOption, printable(o)
		return
	}
}

func (r *request) bdat(fields []string) {
	if len(fields) == 0 || len(fields) > 2 {
		r.Fixed = replyBdatSyntax
		return
	}
	if len(fields) == 2 {
		if !strings.EqualFold(fields[1], "LAST") {
			r.Fixed = replyBdatSyntax
			return
		}
		r.Last = true
	}
	n, ok := decimal(fields[0])
	if !ok {
		r.Fixed = replyBdatSyntax
		return
	}
	if r.Chunk = n; n == 0 && !r.Last {
		r.Fixed = replyBdatZero
	}
}

// decimal reads digits only: no sign, no blank, no overflow.
func decimal(s string) (int64, bool) {
	if s == "" || strings.IndexFunc(s, func(c rune) bool { return c < '0' || c > '9' }) >= 0 {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n <= math.MaxInt64/2
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}

// cutAddress divides what follows FROM: or TO: into the address, without its
// brackets, and the parameters. A quoted local part may hold blanks and ">".
func cutAddress(s string) (address, options string, ok bool) {
	s = strings.TrimLeft(s, " \t")
	bracket := strings.HasPrefix(s, "<")
	if bracket {
		s = s[1:]
	}
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case bracket && c == '>':
			rest := s[i+1:]
			if rest != "" && rest[0] != ' ' && rest[0] != '\t' {
				return "", "", false
			}
			return s[:i], rest, true
		case !bracket && (c == ' ' || c == '\t'):
			return s[:i], s[i:], true
		case c == '<' || c == '>':
			return "", "", false
		}
	}
	return s, "", !bracket && !quoted
}

// goodAddress says whether the text can be an address at all. Postfix is lenient
// here (a bare name, a source route and several @ pass, and the relay check
// refuses them), so this is too. Control and 8-bit bytes are no address: no
// client of this relay has announced SMTPUTF8 mailboxes that it would know.
func goodAddress(a string, null bool) bool {
	if a == "" {
		return null
	}
	if strings.ContainsFunc(a, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return false
	}
	if strings.HasPrefix(a, "@") {
		i := strings.IndexByte(a, ':')
		if i < 2 {
			return false
		}
		a = a[i+1:]
	}
	local, domain := a, ""
	if i := strings.LastIndexByte(a, '@'); i >= 0 {
		local, domain = a[:i], a[i+1:]
		if domain == "" {
			return false
		}
	}
	if strings.ContainsAny(domain, " \t\"(),:;<>\\") && !strings.HasPrefix(domain, "[") {
		return false
	}
	if strings.HasPrefix(local, `"`) {
		return len(local) > 1 && strings.HasSuffix(local, `"`)
	}
	return local != "" && !strings.ContainsAny(local, " \t(),;<>\\\"")
}

// unquoted is the address in the form that Postfix keeps and echoes: the quotes
// of a local part are taken off.
func unquoted(a string) string {
	i := strings.LastIndexByte(a, '@')
	if i < 2 || a[0] != '"' || a[i-1] != '"' {
		return a
	}
	var b strings.Builder
	for j := 1; j < i-1; j++ {
		if a[j] == '\\' && j+1 < i-1 {
			j++
		}
		b.WriteByte(a[j])
	}
	return b.String() + a[i:]
}

// canonical is the address in a form that go-smtp's parser takes without a
// second thought: the local part quoted, a domain of letters and digits. What
// the client wrote stays in the command that the table is asked about.
func canonical(address string) string {
	if address == "" {
		return "<>"
	}
	return `<"` + quoting.Replace(address) + `"@wire.invalid>`
}

var quoting = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// printable is s in printable ASCII: every other byte is a question mark, as
// Postfix shows what clients send.
func printable(s string) string {
	clean := true
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}
