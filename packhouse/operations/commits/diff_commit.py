"""One commit from a patch."""

from packhouse import limits
from packhouse.auth.principal import Principal
from packhouse.db.repos import Repo
from packhouse.error_codes import Code
from packhouse.errors import Invalid, LimitExceeded
from packhouse.git.oid import Oid
from packhouse.node.node import Node
from packhouse.operations.commits.add_commit import CommitFacts
from packhouse.operations.commits.commit_target import CommitTarget
from packhouse.operations.commits.streamed_commit import StreamedCommit
from packhouse.repository.apply_patch import PatchedFile, apply_patch
from packhouse.repository.tree_maker import TreeMaker


class PatchChunkAfterLast(Invalid):
    """The patch has had its chunk with `eof`."""

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


class DiffCommit(StreamedCommit):
    """A commit being built from a patch, which comes in pieces."""

    action = "diff-commit"

    def __init__(
        self, node: Node, caller: Principal, repo: Repo, target: CommitTarget, facts: CommitFacts
    ) -> None:
        super().__init__(node, caller, repo, target, facts)
        self._patch = self._write.new_spill()
        self._file = self._patch.open()
        self._size_bytes = 0
        self._complete = False
        self._changed: list[PatchedFile] = []

    def discard(self) -> None:
        """See StreamedCommit."""
        self._file.close()
        self._patch.discard()
        super().discard()

    @property
    def blob_count(self) -> int:
        """The number of files whose content or mode the patch set; known once it is committed."""
        return sum(file.mode is not None for file in self._changed)

    def add_chunk(self, data: bytes, *, eof: bool) -> None:
        """Append to the patch; raise Invalid after its end and LimitExceeded when it grows too large."""
        if self._complete:
            raise PatchChunkAfterLast()
        self._size_bytes += len(data)
        if self._size_bytes > limits.patch_max_bytes:
            raise PatchTooLarge(limits.patch_max_bytes)
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
