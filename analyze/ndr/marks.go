package ndr

import (
	"bytes"
	"encoding/binary"
	"slices"
	"unicode"
	"unicode/utf8"
)

// mark is a line that begins with one of the phrases of the sign tables: the
// skeleton of a report. All readers work on marks, so that the text is scanned
// once.
type mark struct {
	line int32
	at   int32 // behind the phrase (and behind the colon of a field), in Doc.Text
	sign sign
	row  int16 // which phrase it was, in the rows of its first byte
}

// sign is the meaning of a phrase at the beginning of a line.
type sign uint8

// The signs. Those before signField are fields of delivery-status parts
// (RFC 3464), found wherever they stand.
const (
	signNone sign = iota

	fieldReportingMTA
	fieldReceivedFrom
	fieldArrival
	fieldEnvelopeID
	fieldFinal
	fieldOriginal
	fieldActual
	fieldAction
	fieldStatus
	fieldRemoteMTA
	fieldDiagnostic
	fieldLastAttempt
	fieldRetryUntil
	fieldLogID
	fieldQueueID
	fieldSender
	fieldFailedRecipients
	fieldFeedback
	fieldDisposition
	signField // none of its own: all below are phrases of texts

	signReturned     // the returned message begins behind this line
	signReturnedHere // … or with this line: Return-Path, Received
	signForward      // a forward mark: a block begins, not a returned message
	signMailFrom     // the first line of the header that a forward prints
	signMailLine     // another line of it
	signSeparator    // a line that separates what people put together
	signDelay        // the report is about a delay
	signSuccess      // the report is about a success

	// Openers of families; rows of startSigns say which.
	signPostfix
	signPostfixOld
	signPostfixIn
	signPostfixItem // "<r>: host R[ip] said: …", by postfixItem
	signExim
	signEximFailed
	signEximMore
	signSendmailReceived
	signSendmailAddresses
	signSendmailTranscript
	signTalking
	signQmail
	signYahoo
	signGmail
	signGmailResponse
	signGmailClassic
	signGmailMore
	signExchangeHuman
	signExchangeAdmin
	signGenerating
	signSentBy
	signRejectedBy
	signStatusCode
	signReturnedLine
	signOldExchange
	signOldExchangeList
	signOutlook
	signSES
	signSESJSON
	signSendGrid
	signDragonFly
	signOpenSMTPD
	signMessagingServer
	signCourier
	signDomino
	signPowerMTA
	signMailMarshal
	signBarracuda
	signSurfControl
	signMimecast
	signMDaemon
	signPortal
	signAmavis
	signAmavisOwn
	signComplaint
	signAutoreply
	signOther   // opening words of programs without a reader of their own
	signGeneric // words of a report that belong to no family
	signWrapped // the first words of a phrase that goes on in the next line
	signCount
)

// phrase is a row of the sign tables: what a line begins with, in lower case,
// after blanks and ornaments. A field wants a colon behind it.
type phrase struct {
	words string
	sign  sign
}

var fieldPhrases = []phrase{
	{"reporting-mta", fieldReportingMTA},
	{"received-from-mta", fieldReceivedFrom},
	{"arrival-date", fieldArrival},
	{"original-envelope-id", fieldEnvelopeID},
	{"final-recipient", fieldFinal},
	{"original-recipient", fieldOriginal},
	{"x-actual-recipient", fieldActual},
	{"action", fieldAction},
	{"status", fieldStatus},
	{"remote-mta", fieldRemoteMTA},
	{"diagnostic-code", fieldDiagnostic},
	{"last-attempt-date", fieldLastAttempt},
	{"will-retry-until", fieldRetryUntil},
	{"final-log-id", fieldLogID},
	{"x-postfix-queue-id", fieldQueueID},
	{"x-ppe-hosted-esmtp-server-queue-id", fieldQueueID},
	{"x-postfix-sender", fieldSender},
	{"x-ppe-hosted-esmtp-server-sender", fieldSender},
	{"x-failed-recipients", fieldFailedRecipients},
	{"feedback-type", fieldFeedback},
	{"disposition", fieldDisposition},
}

