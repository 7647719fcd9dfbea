"""Keeping packs few: many small packs become one, and small tiers become larger ones.

Every commit over HTTP makes a pack; a thousand of them cost a reader milliseconds and a clone most of a second.
Packs of like size are merged whenever there are too many, so that each object is copied a number of times that
grows with the logarithm of the repository, not with its age. Nothing is dropped: unreachable objects are what
undo works with.

Order: the new pack is durable and in place; a multi-pack-index that names only what stays is published; SQL
lists the new pack and retires the old; then those are unlinked that no reader at work may have open. A crash
between any two steps leaves more packs than needed and nothing missing. A damaged pack is set aside, named once in the
log, and the others are joined.
"""

from collections.abc import Sequence

from packhouse import limits
from packhouse.db.damage import list_damage_of_repo
from packhouse.db.packs import (
    delete_pack_rows,
    insert_packs,
    list_known_packs,
    list_retired_packs,
    retire_packs,
)
from packhouse.db.ref_transaction import PackRow
from packhouse.db.repos import Repo, find_repo_by_public_id
from packhouse.errors import Corrupt, Invalid
from packhouse.git.pack_concat import concatenate_packs
from packhouse.git.process import GitFailed, run_git
from packhouse.node.node import Node
from packhouse.repository.damage import is_damaged, mend
from packhouse.repository.repo_log import log_repo_event
from packhouse.storage.pack_file import PackFile

_IN_PROCESS_MAX_BYTES = 64 * limits.MIB
_REPACK_MAX_S = 3600
_UNLINK_WAIT_S = 0.2  # most readers end sooner; what a clone of hours holds goes in a later round


def consolidate(node: Node, repo_id: str) -> int:
    """Merge packs of the repository until they are few; return how many were replaced.

    Does nothing while another process works on the same repository, or when its packs are few.
    """
    with node.store.maintenance(repo_id) as turn:
        if turn is None:
            return 0
        with node.database.read() as session:
            repo = find_repo_by_public_id(session, repo_id)
            noted = [] if repo is None else list_damage_of_repo(session, repo.id)
        if repo is None:
            return 0
        aside = {pack for pack, _ in noted}
        replaced = 0
        is_second_try = False
        retired = _unlink_retired(node, repo)
        while chosen := choose_packs(_packs_in_use(node, repo_id, retired | aside)):
            try:
                merged = _merge(node, repo_id, chosen)
            except (Corrupt, GitFailed):
                damaged = _find_damaged(node, repo, chosen, turn)
                if not damaged and is_second_try:
                    raise
                is_second_try = not damaged  # an idx may have been the reason, and is made anew by now
                aside |= damaged  # the others are joined without them
                continue
            old = [pack for pack in chosen if pack.name != merged.name]
            _replace(node, repo, old, merged, aside=aside, turn=turn)
            replaced += len(old)
            retired = _unlink_retired(node, repo)
        return replaced


def _find_damaged(node: Node, repo: Repo, chosen: Sequence[PackFile], turn: int) -> set[str]:
    """Return those of the chosen packs that cannot be joined, each noted; an idx that was the reason is made anew."""
    unusable = {fault.pack for fault in mend(node, repo, turn=turn).faults}
    return {pack.name for pack in chosen if pack.name in unusable or is_damaged(node, repo, pack)}


def choose_packs(packs: Sequence[PackFile]) -> list[PackFile]:
    """Return the packs to merge next, none when they are few enough.

    The smallest go first, and each larger one joins while it is no bigger than all chosen before it together,
    so that a large pack is copied only when as much has come beside it.
    """
    if len(packs) <= limits.packs_before_consolidation:
        return []
    by_size = sorted(packs, key=lambda pack: (pack.size_bytes, pack.name))
    surplus = len(packs) - limits.packs_before_consolidation // 2
    chosen: list[PackFile] = []
    total = 0
    for pack in by_size:
        if len(chosen) >= surplus and pack.size_bytes > total:
            break
        chosen.append(pack)
        total += pack.size_bytes
    return chosen if len(chosen) > 1 else []


