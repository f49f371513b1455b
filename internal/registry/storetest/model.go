package storetest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

// Model returns an empty store in memory: the contract of registry.Store said
// once more, in maps. It is what the real stores are compared with, and is
// written to be seen to be right rather than to be fast.
func Model() registry.Store { return newModel() }

type model struct {
	mu     sync.Mutex
	closed bool

	instance *registry.Instance
	orgs     map[passport.OrgID]registry.Organisation
	keys     map[passport.OrgID]map[string]registry.Key
	members  map[member]registry.Member
	secrets  map[[sha256.Size]byte]*enrolment
	records  map[version]registry.Record
	names    map[registry.NaturalKey]passport.ID
	claims   map[passport.BatteryKey]passport.ID
	status   map[passport.ID][]registry.StatusChange
	once     map[onceKey]onceUsed
	grants   map[passport.ID]registry.Grant
	reads    []registry.Read
	releases map[passport.ID]registry.Release
	leaves   int64
	slots    int64
}

type (
	version struct {
		series passport.ID
		kind   passport.RecordType
		number int
	}
	member struct {
		org             passport.OrgID
		issuer, subject string
	}
	enrolment struct {
		registry.Enrolment
		used bool
	}
	onceKey struct {
		tenant         passport.OrgID
		operation, key string
	}
	onceUsed struct {
		request [sha256.Size]byte
		refs    []passport.ID
		at      time.Time
	}
)

func newModel() *model {
	return &model{
		orgs:     make(map[passport.OrgID]registry.Organisation),
		keys:     make(map[passport.OrgID]map[string]registry.Key),
		members:  make(map[member]registry.Member),
		secrets:  make(map[[sha256.Size]byte]*enrolment),
		records:  make(map[version]registry.Record),
		names:    make(map[registry.NaturalKey]passport.ID),
		claims:   make(map[passport.BatteryKey]passport.ID),
		status:   make(map[passport.ID][]registry.StatusChange),
		once:     make(map[onceKey]onceUsed),
		grants:   make(map[passport.ID]registry.Grant),
		releases: make(map[passport.ID]registry.Release),
	}
}

// stored is a time as a store keeps it.
func stored(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func (m *model) lock(ctx context.Context) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil, fmt.Errorf("%w: closed", registry.ErrUnavailable)
	}
	return m.mu.Unlock, nil
}

func (m *model) Commit(ctx context.Context, c registry.Change) (registry.Committed, error) {
	unlock, err := m.lock(ctx)
	if err != nil {
		return registry.Committed{}, err
	}
	defer unlock()
	first, conflicts := m.judge(c)
	switch {
	case first != nil:
		return *first, nil
	case len(conflicts) > 0:
		return registry.Committed{}, conflicts[0]
	}
	return m.apply(c), nil
}

func (m *model) Earlier(ctx context.Context, tenant passport.OrgID, once registry.Once) (registry.Committed, error) {
	unlock, err := m.lock(ctx)
	if err != nil {
		return registry.Committed{}, err
	}
	defer unlock()
	first, err := m.earlier(tenant, once)
	switch {
	case err != nil:
		return registry.Committed{}, err
	case first == nil:
		return registry.Committed{}, registry.ErrNotFound
	}
	return *first, nil
}

func (m *model) earlier(tenant passport.OrgID, once registry.Once) (*registry.Committed, error) {
	used, ok := m.once[onceKey{tenant, once.Operation, once.Key}]
	switch {
	case !ok:
		return nil, nil
	case used.request != once.Request:
		return nil, &registry.OnceMismatch{}
	}
	return &registry.Committed{Repeated: true, Refs: used.refs, At: used.at}, nil
}