var textPhrases = []phrase{
	// Where the returned message begins.
	{"original message headers", signReturned},
	{"ursprüngliche nachrichtenkopf", signReturned},
	{"ursprüngliche kopfzeilen", signReturned},
	{"en-têtes de message d'origine", signReturned},
	{"en-têtes du message d'origine", signReturned},
	{"en-têtes de message d\u2019origine", signReturned},
	{"en-têtes d'origine", signReturned},
	{"encabezados del mensaje original", signReturned},
	{"encabezados de mensaje original", signReturned},
	{"encabezados originales del mensaje", signReturned},
	{"intestazioni originali del messaggio", signReturned},
	{"intestazioni del messaggio originale", signReturned},
	{"oorspronkelijke berichtkop", signReturned},
	{"cabeçalhos originais da mensagem", signReturned},
	{"cabeçalhos da mensagem original", signReturned},
	{"cabeçalhos de mensagem original", signReturned},
	{"cabeçalhos de mensagens originais", signReturned},
	{"ursprungliga meddelanderubriker", signReturned},
	{"ursprungliga meddelandehuvuden", signReturned},
	{"oprindelige meddelelses", signReturned},
	{"oprindelige brevhoveder", signReturned},
	{"opprinnelige meldingshoder", signReturned},
	{"alkuperäisen viestin otsikko", signReturned},
	{"oryginalne nagłówki wiadomości", signReturned},
	{"původní záhlaví zprávy", signReturned},
	{"元のメッセージ ヘッダー", signReturned},
	{"原始邮件标头", signReturned},
	{"原始郵件標頭", signReturned},
	{"исходные заголовки сообщения", signReturned},
	{"original headers", signReturned},
	{"this is a copy of the message", signReturned},
	{"this is a copy of your message", signReturned},
	{"this is a copy of the headers", signReturned},
	{"the body of the message is", signReturned},
	{"below this line is a copy", signReturned},
	{"below is a copy of the original", signReturned},
	{"below this line is the original", signReturned},
	{"enclosed is a copy of the message", signReturned},
	{"original message follows", signReturned},
	{"original message is attached", signReturned},
	{"original message ---", signReturned}, // "----- Original message -----"; Outlook's own mark has "Original Message-----"
	{"unsent message follows", signReturned},
	{"unsent message below", signReturned},
	{"message header follows", signReturned},
	{"message headers follow", signReturned},
	{"message headers:", signReturned},
	{"message text follows", signReturned},
	{"message follows", signReturned},
	{"returned message", signReturned},
	{"returned mail follows", signReturned},
	{"the header of the original message", signReturned},
	{"the headers of the original message", signReturned},
	{"header of the original message", signReturned},
	{"included is a copy of the message", signReturned},
	{"a copy of the original message", signReturned},
	{"copy of the original message", signReturned},
	{"undelivered message headers", signReturned},
	{"the original message headers", signReturned},
	{"begin message", signReturned},
	{"start of message", signReturned},
	{"rejected message", signReturned},
	{"вот начало вашего письма", signReturned},
	{"return-path:", signReturnedHere},
	{"received:", signReturnedHere},
	{"x-received:", signReturnedHere},
	{"dkim-signature:", signReturnedHere},
	{"arc-seal:", signReturnedHere},
	{"authentication-results:", signReturnedHere},
	{"message-id:", signReturnedHere},
	{"mime-version:", signReturnedHere},

	// The header that a forward or an answer prints, in the languages of mail
	// programs.
	{"from:", signMailFrom},
	{"from :", signMailFrom},
	{"von:", signMailFrom},
	{"de:", signMailFrom},
	{"de :", signMailFrom},
	{"da:", signMailFrom},
	{"van:", signMailFrom},
	{"från:", signMailFrom},
	{"fra:", signMailFrom},
	{"lähettäjä:", signMailFrom},
	{"od:", signMailFrom},
	{"差出人:", signMailFrom},
	{"发件人:", signMailFrom},
	{"sent:", signMailLine},
	{"date:", signMailLine},
	{"date :", signMailLine},
	{"to:", signMailLine},
	{"cc:", signMailLine},
	{"subject:", signMailLine},
	{"reply-to:", signMailLine},
	{"importance:", signMailLine},
	{"gesendet:", signMailLine},
	{"datum:", signMailLine},
	{"an:", signMailLine},
	{"betreff:", signMailLine},
	{"envoyé", signMailLine},
	{"à :", signMailLine},
	{"à:", signMailLine},
	{"objet :", signMailLine},
	{"objet:", signMailLine},
	{"enviado", signMailLine},
	{"fecha:", signMailLine},
	{"para:", signMailLine},
	{"asunto:", signMailLine},
	{"assunto:", signMailLine},
	{"inviato:", signMailLine},
	{"data:", signMailLine},
	{"a:", signMailLine},
	{"oggetto:", signMailLine},
	{"verzonden:", signMailLine},
	{"aan:", signMailLine},
	{"onderwerp:", signMailLine},
	{"skickat:", signMailLine},
	{"till:", signMailLine},
	{"ämne:", signMailLine},
	{"til:", signMailLine},
	{"emne:", signMailLine},
	{"件名:", signMailLine},
	{"宛先:", signMailLine},
	{"主题:", signMailLine},
	{"收件人:", signMailLine},

	// Forwards.
	{"original message-----", signForward},
	{"ursprüngliche nachricht-----", signForward},
	{"message d'origine-----", signForward},
	{"mensaje original-----", signForward},
	{"messaggio originale-----", signForward},
	{"forwarded message", signForward},
	{"begin forwarded message", signForward},
	{"weitergeleitete nachricht", signForward},
	{"message transféré", signForward},
	{"message transmis", signForward},
	{"mensaje reenviado", signForward},
	{"messaggio inoltrato", signForward},

	// Delay and success.
	{"this is a warning message only", signDelay},
	{"this is a warning only", signDelay},
	{"a message that you sent has not yet been delivered", signDelay},
	{"a message that you sent to one or more recipients has not yet", signDelay},
	{"a message sent by you has not yet been delivered", signDelay},
	{"has not yet been delivered", signDelay},
	{"the address to which the message has not yet", signDelay},
	{"the addresses to which the message has not yet", signDelay},
	{"the following addresses had transient non-fatal errors", signDelay},
	{"delivery to the following recipient has been delayed", signDelay},
	{"delivery to the following recipients has been delayed", signDelay},
	{"delivery delayed", signDelay},
	{"delays in delivering your message", signDelay}, // Courier's heading
	{"has not been delivered to one or more of the intended recipients", signDelay},
	{"this is only a notification about a delay", signDelay},
	{"a message is delayed for more than", signDelay},
	{"your message could not be delivered for more than", signDelay},
	{"message delayed", signDelay},
	{"delivery incomplete", signDelay},
	{"this message has not yet been delivered", signDelay},
	{"your message hasn't been delivered yet", signDelay},
	{"your message has been delayed", signDelay},
	{"there was a temporary problem delivering your message", signDelay},
	{"die zustellung an folgende empfänger", signDelay},
	{"your message was successfully delivered", signSuccess},
	{"your message has been successfully", signSuccess},
	{"your message was successfully", signSuccess},
	{"enclosed is the mail delivery report that you requested", signSuccess},
	{"your message has been delivered to the following recipients", signSuccess},
	{"your message was delivered to the following recipients", signSuccess},
	{"your message has been relayed to the following recipients", signSuccess},
	{"delivery to these recipients or groups is complete", signSuccess},
	{"delivery to these recipients or distribution lists is complete", signSuccess},
	{"the following addresses had successful delivery notifications", signSuccess},
	{"this is a success notification", signSuccess},
	{"your message has been delivered to the following distribution list", signSuccess},
	{"your message has been delivered to the following groups", signSuccess},
	{"your message has been sent to the following distribution list", signSuccess},

	// Postfix.
	{"this is the mail system at host", signPostfix},
	{"this is the mail delivery system at host", signPostfix},
	{"this is the postfix program at host", signPostfixOld},
	{"i'm sorry to have to inform you that", signPostfixIn},

	// Exim and its kin.
	{"this message was created automatically by mail delivery", signExim},
	{"this message was created automatically by the mail delivery", signExim},
	{"this message was created automatically by", signExim},
	{"это письмо создано автоматически", signExim},
	{"a message that you sent could not be delivered to", signEximFailed},
	{"a message that you sent contained one or more recipient addresses", signEximFailed},
	{"a message that you have sent could not be delivered", signEximFailed},
	{"a message sent by", signEximFailed},
	{"recipients. this is a permanent error. the following address", signEximMore},
	{"this is a permanent error", signEximMore},
	{"delay reason: ", signEximMore}, // the words around it may be in any language

	// Sendmail and its kin.
	{"the original message was received", signSendmailReceived},
	{"the following addresses had", signSendmailAddresses},
	{"the following address had", signSendmailAddresses},
	{"this message could not be delivered to the following", signSendmailAddresses},
	{"transcript of session follows", signSendmailTranscript},
	{"non-delivered information", signSendmailTranscript},
	{"while talking to", signTalking},
	{"... while talking to", signTalking},

	// qmail and Yahoo.
	{"hi. this is the", signQmail},
	{"i'm afraid i wasn't able to deliver your message", signQmail},
	{"message from ", signGeneric},
	{"sorry, we were unable to deliver your message", signYahoo},
	{"unable to deliver message to the following address", signYahoo},

	// Gmail and Workspace.
	{"address not found", signGmail},
	{"message blocked", signGmail},
	{"message not delivered", signGmail},
	{"message rejected **", signGmail},
	{"message too large", signGmail},
	{"recipient inbox full", signGmail},
	{"your message wasn't delivered to", signGmail},
	{"there was a problem delivering your message to", signGmail},
	{"your message to ", signGeneric},
	{"the response from the remote server was", signGmailResponse},
	{"the response was", signGmailResponse},
	{"nachricht nicht zugestellt", signGmail},
	{"nachricht blockiert", signGmail},
	{"adresse nicht gefunden", signGmail},
	{"antwort vom remote-server", signGmailResponse},
	{"antwort des remote-servers", signGmailResponse},
	{"die antwort vom remote-server", signGmailResponse},
	{"die antwort des remote-servers", signGmailResponse},
	{"die antwort lautet", signGmailResponse},
	{"message non distribué", signGmail},
	{"réponse du serveur distant", signGmailResponse},
	{"la réponse du serveur distant", signGmailResponse},
	{"la réponse est la suivante", signGmailResponse},
	{"mensaje no entregado", signGmail},
	{"no se ha entregado el mensaje", signGmail},
	{"respuesta del servidor remoto", signGmailResponse},
	{"la respuesta del servidor remoto", signGmailResponse},
	{"messaggio non consegnato", signGmail},
	{"risposta del server remoto", signGmailResponse},
	{"la risposta del server remoto", signGmailResponse},
	{"mensagem não entregue", signGmail},
	{"a resposta do servidor remoto", signGmailResponse},
	{"bericht niet bezorgd", signGmail},
	{"de reactie van de externe server", signGmailResponse},
	{"het antwoord van de externe server", signGmailResponse},
	{"delivery to the following recipient failed permanently", signGmailClassic},
	{"technical details of permanent failure", signGmailMore},
	{"technical details of temporary failure", signGmailMore},

	// Exchange and Exchange Online.
	{"delivery has failed to these recipients", signExchangeHuman},
	{"delivery is delayed to these recipients", signExchangeHuman},
	{"delivery to these recipients or groups has been delayed", signExchangeHuman},
	{"delivery to these recipients or distribution lists has been delayed", signExchangeHuman},
	{"delivery to these recipients", signExchangeHuman},
	{"échec de la remise pour ces destinataires", signExchangeHuman},
	{"échec de remise à ces destinataires", signExchangeHuman},
	{"fehler bei der nachrichtenzustellung an", signExchangeHuman},
	{"error de entrega a estos destinatarios", signExchangeHuman},
	{"no se pudo entregar el mensaje a", signExchangeHuman},
	{"impossibile recapitare il messaggio", signExchangeHuman},
	{"il recapito non è riuscito per i seguenti", signExchangeHuman},
	{"bezorgen aan deze geadresseerden", signExchangeHuman},
	{"falha na entrega a estes destinatários", signExchangeHuman},
	{"a entrega falhou para estes destinatários", signExchangeHuman},
	{"det gick inte att leverera till dessa mottagare", signExchangeHuman},
	{"diagnostic information for administrators", signExchangeAdmin},
	{"diagnoseinformationen für administratoren", signExchangeAdmin},
	{"informations de diagnostic pour les administrateurs", signExchangeAdmin},
	{"información de diagnóstico para", signExchangeAdmin},
	{"informazioni di diagnostica per", signExchangeAdmin},
	{"diagnostische gegevens voor beheerders", signExchangeAdmin},
	{"diagnostische informatie voor", signExchangeAdmin},
	{"informações de diagnóstico para", signExchangeAdmin},
	{"diagnostikinformation för", signExchangeAdmin},
	{"diagnosticeringsoplysninger ", signExchangeAdmin},
	{"diagnoseinformasjon for ", signExchangeAdmin},
	{"diagnostiikkatiedot ", signExchangeAdmin},
	{"informacje diagnostyczne dla ", signExchangeAdmin},
	{"diagnostické informace pro ", signExchangeAdmin},
	{"informații de diagnosticare pentru ", signExchangeAdmin},
	{"диагностические сведения для ", signExchangeAdmin},
	{"管理者向けの診断情報", signExchangeAdmin},
	{"管理者用の診断情報", signExchangeAdmin},
	{"供管理员使用的诊断信息", signExchangeAdmin},
	{"管理员的诊断信息", signExchangeAdmin},
	{"系統管理員的診斷資訊", signExchangeAdmin},
	{"관리자를 위한 진단 정보", signExchangeAdmin},
	{"generating server", signGenerating},
	{"generierender server", signGenerating},
	{"serveur de génération", signGenerating},
	{"serveur générateur", signGenerating},
	{"servidor de generación", signGenerating},
	{"servidor generador", signGenerating},
	{"server di generazione", signGenerating},
	{"server che ha generato", signGenerating},
	{"bronserver", signGenerating},
	{"genererende server", signGenerating},
	{"servidor de origem", signGenerating},
	{"servidor gerador", signGenerating},
	{"genererande server", signGenerating},
	{"genererar server", signGenerating},
	{"genererer server", signGenerating}, // Danish and Norwegian
	{"genererende server", signGenerating},
	{"genererings-server", signGenerating},
	{"server, der genererer", signGenerating},
	{"gerando servidor", signGenerating},
	{"luova palvelin", signGenerating},
	{"serwer generujący", signGenerating},
	{"generující server", signGenerating},
	{"létrehozó kiszolgáló", signGenerating},
	{"generáló kiszolgáló", signGenerating},
	{"oluşturan sunucu", signGenerating},
	{"server generator", signGenerating},
	{"создающий сервер", signGenerating},
	{"формирующий сервер", signGenerating},
	{"生成サーバー", signGenerating},
	{"生成服务器", signGenerating},
	{"產生伺服器", signGenerating},
	{"생성 서버", signGenerating},
	{"sent by:", signSentBy},
	{"sent by\t", signSentBy},
	{"dsn generated by", signSentBy},
	{"message rejected by", signRejectedBy},
	{"status code:", signStatusCode},
	{"status code\t", signStatusCode},
	{"error details", signStatusCode},
	{"original message details", signStatusCode},
	{"reported error", signStatusCode},
	{"statuscode:", signStatusCode},
	{"code d'état", signStatusCode},
	{"code de statut", signStatusCode},
	{"código de estado:", signStatusCode},
	{"código de status:", signStatusCode},
	{"codice di stato:", signStatusCode},
	{"statuskod:", signStatusCode},
	{"kod stanu:", signStatusCode},
	{"状態コード:", signStatusCode},
	{"statuskode:", signStatusCode},
	{"stavový kód:", signStatusCode},
	{"állapotkód:", signStatusCode},
	{"tilakoodi:", signStatusCode},
	{"durum kodu:", signStatusCode},
	{"cod de stare:", signStatusCode},
	{"код состояния:", signStatusCode},
	{"状态代码:", signStatusCode},
	{"狀態碼:", signStatusCode},
	{"상태 코드:", signStatusCode},
	{"gemeldeter fehler:", signStatusCode},
	{"erreur signalée", signStatusCode},
	{"error notificado:", signStatusCode},
	{"errore segnalato:", signStatusCode},
	{"gerapporteerde fout:", signStatusCode},
	{"erro relatado:", signStatusCode},
	{"dsn generiert von", signSentBy},
	{"dsn généré par", signSentBy},
	{"dsn generado por", signSentBy},
	{"dsn generato da", signSentBy},
	{"dsn gegenereerd door", signSentBy},
	{"dsn gerado por", signSentBy},
	{"dsn gerada por", signSentBy},
	{"nachricht abgelehnt von", signRejectedBy},
	{"message rejeté par", signRejectedBy},
	{"mensaje rechazado por", signRejectedBy},
	{"messaggio rifiutato da", signRejectedBy},
	{"bericht geweigerd door", signRejectedBy},
	{"mensagem rejeitada por", signRejectedBy},
	{"wiadomość odrzucona przez", signRejectedBy},
	{"remote server returned '", signReturnedLine},
	{"remote server at ", signReturnedLine},
	{"did not reach the following recipient", signOldExchange},
	{"your message did not reach some or all of the intended", signOldExchange},
	{"ihre nachricht hat einige oder alle empfänger nicht erreicht", signOldExchange},
	{"ihre nachricht hat einige oder alle der gewünschten empfänger nicht erreicht", signOldExchange},
	{"votre message n'est pas parvenu à certains", signOldExchange},
	{"votre message n'a pas atteint certains", signOldExchange},
	{"su mensaje no llegó a alguno", signOldExchange},
	{"el mensaje no llegó a alguno", signOldExchange},
	{"il messaggio non ha raggiunto alcuni", signOldExchange},
	{"il messaggio non è stato recapitato ad alcuni", signOldExchange},
	{"uw bericht heeft sommige of alle", signOldExchange},
	{"a mensagem não chegou a alguns", signOldExchange},
	{"sua mensagem não chegou a alguns", signOldExchange},
	{"ditt meddelande nådde inte", signOldExchange},
	{"folgende(r) empfänger kann/können nicht erreicht werden", signOldExchangeList},
	{"folgende(r) empfänger konnte(n) nicht erreicht werden", signOldExchangeList},
	{"folgende empfänger können nicht erreicht werden", signOldExchangeList},
	{"impossible de joindre le(s) destinataire(s)", signOldExchangeList},
	{"impossible de joindre les destinataires", signOldExchangeList},
	{"no se puede tener acceso a los destinatarios", signOldExchangeList},
	{"no se pudo entregar a los siguientes destinatarios", signOldExchangeList},
	{"impossibile raggiungere i seguenti destinatari", signOldExchangeList},
	{"impossibile raggiungere i destinatari seguenti", signOldExchangeList},
	{"de volgende geadresseerde(n) kan/kunnen niet worden bereikt", signOldExchangeList},
	{"de volgende geadresseerden kunnen niet worden bereikt", signOldExchangeList},
	{"não é possível contactar os seguintes destinatários", signOldExchangeList},
	{"não é possível acessar o(s) seguinte(s) destinatário(s)", signOldExchangeList},
	{"följande mottagare kan inte nås", signOldExchangeList},
	{"the following recipient(s) could not be reached", signOldExchangeList},
	{"the following recipient(s) cannot be reached", signOldExchangeList},
	{"the following recipients could not be reached", signOldExchangeList},

	// Others, by the words they open with.
	{"this is an automatically generated delivery status notification", signOutlook},
	{"delivery to the following recipients failed", signOutlook},
	{"unable to deliver message to the following recipients", signOutlook},
	{"an error occurred while trying to deliver the mail to the following", signSES},
	{"the following message to", signSES},
	{"{\"notificationtype\"", signSESJSON},
	{"{\"eventtype\"", signSESJSON},
	{"{ \"notificationtype\"", signSESJSON},
	{"\"notificationtype\"", signSESJSON},
	{"this is an automatically generated message from sendgrid", signSendGrid},
	{"this is the dragonfly mail agent", signDragonFly},
	{"there was an error delivering your mail to", signDragonFly},
	{"this is the mailer-daemon, please do not reply", signOpenSMTPD},
	{"an error has occurred while attempting to deliver a message", signOpenSMTPD},
	{"this report relates to a message you sent", signMessagingServer},
	{"your message cannot be delivered to the following", signMessagingServer},
	{"this is a delivery status notification from", signCourier},
	{"was not delivered to", signDomino},
	{"failure reasons", signDomino},
	{"delivery failure report", signDomino},
	{"zustellungsfehlerbericht", signDomino},
	{"zustellfehlerbericht", signDomino},
	{"rapport d'échec de distribution", signDomino},
	{"rapport de non-distribution", signDomino},
	{"informe de error de entrega", signDomino},
	{"rapporto di mancata consegna", signDomino},
	{"hello, this is the mail server on", signPowerMTA},
	{"could not be delivered because of", signMailMarshal},
	{"was blocked by our spam", signBarracuda},
	{"your message could not be sent", signSurfControl},
	{"the message that you sent was undeliverable", signOther},
	{"the attached message had permanent", signMDaemon},
	{"the attached message had transient", signMDaemon},
	{"the following message had permanent", signMDaemon},
	{"the following message had transient", signMDaemon},
	{"the problem appears to be", signMimecast},
	{"this is a delivery failure notification message indicating", signMimecast},
	{"last delivery response", signPortal},
	{"was considered unsolicited bulk e-mail", signAmavis},
	{"this nondelivery report was generated by the program amavis", signAmavisOwn},
	{"this non-delivery report was generated by the program amavis", signAmavisOwn},
	{"was not delivered", signGeneric},
	{"we were unable to deliver your message", signGeneric},
	{"i was unable to deliver your message", signOther},
	{"this is an email abuse report", signComplaint},
	{"this is an opt-out report for an email", signComplaint},
	{"this is a email abuse report", signComplaint},
	{"this is an abuse report for", signComplaint},
	{"this is an automatic abuse report", signComplaint},
	{"this is an email feedback report", signComplaint},
	{"this is a spam report", signComplaint},
	{"this is an autogenerated email abuse complaint", signComplaint},
	{"i am out of the office", signAutoreply},
	{"i'm out of the office", signAutoreply},
	{"i will be out of the office", signAutoreply},
	{"i am currently out of the office", signAutoreply},
	{"i'm currently out of the office", signAutoreply},
	{"i am on vacation", signAutoreply},
	{"thank you for your message. i am", signAutoreply},
	{"thank you for your email. i am", signAutoreply},
	{"ich bin nicht im büro", signAutoreply},
	{"ich bin bis", signAutoreply},
	{"ich bin derzeit nicht", signAutoreply},
	{"ich bin vom", signAutoreply},
	{"je suis absent", signAutoreply},
	{"je suis actuellement absent", signAutoreply},
	{"estoy fuera de la oficina", signAutoreply},
	{"sono fuori sede", signAutoreply},
	{"ik ben afwezig", signAutoreply},
	{"this email inbox", signAutoreply},
	{"this mailbox is not monitored", signAutoreply},
	{"this email address is no longer", signAutoreply},
	{"delivery to the following recipients was aborted", signOther},
	{"delevery to the following recipients was aborted", signOther},
	{"each of the following recipients was rejected", signOther},
	{"we had trouble delivering your message", signOther},
	{"did not reach the following recipient:", signGeneric},
	{"this is the nullmailer delivery system", signOther},
	{"could not be delivered to one or more of the intended", signGeneric},
	{"this message could not be delivered", signGeneric},
	{"could not be delivered to", signGeneric},
	{"the following recipients were affected", signGeneric},
	{"the following recipient", signGeneric},
	{"message could not be delivered", signGeneric},
	{"mail could not be delivered", signGeneric},
	{"your mail message to the following", signGeneric},
	{"delivery failure", signGeneric},
	{"undeliverable", signGeneric},
	{"delivery failed", signGeneric},
	{"error message below", signGeneric},
	{"unknown user:", signGeneric},
	{"the following addresses failed", signGeneric},
	{"the reason for the problem", signGeneric},
	{"your mail sent on:", signGeneric},
	{"you are not a member of this mailing list", signGeneric},
}

