package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
	"unicode"
)

// Secret says where a password is kept: a file, a command that prints it, or a
// variable of the environment (of a module only; the command line has none).
type Secret struct {
	File    string
	Command string
	Env     string
	inline  string
}

// maxSecret bounds a password; RFC 4954 allows 12,288 bytes of base64 a line.
const maxSecret = 9000

// commandPatience is how long a password command may take.
const commandPatience = 30 * time.Second

// Oddity is something about a password that is worth telling and is never
// repaired in silence.
type Oddity string

// The oddities. They are ids of findings.
const (
	EdgeSpace     Oddity = "password-edge-space"     // white space at the start or the end
	NoBreakSpace  Oddity = "password-no-break-space" // U+00A0 or its kin, as web pages copy it
	FileReadable  Oddity = "password-file-readable"  // others may read the file
	ControlInside Oddity = "password-control"        // a control character, as a terminal pastes it
)

// Read fetches the password: the first line, without its line end and otherwise
// untouched. Errors never quote what was read.
func (s Secret) Read(ctx context.Context) (password string, odd []Oddity, err error) {
	switch {
	case s.File != "":
		password, odd, err = s.readFile()
	case s.Command != "":
		password, err = s.run(ctx)
	case s.Env != "":
		v, ok := os.LookupEnv(s.Env)
		if !ok {
			return "", nil, fmt.Errorf("the variable %s is not set", s.Env)
		}
		password = v
	default:
		password = s.inline
	}
	if err != nil {
		return "", nil, err
	}
	if password == "" {
		return "", nil, errors.New("the password is empty")
	}
	return password, append(odd, Oddities(password)...), nil
}

// Oddities looks at the characters of a password.
func Oddities(password string) []Oddity {
	var odd []Oddity
	if strings.TrimFunc(password, unicode.IsSpace) != password {
		odd = append(odd, EdgeSpace)
	}
	for _, r := range password {
		if r == 0xa0 || r == 0x202f || r == 0x2007 || r == 0xfeff || r == 0x200b || r == 0x2060 {
			odd = append(odd, NoBreakSpace)
			break
		}
	}
	if strings.ContainsFunc(password, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }) {
		odd = append(odd, ControlInside)
	}
	return odd
}

func (s Secret) readFile() (string, []Oddity, error) {
	f, err := os.Open(s.File)
	if err != nil {
		return "", nil, fmt.Errorf("the password file %s cannot be opened", s.File)
	}
	defer f.Close()
	var odd []Oddity
	if st, err := f.Stat(); err == nil && st.Mode().IsRegular() && runtime.GOOS != "windows" && st.Mode().Perm()&0o077 != 0 {
		odd = append(odd, FileReadable)
	}
	p, err := FirstLine(f)
	if err != nil {
		return "", nil, fmt.Errorf("the password file %s %w", s.File, err)
	}
	return p, odd, nil
}

// run takes the first line of what the command prints. Its standard error goes
// to ours, since such programs ask or complain there. A program that it leaves
// behind, as an agent that keeps its output open, holds up neither this run nor
// whoever waits for the end of our own output.
func (s Secret) run(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandPatience)
	defer cancel()
	shell, flag := "/bin/sh", "-c"
	if runtime.GOOS == "windows" {
		shell, flag = "cmd", "/c"
	}
	cmd := exec.CommandContext(ctx, shell, flag, s.Command)
	var out head
	cmd.Stdout = &out
	cmd.Stderr = struct{ io.Writer }{os.Stderr} // a pipe of its own
	cmd.WaitDelay = 200 * time.Millisecond
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return "", errors.New("the password command cannot be started")
	}
	if err := cmd.Wait(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		if ctx.Err() != nil {
			return "", fmt.Errorf("the password command has not ended after %s", time.Since(began).Round(time.Second))
		}
		return "", fmt.Errorf("the password command failed (%s)", cmd.ProcessState)
	}
	p, err := FirstLine(bytes.NewReader(out.kept))
	if err != nil {
		return "", fmt.Errorf("the password command %w", err)
	}
	return p, nil
}

// head keeps as much of an output as a password can have.
type head struct{ kept []byte }

// Write implements io.Writer.
func (h *head) Write(b []byte) (int, error) {
	h.kept = append(h.kept, b[:min(len(b), maxSecret+2-len(h.kept))]...)
	return len(b), nil
}

// FirstLine reads one line and takes its line end away, nothing else. It is for
// a reader of its own: it may read further than the line.
func FirstLine(r io.Reader) (string, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxSecret+2))
	if err != nil {
		return "", errors.New("cannot be read")
	}
	// More lines may follow, as in the files of password stores; the first one
	// is the password.
	line, _, ended := bytes.Cut(raw, []byte("\n"))
	if len(line) > maxSecret {
		return "", fmt.Errorf("gives a line of more than %d bytes", maxSecret)
	}
	if ended {
		line = bytes.TrimSuffix(line, []byte("\r"))
	}
	return string(line), nil
}

// String never shows a password.
func (s Secret) String() string {
	switch {
	case s.File != "":
		return "password file " + s.File
	case s.Command != "":
		return "password command"
	case s.Env != "":
		return "variable " + s.Env
	}
	return "[secret]"
}

// Format implements fmt.Formatter for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }
