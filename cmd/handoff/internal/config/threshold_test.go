package config

import (
	"math"
	"testing"
)

// TestThreshold is the table of the plugin guidelines.
func TestThreshold(t *testing.T) {
	for _, c := range []struct {
		text   string
		alerts []float64
		quiet  []float64
	}{
		{"10", []float64{-1, 10.1, math.Inf(1)}, []float64{0, 5, 10}},
		{"10:", []float64{9.9, -1}, []float64{10, 1e9}},
		{"~:10", []float64{10.5}, []float64{-1e9, 0, 10}},
		{"10:20", []float64{9, 21}, []float64{10, 15, 20}},
		{"@10:20", []float64{10, 15, 20}, []float64{9, 21}},
		{":5", []float64{-1, 6}, []float64{0, 5}},
		{"@~:5", []float64{-9, 5}, []float64{5.1}},
		{".5:1.", []float64{0.4, 1.1}, []float64{0.5, 1}},
		{"-3:-1", []float64{0, -4}, []float64{-3, -1}},
		{"", nil, []float64{-1, 0, 1e9}},
	} {
		th, err := ParseThreshold(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		for _, v := range c.alerts {
			if !th.Alerts(v) {
				t.Errorf("%q is quiet at %v", c.text, v)
			}
		}
		for _, v := range c.quiet {
			if th.Alerts(v) {
				t.Errorf("%q alerts at %v", c.text, v)
			}
		}
	}
	for text, want := range map[string]string{"5": "outside 5", "@10:20": "inside 10:20", "~:3": "outside ~:3"} {
		if th, err := ParseThreshold(text); err != nil || th.Breach() != want {
			t.Errorf("%s is told as %q, %v", text, th.Breach(), err)
		}
	}
	for _, bad := range []string{"x", "5:1", "@", "1:2:3", "nan", "--5", "1s", "inf", "1e3", "0x10", "1_0", "5:x", "~", "@:~", " 5"} {
		if _, err := ParseThreshold(bad); err == nil {
			t.Errorf("%q is taken for a range", bad)
		}
	}
}
