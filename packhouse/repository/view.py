"""Objects of a repository by id, as they are stored. What is lost or damaged is told as that, never as absent."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar

from packhouse import limits
from packhouse.db.repos import Repo
from packhouse.errors import Corrupt, NotFound
from packhouse.git.oid import EMPTY_TREE_OID, Oid
from packhouse.git.reader import FreshReader, ObjectMissing, ObjectReader, Objects
from packhouse.node.node import Node
from packhouse.repository.damage import (
    RepositoryDamaged,
    find_unreadable,
    mend,
    mend_if_needed,
    report_missing,
    require_sound,
    telling_damage,
)

T = TypeVar("T")


class RepoReader:
    """Reads objects of one repository; for one thread at a time.

    A look that fails is repeated once with all that can be made anew (a lost idx, say). An object is taken for
    absent only when every listed pack is sound.
    """

    def __init__(self, node: Node, repo: Repo, reopen: Callable[[], ObjectReader]) -> None:
        self._node = node
        self._repo = repo
        self._reopen = reopen
        self._reader: ObjectReader | None = reopen()

    def kind_and_size(self, oid: Oid) -> tuple[str, int] | None:
        """Return kind (blob, tree, commit, tag) and size in bytes, or None when the repository never had it.

        Raises RepositoryDamaged when nobody can tell.
        """
        return self._ask(oid, lambda reader: reader.kind_and_size(oid))

    def read_header(self, oid: Oid) -> tuple[str, int]:
        """Return kind and size in bytes of an object that must be there; raise RepositoryDamaged when it is not."""
        found = self.kind_and_size(oid)
        if found is None:
            raise report_missing(self._node, self._repo, oid)
        return found

    def read(self, oid: Oid, *, kind: str | None = None) -> tuple[str, bytes]:
        """Return kind and content of an object that must be there and fits in memory.

        Raises RepositoryDamaged when it is absent or unreadable, NotFound when it is of another `kind` than given.
        """
        found = self._ask(oid, lambda reader: reader.read(oid, kind=kind))
        if found is None:
            raise report_missing(self._node, self._repo, oid)
        return found

    def peel(self, oid: Oid) -> tuple[str, Oid]:
        """Return kind and id of what an object that must be there leads to once annotated tags are followed.

        Raises RepositoryDamaged when an object of the chain is absent or unreadable.
        """
        found = self._ask(oid, lambda reader: reader.peel(oid))
        if found is None:
            raise report_missing(self._node, self._repo, oid)
        return found

    def iter_blob(self, oid: Oid, size: int) -> Iterator[bytes]:
        """Yield the content of a blob that must be there in pieces; a large one streams from a git process."""
        if size <= limits.object_in_process_max_bytes:
            yield self.read(oid, kind="blob")[1]
            return
        with telling_damage(self._node, self._repo):
            yield from self._open().iter_blob(oid, size)

    def _open(self) -> ObjectReader:
        if self._reader is None:
            self._reader = self._reopen()
        return self._reader

    def _ask(self, oid: Oid, ask: Callable[[Objects], T | None]) -> T | None:
        """Return what `ask` does; None when it finds nothing and nothing is damaged."""
        try:
            found = ask(self._open())
        except (NotFound, Corrupt):  # of another kind, too: an offset may lead to another object
            found = None
        return self._ask_again(oid, ask) if found is None else found

    def _ask_again(self, oid: Oid, ask: Callable[[Objects], T | None]) -> T | None:
        """As `_ask`, of readers that see what was made anew just now: ours, opened again, and a new git."""
        node, repo = self._node, self._repo
        faults = mend(node, repo).faults
        found: T | None = None
        try:
            node.store.forget_readers(repo.public_id)
            self._reader = None  # first: readers that live at the same time share what they opened
            with contextlib.suppress(NotFound, Corrupt):
                found = ask(self._open())
            if found is None:
                found = ask(FreshReader(node.store.repo_path(repo.public_id)))
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
def open_reader(node: Node, repo: Repo) -> Iterator[RepoReader]:
    """Lend a reader of the repository's objects; no pack that it may use is unlinked meanwhile.

    Raises RepositoryDamaged when the repository's folder is lost, FileNotFoundError when it never had one.
    """
    with contextlib.ExitStack() as held:

        def reopen() -> ObjectReader:
            held.close()
            # libgit2 believes what an idx says of where objects are, and so of how large they are.
            reader = node.store.reader(repo.public_id, before_open=lambda: mend_if_needed(node, repo))
            return held.enter_context(reader)

        try:
            reader = RepoReader(node, repo, reopen)
        except FileNotFoundError:
            require_sound(node, repo)
            raise
        yield reader


@contextlib.contextmanager
def hold_packs(node: Node, repo: Repo) -> Iterator[int]:
    """Keep packs in place while git reads them; give the descriptor that git children inherit (`pass_fds`).

    What is missing beside the packs is made anew first. A failure of git that comes from damage leaves the block as
    RepositoryDamaged. Raises as `open_reader` does.
    """
    mend_if_needed(node, repo)
    with contextlib.ExitStack() as held:
        try:
            lock = held.enter_context(node.store.hold(repo.public_id))
        except FileNotFoundError:
            require_sound(node, repo)
            raise
        with telling_damage(node, repo):
            yield lock


def read_object(node: Node, repo: Repo, oid: Oid, kind: str) -> bytes:
    """Return a commit or tree that must be there, from memory when this process used it lately."""
    if oid == EMPTY_TREE_OID:
        return b""  # to git it exists everywhere, so a push may bring a commit without it
    content = node.objects.get(repo.public_id, oid)
    if content is None:
        with open_reader(node, repo) as reader:
            content = reader.read(oid, kind=kind)[1]
        node.objects.put(repo.public_id, oid, content)
    return content
