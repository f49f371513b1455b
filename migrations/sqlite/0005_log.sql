-- +goose NO TRANSACTION
-- +goose Up

-- Leaves that wait for the public log, written with what they are about and
-- deleted when sequenced. leaf_id is a UUIDv7 of the change's time: unique
-- without a sequence, and roughly in order; the log's order is the
-- sequencer's, never this one.
CREATE TABLE IF NOT EXISTS log_pending (
    series_id     BLOB    NOT NULL, -- zero for organisations and keys
    leaf_id       BLOB    NOT NULL,
    kind          TEXT    NOT NULL,
    data          BLOB    NOT NULL, -- final bytes
    pending_since INTEGER NOT NULL,
    PRIMARY KEY (series_id, leaf_id)
) STRICT, WITHOUT ROWID;
