-- Where a ref stands in the order of creation of its repository: the refs_version of the transaction that made it,
-- times 2^20, plus its place in that transaction. Seconds are too coarse for it, and no clock is told when a
-- transaction commits; the row lock that refs_version is taken under makes later commits have higher numbers.
-- NULL is what a server of the release before inserts; its number is in the ref log.
ALTER TABLE refs ADD COLUMN creation {bigint};

UPDATE refs SET creation = 1048576 * COALESCE((
    SELECT made.refs_version FROM ref_log AS made
    WHERE made.repo_id = refs.repo_id AND made.namespace = refs.namespace AND made.refname = refs.refname
        AND made.old_oid IS NULL AND made.created_at = refs.created_at
    ORDER BY made.id DESC
    LIMIT 1
), 0);

DROP INDEX branches_by_creation;

CREATE INDEX branches_in_order ON refs (repo_id, namespace, creation, refname)
    WHERE refname >= 'refs/heads/' AND refname < 'refs/heads0';
