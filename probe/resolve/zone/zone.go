// Package zone is a name server on loopback that answers from a zone text, and
// on demand as no name server should: with failures, silence, cut answers and
// lies. It is for tests and for the presets of the reference relay. It is no
// name server for anything else: no delegation, no DNSSEC, no transfers.
package zone

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Server answers over UDP and TCP on one port of loopback.
type Server struct {
	udp  net.PacketConn
	tcp  net.Listener
	done chan struct{}
	wg   sync.WaitGroup
	mu   sync.Mutex // guards what follows
	zone contents
	open map[net.Conn]bool
	log  []string
}

// contents are what a zone text says.
type contents struct {
	records []dns.RR
	faults  []fault
}

// fault is a line "$FAULT NAME KIND" of the zone text. NAME "*" is every name.
type fault struct{ name, kind string }

// kinds are the faults there are.
var kinds = []struct{ name, does string }{
	{"servfail", "answers SERVFAIL"},
	{"refused", "answers REFUSED"},
	{"nxdomain", "says that the name does not exist"},
	{"formerr", "answers FORMERR"},
	{"silent", "does not answer"},
	{"truncate", "cuts the answer over UDP, gives it whole over TCP"},
	{"truncate-closes", "cuts the answer, then closes TCP"},
	{"truncate-drips", "cuts the answer, then sends a byte a second over TCP"},
	{"truncate-lies", "cuts the answer, then announces more over TCP than it sends"},
	{"garbage", "answers with bytes that are no message"},
	{"wrong-id", "answers with another id"},
	{"wrong-question", "answers another question"},
	{"no-question", "answers without the question"},
	{"not-a-reply", "sends the question back"},
	{"chaos", "answers with records of another class"},
	{"foreign-owner", "answers with records of another name"},
	{"extra", "adds records of other names to a true answer"},
	{"forged-first", "sends a forged answer first, the true one second"},
	{"no-edns", "answers FORMERR to whoever uses EDNS"},
	{"loop", "answers with an alias that leads to itself"},
	{"endless", "answers with an alias that leads ever on"},
	{"many", "answers with 500 records"},
	{"half-alias", "answers with the alias and leaves out where it leads"},
}

// Forged is the address in every lie.
const Forged = "203.0.113.66"

// The bounds of connections over TCP. A drip of one byte a second has to get far
// enough to be seen as one.
const (
	maxStreams     = 100
	streamPatience = 2 * time.Minute
)

// Start reads a zone text (RFC 1035 §5, names absolute or below $ORIGIN) with
// "$FAULT NAME KIND" lines and serves it on a port of 127.0.0.1 that the system
// chooses.
func Start(text string) (*Server, error) { return StartAt("127.0.0.1:0", text) }

// StartAt serves on an address of loopback.
func StartAt(address, text string) (*Server, error) {
	zone, err := parse(text)
	if err != nil {
		return nil, err
	}
	s := &Server{zone: zone, done: make(chan struct{}), open: map[net.Conn]bool{}}
	for range 10 { // the UDP port may be taken for TCP
		if s.udp, err = net.ListenPacket("udp", address); err != nil {
			return nil, err
		}
		if s.tcp, err = net.Listen("tcp", s.udp.LocalAddr().String()); err == nil {
			break
		}
		_ = s.udp.Close()
	}
	if err != nil {
		return nil, err
	}
	s.wg.Go(s.serveUDP)
	s.wg.Go(s.serveTCP)
	return s, nil
}

// Replace has the server answer from another zone text from now on. What is
// wrong with the text leaves the old one in place.
func (s *Server) Replace(text string) error {
	zone, err := parse(text)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.zone = zone
	s.mu.Unlock()
	return nil
}

func parse(text string) (contents, error) {
	var c contents
	var plain strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != "$FAULT" {
			plain.WriteString(line)
			plain.WriteByte('\n')
			continue
		}
		if len(f) != 3 || !known(f[2]) {
			return c, fmt.Errorf("zone: %q is no fault", line)
		}
		name := f[1]
		if name != "*" {
			name = dns.CanonicalName(name)
		}
		c.faults = append(c.faults, fault{name, f[2]})
	}
	p := dns.NewZoneParser(strings.NewReader(plain.String()), ".", "")
	p.SetDefaultTTL(300)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		c.records = append(c.records, rr)
	}
	if p.Err() != nil {
		return c, fmt.Errorf("zone: %w", p.Err())
	}
	return c, nil
}

