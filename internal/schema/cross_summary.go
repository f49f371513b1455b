package schema

import (
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/provolt/provolt/internal/passport"
)

// The public summary of origins is all that most readers ever see, so it may
// not say what the lots behind it do not.

// summaryStages are the members of a summary entry that hold shares by
// country, with the stage of a lot they speak of.
var summaryStages = []struct{ member, stage string }{
	{"extraction", "extraction"}, {"refining", "refining"}, {"recycled", "recycling"},
}

// summaryLevels are the members that hold shares by a property of the lot.
var summaryLevels = []struct{ member, property string }{
	{"byCustodyModel", "chainOfCustodyModel"}, {"byVerification", "verification"},
}

func originSummaries(r *crossReport, batch place, lots []place) {
	entries := batch.at("originSummary").elements()
	unique(r, summaryDuplicate, entries, "mineral")
	byMineral := map[string]mineralLots{}
	for _, m := range mineralsOf(lots) {
		byMineral[m.mineral] = m
	}
	for _, entry := range entries {
		m := byMineral[entry.at("mineral").text()]
		delete(byMineral, m.mineral) // a second entry is a fault of its own
		declaredMass(r, entry, m)
		for _, s := range summaryStages {
			stageShares(r, entry.at(s.member), m, s.stage)
		}
		for _, s := range summaryLevels {
			levelShares(r, entry.at(s.member), m, s.property)
		}
	}
}

// declaredMass wants the lots to add up to the declared mass within 0.1 % or
// 1 g, whichever is larger.
func declaredMass(r *crossReport, entry place, m mineralLots) {
	declared := entry.at("massKg").number()
	found, complete := m.sum("containedMassKg")
	if declared == nil || len(m.lots) == 0 || !complete {
		return
	}
	if distance(found, declared).Cmp(larger(product(declared, declaredTolerance), declaredFloor)) > 0 {
		r.fault(lotDeclaredMass, entry.at("massKg"), shown(found)+" kg, the sum of the lots of "+m.mineral, shown(declared)+" kg")
	}
}

// stageShares checks the shares by country of one stage: at most 1 together,
// and each as the lots say.
func stageShares(r *crossReport, shares place, m mineralLots, stage string) {
	found := sharesSum(shares)
	if difference(found, one).Cmp(shareSumTolerance) > 0 {
		r.fault(summaryShareSum, shares, "shares of at most 1 in sum", shown(found))
	}
	for _, code := range shares.names() {
		if code != unknownCountry {
			country(r, shares.at(code), code)
		}
	}
	if !shares.present {
		return
	}
	derived, ok := sharesByCountry(m, stage)
	agree(r, shares, derived, ok)
}

// levelShares checks the shares by custody model or verification level: they
// cover every lot, so they sum to 1.
func levelShares(r *crossReport, shares place, m mineralLots, property string) {
	if !shares.present || len(shares.names()) == 0 {
		return
	}
	found := sharesSum(shares)
	if distance(found, one).Cmp(shareSumTolerance) > 0 {
		r.fault(summaryShareSum, shares, "shares that sum to 1 within 0.001", shown(found))
	}
	derived := map[string]span{}
	for _, lot := range m.lots {
		share, key := lot.at("massShare").number(), lot.at(property).text()
		if share == nil || key == "" {
			return
		}
		add(derived, key, exactly(share))
	}
	agree(r, shares, derived, len(m.lots) > 0)
}

func sharesSum(shares place) *big.Rat {
	found := new(big.Rat)
	for _, name := range shares.names() {
		if n := shares.at(name).number(); positive(n) {
			found.Add(found, n)
		}
	}
	return found
}

func add(derived map[string]span, key string, s span) {
	held, ok := derived[key]
	if !ok {
		held = exactly(new(big.Rat))
	}
	derived[key] = held.plus(s)
}

// sharesByCountry derives a range for each country. A lot that passes one
// country at this stage counts there; a lot that passes several may be
// counted in any of them (the last refiner, say), so it widens the range of
// each.
func sharesByCountry(m mineralLots, stage string) (map[string]span, bool) {
	derived := map[string]span{}
	for _, lot := range m.lots {
		share := lot.at("massShare").number()
		if share == nil {
			return nil, false
		}
		codes := countriesAt(lot, stage)
		for _, code := range codes {
			s := exactly(share)
			if len(codes) > 1 {
				s.low = new(big.Rat)
			}
			add(derived, code, s)
		}
	}
	return derived, len(m.lots) > 0
}

// unknownCountry is the key of a summary for what lots leave open (null).
const unknownCountry = "unknown"

// countriesAt lists the countries of a lot's stages of one kind, each once.
func countriesAt(lot place, stage string) []string {
	seen := map[string]bool{}
	for _, s := range lot.at("stages").elements() {
		if !s.at("stage").is(stage) {
			continue
		}
		code := s.at("country").text()
		if code == "" {
			code = unknownCountry
		}
		seen[code] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// agree compares what a summary says of each key with what was derived.
func agree(r *crossReport, shares place, derived map[string]span, ok bool) {
	if !ok {
		return
	}
	for _, key := range shares.names() {
		n := shares.at(key).number()
		if n == nil {
			continue
		}
		s, known := derived[key]
		if !known {
			s = exactly(new(big.Rat))
		}
		if n.Cmp(difference(s.low, shareAgreement)) < 0 || n.Cmp(sum(s.high, shareAgreement)) > 0 {
			r.fault(summaryDisagrees, shares.at(key), s.plain()+" by the lots", shown(n))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(derived)) {
		if s := derived[key]; key != unknownCountry && !shares.at(key).present && s.low.Cmp(shareAgreement) > 0 {
			r.fault(summaryDisagrees, shares, fmt.Sprintf("%s for %s, as the lots say", s.plain(), passport.Quote(key)), "nothing")
		}
	}
}

// plain renders the range without a unit.
func (s span) plain() string {
	low, high := shown(s.low), shown(s.high)
	if low == high {
		return low
	}
	return low + " to " + high
}