// judge returns the receipt if the change was made before, else every reason
// to refuse it: a store may name any one of them.
func (m *model) judge(c registry.Change) (first *registry.Committed, conflicts []error) {
	if c.Once != nil {
		first, err := m.earlier(c.Tenant, *c.Once)
		switch {
		case err != nil:
			return nil, []error{err}
		case first != nil:
			return first, nil
		}
	}
	refuse := func(unless bool, why error) {
		if !unless {
			conflicts = append(conflicts, why)
		}
	}
	refuse(c.Instance == nil || m.instance == nil, registry.ErrStale)
	refuse(c.Enrol == nil || m.secrets[c.Enrol.Secret] == nil, registry.ErrStale)
	if c.Redeem != nil {
		e := m.secrets[c.Redeem.Secret]
		refuse(e != nil && !e.used && stored(c.At).Before(e.ExpiresAt) && c.Member != nil && c.Member.Org == e.Org, registry.ErrNotFound)
	}
	refuse(m.recordsFit(c.Records), registry.ErrStale)
	if c.Claim != nil {
		switch holder := m.claims[c.Claim.Battery]; {
		case holder == c.Claim.Base:
		case holder.IsZero():
			refuse(false, registry.ErrStale)
		default:
			refuse(false, &registry.BatteryTaken{Passport: holder})
		}
	}
	refuse(c.Status == nil || m.state(c.Status.Series) == c.Status.From, registry.ErrStale)
	return nil, conflicts
}

// recordsFit reports whether every place and name is free, one record after
// the other.
func (m *model) recordsFit(records []registry.Record) bool {
	places, names := maps.Clone(m.records), maps.Clone(m.names)
	for _, r := range records {
		place, name := version{r.Series, r.Type, r.Version}, registry.NaturalKey{Type: r.Type, Org: r.Org, Text: r.Key}
		if _, taken := places[place]; taken {
			return false
		}
		places[place] = r
		if !hasName(r.Type) {
			continue
		}
		if holder, taken := names[name]; taken && holder != r.Series {
			return false
		}
		names[name] = r.Series
	}
	return true
}

func hasName(t passport.RecordType) bool { return t == passport.Model || t == passport.Batch }

func (m *model) state(series passport.ID) registry.State {
	history := m.status[series]
	if len(history) == 0 {
		return registry.Active
	}
	return history[len(history)-1].To
}

func (m *model) apply(c registry.Change) registry.Committed {
	done := registry.Committed{At: stored(c.At)}
	if c.Once != nil {
		done.Refs = c.Once.Refs
		m.once[onceKey{c.Tenant, c.Once.Operation, c.Once.Key}] = onceUsed{c.Once.Request, slices.Clone(c.Once.Refs), done.At}
	}
	if c.Instance != nil {
		m.instance = &registry.Instance{BaseURL: c.Instance.BaseURL, Environment: c.Instance.Environment, CreatedAt: stored(c.Instance.CreatedAt)}
	}
	m.applyOrganisation(c)
	for _, r := range c.Records {
		r.IssuedAt, r.Disclosures = stored(r.IssuedAt), slices.Clone(r.Disclosures)
		m.records[version{r.Series, r.Type, r.Version}] = r
		if hasName(r.Type) {
			m.names[registry.NaturalKey{Type: r.Type, Org: r.Org, Text: r.Key}] = r.Series
		}
	}
	if c.Claim != nil {
		m.claims[c.Claim.Battery] = c.Claim.Passport
	}
	if c.Status != nil {
		s := *c.Status
		s.At = stored(s.At)
		m.status[s.Series] = append(m.status[s.Series], s)
	}
	if c.Grant != nil {
		m.applyGrant(*c.Grant)
	}
	if c.Release != nil {
		r := *c.Release
		r.At = stored(r.At)
		m.releases[r.Passport] = r
	}
	for _, r := range c.Reads {
		r.At = stored(r.At)
		m.reads = append(m.reads, r)
	}
	m.leaves += int64(len(c.Leaves))
	return done
}

