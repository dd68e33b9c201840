package mailbox

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
)

// What is kept of one message: its beginning, and its end when it is longer.
// Reports stand at either end; between lie attachments. All of it is one
// buffer, so the memory of a walk is bounded whatever comes.
const (
	maxHead   = 4 << 20 // bytes kept from the beginning
	maxTail   = 2 << 20 // bytes of room for the end, of which at least half is kept
	minBuffer = 64 << 10
)

// MaxWhole is up to how many bytes a source that is no mbox is one message,
// whole. A larger mail log comes in several pieces, of any other text the
// middle is left out.
const MaxWhole = maxHead + maxTail

// splitter reads one source and cuts it into messages.
//
//	buf: | given out | message under way ………… | free |
//	     0           r       scan             w      len(buf)
type splitter struct {
	ctx    context.Context
	r      io.Reader
	source string
	whole  bool // one input, whatever is in it
	mbox   bool // split at "From " lines
	log    bool // lines with stamps: cut into pieces at line ends
	cr     bool // lines end in a bare CR

	buf     []byte
	start   int // of the message under way
	w       int // end of what was read
	scan    int // where the search for the next separator goes on
	eof     bool
	err     error
	number  int
	line    int // of the source, where the message under way starts
	dropped int64
	lines   int // line ends among the dropped bytes
	sum     hash.Hash
	gz      *gunzip
}

// run yields every message. It reports whether the walk goes on.
func (s *splitter) run(yield func(Message) bool) bool {
	s.line = 1
	s.prime()
	if bytes.HasPrefix(s.buf[:s.w], gzipMagic) {
		if !s.openGzip() {
			return s.last(yield)
		}
	}
	if problem, advice := sniff(s.buf[:s.w]); problem != "" {
		m := Message{Source: s.source, Line: 1, Problem: problem, Advice: advice}
		m.Size, m.Sum = s.weigh()
		return yield(m)
	}
	head := s.buf[:min(s.w, 64<<10)]
	s.cr = bytes.IndexByte(head, '\n') < 0 && bytes.IndexByte(head, '\r') >= 0
	s.mbox = !s.whole && startsMbox(head, s.cr)
	s.log = !s.whole && !s.mbox && looksLikeLog(head, s.eol())
	s.scan = 1
	for {
		if s.ctx.Err() != nil {
			return false
		}
		if s.log && s.start == 0 && s.w == MaxWhole {
			if i := bytes.LastIndexByte(s.buf[:s.w], s.eol()); i >= maxHead {
				if !s.give(yield, i+1) {
					return false
				}
				continue
			}
		}
		if s.mbox {
			if at, found := s.separator(); found {
				if !s.give(yield, at) {
					return false
				}
				continue
			}
		}
		if s.eof {
			return s.last(yield)
		}
		s.fill()
	}
}

// last yields what is left at the end of the source.
func (s *splitter) last(yield func(Message) bool) bool {
	if s.start == s.w && s.number > 0 && s.err == nil {
		return true
	}
	m := s.message(s.w)
	if s.err != nil {
		m.Problem, m.Err = "reading it failed before its end", s.err
		switch {
		case errors.Is(s.err, errBomb):
			m.Problem = "it unpacks to more than 64 MB at over 100 to 1: the rest was not unpacked"
			m.Err = nil
		case errors.Is(s.err, errGzip):
			m.Problem = "it is a damaged gzip file"
			m.Err = nil
		}
	}
	return yield(m)
}

// give yields the message that ends at the separator.
func (s *splitter) give(yield func(Message) bool, end int) bool {
	if s.number == 0 {
		s.number = 1
	}
	m := s.message(end)
	s.number++
	s.line += s.lines + countLines(s.buf[s.start:end], s.cr)
	s.start, s.scan = end, end+1
	s.dropped, s.lines, s.sum = 0, 0, nil
	return yield(m)
}

func (s *splitter) message(end int) Message {
	m := Message{Source: s.source, Number: s.number, Line: s.line, Data: s.buf[s.start:end:end], Size: int64(end-s.start) + s.dropped}
	if s.dropped > 0 {
		m.Cut, m.CutLines = maxHead, s.lines
		s.sum.Write(m.Data[maxHead:])
		s.sum.Sum(m.Sum[:0])
		// The end begins with a whole line.
		rest := m.Data[maxHead:]
		if i := bytes.IndexByte(rest, s.eol()); i >= 0 && i < len(rest)-1 {
			m.CutLines++
			copy(rest, rest[i+1:])
			m.Data = m.Data[:len(m.Data)-i-1]
		}
	}
	return m
}

