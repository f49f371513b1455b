package registry

import (
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/provolt/provolt/internal/credential"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/schema"
	"github.com/provolt/provolt/internal/strictjson"
)

// naturalKey is what the operator calls a model or batch. The plant is part of
// a model's key: the law counts carbon footprint and recycled content per
// plant (Art. 7(1), 8(1) of Regulation (EU) 2023/1542).
func naturalKey(c schema.Checked) string {
	record := c.Record()
	if c.Type() == passport.Batch {
		return text(record, "batchId")
	}
	place := member(record, "identification", "manufacturingPlace")
	plant := text(place, "id", "value")
	if plant == "" {
		plant = text(place, "name")
	}
	return text(record, "identification", "modelId") + "\x00" + plant
}

// member walks into nested objects; nil where the path ends early.
func member(v any, path ...string) any {
	for _, name := range path {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	return v
}

// text is member as a string; empty where there is none.
func text(v any, path ...string) string {
	s, _ := member(v, path...).(string)
	return s
}

func batteryKey(k passport.BatteryKey) *NaturalKey {
	return &NaturalKey{Type: passport.Item, Text: hex.EncodeToString(k[:])}
}

// succeeds reports whether the item names id among its predecessors.
func succeeds(item map[string]any, id passport.ID) bool {
	list, _ := item["predecessors"].([]any)
	return slices.ContainsFunc(list, func(v any) bool {
		return strings.HasSuffix(text(v, "uri"), id.String())
	})
}

// describe sets the columns a record is found by.
func (rec *Record) describe(d draft, p *plan) {
	switch rec.Type {
	case passport.Model:
		if gtin, err := passport.ParseGTIN(text(d.checked[rec.Type].Record(), "identification", "gtin")); err == nil {
			rec.GTIN = string(gtin)
		}
	case passport.Batch:
		rec.GTIN, rec.Lot = p.used[passport.Model].GTIN, rec.Key
	case passport.Item:
		rec.Lot = p.used[passport.Batch].Lot
		if link, ok := d.battery.DigitalLink(); ok {
			rec.GTIN = string(link.GTIN)
		}
	case passport.Condition:
	}
}

// pins lists what a record builds on: a batch its model, an item both.
func pins(rec Record, p *plan) []credential.Pin {
	var out []credential.Pin
	for _, t := range []passport.RecordType{passport.Model, passport.Batch} {
		if on, ok := p.used[t]; ok && buildsOn(rec.Type, t) {
			out = append(out, credential.Pin{Type: t, RecordID: on.ID, TokenDigest: on.TokenDigest})
		}
	}
	return out
}

func buildsOn(t, on passport.RecordType) bool {
	return t == passport.Item || t == passport.Batch && on == passport.Model
}

func pinnedID(rec Record, p *plan, on passport.RecordType) passport.ID {
	if !buildsOn(rec.Type, on) {
		return passport.ID{}
	}
	return p.used[on].ID
}

// subjectID is the URI a record is about: for an item and its conditions the
// battery, else the series at this registry.
func (r *Registry) subjectID(rec Record, d draft) string {
	switch rec.Type {
	case passport.Model:
		return r.BaseURL() + "/v1/models/" + rec.Series.String()
	case passport.Batch:
		return r.BaseURL() + "/v1/batches/" + rec.Series.String()
	case passport.Item, passport.Condition:
	}
	return d.battery.String()
}

// digitalLink is where the battery resolves at this registry, or empty if its
// id is no Digital Link.
func (r *Registry) digitalLink(id passport.BatteryID) string {
	link, ok := id.DigitalLink()
	if !ok {
		return ""
	}
	return r.BaseURL() + link.Path()
}

// hostOf is the host of a URL; empty for any other URI.
func hostOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	return u.Host
}

// difference lists the members in which two records differ, at most 100, in
// the order of their pointers.
func difference(have, want any) []Difference {
	var out []Difference
	walkDifference("", have, want, &out)
	return out[:min(len(out), 100)]
}

func walkDifference(at string, have, want any, out *[]Difference) {
	h, hok := have.(map[string]any)
	w, wok := want.(map[string]any)
	if hok && wok {
		names := maps.Clone(h)
		maps.Copy(names, w)
		for _, name := range slices.Sorted(maps.Keys(names)) {
			walkDifference(at+passport.Pointer(name), h[name], w[name], out)
		}
		return
	}
	if a, b := shown(have), shown(want); a != b {
		*out = append(*out, Difference{Pointer: at, Have: clip(a), Want: clip(b)})
	}
}

func shown(v any) string {
	if v == nil {
		return ""
	}
	b, err := strictjson.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

func clip(s string) string {
	runes := []rune(s)
	if len(runes) <= 200 {
		return s
	}
	return string(runes[:199]) + "…"
}
