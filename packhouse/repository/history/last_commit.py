"""Which commit last touched a path, as `git log -1 <commit> -- <path>` says."""

import contextlib
from typing import Final

from packhouse.errors import Code, LimitExceeded, NotFound, TimedOut, Unavailable
from packhouse.git import Oid
from packhouse.node import LastCommit
from packhouse.repository.history.attribution import History, Waiting, walk_near
from packhouse.repository.history.file_maps import read_file_map
from packhouse.repository.reachability import read_reachable
from packhouse.repository.view import RepoView

_WALKS_MIN: Final = 8
_COMMITS_PER_WALK: Final = 1000  # a pass over so many commits costs about what one walk for one path does
_WALKS_MAX: Final = 1000


class PathNotFound(NotFound):
    """The commit has no entry of the wanted kind at the path."""

    code = Code.PATH_NOT_FOUND
    path: str


def read_last_commit(view: RepoView, commit: Oid, path: bytes) -> LastCommit:
    """Return the last commit that touched the file at `path`, seen from `commit`, which has the file.

    An answer from memory, for this commit or a near ancestor, needs no process. Otherwise git walks history for this
    path alone. When such walks have cost about as much as one pass for all paths, that pass is made instead.
    """
    node, repo = view.node, view.repo
    cached = node.last_commits.answers.get((repo.id, commit, path))
    if cached is not None:
        return cached
    history = History(view)
    waiting: Waiting = {commit: {path}}

    def known(at: Oid, path: bytes) -> Oid | None:
        kept_map = node.last_commits.maps.get((repo.id, at))
        if kept_map is not None:
            record = kept_map.find(path)
            return None if record is None else record.last_commit
        kept = node.last_commits.answers.get((repo.id, at, path))
        return None if kept is None else kept.oid

    answers = walk_near(history, waiting, known)
    oid = answers[path] if path in answers else _walk_far(view, commit, next(iter(waiting)), path)
    answer = LastCommit(oid, history.links(oid).committed_at)
    node.last_commits.answers.put((repo.id, commit, path), answer)
    return answer


def _walk_far(view: RepoView, commit: Oid, at: Oid, path: bytes) -> Oid:
    """Ask git, from the commit `at`, where the short walk ended, or make the map of `commit`."""
    node, repo = view.node, view.repo
    reachable = read_reachable(view).commits
    walks_max = _WALKS_MAX if reachable is None else _WALKS_MIN + len(reachable) // _COMMITS_PER_WALK
    if node.last_commits.count_walk(repo.id, commit) % (walks_max + 1) == 0:
        # A pass that fails, because history is too long for it, is tried again only after as many walks as before.
        with contextlib.suppress(TimedOut, Unavailable, LimitExceeded):
            record = read_file_map(view, commit).find(path)
            if record is not None:
                return record.last_commit
    with view.telling_damage():
        found = view.git.list_page(at, path=path, skip=0, count_max=1)
    if not found:
        raise PathNotFound(path=path.decode("utf-8", "replace"))
    return found[0]
