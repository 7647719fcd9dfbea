-- name: delete_refs_page
DELETE FROM refs
WHERE repo_id = :repo_id AND (namespace, refname) IN (
    SELECT namespace, refname FROM refs WHERE repo_id = :repo_id ORDER BY namespace, refname LIMIT :limit
);

-- A late writer may have noted one more pack meanwhile. The sweeper deletes it like any pack that was never listed.
-- name: delete_packs_of_repo
DELETE FROM stored_packs WHERE repo_id = :repo_id AND state = 'deleting';

-- name: delete_upstream_of_repo
DELETE FROM upstreams WHERE repo_id = :repo_id;

-- name: delete_ref_log_page
DELETE FROM ref_log WHERE id IN (SELECT id FROM ref_log WHERE repo_id = :repo_id ORDER BY id LIMIT :limit);
