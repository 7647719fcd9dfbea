"""The list of packs of each repository. A repository consists of its live packs, whatever files the store has.

A stored pack is *incoming* before its first byte is stored. It is *live* once the transaction that needs it has
committed, *retired* when other packs hold its objects, and *deleting* before its file is deleted. The row is deleted
last. A name is never given out twice, so a deletion may be done late, twice, and by any server.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from packhouse.db.session import Session, SqlValue
from packhouse.errors import Code, Unavailable
from packhouse.git.packs import Pack
from packhouse.ids import RepoId, RepoKey


class PackState(StrEnum):
    """The states of a stored pack, in their order."""

    INCOMING = "incoming"
    LIVE = "live"
    RETIRED = "retired"
    DELETING = "deleting"


@dataclass(frozen=True, slots=True)
class JournalRow:
    """A pack in the journal, without its content. `id` grows with the order in which the rows came."""

    id: int
    pack: Pack


@dataclass(frozen=True, slots=True)
class PackList:
    """What a repository consists of at one pair of versions: its live packs and its journal rows, oldest first each.

    `state` is the random number that was written with `version`, and `refs_state` that of `refs_version`. A change of
    the journal changes `refs_version`. Lists of one `generation` differ only in added packs. `is_adopted` tells that
    the server has looked at the folder of an earlier release.
    """

    version: int
    state: int
    generation: int
    is_adopted: bool
    packs: tuple[Pack, ...]
    refs_version: int = 0
    refs_state: int = 0
    journal: tuple[JournalRow, ...] = ()

    @property
    def versions(self) -> tuple[int, int, int, int]:
        """The versions and states that identify the list."""
        return self.version, self.state, self.refs_version, self.refs_state

    @property
    def is_empty(self) -> bool:
        """Whether the repository holds no object."""
        return not self.packs and not self.journal


@dataclass(frozen=True, slots=True)
class PassingPack:
    """A pack that is not live, with row id and public id of its repository. `since` is set if it came from a list."""

    repo_id: RepoKey
    public_id: RepoId
    name: str
    since: int = field(default=0, compare=False)


class PackNotIncoming(Unavailable):
    """The pack has waited for so long that a server is deleting it or has deleted it.

    Nothing was written. The same request stores the pack anew.
    """

    code = Code.PACK_NOT_INCOMING
    pack: str


def insert_incoming_pack(session: Session, repo_id: RepoKey, pack: Pack, *, now: int) -> None:
    """Note a pack that is about to be stored, under a name that was never given out."""
    session.run("insert_incoming_pack", **_row_of(repo_id, pack, now=now))


def find_pack_state(session: Session, repo_id: RepoKey, name: str) -> PackState | None:
    """Return the state of the pack with that name; None if it was never noted or is gone."""
    row = session.one("find_pack_state", repo_id=repo_id, name=name)
    return None if row is None else PackState(row[0])


def note_pack_name(session: Session, repo_id: RepoKey, name: str, *, now: int) -> None:
    """Note a pack of which only the future name is known."""
    insert_incoming_pack(session, repo_id, Pack(name, 0, 0), now=now)


def make_packs_live(session: Session, repo_id: RepoKey, packs: Iterable[Pack], *, now: int) -> None:
    """List durably stored packs. Call it in the transaction that needs them and that raises `packs_version`.

    Raises PackNotIncoming, which must end the transaction.
    """
    for pack in packs:
        if session.run("make_pack_live", **_row_of(repo_id, pack, now=now)) == 0:
            raise PackNotIncoming(pack.name)


def replace_packs(
    session: Session, repo_id: RepoKey, *, old: Iterable[str], new: Sequence[Pack], state: int, now: int
) -> bool:
    """List the packs `new`, which hold all objects of `old`, and retire `old`. Return False if the repository is gone.

    Raises PackNotIncoming.
    """
    if session.run("note_retired_packs", repo_id=repo_id, state=state) == 0:
        return False
    make_packs_live(session, repo_id, new, now=now)
    _run_for_names(session, "retire_pack", repo_id, old, now=now)
    return True


def list_packs(session: Session, repo_id: RepoKey, *, even_deleted: bool = False) -> PackList | None:
    """Return live packs and journal rows of the repository; None if it is gone, or deleted without `even_deleted`."""
    rows = session.all("list_packs", repo_id=repo_id)
    if not rows or (rows[0][6] is not None and not even_deleted):
        return None
    version, state, generation, refs_version, refs_state, adopted_at = rows[0][:6]
    packs = tuple(Pack(*row[8:]) for row in rows if row[7] == 0)
    journal = tuple(JournalRow(row[7], Pack(*row[8:])) for row in rows if row[7])
    return PackList(
        version, state, generation, adopted_at is not None, packs, refs_version, refs_state, journal
    )


def is_current(session: Session, repo_id: RepoKey, listed: PackList) -> bool:
    """Tell whether a list that was read before is still the repository's list."""
    return session.one("find_packs_version", repo_id=repo_id) == (*listed.versions, None)


