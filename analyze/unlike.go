package analyze

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// A probe that stands beside a bounce is another try than the one that failed:
// the person who probes may enter another sender and the right password, and
// time has passed. Only what is known to be the same is taken for the same.

// difference says in what a probe may differ from the try of a text.
type difference struct {
	sender bool // another envelope sender
	login  bool // another credential
	later  bool // what was young then may be live now
	own    bool // its sender is its login's own name
	hosted bool // the text is of Exchange Online, whose addresses no probe has
}

// unlike compares observation i, a probe's, with the texts beside it.
func unlike(obs []Observation, i int) difference {
	p := &obs[i]
	d := difference{own: p.LoginSender == transcript.Yes}
	for k := range obs {
		o := &obs[k]
		if o.Via == "probe" {
			continue
		}
		d.sender = d.sender || p.Sender != "" && !strings.EqualFold(o.Sender, p.Sender)
		d.login = d.login || p.AuthTried == transcript.Yes && (o.Login == "" || !strings.EqualFold(o.Login, p.Login))
		d.hosted = d.hosted || p.AuthTried != transcript.Yes && fromExchange(o)
		d.later = d.later || p.When.IsZero() || o.When.IsZero() || p.When.Sub(o.When) >= propagation
	}
	return d
}

// spareUser is a credential that works in every world: the one that somebody
// enters who is not the client.
const (
	spareUser     = "spare@customer.example"
	sparePassword = "pw9"
)

var spareLines = []string{
	"cred new spare --user " + spareUser + " --password " + sparePassword,
	"user add " + spareUser + " --kind functional",
}

// spareServer is a Sending Server that no client of a scenario is.
const spareServer = "203.0.113.201"

func fromUnlisted(w *policy.World) { w.Client.Address = elsewhere }

func fromListed(w *policy.World) {
	if _, err := w.Apply("sender add "+spareServer, worldTime.Add(-settled)); err == nil {
		w.Client.Address = netip.MustParseAddr(spareServer)
	}
}

// worlds are those that the probe may meet beside w itself: each difference
// alone, and all of them, from each of the addresses.
func (d difference) worlds(w *policy.World) []*policy.World {
	var all []func(*policy.World)
	if d.sender {
		all = append(all, func(w *policy.World) { w.Client.Sender, w.Client.Forwards, w.Client.Sent = knownGoodSender, "", 0 })
	}
	if d.login {
		all = append(all, func(w *policy.World) {
			if _, err := w.ApplyAll(spareLines, worldTime.Add(-settled)); err == nil {
				w.Client.Username, w.Client.Password, w.Client.Mechanisms = spareUser, sparePassword, slices.Clone(probeMechanisms)
			}
		})
	}
	if d.later {
		all = append(all, func(w *policy.World) { w.Account.Settle(worldTime.Add(propagation), worldTime) })
	}
	if each := slices.Clone(all); len(each) > 1 {
		all = append(all, func(w *policy.World) {
			for _, change := range each {
				change(w)
			}
		})
	}
	if d.hosted {
		here := slices.Clip(all)
		for _, from := range []func(*policy.World){fromUnlisted, fromListed} {
			for _, change := range here {
				all = append(all, func(w *policy.World) { change(w); from(w) })
			}
			all = append(all, from)
		}
	}
	out := make([]*policy.World, len(all))
	for i, change := range all {
		out[i] = w.Clone()
		change(out[i])
		if d.own && d.sender {
			out[i].Client.Sender = out[i].Client.Username
		}
	}
	return out
}
