"""Writes on a node, made like those of operations: a Write over a view, and a RefWriter that moves refs with it."""

from collections.abc import Mapping

from packhouse.auth.principal import Principal
from packhouse.db.packs import list_known_packs, list_packs, replace_packs
from packhouse.db.ref_transaction import RefOutcome, RefUpdate
from packhouse.db.repos import Repo
from packhouse.git.objects.codec import MODE_FILE, Person, encode_commit
from packhouse.git.objects.tree_path import TreePath
from packhouse.git.oid import EMPTY_TREE_OID, Oid
from packhouse.git.refname import PERSISTENT, RefName, branch_refname
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.commits.add_commit import AddCommit, CommitFacts, NewCommit, add_commit
from packhouse.operations.commits.commit_target import CommitTarget
from packhouse.repository.refs.writer import RefWriter
from packhouse.repository.tree_maker import TreeMaker
from packhouse.repository.view import RepoView, open_view
from packhouse.repository.write import Write

ADA = Person("Ada", "ada@example.test", 1000, "+0000")
MAIN = RefName(b"refs/heads/main")


def move_refs(
    node: Node,
    caller: Principal,
    repo: Repo,
    *updates: RefUpdate,
    write: Write | None = None,
    action: str = "test",
) -> list[RefOutcome]:
    """Move refs in one transaction, with the objects of `write`."""
    writer = RefWriter(node, caller, repo, action=action)
    allowed = [writer.allow(update, is_fast_forward=lambda: True) for update in updates]
    return writer.move(allowed, receipt=None, write=write)


def write_commit_object(write: Write, *parents: Oid, message: bytes = b"m\n") -> Oid:
    """Add a commit without files to a write. Return its id."""
    write.writer.add_object("tree", b"")
    content = encode_commit(tree=EMPTY_TREE_OID, parents=parents, author=ADA, committer=ADA, message=message)
    return write.writer.add_object("commit", content)


def put_commit(
    node: Node,
    caller: Principal,
    repo: Repo,
    *parents: Oid,
    refname: RefName = MAIN,
    message: bytes = b"m\n",
) -> Oid:
    """Put a new commit, in its own pack, at the ref `refname`, whatever the ref's value is now."""
    with RepoView(node, repo) as view, Write(view) as write:
        commit = write_commit_object(write, *parents, message=message)
        update = RefUpdate(PERSISTENT, refname, None, commit, any_old=True)
        move_refs(node, caller, repo, update, write=write)
    return commit


def journal_packs(node: Node, repo: Repo) -> list[str]:
    """Return the names of the packs in the repository's journal, oldest first. A deleted repository has one, too."""
    with node.database.read() as session:
        listed = list_packs(session, repo.id, even_deleted=True)
    return [] if listed is None else [row.pack.name for row in listed.journal]


def put_blob(node: Node, repo: Repo, content: bytes) -> str:
    """Store a pack of one blob and list it. Return the pack's name."""
    with RepoView(node, repo) as view, Write(view) as write:
        write.writer.add_object("blob", content)
        (pack,) = write.publish(may_journal=False).packs
        with node.database.write() as session:
            assert replace_packs(
                session, repo.id, old=[], new=[pack], state=node.new_state(), now=node.clock()
            )
        write.keep_published()
    return pack.name


def commit_files(
    node: Node,
    caller: Principal,
    name: str,
    branch: str,
    files: Mapping[str, bytes | None],
    *,
    base: str | None = None,
    expected: Oid | None = None,
) -> NewCommit:
    """Commit contents by path; None deletes. `base` is the start of a new branch."""
    target = CommitTarget(
        PERSISTENT,
        branch_refname(branch),
        base_refname=None if base is None else branch_refname(base),
        expected=expected,
    )
    with open_view(node, lookup_repo(node, caller, name)) as view, Write(view) as write:

        def make_tree(maker: TreeMaker) -> Oid:
            editor = maker.edit()
            for path, content in files.items():
                if content is None:
                    editor.delete(TreePath(path.encode()))
                else:
                    blob = write.writer.add_object("blob", content)
                    editor.upsert(TreePath(path.encode()), MODE_FILE, blob)
            return editor.write(maker.emit)

        facts = CommitFacts(b"message\n", ADA, ADA)
        return add_commit(node, caller, AddCommit(write, target, facts, make_tree, action="test"))


def pack_states(node: Node, repo: Repo) -> dict[str, str]:
    """Return the state of every pack of the repository that has a row, except the one noted for the next pack."""
    ahead = node.pack_names._last.get(repo.id)
    with node.database.read() as session:
        known = list_known_packs(session, repo.id)
    return {name: state.value for name, state in known.items() if ahead is None or name != ahead.name}
