"""Damage of stored data: what SQL names and the store lacks or cannot read.

It is the server's fault and never the client's: readers get RepositoryDamaged and never NotFound. Each damage is told
once in the log and kept in SQL until it is mended. What is derived from packs is made anew on the way.
"""

import contextlib
import logging
from collections.abc import Iterator
from typing import Final

from packhouse import limits
from packhouse.db.damage import (
    DamageRow,
    count_damage_of_repo,
    count_damaged_repos,
    delete_damage,
    insert_damage,
    list_damage,
    list_damage_of_repo,
    list_damaged_repo_ids,
)
from packhouse.db.packs import list_packs
from packhouse.db.refs import list_refs
from packhouse.db.repos import Repo, RepoNotFound, find_repo_by_id, find_repo_by_public_id
from packhouse.errors import Corrupt, PackhouseError, Unavailable
from packhouse.git.complaints import find_objects, find_packs
from packhouse.git.oid import Oid
from packhouse.git.process import GitFailed, GitResult
from packhouse.git.reader import FreshReader
from packhouse.log import log_event
from packhouse.operations.node import Node
from packhouse.storage.derived_files import PackFault
from packhouse.storage.pack_file import PackFile

_UNHELD: Final = "no listed pack holds the object"
_NAMED_MAX: Final = 10
_COMPLAINT_MAX_BYTES: Final = 4 * limits.KIB


class RepositoryDamaged(Corrupt):
    """What the repository consists of is lost or damaged; an operator must look. Fields: repo, what."""

    def __init__(self, repo: Repo, *, pack: str = "", oid: str = "") -> None:
        what = f"object {oid}" if oid else f"pack {pack}"
        super().__init__("stored data is damaged", repo=repo.name, what=what)


def mend(node: Node, repo: Repo, *, turn: int | None = None) -> list[PackFault]:
    """Make anew what is missing or damaged beside the listed packs; return the packs that stay unusable, noted.

    `turn` is the maintenance lock of the repository, if the caller holds it.
    """
    mended = node.store.mend(repo.public_id, _list_packs(node, repo), turn=turn)
    for name in mended.rebuilt:
        log_event(
            "derived file was damaged and is made anew",
            level=logging.WARNING,
            repo=f"{repo.org_name}/{repo.name}",
            repo_id=repo.public_id,
            file=name,
        )
    if not mended.faults:
        return []
    # Maintenance may have replaced a pack, or the repository may be gone, since the list was read.
    listed = {pack.name for pack in _list_packs(node, repo)}
    faults = [fault for fault in mended.faults if fault.pack in listed]
    for fault in faults:
        note_damage(node, repo, fault)
    return faults


def mend_if_needed(node: Node, repo: Repo) -> None:
    """Mend when one look at the folder shows that something is missing or damaged beside the packs."""
    if not node.store.looks_whole(repo.public_id):
        mend(node, repo)


def note_damage(node: Node, repo: Repo, fault: PackFault, *, oid: str = "") -> None:
    """Log a damage, once, and keep it for those who ask how ready the server is.

    `fault.pack` is "" when it is not known which pack the object `oid` was in.
    """
    kept_oid = "" if fault.pack else oid
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
        log_event(
            "stored data is damaged",
            level=logging.ERROR,
            repo=f"{repo.org_name}/{repo.name}",
            repo_id=repo.public_id,
            object=oid or _find_witness(node, repo, fault.pack),
            pack=fault.pack,
            reason=fault.reason,
        )


def _find_witness(node: Node, repo: Repo, pack: str) -> str:
    """Return an object that went with the pack: where a ref is, if it can be, or "" when nothing tells."""
    with node.database.read() as session:
        values = {ref.oid: None for ref in list_refs(session, repo.id)}
    oids = node.store.list_pack_oids(repo.public_id, pack, count_max=limits.damage_witnesses_max)
    if oids:
        held = set(oids)
        return next((oid for oid in values if oid in held), oids[0])
    try:
        with node.store.reader(repo.public_id) as reader:
            return next((oid for oid in values if reader.kind_and_size(oid) is None), "")
    except (FileNotFoundError, Corrupt):  # the folder is gone, or another pack is damaged, too
        return next(iter(values), "")


def report_missing(node: Node, repo: Repo, oid: Oid) -> RepositoryDamaged:
    """Note that an object which must be there is in no pack; return what to raise.

    Raises RepoNotFound when the repository was deleted meanwhile, with all that it held.
    """
    with node.database.read() as session:
        now = find_repo_by_id(session, repo.id)
    if now is None or now.deleted_at is not None:
        raise RepoNotFound(repo.name)
    faults = mend(node, repo)
    note_damage(node, repo, faults[0] if faults else PackFault("", _UNHELD), oid=oid)
    return RepositoryDamaged(repo, oid=oid)


def find_unreadable(node: Node, repo: Repo, oid: Oid) -> RepositoryDamaged | None:
    """Return what to raise for an object that cannot be read; None when the packs that hold it are sound."""
    listed = {pack.name: pack for pack in _list_packs(node, repo)}
    for name in node.store.find_holders(repo.public_id, oid):
        if name in listed and is_damaged(node, repo, listed[name], oid):
            return RepositoryDamaged(repo, oid=oid)
    return None


