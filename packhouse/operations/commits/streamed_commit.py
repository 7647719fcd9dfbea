"""A commit whose content arrives in pieces: files, or a patch."""

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
    """A commit that is being built: content arrives, then `commit` puts it on its branch.

    Leaving the `with` block removes objects that were not committed. `action` goes into the ref log.
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
        """The number of files that the commit writes. Read it after the commit."""

    def commit(self, *, receipt: Receipt[NewCommit] | None = None) -> NewCommit:
        """Commit. Raises Invalid for missing content, and the errors of add_commit."""
        self._require_complete()
        command = AddCommit(self._write, self.target, self._facts, self._make_tree, action=self.action)
        return add_commit(self._node, self._caller, command, receipt=receipt)

    def close(self) -> None:
        """Remove objects that were not committed. A second call is harmless."""
        self._write.discard()
        self._view.close()

    @abstractmethod
    def _require_complete(self) -> None:
        """Raise Invalid unless all content has arrived."""

    @abstractmethod
    def _make_tree(self, maker: TreeMaker) -> Oid:
        """Return the new tree for a parent's tree. Called again for each tip that is tried."""
