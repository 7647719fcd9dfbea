-- A pack that was retired and is written again is in use again: a new write relies on it.
-- name: insert_pack
INSERT INTO packs (repo_id, name, size_bytes, objects, created_at)
VALUES (:repo_id, :name, :size_bytes, :objects, :now)
ON CONFLICT (repo_id, name) DO UPDATE SET retired_at = NULL;

-- name: list_packs
SELECT name, size_bytes, objects, created_at, retired_at
FROM packs
WHERE repo_id = :repo_id AND retired_at IS NULL
ORDER BY created_at, name;

-- name: list_retired_packs
SELECT name, size_bytes, objects, created_at, retired_at
FROM packs
WHERE repo_id = :repo_id AND retired_at <= :retired_before
ORDER BY retired_at, name;

-- name: list_known_packs
SELECT name, size_bytes, objects, created_at, retired_at
FROM packs
WHERE repo_id = :repo_id
ORDER BY created_at, name;

-- name: retire_pack
UPDATE packs SET retired_at = :now WHERE repo_id = :repo_id AND name = :name AND retired_at IS NULL;

-- name: delete_pack
DELETE FROM packs WHERE repo_id = :repo_id AND name = :name AND retired_at IS NOT NULL;
