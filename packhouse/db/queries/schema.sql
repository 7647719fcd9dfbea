-- name: ping
SELECT 1;

-- name: create_schema_migrations
CREATE TABLE IF NOT EXISTS schema_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    created_at bigint NOT NULL
);

-- name: list_schema_migrations
SELECT version FROM schema_migrations ORDER BY version;

-- name: insert_schema_migration
INSERT INTO schema_migrations (version, name, created_at) VALUES (:version, :name, :now);

-- name: find_lowest_release
SELECT value FROM settings WHERE name = 'lowest_release';

-- Never lowered: a release that was skipped may still run its migration later.
-- name: raise_lowest_release
INSERT INTO settings (name, value, created_at) VALUES ('lowest_release', :lowest, :now)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, created_at = excluded.created_at
WHERE CAST(settings.value AS integer) < CAST(excluded.value AS integer);

-- PostgreSQL only.
-- name: get_server_facts
SELECT current_setting('server_version_num'), current_setting('server_encoding');
