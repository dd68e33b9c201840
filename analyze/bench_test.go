package analyze

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/smtp-handoff/handoff/analyze/mailbox"
	"github.com/smtp-handoff/handoff/analyze/ndr"
)

// Benchmarks of the whole road from bytes to a line of JSON, and of its parts.
// They run over the folder that HANDOFF_CORPUS names, else over the real mails
// beside the module, else over the samples of the module itself.

func corpus(b *testing.B) (mails [][]byte, size int64) {
	b.Helper()
	var dirs []string
	if dir := os.Getenv("HANDOFF_CORPUS"); dir != "" {
		dirs = append(dirs, dir)
	} else {
		dirs = append(dirs, filepath.Join("..", "..", "shared", "corpus", "set-of-emails", "maildir", "bsd"), filepath.Join("..", "testdata", "reports"))
	}
	for _, dir := range dirs {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		for m := range mailbox.Walk(context.Background(), []string{dir}, mailbox.Options{}) {
			if m.Problem == "" {
				mails = append(mails, bytes.Clone(m.Data))
				size += int64(len(m.Data))
			}
		}
		if len(mails) > 0 {
			return mails, size
		}
	}
	b.Skip("no mails to read")
	return nil, 0
}

func perMail(b *testing.B, n int) {
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "mails/s")
}

// BenchmarkAnalyze reads, judges, explains and writes every mail on one core.
func BenchmarkAnalyze(b *testing.B) {
	mails, size := corpus(b)
	b.SetBytes(size)
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		for _, m := range mails {
			buf = Analyze(m, Options{}).AppendJSON(buf[:0])
		}
	}
	perMail(b, len(mails))
}

// BenchmarkAnalyzeJobs is the same on all cores, in order, as a stream of an
// mbox.
func BenchmarkAnalyzeJobs(b *testing.B) {
	mails, _ := corpus(b)
	var mbox bytes.Buffer
	n := 0
	for range 20 {
		for _, m := range mails {
			if bytes.IndexByte(m, '\n') < 0 || bytes.HasPrefix(m, []byte("From ")) {
				continue
			}
			mbox.WriteString("From MAILER-DAEMON Mon Nov 23 07:40:46 2026\n")
			mbox.Write(m)
			mbox.WriteString("\n\n")
			n++
		}
	}
	for _, jobs := range []int{1, runtime.GOMAXPROCS(0)} {
		b.Run(itoa(jobs), func(b *testing.B) {
			b.SetBytes(int64(mbox.Len()))
			ctx := context.Background()
			for b.Loop() {
				messages := mailbox.Walk(ctx, []string{"-"}, mailbox.Options{Stdin: bytes.NewReader(mbox.Bytes())})
				for line := range mailbox.Map(ctx, messages, jobs, func(m mailbox.Message) []byte {
					return Analyze(m.Data, Options{}).AppendJSON(nil)
				}) {
					_, _ = io.Discard.Write(line)
				}
			}
			perMail(b, n)
		})
	}
}

// BenchmarkRead is the readers alone.
func BenchmarkRead(b *testing.B) {
	mails, size := corpus(b)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		for _, m := range mails {
			ndr.Read(m)
		}
	}
	perMail(b, len(mails))
}

// BenchmarkJudge is the judge with causes, without readers and JSON.
func BenchmarkJudge(b *testing.B) {
	mails, size := corpus(b)
	cases := make([][]ndr.Case, len(mails))
	for i, m := range mails {
		cases[i] = ndr.Read(m)
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		for i, m := range mails {
			JudgeCases(cases[i], m, Options{})
		}
	}
	perMail(b, len(mails))
}

// BenchmarkWrite is the JSON alone.
func BenchmarkWrite(b *testing.B) {
	mails, _ := corpus(b)
	reports := make([]*Report, len(mails))
	for i, m := range mails {
		reports[i] = Analyze(m, Options{})
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		for _, r := range reports {
			buf = r.AppendJSON(buf[:0])
		}
	}
	perMail(b, len(mails))
}

// BenchmarkLines counts lines of the same bytes, as wc -l does: the speed of
// light.
func BenchmarkLines(b *testing.B) {
	mails, size := corpus(b)
	b.SetBytes(size)
	n := 0
	for b.Loop() {
		for _, m := range mails {
			n += bytes.Count(m, []byte{'\n'})
		}
	}
	if n == 0 {
		b.Fatal("no lines")
	}
	perMail(b, len(mails))
}

// BenchmarkSamples is BenchmarkAnalyze over the samples of the module, where the
// relay itself answers and many causes fit.
func BenchmarkSamples(b *testing.B) {
	var mails [][]byte
	var size int64
	for m := range mailbox.Walk(context.Background(), []string{filepath.Join("..", "testdata", "reports")}, mailbox.Options{}) {
		if m.Problem == "" && filepath.Ext(m.Source) != ".json" {
			mails = append(mails, bytes.Clone(m.Data))
			size += int64(len(m.Data))
		}
	}
	b.SetBytes(size)
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		for _, m := range mails {
			buf = Analyze(m, Options{}).AppendJSON(buf[:0])
		}
	}
	perMail(b, len(mails))
}
