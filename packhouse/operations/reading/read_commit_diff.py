"""The changes of a commit against its first parent or another base."""

from collections.abc import Sequence
from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.git import EMPTY_TREE_OID, Oid
from packhouse.git.objects import parse_commit
from packhouse.node import Node
from packhouse.operations.catalog.lookup import open_repo
from packhouse.operations.reading.file_diffs import DiffRules, FileDiff, RefInput, list_file_diffs
from packhouse.repository import resolve_ref


@dataclass(frozen=True, slots=True)
class CommitDiff:
    """The changes of a commit. `base` is None for a root commit. `merge_base` is None unless the caller named a base.

    `is_by_id`: each given ref was a full id, so the answer never changes.
    """

    commit: Oid
    base: Oid | None
    merge_base: Oid | None
    files: list[FileDiff]
    is_by_id: bool


@dataclass(frozen=True, slots=True)
class ReadCommitDiff:
    """The commit, and the side to compare it with: its first parent, or the tree of `base`.

    With `applicable`, white space counts, and the patches together rebuild the tree. `paths` limit the diff to files
    and folders; without paths it has all files.
    """

    repo: str
    ref: RefInput
    base: RefInput | None = None
    applicable: bool = False
    paths: Sequence[bytes] = ()


def read_commit_diff(node: Node, caller: Principal, command: ReadCommitDiff) -> CommitDiff:
    """Return the changes of a commit, or the differences of its tree from that of the base.

    Raises RepoNotFound, RefNotFound, TimedOut, and LimitExceeded for a diff of too many files.
    """
    ref, base = command.ref, command.base
    with open_repo(node, caller, command.repo, ref=ref.text, ephemeral=ref.ephemeral) as view:
        resolved = resolve_ref(view, ref.text, ephemeral=ref.ephemeral)
        commit, is_by_id = resolved.commit, resolved.is_by_id
        base_oid: Oid | None
        merge_base = None
        if base is not None:
            resolved_base = resolve_ref(view, base.text, ephemeral=base.ephemeral)
            base_oid, is_by_id = resolved_base.commit, is_by_id and resolved_base.is_by_id
            merge_base = view.git.merge_base(base_oid, commit)
        else:
            parents = parse_commit(view.read_kept(commit, "commit")).parents
            base_oid = parents[0] if parents else None
        rules = DiffRules(applicable=command.applicable, ignore_space_change=not command.applicable)
        old = base_oid or EMPTY_TREE_OID
        files = list_file_diffs(view, old=old, new=commit, paths=command.paths, rules=rules)
    return CommitDiff(commit, base_oid, merge_base, files, is_by_id)
