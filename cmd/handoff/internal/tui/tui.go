// Package tui is the terminal program: screens to probe a relay, to read a
// pasted bounce, log or transcript, to practise on the reference relay and to
// look back at earlier runs.
//
// It draws and takes keys; it neither speaks SMTP nor judges nor writes
// reports: all of that comes through Backend. Everything a server or a paste
// contains is escaped before it is drawn. It is the only importer of Bubble
// Tea (charm.land/bubbletea/v2, which is github.com/charmbracelet/bubbletea).
package tui

import (
	"context"
	"io"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe"
)

// Form is what the probe form asks for. The password lives here and in the
// probe only: it is never drawn, saved, copied or exported.
type Form struct {
	Host       string // empty with Bundled
	Bundled    bool   // probe the reference relay in this process
	Port25     bool
	Port587    bool
	HELO       string
	User       string
	Password   string
	From       string
	To         string
	Intent     analyze.Intent
	StopAfter  transcript.Stage
	Timeout    time.Duration
	Deadline   time.Duration
	SkipVerify bool // record a certificate fault and go on, without AUTH
}

// Run is what a probe or an analysis leaves: the report, and what is needed to
// show and export it.
type Run struct {
	Report *analyze.Report
	// Sessions are the recorded dialogues of a probe; nil for an analysis.
	Sessions []transcript.Session
	// Text is the input of an analysis, secrets replaced; empty for a probe.
	Text string
	Took time.Duration
	When time.Time
	Form Form // of a probe, without its password
}

// Relay is the state of the reference relay as the Relay screen shows it.
type Relay struct {
	Running   bool
	Addresses map[int]string // logical port → address
	CAFile    string
	Username  string
	Password  string // of the practice account
	From      string
	Since     time.Time
	Clock     time.Time // the relay's own clock, which can be moved
	Faults    []string  // presets that are on
	Log       []RelayEntry
	Settings  []string // the account as statements of the grammar
}

// RelayEntry is one session in the relay's log.
type RelayEntry struct {
	ID      string
	Port    int
	Client  string
	Session transcript.Session
	Rules   []string // beside each exchange: the rule that decided, "" where none did
	Cites   []string // the statement of the article behind each rule
}

// Scenario is a preset of the reference relay.
type Scenario struct {
	Name, Title string
}

// Backend does the work that the screens ask for. Its methods may be called
// from any goroutine.
type Backend interface {
	// Probe runs a probe to its end or until ctx is done and calls observe with
	// each step. It returns what is known, also when it was cancelled.
	Probe(ctx context.Context, f Form, observe func(probe.Event)) (Run, error)
	// Analyze reads one text; source names it.
	Analyze(ctx context.Context, text []byte, source string) (Run, error)
	// AnalyzePath reads a file, folder, mbox or Maildir: one Run a message.
	AnalyzePath(ctx context.Context, path string, each func(Run)) error
	// Markdown writes a report as a ticket; finding < 0 means the whole.
	Markdown(r Run, finding int, strict bool) string
	// Commands are the equal command lines, without a secret.
	Commands(f Form) []string
	// Export writes the run under the state folder and returns the path.
	Export(r Run) (path string, err error)
	// SaveCopy writes text that no clipboard took to a file.
	SaveCopy(text string) (path string, err error)

	RelayStart() error
	RelayStop() error
	RelayState() Relay
	RelayScenarios() []Scenario
	RelaySet(names []string) error                 // these presets and no others
	RelayCommand(statement string) (string, error) // one statement of the grammar

	History() []Run
	Remember(Run)
}

// Options are how the program starts.
type Options struct {
	Backend Backend
	Version string
	Input   io.Reader // nil: the terminal
	Output  io.Writer // nil: the terminal
	// Environment is the program's environment; nil: the process's.
	Environment []string
	Form        Form // first values of the probe form
	Now         func() time.Time
}

// Result is what is left for the normal screen after quitting.
type Result struct {
	Last    *Run
	Written string // path of the last file written, if any
}

// Start shows the screens until the user quits. The error is one of ours or of
// the terminal; what servers and mails do is in the screens.
func Start(ctx context.Context, o Options) (Result, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	m := newModel(ctx, o)
	opts := []tea.ProgramOption{tea.WithContext(ctx)}
	if o.Input != nil {
		opts = append(opts, tea.WithInput(o.Input))
	}
	if o.Output != nil {
		opts = append(opts, tea.WithOutput(o.Output))
	}
	if o.Environment != nil {
		opts = append(opts, tea.WithEnvironment(o.Environment))
	}
	p := tea.NewProgram(m, opts...)
	m.send = p.Send
	_, err := p.Run()
	m.stop()
	return Result{Last: m.last, Written: m.written}, err
}
