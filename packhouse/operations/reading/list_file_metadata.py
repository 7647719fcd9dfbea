"""Listing files with their sizes and the commits that last touched them."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.errors import Code, LimitExceeded
from packhouse.git import Oid
from packhouse.git.objects import MODE_TREE, CommitSummary, find_path, parse_links, parse_summary
from packhouse.node import FileMap, FileRecord, HistoryBeingRead, Node
from packhouse.operations.catalog.lookup import open_repo
from packhouse.repository import (
    PathNotFound,
    RepoView,
    ResolvedRef,
    find_file_map,
    read_file_map,
    resolve_ref,
)


class MessagesTooLong(LimitExceeded):
    """The messages of one listing are too large. Ask for pages."""

    code = Code.MESSAGES_TOO_LONG
    max_bytes: int


class LastCommitsUnknown(HistoryBeingRead):
    """The last commits of this commit's files are not known yet. Ask again with `may_compute`."""


@dataclass(frozen=True, slots=True)
class FileMetadataPage:
    """Files in git's order, and each commit that a file names. `ref` is the name for the answer.

    `paths` has the bytes of the files' paths in the same order. `last_path` is the end of the page, None on the last
    page. `is_by_id`: the ref was a full id, so the answer never changes.
    """

    ref: str
    paths: list[bytes]
    files: list[FileRecord]
    commits: dict[Oid, CommitSummary]
    last_path: bytes | None
    is_by_id: bool


@dataclass(frozen=True, slots=True)
class ListFileMetadata:
    """The files below the folder `path` (empty: all), or the one file at `path`, in git's order.

    The page starts after the path `after` and has at most `count_max` files; None means the whole listing. Without
    `may_compute`, the operation does not walk history, and answers only if the last commits are known already.
    """

    repo: str
    ref: str | None = None
    ephemeral: bool = False
    path: bytes = b""
    after: bytes = b""
    count_max: int | None = None
    may_compute: bool = True


def list_file_metadata(node: Node, caller: Principal, command: ListFileMetadata) -> FileMetadataPage:
    """Return one page of files with their last commits.

    Raises RepoNotFound, RefNotFound, PathNotFound, LastCommitsUnknown, and MessagesTooLong when the commits of a whole
    listing are too large.
    """
    ref, ephemeral = command.ref, command.ephemeral
    with open_repo(node, caller, command.repo, ref=ref, ephemeral=ephemeral) as view:
        resolved = resolve_ref(view, ref, ephemeral=ephemeral)
        tree = parse_links(view.read_kept(resolved.commit, "commit")).tree
        top = find_path(view.read_tree, tree, command.path)
        if top is None:
            raise PathNotFound(command.path.decode("utf-8", "replace"))
        found = find_file_map(view, resolved.commit)
        if found is None:
            if not command.may_compute:
                raise LastCommitsUnknown(1)
            found = read_file_map(view, resolved.commit)
        return _make_page(view, found, command, resolved, is_folder=top.mode == MODE_TREE)


def _make_page(
    view: RepoView, found: FileMap, command: ListFileMetadata, resolved: ResolvedRef, *, is_folder: bool
) -> FileMetadataPage:
    path, after, count_max = command.path, command.after, command.count_max
    first, end = 0, len(found.paths)
    if path and is_folder:
        first, end = bisect_left(found.paths, path + b"/"), bisect_left(found.paths, path + b"0")
    elif path:
        first = bisect_left(found.paths, path)
        end = first + 1
    if after:
        first = max(first, bisect_right(found.paths, after))
    page_end = end if count_max is None else min(end, first + count_max)
    files = found.records[first:page_end]
    named = dict.fromkeys(file.last_commit for file in files)
    bounds = view.node.limits
    max_bytes = bounds.commits_page_max_bytes if count_max is not None else bounds.commits_listing_max_bytes
    commits = _summaries(view, named, max_bytes=max_bytes)
    if len(commits) < len(named):
        if count_max is None:
            raise MessagesTooLong(max_bytes)
        told = next(n for n, file in enumerate(files) if file.last_commit not in commits)
        files, page_end = files[:told], first + told
        commits = {file.last_commit: commits[file.last_commit] for file in files}
    last_path = found.paths[page_end - 1] if first < page_end < end else None
    paths = found.paths[first:page_end]
    return FileMetadataPage(resolved.name, paths, files, commits, last_path, resolved.is_by_id)


def _summaries(view: RepoView, oids: Iterable[Oid], *, max_bytes: int) -> dict[Oid, CommitSummary]:
    """Return summaries of the commits, but only of some if the uncached commits exceed the bound."""
    kept = view.node.last_commits
    summaries = kept.get_summaries(view.repo.id, oids)
    missing = [oid for oid in oids if oid not in summaries]
    if not missing:
        return summaries
    size_bytes = 0
    for oid in missing:
        content = view.read(oid, kind="commit")[1]
        summaries[oid] = parse_summary(content)
        kept.summaries.put((view.repo.id, oid), summaries[oid])
        size_bytes += len(content)
        if size_bytes > max_bytes:
            break
    return summaries
