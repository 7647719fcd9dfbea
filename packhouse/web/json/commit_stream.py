"""A commit stream: a metadata line opens a commit, and every later line holds a chunk of its content."""

from collections.abc import Callable
from dataclasses import dataclass

from packhouse.operations.commits.streamed_commit import StreamedCommit
from packhouse.web.json.ndjson import LineSplitter, MetadataMissing


@dataclass(frozen=True, slots=True)
class OpenedCommit:
    """A commit that the metadata line has opened. `add_line` gives the chunk of a later line to `commit`."""

    commit: StreamedCommit
    add_line: Callable[[bytes], None]


class CommitStream:
    """A parser that takes a commit stream piece by piece. `open_commit` gets the metadata line."""

    def __init__(self, open_commit: Callable[[bytes], OpenedCommit]) -> None:
        self._lines = LineSplitter()
        self._open_commit = open_commit
        self._opened: OpenedCommit | None = None

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body; raise Invalid for a line that is too long."""
        for line in self._lines.feed(data):
            self._take_line(line)

    def finish(self) -> StreamedCommit:
        """Take the end of the body and return the commit; raise Invalid for a body without a line."""
        for line in self._lines.finish():
            self._take_line(line)
        if self._opened is None:
            raise MetadataMissing()
        return self._opened.commit

    def close(self) -> None:
        """Remove everything that was not committed. A second call is harmless."""
        if self._opened is not None:
            self._opened.commit.close()

    def _take_line(self, line: bytes) -> None:
        if self._opened is None:
            self._opened = self._open_commit(line)
        else:
            self._opened.add_line(line)
