"""The last commit of every path of a commit: computed once, derived from the parent's answer, kept on disk.

A map depends only on its commit's id, so it never grows stale. Under DATA/cache/last-commits each map has a file: the
whole map, or its difference from an earlier one. All of the files may be deleted at any time.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

from packhouse.db import Repo
from packhouse.git import Oid
from packhouse.git.objects import MODE_GITLINK, iter_changes
from packhouse.node import (
    FileMap,
    FileRecord,
    Node,
    StoredMap,
    decode_stored,
    edit_map,
    encode_edits,
    make_map,
    make_record,
)
from packhouse.repository.history.attribution import History, Waiting, walk_all, walk_near
from packhouse.repository.view import RepoView

_DERIVE_STEPS_MAX: Final = 200
_CHAIN_MAX: Final = 32
_WHOLE_ROWS_MAX: Final = 500  # smaller maps are always written whole


def find_file_map(view: RepoView, commit: Oid) -> FileMap | None:
    """Return the map from memory or the disk, or None when it has to be made."""
    node, repo = view.node, view.repo
    found = node.last_commits.maps.get((repo.id, commit))
    if found is None:
        found = _load(node, repo, commit)
        if found is not None:
            node.last_commits.maps.put((repo.id, commit), found)
    return found


def read_file_map(view: RepoView, commit: Oid) -> FileMap:
    """Return every file of `commit` with the commit that last touched it.

    Several callers for one commit cost one computation. Raises TimedOut when history is too long for one pass.
    """
    node, repo = view.node, view.repo
    found = node.last_commits.maps.get((repo.id, commit))
    if found is not None:
        return found
    with node.last_commits.making(repo.id, commit):
        found = node.last_commits.maps.get((repo.id, commit)) or _load(node, repo, commit)
        if found is None:
            with node.file_maps.lock(repo.public_id, commit):
                found = _load(node, repo, commit) or _make(view, commit)
        node.last_commits.maps.put((repo.id, commit), found)
        return found


def _make(view: RepoView, commit: Oid) -> FileMap:
    """Derive the map from the map of a near ancestor, or compute it from all of history; keep it on the disk."""
    node, repo = view.node, view.repo
    history = History(view)
    line: list[Oid] = []
    ancestor: Oid | None = commit
    base: FileMap | None = None
    while ancestor is not None and len(line) < _DERIVE_STEPS_MAX:
        base = node.last_commits.maps.get((repo.id, ancestor)) or _load(node, repo, ancestor)
        if base is not None:
            break
        line.append(ancestor)
        ancestor = next(iter(history.links(ancestor).parents), None)
    if base is None or ancestor is None:
        made = _compute(history, commit)
        return _keep(node, repo, commit, made, base=None, edits=None)
    edits: dict[bytes, FileRecord | None] = {}
    for step in reversed(line):
        edits.update(_derive(history, step))
    made = edit_map(base, edits)
    is_stored = base.chain and node.file_maps.has(repo.public_id, ancestor)
    chain = base.chain + 1
    small = len(made.paths) <= _WHOLE_ROWS_MAX or len(edits) > len(made.paths) // 4
    if not is_stored or chain > _CHAIN_MAX or small:
        return _keep(node, repo, commit, made, base=None, edits=None)
    return _keep(node, repo, commit, FileMap(made.paths, made.records, chain), base=ancestor, edits=edits)


def _derive(history: History, commit: Oid) -> dict[bytes, FileRecord | None]:
    """Return the difference between the map of a commit and the map of its first parent."""
    links = history.links(commit)
    parent_tree = history.links(links.parents[0]).tree
    entries_max = history.view.node.limits.tree_entries_max
    changes = list(iter_changes(history.table, parent_tree, links.tree, entries_max=entries_max))
    answers = {change.path: commit for change in changes}
    if len(links.parents) > 1:
        answers.update(_ask_other_parents(history, commit, [c.path for c in changes if c.entry is not None]))
    edits: dict[bytes, FileRecord | None] = {}
    for path, entry in changes:
        edits[path] = None
        if entry is not None:
            mode, oid = entry
            edits[path] = make_record(path, mode, _size(history, mode, oid), answers[path])
    return edits


def _ask_other_parents(history: History, merge: Oid, paths: list[bytes]) -> dict[bytes, Oid]:
    """Return the last commits of paths that a merge has taken from its other parents."""
    links = history.links(merge)
    others = links._replace(parents=links.parents[1:])
    waiting: Waiting = {}
    for path in paths:
        parent = history.next_line(others, path)
        if parent is not None:
            waiting.setdefault(parent, set()).add(path)
    return follow(history, waiting)


def follow(history: History, waiting: Waiting) -> dict[bytes, Oid]:
    """Answer all waiting paths: from maps in memory and by a short walk, the rest by a pass of git."""
    view = history.view
    node, repo = view.node, view.repo

    def known(commit: Oid, path: bytes) -> Oid | None:
        kept = node.last_commits.maps.get((repo.id, commit))
        record = None if kept is None else kept.find(path)
        return None if record is None else record.last_commit

    answers = walk_near(history, waiting, known)
    if waiting:
        with view.telling_damage():
            answers.update(walk_all(history, waiting, lambda: waiting, view.git_for_threads()))
    return answers


def _compute(history: History, commit: Oid) -> FileMap:
    view = history.view
    tree = history.links(commit).tree
    with view.telling_damage(), ThreadPoolExecutor(1) as threads:
        git = view.git_for_threads()
        listing = threads.submit(
            git.list_sized_files, tree, output_max_bytes=view.node.limits.tree_listing_max_bytes
        )
        answers = walk_all(
            history, (commit,), lambda: {commit: {path for _, _, path in listing.result()}}, git
        )
    return make_map(listing.result(), answers)


def _size(history: History, mode: int, oid: Oid) -> int:
    if mode == MODE_GITLINK:
        return 0
    return history.view.read_header(oid)[1]


def _keep(
    node: Node,
    repo: Repo,
    commit: Oid,
    made: FileMap,
    *,
    base: Oid | None,
    edits: dict[bytes, FileRecord | None] | None,
) -> FileMap:
    """Write a map to the disk, as a whole if `base` is None; return the map to keep in memory."""
    if base is None or edits is None:
        made = FileMap(made.paths, made.records, 1)
        edits = dict(zip(made.paths, made.records, strict=True))
    node.file_maps.write(repo.public_id, commit, encode_edits(edits, base=base, chain=made.chain))
    return made


def _load(node: Node, repo: Repo, commit: Oid) -> FileMap | None:
    """Return the map from the disk, or None when a file that it needs is missing or damaged."""
    stack: list[StoredMap] = []
    base: FileMap | None = None
    at: Oid | None = commit
    while at is not None and base is None:
        content = node.file_maps.read(repo.public_id, at)
        stored = None if content is None else decode_stored(content)
        if stored is None or len(stack) > _CHAIN_MAX:
            return None
        stack.append(stored)
        at = None if stored.base is None else Oid(stored.base)
        base = None if at is None else node.last_commits.maps.get((repo.id, at))
    chain = stack[0].chain
    if base is None:
        base = stack.pop().whole()
    edits: dict[bytes, FileRecord | None] = {}
    for stored in reversed(stack):
        edits.update(stored.edits())
    made = edit_map(base, edits)
    return FileMap(made.paths, made.records, chain)
