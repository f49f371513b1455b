package passport

import (
	"regexp"
	"strconv"
	"time"
)

// ParseDate reads a calendar date, YYYY-MM-DD (ISO 8601-1 section 5.2.2.1,
// extended form), and returns its midnight in UTC.
func ParseDate(s string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() == 0 {
		return time.Time{}, malformed("date.malformed", "a date that exists, such as 2027-02-18", s)
	}
	return t, nil
}

// ParseMonth reads a month, YYYY-MM, and returns the midnight in UTC that it
// begins with.
func ParseMonth(s string) (time.Time, error) {
	t, err := time.Parse("2006-01", s)
	if err != nil || t.Year() == 0 {
		return time.Time{}, malformed("month.malformed", "a month such as 2027-02", s)
	}
	return t, nil
}

var instantPattern = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$`)

// ParseInstant reads a date and time with its offset from UTC (RFC 3339, with
// capital T and Z) and returns it in UTC. Leap seconds are refused, as clocks
// in Go have none.
func ParseInstant(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() == 0 || !instantPattern.MatchString(s) {
		return time.Time{}, malformed("instant.malformed", "a time such as 2027-02-18T09:30:00Z", s)
	}
	return t.UTC(), nil
}

// Duration is a span of calendar time. Its parts do not convert into one
// another: a month has no fixed number of days.
type Duration struct {
	Years, Months, Weeks, Days, Hours, Minutes, Seconds int
}

var durationPattern = regexp.MustCompile(
	`^P(?:(\d{1,6})Y)?(?:(\d{1,6})M)?(?:(\d{1,6})W)?(?:(\d{1,6})D)?(T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?)?$`)

// ParseDuration reads an ISO 8601 duration of whole parts, such as P8Y or
// P1Y6M. At least one part must be there, and one after T. Weeks stand alone.
func ParseDuration(s string) (Duration, error) {
	m := durationPattern.FindStringSubmatch(s)
	if m == nil || s == "P" || m[5] == "T" || m[3] != "" && m[1]+m[2]+m[4]+m[5] != "" {
		return Duration{}, malformed("duration.malformed", "an ISO 8601 duration of whole parts, such as P8Y or P1Y6M", s)
	}
	part := func(i int) int {
		n, _ := strconv.Atoi(m[i]) // at most six digits, or nothing: 0
		return n
	}
	return Duration{
		Years: part(1), Months: part(2), Weeks: part(3), Days: part(4),
		Hours: part(6), Minutes: part(7), Seconds: part(8),
	}, nil
}