def find_damage(
    node: Node, repo: Repo, error: PackhouseError, *, may_lack: bool = False
) -> RepositoryDamaged | None:
    """Return what to raise for work on stored objects that failed, None when the reason lies elsewhere.

    What the failure names (packs and objects, in git's words) is looked at here: git's word alone is not believed.
    `may_lack`: it may name objects that the repository never had.
    """
    faults = mend(node, repo)
    text = str(error.fields.get("text", ""))
    listed = {pack.name: pack for pack in _list_packs(node, repo)}
    oids = find_objects(text)[:_NAMED_MAX]
    if isinstance(oid := error.fields.get("oid"), str):
        oids.append(Oid(oid))
    for name in find_packs(text)[:_NAMED_MAX]:
        if name in listed and is_damaged(node, repo, listed[name], oids[0] if oids else ""):
            return RepositoryDamaged(repo, pack=name)
    for oid in oids:
        found = _look_for(node, repo, oid, may_lack=may_lack)
        if found is not None:
            return found
    return RepositoryDamaged(repo, pack=faults[0].pack) if faults else None


def check_answer(node: Node, repo: Repo, answer: GitResult, *, may_lack: bool = False) -> None:
    """Raise RepositoryDamaged when git complained of objects that it could not read, whatever its exit code.

    `may_lack`: git was asked of objects that the repository need not have.
    """
    if answer.code > 1 or b"error: " in answer.stderr:
        text = answer.stderr[-_COMPLAINT_MAX_BYTES:].decode("utf-8", "replace")
        failed = GitFailed("git failed", command="", code=answer.code, text=text)
        damaged = find_damage(node, repo, failed, may_lack=may_lack)
        if damaged is not None:
            raise damaged from failed


@contextlib.contextmanager
def telling_damage(node: Node, repo: Repo) -> Iterator[None]:
    """Turn failures of git, and unreadable objects, into RepositoryDamaged where damage is the reason."""
    try:
        yield
    except RepositoryDamaged:
        raise
    except (GitFailed, Corrupt) as error:
        damaged = find_damage(node, repo, error)
        if damaged is None:
            raise
        raise damaged from error


def require_sound(node: Node, repo: Repo) -> None:
    """Raise RepositoryDamaged when a listed pack is unusable: what is missing may have been in it."""
    faults = mend(node, repo)
    if faults:
        raise RepositoryDamaged(repo, pack=faults[0].pack)


def holds_objects(node: Node, repo: Repo) -> bool:
    """Tell whether the repository holds objects; raise RepositoryDamaged when its folder is lost."""
    if node.store.has_repo(repo.public_id):
        return True
    if _list_packs(node, repo):
        require_sound(node, repo)
        return node.store.has_repo(repo.public_id)
    return False


def read_damage(node: Node) -> tuple[int, list[DamageRow]]:
    """Return how many repositories are damaged, and the noted damages, at most `limits.damage_listed_max`."""
    with node.database.read() as session:
        return count_damaged_repos(session), list_damage(session, limit=limits.damage_listed_max)


def count_damaged(node: Node) -> int:
    """Return how many repositories are damaged."""
    with node.database.read() as session:
        return count_damaged_repos(session)


def recheck_damage(node: Node) -> int:
    """Strike off what an operator has mended; return how many damages that were."""
    node.damage.clear()
    with node.database.read() as session:
        public_ids = list_damaged_repo_ids(session, limit=limits.damage_listed_max)
    return sum(_recheck_repo(node, public_id) for public_id in public_ids)


def _recheck_repo(node: Node, public_id: str) -> int:
    with node.database.read() as session:
        repo = find_repo_by_public_id(session, public_id)
        noted = [] if repo is None else list_damage_of_repo(session, repo.id)
    if repo is None:
        return 0
    mend(node, repo)
    listed = {pack.name: pack for pack in _list_packs(node, repo)}
    mended = [(pack, oid) for pack, oid in noted if _is_mended(node, repo, listed, pack, oid)]
    if mended:
        with node.database.write() as session:
            for pack, oid in mended:
                delete_damage(session, repo.id, pack=pack, oid=oid)
        log_event(
            "damage is mended",
            level=logging.WARNING,
            repo=f"{repo.org_name}/{repo.name}",
            repo_id=repo.public_id,
            packs=[pack for pack, _ in mended if pack],
            objects=[oid for _, oid in mended if oid],
        )
    return len(mended)


def _is_mended(node: Node, repo: Repo, listed: dict[str, PackFile], pack: str, oid: str) -> bool:
    if pack:
        return pack not in listed or node.store.find_content_fault(repo.public_id, listed[pack]) is None
    holders = node.store.find_holders(repo.public_id, Oid(oid))
    return any(
        name in listed and node.store.find_content_fault(repo.public_id, listed[name]) is None
        for name in holders
    )


def _list_packs(node: Node, repo: Repo) -> list[PackFile]:
    """Return what the repository consists of: nothing once it is deleted."""
    with node.database.read() as session:
        now = find_repo_by_id(session, repo.id)
        if now is None or now.deleted_at is not None:
            return []
        return [PackFile(pack.name, pack.size_bytes, pack.objects) for pack in list_packs(session, repo.id)]


def is_damaged(node: Node, repo: Repo, pack: PackFile, oid: str = "") -> bool:
    """Tell whether a pack is not what was written; that is found out once and noted."""
    if node.damage.has((repo.id, pack.name, "")):
        return True
    reason = node.store.find_content_fault(repo.public_id, pack)
    if reason is not None:
        note_damage(node, repo, PackFault(pack.name, reason), oid=oid)
    return reason is not None


def _look_for(node: Node, repo: Repo, oid: Oid, *, may_lack: bool) -> RepositoryDamaged | None:
    """Look at an object that git could not use; return what to raise when it is missing or unreadable."""
    reader = FreshReader(node.store.repo_path(repo.public_id))
    try:
        header = reader.kind_and_size(oid)
        if header is not None and header[1] <= limits.object_in_process_max_bytes:
            reader.read(oid)
    except Corrupt:
        return find_unreadable(node, repo, oid)
    return report_missing(node, repo, oid) if header is None and not may_lack else None
