-- The unique database index on names of living repositories decides which of two creators is first.
-- name: insert_repo
INSERT INTO repos (public_id, org_id, name, name_folded, default_branch, created_at, adopted_at, expires_at)
VALUES (:public_id, :org_id, :name, :name_folded, :default_branch, :created_at, :created_at, :expires_at)
ON CONFLICT (org_id, name) WHERE deleted_at IS NULL DO NOTHING
RETURNING id;

-- name: find_repo
SELECT r.id, r.public_id, r.org_id, o.name, r.name, r.default_branch, r.refs_version, r.refs_state, r.packs_version,
       r.packs_state, r.created_at, r.deleted_at, r.expires_at,
       u.provider, u.host, u.owner, u.name, u.auth_mode,
       CASE WHEN u.state = 'syncing' AND u.first_run_ended_at IS NULL THEN 1 ELSE 0 END
FROM repos AS r JOIN orgs AS o ON o.id = r.org_id LEFT JOIN upstreams AS u ON u.repo_id = r.id
WHERE r.org_id = :org_id AND r.name = :name AND r.deleted_at IS NULL;

-- name: find_repo_by_id
SELECT r.id, r.public_id, r.org_id, o.name, r.name, r.default_branch, r.refs_version, r.refs_state, r.packs_version,
       r.packs_state, r.created_at, r.deleted_at, r.expires_at,
       u.provider, u.host, u.owner, u.name, u.auth_mode,
       CASE WHEN u.state = 'syncing' AND u.first_run_ended_at IS NULL THEN 1 ELSE 0 END
FROM repos AS r JOIN orgs AS o ON o.id = r.org_id LEFT JOIN upstreams AS u ON u.repo_id = r.id
WHERE r.id = :repo_id;

-- name: find_repo_by_public_id
SELECT r.id, r.public_id, r.org_id, o.name, r.name, r.default_branch, r.refs_version, r.refs_state, r.packs_version,
       r.packs_state, r.created_at, r.deleted_at, r.expires_at,
       u.provider, u.host, u.owner, u.name, u.auth_mode,
       CASE WHEN u.state = 'syncing' AND u.first_run_ended_at IS NULL THEN 1 ELSE 0 END
FROM repos AS r JOIN orgs AS o ON o.id = r.org_id LEFT JOIN upstreams AS u ON u.repo_id = r.id
WHERE r.public_id = :public_id;

-- The data that most reads need, in one round trip. An absent refname means the default branch.
-- name: find_repo_and_ref
SELECT r.id, r.public_id, r.org_id, o.name, r.name, r.default_branch, r.refs_version, r.refs_state, r.packs_version,
       r.packs_state, r.created_at, r.deleted_at, r.expires_at,
       u.provider, u.host, u.owner, u.name, u.auth_mode,
       CASE WHEN u.state = 'syncing' AND u.first_run_ended_at IS NULL THEN 1 ELSE 0 END,
       f.namespace, f.refname, f.oid, f.peeled_oid, f.created_at, f.updated_at, f.creation
FROM repos AS r
JOIN orgs AS o ON o.id = r.org_id
LEFT JOIN upstreams AS u ON u.repo_id = r.id
LEFT JOIN refs AS f
    ON f.repo_id = r.id
    AND f.namespace = :namespace
    AND f.refname = COALESCE(CAST(:refname AS text), 'refs/heads/' || r.default_branch)
WHERE r.org_id = :org_id AND r.name = :name AND r.deleted_at IS NULL;

-- name: list_repos
SELECT r.id, r.public_id, r.org_id, o.name, r.name, r.default_branch, r.refs_version, r.refs_state, r.packs_version,
       r.packs_state, r.created_at, r.deleted_at, r.expires_at,
       u.provider, u.host, u.owner, u.name, u.auth_mode,
       CASE WHEN u.state = 'syncing' AND u.first_run_ended_at IS NULL THEN 1 ELSE 0 END
FROM repos AS r JOIN orgs AS o ON o.id = r.org_id LEFT JOIN upstreams AS u ON u.repo_id = r.id
WHERE r.org_id = :org_id AND r.deleted_at IS NULL AND (r.created_at, r.id) > (:after_time, :after_id)
ORDER BY r.created_at, r.id
LIMIT :limit;

