-- An equal job that still waits does the work of this one too. It only must not run later than this one would.
-- name: insert_job
INSERT INTO jobs (kind, key, repo_id, payload, priority, run_at, created_at)
VALUES (:kind, :key, :repo_id, :payload, :priority, :run_at, :now)
ON CONFLICT (kind, key) WHERE state = 'waiting'
DO UPDATE SET run_at = CASE WHEN excluded.run_at < jobs.run_at THEN excluded.run_at ELSE jobs.run_at END;

-- While a job runs, an equal one waits for its end: the running one may have read data older than the new cause.
-- name: list_due_jobs
SELECT j.id FROM jobs AS j
WHERE j.state = 'waiting' AND j.priority = :priority AND j.run_at <= :now
    AND NOT EXISTS (SELECT 1 FROM jobs AS r WHERE r.kind = j.kind AND r.key = j.key AND r.state = 'running')
ORDER BY j.run_at, j.id
LIMIT :limit;

-- name: list_abandoned_jobs
SELECT id FROM jobs
WHERE state = 'running' AND lease_until < :now AND priority = :priority
ORDER BY lease_until, id
LIMIT :limit;

-- name: claim_job
UPDATE jobs SET state = 'running', leased_by = :worker, lease_until = :lease_until, attempts = attempts + 1
WHERE id = :job_id
    AND (
        (state = 'running' AND lease_until < :now)
        OR (
            state = 'waiting'
            AND NOT EXISTS (
                SELECT 1 FROM jobs AS r WHERE r.kind = jobs.kind AND r.key = jobs.key AND r.state = 'running'
            )
        )
    )
RETURNING id, kind, key, repo_id, payload, attempts;

-- name: extend_job_lease
UPDATE jobs SET lease_until = :lease_until
WHERE id = :job_id AND leased_by = :worker AND attempts = :attempts AND state = 'running';

-- name: delete_finished_job
DELETE FROM jobs WHERE id = :job_id AND leased_by = :worker AND attempts = :attempts AND state = 'running';

-- name: delete_leased_job
DELETE FROM jobs WHERE id = :job_id AND leased_by = :worker AND attempts = :attempts AND state = 'running'
RETURNING kind, key, repo_id, payload, priority, created_at;

-- name: insert_job_again
INSERT INTO jobs (kind, key, repo_id, payload, priority, run_at, attempts, last_error, created_at)
VALUES (:kind, :key, :repo_id, :payload, :priority, :run_at, :attempts, :last_error, :created_at)
ON CONFLICT (kind, key) WHERE state = 'waiting'
DO UPDATE SET run_at = CASE WHEN excluded.run_at < jobs.run_at THEN excluded.run_at ELSE jobs.run_at END;

-- name: bury_job
UPDATE jobs SET state = 'dead', leased_by = NULL, lease_until = NULL, last_error = :last_error, ended_at = :now
WHERE id = :job_id AND leased_by = :worker AND attempts = :attempts AND state = 'running';

-- name: list_running_jobs
SELECT id, kind, key, repo_id, state, run_at, attempts, lease_until, last_error, created_at, ended_at
FROM jobs
WHERE state = 'running' AND lease_until > 0
ORDER BY lease_until, id
LIMIT :limit;

-- name: list_waiting_jobs
SELECT id, kind, key, repo_id, state, run_at, attempts, lease_until, last_error, created_at, ended_at
FROM jobs
WHERE state = 'waiting' AND priority = :priority AND run_at >= 0
ORDER BY run_at, id
LIMIT :limit;

-- name: list_dead_jobs
SELECT id, kind, key, repo_id, state, run_at, attempts, lease_until, last_error, created_at, ended_at
FROM jobs
WHERE state = 'dead' AND id > 0
ORDER BY id
LIMIT :limit;

-- name: delete_dead_job
DELETE FROM jobs WHERE id = :job_id AND state = 'dead'
RETURNING kind, key, repo_id, payload, priority, created_at;
