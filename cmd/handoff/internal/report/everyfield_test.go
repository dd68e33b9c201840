package report

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/smtp-handoff/handoff/analyze"
)

// poison puts a text into every string that a value holds, makes its lists two
// long and says yes and 1 to the rest. keep names fields that stay.
func poison(v reflect.Value, text string, keep ...string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() && !slices.Contains(keep, v.Type().Field(i).Name) {
				poison(f, text, keep...)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		poison(v.Elem(), text, keep...)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			poison(v.Index(i), text, keep...)
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		poison(key, text, keep...)
		poison(value, text, keep...)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString(text)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Float64:
		v.SetFloat(1)
	case reflect.Bool:
		v.SetBool(true)
	}
}

// TestHostileInEveryField: whatever field of a report a stranger's text gets into,
// one that is added tomorrow too, no format passes on a byte that steers.
func TestHostileInEveryField(t *testing.T) {
	sgr := regexp.MustCompile("\x1b\\[[0-9;]*m")
	// Conceal is SGR, and never ours.
	text := hostileText + "\x1b[8mhidden\x1b[2Jcleared"
	for _, keep := range [][]string{nil, {"Kind"}, {"Kind", "Code", "Status", "Severity", "Stage", "Verdict"}} {
		for _, kind := range []string{"probe", "analysis"} {
			r := &analyze.Report{Kind: kind}
			poison(reflect.ValueOf(r).Elem(), text, keep...)
			for _, f := range Formats {
				for _, o := range []Options{{Verbose: true}, {Verbose: true, Color: true}, {Quiet: true}, {Command: text, Version: text, Masked: func() string { return text }}} {
					for _, lines := range []Lines{nil, func(int, int) (string, bool) { return text, true }} {
						out := render(t, f, o, with(func() *analyze.Report { return r }, lines))
						name := fmt.Sprintf("%s, %s, keep %v, %+v", f, kind, keep, o.Verbose)
						if o.Color && f == Text {
							if strings.Contains(out, "\x1b[8m") {
								t.Errorf("%s: conceal gets through", name)
							}
							out = sgr.ReplaceAllString(out, "")
						}
						steersNothing(t, name, out)
					}
				}
			}
		}
	}
}
