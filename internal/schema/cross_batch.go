package schema

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/provolt/provolt/internal/passport"
)

// The tolerances of the batch's checks: data model section 5 and sourcing
// rules section 4.1.
var (
	shareSumTolerance  = decimal("0.001")
	shareAgreement     = decimal("0.005") // shares are commonly published in whole per cent
	declaredTolerance  = decimal("0.001")
	declaredFloor      = decimal("0.001") // kg: 1 g
	recycledPctPoints  = one
	recycledSourceType = map[string]bool{"recycledPostConsumer": true, "recycledManufacturingWaste": true}
	primarySourceType  = map[string]bool{"primary": true, "byProduct": true}
)

// crossBatch checks a batch record within itself and against the model it
// pins; a nil model leaves the checks between the two out, a zero now the clock. Pointers are
// relative to the batch record.
func crossBatch(doc, model map[string]any, now time.Time) []passport.Violation {
	r, batch := &crossReport{}, rootOf(doc)
	everywhere(r, batch)
	period := batch.at("productionPeriod")
	if windowOf(period.at("to")).before(windowOf(period.at("from"))) {
		r.fault(productionOrder, period.at("to"), "a day on or after "+period.at("from").text(), period.at("to").text())
	}
	notAhead(r, period.at("from"), now)
	lots := batch.at("origins").elements()
	unique(r, lotDuplicate, lots, "lotId")
	for _, lot := range lots {
		lotStages(r, lot)
	}
	entities(r, batch)
	originSummaries(r, batch, lots)
	held := composed(rootOf(model))
	for _, m := range mineralsOf(lots) {
		shareSum(r, batch, m)
		shareMatchesMass(r, m)
		massMatchesComposition(r, held, m)
		recycledMatchesModel(r, rootOf(model), m)
	}
	return r.violations
}

// unique wants every element's identifier to be its own.
func unique(r *crossReport, code crossCode, elements []place, member string) {
	first := map[string]place{}
	for _, e := range elements {
		id := e.at(member).text()
		if id == "" {
			continue
		}
		if other, seen := first[id]; seen {
			r.fault(code, e.at(member), "an identifier that is not yet at "+other.pointer, passport.Quote(id))
			continue
		}
		first[id] = e
	}
}

// lotStages checks what a lot says of its own stages.
func lotStages(r *crossReport, lot place) {
	var (
		stages     = lot.at("stages")
		source     = lot.at("sourceType").text()
		isSynth, _ = lot.at("synthetic").truth()
		added      = new(big.Rat)
		anyAdded   bool
	)
	for i, stage := range stages.elements() {
		kind := stage.at("stage")
		if isSynth && kind.is("extraction") {
			r.fault(lotSynthetic, kind, "no extraction: synthetic graphite has no mine", "extraction")
		}
		if kind.is("recycling") && primarySourceType[source] {
			r.fault(lotRecyclingStage, kind, "no recycling in a lot of sourceType "+source, "recycling")
		}
		if i == 0 && recycledSourceType[source] && kind.text() != "" && !kind.is("recycling") {
			r.fault(lotRecyclingStage, kind, "recycling as the first stage of sourceType "+source, passport.Quote(kind.text()))
		}
		if n := stage.at("valueAddedShare").number(); n != nil {
			added.Add(added, n)
			anyAdded = true
		}
	}
	if anyAdded && added.Cmp(one) != 0 {
		r.fault(lotValueAdded, stages, "shares of value added that sum to exactly 1", shown(added))
	}
}

