package ndr

import "time"

// stamp is the time at the beginning of a log line.
type stamp struct {
	when    time.Time // UTC; zero: only a clock time stands there
	hasYear bool      // syslog leaves the year out
}

// before reports whether s is earlier than t. Without years the shorter way
// round the calendar counts: 31 December is before 1 January.
func (s stamp) before(t stamp) bool {
	if s.when.IsZero() || t.when.IsZero() {
		return false
	}
	if s.hasYear && t.hasYear {
		return s.when.Before(t.when)
	}
	a, b := yearless(s.when), yearless(t.when)
	d := b.Sub(a)
	const half = 183 * 24 * time.Hour
	switch {
	case d > half:
		return false
	case d < -half:
		return true
	}
	return d > 0
}

// yearless puts a time into a leap year of its own.
func yearless(t time.Time) time.Time {
	return time.Date(2000, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// item is the time as an Item has it: a time without a year is none.
func (s stamp) item() time.Time {
	if !s.hasYear {
		return time.Time{}
	}
	return s.when
}

const monthNames = "JanFebMarAprMayJunJulAugSepOctNovDec"

// monthAt is the number of the month whose English abbreviation s begins with;
// 0 if it is none.
func monthAt(s []byte) int {
	if len(s) < 3 {
		return 0
	}
	for m := 0; m < 12; m++ {
		n := monthNames[3*m : 3*m+3]
		if s[0] == n[0] && s[1]|0x20 == n[1] && s[2]|0x20 == n[2] {
			return m + 1
		}
	}
	return 0
}

// digitsAt reads a number of at most most digits at s[i:].
func digitsAt(s []byte, i, most int) (n, end int) {
	end = i
	for end < len(s) && end-i < most && isDigit(s[end]) {
		n = n*10 + int(s[end]-'0')
		end++
	}
	return n, end
}

// stampAt reads the time that s begins with and its length; 0 if there is none.
//
//	Nov 23 07:40:47    Nov  3 2026 07:40:47    Mon Nov 23 07:40:47 2026
//	2026-11-23T07:40:47.123+01:00    2026-11-23 07:40:47,123    2026/11/23 07:40:47
//	23.11.2026 07:40:47    2026:11:23-07:40:47    07:40:47.403787
func stampAt(s []byte) (stamp, int) {
	if len(s) < 5 {
		return stamp{}, 0
	}
	if isDigit(s[0]) {
		return digitStamp(s)
	}
	i := 0
	if weekdayAt(s) && s[3] == ' ' {
		if isDigit(s[4]) { // MDaemon: "Fri 2026-11-20 09:12:30"
			t, n := digitStamp(s[4:])
			if n == 0 {
				return stamp{}, 0
			}
			return t, n + 4
		}
		i = 4
	}
	month := monthAt(s[i:])
	if month == 0 || i+5 > len(s) || s[i+3] != ' ' {
		return stamp{}, 0
	}
	i += 4
	for i < len(s) && s[i] == ' ' {
		i++
	}
	day, i := digitsAt(s, i, 2)
	if day < 1 || day > 31 || i >= len(s) || s[i] != ' ' {
		return stamp{}, 0
	}
	i++
	year := 0
	if y, j := digitsAt(s, i, 4); j == i+4 && j < len(s) && s[j] == ' ' {
		year, i = y, j+1
	}
	c, end := clockAt(s, i)
	if end == 0 {
		return stamp{}, 0
	}
	if year == 0 && end+5 <= len(s) && s[end] == ' ' {
		if y, j := digitsAt(s, end+1, 4); j == end+5 && y > 1980 && y < 2200 && (j == len(s) || s[j] == ' ') {
			year, end = y, j
		}
	}
	hasYear := year != 0
	if !hasYear {
		year = 2000
	}
	return stamp{time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Add(c), hasYear}, end
}

func weekdayAt(s []byte) bool {
	if len(s) < 4 {
		return false
	}
	switch string(s[:3]) {
	case "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun":
		return true
	}
	return false
}

// digitStamp reads the stamps that begin with a digit.
func digitStamp(s []byte) (stamp, int) {
	n, i := digitsAt(s, 0, 4)
	if i >= len(s) {
		return stamp{}, 0
	}
	if i <= 2 && s[i] == ':' {
		if _, end := clockAt(s, 0); end > 0 {
			return stamp{}, end
		}
		return stamp{}, 0
	}
	sep := s[i]
	// Sophos UTM: "2026:11:24-08:12:01".
	if sep != '-' && sep != '/' && sep != '.' && (sep != ':' || i != 4) {
		return stamp{}, 0
	}
	second, j := digitsAt(s, i+1, 2)
	if j == i+1 || j >= len(s) || s[j] != sep {
		return stamp{}, 0
	}
	third, k := digitsAt(s, j+1, 4)
	if k == j+1 || k >= len(s) || s[k] != 'T' && s[k] != ' ' && s[k] != ',' && s[k] != '\t' && s[k] != '-' {
		return stamp{}, 0
	}
	year, month, day := n, second, third
	if i < 4 {
		// 23.11.2026; with slashes day and month may be either.
		if k-j != 5 || sep != '.' {
			return stamp{}, 0
		}
		year, day = third, n
	}
	if month < 1 || month > 12 || day < 1 || day > 31 {
		return stamp{}, 0
	}
	if sep == ':' && s[k] == '-' {
		k++
	}
	for k+1 < len(s) && (s[k] == ' ' || s[k] == ',' || s[k] == 'T') && !isDigit(s[k]) {
		k++
	}
	c, end := clockAt(s, k)
	if end == 0 {
		return stamp{}, 0
	}
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Add(c)
	// The zone: "Z", "+01:00", "+0100", also behind a blank (Exim).
	z := end
	if z < len(s) && s[z] == ' ' && z+1 < len(s) && (s[z+1] == '+' || s[z+1] == '-') {
		z++
	}
	switch {
	case z < len(s) && s[z] == 'Z':
		end = z + 1
	case z+5 <= len(s) && (s[z] == '+' || s[z] == '-'):
		h, a := digitsAt(s, z+1, 2)
		if a != z+3 {
			break
		}
		if s[a] == ':' {
			a++
		}
		m, b := digitsAt(s, a, 2)
		if b != a+2 {
			break
		}
		offset := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute
		if s[z] == '+' {
			offset = -offset
		}
		t, end = t.Add(offset), b
	}
	return stamp{t, true}, end
}

// clockAt reads "07:40", "07:40:47", "07:40:47.123" or "…,123".
func clockAt(s []byte, i int) (time.Duration, int) {
	h, j := digitsAt(s, i, 2)
	if j == i || h > 24 || j >= len(s) || s[j] != ':' {
		return 0, 0
	}
	m, k := digitsAt(s, j+1, 2)
	if k != j+3 || m > 59 {
		return 0, 0
	}
	d := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute
	if k >= len(s) || s[k] != ':' {
		return d, k
	}
	sec, e := digitsAt(s, k+1, 2)
	if e != k+3 || sec > 60 {
		return d, k
	}
	d += time.Duration(sec) * time.Second
	if e+1 < len(s) && (s[e] == '.' || s[e] == ',') && isDigit(s[e+1]) {
		unit := time.Second
		e++
		for e < len(s) && isDigit(s[e]) {
			if unit >= 10 {
				unit /= 10
				d += time.Duration(s[e]-'0') * unit
			}
			e++
		}
	}
	return d, e
}