func (m *model) applyOrganisation(c registry.Change) {
	if c.Admit != nil {
		o := *c.Admit
		o.AdmittedAt, o.Keys = stored(o.AdmittedAt), nil
		if known, ok := m.orgs[o.ID]; ok {
			o.Country, o.AdmittedAt = known.Country, known.AdmittedAt
		}
		m.orgs[o.ID] = o
	}
	for _, k := range c.Keys {
		k.NotBefore, k.RetiredAt = stored(k.NotBefore), stored(k.RetiredAt)
		if m.keys[k.Org] == nil {
			m.keys[k.Org] = make(map[string]registry.Key)
		}
		if known, ok := m.keys[k.Org][k.ID]; ok {
			if known.RetiredAt.IsZero() {
				known.RetiredAt = k.RetiredAt
			}
			k = known
		}
		m.keys[k.Org][k.ID] = k
	}
	if c.Enrol != nil {
		e := *c.Enrol
		e.ExpiresAt = stored(e.ExpiresAt)
		m.secrets[e.Secret] = &enrolment{Enrolment: e}
	}
	if c.Redeem != nil {
		m.secrets[c.Redeem.Secret].used = true
	}
	if c.Member != nil {
		p := *c.Member
		p.At = stored(p.At)
		m.members[member{p.Org, p.Issuer, p.Subject}] = p
	}
}

func (m *model) applyGrant(g registry.Grant) {
	g.ValidFrom, g.Until, g.RevokedAt = stored(g.ValidFrom), stored(g.Until), stored(g.RevokedAt)
	if known, ok := m.grants[g.ID]; ok {
		if known.RevokedAt.IsZero() {
			known.RevokedAt = g.RevokedAt
		}
		g = known
	}
	m.grants[g.ID] = g
}

func (m *model) Record(ctx context.Context, q registry.Query) (registry.Record, error) {
	unlock, err := m.lock(ctx)
	if err != nil {
		return registry.Record{}, err
	}
	defer unlock()
	series, kind := q.Series, q.Type
	if q.Key != nil {
		kind = q.Key.Type
		series = m.names[*q.Key]
		if kind == passport.Item {
			series = m.inForce(*q.Key)
		}
	}
	var found *registry.Record
	for _, r := range m.records {
		switch {
		case !q.ID.IsZero() && r.ID != q.ID:
		case q.ID.IsZero() && (series.IsZero() || r.Series != series || r.Type != kind):
		case q.ID.IsZero() && q.Version != 0 && r.Version != q.Version:
		case found != nil && found.Version > r.Version:
		default:
			found = &r
		}
	}
	if found == nil {
		return registry.Record{}, registry.ErrNotFound
	}
	return bare(*found), nil
}

func (m *model) inForce(k registry.NaturalKey) passport.ID {
	for battery, series := range m.claims {
		if k.Org == "" && hex.EncodeToString(battery[:]) == k.Text {
			return series
		}
	}
	return passport.ID{}
}

func bare(r registry.Record) registry.Record {
	r.Disclosures = nil
	return r
}

