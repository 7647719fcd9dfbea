"""Listing the repositories of an organisation, page by page."""

from dataclasses import dataclass

from packhouse import limits
from packhouse.auth import Principal
from packhouse.cursors import decode_cursor, decode_number, encode_cursor
from packhouse.db import Repo
from packhouse.db import list_repos as list_repo_rows
from packhouse.errors import Code, Invalid
from packhouse.node import Node
from packhouse.operations.repos.repo_info import RepoInfo, repo_info


class NegativeLimit(Invalid):
    """The limit of a page is negative."""

    code = Code.NEGATIVE_LIMIT
    limit: int


@dataclass(frozen=True, slots=True)
class ListRepos:
    """The page to read. `text` is searched in names, in any case. A `count_max` of 0 or None means the default."""

    text: str | None = None
    cursor: str | None = None
    count_max: int | None = None


@dataclass(frozen=True, slots=True)
class RepoPage:
    """One page. `cursor` is that of the next page, None on the last one."""

    repos: list[RepoInfo]
    cursor: str | None


def list_repos(node: Node, caller: Principal, command: ListRepos) -> RepoPage:
    """Return repositories of the caller's organisation by creation time, then id, without deleted ones.

    Raises BadCursor, and Invalid for a negative number.
    """
    limit = _page_size(command.count_max)
    after = _decode_cursor(command.cursor) if command.cursor else None
    with node.database.read() as session:
        # One row more than needed tells whether another page follows.
        rows = list_repo_rows(
            session, caller.org_id, q=(command.text or "").strip(), after=after, limit=limit + 1
        )
    page = rows[:limit]
    cursor = _encode_cursor(page[-1]) if len(rows) > limit else None
    return RepoPage(repos=[repo_info(repo) for repo in page], cursor=cursor)


def _page_size(limit: int | None) -> int:
    if limit is not None and limit < 0:
        raise NegativeLimit(limit)
    return min(limit or limits.page_default, limits.page_max)


def _encode_cursor(repo: Repo) -> str:
    return encode_cursor(b"%d" % repo.created_at, b"%d" % repo.id)


def _decode_cursor(cursor: str) -> tuple[int, int]:
    created_at, repo_id = decode_cursor(cursor, parts=2)
    return decode_number(created_at, digits_max=12), decode_number(repo_id, digits_max=10)
