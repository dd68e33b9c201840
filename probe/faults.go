package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// faultOf says how a network operation failed. It looks at types and numbers,
// never at texts.
func faultOf(err error) (transcript.Fault, string) {
	var timeout net.Error
	for _, e := range errnos {
		if errors.Is(err, e.errno) {
			return e.fault, e.detail
		}
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return transcript.FaultTimeout, "no answer within the patience"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		return transcript.FaultClosed, "the server closed the connection"
	}
	return transcript.FaultReset, "the connection broke"
}

type errnoFault struct {
	errno  syscall.Errno
	fault  transcript.Fault
	detail string
}

// dialFault is faultOf for connect(2). A road that does not exist is told from
// a port that answers with RST by its words only: both answer at once.
func dialFault(err error) (transcript.Fault, string) {
	fault, detail := faultOf(err)
	switch fault {
	case transcript.FaultTimeout:
		detail = "no answer to the connection request: packets are dropped on the way"
	case transcript.FaultReset:
		if detail == "the connection broke" {
			return transcript.FaultRefused, "the connection could not be opened"
		}
	case transcript.FaultClosed:
		detail = "the connection was closed while it was opened"
	}
	return fault, detail
}

// lookupFault words a failed lookup. The first word is the rcode, or timeout,
// or NODATA for a name that exists and has no address.
func lookupFault(err error) string {
	var coded interface{ Rcode() string }
	if errors.As(err, &coded) {
		rcode := coded.Rcode()
		for _, w := range rcodeWords {
			if w.rcode == rcode {
				return rcode + ": " + w.words
			}
		}
		return rcode + ": the resolver answered with an error"
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		switch {
		case dns.IsNotFound:
			return "NOTFOUND: the name does not exist or has no address"
		case dns.IsTimeout:
			return "timeout: no answer from the resolver"
		case dns.IsTemporary:
			return "SERVFAIL: the resolver could not answer"
		}
	}
	if fault, _ := faultOf(err); fault == transcript.FaultTimeout {
		return "timeout: no answer from the resolver"
	}
	return "ERROR: the lookup failed"
}

var rcodeWords = []struct{ rcode, words string }{
	{"NXDOMAIN", "the name does not exist"},
	{"NODATA", "the name exists but has no address"},
	{"SERVFAIL", "the resolver could not answer"},
	{"REFUSED", "the resolver refuses to answer"},
	{"timeout", "no answer from the resolver"},
}

// quote shows bytes of a server as evidence of a fault: printable ASCII, at
// most 80 characters.
func quote(b []byte) string {
	const most = 80
	more := ""
	if len(b) > most {
		more = " and " + strconv.Itoa(len(b)-most) + " bytes more"
		b = b[:most]
	}
	return strconv.QuoteToASCII(string(b)) + more
}
