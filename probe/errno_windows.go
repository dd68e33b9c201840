package probe

import (
	"syscall"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// errnos is what the errors of connect, read and write mean (Winsock numbers,
// which package syscall does not name).
var errnos = []errnoFault{
	{10061, transcript.FaultRefused, "the port answers that nothing listens"},
	{syscall.WSAECONNRESET, transcript.FaultReset, "the connection was reset"},
	{syscall.WSAECONNABORTED, transcript.FaultReset, "the connection was aborted"},
	{10060, transcript.FaultTimeout, "no answer within the patience"},
	{10051, transcript.FaultRefused, transcript.NoteThisMachine + "has no road to the address: network unreachable"},
	{10049, transcript.FaultRefused, transcript.NoteThisMachine + "has no address of that kind"},
	{10047, transcript.FaultRefused, transcript.NoteThisMachine + "does not speak that address family"},
	{10065, transcript.FaultRefused, transcript.NoteNetworkSays + "that the host cannot be reached"},
	{syscall.WSAEACCES, transcript.FaultRefused, transcript.NoteThisMachine + "forbids the connection by a rule of its own"},
}
