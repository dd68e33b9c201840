package analyze

import (
	"encoding/json"
	"slices"
	"testing"
)

func tallied() []*Report {
	refused := Outcome{Verdict: Refused, RefusedBy: smartHost, Reply: Reply{554, "5.7.1", "<d@partner.example>: Relay access denied"}, When: "2026-11-23T10:00:00Z", Causes: []Cause{{ID: "wrong-port"}, {ID: "force-auth"}}}
	limit := Outcome{Verdict: Refused, RefusedBy: smartHost, Reply: Reply{554, "5.5.0", "Relay Access denied"}, When: "2026-11-24T10:00:00Z"}
	lost := Outcome{Verdict: Unreachable, Target: smartHost}
	odd := Outcome{Verdict: NeverReached, RefusedBy: "x\x1b[31m", Reply: Reply{577, "", "what"}}
	fine := Outcome{Verdict: NotAFailure}
	return []*Report{
		{Input: &Input{}, Outcomes: []Outcome{refused, limit}},
		{Input: &Input{Truncated: true}, Outcomes: []Outcome{refused, lost, fine}},
		{Input: &Input{Format: "unreadable", Truncated: true}},
		{Outcomes: []Outcome{odd}},
	}
}

func TestTally(t *testing.T) {
	var a, b Tally
	all := tallied()
	for _, r := range all {
		a.Add(r)
	}
	slices.Reverse(all)
	for _, r := range all {
		b.Add(r)
	}
	want := `4 inputs, 6 outcomes, 1 unreadable, 1 read in part

verdict
  3  refused
  1  never-reached
and 2 more

refused by
  3  outbound-us1.ppe-hosted.com
  2  not stated

reply
  2  relay-denied
  1  577
and 2 more

first cause
  3  not stated
  2  wrong-port

day
  2  2026-11-23
  1  2026-11-24
and 1 more
`
	got := string(a.AppendText(nil, 2))
	if norm(got) != norm(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if x, y := string(a.AppendJSON(nil)), string(b.AppendJSON(nil)); x != y {
		t.Errorf("the order of the reports shows:\n%s\n%s", x, y)
	}
	var doc struct {
		Kind     string  `json:"kind"`
		Inputs   int     `json:"inputs"`
		Outcomes int     `json:"outcomes"`
		Verdicts []Count `json:"verdicts"`
		Days     []Count `json:"days"`
	}
	if err := json.Unmarshal(a.AppendJSON(nil), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Kind != "summary" || doc.Inputs != 4 || doc.Outcomes != 6 || len(doc.Verdicts) != 4 || doc.Days[0] != (Count{"2026-11-23", 2}) {
		t.Errorf("%+v", doc)
	}
	var empty Tally
	if got := string(empty.AppendText(nil, 0)); got != "0 inputs, 0 outcomes\n" {
		t.Errorf("%q", got)
	}
}

// norm drops the leading blanks of lines.
func norm(s string) string {
	var out []byte
	start := true
	for i := 0; i < len(s); i++ {
		if start && s[i] == ' ' {
			continue
		}
		start = s[i] == '\n'
		out = append(out, s[i])
	}
	return string(out)
}

func TestTallyIsBounded(t *testing.T) {
	var ta Tally
	for i := range maxTallied + 500 {
		ta.Add(&Report{Outcomes: []Outcome{{Verdict: NeverReached, RefusedBy: "h" + itoa(i) + ".example"}}})
	}
	if n := len(ta.refusers); n > maxTallied+1 {
		t.Errorf("%d hosts are kept", n)
	}
	if ta.refusers[tallyOther] != 500 {
		t.Errorf("%d are counted as other", ta.refusers[tallyOther])
	}
}
