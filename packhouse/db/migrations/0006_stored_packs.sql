-- The list of packs is the truth about what a repository consists of, and each pack has a state. The table gets another
-- name, so that a server of a release that takes the folder for the truth fails rather than deletes or adopts packs.
ALTER TABLE packs RENAME TO stored_packs;

ALTER TABLE stored_packs ADD COLUMN state {text} NOT NULL DEFAULT 'live'
    CHECK (state IN ('incoming', 'live', 'retired', 'deleting'));

-- When the pack came into its state; by it the sweeper finds what is old enough.
ALTER TABLE stored_packs ADD COLUMN state_since {bigint} NOT NULL DEFAULT 0;

UPDATE stored_packs
SET state = CASE WHEN retired_at IS NULL THEN 'live' ELSE 'retired' END,
    state_since = COALESCE(retired_at, created_at);

ALTER TABLE stored_packs DROP COLUMN retired_at;

CREATE INDEX stored_packs_passing ON stored_packs (state, state_since, repo_id, name) WHERE state <> 'live';

-- refs_state and packs_state are random numbers written with each new refs_version and packs_version: after a
-- failover or a restore the versions come again, the pairs do not. packs_generation is the packs_state with which a pack
-- retired last. adopted_at is NULL while the folder of a repository of an earlier release has not been looked at.
ALTER TABLE repos ADD COLUMN refs_state {bigint} NOT NULL DEFAULT 0;
ALTER TABLE repos ADD COLUMN packs_version {bigint} NOT NULL DEFAULT 0;
ALTER TABLE repos ADD COLUMN packs_state {bigint} NOT NULL DEFAULT 0;
ALTER TABLE repos ADD COLUMN packs_generation {bigint} NOT NULL DEFAULT 0;
ALTER TABLE repos ADD COLUMN adopted_at {bigint};

-- When the packs of a deleted repository began to go. From then on it is not brought back.
ALTER TABLE repos ADD COLUMN cleaning_at {bigint};

CREATE INDEX repos_to_adopt ON repos (id) WHERE adopted_at IS NULL;
