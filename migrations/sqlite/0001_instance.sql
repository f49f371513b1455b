-- The conventions of every file here; a test in this directory keeps them
-- for both dialects.
--
-- * One statement is one step: files run without a transaction around them
--   and every statement can run again, so a crash between two steps is
--   mended by migrating once more. No data are changed beside a definition.
-- * A table that grows with the passports begins its primary key with
--   series_id, so that everything about one passport lives on one shard.
--   What must be unique by another value (a battery, a natural key, an
--   idempotency key) has a table of its own keyed by that value's hash.
-- * No foreign keys: the only writer is Commit, which writes all rows of a
--   change in one transaction and never deletes a parent.
-- * Times are microseconds since 1970 in UTC (timestamptz in PostgreSQL);
--   "no such time" is NULL. Ids are 16 bytes (uuid), hashes 32 (bytea).
-- * Text compares bytewise (SQLite's default; COLLATE "C" in PostgreSQL).
--   Sets and lists that nobody searches are JSON arrays in text.

-- +goose NO TRANSACTION
-- +goose Up

-- The one row that init writes and nothing changes.
CREATE TABLE IF NOT EXISTS instance (
    id          INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    base_url    TEXT    NOT NULL,
    environment TEXT    NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;
