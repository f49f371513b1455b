package schema

import (
	"math/big"
	"strings"

	"github.com/provolt/provolt/internal/passport"
)

// The tolerances of the model's checks; the sources are data model section 5
// unless said otherwise.
var (
	massTolerance      = decimal("0.005") // of the battery mass, for the rounding of many materials
	energyTolerance    = decimal("0.03")
	ratioTolerance     = decimal("0.05")
	footprintTolerance = decimal("0.01")
	shareTolerance     = decimal("0.05")
	thousand           = decimal("1000")
	hundred            = decimal("100")
	half               = decimal("0.5")
	one                = decimal("1")
)

// crossModel checks a model record within itself. Pointers are relative to
// the record.
func crossModel(doc map[string]any) []passport.Violation {
	r, model := &crossReport{}, rootOf(doc)
	everywhere(r, model)
	gtin(r, model.at("identification", "gtin"))
	warranty(r, model.at("identification", "warrantyPeriod"))
	compositionWithinMass(r, model)
	hazardous(r, model)
	criticalMaterials(r, model)
	chemistryAgrees(r, model)
	recycledContent(r, model)
	footprint(r, model.at("carbonFootprint"))
	voltageAndEnergy(r, model.at("performance"))
	power(r, model)
	temperatures(r, model.at("performance"))
	return r.violations
}

// gtin checks length and check digit (GS1 General Specifications 7.9).
func gtin(r *crossReport, at place) {
	if at.text() == "" {
		return
	}
	if _, err := passport.ParseGTIN(at.text()); err != nil {
		r.malformed(at, err, "Annex VI A(2)")
	}
}

// warranty wants a duration, not the month in which the warranty ends that
// some templates ask for, and more of it than nothing.
func warranty(r *crossReport, at place) {
	if at.text() == "" {
		return
	}
	period, err := passport.ParseDuration(at.text())
	switch {
	case err != nil:
		r.malformed(at, err, "Annex XIII 1(m)")
	case period == passport.Duration{}:
		r.fault(warrantyPeriod, at, "an ISO 8601 duration longer than zero", passport.Quote(at.text()))
	}
}

func compositionWithinMass(r *crossReport, model place) {
	battery := model.at("identification", "batteryMassKg").number()
	materials := model.at("composition", "materials")
	total := total(materials.elements(), "massKg")
	if !positive(battery) || total.Cmp(product(battery, sum(one, massTolerance))) <= 0 {
		return
	}
	r.fault(compositionMass, materials, "materials of at most the battery mass, "+shown(battery)+" kg", shown(total)+" kg in sum")
}

// total adds up the positive numbers of a member over the elements.
func total(elements []place, member string) *big.Rat {
	out := new(big.Rat)
	for _, e := range elements {
		if n := e.at(member).number(); positive(n) {
			out.Add(out, n)
		}
	}
	return out
}

// hazardous checks each substance's mass against its share of the battery
// mass, and against the composition where that lists the same CAS number.
func hazardous(r *crossReport, model place) {
	battery := model.at("identification", "batteryMassKg").number()
	byCAS := map[string]*big.Rat{}
	for _, m := range model.at("composition", "materials").elements() {
		if cas, mass := m.at("cas").text(), m.at("massKg").number(); cas != "" && positive(mass) {
			byCAS[cas] = sum(mass, orZero(byCAS[cas]))
		}
	}
	for _, h := range model.at("materials", "hazardousSubstances").elements() {
		mass, share := h.at("massKg").number(), h.at("wtPct").number()
		if known(mass, share) && positive(battery) {
			hazardousWithin(r, h, mass, battery)
		}
		if listed := byCAS[h.at("cas").text()]; known(mass, listed) && !near(mass, listed, shareTolerance) {
			r.fault(hazardousComposition, h.at("massKg"), shown(listed)+" kg, as in the composition", shown(mass)+" kg")
		}
	}
}

func orZero(r *big.Rat) *big.Rat {
	if r == nil {
		return new(big.Rat)
	}
	return r
}

func hazardousWithin(r *crossReport, h place, mass, battery *big.Rat) {
	derived := ratio(product(h.at("wtPct").number(), battery), hundred)
	rounding := ratio(product(h.at("wtPct").lastPlace(), half, battery), hundred)
	room := larger(product(derived, shareTolerance), rounding)
	if distance(mass, derived).Cmp(room) > 0 {
		r.fault(hazardousShare, h.at("massKg"), shown(derived)+" kg, which is wtPct of the battery mass, within 5 %", shown(mass)+" kg")
	}
}

