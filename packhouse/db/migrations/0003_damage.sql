-- What was found damaged and is not mended yet: a listed pack that cannot be read ('' when it is not known which), and
-- the object that showed it ('' when the pack itself did).
CREATE TABLE damage (
    repo_id integer NOT NULL REFERENCES repos (id),
    pack {text} NOT NULL,
    oid {text} NOT NULL,
    reason {text} NOT NULL,
    created_at {bigint} NOT NULL,
    PRIMARY KEY (repo_id, pack, oid)
) {strict_by_key};
