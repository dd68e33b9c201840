//go:build !windows

package probe

import (
	"syscall"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// errnos is what the errors of connect, read and write mean.
var errnos = []errnoFault{
	{syscall.ECONNREFUSED, transcript.FaultRefused, "the port answers that nothing listens"},
	{syscall.ECONNRESET, transcript.FaultReset, "the connection was reset"},
	{syscall.EPIPE, transcript.FaultReset, "the connection was reset"},
	{syscall.ECONNABORTED, transcript.FaultReset, "the connection was aborted"},
	{syscall.ETIMEDOUT, transcript.FaultTimeout, "no answer within the patience"},
	{syscall.ENETUNREACH, transcript.FaultRefused, transcript.NoteThisMachine + "has no road to the address: network unreachable"},
	{syscall.EADDRNOTAVAIL, transcript.FaultRefused, transcript.NoteThisMachine + "has no address of that kind"},
	{syscall.EAFNOSUPPORT, transcript.FaultRefused, transcript.NoteThisMachine + "does not speak that address family"},
	{syscall.EHOSTUNREACH, transcript.FaultRefused, transcript.NoteNetworkSays + "that the host cannot be reached"},
	{syscall.EACCES, transcript.FaultRefused, transcript.NoteThisMachine + "forbids the connection by a rule of its own"},
	{syscall.EPERM, transcript.FaultRefused, transcript.NoteThisMachine + "forbids the connection by a rule of its own"},
}
