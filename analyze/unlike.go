package analyze

import (
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

// worlds are those that the probe may meet beside w itself: each difference
// alone, and all of them.
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
	if len(all) > 1 {
		each := slices.Clone(all)
		all = append(all, func(w *policy.World) {
			for _, change := range each {
				change(w)
			}
		})
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
