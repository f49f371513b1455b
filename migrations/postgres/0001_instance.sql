-- The conventions are those of ../sqlite/0001_instance.sql: one statement is
-- one step, and every statement can run again. Here a storage parameter that
-- CREATE TABLE cannot hold before PostgreSQL 16 follows it at once, and who
-- may do what stands in 0008_tenancy.sql.

-- +goose NO TRANSACTION
-- +goose Up

-- The one row that init writes and nothing changes.
CREATE TABLE IF NOT EXISTS instance (
    id          smallint         NOT NULL PRIMARY KEY CHECK (id = 1),
    base_url    text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL,
    created_at  timestamptz      NOT NULL
);
