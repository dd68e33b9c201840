package ndr

import "sync"

// buffers are what a document is made of beside its input. Read takes them from
// a pool and gives them back: nothing that it returns refers to them, since all
// that is kept of a text is a string of its own.
type buffers struct {
	rewriters [maxRewrites]rewriter
	used      int // rewriters
	starts    []int32
	parts     []part
	mails     []mailRange
	maps      []offsetMap
	marks     []mark
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
	r.source, r.out, r.m.segments, r.full = source, r.out[:0], r.m.segments[:0], false
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
	if cap(d.starts) <= maxPooled/4 && cap(d.parts) <= 256 && cap(d.mails) <= 256 && cap(b.marks) <= 4096 {
		b.starts, b.parts, b.mails, b.maps = d.starts[:0], d.parts[:0], d.mails[:0], d.maps[:0]
		bufferPool.Put(b)
	}
	d.starts, d.parts, d.mails, d.maps = nil, nil, nil, nil
}
