package probe

import (
	"fmt"
	"log/slog"
)

// Credential is a user name and a password, bound to one host. Every print,
// log and JSON form of it is a token; the password leaves only by the dialogue.
type Credential struct {
	host     string
	username string
	password string
}

// NewCredential binds a user name and password to the host they may be sent to.
func NewCredential(host, username, password string) *Credential {
	return &Credential{host: host, username: username, password: password}
}

// Username returns the user name, which is not a secret.
func (c *Credential) Username() string { return c.username }

// String, Format, MarshalJSON and LogValue never show the password.
func (c *Credential) String() string { return "[credential]" }

// Format implements fmt.Formatter for every verb, %#v included.
func (c *Credential) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[credential]")) }

// MarshalJSON implements json.Marshaler.
func (c *Credential) MarshalJSON() ([]byte, error) { return []byte(`"[credential]"`), nil }

// LogValue implements slog.LogValuer.
func (c *Credential) LogValue() slog.Value { return slog.StringValue("[credential]") }
