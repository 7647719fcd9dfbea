-- name: insert_delivery
INSERT INTO deliveries (delivery_id, webhook_id, event_id, order_key, state, next_attempt_at, created_at)
VALUES (:delivery_id, :webhook_id, :event_id, :order_key, 'pending', :now, :now);

-- name: has_due_delivery
SELECT 1 FROM deliveries WHERE state = 'pending' AND next_attempt_at <= :now LIMIT 1;

-- Due deliveries, and those that later deliveries of their ref wait for.
-- name: list_pending_deliveries
SELECT d.id, d.delivery_id, d.order_key, d.attempts, d.next_attempt_at, e.kind, e.payload
FROM deliveries AS d JOIN events AS e ON e.id = d.event_id
WHERE d.webhook_id = :webhook_id AND d.state = 'pending'
    AND (d.next_attempt_at <= :now OR d.attempts < :in_order_attempts)
ORDER BY d.event_id
LIMIT :limit;

-- name: record_delivery_attempt
UPDATE deliveries SET state = :state, attempts = :attempts, next_attempt_at = :next_attempt_at, ended_at = :ended_at
WHERE id = :id AND state = 'pending';

-- name: insert_delivery_attempt
INSERT INTO delivery_attempts (delivery_id, attempt, status, error, response_start, duration_ms, created_at)
VALUES (:id, :attempts, :status, :error, :response_start, :duration_ms, :now);

-- name: fail_pending_deliveries
UPDATE deliveries SET state = 'failed', ended_at = :now WHERE webhook_id = :webhook_id AND state = 'pending';

-- name: list_deliveries
SELECT d.delivery_id, e.kind, e.refname, d.state, d.attempts, d.next_attempt_at, d.created_at, d.ended_at,
       a.status, a.error, a.response_start, a.duration_ms, a.created_at
FROM deliveries AS d
JOIN events AS e ON e.id = d.event_id
LEFT JOIN delivery_attempts AS a
    ON a.id = (SELECT MAX(l.id) FROM delivery_attempts AS l WHERE l.delivery_id = d.id)
WHERE d.webhook_id = :webhook_id
ORDER BY d.id DESC
LIMIT :limit;

-- name: find_delivery
SELECT d.id, w.webhook_id, w.disabled_at FROM deliveries AS d
JOIN webhooks AS w ON w.id = d.webhook_id
WHERE d.delivery_id = :delivery_id AND w.org_id = :org_id AND w.deleted_at IS NULL;

-- name: list_delivery_attempts
SELECT attempt, status, error, response_start, duration_ms, created_at
FROM delivery_attempts WHERE delivery_id = :id ORDER BY id LIMIT :limit;

-- name: restart_delivery
UPDATE deliveries SET state = 'pending', attempts = 0, next_attempt_at = :now, ended_at = NULL WHERE id = :id;

-- name: list_prunable_deliveries
SELECT id FROM deliveries WHERE ended_at < :before ORDER BY ended_at, id LIMIT :limit;

-- name: delete_delivery_attempts
DELETE FROM delivery_attempts WHERE delivery_id = :id;

-- name: delete_delivery
DELETE FROM deliveries WHERE id = :id AND ended_at IS NOT NULL;
