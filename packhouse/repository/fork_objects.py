"""Copying what some objects lead to into a new repository, and nothing else.

A pack whose every object is wanted is hard-linked: it costs neither time nor space, and packs never change. The
rest is written anew. An object that the source kept elsewhere must not come along, not even within a pack: a
push could name it, or make a delta against it, and read it so.

Source of the commands' behaviour: git-rev-list(1), git-pack-objects(1); without `--thin` every delta's base is
in the same pack.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from packhouse import limits
from packhouse.db.packs import list_retired_packs
from packhouse.db.repos import Repo
from packhouse.git.oid import Oid
from packhouse.git.pack_idx import PackIdx
from packhouse.git.process import iter_git_output, run_git
from packhouse.node.node import Node
from packhouse.storage.quarantine import Quarantine


def copy_objects(node: Node, source: Repo, lock: int, roots: Sequence[Oid], quarantine: Quarantine) -> None:
    """Put the objects that `roots` lead to, and no others, into `quarantine`.

    `lock` is the descriptor of the source's held lock (`PackStore.hold`). It keeps what was in place when the
    lock was taken. Packs that came later may go again, and their objects are in others then.
    """
    if not roots:
        return
    git_dir = node.store.repo_path(source.public_id)
    wanted = _list_objects(git_dir, roots, lock)
    if wanted is None:
        _pack(git_dir, quarantine, roots, lock, walk=True)
        return
    missing = set(wanted)
    for name in _packs_by_size(node, source):
        if not missing:
            break
        with contextlib.suppress(FileNotFoundError):  # merged into another since it was listed
            oids = _read_pack_oids(git_dir / "objects" / "pack" / f"pack-{name}.idx", wanted)
            if oids is not None and not missing.isdisjoint(oids):
                quarantine.add_pack(git_dir / "objects" / "pack", name)
                missing.difference_update(oids)
    if missing:
        _pack(git_dir, quarantine, missing, lock, walk=False)


def _list_objects(git_dir: Path, roots: Sequence[Oid], lock: int) -> set[Oid] | None:
    """Return what `roots` lead to, themselves included; None when that is too much to keep in memory."""
    listed: set[Oid] = set()
    for oid in _iter_lines(git_dir, ("--objects", "--no-object-names"), roots, lock):
        listed.add(Oid(oid))
        if len(listed) > limits.fork_objects_in_memory_max:
            return None
    return listed


def list_reached(node: Node, repo: Repo, lock: int, tip: Oid, among: set[Oid]) -> set[Oid]:
    """Return those of the commits `among` that are reachable from the commit `tip`."""
    git_dir = node.store.repo_path(repo.public_id)
    return {Oid(oid) for oid in _iter_lines(git_dir, (), [tip], lock) if oid in among}


def is_reached(node: Node, repo: Repo, lock: int, commit: Oid, tips: Iterable[Oid]) -> bool:
    """Tell whether the commit, which exists, is reachable from one of `tips`."""
    git_dir = node.store.repo_path(repo.public_id)
    lines = [commit, *(f"^{tip}" for tip in tips)]
    return next(_iter_lines(git_dir, ("--max-count=1",), lines, lock), None) is None


def _iter_lines(git_dir: Path, options: Sequence[str], lines: Sequence[str], lock: int) -> Iterator[str]:
    pieces = iter_git_output(
        git_dir,
        "rev-list",
        *options,
        "--stdin",
        stdin="".join(f"{line}\n" for line in lines).encode("ascii"),
        pass_fds=(lock,),
        timeout_s=limits.fork_max_s,
    )
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line.decode("ascii")


def _packs_by_size(node: Node, source: Repo) -> list[str]:
    """Return the packs in use. Those retired by now may go at any time; what replaces them is in place."""
    with node.database.read() as session:
        retired = {pack.name for pack in list_retired_packs(session, source.id, retired_before=node.clock())}
    packs = [pack for pack in node.store.list_packs(source.public_id) if pack.name not in retired]
    return [pack.name for pack in sorted(packs, key=lambda pack: -pack.size_bytes)]


def _read_pack_oids(idx_path: Path, wanted: set[Oid]) -> list[Oid] | None:
    """Return the ids in a pack; None when one of them is not wanted."""
    with PackIdx(idx_path) as idx:
        if len(idx) > len(wanted):
            return None
        oids = []
        for oid in idx.iter_oids():
            if oid not in wanted:
                return None
            oids.append(oid)
        return oids


def _pack(git_dir: Path, quarantine: Quarantine, oids: Iterable[Oid], lock: int, *, walk: bool) -> None:
    """Write a pack of `oids` or, with `walk`, of all that they lead to.

    Deltas that exist are copied with their bases; new ones are not searched for, which would take most of the
    time of a fork (`--window=0`).
    """
    run_git(
        git_dir,
        "pack-objects",
        "--quiet",
        "--threads=1",
        "--window=0",
        *(["--revs"] if walk else []),
        str(quarantine.pack_dir / "pack"),
        stdin="".join(f"{oid}\n" for oid in oids).encode("ascii"),
        # A pack that is not finished must not lie in the source, where nobody would sweep it.
        env=quarantine.environment(git_dir),
        # Publishing forces the pack to the disk; a fork that fails need never get there.
        config={"core.fsync": "none"},
        pass_fds=(lock,),
        timeout_s=limits.fork_max_s,
    )
