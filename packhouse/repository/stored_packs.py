"""Storing packs and removing them. The row of a pack is written before its file and deleted after it.

    incoming    committed before the first byte is stored
    live        by the transaction that needs the pack, from incoming alone
    retired     by the transaction that lists the pack's replacement
    deleting    committed before the file goes; the row goes last

A name is given out only once, so a pack can be deleted at any later time and by any process.
"""

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packhouse.db import (
    PackState,
    PassingPack,
    Repo,
    delete_pack_rows,
    find_pack_state,
    insert_incoming_pack,
    is_repo_cleaned,
    list_known_packs,
    list_packs,
    list_passing_packs,
    start_deleting,
)
from packhouse.errors import Code, Unavailable
from packhouse.git.packs import Pack
from packhouse.ids import RepoId, RepoKey
from packhouse.log import log_event
from packhouse.node import Node
from packhouse.storage import link_or_copy

_NAME_BYTES = 20


class SourcePackGone(Unavailable):
    """A pack of the source is gone, since the source has joined its packs during the copy."""

    code = Code.SOURCE_PACK_GONE
    pack: str


@dataclass(frozen=True, slots=True)
class FoundPack:
    """A pack to store: its `files`, pack and idx, or a stored pack of the repository `linked_from`.

    `shown_in` is a folder that is held open and shows that stored pack, even after the pack is deleted.
    """

    pack: Pack
    files: tuple[Path, Path] | None = None
    linked_from: str = ""
    shown_in: Path | None = None


def store_packs(node: Node, repo: Repo, found: Sequence[FoundPack], *, noted: list[str]) -> list[Pack]:
    """Store packs durably and return them under their names in the store. They are not listed yet.

    The names are added to `noted` before anything is stored.
    """
    now = node.clock()
    ahead = node.pack_names.take(repo.id, now=now) if len(found) == 1 else None
    packs = [replace(one.pack, name=ahead or new_pack_name(node)) for one in found]
    noted += [pack.name for pack in packs]
    if ahead is None:
        with node.database.write() as session:
            for pack in packs:
                insert_incoming_pack(session, repo.id, pack, now=now)
    for one, pack in zip(found, packs, strict=True):
        _put(node, repo, one, pack)
    return packs


def new_pack_name(node: Node) -> str:
    """Return a name that no pack has had or will have.

    The name is random and not the hash of the content. If a name came twice, a process that is late with the deletion
    of the first pack could delete the second.
    """
    return node.random_bytes(_NAME_BYTES).hex()


def _put(node: Node, repo: Repo, one: FoundPack, pack: Pack) -> None:
    if one.files is not None:
        node.store.put(repo.public_id, pack.name, *one.files)
        return
    try:
        node.store.link(one.linked_from, one.pack.name, repo.public_id, pack.name)
    except FileNotFoundError:
        # The pack was retired during the work and deleted. A process that has opened the source still sees it.
        _put_shown(node, repo, one, pack)


def _put_shown(node: Node, repo: Repo, one: FoundPack, pack: Pack) -> None:
    assert one.shown_in is not None, "a linked pack is open"
    files = [node.store.scratch_dir() / f"{pack.name}{suffix}" for suffix in (".pack", ".idx")]
    try:
        for file in files:
            link_or_copy(one.shown_in / f"pack-{one.pack.name}{file.suffix}", file)
        node.store.put(repo.public_id, pack.name, files[0], files[1])
    except FileNotFoundError as error:
        raise SourcePackGone(one.pack.name) from error
    finally:
        for file in files:
            file.unlink(missing_ok=True)


def drop_incoming(node: Node, repo: Repo, names: Collection[str]) -> None:
    """Remove packs that were stored and will not be listed. The sweeper removes later what cannot be removed now.

    A pack stays when the transaction that lists it was committed, even if its success was never reported.
    """
    passing = [PassingPack(repo.id, repo.public_id, name) for name in names]
    now = node.clock()
    try:
        with node.database.write() as session:
            start_deleting(session, passing, PackState.INCOMING, before=now, now=now)
        # The sweeper may have deleted the row before the store wrote the file. Then the pack has no row (None).
        delete_packs(node, passing, (PackState.DELETING, None))
    except (OSError, Unavailable) as error:
        log_event("unlisted packs are left to the sweeper", repo_id=repo.public_id, reason=str(error))


