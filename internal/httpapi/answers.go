package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

// answers keeps rendered public answers. One is current while this process
// has written nothing about its passport and it is younger than answerFresh,
// the longest that another replica's suspension can stay unseen here.
type answers struct {
	cache *otter.Cache[answerKey, answer]
}

type answerKey struct {
	id      passport.ID
	version int
}

type answer struct {
	body       []byte
	etag       string
	generation uint64
	at         time.Time
}

const (
	answerFresh = 2 * time.Second
	answerBytes = 128 << 20
)

func newAnswers() (*answers, error) {
	cache, err := otter.New(&otter.Options[answerKey, answer]{
		MaximumWeight: answerBytes,
		Weigher:       func(_ answerKey, a answer) uint32 { return uint32(len(a.body) + 128) }, //nolint:gosec // a body is below 4 GiB
	})
	if err != nil {
		return nil, fmt.Errorf("answer cache: %w", err)
	}
	return &answers{cache}, nil
}

// of returns the answer held, or makes it anew. The generation is the one from
// before the making, so that a write in between makes it stale at once.
func (s *answers) of(key answerKey, generation uint64, now time.Time, render func() (answer, error)) (answer, error) {
	held, ok := s.cache.GetIfPresent(key)
	if ok && held.generation == generation && now.Sub(held.at) < answerFresh {
		return held, nil
	}
	made, err := render()
	if err != nil {
		return answer{}, err
	}
	made.generation, made.at = generation, now
	s.cache.Set(key, made)
	return made, nil
}

// render writes a view as JSON with its strong entity tag.
func (a *API) render(v registry.View) (answer, error) {
	body, err := encode(a.passportAnswer(v))
	if err != nil {
		return answer{}, err
	}
	return answer{body: body, etag: digestTag("json", body)}, nil
}

// digestTag is a strong entity tag over a presentation of some bytes.
func digestTag(presentation string, body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + presentation + "-" + base64.RawURLEncoding.EncodeToString(sum[:18]) + `"`
}

// tokenTag is the digest of the signed bytes with the presentation.
func tokenTag(rec registry.Record, token []byte) string {
	disclosed := sha256.Sum256(token)
	return `"` + base64.RawURLEncoding.EncodeToString(rec.TokenDigest[:18]) + "." + base64.RawURLEncoding.EncodeToString(disclosed[:6]) + `"`
}
