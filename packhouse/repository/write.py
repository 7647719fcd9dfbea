"""Objects that do not belong to a repository yet, over a view of it.

Objects made in this process go into one pack (`writer`); objects made by git go into a folder that no reader sees. Git
and our readers see both over the repository's objects. `publish` stores the packs. Readers see them only after a ref
transaction has listed them. Leaving the `with` block removes packs that were not published, or not listed.
"""

import contextlib
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from packhouse.db import Repo
from packhouse.endings import Discarding
from packhouse.errors import Code, Invalid
from packhouse.git import Oid, hash_object
from packhouse.git.commands.cat_file import FreshReader
from packhouse.git.commands.environment import GitPlace
from packhouse.git.commands.run import GitFailed
from packhouse.git.objects import ObjectReader, Objects
from packhouse.git.packs import MemoryPack, Pack, PackCorrupt, PackInflatesTooMuch, PackWriter
from packhouse.node import Node
from packhouse.repository.git import RepoGit
from packhouse.repository.journal import JournalReader
from packhouse.repository.packs import open_packs
from packhouse.repository.stored_packs import FoundPack, drop_incoming, new_pack_name, store_packs
from packhouse.repository.view import RepoView
from packhouse.storage import NewPack, OpenedPacks, Quarantine, SpillFile, describe_pack

_SHOWN: Final = "pack-shown-"
_HEX_FOLDER: Final = re.compile(r"[0-9a-f]{2}")
_SHALLOW_NAME: Final = "shallow-of-client"


class CommittedObjectRefused(Invalid):
    """Git's fsck refuses an object that the commit would add. `reason` is git's."""

    code = Code.COMMITTED_OBJECT_REFUSED
    reason: str


