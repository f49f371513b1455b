package web

import (
	"cmp"
	"encoding/json"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/provolt/provolt/internal/passport"
)

// origin is the mineral origin block, from batch.originSummary: the public
// face of the lots behind it.
type origin struct {
	Steps     string // who made the cells, and where cells and battery were made
	Minerals  []mineral
	Countries int    // different ones over all minerals and stages
	Open      []open // minerals of which a share is unknown
}

// open is a mineral with a stage of which a share is unknown.
type open struct{ Mineral, Stage, Share string }

// mineral is one mineral with a bar for each stage.
type mineral struct {
	Name     string
	Mass     string
	Stages   []stage
	Custody  []shared // by chain-of-custody model
	Evidence []shared // by verification level
}

// stage is where one step of the chain happened. The segments add up to the
// whole: what is not accounted for is the last one, unknown.
type stage struct {
	Name     string
	Segments []segment
}

// segment is one part of a bar.
type segment struct {
	Class string // c1 to c5 by rank, "recycled", "unknown"
	X     string // left edge and width in percent of the bar
	Width string
	Label string // country
	Code  string // inside the bar, where it fits
	Mid   string // where Code stands
	Share string
	Mass  string
}

// shared is a share under a name.
type shared struct{ ID, Name, Share string }

var one = big.NewRat(1, 1)

// inBar is the share from which a country code fits into the bar on a phone.
var inBar = big.NewRat(9, 100)

// origin reads the summary; nil if the passport has none.
func (s scan) origin() *origin {
	if s.f.View.Batch == nil {
		return nil
	}
	out := &origin{}
	countries := map[string]bool{}
	for _, v := range digList(s.f.View.Batch.Record, "originSummary") {
		m, ok := v.(map[string]any)
		if !ok {
			continue
		}
		name := s.l.either("mineral."+textOf(m["mineral"]), textOf(m["mineral"]))
		mass, known := digRat(m, "massKg")
		one := mineral{Name: name, Custody: s.shares(m["byCustodyModel"], "custody."), Evidence: s.shares(m["byVerification"], "evidence.")}
		if known {
			one.Mass = s.mass(mass)
		}
		for _, id := range []string{"extraction", "refining"} {
			st, unknown := s.stage(m, id, mass, countries)
			one.Stages = append(one.Stages, st)
			if unknown.Sign() > 0 {
				out.Open = append(out.Open, open{Mineral: name, Stage: st.Name, Share: s.l.percentOf(unknown)})
			}
		}
		out.Minerals = append(out.Minerals, one)
	}
	if len(out.Minerals) == 0 {
		return nil
	}
	out.Countries, out.Steps = len(countries), s.steps()
	return out
}

// steps says where the cells and the battery were made. The place of the cells
// is their plant: the seat of their maker says nothing about it.
func (s scan) steps() string {
	m := s.model()
	var out []string
	maker := digText(m, "identification", "cellManufacturer", "party", "name")
	country := s.l.country(digText(m, "identification", "cellManufacturer", "facility", "address", "country"))
	switch {
	case maker != "" && country != "":
		out = append(out, s.l.t("origin.cellsIn", "maker", maker, "country", country))
	case maker != "":
		out = append(out, s.l.t("origin.cells", "maker", maker))
	}
	if country := s.l.country(digText(m, "identification", "manufacturingPlace", "address", "country")); country != "" {
		out = append(out, s.l.t("origin.batteryIn", "country", country))
	}
	return strings.Join(out, " ")
}

// piece is a share of a stage before it is drawn.
type piece struct {
	country string
	share   *big.Rat
}

