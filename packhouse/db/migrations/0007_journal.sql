-- Small packs as rows of the transaction that needs them. The table has row ids, since a table WITHOUT ROWID moves
-- nearly every pack into overflow pages. The pack comes last: a query for the other columns does not read it.
CREATE TABLE journal (
    id {row_number},
    repo_id integer NOT NULL REFERENCES repos (id),
    name {text} NOT NULL,
    size_bytes {bigint} NOT NULL,
    objects integer NOT NULL,
    created_at {bigint} NOT NULL,
    pack {blob} NOT NULL
) {strict};

-- It answers for the list of a repository's rows without the rows themselves.
CREATE INDEX journal_by_repo ON journal (repo_id, id, name, size_bytes, objects);

-- The rows of the repository in the journal, and their bytes. The ref transaction learns from them that it is full.
ALTER TABLE repos ADD COLUMN journal_rows integer NOT NULL DEFAULT 0;
ALTER TABLE repos ADD COLUMN journal_bytes {bigint} NOT NULL DEFAULT 0;

-- Who may rewrite the packs of a repository now. The transactions of its holder check the row.
CREATE TABLE maintenance_leases (
    repo_id integer NOT NULL REFERENCES repos (id),
    holder {text} NOT NULL,
    lease_until {bigint} NOT NULL,
    created_at {bigint} NOT NULL,
    PRIMARY KEY (repo_id)
) {strict_by_key};
