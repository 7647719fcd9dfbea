"""One commit from a patch."""

from types import TracebackType

from packhouse import limits
from packhouse.auth.principal import Principal
from packhouse.db.repos import Repo
from packhouse.errors import Invalid, LimitExceeded
from packhouse.git.oid import Oid
from packhouse.node.node import Node
from packhouse.operations.commits.add_commit import CommitFacts, CommitPlan, NewCommit, add_commit
from packhouse.operations.commits.commit_target import CommitTarget
from packhouse.repository.apply_patch import PatchedFile, apply_patch
from packhouse.repository.refs.receipts import Receipt
from packhouse.repository.tree_maker import TreeMaker
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write


class DiffCommit:
    """A commit being built: the patch comes in pieces, then `commit` applies it and commits.

    Leaving the `with` block removes everything that was not committed.
    """

    def __init__(
        self, node: Node, caller: Principal, repo: Repo, target: CommitTarget, facts: CommitFacts
    ) -> None:
        self._node = node
        self._caller = caller
        self._repo = repo
        self._target = target
        self._facts = facts
        self._view = RepoView(node, repo)
        self._write = Write(self._view)
        self._patch = self._write.new_spill()
        self._file = self._patch.open()
        self._size_bytes = 0
        self._complete = False
        self._changed: list[PatchedFile] = []

    def __enter__(self) -> "DiffCommit":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def discard(self) -> None:
        """Remove the patch. Harmless when done before."""
        self._file.close()
        self._patch.discard()
        self._write.discard()
        self._view.close()

    @property
    def blob_count(self) -> int:
        """The number of files whose content or mode the patch set; known once it is committed."""
        return sum(file.mode is not None for file in self._changed)

    def add_chunk(self, data: bytes, *, eof: bool) -> None:
        """Append to the patch; raise Invalid after its end and LimitExceeded when it grows too large."""
        if self._complete:
            raise Invalid("chunk after the last one of the patch")
        self._size_bytes += len(data)
        if self._size_bytes > limits.patch_max_bytes:
            raise LimitExceeded("patch is larger than this server accepts", max_bytes=limits.patch_max_bytes)
        self._file.write(data)
        self._complete = eof

    def commit(self, receipt: Receipt[NewCommit] | None = None) -> NewCommit:
        """Commit. Raises what apply_patch and add_commit raise, and Invalid for an empty patch."""
        if not self._complete:
            raise Invalid("patch is missing its last chunk (eof)")
        if self._size_bytes == 0:
            raise Invalid("patch is empty")
        self._file.flush()
        plan = CommitPlan(self._target, self._facts, self._make_tree, action="diff-commit")
        return add_commit(self._node, self._caller, plan, self._write, receipt)

    def _make_tree(self, maker: TreeMaker) -> Oid:
        tree, self._changed = apply_patch(self._write, self._patch, maker)
        return tree
