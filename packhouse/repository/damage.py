"""Damage of stored data: what SQL names and the store lacks or cannot read.

It is the server's fault and never the client's: readers get RepositoryDamaged and never NotFound. Each damage is told
once in the log and kept in SQL until it is mended. What is derived from packs is made anew on the way.
"""

import contextlib
import itertools
import logging
from collections.abc import Iterator, Sequence
from typing import Final

from packhouse import limits
from packhouse.db.damage import count_damage_of_repo, insert_damage
from packhouse.db.refs import list_refs
from packhouse.db.repos import Repo, RepoNotFound
from packhouse.error_codes import Code
from packhouse.errors import Corrupt, Unavailable
from packhouse.git.commands.cat_file import FreshReader
from packhouse.git.commands.run import GitFailed
from packhouse.git.objects.errors import ObjectCorrupt
from packhouse.git.objects.reader import ObjectMissing
from packhouse.git.oid import Oid
from packhouse.git.packs.errors import PackCorrupt
from packhouse.git.packs.pack import Pack
from packhouse.node.node import Node
from packhouse.repository.packs import GONE, open_packs, place_of, read_packs
from packhouse.repository.repo_log import log_repo_event
from packhouse.storage.store import Mended, PackFault

_UNHELD: Final = "no listed pack holds the object"
_NAMED_MAX: Final = 10


class RepositoryDamaged(Corrupt):
    """What the repository consists of is lost or damaged; an operator must look."""

    code = Code.REPOSITORY_DAMAGED
    repo: str
    what: str

    def __init__(self, repo: Repo, *, pack: str = "", oid: str = "") -> None:
        self.repo = repo.name
        self.what = f"object {oid}" if oid else f"pack {pack}" if pack else "its folder"


class RepositoryMended(Unavailable):
    """Git could not read something that is in place by now. Retry this very call."""

    code = Code.REPOSITORY_MENDED
    repo: str


Reason = RepositoryDamaged | RepositoryMended | RepoNotFound
"""Why stored objects could not be used: they are damaged, were a moment ago, or went with their repository."""


def mend(node: Node, repo: Repo, *, trusting: bool = False) -> Mended:
    """Make anew what is missing or damaged beside the listed packs; the packs that stay unusable are noted.

    With `trusting`, what was found sound before and does not look changed is not read again; after a failure it is,
    since bits may flip unseen.
    """
    mended = node.store.mend(repo.public_id, list_listed_packs(node, repo), trusting=trusting)
    note_mended(node, repo, mended)
    return mended


def note_mended(node: Node, repo: Repo, mended: Mended) -> None:
    """Tell what was made anew, and note what stays unusable; faults of packs that are not listed now are dropped."""
    for name in mended.rebuilt:
        log_repo_event(
            repo,
            "derived file was damaged and is made anew",
            level=logging.WARNING,
            file=name,
        )
    if mended.faults:
        # Maintenance may have replaced a pack, or the repository may be gone, since the list was read.
        listed = {pack.name for pack in list_listed_packs(node, repo)}
        mended.faults = [f for f in mended.faults if f.pack in listed or (listed and not f.pack)]
        for fault in mended.faults:
            note_damage(node, repo, fault)


def note_damage(node: Node, repo: Repo, fault: PackFault, *, oid: str = "") -> None:
    """Log a damage, once, and keep it for those who ask how ready the server is.

    `fault.pack` is "" when all packs are lost, or it is not known which pack the object `oid` was in.
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
    except Unavailable:  # the log must have it all the same
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
    """Return an object that went with the pack: where a ref is, if it can be, or "" when nothing tells."""
    with node.database.read() as session:
        values = {ref.oid: None for ref in list_refs(session, repo.id)}
    oids: list[Oid] = []
    with contextlib.suppress(FileNotFoundError, Corrupt):
        oids = list(itertools.islice(node.store.list_oids(repo.public_id, pack), limits.damage_witnesses_max))
    if oids:
        held = set(oids)
        return next((oid for oid in values if oid in held), oids[0])
    try:
        with (
            contextlib.closing(open_packs(node, repo, read_packs(node, repo, fresh=True))) as opened,
            opened.reader() as reader,
        ):
            return next((oid for oid in values if reader.kind_and_size(oid) is None), "")
    except (OSError, Corrupt):  # another pack is damaged, too
        return next(iter(values), "")


def report_missing(node: Node, repo: Repo, oid: Oid) -> Reason:
    """Note that an object which must be there is in no pack; return what to raise.

    That is RepositoryMended when it is there by now, and RepoNotFound when the repository was deleted meanwhile.
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
    if not faults:  # those are noted
        note_damage(node, repo, PackFault("", _UNHELD), oid=oid)
    return RepositoryDamaged(repo, oid=oid)


