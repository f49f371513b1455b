package registry_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/credential"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/registry/storetest"
)

// expected is what a reader of the tiers sees of a declared record: every
// restricted attribute of another tier is gone, and nothing else.
func expected(t testing.TB, kind passport.RecordType, declared map[string]any, tiers passport.Tiers) map[string]any {
	t.Helper()
	doc := copied(t, declared)
	cat, _ := rules()
	for _, a := range cat.Disclosures(kind) {
		if !tiers.Has(a.Tier) {
			remove(doc, a.Members, a.Elements)
		}
	}
	return doc
}

// copied copies a tree.
func copied(t testing.TB, v map[string]any) map[string]any {
	t.Helper()
	out := maps.Clone(v)
	for name, member := range out {
		if object, ok := member.(map[string]any); ok {
			out[name] = copied(t, object)
		}
	}
	return out
}

// remove takes a member away; an array that is disclosed by elements stays,
// empty.
func remove(doc map[string]any, path []string, elements bool) {
	for _, name := range path[:len(path)-1] {
		doc, _ = doc[name].(map[string]any)
	}
	name := path[len(path)-1]
	if list, ok := doc[name].([]any); ok && elements && len(list) > 0 {
		doc[name] = []any{}
		return
	}
	delete(doc, name)
}

// attributes are the catalogue ids that a reader of the tiers is shown.
func attributes(kind passport.RecordType, declared map[string]any, tiers passport.Tiers) []string {
	cat, _ := rules()
	var ids []string
	for _, a := range cat.Disclosures(kind) {
		value := document(declared).at(a.Members...)
		if list, isList := value.([]any); value != nil && tiers.Has(a.Tier) && !(isList && a.Elements && len(list) == 0) {
			ids = append(ids, a.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// law is what a reader may open of another organisation's record, said once
// more and differently than package access says it.
func law(roles []access.Role, granted passport.Tiers) passport.Tiers {
	var tiers passport.Tiers
	for _, role := range roles {
		switch role {
		case access.LegitimateInterest:
			tiers = tiers.Union(granted.Intersect(passport.TiersOf(passport.Point2, passport.Point4)))
		case access.ContractedVerifier:
			tiers = tiers.Union(granted.Intersect(passport.TiersOf(passport.Origin)))
		case access.Authority:
			tiers = tiers.Union(passport.TiersOf(passport.Point2, passport.Point3, passport.Origin))
		case access.Auditor:
			tiers = passport.AllTiers()
		case access.Issuer, access.OperatorAdmin:
		}
	}
	return tiers
}

// TestEveryReaderSeesExactlyWhatTheLawOpens draws readers and grants, and
// compares what they are shown, member by member, with what was declared.
func TestEveryReaderSeesExactlyWhatTheLawOpens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	doc := pack(t, "A1")
	id := w.register(doc).Passport
	need(w.RecordCondition(w.ctx(), id, reading(t, "04:00:00Z").by(t, maker)))(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		roles := rapid.SliceOfNDistinct(rapid.SampledFrom(access.Roles()), 0, 3, rapid.ID).Draw(rt, "roles")
		granted := passport.Tiers(rapid.IntRange(0, 15).Draw(rt, "granted"))
		who := as(passport.OrgID(fmt.Sprintf("reader-%d", n)), roles...)
		w.grantDirectly(who.Org, granted)
		w.pass(time.Second)
		want := law(roles, granted)
		view := need(w.Passport(w.ctx(), id, 0, reader(who)))(t)
		for kind, part := range map[passport.RecordType]*registry.Part{passport.Item: &view.Item, passport.Model: view.Model, passport.Batch: view.Batch} {
			declared := doc[string(kind)].(map[string]any)
			if diff := cmp.Diff(expected(t, kind, declared, want), part.Record); diff != "" {
				rt.Fatalf("%v with %v sees of the %s (-law +shown):\n%s", roles, granted.List(), kind, diff)
			}
			token, _, err := w.Token(w.ctx(), kind, part.Series, 0, reader(who))
			must(t, err)
			shown := need(need(need(credential.Parse(token))(t).Verify(w.key(token).Key()))(t).Record())(t)
			if diff := cmp.Diff(part.Record, shown); diff != "" {
				rt.Fatalf("the token of the %s shows something else (-view +token):\n%s", kind, diff)
			}
		}
		if seen := view.Condition != nil; seen != want.Has(passport.Point4) {
			rt.Fatalf("%v with %v sees the condition: %v", roles, granted.List(), seen)
		}
		w.recorded(rt, who, doc, want)
	})
	w.fsck()
}

// grantDirectly lets somebody read the maker's records, as no organisation has
// to be admitted to be granted something by a test.
func (w *world) grantDirectly(to passport.OrgID, points passport.Tiers) {
	w.t.Helper()
	at := w.clock.Now()
	id := need(passport.NewID(at, strings.NewReader(strings.Repeat(string(to), 8))))(w.t)
	g := registry.Grant{ID: id, Owner: maker.Org, Grantee: to, Points: points, ValidFrom: at, Until: at.Add(time.Hour)}
	w.must(second(w.truth.Commit(w.ctx(), registry.Change{Tenant: maker.Org, At: at, Grant: &g})))
}

// recorded compares the owner's log with what the reader was shown.
func (w *world) recorded(t *rapid.T, who access.Subject, doc document, tiers passport.Tiers) {
	want := map[string]bool{}
	for _, kind := range []passport.RecordType{passport.Item, passport.Model, passport.Batch} {
		for _, id := range attributes(kind, doc[string(kind)].(map[string]any), tiers) {
			want[id] = true
		}
	}
	got := map[string]bool{}
	for _, read := range need(w.PurposeLog(w.ctx(), maker, 50))(w.t) {
		if read.Reader != who.Org {
			continue
		}
		if read.Owner != maker.Org || read.Person != "clerk" || read.Purpose == "" || read.Version != 1 {
			t.Fatalf("recorded: %+v", read)
		}
		for _, id := range read.Attributes {
			got[id] = true
		}
	}
	cat, _ := rules()
	for _, a := range cat.Disclosures(passport.Condition) {
		delete(got, a.ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("attributes shown and recorded (-shown +recorded):\n%s", diff)
	}
}

func TestTheOwnerSeesEverythingAndThePublicNothingMoreAfterwards(t *testing.T) {
	everywhere(t, func(w *world) {
		doc := pack(w.t, "A1")
		id := w.register(doc).Passport
		for _, who := range []access.Subject{nobody, maker, operator, auditor, nobody, recycler} {
			tiers := map[passport.OrgID]passport.Tiers{maker.Org: passport.AllTiers(), auditor.Org: passport.AllTiers()}[who.Org]
			view := w.view(id, who)
			for kind, part := range map[passport.RecordType]*registry.Part{passport.Item: &view.Item, passport.Model: view.Model, passport.Batch: view.Batch} {
				if diff := cmp.Diff(expected(w.t, kind, doc[string(kind)].(map[string]any), tiers), part.Record); diff != "" {
					w.t.Errorf("%s sees of the %s (-want +got):\n%s", who.Org, kind, diff)
				}
				if (part.WithheldCount == 0) != (tiers != 0) || (len(part.Withheld) == 0) != (tiers != 0) {
					w.t.Errorf("withheld from %s of the %s: %d, %d attributes", who.Org, kind, part.WithheldCount, len(part.Withheld))
				}
			}
			if view.Tiers != tiers {
				w.t.Errorf("opened for %s: %v", who.Org, view.Tiers.List())
			}
		}
	})
}

func TestWhoMaySeeMoreHasToSayWhatFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	receipt := w.register(pack(t, "A1"))
	id, model := receipt.Passport, issued(receipt, passport.Model).Series
	silent := func(who access.Subject) []error {
		r := registry.Reader{By: who}
		_, _, token := w.Token(w.ctx(), passport.Item, id, 0, r)
		return []error{second(w.Passport(w.ctx(), id, 0, r)), second(w.Shared(w.ctx(), passport.Model, model, 0, r)), token}
	}
	for _, who := range []access.Subject{maker, customs, auditor} {
		for _, err := range silent(who) {
			w.is(err, registry.ErrPurposeMissing)
		}
	}
	for _, who := range []access.Subject{nobody, rival, recycler, verifier, operator} { // there is nothing to see, so nothing to say
		for _, err := range silent(who) {
			w.must(err)
		}
	}
	if reads := need(w.PurposeLog(w.ctx(), maker, 10))(t); len(reads) != 0 {
		t.Errorf("recorded: %+v", reads)
	}
	w.fsck()
}

func TestAReadIsRecordedWithEveryOwnerOrNotAnswered(t *testing.T) {
	everywhere(t, func(w *world) {
		lent := w.register(pack(w.t, "A1"))
		id := w.registerAs(rival, pack(w.t, "V1").pin(lent, passport.Model, passport.Batch)).Passport
		model, batch := issued(lent, passport.Model).Series, issued(lent, passport.Batch).Series
		before := w.truth.written()
		w.view(id, auditor)
		if got := w.truth.written() - before; got != 1 {
			w.t.Errorf("recorded in %d transactions, want one", got)
		}
		for owner, want := range map[passport.OrgID][]passport.ID{
			rival.Org: {id}, maker.Org: {model, batch},
		} {
			var got []passport.ID
			for _, read := range need(w.PurposeLog(w.ctx(), as(owner, access.Issuer), 10))(w.t) {
				got = append(got, read.Series)
			}
			slices.Reverse(got) // newest first
			if diff := cmp.Diff(want, got); diff != "" {
				w.t.Errorf("recorded with %s (-want +got):\n%s", owner, diff)
			}
		}
		away := storetest.Faulty(w.truth, func(_ int, c registry.Change) storetest.Fault {
			if len(c.Reads) > 0 {
				return storetest.Down
			}
			return storetest.NoFault
		})
		reg := w.open(away)
		view, err := reg.Passport(w.ctx(), id, 0, reader(auditor))
		if w.is(err, registry.ErrUnavailable); view.Item.Record != nil {
			w.t.Error("answered without a record of it")
		}
		token, _, err := reg.Token(w.ctx(), passport.Item, id, 0, reader(auditor))
		if w.is(err, registry.ErrUnavailable); token != nil {
			w.t.Error("gave a token without a record of it")
		}
		part, err := reg.Shared(w.ctx(), passport.Model, model, 0, reader(auditor))
		if w.is(err, registry.ErrUnavailable); part.Record != nil {
			w.t.Error("showed the model without a record of it")
		}
		need(reg.Passport(w.ctx(), id, 0, registry.Reader{}))(w.t) // the public face needs none
	})
}

// grant lets somebody read the maker's records until the evening.
func (w *world) grant(by access.Subject, to passport.OrgID, scope map[string]any, points ...string) registry.Grant {
	w.t.Helper()
	body := document{"organisation": string(to), "points": points, "validUntil": w.clock.Now().Add(12 * time.Hour).Format(time.RFC3339)}
	if scope != nil {
		body["scope"] = scope
	}
	return need(w.GiveGrant(w.ctx(), body.by(w.t, by)))(w.t)
}

// opens tells which parts of a passport show the reader more than the public.
func (w *world) opens(id passport.ID, who access.Subject) string {
	w.t.Helper()
	var open []string
	view, public := w.view(id, who), w.view(id, nobody)
	for _, p := range []struct {
		name        string
		mine, their *registry.Part
	}{{"item", &view.Item, &public.Item}, {"model", view.Model, public.Model}, {"batch", view.Batch, public.Batch}} {
		if p.mine.WithheldCount < p.their.WithheldCount {
			open = append(open, p.name)
		}
	}
	if view.Condition != nil {
		open = append(open, "condition")
	}
	return strings.Join(open, " ")
}

func TestAGrantReachesWhatItNames(t *testing.T) {
	everywhere(t, func(w *world) {
		one, two := w.register(pack(w.t, "A1")), w.register(pack(w.t, "A2"))
		other := w.register(example(w.t, "lmt.json"))
		for _, r := range []registry.Receipt{one, two} {
			need(w.RecordCondition(w.ctx(), r.Passport, reading(w.t, "04:00:00Z").by(w.t, maker)))(w.t)
		}
		borrowed := w.registerAs(rival, pack(w.t, "V1").pin(one, passport.Model, passport.Batch))
		model, batch := issued(one, passport.Model).Series, issued(one, passport.Batch).Series
		direct := func(kind passport.RecordType, series passport.ID) bool {
			w.t.Helper()
			part := need(w.Shared(w.ctx(), kind, series, 0, reader(recycler)))(w.t)
			public := need(w.Shared(w.ctx(), kind, series, 0, registry.Reader{}))(w.t)
			return part.WithheldCount < public.WithheldCount
		}
		both := as(recycler.Org, access.LegitimateInterest, access.ContractedVerifier)
		reach := func(what, oneReach, twoReach, otherReach, borrowedReach string, modelReach bool) {
			w.t.Helper()
			got := []string{w.opens(one.Passport, both), w.opens(two.Passport, both), w.opens(other.Passport, both), w.opens(borrowed.Passport, both)}
			if diff := cmp.Diff([]string{oneReach, twoReach, otherReach, borrowedReach}, got); diff != "" {
				w.t.Errorf("%s reaches of one, two, another model, and a rival's item of this model (-want +got):\n%s", what, diff)
			}
			if direct(passport.Model, model) != modelReach {
				w.t.Errorf("%s reaches the model by itself: %v", what, !modelReach)
			}
		}
		end := func(g registry.Grant) {
			w.t.Helper()
			w.must(w.RevokeGrant(w.ctx(), maker, g.ID))
			reach("nothing", "", "", "", "", false)
		}
		all := "item model batch condition"
		reach("nothing", "", "", "", "", false)
		g := w.grant(maker, recycler.Org, map[string]any{"passport": one.Passport.String()}, "point2", "point4", "origin")
		reach("a grant for one passport", all, "", "", "", false)
		end(g)
		g = w.grant(maker, recycler.Org, map[string]any{"model": model.String()}, "point2", "point4", "origin")
		reach("a grant for the model", all, all, "", "model batch", true)
		if direct(passport.Batch, batch) {
			w.t.Error("legitimate interest opened origins")
		}
		end(g)
		g = w.grant(maker, recycler.Org, nil, "point2", "point4", "origin")
		reach("a grant for everything", all, all, "item model batch", "model batch", true)
		end(g)
		g = w.grant(maker, recycler.Org, nil, "origin")
		reach("a grant of origins", "batch", "batch", "batch", "batch", false)
		end(g)
		w.grant(rival, recycler.Org, nil, "point2", "point4", "origin") // opens the rival's part alone
		reach("a grant of the rival", "", "", "", "item", false)
	})
}

func TestAGrantEndsAtItsHourAndWhenItIsRevoked(t *testing.T) {
	everywhere(t, func(w *world) {
		id := w.register(pack(w.t, "A1")).Passport
		sees := func() bool { return w.opens(id, recycler) != "" }
		g := w.grant(maker, recycler.Org, nil, "point2")
		w.pass(12*time.Hour - time.Microsecond - 250*time.Millisecond) // its end was given in whole seconds
		if !sees() {
			w.t.Error("closed before its end")
		}
		w.pass(time.Microsecond)
		if sees() {
			w.t.Error("open after its end")
		}
		g = w.grant(maker, recycler.Org, nil, "point2")
		for _, who := range []access.Subject{recycler, rival, customs} {
			w.is(w.RevokeGrant(w.ctx(), who, g.ID), registry.ErrNotFound)
		}
		w.is(w.RevokeGrant(w.ctx(), nobody, g.ID), registry.ErrUnauthenticated)
		w.is(w.RevokeGrant(w.ctx(), as(maker.Org, access.LegitimateInterest), g.ID), registry.ErrForbidden)
		w.must(w.open(w.truth).RevokeGrant(w.ctx(), maker, g.ID)) // by another process
		if sees() {
			w.t.Error("open after its revocation")
		}
		at := w.clock.Now()
		w.pass(time.Hour)
		w.must(w.RevokeGrant(w.ctx(), maker, g.ID))
		for _, who := range []access.Subject{maker, recycler} { // giver and holder see what ended
			grants := need(w.Grants(w.ctx(), who))(w.t)
			if len(grants) != 2 || !grants[1].RevokedAt.Equal(at) {
				w.t.Errorf("grants of %s: %+v", who.Org, grants)
			}
		}
		if grants := need(w.Grants(w.ctx(), rival))(w.t); len(grants) != 0 {
			w.t.Errorf("the rival sees %+v", grants)
		}
	})
}

func TestWhatIsNoGrantIsRefusedWithEveryFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	receipt := w.register(pack(t, "A1"))
	foreign := w.registerAs(rival, pack(t, "V1"))
	good := func() document {
		return document{"organisation": "kreislauf", "points": []any{"point2"}, "validUntil": "2027-05-01T00:00:00Z"}
	}
	tests := []struct {
		name          string
		body          document
		pointer, code string
	}{
		{"unknown organisation", good().set("nobody", "organisation"), "/organisation", "organisation.unknown"},
		{"malformed organisation", good().set("No Body", "organisation"), "/organisation", "organisation.unknown"},
		{"no organisation", good().set(nil, "organisation"), "/organisation", "organisation.unknown"},
		{"no points", good().set([]any{}, "points"), "/points", "points.form"},
		{"points twice", good().set([]any{"point2", "point2"}, "points"), "/points", "points.form"},
		{"public is no point", good().set([]any{"public"}, "points"), "/points", "points.form"},
		{"points of another kind", good().set("point2", "points"), "/points", "points.form"},
		{"no end", good().set(nil, "validUntil"), "/validUntil", "instant.form"},
		{"a day", good().set("2027-05-01", "validUntil"), "/validUntil", "instant.form"},
		{"past", good().set("2027-04-01T09:00:00Z", "validUntil"), "/validUntil", "grant.period"},
		{"for ever", good().set("2099-01-01T00:00:00Z", "validUntil"), "/validUntil", "grant.period"},
		{"scope of nothing", good().set(map[string]any{}, "scope"), "/scope", "scope.form"},
		{"scope of two", good().set(map[string]any{"passport": receipt.Passport.String(), "model": receipt.Records[0].Series.String()}, "scope"), "/scope", "scope.form"},
		{"scope of a batch", good().set(map[string]any{"batch": receipt.Records[1].Series.String()}, "scope"), "/scope", "scope.form"},
		{"scope of no id", good().set(map[string]any{"passport": "x"}, "scope"), "/scope", "scope.form"},
		{"scope of somebody else's", good().set(map[string]any{"passport": foreign.Passport.String()}, "scope"), "/scope", "scope.notFound"},
		{"scope of a model as a passport", good().set(map[string]any{"passport": receipt.Records[0].Series.String()}, "scope"), "/scope", "scope.notFound"},
		{"a stranger", good().set(true, "forEver"), "/forEver", "member.unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			write := tt.body.by(t, maker)
			for _, write := range []registry.Write{write, dry(write)} {
				w.invalid(second(w.GiveGrant(w.ctx(), write)), tt.pointer, tt.code)
			}
		})
	}
	w.invalid(second(w.GiveGrant(w.ctx(), registry.Write{By: maker, Body: []byte(`[]`)})), "", "body.type")
	for _, who := range []access.Subject{recycler, customs, auditor, operator} {
		w.is(second(w.GiveGrant(w.ctx(), good().by(t, who))), registry.ErrForbidden)
	}
	w.is(second(w.GiveGrant(w.ctx(), good().by(t, nobody))), registry.ErrUnauthenticated)
	need(w.GiveGrant(w.ctx(), dry(good().by(t, maker))))(t)
	if grants := need(w.Grants(w.ctx(), maker))(t); len(grants) != 0 {
		t.Errorf("grants were stored: %+v", grants)
	}
	w.fsck()
}

