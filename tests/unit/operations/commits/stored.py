"""What repository `r` of a node in memory holds."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import Repo
from packhouse.git import PERSISTENT, Oid, branch_refname
from packhouse.git.objects import MODE_GITLINK, Commit, iter_leaves, parse_commit
from packhouse.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.refs.read_ref_log import ReadRefLog, RefMove, read_ref_log
from packhouse.repository import RepoView

FILES_MAX = 1000


@dataclass(frozen=True)
class Stored:
    """Looks at the repository as it is at each call."""

    node: Node
    caller: Principal

    @property
    def repo(self) -> Repo:
        """The repository."""
        return lookup_repo(self.node, self.caller, "r")

    def tip(self, branch: str = "main", *, namespace: str = PERSISTENT) -> Oid | None:
        """Return where a branch is; None when it does not exist."""
        with RepoView(self.node, self.repo) as view:
            ref = view.get_ref(namespace, branch_refname(branch))
        return None if ref is None else ref.oid

    def commit(self, oid: Oid) -> Commit:
        """Return a commit."""
        with RepoView(self.node, self.repo) as view:
            return parse_commit(view.read(oid, kind="commit")[1])

    def files(self, commit: Oid) -> dict[bytes, bytes]:
        """Return content by path; of a gitlink the id."""
        tree = self.commit(commit).tree
        with RepoView(self.node, self.repo) as view:
            return {
                leaf.path: leaf.oid.encode() if leaf.mode == MODE_GITLINK else view.read(leaf.oid)[1]
                for leaf in iter_leaves(view.read_tree, tree, entries_max=FILES_MAX)
            }

    def modes(self, commit: Oid) -> dict[bytes, int]:
        """Return mode by path."""
        tree = self.commit(commit).tree
        with RepoView(self.node, self.repo) as view:
            leaves = iter_leaves(view.read_tree, tree, entries_max=FILES_MAX)
            return {leaf.path: leaf.mode for leaf in leaves}

    def packs(self) -> list[str]:
        """Return the names of the packs in the store, in order."""
        return sorted(self.node.store.list_names(self.repo.public_id))

    def last_move(self) -> RefMove:
        """Return the newest entry of the ref log."""
        return read_ref_log(self.node, self.caller, ReadRefLog("r", count_max=1)).moves[0]

    def temporary_files(self) -> list[str]:
        """Return the names of the temporary files of unfinished writes."""
        folder = self.node.store.scratch_dir()
        return sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != "lock")
