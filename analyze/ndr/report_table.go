package ndr

import (
	"bytes"
	"io"
	"mime"

	"golang.org/x/text/encoding/htmlindex"
)

// reportFamilies are the reports: DSNs and NDRs. The words that open each stand
// in textPhrases. All go through the same reader of delivery-status fields; the
// row names the reader of the text.
var reportFamilies = []family{
	reportFamily("ses-notice", 99, sesJSON, signSESJSON),
	reportFamily("ppe-portal", 96, textReader(portalText), signPortal),
	{format: "ppe-portal", nature: NatureReport, sniff: isPortalTable, read: portalTable},
	reportFamily("m365-modern", 90, textReader(exchangeText), signSentBy, signRejectedBy),
	reportFamily("m365-classic", 92, textReader(exchangeText), signGenerating),
	reportFamily("exchange", 80, textReader(exchangeText), signExchangeAdmin, signExchangeHuman, signStatusCode, signReturnedLine),
	{format: "exchange", nature: NatureReport, sniff: unknownLanguage, read: textReader(exchangeText)},
	{format: "m365-trace", nature: NatureLog, sniff: isTrace, read: traceText},
	{format: "google-log-search", nature: NatureLog, sniff: isLogSearch, read: logSearch},
	reportFamily("dragonfly", 95, textReader(dragonFlyText), signDragonFly),
	reportFamily("opensmtpd", 95, textReader(openSMTPDText), signOpenSMTPD),
	reportFamily("courier", 95, textReader(courierText), signCourier),
	reportFamily("messagingserver", 95, textReader(messagingServerText), signMessagingServer),
	reportFamily("sendgrid", 95, textReader(sendGridText), signSendGrid),
	reportFamily("amazon-ses", 95, textReader(sesText), signSES),
	reportFamily("postfix-dsn", 94, textReader(postfixText), signPostfix, signPostfixOld, signPostfixIn),
	reportFamily("postfix-dsn", 85, textReader(postfixText), signPostfixItem),
	{format: "postfix-session", nature: NatureReport, sniff: isPostfixSession, read: postfixSession},
	reportFamily("qmail", 93, textReader(qmailText), signQmail, signYahoo),
	reportFamily("exim-dsn", 92, textReader(eximText), signExim, signEximFailed, signEximMore),
	reportFamily("exchange-2003", 91, textReader(oldExchangeText), signOldExchange, signOldExchangeList),
	reportFamily("gmail", 90, textReader(gmailText), signGmail, signGmailClassic, signGmailMore, signGmailResponse),
	reportFamily("sendmail-dsn", 90, textReader(sendmailText), signSendmailAddresses, signSendmailTranscript, signTalking),
	reportFamily("outlook", 88, textReader(outlookText), signOutlook),
	reportFamily("mimecast", 88, textReader(mimecastText), signMimecast),
	reportFamily("amavis", 86, textReader(amavisText), signAmavisOwn),
	{format: "esp-event", nature: NatureReport, sniff: isEvent, read: eventJSON},
	reportFamily("mdaemon", 95, mdaemonReport, signMDaemon),
	reportFamily("domino", 85, textReader(dominoText), signDomino),
	reportFamily("surfcontrol", 85, textReader(surfControlText), signSurfControl),
	reportFamily("rfc3464", 40, textReader(nil), fieldFinal, fieldOriginal, fieldDiagnostic),
	reportFamily("ndr", 30, textReader(genericText), signPowerMTA, signMailMarshal, signBarracuda, signAmavis,
		signGeneric, signOther, signDelay, signSuccess, signSendmailReceived, fieldFailedRecipients, fieldAction, fieldReportingMTA, fieldRemoteMTA),
	{format: "complaint", nature: NatureComplaint, sniff: func(b *Block) int {
		if b.has(signsOf(signComplaint)) || !b.reports() && bytes.Contains(b.Text(), []byte("abuse report for an email message")) {
			return 60
		}
		return 0
	}, read: harmlessCase(NatureComplaint)},
	{format: "autoreply", nature: NatureAutoreply, sniff: func(b *Block) int {
		if b.has(signsOf(signAutoreply)) {
			return 5
		}
		return 0
	}, read: harmlessCase(NatureAutoreply)},
	{format: "ndr", nature: NatureReport, sniff: func(b *Block) int {
		if b.mail != nil && (b.mail.report == reportStatus || b.fromDaemon()) {
			return 25
		}
		if b.mail == nil && b.bringsBack() {
			return 20
		}
		return 0
	}, read: textReader(genericText)},
	{format: "mail", nature: NatureOther, sniff: func(b *Block) int {
		if b.mail != nil {
			return 1
		}
		return 0
	}, read: mailCase},
}

// reportFamily is a row for a family that its signs give away.
func reportFamily(format string, sure int, read func(*Block) []Case, signs ...sign) family {
	return family{format: format, nature: NatureReport, read: read, sure: sure, signs: signsOf(signs...)}
}

// textReader makes a reader of a block from a reader of its text.
func textReader(text func(*report)) func(*Block) []Case {
	return func(b *Block) []Case {
		return b.report(text)
	}
}

// unknownLanguage knows Exchange by the words that no translation changes, where
// no other words are known.
func unknownLanguage(b *Block) int {
	if b.reports() {
		return 0
	}
	t := b.Text()
	if n := bytes.Index(t, []byte(" returned '")); n > 0 && bytes.Contains(t[max(0, n-300):n], []byte("erver")) {
		if n += len(" returned '"); n < len(t) && (t[n] == '4' || t[n] == '5') {
			return 80 // surer than a word for "server" in that language, which devices write, too
		}
		return 30
	}
	// The human part alone begins with the name of a host.
	if bytes.Contains(t, []byte(" gave this error:")) || bytes.Contains(t, []byte(" rejected your message to the following")) {
		return 30
	}
	return 0
}

// harmlessCase reads a block that its words give away as no failure.
func harmlessCase(n Nature) func(*Block) []Case {
	return func(*Block) []Case { return []Case{{Nature: n}} }
}

// bringsBack reports whether the block brings a message back with its technical
// header: a report in words that no table has.
func (b *Block) bringsBack() bool {
	for i := range b.marks {
		if b.marks[i].sign != signReturned || i+1 >= len(b.marks) {
			continue
		}
		for _, m := range b.marks[i+1:] {
			if m.sign == signReturnedHere && m.line <= b.marks[i].line+30 {
				return true
			}
		}
	}
	return false
}

// isList reports whether the block's mail came through a list or a newsletter's
// sender, and is no report by its form: bounce words in it are its subject.
func (b *Block) isList() bool {
	if b.mail == nil || b.mail.report != reportNone || b.fromDaemon() {
		return false
	}
	return len(b.Header("list-unsubscribe")) > 0 || len(b.Header("list-id")) > 0 || foldPrefix(bytes.TrimSpace(b.Header("precedence")), "bulk") && len(b.Header("auto-submitted")) == 0
}

// fromDaemon reports whether the block's mail comes from a mail system.
func (b *Block) fromDaemon() bool {
	from := b.Header("from")
	return foldIndexIn(from, "mailer-daemon") >= 0 || foldIndexIn(from, "postmaster@") >= 0 || foldIndexIn(from, "mail delivery") >= 0
}

// wordDecoder reads encoded words in any charset that parts may have.
var wordDecoder = &mime.WordDecoder{CharsetReader: func(charset string, in io.Reader) (io.Reader, error) {
	enc, err := htmlindex.Get(charset)
	if err != nil {
		return in, nil
	}
	return enc.NewDecoder().Reader(in), nil
}}
