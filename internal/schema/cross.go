package schema

import (
	"github.com/provolt/provolt/internal/passport"
)

// The cross-field checks: what must hold between members of a record, and
// between a record and those it pins, which JSON Schema cannot say. They are
// exact (no floats), read documents of any shape without panicking, and keep
// silent where a member they need is missing or of the wrong type: that is
// for the schema and the catalogue to say. Sources: data model sections 1.4,
// 2.3, 5 and 6; sourcing rules section 4.1.

// crossCode is the stable code of a cross-field check.
type crossCode string

// The codes, by the record they are found in.
const (
	regionCountry crossCode = "region.country"
	mixedScripts  crossCode = "text.mixedScripts"
	futureDate    crossCode = "date.future"
	futureInstant crossCode = "instant.future"

	warrantyPeriod       crossCode = "warranty.notPositive"
	compositionMass      crossCode = "composition.exceedsMass"
	voltageOrder         crossCode = "voltage.order"
	energyMismatch       crossCode = "energy.mismatch"
	powerPermitted       crossCode = "power.exceedsPermitted"
	powerEnergyRatio     crossCode = "power.energyRatio"
	powerStateOfCharge   crossCode = "power.stateOfCharge"
	temperatureOrder     crossCode = "temperature.order"
	footprintStages      crossCode = "carbonFootprint.stageSum"
	footprintAbsolute    crossCode = "carbonFootprint.absolute"
	hazardousShare       crossCode = "hazardousSubstance.share"
	hazardousComposition crossCode = "hazardousSubstance.composition"
	criticalShare        crossCode = "criticalRawMaterial.share"
	criticalShareUnsure  crossCode = "criticalRawMaterial.shareUnsure"
	chemistryFormula     crossCode = "chemistry.formula"
	recycledAbove100     crossCode = "recycledContent.above100"

	productionOrder      crossCode = "productionPeriod.order"
	lotDuplicate         crossCode = "lot.duplicate"
	lotShareSum          crossCode = "lot.shareSum"
	lotShareMass         crossCode = "lot.shareMass"
	lotDeclaredMass      crossCode = "lot.declaredMass"
	lotCompositionMass   crossCode = "lot.compositionMass"
	lotCompositionUnsure crossCode = "lot.compositionMassUnsure"
	lotValueAdded        crossCode = "lot.valueAddedSum"
	lotSynthetic         crossCode = "lot.syntheticExtraction"
	lotRecyclingStage    crossCode = "lot.recyclingStage"
	lotRecycledMissing   crossCode = "lot.recycledMissing"
	lotRecycledShare     crossCode = "lot.recycledShare"
	summaryDuplicate     crossCode = "originSummary.duplicate"
	summaryShareSum      crossCode = "originSummary.shareSum"
	summaryDisagrees     crossCode = "originSummary.disagrees"
	entityDuplicate      crossCode = "entity.duplicate"
	entityUnknown        crossCode = "entity.unknown"
	entityShareSum       crossCode = "entity.shareSum"

	batteryGTIN        crossCode = "batteryId.gtin"
	batterySerial      crossCode = "batteryId.serial"
	batteryLot         crossCode = "batteryId.lot"
	batchMismatch      crossCode = "batchId.mismatch"
	manufacturedBatch  crossCode = "manufacturingDate.outsidePeriod"
	marketBeforeMade   crossCode = "placedOnMarketOn.beforeManufacture"
	serviceBeforeMade  crossCode = "dateOfPuttingIntoService.beforeManufacture"
	predecessorMissing crossCode = "predecessor.missing"
	importerMissing    crossCode = "importer.missing"
	importerUnsure     crossCode = "importer.unsure"
	importerEORI       crossCode = "importer.eori"

	histogramOrder     crossCode = "histogram.order"
	histogramLength    crossCode = "histogram.length"
	capacityAboveRated crossCode = "capacity.aboveRated"
	fadeRange          crossCode = "fade.range"
	fadeMismatch       crossCode = "fade.mismatch"
	certifiedEnergy    crossCode = "stateOfCertifiedEnergy.mismatch"
)

// crossCheck is what one code always means: whether it blocks, how its
// author mends it, and the provision behind it (of Regulation (EU) 2023/1542
// where none is named). Several provisions are empty because the check is
// arithmetic and not law.
type crossCheck struct {
	severity passport.Severity
	repair   string
	law      string
}

