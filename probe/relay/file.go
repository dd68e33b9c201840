package relay

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/policy"
)

// File is a scenario file: set-up, dialogues and truth, in plain text that
// people write and tests run.
//
//	-- setup --
//	healthy                          the account and client of the presets
//	scenario user-not-live           a preset's statements
//	cred new printer --user scanner@customer.example --password pw1
//	-- dialog 587 from 203.0.113.9 --
//	> EHLO c.example                 say a line; ${plain U P} and ${base64 T} are put in
//	< 250                            the reply begins so
//	<= 250 2.0.0 Ok                  the reply is so, lines joined by |
//	<~ STARTTLS                      the reply holds a match
//	raw "BYTES"                      say bytes, in Go's quoting
//	tls ok                           shake hands and verify; tls any: do not verify;
//	                                 tls fail certificate-expired: it has to fail
//	closed                           the server closes the connection
//	silent                           the server says nothing
//	close                            we close the connection
//	rule U4                          the relay's log names this rule for the last reply
//	clock +60m                       any statement of the grammar
//	again                            the dialogue once more, up to its last command
//	-- truth --
//	verdict refused stage auth party relay-config
//	causes credential-not-live credential-wrong
//	rule U4 cite A4
//
// Each dialogue is a connection of its own; the greeting is read unless the
// first line asks for it with "<". Lines said without a "<" between them are one
// pipelined group. Blank lines and lines that begin with # say nothing. Unknown
// words are errors with file and line.
type File struct {
	Name    string
	Setup   []FileLine
	Dialogs []FileDialog
	Truth   *Truth // nil: the file states none
	Cite    string // basis that Truth.Rule must have; empty: not stated
	lines   []string
}

// FileLine is a line of a section.
type FileLine struct {
	Line int // 1-based
	Text string
}

// FileDialog is one dialogue.
type FileDialog struct {
	Line   int
	Port   int
	Client netip.Addr // zero: 203.0.113.9
	Steps  []fileStep
}

// fileStep is one line of a dialogue.
type fileStep struct {
	line int
	kind string // ">" "<" "<=" "<~" raw tls closed silent close rule again, or "" for a statement
	text string
	re   *regexp.Regexp
}

// FileError is what is wrong with a scenario file.
type FileError struct {
	File    string
	Line    int
	Problem string
}

// Error names file and line.
func (e *FileError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Problem) }

// The bounds of a scenario file.
const (
	maxFile      = 1 << 20
	maxFileLines = 20000
)

// ParseFile reads a scenario file. name is for messages.
func ParseFile(name string, text []byte) (*File, error) {
	f := &File{Name: name}
	if len(text) > maxFile {
		return nil, &FileError{name, 1, "the file is larger than 1 MB"}
	}
	f.lines = strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n")
	if len(f.lines) > maxFileLines {
		return nil, &FileError{name, maxFileLines, "the file has more than 20000 lines"}
	}
	section := ""
	for i, raw := range f.lines {
		n, line := i+1, strings.TrimSpace(raw)
		fail := func(format string, args ...any) (*File, error) {
			return nil, &FileError{name, n, fmt.Sprintf(format, args...)}
		}
		if head, ok := sectionHead(line); ok {
			words := strings.Fields(head)
			if len(words) == 0 {
				return fail("a section needs a name: setup, dialog or truth")
			}
			section = words[0]
			switch {
			case section == "setup" && len(words) == 1:
			case section == "truth" && len(words) == 1:
				if f.Truth != nil {
					return fail("a second truth")
				}
				f.Truth = &Truth{}
			case section == "dialog":
				d, err := dialogHead(words[1:])
				if err != nil {
					return fail("%v", err)
				}
				d.Line = n
				f.Dialogs = append(f.Dialogs, d)
			default:
				return fail("unknown section %q; setup, dialog PORT [from ADDRESS] or truth", head)
			}
			continue
		}
		if line == "" || line[0] == '#' {
			continue
		}
		var err error
		switch section {
		case "":
			return fail("%q stands before the first section", line)
		case "setup":
			f.Setup = append(f.Setup, FileLine{n, line})
		case "dialog":
			d := &f.Dialogs[len(f.Dialogs)-1]
			var st fileStep
			if st, err = parseStep(line); err == nil {
				st.line = n
				d.Steps = append(d.Steps, st)
			}
		case "truth":
			err = f.parseTruth(line)
		}
		if err != nil {
			return fail("%v", err)
		}
	}
	if len(f.Dialogs) == 0 {
		return nil, &FileError{name, len(f.lines), "the file has no dialog"}
	}
	return f, nil
}

func sectionHead(line string) (string, bool) {
	if len(line) < 5 || !strings.HasPrefix(line, "--") || !strings.HasSuffix(line, "--") {
		return "", false
	}
	return strings.TrimSpace(line[2 : len(line)-2]), true
}

