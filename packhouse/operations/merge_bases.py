"""The common ancestor of two commits."""

from packhouse import limits
from packhouse.db.repos import Repo
from packhouse.git.oid import Oid
from packhouse.git.process import run_git
from packhouse.operations.node import Node


def find_merge_base(node: Node, repo: Repo, first: Oid, second: Oid) -> Oid | None:
    """Return the best common ancestor, of several equally good ones git's first; None when there is none."""
    if first == second:
        return first
    with node.store.hold(repo.public_id) as lock:
        found = run_git(
            node.store.repo_path(repo.public_id),
            "merge-base",
            first,
            second,
            pass_fds=(lock,),
            ok_codes=frozenset({0, 1}),
            timeout_s=limits.diff_max_s,
        ).stdout.split()
    return Oid(found[0].decode("ascii")) if found else None
