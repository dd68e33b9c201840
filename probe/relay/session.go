package relay

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/smtp-handoff/handoff/analyze/policy"
)

// session is go-smtp's backend of one connection: it asks the table at AUTH,
// MAIL, RCPT and the final dot. What the table says goes to go-smtp, which
// keeps the order of commands by it, and to the wire, which says it in the
// table's words.
type session struct {
	w *wire
}

var (
	_ smtp.AuthSession = (*session)(nil)
	_ smtp.Session     = (*session)(nil)
)

// errTable is the refusal that go-smtp sees. It must be an *smtp.SMTPError
// itself, since go-smtp asserts the type and a wrapped one loses its code.
func errTable(d *decidedReply) error {
	e := &smtp.SMTPError{Code: d.Code, EnhancedCode: smtp.NoEnhancedCode, Message: d.Text}
	if f := strings.Split(d.Enhanced, "."); len(f) == 3 {
		for i := range f {
			e.EnhancedCode[i], _ = strconv.Atoi(f[i])
		}
	}
	return e
}

// current is the command that go-smtp is answering.
func (s *session) current() request {
	if len(s.w.pending) == 0 {
		return request{}
	}
	return s.w.pending[0]
}

// AuthMechanisms is empty: the wire writes the EHLO list itself.
func (s *session) AuthMechanisms() []string { return nil }

// Auth starts a login. The wire has asked the table already whether it hears
// AUTH at all.
func (s *session) Auth(mech string) (sasl.Server, error) {
	login := func(username, password string) error {
		s.w.login(username)
		d := s.w.table(policy.Command{Verb: policy.Auth, Mechanism: mech, Username: username, Password: password})
		s.w.decided = d
		if d.Code != 235 {
			return errTable(d)
		}
		return nil
	}
	switch mech {
	case sasl.Plain:
		return sasl.NewPlainServer(func(_, username, password string) error { return login(username, password) }), nil
	case "LOGIN":
		return newLoginServer(login), nil
	case "CRAM-MD5":
		return newCramServer(s.w.relay.challenge(), login), nil
	}
	// A mechanism that mech-missing lists and nobody here speaks.
	return newCramServer(nil, func(string, string) error { return login("", "") }), nil
}

// Mail implements smtp.Session.
func (s *session) Mail(string, *smtp.MailOptions) error {
	d := s.w.table(s.current().Command)
	s.w.decided = d
	if d.Code/100 != 2 {
		return errTable(d)
	}
	s.w.rcpts, s.w.head = nil, nil
	return nil
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(string, *smtp.RcptOptions) error {
	w, c := s.w, s.current().Command
	w.recount(c.Address)
	d := w.table(c)
	if d.Code/100 == 2 {
		if m := magic(c.Address); m != nil && m.at == policy.Rcpt {
			// The table has counted an acceptance that is none.
			w.state.Accepted--
			w.state.Refused++
			w.state.Errors++
			d = m.reply()
		}
	}
	w.decided = d
	if d.Code/100 != 2 {
		return errTable(d)
	}
	if len(w.rcpts) < keepRecipients {
		w.rcpts = append(w.rcpts, c.Address)
	}
	return nil
}

// errAborted ends a message that never came to its end; nobody is left to read
// the reply.
var errAborted = errors.New("the message was not finished")

// Data implements smtp.Session. The wire has read the message; what comes here
// is its end.
func (s *session) Data(r io.Reader) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return errAborted
	}
	w := s.w
	w.state.QueueID = newQueueID()
	sender, size := w.state.Sender, w.state.DataBytes
	d := w.table(policy.Command{Verb: policy.EndData})
	if d.Code/100 == 2 {
		if m := magicOf(w.rcpts); m != nil && m.at == policy.EndData {
			d = m.reply()
		}
	}
	if w.inBdat || s.current().Verb == verbBdat {
		d.Text = strings.Replace(d.Text, "Ok: queued", "Ok: "+strconv.FormatInt(size, 10)+" bytes queued", 1)
	}
	w.inBdat = false
	w.decided = d
	if d.Code/100 != 2 {
		return errTable(d)
	}
	w.relay.accept(w, sender, size)
	return &smtp.SMTPError{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: d.Text}
}

// Reset implements smtp.Session; the table has heard of it from the wire.
func (s *session) Reset() {}

// Logout implements smtp.Session.
func (s *session) Logout() error { return nil }

// newQueueID names an accepted message the way Postfix does: upper-case
// hexadecimal.
func newQueueID() string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails
	return strings.ToUpper(hex.EncodeToString(b[:]))
}
