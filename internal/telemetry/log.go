// Package telemetry is what an operator sees of a running registry: a log from
// which no secret can be read, and metrics. Who writes a log line need not
// remember what may not stand in it.
package telemetry

import (
	"context"
	"encoding"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"slices"
	"strings"
)

// NewLogger returns a logger that writes one line per record to w, as JSON or
// as text for a terminal, and redacts secrets.
func NewLogger(w io.Writer, asJSON bool, level slog.Leveler) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewTextHandler(w, o)
	if asJSON {
		h = slog.NewJSONHandler(w, o)
	}
	return slog.New(Redact(h))
}

// Redact wraps a handler so that neither a message nor an attribute, at any
// depth, hands it a secret: what stands under a secret's name is replaced
// whole, and inside other text tokens, signed credentials with their
// disclosures, passwords in URLs and private keys are.
func Redact(h slog.Handler) slog.Handler { return redactor{h} }

type redactor struct{ next slog.Handler }

func (r redactor) Enabled(ctx context.Context, l slog.Level) bool { return r.next.Enabled(ctx, l) }

func (r redactor) Handle(ctx context.Context, rec slog.Record) error {
	clean := slog.NewRecord(rec.Time, rec.Level, scrub(rec.Message), rec.PC)
	rec.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(redact(a))
		return true
	})
	return r.next.Handle(ctx, clean) //nolint:wrapcheck // a handler passes its successor's error on
}

func (r redactor) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = redact(a)
	}
	return redactor{r.next.WithAttrs(clean)}
}

func (r redactor) WithGroup(name string) slog.Handler { return redactor{r.next.WithGroup(name)} }

const redacted = "[redacted]"

// secretNames are compared with an attribute's name in lower case without
// "-" and "_".
var secretNames = []string{
	"authorization", "bearer", "token", "jwt", "cookie", "secret", "password", "passphrase", "apikey", "privatekey",
	"databaseurl", "dsn", "disclosure", "salt",
}

// secretName is asked for every attribute of every line, so it makes no
// garbage.
func secretName(name string) bool {
	for _, s := range secretNames {
		if endsIn(name, s) || len(name) > 0 && name[len(name)-1]|0x20 == 's' && endsIn(name[:len(name)-1], s) {
			return true
		}
	}
	return false
}

// endsIn reports whether the name ends in a word of lower-case letters, case,
// "-" and "_" aside.
func endsIn(name, word string) bool {
	i := len(name)
	for w := len(word) - 1; w >= 0; w-- {
		for i > 0 && (name[i-1] == '-' || name[i-1] == '_') {
			i--
		}
		if i == 0 || name[i-1]|0x20 != word[w] {
			return false
		}
		i--
	}
	return true
}

func redact(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	if secretName(a.Key) {
		return slog.String(a.Key, redacted)
	}
	switch v.Kind() {
	case slog.KindGroup:
		group := v.Group()
		clean := make([]slog.Attr, len(group))
		for i, inner := range group {
			clean[i] = redact(inner)
		}
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(clean...)}
	case slog.KindString:
		return slog.String(a.Key, scrub(v.String()))
	case slog.KindAny:
		return slog.String(a.Key, scrub(text(v.Any())))
	case slog.KindBool, slog.KindDuration, slog.KindFloat64, slog.KindInt64, slog.KindTime, slog.KindUint64, slog.KindLogValuer:
	}
	return slog.Attr{Key: a.Key, Value: v}
}

// text renders a value as a line. Raw bytes are only counted: they are keys and
// bodies as a rule.
func text(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case error:
		return x.Error()
	case []byte:
		return fmt.Sprintf("%d bytes", len(x))
	case encoding.TextMarshaler:
		if b, err := x.MarshalText(); err == nil {
			return string(b)
		}
	}
	return fmt.Sprintf("%+v", v)
}

// mayHoldKey reports whether the text may hold an age identity, whose letters may
// be of either case.
func mayHoldKey(s string) bool {
	return len(s) > 16 && strings.Contains(strings.ToUpper(s), "AGE-SECRET-KEY-1")
}

var secrets = []struct {
	pattern *regexp.Regexp
	with    string
}{
	// A JWT or SD-JWT: a base64url JSON object, and all that hangs on it.
	{regexp.MustCompile(`eyJ[A-Za-z0-9_-]*(?:[.~][A-Za-z0-9_-]*)*`), redacted},
	// A disclosure alone: a base64url JSON array that begins with a string.
	{regexp.MustCompile(`WyJ[A-Za-z0-9_-]{16,}`), redacted},
	{regexp.MustCompile(`(?i)\b(bearer|basic|dpop) +[^\s"',;]+`), "$1 " + redacted},
	// user:password@ in a URL.
	{regexp.MustCompile(`(://[^/\s:@]*):[^/\s@]*@`), "$1:" + redacted + "@"},
	{regexp.MustCompile(`(?i)\b(password|passphrase|secret)=[^\s&"']+`), "$1=" + redacted},
	{regexp.MustCompile(`(?i)AGE-SECRET-KEY-1[A-Z0-9]+`), redacted},
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)`), redacted},
}

// signs are what every pattern of secrets needs: a text without any of them
// holds none, and the patterns need not run.
var signs = []string{"eyJ", "WyJ", "://", "=", " ", "-----"}

func scrub(s string) string {
	if !slices.ContainsFunc(signs, func(sign string) bool { return strings.Contains(s, sign) }) && !mayHoldKey(s) {
		return s
	}
	for _, secret := range secrets {
		s = secret.pattern.ReplaceAllString(s, secret.with)
	}
	return s
}
