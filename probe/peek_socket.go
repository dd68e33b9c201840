//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package probe

import (
	"net"
	"syscall"
)

// arrivedBytes reports whether bytes, or the end of the stream, wait in the
// socket; known is false for connections that are no sockets.
func arrivedBytes(c net.Conn) (arrived, known bool) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false, false
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return false, false
	}
	err = rc.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case n > 0:
			arrived, known = true, true
		case err == syscall.EAGAIN || err == syscall.EWOULDBLOCK || err == syscall.EINTR:
			known = true
		default: // the end of the stream, or an error that the next read tells
			known = true
		}
	})
	return arrived, known && err == nil
}
