package analyze

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// schemaDoc is testdata/report.schema.json with the keywords it uses. An
// unknown keyword fails the test: it would be obeyed by nobody.
type schemaDoc struct{ root map[string]any }

var schemaKeywords = []string{
	"$schema", "$id", "$ref", "$defs", "title", "description", "type", "required", "properties", "items", "enum", "const",
	"anyOf", "allOf", "if", "then", "else", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems",
}

func loadSchema(t testing.TB) *schemaDoc {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "testdata", "report.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := json.Unmarshal(raw, &root); err != nil {
		t.Fatal(err)
	}
	return &schemaDoc{root}
}

// validate returns what is wrong with a JSON document.
func (s *schemaDoc) validate(doc []byte) []string {
	var v any
	if err := json.Unmarshal(doc, &v); err != nil {
		return []string{err.Error()}
	}
	return s.check(s.root, v, "$")
}

func (s *schemaDoc) check(rule map[string]any, v any, at string) []string {
	var wrong []string
	bad := func(format string, args ...any) { wrong = append(wrong, at+": "+fmt.Sprintf(format, args...)) }
	for k := range rule {
		if !slices.Contains(schemaKeywords, k) {
			bad("the schema's keyword %q is not known to this test", k)
		}
	}
	if ref, ok := rule["$ref"].(string); ok {
		target, ok := s.root["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
		if !ok {
			bad("reference %q leads nowhere", ref)
			return wrong
		}
		wrong = append(wrong, s.check(target, v, at)...)
	}
	if typ, ok := rule["type"].(string); ok && !isType(v, typ) {
		bad("%v is no %s", v, typ)
		return wrong
	}
	if list, ok := rule["enum"].([]any); ok && !slices.Contains(list, v) {
		bad("%v is none of %v", v, list)
	}
	if want, ok := rule["const"]; ok && want != v {
		bad("%v is not %v", v, want)
	}
	if list, ok := rule["anyOf"].([]any); ok {
		fits := false
		for _, sub := range list {
			fits = fits || len(s.check(sub.(map[string]any), v, at)) == 0
		}
		if !fits {
			bad("%v fits none of the choices", v)
		}
	}
	if list, ok := rule["allOf"].([]any); ok {
		for _, sub := range list {
			wrong = append(wrong, s.check(sub.(map[string]any), v, at)...)
		}
	}
	if cond, ok := rule["if"].(map[string]any); ok {
		branch := "then"
		if len(s.check(cond, v, at)) > 0 {
			branch = "else"
		}
		if sub, ok := rule[branch].(map[string]any); ok {
			wrong = append(wrong, s.check(sub, v, at)...)
		}
	}
	switch x := v.(type) {
	case map[string]any:
		if list, ok := rule["required"].([]any); ok {
			for _, name := range list {
				if _, ok := x[name.(string)]; !ok {
					bad("%q is missing", name)
				}
			}
		}
		props, ok := rule["properties"].(map[string]any)
		if !ok {
			break
		}
		for name, value := range x {
			sub, ok := props[name].(map[string]any)
			switch {
			case ok:
				wrong = append(wrong, s.check(sub, value, at+"."+name)...)
			case rule["type"] == "object":
				bad("field %q is not in the schema", name)
			}
		}
	case []any:
		if n, ok := rule["minItems"].(float64); ok && len(x) < int(n) {
			bad("%d items, fewer than %v", len(x), n)
		}
		if sub, ok := rule["items"].(map[string]any); ok {
			for i := range x {
				wrong = append(wrong, s.check(sub, x[i], fmt.Sprintf("%s[%d]", at, i))...)
			}
		}
	case string:
		n := float64(utf8.RuneCountInString(x))
		if most, ok := rule["maxLength"].(float64); ok && n > most {
			bad("%v characters, more than %v", n, most)
		}
		if least, ok := rule["minLength"].(float64); ok && n < least {
			bad("%v characters, fewer than %v", n, least)
		}
		if p, ok := rule["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(x) {
			bad("%q does not match %s", x, p)
		}
	case float64:
		if least, ok := rule["minimum"].(float64); ok && x < least {
			bad("%v is under %v", x, least)
		}
		if most, ok := rule["maximum"].(float64); ok && x > most {
			bad("%v is over %v", x, most)
		}
	}
	return wrong
}

func isType(v any, typ string) bool {
	switch typ {
	case "object":
		_, ok := v.(map[string]any)
		return ok
	case "array":
		_, ok := v.([]any)
		return ok
	case "string":
		_, ok := v.(string)
		return ok
	case "boolean":
		_, ok := v.(bool)
		return ok
	case "number":
		_, ok := v.(float64)
		return ok
	case "integer":
		f, ok := v.(float64)
		return ok && f == math.Trunc(f)
	}
	return false
}

func TestSchemaCatchesWhatIsWrong(t *testing.T) {
	s := loadSchema(t)
	good := `{"schema_version":"1.0","kind":"probe","target":"h","intent":"auth","verdict":{"code":"ready","status":"ok","headline":"x","confidence":"certain","next":""},"findings":[],"next_tests":[]}`
	if wrong := s.validate([]byte(good)); len(wrong) > 0 {
		t.Fatalf("a good report: %v", wrong)
	}
	for _, change := range [][2]string{
		{`"1.0"`, `"2.0"`},
		{`"ready"`, `"fine"`},
		{`"headline":"x"`, `"headline":""`},
		{`"headline":"x"`, `"headline":"` + strings.Repeat("x", 101) + `"`},
		{`"target":"h",`, ``},
		{`"findings":[]`, `"findings":null`},
		{`"kind":"probe"`, `"kind":"analysis"`},
		{`"next_tests":[]`, `"next_tests":[{"id":"Not Kebab","do":"x","separates":[]}]`},
		{`"next_tests":[]`, `"next_tests":[],"surprise":1`},
	} {
		if wrong := s.validate([]byte(strings.Replace(good, change[0], change[1], 1))); len(wrong) == 0 {
			t.Errorf("%s for %s passes", change[1], change[0])
		}
	}
}