// minWrapped is the least number of bytes of a phrase that count as its first
// line.
const minWrapped = 12

// signTable finds the phrases by the first byte of a line.
var signTable = func() (t [256][]phrase) {
	add := func(rows []phrase) {
		for _, p := range rows {
			t[p.words[0]] = append(t[p.words[0]], p)
		}
	}
	add(fieldPhrases)
	add(textPhrases)
	// Localised words begin with letters that fold outside ASCII.
	for _, p := range textPhrases {
		if p.words[0] == 0xc3 && len(p.words) > 1 && p.words[1] == 0xa9 { // é, É
			t[0xc3] = append(t[0xc3], phrase{"\u00c9" + p.words[2:], p.sign})
		}
		if p.words[0] == 0xc3 && len(p.words) > 1 && p.words[1] == 0xa0 { // à, À
			t[0xc3] = append(t[0xc3], phrase{"\u00c0" + p.words[2:], p.sign})
		}
		if p.words[0] == 0xd1 || p.words[0] == 0xd0 { // Cyrillic
			upper := upperFirst(p.words)
			t[upper[0]] = append(t[upper[0]], phrase{upper, p.sign})
		}
	}
	for c := byte('A'); c <= 'Z'; c++ {
		t[c] = t[c+'a'-'A']
	}
	return t
}()

