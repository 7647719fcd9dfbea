-- name: get_ref
SELECT namespace, refname, oid, peeled_oid, created_at, updated_at, creation
FROM refs
WHERE repo_id = :repo_id AND namespace = :namespace AND refname = :refname;

-- name: list_refs
SELECT namespace, refname, oid, peeled_oid, created_at, updated_at, creation
FROM refs
WHERE repo_id = :repo_id AND namespace = :namespace
ORDER BY refname;

-- name: list_all_refs
SELECT namespace, refname, oid, peeled_oid, created_at, updated_at, creation
FROM refs
WHERE repo_id = :repo_id
ORDER BY namespace, refname;

-- Constants, not parameters, bound the names: otherwise the partial database index cannot serve this.
-- name: list_branches_page
SELECT namespace, refname, oid, peeled_oid, created_at, updated_at, creation
FROM refs
WHERE repo_id = :repo_id AND namespace = :namespace
    AND refname >= 'refs/heads/' AND refname < 'refs/heads0'
    AND (creation, refname) > (:after_creation, :after_name)
ORDER BY creation, refname
LIMIT :limit;

-- Run before the next query, which SQLite answers by reading every branch.
-- name: has_unnumbered_branches
SELECT 1 FROM refs
WHERE repo_id = :repo_id AND namespace = :namespace AND creation IS NULL
    AND refname >= 'refs/heads/' AND refname < 'refs/heads0'
ORDER BY creation, refname
LIMIT 1;

-- Branches that a server of the release before made while this release already ran. Their number comes from the ref
-- log, as in migration 4. A later release numbers them for good.
-- name: list_unnumbered_branches
SELECT namespace, refname, oid, peeled_oid, created_at, updated_at, number
FROM (
    SELECT f.*, 1048576 * COALESCE((
        SELECT made.refs_version FROM ref_log AS made
        WHERE made.repo_id = f.repo_id AND made.namespace = f.namespace AND made.refname = f.refname
            AND made.old_oid IS NULL AND made.created_at = f.created_at
        ORDER BY made.id DESC
        LIMIT 1
    ), 0) AS number
    FROM refs AS f
    WHERE f.repo_id = :repo_id AND f.namespace = :namespace AND f.creation IS NULL
        AND f.refname >= 'refs/heads/' AND f.refname < 'refs/heads0'
) AS unnumbered
WHERE (number, refname) > (:after_creation, :after_name)
ORDER BY number, refname
LIMIT :limit;

-- name: list_refs_page
SELECT namespace, refname, oid, peeled_oid, created_at, updated_at, creation
FROM refs
WHERE repo_id = :repo_id AND namespace = :namespace
    AND refname > :after AND refname >= :low AND refname < :high
ORDER BY refname
LIMIT :limit;

-- name: has_branches
SELECT 1 FROM refs
WHERE repo_id = :repo_id AND namespace = :namespace AND refname >= 'refs/heads/' AND refname < 'refs/heads0'
LIMIT 1;

-- The row lock makes ref transactions of one repository go one after another. Reads after it settle name conflicts,
-- a deletion of the repository and a change of the default branch.
-- name: begin_ref_transaction
UPDATE repos SET refs_version = refs_version + 1, refs_state = :state,
    packs_version = packs_version + :packs,
    packs_state = CASE WHEN :packs = 0 THEN packs_state ELSE :state END,
    journal_rows = journal_rows + :journal_rows, journal_bytes = journal_bytes + :journal_bytes
WHERE id = :repo_id AND deleted_at IS NULL
RETURNING refs_version, default_branch, journal_rows, journal_bytes;

-- name: list_ref_names_between
SELECT refname FROM refs
WHERE repo_id = :repo_id AND namespace = :namespace AND refname >= :low AND refname < :high
ORDER BY refname
LIMIT :limit;

-- name: insert_ref
INSERT INTO refs (repo_id, namespace, refname, oid, peeled_oid, created_at, updated_at, creation)
VALUES (:repo_id, :namespace, :refname, :new_oid, :peeled_oid, :now, :now, :creation)
ON CONFLICT (repo_id, namespace, refname) DO NOTHING;

-- name: update_ref
UPDATE refs SET oid = :new_oid, peeled_oid = :peeled_oid, updated_at = :now
WHERE repo_id = :repo_id AND namespace = :namespace AND refname = :refname AND oid = :old_oid;

-- name: delete_ref
DELETE FROM refs
WHERE repo_id = :repo_id AND namespace = :namespace AND refname = :refname AND oid = :old_oid;

-- name: insert_ref_log
INSERT INTO ref_log (repo_id, refs_version, namespace, refname, old_oid, new_oid, actor, action, created_at)
VALUES (:repo_id, :refs_version, :namespace, :refname, :old_oid, :new_oid, :actor, :action, :now);

-- name: list_ref_log
SELECT id, refs_version, namespace, refname, old_oid, new_oid, actor, action, created_at
FROM ref_log
WHERE repo_id = :repo_id AND id < :before
ORDER BY id DESC
LIMIT :limit;

-- name: list_ref_log_of_ref
SELECT id, refs_version, namespace, refname, old_oid, new_oid, actor, action, created_at
FROM ref_log
WHERE repo_id = :repo_id AND namespace = :namespace AND refname = :refname AND id < :before
ORDER BY id DESC
LIMIT :limit;
