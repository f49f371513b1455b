package catalogue

import "slices"

// Truth is the three-valued answer to a trigger. Its zero value is Unknown.
type Truth int8

// The truth values.
const (
	Unknown Truth = iota
	False
	True
)

// The triggers: the members of model.identification that decide what a
// battery owes, beside batteryCategory.
const (
	rechargeable        = "rechargeable"
	hasBms              = "hasBms"
	externalStorageOnly = "externalStorageOnly"
	stationaryBess      = "stationaryBess"
	nonCycleApplication = "nonCycleApplication"
)

var triggerNames = []string{rechargeable, hasBms, externalStorageOnly, stationaryBess, nonCycleApplication}

// Triggers are the facts about a battery model that decide what it owes.
// The zero value knows nothing.
type Triggers struct {
	Category            string // ev, lmt, industrial, or empty
	Rechargeable        Truth
	HasBMS              Truth
	ExternalStorageOnly Truth
	StationaryBESS      Truth
	NonCycleApplication Truth
}

// TriggersOf reads the triggers of a model record; a member that is absent or
// of the wrong type is Unknown. For EV and LMT batteries the two triggers that
// only split industrial batteries are False.
func TriggersOf(model map[string]any) Triggers {
	identification, _ := model["identification"].(map[string]any)
	truth := func(member string) Truth {
		switch identification[member] {
		case true:
			return True
		case false:
			return False
		}
		return Unknown
	}
	category, _ := identification["batteryCategory"].(string)
	t := Triggers{
		Category: category, Rechargeable: truth(rechargeable), HasBMS: truth(hasBms),
		ExternalStorageOnly: truth(externalStorageOnly), StationaryBESS: truth(stationaryBess),
		NonCycleApplication: truth(nonCycleApplication),
	}
	if category == string(EV) || category == string(LMT) {
		t.ExternalStorageOnly, t.StationaryBESS = False, False
	}
	return t
}

func (t Triggers) truth(name string) Truth {
	switch name {
	case rechargeable:
		return t.Rechargeable
	case hasBms:
		return t.HasBMS
	case externalStorageOnly:
		return t.ExternalStorageOnly
	case stationaryBess:
		return t.StationaryBESS
	case nonCycleApplication:
		return t.NonCycleApplication
	}
	return Unknown
}

// Duty is what a battery owes of one attribute, as far as its triggers tell.
type Duty struct {
	Need Need // Mandatory, Voluntary, Conditional, NotApplicable or Later; empty when Missing is not
	// From is the day from which a Later attribute binds batteries placed on
	// the market.
	From string
	// Missing names the triggers that would have to be known to decide.
	Missing []string
}

// Undecided reports whether the triggers known do not tell what is owed.
func (d Duty) Undecided() bool { return len(d.Missing) > 0 }

// On returns the need of a battery placed on the market on that ISO date:
// a Later duty that has begun is Mandatory, one that has not is Voluntary.
// A duty that awaits its act never begins.
func (a Attribute) On(d Duty, date string) Need {
	switch {
	case d.Need != Later:
		return d.Need
	case !a.AwaitsAct && date >= d.From:
		return Mandatory
	default:
		return Voluntary
	}
}

// Duty judges the attribute for a battery. Unknown triggers matter only where
// their values would lead to different answers (Kleene logic): an attribute
// owed either way is Mandatory.
func (a Attribute) Duty(t Triggers) Duty {
	if t.decisive() {
		return a.decided(t)
	}
	var duties []Duty
	for _, world := range t.worlds() {
		d := a.decided(world)
		if !slices.ContainsFunc(duties, func(o Duty) bool { return o.Need == d.Need && o.From == d.From }) {
			duties = append(duties, d)
		}
	}
	if len(duties) == 1 {
		return duties[0]
	}
	var missing []string
	if !t.knowsCategory() {
		missing = append(missing, "batteryCategory")
	}
	for _, name := range triggerNames {
		if t.truth(name) == Unknown && a.dependsOn(t, name) {
			missing = append(missing, name)
		}
	}
	return Duty{Missing: missing}
}

// dependsOn reports whether the two values of one unknown trigger lead to
// different answers in some world.
func (a Attribute) dependsOn(t Triggers, name string) bool {
	yes, no := t.with(name, True).worlds(), t.with(name, False).worlds()
	for i := range yes {
		x, y := a.decided(yes[i]), a.decided(no[i])
		if x.Need != y.Need || x.From != y.From {
			return true
		}
	}
	return false
}

func (t Triggers) with(name string, v Truth) Triggers {
	switch name {
	case rechargeable:
		t.Rechargeable = v
	case hasBms:
		t.HasBMS = v
	case externalStorageOnly:
		t.ExternalStorageOnly = v
	case stationaryBess:
		t.StationaryBESS = v
	case nonCycleApplication:
		t.NonCycleApplication = v
	}
	return t
}

func (t Triggers) knowsCategory() bool {
	return t.Category == string(EV) || t.Category == string(LMT) || t.Category == string(Industrial)
}

// decisive reports whether nothing is unknown.
func (t Triggers) decisive() bool {
	return t.knowsCategory() && !slices.ContainsFunc(triggerNames, func(name string) bool { return t.truth(name) == Unknown })
}

// worlds lists every way in which the unknown triggers may turn out, in an
// order that depends only on which are unknown. Nearly always there is one.
func (t Triggers) worlds() []Triggers {
	out := []Triggers{t}
	if !t.knowsCategory() {
		out = nil
		for _, c := range []Category{EV, LMT, Industrial} {
			w := t
			w.Category = string(c)
			out = append(out, w)
		}
	}
	for _, name := range triggerNames {
		if t.truth(name) != Unknown {
			continue
		}
		split := make([]Triggers, 0, 2*len(out))
		for _, w := range out {
			split = append(split, w.with(name, False), w.with(name, True))
		}
		out = split
	}
	return out
}

// decided judges the attribute when every trigger is known.
func (a Attribute) decided(t Triggers) Duty {
	column := a.column(t)
	for _, r := range a.Refine {
		if len(r.Categories) > 0 && !slices.Contains(r.Categories, column) {
			continue
		}
		if r.holds(t) {
			return Duty{Need: r.Need}
		}
	}
	d := Duty{Need: a.Need[column]}
	if d.Need == Later {
		d.From = a.DutyFrom[column]
	}
	return d
}

func (r Refinement) holds(t Triggers) bool {
	for name, want := range r.When {
		if (t.truth(name) == True) != want {
			return false
		}
	}
	return true
}

// column picks the category that speaks for the battery. External storage is a
// carve-out from the industrial column and stationary use an addition to it:
// where external storage differs from industrial it decides, elsewhere the
// stationary column does.
func (a Attribute) column(t Triggers) Category {
	if t.Category != string(Industrial) {
		return Category(t.Category)
	}
	external, stationary := t.ExternalStorageOnly == True, t.StationaryBESS == True
	switch {
	case external && stationary && a.Need[ExternalStorageOnly] == a.Need[Industrial]:
		return StationaryBESS
	case external:
		return ExternalStorageOnly
	case stationary:
		return StationaryBESS
	default:
		return Industrial
	}
}
