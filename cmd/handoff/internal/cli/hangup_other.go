//go:build !unix

package cli

import "os"

// notifyHangup does nothing where there is no SIGHUP.
func notifyHangup(chan<- os.Signal) {}
