"""Reads objects of one repository by libgit2, for short reads.

libgit2 holds the interpreter's lock and loads objects whole (629 MB for a blob of 300 MB). So no object above
`limits.object_in_process_max_bytes` is read through it.
"""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Final

import pygit2
from pygit2.enums import ObjectType

from packhouse import limits
from packhouse.errors import Code, Corrupt, NotFound
from packhouse.git import Oid
from packhouse.git.objects.errors import ObjectCorrupt, TagWithoutTarget

_KINDS: Final = {
    ObjectType.COMMIT: "commit",
    ObjectType.TREE: "tree",
    ObjectType.BLOB: "blob",
    ObjectType.TAG: "tag",
}

# Errors of pygit2 for a pack that cannot be opened or an object that cannot be read. libgit2's error class decides.
_UNREADABLE: Final = (pygit2.GitError, OSError, ValueError)

_PEEL_DEPTH_MAX: Final = 32  # tags of tags; git has no limit, but a longer chain is an attack


class ObjectUnreadable(ObjectCorrupt):
    """The object exists and is damaged. `reason` is the message of libgit2 or git."""

    code = Code.OBJECT_UNREADABLE
    reason: str


class ObjectOfOtherKind(NotFound, kw_only=True):
    """The id names an object of another kind than asked for."""

    code = Code.OBJECT_OF_OTHER_KIND
    oid: Oid
    kind: str
    expected: str


class TagsTooDeep(NotFound):
    """The annotated tag leads through more tags than we follow."""

    code = Code.TAGS_TOO_DEEP
    oid: Oid


class ObjectFolderUnreadable(Corrupt):
    """The folder of a repository's objects cannot be opened. `reason` is libgit2's message."""

    code = Code.OBJECT_FOLDER_UNREADABLE
    reason: str


class ObjectMissing(NotFound):
    """The repository does not have the object."""

    code = Code.OBJECT_MISSING
    oid: Oid


def configure_libgit2() -> None:
    """Set libgit2's process-wide options. Call it once at start."""
    for option, value in (
        (pygit2.enums.Option.SET_MWINDOW_SIZE, 16 * limits.MIB),
        (pygit2.enums.Option.SET_MWINDOW_MAPPED_LIMIT, 64 * limits.MIB),
        (pygit2.enums.Option.SET_CACHE_MAX_SIZE, 32 * limits.MIB),
    ):
        pygit2.option(option, value)


class Objects(ABC):
    """Reads built on reading one object."""

    @abstractmethod
    def kind_and_size(self, oid: Oid) -> tuple[str, int] | None:
        """Return kind (blob, tree, commit, tag) and size in bytes; None if the repository lacks the object.

        Raises Corrupt if it cannot be read.
        """

    @abstractmethod
    def read(self, oid: Oid, *, kind: str | None = None) -> tuple[str, bytes]:
        """Return kind and content of an object that fits in memory. The caller has checked the size of blobs.

        Raises ObjectMissing if it is absent, NotFound if it has another kind than `kind`, and Corrupt if it cannot be
        read.
        """

    def read_header(self, oid: Oid) -> tuple[str, int]:
        """Return kind and size in bytes. Raises ObjectMissing if the object is absent, and Corrupt as above."""
        header = self.kind_and_size(oid)
        if header is None:
            raise ObjectMissing(oid)
        return header

    def peel(self, oid: Oid) -> tuple[str, Oid]:
        """Return kind and id of the object that `oid` names after all annotated tags are followed.

        Raises ObjectMissing if an object of the chain is missing.
        """
        for _ in range(_PEEL_DEPTH_MAX):
            kind, _size = self.read_header(oid)
            if kind != "tag":
                return kind, oid
            oid = tag_target(self.read(oid)[1])
        raise TagsTooDeep(oid)


class ObjectReader(Objects):
    """Reads the objects in `object_dir` and in the folder beneath it, if any. For one thread at a time."""

    def __init__(self, object_dir: Path, beneath: Path | None = None) -> None:
        """Open the folders. Raises Corrupt if that fails."""
        try:
            self._odb = pygit2.Odb(str(object_dir))
            if beneath is not None:
                self._odb.add_disk_alternate(str(beneath))
        except _UNREADABLE as error:
            raise ObjectFolderUnreadable(str(error)) from error

    def kind_and_size(self, oid: Oid) -> tuple[str, int] | None:
        """See above."""
        try:
            kind, size = self._odb.read_header(oid)
        except KeyError:
            return None
        except _UNREADABLE as error:
            raise ObjectUnreadable(oid=oid, reason=str(error)) from error
        return _KINDS[kind], size

    def read(self, oid: Oid, *, kind: str | None = None) -> tuple[str, bytes]:
        """See above."""
        try:
            number, content = self._odb.read(oid)
        except KeyError:
            raise ObjectMissing(oid) from None
        except _UNREADABLE as error:
            raise ObjectUnreadable(oid=oid, reason=str(error)) from error
        return check_kind(oid, _KINDS[ObjectType(number)], kind), content


def check_kind(oid: Oid, found: str, expected: str | None) -> str:
    """Return the kind that was found; raise ObjectOfOtherKind when another one is expected."""
    if expected is not None and found != expected:
        raise ObjectOfOtherKind(oid=oid, kind=found, expected=expected)
    return found


def tag_target(content: bytes) -> Oid:
    """Return the id in the first line of an annotated tag, `object <oid>`."""
    first_line = content.split(b"\n", 1)[0]
    if not first_line.startswith(b"object ") or len(first_line) != 47:
        raise TagWithoutTarget()
    return Oid(first_line[7:].decode("ascii"))
