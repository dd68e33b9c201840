package ndr

import "github.com/smtp-handoff/handoff/analyze/transcript"

// programEffect is what a program's words mean beyond a fault.
type programEffect uint8

const (
	effectFault   programEffect = iota // it failed below or beside SMTP
	effectNoAUTH                       // AUTH was not offered
	effectNoTLS                        // STARTTLS was not offered
	effectRefusal                      // a reply of the server came; it stands near, or was dropped
	effectLogin                        // the login did not work; why is not told
	effectNothing                      // words that look like a fault and are none
)

// programPhrase is a row of programPhrases: words of a program, in lower case,
// and what they mean. The stage may be empty: then the place where they stand
// tells.
type programPhrase struct {
	words  string
	fault  transcript.Fault
	stage  transcript.Stage
	effect programEffect
}

// programPhrases are the words in which mail programs, libraries and devices
// tell how a try ended when they do not show a reply. The first row that stands
// in a line wins, so the exact ones come first. Words were taken from the
// programs themselves (curl 7.88, msmtp 1.8, Python 3.11, Node 20 with
// nodemailer 6, JavaMail 1.6, Go 1.2x, swaks, openssl 3, PHPMailer 6), from
// manuals for .NET, Outlook, Thunderbird, Apple Mail and devices.
var programPhrases = []programPhrase{
	// Words that sound worse than they are.
	{"certificate verify result: ok", transcript.FaultNone, "", effectNothing},
	{"certificate verify ok", transcript.FaultNone, "", effectNothing},
	{"continuing anyway", transcript.FaultNone, "", effectNothing},
	{"old ssl session", transcript.FaultNone, "", effectNothing},
	{"), tls handshake, ", transcript.FaultNone, "", effectNothing}, // curl's list of records
	{"post-handshake", transcript.FaultNone, "", effectNothing},
	{"session ticket", transcript.FaultNone, "", effectNothing},
	{"handshake finished", transcript.FaultNone, "", effectNothing},
	{"handshake complete", transcript.FaultNone, "", effectNothing},
	{"handshake succeeded", transcript.FaultNone, "", effectNothing},
	{"handshake successful", transcript.FaultNone, "", effectNothing},
	{"handshake has read", transcript.FaultNone, "", effectNothing},
	{"handshake done", transcript.FaultNone, "", effectNothing},
	{"negotiation succeeded", transcript.FaultNone, "", effectNothing},
	{"), tls header, ", transcript.FaultNone, "", effectNothing},
	{"), tls change cipher", transcript.FaultNone, "", effectNothing},
	{"tls alert, close notify", transcript.FaultNone, "", effectNothing},
	{"tls app data", transcript.FaultNone, "", effectNothing},
	{"ssl session id", transcript.FaultNone, "", effectNothing},
	{"timeout while reading from", transcript.FaultTimeout, transcript.StageGreet, effectFault},       // sendEmail, once connected
	{"resource temporarily unavailable", transcript.FaultTimeout, transcript.StageGreet, effectFault}, // s-nail's own time-out, before its "unexpected eof"
	{"network read error", transcript.FaultReset, transcript.StageGreet, effectFault},
	{"network write error", transcript.FaultReset, transcript.StageGreet, effectFault},
	{"0 (ok)", transcript.FaultNone, "", effectNothing},
	{"without errors", transcript.FaultNone, "", effectNothing},
	{"errors: 0", transcript.FaultNone, "", effectNothing},
	{"verify error:num", transcript.FaultNone, "", effectNothing}, // openssl s_client goes on
	{"verify return code", transcript.FaultNone, "", effectNothing},
	{"verification error:", transcript.FaultNone, "", effectNothing},
	{"verify return:1", transcript.FaultNone, "", effectNothing},
	{"more details here: https://", transcript.FaultNone, "", effectNothing},
	{"failed to verify the legitimacy", transcript.FaultNone, "", effectNothing},

	// AUTH was not offered.
	{"did not advertise auth", transcript.FaultNone, transcript.StageTLS, effectNoAUTH},
	{"auth extension not supported", transcript.FaultNone, transcript.StageTLS, effectNoAUTH},
	{"auth extension is not supported by this server. try connecting via tls", transcript.FaultNone, transcript.StageTLS, effectNoAUTH},
	{"auth extension is not supported by this server", transcript.FaultNone, transcript.StageAuth, effectNoAUTH},
	{"does not support authentication method", transcript.FaultNone, transcript.StageAuth, effectNoAUTH},
	{"does not support smtp auth type", transcript.FaultNone, transcript.StageAuth, effectNoAUTH}, // go-mail
	{"does not support smtp auth", transcript.FaultNone, transcript.StageAuth, effectNoAUTH},
	{"server does not support auth", transcript.FaultNone, transcript.StageTLS, effectNoAUTH},
	{"server doesn't support auth", transcript.FaultNone, transcript.StageTLS, effectNoAUTH},
	{"does not advertise auth", transcript.FaultNone, transcript.StageTLS, effectNoAUTH},
	{"auth not attempted", transcript.FaultNone, transcript.StageAuth, effectNoAUTH},
	{"does not advertise any supported auth", transcript.FaultNone, transcript.StageAuth, effectNoAUTH},
	{") does not support authentication", transcript.FaultNone, transcript.StageTLS, effectNoAUTH},
	{"does not support authentication", transcript.FaultNone, transcript.StageTLS, effectNoAUTH},
	{"doesn't support authentication", transcript.FaultNone, transcript.StageTLS, effectNoAUTH},
	{"no authentication mechanisms supported by both", transcript.FaultNone, transcript.StageAuth, effectNoAUTH},
	{"none of the authentication methods supported by this client", transcript.FaultNone, transcript.StageAuth, effectNoAUTH},
	{"server does not offer authentication", transcript.FaultNone, transcript.StageTLS, effectNoAUTH},
	{"authentication is not supported by the server", transcript.FaultNone, transcript.StageTLS, effectNoAUTH},
	{"authentication is not allowed before encryption", transcript.FaultNone, transcript.StageTLS, effectNoAUTH},
	{"unterstützt keine authentifizierung", transcript.FaultNone, transcript.StageTLS, effectNoAUTH},
	{"ne prend pas en charge l'authentification", transcript.FaultNone, transcript.StageTLS, effectNoAUTH},
	{"no supported authentication methods", transcript.FaultNone, transcript.StageAuth, effectNoAUTH},
	{"no compatible authentication mechanism", transcript.FaultNone, transcript.StageAuth, effectNoAUTH},
	{"no supported auth method", transcript.FaultNone, transcript.StageAuth, effectNoAUTH},
	{"no suitable authentication method", transcript.FaultNone, transcript.StageAuth, effectNoAUTH},
	{"no mechanism available", transcript.FaultNone, transcript.StageAuth, effectNoAUTH},
	{"no sasl mechanism found", transcript.FaultNone, transcript.StageAuth, effectNoAUTH}, // Authen::SASL
	{"no worthy mech", transcript.FaultNone, transcript.StageAuth, effectNoAUTH},
	{"support the selected authentication method", transcript.FaultNone, transcript.StageTLS, effectNoAUTH},
	{"support the authentication method", transcript.FaultNone, transcript.StageTLS, effectNoAUTH},
	{"gewählte authentifizierungsmethode", transcript.FaultNone, transcript.StageTLS, effectNoAUTH},
	{"ausgewählte authentifizierungsmethode", transcript.FaultNone, transcript.StageTLS, effectNoAUTH},
	{"méthode d'authentification sélectionnée", transcript.FaultNone, transcript.StageTLS, effectNoAUTH},

	{"need mime::base64 and authen::sasl", transcript.FaultNone, transcript.StageAuth, effectLogin}, // Net::SMTP: the client's own want, told before it looks at the list

	// STARTTLS was not offered.
	{"tls not possible! remote smtp server", transcript.FaultTLS, transcript.StageTLS, effectNoTLS},
	{"did not advertise starttls", transcript.FaultTLS, transcript.StageTLS, effectNoTLS},
	{"starttls extension not supported", transcript.FaultTLS, transcript.StageTLS, effectNoTLS},
	{"does not support tls via the starttls", transcript.FaultTLS, transcript.StageTLS, effectNoTLS},
	{"starttls not working", transcript.FaultTLS, transcript.StageTLS, effectNoTLS}, // ssmtp
	{"starttls not supported", transcript.FaultTLS, transcript.StageTLS, effectNoTLS},
	{"starttls is not supported", transcript.FaultTLS, transcript.StageTLS, effectNoTLS},
	{"starttls is required but host does not support", transcript.FaultTLS, transcript.StageTLS, effectNoTLS},
	{"didn't find starttls in server response", transcript.FaultTLS, transcript.StageTLS, effectNoTLS},
	{"does not support secure connections", transcript.FaultTLS, transcript.StageTLS, effectNoTLS},
	{"doesn't support starttls", transcript.FaultTLS, transcript.StageTLS, effectNoTLS},
	{"does not support starttls", transcript.FaultTLS, transcript.StageTLS, effectNoTLS},
	{"does not support the connection encryption", transcript.FaultTLS, transcript.StageTLS, effectNoTLS},
	{"starttls since it doesn't advertise", transcript.FaultTLS, transcript.StageTLS, effectNoTLS},
	{"does not advertise the starttls", transcript.FaultTLS, transcript.StageTLS, effectNoTLS}, // Alertmanager
	{"doesn't advertise that feature", transcript.FaultTLS, transcript.StageTLS, effectNoTLS},
	{"tls required but not supported", transcript.FaultTLS, transcript.StageTLS, effectNoTLS},
	{"starttls not available", transcript.FaultTLS, transcript.StageTLS, effectNoTLS},
	{"starttls is unavailable", transcript.FaultTLS, transcript.StageTLS, effectNoTLS},
	{"starttls was not offered", transcript.FaultTLS, transcript.StageTLS, effectNoTLS},
	{"server did not offer tls", transcript.FaultTLS, transcript.StageTLS, effectNoTLS},
	{"tls is not available", transcript.FaultTLS, transcript.StageTLS, effectNoTLS},
	{"unterstützt kein starttls", transcript.FaultTLS, transcript.StageTLS, effectNoTLS},
	{"unterstützt keine sicheren verbindungen", transcript.FaultTLS, transcript.StageTLS, effectNoTLS},
	{"ne prend pas en charge les connexions sécurisées", transcript.FaultTLS, transcript.StageTLS, effectNoTLS},

	// A reply came; these words stand around it.
	{"can't starttls: 4.", transcript.FaultNone, transcript.StageTLS, effectRefusal},
	{"can't starttls: 5.", transcript.FaultNone, transcript.StageTLS, effectRefusal},
	{"all recipients were rejected during rcpt", transcript.FaultNone, transcript.StageEnvelope, effectRefusal},
	{"starttls denied", transcript.FaultNone, transcript.StageTLS, effectRefusal},
	{"starttls command failed", transcript.FaultNone, transcript.StageTLS, effectRefusal},
	{"unable to connect with starttls", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"could not authenticate", transcript.FaultNone, transcript.StageAuth, effectLogin},
	{"recipients failed", transcript.FaultNone, transcript.StageEnvelope, effectRefusal},
	{"from address failed", transcript.FaultNone, transcript.StageEnvelope, effectRefusal},
	{"login denied", transcript.FaultNone, transcript.StageAuth, effectRefusal},
	{"unable to authenticate", transcript.FaultNone, transcript.StageAuth, effectRefusal},
	{"authentifizierung am postausgang", transcript.FaultNone, transcript.StageAuth, effectRefusal},
	{"authentifizierung mit dem postausgang", transcript.FaultNone, transcript.StageAuth, effectRefusal},
	{"impossible de s'authentifier", transcript.FaultNone, transcript.StageAuth, effectRefusal},
	{"authentication failed (method", transcript.FaultNone, transcript.StageAuth, effectRefusal},
	{"no authentication type succeeded", transcript.FaultNone, transcript.StageAuth, effectRefusal},
	{"not accepted by the server", transcript.FaultNone, transcript.StageEnvelope, effectRefusal},
	{"cannot get initial ok message", transcript.FaultNone, transcript.StageGreet, effectRefusal},
	{"the server did not accept the mail", transcript.FaultNone, transcript.StageData, effectRefusal},
	{"starttls attempted but failed", transcript.FaultTLS, transcript.StageTLS, effectFault},

	// Certificates.
	{"certificate verify failed", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"certificate verification failed", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"certificate_verify_failed", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"certificate problem", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"certificate has expired", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"certificate is not trusted", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"certificate check failed", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"self signed certificate", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"self-signed certificate", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"unable to verify the first certificate", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"unable to get local issuer certificate", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"certificateexpired", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"certificatenotyetvalid", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"certificate is not valid for", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"certificate is valid for", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"did not match the name given in the server's ssl certificate", transcript.FaultCertificate, transcript.StageTLS, effectFault}, // MailKit
	{"hostname mismatch", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"did not match expected name", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"did not match expected cn", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"certificate does not match", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"certification path", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"certificate issuer is unknown", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"pkix path", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"x509:", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"certificate subject name", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"no alternative certificate subject name", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"remote certificate is invalid", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"err_tls_cert", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"does not match certificate's altnames", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"no subject alternative", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"certificate name mismatch", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"certificate issuer", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"invalid certificate", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"certificate error", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"certificate not trusted", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"untrusted certificate", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"remotezertifikat", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"zertifikat", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"certificat distant", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"certificat non valide", transcript.FaultCertificate, transcript.StageTLS, effectFault},

	// TLS, before anything about connections: "TLS handshake: connection closed".
	{"ssl connection using (", transcript.FaultTLS, transcript.StageTLS, effectFault},               // ssmtp: without a cipher
	{"untrusted server certificate", transcript.FaultCertificate, transcript.StageTLS, effectFault}, // mutt
	{"unable to prompt for certificate", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"could not negotiate tls connection", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"can't starttls: 2.", transcript.FaultTLS, transcript.StageTLS, effectFault}, // Email::Sender: the reply was good
	{"legacy sigalg", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"tls setup failed: hostname verification failed", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"certificate is untrusted", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"tls certificate does not match", transcript.FaultCertificate, transcript.StageTLS, effectFault},
	{"tls/ssl connection has been closed", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"sslzeroreturn", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"ssl operation failed", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"wrong version number", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"cannot determine the frame size", transcript.FaultTLS, transcript.StageTLS, effectFault}, // .NET, of the same
	{"wrong_version_number", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"unexpected tls packet", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"does not look like a tls handshake", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"unrecognized ssl message", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"unknown protocol", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"protocol version", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"unsupported protocol", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"unsupported_protocol", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"no protocols available", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"no appropriate protocol", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"do_handshake()", transcript.FaultTLS, transcript.StageTLS, effectFault}, // a frame of Python's
	{"handshake", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"tls startup failed", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"tls negotiation", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"ssl negotiation successful", transcript.FaultNone, "", effectNothing}, // MDaemon
	{"ssl negotiation", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"could not convert socket to tls", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"secure tls connection", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"secure channel", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"secure link", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"closed the transport stream", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"transport stream", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"transportdatenstrom", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"violation of protocol", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"unexpected_eof_while", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"stream_socket_enable_crypto", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"ssl_connect", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"ssl_error", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"sslexception", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"tls error", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"ssl error", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"tls failed", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"ssl failed", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"tls connection was non-properly", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"ssl routines", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"tls connection failed", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"ssl connection failed", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"no shared cipher", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"no ciphers", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"cipher mismatch", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"cipher suite", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"0x800ccc1a", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"0x800ccc1b", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"0x800ccc7d", transcript.FaultTLS, transcript.StageTLS, effectNoTLS},
	{"0x800ccc80", transcript.FaultNone, transcript.StageTLS, effectNoAUTH},

	// Names.
	{"name or service not known", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"nodename nor servname", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"no address associated with hostname", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"getaddrinfo", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"gaierror", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"enotfound", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"eai_again", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"server misbehaving", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"could not resolve", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"couldn't resolve", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"cannot resolve", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"unable to resolve", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"failed to resolve", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"no such host", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"could not be resolved", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"unknownhost", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"unknown host", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"host unknown", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"bad hostname", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"cannot locate host", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"no ip address found for host", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"lookup failure", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"lookup failed", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"name lookup", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"name resolution", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"host not found", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"server not found", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"not found: host", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"is unknown. the server may be incorrectly configured", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"nxdomain", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"servfail", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"dns request timed out", transcript.FaultDNS, transcript.StageResolve, effectFault}, // nslookup of Windows
	{"non-existent domain", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"can't find ", transcript.FaultNone, "", effectNothing},                                   // … and its other reasons
	{"no servers could be reached", transcript.FaultDNS, transcript.StageResolve, effectFault}, // dig, host, nslookup
	{"dns name does not exist", transcript.FaultDNS, transcript.StageResolve, effectFault},     // PowerShell's Resolve-DnsName
	{"could not find host ", transcript.FaultDNS, transcript.StageResolve, effectFault},        // ping of Windows
	{"konnte host ", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"could not find the host \"", transcript.FaultDNS, transcript.StageResolve, effectFault}, // mutt
	{"dns error", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"dns lookup", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"dns failure", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"dns query", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"dns-fehler", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"dns-auflösung", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"dns server returned error", transcript.FaultDNS, transcript.StageResolve, effectFault}, // Exchange's connectivity log
	{"dns server returned info", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"dns server returned ", transcript.FaultNone, "", effectNothing}, // the addresses
	{"dns server", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"mail server cannot be found", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"unable to locate ", transcript.FaultDNS, transcript.StageResolve, effectFault}, // ssmtp
	{"erreur dns", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"nicht aufgelöst", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"namensauflösung", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"host nicht gefunden", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"server nicht gefunden", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"hostname nicht gefunden", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"unbekannter host", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"introuvable", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"pu être résolu", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"résolution", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"hôte inconnu", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"no se pudo resolver", transcript.FaultDNS, transcript.StageResolve, effectFault},
	// .NET in the language of the machine.
	{"no se puede resolver", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"impossibile risolvere", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"externe naam kan niet", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"pôde ser resolvido", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"nie można rozpoznać nazwy", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"fjärrnamnet", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"fjernnavnet", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"det eksterne navnet", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"vzdálený název nelze", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"távoli név nem oldható", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"разрешить удаленное имя", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"uzak ad çöz", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"解析此远程名称", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"リモート名を解決できませんでした", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"원격 이름을 확인할 수 없습니다", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"este host no es conocido", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"host desconocido", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"host sconosciuto", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"onbekende host", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"host desconhecido", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"0x800ccc0d", transcript.FaultDNS, transcript.StageResolve, effectFault},

	// The greeting.
	{"greeting never received", transcript.FaultTimeout, transcript.StageGreet, effectFault},
	{"waiting for greeting", transcript.FaultTimeout, transcript.StageGreet, effectFault},
	{"no greeting", transcript.FaultTimeout, transcript.StageGreet, effectFault},
	{"bad greeting", transcript.FaultClosed, transcript.StageGreet, effectFault},
	{"invalid greeting", transcript.FaultProtocol, transcript.StageGreet, effectFault},

	// TCP: refused.
	{"connection refused", transcript.FaultRefused, transcript.StageConnect, effectFault},
	{"econnrefused", transcript.FaultRefused, transcript.StageConnect, effectFault},
	{"connectionrefused", transcript.FaultRefused, transcript.StageConnect, effectFault},
	{"actively refused", transcript.FaultRefused, transcript.StageConnect, effectFault},
	{"refused by peer", transcript.FaultRefused, transcript.StageConnect, effectFault},
	{"refusing smtp connections", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"verbindung verweigert", transcript.FaultRefused, transcript.StageConnect, effectFault},
	{"verbindung abgelehnt", transcript.FaultRefused, transcript.StageConnect, effectFault},
	{"verweigerte", transcript.FaultRefused, transcript.StageConnect, effectFault},
	{"connexion refusée", transcript.FaultRefused, transcript.StageConnect, effectFault},
	{"conexión rechazada", transcript.FaultRefused, transcript.StageConnect, effectFault},
	{"10061", transcript.FaultRefused, transcript.StageConnect, effectFault},
	{"errno=111", transcript.FaultRefused, transcript.StageConnect, effectFault},
	{"errno 111", transcript.FaultRefused, transcript.StageConnect, effectFault},

	// TCP: no way.
	{"no route to host", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"network is unreachable", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"host unreachable", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"host is unreachable", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"network unreachable", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"ehostunreach", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"enetunreach", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"nicht erreichbar", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"injoignable", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"inaccessible", transcript.FaultTimeout, transcript.StageConnect, effectFault},

	{" on fd=-1", transcript.FaultTimeout, transcript.StageConnect, effectFault}, // mutt: without a socket

	// Reset and close.
	{"dial failed: eof", transcript.FaultClosed, "", effectFault},
	{"smtp session failed: read error", transcript.FaultClosed, "", effectFault}, // mutt
	{"smtp session failed: write error", transcript.FaultClosed, "", effectFault},
	{"connection reset", transcript.FaultReset, "", effectFault},
	{"connectionreset", transcript.FaultReset, "", effectFault},
	{"econnreset", transcript.FaultReset, "", effectFault},
	{"reset by peer", transcript.FaultReset, "", effectFault},
	{"forcibly closed", transcript.FaultReset, "", effectFault},
	{"connection aborted", transcript.FaultReset, "", effectFault},
	{"broken pipe", transcript.FaultReset, "", effectFault},
	{"10054", transcript.FaultReset, "", effectFault},
	{"errno=104", transcript.FaultReset, "", effectFault},
	{"returned a zero byte response", transcript.FaultClosed, "", effectFault},
	{"unexpected eof on smtp connection", transcript.FaultClosed, "", effectFault},
	{"unexpected eof received", transcript.FaultClosed, transcript.StageGreet, effectFault},           // aiosmtplib, while it connects
	{gitInitialize, transcript.FaultTimeout, transcript.StageConnect, effectFault},                    // git send-email, of Net::SMTP too
	{"unexpected eof on command channel", transcript.FaultClosed, transcript.StageGreet, effectFault}, // Net::Cmd
	{"unable to establish smtp connection", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"unexpectedly closed: timed out", transcript.FaultTimeout, "", effectFault},
	{"closed unexpectedly", transcript.FaultClosed, "", effectFault},
	{"unexpectedly closed", transcript.FaultClosed, "", effectFault},
	{"closed connection unexpectedly", transcript.FaultClosed, "", effectFault},
	{"connection closed by foreign host", transcript.FaultClosed, "", effectFault},
	{"connection to host lost", transcript.FaultClosed, "", effectFault},
	{"lost connection", transcript.FaultClosed, "", effectFault},
	{"connection lost", transcript.FaultClosed, "", effectFault},
	{"connection closed", transcript.FaultClosed, "", effectFault},
	{"closed the connection", transcript.FaultClosed, "", effectFault},
	{"connection was closed", transcript.FaultClosed, "", effectFault},
	{"connection interrupted", transcript.FaultClosed, "", effectFault},
	{"connection dropped", transcript.FaultClosed, "", effectFault},
	{"closed by remote", transcript.FaultClosed, "", effectFault},
	{"server has terminated the connection", transcript.FaultClosed, "", effectFault},
	{"serverdisconnected", transcript.FaultClosed, "", effectFault},
	{"socket close", transcript.FaultClosed, "", effectFault},
	{"response reading failed", transcript.FaultClosed, "", effectFault},
	{"recv failure", transcript.FaultClosed, "", effectFault},
	{"send failure", transcript.FaultClosed, "", effectFault},
	{"empty reply", transcript.FaultClosed, "", effectFault},
	{"end of file", transcript.FaultClosed, "", effectFault},
	{"verbindung getrennt", transcript.FaultClosed, "", effectFault},
	{"verbindung unterbrochen", transcript.FaultClosed, "", effectFault},
	{"verbindung wurde", transcript.FaultClosed, "", effectFault},
	{"connexion interrompue", transcript.FaultClosed, "", effectFault},
	{"connexion fermée", transcript.FaultClosed, "", effectFault},
	{"connexion perdue", transcript.FaultClosed, "", effectFault},
	{"0x800ccc0f", transcript.FaultClosed, "", effectFault},
	{"0x800ccc13", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"0x800ccc0e", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"0x80042109", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"0x80042108", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"0x8004210b", transcript.FaultTimeout, "", effectFault},
	{"0x800ccc19", transcript.FaultTimeout, "", effectFault},

	// Time-outs.
	{"\" timed out", transcript.FaultTimeout, transcript.StageGreet, effectFault}, // Symfony: what it reads; a connection "could not be established"
	{"timed out connecting to", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"[errno 110] connect call failed", transcript.FaultTimeout, transcript.StageConnect, effectFault}, // asyncio, under aiosmtplib's own words
	{"retry timeout exceeded", transcript.FaultNone, "", effectNothing},                                // Exim, whatever made the tries before fail
	{"[errno 60] connect call failed", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"couldn't connect to host, port", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"couldn't connect to the host", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"read tcp ", transcript.FaultTimeout, transcript.StageGreet, effectFault},
	{"connection timed out", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"connect timed out", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"connection timeout", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"connection time-out", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"did not properly respond after", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"failed to respond", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"etimedout", transcript.FaultTimeout, "", effectFault},
	{"10060", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"errno=110", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"read timed out", transcript.FaultTimeout, transcript.StageGreet, effectFault},
	{"timed out", transcript.FaultTimeout, "", effectFault},
	{"time-out", transcript.FaultTimeout, "", effectFault},
	{"time out", transcript.FaultTimeout, "", effectFault},
	{"timeout=", transcript.FaultNone, "", effectNothing},
	{"timeout   :", transcript.FaultNone, "", effectNothing}, // openssl's list of the session
	{"timeout =", transcript.FaultNone, "", effectNothing},
	{"timeout   : ", transcript.FaultNone, "", effectNothing}, // of a TLS session, by openssl
	{"timeout", transcript.FaultTimeout, "", effectFault},
	{"zeitüberschreitung", transcript.FaultTimeout, "", effectFault},
	{"zeitlimit", transcript.FaultTimeout, "", effectFault},
	{"délai", transcript.FaultTimeout, "", effectFault},
	{"expiré", transcript.FaultTimeout, "", effectFault},
	{"tiempo de espera", transcript.FaultTimeout, "", effectFault},
	{"no response from", transcript.FaultTimeout, "", effectFault},
	{"keine antwort", transcript.FaultTimeout, "", effectFault},
	{"pas de réponse", transcript.FaultTimeout, "", effectFault},
	{"not responding", transcript.FaultTimeout, "", effectFault},

	// No connection, without a reason.
	{"error connecting to", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"unable to connect", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"could not connect", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"couldn't connect", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"cannot connect", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"can't connect", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"can not connect", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"failed to connect", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"failure to connect", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"connect failed", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"connect() failed", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"connection failed", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"connection error", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"connect error", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"connection failure", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"connection could not be established", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"could not open connection", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"no connection", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"econnection", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"socket error", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"couldn't reach server", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"unreachable", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"keine verbindung", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"verbindung fehlgeschlagen", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"verbindungsfehler", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"verbindung zum", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"verbindung mit dem", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"verbindung konnte nicht", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"verbindungsaufbau", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"impossible de se connecter", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"échec de connexion", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"échec de la connexion", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"connexion impossible", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"erreur de connexion", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"connexion au serveur", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"no se puede conectar", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"no es posible conectar", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"no se pudo conectar", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"impossibile effettuare la connessione", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"impossibile connettersi", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"kan geen verbinding", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"verbinding met de server", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"impossível conectar", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"impossível ligar", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"não foi possível conectar", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"nie można połączyć", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"det går inte att ansluta", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"der kunne ikke oprettes forbindelse", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"kan ikke koble til", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"nelze se připojit", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"nem lehet csatlakozni", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"соединиться с удаленным сервером", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"подключиться к серверу", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"uzak sunucuya bağlan", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"无法连接到", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"リモート サーバーに接続できません", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"サーバーに接続できません", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"원격 서버에 연결할 수 없습니다", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"host not reachable", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"server not reachable", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"server down", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"cannot communicate with", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"communication with the server", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"ssmtp: cannot open ", transcript.FaultNone, transcript.StageUnknown, effectFault}, // for a dead name, a dead port and broken TLS alike
	{"server communication error", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"failed connection to", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"tcp connect to (", transcript.FaultTimeout, transcript.StageConnect, effectFault}, // PowerShell's Test-NetConnection
	{"tcptestsucceeded       : false", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"tcptestsucceeded : false", transcript.FaultTimeout, transcript.StageConnect, effectFault},

	// Codes that makers give in their manuals. Canon: 801 is a server that did not
	// answer in time or answered with an error, so its stage stays open.
	{"#801", transcript.FaultTimeout, transcript.StageUnknown, effectFault},
	{"#802", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"#839", transcript.FaultNone, transcript.StageAuth, effectRefusal},
	{"#841", transcript.FaultTLS, transcript.StageTLS, effectFault},
	{"#842", transcript.FaultTLS, transcript.StageTLS, effectFault},
	// Xerox and Fujifilm.
	{"016-503", transcript.FaultDNS, transcript.StageResolve, effectFault},
	{"016-507", transcript.FaultNone, transcript.StageAuth, effectRefusal},
	{"016-513", transcript.FaultTimeout, transcript.StageConnect, effectFault},
	{"016-764", transcript.FaultTimeout, transcript.StageConnect, effectFault},

	// A login or an address that was refused, without the server's words.
	{"for smtp server authentication is invalid", transcript.FaultNone, transcript.StageAuth, effectRefusal},
	{"smtp authentication fail", transcript.FaultNone, transcript.StageAuth, effectRefusal},
	{"smtp authentication error", transcript.FaultNone, transcript.StageAuth, effectRefusal},
	{"authentication error", transcript.FaultNone, transcript.StageAuth, effectRefusal},
	{"authentifizierung fehlgeschlagen", transcript.FaultNone, transcript.StageAuth, effectRefusal},
	{"authentifizierungsfehler", transcript.FaultNone, transcript.StageAuth, effectRefusal},
	{"échec de l'authentification", transcript.FaultNone, transcript.StageAuth, effectRefusal},
	{"échec d'authentification", transcript.FaultNone, transcript.StageAuth, effectRefusal},
	{"erreur d'authentification", transcript.FaultNone, transcript.StageAuth, effectRefusal},
	{"error de autenticación", transcript.FaultNone, transcript.StageAuth, effectRefusal},
	{"errore di autenticazione", transcript.FaultNone, transcript.StageAuth, effectRefusal},
	{"incorrect username or password", transcript.FaultNone, transcript.StageAuth, effectRefusal},
	{"recipient addresses was rejected by the server", transcript.FaultNone, transcript.StageEnvelope, effectRefusal},
	{"recipients was rejected by the server", transcript.FaultNone, transcript.StageEnvelope, effectRefusal},
	{"recipients were rejected by the server", transcript.FaultNone, transcript.StageEnvelope, effectRefusal},
	{"sender address was rejected by the server", transcript.FaultNone, transcript.StageEnvelope, effectRefusal},
}

