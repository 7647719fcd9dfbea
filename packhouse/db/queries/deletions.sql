-- name: find_expired_repo
SELECT 1 FROM repos WHERE expires_at <= :now AND deleted_at IS NULL LIMIT 1;

-- The conditions stand twice. PostgreSQL looks at the outer ones again after it has waited for the lock of a row, so a
-- repository whose time was moved meanwhile stays.
-- name: mark_expired_deleted
UPDATE repos SET deleted_at = :now, refs_version = refs_version + 1, refs_state = :state
WHERE id IN (
    SELECT id FROM repos
    WHERE expires_at <= :now AND deleted_at IS NULL
    ORDER BY expires_at, id
    LIMIT :limit
) AND expires_at <= :now AND deleted_at IS NULL
RETURNING id, public_id, (SELECT o.name FROM orgs AS o WHERE o.id = repos.org_id), name;

-- Names are compared as bytes, so those with the prefix are one range of the database index on names.
-- name: mark_prefixed_deleted
UPDATE repos SET deleted_at = :now, refs_version = refs_version + 1, refs_state = :state
WHERE id IN (
    SELECT id FROM repos
    WHERE org_id = :org_id AND name >= :prefix AND name < :after AND deleted_at IS NULL
    ORDER BY name
    LIMIT :limit
) AND deleted_at IS NULL
RETURNING id, public_id, (SELECT o.name FROM orgs AS o WHERE o.id = repos.org_id), name;

-- name: count_prefixed_repos
SELECT count(*) FROM repos
WHERE org_id = :org_id AND name >= :prefix AND name < :after AND deleted_at IS NULL;

-- name: find_prefixed_repo
SELECT 1 FROM repos
WHERE org_id = :org_id AND name >= :prefix AND name < :after AND deleted_at IS NULL
LIMIT 1;
