-- name: insert_damage
INSERT INTO damage (repo_id, pack, oid, reason, created_at)
VALUES (:repo_id, :pack, :oid, :reason, :now)
ON CONFLICT (repo_id, pack, oid) DO NOTHING;

-- name: list_damage
SELECT orgs.name, repos.name, repos.public_id, damage.pack, damage.oid, damage.reason, damage.created_at
FROM damage
JOIN repos ON repos.id = damage.repo_id
JOIN orgs ON orgs.id = repos.org_id
WHERE damage.repo_id > 0 AND repos.deleted_at IS NULL
ORDER BY damage.repo_id, damage.pack, damage.oid
LIMIT :limit;

-- name: count_damaged_repos
SELECT count(DISTINCT damage.repo_id)
FROM damage
JOIN repos ON repos.id = damage.repo_id
WHERE damage.repo_id > 0 AND repos.deleted_at IS NULL;

-- name: list_damage_of_repo
SELECT pack, oid FROM damage WHERE repo_id = :repo_id ORDER BY pack, oid;

-- name: list_damaged_repo_ids
SELECT DISTINCT damage.repo_id, repos.public_id
FROM damage
JOIN repos ON repos.id = damage.repo_id
WHERE damage.repo_id > 0 AND repos.deleted_at IS NULL
ORDER BY damage.repo_id
LIMIT :limit;

-- name: count_damage_of_repo
SELECT count(*) FROM damage WHERE repo_id = :repo_id;

-- name: delete_damage
DELETE FROM damage WHERE repo_id = :repo_id AND pack = :pack AND oid = :oid;

-- name: delete_damage_of_repo
DELETE FROM damage WHERE repo_id = :repo_id;

-- name: list_repos_with_packs
SELECT repos.id, repos.public_id
FROM repos
WHERE repos.id > :after AND repos.deleted_at IS NULL
    AND EXISTS (SELECT 1 FROM stored_packs AS p WHERE p.repo_id = repos.id AND p.state = 'live')
ORDER BY repos.id
LIMIT :limit;
