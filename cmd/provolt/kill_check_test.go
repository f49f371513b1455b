package main_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/provolt/provolt/internal/bench/binary"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/tlog"
)

// check is the invariant of a registry at rest. In the database every record
// is whole: signed bytes, leaf, claim, disclosures, idempotency key and status
// slot belong together one to one. Over HTTP everything acknowledged since the
// last check is served to its owner byte for byte as it was acknowledged, and
// is genuine.
func (m *maker) check(t *testing.T, server *binary.Server) {
	t.Helper()
	d := m.dump(t)
	for _, fault := range d.faults() {
		t.Error(fault)
	}
	for serial, answer := range m.acknowledged {
		item, ok := d.items[answer.PassportID]
		switch {
		case !ok:
			t.Errorf("%s: acknowledged passport %s is lost", serial, answer.PassportID)
		case item.serial != serial || item.token != answer.bare():
			t.Errorf("%s: passport %s is not what was acknowledged", serial, answer.PassportID)
		case !m.checked[serial]:
			m.checkServed(t, server, serial, answer)
			m.checked[serial] = true
		}
	}
	for _, item := range d.items {
		if _, ok := m.acknowledged[item.serial]; !ok && !slices.ContainsFunc(m.doubtful, func(o order) bool { return o.serial == item.serial }) {
			t.Errorf("%s: nobody registered it", item.serial)
		}
	}
}

// checkNothingElse checks that what is stored is what was acknowledged, and
// each once: two items of one battery would be two passports.
func (m *maker) checkNothingElse(t *testing.T) {
	t.Helper()
	if got, want := len(m.dump(t).items), len(m.acknowledged); got != want {
		t.Errorf("%d passports are stored, %d were acknowledged", got, want)
	}
}

// checkServed compares what the registry serves with what it acknowledged.
func (m *maker) checkServed(t *testing.T, server *binary.Server, serial string, answer receipt) {
	t.Helper()
	path := "/v1/passports/" + answer.PassportID
	token, err := m.get(server, path, "application/vc+sd-jwt")
	if err != nil || string(token) != answer.Token {
		t.Errorf("%s: the token is not the one that was acknowledged: %v", serial, err)
	}
	body, err := m.get(server, path+"/verification", "application/json")
	var result struct{ Verdict string }
	if err == nil {
		err = json.Unmarshal(body, &result)
	}
	if err != nil || result.Verdict != "genuine" {
		t.Errorf("%s: %s, %v: %s", serial, result.Verdict, err, body)
	}
}

// dump is what lies in the database at one moment.
type dump struct {
	records     map[string]storedRecord // by record id
	items       map[string]storedRecord // the passports' first versions, by series
	leaves      map[string]int          // how often each, by series and bytes
	disclosures map[string]string       // series, by record id
	claims      map[string]string       // series, by battery key in hex
	keyed       map[string]int          // how many idempotency keys name a record
}

type storedRecord struct {
	series, kind, key, serial string
	token, content            [sha256.Size]byte
	salt                      [tlog.SaltSize]byte
	slot                      int64
	jws                       []byte
}

// leaf is the entry of the public log that the record needs.
func (r storedRecord) leaf() string {
	return leafOf(r.series, tlog.IssueLeaf(tlog.Commitment(r.kind, r.salt, r.content, r.token)))
}

func leafOf(series string, data []byte) string { return series + " " + hex.EncodeToString(data) }

// faults is the part of the invariant that the database alone shows.
func (d *dump) faults() []string {
	var all []string
	fault := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	slots := map[int64]string{}
	for id, r := range d.records {
		if n := d.leaves[r.leaf()]; n != 1 {
			fault("%s %s has %d leaves, want 1", r.kind, id, n)
		}
		if sha256.Sum256(append(bytes.Clone(r.jws), '~')) != r.token {
			fault("%s %s: its digest is not that of its signed bytes", r.kind, id)
		}
		if d.disclosures[id] != r.series {
			fault("%s %s has no disclosures", r.kind, id)
		}
		if other, taken := slots[r.slot]; taken && other != r.series {
			fault("%s %s shares status slot %d with %s", r.kind, id, r.slot, other)
		}
		slots[r.slot] = r.series
		if n := d.keyed[id]; n == 0 || n > 1 && r.kind == string(passport.Item) {
			fault("%s %s stands under %d idempotency keys", r.kind, id, n)
		}
	}
	for series, item := range d.items {
		if d.claims[item.key] != series {
			fault("passport %s has no claim on its battery", series)
		}
	}
	for id := range d.keyed {
		if _, ok := d.records[id]; !ok {
			fault("an idempotency key names record %s, which is not there", id)
		}
	}
	for what, counts := range map[string][2]int{
		"leaves":      {len(d.leaves), len(d.records)},
		"disclosures": {len(d.disclosures), len(d.records)},
		"claims":      {len(d.claims), len(d.items)},
	} {
		if counts[0] != counts[1] {
			fault("%d %s belong to %d records", counts[0], what, counts[1])
		}
	}
	return all
}

