package mailbox

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// copied keeps a message beyond its turn.
func copied(m Message) Message {
	m.Data = bytes.Clone(m.Data)
	return m
}

func walkBytes(t testing.TB, data []byte) []Message {
	t.Helper()
	return all(Walk(context.Background(), []string{"-"}, Options{Stdin: bytes.NewReader(data)}))
}

func all(seq iter.Seq[Message]) []Message {
	var out []Message
	for m := range seq {
		out = append(out, copied(m))
	}
	return out
}

const (
	sep1 = "From MAILER-DAEMON Mon Nov 23 07:40:46 2026\n"
	sep2 = "From desk@partner.example  Tue Nov 24 08:01:02 +0100 2026\n"
	mail = "Return-Path: <>\nSubject: bounce\n\nIt did not work.\n"
)

func TestSplit(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want []string
	}{
		{"nothing", "", []string{""}},
		{"a paste", "Remote Server returned '554'\n", []string{"Remote Server returned '554'\n"}},
		{"a paste that begins with From:", "From: a@firma.example\nTo: b\n\nx\n", []string{"From: a@firma.example\nTo: b\n\nx\n"}},
		{"prose that begins with From", "From here on the mails fail.\n", []string{"From here on the mails fail.\n"}},
		{"an mbox of one", sep1 + mail, []string{sep1 + mail}},
		{"an mbox of two", sep1 + mail + "\n" + sep2 + mail, []string{sep1 + mail + "\n", sep2 + mail}},
		{"the empty line was lost, the header tells", sep1 + mail + sep2 + mail, []string{sep1 + mail, sep2 + mail}},
		{"From at a line start in a body", sep1 + mail + "\nFrom here on it is text.\nFrom 7:30 in 2026 on\n", []string{sep1 + mail + "\nFrom here on it is text.\nFrom 7:30 in 2026 on\n"}},
		{"a From_ line in a body, no header behind", sep1 + mail + "\n" + sep2 + "is what the log said\n", []string{sep1 + mail + "\n" + sep2 + "is what the log said\n"}},
		{"a From_ line in mid-paragraph, a header of any kind behind", sep1 + "Subject: x\n\ntext\n" + sep2 + "Note: y\n", []string{sep1 + "Subject: x\n\ntext\n" + sep2 + "Note: y\n"}},
		{"quoted From_ lines stay", sep1 + mail + "\n>" + sep2 + mail, []string{sep1 + mail + "\n>" + sep2 + mail}},
		{"filed twice: a quoted From_ line at the head", sep1 + ">" + sep2 + mail + "\n" + sep2 + mail, []string{sep1 + ">" + sep2 + mail + "\n", sep2 + mail}},
		{"lying Content-Length", sep1 + "Content-Length: 999999\n" + mail + "\n" + sep2 + "Content-Length: 1\n" + mail, []string{sep1 + "Content-Length: 999999\n" + mail + "\n", sep2 + "Content-Length: 1\n" + mail}},
		{"cut in the separator", sep1 + mail + "\nFrom desk@partner.exa", []string{sep1 + mail + "\nFrom desk@partner.exa"}},
		{"a separator at the end", sep1 + mail + "\n" + sep2, []string{sep1 + mail + "\n", sep2}},
		{"separators in a row", sep1 + sep2 + sep1 + mail, []string{sep1, sep2, sep1 + mail}},
		{"several reports in one paste are one input", "Generating server: a\n\n" + sep2 + mail, []string{"Generating server: a\n\n" + sep2 + mail}},
	}
	for _, tt := range tests {
		for _, eol := range []string{"\n", "\r\n", "\r"} {
			in := strings.ReplaceAll(tt.in, "\n", eol)
			got := walkBytes(t, []byte(in))
			var have []string
			for i, m := range got {
				have = append(have, strings.ReplaceAll(string(m.Data), eol, "\n"))
				line := 1 + strings.Count(in[:offsetOf(got, i)], eol)
				if m.Line != line {
					t.Errorf("%s %q: message %d begins in line %d, want %d", tt.name, eol, i, m.Line, line)
				}
				if m.Size != int64(len(m.Data)) || m.Problem != "" {
					t.Errorf("%s %q: %+v", tt.name, eol, m)
				}
			}
			if !slices.Equal(have, tt.want) {
				t.Errorf("%s %q:\ngot  %q\nwant %q", tt.name, eol, have, tt.want)
			}
		}
	}
}

