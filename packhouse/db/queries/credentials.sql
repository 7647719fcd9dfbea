-- name: insert_git_credential
INSERT INTO git_credentials
    (credential_id, org_id, repo_id, username, sealed_password, sealed_with, created_at, updated_at)
VALUES (:credential_id, :org_id, :repo_id, :username, :sealed_password, :sealed_with, :now, :now)
ON CONFLICT (repo_id) DO NOTHING
RETURNING id;

-- name: find_git_credential
SELECT c.id, c.credential_id, c.repo_id, c.username, c.sealed_password, c.sealed_with, c.created_at
FROM git_credentials AS c JOIN repos AS r ON r.id = c.repo_id
WHERE c.credential_id = :credential_id AND c.org_id = :org_id AND r.deleted_at IS NULL;

-- name: find_git_credential_of_repo
SELECT id, credential_id, repo_id, username, sealed_password, sealed_with, created_at
FROM git_credentials WHERE repo_id = :repo_id;

-- name: update_git_credential
UPDATE git_credentials
SET username = :username, sealed_password = :sealed_password, sealed_with = :sealed_with, updated_at = :now
WHERE id = :id;

-- name: delete_git_credential
DELETE FROM git_credentials WHERE id = :id;

-- name: delete_git_credentials_of_repo
DELETE FROM git_credentials WHERE repo_id = :repo_id;

-- name: list_sealed_passwords
SELECT id, credential_id, sealed_password, sealed_with FROM git_credentials
WHERE sealed_with <> :key_id AND id > :after ORDER BY id LIMIT :limit;

-- name: reseal_password
UPDATE git_credentials SET sealed_password = :sealed_password, sealed_with = :sealed_with
WHERE id = :id AND sealed_with = :old_key_id;
