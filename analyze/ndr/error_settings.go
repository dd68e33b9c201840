package ndr

import (
	"bytes"
	"slices"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// settings is how a client is set up, as far as a text around a dialogue or an
// error tells: lines of a configuration, labels of a device, a line of a script,
// the words of the error itself.
type settings struct {
	host   Mention // configured or dialled
	sure   int     // how sure the host is: 1 named with a cue, 2 a setting, 3 in the words of the error
	port   int
	secure transcript.Fact // TLS is switched on
	auth   transcript.Fact // a login is set up
	sender string
	to     []string
	toAt   []transcript.Span
	// labelled: the host stands behind a label, as in the settings of a device.
	labelled bool
}

// setHost takes a host when it is surer than the one that is known.
func (s *settings) setHost(m Mention, sure int) {
	if m.IsZero() || sure <= s.sure && !s.host.IsZero() && (s.host.Host != "" || m.Host == "") {
		return
	}
	if m.Host == "" && s.host.Host != "" {
		// The address of the host that is known by its name.
		s.host.Address = m.Address
		if m.Port != 0 {
			s.host.Port, s.port = m.Port, m.Port
		}
		return
	}
	if m.Address == "" && s.host.Host == "" {
		m.Address = s.host.Address
	}
	sure = max(sure, s.sure)
	if m.Port != 0 {
		s.port = m.Port
	}
	s.host, s.sure = m, sure
}

func (s *settings) addRecipient(a string, span transcript.Span) {
	if len(s.to) >= maxItems {
		return
	}
	for _, have := range s.to {
		if have == a {
			return
		}
	}
	s.to = append(s.to, a)
	s.toAt = append(s.toAt, span)
}

// labelKind is what a label of a settings or result line stands for.
type labelKind uint8

const (
	labelNone labelKind = iota
	labelServer
	labelPort
	labelSecurity
	labelAuth
	labelTo
	labelFrom
	labelResult
)

// labelWords are the words that give a label its kind, in lower case; the first
// that stands in the label as a word of its own wins. A word that ends in "*"
// may go on ("ausgang*").
var labelWords = []struct {
	word string
	kind labelKind
}{
	// Not what they seem.
	{"dns", labelNone},
	{"ldap*", labelNone},
	{"pop*", labelNone},
	{"imap*", labelNone},
	{"proxy*", labelNone},
	{"ntp", labelNone},
	{"helo", labelNone},
	{"ehlo", labelNone},
	{"local*", labelNone},
	{"client*", labelNone},
	{"gateway ip", labelNone},
	{"default gateway", labelNone},
	{"file*", labelNone},
	{"subject", labelNone},
	{"betreff", labelNone},
	{"objet", labelNone},
	{"protocol*", labelNone},
	{"protokoll", labelNone},
	{"date", labelNone},
	{"time", labelNone},
	{"datum", labelNone},
	{"user-agent", labelNone},
	{"message-id", labelNone},
	{"port", labelPort},
	{"portnummer", labelPort},
	{"port-nr", labelPort},
	{"smtpport", labelPort},
	{"remoteport", labelPort},
	{"smtp_port", labelPort},
	{"anschlussnummer", labelPort},
	{"puerto", labelPort},
	{"porta", labelPort},
	{"poort", labelPort},
	{"poortnummer", labelPort},
	{"portnumber", labelPort},
	{"portnr", labelPort},
	{"portti", labelPort},
	{"порт", labelPort},
	{"ポート", labelPort},
	{"ポート番号", labelPort},
	{"端口", labelPort},
	{"連接埠", labelPort},
	{"result*", labelResult},
	{"status*", labelResult},
	{"error*", labelResult},
	{"code", labelResult},
	{"response*", labelResult},
	{"reply*", labelResult},
	{"ergebnis*", labelResult},
	{"fehler*", labelResult},
	{"serverfehler", labelResult},
	{"meldung*", labelResult},
	{"antwort*", labelResult},
	{"serverantwort", labelResult},
	{"antwortcode", labelResult},
	{"rückmeldung", labelResult},
	{"message", labelResult},
	{"msg", labelResult},
	{"reason", labelResult},
	{"cause", labelResult},
	{"grund", labelResult},
	{"ursache", labelResult},
	{"detail*", labelResult},
	{"exception", labelResult},
	{"résultat*", labelResult},
	{"resultat*", labelResult},
	{"erreur*", labelResult},
	{"état", labelResult},
	{"etat", labelResult},
	{"statut", labelResult},
	{"réponse*", labelResult},
	{"reponse*", labelResult},
	{"motif", labelResult},
	{"estado", labelResult},
	{"resultado", labelResult},
	{"respuesta", labelResult},
	{"esito", labelResult},
	{"risultato", labelResult},
	{"errore", labelResult},
	{"outcome", labelResult},
	{"failure", labelResult},
	{"failed", labelResult},
	{"fout*", labelResult},
	{"foutcode", labelResult},
	{"melding", labelResult},
	{"virhe", labelResult},
	{"fel", labelResult},
	{"felkod", labelResult},
	{"felmeddelande", labelResult},
	{"fejl*", labelResult},
	{"feil*", labelResult},
	{"błąd", labelResult},
	{"wynik", labelResult},
	{"kod", labelResult},
	{"chyba", labelResult},
	{"hiba", labelResult},
	{"mensagem", labelResult},
	{"mensaje", labelResult},
	{"erro", labelResult},
	{"código", labelResult},
	{"codice", labelResult},
	{"motivo", labelResult},
	{"vastaus", labelResult},
	{"svar", labelResult},
	{"ошибка", labelResult},
	{"результат", labelResult},
	{"エラー", labelResult},
	{"エラーコード", labelResult},
	{"結果", labelResult},
	{"错误", labelResult},
	{"错误代码", labelResult},
	{"결과", labelResult},
	{"server", labelServer},
	{"servername", labelServer},
	{"smtpserver", labelServer},
	{"smtp_server", labelServer},
	{"server-adresse", labelServer},
	{"serveradresse", labelServer},
	{"mailserver", labelServer},
	{"smtp-server", labelServer},
	{"mail-server", labelServer},
	{"e-mail-server", labelServer},
	{"host", labelServer},
	{"hostname", labelServer},
	{"smtphost", labelServer},
	{"smtp_host", labelServer},
	{"email_host", labelServer},
	{"mail_host", labelServer},
	{"mail.host", labelServer},
	{"smtp.host", labelServer},
	{"mail.smtp.host", labelServer},
	{"spring.mail.host", labelServer},
	{"smarthost", labelServer},
	{"smart-host", labelServer},
	{"smarthosts", labelServer},
	{"next hop", labelServer},
	{"nexthop", labelServer},
	{"nexthopdomain", labelServer},
	{"remote-host", labelServer},
	{"remote_host", labelServer},
	{"relayhost", labelServer},
	{"relay", labelServer},
	{"smtp-relay", labelServer},
	{"gateway", labelServer},
	{"smtp-gateway", labelServer},
	{"postausgang*", labelServer},
	{"ausgangsserver", labelServer},
	{"ausgang*", labelServer},
	{"serveur", labelServer},
	{"servidor", labelServer},
	{"hôte", labelServer},
	{"hote", labelServer},
	{"smtp", labelServer},
	{"rechner", labelServer},
	{"poczty", labelServer},
	{"serwer", labelServer},
	{"szerver", labelServer},
	{"palvelin", labelServer},
	{"mailhub", labelServer},
	{"smtphost", labelServer},
	{"mta", labelServer},
	{"nexthop", labelServer},
	{"next-hop", labelServer},
	{"smart_host", labelServer},
	{"smtpd", labelServer},
	{"uitgaand*", labelServer},
	{"servidor*", labelServer},
	{"сервер", labelServer},
	{"サーバー", labelServer},
	{"サーバ", labelServer},
	{"服务器", labelServer},
	{"伺服器", labelServer},
	{"서버", labelServer},
	{"adresse smtp", labelServer},
	{"ssl*", labelSecurity},
	{"tls*", labelSecurity},
	{"starttls", labelSecurity},
	{"encryption", labelSecurity},
	{"secure*", labelSecurity},
	{"security", labelSecurity},
	{"verschlüsselung*", labelSecurity},
	{"verschluesselung", labelSecurity},
	{"sicherheit*", labelSecurity},
	{"chiffrement", labelSecurity},
	{"versleuteling", labelSecurity},
	{"beveiliging", labelSecurity},
	{"cifrado", labelSecurity},
	{"cifratura", labelSecurity},
	{"crittografia", labelSecurity},
	{"criptografia", labelSecurity},
	{"kryptering", labelSecurity},
	{"salaus", labelSecurity},
	{"szyfrowanie", labelSecurity},
	{"cryptage", labelSecurity},
	{"sécurité", labelSecurity},
	{"usessl", labelSecurity},
	{"use_tls", labelSecurity},
	{"enablessl", labelSecurity},
	{"auth*", labelAuth},
	{"smtp-auth*", labelAuth},
	{"anmeldung", labelAuth},
	{"login", labelAuth},
	{"authentifizierung", labelAuth},
	{"authentification", labelAuth},
	{"autenticación", labelAuth},
	{"autenticacion", labelAuth},
	{"autenticazione", labelAuth},
	{"autenticação", labelAuth},
	{"authenticatie", labelAuth},
	{"autentisering", labelAuth},
	{"autentifikace", labelAuth},
	{"uwierzytelnianie", labelAuth},
	{"to", labelTo},
	{"dest*", labelTo},
	{"recipient*", labelTo},
	{"rcpt*", labelTo},
	{"empfänger*", labelTo},
	{"empfaenger*", labelTo},
	{"an", labelTo},
	{"ziel*", labelTo},
	{"à", labelTo},
	{"destinataire*", labelTo},
	{"para", labelTo},
	{"destinatario", labelTo},
	{"mailto", labelTo},
	{"addressee", labelTo},
	{"ontvanger*", labelTo},
	{"aan", labelTo},
	{"geadresseerde", labelTo},
	{"mottagare", labelTo},
	{"mottaker", labelTo},
	{"modtager", labelTo},
	{"odbiorca", labelTo},
	{"do", labelTo},
	{"vastaanottaja", labelTo},
	{"destinatário*", labelTo},
	{"till", labelTo},
	{"til", labelTo},
	{"宛先", labelTo},
	{"收件人", labelTo},
	{"from", labelFrom},
	{"sender*", labelFrom},
	{"absender*", labelFrom},
	{"von", labelFrom},
	{"expéditeur*", labelFrom},
	{"expediteur*", labelFrom},
	{"de", labelFrom},
	{"mittente", labelFrom},
	{"remitente", labelFrom},
	{"afzender*", labelFrom},
	{"van", labelFrom},
	{"avsändare", labelFrom},
	{"avsender", labelFrom},
	{"afsender", labelFrom},
	{"nadawca", labelFrom},
	{"od", labelFrom},
	{"da", labelFrom},
	{"från", labelFrom},
	{"fra", labelFrom},
	{"送信者", labelFrom},
	{"发件人", labelFrom},
}

// labelIndex finds the words of labels: whole ones by themselves, open ones and
// those of several words by their first byte.
var labelIndex = func() (x struct {
	whole map[string]int
	open  [256][]int
	long  []int
},
) {
	x.whole = make(map[string]int, len(labelWords))
	for i := range labelWords {
		w := labelWords[i].word
		switch {
		case strings.IndexByte(w, ' ') >= 0:
			x.long = append(x.long, i)
		case strings.HasSuffix(w, "*"):
			x.open[w[0]] = append(x.open[w[0]], i)
		default:
			if _, ok := x.whole[w]; !ok {
				x.whole[w] = i
			}
		}
	}
	return x
}()

// kindOfLabel gives a label, in lower case, its kind.
func kindOfLabel(label string) labelKind {
	best := len(labelWords)
	for at := 0; at < len(label); {
		if !isLabelByte(label[at]) {
			at++
			continue
		}
		end := at
		for end < len(label) && isLabelByte(label[end]) {
			end++
		}
		if i := labelRow(label[at:end]); i < best {
			best = i
		}
		at = end
	}
	if strings.IndexByte(label, ' ') >= 0 {
		for _, i := range labelIndex.long {
			if i < best && strings.Contains(label, labelWords[i].word) {
				best = i
			}
		}
	}
	if best == len(labelWords) {
		return labelNone
	}
	return labelWords[best].kind
}

// labelRow is the row of labelWords for one word of a label; len(labelWords) if
// there is none. Of a compound ("smtp-serveradresse", "mail.smtp.port",
// "smtp_auth_user") that is not known as a whole, the last part that is known
// says what it is.
func labelRow(word string) int {
	if i := labelRowOfWhole(word); i < len(labelWords) {
		return i
	}
	for end := len(word); end > 0; {
		cut := strings.LastIndexAny(word[:end], "-_.")
		part := word[cut+1 : end]
		switch {
		case part == "":
		case strings.IndexByte(word, '.') >= 0:
			// A key of a configuration; names of classes have dots, too.
			if i, ok := labelIndex.whole[part]; ok {
				return i
			}
		default:
			if i := labelRowOfWhole(part); i < len(labelWords) {
				return i
			}
		}
		end = cut
	}
	return len(labelWords)
}

// serverEndings end the compounds that German, Dutch and the Scandinavian
// languages make of the word for a mail server.
var serverEndings = []string{"server", "serveradresse", "servername", "servernavn", "servernamn", "serveradres"}

// serverBeginnings tell a mail server from the others in such compounds.
var serverBeginnings = []string{"mail", "smtp", "post", "e-mail", "email", "sende", "ausgang", "relay"}

func labelRowOfWhole(word string) int {
	best := len(labelWords)
	if i, ok := labelIndex.whole[word]; ok {
		best = i
	}
	for _, i := range labelIndex.open[word[0]] {
		if i >= best {
			break
		}
		w := labelWords[i].word
		if strings.HasPrefix(word, w[:len(w)-1]) {
			best = i
		}
	}
	if best < len(labelWords) || len(word) < 8 {
		return best
	}
	for _, e := range serverEndings {
		if !strings.HasSuffix(word, e) {
			continue
		}
		for _, b := range serverBeginnings {
			if strings.HasPrefix(word, b) {
				return labelIndex.whole["server"]
			}
		}
	}
	return best
}

func isLabelByte(c byte) bool { return isWordByte(c) || c >= 0x80 || c == '_' || c == '-' || c == '.' }

// labelled is a "label: value" pair of a line.
type labelled struct {
	kind     labelKind
	label    string // lower case
	from, to int    // of the value, in the line
}

// pairs finds the label: value pairs of a line, in any number and order:
// "SMTP Server: H  Port: 25  SSL: OFF", "host=H;port=587", "Server: 'H', Port: 25".
func pairs(line []byte) []labelled {
	line = line[:wholeRunes(line, 4096)]
	var out []labelled
	stop := 0 // behind the last pair's first word: a label begins no earlier
	for i := 0; i < len(line); i++ {
		c := line[i]
		if c != ':' && c != '=' || i == 0 {
			continue
		}
		if c == ':' && i+2 < len(line) && line[i+1] == '/' && line[i+2] == '/' || c == ':' && i+1 < len(line) && line[i+1] == ':' || line[i-1] == ':' {
			continue
		}
		start, label, kind := labelBefore(line, i, stop)
		if start < 0 {
			continue
		}
		if n := len(out); n > 0 {
			if prev := &out[n-1]; kind != labelNone || prev.kind != labelResult || separated(line, start) {
				prev.to = min(prev.to, trimValue(line, prev.from, start))
			} else {
				continue // a colon inside the words of a result
			}
		}
		from := i + 1
		for from < len(line) && (line[from] == ' ' || line[from] == '\t' || line[from] == '>') {
			from++
		}
		to := len(line)
		quoted := false
		if from < len(line) && (line[from] == '\'' || line[from] == '"') {
			if n := closingQuote(line, from); n > 0 {
				from, to = from+1, n
				quoted = true
			}
		}
		if !quoted {
			to = trimValue(line, from, to)
		}
		out = append(out, labelled{kind, label, from, to})
		if quoted {
			i = to
			stop = to + 1
			continue
		}
		stop = from
		for stop < len(line) && line[stop] != ' ' && line[stop] != '\t' && line[stop] != ',' && line[stop] != ';' && (line[stop] != '(' || stop == from) {
			stop++ // "curl: (6) Could not …" is no call
		}
		if stop < len(line) && line[stop] == '(' {
			stop++ // a call: its first argument may be a pair as well
		}
		if kind == labelResult {
			stop = from // "Error: Server: …" is nested, and "Result: code: 554"
		}
	}
	return out
}

// closingQuote finds the quote that closes line[i]; an apostrophe inside a word
// closes nothing.
func closingQuote(line []byte, i int) int {
	for j := i + 1; j < len(line); j++ {
		if line[j] != line[i] || j > 0 && line[j-1] == '\\' {
			continue
		}
		if j+1 < len(line) && (isWordByte(line[j+1]) || line[j+1] >= 0x80) {
			continue
		}
		return j
	}
	return -1
}

// separated reports whether a separator stands before line[i].
func separated(line []byte, i int) bool {
	if i == 0 {
		return true
	}
	switch line[i-1] {
	case '\t', ',', ';', '|', '{':
		return true
	case ' ':
		return i > 1 && (line[i-2] == ' ' || line[i-2] == ',' || line[i-2] == ';' || line[i-2] == '|' || line[i-2] == '\t')
	}
	return false
}

func trimValue(line []byte, from, to int) int {
	for to > from {
		switch line[to-1] {
		case ' ', '\t', ',', ';', '|', '{', '(', '/':
			to--
			continue
		}
		break
	}
	return to
}

// labelBefore finds the label that ends before the colon at i. It goes back to a
// separator; where none stands between it and the value before, the shortest
// run of words that has a kind is the label.
func labelBefore(line []byte, i, stop int) (start int, label string, kind labelKind) {
	end := i
	for end > stop && (line[end-1] == ' ' || line[end-1] == '"' || line[end-1] == '\'') {
		end--
	}
	at := end
	words := 0
	shortest := -1
	for at > stop && end-at < 48 && words < 6 {
		c := line[at-1]
		if c == '-' && at > 1 && line[at-2] == ' ' && at < len(line) && line[at] == ' ' {
			at++
			break // a dash between two pairs
		}
		if isLabelByte(c) || c == '(' || c == ')' || c == '/' || c == '#' {
			at--
			continue
		}
		if c != ' ' {
			break
		}
		words++
		if shortest < 0 && kindOfLabel(lowerString(line[at:end])) != labelNone {
			shortest = at
		}
		if at >= 2 && (line[at-2] == ' ' || line[at-2] == '.') || at == 1 {
			break // two blanks separate, and the end of a sentence
		}
		at--
	}
	for at < end && (line[at] == ' ' || line[at] == '-' || line[at] == '.') {
		at++
	}
	if at >= end {
		return -1, "", labelNone
	}
	bounded := at == 0 || at > stop || stop == 0 || line[at-1] == '('
	if at <= stop && stop > 0 && shortest >= 0 {
		at, bounded = shortest, true
	}
	label = lowerString(bytes.Trim(line[at:end], " \"'"))
	digits := true
	for k := range len(label) {
		if !isDigit(label[k]) {
			digits = false
			break
		}
	}
	if digits || !bounded {
		return -1, "", labelNone
	}
	kind = kindOfLabel(label)
	if kind == labelNone && words > 3 {
		return -1, "", labelNone // prose
	}
	return at, label, kind
}

// hostCues are words behind which a program names the server, in lower case,
// with how sure that is.
var hostCues = []struct {
	words string
	sure  int
}{
	{"smtplib.smtp(", 2},
	{"smtplib.smtp_ssl(", 2},
	{"smtp_ssl(", 2},
	{"aiosmtplib.send(", 2},
	{"connect: to (", 2},
	{"-smtpserver ", 2},
	{"-smtpserver:", 2},
	{"smtpclient(", 2},
	{"smtp.dial(", 2},
	{"smtp.sendmail(", 2},
	{"gomail.newdialer(", 2},
	{"net::smtp->new(", 2},
	{"net::smtp.start(", 2},
	{"net::smtp.new(", 2},
	{"mail.smtp.host\", \"", 2},
	{"smtp_address'] = \"", 2}, // GitLab
	{"smtp_address'] = '", 2},
	{"open_connection('", 2}, // Oracle's UTL_SMTP
	{"open_connection( '", 2},
	{"address: \"", 2}, // ActionMailer's smtp_settings
	{"address: '", 2},
	{"address => \"", 2},
	{"address => '", 2},
	{".connect(\"", 2}, // MailKit
	{"client.connect (\"", 2},
	{".connect('", 2},
	{".connectasync(\"", 2},
	{"newdialer(", 2},
	{"smtps://", 2},
	{"smtp://", 2},
	{"submission://", 2},
	{"ssl://", 2},
	{"tls://", 2},
	{"-connect ", 2},
	{"--server ", 2},
	{"--server=", 2},
	{"--host=", 2},
	{"--host ", 2},
	{"telnet ", 2},
	{"$ nc ", 2},
	{"# nc ", 2},
	{"$ ncat ", 2},
	{"# ncat ", 2},
	{"certificate is not valid for ", 3},
	{"did not match expected name ", 3},
	{"did not match expected cn=", 3},
	{"match target host name ", 3},
	{"matches target host name ", 3},
	{"can't find ", 3}, // nslookup
	{"<<>> dig ", 1},   // the version, as a rule
	{"<<>> ", 3},       // dig's command line
	{"nslookup ", 3},
	{"resolve-dnsname : ", 3}, // PowerShell
	{"resolve-dnsname: ", 3},
	{"could not find host ", 3}, // ping
	{"konnte host ", 3},
	{"ping: unknown host ", 3},
	{"ping: cannot resolve ", 3},
	{"ping: ", 3},
	{"resolving host ", 3},
	{"lookup of ", 3},
	{"smtp connection to (", 3}, // Email::Sender
	{"resolve host: ", 3},
	{"resolve host ", 3},
	{"locate host ", 3},
	{"find the host ", 3}, // mutt
	{"lookup failed: host or domain name not found. name service error for name=", 3}, // posttls-finger
	{"enotfound ", 3},
	{"eai_again ", 3},
	{"bad hostname '", 3},
	{"unknownhostexception: ", 3},
	{"unknown host: ", 3},
	{"unknown host ", 3},
	{"unbekannter host: ", 3},
	{"host not found: ", 3},
	{"host, port: ", 3},
	{"smtp host: ", 3},
	{"lookup failure: ", 3},
	{"certificate is not valid for '", 3},
	{"match target host name '", 3},
	{"matches target host name '", 3},
	{"could not resolve ", 3},
	{"lookup ", 3},
	{"getaddrinfo for host ", 3},
	{"getaddrinfo for ", 3},
	{"resolved ", 2},
	{"address found for host ", 3},
	{"lookup of host ", 3},
	{"could not be resolved: ", 3},
	{"aufgelöst werden: ", 3},
	{"être résolu : ", 3},
	{"être résolu: ", 3},
	{"nombre remoto: ", 3},
	{"nome remoto: ", 3},
	{"nome remoto.: ", 3},
	{"worden omgezet: ", 3},
	{"ser resolvido: ", 3},
	{"nazwy zdalnej: ", 3},
	{"unable to locate ", 3},
	{"cannot open ", 3},
	{"the host name (", 3},
	{"connectivity to '", 3},
	{"failed connection to ", 3},
	{"targethost:", 3}, // Exchange
	{"tcp connect to (", 3},
	{"connection timed out [", 3}, // .NET
	{"connection refused [", 3},
	{"(default) but ", 3}, // Alertmanager
	{"failed to connect to ", 3},
	{"cannot connect to ", 3},
	{"could not connect to ", 3},
	{"couldn't connect to ", 3},
	{"unable to connect to ", 3},
	{"error connecting to ", 3},
	{"connecting to ", 2},
	{gitValues, 3},
	{"connect to ", 3},
	{"connected to ", 2},
	{"connection to ", 3},
	{"connection opened: ", 2},
	{"opening to ", 2},
	{"dial tcp ", 2},
	{"could not be established with host ", 3},
	{"verbindung zu ", 3},
	{"verbindung zum server ", 3},
	{"verbindung mit ", 3},
	{"verbindungsaufbau zu ", 3},
	{"connexion à ", 3},
	{"connecter à ", 3},
	{"connecter au serveur ", 3},
	{"outgoing server (smtp) ", 3},
	{"postausgangs-server (smtp) ", 3},
	{"serveur sortant (smtp) ", 3},
	{"(smtp) ", 2},
	{"relaying to host ", 2}, // hMailServer
	{"attempting to deliver to: ", 2},
	{"using the server ", 2},
	{"über den server ", 2},
	{"smtp server ", 2},
	{"smtp-server ", 2},
	{"mail server ", 2},
	{"mailserver ", 2},
	{"serveur smtp ", 2},
	{"to server ", 2},
	{"to host ", 2},
	{"from server ", 2},
	{"by server ", 2},
	{"via server ", 2},
	{"with server ", 2},
	{"the server ", 1},
	{"server ", 1},
	{"serveur ", 1},
	{"smarthost ", 1},
	{"relay ", 1},
	{"host ", 1},
	{"via ", 1},
	{"through ", 1},
	{"über ", 1},
}

// cueTable finds the cues by their first byte.
var cueTable = func() (t [256][]int) {
	for i := range hostCues {
		c := hostCues[i].words[0]
		t[c] = append(t[c], i)
		if c >= 'a' && c <= 'z' {
			t[c-'a'+'A'] = append(t[c-'a'+'A'], i)
		}
	}
	return t
}()

// fileEndings are last labels of what looks like a name and is a file, a class
// or a module.
var fileEndings = []string{
	"py", "js", "ts", "php", "cs", "java", "go", "rb", "ps1", "exe", "dll", "conf", "cfg", "cnf", "log", "html", "htm", "txt", "sh", "jar", "ini", "yml",
	"yaml", "json", "xml", "lib", "c", "h", "cpp", "mjs", "cjs", "bat", "cmd", "lua", "env", "smtp", "mail", "smtpclient", "sendmail", "connect", "login",
	"css", "toml", "bash", "service", "socket", "target", "timer", "mount",
}

// nameOfServer reports whether the host that was read behind a cue can be a
// server and no file.
func nameOfServer(h host) bool {
	if h.name == "" {
		return h.address != ""
	}
	if h.name == "localhost" {
		return h.port != 0 // the machine itself: what libraries dial that were told of no server
	}
	if !looksLikeHost([]byte(h.name)) {
		return false
	}
	top := h.name[strings.LastIndexByte(h.name, '.')+1:]
	if isDigit(top[0]) || attribute(h.name, top) {
		return false
	}
	for _, e := range fileEndings {
		if top == e {
			return false
		}
	}
	return len(top) <= 18
}

// codeObjects are objects of a program whose attribute holds a host: a traceback
// echoes the line, and the attribute's name is no host.
var codeObjects = []string{
	"self", "this", "cls", "settings", "config", "conf", "cfg", "opts", "options", "args", "params", "os", "env", "process", "app", "current_app",
	"account", "mailer", "transport", "constants", "secrets", "defaults",
	"sys", "ssl", "urllib", "http", "fmt", "strings", "bytes", "errors", "console", "json", "logging", "logger", "string", "str", "promise", "util", "utils", "path",
	"module", "exports", "request", "req", "resp", "response", "conn", "connection", "session", "user", "input", "output", "result", "url", "uri",
}

// privateEndings are last labels of names that nobody registers: networks of
// their own, and the names of RFC 2606 and RFC 6762.
var privateEndings = []string{"local", "localdomain", "internal", "intern", "intra", "intranet", "corp", "home", "private", "example", "test", "invalid", "domain"}

// inCode reports whether a name, as it is written, is source code and no host:
// the name of a function or of a field (fmt.Sprintf, c.ServerName, cfg.smtp_host),
// called or indexed by what stands behind it. Names of hosts are written in one
// case, or with a capital at each label.
func inCode(word, behind []byte) bool {
	word = bytes.TrimRight(word, ".-_")
	dot := bytes.LastIndexByte(word, '.')
	if dot <= 0 || dot == len(word)-1 {
		return false
	}
	top := word[dot+1:]
	upper, lower := 0, 0
	for i, c := range top {
		switch {
		case c == '_':
			return true
		case c >= 'A' && c <= 'Z':
			if i > 0 && top[i-1] >= 'a' && top[i-1] <= 'z' {
				return true // camelCase
			}
			upper++
		case c >= 'a' && c <= 'z':
			lower++
		}
	}
	if isUpper(top[0]) && upper == 1 && lower > 2 && !isUpper(word[0]) {
		return true // package.Function; a host would begin with a capital, too
	}
	if len(behind) < 2 || len(top) <= 3 {
		return false // short enough for a country: what stands behind it may be a note
	}
	private := slices.Contains(privateEndings, lowerString(top))
	switch behind[0] {
	case '(':
		return behind[1] == ')' || behind[1] == '\'' || behind[1] == '"' || !private && (isLetter(behind[1]) || behind[1] == '_')
	case '[':
		return !private && bytes.IndexByte(behind[:min(len(behind), 16)], ']') > 0
	}
	return false
}

func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

// attribute reports whether a name is an attribute in a line of source code
// (self.mailhost, settings.EMAIL_HOST, self.config.smtp_server). top is its last
// label: what is short enough for a country or an old generic domain is left to
// be a host.
func attribute(name, top string) bool {
	if len(top) <= 3 || slices.Contains(privateEndings, top) {
		return false
	}
	first := name[:strings.IndexByte(name, '.')]
	for _, o := range codeObjects {
		if first == o {
			// Such a label also begins real names of three labels and more.
			return first == "self" || first == "this" || first == "cls" || strings.Count(name, ".") == 1 || strings.IndexByte(top, '_') >= 0
		}
	}
	return false
}

// scan reads what one line tells about the settings. base is the offset of the
// line in Doc.Text.
func (s *settings) scan(b *Block, line []byte, base int) {
	line = line[:wholeRunes(line, 4096)]
	s.cues(b, line, base)
	if bytes.IndexByte(line, ':') < 0 && bytes.IndexByte(line, '=') < 0 {
		return
	}
	for _, p := range pairs(line) {
		s.pair(b, line, base, &p)
	}
}

// pair takes one label and its value.
func (s *settings) pair(b *Block, line []byte, base int, p *labelled) {
	value := line[p.from:p.to]
	switch p.kind {
	case labelServer:
		if p.label == "server" && b.tellsNames(value, base+len(line)) {
			return
		}
		at := p.from
		for _, scheme := range []string{"smtp://", "smtps://", "ssl://", "tls://"} {
			if foldPrefix(line[at:p.to], scheme) {
				at += len(scheme)
			}
		}
		for at < p.to && (line[at] == '"' || line[at] == '\'') {
			at++
		}
		h, n := hostAt(line[at:p.to])
		if n > 0 && nameOfServer(h) && !inCode(line[at:at+nameEnd(line[at:], 0)], line[at+n:]) {
			s.setHost(b.mention(Named, h, base+at, base+at+n), 2)
			s.labelled = true
			if h.port != 0 {
				s.port = h.port
			}
		}
	case labelPort:
		if n := portValue(value); n > 0 && s.port == 0 {
			s.port = n
		}
	case labelSecurity:
		if v := switchValue(value); v != transcript.Unknown {
			s.secure = v
		}
	case labelAuth:
		if v := switchValue(value); v != transcript.Unknown {
			s.auth = v
		}
	case labelTo:
		for at := 0; at < len(value) && len(s.to) < maxItems; {
			a, from, to := findMailbox(value[at:])
			if from < 0 {
				break
			}
			s.addRecipient(a, b.span(base+p.from+at+from, base+p.from+at+to))
			at += to
		}
	case labelFrom:
		if a, from, _ := findMailbox(value); from >= 0 && s.sender == "" {
			s.sender = a
		}
	}
}

// tellsNames reports whether the server of a label is the name server that dig
// (10.0.0.53#53) or nslookup (its address in the line below) asked. next is the
// offset of the end of the line.
func (b *Block) tellsNames(value []byte, next int) bool {
	if n := bytes.IndexByte(value, '#'); n > 0 && n+1 < len(value) && isDigit(value[n+1]) {
		return true
	}
	return next+1 < len(b.Doc.Text) && foldPrefix(b.Doc.Text[next+1:], "address:")
}

// portValue reads the value of a port label; 0 if it is none.
func portValue(value []byte) int {
	d := leadingDigits(bytes.TrimLeft(value, " \"'"))
	n := number(d)
	if n <= 0 || n > 65535 {
		return 0
	}
	rest := bytes.TrimLeft(bytes.TrimLeft(value, " \"'")[len(d):], " ")
	if len(rest) > 0 && (isDigit(rest[0]) || isLetter(rest[0]) && len(rest) > 24) {
		return 0 // "421 4.3.2 …"
	}
	return n
}

func firstDigits(b []byte) []byte {
	i := 0
	for i < len(b) && !isDigit(b[i]) {
		i++
	}
	j := i
	for j < len(b) && isDigit(b[j]) {
		j++
	}
	return b[i:j]
}

// switchValue reads on and off, in the words of settings pages.
func switchValue(v []byte) transcript.Fact {
	w := lowerString(bytes.TrimSpace(v))
	for _, off := range []string{"off", "no", "none", "false", "aus", "nein", "kein", "non", "aucun", "disable", "désactiv", "deaktiv", "0", "nicht"} {
		if strings.HasPrefix(w, off) {
			return transcript.No
		}
	}
	for _, on := range []string{"on", "yes", "true", "an", "ein", "ja", "oui", "enable", "activ", "aktiv", "starttls", "ssl", "tls", "implicit", "login", "plain", "1"} {
		if strings.HasPrefix(w, on) {
			return transcript.Yes
		}
	}
	return transcript.Unknown
}

// whoSaid takes the host of "<r>: host H[ip] said: REPLY" and of "(host H[ip]
// said: REPLY", Postfix's words for who refused, wherever in a line they stand: no
// other host that is named tells as much.
func (s *settings) whoSaid(b *Block, line []byte, base int) {
	n := foldIndex(line, " said: ")
	if n < 0 || s.sure >= sureSaid {
		return
	}
	for _, w := range [...]string{"host ", "server "} {
		k := bytes.LastIndex(line[:n], []byte(w))
		if k < 0 || askedHost(line[:n]) >= 0 {
			continue
		}
		if before := line[:k]; !bytes.HasSuffix(before, []byte(">: ")) && !bytes.HasSuffix(before, []byte("(")) {
			continue // not Postfix's own words: whom a server has asked, maybe
		}
		at := k + len(w)
		if h, m := hostAt(line[at:n]); m > 0 && at+m == n && h.name != "" && (h.address != "" || h.masked) {
			s.setHost(b.mention(Named, h, base+at, base+n), sureSaid)
			return
		}
	}
}

// sureSaid is how sure a host is whose answer is quoted.
const sureSaid = 4

// cues looks for hosts behind words that announce one.
func (s *settings) cues(b *Block, line []byte, base int) {
	s.whoSaid(b, line, base)
	quoted := -1 // where a reply begins: what it says names no server of ours
	if n := foldIndex(line, "said: "); n >= 0 {
		if quoted, _ = findReply(line); quoted > n {
			quoted = -1
		}
	}
	if n := askedHost(line); n >= 0 && (quoted < 0 || n < quoted) {
		quoted = n
	}
	if n := foldIndex(line, "certificate is valid for "); n >= 0 {
		// Go: "certificate is valid for A, not H".
		if k := bytes.LastIndex(line[n:], []byte(", not ")); k >= 0 {
			at := n + k + len(", not ")
			if h, m := hostAt(line[at:]); m > 0 && nameOfServer(h) {
				s.setHost(b.mention(Named, h, base+at, base+at+m), 3)
			}
		}
	}
	for i := 0; i+4 < len(line); i++ {
		if quoted >= 0 && i > quoted {
			break
		}
		for _, k := range cueTable[line[i]] {
			c := &hostCues[k]
			if s.sure >= c.sure && s.host.Host != "" || !foldPrefix(line[i:], c.words) {
				continue
			}
			if i > 0 && isWordByte(line[i-1]) && isWordByte(c.words[0]) {
				continue
			}
			at := i + len(c.words)
			for at < len(line) && (line[at] == ' ' || line[at] == '"' || line[at] == '\'' || line[at] == '\\' || line[at] == '(' || line[at] == '`') {
				at++
			}
			for at < len(line) && (line[at] == '-' || line[at] == '@' || line[at] == '+') && c.words[len(c.words)-1] == ' ' {
				n := bytes.IndexByte(line[at:], ' ') // an option of a command, the name server that dig asks
				if n < 0 {
					break
				}
				at = skipBlanks(line, at+n)
			}
			for _, scheme := range []string{"ssl://", "tls://", "tcp://", "smtp://", "smtps://"} {
				if foldPrefix(line[at:], scheme) {
					at += len(scheme)
				}
			}
			if n := bytes.IndexByte(line[at:], '@'); n > 0 && bytes.HasSuffix(line[:at], []byte("://")) && !bytes.ContainsAny(line[at:at+n], " /\"'") {
				at += n + 1 // user and password
			}
			rest := line[at:]
			if n := bytes.Index(rest, []byte("..")); n > 0 {
				rest = rest[:n] // "Connecting to H...Could not open"
			}
			h, n := hostAt(rest)
			if h.name == "localhost" && h.port == 0 && c.sure > 1 {
				h.port = portBehind(rest[n:])
			}
			if n == 0 || !nameOfServer(h) || inCode(rest[:nameEnd(rest, 0)], rest[n:]) || at+n < len(line) && line[at+n] == '@' || h.name == "" && c.sure < 2 {
				continue
			}
			if h.port == 0 {
				h.port = portBehind(line[at+n:])
			}
			if c.words == gitValues {
				if k := bytes.Index(line[at:], []byte(" port=")); k > 0 {
					h.port = number(leadingDigits(line[at+k+len(" port="):]))
				}
			}
			s.setHost(b.mention(Named, h, base+at, base+at+n), c.sure)
			if h.port != 0 {
				s.port = h.port
			}
		}
	}
	if s.port == 0 {
		if n := foldIndex(line, "-port "); n >= 0 {
			if p := number(firstDigits(line[n+6 : min(n+14, len(line))])); p > 0 && p < 65536 {
				s.port = p
			}
		} else if n := foldIndex(line, "port "); n >= 0 && (n == 0 || !isWordByte(line[n-1])) {
			if p := number(leadingDigits(line[n+5:])); p > 0 && p < 65536 {
				s.port = p
			}
		}
	}
}

// leadingDigits are the digits of a port, a code or a year that b begins with.
func leadingDigits(b []byte) []byte { return digitsOf(b, 6) }

// digitsOf are the digits that b begins with, so many at most.
func digitsOf(b []byte, most int) []byte {
	j := 0
	for j < len(b) && j < most && isDigit(b[j]) {
		j++
	}
	return b[:j]
}

// portBehind reads the port in what follows a host: `, 587`, `", 587`, `, port
// 587`, ` 587`, ` on port 587`, ` (1.2.3.4) port 587`.
func portBehind(rest []byte) int {
	i := 0
	for i < len(rest) && (rest[i] == '"' || rest[i] == '\'' || rest[i] == ',' || rest[i] == ' ' || rest[i] == ';') {
		i++
	}
	for _, w := range []string{"on port ", "at port ", "auf port ", "sur le port ", "port: ", "port=", "port "} {
		if foldPrefix(rest[i:], w) {
			i += len(w)
			break
		}
	}
	d := leadingDigits(rest[i:])
	if len(d) == 0 || i+len(d) < len(rest) && (isWordByte(rest[i+len(d)]) || rest[i+len(d)] == '.' && i+len(d)+1 < len(rest) && isDigit(rest[i+len(d)+1])) {
		return 0
	}
	switch p := number(d); p {
	case 25, 26, 465, 587, 2525, 2465, 2587, 24, 10025:
		return p
	default:
		if p > 0 && p < 65536 && i > 0 && (bytes.Contains(rest[:i], []byte("ort")) || rest[0] == ',' || len(rest) > 1 && rest[1] == ',') {
			return p
		}
	}
	return 0
}
