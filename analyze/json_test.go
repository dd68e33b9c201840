package analyze

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// plainReport has the fields of Report and none of its methods, so that
// encoding/json writes it by the struct tags.
type plainReport Report

// fill sets every field of v to something, lists to one or two elements.
func fill(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(r, v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(r, v.Elem())
	case reflect.Slice:
		n := 1 + r.IntN(2)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(r, v.Index(i))
		}
	case reflect.String:
		v.SetString(words4[r.IntN(len(words4))])
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(1 + r.IntN(100_000)))
	case reflect.Float64:
		v.SetFloat(float64(1+r.IntN(1_000_000)) / 1000)
	case reflect.Bool:
		v.SetBool(true)
	}
}

var words4 = []string{
	"plain", "with \"quotes\" and \\", "tab\tand\nline", "esc \x1b[31m", "bidi \u202e and zero\u200bwidth", "C1 \u009b2J", "é ü 漢字 😀",
	"private \ue000 tag \U000e0041", "</script> & <b>", "\u2028\u2029", "nul \x00 del \x7f",
}

// TestJSONFieldByField compares the writer with encoding/json on reports with
// every field set: a field that is added to a struct and not to the writer, or
// under another name or in another place, fails.
func TestJSONFieldByField(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var rep Report
		fill(r, reflect.ValueOf(&rep).Elem())
		own := rep.AppendJSON(nil)
		p := plainReport(rep)
		std, err := json.Marshal(&p)
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		if err := json.Unmarshal(own, &a); err != nil {
			t.Fatalf("%v\n%s", err, own)
		}
		if err := json.Unmarshal(std, &b); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("own  %s\njson %s", own, std)
		}
		if got, want := keysInOrder(string(own)), keysInOrder(string(std)); got != want {
			t.Fatalf("order of fields\nown  %s\njson %s", got, want)
		}
		for _, c := range string(own) {
			if transcript.Forbidden(c) {
				t.Fatalf("%U stands raw in %s", c, own)
			}
		}
		if !utf8.Valid(own) {
			t.Fatal("not UTF-8")
		}
		var back Report
		if err := json.Unmarshal(own, &back); err != nil {
			t.Fatal(err)
		}
		if again := back.AppendJSON(nil); string(again) != string(own) {
			t.Fatalf("written, read and written:\n%s\n%s", own, again)
		}
	}
}

// keysInOrder is the document without its values.
func keysInOrder(doc string) string {
	var keys []string
	dec := json.NewDecoder(strings.NewReader(doc))
	depth := []bool{}
	expectKey := false
	for {
		tok, err := dec.Token()
		if err != nil {
			return strings.Join(keys, " ")
		}
		switch x := tok.(type) {
		case json.Delim:
			switch x {
			case '{', '[':
				depth = append(depth, x == '{')
				expectKey = x == '{'
				continue
			default:
				depth = depth[:len(depth)-1]
			}
		case string:
			if expectKey {
				keys = append(keys, x)
				expectKey = false
				continue
			}
		}
		expectKey = len(depth) > 0 && depth[len(depth)-1]
	}
}

// TestEmptyReportHasNoNull: lists that are not there are [], never null.
func TestEmptyReportHasNoNull(t *testing.T) {
	for _, rep := range []*Report{
		{SchemaVersion: "1.0", Kind: "analysis"},
		{Kind: "analysis", Outcomes: []Outcome{{}}, Findings: []Finding{{}}, NextTests: []NextTest{{}}},
		{Kind: "probe", Planned: &Planned{}, Sessions: []Session{{Steps: []Step{{}}}}, DNS: &DNS{Queries: []Query{{}}}},
		Analyze(nil, Options{}),
		JudgeProbe(Probe{}, Options{}),
	} {
		own := string(rep.AppendJSON(nil))
		if strings.Contains(own, "null") {
			t.Errorf("null in %s", own)
		}
		if raw, err := json.Marshal(rep); err != nil || string(raw) != own {
			t.Errorf("json.Marshal gives %s (%v), want %s", raw, err, own)
		}
	}
}

// TestReportsFitTheSchema validates reports of every shape that the judge
// makes from sessions and items.
func TestReportsFitTheSchema(t *testing.T) {
	s := loadSchema(t)
	for _, rep := range sampleReports(t) {
		doc := rep.AppendJSON(nil)
		for _, w := range s.validate(doc) {
			t.Errorf("%s\n%s", w, doc)
		}
	}
}

func sampleReports(t *testing.T) []*Report {
	t.Helper()
	ready := recorded(t, 587, with(sender, "+envelope RCPT TO:<desk@partner.example> => 250 2.1.5 Ok", bye)...)
	denied := recorded(t, 25, with(tlsOn, "+envelope MAIL FROM:<a@firma.example> => 250 2.1.0 Ok", "+envelope RCPT TO:<desk@partner.example> => 554 5.7.1 <desk@partner.example>: Relay access denied", bye)...)
	closed := recorded(t, 25, "resolve ", "connect !timeout")
	badCert := recorded(t, 587, with(opened, "tls STARTTLS => 220 2.0.0 Ready", "tls !certificate")...)
	var out []*Report
	for _, p := range []Probe{
		{Target: smartHost, Planned: full, Sessions: []transcript.Session{denied, ready}},
		{Target: smartHost, Planned: full, Intent: IntentBoth, Sessions: []transcript.Session{denied, badCert}, Partial: true},
		{Target: smartHost, Sessions: []transcript.Session{closed}, DNS: &DNS{Queries: []Query{{Name: smartHost, Type: "A", Rcode: "NOERROR", Answers: []string{"192.0.2.10"}, TTL: 60, TookMS: 1.5}}}},
		{Target: smartHost},
	} {
		r := JudgeProbe(p, Options{})
		out = append(out, r, Analyze(r.AppendJSON(nil), Options{Source: "probe.json"}))
	}
	return append(out, Analyze(nil, Options{}), Analyze([]byte("hello"), Options{}))
}

func BenchmarkAppendJSON(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	var rep Report
	fill(r, reflect.ValueOf(&rep).Elem())
	rep.Sessions, rep.DNS, rep.Planned = nil, nil, nil
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = rep.AppendJSON(buf[:0])
	}
	b.SetBytes(int64(len(buf)))
}
