"""Reading a file, the most frequent call."""

from collections.abc import Generator
from dataclasses import dataclass

from packhouse import limits
from packhouse.auth import Principal
from packhouse.db import Repo
from packhouse.errors import Code, NotFound
from packhouse.git import Oid
from packhouse.git.objects import (
    MODE_GITLINK,
    MODE_TREE,
    ObjectCorrupt,
    find_entry,
    parse_tag,
)
from packhouse.node import Node
from packhouse.operations.catalog.lookup import open_repo
from packhouse.repository import (
    History,
    PathNotFound,
    RefNamesNoCommit,
    RefNotFound,
    RepoView,
    open_view,
    read_last_commit,
    resolve_ref,
)


class BlobSizeWrong(ObjectCorrupt):
    """The content of the blob is longer or shorter than its header says."""

    code = Code.BLOB_SIZE_WRONG


class NotAFolder(NotFound):
    """The ref names the object of a file, so nothing is at the path."""

    code = Code.NOT_A_FOLDER
    ref: str
    path: bytes


class EmptyPath(PathNotFound):
    """The empty path names a file only where the ref names a file's object."""


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file at a commit: its blob, the blob's size in bytes, the commit that last touched the path, and its time.

    For a tag of a blob or tree, `last_commit` is None and `touched_at` is the time of an annotated tag. `is_by_id`: the
    ref was a full id, so the answer never changes. `content` is set for a small file, which is read while it is opened.
    """

    node: Node
    repo: Repo
    path: bytes
    blob: Oid
    size_bytes: int
    content: bytes | None
    last_commit: Oid | None
    touched_at: int | None
    is_by_id: bool

    def iter_bytes(self, *, first: int = 0, end: int | None = None) -> Generator[bytes]:
        """Yield the bytes from `first` up to `end`, which is not included (None: to the last byte), in pieces.

        A large file comes from a git process. Its packs stay in place until the generator is closed.
        """
        content, end = self.content, self.size_bytes if end is None else end
        if content is None and self.size_bytes <= limits.object_in_process_max_bytes:
            with open_view(self.node, self.repo) as view:
                content = _read_whole(view, self.blob, self.size_bytes)
        if content is not None:
            yield content if (first, end) == (0, len(content)) else content[first:end]
            return
        position = 0
        with open_view(self.node, self.repo) as view:
            for piece in view.iter_blob(self.blob, self.size_bytes):
                wanted = piece[max(first - position, 0) : end - position]
                if wanted:
                    yield wanted
                position += len(piece)
                if position >= end:
                    return


@dataclass(frozen=True, slots=True)
class OpenFile:
    """The file at `path` of a ref (None: the default branch).

    The ref may also be a tag of a tree, and then `path` is looked up in the tree. A tag of a blob has no paths: the
    empty `path` means the blob itself.
    """

    repo: str
    path: bytes
    ref: str | None = None
    ephemeral: bool = False


def open_file(node: Node, caller: Principal, command: OpenFile) -> OpenedFile:
    """Return a file or symlink, ready to be read.

    Raises RepoNotFound, RefNotFound, PathNotFound (also for a folder and a submodule), NotAFolder for a path in a blob,
    and EmptyPath for an empty path without a blob.
    """
    ref, ephemeral, path = command.ref, command.ephemeral, command.path
    with open_repo(node, caller, command.repo, ref=ref, ephemeral=ephemeral) as view:
        try:
            resolved = resolve_ref(view, ref, ephemeral=ephemeral)
        except RefNamesNoCommit as other:
            return _find_content(view, other, path)
        except RefNotFound:
            _require_path(path)
            raise
        _require_path(path)
        history = History(view)
        oid = _find_blob(history, history.links(resolved.commit).tree, path)
        last_commit = read_last_commit(view, resolved.commit, path)
        size_bytes, content = _read_if_small(view, oid)
    touched_at = last_commit.committed_at
    return OpenedFile(
        node, view.repo, path, oid, size_bytes, content, last_commit.oid, touched_at, resolved.is_by_id
    )


def _find_content(view: RepoView, named: RefNamesNoCommit, path: bytes) -> OpenedFile:
    """Return the file that a tag leads to without a commit. Only an annotated tag has a time."""
    if named.kind == "tree":
        _require_path(path)
        oid = _find_blob(History(view), named.target, path)
    elif path:
        raise NotAFolder(named.ref, path)
    else:
        oid = named.target
    tagged_at = None
    if named.named != named.target:
        tagger = parse_tag(view.read_kept(named.named, "tag")).tagger
        tagged_at = None if tagger is None else tagger.when
    is_by_id = named.ref.lower() == named.named
    size_bytes, content = _read_if_small(view, oid)
    return OpenedFile(view.node, view.repo, path, oid, size_bytes, content, None, tagged_at, is_by_id)


def _read_if_small(view: RepoView, blob: Oid) -> tuple[int, bytes | None]:
    """Return the size of a file in bytes, and its content if that is small enough to be read at once."""
    size_bytes = view.read_header(blob)[1]
    if size_bytes > limits.file_read_at_once_max_bytes:
        return size_bytes, None
    return size_bytes, _read_whole(view, blob, size_bytes)


def _read_whole(view: RepoView, blob: Oid, size_bytes: int) -> bytes:
    content = view.read(blob, kind="blob")[1]
    if len(content) != size_bytes:
        # A damaged idx may lead to another place and so to another header. Contents are checked by their hash.
        raise BlobSizeWrong(blob)
    return content


def _require_path(path: bytes) -> None:
    if not path:
        raise EmptyPath("")


def _find_blob(history: History, tree: Oid, path: bytes) -> Oid:
    mode, oid = find_entry(history.table, tree, path) or (MODE_TREE, None)
    if oid is None or mode in (MODE_TREE, MODE_GITLINK):
        raise PathNotFound(path.decode("utf-8", "replace"))
    return oid