// entities checks that references to entities lead somewhere, that
// identifiers are unique, and that the owners of one time hold at most the
// whole.
func entities(r *crossReport, batch place) {
	listed := batch.at("entities").elements()
	unique(r, entityDuplicate, listed, "entityId")
	ids := map[string]bool{}
	for _, e := range listed {
		ids[e.at("entityId").text()] = true
	}
	var references []place
	for _, lot := range batch.at("origins").elements() {
		references = append(references, lot.at("stages").elements()...)
	}
	references = append(references, batch.at("midstream").elements()...)
	for _, e := range listed {
		references = append(references, e.at("owners").elements()...)
		for _, measure := range []string{"equity", "votes", "board", "share"} {
			ownership(r, e.at("owners"), measure)
		}
	}
	for _, ref := range references {
		if id := ref.at("entityId").text(); id != "" && !ids[id] {
			r.fault(entityUnknown, ref.at("entityId"), "the entityId of one of entities[]", passport.Quote(id))
		}
	}
}

// edge is the beginning or the end of an owner's share.
type edge struct {
	on    string // ISO 8601 date; "" is since ever
	share *big.Rat
}

// ownership adds up one measure over the owners of each time. An edge holds
// from its from to before its until.
func ownership(r *crossReport, owners place, measure string) {
	var edges []edge
	for _, o := range owners.elements() {
		share := o.at(measure).number()
		if !positive(share) {
			continue
		}
		edges = append(edges, edge{o.at("from").text(), share})
		if until := o.at("until").text(); until != "" {
			edges = append(edges, edge{until, new(big.Rat).Neg(share)})
		}
	}
	slices.SortStableFunc(edges, func(a, b edge) int { // ends before beginnings of the same day
		if a.on != b.on {
			return strings.Compare(a.on, b.on)
		}
		return a.share.Sign() - b.share.Sign()
	})
	held := new(big.Rat)
	for _, e := range edges {
		held.Add(held, e.share)
		if held.Cmp(one) > 0 {
			r.fault(entityShareSum, owners, measure+" of at most 1 at any time", ownedAt(held, e.on))
			return
		}
	}
}

func ownedAt(share *big.Rat, on string) string {
	if on == "" {
		return shown(share)
	}
	return shown(share) + " on " + passport.Quote(on)
}

// mineralLots are the lots of one mineral.
type mineralLots struct {
	mineral string
	lots    []place
}

// mineralsOf groups lots by mineral, in the order of first appearance.
func mineralsOf(lots []place) []mineralLots {
	var out []mineralLots
	index := map[string]int{}
	for _, lot := range lots {
		mineral := lot.at("mineral").text()
		if mineral == "" {
			continue
		}
		i, seen := index[mineral]
		if !seen {
			i = len(out)
			index[mineral] = i
			out = append(out, mineralLots{mineral: mineral})
		}
		out[i].lots = append(out[i].lots, lot)
	}
	return out
}

// sum adds up a member over the lots; complete is false when one lacks it.
func (m mineralLots) sum(member string) (total *big.Rat, complete bool) {
	total, complete = new(big.Rat), true
	for _, lot := range m.lots {
		n := lot.at(member).number()
		if n == nil {
			complete = false
			continue
		}
		total.Add(total, n)
	}
	return total, complete
}

// shareSum wants the mass shares of a mineral to add up to 1. While a lot
// gives none, the others may still not exceed the whole.
func shareSum(r *crossReport, batch place, m mineralLots) {
	found, complete := m.sum("massShare")
	excess := difference(found, one)
	if excess.Cmp(shareSumTolerance) > 0 || complete && distance(found, one).Cmp(shareSumTolerance) > 0 {
		r.fault(lotShareSum, batch.at("origins"), "mass shares of "+m.mineral+" that sum to 1 within 0.001", shown(found))
	}
}

func shareMatchesMass(r *crossReport, m mineralLots) {
	whole, complete := m.sum("containedMassKg")
	if !complete || whole.Sign() <= 0 {
		return
	}
	for _, lot := range m.lots {
		stated := lot.at("massShare").number()
		derived := ratio(lot.at("containedMassKg").number(), whole)
		if stated != nil && distance(stated, derived).Cmp(shareAgreement) > 0 {
			r.fault(lotShareMass, lot.at("massShare"), shown(derived)+", which is the lot's mass by the mineral's", shown(stated))
		}
	}
}

