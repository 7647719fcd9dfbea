"""Listing files and reading one: what an agent does most."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from packhouse import limits
from packhouse.auth import Principal
from packhouse.db import Repo
from packhouse.errors import Code, FieldMissing, NotFound
from packhouse.git import Oid
from packhouse.git.objects import (
    MODE_GITLINK,
    MODE_TREE,
    ObjectCorrupt,
    PathEntry,
    find_entry,
    find_path,
    iter_children,
    iter_leaves,
    parse_commit,
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


@dataclass(frozen=True, slots=True)
class FileListing:
    """One page of a listing; `ref` is the name to echo, `has_more` tells that entries follow the last one.

    `is_by_id` tells that the ref was a full id, so that the answer never changes.
    """

    ref: str
    commit: Oid
    entries: list[PathEntry]
    has_more: bool
    is_by_id: bool


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file at a commit: its blob, that blob's size in bytes, the commit that last touched the path, and when.

    Without a commit, behind a tag of a file's or folder's object, `last_commit` is None, and `touched_at` is the time
    of an annotated tag. `is_by_id` tells that the ref was a full id, so that the answer never changes. A small file's
    `content` was read on the way.
    """

    repo: Repo
    path: bytes
    blob: Oid
    size_bytes: int
    content: bytes | None
    last_commit: Oid | None
    touched_at: int | None
    is_by_id: bool


def list_files(
    node: Node,
    caller: Principal,
    name: str,
    *,
    ref: str | None,
    ephemeral: bool,
    path: bytes,
    recursive: bool,
    after: bytes,
    count_max: int | None,
) -> FileListing:
    """Return the entries below the folder `path` (empty: all), or the one file at it, after the path `after`.

    `count_max` None is the whole listing. Raises RepoNotFound, RefNotFound and PathNotFound.
    """
    with open_repo(node, caller, name, ref=ref, ephemeral=ephemeral) as view:
        resolved = resolve_ref(view, ref, ephemeral=ephemeral)
        root = parse_commit(view.read_kept(resolved.commit, "commit")).tree
        top = find_path(view.read_tree, root, path)
        if top is None:
            raise PathNotFound(path.decode("utf-8", "replace"))
        found: Iterator[PathEntry]
        if top.mode != MODE_TREE:
            found = iter([top] if top.path > after else [])
        elif recursive:
            found = iter_leaves(
                view.read_tree, top.oid, path, after=after, entries_max=node.limits.tree_entries_max
            )
        else:
            found = iter_children(view.read_tree, top.oid, path, after=after)
        entries = list(found if count_max is None else islice(found, count_max + 1))
    has_more = count_max is not None and len(entries) > count_max
    return FileListing(resolved.name, resolved.commit, entries[:count_max], has_more, resolved.is_by_id)


def find_file(
    node: Node, caller: Principal, name: str, *, ref: str | None, ephemeral: bool, path: bytes
) -> FileFacts:
    """Return the facts of a file or symlink; raise PathNotFound also for a folder and a submodule.

    A ref may also be a tag of a folder's object, in which `path` is looked up, or of a file's, which has no paths: the
    empty `path` is that file itself, and NotAFolder is raised for any other. Raises Invalid for an empty `path`
    elsewhere.
    """
    with open_repo(node, caller, name, ref=ref, ephemeral=ephemeral) as view:
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
    return FileFacts(
        view.repo, path, oid, size_bytes, content, last_commit.oid, touched_at, resolved.is_by_id
    )


def _find_content(view: RepoView, named: RefNamesNoCommit, path: bytes) -> FileFacts:
    """Return the facts of what a tag leads to that is no commit; an annotated one tells when it was made."""
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
    return FileFacts(view.repo, path, oid, size_bytes, content, None, tagged_at, is_by_id)


def _read_if_small(view: RepoView, blob: Oid) -> tuple[int, bytes | None]:
    """Return the size of a file in bytes, and its content unless it is better read in pieces, or not at all."""
    size_bytes = view.read_header(blob)[1]
    if size_bytes > limits.file_read_at_once_max_bytes:
        return size_bytes, None
    return size_bytes, _read_whole(view, blob, size_bytes)


def _read_whole(view: RepoView, blob: Oid, size_bytes: int) -> bytes:
    content = view.read(blob, kind="blob")[1]
    if len(content) != size_bytes:
        # An idx that leads to another place gives another header; contents are checked by their hash.
        raise BlobSizeWrong(blob)
    return content


def _require_path(path: bytes) -> None:
    if not path:
        raise FieldMissing("path")


def _find_blob(history: History, tree: Oid, path: bytes) -> Oid:
    mode, oid = find_entry(history.table, tree, path) or (MODE_TREE, None)
    if oid is None or mode in (MODE_TREE, MODE_GITLINK):
        raise PathNotFound(path.decode("utf-8", "replace"))
    return oid


def iter_file(node: Node, file: FileFacts, *, first: int, end: int) -> Iterator[bytes]:
    """Yield the bytes of a file from `first` up to, not including, `end`, in pieces.

    A large file comes from a git process; its packs stay in place until the iterator is closed.
    """
    content = file.content
    if content is None and file.size_bytes <= limits.object_in_process_max_bytes:
        with open_view(node, file.repo) as reader:
            content = _read_whole(reader, file.blob, file.size_bytes)
    if content is not None:
        yield content if (first, end) == (0, len(content)) else content[first:end]
        return
    position = 0
    with open_view(node, file.repo) as reader:
        for piece in reader.iter_blob(file.blob, file.size_bytes):
            wanted = piece[max(first - position, 0) : end - position]
            if wanted:
                yield wanted
            position += len(piece)
            if position >= end:
                return
