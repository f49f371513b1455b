-- +goose NO TRANSACTION
-- +goose Up

-- One row per signed record version, immutable. The signed bytes stand last,
-- so that the narrow columns are read without walking over them.
CREATE TABLE IF NOT EXISTS record (
    series_id       BLOB    NOT NULL,
    type            TEXT    NOT NULL,
    version         INTEGER NOT NULL,
    record_id       BLOB    NOT NULL,
    org             TEXT    NOT NULL,
    natural_key     BLOB    NOT NULL, -- bytes: a model's holds a zero byte, which PostgreSQL text cannot
    token_digest    BLOB    NOT NULL,
    content_digest  BLOB    NOT NULL,
    salt            BLOB    NOT NULL,
    issued_at       INTEGER NOT NULL,
    slot            INTEGER NOT NULL, -- -1: none; its status list is slot / 131072
    gtin            TEXT    NOT NULL, -- empty: none
    lot             TEXT    NOT NULL,
    serial          TEXT    NOT NULL,
    model_record_id BLOB,             -- NULL: pins none
    batch_record_id BLOB,
    jws             BLOB    NOT NULL,
    PRIMARY KEY (series_id, type, version)
) STRICT;

-- Not unique: uniqueness without series_id cannot be had on shards, and a
-- UUIDv7 does not need it.
CREATE INDEX IF NOT EXISTS record_by_id ON record (record_id);

-- One index per filter of registry.Filter, each ending in the order that
-- Records promises.
CREATE INDEX IF NOT EXISTS record_by_type ON record (type, series_id, version);

CREATE INDEX IF NOT EXISTS record_by_org ON record (org, type, series_id, version);

CREATE INDEX IF NOT EXISTS record_by_gtin ON record (gtin, type, series_id, version) WHERE gtin <> '';

CREATE INDEX IF NOT EXISTS record_by_lot ON record (gtin, lot, type, series_id, version) WHERE lot <> '';

-- The restricted attributes of one record, packed into one row: a registration
-- writes one more row, not thirty. Erasure deletes the row or writes it anew
-- without the erased ones. Read by joining record on record_id.
CREATE TABLE IF NOT EXISTS disclosure (
    series_id BLOB NOT NULL,
    record_id BLOB NOT NULL,
    org       TEXT NOT NULL,
    packed    BLOB NOT NULL, -- JSON: [["attribute","tier","encoded"]]
    PRIMARY KEY (series_id, record_id)
) STRICT, WITHOUT ROWID;

-- Which series a model's or batch's own name belongs to. key_hash is SHA-256
-- of type, zero byte, organisation, zero byte, text.
CREATE TABLE IF NOT EXISTS natural_key (
    key_hash  BLOB NOT NULL PRIMARY KEY,
    org       TEXT NOT NULL,
    series_id BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The passport in force of each battery: the one row of a registration that
-- does not belong to its series (on Citus a second shard, two-phase commit).
CREATE TABLE IF NOT EXISTS battery_claim (
    battery_key BLOB    NOT NULL PRIMARY KEY,
    series_id   BLOB    NOT NULL,
    claimed_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
