-- The unique key decides which of two requests wrote. No row changes if another answer is still kept.
-- name: insert_kept_answer
INSERT INTO kept_answers (repo_id, idempotency_key, fingerprint, status, headers, body, created_at)
VALUES (:repo_id, :key, :fingerprint, :status, :headers, :body, :now)
ON CONFLICT (repo_id, idempotency_key) DO UPDATE
SET fingerprint = excluded.fingerprint, status = excluded.status, headers = excluded.headers,
    body = excluded.body, created_at = excluded.created_at
WHERE kept_answers.created_at <= :expired;

-- Keys belong to a living repository. A new repository with the name of a deleted one does not have its keys.
-- name: find_kept_answer
SELECT k.fingerprint, k.status, k.headers, k.body
FROM repos AS r JOIN kept_answers AS k ON k.repo_id = r.id
WHERE r.org_id = :org_id AND r.name = :name AND r.deleted_at IS NULL
    AND k.idempotency_key = :key AND k.created_at > :expired;

-- name: has_kept_answer
SELECT 1 FROM kept_answers WHERE repo_id = :repo_id AND idempotency_key = :key AND created_at > :expired;

-- name: delete_expired_answers
DELETE FROM kept_answers WHERE (repo_id, idempotency_key) IN (
    SELECT repo_id, idempotency_key FROM kept_answers
    WHERE created_at <= :expired
    ORDER BY created_at
    LIMIT :limit
);

-- name: delete_kept_answers_of_repo
DELETE FROM kept_answers WHERE repo_id = :repo_id;
