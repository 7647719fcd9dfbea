"""Following paths back through history to the commits that last touched them.

The answer for a path is that of `git log -1 <commit> -- <path>`, here for many paths at once. From the commit, follow
the first parent whose entry at the path is identical; a commit without such a parent is the answer (git-log(1),
"History Simplification", default mode). Paths that share a line of history are followed together.
"""

import heapq
from collections import deque
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

from packhouse import limits
from packhouse.git import Oid
from packhouse.git.objects import CommitLinks, TreeTable, has_same_entry, parse_links, parse_table
from packhouse.repository.git import RepoGit
from packhouse.repository.view import RepoView

Waiting = dict[Oid, set[bytes]]
"""Paths to answer, by the commit that the walk has reached: its entry is the same as at the start of the walk."""

Known = Callable[[Oid, bytes], Oid | None]
"""Returns the answer for a path seen from a commit, if the answer is known already."""

Commits = list[tuple[Oid, tuple[Oid, ...]]]
Changes = dict[Oid, list[bytes]]

_PARALLEL: Final = 2  # git processes of one pass
_STRETCH_MIN: Final = 200  # commits given to one process
_STRETCH_MAX: Final = 2000
_STEPS_MAX: Final = 64
_CHECKS_MAX: Final = 4000
_TREE_BYTES_MAX: Final = 512 * limits.KIB


@dataclass(slots=True)
class History:
    """One repository's commits and trees. `fresh_bytes` counts the bytes of trees that had to be read."""

    view: RepoView
    fresh_bytes: int = 0

    def links(self, commit: Oid) -> CommitLinks:
        """Return tree, parents and date of a commit."""
        return parse_links(self.view.read_kept(commit, "commit"))

    def table(self, tree: Oid) -> TreeTable:
        """Return a tree as a table."""
        found = self.view.node.tree_tables.get((self.view.repo.id, tree))
        if found is None:
            content = self.view.read_tree(tree)
            self.fresh_bytes += len(content)
            found = parse_table(content)
            self.view.node.tree_tables.put((self.view.repo.id, tree), found)
        return found

    def next_line(self, commit: CommitLinks, path: bytes) -> Oid | None:
        """Return the first parent with the same entry at `path`, or None when the commit changed it."""
        for parent in commit.parents:
            if has_same_entry(self.table, commit.tree, self.links(parent).tree, path):
                return parent
        return None


def walk_near(history: History, waiting: Waiting, known: Known) -> dict[bytes, Oid]:
    """Answer the paths that a short walk in this process can answer; the others wait on, at older commits.

    The walk goes by date. The order matters only for speed, since each path is followed by itself.
    """
    answers: dict[bytes, Oid] = {}
    queue = [(-history.links(commit).committed_at, commit) for commit in waiting]
    heapq.heapify(queue)
    steps = checks = 0
    while queue:
        if steps >= _STEPS_MAX or checks >= _CHECKS_MAX or history.fresh_bytes > _TREE_BYTES_MAX:
            break
        steps += 1
        _, oid = heapq.heappop(queue)
        commit = history.links(oid)
        for path in waiting.pop(oid):
            answer = known(oid, path)
            if answer is None:
                checks += 1
                parent = history.next_line(commit, path)
                if parent is not None:
                    if parent not in waiting:
                        waiting[parent] = set()
                        heapq.heappush(queue, (-history.links(parent).committed_at, parent))
                    waiting[parent].add(path)
                    continue
                answer = oid
            answers[path] = answer
    return answers


def walk_all(
    history: History, tips: Collection[Oid], read_waiting: Callable[[], Waiting], git: RepoGit
) -> dict[bytes, Oid]:
    """Answer all paths that wait at the commits `tips` by one pass of git over the history below them.

    `read_waiting` is called after git has read a part of history, so that the paths can be found while git goes on.
    `git` runs in several threads at once: see RepoView.git_for_threads(). The pass ends once every path is answered.
    """
    commits = git.list_history(tips)
    read_changes = partial(
        git.read_first_parent_changes,
        memory_max_bytes=history.view.node.limits.diff_memory_max_bytes,
        entries_max=history.view.node.limits.tree_entries_max,
    )
    answers: dict[bytes, Oid] = {}
    waiting: Waiting | None = None
    with ThreadPoolExecutor(_PARALLEL) as threads:
        for stretch, changes in _iter_stretches(commits, threads, read_changes):
            waiting = read_waiting() if waiting is None else waiting
            for oid, parents in stretch:
                paths = waiting.pop(oid, None)
                if paths is None:
                    continue
                if not parents:
                    answers.update(dict.fromkeys(paths, oid))
                    continue
                touched = paths.intersection(changes.get(oid, ()))
                paths -= touched
                _wait_for(waiting, parents[0], paths)
                if len(parents) > 1 and touched:
                    touched = _follow_others(history, oid, touched, waiting)
                answers.update(dict.fromkeys(touched, oid))
            if not waiting:
                break
    return answers


def _iter_stretches(
    commits: Commits, threads: ThreadPoolExecutor, read_changes: Callable[[Commits], Changes]
) -> Iterator[tuple[Commits, Changes]]:
    """Yield stretches of the commits with their changes; git works ahead by a few stretches."""
    size = min(max(len(commits) // _PARALLEL + 1, _STRETCH_MIN), _STRETCH_MAX)
    stretches = (commits[start : start + size] for start in range(0, len(commits), size))
    ahead: deque[tuple[Commits, Future[Changes]]] = deque()
    try:
        for stretch in stretches:
            ahead.append((stretch, threads.submit(read_changes, stretch)))
            if len(ahead) > _PARALLEL:
                ready, future = ahead.popleft()
                yield ready, future.result()
        while ahead:
            ready, future = ahead.popleft()
            yield ready, future.result()
    finally:
        for _, future in ahead:
            future.cancel()


def _follow_others(history: History, merge: Oid, paths: set[bytes], waiting: Waiting) -> set[bytes]:
    """Move paths that differ from a merge's first parent to another parent with the same entry; return the others."""
    links = history.links(merge)
    others = links._replace(parents=links.parents[1:])
    own = set()
    for path in paths:
        parent = history.next_line(others, path)
        if parent is None:
            own.add(path)
        else:
            _wait_for(waiting, parent, {path})
    return own


def _wait_for(waiting: Waiting, commit: Oid, paths: set[bytes]) -> None:
    """Add paths to the paths that wait at a commit; the larger set is kept, the smaller one copied."""
    present = waiting.get(commit)
    if present is None:
        if paths:
            waiting[commit] = paths
    elif len(present) >= len(paths):
        present |= paths
    else:
        paths |= present
        waiting[commit] = paths
