"""Blame tells which commit last changed each line of a file."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from packhouse import limits
from packhouse.clock import format_timestamp
from packhouse.git.commands.blame import BlameGroup
from packhouse.git.objects import Commit
from packhouse.operations.reading.blame_file import Blame, BlameFile, blame_file
from packhouse.web.call import Call
from packhouse.web.json import (
    AnyRef,
    Base64,
    FilePath,
    Name,
    Number,
    PathMembers,
    Sha,
    Timestamp,
    encoded_path,
    path_text,
    read_file_path,
    says,
)
from packhouse.web.openapi.description import Description
from packhouse.web.reply import Reply, encode_reply
from packhouse.web.routing.route import of_repo, reading

_Range = Annotated[str, says(maxLength=limits.blame_range_max_chars)]


class BlameQuery(PathMembers):
    """The file is named by `path` or `path_base64`. `range` may be repeated, and each is as `git blame -L` takes it."""

    path: FilePath | None = None
    ref: AnyRef | None = None
    ephemeral: bool = False
    range: Annotated[list[_Range], says(maxItems=limits.blame_ranges_max)] = msgspec.field(
        default_factory=list
    )
    detect_moves: bool = False


class BlameLine(msgspec.Struct):
    """One line, without its text. `previous_commit_sha` is absent when the line has no earlier version.

    `original_path_base64` has the bytes of a name that is not UTF-8.
    """

    line_number: Number
    commit_sha: Sha
    original_line_number: Number
    original_path: Name
    author_name: str
    author_email: str
    author_time: Timestamp
    committer_name: str
    committer_email: str
    committer_time: Timestamp
    summary: Name
    previous_commit_sha: Sha | UnsetType = UNSET
    original_path_base64: Base64 | UnsetType = UNSET


class BlameAnswer(msgspec.Struct):
    """The lines stand in the order of the file."""

    ref: Name
    path: Name
    commit_sha: Sha
    lines: list[BlameLine]
    path_base64: Base64 | UnsetType = UNSET


async def handle_blame(call: Call) -> Reply[BlameAnswer]:
    """GET …/blame."""
    query = call.read_query(BlameQuery)
    path = read_file_path(query)
    command = BlameFile(
        call.caller.repo,
        path,
        ref=query.ref,
        ephemeral=query.ephemeral,
        ranges=query.range,
        detect_moves=query.detect_moves,
    )
    blame = await call.search(blame_file, command)
    return await call.in_thread(_reply, blame, path)


def _reply(blame: Blame, path: bytes) -> Reply[BlameAnswer]:
    lines = [line for group in blame.groups for line in _iter_lines(group, blame.commits[group.commit])]
    answer = BlameAnswer(blame.ref, path_text(path), blame.commit, lines, encoded_path(path))
    return encode_reply(answer, is_by_id=blame.is_by_id)


def _iter_lines(group: BlameGroup, commit: Commit) -> Iterator[BlameLine]:
    first = BlameLine(
        line_number=group.line,
        commit_sha=group.commit,
        original_line_number=group.original_line,
        original_path=path_text(group.original_path),
        author_name=commit.author.name,
        author_email=commit.author.email,
        author_time=format_timestamp(commit.author.when),
        committer_name=commit.committer.name,
        committer_email=commit.committer.email,
        committer_time=format_timestamp(commit.committer.when),
        summary=_summary(group, commit),
        previous_commit_sha=group.previous or UNSET,
        original_path_base64=encoded_path(group.original_path),
    )
    for offset in range(group.count):
        yield msgspec.structs.replace(
            first, line_number=group.line + offset, original_line_number=group.original_line + offset
        )


def _summary(group: BlameGroup, commit: Commit) -> str:
    """Return the first line of the message.

    For a commit without a message, return its id in brackets, as in git blame.
    """
    lines = (line for line in commit.message.split("\n") if line.strip())
    return next(lines, f"({group.commit})")


ROUTES = (
    reading(
        "blame",
        of_repo("blame"),
        handle_blame,
        Description("Show who last changed each line of a file", query=BlameQuery, failures=(413,)),
    ),
)
