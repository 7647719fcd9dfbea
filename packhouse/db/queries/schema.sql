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

-- PostgreSQL only.
-- name: get_server_facts
SELECT current_setting('server_version_num'), current_setting('server_encoding');
