"""Listing the files of a commit."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from packhouse.auth import Principal
from packhouse.git import Oid
from packhouse.git.objects import MODE_TREE, PathEntry, find_path, iter_children, iter_leaves, parse_commit
from packhouse.node import Node
from packhouse.operations.catalog.lookup import open_repo
from packhouse.repository import PathNotFound, resolve_ref


@dataclass(frozen=True, slots=True)
class FileListing:
    """One page of a listing. `ref` is the name for the answer; `has_more`: entries follow on the next page.

    `is_by_id`: the ref was a full id, so the answer never changes.
    """

    ref: str
    commit: Oid
    entries: list[PathEntry]
    has_more: bool
    is_by_id: bool


@dataclass(frozen=True, slots=True)
class ListFiles:
    """The entries below the folder `path` (empty: all), or the one file at `path`, in git's order.

    Without `recursive`, only the folder's own entries are listed, folders included. The page starts after the path
    `after` and has at most `count_max` entries; None means the whole listing.
    """

    repo: str
    ref: str | None = None
    ephemeral: bool = False
    path: bytes = b""
    recursive: bool = True
    after: bytes = b""
    count_max: int | None = None


def list_files(node: Node, caller: Principal, command: ListFiles) -> FileListing:
    """Return one page of entries; raise RepoNotFound, RefNotFound and PathNotFound."""
    ref, ephemeral, path, count_max = command.ref, command.ephemeral, command.path, command.count_max
    with open_repo(node, caller, command.repo, ref=ref, ephemeral=ephemeral) as view:
        resolved = resolve_ref(view, ref, ephemeral=ephemeral)
        root = parse_commit(view.read_kept(resolved.commit, "commit")).tree
        top = find_path(view.read_tree, root, path)
        if top is None:
            raise PathNotFound(path.decode("utf-8", "replace"))
        found: Iterator[PathEntry]
        if top.mode != MODE_TREE:
            found = iter([top] if top.path > command.after else [])
        elif command.recursive:
            found = iter_leaves(
                view.read_tree, top.oid, path, after=command.after, entries_max=node.limits.tree_entries_max
            )
        else:
            found = iter_children(view.read_tree, top.oid, path, after=command.after)
        entries = list(found if count_max is None else islice(found, count_max + 1))
    has_more = count_max is not None and len(entries) > count_max
    return FileListing(resolved.name, resolved.commit, entries[:count_max], has_more, resolved.is_by_id)
