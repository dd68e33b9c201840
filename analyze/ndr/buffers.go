package ndr

import "sync"

// buffers are what a document is made of beside its input, and what its readers
// work with. Read takes them from a pool and gives them back: nothing that it
// returns refers to them, since all that is kept of a text is a string of its
// own.
type buffers struct {
	doc       Document
	rewriters [maxRewrites]rewriter
	used      int // rewriters
	starts    []int32
	heads     []byte
	parts     []part
	mails     []mailRange
	maps      []offsetMap

	// Room that is carved up while a document is read.
	marks  []mark
	ranges []lineRange
	blocks []Block
	cuts   []flowCut
	text   []byte

	// Lists that grow, one at a time: what they hold is copied out. Names of the
	// last document stay in them.
	hops     []Hop
	mentions []Mention

	reports []*report // those of the documents before: the first ones are in use
	reading int       // how many of them
}

// carve cuts an empty slice with room for n off the free room; where that does
// not suffice, new room takes its place.
func carve[T any](free *[]T, n int) []T {
	room := *free
	if cap(room)-len(room) < n {
		room = make([]T, 0, max(n, min(2*cap(room), maxRoom), 64))
	}
	at := len(room)
	*free = room[:at+n]
	return room[at : at : at+n]
}

// maxRoom is the number of things up to which room is enlarged ahead of need.
const maxRoom = 4096

// again makes room free for the next document. What lies in it is forgotten, so
// that the pool holds no text alive.
func again[T any](room *[]T) {
	if cap(*room) > 2*maxRoom {
		*room = nil
		return
	}
	clear(*room)
	*room = (*room)[:0]
}

// newBlock is a copy of the block that lives as long as the document.
func (d *Document) newBlock(b Block) *Block {
	if s := d.buffers; s != nil {
		return &append(carve(&s.blocks, 1), b)[0]
	}
	return &b
}

// newReport is an empty report that lives as long as the document.
func (d *Document) newReport() *report {
	b := d.buffers
	if b == nil || b.reading == maxReports {
		return new(report)
	}
	if b.reading == len(b.reports) {
		b.reports = append(b.reports, new(report))
	}
	b.reading++
	return b.reports[b.reading-1]
}

// roomFor is an empty list with room for n marks.
func (d *Document) roomFor(n int) []mark {
	if b := d.buffers; b != nil {
		return carve(&b.marks, n)
	}
	return make([]mark, 0, n)
}

// roomForRanges is the list; an empty one with room for a few.
func (d *Document) roomForRanges(list []lineRange) []lineRange {
	if b := d.buffers; b != nil && list == nil {
		return carve(&b.ranges, 8)
	}
	return list
}

// roomForCuts is an empty list with room for n cuts.
func (d *Document) roomForCuts(n int) []flowCut {
	if b := d.buffers; b != nil {
		return carve(&b.cuts, n)
	}
	return make([]flowCut, 0, n)
}

// roomForText is an empty text with room for n bytes.
func (d *Document) roomForText(n int) []byte {
	if b := d.buffers; b != nil {
		return carve(&b.text, n)
	}
	return make([]byte, 0, n)
}

// roomForHops is an empty list of hops. There is one: it is copied before the
// next one is asked for.
func (d *Document) roomForHops() []Hop {
	if b := d.buffers; b != nil {
		if b.hops == nil {
			b.hops = make([]Hop, 0, 16)
		}
		return b.hops[:0]
	}
	return nil
}

// roomForMentions is an empty list of mentions, as roomForHops.
func (d *Document) roomForMentions() []Mention {
	if b := d.buffers; b != nil {
		if b.mentions == nil {
			b.mentions = make([]Mention, 0, 64)
		}
		return b.mentions[:0]
	}
	return nil
}

// maxRewrites is more than the steps of the pre-pass that rewrite a text; the
// levels of quoting beyond it allocate.
const maxRewrites = 8

// maxPooled is the size in bytes up to which a buffer is kept.
const maxPooled = 256 << 10

var bufferPool = sync.Pool{New: func() any { return new(buffers) }}

// rewriter is a rewriter of the source for a text of about so many bytes.
func (d *Document) rewriter(source []byte, size int) *rewriter {
	b := d.buffers
	if b == nil || b.used == maxRewrites {
		return newRewriterSize(source, size)
	}
	r := &b.rewriters[b.used]
	b.used++
	size = min(size, maxCleaned)
	if cap(r.out) < size {
		r.out = make([]byte, 0, size)
	}
	if r.m.segments == nil {
		r.m.segments = make([]segment, 0, 64)
	}
	r.source, r.out, r.m.segments, r.full, r.writes = source, r.out[:0], r.m.segments[:0], false, false
	return r
}

// release gives the buffers back.
func (d *Document) release() {
	b := d.buffers
	if b == nil {
		return
	}
	d.buffers = nil
	for i := range b.rewriters[:b.used] {
		r := &b.rewriters[i]
		r.source = nil
		if cap(r.out) > maxPooled || cap(r.m.segments) > maxPooled/16 {
			*r = rewriter{}
		}
	}
	b.used = 0
	clear(d.maps)
	clear(d.parts)
	fits := cap(d.starts) <= maxPooled/4 && cap(d.parts) <= 256 && cap(d.mails) <= 256
	b.starts, b.heads, b.parts, b.mails, b.maps = d.starts[:0], d.heads[:0], d.parts[:0], d.mails[:0], d.maps[:0]
	*d = Document{}
	if !fits {
		return
	}
	again(&b.marks)
	again(&b.ranges)
	again(&b.blocks)
	again(&b.cuts)
	if cap(b.text) > maxPooled {
		b.text = nil
	}
	b.text = b.text[:0]
	for _, r := range b.reports[:b.reading] {
		r.reset()
	}
	b.reading = 0
	bufferPool.Put(b)
}

// maxReports is how many reports are kept for later documents.
const maxReports = 8

// reset empties the report and keeps its room.
func (r *report) reset() {
	if cap(r.items) > 64 || cap(r.status.groups) > 64 {
		*r = report{}
		return
	}
	clear(r.items)
	clear(r.status.groups)
	clear(r.status.failed)
	*r = report{items: r.items[:0], status: statusFields{groups: r.status.groups[:0], failed: r.status.failed[:0]}}
}
