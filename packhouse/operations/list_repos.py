"""Listing the repositories of an organisation, page by page."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from packhouse import limits
from packhouse.auth.principal import Principal
from packhouse.db.repos import Repo
from packhouse.db.repos import list_repos as list_repo_rows
from packhouse.errors import Invalid
from packhouse.operations.node import Node
from packhouse.operations.repo_info import RepoInfo, repo_info

_SORT_KEY: Final = re.compile(rb"([0-9]{1,12}):([0-9]{1,10})")


class CursorInvalid(Invalid):
    """The cursor is none that a page of this listing ended with."""

    def __init__(self) -> None:
        super().__init__("unreadable cursor")


@dataclass(frozen=True, slots=True)
class ListRepos:
    """`q` is searched in names, whatever the case; `limit` is clamped, 0 or None means the default."""

    q: str | None = None
    cursor: str | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class RepoPage:
    """One page. `next_cursor` is None when nothing follows."""

    repos: list[RepoInfo]
    next_cursor: str | None


def list_repos(node: Node, caller: Principal, command: ListRepos) -> RepoPage:
    """Return repositories of the caller's organisation by creation time, then id; deleted ones are not listed.

    Raises CursorInvalid, and Invalid for a negative limit.
    """
    limit = _page_size(command.limit)
    after = _decode_cursor(command.cursor) if command.cursor else None
    with node.database.read() as session:
        # One more than asked for tells whether another page follows.
        rows = list_repo_rows(
            session, caller.org_id, q=(command.q or "").strip(), after=after, limit=limit + 1
        )
    page = rows[:limit]
    next_cursor = _encode_cursor(page[-1]) if len(rows) > limit else None
    return RepoPage(repos=[repo_info(repo) for repo in page], next_cursor=next_cursor)


def _page_size(limit: int | None) -> int:
    if limit is not None and limit < 0:
        raise Invalid("negative limit", limit=limit)
    return min(limit or limits.page_default, limits.page_max)


def _encode_cursor(repo: Repo) -> str:
    return base64.urlsafe_b64encode(b"%d:%d" % (repo.created_at, repo.id)).decode("ascii").rstrip("=")


def _decode_cursor(cursor: str) -> tuple[int, int]:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise CursorInvalid() from None
    match = _SORT_KEY.fullmatch(raw)
    if match is None:
        raise CursorInvalid()
    return int(match[1]), int(match[2])
