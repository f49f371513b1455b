package schema

import (
	"slices"
	"strconv"
	"strings"

	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/passport"
)

// Codes of what a record owes.
const (
	codeMissing       = "attribute.missing"
	codeDueLater      = "attribute.dueLater"
	codeAwaitsAct     = "attribute.awaitsAct"
	codeUndecidable   = "attribute.undecidable"
	codeNotApplicable = "attribute.notApplicable"
	codeUnexplained   = "attribute.unexplained"
	codeUnknownValue  = "attribute.unknownValue"
)

// duties judges what a record owes by the triggers of its model.
func (v *Validator) duties(t passport.RecordType, doc map[string]any, ctx Context) []passport.Violation {
	model := ctx.Model
	if t == passport.Model {
		model = doc
	}
	j := judge{record: t, doc: doc, triggers: catalogue.TriggersOf(model)}
	if t != passport.Batch { // nothing in a batch depends on its model
		j.date, _ = doc["placedOnMarketOn"].(string)
	}
	v.catalogue.Each(t, j.attribute)
	if t == passport.Item && model != nil && j.date != "" {
		v.catalogue.Each(passport.Model, func(a catalogue.Attribute) { j.began(a, model) })
	}
	return j.found
}

// judge collects what one record owes and lacks.
type judge struct {
	record   passport.RecordType
	doc      map[string]any
	triggers catalogue.Triggers
	date     string // placed on the market on; empty while nobody knows
	missing  []catalogue.Attribute
	found    []passport.Violation
}

func (j *judge) attribute(a catalogue.Attribute) {
	if slices.Contains(a.Members, "[]") {
		return // rows of elements are the shape of their array
	}
	value, state := find(j.doc, a)
	switch state {
	case present:
		j.given(a, value)
	case absent:
		j.lacking(a)
	case broken: // the container is no container: the schema says so
	}
}

// given judges an attribute that is there.
func (j *judge) given(a catalogue.Attribute, value any) {
	if duty := a.Duty(j.triggers); duty.Need == catalogue.NotApplicable && value != nil && !(a.Trigger && value == false) {
		j.warn(a, codeNotApplicable, "nothing: "+a.Name["en"]+" is not for this category of battery", "leave it out")
	}
	if value == nil && a.Nullable && !a.Restricted() {
		if reasons, _ := j.doc["notApplicableReason"].(map[string]any); reasons[a.ID] == nil {
			j.warn(a, codeUnexplained, "a reason beside a null", "say why in notApplicableReason."+a.ID)
		}
	}
	text, ok := value.(string)
	if ok && a.OpenEnum && !slices.Contains(a.Enum, text) {
		j.warn(a, codeUnknownValue, "one of "+strings.Join(a.Enum, ", "), "use a known value where one fits")
	}
}

// lacking judges an attribute that is not there.
func (j *judge) lacking(a catalogue.Attribute) {
	duty := a.Duty(j.triggers)
	switch {
	case slices.ContainsFunc(j.missing, a.In):
		// the whole it belongs to is missing already
	case duty.Undecided():
		j.warn(a, codeUndecidable, a.Name["en"]+", unless the triggers free the battery from it",
			"state "+strings.Join(duty.Missing, ", ")+" in identification")
	case duty.Need == catalogue.Mandatory:
		j.missing = append(j.missing, a)
		j.found = append(j.found, missing(a, where(j.doc, a), ""))
	case duty.Need != catalogue.Later:
	case a.AwaitsAct:
		j.warn(a, codeAwaitsAct, a.Name["en"]+", once the act that defines it applies", "add it then in a new version, or state null and a reason now")
	case j.date == "":
		j.warn(a, codeDueLater, a.Name["en"]+", for batteries placed on the market from "+duty.From, "add it in a new version before that day")
	}
}

