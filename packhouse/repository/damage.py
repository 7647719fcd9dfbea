"""Damage of stored data: packs and objects that SQL names and the store lacks or cannot read.

Damage is the server's fault: readers get RepositoryDamaged and never NotFound. Each damage is logged once and kept in
SQL until it is mended. Files that are derived from packs are made anew when they are needed.
"""

import contextlib
import itertools
import logging
from collections.abc import Iterator, Sequence
from typing import Final

from packhouse import limits
from packhouse.db import Repo, RepoNotFound, count_damage_of_repo, insert_damage, list_refs
from packhouse.errors import Code, Corrupt, Unavailable
from packhouse.git import Oid
from packhouse.git.commands.cat_file import FreshReader
from packhouse.git.commands.run import GitFailed
from packhouse.git.objects import ObjectCorrupt, ObjectMissing
from packhouse.git.packs import Pack, PackCorrupt
from packhouse.node import Node
from packhouse.repository.journal import JournalReader, read_journal
from packhouse.repository.packs import GONE, open_packs, place_of, read_packs
from packhouse.repository.repo_log import log_repo_event
from packhouse.storage import Mended, PackFault

_UNHELD: Final = "no listed pack holds the object"
_NAMED_MAX: Final = 10


class RepositoryDamaged(Corrupt):
    """Stored data of the repository is lost or damaged. An operator must look."""

    code = Code.REPOSITORY_DAMAGED
    repo: str
    what: str

    def __init__(self, repo: Repo, *, pack: str = "", oid: str = "") -> None:
        self.repo = repo.name
        self.what = f"object {oid}" if oid else f"pack {pack}" if pack else "its folder"


class RepositoryMended(Unavailable):
    """Git could not read something that is in place by now. Send the same request again."""

    code = Code.REPOSITORY_MENDED
    repo: str


Reason = RepositoryDamaged | RepositoryMended | RepoNotFound
"""Why stored objects could not be used: they are damaged, were unreadable a moment ago, or their repository is gone."""


def mend(node: Node, repo: Repo, *, trusting: bool = False) -> Mended:
    """Make derived files of the listed packs anew where they are missing or damaged, and note each unusable pack.

    With `trusting`, a file that was found sound before and looks unchanged is not read again. After a failure
    `trusting` must be off, because bits can flip without a visible change of the file.
    """
    journal = read_journal(node, repo)
    mended = node.store.mend(repo.public_id, journal.listed.packs, trusting=trusting)
    mended.faults += journal.faults
    note_mended(node, repo, mended)
    return mended


def note_mended(node: Node, repo: Repo, mended: Mended) -> None:
    """Log which files were made anew, and note the unusable packs. Faults of unlisted packs are dropped."""
    for name in mended.rebuilt:
        log_repo_event(
            repo,
            "derived file was damaged and is made anew",
            level=logging.WARNING,
            file=name,
        )
    if mended.faults:
        # Maintenance may have replaced a pack, or the repository may be gone, since the list was read.
        now = read_packs(node, repo, fresh=True)
        listed = {pack.name for pack in now.packs} | {row.pack.name for row in now.journal}
        mended.faults = [f for f in mended.faults if f.pack in listed or (listed and not f.pack)]
        for fault in mended.faults:
            note_damage(node, repo, fault)


def note_damage(node: Node, repo: Repo, fault: PackFault, *, oid: str = "") -> None:
    """Log a damage once, and keep it for reports on the server's readiness.

    `fault.pack` is "" when all packs are lost, or when it is unknown which pack held the object `oid`.
    """
    kept_oid = oid if fault.reason == _UNHELD else ""
    if not node.damage.add((repo.id, fault.pack, kept_oid)):
        return
    now = node.clock()
    try:
        with node.database.write() as session:
            is_news = count_damage_of_repo(session, repo.id) < limits.damage_rows_max and insert_damage(
                session, repo.id, pack=fault.pack, oid=kept_oid, reason=fault.reason, now=now
            )
    except Unavailable:  # the log must name the damage even when SQL cannot keep it
        is_news = True
    if is_news:
        log_repo_event(
            repo,
            "stored data is damaged",
            level=logging.ERROR,
            object=oid or _find_witness(node, repo, fault.pack),
            pack=fault.pack,
            reason=fault.reason,
        )


def _find_witness(node: Node, repo: Repo, pack: str) -> str:
    """Return an object that was lost with the pack, one that a ref names if possible; "" when none can be found."""
    with node.database.read() as session:
        values = {ref.oid: None for ref in list_refs(session, repo.id)}
    oids: list[Oid] = []
    with contextlib.suppress(FileNotFoundError, Corrupt):
        oids = list(itertools.islice(node.store.list_oids(repo.public_id, pack), limits.damage_witnesses_max))
    if oids:
        held = set(oids)
        return next((oid for oid in values if oid in held), oids[0])
    try:
        journal = read_journal(node, repo)
        with contextlib.closing(open_packs(node, repo, journal.listed)) as opened, opened.reader() as stored:
            reader = JournalReader(journal.packs, lambda: stored)
            return next((oid for oid in values if reader.kind_and_size(oid) is None), "")
    except (OSError, Corrupt):  # another pack is damaged, too
        return next(iter(values), "")


