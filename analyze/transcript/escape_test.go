package transcript

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	tests := []struct{ in, want string }{
		{"554 5.7.1 <r>: Relay access denied", "554 5.7.1 <r>: Relay access denied"},
		{"", ""},
		{"a\x1b[31mred\x1b[0m b", `a\x1b[31mred\x1b[0m b`},
		{"\x1b]0;title", `\x1b]0;title`},
		{"\x00\x07\x08\x7f", `\x00\x07\x08\x7f`},
		{"a\tb", "a    b"},
		{"a\r\nb\n", `a\r\nb\n`},
		{"\x9b31m \xff\xc3", `\x9b31m \xff\xc3`},
		{"\u009b31m", `<U+009B>31m`},
		{"moc.\u202etset", `moc.<U+202E>tset`},
		{"a\u200bb\ufeff", `a<U+200B>b<U+FEFF>`},
		{"\U000e0041", `<U+E0041>`},
		{"a\u2028b", `a<U+2028>b`},
		{"Grüße, 日本語 – «ok» 🙂", "Grüße, 日本語 – «ok» 🙂"},
		{"e\u0301", "e\u0301"},
		{"e" + strings.Repeat("\u0301", 10) + "x", "e" + strings.Repeat("\u0301", 4) + "<+6 marks>x"},
		{"e\u0301\u0301\u0301x\u0301\u0301\u0301", "e\u0301\u0301\u0301x\u0301\u0301\u0301"},
		{"\ue000\ufffe", "<U+E000><U+FFFE>"},
	}
	for _, tt := range tests {
		if got := Escape(tt.in); got != tt.want {
			t.Errorf("Escape(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
	if got, want := EscapeLines("a\r\nb\rc\n\x1b"), "a\nb\\rc\n\\x1b"; got != want {
		t.Errorf("EscapeLines = %q, want %q", got, want)
	}
	if n := testing.AllocsPerRun(10, func() { Escape("554 5.7.1 <r>: Relay access denied") }); n != 0 {
		t.Errorf("plain text costs %v allocations", n)
	}
}

func TestEscapeJSON(t *testing.T) {
	in := "a\x7f\u009b\u202e\u200b\u2028\U000e0041\"\\\n\t\r\x1bü🙂"
	doc, err := json.MarshalIndent(map[string]string{"k": in}, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	out := EscapeJSON(doc)
	var back map[string]string
	if err := json.Unmarshal(out, &back); err != nil || back["k"] != in {
		t.Errorf("read back %q, %v", back["k"], err)
	}
	if err := json.Unmarshal(AppendJSONString(nil, in), &in); err != nil || back["k"] != in {
		t.Errorf("AppendJSONString read back %q, %v", in, err)
	}
	plain := []byte(`{"a":"b"}`)
	if n := testing.AllocsPerRun(10, func() { EscapeJSON(plain) }); n != 0 {
		t.Errorf("a plain document costs %v allocations", n)
	}
}

func hasForbidden(s string, allowed string) (rune, bool) {
	if !utf8.ValidString(s) {
		return utf8.RuneError, true
	}
	for _, r := range s {
		if Forbidden(r) && !strings.ContainsRune(allowed, r) {
			return r, true
		}
	}
	return 0, false
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"554 ok", "\x1b[31m", "\u202e\u200b", "e\u0301\u0301\u0301\u0301\u0301\u0301", "\xff\xfe", "a\tb\r\nc", "\U000e0041\ufffe", "\u009b", "{\"a\":\"\u2028\"}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if r, bad := hasForbidden(Escape(s), ""); bad {
			t.Errorf("%U survives Escape(%q)", r, s)
		}
		if r, bad := hasForbidden(EscapeLines(s), "\n"); bad {
			t.Errorf("%U survives EscapeLines(%q)", r, s)
		}
		if Escape(Escape(s)) != Escape(s) {
			t.Errorf("escaping %q twice is not escaping it once", s)
		}
		doc, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		own := AppendJSONString(nil, s)
		for _, d := range [][]byte{EscapeJSON(doc), own} {
			if r, bad := hasForbidden(string(d), ""); bad {
				t.Errorf("%U survives in JSON of %q", r, s)
			}
			var back, want string
			if err := json.Unmarshal(d, &back); err != nil {
				t.Errorf("%s: %v", d, err)
			}
			if err := json.Unmarshal(doc, &want); err != nil || back != want {
				t.Errorf("read back %q, want %q", back, want)
			}
		}
		if r, bad := hasForbidden(string(EscapeJSON([]byte(s))), "\n\t\r"); bad {
			t.Errorf("%U survives EscapeJSON(%q)", r, s)
		}
	})
}

func BenchmarkEscape(b *testing.B) {
	plain := "554 5.7.1 <bob@recipient.example>: Relay access denied"
	for name, s := range map[string]string{"plain": plain, "hostile": "554 \x1b[31m5.7.1 \u202e<bob@recipient.example>\x1b[0m: Relay access denied"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				Escape(s)
			}
		})
	}
}
