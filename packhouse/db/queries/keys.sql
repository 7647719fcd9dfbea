-- name: insert_key
INSERT INTO keys (key_id, org_id, public_pem, kid, label, created_at)
VALUES (:key_id, :org_id, :public_pem, :kid, :label, :created_at)
RETURNING id;

-- name: find_key
SELECT id, key_id, org_id, public_pem, kid, label, created_at, revoked_at
FROM keys
WHERE key_id = :key_id AND org_id = :org_id;

-- name: list_keys
SELECT id, key_id, org_id, public_pem, kid, label, created_at, revoked_at
FROM keys
WHERE org_id = :org_id
ORDER BY id DESC;

-- name: list_active_keys
SELECT id, key_id, org_id, public_pem, kid, label, created_at, revoked_at
FROM keys
WHERE org_id = :org_id AND revoked_at IS NULL
ORDER BY id DESC;

-- name: revoke_key
UPDATE keys SET revoked_at = :now
WHERE key_id = :key_id AND org_id = :org_id AND revoked_at IS NULL;

-- name: get_keys_version
SELECT CAST(value AS bigint) FROM settings WHERE name = 'keys_version';

-- Two revocations wait for each other on this row, so each change has a version of its own.
-- name: bump_keys_version
UPDATE settings SET value = CAST(CAST(value AS bigint) + 1 AS text) WHERE name = 'keys_version';
