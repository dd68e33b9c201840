package ndr

import "testing"

// TestAlone reads reports that only their order makes readable: pasted below
// another text, or wrapped anew, they would be taken for a part of it.
func TestAlone(t *testing.T) {
	for _, c := range []struct{ name, text, recipient, refuser, reporter string }{
		{
			"a page that begins with pre",
			`<pre>This message was created automatically by mail delivery software.

  desk@partner.example
    host outbound-us1.ppe&#8209;hosted.com [192.0.2.10]
    SMTP error from remote mail server after RCPT TO:&lt;desk@partner.example&gt;:
    554 5.7.1 &lt;desk@partner.example&gt;: Relay access denied
</pre>
`,
			"desk@partner.example", "outbound-us1.ppe-hosted.com", "",
		},
		{
			"labels of the present report in a language that is not known",
			`desk@partner.example에게 메시지를 배달할 수 없습니다.

상태 코드: 550 5.7.367

오류: 550 5.7.367 Remote server returned not permitted to relay -> 554 5.7.1 <desk@partner.example>: Relay access denied
거부한 서버: outbound-us1.ppe-hosted.com

보낸 서버: AM0PR00MB0007.eurprd00.prod.outlook.com
`,
			"desk@partner.example", "outbound-us1.ppe-hosted.com", "am0pr00mb0007.eurprd00.prod.outlook.com",
		},
		{
			"the recipient above an unknown label and below it",
			`Nije uspjela isporuka sljedećim primateljima:

desk@partner.example

Dijagnostičke informacije za administratore:

Poslužitelj: AM0PR00MB0007.eurprd00.prod.outlook.com

desk@partner.example
Remote Server returned '550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP'

Izvorna zaglavlja poruke:
`,
			"desk@partner.example", "", "am0pr00mb0007.eurprd00.prod.outlook.com",
		},
	} {
		cases := Read([]byte(c.text))
		if len(cases) != 1 || len(cases[0].Items) != 1 {
			t.Errorf("%s: %d cases, %v", c.name, len(cases), cases)
			continue
		}
		it := &cases[0].Items[0]
		if it.Recipient != c.recipient || it.Refuser.Host != c.refuser || it.Reporter.Host != c.reporter {
			t.Errorf("%s: to %q, refused by %q, reported by %q; want %q, %q, %q", c.name,
				it.Recipient, it.Refuser.Host, it.Reporter.Host, c.recipient, c.refuser, c.reporter)
		}
	}
}
