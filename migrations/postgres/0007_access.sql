-- +goose NO TRANSACTION
-- +goose Up

-- A grant never changes but for revoked_at, once.
CREATE TABLE IF NOT EXISTS access_grant (
    grant_id       uuid             NOT NULL PRIMARY KEY,
    owner          text COLLATE "C" NOT NULL,
    grantee        text COLLATE "C" NOT NULL,
    points         smallint         NOT NULL, -- bit set of passport.Tiers
    scope_passport uuid,                      -- NULL: not limited
    scope_model    uuid,
    valid_from     timestamptz      NOT NULL,
    valid_until    timestamptz      NOT NULL,
    revoked_at     timestamptz
);

CREATE INDEX IF NOT EXISTS access_grant_by_owner ON access_grant (owner, grant_id);

CREATE INDEX IF NOT EXISTS access_grant_by_grantee ON access_grant (grantee, grant_id);

-- Restricted reads, append-only. chain is SHA-256 of the chain of the row
-- before (32 zero bytes at seq 1) and the read as encoding/json writes
-- registry.Read (At in UTC, whole microseconds): a row that is changed or
-- taken out breaks the owner's chain.
CREATE TABLE IF NOT EXISTS purpose_log (
    owner      text COLLATE "C" NOT NULL, -- whose data
    seq        bigint           NOT NULL, -- from 1, per owner
    reader     text COLLATE "C" NOT NULL,
    person     text COLLATE "C" NOT NULL,
    purpose    text COLLATE "C" NOT NULL,
    series_id  uuid             NOT NULL,
    version    bigint           NOT NULL,
    attributes text COLLATE "C" NOT NULL, -- JSON
    read_at    timestamptz      NOT NULL,
    chain      bytea            NOT NULL,
    PRIMARY KEY (owner, seq)
);

-- The newest release of a passport; an earlier one is in the public log.
CREATE TABLE IF NOT EXISTS passport_release (
    series_id   uuid             NOT NULL PRIMARY KEY,
    owner       text COLLATE "C" NOT NULL,
    recipient   text COLLATE "C" NOT NULL,
    released_at timestamptz      NOT NULL
);
