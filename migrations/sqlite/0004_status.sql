-- +goose NO TRANSACTION
-- +goose Up

-- Append-only history; the newest row of a series is its state, no row means
-- active since issue. The primary key is the compare-and-set: two changes
-- from the same state want the same seq.
CREATE TABLE IF NOT EXISTS passport_status (
    series_id  BLOB    NOT NULL,
    seq        INTEGER NOT NULL, -- from 1
    slot       INTEGER NOT NULL,
    from_state TEXT    NOT NULL,
    to_state   TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    actor      TEXT    NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (series_id, seq)
) STRICT;

CREATE INDEX IF NOT EXISTS passport_status_by_slot ON passport_status (slot, seq);

-- A counter, not a sequence: next_slot is the first slot never handed out.
-- Taken in blocks, so the one row is no hot spot.
CREATE TABLE IF NOT EXISTS slot_counter (
    name      TEXT    NOT NULL PRIMARY KEY, -- 'status'
    next_slot INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
