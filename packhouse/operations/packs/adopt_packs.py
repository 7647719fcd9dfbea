"""Taking packs in that lie in the store and that the database does not know."""

from packhouse.auth.principal import Principal
from packhouse.db.repos import RepoNotFound, find_repo
from packhouse.node.node import Node
from packhouse.repository.packs import adopt_unlisted


def adopt_packs(node: Node, caller: Principal, name: str) -> list[str]:
    """List the unlisted packs of a repository and return their names; raise RepoNotFound.

    For an operator who has restored the database from a backup: what was joined since then is in packs that the backup
    does not know.
    """
    with node.database.read() as session:
        repo = find_repo(session, caller.org_id, name)
    if repo is None:
        raise RepoNotFound(name)
    return adopt_unlisted(node, repo)
