package schema

import (
	"slices"
	"strings"
	"time"

	"github.com/provolt/provolt/internal/passport"
)

// crossItem checks an item passport within itself and against the model and
// the batch it pins; either may be nil. Pointers are relative to the item
// record. A zero now leaves the clock out.
func crossItem(doc, model, batch map[string]any, now time.Time) []passport.Violation {
	r, item := &crossReport{}, rootOf(doc)
	everywhere(r, item)
	identified(r, item, rootOf(model))
	inBatch(r, item, rootOf(batch))
	inTime(r, item)
	notAhead(r, item.at("manufacturingDate"), now)
	notAhead(r, item.at("placedOnMarketOn"), now)
	predecessor(r, item)
	importer(r, item, rootOf(model))
	return r.violations
}

// identified compares a battery identifier that is a Digital Link with the
// members that repeat parts of it. Other identifiers say nothing of them.
func identified(r *crossReport, item, model place) {
	at := item.at("batteryId")
	id, err := passport.ParseBatteryID(at.text())
	if err != nil {
		return
	}
	link, ok := id.DigitalLink()
	if !ok {
		return
	}
	gtin, err := passport.ParseGTIN(model.at("identification", "gtin").text())
	if err == nil && link.GTIN != "" && link.GTIN != gtin {
		r.fault(batteryGTIN, at, "the model's GTIN, "+string(gtin), string(link.GTIN))
	}
	repeats(r, batterySerial, item.at("serialNumber"), link.Serial)
	repeats(r, batteryLot, item.at("batchId"), link.Lot)
}

// repeats wants a member to say the same as the identifier, where both speak.
func repeats(r *crossReport, code crossCode, at place, want string) {
	if found := at.text(); found != "" && want != "" && found != want {
		r.fault(code, at, passport.Quote(want)+", as in batteryId", passport.Quote(found))
	}
}

func inBatch(r *crossReport, item, batch place) {
	named, pinned := item.at("batchId").text(), batch.at("batchId").text()
	if named != "" && pinned != "" && named != pinned {
		r.fault(batchMismatch, item.at("batchId"), passport.Quote(pinned)+", as in the batch record", passport.Quote(named))
	}
	made, period := windowOf(item.at("manufacturingDate")), batch.at("productionPeriod")
	from, to := period.at("from"), period.at("to")
	if made.before(windowOf(from)) || windowOf(to).before(made) {
		r.fault(manufacturedBatch, item.at("manufacturingDate"),
			"a date within the batch's production period, "+from.text()+" to "+to.text(), item.at("manufacturingDate").text())
	}
}

// inTime wants the dates of a battery's life in order.
func inTime(r *crossReport, item place) {
	made := item.at("manufacturingDate")
	after := func(code crossCode, at place) {
		if windowOf(at).before(windowOf(made)) {
			r.fault(code, at, "a date not before the manufacturing date, "+made.text(), at.text())
		}
	}
	after(marketBeforeMade, item.at("placedOnMarketOn"))
	after(serviceBeforeMade, item.at("dateOfPuttingIntoService"))
}

// succeeding are the states that a battery reaches only from an earlier life
// with a passport of its own (Art. 77(7)).
var succeeding = []string{"repurposed", "reUsed", "remanufactured"}

func predecessor(r *crossReport, item place) {
	status := item.at("lifecycle", "batteryStatus").text()
	if slices.Contains(succeeding, status) && len(item.at("predecessors").elements()) == 0 {
		r.fault(predecessorMissing, item.at("predecessors"), "the passport that a "+status+" battery succeeds", "none")
	}
}

// importer wants the importer where the record says that there is one. A
// plant outside the Union only hints at one: the maker itself may be
// established inside it.
func importer(r *crossReport, item, model place) {
	at := item.at("importer")
	if len(at.names()) > 0 {
		if ids := at.at("ids"); !hasScheme(ids, "eori") {
			r.fault(importerEORI, ids, "an id of scheme eori", "none")
		}
		return
	}
	plant := model.at("identification", "manufacturingPlace", "address", "country").text()
	switch {
	case item.at("economicOperator", "role").is("importer"):
		r.fault(importerMissing, at, "the importer that the economic operator says to be", "none")
	case plant != "" && !slices.Contains(economicArea, plant):
		r.fault(importerUnsure, at, "the importer of a battery made in "+passport.Quote(plant), "none")
	}
}

func hasScheme(ids place, scheme string) bool {
	return slices.ContainsFunc(ids.elements(), func(id place) bool {
		return strings.EqualFold(id.at("scheme").text(), scheme)
	})
}