// isCode reports whether the words of the row are a code and no words.
func (p *programPhrase) isCode() bool { return isDigit(p.words[0]) || p.words[0] == '#' }

// isWord reports whether the row is one word, which source code and its
// documentation have, too.
func (p *programPhrase) isWord() bool {
	return p.words == "timeout" || p.words == "handshake" || p.words == "nxdomain"
}

// inIdentifier reports whether words[from:to] are part of the name of a function
// or of a value (setTimeout, handshake_timeout, timeouts) and not of an error
// (ConnectTimeoutError, SSLHandshakeException, HANDSHAKE_FAILURE, ReadTimeout).
func inIdentifier(words []byte, from, to int) bool {
	start, end := from, to
	for start > 0 && (isWordByte(words[start-1]) || words[start-1] == '_') {
		start--
	}
	for end < len(words) && (isWordByte(words[end]) || words[end] == '_') {
		end++
	}
	call := end < len(words) && words[end] == '('
	if start == from && end == to {
		return call
	}
	for _, e := range []string{"error", "exception", "failure", "failed", "err"} {
		if end-start > len(e) && foldPrefix(words[end-len(e):end], e) {
			return false
		}
	}
	if call || end > to {
		return true
	}
	// ReadTimeout, E_TIMEOUT, ConnectTimeout: an error by its capitals.
	return !isUpper(words[start])
}

