package schema

import (
	"errors"
	"net/url"
	"strings"

	"github.com/provolt/provolt/internal/passport"
)

// formats are the checks behind the schemas' format keyword. Each returns the
// parser's error for a value that is of the right JSON type and wrong, and nil
// for everything else: the type is the schema's to say. Names that JSON Schema
// does not define are ours; other validators take them as annotations.
var formats = map[string]func(any) error{
	"date":                          text(err1(passport.ParseDate)),
	"date-time":                     text(err1(passport.ParseInstant)),
	"date-or-month":                 text(dateOrMonth),
	"date-or-date-time":             text(dateOrInstant),
	"duration":                      text(err1(passport.ParseDuration)),
	"iso-3166-1-alpha-2":            text(err1(passport.ParseCountry)),
	"iso-3166-1-alpha-2-or-unknown": text(countryOrUnknown),
	"gtin-14":                       text(err1(passport.ParseGTIN)),
	"battery-identifier":            text(err1(passport.ParseBatteryID)),
	"party-identifier":              partyIdentifier,
	"cas-number":                    text(casNumber),
	"uri":                           text(webAddress),
}

// text applies a check to texts only.
func text(check func(string) error) func(any) error {
	return func(v any) error {
		if s, ok := v.(string); ok {
			return check(s)
		}
		return nil
	}
}

// err1 keeps the error of a parser.
func err1[T any](parse func(string) (T, error)) func(string) error {
	return func(s string) error {
		_, err := parse(s)
		return err
	}
}

func dateOrMonth(s string) error {
	if len(s) <= len("2027-02") {
		_, err := passport.ParseMonth(s)
		return err
	}
	_, err := passport.ParseDate(s)
	return err
}

func dateOrInstant(s string) error {
	if strings.ContainsRune(s, 'T') {
		_, err := passport.ParseInstant(s)
		return err
	}
	_, err := passport.ParseDate(s)
	return err
}

func countryOrUnknown(s string) error {
	if s == "unknown" {
		return nil
	}
	_, err := passport.ParseCountry(s)
	return err
}

func partyIdentifier(v any) error {
	object, _ := v.(map[string]any)
	scheme, ok := object["scheme"].(string)
	value, ok2 := object["value"].(string)
	if !ok || !ok2 {
		return nil
	}
	return passport.PartyID{Scheme: scheme, Value: value}.Check()
}

// casNumber checks the last digit of a CAS Registry Number: the sum of the
// other digits, each times its place counted from the right, modulo 10.
func casNumber(s string) error {
	digits := strings.ReplaceAll(s, "-", "")
	if len(digits) < 5 {
		return nil // the pattern says so
	}
	sum, place := 0, 1
	for i := len(digits) - 2; i >= 0; i-- {
		if digits[i] < '0' || digits[i] > '9' {
			return nil
		}
		sum += place * int(digits[i]-'0')
		place++
	}
	if want := byte('0' + sum%10); digits[len(digits)-1] != want {
		return &passport.Malformed{
			Code: "cas.checkDigit", Expected: "a CAS number whose last digit is " + string(want), Found: passport.Quote(s),
			Repair: "copy the number again",
		}
	}
	return nil
}

var errNoHost = errors.New("no host")

func webAddress(s string) error {
	u, err := url.Parse(s)
	if err == nil && u.Hostname() == "" {
		err = errNoHost
	}
	if err != nil {
		return &passport.Malformed{Code: "uri.malformed", Expected: "an http or https address", Found: passport.Quote(s)}
	}
	return nil
}
