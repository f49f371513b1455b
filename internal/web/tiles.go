package web

import (
	"math/big"
	"strconv"
)

// tiles are the five answers most readers came for.
type tiles struct {
	Class, Code, Chemistry, Format string
	Capacity, Energy, Voltage      string
	Carbon                         *carbon
	Recycled                       []recycled
}

// carbon is the carbon footprint per functional unit with its life-cycle
// stages.
type carbon struct {
	PerUnit  string
	Unit     string
	Absolute string
	Class    value // as the table of all data says it
	Stages   []segment
}

// recycled is the recycled share of one material of Art. 8(1).
type recycled struct {
	Name, Total     string // Total is empty if it is unknown
	Pre, Post       string // widths in percent of the bar
	PreText, PostOf string
}

func (s scan) tiles(e emergency) tiles {
	m := s.model()
	t := tiles{
		Class: e.Class, Code: e.Code, Chemistry: e.Chemistry, Energy: e.Energy, Voltage: e.Voltage,
		Carbon: s.carbon(), Recycled: s.recycled(),
	}
	if format := digText(m, "materials", "chemistry", "cellFormat"); format != "" {
		t.Format = s.l.either("word.cellFormat."+format, format)
	}
	if ah, ok := digNumber(m, "performance", "ratedCapacityAh"); ok {
		t.Capacity = s.l.quantity(ah, "Ah")
	}
	return t
}

// carbonStages are the life-cycle stages of Annex II(4), in order.
var carbonStages = []string{"rawMaterialAcquisition", "mainProduction", "distribution", "endOfLifeAndRecycling"}

func (s scan) carbon() *carbon {
	footprint, _ := dig(s.model(), "carbonFootprint")
	perUnit, ok := digNumber(footprint, "perFunctionalUnit")
	if !ok {
		return nil
	}
	c := &carbon{PerUnit: s.l.number(perUnit), Unit: s.l.t("unit.kgCO2e/kWh"), Class: s.performanceClass()}
	if kg, ok := digNumber(footprint, "absoluteKg"); ok {
		c.Absolute = s.l.quantity(kg, "kgCO2e")
	}
	whole := new(big.Rat)
	for _, id := range carbonStages {
		if share, ok := digRat(footprint, "stages", id); ok && share.Sign() > 0 {
			whole.Add(whole, share)
		}
	}
	if whole.Sign() == 0 {
		return c
	}
	b := bar{s: s, whole: one}
	for i, id := range carbonStages {
		amount, ok := digRat(footprint, "stages", id)
		switch {
		case ok && amount.Sign() > 0:
			b.add("c"+strconv.Itoa(i+1), s.l.t("carbon."+id), "", new(big.Rat).Quo(amount, whole))
		case ok && amount.Sign() < 0: // a credit takes no room in the bar
			n, _ := digNumber(footprint, "stages", id)
			b.segments = append(b.segments, segment{Class: "credit", X: "0%", Width: "0%", Label: s.l.t("carbon." + id), Share: s.l.quantity(n, "kgCO2e/kWh")})
		}
	}
	c.Stages = b.segments
	return c
}

// performanceClass is the class of Art. 7(2): stated, unknown, not applicable
// with the reason, or not stated.
func (s scan) performanceClass() value {
	if a, ok := s.cat.Attribute("carbonFootprintPerformanceClass"); ok {
		if v, stated := s.declared(a); stated {
			return v
		}
	}
	return value{Kind: "unknown", Text: s.l.t("state.notStated")}
}

// recycledMaterials are those of Art. 8(1).
var recycledMaterials = []string{"cobalt", "lithium", "nickel", "lead"}

func (s scan) recycled() []recycled {
	list, _ := dig(s.model(), "circularity", "recycledContent")
	var out []recycled
	for _, id := range recycledMaterials {
		entry, ok := element(list, "material", id)
		pre, preOK := digRat(entry, "preConsumerPct")
		post, postOK := digRat(entry, "postConsumerPct")
		switch {
		case !ok:
			continue
		case !preOK || !postOK:
			out = append(out, recycled{Name: s.l.t("mineral." + id)})
			continue
		}
		pre.Quo(pre, big.NewRat(100, 1))
		post.Quo(post, big.NewRat(100, 1))
		out = append(out, recycled{
			Name: s.l.t("mineral." + id), Total: s.l.percentOf(new(big.Rat).Add(pre, post)),
			Pre: percentText(pre), Post: percentText(post), PreText: s.l.percentOf(pre), PostOf: s.l.percentOf(post),
		})
	}
	return out
}
