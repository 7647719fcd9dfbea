"""Packing a tree into an archive, which is streamed from the first file on."""

import contextlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from packhouse.auth import Principal
from packhouse.db import Repo
from packhouse.formats import FORMATS, Member, MemberKind, PathFilter
from packhouse.git import Oid
from packhouse.git.objects import (
    MODE_EXECUTABLE,
    MODE_GITLINK,
    MODE_SYMLINK,
    MODE_TREE,
    PathEntry,
    find_path,
    iter_leaves,
    parse_commit,
)
from packhouse.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.repository import PathNotFound, open_view, resolve_ref

_LEAF_KINDS: Final = {MODE_EXECUTABLE: MemberKind.EXECUTABLE, MODE_SYMLINK: MemberKind.LINK}


@dataclass(frozen=True, slots=True)
class OpenArchive:
    """The tree of a ref (None: the default branch), and how to pack it. `format` is a key of FORMATS.

    `path` limits the archive to one file or folder, which keeps its full path. Files larger than `blob_max_bytes` are
    left out. `prefix` is put before every path; it must be a result of `archive_prefix`.
    """

    repo: str
    ref: str | None = None
    format: str = "tar.gz"
    path: bytes = b""
    files: PathFilter = field(default_factory=PathFilter)
    blob_max_bytes: int | None = None
    prefix: bytes = b""


@dataclass(frozen=True, slots=True)
class OpenedArchive:
    """An archive of a commit. `ref` is the name for the answer; `pieces` yields the bytes.

    No file is read before the first piece. From then on packs stay in place, and git runs until `pieces` is closed. An
    unreadable object raises Corrupt in the middle, and the archive is incomplete.
    """

    ref: str
    commit: Oid
    committed_at: int
    pieces: Generator[bytes]


def open_archive(node: Node, caller: Principal, command: OpenArchive) -> OpenedArchive:
    """Return the archive of a ref, after all checks that can refuse it.

    Raises RepoNotFound, RefNotFound, PathNotFound.
    """
    repo = lookup_repo(node, caller, command.repo)
    with open_view(node, repo) as view:
        resolved = resolve_ref(view, command.ref)
        commit = parse_commit(view.read_kept(resolved.commit, "commit"))
        top = find_path(view.read_tree, commit.tree, command.path)
        if top is None:
            raise PathNotFound(command.path.decode("utf-8", "replace"))
        leaves = iter([top])
        if top.mode == MODE_TREE:
            leaves = iter_leaves(view.read_tree, top.oid, top.path, entries_max=node.limits.tree_entries_max)
        entries = [entry for entry in leaves if command.files.takes(entry.path)]
    committed_at = commit.committer.when
    pieces = _iter_archive(node, repo, command, entries, committed_at=committed_at)
    return OpenedArchive(resolved.name, resolved.commit, committed_at, pieces)


def _iter_archive(
    node: Node, repo: Repo, command: OpenArchive, entries: Sequence[PathEntry], *, committed_at: int
) -> Generator[bytes]:
    make, _media_type = FORMATS[command.format]
    with contextlib.ExitStack() as stack:
        yield from make(_iter_members(node, repo, command, entries, stack), committed_at)


def _iter_members(
    node: Node, repo: Repo, command: OpenArchive, entries: Sequence[PathEntry], stack: contextlib.ExitStack
) -> Iterator[Member]:
    oids = [entry.oid for entry in entries if entry.mode != MODE_GITLINK]
    if not entries:
        return
    view = stack.enter_context(open_view(node, repo))
    blobs = stack.enter_context(view.git.blobs(oids))
    for entry in entries:
        name = command.prefix + entry.path
        if entry.mode == MODE_GITLINK:
            yield Member(name, MemberKind.FOLDER, 0, ())
            continue
        size_bytes = blobs.next_size()
        if command.blob_max_bytes is None or size_bytes <= command.blob_max_bytes:
            kind = _LEAF_KINDS.get(entry.mode, MemberKind.FILE)
            yield Member(name, kind, size_bytes, blobs.iter_pieces())
