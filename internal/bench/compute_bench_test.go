//go:build bench

package bench_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"syscall"
	"time"

	"github.com/provolt/provolt/internal/bench"
	"github.com/provolt/provolt/internal/bench/binary"
	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/credential"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/schema"
	"github.com/provolt/provolt/internal/strictjson"
	"github.com/provolt/provolt/schemas"
)

// sample is the shipped electric car passport, checked.
type sample struct {
	catalogue *catalogue.Catalogue
	validator *schema.Validator
	raw       map[passport.RecordType][]byte
	tree      map[passport.RecordType]map[string]any
	checked   map[passport.RecordType]schema.Checked
	key       *ecdsa.PrivateKey
}

func (r *run) sample() *sample {
	s := &sample{
		raw: map[passport.RecordType][]byte{}, tree: map[passport.RecordType]map[string]any{}, checked: map[passport.RecordType]schema.Checked{},
	}
	var err error
	if s.catalogue, err = catalogue.Load(); err != nil {
		r.Fatal(err)
	}
	if s.validator, err = schema.New(s.catalogue); err != nil {
		r.Fatal(err)
	}
	if s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		r.Fatal(err)
	}
	for kind, raw := range r.example() {
		var compact bytes.Buffer
		if err := json.Compact(&compact, raw); err != nil {
			r.Fatal(err)
		}
		tree, err := strictjson.Parse(compact.Bytes())
		if err != nil {
			r.Fatal(err)
		}
		s.raw[kind], s.tree[kind] = compact.Bytes(), tree.(map[string]any)
	}
	for kind := range s.tree {
		s.checked[kind] = r.check(s, kind)
	}
	return s
}

// example is the document, by record.
func (r *run) example() map[passport.RecordType]json.RawMessage {
	raw, err := schemas.FS.ReadFile("examples/ev.json")
	if err != nil {
		r.Fatal(err)
	}
	var document map[passport.RecordType]json.RawMessage
	if err := json.Unmarshal(raw, &document); err != nil {
		r.Fatal(err)
	}
	return document
}

func (r *run) check(s *sample, kind passport.RecordType) schema.Checked {
	checked, violations := s.validator.Check(kind, s.tree[kind], s.context())
	if passport.Blocks(violations) {
		r.Fatalf("the example's %s: %v", kind, violations)
	}
	return checked
}

func (s *sample) context() schema.Context {
	return schema.Context{Model: s.tree[passport.Model], Batch: s.tree[passport.Batch]}
}

// issue signs the example's item.
func (s *sample) issue(e credential.Envelope) (credential.Issued, error) {
	return credential.Issue(s.checked[passport.Item], s.catalogue, e, e.Issuer.DID+"#key-1", s.key, rand.Reader)
}

// envelope is that of an item with its two pins.
func (r *run) envelope() credential.Envelope {
	at := time.Date(2027, time.April, 1, 9, 0, 0, 0, time.UTC)
	id := func() passport.ID {
		id, err := passport.NewID(at, rand.Reader)
		if err != nil {
			r.Fatal(err)
		}
		return id
	}
	did, err := credential.DID(binary.BaseURL, "nordlicht")
	if err != nil {
		r.Fatal(err)
	}
	return credential.Envelope{
		BaseURL: binary.BaseURL, Environment: "production", RecordID: id(), Series: id(), Type: passport.Item, Version: 1,
		SubjectID: binary.BaseURL + "/01/09506000134376/21/AB4F7K2900001", Issuer: credential.Party{DID: did, Name: "Nordlicht Zellwerk GmbH"},
		ValidFrom: at, Status: &credential.Position{List: 0, Index: 4711},
		Pins: []credential.Pin{
			{Type: passport.Model, RecordID: id(), TokenDigest: sha256.Sum256([]byte("model"))},
			{Type: passport.Batch, RecordID: id(), TokenDigest: sha256.Sum256([]byte("batch"))},
		},
	}
}

// repeat is a side that does one thing over and over, in this process.
func repeat(do func() error) side {
	return side{meters: []meter{usage("process", syscall.RUSAGE_SELF)}, run: func(d time.Duration) (bench.Slice, error) {
		began, n := time.Now(), int64(0)
		for time.Since(began) < d {
			for range 8 {
				if err := do(); err != nil {
					return bench.Slice{}, err
				}
			}
			n += 8
		}
		return bench.Slice{Ops: n, Rate: float64(n) / time.Since(began).Seconds()}, nil
	}}
}

// computing compares what needs no other process.
func (r *run) computing() {
	s, envelope := r.sample(), r.envelope()
	issued, err := s.issue(envelope)
	if err != nil {
		r.Fatal(err)
	}
	digest := sha256.Sum256(issued.JWS[:bytes.LastIndexByte(issued.JWS, '.')])
	r.compare(bench.Figure{
		Name: "sign an item", Baseline: "bare ES256 over the same digest", Goal: 0.5,
		LeftOut: "everything around `credential.Issue`: validation before it and the registry's own check after it. Ours salts and hashes the " +
			"disclosures, builds the token and reads it back before handing it out; the baseline is `ecdsa.SignASN1` alone.",
		Missed: signMissed,
	}, r.compute, repeat(func() error {
		_, err := s.issue(envelope)
		return err
	}), repeat(func() error {
		_, err := ecdsa.SignASN1(rand.Reader, s.key, digest[:])
		return err
	}))
	for _, kind := range []passport.RecordType{passport.Model, passport.Item} {
		r.compare(bench.Figure{
			Name: "check the example's " + string(kind) + " record", Baseline: "encoding/json decoding the same bytes", Goal: 0.25,
			LeftOut: "decoding itself, on our side. Ours is `schema.Check`: JSON Schema, the attributes the category owes, the cross-field checks and the canonical digest.",
			Missed:  checkMissed,
		}, r.compute, repeat(func() error {
			_, _ = s.validator.Check(kind, s.tree[kind], s.context())
			return nil
		}), repeat(decode(s.raw[kind])))
	}
	r.compare(bench.Figure{
		Name: "read a model through the strict JSON gate", Baseline: "encoding/json decoding the same bytes", Goal: 0.25,
		LeftOut: "nothing. The gate refuses duplicate keys, lone surrogates, control and bidi characters, depth, and numbers that others would read differently; `encoding/json` refuses none of these.",
	}, r.compute, repeat(func() error {
		_, err := strictjson.Parse(s.raw[passport.Model])
		return err
	}), repeat(decode(s.raw[passport.Model])))
}

// decode is how Go programs usually read JSON of unknown shape, numbers kept.
func decode(raw []byte) func() error {
	return func() error {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		var v any
		return d.Decode(&v)
	}
}