// openings leads from the first three letters of a line to the phrases that
// begin with them. Most lines begin with none: a look at one bit tells.
var openings = func() *openingTable {
	t := &openingTable{lists: make([][]candidate, 1)}
	add := func(first, second, third byte, p phrase, row int) {
		n := opening(first, second, third)
		t.some[n/64] |= 1 << (n % 64)
		if row < 0 {
			return
		}
		if t.list[n] == 0 {
			t.list[n] = uint16(len(t.lists))
			t.lists = append(t.lists, nil)
		}
		list := &t.lists[t.list[n]]
		o := candidateOf(p, row)
		if slices.Contains(*list, o) {
			return
		}
		k := 0
		for k < len(*list) && (*list)[k].row <= row {
			k++
		}
		*list = slices.Insert(*list, k, o)
	}
	for _, rows := range signTable {
		for k, p := range rows {
			if len(p.words) > 2 {
				add(p.words[0], p.words[1], p.words[2], p, k)
				continue
			}
			for c := range byte(32) {
				add(p.words[0], p.words[1], c, p, k)
			}
		}
	}
	for n := range 1 << 10 {
		add('x', byte(n>>5), byte(n&31), phrase{}, -1) // for kinField
	}
	return t
}()

type openingTable struct {
	some  [1 << 15 / 64]uint64 // a bit for each opening
	list  [1 << 15]uint16      // its place among the lists; 0: the empty one
	lists [][]candidate        // of any first byte with the opening
}