func (s *splitter) eol() byte {
	if s.cr {
		return '\r'
	}
	return '\n'
}

func countLines(b []byte, cr bool) int {
	if cr {
		return bytes.Count(b, []byte{'\r'})
	}
	return bytes.Count(b, []byte{'\n'})
}

// fill reads more into the buffer: it moves the message to the front, grows the
// buffer, or drops bytes from the middle of a message that is too large.
func (s *splitter) fill() {
	if s.w == len(s.buf) {
		switch {
		case s.start > 0:
			s.move()
		case len(s.buf) < maxHead+maxTail:
			grown := make([]byte, min(2*len(s.buf), maxHead+maxTail))
			copy(grown, s.buf[:s.w])
			s.buf = grown
		default:
			s.drop()
		}
	}
	for range 100 {
		n, err := s.r.Read(s.buf[s.w:])
		s.w += n
		if err != nil {
			s.eof = true
			if !errors.Is(err, io.EOF) {
				s.err = err
			}
			return
		}
		if n > 0 {
			return
		}
	}
	s.eof, s.err = true, io.ErrNoProgress
}

// prime fills the buffer before anything is decided, so that how the bytes
// arrive decides nothing.
func (s *splitter) prime() {
	for !s.eof && s.w < minBuffer {
		s.fill()
	}
}

// move brings the message under way to the front of the buffer.
func (s *splitter) move() {
	n := copy(s.buf, s.buf[s.start:s.w])
	s.scan -= s.start
	s.w, s.start = n, 0
}

// drop leaves out the older half of the end of a message that fills the buffer.
func (s *splitter) drop() {
	const half = maxTail / 2
	if s.sum == nil {
		s.sum = sha256.New()
		s.sum.Write(s.buf[:maxHead])
	}
	gone := s.buf[maxHead : maxHead+half]
	s.sum.Write(gone)
	s.lines += countLines(gone, s.cr)
	s.dropped += half
	copy(s.buf[maxHead:], s.buf[maxHead+half:s.w])
	s.w -= half
	s.scan = max(s.scan-half, maxHead)
}

// maxWeighed bounds how much of a file that is no text is read to tell its size
// and its sum.
const maxWeighed = 256 << 20

func (s *splitter) weigh() (int64, [sha256.Size]byte) {
	h := sha256.New()
	h.Write(s.buf[:s.w])
	n, _ := io.Copy(h, io.LimitReader(s.r, maxWeighed)) // what could be read is what is told
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	return int64(s.w) + n, sum
}

// openGzip puts the unpacked stream in place of the packed one.
func (s *splitter) openGzip() bool {
	packed := append([]byte(nil), s.buf[:s.w]...)
	in := &counter{r: io.MultiReader(bytes.NewReader(packed), s.r)}
	s.start, s.w, s.scan = 0, 0, 0
	if s.eof && s.err == nil {
		in.r = bytes.NewReader(packed)
	}
	s.eof = false
	z, err := gzip.NewReader(in)
	if err != nil {
		s.eof, s.err = true, errGzip
		return false
	}
	s.gz = &gunzip{in: in, z: z}
	s.r = s.gz
	s.prime()
	return true
}

var gzipMagic = []byte{0x1f, 0x8b, 0x08}

// Bounds of what a packed file may unpack to.
const (
	maxUnpacked = 64 << 20 // bytes, where …
	maxRatio    = 100      // … it grows to more than that many times its size
)

var (
	errBomb = errors.New("mailbox: too much comes out of a small gzip file")
	errGzip = errors.New("mailbox: damaged gzip file")
)

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// gunzip is a gzip stream that stops at a bomb.
type gunzip struct {
	in  *counter
	z   *gzip.Reader
	out int64
}

func (g *gunzip) Read(p []byte) (int, error) {
	if g.out > maxUnpacked && g.out > maxRatio*g.in.n {
		return 0, errBomb
	}
	n, err := g.z.Read(p)
	g.out += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = errGzip
	}
	return n, err
}