// materialNames maps spellings of critical raw materials to mineral ids.
var materialNames = map[string]string{
	"aluminum": "aluminium", "bauxite": "aluminium", "bauxite/alumina/aluminium": "aluminium", "silicon metal": "silicon",
	"titanium metal": "titanium", "natural graphite": "graphite", "li": "lithium", "ni": "nickel", "co": "cobalt", "mn": "manganese",
	"cu": "copper", "al": "aluminium", "p": "phosphorus", "si": "silicon",
}

// criticalMaterials compares the stated share of each critical raw material
// with what the composition holds of it.
func criticalMaterials(r *crossReport, model place) {
	battery := model.at("identification", "batteryMassKg").number()
	if !positive(battery) {
		return
	}
	held := composed(model)
	for _, c := range model.at("materials", "criticalRawMaterials").elements() {
		share := c.at("wtPct").number()
		derived, ok := held.of(elementsOf[mineralNamed(c.at("material").text())]...)
		if share == nil || !ok {
			continue
		}
		stated := ratio(product(share, battery), hundred)
		rounding := ratio(product(c.at("wtPct").lastPlace(), half, battery), hundred)
		outside, certain := held.outside(stated, derived, rounding)
		if outside {
			r.fault(eitherCode(certain, criticalShare, criticalShareUnsure), c.at("wtPct"),
				derived.String()+" by the composition, within 5 %", shown(share)+" % or "+shown(stated)+" kg")
		}
	}
}

func mineralNamed(material string) string {
	material = strings.ToLower(strings.TrimSpace(material))
	if id, ok := materialNames[material]; ok {
		return id
	}
	return material
}

func eitherCode(certain bool, yes, no crossCode) crossCode {
	if certain {
		return yes
	}
	return no
}

func recycledContent(r *crossReport, model place) {
	for _, c := range model.at("circularity", "recycledContent").elements() {
		before, after := c.at("preConsumerPct").number(), c.at("postConsumerPct").number()
		if known(before, after) && sum(before, after).Cmp(hundred) > 0 {
			r.fault(recycledAbove100, c, "pre-consumer and post-consumer shares of at most 100 % together", shown(sum(before, after))+" %")
		}
	}
}

var footprintStageNames = []string{"rawMaterialAcquisition", "mainProduction", "distribution", "endOfLifeAndRecycling"}

func footprint(r *crossReport, at place) {
	perUnit := at.at("perFunctionalUnit")
	whole := perUnit.number()
	if whole == nil {
		return
	}
	footprintSum(r, at.at("stages"), whole, larger(product(whole, footprintTolerance), perUnit.lastPlace()))
	absolute, lifetime := at.at("absoluteKg").number(), at.at("lifetimeEnergyKwh").number()
	if !known(absolute, lifetime) {
		return
	}
	derived := product(whole, lifetime)
	room := larger(product(derived, footprintTolerance), product(perUnit.lastPlace(), half, lifetime))
	if distance(absolute, derived).Cmp(room) > 0 {
		r.fault(footprintAbsolute, at.at("absoluteKg"), shown(derived)+" kgCO2e, which is perFunctionalUnit x lifetimeEnergyKwh", shown(absolute)+" kgCO2e")
	}
}

// footprintSum wants the stages to add up to the total within 1 % or one
// unit of the last place the total is written with. With a stage missing,
// the others may still not exceed it.
func footprintSum(r *crossReport, stages place, whole, room *big.Rat) {
	found, complete := new(big.Rat), true
	for _, name := range footprintStageNames {
		n := stages.at(name).number()
		if n == nil {
			complete = false
			continue
		}
		found.Add(found, n)
	}
	excess := difference(found, whole)
	if excess.Cmp(room) > 0 || complete && distance(found, whole).Cmp(room) > 0 {
		r.fault(footprintStages, stages, "stages that add up to "+shown(whole)+" kgCO2e/kWh", shown(found)+" kgCO2e/kWh")
	}
}

