package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
	"github.com/smtp-handoff/handoff/probe/relay"
	"github.com/smtp-handoff/handoff/probe/relay/bounce"
)

// The control of a running relay: one line of JSON asked, one line answered,
// over a socket in a folder that only its user can enter.

// maxAsk bounds a request, maxAnswer an answer (the log holds 8 MB of text).
const (
	maxAsk    = 64 << 10
	maxAnswer = 64 << 20
)

// controlPatience is how long either side waits for the other.
const controlPatience = 10 * time.Second

type ask struct {
	Command   string `json:"command"` // account, log, why, ndr, messages, counters, stop
	Statement string `json:"statement,omitempty"`
	Session   string `json:"session,omitempty"`
	Family    string `json:"family,omitempty"` // of the report that ndr composes
	Paste     string `json:"paste,omitempty"`  // what people did to it
	Kept      bool   `json:"kept,omitempty"`   // a report of what the system still keeps is none
	Delay     bool   `json:"delay,omitempty"`  // the warning that comes before it
	JSON      bool   `json:"json,omitempty"`
}

type answer struct {
	Error    string          `json:"error,omitempty"`
	Lines    []string        `json:"lines,omitempty"`
	Text     string          `json:"text,omitempty"`     // a document, as it is
	Username string          `json:"username,omitempty"` // of a new credential,
	Password string          `json:"password,omitempty"` // once
	Data     json.RawMessage `json:"data,omitempty"`
}

// controlServer answers for one relay.
type controlServer struct {
	relay    *relay.Relay
	state    string
	stop     func()
	listener net.Listener
	once     sync.Once
	work     sync.WaitGroup
	saving   sync.Mutex
}

func (s *controlServer) listen(path string) error {
	_ = os.Remove(path)
	var err error
	if s.listener, err = net.Listen("unix", path); err != nil {
		return err
	}
	_ = os.Chmod(path, 0o600)
	s.work.Go(func() {
		for {
			c, err := s.listener.Accept()
			if err != nil {
				if errors.Is(err, net.ErrClosed) {
					return
				}
				continue
			}
			s.work.Go(func() { s.serve(c) })
		}
	})
	return nil
}

func (s *controlServer) close() {
	s.once.Do(func() {
		_ = s.listener.Close()
		s.work.Wait()
	})
}

func (s *controlServer) serve(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(controlPatience))
	line, err := bufio.NewReader(io.LimitReader(c, maxAsk)).ReadBytes('\n')
	if err != nil {
		return
	}
	var q ask
	a := answer{}
	if err := json.Unmarshal(line, &q); err != nil {
		a.Error = "the request is no JSON"
	} else {
		a = s.answer(q)
	}
	raw, err := json.Marshal(a)
	if err != nil {
		return
	}
	_, _ = c.Write(append(raw, '\n'))
	if q.Command == "stop" {
		s.stop()
	}
}

func (s *controlServer) answer(q ask) answer {
	switch q.Command {
	case "account":
		res, err := s.relay.Apply(q.Statement)
		if err != nil {
			return answer{Error: err.Error()}
		}
		a := answer{Lines: res.Lines}
		if res.Shown != nil {
			a.Username, a.Password = res.Shown.Username, res.Shown.Password
		}
		if s.state != "" {
			s.saving.Lock()
			err := saveState(s.state, s.relay)
			s.saving.Unlock()
			if err != nil {
				return answer{Error: err.Error()}
			}
		}
		return a
	case "log":
		records := s.relay.Log()
		if q.JSON {
			return withData(records)
		}
		var lines []string
		for i := range records {
			lines = append(lines, recordLines(&records[i])...)
		}
		return answer{Lines: lines}
	case "why":
		r, ok := s.relay.Session(q.Session)
		if !ok {
			return answer{Error: fmt.Sprintf("the log has no session %q", q.Session)}
		}
		if q.JSON {
			return withData(r)
		}
		return answer{Lines: whyLines(&r)}
	case "ndr":
		r, ok := s.relay.Session(q.Session)
		if !ok {
			return answer{Error: fmt.Sprintf("the log has no session %q", q.Session)}
		}
		info, ok := bounce.Find(q.Family)
		if !ok {
			return answer{Error: fmt.Sprintf("no system is called %q; there are %s", q.Family, strings.Join(families(), ", "))}
		}
		return s.report(info.Family, &r, q)
	case "messages":
		messages := s.relay.Messages()
		if q.JSON {
			return withData(messages)
		}
		var lines []string
		for _, m := range messages {
			lines = append(lines, fmt.Sprintf("%s  session %s, port %d, from <%s> to %s, %d bytes, not delivered",
				m.QueueID, m.Session, m.Port, m.Sender, strings.Join(m.Recipients, ", "), m.Bytes))
		}
		return answer{Lines: lines}
	case "counters":
		c := s.relay.Counters()
		if q.JSON {
			return withData(c)
		}
		return answer{Lines: counterLines(c)}
	case "stop":
		return answer{Lines: []string{"the relay ends"}}
	}
	return answer{Error: "unknown command"}
}

