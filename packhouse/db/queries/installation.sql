-- What tells whether a database belongs to a data folder. `id > 0` keeps each of them to one step in a database index.

-- name: find_stored_credential
SELECT 1 FROM git_credentials WHERE id > 0 LIMIT 1;

-- name: find_stored_webhook_secret
SELECT 1 FROM webhooks WHERE deleted_at IS NULL AND org_id > 0 LIMIT 1;
