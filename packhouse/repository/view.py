"""A repository opened at one state: its objects by id, and git on them.

Lost or damaged objects are reported as damage, never as absent: an object counts as absent only when every listed pack
is sound. A view that misses an object reads the list of packs again, since maintenance may have moved the object or a
writer may have added it. Only an object that is still missing then is damaged.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar

from packhouse import limits
from packhouse.db import PackList, Ref, Repo, get_ref
from packhouse.endings import Closing
from packhouse.errors import Corrupt, NotFound
from packhouse.git import EMPTY_TREE_OID, Oid, RefName
from packhouse.git.commands.cat_file import FreshReader
from packhouse.git.commands.environment import GitPlace
from packhouse.git.commands.run import AtPlace, GitFailed
from packhouse.git.objects import ObjectMissing, Objects
from packhouse.git.packs import MemoryPack
from packhouse.node import Node
from packhouse.repository.damage import (
    RepositoryDamaged,
    check_complaint,
    find_unreadable,
    mend,
    note_mended,
    report_missing,
    require_whole,
    telling_damage,
)
from packhouse.repository.git import RepoGit
from packhouse.repository.journal import JournalReader, NoObjects, hold_journal
from packhouse.repository.packs import open_packs, place_of, read_packs
from packhouse.storage import Mended, OpenedPacks, ShownPacks

T = TypeVar("T")


class RepoView(Closing):
    """Reads objects of one repository; for one thread at a time. Leaving the `with` block releases its packs.

    Packs are opened when they are first needed.
    """

    def __init__(self, node: Node, repo: Repo) -> None:
        self.node = node
        self.repo = repo
        self.git = RepoGit(self)
        self._known_refs: dict[tuple[str, RefName], Ref | None] = {}
        self._listed: PackList | None = None
        self._opened: OpenedPacks | None = None
        self._journal: tuple[MemoryPack, ...] | None = None
        self._shown: ShownPacks | None = None
        self._reader: Objects | None = None
        self._in_use = contextlib.ExitStack()

    def close(self) -> None:
        """Close the packs and readers. Closing twice is harmless, and the view may be used again."""
        self._reader = self._opened = self._journal = self._shown = None
        self._in_use.close()

    def know_ref(self, namespace: str, refname: RefName, ref: Ref | None) -> None:
        """Remember a ref, or its absence (None), from the query that found the repository."""
        self._known_refs[namespace, refname] = ref

    def get_ref(self, namespace: str, refname: RefName) -> Ref | None:
        """Return the ref of that full name, as it was when the view was opened or later."""
        key = (namespace, refname)
        if key not in self._known_refs:
            with self.node.database.read() as session:
                self._known_refs[key] = get_ref(session, self.repo.id, namespace, refname)
        return self._known_refs[key]

    @property
    def is_empty(self) -> bool:
        """Tell whether the repository holds no object. Asks SQL."""
        return self._look().is_empty and self._look(fresh=True).is_empty

    def kind_and_size(self, oid: Oid) -> tuple[str, int] | None:
        """Return kind (blob, tree, commit, tag) and size in bytes, or None when the repository never had the object.

        Raises RepositoryDamaged when damage may hide the object.
        """
        return self._ask(oid, lambda reader: reader.kind_and_size(oid))

    def read_header(self, oid: Oid) -> tuple[str, int]:
        """Return kind and size in bytes of a required object; raise RepositoryDamaged when it is absent."""
        found = self.kind_and_size(oid)
        if found is None:
            raise report_missing(self.node, self.repo, oid)
        return found

    def read(self, oid: Oid, *, kind: str | None = None) -> tuple[str, bytes]:
        """Return kind and content of a required object that fits in memory.

        Raises RepositoryDamaged when it is absent or unreadable, NotFound when its kind is not `kind`.
        """
        found = self._ask(oid, lambda reader: reader.read(oid, kind=kind))
        if found is None:
            raise report_missing(self.node, self.repo, oid)
        return found

    def read_kept(self, oid: Oid, kind: str) -> bytes:
        """Return a required commit or tree, from memory if this process used it lately."""
        if oid == EMPTY_TREE_OID:
            return b""  # git knows the empty tree everywhere, so a push may bring a commit without it
        content = self.node.objects.get((self.repo.public_id, oid))
        if content is None:
            content = self.read(oid, kind=kind)[1]
            self.node.objects.put((self.repo.public_id, oid), content)
        return content

    def read_tree(self, oid: Oid) -> bytes:
        """Return a required tree, as read_kept() does."""
        return self.read_kept(oid, "tree")

    def peel(self, oid: Oid) -> tuple[str, Oid]:
        """Return kind and id of the object at the end of a chain of annotated tags; `oid` must exist.

        Raises RepositoryDamaged when an object of the chain is absent or unreadable.
        """
        found = self._ask(oid, lambda reader: reader.peel(oid))
        if found is None:
            raise report_missing(self.node, self.repo, oid)
        return found

    def iter_blob(self, oid: Oid, size: int) -> Iterator[bytes]:
        """Yield the content of a required blob in pieces. A large blob streams from a git process."""
        if size <= limits.object_in_process_max_bytes:
            yield self.read(oid, kind="blob")[1]
        else:
            yield from self.git.iter_blob(oid)

    def place(self) -> GitPlace:
        """Return where git sees the objects as they are now. For RepoGit, and for code that works over a view."""
        self._look(fresh=True)
        journal, opened = self.journal(), self._open()
        mended = self.node.store.recheck(self.repo.public_id, opened, self._look().packs)
        if mended.rebuilt or mended.faults:
            note_mended(self.node, self.repo, mended)
        if journal and (self._shown is None or not self._shown.is_in_place):
            shown = self.node.store.show_journal(self.repo.public_id, journal)
            self._shown = self._in_use.enter_context(shown)
        return place_of(self.node, opened, self._shown)

    def git_for_threads(self) -> RepoGit:
        """Return git on the objects as they are now, for several threads at once."""
        return RepoGit(AtPlace(self.place()))

    @contextlib.contextmanager
    def telling_damage(self) -> Iterator[None]:
        """Replace failures of git and unreadable objects by the Reason for them, if find_reason() finds one."""
        with telling_damage(self.node, self.repo):
            yield

    def check(self, complaint: GitFailed, *, may_lack: bool = False) -> None:
        """Raise the Reason why git could not read objects: see check_complaint()."""
        check_complaint(self.node, self.repo, complaint, may_lack=may_lack)

    def require_whole(self) -> None:
        """Raise when a listed pack was unreadable just now. Needed after git commands that leave out objects silently.

        Raises RepositoryDamaged for a pack that is unusable and RepositoryMended for one that was mended here.
        """
        require_whole(self.node, self.repo)

    def packs(self) -> OpenedPacks:
        """Return the opened stored packs as they are now. For code that copies whole packs."""
        self._look(fresh=True)
        self.journal()
        return self._open()

    def journal(self) -> tuple[MemoryPack, ...]:
        """Return the packs of the journal. They belong to the same list as the stored packs of this view."""
        if self._journal is None:
            held = hold_journal(self.node, self.repo, self._look())
            self._show_list(held.listed)
            self._journal = held.packs
            if held.faults:
                note_mended(self.node, self.repo, Mended([], list(held.faults)))
        return self._journal

    def listed(self) -> PackList:
        """Return the list of packs that the view was opened with. Opens the view if it is not open."""
        self.journal()
        self._open()
        return self._look()

    def _look(self, *, fresh: bool = False) -> PackList:
        """Return the list of the view; with `fresh`, the list is read anew, and a changed one is opened anew."""
        if self._listed is None or fresh:
            self._show_list(read_packs(self.node, self.repo, fresh=fresh))
        assert self._listed is not None, "it was read"
        return self._listed

    def _show_list(self, listed: PackList) -> None:
        """Read from the packs of a list from now on. Packs that git may still use stay open until the view closes."""
        has_faults = self._opened is not None and bool(self._opened.mended.faults)
        if listed != self._listed or has_faults:
            self._reader = self._opened = self._journal = self._shown = None
            self._listed = listed

    def _open(self) -> OpenedPacks:
        """Return the opened stored packs of the list."""
        if self._opened is None:
            listed = self._look()
            opened = open_packs(self.node, self.repo, listed)
            if opened.mended.faults or opened.mended.rebuilt:
                opened = self._open_without_gone(opened, listed)
            self._opened = opened
            self._in_use.callback(opened.close)
        return self._opened

    def _open_without_gone(self, opened: OpenedPacks, listed: PackList) -> OpenedPacks:
        """Open again when packs are gone and the list has changed. Note rebuilt files and unusable packs."""
        mended = opened.mended
        now = read_packs(self.node, self.repo, fresh=True)
        if mended.faults and (now.version, now.state) != (listed.version, listed.state):
            opened.close()
            self._show_list(now)
            self.journal()
            opened = open_packs(self.node, self.repo, self._look())
            mended = Mended([*mended.rebuilt, *opened.mended.rebuilt], opened.mended.faults)
        note_mended(self.node, self.repo, mended)
        return opened

    def _reading(self) -> Objects:
        if self._reader is None:
            self._reader = JournalReader(self.journal(), self._read_stored)
        return self._reader

    def _read_stored(self) -> Objects:
        if not self._look().packs:
            return NoObjects()
        return self._in_use.enter_context(self._open().reader())

    def _ask(self, oid: Oid, ask: Callable[[Objects], T | None]) -> T | None:
        """Return the result of `ask`; None when it finds nothing and nothing is damaged."""
        found = self._try(ask)
        if found is None and self._has_newer_list():
            found = self._try(ask)
        return self._ask_again(oid, ask) if found is None else found

    def _try(self, ask: Callable[[Objects], T | None]) -> T | None:
        try:
            return ask(self._reading())
        except (NotFound, Corrupt):  # NotFound for another kind: a damaged offset may lead to another object
            return None

    def _has_newer_list(self) -> bool:
        """Show the packs that are listed now; tell whether there may be more to read."""
        before, opened = self._listed, self._opened
        self._look(fresh=True)
        return self._listed != before or self._opened is not opened

    def _ask_again(self, oid: Oid, ask: Callable[[Objects], T | None]) -> T | None:
        """Rebuild derived files, then ask again with new readers: one in this process, and a new git process."""
        node, repo = self.node, self.repo
        if self._look(fresh=True).is_empty:
            return None
        faults = mend(node, repo).faults
        found: T | None = None
        try:
            self.close()
            node.store.forget_readers(repo.public_id)
            found = self._try(ask)
            if found is None:
                found = ask(FreshReader(self.place()))
        except (ObjectMissing, FileNotFoundError):
            found = None
        except Corrupt as error:
            damaged = find_unreadable(node, repo, oid)
            if damaged is None:
                raise
            raise damaged from error
        if found is None and faults:
            raise RepositoryDamaged(repo, oid=oid)
        return found


@contextlib.contextmanager
def open_view(node: Node, repo: Repo) -> Iterator[RepoView]:
    """Open a repository at the state of `repo` or later. Failures that damage explains leave the block as Reasons."""
    with RepoView(node, repo) as view, telling_damage(node, repo):
        yield view
