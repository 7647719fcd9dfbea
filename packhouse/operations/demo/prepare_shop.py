"""The repository of the documentation's examples. Its dates are fixed, and so the ids of its commits are."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from packhouse.auth import Principal
from packhouse.db import RepoExists, get_ref
from packhouse.git import PERSISTENT, Oid, RefName, branch_refname, parse_oid
from packhouse.git.objects import MODE_FILE, Person, TreePath
from packhouse.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.commits.add_commit import CommitFacts
from packhouse.operations.commits.commit_target import CommitTarget
from packhouse.operations.commits.start_commit import FileChange, StartCommit, start_commit
from packhouse.operations.notes.write_note import NoteAction, WriteNote, write_note
from packhouse.operations.refs.create_tag import CreateTag, create_tag
from packhouse.operations.repos.create_repo import CreateRepo, create_repo

_MAIN: Final = branch_refname("main")
_CART: Final = branch_refname("feature/cart")
_TAX: Final = branch_refname("feature/tax")
_TAG: Final = RefName(b"refs/tags/release/v1")
_NOTES: Final = RefName(b"refs/notes/reviews")

# The two commits of main.
_START: Final = parse_oid("905818a2a0c1cd2558e4fddd3d5426f5fd72198c")
_ADD_CART: Final = parse_oid("68e25b9dbfeaef21488fdb63f79ec2694d99da63")


@dataclass(frozen=True, slots=True)
class PrepareShop:
    """The name of the repository."""

    repo: str


def prepare_shop(node: Node, caller: Principal, command: PrepareShop) -> None:
    """Make the missing parts of the repository. Once `main` has moved, nothing is changed.

    `main` has two commits. A tag and a note are on its tip. `feature/cart` and `feature/tax` start at the tip and
    change the same line. It may be interrupted at any point and run again.
    """
    _tolerate_existing_repo(node, caller, command.repo)
    shop = _Shop(node, caller, command.repo)
    if shop.tip(_MAIN) is None:
        files = {b"README.md": b"# Shop\n", b"docs/guide.md": b"Read me.\n"}
        shop.commit(_MAIN, None, _ada("2026-01-01T00:00:09Z"), b"Start\n", files)
    if shop.tip(_MAIN) == _START:
        files = {b"src/cart.py": b"items = []\n"}
        shop.commit(_MAIN, _START, _lin("2026-01-02T08:30:00Z"), b"Add cart\n", files)
    if shop.tip(_MAIN) != _ADD_CART:
        return
    if shop.tip(_CART) is None:
        files = {b"src/cart.py": b"items = []\ntax = 2\n"}
        shop.commit(_CART, _ADD_CART, _lin("2026-01-03T08:30:00Z"), b"Add tax\n", files)
    if shop.tip(_TAX) is None:
        files = {b"src/cart.py": b"items = []\ntax = 1\n"}
        shop.commit(_TAX, _ADD_CART, _ada("2026-01-04T08:30:00Z"), b"Add another tax\n", files)
    if shop.tip(_TAG) is None:
        create_tag(node, caller, CreateTag(command.repo, _TAG, _ADD_CART))
    if shop.tip(_NOTES) is None:
        ada = _ada("2026-01-02T12:00:00Z")
        note = WriteNote(command.repo, _ADD_CART, _NOTES, NoteAction.ADD, text="QA passed", author=ada)
        write_note(node, caller, note)


def _tolerate_existing_repo(node: Node, caller: Principal, name: str) -> None:
    try:
        create_repo(node, caller, CreateRepo(name))
    except RepoExists:
        return


def _ada(date: str) -> Person:
    return Person("Ada", "ada@northwind.example", int(datetime.fromisoformat(date).timestamp()), "+0000")


def _lin(date: str) -> Person:
    return Person("Lin", "lin@northwind.example", int(datetime.fromisoformat(date).timestamp()), "+0000")


@dataclass(frozen=True, slots=True)
class _Shop:
    """The repository in its present state."""

    node: Node
    caller: Principal
    name: str

    def tip(self, refname: RefName) -> Oid | None:
        repo = lookup_repo(self.node, self.caller, self.name)
        with self.node.database.read() as session:
            ref = get_ref(session, repo.id, PERSISTENT, refname)
        return None if ref is None else ref.oid

    def commit(
        self,
        refname: RefName,
        parent: Oid | None,
        person: Person,
        message: bytes,
        files: Mapping[bytes, bytes],
    ) -> None:
        """Put one commit on a branch. A branch that does not exist starts from main, which must be at `parent`."""
        base = None if parent is None else _MAIN
        target = CommitTarget(PERSISTENT, refname, base_refname=base, expected=parent)
        changes = [FileChange(TreePath(path), path.decode(), MODE_FILE) for path in files]
        facts = CommitFacts(message, author=person, committer=person)
        command = StartCommit(self.name, target, facts, changes)
        with start_commit(self.node, self.caller, command) as commit:
            for path, content in files.items():
                commit.add_chunk(path.decode(), content, eof=True)
            commit.commit()
