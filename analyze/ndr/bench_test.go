package ndr

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// corpusMails are the mails of the shared corpus, or the samples where it is
// absent.
func corpusMails(b *testing.B) [][]byte {
	b.Helper()
	var files []string
	for _, pattern := range []string{
		filepath.Join("..", "..", "..", "shared", "corpus", "set-of-emails", "maildir", "bsd", "*.eml"),
		filepath.Join("..", "..", "testdata", "reports", "*", "*.[te]*"),
	} {
		files, _ = filepath.Glob(pattern)
		if len(files) > 0 {
			break
		}
	}
	var mails [][]byte
	for _, f := range files {
		m, err := os.ReadFile(f)
		if err != nil {
			b.Fatal(err)
		}
		mails = append(mails, m)
	}
	if len(mails) == 0 {
		b.Skip("no mails")
	}
	return mails
}

// perMail runs one operation a mail, round robin.
func perMail(b *testing.B, do func(mail []byte)) {
	mails := corpusMails(b)
	size := 0
	for _, m := range mails {
		size += len(m)
	}
	b.SetBytes(int64(size / len(mails)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		do(mails[i%len(mails)])
	}
}

func BenchmarkNewlines(b *testing.B) {
	n := 0
	perMail(b, func(m []byte) { n += bytes.Count(m, lf) })
}

func BenchmarkPrepare(b *testing.B) { perMail(b, func(m []byte) { Prepare(m) }) }

func BenchmarkRead(b *testing.B) { perMail(b, func(m []byte) { Read(m) }) }
