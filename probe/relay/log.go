package relay

import (
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// The bounds of the log. Beyond them the oldest session goes, and inside one
// session the exchanges beyond the bound are counted and not kept.
const (
	LogSessions  = 1000    // sessions kept
	LogBytes     = 8 << 20 // of text over all sessions kept
	logExchanges = 1200    // kept per session; 1,001 recipients fit
	logText      = 2048    // bytes kept of one command or reply line
)

// Decision is the ground truth of one exchange: which row of the policy table
// answered, and on whose word.
type Decision struct {
	Rule  policy.RuleID // "P1", "U4"; empty when no row of the table spoke
	Basis string        // article statement ("A13") or other basis of that row, "assumed" if none
	Fault string        // name of the fault that made or changed the reply; empty: none
	Note  string        // our own words about what the wire did; empty: nothing to say
}

// Record is one session in the relay's log.
type Record struct {
	ID        string // "1", "2", … in the order of the connections
	Session   transcript.Session
	Decisions []Decision // beside Session.Exchanges, one each
	Client    string     // address that the client came from; Session.Address is the relay's
	Login     string     // user name that logged in; empty: nobody
	Open      bool       // the connection still stands
	Ended     time.Time  // zero while open
	Dropped   int        // exchanges beyond the bound, counted only
}

// Decided returns the decision of the first exchange that was refused, put off
// or lost, and its index; -1 when everything was accepted. It is the cause of
// the session: what comes after are consequences.
func (r *Record) Decided() (Decision, int) {
	for i, x := range r.Session.Exchanges {
		if x.Reply.Code >= 400 || x.Fault != transcript.FaultNone {
			return r.Decisions[i], i
		}
	}
	return Decision{}, -1
}

// Counters are sums since the start of the relay.
type Counters struct {
	Sessions   int64            // connections taken
	Open       int64            // of them, still open
	Turned     int64            // closed because too many were open
	AuthOK     int64            // logins accepted
	AuthFailed int64            // logins refused or put off
	Messages   int64            // accepted at the final dot
	Rules      map[string]int64 // replies by rule id
	Stages     map[string]int64 // replies by stage
	Codes      map[int]int64    // replies by code
}

// Event tells a watcher of one exchange as it happens.
type Event struct {
	ID       string
	Port     int
	Client   string
	Exchange transcript.Exchange
	Decision Decision
}

// journal keeps the log.
type journal struct {
	mu       sync.Mutex
	next     int
	records  []*Record // oldest first
	sizes    []int     // of text, beside records
	bytes    int
	counters Counters
	watch    func(Event)
}

func (j *journal) init() {
	j.counters.Rules = map[string]int64{}
	j.counters.Stages = map[string]int64{}
	j.counters.Codes = map[int]int64{}
}

// open starts the record of a session.
func (j *journal) open(s transcript.Session, client string) *Record {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.next++
	r := &Record{ID: strconv.Itoa(j.next), Session: s, Client: client, Open: true}
	j.records = append(j.records, r)
	j.sizes = append(j.sizes, 0)
	j.counters.Sessions++
	j.counters.Open++
	j.trim()
	return r
}

func (j *journal) trim() {
	n := 0
	for len(j.records)-n > LogSessions || j.bytes > LogBytes && len(j.records)-n > 1 {
		j.bytes -= j.sizes[n]
		j.records[n] = nil
		n++
	}
	// append moves what is left to a new place now and then; moving it for every
	// session would cost more than writing the log.
	j.records, j.sizes = j.records[n:], j.sizes[n:]
}

// add writes one exchange down.
func (j *journal) add(r *Record, x transcript.Exchange, d Decision) {
	size := 200 + len(x.Command) + len(d.Note)
	for _, l := range x.Reply.Lines {
		size += len(l)
	}
	j.mu.Lock()
	if len(r.Session.Exchanges) < logExchanges {
		r.Session.Exchanges = append(r.Session.Exchanges, x)
		r.Decisions = append(r.Decisions, d)
		// A record that has left the log is kept by its own connection alone.
		if i := j.index(r); i >= 0 {
			j.sizes[i] += size
			j.bytes += size
			j.trim()
		}
	} else {
		r.Dropped++
	}
	if d.Rule != "" {
		j.counters.Rules[string(d.Rule)]++
	}
	j.counters.Stages[string(x.Stage)]++
	if x.Reply.Code != 0 {
		j.counters.Codes[x.Reply.Code]++
	}
	if x.Stage == transcript.StageAuth && x.Reply.Code != 334 {
		if x.Reply.Code == 235 {
			j.counters.AuthOK++
		} else {
			j.counters.AuthFailed++
		}
	}
	watch := j.watch
	j.mu.Unlock()
	if watch != nil {
		watch(Event{ID: r.ID, Port: r.Session.Port, Client: r.Client, Exchange: x, Decision: d})
	}
}

// index finds a record; open ones are near the end.
func (j *journal) index(r *Record) int {
	for i := len(j.records) - 1; i >= 0; i-- {
		if j.records[i] == r {
			return i
		}
	}
	return -1
}

// update changes a record under the lock.
func (j *journal) update(r *Record, change func(*Record)) {
	j.mu.Lock()
	change(r)
	j.mu.Unlock()
}

// close ends a record.
func (j *journal) close(r *Record, at time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if r.Open {
		r.Open = false
		r.Ended = at
		j.counters.Open--
	}
}

// turned counts a connection that was closed because too many were open.
func (j *journal) turned() {
	j.mu.Lock()
	j.counters.Turned++
	j.mu.Unlock()
}

func (r *Record) clone() Record {
	c := *r
	c.Session.Exchanges = slices.Clone(r.Session.Exchanges)
	c.Session.Before = slices.Clone(r.Session.Before)
	c.Session.After = slices.Clone(r.Session.After)
	c.Decisions = slices.Clone(r.Decisions)
	return c
}

// snapshot copies the log, oldest session first.
func (j *journal) snapshot() []Record {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make([]Record, len(j.records))
	for i, r := range j.records {
		out[i] = r.clone()
	}
	return out
}

// find copies one record.
func (j *journal) find(id string) (Record, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range j.records {
		if r.ID == id {
			return r.clone(), true
		}
	}
	return Record{}, false
}

func (j *journal) count() Counters {
	j.mu.Lock()
	defer j.mu.Unlock()
	c := j.counters
	c.Rules = make(map[string]int64, len(j.counters.Rules))
	for k, v := range j.counters.Rules {
		c.Rules[k] = v
	}
	c.Stages = make(map[string]int64, len(j.counters.Stages))
	for k, v := range j.counters.Stages {
		c.Stages[k] = v
	}
	c.Codes = make(map[int]int64, len(j.counters.Codes))
	for k, v := range j.counters.Codes {
		c.Codes[k] = v
	}
	return c
}

// clip bounds a text of the log.
func clip(s string) string {
	if len(s) > logText {
		return s[:logText] + "..."
	}
	return s
}

// took counts a message that the relay answered for.
func (j *journal) took() {
	j.mu.Lock()
	j.counters.Messages++
	j.mu.Unlock()
}
