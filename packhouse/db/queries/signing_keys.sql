-- name: insert_signing_key
INSERT INTO signing_keys (signing_key_id, org_id, kind, public_key, fingerprint, label, created_at)
VALUES (:signing_key_id, :org_id, :kind, :public_key, :fingerprint, :label, :created_at);

-- name: find_signing_key
SELECT signing_key_id, org_id, kind, public_key, fingerprint, label, created_at, revoked_at
FROM signing_keys
WHERE signing_key_id = :signing_key_id AND org_id = :org_id;

-- name: list_signing_keys
SELECT signing_key_id, org_id, kind, public_key, fingerprint, label, created_at, revoked_at
FROM signing_keys
WHERE org_id = :org_id
ORDER BY id DESC;

-- name: list_active_signing_keys
SELECT signing_key_id, org_id, kind, public_key, fingerprint, label, created_at, revoked_at
FROM signing_keys
WHERE org_id = :org_id AND revoked_at IS NULL
ORDER BY id DESC;

-- name: revoke_signing_key
UPDATE signing_keys SET revoked_at = :now
WHERE signing_key_id = :signing_key_id AND org_id = :org_id AND revoked_at IS NULL;
