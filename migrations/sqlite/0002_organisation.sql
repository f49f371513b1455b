-- +goose NO TRANSACTION
-- +goose Up

CREATE TABLE IF NOT EXISTS organisation (
    org         TEXT    NOT NULL PRIMARY KEY,
    name        TEXT    NOT NULL,
    country     TEXT    NOT NULL,
    party_ids   TEXT    NOT NULL, -- JSON: [{"scheme":"lei","value":"…"}]
    roles       TEXT    NOT NULL, -- JSON: ["issuer"]
    oidc_issuer TEXT    NOT NULL, -- empty: none
    admitted_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A key stays for ever; retired_at is its only member that changes, once.
CREATE TABLE IF NOT EXISTS signing_key (
    org        TEXT    NOT NULL,
    key_id     TEXT    NOT NULL, -- DID URL
    algorithm  TEXT    NOT NULL,
    public_key BLOB    NOT NULL, -- PKIX, DER
    not_before INTEGER NOT NULL,
    retired_at INTEGER,
    PRIMARY KEY (org, key_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS member (
    org      TEXT    NOT NULL,
    issuer   TEXT    NOT NULL,
    subject  TEXT    NOT NULL,
    roles    TEXT    NOT NULL, -- JSON
    bound_at INTEGER NOT NULL,
    PRIMARY KEY (org, issuer, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS enrolment (
    secret      BLOB    NOT NULL PRIMARY KEY, -- SHA-256 of the secret
    org         TEXT    NOT NULL,
    roles       TEXT    NOT NULL, -- JSON
    expires_at  INTEGER NOT NULL,
    redeemed_at INTEGER
) STRICT, WITHOUT ROWID;