// candidate is a phrase with a given opening.
type candidate struct {
	row int // of signTable
	// words and mask tell most lines from the phrase in one comparison: its bytes
	// behind the opening, without case, as far as it has them.
	words, mask uint64
}

// candidateOf is a phrase as the list of its opening has it.
func candidateOf(p phrase, row int) candidate {
	o := candidate{row: row}
	for i := range min(len(p.words)-3, 8) {
		o.words |= uint64(p.words[3+i]|0x20) << (8 * i)
		o.mask |= 0xff << (8 * i)
	}
	return o
}

// opening is the number of three letters, without case. Other bytes share the
// numbers of letters.
func opening(first, second, third byte) int {
	return int(first&31)<<10 | int(second&31)<<5 | int(third&31)
}

// mayOpen reports whether a phrase may begin with the three bytes.
func mayOpen(b []byte) bool {
	n := opening(b[0], b[1], b[2])
	return openings.some[n/64]&(1<<(n%64)) != 0
}

// signAt gives the sign of a line and the length of what stands for it.
func signAt(line []byte) (sign, int) {
	s, n, _ := phraseAt(line)
	if s == signWrapped {
		return signNone, 0 // the line alone says nothing
	}
	return s, n
}

// phraseAt is signAt with the row of the phrase.
func phraseAt(line []byte) (s sign, n, row int) {
	i := 0
	for i < len(line) && isOrnament[line[i]] {
		i++
	}
	if i == len(line) {
		if i > 8 {
			return signSeparator, i, 0
		}
		return signNone, 0, 0
	}
	rows := signTable[line[i]]
	if len(rows) == 0 {
		return signNone, 0, 0
	}
	rest := line[i:]
	if len(rest) < 3 || !mayOpen(rest) {
		return signNone, 0, 0
	}
	list := openings.lists[openings.list[opening(rest[0], rest[1], rest[2])]]
	if len(list) == 0 && rest[0]|0x20 != 'x' {
		return signNone, 0, 0
	}
	behind, known := uint64(0), ^uint64(0) // the bytes behind the opening
	if len(rest) >= 11 {
		behind = binary.LittleEndian.Uint64(rest[3:]) | 0x2020202020202020
	} else {
		known = 0
	}
	wrapped := -1
	for j := range list {
		o := &list[j]
		if (behind^o.words)&o.mask&known != 0 {
			continue
		}
		k := o.row
		if k >= len(rows) {
			continue // of another first byte
		}
		p := &rows[k]
		if len(rest) < len(p.words) {
			// The line may hold the first words of a phrase that was wrapped.
			if wrapped < 0 && len(rest) >= minWrapped && p.wrapsBehind(rest) {
				wrapped = k
			}
			continue
		}
		if !foldPrefix(rest, p.words) {
			continue
		}
		n := i + len(p.words)
		if p.sign < signField {
			j := skipBlanks(line, n)
			if j >= len(line) || line[j] != ':' {
				continue
			}
			return p.sign, j + 1, k
		}
		return p.sign, n, k
	}
	if wrapped >= 0 {
		return signWrapped, 0, wrapped
	}
	if rest[0]|0x20 == 'x' {
		s, n := kinField(line, i)
		return s, n, 0
	}
	return signNone, 0, 0
}

