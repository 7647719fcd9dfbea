"""The packs of a repository's journal: rows in SQL, kept parsed in the memory of the process."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from packhouse.db import JournalRow, PackList, Repo, Session, list_journal_packs, list_packs
from packhouse.errors import Corrupt
from packhouse.git import Oid
from packhouse.git.objects import ObjectMissing, Objects, check_kind
from packhouse.git.packs import MemoryPack, PackInflatesTooMuch
from packhouse.node import Node
from packhouse.repository.packs import GONE, read_packs
from packhouse.storage import PackFault

_ROOM: Final = 16
"""A row may hold so many times the bytes that a new one may hold: the limit may have been higher when it came."""


@dataclass(frozen=True, slots=True)
class HeldJournal:
    """The packs of the journal rows of a list. `faults` has the rows whose packs cannot be used."""

    listed: PackList
    packs: tuple[MemoryPack, ...] = ()
    faults: tuple[PackFault, ...] = ()


def hold_journal(node: Node, repo: Repo, listed: PackList) -> HeldJournal:
    """Return the packs of the rows of `listed`.

    When rows of it have been flushed meanwhile, the result belongs to the list as it is now.
    """
    if not listed.journal:
        return HeldJournal(listed)
    held = _find_kept(node, listed.journal)
    if len(held) < len(listed.journal):
        with node.database.read() as session:
            _load_missing(node, session, repo, listed.journal, held)
    if len(held) < len(listed.journal):
        # The list and its rows, of one moment: no row of it can be missing.
        with node.database.snapshot() as session:
            now = list_packs(session, repo.id)
            if now is None:
                return HeldJournal(GONE)
            listed, held = now, _find_kept(node, now.journal)
            _load_missing(node, session, repo, listed.journal, held)
    found = [held[row.pack.name] for row in listed.journal]
    return HeldJournal(
        listed,
        tuple(one for one in found if isinstance(one, MemoryPack)),
        tuple(one for one in found if isinstance(one, PackFault)),
    )


def read_journal(node: Node, repo: Repo) -> HeldJournal:
    """Return the journal and the list as they are now."""
    return hold_journal(node, repo, read_packs(node, repo, fresh=True))


def _find_kept(node: Node, rows: Iterable[JournalRow]) -> dict[str, MemoryPack | PackFault]:
    kept = ((row.pack.name, node.journal_packs.get(row.pack.name)) for row in rows)
    return {name: pack for name, pack in kept if pack is not None}


def _load_missing(
    node: Node,
    session: Session,
    repo: Repo,
    rows: Sequence[JournalRow],
    held: dict[str, MemoryPack | PackFault],
) -> None:
    """Read the rows that are not in `held`, and put them into it. Rows that are gone stay out."""
    missing = [row.id for row in rows if row.pack.name not in held]
    if not missing:
        return
    wanted = {row.pack.name for row in rows}
    for _id, name, data in list_journal_packs(session, repo.id, first=missing[0], last=missing[-1]):
        if name in wanted and name not in held:
            held[name] = _parse(node, name, data)


def _parse(node: Node, name: str, data: bytes) -> MemoryPack | PackFault:
    try:
        pack = MemoryPack.parse(
            name, data, inflated_max_bytes=_ROOM * node.limits.journal_pack_inflated_max_bytes
        )
    except (Corrupt, PackInflatesTooMuch) as error:
        return PackFault(name, error.code.value)
    node.journal_packs.put(name, pack)
    return pack


class JournalReader(Objects):
    """Reads objects of the journal, and all other objects from below it. For one thread at a time.

    `open_beneath` is called when the first object is not in the journal.
    """

    def __init__(self, packs: Sequence[MemoryPack], open_beneath: Callable[[], Objects]) -> None:
        self._packs = packs
        self._open_beneath = open_beneath
        self._opened: Objects | None = None

    def kind_and_size(self, oid: Oid) -> tuple[str, int] | None:
        """See Objects."""
        for pack in self._packs:
            found = pack.kind_and_size(oid)
            if found is not None:
                return found
        return self._beneath.kind_and_size(oid)

    def read(self, oid: Oid, *, kind: str | None = None) -> tuple[str, bytes]:
        """See Objects."""
        for pack in self._packs:
            found = pack.read(oid)
            if found is not None:
                check_kind(oid, found[0], kind)
                return found
        return self._beneath.read(oid, kind=kind)

    @property
    def _beneath(self) -> Objects:
        if self._opened is None:
            self._opened = self._open_beneath()
        return self._opened


class NoObjects(Objects):
    """Reads the objects of an empty place: there are none."""

    def kind_and_size(self, oid: Oid) -> tuple[str, int] | None:  # noqa: ARG002  # an empty place holds no id
        """See Objects."""
        return None

    def read(self, oid: Oid, *, kind: str | None = None) -> tuple[str, bytes]:  # noqa: ARG002  # as above
        """See Objects."""
        raise ObjectMissing(oid)
