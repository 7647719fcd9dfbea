"""The shape of history, and what each commit changed against its first parent, streamed from git."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from packhouse import limits
from packhouse.git.commands.environment import GitPlace
from packhouse.git.commands.run import GitFailed, run_git
from packhouse.git.objects.codec import parse_commit, parse_person, parse_person_date
from packhouse.git.objects.errors import NotACommit, TreeNamesMissingObject
from packhouse.git.objects.tree_walk import TreeTooLarge
from packhouse.git.oid import Oid

# A pass visits each tree many times; with the small cache of other calls git unpacks them over and over.
_PASS_CONFIG: Final = {"core.deltaBaseCacheLimit": "128m"}
_LINKS: Final = re.compile(rb"tree ([0-9a-f]{40})\n((?:parent [0-9a-f]{40}\n)*)")
_COMMITTER: Final = re.compile(rb"\ncommitter ([^\n]*)")
_AUTHOR: Final = re.compile(rb"\nauthor (.*)")
_LISTED: Final = re.compile(rb"([0-7]{6}) [a-z]+ [0-9a-f]{40} +([0-9]+|-)\t([^\0]+)\0")
_BAD_SIZE: Final = b" BAD\t"  # what ls-tree prints instead of the size of a missing object
_MISSING: Final = re.compile(rb"(?:\A|\0)[0-7]{6} [a-z]+ ([0-9a-f]{40}) +BAD\t")
_PARENT_LINE_BYTES: Final = 48


class CommitLinks(NamedTuple):
    """What a walk needs of a commit. `committed_at` is that of parse_commit(), in seconds since 1970."""

    tree: Oid
    parents: tuple[Oid, ...]
    committed_at: int


def parse_links(content: bytes) -> CommitLinks:
    """Return tree, parents and date of a commit, in a tenth of the time that parse_commit() takes."""
    match = _LINKS.match(content)
    if match is None:
        raise NotACommit()
    lines = match[2].decode("ascii")
    starts = range(7, len(lines), _PARENT_LINE_BYTES)
    head_end = content.find(b"\n\n")
    committer = _COMMITTER.search(content, match.end() - 1, head_end if head_end >= 0 else len(content))
    return CommitLinks(
        Oid(match[1].decode("ascii")),
        tuple(Oid(lines[start : start + 40]) for start in starts),
        0 if committer is None else parse_person_date(committer[1])[0],
    )


class CommitSummary(NamedTuple):
    """What listings tell of a commit: author's name, author date in seconds since 1970, message."""

    author: str
    authored_at: int
    message: str


def parse_summary(content: bytes) -> CommitSummary:
    """Return what parse_commit() would say of author and message, in a fifth of the time."""
    head, _, body = content.partition(b"\n\n")
    line = _AUTHOR.search(head)
    if line is None or b"\nencoding " in head:
        commit = parse_commit(content)
        return CommitSummary(commit.author.name, commit.author.when, commit.message)
    author = parse_person(line[1])
    return CommitSummary(author.name, author.when, body.decode("utf-8", "replace").rstrip("\n"))


def read_first_parent_changes(
    place: GitPlace,
    history: Iterable[tuple[Oid, tuple[Oid, ...]]],
    *,
    memory_max_bytes: int,
    entries_max: int,
) -> dict[Oid, list[bytes]]:
    """Return the paths in which each commit differs from its first parent.

    Commits without parents, and those that change nothing, are left out. Renames are a deletion and an addition.
    Raises LimitExceeded when one commit changes more than fits into `memory_max_bytes`; it tells of `entries_max`.
    Source: git-diff-tree(1), "--stdin" and "Raw output format".
    """
    pairs = "".join(f"{oid} {parents[0]}\n" for oid, parents in history if parents).encode("ascii")
    try:
        output = run_git(
            place,
            "diff-tree",
            "--stdin",
            "-r",
            "-z",
            "--raw",
            "--no-renames",
            stdin=pairs,
            env={"GIT_FLUSH": "0"},  # or git writes each commit by itself
            config=_PASS_CONFIG,
            timeout_s=limits.history_pass_max_s,
            output_max_bytes=limits.history_output_max_bytes,
            on_start=lambda git: git.limit_memory(memory_max_bytes),
        ).stdout
    except GitFailed as error:
        if not error.is_for_memory:
            raise
        raise TreeTooLarge(entries_max) from error
    changes: dict[Oid, list[bytes]] = {}
    paths: list[bytes] = []
    is_path = False
    for token in output.split(b"\0")[:-1]:
        if is_path:
            paths.append(token)
            is_path = False
        elif token.startswith(b":"):
            is_path = True
        else:
            paths = changes.setdefault(Oid(token.decode("ascii")), [])
    return changes


def list_sized_files(
    place: GitPlace, tree: Oid, *, output_max_bytes: int
) -> list[tuple[bytes, bytes, bytes]]:
    """Return (mode, size, path) of everything below `tree` that is no folder, in git's order.

    As git prints them: mode in six octal digits; the size of a submodule is `-`. Raises LimitExceeded for more
    than `output_max_bytes` of them. Source: git-ls-tree(1), "-l".
    """
    output = run_git(
        place,
        "ls-tree",
        "-r",
        "-l",
        "-z",
        "--full-tree",
        tree,
        output_max_bytes=output_max_bytes,
    ).stdout
    if _BAD_SIZE in output and (missing := _MISSING.search(output)):
        raise TreeNamesMissingObject(missing[1].decode("ascii"))
    return _LISTED.findall(output)
