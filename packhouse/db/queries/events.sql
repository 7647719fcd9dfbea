-- Decides here whether a subscription may want the event, so that organisations without subscriptions pay nothing.
-- name: insert_event
INSERT INTO events (org_id, repo_id, kind, namespace, refname, payload, created_at, fan_out_pending)
VALUES (
    :org_id, :repo_id, :kind, :namespace, :refname, :payload, :now,
    CASE WHEN EXISTS (
        SELECT 1 FROM webhooks AS w
        WHERE w.org_id = :org_id AND w.deleted_at IS NULL AND w.disabled_at IS NULL
    ) THEN 1 ELSE 0 END
);

-- Events of one repository get their ids in the order of their commits, because this locks its row.
-- name: lock_repo
UPDATE repos SET refs_version = refs_version WHERE id = :repo_id AND deleted_at IS NULL;

-- name: list_events_after
SELECT id, kind, payload FROM events
WHERE repo_id = :repo_id AND id > :after
ORDER BY id
LIMIT :limit;

-- `positions` is a JSON object from repository to the newest event that its reader knows. A subquery for each
-- repository keeps both engines at one step in the database index for each, whatever they guess of the numbers.
-- name: list_repos_with_news
SELECT n.repo_id FROM (
    SELECT CAST(p.key AS bigint) AS repo_id, CAST(CAST(p.value AS text) AS bigint) AS seen,
           (SELECT MAX(e.id) FROM events AS e WHERE e.repo_id = CAST(p.key AS bigint)) AS newest
    FROM json_each(:positions) AS p
) AS n
WHERE n.newest > n.seen
ORDER BY n.newest
LIMIT :limit;

-- name: list_repos_with_missed_events
SELECT n.repo_id FROM (
    SELECT CAST(p.key AS bigint) AS repo_id, CAST(CAST(p.value AS text) AS bigint) AS seen,
           (SELECT r.events_pruned_to FROM repos AS r WHERE r.id = CAST(p.key AS bigint) AND r.deleted_at IS NULL)
           AS pruned_to
    FROM json_each(:positions) AS p
) AS n
WHERE n.pruned_to IS NULL OR n.pruned_to > n.seen;

-- name: get_last_event_id
SELECT MAX(id) FROM events WHERE repo_id = :repo_id;

-- name: get_events_pruned_to
SELECT events_pruned_to FROM repos WHERE id = :repo_id;

-- name: list_events_to_fan_out
SELECT id, org_id, repo_id, kind, namespace, refname, created_at FROM events
WHERE fan_out_pending = 1 AND id > 0
ORDER BY id
LIMIT :limit;

-- name: mark_event_fanned_out
UPDATE events SET fan_out_pending = 0 WHERE id = :event_id AND fan_out_pending = 1;

-- name: list_prunable_events
SELECT e.id, e.repo_id FROM events AS e
WHERE e.created_at < :before AND e.fan_out_pending = 0
    AND NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.event_id = e.id)
ORDER BY e.created_at, e.id
LIMIT :limit;

-- name: delete_event
DELETE FROM events WHERE id = :event_id;

-- name: note_pruned_events
UPDATE repos SET events_pruned_to = :event_id WHERE id = :repo_id AND events_pruned_to < :event_id;
