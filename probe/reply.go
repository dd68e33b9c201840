package probe

import (
	"bytes"
	"strconv"
)

// replyLine reads the form of one reply line (RFC 5321 §4.2): three ASCII
// digits from 200 to 599, then a space, a hyphen (more follows) or nothing.
// NUL has no place in it; other bytes are kept as they came.
func replyLine(b []byte) (code int, more, ok bool) {
	if len(b) < 3 || b[0] < '2' || b[0] > '5' || !digit(b[1]) || !digit(b[2]) {
		return 0, false, false
	}
	if len(b) > 3 && b[3] != ' ' && b[3] != '-' {
		return 0, false, false
	}
	if bytes.IndexByte(b, 0) >= 0 {
		return 0, false, false
	}
	code = int(b[0]-'0')*100 + int(b[1]-'0')*10 + int(b[2]-'0')
	return code, len(b) > 3 && b[3] == '-', true
}

func digit(b byte) bool { return b >= '0' && b <= '9' }

// protocols are others that are found on a mail port, by how they begin.
var protocols = []struct{ begin, name string }{
	{"SSH-", "SSH"},
	{"* OK", "IMAP"},
	{"* PREAUTH", "IMAP"},
	{"* BYE", "IMAP"},
	{"+OK", "POP3"},
	{"-ERR", "POP3"},
	{"HTTP/", "HTTP"},
	{"<!DOCTYPE", "HTTP"},
	{"<html", "HTTP"},
	{"RFB ", "VNC"},
	{"\x16\x03", "TLS"},
	{"\x15\x03", "TLS"},
	{"\xff\xfb", "telnet"},
	{"\xff\xfd", "telnet"},
	{"EHLO ", "SMTP as a client"},
}

// foreign words a line that is no reply line; n lines of the reply stood
// before it.
func foreign(b []byte, n int) string {
	if n == 0 {
		for _, p := range protocols {
			if bytes.HasPrefix(b, []byte(p.begin)) {
				return "not an SMTP reply but " + p.name + ": " + quote(b)
			}
		}
		return "not an SMTP reply: " + quote(b)
	}
	return "line " + strconv.Itoa(n+1) + " of the reply is no reply line: " + quote(b)
}
