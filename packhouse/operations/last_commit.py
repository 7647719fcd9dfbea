"""Which commit last touched a path, as `git log -1 <commit> -- <path>` says."""

from packhouse.db.repos import Repo
from packhouse.errors import NotFound
from packhouse.git.oid import Oid
from packhouse.git.process import run_git
from packhouse.operations.last_commit_cache import LastCommit
from packhouse.operations.node import Node


def read_last_commit(node: Node, repo: Repo, commit: Oid, path: bytes) -> LastCommit:
    """Return the last commit that touched `path`, seen from `commit`; raise NotFound when none did."""
    cached = node.last_commits.get(repo.id, commit, path)
    if cached is not None:
        return cached
    with node.store.hold(repo.public_id) as lock:
        listed = run_git(
            node.store.repo_path(repo.public_id),
            "log",
            "-1",
            "--format=%H %ct",
            "--end-of-options",
            commit,
            "--",
            path.decode("utf-8", "surrogateescape"),
            env={"GIT_LITERAL_PATHSPECS": "1"},
            pass_fds=(lock,),
        ).stdout.split()
    if len(listed) != 2:
        raise NotFound("path does not exist", path=path.decode("utf-8", "replace"))
    answer = LastCommit(Oid(listed[0].decode("ascii")), int(listed[1]))
    node.last_commits.put(repo.id, commit, path, answer)
    return answer
