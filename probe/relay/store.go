package relay

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// The bounds of the store of accepted messages.
const (
	keepMessages   = 200
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
		Sender: sender, Recipients: w.rcpts, Bytes: size, Head: w.head,
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
	if len(r.store.messages) >= keepMessages {
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
