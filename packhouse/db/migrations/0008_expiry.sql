-- When an ephemeral repository deletes itself; NULL in all others. The database index holds only those that will.
ALTER TABLE repos ADD COLUMN expires_at {bigint};

CREATE INDEX repos_to_expire ON repos (expires_at, id) WHERE expires_at IS NOT NULL AND deleted_at IS NULL;
