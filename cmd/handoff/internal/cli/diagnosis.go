package cli

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/causes"
	"github.com/smtp-handoff/handoff/analyze/mailbox"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
	"github.com/smtp-handoff/handoff/probe"
	"github.com/smtp-handoff/handoff/probe/relay"
)

// diagnosis is one run of the command.
type diagnosis struct {
	p       *program
	job     *job // nil: there is no host to try things at
	known   []string
	options analyze.Options
	in      *bufio.Reader
	ask     bool
	base    *analyze.Report // what the narrowed causes are put into
	lines   report.Lines    // of the base
	obs     []analyze.Observation
	port    int // where our own try failed; 0: nowhere
	logins  int
	refused bool // the credential was: it is not tried again
	record  analyze.Narrowing
	told    *symptom // where there is neither a text nor a host
	quiet   bool     // nothing is printed: there are screens
	// made is told of every try with what it saw; nil: nobody listens.
	made func(*analyze.Report, *probe.Result, analyze.Observation)
}

func (s *diagnosis) run(ctx context.Context, files []string) error {
	out, err := s.p.openReports(false, "", s.options.RelayDomains)
	if err != nil {
		return err
	}
	defer out.sink.discard()
	for _, name := range files {
		if err := s.read(name); err != nil {
			return err
		}
	}
	if s.job != nil {
		s.prepareTries()
		if err := s.first(ctx); err != nil {
			return err
		}
	}
	if s.told != nil {
		s.tell(s.told)
	}
	var d *analyze.Diagnosis
	if len(s.obs) > 0 && s.base.Verdict.Status != analyze.OK {
		d = s.options.NewDiagnosis(s.obs)
		s.narrow(ctx, d)
		s.conclude(d)
	}
	if err := out.write(s.base, s.lines); err != nil {
		return err
	}
	if err := out.close(); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return interrupted()
	case d != nil && len(s.base.Causes) == 0:
		return ended(exitInconclusive)
	}
	return result(out.code)
}

// say prints progress, where somebody reads it.
func (s *diagnosis) say(format string, args ...any) {
	if !s.quiet {
		s.p.say(format, args...)
	}
}

// read takes what a text shows.
func (s *diagnosis) read(name string) error {
	in := s.p.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return fail(exitNoInput, "cannot open "+name)
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxReport))
	if err != nil {
		return fail(exitNoInput, "cannot read "+name)
	}
	o := s.options
	o.Source = name
	r := analyze.Analyze(raw, o)
	if s.base == nil {
		s.base = r
		if len(raw) <= maxWithLines {
			s.lines = evidenceLines(&mailbox.Message{Data: raw}, r)
		}
	}
	s.take(analyze.ObserveText(raw, o))
	return nil
}

// take adds observations that one explanation can fit together with those
// before. What cannot be explained together is of another road, or of another
// mail.
func (s *diagnosis) take(all []analyze.Observation) {
	for _, o := range all {
		if len(s.obs) > 0 {
			e := s.options.Explain(append(slices.Clone(s.obs), o))
			if e.Empty() {
				s.record.Aside++
				continue
			}
		}
		s.obs = append(s.obs, o)
	}
}

// fillEnvelope takes sender and recipient from the texts where no flag gives
// them.
func (s *diagnosis) fillEnvelope() {
	plan := &s.job.plan
	if len(plan.From) > 0 || len(plan.To) > 0 {
		return
	}
	for i := range s.obs {
		from, to := s.obs[i].Sender, s.obs[i].Recipient
		if (from == "<>" || plainAddress(from)) && plainAddress(to) {
			plan.From, plan.To = []string{from}, []string{to}
			s.say("trying the sender %s and the recipient %s of the text; nothing is delivered", from, to)
			return
		}
	}
}

// prepareTries sorts the senders of the job into the one that is tried and those
// that are known to work, and fills what the texts know.
func (s *diagnosis) prepareTries() {
	s.known = append(s.known, s.job.known...)
	if n := len(s.job.plan.From); n > 1 {
		s.known = append(s.known, s.job.plan.From[1:]...)
		s.job.plan.From = s.job.plan.From[:1]
	}
	s.fillEnvelope()
}

