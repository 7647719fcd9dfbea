-- What writes with an Idempotency-Key were answered, each inserted by the transaction that wrote. Kept for a day.
-- fingerprint tells the request, by a hash; headers is a JSON array of pairs.
CREATE TABLE kept_answers (
    repo_id integer NOT NULL REFERENCES repos (id),
    idempotency_key {text} NOT NULL,
    fingerprint {text} NOT NULL,
    status integer NOT NULL,
    headers {text} NOT NULL,
    body {blob} NOT NULL,
    created_at {bigint} NOT NULL,
    PRIMARY KEY (repo_id, idempotency_key)
) {strict_by_key};

CREATE INDEX kept_answers_by_age ON kept_answers (created_at);
