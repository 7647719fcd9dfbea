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
