//go:build unix

package cli

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// ownedByUs reports whether a file belongs to the user who runs us.
func ownedByUs(st fs.FileInfo) bool {
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && int(sys.Uid) == os.Getuid()
}

// isBrokenPipe tells that the reader of our output went away.
func isBrokenPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }
