package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// Threshold is a range of the monitoring plugin rules: "10" is 0 to 10, "10:"
// is 10 and more, "~:10" is up to 10, "10:20" is between; a value outside
// alerts. "@10:20" alerts inside. The zero value alerts never.
type Threshold struct {
	text       string
	from, to   float64
	inside     bool
	configured bool
}

// decimal is a number as perfdata has it: no exponent, no name.
var decimal = regexp.MustCompile(`^-?([0-9]+(\.[0-9]*)?|\.[0-9]+)$`)

// ParseThreshold reads a range; empty is none.
func ParseThreshold(s string) (Threshold, error) {
	t := Threshold{text: s, to: math.Inf(1)}
	if s == "" {
		return t, nil
	}
	t.configured = true
	rest, inside := strings.CutPrefix(s, "@")
	t.inside = inside
	from, to, ranged := strings.Cut(rest, ":")
	if !ranged {
		from, to = "0", rest
	}
	bad := fmt.Errorf("%q is no range; write 5, 5:10, 5:, ~:5 or @5:10", s)
	number := func(text string, into *float64) bool {
		v, err := strconv.ParseFloat(text, 64)
		*into = v
		return err == nil && decimal.MatchString(text)
	}
	switch {
	case from == "~":
		t.from = math.Inf(-1)
	case from != "" && !number(from, &t.from):
		return t, bad
	}
	if (to != "" || !ranged) && !number(to, &t.to) || t.from > t.to {
		return t, bad
	}
	return t, nil
}

// String is the range as it was written.
func (t Threshold) String() string { return t.text }

// Breach says where a value stands that it alerts for: outside the range, or
// inside where it was written with @.
func (t Threshold) Breach() string {
	if t.inside {
		return "inside " + strings.TrimPrefix(t.text, "@")
	}
	return "outside " + t.text
}

// Alerts reports whether a value is where the threshold wants an alert.
func (t Threshold) Alerts(v float64) bool {
	if !t.configured {
		return false
	}
	in := v >= t.from && v <= t.to
	return in == t.inside
}