// report composes what a mail system would have written about a session; about a
// message that the relay took, what its next hop did to it.
func (s *controlServer) report(family bounce.Family, r *relay.Record, q ask) answer {
	o := bounce.Options{Expired: !q.Kept, Delay: q.Delay}
	if family == bounce.Service {
		for _, m := range s.relay.Messages() {
			if m.Session == r.ID && m.Fate != nil {
				o.Next = &bounce.Next{Host: m.Fate.Host, Address: m.Fate.Address, Reply: m.Fate.Reply, Delayed: m.Fate.Delayed}
			}
		}
		if o.Next == nil {
			return answer{Error: "the service reports about a later hop only, and no message of this session met one: set the fault downstream-refuses, or send to bounce-550@fault.test"}
		}
	}
	text, err := bounce.Compose(family, r.Session, o)
	if err == nil && q.Paste != "" {
		text, err = bounce.Mutate(text, q.Paste)
	}
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Text: string(text)}
}

// pastes are the names of what people and programs do to a report.
func pastes() string {
	var out []string
	for _, m := range bounce.Mutators() {
		out = append(out, m.Name)
	}
	return strings.Join(out, ", ")
}

// families are the systems whose reports can be composed.
func families() []string {
	var out []string
	for _, f := range bounce.Families() {
		out = append(out, string(f.Family))
	}
	return out
}

func withData(v any) answer {
	raw, err := json.Marshal(v)
	if err != nil {
		return answer{Error: "the answer cannot be encoded"}
	}
	return answer{Data: raw}
}

// recordLines is one session of the log: each exchange with the rule that
// decided it.
func recordLines(r *relay.Record) []string {
	head := fmt.Sprintf("session %s  port %d  from %s  %s", r.ID, r.Session.Port, r.Client, r.Session.Began.UTC().Format(time.RFC3339))
	if r.Login != "" {
		head += "  login " + r.Login
	}
	if r.Open {
		head += "  open"
	}
	lines := []string{head}
	for i, x := range r.Session.Exchanges {
		if x.Command != "" {
			lines = append(lines, "  C: "+x.Command)
		}
		d := r.Decisions[i]
		for j, l := range x.Reply.Lines {
			row := "  S: " + l
			if j == len(x.Reply.Lines)-1 && d.Rule != "" {
				row += fmt.Sprintf("   [%s: %s]", d.Rule, d.Basis)
			}
			lines = append(lines, row)
		}
		if d.Fault != "" || x.Fault != "" || d.Note != "" {
			lines = append(lines, strings.TrimRight(fmt.Sprintf("  *: %s %s %s", d.Fault, x.Fault, d.Note), " "))
		}
	}
	if r.Dropped > 0 {
		lines = append(lines, fmt.Sprintf("  and %d exchanges more", r.Dropped))
	}
	return lines
}

// whyLines says which row of the table decided, and on whose word.
func whyLines(r *relay.Record) []string {
	d, i := r.Decided()
	if i < 0 {
		return []string{fmt.Sprintf("session %s: everything was accepted", r.ID)}
	}
	x := r.Session.Exchanges[i]
	lines := []string{fmt.Sprintf("session %s, port %d: the first thing that was not accepted decides; what follows are consequences", r.ID, r.Session.Port)}
	if x.Command != "" {
		lines = append(lines, "  C: "+x.Command)
	}
	for _, l := range x.Reply.Lines {
		lines = append(lines, "  S: "+l)
	}
	if x.Fault != "" {
		lines = append(lines, "  fault: "+string(x.Fault))
	}
	if d.Rule != "" {
		lines = append(lines, "  rule "+string(d.Rule)+", source "+d.Basis)
		if row, ok := policy.Rule(d.Rule); ok {
			lines = append(lines, "  "+row.Says, "  basis: "+strings.Join(row.Basis, ", "))
		}
	}
	if d.Fault != "" {
		lines = append(lines, "  made by the fault "+d.Fault+": 'handoff relay account fault clear' mends it")
	}
	if d.Note != "" {
		lines = append(lines, "  "+d.Note)
	}
	return lines
}

