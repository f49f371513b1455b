-- Row level security is PostgreSQL's; an SQLite file has one process, and its
-- queries carry the tenants themselves. The number is kept so that one
-- version means the same in both dialects.

-- +goose NO TRANSACTION
-- +goose Up
