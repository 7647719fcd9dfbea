"""Reading objects of one repository: libgit2 for short reads, `git cat-file` for what is large.

libgit2 holds the interpreter's lock and loads objects whole (629 MB for a blob of 300 MB), so nothing over
`limits.object_in_process_max_bytes` goes through it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pygit2
from pygit2.enums import ObjectType

from packhouse import limits
from packhouse.errors import Corrupt, NotFound
from packhouse.git.oid import Oid
from packhouse.git.process import iter_git_output

_KINDS: Final = {
    ObjectType.COMMIT: "commit",
    ObjectType.TREE: "tree",
    ObjectType.BLOB: "blob",
    ObjectType.TAG: "tag",
}

_PEEL_DEPTH_MAX: Final = 32  # tags of tags; git itself has no limit, a chain this long is an attack


def configure_libgit2() -> None:
    """Set libgit2's process-wide options; call once at start."""
    for option, value in (
        (pygit2.enums.Option.SET_MWINDOW_SIZE, 16 * limits.MIB),
        (pygit2.enums.Option.SET_MWINDOW_MAPPED_LIMIT, 64 * limits.MIB),
        (pygit2.enums.Option.SET_CACHE_MAX_SIZE, 32 * limits.MIB),
    ):
        pygit2.option(option, value)


class ObjectReader:
    """Reads objects of the repository in `git_dir`; for one thread at a time."""

    def __init__(self, git_dir: Path) -> None:
        self.git_dir = git_dir
        self._odb = pygit2.Odb(str(git_dir / "objects"))

    def kind_and_size(self, oid: Oid) -> tuple[str, int] | None:
        """Return kind (blob, tree, commit, tag) and size in bytes, or None when the repository lacks it."""
        try:
            kind, size = self._odb.read_header(oid)
        except KeyError:
            return None
        return _KINDS[kind], size

    def exists(self, oid: Oid) -> bool:
        """Tell whether the repository holds the object, reachable or not."""
        return oid in self._odb

    def read(self, oid: Oid, *, kind: str | None = None) -> tuple[str, bytes]:
        """Return kind and content of an object that fits in memory.

        Raises NotFound when it is absent or, with `kind`, of another kind, and Corrupt when it cannot be
        read. The caller has checked the size of blobs.
        """
        try:
            number, content = self._odb.read(oid)
        except KeyError:
            raise NotFound("object does not exist", oid=oid) from None
        except pygit2.GitError as error:
            raise Corrupt("object cannot be read", oid=oid, reason=str(error)) from error
        found = _KINDS[ObjectType(number)]
        if kind is not None and found != kind:
            raise NotFound("object has another kind", oid=oid, kind=found, expected=kind)
        return found, content

    def iter_blob(self, oid: Oid, size: int) -> Iterator[bytes]:
        """Yield a blob's content in pieces; a large one streams from a git process."""
        if size <= limits.object_in_process_max_bytes:
            yield self.read(oid, kind="blob")[1]
        else:
            yield from iter_git_output(
                self.git_dir, "cat-file", "blob", oid, timeout_s=limits.git_stall_max_s
            )

    def peel(self, oid: Oid) -> tuple[str, Oid]:
        """Return kind and id of what `oid` leads to once annotated tags are followed.

        Raises NotFound when an object of the chain is missing.
        """
        for _ in range(_PEEL_DEPTH_MAX):
            header = self.kind_and_size(oid)
            if header is None:
                raise NotFound("object does not exist", oid=oid)
            kind, _size = header
            if kind != "tag":
                return kind, oid
            oid = tag_target(self.read(oid)[1])
        raise NotFound("too many tags of tags", oid=oid)


def tag_target(content: bytes) -> Oid:
    """Return the id on the first line, `object <oid>`, of an annotated tag."""
    first_line = content.split(b"\n", 1)[0]
    if not first_line.startswith(b"object ") or len(first_line) != 47:
        raise Corrupt("annotated tag without a target")
    return Oid(first_line[7:].decode("ascii"))