// wrapsBehind reports whether the words are the first ones of the phrase.
func (p *phrase) wrapsBehind(words []byte) bool {
	return p.sign > signField && len(p.words) > len(words) && p.words[len(words)] == ' ' && foldPrefix(words, p.words[:len(words)])
}

// kinField knows the fields of Postfix's kin: X-<mail name>-Queue-ID and
// X-<mail name>-Sender.
func kinField(line []byte, i int) (sign, int) {
	n := fieldName(line[i:])
	if n == 0 {
		return signNone, 0
	}
	name := line[i : i+n]
	switch {
	case n > 10 && foldEqual(name[n-9:], "-queue-id"):
		return fieldQueueID, i + n + 1
	case n > 8 && foldEqual(name[n-7:], "-sender") && !foldPrefix(name, "x-original") && !foldPrefix(name, "x-envelope"):
		return fieldSender, i + n + 1
	}
	return signNone, 0
}

// isOrnament is true for what stands before the words of a line: blanks, rules,
// boxes, list marks.
var isOrnament = func() (t [256]bool) {
	for _, c := range []byte(" \t-=*#_|") {
		t[c] = true
	}
	return t
}()

// signSet is a set of signs.
type signSet [2]uint64

func (s *signSet) add(x sign) { s[x>>6] |= 1 << (x & 63) }

