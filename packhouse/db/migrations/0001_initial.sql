-- The first schema. Words in braces stand for what the engines spell differently; see db/engines/schema.py.
-- {text} compares by bytes on both engines. Times are whole seconds since 1970, UTC.

CREATE TABLE orgs (
    id {serial},
    name {text} NOT NULL UNIQUE,
    created_at {bigint} NOT NULL
) {strict};

CREATE TABLE settings (
    name {text} PRIMARY KEY,
    value {text} NOT NULL,
    created_at {bigint} NOT NULL
) {strict_by_key};

INSERT INTO settings (name, value, created_at) VALUES ('keys_version', '1', 0);

CREATE TABLE keys (
    id {serial},
    key_id {text} NOT NULL UNIQUE,
    org_id integer NOT NULL REFERENCES orgs (id),
    public_pem {text} NOT NULL,
    kid {text} NOT NULL DEFAULT '',
    label {text} NOT NULL DEFAULT '',
    created_at {bigint} NOT NULL,
    revoked_at {bigint}
) {strict};

CREATE INDEX keys_by_org ON keys (org_id, id);

-- Whose OpenPGP and SSH signatures a ref policy with verify-sig believes. Apart from `keys`, which sign tokens.
CREATE TABLE signing_keys (
    id {serial},
    signing_key_id {text} NOT NULL UNIQUE,
    org_id integer NOT NULL REFERENCES orgs (id),
    kind {text} NOT NULL CHECK (kind IN ('openpgp', 'ssh')),
    public_key {text} NOT NULL,
    fingerprint {text} NOT NULL,
    label {text} NOT NULL DEFAULT '',
    created_at {bigint} NOT NULL,
    revoked_at {bigint}
) {strict};

CREATE INDEX signing_keys_by_org ON signing_keys (org_id, id);
CREATE UNIQUE INDEX signing_keys_active ON signing_keys (org_id, fingerprint) WHERE revoked_at IS NULL;

-- id is the `repository_id` of the API: positive, fits 31 bits, never given out twice.
-- deleted_at is set by a deletion, cleaned_at once the packs of a deleted repository are gone.
CREATE TABLE repos (
    id {serial},
    public_id {text} NOT NULL UNIQUE,
    org_id integer NOT NULL REFERENCES orgs (id),
    name {text} NOT NULL,
    name_folded {text} NOT NULL,
    default_branch {text} NOT NULL,
    refs_version {bigint} NOT NULL DEFAULT 0,
    created_at {bigint} NOT NULL,
    deleted_at {bigint},
    cleaned_at {bigint},
    CHECK (id BETWEEN 1 AND 2147483647),
    CHECK (cleaned_at IS NULL OR deleted_at IS NOT NULL)
) {strict};

