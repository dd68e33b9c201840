package fault

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Script is what the server does on one connection, statement by statement.
//
//	< TEXT              say TEXT and CRLF
//	raw "BYTES"         say bytes, in Go's quoting, nothing added
//	repeat N "BYTES"    say bytes N times; N 0 is without end
//	drip D "BYTES"      say bytes, one every D (a Go duration)
//	drip D forever "B"  the same over and over
//	lines D N "BYTES"   say bytes N times, once every D; N 0 is without end
//	> VERB              read a line; one that does not begin with VERB is noted
//	>                   read any line
//	data                read a message up to its final dot
//	wait D              do nothing for D
//	stall               do nothing until the client leaves, but read
//	deaf                do nothing until the client leaves, and do not read
//	tls [K=V…]          do a TLS handshake: cert=NAME, min=1.0, max=1.1, client=yes
//	hello "BYTES"       read the client's TLS hello, then say bytes
//	half                close our side of the connection (FIN), keep reading
//	close               close the connection
//	reset               reset the connection (RST)
//
// Blank lines and lines that begin with # say nothing. At its end the script
// closes the connection.
type Script []statement

type statement struct {
	line  int
	verb  string
	text  string
	bytes string
	n     int
	every time.Duration
	args  map[string]string
}

// Parse reads a script.
func Parse(text string) (Script, error) {
	var s Script
	for i, line := range strings.Split(text, "\n") {
		line = strings.Trim(line, "\t\r")
		if t := strings.TrimSpace(line); t == "" || t[0] == '#' {
			continue
		}
		st, err := parse(line)
		if err != nil {
			return nil, fmt.Errorf("fault: line %d: %w", i+1, err)
		}
		st.line = i + 1
		s = append(s, st)
	}
	return s, nil
}

// MustParse is Parse for scripts that are part of a program.
func MustParse(text string) Script {
	s, err := Parse(text)
	if err != nil {
		panic(err)
	}
	return s
}

func parse(line string) (statement, error) {
	verb, rest, _ := strings.Cut(strings.TrimLeft(line, " "), " ")
	st := statement{verb: verb}
	var err error
	word := func() string {
		w, r, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
		rest = r
		return w
	}
	switch verb {
	case "<", ">":
		st.text = rest
	case "raw", "hello":
		st.bytes, err = strconv.Unquote(strings.TrimSpace(rest))
	case "repeat":
		if st.n, err = strconv.Atoi(word()); err == nil {
			st.bytes, err = strconv.Unquote(strings.TrimSpace(rest))
		}
	case "drip":
		if st.every, err = time.ParseDuration(word()); err == nil {
			st.n = 1
			if r, ok := strings.CutPrefix(strings.TrimLeft(rest, " "), "forever "); ok {
				st.n, rest = 0, r
			}
			st.bytes, err = strconv.Unquote(strings.TrimSpace(rest))
		}
	case "lines":
		if st.every, err = time.ParseDuration(word()); err == nil {
			if st.n, err = strconv.Atoi(word()); err == nil {
				st.bytes, err = strconv.Unquote(strings.TrimSpace(rest))
			}
		}
	case "wait":
		st.every, err = time.ParseDuration(word())
	case "tls":
		st.args = map[string]string{}
		for w := word(); w != ""; w = word() {
			k, v, _ := strings.Cut(w, "=")
			switch k {
			case "cert", "min", "max", "client":
				st.args[k] = v
			default:
				return st, fmt.Errorf("tls has no %q", k)
			}
		}
	case "data", "stall", "deaf", "half", "close", "reset":
		if strings.TrimSpace(rest) != "" {
			err = fmt.Errorf("%s takes nothing behind it", verb)
		}
	default:
		err = fmt.Errorf("no statement %q", verb)
	}
	return st, err
}
