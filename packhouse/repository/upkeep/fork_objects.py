"""Copying the objects that some roots lead to into a new repository, and no other objects.

A pack is hard-linked if every object in it is wanted: a link costs neither time nor space, and packs never change. A
row of the journal whose objects are all wanted is copied as a row. The other objects are written anew. An unwanted
object of the source must not come along, not even within a pack: a push could name it, or make a delta against it, and
so read it.
"""

from collections.abc import Sequence

from packhouse import limits
from packhouse.git import Oid
from packhouse.git.commands.pack_objects import Wanted
from packhouse.git.commands.rev_list import Revisions
from packhouse.git.packs import Pack, PackIdx
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write
from packhouse.storage import OpenedPacks


def copy_objects(write: Write, roots: Sequence[Oid]) -> None:
    """Put into `write` the objects of its view that `roots` lead to, and no others."""
    if not roots:
        return
    wanted = _list_objects(write.view, roots)
    if wanted is None:
        _pack(write, Revisions(roots))
        return
    missing = set(wanted)
    opened, source = write.view.packs(), write.view.repo
    for held in write.view.journal():
        journaled = set(held.iter_oids())
        if journaled <= wanted and not missing.isdisjoint(journaled):
            write.copy_journaled(held)
            missing -= journaled
    for pack in sorted(write.view.listed().packs, key=lambda pack: -pack.size_bytes):
        if not missing:
            break
        oids = _read_pack_oids(opened, pack, wanted)
        if oids is not None and not missing.isdisjoint(oids):
            write.link_stored(source.public_id, pack)
            missing.difference_update(oids)
    if missing:
        _pack(write, missing)


def _list_objects(view: RepoView, roots: Sequence[Oid]) -> set[Oid] | None:
    """Return `roots` and all objects that they lead to; None when these are too many to keep in memory."""
    listed: set[Oid] = set()
    for oid in view.git.iter_objects(Revisions(roots), timeout_s=limits.fork_max_s):
        listed.add(oid)
        if len(listed) > limits.fork_objects_in_memory_max:
            return None
    return listed


def list_reached(view: RepoView, tip: Oid, among: set[Oid]) -> set[Oid]:
    """Return the commits of `among` that are reachable from the commit `tip`."""
    commits = view.git.iter_commits(Revisions([tip]), timeout_s=limits.fork_max_s)
    return {oid for oid in commits if oid in among}


def is_reached(view: RepoView, commit: Oid, tips: Sequence[Oid]) -> bool:
    """Tell whether the existing commit `commit` is reachable from one of `tips`."""
    return not view.git.list_commits(Revisions([commit], tips), count_max=1, timeout_s=limits.fork_max_s)


def _read_pack_oids(opened: OpenedPacks, pack: Pack, wanted: set[Oid]) -> list[Oid] | None:
    """Return the ids in a pack; None when one of them is unwanted, or the pack cannot be used."""
    if pack.objects > len(wanted) or any(fault.pack == pack.name for fault in opened.mended.faults):
        return None
    oids = []
    with PackIdx(opened.object_dir / "pack" / f"pack-{pack.name}.idx") as idx:
        for oid in idx.iter_oids():
            if oid not in wanted:
                return None
            oids.append(oid)
    return oids


def _pack(write: Write, wanted: Wanted) -> None:
    write.make_folder()
    write.git.write_pack(wanted, prefix=write.pack_prefix())