// stage makes the bar of one stage: countries by share, then recycled
// material, which has been through no mine, then what nobody accounts for.
func (s scan) stage(m map[string]any, id string, mass *big.Rat, countries map[string]bool) (stage, *big.Rat) {
	primary, stated := pieces(m[id])
	recycled, _ := pieces(m["recycled"])
	known := new(big.Rat)
	for _, p := range slices.Concat(primary, recycled) {
		known.Add(known, p.share)
		countries[p.country] = true
	}
	unknown := new(big.Rat).Set(stated)
	if rest := new(big.Rat).Sub(one, new(big.Rat).Add(known, stated)); rest.Sign() > 0 {
		unknown.Add(unknown, rest)
	}
	b := bar{s: s, whole: known.Add(known, unknown), mass: mass}
	for i, p := range primary {
		b.add("c"+strconv.Itoa(min(i, 4)+1), s.l.country(p.country), p.country, p.share)
	}
	for _, p := range recycled {
		b.add("recycled", s.l.t("origin.recycledIn", "country", s.l.country(p.country)), p.country, p.share)
	}
	if unknown.Sign() > 0 {
		b.add("unknown", s.l.t("origin.unknown"), "?", unknown)
	}
	return stage{Name: s.l.t("stage." + id), Segments: b.segments}, unknown
}

// pieces reads {country: share}, largest first. A share under no country code
// is one stated as unknown.
func pieces(v any) (known []piece, unknown *big.Rat) {
	unknown = new(big.Rat)
	m, _ := v.(map[string]any)
	for country, share := range m {
		r, ok := ratOf(share)
		switch {
		case !ok || r.Sign() <= 0:
		case isCountry(country):
			known = append(known, piece{country, r})
		default:
			unknown.Add(unknown, r)
		}
	}
	slices.SortFunc(known, func(a, b piece) int {
		return cmp.Or(b.share.Cmp(a.share), cmp.Compare(a.country, b.country))
	})
	return known, unknown
}

func isCountry(code string) bool {
	_, err := passport.ParseCountry(code)
	return err == nil
}

// bar lays segments side by side.
type bar struct {
	s        scan
	whole    *big.Rat // what the full width stands for: 1, or more if a record claims more
	mass     *big.Rat // of the mineral in one battery; nil if not stated
	at       big.Rat
	segments []segment
}

func (b *bar) add(class, label, code string, share *big.Rat) {
	width := new(big.Rat).Quo(share, b.whole)
	seg := segment{
		Class: class, X: percentText(&b.at), Width: percentText(width), Label: label,
		Share: b.s.l.percentOf(share),
	}
	if width.Cmp(inBar) >= 0 {
		seg.Code = code
		seg.Mid = percentText(new(big.Rat).Add(&b.at, new(big.Rat).Quo(width, big.NewRat(2, 1))))
	}
	if b.mass != nil {
		seg.Mass = b.s.mass(new(big.Rat).Mul(b.mass, share))
	}
	b.at.Add(&b.at, width)
	b.segments = append(b.segments, seg)
}

// percentText writes a fraction as an SVG length: "39.25%".
func percentText(r *big.Rat) string {
	text, _ := plainDecimal(new(big.Rat).Mul(r, big.NewRat(100, 1)).FloatString(2))
	return text + "%"
}

// mass writes kilograms to the gram.
func (s scan) mass(kg *big.Rat) string {
	return s.l.quantity(json.Number(kg.FloatString(3)), "kg")
}

// shares reads {name: share}, largest first.
func (s scan) shares(v any, prefix string) []shared {
	m, _ := v.(map[string]any)
	type named struct {
		id    string
		share *big.Rat
	}
	var list []named
	for id, share := range m {
		if r, ok := ratOf(share); ok && r.Sign() > 0 {
			list = append(list, named{id, r})
		}
	}
	slices.SortFunc(list, func(a, b named) int { return cmp.Or(b.share.Cmp(a.share), cmp.Compare(a.id, b.id)) })
	var out []shared
	for _, n := range list {
		out = append(out, shared{ID: n.id, Name: s.l.either(prefix+n.id, n.id), Share: s.l.percentOf(n.share)})
	}
	return out
}