// current is what the server answers from. Its slices are never written to.
func (s *Server) current() contents {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.zone
}

func known(kind string) bool {
	for _, k := range kinds {
		if k.name == kind {
			return true
		}
	}
	return false
}

// Addr is where the server listens.
func (s *Server) Addr() string { return s.udp.LocalAddr().String() }

// Log is the questions so far, as "udp A relay.example.".
func (s *Server) Log() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.log...)
}

// Close stops the server and waits for it.
func (s *Server) Close() {
	close(s.done)
	_ = s.udp.Close()
	_ = s.tcp.Close()
	s.mu.Lock()
	for c := range s.open {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *Server) serveUDP() {
	buf := make([]byte, 4096)
	for {
		n, peer, err := s.udp.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		for _, b := range s.answer(buf[:n], false) {
			_, _ = s.udp.WriteTo(b, peer)
		}
	}
}

func (s *Server) serveTCP() {
	for {
		c, err := s.tcp.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		full := len(s.open) >= maxStreams
		if !full {
			s.open[c] = true
		}
		s.mu.Unlock()
		if full {
			_ = c.Close()
			continue
		}
		_ = c.SetDeadline(time.Now().Add(streamPatience))
		s.wg.Go(func() {
			defer func() {
				_ = c.Close()
				s.mu.Lock()
				delete(s.open, c)
				s.mu.Unlock()
			}()
			s.serveStream(c)
		})
	}
}

func (s *Server) serveStream(c net.Conn) {
	var head [2]byte
	if _, err := readFull(c, head[:]); err != nil {
		return
	}
	b := make([]byte, binary.BigEndian.Uint16(head[:]))
	if _, err := readFull(c, b); err != nil {
		return
	}
	kind := s.faultOf(b)
	if kind == "truncate-closes" {
		return
	}
	for _, m := range s.answer(b, true) {
		size := len(m)
		if kind == "truncate-lies" {
			size += 1000
		}
		out := append(binary.BigEndian.AppendUint16(nil, uint16(size)), m...)
		if kind != "truncate-drips" {
			_, _ = c.Write(out)
			continue
		}
		for i := range out {
			if _, err := c.Write(out[i : i+1]); err != nil {
				return
			}
			select {
			case <-time.After(time.Second):
			case <-s.done:
				return
			}
		}
	}
	if kind == "truncate-lies" {
		<-s.done
	}
}

func readFull(c net.Conn, b []byte) (int, error) {
	n := 0
	for n < len(b) {
		m, err := c.Read(b[n:])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (s *Server) faultOf(b []byte) string {
	q := new(dns.Msg)
	if q.Unpack(b) != nil || len(q.Question) != 1 {
		return ""
	}
	name := dns.CanonicalName(q.Question[0].Name)
	for _, f := range s.current().faults {
		if f.name == "*" || f.name == name {
			return f.kind
		}
	}
	return ""
}

// answer makes the messages that one question gets.
func (s *Server) answer(b []byte, stream bool) [][]byte {
	q := new(dns.Msg)
	if q.Unpack(b) != nil || len(q.Question) != 1 || q.Response {
		return nil
	}
	network := "udp"
	if stream {
		network = "tcp"
	}
	s.mu.Lock()
	if len(s.log) < 10000 {
		s.log = append(s.log, network+" "+dns.TypeToString[q.Question[0].Qtype]+" "+q.Question[0].Name)
	}
	s.mu.Unlock()
	m := s.truth(q)
	kind := s.faultOf(b)
	send := []*dns.Msg{m}
	switch kind {
	case "silent":
		return nil
	case "garbage":
		return [][]byte{{0xde, 0xad, 0xbe, 0xef}, append(b[:2:2], 0xff, 0xff, 0xff)}
	case "not-a-reply":
		return [][]byte{b}
	case "servfail", "refused", "nxdomain", "formerr":
		m.Answer = nil
		m.Rcode = map[string]int{
			"servfail": dns.RcodeServerFailure, "refused": dns.RcodeRefused, "nxdomain": dns.RcodeNameError, "formerr": dns.RcodeFormatError,
		}[kind]
	case "no-edns":
		if q.IsEdns0() != nil {
			m.Answer, m.Rcode = nil, dns.RcodeFormatError
		}
	case "forged-first":
		lie := m.Copy()
		lie.Id++
		lie.Answer = []dns.RR{forged(q.Question[0].Name)}
		other := m.Copy()
		other.Question[0].Name = "other.example."
		other.Answer = []dns.RR{forged(q.Question[0].Name)}
		send = []*dns.Msg{lie, other, m}
	default:
		s.lie(m, q, kind, stream)
	}
	var out [][]byte
	for _, m := range send {
		if wire, err := m.Pack(); err == nil {
			out = append(out, wire)
		}
	}
	return out
}

// lie turns a true answer into what the fault says.
func (s *Server) lie(m, q *dns.Msg, kind string, stream bool) {
	name := q.Question[0].Name
	switch {
	case strings.HasPrefix(kind, "truncate") && !stream:
		m.Answer, m.Truncated = nil, true
	case kind == "wrong-id":
		m.Id++
		m.Answer = []dns.RR{forged(name)}
	case kind == "wrong-question":
		m.Question[0].Name = "other.example."
		m.Answer = []dns.RR{forged(name)}
	case kind == "no-question":
		m.Question = nil
		m.Answer = []dns.RR{forged(name)}
	case kind == "chaos":
		rr := forged(name)
		rr.Header().Class = dns.ClassCHAOS
		m.Answer = []dns.RR{rr}
	case kind == "foreign-owner":
		m.Answer = []dns.RR{forged("other.example.")}
	case kind == "extra":
		m.Answer = append([]dns.RR{forged("other.example."), forged("ppe-hosted.com.")}, m.Answer...)
		m.Extra = append(m.Extra, forged(name))
	case kind == "loop":
		m.Rcode = dns.RcodeSuccess
		m.Answer = []dns.RR{alias(name, name)}
	case kind == "endless":
		m.Rcode = dns.RcodeSuccess
		m.Answer = []dns.RR{alias(name, "x."+name)}
	case kind == "many":
		m.Answer = nil
		for i := range 500 {
			m.Answer = append(m.Answer, &dns.A{Hdr: header(name, dns.TypeA), A: net.IPv4(192, 0, 2, byte(i))})
		}
	case kind == "half-alias":
		for i, rr := range m.Answer {
			if _, ok := rr.(*dns.CNAME); ok {
				m.Answer = m.Answer[:i+1]
				break
			}
		}
	}
}

func header(name string, t uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: t, Class: dns.ClassINET, Ttl: 300}
}

func forged(name string) dns.RR {
	return &dns.A{Hdr: header(name, dns.TypeA), A: net.ParseIP(Forged).To4()}
}

func alias(name, target string) dns.RR {
	return &dns.CNAME{Hdr: header(name, dns.TypeCNAME), Target: target}
}

// truth answers from the zone: the records, aliases followed, or whether the
// name exists at all.
func (s *Server) truth(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(q)
	m.RecursionAvailable = true
	name := dns.CanonicalName(q.Question[0].Name)
	records := s.current().records
	for range 20 {
		exists, next := false, ""
		for _, rr := range records {
			owner := dns.CanonicalName(rr.Header().Name)
			if owner == name || strings.HasSuffix(owner, "."+name) {
				exists = true
			}
			if owner != name {
				continue
			}
			if rr.Header().Rrtype == q.Question[0].Qtype {
				m.Answer = append(m.Answer, rr)
			} else if c, ok := rr.(*dns.CNAME); ok {
				m.Answer = append(m.Answer, rr)
				next = dns.CanonicalName(c.Target)
			}
		}
		if !exists {
			m.Rcode = dns.RcodeNameError
		}
		if next == "" {
			break
		}
		name = next
	}
	return m
}
