package schema

import (
	"time"

	"github.com/provolt/provolt/internal/passport"
)

// window is the days a date can mean: one for YYYY-MM-DD, all of the month
// for YYYY-MM. The zero window is an unknown date.
type window struct{ first, last time.Time }

// windowOf reads the date, month or instant that stands here.
func windowOf(p place) window {
	if day, err := passport.ParseDate(p.text()); err == nil {
		return window{day, day}
	}
	if month, err := passport.ParseMonth(p.text()); err == nil {
		return window{month, month.AddDate(0, 1, -1)}
	}
	return window{}
}

// before reports whether every day of w lies before every day of o. Of an
// unknown date nothing is certain.
func (w window) before(o window) bool {
	return w != window{} && o != window{} && w.last.Before(o.first)
}

// aheadOfUTC is how much earlier than in UTC a day begins in the first time
// zone (UTC+14). A date has no zone: it lies ahead while it has begun nowhere.
const aheadOfUTC = 14 * time.Hour

// clockTolerance is how far the clock of a recording system may be ahead.
const clockTolerance = 5 * time.Minute

// notAhead warns of a date or month that has not begun anywhere.
func notAhead(r *crossReport, at place, now time.Time) {
	if first := windowOf(at).first; !now.IsZero() && first.Add(-aheadOfUTC).After(now) {
		r.fault(futureDate, at, "a date not after "+now.UTC().Format(time.DateOnly), at.text())
	}
}

// recordedBy wants a reading to be taken before it is sent. A clock may be a
// little ahead; what is dated further ahead would outlast every true reading
// as the newest one.
func recordedBy(r *crossReport, at place, now time.Time) {
	recorded, err := passport.ParseInstant(at.text())
	if err != nil || now.IsZero() || !recorded.After(now) {
		return
	}
	code := futureDate
	if recorded.After(now.Add(clockTolerance)) {
		code = futureInstant
	}
	r.fault(code, at, "a time not after "+now.UTC().Format(time.RFC3339), at.text())
}
