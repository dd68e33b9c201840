package relay

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

var zeroTime = fileBegin

// fileBegin is when every scenario file begins, so that the same file gives the
// same bytes.
var fileBegin = time.Date(2026, 11, 23, 7, 40, 0, 0, time.UTC)

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func scratch() *policy.Account { return policy.NewAccount("") }

// isSyntax tells a statement that the grammar does not know from one that only
// an empty account cannot carry out: the latter speak of what an account owns.
func isSyntax(line string, err error) bool {
	var se *policy.SyntaxError
	if !errors.As(err, &se) || se.Hint != "" || strings.HasPrefix(se.Problem, "unknown") {
		return true
	}
	switch word, _, _ := strings.Cut(line, " "); word {
	case "domain", "user", "cred", "sender":
		return false
	}
	return true
}

// Judgement is what a diagnosis says about a session, for the truth of a file.
type Judgement struct {
	Verdict, Stage, Party string
	Causes                []string
	Findings              []string
}

// RunOptions shape the run of a scenario file. The zero value runs it against a
// relay of its own, in memory, with a clock that stands still.
type RunOptions struct {
	// Judge compares the truth of a file with a diagnosis of the first dialogue's
	// session; nil: only the rule of the truth is checked.
	Judge func(transcript.Session) Judgement
	// Dial reaches another server in place of the relay. Set-up statements,
	// rules and the clock cannot be carried out there: see ErrNeedsRelay.
	Dial func(ctx context.Context, port int) (net.Conn, error)
	TLS  *tls.Config // for Dial; nil: the system's authorities and no name
	// Patience is how long the runner waits for a reply, and how long silence has
	// to last for "silent"; 0: 2 s and 200 ms.
	Patience, Silence time.Duration
}

// Failure is one line of a file that did not hold.
type Failure struct {
	File    string
	Line    int
	Problem string
}

// String names file and line.
func (f Failure) String() string { return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Problem) }

// FileResult is what came of a run.
type FileResult struct {
	Failures []Failure
	// Sessions are the dialogues as their client saw them, in order.
	Sessions []transcript.Session
	// Records is the relay's own log; empty against another server.
	Records []Record
	// Updated is the file with the replies that came in its "<" and "<=" lines.
	Updated []byte
}

// OK says that every line held.
func (r *FileResult) OK() bool { return len(r.Failures) == 0 }

// ErrNeedsRelay is returned for a file that changes settings or the clock and is
// run against another server.
var ErrNeedsRelay = errors.New("the file sets up the relay's account or moves its clock, which another server does not have")

// Run carries the file out. The error is for what keeps it from being run at
// all; lines that did not hold are in the result.
func (f *File) Run(ctx context.Context, o RunOptions) (*FileResult, error) {
	if o.Patience <= 0 {
		o.Patience = 2 * time.Second
	}
	if o.Silence <= 0 {
		o.Silence = 200 * time.Millisecond
	}
	run := &fileRun{File: f, RunOptions: o, result: &FileResult{}, lines: append([]string(nil), f.lines...)}
	if o.Dial == nil {
		if err := run.start(); err != nil {
			return nil, err
		}
		defer run.relay.Close()
	} else if err := f.portable(); err != nil {
		return nil, err
	}
	for i := range f.Dialogs {
		run.dialog(ctx, &f.Dialogs[i])
	}
	run.truth()
	if run.relay != nil {
		run.relay.Close() // the log of the last session is whole after this
		run.result.Records = run.relay.Log()
	}
	run.result.Updated = []byte(strings.Join(run.lines, "\n"))
	return run.result, nil
}

// portable says whether the file can be run against a server that is not ours.
func (f *File) portable() error {
	for _, l := range f.Setup {
		if !strings.HasPrefix(l.Text, "client ") {
			return &FileError{f.Name, l.Line, ErrNeedsRelay.Error()}
		}
	}
	for _, d := range f.Dialogs {
		for _, s := range d.Steps {
			if s.kind == "" {
				return &FileError{f.Name, s.line, ErrNeedsRelay.Error()}
			}
		}
	}
	return nil
}

type fileRun struct {
	*File
	RunOptions
	relay  *Relay
	clock  *Manual
	result *FileResult
	lines  []string
	c      *caller
	last   string // the last reply, lines joined
	gone   bool
	data   bool // the server waits for a message
}

