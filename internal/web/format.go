package web

import (
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
	"time"
)

const (
	noBreak = "\u00a0" // between a number and its unit
	minus   = "\u2212"
)

// number writes a JSON number in the language's grouping and decimal
// sign. It works on the number's text: what was declared is what is shown,
// with every digit and without rounding.
func (l *locale) number(n json.Number) string {
	plain, ok := plainDecimal(n.String())
	if !ok {
		return n.String()
	}
	sign := ""
	if strings.HasPrefix(plain, "-") {
		sign, plain = minus, plain[1:]
	}
	whole, fraction, _ := strings.Cut(plain, ".")
	out := sign + l.group(whole)
	if fraction != "" {
		out += l.t("number.decimal") + fraction
	}
	return out
}

// integer writes n in the language's grouping.
func (l *locale) integer(n int) string { return l.number(json.Number(strconv.Itoa(n))) }

// group sets the grouping sign between thousands from five digits on, so that a
// year stays in one piece.
func (l *locale) group(digits string) string {
	if len(digits) < 5 {
		return digits
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteString(l.t("number.group"))
		}
		b.WriteRune(d)
	}
	return b.String()
}

// plainDecimal writes a JSON number without exponent and trailing zeros.
// Numbers outside what a record may hold (15 digits, 1e-12 to 1e15) are not
// touched.
func plainDecimal(s string) (string, bool) {
	r, ok := exact(s)
	if !ok {
		return "", false
	}
	text := r.FloatString(27)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text, true
}

// exact reads a JSON number as the fraction it is.
func exact(s string) (*big.Rat, bool) {
	if len(s) == 0 || len(s) > 40 {
		return nil, false
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		if e, err := strconv.Atoi(s[i+1:]); err != nil || e > 30 || e < -30 {
			return nil, false
		}
	}
	return new(big.Rat).SetString(s)
}

// ratOf reads a number of a record.
func ratOf(v any) (*big.Rat, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return nil, false
	}
	return exact(n.String())
}

// percentOf writes a share between 0 and 1 as a percentage with at most one
// decimal, rounded half up. What rounds to nothing but is something reads
// "< 0.1 %".
func (l *locale) percentOf(share *big.Rat) string {
	tenths := roundHalfUp(new(big.Rat).Mul(share, big.NewRat(1000, 1)))
	if tenths == 0 && share.Sign() > 0 {
		return l.t("number.percentBelow", "n", l.percentOf(big.NewRat(1, 1000)))
	}
	return l.percent(json.Number(big.NewRat(tenths, 10).FloatString(1)))
}

// percent writes a number that is a percentage already.
func (l *locale) percent(n json.Number) string {
	return l.t("number.percent", "n", l.number(n))
}

// roundHalfUp returns the nearest integer; halves go up.
func roundHalfUp(r *big.Rat) int64 {
	sum := new(big.Rat).Add(r, big.NewRat(1, 2))
	q := new(big.Int).Div(sum.Num(), sum.Denom()) // Euclidean: floors, as Denom is positive
	return q.Int64()
}

// quantity writes a number with its unit as the catalogue names it.
func (l *locale) quantity(n json.Number, unit string) string {
	switch unit {
	case "":
		return l.number(n)
	case "%":
		return l.percent(n)
	}
	if name := l.either("unit."+unit, unit); name != "" {
		return l.number(n) + noBreak + name
	}
	return l.number(n)
}

// date writes a date of a record, which is a month (2027-02), a day or an
// instant. Any other text is returned as it is.
func (l *locale) date(s string) string {
	if at, err := time.Parse("2006-01", s); err == nil {
		return l.t("date.month", "month", l.month(at), "year", strconv.Itoa(at.Year()))
	}
	if at, err := time.Parse(time.DateOnly, s); err == nil {
		return l.day(at)
	}
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return l.instant(at)
	}
	return s
}

func (l *locale) month(at time.Time) string {
	return l.t("month." + strconv.Itoa(int(at.Month())))
}

func (l *locale) day(at time.Time) string {
	return l.t("date.day", "day", strconv.Itoa(at.Day()), "month", l.month(at), "year", strconv.Itoa(at.Year()))
}

// instant writes day and time of day in UTC.
func (l *locale) instant(at time.Time) string {
	return l.t("date.instant", "day", l.day(at.UTC()), "time", l.clock(at))
}

// clock writes the time of day in UTC.
func (l *locale) clock(at time.Time) string { return at.UTC().Format("15:04") + noBreak + "UTC" }

// duration writes an ISO 8601 duration of years, months, weeks and days. Any
// other text is returned as it is.
func (l *locale) duration(s string) string {
	rest, ok := strings.CutPrefix(s, "P")
	if !ok || rest == "" {
		return s
	}
	var parts []string
	for rest != "" {
		end := strings.IndexAny(rest, "YMWD")
		if end < 1 {
			return s
		}
		n, err := strconv.Atoi(rest[:end])
		if err != nil || n < 0 {
			return s
		}
		parts = append(parts, l.count("duration."+rest[end:end+1], n))
		rest = rest[end+1:]
	}
	return l.join(parts)
}

// grouped cuts a serial number into groups of four, so that it can be
// compared with a label by eye.
func grouped(s string) []string {
	var out []string
	runes := []rune(s)
	for len(runes) > 4 {
		out = append(out, string(runes[:4]))
		runes = runes[4:]
	}
	if len(runes) > 0 {
		out = append(out, string(runes))
	}
	return out
}