func dialogHead(words []string) (FileDialog, error) {
	var d FileDialog
	if len(words) != 1 && (len(words) != 3 || words[1] != "from") {
		return d, fmt.Errorf("write: dialog 25|587 [from ADDRESS]")
	}
	port, err := strconv.Atoi(words[0])
	if err != nil || port != PortServer && port != PortAuth {
		return d, fmt.Errorf("%q is no port of the relay; 25 or 587", words[0])
	}
	d.Port = port
	if len(words) == 3 {
		if d.Client, err = netip.ParseAddr(words[2]); err != nil {
			return d, fmt.Errorf("%q is no address", words[2])
		}
	}
	return d, nil
}

// parseStep reads a line of a dialogue.
func parseStep(line string) (fileStep, error) {
	for _, op := range []string{"<=", "<~", "<", ">"} {
		if rest, ok := strings.CutPrefix(line, op); ok {
			st := fileStep{kind: op, text: strings.TrimPrefix(rest, " ")}
			var err error
			if op == "<~" {
				st.re, err = regexp.Compile(st.text)
			}
			if op == ">" {
				_, err = expand(st.text)
			}
			return st, err
		}
	}
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	st := fileStep{kind: word, text: rest}
	switch word {
	case "closed", "silent", "close", "again":
		if rest != "" {
			return st, fmt.Errorf("%s takes nothing more", word)
		}
	case "raw":
		text, err := strconv.Unquote(rest)
		if err != nil {
			return st, fmt.Errorf("raw takes bytes in double quotes")
		}
		st.text = text
	case "tls":
		how, problem, _ := strings.Cut(rest, " ")
		if how != "ok" && how != "any" && how != "fail" || how != "fail" && problem != "" {
			return st, fmt.Errorf("write: tls ok, tls any or: tls fail [PROBLEM]")
		}
		if problem != "" && !slices.Contains(tlsProblems, problem) {
			return st, fmt.Errorf("unknown TLS problem %q; one of %s", problem, strings.Join(tlsProblems, ", "))
		}
	case "rule":
		if _, ok := policy.Rule(policy.RuleID(rest)); !ok {
			return st, fmt.Errorf("no rule %q in the table", rest)
		}
	default:
		if _, err := policy.Apply(scratch(), line, zeroTime); err != nil && isSyntax(line, err) {
			return st, err
		}
		st.kind, st.text = "", line
	}
	return st, nil
}

var tlsProblems = []string{
	"certificate-expired", "certificate-not-yet-valid", "certificate-name-mismatch", "certificate-unknown-issuer",
	"protocol-version", "not-tls", "interrupted", "internal-error",
}

// parseTruth reads a line of the truth.
func (f *File) parseTruth(line string) error {
	words, err := policy.Words(line)
	if err != nil {
		return err
	}
	if words[0] == "causes" {
		f.Truth.Causes = words[1:]
		return nil
	}
	if len(words)%2 != 0 {
		return fmt.Errorf("%q: words of a truth come in pairs, as verdict refused stage auth", line)
	}
	for i := 0; i < len(words); i += 2 {
		v := words[i+1]
		switch words[i] {
		case "verdict":
			f.Truth.Verdict = v
		case "stage":
			f.Truth.Stage = v
		case "party":
			f.Truth.Party = v
		case "who":
			f.Truth.Who = v
		case "finding":
			f.Truth.Finding = v
		case "rule":
			if _, ok := policy.Rule(policy.RuleID(v)); !ok {
				return fmt.Errorf("no rule %q in the table", v)
			}
			f.Truth.Rule = policy.RuleID(v)
		case "cite":
			if _, ok := policy.Source(v); !ok {
				return fmt.Errorf("no statement or page %q", v)
			}
			f.Cite = v
		default:
			return fmt.Errorf("unknown word %q; verdict, stage, party, who, finding, causes, rule or cite", words[i])
		}
	}
	return nil
}

// expand puts ${plain U P} and ${base64 TEXT} into a line.
func expand(line string) (string, error) {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(line, "${")
		b.WriteString(before)
		if !ok {
			return b.String(), nil
		}
		inner, after, ok := strings.Cut(rest, "}")
		if !ok {
			return "", fmt.Errorf("${ is not closed")
		}
		words := strings.Fields(inner)
		switch {
		case len(words) == 3 && words[0] == "plain":
			b.WriteString(encode("\x00" + words[1] + "\x00" + words[2]))
		case len(words) >= 2 && words[0] == "base64":
			b.WriteString(encode(strings.TrimPrefix(inner, "base64 ")))
		default:
			return "", fmt.Errorf("unknown ${%s}; ${plain USER PASSWORD} or ${base64 TEXT}", inner)
		}
		line = after
	}
}