// signsOf is the set of some signs.
func signsOf(signs ...sign) (s signSet) {
	for _, x := range signs {
		s.add(x)
	}
	return s
}

func (s *signSet) meets(t signSet) bool { return s[0]&t[0]|s[1]&t[1] != 0 }

// scan finds the marks of the lines [first, last).
func (d *Document) scan(marks []mark, first, last int) []mark {
	for i := first; i < last; i++ {
		line := d.Line(i)
		if len(line) < 4 {
			continue
		}
		s, n, row := phraseAt(line)
		if s == signWrapped {
			s, n, row = d.wrappedPhrase(line, row, i+1, last)
		}
		if s == signNone && line[0] == '<' && postfixItem(line) {
			s, n = signPostfixItem, 1
		}
		if s == signNone && line[len(line)-1] == ':' && bytes.HasSuffix(line, []byte("email addresses:")) {
			s, n = signExchangeHuman, len(line) // "R rejected your message to the following email addresses:"
		}
		if s != signNone {
			marks = append(marks, mark{line: int32(i), at: int32(d.LineStart(i) + n), sign: s, row: int16(row)})
		}
	}
	return marks
}

// wrappedPhrase looks whether one of the phrases whose first words are a line,
// from a row on, goes on in the next one. Behind is the number of bytes from
// the start of the first line to the end of the phrase.
func (d *Document) wrappedPhrase(line []byte, row, next, last int) (s sign, behind, at int) {
	if next >= last {
		return signNone, 0, 0
	}
	i := 0
	for i < len(line) && isOrnament[line[i]] {
		i++
	}
	rest := line[i:]
	l := d.Line(next)
	n := skipBlanks(l, 0)
	rows := signTable[line[i]]
	for k := row; k < len(rows); k++ {
		if p := &rows[k]; p.wrapsBehind(rest) && foldPrefix(l[n:], p.words[len(rest)+1:]) {
			return p.sign, d.LineStart(next) - d.LineStart(next-1) + n + len(p.words) - len(rest) - 1, k
		}
	}
	return signNone, 0, 0
}

// upperFirst is a word with its first letter in upper case.
func upperFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}
