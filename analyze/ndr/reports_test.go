package ndr

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sample is what a file of testdata/reports says about its neighbour.
type sample struct {
	Why   string       `json:"why"`
	Cases []sampleCase `json:"cases"`
}

type sampleCase struct {
	Format  string       `json:"format"`
	Nature  string       `json:"nature"`
	Items   []sampleItem `json:"items,omitempty"`
	Hops    []string     `json:"hops,omitempty"` // "from > by"
	Notes   []string     `json:"notes,omitempty"`
	DirIn   bool         `json:"dir_in,omitempty"`
	DirOut  bool         `json:"dir_out,omitempty"`
	Partial bool         `json:"partial,omitempty"`
}

type sampleItem struct {
	Recipient      string `json:"recipient,omitempty"`
	Original       string `json:"original,omitempty"`
	Sender         string `json:"sender,omitempty"`
	Action         string `json:"action,omitempty"`
	Status         string `json:"status,omitempty"`
	Stage          string `json:"stage,omitempty"`
	Code           int    `json:"code,omitempty"`
	Enhanced       string `json:"enhanced,omitempty"`
	Words          bool   `json:"words,omitempty"` // a reply without codes
	LocalCode      int    `json:"local_code,omitempty"`
	LocalEnhanced  string `json:"local_enhanced,omitempty"`
	Local          bool   `json:"local,omitempty"` // words of the reporter's own, without codes
	LocalOnly      bool   `json:"local_only,omitempty"`
	Fault          string `json:"fault,omitempty"`
	Refuser        string `json:"refuser,omitempty"`
	RefuserAddress string `json:"refuser_address,omitempty"`
	Reporter       string `json:"reporter,omitempty"`
	Target         string `json:"target,omitempty"`
	Carrier        string `json:"carrier,omitempty"`
	Port           int    `json:"port,omitempty"`
	When           string `json:"when,omitempty"`
	RetryUntil     string `json:"retry_until,omitempty"`
	QueueID        string `json:"queue_id,omitempty"`
	Deferred       bool   `json:"deferred,omitempty"`
	Expired        bool   `json:"expired,omitempty"`
	Session        bool   `json:"session,omitempty"`
}

func stampOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// sampled is a reading in the form of a sample.
func sampled(cases []Case) []sampleCase {
	var out []sampleCase
	for i := range cases {
		c := &cases[i]
		s := sampleCase{Format: c.Format, Nature: string(c.Nature), DirIn: c.DirIn, DirOut: c.DirOut, Partial: c.Partial}
		for _, h := range c.Hops {
			s.Hops = append(s.Hops, strings.TrimSpace(firstOf(h.From.Host, h.From.Address)+" > "+h.By.Host))
		}
		for _, n := range c.Notes {
			s.Notes = append(s.Notes, n.ID)
		}
		for k := range c.Items {
			it := &c.Items[k]
			s.Items = append(s.Items, sampleItem{
				Recipient: it.Recipient, Original: it.Original, Sender: it.Sender, Action: string(it.Action), Status: it.Status, Stage: string(it.Stage),
				Code: it.Reply.Code, Enhanced: it.Reply.Enhanced, Words: it.Reply.Code == 0 && it.Reply.Enhanced == "" && !it.Reply.IsZero(),
				LocalCode: it.LocalReply.Code, LocalEnhanced: it.LocalReply.Enhanced,
				Local:     it.LocalReply.Code == 0 && it.LocalReply.Enhanced == "" && !it.LocalReply.IsZero(),
				LocalOnly: it.LocalOnlyExpiry, Fault: string(it.Fault), Refuser: it.Refuser.Host, RefuserAddress: it.Refuser.Address,
				Reporter: it.Reporter.Host, Target: it.Target.Host, Carrier: it.Carrier.Host, Port: it.Port, When: stampOf(it.When), RetryUntil: stampOf(it.RetryUntil),
				QueueID: it.QueueID, Deferred: it.Deferred, Expired: it.Expired, Session: it.Session != nil,
			})
		}
		out = append(out, s)
	}
	return out
}

func indented(t *testing.T, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestReports reads every sample with each kind of line end.
func TestReports(t *testing.T) {
	root := filepath.Join("..", "..", "testdata", "reports")
	files, err := filepath.Glob(filepath.Join(root, "*", "*.json"))
	if err != nil || len(files) < 100 {
		t.Fatalf("%d samples, %v", len(files), err)
	}
	for _, file := range files {
		base := strings.TrimSuffix(file, ".json")
		name, _ := filepath.Rel(root, base)
		t.Run(filepath.ToSlash(name), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var want sample
			dec := json.NewDecoder(bytes.NewReader(raw))
			dec.DisallowUnknownFields()
			if err := dec.Decode(&want); err != nil {
				t.Fatal(err)
			}
			if want.Why == "" {
				t.Error("the sample does not say why it exists")
			}
			input, err := os.ReadFile(base + ".txt")
			if err != nil {
				if input, err = os.ReadFile(base + ".eml"); err != nil {
					t.Fatal(err)
				}
			}
			expect := indented(t, want.Cases)
			for _, v := range []struct{ name, end string }{{"LF", "\n"}, {"CRLF", "\r\n"}, {"CR", "\r"}, {"CRCRLF", "\r\r\n"}} {
				text := bytes.ReplaceAll(input, lf, []byte(v.end))
				cases := Read(text)
				checkDocument(t, Prepare(text))
				checkCases(t, text, cases)
				if got := indented(t, sampled(cases)); got != expect {
					t.Fatalf("%s: got\n%s\nwant\n%s", v.name, got, expect)
				}
			}
		})
	}
}