func TestThePurposeLogIsItsOwnersAndTheAuditors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(pack(t, "A1")).Passport
	for range 3 {
		w.pass(time.Minute)
		w.view(id, customs)
	}
	reads := need(w.PurposeLog(w.ctx(), maker, 4))(t)
	if len(reads) != 4 {
		t.Fatalf("%d reads, want as many as asked for", len(reads))
	}
	for i, read := range reads {
		if read.Reader != customs.Org || i > 0 && read.At.After(reads[i-1].At) {
			t.Errorf("read %d: %+v", i, read)
		}
	}
	for _, who := range []access.Subject{recycler, customs, verifier, operator} {
		w.is(second(w.PurposeLog(w.ctx(), who, 10)), registry.ErrForbidden)
	}
	w.is(second(w.PurposeLog(w.ctx(), nobody, 10)), registry.ErrUnauthenticated)
	if theirs := need(w.PurposeLog(w.ctx(), rival, 10))(t); len(theirs) != 0 {
		t.Errorf("the rival sees %+v", theirs)
	}
	w.fsck()
}

func TestADigitalLinkLeadsAsFarAsSomethingIsRegistered(t *testing.T) {
	everywhere(t, func(w *world) {
		receipt := w.register(pack(w.t, "A1"))
		w.pass(time.Second)
		w.registerAs(rival, pack(w.t, "V1")) // the same GTIN, later: it takes nothing over
		model, batch := issued(receipt, passport.Model).Series, issued(receipt, passport.Batch).Series
		for path, want := range map[string]registry.Place{
			"/01/09506000134376":                      {Known: true, Model: model},
			"/01/09506000134376/10/NL2-2027W09":       {Known: true, Model: model, Batch: batch},
			"/01/09506000134376/10/NO-SUCH":           {Known: true, Model: model},
			"/01/09506000134376/21/A1":                {Known: true, Model: model, Passport: receipt.Passport},
			"/01/09506000134376/10/NL2-2027W09/21/A1": {Known: true, Model: model, Batch: batch, Passport: receipt.Passport},
			"/01/09506000134376/21/A9":                {Known: true, Model: model},
			"/01/09506000134352/21/A1":                {},
			"/8004/9506000134372":                     {},
		} {
			want.Link = need(passport.ParseDigitalLink(path))(w.t)
			got, err := w.Look(w.ctx(), want.Link)
			w.must(err)
			if diff := cmp.Diff(want, got); diff != "" {
				w.t.Errorf("%s (-want +got):\n%s", path, diff)
			}
		}
		none := need(passport.ParseBatteryID(base + "/01/09506000134376/21/A9"))(w.t)
		w.is(second(w.InForce(w.ctx(), none)), registry.ErrNotFound)
	})
}

