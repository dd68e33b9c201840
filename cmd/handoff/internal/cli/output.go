package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
)

// sink is where a command's data goes: stdout, or a file that is replaced whole
// when all is written, so that nobody ever reads half a report.
type sink struct {
	w    io.Writer
	file *os.File
	name string
}

// openSink opens what --output names, before any work.
func (p *program) openSink() (*sink, error) {
	if p.flags.output == "" || p.flags.output == "-" {
		return &sink{w: p.stdout}, nil
	}
	s, err := createSink(p.flags.output)
	if err == nil && p.flags.format == "prom" {
		_ = s.file.Chmod(0o644) // the node exporter reads it, and it holds no secret
	}
	return s, err
}

func createSink(name string) (*sink, error) {
	if st, err := os.Stat(name); err == nil && st.IsDir() {
		return nil, usage(name+" is a folder", "name a file")
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*") // mode 0600
	if err != nil {
		return nil, usage("cannot write to "+name, "is there a folder "+filepath.Dir(name)+", and may you write into it?")
	}
	return &sink{w: f, file: f, name: name}, nil
}

// commit makes what was written visible.
func (s *sink) commit() error {
	if s.file == nil {
		return nil
	}
	err := errors.Join(s.file.Close())
	if err == nil {
		err = os.Rename(s.file.Name(), s.name)
	}
	if err != nil {
		_ = os.Remove(s.file.Name())
		return fail(exitBug, "cannot write "+s.name+why(err), "is the disk full?")
	}
	s.file = nil
	return nil
}

// discard takes away what was written; it does nothing after commit.
func (s *sink) discard() {
	if s.file != nil {
		_ = s.file.Close()
		_ = os.Remove(s.file.Name())
		s.file = nil
	}
}

// reports writes reports in the format of -o.
type reports struct {
	p    *program
	sink *sink
	w    report.Writer
	code int
	// hidden says what a strict redaction took from the report being written.
	hidden       string
	relayDomains []string
}

// openReports opens the output of a command that reports. stream says that
// there may be several reports.
func (p *program) openReports(stream bool, command string, relayDomains []string) (*reports, error) {
	s, err := p.openSink()
	if err != nil {
		return nil, err
	}
	r := &reports{p: p, sink: s, relayDomains: relayDomains}
	r.w, err = p.writer(s.w, report.Options{
		Color: report.ColorFor(s.w, p.flags.color, p.getenv),
		Quiet: p.flags.quiet, Verbose: p.flags.verbose,
		Command: p.shown(command), Version: version(), Stream: stream,
		Masked: func() string { return r.hidden },
	})
	if err != nil {
		s.discard()
		return nil, err
	}
	return r, nil
}

// shown is a command as the redaction of the run lets it be shown.
func (p *program) shown(command string) string {
	if p.flags.redact != "strict" {
		return command
	}
	text, _ := transcript.Redact([]byte(command), transcript.Strict)
	return string(text)
}

func (p *program) writer(w io.Writer, o report.Options) (report.Writer, error) {
	if p.flags.format == "prom" {
		return promWriter(w)
	}
	rw, err := report.New(w, report.Format(p.flags.format), o)
	if err != nil {
		return nil, usage(err.Error())
	}
	return rw, nil
}

// write adds one report; the exit code is the worst of all.
func (r *reports) write(rep *analyze.Report, lines report.Lines) error {
	r.code = analyze.WorseExit(r.code, analyze.ExitCode(rep))
	if r.p.flags.redact == "strict" {
		rep, lines, r.hidden = strict(rep, lines, r.relayDomains)
	}
	if r.p.flags.format == "prom" && rep.Kind != "probe" {
		return usage("the format prom is for probes", "for texts there is --summary -o json")
	}
	if err := r.w.Write(rep, lines); err != nil {
		var f *failure
		if errors.As(err, &f) {
			return f
		}
		return cannotWrite(err)
	}
	return nil
}

// close ends the document.
func (r *reports) close() error {
	if err := r.w.Close(); err != nil {
		r.sink.discard()
		return cannotWrite(err)
	}
	return r.sink.commit()
}

// why is the reason that the system gave, in its words.
func why(err error) string {
	var e syscall.Errno
	if errors.As(err, &e) {
		return ": " + e.Error()
	}
	return ""
}

// cannotWrite is what happens when the reader of a pipe went away or a disk is
// full; neither is a fault of ours, and there is nobody left to tell.
func cannotWrite(err error) error {
	if errors.Is(err, os.ErrClosed) || isBrokenPipe(err) {
		return ended(exitBug)
	}
	return fail(exitBug, "cannot write the output"+why(err), "is the disk full?")
}
