package relay

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/smtp-handoff/handoff/analyze/policy"
)

// The bounds of the store of accepted messages.
const (
	KeepMessages   = 200
	keepRecipients = 1000
)

// Message is a message that the relay answered for. It goes nowhere; only its
// head is kept.
type Message struct {
	QueueID    string
	Session    string // id of the session in the log
	At         time.Time
	Port       int
	Client     netip.Addr
	Login      string // user name; empty: nobody
	Sender     string // envelope sender; empty: the null sender
	Recipients []string
	Bytes      int64  // counted on the wire
	Head       []byte // first 16 KB
	Fate       *Fate  // what a later hop did to it, by a fault or a magic recipient; nil: nothing
}

// Fate is what the next server did to a message that the relay took. Nothing is
// ever sent; a report about it can be composed (package bounce, family Service).
type Fate struct {
	Host, Address string
	Reply         string // its reply; empty: it could not be reached
	Delayed       bool   // the relay goes on trying
}

// nextHop stands for the recipient's server in fates.
var nextHop = Fate{Host: "mx.recipient.example", Address: "192.0.2.90"}

// fate is what the faults that are set and the magic recipients ask for.
func (w *wire) fate() *Fate {
	f := nextHop
	if m := magicOf(w.rcpts); m != nil && m.at == policy.Quit {
		f.Reply = fmt.Sprintf("%d %s <%s>: the recipient asked for this reply", m.code, m.enhanced, printable(m.address))
		f.Delayed = m.code < 500
		return &f
	}
	if d := w.fault("downstream-refuses"); d != nil {
		f.Reply = "550 5.1.1 <" + firstOf(w.rcpts) + ">: no such mailbox"
		if len(d.Args) > 0 && d.Args[0] == "spf" {
			f.Reply = "550 5.7.1 Message rejected per sender's SPF policy"
		}
		return &f
	}
	if w.fault("downstream-deferred") != nil {
		f.Reply, f.Delayed = "452 4.3.1 Insufficient system storage", true
		return &f
	}
	if w.fault("downstream-unreachable") != nil {
		return &f
	}
	return nil
}

func firstOf(s []string) string {
	if len(s) == 0 {
		return ""
	}
	return printable(s[0])
}

// Header returns the value of the first header field of that name, unfolded;
// empty if the message has none.
func (m *Message) Header(name string) string {
	for rest := m.Head; len(rest) > 0; {
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		rest = after
		line = bytes.TrimRight(line, "\r")
		if len(line) == 0 {
			return ""
		}
		key, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || !strings.EqualFold(string(key), name) {
			continue
		}
		v := string(bytes.TrimSpace(value))
		for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
			line, after, _ := bytes.Cut(rest, []byte("\n"))
			rest = after
			v += " " + string(bytes.TrimSpace(line))
		}
		return v
	}
	return ""
}

type store struct {
	mu       sync.Mutex
	messages []Message
}

// accept keeps the message and counts it for the limits.
func (r *Relay) accept(w *wire, sender string, size int64) {
	now := r.clock.Now()
	m := Message{
		QueueID: w.state.QueueID, Session: w.rec.ID, At: now, Port: w.port, Client: w.state.Client,
		Sender: sender, Recipients: w.rcpts, Bytes: size, Head: w.head, Fate: w.fate(),
	}
	if w.state.Login != "" {
		m.Login = w.username
	}
	w.rcpts, w.head = nil, nil
	lower := strings.ToLower(sender)
	_, domain, _ := strings.Cut(lower, "@")
	r.history.add("s:"+lower, now)
	r.history.add("d:"+domain, now)
	for _, rcpt := range m.Recipients {
		r.history.add("r:"+strings.ToLower(rcpt), now)
	}
	r.journal.took()
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	if len(r.store.messages) >= KeepMessages {
		r.store.messages[0] = Message{}
		r.store.messages = r.store.messages[1:]
	}
	r.store.messages = append(r.store.messages, m)
}

// Messages returns the last 200 messages that the relay answered for, oldest
// first.
func (r *Relay) Messages() []Message {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	return slices.Clone(r.store.messages)
}