func voltageAndEnergy(r *crossReport, performance place) {
	voltage := performance.at("voltage")
	inOrder(r, voltageOrder, "V", voltage.at("min"), voltage.at("nominal"), voltage.at("max"))
	capacity, energy := performance.at("ratedCapacityAh").number(), performance.at("nominalEnergyKwh")
	nominal := voltage.at("nominal").number()
	if !known(capacity, nominal, energy.number()) {
		return
	}
	derived := ratio(product(capacity, nominal), thousand)
	room := larger(product(derived, energyTolerance), product(energy.lastPlace(), half))
	if distance(energy.number(), derived).Cmp(room) > 0 {
		r.fault(energyMismatch, energy, shown(derived)+" kWh, which is capacity x nominal voltage, within 3 %", shown(energy.number())+" kWh")
	}
}

// inOrder wants the numbers that are there to ascend, and blames the first
// that does not.
func inOrder(r *crossReport, code crossCode, unit string, places ...place) {
	var before *big.Rat
	for _, p := range places {
		n := p.number()
		if n == nil {
			continue
		}
		if before != nil && n.Cmp(before) <= 0 {
			r.fault(code, p, "more than "+shown(before)+" "+unit, shown(n)+" "+unit)
			return
		}
		before = n
	}
}

func temperatures(r *crossReport, performance place) {
	idle := performance.at("idleTemperature")
	inOrder(r, temperatureOrder, "degrees Celsius", idle.at("minC"), idle.at("maxC"))
	for _, of := range []string{"voltage", "power"} {
		ranged := performance.at(of, "temperatureRangeC")
		inOrder(r, temperatureOrder, "degrees Celsius", ranged.at("min"), ranged.at("max"))
	}
}

func power(r *crossReport, model place) {
	at := model.at("performance", "power")
	permitted := at.at("maxPermittedW").number()
	for _, p := range at.at("original").elements() {
		if watts := p.at("watts").number(); known(watts, permitted) && watts.Cmp(permitted) > 0 {
			r.fault(powerPermitted, p.at("watts"), "at most maxPermittedW, "+shown(permitted)+" W", shown(watts)+" W")
		}
	}
	statesOfCharge(r, model, at.at("original"))
	powerToEnergy(r, model.at("performance"))
}

// statesOfCharge wants the power of rechargeable EV and industrial batteries
// at 80 % and 20 % state of charge (Annex IV B(4)).
func statesOfCharge(r *crossReport, model, original place) {
	id := model.at("identification")
	rechargeable, ok := id.at("rechargeable").truth()
	category := id.at("batteryCategory").text()
	points := original.elements()
	if len(points) == 0 || category != "ev" && category != "industrial" || ok && !rechargeable {
		return
	}
	for _, wanted := range []*big.Rat{decimal("80"), decimal("20")} {
		if !pointAt(points, wanted).present {
			r.fault(powerStateOfCharge, original, "a power at "+shown(wanted)+" % state of charge", "none")
		}
	}
}

// pointAt returns the point given for a state of charge, or an empty place.
func pointAt(points []place, stateOfCharge *big.Rat) place {
	for _, p := range points {
		if soc := p.at("socPct").number(); soc != nil && soc.Cmp(stateOfCharge) == 0 {
			return p
		}
	}
	return place{}
}

// powerToEnergy compares the stated ratio with those that the powers and
// energies of the record allow. It only warns: the regulation does not say
// which of its powers is the nominal one.
func powerToEnergy(r *crossReport, performance place) {
	stated := performance.at("power", "powerToEnergyRatio")
	var low, high *big.Rat
	for _, energy := range []string{"nominalEnergyKwh", "certifiedUsableEnergyKwh"} {
		kWh := performance.at(energy).number()
		if !positive(kWh) {
			continue
		}
		for _, watts := range statedPowers(performance.at("power")) {
			derived := ratio(watts, product(kWh, thousand))
			if low == nil {
				low, high = derived, derived
			}
			low, high = smaller(low, derived), larger(high, derived)
		}
	}
	n := stated.number()
	if !known(n, low) {
		return
	}
	slack := product(stated.lastPlace(), half)
	if n.Cmp(difference(product(low, difference(one, ratioTolerance)), slack)) < 0 || n.Cmp(sum(product(high, sum(one, ratioTolerance)), slack)) > 0 {
		r.fault(powerEnergyRatio, stated, shown(low)+" to "+shown(high)+" W/Wh by the powers and energies stated, within 5 %", shown(n)+" W/Wh")
	}
}

func statedPowers(power place) []*big.Rat {
	var out []*big.Rat
	for _, p := range append(power.at("original").elements(), power) {
		for _, member := range []string{"watts", "maxPermittedW"} {
			if watts := p.at(member).number(); positive(watts) {
				out = append(out, watts)
			}
		}
	}
	return out
}