CREATE UNIQUE INDEX repos_by_name ON repos (org_id, name) WHERE deleted_at IS NULL;
CREATE INDEX repos_by_creation ON repos (org_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX repos_to_clean ON repos (org_id, name) WHERE deleted_at IS NOT NULL AND cleaned_at IS NULL;

CREATE TABLE refs (
    repo_id integer NOT NULL REFERENCES repos (id),
    namespace {text} NOT NULL,
    refname {text} NOT NULL,
    oid {text} NOT NULL,
    peeled_oid {text},
    created_at {bigint} NOT NULL,
    updated_at {bigint} NOT NULL,
    PRIMARY KEY (repo_id, namespace, refname)
) {strict_by_key};

CREATE INDEX branches_by_creation ON refs (repo_id, namespace, created_at, refname)
    WHERE refname >= 'refs/heads/' AND refname < 'refs/heads0';

-- Append-only. refs_version tells which rows belong to one ref transaction.
CREATE TABLE ref_log (
    id {big_serial},
    repo_id integer NOT NULL REFERENCES repos (id),
    refs_version {bigint} NOT NULL,
    namespace {text} NOT NULL,
    refname {text} NOT NULL,
    old_oid {text},
    new_oid {text},
    actor {text} NOT NULL,
    action {text} NOT NULL,
    created_at {bigint} NOT NULL
) {strict};

CREATE INDEX ref_log_by_ref ON ref_log (repo_id, namespace, refname, id);
CREATE INDEX ref_log_by_repo ON ref_log (repo_id, id);

CREATE TABLE packs (
    repo_id integer NOT NULL REFERENCES repos (id),
    name {text} NOT NULL,
    size_bytes {bigint} NOT NULL,
    objects {bigint} NOT NULL,
    created_at {bigint} NOT NULL,
    retired_at {bigint},
    PRIMARY KEY (repo_id, name)
) {strict_by_key};

-- One row while a repository follows an upstream; detaching deletes it.
-- synced_at is the end of the last successful run; until first_run_ended_at is set, data calls must wait.
CREATE TABLE upstreams (
    repo_id integer PRIMARY KEY REFERENCES repos (id),
    provider {text} NOT NULL,
    host {text} NOT NULL DEFAULT '',
    owner {text} NOT NULL,
    name {text} NOT NULL,
    auth_mode {text} NOT NULL CHECK (auth_mode IN ('public', 'app', 'credential')),
    state {text} NOT NULL CHECK (state IN ('waiting', 'syncing', 'idle', 'detaching')),
    run_count {bigint} NOT NULL DEFAULT 0,
    started_at {bigint},
    first_run_ended_at {bigint},
    synced_at {bigint},
    last_error {text} NOT NULL DEFAULT '',
    created_at {bigint} NOT NULL
) {strict};

-- At most one per repository. The password is sealed with the key that sealed_with names.
CREATE TABLE git_credentials (
    id {serial},
    credential_id {text} NOT NULL UNIQUE,
    org_id integer NOT NULL REFERENCES orgs (id),
    repo_id integer NOT NULL UNIQUE REFERENCES repos (id),
    username {text} NOT NULL DEFAULT '',
    sealed_password {blob} NOT NULL,
    sealed_with {text} NOT NULL,
    created_at {bigint} NOT NULL,
    updated_at {bigint} NOT NULL
) {strict};

-- repo_id narrows a subscription to one repository. events is a JSON array of names, or ["*"].
CREATE TABLE webhooks (
    id {serial},
    webhook_id {text} NOT NULL UNIQUE,
    org_id integer NOT NULL REFERENCES orgs (id),
    repo_id integer REFERENCES repos (id),
    url {text} NOT NULL,
    events {text} NOT NULL,
    sealed_secret {blob} NOT NULL,
    sealed_with {text} NOT NULL,
    created_at {bigint} NOT NULL,
    disabled_at {bigint},
    deleted_at {bigint}
) {strict};

CREATE INDEX webhooks_by_org ON webhooks (org_id, id) WHERE deleted_at IS NULL;

-- What happened, in the order in which it happened to each repository; inserted by the transaction that did it.
CREATE TABLE events (
    id {big_serial},
    org_id integer NOT NULL REFERENCES orgs (id),
    repo_id integer NOT NULL REFERENCES repos (id),
    kind {text} NOT NULL,
    namespace {text} NOT NULL DEFAULT '',
    refname {text},
    payload {text} NOT NULL,
    created_at {bigint} NOT NULL
) {strict};

CREATE INDEX events_by_repo ON events (repo_id, id);
CREATE INDEX events_by_age ON events (created_at);

-- One event on its way to one subscription. Those of one order_key (repository and ref) go one after another.
CREATE TABLE deliveries (
    id {big_serial},
    delivery_id {text} NOT NULL UNIQUE,
    webhook_id integer NOT NULL REFERENCES webhooks (id),
    event_id {bigint} NOT NULL REFERENCES events (id),
    order_key {text} NOT NULL,
    state {text} NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at {bigint} NOT NULL,
    created_at {bigint} NOT NULL,
    ended_at {bigint}
) {strict};

CREATE INDEX deliveries_due ON deliveries (next_attempt_at, id) WHERE state = 'pending';
CREATE INDEX deliveries_in_order ON deliveries (webhook_id, order_key, id) WHERE state = 'pending';
CREATE INDEX deliveries_by_webhook ON deliveries (webhook_id, id);
CREATE INDEX deliveries_by_event ON deliveries (event_id);

CREATE TABLE delivery_attempts (
    id {big_serial},
    delivery_id {bigint} NOT NULL REFERENCES deliveries (id),
    attempt integer NOT NULL,
    status integer,
    error {text} NOT NULL DEFAULT '',
    response_start {blob},
    duration_ms {bigint} NOT NULL,
    created_at {bigint} NOT NULL
) {strict};

CREATE INDEX delivery_attempts_by_delivery ON delivery_attempts (delivery_id, id);

-- At-least-once work. Of one (kind, key) at most one job waits; one that already runs does not count, since
-- what it has read may be older than the new cause. Higher priorities go first.
CREATE TABLE jobs (
    id {big_serial},
    kind {text} NOT NULL,
    key {text} NOT NULL,
    repo_id integer REFERENCES repos (id),
    payload {text} NOT NULL,
    priority integer NOT NULL DEFAULT 0,
    state {text} NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'dead')),
    run_at {bigint} NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    leased_by {text},
    lease_until {bigint},
    last_error {text} NOT NULL DEFAULT '',
    created_at {bigint} NOT NULL,
    ended_at {bigint}
) {strict};

CREATE UNIQUE INDEX jobs_waiting_by_key ON jobs (kind, key) WHERE state = 'waiting';
CREATE INDEX jobs_due ON jobs (priority DESC, run_at, id) WHERE state = 'waiting';
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX jobs_dead ON jobs (id) WHERE state = 'dead';
