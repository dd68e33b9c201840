package transcript

import (
	"slices"
	"strconv"
)

// Bounds of the addresses in a plan that is read.
const (
	maxPlanned        = 200
	maxPlannedAddress = 512 // bytes; RFC 5321 §4.5.3.1 allows 256 for a path
)

// keys is the plan as the text form has it. It is never empty.
func (p *Plan) keys() *keys {
	k := new(keys)
	k.text("intent", p.Intent)
	k.always("credential", strconv.FormatBool(p.Credential))
	k.text("stop-after", string(p.StopAfter))
	k.text("login-sender", p.LoginSender)
	for _, a := range p.From {
		k.always("from", a)
	}
	for _, a := range p.To {
		k.always("to", a)
	}
	k.flag("partial", p.Partial)
	return k
}

// set takes one key of the text form. Only the words that a plan can have count:
// the text may come from anywhere.
func (p *Plan) set(key, value string) {
	switch key {
	case "intent":
		if slices.Contains([]string{"auth", "server", "both"}, value) {
			p.Intent = value
		}
	case "credential":
		p.Credential = value == "true"
	case "stop-after":
		if n := Stage(value).Order(); n >= StageConnect.Order() && n <= StageData.Order() {
			p.StopAfter = Stage(value)
		}
	case "login-sender":
		if value == "yes" || value == "no" {
			p.LoginSender = value
		}
	case "from":
		p.From = planned(p.From, value)
	case "to":
		p.To = planned(p.To, value)
	case "partial":
		p.Partial = value == "true"
	}
}

// planned adds an address to a list within its bounds.
func planned(list []string, address string) []string {
	if len(list) == maxPlanned || len(address) > maxPlannedAddress {
		return list
	}
	return append(list, address)
}
