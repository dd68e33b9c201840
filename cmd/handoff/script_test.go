package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain registers the program itself as a command of the scripts.
func TestMain(m *testing.M) {
	if os.Getenv("HANDOFF_TEST_MAIN") != "" {
		main() // the test binary plays the program
	}
	testscript.Main(m, map[string]func(){"handoff": main})
}

// TestScripts runs the program from outside: exit code, stdout, stderr. With
// UPDATE_SCRIPTS=1 the cmp files in the scripts are rewritten.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			// Nothing of the machine that runs the test gets in.
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("XDG_RUNTIME_DIR", filepath.Join(e.WorkDir, "run"))
			e.Setenv("XDG_STATE_HOME", filepath.Join(e.WorkDir, "state"))
			e.Setenv("XDG_CONFIG_HOME", filepath.Join(e.WorkDir, "config"))
			e.Setenv("TERM", "xterm")
			return os.Mkdir(filepath.Join(e.WorkDir, "run"), 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":   code,
			"clean":  clean,
			"absent": absent,
			"bytes":  writeBytes,
			"chmod":  chmod,
			"getkey": getKey,
			"await":  await,
			"port":   freePort,
			"subst":  subst,

			"getline":    getLine,
			"secretfile": secretFile,
			"fetch":      fetch,
			"hangup":     hangUp,
			"mode":       mode,
		},
	})
}

// code N COMMAND… runs a command and wants exactly this exit code.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if err != nil {
		m := regexp.MustCompile(`exit status (\d+)`).FindStringSubmatch(err.Error())
		if m == nil {
			ts.Fatalf("%s: %v", strings.Join(args[1:], " "), err)
		}
		got, _ = strconv.Atoi(m[1])
	}
	if got != want {
		ts.Fatalf("%s: exit code %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// clean FILE… wants valid UTF-8 without a control character but line ends:
// nothing in it can steer a terminal.
func clean(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		text := ts.ReadFile(name)
		if !utf8.ValidString(text) {
			ts.Fatalf("%s: not UTF-8", name)
		}
		for i, r := range text {
			if r == '\n' || !unicode.IsControl(r) && !unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
				continue
			}
			ts.Fatalf("%s: %U raw at %d: %q", name, r, i, text[max(0, i-40):min(len(text), i+40)])
		}
	}
}

// absent TEXT FILE… wants a text in none of the files, raw, base64 or reversed.
func absent(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: absent TEXT FILE...")
	}
	for _, name := range args[1:] {
		text := ts.ReadFile(name)
		for form, s := range forms(args[0]) {
			if strings.Contains(text, s) {
				ts.Fatalf("%s holds the secret as %s", name, form)
			}
		}
	}
}

// bytes FILE QUOTED… writes Go-quoted strings, so that a script can hold any
// byte; a word such as 1000x"ab" repeats one.
func writeBytes(ts *testscript.TestScript, neg bool, args []string) {
	var b bytes.Buffer
	for _, a := range args[1:] {
		n := 1
		if count, rest, ok := strings.Cut(a, "x\""); ok && count != "" && strings.Trim(count, "0123456789") == "" {
			n, _ = strconv.Atoi(count)
			a = "\"" + rest
		}
		s, err := strconv.Unquote(a)
		if err != nil {
			ts.Fatalf("%s: %v", a, err)
		}
		b.WriteString(strings.Repeat(s, n))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b.Bytes(), 0o600))
}

// chmod MODE FILE changes a mode.
func chmod(ts *testscript.TestScript, neg bool, args []string) {
	mode, err := strconv.ParseUint(args[0], 8, 32)
	ts.Check(err)
	ts.Check(os.Chmod(ts.MkAbs(args[1]), os.FileMode(mode)))
}

// await GLOB waits until a file of that name is there; await URL [TEXT] until it
// answers 200, with that text in it: a program that runs in the background has
// come so far.
func await(ts *testscript.TestScript, neg bool, args []string) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 12000 { // two minutes: a hang detector
		if strings.HasPrefix(args[0], "http") {
			if status, body, err := getURL(args[0]); err == nil && status == 200 && (len(args) < 2 || strings.Contains(body, args[1])) {
				return
			}
		} else if all, _ := filepath.Glob(ts.MkAbs(args[0])); len(all) > 0 {
			return
		}
		<-tick.C
	}
	ts.Fatalf("%s never came", args[0])
}

func getURL(url string) (int, string, error) {
	res, err := http.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

// fetch STATUS URL gets a page, which stands in stdout then.
func fetch(ts *testscript.TestScript, neg bool, args []string) {
	status, body, err := getURL(args[1])
	ts.Check(err)
	if strconv.Itoa(status) != args[0] {
		ts.Fatalf("%s: status %d, want %s\n%s", args[1], status, args[0], body)
	}
	if _, err := io.WriteString(ts.Stdout(), body); err != nil {
		ts.Fatalf("%v", err)
	}
}

// hangup NAME sends SIGHUP to a command in the background.
func hangUp(ts *testscript.TestScript, neg bool, args []string) {
	for _, c := range ts.BackgroundCmds() {
		if strings.Contains(strings.Join(c.Args, " "), args[0]) {
			ts.Check(c.Process.Signal(syscall.SIGHUP))
			return
		}
	}
	ts.Fatalf("no command %s in the background", args[0])
}

// getline REGEXP VARIABLE sets a variable to the first group of a match in
// stdout.
func getLine(ts *testscript.TestScript, neg bool, args []string) {
	m := regexp.MustCompile(args[0]).FindStringSubmatch(ts.ReadFile("stdout"))
	if m == nil {
		ts.Fatalf("stdout has no %s", args[0])
	}
	ts.Setenv(args[1], m[1])
}

// secretfile FILE TEXT writes a file of mode 0600.
func secretFile(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(args[1]+"\n"), 0o600))
}

// mode MODE FILE wants a file to have exactly these rights.
func mode(ts *testscript.TestScript, neg bool, args []string) {
	st, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", st.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// given are the ports that scripts have: two that run at once never get the same.
var given sync.Map

// port VARIABLE… sets each variable to a port of loopback that is free just now,
// below the range from which the system gives ports to others.
func freePort(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		for range 1000 {
			port := strconv.Itoa(10000 + rand.IntN(20000))
			l, err := net.Listen("tcp", "127.0.0.1:"+port)
			if err != nil {
				continue
			}
			defer l.Close()
			if _, taken := given.LoadOrStore(port, true); taken {
				continue
			}
			ts.Setenv(name, port)
			break
		}
		if ts.Getenv(name) == "" {
			ts.Fatalf("no free port")
		}
	}
}

// subst FILE… replaces $VARIABLE in files.
func subst(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(os.Expand(ts.ReadFile(name), ts.Getenv)), 0o600))
	}
}

// getkey FILE KEY VARIABLE sets a variable to the first "KEY":"value" of a file
// of JSON.
func getKey(ts *testscript.TestScript, neg bool, args []string) {
	m := regexp.MustCompile(fmt.Sprintf(`"%s":\s*"([^"]*)"`, regexp.QuoteMeta(args[1]))).FindStringSubmatch(ts.ReadFile(args[0]))
	if m == nil {
		ts.Fatalf("%s has no key %s", args[0], args[1])
	}
	ts.Setenv(args[2], m[1])
}
