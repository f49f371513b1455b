package schema

import (
	"math/big"
	"time"

	"github.com/provolt/provolt/internal/passport"
)

// capacityHeadroom is how far a new battery may measure above its rating.
var capacityHeadroom = decimal("1.1")

// crossCondition checks a condition record within itself and against the
// model of its battery, which may be nil. A zero now leaves the clock out. Pointers are relative to the
// condition record.
func crossCondition(doc, model map[string]any, now time.Time) []passport.Violation {
	r, condition := &crossReport{}, rootOf(doc)
	everywhere(r, condition)
	recordedBy(r, condition.at("recordedAt"), now)
	histogram(r, condition.at("temperature"))
	histogram(r, condition.at("socHistogram"))
	for _, member := range []string{"capacityFadePct", "powerFadePct", "roundTripEfficiencyFadePct"} {
		fadeInRange(r, condition.at(member))
	}
	performance := rootOf(model).at("performance")
	belowRating(r, condition.at("remainingCapacityAh"), performance.at("ratedCapacityAh"), "Ah")
	belowRating(r, condition.at("remainingUsableEnergyKwh"), performance.at("certifiedUsableEnergyKwh"), "kWh")
	fades(r, condition, performance)
	certified(r, condition, performance)
	return r.violations
}

// histogram wants ascending lower bounds and a value for each bin.
func histogram(r *crossReport, at place) {
	bins, minutes := at.at("binsFrom").elements(), at.at("minutes").elements()
	inOrder(r, histogramOrder, "as the lower bound of the bin before", bins...)
	if at.at("binsFrom").present && at.at("minutes").present && len(bins) != len(minutes) {
		r.fault(histogramLength, at.at("minutes"), shown(big.NewRat(int64(len(bins)), 1))+" values", shown(big.NewRat(int64(len(minutes)), 1)))
	}
}

func fadeInRange(r *crossReport, at place) {
	if n := at.number(); n != nil && (n.Sign() < 0 || n.Cmp(hundred) > 0) {
		r.fault(fadeRange, at, "0 to 100 %", shown(n)+" %")
	}
}

func belowRating(r *crossReport, at, rating place, unit string) {
	found, rated := at.number(), rating.number()
	if found == nil || !positive(rated) {
		return
	}
	if most := product(rated, capacityHeadroom); found.Cmp(most) > 0 {
		r.fault(capacityAboveRated, at, "at most 1.1 times the model's rating, "+shown(most)+" "+unit, shown(found)+" "+unit)
	}
}

// fades compares each stated fade with (1 - remaining / initial) x 100
// (data model section 1.4, row 4), within one percentage point.
func fades(r *crossReport, condition, performance place) {
	fade(r, condition.at("capacityFadePct"), condition.at("remainingCapacityAh").number(), performance.at("ratedCapacityAh").number())
	fade(r, condition.at("roundTripEfficiencyFadePct"), condition.at("remainingRoundTripEfficiencyPct").number(),
		performance.at("roundTripEfficiency", "initialPct").number())
	high := decimal("80")
	fade(r, condition.at("powerFadePct"), pointAt(condition.at("remainingPower").elements(), high).at("watts").number(),
		pointAt(performance.at("power", "original").elements(), high).at("watts").number())
}

func fade(r *crossReport, at place, remaining, initial *big.Rat) {
	stated := at.number()
	if !known(stated, remaining) || !positive(initial) {
		return
	}
	derived := larger(new(big.Rat), product(difference(one, ratio(remaining, initial)), hundred))
	if distance(stated, derived).Cmp(one) > 0 {
		r.fault(fadeMismatch, at, shown(derived)+" %, derived from the remaining and the initial value, within 1 point", shown(stated)+" %")
	}
}

// certified compares the state of certified energy (UN GTR 22) with the
// energies it is the ratio of, within one percentage point.
func certified(r *crossReport, condition, performance place) {
	at := condition.at("stateOfCertifiedEnergyPct")
	stated, remaining := at.number(), condition.at("remainingUsableEnergyKwh").number()
	usable := performance.at("certifiedUsableEnergyKwh").number()
	if !known(stated, remaining) || !positive(usable) {
		return
	}
	derived := product(ratio(remaining, usable), hundred)
	if distance(stated, derived).Cmp(one) > 0 {
		r.fault(certifiedEnergy, at, shown(derived)+" %, remaining by certified usable energy, within 1 point", shown(stated)+" %")
	}
}
