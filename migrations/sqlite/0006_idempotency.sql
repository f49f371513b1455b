-- +goose NO TRANSACTION
-- +goose Up

-- key_hash is SHA-256 of tenant, zero byte, operation, zero byte, key.
CREATE TABLE IF NOT EXISTS idempotency (
    key_hash     BLOB    NOT NULL PRIMARY KEY,
    org          TEXT    NOT NULL, -- the tenant
    request      BLOB    NOT NULL, -- SHA-256 of the body
    refs         BLOB    NOT NULL, -- 16 bytes each
    committed_at INTEGER NOT NULL  -- of the change
) STRICT, WITHOUT ROWID;
