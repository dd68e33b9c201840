package ndr

import "testing"

// TestMaskedAddress reads hosts whose address somebody hid.
func TestMaskedAddress(t *testing.T) {
	for _, tt := range []struct {
		text, name, address string
		port, n             int
		masked              bool
	}{
		{"mx.relay.example[x.x.x.x]:587 said", "mx.relay.example", "", 587, 29, true},
		{"mx.relay.example [***] did not", "mx.relay.example", "", 0, 22, true},
		{"mx.relay.example[192.0.2.xxx]", "mx.relay.example", "", 0, 29, true},
		{"mx.relay.example[REDACTED]: 550", "mx.relay.example", "", 0, 26, true},
		{"mx.relay.example (ip address): 550", "mx.relay.example", "", 0, 29, true},
		{"mx.relay.example[192.0.2.1]", "mx.relay.example", "192.0.2.1", 0, 27, false},
		{"mx.relay.example (at home)", "mx.relay.example", "", 0, 16, false},
		{"x.x.x.x (mx.relay.example)", "mx.relay.example", "", 0, 26, false},
		{"x.x.x.x is hidden", "", "", 0, 0, false},
		{"xx.example", "xx.example", "", 0, 10, false},
	} {
		h, n := hostAt([]byte(tt.text))
		if h.name != tt.name || h.address != tt.address || h.port != tt.port || h.masked != tt.masked || n != tt.n {
			t.Errorf("%s: %+v, %d", tt.text, h, n)
		}
	}
}
