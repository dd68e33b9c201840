package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/smtp-handoff/handoff/analyze"
)

// TestIndentedAsByTheLibrary cuts documents at every byte.
func TestIndentedAsByTheLibrary(t *testing.T) {
	docs := []string{
		`{}`, `[]`, `""`, `0`, `{"a":{},"b":[],"c":[{}],"d":[[]]}`, `{"a":[1,2.5,{"b":"c"}],"d":true,"e":null}`,
		`{"{[,:]}":"{[,:]}","q\"":"\\","e":"\\\"","u":"\u202e, \\\\"}`,
	}
	for _, make := range []func() *analyze.Report{probeReady, analysisRefused, analysisInsufficient} {
		docs = append(docs, string(make().AppendJSON(nil)))
	}
	for _, doc := range docs {
		var want bytes.Buffer
		if err := json.Indent(&want, []byte(doc), "", " "); err != nil {
			t.Fatal(doc, err)
		}
		for cut := range min(len(doc), 400) {
			var got bytes.Buffer
			in := indenter{w: &got}
			for _, piece := range []string{doc[:cut], doc[cut:]} {
				if n, err := in.Write([]byte(piece)); n != len(piece) || err != nil {
					t.Fatal(n, err)
				}
			}
			if err := in.flush(); err != nil {
				t.Fatal(err)
			}
			if got.String() != want.String() {
				t.Fatalf("cut at %d\n got %s\nwant %s", cut, got.String(), want.String())
			}
		}
	}
}

// manyOutcomes is a report whose JSON is larger than what is held of it.
func manyOutcomes() *analyze.Report {
	r := analysisRefused()
	for len(r.Outcomes) < 500 {
		r.Outcomes = append(r.Outcomes, r.Outcomes[0])
	}
	return r
}

// TestStreamedAsMarshalled compares what is written in pieces with what is
// made in memory.
func TestStreamedAsMarshalled(t *testing.T) {
	large, small := manyOutcomes(), analysisInsufficient()
	text := func(r *analyze.Report, indent string) string {
		raw, err := Marshal(r, indent)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	trim := func(s string) string { return s[:len(s)-1] }
	for _, c := range []struct {
		format  Format
		stream  bool
		reports []*analyze.Report
		want    string
	}{
		{JSON, false, []*analyze.Report{large}, text(large, " ")},
		{JSON, true, []*analyze.Report{large}, "[\n" + trim(text(large, " ")) + "\n]\n"},
		{JSON, true, nil, "[]\n"},
		{JSON, false, nil, ""},
		{JSON, false, []*analyze.Report{large, small, large}, "[\n" + trim(text(large, " ")) + ",\n" + trim(text(small, " ")) + ",\n" + trim(text(large, " ")) + "\n]\n"},
		{JSONL, true, []*analyze.Report{large, small}, text(large, "") + text(small, "")},
	} {
		var got bytes.Buffer
		w, err := New(&got, c.format, Options{Stream: c.stream})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range c.reports {
			if err := w.Write(r, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got.String() != c.want {
			t.Errorf("%s of %d reports: %d bytes in pieces, %d in memory, or other ones", c.format, len(c.reports), got.Len(), len(c.want))
		}
	}
}

// full takes so many bytes and no more.
type full int

var errFull = errors.New("no room left")

func (f *full) Write(b []byte) (int, error) {
	if *f -= full(len(b)); *f < 0 {
		return 0, errFull
	}
	return len(b), nil
}

// TestStreamedToAFullDisk wants the error of a write in the middle.
func TestStreamedToAFullDisk(t *testing.T) {
	for _, format := range []Format{JSON, JSONL} {
		for _, room := range []full{0, 100_000, 200_000} {
			w, err := New(&room, format, Options{Stream: true})
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Write(manyOutcomes(), nil); !errors.Is(err, errFull) {
				t.Errorf("%s: %v", format, err)
			}
		}
	}
}
