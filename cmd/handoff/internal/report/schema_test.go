package report

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// form is what a schema says of one kind of object: its fields, and which of them
// must be there. A field that is not here is not in the schema.
type form struct {
	fields   map[string]string // name → rule, see check
	required []string
}

// sarifForms are the objects of the SARIF 2.1.0 schema (OASIS) as far as a tool
// like ours can use them. Rules: "object NAME", "array NAME" of such objects,
// "unique NAME" of which no two are equal, "strings", "text", "uri",
// "uri-reference", "bool", "int N" from N up, "map" of strings, "bag" of
// anything, "enum a b c".
var sarifForms = map[string]form{
	"log": {map[string]string{"$schema": "uri", "version": "enum 2.1.0", "runs": "array run", "properties": "bag"}, []string{"version", "runs"}},
	"run": {map[string]string{
		"tool": "object tool", "invocations": "array invocation", "artifacts": "bag", "logicalLocations": "unique logicalLocation", "results": "array result",
		"automationDetails": "bag", "originalUriBaseIds": "bag", "columnKind": "enum utf16CodeUnits unicodeCodePoints", "language": "text", "properties": "bag",
	}, []string{"tool"}},
	"tool": {map[string]string{"driver": "object component", "extensions": "unique component", "properties": "bag"}, []string{"driver"}},
	"component": {map[string]string{
		"name": "text", "fullName": "text", "organization": "text", "version": "text", "semanticVersion": "text", "informationUri": "uri", "downloadUri": "uri",
		"rules": "unique rule", "notifications": "unique rule", "language": "text", "properties": "bag",
	}, []string{"name"}},
	"rule": {map[string]string{
		"id": "text", "name": "text", "guid": "text", "shortDescription": "object multi", "fullDescription": "object multi", "help": "object multi", "helpUri": "uri",
		"defaultConfiguration": "bag", "messageStrings": "bag", "properties": "bag",
	}, []string{"id"}},
	"multi": {map[string]string{"text": "text", "markdown": "text", "properties": "bag"}, []string{"text"}},
	"invocation": {map[string]string{
		"executionSuccessful": "bool", "commandLine": "text", "startTimeUtc": "text", "endTimeUtc": "text", "exitCode": "int -2147483648", "exitCodeDescription": "text",
		"toolExecutionNotifications": "array notification", "toolConfigurationNotifications": "array notification", "properties": "bag",
	}, []string{"executionSuccessful"}},
	"notification": {map[string]string{
		"message": "object message", "level": "enum none note warning error", "locations": "unique location", "descriptor": "bag", "timeUtc": "text", "properties": "bag",
	}, []string{"message"}},
	"message": {map[string]string{"text": "text", "markdown": "text", "id": "text", "arguments": "strings", "properties": "bag"}, nil},
	"result": {map[string]string{
		"ruleId": "text", "ruleIndex": "int -1", "kind": "enum notApplicable pass fail review open informational", "level": "enum none note warning error",
		"message": "object message", "locations": "array location", "relatedLocations": "unique location", "fingerprints": "map", "partialFingerprints": "map",
		"baselineState": "enum new unchanged updated absent", "rank": "int -1", "hostedViewerUri": "uri", "properties": "bag",
	}, []string{"message"}},
	"location": {map[string]string{
		"id": "int -1", "physicalLocation": "object physical", "logicalLocations": "unique logicalLocation", "message": "object message", "properties": "bag",
	}, nil},
	"logicalLocation": {map[string]string{"name": "text", "index": "int -1", "fullyQualifiedName": "text", "decoratedName": "text", "parentIndex": "int -1", "kind": "text", "properties": "bag"}, nil},
	"physical":        {map[string]string{"artifactLocation": "object artifact", "region": "object region", "contextRegion": "object region", "properties": "bag"}, []string{"artifactLocation"}},
	"artifact":        {map[string]string{"uri": "uri-reference", "uriBaseId": "text", "index": "int -1", "description": "object message", "properties": "bag"}, nil},
	"region": {map[string]string{
		"startLine": "int 1", "startColumn": "int 1", "endLine": "int 1", "endColumn": "int 1", "charOffset": "int -1", "charLength": "int 0",
		"byteOffset": "int -1", "byteLength": "int 0", "snippet": "object content", "message": "object message", "sourceLanguage": "text", "properties": "bag",
	}, nil},
	"content": {map[string]string{"text": "text", "binary": "text", "rendered": "object multi", "properties": "bag"}, nil},
}

