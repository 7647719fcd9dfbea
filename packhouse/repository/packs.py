"""The packs of a repository: the list in SQL says which they are, and the store opens them."""

import re
from collections.abc import Sequence
from typing import Final

from packhouse.db import (
    PackList,
    Repo,
    adopt_packs,
    is_current,
    list_found_packs,
    list_known_packs,
    list_packs,
)
from packhouse.errors import Unavailable
from packhouse.git.commands.environment import GitPlace
from packhouse.ids import RepoId, RepoKey
from packhouse.node import Node
from packhouse.repository.repo_log import log_repo_event
from packhouse.storage import OpenedPacks, PackSet, ShownPacks

_NAME = re.compile(r"[0-9a-f]{40}")
GONE: Final = PackList(version=-1, state=0, generation=0, is_adopted=True, packs=())
"""The list of packs of a repository that was deleted meanwhile."""


def read_packs(node: Node, repo: Repo, *, fresh: bool = False) -> PackList:
    """Return live packs and journal rows at the versions of `repo` or later; with `fresh`, as they are now.

    A repository that was deleted meanwhile gives GONE.
    """
    known = node.pack_lists.get(repo.id)
    seen = (repo.packs_version, repo.packs_state, repo.refs_version, repo.refs_state)
    if known is not None and not fresh and known.versions == seen:
        return known
    with node.database.read() as session:
        # Most lists are current, so SQL is asked whether this one is. A list that is known to be old is read anew.
        if known is not None and fresh and known.is_adopted and is_current(session, repo.id, known):
            return known
        listed = list_packs(session, repo.id)
    if listed is not None and not listed.is_adopted:
        listed = _adopt_and_list(node, repo, listed)
    if listed is None:
        return GONE
    node.pack_lists.put(repo.id, listed)
    return listed


def open_packs(node: Node, repo: Repo, listed: PackList) -> OpenedPacks:
    """Show the packs of a list in a folder, and keep the folder open."""
    return node.store.open(repo.public_id, PackSet(listed.generation, listed.packs))


def place_of(node: Node, opened: OpenedPacks, journal: ShownPacks | None = None) -> GitPlace:
    """Return where git sees the objects of opened packs and of the shown journal, without any refs."""
    if journal is None:
        return GitPlace(node.store.skeleton(), opened.object_dir.absolute(), descriptors=opened.descriptors)
    return GitPlace(
        node.store.skeleton(),
        opened.object_dir.absolute(),
        beneath=(journal.object_dir.absolute(),),
        descriptors=(*opened.descriptors, *journal.descriptors),
    )


def adopt(node: Node, repos: Sequence[tuple[RepoKey, RepoId]]) -> dict[RepoId, list[str]]:
    """List the packs that an earlier release left in folders without rows; for that release the folder was the truth.

    `repos` are (id, public id). Returns the names of the packs by public id. Later writes of that release may need
    objects of these packs. Done once for each repository.
    """
    found = {}
    for repo_id, public_id in repos:
        packs = node.store.survey(public_id)
        with node.database.read() as session:
            known = list_known_packs(session, repo_id) if packs else {}
        found[repo_id, public_id] = [pack for pack in packs if pack.name not in known]
    adopted = {}
    now = node.clock()
    with node.database.write() as session:
        for (repo_id, public_id), strays in found.items():
            if adopt_packs(session, repo_id, strays, state=node.new_state(), now=now) and strays:
                adopted[public_id] = [pack.name for pack in strays]
    return adopted


def adopt_unlisted(node: Node, repo: Repo) -> list[str]:
    """List every pack that is in the store and has no row; return the names. Only an operator asks for this.

    Such packs belong to a newer state of the database, for example when the database was restored from a backup.
    """
    found = [name for name in node.store.list_names(repo.public_id) if _NAME.fullmatch(name)]
    with node.database.read() as session:
        known = list_known_packs(session, repo.id)
    # The store is read after the rows. A file is deleted before its row, so a file without a row has no owner.
    packs = [node.store.stat(repo.public_id, name) for name in found if name not in known]
    strays = [pack for pack in packs if pack is not None]
    if strays:
        with node.database.write() as session:
            list_found_packs(session, repo.id, strays, state=node.new_state(), now=node.clock())
        log_repo_event(repo, "unlisted packs listed", packs=[pack.name for pack in strays])
    return [pack.name for pack in strays]


def _adopt_and_list(node: Node, repo: Repo, listed: PackList) -> PackList | None:
    """Adopt the packs of an earlier release before the repository is used for the first time."""
    try:
        strays = adopt(node, [(repo.id, repo.public_id)]).get(repo.public_id)
    except (OSError, Unavailable):  # the disk takes no writes; packs with rows can still be read
        return listed
    if strays:
        log_repo_event(repo, "packs listed that an earlier release left", packs=strays)
    with node.database.read() as session:
        return list_packs(session, repo.id)