// seesHalves takes one thing after the other out of what was read: the check
// must miss each.
func (m *maker) seesHalves(t *testing.T) {
	for what, half := range map[string]func(*dump){
		"record":          func(d *dump) { dropOne(d.records) },
		"leaf":            func(d *dump) { dropOne(d.leaves) },
		"disclosures":     func(d *dump) { dropOne(d.disclosures) },
		"claim":           func(d *dump) { dropOne(d.claims) },
		"passport":        func(d *dump) { dropOne(d.items) },
		"idempotency key": func(d *dump) { dropOne(d.keyed) },
	} {
		d := m.dump(t)
		half(d)
		if len(d.faults()) == 0 {
			t.Errorf("the check does not miss a %s", what)
		}
	}
}

func dropOne[V any](of map[string]V) {
	for name := range of {
		delete(of, name)
		return
	}
}

// dump reads the database in one transaction: behind a killed process
// PostgreSQL may still be finishing what it was sent.
func (m *maker) dump(t *testing.T) *dump {
	t.Helper()
	d := &dump{
		records: map[string]storedRecord{}, items: map[string]storedRecord{}, leaves: map[string]int{},
		disclosures: map[string]string{}, claims: map[string]string{}, keyed: map[string]int{},
	}
	if err := d.read(t.Context(), m.db); err != nil {
		t.Fatalf("read the database: %v", err)
	}
	return d
}

func (d *dump) read(ctx context.Context, db *sql.DB) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	tx, err := conn.BeginTx(ctx, snapshot(conn))
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	return d.readAll(ctx, tx)
}

// snapshot is the isolation under which one transaction sees one state; in
// SQLite every transaction does.
func snapshot(conn *sql.Conn) *sql.TxOptions {
	o := &sql.TxOptions{ReadOnly: true}
	_ = conn.Raw(func(driver any) error {
		if fmt.Sprintf("%T", driver) == "*stdlib.Conn" {
			o.Isolation = sql.LevelRepeatableRead
		}
		return nil
	})
	return o
}

func (d *dump) readAll(ctx context.Context, tx *sql.Tx) error {
	type row = func(...any) error
	var a, b id
	var x []byte
	for _, table := range []struct {
		query string
		each  func(row) error
	}{
		{`SELECT record_id, series_id, type, natural_key, serial, token_digest, content_digest, salt, slot, jws FROM record WHERE type <> 'condition'`, d.addRecord},
		{`SELECT series_id, data FROM log_pending WHERE kind = 'issue'`, func(scan row) error {
			err := scan(&a, &x)
			d.leaves[leafOf(string(a), x)]++
			return err
		}},
		{`SELECT record_id, series_id FROM disclosure`, func(scan row) error {
			err := scan(&a, &b)
			d.disclosures[string(a)] = string(b)
			return err
		}},
		{`SELECT battery_key, series_id FROM battery_claim`, func(scan row) error {
			err := scan(&x, &a)
			d.claims[hex.EncodeToString(x)] = string(a)
			return err
		}},
		{`SELECT refs FROM idempotency`, func(scan row) error {
			err := scan(&x)
			for part := range slices.Chunk(x, len(passport.ID{})) {
				if id := passport.ID(part); !id.IsZero() { // zero stands between what was used and what was made
					d.keyed[id.String()]++
				}
			}
			return err
		}},
	} {
		if err := each(ctx, tx, table.query, table.each); err != nil {
			return fmt.Errorf("%s: %w", table.query, err)
		}
	}
	return nil
}

func (d *dump) addRecord(scan func(...any) error) error {
	var r storedRecord
	var record, series id
	var key, token, content, salt []byte
	if err := scan(&record, &series, &r.kind, &key, &r.serial, &token, &content, &salt, &r.slot, &r.jws); err != nil {
		return err
	}
	r.series, r.key = string(series), string(key)
	r.token, r.content, r.salt = [sha256.Size]byte(token), [sha256.Size]byte(content), [tlog.SaltSize]byte(salt)
	d.records[string(record)] = r
	if r.kind == string(passport.Item) {
		d.items[r.series] = r
	}
	return nil
}

func each(ctx context.Context, tx *sql.Tx, query string, visit func(func(...any) error) error) error {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := visit(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// id reads what one database keeps as bytes and the other as a uuid.
type id string

// Scan implements sql.Scanner.
func (i *id) Scan(value any) error {
	switch v := value.(type) {
	case []byte:
		if len(v) != len(passport.ID{}) {
			return fmt.Errorf("an id of %d bytes", len(v))
		}
		*i = id(passport.ID(v).String())
		return nil
	case string:
		*i = id(v)
		return nil
	}
	return fmt.Errorf("no id: %T", value)
}