func (r *fileRun) fail(line int, format string, args ...any) {
	r.result.Failures = append(r.result.Failures, Failure{r.Name, line, fmt.Sprintf(format, args...)})
}

// start makes the relay of the file.
func (r *fileRun) start() error {
	r.clock = NewManual(fileBegin)
	w := &policy.World{Account: policy.NewAccount("")}
	now := fileBegin
	for _, l := range r.Setup {
		lines, at := []string{l.Text}, now
		if l.Text == "healthy" {
			lines, at = BaseStatements(), now.Add(-24*time.Hour)
		} else if name, ok := strings.CutPrefix(l.Text, "scenario "); ok {
			s, found := FindScenario(strings.TrimSpace(name))
			if !found {
				return &FileError{r.Name, l.Line, fmt.Sprintf("no scenario %q", name)}
			}
			lines = s.Setup
		}
		for _, line := range lines {
			res, err := w.Apply(line, at)
			if err != nil {
				return &FileError{r.Name, l.Line, err.Error()}
			}
			now = now.Add(res.Advance)
			at = at.Add(res.Advance)
		}
	}
	r.clock.Advance(now.Sub(fileBegin))
	r.relay = New(w.Account, InMemory(), WithClock(r.clock))
	return r.relay.Start()
}

// connect opens the session of a dialogue.
func (r *fileRun) connect(ctx context.Context, d *FileDialog) error {
	client := d.Client
	if !client.IsValid() {
		client = netip.AddrFrom4([4]byte{203, 0, 113, 9})
	}
	var conn net.Conn
	var err error
	if r.Dial != nil {
		conn, err = r.Dial(ctx, d.Port)
	} else {
		ctx, cancel := context.WithTimeout(ctx, r.Patience)
		defer cancel()
		conn, err = r.relay.DialFrom(ctx, client, d.Port)
	}
	if err != nil {
		return err
	}
	r.c = &caller{
		conn: conn, r: bufio.NewReader(conn), began: time.Now(),
		Attempt: Attempt{Client: policy.Client{Host: DefaultServerName, Port: d.Port}, Patience: r.Patience},
		session: transcript.Session{Source: "scenario", Server: DefaultServerName, Address: memoryHost, Port: d.Port, Began: fileBegin},
	}
	if r.relay != nil {
		r.c.server, r.c.clock = r.relay, r.relay.clock
	}
	r.last, r.gone, r.data = "", false, false
	return nil
}

// hangUp ends the session and keeps its transcript.
func (r *fileRun) hangUp() {
	if r.c != nil {
		r.c.conn.Close()
		r.result.Sessions = append(r.result.Sessions, r.c.session)
		r.c = nil
	}
}

func (r *fileRun) dialog(ctx context.Context, d *FileDialog) {
	defer r.hangUp()
	r.play(ctx, d, d.Steps, false)
	for i, s := range d.Steps {
		if s.kind != "again" {
			continue
		}
		// Once more: the lines up to the last one that says something, then what
		// stands behind "again".
		end := 0
		for j, p := range d.Steps[:i] {
			if p.kind == ">" || p.kind == "raw" || p.kind == "tls" {
				end = j + 1
			}
		}
		var steps []fileStep
		for _, p := range d.Steps[:end] {
			switch p.kind {
			case ">", "raw", "tls", "<", "<=", "<~":
				steps = append(steps, p)
			}
		}
		r.hangUp()
		r.play(ctx, d, steps, true)
		if r.c == nil {
			return
		}
		r.steps(nextUntilAgain(d.Steps[i+1:]), true)
	}
}

func nextUntilAgain(steps []fileStep) []fileStep {
	for i, s := range steps {
		if s.kind == "again" {
			return steps[:i]
		}
	}
	return steps
}

// play opens a connection and walks through the steps up to "again".
func (r *fileRun) play(ctx context.Context, d *FileDialog, steps []fileStep, again bool) {
	if err := r.connect(ctx, d); err != nil {
		r.fail(d.Line, "no connection to port %d", d.Port)
		return
	}
	if len(steps) == 0 || !strings.HasPrefix(steps[0].kind, "<") && steps[0].kind != "silent" && steps[0].kind != "closed" {
		if x := r.read(transcript.StageGreet, ""); x.Reply.Code != 220 {
			r.fail(d.Line, "the greeting is %s", shown(r.last, x))
		}
	}
	r.steps(nextUntilAgain(steps), again)
}

