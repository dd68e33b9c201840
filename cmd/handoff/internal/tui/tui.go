// Package tui is the terminal program: screens to probe a relay, to read a
// pasted bounce, log or transcript, to practise on the reference relay, to look
// back at earlier runs and to narrow causes down question by question.
//
// It draws and takes keys; it neither speaks SMTP nor judges nor writes
// reports: all of that comes through Backend. Everything a server or a paste
// contains is escaped before it is drawn. It is the only importer of Bubble
// Tea (charm.land/bubbletea/v2, which is github.com/charmbracelet/bubbletea).
package tui

import (
	"context"
	"io"
	"os"
	"runtime"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe"
)

// StepLimit is how long a step of a probe waits for its answer.
const StepLimit = 30 * time.Second

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
	Timeout    time.Duration // of each step; 0: StepLimit
	Deadline   time.Duration
	MadeAgo    time.Duration // age of the user name and password; 0: not known
	SkipVerify bool          // record a certificate fault and go on, without AUTH
}

// Run is what a probe or an analysis leaves: the report, and what is needed to
// show and export it.
type Run struct {
	Report *analyze.Report
	// Sessions are the recorded dialogues of a probe; nil for an analysis.
	Sessions []transcript.Session
	// LiveAt is when the setting that the run met too early works, by the clock
	// of this program; zero: not known.
	LiveAt time.Time
	// Text is the input of an analysis, secrets replaced; empty for a probe.
	Text string
	Took time.Duration
	When time.Time
	Form Form // of a probe, without its password
}

// Relay is the state of the reference relay as the Relay screen shows it.
type Relay struct {
	Running   bool           // it listens on loopback for other programs
	Addresses map[int]string // logical port → address
	Since     time.Time
	// The sending system that probes of the bundled relay play: its login, and
	// the sender of its mail.
	Username string
	Password string
	From     string
	Now      time.Time     // by the relay's own clock
	Ahead    time.Duration // how far that clock was moved on
	Presets  []string      // that are on
	Log      []RelayEntry  // oldest first
	Account  RelayAccount
}

// RelayAccount is the account that the relay serves.
type RelayAccount struct {
	Propagation time.Duration // how long a change takes to be live
	Credentials []RelayCredential
	Users       []RelayUser
	Domains     []RelayDomain
	Servers     []RelayServer
	Warnings    []string // what the article advises against
}

// RelayCredential is a pair of the account, without its password.
type RelayCredential struct {
	ID, Label, Username string
	State               string    // pending, active, leaving, deleted
	Until               time.Time // of pending and leaving: when that ends
}

// RelayUser is an address that the service knows.
type RelayUser struct {
	Address, Kind string
	Aliases       []string
	LiveAt        time.Time
	Invalid       bool // on the Marked invalid list
}

// RelayDomain is a domain of the account with its switches.
type RelayDomain struct {
	Name     string
	Switches []RelaySwitch
	LiveAt   time.Time
}

// RelaySwitch is one switch of a domain.
type RelaySwitch struct {
	Name string // as the grammar of settings calls it
	On   bool
	Says string
}

// RelayServer is an address range that may relay on port 25.
type RelayServer struct {
	What   string
	LiveAt time.Time
}

// Login is a user name and password as they are shown, once. It prints as a
// token.
type Login struct{ Username, Password string }

// String never shows the password.
func (Login) String() string { return "[login shown once]" }

// GoString never shows the password, under %#v either.
func (l Login) GoString() string { return l.String() }

// RelayEntry is one session in the relay's log.
type RelayEntry struct {
	ID      string
	Port    int
	Client  string
	Login   string // user name that logged in; empty: nobody
	Open    bool   // the connection still stands
	Session transcript.Session
	Rules   []string // beside each exchange: the rule that decided, "" where none did
	Cites   []string // what is behind each rule: the statement of the article, in words
	// Decided is the exchange that was not accepted first, -1: none.
	Decided int
}

// Symptom is what somebody can tell who has neither a text nor a host.
type Symptom struct{ ID, Words string }

// Told is one thing that a diagnosis is told: a symptom, what a probe or a text
// showed, or what a test showed.
type Told struct {
	Symptom string // its ID
	Run     *Run   // a probe or an analysis; with Test: the try
	Test    string // ID of the test
	Shown   string // what it showed; empty: nobody knows
	By      string // "handoff": the test was made from here
	// Seen is what a try ended in; nil: it was a look, or it decided nothing.
	Seen *analyze.Observation
	Note string // of a try that decided nothing: why
}

// Guide is where a diagnosis stands.
type Guide struct {
	Steps  []GuideStep // one for each thing told, in its order
	Sets   int         // explanations that are left
	Causes []analyze.Cause
	Test   *analyze.CatalogueTest // that splits them best for its cost; nil: none does
	// Run is the first thing that was seen, with the report of the diagnosis.
	Run Run
}

// GuideStep is what came of one thing told.
type GuideStep struct {
	Words         string
	Before, After int // explanations that fit before and after it; Before 0: it was the first
	Note          string
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
	// Hops are the Received lines of the mail that a text returns, in the order
	// of the text.
	Hops(text string) []Hop
	// Markdown writes the report of a run as a ticket; with strict, personal
	// data is replaced.
	Markdown(r Run, strict bool) string
	// Symptoms are what a diagnosis can begin with where there is nothing else.
	Symptoms() []Symptom
	// Diagnose tells a diagnosis all this from its beginning.
	Diagnose(told []Told) Guide
	// Try makes the test that the diagnosis proposes, as far as it can be made
	// from here, against the relay of the form. The error says why it cannot.
	Try(ctx context.Context, told []Told, f Form, observe func(probe.Event)) (Told, error)
	// Commands are the equal command lines, without a secret.
	Commands(f Form) []string
	// Export writes the run under the state folder and returns the path.
	Export(r Run) (path string, err error)
	// SaveCopy writes text that no clipboard took to a file.
	SaveCopy(text string) (path string, err error)

	// RelayStart opens the relay to other programs on loopback, RelayStop closes
	// it to them; account and clock stay as they are.
	RelayStart() error
	RelayStop() error
	RelayState() Relay
	RelayScenarios() []Scenario
	// RelaySet makes the account anew, with these presets and no others.
	RelaySet(names []string) error
	// RelayDo carries out one change, as words of the grammar of settings:
	// "user", "add", "a@b.example", "--kind=functional".
	RelayDo(words ...string) error
	// RelayAsk carries out one statement of the grammar as it was typed and
	// returns its answer.
	RelayAsk(statement string) (string, error)
	// RelayGenerate is Generate Password for a new credential of a label: the
	// pair is stored by RelaySave only, and from then on probes of the bundled
	// relay use it.
	RelayGenerate(label string) (Login, error)
	RelaySave(label string, l Login) error

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
	First       bool // nothing was ever run here: say what one sees
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
	m := newModel(ctx, o)
	// The renderer looks for changes that often, in idleness too: two thirds of
	// its usual 60 are enough for eyes and cost less.
	opts := []tea.ProgramOption{tea.WithContext(ctx), tea.WithFPS(40)}
	switch {
	case o.Input != nil:
		opts = append(opts, tea.WithInput(&burstReader{src: o.Input, now: time.Now}))
	case runtime.GOOS != "windows": // whose console does not hand out bytes
		in := newWatchedInput(os.Stdin, time.Now)
		m.lost = in.lost.Load
		opts = append(opts, tea.WithInput(in))
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
