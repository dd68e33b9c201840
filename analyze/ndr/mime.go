package ndr

// part is a MIME part of a mail: a hint for readers, never a condition.
type part struct {
	kind        string // "text/plain", "message/delivery-status", …; lower case
	start, end  int    // its body in Text
	header      int    // where its header starts in Text
	depth       int
	inReturned  bool // it stands inside a returned message
	reportType  string
}
