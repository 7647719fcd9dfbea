-- name: insert_webhook
INSERT INTO webhooks (webhook_id, org_id, repo_id, url, events, sealed_secret, sealed_with, created_at)
VALUES (:webhook_id, :org_id, :repo_id, :url, :events, :sealed_secret, :sealed_with, :now)
RETURNING id;

-- name: count_webhooks
SELECT COUNT(*) FROM webhooks WHERE org_id = :org_id AND deleted_at IS NULL;

-- A repo_id of 0 returns all subscriptions of the organisation.
-- name: list_webhooks
SELECT w.id, w.webhook_id, w.repo_id, r.name, w.url, w.events, w.created_at, w.disabled_at
FROM webhooks AS w LEFT JOIN repos AS r ON r.id = w.repo_id
WHERE w.org_id = :org_id AND w.deleted_at IS NULL AND w.id > :after
    AND (:repo_id = 0 OR w.repo_id = :repo_id)
ORDER BY w.id
LIMIT :limit;

-- name: find_webhook
SELECT w.id, w.webhook_id, w.repo_id, r.name, w.url, w.events, w.created_at, w.disabled_at
FROM webhooks AS w LEFT JOIN repos AS r ON r.id = w.repo_id
WHERE w.webhook_id = :webhook_id AND w.org_id = :org_id AND w.deleted_at IS NULL;

-- name: delete_webhook
UPDATE webhooks SET deleted_at = :now WHERE id = :id AND deleted_at IS NULL;

-- name: disable_webhook
UPDATE webhooks SET disabled_at = :now WHERE id = :id AND disabled_at IS NULL;

-- name: delete_webhooks_of_repo
UPDATE webhooks SET deleted_at = :now WHERE org_id = :org_id AND repo_id = :repo_id AND deleted_at IS NULL;

-- name: list_subscribers
SELECT id, repo_id, events, created_at FROM webhooks
WHERE org_id = :org_id AND deleted_at IS NULL AND disabled_at IS NULL
ORDER BY id;

-- name: list_sealed_webhook_secrets
SELECT id, webhook_id, sealed_secret, sealed_with FROM webhooks
WHERE sealed_with <> :key_id AND id > :after ORDER BY id LIMIT :limit;

-- name: reseal_webhook_secret
UPDATE webhooks SET sealed_secret = :sealed_secret, sealed_with = :sealed_with
WHERE id = :id AND sealed_with = :old_key_id;

-- Subscriptions that have something to send and that no other living process serves. The walk goes from one
-- subscription
-- with pending deliveries to the next. Each step is one look-up, however many deliveries wait and however many
-- subscriptions have none.
-- name: list_ready_webhooks
WITH RECURSIVE waiting (id) AS (
    SELECT MIN(webhook_id) FROM deliveries WHERE state = 'pending'
    UNION ALL
    SELECT (SELECT MIN(d.webhook_id) FROM deliveries AS d WHERE d.state = 'pending' AND d.webhook_id > waiting.id)
    FROM waiting
    WHERE waiting.id IS NOT NULL
)
SELECT w.id, w.webhook_id, w.url, w.sealed_secret, w.sealed_with
FROM waiting JOIN webhooks AS w ON w.id = waiting.id
WHERE w.deleted_at IS NULL AND w.disabled_at IS NULL
    AND (w.leased_by IS NULL OR w.leased_by = :worker OR w.lease_until < :now)
    AND EXISTS (
        SELECT 1 FROM deliveries AS d
        WHERE d.webhook_id = w.id AND d.state = 'pending' AND d.next_attempt_at <= :now
    )
ORDER BY w.id;

-- name: lease_webhook
UPDATE webhooks SET leased_by = :worker, lease_until = :lease_until
WHERE id = :id AND deleted_at IS NULL AND disabled_at IS NULL
    AND (leased_by IS NULL OR leased_by = :worker OR lease_until < :now);

-- name: release_webhook
UPDATE webhooks SET leased_by = NULL, lease_until = NULL WHERE id = :id AND leased_by = :worker;
