-- +goose NO TRANSACTION
-- +goose Up

-- Append-only history; the newest row of a series is its state, no row means
-- active since issue. The primary key is the compare-and-set: two changes
-- from the same state want the same seq.
CREATE TABLE IF NOT EXISTS passport_status (
    series_id  uuid             NOT NULL,
    seq        bigint           NOT NULL, -- from 1
    slot       bigint           NOT NULL,
    from_state text COLLATE "C" NOT NULL,
    to_state   text COLLATE "C" NOT NULL,
    reason     text COLLATE "C" NOT NULL,
    actor      text COLLATE "C" NOT NULL,
    changed_at timestamptz      NOT NULL,
    PRIMARY KEY (series_id, seq)
);

CREATE INDEX IF NOT EXISTS passport_status_by_slot ON passport_status (slot, seq);

-- A counter, not a sequence: next_slot is the first slot never handed out.
-- Taken in blocks, so the one row is no hot spot.
CREATE TABLE IF NOT EXISTS slot_counter (
    name      text COLLATE "C" NOT NULL PRIMARY KEY, -- 'status'
    next_slot bigint           NOT NULL
);
