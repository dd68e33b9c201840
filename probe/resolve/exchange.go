package resolve

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// try asks one server once: over UDP, and over TCP when the answer was cut.
func (c *Client) try(ctx context.Context, server, owner string, t Type) (Answer, string) {
	ctx, cancel := context.WithTimeout(ctx, or(c.perTry, patience))
	defer cancel()
	q := new(dns.Msg)
	q.SetQuestion(owner, uint16(t))
	q.SetEdns0(1232, false)
	m, unfit := c.exchange(ctx, "udp", server, q)
	if m != nil && (m.Rcode == dns.RcodeFormatError || m.Rcode == dns.RcodeNotImplemented) {
		// A server from before EDNS (RFC 6891 §6.2.2).
		q.Extra = nil
		q.Id = dns.Id()
		var more int
		if plain, n := c.exchange(ctx, "udp", server, q); plain != nil {
			m, more = plain, n
		}
		unfit += more
	}
	if m == nil {
		return Answer{Rcode: Timeout, Unfit: unfit}, ""
	}
	tcp, cut := false, m.Truncated
	if cut {
		q.Id = dns.Id()
		full, n := c.exchange(ctx, "tcp", server, q)
		unfit += n
		if full != nil && !full.Truncated {
			m, tcp, cut = full, true, false
		}
	}
	a, last := read(m, owner, t)
	a.Server, a.TCP, a.Unfit = server, tcp, unfit
	if cut {
		a.Truncated = true
		a.Detail = "the answer was cut, and TCP brought none"
		if len(a.Records) == 0 {
			a.Rcode = Timeout
		}
	}
	return a, last
}

// exchange sends a question and waits for the answer that fits it. Others are
// passed over and counted: a forged answer must not stop the true one.
func (c *Client) exchange(ctx context.Context, network, server string, q *dns.Msg) (*dns.Msg, int) {
	dial := c.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	conn, err := dial(ctx, network, server)
	if err != nil {
		return nil, 0
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	wire, err := q.Pack()
	if err != nil {
		return nil, 0
	}
	stream := network == "tcp"
	if stream {
		wire = append(binary.BigEndian.AppendUint16(nil, uint16(len(wire))), wire...)
	}
	if _, err := conn.Write(wire); err != nil {
		return nil, 0
	}
	buf := make([]byte, dns.MaxMsgSize)
	for unfit := 0; unfit < maxUnfit; {
		b, err := message(conn, stream, &buf)
		if err != nil {
			// "Nothing listens there" and the end of patience are the same here:
			// no answer.
			return nil, unfit
		}
		m := new(dns.Msg)
		if m.Unpack(b) == nil && fits(m, q) {
			return m, unfit
		}
		unfit++
		if stream {
			return nil, unfit
		}
	}
	return nil, maxUnfit
}

// message reads one message: a datagram, or two bytes of length and the rest.
func message(conn net.Conn, stream bool, buf *[]byte) ([]byte, error) {
	if !stream {
		n, err := conn.Read(*buf)
		return (*buf)[:max(n, 0)], err
	}
	var head [2]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint16(head[:]))
	_, err := io.ReadFull(conn, b)
	return b, err
}

// fits reports whether m answers q: id, QR, opcode, and the very question.
func fits(m, q *dns.Msg) bool {
	if m.Id != q.Id || !m.Response || m.Opcode != dns.OpcodeQuery {
		return false
	}
	if len(m.Question) == 0 {
		// Servers that cannot read a question may leave it out.
		return m.Rcode == dns.RcodeFormatError || m.Rcode == dns.RcodeNotImplemented
	}
	got, want := m.Question[0], q.Question[0]
	return len(m.Question) == 1 && got.Qtype == want.Qtype && got.Qclass == want.Qclass && strings.EqualFold(got.Name, want.Name)
}

// read takes from a fitting message what belongs to the question: the records
// of the name asked for, or of the name that its aliases lead to. Everything
// else in it is nobody's business.
func read(m *dns.Msg, owner string, t Type) (a Answer, last string) {
	switch m.Rcode {
	case dns.RcodeSuccess:
		a.Rcode = NoData
	case dns.RcodeNameError:
		a.Rcode = NXDomain
	case dns.RcodeServerFailure:
		a.Rcode = ServFail
	case dns.RcodeRefused:
		a.Rcode = Refused
	default:
		if a.Rcode = dns.RcodeToString[m.Rcode]; a.Rcode == "" {
			a.Rcode = ServFail
		}
	}
	name := owner
	ttl := func(h *dns.RR_Header) {
		if a.TTL == 0 || h.Ttl < a.TTL {
			a.TTL = h.Ttl
		}
	}
	for hops := 0; t != CNAME && hops <= maxChain; hops++ {
		i := slices.IndexFunc(m.Answer, func(rr dns.RR) bool {
			_, ok := rr.(*dns.CNAME)
			return ok && rr.Header().Class == dns.ClassINET && strings.EqualFold(rr.Header().Name, name)
		})
		if i < 0 {
			break
		}
		alias := m.Answer[i].(*dns.CNAME)
		ttl(&alias.Hdr)
		name = alias.Target
		last = name
		a.CNAMEs = append(a.CNAMEs, plainName(name))
	}
	if m.Rcode != dns.RcodeSuccess {
		return a, ""
	}
	for _, rr := range m.Answer {
		h := rr.Header()
		if h.Rrtype != uint16(t) || h.Class != dns.ClassINET || !strings.EqualFold(h.Name, name) {
			continue
		}
		if len(a.Records) == maxRecords {
			a.Dropped++
			continue
		}
		if r, ok := record(rr); ok {
			ttl(h)
			r.TTL = h.Ttl
			a.Records = append(a.Records, r)
		}
	}
	if len(a.Records) > 0 {
		a.Rcode, last = NoError, ""
	}
	return a, last
}

func record(rr dns.RR) (Record, bool) {
	switch rr := rr.(type) {
	case *dns.A:
		addr, ok := netip.AddrFromSlice(rr.A.To4())
		return Record{Text: addr.String(), Addr: addr}, ok
	case *dns.AAAA:
		addr, ok := netip.AddrFromSlice(rr.AAAA.To16())
		return Record{Text: addr.String(), Addr: addr}, ok
	case *dns.MX:
		host := plainName(rr.Mx)
		return Record{Text: fields(rr), Host: host, Pref: rr.Preference}, true
	case *dns.CNAME:
		return Record{Text: plainName(rr.Target), Host: plainName(rr.Target)}, true
	case *dns.PTR:
		return Record{Text: plainName(rr.Ptr), Host: plainName(rr.Ptr)}, true
	case *dns.NS:
		return Record{Text: plainName(rr.Ns), Host: plainName(rr.Ns)}, true
	case *dns.TXT:
		s := strings.Join(rr.Txt, "")
		return Record{Text: s[:min(len(s), maxText)]}, true
	case *dns.TLSA:
		return Record{Text: fields(rr)}, true
	}
	return Record{}, false
}

// fields is the data of a record as a zone file has it.
func fields(rr dns.RR) string {
	s := strings.TrimPrefix(rr.String(), rr.Header().String())
	return s[:min(len(s), maxText)]
}
