"""The differences between a branch and its base."""

from collections.abc import Sequence
from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.git import EPHEMERAL, PERSISTENT, Oid, RefName, branch_refname, short_name
from packhouse.node import Node
from packhouse.operations.catalog.lookup import open_repo
from packhouse.operations.reading.file_diffs import DiffRules, FileDiff, RefInput, list_file_diffs
from packhouse.operations.refs.branches import BranchNotFound
from packhouse.repository import RepoView


@dataclass(frozen=True, slots=True)
class BranchDiff:
    """The changes of a branch since it left its base. Without a common ancestor, the two trees are compared."""

    branch: str
    base: str
    merge_base: Oid | None
    files: list[FileDiff]


@dataclass(frozen=True, slots=True)
class ReadBranchDiff:
    """The branch and its base. Base None: the branch with the name of the default branch, see `base_is_ephemeral`.

    `paths` limit the diff to files and folders; without paths it has all files.
    """

    repo: str
    branch: RefInput
    base: RefInput | None = None
    base_is_ephemeral: bool = False
    paths: Sequence[bytes] = ()


def read_branch_diff(node: Node, caller: Principal, command: ReadBranchDiff) -> BranchDiff:
    """Return the changes of the branch since its merge base with the base branch.

    Raises RepoNotFound, Invalid for a bad branch name, BranchNotFound, TimedOut, LimitExceeded.
    """
    branch = command.branch
    with open_repo(node, caller, command.repo, ref=branch.text, ephemeral=branch.ephemeral) as view:
        base = command.base or RefInput(view.repo.default_branch, command.base_is_ephemeral)
        refname, tip = _read_branch(view, branch)
        base_refname, base_tip = _read_branch(view, base)
        merge_base = view.git.merge_base(base_tip, tip)
        old = merge_base or base_tip
        files = list_file_diffs(view, old=old, new=tip, paths=command.paths, rules=DiffRules())
    return BranchDiff(short_name(refname), short_name(base_refname), merge_base, files)


def _read_branch(view: RepoView, branch: RefInput) -> tuple[RefName, Oid]:
    refname = branch_refname(branch.text)
    ref = view.get_ref(EPHEMERAL if branch.ephemeral else PERSISTENT, refname)
    if ref is None:
        raise BranchNotFound(short_name(refname))
    return refname, ref.oid
