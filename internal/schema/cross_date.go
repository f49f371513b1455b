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