-- name: search_repos
SELECT r.id, r.public_id, r.org_id, o.name, r.name, r.default_branch, r.refs_version, r.refs_state, r.packs_version,
       r.packs_state, r.created_at, r.deleted_at, r.expires_at,
       u.provider, u.host, u.owner, u.name, u.auth_mode,
       CASE WHEN u.state = 'syncing' AND u.first_run_ended_at IS NULL THEN 1 ELSE 0 END
FROM repos AS r JOIN orgs AS o ON o.id = r.org_id LEFT JOIN upstreams AS u ON u.repo_id = r.id
WHERE r.org_id = :org_id AND r.deleted_at IS NULL AND (r.created_at, r.id) > (:after_time, :after_id)
    AND r.name_folded LIKE :pattern ESCAPE '\'
ORDER BY r.created_at, r.id
LIMIT :limit;

-- HEAD is one of the refs, so a new default branch needs a new version. The row lock keeps other ref transactions
-- waiting
-- until this one ends.
-- name: set_default_branch
UPDATE repos SET default_branch = :default_branch, refs_version = refs_version + 1, refs_state = :state
WHERE id = :repo_id AND deleted_at IS NULL;

-- Takes the row lock, so that the repository does not expire before the new time counts.
-- name: set_repo_expiry
UPDATE repos SET expires_at = :expires_at WHERE id = :repo_id AND deleted_at IS NULL;

-- name: mark_repo_deleted
UPDATE repos SET deleted_at = :now, refs_version = refs_version + 1, refs_state = :state
WHERE org_id = :org_id AND name = :name AND deleted_at IS NULL
RETURNING id, public_id;

-- name: undelete_repo
-- Brings back the one that was deleted last, unless its files are gone or its name is taken again. It has no expiry
-- any more: with a time that has passed it would be deleted again at once.
UPDATE repos SET deleted_at = NULL, expires_at = NULL, refs_version = refs_version + 1, refs_state = :state
WHERE id = (
    SELECT id FROM repos
    WHERE org_id = :org_id AND name = :name AND deleted_at IS NOT NULL AND cleaning_at IS NULL AND cleaned_at IS NULL
    ORDER BY deleted_at DESC, id DESC LIMIT 1
) AND NOT EXISTS (SELECT 1 FROM repos WHERE org_id = :org_id AND name = :name AND deleted_at IS NULL)
RETURNING id, public_id;

-- Takes the same row lock as undelete_repo, so that one of the two comes first.
-- name: start_cleaning_repo
UPDATE repos SET cleaning_at = :now WHERE id = :repo_id AND deleted_at <= :before AND cleaned_at IS NULL;

-- name: mark_repo_cleaned
UPDATE repos SET cleaned_at = :now, journal_rows = 0, journal_bytes = 0
WHERE id = :repo_id AND deleted_at IS NOT NULL AND cleaned_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM journal WHERE repo_id = :repo_id)
    AND NOT EXISTS (SELECT 1 FROM refs WHERE repo_id = :repo_id)
    AND NOT EXISTS (SELECT 1 FROM ref_log WHERE repo_id = :repo_id);

-- name: find_cleaned_repo
SELECT 1 FROM repos WHERE id = :repo_id AND cleaned_at IS NOT NULL;

-- name: has_pending_deletion
SELECT 1 FROM repos
WHERE org_id = :org_id AND name = :name AND deleted_at IS NOT NULL AND cleaned_at IS NULL
LIMIT 1;

-- A repository that starts with objects has a row before its packs have rows. Until it is complete, the row looks like
-- that
-- of a repository that was deleted and cleaned: nobody finds it, and its name is free.
-- name: insert_unborn_repo
INSERT INTO repos (public_id, org_id, name, name_folded, default_branch, created_at, adopted_at, deleted_at, cleaned_at)
VALUES (:public_id, :org_id, :name, :name_folded, '', :created_at, :created_at, :created_at, :created_at)
RETURNING id;

-- name: bear_repo
UPDATE repos
SET deleted_at = NULL, cleaned_at = NULL, created_at = :created_at, default_branch = :default_branch,
    expires_at = :expires_at
WHERE id = :repo_id
    AND NOT EXISTS (SELECT 1 FROM repos AS r WHERE r.org_id = :org_id AND r.name = :name AND r.deleted_at IS NULL);