// began judges an attribute of the model whose duty begins at a date, now that
// the item knows its own.
func (j *judge) began(a catalogue.Attribute, model map[string]any) {
	if a.DutyFrom == nil || slices.Contains(a.Members, "[]") {
		return
	}
	duty := a.Duty(j.triggers)
	if duty.Need != catalogue.Later || a.On(duty, j.date) != catalogue.Mandatory {
		return
	}
	if _, state := find(model, a); state == absent {
		v := missing(a, passport.Pointer("placedOnMarketOn"), " in the model")
		v.Found = "a battery placed on the market on " + passport.Quote(j.date) + "; the duty began on " + duty.From
		if a.Unconfirmed() {
			v.Found += ", a date that is unconfirmed"
		}
		v.Repair = "register a version of the model with " + a.Path + " and pin that"
		j.found = append(j.found, v)
	}
}

// missing refuses a record for what it owes, or warns where the catalogue has
// not confirmed that it owes it.
func missing(a catalogue.Attribute, pointer, where string) passport.Violation {
	expected := a.Name["en"]
	if a.Unit != "" {
		expected += " in " + a.Unit
	}
	v := passport.Violation{
		Pointer: pointer, Code: codeMissing, Severity: passport.Blocking,
		Expected: expected + where, Found: "nothing", Repair: "declare " + a.Path,
	}
	return founded(v, a)
}

// founded names the provision behind a violation, and says so where the duty
// or its date was not confirmed in the law: such a duty never blocks.
func founded(v passport.Violation, a catalogue.Attribute) passport.Violation {
	v.LegalReference = a.LegalReference
	if a.Unconfirmed() {
		v.Severity = passport.Warning
		v.Expected += " (the duty or its date is unconfirmed)"
		v.LegalReference = strings.TrimSpace(a.LegalReference + " (unconfirmed)")
	}
	return v
}

func (j *judge) warn(a catalogue.Attribute, code, expected, repair string) {
	pointer := where(j.doc, a)
	found := "nothing"
	if code == codeNotApplicable || code == codeUnexplained || code == codeUnknownValue {
		e := explainer{doc: j.doc}
		found = e.found(pointer)
	}
	j.found = append(j.found, founded(passport.Violation{
		Pointer: pointer, Code: code, Severity: passport.Warning, Expected: expected, Found: found, Repair: repair,
	}, a))
}

// state says how far the way to a value goes.
type state int

const (
	absent  state = iota // some member on the way is not there
	broken               // a container on the way is no container
	present              // there is a value, null included
)

// find follows an attribute's members to its value.
func find(doc map[string]any, a catalogue.Attribute) (any, state) {
	var value any = doc
	for _, member := range a.Members {
		next, ok, fits := step(value, member, a.Key)
		if !fits {
			return nil, broken
		}
		if !ok {
			return nil, absent
		}
		value = next
	}
	return value, present
}

// step takes one member of an object, or the element of an array whose key
// member has the selector's value.
func step(value any, member, key string) (next any, ok, fits bool) {
	name, selects := strings.CutPrefix(strings.TrimSuffix(member, "]"), "[")
	if !selects {
		object, fits := value.(map[string]any)
		next, ok = object[member]
		return next, ok, fits
	}
	array, fits := value.([]any)
	for _, item := range array {
		if element, ok := item.(map[string]any); ok && element[key] == name {
			return element, true, true
		}
	}
	return nil, false, fits
}

// where writes the pointer to an attribute's value in this document, or to
// where it would be; for an element that no array holds, to the array.
func where(doc map[string]any, a catalogue.Attribute) string {
	var b strings.Builder
	var value any = doc
	for _, member := range a.Members {
		next, ok, _ := step(value, member, a.Key)
		if !strings.HasPrefix(member, "[") {
			b.WriteString(passport.Pointer(member))
			value = next
			continue
		}
		if !ok {
			break
		}
		array, _ := value.([]any)
		element, _ := next.(map[string]any)
		for i, item := range array {
			if object, ok := item.(map[string]any); ok && object[a.Key] == element[a.Key] {
				b.WriteString("/" + strconv.Itoa(i))
				break
			}
		}
		value = next
	}
	return b.String()
}