def report_missing(node: Node, repo: Repo, oid: Oid) -> Reason:
    """Note that a required object is in no pack; return the error to raise.

    The error is RepositoryMended when the object is there by now, and RepoNotFound when the repository was deleted
    meanwhile.
    """
    if read_packs(node, repo, fresh=True) is GONE:
        return RepoNotFound(repo.name)
    mended = mend(node, repo)
    found, is_there = _look_at(node, repo, oid)
    if found is not None:
        return found
    faults = mended.faults
    if is_there or mended.rebuilt or (not faults and mend(node, repo).rebuilt):
        return RepositoryMended(repo.name)
    if not faults:  # `mend` has noted the faults of packs
        note_damage(node, repo, PackFault("", _UNHELD), oid=oid)
    return RepositoryDamaged(repo, oid=oid)


def find_unreadable(node: Node, repo: Repo, oid: Oid) -> RepositoryDamaged | None:
    """Return the error for an object that cannot be read; None when the packs that hold it are sound."""
    for pack in node.store.find_holders(repo.public_id, list_listed_packs(node, repo), oid):
        if is_damaged(node, repo, pack, oid):
            return RepositoryDamaged(repo, oid=oid)
    return None


def find_reason(
    node: Node, repo: Repo, error: GitFailed | Corrupt, *, may_lack: bool = False
) -> Reason | None:
    """Return the error for failed work on stored objects; None when the cause lies elsewhere.

    RepoNotFound: the repository was deleted meanwhile. RepositoryDamaged: a pack or object that the failure names was
    read again here, and is damaged; git's word alone is not believed. RepositoryMended: git could not read something
    that is readable now, so any result of git without it is wrong. With `may_lack`, the failure may name objects that
    the repository never had.
    """
    if read_packs(node, repo, fresh=True) is GONE:
        return RepoNotFound(repo.name)
    mended = mend(node, repo)
    listed = {pack.name: pack for pack in list_listed_packs(node, repo)}
    packs: list[str] = []
    oids: list[Oid] = []
    is_derived = isinstance(error, PackCorrupt)
    if isinstance(error, GitFailed):
        packs = [name for name in error.packs if name in listed][:_NAMED_MAX]
        oids = error.objects[:_NAMED_MAX]
        is_derived = error.is_about_derived_files
    if isinstance(error, ObjectCorrupt):
        oids.append(error.oid)
    for name in packs:
        if is_damaged(node, repo, listed[name], oids[0] if oids else ""):
            return RepositoryDamaged(repo, pack=name)
    was_mended = bool(mended.rebuilt or packs or is_derived)
    for oid in oids:
        found, is_there = _look_at(node, repo, oid)
        if found is not None:
            return found
        if not is_there and not may_lack:
            return report_missing(node, repo, oid)
        was_mended = was_mended or is_there
    if mended.faults:
        return RepositoryDamaged(repo, pack=mended.faults[0].pack)
    return RepositoryMended(repo.name) if was_mended else None


def check_complaint(node: Node, repo: Repo, complaint: GitFailed, *, may_lack: bool = False) -> None:
    """Raise the Reason why git could not read objects; return when the cause lies elsewhere.

    With `may_lack`, git may have been asked about objects that the repository does not have.
    """
    reason = find_reason(node, repo, complaint, may_lack=may_lack)
    if reason is not None:
        raise reason from complaint


@contextlib.contextmanager
def telling_damage(node: Node, repo: Repo) -> Iterator[None]:
    """Replace failures of git and unreadable objects by the Reason for them, if find_reason() finds one."""
    try:
        yield
    except RepositoryDamaged:
        raise
    except (GitFailed, Corrupt) as error:
        reason = find_reason(node, repo, error)
        if reason is None:
            raise
        raise reason from error


def require_sound(node: Node, repo: Repo) -> None:
    """Raise RepositoryDamaged when a listed pack is unusable: an object that seems absent may have been in it."""
    faults = mend(node, repo).faults
    if faults:
        raise RepositoryDamaged(repo, pack=faults[0].pack)


def require_whole(node: Node, repo: Repo) -> None:
    """Raise when a listed pack was unreadable just now. Needed after git commands that leave out objects silently.

    Raises RepositoryDamaged for a pack that is unusable and RepositoryMended for one that was mended here.
    """
    mended = mend(node, repo, trusting=True)
    if mended.faults:
        raise RepositoryDamaged(repo, pack=mended.faults[0].pack)
    if mended.rebuilt:
        raise RepositoryMended(repo.name)


def list_listed_packs(node: Node, repo: Repo) -> Sequence[Pack]:
    """Return the live stored packs of the repository as they are now; empty for a deleted repository."""
    return read_packs(node, repo, fresh=True).packs


def is_damaged(node: Node, repo: Repo, pack: Pack, oid: str = "") -> bool:
    """Tell whether the content of a pack has changed since it was written. A damage is noted when it is first found."""
    if node.damage.has((repo.id, pack.name, "")):
        return True
    reason = node.store.find_content_fault(repo.public_id, pack)
    if reason is None or all(listed.name != pack.name for listed in list_listed_packs(node, repo)):
        return False  # the content is sound, or maintenance has replaced the pack meanwhile
    note_damage(node, repo, PackFault(pack.name, reason), oid=oid)
    return True


def _look_at(node: Node, repo: Repo, oid: Oid) -> tuple[RepositoryDamaged | None, bool]:
    """Read an object that could not be used; return the error to raise for it, and whether it is there and sound."""
    held = read_journal(node, repo)
    if any(oid in pack for pack in held.packs):
        return None, True
    with contextlib.closing(open_packs(node, repo, held.listed)) as opened:
        reader = FreshReader(place_of(node, opened))
        try:
            header = reader.kind_and_size(oid)
            if header is not None and header[1] <= limits.object_in_process_max_bytes:
                reader.read(oid)
        except (Corrupt, ObjectMissing):
            damaged = find_unreadable(node, repo, oid)
            return damaged, False
        return None, header is not None