func TestOnePagesThroughOnesOwn(t *testing.T) {
	everywhere(t, func(w *world) {
		first := w.register(pack(w.t, "A0"))
		for i := range 4 {
			w.register(pack(w.t, fmt.Sprintf("A%d", i+1)).pin(first, passport.Model, passport.Batch))
		}
		w.registerAs(rival, pack(w.t, "V1"))
		need(w.Amend(w.ctx(), first.Passport, pack(w.t, "A0").only("passport").set("2027-03-20", "passport", "placedOnMarketOn").by(w.t, maker)))(w.t)
		var after passport.ID
		var serials []string
		for {
			page := need(w.Own(w.ctx(), maker, passport.Item, after, 2))(w.t)
			if len(page) == 0 {
				break
			}
			for _, rec := range page {
				serials = append(serials, fmt.Sprintf("%s.%d", rec.Serial, rec.Version))
				after = rec.Series
			}
		}
		slices.Sort(serials)
		if diff := cmp.Diff([]string{"A0.2", "A1.1", "A2.1", "A3.1", "A4.1"}, serials); diff != "" {
			w.t.Errorf("serials and versions:\n%s", diff)
		}
		w.is(second(w.Own(w.ctx(), nobody, passport.Item, passport.ID{}, 2)), registry.ErrUnauthenticated)
	})
}

func TestWhatDoesNotExistIsNotFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	receipt := w.register(pack(t, "A1"))
	item := issued(receipt, passport.Item)
	for _, id := range []passport.ID{{}, item.RecordID, issued(receipt, passport.Model).Series} { // the record is not the passport
		_, _, token := w.Token(w.ctx(), passport.Item, id, 0, registry.Reader{})
		for _, err := range []error{
			second(w.Passport(w.ctx(), id, 0, registry.Reader{})), second(w.Standing(w.ctx(), id)), second(w.Versions(w.ctx(), id)),
			second(w.Verification(w.ctx(), id, 0)), token,
		} {
			if !errors.Is(err, registry.ErrNotFound) {
				t.Errorf("passport %s: %v", id, err)
			}
		}
	}
	_, _, err := w.Bare(w.ctx(), receipt.Passport)
	w.is(err, registry.ErrNotFound)
	bare, rec, err := w.Bare(w.ctx(), item.RecordID)
	if w.must(err); rec.ID != item.RecordID || !strings.HasSuffix(string(bare), "~") || strings.Count(string(bare), "~") != 1 {
		t.Errorf("bare record: %s", bare)
	}
	w.fsck()
}
