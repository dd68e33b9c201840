// Package mailbox finds messages: in files, mbox archives, Maildirs, folders
// and streams, compressed or not. It yields them one by one, in a fixed order,
// in bounded memory, and names what cannot be read instead of leaving it out.
//
// It does not read what the messages say (package ndr does) and opens nothing
// but the files it is told to: no archive inside a message, no link in it.
package mailbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Message is one message, or one paste: the bytes of one input for analysis.
type Message struct {
	Source string // name of the file as it was found, "-" for a stream
	// Number is its place among the messages of an mbox, from 1; 0 when the
	// whole source is one message.
	Number int
	Line   int // line of the source its first byte stands in, from 1
	// Data are its bytes, the "From " line of an mbox included. They are valid
	// until the next message is asked for.
	Data []byte
	Size int64 // bytes it has in the source; more than Data when it was cut
	// Cut is the place in Data where bytes were left out since the message is
	// larger than is kept; CutLines is how many line ends were among them. Zero
	// when it is whole.
	Cut      int
	CutLines int
	// Sum is the SHA-256 of all its bytes; only set when Data are not all of them.
	Sum [sha256.Size]byte
	// Problem says in a few words why it cannot be read, or not to its end: then
	// Data holds what came before. Empty when all is well. Advice says what to do
	// about it. Err is the system's error, if there was one.
	Problem string
	Advice  string
	Err     error
}

// Truncated reports whether Data are not all of the message.
func (m *Message) Truncated() bool { return m.Cut > 0 || m.Problem != "" }

// Options shape a walk. The zero value is usable.
type Options struct {
	Stdin io.Reader // what "-" means; nil: no input
	// Whole takes every source as one input: no mbox is split.
	Whole bool
}

// Walk yields the messages of the paths, in their order: a file is one message
// or an mbox, a folder holds files (or is a Maildir) in the order of their
// names, "-" is Options.Stdin. A source that cannot be read is a message with a
// Problem. The walk ends early when ctx does.
func Walk(ctx context.Context, paths []string, o Options) iter.Seq[Message] {
	return func(yield func(Message) bool) {
		w := walker{ctx: ctx, o: o, yield: yield}
		for _, p := range paths {
			if !w.path(p) {
				return
			}
		}
	}
}

type walker struct {
	ctx   context.Context
	o     Options
	yield func(Message) bool
	buf   []byte // of the splitter, kept from one source to the next
}

// path walks one argument. It reports whether to go on.
func (w *walker) path(p string) bool {
	if w.ctx.Err() != nil {
		return false
	}
	if p == "-" {
		r := w.o.Stdin
		if r == nil {
			r = bytes.NewReader(nil)
		}
		return w.stream("-", r)
	}
	info, err := os.Stat(p)
	switch {
	case err != nil:
		return w.problem(p, err)
	case info.IsDir():
		return w.folder(p, 0)
	case !info.Mode().IsRegular() && info.Mode()&(fs.ModeNamedPipe|fs.ModeCharDevice) == 0:
		return w.yield(Message{Source: p, Line: 1, Problem: "it is neither a file nor a folder"})
	}
	return w.file(p)
}

func (w *walker) file(p string) bool {
	f, err := os.Open(p)
	if err != nil {
		return w.problem(p, err)
	}
	defer f.Close() //nolint:errcheck // read only
	return w.stream(p, f)
}

func (w *walker) problem(p string, err error) bool {
	m := Message{Source: p, Line: 1, Problem: "it cannot be read", Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		m.Problem = "there is no such file"
	case errors.Is(err, fs.ErrPermission):
		m.Problem = "reading it is not permitted"
	}
	return w.yield(m)
}

// maxDepth is how deep folders are walked.
const maxDepth = 32

// folder walks a folder: cur and new of a Maildir, all files of any other, in
// the order of their names; hidden files and links to folders are left out.
func (w *walker) folder(p string, depth int) bool {
	entries, err := os.ReadDir(p)
	if err != nil {
		return w.problem(p, err)
	}
	if isMaildir(entries) {
		return w.maildir(p)
	}
	for _, e := range entries {
		if w.ctx.Err() != nil {
			return false
		}
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		name := filepath.Join(p, e.Name())
		switch {
		case e.IsDir():
			if depth == maxDepth {
				if !w.yield(Message{Source: name, Line: 1, Problem: "it lies too deep in folders"}) {
					return false
				}
				continue
			}
			if !w.folder(name, depth+1) {
				return false
			}
		case e.Type().IsRegular(), e.Type()&fs.ModeSymlink != 0 && linksToFile(name):
			if !w.file(name) {
				return false
			}
		}
	}
	return true
}

func linksToFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// isMaildir: two of the three folders, cur among them or new.
func isMaildir(entries []os.DirEntry) bool {
	n := 0
	for _, e := range entries {
		if e.IsDir() && (e.Name() == "cur" || e.Name() == "new" || e.Name() == "tmp") {
			n++
		}
	}
	return n >= 2
}

// maildir walks the messages of cur and new in the order of their names, which
// begin with the time of delivery. What lies in tmp is not delivered yet.
func (w *walker) maildir(p string) bool {
	var names []string
	for _, sub := range []string{"cur", "new"} {
		entries, err := os.ReadDir(filepath.Join(p, sub))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			if !w.problem(filepath.Join(p, sub), err) {
				return false
			}
			continue
		}
		for _, e := range entries {
			if e.Type().IsRegular() && !strings.HasPrefix(e.Name(), ".") {
				names = append(names, filepath.Join(p, sub, e.Name()))
			}
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return strings.Compare(filepath.Base(a), filepath.Base(b)) })
	for _, name := range names {
		if w.ctx.Err() != nil {
			return false
		}
		if !w.file(name) {
			return false
		}
	}
	return true
}

// stream yields the messages of one open source.
func (w *walker) stream(name string, r io.Reader) bool {
	s := &splitter{ctx: w.ctx, r: r, source: name, whole: w.o.Whole, buf: w.buf}
	if len(s.buf) == 0 {
		s.buf = make([]byte, minBuffer)
	}
	ok := s.run(w.yield)
	w.buf = s.buf
	if len(w.buf) > 16*minBuffer {
		w.buf = nil // do not keep what one large message needed
	}
	return ok
}
