"""Running git on an opened repository, with its objects, its locks and the bounds of every call."""

import math
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Protocol

from packhouse import limits
from packhouse.git.commands import (
    cat_file,
    diff_tree,
    for_each_ref,
    index_pack,
    ls_tree,
    merge_base,
    pack_objects,
    rev_list,
    rev_parse,
)
from packhouse.git.commands.environment import LITERAL_PATHS as LITERAL_PATHS_ENVIRONMENT
from packhouse.git.commands.environment import UTF8, GitPlace
from packhouse.git.commands.process import GitProcess
from packhouse.git.commands.run import GitFailed, GitResult, Runner, iter_git_output, run_git

_OK: Final = frozenset({0})


@dataclass(frozen=True, slots=True)
class GitOptions:
    """How git is to read what it is given: paths literally and not as pathspecs, texts as UTF-8 and not as bytes."""

    literal_paths: bool = False
    utf8: bool = False

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that say so (git(1), locale(7)). In C, a dot of an expression matches one byte."""
        literal = LITERAL_PATHS_ENVIRONMENT if self.literal_paths else {}
        return {**literal, **(UTF8 if self.utf8 else {})}


LITERAL_PATHS: Final = GitOptions(literal_paths=True)
_PLAIN: Final = GitOptions()


class Opened(Runner, Protocol):
    """What git is run on: a view of a repository, or new objects over one."""

    def telling_damage(self) -> AbstractContextManager[None]:
        """Turn failures within the block into the Reason for them where stored data has one."""
        ...


class RepoGit:
    """The git commands of an opened repository. Each sees it as it is when the command starts, or later.

    They raise what git's failure is; `open_view` turns what damage explains into that. Each is a function of the
    command's module, which takes what git is run on as its first argument.
    """

    def __init__(self, opened: Runner) -> None:
        self._opened = opened

    def place(self) -> GitPlace:
        """See Runner."""
        return self._opened.place()

    def check(self, complaint: GitFailed, *, may_lack: bool = False) -> None:
        """See Runner."""
        self._opened.check(complaint, may_lack=may_lack)

    is_ancestor = merge_base.is_ancestor
    merge_base = merge_base.find_merge_base

    count_commits = rev_list.count_commits
    find_first_ancestor = rev_list.find_first_ancestor
    is_connected = rev_list.is_connected
    iter_ancestors_first = rev_list.iter_ancestors_first
    iter_commits = rev_list.iter_commits
    iter_objects = rev_list.iter_objects
    lacks_objects = rev_list.lacks_objects
    list_commits = rev_list.list_commits
    list_existing_commits = rev_list.list_existing_commits
    list_history = rev_list.list_history
    list_page = rev_list.list_page

    list_abbreviated = rev_parse.list_abbreviated

    read_first_parent_changes = diff_tree.read_first_parent_changes

    list_sized_files = ls_tree.list_sized_files

    blobs = cat_file.open_blobs
    iter_blob = cat_file.iter_blob

    list_refs = for_each_ref.list_refs

    iter_pack = pack_objects.iter_pack
    join_packs = pack_objects.join_packs
    write_pack = pack_objects.write_pack

    index_stream = index_pack.index_stream
    judge_pack = index_pack.judge_pack
    start_unpacking = index_pack.start_unpacking

    def run(
        self,
        *args: str,
        stdin: bytes = b"",
        options: GitOptions = _PLAIN,
        config: Mapping[str, str] | None = None,
        ok_codes: frozenset[int] = _OK,
        timeout_s: float = limits.git_call_max_s,
        output_max_bytes: int = limits.git_output_max_bytes,
        on_start: Callable[[GitProcess], None] | None = None,
    ) -> GitResult:
        """Run git to its end and return its output, see run_git()."""
        return run_git(
            self._opened.place(),
            *args,
            stdin=stdin,
            env=options.environment,
            config=config,
            ok_codes=ok_codes,
            timeout_s=timeout_s,
            output_max_bytes=output_max_bytes,
            on_start=on_start,
        )

    def iter_output(
        self,
        *args: str,
        stdin: bytes = b"",
        options: GitOptions = _PLAIN,
        ok_codes: frozenset[int] = _OK,
        timeout_s: float = limits.git_call_max_s,
        silence_max_s: float = math.inf,
        on_start: Callable[[GitProcess], None] | None = None,
        on_messages: Callable[[bytes], None] | None = None,
    ) -> Generator[bytes]:
        """Yield git's output in pieces, see iter_git_output(); closing the iterator ends git."""
        yield from iter_git_output(
            self._opened.place(),
            *args,
            stdin=stdin,
            env=options.environment,
            ok_codes=ok_codes,
            timeout_s=timeout_s,
            silence_max_s=silence_max_s,
            on_start=on_start,
            on_messages=on_messages,
        )
