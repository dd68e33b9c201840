package policy

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// passwordAlphabet is what generated passwords are made of. # ! & @ . are in it
// on purpose: they break in .env files, YAML, URLs and shells, a common reason
// for a 535 (assumed, from the shape of public configurations).
const passwordAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789#!&@."

// PasswordLength is the number of characters of a generated password.
const PasswordLength = 32

const defaultRounds = 1000

// Shown is a user name and password as they are shown, once, between Generate
// and Save (A3). It is never kept; every print of it is a token.
type Shown struct {
	Username string
	Password string
	ActiveAt time.Time // when the pair will work: up to 60 minutes later (A4)
}

// String never shows the password.
func (Shown) String() string { return "[credential shown once]" }

// GoString never shows the password, under %#v either.
func (s Shown) GoString() string { return s.String() }

// Draft is a credential on the way: New Credential and a label, then Generate
// Password, then copy, then Save (A2). Nothing is stored before Save.
type Draft struct {
	acc       *Account
	label     string
	username  string
	password  string
	generated bool
	saved     bool
}

// Errors of a draft used out of order.
var (
	ErrNoLabel      = errors.New("a credential needs a label")
	ErrNoDomain     = errors.New("a credential needs a domain: add one first")
	ErrNotGenerated = errors.New("generate the password first, then save")
	ErrSaved        = errors.New("the credential is saved: its password is not shown again, make a new one")
)

// NewCredential begins a credential with a label, free text that the list shows.
func (a *Account) NewCredential(label string) *Draft {
	return &Draft{acc: a, label: strings.TrimSpace(label)}
}

// SetUsername chooses the user name in place of a generated one; for scenario
// files.
func (d *Draft) SetUsername(u string) { d.username = u }

// SetPassword chooses the password in place of a generated one; for scenario
// files. Generate then shows this one.
func (d *Draft) SetPassword(p string) { d.password = p }

// Generate makes user name and password and shows them. The user name is shaped
// like an address at the customer's first domain, the password has 32
// characters. Calling it again shows the same pair until Save.
func (d *Draft) Generate() (Shown, error) {
	if d.saved {
		return Shown{}, ErrSaved
	}
	if d.label == "" {
		return Shown{}, ErrNoLabel
	}
	if d.username == "" {
		if len(d.acc.Domains) == 0 {
			return Shown{}, ErrNoDomain
		}
		name, err := randomText(d.acc.rand(), "abcdefghjkmnpqrstuvwxyz23456789", 8)
		if err != nil {
			return Shown{}, err
		}
		d.username = "smtp-" + name + "@" + d.acc.Domains[0].Name
	}
	if d.password == "" {
		p, err := randomText(d.acc.rand(), passwordAlphabet, PasswordLength)
		if err != nil {
			return Shown{}, err
		}
		d.password = p
	}
	d.generated = true
	return Shown{Username: d.username, Password: d.password}, nil
}

// Save stores the credential with a salted hash of its password; the pair works
// after the propagation time. It fails before Generate.
func (d *Draft) Save(now time.Time) (Credential, error) {
	switch {
	case d.saved:
		return Credential{}, ErrSaved
	case !d.generated:
		return Credential{}, ErrNotGenerated
	}
	salt := make([]byte, 16)
	if _, err := io.ReadFull(d.acc.rand(), salt); err != nil {
		return Credential{}, fmt.Errorf("random bytes for the salt: %w", err)
	}
	rounds := d.acc.HashRounds
	if rounds <= 0 {
		rounds = defaultRounds
	}
	hash, err := hashPassword(d.password, salt, rounds)
	if err != nil {
		return Credential{}, err
	}
	cr := Credential{
		ID: d.acc.nextID(), Label: d.label, Username: d.username,
		Salt: salt, Hash: hash, Rounds: rounds,
		Created: now, ActiveAt: now.Add(d.acc.Propagation),
	}
	d.acc.Credentials = append(d.acc.Credentials, cr)
	d.saved, d.password = true, ""
	return cr, nil
}

// DeleteCredential removes a pair by id or label. It still works until the
// deletion has propagated (assumed: as long as a creation).
func (a *Account) DeleteCredential(id string, now time.Time) error {
	for i := range a.Credentials {
		cr := &a.Credentials[i]
		if (cr.ID == id || cr.Label == id) && cr.Deleted.IsZero() {
			cr.Deleted, cr.GoneAt = now, now.Add(a.Propagation)
			return nil
		}
	}
	return fmt.Errorf("no credential %q; \"cred list\" shows the ids", id)
}

// Matches compares a password with the salted hash, in constant time.
func (cr *Credential) Matches(password string) bool {
	if cr.Rounds <= 0 || len(cr.Hash) == 0 {
		return false
	}
	h, err := hashPassword(password, cr.Salt, cr.Rounds)
	return err == nil && subtle.ConstantTimeCompare(h, cr.Hash) == 1
}

func hashPassword(password string, salt []byte, rounds int) ([]byte, error) {
	return pbkdf2.Key(sha256.New, password, salt, rounds, sha256.Size)
}

func (a *Account) rand() io.Reader {
	if a.Rand != nil {
		return a.Rand
	}
	return rand.Reader
}

// nextID numbers credentials c1, c2, …; ids are never used again, since deleted
// ones stay in the list.
func (a *Account) nextID() string {
	for n := len(a.Credentials) + 1; ; n++ {
		id := fmt.Sprintf("c%d", n)
		if a.credentialByID(id) == nil {
			return id
		}
	}
}

func (a *Account) credentialByID(id string) *Credential {
	for i := range a.Credentials {
		if a.Credentials[i].ID == id {
			return &a.Credentials[i]
		}
	}
	return nil
}

// randomText draws n characters of the alphabet without bias.
func randomText(r io.Reader, alphabet string, n int) (string, error) {
	limit := byte(256 / len(alphabet) * len(alphabet) % 256) // 0: every byte fits
	out := make([]byte, 0, n)
	buf := make([]byte, 2*n)
	for tries := 0; len(out) < n; tries++ {
		if tries > 64 {
			return "", errors.New("the source of randomness repeats itself")
		}
		if _, err := io.ReadFull(r, buf); err != nil {
			return "", fmt.Errorf("random bytes: %w", err)
		}
		for _, b := range buf {
			if (limit == 0 || b < limit) && len(out) < n {
				out = append(out, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(out), nil
}