// crossChecks is the list of all cross-field checks.
var crossChecks = map[crossCode]crossCheck{
	regionCountry: {passport.Blocking, "Write the ISO 3166-2 code of a region of this country, such as CN-XJ for CN.", ""},
	mixedScripts:  {passport.Warning, "Type the word anew in one script: letters of two scripts can look the same and name somebody else.", ""},
	futureDate:    {passport.Warning, "Correct the date, or the clock it was read from, unless it is planned.", ""},
	futureInstant: {passport.Blocking, "Set the clock of the recording system, or give the time with its offset from UTC.", ""},

	warrantyPeriod:       {passport.Blocking, "State the period as an ISO 8601 duration longer than zero, such as P8Y.", "Annex XIII 1(m)"},
	compositionMass:      {passport.Blocking, "Check the unit (kg per battery) and the masses of the materials, or the battery mass.", "Annex XIII 2(a)"},
	voltageOrder:         {passport.Blocking, "Give the voltages of the battery in V, the minimum below the nominal and the nominal below the maximum.", "Annex XIII 1(h)"},
	energyMismatch:       {passport.Blocking, "Check the three values belong to the same battery: rated capacity in Ah times nominal voltage in V is the nominal energy in Wh.", "Annex XIII 1(g)"},
	powerPermitted:       {passport.Blocking, "Correct the power capability or the maximum permitted power; both are in W.", "Annex XIII 1(i)"},
	powerEnergyRatio:     {passport.Warning, "Divide the nominal power in W by the energy in Wh.", "Annex IV B(2)"},
	powerStateOfCharge:   {passport.Blocking, "Add the original power capability at this state of charge.", "Annex IV B(4)"},
	temperatureOrder:     {passport.Blocking, "Put the lower boundary below the upper one, both in degrees Celsius.", "Annex XIII 1(l)"},
	footprintStages:      {passport.Blocking, "Give each stage in kgCO2e/kWh (not in per cent) so that the stages add up to the total.", "Art. 7(1)(e)"},
	footprintAbsolute:    {passport.Blocking, "Give the absolute footprint in kgCO2e: the footprint per kWh times the energy delivered over the lifetime in kWh.", ""},
	hazardousShare:       {passport.Blocking, "Check the mass in kg per battery and the share in per cent of the battery mass.", "Annex XIII 1(b)"},
	hazardousComposition: {passport.Blocking, "State the same mass for the substance here and in the composition.", "Annex XIII 1(b), 2(a)"},
	criticalShare:        {passport.Blocking, "Derive the share from the composition: mass of the element in kg divided by the battery mass, in per cent.", "Annex VI A(10)"},
	criticalShareUnsure:  {passport.Warning, "Name the materials of the composition by formula or CAS number so that the share can be derived.", "Annex VI A(10)"},
	chemistryFormula:     {passport.Blocking, "Correct the chemistry code or the formula.", "Annex VI A(7)"},
	recycledAbove100:     {passport.Blocking, "State the two shares in per cent of the same whole; together they are at most 100.", "Art. 8(1)"},

	productionOrder:      {passport.Blocking, "Put the first day of production in from and the last day in to.", ""},
	lotDuplicate:         {passport.Blocking, "Give every lot of the batch an identifier of its own.", ""},
	lotShareSum:          {passport.Blocking, "Make the mass shares of the mineral's lots add up to 1; add a lot with sourceType unknown for what is not known.", "Art. 49(1)(d)"},
	lotShareMass:         {passport.Blocking, "Divide the lot's contained mass by the mineral's total and write that share.", "Art. 49(1)(d)"},
	lotDeclaredMass:      {passport.Blocking, "Make the lots' contained masses add up to the mass that the origin summary declares, within 0.1 % or 1 g.", "Art. 49(1)(d)"},
	lotCompositionMass:   {passport.Blocking, "State the mass of the element, not of its compound, contained in one battery, or correct the model's composition.", "Art. 49(1)(d)"},
	lotCompositionUnsure: {passport.Warning, "Name the materials of the model's composition by formula or CAS number so that the mass can be derived.", "Art. 49(1)(d)"},
	lotValueAdded:        {passport.Blocking, "Make the shares of value added of the lot's stages add up to exactly 1.", ""},
	lotSynthetic:         {passport.Blocking, "Remove the extraction stage, or set synthetic to false if the graphite was mined.", ""},
	lotRecyclingStage:    {passport.Blocking, "Begin the stages of recycled material with recycling, and use that stage for nothing else.", "Art. 8(1)"},
	lotRecycledMissing:   {passport.Blocking, "Add the recycled lot of this mineral, or correct the recycled content of the model.", "Art. 8(1)"},
	lotRecycledShare:     {passport.Warning, "Check the recycled lots against the recycled content of the model; it is an average over a plant and a year, so a batch may differ for good reason.", "Art. 8(1)"},
	summaryDuplicate:     {passport.Blocking, "Merge the two entries: the summary has one for each mineral.", ""},
	summaryShareSum:      {passport.Blocking, "Write shares between 0 and 1 of the mineral's whole mass.", ""},
	summaryDisagrees:     {passport.Blocking, "Derive the public summary from the lots: add up the mass shares of those it describes.", "Art. 52(3)"},
	entityDuplicate:      {passport.Blocking, "Give every entity an identifier of its own, or merge the two.", ""},
	entityUnknown:        {passport.Blocking, "Add the entity to entities[], or correct the reference.", ""},
	entityShareSum:       {passport.Blocking, "Correct the shares or the dates: the owners of one time hold at most the whole.", ""},

	batteryGTIN:        {passport.Blocking, "Correct the battery identifier, or pin the model that carries this GTIN.", "Art. 77(3)"},
	batterySerial:      {passport.Blocking, "Write the serial number that the battery identifier ends in.", "Art. 38(6)"},
	batteryLot:         {passport.Blocking, "Write the batch identifier that the battery identifier names.", "Art. 38(6)"},
	batchMismatch:      {passport.Blocking, "Pin the batch that the battery was made in, or correct the batch identifier.", "Art. 38(6)"},
	manufacturedBatch:  {passport.Blocking, "Correct the manufacturing date, or pin the batch of that month.", "Annex VI A(4)"},
	marketBeforeMade:   {passport.Blocking, "Correct one of the two dates: a battery is placed on the market after it was made.", "Art. 77(1)"},
	serviceBeforeMade:  {passport.Blocking, "Correct one of the two dates: a battery is put into service after it was made.", "Annex VII B(1)"},
	predecessorMissing: {passport.Blocking, "Link the passport of the battery or batteries that this one was made from.", "Art. 77(7)"},
	importerMissing:    {passport.Blocking, "Add the importer with name, address and EORI number.", "Art. 41; ESPR Annex III(j)"},
	importerUnsure:     {passport.Warning, "Add the importer if the battery was placed on the Union market from outside it.", "Art. 41; ESPR Annex III(j)"},
	importerEORI:       {passport.Warning, "Add the importer's EORI number to its ids.", "ESPR Annex III(j)"},

	histogramOrder:     {passport.Blocking, "Sort the lower bounds of the bins in ascending order without repeats.", "Annex XIII 4(d)"},
	histogramLength:    {passport.Blocking, "Give one value for each bin.", "Annex XIII 4(d)"},
	capacityAboveRated: {passport.Blocking, "Check the unit and the reading against the rating of the model.", "Annex VII A(1)"},
	fadeRange:          {passport.Blocking, "Give the fade in per cent of the initial value, between 0 and 100.", "Annex XIII 4(a)"},
	fadeMismatch:       {passport.Warning, "Derive the fade as (1 - remaining / initial) x 100.", "Annex XIII 4(a)"},
	certifiedEnergy:    {passport.Warning, "Derive the state of certified energy as remaining / certified usable energy x 100.", "Annex XIII 4(b)"},
}

// crossReport collects the violations of one record.
type crossReport struct {
	violations []passport.Violation
}

// fault reports a check that failed. Text of the author's in found has gone
// through passport.Quote.
func (r *crossReport) fault(code crossCode, at place, expected, found string) {
	check := crossChecks[code]
	r.violations = append(r.violations, passport.Violation{
		Pointer: at.pointer, Code: string(code), Severity: check.severity,
		Expected: expected, Found: found, Repair: check.repair, LegalReference: check.law,
	})
}

// malformed reports a value that a parser of package passport refused, with
// the parser's own code.
func (r *crossReport) malformed(at place, err error, law string) {
	v := passport.ViolationAt(at.pointer, err)
	v.LegalReference = law
	r.violations = append(r.violations, v)
}
