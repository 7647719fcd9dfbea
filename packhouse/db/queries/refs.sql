-- name: get_ref
SELECT namespace, refname, oid, peeled_oid, created_at, updated_at
FROM refs
WHERE repo_id = :repo_id AND namespace = :namespace AND refname = :refname;

-- name: list_refs
SELECT namespace, refname, oid, peeled_oid, created_at, updated_at
FROM refs
WHERE repo_id = :repo_id AND namespace = :namespace
ORDER BY refname;

-- name: list_all_refs
SELECT namespace, refname, oid, peeled_oid, created_at, updated_at
FROM refs
WHERE repo_id = :repo_id
ORDER BY namespace, refname;

-- Constants, not parameters, bound the names: only so may the partial database index serve this.
-- name: list_branches_page
SELECT namespace, refname, oid, peeled_oid, created_at, updated_at
FROM refs
WHERE repo_id = :repo_id AND namespace = :namespace
    AND refname >= 'refs/heads/' AND refname < 'refs/heads0'
    AND (created_at, refname) > (:after_time, :after_name)
ORDER BY created_at, refname
LIMIT :limit;

-- name: list_refs_page
SELECT namespace, refname, oid, peeled_oid, created_at, updated_at
FROM refs
WHERE repo_id = :repo_id AND namespace = :namespace
    AND refname > :after AND refname >= :low AND refname < :high
ORDER BY refname
LIMIT :limit;

-- name: has_branches
SELECT 1 FROM refs
WHERE repo_id = :repo_id AND namespace = :namespace AND refname >= 'refs/heads/' AND refname < 'refs/heads0'
LIMIT 1;

-- The row lock taken here makes ref transactions of one repository go one after another: name conflicts,
-- deletion of the repository and changes of the default branch are settled by what is read after it.
-- name: begin_ref_transaction
UPDATE repos SET refs_version = refs_version + 1
WHERE id = :repo_id AND deleted_at IS NULL
RETURNING refs_version, default_branch;

-- name: list_ref_names_between
SELECT refname FROM refs
WHERE repo_id = :repo_id AND namespace = :namespace AND refname >= :low AND refname < :high
ORDER BY refname
LIMIT :limit;

-- name: insert_ref
INSERT INTO refs (repo_id, namespace, refname, oid, peeled_oid, created_at, updated_at)
VALUES (:repo_id, :namespace, :refname, :new_oid, :peeled_oid, :now, :now)
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
