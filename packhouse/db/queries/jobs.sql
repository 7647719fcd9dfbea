-- An equal job that still waits will do this one's work; it only must not run later than this one would.
-- name: insert_job
INSERT INTO jobs (kind, key, repo_id, payload, priority, run_at, created_at)
VALUES (:kind, :key, :repo_id, :payload, :priority, :run_at, :now)
ON CONFLICT (kind, key) WHERE state = 'waiting'
DO UPDATE SET run_at = CASE WHEN excluded.run_at < jobs.run_at THEN excluded.run_at ELSE jobs.run_at END;
