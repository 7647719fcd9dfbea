"""Reading many blobs in a row from one `git cat-file --batch`, whatever their sizes."""

import io
import threading
from collections.abc import Iterator, Sequence
from types import TracebackType

from packhouse import limits
from packhouse.error_codes import Code
from packhouse.git.commands.environment import GitPlace
from packhouse.git.commands.process import spawn_git
from packhouse.git.objects.errors import ObjectCorrupt
from packhouse.git.oid import ZERO_OID, Oid

_PIECE_BYTES = limits.MIB


class BlobUnreadable(ObjectCorrupt):
    """Git does not find the object, or finds another kind. `answer` is its line."""

    code = Code.BLOB_UNREADABLE
    answer: str


class BlobEndsEarly(ObjectCorrupt):
    """Git wrote fewer bytes than it announced."""

    code = Code.BLOB_ENDS_EARLY


class BlobBatch:
    """Gives the blobs `oids` one after the other; leaving the `with` block ends git.

    For each, `next_size()` comes first, then `iter_pieces()`, which may be left out or broken off.
    Source: git-cat-file(1), "Batch Output".
    """

    def __init__(self, place: GitPlace, oids: Sequence[Oid]) -> None:
        self._git = spawn_git(place, "cat-file", "--batch", "--buffer", large_pipes=True)
        self._output = io.BufferedReader(self._git.stdout, _PIECE_BYTES)  # type: ignore[type-var]  # a raw pipe
        self._left = 0
        self._oids = iter(oids)
        self._oid = ZERO_OID
        self._feeder = threading.Thread(target=self._feed, args=(oids,), name="blob-batch", daemon=True)
        self._feeder.start()

    def __enter__(self) -> "BlobBatch":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End git and the thread that feeds it."""
        self._git.kill()
        self._feeder.join()
        self._git.close()

    def next_size(self) -> int:
        """Go to the next blob and return its size in bytes; raise Corrupt when the repository lacks it."""
        self._skip()
        self._oid = next(self._oids)
        fields = self._output.readline(200).split()
        if len(fields) != 3 or fields[1] != b"blob":
            answer = b" ".join(fields).decode("utf-8", "replace")
            raise BlobUnreadable(oid=self._oid, answer=answer)
        self._left = int(fields[2]) + 1  # a newline follows the content
        return int(fields[2])

    def iter_pieces(self) -> Iterator[bytes]:
        """Yield the content of the present blob in pieces of up to 1 MiB."""
        while self._left > 1:
            piece = self._output.read(min(self._left - 1, _PIECE_BYTES))
            if not piece:
                raise BlobEndsEarly(self._oid)
            self._left -= len(piece)
            yield piece

    def _skip(self) -> None:
        while self._left:
            skipped = len(self._output.read(min(self._left, _PIECE_BYTES)))
            if not skipped:
                raise BlobEndsEarly(self._oid)
            self._left -= skipped

    def _feed(self, oids: Sequence[Oid]) -> None:
        try:
            for start in range(0, len(oids), 1000):
                lines = "".join(f"{oid}\n" for oid in oids[start : start + 1000]).encode("ascii")
                while lines:
                    lines = lines[self._git.stdin.write(lines) :]
            self._git.stdin.close()
        except (BrokenPipeError, ValueError):  # git was ended, its pipe closed: nobody reads on
            return
