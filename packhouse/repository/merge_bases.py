"""The common ancestor of two commits."""

from packhouse import limits
from packhouse.db.repos import Repo
from packhouse.git.oid import Oid
from packhouse.git.process import run_git
from packhouse.node.node import Node
from packhouse.repository.damage import check_answer
from packhouse.repository.view import hold_packs


def find_merge_base(node: Node, repo: Repo, first: Oid, second: Oid) -> Oid | None:
    """Return the best common ancestor, of several equally good ones git's first; None when there is none."""
    if first == second:
        return first
    with hold_packs(node, repo) as lock:
        answer = run_git(
            node.store.repo_path(repo.public_id),
            "merge-base",
            first,
            second,
            pass_fds=(lock,),
            ok_codes=frozenset({0, 1}),
            timeout_s=limits.diff_max_s,
        )
        check_answer(
            node, repo, answer
        )  # to merge-base a history that it cannot read is one without ancestors
    found = answer.stdout.split()
    return Oid(found[0].decode("ascii")) if found else None
