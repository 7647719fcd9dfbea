-- When an ephemeral repository deletes itself; NULL in all others. The database index holds only those that will.
ALTER TABLE repos ADD COLUMN expires_at {bigint};

CREATE INDEX repos_to_expire ON repos (expires_at, id) WHERE expires_at IS NOT NULL AND deleted_at IS NULL;

-- There are two priorities: 0, and -1 for work that nobody waits for. Workers ask for the due jobs of one priority, so
-- that any number of the others costs nothing.
UPDATE jobs SET priority = CASE WHEN kind = 'clean_repo' THEN -1 ELSE 0 END;

DROP INDEX jobs_by_time;
CREATE INDEX jobs_due ON jobs (priority, run_at, id) WHERE state = 'waiting';
