-- name: insert_upstream
INSERT INTO upstreams (repo_id, provider, host, owner, name, auth_mode, state, created_at)
VALUES (:repo_id, :provider, :host, :owner, :name, :auth_mode, :state, :now);

-- name: find_upstream
SELECT repo_id, provider, host, owner, name, auth_mode, state, run_count, started_at, first_run_ended_at,
       synced_at, last_error, created_at
FROM upstreams WHERE repo_id = :repo_id;

-- name: mark_upstream_syncing
UPDATE upstreams SET state = 'syncing', started_at = :now WHERE repo_id = :repo_id;

-- A run that was detached meanwhile finds no row and changes nothing.
-- name: mark_upstream_synced
UPDATE upstreams
SET state = 'idle', run_count = run_count + 1, first_run_ended_at = COALESCE(first_run_ended_at, :now),
    synced_at = :now, last_error = ''
WHERE repo_id = :repo_id;

-- name: mark_upstream_failed
UPDATE upstreams
SET state = 'idle', run_count = run_count + 1, first_run_ended_at = COALESCE(first_run_ended_at, :now),
    last_error = :error
WHERE repo_id = :repo_id;

-- name: delete_upstream
DELETE FROM upstreams WHERE repo_id = :repo_id;
