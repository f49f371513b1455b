package passport

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDatesOfTheCalendarAreRead(t *testing.T) {
	at := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
	for text, want := range map[string]time.Time{
		"2027-02-18": at(2027, 2, 18), "2028-02-29": at(2028, 2, 29), "2000-02-29": at(2000, 2, 29), "1999-12-31": at(1999, 12, 31),
	} {
		if got, err := ParseDate(text); err != nil || !got.Equal(want) {
			t.Errorf("%s is %v, %v", text, got, err)
		}
	}
	if got, err := ParseMonth("2027-02"); err != nil || !got.Equal(at(2027, 2, 1)) {
		t.Errorf("2027-02 is %v, %v", got, err)
	}
	want := time.Date(2027, 2, 18, 8, 30, 0, 250_000_000, time.UTC)
	if got, err := ParseInstant("2027-02-18T09:30:00.25+01:00"); err != nil || got != want {
		t.Errorf("instant is %v, %v", got, err)
	}
}

func TestDatesThatDoNotExistAreRefused(t *testing.T) {
	for _, text := range []string{
		"", "2027", "2027-02", "2027-2-18", "2027-02-29", "1900-02-29", "2027-13-01", "2027-00-10", "2027-04-31", "2027-04-00",
		"27-02-18", "20270218", "2027/02/18", "18.02.2027", "2027-02-18T00:00:00Z", "2027-02-18 ", " 2027-02-18", "0000-01-01",
		"-2027-02-18", "12027-02-18", "２０２７-02-18", "2027-W07-4", "2027-049",
	} {
		_, err := ParseDate(text)
		refused(t, err, "date.malformed", "2027-02-18")
	}
	for _, text := range []string{"", "2027", "2027-13", "2027-00", "2027-2", "2027-02-18", "02-2027", "2027-02Z", "0000-01", "Feb 2027"} {
		_, err := ParseMonth(text)
		refused(t, err, "month.malformed", "2027-02")
	}
	for _, text := range []string{
		"", "2027-02-18", "2027-02-18T09:30:00", "2027-02-18T09:30Z", "2027-02-18 09:30:00Z", "2027-02-18t09:30:00z", "2027-02-18T9:30:00Z",
		"2027-02-18T09:30:00,5Z", "2027-02-18T24:00:00Z", "2027-06-30T23:59:60Z", "2027-02-29T00:00:00Z", "2027-02-18T09:30:00+0100",
		"2027-02-18T09:30:00.Z", "2027-02-18T09:30:00+25:00", "0000-01-01T00:00:00Z",
	} {
		_, err := ParseInstant(text)
		refused(t, err, "instant.malformed", "2027-02-18T09:30:00Z")
	}
}

func TestDurationsAreReadPartByPart(t *testing.T) {
	for text, want := range map[string]Duration{
		"P8Y":             {Years: 8},
		"P1Y6M":           {Years: 1, Months: 6},
		"P18M":            {Months: 18},
		"P2W":             {Weeks: 2},
		"P0D":             {},
		"PT36H":           {Hours: 36},
		"P1Y2M3DT4H5M6S":  {Years: 1, Months: 2, Days: 3, Hours: 4, Minutes: 5, Seconds: 6},
		"PT5M":            {Minutes: 5},
		"P999999Y":        {Years: 999_999},
		"P0008Y":          {Years: 8},
		"P1DT0S":          {Days: 1},
		"P10Y0M0DT0H0M0S": {Years: 10},
	} {
		got, err := ParseDuration(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
	for _, text := range []string{
		"", "P", "PT", "P1YT", "8Y", "P8", "P8y", "p8Y", "P-8Y", "-P8Y", "+P8Y", "P1.5Y", "P1,5Y", "P1M1Y", "P1S", "P1H", "P1Y1W", "P1WT1H",
		"P8Y ", " P8Y", "P1Y2Y", "P1000000Y", "P0001-02-03T04:05:06", "2 years", "P８Y",
	} {
		_, err := ParseDuration(text)
		refused(t, err, "duration.malformed", "P8Y")
	}
}
