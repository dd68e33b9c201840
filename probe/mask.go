package probe

import (
	"encoding/base64"
	"strings"
)

// token stands in the record for a secret. It shows no length.
const token = "[secret-1]"

// secrets are the forms in which a server may quote the credential back.
type secrets struct{ forms []string }

func newSecrets(c *Credential) *secrets {
	if c == nil || c.password == "" {
		return &secrets{}
	}
	return &secrets{forms: []string{
		base64.StdEncoding.EncodeToString([]byte("\x00" + c.username + "\x00" + c.password)),
		base64.StdEncoding.EncodeToString([]byte(c.password)),
		c.password,
	}}
}

// mask hides the secrets in words of the server.
func (s *secrets) mask(text string) string {
	for _, f := range s.forms {
		if strings.Contains(text, f) {
			text = strings.ReplaceAll(text, f, token)
		}
	}
	return text
}