// read takes the next reply.
func (r *fileRun) read(stage transcript.Stage, command string) transcript.Exchange {
	x := r.c.say(stage, "", command)
	r.last = strings.Join(x.Reply.Lines, "|")
	r.gone = x.Fault == transcript.FaultClosed || x.Fault == transcript.FaultReset
	r.data = x.Reply.Code == 354
	return x
}

func shown(last string, x transcript.Exchange) string {
	if last != "" {
		return fmt.Sprintf("%q", last)
	}
	if x.Detail != "" {
		return "none: " + x.Detail
	}
	return "none"
}

// steps walks through lines of a dialogue on the open connection. again says
// that they were walked before: their "<" lines are not rewritten then.
func (r *fileRun) steps(steps []fileStep, again bool) {
	var said []string // commands whose replies are still to come
	for _, s := range steps {
		switch s.kind {
		case ">":
			line, err := expand(s.text)
			if err != nil {
				r.fail(s.line, "%v", err)
				return
			}
			_ = r.c.conn.SetDeadline(time.Now().Add(r.Patience))
			_, _ = io.WriteString(r.c.conn, line+"\r\n")
			switch {
			case !r.data:
				said = append(said, masked(s.text, line))
			case line == ".":
				said, r.data = append(said, "."), false
			}
		case "raw":
			_ = r.c.conn.SetDeadline(time.Now().Add(r.Patience))
			_, _ = io.WriteString(r.c.conn, s.text)
			said = append(said, strings.TrimRight(printable(s.text), "?"))
		case "<", "<=", "<~":
			command := ""
			if len(said) > 0 {
				command, said = said[0], said[1:]
			}
			stage := transcript.StageOf(command)
			if stage == transcript.StageUnknown {
				stage = r.c.session.Furthest()
			}
			x := r.read(stage, command)
			if !s.matches(r.last) {
				r.fail(s.line, "the reply to %q is %s", command, shown(r.last, x))
			}
			if !again {
				r.rewrite(s, x.Reply)
			}
			if x.Reply.Code == 354 || x.Reply.Code == 0 {
				said = nil // what was said as one group ends here
			}
		case "tls":
			said = nil
			r.handshake(s)
		case "closed":
			if !r.gone {
				x := r.read(r.c.session.Furthest(), "")
				if !r.gone {
					r.fail(s.line, "the connection is open, and the server says %s", shown(r.last, x))
				}
			}
		case "silent":
			r.silent(s)
		case "close":
			r.c.conn.Close()
		case "rule":
			r.rule(s)
		case "":
			if _, err := r.relay.Apply(s.text); err != nil {
				r.fail(s.line, "%v", err)
			}
		}
	}
}

// masked is how a line is shown in a transcript: one that held a placeholder or
// answers a challenge holds a secret.
func masked(text, line string) string {
	if before, _, ok := strings.Cut(text, "${"); ok {
		return before + "[secret-1]"
	}
	return mask(line, parseCommand(line))
}

func (s *fileStep) matches(reply string) bool {
	switch s.kind {
	case "<=":
		return reply == s.text
	case "<~":
		return s.re.MatchString(reply)
	}
	return reply != "" && strings.HasPrefix(reply, s.text)
}

// rewrite puts the reply that came into its line.
func (r *fileRun) rewrite(s fileStep, reply transcript.Reply) {
	if s.kind == "<~" || len(reply.Lines) == 0 {
		return
	}
	text := strings.Join(reply.Lines, "|")
	if s.kind == "<" {
		text = fmt.Sprint(reply.Code)
		if reply.Enhanced != "" && strings.Contains(s.text, ".") {
			text += " " + reply.Enhanced
		}
	}
	r.lines[s.line-1] = s.kind + " " + text
}

