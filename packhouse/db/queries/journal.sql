-- name: insert_journal_row
INSERT INTO journal (repo_id, name, size_bytes, objects, created_at, pack)
VALUES (:repo_id, :name, :size_bytes, :objects, :now, :pack);

-- name: list_journal_packs
SELECT id, name, pack FROM journal WHERE repo_id = :repo_id AND id BETWEEN :first AND :last ORDER BY id;

-- Dropping rows changes what the refs lead through, and adding a pack changes the list of stored packs.
-- name: note_flushed_rows
UPDATE repos SET packs_version = packs_version + 1, packs_state = :state,
    refs_version = refs_version + 1, refs_state = :state,
    journal_rows = journal_rows - :journal_rows, journal_bytes = journal_bytes - :journal_bytes
WHERE id = :repo_id AND cleaning_at IS NULL AND cleaned_at IS NULL;

-- name: delete_journal_row
DELETE FROM journal WHERE repo_id = :repo_id AND id = :id AND name = :name;

-- name: delete_journal_page
DELETE FROM journal WHERE id IN (SELECT id FROM journal WHERE repo_id = :repo_id ORDER BY id LIMIT :limit);

-- name: measure_journal
SELECT count(*), COALESCE(SUM(size_bytes), 0) FROM journal;

-- The largest journals come first, and of equal ones the oldest.
-- name: list_journals
SELECT r.id, r.public_id, j.row_count, j.total_bytes
FROM (
    SELECT repo_id, count(*) AS row_count, SUM(size_bytes) AS total_bytes, MIN(id) AS oldest
    FROM journal GROUP BY repo_id
) AS j JOIN repos AS r ON r.id = j.repo_id
WHERE r.cleaning_at IS NULL AND (j.row_count >= :rows_min OR j.total_bytes >= :bytes_min)
ORDER BY j.total_bytes DESC, j.oldest
LIMIT :limit;

-- name: take_maintenance_lease
INSERT INTO maintenance_leases (repo_id, holder, lease_until, created_at)
VALUES (:repo_id, :holder, :lease_until, :now)
ON CONFLICT (repo_id) DO UPDATE
SET holder = excluded.holder, lease_until = excluded.lease_until, created_at = excluded.created_at
WHERE maintenance_leases.lease_until < :now;

-- name: extend_maintenance_lease
UPDATE maintenance_leases SET lease_until = :lease_until WHERE repo_id = :repo_id AND holder = :holder;

-- name: release_maintenance_lease
DELETE FROM maintenance_leases WHERE repo_id = :repo_id AND holder = :holder;

-- name: list_repos_with_journal
SELECT r.id, r.public_id FROM repos AS r
WHERE r.id > :after AND r.cleaning_at IS NULL AND r.journal_rows >= :rows_min
    AND EXISTS (SELECT 1 FROM journal AS j WHERE j.repo_id = r.id)
ORDER BY r.id
LIMIT :limit;

-- The release before does not read the journal. It may run again while the journal is empty.
-- name: allow_release_without_journal
UPDATE settings SET value = :release
WHERE name = 'lowest_release' AND CAST(value AS integer) = :own AND NOT EXISTS (SELECT 1 FROM journal);
