"""A branch's history, page by page, in the order of `git log`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from packhouse.auth import Principal
from packhouse.cursors import BadCursor
from packhouse.git import Oid, parse_oid
from packhouse.git.objects import Commit, parse_commit
from packhouse.node import STRETCH_COMMITS, Node, Stretch
from packhouse.operations.catalog.lookup import open_repo
from packhouse.repository import RepoView, is_reachable, resolve_ref

_CURSOR: Final = re.compile(r"([0-9]{1,18})(?::([0-9a-f]{40}))?", re.ASCII)
_SKIP_MAX: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ListedCommit:
    """A commit with its id."""

    oid: Oid
    commit: Commit


@dataclass(frozen=True, slots=True)
class CommitPage:
    """Commits by committer date, newest first, none before its children; `next_cursor` None: no more.

    `is_by_id` tells that the page counts from a full id that the caller wrote, so that the answer never changes.
    """

    commits: list[ListedCommit]
    next_cursor: str | None
    is_by_id: bool


@dataclass(frozen=True, slots=True)
class CommitCursor:
    """How many commits to skip, counted from `tip`; None: from what the ref names now."""

    skip: int
    tip: Oid | None

    def __str__(self) -> str:
        return str(self.skip) if self.tip is None else f"{self.skip}:{self.tip}"


def parse_commit_cursor(cursor: str) -> CommitCursor:
    """Return the cursor that a page ended with, or a bare number; raise BadCursor for other text."""
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise BadCursor()
    return CommitCursor(int(match[1]), None if match[2] is None else parse_oid(match[2]))


def list_commits(
    node: Node,
    caller: Principal,
    name: str,
    *,
    ref: str | None,
    ephemeral: bool,
    path: bytes | None,
    cursor: CommitCursor | None,
    count_max: int,
) -> CommitPage:
    """Return the history of `ref`, with `path` only the commits that `git log -- <path>` shows.

    A cursor keeps the tip it began from, so pages neither repeat nor miss a commit while the branch moves; once
    that tip is no longer reachable, its number counts from the ref's present tip. Raises RepoNotFound,
    RefNotFound.
    """
    with open_repo(node, caller, name, ref=ref, ephemeral=ephemeral) as view:
        resolved = resolve_ref(view, ref, ephemeral=ephemeral)
        tip, is_by_id = resolved.commit, resolved.is_by_id
        skip = 0
        if cursor is not None:
            skip = min(cursor.skip, _SKIP_MAX)
            is_by_id = is_by_id and cursor.tip in (
                None,
                tip,
            )  # whether another tip counts depends on today's refs
            if cursor.tip is not None and is_reachable(view, cursor.tip):
                tip = cursor.tip
        if path is None:
            oids = _list_from(view, tip, skip=skip, count_max=count_max + 1)
        else:
            oids = list(_rev_list(view, tip, skip=skip, count_max=count_max + 1, path=path))
        commits = _read_commits(view, oids[:count_max])
    next_cursor = str(CommitCursor(skip + len(commits), tip)) if len(oids) > len(commits) else None
    return CommitPage(commits, next_cursor, is_by_id)


def _read_commits(view: RepoView, oids: Sequence[Oid]) -> list[ListedCommit]:
    """Return the commits, or only the first ones when they are so large that all would not fit a page."""
    commits: list[ListedCommit] = []
    size_bytes = 0
    for oid in oids:
        content = view.read_kept(oid, "commit")
        commits.append(ListedCommit(oid, parse_commit(content)))
        size_bytes += len(content)
        if size_bytes > view.node.limits.commits_page_max_bytes:
            break
    return commits


def _list_from(view: RepoView, tip: Oid, *, skip: int, count_max: int) -> list[Oid]:
    """Return ids from whole stretches, of which a run of pages asks git once each."""
    histories = view.node.histories
    oids: list[Oid] = []
    number, offset = divmod(skip, STRETCH_COMMITS)
    while len(oids) < count_max:
        stretch = histories.get((view.repo.id, tip, number))
        if stretch is None:
            stretch = _rev_list(
                view, tip, skip=number * STRETCH_COMMITS, count_max=STRETCH_COMMITS, path=None
            )
            histories.put((view.repo.id, tip, number), stretch)
        oids += stretch[offset : offset + count_max - len(oids)]
        if len(stretch) < STRETCH_COMMITS:
            break
        number, offset = number + 1, 0
    return oids


def _rev_list(view: RepoView, tip: Oid, *, skip: int, count_max: int, path: bytes | None) -> Stretch:
    with view.telling_damage():
        return tuple(view.git.list_page(tip, path=path, skip=skip, count_max=count_max))
