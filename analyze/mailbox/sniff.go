package mailbox

import "bytes"

// magics are files that people send in place of text, by their first bytes.
var magics = []struct {
	begin  string
	what   string
	advice string
}{
	{"\x89PNG\r\n\x1a\n", "it is a PNG picture", adviceText},
	{"\xff\xd8\xff", "it is a JPEG picture", adviceText},
	{"GIF87a", "it is a GIF picture", adviceText},
	{"GIF89a", "it is a GIF picture", adviceText},
	{"BM", "it is a picture", adviceText},
	{"RIFF", "it is a picture or a recording", adviceText},
	{"II*\x00", "it is a TIFF picture", adviceText},
	{"MM\x00*", "it is a TIFF picture", adviceText},
	{"%PDF-", "it is a PDF document", adviceText},
	{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "it is an Outlook .msg or another Office file", adviceEML},
	{"PK\x03\x04", "it is a zip archive or an Office document", adviceUnpack},
	{"PK\x05\x06", "it is an empty zip archive", adviceUnpack},
	{"7z\xbc\xaf\x27\x1c", "it is a 7-Zip archive", adviceUnpack},
	{"Rar!\x1a\x07", "it is a RAR archive", adviceUnpack},
	{"BZh", "it is a bzip2 file", adviceUnpack},
	{"\xfd7zXZ\x00", "it is an xz file", adviceUnpack},
	{"\x28\xb5\x2f\xfd", "it is a zstd file", adviceUnpack},
	{"\x1f\x8b\x08", "it is a gzip file inside a gzip file", adviceUnpack},
	{"\x78\x9f\x3e\x22", "it is a winmail.dat (TNEF) attachment", adviceEML},
	{"!BDN", "it is an Outlook .pst file", adviceEML},
	{"{\\rtf", "it is an RTF document", adviceText},
	{"\x7fELF", "it is a program", adviceText},
	{"MZ\x90\x00", "it is a program", adviceText},
	{"SQLite format 3\x00", "it is a database", adviceText},
}

const (
	adviceText   = "copy the text of the bounce and paste it, or save the mail as .eml"
	adviceEML    = "save the mail as .eml: in Outlook drag it into a web mail or use Save As text; in Outlook on the web choose Download"
	adviceUnpack = "unpack it and give the files or the folder"
)

// sample is how many bytes are looked at to tell text from other things.
const sample = 8 << 10

// sniff says what a source is when it is not text: in a few words, with advice.
func sniff(b []byte) (problem, advice string) {
	for _, m := range magics {
		if !bytes.HasPrefix(b, []byte(m.begin)) {
			continue
		}
		if len(m.begin) < 4 && text(b[:min(len(b), sample)]) {
			continue // two or three letters prove nothing
		}
		return m.what, m.advice
	}
	if !text(b[:min(len(b), sample)]) {
		return "it is not text", adviceText
	}
	return "", ""
}

// text reports whether bytes are text of some charset. UTF-16 has a NUL in
// every other byte; else hardly any control byte stands in a text, while of
// random bytes every tenth is one.
func text(b []byte) bool {
	if bytes.HasPrefix(b, []byte{0xff, 0xfe}) || bytes.HasPrefix(b, []byte{0xfe, 0xff}) {
		return true
	}
	b = bytes.TrimRight(b, "\x00") // files that were given room beforehand
	if len(b) == 0 {
		return true
	}
	var even, odd, control int
	for i, c := range b {
		switch {
		case c == 0:
			if i&1 == 0 {
				even++
			} else {
				odd++
			}
		case c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != '\v' && c != 0x1b && c != '\b' && c != 0x07:
			control++
		}
	}
	half := len(b) / 2
	if half > 0 && (even*2 > half && odd*8 < half || odd*2 > half && even*8 < half) {
		return control*20 <= len(b) // UTF-16 without a mark
	}
	return (control+even+odd)*20 <= len(b)
}

// looksLikeLog reports whether nine in ten lines begin with a time stamp, as
// logs of mail servers do: "Nov 23 07:40:47 ", "2026-11-23 07:40:47 ",
// "2026-11-23T07:40:47".
func looksLikeLog(head []byte, eol byte) bool {
	lines, stamped := 0, 0
	for len(head) > 0 && lines < 200 {
		i := bytes.IndexByte(head, eol)
		if i < 0 {
			break
		}
		line := head[:i]
		head = head[i+1:]
		if len(bytes.TrimSpace(line)) == 0 || line[0] == '#' {
			continue
		}
		lines++
		if stamp(line) {
			stamped++
		}
	}
	return lines >= 20 && stamped*10 >= lines*9
}

// stamp reports whether a line begins with a date and a time of day.
func stamp(line []byte) bool {
	if len(line) < len("Nov 23 07:40:47") {
		return false
	}
	if digits(line[:4]) && line[4] == '-' {
		return len(line) > 18 && digits(line[5:7]) && digits(line[8:10]) && (line[10] == 'T' || line[10] == ' ') && line[13] == ':' && line[16] == ':'
	}
	if line[0] == '<' || line[0] == '[' {
		return false
	}
	return line[3] == ' ' && line[9] == ':' && line[12] == ':' && digits(line[7:9]) && digits(line[10:12]) && digits(line[13:15])
}
