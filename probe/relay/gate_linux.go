package relay

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// block holds a port so that connections to it hang: a listening socket with a
// queue of one, which a connection of our own fills; the kernel then drops every
// further SYN. It needs no privileges. undo gives the port back.
func block(addr net.Addr) (undo func(), err error) {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return nil, fmt.Errorf("%s is no TCP address", addr)
	}
	family, sa := syscall.AF_INET, syscall.Sockaddr(nil)
	if ip := tcp.IP.To4(); ip != nil {
		sa = &syscall.SockaddrInet4{Port: tcp.Port, Addr: [4]byte(ip)}
	} else {
		family, sa = syscall.AF_INET6, &syscall.SockaddrInet6{Port: tcp.Port, Addr: [16]byte(tcp.IP.To16())}
	}
	var open []int
	undo = func() {
		for _, fd := range open {
			syscall.Close(fd)
		}
	}
	socket := func() (int, error) {
		fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			return -1, os.NewSyscallError("socket", err)
		}
		open = append(open, fd)
		return fd, nil
	}
	fd, err := socket()
	if err == nil {
		err = os.NewSyscallError("setsockopt", syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1))
	}
	if err == nil {
		err = os.NewSyscallError("bind", syscall.Bind(fd, sa))
	}
	if err == nil {
		err = os.NewSyscallError("listen", syscall.Listen(fd, 0))
	}
	// One connection fills the queue; the second is there in case the kernel
	// rounds the queue up.
	for i := 0; i < 2 && err == nil; i++ {
		var c int
		if c, err = socket(); err == nil {
			if e := syscall.Connect(c, sa); e != nil && e != syscall.EINPROGRESS {
				err = os.NewSyscallError("connect", e)
			}
		}
	}
	if err != nil {
		undo()
		return nil, err
	}
	return undo, nil
}