// massMatchesComposition compares the contained mass of a mineral with what
// the model's composition holds. Graphite is compared by kind, because lots
// of natural graphite alone are what due diligence asks for (Annex X).
func massMatchesComposition(r *crossReport, held contents, m mineralLots) {
	if m.mineral != "graphite" {
		compositionHolds(r, held, m, elementsOf[m.mineral])
		return
	}
	mined, made := mineralLots{mineral: "natural graphite"}, mineralLots{mineral: "synthetic graphite"}
	for _, lot := range m.lots {
		if isSynth, _ := lot.at("synthetic").truth(); isSynth {
			made.lots = append(made.lots, lot)
		} else {
			mined.lots = append(mined.lots, lot)
		}
	}
	compositionHolds(r, held.withGraphiteOf(natural), mined, []string{natural})
	compositionHolds(r, held.withGraphiteOf(synthetic), made, []string{synthetic})
}

// withGraphiteOf counts graphite of unspecified kind as possibly of this one.
func (c contents) withGraphiteOf(kind string) contents {
	unspec, ok := c.minerals[unspecified]
	if !ok {
		return c
	}
	out := contents{minerals: map[string]span{}, opaque: c.opaque}
	out.minerals[kind] = span{new(big.Rat), unspec.high}
	if s, ok := c.minerals[kind]; ok {
		out.minerals[kind] = out.minerals[kind].plus(s)
	}
	return out
}

func compositionHolds(r *crossReport, held contents, m mineralLots, keys []string) {
	stated, complete := m.sum("containedMassKg")
	derived, ok := held.of(keys...)
	if len(m.lots) == 0 || !ok {
		return
	}
	if !complete { // a lot of unknown mass can only add to the stated mass
		derived.low = new(big.Rat)
	}
	if outside, certain := held.outside(stated, derived, declaredFloor); outside {
		at := m.lots[0].at("containedMassKg")
		r.fault(eitherCode(certain, lotCompositionMass, lotCompositionUnsure), at,
			derived.String()+" of "+m.mineral+" in all lots by the model's composition, within 5 %", shown(stated)+" kg")
	}
}

// recycledMatchesModel compares the recycled lots of a mineral with the
// recycled content the model declares. The two kinds of waste are compared
// together: the model's figures are averages over a year and a plant.
func recycledMatchesModel(r *crossReport, model place, m mineralLots) {
	declared := declaredRecycledPct(model, m.mineral)
	if !positive(declared) {
		return
	}
	recycled, complete, count := new(big.Rat), true, 0
	for _, lot := range m.lots {
		source, share := lot.at("sourceType").text(), lot.at("massShare").number()
		switch {
		case recycledSourceType[source]:
			count++
			if share == nil {
				complete = false
				continue
			}
			recycled.Add(recycled, share)
		case !primarySourceType[source]: // may be recycled as well
			return
		}
	}
	if count == 0 {
		r.fault(lotRecycledMissing, m.lots[0].at("sourceType"),
			"a recycled lot of "+m.mineral+": the model declares "+shown(declared)+" % recycled content", "primary lots only")
		return
	}
	found := product(recycled, hundred)
	if complete && distance(found, declared).Cmp(recycledPctPoints) > 0 {
		r.fault(lotRecycledShare, m.lots[0].at("massShare"),
			fmt.Sprintf("recycled lots of %s of %s %% in sum, as the model declares", m.mineral, shown(declared)), shown(found)+" %")
	}
}

// declaredRecycledPct returns pre-consumer plus post-consumer content of the
// latest year the model gives for the material, or nil.
func declaredRecycledPct(model place, material string) *big.Rat {
	var pct, latest *big.Rat
	for _, c := range model.at("circularity", "recycledContent").elements() {
		if !c.at("material").is(material) {
			continue
		}
		year := orZero(c.at("year").number())
		if latest == nil || year.Cmp(latest) >= 0 {
			latest = year
			pct = sum(orZero(c.at("preConsumerPct").number()), orZero(c.at("postConsumerPct").number()))
		}
	}
	return pct
}
