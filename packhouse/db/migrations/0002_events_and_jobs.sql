-- Events wait until they were handed to the subscriptions; a subscription is served by one process at a time.

ALTER TABLE events ADD COLUMN fan_out_pending integer NOT NULL DEFAULT 0;
CREATE INDEX events_to_fan_out ON events (id) WHERE fan_out_pending = 1;

-- The newest event of the repository that is no longer kept: a reader who stopped before it has missed some.
ALTER TABLE repos ADD COLUMN events_pruned_to {bigint} NOT NULL DEFAULT 0;

ALTER TABLE webhooks ADD COLUMN leased_by {text};
ALTER TABLE webhooks ADD COLUMN lease_until {bigint};

DROP INDEX deliveries_in_order;
CREATE INDEX deliveries_pending ON deliveries (webhook_id, event_id) WHERE state = 'pending';
CREATE INDEX deliveries_due_by_webhook ON deliveries (webhook_id, next_attempt_at) WHERE state = 'pending';
CREATE INDEX deliveries_ended ON deliveries (ended_at) WHERE ended_at IS NOT NULL;

CREATE INDEX jobs_running_by_key ON jobs (kind, key) WHERE state = 'running';

-- Most of what waits may be for later: look at what is due, then sort that by priority.
DROP INDEX jobs_due;
CREATE INDEX jobs_by_time ON jobs (run_at, id) WHERE state = 'waiting';