func offsetOf(ms []Message, n int) int {
	at := 0
	for _, m := range ms[:n] {
		at += len(m.Data)
	}
	return at
}

// slowReader gives a few bytes at a time.
type slowReader struct {
	r io.Reader
	n int
}

func (s slowReader) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), s.n)]) }

func TestManyMessages(t *testing.T) {
	var b bytes.Buffer
	var want []string
	for i := range 3000 {
		m := fmt.Sprintf("%sSubject: %d\n\n%s\nFrom the desk of %d\n\n", sep1, i, strings.Repeat("text of the body\n", i%97), i)
		want = append(want, m)
		b.WriteString(m)
	}
	for _, step := range []int{7, 1000, 1 << 20} {
		n := 0
		for m := range Walk(context.Background(), []string{"-"}, Options{Stdin: slowReader{bytes.NewReader(b.Bytes()), step}}) {
			if string(m.Data) != want[n] || m.Number != n+1 {
				t.Fatalf("steps of %d: message %d is number %d: %.100q", step, n, m.Number, m.Data)
			}
			n++
		}
		if n != len(want) {
			t.Errorf("steps of %d: %d messages, want %d", step, n, len(want))
		}
	}
}

func TestWhole(t *testing.T) {
	in := sep1 + mail + "\n" + sep2 + mail
	got := all(Walk(context.Background(), []string{"-"}, Options{Stdin: strings.NewReader(in), Whole: true}))
	if len(got) != 1 || string(got[0].Data) != in || got[0].Number != 0 {
		t.Errorf("%+v", got)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFolders(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "b.eml"), "b")
	write(t, filepath.Join(dir, "a.txt"), "a")
	write(t, filepath.Join(dir, ".hidden"), "no")
	write(t, filepath.Join(dir, "c.msg"), "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and so on")
	write(t, filepath.Join(dir, "m", "cur", "1700000002.x:2,S"), "second")
	write(t, filepath.Join(dir, "m", "new", "1700000001.x"), "first")
	write(t, filepath.Join(dir, "m", "tmp", "1700000000.x"), "not delivered")
	write(t, filepath.Join(dir, "z", "deep.mbox"), sep1+mail+"\n"+sep2+mail)
	if err := os.Symlink(dir, filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range all(Walk(context.Background(), []string{dir, filepath.Join(dir, "none.eml")}, Options{})) {
		name, err := filepath.Rel(dir, m.Source)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %d %.6q %s", filepath.ToSlash(name), m.Number, m.Data, m.Problem))
	}
	want := []string{
		`a.txt 0 "a" `,
		`b.eml 0 "b" `,
		`c.msg 0 "" it is an Outlook .msg or another Office file`,
		`m/new/1700000001.x 0 "first" `,
		`m/cur/1700000002.x:2,S 0 "second" `,
		`z/deep.mbox 1 "From M" `,
		`z/deep.mbox 2 "From d" `,
		`none.eml 0 "" there is no such file`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	last := all(Walk(context.Background(), []string{filepath.Join(dir, "none.eml")}, Options{}))[0]
	if !errors.Is(last.Err, fs.ErrNotExist) {
		t.Errorf("Err is %v", last.Err)
	}
}

func TestNotText(t *testing.T) {
	random := make([]byte, 4096)
	seed := uint32(1)
	for i := range random {
		seed = seed*1664525 + 1013904223
		random[i] = byte(seed >> 24)
	}
	tests := []struct {
		name, in string
		problem  bool
	}{
		{"png", "\x89PNG\r\n\x1a\n....", true},
		{"pdf", "%PDF-1.7\n", true},
		{"zip", "PK\x03\x04...", true},
		{"ole", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", true},
		{"rtf", `{\rtf1 x}`, true},
		{"random", string(random), true},
		{"nuls", strings.Repeat("\x00\x01", 100), true},
		{"text that begins with BM", "BM reports that the mails bounce\n", false},
		{"utf-16 with mark", "\xff\xfeh\x00i\x00", false},
		{"utf-16 without", "h\x00e\x00l\x00l\x00o\x00\n\x00", false},
		{"utf-16 big endian without", "\x00h\x00e\x00l\x00l\x00o\x00\n", false},
		{"nuls at the end", "hello" + strings.Repeat("\x00", 500), false},
		{"iso-2022-jp", "\x1b$B%a!<%k\x1b(B\n", false},
		{"terminal colours", "\x1b[31m554\x1b[0m\n", false},
		{"shift-jis", "\x83\x81\x81[\x83\x8b\n", false},
		{"empty", "", false},
	}
	for _, tt := range tests {
		got := walkBytes(t, []byte(tt.in))
		if len(got) != 1 || (got[0].Problem != "") != tt.problem {
			t.Errorf("%s: %+v", tt.name, got)
			continue
		}
		if m := got[0]; tt.problem && (m.Advice == "" || m.Size != int64(len(tt.in)) || m.Sum != sha256.Sum256([]byte(tt.in)) || len(m.Data) > 0) {
			t.Errorf("%s: %+v", tt.name, m)
		}
	}
}

func zip(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGzip(t *testing.T) {
	in := sep1 + mail + "\n" + sep2 + mail
	got := walkBytes(t, zip(t, []byte(in)))
	if len(got) != 2 || string(got[1].Data) != sep2+mail {
		t.Errorf("%+v", got)
	}
	packed := zip(t, []byte(strings.Repeat(mail, 10_000)))
	cut := walkBytes(t, packed[:len(packed)/2])
	if len(cut) != 1 || cut[0].Problem != "it is a damaged gzip file" || len(cut[0].Data) == 0 {
		t.Errorf("a cut gzip: %d messages, %q", len(cut), cut[0].Problem)
	}
	if bad := walkBytes(t, []byte("\x1f\x8b\x08 no gzip at all")); len(bad) != 1 || bad[0].Problem == "" {
		t.Errorf("no gzip: %+v", bad)
	}
	if twice := walkBytes(t, zip(t, zip(t, []byte(in)))); len(twice) != 1 || twice[0].Problem != "it is a gzip file inside a gzip file" {
		t.Errorf("twice packed: %+v", twice)
	}
	if none := walkBytes(t, zip(t, nil)); len(none) != 1 || none[0].Problem != "" || len(none[0].Data) != 0 {
		t.Errorf("an empty gzip: %+v", none)
	}
}

func TestGzipBomb(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	chunk := bytes.Repeat([]byte("a line of a bomb\n"), 1<<16)
	for range 70 { // 73 MB
		if _, err := z.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	got := walkBytes(t, b.Bytes())
	if len(got) != 1 || !strings.Contains(got[0].Problem, "64 MB") || len(got[0].Data) > maxHead+maxTail {
		t.Errorf("%d messages, %q, %d bytes", len(got), got[0].Problem, len(got[0].Data))
	}
	if got[0].Size > maxUnpacked+(1<<20) {
		t.Errorf("%d bytes were unpacked", got[0].Size)
	}
}

// TestLargeMessage: of a message that is larger than is kept, both ends are
// there, the cut says what is missing between them, and memory stays bounded.
func TestLargeMessage(t *testing.T) {
	line := []byte("this is one of very many lines of an attachment\n")
	const n = (40 << 20) / 48
	pr, pw := io.Pipe()
	sum := sha256.New()
	go func() {
		w := io.MultiWriter(pw, sum)
		block := bytes.Repeat(line, 1024)
		_, _ = w.Write([]byte(sep1 + mail))
		for range n / 1024 {
			if _, err := w.Write(block); err != nil {
				break
			}
		}
		_, _ = w.Write([]byte("the last line\n"))
		_ = pw.Close()
	}()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	count := 0
	for m := range Walk(context.Background(), []string{"-"}, Options{Stdin: pr}) {
		count++
		runtime.ReadMemStats(&after)
		if !bytes.HasPrefix(m.Data, []byte(sep1+mail)) || !bytes.HasSuffix(m.Data, []byte("the last line\n")) {
			t.Errorf("the ends are %.60q … %.60q", m.Data, m.Data[len(m.Data)-60:])
		}
		if m.Cut == 0 || !m.Truncated() {
			t.Fatal("nothing was cut")
		}
		lines := bytes.Count(m.Data, []byte("\n")) + m.CutLines
		if want := strings.Count(sep1+mail, "\n") + n/1024*1024 + 1; lines != want {
			t.Errorf("%d lines with those of the cut, want %d", lines, want)
		}
		if want := int64(len(sep1+mail)) + int64(n/1024*1024*len(line)) + 14; m.Size != want {
			t.Errorf("size %d, want %d", m.Size, want)
		}
		if !bytes.HasPrefix(m.Data[m.Cut:], line) {
			t.Errorf("behind the cut stands %.60q", m.Data[m.Cut:])
		}
		if string(m.Sum[:]) != string(sum.Sum(nil)) {
			t.Error("the sum is not that of all bytes")
		}
	}
	if count != 1 {
		t.Errorf("%d messages", count)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 40<<20 {
		t.Errorf("the heap grew by %d MB", grown>>20)
	}
}

func TestMapKeepsOrder(t *testing.T) {
	var b bytes.Buffer
	for i := range 5000 {
		fmt.Fprintf(&b, "%sSubject: %d\n\n%s\n\n", sep1, i, strings.Repeat("x", i*31%4000))
	}
	render := func(m Message) string {
		return fmt.Sprintf("%d %d %x", m.Number, len(m.Data), sha256.Sum256(m.Data))
	}
	run := func(jobs int) []string {
		var out []string
		for s := range Map(context.Background(), Walk(context.Background(), []string{"-"}, Options{Stdin: bytes.NewReader(b.Bytes())}), jobs, render) {
			out = append(out, s)
		}
		return out
	}
	want := run(1)
	if len(want) != 5000 {
		t.Fatalf("%d messages", len(want))
	}
	for _, jobs := range []int{2, 3, 16} {
		if got := run(jobs); !slices.Equal(got, want) {
			t.Errorf("%d jobs give other results than one", jobs)
		}
	}
}

func TestMapEndsEarly(t *testing.T) {
	var b bytes.Buffer
	for i := range 20_000 {
		fmt.Fprintf(&b, "%sSubject: %d\n\n%s\n\n", sep1, i, strings.Repeat("x", 2000))
	}
	for _, jobs := range []int{1, 4} {
		ctx, cancel := context.WithCancel(context.Background())
		n := 0
		for range Map(ctx, Walk(ctx, []string{"-"}, Options{Stdin: bytes.NewReader(b.Bytes())}), jobs, func(m Message) int { return m.Number }) {
			if n++; n == 100 {
				cancel()
			}
		}
		if n < 100 || n == 20_000 {
			t.Errorf("%d jobs: %d results after the walk was cancelled at 100", jobs, n)
		}
		cancel()
		n = 0
		for range Map(context.Background(), Walk(context.Background(), []string{"-"}, Options{Stdin: bytes.NewReader(b.Bytes())}), jobs, func(m Message) int { return m.Number }) {
			if n++; n == 100 {
				break
			}
		}
		if n != 100 {
			t.Errorf("%d jobs: %d results", jobs, n)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte(sep1+mail+"\n"+sep2+mail), 5)
	f.Add([]byte("From a 1:02 2026\nFrom b x y 1:02 2026\n\n"), 1)
	f.Add([]byte(strings.ReplaceAll(sep1+mail+"\n"+sep2+mail, "\n", "\r")), 3)
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		if bytes.HasPrefix(data, gzipMagic) {
			return
		}
		var joined []byte
		for m := range Walk(context.Background(), []string{"-"}, Options{Stdin: slowReader{bytes.NewReader(data), max(1, step&0xff)}}) {
			if m.Problem != "" {
				return
			}
			joined = append(joined, m.Data...)
		}
		if !bytes.Equal(joined, data) {
			t.Errorf("the messages together are not the source: %.200q from %.200q", joined, data)
		}
		var again []byte
		for m := range Walk(context.Background(), []string{"-"}, Options{Stdin: bytes.NewReader(data)}) {
			again = append(again, byte(m.Number), byte(len(m.Data)))
		}
		var slow []byte
		for m := range Walk(context.Background(), []string{"-"}, Options{Stdin: slowReader{bytes.NewReader(data), max(1, step&0xff)}}) {
			slow = append(slow, byte(m.Number), byte(len(m.Data)))
		}
		if !bytes.Equal(again, slow) {
			t.Errorf("how the bytes arrive decides where messages end: %v and %v", again, slow)
		}
	})
}

func BenchmarkWalk(b *testing.B) {
	var mbox bytes.Buffer
	for i := range 4000 {
		fmt.Fprintf(&mbox, "%sSubject: %d\n\n%s\n\n", sep1, i, strings.Repeat("a line of the body of a bounce\n", 100))
	}
	b.SetBytes(int64(mbox.Len()))
	for b.Loop() {
		for m := range Walk(context.Background(), []string{"-"}, Options{Stdin: bytes.NewReader(mbox.Bytes())}) {
			_ = m
		}
	}
}

// TestLargeLog: a log that is larger than a message may be comes in pieces that
// are whole lines and together the whole log.
func TestLargeLog(t *testing.T) {
	var b bytes.Buffer
	for i := 0; b.Len() < 3*MaxWhole; i++ {
		fmt.Fprintf(&b, "Nov 23 07:40:%02d mail postfix/smtp[%d]: QID%d: to=<r%d@partner.example>, status=sent (250 Ok)\n", i%60, i, i, i)
	}
	var joined []byte
	n, line := 0, 1
	for m := range Walk(context.Background(), []string{"-"}, Options{Stdin: bytes.NewReader(b.Bytes())}) {
		n++
		if m.Number != n || m.Line != line || m.Cut != 0 || m.Data[len(m.Data)-1] != '\n' || !bytes.HasPrefix(m.Data, []byte("Nov 23 ")) {
			t.Fatalf("piece %d: number %d, line %d (want %d), cut %d", n, m.Number, m.Line, line, m.Cut)
		}
		line += bytes.Count(m.Data, []byte("\n"))
		joined = append(joined, m.Data...)
	}
	if n < 3 || !bytes.Equal(joined, b.Bytes()) {
		t.Errorf("%d pieces, %d bytes of %d", n, len(joined), b.Len())
	}
	if got := all(Walk(context.Background(), []string{"-"}, Options{Stdin: bytes.NewReader(b.Bytes()), Whole: true})); len(got) != 1 || got[0].Cut == 0 {
		t.Errorf("as a whole: %d messages", len(got))
	}
}

func TestLooksLikeLog(t *testing.T) {
	for _, tt := range []struct {
		line string
		want bool
	}{
		{"Nov 23 07:40:47 mail postfix/smtp[1]: x", true},
		{"Nov  3 07:40:47 mail postfix/smtp[1]: x", true},
		{"2026-11-23 07:40:47 1abcde-000001-XX == r@partner.example", true},
		{"2026-11-23T07:40:47.039Z,Outbound,08DE,0,,192.0.2.10:25,*,x,", true},
		{"It did not work on Nov 23 07:40:47", false},
		{"", false},
		{"1234567890123456789012345", false},
	} {
		if got := looksLikeLog([]byte(strings.Repeat(tt.line+"\n", 30)), '\n'); got != tt.want {
			t.Errorf("%q: %v", tt.line, got)
		}
	}
	if looksLikeLog([]byte("Nov 23 07:40:47 mail x\n"), '\n') {
		t.Error("one line is no log")
	}
}
