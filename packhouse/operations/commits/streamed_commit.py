"""A commit whose content comes in pieces: files, or a patch."""

from abc import abstractmethod
from typing import ClassVar

from packhouse.auth import Principal
from packhouse.db import Repo
from packhouse.endings import Closing
from packhouse.git import Oid
from packhouse.node import Node
from packhouse.operations.commits.add_commit import AddCommit, CommitFacts, NewCommit, add_commit
from packhouse.operations.commits.commit_target import CommitTarget
from packhouse.repository import Receipt, RepoView, TreeMaker, Write


class StreamedCommit(Closing):
    """A commit being built: content comes in, then `commit` puts it on its branch.

    Leaving the `with` block removes everything that was not committed. `action` goes into the ref log.
    """

    action: ClassVar[str]

    def __init__(
        self, node: Node, caller: Principal, repo: Repo, target: CommitTarget, facts: CommitFacts
    ) -> None:
        self.target = target
        self._node = node
        self._caller = caller
        self._facts = facts
        self._view = RepoView(node, repo)
        self._write = Write(self._view)

    @property
    @abstractmethod
    def blob_count(self) -> int:
        """How many files the commit writes; known once it is committed."""

    def commit(self, *, receipt: Receipt[NewCommit] | None = None) -> NewCommit:
        """Commit; raises Invalid for missing content, and what add_commit raises."""
        self._require_complete()
        command = AddCommit(self._write, self.target, self._facts, self._make_tree, action=self.action)
        return add_commit(self._node, self._caller, command, receipt=receipt)

    def close(self) -> None:
        """Remove everything that was not committed. A second call is harmless."""
        self._write.discard()
        self._view.close()

    @abstractmethod
    def _require_complete(self) -> None:
        """Raise Invalid unless everything has come."""

    @abstractmethod
    def _make_tree(self, maker: TreeMaker) -> Oid:
        """Return the new tree for a parent's; called anew for each tip that is tried."""