func (m *model) Records(ctx context.Context, f registry.Filter) iter.Seq2[registry.Record, error] {
	return func(yield func(registry.Record, error) bool) {
		unlock, err := m.lock(ctx)
		if err != nil {
			yield(registry.Record{}, err)
			return
		}
		matching := m.matching(f)
		unlock()
		for _, r := range matching {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (m *model) matching(f registry.Filter) []registry.Record {
	var matching []registry.Record
	for _, r := range m.records {
		if (f.Type == "" || r.Type == f.Type) && (f.Org == "" || r.Org == f.Org) &&
			(f.Series.IsZero() || r.Series == f.Series) && (f.GTIN == "" || r.GTIN == f.GTIN) && (f.Lot == "" || r.Lot == f.Lot) &&
			slices.Compare(r.Series[:], f.After[:]) > 0 && (!f.Newest || m.newest(r)) {
			matching = append(matching, bare(r))
		}
	}
	slices.SortFunc(matching, func(a, b registry.Record) int {
		return cmp.Or(slices.Compare(a.Series[:], b.Series[:]), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Type, b.Type))
	})
	if f.Limit > 0 && len(matching) > f.Limit {
		matching = matching[:f.Limit]
	}
	return matching
}

func (m *model) newest(r registry.Record) bool {
	for other := range m.records {
		if other.series == r.Series && other.kind == r.Type && other.number > r.Version {
			return false
		}
	}
	return true
}

func (m *model) Disclosures(ctx context.Context, as []passport.OrgID, ids []passport.ID) (map[passport.ID][]registry.Disclosure, error) {
	unlock, err := m.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	found := make(map[passport.ID][]registry.Disclosure)
	for _, r := range m.records {
		if slices.Contains(ids, r.ID) && slices.Contains(as, r.Org) && len(r.Disclosures) > 0 {
			found[r.ID] = slices.Clone(r.Disclosures)
		}
	}
	return found, nil
}

func (m *model) Status(ctx context.Context, series passport.ID) ([]registry.StatusChange, error) {
	unlock, err := m.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return slices.Clone(m.status[series]), nil
}

func (m *model) StatusList(ctx context.Context, list int) (map[int]registry.State, error) {
	unlock, err := m.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	states := make(map[int]registry.State)
	for series, history := range m.status {
		slot := history[len(history)-1].Slot
		if state := m.state(series); state != registry.Active && slot/registry.StatusListSize == int64(list) {
			states[int(slot%registry.StatusListSize)] = state
		}
	}
	return states, nil
}

func (m *model) ReserveSlots(ctx context.Context, n int) (int64, error) {
	unlock, err := m.lock(ctx)
	if err != nil {
		return 0, err
	}
	defer unlock()
	if n < 1 {
		return 0, errors.New("at least one slot")
	}
	first := m.slots
	m.slots += int64(n)
	return first, nil
}

func (m *model) Instance(ctx context.Context) (registry.Instance, error) {
	unlock, err := m.lock(ctx)
	if err != nil {
		return registry.Instance{}, err
	}
	defer unlock()
	if m.instance == nil {
		return registry.Instance{}, registry.ErrNotFound
	}
	return *m.instance, nil
}

func (m *model) Organisations(ctx context.Context) ([]registry.Organisation, error) {
	unlock, err := m.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var all []registry.Organisation
	for _, id := range slices.Sorted(maps.Keys(m.orgs)) {
		o := m.orgs[id]
		for _, name := range slices.Sorted(maps.Keys(m.keys[id])) {
			o.Keys = append(o.Keys, m.keys[id][name])
		}
		all = append(all, o)
	}
	return all, nil
}

func (m *model) Members(ctx context.Context, org passport.OrgID) ([]registry.Member, error) {
	unlock, err := m.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var all []registry.Member
	for _, p := range m.members {
		if p.Org == org {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b registry.Member) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Issuer, b.Issuer))
	})
	return all, nil
}

func (m *model) Grants(ctx context.Context, org passport.OrgID) ([]registry.Grant, error) {
	unlock, err := m.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var all []registry.Grant
	for _, g := range m.grants {
		if g.Owner == org || g.Grantee == org {
			all = append(all, g)
		}
	}
	slices.SortFunc(all, func(a, b registry.Grant) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return all, nil
}

func (m *model) Reads(ctx context.Context, org passport.OrgID, limit int) ([]registry.Read, error) {
	unlock, err := m.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var newest []registry.Read
	for _, r := range slices.Backward(m.reads) {
		if r.Owner == org && len(newest) < limit {
			newest = append(newest, r)
		}
	}
	return newest, nil
}

func (m *model) Release(ctx context.Context, id passport.ID) (registry.Release, error) {
	unlock, err := m.lock(ctx)
	if err != nil {
		return registry.Release{}, err
	}
	defer unlock()
	r, ok := m.releases[id]
	if !ok {
		return registry.Release{}, registry.ErrNotFound
	}
	return r, nil
}

func (m *model) PendingLeaves(ctx context.Context) (int64, error) {
	unlock, err := m.lock(ctx)
	if err != nil {
		return 0, err
	}
	defer unlock()
	return m.leaves, nil
}

func (m *model) Ping(ctx context.Context) error {
	unlock, err := m.lock(ctx)
	if err != nil {
		return err
	}
	unlock()
	return nil
}

func (m *model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}