def list_known_packs(session: Session, repo_id: RepoKey) -> dict[str, PackState]:
    """Return every pack that has a row, with its state."""
    return {name: PackState(state) for name, state in session.all("list_known_packs", repo_id=repo_id)}


def list_passing_packs(
    session: Session, state: PackState, *, before: int, limit: int, after: PassingPack | None = None
) -> list[PassingPack]:
    """Return up to `limit` packs that are in `state`, which is not live, since `before` or longer.

    The oldest packs come first. `after` is the last pack of the previous page.
    """
    rows = session.all(
        "list_passing_packs",
        state=state.value,
        before=before,
        after_since=after.since if after else -1,
        after_repo=after.repo_id if after else 0,
        after_name=after.name if after else "",
        limit=limit,
    )
    return [PassingPack(*row) for row in rows]


def start_deleting(
    session: Session, packs: Iterable[PassingPack], state: PackState, *, before: int, now: int
) -> None:
    """Mark those packs as *deleting* that are still in `state` since `before` or longer."""
    rows: list[dict[str, SqlValue]] = [
        {"repo_id": pack.repo_id, "name": pack.name, "state": state.value, "before": before, "now": now}
        for pack in packs
    ]
    if rows:
        session.run_many("start_deleting_pack", rows)


def start_deleting_all(session: Session, repo_id: RepoKey, *, now: int) -> None:
    """Mark all packs of a deleted repository as *deleting*."""
    session.run("start_deleting_packs_of_repo", repo_id=repo_id, now=now)


def delete_pack_rows(session: Session, repo_id: RepoKey, names: Iterable[str]) -> int:
    """Delete the rows of packs whose files are gone, if they are *deleting*. Return the number of deleted rows."""
    return _run_for_names(session, "delete_pack_row", repo_id, names)


def list_repos_to_adopt(session: Session, *, after: int, limit: int) -> list[tuple[RepoKey, RepoId]]:
    """Return (id, public id) of up to `limit` repositories whose folder of an earlier release is not adopted yet."""
    return [
        (RepoKey(row[0]), RepoId(row[1]))
        for row in session.all("list_repos_to_adopt", after=after, limit=limit)
    ]


def adopt_packs(session: Session, repo_id: RepoKey, packs: Sequence[Pack], *, state: int, now: int) -> bool:
    """List the packs without a row that an earlier release left. Return False if that was done before."""
    if session.run("mark_adopted", repo_id=repo_id, state=state, now=now) == 0:
        return False
    _insert_found(session, repo_id, packs, now=now)
    return True


def list_found_packs(
    session: Session, repo_id: RepoKey, packs: Sequence[Pack], *, state: int, now: int
) -> None:
    """List packs without a row on an operator's request. Packs that have a row keep their state.

    Does nothing for a deleted repository.
    """
    if session.run("note_new_packs", repo_id=repo_id, state=state) > 0:
        _insert_found(session, repo_id, packs, now=now)


def _insert_found(session: Session, repo_id: RepoKey, packs: Sequence[Pack], *, now: int) -> None:
    if packs:
        session.run_many("adopt_pack", [_row_of(repo_id, pack, now=now) for pack in packs])


def _row_of(repo_id: RepoKey, pack: Pack, *, now: int) -> dict[str, SqlValue]:
    """Return the values of a pack's row, for the queries that write it."""
    return {
        "repo_id": repo_id,
        "name": pack.name,
        "size_bytes": pack.size_bytes,
        "objects": pack.objects,
        "now": now,
    }


def _run_for_names(
    session: Session, query: str, repo_id: RepoKey, names: Iterable[str], **params: int
) -> int:
    rows: list[dict[str, SqlValue]] = [{"repo_id": repo_id, "name": name, **params} for name in names]
    return session.run_many(query, rows) if rows else 0
