package probe

import (
	"net"
	"syscall"
)

// quickAck makes the kernel acknowledge at once what arrives next. An OpenSSL
// server sends its TLS 1.3 session tickets first and holds the EHLO reply back
// (Nagle) until they are acknowledged, which a delayed acknowledgement puts off
// by 40 ms. It helps only directly after the write: the kernel forgets it.
func quickAck(c net.Conn) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return
	}
	_ = rc.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
	})
}
