"""git cat-file: blobs of any size in pieces, many blobs in a row, and objects that this process cannot read itself.

Source of the formats: git-cat-file(1), "Batch Output".
"""

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Final

from packhouse import limits
from packhouse.errors import Code
from packhouse.git import Oid
from packhouse.git.commands.environment import GitPlace
from packhouse.git.commands.process import spawn_git
from packhouse.git.commands.pump import Silence, pump
from packhouse.git.commands.run import Runner, iter_git_output, run_git
from packhouse.git.objects import ObjectCorrupt, ObjectMissing, Objects, ObjectUnreadable, check_kind

_HEADER_MAX_BYTES: Final = 200
_OIDS_AT_ONCE: Final = 1000
_REASON_MAX_BYTES: Final = 300


class BlobUnreadable(ObjectCorrupt):
    """Git finds no object of this id, or an object of another kind. `answer` is git's line about it."""

    code = Code.BLOB_UNREADABLE
    answer: str


class BlobEndsEarly(ObjectCorrupt):
    """Git wrote fewer bytes than it announced."""

    code = Code.BLOB_ENDS_EARLY


def iter_blob(runner: Runner, oid: Oid) -> Iterator[bytes]:
    """Yield the content of a blob that is too large for this process; closing the iterator ends git.

    Raises GitFailed when there is no such blob.
    """
    return iter_git_output(runner.place(), "cat-file", "blob", oid, timeout_s=limits.git_stall_max_s)


class BlobBatch:
    """Yields the blobs `oids` one after the other; leaving the `with` block ends git.

    For each blob call `next_size()` first, then `iter_pieces()`, which may be left out or ended early.
    """

    def __init__(self, runner: Runner, oids: Sequence[Oid]) -> None:
        self._git = spawn_git(runner.place(), "cat-file", "--batch", "--buffer", large_pipes=True)
        self._silence = Silence(self._git, limits.git_stall_max_s)
        self._output = pump(self._git, _iter_requests(oids), self._silence.time_left)
        self._unread = memoryview(b"")
        self._left = 0
        self._oids = iter(oids)
        self._oid = Oid("")

    def __enter__(self) -> "BlobBatch":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End git."""
        self._output.close()
        self._git.close()

    def next_size(self) -> int:
        """Go to the next blob and return its size in bytes; raise BlobUnreadable when the repository lacks it."""
        while self._left:
            self._take(self._left)
        self._oid = next(self._oids)
        fields = self._read_header().split()
        if len(fields) != 3 or fields[1] != b"blob":
            raise BlobUnreadable(oid=self._oid, answer=b" ".join(fields).decode("utf-8", "replace"))
        self._left = int(fields[2]) + 1  # a newline follows the content
        return int(fields[2])

    def iter_pieces(self) -> Iterator[bytes]:
        """Yield the content of the present blob in pieces of up to 1 MiB."""
        while self._left > 1:
            yield bytes(self._take(self._left - 1))

    def _take(self, max_bytes: int) -> memoryview:
        """Return the next bytes of the present blob: as many as have arrived, at most `max_bytes`."""
        if not self._unread and not self._fill():
            raise BlobEndsEarly(self._oid)
        taken, self._unread = self._unread[:max_bytes], self._unread[max_bytes:]
        self._left -= len(taken)
        return taken

    def _read_header(self) -> bytes:
        """Return the line before a blob; only its beginning if git ends within it."""
        line = b""
        while len(line) < _HEADER_MAX_BYTES and (self._unread or self._fill()):
            head, found, _ = bytes(self._unread[:_HEADER_MAX_BYTES]).partition(b"\n")
            self._unread = self._unread[len(head) + len(found) :]
            line += head
            if found:
                break
        return line

    def _fill(self) -> bool:
        """Wait for the next piece; False once git has closed its output. Its messages are dropped."""
        self._silence.end()
        for pipe, piece in self._output:
            if pipe is self._git.stdout:
                self._unread = memoryview(piece)
                return True
        return False


def open_blobs(runner: Runner, oids: Sequence[Oid]) -> BlobBatch:
    """Start reading blobs of any size. The caller uses the batch in a `with` block."""
    return BlobBatch(runner, oids)


def _iter_requests(oids: Sequence[Oid]) -> Iterator[bytes]:
    for start in range(0, len(oids), _OIDS_AT_ONCE):
        yield "".join(f"{oid}\n" for oid in oids[start : start + _OIDS_AT_ONCE]).encode("ascii")


class FreshReader(Objects):
    """Reads each object through a git process: slow, but independent of the packs that this process has opened.

    libgit2 shares an open pack between all readers of a process. So while one of them lives, the others do not see an
    idx that was made anew (libgit2 1.9, mwindow.c, git_mwindow_get_pack).
    """

    def __init__(self, place: GitPlace) -> None:
        self._place = place

    def kind_and_size(self, oid: Oid) -> tuple[str, int] | None:
        """See Objects."""
        found = self._ask("--batch-check", oid)
        return None if found is None else (found[0], found[1])

    def read(self, oid: Oid, *, kind: str | None = None) -> tuple[str, bytes]:
        """See Objects."""
        found = self._ask("--batch", oid)
        if found is None:
            raise ObjectMissing(oid)
        return check_kind(oid, found[0], kind), found[2]

    def _ask(self, option: str, oid: Oid) -> tuple[str, int, bytes] | None:
        answer = run_git(
            self._place,
            *("cat-file", option),
            stdin=f"{oid}\n".encode("ascii"),
            ok_codes=frozenset({0, 128}),
        )
        head, _, content = answer.stdout.partition(b"\n")
        fields = head.decode("ascii", "replace").split()
        if answer.code == 0 and len(fields) == 3:
            return fields[1], int(fields[2]), content[:-1]
        if answer.code != 0 or answer.stderr:
            reason = answer.stderr[:_REASON_MAX_BYTES].decode("utf-8", "replace")
            raise ObjectUnreadable(oid=oid, reason=reason)
        return None
