package resolve

import (
	"context"
	"net/netip"
	"strings"
)

// SPF is what was learned of a domain's sender policy (RFC 7208).
type SPF struct {
	Records []string // the records that begin with v=spf1; one is right
	// Names are the domains that the record and its includes name, in the order
	// they are met.
	Names   []string
	Lookups int  // terms that cost a look-up, up to where we stopped (limit 10)
	Void    int  // look-ups without an answer (limit 2)
	Stopped bool // we stopped counting: more than the limit, or our own
	// Unknown counts terms that cannot be followed without a message: macros.
	Unknown int
	Errors  []string // terms that break the grammar, and includes without a record
	Failed  string   // rcode, when the record itself could not be asked for
	Direct  bool     // an ip4 or ip6 term lists addresses
}

// Limits of RFC 7208 §4.6.4, and our own on queries.
const (
	spfLookups = 10
	spfVoid    = 2
)

// isSPF reports whether a TXT record is a sender policy (RFC 7208 §4.5).
func isSPF(text string) bool {
	t := strings.ToLower(text)
	return t == "v=spf1" || strings.HasPrefix(t, "v=spf1 ")
}

// spfWalk follows a policy through its includes.
type spfWalk struct {
	c    *Client
	out  SPF
	seen map[string]bool
	asks int
}

// SPF reads the sender policy of a domain and of what it includes: at most ten
// look-ups, and it stops behind the third without an answer.
func (c *Client) SPF(ctx context.Context, domain string) SPF {
	w := &spfWalk{c: c, seen: map[string]bool{}}
	a := c.Query(ctx, domain, TXT)
	if !a.Exists() {
		w.out.Failed = a.Rcode
		return w.out
	}
	for _, r := range a.Records {
		if isSPF(r.Text) {
			w.out.Records = append(w.out.Records, r.Text)
		}
	}
	if len(w.out.Records) == 1 {
		w.seen[plainName(domain)] = true
		w.record(ctx, w.out.Records[0], plainName(domain), 0)
	}
	return w.out
}

func (w *spfWalk) over() bool {
	return w.out.Lookups > spfLookups || w.out.Void > spfVoid || w.out.Stopped
}

func (w *spfWalk) fault(s string) {
	if len(w.out.Errors) < 20 {
		w.out.Errors = append(w.out.Errors, s)
	}
}

func (w *spfWalk) record(ctx context.Context, text, domain string, depth int) {
	terms := strings.Fields(text)
	redirect, all := "", false
	for _, term := range terms[1:] {
		if w.over() {
			return
		}
		if to, ok := strings.CutPrefix(strings.ToLower(term), "redirect="); ok {
			redirect = to
			continue
		}
		if i := strings.IndexByte(term, '='); i > 0 && !strings.ContainsAny(term[:i], ":/") {
			continue // exp= and modifiers of the future (RFC 7208 §6)
		}
		all = w.term(ctx, term, domain, depth) || all
	}
	// A redirect counts only where no term matches everything (RFC 7208 §6.1).
	if redirect != "" && !all && !w.over() {
		w.out.Lookups++
		w.name(redirect)
		w.follow(ctx, "redirect", redirect, depth)
	}
}

// term deals with one mechanism and reports whether it is "all".
func (w *spfWalk) term(ctx context.Context, term, domain string, depth int) bool {
	t := strings.ToLower(strings.TrimLeft(term, "+-~?"))
	if len(term)-len(t) > 1 {
		w.fault(term)
		return false
	}
	kind, arg, hasArg := strings.Cut(t, ":")
	if !hasArg {
		kind, _, _ = strings.Cut(t, "/")
	}
	switch kind {
	case "all":
		if t != "all" {
			w.fault(term)
			return false
		}
		return true
	case "ip4", "ip6":
		w.out.Direct = true
		if !hasArg || !address(arg, kind == "ip4") {
			w.fault(term)
		}
	case "include", "exists":
		w.out.Lookups++
		if arg == "" {
			w.fault(term)
			return false
		}
		w.name(arg)
		if w.over() {
			return false
		}
		if kind == "include" {
			w.follow(ctx, "include", arg, depth)
		} else {
			w.void(ctx, arg, A)
		}
	case "a", "mx":
		w.out.Lookups++
		target, _, _ := strings.Cut(arg, "/")
		if hasArg && target == "" {
			w.fault(term)
			return false
		}
		if target == "" {
			target = domain
		} else {
			w.name(target)
		}
		if w.over() {
			return false
		}
		if kind == "a" {
			w.void(ctx, target, A)
		} else {
			w.void(ctx, target, MX)
		}
	case "ptr":
		w.out.Lookups++
	default:
		w.fault(term)
	}
	return false
}

func (w *spfWalk) name(n string) {
	if len(w.out.Names) < 50 && !strings.Contains(n, "%") {
		w.out.Names = append(w.out.Names, plainName(n))
	}
}

// ask queries within our own bound.
func (w *spfWalk) ask(ctx context.Context, name string, t Type) (Answer, bool) {
	if strings.Contains(name, "%") {
		w.out.Unknown++
		return Answer{}, false
	}
	if w.asks == spfLookups {
		w.out.Stopped = true
		return Answer{}, false
	}
	w.asks++
	return w.c.Query(ctx, name, t), true
}

// void asks for a term's records only to see whether there are any. A missing
// A may be an AAAA, which counts as well.
func (w *spfWalk) void(ctx context.Context, name string, t Type) {
	a, ok := w.ask(ctx, name, t)
	if ok && a.Rcode == NoData && t == A {
		a, ok = w.ask(ctx, name, AAAA)
	}
	if ok && (a.Rcode == NXDomain || a.Rcode == NoData) {
		w.out.Void++
	}
}

// follow reads the record of an include or a redirect.
func (w *spfWalk) follow(ctx context.Context, kind, name string, depth int) {
	name = plainName(name)
	if w.seen[name] {
		if kind == "include" {
			w.fault(kind + ":" + name + " leads back to where it came from")
		}
		return
	}
	if depth == spfLookups {
		w.out.Stopped = true
		return
	}
	a, ok := w.ask(ctx, name, TXT)
	if !ok {
		return
	}
	if a.Rcode == NXDomain || a.Rcode == NoData {
		w.out.Void++
	}
	var found []string
	for _, r := range a.Records {
		if isSPF(r.Text) {
			found = append(found, r.Text)
		}
	}
	switch {
	case !a.Exists() && a.Rcode != NXDomain:
		w.out.Stopped = true // a resolver in trouble proves nothing
	case len(found) == 0:
		w.fault(kind + ":" + name + " has no SPF record")
	case len(found) > 1:
		w.fault(kind + ":" + name + " has more than one SPF record")
	default:
		w.seen[name] = true
		w.record(ctx, found[0], name, depth+1)
		delete(w.seen, name)
	}
}

func address(s string, four bool) bool {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Is4() == four
	}
	p, err := netip.ParsePrefix(s)
	return err == nil && p.Addr().Is4() == four
}
