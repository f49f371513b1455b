package web

import (
	"math/big"
	"strings"
)

// emergency is the card for who must act within a minute.
type emergency struct {
	Class      string // of chemistry: "Lithium-ion"
	Code       string
	Chemistry  string
	Voltage    string
	HighDC     bool // above 60 V direct current: dangerous to touch (UN ECE R100, high voltage)
	Energy     string
	Mass       string
	Agents     []agent
	Substances []substance
	Stated     bool // whether the model says which hazardous substances there are, if any
	Warnings   []string
	Documents  []value
	Contact    []value
	Maker      string
}

// agent is an extinguishing agent with the fire classes it is for (EN 2).
type agent struct{ Name, Classes string }

// substance is a hazardous substance with its CLP classes.
type substance struct{ Name, Where, Classes string }

func (s scan) emergency() emergency {
	m := s.model()
	e := emergency{
		Code: digText(m, "materials", "chemistry", "code"), Chemistry: digText(m, "materials", "chemistry", "name"),
		Contact: s.contact(), Maker: digText(m, "identification", "manufacturer", "name"),
	}
	_, e.Stated = dig(m, "materials", "hazardousSubstances")
	e.Class = s.l.t("chemistry." + chemistryClass(e.Code))
	if volts, ok := digNumber(m, "performance", "voltage", "nominal"); ok {
		e.Voltage = s.l.quantity(volts, "V")
	}
	if most, ok := digRat(m, "performance", "voltage", "max"); ok {
		e.HighDC = most.Cmp(big.NewRat(60, 1)) > 0
	}
	if kwh, ok := digNumber(m, "performance", "nominalEnergyKwh"); ok {
		e.Energy = s.l.quantity(kwh, "kWh")
	}
	if kg, ok := digNumber(m, "identification", "batteryMassKg"); ok {
		e.Mass = s.l.quantity(kg, "kg")
	}
	for _, v := range digList(m, "labels", "extinguishingAgents") {
		e.Agents = append(e.Agents, agent{Name: digText(v, "agent"), Classes: texts(digList(v, "fireClasses"))})
	}
	for _, v := range digList(m, "materials", "hazardousSubstances") {
		e.Substances = append(e.Substances, substance{
			Name: digText(v, "name"), Where: digText(v, "location"), Classes: texts(digList(v, "clp")),
		})
	}
	for _, v := range digList(m, "materials", "substanceImpacts") {
		if warning, ok := v.(map[string]any); ok {
			e.Warnings = append(e.Warnings, s.impact(warning))
		}
	}
	for _, v := range digList(m, "circularity", "endUserInfo", "safeHandling") {
		sheet := s.values().of("safeHandling", "", v, 0)
		sheet.Digest = "" // stands beside the document among all public data
		e.Documents = append(e.Documents, sheet)
	}
	return e
}

// impact writes a hazard or precautionary statement: "H314: Causes …".
func (s scan) impact(m map[string]any) string {
	text := textOf(m["text"])
	for _, v := range digList(m, "translations") {
		if digText(v, "lang") == s.l.code() {
			text = digText(v, "value")
		}
	}
	return strings.Trim(textOf(m["statement"])+": "+text, ": ")
}

func texts(list []any) string {
	var out []string
	for _, v := range list {
		if text := textOf(v); text != "" {
			out = append(out, text)
		}
	}
	return strings.Join(out, ", ")
}

// chemistryClasses maps the beginning of a chemistry code to the class a fire
// brigade thinks in.
var chemistryClasses = []struct{ code, class string }{
	{"NaIon", "sodiumIon"},
	{"NaNiCl2", "sodiumNickelChloride"},
	{"ZEBRA", "sodiumNickelChloride"},
	{"NiMH", "nickelMetalHydride"},
	{"NiCd", "nickelCadmium"},
	{"PbA", "leadAcid"},
	{"VRFB", "redoxFlow"},
	{"ZnBr", "redoxFlow"},
	{"LiS", "lithiumSulfur"},
	{"NMC", "lithiumIon"},
	{"NCA", "lithiumIon"},
	{"NMCA", "lithiumIon"},
	{"LNO", "lithiumIon"},
	{"LFP", "lithiumIon"},
	{"LMFP", "lithiumIon"},
	{"LMO", "lithiumIon"},
	{"LNMO", "lithiumIon"},
	{"LMR", "lithiumIon"},
	{"LCO", "lithiumIon"},
	{"LTO", "lithiumIon"},
}

func chemistryClass(code string) string {
	for _, c := range chemistryClasses {
		if strings.HasPrefix(code, c.code) {
			return c.class
		}
	}
	return "unclassified"
}
