-- The row comes before the file: a writer inserts it as incoming, then stores the pack.
-- name: insert_incoming_pack
INSERT INTO stored_packs (repo_id, name, size_bytes, objects, state, created_at, state_since)
VALUES (:repo_id, :name, :size_bytes, :objects, 'incoming', :now, :now);

-- name: find_pack_state
SELECT state FROM stored_packs WHERE repo_id = :repo_id AND name = :name;

-- name: make_pack_live
UPDATE stored_packs SET state = 'live', state_since = :now, size_bytes = :size_bytes, objects = :objects
WHERE repo_id = :repo_id AND name = :name AND state = 'incoming';

-- name: retire_pack
UPDATE stored_packs SET state = 'retired', state_since = :now
WHERE repo_id = :repo_id AND name = :name AND state = 'live';

-- name: note_new_packs
UPDATE repos SET packs_version = packs_version + 1, packs_state = :state
WHERE id = :repo_id AND deleted_at IS NULL;

-- name: note_retired_packs
UPDATE repos SET packs_version = packs_version + 1, packs_state = :state, packs_generation = :state
WHERE id = :repo_id AND deleted_at IS NULL;

-- Each row has the versions, so that it belongs to the list. A repository without packs is one row. The rows of the
-- journal have an id and come last, oldest first.
-- name: list_packs
SELECT r.packs_version, r.packs_state, r.packs_generation, r.refs_version, r.refs_state, r.adopted_at, r.deleted_at,
       p.id, p.name, p.size_bytes, p.objects
FROM repos AS r
LEFT JOIN (
    SELECT repo_id, 0 AS id, name, size_bytes, objects, created_at
    FROM stored_packs WHERE repo_id = :repo_id AND state = 'live'
    UNION ALL
    SELECT repo_id, id, name, size_bytes, objects, 0 FROM journal WHERE repo_id = :repo_id
) AS p ON p.repo_id = r.id
WHERE r.id = :repo_id
ORDER BY p.id, p.created_at, p.name;

-- name: find_packs_version
SELECT packs_version, packs_state, refs_version, refs_state, deleted_at FROM repos WHERE id = :repo_id;

-- name: list_known_packs
SELECT name, state FROM stored_packs WHERE repo_id = :repo_id ORDER BY name;

-- name: list_passing_packs
SELECT r.id, r.public_id, p.name, p.state_since
FROM stored_packs AS p JOIN repos AS r ON r.id = p.repo_id
WHERE p.state = :state AND p.state_since <= :before AND p.state <> 'live'
AND (p.state_since, p.repo_id, p.name) > (:after_since, :after_repo, :after_name)
ORDER BY p.state_since, p.repo_id, p.name
LIMIT :limit;

-- Only if it still is in the state and since the time in which it was found: it may have become live meanwhile.
-- name: start_deleting_pack
UPDATE stored_packs SET state = 'deleting', state_since = :now
WHERE repo_id = :repo_id AND name = :name AND state = :state AND state_since <= :before;

-- name: delete_pack_row
DELETE FROM stored_packs WHERE repo_id = :repo_id AND name = :name AND state = 'deleting';

-- name: start_deleting_packs_of_repo
UPDATE stored_packs SET state = 'deleting', state_since = :now WHERE repo_id = :repo_id AND state <> 'deleting';

-- name: list_repos_to_adopt
SELECT id, public_id FROM repos WHERE adopted_at IS NULL AND id > :after ORDER BY id LIMIT :limit;

-- name: adopt_pack
INSERT INTO stored_packs (repo_id, name, size_bytes, objects, state, created_at, state_since)
VALUES (:repo_id, :name, :size_bytes, :objects, 'live', :now, :now)
ON CONFLICT (repo_id, name) DO NOTHING;

-- name: mark_adopted
UPDATE repos
SET adopted_at = :now, packs_version = packs_version + 1, packs_state = :state, packs_generation = :state
WHERE id = :repo_id AND adopted_at IS NULL;