func (r *fileRun) handshake(s fileStep) {
	how, problem, _ := strings.Cut(s.text, " ")
	ok := false
	r.c.strict, r.c.anyChain = how != "any", how == "any"
	if r.relay != nil {
		ok = r.c.handshake()
	} else {
		config := r.TLS
		if config == nil {
			config = &tls.Config{}
		}
		config = config.Clone()
		config.InsecureSkipVerify = config.InsecureSkipVerify || how == "any"
		conn := tls.Client(r.c.conn, config)
		_ = r.c.conn.SetDeadline(time.Now().Add(r.Patience))
		if err := conn.Handshake(); err == nil {
			ok = true
			r.c.conn, r.c.r, r.c.secure = conn, bufio.NewReader(conn), true
		} else {
			fault, p, detail := handshakeFault(err)
			r.c.session.TLS = &transcript.TLS{Problem: p}
			r.c.add(transcript.Exchange{Stage: transcript.StageTLS, Fault: fault, Detail: detail})
		}
	}
	switch {
	case how != "fail" && !ok:
		r.fail(s.line, "the handshake failed: %s", r.c.session.TLS.Problem)
	case how == "fail" && ok:
		r.fail(s.line, "the handshake succeeded")
	case how == "fail" && problem != "" && r.c.session.TLS.Problem != problem:
		r.fail(s.line, "the handshake failed by %s", r.c.session.TLS.Problem)
	}
}

// silent expects that nothing comes for a while.
func (r *fileRun) silent(s fileStep) {
	_ = r.c.conn.SetReadDeadline(time.Now().Add(r.Silence))
	b, err := r.c.r.Peek(1)
	switch {
	case err == nil:
		r.fail(s.line, "the server says something: %q", string(b)+"…")
	case !isTimeout(err):
		r.fail(s.line, "the connection was closed")
	default:
		r.c.add(transcript.Exchange{Stage: r.c.session.Furthest(), Fault: transcript.FaultTimeout, Detail: "no whole reply came in time"})
	}
}

// rule compares the rule that the relay's own log names for the last reply.
func (r *fileRun) rule(s fileStep) {
	if r.relay == nil {
		return
	}
	log := r.relay.Log()
	if len(log) == 0 {
		r.fail(s.line, "the relay's log is empty")
		return
	}
	ds := log[len(log)-1].Decisions
	if len(ds) == 0 || string(ds[len(ds)-1].Rule) != s.text {
		got := policy.RuleID("none")
		if len(ds) > 0 {
			got = ds[len(ds)-1].Rule
		}
		r.fail(s.line, "the relay decided by rule %s", got)
	}
}

// truth compares what the file claims with the log and with a diagnosis.
func (r *fileRun) truth() {
	t := r.Truth
	if t == nil {
		return
	}
	line := 0
	for i, l := range r.File.lines {
		if head, ok := sectionHead(strings.TrimSpace(l)); ok && head == "truth" {
			line = i + 1
		}
	}
	if r.relay != nil && t.Rule != "" {
		var decided Decision
		for _, rec := range r.relay.Log() {
			if d, i := rec.Decided(); i >= 0 {
				decided = d
				break
			}
		}
		if decided.Rule != t.Rule {
			r.fail(line, "the first refusal was by rule %q, the truth says %q", decided.Rule, t.Rule)
		}
	}
	if r.Cite != "" && t.Rule != "" {
		var rests []string
		for _, row := range policy.Rules(t.Rule) {
			rests = append(rests, row.Basis...)
		}
		if !slices.Contains(rests, r.Cite) {
			r.fail(line, "rule %s rests on %s, not on %s", t.Rule, strings.Join(rests, ", "), r.Cite)
		}
	}
	if r.Judge == nil || len(r.result.Sessions) == 0 {
		return
	}
	j := r.Judge(r.result.Sessions[0])
	for _, c := range []struct{ what, got, want string }{
		{"verdict", j.Verdict, t.Verdict}, {"stage", j.Stage, t.Stage}, {"party", j.Party, t.Party},
	} {
		if c.want != "" && c.got != c.want {
			r.fail(line, "the diagnosis says %s %q, the truth says %q", c.what, c.got, c.want)
		}
	}
	if len(t.Causes) > 0 {
		missing := true
		for _, c := range j.Causes {
			missing = missing && c != t.Causes[0]
			if !slices.Contains(t.Causes, c) {
				r.fail(line, "the diagnosis names %s, which the truth does not allow", c)
			}
		}
		if missing {
			r.fail(line, "the diagnosis does not name %s", t.Causes[0])
		}
	}
}