// maxProgramLine is how much of a line is searched for a program's words.
const maxProgramLine = 600

// programIndex finds the rows by their first byte, in the order of the table.
var programIndex = func() (t [256][]int) {
	for i := range programPhrases {
		c := programPhrases[i].words[0]
		t[c] = append(t[c], i)
		if c >= 'a' && c <= 'z' {
			t[c-'a'+'A'] = append(t[c-'a'+'A'], i)
		}
	}
	return t
}()

// programSays finds the first row of programPhrases that stands in the words,
// and where; nil if there is none.
func programSays(words []byte) (*programPhrase, int) {
	if len(words) > maxProgramLine {
		words = words[:maxProgramLine]
	}
	best, at := len(programPhrases), -1
	for i := range words {
		for _, k := range programIndex[words[i]] {
			if k >= best {
				break
			}
			p := &programPhrases[k]
			if len(p.words) > len(words)-i || words[i+1]|0x20 != p.words[1]|0x20 || !foldPrefix(words[i:], p.words) {
				continue
			}
			if end := i + len(p.words); p.isCode() && (i > 0 && isWordByte(words[i-1]) || end < len(words) && isWordByte(words[end])) {
				continue // the code of a device or of Winsock stands alone
			}
			if p.isWord() && inIdentifier(words, i, i+len(p.words)) {
				continue
			}
			best, at = k, i
		}
	}
	if at < 0 {
		return nil, -1
	}
	return &programPhrases[best], at
}
