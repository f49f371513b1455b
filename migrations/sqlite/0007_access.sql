-- +goose NO TRANSACTION
-- +goose Up

-- A grant never changes but for revoked_at, once.
CREATE TABLE IF NOT EXISTS access_grant (
    grant_id       BLOB    NOT NULL PRIMARY KEY,
    owner          TEXT    NOT NULL,
    grantee        TEXT    NOT NULL,
    points         INTEGER NOT NULL, -- bit set of passport.Tiers
    scope_passport BLOB,             -- NULL: not limited
    scope_model    BLOB,
    valid_from     INTEGER NOT NULL,
    valid_until    INTEGER NOT NULL,
    revoked_at     INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS access_grant_by_owner ON access_grant (owner, grant_id);

CREATE INDEX IF NOT EXISTS access_grant_by_grantee ON access_grant (grantee, grant_id);

-- Restricted reads, append-only. chain is SHA-256 of the chain of the row
-- before (32 zero bytes at seq 1) and the read as encoding/json writes
-- registry.Read (At in UTC, whole microseconds): a row that is changed or
-- taken out breaks the owner's chain.
CREATE TABLE IF NOT EXISTS purpose_log (
    owner      TEXT    NOT NULL, -- whose data
    seq        INTEGER NOT NULL, -- from 1, per owner
    reader     TEXT    NOT NULL,
    person     TEXT    NOT NULL,
    purpose    TEXT    NOT NULL,
    series_id  BLOB    NOT NULL,
    version    INTEGER NOT NULL,
    attributes TEXT    NOT NULL, -- JSON
    read_at    INTEGER NOT NULL,
    chain      BLOB    NOT NULL,
    PRIMARY KEY (owner, seq)
) STRICT;

-- The newest release of a passport; an earlier one is in the public log.
CREATE TABLE IF NOT EXISTS passport_release (
    series_id   BLOB    NOT NULL PRIMARY KEY,
    owner       TEXT    NOT NULL,
    recipient   TEXT    NOT NULL,
    released_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