func counterLines(c relay.Counters) []string {
	lines := []string{
		fmt.Sprintf("sessions %d (open %d, turned away %d)", c.Sessions, c.Open, c.Turned),
		fmt.Sprintf("logins accepted %d, refused %d", c.AuthOK, c.AuthFailed),
		fmt.Sprintf("messages taken %d, delivered 0", c.Messages),
	}
	row := func(what string, m map[string]int64) {
		keys := make([]string, 0, len(m))
		for k := range m {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			lines = append(lines, fmt.Sprintf("%s %s: %d", what, k, m[k]))
		}
	}
	row("rule", c.Rules)
	row("stage", c.Stages)
	codes := map[string]int64{}
	for k, v := range c.Codes {
		codes[fmt.Sprint(k)] = v
	}
	row("code", codes)
	return lines
}

// findControl is the socket of the one relay that runs, unless one is named.
func (p *program) findControl(named string) (string, error) {
	if named != "" {
		return named, nil
	}
	dir, err := p.runtimeDir()
	if err != nil {
		return "", err
	}
	all, _ := filepath.Glob(filepath.Join(dir, "relay-*", "control"))
	var alive []string
	for _, path := range all {
		c, err := net.DialTimeout("unix", path, time.Second)
		if err != nil {
			_ = os.RemoveAll(filepath.Dir(path)) // left behind by a relay that was killed
			continue
		}
		_ = c.Close()
		alive = append(alive, path)
	}
	switch len(alive) {
	case 0:
		return "", fail(exitNoInput, "no relay is running", "start one: 'handoff relay'", "or change a state file: --state FILE")
	case 1:
		return alive[0], nil
	}
	return "", usage("several relays are running", append([]string{"name one with --control:"}, alive...)...)
}

// ask sends a request to a running relay.
func (p *program) ask(ctx context.Context, control string, q ask) (answer, error) {
	var a answer
	path, err := p.findControl(control)
	if err != nil {
		return a, err
	}
	c, err := (&net.Dialer{Timeout: controlPatience}).DialContext(ctx, "unix", path)
	if err != nil {
		return a, fail(exitNoInput, "no relay answers at "+path)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(controlPatience))
	raw, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	if _, err := c.Write(append(raw, '\n')); err != nil {
		return a, fail(exitNoInput, "the relay at "+path+" went away")
	}
	if err := json.NewDecoder(io.LimitReader(c, maxAnswer)).Decode(&a); err != nil {
		return a, fail(exitNoInput, "the relay at "+path+" gave no answer")
	}
	if a.Error != "" {
		return a, usage(a.Error)
	}
	return a, nil
}

// showAnswer prints an answer.
func (p *program) showAnswer(a answer) error {
	var b strings.Builder
	for _, l := range a.Lines {
		b.WriteString(report.Show(l) + "\n")
	}
	if a.Password != "" {
		fmt.Fprintf(&b, "user name  %s\npassword   %s\nCopy both now: the password is not shown again.\n", a.Username, a.Password)
	}
	if a.Data != nil {
		return p.writeJSON(a.Data)
	}
	b.WriteString(transcript.EscapeLines(a.Text))
	if _, err := io.WriteString(p.stdout, b.String()); err != nil {
		return cannotWrite(err)
	}
	return nil
}

// relayAskCommand is a question to a running relay.
func (p *program) relayAskCommand(name, short string) *cobra.Command {
	var control, family, paste string
	var kept, delay bool
	use, about := name, name == "why" || name == "ndr"
	if about {
		use += " SESSION"
	}
	cmd := &cobra.Command{
		Use: use, Short: short,
		Args: func(cmd *cobra.Command, args []string) error {
			if about {
				if len(args) != 1 {
					return usage(name+" needs the number of one session", "'handoff relay log' lists them")
				}
				return nil
			}
			return noArguments(cmd, args)
		},
		RunE: p.command(func(cmd *cobra.Command, args []string) error {
			q := ask{Command: name, JSON: strings.HasPrefix(p.flags.format, "json")}
			if about {
				q.Session, q.Family, q.Paste, q.Kept, q.Delay = args[0], family, paste, kept, delay
			}
			a, err := p.ask(cmd.Context(), control, q)
			if err != nil {
				return err
			}
			return p.showAnswer(a)
		}),
	}
	cmd.Flags().StringVar(&control, "control", "", "`PATH` of the relay's control socket (default: the one relay that runs)")
	if name == "ndr" {
		cmd.Flags().StringVar(&family, "format", string(bounce.Postfix), "`SYSTEM` whose report it is: "+strings.Join(families(), ", "))
		cmd.Flags().StringVar(&paste, "paste", "", "`WHAT` was done to it on its way into a ticket: "+pastes())
		cmd.Flags().BoolVar(&delay, "delay", false, "the warning that the message is late, where the system sends one")
		cmd.Flags().BoolVar(&kept, "at-once", false, "no report of what the system keeps in its queue and tries again")
	}
	return cmd
}

