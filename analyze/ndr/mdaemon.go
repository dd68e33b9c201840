package ndr

// mdaemonRecipients are the labels before a recipient of MDaemon's report, in
// lower case.
var mdaemonRecipients = []string{"failed address:", "address:", "recipient:", "failed recipient:"}

// mdaemonReport reads MDaemon's report: a sentence that says whether it is about
// a failure or a delay, the recipients behind labels, and the log of the session
// as a transcript.
//
//	The attached message had PERMANENT fatal delivery errors!
//	Failed address: r
//	--- Session Transcript ---
//	 Fri 2026-11-20 09:12:38: [118823] <-- 554 5.7.1 …
func mdaemonReport(b *Block) []Case {
	r := newReport(b)
	r.readStatus()
	var listed []string
	for i := b.First; i < min(r.last, r.body) && len(listed) < maxItems; i++ {
		l, _ := r.line(i)
		for _, w := range mdaemonRecipients {
			if !foldPrefix(l, w) {
				continue
			}
			if a, _, to := findMailbox(l[len(w):]); to > 0 {
				listed = append(listed, a)
			}
			break
		}
	}
	if m := r.find(signMDaemon); m != nil && foldIndexIn(r.doc.Line(int(m.line)), "had transient") >= 0 {
		r.delay = true
	}
	for _, c := range readDialogue(b) {
		for _, it := range c.Items {
			it.FromReport = true
			if it.Recipient != "" || len(listed) == 0 {
				r.adopt(&it)
				continue
			}
			for _, a := range listed {
				it.Recipient = a
				r.adopt(&it)
			}
		}
	}
	if len(r.items) == 0 && len(r.status.groups) == 0 {
		for _, a := range listed {
			r.item(a)
		}
		if len(listed) == 0 {
			genericText(r)
		}
	}
	return r.cases()
}

// adopt takes an item that another reader made.
func (r *report) adopt(it *Item) {
	if it.Recipient != "" && r.known(it.Recipient) {
		combine(r.item(it.Recipient), it)
		return
	}
	*r.item(it.Recipient) = *it
}
