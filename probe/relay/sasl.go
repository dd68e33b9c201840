package relay

import (
	"bytes"

	"github.com/emersion/go-sasl"
)

// loginServer is the server side of LOGIN, which go-sasl does not have. It is
// no standard; clients either send the user name with the command or wait for
// the prompt "Username:".
type loginServer struct {
	username     string
	haveUsername bool
	done         bool
	authenticate func(username, password string) error
}

// newLoginServer returns a server that asks authenticate once it has both.
func newLoginServer(authenticate func(username, password string) error) sasl.Server {
	return &loginServer{authenticate: authenticate}
}

// Next implements sasl.Server.
func (s *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case s.done:
		return nil, false, sasl.ErrUnexpectedClientResponse
	case response == nil:
		return []byte("Username:"), false, nil
	case !s.haveUsername:
		s.username, s.haveUsername = string(response), true
		return []byte("Password:"), false, nil
	default:
		s.done = true
		return nil, true, s.authenticate(s.username, string(response))
	}
}

// cramServer is the server side of a mechanism with one challenge and one
// response that begins with the user name, CRAM-MD5 above all (RFC 2195). The
// service keeps no password that such a response could be checked against, so
// it never lets anybody in; it is there for the fault that offers no mechanism
// the client has.
type cramServer struct {
	challenge    []byte
	asked        bool
	authenticate func(username, password string) error
}

func newCramServer(challenge []byte, authenticate func(username, password string) error) sasl.Server {
	return &cramServer{challenge: challenge, authenticate: authenticate}
}

// Next implements sasl.Server.
func (s *cramServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if !s.asked && response == nil {
		s.asked = true
		return s.challenge, false, nil
	}
	username, _, _ := bytes.Cut(response, []byte(" "))
	return nil, true, s.authenticate(string(username), "")
}
