"""Making one commit from a patch that arrives in pieces."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import Repo
from packhouse.errors import Code, Invalid, LimitExceeded
from packhouse.git import Oid
from packhouse.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.commits.add_commit import CommitFacts
from packhouse.operations.commits.commit_target import CommitTarget
from packhouse.operations.commits.streamed_commit import StreamedCommit
from packhouse.repository import PatchedFile, TreeMaker, apply_patch


class PatchChunkAfterLast(Invalid):
    """A chunk follows the last one of the patch, the one with `eof`."""

    code = Code.PATCH_CHUNK_AFTER_LAST


class PatchTooLarge(LimitExceeded):
    """The chunks of a patch are together larger than the bound."""

    code = Code.PATCH_TOO_LARGE
    max_bytes: int


class PatchUnfinished(Invalid):
    """The request ended before the last chunk of the patch."""

    code = Code.PATCH_UNFINISHED


class PatchEmpty(Invalid):
    """The request holds no byte of a patch."""

    code = Code.PATCH_EMPTY


@dataclass(frozen=True, slots=True)
class StartPatchCommit:
    """The branch for the patch. The patch follows."""

    repo: str
    target: CommitTarget
    facts: CommitFacts


class PendingPatchCommit(StreamedCommit):
    """A commit whose patch is still arriving. Close it in every case."""

    action = "diff-commit"

    def __init__(self, node: Node, caller: Principal, repo: Repo, command: StartPatchCommit) -> None:
        super().__init__(node, caller, repo, command.target, command.facts)
        self._patch = self._write.new_spill()
        self._file = self._patch.open()
        self._size_bytes = 0
        self._complete = False
        self._changed: list[PatchedFile] = []

    def close(self) -> None:
        """See StreamedCommit."""
        self._file.close()
        self._patch.discard()
        super().close()

    @property
    def blob_count(self) -> int:
        """The number of files whose content or mode the patch set. Read it after the commit."""
        return sum(file.mode is not None for file in self._changed)

    def add_chunk(self, data: bytes, *, eof: bool) -> None:
        """Append to the patch. Raises Invalid after its end, and LimitExceeded when it is too large."""
        if self._complete:
            raise PatchChunkAfterLast()
        self._size_bytes += len(data)
        if self._size_bytes > self._node.limits.patch_max_bytes:
            raise PatchTooLarge(self._node.limits.patch_max_bytes)
        self._file.write(data)
        self._complete = eof

    def _require_complete(self) -> None:
        if not self._complete:
            raise PatchUnfinished()
        if self._size_bytes == 0:
            raise PatchEmpty()
        self._file.flush()

    def _make_tree(self, maker: TreeMaker) -> Oid:
        tree, self._changed = apply_patch(self._write, self._patch, maker)
        return tree


def start_patch_commit(node: Node, caller: Principal, command: StartPatchCommit) -> PendingPatchCommit:
    """Begin a commit, and prepare for its patch; raise RepoNotFound, FirstSyncRunning."""
    return PendingPatchCommit(node, caller, lookup_repo(node, caller, command.repo), command)