def _packs_in_use(node: Node, repo_id: str, retired: set[str]) -> list[PackFile]:
    return [pack for pack in node.store.list_packs(repo_id) if pack.name not in retired]


def _unlink_retired(node: Node, repo: Repo) -> set[str]:
    """Unlink replaced packs; return the names of those that stay, since readers may have them open.

    The rows go first: a pack that was written once more meanwhile is in use again, keeps its row and stays.
    """
    with node.database.read() as session:
        retired = {pack.name for pack in list_retired_packs(session, repo.id, retired_before=node.clock())}
    if not retired:
        return set()
    pinned = node.store.find_pinned(repo.public_id, retired, wait_max_s=_UNLINK_WAIT_S)
    going = retired - pinned
    with node.database.write() as session:
        delete_pack_rows(session, repo.id, going)
        going -= {pack.name for pack in list_known_packs(session, repo.id)}
    node.store.unlink_packs(repo.public_id, going)
    if going:
        log_repo_event(
            repo,
            "packs deleted that another has replaced",
            packs=sorted(going),
        )
    return pinned


def _merge(node: Node, repo_id: str, chosen: Sequence[PackFile]) -> PackFile:
    """Put one pack with all objects of the chosen ones in place, durably."""
    if sum(pack.size_bytes for pack in chosen) <= _IN_PROCESS_MAX_BYTES:
        pack_dir = node.store.repo_path(repo_id) / "objects" / "pack"
        with node.store.new_draft() as draft:
            try:
                concatenate_packs([pack_dir / f"pack-{pack.name}.pack" for pack in chosen], draft.writer)
            except Invalid:  # deltas, which came by push: git knows how to copy those
                return _merge_with_git(node, repo_id, chosen)
            return node.store.publish_draft(draft, repo_id)
    return _merge_with_git(node, repo_id, chosen)


def _merge_with_git(node: Node, repo_id: str, chosen: Sequence[PackFile]) -> PackFile:
    """Repack with git, which keeps unreachable objects too when it is given packs instead of refs."""
    git_dir = node.store.repo_path(repo_id)
    with node.store.new_quarantine() as quarantine, node.store.hold(repo_id) as lock:
        run_git(
            git_dir,
            "pack-objects",
            "--stdin-packs",
            "--quiet",
            "--threads=1",
            str(quarantine.pack_dir / "pack"),
            stdin="".join(f"pack-{pack.name}.pack\n" for pack in chosen).encode("ascii"),
            # A pack that is not finished must not lie in the repository, where nobody would sweep it.
            env=quarantine.environment(git_dir),
            pass_fds=(lock,),
            timeout_s=_REPACK_MAX_S,
        )
        published = node.store.publish(quarantine, repo_id)
    assert len(published) == 1, "all chosen packs become one"
    return published[0]


def _replace(
    node: Node, repo: Repo, old: Sequence[PackFile], merged: PackFile, *, aside: set[str], turn: int
) -> None:
    """Publish the multi-pack-index of what stays and tell SQL; `turn` is the held maintenance lock.

    Packs that are set `aside` are not in that index: git would not write one over an idx that it cannot read.
    """
    gone = {pack.name for pack in old} | aside
    with node.database.read() as session:
        gone |= {pack.name for pack in list_retired_packs(session, repo.id, retired_before=node.clock())}
    staying = _packs_in_use(node, repo.public_id, gone)
    with node.store.hold(repo.public_id) as lock:
        run_git(
            node.store.repo_path(repo.public_id),
            "multi-pack-index",
            "write",
            "--stdin-packs",
            stdin="".join(f"pack-{pack.name}.idx\n" for pack in staying).encode("ascii"),
            pass_fds=(lock, turn),
            timeout_s=_REPACK_MAX_S,
        )
    # The new index must not get lost once SQL has retired what the old one names: those packs go then.
    node.store.sync_packs(repo.public_id)
    now = node.clock()
    with node.database.write() as session:
        insert_packs(session, repo.id, [PackRow(merged.name, merged.size_bytes, merged.objects)], now=now)
        retire_packs(session, repo.id, [pack.name for pack in old], now=now)
