"""A tree as an archive, streamed from the first file on."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from packhouse import limits
from packhouse.auth import Principal
from packhouse.db import Repo
from packhouse.errors import Code, Invalid
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

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_MAX_CHARS = 150
_LEAF_KINDS: Final = {MODE_EXECUTABLE: MemberKind.EXECUTABLE, MODE_SYMLINK: MemberKind.LINK}


class ArchivePrefixInvalid(Invalid):
    """The prefix would leave the folder that the archive is unpacked in. `prefix` is its start."""

    code = Code.ARCHIVE_PREFIX_INVALID
    prefix: str


@dataclass(frozen=True, slots=True)
class ArchiveOptions:
    """What goes in and how. `prefix` stands before every path and is empty or ends in a slash.

    `path` restricts to one file or folder, whose full path stays. `blob_max_bytes` leaves larger files out.
    """

    format: str = "tar.gz"
    path: bytes = b""
    files: PathFilter = field(default_factory=PathFilter)
    blob_max_bytes: int | None = None
    prefix: bytes = b""


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that is ready to be made: everything that can be refused has been looked at."""

    repo: Repo
    ref: str
    commit: Oid
    committed_at: int
    entries: Sequence[PathEntry]
    options: ArchiveOptions

    @property
    def file_name(self) -> str:
        """`<repo>-<ref>.<format>`, slashes and unsafe characters replaced by dashes."""
        return f"{safe_name(self.repo.name)}-{safe_name(self.ref)}.{self.options.format}"

    @property
    def media_type(self) -> str:
        """The media type of the format."""
        return FORMATS[self.options.format][1]


def safe_name(text: str) -> str:
    """Return `text` with everything but letters, digits, dots, dashes and underscores made a dash."""
    return _UNSAFE.sub("-", text)[:_NAME_MAX_CHARS].strip("-.") or "archive"


def check_prefix(text: str) -> bytes:
    """Return the prefix with a slash at its end; raise Invalid for one that leaves the archive's root."""
    if not text:
        return b""
    hostile = "\\" in text or text.startswith("/") or not text.isprintable()
    hostile = hostile or len(text) > limits.archive_prefix_max_chars
    segments = text.removesuffix("/").split("/")
    if hostile or any(segment in ("", ".", "..") for segment in segments):
        raise ArchivePrefixInvalid(text[:200])
    return text.removesuffix("/").encode("utf-8") + b"/"


def prepare_archive(
    node: Node, caller: Principal, name: str, ref: str | None, options: ArchiveOptions
) -> Archive:
    """Return the archive of a ref (None: the default branch), nothing read yet but trees.

    Raises RepoNotFound, RefNotFound, PathNotFound.
    """
    return prepare_archive_of(node, lookup_repo(node, caller, name), ref, options)


def prepare_archive_of(node: Node, repo: Repo, ref: str | None, options: ArchiveOptions) -> Archive:
    """As prepare_archive, for a repository that the caller may read."""
    with open_view(node, repo) as view:
        resolved = resolve_ref(view, ref)
        commit = parse_commit(view.read_kept(resolved.commit, "commit"))
        top = find_path(view.read_tree, commit.tree, options.path)
        if top is None:
            raise PathNotFound(options.path.decode("utf-8", "replace"))
        leaves = iter([top])
        if top.mode == MODE_TREE:
            leaves = iter_leaves(view.read_tree, top.oid, top.path, entries_max=node.limits.tree_entries_max)
        entries = [entry for entry in leaves if options.files.takes(entry.path)]
    return Archive(repo, resolved.name, resolved.commit, commit.committer.when, entries, options)


def iter_archive(node: Node, archive: Archive) -> Iterator[bytes]:
    """Yield the archive's bytes; packs stay in place and git runs until the iterator is closed.

    An object that cannot be read raises Corrupt in the middle: the bytes so far are no archive.
    """
    make, _media_type = FORMATS[archive.options.format]
    with contextlib.ExitStack() as stack:
        yield from make(_iter_members(node, archive, stack), archive.committed_at)


def _iter_members(node: Node, archive: Archive, stack: contextlib.ExitStack) -> Iterator[Member]:
    options = archive.options
    oids = [entry.oid for entry in archive.entries if entry.mode != MODE_GITLINK]
    if not archive.entries:
        return
    view = stack.enter_context(open_view(node, archive.repo))
    blobs = stack.enter_context(view.git.blobs(oids))
    for entry in archive.entries:
        name = options.prefix + entry.path
        if entry.mode == MODE_GITLINK:
            yield Member(name, MemberKind.FOLDER, 0, ())
            continue
        size_bytes = blobs.next_size()
        if options.blob_max_bytes is None or size_bytes <= options.blob_max_bytes:
            kind = _LEAF_KINDS.get(entry.mode, MemberKind.FILE)
            yield Member(name, kind, size_bytes, blobs.iter_pieces())
