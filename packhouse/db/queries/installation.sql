-- Whether a database belongs to a data folder. `id > 0` keeps each query to one step in a database index.

-- name: find_stored_credential
SELECT 1 FROM git_credentials WHERE id > 0 LIMIT 1;

-- name: find_stored_webhook_secret
SELECT 1 FROM webhooks WHERE deleted_at IS NULL AND org_id > 0 LIMIT 1;

-- name: find_any_repo
SELECT 1 FROM repos WHERE id > 0 LIMIT 1;

-- Takes a fixed number of ids; unused places hold ''.
-- name: list_known_repo_ids
SELECT public_id FROM repos WHERE public_id IN (
    :p00, :p01, :p02, :p03, :p04, :p05, :p06, :p07, :p08, :p09, :p10, :p11, :p12, :p13, :p14, :p15,
    :p16, :p17, :p18, :p19, :p20, :p21, :p22, :p23, :p24, :p25, :p26, :p27, :p28, :p29, :p30, :p31
);

-- name: find_database_id
SELECT value FROM settings WHERE name = 'database_id';

-- name: insert_database_id
INSERT INTO settings (name, value, created_at) VALUES ('database_id', :database_id, :now)
ON CONFLICT (name) DO NOTHING;

-- name: find_accepted_folder
SELECT value FROM settings WHERE name = 'accepted_folder';

-- name: set_accepted_folder
INSERT INTO settings (name, value, created_at) VALUES ('accepted_folder', :folder, :now)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, created_at = excluded.created_at;