// relayAccountCommand administers an account in the grammar of settings. Its
// words belong to the grammar, so the flags before them are read here.
func (p *program) relayAccountCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "account [--control PATH | --state FILE] STATEMENT",
		Short:              "administer the account of a running relay, or of a state file",
		DisableFlagParsing: true,
		Long:               "account carries out one statement on the account of the running relay, or on a\nstate file. The statements follow the service's own console:\n\n" + grammarHelp(policy.Grammar()) + "\n\nThe road and the next server, each sets a fault:\n\n" + grammarHelp(policy.RoadGrammar()),
		Example: `  handoff relay account cred new "copier, second floor"
  handoff relay account cred list
  handoff relay account user add scans@customer.example --kind functional
  handoff relay account domain set customer.example force-auth on
  handoff relay account clock +60m
  handoff relay account --state relay.state sender add 198.51.100.0/24`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var control, state string
			for len(args) > 0 && strings.HasPrefix(args[0], "-") {
				name, value, inline := strings.Cut(args[0], "=")
				args = args[1:]
				if name == "--help" || name == "-h" {
					return cmd.Help()
				}
				if !inline {
					if len(args) == 0 {
						return usage(name + " needs a value")
					}
					value, args = args[0], args[1:]
				}
				switch name {
				case "--control":
					control = value
				case "--state":
					state = value
				default:
					return usage("there is no flag "+name+" before a statement", "it is --control PATH or --state FILE")
				}
			}
			if len(args) == 0 {
				return usage("account needs a statement", "as: handoff relay account cred list")
			}
			statement, err := joinStatement(args)
			if err != nil {
				return err
			}
			p.started = true
			if state != "" {
				return p.applyToState(state, statement)
			}
			a, err := p.ask(cmd.Context(), control, ask{Command: "account", Statement: statement})
			if err != nil {
				return err
			}
			return p.showAnswer(a)
		},
	}
}

// grammarHelp prints statements with what they do.
func grammarHelp(statements []policy.Usage) string {
	var b strings.Builder
	for _, u := range statements {
		if u.Words == "cred put" {
			continue // how a state file keeps one
		}
		fmt.Fprintf(&b, "  %s\n      %s\n", strings.TrimSpace(u.Words+" "+u.Args), u.Says)
	}
	return strings.TrimRight(b.String(), "\n")
}

// joinStatement writes the words of a command line as one statement. Words that
// begin with -- stay options of the grammar.
func joinStatement(args []string) (string, error) {
	words := make([]string, len(args))
	for i, a := range args {
		if a == "--password" || strings.HasPrefix(a, "--password=") {
			return "", usage("a secret never goes on the command line (--password): every user of this machine can read it there",
				"the password is generated and shown once; --password is for scenario files")
		}
		name, value, inline := strings.Cut(a, "=")
		switch {
		case strings.HasPrefix(a, "--") && inline:
			words[i] = name + "=" + policy.Quote(value)
		case strings.HasPrefix(a, "--"):
			words[i] = a
		default:
			words[i] = policy.Quote(a)
		}
		if strings.ContainsAny(a, "\r\n\x00") {
			return "", usage("a statement is one line")
		}
	}
	return strings.Join(words, " "), nil
}

func (p *program) applyToState(name, statement string) error {
	acc, ahead, err := loadState(name, p.now())
	if err != nil {
		return err
	}
	if acc == nil {
		acc = policy.NewAccount("")
	}
	res, err := policy.Apply(acc, statement, p.now().Add(ahead))
	if err != nil {
		return usage(err.Error())
	}
	if err := writeState(name, acc, ahead+res.Advance); err != nil {
		return err
	}
	a := answer{Lines: res.Lines}
	if res.Shown != nil {
		a.Username, a.Password = res.Shown.Username, res.Shown.Password
	}
	return p.showAnswer(a)
}