// fits says what is wrong with a value under a rule.
func fits(v any, rule, at string) []string {
	word, rest, _ := strings.Cut(rule, " ")
	wrong := func(format string, args ...any) []string {
		return []string{at + ": " + fmt.Sprintf(format, args...)}
	}
	text, isText := v.(string)
	switch word {
	case "object":
		o, ok := v.(map[string]any)
		if !ok {
			return wrong("%v is no object", v)
		}
		f := sarifForms[rest]
		var out []string
		for _, name := range f.required {
			if _, ok := o[name]; !ok {
				out = append(out, wrong("%s is missing", name)...)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(o)) {
			if f.fields[name] == "" {
				out = append(out, wrong("there is no field %s", name)...)
				continue
			}
			out = append(out, fits(o[name], f.fields[name], at+"."+name)...)
		}
		if rest == "message" && o["text"] == nil && o["id"] == nil {
			out = append(out, wrong("a message needs a text or an id")...)
		}
		return out
	case "array", "unique":
		list, ok := v.([]any)
		if !ok {
			return wrong("%v is no array", v)
		}
		var out []string
		seen := map[string]bool{}
		for i, x := range list {
			out = append(out, fits(x, "object "+rest, fmt.Sprintf("%s[%d]", at, i))...)
			raw, _ := json.Marshal(x)
			if word == "unique" && seen[string(raw)] {
				out = append(out, wrong("item %d stands twice", i)...)
			}
			seen[string(raw)] = true
		}
		return out
	case "strings", "map":
		values, ok := v.([]any)
		if o, isMap := v.(map[string]any); isMap {
			values, ok = slices.Collect(maps.Values(o)), word == "map"
		}
		for _, x := range values {
			if _, text := x.(string); !text {
				ok = false
			}
		}
		if !ok {
			return wrong("%v does not hold strings", v)
		}
	case "text":
		if !isText {
			return wrong("%v is no string", v)
		}
	case "uri", "uri-reference":
		u, err := url.Parse(text)
		if !isText || err != nil || word == "uri" && u.Scheme == "" || strings.ContainsAny(text, " \"<>\\^`{|}") {
			return wrong("%v is no %s", v, word)
		}
	case "bool":
		if _, ok := v.(bool); !ok {
			return wrong("%v is no boolean", v)
		}
	case "int":
		var least float64
		fmt.Sscan(rest, &least)
		if n, ok := v.(float64); !ok || n != float64(int64(n)) || n < least {
			return wrong("%v is no integer from %v", v, least)
		}
	case "enum":
		if !isText || !slices.Contains(strings.Fields(rest), text) {
			return wrong("%v is none of %s", v, rest)
		}
	case "bag":
	default:
		return wrong("the rule %q is not known", rule)
	}
	return nil
}

func sarifProblems(doc string) []string {
	var v any
	if err := json.Unmarshal([]byte(doc), &v); err != nil {
		return []string{err.Error()}
	}
	return fits(v, "object log", "$")
}

// TestSARIFSchema: every document has the form of the schema, names and all.
func TestSARIFSchema(t *testing.T) {
	for _, s := range samples {
		for _, l := range []Lines{nil, hostileLines} {
			if wrong := sarifProblems(render(t, SARIF, Options{Version: "v1"}, with(s.make, l))); len(wrong) > 0 {
				t.Errorf("%s:\n%s", s.name, strings.Join(wrong, "\n"))
			}
		}
	}
	if wrong := sarifProblems(render(t, SARIF, Options{})); len(wrong) > 0 {
		t.Errorf("nothing at all:\n%s", strings.Join(wrong, "\n"))
	}
	good := render(t, SARIF, Options{Version: "v1"}, with(analysisRefused, nil))
	for _, c := range []struct{ from, to string }{
		{`"version": "2.1.0"`, `"version": "2.0"`},
		{`"level": "error"`, `"level": "fatal"`},
		{`"ruleId"`, `"rule"`},
		{`"executionSuccessful"`, `"successful"`},
		{`"startLine": `, `"startLine": -`},
		{`"uri": "`, `"uri": " `},
		{`"columnKind": "unicodeCodePoints"`, `"columnKind": "bytes"`},
		{`"driver"`, `"drivers"`},
	} {
		bad := strings.Replace(good, c.from, c.to, 1)
		if bad == good || len(sarifProblems(bad)) == 0 {
			t.Errorf("the checker does not see %s", c.to)
		}
	}
}

// element is what the XML schema of JUnit reports says of one element.
type element struct {
	attributes map[string]*regexp.Regexp
	required   []string
	children   []string
	text       bool
}

var (
	anyValue = regexp.MustCompile(`(?s)^.*$`)
	number   = regexp.MustCompile(`^[0-9]+$`)
	seconds  = regexp.MustCompile(`^[0-9]+(\.[0-9]{1,3})?$`)
)

// junitElements is the schema that Jenkins publishes for JUnit reports
// (junit-10.xsd of its xunit plugin), as far as it does not name a build tool.
var junitElements = map[string]element{
	"testsuites": {map[string]*regexp.Regexp{"name": anyValue, "time": seconds, "tests": number, "failures": number, "errors": number, "disabled": number}, nil, []string{"testsuite"}, false},
	"testsuite": {map[string]*regexp.Regexp{
		"name": anyValue, "tests": number, "failures": number, "errors": number, "skipped": number, "disabled": number, "time": seconds,
		"timestamp": anyValue, "hostname": anyValue, "id": anyValue, "package": anyValue,
	}, []string{"name"}, []string{"properties", "testcase", "system-out", "system-err"}, false},
	"testcase": {map[string]*regexp.Regexp{
		"name": anyValue, "classname": anyValue, "time": seconds, "assertions": number, "status": anyValue, "file": anyValue, "line": number,
	}, []string{"name"}, []string{"skipped", "error", "failure", "system-out", "system-err"}, false},
	"failure":    {map[string]*regexp.Regexp{"type": anyValue, "message": anyValue}, nil, nil, true},
	"error":      {map[string]*regexp.Regexp{"type": anyValue, "message": anyValue}, nil, nil, true},
	"skipped":    {map[string]*regexp.Regexp{"type": anyValue, "message": anyValue}, nil, nil, true},
	"system-out": {nil, nil, nil, true},
	"system-err": {nil, nil, nil, true},
}

func junitProblems(doc string) (wrong []string) {
	dec := xml.NewDecoder(strings.NewReader(doc))
	var open []string
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return wrong
		}
		if err != nil {
			return append(wrong, err.Error())
		}
		switch x := token.(type) {
		case xml.StartElement:
			name := x.Name.Local
			e, known := junitElements[name]
			switch {
			case !known:
				wrong = append(wrong, "there is no element "+name)
			case len(open) == 0 && name != "testsuites":
				wrong = append(wrong, "the root is "+name)
			case len(open) > 0 && !slices.Contains(junitElements[open[len(open)-1]].children, name):
				wrong = append(wrong, name+" inside "+open[len(open)-1])
			}
			have := map[string]bool{}
			for _, a := range x.Attr {
				have[a.Name.Local] = true
				if r := e.attributes[a.Name.Local]; r == nil || !r.MatchString(a.Value) {
					wrong = append(wrong, fmt.Sprintf("%s: attribute %s=%q", name, a.Name.Local, a.Value))
				}
			}
			for _, a := range e.required {
				if !have[a] {
					wrong = append(wrong, name+" lacks "+a)
				}
			}
			open = append(open, name)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 && !junitElements[open[len(open)-1]].text && strings.TrimSpace(string(x)) != "" {
				wrong = append(wrong, "text inside "+open[len(open)-1])
			}
		}
	}
}

// TestJUnitSchema: every document has the form of the schema.
func TestJUnitSchema(t *testing.T) {
	for _, s := range samples {
		for _, l := range []Lines{nil, hostileLines} {
			if wrong := junitProblems(render(t, JUnit, Options{}, with(s.make, l))); len(wrong) > 0 {
				t.Errorf("%s:\n%s", s.name, strings.Join(wrong, "\n"))
			}
		}
	}
	if wrong := junitProblems(render(t, JUnit, Options{})); len(wrong) > 0 {
		t.Errorf("nothing at all:\n%s", strings.Join(wrong, "\n"))
	}
	good := render(t, JUnit, Options{}, with(analysisRefused, nil))
	for _, c := range []struct{ from, to string }{
		{"<testcase name=", "<testcase title="},
		{"<failure ", "<fault "},
		{`time="0.000"`, `time="0s"`},
		{`failures="`, `failures="-`},
		{"<testcase ", "words <testcase "},
		{"</testsuites>", ""},
	} {
		bad := strings.Replace(good, c.from, c.to, 1)
		if bad == good || len(junitProblems(bad)) == 0 {
			t.Errorf("the checker does not see %q", c.to)
		}
	}
}
