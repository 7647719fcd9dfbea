"""The commits and tags that the current refs lead to: only these are served by id.

Readers do not see a commit from the moment when no ref leads to it, although its objects are kept. The set is kept per
repository and updated with the commits that the moved refs gained and lost.
"""

import itertools
from collections.abc import Iterable
from typing import Final

from packhouse.db import find_repo_by_id, list_refs
from packhouse.errors import Code, NotFound
from packhouse.git import Oid
from packhouse.git.commands.rev_list import Revisions
from packhouse.git.objects import tag_target
from packhouse.node import REACHABLE_COMMITS_MAX, Reachable
from packhouse.repository.damage import RepositoryDamaged
from packhouse.repository.view import RepoView

_CANDIDATES_MAX: Final = 1000


class AbbreviationUnknown(NotFound):
    """No commit, or more than one, has an id that begins with these digits."""

    code = Code.ABBREVIATION_UNKNOWN
    ref: str


def read_reachable(view: RepoView) -> Reachable:
    """Return the commits and tags that the refs lead to now (at `repo.refs_version` or later)."""
    node, repo = view.node, view.repo
    known = node.reachability.get(repo.id)
    if known is not None and (known.refs_version, known.refs_state) == (repo.refs_version, repo.refs_state):
        return known
    with node.database.snapshot() as session:
        now = find_repo_by_id(session, repo.id) or repo
        if known is not None and (known.refs_version, known.refs_state) == (now.refs_version, now.refs_state):
            return known  # `repo` was read before the refs moved
        refs = list_refs(session, repo.id)
    peeled = frozenset(ref.peeled_oid or ref.oid for ref in refs)
    tagged = {ref.oid for ref in refs if ref.peeled_oid is not None}
    tips = frozenset(oid for oid in peeled if view.read_header(oid)[0] == "commit")
    tags = frozenset(_tag_chains(view, tagged))
    commits = _update_commits(view, known, tips)
    reachable = Reachable(now.refs_version, now.refs_state, tips, tags, commits)
    node.reachability.put(repo.id, reachable)
    return reachable


def is_reachable(view: RepoView, oid: Oid) -> bool:
    """Tell whether the commit or annotated tag `oid` is reachable from a current ref of either namespace."""
    if view.is_empty:
        return False
    try:
        reachable = read_reachable(view)
    except RepositoryDamaged:
        if _is_value_of_ref(view, oid):  # damage elsewhere need not hide a ref's own value
            return True
        raise
    if oid in reachable.tips or oid in reachable.tags:
        return True
    if reachable.commits is not None:
        return oid in reachable.commits
    if not _is_commit(view, oid):
        return False
    if not _rev_list(view, [oid], exclude=reachable.tips, count_max=1):
        return True
    view.require_whole()  # as in _update_commits, git may have stopped at an unreadable object
    return False


def _is_value_of_ref(view: RepoView, oid: Oid) -> bool:
    with view.node.database.read() as session:
        return any(oid in (ref.oid, ref.peeled_oid) for ref in list_refs(session, view.repo.id))


def resolve_abbreviation(view: RepoView, prefix: str) -> Oid:
    """Return the one reachable commit or tag whose id starts with `prefix`; raise NotFound otherwise."""
    matches: set[Oid] = set()
    if not view.is_empty:
        reachable = read_reachable(view)
        if reachable.commits is not None:
            known = itertools.chain(reachable.commits, reachable.tags)
            matches = {oid for oid in known if oid.startswith(prefix)}
        else:
            matches = _disambiguate(view, prefix)
    if len(matches) != 1:
        raise AbbreviationUnknown(prefix)
    return matches.pop()


def _disambiguate(view: RepoView, prefix: str) -> set[Oid]:
    with view.telling_damage():
        candidates = view.git.list_abbreviated(prefix, count_max=_CANDIDATES_MAX)
    return {oid for oid in candidates if is_reachable(view, oid)}


def _update_commits(view: RepoView, known: Reachable | None, tips: frozenset[Oid]) -> frozenset[Oid] | None:
    """Return all commits below `tips`: the known ones, without the lost and with the new."""
    if known is None or known.commits is None:
        found = _rev_list(view, tips, count_max=REACHABLE_COMMITS_MAX + 1)
        return None if len(found) > REACHABLE_COMMITS_MAX else frozenset(found)
    lost = _rev_list(view, known.tips - tips, exclude=tips, count_max=REACHABLE_COMMITS_MAX)
    if lost:
        # Git is silent when it cannot read the parents of an excluded commit, and then lists too many commits.
        view.require_whole()
    gained = _rev_list(view, tips - known.tips, exclude=known.tips, count_max=REACHABLE_COMMITS_MAX + 1)
    commits = known.commits.difference(lost).union(gained)
    return None if len(commits) > REACHABLE_COMMITS_MAX else commits


def _rev_list(
    view: RepoView, include: Iterable[Oid], *, exclude: Iterable[Oid] = (), count_max: int
) -> list[Oid]:
    """Return up to `count_max` commits reachable from `include` and not from `exclude`."""
    wanted = list(include)
    if not wanted:
        return []
    with view.telling_damage():
        return view.git.list_commits(Revisions(wanted, list(exclude)), count_max=count_max)


def _is_commit(reader: RepoView, oid: Oid) -> bool:
    header = reader.kind_and_size(oid)
    return header is not None and header[0] == "commit"


def _tag_chains(reader: RepoView, tags: Iterable[Oid]) -> set[Oid]:
    """Return the tags, and the tags that they point at."""
    chains: set[Oid] = set()
    waiting = list(tags)
    while waiting:
        oid = waiting.pop()
        header = reader.kind_and_size(oid)
        if oid not in chains and header is not None and header[0] == "tag":
            chains.add(oid)
            waiting.append(tag_target(reader.read(oid)[1]))
    return chains
