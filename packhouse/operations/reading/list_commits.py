"""A branch's history, page by page, in the order of `git log`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from packhouse import limits
from packhouse.auth import Principal
from packhouse.git import Oid
from packhouse.git.objects import Commit, parse_commit
from packhouse.node import STRETCH_COMMITS, Node, Stretch
from packhouse.operations.catalog.lookup import open_repo
from packhouse.repository import RepoView, is_reachable, resolve_ref

_SKIP_MAX: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ListedCommit:
    """A commit with its id."""

    oid: Oid
    commit: Commit


@dataclass(frozen=True, slots=True)
class HistoryPlace:
    """A place in a history: the number of commits to skip, counted from `tip` (None: the present commit of the ref)."""

    skip: int
    tip: Oid | None = None


@dataclass(frozen=True, slots=True)
class CommitPage:
    """Commits by committer date, newest first, each after its children. `following` is None on the last page.

    `is_by_id`: the page counts from a full id that the caller wrote, so the answer never changes.
    """

    commits: list[ListedCommit]
    following: HistoryPlace | None
    is_by_id: bool


@dataclass(frozen=True, slots=True)
class ListCommits:
    """The history of a ref (None: the default branch): at most `count_max` commits from `start` on (None: the tip).

    With `path`, only the commits that `git log -- <path>` shows.
    """

    repo: str
    ref: str | None = None
    ephemeral: bool = False
    path: bytes | None = None
    start: HistoryPlace | None = None
    count_max: int = limits.page_default


def list_commits(node: Node, caller: Principal, command: ListCommits) -> CommitPage:
    """Return one page of a history; raise RepoNotFound and RefNotFound.

    A place keeps the tip that it counts from, so pages neither repeat nor miss a commit while the branch moves. When
    that tip is no longer reachable, the place counts from the ref's present tip.
    """
    ref, ephemeral, start, count_max = command.ref, command.ephemeral, command.start, command.count_max
    with open_repo(node, caller, command.repo, ref=ref, ephemeral=ephemeral) as view:
        resolved = resolve_ref(view, ref, ephemeral=ephemeral)
        tip, is_by_id = resolved.commit, resolved.is_by_id
        skip = 0
        if start is not None:
            skip = min(start.skip, _SKIP_MAX)
            # The refs of today decide whether another tip is used.
            is_by_id = is_by_id and start.tip in (None, tip)
            if start.tip is not None and is_reachable(view, start.tip):
                tip = start.tip
        if command.path is None:
            oids = _list_from(view, tip, skip=skip, count_max=count_max + 1)
        else:
            oids = list(_rev_list(view, tip, skip=skip, count_max=count_max + 1, path=command.path))
        commits = _read_commits(view, oids[:count_max])
    following = HistoryPlace(skip + len(commits), tip) if len(oids) > len(commits) else None
    return CommitPage(commits, following, is_by_id)


def _read_commits(view: RepoView, oids: Sequence[Oid]) -> list[ListedCommit]:
    """Return the commits, or only the first ones if they are too large for one page."""
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
    """Return ids from whole stretches. Git is asked for each stretch once in a series of pages."""
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
