package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// threshold is a range of the monitoring plugin rules: "10" is 0 to 10, "10:"
// is 10 and more, "~:10" is up to 10, "10:20" is between; a value outside
// alerts. "@10:20" alerts inside.
type threshold struct {
	text       string
	from, to   float64
	inside     bool
	configured bool
}

func parseThreshold(s string) (threshold, error) {
	t := threshold{text: s, to: math.Inf(1)}
	if s == "" {
		return t, nil
	}
	t.configured = true
	rest := s
	if r, ok := strings.CutPrefix(rest, "@"); ok {
		t.inside, rest = true, r
	}
	from, to, ranged := strings.Cut(rest, ":")
	if !ranged {
		from, to = "0", rest
	}
	var err error
	switch from {
	case "~":
		t.from = math.Inf(-1)
	case "":
	default:
		t.from, err = strconv.ParseFloat(from, 64)
	}
	if err == nil && (to != "" || !ranged) {
		t.to, err = strconv.ParseFloat(to, 64)
	}
	if err != nil || t.from > t.to || math.IsNaN(t.from) || math.IsNaN(t.to) {
		return t, fmt.Errorf("%q is no range; write 5, 5:10, 5:, ~:5 or @5:10", s)
	}
	return t, nil
}

// alerts reports whether a value is where the threshold wants an alert.
func (t threshold) alerts(v float64) bool {
	if !t.configured {
		return false
	}
	in := v >= t.from && v <= t.to
	return in == t.inside
}