@dataclass(frozen=True, slots=True)
class Published:
    """What a ref transaction lists: `packs` that are stored, and `small_packs` that it adds to the journal."""

    packs: list[Pack]
    small_packs: list[MemoryPack]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to list."""
        return not self.packs and not self.small_packs

    @property
    def size_bytes(self) -> int:
        """The size of all packs."""
        return sum(pack.size_bytes for pack in (*self.packs, *(held.pack for held in self.small_packs)))


NOTHING_PUBLISHED: Final = Published([], [])


class Write(Discarding):
    """New objects over the repository that `view` shows. For one thread at a time.

    Packs are published to that repository, unless `send_to` names another. With `is_kept` off, the write is never
    published: it only shows objects to git during a read, and may lie wherever there is room.
    """

    def __init__(self, view: RepoView, *, is_kept: bool = True) -> None:
        self.view = view
        self.node: Node = view.node
        self.repo = view.repo
        self.git = RepoGit(self)
        self._is_kept = is_kept
        self._new_pack: NewPack | None = None
        self._folder: Quarantine | None = None
        self._linked: list[tuple[str, Pack]] = []
        self._source: OpenedPacks | None = None
        self._incoming: list[str] = []
        self._copied: list[MemoryPack] = []
        self._published = Published([], [])
        self._kept_bytes = 0

    def send_to(self, repo: Repo) -> None:
        """Publish to another repository: a fork's packs are made over a view of its source."""
        assert not self._incoming, "nothing is published yet"
        self.repo = repo

    @property
    def writer(self) -> PackWriter:
        """The writer of this process's new pack; there is one for the whole write."""
        if self._new_pack is None:
            self._new_pack = self.node.store.new_pack()
        return self._new_pack.writer

    def forget_writer(self) -> None:
        """Throw away the unpublished objects that this process has added."""
        if self._new_pack is not None:
            self._new_pack.discard()
            self._new_pack = None

    @property
    def has_folder(self) -> bool:
        """Tell whether git has a folder for its new objects."""
        return self._folder is not None

    @property
    def is_empty(self) -> bool:
        """Tell whether the write and the repository hold no object at all."""
        return not self.has_folder and self._new_pack is None and self.view.is_empty

    def new_spill(self) -> SpillFile:
        """Return an empty file for bytes that do not fit in memory, to be discarded by the caller."""
        return SpillFile(self.node.store.scratch_dir())

    def make_folder(self) -> None:
        """Make a folder for git's new objects, unless there is one."""
        self._objects()

    def add_loose(self, kind: str, content: bytes) -> Oid:
        """Write a loose object, which git finds at once, and return its id. For writes that are never published."""
        oid = hash_object(kind, content)
        folder = self._objects().object_dir / oid[:2]
        folder.mkdir(exist_ok=True)
        (folder / oid[2:]).write_bytes(zlib.compress(f"{kind} {len(content)}\0".encode() + content, 1))
        return oid

    def iter_loose(self) -> Iterator[tuple[str, bytes]]:
        """Yield (kind, content) of every loose object of git, to be put into a pack."""
        objects = self._objects().object_dir
        reader = self.reader()
        for folder in sorted(objects.iterdir()):
            if _HEX_FOLDER.fullmatch(folder.name):
                for file in sorted(folder.iterdir()):
                    yield reader.read(Oid(folder.name + file.name))

    def reader(self) -> Objects:
        """Return a reader of the new objects and of the view's, as they are now. The view must stay open."""
        beneath, journal = self.view.packs().object_dir, self.view.journal()
        if self._folder is None and self._new_pack is None:
            return JournalReader(journal, lambda: ObjectReader(beneath))
        self._show_new_pack()
        # Opened now: the write may be discarded while a caller still reads.
        stored = ObjectReader(self._objects().object_dir, beneath)
        return JournalReader(journal, lambda: stored)

    def fresh_reader(self) -> FreshReader:
        """Return a reader of the same objects that uses a new git process for each object."""
        return FreshReader(self.place())

    def place(self) -> GitPlace:
        """Return where git sees the new objects over those of the view, and where it writes objects of its own."""
        place = self.view.place()
        if self._folder is None and self._new_pack is None:
            return place
        self._show_new_pack()
        assert place.object_dir is not None, "a view has a folder of packs"
        folder = self._objects()
        return GitPlace(
            folder.make_repository().absolute(),
            folder.object_dir.absolute(),
            beneath=(place.object_dir, *place.beneath),
            descriptors=place.descriptors,
        )

    def telling_damage(self) -> AbstractContextManager[None]:
        """See RepoView. An object that the repository itself has lost is no fault of the new objects."""
        return self.view.telling_damage()

    def check(self, complaint: GitFailed, *, may_lack: bool = False) -> None:
        """See RepoView."""
        self.view.check(complaint, may_lack=may_lack)

    def write_refs(self, lines: Iterable[bytes]) -> None:
        """Write refs for git to see: lines of `packed-refs`, each an id, a space and a full name."""
        path = self._objects().make_repository()
        with (path / "packed-refs").open("ab") as file:
            file.writelines(line + b"\n" for line in lines)

    def is_special_name(self, name: str) -> bool:
        """Tell whether git may take a name for a file of the folder that it works in."""
        return (self._objects().path / name.split("/")[0]).exists()

    def git_with_roots(self, shallow: Sequence[Oid]) -> RepoGit:
        """Return a git that treats the cut-off commits of the client as roots; the usual git when there are none.

        Without it, the strict check of a pack from a shallow clone stops at the first parent that it cannot find, and
        its message does not say so.
        """
        if not shallow:
            return self.git
        path = self._objects().path / _SHALLOW_NAME
        path.write_text("".join(f"{oid}\n" for oid in shallow))
        return RepoGit(_WithRoots(self, path.absolute()))

    def folder_bytes(self) -> int:
        """Return the size of the packs that git has written so far."""
        total = 0
        for path in self._objects().pack_dir.iterdir():
            with contextlib.suppress(FileNotFoundError):  # renamed by git just now
                total += path.stat().st_size
        return total

    def count_loose_refs(self, prefix: str) -> int:
        """Return how many refs below `refs/<prefix>` git has written: each is a file."""
        return sum(len(names) for _, _, names in os.walk(self._objects().path / "refs" / prefix))

    def new_idx(self) -> Path:
        """Return the idx of the one pack that git has left."""
        (path,) = self._objects().pack_dir.glob("pack-*.idx")
        return path

    def pack_prefix(self) -> str:
        """Return the prefix of the file names for packs of `git pack-objects`."""
        return str(self._objects().pack_dir.absolute() / "pack")

    def link_stored(self, source_id: str, pack: Pack) -> None:
        """Publish a stored pack of the view, too. Every object in it must be wanted."""
        if (
            self._source is None
        ):  # held until publishing, since the pack may retire and the view may be opened anew
            self._source = open_packs(self.node, self.view.repo, self.view.listed())
        self._linked.append((source_id, pack))

    def check_strict(self) -> None:
        """Let git check the objects of this process's pack, with the contents of `.gitmodules` and `.gitattributes`.

        Raises Invalid with git's reason. Few commits need this: all other content is checked while it is built.
        """
        assert self._new_pack is not None, "there are objects to judge"
        _finished, pack, _idx = self._new_pack.finish()
        with Write(self.view, is_kept=False) as judging:
            # For `.gitmodules`, fsck opens the pack again, by the name that belongs to the idx.
            folder = judging._objects().pack_dir
            (folder / "pack-judged.pack").hardlink_to(pack)
            reason = judging.git.judge_pack(folder.absolute() / "pack-judged.pack")
        if reason is not None:
            raise CommittedObjectRefused(reason)

    def copy_journaled(self, pack: MemoryPack) -> None:
        """Publish a pack of the view's journal, too. Every object in it must be wanted."""
        self._copied.append(pack)

    def publish(self, *, may_journal: bool = True) -> Published:
        """Make the new packs ready for the ref transaction; return what it must list, also of earlier calls.

        A small pack will be a row of the journal, unless `may_journal` is off or the journal has no room. Other packs
        are stored durably. More objects may be added afterwards and published by another call. Raises Unavailable and
        OSError when the store or the database takes no writes.
        """
        assert self._is_kept, "made for reading"
        is_room = may_journal and self.node.journal.has_room(self.repo.id)
        small, found = self._sort_packs(self.node.limits.journal_pack_max_bytes if is_room else 0)
        if small:
            self.node.claim_folder()
        self._published.small_packs.extend([*small, *self._copied])
        if found:
            stored = store_packs(self.node, self.repo, found, noted=self._incoming)
            self._published.packs.extend(stored)
        self._copied.clear()
        self._linked.clear()
        self.forget_writer()
        return self._published

    @property
    def published_bytes(self) -> int:
        """The size of all packs published so far."""
        return self._kept_bytes + self._published.size_bytes

    def keep_published(self) -> None:
        """Keep the published packs: the ref transaction has listed them."""
        for pack in self._published.small_packs:
            self.node.journal_packs.put(pack.pack.name, pack)
        self._kept_bytes += self._published.size_bytes
        self._incoming.clear()
        self._published = Published([], [])

    def discard(self) -> None:
        """Remove packs that are not published, or published and not listed. Harmless when done before."""
        self.forget_writer()
        if self._folder is not None:
            self._folder.discard()
            self._folder = None
        if self._source is not None:
            self._source.close()
            self._source = None
        names, self._incoming = self._incoming, []
        if names:
            drop_incoming(self.node, self.repo, names)

    def _sort_packs(self, small_max_bytes: int) -> tuple[list[MemoryPack], list[FoundPack]]:
        """Return the new packs of at most `small_max_bytes`, in memory, and the others."""
        small: list[MemoryPack] = []
        found: list[FoundPack] = []
        for source_id, pack in self._linked:
            assert self._source is not None, "it was opened with the first of them"
            found.append(FoundPack(pack, linked_from=source_id, shown_in=self._source.object_dir / "pack"))
        for pack_path in self._list_packs_of_git():
            pack = describe_pack(str(pack_path))
            held = self._hold(pack_path.read_bytes()) if pack.size_bytes <= small_max_bytes else None
            if held is None:
                found.append(FoundPack(pack, files=(pack_path, pack_path.with_suffix(".idx"))))
            else:
                small.append(held)
        if self._new_pack is not None and len(self._new_pack.writer):
            held = self._hold_own(self._new_pack.writer, small_max_bytes)
            if held is not None:
                small.append(held)
            else:
                info, pack_path, idx = self._new_pack.finish()
                found.append(FoundPack(info.pack, files=(pack_path, idx)))
        return small, found

    def _list_packs_of_git(self) -> list[Path]:
        """Return the packs that git has finished in the folder: those with an idx."""
        if self._folder is None:
            return []
        idxs = sorted(self._folder.pack_dir.glob("pack-*.idx"))
        return [idx.with_suffix(".pack") for idx in idxs if not idx.name.startswith(_SHOWN)]

    def _hold_own(self, writer: PackWriter, small_max_bytes: int) -> MemoryPack | None:
        """Return the pack of this process in memory; None if it is too large for the journal."""
        if writer.new_bytes > self.node.limits.journal_pack_inflated_max_bytes or not small_max_bytes:
            return None
        finished = writer.finish_in_memory()
        if finished is None:  # git has seen it, or it is large
            assert self._new_pack is not None, "it is its writer's"
            info, pack_path, _idx = self._new_pack.finish()
            if info.pack.size_bytes > small_max_bytes:
                return None
            finished = info, pack_path.read_bytes()
        if finished[0].pack.size_bytes > small_max_bytes:
            return None
        return MemoryPack.of(new_pack_name(self.node), finished[1], finished[0].entries)

    def _hold(self, data: bytes) -> MemoryPack | None:
        """Return a pack of git in memory; None for a pack that we store instead.

        Its objects take too much memory, or git accepts a form that we do not read.
        """
        inflated_max_bytes = self.node.limits.journal_pack_inflated_max_bytes
        try:
            return MemoryPack.parse(new_pack_name(self.node), data, inflated_max_bytes=inflated_max_bytes)
        except (PackInflatesTooMuch, PackCorrupt):
            return None

    def _objects(self) -> Quarantine:
        if self._folder is None:
            store = self.node.store
            self._folder = store.new_quarantine() if self._is_kept else store.new_scratch()
        return self._folder

    def _show_new_pack(self) -> None:
        """Show this process's pack to git, by a link in the folder where git looks for packs."""
        if self._new_pack is None or not len(self._new_pack.writer):
            return
        finished, pack, idx = self._new_pack.finish()
        folder = self._objects().pack_dir
        base = folder / f"{_SHOWN}{finished.pack.name}"
        if not base.with_suffix(".idx").exists():
            base.with_suffix(".pack").hardlink_to(pack)
            base.with_suffix(".idx").hardlink_to(idx)


@dataclass(frozen=True, slots=True)
class _WithRoots:
    """A write in which git sees some commits as roots."""

    write: Write
    shallow_file: Path

    def place(self) -> GitPlace:
        """See Runner."""
        return replace(self.write.place(), shallow_file=self.shallow_file)

    def check(self, complaint: GitFailed, *, may_lack: bool = False) -> None:
        """See Runner."""
        self.write.check(complaint, may_lack=may_lack)