def delete_packs(
    node: Node, packs: Sequence[PassingPack], states: Collection[PackState | None] = (PackState.DELETING,)
) -> int:
    """Delete the files of the packs whose state is in `states`, then their rows; return how many.

    The state None is that of a pack without a row. Only the process that made the pack's name may pass other states
    than *deleting*.
    """
    by_repo: dict[tuple[RepoKey, RepoId], list[str]] = {}
    for pack in packs:
        by_repo.setdefault((pack.repo_id, pack.public_id), []).append(pack.name)
    deleted = 0
    for (repo_id, public_id), names in by_repo.items():
        with node.database.read() as session:
            going = [n for n in names if find_pack_state(session, repo_id, n) in states]
        try:
            gone = node.store.delete(public_id, going) if going else set()
        except OSError as error:  # one folder fails; the others must not wait for it
            log_event(
                "packs cannot be deleted", level=logging.ERROR, repo_id=public_id, reason=error.strerror
            )
            continue
        if gone:
            with node.database.write() as session:
                deleted += delete_pack_rows(session, repo_id, gone)
            log_event("packs deleted that are not listed any more", repo_id=public_id, packs=sorted(gone))
            _remove_unborn(node, repo_id, public_id)
    return deleted


def _remove_unborn(node: Node, repo_id: RepoKey, public_id: RepoId) -> None:
    """Remove the folder of a repository that never became complete, once its last pack is gone.

    It cannot become complete any more, since the transaction that completes it lists these packs.
    """
    with node.database.read() as session:
        is_over = is_repo_cleaned(session, repo_id) and not list_known_packs(session, repo_id)
    if is_over:
        node.store.remove_repo(public_id)


def _tell_unlisted(node: Node, aged: Sequence[PassingPack]) -> None:
    """Log the packs of a writer that was killed, or that stood still for longer than the grace period."""
    by_repo: dict[str, list[str]] = {}
    with node.database.read() as session:
        for pack in aged:
            is_going = find_pack_state(session, pack.repo_id, pack.name) is PackState.DELETING
            if (
                is_going and node.store.stat(pack.public_id, pack.name) is not None
            ):  # there is a file, not only a name
                by_repo.setdefault(pack.public_id, []).append(pack.name)
    for public_id, names in by_repo.items():
        log_event(
            "packs deleted that were never listed", level=logging.WARNING, repo_id=public_id, packs=names
        )


def _without_damaged(node: Node, packs: Sequence[PassingPack]) -> list[PassingPack]:
    """Return the packs of the repositories that miss no live pack.

    A repository that misses live packs may belong to a restored database: a pack that is incoming or retired there may
    be the only copy of objects that were joined later.
    """
    is_whole: dict[RepoKey, bool] = {}
    for pack in packs:
        if pack.repo_id not in is_whole:
            with node.database.read() as session:
                listed = list_packs(session, pack.repo_id)
            is_whole[pack.repo_id] = listed is None or not node.store.missing(pack.public_id, listed.packs)
    return [pack for pack in packs if is_whole[pack.repo_id]]


def sweep_packs(node: Node) -> int:
    """Delete packs that were incoming for too long and packs that are retired for long enough.

    Returns the number of deleted packs. Any number of servers may do so at once.
    """
    now = node.clock()
    for state, age_s in (
        (PackState.INCOMING, node.limits.incoming_grace_s),
        (PackState.RETIRED, node.limits.pack_keep_s),
    ):
        before = now - age_s
        for aged in _iter_passing(node, state, before=before):
            going = _without_damaged(node, aged)
            if not going:
                continue
            with node.database.write() as session:
                start_deleting(session, going, state, before=before, now=now)
            if state is PackState.INCOMING:
                _tell_unlisted(node, going)
    return sum(delete_packs(node, going) for going in _iter_passing(node, PackState.DELETING, before=now))


def _iter_passing(node: Node, state: PackState, *, before: int) -> Iterator[list[PassingPack]]:
    """Yield the packs of a state page by page. The packs of earlier pages may be deleted in between."""
    last: PassingPack | None = None
    while True:
        with node.database.read() as session:
            page = list_passing_packs(
                session, state, before=before, limit=node.limits.prune_batch, after=last
            )
        if page:
            yield page
        if len(page) < node.limits.prune_batch:
            return
        last = page[-1]
