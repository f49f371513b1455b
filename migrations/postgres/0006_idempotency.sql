-- +goose NO TRANSACTION
-- +goose Up

-- key_hash is SHA-256 of tenant, zero byte, operation, zero byte, key.
CREATE TABLE IF NOT EXISTS idempotency (
    key_hash     bytea            NOT NULL PRIMARY KEY,
    org          text COLLATE "C" NOT NULL, -- the tenant
    request      bytea            NOT NULL, -- SHA-256 of the body
    refs         bytea            NOT NULL, -- 16 bytes each
    committed_at timestamptz      NOT NULL  -- of the change
);
