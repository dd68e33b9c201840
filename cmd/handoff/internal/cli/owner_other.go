//go:build !unix

package cli

import (
	"errors"
	"io"
	"io/fs"
)

// ownedByUs trusts the access rights that the system gives to the user's own
// folders.
func ownedByUs(fs.FileInfo) bool { return true }

// isBrokenPipe tells that the reader of our output went away.
func isBrokenPipe(err error) bool { return errors.Is(err, io.ErrClosedPipe) }