def find_unreadable(node: Node, repo: Repo, oid: Oid) -> RepositoryDamaged | None:
    """Return what to raise for an object that cannot be read; None when the packs that hold it are sound."""
    for pack in node.store.find_holders(repo.public_id, list_listed_packs(node, repo), oid):
        if is_damaged(node, repo, pack, oid):
            return RepositoryDamaged(repo, oid=oid)
    return None


def find_reason(
    node: Node, repo: Repo, error: GitFailed | Corrupt, *, may_lack: bool = False
) -> Reason | None:
    """Return what to raise for work on stored objects that failed, None when the reason lies elsewhere.

    That is RepoNotFound when the repository was deleted meanwhile. What the failure names (packs and objects, in git's
    words) is looked at here: git's word alone is not believed. What it could not read and is readable now was mended
    meanwhile, and whatever git found without it is wrong.
    `may_lack`: it may name objects that the repository never had.
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
    """Raise the Reason why git could not read objects; return when there is none.

    `may_lack`: git was asked of objects that the repository need not have.
    """
    reason = find_reason(node, repo, complaint, may_lack=may_lack)
    if reason is not None:
        raise reason from complaint


@contextlib.contextmanager
def telling_damage(node: Node, repo: Repo) -> Iterator[None]:
    """Turn failures of git, and unreadable objects, into the Reason for them where there is one."""
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
    """Raise RepositoryDamaged when a listed pack is unusable: what is missing may have been in it."""
    faults = mend(node, repo).faults
    if faults:
        raise RepositoryDamaged(repo, pack=faults[0].pack)


def require_whole(node: Node, repo: Repo) -> None:
    """Raise unless nothing was missing just now, for answers of git that say nothing when they leave something out.

    Raises RepositoryDamaged and RepositoryMended.
    """
    mended = mend(node, repo, trusting=True)
    if mended.faults:
        raise RepositoryDamaged(repo, pack=mended.faults[0].pack)
    if mended.rebuilt:
        raise RepositoryMended(repo.name)


def list_listed_packs(node: Node, repo: Repo) -> Sequence[Pack]:
    """Return what the repository consists of now: nothing once it is deleted."""
    return read_packs(node, repo, fresh=True).packs


def is_damaged(node: Node, repo: Repo, pack: Pack, oid: str = "") -> bool:
    """Tell whether a pack is not what was written; that is found out once and noted."""
    if node.damage.has((repo.id, pack.name, "")):
        return True
    reason = node.store.find_content_fault(repo.public_id, pack)
    if reason is None or all(listed.name != pack.name for listed in list_listed_packs(node, repo)):
        return False  # or maintenance has replaced it meanwhile
    note_damage(node, repo, PackFault(pack.name, reason), oid=oid)
    return True


def _look_at(node: Node, repo: Repo, oid: Oid) -> tuple[RepositoryDamaged | None, bool]:
    """Look at an object that could not be used: return what to raise for it, and whether it is there and sound."""
    with contextlib.closing(open_packs(node, repo, read_packs(node, repo, fresh=True))) as opened:
        reader = FreshReader(place_of(node, opened))
        try:
            header = reader.kind_and_size(oid)
            if header is not None and header[1] <= limits.object_in_process_max_bytes:
                reader.read(oid)
        except (Corrupt, ObjectMissing):
            damaged = find_unreadable(node, repo, oid)
            return damaged, False
        return None, header is not None
