"""Keeping packs few: small packs are joined into one, and small tiers into larger ones.

Every commit over HTTP makes a pack; a thousand of them cost a reader milliseconds and a clone most of a second. Packs
of like size are joined when there are too many. So an object is copied as often as the logarithm of the repository's
size, not in proportion to its age. No object is dropped: unreachable objects are needed for undo.

Order: the new pack is stored; then one transaction lists it and retires the packs whose objects it holds. After a crash
before the transaction, the sweeper deletes the new pack, which is not listed. After the transaction no step is missing.
Readers at work have links to their packs, so retired packs are deleted only after a while. A damaged pack is left out
and logged once, and the others are joined.
"""

from collections.abc import Sequence

from packhouse import limits
from packhouse.db import Repo, list_damage_of_repo, replace_packs
from packhouse.errors import Corrupt, Invalid
from packhouse.git.commands.run import GitFailed
from packhouse.git.packs import Pack, concatenate_packs
from packhouse.node import Node
from packhouse.repository.damage import is_damaged, mend
from packhouse.repository.stored_packs import sweep_packs
from packhouse.repository.upkeep.lease import Lease
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write

_IN_PROCESS_MAX_BYTES = 64 * limits.MIB
_REPACK_MAX_S = 3600


def consolidate(node: Node, lease: Lease) -> int:
    """Join packs of the repository until they are few; return the number of packs that were replaced.

    Does nothing when its packs are few. Raises LeaseLost.
    """
    repo = lease.repo
    with node.database.read() as session:
        noted = list_damage_of_repo(session, repo.id)
    aside = {pack for pack, _ in noted}
    replaced = 0
    is_second_try = False
    while True:
        with RepoView(node, repo) as view:
            view.packs()
            listed = [pack for pack in view.listed().packs if pack.name not in aside]
            chosen = choose_packs(listed, count_max=node.limits.packs_before_consolidation)
            if not chosen:
                return replaced
            try:
                _join(view, chosen, lease)
            except (Corrupt, GitFailed, FileNotFoundError):
                damaged = _find_damaged(node, repo, chosen)
                if not damaged and is_second_try:
                    raise
                is_second_try = not damaged  # the cause may have been an idx, which is made anew by now
                aside |= damaged  # the others are joined without them
                continue
        replaced += len(chosen)
        sweep_packs(node)


def _find_damaged(node: Node, repo: Repo, chosen: Sequence[Pack]) -> set[str]:
    """Return the chosen packs that are damaged, and note them. An idx that was the cause is made anew."""
    unusable = {fault.pack for fault in mend(node, repo).faults}
    return {pack.name for pack in chosen if pack.name in unusable or is_damaged(node, repo, pack)}


def choose_packs(packs: Sequence[Pack], *, count_max: int) -> list[Pack]:
    """Return the packs to join next; none while there are at most `count_max`.

    The smallest packs are chosen first. A larger pack joins only if it is no bigger than all packs chosen before it
    together, so a large pack is copied only after as many bytes have come beside it.
    """
    if len(packs) <= count_max:
        return []
    by_size = sorted(packs, key=lambda pack: (pack.size_bytes, pack.name))
    surplus = len(packs) - count_max // 2
    chosen: list[Pack] = []
    total = 0
    for pack in by_size:
        if len(chosen) >= surplus and pack.size_bytes > total:
            break
        chosen.append(pack)
        total += pack.size_bytes
    return chosen if len(chosen) > 1 else []


def _join(view: RepoView, chosen: Sequence[Pack], lease: Lease) -> None:
    """Store one pack with all objects of the chosen packs, and list it in their place."""
    node, repo = view.node, view.repo
    with Write(view) as write:
        if sum(pack.size_bytes for pack in chosen) > _IN_PROCESS_MAX_BYTES or not _copy(view, chosen, write):
            with lease.extended():
                _join_with_git(write, chosen)
        packs = write.publish(may_journal=False).packs
        assert len(packs) == 1, "all chosen packs become one"
        with node.database.write() as session:
            lease.check(session)
            is_listed = replace_packs(
                session,
                repo.id,
                old=[pack.name for pack in chosen],
                new=packs,
                state=node.new_state(),
                now=node.clock(),
            )
        if is_listed:
            write.keep_published()


def _copy(view: RepoView, chosen: Sequence[Pack], write: Write) -> bool:
    """Copy the packs as they are. Returns False for packs with deltas, which come from pushes: git must join those."""
    folder = view.packs().object_dir / "pack"
    try:
        concatenate_packs([folder / f"pack-{pack.name}.pack" for pack in chosen], write.writer)
    except Invalid:
        write.forget_writer()
        return False
    return True


def _join_with_git(write: Write, chosen: Sequence[Pack]) -> None:
    """Join with git. It keeps unreachable objects, too, because it is given packs instead of refs."""
    write.make_folder()
    names = [pack.name for pack in chosen]
    write.git.join_packs(names, prefix=write.pack_prefix(), timeout_s=_REPACK_MAX_S)