// plainAddress reports whether a text's address can be tried as it stands.
func plainAddress(a string) bool {
	local, domain, ok := strings.Cut(a, "@")
	return ok && local != "" && strings.Contains(domain, ".") && len(a) <= 254 &&
		strings.Trim(a, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.@_+-=") == ""
}

// first probes as the flags say.
func (s *diagnosis) first(ctx context.Context) error {
	s.p.announce(s.job)
	rep, res, err := s.p.runJob(ctx, s.job)
	if err != nil {
		return usage(strings.TrimPrefix(err.Error(), "probe: "))
	}
	s.takeProbe(rep, s.observe(s.job, analyze.ObserveProbe(judged(s.job, res), s.options)), sessionLines(res.Sessions))
	return nil
}

// takeProbe takes what a probe as the flags or the form say showed; seen is of
// its sessions, in their order.
func (s *diagnosis) takeProbe(rep *analyze.Report, seen []analyze.Observation, lines report.Lines) {
	s.count(rep)
	before := s.left()
	if s.base == nil || s.base.Verdict.Status == analyze.Inconclusive {
		s.base, s.lines = rep, lines
	}
	failed := func(i int) bool {
		x := &rep.Sessions[i]
		return x.Verdict != analyze.Ready && !x.Expected
	}
	if rep.Verdict.Status != analyze.Inconclusive || len(s.obs) == 0 {
		// What failed where it should not comes first: the rest has to fit it.
		var first, then []analyze.Observation
		for i := range seen {
			if i < len(rep.Sessions) && failed(i) {
				first = append(first, seen[i])
			} else {
				then = append(then, seen[i])
			}
		}
		s.take(append(first, then...))
	}
	var ports []string
	for i := range rep.Sessions {
		port := rep.Sessions[i].Port
		if failed(i) {
			s.port = port
		}
		if word := strconv.Itoa(port); !slices.Contains(ports, word) {
			ports = append(ports, word)
		}
	}
	s.record.Tried = append(s.record.Tried, analyze.TriedTest{
		Test: "probe", Do: fmt.Sprintf("probe %s on %s", rep.Target, strings.Join(ports, " and ")),
		By: "handoff", Shown: shownBy(rep), Before: before, After: s.left(),
	})
}

// left is how many explanations fit what was seen so far.
func (s *diagnosis) left() int {
	if len(s.obs) == 0 {
		return 0
	}
	e := s.options.Explain(s.obs)
	return len(e.Sets)
}

// observe adds to our own tries what no record holds: the name of the login.
func (s *diagnosis) observe(j *job, all []analyze.Observation) []analyze.Observation {
	if c := j.plan.Credential; c != nil {
		for i := range all {
			if all[i].AuthTried == transcript.Yes {
				all[i].Login = c.Username()
			}
		}
	}
	return all
}

// shownBy says in a line how the sessions of a probe ended.
func shownBy(rep *analyze.Report) string {
	var out []string
	for i := range rep.Sessions {
		x := &rep.Sessions[i]
		word := fmt.Sprintf("%d %s at %s", x.Port, x.Verdict, x.Stage)
		if x.Verdict == analyze.Ready {
			word = fmt.Sprintf("%d accepts up to %s", x.Port, x.Stage)
		}
		for k := range x.Steps {
			if r := x.Steps[k].Reply; r != nil && r.Code >= 400 && x.Verdict != analyze.Ready {
				word += fmt.Sprintf(" (%s)", strings.TrimSpace(fmt.Sprintf("%d %s", r.Code, r.Enhanced)))
				break
			}
		}
		if x.Expected {
			word += ", as documented"
		}
		out = append(out, word)
	}
	if len(out) == 0 {
		return string(rep.Verdict.Code)
	}
	return strings.Join(out, "; ")
}

// count notes how often the credential was tried, and whether it was refused.
func (s *diagnosis) count(rep *analyze.Report) {
	for i := range rep.Sessions {
		for _, st := range rep.Sessions[i].Steps {
			if st.Stage == string(transcript.StageAuth) && st.Status != "skipped" {
				s.logins++
				s.refused = s.refused || st.Status == "refused"
				break
			}
		}
	}
}

// narrow makes every test that handoff can make by itself, then asks, until one
// explanation is left or no test splits the rest.
func (s *diagnosis) narrow(ctx context.Context, d *analyze.Diagnosis) {
	for range maxQuestions {
		if ctx.Err() != nil {
			return
		}
		if t, make, ok := s.ours(d); ok {
			if !make(ctx) {
				_ = d.Skip(t.ID)
			}
			continue
		}
		if !s.ask {
			return
		}
		t, ok := d.Next()
		if !ok {
			return
		}
		if !s.question(d, t) {
			_ = d.Skip(t.ID)
			continue
		}
		s.noteStep(d, t, "answer")
	}
}

// noteStep records the last step of the diagnosis.
func (s *diagnosis) noteStep(d *analyze.Diagnosis, t analyze.CatalogueTest, by string) {
	steps := d.Steps()
	last := steps[len(steps)-1]
	s.record.Tried = append(s.record.Tried, analyze.TriedTest{Test: last.Test, Do: t.Do, By: by, Shown: last.Shown, Before: last.Before, After: last.After})
}

// question asks for what a look shows; an empty answer leaves it open.
func (s *diagnosis) question(d *analyze.Diagnosis, t analyze.CatalogueTest) bool {
	e := d.Explanation()
	n, ok := s.number(fmt.Sprintf("\n%d explanations fit. To tell them apart (%s, %s):\n%s\n%s",
		len(e.Sets), orElse(t.Who, "anybody"), orElse(t.Cost, "no cost"), report.Show(t.Do), choices(t.Shows)), len(t.Shows))
	return ok && d.Answer(t.ID, t.Shows[n-1].Show) == nil
}

// conclude puts what is left into the report.
func (s *diagnosis) conclude(d *analyze.Diagnosis) {
	r := s.base
	e := d.Explanation()
	r.Causes = e.Causes()
	r.Diagnosis = &s.record
	for i := range r.Outcomes {
		r.Outcomes[i].Causes = nil
	}
	for i := range r.Sessions {
		r.Sessions[i].Causes = nil
	}
	r.NextTests = analyze.NextTests(e, s.obs, s.options.Facts)
	switch {
	case e.Empty() && r.Verdict.Status == analyze.Inconclusive:
		// What would settle it is said already.
	case e.Empty():
		r.Verdict.Next = "sender-system: send the sending server's SMTP log; no cause that is known explains this"
	case len(e.Sets) == 1 && len(r.Causes) == 1:
		r.Verdict.Next = fmt.Sprintf("%s: %s", r.Causes[0].Who, r.Causes[0].Fix)
		r.Verdict.Headline = s.titled(r.Verdict.Headline, r.Causes[0].ID)
	case len(r.NextTests) > 0:
		r.Verdict.Next = fmt.Sprintf("%s: %s", orElse(r.NextTests[0].Who, string(analyze.SenderSystem)), r.NextTests[0].Do)
	default:
		r.Verdict.Next = fmt.Sprintf("%s: %s (the likelier of %d that no test tells apart)", r.Causes[0].Who, r.Causes[0].Fix, len(e.Sets))
	}
}

// maxHeadline is the contract's.
const maxHeadline = 100

// titled is a headline with the cause in place of the advice it had.
func (s *diagnosis) titled(headline, id string) string {
	docs, err := s.p.pages()
	if err != nil {
		return headline
	}
	page, ok := causes.Find(docs, id)
	if !ok {
		return headline
	}
	if i := strings.LastIndex(headline, ": "); i > 0 {
		if with := headline[:i+2] + page.Title; utf8.RuneCountInString(with) <= maxHeadline {
			return with
		}
	}
	return page.Title
}

// failing is the port on which a try of our own is made where a test leaves the
// port as it was.
func (s *diagnosis) failing() int {
	if s.port != 0 {
		return s.port
	}
	if s.job.intent == analyze.IntentServer {
		return relay.PortServer
	}
	return cmp.Or(s.port, relay.PortAuth)
}
