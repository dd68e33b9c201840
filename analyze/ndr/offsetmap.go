package ndr

import "sort"

// offsetMap leads from a cleaned text back to the text it was made from, one
// step of the pre-pass. Its segments are in the order of the cleaned text; what
// lies between them in the source was dropped.
type offsetMap struct {
	segments []segment
	jumps    bool // the segments are not in the order of the source
}

// segment says where a run of cleaned bytes came from.
type segment struct {
	out  int32 // its first byte in the cleaned text
	in   int32 // its first byte in the source
	end  int32 // behind its last byte in the source
	kind segmentKind
}

type segmentKind uint8

const (
	segCopy   segmentKind = iota // byte for byte
	segAtom                      // the run as a whole stands for source[in:end]
	segBase64                    // three bytes for four characters
	segWide                      // a byte for each two, UTF-16
)

// back turns a range of the cleaned text into the range of the source that it
// was made from.
func (m *offsetMap) back(start, end int) (int, int) {
	if len(m.segments) == 0 {
		return start, end
	}
	from := m.first(start)
	if end <= start {
		return from, from
	}
	to := m.behind(end - 1)
	if m.jumps {
		from, to = m.hull(start, end-1, from, to)
	}
	return from, max(to, from)
}

// maxHull bounds the segments that are looked at for a range.
const maxHull = 64

// hull widens a range of the source to all that the segments from the first to
// the last cleaned byte were made from.
func (m *offsetMap) hull(first, last, from, to int) (int, int) {
	i := sort.Search(len(m.segments), func(i int) bool { return int(m.segments[i].out) > first })
	for n := 0; i < len(m.segments) && int(m.segments[i].out) <= last && n < maxHull; n++ {
		from, to = min(from, int(m.segments[i].in)), max(to, int(m.segments[i].in))
		i++
	}
	return min(from, to), max(from, to)
}

// at is the segment that holds the cleaned offset.
func (m *offsetMap) at(offset int) segment {
	i := sort.Search(len(m.segments), func(i int) bool { return int(m.segments[i].out) > offset })
	return m.segments[max(i-1, 0)]
}

func (m *offsetMap) first(offset int) int {
	s := m.at(offset)
	n := max(offset-int(s.out), 0)
	switch s.kind {
	case segAtom:
		return int(s.in)
	case segBase64:
		return min(int(s.in)+n/3*4, int(s.end))
	case segWide:
		return min(int(s.in)+2*n, int(s.end))
	default:
		return min(int(s.in)+n, int(s.end))
	}
}

func (m *offsetMap) behind(last int) int {
	s := m.at(last)
	n := max(last-int(s.out), 0)
	switch s.kind {
	case segAtom:
		return int(s.end)
	case segBase64:
		return min(int(s.in)+n/3*4+4, int(s.end))
	case segWide:
		return min(int(s.in)+2*n+2, int(s.end))
	default:
		return min(int(s.in)+n+1, int(s.end))
	}
}

// rewriter builds a cleaned text from a source, with its map.
type rewriter struct {
	source []byte
	out    []byte
	m      offsetMap
	full   bool // maxCleaned was reached; the rest was dropped
	writes bool // bytes that the source does not have
}

func newRewriter(source []byte) *rewriter { return newRewriterSize(source, len(source)+16) }

// newRewriterSize is newRewriter for a text that will have about so many bytes.
func newRewriterSize(source []byte, size int) *rewriter {
	return &rewriter{source: source, out: make([]byte, 0, min(size, maxCleaned)), m: offsetMap{segments: make([]segment, 0, 8)}}
}

// room cuts n to what still fits.
func (r *rewriter) room(n int) int {
	if len(r.m.segments) >= maxSegments {
		r.full = true
		return 0
	}
	if left := maxCleaned - len(r.out); n > left {
		r.full = true
		return max(left, 0)
	}
	return n
}

// add appends a segment. Room is doubled: append itself grows long lists by a
// quarter, and leaves five times their size behind.
func (r *rewriter) add(s segment) {
	if n := len(r.m.segments); n == cap(r.m.segments) {
		r.m.segments = append(make([]segment, 0, max(2*n, 64)), r.m.segments...)
	}
	r.m.segments = append(r.m.segments, s)
}

// copy takes over source[in:end] byte for byte.
func (r *rewriter) copy(in, end int) {
	n := r.room(end - in)
	if n <= 0 {
		return
	}
	end = in + n
	if k := len(r.m.segments); k > 0 {
		if s := &r.m.segments[k-1]; s.kind == segCopy && int(s.end) == in {
			s.end = int32(end)
			r.out = append(r.out, r.source[in:end]...)
			return
		}
	}
	r.add(segment{out: int32(len(r.out)), in: int32(in), end: int32(end), kind: segCopy})
	r.out = append(r.out, r.source[in:end]...)
}

// put writes other bytes in the place of source[in:end].
func (r *rewriter) put(b []byte, in, end int, kind segmentKind) {
	r.writes = true
	n := r.room(len(b))
	if n <= 0 {
		return
	}
	if kind == segAtom && n == 1 && end-in == 1 {
		kind = segCopy // so that neighbours can join it
		if k := len(r.m.segments); k > 0 {
			if s := &r.m.segments[k-1]; s.kind == segCopy && int(s.end) == in {
				s.end = int32(end)
				r.out = append(r.out, b[0])
				return
			}
		}
	}
	r.add(segment{out: int32(len(r.out)), in: int32(in), end: int32(end), kind: kind})
	r.out = append(r.out, b[:n]...)
}

// wide writes one ASCII character that takes two bytes in the source.
func (r *rewriter) wide(c byte, in int) {
	r.writes = true
	if r.room(1) == 0 {
		return
	}
	if k := len(r.m.segments); k > 0 {
		if s := &r.m.segments[k-1]; s.kind == segWide && int(s.end) == in {
			s.end = int32(in + 2)
			r.out = append(r.out, c)
			return
		}
	}
	r.add(segment{out: int32(len(r.out)), in: int32(in), end: int32(in + 2), kind: segWide})
	r.out = append(r.out, c)
}

// forward is where an offset of the source went: to its own byte, or to the
// first one that was kept behind it.
func (r *rewriter) forward(offset int) int {
	segments := r.m.segments
	i := sort.Search(len(segments), func(i int) bool { return int(segments[i].end) > offset })
	if i == len(segments) {
		return len(r.out)
	}
	s := segments[i]
	if offset <= int(s.in) || s.kind != segCopy {
		return int(s.out)
	}
	return int(s.out) + offset - int(s.in)
}

// apply makes the rewritten text the document's Text.
func (d *Document) apply(r *rewriter) {
	if r.full {
		d.limit("decoded text")
	}
	if len(r.m.segments) == 0 {
		r.add(segment{kind: segAtom})
	}
	d.maps = append(d.maps, r.m)
	d.Text = r.out
	d.onlyCut = !r.writes
}
